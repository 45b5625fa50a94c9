"""Randomised labels and destroyed images: the settings of Zhang et al. 2017 (arXiv 1611.03530)."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway._text import shown
from skhalfway.inspection._splits import Split

SETTINGS = ("true labels", "random labels", "shuffled pixels", "random pixels", "gaussian noise")


def name_of(setting: Any) -> str:
    """Name of a setting; ValueError where there is no such setting."""
    if isinstance(setting, str) and setting in SETTINGS:
        return setting
    if isinstance(setting, Real) and not isinstance(setting, bool) and 0 <= float(setting) <= 1:
        return f"{100 * float(setting):.4g}% random labels"
    raise ValueError(
        f"settings must be of {list(SETTINGS)}, or shares of random labels from 0 to 1; got {shown(setting)}"
    )


def altered(split: Split, setting: str | float, rng: np.random.RandomState) -> Split:
    """The split with the samples and labels of a setting."""
    shares = {"true labels": 0.0, "random labels": 1.0}
    if isinstance(setting, str) and setting not in shares:
        change = _Change(setting, split.X, rng)
        return split._replace(
            X=change(split.X), X_test=None if split.X_test is None else change(split.X_test)
        )
    share = shares[setting] if isinstance(setting, str) else setting
    classes, n = np.unique(split.y), len(split.y)
    # drawn for every share, so that the samples relabelled at a small share are among those at a larger one
    chance, drawn = rng.rand(n), rng.randint(len(classes), size=n)
    return split._replace(y=np.where(chance < share, classes[drawn], split.y))


class _Change:
    """Change that a setting makes to samples."""

    def __init__(self, setting: str, X: NDArray[Any], rng: np.random.RandomState) -> None:
        self._setting, self._rng = setting, rng
        # all channels of a pixel move together
        self._channels = X.shape[1] if X.ndim > 3 else 1
        self._order = rng.permutation(X[0].size // self._channels)
        self._mean, self._deviation = np.nanmean(X, axis=0), np.nanstd(X, axis=0)

    def __call__(self, X: NDArray[Any]) -> NDArray[Any]:
        changed = np.empty_like(X)
        for rows in blocks(len(X), X[0].size):
            changed[rows] = self._changed(X[rows])
        return changed

    def _changed(self, X: NDArray[Any]) -> NDArray[Any]:
        if self._setting == "gaussian noise":
            return self._mean + self._deviation * self._rng.standard_normal(X.shape)
        pixels = X.reshape(len(X), self._channels, -1)
        if self._setting == "shuffled pixels":
            return pixels[:, :, self._order].reshape(X.shape)
        own = self._rng.rand(len(X), 1, pixels.shape[2]).argsort(axis=2)
        return np.take_along_axis(pixels, own, axis=2).reshape(X.shape)
