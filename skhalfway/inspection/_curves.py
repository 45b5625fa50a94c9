"""Curves: figures at several settings, each measured again with other seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import ConfidenceInterval, t_interval
from skhalfway._text import counted, short, shown, table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Curves:
    """Figures at several settings, each measured again with other seeds.

    Arrays are read-only.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        The settings: numbers, or names.
    values : dict of str to ndarray of shape (n_points, n_repeats)
        Figures by name; nan where one is not known.

    See Also
    --------
    CurvesDisplay : Draws them.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import Curves
    >>> Curves(np.array([1, 2]), {"accuracy": np.array([[0.5, 0.6, 0.7], [0.8, 0.8, 0.8]])})
    Curves: 2 points, 3 repeats
    x  accuracy
    1  .60 (.35 to .85)
    2  .80 (.80 to .80)
    """

    x: NDArray[Any]
    values: Mapping[str, NDArray[np.float64]]

    x_label: ClassVar[str] = "x"
    y_label: ClassVar[str] = ""
    x_scale: ClassVar[str] = "linear"

    def __post_init__(self) -> None:
        x = np.array(self.x)
        if x.ndim != 1 or not len(x):
            raise ValueError(f"x must have one axis and at least one point, got shape {x.shape}")
        x.setflags(write=False)
        values = {name: np.array(value, dtype=float) for name, value in self.values.items()}
        shapes = {value.shape for value in values.values()}
        if len(shapes) != 1 or (shape := shapes.pop())[:1] != (len(x),) or len(shape) != 2 or not shape[1]:
            found = {name: value.shape for name, value in values.items()}
            raise ValueError(f"values must be arrays of one shape ({len(x)}, n_repeats), got {shown(found)}")
        for value in values.values():
            value.setflags(write=False)
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "values", values)

    @property
    def n_repeats(self) -> int:
        """How many times each figure was measured."""
        return next(iter(self.values.values())).shape[1]

    @property
    def means(self) -> dict[str, NDArray[np.float64]]:
        """Means over repeats, each of shape (n_points,)."""
        return {name: value.mean(axis=1) for name, value in self.values.items()}

    def interval(self, level: float = 0.95) -> dict[str, ConfidenceInterval]:
        """Student's intervals of the means over repeats.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level.

        Returns
        -------
        intervals : dict of str to ConfidenceInterval
            Ends of shape (n_points,); nan with a single repeat.
        """
        return {name: t_interval(value, level) for name, value in self.values.items()}

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Means and intervals, a row for each setting.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the intervals.

        Returns
        -------
        frame : DataFrame
            Indexed by the settings, with columns (figure, "mean"),
            (figure, "low") and (figure, "high").
        """
        import pandas as pd

        columns: dict[tuple[str, str], NDArray[np.float64]] = {}
        for name, ends in self.interval(level).items():
            columns |= {(name, "mean"): self.means[name], (name, "low"): ends.low, (name, "high"): ends.high}
        return pd.DataFrame(columns, index=pd.Index(self.x, name=self.x_label))

    def plot(self, **kwargs: Any) -> Any:
        """Draw the curves.

        Parameters
        ----------
        **kwargs : dict
            Passed to the ``plot`` of the display.

        Returns
        -------
        display : CurvesDisplay
            The display of these curves, with the axes it drew on.
        """
        from skhalfway.inspection._curves_display import CurvesDisplay

        return CurvesDisplay.of(self).plot(**kwargs)

    def __repr__(self) -> str:
        head = f"{type(self).__name__}: {counted(len(self.x), 'point')}, {counted(self.n_repeats, 'repeat')}"
        means, ends = self.means, self.interval()
        rows = [[self.x_label, *self.values]]
        for i, x in enumerate(self.x):
            cells = []
            for name in self.values:
                cell = short(means[name][i])
                if self.n_repeats > 1:
                    cell += f" ({short(ends[name].low[i])} to {short(ends[name].high[i])})"
                cells.append(cell)
            rows.append([str(x) if x.dtype.kind in "OUS" else f"{x:g}", *cells])
        return table(head, rows)
