"""Loss gradients against closed forms, autograd and differences; measures against their definitions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

from skhalfway.boundaries import _gradients
from skhalfway.boundaries._gradients import gradient_alignment, gradient_size, loss_gradient
from skhalfway.boundaries._variability import loss_variability
from skhalfway.models import NotDifferentiableError, as_model

X, Y = load_iris(return_X_y=True)
X2, Y2 = X[50:], np.array(["versicolor", "virginica"])[Y[50:] - 1]


class BlackBox(ClassifierMixin, BaseEstimator):
    """Answers of a classifier that has a gradient, but not here."""

    def fit(self, X, y):
        self.inner_ = GaussianNB().fit(X, y)
        self.classes_ = self.inner_.classes_
        return self

    def predict(self, X):
        return self.inner_.predict(X)


class ScoringBox(BlackBox):
    def predict_proba(self, X):
        return self.inner_.predict_proba(X)


@pytest.fixture(scope="module")
def lr():
    return LogisticRegression(max_iter=1000).fit(X, Y)


@pytest.fixture(scope="module")
def two():
    return LogisticRegression().fit(X2, Y2)


@pytest.fixture(scope="module")
def mlp():
    return make_pipeline(StandardScaler(), MLPClassifier((8,), max_iter=400, random_state=0, tol=1e-3)).fit(
        X, Y
    )


def rows(values):
    return values.reshape(len(values), -1)


def cnn(dtype=torch.float64):
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 3, 2), nn.ELU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(12, 3)
    return nn.Sequential(*layers).to(dtype)


def test_logistic_regressions_in_closed_form(lr, two):
    """(p - onehot(y)) W; with two classes (p - y) w."""
    expected = (lr.predict_proba(X) - np.eye(3)[Y]) @ lr.coef_
    np.testing.assert_allclose(loss_gradient(lr, X, Y), expected, atol=1e-12)
    np.testing.assert_allclose(loss_gradient(lr, pd.DataFrame(X), Y), expected, atol=1e-12)
    expected = (two.predict_proba(X2)[:, 1] - (Y2 == "virginica"))[:, None] * two.coef_
    np.testing.assert_allclose(loss_gradient(two, X2, Y2), expected, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_cross_entropy_of_a_torch_module(dtype, monkeypatch):
    module = cnn(dtype).train()
    x, y = torch.randn(20, 1, 3, 3, dtype=dtype), torch.arange(20) % 3
    gradient = loss_gradient(module, x.numpy().astype(np.float64), y.numpy())
    assert gradient.shape == x.shape and gradient.dtype == x.numpy().dtype
    # as it was found: dropout on, no gradients of weights
    assert all(part.training for part in module.modules())
    assert all(weight.grad is None for weight in module.parameters())
    x.requires_grad_()
    nn.functional.cross_entropy(module.eval()(x), y, reduction="sum").backward()
    np.testing.assert_allclose(gradient, x.grad, atol=1e-12 if dtype == torch.float64 else 1e-6)
    monkeypatch.setattr(_gradients, "_BATCH", 7)
    batched = loss_gradient(module, x.detach().numpy(), y.numpy())
    np.testing.assert_allclose(batched, gradient, atol=1e-6)


@pytest.mark.parametrize("make", [SVC, lambda: make_pipeline(StandardScaler(), SVC()), GaussianNB])
def test_differences_of_the_loss(make, mlp):
    for model in (make().fit(X, Y), mlp):
        x, step = X[::10], 1e-5 * np.eye(4)
        y = Y[::10]
        moved = (x[:, None, None] + np.stack([step, -step])[None]).reshape(-1, 4)
        view = as_model(model)
        logits = view.logits(torch.tensor(moved, dtype=torch.float64)).detach().numpy()
        losses = -np.log(softmax(logits, axis=1)).reshape(len(x), 2, 4, 3)
        losses = np.take_along_axis(losses, y[:, None, None, None], axis=3)[..., 0]
        rise = (losses[:, 0] - losses[:, 1]) / 2e-5
        np.testing.assert_allclose(loss_gradient(model, x, y), rise, rtol=1e-3, atol=1e-6)


def test_a_saturated_loss_keeps_its_direction():
    """Also where a net in float32 is so sure that its loss is 0."""
    exact, module = nn.Linear(4, 3, dtype=torch.float64), nn.Linear(4, 3)
    weights = np.random.RandomState(0).normal(size=(3, 4)) * 10
    exact.weight.data, module.weight.data = torch.tensor(weights), torch.tensor(weights, dtype=torch.float32)
    exact.bias.data, module.bias.data = torch.zeros(3, dtype=torch.float64), torch.zeros(3)
    x = np.random.RandomState(1).normal(size=(50, 4)) * 3
    y = (x @ weights.T).argmax(axis=1)
    sure = nn.functional.cross_entropy(
        module(torch.tensor(x, dtype=torch.float32)), torch.tensor(y), reduction="none"
    )
    assert (sure == 0).sum() > 20
    np.testing.assert_allclose(gradient_alignment(module, exact, x, y), 1, atol=1e-6)
    size = gradient_size(module, x, y)
    assert (size[(sure == 0).numpy()] > 0).any() and (size < 100).all()


@pytest.mark.parametrize(
    ("norm", "steepest"),
    [
        (np.inf, np.sign),
        (2, lambda g: g / np.linalg.norm(g, axis=1, keepdims=True)),
        (1, lambda g: np.sign(g) * (np.abs(g) == np.abs(g).max(axis=1, keepdims=True))),
    ],
)
def test_size_is_how_fast_the_loss_can_rise(lr, norm, steepest):
    gradient = loss_gradient(lr, X, Y)
    size = gradient_size(lr, X, Y, norm=norm)
    step = 1e-6 * steepest(gradient)
    np.testing.assert_allclose(np.linalg.norm(step, norm, axis=1), 1e-6)
    own = np.arange(150), Y
    rise = np.log(lr.predict_proba(X)[own]) - np.log(lr.predict_proba(X + step)[own])
    np.testing.assert_allclose(rise / 1e-6, size, rtol=1e-3, atol=1e-6)
    # no random step does better
    other = np.random.RandomState(0).normal(size=X.shape)
    other *= 1e-6 / np.linalg.norm(other, norm, axis=1, keepdims=True)
    assert ((gradient * other).sum(axis=1) <= 1e-6 * size + 1e-15).all()


def test_size_of_a_logistic_regression_in_closed_form(two):
    probability = expit(np.where(Y2 == "virginica", -1, 1) * two.decision_function(X2))
    np.testing.assert_allclose(gradient_size(two, X2, Y2), probability * np.linalg.norm(two.coef_))
    np.testing.assert_allclose(gradient_size(two, X2, Y2, norm=np.inf), probability * np.abs(two.coef_).sum())
    np.testing.assert_allclose(gradient_size(two, X2, Y2, norm=1), probability * np.abs(two.coef_).max())


def test_alignment_of_logistic_regressions_in_closed_form(lr, two):
    weak = LogisticRegression(C=1e-3).fit(X2, Y2)
    cosine = (two.coef_ @ weak.coef_.T).item() / np.linalg.norm(two.coef_) / np.linalg.norm(weak.coef_)
    assert cosine < 0.99
    np.testing.assert_allclose(gradient_alignment(two, weak, X2, Y2), cosine)
    opposite = LogisticRegression().fit(X2, Y2)
    opposite.coef_ = -opposite.coef_
    np.testing.assert_allclose(gradient_alignment(two, opposite, X2, Y2), -1)
    np.testing.assert_allclose(gradient_alignment(lr, lr, X, Y), 1)


def test_alignment_does_not_depend_on_order_labels_or_type(lr, mlp):
    found = gradient_alignment(lr, mlp, X, Y)
    assert found.shape == (150,) and (np.abs(found) <= 1).all()
    np.testing.assert_array_equal(gradient_alignment(mlp, lr, X, Y), found)
    one, other = (rows(loss_gradient(model, X, Y)) for model in (lr, mlp))
    cosine = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    np.testing.assert_allclose(found, cosine, atol=1e-9)
    names = np.array(["a", "b", "c"])[Y]
    again = (clone(model).fit(X, names) for model in (lr, mlp))
    np.testing.assert_allclose(gradient_alignment(*again, X, names), found, atol=1e-6)
    np.testing.assert_allclose(gradient_alignment(lr, mlp, X.astype(np.float32), Y), found, atol=1e-4)


def test_alignment_far_from_the_data_of_a_kernel():
    """Its gradients are there, but their squares are 0."""
    svm, far = SVC(gamma=1.0).fit(X, Y), X + np.array([0, 0, 0, 25.0])
    assert 0 < np.abs(loss_gradient(svm, far, Y)).max(axis=1).min() < 1e-170
    np.testing.assert_allclose(gradient_alignment(svm, svm, far, Y), 1)


def test_alignment_of_images_is_that_of_rows():
    one, other = cnn(), cnn(torch.float32)
    x, y = np.random.RandomState(0).normal(size=(9, 1, 3, 3)), np.arange(9) % 3
    np.testing.assert_allclose(gradient_alignment(one, other, x, y), 1, atol=1e-6)


def test_alignment_with_no_gradient_is_unknown(lr):
    relu = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3)).double()
    relu[0].weight.data, relu[0].bias.data = torch.ones(3, 4).double(), torch.full((3,), -15.0).double()
    x = np.vstack([X[:3], X[-3:]])
    np.testing.assert_array_equal(loss_gradient(relu, X[:3], Y[:3]), np.zeros((3, 4)))
    with pytest.warns(UndefinedMetricWarning, match="target has no gradient at 3 of 6 samples"):
        found = gradient_alignment(lr, relu, x, [0, 0, 0, 2, 2, 2])
    np.testing.assert_array_equal(np.isnan(found), [True] * 3 + [False] * 3)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_variability_is_the_variance_over_training_sets(n_jobs):
    source = LogisticRegression(max_iter=1000)
    data = X[::2], Y[::2], X[1::2], Y[1::2]
    found = loss_variability(source, *data, n_fits=4, train_size=30, random_state=5, n_jobs=n_jobs)
    losses = []
    for part, _ in StratifiedShuffleSplit(4, train_size=30, random_state=5).split(X[1::2], Y[1::2]):
        probability = clone(source).fit(X[1::2][part], Y[1::2][part]).predict_proba(X[::2])
        losses.append(-np.log(probability[np.arange(75), Y[::2]]))
    expected = np.mean(np.square(losses), axis=0) - np.mean(losses, axis=0) ** 2
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert found.shape == (75,) and (found > 0).all() and not hasattr(source, "coef_")


def test_variability_of_probabilities_is_that_of_log_loss():
    """Where there is no gradient: clipped alike where a probability is 0."""
    far, y = X[::5] * [1, 1, 1, 4], Y[::5]
    found = loss_variability(ScoringBox(), far, y, X, Y, n_fits=3, random_state=1)
    losses = np.zeros((3, 30))
    for i, (part, _) in enumerate(StratifiedShuffleSplit(3, train_size=0.5, random_state=1).split(X, Y)):
        probability = ScoringBox().fit(X[part], Y[part]).predict_proba(far)
        losses[i] = [log_loss([c], p[None], labels=[0, 1, 2]) for c, p in zip(y, probability, strict=True)]
    assert (losses == -np.log(np.finfo(float).eps)).sum() > 3
    np.testing.assert_allclose(found, losses.var(axis=0), atol=1e-9)
    with pytest.raises(TypeError, match="no loss without logits or predict_proba: BlackBox has no gradient"):
        loss_variability(BlackBox(), X, Y, X, Y)


def test_what_learns_nothing_does_not_vary():
    source = DummyClassifier(strategy="uniform", random_state=0)
    np.testing.assert_allclose(loss_variability(source, X, Y, X, Y, n_fits=3, random_state=0), 0)


def test_variability_of_data_frames_labels_and_nets(mlp):
    from skorch import NeuralNetClassifier

    names, frame = np.array(["a", "b", "c"])[Y], pd.DataFrame(X, columns=list("wxyz"))
    source = GaussianNB()
    plain = loss_variability(source, X, Y, X, Y, random_state=0)
    np.testing.assert_array_equal(loss_variability(source, frame, names, frame, names, random_state=0), plain)
    net = NeuralNetClassifier(
        nn.Linear(4, 3), max_epochs=1, verbose=0, train_split=None, criterion=nn.CrossEntropyLoss
    )
    found = loss_variability(net, X, Y, X, Y, n_fits=2, random_state=0)
    assert (found > 0).any() and found.dtype == np.float64


def test_more_complex_sources_vary_more():
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    weak, strong = (
        loss_variability(
            LogisticRegression(C=C, max_iter=2000), x[:200], y[:200], x[200:], y[200:], random_state=0
        )
        for C in (1e-2, 1e3)
    )
    assert weak.mean() < strong.mean() / 10


def test_black_boxes_have_no_gradient(lr):
    box = BlackBox().fit(X, Y)
    for measure in (loss_gradient, gradient_size):
        with pytest.raises(NotDifferentiableError, match="BlackBox has no gradient here"):
            measure(box, X, Y)
    for pair, name in (((box, lr), "source"), ((lr, box), "target")):
        with pytest.raises(TypeError, match=f"model '{name}': BlackBox has no gradient here"):
            gradient_alignment(*pair, X, Y)


@pytest.mark.parametrize(
    "measure", [loss_gradient, gradient_size, lambda *given: gradient_alignment(given[0], *given)]
)
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"y": Y[:-1]}, ValueError, "one label per sample"),
        ({"y": Y + 1}, ValueError, r"not among the classes \[0, 1, 2\]: \[3\]"),
        ({"X": X[:, 1:]}, ValueError, "expecting 4 features"),
        ({"X": np.where(X > 7, np.nan, X)}, ValueError, "missing value"),
        ({"estimator": LogisticRegression()}, NotFittedError, "not fitted"),
        ({"estimator": LogisticRegression}, TypeError, "make one and fit it"),
    ],
)
def test_what_is_refused(lr, measure, change, error, message):
    given = {"estimator": lr, "X": X, "y": Y} | change
    with pytest.raises(error, match=message):
        measure(*given.values())


@pytest.mark.parametrize("norm", [3, "2", True, None, np.nan])
def test_norms_are_checked(lr, norm):
    with pytest.raises(ValueError, match="norm must be np.inf, 2 or 1, got"):
        gradient_size(lr, X, Y, norm=norm)


def test_gradients_that_are_not_finite():
    module = nn.Linear(4, 3)
    module.weight.data.fill_(np.inf)
    with pytest.raises(ValueError, match="Linear has gradients that are not finite"):
        loss_gradient(module, X, Y)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_fits": 1}, ValueError, "n_fits must be an integer >= 2, got 1"),
        ({"train_size": 2.0}, ValueError, "train_size"),
        ({"y": np.full(150, 9)}, ValueError, r"not among the classes \[0, 1, 2\]: \[9\]"),
        ({"X_train": X[:, 1:]}, ValueError, "X has 4 features.*expecting 3"),
        ({"X_train": X[1:]}, ValueError, "one label per sample"),
        ({"estimator": nn.Linear(4, 3)}, TypeError, "a Linear cannot be; give.*skorch"),
        ({"estimator": FrozenEstimator(GaussianNB().fit(X, Y))}, TypeError, "a FrozenEstimator cannot be"),
        ({"estimator": GaussianNB}, TypeError, "make one"),
    ],
)
def test_what_variability_refuses(change, error, message, monkeypatch):
    monkeypatch.setattr(
        GaussianNB, "fit", lambda *_: pytest.fail("it was fitted before parameters were checked")
    )
    given = {"estimator": GaussianNB(), "X": X, "y": Y, "X_train": X, "y_train": Y} | change
    with pytest.raises(error, match=message):
        loss_variability(**given)
