"""HalfwayMeasurement: crossings of several models on the same paths, and what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice, check_integer
from skhalfway._intervals import FEWEST, ConfidenceInterval, check_level, wilson_interval
from skhalfway._text import between, counted, short, shown
from skhalfway.halfway._figures import agreement, boundary_distance, deviation, mean_of_pairs
from skhalfway.halfway._halves import label_margins, peers_credit
from skhalfway.halfway._over_samples import interval_over_samples, mean_influence, rank_influence
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

_OF_HALVES = ("halves", "answers", "labels", "classes")
_FIGURES = ("deviation", "consensus", "agreement", "boundary_distance", "mean_agreement")


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
        return mean_of_pairs(self.agreement)

    def confidence_interval(self, level: float = 0.95, *, of: str = "deviation") -> ConfidenceInterval:
        """Intervals over samples: of the figure in the population that they are drawn from.

        The models are as they are. Pairs share samples, so that their number
        says little: what counts is how much each sample moves the figure by all
        of its pairs. Intervals are symmetric in the logit of twice a deviation,
        in the logarithm of a distance and in Fisher's z of an agreement.

        In simulations (``benchmarks/coverage.md``), those of 95 % hold 92 to
        98 % of the time for random pairs, of 30 samples or more; for nearest
        ones, whose partners depend on all samples, 88 to 97 %; and for
        consensus 95 to 100 %: they are on the safe side.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level, between 0 and 1.
        of : {"deviation", "consensus", "agreement", "boundary_distance", "mean_agreement"}, \
                default="deviation"
            Which figure.

        Returns
        -------
        interval : ConfidenceInterval
            ``low`` and ``high``, shaped like the attribute. nan where fewer
            than 10 pairs count, or of fewer than 10 samples, and where all of
            them say the same, of which no error can be told. A model agrees
            with itself, and is at no distance from itself, for certain.

        Raises
        ------
        ValueError
            If ``level`` or ``of`` is out of range.
        """
        check_choice("of", of, _FIGURES)
        check_level(level)
        if of == "consensus":
            return self._consensus_interval(level)
        if of == "deviation":
            influence = mean_influence(np.abs(self.crossings - 0.5), self.counted)
            return self._interval(self.deviation, influence, self.counted, level, "up to a half")
        if of == "mean_agreement":
            return self._mean_interval(level)
        figure = getattr(self, of)
        # what a model is to itself is certain
        ends = np.full((2, *figure.shape), np.nan)
        enough = np.flatnonzero(self.counted.sum(axis=1) >= FEWEST)
        ends[:, enough, enough] = figure[enough, enough]
        scale = "correlation" if of == "agreement" else "positive"
        for i, influence, both in self._influences(of):
            found = self._interval(figure[i, i + 1 :], influence, both, level, scale)
            ends[:, i, i + 1 :] = ends[:, i + 1 :, i] = found
        return ConfidenceInterval(*ends)

    def _influences(self, of: str) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.bool_]]]:
        """How pairs move a figure of each model and all later ones, and which count for both."""
        for i, own in enumerate(self.crossings[:-1]):
            others, both = self.crossings[i + 1 :], self.counted[i] & self.counted[i + 1 :]
            if of == "agreement":
                yield i, rank_influence(own, others, both), both
            else:
                yield i, mean_influence(np.abs(own - others) * self.lengths, both), both

    def _mean_interval(self, level: float) -> ConfidenceInterval:
        """Of the mean over pairs of two models with a known agreement."""
        influence, n_known = np.zeros(len(self.pairs)), 0
        counts, fewest = np.zeros(len(self.pairs), dtype=bool), len(self.pairs)
        agreement = self.agreement
        for i, each, both in self._influences("agreement"):
            known = ~np.isnan(agreement[i, i + 1 :])
            influence += each[known].sum(axis=0)
            counts |= both[known].any(axis=0)
            fewest = both[known].sum(axis=1).min(initial=fewest)
            n_known += known.sum()
        if not n_known or fewest < FEWEST:
            return ConfidenceInterval(np.nan, np.nan)
        mean = np.asarray(self.mean_agreement)
        return self._interval(mean, influence / n_known, counts, level, "correlation")

    def _interval(
        self,
        figure: NDArray[np.float64],
        influence: NDArray[np.float64],
        counts: NDArray[np.bool_],
        level: float,
        scale: str,
    ) -> ConfidenceInterval:
        return interval_over_samples(figure, influence, counts, self.pairs, level, scale=scale)

    def contested(self, X: Any = None, *, n_samples: int | None = None) -> pd.DataFrame:
        """Samples around which models give another label than their own, the most contested first.

        Their labels are worth checking. What is counted are the answers of all
        models at the halves of a sample: between it and its nearest neighbours,
        and those whose neighbour it is. Our own measure. Confident learning [1]_
        trains models anew, and finds more where few labels are wrong: .63 against
        .55 in average precision at 10 % (``benchmarks/contested.md``).

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
        found = label_margins(self.halves, self.answers, self.labels, self.classes)
        order = found["margin"].argsort(kind="stable")
        order = order[: (found["margin"] < 0).sum() if n_samples is None else n_samples]
        index = pd.RangeIndex(n) if getattr(X, "index", None) is None else X.index
        return pd.DataFrame({name: values[order] for name, values in found.items()}, index=index[order])

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
        all_of_them = np.ones(self._credit.shape, dtype=bool)
        influence = mean_influence(self._credit, all_of_them)
        found = interval_over_samples(
            self.consensus, influence, all_of_them, self.halves, level, scale="share"
        )
        # where all halves say the same: as many trials as there are samples
        n = len(np.unique(self.halves))
        sure = ((self.consensus == 0) | (self.consensus == 1)) & (n >= FEWEST)
        edges = wilson_interval(np.where(sure, self.consensus * n, 0.0), n, level)
        return ConfidenceInterval(*(np.where(sure, a, b) for a, b in zip(edges, found, strict=True)))

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
