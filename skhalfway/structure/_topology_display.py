"""NetworkTopologyDisplay: the persistence diagram of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway.displays import Display
from skhalfway.displays._style import colours
from skhalfway.structure._topology import NetworkTopology, network_topology

if TYPE_CHECKING:
    from matplotlib.collections import PathCollection


class NetworkTopologyDisplay(Display, draws=[NetworkTopology], by=network_topology):
    """Persistence diagram of a :class:`NetworkTopology`; pairs that last long are far above the diagonal.

    Make one with ``from_estimator``, which takes a fitted network, or with the ``plot`` of the result. Equal
    pairs are one marker, whose size grows with their number. Pairs without end are on a line at the top.

    Parameters
    ----------
    result : NetworkTopology
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the diagram.
    figure_ : matplotlib Figure
        Figure that holds them.
    markers_ : dict of str to matplotlib PathCollection
        Markers under ``"components"`` and ``"loops"``, where there are any.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.structure import NetworkTopologyDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((8, 6), solver="lbfgs", max_iter=500, random_state=0).fit(X, y)
    >>> sorted(NetworkTopologyDisplay.from_estimator(net).markers_)
    ['components', 'loops']
    """

    def plot(self, ax: Any = None, *, scatter_kw: dict[str, Any] | None = None) -> NetworkTopologyDisplay:
        """Draw the diagram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a figure.
        scatter_kw : dict, default=None
            Passed to ``ax.scatter`` for both dimensions.

        Returns
        -------
        display : NetworkTopologyDisplay
            This object, with ``ax_``, ``figure_`` and ``markers_``.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> from skhalfway.structure import NetworkTopology, NetworkTopologyDisplay
        >>> topology = NetworkTopology([[1, 2]], [[2, 3]], (2, 1), [1.0, 0.5, 0.25])
        >>> NetworkTopologyDisplay(topology).plot().ax_.get_xlabel()
        'birth (level)'
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots(figsize=(5, 4.5), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        self.markers_: dict[str, PathCollection] = {}
        result = self.result
        exact = result.levels is None
        parts = {"components": result.components, "loops": result.loops}
        every = np.concatenate(list(parts.values()))
        # the last level has the largest number, while the last relevance is the smallest
        last = every[every > 0].min() if exact else len(result.levels) + 1
        top = last / 3 if exact else 1.06 * last
        for (name, pairs), colour, marker in zip(parts.items(), colours(2), "^o", strict=True):
            if not len(pairs):
                continue
            places, counts = np.unique(pairs, axis=0, return_counts=True)
            places[~np.isfinite(places) | (places == 0)] = top
            style = {"s": 8 + 40 * np.sqrt(counts / counts.max()), "alpha": 0.6, "lw": 0, "marker": marker}
            label = f"{name}: {len(pairs)}"
            self.markers_[name] = ax.scatter(
                *places.T, **style | {"color": colour, "label": label} | (scatter_kw or {})
            )
        unit = "relevance" if exact else "level"
        ends = (1.0, float(last))
        ax.plot(ends, ends, color="0.6", lw=1)
        ax.axhline(top, color="0.6", lw=1, ls=":")
        ax.annotate(
            "without end", (1, top), xycoords=ax.get_yaxis_transform(), xytext=(4, 0),
            textcoords="offset points", va="center", color="0.35",
        )  # fmt: skip
        if exact:  # paths are added as the threshold decreases, so axes are reversed
            ax.set(xscale="log", yscale="log", xlim=(1.5, top / 1.5), ylim=(1.5, top / 3))
        else:
            ax.set_ylim(top=1.08 * top)
        ax.set(xlabel=f"birth ({unit})", ylabel=f"death ({unit})")
        ax.legend(frameon=False, loc="lower right")
        ax.spines[["top", "right"]].set_visible(False)
        return self
