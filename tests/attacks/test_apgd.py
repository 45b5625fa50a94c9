"""Auto-PGD against Algorithm 1 written out, the authors' figures, torchattacks and brute force."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
import torchattacks
from scipy.optimize import minimize
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway.attacks import _gradient
from skhalfway.attacks._apgd import checkpoints, dlr
from skhalfway.attacks._apgd_l1 import project
from skhalfway.attacks._norms import L1Ball
from skhalfway.models import as_model

EPS = {np.inf: 0.1, 2: 0.6, 1: 2.5}


def robust(source: Any, X: Any, y: Any, **params: Any) -> int:
    given = {"clip_values": (0, 1), "random_state": 0, "eps": EPS[params.get("norm", np.inf)]} | params
    X_adv = AdversarialGenerator(source, **given).generate(X, y)
    return int((as_model(source).predict(X_adv) == y).sum())


def test_checkpoints_are_those_of_the_paper() -> None:
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(1) == [1] * 8


def algorithm_1(net: nn.Module, X: Any, y: Any, eps: float, norm: float, loss: str, n: int) -> Any:
    """One sample at a time, cross-entropy or DLR, in float64; the point of the largest loss."""

    def f(x: torch.Tensor) -> torch.Tensor:
        z = net(x[None])[0]
        if loss == "ce":
            return nn.functional.cross_entropy(z[None], label[None])
        ranked, others = z.sort(descending=True).values, torch.cat([z[:label], z[label + 1 :]])
        return (others.max() - z[label]) / (ranked[0] - ranked[2])

    def inside(x: torch.Tensor) -> torch.Tensor:
        if norm == np.inf:
            return torch.minimum(torch.maximum(x, x0 - eps), x0 + eps).clamp(0, 1)
        change = x - x0
        return (x0 + change * min(1.0, eps / change.norm().clamp_min(1e-30))).clamp(0, 1)

    def stepped(x: torch.Tensor, eta: float) -> torch.Tensor:
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(f(x), x)
        return inside(x.detach() + eta * (slope.sign() if norm == np.inf else slope / slope.norm()))

    found = []
    for x0, label in zip(torch.tensor(X), torch.tensor(y), strict=True):  # noqa: B007
        eta, x, W = 2 * eps, [x0, stepped(x0, 2 * eps)], [0, *checkpoints(n)]
        with torch.no_grad():
            heights = [f(x[0]), f(x[1])]
        best_x, best = max(zip(x, heights, strict=True), key=lambda pair: pair[1])
        before, last_best, last_eta, j, n_rises = 0, heights[0], 0.0, 1, int(heights[1] > heights[0])
        for k in range(1, n):
            z = stepped(x[k], eta)
            x.append(inside(x[k] + 0.75 * (z - x[k]) + 0.25 * (x[k] - x[k - 1])))
            with torch.no_grad():
                heights.append(f(x[-1]))
            n_rises += int(heights[-1] > heights[-2])
            if heights[-1] > best:
                best_x, best = x[-1], heights[-1]
            if k + 1 == W[j]:
                step = eta
                if n_rises < 0.75 * (W[j] - before) or (last_eta == eta and last_best == best):
                    eta, x[-1], heights[-1] = eta / 2, best_x, best
                last_eta, last_best, before, j, n_rises = eta if eta == step else 0.0, best, W[j], j + 1, 0
        found.append(best_x.numpy())
    return np.stack(found)


@pytest.mark.parametrize("norm", [np.inf, 2])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_the_points_of_algorithm_1(zoo, norm: float, loss: str) -> None:
    case = zoo("cnn")
    net, X, y, eps = deepcopy(case.source).double().eval(), case.X[:8].astype(float), case.y[:8], EPS[norm]
    ours = AdversarialGenerator(
        net, attack="apgd", eps=eps, norm=norm, clip_values=(0, 1), attack_params={"loss": loss}
    ).generate(X, y)
    expected = algorithm_1(net, X, y, eps, norm, loss, 40)
    won = as_model(net).predict(ours) != y
    # with cross-entropy we keep a point that fools before one of a larger loss that does not
    alike = np.ones(8, dtype=bool) if loss == "dlr" else won == (as_model(net).predict(expected) != y)
    assert alike.sum() >= 7
    np.testing.assert_allclose(ours[alike], expected[alike], rtol=0, atol=1e-5)


@pytest.mark.parametrize("source", ["cnn", "torch_mlp"])
@pytest.mark.parametrize(("norm", "name"), [(np.inf, "Linf"), (2, "L2")])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_as_robust_as_torchattacks_says(
    zoo, monkeypatch: pytest.MonkeyPatch, source: str, norm: float, name: str, loss: str
) -> None:
    """From the same random start, in 100 steps, after which their checkpoints are the paper's."""
    case = zoo(source, 24)
    right = as_model(case.source).predict(case.X) == case.y
    X, y = case.X[right], case.y[right]
    images, eps = X.reshape(-1, 1, 8, 8), EPS[norm]
    attack = torchattacks.APGD(deepcopy(case.source).eval(), norm=name, eps=eps, steps=100, loss=loss, seed=3)
    theirs = attack(torch.tensor(images), torch.tensor(y)).detach().numpy().reshape(X.shape)
    drawn = torch.Generator().manual_seed(3)
    if norm == np.inf:
        start = 2 * torch.rand(images.shape, generator=drawn) - 1
        start /= start.abs().amax(dim=(1, 2, 3), keepdim=True)
    else:
        start = torch.randn(images.shape, generator=drawn)
        start /= start.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    own = eps * start.double().numpy().reshape(X.shape)
    monkeypatch.setattr(_gradient, "random_in_ball", lambda *args: own)
    params = {"attack": "apgd", "norm": norm, "max_iter": 100, "random_start": True}
    n = robust(case.source, X, y, attack_params={"loss": loss}, batch_size=256, **params)
    assert abs(n - (as_model(case.source).predict(theirs) == y).sum()) <= 1
    assert 0 < n < len(y)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_stronger_the_more_it_tries(zoo, norm: float) -> None:
    case = zoo("torch_mlp")
    n = {
        name: robust(case.source, case.X, case.y, attack="apgd", norm=norm, attack_params=params)
        for name, params in {
            "ce": None,
            "dlr": {"loss": "dlr"},
            "towards": {"loss": "dlr", "n_targets": 9},
            "ce towards": {"n_targets": 3},
        }.items()
    }
    pgd = robust(case.source, case.X, case.y, attack="pgd", norm=norm)
    assert n["towards"] <= n["dlr"] + 1
    assert n["ce towards"] <= n["ce"]
    assert min(n.values()) <= pgd
    more = robust(
        case.source, case.X, case.y, attack="apgd", norm=norm, n_restarts=4, attack_params={"loss": "dlr"}
    )
    assert more <= n["dlr"]


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_reaches_targets(zoo, norm: float, loss: str) -> None:
    case = zoo("cnn")
    target = (case.y + 1) % 10
    X_adv = AdversarialGenerator(
        case.source,
        attack="apgd",
        norm=norm,
        eps=3 * EPS[norm],
        clip_values=(0, 1),
        attack_params={"loss": loss},
    ).generate(case.X, target=target)
    assert (as_model(case.source).predict(X_adv) == target).mean() > 0.9


