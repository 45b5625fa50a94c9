"""SharpnessDisplay: how fast the loss rises, by batch size."""

from __future__ import annotations

from typing import Any

from skhalfway.inspection._curve_result_display import CurveResultDisplay
from skhalfway.inspection._sharpness import Sharpness, sharpness

_LABELS = {
    "rise": "rise of the loss",
    "curvature": "largest eigenvalue of the Hessian",
    "loss": "mean cross-entropy",
}


class SharpnessDisplay(CurveResultDisplay, draws=[Sharpness], by=sharpness):
    """Lines of :class:`Sharpness`.

    Use ``from_estimator`` (see :class:`CurveResultDisplay`), or ``plot`` of the curves, to make one.

    Parameters
    ----------
    result : Sharpness
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
    >>> from skorch import NeuralNetClassifier
    >>> from torch import nn
    >>> from skhalfway.inspection import SharpnessDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = NeuralNetClassifier(
    ...     nn.Linear, module__in_features=4, module__out_features=3, criterion=nn.CrossEntropyLoss, verbose=0
    ... )
    >>> display = SharpnessDisplay.from_estimator(
    ...     net, X, y, batch_sizes=[5, 50], n_repeats=1, random_state=0
    ... )
    >>> list(display.lines_)
    ['rise']
    """

    def plot(self, ax: Any = None, *, names: list[str] | None = None, **kwargs: Any) -> SharpnessDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        names : list of str, default=None
            Figures to draw. None draws the rise.
        **kwargs : dict
            Passed to :meth:`CurveResultDisplay.plot`.

        Returns
        -------
        display : SharpnessDisplay
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
        >>> from skhalfway.inspection import Sharpness, SharpnessDisplay
        >>> curves = Sharpness(np.array([8, 64]), {"rise": np.array([[0.2], [0.4]])})
        >>> SharpnessDisplay(curves).plot().ax_.get_ylabel()
        'rise of the loss'
        """
        chosen = ["rise"] if names is None else names
        super().plot(ax, names=chosen, **kwargs)
        if len(chosen) == 1:
            self.ax_.set_ylabel(_LABELS.get(chosen[0], chosen[0]))
        sizes = self.result.x
        self.ax_.set_xticks(sizes, [str(size) for size in sizes])
        self.ax_.minorticks_off()
        return self
