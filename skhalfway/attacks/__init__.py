"""How adversarial examples are made: a transformer, and the pieces from which gradient attacks are made."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skhalfway.attacks._constraints import Constraints
from skhalfway.attacks._generator import AdversarialGenerator

if TYPE_CHECKING:
    from skhalfway.attacks._attack_names import list_attacks, list_pieces
    from skhalfway.attacks._ensemble_piece import ReducedVariance
    from skhalfway.attacks._feature_losses import FeatureImportance, IntermediateLevel, NeuronAttribution
    from skhalfway.attacks._gradient_pieces import (
        Averaged,
        DirectionTuning,
        FlatMaxima,
        GradientPenalty,
        ImprovedEuler,
        Relevance,
        ReverseNoise,
        Translation,
        Variance,
    )
    from skhalfway.attacks._image_pieces import (
        BlockShuffle,
        Cutout,
        DiverseEnsemble,
        DiverseInput,
        MaskedBlocks,
        RandomCrop,
        Spectrum,
        StructureInvariant,
    )
    from skhalfway.attacks._input_pieces import (
        Admix,
        FeatureDropout,
        IntegratedGradient,
        Jitter,
        MixedRows,
        MixMask,
        ScaleCopies,
        UniformScale,
    )
    from skhalfway.attacks._losses import (
        CrossEntropy,
        Logit,
        Margin,
        OwnProbability,
        PoincareTriplet,
        ProbabilityMargin,
    )
    from skhalfway.attacks._model_pieces import (
        BatchStatistics,
        Ghost,
        IntermediateDecay,
        LinearBackward,
        NearbyWeights,
        SkipGradient,
        SmoothBackward,
    )
    from skhalfway.attacks._pieces import Piece, Run
    from skhalfway.attacks._recipe import Recipe
    from skhalfway.attacks._steps import (
        AdaBelief,
        EnhancedMomentum,
        GlobalMomentum,
        Momentum,
        Nesterov,
        TanhAdam,
    )
    from skhalfway.attacks._strides import Normalised, PatchWise, Rescaled, Staircase

_HOME = {
    "AdaBelief": "_steps",
    "Admix": "_input_pieces",
    "Averaged": "_gradient_pieces",
    "BatchStatistics": "_model_pieces",
    "BlockShuffle": "_image_pieces",
    "CrossEntropy": "_losses",
    "Cutout": "_image_pieces",
    "DirectionTuning": "_gradient_pieces",
    "DiverseEnsemble": "_image_pieces",
    "DiverseInput": "_image_pieces",
    "EnhancedMomentum": "_steps",
    "FeatureDropout": "_input_pieces",
    "FeatureImportance": "_feature_losses",
    "FlatMaxima": "_gradient_pieces",
    "Ghost": "_model_pieces",
    "GlobalMomentum": "_steps",
    "GradientPenalty": "_gradient_pieces",
    "ImprovedEuler": "_gradient_pieces",
    "IntegratedGradient": "_input_pieces",
    "IntermediateDecay": "_model_pieces",
    "IntermediateLevel": "_feature_losses",
    "Jitter": "_input_pieces",
    "LinearBackward": "_model_pieces",
    "Logit": "_losses",
    "Margin": "_losses",
    "MaskedBlocks": "_image_pieces",
    "MixMask": "_input_pieces",
    "MixedRows": "_input_pieces",
    "Momentum": "_steps",
    "NearbyWeights": "_model_pieces",
    "Nesterov": "_steps",
    "NeuronAttribution": "_feature_losses",
    "Normalised": "_strides",
    "OwnProbability": "_losses",
    "PatchWise": "_strides",
    "Piece": "_pieces",
    "PoincareTriplet": "_losses",
    "ProbabilityMargin": "_losses",
    "RandomCrop": "_image_pieces",
    "Recipe": "_recipe",
    "ReducedVariance": "_ensemble_piece",
    "Relevance": "_gradient_pieces",
    "Rescaled": "_strides",
    "ReverseNoise": "_gradient_pieces",
    "Run": "_pieces",
    "ScaleCopies": "_input_pieces",
    "SkipGradient": "_model_pieces",
    "SmoothBackward": "_model_pieces",
    "Spectrum": "_image_pieces",
    "Staircase": "_strides",
    "StructureInvariant": "_image_pieces",
    "TanhAdam": "_steps",
    "Translation": "_gradient_pieces",
    "UniformScale": "_input_pieces",
    "Variance": "_gradient_pieces",
    "list_attacks": "_attack_names",
    "list_pieces": "_attack_names",
}

__all__ = [
    "AdaBelief",
    "Admix",
    "AdversarialGenerator",
    "Averaged",
    "BatchStatistics",
    "BlockShuffle",
    "Constraints",
    "CrossEntropy",
    "Cutout",
    "DirectionTuning",
    "DiverseEnsemble",
    "DiverseInput",
    "EnhancedMomentum",
    "FeatureDropout",
    "FeatureImportance",
    "FlatMaxima",
    "Ghost",
    "GlobalMomentum",
    "GradientPenalty",
    "ImprovedEuler",
    "IntegratedGradient",
    "IntermediateDecay",
    "IntermediateLevel",
    "Jitter",
    "LinearBackward",
    "Logit",
    "Margin",
    "MaskedBlocks",
    "MixMask",
    "MixedRows",
    "Momentum",
    "NearbyWeights",
    "Nesterov",
    "NeuronAttribution",
    "Normalised",
    "OwnProbability",
    "PatchWise",
    "Piece",
    "PoincareTriplet",
    "ProbabilityMargin",
    "RandomCrop",
    "Recipe",
    "ReducedVariance",
    "Relevance",
    "Rescaled",
    "ReverseNoise",
    "Run",
    "ScaleCopies",
    "SkipGradient",
    "SmoothBackward",
    "Spectrum",
    "Staircase",
    "StructureInvariant",
    "TanhAdam",
    "Translation",
    "UniformScale",
    "Variance",
    "list_attacks",
    "list_pieces",
]


def __getattr__(name: str) -> Any:
    # pieces import torch, which is not needed to describe an attack (PEP 562)
    if name in _HOME:
        return getattr(import_module(f"skhalfway.attacks.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
