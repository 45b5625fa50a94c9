"""Any call at all: a right result, or an error of one short line; and nothing of the user's is changed.

A few hundred calls are drawn, the same in every run; ``pytest --long`` draws 5,000, others in every run.
"""

from __future__ import annotations

import pickle
import random
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
import torchattacks
from art.attacks.evasion import FastGradientMethod, HopSkipJump
from art.estimators.classification import BlackBoxClassifierNeuralNetwork
from foolbox.attacks import LinfPGD
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway import AdversarialGenerator, Constraints, HalfwayScorer, TransferScorer
from skhalfway.attacks._parameters import KINDS
from skhalfway.models import ModelWarning

SECONDS = 20  # the alarm guards against loops without end, not against a slow machine
TRAIN = np.random.RandomState(0).rand(60, 4)
LABELS = (TRAIN[:, 0] + TRAIN[:, 1] > 1).astype(int)


class BlackBox:
    """A rule, in predictions only, with a fault or without."""

    classes_ = np.array([0, 1])

    def __init__(self, fault: Callable[[Any, Any], Any] = lambda X, labels: labels) -> None:
        self.fault = fault

    def predict(self, X: Any) -> Any:
        return self.fault(X, (X[:, 0] > 0.5).astype(int))


def raising(error: Exception) -> Callable[[Any, Any], Any]:
    def fault(X: Any, labels: Any) -> Any:
        raise error

    return fault


def overwriting(X: Any, labels: Any) -> Any:
    X[:] = 0
    return labels


FAULTS: dict[str, Callable[[Any, Any], Any]] = {
    "one label short": lambda X, labels: labels[:-1],
    "one label more": lambda X, labels: np.append(labels, 0),
    "one label for all": lambda X, labels: labels[:1],
    "no label": lambda X, labels: None,
    "NaN": lambda X, labels: np.full(len(X), np.nan),
    "unknown": lambda X, labels: labels + 7,
    "texts": lambda X, labels: labels.astype(str),
    "two columns": lambda X, labels: np.eye(2)[labels],
    "raises": raising(ZeroDivisionError("no\nluck " * 100)),
    "raises ValueError": raising(ValueError("no\nluck " * 100)),
    "out of memory": raising(MemoryError("")),
    "writes into its input": overwriting,
}


class Scores(nn.Module):
    """A network whose logits have a fault."""

    def __init__(self, fault: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.layer, self.fault = nn.Linear(4, 2), fault

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fault(self.layer(x.flatten(1)))


def network(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), *layers, nn.ReLU(), nn.Linear(8, 2))
    inputs, labels = torch.tensor(TRAIN, dtype=torch.float32), torch.tensor(LABELS)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(inputs), labels).backward()
        optimizer.step()
    return net  # in training mode, with gradients: as they come from a training loop


def trained(estimator: Any) -> Callable[[], Any]:
    return lambda: estimator.fit(TRAIN, LABELS)


MODELS: dict[str, Callable[[], Any]] = {
    "logistic": trained(LogisticRegression()),
    "svm": trained(SVC()),
    "tree": trained(DecisionTreeClassifier(max_depth=4, random_state=0)),
    "forest": trained(RandomForestClassifier(5, max_depth=3, random_state=0)),
    "boosting": trained(HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=5)),
    "neighbours": trained(KNeighborsClassifier(3, algorithm="brute")),
    "bayes": trained(GaussianNB()),
    "perceptron": trained(MLPClassifier((5,), solver="lbfgs", max_iter=200, tol=1e-2, random_state=0)),
    "pipeline": trained(make_pipeline(StandardScaler(), LogisticRegression())),
    "net": network,
    "net of float64": lambda: network().double(),
    "net that drops out": lambda: network(nn.BatchNorm1d(8), nn.Dropout()),
    "frozen net": lambda: network().requires_grad_(False),
    "black box": BlackBox,
    **{name: lambda fault=fault: BlackBox(fault) for name, fault in FAULTS.items()},
    "NaN logits": lambda: Scores(lambda z: z * torch.nan),
    "infinite logits": lambda: Scores(lambda z: z * torch.inf),
    "three axes": lambda: Scores(lambda z: z[None, :, None]),
    "a logit short": lambda: Scores(lambda z: z[1:]),
}
FAULTY = [*FAULTS, "NaN logits", "infinite logits", "three axes", "a logit short"]
SOUND = [name for name in MODELS if name not in FAULTY]


@cache
def model(name: str) -> Any:
    return MODELS[name]()


def whole(X: Any) -> Any:
    return np.round(3 * np.nan_to_num(X, posinf=1))


