"""CodeMapDisplay: the maps of a network's layers, coloured by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._intervals import ratio
from skhalfway._text import shown
from skhalfway.codes._depth import panels
from skhalfway.codes._homogeneity import Homogeneity
from skhalfway.displays import Display
from skhalfway.displays._style import colours
from skhalfway.results._table import ink_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray


class CodeMapDisplay(Display, draws=[Homogeneity], kind="maps"):
    """Maps of a network's layers: each unit in the colour of its commonest class, the paler the less pure.

    The class is written into the unit, too.
    A unit of that class alone has the full colour; one where it is as rare as
    it can be, with all classes alike, is white. A unit without samples is
    crossed out.

    Use :meth:`from_estimator`, or ``plot("maps")`` of a result.

    Parameters
    ----------
    result : Homogeneity
        What to draw.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        A panel for each layer.
    figure_ : matplotlib Figure
        Figure that holds them.
    images_ : dict of str to matplotlib AxesImage
        Maps by layer.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.codes import CodeMap, CodeMapDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((10, 10), solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
    >>> code_map = CodeMap(net, shape=(4, 4), n_iter=2000, random_state=0).fit(X)
    >>> display = CodeMapDisplay.from_estimator(code_map, X, y)
    >>> list(display.images_)
    ['activation_1', 'activation_2', 'layer_2']
    """

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any, *, plot_kw: dict[str, Any] | None = None, **kwargs: Any
    ) -> CodeMapDisplay:
        """Look samples up and draw.

        Parameters
        ----------
        estimator : CodeMap
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Their classes.
        plot_kw : dict, default=None
            Passed to :meth:`plot`.
        **kwargs : dict
            Passed to :meth:`CodeMap.homogeneity`.

        Returns
        -------
        display : CodeMapDisplay
            With the axes it drew on.
        """
        from skhalfway.codes._codemap import fitted_map

        return cls(fitted_map(estimator).homogeneity(X, y, **kwargs)).plot(**plot_kw or {})

    def plot(
        self,
        axes: Any = None,
        *,
        layers: Sequence[str] | None = None,
        include_classes: bool = True,
        im_kw: dict[str, Any] | None = None,
        legend: bool = True,
    ) -> CodeMapDisplay:
        """Draw the maps.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            One for each layer. None makes a figure.
        layers : list of str, default=None
            Layers to draw. None is all.
        include_classes : bool, default=True
            Whether to write the commonest class into each unit.
        im_kw : dict, default=None
            Passed to ``ax.imshow``.
        legend : bool, default=True
            Whether to add a legend of the classes, beside the maps.

        Returns
        -------
        display : CodeMapDisplay
            This object, with ``axes_``, ``figure_`` and ``images_``.

        Raises
        ------
        ValueError
            If a layer is unknown, or there are not as many axes.
        """
        from matplotlib.colors import to_rgb
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        result = self.result
        chosen = list(result.layers) if layers is None else list(layers)
        if not chosen or (unknown := [name for name in chosen if name not in result.layers]):
            raise ValueError(
                f"layers must be of {shown(list(result.layers))}, got {shown(unknown if chosen else chosen)}"
            )
        self.axes_ = panels(axes, len(chosen), 0)
        self.figure_ = self.axes_[0].figure
        hues = np.array([to_rgb(hue) for hue in colours(len(result.classes))])
        chance = 1 / len(result.classes)
        self.images_: dict[str, AxesImage] = {}
        for ax, name in zip(self.axes_, chosen, strict=True):
            counts = result.counts[result.layers.index(name)]
            purity = ratio(counts.max(axis=1), counts.sum(axis=1))[:, None]
            strength = (purity - chance) / (1 - chance)
            shades = 1 + np.nan_to_num(strength) * (hues[counts.argmax(axis=1)] - 1)
            self.images_[name] = ax.imshow(shades.reshape(*result.shape, 3), **im_kw or {})
            rows, columns = np.unravel_index(np.flatnonzero(np.isnan(purity)), result.shape)
            ax.scatter(columns, rows, marker="x", color="0.6", s=30)
            if include_classes:
                self._write(ax, counts, shades.reshape(*result.shape, 3))
            ax.set(xticks=[], yticks=[], title=name)
        if legend:
            handles: list[Any] = [
                Patch(color=hue, label=str(label)) for hue, label in zip(hues, result.classes, strict=True)
            ]
            handles.append(Line2D([], [], ls="", marker="x", color="0.6", label="no sample"))
            self.figure_.legend(handles=handles, loc="outside right center", frameon=False)
        return self

    def _write(self, ax: Axes, counts: NDArray[np.intp], shades: NDArray[np.float64]) -> None:
        """Write the commonest class into each unit that has samples."""
        result = self.result
        points = ax.get_window_extent().width / self.figure_.dpi * 72 / result.shape[1]
        longest = max(len(str(label)) for label in result.classes)
        size = min(9.0, points / max(1.8, 0.7 * longest))
        for place, samples in enumerate(counts):
            if samples.any():
                row, column = divmod(place, result.shape[1])
                label = str(result.classes[samples.argmax()])
                ink = ink_on(255 * shades[row, column])
                ax.text(column, row, label, ha="center", va="center", fontsize=size, color=ink)
