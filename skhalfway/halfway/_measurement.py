"""HalfwayMeasurement: crossings of several models on the same paths, and figures of these."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice, check_integer
from skhalfway._intervals import ConfidenceInterval, check_level
from skhalfway._text import between, counted, short, shown
from skhalfway.halfway._figures import agreement, boundary_distance, deviation, finely, mean_of_pairs
from skhalfway.halfway._halves import label_margins, peers_credit
from skhalfway.halfway._measurement_intervals import interval_of
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

_OF_HALVES = ("halves", "answers", "labels", "classes")
_FIGURES = ("deviation", "consensus", "agreement", "boundary_distance", "mean_agreement")


@dataclass(frozen=True, eq=False, repr=False)
class HalfwayMeasurement(Result):
    """Where the predictions of several models change on the same paths.

    Made by :meth:`skhalfway.HalfwayScorer.measure`; arrays are read-only.

    - The *crossing* of a model on a path is where its prediction first changes.
    - A pair of samples *counts* for a model that classifies both correctly. It
      counts for two models if it counts for both.
    - A *half* is the midpoint of a sample and one of its nearest neighbours, of
      any label.

    These definitions are this package's own formalisation of the title of [1]_,
    whose own definitions are not public to us. The boundary distance is that of
    Tramèr et al. [2]_, measured along paths between samples.

    Parameters
    ----------
    names : tuple of str
        Names of the n_models models.
    pairs : ndarray of shape (n_pairs, 2)
        Row numbers of the samples at the start and at the end of each path.
    lengths : ndarray of shape (n_pairs,)
        Euclidean lengths of the paths, in input units.
    crossings : ndarray of shape (n_models, n_pairs)
        First crossing of each model on each path, from 0 to 1; nan where its
        prediction never changes.
    counted : bool ndarray of shape (n_models, n_pairs)
        Whether the model classifies both samples correctly.
    halves : ndarray of shape (n_halves, 2), default=None
        Row numbers of the two samples of each half. None where halves were not
        measured.
    answers : ndarray of shape (n_models, n_halves), default=None
        Class indices that models predict at the halves.
    labels : ndarray of shape (n_samples,), default=None
        Class indices of the samples' own labels.
    classes : ndarray of shape (n_classes,), default=None
        Labels by class index.

    See Also
    --------
    skhalfway.HalfwayScorer : Measures it.
    CrossingsDisplay : Draws the crossings.
    AgreementDisplay : Draws the agreement, with ``plot(kind="agreement")``.

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
                raise ValueError(f"{', '.join(_OF_HALVES)} must all be given, or none of them")
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
            raise ValueError(
                "crossings must not be nan where counted is True, since a pair counts only where the "
                "model's prediction changes on the path"
            )

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Mean ``|crossing - 1/2|`` of each model, (n_models,); nan where no pair counts."""
        return deviation(self.crossings, self.counted)

    @property
    def consensus(self) -> NDArray[np.float64]:
        """Share of halves at which a model predicts what the plurality of the others predicts, (n_models,).

        A half is the midpoint of a sample and one of its nearest neighbours, of
        any label. Where k classes are tied among the others, a prediction of one
        of them counts 1 / k. It is nan where halves were not measured.
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
        """Mean agreement over pairs of two models; nan where no agreement is known."""
        return mean_of_pairs(self.agreement)

    def confidence_interval(self, level: float = 0.95, *, of: str = "deviation") -> ConfidenceInterval:
        """Confidence interval of a figure in the population that samples are drawn from.

        Models are taken as fixed. Pairs that share samples are not independent,
        so intervals are computed from the influence of each sample, through all
        its pairs. They are symmetric in the logit of twice a deviation, in the
        logarithm of a distance, and in Fisher's z of an agreement.

        Coverage of 95 % intervals in simulations (``benchmarks/coverage.md``):

        - 92 to 98 % for random pairs, with 30 samples or more;
        - 88 to 97 % for nearest pairs, whose partners depend on all samples;
        - 95 to 100 % for consensus, so these are conservative.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level, between 0 and 1.
        of : {"deviation", "consensus", "agreement", "boundary_distance", "mean_agreement"}, \
                default="deviation"
            The figure.

        Returns
        -------
        interval : ConfidenceInterval
            ``low`` and ``high``, of the shape of the figure. They are nan where
            fewer than 10 pairs count, where these have fewer than 10 samples, and
            where all pairs give the same value, since the error is then unknown.
            The figures of a model with itself are certain.

        Raises
        ------
        ValueError
            If ``level`` or ``of`` is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.halfway import HalfwayMeasurement
        >>> crossings, counted = np.linspace(0.4, 0.9, 10)[None], np.ones((1, 10), dtype=bool)
        >>> pairs = np.arange(20).reshape(10, 2)
        >>> measurement = HalfwayMeasurement(("a",), pairs, np.ones(10), crossings, counted)
        >>> interval = measurement.confidence_interval()
        >>> interval.low.round(2), interval.high.round(2)
        (array([0.09]), array([0.29]))
        """
        check_choice("of", of, _FIGURES)
        check_level(level)
        return interval_of(self, of, level)

    def contested(self, X: Any = None, *, n_samples: int | None = None) -> pd.DataFrame:
        """Samples around which models predict another class than the sample's label, most contested first.

        The labels of these samples are worth checking. The measure, our own, counts
        the predictions of all models at the halves of a sample: its midpoints with
        its nearest neighbours, and with samples whose neighbour it is. Confident
        learning [1]_ trains additional models, and finds more where few labels are
        wrong: at 10 % wrong labels its average precision is .63, against .55 here
        (``benchmarks/contested.md``).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            The samples that were measured. The frame gets their index where they
            have one. With None, it has row numbers.
        n_samples : int, default=None
            Number of samples. None is all samples with a margin below 0.

        Returns
        -------
        frame : DataFrame
            A row for each sample, with the columns

            - ``label``, its own label;
            - ``suggested``, the most frequently predicted other class;
            - ``margin``, the share of predictions of its label minus that of the
              suggested class, from -1 to 1;
            - ``n_halves``, the number of its halves.

        Raises
        ------
        ValueError
            If halves were not measured, X holds another number of samples, or
            ``n_samples`` is out of range.

        References
        ----------
        .. [1] Northcutt, Jiang & Chuang, "Confident learning: estimating
           uncertainty in dataset labels", JAIR 70, 2021.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.svm import SVC
        >>> from skhalfway import HalfwayScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> scorer = HalfwayScorer(n_pairs=50, random_state=0).fit([SVC().fit(X, y), SVC(C=9).fit(X, y)])
        >>> scorer.measure(X, y).contested(n_samples=1)[["label", "suggested"]]
            label  suggested
        83      1          2
        """
        import pandas as pd

        if self.halves is None or self.answers is None or self.labels is None or self.classes is None:
            raise ValueError(
                "halves were not measured, so contested samples are not known; measure with "
                "HalfwayScorer(n_neighbors=6)"
            )
        n = len(self.labels)
        if n_samples is not None:
            check_integer("n_samples", n_samples)
            if n_samples > n:
                raise ValueError(f"n_samples={n_samples}, but only {n} samples were measured")
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
            - "models": a row for each model, with the number of pairs of samples
              that count, the median crossing, and the deviation and consensus with
              their intervals.
            - "pairs": a row for each pair of models, with the number of pairs of
              samples that count for both, and the agreement and boundary distance
              with their intervals.

        Returns
        -------
        frame : DataFrame
            Indexed by the name of the model, or by both names.

        Raises
        ------
        ValueError
            If ``of`` is unknown.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.halfway import HalfwayMeasurement
        >>> pairs, crossings = np.arange(6).reshape(3, 2), np.array([[0.4, 0.5, 0.9], [0.3, 0.5, 0.9]])
        >>> counted = np.ones((2, 3), dtype=bool)
        >>> measurement = HalfwayMeasurement(("a", "b"), pairs, np.ones(3), crossings, counted)
        >>> measurement.to_frame()["median_crossing"].tolist()
        [0.5, 0.5]
        >>> float(measurement.to_frame(of="pairs").loc[("a", "b"), "agreement"])
        1.0
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
