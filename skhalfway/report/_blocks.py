"""Building blocks of a page, which are computed once and written as HTML and as Markdown."""

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
    """A paragraph; an important one is a notice."""

    text: str
    notice: bool = False


@dataclass(frozen=True)
class Items:
    """A list of sentences."""

    items: Sequence[str]


@dataclass(frozen=True)
class Grid:
    """A table with a title and a caption that explains it.

    Attributes
    ----------
    table : Table
        The table.
    sortable : bool
        Whether readers may sort its rows.
    folded : bool
        Whether it is long, and hidden until the reader opens it.
    """

    table: Table
    sortable: bool = True
    folded: bool = False


@dataclass(frozen=True)
class Explained:
    """Explained terms, as pairs (term, meaning)."""

    terms: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Finding:
    """A finding: severity, title, evidence and recommended action."""

    severity: str
    title: str
    evidence: str
    action: str


@dataclass(frozen=True)
class Code:
    """A line of code."""

    text: str


@dataclass(frozen=True)
class Series:
    """A line, or points, of a chart.

    Attributes
    ----------
    name : str
        Name in the legend.
    x, y : ndarray of shape (n_points,)
        Coordinates of the points.
    low, high : ndarray of shape (n_points,) or None
        Ends of their intervals.
    dashed : bool
        Whether the line is dashed, as a comparison.
    """

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """A chart of shares; a table near it has the same figures.

    Attributes
    ----------
    title : str
        Title of the chart.
    alternative : str
        Description in words, for readers who do not see it.
    x_label, y_label : str
        Labels of the axes.
    series : sequence of Series
        Lines or points to draw.
    kind : {"lines", "steps", "points"}
        How to draw them.
    square : bool
        Whether x is a share too; a diagonal then shows where both are equal.
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
        Pixels of the image.
    alternative, label : str
        Description in words, for readers who do not see it; and the label below it.
    limits : tuple of (float, float)
        Values that are black and white, or, for a difference, blue and red.
    difference : bool
        Whether it is a difference, with 0 in the middle of the colours.
    """

    pixels: NDArray[Any]
    alternative: str
    label: str
    limits: tuple[float, float] = (0.0, 1.0)
    difference: bool = False


@dataclass(frozen=True)
class Card:
    """A titled group of blocks, for example on one sample, beside others."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Pictures:
    """Images side by side."""

    pictures: Sequence[Picture]


@dataclass(frozen=True)
class Cards:
    """Cards side by side."""

    cards: Sequence[Card]


Block: TypeAlias = "Text | Items | Grid | Explained | Finding | Code | Chart | Pictures | Cards"


@dataclass(frozen=True)
class Section:
    """A section of a page, with an entry in the navigation.

    Attributes
    ----------
    anchor : str
        Identifier in the page.
    title : str
        Heading.
    blocks : sequence of blocks
        Content.
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
        Heading.
    level : str
        Severity of the result: "bad", "unknown", "some" or "none". It sets the colour of the headline only.
    headline : str
        The result in a few words.
    sections : sequence of Section
        Sections in reading order.
    footer : str
        Text of the footer.
    """

    title: str
    level: str
    headline: str
    sections: Sequence[Section]
    footer: str = ""


def rate_cell(part: int, whole: int, *, shade: bool = False, framed: bool = False) -> Cell:
    """Cell with a share, its interval and counts."""
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
    """Cell with a number, by which its column is sorted."""
    known = not np.isnan(value)
    return Cell((f"{value:.4g}" if known else "-") if text is None else text, order=value if known else -1.0)
