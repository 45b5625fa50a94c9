"""Whatever fits estimators, and estimators that keep the metadata that they are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway.codes import CodeMap
from skhalfway.perturbation import AdversarialSampler, PerturbationLearner

X, Y = load_iris(return_X_y=True)
N = len(X)
WEIGHTS = np.arange(N) + 1.0  # each sample has another
GROUPS = np.arange(N) * 10
UNSET = (
    r"\[sample_weight\] are passed but are not explicitly set as requested or not requested for "
    r"(Linear|Net|LogisticRegression)\.fit"
)


class Recorder:
    """Keeps what its ``fit`` is given, in a list that clones share."""

    seen: ClassVar[list[tuple[str, dict[str, Any], Any]]] = []

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        given = {"sample_weight": sample_weight, "groups": groups}
        self.seen.append((self.name, {k: v for k, v in given.items() if v is not None}, X))
        return super().fit(X, y)


class Linear(Recorder, LogisticRegression):
    def __init__(self, name: str = "a") -> None:
        super().__init__(max_iter=1000)
        self.name = name


class Net(Recorder, MLPClassifier):
    def __init__(self, name: str = "a", random_state: Any = 0) -> None:
        super().__init__((4,), solver="lbfgs", max_iter=500, random_state=random_state)
        self.name = name


def asking(estimator: Any, **requests: Any) -> Any:
    """An estimator with those requests; the others are unset."""
    with config_context(enable_metadata_routing=True):
        return clone(estimator).set_fit_request(**requests)


def given(seen: list[Any]) -> dict[str, list[dict[str, Any]]]:
    """What each was given, fit after fit."""
    return {name: [metadata for each, metadata, _ in seen if each == name] for name, _, _ in seen}


FGSM = AdversarialGenerator(attack="fgsm", eps=0.2)


@dataclass
class Meta:
    """What fits estimators.

    Attributes
    ----------
    make : callable
        Makes it of one or of two estimators.
    kind : type
        Of these estimators.
    names : str
        Of the estimators in the order in which they are fitted.
    method : str
        What fits.
    passes : bool
        Whether metadata go on where scikit-learn routes nothing.
    """

    make: Callable[..., Any]
    kind: type = Linear
    names: str = "ab"
    method: str = "fit"
    passes: bool = False

    @property
    def parts(self) -> list[str]:
        return sorted(set(self.names))

    def of(self, **requests: Any) -> Any:
        return self.make(*[asking(self.kind(name), **requests) for name in self.parts])

    def fit(self, meta: Any, **metadata: Any) -> Any:
        return getattr(meta, self.method)(X, Y, **metadata)


def fgsm(source: Any) -> AdversarialGenerator:
    return AdversarialGenerator(source, attack="fgsm", eps=0.2)


def two(a: Any, b: Any) -> list[tuple[str, Any]]:
    return [("first", a), ("second", b)]


METAS = {
    "generator": Meta(fgsm, names="a", passes=True),
    "generator.fit_transform": Meta(fgsm, names="a", method="fit_transform", passes=True),
    "sampler": Meta(lambda a: AdversarialSampler(FGSM, sources=a), names="a", method="fit_resample"),
    "sampler.fit": Meta(lambda a: AdversarialSampler(FGSM, sources=[a]), names="a"),
    "sampler of two": Meta(lambda a, b: AdversarialSampler(FGSM, sources=two(a, b)), method="fit_resample"),
    "transfer": Meta(lambda a, b: TransferScorer(FGSM, estimators=two(a, b))),
    "transfer in threads": Meta(lambda a, b: TransferScorer(FGSM, estimators=two(a, b), n_jobs=2)),
    "halfway": Meta(lambda a, b: HalfwayScorer(two(a, b))),
    "learner": Meta(lambda a, b: PerturbationLearner(b, source=a, random_state=0)),
    "learner alone": Meta(lambda a: PerturbationLearner(a, random_state=0), names="aa"),
    "codes": Meta(lambda a: CodeMap(a, shape=(2, 2), n_iter=20, random_state=0), kind=Net, names="a"),
    "codes unseeded": Meta(lambda a: CodeMap(a, shape=(2, 2), n_iter=20), kind=Net, names="a"),
    "codes.fit_transform": Meta(
        lambda a: CodeMap(a, shape=(2, 2), n_iter=20), kind=Net, names="a", method="fit_transform"
    ),
}
