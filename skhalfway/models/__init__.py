"""How any classifier is seen: class indices for arrays, logits with a gradient.

:func:`as_model` is the one way in; :func:`register_module` teaches it a new
type of estimator.
"""

from skhalfway.models._as_model import as_model
from skhalfway.models._model import Model
from skhalfway.models._registry import NotDifferentiableError, register_module, to_module
from skhalfway.models._warnings import ModelWarning

__all__ = ["Model", "ModelWarning", "NotDifferentiableError", "as_model", "register_module", "to_module"]
