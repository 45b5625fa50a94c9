"""Calls of pieces, whose errors and values that are no use are reported in the name of the piece."""

from __future__ import annotations

from traceback import walk_tb
from typing import Any

import torch

from skhalfway._text import brief, shown
from skhalfway.attacks._pieces import Piece, has
from skhalfway.models import NotDifferentiableError
from skhalfway.models._memory_use import is_out_of_memory


def call(piece: Piece, method: str, *args: Any, **named: Any) -> Any:
    """Call a method of a piece; an error inside a piece of the user's is raised again in its name.

    Errors of the source, which a piece may ask, stay as they are.
    """
    function = getattr(piece, method)
    if _is_ours(piece):
        return function(*args, **named)
    try:
        return function(*args, **named)
    except (Warning, NotDifferentiableError):
        raise
    except Exception as error:
        where = (frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__))
        if is_out_of_memory(error) or any(name.startswith("skhalfway.models") for name in where):
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{_told(piece)} raised {type(error).__name__} in {method}: {brief(error)}") from error


def moved(piece: Piece, method: str, given: torch.Tensor, *args: Any, **named: Any) -> torch.Tensor:
    """Result of a method of a piece, ``given`` as it is or changed: numbers of its shape, not nan.

    ``args`` are all arguments, ``given`` included.
    """
    result = call(piece, method, *args, **named)
    return result if _is_ours(piece) else _checked(piece, method, result, given, tuple(given.shape))


def changed(piece: Piece, given: torch.Tensor, *args: Any) -> torch.Tensor:
    """Inputs of the source by a piece instead of the rows ``given``, as many."""
    result = call(piece, "change", *args)
    return result if _is_ours(piece) else _checked(piece, "change", result, given, None)


def weighed(
    piece: Piece, logits: torch.Tensor, own: torch.Tensor, run: Any
) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs of the source, and the gradient of a piece's loss with respect to them."""
    if _is_ours(piece):
        return piece.weigh(run, logits, own)
    if not has(piece, "weigh"):
        slope = call(piece, "slope", run, logits, own)
        return logits, _checked(piece, "slope", slope, logits, tuple(logits.shape)).to(logits)
    pair = call(piece, "weigh", run, logits, own)
    if not isinstance(pair, tuple) or len(pair) != 2 or not isinstance(pair[0], torch.Tensor):
        raise TypeError(f"{_told(piece)} must return (outputs, weights) from weigh, got {shown(pair)}")
    outputs, weights = pair
    return outputs, _checked(piece, "weigh", weights, outputs, tuple(outputs.shape)).to(outputs)


def _checked(
    piece: Piece, method: str, result: Any, given: torch.Tensor, shape: tuple[int, ...] | None
) -> torch.Tensor:
    """A piece's result; raises if it is no tensor of the shape, or not finite where ``given`` is.

    Without a shape, only the number of rows counts.
    """
    if not isinstance(result, torch.Tensor):
        raise TypeError(f"{_told(piece)} must return a tensor from {method}, got {shown(result)}")
    fits = tuple(result.shape) == shape if shape is not None else result.shape[:1] == given.shape[:1]
    if not fits:
        wanted = f"of shape {shape}" if shape is not None else f"of {len(given)} rows"
        raise ValueError(
            f"{_told(piece)} must return a tensor {wanted} from {method}, got one of shape "
            f"{tuple(result.shape)}"
        )
    with torch.no_grad():
        lost = ~result.isfinite().flatten(1).all(dim=1) & given.isfinite().flatten(1).all(dim=1)
    if lost.any():
        raise ValueError(
            f"{_told(piece)} returned nan or infinite values from {method} for {int(lost.sum())} of "
            f"{len(lost)} rows, for which it was given finite ones; look for a division by 0 or the "
            "logarithm of 0"
        )
    return result


def _is_ours(piece: Piece) -> bool:
    return type(piece).__module__.partition(".")[0] == "skhalfway"


def _told(piece: Piece) -> str:
    return f"the piece {type(piece).__name__}"
