"""The gradient of a source's outputs, or an error if its graph is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from skhalfway.models._registry import NotDifferentiableError

if TYPE_CHECKING:
    from skhalfway.models._model import Model


def derivative(
    model: Model, outputs: torch.Tensor, x: torch.Tensor, weights: torch.Tensor | None = None, *, again: bool
) -> torch.Tensor:
    """Gradient at ``x`` of the weighted sum of outputs; ``again`` keeps the graph for another call."""
    if outputs.requires_grad:
        # an output may depend on trained weights, and still not on x
        (gradient,) = torch.autograd.grad(outputs, x, weights, retain_graph=again, allow_unused=True)
        if gradient is not None:
            # torch may return one number expanded to all features; its places must be independent
            shared = any(
                stride == 0 and n > 1 for stride, n in zip(gradient.stride(), gradient.shape, strict=True)
            )
            return gradient.contiguous() if shared else gradient
    raise NotDifferentiableError(
        f"{type(model.estimator).__name__} gives outputs that torch cannot follow back to its inputs: "
        "torch.no_grad(), .detach(), integers or numpy inside its forward cut the graph"
    )
