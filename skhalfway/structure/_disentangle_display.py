"""DisentanglementDisplay: the similarity of the sub-networks of classes, as a heat map."""

from __future__ import annotations

from typing import Any

from skhalfway.displays import Display
from skhalfway.displays._heat_map import cell_texts, heat_map
from skhalfway.structure._disentangle import Disentanglement, disentangle


class DisentanglementDisplay(Display, draws=[Disentanglement], by=disentangle):
    """Matrix of :attr:`Disentanglement.similarity`: classes by classes.

    Make one with ``from_estimator``, which takes a fitted network, samples and labels, or with the ``plot``
    of the result.

    Parameters
    ----------
    result : Disentanglement
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the matrix.
    figure_ : matplotlib Figure
        Figure that holds them.
    image_ : matplotlib AxesImage
        The matrix.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skhalfway.structure import Disentanglement, DisentanglementDisplay
    >>> masks = (np.array([[True, True, False], [True, False, True]]),)
    >>> counts = [8, 9], [1, 0], [10, 10]
    >>> result = Disentanglement(np.arange(2), ("hidden",), masks, *counts, np.zeros((2, 2)))
    >>> DisentanglementDisplay(result).plot().image_.get_array().data.round(2).tolist()
    [[1.0, 0.33], [0.33, 1.0]]
    """

    def plot(
        self, ax: Any = None, *, include_values: bool = True, im_kw: dict[str, Any] | None = None
    ) -> DisentanglementDisplay:
        """Draw the matrix.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure that grows with the number of classes.
        include_values : bool, default=True
            Whether to write the values into the cells.
        im_kw : dict, default=None
            Passed to ``ax.imshow``.

        Returns
        -------
        display : DisentanglementDisplay
            This object, with ``ax_``, ``figure_`` and ``image_``.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.structure import Disentanglement, DisentanglementDisplay
        >>> masks = (np.array([[True, True, False], [True, False, True]]),)
        >>> counts = [8, 9], [1, 0], [10, 10]
        >>> found = Disentanglement(np.arange(2), ("hidden",), masks, *counts, np.zeros((2, 2)))
        >>> DisentanglementDisplay(found).plot(include_values=False).ax_.get_xlabel()
        'class'
        """
        result = self.result
        values = result.similarity
        self.ax_, self.image_, _ = heat_map(
            ax,
            values,
            [str(label) for label in result.classes],
            texts=cell_texts(values) if include_values else None,
            colorbar="similarity of sub-networks",
            im_kw={"vmin": 0, "vmax": 1, "cmap": "viridis"} | (im_kw or {}),
            text_kw=None,
        )
        self.figure_ = self.ax_.figure
        self.ax_.set(xlabel="class", ylabel="class")
        return self
