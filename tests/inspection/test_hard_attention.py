"""Hard attention to the task: masks and their gradient, what is kept to the last bit, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import SGDClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway.inspection import forgetting_curve
from skhalfway.inspection._hard_attention import (
    HardAttention,
    annealed,
    check_attention,
    mask_of,
    mask_slope,
    newly_used,
)


class Net(nn.Module):
    def __init__(self, n_hidden: int = 40) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, n_hidden),
            nn.ReLU(),
            nn.Linear(n_hidden, n_hidden),
            nn.Tanh(),
            nn.Linear(n_hidden, 10),
        )

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Images(nn.Sequential):
    def __init__(self) -> None:
        layers = [nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Conv2d(5, 6, 3), nn.MaxPool2d(2), nn.ReLU()]
        super().__init__(
            *layers, nn.Flatten(), nn.Linear(24, 10, bias=False), nn.Sigmoid(), nn.Linear(10, 10)
        )


def net(module: Any = Net, **params: Any) -> Any:
    given: dict[str, Any] = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "lr": 0.01,
        "batch_size": 64,
        "train_split": None,
        "iterator_train__shuffle": True,
        "callbacks": "disable",
        "verbose": 0,
    }
    return NeuralNetClassifier(module, **given | params)


def permuted(digits: Any, n: int = 2) -> list[Any]:
    orders = [np.random.RandomState(i).permutation(64) for i in range(n)]
    return [(digits.X[:, o], digits.y, digits.X_test[:, o], digits.y_test) for o in orders]


def attention_of(net: Any, n_tasks: int = 2, **params: float) -> HardAttention:
    settings = {"sparsity": 0.75, "hardness": 400.0} | params
    return HardAttention(net.initialize(), n_tasks, np.random.RandomState(0), **settings)


# --- closed cases


@pytest.mark.parametrize("s", [1 / 400, 0.1, 1.0, 3.0])
def test_the_gradient_that_is_made_up_is_that_of_a_soft_mask(s: float) -> None:
    e = torch.linspace(-6, 6, 25, dtype=torch.float64)
    soft = torch.sigmoid(e) * torch.sigmoid(-e)
    torch.testing.assert_close(mask_slope(e, s, 400.0), 400 * soft)
    # up to s * e = 50, beyond which the factor grows no further
    near = e / 50
    torch.testing.assert_close(
        mask_slope(near, 400.0, 400.0), 400 * torch.sigmoid(near) * torch.sigmoid(-near)
    )
    assert mask_slope(e[-1:], 400.0, 400.0) < 1e-100


def test_a_slope_without_correction_is_autograds() -> None:
    e = torch.linspace(-2, 2, 9, dtype=torch.float64, requires_grad=True)
    (own,) = torch.autograd.grad(mask_of(e, 7.0).sum(), e)
    e = e.detach()
    factor = 400 / 7 * (torch.cosh(7 * e) + 1) / (torch.cosh(e) + 1)
    torch.testing.assert_close(mask_slope(e, 7.0, 400.0), own * factor)


def test_a_mask_becomes_a_step() -> None:
    e = torch.tensor([-2.0, -0.3, 0.3, 2.0])
    assert mask_of(e, 1e6).tolist() == [0, 0, 1, 1]
    torch.testing.assert_close(mask_of(e, 1e-6), torch.full((4,), 0.5))
    assert mask_of(torch.zeros(1), 400.0) == 0.5


def test_s_grows_within_an_epoch() -> None:
    np.testing.assert_allclose([annealed(b, 3, 10.0) for b in range(3)], [0.1, 5.05, 10])
    assert annealed(0, 1, 10.0) == 10


def test_newly_used_by_hand() -> None:
    masks = [torch.tensor([1.0, 0.5]), torch.tensor([0.25, 0.0, 1.0])]
    nothing = [torch.zeros(2), torch.zeros(3)]
    assert newly_used(masks, nothing) == pytest.approx(2.75 / 5)  # the mean, of a first task
    past = [torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.0, 1.0])]
    assert newly_used(masks, past) == pytest.approx((0.5 + 0.125) / (1 + 0.5 + 1))
    assert newly_used(masks, [torch.ones(2), torch.ones(3)]) == 0


def test_a_step_of_the_masks_is_the_gradient_of_loss_and_sparsity(digits: Any) -> None:
    one = net(optimizer=torch.optim.SGD, lr=1e-9, max_epochs=1, batch_size=900, iterator_train__shuffle=False)
    attention = attention_of(one, sparsity=0.3, hardness=5.0)
    begin = [e.clone().requires_grad_() for e in attention._embeddings[0]]
    first, _, second, _, last = one.module_.layers
    x, y = torch.tensor(digits.X), torch.tensor(digits.y)
    masks = [torch.sigmoid(5.0 * e) for e in begin]
    h = torch.tanh(second(first(x).relu() * masks[0])) * masks[1]
    loss = nn.functional.cross_entropy(last(h), y) + 0.3 * torch.cat(masks).mean()
    slopes = torch.autograd.grad(loss, begin)
    with attention.learning(one, 0):
        one.partial_fit(digits.X, digits.y)
    for e, slope, found in zip(begin, slopes, attention._embeddings[0], strict=True):
        factor = (torch.cosh(5 * e) + 1) / (torch.cosh(e) + 1)
        torch.testing.assert_close(
            found, (e - 0.05 * slope * factor).clamp(-6, 6).detach(), rtol=1e-3, atol=1e-5
        )


# --- what is kept


OPTIMIZERS = [
    {"optimizer": torch.optim.SGD, "lr": 0.05, "optimizer__momentum": 0.9, "optimizer__weight_decay": 0.01},
    {"optimizer": torch.optim.AdamW, "lr": 0.01, "optimizer__weight_decay": 0.1},
]


@pytest.mark.parametrize("params", OPTIMIZERS, ids=["momentum", "AdamW"])
def test_weights_between_used_units_stay_to_the_last_bit(params: Any, digits: Any) -> None:
    one = net(max_epochs=2, **params)
    attention = attention_of(one)
    images = digits.X[:300], digits.y[:300]
    with attention.learning(one, 0):
        one.partial_fit(*images)
    soft = torch.full((40,), 0.999)
    soft[:10], soft[30:] = 1.0, 0.0
    attention._past = [soft.clone(), soft.clone()]
    before = {name: weight.detach().clone() for name, weight in one.module_.named_parameters()}
    with attention.learning(one, 1):
        one.partial_fit(*images)
    moved = {name: (weight - before[name]).detach().abs() for name, weight in one.module_.named_parameters()}
    for name in ("layers.0.weight", "layers.0.bias", "layers.2.bias"):
        assert not moved[name][:10].any()
        assert moved[name][10:30].max() < 2e-3
        assert moved[name][30:].max() > 0.005
    between = moved["layers.2.weight"]
    assert not between[:10, :10].any()
    assert between[:10, 10:30].max() < 2e-3 and between[10:30, :30].max() < 2e-3
    assert between[:, 30:].max() > 0.004 and between[30:].max() > 0.004  # of which one end is free
    assert attention.past[0][:10].eq(1).all() and (attention.past[0] >= soft).all()


@pytest.mark.parametrize("module", [Net, Images])
def test_a_task_is_answered_as_it_was(module: Any, digits: Any) -> None:
    """The mask within weights is that of activations; what a second task learns leaves the first alone."""
    one = net(module, max_epochs=2)
    X = digits.X if module is Net else digits.X.reshape(-1, 1, 8, 8)
    attention = attention_of(one, sparsity=0.05)
    with attention.learning(one, 0):
        one.partial_fit(X, digits.y)
    masks, parts = attention.masks(0), [p for p in one.module_.modules() if hasattr(p, "weight")]
    before = [weight.detach().clone() for weight in one.module_.parameters()]

    def given(i: int) -> Any:
        def hook(part: Any, inputs: Any) -> Any:
            mask = masks[i]
            if isinstance(part, nn.Conv2d):
                return inputs[0] * mask[:, None, None]
            return inputs[0] * (mask if len(mask) == part.in_features else mask.repeat_interleave(4))

        return hook

    hooks = [part.register_forward_pre_hook(given(i)) for i, part in enumerate(parts[1:])]
    with torch.no_grad():
        expected = one.module_(torch.tensor(X[:50])).softmax(dim=1)
    for hook in hooks:
        hook.remove()
    with attention.answering(0):
        first = one.predict_proba(X[:50])
    np.testing.assert_allclose(first, expected.numpy(), atol=1e-5)
    assert all(torch.equal(*pair) for pair in zip(before, one.module_.parameters(), strict=True))
    with attention.learning(one, 1):
        one.partial_fit(X[:, ::-1].copy() if module is Net else X[:, :, ::-1].copy(), digits.y)
    with attention.answering(0):
        again = one.predict_proba(X[:50])
    with attention.answering(1):
        assert np.abs(one.predict_proba(X[:50]) - again).max() > 0.01
    # masks are steps but for units whose embedding is next to 0
    np.testing.assert_allclose(first, again, atol=0.02)
    assert not one.callbacks_ and not any(part._forward_pre_hooks for part in parts)


# --- in a curve


def test_permuted_digits_are_forgotten_less(digits: Any) -> None:
    learner, tasks = net(), permuted(digits)
    settings: dict[str, Any] = {"method": "hard_attention", "n_epochs": 6, "n_repeats": 1}
    before = repr(learner), clone(learner).get_params().keys()
    states = torch.get_rng_state(), np.random.get_state()[1]
    curve = forgetting_curve(learner, tasks, random_state=0, **settings)
    assert torch.equal(torch.get_rng_state(), states[0])
    np.testing.assert_array_equal(np.random.get_state()[1], states[1])
    assert (repr(learner), learner.get_params().keys()) == before and not hasattr(learner, "module_")
    first = curve.of_task(0).means
    assert first["hard_attention"][0] > 0.8
    assert first["none"][1] < first["none"][0] - 0.15
    assert first["hard_attention"][1] > first["hard_attention"][0] - 0.02
    assert curve.forgetting["hard_attention"][1] > curve.forgetting["none"][1] + 0.05


@pytest.mark.filterwarnings("ignore:task . uses no unit of")
def test_masks_that_close_are_told(digits: Any) -> None:
    settings: dict[str, Any] = {"n_epochs": 2, "n_repeats": 1, "sparsity": 1000.0, "random_state": 0}
    with pytest.warns(ConvergenceWarning, match="task 0 uses no unit of .*lower sparsity=1000.0"):
        curve = forgetting_curve(net(), permuted(digits), method="hard_attention", **settings)
    assert curve.of_task(0).means["hard_attention"][0] < 0.2


# --- what is refused


def sequential(*layers: Any) -> Any:
    return lambda: nn.Sequential(*layers)


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        x = self.first(x)
        return self.last(x + self.second(x))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (sequential(nn.Linear(64, 10)), "masks hidden units, but NeuralNetClassifier has none: 1 layer"),
        (sequential(nn.Linear(64, 8), nn.BatchNorm1d(8), nn.Linear(8, 10)), r"normalises in \['1'\]"),
        (sequential(nn.Linear(64, 8), nn.PReLU(), nn.Linear(8, 10)), r"also trains \['1.weight'\]; remove"),
        (Skip, "needs a chain of layers to mask: .* is no chain of layers"),
        (
            sequential(nn.Linear(64, 64), nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 2, 8), nn.Flatten()),
            "64 units of '0' become 1 inputs of '2' in NeuralNetClassifier; maps may be flattened",
        ),
    ],
)
def test_modules_that_are_refused(module: Any, message: str, digits: Any) -> None:
    with pytest.raises(ValueError, match=message):
        forgetting_curve(net(module), permuted(digits), method="hard_attention", n_repeats=1)


def test_rows_may_be_folded_into_images_by_the_network(digits: Any) -> None:
    def made(*begin: Any) -> Any:
        return lambda: nn.Sequential(*begin, nn.Conv2d(1, 2, 8), nn.Flatten(), nn.Linear(2, 10))

    images = [(a.reshape(-1, 1, 8, 8), b, c.reshape(-1, 1, 8, 8), d) for a, b, c, d in permuted(digits)]
    settings: dict[str, Any] = {"n_epochs": 1, "n_repeats": 1, "sparsity": 0.0, "random_state": 0}
    folded, plain = (
        forgetting_curve(net(module), tasks, method="hard_attention", **settings)
        for module, tasks in ((made(nn.Unflatten(1, (1, 8, 8))), permuted(digits)), (made(), images))
    )
    np.testing.assert_array_equal(folded.accuracy["hard_attention"], plain.accuracy["hard_attention"])


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, groups=2), nn.Flatten(), nn.Linear(64, 10)], "groups=1"),
        ([nn.Conv2d(1, 4, 3), nn.Flatten(2), nn.Linear(36, 10)], "'2' of .* receives 3 axes; flatten"),
    ],
)
def test_convolutions_that_are_refused(layers: Any, message: str, digits: Any) -> None:
    with pytest.raises(ValueError, match=message):
        check_attention(net(sequential(*layers)), digits.X.reshape(-1, 1, 8, 8))


class Reshaping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv, self.last = nn.Linear(64, 32), nn.Conv2d(2, 3, 4), nn.Linear(3, 10)

    def forward(self, x: Any) -> Any:
        return self.last(self.conv(self.first(x).view(-1, 2, 4, 4)).flatten(1))


def test_a_shape_that_changes_is_refused(digits: Any) -> None:
    with pytest.raises(ValueError, match="32 units of 'first' become 2 inputs of 'conv'.*must stay"):
        check_attention(net(Reshaping), digits.X)


@pytest.mark.parametrize(
    ("estimator", "given", "error", "message"),
    [
        (
            SGDClassifier(),
            {},
            TypeError,
            "method='hard_attention' changes .* of skorch nets.*got SGDClassifier",
        ),
        (net(), {"sparsity": -1}, ValueError, "sparsity must be a finite number >= 0, got -1"),
        (net(), {"sparsity": True}, ValueError, "sparsity must be a finite number >= 0, got True"),
        (net(), {"hardness": 0.5}, ValueError, "hardness must be a finite number >= 1, got 0.5"),
        (net(), {"hardness": np.inf}, ValueError, "hardness must be a finite number >= 1, got inf"),
    ],
)
def test_errors(estimator: Any, given: Any, error: type[Exception], message: str, digits: Any) -> None:
    with pytest.raises(error, match=message):
        forgetting_curve(estimator, permuted(digits), method="hard_attention", **given)


def test_steps_that_come_to_nan_are_told(digits: Any) -> None:
    wild = net(optimizer=torch.optim.SGD, lr=1e30, optimizer__weight_decay=1e10)
    with pytest.raises(ValueError, match="weights that are not finite; lower the learning rate"):
        forgetting_curve(wild, permuted(digits), method="hard_attention", n_epochs=1, n_repeats=1)
