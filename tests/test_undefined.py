"""Figures that nothing counts for: nan, with a warning that says of what; intervals of a few are honest."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway.boundaries import gradient_alignment, inter_boundary_distance
from skhalfway.codes import CodeAgreement, CodeMap, Drift, code_agreement
from skhalfway.models import ModelWarning
from skhalfway.training import halfway_history
from skhalfway.transfer import Outcomes, TransferMatrix

X = np.random.RandomState(0).uniform(size=(40, 4))
Y = (X[:, 0] > 0.5).astype(int)
RIGHT, WRONG = (LogisticRegression(C=100).fit(X, labels) for labels in (Y, 1 - Y))
TREE = DecisionTreeClassifier(random_state=0).fit(X, Y)
CONSTANT = DummyClassifier(strategy="constant", constant=0).fit(X, Y)


class Rarely:
    """A black box that is right about two samples of one class, and one of the other."""

    classes_ = np.array([0, 1])

    def predict(self, rows: NDArray[Any]) -> NDArray[np.intp]:
        known = np.concatenate([np.flatnonzero(Y == 0)[:2], np.flatnonzero(Y == 1)[:1]])
        right = (rows[:, None] == X[known]).all(axis=2).any(axis=1)
        return np.where(right, rows[:, 0] > 0.5, rows[:, 0] <= 0.5).astype(int)


def flat() -> nn.Module:
    """A network whose units are all dead."""
    net = nn.Sequential(nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.fill_(-1)
    return net


def transfer(models: Any, eps: float = 0.05, **params: Any) -> TransferScorer:
    return TransferScorer(AdversarialGenerator(eps=eps), random_state=0, **params).fit(models)


def halfway(models: Any) -> HalfwayScorer:
    return HalfwayScorer(n_pairs=300, random_state=0).fit(models)


@cache
def code_map() -> CodeMap:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        net = MLPClassifier((4,), max_iter=50, random_state=0).fit(X, Y)
    return CodeMap(net, shape=(3, 3), n_iter=100, random_state=0).fit(X)


def agreement_of_codes(n: int) -> CodeAgreement:
    return code_agreement(code_map(), code_map(), X[:n])


THREE = {"right": RIGHT, "wrong": WRONG, "tree": TREE}
BUT_FOR_WRONG = [[False, True, False], [True] * 3, [False, True, False]]
# what is called, where its figures are nan, what the warning says
CALLS: dict[str, tuple[Callable[[], Any], Any, str]] = {
    "transfer": (
        lambda: transfer(THREE).transfer(X, Y).rates,
        BUT_FOR_WRONG,
        "no samples that source and target both classify correctly for 'right' -> 'wrong', 'wrong' -> "
        "'right', 'wrong' -> 'wrong', 'wrong' -> 'tree', 1 more .source -> target., so these rates are nan",
    ),
    "transfer of those fooled": (
        lambda: (
            transfer({"right": RIGHT, "tree": TREE}, 0.01, condition="source_fooled").transfer(X, Y).rates
        ),
        [[True] * 2] * 2,
        "and that fool the source for 'right' -> 'right', 'right' -> 'tree'",
    ),
    "curve": (
        lambda: transfer(THREE).transfer_curve(X, Y, eps=[0.01, 0.02]).rates[-1],
        BUT_FOR_WRONG,
        "both classify correctly for 'right' -> 'wrong'",
    ),
    "score over some pairs": (lambda: transfer(THREE).score(X, Y), False, "'right' -> 'wrong'"),
    "score": (
        lambda: transfer([RIGHT, WRONG]).score(X, Y),
        True,
        "no pair of models has a sample that counts, so the mean transfer rate is nan",
    ),
    "prediction": (
        lambda: halfway(THREE).predict_transfer(X, Y, eps=0.1),
        BUT_FOR_WRONG,
        "no sample is classified correctly by both 'right' and 'wrong', 'wrong', 'wrong' and 'tree', so",
    ),
    "crossings of one": (
        lambda: halfway({"right": RIGHT, "constant": CONSTANT}).measure(X, Y).deviation,
        [False, True],
        "model 'constant' does not classify both samples of any pair correctly",
    ),
    "crossings of two": (
        lambda: halfway({"tree": TREE, "rarely": Rarely()}).measure(X, Y).agreement,
        [[False, True], [True, True]],
        "the agreement of 'tree' and 'rarely', 'rarely' is nan: fewer than 3 pairs count for both",
    ),
    "boundaries": (
        lambda: inter_boundary_distance(RIGHT, WRONG, X, Y).medians,
        [True] * 3,
        "the distance between the boundaries is nan: source and target classify no sample right together",
    ),
    "boundaries out of reach": (
        lambda: inter_boundary_distance(RIGHT, TREE, X, Y, max_distance=1e-6).medians,
        [False, False, True],
        "neither boundary is met within max_distance=1e-06",
    ),
    "gradients": (
        lambda: gradient_alignment(RIGHT, flat(), X, Y),
        [True] * 40,
        "target has no gradient at 40 of 40 samples",
    ),
    "history": (
        lambda: halfway_history(
            MLPClassifier((2,), learning_rate_init=1e-9, random_state=0), X, Y, n_epochs=1, n_pairs=20
        ).deviation[-1],
        True,
        "in the last record the model classifies both samples of no pair right",
    ),
    "codes of one": (
        lambda: np.stack([agreement_of_codes(1).information, agreement_of_codes(1).cka]),
        [[[True] * 2] * 2] * 2,
        "(information|cka) is nan for 'activation_1' and 'activation_1', ",
    ),
    "codes of two": (
        lambda: agreement_of_codes(2).cka,
        [[True] * 2] * 2,
        "cka is nan for 'activation_1' and 'activation_1', .* fewer than 3",
    ),
}


@pytest.mark.parametrize(("call", "unknown", "message"), CALLS.values(), ids=CALLS)
@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")  # such models are doubtful too
def test_what_is_not_known_says_so(call: Callable[[], Any], unknown: Any, message: str) -> None:
    with pytest.warns(UndefinedMetricWarning) as caught:
        figures = call()
    assert np.isnan(figures).tolist() == unknown
    assert {warning.category for warning in caught} - {ModelWarning} == {UndefinedMetricWarning}
    said = [str(warning.message) for warning in caught if warning.filename == __file__]
    assert any(re.search(message, text) for text in said), said


@pytest.mark.parametrize("n", [0, 1, 2, 3, 9, 10])
def test_edges_of_how_many_samples_count_for_a_pair(n: int) -> None:
    """All of them fooled: a standard error would be 0, as if the rate were known for certain."""
    n_samples = 30
    labels = np.zeros((2, n_samples), dtype=int)
    clean = np.stack([labels[0], (np.arange(n_samples) >= n).astype(int)])
    ones, names = np.ones((2, 2, n_samples), dtype=int), ("a", "b")
    outcomes = Outcomes(names, names, names, np.arange(2), labels[0], clean, clean, ones[0], ones)
    matrix = TransferMatrix.of(outcomes)
    assert matrix.eligible.tolist() == [[30, n], [n, n]]
    low, high = matrix.confidence_interval()
    if n:
        assert matrix.rates.tolist() == [[1, 1], [1, 1]]
        # Wilson's interval, whose lower end is n / (n + z^2) here
        np.testing.assert_allclose(low[0, 1], n / (n + 1.959964**2), rtol=1e-6)
        assert high[0, 1] == 1
    else:
        assert np.isnan([matrix.mean_rate, low[0, 1], high[0, 1]]).all()
    assert np.isnan(matrix.confidence_interval(of="mean_rate")).all() == (n < 10)
    assert ("[no interval" in repr(matrix).splitlines()[0]) == (0 < n < 10)


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_edges_of_how_many_samples_drift(n: int) -> None:
    drift = Drift(("layer",), np.ones(n), np.ones((1, n)), np.zeros((1, n)))
    for figure in ("distance", "noise_distance"):
        # however many are the same, they say nothing of how far others may be
        assert np.isnan(drift.confidence_interval(of=figure)).all()
    assert drift.confidence_interval(of="noise_changed").high[0] > 0.2
    if n == 2:
        # Student's, of one degree of freedom, on the scale of the logarithm
        some = Drift(("layer",), np.ones(2), np.array([[0, 1.0]]), np.ones((1, 2)))
        low, high = some.confidence_interval(of="distance")
        np.testing.assert_allclose([low[0], high[0]], 0.5 * np.exp([-12.706, 12.706]), rtol=1e-3)


@pytest.mark.parametrize("n", [2, 3, 9, 10])
def test_edges_of_how_many_samples_share_codes(n: int) -> None:
    rows = np.concatenate([np.flatnonzero(Y == label)[: (n + 1) // 2] for label in (0, 1)])[:n]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # few codes
        homogeneity = code_map().homogeneity(X[rows], Y[rows], n_bootstrap=20, n_shuffles=5)
    for name in homogeneity.values:
        assert np.isnan(homogeneity.confidence_interval(of=name)).all() == (n < 10)
    assert "AMI" in repr(homogeneity)


@pytest.mark.parametrize("n", [2, 3])
def test_edges_of_how_many_samples_lie_between_boundaries(n: int) -> None:
    result = inter_boundary_distance(RIGHT, TREE, X[:n], Y[:n], direction="random", random_state=0)
    assert len(result) == n
    assert result.medians.source == np.median(result.source)


def test_codes_of_a_few_samples_agree_with_themselves() -> None:
    agreement = agreement_of_codes(10)
    np.testing.assert_allclose(agreement.cka.diagonal(), 1)
    np.testing.assert_allclose(agreement.information.diagonal(), 1)
