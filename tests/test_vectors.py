"""Lengths of vectors, where they are none and where they are near none."""

from __future__ import annotations

import numpy as np

from skhalfway._vectors import unit_vectors


def test_unit_vectors():
    x = np.array([[[3.0, -4.0], [0.0, 0.0]], [[1e-150, 0.0], [0.0, 1e150]]])
    np.testing.assert_allclose(unit_vectors(x), [[[0.6, -0.8], [0.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]])
