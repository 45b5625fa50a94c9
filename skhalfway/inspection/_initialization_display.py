"""InitializationInfluenceDisplay: differences of networks by what is varied, as points."""

from __future__ import annotations

from skhalfway.inspection._initialization import InitializationInfluence, initialization_influence
from skhalfway.inspection._named_display import NamedCurvesDisplay


class InitializationInfluenceDisplay(
    NamedCurvesDisplay, draws=[InitializationInfluence], by=initialization_influence
):
    """Points of an :class:`InitializationInfluence`: differences of networks by what is varied.

    Use ``from_estimator`` (see :class:`CurveResultDisplay`), or ``plot`` of the curves, to make one.

    Parameters
    ----------
    result : InitializationInfluence
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the points.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Points by the name of the figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.inspection import InitializationInfluenceDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> display = InitializationInfluenceDisplay.from_estimator(
    ...     MLPClassifier((5,), max_iter=8), X[::2], y[::2], X_test=X[1::2], y_test=y[1::2], n_repeats=2
    ... )
    >>> sorted(display.lines_)
    ['accuracy difference', 'disagreement', 'output change']
    """

    _bounds = (0, None)
