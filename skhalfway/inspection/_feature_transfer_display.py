"""FeatureTransferDisplay: test accuracy by the number of copied layers and by the kind of net."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from skhalfway.inspection._curve_result_display import CurveResultDisplay
from skhalfway.inspection._feature_transfer import MEANINGS, FeatureTransfer, feature_transfer


class FeatureTransferDisplay(CurveResultDisplay, draws=[FeatureTransfer], by=feature_transfer):
    """Lines of a :class:`FeatureTransfer`.

    Use ``from_estimator`` (see :class:`CurveResultDisplay`), or ``plot`` of the curves, to make one.

    Parameters
    ----------
    result : FeatureTransfer
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
    >>> import numpy as np
    >>> from skhalfway.inspection import FeatureTransfer, FeatureTransferDisplay
    >>> transfer = FeatureTransfer(np.arange(2), {"AnB": np.array([[0.8], [0.9]])}, ("hidden", "output"))
    >>> list(FeatureTransferDisplay(transfer).plot().lines_)
    ['AnB']
    """

    _labels: ClassVar[Mapping[str, str]] = {
        name: f"{name}: {meaning}".replace(", ", ",\n") for name, meaning in MEANINGS.items()
    }

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
        display : FeatureTransferDisplay
            This object, with ``ax_``, ``figure_`` and ``lines_``.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.inspection import FeatureTransfer, FeatureTransferDisplay
        >>> transfer = FeatureTransfer(np.arange(2), {"AnB": np.array([[0.8], [0.9]])}, ("hidden", "output"))
        >>> FeatureTransferDisplay(transfer).plot().ax_.get_xlabel()
        'layers copied'
        """
        super().plot(ax, **kwargs)
        self.ax_.set_xticks(self.result.x)  # whole numbers of layers only
        return self
