"""PerturbationLearner: the protocol, fact by fact, and the scikit-learn object around it."""

from __future__ import annotations

import pickle
import re
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import AdversarialGenerator, Constraints
from skhalfway.models import ModelWarning, as_model
from skhalfway.models._training import train
from skhalfway.perturbation import PerturbationLearner

PROTOCOLS: list[dict[str, Any]] = [
    {},
    {"labels": "next"},
    {"base": "noise"},
    {"perturbation_only": True},
    {"labels": "next", "perturbation_only": True},
    {"base": "noise", "perturbation_only": True},
]


@parametrize_with_checks(
    [
        PerturbationLearner(LogisticRegression(max_iter=1000)),
        PerturbationLearner(
            SVC(break_ties=True), AdversarialGenerator(attack="fgsm"), labels="next", perturbation_only=True
        ),
        PerturbationLearner(LogisticRegression(max_iter=1000), base="noise"),
    ]
)
def test_scikit_learn_compatible(estimator: Any, check: Any) -> None:
    check(estimator)


class Spy(ClassifierMixin, BaseEstimator):
    """A classifier that remembers all that any clone of it was fitted with."""

    seen: ClassVar[list[tuple[Any, Any, Any]]] = []

    def __init__(self, random_state: Any = None) -> None:
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Spy:
        Spy.seen.append((X.copy(), y.copy(), self.random_state))
        self.inner_ = LogisticRegression(max_iter=5000).fit(X, y)
        self.classes_, self.n_features_in_ = self.inner_.classes_, X.shape[1]
        return self

    def predict(self, X: Any) -> Any:
        return self.inner_.predict(X)


def attack(**changes: Any) -> AdversarialGenerator:
    """Within .3 of every pixel: what fools nearly always."""
    given = {"attack": "pgd", "eps": 0.3, "max_iter": 20, "clip_values": (-0.5, 1.5), **changes}
    return AdversarialGenerator(**given)


# Clean accuracy above the first (learner) and below the second (control): a margin of .1 or more from what
# comes out. Ten classes; a control that learns anything of labels that are all wrong is below chance.
@pytest.mark.parametrize(
    ("options", "learned", "control"),
    [
        ({}, 0.8, 0.05),
        ({"labels": "next"}, 0.55, 0.05),
        ({"base": "noise"}, 0.75, 0.3),
        ({"perturbation_only": True}, 0.65, 0.05),
        ({"labels": "next", "perturbation_only": True}, 0.55, 0.05),
        ({"base": "noise", "perturbation_only": True}, 0.6, 0.3),
    ],
    ids=str,
)
def test_wrong_labels_teach_right_ones(digits, options: Any, learned: float, control: float) -> None:
    net = MLPClassifier(64, max_iter=25, learning_rate_init=0.005)
    learner = PerturbationLearner(net, attack(), **options, random_state=0)
    with pytest.warns(match="Maximum iterations"):
        learner.fit(digits.X, digits.y)
        unperturbed = learner.control_score(digits.X_test, digits.y_test)
    assert learner.score(digits.X_test, digits.y_test) > learned
    assert unperturbed < control


def test_default_budget_teaches(digits) -> None:
    learner = PerturbationLearner(LogisticRegression(max_iter=1000), random_state=0).fit(digits.X, digits.y)
    # the average pixel moves by less than half its own spread
    moved = np.abs(learner.X_perturbed_ - learner.X_base_).max(axis=0)
    assert (moved <= 0.5 * digits.X.std(axis=0) + 1e-12).all()
    assert learner.score(digits.X_test, digits.y_test) > 0.7
    assert learner.control_score(digits.X_test, digits.y_test) < 0.05


@pytest.fixture(scope="module")
def fitted(digits) -> Any:
    """A learner for each protocol, fitted once."""
    kept: dict[str, PerturbationLearner] = {}

    def fit(options: dict[str, Any]) -> PerturbationLearner:
        if str(options) not in kept:
            kept[str(options)] = PerturbationLearner(
                LogisticRegression(max_iter=1000), attack(), **options, random_state=0
            ).fit(digits.X, digits.y)
        return kept[str(options)]

    return fit


