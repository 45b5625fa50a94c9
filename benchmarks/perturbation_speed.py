"""What learning from perturbations costs; writes benchmarks/perturbation_speed.md.

The artificial default as a whole, in a process of its own; the network's training against a bare torch loop
of the same steps, and PerturbationLearner against a bare script of the same steps, taking turns.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from run import EPS, N_STEPS, STEP_SIZE, digits, ratios, table
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from torch import nn
from torch.nn import functional

from skhalfway import AdversarialGenerator
from skhalfway.perturbation import PerturbationLearner
from skhalfway.perturbation._network import initial
from skhalfway.perturbation.theory import (
    OneHiddenLayerClassifier,
    OrthogonalityWarning,
    boundary,
    geometry_perturbation,
)

GAMMA, N_HIDDEN, MARGIN, MAX_ITER = 0.2, 1000, 1.0, 60
DEFAULT: dict[str, Any] = {"d": 10_000, "N": 1000, "N_adv": 10_000, "eps": 0.78, "norm": 2}
SIZES = ((200, 2000), (1000, 2000), (2000, 1000), (5000, 200))
N_TRAINING_STEPS = 20
LOSSES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "exponential": lambda margins: torch.exp(-margins),
    "logistic": lambda margins: functional.softplus(-margins),
}
PAGE = """# What learning from perturbations costs

    python benchmarks/perturbation_speed.py

makes this page (torch on {cores} threads). Ratios are medians over {n_rounds} rounds of the ratio within a
round.

## The artificial default as a whole

{whole}

Learning from moved noise, as [perturbation_curves.md](perturbation_curves.md) does, but for the closed form:
{default};
{n_hidden} hidden units, gamma = {gamma}, at most {max_iter} steps. In a process of its own, whose start and
imports are part of *all*: the boundary of the N samples, the perturbation of the N_adv along it, the training
on them, and the accuracy on the N samples. *Peak* is the largest resident memory of the process. Aims: at
most 300 s and 4 GiB, on two cores.

## Training the network

{training}

`OneHiddenLayerClassifier({n_hidden}).fit`, with a constant `learning_rate`, against a loop of {n_steps} steps
of `torch.optim.SGD` on the mean loss with its gradient from autograd, in float32, both from the same weights,
which each draws. *Apart* is the largest difference of a weight between the two networks, over the largest
change that training made to one, in float64: in float32 rounding puts a unit here or there on the other side
of its kink. Aim: at most 1.1.

## PerturbationLearner

{learner}

