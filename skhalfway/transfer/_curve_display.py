"""TransferCurveDisplay: transfer rates against the budget, as lines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._text import shown
from skhalfway.displays import Display
from skhalfway.displays._style import colours, dashes, markers
from skhalfway.transfer._curve import TransferCurve, mean_of_known, unit_of
from skhalfway.transfer._doubted import doubted
from skhalfway.transfer._shown import drawn_attack, drawn_samples, known_pairs, marked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray

_NORMS = {np.inf: r"$L_\infty$", 2: "$L_2$", 1: "$L_1$", 0: "$L_0$"}
_GREY: dict[str, Any] = {"color": "0.45", "lw": 1.5, "zorder": 2}
_BARS: dict[str, Any] = {"lw": 1.4, "ms": 4, "elinewidth": 1, "capsize": 2, "zorder": 3}
_N_BARS = 5  # number of lines with intervals; those of more lines would overlap


class TransferCurveDisplay(Display, draws=[TransferCurve]):
    """Line plot of a :class:`~skhalfway.TransferCurve`.

    Use :meth:`from_estimator` or :meth:`from_result` to make one.

    Parameters
    ----------
    result : TransferCurve
        The curve to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the lines.
    figure_ : matplotlib Figure
        Figure that holds them.
    mean_ : matplotlib Line2D or None
        Mean transfer rate over ordered pairs.
    band_ : matplotlib PolyCollection or None
        Confidence interval of that mean.
    targets_ : dict of str to matplotlib Line2D
        Mean transfer rate to each target from the others.
    sources_ : dict of str to matplotlib ErrorbarContainer
        Transfer rate from each source to the chosen target.
    noise_, source_ : matplotlib Line2D or None
        Mean rate of the noise control, and mean success on the sources themselves.

    See Also
    --------
    skhalfway.TransferCurve : The counts and rates.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import TransferCurveDisplay, TransferScorer
    >>> X, y = load_iris(return_X_y=True)
    >>> models = [LogisticRegression(max_iter=1000).fit(X, y), SVC().fit(X, y)]
    >>> scorer = TransferScorer().fit(models)
    >>> display = TransferCurveDisplay.from_estimator(scorer, X, y, eps=[0.2, 0.5, 1.0])
    >>> sorted(display.targets_)
    ['logisticregression', 'svc']
    """

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, y: Any = None, *, eps: Sequence[float], **kwargs: Any
    ) -> TransferCurveDisplay:
        """Attack at every budget and draw the curve.

        Parameters
        ----------
        estimator : TransferScorer
            Fitted scorer.
        X : array-like of shape (n_samples, n_features)
            Samples to attack.
        y : array-like of shape (n_samples,), default=None
            True labels; see :meth:`skhalfway.TransferScorer.transfer`.
        eps : sequence of float
            Budgets; see :meth:`skhalfway.TransferScorer.transfer_curve`.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : TransferCurveDisplay
            Display that holds the axes.
        """
        return cls.from_result(estimator.transfer_curve(X, y, eps=eps), **kwargs)

    def plot(
        self,
        ax: Axes | None = None,
        *,
        target: str | None = None,
        include_targets: bool = True,
        include_controls: bool = True,
        level: float = 0.95,
        cmap: Any = None,
        line_kw: dict[str, Any] | None = None,
        band_kw: dict[str, Any] | None = None,
        legend: bool = True,
    ) -> TransferCurveDisplay:
        """Draw the lines.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        target : str, default=None
            Name of a target. The plot then has a line for each source instead of the mean over pairs, with
            Wilson intervals for the 5 sources that fool the target most.
        include_targets : bool, default=True
            Whether to draw a thin line for each target.
        include_controls : bool, default=True
            Whether to draw the noise control, dashed, and the success on the
            sources themselves, dotted.
        level : float, default=0.95
            Confidence level of the band around the mean.
        cmap : str or matplotlib Colormap, default=None
            Colours of the lines. None is a palette that colour-blind readers can distinguish, for up to 10
            models. Markers and line styles differ too.
        line_kw : dict, default=None
            Passed to ``ax.plot`` for the mean.
        band_kw : dict, default=None
            Passed to ``ax.fill_between``.
        legend : bool, default=True
            Whether to add a legend, beside the axes.

        Returns
        -------
        display : TransferCurveDisplay
            This object, with ``ax_``, ``figure_``, ``mean_``, ``band_``, ``targets_``, ``sources_``,
            ``noise_`` and ``source_``. Elements that were not drawn are None or empty.

        Raises
        ------
        ValueError
            If ``target`` is not a target of the curve, or is its only source.
        """
        import matplotlib.pyplot as plt

        curve = self.result
        n = len(curve.targets if target is None else curve.sources)
        if target is not None and target not in curve.targets:
            raise ValueError(
                f"target must be one of {shown(list(curve.targets))} or None, got {shown(target)}"
            )
        if target is not None and set(curve.sources) <= {target}:
            raise ValueError(
                f"no model but {shown(target)} itself was attacked, so there is no transfer to it; draw "
                "another target, or leave target out"
            )
        if ax is None:
            # room for the legend's names
            _, ax = plt.subplots(figsize=(7.4, max(4.2, 0.24 * (n + 5))), layout="constrained")
        figure: Any = ax.figure
        self.mean_: Line2D | None = None
        self.band_: Any = None
        self.noise_: Line2D | None = None
        self.source_: Line2D | None = None
        self.targets_: dict[str, Line2D] = {}
        self.sources_: dict[str, Any] = {}
        hues = colours(n) if cmap is None else list(plt.get_cmap(cmap)(np.linspace(0.05, 0.95, n)))
        styles = [
            {"color": hue, "marker": marker, "ls": dash}
            for hue, marker, dash in zip(hues, markers(n), dashes(n), strict=True)
        ]
        if target is not None:
            self._draw_sources(ax, target, styles, level, include_controls)
        else:
            thick = {} if line_kw is None else line_kw
            self._draw_mean(ax, level, thick, {} if band_kw is None else band_kw, include_controls)
            if include_targets:
                for name, rates, style in zip(curve.targets, curve.target_rates.T, styles, strict=True):
                    label = f"to {name}" if np.isfinite(rates).any() else f"to {name} (unknown)"
                    (self.targets_[name],) = ax.plot(
                        curve.eps, rates, lw=1.3, ms=4, label=label, zorder=3, **style
                    )
        ax.set(
            xlabel=f"budget eps: {_NORMS[curve.norm]} norm, in {unit_of(curve)}",
            ylabel="transfer rate" if target is None else f"transfer rate to {target}",
            xlim=(-0.02 * curve.eps[-1], curve.eps[-1] * 1.04),
            ylim=(-0.02, 1.02),
        )
        said: list[str] = []
        if (origin := curve.provenance) is not None and "attack" in origin.settings:
            # the axis has the budget
            said = [
                drawn_attack({"attack": origin.settings["attack"]}).strip(),
                drawn_samples(origin).strip(),
            ]
            said = [", ".join(filter(None, said))]
        said += [] if curve.condition == "both_correct" else [f'condition="{curve.condition}"']
        if weak := doubted(curve):
            said.append(f"other attacks fool these more often (*): {', '.join(weak)}")
        if over := known_pairs(curve.matrices[-1]).strip():
            said.append(f"means are {over}: in the others a model failed")
        if said:
            ax.set_title("\n".join(said), fontsize=10)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
        if legend:
            # beside the axes, since the lines may be anywhere inside
            drawn, _ = ax.get_legend_handles_labels()
            # matplotlib lists containers (lines with intervals) after plain lines
            drawn.sort(key=lambda artist: artist is self.noise_)
            ax.legend(handles=drawn, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        self.ax_, self.figure_ = ax, figure
        return self

    def _draw_mean(
        self, ax: Axes, level: float, line_kw: dict[str, Any], band_kw: dict[str, Any], include_controls: bool
    ) -> None:
        curve = self.result
        low, high = curve.confidence_interval(level, of="mean_rate")
        thick: dict[str, Any] = {"color": "k", "lw": 2.2, "marker": "o", "ms": 4.5, "zorder": 4}
        (self.mean_,) = ax.plot(curve.eps, curve.mean_rates, label="mean over pairs", **thick | line_kw)
        shade: dict[str, Any] = {"color": self.mean_.get_color(), "alpha": 0.16, "lw": 0, "zorder": 1}
        self.band_ = ax.fill_between(
            curve.eps, low, high, label=f"its {100 * level:g}% interval", **shade | band_kw
        )
        if include_controls:
            (self.source_,) = ax.plot(
                curve.eps, curve.mean_source_success, ls=":", label="on the sources themselves", **_GREY
            )
            self._draw_noise(ax, curve.mean_noise)

    def _draw_sources(
        self, ax: Axes, target: str, styles: list[dict[str, Any]], level: float, include_controls: bool
    ) -> None:
        curve = self.result
        place = curve.targets.index(target)
        low, high = (bound[:, :, place] for bound in curve.confidence_interval(level))
        rates = curve.rates[:, :, place]
        # sources in the order of their rates, as in the legend
        others = [i for i, name in enumerate(curve.sources) if name != target]
        others.sort(key=lambda i: -rates[-1, i])
        labels = marked(curve)
        for k, i in enumerate(others):
            reach = None
            if k < _N_BARS:
                reach = np.stack([rates[:, i] - low[:, i], high[:, i] - rates[:, i]]).clip(0)
            # shifted sideways, so that intervals do not overlap
            shift = (min(k, _N_BARS) - min(len(others) - 1, _N_BARS) / 2) * curve.eps[-1] / 200
            self.sources_[curve.sources[i]] = ax.errorbar(
                curve.eps + shift, rates[:, i], reach, label=f"from {labels[i]}", **_BARS, **styles[i]
            )
        if include_controls:
            self._draw_noise(ax, mean_of_known(curve.noise[:, others, place]))

    def _draw_noise(self, ax: Axes, rates: NDArray[np.float64]) -> None:
        (self.noise_,) = ax.plot(self.result.eps, rates, ls="--", label="noise of that size", **_GREY)