@pytest.mark.parametrize("options", [{}, {"perturbation_only": True}], ids=str)
def test_random_labels_are_any_but_the_own(digits, fitted, options: Any) -> None:
    steps = (fitted(options).y_assigned_ - digits.y) % 10
    counts = np.bincount(steps, minlength=10)
    assert counts[0] == 0
    # 900 draws of 9 classes: 100 each, within 4 standard deviations
    assert np.abs(counts[1:] - 100).max() < 4 * np.sqrt(900 * (1 / 9) * (8 / 9))


def test_next_goes_to_the_next_class() -> None:
    X, y = load_iris(return_X_y=True)
    names = np.array(["versicolor", "setosa", "virginica"])  # sorted: setosa, versicolor, virginica
    next_of = {"setosa": "versicolor", "versicolor": "virginica", "virginica": "setosa"}
    learner = PerturbationLearner(LogisticRegression(max_iter=1000), labels="next").fit(X, names[y])
    assert learner.y_assigned_.tolist() == [next_of[name] for name in names[y]]
    assert learner.classes_.tolist() == sorted(next_of)
    assert set(learner.predict(X)) <= set(next_of)


@pytest.mark.parametrize("options", PROTOCOLS, ids=str)
@pytest.mark.parametrize(("norm", "eps"), [(np.inf, 0.1), (2, 0.8), (1, 2.0)])
def test_perturbed_samples_are_near_their_base(digits, options: Any, norm: float, eps: float) -> None:
    generator = attack(norm=norm, eps=eps, max_iter=5, clip_values=(0, 1))
    learner = PerturbationLearner(LogisticRegression(max_iter=1000), generator, **options, random_state=0)
    learner.fit(digits.X[:200], digits.y[:200])
    change = learner.X_perturbed_ - learner.X_base_
    assert np.linalg.norm(change, ord=norm, axis=1).max() <= eps * (1 + 1e-9)
    assert np.abs(change).max() > 0
    assert learner.X_perturbed_.min() >= 0
    assert learner.X_perturbed_.max() <= 1
    assert (options.get("base") == "noise") or np.array_equal(learner.X_base_, digits.X[:200])


@pytest.mark.parametrize("options", PROTOCOLS, ids=str)
def test_fooling_rate_is_a_count(fitted, options: Any) -> None:
    learner = fitted(options)
    n = sum(learner.source_.predict(learner.X_perturbed_) == learner.y_assigned_)
    assert learner.n_fooled_ == n
    assert learner.fooling_rate_ == n / len(learner.y_assigned_)
    assert n > len(learner.y_assigned_) / 2


def test_source_knows_the_data_and_is_not_the_learner(digits, fitted) -> None:
    learner = fitted({})
    assert learner.source_.score(digits.X_test, digits.y_test) > 0.9
    expected = LogisticRegression(max_iter=1000).fit(digits.X, digits.y).coef_
    np.testing.assert_array_equal(learner.source_.coef_, expected)
    again = LogisticRegression(max_iter=1000).fit(learner.X_perturbed_, learner.y_assigned_).coef_
    np.testing.assert_array_equal(learner.learner_.coef_, again)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("clip", [None, (-0.1, 1.3), (np.full(64, -0.3), np.linspace(1, 2, 64))], ids=str)
def test_noise_fills_the_range(digits, dtype: Any, clip: Any) -> None:
    X = digits.X[:300].astype(dtype)
    learner = PerturbationLearner(
        LogisticRegression(max_iter=1000),
        attack(eps=0.01, clip_values=clip, max_iter=1),
        base="noise",
        random_state=0,
    )
    noise = learner.set_params(n_noise=2000).fit(X, digits.y[:300]).X_base_
    low, high = (X.min(axis=0), X.max(axis=0)) if clip is None else clip
    low, high = (np.broadcast_to(bound, 64).astype(float) for bound in (low, high))
    assert noise.shape == (2000, 64)
    assert noise.dtype == dtype
    assert (noise >= low).all()
    assert (noise <= high).all()
    moving = high > low
    place = (noise.astype(float) - low)[:, moving] / (high - low)[moving]
    # mean and variance of the uniform law: 1/2 and 1/12, of 2000 draws within 5 standard deviations
    assert np.abs(place.mean(axis=0) - 1 / 2).max() < 5 * np.sqrt(1 / 12 / 2000)
    assert np.abs(place.var(axis=0) - 1 / 12).max() < 5 * np.sqrt(1 / 180 / 2000)
    counts = np.bincount(learner.y_assigned_, minlength=10)
    assert np.abs(counts - 200).max() < 4 * np.sqrt(2000 * 0.1 * 0.9)


