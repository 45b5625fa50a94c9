"""What a transfer experiment says sample by sample: classes, exposed samples, paired comparisons."""

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
from skhalfway.transfer._comparison import TransferComparison, compare
from skhalfway.transfer._counting import Exposed, exposed, see
from skhalfway.transfer._rates import Rates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from skhalfway.models import ModelCheck
    from skhalfway.results import Provenance
    from skhalfway.transfer._outcomes import Outcomes
    from skhalfway.transfer._samples import KeptSamples


class BySample(Rates):
    """What a :class:`TransferMatrix` derives from its outcomes."""

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
        """The matrix of some of the samples.

        Parameters
        ----------
        rows : array-like of int or bool
            Their numbers, or a mask of shape (n_samples,); a Series of pandas
            that is a mask must be indexed as the samples are, in their order.

        Returns
        -------
        matrix : TransferMatrix
            Counted anew; what is known of the models stays.

        Raises
        ------
        ValueError
            If there are only counts, or no such samples; if ``rows`` are names
            of samples, or a mask in another order.
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
        """The same experiment with another success.

        Parameters
        ----------
        goal : {"other", "target"}
            Whether a sample fools where the target's label is any other than
            the true one, or only where it is the one that the attack aims at.

        Returns
        -------
        matrix : TransferMatrix
            Counted anew.

        Raises
        ------
        ValueError
            If there are only counts, or the attacks aimed at no label.
        """
        others = {name: getattr(self, name) for name in ("checks", "masked", "kept", "provenance")}
        return self.of(self._known("counted_as"), self.condition, goal=goal, **others)

    def by_class(self) -> TransferByClass:
        """A matrix for each true label.

        Returns
        -------
        by_class : TransferByClass
            The matrices, and where a class is fooled most.

        Raises
        ------
        ValueError
            If labels are not known, or there is no sample.
        """
        outcomes = self._known("by_class")
        if outcomes.labels is None:
            raise ValueError("by_class needs true labels: pass y to TransferScorer.transfer")
        if not outcomes.n_samples:
            raise ValueError("there is no sample, so there are no classes to tell apart")
        places = np.unique(outcomes.labels)
        matrices = tuple(self.subset(outcomes.labels == place) for place in places)
        return TransferByClass(outcomes.classes[places], matrices, provenance=self.provenance)

    @property
    def fooled_by_any(self) -> NDArray[np.int64]:
        """Samples with which at least one other source fools each target, (n_targets,)."""
        return self._of_any("fooled")

    @property
    def eligible_for_any(self) -> NDArray[np.int64]:
        """Samples that count for at least one other source and each target, (n_targets,)."""
        return self._of_any("eligible")

    def _of_any(self, what: str) -> NDArray[np.int64]:
        seen = see(self._known("fooled_by_any"), self.condition, self.goal)
        each = [getattr(exposed(seen, j), what).any(axis=0).sum() for j in range(len(self.targets))]
        return np.array(each, dtype=np.int64)

    def exposure(self, target: str | None = None) -> pd.DataFrame:
        """How many sources' adversarial samples fool a target, sample by sample.

        Parameters
        ----------
        target : str, default=None
            Name of the target. None counts sources whose samples fool at least
            one other model.

        Returns
        -------
        frame : DataFrame
            The most exposed samples first, indexed as X was (else by number; an
            index without a name is called ``sample``). Of a result out of a
            file, dates of a time zone, periods and the like are texts.
            Columns: ``label`` (only where labels are known), ``fooled_by``,
            the number of sources whose sample fools; ``of``, the number of
            sources for which the sample counts; ``noise``, whether noise of the
            same size fools too.

        Raises
        ------
        ValueError
            If there are only counts, or no such target.
        """
        return self._exposure(target).sort_values("fooled_by", ascending=False, kind="stable")

    def _exposure(self, target: str | None) -> pd.DataFrame:
        """The same in the order of the samples."""
        import pandas as pd

        outcomes = self._known("exposure")
        fooled, eligible, noise = self._exposed(target)
        columns = {"fooled_by": fooled.sum(axis=0), "of": eligible.sum(axis=0), "noise": noise}
        if outcomes.labels is not None:
            columns = {"label": outcomes.classes[outcomes.labels], **columns}
        return pd.DataFrame(columns, index=outcomes.row_names)

    def _exposed(self, target: str | None) -> Exposed:
        """What each source's samples do to a target, by name; None is any other model."""
        outcomes = self._known("exposure")
        if target is not None and target not in self.targets:
            raise ValueError(_unknown("target", target, self.targets))
        seen = see(outcomes, self.condition, self.goal)
        return exposed(seen, None if target is None else self.targets.index(target))

    def samples(self, source: str) -> Any:
        """The adversarial samples made on a source, where they were kept.

        Parameters
        ----------
        source : str
            Its name.

        Returns
        -------
        X_adv : array-like
            In the container that X came in, with its types; a sample that could
            not count, and was not attacked, is as it was. A copy, or a map that
            copies what is written to: what was kept does not change.

        Raises
        ------
        ValueError
            If there is no such source, or its attack failed; if samples were not
            kept, or lie in a folder that :func:`~skhalfway.load_result` did not
            find.
        """
        if source not in self.sources:
            raise ValueError(_unknown("source", source, self.sources))
        if self.kept is None:
            raise ValueError(
                "the adversarial samples were not kept, or in memory alone, and files of results do not hold "
                "them; pass a folder, or True for this session, as keep_samples to transfer"
            )
        reasons = [self.failures.get((source, target)) for target in self.targets]
        if all(reasons) and not self.source_eligible[self.sources.index(source)]:
            raise ValueError(f"no sample made on {shown(source)} is known: {reasons[0]}")
        return self.kept.of(source)

    def compare(self, other: Any, level: float = 0.95) -> TransferComparison:
        """Whether another experiment on the same samples has other rates.

        Parameters
        ----------
        other : TransferMatrix
            Of the same samples and names: another attack or budget, or other
            models under the same names.
        level : float, default=0.95
            Confidence level.

        Returns
        -------
        comparison : TransferComparison
            Paired differences, ``other`` less this one, tested cell by cell.

        Raises
        ------
        ValueError
            If samples, names, condition or goal differ, or there are only counts.

        Warns
        -----
        UserWarning
            If values of samples differ between the two, as those of the same
            samples in other units do, and those of other samples.
        """
        if not isinstance(other, BySample):
            raise TypeError(f"compare needs another TransferMatrix, got {type(other).__name__}")
        return compare(self, other, level)


