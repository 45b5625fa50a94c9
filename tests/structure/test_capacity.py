"""Networks of a number of parameters, what perturbations do to them, and a study that goes on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway.attacks import Constraints
from skhalfway.structure import (
    CapacityStudy,
    _capacity_training,
    capacity_study,
    lipschitz_number,
    perturbation_stability,
)
from skhalfway.structure._stages import Stages

X, Y = load_digits(return_X_y=True)
X = X / 16
ATTACK = AdversarialGenerator(eps=0.1, max_iter=5, clip_values=(0, 1))
BRIEF = {"n_parameters": 2000, "generator": ATTACK, "n_steps": 1, "n_epochs": 6, "random_state": 0}
BRIEF |= {"learning_rate": 0.01, "batch_size": 50}
TEST = {"X_test": X[300:400], "y_test": Y[300:400]}


# -- the networks


@pytest.mark.parametrize("shape", [(64,), (20,), (1, 8, 8), (3, 28, 28)])
@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.0])
def test_networks_have_the_parameters_asked_for(shape, depth, ratio) -> None:
    plan = Stages(shape, 10, depth, ratio, 15_000)
    module, widths = plan.module(), plan.widths()
    n = sum(weight.numel() for weight in module.parameters())
    assert n == plan._counts(np.array([shape[0], *widths], dtype=float)[:, None])[0]
    assert n == pytest.approx(15_000, rel=0.1)
    assert module(torch.rand(2, *shape)).shape == (2, 10)
    assert len(widths) == (3 * depth if len(shape) > 1 else depth)
    if len(widths) > 1:
        assert widths[-1] / widths[0] == pytest.approx(ratio, rel=0.1)


def test_a_budget_that_no_network_has_is_refused() -> None:
    with pytest.raises(ValueError, match="the nearest has 85; change n_parameters"):
        Stages((64,), 10, 1, 1.0, 30).widths()


# -- the measures


@pytest.mark.parametrize(("norm", "reach"), [(np.inf, 0.1), (2, 0.1 * 5**0.5), (1, 0.5)])
def test_the_number_of_a_linear_map(norm: float, reach: float) -> None:
    linear = nn.Linear(5, 3, bias=True).double()
    signs = np.array([1, -1, 1, 1, -1])
    points = np.random.default_rng(0).normal(size=(4, 5))
    moved = points + 0.1 * signs
    expected = np.abs(linear.weight.detach().numpy() @ signs).sum() * 0.1 / reach
    assert lipschitz_number(linear, points, moved, norm=norm) == pytest.approx(expected)
    # a sign attack on one output
    row = linear.weight.detach().numpy()[0]
    one = nn.Linear(5, 2, bias=False).double()
    one.weight.data = torch.tensor(np.stack([row, 0 * row]))
    found = lipschitz_number(one, points, points + 0.1 * np.sign(row))
    assert found == pytest.approx(np.abs(row).sum())


def test_it_grows_with_the_outputs_unless_it_is_relative() -> None:
    net = nn.Sequential(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))
    moved = X[:50] + np.random.default_rng(0).uniform(-0.1, 0.1, (50, 64))
    moved[:5] = X[:5]  # those that were not moved do not count
    before = lipschitz_number(net, X[:50], moved), lipschitz_number(net, X[:50], moved, relative=True)
    assert before[0] == pytest.approx(lipschitz_number(net, X[5:50], moved[5:]))
    net[2].weight.data *= 3
    net[2].bias.data *= 3
    after = lipschitz_number(net, X[:50], moved), lipschitz_number(net, X[:50], moved, relative=True)
    assert after == pytest.approx((3 * before[0], before[1]), rel=1e-4)
    assert perturbation_stability(net, X[:50], X[:50]) == 1


def test_of_what_says_always_the_same() -> None:
    constant = nn.Linear(64, 10)
    nn.init.zeros_(constant.weight)
    assert lipschitz_number(constant, X[:9], X[9:18]) == 0
    dummy = DummyClassifier().fit(X, Y)
    assert perturbation_stability(dummy, X[:9], X[9:18]) == 1
    assert np.isnan(lipschitz_number(constant, X[:9], X[:9]))


def test_stability_is_not_accuracy() -> None:
    model = LogisticRegression(max_iter=1000).fit(X, Y)
    adversarial = AdversarialGenerator(model, eps=0.1, random_state=0).fit(X, Y).generate(X[:200], Y[:200])
    same = (model.predict(X[:200]) == model.predict(adversarial)).mean()
    assert perturbation_stability(model, X[:200], adversarial) == same < 1
    assert lipschitz_number(model, X[:200], adversarial) > 0


def test_of_half_precision_and_of_steps() -> None:
    half = nn.Linear(64, 10).half()
    number = lipschitz_number(half, X[:9], X[:9] + 0.125)
    assert number == pytest.approx(lipschitz_number(half.float(), X[:9], X[:9] + 0.125), rel=0.05)
    with pytest.raises(ValueError, match="DecisionTreeClassifier is a step function"):
        lipschitz_number(DecisionTreeClassifier().fit(X, Y), X[:9], X[9:18])
    with pytest.raises(ValueError, match="relative must be True or False, got 'no'"):
        lipschitz_number(half, X[:9], X[9:18], relative="no")


@pytest.mark.parametrize("dtype", [np.float16, np.uint8, bool])
def test_distances_do_not_overflow_in_the_type_of_samples(dtype) -> None:
    torch.manual_seed(0)
    linear = nn.Linear(4, 3, bias=False)
    rng, largest = np.random.RandomState(0), {np.float16: 60_000, np.uint8: 255, bool: 1}[dtype]
    one = rng.randint(0, 2, (6, 4)) * largest
    other = largest - one
    if dtype is np.float16:
        one, other = 2 * one - largest, 2 * other - largest  # twice as far as a number of 16 bits can be
    moves = (other - one) @ linear.weight.detach().numpy().T
    expected = (np.abs(moves).sum(axis=1) / np.linalg.norm(other - one, axis=1)).mean()
    found = lipschitz_number(linear, one.astype(dtype), other.astype(dtype), norm=2)
    assert found == pytest.approx(expected, rel=1e-4)


def test_a_move_that_a_network_does_not_see_is_none() -> None:
    linear, points = nn.Linear(2, 2), np.ones((3, 2))
    assert np.isnan(lipschitz_number(linear, points, points + 1e-12))
    assert lipschitz_number(linear.double(), points, points + 1e-9) > 0


def test_samples_stay_where_a_network_works_in_place() -> None:
    network = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(2, 2)).double()
    points, moved = -np.ones((3, 2)), np.full((3, 2), -2.0)
    assert lipschitz_number(network, points, moved) == 0
    assert (points == -1).all() and (moved == -2).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X_adv": X[:4]}, "X_adv must have the shape of X"),
        ({"X_adv": np.full((3, 64), np.nan)}, "X_adv"),
        ({"norm": 3}, "norm"),
    ],
)
def test_what_is_no_perturbation(change, message) -> None:
    given = {"X": X[:3], "X_adv": X[:3]} | change
    with pytest.raises(ValueError, match=message):
        lipschitz_number(nn.Linear(64, 2), **given)


# -- the study


@pytest.fixture(scope="module")
def study() -> CapacityStudy:
    return capacity_study(X[:300], Y[:300], **TEST, depths=[1, 2], ratios=[0.5, 2], n_repeats=2, **BRIEF)


def test_a_study(study: CapacityStudy) -> None:
    assert list(zip(study.depth, study.ratio, strict=True)) == [(1, 1), (2, 0.5), (2, 2)]
    assert set(study.budget) == {2000} and study.n_test == 100
    values = study.values
    assert (values["robust accuracy"] <= values["accuracy"]).all()
    # right before and after is answered alike; and what is answered alike was right or wrong before
    assert (values["robust accuracy"] <= values["stability"]).all()
    assert (values["stability"] <= values["robust accuracy"] + 1 - values["accuracy"] + 1e-9).all()
    assert (values["accuracy"] > 0.3).all() and (values["lipschitz"] > 0).all()
    low, high = study.confidence_interval(of="accuracy")
    assert (low <= study.means["accuracy"]).all() and (high >= study.means["accuracy"]).all()
    assert study.to_frame().shape == (3, 4 + 3 * len(values))
    with pytest.raises(ValueError, match="of must be"):
        study.confidence_interval(of="speed")


def test_it_goes_on_where_it_was_and_grows(study: CapacityStudy, tmp_path, monkeypatch) -> None:
    trained: list[int] = []
    own = _capacity_training.measured

    def measured(task, plan, seed):
        if len(trained) == stop_at:
            raise KeyboardInterrupt
        trained.append(plan.depth)
        return own(task, plan, seed)

    monkeypatch.setattr(_capacity_training, "measured", measured)
    asked = {**TEST, **BRIEF, "n_repeats": 2, "ratios": [0.5, 2], "memory": tmp_path}
    stop_at = 3
    with pytest.raises(KeyboardInterrupt):
        capacity_study(X[:300], Y[:300], depths=[1, 2], **asked)
    stop_at = -1
    again = capacity_study(X[:300], Y[:300], depths=[1, 2], **asked)
    assert again == study and len(trained) == 6
    assert capacity_study(X[:300], Y[:300], depths=[2], **asked).n_test == 100 and len(trained) == 6
    other = asked | {"generator": AdversarialGenerator(eps=0.05, max_iter=5, clip_values=(0, 1))}
    capacity_study(X[:300], Y[:300], depths=[1], **other)
    assert len(trained) == 8


def test_training_on_adversarial_examples_helps() -> None:
    asked = {**TEST, **BRIEF, "depths": [1], "n_epochs": 20, "n_repeats": 1}
    plain, adversarial = (capacity_study(X[:300], Y[:300], **asked | {"n_steps": n}) for n in (0, 3))
    assert adversarial.means["robust accuracy"] > plain.means["robust accuracy"] + 0.05
    assert adversarial.means["relative lipschitz"] < plain.means["relative lipschitz"]


def test_images_and_labels_of_any_kind() -> None:
    images, names = X.reshape(-1, 1, 8, 8), np.array(list("abcdefghij"))[Y]
    found = capacity_study(
        images[:100],
        names[:100],
        X_test=images[100:120],
        y_test=names[100:120],
        depths=[1],
        ratios=[2],
        n_repeats=1,
        **BRIEF | {"n_epochs": 4, "n_steps": 0, "n_parameters": 3000},
    )
    assert len(found.widths[0]) == 3


def test_what_learned_nothing_is_said() -> None:
    asked = {**TEST, **BRIEF, "depths": [1], "n_epochs": 1, "n_repeats": 1, "learning_rate": 1e-9}
    labels = np.zeros(300, dtype=int)
    labels[:20] = 1
    with pytest.warns(UserWarning, match="1 of 1 network learned nothing"):
        capacity_study(X[:300], labels, **asked | {"y_test": np.zeros(100, dtype=int)})


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_parameters": 20}, ValueError, "no network of depth 1"),
        ({"n_parameters": 2.5}, ValueError, "n_parameters"),
        ({"depths": [0]}, ValueError, "integers >= 1"),
        ({"ratios": [0.0]}, ValueError, "ratios must be different numbers above 0"),
        ({"ratios": [1, 1]}, ValueError, "ratios must be different"),
        ({"ratios": "wide"}, ValueError, "ratios must be"),
        ({"n_steps": -1}, ValueError, "n_steps"),
        ({"n_epochs": 0}, ValueError, "n_epochs"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"learning_rate": 0}, ValueError, "learning_rate"),
        ({"n_repeats": 0}, ValueError, "n_repeats"),
        ({"memory": 3}, ValueError, "memory"),
        (
            {"generator": AdversarialGenerator(norm=0, eps=2)},
            ValueError,
            "generator.norm must be inf, 2 or 1",
        ),
        ({"generator": "pgd"}, TypeError, "AdversarialGenerator"),
        ({"generator": AdversarialGenerator(nn.Linear(64, 10))}, ValueError, "estimator must be None"),
        (
            {"generator": AdversarialGenerator(eps=np.full((300, 1), 0.1))},
            ValueError,
            "an entry for each sample",
        ),
        (
            {"generator": AdversarialGenerator(constraints=Constraints(mask=np.ones((300, 64), bool)))},
            ValueError,
            "an entry for each sample",
        ),
        ({"X_test": X[300:400, :5]}, ValueError, "X has samples of shape"),
        ({"X_test": np.full((100, 64), np.nan)}, ValueError, "X_test"),
        ({"y_test": np.full(100, 12)}, ValueError, "not among the classes"),
        ({"X": X[:300].reshape(-1, 8, 8)}, ValueError, "must hold rows"),
        ({"y": np.zeros(300)}, ValueError, "at least 2 classes"),
    ],
)
def test_what_is_refused(change, error, message) -> None:
    given = {"X": X[:300], "y": Y[:300], **TEST, **BRIEF} | change
    with pytest.raises(error, match=message):
        capacity_study(given.pop("X"), given.pop("y"), **given)


def test_a_budget_that_is_too_small_for_a_column_is_said_of_the_attack_and_not_of_each_batch() -> None:
    scaled = X * np.where(np.arange(64) == 20, 1e5, 1)
    asked = BRIEF | {"generator": AdversarialGenerator(eps=0.1, max_iter=2), "n_epochs": 3}
    with pytest.warns(UserWarning) as said:
        capacity_study(
            scaled[:300], Y[:300], X_test=scaled[300:400], y_test=Y[300:400], depths=[1], n_repeats=1, **asked
        )
    assert sum("hundredth of their standard deviation" in str(one.message) for one in said) == 1
