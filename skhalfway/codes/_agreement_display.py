"""CodeAgreementDisplay: draws a CodeAgreement as two matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skhalfway.codes._agreement import CodeAgreement, code_agreement
from skhalfway.displays import Display
from skhalfway.displays._heat_map import cell_texts, heat_map
from skhalfway.displays._panels import panels

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

_TITLES = {"information": "codes: adjusted mutual information", "cka": "activations: linear CKA"}


class CodeAgreementDisplay(Display, draws=[CodeAgreement], by=code_agreement):
    """Matrices of :class:`CodeAgreement`: layers of the first network by layers of the second.

    Parameters
    ----------
    result : CodeAgreement
        What to draw.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The two panels.
    figure_ : matplotlib Figure
        Figure that holds them.
    images_ : dict of str to matplotlib AxesImage
        Matrices by name: information, cka.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from skhalfway.codes import CodeAgreement, CodeAgreementDisplay
    >>> agreement = CodeAgreement(("a", "b"), ("c",), np.array([[0.2], [0.4]]), np.array([[0.5], [0.7]]))
    >>> sorted(CodeAgreementDisplay(agreement).plot().images_)
    ['cka', 'information']
    """

    def plot(
        self, axes: Any = None, *, include_values: bool = True, im_kw: dict[str, Any] | None = None
    ) -> CodeAgreementDisplay:
        """Draw the matrices.

        Parameters
        ----------
        axes : sequence of 2 matplotlib Axes, default=None
            Axes for codes and for activations. None makes a figure that grows with the
            number of layers.
        include_values : bool, default=True
            Whether to write the values into the cells.
        im_kw : dict, default=None
            Passed to ``ax.imshow``.

        Returns
        -------
        display : CodeAgreementDisplay
            This object, with ``axes_``, ``figure_`` and ``images_``.

        Raises
        ------
        ValueError
            If there are not two axes.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.codes import CodeAgreement, CodeAgreementDisplay
        >>> agreement = CodeAgreement(("a", "b"), ("c",), np.array([[0.2], [0.4]]), np.array([[0.5], [0.7]]))
        >>> CodeAgreementDisplay(agreement).plot(include_values=False).axes_.shape
        (2,)
        """
        result = self.result
        n_rows, n_columns = result.information.shape
        # room for the values in the cells, and for names beside them
        cell = 0.46 if include_values else 0.3
        size = (max(3.4, cell * n_columns + 1.6), max(3.2, cell * n_rows + 1.6))
        self.axes_ = panels(axes, len(_TITLES), *size)
        self.figure_ = self.axes_[0].figure
        self.images_: dict[str, AxesImage] = {}
        for ax, (name, title) in zip(self.axes_, _TITLES.items(), strict=True):
            values = getattr(result, name)
            _, self.images_[name], _ = heat_map(
                ax,
                values,
                result.first,
                result.second,
                texts=cell_texts(values) if include_values else None,
                colorbar=None,
                im_kw={"vmin": 0, "vmax": 1, "cmap": "viridis"} | (im_kw or {}),
                text_kw=None,
            )
            ax.set(xlabel="second network", ylabel="first network")
            ax.set_title(title, fontsize=10)
        return self
