"""GeometryGenerator: the boundary in closed form, followed, and learned from."""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from skhalfway import AdversarialGenerator
from skhalfway.perturbation import GeometryGenerator, PerturbationLearner, theory

WAYS: list[dict[str, Any]] = [
    {"eps": 2.0},
    {"eps": 0.1, "norm": np.inf},
    {"eps": 1.0, "norm": 0, "n_changed": 50},
]
VIOLATED = pytest.mark.filterwarnings("ignore::skhalfway.perturbation.theory.OrthogonalityWarning")


@pytest.fixture(scope="module")
def artificial() -> tuple[Any, Any]:
    """40 samples of U([-1, 1]^1000), labels at random: the artificial experiment of the paper, smaller."""
    rng = np.random.RandomState(0)
    return rng.uniform(-1, 1, size=(40, 1000)), np.array(["no", "yes"])[rng.randint(2, size=40)]


@pytest.mark.parametrize(
    ("way", "step"),
    [
        # orthogonal samples x_n of length r_n: q = sum y_n x_n / r_n^2 but for a factor
        ({"eps": 0.5}, 0.5 * np.array([1, -1 / 2, 1 / 4, 0]) / np.sqrt(1 + 1 / 4 + 1 / 16)),
        ({"eps": 0.5, "norm": np.inf}, np.array([0.5, -0.5, 0.5, 0])),
        ({"eps": 0.5, "norm": 0, "n_changed": 2}, np.array([0.5, -0.5, 0, 0])),
    ],
    ids=str,
)
@pytest.mark.parametrize("gamma", [0.2, 1.0])
def test_orthogonal_samples_in_closed_form(way: Any, step: Any, gamma: float) -> None:
    X = np.diag([1.0, 2.0, 4.0, 1.0])[:3]
    generator = GeometryGenerator(**way, gamma=gamma).fit(X, ["b", "a", "b"])
    start = np.random.RandomState(0).normal(size=(3, 4))
    moved = generator.generate(start, target=["b", "a", "b"])
    np.testing.assert_allclose(moved - start, [step, -step, step], atol=1e-9)


@VIOLATED
@pytest.mark.parametrize("way", [*WAYS, {"eps": 2.0, "norm": 0, "n_changed": 50}], ids=str)
@pytest.mark.parametrize(
    "bounds", [(-1, 1), (-np.ones(1000), np.ones(1000)), "range"], ids=["pair", "arrays", "range"]
)
def test_bounds(artificial, way: Any, bounds: Any) -> None:
    X, y = artificial
    free = GeometryGenerator(**way).fit(X, y).generate(X, y)
    within = GeometryGenerator(**way, clip_values=bounds).fit(X, y)
    low, high = (X.min(axis=0), X.max(axis=0)) if isinstance(bounds, str) else bounds
    np.testing.assert_allclose(within.generate(X, y), np.clip(free, low, high))
    if way["eps"] == 2.0 and way.get("norm") == 0 and not isinstance(bounds, str):
        changed = within.generate(X, y) != X
        assert np.abs(within.generate(X, y)[changed]).min() == 1  # they drift to the bounds
    if isinstance(bounds, str):
        outside = within.generate(X * 1.5, y)
        assert (np.abs(outside) <= np.maximum(np.abs(X * 1.5), np.maximum(-low, high))).all()
    else:
        with pytest.raises(ValueError, match="outside clip_values"):
            within.generate(X * 1.5, y)
        with pytest.raises(ValueError, match="outside clip_values"):
            clone(within).fit(X * 1.5, y)


@VIOLATED
def test_in_proportion_to_the_direction(artificial) -> None:
    X, y = artificial
    generator = GeometryGenerator(eps=0.1, norm=np.inf, step="gradient").fit(X, y)
    step = 0.1 * generator.boundary_ / np.abs(generator.boundary_).max()
    np.testing.assert_allclose(generator.generate(X, y) - X, np.where(y == "yes", 1, -1)[:, None] * step)


@VIOLATED
@pytest.mark.parametrize("norm", [2, np.inf])
def test_same_as_one_step_of_an_attack_on_the_boundary(artificial, norm: float) -> None:
    X, y = artificial
    linear = LogisticRegression(max_iter=1000).fit(X, y)
    linear.coef_, linear.intercept_ = theory.boundary(X, y)[None], np.zeros(1)
    attack = AdversarialGenerator(FrozenEstimator(linear), attack="fgsm", eps=0.3, norm=norm)
    geometry = GeometryGenerator(eps=0.3, norm=norm).fit(X, y)
    np.testing.assert_allclose(geometry.generate(X, target=y), attack.generate(X, target=y), atol=1e-12)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("perturbation_only", [False, True])
