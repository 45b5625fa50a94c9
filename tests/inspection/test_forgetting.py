"""forgetting_curve: Fisher information, elastic weights, rehearsal, and what is left of digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import _blocks
from skhalfway.inspection import ForgettingCurve, ForgettingCurveDisplay, forgetting_curve
from skhalfway.inspection._elastic import ElasticWeights, fisher_diagonal

X, Y = load_iris(return_X_y=True)
# three tasks of two classes each
PAIRS = [(X[Y != i][::2], Y[Y != i][::2], X[Y != i][1::2], Y[Y != i][1::2]) for i in range(3)]


class Net(nn.Module):
    def __init__(self, n_inputs: int = 64, n_outputs: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(n_inputs, 48), nn.ReLU(), nn.Linear(48, n_outputs))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


def skorch_net(module: Any = Net, **params: Any) -> Any:
    given: dict[str, Any] = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "lr": 0.005,
        "batch_size": 64,
        "train_split": None,
        "iterator_train__shuffle": True,
        "callbacks": "disable",
        "verbose": 0,
    }
    return NeuralNetClassifier(module, **given | params)


def iris_net(**params: Any) -> Any:
    return skorch_net(module__n_inputs=4, module__n_outputs=3, **params)


# --- Fisher information and elastic weights


def test_fisher_of_logistic_regression() -> None:
    """``p (1 - p) x**2`` for the weights of a class, ``p (1 - p)`` for its intercept, on average."""
    torch.manual_seed(0)
    module = nn.Linear(4, 3).double()
    p = module(torch.tensor(X)).softmax(dim=1).detach().numpy()
    fisher = fisher_diagonal(module, X)
    np.testing.assert_allclose(fisher["weight"], (p * (1 - p)).T @ X**2 / len(X))
    np.testing.assert_allclose(fisher["bias"], (p * (1 - p)).mean(axis=0))


def test_fisher_of_one_logit() -> None:
    torch.manual_seed(0)
    module = nn.Linear(4, 1).double()
    p = torch.sigmoid(module(torch.tensor(X))).detach().numpy()
    np.testing.assert_allclose(fisher_diagonal(module, X)["weight"], (p * (1 - p)).T @ X**2 / len(X))


def test_fisher_in_blocks_and_without_dropout(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(), nn.Tanh(), nn.Linear(5, 3)]
    module = nn.Sequential(*layers).double()
    whole = fisher_diagonal(module, X)
    monkeypatch.setattr(_blocks, "_MAX_VALUES", 1000)
    for name, part in fisher_diagonal(module, X).items():
        np.testing.assert_allclose(part, whole[name])
    assert module.training and module[1].running_mean.eq(0).all()
    # against one gradient at a time
    module.eval()
    weight, expected = module[4].weight, torch.zeros_like(whole["4.weight"])
    for x in torch.tensor(X[::10]):
        log_p = module(x[None]).log_softmax(dim=1)[0]
        for c in range(3):
            (slope,) = torch.autograd.grad(log_p[c], weight, retain_graph=True)
            expected += log_p[c].exp().detach() * slope**2 / 15
    np.testing.assert_allclose(fisher_diagonal(module, X[::10])["4.weight"], expected)


def test_elastic_weights_add_the_gradient_of_their_penalty() -> None:
    net = iris_net(max_epochs=1).fit(X.astype(np.float32), Y)
    elastic, anchors = ElasticWeights(7.0), []
    for samples in (X[:50], X[50:]):
        elastic.consolidate(net, samples)
        fisher = fisher_diagonal(net.module_, samples)
        weights = net.module_.named_parameters()
        anchors.append({name: (fisher[name], weight.detach().clone()) for name, weight in weights})
        net.partial_fit(X.astype(np.float32), Y)
    x, y = torch.tensor(X, dtype=torch.float32), torch.tensor(Y)

    def gradients(penalty: Any) -> list[Any]:
        net.module_.zero_grad()
        (nn.functional.cross_entropy(net.module_(x), y) + penalty).backward()
        return [weight.grad.clone() for weight in net.module_.parameters()]

    penalty = sum(
        7 / 2 * (f * (w - before) ** 2).sum()
        for anchor in anchors
        for (f, before), w in zip(anchor.values(), net.module_.parameters(), strict=True)
    )
    expected, plain = gradients(penalty), gradients(0.0)
    with elastic.holding(net):
        found = gradients(0.0)
    for f, e, p, again in zip(found, expected, plain, gradients(0.0), strict=True):
        np.testing.assert_allclose(f, e, atol=1e-5)
        assert torch.equal(p, again)
    assert max(float((e - p).abs().max()) for e, p in zip(expected, plain, strict=True)) > 1e-2


def test_a_penalty_that_overshoots_is_told() -> None:
    net = iris_net(optimizer=torch.optim.SGD, lr=1.0, batch_size=8)
    with pytest.raises(ValueError, match="not finite: with penalty=1000000.0, steps overshoot"):
        forgetting_curve(net, PAIRS, method="ewc", penalty=1e6, n_repeats=1, random_state=0)


# --- sequences


def test_order_is_nothing_to_what_only_counts() -> None:
    """Naive Bayes keeps sums: after all tasks it is as if trained on them at once, and forgets nothing."""
    curve = forgetting_curve(MultinomialNB(), PAIRS, n_epochs=1, n_repeats=2, random_state=0)
    np.testing.assert_allclose(curve.accuracy["none"], curve.accuracy["joint"])
    # there is no ratio where even joint training is at chance
    with pytest.warns(UndefinedMetricWarning, match="joint training is no better than chance"):
        np.testing.assert_allclose(curve.forgetting["none"][[0, -1]], 0)
    by_hand = MultinomialNB()
    for i, (X_train, y_train, _, _) in enumerate(PAIRS):
        by_hand.partial_fit(X_train, y_train, classes=[0, 1, 2])
        scores = [by_hand.score(X_test, y_test) for _, _, X_test, y_test in PAIRS]
        np.testing.assert_allclose(curve.accuracy["none"][i], np.transpose([scores, scores]))
        np.testing.assert_allclose(curve.values["none"][i], np.mean(scores[: i + 1]))
        np.testing.assert_allclose(curve.of_task(1).values["none"][i], scores[1])


def test_forgetting_ratio() -> None:
    """Serra et al. (2018), equation 6: -1 at chance, 0 at joint training."""
    joint = np.array([[[0.9], [0.5]], [[0.9], [0.7]]])
    none = np.array([[[0.9], [0.5]], [[0.5], [0.7]]])
    half = np.array([[[0.7], [0.5]], [[0.7], [0.3]]])
    accuracy = {"none": none, "half": half, "joint": joint}
    values = {name: np.ones((2, 1)) for name in accuracy}
    curve = ForgettingCurve(np.array([1, 2]), values, accuracy, np.array([0.5, 0.2]))
    np.testing.assert_allclose(curve.forgetting["joint"], 0)
    np.testing.assert_allclose(curve.forgetting["none"][:, 0], [0, (-1 + 0) / 2])
    np.testing.assert_allclose(curve.forgetting["half"][:, 0], [-0.5, (-0.5 - 0.8) / 2])
    with pytest.warns(UndefinedMetricWarning, match="joint training is no better than chance on a task"):
        ratios = ForgettingCurve(curve.x, values, accuracy, np.array([0.9, 0.2])).forgetting
    assert np.isnan(ratios["half"]).all()
    for array in (curve.chance, curve.accuracy["none"]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(ValueError, match="task must be an integer from 0 to 1, got 2"):
        curve.of_task(2)
    with pytest.raises(ValueError, match=r"accuracy must have shape \(2, 2, 1\)"):
        ForgettingCurve(curve.x, values, dict.fromkeys(accuracy, joint[:1]), curve.chance)
    with pytest.raises(ValueError, match="accuracy must have the names of values"):
        ForgettingCurve(curve.x, values, {"none": none}, curve.chance)


def test_chance_is_that_of_a_stratified_dummy() -> None:
    tasks = [(X[::3], Y[::3], X[:60], Y[:60]), (X[:70], Y[:70], X, Y)]
    curve = forgetting_curve(MultinomialNB(), tasks, n_epochs=1, n_repeats=1)
    for (X_train, y_train, X_test, y_test), chance in zip(tasks, curve.chance, strict=True):
        drawn = [
            DummyClassifier(strategy="stratified", random_state=i).fit(X_train, y_train).score(X_test, y_test)
            for i in range(300)
        ]
        assert chance == pytest.approx(np.mean(drawn), abs=4 * np.std(drawn) / np.sqrt(300))


SEEN: list[tuple[Any, Any]] = []


class Witness(ClassifierMixin, BaseEstimator):
    """Keeps what it is shown, and learns nothing."""

    def fit(self, X: Any, y: Any) -> Any:
        raise AssertionError("partial_fit is there")

    def partial_fit(self, X: Any, y: Any, classes: Any) -> Any:
        SEEN.append((X, y))
        self.classes_ = classes
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("method", [None, "rehearsal"])
def test_what_is_shown(method: str | None) -> None:
    SEEN.clear()
    forgetting_curve(Witness(), PAIRS, method=method, n_epochs=2, batch_size=16, memory=0.3, n_repeats=1)
    shown, lengths = list(SEEN), [50, 65, 80] if method else [50, 50, 50]
    if method:  # after those without it
        shown = shown[3 * 2 * 4 :]
    for n, (X_train, y_train, _, _) in zip(lengths, PAIRS, strict=True):
        n_batches = -(-n // 16)
        for _ in range(2):
            rows = [np.concatenate(part) for part in zip(*shown[:n_batches], strict=True)]
            shown = shown[n_batches:]
            assert len(rows[0]) == n
            key = np.column_stack(rows)
            # all of the task itself, and of the others what is there
            own = {tuple(row) for row in np.column_stack([X_train, y_train])}
            assert own <= {tuple(row) for row in key}
            assert {tuple(row) for row in key} <= {tuple(row) for row in np.column_stack([X, Y])}


def test_a_second_task_replaces_the_first_unless_it_is_rehearsed(digits: Any) -> None:
    low, low_test = digits.y < 5, digits.y_test < 5
    tasks = [
        (digits.X[a], digits.y[a], digits.X_test[b], digits.y_test[b])
        for a, b in ((low, low_test), (~low, ~low_test))
    ]
    mlp = MLPClassifier((32,), learning_rate_init=0.01)
    for estimator, n_epochs in ((mlp, 8), (skorch_net(lr=0.01), 12), (SGDClassifier(), 1)):
        settings: dict[str, Any] = {"n_epochs": n_epochs, "batch_size": 64, "memory": 0.2, "n_repeats": 1}
        methods = ["rehearsal", "ewc"] if isinstance(estimator, NeuralNetClassifier) else ["rehearsal"]
        curve = forgetting_curve(estimator, tasks, method=methods, random_state=0, **settings)
        first = curve.of_task(0).means
        assert first["none"][0] > 0.9
        assert first["none"][1] < 0.4
        assert first["rehearsal"][1] > first["none"][1] + 0.2
        assert curve.forgetting["none"].mean(axis=1)[1] < -0.3
        if "ewc" in first:  # of no help where each task has classes of its own
            assert first["ewc"][1] < first["rehearsal"][1] - 0.2
        # all begin alike
        np.testing.assert_array_equal(curve.accuracy["none"][0], curve.accuracy["rehearsal"][0])
        np.testing.assert_array_equal(curve.accuracy["none"][0], curve.accuracy["joint"][0])


def test_elastic_weights_hold_permuted_digits(digits: Any) -> None:
    orders = [np.random.RandomState(i).permutation(64) for i in range(2)]
    tasks = [(digits.X[:, o], digits.y, digits.X_test[:, o], digits.y_test) for o in orders]
    curve = forgetting_curve(skorch_net(), tasks, method=["ewc"], n_epochs=8, n_repeats=1, random_state=0)
    first = curve.of_task(0).means
    assert first["none"][1] < first["none"][0] - 0.1
    assert first["ewc"][1] > first["none"][1] + 0.08
    assert curve.means["ewc"][1] > curve.means["none"][1] + 0.02


@pytest.mark.parametrize(
    ("estimator", "method"),
    [(iris_net(), ["rehearsal", "ewc", "hard_attention"]), (SGDClassifier(), "rehearsal")],
)
def test_a_seed_decides_and_jobs_do_not(estimator: Any, method: Any) -> None:
    def measured(random_state: int, n_jobs: int | None = None) -> Any:
        states = torch.get_rng_state(), np.random.get_state()[1]
        settings: dict[str, Any] = {"n_epochs": 2, "n_repeats": 2, "n_jobs": n_jobs, "method": method}
        curve = forgetting_curve(estimator, PAIRS, random_state=random_state, **settings)
        assert torch.equal(torch.get_rng_state(), states[0])
        np.testing.assert_array_equal(np.random.get_state()[1], states[1])
        return list(curve.accuracy.values())

    first = measured(0)
    np.testing.assert_array_equal(first, measured(0, n_jobs=2))
    assert not np.array_equal(first, measured(1))


def test_images_and_names_for_labels(digits: Any) -> None:
    images, names = digits.X.reshape(-1, 1, 8, 8), np.array(list("abcdefghij"))[digits.y]
    halves = [slice(None, None, 4), slice(1, None, 4)]
    module: Any = lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))  # noqa: E731
    tasks = [(images[half], digits.y[half], images[:100], digits.y[:100]) for half in halves]
    net = skorch_net(module)
    curve = forgetting_curve(net, tasks, method="ewc", n_repeats=1, random_state=0, n_epochs=5)
    assert curve.means["ewc"][1] > 0.5
    tasks = [(digits.X[half], names[half], digits.X[:100], names[:100]) for half in halves]
    curve = forgetting_curve(MultinomialNB(), tasks, n_epochs=1, n_repeats=1)
    assert curve.means["none"][1] > 0.7
    with pytest.raises(ValueError, match="needs the labels 0, 1, ..., got"):
        forgetting_curve(skorch_net(), tasks)


@pytest.mark.parametrize(
    ("estimator", "tasks", "given", "error", "message"),
    [
        (MultinomialNB(), PAIRS[:1], {}, ValueError, "must hold at least 2 tasks.*got 1"),
        (MultinomialNB(), [], {}, ValueError, "at least 2 tasks.*got 0"),
        (MultinomialNB(), [PAIRS[0], PAIRS[1][:3]], {}, ValueError, "task 1 has 3 parts"),
        (MultinomialNB(), [PAIRS[0], (X[:, :2], Y, X, Y)], {}, ValueError, "must have the same shape, got"),
        (MultinomialNB(), [PAIRS[0], (X, Y, X[:, :2], Y)], {}, ValueError, "X_test have shape"),
        (
            MultinomialNB(),
            [PAIRS[0], (X, Y, X, Y + 1)],
            {},
            ValueError,
            "y_test holds labels that are not",
        ),
        (MultinomialNB(), [(X, 0 * Y, X, 0 * Y)] * 2, {}, ValueError, "at least 2 classes in all, got"),
        (MultinomialNB(), [PAIRS[0], (X, Y[:9], X, Y)], {}, ValueError, "one label per sample"),
        (MultinomialNB(), PAIRS, {"n_epochs": 0}, ValueError, "n_epochs must be an integer >= 1"),
        (MultinomialNB(), PAIRS, {"batch_size": 0}, ValueError, "batch_size must be an integer >= 1"),
        (MultinomialNB(), PAIRS, {"memory": 0}, ValueError, r"memory must be a share in \(0, 1\], got 0"),
        (MultinomialNB(), PAIRS, {"penalty": -1}, ValueError, "penalty must be a finite number > 0"),
        (MultinomialNB(), PAIRS, {"n_repeats": 0}, ValueError, "n_repeats must be an integer >= 1"),
        (MultinomialNB(), PAIRS, {"method": "sleep"}, ValueError, "method must be None, or any of"),
        (MultinomialNB(), PAIRS, {"method": ["rehearsal"] * 2}, ValueError, "each once"),
        (MultinomialNB(), PAIRS, {"method": "ewc"}, TypeError, "of skorch nets.*got MultinomialNB"),
        (skorch_net(nn.Linear(4, 3)), PAIRS, {}, ValueError, "module is an instance already"),
        (LogisticRegression(), PAIRS, {}, TypeError, "partial_fit, which LogisticRegression does not have"),
        (FrozenEstimator(MultinomialNB()), PAIRS, {}, TypeError, "an unfitted classifier is needed"),
    ],
)
def test_errors(
    estimator: Any, tasks: Any, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        forgetting_curve(estimator, tasks, **given)


def test_drawn() -> None:
    display = ForgettingCurveDisplay.from_estimator(
        MultinomialNB(), PAIRS, method="rehearsal", n_epochs=1, n_repeats=2, random_state=0
    )
    assert list(display.lines_) == ["none", "rehearsal", "joint"]
    np.testing.assert_array_equal(display.lines_["none"].get_ydata(), display.result.means["none"])
    assert display.ax_.get_xlabel() == "tasks learned"
    assert display.ax_.get_xticks().tolist() == [1, 2, 3]
    assert repr(display.result).startswith("ForgettingCurve: 3 points, 2 repeats")
    assert list(display.result.of_task(0).plot().lines_) == ["none", "rehearsal", "joint"]


def test_a_perceptrons_own_batches_are_no_larger_than_those_it_gets() -> None:
    tasks = [(X, Y, X, Y) for X, Y in [(np.eye(10), np.arange(10)), (-np.eye(10), np.arange(10))]]
    curve = forgetting_curve(MLPClassifier((4,), batch_size=50), tasks, batch_size=4, n_epochs=1, n_repeats=1)
    assert list(curve.accuracy) == ["none", "joint"]  # and no warning
