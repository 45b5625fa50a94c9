"""Counting transfer: the one place where it is done."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import FEWEST
from skhalfway.transfer._matrix import TransferMatrix


def count(
    names: tuple[str, ...],
    labels: NDArray[np.intp],
    clean: NDArray[np.intp],
    control: NDArray[np.intp],
    adversarial: NDArray[np.intp],
    condition: str,
) -> TransferMatrix:
    """Count over samples.

    ``labels`` (n_models, n_samples) are those that each source's attack
    leaves; ``adversarial`` (n_models, n_models, n_samples) what target j says
    of the samples made on source i. A source's samples may be -1 where they
    cannot count.
    """
    n = len(names)
    own = np.arange(n)
    correct = clean[None] == labels[:, None]  # (source, target, sample)
    correct_source = correct[own, own]
    source_fooled = adversarial[own, own] != labels
    if condition == "all":
        eligible = np.ones_like(correct)
    else:
        eligible = correct & correct_source[:, None]
        if condition == "source_fooled":
            eligible &= source_fooled[:, None]
    fooled = eligible & (adversarial != labels[:, None])
    same = fooled & (adversarial == adversarial[own, own][:, None])
    noise_fooled = eligible & (control[None] != labels[:, None])
    return TransferMatrix(
        names,
        eligible=eligible.sum(axis=2),
        fooled=fooled.sum(axis=2),
        same_mistake=same.sum(axis=2),
        noise_fooled=noise_fooled.sum(axis=2),
        source_eligible=correct_source.sum(axis=1),
        source_fooled=(correct_source & source_fooled).sum(axis=1),
        condition=condition,
        standard_error=mean_standard_error(eligible, fooled),
    )


def mean_standard_error(eligible: NDArray[np.bool_], fooled: NDArray[np.bool_]) -> float:
    """Standard error of the mean rate over ordered pairs, linearised over samples.

    The mean is a sum of ratios over the same samples; each sample's influence
    on it (Jackknife's, to first order) is squared and summed. nan where a pair has
    too few samples to tell how much they differ.
    """
    total = eligible.sum(axis=2)
    pairs = ~np.eye(len(total), dtype=bool) & (total > 0)
    if not pairs.any() or total[pairs].min() < FEWEST:
        return np.nan
    rate = fooled.sum(axis=2)[pairs] / total[pairs]
    residual = fooled[pairs] - rate[:, None] * eligible[pairs]
    influence = (residual / total[pairs][:, None]).sum(axis=0) / pairs.sum()
    return float(np.sqrt((influence**2).sum()))
