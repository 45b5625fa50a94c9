"""The same pixels as ART, foolbox and torchattacks, where they make the same attack."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks.evasion import (
    BasicIterativeMethod,
    FastGradientMethod,
    MomentumIterativeMethod,
    ProjectedGradientDescent,
)
from art.estimators.classification import PyTorchClassifier
from numpy.typing import NDArray
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway._randomness import draw_seed, globally_seeded
from skhalfway.models import as_model

with warnings.catch_warnings():
    # foolbox imports scipy.ndimage.filters, which scipy has renamed
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox
import torchattacks

STEPS, STEP = 10, 0.2  # number of steps; length of one, as a share of eps
EPS = {np.inf: 0.1, 2: 0.8}

Attack = Callable[[nn.Module, NDArray[np.float32], NDArray[np.intp], float], NDArray[np.float32]]


def art(class_: Any, clip_values: tuple[int, int] = (0, 1), **params: Any) -> Attack:
    def run(module, X, y, eps):
        loss = nn.CrossEntropyLoss()
        classifier = PyTorchClassifier(
            module, loss, X.shape[1:], 10, clip_values=clip_values, device_type="cpu"
        )
        steps = {"eps_step": STEP * eps, "max_iter": STEPS, "verbose": False}
        steps = {} if class_ is FastGradientMethod else steps
        return class_(classifier, eps=eps, **steps, **params).generate(X.copy(), y=y)

    return run


def of_foolbox(name: str) -> Attack:
    def run(module, X, y, eps):
        steps = {} if "FastGradient" in name else {"rel_stepsize": STEP, "steps": STEPS}
        attack = getattr(foolbox.attacks, name)(random_start=False, **steps)
        model = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
        return attack(model, torch.from_numpy(X), torch.from_numpy(y), epsilons=eps)[1].numpy()

    return run


def of_torchattacks(name: str, **params: Any) -> Attack:
    def run(module, X, y, eps):
        steps = {} if name == "FGSM" else {"alpha": STEP * eps, "steps": STEPS}
        attack = getattr(torchattacks, name)(module, eps=eps, **steps, **params)
        return attack(torch.from_numpy(X), torch.from_numpy(y)).numpy()

    return run


@dataclass(frozen=True)
class Twin:
    """An attack of ours and another library's that should give the same pixels."""

    id: str
    ours: str
    norm: float
    theirs: Attack
    clip_values: tuple[int, int] = (0, 1)


# Between steps ART clips and then projects, the others and we project and then clip: in L2 these
# meet only where the bounds do not bind.
WIDE = (-9, 9)

TWINS = [
    Twin("art-fgsm-linf", "fgsm", np.inf, art(FastGradientMethod, norm=np.inf)),
    Twin("art-fgsm-l2", "fgsm", 2, art(FastGradientMethod, norm=2)),
    Twin("art-pgd-linf", "pgd", np.inf, art(ProjectedGradientDescent, norm=np.inf)),
    Twin("art-pgd-l2", "pgd", 2, art(ProjectedGradientDescent, WIDE, norm=2), WIDE),
    Twin("art-bim", "pgd", np.inf, art(BasicIterativeMethod)),
    Twin("art-mifgsm-linf", "mifgsm", np.inf, art(MomentumIterativeMethod, norm=np.inf)),
    Twin("art-mifgsm-l2", "mifgsm", 2, art(MomentumIterativeMethod, WIDE, norm=2), WIDE),
    Twin("foolbox-fgsm-linf", "fgsm", np.inf, of_foolbox("LinfFastGradientAttack")),
    Twin("foolbox-fgsm-l2", "fgsm", 2, of_foolbox("L2FastGradientAttack")),
    Twin("foolbox-pgd-linf", "pgd", np.inf, of_foolbox("LinfProjectedGradientDescentAttack")),
    Twin("foolbox-bim", "pgd", np.inf, of_foolbox("LinfBasicIterativeAttack")),
    Twin("foolbox-pgd-l2", "pgd", 2, of_foolbox("L2ProjectedGradientDescentAttack")),
    Twin("torchattacks-fgsm", "fgsm", np.inf, of_torchattacks("FGSM")),
    Twin("torchattacks-pgd-linf", "pgd", np.inf, of_torchattacks("PGD", random_start=False)),
    Twin(
        "torchattacks-pgd-l2", "pgd", 2, of_torchattacks("PGDL2", random_start=False, eps_for_division=1e-30)
    ),
    Twin("torchattacks-mifgsm", "mifgsm", np.inf, of_torchattacks("MIFGSM", decay=1.0)),
]


