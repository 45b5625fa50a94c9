"""Tables that represent results, as text and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_WIDTH = 150  # characters in a line of text; further columns continue below
_PAPER, _FULL = np.array([255.0, 255.0, 255.0]), np.array([165.0, 15.0, 21.0])  # shades 0 and 1


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text : str
        The figure.
    ends : str
        Interval of the figure, written behind it in text and below it in HTML.
    shade : float or None
        Background colour in HTML, from 0 (white) to 1 (dark red); None is the colour of the page.
    hint : str
        Tooltip of the cell in HTML.
    framed : bool
        Whether the cell is in brackets in text and has a dashed frame in HTML.
    order : float or None
        Sort key of the cell in a page that can be sorted; None sorts by its text.
    """

    text: str
    ends: str = ""
    shade: float | None = None
    hint: str = ""
    framed: bool = False
    order: float | None = None

    def __str__(self) -> str:
        text = f"{self.text} {self.ends}" if self.ends else self.text
        return f"({text})" if self.framed else text


@dataclass(frozen=True)
class Table:
    """Title, caption, rows and notes that represent a result.

    Attributes
    ----------
    title : str
        Kind of result, and its main figures.
    head : sequence of str
        Headers of the columns; the first column holds the names of the rows.
    rows : sequence of sequences of str or Cell
        Cells of each row, its name first.
    caption : str
        Meaning of the figures.
    notes : sequence of str
        Lines below the table.
    centred : bool
        Whether columns are centred in text, as in a matrix.
    """

    title: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str | Cell]] = ()
    caption: str = ""
    notes: Sequence[str] = ()
    centred: bool = False

    def text(self, width: int = _WIDTH) -> str:
        """The table as aligned text, no wider than ``width`` characters if its columns allow that."""
        lines = [self.title, *([self.caption] if self.caption else [])]
        # names may contain line breaks, which would break the columns
        rows = [[" ".join(str(cell).splitlines()) for cell in row] for row in (self.head, *self.rows) if row]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        gap, align = (" ", "^") if self.centred else ("  ", "<")
        for columns in _folded(widths, len(gap), width):
            for row in rows:
                cells = [f"{row[0]:<{widths[0]}}"] if widths else []
                cells += [f"{row[k]:{align}{widths[k]}}" for k in columns]
                lines.append(gap.join(cells).rstrip())
        return "\n".join([*lines, *self.notes])

    def notes_html(self) -> str:
        """The notes alone, as HTML."""
        return "".join(f'<p style="{_NOTE}">{escape(note)}</p>' for note in self.notes)

    def html(self) -> str:
        """The table as HTML with inline styles, for light and dark pages."""
        above = "".join(
            f'<p style="{_NOTE};font-weight:{weight}">{escape(line)}</p>'
            for line, weight in ((self.title, "bold"), (self.caption, "normal"))
            if line
        )
        head = "".join(f'<th style="{_HEAD}">{escape(name)}</th>' for name in self.head)
        head = f"<tr>{head}</tr>" if head else ""
        rows = (map(_as_html, row, [True, *[False] * len(row)]) for row in self.rows)
        body = "".join(f"<tr>{''.join(cells)}</tr>" for cells in rows)
        table = f'<table style="{_TABLE}">{head}{body}</table>' if head or body else ""
        return f"{above}{table}{self.notes_html()}"


# without an explicit colour a table takes that of the browser, not that of the page
_TABLE = "border-collapse:separate;border-spacing:1px;color:inherit"
_HEAD = "font-size:13px;text-align:center;padding:3px 6px"
_NOTE = "font-size:13px;text-align:left;margin:2px 0;color:inherit"
_CELL = "font-size:13px;padding:3px 6px"


def _folded(widths: Sequence[int], gap: int, most: int) -> list[list[int]]:
    """Groups of columns that fit side by side into a line, beside the names."""
    parts: list[list[int]] = [[]]
    room = most
    for k, width in enumerate(widths):
        if k == 0:
            room = most - width
            continue
        if parts[-1] and room < width + gap:
            parts.append([])
            room = most - widths[0]
        parts[-1].append(k)
        room -= width + gap
    return parts if widths else []


def _as_html(cell: str | Cell, first: bool) -> str:
    if isinstance(cell, str):
        kind = "th" if first else "td"
        return f'<{kind} style="{_CELL};text-align:left">{escape(cell)}</{kind}>'
    style = f"{_CELL};text-align:center"
    if cell.shade is not None and not np.isnan(cell.shade):
        colour = shade_of(cell.shade)
        style += f";background:{_css(colour)};color:{ink_on(colour)}"
    if cell.framed:
        style += ";outline:1px dashed currentColor;outline-offset:-3px"
    hint = f' title="{escape(cell.hint)}"' if cell.hint else ""
    ends = f'<br><span style="font-size:10px">{escape(cell.ends)}</span>' if cell.ends else ""
    return f'<td style="{style}"{hint}>{escape(cell.text)}{ends}</td>'


def shade_of(value: float) -> np.ndarray:
    """Colour of a share, as red, green and blue from 0 to 255."""
    return np.rint(_PAPER + (_FULL - _PAPER) * float(np.clip(value, 0, 1)))


def ink_on(colour: np.ndarray) -> str:
    """Black or white, whichever has the higher contrast."""
    light = luminance(colour)
    # (L1 + .05) / (L2 + .05) of the lighter and the darker of two, WCAG 2.2, "contrast ratio"
    return "#000" if (light + 0.05) / 0.05 >= 1.05 / (light + 0.05) else "#fff"


def luminance(colour: np.ndarray) -> float:
    """Relative luminance of red, green and blue from 0 to 255 (WCAG 2.2)."""
    share = np.asarray(colour) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def _css(colour: np.ndarray) -> str:
    return "#" + "".join(f"{int(part):02x}" for part in colour)
