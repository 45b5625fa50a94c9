"""Classifiers of the Adversarial Robustness Toolbox (ART)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from skhalfway.models._registry import NotDifferentiableError, register_module, to_module
from skhalfway.models._torch import in_sequence
from skhalfway.models._transformers import Affine
from skhalfway.models._views import art_view


class _ClassGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, classifier: Any) -> torch.Tensor:
        ctx.save_for_backward(x)
        ctx.classifier = classifier
        return torch.from_numpy(classifier.predict(x.detach().cpu().numpy())).to(x)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():  # autograd disables gradients here, and ART's torch classifiers need them
            jacobian = ctx.classifier.class_gradient(x.detach().cpu().numpy())  # (n, n_classes, *shape)
        return torch.einsum("nc,nc...->n...", grad, torch.from_numpy(jacobian).to(x)), None


class ClassGradient(nn.Module):
    """Any ART classifier that gives class gradients, differentiated by ART itself."""

    def __init__(self, classifier: Any) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _ClassGradient.apply(x, self.classifier)


def _standardisation(classifier: Any) -> list[nn.Module] | None:
    """The classifier's preprocessing as modules; None if it is more than scaling."""
    modules: list[nn.Module] = []
    for operation in classifier.preprocessing_operations:
        if not type(operation).__name__.startswith("StandardisationMeanStd"):
            return None
        # ART broadcasts a per-channel mean over (n, c, h, w) or (n, h, w, c)
        shape = [-1] + [1] * (len(classifier.input_shape) - 1)
        if not getattr(classifier, "channels_first", True):
            shape = shape[::-1]
        mean, std = np.asarray(operation.mean), np.asarray(operation.std)
        if (mean == 0).all() and (std == 1).all():
            continue
        affine = Affine(*(v.reshape(shape) if v.ndim == 1 else v for v in (mean, std)))
        modules.append(affine.to(torch.float32))
    return modules


@register_module(
    "art.estimators.classification.pytorch.PyTorchClassifier",
    "art.estimators.classification.scikitlearn.ScikitlearnClassifier",
)
def art_wrapper(classifier: Any) -> nn.Module:
    scaling = _standardisation(classifier)
    if scaling is None or classifier.postprocessing_defences:
        return art_classifier(classifier)
    return in_sequence([*scaling, to_module(classifier.model)])


@register_module("art.estimators.classification.classifier.ClassifierMixin")
def art_classifier(classifier: Any) -> nn.Module:
    if not hasattr(classifier, "class_gradient"):
        raise NotDifferentiableError(f"ART's {type(classifier).__name__} gives no class gradients")
    return ClassGradient(art_view(classifier))