def test_noise_is_in_range_where_float32_has_no_value_near_the_bound() -> None:
    value = np.float32(0.1)  # the next is 7.5e-9 above: half of the draws would round to it
    X, high = np.full((20, 3), value), float(value) + 6e-9
    generator = attack(clip_values=(float(value), high))
    learner = PerturbationLearner(LogisticRegression(), generator, base="noise", random_state=0)
    with pytest.warns(ModelWarning, match="LogisticRegression has a gradient of exactly 0 on 20 of 20"):
        learner.fit(X, np.arange(20) % 2)
    assert (learner.X_base_ == value).all()


@pytest.mark.parametrize("options", PROTOCOLS, ids=str)
def test_random_state_decides_all(digits, options: Any) -> None:
    X, y = digits.X[:200], digits.y[:200]
    generator = attack(eps=0.1, max_iter=3, random_start=True)
    learner = PerturbationLearner(SVC(break_ties=True), generator, **options)
    first, same, other = (clone(learner).set_params(random_state=seed).fit(X, y) for seed in (1, 1, 2))
    for name in ("X_base_", "X_perturbed_", "y_assigned_"):
        assert getattr(first, name).tobytes() == getattr(same, name).tobytes()
    assert first.decision_function(X).tobytes() == same.decision_function(X).tobytes()
    assert first.X_perturbed_.tobytes() != other.X_perturbed_.tobytes()
    assert generator.random_state is None


def test_noise_repeats_no_data_of_the_same_seed() -> None:
    rng = np.random.RandomState(0)
    X, y = rng.uniform(-1, 1, size=(50, 300)), rng.randint(2, size=50)
    generator = attack(clip_values=(-1, 1), max_iter=1)
    learner = PerturbationLearner(
        LogisticRegression(max_iter=1000), generator, base="noise", random_state=0
    ).fit(X, y)
    cosines = (
        (learner.X_base_ * X).sum(axis=1)
        / np.linalg.norm(X, axis=1)
        / np.linalg.norm(learner.X_base_, axis=1)
    )
    assert np.abs(cosines).max() < 5 / np.sqrt(300)
    assert (learner.y_assigned_ != y).any()


def test_the_generator_keeps_its_own_random_state(digits) -> None:
    X, y = digits.X[:100], digits.y[:100]
    source = FrozenEstimator(LogisticRegression(max_iter=1000).fit(X, y))
    generator = attack(eps=0.1, max_iter=1, random_start=True, random_state=5)
    learner = PerturbationLearner(source, generator, labels="next", random_state=0).fit(X, y)
    alone = clone(generator).set_params(estimator=source).fit(X)
    np.testing.assert_array_equal(learner.X_perturbed_, alone.generate(X, target=learner.y_assigned_))


@pytest.fixture
def spy() -> Any:
    Spy.seen.clear()
    return Spy


@pytest.mark.parametrize("options", PROTOCOLS, ids=str)
def test_learner_never_sees_a_sample_with_its_label(spy, options: Any) -> None:
    X, y = load_iris(return_X_y=True)
    generator = AdversarialGenerator(attack="hopskipjump", eps=1.0, norm=2, max_queries=60)
    learner = PerturbationLearner(spy(), generator, **options, random_state=0).fit(X, y)
    learner.control_score(X, y)
    learner.control_score(X, y)
    (X_source, y_source, seed_source), (seen, labels, seed), (X_control, y_control, seed_control) = spy.seen
    assert X_source.tobytes() == X.tobytes()
    assert y_source.tolist() == y.tolist()
    change = learner.X_perturbed_ - learner.X_base_
    assert seen.tobytes() == (change if options.get("perturbation_only") else learner.X_perturbed_).tobytes()
    assert X_control.tobytes() == learner.X_base_.tobytes()
    assert labels.tolist() == y_control.tolist() == learner.y_assigned_.tolist()
    if options.get("base") != "noise":
        assert (labels != y).all()
    # source and learner start from different seeds, learner and control differ in the perturbation alone
    assert seed == seed_control != seed_source


