"""Setting that all parts of an audit share: models, samples, attack and seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing

from skhalfway.models import Model
from skhalfway.models._as_model import seen_as

if TYPE_CHECKING:
    from skhalfway.attacks import AdversarialGenerator


@dataclass(frozen=True)
class Setting:
    """Models, samples and attack of an audit.

    Attributes
    ----------
    models : dict of str to object
        All fitted models, including surrogates.
    roles : dict of str to str
        Role of each model: "deployed", "other" or "surrogate".
    deployed : str
        Name of the audited model.
    classes : ndarray of shape (n_classes,)
        Labels that all models share.
    X, y
        Samples to attack and their labels.
    row_numbers : ndarray of shape (n_samples,)
        Row numbers of the samples in the user's X.
    generator : AdversarialGenerator
        The attack, without an estimator, and with a seed.
    budgets : tuple of float
        Increasing budgets.
    reference : array-like or None
        Data like the training data, on which units and ranges are measured.
    reference_labels : ndarray or None
        True labels of the reference, where these are known.
    options : dict
        Options of scorers: n_jobs, memory, error_score, timeout, verbose.
    seed : int
        Seed of all random draws.
    """

    models: Mapping[str, Any]
    roles: Mapping[str, str]
    deployed: str
    classes: NDArray[Any]
    X: Any
    y: NDArray[Any]
    row_numbers: NDArray[np.intp]
    generator: AdversarialGenerator
    budgets: tuple[float, ...]
    reference: Any
    reference_labels: NDArray[Any] | None
    options: Mapping[str, Any]
    seed: int

    @property
    def model(self) -> Any:
        """The deployed model."""
        return self.models[self.deployed]

    @property
    def measured_on(self) -> Any:
        """Samples on which units and ranges are measured."""
        return self.X if self.reference is None else self.reference

    def seen(self, name: str) -> Model:
        """A model wrapped as a Model."""
        return seen_as(self.models[name], self.classes)

    def answers(self, name: str, X: Any) -> NDArray[Any]:
        """Labels that a model predicts, read as everywhere in the package."""
        labels: NDArray[Any] = self.classes[self.seen(name).predict(X)]
        return labels

    def right(self, most: int) -> NDArray[np.intp]:
        """Numbers of samples that the deployed model classifies correctly; at most ``most``, at random."""
        rows = np.flatnonzero(self.answers(self.deployed, self.X) == self.y)
        return np.sort(np.random.RandomState(self.seed).permutation(rows)[:most])

    def rows(self, rows: NDArray[np.intp]) -> tuple[Any, NDArray[Any]]:
        """Some samples and their labels."""
        return _safe_indexing(self.X, rows), self.y[rows]

    def attack_on(self, name: str, **params: Any) -> AdversarialGenerator:
        """The attack on a model, fitted, with some parameters changed."""
        model = self.models[name]
        source = FrozenEstimator(model) if hasattr(model, "fit") else self.seen(name)
        generator: AdversarialGenerator = clone(self.generator).set_params(estimator=source, **params)
        return generator.fit(self.measured_on)
