"""CurveResult: figures at several settings, each measured repeatedly with different seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice
from skhalfway._intervals import ConfidenceInterval, t_interval
from skhalfway._text import between, counted, short, shown
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class CurveResult(Result):
    """Figures at several settings, each measured repeatedly with different seeds.

    Arrays are read-only.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        The settings: numbers or names.
    values : dict of str to ndarray of shape (n_points, n_repeats)
        Figures by name; nan where one is not known.
    n_samples : dict of str to int or ndarray of shape (n_points,), default={}
        For each figure that is a share of test samples, the number of these
        samples, which are the same in all repeats. Other figures have no entry.

    See Also
    --------
    CurveResultDisplay : Draws the figures.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import CurveResult
    >>> CurveResult(np.array([1, 2]), {"accuracy": np.array([[0.5, 0.6, 0.7], [0.8, 0.8, 0.8]])})
    CurveResult: 2 points, 3 repeats, means [95 % over seeds]
    x  accuracy
    1  .60 [.35 .85]
    2  .80
    """

    x: NDArray[Any]
    values: Mapping[str, NDArray[np.float64]]
    n_samples: Mapping[str, Any] = field(default_factory=dict, kw_only=True)

    x_label: ClassVar[str] = "x"
    y_label: ClassVar[str] = ""
    x_scale: ClassVar[str] = "linear"

    def __post_init__(self) -> None:
        x = frozen(self.x)
        if x.ndim != 1 or not len(x):
            raise ValueError(f"x must have one axis and at least one point, got shape {x.shape}")
        values = {name: frozen(value, float) for name, value in self.values.items()}
        shapes = {value.shape for value in values.values()}
        if len(shapes) != 1 or (shape := shapes.pop())[:1] != (len(x),) or len(shape) != 2 or not shape[1]:
            found = {name: value.shape for name, value in values.items()}
            raise ValueError(f"values must be arrays of one shape ({len(x)}, n_repeats), got {shown(found)}")
        for name, n in self.n_samples.items():
            check_choice("n_samples", name, values)
            if np.shape(n) not in ((), (len(x),)) or not np.all(np.asarray(n) > 0):
                raise ValueError(
                    f"n_samples must hold a positive number for a figure, or one for each of its {len(x)} "
                    f"points; got {shown(n)} for {shown(name)}"
                )
        counts = {name: frozen(n, float) if np.ndim(n) else n for name, n in self.n_samples.items()}
        object.__setattr__(self, "n_samples", counts)
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

    def confidence_interval(self, level: float = 0.95, *, of: str | None = None) -> ConfidenceInterval:
        """Confidence intervals of the means over repeats.

        Intervals cover the variation over seeds: they estimate the mean of many
        more repeats with the same data. Intervals of figures in ``n_samples``
        also cover test samples: they estimate the mean on many more of these.
        Training samples are taken as fixed.

        - Shares have Student's intervals in the logit of the mean. Losses,
          distances and numbers have them in its logarithm. The ends are therefore
          possible values of the figure.
        - With 10 to 100 repeats, a bootstrap-t makes them longer where the values
          are skewed.
        - Where each repeat is either 0 or 1, intervals are Wilson's.
        - Where all repeats are equal, intervals cover test samples alone.

        Coverage of 95 % intervals in simulations (``benchmarks/coverage.md``):

        - over seeds 93 to 98 % where most repeats are near their mean;
        - over seeds 81 to 95 % where a few repeats are far from the others (most
          shares are 1, or some losses are ten times the others);
        - over seeds and test samples 94 to 100 %, but 88 to 91 % with three
          repeats where most shares are 1.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level.
        of : str, default=None
            Name of a figure. None is the first.

        Returns
        -------
        interval : ConfidenceInterval
            Ends of shape (n_points,), which are never equal. They are nan with
            a single repeat. They are also nan where all repeats of a figure that
            is not in ``n_samples`` are equal, since the variation is then
            unknown. The exception is a share with 10 or more repeats that are
            all 0 or all 1.

        Raises
        ------
        ValueError
            If ``level`` is out of range, or there is no such figure.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.inspection import CurveResult
        >>> curve = CurveResult(np.array([1, 2]), {"accuracy": np.array([[0.5, 0.6, 0.7], [0.8, 0.8, 0.8]])})
        >>> curve.confidence_interval().low.round(2)
        array([0.35,  nan])
        """
        name = next(iter(self.values)) if of is None else of
        check_choice("of", name, self.values)
        limits = self._limits(name)
        return t_interval(self.values[name], level, limits=limits, n_samples=self.n_samples.get(name))

    def _limits(self, name: str) -> tuple[float, float]:
        """Smallest and largest possible value of a figure."""
        return -np.inf, np.inf

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

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.inspection import CurveResult
        >>> curve = CurveResult(np.array([1, 2]), {"accuracy": np.array([[0.5, 0.6, 0.7], [0.8, 0.8, 0.8]])})
        >>> curve.to_frame()["accuracy", "mean"].round(2).tolist()
        [0.6, 0.8]
        """
        import pandas as pd

        columns: dict[tuple[str, str], NDArray[np.float64]] = {}
        for name, mean in self.means.items():
            low, high = self.confidence_interval(level, of=name)
            columns |= {(name, "mean"): mean, (name, "low"): low, (name, "high"): high}
        return pd.DataFrame(columns, index=pd.Index(self.x, name=self.x_label))

    def _title(self, points: str = "point") -> str:
        known = f", means [95 % over {self._covered()}]" if self.n_repeats > 1 else ""
        n, n_repeats = counted(len(self.x), points), counted(self.n_repeats, "repeat")
        return f"{type(self).__name__}: {n}, {n_repeats}{known}"

    def _covered(self) -> str:
        """The variation that the intervals cover, in words."""
        both = [name for name in self.values if name in self.n_samples]
        if len(both) in (0, len(self.values)):
            return "seeds and test samples" if both else "seeds"
        return f"seeds; of {', '.join(both)} over test samples too"

    def _table(self) -> Table:
        means = self.means
        ends = {name: self.confidence_interval(of=name) for name in means}
        rows: list[list[str | Cell]] = []
        for i, x in enumerate(self.x):
            rows.append([str(x) if self.x.dtype.kind in "OUS" else f"{x:g}"])
            for name, (low, high) in ends.items():
                rows[-1].append(Cell(short(means[name][i]), between(low[i], high[i])))
        return Table(self._title(), [self.x_label, *means], rows)