def test_every_random_state_inside_is_seeded(spy) -> None:
    X, y = load_iris(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), spy(random_state=7))
    learner = PerturbationLearner(pipeline, source=LogisticRegression(max_iter=1000), random_state=0)
    learner.fit(X, y)
    ((_, _, seed),) = spy.seen
    assert seed == learner.learner_[-1].random_state != 7
    assert pipeline[-1].random_state == 7


def torch_module(digits: Any, n_steps: int = 60) -> nn.Module:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    x, labels = torch.tensor(digits.X, dtype=torch.float32), torch.from_numpy(digits.y)
    for _ in range(n_steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), labels).backward()
        optimizer.step()
    return module


def art_classifier(digits: Any) -> Any:
    return PyTorchClassifier(
        torch_module(digits), nn.CrossEntropyLoss(), input_shape=(64,), nb_classes=10, device_type="cpu"
    )


SOURCES: dict[str, Any] = {
    "unfitted": lambda digits: MLPClassifier(32, max_iter=60, learning_rate_init=0.01, tol=0.01),
    "frozen": lambda digits: FrozenEstimator(SVC().fit(digits.X, digits.y)),
    "torch": torch_module,
    "model": lambda digits: as_model(SVC().fit(digits.X, digits.y)),
    "art": art_classifier,
}


@pytest.mark.parametrize("name", SOURCES)
def test_another_source_teaches(digits, name: str) -> None:
    source = SOURCES[name](digits)
    learner = PerturbationLearner(
        LogisticRegression(max_iter=1000), attack(eps=0.2), source=source, random_state=0
    )
    learner = clone(learner).fit(digits.X, digits.y)
    if name not in ("unfitted", "torch", "model"):  # clone copies torch modules and Models
        assert learner.source_ is source
    assert learner.score(digits.X_test, digits.y_test) > 0.7
    assert isinstance(learner.learner_, LogisticRegression)


def test_torch_source_takes_the_labels_of_the_data(digits) -> None:
    names = np.array(list("abcdefghij"))
    module = torch_module(digits)
    learner = PerturbationLearner(
        LogisticRegression(max_iter=1000), attack(eps=0.2), source=module, random_state=0
    )
    learner.fit(digits.X, names[digits.y])
    plain = clone(learner).fit(digits.X, digits.y)
    assert learner.y_assigned_.tolist() == names[plain.y_assigned_].tolist()
    assert learner.X_perturbed_.tobytes() == plain.X_perturbed_.tobytes()
    assert learner.score(digits.X_test, names[digits.y_test]) > 0.7


def test_frozen_estimator_is_the_source_and_what_it_holds_the_learner(digits) -> None:
    inside = LogisticRegression(C=0.3).fit(digits.X, digits.y)
    frozen, weights = FrozenEstimator(inside), inside.coef_.copy()
    learner = PerturbationLearner(frozen, attack(), random_state=0).fit(digits.X[:300], digits.y[:300])
    assert learner.source_ is frozen
    np.testing.assert_array_equal(inside.coef_, weights)
    assert isinstance(learner.learner_, LogisticRegression)
    assert learner.learner_ is not inside
    assert learner.learner_.C == 0.3
    assert learner.score(digits.X_test, digits.y_test) > 0.6


@pytest.mark.parametrize("name", ["auto", "hopskipjump", "halfway", "surrogate"])
def test_black_box_sources(name: str) -> None:
    X, y = load_iris(return_X_y=True)
    generator = AdversarialGenerator(attack=name, eps=1.5, norm=2, max_queries=100)
    learner = PerturbationLearner(Spy(), generator, random_state=0).fit(X, y)
    assert learner.fooling_rate_ > 0.4
    assert np.linalg.norm(learner.X_perturbed_ - X, axis=1).max() <= 1.5 * (1 + 1e-9)