CONTAINERS: dict[str, Callable[[Any], Any]] = {
    "float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "int64": lambda X: whole(X).astype(np.int64),
    "bool": lambda X: X > 0.5,
    "list": lambda X: X.tolist(),
    "frame": pd.DataFrame,
    "frame of two types": lambda X: pd.DataFrame(whole(X)).astype({0: np.float32, 1: np.int64}),
    "tensor": lambda X: torch.tensor(X, dtype=torch.float32),
    "tensor with gradient": lambda X: torch.tensor(X).requires_grad_(),
    "Fortran": np.asfortranarray,
    "reversed": lambda X: X[::-1, ::-1],
    "read-only": lambda X: np.lib.stride_tricks.as_strided(X, writeable=False),
    "images": lambda X: X.reshape(-1, 1, 2, 2),
}
SPOILS: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda X: X,
    "all the same": lambda X: np.full_like(X, 0.5),
    "one sample": lambda X: X[:1],
    "far away": lambda X: 100 * X,
    "whole numbers": whole,
    "missing values": lambda X: np.where(X < 0.2, np.nan, X),
    "infinity": lambda X: np.where(X == X.max(), np.inf, X),
    "too wide": lambda X: np.hstack([X, X]),
    "no samples": lambda X: X[:0],
}
NO_SAMPLES: dict[str, Any] = {
    "None": None,
    "words": [["a"] * 4] * 3,
    "1-d": TRAIN[0],
    "ragged": [[1.0], [1.0, 2.0]],
    "complex": TRAIN + 1j,
    "sparse": sp.csr_array(TRAIN),
    "dict": {"a": [1.0]},
}
LABEL_KINDS: dict[str, Callable[[int], Any]] = {
    "none": lambda n: None,
    "true": lambda n: LABELS[:n],
    "list": lambda n: LABELS[:n].tolist(),
    "tensor": lambda n: torch.tensor(LABELS[:n]),
    "of another kind": lambda n: np.where(LABELS[:n], "yes", "no"),
    "too few": lambda n: LABELS[: n - 1],
    "NaN": lambda n: np.full(n, np.nan),
    "unknown": lambda n: LABELS[:n] + 5,
}


def nudged(model: Any, X: Any, y: Any) -> Any:
    return X + np.random.choice([-1, 1], X.shape)


EACH = np.array([0.1, 0.0, 0.3, 0.2])
BLIND = BlackBoxClassifierNeuralNetwork(lambda X: X[:, :2], (4,), 2)
SETTINGS: dict[str, list[Any]] = {
    "attack": ["auto", *KINDS, FastGradientMethod, LinfPGD, torchattacks.PGD, nudged],
    "norm": [np.inf, 2, 1],
    "eps": [0.1, 0.3, 1, 1e-9, EACH, EACH.tolist(), dict.fromkeys(range(4), 0.1)],
    "eps_unit": ["input", "std", "range"],
    "clip_values": [(0, 1), (-1, 2), (0, np.inf), (np.zeros(4), np.ones(4))],
    "constraints": [
        Constraints(immutable=[0]),
        Constraints(integer=[1]),
        Constraints(increasing=[2], decreasing=[3]),
        Constraints(projection=lambda X_adv, X: np.clip(X_adv, X - 0.05, X + 0.05)),
    ],
    "max_iter": [1, 2, 12],
    "max_queries": [1, 2, 30],
    "step_size": [None, 0.05, 1],
    "n_restarts": [1, 2],
    "random_start": [False, True],
    "batch_size": [1, 3, 256],
    "device": [None, "cpu", torch.device("cpu"), ["cpu", "cpu"]],
    "dtype": [None, "bfloat16", "float16"],
    "attack_params": [None, {}],
}
# at the limits of what is allowed, or beyond
ODD: dict[str, list[Any]] = {
    "attack": ["magic", 3, SVC, None, HopSkipJump(BLIND, verbose=False)],
    "norm": [3, "inf", True, np.nan],
    "eps": [5e-324, 1e300, np.inf, 0, -1, np.nan, None, "a", True, 0 * EACH, EACH[:2], {0: 0.1}],
    "eps_unit": ["metre", None],
    "clip_values": [(1, 0), (0,), (np.nan, 1), 3, "ab", (0.4, 0.6), (-np.inf, np.inf)],
    "constraints": [
        Constraints(projection=lambda X_adv, X: X_adv[:, :1]),
        Constraints(projection=lambda X_adv, X: 1 / 0),
        Constraints(one_hot=[(0, 1)]),
        Constraints(immutable=[9]),
        Constraints(immutable=range(4)),
        "none",
    ],
    "max_iter": [0, 1.5, "3", None],
    "max_queries": [0, None],
    "step_size": [5e-324, 1e300, 0, "a", np.inf],
    "n_restarts": [0, True],
    "random_start": ["yes", None, 1],
    "batch_size": [0, 10**30],
    "device": ["nope", "meta", "cuda:77", 3.5, [], ["cpu", None], ["cpu", "meta"]],
    "dtype": ["float32", 16, torch.bfloat16],
    "attack_params": [{"decay": 0.5}, {"n_rounds": 1}, {"nonsense": 1}, [1]],
    "random_state": [-1, "a", 3.5],
}
# drawn in nearly every case, so that most of the calls come to an attack
USUAL: dict[str, Any] = {"max_iter": 2, "max_queries": 30, "random_state": 0}


