"""Measure skhalfway against bare loops and other libraries; write benchmarks/README.md.

Contestants take turns of a tenth of a second or more in every round, in random
order; a row gives the median, over rounds, of the ratio of each one's time to
the bare loop's in the same round.
"""

from __future__ import annotations

import argparse
import math
import platform
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.svm import SVC
from torch import nn
from tqdm.auto import tqdm

from skhalfway import AdversarialGenerator
from skhalfway.cli._demo import untrained_models

EPS, STEP_SIZE, N_STEPS = 0.1, 0.01, 40
README = Path(__file__).with_name("README.md")
Attack = Callable[[], NDArray[Any]]
# scripts with their arguments, by suite: each makes its page
SUITES: dict[str, tuple[tuple[str, ...], ...]] = {
    "halfway": (
        ("generalisation.py", "--held-out"),
        ("transfer_prediction.py", "--held-out"),
        ("transfer_prediction2.py", "--held-out"),
        ("halfway_attack.py",),
        ("halfway_speed.py",),
    ),
    "consensus": (("consensus.py",), ("contested.py",)),
    "perturbation": (
        ("perturbation_images.py",),
        ("perturbation_transfer.py",),
        ("perturbation_speed.py",),
        ("perturbation_wide.py",),
        ("perturbation_animals.py",),
        ("perturbation_curves.py",),
    ),
    "codes": (("codes.py",), ("novelty.py",)),
    "structure": (("structure.py",), ("structure_link.py",)),
    "trust": (("checkup.py",), ("second_opinion.py",), ("coverage.py",), ("memory.py",)),
    "engine": (("engine.py",),),
    "faults": (("faults.py",),),
    "soak": (("soak.py",),),
    "gpu": (("gpu.py",),),
}


def ratios(contestants: Mapping[str, Callable[[], Any]], base: str, n_rounds: int) -> dict[str, float]:
    """Median over rounds of each contestant's time over the base's, and the base's median in ms."""
    names = list(contestants)
    for run in contestants.values():
        run()
    start = time.perf_counter()
    contestants[base]()
    # long enough a turn that what ran before leaves no mark on it
    n_calls = math.ceil(0.1 / (time.perf_counter() - start))
    order = random.Random(0)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(n_rounds):
        for name in order.sample(names, len(names)):
            start = time.perf_counter()
            for _ in range(n_calls):
                contestants[name]()
            seconds[name].append((time.perf_counter() - start) / n_calls)
    result = {
        name: statistics.median(a / b for a, b in zip(seconds[name], seconds[base], strict=True))
        for name in names
    }
    return result | {"base_ms": 1000 * statistics.median(seconds[base])}