def test_a_black_box_source_says_what_to_do() -> None:
    X, y = load_iris(return_X_y=True)
    with pytest.raises(TypeError, match="needs gradients, but .* attack='auto' attacks black boxes too"):
        PerturbationLearner(Spy()).fit(X, y)


def test_dataframe(digits) -> None:
    X, y = digits.X[:300], digits.y[:300]
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)])
    frame.index = np.arange(len(frame)) + 1000
    for options in ({}, {"perturbation_only": True}, {"base": "noise", "n_noise": 200}):
        learner = PerturbationLearner(LogisticRegression(max_iter=1000), attack(), **options, random_state=0)
        plain = clone(learner).fit(X, y)
        learner.fit(frame, pd.Series(y, index=frame.index))
        assert list(learner.X_perturbed_.columns) == list(learner.feature_names_in_) == list(frame.columns)
        np.testing.assert_allclose(learner.X_perturbed_.to_numpy(), plain.X_perturbed_)
        test = pd.DataFrame(digits.X_test, columns=frame.columns)
        assert learner.predict(test).tolist() == plain.predict(digits.X_test).tolist()
        assert learner.control_score(test, digits.y_test) == plain.control_score(digits.X_test, digits.y_test)


def test_categories_stay_as_they_are() -> None:
    X, y = load_iris(return_X_y=True, as_frame=True)
    X["colour"] = np.where(np.arange(150) % 2, "red", "blue")
    columns = make_column_transformer((OneHotEncoder(), ["colour"]), remainder="passthrough")
    pipeline = make_pipeline(columns, LogisticRegression(max_iter=1000))
    generator = AdversarialGenerator(attack="hopskipjump", eps=1.0, max_queries=60)
    learner = PerturbationLearner(pipeline, generator, random_state=0).fit(X, y)
    assert learner.X_perturbed_["colour"].tolist() == X["colour"].tolist()
    assert (
        learner.fooling_rate_ == (learner.source_.predict(learner.X_perturbed_) == learner.y_assigned_).mean()
    )
    for options in ({"base": "noise"}, {"perturbation_only": True}):
        with pytest.raises(ValueError, match="columns of categories: .'colour'."):
            clone(learner).set_params(**options).fit(X, y)


def test_missing_values_are_the_classifiers_to_judge(digits) -> None:
    X = digits.X[:60].copy()
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        PerturbationLearner(LogisticRegression(max_iter=1000), attack()).fit(X, digits.y[:60])
    with pytest.raises(ValueError, match="finite range, but X holds NaN"):
        PerturbationLearner(LogisticRegression(max_iter=1000), attack(clip_values=None), base="noise").fit(
            X, digits.y[:60]
        )


def small_cnn() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 10))


def skorch_cnn(**changes: Any) -> Any:
    return NeuralNetClassifier(
        small_cnn,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.01,
        max_epochs=8,
        batch_size=64,
        train_split=None,
        verbose=0,
        **changes,
    )


@pytest.mark.parametrize("as_tensor", [False, True])
def test_images_for_skorch(digits, as_tensor: bool) -> None:
    X, X_test = (a.reshape(-1, 1, 8, 8) for a in (digits.X, digits.X_test))
    given = torch.tensor(X, dtype=torch.float32) if as_tensor else X
    learner = PerturbationLearner(skorch_cnn(), attack(max_iter=8), random_state=0)
    learner.fit(given, digits.y)
    assert learner.X_perturbed_.shape == X.shape
    assert learner.X_perturbed_.dtype == (np.float32 if as_tensor else np.float64)
    assert learner.score(X_test, digits.y_test) > 0.6
    assert learner.control_score(X_test, digits.y_test) < 0.05
    if as_tensor:
        return
    again = clone(learner).fit(given, digits.y)
    np.testing.assert_array_equal(learner.predict_proba(X_test), again.predict_proba(X_test))
    only = clone(learner).set_params(source=FrozenEstimator(learner.source_), labels="next")
    assert only.fit(given, digits.y).source_.estimator is learner.source_


