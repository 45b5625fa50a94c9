"""LossPathDisplay: the loss along straight lines between weights."""

from __future__ import annotations

from typing import Any

from skhalfway.inspection._curve_result_display import CurveResultDisplay
from skhalfway.inspection._loss_path import LossPath, loss_path

_LABELS = {"loss": "mean cross-entropy", "accuracy": "accuracy"}


class LossPathDisplay(CurveResultDisplay, draws=[LossPath], by=loss_path):
    """Lines of a :class:`LossPath`.

    Use ``from_estimator`` (see :class:`CurveResultDisplay`), or ``plot`` of the curves, to make one.

    Parameters
    ----------
    result : LossPath
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Lines by the name of the figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.inspection import LossPathDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((8,), solver="lbfgs", alpha=1, max_iter=1000)
    >>> display = LossPathDisplay.from_estimator(net, X, y, n_repeats=1, random_state=0)
    >>> sorted(display.lines_)
    ['loss between solutions', 'loss from initialisation']
    """

    def plot(self, ax: Any = None, *, names: list[str] | None = None, **kwargs: Any) -> LossPathDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        names : list of str, default=None
            Figures to draw. None draws all losses.
        **kwargs : dict
            Passed to :meth:`CurveResultDisplay.plot`.

        Returns
        -------
        display : LossPathDisplay
            This object, with ``ax_``, ``figure_`` and ``lines_``.

        Raises
        ------
        ValueError
            If a name is unknown.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.inspection import LossPath, LossPathDisplay
        >>> path = LossPath(np.linspace(0, 1, 3), {"loss between solutions": np.array([[0.2], [0.9], [0.1]])})
        >>> LossPathDisplay(path).plot().ax_.get_ylabel()
        'mean cross-entropy'
        """
        chosen = [name for name in self.result.values if "loss" in name] if names is None else names
        super().plot(ax, names=chosen, **kwargs)
        kinds = {kind for kind in _LABELS for name in chosen if kind in name}
        self.ax_.set_ylabel(" or ".join(_LABELS[kind] for kind in sorted(kinds, reverse=True)))
        return self
