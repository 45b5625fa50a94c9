"""Figures in results, and values in messages, as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from numbers import Number
from typing import Any

import numpy as np

_WIDTH, _LEAST, _N_NAMED = 80, 8, 4
_SAME = 1e-9  # shares that differ by less are the same, but for rounding
_BRACKETS: dict[Any, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}"}


def rounded(value: float) -> str:
    """Write a figure with two decimals and without a leading zero, such as ``.25``, ``-.25`` or ``1.0``."""
    if np.isnan(value):
        return " - "
    text = f"{abs(value):.2f}"
    sign = "-" if value < 0 and text != "0.00" else ""
    return f"{sign}1.0" if text == "1.00" else f"{sign}{text.removeprefix('0')}"


def short(rate: float) -> str:
    """Write a rate as :func:`rounded` does, one below 1 with the decimals that tell it from 1 (``.998``)."""
    decimals = _decimals(rate)
    if decimals == 2:
        return rounded(rate)
    return f"{'-' if rate < 0 else ''}{abs(rate):.{decimals}f}".replace("0.", ".", 1)


def percent(share: float) -> str:
    """Write a share in percent, rounded as :func:`short` does; ``100 * share`` could round otherwise."""
    decimals = _decimals(share)
    written = f"{share:.{decimals}f}"
    return " - " if np.isnan(share) else f"{100 * float(written):.{decimals - 2}f}%"


def _decimals(share: float) -> int:
    """Number of decimals, at least 2, with which a share below 1 is not written as 1."""
    size, decimals = abs(share), 2
    while size < 1 - _SAME and f"{size:.{decimals}f}".startswith("1"):
        decimals += 1
    return decimals


def in_full(value: float) -> str:
    """Write a number as briefly as all of its digits allow."""
    brief_text = f"{value:g}"
    return brief_text if float(brief_text) == value else repr(value)


def signed(value: float) -> str:
    """Write a difference with its sign, as ``+.12``, with the decimals that show it; 0 has no sign."""
    return all_signed(value)[0]


def all_signed(*values: float, decimals: int | None = None) -> list[str]:
    """Write differences with their signs, as ``+.12``, all with as many decimals as show each sign.

    0 has no sign. There are at least two decimals, and more where a difference would be rounded to 0, unless
    ``decimals`` says how many.
    """
    there = [abs(value) for value in values if abs(value) > _SAME]  # nan is in no order
    given, decimals = decimals is not None, 2 if decimals is None else decimals
    while not given and any(float(f"{size:.{decimals}f}") == 0 for size in there):
        decimals += 1
    texts = []
    for value in values:
        if np.isnan(value):
            texts.append(" - ")
            continue
        text = f"{abs(value):.{decimals}f}".removeprefix("0")
        sign = "" if abs(value) <= _SAME else "-" if value < 0 else "+"
        texts.append(sign + ("1.0" if text == "1.00" else text))
    return texts


def between(low: float, high: float, write: Callable[[float], str] = rounded) -> str:
    """Write the ends of an interval, such as ``[.17 .35]``; "" if they are not known."""
    return "" if np.isnan(low) or np.isnan(high) else f"[{write(low)} {write(high)}]"


def table(head: str, rows: list[list[str]]) -> str:
    """Write a line of text over aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([head, *(line.rstrip() for line in lines)])


def counted(n: int, noun: str) -> str:
    """Write a number with a noun, such as ``1 repeat`` or ``3 repeats``."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def shown(value: Any, width: int = _WIDTH) -> str:
    """Write any value for a message, in one line of about ``width`` characters.

    Numbers, short texts and short collections of them are written out. Longer ones are cut, with their
    length. For an array, a table, a model or any other object it is the type and, if there is one, the shape.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (Number, str, bytes)):
        return _plain(value, width)
    if isinstance(value, type):
        return _cut(f"the class {value.__qualname__}", width)
    half = width // 2
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return _listed((shown(item, half) for item in value), len(value), "[]", width)
    if type(value) is dict and width > _LEAST:
        pairs = (f"{shown(key, half)}: {shown(item, half)}" for key, item in value.items())
        return _listed(pairs, len(value), "{}", width)
    if type(value) in _BRACKETS and width > _LEAST:
        return _listed((shown(item, half) for item in value), len(value), _BRACKETS[type(value)], width)
    return _cut(_kind(value), width)


def brief(error: object, width: int = 250) -> str:
    """The text of an error in one line, no longer than ``width``."""
    return _cut(" ".join(str(error).split()), width)


def _plain(value: Any, width: int) -> str:
    if isinstance(value, int) and value.bit_length() > 3 * width:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to write very long integers
    if isinstance(value, (str, bytes)) and len(value) > width:
        return f"{_cut(repr(value[:width]), width)} ({len(value)} characters)"
    return _cut(repr(value), width)


def _listed(texts: Iterable[str], n_items: int, brackets: str, width: int) -> str:
    """Write as many items as fit."""
    parts, room = [], width
    for text in texts:
        room -= len(text) + 2
        if room < 0:
            break
        parts.append(text)
    if len(parts) == n_items:
        return f"{brackets[0]}{', '.join(parts)}{',' * (brackets == '()' and n_items == 1)}{brackets[1]}"
    return f"{brackets[0]}{', '.join([*parts, '...'])}{brackets[1]} ({n_items} items)"


def _kind(value: Any) -> str:
    name, shape = type(value).__name__, getattr(value, "shape", None)
    if isinstance(shape, tuple) and (hasattr(value, "dtype") or hasattr(value, "columns")):
        return f"{name} of shape {tuple(shape)}"
    return f"function {value.__name__}" if callable(value) and hasattr(value, "__name__") else name


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."


def named_pairs(names: Sequence[str], pairs: Sequence[Sequence[int]], between: str) -> str:
    """Write the first few pairs of names, given by their positions."""
    # a pair of a name with itself is written as the name alone
    some = [(repr(names[i]), repr(names[j])) for i, j in pairs[:_N_NAMED]]
    alone = between == " and "
    texts = [one if alone and one == other else f"{one}{between}{other}" for one, other in some]
    return ", ".join([*texts, f"{len(pairs) - _N_NAMED} more"] if len(pairs) > _N_NAMED else texts)
