"""Attacks on ensembles: what each combination follows, against bare loops of torch; and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from torch import nn
from torch.nn.functional import cross_entropy

from skhalfway import AdversarialGenerator, Constraints, Ensemble
from skhalfway._streams import Streams
from skhalfway.attacks import Momentum, Recipe, ReducedVariance
from skhalfway.models import as_model

X, Y = load_iris(return_X_y=True)
X, Y = X[::2], Y[::2]
EPS, STEPS = 0.3, 7
LR, SVM = LogisticRegression(max_iter=1000).fit(X, Y), SVC().fit(X, Y)


def net(seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()


# three members in three orders of the classes
ORDERS = [[0, 1, 2], [2, 0, 1], [1, 0, 2]]
MEMBERS = [(f"m{k}", as_model(net(k), classes=order)) for k, order in enumerate(ORDERS)]
WEIGHTS = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)


def each(x):
    """Logits of the members in the order of the labels."""
    return [net(k)(x)[:, np.argsort(order)] for k, order in enumerate(ORDERS)]


def bare_gradient(combine, x, y, step, size, sign=1):
    """Of what ``combine`` says, by torch alone."""
    x = x.clone().requires_grad_()
    z = each(x)
    if combine == "logits":
        loss = cross_entropy(sum(w * one for w, one in zip(WEIGHTS, z, strict=True)), y, reduction="sum")
    elif combine == "probabilities":
        p = sum(w * one.softmax(dim=1) for w, one in zip(WEIGHTS, z, strict=True))
        loss = -p[range(len(y)), y].log().sum()
    elif combine == "losses":
        loss = sum(w * cross_entropy(one, y, reduction="sum") for w, one in zip(WEIGHTS, z, strict=True))
    elif combine == "serial":
        loss = cross_entropy(z[step % 3], y, reduction="sum")
    else:
        w = adapted(x, y, z, size, sign)
        loss = cross_entropy(sum(w[k][:, None] * z[k] for k in range(3)), y, reduction="sum")
    return torch.autograd.grad(loss, x)[0]


def moved(x, gradient, size):
    return (x + size * gradient / gradient.norm(dim=1, keepdim=True)).detach()


def adapted(x, y, z, size, sign):
    """The weights of "adaptive", written out."""
    trial = []
    for one in z:
        gradient = torch.autograd.grad(cross_entropy(one, y, reduction="sum"), x, retain_graph=True)[0]
        trial.append(confined(moved(x, gradient, sign * size)))
    loss = [
        [cross_entropy(each(trial[k])[i], y, reduction="none").detach() for k in range(3)] for i in range(3)
    ]
    ratio = []
    for k in range(3):
        others = [
            loss[i][k] / loss[i][i] if sign > 0 else loss[i][i] / loss[i][k] for i in range(3) if i != k
        ]
        ratio.append(sum(others) / 2)
    score = WEIGHTS[:, None] * torch.exp(10 * torch.stack(ratio))
    return score / score.sum(dim=0)


def confined(x):
    delta = x - torch.tensor(X)
    length = delta.norm(dim=1, keepdim=True)
    return torch.tensor(X) + delta * torch.where(length > EPS, EPS / length, torch.ones_like(length))


@pytest.mark.parametrize("steps", [1, STEPS])
@pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
@pytest.mark.parametrize("combine", ["logits", "probabilities", "losses", "serial", "adaptive"])
def test_the_gradient_is_that_of_a_bare_loop(combine, targeted, steps):
    weights = None if combine == "serial" else [5, 2, 3]
    ensemble, size = Ensemble(MEMBERS, combine=combine, weights=weights), EPS / 3
    goal = (Y + 1) % 3
    generator = AdversarialGenerator(
        ensemble, attack="pgd", eps=EPS, norm=2, max_iter=steps, step_size=size, batch_size=32
    )
    made = generator.generate(X, target=goal) if targeted else generator.generate(X, Y)
    y, sign, x = torch.tensor(goal if targeted else Y), -1 if targeted else 1, torch.tensor(X)
    for step in range(steps):
        x = confined(moved(x, bare_gradient(combine, x, y, step, size, sign), sign * size))
    np.testing.assert_allclose(made, x.numpy(), atol=1e-6)


@pytest.mark.parametrize("combine", ["losses", "serial", "adaptive"])
def test_recipes_follow_members(combine):
    weights = None if combine == "serial" else [5, 2, 3]
    generator = AdversarialGenerator(
        Ensemble(MEMBERS, combine=combine, weights=weights), attack="mi", eps=EPS, norm=2, max_iter=STEPS
    )
    y, x, total, size = (
        torch.tensor(Y),
        torch.tensor(X),
        torch.zeros(X.shape, dtype=torch.float64),
        EPS / STEPS,
    )
    for step in range(STEPS):
        gradient = bare_gradient(combine, x, y, step, size)
        total = total + gradient / gradient.abs().sum(dim=1, keepdim=True)
        x = confined(moved(x, total, size))
    np.testing.assert_allclose(generator.generate(X, Y), x.numpy(), atol=1e-6)


class Draws:
    """Numbers that decide which member is followed, in the place of a stream's."""

    def __init__(self):
        self.left = list(NUMBERS)

    def uniform(self, rows):
        return np.array([self.left.pop(0)])