def test_dlr_by_hand() -> None:
    z, own = torch.tensor([[3.0, 1.0, 2.0, -1.0], [0.0, 4.0, 2.0, 2.0]]), torch.eye(4).bool()[[0, 2]]
    assert dlr(z, own).tolist() == [-1 / 2, 2 / 2]
    assert dlr(z, own, torch.tensor([[1], [0]])).tolist() == pytest.approx([-2 / 3, -2 / 3])
    assert dlr(z, own, targeted=True).tolist() == pytest.approx([1 / 3, -2 / 3])
    assert dlr(64 * z + 8, own).tolist() == dlr(z, own).tolist()


@pytest.mark.parametrize("bounds", [True, False])
def test_projection_on_ball_and_bounds(bounds: bool) -> None:
    rng = np.random.RandomState(0)
    x0 = rng.uniform(size=(20, 4))
    x, low, high = x0 + 2 * rng.randn(20, 4) * rng.uniform(0, 1, (20, 1)), np.zeros(4), np.ones(4)
    limits = (torch.tensor(low), torch.tensor(high)) if bounds else (None, None)
    found = project(torch.tensor(x), L1Ball(torch.tensor(x0), 1.0, *limits)).numpy()
    for one, start, got in zip(x, x0, found, strict=True):
        # of parts upwards and downwards, both >= 0
        def far(parts: Any, one: Any = one, start: Any = start) -> Any:
            rest = start + parts[:4] - parts[4:] - one
            return rest @ rest, np.r_[2 * rest, -2 * rest]

        room = [*(high - start), *(start - low)] if bounds else [None] * 8
        limit = {"type": "ineq", "fun": lambda parts: 1 - parts.sum(), "jac": lambda parts: -np.ones(8)}
        best = minimize(
            far,
            np.zeros(8),
            jac=True,
            method="SLSQP",
            bounds=[(0, r) for r in room],
            constraints=limit,
            options={"ftol": 1e-14, "maxiter": 500},
        )
        np.testing.assert_allclose(got, start + best.x[:4] - best.x[4:], atol=1e-5)


