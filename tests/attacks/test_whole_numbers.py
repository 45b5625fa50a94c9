"""Whole numbers that are attacked as floats: said once a call, unless constraints say what is valid."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from skhalfway import AdversarialGenerator, Constraints, TransferScorer
from skhalfway.models import ModelWarning

X = np.random.RandomState(0).randint(0, 255, size=(30, 6))
Y = (X[:, 0] > 127).astype(int)
MATCH = r"X holds whole numbers \({}\), and .* may lie between .*Constraints\(integer=range\(6\)\) to keep"


def rounded(X_adv: Any, X: Any) -> Any:
    return np.round(X_adv)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int64"])
def test_an_array_of_whole_numbers_is_spoken_of(dtype: str) -> None:
    generator = AdversarialGenerator(nn.Linear(6, 2), attack="pgd", eps=4.5, clip_values=(0, 255))
    with pytest.warns(UserWarning, match=MATCH.format(dtype)) as caught:
        X_adv = generator.generate(X.astype(dtype), Y)
    assert len(caught) == 1 and (X_adv != np.round(X_adv)).any()
    with pytest.warns(UserWarning, match=MATCH.format(dtype)):
        generator.generate(torch.tensor(X.astype(dtype)), Y)


@pytest.mark.parametrize("rule", [{"integer": range(6)}, {"integer": [0]}, {"projection": rounded}])
def test_who_says_what_is_valid_is_told_nothing(rule: dict[str, Any]) -> None:
    rules = Constraints(**rule)
    generator = AdversarialGenerator(
        nn.Linear(6, 2), attack="pgd", eps=4.5, clip_values=(0, 255), constraints=rules
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        X_adv = generator.generate(X.astype(np.uint8), Y)
    assert (X_adv[:, 0] == np.round(X_adv[:, 0])).all() and (X_adv != X).any()


@pytest.mark.parametrize("given", [X.astype(float), X > 100, pd.DataFrame(X, columns=list("abcdef"))])
def test_floats_truths_and_columns_are_not(given: Any) -> None:
    generator = AdversarialGenerator(nn.Linear(6, 2), attack="pgd", eps=5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generator.generate(given, Y)


def test_scorers_say_so_too() -> None:
    models = {"lr": LogisticRegression(max_iter=1000).fit(X, Y), "net": nn.Linear(6, 2)}
    scorer = TransferScorer(AdversarialGenerator(attack="pgd", eps=4.5, clip_values=(0, 255)), random_state=0)
    scorer.fit(models)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        for measure in (
            lambda: scorer.transfer(X, Y),
            lambda: scorer.transfer_curve(X, Y, eps=[2, 5]),
            lambda: scorer.robustness(models["lr"], X, Y),
        ):
            with pytest.warns(UserWarning, match=MATCH.format("int64")):
                measure()
