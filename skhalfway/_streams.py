"""Random numbers for each sample, whatever samples it is attacked with, and in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection of 64 bits that scatters numbers in a row: the output of SplitMix64; ``z`` is used up."""
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


class Streams:
    """A stream of draws for each of some samples.

    What a sample gets depends on the seed, on its number, and on how often it was drawn for, but neither on
    the other samples nor on how many values it got before: so samples may be attacked in any blocks, on any
    number of threads, and their results are the same.

    Every draw of a sample has a key, and its values are ``mix(key + i * step)``, as in SplitMix64 of Steele,
    Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 17, which keeps a
    generator for each split; keys are made in the same way of the sample's own, and that of seed and number.
    numpy has no generator that draws from many streams at once.

    Parameters
    ----------
    seed : int
        From 0 to 2^63 - 1.
    numbers : int ndarray of shape (n_samples,)
        What each sample is called. From 0 on.
    purpose : int, default=0
        Streams of other purposes are others.
    """

    def __init__(self, seed: int, numbers: NDArray[np.intp], purpose: int = 0) -> None:
        start = _mixed(np.array([seed], dtype=np.uint64) + _STEP)
        start = _mixed(start + _STEP * np.array([purpose + 1], dtype=np.uint64))
        self._start = start
        self._keys = _mixed(start + _STEP * (numbers.astype(np.uint64) + np.uint64(1)))
        self._n_draws = np.zeros(len(numbers), dtype=np.uint64)

    def _bits(self, rows: NDArray[np.intp], n_values: int) -> NDArray[np.uint64]:
        """64 random bits, (n_rows, n_values); of a row that repeats, each time others."""
        counts = np.bincount(rows, minlength=len(self._keys))
        turn = self._n_draws[rows]
        if counts.max(initial=0) > 1:
            order = np.argsort(rows, kind="stable")
            in_order = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
            again = np.empty(len(rows), dtype=np.uint64)
            again[order] = in_order
            turn += again
        self._n_draws += counts.astype(np.uint64)
        keys = _mixed(self._keys[rows] + _STEP * (turn + np.uint64(1)))
        return _mixed(keys[:, None] + _STEP * np.arange(1, n_values + 1, dtype=np.uint64))

    def uniform(self, rows: NDArray[np.intp], *shape: int) -> NDArray[np.float64]:
        """Numbers between 0 and 1, neither of which occurs, for each of some samples; they may repeat.

        Parameters
        ----------
        rows : int ndarray of shape (n_rows,)
            Places of samples among those of this object.
        *shape : int
            Of what each gets.

        Returns
        -------
        numbers : ndarray of shape (n_rows, *shape)
            Odd multiples of 2^-53.
        """
        bits = self._bits(rows, int(np.prod(shape, dtype=int)))
        bits >>= np.uint64(12)
        numbers = bits.astype(float)
        numbers += 0.5
        numbers *= 2.0**-52
        return numbers.reshape(len(rows), *shape)

    def signs(self, rows: NDArray[np.intp], *shape: int) -> NDArray[np.float64]:
        """-1 or 1, for each of some samples."""
        bits = self._bits(rows, int(np.prod(shape, dtype=int)))
        return np.where(bits >> np.uint64(63), 1.0, -1.0).reshape(len(rows), *shape)

    def normal(self, rows: NDArray[np.intp], *shape: int) -> NDArray[np.float64]:
        """Standard normal numbers, for each of some samples."""
        numbers = self.uniform(rows, *shape)
        return ndtri(numbers, out=numbers)

    def laplace(self, rows: NDArray[np.intp], *shape: int) -> NDArray[np.float64]:
        """Numbers of the Laplace distribution of scale 1, for each of some samples."""
        numbers = self.uniform(rows, *shape) - 0.5
        return -np.sign(numbers) * np.log1p(-2 * np.abs(numbers))

    def integers(self, rows: NDArray[np.intp], most: int | NDArray[np.intp]) -> NDArray[np.intp]:
        """Whole numbers from 0 to ``most - 1``, one for each of some samples."""
        return (self.uniform(rows) * most).astype(np.intp)

    def take(self, rows: NDArray[np.intp]) -> Streams:
        """Those of some of the samples, from where they are; what is drawn there is not drawn here."""
        return self._made(self._keys[rows], self._n_draws[rows])

    def shared(self) -> Streams:
        """A single stream, the same whatever samples these are: for draws that all samples share."""
        return self._made(_mixed(self._start.copy()), np.zeros(1, dtype=np.uint64))

    def _made(self, keys: NDArray[np.uint64], n_draws: NDArray[np.uint64]) -> Streams:
        made = object.__new__(Streams)
        made._start, made._keys, made._n_draws = self._start, keys, n_draws
        return made

    def apart(self, purpose: int) -> Streams:
        """Streams of the same samples for another purpose, from their beginning."""
        keys = _mixed(self._keys + _STEP * np.array([purpose + 1], dtype=np.uint64))
        return self._made(keys, np.zeros(len(keys), dtype=np.uint64))
