"""Drift: how far perturbed samples move on the maps of a network's layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import FEWEST, ConfidenceInterval, t_interval, wilson_interval
from skhalfway._text import short, table
from skhalfway._vectors import unit_vectors

if TYPE_CHECKING:
    import pandas as pd

    from skhalfway.codes._drift_display import DriftDisplay


@dataclass(frozen=True, eq=False, repr=False)
class Drift:
    """How far perturbed samples, and samples with noise of the same size, move on the map of each layer.

    Made by :meth:`CodeMap.drift`; arrays are read-only. The measures are this
    package's own: of Lee & Vijayan, arXiv 2205.10952, we know only that maps
    follow how a perturbation goes through the layers.

    Parameters
    ----------
    layers : tuple of str
        Names of the layers, first to last.
    norms : ndarray of shape (n_samples,)
        L2 norms of the perturbations, in input units.
    distances : ndarray of shape (n_layers, n_samples)
        Euclidean distances on the grid from the code before to the code after,
        in units' spacings; 0 where the code is the same.
    noise_distances : ndarray of shape (n_layers, n_samples)
        The same for the control: each sample moved in a random direction by
        the norm of its perturbation.

    See Also
    --------
    DriftDisplay : Draws it.

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
    layer   codes changed     by noise          distance              by noise
    hidden  .25 (.05 to .70)  .25 (.05 to .70)  .25 (-0.55 to 1.05)   .25 (-0.55 to 1.05)
    output  .75 (.30 to .95)  .00 (.00 to .49)  3.00 (-0.44 to 6.44)  .00 ( -  to  - )
    """

    layers: tuple[str, ...]
    norms: NDArray[np.float64]
    distances: NDArray[np.float64]
    noise_distances: NDArray[np.float64]

    def __post_init__(self) -> None:
        expected = len(self.layers), len(self.norms)
        for name in ("norms", "distances", "noise_distances"):
            array = np.array(getattr(self, name), dtype=float)
            if name != "norms" and array.shape != expected:
                raise ValueError(f"{name} must have shape {expected}, got {array.shape}")
            array.setflags(write=False)
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

    def interval(self, level: float = 0.95) -> dict[str, ConfidenceInterval]:
        """Intervals: Wilson's for shares, Student's for mean distances.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level.

        Returns
        -------
        intervals : dict of str to ConfidenceInterval
            Of ``changed``, ``noise_changed``, ``distance`` and
            ``noise_distance``, ends of shape (n_layers,); of distances nan with
            a single sample, or where those of fewer than 10 are all the same.
        """
        n = len(self.norms)
        found = {}
        for prefix, distances in (("", self.distances), ("noise_", self.noise_distances)):
            found[f"{prefix}changed"] = wilson_interval((distances > 0).sum(axis=1), n, level)
            # a few samples that are moved as far say nothing of how much others may differ
            known = np.where((n < FEWEST) & (np.ptp(distances, axis=1) == 0), np.nan, 1.0)
            found[f"{prefix}distance"] = ConfidenceInterval(
                *(known * end for end in t_interval(distances, level))
            )
        return found

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Everything by layer.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the intervals.

        Returns
        -------
        frame : DataFrame
            Indexed by layer, with columns (figure, "value"), (figure, "low")
            and (figure, "high").
        """
        import pandas as pd

        columns: dict[tuple[str, str], NDArray[np.float64]] = {}
        for name, ends in self.interval(level).items():
            columns |= {
                (name, "value"): getattr(self, name),
                (name, "low"): ends.low,
                (name, "high"): ends.high,
            }
        return pd.DataFrame(columns, index=pd.Index(self.layers, name="layer"))

    def plot(self, **kwargs: Any) -> DriftDisplay:
        """Draw drift against depth.

        Parameters
        ----------
        **kwargs : dict
            Passed to :meth:`DriftDisplay.plot`.

        Returns
        -------
        display : DriftDisplay
            With the axes it drew on.
        """
        from skhalfway.codes._drift_display import DriftDisplay

        return DriftDisplay(self).plot(**kwargs)

    def __repr__(self) -> str:
        head = f"Drift: {len(self.layers)} layers, {len(self.norms)} samples"
        rows = [["layer", "codes changed", "by noise", "distance", "by noise"]]
        ends = self.interval()
        for i, layer in enumerate(self.layers):
            cells = [
                f"{short(getattr(self, name)[i])} ({short(ends[name].low[i])} to {short(ends[name].high[i])})"
                for name in ("changed", "noise_changed", "distance", "noise_distance")
            ]
            rows.append([layer, *cells])
        return table(head, rows)


def moved_as_far(
    X: NDArray[Any], X_adv: NDArray[Any], rng: np.random.RandomState
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """L2 norms of perturbations, and the samples moved as far, each in a random direction."""
    change = (X_adv - X).reshape(len(X), -1).astype(float)
    norms = np.linalg.norm(change, axis=1)
    noise = norms[:, None] * unit_vectors(rng.standard_normal(change.shape))
    return norms, X + noise.reshape(X.shape)
