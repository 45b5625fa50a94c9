"""DistillationDisplay: accuracy and agreement of a teacher and its students, as points."""

from __future__ import annotations

from skhalfway.inspection._distillation import Distillation, distill
from skhalfway.inspection._named_display import NamedCurvesDisplay


class DistillationDisplay(NamedCurvesDisplay, draws=[Distillation], by=distill):
    """Points of a :class:`Distillation`, with confidence intervals.

    Use ``from_estimator`` (see :class:`CurveResultDisplay`), or ``plot`` of the curves, to make one.

    Parameters
    ----------
    result : Distillation
        What to draw.

    See Also
    --------
    distill : Measures it.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skhalfway.inspection import DistillationDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(20, random_state=0).fit(X[::2], y[::2])
    >>> display = DistillationDisplay.from_estimator(
    ...     forest, DecisionTreeClassifier(max_depth=2), X[::2], y[::2], X_test=X[1::2], y_test=y[1::2],
    ...     n_repeats=2, random_state=0
    ... )
    >>> sorted(display.lines_)
    ['accuracy', 'agreement']
    """
