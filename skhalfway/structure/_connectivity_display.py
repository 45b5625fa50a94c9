"""ConnectivityDisplay: the spectrum of a network's kernel at initialisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.displays import Display
from skhalfway.displays._style import colours
from skhalfway.structure._connectivity import Connectivity, connectivity

if TYPE_CHECKING:
    from matplotlib.lines import Line2D


class ConnectivityDisplay(Display, draws=[Connectivity], by=connectivity):
    """Eigenvalues of the kernel of a :class:`Connectivity`; parts with small ones are learned slowly.

    Make one with ``from_estimator``, which takes a network or edges and a ``correlation``, or with the
    ``plot`` of the result.

    Parameters
    ----------
    result : Connectivity
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the spectrum.
    figure_ : matplotlib Figure
        Figure that holds them.
    line_ : matplotlib Line2D
        The eigenvalues, in decreasing order.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from skhalfway.structure import ConnectivityDisplay
    >>> chain = [("x", "a", "weights"), ("a", "y", "weights")]
    >>> ConnectivityDisplay.from_estimator(chain, correlation=0.5).line_.get_ydata().round(2)
    array([7.16, 0.32, 0.32, 0.32, 0.32, 0.32, 0.32, 0.32, 0.32, 0.32])
    """

    def plot(self, ax: Any = None, *, line_kw: dict[str, Any] | None = None) -> ConnectivityDisplay:
        """Draw the spectrum.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        line_kw : dict, default=None
            Passed to ``ax.plot``.

        Returns
        -------
        display : ConnectivityDisplay
            This object, with ``ax_``, ``figure_`` and ``line_``.

        Raises
        ------
        ValueError
            If the result has no kernel.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.structure import Connectivity, ConnectivityDisplay
        >>> found = Connectivity(1.0, 3.0, 3, np.array([1.5, 0.5]))
        >>> ConnectivityDisplay(found).plot().ax_.get_title()
        'effective depth 1, effective width 3'
        """
        result = self.result
        if result.eigenvalues is None:
            raise ValueError("there is no kernel to draw; pass correlation to connectivity")
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        n = len(result.eigenvalues)
        style = {"color": colours(1)[0], "marker": "o", "ms": 5, "lw": 1}
        lines = ax.plot(np.arange(1, n + 1), result.eigenvalues, **style | (line_kw or {}))
        self.line_: Line2D = lines[0]
        ax.set(yscale="log", xlabel="number of the eigenvalue")
        ax.set_ylabel("eigenvalue / mean diagonal of the kernel")
        ax.set_title(
            f"effective depth {result.depth:.3g}, effective width {result.width:.3g}", fontsize="medium"
        )
        ax.spines[["top", "right"]].set_visible(False)
        return self
