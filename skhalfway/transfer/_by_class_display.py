"""TransferByClassDisplay: highest transfer rate of each class, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.displays import Display
from skhalfway.displays._heat_map import cell_texts, fit, heat_map
from skhalfway.transfer._by_class import TransferByClass
from skhalfway.transfer._shown import drawn_origin

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class TransferByClassDisplay(Display, draws=[TransferByClass]):
    """Highest transfer rate of each true label to each target, as a heat map.

    Parameters
    ----------
    result : TransferByClass
        The rates to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the heat map.
    figure_ : matplotlib Figure
        Figure that holds them.
    im_ : matplotlib AxesImage
        The heat map itself.
    text_ : ndarray of shape (n_labels, n_targets) or None
        The texts in the cells: the rate, the number of samples that count for it, and its source.

    See Also
    --------
    TransferByClass : The rates that are drawn.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression, RidgeClassifier
    >>> from skhalfway import AdversarialGenerator, TransferScorer
    >>> from skhalfway.transfer import TransferByClassDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "ridge": RidgeClassifier().fit(X, y)}
    >>> scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0).fit(models)
    >>> by_class = scorer.transfer(X[::10], y[::10]).by_class()
    >>> TransferByClassDisplay.from_result(by_class).text_.shape
    (3, 2)
    """

    def plot(
        self,
        ax: Axes | None = None,
        *,
        include_values: bool = True,
        cmap: Any = "YlOrRd",
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> TransferByClassDisplay:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure whose size grows with the
            number of labels and targets.
        include_values : bool, default=True
            Whether to write into the cells the rates, the number of samples that count, and the sources.
        cmap : str or matplotlib Colormap, default="YlOrRd"
            Colours from rate 0 to rate 1.
        colorbar : bool, default=True
            Whether to add a colour bar.
        im_kw : dict, default=None
            Passed to ``ax.imshow``.
        text_kw : dict, default=None
            Passed to ``ax.text``.

        Returns
        -------
        display : TransferByClassDisplay
            This object, with ``ax_``, ``figure_``, ``im_`` and ``text_``.
        """
        by_class = self.result
        rows = [f"{label} (n = {n})" for label, n in zip(by_class.labels, by_class.n_samples, strict=True)]
        texts = None
        if include_values:
            texts = cell_texts(by_class.worst)
            for place, n in np.ndenumerate(by_class.worst_eligible):
                if n:
                    texts[place] = f"{texts[place]} of {n}\n{by_class.worst_sources[place]}".rstrip()
        lines = [] if texts is None else [line for text in texts.flat for line in text.split("\n")]
        ax, self.im_, self.text_ = heat_map(
            ax,
            by_class.worst,
            rows,
            by_class.targets,
            texts=texts,
            colorbar="highest transfer rate" if colorbar else None,
            im_kw={"cmap": cmap, "vmin": 0, "vmax": 1, "aspect": "auto"} | (im_kw or {}),
            text_kw=text_kw,
            longest_text=max(map(len, lines), default=0),
        )
        ax.set(xlabel="target", ylabel="true label")
        ax.set_title(
            f"{drawn_origin(by_class.provenance)}highest transfer rate of each class,\n"
            "number of samples that count,\nand source",
            fontsize=10,
        )
        fit(ax, self.text_)
        figure: Any = ax.figure
        self.ax_, self.figure_ = ax, figure
        return self
