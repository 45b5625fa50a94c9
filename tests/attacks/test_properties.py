"""What holds for every source, attack and norm: one table, one test for each property."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import Any

import foolbox
import joblib
import numpy as np
import pytest
import torch
import torchattacks
from art.attacks.evasion import DeepFool, ProjectedGradientDescent
from numpy.typing import NDArray

from skhalfway import AdversarialGenerator
from skhalfway._streams import Streams
from skhalfway.attacks._norms import random_ends, random_signs
from skhalfway.models import Model, as_model

EPS = {np.inf: 0.2, 2: 1.2, 1: 5.0, 0: 5}


@dataclass(frozen=True)
class Row:
    source: str
    attack: Any
    norm: float

    def __str__(self) -> str:
        return f"{self.source}-{getattr(self.attack, '__name__', self.attack)}-{self.norm}"


DIFFERENTIABLE = ["logistic", "svc", "mlp", "pca", "skorch", "cnn", "art"]
NORMS = (np.inf, 2, 1)
# an attack sees a gradient, whatever it is of: every two of source, attack and norm
GRADIENT = [
    Row(source, attack, NORMS[(i + k) % 3])
    for i, source in enumerate(DIFFERENTIABLE)
    for k, attack in enumerate(("fgsm", "pgd", "mifgsm"))
] + [Row(source, "apgd", norm) for source, norm in zip(("svc", "cnn", "svc"), NORMS, strict=True)]
MINIMUM = [
    *(Row(s, "deepfool", norm) for s, norm in (("svc", np.inf), ("cnn", 2), ("forest", np.inf))),
    *(Row(s, "fmn", norm) for s, norm in (("svc", 2), ("cnn", np.inf), ("cnn", 1), ("forest", 2))),
    *(Row(source, "sigmazero", 0) for source in ("svc", "cnn")),
]
SMOOTHED = [Row("forest", "pgd", np.inf), Row("knn", "pgd", 2), Row("forest", "pgd", 1)]
QUERIES = [
    Row("opaque", "auto", np.inf),
    *(
        Row(source, attack, (np.inf, 2)[(i + k) % 2])
        for i, source in enumerate(("forest", "cnn"))
        for k, attack in enumerate(("hopskipjump", "halfway"))
    ),
    # images are searched in other ways, in each norm
    *(Row(source, "square", norm) for source in ("forest", "cnn") for norm in (np.inf, 2)),
    Row("opaque", "surrogate", np.inf),
    Row("knn", "surrogate", 2),
]
TREES = [Row("forest", "tree", norm) for norm in (np.inf, 2, 1)]
ART = [
    *(Row(s, ProjectedGradientDescent, norm) for s, norm in zip(("svc", "cnn", "art"), NORMS, strict=True)),
    *(Row(source, DeepFool, 2) for source in ("pca", "skorch", "cnn")),
    *(Row(source, "instance", norm) for source, norm in (("logistic", np.inf), ("art", 2))),
]
FOREIGN = [
    Row(source, attack, norm)
    for source, attack, norm in (
        ("svc", foolbox.attacks.FGSM, np.inf),
        ("cnn", foolbox.attacks.LinfPGD, np.inf),
        ("svc", foolbox.attacks.L2PGD, 2),
        ("cnn", foolbox.attacks.L1PGD, 1),
        ("svc", torchattacks.PGD, np.inf),
        ("cnn", torchattacks.PGDL2, 2),
    )
]
ROWS = [*GRADIENT, *ART, *FOREIGN, *MINIMUM, *SMOOTHED, *QUERIES, *TREES]
# An instance keeps its own batches; ART draws starts in L1 batch by batch, and others in every norm. Soft
# splits have gradients so small that rounding, which a batch's size changes, decides their sign.
NOT_BATCHED = [
    *(row for row in ART if row.attack == "instance" or row.norm == 1),
    *(row for row in FOREIGN if row.attack is not foolbox.attacks.FGSM),
    Row("forest", "pgd", np.inf),
]
BATCHED = [row for row in ROWS if row not in NOT_BATCHED]
every_row = pytest.mark.parametrize("row", ROWS, ids=str)
every_gradient_row = pytest.mark.parametrize("row", GRADIENT, ids=str)


@pytest.fixture(scope="session")
def lab(zoo):
    return Lab(zoo)


class Lab:
    """Generators for the rows of the table, and what each gives at first."""

    def __init__(self, zoo) -> None:
        self.zoo = zoo
        self.first = cache(lambda row: self.generator(row).generate(self.case(row).X, self.case(row).y))

    def case(self, row: Row) -> Any:
        return self.zoo(row.source)

    def generator(self, row: Row, **params: Any) -> AdversarialGenerator:
        attack = row.attack
        if attack == "instance":
            settings = {"norm": row.norm, "eps": EPS[row.norm], "eps_step": 0.05, "max_iter": 10}
            attack = ProjectedGradientDescent(
                self.zoo("art").source, num_random_init=1, verbose=False, **settings
            )
        elif attack is ProjectedGradientDescent:
            params = {"attack_params": {"num_random_init": 1}} | params
        elif attack == "tree":
            params = {"attack_params": {"n_starts": 2}} | params
        given = {"eps": EPS[row.norm], "max_iter": 10, "max_queries": 100, "clip_values": (0, 1)} | params
        given = {"random_state": 0} | given
        return AdversarialGenerator(self.zoo(row.source).source, attack=attack, norm=row.norm, **given)

    def fooled(self, row: Row, X: NDArray[Any]) -> float:
        """Share of all samples that the source does not label right."""
        return float((as_model(self.case(row).source).predict(X) != self.case(row).y).mean())


def size(delta: NDArray[Any], norm: float) -> NDArray[Any]:
    return np.linalg.norm(delta.reshape(len(delta), -1), norm, axis=1)


def torch_modules(source: Any) -> list[torch.nn.Module]:
    source = getattr(source, "estimator", source)
    candidates = (source, getattr(source, "module_", None), getattr(source, "_model", None))
    return [module for module in candidates if isinstance(module, torch.nn.Module)]


def fingerprint(source: Any) -> Any:
    modules = torch_modules(source)
    if not modules:
        return joblib.hash(source)
    weights = [value.numpy().tobytes() for module in modules for value in module.state_dict().values()]
    return weights, [part.training for module in modules for part in module.modules()]


def global_state() -> tuple[Any, ...]:
    name, keys, *position = np.random.get_state()
    return random.getstate(), name, keys.tobytes(), position, torch.get_rng_state().numpy().tobytes()


@every_row
def test_within_budget_and_bounds(lab: Lab, row: Row) -> None:
    X, X_adv = lab.case(row).X, lab.first(row)
    assert X_adv.dtype == X.dtype
    assert X_adv.shape == X.shape
    assert (size(X_adv - X, row.norm) <= EPS[row.norm]).all()
    assert X_adv.min() >= 0
    assert X_adv.max() <= 1
    assert (X_adv != X).any()


@every_row
def test_fools_more_than_noise(lab: Lab, row: Row) -> None:
    X = lab.case(row).X
    streams = Streams(0, np.arange(len(X)))
    if row.norm == 0:
        flat, ends = (
            X.reshape(len(X), -1),
            np.broadcast_to([[[0.0]], [[1.0]]], (2, *X.reshape(len(X), -1).shape)),
        )
        noisy = random_ends(streams, np.arange(len(X)), EPS[0], flat, tuple(ends), flat >= 0).reshape(X.shape)
    else:
        noise = random_signs(streams, EPS[row.norm], row.norm, np.ones(X.shape, dtype=bool))
        noisy = (X + noise).clip(0, 1)
    fooled_by_noise = lab.fooled(row, noisy.astype(X.dtype))
    assert lab.fooled(row, lab.first(row)) > fooled_by_noise


@every_row
def test_same_random_state_same_bytes_and_nothing_else_changed(lab: Lab, row: Row) -> None:
    case, first = lab.case(row), lab.first(row)
    np.random.seed(7)
    torch.manual_seed(7)
    random.seed(7)
    before, X = (global_state(), fingerprint(case.source)), case.X.tobytes()
    again = lab.generator(row).generate(case.X, case.y)
    assert again.tobytes() == first.tobytes()
    assert (global_state(), fingerprint(case.source)) == before
    assert case.X.tobytes() == X


@pytest.mark.parametrize("row", BATCHED, ids=str)
def test_other_batches_same_points(lab: Lab, row: Row) -> None:
    case = lab.case(row)
    batched = lab.generator(row, batch_size=7).generate(case.X, case.y)
    # the nearest samples are searched for, to a thousandth
    np.testing.assert_allclose(batched, lab.first(row), rtol=0, atol=1e-3 if row in MINIMUM else 1e-5)


@pytest.mark.parametrize("row", [row for row in ROWS if row.attack != "instance"], ids=str)
def test_larger_budget_fools_more(lab: Lab, row: Row) -> None:
    case = lab.case(row)
    smaller, larger = (
        lab.fooled(row, lab.generator(row, eps=factor * EPS[row.norm]).generate(case.X, case.y))
        for factor in (0.02 if row.attack == "tree" else 0.2, 3)
    )
    rates = [smaller, lab.fooled(row, lab.first(row)), larger]
    assert rates == sorted(rates)
    assert rates[0] < rates[-1]


@every_gradient_row
def test_transform_attacks_own_predictions(lab: Lab, row: Row) -> None:
    generator, X = lab.generator(row), lab.first(row)
    predicted = as_model(lab.case(row).source).predict(X)
    assert (predicted != lab.case(row).y).any()
    assert generator.transform(X).tobytes() == generator.generate(X, predicted).tobytes()


@every_gradient_row
def test_reaches_the_target(lab: Lab, row: Row) -> None:
    case = lab.case(row)
    target = (case.y + 1) % 10
    X_adv = lab.generator(row, eps=3 * EPS[row.norm], max_iter=20).generate(case.X, target=target)
    reached = (as_model(case.source).predict(X_adv) == target).mean()
    assert reached >= (0.5 if row.attack == "fgsm" else 0.9)


RESTARTED = [
    Row(source, "pgd", norm) for source in ("logistic", "svc", "mlp", "cnn") for norm in (np.inf, 2, 1)
]


def margins(model: Model, X: NDArray[Any], labels: NDArray[np.intp]) -> NDArray[Any]:
    """Largest logit of another class, minus the label's own."""
    with model.evaluating(), torch.no_grad():
        logits = model.logits(torch.from_numpy(X)).numpy().copy()
    own = logits[np.arange(len(X)), labels]
    logits[np.arange(len(X)), labels] = -np.inf
    return logits.max(axis=1) - own


