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


@dataclass(frozen=True, eq=False, repr=False)
class TransferMatrix(BySample, Result):
    """Counts of adversarial samples made on each source and tried on each target.

    Row i, column j is about samples attacked on source i and given to target j.
    Where both are one model, the figure is its own source success. Made by
    :meth:`skhalfway.TransferScorer.transfer`, which keeps what every model said
    of every sample (``outcomes``), and all counts are derived from that;
    counts alone may be given too. Arrays are read-only.

    Parameters
    ----------
    names : tuple of str
        Names of the n_models models.
    eligible : ndarray of shape (n_sources, n_targets)
        Samples that count: the denominator of every rate of the pair.
    fooled : ndarray of shape (n_sources, n_targets)
        Of those, the adversarial samples that the target misclassifies; that
        it gives the label aimed at, where ``goal`` is "target".
    same_mistake : ndarray of shape (n_sources, n_targets)
        Of the fooled, those that source and target give the same label.
    noise_fooled : ndarray of shape (n_sources, n_targets)
        Of the eligible, those that fool the target in the same way after
        random-sign noise of the same norm in place of the attack: the control.
        In norm 0, ``eps`` random features go to a random end of their range.
    source_eligible, source_fooled : ndarray of shape (n_sources,)
        Samples that a source classifies correctly, and of those the ones that
        its own adversarial samples fool, whatever the condition.
    condition : {"both_correct", "source_fooled", "all"}, default="both_correct"
        Which samples are eligible.
    standard_error : float, default=nan
        Of :attr:`mean_rate`, over samples; nan where a pair has fewer than 10.
    checks : dict of str to ModelCheck, default={}
        What may make the rates of each model, by name, mislead: found by the
        check-up before the attacks, and by them.
    masked : bool ndarray of shape (n_sources,), default=None
        True where a source's gradients may be masked (see the notes); None where that is not known.
    sources, targets : tuple of str, default=None
        Names of the models that were attacked, and that the samples were tried
        on. None is all.
    goal : {"other", "target"}, default="other"
        When a sample fools: if the target's label is any other than the true
        one, or only if it is the one that the attack aims at.
    outcomes : Outcomes, default=None
        What every model said, sample by sample; None where only counts are known.
    kept : KeptSamples, default=None
        The adversarial samples, where they were kept; of a folder its name, as
        seen from there, is written into files, and the samples are not.
    provenance : Provenance, default=None
        Attack, budget, versions and costs.

    See Also
    --------
    skhalfway.TransferScorer : Makes it.
    skhalfway.TransferMatrixDisplay : Draws it.

    Notes
    -----
    A model whose gradients tell little of it, by design or by accident, looks
    robust under attacks by gradient, and its row harmless: they are masked [1]_.
    Each source that is attacked by gradient therefore gets second opinions:
    noise of the same size, the samples made on each of the other sources, its
    own at smaller budgets of a curve, and, on 32 to 64 samples, a few queries:
    short steps along the gradient, one along a slope that is estimated from 32
    of them [2]_, and, where its own attack fools less than a quarter, up to 200
    of ``"square"`` on 24 samples.
    A warning says where one of these fools the source more often than its own
    attack does, on the same samples and beyond chance. That is McNemar's test,
    exact and one-sided: of the b + c samples that one of the two attacks alone
    fools, the own one misses b, and P(B >= b) is below the level for a binomial
    B of b + c draws with probability 1/2. The level is .025 for the queries and
    .025 / m for each of the m other opinions: where they are as strong as the
    own attack, chance doubts at most 5 % of the sources. Where ``"pgd"`` with 5
    restarts from random points fools half of up to 64 samples that were missed,
    the own attack was too weak. Else ``masked`` is true, and an attack without a
    gradient, such as ``"hopskipjump"`` or ``"square"``, shows more.

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
                raise ValueError(f"{part} cannot be larger than {whole}, of which it is a part")
        if not isinstance(self.standard_error, Real) or self.standard_error < 0:
            raise ValueError(f"standard_error must be a number >= 0 or nan, got {shown(self.standard_error)}")
        object.__setattr__(self, "masked", read_masked(self.masked, n_sources))
        if self.outcomes is not None:
            self._check_outcomes(self.outcomes)

    def _check_outcomes(self, outcomes: Outcomes) -> None:
        """Raise where counts are not those of the outcomes, as where one of the two alone is replaced."""
        roles = ("names", "sources", "targets")
        apart = [name for name in roles if getattr(self, name) != getattr(outcomes, name)]
        if not apart and (self.goal == "other" or outcomes.goals is not None):
            counts = count(outcomes, self.condition, self.goal)
            apart = [name for name, n in counts.items() if not np.array_equal(getattr(self, name), n)]
        elif not apart:
            apart = ["goal"]
        if apart:
            raise ValueError(
                f"{apart[0]} is not what the outcomes come to under condition={self.condition!r} and "
                f"goal={self.goal!r}; count them by TransferMatrix.of(outcomes, condition, goal=goal)"
            )

    @classmethod
    def of(
        cls, outcomes: Outcomes, condition: str = "both_correct", *, goal: str = "other", **others: Any
    ) -> TransferMatrix:
        """Count outcomes.

        Parameters
        ----------
        outcomes : Outcomes
            What every model said.
        condition : {"both_correct", "source_fooled", "all"}, default="both_correct"
            Which samples are eligible.
        goal : {"other", "target"}, default="other"
            When a sample fools.
        **others : dict
            ``checks``, ``masked``, ``kept`` and ``provenance``.

        Returns
        -------
        matrix : TransferMatrix
            With all counts derived from the outcomes.

        Raises
        ------
        ValueError
            If the outcomes do not hold what is to be counted: attacks that aim
            at no label have no goal "target", and attacks on the samples that
            a source classifies correctly no condition "all".
        """
        check_choice("condition", condition, CONDITIONS)
        check_choice("goal", goal, GOALS)
        if goal == "target" and outcomes.goals is None:
            raise ValueError("these attacks aim at no label: only goal='other' can be counted")
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
        """Say in a sentence what each target has suffered.

        Where a paired test (McNemar's, exact, at the level .05) cannot tell the
        two sources apart whose samples fool the target most, they are called a tie.
        Where there are several other sources, the sentence ends with how many
        samples fool the target in the version of at least one of them
        (``fooled_by_any``), with Wilson's 95 % interval.

        Returns
        -------
        text : str
            A line for each target.
        """
        width = max(map(len, self.targets), default=0)
        return "\n".join(f"{name:<{width}}  {sentence(self, j)}" for j, name in enumerate(self.targets))

    def _warn_unknown(self) -> None:
        """Say of which pairs nothing is known."""
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
