"""How any classifier is seen: class indices for arrays, logits with a gradient.

:func:`as_model` is the one way in; :func:`register_module` teaches it a new
type of estimator; :func:`check_model` says what may mislead about a model.
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
