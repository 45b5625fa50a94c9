"""What a page consists of: sections of blocks, computed once and written as HTML and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import wilson_interval
from skhalfway.report._words import in_percent
from skhalfway.results._table import Cell, Table


@dataclass(frozen=True)
class Text:
    """A paragraph; one that must not be overlooked is a notice."""

    text: str
    notice: bool = False


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Grid:
    """A table: its title is the caption, its caption says how to read it.

    Attributes
    ----------
    table : Table
        As every result has it.
    sortable : bool
        Whether sorting its rows makes sense.
    folded : bool
        Whether it is long, and shown when asked for.
    """

    table: Table
    sortable: bool = True
    folded: bool = False


@dataclass(frozen=True)
class Explained:
    """Terms of the field where they stand: (term, meaning)."""

    terms: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Finding:
    """A finding: how heavy it is, what was found, the figures, and what to do."""

    severity: str
    title: str
    evidence: str
    action: str


@dataclass(frozen=True)
class Code:
    """A line that is typed."""

    text: str


@dataclass(frozen=True)
class Series:
    """A line, or points, of a chart.

    Attributes
    ----------
    name : str
        What the legend calls it.
    x, y : ndarray of shape (n_points,)
        The points.
    low, high : ndarray of shape (n_points,) or None
        Ends of their intervals.
    dashed : bool
        Whether the line is a comparison.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart of shares; the table that stands beside it holds the same figures.

    Attributes
    ----------
    title : str
        What it shows.
    alternative : str
        The same in words, for whoever does not see it.
    x_label, y_label : str
        What the axes are.
    series : sequence of Series
        What is drawn.
    kind : {"lines", "steps", "points"}
        How.
    square : bool
        Whether x is a share too, beside a diagonal on which both are equal.
    """

    title: str
    alternative: str
    x_label: str
    y_label: str
    series: Sequence[Series]
    kind: str = "lines"
    square: bool = False


@dataclass(frozen=True)
class Picture:
    """An image: its pixels (height, width), or (height, width, 3) in red, green and blue from 0 to 1.

    Attributes
    ----------
    pixels : ndarray
        What is shown.
    alternative, label : str
        In words, for whoever does not see it; and what stands below.
    limits : tuple of (float, float)
        Values that are black and white, or, of a difference, blue and red.
    difference : bool
        Whether 0 is in the middle of the colours.
    """

    pixels: NDArray[Any]
    alternative: str
    label: str
    limits: tuple[float, float] = (0.0, 1.0)
    difference: bool = False


@dataclass(frozen=True)
class Card:
    """A thing with a title of its own, as a sample, beside others of its kind."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Pictures:
    """Images side by side."""

    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Cards:
    """Things of a kind."""

    cards: Sequence[Card]


Block: TypeAlias = "Text | Items | Grid | Explained | Finding | Code | Chart | Pictures | Cards"


@dataclass(frozen=True)
class Section:
    """A part of a page that the navigation leads to.

    Attributes
    ----------
    anchor : str
        Its identifier in the page.
    title : str
        Its heading.
    blocks : sequence of blocks
        What it says.
    """

    anchor: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes
    ----------
    title : str
        Its heading.
    level : str
        How bad the news is: "bad", "unknown", "some" or "none"; decides a colour, never more.
    headline : str
        The answer in a few words.
    sections : sequence of Section
        The rest, in the order in which it is read.
    footer : str
        Who made it.
    """

    title: str
    level: str
    headline: str
    sections: Sequence[Section]
    footer: str = ""


def rate_cell(part: int, whole: int, *, shade: bool = False, framed: bool = False) -> Cell:
    """A share with its interval and counts."""
    if not whole:
        return Cell("not known", "no sample counts", framed=framed, order=-1.0)
    rate = part / whole
    low, high = (in_percent(float(end)) for end in wilson_interval(part, whole))
    return Cell(
        f"{in_percent(rate)} %",
        f"{low} to {high} %, {part:,} of {whole:,}",
        shade=rate if shade else None,
        framed=framed,
        order=rate,
    )


def number_cell(value: float, text: str | None = None) -> Cell:
    """A number that columns are sorted by."""
    known = not np.isnan(value)
    return Cell((f"{value:.4g}" if known else "-") if text is None else text, order=value if known else -1.0)
