"""Threats: how often each kind of attacker fools the deployed model, beside noise, at each budget."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from skhalfway._intervals import ConfidenceInterval, holm, wilson_interval
from skhalfway.transfer._counting import see

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def threats_to(deployed: str, roles: Mapping[str, str], curve: TransferCurve) -> tuple[Threat, ...]:
    """Every kind of attacker at every budget above 0, in the order of the kinds and of the budgets."""
    j = curve.targets.index(deployed)
    kinds = [kind for kind in ATTACKERS if any(roles[name] == kind for name in curve.sources)]
    fooled: dict[str, NDArray[np.bool_]] = {}
    noise: NDArray[np.bool_] | None = None
    found: list[Threat] = []
    p_values: list[NDArray[np.float64]] = []
    for eps, matrix in zip(curve.eps[1:], curve.matrices[1:], strict=True):
        assert matrix.outcomes is not None
        seen = see(matrix.outcomes, matrix.condition, matrix.goal)
        left = matrix.outcomes.left
        for kind in kinds:
            rows = [i for i, name in enumerate(curve.sources) if roles[name] == kind]
            # what the samples of one's own budget fail at, those of a smaller one may do
            eligible, now = seen.eligible[rows, j], seen.fooled[rows, j]
            before = fooled.get(kind)
            fooled[kind] = now if before is None else now | before
            by_noise = matrix.outcomes.noise[j] != left[rows]
            if matrix.goal == "target":
                assert matrix.outcomes.goals is not None
                by_noise = matrix.outcomes.noise[j] == matrix.outcomes.goals[rows]
            by_noise = by_noise & eligible
            key = f"noise of {kind}"
            fooled[key] = noise = by_noise if key not in fooled else by_noise | fooled[key]
            found.append(_threat(kind, [curve.sources[i] for i in rows], eps, eligible, fooled[kind], noise))
            p_values.append(_beyond(fooled[kind], noise, eligible))
    if not found:
        return ()
    adjusted = iter(np.split(holm(np.concatenate(p_values)), np.cumsum([len(p) for p in p_values])[:-1]))
    return tuple(
        sorted(
            (replace(threat, p=_least(next(adjusted))) for threat in found),
            key=lambda threat: (kinds.index(threat.kind), threat.eps),
        )
    )


def _threat(
    kind: str,
    sources: list[str],
    eps: float,
    eligible: NDArray[np.bool_],
    fooled: NDArray[np.bool_],
    noise: NDArray[np.bool_],
) -> Threat:
    each = fooled.sum(axis=1)
    rates = each / np.maximum(eligible.sum(axis=1), 1)
    best = int(rates.argmax())
    return Threat(
        kind,
        tuple(sources),
        float(eps),
        n=int(eligible.any(axis=0).sum()),
        fooled=int(fooled.any(axis=0).sum()),
        noise=int(noise.any(axis=0).sum()),
        best=sources[best] if each.any() else "",
        best_fooled=int(each[best]),
        best_n=int(eligible[best].sum()),
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