@pytest.mark.parametrize("source", ["torch_mlp", "cnn"])
@pytest.mark.parametrize("twin", TWINS, ids=[twin.id for twin in TWINS])
def test_same_pixels(zoo, source: str, twin: Twin) -> None:
    case, eps = zoo(source, 24), EPS[twin.norm]
    X = case.X.reshape(-1, 1, 8, 8)
    ours = AdversarialGenerator(
        case.source,
        attack=twin.ours,
        eps=eps,
        norm=twin.norm,
        max_iter=STEPS,
        step_size=None if twin.ours == "fgsm" else STEP * eps,
        clip_values=twin.clip_values,
    ).generate(X, case.y)
    theirs = twin.theirs(deepcopy(case.source).eval(), X, case.y, eps)
    apart = np.abs(ours - theirs).max(axis=(1, 2, 3)) > 1e-5
    # The libraries differentiate cross-entropy and we the margin: the same direction, but for the
    # rounding of float32, which decides where a sample steps onto a kink of a ReLU or a maximum. So
    # all pixels of all samples but one must agree (the sources are not so sure of themselves that
    # cross-entropy loses its digits).
    assert apart.sum() <= 1
    assert (np.abs(ours - X).max(axis=(1, 2, 3)) > 0.01).all()


@dataclass(frozen=True)
class Handed:
    """An attack of another library, given as ``attack``, and the same called by hand."""

    id: str
    attack: Any
    norm: float
    by_hand: Attack
    params: dict[str, Any] = field(default_factory=dict)


def fgsm_by_hand(module, X, y, eps):
    x = torch.tensor(X, requires_grad=True)
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(module(x), torch.tensor(y)), x)
    return (x + eps * gradient.sign()).detach().clamp(0, 1)


def drawing_foolbox(name: str, **params: Any) -> Attack:
    """With what foolbox draws by itself, from the seed that the package draws for it."""

    def run(module, X, y, eps):
        model = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
        with globally_seeded(draw_seed(np.random.RandomState(0))):
            attack = getattr(foolbox.attacks, name)(**params)
            return attack(model, torch.from_numpy(X), torch.from_numpy(y), epsilons=eps)[1].numpy()

    return run


def drawing_torchattacks(name: str, **params: Any) -> Attack:
    def run(module, X, y, eps):
        with globally_seeded(seed := draw_seed(np.random.RandomState(0))):
            given = params | ({"seed": seed} if "seed" in params else {})
            attack = getattr(torchattacks, name)(module, eps=eps, **given)
            return attack(torch.from_numpy(X), torch.from_numpy(y)).detach().numpy()

    return run