`PerturbationLearner.fit` on digits against the same steps by hand: the source's `fit`, {n_pgd} steps of PGD
(L-inf, eps {eps}) in a torch loop on its weights, the learner's `fit`. *Same pixels* is the share of those
within 1e-5 of the hand-made ones, *same answers* the share of other digits that both learners give the same
label. Aim: at most 1.1.
"""


def draw(setting: dict[str, Any], seed: int) -> tuple[Any, Any, Any, Any]:
    """The samples with their random labels, the noise with its targets."""
    rng = np.random.RandomState(seed)

    def points(n: int) -> tuple[Any, Any]:
        X = rng.uniform(-1, 1, (n, setting["d"])).astype(np.float32)
        return X, np.where(rng.uniform(size=n) < 0.5, -1, 1)

    return *points(setting["N"]), *points(setting["N_adv"])


def trained(X: Any, y: Any, seed: int) -> OneHiddenLayerClassifier:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return OneHiddenLayerClassifier(
            N_HIDDEN, GAMMA, margin=MARGIN, max_iter=MAX_ITER, random_state=seed
        ).fit(X, y)


def whole() -> None:
    """Run the artificial default, and print what it took."""
    seconds, start = {}, time.perf_counter()

    def done(stage: str) -> None:
        seconds[stage] = time.perf_counter() - start - sum(seconds.values())

    X, y, noise, targets = draw(DEFAULT, 0)
    done("draw")
    with warnings.catch_warnings():
        # the condition of the theory is sufficient, and the paper's own default does not meet it
        warnings.simplefilter("ignore", OrthogonalityWarning)
        q = boundary(X, y, gamma=GAMMA)
    done("boundary")
    noise += geometry_perturbation(q, targets, eps=DEFAULT["eps"], norm=DEFAULT["norm"])
    done("perturb")
    learner = trained(noise, targets, 0)
    done("train")
    accuracy = learner.score(X, y)
    done("score")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"accuracy": accuracy, "steps": learner.n_iter_, "peak": peak} | seconds))


def bench_whole() -> str:
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    script += "from perturbation_speed import whole; whole()"
    start = time.perf_counter()
    output = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    found = {"all": time.perf_counter() - start} | json.loads(output.stdout)
    row = {name: f"{found[name]:.1f} s" for name in ("draw", "boundary", "perturb", "train", "score", "all")}
    row |= {"peak": f"{found['peak']:.2f} GiB", "steps": str(found["steps"])}
    row |= {"accuracy": f"{found['accuracy']:.3f}"}
    print(row, flush=True)
    return table([row])


class Task(NamedTuple):
    """What both networks learn from, and how."""

    X: NDArray[Any]
    y: NDArray[Any]
    loss: str
    learning_rate: float


def fitted(task: Task) -> NDArray[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        network = OneHiddenLayerClassifier(
            N_HIDDEN,
            GAMMA,
            task.loss,
            margin=1e9,
            max_iter=N_TRAINING_STEPS,
            learning_rate=task.learning_rate,
            random_state=0,
        ).fit(task.X, task.y)
    return network.hidden_weights_


def bare_training(task: Task) -> NDArray[Any]:
    """Training as one would write it by hand."""
    x, sign = torch.from_numpy(task.X), torch.from_numpy(task.y)
    weights, read_out = initial(N_HIDDEN, x, 0)
    weights.requires_grad_()
    optimizer = torch.optim.SGD([weights], lr=task.learning_rate)
    for _ in range(N_TRAINING_STEPS):
        optimizer.zero_grad()
        output = functional.leaky_relu(x @ weights.T, GAMMA) @ read_out
        LOSSES[task.loss](sign * output).mean().backward()
        optimizer.step()
    return weights.detach().numpy()


def bench_training(n_rounds: int) -> str:
    rows = []
    for n, d in SIZES:
        X, y, *_ = draw({"N": n, "d": d, "N_adv": 1}, 0)
        for loss in LOSSES:
            # one over the curvature along which all samples pull alike
            task = Task(X, y, loss, n / float(np.linalg.norm(X, 2)) ** 2)
            exact = task._replace(X=X.astype(float))
            ours, bare = fitted(exact), bare_training(exact)
            change = np.abs(bare - initial(N_HIDDEN, torch.from_numpy(exact.X), 0)[0].numpy()).max()
            contestants = {"fit": partial(fitted, task), "bare": partial(bare_training, task)}
            measured = ratios(contestants, "bare", n_rounds)
            rows.append(
                {
                    "samples": f"{n:,}",
                    "features": f"{d:,}",
                    "loss": loss,
                    "bare loop": f"{measured['base_ms']:.0f} ms",
                    "fit": f"{measured['fit']:.2f}",
                    "apart": f"{np.abs(ours - bare).max() / change:.0e}",
                }
            )
            print(rows[-1], flush=True)
    return table(rows)


def module_of(estimator: Any) -> nn.Module:
    """The logits of a linear classifier or a perceptron."""
    if isinstance(estimator, MLPClassifier):
        pairs = [
            (weight.T, bias) for weight, bias in zip(estimator.coefs_, estimator.intercepts_, strict=True)
        ]
    else:
        pairs = [(estimator.coef_, estimator.intercept_)]
    layers: list[nn.Module] = []
    for weight, bias in pairs:
        layer = nn.Linear(weight.shape[1], weight.shape[0])
        layer.weight, layer.bias = (
            nn.Parameter(torch.tensor(part), requires_grad=False) for part in (weight, bias)
        )
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class ByHand(NamedTuple):
    X_perturbed: NDArray[Any]
    learner: Any


def by_hand(learner: PerturbationLearner, X: NDArray[Any], y: NDArray[Any]) -> ByHand:
    """What the fitted learner did, with its draws."""
    source = clone(learner.source_).fit(X, y)
    module, x0, target = module_of(source), torch.from_numpy(X), torch.from_numpy(learner.y_assigned_)
    x = x0.clone()
    for _ in range(N_STEPS):
        x.requires_grad_()
        loss = functional.cross_entropy(module(x), target)
        (gradient,) = torch.autograd.grad(loss, x)
        x = x.detach() - STEP_SIZE * gradient.sign()
        x = torch.clamp(x0 + torch.clamp(x - x0, -EPS, EPS), 0, 1)
    return ByHand(x.numpy(), clone(learner.learner_).fit(x.numpy(), learner.y_assigned_))


def bench_learner(n_rounds: int) -> str:
    X, y = digits()
    # in float64, where both make the same pixels and so train alike
    X_train, y_train, X_test = X[:1200].astype(float), y[:1200], X[1200:].astype(float)
    generator = AdversarialGenerator(
        attack="pgd",
        eps=EPS,
        step_size=STEP_SIZE,
        max_iter=N_STEPS,
        clip_values=(0, 1),
        batch_size=len(X_train),
    )
    rows = []
    for estimator in (LogisticRegression(max_iter=1000), MLPClassifier(max_iter=100)):
        learner = PerturbationLearner(estimator, generator, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            learner.fit(X_train, y_train)
            hand = by_hand(learner, X_train, y_train)
            pixels = (np.abs(learner.X_perturbed_ - hand.X_perturbed) < 1e-5).mean()
            answers = (learner.predict(X_test) == hand.learner.predict(X_test)).mean()
            contestants = {
                "fit": partial(learner.fit, X_train, y_train),
                "by hand": partial(by_hand, clone(learner).fit(X_train, y_train), X_train, y_train),
            }
            measured = ratios(contestants, "by hand", n_rounds)
        rows.append(
            {
                "estimator": type(estimator).__name__,
                "by hand": f"{measured['base_ms']:.0f} ms",
                "fit": f"{measured['fit']:.2f}",
                "same pixels": f"{pixels:.2%}",
                "same answers": f"{answers:.2%}",
            }
        )
        print(rows[-1], flush=True)
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    page = PAGE.format(
        cores=torch.get_num_threads(),
        n_rounds=options.rounds,
        default=", ".join(f"{name} = {value:,}" for name, value in DEFAULT.items()),
        gamma=GAMMA,
        max_iter=MAX_ITER,
        whole=bench_whole(),
        training=bench_training(options.rounds),
        learner=bench_learner(options.rounds),
        n_hidden=N_HIDDEN,
        n_steps=N_TRAINING_STEPS,
        n_pgd=N_STEPS,
        eps=EPS,
    )
    Path(__file__).with_suffix(".md").write_text(page)


if __name__ == "__main__":
    main()