NUMBERS = np.random.RandomState(0).rand(100)


@pytest.mark.parametrize("n", [None, 5])
def test_reduced_variance_is_the_algorithm_of_its_paper(monkeypatch, n):
    """Inner steps are as long as outer ones; momentum outside, and the inner sum as the gradient."""
    monkeypatch.setattr(Streams, "shared", lambda streams: Draws())
    ensemble = Ensemble(MEMBERS, combine="losses", weights=[5, 2, 3])
    recipe = "svre" if n is None else Recipe(Momentum(), ReducedVariance(n))
    made = AdversarialGenerator(ensemble, attack=recipe, eps=EPS, norm=2, max_iter=3).generate(X, Y)
    y, x, size, draws = torch.tensor(Y), torch.tensor(X), EPS / 3, iter(NUMBERS)

    def of_member(k, x):
        x = x.clone().requires_grad_()
        return torch.autograd.grad(cross_entropy(each(x)[k], y, reduction="sum"), x)[0]

    outer = torch.zeros_like(x)
    for _ in range(3):
        here = [of_member(k, x) for k in range(3)]
        mean = sum(w * gradient for w, gradient in zip(WEIGHTS, here, strict=True))
        inner, point = torch.zeros_like(x), x
        for _ in range(12 if n is None else n):
            k = int(np.searchsorted([0.5, 0.7], next(draws)))
            inner = inner + of_member(k, point) - here[k] + mean
            point = confined(moved(point, inner, size))
        outer = outer + inner / inner.abs().sum(dim=1, keepdim=True)
        x = confined(moved(x, outer, size))
    np.testing.assert_allclose(made, x.numpy(), atol=1e-6)


def test_all_blocks_draw_the_same_members():
    ensemble = Ensemble(MEMBERS, combine="losses")
    settings = {
        "attack": "svre-si",
        "eps": EPS,
        "norm": 2,
        "max_iter": 3,
        "constraints": Constraints(immutable=[1]),
    }
    whole, blocks, other = (
        AdversarialGenerator(ensemble, **settings, batch_size=size, random_state=seed).generate(X, Y)
        for size, seed in (("auto", 0), (10, 0), ("auto", 1))
    )
    np.testing.assert_allclose(whole, blocks, atol=1e-12)
    assert (whole != other).any()
    assert (whole[:, 1] == X[:, 1]).all()


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (FrozenEstimator(LR), TypeError, "an Ensemble one after another, and LogisticRegression is none"),
        (Ensemble(MEMBERS), ValueError, "needs combine='losses', got 'probabilities'"),
    ],
)
def test_reduced_variance_is_for_losses_of_ensembles(source, error, message):
    with pytest.raises(error, match=message):
        AdversarialGenerator(source, attack="svre").generate(X, Y)
    with pytest.raises(ValueError, match=r"ReducedVariance\(n=...\) must be an integer of at least 1"):
        ReducedVariance(0)


