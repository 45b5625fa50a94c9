"""Learning from adversarial perturbations: classifiers that do so, and theory of why they can."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skhalfway.perturbation._geometry import GeometryGenerator
from skhalfway.perturbation._learner import PerturbationLearner
from skhalfway.perturbation._sampler import AdversarialSampler

if TYPE_CHECKING:
    from skhalfway.perturbation import theory

__all__ = ["AdversarialSampler", "GeometryGenerator", "PerturbationLearner", "theory"]


def __getattr__(name: str) -> Any:
    # imported on first access (PEP 562)
    if name == "theory":
        return import_module("skhalfway.perturbation.theory")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
