"""LossSurfaceDisplay: contours of the loss around a network's weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skhalfway._checks import check_choice
from skhalfway.displays import Display
from skhalfway.inspection._loss_surface import LABELS, LossSurface, loss_surface

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_N_LEVELS = 14


class LossSurfaceDisplay(Display, draws=[LossSurface], by=loss_surface):
    """Contours of a :class:`LossSurface`.

    Make one with ``from_estimator``, ``from_result``, or the ``plot`` of the surface.

    Parameters
    ----------
    result : LossSurface
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the contours.
    figure_ : matplotlib Figure
        Figure that holds them.
    contours_ : matplotlib QuadContourSet
        Lines of equal loss or accuracy.
    filled_ : matplotlib QuadContourSet
        The colours between them.
    colorbar_ : matplotlib Colorbar or None
        Scale of the colours.

    See Also
    --------
    LossSurface : The figures.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.inspection import LossSurfaceDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((8,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0).fit(X, y)
    >>> display = LossSurfaceDisplay.from_estimator(net, X, y, n_points=5, random_state=0)
    >>> display.ax_.get_xlabel()
    'step along the first direction'
    """

    def plot(
        self,
        ax: Axes | None = None,
        *,
        name: str = "loss",
        levels: Any = None,
        colorbar: bool = True,
        contour_kw: dict[str, Any] | None = None,
    ) -> LossSurfaceDisplay:
        """Draw the contours, and a dot where the network is.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        name : {"loss", "accuracy"}, default="loss"
            Figure to draw.
        levels : array-like, default=None
            Values of the contours. None spaces them evenly. Use the same levels
            for surfaces that are to be compared.
        colorbar : bool, default=True
            Whether to add a colour bar.
        contour_kw : dict, default=None
            Passed to ``ax.contourf``.

        Returns
        -------
        display : LossSurfaceDisplay
            This object, with its attributes.

        Raises
        ------
        ValueError
            If the name is unknown.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.inspection import LossSurface, LossSurfaceDisplay
        >>> bowl = np.array([[1.0, 0.5, 1.0], [0.5, 0.0, 0.5], [1.0, 0.5, 1.0]])
        >>> surface = LossSurface(np.array([-1.0, 0.0, 1.0]), bowl, 1 - bowl)
        >>> LossSurfaceDisplay(surface).plot(name="accuracy").colorbar_.ax.get_ylabel()
        'accuracy'
        """
        import matplotlib.pyplot as plt

        check_choice("name", name, LABELS)
        if ax is None:
            _, ax = plt.subplots(figsize=(5.6, 4.6), layout="constrained")
        figure: Any = ax.figure
        # matplotlib draws columns along the horizontal axis
        grid = (self.result.steps, self.result.steps, getattr(self.result, name).T)
        shades: dict[str, Any] = {"cmap": "viridis", "levels": _N_LEVELS}
        if levels is not None:
            shades |= {"levels": levels, "extend": "both"}
        self.filled_ = ax.contourf(*grid, **shades | (contour_kw or {}))
        self.contours_ = ax.contour(*grid, levels=self.filled_.levels, colors="k", linewidths=0.5, alpha=0.6)
        ax.plot(0, 0, marker="o", ms=6, mfc="w", mec="k")
        ax.set(
            xlabel="step along the first direction", ylabel="step along the second direction", aspect="equal"
        )
        ax.locator_params(nbins=5)
        self.colorbar_ = figure.colorbar(self.filled_, ax=ax, label=LABELS[name]) if colorbar else None
        self.ax_, self.figure_ = ax, figure
        return self
