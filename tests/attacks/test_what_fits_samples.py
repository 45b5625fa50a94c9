"""Budgets and masks that do not fit the samples: what is said of them."""

from __future__ import annotations

from typing import Any

import foolbox
import numpy as np
import pytest
import torchattacks
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from torch import nn

from skhalfway import AdversarialGenerator, Constraints
from tests.attacks.budgets import BUDGETS, STAY, X_TRAIN, Y_TRAIN, N, X, Y

MASK = np.arange(N)[:, None] > 2


def of_net(**params: Any) -> AdversarialGenerator:
    return AdversarialGenerator(FrozenEstimator(LogisticRegression().fit(X_TRAIN, Y_TRAIN)), **params)


CANNOT_SLICE = "each row belongs to one sample, .* cross-validation .*: hand in the samples that they are for"
NOT_BUDGETS = [
    (
        np.full(N, 0.5),
        r"eps .* one for each feature, shape \(6,\); got shape \(30,\); .* as reshape\(-1, 1\) gives it",
    ),
    (np.full((7, 1), 0.5), f"eps has rows for 7 samples, but X has 30 samples; {CANNOT_SLICE}"),
    (np.full((31, 6), 0.5), f"eps has rows for 31 samples, but X has 30 samples; {CANNOT_SLICE}"),
    (
        np.full((N, 2), 0.5),
        r"got shape \(30, 2\); .* has shape \(30, 1\), .* and feature X's shape \(30, 6\)",
    ),
    (np.full((N, 1, 1), 0.5), r"got shape \(30, 1, 1\); one for each sample has shape \(30, 1\)"),
    (np.full((0, 1), 0.5), "eps has rows for 0 samples, but X has 30 samples"),
    (np.zeros((N, 1)), "no column may change: column 0, .* have no budget"),
    (-BUDGETS, r"eps\[0, 0\] must be a finite number >= 0, got -0.125"),
    ([[0.5]] * 29 + [[np.nan]], r"eps\[29, 0\] must be a finite number >= 0, got nan"),
    (np.where(STAY[:, None], np.inf, 0.5), r"eps\[4, 0\] must be a finite number >= 0, got inf"),
    (BUDGETS.astype(bool), r"eps\[0, 0\] must be a finite number >= 0, got True"),
    (np.where(STAY, 1e19, 0.5)[:, None], "eps of sample 4 must be at most 1e\\+18 .* got 1e\\+19"),
    (np.where(STAY, 1e19, 0.5)[:, None] * np.ones(6), "eps of sample 4 must be at most 1e\\+18"),
]


@pytest.mark.parametrize(("eps", "message"), NOT_BUDGETS, ids=[message for _, message in NOT_BUDGETS])
@pytest.mark.parametrize("attack", ["pgd", foolbox.attacks.LinfPGD])
def test_what_is_no_budget(attack: Any, eps: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        of_net(attack=attack, eps=eps).generate(X, Y)


def test_instances_have_one_budget() -> None:
    with pytest.raises(
        ValueError, match="has eps=0.5 but the generator eps=ndarray .* give the attack's class"
    ):
        net = PyTorchClassifier(nn.Linear(6, 3), nn.CrossEntropyLoss(), (6,), 3, device_type="cpu")
        one = ProjectedGradientDescent(net, eps=0.5, verbose=False)
        of_net(attack=one, eps=BUDGETS).generate(X, Y)
    with pytest.raises(
        ValueError, match="one eps=0.5 for all features and samples, but .* give the attack's class"
    ):
        net = nn.Linear(6, 3)
        of_net(attack=torchattacks.PGD(net, eps=0.5), eps=BUDGETS, clip_values=(-9, 9)).generate(X, Y)


GROUPS = Constraints(one_hot=[[1, 2, 3]])
PARTLY = np.ones((N, 6), dtype=bool)
PARTLY[4, 2] = False
NOT_MASKS = [
    (
        Constraints(mask=np.ones(N)),
        r"constraints.mask must have one .* got shape \(30,\); .*reshape\(-1, 1\)",
    ),
    (
        Constraints(mask=np.ones((7, 1))),
        f"constraints.mask has rows for 7 samples, but X has 30 .*{CANNOT_SLICE}",
    ),
    (Constraints(mask=np.zeros((N, 1))), "no column may change: column 0, .* are masked"),
    (Constraints([0], mask=np.arange(6) == 0), "no column may change"),
    (
        GROUPS.replaced(mask=PARTLY),
        "row 4 of constraints.mask lets 2 of 3 columns change in the one_hot group column 1, .* 3; let all",
    ),
    (GROUPS.replaced(mask=PARTLY[4]), "^constraints.mask lets 2 of 3 columns change in the one_hot group"),
]


@pytest.mark.parametrize(("rules", "message"), NOT_MASKS, ids=[message for _, message in NOT_MASKS])
def test_masks_that_do_not_fit(rules: Constraints, message: str) -> None:
    data = X_TRAIN.copy()
    data[:, 1:4] = np.eye(3)[np.arange(300) % 3]
    model = FrozenEstimator(LogisticRegression(max_iter=500).fit(data, Y_TRAIN))
    with pytest.raises(ValueError, match=message):
        AdversarialGenerator(model, eps=1.0, constraints=rules).generate(data[:N])


def test_groups_are_masked_as_a_whole_in_some_rows_and_immutable_ones_anyhow() -> None:
    data = X_TRAIN[:N].copy()
    data[:, 1:4] = np.eye(3)[np.arange(N) % 3]
    model = FrozenEstimator(LogisticRegression(C=100).fit(data, np.arange(N) % 3 == 0))
    mask = np.ones(data.shape, dtype=bool)
    mask[::2, 1:4] = False
    asked = AdversarialGenerator(model, eps=1.0, constraints=GROUPS.replaced(mask=mask))
    changed = (asked.transform(data) != data)[:, 1:4].any(axis=1)
    assert (changed[::2].any(), changed[1::2].all()) == (False, True)
    asked.set_params(constraints=GROUPS.replaced(immutable=[1, 2, 3], mask=PARTLY))
    assert (asked.transform(data) == data)[:, 1:4].all()


def test_a_fit_takes_any_number_of_samples() -> None:
    """What it checks is how far any of them may go, for it attacks none."""
    made = AdversarialGenerator(LogisticRegression(), eps=BUDGETS, constraints=Constraints(mask=MASK))
    assert made.fit(X_TRAIN, Y_TRAIN).transform(X).shape == X.shape
    with pytest.raises(
        ValueError, match=f"eps has rows for 30 samples, but X has 300 samples; {CANNOT_SLICE}"
    ):
        made.fit_transform(X_TRAIN, Y_TRAIN)
    with pytest.raises(ValueError, match=r"got shape \(30, 2\)"):
        AdversarialGenerator(LogisticRegression(), eps=BUDGETS * np.ones(2)).fit(X_TRAIN, Y_TRAIN)
    with pytest.raises(ValueError, match="no column may change"):
        AdversarialGenerator(LogisticRegression(), eps=0 * BUDGETS).fit(X_TRAIN, Y_TRAIN)
