"""KernelTemplatesDisplay: shares of the kernels of each layer by template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.displays import Display
from skhalfway.displays._style import colours
from skhalfway.structure._templates import NAMES, KernelTemplates, kernel_templates

if TYPE_CHECKING:
    from matplotlib.container import BarContainer


class KernelTemplatesDisplay(Display, draws=[KernelTemplates], by=kernel_templates):
    """Bars of :class:`KernelTemplates`: share of the kernels of each layer by template, and of white noise.

    Make one with ``from_estimator``, which takes a network or kernels, or with the ``plot`` of the result.

    Parameters
    ----------
    result : KernelTemplates
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the bars.
    figure_ : matplotlib Figure
        Figure that holds them.
    bars_ : dict of str to matplotlib BarContainer
        Bars by template.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from torch import nn
    >>> from skhalfway.structure import KernelTemplatesDisplay
    >>> net = nn.Sequential(nn.Conv2d(4, 4, 7, groups=4), nn.ReLU(), nn.Conv2d(4, 4, 7, groups=4))
    >>> display = KernelTemplatesDisplay.from_estimator(net, random_state=0)
    >>> list(display.bars_)
    ['DoG', 'd/dx', 'd/dy', 'd2/dx2', 'd2/dxdy', 'd2/dy2']
    """

    def plot(self, ax: Any = None, *, bar_kw: dict[str, Any] | None = None) -> KernelTemplatesDisplay:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        bar_kw : dict, default=None
            Passed to ``ax.bar`` for each template.

        Returns
        -------
        display : KernelTemplatesDisplay
            This object, with ``ax_``, ``figure_`` and ``bars_``.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.structure import KernelTemplates, KernelTemplatesDisplay
        >>> found = KernelTemplates(np.array(["a"]), np.array(["DoG"]), np.array([0.9]), 0.8, 0.01)
        >>> KernelTemplatesDisplay(found).plot().ax_.get_ylabel()
        'share with a cosine of 0.8 or more'
        """
        result = self.result
        layers = list(dict.fromkeys(result.layer.tolist()))
        if ax is None:
            import matplotlib.pyplot as plt

            width = max(4.5, min(12, 1.5 + 0.8 * len(layers)))
            _, ax = plt.subplots(figsize=(width, 3.8), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.bars_: dict[str, BarContainer] = {}
        bottom = np.zeros(len(layers))
        for name, colour in zip(NAMES, colours(len(NAMES)), strict=True):
            like = result.counts & (result.template == name)
            shares = np.array([like[result.layer == layer].mean() for layer in layers])
            style = {"color": colour, "width": 0.7, "label": name}
            self.bars_[name] = ax.bar(range(len(layers)), shares, bottom=bottom, **style | (bar_kw or {}))
            bottom = bottom + shares
        noise = [result.noise[result.layer == layer].mean() for layer in layers]
        places = np.arange(len(layers))
        ax.hlines(noise, places - 0.45, places + 0.45, color="0.25", lw=1.2, ls="--", label="white noise")
        ax.set_xticks(range(len(layers)), layers)
        ax.set(ylim=(0, 1), ylabel=f"share with a cosine of {result.threshold:g} or more")
        ax.legend(frameon=False, fontsize="small", ncols=2)
        ax.spines[["top", "right"]].set_visible(False)
        return self
