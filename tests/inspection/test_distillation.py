"""distill: the loss, what students are shown, and what they know of it on digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway._randomness import draw_seed
from skhalfway.inspection import Distillation, DistillationDisplay, distill
from skhalfway.inspection._soft_targets import DistillationLoss, tempered
from skhalfway.models import as_model
from skhalfway.models._training import train

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]
TRAIN, TEST = slice(0, None, 2), slice(1, None, 2)
SPLIT: dict[str, Any] = {"X": X[TRAIN], "y": Y[TRAIN], "X_test": X[TEST], "y_test": Y[TEST]}


class Net(nn.Module):
    def __init__(self, n_inputs: int = 64, n_hidden: int = 32, n_outputs: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_inputs, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_outputs))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


def skorch_net(module: Any = Net, **params: Any) -> Any:
    given: dict[str, Any] = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "lr": 0.01,
        "batch_size": 64,
        "max_epochs": 20,
        "train_split": None,
        "verbose": 0,
    }
    return NeuralNetClassifier(module, **given | params)


def iris_net(**params: Any) -> Any:
    return skorch_net(module__n_inputs=4, module__n_outputs=3, **{"max_epochs": 5} | params)


@pytest.fixture(scope="module")
def logistic() -> Any:
    return LogisticRegression(max_iter=1000).fit(X[TRAIN], Y[TRAIN])


# --- the loss


@pytest.mark.parametrize("label_weight", [0.0, 0.3])
def test_loss_is_the_average_of_both(label_weight: float) -> None:
    rng = np.random.RandomState(0)
    z, soft, labels = rng.randn(6, 4), softmax(rng.randn(6, 4), axis=1), np.eye(4)[rng.randint(4, size=6)]
    targets = torch.tensor(np.stack([soft, labels], axis=1))
    loss = DistillationLoss(3.0, label_weight)(torch.tensor(z), targets)
    cross = [-(q * log_softmax(z / t, axis=1)).sum(axis=1).mean() for q, t in ((soft, 3.0), (labels, 1.0))]
    assert loss.item() == pytest.approx((1 - label_weight) * 9 * cross[0] + label_weight * cross[1])
    # labels alone are what they were before
    plain = nn.CrossEntropyLoss()(torch.tensor(z), torch.tensor(labels.argmax(axis=1)))
    assert DistillationLoss(3.0)(torch.tensor(z), torch.tensor(labels.argmax(axis=1))) == plain


def test_at_high_temperature_logits_are_matched() -> None:
    """Hinton et al. (2015), section 2.1: for logits of mean 0 the gradient becomes (z - v) / n_classes."""
    rng = np.random.RandomState(0)
    z, v = (a - a.mean(axis=1, keepdims=True) for a in rng.randn(2, 1, 5))
    logits = torch.tensor(z, requires_grad=True)
    targets = np.stack([softmax(v / 1e4, axis=1), np.zeros((1, 5))], axis=1)
    DistillationLoss(1e4)(logits, torch.tensor(targets)).backward()
    np.testing.assert_allclose(logits.grad, (z - v) / 5, atol=1e-3)


# --- what students are shown


def test_tempered_is_the_softmax_of_logits_over_temperature(logistic: Any) -> None:
    z = X @ logistic.coef_.T + logistic.intercept_
    np.testing.assert_allclose(tempered(as_model(logistic), X, 3.0), softmax(z / 3, axis=1))
    torch.manual_seed(0)
    module = Net(4, 8, 3)
    z = module(torch.tensor(X, dtype=torch.float32)).detach().numpy()
    np.testing.assert_allclose(tempered(as_model(module), X, 3.0), softmax(z / 3, axis=1), atol=1e-6)
    net = iris_net().fit(X.astype(np.float32), Y)
    z = net.forward(X.astype(np.float32)).numpy().astype(float)
    np.testing.assert_allclose(tempered(as_model(net), X, 3.0), softmax(z / 3, axis=1), atol=1e-6)
    # a net so sure that float32 has no probabilities left of the other classes
    sure = nn.Linear(1, 2, bias=False)
    nn.init.constant_(sure.weight[:1], 300.0)
    nn.init.constant_(sure.weight[1:], 0.0)
    found = tempered(as_model(sure), np.ones((1, 1)), 300.0)
    np.testing.assert_allclose(found[0, 1], 1 / (1 + np.e), rtol=1e-6)


def test_probabilities_of_0_stay_0() -> None:
    tree = DecisionTreeClassifier(max_depth=2, random_state=0).fit(X, Y)
    p = tree.predict_proba(X)
    q = tempered(as_model(tree), X, 2.0)
    np.testing.assert_allclose(q, np.sqrt(p) / np.sqrt(p).sum(axis=1, keepdims=True))
    assert (p == 0).any() and not np.isnan(q).any()


def test_a_student_of_the_same_kind_becomes_its_teacher(logistic: Any) -> None:
    student = LogisticRegression(C=np.inf, max_iter=5000, tol=1e-8)
    (found,) = distill(logistic, student, **SPLIT, temperature=1, n_repeats=1).students
    np.testing.assert_allclose(found.predict_proba(X), logistic.predict_proba(X), atol=1e-3)
    plain = student.fit(X[TRAIN], Y[TRAIN]).predict_proba(X)
    assert np.abs(plain - logistic.predict_proba(X)).max() > 0.1


def test_each_sample_is_shown_once_for_each_class(logistic: Any) -> None:
    student = DecisionTreeClassifier(max_depth=3, random_state=0)
    params: dict[str, Any] = {"temperature": 2, "label_weight": 0.25, "n_repeats": 1, "random_state": 0}
    result = distill(logistic, student, **SPLIT, **params)
    z = X[TRAIN] @ logistic.coef_.T + logistic.intercept_
    weights = 0.75 * softmax(z / 2, axis=1) + 0.25 * np.eye(3)[Y[TRAIN]]
    seed = result.students[0].random_state
    by_hand = clone(student).set_params(random_state=seed)
    by_hand.fit(np.repeat(X[TRAIN], 3, axis=0), np.tile(np.arange(3), 75), sample_weight=weights.ravel())
    np.testing.assert_allclose(result.students[0].predict_proba(X), by_hand.predict_proba(X))


def test_a_skorch_student_descends_the_loss(logistic: Any) -> None:
    """One step of a linear student against the gradient in closed form."""

    params: dict[str, Any] = {"optimizer": torch.optim.SGD, "max_epochs": 1, "batch_size": -1}
    torch.manual_seed(0)
    start = nn.Linear(4, 3)
    student = skorch_net(start, lr=0.1, **params)
    result = distill(logistic, student, **SPLIT, temperature=5, label_weight=0.2, n_repeats=1, random_state=0)
    x, w, b = X[TRAIN], start.weight.detach().numpy(), start.bias.detach().numpy()
    z = x @ w.T + b
    soft = softmax(z / 5, axis=1) - softmax((x @ logistic.coef_.T + logistic.intercept_) / 5, axis=1)
    gradient = 0.8 * 5 * soft + 0.2 * (softmax(z, axis=1) - np.eye(3)[Y[TRAIN]])
    found = result.students[0].module_.weight.detach().numpy()
    np.testing.assert_allclose(found, w - 0.1 * gradient.T @ x / len(x), atol=1e-5)


def test_hard_targets_are_the_teachers_answers() -> None:
    teacher = make_pipeline(StandardScaler(), LinearSVC(random_state=0)).fit(X[TRAIN], NAMES[TRAIN])
    split = {"X": X[TRAIN], "y": NAMES[TRAIN], "X_test": X[TEST], "y_test": NAMES[TEST]}
    student = KNeighborsClassifier(1)
    result = distill(teacher, student, **split, targets="hard", n_repeats=1)
    by_hand = KNeighborsClassifier(1).fit(X[TRAIN], teacher.predict(X[TRAIN]))
    np.testing.assert_array_equal(result.students[0].predict(X), by_hand.predict(X))
    answers = teacher.predict(X[TEST])
    assert result.values["accuracy"][:, 0].tolist() == [
        model.score(X[TEST], NAMES[TEST])
        for model in (teacher, by_hand, KNeighborsClassifier(1).fit(X[TRAIN], NAMES[TRAIN]))
    ]
    assert result.values["agreement"][:2, 0].tolist() == [1.0, by_hand.score(X[TEST], answers)]


def test_the_plain_student_is_trained_as_ever(logistic: Any) -> None:
    student = MLPClassifier((8,), max_iter=20)
    with pytest.warns(UserWarning, match="Stochastic Optimizer"):
        result = distill(
            logistic, student, **SPLIT, targets="hard", n_repeats=2, random_state=np.random.RandomState(0)
        )
        rng = np.random.RandomState(0)
        for plain in result.plain_students:
            by_hand = train(student, X[TRAIN], Y[TRAIN], draw_seed(rng))
            np.testing.assert_array_equal(plain.coefs_[0], by_hand.coefs_[0])
    assert not hasattr(student, "coefs_")


def test_without_labels_there_is_no_plain_student(logistic: Any) -> None:
    result = distill(
        logistic, iris_net(), X[TRAIN], None, X_test=X[TEST], y_test=Y[TEST], n_repeats=2, random_state=0
    )
    assert result.x.tolist() == ["teacher", "distilled"] and result.plain_students == ()


def test_a_pipeline_and_validation_data(logistic: Any) -> None:
    """A net that keeps samples back has nothing to score them with, and none is scored."""
    from skorch.dataset import ValidSplit

    student = make_pipeline(StandardScaler(), iris_net(train_split=ValidSplit(5), max_epochs=40))
    result = distill(logistic, student, **SPLIT, n_repeats=1, random_state=0)
    net = result.students[0][-1]
    assert "valid_loss" in net.history[-1] and "valid_acc" not in net.history[-1]
    assert "valid_acc" in result.plain_students[0][-1].history[-1]
    assert result.means["accuracy"][1] > 0.8
    # and is a net as any other from then on
    again = net.partial_fit(StandardScaler().fit_transform(X).astype(np.float32), Y)
    assert again.predict_proba(X.astype(np.float32)).shape == (150, 3)


# --- what they know of it


@pytest.fixture(scope="module")
def teacher(digits: Any) -> Any:
    return train(skorch_net(module__n_hidden=128), digits.X, digits.y, 0)


def test_students_know_a_class_that_they_never_saw(teacher: Any, digits: Any) -> None:
    """As with the 3 that Hinton et al. (2015), section 3, left out."""
    seen = digits.y != 3
    threes = digits.X_test[digits.y_test == 3]
    student = skorch_net(max_epochs=30)
    split = {"X": digits.X[seen], "y": digits.y[seen], "X_test": digits.X_test, "y_test": digits.y_test}
    result = distill(teacher, student, **split, n_repeats=1, random_state=0)
    known = [(net.predict(threes) == 3).mean() for net in result.students]
    unknown = [(net.predict(threes) == 3).mean() for net in result.plain_students]
    assert min(known) > 0.5
    assert unknown == [0]
    accuracy = result.means["accuracy"]
    assert accuracy[1] > accuracy[2] + 0.03


def test_few_samples_teach_more_with_a_teacher(teacher: Any, digits: Any) -> None:
    student = skorch_net(max_epochs=80)
    few = {"X": digits.X[:100], "y": digits.y[:100], "X_test": digits.X_test, "y_test": digits.y_test}
    result = distill(teacher, student, **few, n_repeats=3, random_state=0)
    assert result.means["agreement"][1] > result.means["agreement"][2] + 0.005


@pytest.mark.parametrize("student", [iris_net(), DecisionTreeClassifier(max_features=1)])
def test_a_seed_decides_and_jobs_do_not(logistic: Any, student: Any) -> None:
    def measured(random_state: int, n_jobs: int | None = None) -> Any:
        states = torch.get_rng_state(), np.random.get_state()[1]
        result = distill(logistic, student, **SPLIT, n_repeats=2, random_state=random_state, n_jobs=n_jobs)
        assert torch.equal(torch.get_rng_state(), states[0])
        np.testing.assert_array_equal(np.random.get_state()[1], states[1])
        each = (*result.students, *result.plain_students)
        return [classifier.predict_proba(X.astype(np.float32)) for classifier in each]

    first = measured(0)
    np.testing.assert_array_equal(first, measured(0, n_jobs=2))
    assert not np.array_equal(first, measured(1))


@pytest.mark.parametrize(
    ("teacher", "student", "given", "error", "message"),
    [
        (
            None,
            LogisticRegression(),
            {"temperature": 0},
            ValueError,
            "temperature must be a finite number",
        ),
        (
            None,
            LogisticRegression(),
            {"label_weight": 1},
            ValueError,
            r"label_weight must be a number in",
        ),
        (None, LogisticRegression(), {"label_weight": 0.5, "y": None}, ValueError, "needs y, which is None"),
        (None, LogisticRegression(), {"label_weight": 0.5, "targets": "hard"}, ValueError, "targets='soft'"),
        (
            None,
            LogisticRegression(),
            {"targets": "firm"},
            ValueError,
            r"targets must be one of \['soft', 'hard'\]",
        ),
        (None, LogisticRegression(), {"n_repeats": 0}, ValueError, "n_repeats must be an integer >= 1"),
        (None, LogisticRegression(), {"y": Y[TRAIN] + 1}, ValueError, "y holds labels that are not among"),
        (None, LogisticRegression(), {"y_test": NAMES[TEST]}, ValueError, "y_test holds labels"),
        (None, LogisticRegression(), {"X_test": X[TEST, :2]}, ValueError, "preprocess both in the same way"),
        (None, KNeighborsClassifier(), {}, TypeError, "takes no sample_weight.*pass targets='hard'"),
        (None, FrozenEstimator(LogisticRegression()), {}, TypeError, "student must be unfitted"),
        (
            None,
            skorch_net(criterion=nn.NLLLoss),
            {},
            TypeError,
            "must have criterion=torch.nn.Cross",
        ),
        (LinearSVC(random_state=0).fit(X, Y), LogisticRegression(), {}, TypeError, "has no predict_proba"),
        (None, skorch_net(nn.Linear(4, 3)), {}, ValueError, "module is an instance already"),
        (LogisticRegression(), LogisticRegression(), {}, NotFittedError, "not fitted"),
    ],
)
def test_errors(
    logistic: Any, teacher: Any, student: Any, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    data: dict[str, Any] = {"X": X[TRAIN], "y": Y[TRAIN], "X_test": X[TEST], "y_test": Y[TEST]}
    with pytest.raises(error, match=message):
        distill(teacher or logistic, student, **data | given)


def test_skorch_needs_numbers_for_labels() -> None:
    teacher = RandomForestClassifier(5, random_state=0).fit(X, NAMES)
    with pytest.raises(ValueError, match="predicts column numbers, so it needs the labels 0, 1, ..., got"):
        distill(teacher, iris_net(), X, NAMES, X_test=X, y_test=NAMES)


def test_drawn(logistic: Any) -> None:
    display = DistillationDisplay.from_estimator(
        logistic,
        DecisionTreeClassifier(max_depth=1),
        X[TRAIN],
        Y[TRAIN],
        X_test=X[TEST],
        y_test=Y[TEST],
        n_repeats=2,
        random_state=0,
    )
    assert isinstance(display.result, Distillation)
    np.testing.assert_array_equal(display.lines_["accuracy"].get_ydata(), display.result.means["accuracy"])
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["teacher", "distilled", "plain"]
    assert repr(display.result).startswith("Distillation: 3 points, 2 repeats")
    assert isinstance(display.result.plot(), DistillationDisplay)
