"""Pairing two transfer experiments on the same samples, sample by sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import ConfidenceInterval, check_level, percentile_interval, wilson_interval
from skhalfway._text import counted, shown
from skhalfway.models._warnings import warn
from skhalfway.results import Provenance
from skhalfway.results._result import equal
from skhalfway.transfer._comparison import TransferComparison, read_pairs
from skhalfway.transfer._counting import mean_rate, resampled_means, see

if TYPE_CHECKING:
    from skhalfway.transfer._by_sample import BySample
    from skhalfway.transfer._outcomes import Outcomes

_N_BOOTSTRAPS = 2000


def compare(first: BySample, second: BySample, level: float, pairs: Any = None) -> TransferComparison:
    """Compare two experiments on the same samples."""
    check_level(level)
    one, other = first._known("compare"), second._known("compare")
    own_count, their_count = (first.condition, first.goal), (second.condition, second.goal)
    kinds = (
        ("sources", one.sources, other.sources),
        ("targets", one.targets, other.targets),
        ("condition and goal", own_count, their_count),
    )
    for what, own, theirs in kinds:
        if own != theirs:
            raise ValueError(
                f"the two experiments have different {what}, {shown(own)} and {shown(theirs)}, and cannot be "
                "paired; measure both with the same ones"
            )
    samples: tuple[tuple[str, Any, Any], ...] = (
        ("numbers", one.n_samples, other.n_samples),
        ("indexes", one.sample_names, other.sample_names),
        ("labels", _labels(one), _labels(other)),
    )
    for parts, mine, others_own in samples:
        if equal(mine, others_own):
            continue
        if parts == "indexes" and sorted(map(repr, mine.tolist())) == sorted(map(repr, others_own.tolist())):
            raise ValueError(
                "the two experiments have the same samples in another order; sort both by index, with "
                "matrix.subset(np.argsort(matrix.outcomes.sample_names))"
            )
        raise ValueError(
            f"the two experiments have different samples: their {parts} differ; attack the same X and y"
        )
    pairs = read_pairs(pairs, one.sources, one.targets)
    _warn_of_other_values(one.fingerprints, other.fingerprints)
    failed = one.failed | other.failed  # both means must be over the same pairs
    seen, others = (see(*count).without(failed) for count in ((one, *own_count), (other, *their_count)))
    both = seen.eligible & others.eligible
    only_first, only_other = both & seen.fooled & ~others.fooled, both & others.fooled & ~seen.fooled
    n = both.sum(axis=2)
    first_means, other_means = resampled_means((seen, others), _N_BOOTSTRAPS, np.random.RandomState(0))
    counting = n[seen.pairs & (n > 0)]
    draws = other_means - first_means
    interval = percentile_interval(draws, level, n=counting.min(initial=one.n_samples))
    if np.isfinite(interval.low) and np.ptp(draws) == 0:
        # a spread of 0 in the sample does not mean that the difference is known without error
        known = seen.pairs & (n > 0)
        first_ends, other_ends = (
            wilson_interval(part.sum(axis=2)[known], n[known], level) for part in (only_first, only_other)
        )
        interval = ConfidenceInterval(
            (other_ends.low - first_ends.high).mean(), (other_ends.high - first_ends.low).mean()
        )
    return TransferComparison(
        one.sources,
        one.targets,
        n,
        only_first.sum(axis=2),
        only_other.sum(axis=2),
        mean_rate(others) - mean_rate(seen),
        ConfidenceInterval(float(interval.low), float(interval.high)),
        level,
        pairs,
        provenance=_origin((first.provenance, second.provenance), level, one.n_samples),
    )


def _origin(
    origins: tuple[Provenance | None, Provenance | None], level: float, n_samples: int
) -> Provenance | None:
    """Provenance of a comparison: the settings that both experiments share, and those that differ."""
    if origins == (None, None):
        return None
    first, other = ({} if origin is None else dict(origin.settings) for origin in origins)
    shared = {name: value for name, value in first.items() if name in other and equal(value, other[name])}
    apart = {
        role: {name: value for name, value in settings.items() if name not in shared}
        for role, settings in (("first", first), ("other", other))
    }
    return Provenance("TransferMatrix.compare", {**shared, **apart, "level": level}, n_samples=n_samples)


def _warn_of_other_values(own: NDArray[Any] | None, theirs: NDArray[Any] | None) -> None:
    """Warn where samples with the same names have different values, as far as fingerprints are known."""
    differ = 0 if own is None or theirs is None else int((own != theirs).sum())
    if differ:
        warn(
            f"{differ} of the {counted(len(np.asarray(own)), 'sample')} have other values in the other "
            "experiment, and are paired all the same. That is right only if they are the same samples, for "
            "example in other units; otherwise attack the same X",
            UserWarning,
        )


def _labels(outcomes: Outcomes) -> Any:
    return None if outcomes.labels is None else outcomes.classes[outcomes.labels]