def _is_indexed(rows: Any) -> bool:
    """Whether this is a Series of pandas; the index of a list is a method."""
    return hasattr(rows, "iloc") and not callable(getattr(rows, "index", None))


def _same_names(own: NDArray[Any] | None, other: NDArray[Any] | None) -> bool:
    """Whether samples are called the same, in whatever kind of array: pandas keeps texts as objects."""
    if own is None or other is None:
        return own is other
    if own.dtype.kind in "mM":
        return equal(own, other)
    return equal(own.tolist(), other.tolist())


def _unknown(role: str, name: Any, names: Sequence[str]) -> str:
    """Message on a name that none of the models has."""
    return f"there is no {role} {shown(name)}; the {role}s are {shown(list(names))}{meant(name, names)}"


def _read_rows(rows: Any, outcomes: Outcomes) -> NDArray[np.intp]:
    """Numbers of rows, from numbers or a mask."""
    array, n = np.asarray(rows), outcomes.n_samples
    if array.shape == (0,) and array.dtype != bool:
        return np.zeros(0, dtype=np.intp)
    if array.dtype == bool and array.shape == (n,):
        if _is_indexed(rows) and not _same_names(index_of(rows, n), outcomes.index):
            raise ValueError(
                "rows is a mask whose index is not that of the samples, one by one; that of exposure() is in "
                "another order: sort it as the samples are, as by sort_index() where they are only numbered, "
                "or pass rows.to_numpy() where the rows themselves are in their order"
            )
        return np.flatnonzero(array)
    if hasattr(rows, "get_indexer") and outcomes.index is not None:
        raise ValueError(
            "rows is an Index, of names, and must be numbers of samples, which have other names here; pass "
            "np.flatnonzero(np.isin(matrix.outcomes.sample_names, rows))"
        )
    numbers = array.dtype.kind in "iu" and array.ndim == 1
    if not numbers or (array < -n).any() or (array >= n).any():
        raise ValueError(
            f"rows must be numbers of samples below {n}, or a mask of shape {(n,)}; got {shown(array)}"
        )
    return array.astype(np.intp) % max(n, 1)
