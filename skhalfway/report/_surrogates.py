"""Surrogates: models that an attacker without the deployed model would train on similar data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import _safe_indexing

from skhalfway._inputs import Frame
from skhalfway._parallel import side_by_side
from skhalfway.models._type_checks import is_skorch_net

# these are slow with many samples, and no better as surrogates
_FEW_ROWS = {"kernel": 2000, "neighbours": 2000}
_N_STEPS, _BATCH = 600, 64  # minimum number of steps of networks for images, and their batch size


def default_surrogates(
    X: Any, n_classes: int, seed: int, n_rows: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """Untrained models of different families for such data, and their descriptions, by name."""
    if np.ndim(X) > 2:
        return _for_images(np.shape(X)[1:], n_classes, n_rows)
    # rare classes get the same weight, as an attacker may aim at any class
    weight: dict[str, Any] = {"class_weight": "balanced"}
    models = {
        "linear": LogisticRegression(max_iter=1000, **weight),
        "kernel": SVC(**weight),
        "network": MLPClassifier((64,), max_iter=300, early_stopping=True, random_state=seed),
        "forest": RandomForestClassifier(30, min_samples_leaf=2, random_state=seed, **weight),
        "boosting": HistGradientBoostingClassifier(max_iter=60, random_state=seed, **weight),
        "neighbours": KNeighborsClassifier(),
    }
    described = {
        "linear": "logistic regression",
        "kernel": "support vector machine with an RBF kernel",
        "network": "network with one hidden layer of 64 units",
        "forest": "random forest of 30 trees",
        "boosting": "gradient boosting with 60 trees",
        "neighbours": "5 nearest neighbours",
    }
    return {name: make_pipeline(*_preparation(X), model) for name, model in models.items()}, described


def _preparation(X: Any) -> list[Any]:
    """Preprocessing steps: standardise numbers, encode categories one-hot, impute missing values."""
    frame = Frame.of(X)
    missing = bool(X.isna().to_numpy().any()) if hasattr(X, "isna") else bool(np.isnan(np.asarray(X)).any())
    fill = [SimpleImputer(strategy="median", keep_empty_features=True)] if missing else []
    if frame is None:
        return [*fill, StandardScaler()]
    numbers = [name for name in X.columns if name not in frame.names]
    steps = [(OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(frame.names))]
    if numbers:
        steps.insert(0, (make_pipeline(*fill, StandardScaler()), numbers))
    return [make_column_transformer(*steps)]


def _for_images(shape: tuple[int, ...], n_classes: int, n_rows: int) -> tuple[dict[str, Any], dict[str, str]]:
    """Networks for samples of more than one axis, which scikit-learn's models do not accept."""
    import torch
    from skorch import NeuralNetClassifier
    from torch import nn

    n = int(np.prod(shape))
    modules: dict[str, Any] = {
        "linear": nn.Sequential(nn.Flatten(), nn.Linear(n, n_classes)),
        "network": nn.Sequential(nn.Flatten(), nn.Linear(n, 128), nn.ReLU(), nn.Linear(128, n_classes)),
    }
    described = {"linear": "linear classifier", "network": "network with one hidden layer of 128 units"}
    if len(shape) == 3:
        modules["convolutional"] = nn.Sequential(
            nn.Conv2d(shape[0], 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(4),
            nn.Flatten(),
            nn.Linear(512, n_classes),
        )
        described["convolutional"] = "network with two convolutional layers"
    nets = {
        name: NeuralNetClassifier(
            module,
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=1e-3,
            # more epochs with few samples, since a surrogate that learnt little shows little
            max_epochs=max(20, -(-_N_STEPS * _BATCH // max(n_rows, 1))),
            batch_size=_BATCH,
            verbose=0,
        )
        for name, module in modules.items()
    }
    return nets, described


def trained(
    models: Mapping[str, Any], X: Any, y: NDArray[Any], *, seed: int, n_jobs: Any, verbose: int
) -> dict[str, Any]:
    """Fitted clones of models; the slow ones are fitted on fewer rows, drawn with the seed."""
    rng = np.random.RandomState(seed)
    jobs = []
    for name, model in models.items():
        rows = np.sort(rng.permutation(len(y))[: _FEW_ROWS.get(name, len(y))])
        jobs.append(delayed(_fit)(model, _safe_indexing(X, rows), y[rows]))
    fits = side_by_side(
        jobs, len(jobs), n_jobs=n_jobs, verbose=verbose, what="train surrogates", unit="model"
    )
    return dict(zip(models, fits, strict=True))


def _fit(model: Any, X: Any, y: NDArray[Any]) -> Any:
    if np.ndim(X) > 2:
        X = np.asarray(X, dtype=np.float32)
    classes, codes = np.unique(y, return_inverse=True)
    if not is_skorch_net(model) or np.array_equal(classes, np.arange(len(classes))):
        return clone(model).fit(X, y)
    module = clone(model).fit(X, codes).module_.eval()  # skorch's classes are numbers of columns only
    module.classes_ = classes
    return module
