"""Theory of learning from adversarial perturbations, for networks with one hidden layer.

The setting is that of Kumano, Kera & Yamasaki, "Theoretical understanding of
learning from adversarial perturbations", ICLR 2024 (arXiv 2402.10470), and of
their "Wide two-layer networks can learn from adversarial perturbations",
NeurIPS 2024 (arXiv 2410.23677). The documentation of each function says which
formulas are theirs and which are our derivation.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skhalfway.perturbation._agreement import agreement
from skhalfway.perturbation._boundary import (
    LearnedBoundary,
    boundary,
    geometry_perturbation,
    learned_boundary,
)
from skhalfway.perturbation._condition import (
    OrthogonalityCondition,
    OrthogonalityWarning,
    orthogonality_condition,
)
from skhalfway.perturbation._lazy import lazy_boundary, lazy_kernel, lazy_perturbation
from skhalfway.perturbation._multipliers import multipliers

if TYPE_CHECKING:
    from skhalfway.perturbation._network import OneHiddenLayerClassifier

__all__ = [
    "LearnedBoundary",
    "OneHiddenLayerClassifier",
    "OrthogonalityCondition",
    "OrthogonalityWarning",
    "agreement",
    "boundary",
    "geometry_perturbation",
    "lazy_boundary",
    "lazy_kernel",
    "lazy_perturbation",
    "learned_boundary",
    "multipliers",
    "orthogonality_condition",
]


def __getattr__(name: str) -> Any:
    # torch is not imported before it is used (PEP 562)
    if name == "OneHiddenLayerClassifier":
        return import_module("skhalfway.perturbation._network").OneHiddenLayerClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
