"""Outputs of torch modules, of any shape, container and kind, read as logits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

ENOUGH = 20  # fewest samples for which a single column between 0 and 1 is taken as a probability
_MADE = 32  # samples that are made up if there are fewer
FAR = 1000.0  # multiple of samples at which even small logits leave [0, 1]
_OFF = 1e-3  # tolerance of sums of probabilities

_SOFTMAX = {torch.softmax, torch.Tensor.softmax, torch.nn.functional.softmax}
_SIGMOID = {
    torch.sigmoid,
    torch.Tensor.sigmoid,
    torch.Tensor.sigmoid_,
    torch.nn.functional.sigmoid,
    torch.special.expit,
}
_RESHAPES = {
    torch.squeeze,
    torch.Tensor.squeeze,
    torch.unsqueeze,
    torch.Tensor.unsqueeze,
    torch.reshape,
    torch.Tensor.reshape,
    torch.Tensor.view,
    torch.flatten,
    torch.Tensor.flatten,
    torch.Tensor.float,
    torch.Tensor.double,
    torch.Tensor.to,
    torch.Tensor.contiguous,
    torch.Tensor.clone,
    torch.Tensor.detach,
    torch.Tensor.ravel,
}
_PARTS = {
    torch.Tensor.__getitem__,
    torch.select,
    torch.Tensor.select,
    torch.narrow,
    torch.Tensor.narrow,
}
_FROM = {torch.rsub, torch.Tensor.__rsub__}


class UnreadableError(ValueError):
    """A module's output cannot be read as logits."""


