"""What may be given one a sample, as budgets and masks: which shapes it has."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BY_SAMPLE = "by sample"  # how the size of such a budget is called
_CANNOT_SLICE = (
    "each row belongs to one sample, and who hands in some of the samples, as cross-validation does, cannot "
    "choose among the rows: hand in the samples that they are for, or give what is the same for all samples"
)


def read_values(
    must: str, values: NDArray[Any], shape: tuple[int, ...], *, of_others: bool = False
) -> NDArray[Any]:
    """Values of the shape of a sample, or one for each sample, of X's shape or (n_samples, 1, ...).

    ``must`` is how messages begin, and its first word what the values are; ``shape`` is X's. Of samples other
    than these, ``of_others``, the largest values are taken, so that they have the shape of a sample.
    """
    n, *sample = shape
    if values.shape == tuple(sample):
        return values
    one_each = f"one for each sample has shape {(n, *[1] * len(sample))}"
    if values.ndim == len(shape):
        if len(values) != n and not (of_others and len(values)):
            raise ValueError(
                f"{must.split()[0]} has rows for {len(values)} samples, but X has {n} samples; "
                f"{_CANNOT_SLICE}"
            )
        if all(length in (1, most) for length, most in zip(values.shape[1:], sample, strict=True)):
            if of_others:
                return np.array(np.broadcast_to(values.max(axis=0), tuple(sample)))
            return values if np.prod(values.shape[1:]) == 1 else np.broadcast_to(values, shape)
        one_each += f", one for each sample and feature X's shape {shape}"
    elif values.ndim == 1:
        one_each += ", as of reshape(-1, 1)" if len(shape) == 2 else ""
    raise ValueError(
        f"{must} have one for each feature, shape {tuple(sample)}; got shape {values.shape}; {one_each}"
    )


def params_of_rows(generator: Any, rows: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """Parameters that a generator for X of that shape has to have for some rows: those of budgets and masks.

    ValueError where it is for other samples than X.
    """
    params = {}
    mask: Any = None if generator.constraints is None else generator.constraints.mask
    for name, must, values in (
        ("eps", "eps must be a number or", generator.eps),
        ("constraints__mask", "constraints.mask must", mask),
    ):
        if np.ndim(values) == len(shape):
            params[name] = read_values(must, np.asarray(values), shape)[rows]
    return params


def in_words(eps: Any, n_axes: int) -> Any:
    """A budget as results keep it: where it is one a sample, for X of so many axes, how large it is."""
    if np.ndim(eps) != n_axes:
        return eps
    budgets = np.asarray(eps, dtype=float)
    return f"{BY_SAMPLE}, from {budgets.min():g} to {budgets.max():g}, median {np.median(budgets):g}"
