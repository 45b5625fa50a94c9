"""Threats: how often each kind of attacker, and noise, fools the deployed model at each budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from skhalfway._intervals import ConfidenceInterval, holm, wilson_interval
from skhalfway.results._record import Record
from skhalfway.transfer._counting import see

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from skhalfway.transfer import TransferCurve

LEVEL = 0.05  # significance level of all tests of a report together

# kinds of attackers, the one that needs the least access first
ATTACKERS = {
    "surrogate": "an attacker who trains models of their own on similar data",
    "other": "an attacker who has one of the other models",
    "deployed": "an attacker who has the deployed model itself",
}


@dataclass(frozen=True)
class Threat(Record):
    """Success of one kind of attacker within one budget.

    Attributes
    ----------
    kind : {"surrogate", "other", "deployed"}
        The attacker: one with models of their own, with one of the other models, or with the deployed model
        itself.
    sources : tuple of str
        The models on which the adversarial samples are made.
    eps : float
        Budget. Samples that fool at a smaller budget count too.
    n : int
        Number of samples that count: the deployed model and at least one of the sources classify them
        correctly.
    fooled : int
        Number of these that fool the deployed model when made on at least one of the sources.
    noise : int
        Number of these that fool it with random noise of the same size.
    best : str
        Source whose samples fool most often; "" if none does.
    best_fooled, best_n : int
        Counts of that source alone: samples that fool, and samples that count.
    p : float
        P-value of the hypothesis that no source does better than noise: the smallest p-value of McNemar's
        exact one-sided tests of the sources, adjusted by Holm's method for all tests of the report. It is nan
        if no sample counts.

    Examples
    --------
    >>> from skhalfway.report import Threat
    >>> threat = Threat("other", ("second",), 0.5, 100, 40, 2, "second", 40, 100, p=0.001)
    >>> threat.rate, threat.noise_rate, threat.beyond_noise
    (0.4, 0.02, True)
    """

    kind: str
    sources: tuple[str, ...]
    eps: float
    n: int
    fooled: int
    noise: int
    best: str
    best_fooled: int
    best_n: int
    p: float

    @property
    def rate(self) -> float:
        """Share of the samples that fool the deployed model."""
        return self.fooled / self.n if self.n else np.nan

    @property
    def interval(self) -> ConfidenceInterval:
        """Wilson 95 % interval of the rate."""
        low, high = wilson_interval(self.fooled, self.n)
        return ConfidenceInterval(float(low), float(high))

    @property
    def noise_rate(self) -> float:
        """Share of the samples that fool with noise."""
        return self.noise / self.n if self.n else np.nan

    @property
    def beyond_noise(self) -> bool:
        """Whether the attacker succeeds significantly more often than noise."""
        return bool(self.p < LEVEL)


class Excess(NamedTuple):
    """Upper limit of the share of samples that an attacker fools and noise does not.

    Attributes
    ----------
    n : int
        Number of samples that count.
    high : float
        Upper end of the Wilson 95 % interval of that share.
    """

    n: int
    high: float


class Attempts(NamedTuple):
    """Success of one kind of attacker within one budget, by source and sample.

    Attributes
    ----------
    kind : {"surrogate", "other", "deployed"}
        Kind of attacker.
    sources : tuple of str
        The models that are attacked.
    eps : float
        Budget.
    eligible, fooled, noise : bool ndarray of shape (n_sources, n_samples)
        Whether a sample counts; whether it also fools at this budget or at a smaller one; whether it also
        fools with noise of such a size.
    """

    kind: str
    sources: tuple[str, ...]
    eps: float
    eligible: NDArray[np.bool_]
    fooled: NDArray[np.bool_]
    noise: NDArray[np.bool_]


def attempts_on(deployed: str, roles: Mapping[str, str], curve: TransferCurve) -> Iterator[Attempts]:
    """Attempts of every kind of attacker at every budget above 0, budget by budget."""
    j = curve.targets.index(deployed)
    kinds = [kind for kind in ATTACKERS if any(roles[name] == kind for name in curve.sources)]
    fooled: dict[str, NDArray[np.bool_]] = {}
    noise: dict[str, NDArray[np.bool_]] = {}
    for eps, matrix in zip(curve.eps[1:], curve.matrices[1:], strict=True):
        outcomes = matrix.outcomes
        assert outcomes is not None
        seen = see(outcomes, matrix.condition, matrix.goal)
        for kind in kinds:
            rows = [i for i, name in enumerate(curve.sources) if roles[name] == kind]
            # a sample may fool at a smaller budget and fail at a larger one
            eligible, now = seen.eligible[rows, j], seen.fooled[rows, j]
            by_noise = outcomes.noise[j] != outcomes.left[rows]
            if matrix.goal == "target":
                assert outcomes.goals is not None
                by_noise = outcomes.noise[j] == outcomes.goals[rows]
            by_noise = by_noise & eligible
            fooled[kind] = now | fooled[kind] if kind in fooled else now
            noise[kind] = by_noise | noise[kind] if kind in noise else by_noise
            sources = tuple(curve.sources[i] for i in rows)
            yield Attempts(kind, sources, float(eps), eligible, fooled[kind], noise[kind])


def holds(curve: TransferCurve, target: str, sources: Collection[str]) -> NDArray[np.bool_] | None:
    """Whether a target is right on each sample, clean and as made on some sources at every budget.

    None if true labels are not known, or if the target or one of these attacks failed.
    """
    first, *attacked = (matrix.outcomes for matrix in curve.matrices)
    assert first is not None
    answers = first.clean[first.names.index(target)]
    if first.labels is None or (answers < 0).any():
        return None
    right: NDArray[np.bool_] = answers == first.labels
    j, rows = curve.targets.index(target), [curve.sources.index(name) for name in sources]
    for one in attacked:
        assert one is not None
        if one.failed[rows, j].any():
            return None
        # samples that a source misclassifies are not attacked on it: the clean prediction stands
        said = one.adversarial[rows, j]
        right = right & ((said == first.labels) | (said < 0)).all(axis=0)
    return right


def n_comparisons(deployed: str, roles: Mapping[str, str], curve: TransferCurve) -> int:
    """Number of comparisons with noise that p-values are adjusted for: each source at each budget."""
    return sum(int(one.eligible.any(axis=1).sum()) for one in attempts_on(deployed, roles, curve))


def beyond_noise_at_most(deployed: str, roles: Mapping[str, str], curve: TransferCurve) -> dict[str, Excess]:
    """For each kind of attacker, how many samples fool within the largest budget, but not with noise."""
    last = {one.kind: one for one in attempts_on(deployed, roles, curve)}
    found = {}
    for kind, one in last.items():
        n = int(one.eligible.any(axis=0).sum())
        only = int((one.fooled.any(axis=0) & ~one.noise.any(axis=0)).sum())
        found[kind] = Excess(n, float(wilson_interval(only, n)[1]) if n else 1.0)
    return found


def threats_to(deployed: str, roles: Mapping[str, str], curve: TransferCurve) -> tuple[Threat, ...]:
    """Threats of every kind of attacker at every budget above 0, sorted by kind and budget."""
    found: list[Threat] = []
    p_values: list[NDArray[np.float64]] = []
    for one in attempts_on(deployed, roles, curve):
        found.append(_threat(one))
        p_values.append(_beyond(one.fooled, one.noise, one.eligible))
    if not found:
        return ()
    adjusted = iter(np.split(holm(np.concatenate(p_values)), np.cumsum([len(p) for p in p_values])[:-1]))
    return tuple(
        sorted(
            (replace(threat, p=_least(next(adjusted))) for threat in found),
            key=lambda threat: (list(ATTACKERS).index(threat.kind), threat.eps),
        )
    )


def _threat(one: Attempts) -> Threat:
    each = one.fooled.sum(axis=1)
    rates = each / np.maximum(one.eligible.sum(axis=1), 1)
    best = int(rates.argmax())
    return Threat(
        one.kind,
        one.sources,
        one.eps,
        n=int(one.eligible.any(axis=0).sum()),
        fooled=int(one.fooled.any(axis=0).sum()),
        noise=int(one.noise.any(axis=0).sum()),
        best=one.sources[best] if each.any() else "",
        best_fooled=int(each[best]),
        best_n=int(one.eligible[best].sum()),
        p=np.nan,
    )


def _beyond(
    fooled: NDArray[np.bool_], noise: NDArray[np.bool_], eligible: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """One-sided exact p-value of each source against noise; nan where no sample counts."""
    more, less = (fooled & ~noise).sum(axis=1), (noise & ~fooled).sum(axis=1)
    p = binom.sf(more - 1, more + less, 0.5)
    return np.where(eligible.any(axis=1), p, np.nan)


def _least(p: NDArray[np.float64]) -> float:
    return float(np.nanmin(p)) if not np.isnan(p).all() else np.nan
