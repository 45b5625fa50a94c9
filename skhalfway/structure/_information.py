"""Information in bits that a layer transmits when its inputs are uniform noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks

Range = tuple[float, float]
_AT_ONCE, _PER_BIN = 2**22, 64  # noise values per block; values per bin of an input that varies alone
FIRST, ENOUGH, MOST = (
    10_000,
    0.05,
    2**20,
)  # first number of samples; change in bits, and number, at which to stop
SPARE = 3  # bits by which log2(n_samples) must exceed the largest joint entropy of the inputs


@dataclass(frozen=True)
class Wiring:
    """A layer as a function, with the ranges of its inputs and outputs.

    Attributes
    ----------
    apply : callable
        Function from inputs (n, n_inputs) to outputs (n, n_outputs).
    n_inputs : int
        Number of inputs.
    inputs, outputs : (float, float)
        Ranges of input and output values, which are divided into bins.
    """

    apply: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    n_inputs: int
    inputs: Range
    outputs: Range


@dataclass(frozen=True)
class Bits:
    """Figures of a layer.

    Attributes
    ----------
    information : float
        Effective information; nan where it was not estimated.
    parts : float
        Sum over pairs of neurons while all inputs vary.
    sensitivity : float
        Sum over pairs while only the input of the pair varies.
    n_samples : int
        Number of samples for the first two.
    outside : float
        Share of outputs that were outside their range, and left out.
    excess : float
        Approximate bias of ``parts`` in bits, due to few samples; 0 for a corrected estimate.
    """

    information: float
    parts: float
    sensitivity: float
    n_samples: int
    outside: float
    excess: float = 0.0


def measured(
    wiring: Wiring,
    *,
    n_bins: int,
    n_samples: int | None,
    joint: bool,
    corrected: bool,
    rng: np.random.RandomState,
) -> Bits:
    """Figures of a layer; without ``n_samples``, the number of samples is doubled until they converge."""
    alone = sensitivity(wiring, n_bins, corrected)
    sample = _Sample(wiring, n_bins, joint)
    if n_samples is not None:
        sample.draw(n_samples, rng)
        return sample.told(alone, corrected)
    sample.draw(FIRST, rng)
    before = sample.bits(corrected)
    while sample.n < MOST:
        sample.draw(sample.n, rng)
        now = sample.bits(corrected)
        if all(abs(a - b) < ENOUGH for a, b in zip(now, before, strict=True) if a == a):
            break
        before = now
    return sample.told(alone, corrected)


def can_be_told(n_inputs: int, n_bins: int, n_samples: int | None) -> bool:
    """Whether the samples are enough for the joint distribution of the inputs."""
    return n_inputs * np.log2(n_bins) <= np.log2(MOST if n_samples is None else n_samples) - SPARE


class _Sample:
    """Counts of binned inputs and outputs for the noise drawn so far."""

    def __init__(self, wiring: Wiring, n_bins: int, joint: bool) -> None:
        self._wiring, self._n_bins, self._joint = wiring, n_bins, joint
        self._pairs: NDArray[np.intp] | None = None
        self._tuples: list[tuple[NDArray[Any], NDArray[Any]]] = []
        self.n, self._n_outside, self._n_outputs = 0, 0, 0

    @property
    def outside(self) -> float:
        return self._n_outside / self._n_outputs

    def draw(self, n: int, rng: np.random.RandomState) -> None:
        wiring, bins = self._wiring, self._n_bins
        for block in blocks(n, wiring.n_inputs, _AT_ONCE):
            size = min(block.stop, n) - block.start
            x = rng.uniform(*wiring.inputs, (size, wiring.n_inputs))
            y = wiring.apply(x)
            a, b = binned(x, wiring.inputs, bins), binned(y, wiring.outputs, bins)
            there = (y >= wiring.outputs[0]) & (y <= wiring.outputs[1])
            counts = pair_counts(a, b, there, bins)
            self._pairs = counts if self._pairs is None else self._pairs + counts
            self._n_outside += int((~there).sum())
            self._n_outputs += there.size
            if self._joint:
                whole = there.all(axis=1)
                self._tuples.append((_coded(a[whole], bins), b[whole].astype(np.int16)))
        self.n += n

    def bits(self, corrected: bool) -> tuple[float, float]:
        """Effective information, nan where it is not estimated, and the sum over pairs."""
        assert self._pairs is not None
        parts = float(mutual_information(self._pairs, corrected).sum())
        return (self._together(corrected) if self._joint else np.nan), parts

    def told(self, alone: float, corrected: bool) -> Bits:
        """All figures, including the sensitivity ``alone``."""
        assert self._pairs is not None
        information, parts = self.bits(corrected)
        excess = 0.0 if corrected else parts - float(mutual_information(self._pairs, True).sum())
        return Bits(information, parts, alone, self.n, self.outside, excess)

    def _together(self, corrected: bool) -> float:
        inputs, outputs = (np.concatenate(each) for each in zip(*self._tuples, strict=True))
        if not len(inputs):
            return 0.0
        x = np.unique(inputs, return_inverse=True)[1].ravel()
        y = np.unique(outputs, axis=0, return_inverse=True)[1].ravel()
        n_y = int(y.max()) + 1
        found = (np.bincount(x), np.bincount(y), np.unique(x * n_y + y, return_counts=True)[1])
        one, other, both = (entropy(counts, corrected) for counts in found)
        return one + other - both


def binned(values: NDArray[np.float64], ends: Range, n_bins: int) -> NDArray[np.intp]:
    """Indices of bins of equal width; values outside of the range get the first or last bin."""
    low, high = ends
    places = np.clip((values - low) / (high - low), 0, 1) * n_bins
    return np.minimum(places.astype(np.intp), n_bins - 1)


def _coded(rows: NDArray[np.intp], n_bins: int) -> NDArray[np.int64]:
    """A number for each row of bins; it does not overflow where samples are enough for the joint estimate."""
    code = np.zeros(len(rows), dtype=np.int64)
    for column in rows.T:
        code = code * n_bins + column
    return code


def pair_counts(
    a: NDArray[np.intp], b: NDArray[np.intp], there: NDArray[np.bool_], n_bins: int
) -> NDArray[np.intp]:
    """Joint counts of the bins of two neurons, (n_a, n_b, n_bins, n_bins), of outputs within their range."""
    n_a, n_b = a.shape[1], b.shape[1]
    counts = np.empty((n_a, n_b, n_bins, n_bins), dtype=np.intp)
    offset = b + np.arange(n_b) * n_bins**2
    for i in range(n_a):
        found = np.bincount((a[:, i, None] * n_bins + offset)[there], minlength=n_b * n_bins**2)
        counts[i] = found.reshape(n_b, n_bins, n_bins)
    return counts


def mutual_information(counts: NDArray[np.intp], corrected: bool) -> NDArray[np.float64]:
    """Mutual information in bits between the last two axes of counts."""
    flat = counts.reshape(*counts.shape[:-2], -1)
    parts = (counts.sum(axis=-1), counts.sum(axis=-2), flat)
    one, other, both = (entropies(each, corrected) for each in parts)
    return one + other - both


def entropies(counts: NDArray[np.intp], corrected: bool) -> NDArray[np.float64]:
    """Plug-in entropy in bits along the last axis, 0 without counts; optionally Miller-Madow corrected."""
    total = counts.sum(axis=-1, keepdims=True)
    share = counts / np.maximum(total, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = -np.where(share > 0, share * np.log2(share), 0.0).sum(axis=-1)
    if corrected:
        occupied = (counts > 0).sum(axis=-1)
        found = found + np.maximum(occupied - 1, 0) / (2 * np.maximum(total[..., 0], 1) * np.log(2))
    return found


def entropy(counts: NDArray[np.intp], corrected: bool) -> float:
    return float(entropies(counts, corrected))


def sensitivity(wiring: Wiring, n_bins: int, corrected: bool) -> float:
    """Sum over pairs of neurons while only that input varies, evenly over its range, and others are 0."""
    low, high = wiring.inputs
    n = _PER_BIN * n_bins
    places = low + (high - low) * (np.arange(n) + 0.5) / n
    total = 0.0
    for x in _alone(places, wiring.n_inputs):
        y = wiring.apply(x)
        there = (y >= wiring.outputs[0]) & (y <= wiring.outputs[1])
        a = binned(places[:, None], wiring.inputs, n_bins)
        counts = pair_counts(a, binned(y, wiring.outputs, n_bins), there, n_bins)
        total += float(mutual_information(counts, corrected).sum())
    return total


def _alone(places: NDArray[np.float64], n_inputs: int) -> Iterator[NDArray[np.float64]]:
    """Rows in which one input varies, for each input."""
    for i in range(n_inputs):
        x = np.zeros((len(places), n_inputs))
        x[:, i] = places
        yield x