def test_noise_teaches_random_labels(artificial, way: Any, perturbation_only: bool) -> None:
    X, y = artificial
    learner = PerturbationLearner(
        LogisticRegression(max_iter=1000),
        GeometryGenerator(**way),
        base="noise",
        n_noise=1000,
        perturbation_only=perturbation_only,
        random_state=0,
    )
    with pytest.warns(theory.OrthogonalityWarning):
        learner.fit(X, y)
    # labels are drawn at random, so that of X and y the learner can know by the perturbations alone
    assert learner.score(X, y) > 0.95
    assert 0.25 < learner.control_score(X, y) < 0.75
    n = (learner.source_.predict(learner.X_perturbed_) == learner.y_assigned_).sum()
    assert learner.n_fooled_ == n > 900


@VIOLATED
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_containers_and_budget(artificial, way: Any) -> None:
    X, y = artificial
    single = X.astype(np.float32)
    generator = GeometryGenerator(**way).fit(single, y)
    moved = generator.generate(single, target=y)
    assert moved.dtype == np.float32
    change = moved.astype(float) - single
    if generator.norm == 0:
        assert ((change != 0).sum(axis=1) <= generator.n_changed).all()
    size = np.linalg.norm(change, ord=2 if generator.norm == 2 else np.inf, axis=1)
    assert (size <= generator.eps * (1 + 1e-12)).all()
    assert (size > generator.eps * 0.99).all()
    frame = pd.DataFrame(X, index=np.arange(40) + 7).add_prefix("x")
    by_name = clone(generator).fit(frame, y).generate(frame, target=y)
    assert by_name.index.equals(frame.index)
    assert list(by_name.columns) == list(frame.columns)
    np.testing.assert_allclose(by_name.to_numpy(), clone(generator).fit(X, y).generate(X, target=y))


@VIOLATED
def test_search_and_pickle(artificial) -> None:
    X, y = artificial
    learner = PerturbationLearner(LogisticRegression(max_iter=1000), GeometryGenerator(), random_state=0)
    grid = {"generator__eps": [0.01, 20.0], "generator__gamma": [0.2]}
    everything = [(np.arange(40), np.arange(40))]
    search = GridSearchCV(learner, grid, cv=everything).fit(X, y)
    assert search.best_params_["generator__eps"] == 20
    assert search.cv_results_["mean_test_score"].tolist() == [0, 1]  # all labels are wrong
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    assert again.predict(X).tolist() == y.tolist()


LR = LogisticRegression(max_iter=1000)


@VIOLATED
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"eps": 0}, "eps must be a finite number > 0, got 0"),
        ({"norm": 1}, "norm must be 0, 2 or np.inf, got 1"),
        ({"norm": 0}, "n_changed is required with norm=0"),
        ({"norm": 0, "n_changed": 5}, "n_changed must be an integer from 1 to n_features=4, got 5"),
        ({"step": "signs"}, "step must be one of ['sign', 'gradient']"),
        ({"clip_values": (1, 0)}, "clip_values must have min < max"),
        ({"clip_values": (0, 5)}, "data outside clip_values=(0, 5)"),
        ({"gamma": 0}, "gamma must be a number in (0, 1], got 0"),
    ],
    ids=str,
)
def test_invalid_parameters(parameters: Any, message: str) -> None:
    X, y = load_iris(return_X_y=True)
    learner = PerturbationLearner(LR, GeometryGenerator(**parameters))
    with pytest.raises(ValueError, match=re.escape(message)):
        learner.fit(X[:100], y[:100])
    assert not hasattr(learner, "source_")  # nothing was trained before


def test_three_classes() -> None:
    X, y = load_iris(return_X_y=True)
    learner = PerturbationLearner(LR, GeometryGenerator())
    with pytest.raises(ValueError, match="two classes, got 3"):
        learner.fit(X, y)
    assert not hasattr(learner, "source_")


def test_categories() -> None:
    X = pd.DataFrame({"size": [1.0, 2.0], "colour": ["red", "blue"]})
    with pytest.raises(ValueError, match="columns of categories, .'colour'."):
        GeometryGenerator().fit(X, [0, 1])


def test_generate_checks() -> None:
    X = np.eye(3)
    generator = GeometryGenerator(gamma=1.0)
    with pytest.raises(NotFittedError):
        generator.generate(X, target=[0, 1, 1])
    generator.fit(X, [0, 1, 1])
    with pytest.raises(ValueError, match="target holds labels that are not among the classes"):
        generator.generate(X, target=[0, 1, 2])
    with pytest.raises(ValueError, match="X has 2 features"):
        generator.generate(X[:, 1:], target=[0, 1, 1])
