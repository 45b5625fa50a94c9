"""What attacks of other libraries cannot see is said: losses that vanish, values with too few digits."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torchattacks as ta
from art.attacks.evasion import DeepFool, FastGradientMethod, HopSkipJump, ProjectedGradientDescent, ZooAttack
from art.estimators.classification import PyTorchClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skhalfway import AdversarialGenerator, Constraints
from skhalfway.models import ModelWarning

with warnings.catch_warnings():
    # foolbox imports scipy.ndimage.filters, which scipy has renamed
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox.attacks as fb

WEIGHTS = np.array([4e4, -3e4, 0, 0])
X = np.random.RandomState(0).uniform(0.2, 0.8, size=(40, 4))
Y = (X @ WEIGHTS > 0).astype(int)
SHORT_ZOO: dict[str, Any] = {"batch_size": 1, "max_iter": 2, "binary_search_steps": 1, "nb_parallel": 2}
SHORT_ZOO |= {"use_resize": False, "use_importance": False, "verbose": False}


def linear() -> Any:
    """Logits in the thousands, as of many a linear model of data that was not scaled."""
    model = LogisticRegression().fit(X, Y)
    model.coef_, model.intercept_ = WEIGHTS[None], np.zeros(1)
    return FrozenEstimator(model)


def in_art() -> Any:
    net = nn.Linear(4, 2, bias=False)
    net.weight = nn.Parameter(torch.tensor(np.stack([-WEIGHTS, WEIGHTS]) / 2, dtype=torch.float32))
    return PyTorchClassifier(net, nn.CrossEntropyLoss(), (4,), 2, clip_values=(0, 1), device_type="cpu")


def share_right(made: Any) -> float:
    return float(((made @ WEIGHTS > 0) == Y).mean())


@pytest.mark.parametrize("source", [linear, in_art])
@pytest.mark.parametrize(
    "attack", [FastGradientMethod, ProjectedGradientDescent, fb.FGSM, fb.LinfPGD, ta.FGSM, ta.PGD, "instance"]
)
def test_a_loss_that_vanishes_in_float32_is_said(source: Any, attack: Any) -> None:
    model, params = source(), {"eps": 0.3, "clip_values": (0, 1), "max_iter": 5, "random_state": 0}
    if attack == "instance":
        attack = ProjectedGradientDescent(in_art(), eps=0.3, eps_step=0.1, max_iter=5, verbose=False)
    assert share_right(AdversarialGenerator(model, attack="auto", **params).generate(X, Y)) < 0.3
    said = r"meets a gradient of exactly 0 on (\d+) of 40 samples that it does not fool"
    with pytest.warns(ModelWarning, match=said) as warned:
        made = AdversarialGenerator(model, attack=attack, **params).generate(X, Y)
    assert share_right(made) > 0.5
    n_said = int(str(warned[0].message).split(" of 40")[0].split()[-1])
    assert abs(n_said / 40 - share_right(made)) < 0.2
    # the gradients of samples that may not change are nothing to it
    some = np.arange(40) < 1
    rules = Constraints(mask=some[:, None])
    AdversarialGenerator(model, attack=attack, constraints=rules, **params).generate(X, Y)


@pytest.mark.parametrize(
    ("attack", "norm", "params"),
    [
        (fb.LinfDeepFoolAttack, np.inf, None),
        (fb.LinearSearchBlendedUniformNoiseAttack, 2, None),
        (ta.DeepFool, 2, None),
        (DeepFool, 2, {"verbose": False}),
        (ZooAttack, 2, SHORT_ZOO),
    ],
)
def test_attacks_that_follow_no_such_loss_are_not_blamed(attack: Any, norm: float, params: Any) -> None:
    given: Any = {"eps": 1e-3, "norm": norm, "clip_values": (0, 1), "attack_params": params}
    AdversarialGenerator(linear(), attack=attack, **given).generate(X[:8], Y[:8])


# of times in seconds float32 has one in 128
TIMES = 1.7e9 + 50 * np.random.RandomState(0).randn(60, 2)
LATE = (TIMES.mean(axis=1) > 1.7e9).astype(int)


@pytest.mark.parametrize("unit", ["input", "std"])
@pytest.mark.parametrize("attack", [ProjectedGradientDescent, fb.LinfPGD, ta.PGD])
def test_values_of_which_float32_has_few_digits_are_said(attack: Any, unit: str) -> None:
    def fitted(data: Any, clip_values: Any, attack: Any = attack, **params: Any) -> AdversarialGenerator:
        given: Any = {"eps": 30 if unit == "input" else 0.6, "eps_unit": unit, "clip_values": clip_values}
        model = make_pipeline(StandardScaler(), LogisticRegression())
        return AdversarialGenerator(model, attack=attack, **given | params).fit(data, LATE)

    with pytest.warns(ModelWarning, match=r"computes in float32, whose steps .* in 60 of 60 samples"):
        fitted(TIMES, (0, 2e9)).generate(TIMES, LATE)
    by_name = fitted(TIMES, (0, 2e9), "pgd")
    assert by_name.estimator_.score(by_name.generate(TIMES, LATE), LATE) < 0.8
    # nothing is said where float32 has the digits, nor of values that stay
    near = TIMES - 1.7e9
    fitted(near, (-1e3, 1e3)).generate(near, LATE)
    if attack is not ta.PGD:  # which has one range for all
        mixed = np.column_stack([TIMES[:, 0], near[:, 1]])
        fitted(mixed, (-1e3, 2e9), constraints=Constraints(immutable=[0])).generate(mixed, LATE)
    # where X itself has no more digits, that is what is said
    rounded = TIMES.astype(np.float32)
    with pytest.warns(UserWarning, match="too small for a step from one number of float32") as warned:
        fitted(rounded, (0, 2e9)).generate(rounded, LATE)
    assert not any(issubclass(each.category, ModelWarning) for each in warned)


@pytest.mark.parametrize(
    ("attack", "params"),
    [
        (HopSkipJump, {"max_iter": 1, "max_eval": 10, "init_eval": 5, "verbose": False}),
        (ZooAttack, SHORT_ZOO),
    ],
)
def test_attacks_of_art_by_answers_ask_the_model_and_not_its_smooth_copy(attack: Any, params: Any) -> None:
    asked: list[str] = []

    class Noting(RandomForestClassifier):
        def predict(self, X: Any) -> Any:
            asked.append("predict")
            return super().predict(X)

        def predict_proba(self, X: Any) -> Any:
            asked.append("predict_proba")
            return super().predict_proba(X)

    source = FrozenEstimator(Noting(5, random_state=0).fit(X, Y))
    given: Any = {"norm": 2, "eps": 0.5, "attack_params": params, "clip_values": (0, 1)}
    AdversarialGenerator(source, attack=attack, **given).generate(X[:3], Y[:3])
    assert len(asked) > 10
