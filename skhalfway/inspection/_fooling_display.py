"""FoolingInputsDisplay: confidences by kind of input, and the inputs as images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway.displays import Display
from skhalfway.displays._style import colours, dashes
from skhalfway.inspection._fooling import DATA, OPTIMISED, FoolingInputs, fooling_inputs

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TICKS = (0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
_SUREST = 1 - 1e-6  # end of the axis: on a logit scale, 1 is at infinity
_N_IMAGES = 10


class FoolingInputsDisplay(Display, draws=[FoolingInputs], by=fooling_inputs):
    """Confidences of :class:`FoolingInputs` by kind, and the images with the highest confidence.

    Make one with ``from_estimator``, ``from_result``, or the ``plot`` of the result.

    Parameters
    ----------
    result : FoolingInputs
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the confidences.
    image_axes_ : ndarray of Axes
        Axes of the images; empty where there are no images.
    figure_ : matplotlib Figure
        Figure that holds them.
    lines_ : dict of str to matplotlib Line2D
        Lines by kind.

    See Also
    --------
    FoolingInputs : The figures.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway.inspection import FoolingInputsDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(X, y)
    >>> display = FoolingInputsDisplay.from_estimator(model, X, n_samples=20, random_state=0)
    >>> list(display.lines_)
    ['data', 'uniform noise', 'matched noise', 'optimised noise']
    """

    def plot(
        self,
        ax: Axes | None = None,
        *,
        image_shape: tuple[int, ...] | None = None,
        legend: bool = True,
        line_kw: dict[str, Any] | None = None,
        im_kw: dict[str, Any] | None = None,
    ) -> FoolingInputsDisplay:
        """Draw, for each kind, the share of inputs with at least a given confidence.

        Where the inputs are images and the figure is new, it also shows, for each
        predicted class, the optimised noise with the highest confidence.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on, without images. None makes a figure.
        image_shape : tuple of int, default=None
            Shape of the inputs as images: (height, width), or (channels, height,
            width) with 1 or 3 channels and values between 0 and 1. None uses the
            shape of the inputs, and draws no images where these are rows.
        legend : bool, default=True
            Whether to add a legend.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for each kind.
        im_kw : dict, default=None
            Passed to ``ax.imshow`` for each image.

        Returns
        -------
        display : FoolingInputsDisplay
            This object, with its attributes.

        Raises
        ------
        ValueError
            If the inputs do not fit ``image_shape``.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.inspection import FoolingInputs, FoolingInputsDisplay
        >>> result = FoolingInputs({}, {"data": np.zeros(50)}, {"data": np.full(50, 0.9)}, 0.99)
        >>> FoolingInputsDisplay(result).plot(legend=False).ax_.get_xlabel()
        'confidence'
        """
        import matplotlib.pyplot as plt

        images = self._images(image_shape) if ax is None else []
        self.image_axes_ = np.array([], dtype=object)
        figure: Any = None if ax is None else ax.figure
        if ax is None:
            figure = plt.figure(figsize=(7.2, 5.4 if images else 4.2), layout="constrained")
            grid = figure.add_gridspec(2, len(images), height_ratios=[4, 1]) if images else None
            ax = figure.add_subplot(111 if grid is None else grid[0, :])
            if grid is not None:
                self.image_axes_ = np.array([figure.add_subplot(grid[1, i]) for i in range(len(images))])
        for place, (image, title) in zip(self.image_axes_, images, strict=True):
            place.imshow(image, **{"cmap": "gray_r", "interpolation": "nearest"} | (im_kw or {}))
            place.set_title(title, fontsize=8)
            place.set(xticks=[], yticks=[])
        self._draw(ax, line_kw or {})
        if legend:
            ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1), ncol=4)
        self.ax_, self.figure_ = ax, figure
        return self

    def _draw(self, ax: Axes, line_kw: dict[str, Any]) -> None:
        result = self.result
        least = min(confidences.min() for confidences in result.confidences.values())
        least = max(min(least, result.threshold) * 0.9, 1e-3)
        self.lines_ = {}
        n = len(result.confidences)
        styles = iter(zip(colours(n), [dashes(n + 1)[0], *dashes(n + 1)[2:]], strict=True))
        for kind, confidences in result.confidences.items():
            x, first = np.unique(np.sort(confidences).clip(least, _SUREST), return_index=True)
            share = 1 - first / len(confidences)
            # a share applies left of its confidence; after the last confidence it drops to 0, unless that is
            # the end of the axis
            x, share = np.r_[least, x, x[-1]], np.r_[1, share, share[-1] if x[-1] == _SUREST else 0]
            style: dict[str, Any] = {"lw": 2.0, "label": kind, "drawstyle": "steps-pre"}
            # only the real samples are dashed
            style |= dict(zip(("color", "ls"), ("k", "--") if kind == DATA else next(styles), strict=True))
            (self.lines_[kind],) = ax.plot(x, share, **style | line_kw)
        ax.axvline(result.threshold, color="0.4", lw=1, ls=":", zorder=0)
        ax.set_xscale("logit")
        ax.set(xlabel="confidence", ylabel="share of inputs at least as sure", ylim=(-0.03, 1.03))
        ticks = [tick for tick in _TICKS if tick > least]
        ax.set_xticks(ticks, [f"{tick:g}".removeprefix("0") for tick in ticks])
        ax.minorticks_off()
        ax.set_xlim(least, _SUREST)
        ax.spines[["top", "right"]].set_visible(False)

    def _images(self, image_shape: tuple[int, ...] | None) -> list[tuple[NDArray[Any], str]]:
        """For each predicted class, the optimised input with the highest confidence, and its title."""
        if OPTIMISED not in self.result.inputs:
            return []
        inputs, labels = self.result.inputs[OPTIMISED], self.result.labels[OPTIMISED]
        shape = inputs.shape[1:] if image_shape is None else tuple(image_shape)
        if image_shape is None and len(shape) < 2:
            return []
        if len(shape) not in (2, 3) or np.prod(shape) != np.prod(inputs.shape[1:]):
            raise ValueError(f"image_shape={shape} does not fit inputs of shape {inputs.shape[1:]}")
        if len(shape) == 3 and shape[0] not in (1, 3):
            raise ValueError(f"images must have 1 or 3 channels, got shape {shape}; pass image_shape")
        sure, found = self.result.confidences[OPTIMISED], []
        for label in np.unique(labels)[:_N_IMAGES]:
            best = np.flatnonzero(labels == label)[sure[labels == label].argmax()]
            image = np.moveaxis(inputs[best].reshape(shape), 0, -1) if len(shape) == 3 else inputs[best]
            image = image.reshape(shape[-2:]) if shape[0] == 1 or len(shape) == 2 else image
            # rounded down, so that a confidence below 1 is never shown as 1
            found.append((image, f"{label}\n{np.floor(sure[best] * 1e4) / 1e4:.4f}".replace("\n0.", "\n.")))
        return found