class BeforeProbability(TorchFunctionMode):
    """Records the inputs of sigmoid and softmax, so that the logits before the last of them are known."""

    def __init__(self) -> None:
        super().__init__()
        # each result, its input and the function: "sigmoid", "softmax" over the second axis, or "otherwise"
        self._noted: dict[int, tuple[torch.Tensor, torch.Tensor, str]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        first = args[0] if args else kwargs.get("input")
        # an operation in place overwrites its input
        logits = first.clone() if func is torch.Tensor.sigmoid_ else first
        result = func(*args, **kwargs)
        if not isinstance(first, torch.Tensor) or not isinstance(result, torch.Tensor):
            return result
        if func in _SIGMOID:
            self._noted[id(result)] = result, logits, "sigmoid"
        elif func in _SOFTMAX:
            axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
            how = "softmax" if result.ndim == 2 and axis in (1, -1) else "otherwise"
            self._noted[id(result)] = result, logits, how
        elif result is not first and id(first) in self._noted:
            self._follow(func, result, first, args[1:], kwargs)
        return result

    def _follow(self, func: Any, result: torch.Tensor, first: torch.Tensor, args: Any, kwargs: Any) -> None:
        """Record the logits behind a part or another shape of a probability, or behind 1 minus it."""
        _, logits, how = self._noted[id(first)]
        if func in _RESHAPES:
            self._noted[id(result)] = result, func(logits, *args, **kwargs), how
            return
        if how == "softmax" and logits.ndim == 2 and logits.shape[1] == 2:
            # each of two probabilities is the sigmoid of a difference of logits
            logits = logits - logits.flip(1)
        elif how != "sigmoid":
            return
        if func in _PARTS:
            self._noted[id(result)] = result, func(logits, *args, **kwargs), "sigmoid"
        elif func in _FROM and args and not isinstance(args[0], torch.Tensor) and args[0] == 1:
            self._noted[id(result)] = result, -logits, "sigmoid"

    def before(self, result: torch.Tensor, *, over_classes: bool = False) -> torch.Tensor | None:
        """The logits of a probability; None for other tensors, and for sigmoids if ``over_classes``."""
        noted = self._noted.get(id(result))
        if noted is None or noted[0] is not result or (over_classes and noted[2] != "softmax"):
            return None
        return noted[1]


def pick(output: Any, n_samples: int, n_classes: int | None, name: str) -> torch.Tensor:
    """The only tensor of an output that can hold a score for each sample and class; raises otherwise."""
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(logits := getattr(output, "logits", None), torch.Tensor):
        return logits
    if isinstance(output, Mapping):
        parts = dict(output)
    elif isinstance(output, (tuple, list)):
        parts = {f"item {i}": part for i, part in enumerate(output)}
    else:
        parts = dict(_slots(output)) | getattr(output, "__dict__", {})
    if isinstance(parts.get("logits"), torch.Tensor):
        return parts["logits"]
    fits = {
        key: part
        for key, part in parts.items()
        if isinstance(part, torch.Tensor) and _width(part, n_samples) is not None
    }
    if len(fits) > 1 and n_classes is not None:
        fits = {key: part for key, part in fits.items() if _width(part, n_samples) == n_classes}
    if len(fits) == 1:
        return next(iter(fits.values()))
    if not parts:
        raise TypeError(
            f"{name} returns {_told(output)}; a tensor of logits, shape (n_samples, n_classes), is needed"
        )
    told = ", ".join(f"{key}: {_told(part)}" for key, part in list(parts.items())[:5])
    raise UnreadableError(
        f"{name} returns a {type(output).__name__} of {told} for {n_samples} samples, and "
        f"{'none' if not fits else 'more than one'} of these can be the logits; wrap the module in one "
        "that returns its logits alone, a tensor of shape (n_samples, n_classes)"
    )


def columns_of(output: Any, n_samples: int, name: str) -> torch.Tensor:
    """The scores inside a module's output of any kind, of shape (n_samples, n_columns)."""
    return as_columns(pick(output, n_samples, None, name), n_samples, name)


def _slots(output: Any) -> Iterator[tuple[str, Any]]:
    for class_ in type(output).__mro__:
        names = class_.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if hasattr(output, name):
                yield name, getattr(output, name)


def as_columns(output: torch.Tensor, n_samples: int, name: str) -> torch.Tensor:
    """Scores of shape (n_samples, n_columns); raises if the output's shape is ambiguous."""
    if not output.is_floating_point():
        output = output.float()
    if output.ndim == 2 and output.shape[0] == n_samples and output.shape[1]:
        return output
    width = _width(output, n_samples)
    if width is None:
        raise UnreadableError(
            f"{name} returns shape {tuple(output.shape)} for {n_samples} samples; logits of shape "
            f"({n_samples}, n_classes), or ({n_samples},) for two classes, are needed. Wrap the module in "
            "one that returns these"
        )
    return output.reshape(n_samples, width)


def _width(output: torch.Tensor, n_samples: int) -> int | None:
    """Number of scores for each sample; None if the shape does not determine it."""
    if output.ndim == 0 or not output.numel():
        return None
    if output.shape[0] != n_samples:
        # a module may squeeze away the axis of a single sample
        return len(output) if output.ndim == 1 and n_samples == 1 else None
    wide = [length for length in output.shape[1:] if length != 1]
    return None if len(wide) > 1 else (wide or [1])[0]


def to_logits(z: torch.Tensor, kind: str) -> torch.Tensor:
    """Logits from scores of a kind; for a single column, the logit of the second class, against 0."""
    if kind == "probability":
        tiny = torch.finfo(z.dtype).tiny
        if z.shape[1] > 1:
            return z.clamp_min(tiny).log()
        return z.clamp_min(tiny).log() - (1 - z).clamp_min(tiny).log()
    if kind == "log_probability" and z.shape[1] == 1:
        tiny = torch.finfo(z.dtype).tiny
        return z - (-torch.expm1(z)).clamp_min(tiny).log()
    return z


def look_like_probabilities(z: torch.Tensor) -> bool | None:
    """Whether scores are probabilities, by their values; None if these are too few to decide."""
    z = z[z.isfinite().all(dim=1)]
    if (z < -_OFF).any() or (z > 1 + _OFF).any():
        return False
    if bool((z == z[:1]).all()) and (len(z) != 1 or not ((z > 0) & (z < 1)).any()):
        return None  # constant rows may sum to 1 by accident
    if z.shape[1] > 1:
        return bool((z.double().sum(dim=1) - 1).abs().max() < _OFF)
    return True if len(z) >= ENOUGH else None


def mixed(x: torch.Tensor) -> torch.Tensor:
    """Samples made of features of random samples of x, or 0, so that whole numbers stay whole."""
    pool = torch.cat([x, torch.zeros_like(x[:1])])
    # an own generator, which leaves the global one as it is
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(len(pool), (_MADE, *x.shape[1:]), generator=generator)
    return pool.gather(0, rows.to(x.device))


def check_stated(z: torch.Tensor, kind: str, name: str) -> None:
    """Raise if scores cannot be what ``output`` says that they are."""
    values = z[z.isfinite()]
    if kind == "logits" or not len(values):
        return
    least, most = values.min().item(), values.max().item()
    low, high = (0, 1) if kind == "probability" else (-torch.inf, 0)
    if least < low - _OFF or most > high + _OFF:
        instead = "probability" if 0 <= least and most <= 1 else "logits"
        raise UnreadableError(
            f"output={kind!r} was given, but {name} returns values from {least:.3g} to {most:.3g}; leave "
            f"output out, or say output={instead!r}"
        )


def _told(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}" + (f" of shape {value.shape}" if hasattr(value, "shape") else "")
