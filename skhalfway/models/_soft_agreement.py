"""How far the differentiable copy of a classifier, which gradient attacks follow, predicts as it does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway.models._model import Model
from skhalfway.models._torch_model import TorchModel

# samples that are enough to tell
_N_ASKED = 500


def soft_agreement(model: Model, X: NDArray[Any]) -> float | None:
    """Share of samples, of up to 500 of them, on which :func:`copy_agrees`; None where there is no copy."""
    some = X[np.unique(np.linspace(0, len(X) - 1, _N_ASKED).astype(np.intp))]
    agrees = copy_agrees(model, some, model.predict(some))
    return None if agrees is None else float(agrees.mean())


def copy_agrees(model: Model, X: NDArray[Any], predicted: NDArray[np.intp]) -> NDArray[np.bool_] | None:
    """On which samples the largest logit of a model's copy is the prediction.

    Parameters
    ----------
    model : Model
        A classifier.
    X : ndarray of shape (n_samples, ...)
        Samples.
    predicted : ndarray of shape (n_samples,)
        Class indices that the classifier predicts.

    Returns
    -------
    agrees : bool ndarray of shape (n_samples,) or None
        None where there is no copy: the classifier is a torch module, or has no gradient.
    """
    if model.module is None or isinstance(model, TorchModel):
        return None
    import torch

    from skhalfway.models._torch import device_of, dtype_of

    x = torch.tensor(X, dtype=dtype_of(model.module), device=device_of(model.module))
    with model.evaluating(), torch.no_grad():
        agrees: NDArray[np.bool_] = model.logits(x).argmax(dim=1).cpu().numpy() == predicted
    return agrees
