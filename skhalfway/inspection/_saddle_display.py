"""SaddleIndexDisplay: the cumulative distribution of the Hessian's eigenvalues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.displays import Display
from skhalfway.displays._style import colours
from skhalfway.inspection._saddle import SaddleIndex, saddle_index

if TYPE_CHECKING:
    from matplotlib.lines import Line2D


class SaddleIndexDisplay(Display, draws=[SaddleIndex], by=saddle_index):
    """Share of eigenvalues of a :class:`SaddleIndex` up to each value: left of 0 the loss curves downwards.

    Make one with ``from_estimator``, which takes a fitted network, samples and labels, or with the ``plot``
    of the result.

    Parameters
    ----------
    result : SaddleIndex
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the line.
    figure_ : matplotlib Figure
        Figure that holds them.
    line_ : matplotlib Line2D
        Share of eigenvalues up to each value.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skhalfway.inspection import SaddleIndex, SaddleIndexDisplay
    >>> saddle = SaddleIndex(np.array([-2.0, 0.0, 1.0, 10.0]), np.full((1, 4), 0.25), 4, 0.0, 0.7)
    >>> SaddleIndexDisplay(saddle).plot().line_.get_ydata().tolist()
    [0.25, 0.5, 0.75, 1.0]
    """

    def plot(self, ax: Any = None, *, line_kw: dict[str, Any] | None = None) -> SaddleIndexDisplay:
        """Draw the line.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        line_kw : dict, default=None
            Passed to ``ax.step``.

        Returns
        -------
        display : SaddleIndexDisplay
            This object, with ``ax_``, ``figure_`` and ``line_``.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.inspection import SaddleIndex, SaddleIndexDisplay
        >>> saddle = SaddleIndex(np.array([-2.0, 0.0, 1.0, 10.0]), np.full((1, 4), 0.25), 4, 0.0, 0.7)
        >>> SaddleIndexDisplay(saddle).plot().ax_.get_title()
        'index 0.25, gradient 0'
        """
        result = self.result
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(5.2, 3.6), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        style = {"color": colours(1)[0], "where": "post", "lw": 1.5}
        upto = np.cumsum(result.weights.mean(axis=0))
        lines = ax.step(result.eigenvalues, upto, **style | (line_kw or {}))
        self.line_: Line2D = lines[0]
        ax.axvline(0, color="0.5", lw=1, ls=":")
        largest = float(np.abs(result.eigenvalues).max(initial=0.0))
        if largest > 0:
            # most eigenvalues are small, and a few are much larger
            least = max(result.tol, 1e-6) * largest
            ticks = _ticks(least, largest)
            if len(ticks) > 3:  # with fewer ticks, nearly the whole axis would be linear anyway
                ax.set_xscale("symlog", linthresh=least)
                low, high = ax.get_xlim()
                ax.set_xticks([tick for tick in ticks if low <= tick <= high])
                ax.minorticks_off()
        ax.set(ylim=(0, 1.02), xlabel="eigenvalue of the Hessian", ylabel="share of eigenvalues up to it")
        ax.set_title(f"index {result.index:.2g}, gradient {result.gradient_norm:.2g}", fontsize="medium")
        ax.spines[["top", "right"]].set_visible(False)
        return self


def _ticks(least: float, largest: float) -> list[float]:
    """0 and at most two powers of 10 on each side, half a decade or more beyond the linear part."""
    top, low = int(np.floor(np.log10(largest))), float(np.log10(least)) + 0.5
    powers = np.arange(top, low, -max(1, int(np.ceil((top - low) / 2))))
    sizes = [10.0 ** int(power) for power in powers]
    return [*(-size for size in sizes), 0.0, *reversed(sizes)]
