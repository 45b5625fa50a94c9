"""CrossingsDisplay: histograms of where each model's prediction changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._checks import check_integer
from skhalfway._text import between, percent, short
from skhalfway.displays import Display
from skhalfway.halfway._figures import finely
from skhalfway.halfway._measured import measured
from skhalfway.halfway._measurement import HalfwayMeasurement

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MEDIAN = "median \u25b2"
_HEIGHT = 0.8  # height of the tallest bar, in rows
_COLUMNS = (34, 102, 180)  # centres of the columns of text, in points right of the axes


class CrossingsDisplay(Display, draws=[HalfwayMeasurement], by=measured, kind="crossings", first=True):
    """Histograms of crossings, with a row for each model of a :class:`HalfwayMeasurement`.

    The row of a model shows only pairs of which it classifies both samples
    correctly. Make a display with ``from_estimator``, which takes a fitted
    :class:`~skhalfway.HalfwayScorer`, samples and labels, or with ``from_result``.

    Parameters
    ----------
    result : HalfwayMeasurement
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the histograms.
    figure_ : matplotlib Figure
        Figure that holds them.
    bars_ : list of matplotlib StepPatch
        The histogram of each model.
    halfway_ : matplotlib Line2D
        The line at 1/2.
    medians_ : list of matplotlib Line2D or None
        The mark at each model's median; None where no pair counts.
    text_ : ndarray of shape (n_models, 3) or None
        The texts beside the rows: median, deviation and share of pairs left out.

    See Also
    --------
    HalfwayMeasurement : The crossings and their figures.
    AgreementDisplay : Whether models cross at the same places.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skhalfway.halfway import CrossingsDisplay, HalfwayScorer
    >>> X, y = load_iris(return_X_y=True)
    >>> models = [LogisticRegression(max_iter=1000).fit(X, y), KNeighborsClassifier().fit(X, y)]
    >>> scorer = HalfwayScorer(n_pairs=100, random_state=0).fit(models)
    >>> display = CrossingsDisplay.from_estimator(scorer, X, y)
    >>> [label.get_text() for label in display.ax_.get_yticklabels()]
    ['logisticregression', 'kneighborsclassifier']
    """

    def plot(
        self,
        ax: Axes | None = None,
        *,
        bins: int = 41,
        include_values: bool = True,
        level: float = 0.95,
        bar_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
        median_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> CrossingsDisplay:
        """Draw the histograms.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure whose height grows with the
            number of models.
        bins : int, default=41
            Number of bins between 0 and 1. With an odd number, crossings at
            exactly 1/2 lie in the middle of a bin.
        include_values : bool, default=True
            Whether to write figures beside the rows: the median, the halfway
            deviation with its confidence interval, and the share of pairs that
            do not count for the model.
        level : float, default=0.95
            Confidence level of the intervals.
        bar_kw : dict, default=None
            Passed to ``ax.stairs``, which draws the histograms.
        line_kw : dict, default=None
            Passed to ``ax.axvline``, which draws the line at 1/2.
        median_kw : dict, default=None
            Passed to ``ax.plot``, which draws the medians.
        text_kw : dict, default=None
            Passed to ``ax.annotate``, which writes the values.

        Returns
        -------
        display : CrossingsDisplay
            This object, with its attributes.

        Raises
        ------
        ValueError
            If ``bins`` is not an integer >= 1, or ``level`` is out of range.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.halfway import CrossingsDisplay, HalfwayMeasurement
        >>> crossings, counted = np.array([[0.4, 0.5, 0.6, 0.7]]), np.ones((1, 4), dtype=bool)
        >>> pairs = np.arange(8).reshape(4, 2)
        >>> measurement = HalfwayMeasurement(("a",), pairs, np.ones(4), crossings, counted)
        >>> CrossingsDisplay(measurement).plot(bins=21).text_[0, 0].get_text()
        '.55'
        """
        import matplotlib.pyplot as plt

        check_integer("bins", bins)
        names, n = self.result.names, len(self.result.names)
        # errors are raised before anything is drawn
        columns = self._columns(level) if include_values else None
        if ax is None:
            size = (9.0 if include_values else 6.0, 1.5 + 0.46 * n)
            _, ax = plt.subplots(figsize=size, layout="compressed")
        self.bars_: list[Any] = []
        self.medians_: list[Any] = []
        line: dict[str, Any] = {"color": "k", "lw": 1.2, "ls": (0, (4, 3)), "zorder": 3}
        self.halfway_ = ax.axvline(0.5, **line | (line_kw or {}))
        for i in range(n):
            self._draw_row(ax, i, n - 1 - i, int(bins), bar_kw or {}, median_kw or {})
        top = n - 1 + _HEIGHT + 0.12
        ax.set(
            xlim=(0, 1),
            ylim=(-0.08, top),
            xticks=np.linspace(0, 1, 5),
            xticklabels=["0", ".25", ".5", ".75", "1"],
            xlabel="share of the way from one sample to the other\n"
            "(bars: pairs whose first change is there; rows have own scales)",
        )
        ax.set_yticks(n - 1 - np.arange(n) + _HEIGHT / 3, names)
        ax.tick_params(axis="y", length=0)
        ax.spines[["top", "left", "right"]].set_visible(False)
        above: dict[str, Any] = {"xytext": (0, 2), "textcoords": "offset points", "va": "bottom"}
        ax.annotate("halfway", (0.5, top), ha="center", fontsize=9, **above)
        if columns is None:
            # otherwise this is the head of a column
            ax.annotate(_MEDIAN, (1, top), ha="right", fontsize=9, **above)
        ax.set_title(f"Where {n} models change their prediction between two samples", loc="left", pad=24)
        self.text_ = None if columns is None else self._write(ax, columns, level, text_kw or {})
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_row(
        self, ax: Axes, i: int, base: int, bins: int, bar_kw: dict[str, Any], median_kw: dict[str, Any]
    ) -> None:
        positions = self.result.crossings[i, self.result.counted[i]]
        counts, edges = np.histogram(positions, bins, (0, 1))
        bar: dict[str, Any] = {"fill": True, "fc": "#8fbbe0", "ec": "#2b6ca3", "lw": 0.6, "zorder": 2}
        heights = base + _HEIGHT * counts / max(counts.max(), 1)
        self.bars_.append(ax.stairs(heights, edges, baseline=base, **bar | bar_kw))
        ax.axhline(base, color="0.6", lw=0.6, zorder=1)
        if not len(positions):
            self.medians_.append(None)
            return
        # a triangle on the row's baseline, visible against every bar
        mark: dict[str, Any] = {"marker": "^", "ms": 7, "mfc": "#ffa90e", "mec": "k", "mew": 0.8, "ls": ""}
        place = [np.median(positions)], [base + 0.1]
        self.medians_ += ax.plot(*place, **mark | {"zorder": 4, "clip_on": False} | median_kw)

    def _columns(self, level: float) -> list[list[str]]:
        """Texts beside each row."""
        measurement = self.result
        low, high = measurement.confidence_interval(level)
        columns = []
        for i, own in enumerate(measurement.counted):
            row = ["\u2013", "\u2013"]
            if own.any():
                deviation = f"{finely(measurement.deviation[i])} {between(low[i], high[i], finely)}"
                row = [short(np.median(measurement.crossings[i, own])), deviation.rstrip()]
            columns.append([*row, percent(1 - own.mean())])
        return columns

    def _write(self, ax: Axes, columns: list[list[str]], level: float, text_kw: dict[str, Any]) -> Any:
        n = len(columns)
        style: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "annotation_clip": False}
        style |= {"xycoords": ax.get_yaxis_transform(), "fontsize": 9}
        heads = (_MEDIAN, f"deviation [{100 * level:g}%]", "pairs left out")
        for head, place in zip(heads, _COLUMNS, strict=True):
            ax.annotate(head, (1, ax.get_ylim()[1]), xytext=(place, 2), va="bottom", **style)
        written = np.empty((n, len(heads)), dtype=object)
        for i, row in enumerate(columns):
            for j, (text, place) in enumerate(zip(row, _COLUMNS, strict=True)):
                at = (1, n - 1 - i + _HEIGHT / 3)
                written[i, j] = ax.annotate(
                    text, at, **{"xytext": (place, 0), "va": "center"} | style | text_kw
                )
        return written
