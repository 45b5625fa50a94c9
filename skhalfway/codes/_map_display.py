"""CodeMapDisplay: the maps of a network's layers, coloured by class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._intervals import ratio
from skhalfway._text import shown
from skhalfway.codes._given import measured_homogeneity
from skhalfway.codes._homogeneity import Homogeneity
from skhalfway.displays import Display
from skhalfway.displays._panels import panels
from skhalfway.displays._style import colours
from skhalfway.results._table import ink_on

if TYPE_CHECKING:
    from matplotlib.image import AxesImage

_LONGEST = 3  # largest number of letters that are written into a unit


class CodeMapDisplay(Display, draws=[Homogeneity], by=measured_homogeneity, kind="maps"):
    """Maps of a network's layers: each unit has the colour of its most frequent class, paler if less pure.

    A unit with samples of a single class has the full colour. A unit with equally
    many samples of all classes is white. The class is written into the unit, or its
    number in the legend where labels are longer than three letters. A unit without
    samples is crossed out.

    Make one with ``from_estimator``, which takes a fitted :class:`CodeMap`, samples
    and their classes, or with ``homogeneity.plot(kind="maps")``.

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
    text_ : dict of str to list of matplotlib Text
        Texts in the units with samples, by layer.

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

    def plot(
        self,
        axes: Any = None,
        *,
        layers: Sequence[str] | None = None,
        include_labels: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
        legend: bool = True,
    ) -> CodeMapDisplay:
        """Draw the maps.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Axes, one for each layer. None makes a figure that grows with the maps.
        layers : list of str, default=None
            Layers to draw. None is all.
        include_labels : bool, default=True
            Whether to write the most frequent class into each unit.
        im_kw : dict, default=None
            Passed to ``ax.imshow``.
        text_kw : dict, default=None
            Passed to ``ax.text``.
        legend : bool, default=True
            Whether to add a legend of the classes, beside the maps.

        Returns
        -------
        display : CodeMapDisplay
            This object, with ``axes_``, ``figure_``, ``images_`` and ``text_``.

        Raises
        ------
        ValueError
            If a layer is unknown, or there are not as many axes as layers.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.codes import CodeMapDisplay, Homogeneity
        >>> drawn, counts = {"shared": np.array([[0.4, 0.6]])}, np.array([[[5, 5], [10, 0]]])
        >>> homogeneity = Homogeneity(("hidden",), np.array([0, 1]), (1, 2), counts, drawn, drawn)
        >>> [text.get_text() for text in CodeMapDisplay(homogeneity).plot().text_["hidden"]]
        ['0', '0']
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
        names = [str(label) for label in result.classes]
        written, entries = names, names
        if max(map(len, names)) > _LONGEST:
            written = [str(k + 1) for k in range(len(names))]
            entries = [f"{number}  {name}" for number, name in zip(written, names, strict=True)]
        n_rows, n_columns = result.shape
        self.axes_ = panels(axes, len(chosen), max(3.0, 0.26 * n_columns), max(2.8, 0.26 * n_rows + 0.4))
        self.figure_ = self.axes_[0].figure
        hues = np.array([to_rgb(hue) for hue in colours(len(names))])
        chance = 1 / len(names)
        self.images_: dict[str, AxesImage] = {}
        self.text_: dict[str, list[Any]] = {}
        for ax, name in zip(self.axes_, chosen, strict=True):
            counts = result.counts[result.layers.index(name)]
            purity = ratio(counts.max(axis=1), counts.sum(axis=1))[:, None]
            strength = (purity - chance) / (1 - chance)
            shades = 1 + np.nan_to_num(strength) * (hues[counts.argmax(axis=1)] - 1)
            self.images_[name] = ax.imshow(shades.reshape(*result.shape, 3), **im_kw or {})
            empty = np.isnan(purity[:, 0])
            rows, columns = np.unravel_index(np.flatnonzero(empty), result.shape)
            ax.scatter(columns, rows, marker="x", color="0.6", s=30)
            ax.set(xticks=[], yticks=[], title=name)
            self.text_[name] = []
            if include_labels:
                points = ax.get_window_extent().width / self.figure_.dpi * 72 / n_columns
                size = min(10.0, 0.8 * points / max(1, 0.6 * max(map(len, written))))
                for unit in np.flatnonzero(~empty):
                    row, column = divmod(int(unit), n_columns)
                    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": size}
                    style["color"] = ink_on(255 * shades[unit])
                    label = written[counts[unit].argmax()]
                    self.text_[name].append(ax.text(column, row, label, **style | (text_kw or {})))
        if legend:
            handles: list[Any] = [
                Patch(color=hue, label=entry) for hue, entry in zip(hues, entries, strict=True)
            ]
            handles.append(Line2D([], [], ls="", marker="x", color="0.6", label="no sample"))
            self.figure_.legend(handles=handles, loc="outside right center", frameon=False)
        return self
