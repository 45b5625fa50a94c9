"""HalfwayMeasurement: crossings of several models on the same paths, and what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from skhalfway._checks import check_choice
from skhalfway._intervals import FEWEST, ConfidenceInterval, check_level, ratio
from skhalfway._text import between, counted, short, shown
from skhalfway.halfway._over_samples import interval_over_samples, mean_influence, rank_influence
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

_FIGURES = ("deviation", "agreement", "boundary_distance", "mean_agreement")


def deviation(positions: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean distance of crossings from 1/2 over the pairs that count, (n_models,)."""
    away = np.where(counted, np.abs(positions - 0.5), 0.0)
    return ratio(away.sum(axis=1), counted.sum(axis=1).astype(float))


def agreement(positions: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rank correlation (Spearman) of two models' crossings, over pairs that count for both.

    Of shape (n_models, n_models); nan where crossings are all at one place, or fewer than 3 count.
    """
    n = len(positions)
    found = np.full((n, n), np.nan)
    for i, j in zip(*np.triu_indices(n), strict=True):
        both = counted[i] & counted[j]
        if both.sum() < 3:
            continue
        # different ones: ranks of n from 1 on, less their mean
        a, b = (rankdata(positions[k, both]) - (both.sum() + 1) / 2 for k in (i, j))
        spread = (a @ a) * (b @ b)
        found[i, j] = found[j, i] = np.clip(a @ b / np.sqrt(spread), -1, 1) if spread > 0 else np.nan
    return found


def boundary_distance(
    positions: NDArray[np.float64], counted: NDArray[np.bool_], lengths: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Mean distance of two models' crossings along the path, over pairs that count for both.

    Of shape (n_models, n_models), in input units where ``lengths`` are.
    """
    n = len(positions)
    found = np.empty((n, n))
    for i in range(n):
        both = counted[i] & counted[i:]
        apart = np.where(both, np.abs(positions[i] - positions[i:]) * lengths, 0.0)
        found[i, i:] = found[i:, i] = ratio(apart.sum(axis=1), both.sum(axis=1).astype(float))
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

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        n_models, n_pairs = len(self.names), len(self.pairs)
        shapes = {
            "pairs": (n_pairs, 2),
            "lengths": (n_pairs,),
            "crossings": (n_models, n_pairs),
            "counted": (n_models, n_pairs),
        }
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
        return _mean_of_pairs(self.agreement)

    def confidence_interval(self, level: float = 0.95, *, of: str = "deviation") -> ConfidenceInterval:
        """Intervals over samples: of the figure in the population that they are drawn from.

        The models are as they are. Pairs share samples, so that their number
        says little: what counts is how much each sample moves the figure by all
        of its pairs. Intervals are symmetric in the logit of twice a deviation,
        in the logarithm of a distance and in Fisher's z of an agreement.

        In simulations (``benchmarks/coverage.md``), those of 95 % hold 92 to
        98 % of the time for random pairs, of 30 samples or more; for nearest
        ones, whose partners depend on all samples, 88 to 97 %.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level, between 0 and 1.
        of : {"deviation", "agreement", "boundary_distance", "mean_agreement"}, default="deviation"
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

    def to_frame(self, *, of: str = "models") -> pd.DataFrame:
        """Figures by model, or by pair of models.

        Parameters
        ----------
        of : {"models", "pairs"}, default="models"
            A row for each model: pairs of samples that count, median crossing,
            deviation with its interval. Or for each two models: pairs that
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

    def _medians(self) -> NDArray[np.float64]:
        rows = zip(self.crossings, self.counted, strict=True)
        return np.array([np.median(row[own]) if own.any() else np.nan for row, own in rows])

    def _table(self) -> Table:
        n_models, n_pairs = counted(len(self.names), "model"), counted(len(self.pairs), "pair")
        mean = finely(self.mean_agreement).strip()
        ends = between(*self.confidence_interval(of="mean_agreement"), finely)
        low, high = self.confidence_interval()
        rows: list[list[str | Cell]] = []
        for i, name in enumerate(self.names):
            deviation = Cell(finely(self.deviation[i]), between(low[i], high[i], finely))
            rows.append([name, deviation, Cell(short(self._medians()[i])), str(self.counted[i].sum())])
        return Table(
            f"HalfwayMeasurement: {n_models}, {n_pairs}, mean agreement {mean} {ends}".rstrip(),
            ["model", "deviation [95 %]", "median crossing", "pairs that count"],
            rows,
        )


def finely(value: float) -> str:
    """Three decimals, no leading zero: deviations are small."""
    return " - " if np.isnan(value) else f"{value:.3f}".replace("0.", ".", 1)


def _mean_of_pairs(matrix: NDArray[np.float64]) -> float:
    """Mean over pairs of two models with a known figure; nan where none is known."""
    upper = matrix[np.triu_indices(len(matrix), 1)]
    known = upper[~np.isnan(upper)]
    return float(known.mean()) if len(known) else np.nan
