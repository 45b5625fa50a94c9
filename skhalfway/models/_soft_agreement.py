"""How far a differentiable copy that smooths its classifier's steps predicts as the classifier does."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from skhalfway.models._model import Model
from skhalfway.models._torch import device_of, dtype_of

_BATCH = 1024


def is_smoothed(model: Model) -> bool:
    """Whether a part of the module stands for steps (trees, neighbours, votes), which it makes smooth.

    Such a module says so by a true attribute ``smoothed``. All others give the classifier's own logits, up to
    rounding.
    """
    module = model.module
    return module is not None and any(getattr(part, "smoothed", False) is True for part in module.modules())


def soft_agreement(model: Model, X: NDArray[Any]) -> float | None:
    """Share of samples of which the largest logit of a smoothed module is the classifier's prediction.

    Where it is low, attacks by gradient look for the boundary of another classifier.

    Parameters
    ----------
    model : Model
        A classifier.
    X : ndarray of shape (n_samples, ...)
        Samples.

    Returns
    -------
    share : float or None
        None where nothing is smoothed: the module is exact, or there is none.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway.models import as_model
    >>> from skhalfway.models._soft_agreement import soft_agreement
    >>> X, y = load_iris(return_X_y=True)
    >>> soft_agreement(as_model(RandomForestClassifier(random_state=0).fit(X, y)), X) > 0.9
    True
    >>> soft_agreement(as_model(LogisticRegression(max_iter=500).fit(X, y)), X) is None
    True
    """
    if not is_smoothed(model):
        return None
    module = model.module
    assert module is not None
    place: dict[str, Any] = {"dtype": dtype_of(module), "device": device_of(module)}
    with model.evaluating(), torch.no_grad():
        largest = [
            model.logits(torch.tensor(X[i : i + _BATCH], **place)).argmax(dim=1).cpu().numpy()
            for i in range(0, len(X), _BATCH)
        ]
    return float((np.concatenate(largest) == model.predict(X)).mean())
