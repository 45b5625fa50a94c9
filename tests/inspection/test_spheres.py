"""adversarial_spheres: caps in closed form and by drawing, linear errors, what is seen on spheres."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway._vectors import unit_vectors
from skhalfway.inspection import (
    AdversarialSpheres,
    AdversarialSpheresDisplay,
    _caps,
    _sphere_errors,
    adversarial_spheres,
)
from skhalfway.inspection._caps import cap_distance
from skhalfway.models import as_model

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")


def sphere(n: int, n_features: int, seed: int = 0) -> Any:
    return unit_vectors(np.random.RandomState(seed).standard_normal((n, n_features)))


def mean_distance(X: Any, angles: Any) -> float:
    """Of points outside a set, whose angles to it are known; 0 where they are in it."""
    outside = angles > 0
    return float((2 * np.sin(angles[outside] / 2)).mean())


# --- caps


@pytest.mark.parametrize("angle", [0.1, 1.0, np.pi / 2, 2.0, 3.0])
def test_share_of_a_cap(angle: float) -> None:
    """Of a circle, and (Archimedes) of a sphere in three dimensions; and back."""
    assert _caps.cap_share(angle, 2) == pytest.approx(angle / np.pi)
    assert _caps.cap_share(angle, 3) == pytest.approx((1 - np.cos(angle)) / 2)
    for n_features in (2, 3, 10, 100):
        share = _caps.cap_share(angle, n_features)
        if 1e-12 < share < 1 - 1e-12:
            assert _caps.cap_angle(share, n_features) == pytest.approx(angle)


@pytest.mark.parametrize("share", [1e-9, 0.01, 0.3, 0.5, 0.9])
def test_distance_to_a_cap_of_a_circle(share: float) -> None:
    """The arc from a = pi share to pi is even: the mean of 2 sin(t / 2) over t from 0 to pi - a."""
    rest = np.pi * (1 - share)
    assert cap_distance(share, 2) == pytest.approx(4 * (1 - np.cos(rest / 2)) / rest)


@pytest.mark.parametrize("n_features", [3, 7, 40])
@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.8])
def test_distance_to_a_cap_by_drawing(n_features: int, share: float) -> None:
    X = sphere(100_000, n_features)
    angles = np.arccos(X[:, 0])
    a = _caps.cap_angle(share, n_features)
    assert (angles <= a).mean() == pytest.approx(share, abs=4 * np.sqrt(share / len(X)))
    assert mean_distance(X, angles - a) == pytest.approx(cap_distance(share, n_features), rel=0.01)


@pytest.mark.parametrize("share", [1e-6, 0.01, 0.5])
def test_distance_to_a_cap_in_many_dimensions(share: float) -> None:
    """Then a coordinate times sqrt(n) is normal, and the mean of z - x where x < z is z + pdf(z) / cdf(z)."""
    z = norm.isf(share)
    expected = z + norm.pdf(z) / norm.cdf(z)
    found = [cap_distance(share, n) * np.sqrt(n) for n in (10**4, 10**6)]
    assert found[1] == pytest.approx(expected, rel=1e-4)
    assert found[0] == pytest.approx(found[1], rel=1e-2)  # of order 1 / sqrt(n)


@pytest.mark.parametrize("n_features", [3, 10, 50])
def test_no_other_set_of_the_share_is_as_far(n_features: int) -> None:
    """Isoperimetry: two caps opposite each other, a band at the equator, caps in many directions."""
    share, X = 0.1, sphere(20_000, n_features, 1)
    angles = np.arccos(X[:, 0])
    half = _caps.cap_angle(share / 2, n_features)
    two = np.minimum(angles, np.pi - angles) - half
    width = np.pi / 2 - _caps.cap_angle((1 - share) / 2, n_features)
    band = np.abs(angles - np.pi / 2) - width
    many = np.arccos(X @ sphere(5, n_features, 2).T).min(axis=1)
    many -= np.quantile(many, share)
    for kind in (two, band, many):
        assert (kind <= 0).mean() == pytest.approx(share, abs=0.01)
        assert mean_distance(X, kind) < 0.95 * cap_distance(share, n_features)


# --- points, errors and distances


def test_points_lie_on_two_spheres_in_every_direction() -> None:
    X, y = _sphere_errors.Spheres(20, 1.7).draw(20_000, np.random.RandomState(0))
    np.testing.assert_array_equal(y, np.arange(20_000) % 2)
    np.testing.assert_allclose(np.linalg.norm(X, axis=1), np.where(y == 0, 1, 1.7))
    for label, radius in ((0, 1.0), (1, 1.7)):
        rows = X[y == label] / radius
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=0.01)
        np.testing.assert_allclose(rows.T @ rows / len(rows), np.eye(20) / 20, atol=0.002)


class Linear(ClassifierMixin, BaseEstimator):
    """A black box whose errors on the inner sphere are the cap x[0] > height."""

    def __init__(self, height: float = 0.1) -> None:
        self.height = height

    def fit(self, X: Any, y: Any) -> Linear:
        self.classes_ = np.unique(y)
        self.n_features_in_ = X.shape[1]
        return self

    def predict(self, X: Any) -> Any:
        return (X[:, 0] > self.height).astype(int)


@pytest.mark.parametrize("kind", ["logistic", "black box"])
def test_errors_of_a_linear_classifier_are_a_cap(kind: str) -> None:
    """Each distance in closed form, whatever is known of errors; and the mean of the bound."""
    n_features, height = 30, 0.15
    X, y = _sphere_errors.Spheres(n_features, 1.3).draw(2000, np.random.RandomState(0))
    inner = X[y == 0]
    if kind == "logistic":
        model: Any = LogisticRegression().fit(X, y)
        model.coef_, model.intercept_ = np.eye(n_features)[:1], np.array([-height])
    else:
        model = Linear(height).fit(X, y)
    errors = model.predict(inner) == 1
    right, wrong = inner[~errors], inner[errors]
    expected = 2 * np.sin((np.arccos(right[:, 0]) - np.arccos(height)) / 2)
    attack = "fmn" if kind == "logistic" else "hopskipjump"
    generator = AdversarialGenerator(attack=attack, eps=np.inf, norm=2, random_state=0)
    found = _sphere_errors._distances(generator, as_model(model), right[:60], wrong)
    assert (found >= expected[:60] - 1e-9).all()
    np.testing.assert_allclose(found, expected[:60], rtol=2e-3 if kind == "logistic" else 0.3, atol=1e-4)
    share = _caps.cap_share(np.arccos(height), n_features)
    assert cap_distance(share, n_features) == pytest.approx(expected.mean(), rel=0.03)


def test_errors_are_shares_of_fresh_points(monkeypatch: Any) -> None:
    """However many points are held at once."""
    share = _caps.cap_share(np.arccos(0.1), 40)
    outer = _caps.cap_share(np.arccos(0.1 / 1.3), 40)
    for n_values in (2**22, 40 * 777):
        monkeypatch.setattr("skhalfway._blocks._MAX_VALUES", n_values)
        curves = adversarial_spheres(
            Linear(), n_features=40, n_train=10, n_test=20_000, n_attacked=5, max_queries=50, n_repeats=1
        )
        (inner,), (error,) = curves.values["inner error"][0][:, None], curves.values["error"][0][:, None]
        assert inner[0] == pytest.approx(share, abs=0.015)
        assert error[0] == pytest.approx((share + 1 - outer) / 2, abs=0.015)
        assert curves.values["bound"][0, 0] == pytest.approx(cap_distance(float(inner[0]), 40))


@pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning")
@pytest.mark.parametrize(("constant", "inner"), [(0, 0.0), (1, 1.0)])
def test_what_is_not_known_is_nan(constant: int, inner: float) -> None:
    curves = adversarial_spheres(
        DummyClassifier(strategy="constant", constant=constant),
        n_features=5,
        n_train=10,
        n_test=200,
        n_attacked=10,
        n_repeats=1,
    )
    assert curves.values["inner error"][0, 0] == inner and curves.values["error"][0, 0] == 0.5
    assert np.isnan(curves.values["distance"]).all() and np.isnan(curves.values["bound"]).all()


# --- what is seen on spheres


class Net(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 2))


def skorch_net(**options: Any) -> NeuralNetClassifier:
    defaults: dict[str, Any] = {"max_epochs": 8, "lr": 0.005, "batch_size": 100, "train_split": None}
    return NeuralNetClassifier(
        Net, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, verbose=0, **defaults | options
    )


@pytest.mark.parametrize("kind", ["mlp", "skorch", "forest"])
def test_rare_errors_are_near_every_point(kind: str) -> None:
    """Gilmer et al. 2018: about as far as a cap, and hardly further as errors become rare."""
    models = {
        "mlp": MLPClassifier((100,), max_iter=30),
        "skorch": skorch_net(),
        "forest": RandomForestClassifier(10),
    }
    options: dict[str, Any] = {"n_attacked": 10, "max_queries": 200} if kind == "forest" else {}
    curves = adversarial_spheres(
        models[kind],
        n_features=100,
        n_train=[1000, 4000],
        n_test=10_000,
        n_repeats=1,
        random_state=0,
        **options,
    )
    few, many = curves.means["inner error"]
    distance, bound = curves.means["distance"], curves.means["bound"]
    assert (distance < 1.1 * bound).all()
    assert (distance < 2 / np.sqrt(100)).all()  # while two random points are sqrt(2) apart
    if kind != "forest":
        assert (distance > 0.5 * bound).all()
        assert many < few / 2
        assert distance[0] < distance[1] < 1.5 * distance[0]


def test_distance_is_of_order_one_over_the_root_of_the_dimension() -> None:
    options: dict[str, Any] = {"n_train": 1000, "n_test": 2000, "n_repeats": 1, "random_state": 0}
    few, many = (
        adversarial_spheres(MLPClassifier((50,), max_iter=20), n_features=n_features, **options)
        for n_features in (50, 450)
    )
    for name in ("distance", "bound"):
        assert 2 < few.means[name][0] / many.means[name][0] < 4  # the root of 9, with errors that are alike


def test_errors_that_no_test_saw() -> None:
    """The boundary is a quadric, and almost the sphere; what is wrong with it the attack finds alone."""
    curves = adversarial_spheres(
        GaussianNB(), n_features=100, n_train=[400], n_test=4000, n_attacked=30, n_repeats=1, random_state=0
    )
    assert curves.values["inner error"][0, 0] == 0 and np.isnan(curves.values["bound"][0, 0])
    assert 0.1 < curves.values["distance"][0, 0] < 1


# --- randomness, inputs


def test_seed_decides_everything() -> None:
    options: dict[str, Any] = {
        "n_features": 100,
        "n_test": 400,
        "n_attacked": 3,
        "max_iter": 5,
        "n_repeats": 2,
    }
    for estimator in (MLPClassifier((8,), max_iter=3), skorch_net(max_epochs=1)):
        state, before = torch.get_rng_state(), np.random.get_state()[1].copy()
        found, same, other = (
            adversarial_spheres(estimator, n_train=[50, 100], random_state=seed, **options)
            for seed in (0, 0, 1)
        )
        assert torch.equal(torch.get_rng_state(), state)
        np.testing.assert_array_equal(np.random.get_state()[1], before)
        assert list(found.values) == ["error", "inner error", "distance", "bound"]
        for name, value in found.values.items():
            assert value.shape == (2, 2)
            np.testing.assert_array_equal(same.values[name], value)
        assert (found.values["error"] != other.values["error"]).all()
    alone = adversarial_spheres(estimator, n_train=100, random_state=0, **options)
    np.testing.assert_array_equal(alone.values["distance"][0], found.values["distance"][1])
    processes = adversarial_spheres(estimator, n_train=[50, 100], random_state=0, n_jobs=2, **options)
    np.testing.assert_allclose(processes.values["distance"], found.values["distance"], rtol=1e-4)


@pytest.mark.parametrize(
    ("estimator", "options", "error", "message"),
    [
        (GaussianNB(), {"n_features": 1}, ValueError, "n_features must be an integer >= 2, got 1"),
        (GaussianNB(), {"radius": 0.9}, ValueError, "must be > 1, the radius of the inner sphere; got 0.9"),
        (GaussianNB(), {"radius": np.inf}, ValueError, "radius must be a finite number > 0"),
        (GaussianNB(), {"n_train": []}, ValueError, "an integer or ascending integers"),
        (GaussianNB(), {"n_train": [20, 10]}, ValueError, r"ascending integers, got \[20, 10\]"),
        (GaussianNB(), {"n_train": 1}, ValueError, "at least 2, a sample of each sphere; got 1"),
        (GaussianNB(), {"n_train": 2.5}, ValueError, "an integer or ascending integers"),
        (GaussianNB(), {"n_test": 1}, ValueError, "n_test must be an integer >= 2"),
        (GaussianNB(), {"n_attacked": 0}, ValueError, "n_attacked must be an integer >= 1"),
        (GaussianNB(), {"attack": "pgd"}, ValueError, "attack must be one of .*'fmn'.* got 'pgd'"),
        (GaussianNB(), {"max_iter": 0}, ValueError, "max_iter must be an integer >= 1"),
        (GaussianNB(), {"max_queries": 0}, ValueError, "max_queries must be an integer >= 1"),
        (GaussianNB(), {"n_repeats": 0}, ValueError, "n_repeats must be an integer >= 1"),
        (Ridge(), {}, TypeError, "a classifier is needed, got the regressor"),
        (FrozenEstimator(GaussianNB()), {}, TypeError, "an unfitted classifier is needed"),
    ],
)
def test_errors(estimator: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        adversarial_spheres(estimator, **{"n_features": 10, "n_train": 10, "n_test": 10} | options)


# --- the display


def test_display() -> None:
    display = AdversarialSpheresDisplay.from_estimator(
        LogisticRegression(),
        n_features=20,
        n_train=[50, 100],
        n_test=1000,
        n_attacked=20,
        n_repeats=2,
        random_state=0,
        plot_kw={"point_kw": {"s": 9}},
    )
    curves = display.result
    assert isinstance(curves, AdversarialSpheres) and curves.n_features == 20
    for i, size in enumerate((50, 100)):
        expected = np.column_stack([curves.values["inner error"][i], curves.values["distance"][i]])
        np.testing.assert_allclose(display.points_[size].get_offsets(), expected)
    share, bound = display.lines_["bound"].get_data()
    assert bound[10] == pytest.approx(cap_distance(share[10], 20))
    assert share.min() < curves.values["inner error"].min() and share.max() < 1
    display.figure_.canvas.draw()
    again = curves.plot(ax=display.ax_, legend=False)
    assert again.ax_ is display.ax_


def test_display_of_errors_that_no_test_saw() -> None:
    nothing = {name: np.full((1, 1), np.nan) for name in ("distance", "bound")}
    values = {"error": np.zeros((1, 1)), "inner error": np.zeros((1, 1))} | nothing
    display = AdversarialSpheres(np.array([10]), values, 50).plot()
    assert not display.lines_ and list(display.points_) == [10]
    # a logarithmic axis would warn of it
    assert display.ax_.get_xscale() == "linear"
    display.figure_.canvas.draw()
