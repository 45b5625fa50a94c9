"""CausalStructureDisplay: layers in the plane of sensitivity and degeneracy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.displays import Display
from skhalfway.displays._style import colours, markers
from skhalfway.structure._causal import CausalStructure, causal_structure

if TYPE_CHECKING:
    from matplotlib.lines import Line2D


class CausalStructureDisplay(Display, draws=[CausalStructure], by=causal_structure):
    """Layers of a :class:`CausalStructure` in the causal plane, with their paths during training.

    Make one with ``from_estimator``, which takes a fitted network, or with the ``plot`` of the result. Layers
    to the right of the dotted line are more sensitive than degenerate.

    Parameters
    ----------
    result : CausalStructure
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plane.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        The path of each layer, by its name.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.structure import CausalStructureDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((5, 5), "logistic", tol=0.1, random_state=0).fit(X / 8, y)
    >>> display = CausalStructureDisplay.from_estimator(net, n_bins=4, n_samples=20_000, random_state=0)
    >>> sorted(display.lines_)
    ['layer_0', 'layer_1', 'layer_2']
    """

    def plot(
        self, ax: Any = None, *, of: str | None = None, line_kw: dict[str, Any] | None = None
    ) -> CausalStructureDisplay:
        """Draw the plane.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        of : {"information", "parts"}, default=None
            Kind of degeneracy, as for :meth:`CausalStructure.degeneracy`. None is
            "information" where EI is known for all layers, otherwise "parts".
        line_kw : dict, default=None
            Passed to ``ax.plot`` for each layer.

        Returns
        -------
        display : CausalStructureDisplay
            This object, with ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If ``of`` is neither.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.structure import CausalStructure, CausalStructureDisplay
        >>> structure = CausalStructure(("hidden",), np.array([4.0]), np.array([2.5]), np.array([3.5]))
        >>> list(CausalStructureDisplay(structure).plot(of="parts").lines_)
        ['hidden']
        """
        result = self.result
        if of is None:
            of = "parts" if np.isnan(result.information).any() else "information"
        x, y = (np.atleast_2d(values) for values in result.plane(of))
        if ax is None:
            import matplotlib.pyplot as plt

            _, ax = plt.subplots(figsize=(5.5, 4.2), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.lines_: dict[str, Line2D] = {}
        n = len(result.layers)
        for i, (name, colour, marker) in enumerate(zip(result.layers, colours(n), markers(n), strict=True)):
            style = {"color": colour, "marker": marker, "markevery": [-1], "lw": 1.2, "ms": 7, "label": name}
            (self.lines_[name],) = ax.plot(x[:, i], y[:, i], **style | (line_kw or {}))
        ax.axvline(0, color="0.5", lw=1, ls=":")
        what = "EI" if of == "information" else "EI of parts"
        ax.set(
            xlabel=r"(sensitivity $-$ degeneracy) / $\sqrt{2}$ [bits]",
            ylabel=r"(sensitivity + degeneracy) / $\sqrt{2}$ [bits]",
        )
        title = "" if result.epochs is None else f", epochs {result.epochs[0]:g} to {result.epochs[-1]:g}"
        ax.set_title(f"degeneracy: sensitivity minus {what}{title}", fontsize="medium")
        ax.legend(frameon=False)
        ax.spines[["top", "right"]].set_visible(False)
        return self
