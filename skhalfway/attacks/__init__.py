"""How adversarial examples are made: a transformer, and the pieces of which attacks by gradient are made."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skhalfway.attacks._constraints import Constraints
from skhalfway.attacks._generator import AdversarialGenerator

if TYPE_CHECKING:
    from skhalfway.attacks._ensemble_piece import ReducedVariance
    from skhalfway.attacks._gradient_pieces import Averaged, Translation, Variance
    from skhalfway.attacks._input_pieces import DiverseInput, FeatureDropout, ScaleCopies
    from skhalfway.attacks._losses import CrossEntropy, Logit, Margin, ProbabilityMargin
    from skhalfway.attacks._pieces import Piece
    from skhalfway.attacks._recipe import Recipe, list_attacks
    from skhalfway.attacks._steps import Momentum, Nesterov

_HOME = {
    "Averaged": "_gradient_pieces",
    "CrossEntropy": "_losses",
    "DiverseInput": "_input_pieces",
    "FeatureDropout": "_input_pieces",
    "Logit": "_losses",
    "Margin": "_losses",
    "Momentum": "_steps",
    "Nesterov": "_steps",
    "Piece": "_pieces",
    "ProbabilityMargin": "_losses",
    "Recipe": "_recipe",
    "ReducedVariance": "_ensemble_piece",
    "ScaleCopies": "_input_pieces",
    "Translation": "_gradient_pieces",
    "Variance": "_gradient_pieces",
    "list_attacks": "_recipe",
}

__all__ = [
    "AdversarialGenerator",
    "Averaged",
    "Constraints",
    "CrossEntropy",
    "DiverseInput",
    "FeatureDropout",
    "Logit",
    "Margin",
    "Momentum",
    "Nesterov",
    "Piece",
    "ProbabilityMargin",
    "Recipe",
    "ReducedVariance",
    "ScaleCopies",
    "Translation",
    "Variance",
    "list_attacks",
]


def __getattr__(name: str) -> Any:
    # pieces import torch, which is not needed to describe an attack (PEP 562)
    if name in _HOME:
        return getattr(import_module(f"skhalfway.attacks.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
