"""AdversarialGenerator as a scikit-learn object, and the linear case in closed form."""

from __future__ import annotations

import pickle
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from skhalfway import AdversarialGenerator
from skhalfway.models import as_model


@parametrize_with_checks([AdversarialGenerator(), AdversarialGenerator(SVC())])
def test_scikit_learn_compatible(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def iris() -> tuple[Any, Any]:
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


def test_parameters_nest_and_clone() -> None:
    generator = AdversarialGenerator(SVC(C=2), attack="pgd", eps=0.3, norm=2, clip_values=(0, 1))
    assert generator.get_params()["estimator__C"] == 2
    generator.set_params(estimator__C=5, eps=0.4)
    copy = clone(generator)
    assert copy.estimator is not generator.estimator
    assert copy.estimator.C == 5
    given, kept = copy.get_params(), generator.get_params()
    assert {k: v for k, v in given.items() if k != "estimator"} == {
        k: v for k, v in kept.items() if k != "estimator"
    }


@pytest.mark.parametrize("name", ["svc", "skorch", "cnn", "art", "forest", "opaque"])
def test_clone_keeps_what_counts_as_fitted(zoo, name: str) -> None:
    case = zoo(name)
    generator = AdversarialGenerator(case.source, max_queries=50, random_state=0)
    X = case.X[:4]
    expected = generator.transform(X)
    for other in (clone(generator), deepcopy(generator), pickle.loads(pickle.dumps(generator))):
        assert other.transform(X).tobytes() == expected.tobytes()


def test_fitted_generator_pickles(iris) -> None:
    generator = AdversarialGenerator(SVC(), random_state=0, random_start=True).fit(*iris)
    again = pickle.loads(pickle.dumps(generator))
    assert again.transform(iris[0]).tobytes() == generator.transform(iris[0]).tobytes()


def test_fit_clones(iris) -> None:
    source = SVC()
    generator = AdversarialGenerator(source)
    assert generator.fit(*iris) is generator
    assert generator.estimator is source
    with pytest.raises(NotFittedError):
        check_is_fitted(source)
    assert generator.estimator_.score(*iris) > 0.9
    assert generator.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert generator.n_features_in_ == 4
    assert generator.n_iter_ == 40


@pytest.mark.parametrize("name", ["svc", "cnn", "art"])
def test_fit_leaves_what_counts_as_fitted(zoo, name: str) -> None:
    case = zoo(name)
    generator = AdversarialGenerator(case.source, attack="fgsm")
    before = generator.transform(case.X)
    generator.fit(case.X)
    assert generator.estimator_ is case.source
    assert generator.classes_.tolist() == list(range(10))
    assert generator.n_iter_ == 1
    assert generator.transform(case.X).tobytes() == before.tobytes()


def test_default_source_is_logistic_regression(iris) -> None:
    generator = AdversarialGenerator().fit(*iris)
    assert isinstance(generator.estimator_, LogisticRegression)


def test_fit_params_reach_the_source(iris) -> None:
    weight = (iris[1] != "setosa") * 1.0 + 1e-9
    source = LogisticRegression(max_iter=1000)
    generator = AdversarialGenerator(source).fit(*iris, sample_weight=weight)
    weighted = clone(source).fit(*iris, sample_weight=weight).coef_
    np.testing.assert_array_equal(generator.estimator_.coef_, weighted)
    assert np.abs(weighted - source.fit(*iris).coef_).max() > 0.1


def test_in_a_pipeline_before_a_target(zoo) -> None:
    surrogate, target = zoo("svc").source, zoo("logistic").source
    X, y = zoo("svc").X, zoo("svc").y
    attacked = make_pipeline(AdversarialGenerator(surrogate, eps=0.3), target)
    assert attacked.score(X, y) < target.score(X, y) - 0.3
    attacked = make_pipeline(AdversarialGenerator(FrozenEstimator(surrogate)), FrozenEstimator(target))
    X_adv = attacked[0].fit(X).transform(X)
    assert attacked.fit(X, y).predict(X).tolist() == target.predict(X_adv).tolist()


@pytest.mark.parametrize("as_list", [True, False], ids=["list", "array"])
def test_string_labels(iris, as_list: bool) -> None:
    X, y = iris
    given = y.tolist() if as_list else y
    generator = AdversarialGenerator(eps=2.0).fit(X, given)
    assert (generator.estimator_.predict(generator.generate(X, given)) != y).mean() > 0.7
    by_name = generator.generate(X, target="setosa")
    assert (generator.estimator_.predict(by_name) == "setosa").mean() > 0.9
    by_sample = generator.generate(X, target=np.full(len(X), "setosa"))
    assert by_sample.tobytes() == by_name.tobytes()


def test_labels_in_any_order_and_type(zoo) -> None:
    X, y = zoo("logistic").X, zoo("logistic").y
    names = np.array([30, 10, 20, 90, 50, 40, 70, 60, 80, -5])
    plain = AdversarialGenerator(SVC()).fit(zoo.X_train, zoo.y_train)
    renamed = AdversarialGenerator(SVC()).fit(zoo.X_train, names[zoo.y_train])
    # the same but for what libsvm's stopping rule leaves open
    assert np.isclose(renamed.generate(X, names[y]), plain.generate(X, y)).mean() > 0.99
    np.testing.assert_array_equal(plain.generate(X, torch.from_numpy(y)), plain.generate(X, y))
    np.testing.assert_array_equal(plain.generate(X, y[:, None]), plain.generate(X, y))


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")], ids=str)
def test_device(zoo, device: Any) -> None:
    case = zoo("cnn")
    here = AdversarialGenerator(case.source).transform(case.X)
    assert AdversarialGenerator(case.source, device=device).transform(case.X).tobytes() == here.tobytes()


def test_another_device_gets_a_copy(zoo) -> None:
    model = as_model(zoo("cnn").source)
    copy = model.on(torch.device("meta"))
    assert {weight.device.type for weight in copy.module.parameters()} == {"meta"}
    assert {weight.device.type for weight in model.module.parameters()} == {"cpu"}
    assert model.on(torch.device("cpu")) is model


class Overflowing(torch.nn.Module):
    """Its loss has a gradient where the samples are, and no value where the step leads."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = torch.where(x[:, 0] > 1, torch.nan, x[:, 0])
        return torch.stack([z, -x[:, 0]], dim=1)


@pytest.mark.parametrize("n_restarts", [1, 3])
def test_output_is_finite_and_in_budget_where_the_source_is_not(n_restarts: int) -> None:
    X = np.full((3, 2), 0.5, dtype=np.float32)
    generator = AdversarialGenerator(
        Overflowing(), attack="fgsm", eps=1.0, n_restarts=n_restarts, random_state=0
    )
    assert np.abs(generator.generate(X, [1, 1, 1]) - X).max() <= 1


@pytest.fixture(scope="module")
def linear() -> tuple[LogisticRegression, Any, Any]:
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    return LogisticRegression(C=0.1).fit(X, y), X[:40], y[:40]


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("attack", ["fgsm", "pgd", "mifgsm"])
@pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
def test_linear_optimum(linear, attack: str, norm: float, targeted: bool) -> None:
    source, X, y = linear
    eps, (w,) = 0.5, source.coef_
    # The decision w.x + b changes most along the dual direction u: ||u|| = 1 and w.u = ||w||_dual
    corner = np.sign(w) * (np.abs(w) == np.abs(w).max())
    direction = {np.inf: np.sign(w), 2: w / np.linalg.norm(w), 1: corner}[norm]
    towards = np.where(y == 0, 1, -1)[:, None]
    expected = X + eps * towards * direction
    generator = AdversarialGenerator(FrozenEstimator(source), attack=attack, eps=eps, norm=norm)
    X_adv = generator.generate(X, target=1 - y) if targeted else generator.generate(X, y)
    np.testing.assert_allclose(X_adv, expected, atol=1e-12)
    dual = np.linalg.norm(w, {np.inf: 1, 2: 2, 1: np.inf}[norm])
    change = source.decision_function(X_adv) - source.decision_function(X)
    np.testing.assert_allclose(change, eps * dual * towards[:, 0], rtol=1e-10)


def test_decay_carries_momentum(zoo) -> None:
    case = zoo("mlp")
    runs = {
        decay: AdversarialGenerator(case.source, attack="mifgsm", attack_params={"decay": decay}, max_iter=8)
        for decay in (0, 0.5, 1)
    }
    points = {decay: generator.generate(case.X, case.y) for decay, generator in runs.items()}
    default = AdversarialGenerator(case.source, attack="mifgsm", max_iter=8).generate(case.X, case.y)
    assert default.tobytes() == points[1].tobytes()
    plain = AdversarialGenerator(case.source, attack="pgd", step_size=0.1 / 8, max_iter=8)
    assert points[0].tobytes() == plain.generate(case.X, case.y).tobytes()
    assert not np.allclose(points[0.5], points[0], atol=1e-3)
    assert not np.allclose(points[0.5], points[1], atol=1e-3)
