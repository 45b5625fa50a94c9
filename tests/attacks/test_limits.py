"""Budgets and steps at the limits of floats: every attack, norm and float type gives a right answer."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway.attacks._parameters import KINDS
from skhalfway.boundaries import inter_boundary_distance
from skhalfway.models import as_model

# of budgets that change no float, which test_reach.py and test_adapter_sight.py are about
pytestmark = [
    pytest.mark.filterwarnings("ignore:the budget is too small for a step from one number of"),
    pytest.mark.filterwarnings("ignore:ART's .* computes in float32, whose steps are more than a quarter"),
]

ART = {"art fgm": FastGradientMethod, "art pgd": ProjectedGradientDescent}
# budgets of norm 0 are whole numbers, which test_sigma_zero.py is about
ATTACKS = [
    *((attack, norm) for attack, kind in KINDS.items() for norm in kind.norms if norm),
    *((attack, norm) for attack in ART for norm in (np.inf, 2, 1)),
]
DTYPES = [np.float64, np.float32, np.float16]
BUDGETS = [5e-324, 1e-310, 1e-150, 1e-20, 1e-5, 1e6, 1e18]
TOO_MUCH = [1.1e18, 1e39, 1e154, 1e300, 10**400]
CLIPS = [None, (0.0, 1.0), (-np.inf, 1.0), (-1e300, 1e300)]
PARAMS = {"surrogate": {"estimator": LogisticRegression(), "n_rounds": 2}}


@cache
def samples(dtype: type, n_features: int) -> tuple[NDArray[Any], NDArray[np.intp]]:
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(8, n_features)).astype(dtype)
    X[0, 0] = 0.0  # no digits are lost beside it
    return X, (X[:, -1] > 0.5).astype(int)


@cache
def source(kind: str, n_features: int) -> Any:
    X, y = samples(np.float64, n_features)
    if kind == "net":
        net = nn.Linear(n_features, 2)
        with torch.no_grad():
            net.weight.copy_(torch.stack([torch.zeros(n_features), torch.linspace(2, -1, n_features)]))
            net.bias.copy_(-net.weight.sum(dim=1) / 2)
        return net
    model = DecisionTreeClassifier(random_state=0) if kind == "tree" else LogisticRegression(C=100)
    return FrozenEstimator(model.fit(X, y))


def generator(attack: str, norm: float, kind: str = "net", n_features: int = 3, **params: Any) -> Any:
    given = {"attack": ART.get(attack, attack), "norm": norm, "max_iter": 3, "max_queries": 24}
    given |= {"attack_params": PARAMS.get(attack), "random_state": 0}
    kind = "tree" if attack == "tree" else kind
    if attack == "cw":  # which needs a range
        params = params | {"clip_values": (0.0, 1.0)}
    return AdversarialGenerator(source(kind, n_features), **(given | params))


def check(X: NDArray[Any], made: NDArray[Any], reach: Any, norm: float, clip: Any) -> None:
    """Finite, valid, and within the budget in exact arithmetic; ``reach`` is that of each feature."""
    assert made.dtype == X.dtype
    assert np.isfinite(made).all()
    if clip is not None:
        assert ((made.astype(float) >= clip[0]) & (made.astype(float) <= clip[1])).all()
    units = [Fraction(float(r)) for r in np.broadcast_to(reach, X.shape[1:])]
    for old, new in zip(X.tolist(), made.tolist(), strict=True):
        change = [abs(Fraction(b) - Fraction(a)) for a, b in zip(old, new, strict=True)]
        shares = [c / u if u else Fraction(2 * (c > 0)) for c, u in zip(change, units, strict=True)]
        assert (max(shares) if norm == np.inf else sum(s ** int(norm) for s in shares)) <= 1


@pytest.mark.parametrize(
    ("attack", "norm", "dtype"),
    # each attack with every type: in each of its norms with another one, or with all where it has few norms
    [
        (attack, norm, dtype)
        for attack, norm in ATTACKS
        for k, dtype in enumerate(DTYPES)
        if k == [np.inf, 2, 1].index(norm) or [name for name, _ in ATTACKS].count(attack) < 3
    ],
)
def test_every_budget_gives_a_right_answer(attack: str, norm: float, dtype: type) -> None:
    # each budget meets three ranges, both sources, and one feature as well as several
    for place, eps in enumerate(BUDGETS, start=DTYPES.index(dtype)):
        clip = (0.0, 1.0) if attack == "cw" else CLIPS[place % 4]
        kind, n_features = ("net", "lr")[place % 2], (3, 1, 3)[place % 3]
        X, y = samples(dtype, n_features)
        made = generator(attack, norm, kind, n_features, eps=eps, clip_values=clip).generate(X, y)
        check(X, made, eps, norm, clip)
        if eps < float(np.finfo(dtype).smallest_subnormal):
            np.testing.assert_array_equal(made, X)


@pytest.mark.parametrize(("attack", "norm"), ATTACKS)
def test_what_is_too_much_is_refused_at_once(attack: str, norm: float) -> None:
    X, y = samples(np.float64, 3)
    for value in TOO_MUCH:
        for name in ("eps", "step_size"):
            with pytest.raises(ValueError, match=rf"{name} must be at most 1e\+18 .* which ends at 3.4e38"):
                generator(attack, norm, **{name: value}).generate(X, y)
            with pytest.raises(ValueError, match=f"{name} must be at most"):
                generator(attack, norm, **{name: value}).fit(X, y)


@pytest.mark.parametrize(
    ("attack", "norm", "dtype"),
    # every two of these
    [
        (attack, norm, DTYPES[(i + k) % 3])
        for i, attack in enumerate(["pgd", "mifgsm", "fmn", "surrogate"])
        for k, norm in enumerate([np.inf, 2, 1])
    ],
)
def test_steps_of_any_length(attack: str, norm: float, dtype: type) -> None:
    X, y = samples(dtype, 3)
    for number, (eps, step) in enumerate(product((5e-324, 1e-150, 0.2, 1e18), (5e-324, 1e18))):
        kind = ("net", "lr")[number // 2 % 2]
        made = generator(attack, norm, kind, eps=eps, step_size=step).generate(X, y)
        check(X, made, eps, norm, None)
        if (attack, eps, step) == ("pgd", 0.2, 1e18):
            # so long a step ends where the ball does, in the direction of the gradient
            far = generator("fgsm", norm, kind, eps=eps).generate(X, y)
            np.testing.assert_allclose(made, far, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_half_open_bounds_of_images(dtype: type) -> None:
    images = np.random.RandomState(0).uniform(size=(4, 2, 3, 3)).astype(dtype)
    net = nn.Sequential(nn.Flatten(), nn.Linear(18, 2))
    made = AdversarialGenerator(net, attack="fgsm", eps=1e12, clip_values=(-np.inf, 1.0)).generate(
        images, [0, 1, 0, 1]
    )
    # as far as the budget or the float type reaches
    assert made.max() == 1
    np.testing.assert_allclose(made.astype(float).min(), max(-1e12, float(np.finfo(dtype).min)), rtol=1e-3)
    assert np.unique(made.astype(np.float32)).size == 2


@pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning")
@pytest.mark.parametrize(("attack", "norm"), ATTACKS)
def test_budgets_per_feature_at_their_limits(attack: str, norm: float) -> None:
    every = [[5e-324, 0.1, 0.2], [1e-20, 0.1, 0.0], [1e18, 1e-17, 0.1]]
    for number, (eps, dtype) in enumerate(product(every, DTYPES)):
        X, y = samples(dtype, 3)
        made = generator(attack, norm, ("net", "lr")[number % 2], eps=eps).generate(X, y)
        check(X, made, eps, norm, None)
        # ART looks in L1 at one feature only, the one that may not change
        assert (made != X).any() or number > 5 or (attack in ART and norm == 1)


def test_budgets_per_feature_that_are_too_much_name_the_column() -> None:
    X, y = samples(np.float64, 3)
    with pytest.raises(ValueError, match=r"eps of column 1 must be at most 1e\+18 .*, got 1e\+300; scale"):
        generator("pgd", 2, eps=[0.1, 1e300, 0.1]).generate(X, y)
    with pytest.raises(ValueError, match="no column may change: .* negligible beside their values"):
        generator("pgd", 2, eps=[1e-300, 0.0, 0.0]).generate(X + 1, y)


class Scaled(nn.Module):
    """A network of float64 on columns of very different scales."""

    def __init__(self, scale: NDArray[np.float64]) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2, bias=False).double()
        with torch.no_grad():
            self.linear.weight.copy_(torch.tensor([[0.0, 0, 0], [1, -2, 3]]).double() / torch.tensor(scale))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


@pytest.mark.parametrize("eps_unit", ["std", "range"])
@pytest.mark.parametrize("attack", [attack for attack in KINDS if attack not in ("tree", "cw", "sigmazero")])
def test_columns_of_any_spread(attack: str, eps_unit: str) -> None:
    """In units of the spread, data of any scale is attacked as data of none."""
    X, scale = np.random.RandomState(0).standard_normal((12, 3)), np.array([2.0**-900, 1, 2.0**900])
    made, fooled = [], []
    for size in (np.ones(3), scale):
        module = Scaled(size)
        given = {"max_iter": 4, "max_queries": 60, "attack_params": PARAMS.get(attack), "random_state": 0}
        norm = np.inf if np.inf in KINDS[attack].norms else 2
        attacker = AdversarialGenerator(module, attack=attack, eps=0.5, norm=norm, eps_unit=eps_unit, **given)
        made.append(attacker.fit(X * size).transform(X * size) / size)
        labels = as_model(module).predict(X * size)
        fooled.append((as_model(module).predict(made[-1] * size) != labels).mean())
    assert fooled[0] == fooled[1] > 0.1
    np.testing.assert_allclose(*made, rtol=1e-6)


@pytest.mark.parametrize(
    ("attack", "params"),
    [
        ("hopskipjump", {"radius": 1e18}),
        ("hopskipjump", {"radius": 5e-324}),
        ("halfway", {"radius": 1e18}),
        ("surrogate", {"estimator": LogisticRegression(), "step": 5e-324}),
        ("deepfool", {"overshoot": 1e18}),
        ("mifgsm", {"decay": 1e5}),
        ("mifgsm", {"decay": 5e-324}),
        ("square", {"p": 5e-324}),
    ],
    ids=str,
)
def test_parameters_of_attacks(attack: str, params: dict[str, Any]) -> None:
    X, y = samples(np.float32, 3)
    made = generator(attack, np.inf, eps=0.3, attack_params=params).generate(X, y)
    check(X, made, 0.3, np.inf, None)


@pytest.mark.parametrize(
    ("attack", "params"),
    [
        ("hopskipjump", {"radius": 1e19}),
        ("halfway", {"radius": 1e300}),
        ("surrogate", {"step": 1e39}),
        ("deepfool", {"overshoot": 1e300}),
        ("mifgsm", {"decay": 1e7}),
        ("mifgsm", {"decay": 10**400}),
    ],
    ids=lambda value: str(value)[:30],
)
def test_parameters_of_attacks_that_are_too_much(attack: str, params: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"1e\+18"):
        generator(attack, np.inf, attack_params=params).generate(*samples(np.float32, 3))


def test_modules_of_16_bits() -> None:
    X, y = samples(np.float16, 3)
    net = nn.Linear(3, 2).half()
    for attack in ("pgd", "square"):
        check(X, AdversarialGenerator(net, attack=attack, eps=8000.0).generate(X, y), 8000, np.inf, None)
        with pytest.raises(ValueError, match="eps must be at most 8188 for Linear, which .* float16"):
            AdversarialGenerator(net, attack=attack, eps=9000.0).generate(X, y)
    with pytest.raises(ValueError, match="step_size must be at most 8188 for Linear"):
        AdversarialGenerator(net, step_size=9000.0).generate(X, y)


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_transfer_at_the_limits(dtype: type, place: int) -> None:
    eps, norm = [5e-324, 1e-150, 1e18][place], [np.inf, 2, 1][(place + DTYPES.index(dtype)) % 3]
    X, y = samples(dtype, 3)
    models = {"net": source("net", 3), "lr": source("lr", 3), "tree": source("tree", 3)}
    matrix = TransferScorer(AdversarialGenerator(eps=eps, norm=norm, max_queries=20)).fit(models)
    assert np.isfinite(matrix.transfer(X, y).rates).all()
    rates = np.asarray(HalfwayScorer(random_state=0).fit(models).predict_transfer(X, y, eps=eps))
    assert (rates == 0).all() if eps < 1 else ((rates >= 0) & (rates <= 1)).all()


@pytest.mark.parametrize("eps", TOO_MUCH)
def test_transfer_of_what_is_too_much(eps: float) -> None:
    X, y = samples(np.float64, 3)
    models = {"net": source("net", 3), "lr": source("lr", 3)}
    calls = {
        "transfer": lambda: TransferScorer(AdversarialGenerator(eps=eps)).fit(models).transfer(X, y),
        "curve": lambda: TransferScorer().fit(models).transfer_curve(X, y, eps=[0.1, eps]),
        "prediction": lambda: HalfwayScorer().fit(models).predict_transfer(X, y, eps=eps),
        "distance": lambda: inter_boundary_distance(*models.values(), X, y, max_distance=eps),
    }
    for call in calls.values():
        with pytest.raises(ValueError, match=r"must be at most 1e\+18"):
            call()
