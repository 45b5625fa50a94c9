"""Warnings that a map is too coarse: that it has too few units for the activations or for the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from skhalfway._text import percent, shown
from skhalfway.models._warnings import warn

_COARSE = 0.8  # share of variance within units above which a map counts as coarse: our choice


class CoarseMapWarning(UserWarning):
    """Warning that a map has too few units for its codes to be informative."""


def warn_of_variance(layers: Sequence[str], unexplained: NDArray[Any], shape: tuple[int, int]) -> None:
    """Warn about layers with most of their variance within units."""
    coarse = [name for name, share in zip(layers, unexplained, strict=True) if share > _COARSE]
    if coarse:
        warn(
            f"more than {percent(_COARSE)} of the variance of layers {shown(coarse)} is within units of "
            f"their maps, shape={shape}; use a larger shape",
            CoarseMapWarning,
        )


def warn_of_few_codes(layers: Sequence[str], n_codes: NDArray[Any], n_classes: int) -> None:
    """Warn about layers with fewer codes than classes."""
    few = [name for name, n in zip(layers, n_codes, strict=True) if n < n_classes]
    if few:
        warn(
            f"layers {shown(few)} have fewer codes than there are classes ({n_classes}), so classes must "
            "share codes; use a larger shape",
            CoarseMapWarning,
        )
