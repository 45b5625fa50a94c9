"""Robustness: samples that a classifier predicts correctly, clean and as attacked on every source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice, check_different
from skhalfway._index import index_for, level_names
from skhalfway._intervals import ConfidenceInterval, ratio, wilson_interval
from skhalfway._text import between, counted, short
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Robustness(Result):
    """Predictions of a classifier for clean samples and for those attacked on each source.

    :meth:`skhalfway.TransferScorer.robustness` makes it. Arrays are read-only.

    Parameters
    ----------
    sources : tuple of str
        Names of the models whose adversarial samples were tried.
    labels : ndarray of shape (n_samples,)
        True labels.
    clean : ndarray of shape (n_samples,)
        Predicted labels of the clean samples.
    adversarial : ndarray of shape (n_sources, n_samples)
        Predicted labels of the adversarial samples made on each source.
    index : ndarray of shape (n_samples,) or None, default=None
        Names of the samples; None: the samples are numbered.
    index_names : tuple or None, default=None
        Names of the levels of that index; None: not known.
    row_index : pandas Index or None, default=None
        The index itself, for tables; not written into files.

    See Also
    --------
    RobustnessDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.transfer import Robustness
    >>> labels = np.array([0, 0, 1, 1])
    >>> Robustness(("net",), labels, clean=labels, adversarial=np.array([[0, 1, 1, 1]]))
    Robustness: 4 samples, robust accuracy .75 [.30 .95]
    samples                  accuracy
    as they are              1.0 [.51 1.0]
    made on net              .75 [.30 .95]
    worst case over sources  .75 [.30 .95]
    """

    sources: tuple[str, ...]
    labels: NDArray[Any]
    clean: NDArray[Any]
    adversarial: NDArray[Any]
    index: NDArray[Any] | None = None
    index_names: tuple[Any, ...] | None = field(default=None, compare=False)
    row_index: Any = field(default=None, compare=False, metadata={"in_files": False})

    def __post_init__(self) -> None:
        object.__setattr__(self, "sources", tuple(self.sources))
        check_different("sources", self.sources)
        n = len(self.labels)
        shapes = {"labels": (n,), "clean": (n,), "adversarial": (len(self.sources), n)}
        if self.index is not None:
            shapes["index"] = (n,)
        for name, shape in shapes.items():
            array = frozen(getattr(self, name))
            if array.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
            object.__setattr__(self, name, array)
        if self.row_index is not None:
            object.__setattr__(self, "index_names", level_names(self.row_index))
        types = [self.labels.dtype, self.clean.dtype, self.adversarial.dtype]
        if any(one.kind in "biuf" for one in types) and any(one.kind in "US" for one in types):
            raise ValueError(
                "labels, clean and adversarial must all be numbers or all be texts, got "
                f"{', '.join(map(str, types))}; convert them to one type"
            )

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.labels)

    @property
    def accuracy(self) -> float:
        """Accuracy on the clean samples."""
        return float(self._share(self.clean == self.labels))

    @property
    def by_source(self) -> NDArray[np.float64]:
        """Accuracy on the samples attacked on each source, (n_sources,)."""
        return self._share(self.adversarial == self.labels)

    @property
    def robust(self) -> NDArray[np.bool_]:
        """Whether the prediction is right for the clean sample and for that of every source, (n_samples,)."""
        right: NDArray[np.bool_] = (self.clean == self.labels) & (self.adversarial == self.labels).all(axis=0)
        return right

    @property
    def robust_accuracy(self) -> float:
        """Share of robust samples: accuracy in the worst case over sources, sample by sample."""
        return float(self._share(self.robust))

    def _share(self, right: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Share of the samples; nan where there is none."""
        return ratio(right.sum(axis=-1), np.array(self.n_samples))

    def confidence_interval(self, level: float = 0.95, *, of: str = "robust_accuracy") -> ConfidenceInterval:
        """Wilson intervals over samples.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level, between 0 and 1.
        of : {"robust_accuracy", "accuracy", "by_source"}, default="robust_accuracy"
            Attribute to compute the intervals of.

        Returns
        -------
        interval : ConfidenceInterval
            ``low`` and ``high``, shaped like the attribute.

        Raises
        ------
        ValueError
            If ``level`` or ``of`` is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.transfer import Robustness
        >>> labels = np.array([0, 0, 1, 1])
        >>> robustness = Robustness(("net",), labels, clean=labels, adversarial=np.array([[0, 1, 1, 1]]))
        >>> round(float(robustness.confidence_interval().low), 2)
        0.3
        """
        right = {
            "robust_accuracy": self.robust,
            "accuracy": self.clean == self.labels,
            "by_source": self.adversarial == self.labels,
        }
        check_choice("of", of, right)
        low, high = wilson_interval(right[of].sum(axis=-1), self.n_samples, level)
        return ConfidenceInterval(low[()], high[()])

    def to_frame(self, *, of: str = "sources") -> pd.DataFrame:
        """Return the figures as a pandas DataFrame.

        Parameters
        ----------
        of : {"sources", "samples"}, default="sources"
            "sources": one row for the clean samples, one for each source and one for the worst case, with
            counts and intervals. "samples": one row for each sample, with its label, the predictions, and
            whether it is robust.

        Returns
        -------
        frame : pandas.DataFrame
            Table indexed by the kind of samples, or by the index of the samples.

        Raises
        ------
        ValueError
            If ``of`` is neither of the two.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.transfer import Robustness
        >>> labels = np.array([0, 0, 1, 1])
        >>> robustness = Robustness(("net",), labels, clean=labels, adversarial=np.array([[0, 1, 1, 1]]))
        >>> robustness.to_frame()["right"].tolist()
        [4, 3, 3]
        """
        import pandas as pd

        check_choice("of", of, ("sources", "samples"))
        if of == "sources":
            rows = self.rows()
            index = pd.Index([name for name, _, _, _ in rows], name="samples")
            columns = {
                "right": [round(share * self.n_samples) if self.n_samples else 0 for _, share, _, _ in rows],
                "n": self.n_samples,
                "accuracy": [share for _, share, _, _ in rows],
                "low": [low for _, _, low, _ in rows],
                "high": [high for _, _, _, high in rows],
            }
            return pd.DataFrame(columns, index=index)
        names = np.arange(self.n_samples) if self.index is None else self.index
        index = index_for(names, self.index_names, self.row_index)
        made = {f"made on {name}": row for name, row in zip(self.sources, self.adversarial, strict=True)}
        columns = {"label": self.labels, "as it is": self.clean, **made, "robust": self.robust}
        return pd.DataFrame(columns, index=index)

    def rows(self, level: float = 0.95) -> list[tuple[str, float, float, float]]:
        """Accuracy on clean samples, on those made on each source, and in the worst case.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level.

        Returns
        -------
        rows : list of (str, float, float, float)
            Kind of the samples, accuracy, and the ends of its interval.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.transfer import Robustness
        >>> labels = np.array([0, 0, 1, 1])
        >>> robustness = Robustness(("net",), labels, clean=labels, adversarial=np.array([[0, 1, 1, 1]]))
        >>> [(name, share) for name, share, low, high in robustness.rows()]
        [('as they are', 1.0), ('made on net', 0.75), ('worst case over sources', 0.75)]
        """
        clean, worst = (self.confidence_interval(level, of=of) for of in ("accuracy", "robust_accuracy"))
        ends = self.confidence_interval(level, of="by_source")
        each = zip(self.sources, self.by_source, *ends, strict=True)
        return [
            ("as they are", self.accuracy, float(clean.low), float(clean.high)),
            *((f"made on {name}", float(share), float(low), float(high)) for name, share, low, high in each),
            ("worst case over sources", self.robust_accuracy, float(worst.low), float(worst.high)),
        ]

    def _table(self) -> Table:
        rows = self.rows()
        cells: list[list[str | Cell]] = [
            [name, Cell(short(share), between(low, high))] for name, share, low, high in rows
        ]
        _, share, low, high = rows[-1]
        return Table(
            f"Robustness: {counted(self.n_samples, 'sample')}, robust accuracy {short(share)} "
            f"{between(low, high)}",
            ["samples", "accuracy"],
            cells,
        )
