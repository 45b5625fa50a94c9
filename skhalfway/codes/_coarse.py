"""Whether a map is too coarse to say much: too few units for what a layer gives, or for the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from skhalfway._text import percent, shown
from skhalfway.models._warnings import warn

_COARSE = 0.8  # of the variance within units: our choice


class CoarseMapWarning(UserWarning):
    """A map is too coarse for its codes to say much."""


def warn_of_variance(layers: Sequence[str], unexplained: NDArray[Any], shape: tuple[int, int]) -> None:
    """Name the layers whose variance stays within units."""
    coarse = [name for name, share in zip(layers, unexplained, strict=True) if share > _COARSE]
    if coarse:
        warn(
            f"more than {percent(_COARSE)} of the variance of layers {shown(coarse)} is within units of "
            f"their maps, shape={shape}; use a larger shape",
            CoarseMapWarning,
        )


def warn_of_few_codes(layers: Sequence[str], n_codes: NDArray[Any], n_classes: int) -> None:
    """Name the layers on which classes must share codes."""
    few = [name for name, n in zip(layers, n_codes, strict=True) if n < n_classes]
    if few:
        warn(
            f"{n_classes} classes must share the codes of layers {shown(few)}, which are fewer; "
            "use a larger shape",
            CoarseMapWarning,
        )
