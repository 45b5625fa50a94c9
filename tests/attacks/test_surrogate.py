"""Substitutes of black boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from skhalfway import AdversarialGenerator
from skhalfway._streams import Streams
from skhalfway.attacks._norms import random_signs

EPS = {np.inf: 0.2, 2: 1.3, 1: 6.0}


class Box:
    """Predictions of 300 digits' forest, counted."""

    def __init__(self, source: Any) -> None:
        self.source, self.classes_, self.n = source, source.classes_, 0

    def predict(self, X: NDArray[Any]) -> NDArray[Any]:
        self.n += len(X)
        assert X.min() >= 0
        assert X.max() <= 1
        return self.source.predict(X.reshape(len(X), -1))


@pytest.fixture(scope="module")
def digits() -> tuple[Any, NDArray[Any], NDArray[Any]]:
    X, y = load_digits(return_X_y=True)
    forest = RandomForestClassifier(10, random_state=0).fit(X[:600] / 16, y[:600])
    X = X[600:680] / 16
    return forest, X, forest.predict(X)


def make(source: Any, norm: float = np.inf, **params: Any) -> AdversarialGenerator:
    given = {
        "attack": "surrogate",
        "norm": norm,
        "eps": EPS[norm],
        "clip_values": (0, 1),
        "max_queries": 20,
        "max_iter": 10,
        "random_state": 0,
    }
    return AdversarialGenerator(source, **given | params)


@pytest.mark.parametrize("norm", EPS)
def test_fools_a_forest_more_than_noise_does(digits, norm: float) -> None:
    forest, X, y = digits
    box = Box(forest)
    generator = make(box, norm)
    X_adv = generator.generate(X, y)
    assert np.linalg.norm(X_adv - X, norm, axis=1).max() <= EPS[norm]
    signs = random_signs(Streams(0, np.arange(len(X))), EPS[norm], norm, np.ones(X.shape, dtype=bool))
    noise = (forest.predict(np.clip(X + signs, 0, 1)) != y).mean()
    assert (forest.predict(X_adv) != y).mean() > noise + 0.2
    assert generator.n_queries_.sum() == box.n
    assert generator.n_queries_.max() <= 20


def test_queries_and_rounds(digits) -> None:
    forest, X, y = digits
    for n_rounds, max_queries, asked in ((0, 20, 80), (1, 20, 160), (2, 20, 320), (2, 3, 240), (3, 1, 80)):
        box = Box(forest)
        params = {"n_rounds": n_rounds, "estimator": LogisticRegression(max_iter=1000)}
        generator = make(box, max_queries=max_queries, attack_params=params)
        generator.generate(X, y)
        assert box.n == asked
        assert generator.n_queries_.sum() == asked


def test_more_rounds_learn_more(digits) -> None:
    forest, X, y = digits
    fooled = [
        (
            forest.predict(
                make(Box(forest), max_queries=40, eps=0.15, attack_params={"n_rounds": n}).generate(X, y)
            )
            != y
        ).mean()
        for n in (0, 5)
    ]
    assert fooled[0] < fooled[1]


def test_same_random_state_same_bytes(digits) -> None:
    forest, X, y = digits
    one, same, other = (
        make(Box(forest), batch_size=size, random_state=seed, max_queries=3).generate(X, y)
        for size, seed in ((256, 0), (256, 0), (256, 1))
    )
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()


def test_what_has_won_is_left_alone_and_targets(digits) -> None:
    forest, X, y = digits
    target = np.where(np.arange(len(X)) % 2, y, 3)
    stay, reached = target == y, []
    for seed in range(2):
        X_adv = make(Box(forest), eps=0.4, random_state=seed).generate(X, target=target)
        np.testing.assert_array_equal(X_adv[stay], X[stay])
        reached.append((forest.predict(X_adv[~stay]) == 3).mean())
        assert (X_adv[~stay] != X[~stay]).any(axis=1).all()
    assert np.mean(reached) > 0.3


def test_images_and_float32(digits) -> None:
    forest, X, y = digits
    images = X.reshape(-1, 1, 8, 8).astype(np.float32)
    X_adv = make(Box(forest), max_queries=5).generate(images, y)
    assert X_adv.shape == images.shape
    assert X_adv.dtype == np.float32
    assert np.abs(X_adv - images).max() <= np.float32(EPS[np.inf])
    assert (forest.predict(X_adv.reshape(len(X), -1)) != y).any()


def test_one_sample_and_two_classes() -> None:
    """One sample gives one answer: the first questions are random, until there are two."""

    class Half:
        classes_ = np.array(["left", "right"])

        def predict(self, X: NDArray[Any]) -> NDArray[Any]:
            return self.classes_[(X[:, 0] > 0.5).astype(int)]

    generator = AdversarialGenerator(
        Half(),
        attack="surrogate",
        eps=0.3,
        attack_params={"estimator": LogisticRegression(), "step": 0.4, "n_rounds": 6},
        random_state=0,
    )
    X_adv = generator.generate(np.array([[0.4, 0.1, 0.7]]), ["left"])
    assert Half().predict(X_adv) == "right"
    assert generator.n_queries_ == 64


def test_a_substitute_needs_a_gradient(digits) -> None:
    forest, X, y = digits

    class Opaque(KNeighborsClassifier):
        """Known to nobody."""

        def predict(self, X: Any) -> Any:
            return super().predict(X)

    from skhalfway.models import NotDifferentiableError, register_module

    @register_module(Opaque)
    def opaque(estimator: Any) -> Any:
        raise NotDifferentiableError("Opaque hides")

    with pytest.raises(TypeError, match="must have a gradient, but Opaque hides"):
        make(Box(forest), attack_params={"estimator": Opaque()}).generate(X, y)
