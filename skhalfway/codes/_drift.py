"""Drift: how far perturbed samples move on the maps of a network's layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice
from skhalfway._intervals import POSITIVE, ConfidenceInterval, t_interval, wilson_interval
from skhalfway._text import between, counted, short
from skhalfway._vectors import unit_vectors
from skhalfway.codes._encoder import Encoder
from skhalfway.codes._maps import grid_distances
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

_UNITS = 20.0  # columns count as of different units where one changes more than this many times the median
_FIGURES = ("changed", "noise_changed", "distance", "noise_distance")


@dataclass(frozen=True, eq=False, repr=False)
class Drift(Result):
    """How far perturbed samples, and samples with noise of the same size, move on the map of each layer.

    Made by :meth:`CodeMap.drift`; arrays are read-only. The measures are this
    package's own. All we know of those of Lee & Vijayan, arXiv 2205.10952, is that
    their maps follow a perturbation through the layers.

    Parameters
    ----------
    layers : tuple of str
        Names of the layers, first to last.
    norms : ndarray of shape (n_samples,)
        L2 norms of the perturbations, in input units.
    distances : ndarray of shape (n_layers, n_samples)
        Euclidean distances on the grid between the codes before and after the
        perturbation, in spacings of units; 0 where the code is the same.
    noise_distances : ndarray of shape (n_layers, n_samples)
        The same distances for the control, in which each sample is moved in a random
        direction by the norm of its perturbation.

    See Also
    --------
    DriftDisplay : Draws the figures against depth.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.codes import Drift
    >>> Drift(
    ...     layers=("hidden", "output"),
    ...     norms=np.ones(4),
    ...     distances=np.array([[0.0, 0, 1, 0], [5.0, 0, 3, 4]]),
    ...     noise_distances=np.array([[0.0, 1, 0, 0], [0.0, 0, 0, 0]]),
    ... )
    Drift: 2 layers, 4 samples
    figure [95 % over samples]; distances in units of the map
    layer   codes changed  by noise       distance         by noise
    hidden  .25 [.05 .70]  .25 [.05 .70]  .25 [.01 6.03]   .25 [.01 6.03]
    output  .75 [.30 .95]  .00 [.00 .49]  3.00 [.95 9.43]  .00
    """

    layers: tuple[str, ...]
    norms: NDArray[np.float64]
    distances: NDArray[np.float64]
    noise_distances: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        expected = len(self.layers), len(self.norms)
        for name in ("norms", "distances", "noise_distances"):
            array = frozen(getattr(self, name), float)
            if name != "norms" and array.shape != expected:
                raise ValueError(f"{name} must have shape {expected}, got {array.shape}")
            object.__setattr__(self, name, array)

    @property
    def changed(self) -> NDArray[np.float64]:
        """Share of the codes that the perturbation changes, of shape (n_layers,)."""
        return (self.distances > 0).mean(axis=1)

    @property
    def noise_changed(self) -> NDArray[np.float64]:
        """Share of the codes that noise changes, of shape (n_layers,)."""
        return (self.noise_distances > 0).mean(axis=1)

    @property
    def distance(self) -> NDArray[np.float64]:
        """Mean distance that the perturbation moves a code, of shape (n_layers,)."""
        return self.distances.mean(axis=1)

    @property
    def noise_distance(self) -> NDArray[np.float64]:
        """Mean distance that noise moves a code, of shape (n_layers,)."""
        return self.noise_distances.mean(axis=1)

    def confidence_interval(self, level: float = 0.95, *, of: str = "changed") -> ConfidenceInterval:
        """Confidence intervals over samples: Wilson's for shares, Student's for mean distances.

        Intervals cover the choice of samples; the network and the map are taken as
        fixed. Those of distances are symmetric in the logarithm of the mean, so that
        none is below 0. With 10 to 100 samples, a bootstrap-t makes them longer where
        distances are skewed. ``benchmarks/coverage.md`` has their coverage, under
        shares of one seed and losses.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level.
        of : {"changed", "noise_changed", "distance", "noise_distance"}, default="changed"
            The figure.

        Returns
        -------
        interval : ConfidenceInterval
            Ends of shape (n_layers,). Those of distances are nan with a single
            sample, and where all distances are equal, since the variation is then
            unknown.

        Raises
        ------
        ValueError
            If ``level`` or ``of`` is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.codes import Drift
        >>> drift = Drift(("hidden",), np.ones(4), np.array([[0.0, 0, 1, 0]]), np.zeros((1, 4)))
        >>> drift.confidence_interval().high.round(2)
        array([0.7])
        """
        check_choice("of", of, _FIGURES)
        distances = self.noise_distances if of.startswith("noise") else self.distances
        if of.endswith("changed"):
            return wilson_interval((distances > 0).sum(axis=1), len(self.norms), level)
        return t_interval(distances, level, limits=POSITIVE)

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """All figures with their intervals, with a row for each layer.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the intervals.

        Returns
        -------
        frame : DataFrame
            Indexed by layer, with columns (figure, "value"), (figure, "low")
            and (figure, "high").

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.codes import Drift
        >>> drift = Drift(("hidden",), np.ones(4), np.array([[0.0, 0, 1, 0]]), np.zeros((1, 4)))
        >>> drift.to_frame()["changed", "value"].tolist()
        [0.25]
        """
        import pandas as pd

        columns: dict[tuple[str, str], NDArray[np.float64]] = {}
        for name in _FIGURES:
            low, high = self.confidence_interval(level, of=name)
            columns |= {(name, "value"): getattr(self, name), (name, "low"): low, (name, "high"): high}
        return pd.DataFrame(columns, index=pd.Index(self.layers, name="layer"))

    def _table(self) -> Table:
        ends = {name: self.confidence_interval(of=name) for name in _FIGURES}
        rows: list[list[str | Cell]] = []
        for i, layer in enumerate(self.layers):
            rows.append([layer])
            for name, (low, high) in ends.items():
                rows[-1].append(Cell(short(getattr(self, name)[i]), between(low[i], high[i])))
        return Table(
            f"Drift: {counted(len(self.layers), 'layer')}, {counted(len(self.norms), 'sample')}",
            ["layer", "codes changed", "by noise", "distance", "by noise"],
            rows,
            "figure [95 % over samples]; distances in units of the map",
        )


def moved_as_far(
    X: NDArray[Any], X_adv: NDArray[Any], rng: np.random.RandomState
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """L2 norms of perturbations, and samples moved by these norms in random directions."""
    change = (X_adv - X).reshape(len(X), -1).astype(float)
    norms = np.linalg.norm(change, axis=1)
    noise = norms[:, None] * unit_vectors(rng.standard_normal(change.shape))
    return norms, X + noise.reshape(X.shape)


def _check_units(X: NDArray[Any], X_adv: NDArray[Any]) -> None:
    """Warn where a few columns have nearly all of the change, since noise is spread over all columns."""
    sizes = np.sqrt(np.mean((X_adv - X).reshape(len(X), -1).astype(float) ** 2, axis=0))
    sizes = sizes[sizes > 0]
    if len(sizes) > 1 and sizes.max() > _UNITS * np.median(sizes):
        warn(
            f"some columns are changed {sizes.max() / np.median(sizes):,.0f} times as much as others, as if "
            "columns had different units. Noise of the same length is spread evenly over columns, so it is "
            "no fair control; scale the columns first, and pass the network without its scaler",
            UserWarning,
        )


def drift_of(
    X: NDArray[Any], X_adv: NDArray[Any], encoder: Encoder, shape: tuple[int, int], rng: np.random.RandomState
) -> Drift:
    """How far samples move on an encoder's maps."""
    if X.shape != X_adv.shape:
        raise ValueError(f"X and X_adv must have the same shape, got {X.shape} and {X_adv.shape}")
    _check_units(X, X_adv)
    norms, noisy = moved_as_far(X, X_adv, rng)
    before, after, by_noise = map(encoder.codes, (X, X_adv, noisy))
    return Drift(
        layers=tuple(encoder.layers),
        norms=norms,
        distances=grid_distances(before, after, shape).T,
        noise_distances=grid_distances(before, by_noise, shape).T,
    )