def test_training_leaves_global_randomness_alone(digits) -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    X = digits.X[:50].reshape(-1, 1, 8, 8)
    first, same = (train(skorch_cnn(), X, digits.y[:50], seed=1) for _ in range(2))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    pairs = zip(first.module_.parameters(), same.module_.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_grid_search_over_the_budget(digits) -> None:
    learner = PerturbationLearner(LogisticRegression(max_iter=1000), attack(max_iter=5), random_state=0)
    grid = {"generator__eps": [0.01, 0.3], "estimator__C": [0.1, 1]}
    search = GridSearchCV(learner, grid, cv=2).fit(digits.X, digits.y)
    assert search.best_params_["generator__eps"] == 0.3
    scores = search.cv_results_["mean_test_score"][search.cv_results_["param_generator__eps"] == 0.01]
    assert search.best_score_ > scores.max() + 0.3


def test_pickle(digits, fitted) -> None:
    learner = fitted({})
    rate = learner.control_score(digits.X_test, digits.y_test)
    again = pickle.loads(pickle.dumps(learner))
    assert again.predict(digits.X_test).tolist() == learner.predict(digits.X_test).tolist()
    assert again.control_score(digits.X_test, digits.y_test) == rate
    unfitted = pickle.loads(pickle.dumps(clone(learner)))
    with pytest.raises(NotFittedError):
        check_is_fitted(unfitted)


def test_control_is_kept_until_the_next_fit(digits) -> None:
    X, y = digits.X[:200], digits.y[:200]
    learner = PerturbationLearner(
        LogisticRegression(max_iter=1000), attack(), base="noise", random_state=0
    ).fit(X, y)
    assert not hasattr(learner, "control_")
    expected = LogisticRegression(max_iter=1000).fit(learner.X_base_, learner.y_assigned_)
    assert learner.control_score(X, y) == expected.score(X, y)
    control = learner.control_
    learner.control_score(X, y)
    assert learner.control_ is control
    learner.set_params(random_state=1).fit(X, y)
    assert not hasattr(learner, "control_")


@pytest.mark.parametrize(
    ("estimator", "methods"),
    [
        (LogisticRegression(max_iter=1000), {"predict_proba", "decision_function"}),
        (LinearSVC(), {"decision_function"}),
        (MLPClassifier(8, max_iter=5), {"predict_proba"}),
    ],
    ids=["logistic regression", "linear svc", "mlp"],  # a set has no order to be named by
)
@pytest.mark.filterwarnings("ignore:.*Maximum iterations")
def test_methods_are_the_learners(digits, estimator: Any, methods: set[str]) -> None:
    learner = PerturbationLearner(estimator, attack(max_iter=2), random_state=0)
    for when in ("before", "after"):
        found = {name for name in ("predict_proba", "decision_function") if hasattr(learner, name)}
        assert found == methods, when
        if when == "before":
            learner.fit(digits.X[:100], digits.y[:100])
    for name in methods:
        values = getattr(learner, name)(digits.X_test)
        np.testing.assert_array_equal(values, getattr(learner.learner_, name)(digits.X_test))
        assert values.shape == (len(digits.X_test), 10)


@pytest.mark.parametrize("method", ["predict", "predict_proba", "decision_function", "control_score"])
def test_needs_fit(digits, method: str) -> None:
    learner = PerturbationLearner(LogisticRegression(max_iter=1000))
    arguments = (digits.X, digits.y) if method == "control_score" else (digits.X,)
    with pytest.raises(NotFittedError):
        getattr(learner, method)(*arguments)


LR = LogisticRegression(max_iter=1000)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"labels": "shift"}, ValueError, "labels must be one of ['random', 'next'], got 'shift'"),
        ({"base": "images"}, ValueError, "base must be one of ['data', 'noise'], got 'images'"),
        ({"labels": ["shift"]}, ValueError, "labels must be one of"),
        ({"perturbation_only": 1}, ValueError, "perturbation_only must be True or False, got 1"),
        ({"base": "noise", "labels": "next"}, ValueError, "base='noise' does not have; use labels='random'"),
        ({"base": "noise", "n_noise": 0}, ValueError, "n_noise must be None or an integer >= 1, got 0"),
        ({"base": "noise", "n_noise": 10.0}, ValueError, "n_noise must be None or an integer"),
        ({"base": "noise", "n_noise": True}, ValueError, "n_noise must be None or an integer"),
        ({"n_noise": 10}, ValueError, "n_noise=10 is allowed with base='noise' only, got base='data'"),
        ({"base": "noise", "n_noise": 3}, ValueError, "no target of 3 samples is"),
        ({"generator": AdversarialGenerator(LR)}, ValueError, "generator.estimator must be None"),
        ({"generator": AdversarialGenerator(eps=-1)}, ValueError, "eps must be a finite number > 0"),
        ({"generator": "pgd"}, TypeError, "a GeometryGenerator or None, got 'pgd'"),
        ({"generator": attack(clip_values=(0, 0.5))}, ValueError, "data outside clip_values"),
        (
            {"generator": attack(clip_values=(0, np.inf)), "base": "noise"},
            ValueError,
            "uniform in a finite range, but the generator has clip_values=(0, inf)",
        ),
        (
            {"generator": attack(clip_values=(1, 0)), "base": "noise"},
            ValueError,
            "clip_values must have min < max",
        ),
        (
            {"generator": attack(clip_values=1), "base": "noise"},
            ValueError,
            "clip_values must be None, 'range' or a pair",
        ),
        (
            {"generator": attack(constraints=Constraints(integer=[0])), "base": "noise"},
            ValueError,
            "is in constraints.integer, but holds",
        ),
        ({"estimator": Ridge()}, TypeError, "a classifier is needed, got the regressor Ridge"),
        ({"estimator": LogisticRegression}, TypeError, "got the class LogisticRegression"),
        (
            {"estimator": nn.Linear(64, 10)},
            TypeError,
            "Linear counts as fitted; pass it as source",
        ),
        ({"source": Ridge()}, TypeError, "a classifier is needed, got the regressor Ridge"),
        ({"source": "net"}, TypeError, "'net'"),
        ({"source": FrozenEstimator(LogisticRegression(max_iter=1000))}, NotFittedError, "not fitted"),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, dict) else "",
)
def test_invalid_parameters(digits, spy, parameters: Any, error: Any, message: str) -> None:
    learner = PerturbationLearner(spy()).set_params(**parameters)
    with pytest.raises(error, match=f"(?s).*{re.escape(message)}"):
        learner.fit(digits.X[:100], digits.y[:100])
    assert not spy.seen  # nothing was trained before


