"""Self-organising maps of activations, trained by MiniSom; look-ups are for all samples at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import pairwise_distances_argmin
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.preprocessing import StandardScaler

from skhalfway._blocks import blocks
from skhalfway._checks import check_integer
from skhalfway._text import shown

if TYPE_CHECKING:
    from minisom import MiniSom


class LayerMap:
    """A map of one layer's standardised activations.

    Attributes
    ----------
    minisom : MiniSom
        Its ``get_weights()`` are the units' positions, in standard deviations from the mean.
    quantization_error : float
        Mean distance of the training samples from their best-matching unit.
    topographic_error : float
        Share of the training samples whose two best-matching units are not neighbours, corners included.
    unexplained_variance : float
        Mean squared distance from the best-matching unit, over that from the mean; nan if the latter is 0.
    """

    def __init__(self, activations: NDArray[Any], shape: tuple[int, int], n_iter: int, seed: int) -> None:
        self._scaler = StandardScaler().fit(activations)
        rows = self._scaler.transform(activations)
        self.minisom = _trained(rows, shape, n_iter, seed)
        nearest, second = (np.concatenate(parts) for parts in zip(*self._two_best(rows), strict=True))
        away = np.linalg.norm(rows - self._units[nearest], axis=1)
        self.quantization_error = float(away.mean())
        self.topographic_error = float((grid_steps(nearest, second, shape) > 1).mean())
        n_varying = np.count_nonzero(np.ptp(activations, axis=0))
        self.unexplained_variance = float((away**2).mean() / n_varying) if n_varying else np.nan

    def codes(self, activations: NDArray[Any]) -> NDArray[np.intp]:
        """Index of the best-matching unit of each row."""
        return pairwise_distances_argmin(self._scaler.transform(activations), self._units)

    @property
    def _units(self) -> NDArray[np.float64]:
        weights = self.minisom.get_weights()
        return weights.reshape(-1, weights.shape[-1])

    def _two_best(self, rows: NDArray[Any]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        for block in blocks(len(rows), len(self._units)):
            best = np.argsort(euclidean_distances(rows[block], self._units), axis=1)[:, :2]
            yield best[:, 0], best[:, 1]


def _trained(rows: NDArray[Any], shape: tuple[int, int], n_iter: int, seed: int) -> MiniSom:
    from minisom import MiniSom

    minisom = MiniSom(
        *shape,
        rows.shape[1],
        # the radius decreases from half of the map to the neighbouring units
        sigma=max(1.0, max(shape) / 2),
        sigma_decay_function="linear_decay_to_one",
        learning_rate=0.5,
        decay_function="linear_decay_to_zero",
        random_seed=seed,
    )
    minisom.random_weights_init(rows)
    minisom.train(rows, n_iter, random_order=True)
    return minisom


def check_shape(shape: Any) -> None:
    """Raise ValueError unless shape is the numbers of rows and columns of a map."""
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise ValueError(f"shape must be (n_rows, n_columns), got {shown(shape)}")
    for side in shape:
        check_integer("each side of shape", side)
    if shape[0] * shape[1] < 2:
        raise ValueError(f"shape must have at least 2 units, got shape={shown(shape)}")


def check_units(shape: tuple[int, int], n_samples: int, n_iter: int) -> None:
    """Raise where a map has more units than there are samples, or steps of training."""
    n_units = shape[0] * shape[1]
    if n_units > n_samples:
        raise ValueError(
            f"shape={shape} has {n_units} units, more than n_samples={n_samples}; "
            "use a smaller map or more samples"
        )
    if n_units > n_iter:
        raise ValueError(
            f"shape={shape} has {n_units} units, more than n_iter={n_iter} steps; use a smaller map or raise "
            "n_iter"
        )


def grid_steps(a: NDArray[np.intp], b: NDArray[np.intp], shape: tuple[int, int]) -> NDArray[np.intp]:
    """Numbers of steps between units on the grid, each to one of the eight neighbours."""
    return np.abs(_offsets(a, b, shape)).max(axis=0)


def grid_distances(a: NDArray[np.intp], b: NDArray[np.intp], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Euclidean distances of units on the grid."""
    return np.linalg.norm(_offsets(a, b, shape), axis=0)


def _offsets(a: NDArray[np.intp], b: NDArray[np.intp], shape: tuple[int, int]) -> NDArray[np.intp]:
    return np.array(np.unravel_index(a, shape)) - np.array(np.unravel_index(b, shape))
