"""Models: one interface for all classifiers, with predictions as class indices and logits with a gradient.

:func:`as_model` makes a model from any classifier, :func:`register_module` adds a type of estimator, and
:func:`check_model` looks for problems that would make results about a model misleading.
"""

from skhalfway.models._as_model import as_model
from skhalfway.models._check import check_model
from skhalfway.models._check_result import Finding, ModelCheck
from skhalfway.models._ensemble import Ensemble
from skhalfway.models._model import Model
from skhalfway.models._registry import NotDifferentiableError, register_module, to_module
from skhalfway.models._warnings import ModelWarning

__all__ = [
    "Ensemble",
    "Finding",
    "Model",
    "ModelCheck",
    "ModelWarning",
    "NotDifferentiableError",
    "as_model",
    "check_model",
    "register_module",
    "to_module",
]