def test_a_sure_member_does_not_hide_the_others():
    """The loss of a member that is sure of the label has a gradient of 0; that of the others is followed."""
    sure = LogisticRegression(max_iter=1000).fit(X, Y)
    sure.coef_, sure.intercept_ = 1e5 * sure.coef_, 1e5 * sure.intercept_
    pair = [("sure", sure), ("svm", SVM)]
    alone = AdversarialGenerator(FrozenEstimator(SVM), attack="fgsm", eps=0.1).generate(X, Y)
    both = AdversarialGenerator(Ensemble(pair, combine="losses"), attack="fgsm", eps=0.1).generate(X, Y)
    right = sure.predict(X) == Y
    np.testing.assert_array_equal(both[right], alone[right])
    # where all are sure, it still leads on
    twice = Ensemble([("sure", sure), ("again", sure)], combine="losses")
    X_adv = AdversarialGenerator(twice, attack="pgd", eps=1.0).generate(X, Y)
    assert sure.score(X_adv, Y) < 0.5


@pytest.mark.parametrize("combine", ["logits", "losses", "serial", "adaptive"])
def test_blocks_and_constraints_change_nothing_that_they_should_not(combine):
    ensemble, rules = Ensemble(MEMBERS, combine=combine), Constraints(immutable=[1])
    settings = {"attack": "mifgsm", "eps": EPS, "max_iter": 5, "constraints": rules, "clip_values": (0, 8)}
    whole = AdversarialGenerator(ensemble, **settings).generate(X, Y)
    blocks = AdversarialGenerator(ensemble, batch_size=10, **settings).generate(X, Y)
    np.testing.assert_allclose(whole, blocks, atol=1e-12)
    assert (whole[:, 1] == X[:, 1]).all()
    assert (np.abs(whole - X).max(axis=1) > 0.01).all()


def test_a_member_whose_graph_is_cut_is_named():
    class Cut(nn.Module):
        def forward(self, x):
            return 2 * x[:, :3].detach()

    for combine in ("logits", "losses", "serial"):
        ensemble = Ensemble([("net", net(0)), ("cut", Cut())], combine=combine)
        with pytest.raises(TypeError, match="member 'cut' of the Ensemble .* cut the graph"):
            AdversarialGenerator(ensemble, attack="pgd").generate(X, Y)


def test_black_box_attacks_take_any_combination():
    ensemble = Ensemble([("lr", LR), ("svm", SVM)], combine="serial")
    generator = AdversarialGenerator(ensemble, attack="square", eps=0.5, max_queries=50, random_state=0)
    assert ensemble.score(generator.generate(X, Y), Y) < 0.8


@pytest.mark.parametrize("attack", ["fmn", "deepfool", ProjectedGradientDescent])
def test_attacks_that_follow_logits_refuse_combinations_that_are_none(attack):
    settings = {"attack": attack, "eps": 0.1}
    members = [("lr", LR), ("svm", SVM)]
    with pytest.raises(TypeError, match="has none of its own; give it combine='probabilities'"):
        AdversarialGenerator(Ensemble(members, combine="losses"), **settings).generate(X, Y)
    assert AdversarialGenerator(Ensemble(members), **settings).generate(X[:3], Y[:3]).shape == (3, 4)


def test_one_step_follows_no_turns():
    with pytest.raises(ValueError, match="takes one step, so with .* only the first of 2 members"):
        AdversarialGenerator(Ensemble([("lr", LR), ("svm", SVM)], combine="serial"), attack="fgsm").generate(
            X, Y
        )


def test_an_ensemble_as_the_substitute_of_a_black_box():
    unfitted = [("lr", LogisticRegression(max_iter=1000)), ("svm", SVC())]
    source = FrozenEstimator(RandomForestClassifier(10, random_state=0).fit(X, Y))

    def generator(**settings):
        params = {"estimator": Ensemble(**{"estimators": unfitted, **settings}), "n_rounds": 1}
        return AdversarialGenerator(source, attack="surrogate", attack_params=params, eps=0.5, random_state=0)

    assert source.score(generator().generate(X, Y), Y) < 0.8
    with pytest.raises(ValueError, match="must be an Ensemble with combine='probabilities'"):
        generator(combine="losses").generate(X, Y)
    with pytest.raises(ValueError, match=r"members \['b'\] are fitted and stay as they are"):
        generator(estimators=[*unfitted, ("b", LR)]).generate(X, Y)
