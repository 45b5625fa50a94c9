"""Threats: how often each kind of attacker fools the deployed model, beside noise, at each budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from skhalfway._intervals import ConfidenceInterval, holm, wilson_interval
from skhalfway.transfer._counting import see

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from skhalfway.transfer import TransferCurve

LEVEL = 0.05  # of all tests of a report together

# kinds of attackers, the one that needs least first
ATTACKERS = {
    "surrogate": "an attacker who trains models of their own on similar data",
    "other": "an attacker who has one of the other models",
    "deployed": "an attacker who has the deployed model itself",
}


@dataclass(frozen=True)
class Threat:
    """What one kind of attacker achieves within one budget.

    Attributes
    ----------
    kind : {"surrogate", "other", "deployed"}
        Who attacks: somebody with models of their own, with one of the other models, or with the deployed
        model itself.
    sources : tuple of str
        The models that the attacker attacks instead of the deployed one.
    eps : float
        Budget. What fools at a smaller one counts too.
    n : int
        Samples that count: the deployed model, and at least one of the sources, classify them right.
    fooled : int
        Of these, the samples that fool the deployed model as attacked on at least one of the sources.
    noise : int
        Of these, how many fool it with random noise of the same size.
    best : str
        The source whose samples fool most often; "" where none does.
    best_fooled, best_n : int
        Counts of that source alone.
    p : float
        How likely as many samples, or more, would fool by chance if no source did better than the noise:
        the smallest p of McNemar's exact one-sided tests of the sources, adjusted by Holm's method for all
        tests of the report. nan where nothing counts.
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
        """Share of the samples that fool."""
        return self.fooled / self.n if self.n else np.nan

    @property
    def interval(self) -> ConfidenceInterval:
        """Wilson's 95 % interval of it."""
        low, high = wilson_interval(self.fooled, self.n)
        return ConfidenceInterval(float(low), float(high))

    @property
    def noise_rate(self) -> float:
        """Share of the samples that noise fools."""
        return self.noise / self.n if self.n else np.nan

    @property
    def beyond_noise(self) -> bool:
        """Whether the samples fool more often than noise does, beyond chance."""
        return bool(self.p < LEVEL)


class Attempts(NamedTuple):
    """What one kind of attacker does within one budget, source by source and sample by sample.

    Attributes
    ----------
    kind : {"surrogate", "other", "deployed"}
        Who attacks.
    sources : tuple of str
        The models that are attacked.
    eps : float
        Budget.
    eligible, fooled, noise : bool ndarray of shape (n_sources, n_samples)
        Samples that count; of these, those that fool at this budget or at a smaller one; those that noise
        of such a size fools.
    """

    kind: str
    sources: tuple[str, ...]
    eps: float
    eligible: NDArray[np.bool_]
    fooled: NDArray[np.bool_]
    noise: NDArray[np.bool_]


def attempts_on(deployed: str, roles: Mapping[str, str], curve: TransferCurve) -> Iterator[Attempts]:
    """Of every kind of attacker at every budget above 0, budget by budget."""
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
            # what the samples of one's own budget fail at, those of a smaller one may do
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
    """Whether a target is right on each sample, as it is and as made on some sources at every budget.

    None where true labels are not known, or the target, or an attack that is asked about, failed.
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
        # what was not attacked, as its source errs on it, is as it was
        said = one.adversarial[rows, j]
        right = right & ((said == first.labels) | (said < 0)).all(axis=0)
    return right


def threats_to(deployed: str, roles: Mapping[str, str], curve: TransferCurve) -> tuple[Threat, ...]:
    """Every kind of attacker at every budget above 0, in the order of the kinds and of the budgets."""
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
    """One-sided exact p of each source against noise; nan where no sample counts."""
    more, less = (fooled & ~noise).sum(axis=1), (noise & ~fooled).sum(axis=1)
    p = binom.sf(more - 1, more + less, 0.5)
    return np.where(eligible.any(axis=1), p, np.nan)


def _least(p: NDArray[np.float64]) -> float:
    return float(np.nanmin(p)) if not np.isnan(p).all() else np.nan
