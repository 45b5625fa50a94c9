"""Homogeneity: how far classes share the codes of a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr
from scipy.stats import random_table
from sklearn.metrics import adjusted_mutual_info_score

from skhalfway._blocks import blocks
from skhalfway._checks import check_choice
from skhalfway._intervals import (
    FEWEST,
    POSITIVE,
    SHARE,
    ConfidenceInterval,
    mean_t_interval,
    percentile_interval,
    ratio,
)
from skhalfway._text import between, short, shown
from skhalfway.codes._coarse import warn_of_few_codes
from skhalfway.codes._encoder import Encoder
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

Measures = dict[str, NDArray[np.float64]]
_HEADS = {"class_entropy": "class entropy", "code_entropy": "code entropy", "n_codes": "codes"}


@dataclass(frozen=True, eq=False, repr=False)
class Homogeneity(Result):
    """How far classes share the codes of each layer.

    Made by :meth:`CodeMap.homogeneity`; arrays are read-only. The measures are:

    - ``shared``: share of the samples whose code occurs in several classes;
    - ``class_entropy``: conditional entropy of the class given the code, in
      bits; 0 where the code determines the class;
    - ``code_entropy``: conditional entropy of the code given the class, in
      bits; 0 where each class has one code;
    - ``n_codes``: number of codes that occur;
    - ``purity``: share of the most frequent class in a code, averaged over codes.

    A layer is homogeneous where classes share codes: ``shared`` and
    ``class_entropy`` are high, ``purity`` is low. These measures are this
    package's own choice: those of Lee & Vijayan, arXiv 2205.10952, are not
    public to us.

    All measures depend on the number of samples; for example, a code with one sample
    is pure. So compare layers on the same samples, and with the control, which has
    shuffled labels.

    Parameters
    ----------
    layers : tuple of str
        Names of the layers, first to last.
    classes : ndarray of shape (n_classes,)
        Class labels.
    shape : tuple of (int, int)
        Rows and columns of the maps.
    counts : int ndarray of shape (n_layers, n_units, n_classes)
        Numbers of samples by code and class.
    bootstrap : dict of str to ndarray of shape (n_layers, n_bootstrap)
        Measures of bootstrap samples.
    shuffled : dict of str to ndarray of shape (n_layers, n_shuffles)
        Measures with shuffled labels.

    See Also
    --------
    HomogeneityDisplay : Draws the measures against depth.
    CodeMapDisplay : Draws the maps, with ``plot(kind="maps")``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.codes import CodeMap
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((10, 10), solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
    >>> homogeneity = CodeMap(net, shape=(4, 4), n_iter=2000, random_state=0).fit(X).homogeneity(X, y)
    >>> homogeneity.layers
    ('activation_1', 'activation_2', 'layer_2')
    >>> bool(homogeneity.values["n_codes"].max() <= 16)
    True
    """

    layers: tuple[str, ...]
    classes: NDArray[Any]
    shape: tuple[int, int]
    counts: NDArray[np.intp]
    bootstrap: Mapping[str, NDArray[np.float64]]
    shuffled: Mapping[str, NDArray[np.float64]]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "shape", tuple(map(int, self.shape)))
        expected = len(self.layers), self.shape[0] * self.shape[1], len(self.classes)
        if self.counts.shape != expected:
            raise ValueError(f"counts must have shape {expected}, got {self.counts.shape}")
        for name in ("classes", "counts"):
            object.__setattr__(self, name, frozen(getattr(self, name)))
        for name in ("bootstrap", "shuffled"):
            drawn = {measure: frozen(values) for measure, values in getattr(self, name).items()}
            object.__setattr__(self, name, drawn)

    @property
    def values(self) -> Measures:
        """The measures by name, each of shape (n_layers,)."""
        return measures(self.counts)

    @property
    def adjusted_mutual_information(self) -> NDArray[np.float64]:
        """Mutual information of class and code, adjusted for chance (0 by chance, at most 1), (n_layers,)."""
        found = []
        for counts in self.counts:
            cells = np.repeat(np.arange(counts.size), counts.ravel())
            found.append(information(*np.unravel_index(cells, counts.shape)))
        return np.array(found)

    def confidence_interval(self, level: float = 0.95, *, of: str = "shared") -> ConfidenceInterval:
        """Confidence intervals of a measure, with standard errors by bootstrap over samples.

        Intervals cover the choice of samples; the network and the map are taken as
        fixed. They are symmetric in the logit of a share, and in the logarithm of an
        entropy or a number, so their ends are possible values. Percentiles of the
        bootstrap would be biased: where samples are drawn twice, codes look purer and
        are fewer. Where codes have few samples each, intervals are too short: with 300
        samples on 60 units, 95 % intervals had a coverage from 83 % (``purity``) to
        93 % in a simulation.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level.
        of : {"shared", "class_entropy", "code_entropy", "n_codes", "purity"}, default="shared"
            The measure.

        Returns
        -------
        interval : ConfidenceInterval
            Ends of shape (n_layers,), for the expected measure of as many samples.
            They are nan for fewer than 10 samples, and where the measure is the same in
            all bootstrap samples, since the error is then unknown. The exception is
            ``shared``: where it is 0 or 1 it has an interval like that of a count.

        Raises
        ------
        ValueError
            If ``level`` or ``of`` is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.codes import Homogeneity
        >>> drawn = {"shared": np.array([[0.4, 0.6]])}
        >>> counts = np.array([[[5, 5], [10, 0]]])
        >>> homogeneity = Homogeneity(("hidden",), np.array([0, 1]), (1, 2), counts, drawn, drawn)
        >>> low, high = homogeneity.confidence_interval()
        >>> bool(low < homogeneity.values["shared"] < high)
        True
        """
        check_choice("of", of, self.bootstrap)
        n = int(self.counts[0].sum())
        error = self.bootstrap[of].std(axis=1, ddof=1) * (1.0 if n >= FEWEST else np.nan)
        if of != "shared":  # purity is a share of codes, not of samples
            error = np.where(error == 0, np.nan, error)
        limits = SHARE if of in ("shared", "purity") else POSITIVE
        return mean_t_interval(self.values[of], error, n, level, limits=limits)

    @property
    def control(self) -> Measures:
        """Means of the measures over shuffles of the labels, each of shape (n_layers,)."""
        return {name: values.mean(axis=1) for name, values in self.shuffled.items()}

    def control_interval(self, level: float = 0.95, *, of: str = "shared") -> ConfidenceInterval:
        """Central range of a measure over shuffles of the labels.

        Parameters
        ----------
        level : float, default=0.95
            Share of the shuffles within the range.
        of : {"shared", "class_entropy", "code_entropy", "n_codes", "purity"}, default="shared"
            The measure.

        Returns
        -------
        interval : ConfidenceInterval
            Ends of shape (n_layers,).

        Raises
        ------
        ValueError
            If ``level`` or ``of`` is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.codes import Homogeneity
        >>> drawn = {"shared": np.array([[0.5, 0.5]])}
        >>> counts = np.array([[[5, 5], [10, 0]]])
        >>> homogeneity = Homogeneity(("hidden",), np.array([0, 1]), (1, 2), counts, drawn, drawn)
        >>> homogeneity.control_interval().low
        array([0.5])
        """
        check_choice("of", of, self.shuffled)
        return percentile_interval(self.shuffled[of].T, level)

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """All measures with intervals and control, with a row for each layer.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the intervals.

        Returns
        -------
        frame : DataFrame
            Indexed by layer, with columns (measure, "value"), (measure,
            "low"), (measure, "high") and (measure, "control"), and
            ("adjusted_mutual_information", "value").

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.codes import Homogeneity
        >>> names = ("shared", "class_entropy", "code_entropy", "n_codes", "purity")
        >>> drawn = {name: np.array([[0.4, 0.6]]) for name in names}
        >>> counts = np.array([[[5, 5], [10, 0]]])
        >>> homogeneity = Homogeneity(("hidden",), np.array([0, 1]), (1, 2), counts, drawn, drawn)
        >>> homogeneity.to_frame()["purity", "value"].tolist()
        [0.75]
        """
        import pandas as pd

        columns: dict[tuple[str, str], NDArray[np.float64]] = {}
        values, control = self.values, self.control
        for name, value in values.items():
            low, high = self.confidence_interval(level, of=name)
            columns |= {(name, "value"): value, (name, "low"): low, (name, "high"): high}
            columns[name, "control"] = control[name]
        columns["adjusted_mutual_information", "value"] = self.adjusted_mutual_information
        return pd.DataFrame(columns, index=pd.Index(self.layers, name="layer"))

    def _table(self) -> Table:
        n_samples, (n_rows, n_columns) = int(self.counts[0].sum()), self.shape
        values, control = self.values, self.control
        ends = {name: self.confidence_interval(of=name) for name in values}
        rows: list[list[str | Cell]] = []
        for i, layer in enumerate(self.layers):
            rows += [[layer], ["  shuffled labels"]]
            for name, (low, high) in ends.items():
                write = short if name != "n_codes" else "{:.0f}".format
                rows[-2].append(Cell(write(values[name][i]), between(low[i], high[i], write)))
                rows[-1].append(Cell(write(control[name][i]) if name != "n_codes" else ""))
            rows[-2].append(Cell(short(self.adjusted_mutual_information[i])))
            rows[-1].append(Cell(""))
        return Table(
            f"Homogeneity: {len(self.layers)} layers, {n_samples} samples of {len(self.classes)} classes, "
            f"maps of {n_rows} x {n_columns} units",
            ["layer", *(_HEADS.get(name, name) for name in values), "AMI"],
            rows,
            "measure [95 % over samples]; entropies in bits; AMI: adjusted mutual information of class and "
            "code",
        )


def information(a: NDArray[np.intp], b: NDArray[np.intp]) -> float:
    """Adjusted mutual information; nan where both labellings are constant, or both are all different.

    In the first case scikit-learn returns 1, in the second a rounding error of 0 / 0.
    """
    n_labels = len(np.unique(a)), len(np.unique(b))
    return np.nan if n_labels in ((1, 1), (len(a), len(a))) else float(adjusted_mutual_info_score(a, b))


def contingency(codes: NDArray[np.intp], labels: NDArray[np.intp], n_units: int) -> NDArray[np.intp]:
    """Numbers of samples by code and class, (n_layers, n_units, n_classes), from codes and labels."""
    n_classes = labels.max() + 1
    cells = codes * n_classes + labels[:, None]
    return np.array(
        [np.bincount(layer, minlength=n_units * n_classes).reshape(n_units, n_classes) for layer in cells.T]
    )


def homogeneity_of(
    X: NDArray[Any],
    y: NDArray[Any],
    encoder: Encoder,
    shape: tuple[int, int],
    times: tuple[int, int],
    rng: np.random.RandomState,
) -> Homogeneity:
    """How far classes share an encoder's codes; ``times`` holds the numbers of bootstraps and shuffles."""
    classes, labels = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y must hold at least 2 classes to measure homogeneity, got {shown(classes)}")
    counts = contingency(encoder.codes(X), labels, shape[0] * shape[1])
    warn_of_few_codes(encoder.layers, (counts.sum(axis=2) > 0).sum(axis=1), len(classes))
    return Homogeneity(
        layers=tuple(encoder.layers),
        classes=classes,
        shape=shape,
        counts=counts,
        bootstrap=resampled(counts, times[0], rng),
        shuffled=shuffled(counts, times[1], rng),
    )


def measures(counts: NDArray[Any]) -> Measures:
    """The measures of tables (..., n_units, n_classes)."""
    unit, label, top = counts.sum(axis=-1), counts.sum(axis=-2), counts.max(axis=-1)
    n, used = unit.sum(axis=-1), unit > 0
    joint = _entropy(counts.reshape(*unit.shape[:-1], -1), n)
    return {
        "shared": np.where(top < unit, unit, 0).sum(axis=-1) / n,
        # rounding must not make an entropy of 0 negative
        "class_entropy": np.maximum(joint - _entropy(unit, n), 0.0),
        "code_entropy": np.maximum(joint - _entropy(label, n), 0.0),
        "n_codes": used.sum(axis=-1).astype(float),
        "purity": np.where(used, ratio(top, unit), 0.0).sum(axis=-1) / used.sum(axis=-1),
    }


def resampled(counts: NDArray[np.intp], n_bootstrap: int, rng: np.random.RandomState) -> Measures:
    """Measures of bootstrap samples, (n_layers, n_bootstrap), by drawing the counts of cells."""

    def draw(table: NDArray[np.intp], size: int) -> NDArray[np.intp]:
        filled = np.flatnonzero(table)
        drawn = np.zeros((size, table.size), dtype=np.intp)
        drawn[:, filled] = rng.multinomial(table.sum(), table.ravel()[filled] / table.sum(), size=size)
        return drawn.reshape(size, *table.shape)

    return _drawn(counts, n_bootstrap, draw)


def shuffled(counts: NDArray[np.intp], n_shuffles: int, rng: np.random.RandomState) -> Measures:
    """Measures with shuffled labels, (n_layers, n_shuffles): tables of the same margins."""

    def draw(table: NDArray[np.intp], size: int) -> NDArray[np.intp]:
        used = table.sum(axis=1) > 0
        if np.count_nonzero(used) == 1:
            # there is only one such table, for which scipy 1.17 returns negative counts
            return np.broadcast_to(table, (size, *table.shape))
        drawn = np.zeros((size, *table.shape), dtype=np.intp)
        margins = table[used].sum(axis=1), table.sum(axis=0)
        drawn[:, used] = random_table.rvs(*margins, size=size, random_state=rng)
        return drawn

    return _drawn(counts, n_shuffles, draw)


def _drawn(counts: NDArray[np.intp], n_draws: int, draw: Any) -> Measures:
    parts: list[list[Measures]] = []
    for layer in counts:
        sizes = (len(range(n_draws)[block]) for block in blocks(n_draws, layer.size))
        parts.append([measures(draw(layer, size)) for size in sizes])
    return {
        name: np.array([np.concatenate([part[name] for part in layer]) for layer in parts])
        for name in parts[0][0]
    }


def _entropy(counts: NDArray[Any], n: NDArray[Any]) -> NDArray[np.float64]:
    """Entropy in bits over the last axis."""
    return entr(counts / n[..., None]).sum(axis=-1) / np.log(2)
