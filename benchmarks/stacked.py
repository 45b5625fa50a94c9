"""Attack several networks of one architecture as one stack, or one after another; write stacked.md.

`OMP_WAIT_POLICY=passive python benchmarks/stacked.py`

PGD-40 in L-inf (eps 0.1) on digits, against 4 and 8 networks that differ in their weights alone: perceptrons
with one hidden layer and a small CNN. Three ways: one after another; in two threads, each with one of
torch's; and stacked, where `torch.func.stack_module_state`, `functional_call` and `vmap` make one call of
all. They take turns in every round, in random order; a figure is the median over rounds of the ratio to the
first way in the same round, of wall-clock time and of processor time. All make the same samples, to rounding.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import run
import torch
from torch import nn
from torch.func import functional_call, stack_module_state

EPS, N_STEPS = 0.1, 40
Attack = Callable[[], list[torch.Tensor]]


def perceptron(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))


def cnn(width: int) -> nn.Module:
    """Two convolutions; it takes rows."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, width, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * 16, 10),
    )


ARCHITECTURES: dict[str, Callable[[], nn.Module]] = {
    **{f"MLP 64-{width}-10": lambda width=width: perceptron(width) for width in (32, 64, 128)},  # type: ignore[misc]
    "CNN 8-16": lambda: cnn(8),
}


def trained(make: Callable[[], nn.Module], n: int) -> list[nn.Module]:
    """Networks that differ in their seed."""
    networks = []
    for seed in range(n):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            networks.append(run.trained(make(), *run.digits()).requires_grad_(False))
    return networks


def climb(
    logits: Callable[[torch.Tensor], torch.Tensor], x0: torch.Tensor, own: torch.Tensor
) -> torch.Tensor:
    """The bare loop, along the gradient of the margin as the package's own; classes are the last axis."""
    x, low, high = x0.clone(), (x0 - EPS).clamp_min(0.0), (x0 + EPS).clamp_max(1.0)
    for _ in range(N_STEPS):
        x = x.detach().requires_grad_()
        z = logits(x)
        slope = z.detach().masked_fill(own, -torch.inf).softmax(dim=-1).masked_fill_(own, -1.0)
        (gradient,) = torch.autograd.grad(z, x, slope)
        x = x.detach().add_(gradient.sign_(), alpha=2.5 * EPS / N_STEPS)
        x = torch.maximum(torch.minimum(x, high), low)
    return x