X_IRIS, Y_IRIS = load_iris(return_X_y=True)


@pytest.mark.parametrize(
    ("params", "classes", "target", "message"),
    [
        ({"loss": "dlr"}, 2, None, "'dlr' needs 3 classes, since .* LogisticRegression has 2; pass 'ce'"),
        ({"loss": "dlr", "n_targets": 2}, 3, None, "'dlr' needs 4 classes towards a label"),
        ({"loss": "dlr"}, 3, 0, "'dlr' needs 4 classes towards a label"),
        ({"n_targets": 2}, 3, 0, "n_targets'. is for untargeted attacks: .* leave n_targets out"),
        (
            {"loss": "DLR"},
            3,
            None,
            r"\['loss'\] must be one of .*, got 'DLR'; did you mean 'dlr'",
        ),
        ({"n_targets": 0}, 3, None, r"\['n_targets'\] must be an integer >= 1, got 0"),
    ],
)
def test_errors(params: dict[str, Any], classes: int, target: int | None, message: str) -> None:
    rows = Y_IRIS < classes
    generator = AdversarialGenerator(LogisticRegression(max_iter=1000), attack="apgd", attack_params=params)
    with pytest.raises(ValueError, match=message):
        generator.fit(X_IRIS[rows], Y_IRIS[rows]).generate(X_IRIS[rows], target=target)


def test_it_finds_its_steps_by_itself() -> None:
    with pytest.raises(ValueError, match=r"finds the lengths of its steps; step_size must be None, got 0.1"):
        AdversarialGenerator(attack="apgd", step_size=0.1).fit(X_IRIS, Y_IRIS)


@pytest.mark.parametrize("params", [{}, {"n_targets": 5}, {"loss": "dlr"}], ids=str)
def test_few_steps_and_classes(params: dict[str, Any]) -> None:
    for max_iter in (1, 2, 5):
        generator = AdversarialGenerator(
            attack="apgd", eps=1.0, max_iter=max_iter, attack_params=params, random_state=0
        ).fit(X_IRIS, Y_IRIS)
        # the step of 2 eps ends where one of eps does
        assert generator.estimator_.score(generator.generate(X_IRIS, Y_IRIS), Y_IRIS) < 0.5
