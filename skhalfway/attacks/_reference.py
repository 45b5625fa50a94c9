"""Reference: the spread and range of each feature in the data that a source was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from skhalfway._blocks import SCANNED, blocks

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator

RANGE = "range"  # the value of clip_values for which bounds are measured
EPS_UNITS = ("input", "std", RANGE)


@dataclass(frozen=True)
class Reference:
    """Spread and range of each feature, without missing values.

    Attributes
    ----------
    deviation : ndarray of the shape of a sample
        Standard deviation; 0 for a feature without any value.
    low, high : ndarray of the shape of a sample
        Smallest and largest value; nan for a feature without any value.
    """

    deviation: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @classmethod
    def of(cls, X: NDArray[Any]) -> Reference:
        """Measure samples."""
        shape = X.shape[1:]
        low, high, n_known = np.full(shape, np.inf), np.full(shape, -np.inf), np.zeros(shape, dtype=int)
        every = list(blocks(len(X), int(np.prod(shape)), SCANNED))
        for rows in every:
            known = ~np.isnan(X[rows])
            n_known += known.sum(axis=0)
            low = np.minimum(low, X[rows].min(axis=0, initial=np.inf, where=known))
            high = np.maximum(high, X[rows].max(axis=0, initial=-np.inf, where=known))
        nothing = n_known == 0
        low, high = (np.where(nothing, np.nan, end) for end in (low, high))
        # values are scaled by powers of two, so that their squares neither overflow nor underflow
        exponent = np.frexp(np.where(nothing, 0.0, np.maximum(np.abs(low), np.abs(high))))[1]
        n_known = np.maximum(n_known, 1)

        def mean(squares_from: NDArray[np.float64] | None) -> NDArray[np.float64]:
            total = np.zeros(shape)
            for rows in every:
                x = np.ldexp(X[rows].astype(float), -exponent)
                known = ~np.isnan(x)
                if squares_from is not None:
                    x -= squares_from
                    x *= x
                x[~known] = 0.0
                if len(x):
                    x[0] += total  # numpy adds row by row, so that blocks change no digit
                    total = x.sum(axis=0)
            return total / n_known

        deviation = np.ldexp(np.sqrt(mean(mean(None))), exponent)
        return cls(deviation, low, high)

    def spread(self, eps_unit: str) -> NDArray[np.float64] | None:
        """Input units of one unit of the budget in each feature; None if that is 1."""
        if eps_unit == "input":
            return None
        return self.deviation if eps_unit == "std" else np.nan_to_num(self.high - self.low)

    def check_width(self) -> None:
        """Raise if the range of every feature is empty."""
        if not (self.low < self.high).any():
            raise ValueError(
                "clip_values='range' is the range of each feature, and none has any width, as for one sample "
                "or constant data; fit on more samples, or pass clip_values=(min, max)"
            )

    def bounds(self, X: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Bounds of X's shape: the range of each feature, widened to hold each sample."""
        return np.fmin(self.low, X), np.fmax(self.high, X)


def reference_for(generator: AdversarialGenerator, X: NDArray[Any]) -> Reference | None:
    """The reference of samples, if a parameter of the generator is measured on one."""
    return Reference.of(X) if _needs_reference(generator) else None


def clip_values_of(generator: AdversarialGenerator, reference: Reference | None) -> Any:
    """The generator's clip_values, or the reference if they are measured on it."""
    return reference if is_range(generator.clip_values) else generator.clip_values


def reference_seen(generator: AdversarialGenerator) -> Reference | None:
    """The reference that a generator's ``fit`` measured; raises if there must be one and is none."""
    if not _needs_reference(generator):
        return None
    seen: Reference | None = getattr(generator, "_reference", None)
    if seen is None:
        name = "clip_values" if generator.eps_unit == "input" else "eps_unit"
        raise NotFittedError(
            f"{name}={getattr(generator, name)!r} is measured on training data; call fit with it before this "
            "method"
        )
    return seen


def _needs_reference(generator: AdversarialGenerator) -> bool:
    return generator.eps_unit != "input" or is_range(generator.clip_values)


def is_range(clip_values: Any) -> bool:
    """Whether bounds are to be measured."""
    return isinstance(clip_values, str) and clip_values == RANGE
