"""Results of a transfer experiment sample by sample: classes, exposed samples, paired comparisons."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import meant
from skhalfway._index import index_of
from skhalfway._text import shown
from skhalfway.results._result import equal
from skhalfway.transfer._by_class import TransferByClass
from skhalfway.transfer._counting import Exposed, exposed, see
from skhalfway.transfer._pairing import compare
from skhalfway.transfer._rates import Rates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from skhalfway.models import ModelCheck
    from skhalfway.results import Provenance
    from skhalfway.transfer._comparison import TransferComparison
    from skhalfway.transfer._outcomes import Outcomes
    from skhalfway.transfer._samples import KeptSamples


class BySample(Rates):
    """Results that a :class:`TransferMatrix` derives from its outcomes."""

    condition: str
    goal: str
    checks: Mapping[str, ModelCheck]
    kept: KeptSamples | None
    provenance: Provenance | None

    @classmethod
    def of(cls, outcomes: Any, condition: str = "both_correct", *, goal: str = "other", **others: Any) -> Any:
        """Count outcomes."""
        raise NotImplementedError

    def subset(self, rows: Any) -> Any:
        """Count some of the samples only.

        Parameters
        ----------
        rows : array-like of int or bool
            Numbers of the samples, or a mask of shape (n_samples,). A mask that is a pandas Series must have
            the index of the samples, in the same order.

        Returns
        -------
        matrix : TransferMatrix
            Matrix of these samples. Findings about the models stay as they are.

        Raises
        ------
        ValueError
            If the matrix holds only counts; if there are no such samples; if ``rows`` are names of samples,
            or a mask in another order.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression, RidgeClassifier
        >>> from skhalfway import AdversarialGenerator, TransferScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "ridge": RidgeClassifier().fit(X, y)}
        >>> scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0).fit(models)
        >>> matrix = scorer.transfer(X[::10], y[::10])
        >>> matrix.subset(y[::10] > 0).n_samples
        10
        """
        outcomes = self._known("subset")
        chosen = _read_rows(rows, outcomes)
        kept = None if self.kept is None else self.kept.take(chosen)
        provenance = self.provenance
        if provenance is not None:
            provenance = replace(provenance, n_samples=len(chosen))
        return self.of(
            outcomes.take(chosen),
            self.condition,
            goal=self.goal,
            checks=self.checks,
            masked=self.masked,
            kept=kept,
            provenance=provenance,
        )

    def counted_as(self, goal: str) -> Any:
        """Count the same experiment under another definition of success.

        Parameters
        ----------
        goal : {"other", "target"}
            When a sample fools a target: if the target predicts any other than the true label, or only if it
            predicts the label that the attack aims at.

        Returns
        -------
        matrix : TransferMatrix
            The new counts.

        Raises
        ------
        ValueError
            If the matrix holds only counts, or the attacks aimed at no label.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression, RidgeClassifier
        >>> from skhalfway import AdversarialGenerator, TransferScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "ridge": RidgeClassifier().fit(X, y)}
        >>> scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0).fit(models)
        >>> targeted = scorer.transfer(X[::10], y[::10], target=2)
        >>> bool((targeted.counted_as("other").fooled >= targeted.fooled).all())
        True
        """
        others = {name: getattr(self, name) for name in ("checks", "masked", "kept", "provenance")}
        return self.of(self._known("counted_as"), self.condition, goal=goal, **others)

    def by_class(self) -> TransferByClass:
        """Make a matrix for each true label.

        Returns
        -------
        by_class : TransferByClass
            The matrices, and which source fools each class most.

        Raises
        ------
        ValueError
            If labels are not known, or there is no sample.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression, RidgeClassifier
        >>> from skhalfway import AdversarialGenerator, TransferScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "ridge": RidgeClassifier().fit(X, y)}
        >>> scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0).fit(models)
        >>> scorer.transfer(X[::10], y[::10]).by_class().labels.tolist()
        [0, 1, 2]
        """
        outcomes = self._known("by_class")
        if outcomes.labels is None:
            raise ValueError("by_class needs true labels: pass y to TransferScorer.transfer")
        if not outcomes.n_samples:
            raise ValueError("by_class needs at least one sample, and this matrix has none")
        places = np.unique(outcomes.labels)
        matrices = tuple(self.subset(outcomes.labels == place) for place in places)
        return TransferByClass(outcomes.classes[places], matrices, provenance=self.provenance)

    @property
    def fooled_by_any(self) -> NDArray[np.int64]:
        """Number of samples that fool each target when made on at least one other source, (n_targets,)."""
        return self._of_any("fooled")

    @property
    def eligible_for_any(self) -> NDArray[np.int64]:
        """Number of samples that count for each target with at least one other source, (n_targets,)."""
        return self._of_any("eligible")

    def _of_any(self, what: str) -> NDArray[np.int64]:
        seen = see(self._known("fooled_by_any"), self.condition, self.goal)
        each = [getattr(exposed(seen, j), what).any(axis=0).sum() for j in range(len(self.targets))]
        return np.array(each, dtype=np.int64)

    def exposure(self, target: str | None = None) -> pd.DataFrame:
        """Count, for each sample, the sources whose adversarial version of it fools a target.

        Parameters
        ----------
        target : str, default=None
            Name of the target. None counts sources whose samples fool at least one other model.

        Returns
        -------
        frame : DataFrame
            One row for each sample, the most exposed first. Rows have the index of X, else numbers; an index
            without a name is called ``sample``. Where the result was loaded from a file, index values such as
            periods or dates with a time zone are texts. The columns are

            - ``label``: the true label, only where labels are known;
            - ``fooled_by``: the number of sources whose version of the sample fools;
            - ``of``: the number of sources for which the sample counts;
            - ``noise``: whether noise of the same size fools too.

        Raises
        ------
        ValueError
            If the matrix holds only counts, or there is no such target.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression, RidgeClassifier
        >>> from skhalfway import AdversarialGenerator, TransferScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "ridge": RidgeClassifier().fit(X, y)}
        >>> scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0).fit(models)
        >>> list(scorer.transfer(X[::10], y[::10]).exposure("lr"))
        ['label', 'fooled_by', 'of', 'noise']
        """
        return self._exposure(target).sort_values("fooled_by", ascending=False, kind="stable")

    def _exposure(self, target: str | None) -> pd.DataFrame:
        """Exposure, in the order of the samples."""
        import pandas as pd

        outcomes = self._known("exposure")
        fooled, eligible, noise = self._exposed(target)
        columns = {"fooled_by": fooled.sum(axis=0), "of": eligible.sum(axis=0), "noise": noise}
        if outcomes.labels is not None:
            columns = {"label": outcomes.classes[outcomes.labels], **columns}
        return pd.DataFrame(columns, index=outcomes.row_names)

    def _exposed(self, target: str | None) -> Exposed:
        """Which sample of each source fools a target, by name; None is any other model."""
        outcomes = self._known("exposure")
        if target is not None and target not in self.targets:
            raise ValueError(_unknown("target", target, self.targets))
        seen = see(outcomes, self.condition, self.goal)
        return exposed(seen, None if target is None else self.targets.index(target))

    def samples(self, source: str) -> Any:
        """Return the adversarial samples made on a source, if they were kept.

        Parameters
        ----------
        source : str
            Name of the source.

        Returns
        -------
        X_adv : array-like of the shape of X
            Adversarial samples in the container and types of X. Samples that could not count were not
            attacked and are returned unchanged. The array is a copy, or a memory map that copies on writing,
            so that the kept samples never change.

        Raises
        ------
        ValueError
            If there is no such source, or its attack failed; if samples were not kept, or lie in a folder
            that :func:`~skhalfway.load_result` did not find.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression, RidgeClassifier
        >>> from skhalfway import AdversarialGenerator, TransferScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "ridge": RidgeClassifier().fit(X, y)}
        >>> scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0).fit(models)
        >>> scorer.transfer(X[::10], y[::10], keep_samples=True).samples("lr").shape
        (15, 4)
        """
        if source not in self.sources:
            raise ValueError(_unknown("source", source, self.sources))
        if self.kept is None:
            raise ValueError(
                "this result has no adversarial samples: they were not kept, or only in memory, and files of "
                "results do not contain them; call transfer with keep_samples=True or a folder"
            )
        reasons = [self.failures.get((source, target)) for target in self.targets]
        if all(reasons) and not self.source_eligible[self.sources.index(source)]:
            raise ValueError(f"no sample made on {shown(source)} is known: {reasons[0]}")
        return self.kept.of(source)

    def compare(
        self, other: Any, level: float = 0.95, *, pairs: Sequence[tuple[str, str]] | None = None
    ) -> TransferComparison:
        """Test whether another experiment on the same samples has different rates.

        Parameters
        ----------
        other : TransferMatrix
            Experiment on the same samples and names of models, with another attack or budget, or with other
            models under the same names.
        level : float, default=0.95
            Confidence level.
        pairs : sequence of (str, str), default=None
            Pairs (source, target) to test. None is all, including each source on itself. P-values are
            adjusted for all pairs that are tested, so a question about one pair should name that one alone.
            The mean difference is over all pairs of different models in any case.

        Returns
        -------
        comparison : TransferComparison
            Paired differences, ``other`` minus this one, tested pair by pair.

        Raises
        ------
        ValueError
            If samples, names, condition or goal differ, a matrix holds only counts, or ``pairs`` are none.

        Warns
        -----
        UserWarning
            If the values of samples differ between the two. This is fine for the same samples in other units,
            and wrong for other samples.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression, RidgeClassifier
        >>> from skhalfway import AdversarialGenerator, TransferScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "ridge": RidgeClassifier().fit(X, y)}
        >>> X, y = X[::10], y[::10]
        >>> weak, strong = (
        ...     TransferScorer(AdversarialGenerator(eps=eps), random_state=0).fit(models).transfer(X, y)
        ...     for eps in (0.4, 0.5)
        ... )
        >>> comparison = weak.compare(strong)
        >>> bool((comparison.differences >= 0).all())
        True
        >>> weak.compare(strong, pairs=[("lr", "ridge")]).tested.tolist()
        [[False, True], [False, False]]
        """
        if not isinstance(other, BySample):
            raise TypeError(f"other must be a TransferMatrix, got {type(other).__name__}")
        return compare(self, other, level, pairs)


def _is_indexed(rows: Any) -> bool:
    """Whether this is a pandas Series (a list has a method named index)."""
    return hasattr(rows, "iloc") and not callable(getattr(rows, "index", None))


def _same_names(own: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    """Whether two indices are equal, whatever their types: pandas keeps texts as objects."""
    if own is None or other is None:
        return own is other
    if own.dtype.kind in "mM":
        return equal(own, other)
    return equal(own.tolist(), other.tolist())


def _unknown(role: str, name: Any, names: Sequence[str]) -> str:
    """Error message for a name that is none of the models'."""
    return f"there is no {role} {shown(name)}; the {role}s are {shown(list(names))}{meant(name, names)}"


