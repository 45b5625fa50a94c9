"""Colours, markers and line styles of lines, so that no line differs from others by colour alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from skhalfway._text import rounded, short

# Petroff, "Accessible color sequences for data visualization", arXiv 2107.02270, 2021: ten colours
_PALETTE = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#94a4a2",
    "#832db6",
    "#a96b59",
    "#e76300",
    "#b9ac70",
    "#717581",
    "#92dadd",
)
_MARKERS = "osD^v<>PX"
_DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 3)))
MINUS = "\u2212"


def colours(n: int) -> list[Any]:
    """Return n colours; up to 10 of them are from a palette that colour-blind readers can distinguish."""
    if n <= len(_PALETTE):
        return list(_PALETTE[:n])
    import matplotlib as mpl

    return list(mpl.colormaps["turbo"](np.linspace(0.05, 0.95, n)))


def markers(n: int) -> list[str]:
    """Return n markers, repeated in a cycle."""
    return [_MARKERS[i % len(_MARKERS)] for i in range(n)]


def dashes(n: int) -> list[Any]:
    """Return n line styles, repeated in a cycle; pairs of marker and style repeat after 63 lines only."""
    return [_DASHES[i % len(_DASHES)] for i in range(n)]


def figure_text(value: float, decimals: int = 2) -> str:
    """Write a figure without a leading zero, with a true minus sign."""
    text = short(abs(value)) if decimals == 2 else f"{abs(value):.{decimals}f}".removeprefix("0")
    return f"{MINUS}{text}" if round(value, decimals) < 0 else text


def end_text(value: float) -> str:
    """Write the end of an interval, as tables do, with a true minus sign."""
    return rounded(value).replace("-", MINUS)