@pytest.mark.parametrize("options", PROTOCOLS, ids=str)
def test_one_class(digits, spy, options: Any) -> None:
    with pytest.raises(ValueError, match="y must hold at least 2 classes.*got one class, .3."):
        PerturbationLearner(spy(), **options).fit(digits.X[:10], np.full(10, 3))
    assert not spy.seen


def test_a_source_of_other_classes(digits, spy) -> None:
    source = FrozenEstimator(LogisticRegression(max_iter=1000).fit(digits.X, digits.y + 1))
    with pytest.raises(ValueError, match="not the classes .* asked for"):
        PerturbationLearner(spy(), source=source).fit(digits.X, digits.y)
    assert not spy.seen


def test_samples_of_another_width(digits, fitted) -> None:
    with pytest.raises(ValueError, match="X has 63 features, but PerturbationLearner is expecting 64"):
        fitted({}).predict(digits.X_test[:, 1:])


def test_protocols_of_one_random_state_share_their_source(digits: Any) -> None:
    network = MLPClassifier((8,), max_iter=5)
    with pytest.warns(ConvergenceWarning):
        sources = [
            PerturbationLearner(network, **protocol, random_state=0).fit(digits.X, digits.y).source_
            for protocol in ({}, {"labels": "next"}, {"base": "noise", "n_noise": 50})
        ]
    for other in sources[1:]:
        for own, first in zip(other.coefs_, sources[0].coefs_, strict=True):
            np.testing.assert_array_equal(own, first)
