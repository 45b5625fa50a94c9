"""DecisionRegionsDisplay: predictions of several models on one plane, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import positions
from skhalfway.boundaries._planes import SIDES, DecisionRegions, decision_regions
from skhalfway.boundaries._region_labels import places_of_labels
from skhalfway.displays import Display
from skhalfway.displays._style import colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FONT_SIZE = 9
_SQUARE: dict[str, Any] = {"marker": "s", "ms": 6, "color": "k", "ls": "", "zorder": 4}
_DIAMOND: dict[str, Any] = {"marker": "D", "ms": 7, "mfc": "w", "mec": "k", "mew": 1.1, "ls": "", "zorder": 5}
# visible inside a diamond if the prediction changes exactly halfway
_DOT: dict[str, Any] = {"marker": "o", "ms": 3.5, "color": "k", "ls": "", "zorder": 6}


def _asked(
    models: Any,
    X3: Any,
    y3: Any = None,
    *,
    resolution: int = 150,
    padding: float = 0.35,
    tol: float = 1e-3,
    n_jobs: int | None = None,
) -> DecisionRegions:
    """Decision regions on a grid that is fine enough for drawing."""
    return decision_regions(models, X3, y3, resolution=resolution, padding=padding, tol=tol, n_jobs=n_jobs)


class DecisionRegionsDisplay(Display, draws=[DecisionRegions], by=_asked):
    """Decision regions of several models on one plane through three samples.

    The paths between the samples are drawn with their halfway points, and with
    the first change of the model's prediction from each end. Make one with
    ``from_estimator``, which takes the arguments of :func:`decision_regions`
    and has a finer grid and crossings, or with ``from_result``.

    Parameters
    ----------
    result : DecisionRegions
        The regions to draw. Samples without known labels are numbered.
        Crossings are drawn if the result has them.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (n_models,)
        Axes of each model.
    figure_ : matplotlib Figure
        Figure that holds the axes.
    ims_ : list of matplotlib AxesImage
        The regions of each model.
    sides_ : list of list of matplotlib Line2D
        The three paths, for each model.
    halfway_, crossings_ : list of matplotlib Line2D
        Halfway points, and first changes of the prediction, for each model.
        The latter is empty without crossings.
    samples_ : list of list of matplotlib artists
        The marks of the three samples, for each model.
    text_ : list of list of matplotlib Text
        Labels in the regions, for each model.
    legend_ : matplotlib Legend or None
        The legend of the figure.

    See Also
    --------
    decision_regions : Makes the regions.
    skhalfway.halfway.crossings : Finds changes of the prediction.

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
    >>> display = DecisionRegionsDisplay.from_estimator(models, X[three], y[three], resolution=60)
    >>> [ax.get_title() for ax in display.axes_]
    ['lr', 'tree']
    """

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
            Axes to draw on, one for each model. None makes a new figure.
        include_labels : bool, default=True
            Whether to write the label into each region that has room for it.
        image_shape : tuple of int, default=None
            Shape of the samples as pictures, which are drawn beside their
            labels: (height, width), or (3, height, width) for colours between
            0 and 1.
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
            If the number of axes is not that of the models, or samples do not
            fit ``image_shape``.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skhalfway.boundaries import DecisionRegionsDisplay, decision_regions
        >>> X, y = load_iris(return_X_y=True)
        >>> bayes = GaussianNB().fit(X, y)
        >>> regions = decision_regions([bayes, bayes], X[[0, 50, 100]], resolution=10)
        >>> display = DecisionRegionsDisplay.from_result(regions).plot(include_labels=False, legend=False)
        >>> len(display.ims_), display.legend_ is None
        (2, True)
        """
        regions, n = self.result, len(self.result.names)
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
        # only visible classes need colours; the samples' own classes get the first ones
        labels = regions.sample_labels
        own_classes = np.array([], int) if labels is None else positions(labels, regions.classes)
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

        n = len(self.result.names)
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
        figure.suptitle(f"Predictions of {n} models on the plane through three samples", fontsize=12)
        return axes.flat[:n]

    def _view(self) -> tuple[float, float]:
        """Width and height of the view: those of the plane, or more if it is too narrow for its texts."""
        left, right, bottom, top = self.result.extent
        return max(right - left, 0.6 * (top - bottom)), max(top - bottom, 0.5 * (right - left))

    def _draw_regions(
        self, ax: Axes, index: NDArray[np.intp], paint: NDArray[np.float64], im_kw: dict[str, Any]
    ) -> None:
        image: dict[str, Any] = {"extent": self.result.extent, "origin": "lower", "interpolation": "nearest"}
        self.ims_.append(ax.imshow(paint[index], **image | im_kw))
        for c in np.unique(index)[:-1]:
            # draw boundaries, so that they are visible with any colours
            boundary: dict[str, Any] = {"levels": [0.5], "colors": "k", "linewidths": 0.7, "alpha": 0.7}
            ax.contour(self.result.x, self.result.y, index == c, **boundary)
        left, right, bottom, top = self.result.extent
        x, y, (width, height) = (left + right) / 2, (bottom + top) / 2, self._view()
        ax.set(
            xticks=[],
            yticks=[],
            xlim=(x - width / 2, x + width / 2),
            ylim=(y - height / 2, y + height / 2),
        )

    def _draw_paths(self, ax: Axes, m: int, line_kw: dict[str, Any], crossing_kw: dict[str, Any]) -> None:
        begin, end = self.result.anchors[SIDES].transpose(1, 0, 2)
        line: dict[str, Any] = {"color": "k", "lw": 1.2, "zorder": 3}
        self.sides_.append([ax.plot(*ends, **line | line_kw)[0] for ends in np.stack([begin, end], axis=2)])
        self.halfway_ += ax.plot(*(begin + end).T / 2, **_DOT)
        if self.result.crossings is None:
            return
        share = self.result.crossings[m, :, :, None]
        found = np.stack([begin, end], axis=1) * (1 - share) + np.stack([end, begin], axis=1) * share
        self.crossings_ += ax.plot(*found.reshape(-1, 2).T, **_DIAMOND | crossing_kw)

    def _draw_samples(self, ax: Axes, pictures: NDArray[Any] | None) -> list[Any]:
        from matplotlib.offsetbox import AnnotationBbox, HPacker, OffsetImage, TextArea

        labels = self.result.sample_labels
        marks_of = ["1", "2", "3"] if labels is None else [str(label) for label in labels]
        marks: list[Any] = list(ax.plot(*self.result.anchors.T, **_SQUARE))
        # the third sample lies above the others, so its label goes above it, and theirs go below and outwards
        for i, (side, up) in enumerate(((0.7, 1), (0.3, 1), (0.5, 0))):
            text = TextArea(marks_of[i], textprops={"fontsize": _FONT_SIZE, "weight": "bold"})
            content: Any = text
            if pictures is not None:
                zoom = 22 / max(pictures[i].shape[:2])
                picture = OffsetImage(pictures[i], zoom=zoom, cmap="gray_r", interpolation="nearest")
                content = HPacker(children=[picture, text], align="center", pad=0, sep=3)
            mark = AnnotationBbox(
                content,
                tuple(self.result.anchors[i]),
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
            ax.text(x, y, text, **style | text_kw) for x, y, text in places_of_labels(self.result, m, size)
        ]

    def _legend(self, own: bool, paint: NDArray[np.float64], seen: NDArray[np.intp]) -> Any:
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        handles: list[Any] = [
            Patch(fc=tuple(paint[c]), ec="k", lw=0.7, label=str(self.result.classes[c])) for c in seen
        ]
        known = self.result.sample_labels is not None
        handles.append(Line2D([], [], label="sample, true class" if known else "sample", **_SQUARE))
        handles.append(Line2D([], [], label="halfway", **_DOT))
        if self.crossings_ and not np.isnan(self.result.crossings).all():
            handles.append(Line2D([], [], label="first change", **_DIAMOND))
        if not own:
            beside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}
            return self.axes_[-1].legend(handles=handles, **beside)
        # approximate widths in points
        widths = [5.2 * len(handle.get_label()) + 32 for handle in handles]
        room = self.figure_.get_figwidth() * 72
        n_columns = len(handles) if sum(widths) < room else int(room / max(widths))
        below: dict[str, Any] = {"loc": "outside lower center", "frameon": False, "fontsize": _FONT_SIZE}
        return self.figure_.legend(handles=handles, ncols=max(n_columns, 1), **below)


def _light(names: Iterable[Any]) -> NDArray[np.float64]:
    """Colours mixed with white, so that black text on them is readable."""
    from matplotlib.colors import to_rgb

    return 0.5 + 0.5 * np.array([to_rgb(name) for name in names])
