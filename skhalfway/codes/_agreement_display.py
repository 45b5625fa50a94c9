"""CodeAgreementDisplay: CodeAgreement as two matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.codes._agreement import CodeAgreement
from skhalfway.codes._depth import panels
from skhalfway.displays._style import figure_text

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

_TITLES = {"information": "codes: adjusted mutual information", "cka": "activations: linear CKA"}


class CodeAgreementDisplay:
    """Matrices of :class:`CodeAgreement`: layers of the first network by layers of the second.

    Parameters
    ----------
    agreement : CodeAgreement
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

    def __init__(self, agreement: CodeAgreement) -> None:
        self.agreement = agreement

    @classmethod
    def from_estimators(
        cls, first: Any, second: Any, X: Any, *, plot_kw: dict[str, Any] | None = None
    ) -> CodeAgreementDisplay:
        """Compare and draw.

        Parameters
        ----------
        first : CodeMap
            Fitted, of one network.
        second : CodeMap
            Fitted, of the other.
        X : array-like of shape (n_samples, n_features)
            Samples.
        plot_kw : dict, default=None
            Passed to :meth:`plot`.

        Returns
        -------
        display : CodeAgreementDisplay
            With the axes it drew on.
        """
        from skhalfway.codes._agreement import code_agreement

        return cls(code_agreement(first, second, X)).plot(**plot_kw or {})

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
        result = self.agreement
        self.axes_ = panels(axes, len(_TITLES), len(result.second))
        self.figure_ = self.axes_[0].figure
        self.images_: dict[str, AxesImage] = {}
        style: dict[str, Any] = {"vmin": 0, "vmax": 1, "cmap": "viridis"} | (im_kw or {})
        for ax, (name, title) in zip(self.axes_, _TITLES.items(), strict=True):
            values = getattr(result, name)
            self.images_[name] = ax.imshow(values, **style)
            ax.set_xticks(
                range(len(result.second)), result.second, rotation=45, ha="right", rotation_mode="anchor"
            )
            ax.set_yticks(range(len(result.first)), result.first)
            ax.set(xlabel="second network", ylabel="first network", title=title)
            if include_values:
                shades = self.images_[name].to_rgba(values)[..., :3] @ (0.299, 0.587, 0.114)
                for (i, j), value in np.ndenumerate(values):
                    ax.text(
                        j,
                        i,
                        figure_text(value),
                        ha="center",
                        va="center",
                        color="w" if shades[i, j] < 0.5 else "k",
                    )
        return self