def _read_rows(rows: Any, outcomes: Outcomes) -> NDArray[np.intp]:
    """Row numbers from row numbers or a mask."""
    array, n = np.asarray(rows), outcomes.n_samples
    if array.shape == (0,) and array.dtype != bool:
        return np.zeros(0, dtype=np.intp)
    if array.dtype == bool and array.shape == (n,):
        if _is_indexed(rows) and not _same_names(index_of(rows, n), outcomes.index):
            raise ValueError(
                "rows is a mask with another index than the samples, or in another order, as exposure() "
                "returns it; sort it like the samples (by sort_index() if they are only numbered), or pass "
                "rows.to_numpy() if it is in their order"
            )
        return np.flatnonzero(array)
    if hasattr(rows, "get_indexer") and outcomes.index is not None:
        raise ValueError(
            "rows must be numbers of samples, got an Index, which holds their names; pass "
            "np.flatnonzero(np.isin(matrix.outcomes.sample_names, rows))"
        )
    numbers = array.dtype.kind in "iu" and array.ndim == 1
    if not numbers or (array < -n).any() or (array >= n).any():
        raise ValueError(
            f"rows must be numbers of samples below {n}, or a mask of shape {(n,)}; got {shown(array)}"
        )
    return array.astype(np.intp) % max(n, 1)
