"""Measurements of unintuitive properties of networks, in the spirit of ``sklearn.inspection``."""

from importlib import import_module
from typing import Any

from skhalfway.inspection._curve_result import CurveResult
from skhalfway.inspection._curve_result_display import CurveResultDisplay

# a module for each question, and one for the display of its answer; imported on first access (PEP 562), since
# most need torch
_MODULES = {
    "_fooling": ["fooling_inputs", "FoolingInputs", "FoolingInputsDisplay"],
    "_spheres": ["adversarial_spheres", "AdversarialSpheres", "AdversarialSpheresDisplay"],
    "_loss_path": ["loss_path", "LossPath", "LossPathDisplay"],
    "_loss_surface": ["loss_surface", "LossSurface", "LossSurfaceDisplay"],
    "_sharpness": ["sharpness", "Sharpness", "SharpnessDisplay"],
    "_saddle": ["saddle_index", "SaddleIndex", "SaddleIndexDisplay"],
    "_saddle_history": ["saddle_history", "SaddleHistory", "SaddleHistoryDisplay"],
    "_linear_landscape": ["linear_landscape", "LinearLandscape", "LinearLandscapeDisplay"],
    "_approximation": ["approximation_curve", "ApproximationCurve", "ApproximationCurveDisplay"],
    "_memorization": ["memorization_curve", "MemorizationCurve", "MemorizationCurveDisplay"],
    "_compression": ["compress", "compression_curve", "CompressionCurve", "CompressionCurveDisplay"],
    "_distillation": ["distill", "Distillation", "DistillationDisplay"],
    "_initialization": [
        "initialization_influence",
        "InitializationInfluence",
        "InitializationInfluenceDisplay",
    ],
    "_feature_transfer": ["feature_transfer", "FeatureTransfer", "FeatureTransferDisplay"],
    "_forgetting": ["forgetting_curve", "ForgettingCurve", "ForgettingCurveDisplay"],
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}
__all__ = ["CurveResult", "CurveResultDisplay", *_HOME, "SaddleCallback"]
# parts of other results, which users meet but do not import
_HOME |= {"LearningCurves": "_memorization", "TaskCurve": "_forgetting"}
_HOME |= dict.fromkeys(["PretrainingCurve", "PretrainingDifferences"], "_initialization")


def __getattr__(name: str) -> Any:
    if name == "SaddleCallback":  # it has no display
        return import_module(f"{__name__}._saddle_callback").SaddleCallback
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HOME[name]}")
    # the import registers the display, so that a result's plot() finds it
    display = import_module(f"{__name__}.{_HOME[name]}_display")
    return getattr(display if name.endswith("Display") else module, name)


def __dir__() -> list[str]:
    return __all__