SAMPLES_OUT = ("generate", "transform", "fit")


@dataclass(frozen=True)
class Case:
    """A call: names of what is drawn, so that a failure can be read."""

    action: str
    models: tuple[str, ...]
    samples: str
    container: str
    labels: str
    target: Any
    params: dict[str, Any]

    def data(self) -> tuple[Any, Any]:
        n = 1 if self.samples == "one sample" else 7
        if self.samples in NO_SAMPLES:
            return NO_SAMPLES[self.samples], LABEL_KINDS[self.labels](n)
        return CONTAINERS[self.container](SPOILS[self.samples](TRAIN[:7].copy())), LABEL_KINDS[self.labels](n)

    def budget(self) -> dict[str, Any]:
        return {name: value for name, value in self.params.items() if name in ("eps", "norm")}


def mostly(usual: list[str], rare: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(usual * (4 * len(rare) // len(usual)) + rare)


def drawn_from(table: dict[str, list[Any]], most: int) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.sampled_from([(name, value) for name, values in table.items() for value in values])
    return st.lists(pairs, max_size=most).map(dict)


PARAMS = st.builds(
    lambda *parts: USUAL | parts[0] | parts[1],
    drawn_from(SETTINGS, 4),
    st.one_of(st.just({}), st.just({}), drawn_from(ODD, 1)),
)
CASES = st.builds(
    Case,
    action=st.sampled_from([*SAMPLES_OUT, "generate", "transfer", "curve", "robust", "paths", "predict"]),
    models=st.tuples(mostly(SOUND, FAULTY), st.sampled_from(SOUND)),
    samples=mostly([*SPOILS][:5], [*SPOILS, *NO_SAMPLES]),
    container=st.sampled_from([*CONTAINERS]),
    labels=mostly([*LABEL_KINDS][:4], [*LABEL_KINDS]),
    target=st.sampled_from([None, None, None, 0, 1, 7]),
    params=PARAMS,
)


def bits(value: Any) -> Any:
    """All of a value, as something that compares."""
    if isinstance(value, nn.Module):
        parts = [(m.training, len(m._forward_hooks), len(m._backward_hooks)) for m in value.modules()]
        weights = [(w.requires_grad, None if w.grad is None else bits(w.grad)) for w in value.parameters()]
        return parts, weights, [bits(array) for array in value.state_dict().values()]
    if isinstance(value, torch.Tensor):
        return value.detach().numpy().tobytes(), value.requires_grad, value.grad is None
    if isinstance(value, np.ndarray):
        return value.tobytes(), value.flags.writeable, value.dtype
    if isinstance(value, BlackBox):
        return value.fault
    return joblib.hash(value) if hasattr(value, "fit") else pickle.dumps(value)


def surroundings() -> tuple[Any, ...]:
    return (
        pickle.dumps(np.random.get_state()),
        random.getstate(),
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        [str(entry) for entry in warnings.filters],
        np.geterr(),
        threading.active_count(),
    )


@contextmanager
def alarm() -> Iterator[None]:
    def ring(*_: Any) -> None:
        raise AssertionError(f"no end after {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def run(case: Case, X: Any, y: Any) -> Any:
    generator = AdversarialGenerator(**case.params)
    sources = [model(name) for name in case.models]
    if case.action in SAMPLES_OUT:
        frozen = FrozenEstimator(sources[0]) if hasattr(sources[0], "fit") else sources[0]
        generator.set_params(estimator=frozen)
        if case.action == "fit":
            generator.fit(X, y)
        if case.action == "generate" and case.target is not None:
            return generator.generate(X, target=case.target)
        return generator.generate(X, y) if case.action == "generate" else generator.transform(X)
    both = {"first": sources[0], "second": sources[1]}
    if case.action in ("paths", "predict"):
        halfway = HalfwayScorer(n_pairs=3, random_state=0).fit(both)
        if case.action == "paths":
            return halfway.measure(X, y).crossings
        return halfway.predict_transfer(X, y, **{"eps": 0.1} | case.budget())
    scorer = TransferScorer(generator, random_state=0).fit(both)
    if case.action == "robust":
        return scorer.robust_accuracy(model("logistic"), X, y)
    if case.action == "transfer":
        return scorer.transfer(X, y)
    return scorer.transfer_curve(X, y, eps=[0.05, 0.2])


def plain(X: Any) -> Any:
    """Samples as an array or a frame that numpy subtracts in their own float type."""
    if isinstance(X, torch.Tensor):
        return X.detach().numpy()
    truths = isinstance(X, np.ndarray) and X.dtype.kind == "b"
    return np.array(X, dtype=float) if truths or isinstance(X, list) else X


def check_samples(case: Case, X: Any, X_adv: Any) -> None:
    """What a result must keep to: the container, the budget, the range and the constraints."""
    assert type(X_adv) is (np.ndarray if isinstance(X, list) else type(X))
    own, made = (plain(X), plain(X_adv))
    start, end = np.array(own, dtype=float), np.array(made, dtype=float)
    assert start.shape == end.shape
    if hasattr(X, "dtypes"):
        types = [(np.dtype(float) if t.kind in "biu" else t) for t in X.dtypes]
        assert types == list(X_adv.dtypes)
    elif hasattr(X, "dtype"):
        floating = X.is_floating_point() if isinstance(X, torch.Tensor) else X.dtype.kind == "f"
        assert X_adv.dtype == (X.dtype if floating else np.float64)
    np.testing.assert_array_equal(np.isfinite(start), np.isfinite(end))
    # in the float type of the data, as a user would check it
    change = np.nan_to_num(np.array(made - own, dtype=float)).reshape(len(start), -1)
    eps, norm = case.params.get("eps", 0.1), case.params.get("norm", np.inf)
    eps = np.array(list(eps.values())) if isinstance(eps, dict) else np.asarray(eps, dtype=float)
    unit = {"std": np.nanstd, "range": lambda x, axis: np.nanmax(x, axis) - np.nanmin(x, axis)}
    scale = np.ones(change.shape[1])
    if (measure := unit.get(case.params.get("eps_unit", "input"))) is not None:
        scale = measure(start.reshape(len(start), -1), axis=0)
    if eps.ndim:
        scale, eps = scale * eps, np.array(1.0)
    assert not change[:, scale == 0].any()
    lengths = np.linalg.norm(change / np.where(scale == 0, 1, scale), norm, axis=1)
    assert (lengths <= eps * (1 + 1e-6) + 1e-12).all()
    if (clip := case.params.get("clip_values")) is not None:
        low, high = clip
        inside = (end >= low) & (end <= high) | np.isnan(end)
        assert inside.all()
    rules, rows = case.params.get("constraints") or Constraints(), end.reshape(len(end), -1)
    assert not change[:, list(rules.immutable)].any()
    assert (rows[:, list(rules.integer)] % 1 == 0).all()
    assert (change[:, list(rules.increasing)] >= 0).all() and (change[:, list(rules.decreasing)] <= 0).all()


def check_result(case: Case, X: Any, y: Any, result: Any) -> None:
    if case.action in SAMPLES_OUT:
        check_samples(case, X, result)
        return
    if case.action in ("robust", "paths", "predict"):
        known = np.asarray(result)[~np.isnan(result)]
        assert ((known >= 0) & (known <= 1)).all()
        return
    for matrix in [result] if case.action == "transfer" else result.matrices:
        assert matrix.names == ("first", "second")
        assert (matrix.eligible <= len(X)).all() and (matrix.source_eligible <= len(X)).all()
        np.testing.assert_array_equal(np.diag(matrix.fooled), matrix.source_fooled)
        assert ((matrix.rates >= 0) & (matrix.rates <= 1) | (matrix.eligible == 0)).all()


def check(case: Case) -> None:
    X, y = case.data()
    mine = [X, y, *(model(name) for name in case.models)]
    before, around = [bits(value) for value in mine], surroundings()
    result, error = None, None
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        filters = list(warnings.filters)
        try:
            with alarm():
                result = run(case, X, y)
        except (TypeError, ValueError, RuntimeError) as caught:
            error = caught
        assert warnings.filters == filters
    assert [bits(value) for value in mine] == before
    assert surroundings() == around
    expected = (ModelWarning, UndefinedMetricWarning)
    told = []
    if case.container.startswith(("int", "uint")):
        told.append("X holds whole numbers")
    if isinstance(eps := case.params.get("eps"), float) and eps < 1e-6:
        told.append("the budget is too small for a step")
    strange = [
        w for w in warned if not (issubclass(w.category, expected) or str(w.message).startswith(tuple(told)))
    ]
    assert not strange, strange[0].message
    if error is None:
        check_result(case, X, y, result)
        return
    message = str(error)
    assert message and len(message) < 500 and "\n" not in message
    if isinstance(error, RuntimeError):
        assert message.startswith("model '")


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no alarm on this system")
def test_any_call(request: pytest.FixtureRequest) -> None:
    # what is imported now adds filters of warnings
    run(Case("generate", ("net",), "nothing", "float64", "none", None, USUAL), TRAIN, None)
    long = request.config.getoption("--long")
    draws = settings(
        max_examples=5000 if long else 100,
        derandomize=not long,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    draws(given(CASES)(check))()
