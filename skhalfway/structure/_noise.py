"""The layers of a network as functions of noise, with the ranges of their inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import expit

from skhalfway._checks import check_choice
from skhalfway._text import shown
from skhalfway.structure._chain import Chain, Layer
from skhalfway.structure._information import Range, Wiring

# as in the authors' code
RANGES: dict[str, Range] = {"sigmoid": (0, 1), "tanh": (-1, 1), "relu": (0, 10), "none": (-10, 10)}
_FUNCTIONS = {
    "sigmoid": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0),
    "none": lambda z: z,
}


def read_wirings(chain: Chain, input_range: Any, ranges: Mapping[str, Any] | None) -> dict[str, Wiring]:
    """Each layer as a function of noise, by its name."""
    if ranges is not None and not isinstance(ranges, Mapping):
        raise TypeError(f"ranges must be a mapping of {list(RANGES)} to (low, high), got {shown(ranges)}")
    known = dict(RANGES)
    for name, value in dict(ranges or {}).items():
        check_choice("an activation in ranges", name, RANGES)
        known[name] = _read_range(f"ranges[{name!r}]", value)
    before, found = _read_range("input_range", input_range), {}
    for layer in chain.dense:
        kind = "none" if layer.activation == "softmax" and layer is chain.dense[-1] else layer.activation
        if kind not in known:
            raise ValueError(
                f"layer {layer.name!r} of {chain.name} has the activation {kind}, which is not supported; "
                f"train a network whose activations are of {shown(list(RANGES))}"
            )
        assert layer.weight is not None
        found[layer.name] = Wiring(_applied(layer, kind), layer.weight.shape[1], before, known[kind])
        before = known[kind]
    return found


def _applied(layer: Layer, kind: str) -> Any:
    weight, bias = layer.weight, 0.0 if layer.bias is None else layer.bias
    assert weight is not None
    activation = _FUNCTIONS[kind]
    return lambda x: activation(x @ weight.T + bias)


def _read_range(name: str, value: Any) -> Range:
    try:
        low, high = (float(end) for end in value)
    except (TypeError, ValueError):
        low = high = np.nan
    if not (np.isfinite([low, high]).all() and low < high):
        raise ValueError(f"{name} must be two finite numbers (low, high), low < high; got {shown(value)}")
    return low, high
