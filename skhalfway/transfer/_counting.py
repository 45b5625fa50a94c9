"""Counts of a transfer experiment; everything that is counted is counted here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway._intervals import FEWEST, mean_over, ratio
from skhalfway._text import counted
from skhalfway.results._result import frozen
from skhalfway.transfer._outcomes import NOT_ASKED, Outcomes

CONDITIONS = {
    "both_correct": "samples that source and target both classify correctly",
    "source_fooled": "samples that source and target both classify correctly and that fool the source",
    "all": "all samples",
}
OF_PAIRS = ("eligible", "fooled", "same_mistake", "noise_fooled")
OF_SOURCES = ("source_eligible", "source_fooled")
COUNTED = (*OF_PAIRS, *OF_SOURCES)
GOALS = {
    "other": "the target predicts another label than the true one",
    "target": "the target predicts the label that the attack aims at",
}


def read_counts(name: str, counts: Any, shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Read-only counts of a shape, as signed integers, since differences of unsigned ones overflow."""
    array = np.asarray(counts)
    if array.shape != shape or array.dtype.kind not in "iu" or (array < 0).any():
        raise ValueError(
            f"{name} must hold counts >= 0 of shape {shape}, got {array.dtype} of shape {array.shape}"
        )
    return frozen(array, np.int64)


@dataclass(frozen=True)
class Seen:
    """Flags of each sample: whether it counts, and whether it fools.

    Attributes
    ----------
    eligible, fooled, same_mistake, noise_fooled : bool ndarray of shape (n_sources, n_targets, n_samples)
        Whether a sample counts for a pair; whether it also fools the target; whether source and target also
        predict the same label; whether it counts and its noisy version fools the target.
    source_eligible, source_fooled : bool ndarray of shape (n_sources, n_samples)
        Whether the source classifies a sample correctly, and whether its adversarial version also fools it.
    pairs : bool ndarray of shape (n_sources, n_targets)
        Whether source and target are different models whose rate counts as transfer.
    """

    eligible: NDArray[np.bool_]
    fooled: NDArray[np.bool_]
    same_mistake: NDArray[np.bool_]
    noise_fooled: NDArray[np.bool_]
    source_eligible: NDArray[np.bool_]
    source_fooled: NDArray[np.bool_]
    pairs: NDArray[np.bool_]

    def without(self, pairs: NDArray[np.bool_]) -> Seen:
        """Copy in which no sample counts for some pairs, (n_sources, n_targets)."""
        return replace(self, **{name: getattr(self, name) & ~pairs[:, :, None] for name in OF_PAIRS})


