"""attack="auto-strong": as strong as each of its stages, and as AutoAttack; it tells what all of them saw."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
import torchattacks
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from torch import nn

from skhalfway import AdversarialGenerator, TransferScorer, audit
from skhalfway.attacks._strong import stages
from skhalfway.models import ModelWarning, as_model

EPS = {np.inf: 0.1, 2: 0.6, 1: 2.5}


def standing(source: Any, X: Any, y: Any, attack: str, norm: float, **params: Any) -> Any:
    given = {"clip_values": (0, 1), "random_state": 0, "max_queries": 100, "max_iter": 20, **params}
    generator = AdversarialGenerator(source, attack=attack, norm=norm, eps=EPS[norm], **given)
    X_adv = generator.generate(X, y)
    size = np.linalg.norm((X_adv - X).reshape(len(X), -1), norm, axis=1)
    assert (size <= EPS[norm]).all() and X_adv.dtype == X.dtype
    return as_model(source).predict(X_adv) == y


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("name", ["torch_mlp", "svc", "forest", "opaque"])
def test_no_stage_fools_a_sample_that_all_do_not(zoo, name: str, norm: float) -> None:
    case = zoo(name)
    X_few, y, brief = case.X[:5], case.y[:5], {"max_queries": 30, "max_iter": 10}
    left = standing(case.source, X_few, y, "auto-strong", norm, **brief)
    each = stages(as_model(case.source), norm, 10, targeted=False)
    assert len(each) > 1 or (name, norm) == ("opaque", 1)
    for attack, params in each:
        alone = standing(case.source, X_few, y, attack, norm, attack_params=params, **brief)
        # what a random search draws depends on which samples are left, and so may what it finds
        assert left.sum() <= alone.sum()
        assert not (left & ~alone).any() or not attack.startswith(("apgd", "pgd", "tree"))


@pytest.mark.parametrize(("norm", "name"), [(np.inf, "Linf"), (2, "L2")])
def test_as_strong_as_the_parts_of_autoattack(zoo, norm: float, name: str) -> None:
    """Of a tenth of the steps; of all, on larger networks: benchmarks/white_box.md."""
    case, net = zoo("torch_mlp"), deepcopy(zoo("torch_mlp").source).eval()
    eps, images, y = EPS[norm], torch.tensor(case.X.reshape(-1, 1, 8, 8)), torch.tensor(case.y)
    parts = [
        torchattacks.APGD(net, eps=eps, norm=name, steps=20),
        torchattacks.APGDT(net, eps=eps, norm=name, steps=10),
        torchattacks.FAB(net, eps=eps, norm=name, steps=20),
        torchattacks.Square(net, eps=eps, norm=name, n_queries=100),
    ]
    theirs = torchattacks.MultiAttack(parts)(images, y).detach().numpy().reshape(case.X.shape)
    left = standing(case.source, case.X, case.y, "auto-strong", norm, batch_size=10)
    assert left.sum() <= (as_model(case.source).predict(theirs) == case.y).sum()


class Steps(nn.Module):
    """A network that rounds what it sees: its gradient is 0."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(torch.round(x * 8) / 8)


class Noisy(nn.Module):
    """A network whose slope is hidden under waves that lead nowhere."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x + 0.02 * torch.sin(3e4 * x))


def test_masked_gradients_are_told_and_got_around(zoo) -> None:
    case = zoo("torch_mlp")
    plain = standing(case.source, case.X, case.y, "auto-strong", np.inf).sum()
    with pytest.warns(
        ModelWarning, match="Steps has a gradient of exactly 0 .*'auto-strong' attacks these by"
    ):
        left = standing(Steps(case.source), case.X, case.y, "auto-strong", np.inf)
    assert left.sum() < plain + 8
    with pytest.warns(ModelWarning, match="samples attacks by gradient fail, and attacks by queries do not"):
        standing(Noisy(case.source), case.X, case.y, "auto-strong", np.inf)


def test_restarts_and_targets(zoo) -> None:
    case = zoo("torch_mlp")
    left = standing(case.source, case.X, case.y, "auto-strong", 2, n_restarts=2, random_start=True)
    assert left.sum() <= standing(case.source, case.X, case.y, "apgd", 2).sum()
    target = (case.y + 1) % 10
    given = {"norm": 2, "eps": 2.5, "clip_values": (0, 1), "random_state": 0, "max_queries": 50}
    X_adv = AdversarialGenerator(case.source, attack="auto-strong", **given).generate(case.X, target=target)
    assert (as_model(case.source).predict(X_adv) == target).mean() > 0.9


X, Y = load_iris(return_X_y=True)


@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes(classes: int) -> None:
    rows = Y < classes
    generator = AdversarialGenerator(attack="auto-strong", eps=1.0, max_queries=50, random_state=0)
    generator.fit(X[rows], Y[rows])
    left = generator.estimator_.score(generator.generate(X[rows], Y[rows]), Y[rows])
    other = AdversarialGenerator(attack="fmn", eps=1.0).fit(X[rows], Y[rows])
    assert left <= other.estimator_.score(other.generate(X[rows], Y[rows]), Y[rows])


def test_in_scorer_and_audit(zoo) -> None:
    names = ("logistic", "torch_mlp", "forest")
    X_digits, y = zoo("torch_mlp").X, zoo("torch_mlp").y
    scorer = TransferScorer(
        AdversarialGenerator(attack="auto-strong", eps=0.1, clip_values=(0, 1), max_queries=30, max_iter=10),
        random_state=0,
    ).fit({name: zoo(name).source for name in names})
    matrix = scorer.transfer(X_digits, y)
    scorer = TransferScorer(
        AdversarialGenerator(attack="fgsm", eps=0.1, clip_values=(0, 1)), random_state=0
    ).fit({name: zoo(name).source for name in names})
    assert (matrix.source_success >= scorer.transfer(X_digits, y).source_success - 0.01).all()
    report = audit(
        {
            name: LogisticRegression(C=C, max_iter=1000).fit(X[::2], Y[::2])
            for name, C in (("a", 1), ("b", 9))
        },
        X[1::4],
        Y[1::4],
        deployed="a",
        surrogates=None,
        parts=[],
        generator=AdversarialGenerator(attack="auto-strong", eps=0.5, max_queries=30, max_iter=10),
        random_state=0,
    )
    assert "auto-strong" in report.to_markdown()


def test_errors() -> None:
    for params, message in (
        ({"attack_params": {"loss": "ce"}}, "attack='auto-strong' chooses an attack .* must be None"),
        ({"step_size": 0.1}, "'auto-strong' .* find the lengths of their steps; step_size must be None"),
    ):
        with pytest.raises(ValueError, match=message):
            AdversarialGenerator(attack="auto-strong", **params).fit(X, Y)
    with pytest.raises(ValueError, match="did you mean 'auto-strong'"):
        AdversarialGenerator(attack="auto-strnog").fit(X, Y)
