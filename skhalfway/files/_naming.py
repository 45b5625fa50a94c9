"""Labels for networks whose files do not hold any: their outputs have numbers but no names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skhalfway._text import shown
from skhalfway.files._onnx import OnnxClassifier
from skhalfway.models._type_checks import is_torch_module


def read_classes(classes: ArrayLike) -> NDArray[Any]:
    """Labels, checked to be different."""
    labels = np.asarray(classes)
    if labels.ndim != 1 or len(labels) < 2 or labels.dtype.kind not in "biuUf":
        raise ValueError(
            f"classes must be a list of two or more labels, texts or numbers, got {shown(classes)}"
        )
    if len(np.unique(labels)) < len(labels):
        raise ValueError(f"classes must name each label once, got {shown(classes)}")
    return labels


def name_outputs(model: Any, classes: NDArray[Any], place: Path) -> None:
    """Set the labels of a network's outputs; raise if the model has other labels of its own."""
    if isinstance(model, OnnxClassifier) and not model.says_labels:
        model.name_outputs(classes)
        return
    own = getattr(model, "classes_", None)
    if own is None and is_torch_module(model):
        model.classes_ = classes
    elif own is not None and not np.array_equal(np.unique(own), np.unique(classes)):
        raise ValueError(
            f"classes must be the labels that {place.name} holds, {shown(np.asarray(own))}, got "
            f"{shown(classes)}; leave out classes"
        )