def see(outcomes: Outcomes, condition: str, goal: str = "other") -> Seen:
    """Flags of each sample under a condition and a goal."""
    left, goals = outcomes.left, outcomes.goals
    right_source = outcomes.clean[outcomes.source_places] == left
    right_target = outcomes.clean[outcomes.target_places][None] == left[:, None]
    if goals is not None:
        # a sample whose own class is the one aimed at does not count
        aimed = goals != left
    else:
        aimed = np.ones_like(right_source)

    def success(answers: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Whether predictions (n_sources, n_targets, n_samples) are a success."""
        if goal == "other":
            return answers != left[:, None]
        assert goals is not None
        return answers == goals[:, None]

    # predictions of a source that failed are unknown
    known = (outcomes.own != NOT_ASKED) & (outcomes.clean[outcomes.source_places] != NOT_ASKED)
    own = success(outcomes.own[:, None])[:, 0]
    asked = aimed[:, None] & (outcomes.adversarial != NOT_ASKED) & ~outcomes.aside[:, :, None]
    if condition == "all":
        eligible = asked
    else:
        eligible = asked & right_target & right_source[:, None]
        if condition == "source_fooled":
            eligible = eligible & own[:, None]
    fooled = eligible & success(outcomes.adversarial)
    source_eligible = right_source & aimed & known
    return Seen(
        eligible=eligible,
        fooled=fooled,
        same_mistake=fooled & (outcomes.adversarial == outcomes.own[:, None]),
        noise_fooled=eligible & success(outcomes.noise[None]),
        source_eligible=source_eligible,
        source_fooled=source_eligible & own,
        pairs=outcomes.apart,
    )


class Exposed(NamedTuple):
    """Flags of the samples of each source, and of noise, for one target or for any other model.

    Attributes
    ----------
    fooled, eligible : bool ndarray of shape (n_sources, n_samples)
        Whether the sample made on the source fools the target, and whether it counts.
    noise_fooled : bool ndarray of shape (n_samples,)
        Whether noise of the same size fools the target.
    """

    fooled: NDArray[np.bool_]
    eligible: NDArray[np.bool_]
    noise_fooled: NDArray[np.bool_]


def exposed(seen: Seen, target: int | None = None) -> Exposed:
    """Flags for the target of that number; None is all targets together."""
    chosen = np.zeros_like(seen.pairs)
    chosen[:, slice(None) if target is None else target] = True
    some = (seen.pairs & chosen)[:, :, None]
    fooled, eligible = (np.any(part & some, axis=1) for part in (seen.fooled, seen.eligible))
    return Exposed(fooled, eligible, np.any(seen.noise_fooled & some, axis=(0, 1)))


def source_fooled_by_budget(outcomes: Sequence[Outcomes], goal: str) -> NDArray[np.int64]:
    """Number of correctly classified samples that fool their source at a budget or at a smaller one.

    Of shape (n_budgets, n_sources), for the outcomes at each budget.
    """
    fooled = [see(one, "both_correct", goal).source_fooled for one in outcomes]
    return np.logical_or.accumulate(fooled).sum(axis=2)


def check_attacked(outcomes: Outcomes, condition: str) -> None:
    """Raise where a sample that counts under a condition was not attacked."""
    left = outcomes.left
    counting = np.ones(left.shape, dtype=bool)
    if condition != "all":
        counting = outcomes.clean[outcomes.source_places] == left
    if outcomes.goals is not None:
        counting &= outcomes.goals != left
    failed: NDArray[np.bool_] = outcomes.failed  # the result reports these
    unknown = (outcomes.own == NOT_ASKED) & ~failed.any(axis=1, keepdims=True)
    for i, answers in enumerate(outcomes.adversarial):
        unknown[i] |= (answers[~failed[i]] == NOT_ASKED).any(axis=0)
    missing = (counting & unknown).sum(axis=1)
    if missing.any():
        i = int(missing.argmax())
        raise ValueError(
            f"under condition={condition!r} {counted(int(counting[i].sum()), 'sample')} of source "
            f"{outcomes.sources[i]!r} count, but {missing[i]} of them were not attacked, so its rates are "
            f"unknown; measure with TransferScorer(condition={condition!r})"
        )


def _seen_in_parts(outcomes: Outcomes, condition: str, goal: str) -> Iterator[tuple[slice, Seen]]:
    """Flags of some samples at a time, to save memory."""
    n = outcomes.n_samples
    parts = list(blocks(n, len(outcomes.sources) * len(outcomes.targets)))
    if len(parts) <= 1:
        yield slice(n), see(outcomes, condition, goal)
        return
    for rows in parts:
        yield rows, see(outcomes.take(rows), condition, goal)


def count(outcomes: Outcomes, condition: str, goal: str = "other") -> dict[str, NDArray[np.int64]]:
    """All counts of a matrix, by name."""
    counts: dict[str, NDArray[np.int64]] = {}
    for _, seen in _seen_in_parts(outcomes, condition, goal):
        for name in COUNTED:
            counts[name] = counts.get(name, 0) + getattr(seen, name).sum(axis=-1)
    return counts


def mean_standard_error(
    outcomes: Outcomes, condition: str, goal: str, counts: Mapping[str, NDArray[np.int64]]
) -> float:
    """Standard error of the mean rate over ordered pairs, linearised over samples.

    The mean is a sum of ratios over the same samples. Each sample's influence on it (that of the jackknife,
    to first order) is squared and summed. The result is nan where a pair has too few samples to estimate
    their variance.
    """
    total, influence = counts["eligible"], np.zeros(outcomes.n_samples)
    pairs = outcomes.apart & (total > 0)
    if not pairs.any() or total[pairs].min() < FEWEST:
        return np.nan
    for rows, seen in _seen_in_parts(outcomes, condition, goal):
        for i, j in np.argwhere(pairs):
            rate = counts["fooled"][i, j] / total[i, j]
            influence[rows] += (seen.fooled[i, j] - rate * seen.eligible[i, j]) / total[i, j]
    return float(np.sqrt(((influence / pairs.sum()) ** 2).sum()))


def mean_rate(seen: Seen) -> float:
    """Mean transfer rate over pairs of a source and another model with samples that count; else nan."""
    return mean_over(seen.pairs, seen.fooled.sum(axis=2), seen.eligible.sum(axis=2))


def resampled_means(
    experiments: Sequence[Seen], n_draws: int, rng: np.random.RandomState
) -> NDArray[np.float64]:
    """Bootstrap of the mean rates of experiments on the same samples, (n_experiments, n_draws).

    Every draw takes as many samples as there are, with replacement.
    """
    n = experiments[0].eligible.shape[2]
    means = np.full((len(experiments), n_draws), np.nan)
    if n == 0:
        return means
    for rows in blocks(n_draws, n):
        draws = rng.multinomial(n, np.full(n, 1 / n), len(means[0, rows])).astype(float)
        for each, seen in zip(means, experiments, strict=True):
            pairs = seen.pairs & seen.eligible.any(axis=2)
            fooled, eligible = (draws @ part[pairs].T.astype(float) for part in (seen.fooled, seen.eligible))
            rates = ratio(fooled, eligible)
            known = ~np.isnan(rates)
            each[rows] = ratio(np.where(known, rates, 0.0).sum(axis=1), known.sum(axis=1))
    return means