@pytest.mark.parametrize("row", RESTARTED, ids=str)
def test_random_starts(lab: Lab, row: Row) -> None:
    case = lab.case(row)
    first, again, batched, other = (
        lab.generator(row, random_start=True, n_restarts=2, **params).generate(case.X, case.y)
        for params in ({}, {}, {"batch_size": 7}, {"random_state": 1})
    )
    assert again.tobytes() == first.tobytes()
    np.testing.assert_allclose(batched, first, rtol=0, atol=1e-5)
    assert not np.allclose(other, first, atol=1e-3)
    assert (size(first - case.X, row.norm) <= EPS[row.norm]).all()


@pytest.mark.parametrize("row", RESTARTED, ids=str)
@pytest.mark.parametrize("targeted", [False, True], ids=["untargeted", "targeted"])
def test_restarts_never_lower_the_margin(lab: Lab, row: Row, targeted: bool) -> None:
    case = lab.case(row)
    labels = (case.y + 1) % 10 if targeted else case.y
    given = {"target": labels} if targeted else {"y": labels}
    once, often = (
        margins(
            as_model(case.source),
            lab.generator(row, max_iter=3, n_restarts=n).generate(case.X, **given),
            labels,
        )
        for n in (1, 5)
    )
    gain = (once - often) if targeted else (often - once)
    assert gain.min() >= -1e-5
    if row.source in ("mlp", "cnn"):  # a linear source has one optimum
        assert gain.max() > 1e-3
