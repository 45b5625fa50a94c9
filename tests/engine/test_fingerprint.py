"""Fingerprints: the same for the same content, in any process; another for any change of what answers."""

from __future__ import annotations

import os
import pickle
import runpy
import subprocess
import sys
import threading
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway.engine._fingerprint import UnknownContentError, fingerprint

rng = np.random.default_rng(0)
X, y = rng.normal(size=(60, 4)), np.arange(60) % 3


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


def skorch_net(seed: int = 0) -> NeuralNetClassifier:
    model = NeuralNetClassifier(net(seed), criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0)
    torch.manual_seed(seed)
    return model.fit(X.astype(np.float32), y)


def art_classifier(seed: int = 0, loss: type[nn.Module] = nn.CrossEntropyLoss):
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(net(seed), loss(), (4,), 3)


# how each is made, anew each time; and another that differs in one thing
MODELS = {
    "linear": (lambda: LogisticRegression().fit(X, y), lambda: LogisticRegression(C=2).fit(X, y)),
    "svc": (lambda: SVC().fit(X, y), lambda: SVC().fit(X[:-1], y[:-1])),
    "forest": (
        lambda: RandomForestClassifier(5, random_state=0).fit(X, y),
        lambda: RandomForestClassifier(5, random_state=1).fit(X, y),
    ),
    "boosting": (
        lambda: HistGradientBoostingClassifier(max_iter=2, random_state=0).fit(X, y),
        lambda: HistGradientBoostingClassifier(max_iter=3, random_state=0).fit(X, y),
    ),
    "neighbors": (lambda: KNeighborsClassifier().fit(X, y), lambda: KNeighborsClassifier(3).fit(X, y)),
    "mlp": (
        lambda: MLPClassifier((3,), max_iter=300, random_state=0).fit(X, y),
        lambda: MLPClassifier((3,), max_iter=300, random_state=1).fit(X, y),
    ),
    "pipeline": (
        lambda: make_pipeline(StandardScaler(), FunctionTransformer(lambda x: x + 1), SVC()).fit(X, y),
        lambda: make_pipeline(StandardScaler(), FunctionTransformer(lambda x: x + 2), SVC()).fit(X, y),
    ),
    "torch": (net, lambda: net(1)),
    "skorch": (skorch_net, lambda: skorch_net(1)),
    "art": (art_classifier, lambda: art_classifier(1)),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", MODELS)
def test_a_model_made_anew_is_the_same_and_another_one_is_not(name):
    make, other = MODELS[name]
    assert fingerprint(make()) == fingerprint(make())
    assert fingerprint(make()) != fingerprint(other())
    if name not in ("pipeline", "art"):  # lambdas are not pickled; ART's pickle is a file
        assert fingerprint(pickle.loads(pickle.dumps(make()))) == fingerprint(make())


def test_boosting_of_other_libraries():
    catboost = pytest.importorskip("catboost")
    lightgbm, xgboost = pytest.importorskip("lightgbm"), pytest.importorskip("xgboost")
    makers = [
        lambda n: catboost.CatBoostClassifier(
            iterations=n, verbose=0, allow_writing_files=False, thread_count=1
        ),
        lambda n: lightgbm.LGBMClassifier(n_estimators=n, verbose=-1, n_jobs=1),
        lambda n: xgboost.XGBClassifier(n_estimators=n, n_jobs=1),
    ]
    for make in makers:
        assert fingerprint(make(3).fit(X, y)) == fingerprint(make(3).fit(X, y))
        assert fingerprint(make(3).fit(X, y)) != fingerprint(make(4).fit(X, y))


def scaled(factor: float, *, bias: float = 0.0):
    def scale(x):
        return factor * x + bias

    return scale


class Threshold(ClassifierMixin, BaseEstimator):
    """A user's own classifier."""

    def __init__(self, at: float = 0.0) -> None:
        self.at = at
        self.classes_ = np.array([0, 1])

    def predict(self, X):
        return (X[:, 0] > self.at).astype(int)


SHARED = [1.0, 2.0]
CYCLE: list[object] = [1]
CYCLE.append(CYCLE)
OTHER_CYCLE: list[object] = [2]
OTHER_CYCLE.append(OTHER_CYCLE)


CONTENTS = [
    (1, 1, [1.0, True, "1", np.int64(1), None]),
    (0.0, 0.0, [-0.0, 0, False, ""]),
    (b"a", b"a", ["a", bytearray(b"a")]),
    ([1, 2], [1, 2], [(1, 2), [2, 1], [[1], 2], {1, 2}]),
    ([SHARED, SHARED], [[1.0, 2.0], [1.0, 2.0]], [[SHARED, [1.0, 2]], [SHARED]]),
    ({"a": 1, "b": 2}, {"a": 1, "b": 2}, [{"b": 2, "a": 1}, {"a": 2, "b": 1}, {"a": 1}]),
    ({1, 2, "x"}, {"x", 2, 1}, [{1, 2}, frozenset({1, 2, "x"})]),
    (CYCLE, CYCLE, [OTHER_CYCLE, [1, [1]], [1]]),
    (X, X.copy(), [X.astype(np.float32), X[:-1], X.reshape(30, 8), X + 1e-16, X.T]),
    (X.T, np.asfortranarray(X.T), [X]),
    (np.array(["a", None], dtype=object), np.array(["a", None], dtype=object), [np.array(["a", "b"])]),
    (torch.ones(2, 3), torch.ones(2, 3), [torch.ones(3, 2), torch.ones(2, 3).double(), np.ones((2, 3))]),
    (torch.ones(2).bfloat16(), torch.ones(2).bfloat16(), [torch.ones(2).half()]),
    (np.random.RandomState(0), np.random.RandomState(0), [np.random.RandomState(1)]),
    (np.random.default_rng(0), np.random.default_rng(0), [np.random.default_rng(1)]),
    (scaled(2.0), scaled(2.0), [scaled(3.0), scaled(2.0, bias=1.0)]),
    (lambda x: x + 1, lambda x: x + 1, [lambda x: x + 2, lambda x: x - 1, lambda x, y=1: x + 1]),
    (partial(scaled, 2), partial(scaled, 2), [partial(scaled, 3), partial(scaled, factor=2)]),
    (Threshold(1.0), Threshold(1.0), [Threshold(2.0), Threshold]),
    (Threshold(1.0).predict, Threshold(1.0).predict, [Threshold(2.0).predict, Threshold(1.0).score]),
    (np.log, np.log, [np.exp, len]),
    (np, np, [sys, "numpy"]),
]


@pytest.mark.parametrize("number", range(len(CONTENTS)))
def test_equal_content_is_equal_and_other_content_is_not(number):
    one, same, others = CONTENTS[number]
    assert fingerprint(one) == fingerprint(same)
    different = [fingerprint(one), *map(fingerprint, others)]
    assert len(set(different)) == len(different)


def test_arguments_do_not_run_into_each_other():
    assert (
        len({fingerprint("a", "b"), fingerprint("ab"), fingerprint(("a", "b")), fingerprint("a", "b", "")})
        == 4
    )


def test_code_counts_with_the_globals_it_names():
    """A helper or a constant that a user's function relies on, and its class."""
    code = "FACTOR = 2\ndef helper(x):\n    return FACTOR * x\ndef attack(m, X, y):\n    return helper(X)\n"
    code += "class Model:\n    def predict(self, X):\n        return helper(X)\n"

    def made(changed: str) -> tuple[str, str]:
        space: dict[str, object] = {"__name__": "a_users_module"}
        exec(changed, space)
        return fingerprint(space["attack"]), fingerprint(space["Model"])

    assert made(code) == made(code)
    assert made("# a comment\n" + code) == made(code)
    for was, now in [("FACTOR = 2", "FACTOR = 3"), ("FACTOR * x", "FACTOR + x")]:
        assert all(a != b for a, b in zip(made(code.replace(was, now)), made(code), strict=True))


def test_the_loss_of_an_art_classifier_counts():
    """ART's attacks follow it."""
    assert fingerprint(art_classifier()) != fingerprint(art_classifier(loss=nn.MultiMarginLoss))


class InTurn(nn.Module):
    """Layers in the order in which they stand in a dict."""

    def __init__(self, order: str) -> None:
        super().__init__()
        layers = {"a": nn.Tanh(), "b": nn.Softmax(dim=1)}
        self.layers = nn.ModuleDict({name: layers[name] for name in order})

    def forward(self, x):
        for layer in self.layers.values():
            x = layer(x)
        return x


def test_the_order_of_layers_counts():
    assert fingerprint(InTurn("ab")) == fingerprint(InTurn("ab")) != fingerprint(InTurn("ba"))


def test_recursion_ends():
    def factorial(n):
        return n * factorial(n - 1) if n else 1

    class Node:
        def copy(self):
            return Node()

    assert fingerprint(factorial) == fingerprint(factorial)
    assert fingerprint(Node()) == fingerprint(Node())


def test_the_same_in_another_process(tmp_path, capsys):
    """Whatever the seed of texts' hashes."""
    program = Path(__file__).read_text("utf-8").split("MODELS = {")[0]
    program += "\nimport warnings; warnings.simplefilter('ignore')"
    program += "\nforest = RandomForestClassifier(5, random_state=0).fit(X, y)"
    program += "\nprint(fingerprint(forest, net(), {'a', 'b', 'c'}, net))"
    script = tmp_path / "script.py"
    script.write_text(program)
    # this process has another seed: a random one, unless it was set
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    printed = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=True
    ).stdout
    capsys.readouterr()
    with warnings.catch_warnings():
        runpy.run_path(str(script), run_name="__main__")
    assert capsys.readouterr().out == printed
    assert printed.strip().isalnum()


