"""Any attack of torchattacks, which needs inputs from 0 to 1, on any source and any range."""

from __future__ import annotations

from copy import deepcopy
from inspect import signature
from math import isclose
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from skhalfway._text import shown
from skhalfway.attacks._adapter_source import Source, in_batches
from skhalfway.attacks._adapters import Adapter, step_of
from skhalfway.attacks._reference import is_range

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator
    from skhalfway.attacks._problem import Problem
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model

_NORMS = {np.inf: "Linf", 2: "L2", 1: "L1"}
# attacks that need outputs only; their subclasses do too
_BY_ANSWERS = {"GN", "OnePixel", "Pixle", "SPSA", "Square", "VANILA"}


class TorchattacksAdapter(Adapter):
    """A class gets the generator's settings in units of its own; an instance is copied onto the source."""

    owner = "torchattacks'"

    @property
    def by_gradient(self) -> bool:
        return not {kind.__name__ for kind in self.class_.__mro__} & _BY_ANSWERS

    @property
    def own_eps(self) -> Any:
        if self.is_class:
            return None
        return next((each.eps for each in _parts(self.attack) if hasattr(each, "eps")), None)

    def parameter_names(self) -> list[str]:
        return [name for name in super().parameter_names() if name != "model"]

    def check_params(self, generator: AdversarialGenerator) -> None:
        if "model" not in signature(self.class_).parameters and self.is_class:
            raise ValueError(f"{self.name} is made of other attacks; make an instance of it, and pass that")
        if any(kind.__name__ == "LGV" for kind in self.class_.__mro__):
            raise ValueError(
                f"{self.name} attacks networks that it trains itself, and not the source; pass one of these "
                "networks as estimator, with attack='pgd'"
            )
        width = _width(generator.clip_values)
        if width is None:
            raise ValueError(
                f"{self.name} works on inputs from 0 to 1, so the range of valid data must be known: pass "
                f"finite clip_values=(min, max), got {shown(generator.clip_values)}"
            )
        for each in _parts(self._any(generator)):
            norms = self._norms(each)
            if norms and generator.norm not in norms:
                raise ValueError(
                    f"{self.owner} {type(each).__name__} counts its budget in L"
                    f"{' or L'.join(map(str, norms))}, but the generator has norm={shown(generator.norm)}; "
                    "give both the same, or take its variant for that norm"
                )
            if not self.is_class and hasattr(each, "eps"):
                self._check_eps(each.eps, width, generator)

    def _norms(self, attack: Any) -> list[float]:
        """Norms in which the attack can count a budget; empty if it has no budget."""
        if not hasattr(attack, "eps"):
            return []
        if hasattr(attack, "norm"):
            return [np.inf, 2] if self.is_class else [n for n, name in _NORMS.items() if name == attack.norm]
        return [2 if any(kind.__name__.endswith("L2") for kind in type(attack).__mro__) else np.inf]

    def _check_eps(self, theirs: Any, width: float, generator: AdversarialGenerator) -> None:
        """Raise unless an instance's own budget is the generator's."""
        if not isinstance(generator.eps, Real) or generator.eps_unit != "input":
            raise ValueError(
                f"the attack has one eps={shown(theirs)} for all features and samples, but the generator has "
                "several; give the attack's class, and its parameters as attack_params"
            )
        if not isclose(theirs * width, generator.eps, rel_tol=1e-6):
            raise ValueError(
                f"the attack has eps={shown(theirs)} of a range of {width:g}, which is {theirs * width:g}, "
                f"but the generator eps={shown(generator.eps)}; give both the same"
            )

    def check_targets(self, generator: AdversarialGenerator, targeted: bool) -> None:
        if targeted and "targeted" not in self._any(generator).supported_mode:
            raise ValueError(f"{self.name} has no targeted form; call generate without target")

    def _any(self, generator: AdversarialGenerator) -> Any:
        """The user's instance, or one made on an empty module, to inspect its attributes."""
        if not self.is_class:
            return self.attack
        empty = nn.Module()
        empty.register_parameter("device", nn.Parameter(torch.zeros(1)))
        return self._made(empty, generator, 1.0, 2, 0)

    def check_source(self, model: Model, region: Region, n_classes: int) -> None:
        if self.by_gradient and not model.has_gradient:
            raise TypeError(
                f"{self.name} needs gradients, but {model.why_black_box}; torchattacks' Square and "
                "attack='auto' attack black boxes too"
            )

    def hand_out(self, generator: AdversarialGenerator, problem: Problem) -> NDArray[Any]:
        """Samples from 0 to 1, as images of one row where they are none: many attacks take nothing else."""
        region = problem.region
        low, width = _frame(generator, region)
        shape = region.X.shape if region.X.ndim == 4 else (len(region), 1, 1, region.X[0].size)
        return ((region.start() - low) / width).astype(np.float32).clip(0, 1).reshape(shape)

    def run(self, X: NDArray[Any], generator: AdversarialGenerator, problem: Problem, seed: int) -> Any:
        low, width = _frame(generator, problem.region)
        source = Source(
            problem.model, problem.region, low, width, answers=not self.by_gradient, sight=self.sight
        )
        attack = self._made(source, generator, problem.region.eps / width, problem.n_classes, seed, width)
        if problem.targeted:
            attack.set_mode_targeted_by_label(quiet=True)
        elif attack.attack_mode == "targeted(label)":
            # torchattacks prints when it converts its output back, so do that here
            for each in _parts(attack):
                each.attack_mode, each.targeted = "default", False
        batches = in_batches(X, problem.labels, generator.batch_size, source.anchor.device)
        return torch.cat([attack(x, labels) for x, labels in batches])

    def to_z(self, made: NDArray[Any], generator: AdversarialGenerator, region: Region) -> NDArray[Any]:
        low, width = _frame(generator, region)
        return low + width * made.astype(float).reshape(region.X.shape)

    def _made(
        self,
        module: nn.Module,
        generator: AdversarialGenerator,
        eps: float,
        n_classes: int,
        seed: int,
        width: float = 1.0,
    ) -> Any:
        """The attack on a module, with a budget in its own units."""
        if not self.is_class:
            # copy everything but the user's model, and put ours in its place
            attack = deepcopy(self.attack, {id(self.attack.model): module})
            attack.set_model(module)
            attack.set_device(next(module.parameters()).device)
            return attack
        theirs = {
            "eps": eps,
            "alpha": step_of(generator, eps * width) / width,
            "steps": int(generator.max_iter),
            "norm": _NORMS[generator.norm],
            "n_queries": int(generator.max_queries),
            "n_classes": n_classes,
            "seed": seed,
        }
        defaults = signature(self.class_).parameters
        if "alpha" in defaults and "steps" not in defaults and generator.step_size is None:
            # for a single step, keep the default ratio of alpha to eps
            theirs["alpha"] = eps * defaults["alpha"].default / defaults["eps"].default
        return self.in_its_name(lambda: self.class_(module, **self.settings(generator, theirs)))


def _parts(attack: Any) -> list[Any]:
    """The attack itself and the attacks that it is made of."""
    return [attack, *attack._attacks.values()]


def _width(clip_values: Any) -> float | None:
    """Width of the range of valid data; None if it is not known.

    Invalid ranges are reported when the data is read.
    """
    if is_range(clip_values):
        return None
    try:
        low, high = (np.asarray(bound, dtype=float) for bound in clip_values)
    except (TypeError, ValueError):
        return 1.0 if clip_values is not None else None
    width = float(high.max() - low.min())
    return width if np.isfinite(low).all() and np.isfinite(high).all() else None


def _frame(generator: AdversarialGenerator, region: Region) -> tuple[float, float]:
    """Position of torchattacks' 0, and distance from there to its 1, in the region's coordinates."""
    unit = 1.0 if region.unit is None else region.unit
    low, high = (np.asarray(bound, dtype=float) / unit for bound in generator.clip_values or ())
    least = float(low.min())
    return least, float(high.max()) - least


ADAPTER = TorchattacksAdapter
