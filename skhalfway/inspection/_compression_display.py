"""CompressionCurveDisplay: accuracy, agreement and size of a network by level of compression."""

from __future__ import annotations

from skhalfway.inspection._compression import CompressionCurve, compression_curve
from skhalfway.inspection._curve_result_display import CurveResultDisplay


class CompressionCurveDisplay(CurveResultDisplay, draws=[CompressionCurve], by=compression_curve):
    """Lines of a :class:`CompressionCurve`.

    Use ``from_estimator`` (see :class:`CurveResultDisplay`), or ``plot`` of the curves, to make one.

    Parameters
    ----------
    result : CompressionCurve
        What to draw.

    See Also
    --------
    compression_curve : Measures it.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.inspection import CompressionCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((32,), learning_rate_init=0.02, max_iter=300)
    >>> display = CompressionCurveDisplay.from_estimator(
    ...     net, X[::2], y[::2], X_test=X[1::2], y_test=y[1::2], n_repeats=2, random_state=0
    ... )
    >>> list(display.lines_)
    ['accuracy', 'agreement', 'size']
    """
