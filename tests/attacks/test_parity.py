"""The same pixels as ART, foolbox and torchattacks, where they make the same attack."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
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
    case, eps = zoo(source), EPS[twin.norm]
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


@pytest.mark.parametrize("source", ["logistic", "torch_mlp"])
@pytest.mark.parametrize("attack", ["fgsm", "pgd", "mifgsm"])
def test_l1_spends_what_clipping_leaves(zoo, source: str, attack: str) -> None:
    """In L1 we part from ART, which puts a step on one pixel even where clipping takes it away."""
    case = zoo(source)
    settings: dict[str, Any] = {"norm": 1, "eps": 2.0, "clip_values": (0, 1)}
    ours, theirs = (
        AdversarialGenerator(case.source, attack=name, **settings).generate(case.X, case.y)
        for name in (attack, ProjectedGradientDescent)
    )
    model = as_model(case.source)
    assert (model.predict(ours) != case.y).sum() > (model.predict(theirs) != case.y).sum() + 3