class Service:
    """What answers over a connection."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Keyed(Service):
    def __init__(self, key: str) -> None:
        super().__init__()
        self.__skhalfway_key__ = key


def test_what_has_no_content_is_refused_unless_it_says_what_it_is():
    with pytest.raises(UnknownContentError, match="content of lock cannot be read"):
        fingerprint(Service())
    assert fingerprint(Keyed("a")) == fingerprint(Keyed("a")) != fingerprint(Keyed("b"))


PIECE = """
from dataclasses import dataclass, field
from skhalfway.attacks import Momentum, Piece, Recipe
from skhalfway.engine._fingerprint import fingerprint

@dataclass(frozen=True)
class Softened(Piece):
    kind, name, paper = "loss", "softened", "ours"
    power: float = field(default=2.0, metadata={"unit": "none"})

    def slope(self, run, logits, own):
        return logits.softmax(1) ** self.power - own.float()
"""
TOLD = "\nprint(fingerprint(Recipe(Softened(), Momentum())), fingerprint(Recipe(Softened(3.0), Momentum())))"


@pytest.mark.parametrize("imported", [False, True])
def test_a_piece_of_ones_own_is_known_by_its_code_and_parameters(tmp_path, imported):
    """Defined in a script, or in a module that a script imports."""

    def told(code, seed):
        for name, text in {"own.py": code, "script.py": "from own import *" if imported else code}.items():
            (tmp_path / name).write_text(text + (TOLD if name == "script.py" else ""))
        env = {**os.environ, "PYTHONHASHSEED": seed}
        done = subprocess.run([sys.executable, "script.py"], capture_output=True, env=env, cwd=tmp_path)
        assert not done.returncode, done.stderr.decode()
        return done.stdout.split()

    first = told(PIECE, "1")
    assert first == told(PIECE, "2")
    assert len(set(first)) == 2
    for change in (("** self", "* self"), ("default=2.0", "default=4.0")):
        assert not {*first} & {*told(PIECE.replace(*change), "1")}


def test_what_holds_an_object_without_content_is_named():
    lock = threading.Lock()

    def guarded(X):
        with lock:
            return X

    with pytest.raises(UnknownContentError, match="content of lock cannot be read, which .*guarded uses: "):
        fingerprint({"attack": guarded})
    with pytest.raises(
        UnknownContentError, match="content of lock cannot be read, which is part of a Service: "
    ):
        fingerprint([Service()])
    with pytest.raises(UnknownContentError, match="content of lock cannot be read: "):
        fingerprint([lock])
