"""Any attack of foolbox, on any source that has what the attack needs: a gradient, or scores."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from foolbox.attacks.base import FixedEpsilonAttack, FlexibleDistanceMinimizationAttack, Repeated
from foolbox.criteria import Misclassification, TargetedMisclassification
from foolbox.distances import LpDistance
from foolbox.models.pytorch import PyTorchModel
from numpy.typing import NDArray

from skhalfway._text import shown
from skhalfway.attacks._adapter_source import Source, finite_range, in_batches
from skhalfway.attacks._adapters import Adapter, step_of

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator
    from skhalfway.attacks._problem import Problem
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model

# attacks that need outputs only; their subclasses do too
_BY_ANSWERS = {
    "BaseAdditiveNoiseAttack",
    "BaseRepeatedAdditiveNoiseAttack",
    "BinarizationRefinementAttack",
    "BinarySearchContrastReductionAttack",
    "BoundaryAttack",
    "DatasetAttack",
    "GaussianBlurAttack",
    "GenAttack",
    "HopSkipJumpAttack",
    "InversionAttack",
    "L2ContrastReductionAttack",
    "LinearSearchBlendedUniformNoiseAttack",
    "LinearSearchContrastReductionAttack",
    "PointwiseAttack",
    "SaltAndPepperNoiseAttack",
    "SpatialAttack",
}
# attacks that are untargeted only, and attacks that are targeted only
_NO_TARGETS = {
    "DeepFoolAttack",
    "L1FastGradientAttack",
    "L2FastGradientAttack",
    "LinfFastGradientAttack",
    "NewtonFoolAttack",
    "VirtualAdversarialAttack",
}
_TARGETS_ONLY = {"GenAttack"}


class FoolboxAdapter(Adapter):
    """Adapter of foolbox, whose attacks get the budget when they are called, so that instances have none."""

    owner = "foolbox's"

    @property
    def _kinds(self) -> set[str]:
        """Names of the classes of the attack; for a repeated attack, of the one inside."""
        class_ = self.class_ if self.is_class else type(_inner(self.attack))
        return {kind.__name__ for kind in class_.__mro__}

    @property
    def by_gradient(self) -> bool:
        return not self._kinds & _BY_ANSWERS

    def check_params(self, generator: AdversarialGenerator) -> None:
        attack = self._made(generator, 1.0)
        norm = _norm(attack)
        if isinstance(_inner(attack), FixedEpsilonAttack) and norm != generator.norm:
            raise ValueError(
                f"{self.name} counts its budget in norm {_written(norm)}, but the generator has norm="
                f"{_written(generator.norm)}; pass norm={_written(norm)}, or take its variant for that norm"
            )

    def check_targets(self, generator: AdversarialGenerator, targeted: bool) -> None:
        if targeted and self._kinds & _NO_TARGETS:
            raise ValueError(f"{self.name} has no targeted form; call generate without target")
        if not targeted and self._kinds & _TARGETS_ONLY:
            raise ValueError(f"{self.name} only moves samples towards labels; call generate with target")

    def check_source(self, model: Model, region: Region, n_classes: int) -> None:
        if self.by_gradient and not model.has_gradient:
            raise TypeError(
                f"{self.name} needs gradients, but {model.why_black_box}; foolbox's HopSkipJumpAttack and "
                "attack='auto' attack black boxes too"
            )

    def _made(self, generator: AdversarialGenerator, eps: float) -> Any:
        """The attack; a copy if the user gave an instance."""
        if self.is_class:
            theirs = {
                "steps": int(generator.max_iter),
                "abs_stepsize": step_of(generator, eps),
                "constraint": {np.inf: "linf", 2: "l2"}.get(generator.norm, "l2"),
            }
            if "rel_stepsize" in (generator.attack_params or {}):
                del theirs["abs_stepsize"]  # which would override it
            attack = self.in_its_name(lambda: self.class_(**self.settings(generator, theirs)))
        else:
            attack = copy(self.attack)
            if isinstance(attack, Repeated):
                attack.attack = copy(attack.attack)
        inner = _inner(attack)
        flexible = isinstance(inner, FlexibleDistanceMinimizationAttack)
        if flexible and getattr(inner, "_distance", None) is None:
            inner._distance = LpDistance(generator.norm)
        return attack

    def run(self, X: NDArray[Any], generator: AdversarialGenerator, problem: Problem, seed: int) -> Any:
        region = problem.region
        source = Source(problem.model, region, answers=not self.by_gradient, sight=self.sight)
        device = source.anchor.device
        low, high = finite_range(region)
        # float32 may have rounded a sample over its bound
        bounds = min(float(low.min()), float(X.min())), max(float(high.max()), float(X.max()))
        model = PyTorchModel(source, bounds, device=device)
        attack = self._made(generator, region.eps)
        aim = TargetedMisclassification if problem.targeted else Misclassification
        # an attack for the nearest sample in another norm has no budget in ours
        eps = region.eps if _norm(attack) == generator.norm else None
        made = [
            attack(model, x, aim(labels), epsilons=eps)[1]
            for x, labels in in_batches(X, problem.labels, generator.batch_size, device)
        ]
        return torch.cat(made)


def _inner(attack: Any) -> Any:
    return _inner(attack.attack) if isinstance(attack, Repeated) else attack


def _norm(attack: Any) -> float | None:
    """The norm of an attack's budget; None if it has none."""
    norm = getattr(getattr(_inner(attack), "distance", None), "p", None)
    return None if norm is None else float(norm)


def _written(norm: float | None) -> str:
    return "np.inf" if norm == np.inf else shown(norm if norm is None else int(norm))


ADAPTER = FoolboxAdapter
