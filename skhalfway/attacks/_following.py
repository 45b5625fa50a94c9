"""What a recipe differentiates instead of the margin at a sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch


class Following(NamedTuple):
    """What a recipe differentiates instead of the margin at a sample.

    Attributes
    ----------
    change : callable or None
        Function of the source's inputs, (n, ...), that returns other inputs, or several copies (k * n, ...).
    weigh : callable
        Function of logits, (k * n, n_classes), and a mask of the labels. It returns outputs of the source and
        their weights; the sum of the products is differentiated.
    n_copies : int, default=1
        Number of copies over which the mean is taken, including those of other calls.
    """

    change: Callable[[torch.Tensor], torch.Tensor] | None
    weigh: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    n_copies: int = 1


def at_logits(
    slope: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Make a function that weighs logits by a loss's gradient with respect to them."""
    return lambda logits, own: (logits, slope(logits, own))
