"""Random numbers for each sample that do not depend on the other samples or on their order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

_STEP = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio


def _mixed(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The output function of SplitMix64, a bijection that scrambles 64 bits; ``z`` is overwritten."""
    z ^= z >> np.uint64(30)
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> np.uint64(27)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return z


class Streams:
    """A stream of random draws for each sample.

    The values of a sample depend on the seed, on the number of the sample, and on how many draws it had
    before. They depend neither on other samples nor on how many values earlier draws had. So samples may be
    attacked in any blocks and on any number of threads, with the same results.

    Every draw of a sample has a key, and its values are ``mix(key + i * step)``, as in SplitMix64 of Steele,
    Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 17, which has a
    generator for each split. The key of a draw is made in the same way from the key of the sample, and that
    from seed and number. numpy has no generator that draws from many streams at once.

    Parameters
    ----------
    seed : int
        Seed, from 0 to 2^63 - 1.
    numbers : int ndarray of shape (n_samples,)
        Numbers that identify the samples, from 0 on.
    purpose : int, default=0
        Streams with different purposes are independent.
    """

    def __init__(self, seed: int, numbers: NDArray[np.intp], purpose: int = 0) -> None:
        start = _mixed(np.array([seed], dtype=np.uint64) + _STEP)
        start = _mixed(start + _STEP * np.array([purpose + 1], dtype=np.uint64))
        self._start = start
        self._keys = _mixed(start + _STEP * (numbers.astype(np.uint64) + np.uint64(1)))
        self._n_draws = np.zeros(len(numbers), dtype=np.uint64)

    def _bits(self, rows: NDArray[np.intp], n_values: int) -> NDArray[np.uint64]:
        """64 random bits for each value, (n_rows, n_values); a repeated row gets different ones."""
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
        """Draw uniform numbers in the open interval (0, 1) for some samples.

        Parameters
        ----------
        rows : int ndarray of shape (n_rows,)
            Positions of samples among those of this object; they may repeat.
        *shape : int
            Shape of the draw for each sample.

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
        """Draw -1 or 1 for some samples."""
        bits = self._bits(rows, int(np.prod(shape, dtype=int)))
        return np.where(bits >> np.uint64(63), 1.0, -1.0).reshape(len(rows), *shape)

    def normal(self, rows: NDArray[np.intp], *shape: int) -> NDArray[np.float64]:
        """Draw standard normal numbers for some samples."""
        numbers = self.uniform(rows, *shape)
        return ndtri(numbers, out=numbers)

    def laplace(self, rows: NDArray[np.intp], *shape: int) -> NDArray[np.float64]:
        """Draw from the Laplace distribution of scale 1 for some samples."""
        numbers = self.uniform(rows, *shape) - 0.5
        return -np.sign(numbers) * np.log1p(-2 * np.abs(numbers))

    def integers(self, rows: NDArray[np.intp], most: int | NDArray[np.intp]) -> NDArray[np.intp]:
        """Draw one integer from 0 to ``most - 1`` for each of some samples."""
        return (self.uniform(rows) * most).astype(np.intp)

    def take(self, rows: NDArray[np.intp]) -> Streams:
        """Streams of some of the samples, in their current state; draws there do not change this object."""
        return self._made(self._keys[rows], self._n_draws[rows])

    def shared(self) -> Streams:
        """A single stream for draws that all samples share; it does not depend on the samples."""
        return self._made(_mixed(self._start.copy()), np.zeros(1, dtype=np.uint64))

    def _made(self, keys: NDArray[np.uint64], n_draws: NDArray[np.uint64]) -> Streams:
        made = object.__new__(Streams)
        made._start, made._keys, made._n_draws = self._start, keys, n_draws
        return made

    def apart(self, purpose: int) -> Streams:
        """Streams of the same samples for another purpose, in their initial state."""
        keys = _mixed(self._keys + _STEP * np.array([purpose + 1], dtype=np.uint64))
        return self._made(keys, np.zeros(len(keys), dtype=np.uint64))
