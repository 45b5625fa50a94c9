"""Measure attacks by gradient beside those of torchattacks, foolbox and ART; write benchmarks/white_box.md.

Robust accuracy of a network on digits within a budget, or the median distance, or how many pixels change,
and seconds; and what a gradient of "fmn" costs beside one of "pgd".
"""

# ruff: noqa: B023 (what is made in a turn of a loop is called in it)
from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from skhalfway import AdversarialGenerator

warnings.simplefilter("ignore")  # foolbox and ART import what others have renamed
import foolbox  # noqa: E402
import torchattacks  # noqa: E402
from art.attacks.evasion import AutoProjectedGradientDescent, SaliencyMapMethod  # noqa: E402
from art.estimators.classification import PyTorchClassifier  # noqa: E402

PAGE = Path(__file__).with_name("white_box.md")
EPS, N = {np.inf: 0.1, 2: 0.6}, 40
NAMES = {np.inf: "Linf", 2: "L2"}


def network() -> tuple[nn.Module, Any, Any]:
    """A small CNN trained on digits, and digits that it has not seen."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(torch.tensor(X[:1200])), torch.tensor(y[:1200])).backward()
        optimizer.step()
    return net.eval(), X[1200 : 1200 + N], y[1200 : 1200 + N]


def timed(make: Callable[[], Any]) -> tuple[Any, float]:
    begin = time.perf_counter()
    made = make()
    return made, time.perf_counter() - begin


def measure() -> str:
    """The tables."""
    net, X, y = network()
    x, labels = torch.tensor(X), torch.tensor(y)

    def predict(made: Any) -> Any:
        with torch.no_grad():
            return net(torch.as_tensor(made)).argmax(1).numpy()

    def ours(attack: str, norm: float, eps: float, **params: Any) -> Any:
        given = {"max_iter": 100, "max_queries": 1000, "clip_values": (0, 1), "random_state": 0} | params
        return AdversarialGenerator(net, attack=attack, norm=norm, eps=eps, **given).generate(X, y)

    rows = ["| norm | attack | robust accuracy | seconds |", "| --- | --- | --- | --- |"]
    for norm, eps in EPS.items():
        name = NAMES[norm]
        art = PyTorchClassifier(
            net, nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0, 1), device_type="cpu"
        )
        contest: dict[str, Callable[[], Any]] = {
            "skhalfway pgd": lambda: ours("pgd", norm, eps),
            "skhalfway apgd": lambda: ours("apgd", norm, eps),
            "skhalfway apgd, dlr": lambda: ours("apgd", norm, eps, attack_params={"loss": "dlr"}),
            "skhalfway auto-strong": lambda: ours("auto-strong", norm, eps),
            "torchattacks APGD": lambda: torchattacks.APGD(
                deepcopy(net),
                norm=name,
                eps=eps,
                steps=100,
            )(x, labels).detach(),
            "torchattacks AutoAttack": lambda: torchattacks.AutoAttack(
                deepcopy(net),
                norm=name,
                eps=eps,
                n_classes=10,
                seed=0,
            )(x, labels).detach(),
            "ART AutoPGD": lambda: AutoProjectedGradientDescent(
                art,
                norm=norm,
                eps=eps,
                eps_step=2 * eps,
                nb_random_init=1,
                verbose=False,
            ).generate(X, y),
        }
        for who, make in contest.items():
            made, seconds = timed(make)
            rows.append(f"| {name} | {who} | {(predict(made) == y).mean():.2f} | {seconds:.1f} |")
    near = ["| attack in L2 | median distance | found | seconds |", "| --- | --- | --- | --- |"]
    model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    searches: dict[str, Callable[[], Any]] = {
        **{f"skhalfway {a}": lambda a=a: ours(a, 2, np.inf) for a in ("fmn", "ddn", "cw", "deepfool")},
        "foolbox DDN": lambda: foolbox.attacks.DDNAttack(steps=100)(model, x, labels, epsilons=None)[1],
        "foolbox FMN": lambda: foolbox.attacks.L2FMNAttack(steps=100)(model, x, labels, epsilons=None)[1],
        "foolbox C&W": lambda: foolbox.attacks.L2CarliniWagnerAttack(5, 100, abort_early=False)(
            model, x, labels, epsilons=None
        )[1],
        "torchattacks CW": lambda: torchattacks.CW(deepcopy(net), c=10, steps=500)(x, labels).detach(),
    }
    for who, make in searches.items():
        made, seconds = timed(make)
        found = predict(made) != y
        far = np.linalg.norm((np.asarray(made) - X).reshape(N, -1), axis=1)
        median = np.median(np.where(found, far, np.inf))
        near.append(f"| {who} | {median:.3f} | {found.mean():.0%} | {seconds:.1f} |")
    return "\n".join([*rows, "", *near, "", *fewest_pixels(), "", *per_gradient()])


def fewest_pixels() -> list[str]:
    """How many pixels change in L0, and seconds."""
    net, X, y = network()
    x, labels = torch.tensor(X), torch.tensor(y)
    art = PyTorchClassifier(net, nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0, 1), device_type="cpu")
    model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")

    def ours(max_iter: int) -> Any:
        given = {"attack": "sigmazero", "norm": 0, "eps": np.inf, "clip_values": (0, 1)}
        return AdversarialGenerator(net, max_iter=max_iter, **given).generate(X, y)

    contest: dict[str, Callable[[], Any]] = {
        "skhalfway sigmazero, 40 steps": lambda: ours(40),
        "skhalfway sigmazero, 100 steps": lambda: ours(100),
        "foolbox FMN, 100 steps": lambda: foolbox.attacks.L0FMNAttack(steps=100)(
            model, x, labels, epsilons=None
        )[1],
        "foolbox FMN, 1000 steps": lambda: foolbox.attacks.L0FMNAttack(steps=1000)(
            model, x, labels, epsilons=None
        )[1],
        "ART saliency map (JSMA)": lambda: SaliencyMapMethod(
            art, theta=1.0, gamma=1.0, verbose=False
        ).generate(X, np.eye(10)[(y + 1) % 10]),
    }
    rows = ["| attack in L0 | mean of changed pixels | found | seconds |", "| --- | --- | --- | --- |"]
    for who, make in contest.items():
        made, seconds = timed(make)
        with torch.no_grad():
            found = net(torch.as_tensor(made)).argmax(1).numpy() != y
        changed = (np.asarray(made) != X).reshape(N, -1).sum(axis=1)
        rows.append(f"| {who} | {changed[found].mean():.2f} | {found.mean():.0%} | {seconds:.1f} |")
    return rows


def per_gradient() -> list[str]:
    """Seconds for each gradient of "fmn", as a multiple of those of "pgd"."""
    torch.manual_seed(0)
    large = nn.Sequential(
        nn.Conv2d(3, 8, 7, stride=4), nn.ReLU(), nn.Conv2d(8, 16, 5, stride=4), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(256, 10),
    ).eval()  # fmt: skip
    rng, rows = np.random.RandomState(0), ["| samples | norm | fmn / pgd |", "| --- | --- | --- |"]
    for net, shape, n in ((network()[0], (1, 8, 8), 256), (large, (3, 224, 224), 8)):
        X = rng.uniform(size=(n, *shape)).astype(np.float32)
        with torch.no_grad():
            y = net(torch.tensor(X)).argmax(1).numpy()
        for norm in (np.inf, 2, 1):
            seconds = {}
            # 10 gradients of "fmn" look for the rival
            for attack, n_gradients in (("pgd", 40), ("fmn", 50)):
                generator = AdversarialGenerator(net, attack=attack, norm=norm, eps=0.5, clip_values=(0, 1))
                best = min(timed(lambda: generator.generate(X, y))[1] for _ in range(2))
                seconds[attack] = best / n_gradients
            rows.append(f"| {n} x {shape} | {norm} | {seconds['fmn'] / seconds['pgd']:.1f} |")
    return rows


def main() -> None:
    torch.set_num_threads(1)
    text = (
        "# Attacks by gradient, and other libraries\n\n    python benchmarks/white_box.py\n\n"
        "makes this page: a "
        f"CNN on {N} digits, eps {EPS[np.inf]} in L-inf and {EPS[2]} in L2, 100 steps, one thread (Python "
        f"{platform.python_version()}, torch {torch.__version__}). AutoAttack has 5,000 queries for Square, "
        '"auto-strong" here 1,000. In L0, means are over the samples that an attack fools; JSMA moves each '
        "to the next label. Each figure was taken once, and seconds vary with "
        "what else a machine does.\n\n"
    )
    aims = (
        '\nAims: "auto-strong" at most .01 above AutoAttack; a gradient of "fmn" at most 1.5 times one of '
        '"pgd".\n'
    )
    PAGE.write_text(text + measure() + "\n" + aims)


if __name__ == "__main__":
    main()
