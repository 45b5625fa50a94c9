"""ForgettingCurveDisplay: accuracy by the number of tasks that were learned."""

from __future__ import annotations

from typing import Any

from skhalfway.inspection._curve_result_display import CurveResultDisplay
from skhalfway.inspection._forgetting import forgetting_curve
from skhalfway.inspection._forgetting_curve import ForgettingCurve, TaskCurve


class ForgettingCurveDisplay(CurveResultDisplay, draws=[TaskCurve, ForgettingCurve], by=forgetting_curve):
    """Lines of a :class:`ForgettingCurve`, or of one of its tasks.

    Use ``from_estimator`` (see :class:`CurveResultDisplay`), or ``plot`` of the curves, to make one.

    Parameters
    ----------
    result : ForgettingCurve or CurveResult
        What to draw.

    See Also
    --------
    forgetting_curve : Measures it.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import SGDClassifier
    >>> from skhalfway.inspection import ForgettingCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> tasks = [(X[y != i][::2], y[y != i][::2], X[y != i][1::2], y[y != i][1::2]) for i in range(3)]
    >>> display = ForgettingCurveDisplay.from_estimator(
    ...     SGDClassifier(), tasks, n_epochs=2, n_repeats=2, random_state=0
    ... )
    >>> list(display.lines_)
    ['none', 'joint']
    """

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        **kwargs : dict
            Passed to :meth:`CurveResultDisplay.plot`.

        Returns
        -------
        display : ForgettingCurveDisplay
            This object, with ``ax_``, ``figure_`` and ``lines_``.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.inspection import ForgettingCurve, ForgettingCurveDisplay
        >>> accuracy = {"none": [[[0.9], [0.0]], [[0.5], [0.9]]], "joint": [[[0.9], [0.0]], [[0.9], [0.9]]]}
        >>> values = {"none": np.array([[0.9], [0.7]]), "joint": np.array([[0.9], [0.9]])}
        >>> curve = ForgettingCurve(np.array([1, 2]), values, accuracy, np.array([0.5, 0.5]))
        >>> ForgettingCurveDisplay(curve).plot().ax_.get_xlabel()
        'tasks learned'
        """
        super().plot(ax, **kwargs)
        self.ax_.set_xticks(self.result.x)  # whole numbers of tasks only
        return self