def table(rows: list[dict[str, str]]) -> str:
    head = list(rows[0])
    lines = [head, ["---"] * len(head), *([row[name] for name in head] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def digits() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    X, y = load_digits(return_X_y=True)
    return (X / 16).astype(np.float32), y


def trained(module: nn.Module, X: NDArray[np.float32], y: NDArray[np.int64]) -> nn.Module:
    inputs, labels = torch.from_numpy(X), torch.from_numpy(y)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
    for _ in range(30):
        for batch in torch.randperm(len(inputs)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(inputs[batch]), labels[batch]).backward()
            optimizer.step()
    return module.eval()


def bare_torch_loop(module: nn.Module, x0: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """PGD as one would write it by hand."""
    x = x0.clone()
    for _ in range(N_STEPS):
        x.requires_grad_()
        loss = nn.functional.cross_entropy(module(x), y)
        (gradient,) = torch.autograd.grad(loss, x)
        x = x.detach() + STEP_SIZE * gradient.sign()
        x = torch.clamp(x0 + torch.clamp(x - x0, -EPS, EPS), 0, 1)
    return x


def gradient_attacks(module: nn.Module, X: NDArray[np.float32], y: NDArray[np.int64]) -> dict[str, Attack]:
    """PGD-40 by each library on the same module, data, steps and budget."""
    import foolbox
    import torchattacks
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    x, labels, n = torch.from_numpy(X), torch.from_numpy(y), len(X)
    generator = AdversarialGenerator(
        module, attack="pgd", eps=EPS, step_size=STEP_SIZE, max_iter=N_STEPS, clip_values=(0, 1), batch_size=n
    ).fit(X, y)
    reference = torchattacks.PGD(module, eps=EPS, alpha=STEP_SIZE, steps=N_STEPS, random_start=False)
    fool = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
    pgd = foolbox.attacks.LinfPGD(abs_stepsize=STEP_SIZE, steps=N_STEPS, random_start=False)
    classifier = PyTorchClassifier(
        module,
        nn.CrossEntropyLoss(),
        input_shape=X.shape[1:],
        nb_classes=10,
        clip_values=(0, 1),
        device_type="cpu",
    )
    art = ProjectedGradientDescent(
        classifier, eps=EPS, eps_step=STEP_SIZE, max_iter=N_STEPS, batch_size=n, verbose=False
    )
    one_hot = np.eye(10, dtype=np.float32)[y]
    return {
        "bare loop": lambda: bare_torch_loop(module, x, labels).numpy(),
        "skhalfway": lambda: generator.generate(X, y),
        "torchattacks": lambda: reference(x, labels).numpy(),
        "foolbox": lambda: pgd.run(fool, x, foolbox.criteria.Misclassification(labels), epsilon=EPS).numpy(),
        "ART": lambda: art.generate(X, y=one_hot),
    }


def same_pixels(results: Mapping[str, NDArray[Any]]) -> float:
    """Smallest share of pixels, over contestants, within 1e-5 of the bare loop's."""
    base = results["bare loop"]
    return min(float((np.abs(result - base) < 1e-5).mean()) for result in results.values())


def bench_gradient_attacks(n_rounds: int) -> str:
    X, y = digits()
    models = untrained_models()
    modules = {"MLP 64-128-64-10": models["skorch net"].module, "CNN 16-32": models["torch cnn"]}
    rows = []
    for name, module in modules.items():
        trained(module, X[:1200], y[:1200])
        for n in (32, 128, 597):
            attacks = gradient_attacks(module, X[1200 : 1200 + n], y[1200 : 1200 + n])
            share = same_pixels({key: attack() for key, attack in attacks.items()})
            measured = ratios(attacks, "bare loop", n_rounds)
            row = {"model": name, "batch": str(n), "bare loop": f"{measured['base_ms']:.1f} ms"}
            row |= {key: f"{measured[key]:.2f}" for key in attacks if key != "bare loop"}
            rows.append(row | {"same pixels": f"{share:.2%}"})
            tqdm.write(str(rows[-1]))
    return table(rows)


def bare_numpy_loop(svc: SVC, X: NDArray[Any], sign: NDArray[Any]) -> NDArray[Any]:
    """PGD on a binary RBF SVC with its gradient in closed form."""
    support, dual, gamma = svc.support_vectors_, svc.dual_coef_[0], svc._gamma
    length = (support**2).sum(axis=1)
    x = X.copy()
    for _ in range(N_STEPS):
        squared = (x**2).sum(axis=1)[:, None] - 2 * x @ support.T + length
        weight = np.exp(-gamma * squared) * dual
        gradient = 2 * gamma * (weight @ support - weight.sum(axis=1)[:, None] * x)
        x = x - STEP_SIZE * sign[:, None] * np.sign(gradient)
        x = np.clip(X + np.clip(x - X, -EPS, EPS), 0, 1)
    return x


def bare_numpy_votes_loop(svc: SVC, weights: NDArray[Any], X: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """PGD on the smoothed votes of a multiclass RBF SVC, with its gradient written out."""
    support, gamma, n_classes = svc.support_vectors_, svc._gamma, len(svc.classes_)
    first, second = np.triu_indices(n_classes, 1)
    into_first, into_second = np.eye(n_classes)[first], np.eye(n_classes)[second]
    length, own = (support**2).sum(axis=1), np.eye(n_classes, dtype=bool)[y]
    x = X.copy()
    for _ in range(N_STEPS):
        kernel = np.exp(-gamma * ((x**2).sum(axis=1)[:, None] - 2 * x @ support.T + length))
        decision = 8.0 * (kernel @ weights + svc.intercept_)
        logits = -np.logaddexp(0, -decision) @ into_first - np.logaddexp(0, decision) @ into_second
        logits[own] = -np.inf
        slope = np.exp(logits - logits.max(axis=1, keepdims=True))
        slope /= slope.sum(axis=1, keepdims=True)
        slope[own] = -1
        lost = 1 / (1 + np.exp(decision))
        pairs = slope @ into_first.T * lost - slope @ into_second.T * (1 - lost)
        weight = (8.0 * pairs @ weights.T) * kernel
        gradient = 2 * gamma * (weight @ support - weight.sum(axis=1)[:, None] * x)
        x = x + STEP_SIZE * np.sign(gradient)
        x = np.clip(X + np.clip(x - X, -EPS, EPS), 0, 1)
    return x


def bench_svc(n_rounds: int) -> str:
    from skhalfway.models._svm import _pairwise_weights

    X, y = digits()
    X = X.astype(float)
    rows = []
    for name, labels in (("binary (y > 4)", (y > 4).astype(int)), ("10 classes", y)):
        svc = SVC().fit(X[:1200], labels[:1200])
        attacked = X[1200:]
        generator = AdversarialGenerator(
            FrozenEstimator(svc),
            attack="pgd",
            eps=EPS,
            step_size=STEP_SIZE,
            max_iter=N_STEPS,
            clip_values=(0, 1),
            batch_size=len(attacked),
        ).fit(attacked)
        truth = labels[1200:]
        if len(svc.classes_) == 2:
            bare = partial(bare_numpy_loop, svc, attacked, np.where(truth == 1, 1, -1))
        else:
            bare = partial(bare_numpy_votes_loop, svc, _pairwise_weights(svc), attacked, truth)
        attacks: dict[str, Attack] = {
            "bare loop": bare,
            "skhalfway": partial(generator.generate, attacked, truth),
        }
        share = same_pixels({key: attack() for key, attack in attacks.items()})
        measured = ratios(attacks, "bare loop", n_rounds)
        rows.append(
            {
                "RBF SVC": name,
                "support vectors": str(len(svc.support_)),
                "batch": str(len(attacked)),
                "bare numpy loop": f"{measured['base_ms']:.0f} ms",
                "skhalfway": f"{measured['skhalfway']:.2f}",
                "same pixels": f"{share:.2%}",
            }
        )
        tqdm.write(str(rows[-1]))
    return table(rows)


def bench_import(n_rounds: int) -> str:
    def importing(statement: str) -> Callable[[], Any]:
        return lambda: subprocess.run([sys.executable, "-c", statement], check=True)

    contestants = {
        "sklearn.ensemble": importing("import sklearn.ensemble"),
        "skhalfway": importing("import skhalfway"),
        "its public names": importing("from skhalfway import *"),
    }
    measured = ratios(contestants, "sklearn.ensemble", n_rounds)
    row = {
        "`import sklearn.ensemble`": f"{measured['base_ms']:.0f} ms",
        "`import skhalfway`": f"{measured['skhalfway']:.2f}",
        "`from skhalfway import *`": f"{measured['its public names']:.2f}",
    }
    tqdm.write(str(row))
    return table([row])


_MEMORY = """
import resource, sys
sys.path.insert(0, {folder!r})
import torch, numpy as np
from torch import nn
from run import bare_torch_loop, AdversarialGenerator, EPS, STEP_SIZE, N_STEPS
torch.manual_seed(0)
X, y = np.random.RandomState(0).rand(2048, 3, 32, 32).astype(np.float32), np.zeros(2048, dtype=int)
pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
module = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), pool, nn.Linear(16, 10))
x, labels = torch.from_numpy(X), torch.from_numpy(y)
generator = AdversarialGenerator(
    module, attack="pgd", eps=EPS, step_size=STEP_SIZE, max_iter=3, clip_values=(0, 1)
)
generator.generate(X[:2], y[:2]); bare_torch_loop(module, x[:2], labels[:2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if {bare}:
    torch.cat([bare_torch_loop(module, a, b) for a, b in zip(x.split(256), labels.split(256))])
else:
    generator.generate(X, y)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def bench_memory(n_rounds: int) -> str:
    peaks: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(n_rounds):
        for bare, kilobytes in peaks.items():
            script = _MEMORY.format(folder=str(README.parent), bare=bare)
            output = subprocess.run(
                [sys.executable, "-c", script], check=True, capture_output=True, text=True
            )
            kilobytes.append(float(output.stdout) / 1024)
    bare, ours = statistics.median(peaks[True]), statistics.median(peaks[False])
    row = {
        "2,048 images 3 x 32 x 32, batches of 256": "peak above the start",
        "bare loop": f"{bare:.0f} MiB",
        "skhalfway": f"{ours / bare:.2f}",
    }
    tqdm.write(str(row))
    return table([row])


PAGE = """# Benchmarks

    tox run -e bench

makes this page. In each row the first time is given in milliseconds, and the other columns are ratios to it:
below 1 is faster. The contestants take turns of a tenth of a second or more in every round, in random order.
A ratio is the median over rounds of the ratio within a round
(Python {python}, torch {torch}, {cores} cores). The allocator
of glibc is set to keep memory between steps (see `tox.ini`), because its page faults doubled the time of one
contestant or another at random.

## Gradient attacks: PGD-40 on digits, L-inf, eps {eps}, through the public API of each library

{gradient}

*Same pixels*: the smallest share of pixels, over the four libraries, within 1e-5 of the bare loop's. The
remaining pixels differ because float32 rounding decided the sign of a gradient at some step.
Aims: at most 1.05 of the bare loop, faster than ART and foolbox, not slower than torchattacks.

## RBF SVC: PGD-40 against its gradient written out in numpy

{svc}

Aim: at most 2.

## Import, in a new process

{imports}

Aim: at most 1.2.

## Memory: PGD on a small CNN

{memory}

Aim: at most 1.3.

## Other benchmarks

The page [index.md](index.md) lists all questions that are measured, with their pages and commands.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=["speed", *SUITES], default="speed", help="which pages")
    parser.add_argument("--rounds", type=int, default=31, help="rounds of the attack benchmarks")
    parser.add_argument("--output", type=Path, default=README, help="page to write")
    options = parser.parse_args()
    if options.what in SUITES:
        for script, *arguments in SUITES[options.what]:
            subprocess.run([sys.executable, str(README.with_name(script)), *arguments], check=True)
        return
    page = PAGE.format(
        python=platform.python_version(),
        torch=torch.__version__.split("+")[0],
        cores=torch.get_num_threads(),
        eps=EPS,
        gradient=bench_gradient_attacks(options.rounds),
        svc=bench_svc(options.rounds),
        imports=bench_import(max(3, options.rounds // 3)),
        memory=bench_memory(max(3, options.rounds // 6)),
    )
    options.output.write_text(page)


if __name__ == "__main__":
    main()
