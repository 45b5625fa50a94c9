"""Common classes of several models, and their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from skhalfway._inputs import positions
from skhalfway._text import shown


def common_classes(models: Mapping[str, Any]) -> NDArray[Any] | None:
    known = {name: model.classes_ for name, model in models.items() if model.classes_ is not None}
    if not known:
        return None
    # sorted, if one of the models has sorted classes, as scikit-learn's classifiers have
    first = next((name for name, theirs in known.items() if _ascend(theirs)), next(iter(known)))
    classes = known[first]
    for name, theirs in known.items():
        if len(theirs) != len(classes) or (positions(theirs, classes) < 0).any():
            raise ValueError(
                f"the models must have the same classes_: {shown(first)} has {shown(classes)}, "
                f"{shown(name)} has {shown(theirs)}; fit them on the same labels, and give a torch module "
                "its labels by as_model(module, classes=[...])"
            )
    if len(classes) < 2:
        raise ValueError(f"the models know one class, {shown(classes)}; at least 2 are needed")
    return classes


def _ascend(labels: NDArray[Any]) -> bool:
    return bool((labels[:-1] < labels[1:]).all())
