"""Labels of models whose files do not say them: networks, whose outputs have numbers and no names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skhalfway._text import shown
from skhalfway.files._onnx import OnnxClassifier
from skhalfway.models._type_checks import is_torch_module


def read_classes(classes: ArrayLike) -> NDArray[Any]:
    """Labels, each once."""
    labels = np.asarray(classes)
    if labels.ndim != 1 or len(labels) < 2 or labels.dtype.kind not in "biuUf":
        raise ValueError(
            f"classes must be a list of two or more labels, texts or numbers, got {shown(classes)}"
        )
    if len(np.unique(labels)) < len(labels):
        raise ValueError(f"classes must name each label once, got {shown(classes)}")
    return labels


def name_outputs(model: Any, classes: NDArray[Any], place: Path) -> None:
    """Give a network's outputs these labels; of a model that says its own, see that they are the same."""
    if isinstance(model, OnnxClassifier) and not model.says_labels:
        model.name_outputs(classes)
        return
    own = getattr(model, "classes_", None)
    if own is None and is_torch_module(model):
        model.classes_ = classes
    elif own is not None and not np.array_equal(np.unique(own), np.unique(classes)):
        raise ValueError(
            f"{place.name} says its labels itself, {shown(np.asarray(own))}, which are not the classes "
            f"given, {shown(classes)}; leave out classes"
        )
