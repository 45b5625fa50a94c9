"""Gradients of torch models in lower precision than their predictions: which types are allowed, and where."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

from skhalfway._checks import meant
from skhalfway._text import brief, shown

if TYPE_CHECKING:
    import torch

    from skhalfway.models._model import Model

DTYPES = ("bfloat16", "float16")


def check_dtype(dtype: Any, devices: Iterable[Any]) -> None:
    """Raise for an invalid type, or one in which a device cannot compute; None is the model's own type."""
    if dtype is None:
        return
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(
            f"dtype must be {', '.join(map(repr, DTYPES))} or None, got {shown(dtype)}{meant(dtype, DTYPES)}"
        )
    for device in devices:
        _check_computes(dtype, str(device))


@cache
def _check_computes(dtype: str, device: str) -> None:
    import torch

    wanted, why = getattr(torch, dtype), ""
    try:
        with warnings.catch_warnings(), torch.inference_mode(False), torch.enable_grad():
            warnings.simplefilter("error")  # torch only warns if a type is not supported
            x = torch.eye(2, device=device, requires_grad=True)
            with torch.autocast(torch.device(device).type, dtype=wanted):
                product = x @ x
            torch.autograd.grad(product.sum(), x)
            if product.dtype != wanted:
                why = f"it computes in {product.dtype} instead"
    except (RuntimeError, UserWarning, NotImplementedError) as error:
        why = brief(error, 120)
    if why:
        raise ValueError(
            f"dtype={dtype!r} cannot be used on the device {device!r}: {why}; pass another one, or None for "
            "the model's own"
        )


def in_fewer_digits(model: Model, dtype: str | None) -> AbstractContextManager[Any]:
    """Context in which a torch model computes logits in lower precision, by ``torch.autocast``.

    Sums of many products are computed in lower precision; operations that need more precision are not.
    Weights stay as they are.
    """
    if dtype is None or not model.in_torch:
        return nullcontext()
    import torch

    return torch.autocast(model.device.type, dtype=getattr(torch, dtype))


def in_all_digits(x: torch.Tensor) -> AbstractContextManager[Any]:
    """Context in which computations with x use its own float type, even inside ``torch.autocast``."""
    import torch

    kind = x.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return nullcontext()
    return torch.autocast(kind, enabled=False)
