"""CodeAgreementDisplay: CodeAgreement as two matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skhalfway.codes._agreement import CodeAgreement, code_agreement
from skhalfway.codes._depth import panels
from skhalfway.displays import Display
from skhalfway.displays._heat_map import cell_texts, heat_map

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
            For codes and for activations. None makes a figure.
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
        """
        result = self.result
        self.axes_ = panels(axes, len(_TITLES), len(result.second), len(result.first))
        self.figure_ = self.axes_[0].figure
        self.images_: dict[str, AxesImage] = {}
        style: dict[str, Any] = {"vmin": 0, "vmax": 1, "cmap": "viridis"} | (im_kw or {})
        for ax, (name, title) in zip(self.axes_, _TITLES.items(), strict=True):
            values = getattr(result, name)
            texts = cell_texts(values) if include_values else None
            self.images_[name], _ = heat_map(
                ax, values, result.first, result.second, texts=texts, colorbar=None, im_kw=style, text_kw=None
            )
            ax.set(xlabel="second network", ylabel="first network", title=title)
        return self
