"""How results are written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_N_NAMED = 4


def short(rate: float) -> str:
    """Write a rate with two decimals and no leading zero, as ``.25`` or ``1.0``."""
    if np.isnan(rate):
        return " - "
    text = f"{rate:.2f}"
    return "1.0" if text == "1.00" else text.removeprefix("0")


def table(head: str, rows: list[list[str]]) -> str:
    """A line of text over columns that are aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([head, *(line.rstrip() for line in lines)])


def counted(n: int, noun: str) -> str:
    """Write a number of things, as ``1 repeat`` or ``3 repeats``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def named_pairs(names: Sequence[str], pairs: Sequence[Sequence[int]], between: str) -> str:
    """Write the first few pairs of names, given by their numbers; of a pair with itself the name."""
    texts = [f"{names[i]!r}{between}{names[j]!r}" if i != j else repr(names[i]) for i, j in pairs[:_N_NAMED]]
    return ", ".join([*texts, f"{len(pairs) - _N_NAMED} more"] if len(pairs) > _N_NAMED else texts)