def ways(networks: list[nn.Module], x: torch.Tensor, y: torch.Tensor, n_threads: int) -> dict[str, Attack]:
    """The three ways, each of which gives the samples of every network."""
    own = nn.functional.one_hot(y, 10).bool()
    template = deepcopy(networks[0]).to("meta")
    params, buffers = stack_module_state(networks)  # type: ignore[arg-type]
    params = {name: value.detach() for name, value in params.items()}

    def call(params: Any, buffers: Any, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = functional_call(template, (params, buffers), (x,))
        return made

    at_once = torch.vmap(call)

    def one_after_another() -> list[torch.Tensor]:
        return [climb(network, x, own) for network in networks]

    def two_threads() -> list[torch.Tensor]:
        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(2) as pool:
                return list(pool.map(lambda network: climb(network, x, own), networks))
        finally:
            torch.set_num_threads(n_threads)

    def stacked() -> list[torch.Tensor]:
        n = len(networks)
        x0, owns = (a.expand(n, *a.shape).contiguous() for a in (x, own))
        return list(climb(lambda at: at_once(params, buffers, at), x0, owns))

    return {"one after another": one_after_another, "two threads": two_threads, "stacked": stacked}


def agreement(contestants: dict[str, Attack]) -> float:
    """Smallest share of pixels that two ways have in common."""
    made = [torch.stack(attack()) for attack in contestants.values()]
    return min(float(((other - made[0]).abs() < 1e-5).double().mean()) for other in made[1:])


def timed(attack: Attack) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    attack()
    return time.perf_counter() - wall, time.process_time() - processor


def both_ratios(
    contestants: dict[str, Attack], n_rounds: int
) -> tuple[float, dict[str, tuple[float, float]]]:
    """Median seconds of the first way; and of each the medians of both ratios to it."""
    base = next(iter(contestants))
    rounds = []
    for _ in range(n_rounds):
        order = random.sample(list(contestants), len(contestants))
        taken = {name: timed(contestants[name]) for name in order}
        rounds.append({name: np.divide(taken[name], taken[base]) for name in contestants} | {"": taken[base]})
    seconds = statistics.median(taken[""][0] for taken in rounds)
    medians = {name: np.median([taken[name] for taken in rounds], axis=0) for name in contestants}
    return seconds, {name: (float(wall), float(processor)) for name, (wall, processor) in medians.items()}


def rows(n_rounds: int, names: list[str], n_networks: tuple[int, ...]) -> Iterator[dict[str, str]]:
    X, y = run.digits()
    for name in names:
        all_networks = trained(ARCHITECTURES[name], max(n_networks))
        for n_samples in (32, 256):
            x, labels = torch.from_numpy(X[:n_samples]), torch.from_numpy(y[:n_samples])
            for n in n_networks:
                for n_threads in (1, 2):
                    torch.set_num_threads(n_threads)
                    contestants = ways(all_networks[:n], x, labels, n_threads)
                    same = agreement(contestants)
                    seconds, medians = both_ratios(contestants, n_rounds)
                    row = {
                        "networks": f"{n} x {name}",
                        "samples": str(n_samples),
                        "torch's threads": str(n_threads),
                        "one after another": f"{1000 * seconds:.0f} ms",
                    }
                    for way in list(contestants)[1:]:
                        row[way] = "{:.2f} / {:.2f}".format(*medians[way])
                    sys.stderr.write(f"{row}\n")
                    yield row | {"same pixels": f"{same:.2%}"}


PAGE = """# Networks of one architecture, attacked as one stack

    OMP_WAIT_POLICY=passive python benchmarks/stacked.py

makes this page. PGD-40 in L-inf (eps {eps}) on digits, against networks that differ in their weights alone,
as bare loops: one after another; in two threads with one of torch's threads each, as a scorer with `n_jobs=2`
does; and *stacked*, by `torch.func.stack_module_state`, `functional_call` and `vmap`. In a cell: wall-clock /
processor time, as multiples of those of one after another, medians over {n_rounds} rounds in which the ways
take turns (torch {torch}, 2 cores that others used too, so that processor time says more, and two threads
gain less than they would have on idle cores; glibc's allocator set as in `tox.ini`).

{rows}

*Same pixels*: smallest share of pixels within 1e-5 of those made one after another.

## Why the package does not stack

Aim: 1.3 times as fast as one after another, and not slower than two threads. Stacks of perceptrons come to
between 0.7 and 1.3 of the time: each network's products are as many, and as small, as before. A stack of 8
small CNNs takes half the time where 32 samples are attacked, since calls cost more there than what they
compute; with 256 samples, the usual batch, it takes 0.75 to 0.9. So a stack pays where little is to be done,
in tenths of a second. Against that stands what it would take: a cell of work is one source and one block, so
that it can be kept, measured, sent elsewhere and given its own batch size; and a stack of sources runs only
modules that `vmap` can follow, with all weights copied, where a view shares them with the user's.
On a GPU, where calls cost more, it may be otherwise: `benchmarks/gpu.py` measures that too.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds of each comparison")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_suffix(".md"), help="page to write"
    )
    options = parser.parse_args()
    page = PAGE.format(
        eps=EPS,
        n_rounds=options.rounds,
        torch=torch.__version__.split("+")[0],
        rows=run.table(list(rows(options.rounds, list(ARCHITECTURES), (4, 8)))),
    )
    options.output.write_text(page)
    sys.stdout.write(page)


if __name__ == "__main__":
    main()
