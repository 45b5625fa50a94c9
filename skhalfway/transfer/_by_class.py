"""TransferByClass: a transfer matrix for each true label, and the worst case for each class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice
from skhalfway._text import between, counted, short, shown
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table
from skhalfway.transfer._shown import failures_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class TransferByClass(Result):
    """A transfer matrix for each true label.

    :meth:`skhalfway.TransferMatrix.by_class` makes it. A mean over all samples can hide a rare class; this
    result shows the worst case for each class.

    Parameters
    ----------
    labels : ndarray of shape (n_labels,)
        The true labels that the samples have.
    matrices : tuple of TransferMatrix
        One matrix for each label, of its samples alone.

    See Also
    --------
    TransferByClassDisplay : Draws it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import AdversarialGenerator, TransferScorer
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    >>> scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0).fit(models)
    >>> scorer.transfer(X, y).by_class()
    TransferByClass: 3 labels, 2 targets
    highest rate [95 % interval] at which the label's samples fool a target, of how many that count; source
    label  samples  lr                        svm
    0      50       .00 [.00 .07] of 50       .00 [.00 .07] of 50
    1      50       .77 [.63 .86] of 47, svm  .62 [.47 .74] of 47, lr
    2      50       .62 [.48 .75] of 48, svm  .54 [.40 .67] of 48, lr
    """

    labels: NDArray[Any]
    matrices: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "labels", frozen(self.labels))
        object.__setattr__(self, "matrices", tuple(self.matrices))
        if len(self.labels) != len(self.matrices) or not self.matrices:
            raise ValueError(
                f"matrices must hold one matrix for each label, got {len(self.matrices)} matrices and "
                f"{len(self.labels)} labels"
            )

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets."""
        names: tuple[str, ...] = self.matrices[0].targets
        return names

    @property
    def n_samples(self) -> NDArray[np.intp]:
        """Number of samples of each label, whether they count or not, (n_labels,)."""
        return np.array([matrix.n_samples for matrix in self.matrices])

    @property
    def worst(self) -> NDArray[np.float64]:
        """Highest transfer rate over the other sources, (n_labels, n_targets); nan where no sample counts."""
        return np.array([[_at(m, i, j, m.rates) for j, i in enumerate(_worst(m))] for m in self.matrices])

    @property
    def worst_sources(self) -> NDArray[Any]:
        """Names of the sources with the rates :attr:`worst`, (n_labels, n_targets); "" where none fools."""
        return np.array(
            [[_source(m, i, j) for j, i in enumerate(_worst(m))] for m in self.matrices], dtype=object
        )

    @property
    def worst_eligible(self) -> NDArray[np.int64]:
        """Number of samples that count for :attr:`worst`, (n_labels, n_targets)."""
        rows = [[0 if i < 0 else m.eligible[i, j] for j, i in enumerate(_worst(m))] for m in self.matrices]
        return np.array(rows, dtype=np.int64)

    def of(self, label: Any) -> Any:
        """Return the matrix of a label.

        Parameters
        ----------
        label : label
            One of ``labels``.

        Returns
        -------
        matrix : TransferMatrix
            Matrix of the samples with this label.

        Raises
        ------
        ValueError
            If no sample has this label.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway import TransferMatrix
        >>> from skhalfway.transfer import TransferByClass
        >>> n, none = np.full((2, 2), 100), np.zeros((2, 2), dtype=int)
        >>> cats, dogs = (TransferMatrix(("a", "b"), n, f, none, none, n[0], f[0]) for f in (none, n // 4))
        >>> TransferByClass(np.array(["cat", "dog"]), (cats, dogs)).of("dog").mean_rate
        0.25
        """
        places = np.flatnonzero(self.labels == label)
        if np.ndim(label) or not len(places):
            raise ValueError(f"label must be one of {shown(self.labels)}, got {shown(label)}")
        return self.matrices[places[0]]

    def to_frame(self, *, of: str = "worst") -> pd.DataFrame:
        """Return the rates as a pandas DataFrame.

        Parameters
        ----------
        of : {"worst", "pairs"}, default="worst"
            "worst": one row for each label and target, with the source that fools it most ("" where none
            fools), in decreasing order of the rate. "pairs": one row for each label, source and target.
            ``eligible`` is the number of samples that the rate is of, ``n_samples`` the number of samples of
            the label.

        Returns
        -------
        frame : pandas.DataFrame
            Indexed by (label, target) or (label, source, target).

        Raises
        ------
        ValueError
            If ``of`` is neither of the two.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway import TransferMatrix
        >>> from skhalfway.transfer import TransferByClass
        >>> n, none = np.full((2, 2), 100), np.zeros((2, 2), dtype=int)
        >>> cats, dogs = (TransferMatrix(("a", "b"), n, f, none, none, n[0], f[0]) for f in (none, n // 4))
        >>> frame = TransferByClass(np.array(["cat", "dog"]), (cats, dogs)).to_frame(of="pairs")
        >>> float(frame.loc[("dog", "a", "b"), "rate"])
        0.25
        """
        import pandas as pd

        check_choice("of", of, ("worst", "pairs"))
        frames = {label: m.to_frame() for label, m in zip(self.labels.tolist(), self.matrices, strict=True)}
        pairs = pd.concat(frames, names=["label"])
        if of == "pairs":
            return pairs
        chosen = [
            (label, m.sources[i], m.targets[j])
            for label, m in zip(self.labels.tolist(), self.matrices, strict=True)
            for j, i in enumerate(_worst(m))
            if i >= 0
        ]
        columns = ["source", "rate", "low", "high", "noise", "fooled", "eligible", "n_samples"]
        frame = pairs.loc[chosen].reset_index("source")[columns]
        frame["source"] = frame["source"].where(frame["fooled"] > 0, "")
        return frame.sort_values("rate", ascending=False, kind="stable")

    def _seen_from(self, place: Path) -> TransferByClass:
        return replace(self, matrices=tuple(matrix._seen_from(place) for matrix in self.matrices))

    def _with_samples(self, place: Path, folder: str | Path | None) -> TransferByClass:
        return replace(self, matrices=tuple(matrix._with_samples(place, folder) for matrix in self.matrices))

    def _table(self) -> Table:
        rows: list[list[str | Cell]] = []
        for label, matrix in zip(self.labels.tolist(), self.matrices, strict=True):
            low, high = matrix.confidence_interval()
            rows.append([str(label), str(matrix.n_samples)])
            for j, i in enumerate(_worst(matrix)):
                if i < 0:
                    rows[-1].append(Cell(" - "))
                    continue
                rate, source = matrix.rates[i, j], _source(matrix, i, j)
                rows[-1].append(
                    Cell(
                        short(rate),
                        f"{between(low[i, j], high[i, j])} of {matrix.eligible[i, j]}"
                        + (f", {source}" if source else ""),
                        shade=float(rate),
                        hint=f"{matrix.fooled[i, j]} of {matrix.eligible[i, j]}",
                    )
                )
        return Table(
            f"TransferByClass: {counted(len(self.labels), 'label')}, {counted(len(self.targets), 'target')}",
            ["label", "samples", *self.targets],
            rows,
            "highest rate [95 % interval] at which the label's samples fool a target, of how many that "
            "count; source",
            notes=failures_of(self.matrices[0]),
        )


def _worst(matrix: Any) -> list[int]:
    """Position of the source that fools each target most; -1 where none has a sample that counts."""
    rates = np.where(matrix._transfers, matrix.rates, -1.0)
    return [int(column.argmax()) if (column >= 0).any() else -1 for column in rates.T]


def _source(matrix: Any, i: int, j: int) -> str:
    """Name of the worst source; "" where not even its samples fool the target."""
    return str(matrix.sources[i]) if i >= 0 and matrix.fooled[i, j] else ""


def _at(matrix: Any, i: int, j: int, values: NDArray[np.float64]) -> float:
    return float(values[i, j]) if i >= 0 else np.nan
