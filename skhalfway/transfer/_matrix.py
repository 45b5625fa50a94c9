"""TransferMatrix: one transfer experiment, its outcomes, counts and rates."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import UndefinedMetricWarning

from skhalfway._checks import check_choice, check_different
from skhalfway._text import named_pairs, shown
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.transfer._by_sample import BySample
from skhalfway.transfer._counting import (
    CONDITIONS,
    COUNTED,
    GOALS,
    OF_SOURCES,
    check_attacked,
    count,
    mean_standard_error,
    read_counts,
)
from skhalfway.transfer._outcomes import Outcomes
from skhalfway.transfer._samples import KeptSamples, found_beside
from skhalfway.transfer._sentences import sentence
from skhalfway.transfer._shown import failed_pairs, failures_of, matrix_table

if TYPE_CHECKING:
    from skhalfway.models import ModelCheck
    from skhalfway.results._table import Table


def read_masked(masked: Any, n: int) -> NDArray[np.bool_] | None:
    """Flags for n models, read-only; or None."""
    if masked is None:
        return None
    flags = frozen(masked)
    if flags.shape != (n,) or flags.dtype != bool:
        raise ValueError(f"masked must be None or bools of shape {(n,)}, got {flags.dtype} of {flags.shape}")
    return flags


def check_outcomes(outcomes: Any) -> None:
    """Raise a TypeError for anything but outcomes."""
    if not isinstance(outcomes, Outcomes):
        raise TypeError(
            f"outcomes must be an Outcomes, as in matrix.outcomes, got {shown(outcomes)}; the rates of one "
            "model are in matrix.to_frame().loc[name], its adversarial samples in matrix.samples(name)"
        )


@dataclass(frozen=True, eq=False, repr=False)
class TransferMatrix(BySample, Result):
    """Counts of adversarial samples made on each source and tried on each target.

    Row i, column j is about adversarial samples made on source i and tried on target j. Where both are one
    model, the rate is its own source success. :meth:`skhalfway.TransferScorer.transfer` makes such a matrix
    and keeps every model's prediction for every sample (``outcomes``), from which all counts are derived. A
    matrix may also be made of counts alone. Arrays are read-only.

    Parameters
    ----------
    names : tuple of str
        Names of the n_models models.
    eligible : ndarray of shape (n_sources, n_targets)
        Number of samples that count for the pair: the denominator of its rates.
    fooled : ndarray of shape (n_sources, n_targets)
        Number of eligible samples whose adversarial version the target misclassifies. Where ``goal`` is
        "target", number of those for which the target predicts the label aimed at.
    same_mistake : ndarray of shape (n_sources, n_targets)
        Number of fooling samples for which source and target predict the same label.
    noise_fooled : ndarray of shape (n_sources, n_targets)
        Control: number of eligible samples that fool the target in the same way after random-sign noise of
        the same norm. In norm 0, the noise moves ``eps`` random features to a random end of their range.
    source_eligible, source_fooled : ndarray of shape (n_sources,)
        Number of samples that a source classifies correctly, and number of these whose adversarial version
        fools that source. They do not depend on ``condition``.
    condition : {"both_correct", "source_fooled", "all"}, default="both_correct"
        Which samples are eligible; see :class:`~skhalfway.TransferScorer`.
    standard_error : float, default=nan
        Standard error of :attr:`mean_rate` over samples; nan where a pair has fewer than 10 samples.
    checks : dict of str to ModelCheck, default={}
        Findings about each model, by name, that may make its rates misleading. They come from the check of
        the models before the attacks, and from the attacks.
    masked : bool ndarray of shape (n_sources,), default=None
        True where a source's gradients may be masked, or where it seems more robust than it is for another
        reason that attacks by gradient do not explain, such as random answers (see Notes); None where no
        source was tested.
    sources, targets : tuple of str, default=None
        Names of the models that were attacked, and of those that the samples were tried on. None is all.
    goal : {"other", "target"}, default="other"
        When a sample fools a target: if the target predicts any other than the true label, or only if it
        predicts the label that the attack aims at.
    outcomes : Outcomes, default=None
        Predictions of every model, sample by sample; None where only counts are known.
    kept : KeptSamples, default=None
        The adversarial samples, where they were kept. A saved result names their folder by its relative
        path; it does not contain the samples.
    provenance : Provenance, default=None
        Attack, budget, versions and costs.

    See Also
    --------
    skhalfway.TransferScorer : Makes it.
    skhalfway.TransferMatrixDisplay : Draws it.

    Notes
    -----
    Gradients are masked if they are of little use to an attack, by design or by accident [1]_. A source with
    masked gradients looks robust against gradient-based attacks, and its row looks harmless. So does the row
    of any source whose own attack is too weak: by few queries, because the source answers at random, or
    because a function of your own fails. Whatever the attack is, each source is therefore also attacked in
    other ways ("second opinions"):

    - noise of the same size;
    - the adversarial samples made on each of the other sources;
    - its own adversarial samples at the smaller budgets of a curve;
    - except where this package's own attacks ask queries already, a few queries on 32 to 64 samples: parts of
      a step along the gradient, or of the attack's own change where there is no gradient, and one step along
      a slope that is estimated from 32 queries [2]_;
    - where its own attack fools it on less than a quarter of these, up to 200 queries of ``"square"`` on 24
      samples.

    All but the queries are predictions that the transfer rates need anyway.

    A warning names a source that one of these fools significantly more often than its own attack does, on the
    same samples. The test is McNemar's, exact and one-sided. Let b samples fool the source only by the other
    attack, and c samples only by its own attack. The test rejects if P(B >= b) is below the level, where B is
    binomial with b + c draws and probability 1/2. The level is .025 for the queries and .025 / m for each of
    the m other attacks. If all attacks are equally strong, at most 5 % of the sources are doubted by chance.
    It was 0.9 % to 3.1 % in simulations with 2, 4 or 8 sources and success rates of .2, .5 and .8 on 100
    samples.

    A source that is doubted is marked with an asterisk wherever the matrix is shown. In such a case ``"pgd"``
    with 5 random restarts attacks up to 64 of the missed samples. If it fools the source on at least half of
    them, the source's own attack was too weak. Otherwise, and where the source has no gradient, ``masked`` is
    true. The warning then says whether the source answers differently when it is asked twice, and which
    attacks may be stronger. ``masked`` is false for a source whose test failed; a warning says so.

    References
    ----------
    .. [1] Athalye, Carlini & Wagner, "Obfuscated gradients give a false sense
       of security", ICML 2018, section 3.
    .. [2] Uesato et al., "Adversarial risk and the dangers of evaluating
       against weak attacks", ICML 2018, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway import TransferMatrix
    >>> matrix = TransferMatrix(
    ...     ("net", "tree"),
    ...     eligible=np.array([[100, 80], [80, 90]]),
    ...     fooled=np.array([[95, 20], [4, 81]]),
    ...     same_mistake=np.array([[95, 15], [1, 81]]),
    ...     noise_fooled=np.array([[1, 2], [1, 3]]),
    ...     source_eligible=np.array([100, 90]),
    ...     source_fooled=np.array([95, 81]),
    ... )
    >>> matrix.rates
    array([[0.95, 0.25],
           [0.05, 0.9 ]])
    >>> matrix
    TransferMatrix: 2 models, mean transfer rate .15
    rate [95 % interval] at which samples made on a source (row) fool a target (column)
    source       net            tree
    net    (.95 [.89 .98])  .25 [.17 .35]
    tree    .05 [.02 .12]  (.90 [.82 .95])
    """

    names: tuple[str, ...]
    eligible: NDArray[np.int64]
    fooled: NDArray[np.int64]
    same_mistake: NDArray[np.int64]
    noise_fooled: NDArray[np.int64]
    source_eligible: NDArray[np.int64]
    source_fooled: NDArray[np.int64]
    condition: str = "both_correct"
    standard_error: float = np.nan
    checks: Mapping[str, ModelCheck] = field(default_factory=dict)
    masked: NDArray[np.bool_] | None = None
    sources: tuple[str, ...] = None  # type: ignore[assignment]
    targets: tuple[str, ...] = None  # type: ignore[assignment]
    goal: str = "other"
    outcomes: Outcomes | None = None
    kept: KeptSamples | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        check_different("names", self.names)
        object.__setattr__(self, "checks", dict(self.checks))
        for role in ("sources", "targets"):
            given = getattr(self, role)
            chosen = self.names if given is None else tuple(given)
            if not set(chosen) <= set(self.names):
                raise ValueError(
                    f"{role} must be of the models {shown(list(self.names))}, got {shown(list(chosen))}"
                )
            check_different(role, chosen)
            object.__setattr__(self, role, chosen)
        if not self.checks.keys() <= set(self.names):
            raise ValueError(
                f"checks must be of the models {shown(list(self.names))}, got {shown(list(self.checks))}"
            )
        check_choice("condition", self.condition, CONDITIONS)
        check_choice("goal", self.goal, GOALS)
        n_sources, n_targets = len(self.sources), len(self.targets)
        for name in COUNTED:
            shape = (n_sources,) if name in OF_SOURCES else (n_sources, n_targets)
            object.__setattr__(self, name, read_counts(name, getattr(self, name), shape))
        for part, whole in (
            ("fooled", "eligible"),
            ("same_mistake", "fooled"),
            ("noise_fooled", "eligible"),
            ("source_fooled", "source_eligible"),
        ):
            if (getattr(self, part) > getattr(self, whole)).any():
                raise ValueError(f"{part} must not exceed {whole}, since it counts a part of these samples")
        if not isinstance(self.standard_error, Real) or self.standard_error < 0:
            raise ValueError(f"standard_error must be a number >= 0 or nan, got {shown(self.standard_error)}")
        object.__setattr__(self, "masked", read_masked(self.masked, n_sources))
        if self.outcomes is not None:
            check_outcomes(self.outcomes)
            self._check_outcomes(self.outcomes)

    def _check_outcomes(self, outcomes: Outcomes) -> None:
        """Raise where counts and outcomes disagree, for example after one of the two was replaced."""
        roles = ("names", "sources", "targets")
        apart = [name for name in roles if getattr(self, name) != getattr(outcomes, name)]
        if not apart and (self.goal == "other" or outcomes.goals is not None):
            counts = count(outcomes, self.condition, self.goal)
            apart = [name for name, n in counts.items() if not np.array_equal(getattr(self, name), n)]
        elif not apart:
            apart = ["goal"]
        if apart:
            raise ValueError(
                f"{apart[0]} does not match the outcomes under condition={self.condition!r} and "
                f"goal={self.goal!r}; make the matrix by TransferMatrix.of(outcomes, condition, goal=goal)"
            )

    @classmethod
    def of(
        cls, outcomes: Outcomes, condition: str = "both_correct", *, goal: str = "other", **others: Any
    ) -> TransferMatrix:
        """Make a matrix by counting outcomes.

        Parameters
        ----------
        outcomes : Outcomes
            Predictions of every model.
        condition : {"both_correct", "source_fooled", "all"}, default="both_correct"
            Which samples are eligible.
        goal : {"other", "target"}, default="other"
            When a sample fools a target.
        **others : dict
            ``checks``, ``masked``, ``kept`` and ``provenance``.

        Returns
        -------
        matrix : TransferMatrix
            Matrix whose counts are all derived from the outcomes.

        Raises
        ------
        TypeError
            If ``outcomes`` are none.
        ValueError
            If the outcomes do not hold what is to be counted. The goal "target" needs attacks that aim at a
            label; the condition "all" needs attacks on all samples, also on misclassified ones.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway import TransferMatrix
        >>> from skhalfway.transfer import Outcomes
        >>> right = np.zeros((2, 4), dtype=int)
        >>> outcomes = Outcomes(
        ...     names=("a", "b"),
        ...     sources=("a",),
        ...     targets=("b",),
        ...     classes=np.array(["cat", "dog"]),
        ...     labels=right[0],
        ...     clean=right,
        ...     noise=right[:1],
        ...     own=np.array([[1, 1, 1, 0]]),
        ...     adversarial=np.array([[[1, 0, 0, 0]]]),
        ... )
        >>> TransferMatrix.of(outcomes).rates
        array([[0.25]])
        >>> TransferMatrix.of(outcomes, "source_fooled").rates.round(2)
        array([[0.33]])
        """
        check_outcomes(outcomes)
        check_choice("condition", condition, CONDITIONS)
        check_choice("goal", goal, GOALS)
        if goal == "target" and outcomes.goals is None:
            raise ValueError(
                "goal='target' needs attacks that aim at a label, and these do not; pass goal='other', or "
                "pass target to TransferScorer.transfer"
            )
        check_attacked(outcomes, condition)
        counts: dict[str, Any] = count(outcomes, condition, goal)
        return cls(
            outcomes.names,
            **counts,
            condition=condition,
            standard_error=mean_standard_error(outcomes, condition, goal, counts),
            sources=outcomes.sources,
            targets=outcomes.targets,
            goal=goal,
            outcomes=outcomes,
            **others,
        )

    def describe(self) -> str:
        """Describe in one sentence for each target how often it was fooled.

        Sources are called a tie where their rates differ from the highest one by no more than chance, by
        McNemar's exact test at the level .05. With several other sources, the sentence ends with the number
        of samples that fool the target when made on at least one of them (``fooled_by_any``), and its Wilson
        95 % interval.

        Returns
        -------
        text : str
            One line for each target.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway import TransferMatrix
        >>> n, none = np.full((2, 2), 100), np.zeros((2, 2), dtype=int)
        >>> fooled = np.array([[95, 20], [4, 81]])
        >>> own = np.array([95, 81])
        >>> print(TransferMatrix(("net", "tree"), n, fooled, none, none, n[0], own).describe())
        net   is fooled by 4% of the samples made on tree; by noise of the same size, 0%.
        tree  is fooled by 20% of the samples made on net; by noise of the same size, 0%.
        """
        width = max(map(len, self.targets), default=0)
        return "\n".join(f"{name:<{width}}  {sentence(self, j)}" for j, name in enumerate(self.targets))

    def _warn_unknown(self) -> None:
        """Warn of the pairs whose rates are unknown."""
        pairs = [
            (self.names.index(self.sources[i]), self.names.index(self.targets[j]))
            for i, j in np.argwhere((self.eligible == 0) & ~failed_pairs(self) & ~self._aside)
        ]
        for said in failures_of(self):
            warn(said)
        if pairs:
            warn(
                f"there are no {CONDITIONS[self.condition]} for {named_pairs(self.names, pairs, ' -> ')} "
                "(source -> target), so these rates are nan",
                UndefinedMetricWarning,
            )

    def _doubts(self) -> list[str]:
        """A line for each warning about a model."""
        return [
            f"warning: {name}: {finding.message}"
            for name, check in self.checks.items()
            for finding in check.warnings
        ]

    def _seen_from(self, place: Path) -> TransferMatrix:
        return self if self.kept is None else self._keeping(self.kept.seen_from(place))

    def _with_samples(self, place: Path, folder: str | Path | None) -> TransferMatrix:
        return self._keeping(found_beside(self.kept, place, folder))

    def _keeping(self, kept: KeptSamples | None) -> TransferMatrix:
        # the same counts need no second check
        other = copy(self)
        object.__setattr__(other, "kept", kept)
        return other

    def _table(self) -> Table:
        return matrix_table(self)
