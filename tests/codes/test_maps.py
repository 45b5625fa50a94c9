"""Maps against MiniSom's own figures, sample by sample."""

from __future__ import annotations

import numpy as np
import pytest

from skhalfway.codes._maps import LayerMap, grid_distances, grid_steps


@pytest.mark.parametrize("shape", [(5, 4), (1, 6), (2, 2)])
def test_parity_with_minisom(shape: tuple[int, int]) -> None:
    rng = np.random.RandomState(0)
    activations = rng.standard_normal((300, 6)) * [1, 2, 3, 4, 5, 0] + 7
    part = LayerMap(activations, shape, 1000, 0)
    rows = (activations - activations.mean(axis=0)) / np.where(
        activations.std(axis=0) > 0, activations.std(axis=0), 1
    )
    winners = np.array([np.ravel_multi_index(part.minisom.winner(row), shape) for row in rows])
    assert (part.codes(activations) == winners).all()
    assert part.quantization_error == pytest.approx(part.minisom.quantization_error(rows))
    assert part.topographic_error == pytest.approx(part.minisom.topographic_error(rows))
    away = rows - part.minisom.get_weights().reshape(-1, 6)[winners]
    assert part.unexplained_variance == pytest.approx((away**2).sum() / (rows**2).sum())


def test_clusters_are_found_and_the_seed_decides() -> None:
    rng = np.random.RandomState(0)
    centres = 20 * np.eye(4)
    label = rng.randint(4, size=400)
    activations = centres[label] + rng.standard_normal((400, 4))
    part, again, other = (LayerMap(activations, (4, 4), 2000, seed) for seed in (1, 1, 2))
    assert (part.minisom.get_weights() == again.minisom.get_weights()).all()
    assert (part.minisom.get_weights() != other.minisom.get_weights()).any()
    assert part.unexplained_variance < 0.05
    codes = part.codes(activations)
    assert all(len(np.unique(label[codes == code])) == 1 for code in np.unique(codes))


def test_a_layer_that_says_nothing() -> None:
    part = LayerMap(np.full((20, 3), 0.1, dtype=np.float32), (2, 2), 50, 0)
    assert np.isnan(part.unexplained_variance)
    assert part.quantization_error == pytest.approx(0, abs=1e-6)
    assert len(np.unique(part.codes(np.full((20, 3), 0.1, dtype=np.float32)))) == 1


def test_grid() -> None:
    a, b = np.array([0, 0, 5, 3]), np.array([0, 5, 11, 8])
    assert grid_steps(a, b, (3, 4)).tolist() == [0, 1, 2, 3]
    assert grid_distances(a, b, (3, 4)) == pytest.approx([0, 2**0.5, 5**0.5, 13**0.5])
