"""Memory of computations in batches: how much is computed at once, and how much is kept for a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

# values computed at once, to fit into a cache; most bytes that an ensemble keeps, beyond one member's
_AT_ONCE, _KEPT = 2**17, 2**26
# bytes kept so far by the ensemble that is being computed: one number, shared with ensembles inside it
_SPENT: ContextVar[list[float] | None] = ContextVar("spent", default=None)


def at_once(n_values: int) -> int:
    """Number of rows, of ``n_values`` values each, that are computed at once."""
    return max(1, _AT_ONCE // max(1, n_values))


class Members(nn.Module):
    """Modules that are called on the same samples, with a limit of memory.

    What modules keep for a gradient grows with their number. It is measured at the first gradients. Once 64
    MiB are kept, the remaining members keep nothing and are computed twice.
    """

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)
        self._has_members = [any(isinstance(m, Members) for m in branch.modules()) for branch in branches]
        # bytes that each module keeps per sample
        self._kept: list[float | None] = [None] * len(branches)

    def outputs(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Outputs of each module."""
        if not (torch.is_grad_enabled() and x.requires_grad and len(x)):
            return [branch(x) for branch in self.branches]
        spent = _SPENT.get() or [0.0]
        token = _SPENT.set(spent)
        try:
            return [self._output(i, branch, x, spent) for i, branch in enumerate(self.branches)]
        finally:
            _SPENT.reset(token)

    def _output(self, i: int, branch: nn.Module, x: torch.Tensor, spent: list[float]) -> torch.Tensor:
        if self._has_members[i]:
            return branch(x)
        if spent[0] >= _KEPT:
            # modules in evaluation mode draw no random numbers, so the global state need not be kept
            return checkpoint(branch, x, use_reentrant=False, preserve_rng_state=False)
        kept = self._kept[i]
        if kept is None:
            output, n_bytes = _measured(branch, x)
            self._kept[i] = kept = n_bytes / len(x)
        else:
            output = branch(x)
        spent[0] += kept * len(x)
        return output


def _measured(module: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, int]:
    """A module's output, and the bytes kept for its gradient.

    Only tensors with a dimension of the batch's size count. Weights, which exist anyway, rarely have one.
    """
    kept = {x.untyped_storage().data_ptr(): 0}

    def pack(saved: torch.Tensor) -> torch.Tensor:
        storage = saved.untyped_storage()
        if len(x) in saved.shape:
            kept.setdefault(storage.data_ptr(), storage.nbytes())
        # detached, since a reference to its own history would be circular
        return saved.detach()

    with saved_tensors_hooks(pack, lambda saved: saved):
        return module(x), sum(kept.values())