F, T = foolbox.attacks, torchattacks
STILL = {"random_start": False}
HANDED = [
    Handed("art-fgsm", FastGradientMethod, np.inf, art(FastGradientMethod, norm=np.inf)),
    Handed("art-pgd", ProjectedGradientDescent, 2, art(ProjectedGradientDescent, norm=2)),
    Handed("foolbox-fgsm", F.FGSM, np.inf, of_foolbox("LinfFastGradientAttack")),
    Handed("foolbox-pgd", F.LinfPGD, np.inf, of_foolbox("LinfPGD"), STILL),
    Handed("foolbox-pgd-l2", F.L2PGD, 2, of_foolbox("L2PGD"), STILL),
    Handed(
        "foolbox-instance", F.LinfPGD(rel_stepsize=STEP, steps=STEPS, **STILL), np.inf, of_foolbox("LinfPGD")
    ),
    Handed("foolbox-draws", F.LinfPGD, np.inf, drawing_foolbox("LinfPGD", steps=STEPS, rel_stepsize=STEP)),
    Handed("foolbox-deepfool", F.L2DeepFoolAttack, 2, drawing_foolbox("L2DeepFoolAttack", steps=STEPS)),
    Handed("foolbox-fmn", F.LInfFMNAttack, np.inf, drawing_foolbox("LInfFMNAttack", steps=STEPS)),
    Handed("torchattacks-fgsm", T.FGSM, np.inf, of_torchattacks("FGSM")),
    Handed("torchattacks-pgd", T.PGD, np.inf, of_torchattacks("PGD", **STILL), STILL),
    Handed("torchattacks-pgd-l2", T.PGDL2, 2, of_torchattacks("PGDL2", **STILL), STILL),
    Handed(
        "torchattacks-draws",
        T.PGD,
        np.inf,
        drawing_torchattacks("PGD", alpha=STEP * EPS[np.inf], steps=STEPS),
    ),
    Handed("torchattacks-apgd", T.APGD, np.inf, drawing_torchattacks("APGD", steps=STEPS, seed=0)),
    Handed(
        "torchattacks-square",
        T.Square,
        2,
        drawing_torchattacks("Square", norm="L2", n_queries=30, seed=0),
        {"n_queries": 30},
    ),
    Handed("callable", fgsm_by_hand, np.inf, fgsm_by_hand),
]


@pytest.mark.parametrize("source", ["torch_mlp", "cnn"])
@pytest.mark.parametrize("handed", HANDED, ids=[handed.id for handed in HANDED])
def test_an_attack_handed_over_is_the_attack_called_by_hand(zoo, source: str, handed: Handed) -> None:
    case, eps = zoo(source, 24), EPS[handed.norm]
    X = case.X.reshape(-1, 1, 8, 8)
    ours = AdversarialGenerator(
        case.source,
        attack=handed.attack,
        eps=eps,
        norm=handed.norm,
        max_iter=STEPS,
        step_size=STEP * eps,
        clip_values=(0, 1),
        attack_params=(handed.params | ({"eps": eps} if handed.id == "callable" else {})) or None,
        random_state=0,
    ).generate(X, case.y)
    theirs = np.asarray(handed.by_hand(deepcopy(case.source).eval(), X, case.y, eps))
    # the same steps on the same network: only what is brought back into the budget may round otherwise
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-6)
    # those by answers return the samples where they win only
    assert (np.abs(ours - X).max(axis=(1, 2, 3)) > 0.01).mean() > 0.2


@pytest.mark.parametrize("source", ["logistic", "svc", "torch_mlp", "cnn"])
def test_a_callable_written_as_fgsm_is_fgsm(zoo, source: str) -> None:
    case = zoo(source)

    def attack(model, X, y, eps):
        seen = as_model(model)
        with seen.evaluating():
            x = torch.tensor(X, requires_grad=True)
            loss = nn.functional.cross_entropy(seen.logits(x), torch.tensor(y))
            return x + eps * torch.autograd.grad(loss, x)[0].sign()

    given: dict[str, Any] = {"eps": 0.1, "clip_values": (0, 1)}
    by_hand, ours = (
        AdversarialGenerator(case.source, attack=each, **given).generate(case.X, case.y)
        for each in (attack, "fgsm")
    )
    np.testing.assert_array_equal(by_hand, ours)


@pytest.mark.parametrize("source", ["logistic", "torch_mlp"])
@pytest.mark.parametrize("attack", ["fgsm", "pgd", "mifgsm"])
def test_l1_spends_what_clipping_leaves(zoo, source: str, attack: str) -> None:
    """In L1 we part from ART, which puts a step on one pixel even where clipping takes it away."""
    case = zoo(source, 24)
    settings: dict[str, Any] = {"norm": 1, "eps": 2.0, "clip_values": (0, 1)}
    ours, theirs = (
        AdversarialGenerator(case.source, attack=name, **settings).generate(case.X, case.y)
        for name in (attack, ProjectedGradientDescent)
    )
    model = as_model(case.source)
    assert (model.predict(ours) != case.y).sum() > (model.predict(theirs) != case.y).sum() + 3
