"""What a torch module returns, read as logits: of whatever shape, container and kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

ENOUGH = 20  # samples, to take a single column between 0 and 1 for a probability

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
}


class UnreadableError(ValueError):
    """A module's output cannot be read as logits."""


class BeforeProbability(TorchFunctionMode):
    """Notes what sigmoid and softmax are applied to, so that the logits before the last of them are known."""

    def __init__(self) -> None:
        super().__init__()
        # a result, what led to it, and whether softmax did, over the second axis
        self._noted: dict[int, tuple[torch.Tensor, torch.Tensor, bool]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        first = args[0] if args else kwargs.get("input")
        # of what is done in place, nothing is left afterwards
        logits = first.clone() if func is torch.Tensor.sigmoid_ else first
        result = func(*args, **kwargs)
        if not isinstance(first, torch.Tensor) or not isinstance(result, torch.Tensor):
            return result
        if func in _SIGMOID:
            self._noted[id(result)] = result, logits, False
        elif func in _SOFTMAX:
            axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
            self._noted[id(result)] = result, logits, result.ndim == 2 and axis in (1, -1)
        elif func in _RESHAPES and result is not first and id(first) in self._noted:
            _, logits, over_classes = self._noted[id(first)]
            self._noted[id(result)] = result, func(logits, *args[1:], **kwargs), over_classes
        return result

    def before(self, result: torch.Tensor, *, over_classes: bool = False) -> torch.Tensor | None:
        """What a probability came from; None for other tensors, and for sigmoids if softmax is asked for."""
        noted = self._noted.get(id(result))
        if noted is None or noted[0] is not result or (over_classes and not noted[2]):
            return None
        return noted[1]


def pick(output: Any, n_samples: int, n_classes: int | None, name: str) -> torch.Tensor:
    """The one tensor of an output that can hold a score for each sample and class; else an error."""
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, Mapping):
        parts = dict(output)
    elif isinstance(output, (tuple, list)):
        parts = {f"item {i}": part for i, part in enumerate(output)}
    else:
        parts = dict(getattr(output, "__dict__", {}))
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


def as_columns(output: torch.Tensor, n_samples: int, name: str) -> torch.Tensor:
    """Scores of shape (n_samples, n_columns), where the output's shape can be read in one way only."""
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
    """Number of scores for each sample; None where the shape does not tell one."""
    if output.ndim == 0 or not output.numel():
        return None
    if output.shape[0] != n_samples:
        # squeezed away, as a module may with a single sample
        return len(output) if output.ndim == 1 and n_samples == 1 else None
    wide = [length for length in output.shape[1:] if length != 1]
    return None if len(wide) > 1 else (wide or [1])[0]


def to_logits(z: torch.Tensor, kind: str) -> torch.Tensor:
    """Logits of scores of a kind; of a single column, the second class's, against 0."""
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
    """Whether scores are probabilities, as far as their values tell; None where these are too few to say."""
    if not z.isfinite().all() or (z < 0).any() or (z > 1).any():
        return False
    if bool((z == z[0]).all()) and (len(z) > 1 or not ((z > 0) & (z < 1)).any()):
        return None  # a constant may sum to anything
    if z.shape[1] > 1:
        return bool((z.double().sum(dim=1) - 1).abs().max() < 1e-3)
    return True if len(z) >= ENOUGH else None


def _told(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}" + (f" of shape {value.shape}" if hasattr(value, "shape") else "")
