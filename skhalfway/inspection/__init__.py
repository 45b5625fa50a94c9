"""Unintuitive properties of networks, each measured: in the spirit of ``sklearn.inspection``."""

from importlib import import_module
from typing import Any

from skhalfway.inspection._curves import Curves
from skhalfway.inspection._curves_display import CurvesDisplay

# a module for each question, imported when it is asked: most need torch (PEP 562)
_MODULES = {
    "_fooling": ["fooling_inputs", "FoolingInputs"],
    "_fooling_display": ["FoolingInputsDisplay"],
    "_spheres": ["adversarial_spheres", "AdversarialSpheres", "AdversarialSpheresDisplay"],
    "_loss_path": ["loss_path", "LossPath", "LossPathDisplay"],
    "_loss_surface": ["loss_surface", "LossSurface", "LossSurfaceDisplay"],
    "_sharpness": ["sharpness", "Sharpness", "SharpnessDisplay"],
    "_memorization": [
        "memorization_curve",
        "LearningCurves",
        "MemorizationCurve",
        "MemorizationCurveDisplay",
    ],
    "_compression": ["compress", "compression_curve", "CompressionCurve", "CompressionCurveDisplay"],
    "_distillation": ["distill", "Distillation", "DistillationDisplay"],
    "_initialization": [
        "initialization_influence",
        "InitializationInfluence",
        "InitializationInfluenceDisplay",
    ],
    "_feature_transfer": ["feature_transfer", "FeatureTransfer", "FeatureTransferDisplay"],
    "_forgetting": ["forgetting_curve", "ForgettingCurve", "ForgettingCurveDisplay", "TaskCurve"],
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = ["Curves", "CurvesDisplay", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
