"""TransferComparisonDisplay: paired differences of two experiments as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._text import counted
from skhalfway.displays import Display
from skhalfway.displays._heat_map import difference_texts, fit, heat_map
from skhalfway.displays._style import MINUS
from skhalfway.transfer._comparison import TransferComparison
from skhalfway.transfer._shown import drawn_attack, drawn_samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from skhalfway.results import Provenance

SMALLEST = 0.1  # the colour scale reaches at least so far


class TransferComparisonDisplay(Display, draws=[TransferComparison]):
    """Paired differences of two transfer experiments, as a heat map.

    Parameters
    ----------
    result : TransferComparison
        The comparison to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the heat map.
    figure_ : matplotlib Figure
        Figure that holds them.
    im_ : matplotlib AxesImage
        The heat map itself.
    text_ : ndarray of shape (n_sources, n_targets) or None
        The differences written in the cells; significant ones have a star.

    See Also
    --------
    TransferComparison : The differences that are drawn.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression, RidgeClassifier
    >>> from skhalfway import AdversarialGenerator, TransferScorer
    >>> from skhalfway.transfer import TransferComparisonDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "ridge": RidgeClassifier().fit(X, y)}
    >>> weak, strong = (
    ...     TransferScorer(AdversarialGenerator(eps=eps), random_state=0).fit(models) for eps in (0.4, 0.5)
    ... )
    >>> comparison = weak.transfer(X[::10], y[::10]).compare(strong.transfer(X[::10], y[::10]))
    >>> TransferComparisonDisplay.from_result(comparison).text_.shape
    (2, 2)
    """

    def plot(
        self,
        ax: Axes | None = None,
        *,
        include_values: bool = True,
        include_intervals: bool = False,
        simultaneous: bool = False,
        cmap: Any = "RdBu_r",
        colorbar: bool = True,
        im_kw: dict[str, Any] | None = None,
        text_kw: dict[str, Any] | None = None,
    ) -> TransferComparisonDisplay:
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure whose size grows with the
            number of models.
        include_values : bool, default=True
            Whether to write the differences into the cells.
        include_intervals : bool, default=False
            Whether to write the confidence intervals of the differences below them.
        simultaneous : bool, default=False
            Whether their level holds for all of them together
            (:meth:`~skhalfway.transfer.TransferComparison.confidence_interval`).
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colours, from pairs that fool less often in the other experiment to pairs that fool more often.
            The scale ends at the largest difference, and not below .1, so that small differences look small.
        colorbar : bool, default=True
            Whether to add a colour bar.
        im_kw : dict, default=None
            Passed to ``ax.imshow``.
        text_kw : dict, default=None
            Passed to ``ax.text``.

        Returns
        -------
        display : TransferComparisonDisplay
            This object, with ``ax_``, ``figure_``, ``im_`` and ``text_``.
        """
        comparison = self.result
        differences = comparison.differences
        texts = None
        if include_values:
            intervals = None
            if include_intervals:
                intervals = comparison.confidence_interval(simultaneous=simultaneous)
            texts = difference_texts(differences, intervals)
            for place in zip(*comparison.significant.nonzero(), strict=True):
                value, *interval = texts[place].split("\n")
                texts[place] = "\n".join([f"{value} *", *interval])
        most = max(SMALLEST, float(np.abs(np.nan_to_num(differences)).max()))
        ax, self.im_, self.text_ = heat_map(
            ax,
            differences,
            comparison.sources,
            comparison.targets,
            texts=texts,
            colorbar="difference" if colorbar else None,
            im_kw={"cmap": cmap, "vmin": -most, "vmax": most} | (im_kw or {}),
            text_kw=text_kw,
            include_intervals=include_intervals,
            longest_text=0 if texts is None else 1 + max(map(len, "\n".join(texts.flat).split("\n"))),
        )
        ax.set(xlabel="target", ylabel="source")
        n_tests = counted(int(comparison.tested.sum()), "test")
        ax.set_title(
            f"{_experiments(comparison.provenance)}mean {comparison._mean().replace('-', MINUS)}\n"
            f"(*: p at most {1 - comparison.level:.2g}, Holm, {n_tests})",
            fontsize=10,
        )
        fit(ax, self.text_)
        figure: Any = ax.figure
        self.ax_, self.figure_ = ax, figure
        return self


def _experiments(provenance: Provenance | None) -> str:
    """What is subtracted from what, as lines of the title."""
    whole = "the other experiment minus the first:\n"
    if provenance is None:
        return whole
    n, settings = drawn_samples(provenance).replace("\n", ", "), dict(provenance.settings)
    both = [settings | settings.get(name, {}) for name in ("other", "first")]
    lines = [drawn_attack(one) for one in both]
    if lines[0] == lines[1]:
        return whole + lines[0] + n
    lines = [drawn_attack(one, before) for one, before in zip(both, ("", "minus "), strict=True)]
    return "".join(lines) + n
