"""HalfwayMeasurement: crossings of several models on the same paths, and what they say."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from skhalfway._checks import check_choice, check_integer
from skhalfway._intervals import ConfidenceInterval, check_level, percentile_interval, ratio
from skhalfway._text import between, counted, short, shown
from skhalfway.halfway._dyads import dyadic_interval
from skhalfway.halfway._halves import label_margins, peers_credit
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

_N_BOOTSTRAPS = 1000
_OF_HALVES = ("halves", "answers", "labels", "classes")
_FIGURES = ("deviation", "consensus", "agreement", "boundary_distance", "mean_agreement")


def deviation(
    positions: NDArray[np.float64], counted: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Mean distance of crossings from 1/2 over the pairs that count, (n_models,).

    With weights (n_weightings, n_pairs), one such row for each.
    """
    if weights is None:
        return deviation(positions, counted, np.ones((1, positions.shape[1])))[0]
    away = np.where(counted, np.abs(positions - 0.5), 0.0)
    return ratio(weights @ away.T, weights @ counted.T.astype(float))


def common(counted: NDArray[np.bool_]) -> NDArray[np.intp]:
    """How many pairs count for two models, (n_models, n_models)."""
    each = counted.astype(np.intp)
    return each @ each.T


def agreement(
    positions: NDArray[np.float64], counted: NDArray[np.bool_], weights: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """Rank correlation (Spearman) of two models' crossings, over pairs that count for both.

    Of shape (n_models, n_models); nan where crossings are all at one place, or fewer than 3 count. With
    weights (n_weightings, n_pairs), one such matrix for each, of the ranks among all pairs.
    """
    if weights is None:
        return agreement(positions, counted, np.ones((1, positions.shape[1])))[0]
    n = len(positions)
    found = np.empty((len(weights), n, n))
    for i in range(n):
        both = counted[i] & counted[i:]
        own, others = (
            rankdata(np.where(both, values, np.nan), axis=1, nan_policy="omit")
            for values in (np.broadcast_to(positions[i], both.shape), positions[i:])
        )
        size = weights @ both.T.astype(float)
        # different ones: two, drawn however often, always agree or disagree
        enough = (weights > 0).astype(float) @ both.T > 2
        own, others = (_centred(ranks, both) for ranks in (own, others))
        a, b, aa, bb, ab = (
            ratio(weights @ np.where(both, values, 0.0).T, size)
            for values in (own, others, own**2, others**2, own * others)
        )
        spread = np.maximum(aa - a**2, 0.0) * np.maximum(bb - b**2, 0.0)
        # ranks are of the order of the number of pairs: what is less than their rounding is none
        spread = np.where(enough & (spread > 1e-9), spread, 0.0)
        found[:, i, i:] = found[:, i:, i] = np.clip(ratio(ab - a * b, np.sqrt(spread)), -1, 1)
    return found


def _centred(ranks: NDArray[np.float64], both: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Ranks less their mean (of n from 1 on), so that little is lost to rounding."""
    return ranks - (both.sum(axis=1, keepdims=True) + 1) / 2


def boundary_distance(
    positions: NDArray[np.float64],
    counted: NDArray[np.bool_],
    lengths: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Mean distance of two models' crossings along the path, over pairs that count for both.

    Of shape (n_models, n_models), in input units where ``lengths`` are.
    """
    if weights is None:
        return boundary_distance(positions, counted, lengths, np.ones((1, positions.shape[1])))[0]
    n = len(positions)
    found = np.empty((len(weights), n, n))
    for i in range(n):
        both = counted[i] & counted[i:]
        apart = np.where(both, np.abs(positions[i] - positions[i:]) * lengths, 0.0)
        found[:, i, i:] = found[:, i:, i] = ratio(weights @ apart.T, weights @ both.T.astype(float))
    return found


@dataclass(frozen=True, eq=False, repr=False)
class HalfwayMeasurement(Result):
    """Where the answers of several models change on the same paths.

    A pair of samples counts for a model that classifies both right, and for
    two models if it counts for both. Made by
    :meth:`skhalfway.HalfwayScorer.measure`; arrays are read-only.

    These definitions are this package's own formalisation of the title of
    [1]_, whose own are not public to us; the distance is that of Tramèr et al.
    [2]_, taken along paths between samples.

    Parameters
    ----------
    names : tuple of str
        Names of the n_models models.
    pairs : ndarray of shape (n_pairs, 2)
        Row numbers of the samples where paths begin and end.
    lengths : ndarray of shape (n_pairs,)
        Euclidean lengths of the paths, in input units.
    crossings : ndarray of shape (n_models, n_pairs)
        First crossing of each model on each path, from 0 to 1; nan where its
        answer never changes.
    counted : bool ndarray of shape (n_models, n_pairs)
        Whether the model classifies both samples right.
    halves : ndarray of shape (n_halves, 2), default=None
        Row numbers of the samples that a half lies between. None: none were asked about.
    answers : ndarray of shape (n_models, n_halves), default=None
        Class indices that models give to the halves.
    labels : ndarray of shape (n_samples,), default=None
        Class indices of the samples' own labels.
    classes : ndarray of shape (n_classes,), default=None
        Labels of class indices.

    See Also
    --------
    skhalfway.HalfwayScorer : Makes it.
    CrossingsDisplay : Draws it.
    AgreementDisplay : Draws it, with ``plot(kind="agreement")``.

    References
    ----------
    .. [1] BenShmuel, "Meet you halfway: explaining deep learning mysteries",
       arXiv 2206.04463, 2022.
    .. [2] Tramèr et al., "The space of transferable adversarial examples",
       arXiv 1704.03453, 2017, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.halfway import HalfwayMeasurement
    >>> measurement = HalfwayMeasurement(
    ...     ("a", "b"),
    ...     pairs=np.array([[0, 4], [1, 5], [2, 6], [3, 7]]),
    ...     lengths=np.ones(4),
    ...     crossings=np.array([[0.4, 0.5, 0.6, 0.7], [0.3, 0.5, 0.9, np.nan]]),
    ...     counted=np.array([[True, True, True, True], [True, True, True, False]]),
    ... )
    >>> measurement.deviation.round(3)
    array([0.1, 0.2])
    >>> measurement.agreement
    array([[1., 1.],
           [1., 1.]])
    >>> measurement.boundary_distance.round(3)
    array([[0.   , 0.133],
           [0.133, 0.   ]])
    """

    names: tuple[str, ...]
    pairs: NDArray[np.intp]
    lengths: NDArray[np.float64]
    crossings: NDArray[np.float64]
    counted: NDArray[np.bool_]
    halves: NDArray[np.intp] | None = None
    answers: NDArray[np.intp] | None = None
    labels: NDArray[np.intp] | None = None
    classes: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        n_models, n_pairs = len(self.names), len(self.pairs)
        shapes: dict[str, tuple[int, ...]] = {
            "pairs": (n_pairs, 2),
            "lengths": (n_pairs,),
            "crossings": (n_models, n_pairs),
            "counted": (n_models, n_pairs),
        }
        of_halves = [getattr(self, name) for name in _OF_HALVES]
        if any(given is not None for given in of_halves):
            if any(given is None for given in of_halves):
                raise ValueError(f"{', '.join(_OF_HALVES)} must be given together, or none of them")
            n_halves = len(of_halves[0])
            shapes |= {"halves": (n_halves, 2), "answers": (n_models, n_halves)}
            shapes |= {name: (len(given),) for name, given in zip(_OF_HALVES[2:], of_halves[2:], strict=True)}
        for name, shape in shapes.items():
            values = frozen(getattr(self, name))
            if values.shape != shape:
                raise ValueError(
                    f"{name} must have shape {shape} for {n_models} names and {n_pairs} pairs, got "
                    f"{values.shape}"
                )
            object.__setattr__(self, name, values)
        if np.isnan(self.crossings[self.counted]).any():
            raise ValueError("a pair counts for a model that never changes its answer on the path")

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Mean ``|crossing - 1/2|`` of each model, (n_models,); nan where no pair counts."""
        return deviation(self.crossings, self.counted)

    @property
    def consensus(self) -> NDArray[np.float64]:
        """Share of halves at which a model says what the plurality of the others says, (n_models,).

        A half is the midpoint of a sample and one of its nearest neighbours, of
        any label. Where k answers of the others are tied, giving one of them
        counts 1 / k. nan where no halves were asked about.
        """
        return self._credit.mean(axis=1) if self._credit.size else np.full(len(self.names), np.nan)

    @cached_property
    def _credit(self) -> NDArray[np.float64]:
        return np.empty((len(self.names), 0)) if self.answers is None else peers_credit(self.answers)

    @property
    def agreement(self) -> NDArray[np.float64]:
        """Spearman's rank correlation of two models' crossings, (n_models, n_models)."""
        return agreement(self.crossings, self.counted)

    @property
    def boundary_distance(self) -> NDArray[np.float64]:
        """Mean distance of two models' crossings along the paths, in input units, (n_models, n_models)."""
        return boundary_distance(self.crossings, self.counted, self.lengths)

    @property
    def mean_agreement(self) -> float:
        """Mean agreement over pairs of two models; nan where none is known."""
        return float(_mean_of_pairs(self.agreement[None])[0])

    def confidence_interval(self, level: float = 0.95, *, of: str = "deviation") -> ConfidenceInterval:
        """Bootstrap intervals over pairs of samples: 1,000 times, the same draws at every call.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level, between 0 and 1.
        of : {"deviation", "consensus", "agreement", "boundary_distance", "mean_agreement"}, \
                default="deviation"
            Which figure. For agreement, ranks are those among all pairs.

        Returns
        -------
        interval : ConfidenceInterval
            ``low`` and ``high`` (percentiles of the replicates), shaped like
            the attribute; nan where fewer than 10 pairs count, of which a
            bootstrap is too narrow.

        Raises
        ------
        ValueError
            If ``level`` or ``of`` is out of range.
        """
        check_choice("of", of, _FIGURES)
        check_level(level)
        n_pairs = len(self.pairs)
        rng = np.random.RandomState(0)
        weights = rng.multinomial(n_pairs, np.full(n_pairs, 1 / n_pairs), _N_BOOTSTRAPS).astype(float)
        if of == "consensus":
            return self._consensus_interval(level)
        if of == "deviation":
            values = deviation(self.crossings, self.counted, weights)
            return percentile_interval(values, level, n=self.counted.sum(axis=1))
        n = common(self.counted)
        if of == "boundary_distance":
            values = boundary_distance(self.crossings, self.counted, self.lengths, weights)
        else:
            values = agreement(self.crossings, self.counted, weights)
        if of != "mean_agreement":
            return percentile_interval(values, level, n=n)
        i, j = np.triu_indices(len(n), 1)
        known = ~np.isnan(self.agreement[i, j])
        return percentile_interval(_mean_of_pairs(values), level, n=n[i, j].min(where=known, initial=n_pairs))

    def contested(self, X: Any = None, *, n_samples: int | None = None) -> pd.DataFrame:
        """Samples around which models give another label than their own, the most contested first.

        Their labels are worth checking. What is counted are the answers of all
        models at the halves of a sample: between it and its nearest neighbours,
        and those whose neighbour it is. Our own measure; for single models with
        probabilities that are cross-validated, confident learning [1]_ asks the
        same question.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            The samples that were measured, whose index the frame gets where
            they have one. None: row numbers.
        n_samples : int, default=None
            How many. None is all those with a margin below 0.

        Returns
        -------
        frame : DataFrame
            A row for each sample, with its ``label``; ``suggested``, the most
            frequent of the other answers; ``margin``, the share of answers that
            give its label less the share that give the suggested one, from -1
            to 1; and ``n_halves``.

        Raises
        ------
        ValueError
            If no halves were asked about, X holds another number of samples,
            or ``n_samples`` is out of range.

        References
        ----------
        .. [1] Northcutt, Jiang & Chuang, "Confident learning: estimating
           uncertainty in dataset labels", JAIR 70, 2021.
        """
        import pandas as pd

        if self.halves is None or self.answers is None or self.labels is None or self.classes is None:
            raise ValueError(
                "no halves were asked about, so no sample is known to be contested; measure with "
                "HalfwayScorer(n_neighbors=6)"
            )
        n = len(self.labels)
        if n_samples is not None:
            check_integer("n_samples", n_samples)
            if n_samples > n:
                raise ValueError(f"n_samples={n_samples}, but only {n} were measured")
        if X is not None and len(X) != n:
            raise ValueError(f"X must hold the {n} samples that were measured, got {len(X)}")
        margin, rival, n_halves = label_margins(self.halves, self.answers, self.labels, len(self.classes))
        order = np.argsort(margin, kind="stable")
        order = order[: (margin < 0).sum() if n_samples is None else n_samples]
        columns = {
            "label": self.classes[self.labels[order]],
            "suggested": self.classes[rival[order]],
            "margin": margin[order],
            "n_halves": n_halves[order],
        }
        index = getattr(X, "index", None)
        return pd.DataFrame(columns, index=pd.RangeIndex(n)[order] if index is None else index[order])

    def to_frame(self, *, of: str = "models") -> pd.DataFrame:
        """Figures by model, or by pair of models.

        Parameters
        ----------
        of : {"models", "pairs"}, default="models"
            A row for each model: pairs of samples that count, median crossing,
            deviation and consensus with their intervals. Or for each two models: pairs that
            count for both, agreement and boundary distance, with intervals.

        Returns
        -------
        frame : DataFrame
            Indexed by name, or by both names.
        """
        import pandas as pd

        if of == "models":
            low, high = self.confidence_interval()
            columns = {
                "counted": self.counted.sum(axis=1),
                "median_crossing": self._medians(),
                "deviation": self.deviation,
                "low": low,
                "high": high,
            }
            if self.halves is not None:
                low, high = self.confidence_interval(of="consensus")
                columns |= {"consensus": self.consensus, "consensus_low": low, "consensus_high": high}
            return pd.DataFrame(columns, index=pd.Index(self.names, name="model"))
        if of != "pairs":
            raise ValueError(f"of must be 'models' or 'pairs', got {shown(of)}")
        i, j = np.triu_indices(len(self.names), 1)
        columns = {"counted": (self.counted[i] & self.counted[j]).sum(axis=1)}
        for name in ("agreement", "boundary_distance"):
            low, high = self.confidence_interval(of=name)
            columns |= {
                name: getattr(self, name)[i, j],
                f"{name}_low": low[i, j],
                f"{name}_high": high[i, j],
            }
        names = np.array(self.names, dtype=object)
        return pd.DataFrame(
            columns, index=pd.MultiIndex.from_arrays([names[i], names[j]], names=["model", "other"])
        )

    def _consensus_interval(self, level: float) -> ConfidenceInterval:
        if self.halves is None or self.labels is None or len(self.names) < 2:
            return ConfidenceInterval(*np.full((2, len(self.names)), np.nan))
        return dyadic_interval(self._credit, self.halves, len(self.labels), level)

    def _medians(self) -> NDArray[np.float64]:
        rows = zip(self.crossings, self.counted, strict=True)
        return np.array([np.median(row[own]) if own.any() else np.nan for row, own in rows])

    def _table(self) -> Table:
        n_models, n_pairs = counted(len(self.names), "model"), counted(len(self.pairs), "pair")
        mean = finely(self.mean_agreement).strip()
        ends = between(*self.confidence_interval(of="mean_agreement"), finely)
        low, high = self.confidence_interval()
        least, most = self.confidence_interval(of="consensus")
        headers = ["model", "deviation [95 %]", "median crossing", "pairs that count"]
        rows: list[list[str | Cell]] = []
        for i, name in enumerate(self.names):
            deviation = Cell(finely(self.deviation[i]), between(low[i], high[i], finely))
            rows.append([name, deviation, Cell(short(self._medians()[i])), str(self.counted[i].sum())])
            if self.halves is not None:
                rows[-1].append(Cell(short(self.consensus[i]), between(least[i], most[i])))
        return Table(
            f"HalfwayMeasurement: {n_models}, {n_pairs}, mean agreement {mean} {ends}".rstrip(),
            headers if self.halves is None else [*headers, "consensus [95 %]"],
            rows,
        )


def finely(value: float) -> str:
    """Three decimals, no leading zero: deviations are small."""
    return " - " if np.isnan(value) else f"{value:.3f}".replace("0.", ".", 1)


def _mean_of_pairs(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over pairs of two models with a known figure, (n_weightings,)."""
    i, j = np.triu_indices(matrices.shape[1], 1)
    upper = matrices[:, i, j]
    known = ~np.isnan(upper)
    return ratio(np.where(known, upper, 0.0).sum(axis=1), known.sum(axis=1).astype(float))
