"""What recipes cost beside bare loops of as many gradient calls, and beside torchattacks.

    python benchmarks/recipe_speed.py

writes recipe_speed.md. A bare loop takes gradients of cross-entropy of as many rows at once as the recipe
does, and steps along their sign; what a piece does with gradients and samples comes on top.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchattacks
from designs import resnet
from numpy.typing import NDArray
from run import digits, ratios, table, trained
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway.attacks import (
    Admix,
    BlockShuffle,
    DiverseInput,
    EnhancedMomentum,
    FlatMaxima,
    Momentum,
    Nesterov,
    Recipe,
    Relevance,
    ScaleCopies,
    SkipGradient,
    Spectrum,
    Staircase,
    StructureInvariant,
    Translation,
    Variance,
)
from skhalfway.models import as_model

EPS, N = 0.1, 128
_MI = Momentum()
# recipe; steps; gradient calls of a step; torchattacks' class with its parameters
RECIPES: dict[str, tuple[Recipe, int, int, tuple[str, dict[str, Any]] | None]] = {
    "plain": (Recipe(), 40, 1, None),
    "mi": (Recipe(_MI), 40, 1, ("MIFGSM", {})),
    "ni": (Recipe(Nesterov()), 40, 1, ("NIFGSM", {})),
    "staircase": (Recipe(Staircase()), 40, 1, None),
    "emi": (Recipe(EnhancedMomentum(n=11)), 10, 11, None),
    "vmi": (Recipe(_MI, Variance(n=20)), 10, 21, ("VMIFGSM", {"N": 20})),
    "vni": (Recipe(Nesterov(), Variance(n=20)), 10, 21, ("VNIFGSM", {"N": 20})),
    "gra": (Recipe(_MI, Relevance(n=20)), 10, 21, None),
    "pgn": (Recipe(_MI, FlatMaxima(n=10)), 10, 20, None),
    "di": (Recipe(_MI, DiverseInput()), 40, 1, ("DIFGSM", {"decay": 1.0})),
    # torchattacks' own takes three channels only
    "ti": (Recipe(_MI, Translation(size=7)), 40, 1, None),
    "ni-si": (Recipe(Nesterov(), ScaleCopies(n=5)), 10, 5, ("SINIFGSM", {"m": 5})),
    "admix": (Recipe(_MI, Admix(n=3), ScaleCopies(n=5)), 10, 15, None),
    "bsr": (Recipe(_MI, BlockShuffle(n=20)), 10, 20, None),
    "sia": (Recipe(_MI, StructureInvariant(n=20)), 10, 20, None),
    "ssa": (Recipe(_MI, Spectrum(n=20)), 10, 20, None),
    "sgm": (Recipe(_MI, SkipGradient()), 40, 1, None),
}


def bare(module: nn.Module, x0: torch.Tensor, y: torch.Tensor, n_steps: int, n_calls: int) -> torch.Tensor:
    """So many steps of so many gradient calls each."""
    x, size = x0.clone(), EPS / n_steps
    for _ in range(n_steps):
        total = torch.zeros_like(x)
        for _ in range(n_calls):
            at = x.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(module(at), y), at)
            total += gradient
        x = torch.clamp(torch.clamp(x + size * total.sign(), x0 - EPS, x0 + EPS), 0, 1)
    return x


def contestants(
    name: str, module: nn.Module, X: NDArray[np.float32], y: NDArray[np.int64]
) -> dict[str, Callable[[], Any]]:
    """The bare loop, this package, and torchattacks where it has the same attack."""
    recipe, n_steps, n_calls, theirs = RECIPES[name]
    x, labels = torch.from_numpy(X), torch.from_numpy(y)
    generator = AdversarialGenerator(
        as_model(module),
        attack=recipe,
        eps=EPS,
        max_iter=n_steps,
        clip_values=(0, 1),
        batch_size=N,
        random_state=0,
    ).fit(X)
    found: dict[str, Callable[[], Any]] = {
        "bare loop": lambda: bare(module, x, labels, n_steps, n_calls),
        "skhalfway": lambda: generator.generate(X, y),
    }
    if theirs is not None:
        kind, params = theirs
        attack = getattr(torchattacks, kind)(module, eps=EPS, alpha=EPS / n_steps, steps=n_steps, **params)
        found["torchattacks"] = lambda: attack(x, labels)
    return found


PAGE = """# What recipes cost

    python benchmarks/recipe_speed.py

makes this page. A small residual network on {shape} images, {n} at a time, on two threads; ratios to a bare
loop of as many gradient calls, in turn in every round, medians of {rounds} rounds{when}. Aim: at most 1.05.

{table}

A bare loop only takes gradients and steps along their sign: what pieces do with samples (noise for each of
them, transforms, mixtures with others) is on top, and is not in it. Random numbers are drawn for each sample
by itself, so that results are the same in any batches.
"""


def measured(n_rounds: int, size: int) -> str:
    X, y = digits()
    images = torch.from_numpy(X.reshape(-1, 1, 8, 8))
    images = nn.functional.interpolate(images, (size, size), mode="bilinear").numpy()
    torch.manual_seed(0)
    module = trained(resnet(1, size, 10), images[:500], y[:500])
    rows = []
    for name, (_, n_steps, n_calls, _) in RECIPES.items():
        row = ratios(contestants(name, module, images[-N:], y[-N:]), "bare loop", n_rounds)
        rows.append(
            {
                "attack": name,
                "gradient calls": str(n_steps * n_calls),
                "bare loop": f"{row['base_ms']:.0f} ms",
                "skhalfway": f"{row['skhalfway']:.2f}",
                "torchattacks": f"{row['torchattacks']:.2f}" if "torchattacks" in row else "",
            }
        )
        print(rows[-1], flush=True)
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=16, help="of the images, in pixels")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    when = f"; {time.strftime('%d %B %Y')}, torch {torch.__version__}"
    page = PAGE.format(
        shape=f"1 x {options.size} x {options.size}",
        n=N,
        rounds=options.rounds,
        when=when,
        table=measured(options.rounds, options.size),
    )
    options.output.write_text(page)


if __name__ == "__main__":
    main()
