"""Charts as SVG in the colours of the page: coordinates are computed here, and a template writes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from matplotlib.ticker import MaxNLocator

from skhalfway.report._blocks import Chart, Series
from skhalfway.report._words import in_percent

Place: TypeAlias = Callable[[float], float]

WIDTH, HEIGHT = 420, 270
LEFT, RIGHT, TOP, BOTTOM = 54, 22, 10, 42
APART = 5  # horizontal shift between series, so that their intervals do not overlap


class Tick(NamedTuple):
    """Position and text of a number at an axis."""

    place: float
    text: str


class Bar(NamedTuple):
    """Coordinates of an interval, from its low to its high end."""

    x: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """A series in coordinates of the picture.

    Attributes
    ----------
    name : str
        Name in the legend.
    number : int
        Number of its colour and mark.
    dashed : bool
        Whether the line is dashed.
    path : str
        SVG path of the line; empty if there are only points.
    points : list of (float, float)
        Coordinates of the marks.
    bars : list of Bar
        Intervals.
    """

    name: str
    number: int
    dashed: bool
    path: str
    points: list[tuple[float, float]]
    bars: list[Bar]


@dataclass(frozen=True)
class Drawing:
    """A chart in coordinates of a picture of 420 by 270.

    Attributes
    ----------
    x_ticks, y_ticks : list of Tick
        Numbers at the axes.
    lines : list of Line
        The series.
    diagonal : tuple of float, or None
        Ends of the line on which both axes are equal.
    """

    x_ticks: list[Tick]
    y_ticks: list[Tick]
    lines: list[Line]
    diagonal: tuple[float, float, float, float] | None

    width, height = WIDTH, HEIGHT
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM


def drawn(chart: Chart) -> Drawing:
    """Coordinates of a chart; y is a share from 0 to 1."""
    all_x = np.concatenate([one.x for one in chart.series]) if chart.series else np.zeros(1)
    largest = 1.0 if chart.square else float(all_x.max(initial=0.0)) or 1.0
    x_ticks = [value for value in MaxNLocator(5).tick_values(0, largest) if 0 <= value <= largest * 1.05]
    end = max(largest * 1.03, x_ticks[-1]) if not chart.square else 1.0

    def across(x: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * x / end, 1)

    def up(y: float) -> float:
        return round(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y, 1)

    def place(one: Series, k: int) -> Place:
        """Horizontal coordinate, shifted beside the other series with intervals."""
        apart = 0.0 if one.low is None else APART * (k - (n_bars - 1) / 2)
        return lambda x: round(across(x) + apart, 1)

    n_bars = sum(one.low is not None for one in chart.series)
    shares = np.linspace(0, 1, 6)
    return Drawing(
        [Tick(across(x), f"{in_percent(x)} %" if chart.square else f"{x:g}") for x in x_ticks],
        [Tick(up(y), f"{in_percent(y)} %") for y in shares],
        [_line(one, k, chart.kind, place(one, k), up) for k, one in enumerate(chart.series)],
        (across(0), up(0), across(1), up(1)) if chart.square else None,
    )


def _line(one: Series, number: int, kind: str, across: Place, up: Place) -> Line:
    places = [(across(x), up(y)) for x, y in zip(one.x, one.y, strict=True)]
    bars = []
    if one.low is not None and one.high is not None:
        bars = [
            Bar(across(x), up(low), up(high)) for x, low, high in zip(one.x, one.low, one.high, strict=True)
        ]
    path = ""
    if places and kind == "steps":
        path = f"M{places[0][0]:g},{places[0][1]:g}" + "".join(f"H{x:g}V{y:g}" for x, y in places[1:])
    elif kind == "lines":
        path = "M" + "L".join(f"{x:g},{y:g}" for x, y in places)
    return Line(one.name, number, one.dashed, path, [] if kind == "steps" else places, bars)
