"""Curves: figures at several settings, each measured again with other seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import ConfidenceInterval, repeats_interval
from skhalfway._text import between, counted, short, shown
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Curves(Result):
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
    1  .60 [.35 .85]
    2  .80
    """

    x: NDArray[Any]
    values: Mapping[str, NDArray[np.float64]]

    x_label: ClassVar[str] = "x"
    y_label: ClassVar[str] = ""
    x_scale: ClassVar[str] = "linear"
    # what means of the figures lie within, by name where not all are alike; "test " before it is left out
    within: ClassVar[tuple[float, float]] = (0, 1)
    of_figures: ClassVar[Mapping[str, tuple[float, float]]] = {}

    def __post_init__(self) -> None:
        x = frozen(self.x)
        if x.ndim != 1 or not len(x):
            raise ValueError(f"x must have one axis and at least one point, got shape {x.shape}")
        values = {name: frozen(value, float) for name, value in self.values.items()}
        shapes = {value.shape for value in values.values()}
        if len(shapes) != 1 or (shape := shapes.pop())[:1] != (len(x),) or len(shape) != 2 or not shape[1]:
            found = {name: value.shape for name, value in values.items()}
            raise ValueError(f"values must be arrays of one shape ({len(x)}, n_repeats), got {shown(found)}")
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
        """Intervals of the means over repeats.

        Student's, cut off where a mean of such figures cannot be; Wilson's of
        outcomes that are 0 or 1.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level.

        Returns
        -------
        intervals : dict of str to ConfidenceInterval
            Ends of shape (n_points,); nan with a single repeat, and where
            fewer than 10 are all the same.
        """
        return {
            name: repeats_interval(value, level, self.of_figures.get(name.removeprefix("test "), self.within))
            for name, value in self.values.items()
        }

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

    def _table(self) -> Table:
        means, ends = self.means, self.interval()
        rows = []
        for i, x in enumerate(self.x):
            rows.append([str(x) if x.dtype.kind in "OUS" else f"{x:g}"])
            for name in self.values:
                low, high = (end[i] for end in ends[name])
                rows[-1].append(f"{short(means[name][i])} {between(low, high)}".rstrip())
        head = f"{type(self).__name__}: {counted(len(self.x), 'point')}, {counted(self.n_repeats, 'repeat')}"
        return Table(head, [self.x_label, *self.values], rows)
