"""Agreement of a classifier with its differentiable copy, which gradient attacks follow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import spread
from skhalfway.models._ensemble_model import EnsembleModel
from skhalfway.models._model import Model
from skhalfway.models._torch_model import TorchModel

# most samples on which agreement is measured
_N_ASKED = 500


def soft_agreement(model: Model, X: NDArray[Any]) -> float | None:
    """Share of up to 500 samples on which :func:`copy_agrees`; None if there is no copy."""
    agrees = copy_agrees(model, X[spread(len(X), _N_ASKED)])
    return None if agrees is None else float(agrees.mean())


def copy_agrees(
    model: Model, X: NDArray[Any], predicted: NDArray[np.intp] | None = None
) -> NDArray[np.bool_] | None:
    """Samples on which the largest logit of a model's copy belongs to the predicted class.

    Parameters
    ----------
    model : Model
        A classifier.
    X : ndarray of shape (n_samples, ...)
        Samples.
    predicted : ndarray of shape (n_samples,), default=None
        Class indices that the classifier predicts. None: they are computed.

    Returns
    -------
    agrees : bool ndarray of shape (n_samples,) or None
        None if there is no copy: the classifier is a torch module, has no gradient, or is an ensemble, which
        predicts by its members' copies.
    """
    if model.module is None or isinstance(model, (TorchModel, EnsembleModel)):
        return None
    import torch

    from skhalfway.models._torch import place_of

    x = torch.tensor(X, **place_of(model.module))
    with model.evaluating(), torch.no_grad():
        largest = model.logits(x).argmax(dim=1).cpu().numpy()
    return np.asarray(largest == (model.predict(X) if predicted is None else predicted))
