"""DecisionRegionsDisplay: what several models say on one plane, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import check_labels, positions
from skhalfway._randomness import undisturbed
from skhalfway.boundaries._paths import check_tol, trace_all
from skhalfway.boundaries._planes import DecisionRegions, decision_regions
from skhalfway.boundaries._points import read_several
from skhalfway.boundaries._region_labels import SIDES, places_of_labels
from skhalfway.displays._style import colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FONT_SIZE = 9
_SQUARE: dict[str, Any] = {"marker": "s", "ms": 6, "color": "k", "ls": "", "zorder": 4}
_DIAMOND: dict[str, Any] = {"marker": "D", "ms": 7, "mfc": "w", "mec": "k", "mew": 1.1, "ls": "", "zorder": 5}
# seen inside a diamond where the answer changes just halfway
_DOT: dict[str, Any] = {"marker": "o", "ms": 3.5, "color": "k", "ls": "", "zorder": 6}


class DecisionRegionsDisplay:
    """Decision regions of several models on one plane through three samples.

    The paths between the samples are drawn with their halfway points, and with
    the places where the model's answer changes first, seen from either end. Use
    :meth:`from_estimators` or :meth:`from_regions` to make one.

    Parameters
    ----------
    regions : DecisionRegions
        What the models say on the plane.
    y : array-like of shape (3,)
        True labels of the three samples.
    crossings : array-like of shape (n_models, 3, 2), default=None
        First crossings on the paths between the samples 0 and 1, 1 and 2, 2
        and 0: as a share of the way from the former, and from the latter; nan
        where there is none. None draws no crossings.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (n_models,)
        Axes of each model.
    figure_ : matplotlib Figure
        Figure that holds them.
    ims_ : list of matplotlib AxesImage
        The regions of each model.
    sides_ : list of list of matplotlib Line2D
        The three paths, for each model.
    halfway_, crossings_ : list of matplotlib Line2D
        Halfway points, and first changes of the answer, for each model.
    samples_ : list of list of matplotlib artists
        The marks of the three samples, for each model.
    text_ : list of list of matplotlib Text
        Labels in the regions, for each model.
    legend_ : matplotlib Legend or None
        The legend of all.

    Raises
    ------
    ValueError
        If crossings or labels do not fit the regions.

    See Also
    --------
    decision_regions : Asks the models.
    skhalfway.halfway.crossings : Finds where an answer changes.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skhalfway.boundaries import DecisionRegionsDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {
    ...     "lr": LogisticRegression(max_iter=1000).fit(X, y),
    ...     "tree": DecisionTreeClassifier(random_state=0).fit(X, y),
    ... }
    >>> three = [0, 50, 100]
    >>> display = DecisionRegionsDisplay.from_estimators(models, X[three], y[three], resolution=60)
    >>> [ax.get_title() for ax in display.axes_]
    ['lr', 'tree']
    """

    def __init__(self, regions: DecisionRegions, y: Any, crossings: Any = None) -> None:
        if not isinstance(regions, DecisionRegions):
            raise TypeError(f"regions must be DecisionRegions, got {type(regions).__name__}")
        self.regions = regions
        self.y = regions.classes[check_labels(y, regions.classes, 3)]
        shape = (len(regions.names), len(SIDES), 2)
        self.crossings = np.full(shape, np.nan) if crossings is None else np.array(crossings, dtype=float)
        if self.crossings.shape != shape:
            raise ValueError(
                f"crossings must have shape {shape}: for each model and side, from either end; "
                f"got {self.crossings.shape}"
            )
        if ((self.crossings < 0) | (self.crossings > 1)).any():
            raise ValueError("crossings must be between 0 and 1, or nan")

    @classmethod
    def from_estimators(
        cls,
        models: Any,
        X3: Any,
        y3: Any,
        *,
        resolution: int = 150,
        padding: float = 0.35,
        tol: float = 1e-3,
        **kwargs: Any,
    ) -> DecisionRegionsDisplay:
        """Ask models about the plane and its paths, and draw.

        Parameters
        ----------
        models : mapping, or list of (str, model) or of models
            Fitted classifiers, two or more.
        X3 : array-like of shape (3, n_features)
            Three samples, not on a line; images may have more axes.
        y3 : array-like of shape (3,)
            Their true labels.
        resolution : int, default=150
            Points of the grid along each axis.
        padding : float, default=0.35
            Room around the samples, as a share of the plane's width and height.
        tol : float, default=1e-3
            Largest error of a crossing, as a share of its path.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : DecisionRegionsDisplay
            With the axes it drew on.

        Raises
        ------
        ValueError
            If samples, labels or a parameter do not fit; as
            :func:`decision_regions` and :func:`skhalfway.halfway.crossings` do.
        TypeError
            If an object is not a classifier.
        NotFittedError
            If a model is not fitted.
        """
        check_tol(tol)
        regions = decision_regions(models, X3, resolution=resolution, padding=padding)
        with undisturbed():
            seen, samples, _ = read_several(models, X3)
            begin, end = samples[SIDES.ravel()], samples[SIDES[:, ::-1].ravel()]
            found = trace_all(list(seen.values()), begin, end, tol, names=list(seen))
        return cls(regions, y3, [one.position.reshape(SIDES.shape) for one in found]).plot(**kwargs)

    @classmethod
    def from_regions(
        cls, regions: DecisionRegions, y: Any, crossings: Any = None, **kwargs: Any
    ) -> DecisionRegionsDisplay:
        """Draw regions that are already known.

        Parameters
        ----------
        regions : DecisionRegions
            What the models say on the plane.
        y : array-like of shape (3,)
            True labels of the three samples.
        crossings : array-like of shape (n_models, 3, 2), default=None
            First crossings on the paths between the samples.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : DecisionRegionsDisplay
            With the axes it drew on.
        """
        return cls(regions, y, crossings).plot(**kwargs)

    def plot(
        self,
        axes: Sequence[Axes] | None = None,
        *,
        include_labels: bool = True,
        image_shape: tuple[int, ...] | None = None,
        legend: bool = True,
        im_kw: dict[str, Any] | None = None,
        line_kw: dict[str, Any] | None = None,
        crossing_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> DecisionRegionsDisplay:
        """Draw the regions.

        Parameters
        ----------
        axes : sequence of Axes, default=None
            Axes to draw on, one for each model. None makes a figure.
        include_labels : bool, default=True
            Whether to write its label into each region that has room for it.
        image_shape : tuple of int, default=None
            Shape of the samples as pictures, to stand beside their labels:
            (height, width), or (3, height, width) for colours between 0 and 1.
        legend : bool, default=True
            Whether to add a legend, below a new figure or beside given axes.
        im_kw : dict, default=None
            Passed to ``ax.imshow``.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for the paths.
        crossing_kw : dict, default=None
            Passed to ``ax.plot`` for the crossings.
        text_kw : dict, default=None
            Passed to ``ax.text`` for the labels in the regions.

        Returns
        -------
        display : DecisionRegionsDisplay
            This object, with its attributes.

        Raises
        ------
        ValueError
            If there is not one Axes for each model, or samples are not of
            that shape.
        """
        regions, n = self.regions, len(self.regions.names)
        own = axes is None
        given = np.array([] if axes is None else axes, dtype=object).ravel()
        if not own and len(given) != n:
            raise ValueError(f"axes must be {n}, one for each model; got {len(given)}")
        pictures = None
        if image_shape is not None:
            if len(image_shape) not in (2, 3) or np.prod(image_shape) != regions.samples[0].size:
                raise ValueError(
                    f"image_shape={tuple(image_shape)} does not fit samples of shape "
                    f"{regions.samples.shape[1:]}"
                )
            pictures = regions.samples.reshape(3, *image_shape)
            if len(image_shape) == 3:
                pictures = np.moveaxis(pictures, 1, -1)  # matplotlib has colours last
        index = positions(regions.labels, regions.classes)
        # only what is seen needs a colour; the samples' own classes have the first
        own_classes = positions(self.y, regions.classes)
        seen = np.union1d(index, own_classes)
        paint: NDArray[np.float64] = np.full((len(regions.classes), 3), np.nan)
        paint[list(dict.fromkeys([*own_classes, *seen]))] = _light(colours(len(seen)))
        self.axes_ = self._new_axes() if own else given
        self.figure_: Any = self.axes_[0].figure
        self.ims_: list[Any] = []
        self.sides_: list[Any] = []
        self.halfway_: list[Any] = []
        self.crossings_: list[Any] = []
        self.samples_: list[Any] = []
        self.text_: list[Any] = []
        for m, ax in enumerate(self.axes_):
            self._draw_regions(ax, index[m], paint, im_kw or {})
            self.text_.append(self._write(ax, m, text_kw or {}) if include_labels else [])
            self._draw_paths(ax, m, line_kw or {}, crossing_kw or {})
            self.samples_.append(self._draw_samples(ax, pictures))
            ax.set_title(regions.names[m], fontsize=10)
        self.legend_ = self._legend(own, paint, seen) if legend else None
        return self

    def _new_axes(self) -> NDArray[Any]:
        import matplotlib.pyplot as plt

        n = len(self.regions.names)
        n_rows = ceil(n / 5)
        n_columns = ceil(n / n_rows)
        width, height = self._view()
        figure, axes = plt.subplots(
            n_rows,
            n_columns,
            figsize=(max(2.6 * n_columns, 5.6), (2.6 * height / width + 0.3) * n_rows + 0.9),
            layout="compressed",
            squeeze=False,
        )
        for ax in axes.flat[n:]:
            ax.remove()
        figure.suptitle(f"What {n} models answer on the plane through three samples", fontsize=12)
        return axes.flat[:n]

    def _view(self) -> tuple[float, float]:
        """Width and height of what is shown: the plane, and round a thin one room for what is written."""
        left, right, bottom, top = self.regions.extent
        return max(right - left, 0.6 * (top - bottom)), max(top - bottom, 0.5 * (right - left))

    def _draw_regions(
        self, ax: Axes, index: NDArray[np.intp], paint: NDArray[np.float64], im_kw: dict[str, Any]
    ) -> None:
        image: dict[str, Any] = {"extent": self.regions.extent, "origin": "lower", "interpolation": "nearest"}
        self.ims_.append(ax.imshow(paint[index], **image | im_kw))
        for c in np.unique(index)[:-1]:
            # a boundary is seen whatever the colours are
            boundary: dict[str, Any] = {"levels": [0.5], "colors": "k", "linewidths": 0.7, "alpha": 0.7}
            ax.contour(self.regions.x, self.regions.y, index == c, **boundary)
        left, right, bottom, top = self.regions.extent
        x, y, (width, height) = (left + right) / 2, (bottom + top) / 2, self._view()
        ax.set(
            xticks=[],
            yticks=[],
            xlim=(x - width / 2, x + width / 2),
            ylim=(y - height / 2, y + height / 2),
        )

    def _draw_paths(self, ax: Axes, m: int, line_kw: dict[str, Any], crossing_kw: dict[str, Any]) -> None:
        begin, end = self.regions.anchors[SIDES].transpose(1, 0, 2)
        line: dict[str, Any] = {"color": "k", "lw": 1.2, "zorder": 3}
        self.sides_.append([ax.plot(*ends, **line | line_kw)[0] for ends in np.stack([begin, end], axis=2)])
        self.halfway_ += ax.plot(*(begin + end).T / 2, **_DOT)
        share = self.crossings[m, :, :, None]
        found = np.stack([begin, end], axis=1) * (1 - share) + np.stack([end, begin], axis=1) * share
        self.crossings_ += ax.plot(*found.reshape(-1, 2).T, **_DIAMOND | crossing_kw)

    def _draw_samples(self, ax: Axes, pictures: NDArray[Any] | None) -> list[Any]:
        from matplotlib.offsetbox import AnnotationBbox, HPacker, OffsetImage, TextArea

        marks: list[Any] = list(ax.plot(*self.regions.anchors.T, **_SQUARE))
        # the third sample is above the others: away from the paths is up for it, down for them, and apart
        for i, (side, up) in enumerate(((0.7, 1), (0.3, 1), (0.5, 0))):
            text = TextArea(str(self.y[i]), textprops={"fontsize": _FONT_SIZE, "weight": "bold"})
            content: Any = text
            if pictures is not None:
                zoom = 22 / max(pictures[i].shape[:2])
                picture = OffsetImage(pictures[i], zoom=zoom, cmap="gray_r", interpolation="nearest")
                content = HPacker(children=[picture, text], align="center", pad=0, sep=3)
            mark = AnnotationBbox(
                content,
                tuple(self.regions.anchors[i]),
                xybox=(0, -7 if up else 7),
                boxcoords="offset points",
                box_alignment=(side, up),
                bboxprops={"boxstyle": "round,pad=0.2", "fc": "w", "ec": "k", "lw": 0.8},
                pad=0,
                zorder=7,
            )
            marks.append(ax.add_artist(mark))
        return marks

    def _write(self, ax: Axes, m: int, text_kw: dict[str, Any]) -> list[Any]:
        window = ax.get_window_extent()
        points = np.array([window.width, window.height]) * 72 / self.figure_.dpi
        size = _FONT_SIZE * (self._view() / points).max()
        style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": _FONT_SIZE, "color": "0.15"}
        return [
            ax.text(x, y, text, **style | text_kw) for x, y, text in places_of_labels(self.regions, m, size)
        ]

    def _legend(self, own: bool, paint: NDArray[np.float64], seen: NDArray[np.intp]) -> Any:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        handles: list[Any] = [
            Patch(fc=tuple(paint[c]), ec="k", lw=0.7, label=str(self.regions.classes[c])) for c in seen
        ]
        handles.append(Line2D([], [], label="sample, true class", **_SQUARE))
        handles.append(Line2D([], [], label="halfway", **_DOT))
        if not np.isnan(self.crossings).all():
            handles.append(Line2D([], [], label="first change", **_DIAMOND))
        if not own:
            beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}
            return self.axes_[-1].legend(handles=handles, **beside)
        # in points, about
        widths = [5.2 * len(handle.get_label()) + 32 for handle in handles]
        room = self.figure_.get_figwidth() * 72
        n_columns = len(handles) if sum(widths) < room else int(room / max(widths))
        below: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "fontsize": _FONT_SIZE}
        return self.figure_.legend(handles=handles, ncols=max(n_columns, 1), **below)


def _light(names: Iterable[Any]) -> NDArray[np.float64]:
    """Colours mixed with white, on which black is read."""
    from matplotlib.colors import to_rgb

    return 0.5 + 0.5 * np.array([to_rgb(name) for name in names])
