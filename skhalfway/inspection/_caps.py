"""Caps of a sphere: their share of its surface, and the mean distance of other points from them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy.integrate import quad
from scipy.special import betainc, betaincinv


def cap_distance(share: float, n_features: int) -> float:
    """Mean Euclidean distance from the points outside a cap to the cap, which has a share of the unit sphere.

    A point at an angle t from the pole is 2 sin((t - a) / 2) from the cap of angle a. Integration by parts
    turns the mean into the integral of cos((t - a) / 2) times the share of points with a larger angle.
    """
    a = cap_angle(share, n_features)

    def slope(t: float) -> float:
        return np.cos((t - a) / 2) * (1 - cap_share(t, n_features))

    # in many dimensions nearly all points are near the equator
    width = 10 / np.sqrt(n_features)
    ends = np.unique(np.clip([a, np.pi / 2 - width, np.pi / 2, np.pi / 2 + width, np.pi], a, np.pi))
    parts = [quad(slope, *part, epsabs=1e-12)[0] for part in pairwise(ends)]
    return sum(parts) / (1 - share)


def cap_share(angle: float, n_features: int) -> float:
    """Share of the sphere's surface within a cap (Li, 2011)."""
    half = betainc((n_features - 1) / 2, 0.5, np.sin(angle) ** 2) / 2
    return half if angle <= np.pi / 2 else 1 - half


def cap_angle(share: float, n_features: int) -> float:
    angle = np.arcsin(np.sqrt(betaincinv((n_features - 1) / 2, 0.5, 2 * min(share, 1 - share))))
    return float(angle if share <= 0.5 else np.pi - angle)
