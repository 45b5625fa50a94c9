"""Positions of the labels of regions in a picture of a plane."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, label

from skhalfway.boundaries._planes import SIDES, DecisionRegions


def places_of_labels(
    regions: DecisionRegions, model: int, font_size: float
) -> Iterator[tuple[float, float, str]]:
    """Coordinates and text of the label of each connected region that has room for it.

    ``font_size`` is in input units. A label is placed where it is furthest from the region's edges, the
    paths, and the labels of samples.
    """
    x, y, labels = regions.x, regions.y, regions.labels[model]
    *_, bottom, top = regions.extent
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    begin, end = regions.anchors[SIDES].transpose(1, 0, 2)
    # labels of samples are placed away from the paths: below the first and the second, above the third
    for aside in np.linspace(-2.5, 2.5, 5):
        near = regions.anchors + np.array([aside * font_size, 0])
        begin = np.concatenate([begin, near])
        end = np.concatenate([end, np.column_stack([near[:, 0], [bottom, bottom, top]])])
    height = 1.3 * font_size
    for c in np.unique(labels):
        text = str(c)
        # a text is wider than it is high, so distances along x count less
        wide = np.array([max(1.0, 0.55 * len(text)), 1.0])
        off_paths = _distance_to_segments(grid / wide, begin / wide, end / wide)
        steps = y[1] - y[0], (x[1] - x[0]) / wide[0]
        parts = label(labels == c)[0]
        large = np.bincount(parts.ravel()) * np.prod(steps) > height**2
        for part in np.flatnonzero(large[1:]) + 1:
            # the frame of the picture counts as an edge
            off_edges = distance_transform_edt(np.pad(parts == part, 1), sampling=steps)[1:-1, 1:-1]
            room = np.minimum(off_edges, off_paths)
            i, j = np.unravel_index(room.argmax(), room.shape)
            if room[i, j] > height / 2:
                yield float(x[j]), float(y[i]), text


def _distance_to_segments(
    points: NDArray[np.float64], begin: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Distance of points (..., 2) to the nearest of some segments (n_segments, 2)."""
    along = end - begin
    away = points[..., None, :] - begin
    share = np.clip((away * along).sum(axis=-1) / (along**2).sum(axis=-1), 0, 1)
    return np.linalg.norm(away - share[..., None] * along, axis=-1).min(axis=-1)
