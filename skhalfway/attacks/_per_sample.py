"""Budgets and masks that may be given one for each sample: their shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BY_SAMPLE = "by sample"  # the name of such a budget in results
_CANNOT_SLICE = (
    "each row belongs to one sample, so a caller that passes some of the samples, as cross-validation does, "
    "cannot use them: hand in the samples that they are for, or give what is the same for all samples"
)


def read_values(
    must: str, values: NDArray[Any], shape: tuple[int, ...], *, of_others: bool = False
) -> NDArray[Any]:
    """Check values of the shape of a sample, or one for each sample: of X's shape or (n_samples, 1, ...).

    ``must`` is how messages begin, and its first word is the name of the values; ``shape`` is X's. With
    ``of_others``, values for each sample belong to other samples than X; their largest values are returned,
    in the shape of a sample.
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
        one_each += ", as reshape(-1, 1) gives it" if len(shape) == 2 else ""
    raise ValueError(
        f"{must} have one for each feature, shape {tuple(sample)}; got shape {values.shape}; {one_each}"
    )


def params_of_rows(generator: Any, rows: Any, shape: tuple[int, ...]) -> dict[str, Any]:
    """The generator's budgets and masks for each sample, cut to some rows of X, whose shape is given.

    A ValueError is raised if they are for other samples than X.
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
    """A budget as results keep it: if there is one for each sample, a text that says how large they are."""
    if np.ndim(eps) != n_axes:
        return eps
    budgets = np.asarray(eps, dtype=float)
    return f"{BY_SAMPLE}, from {budgets.min():g} to {budgets.max():g}, median {np.median(budgets):g}"
