"""How a result is shown: one table, written as text and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_WIDTH = 150  # characters of a line of text, beyond which columns go on below
_PAPER, _FULL = np.array([255.0, 255.0, 255.0]), np.array([165.0, 15.0, 21.0])  # shades 0 and 1


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table.

    Attributes
    ----------
    text : str
        The figure.
    ends : str
        Its interval, written behind it in text and below it in HTML.
    shade : float or None
        From 0, white, to 1, dark red; None leaves the cell in the colours of the page.
    hint : str
        What HTML shows when the pointer rests on the cell.
    framed : bool
        Whether the cell is set apart: in brackets in text, with a dashed frame in HTML.
    order : float or None
        The number by which a page that can be sorted sorts it; None is its text.
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
    """What a result shows.

    Attributes
    ----------
    title : str
        The kind of result, and what it comes to.
    head : sequence of str
        Heads of the columns; the first one is that of the names of the rows.
    rows : sequence of sequences of str or Cell
        One for each row, its name first.
    caption : str
        How the figures are to be read.
    notes : sequence of str
        Lines below the table.
    centred : bool
        Whether the columns of text are centred, as those of a matrix are.
    """

    title: str
    head: Sequence[str] = ()
    rows: Sequence[Sequence[str | Cell]] = ()
    caption: str = ""
    notes: Sequence[str] = ()
    centred: bool = False

    def text(self, width: int = _WIDTH) -> str:
        """The table as text: aligned, and no wider than that where its columns allow it."""
        lines = [self.title, *([self.caption] if self.caption else [])]
        # a name with a line break in it would break the columns
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
        """Only the lines below, as HTML."""
        return "".join(f'<p style="{_NOTE}">{escape(note)}</p>' for note in self.notes)

    def html(self) -> str:
        """The table as HTML that is read in light and dark pages alike, with no style but its own."""
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


# without its own word a table takes the colour of the browser, not of the page
_TABLE = "border-collapse:separate;border-spacing:1px;color:inherit"
_HEAD = "font-size:13px;text-align:center;padding:3px 6px"
_NOTE = "font-size:13px;text-align:left;margin:2px 0;color:inherit"
_CELL = "font-size:13px;padding:3px 6px"


def _folded(widths: Sequence[int], gap: int, most: int) -> list[list[int]]:
    """Numbers of the columns that stand side by side: as many as there is room for beside the names."""
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
    """The opaque colour of a share, red, green and blue from 0 to 255."""
    return np.rint(_PAPER + (_FULL - _PAPER) * float(np.clip(value, 0, 1)))


def ink_on(colour: np.ndarray) -> str:
    """Black or white: the one of the higher contrast."""
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
