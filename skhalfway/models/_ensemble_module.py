"""The logits of an ensemble's members, and their combination, in torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from numpy.typing import NDArray
from torch import nn

from skhalfway._text import shown
from skhalfway.models._member_outputs import emphasis_of
from skhalfway.models._memory import Members
from skhalfway.models._registry import NotDifferentiableError
from skhalfway.models._torch import place_of

if TYPE_CHECKING:
    from skhalfway.models._model import Model


class _Member(nn.Module):
    """One model's logits, computed in its own float type and on its own device, for any points."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        assert model.module is not None
        self.model, self.module = model, model.module
        # undo the scaling of logits that only helps attacks, or they would count more than others
        self.by = 1.0 if model.in_torch else 1 / emphasis_of(model.module)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.model.logits(x.to(**place_of(self.module)))
        return logits if self.by == 1 else self.by * logits


class EnsembleModule(Members):
    """Models that are called on the same samples.

    It computes in the widest float type of its members, on the device of the first.

    Parameters
    ----------
    models : sequence of Model
        The members, with their classes in the same order, and names.
    weights : ndarray of shape (n_members,)
        Positive numbers that sum to 1.
    combine : str
        How logits are combined; see :class:`~skhalfway.Ensemble`.
    """

    def __init__(self, models: Sequence[Model], weights: NDArray, combine: str) -> None:
        members = [_Member(model) for model in models]
        super().__init__(members)
        self.combine, self._names = combine, [str(model.name) for model in models]
        places = [place_of(member.module) for member in members]
        wide = torch.float64 if any(p["dtype"] == torch.float64 for p in places) else torch.float32
        # the first parameter determines the float type and device of points
        self.weights = nn.Parameter(
            torch.tensor(weights, dtype=wide, device=places[0]["device"]), requires_grad=False
        )

    def each(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Logits of each member, (n_samples, n_classes)."""
        return self._checked(x, self.outputs(x), range(len(self.branches)))

    def one(self, x: torch.Tensor, member: int) -> torch.Tensor:
        """Logits of one member, (n_samples, n_classes)."""
        return self._checked(x, [self.branches[member](x)], [member])[0]

    def _checked(
        self, x: torch.Tensor, outputs: list[torch.Tensor], members: Sequence[int]
    ) -> list[torch.Tensor]:
        wide = [logits.to(self.weights) for logits in outputs]
        names = [self._names[k] for k in members]
        widths = {name: logits.shape[1] for name, logits in zip(names, wide, strict=True)}
        if len(set(widths.values())) > 1:
            raise ValueError(f"the members have different numbers of outputs: {shown(widths)}")
        if torch.is_grad_enabled() and x.requires_grad:
            for name, logits in zip(names, wide, strict=True):
                if not logits.requires_grad:  # otherwise only the other members would be followed, silently
                    raise NotDifferentiableError(
                        f"member {name!r} of the Ensemble gives outputs that torch cannot follow back to "
                        "its inputs: torch.no_grad(), .detach(), integers or numpy inside its forward cut "
                        "the graph"
                    )
        return wide

    def combined(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        """Combine the members' logits into the ensemble's, (n_samples, n_classes).

        It is the weighted mean of the logits; under "probabilities", the log of the weighted mean
        probability, which is exact even if probabilities round to 0 or 1.
        """
        each, weights = torch.stack(list(logits)), self.weights[:, None, None]
        if self.combine == "probabilities":
            return torch.logsumexp(torch.log_softmax(each, dim=2) + weights.log(), dim=0)
        return (weights * each).sum(dim=0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.combined(self.each(x))
