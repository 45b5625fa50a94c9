"""Whether attacks on a GPU give what they give on the CPU, and what they cost there; write gpu.md.

`python benchmarks/gpu.py`

needs a GPU that torch's CUDA knows; without one it says so, and changes nothing.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import stacked
import torch
from numpy.typing import NDArray
from run import EPS, N_STEPS, STEP_SIZE, bare_torch_loop, digits, ratios, table
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch import nn

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.models import ModelWarning

TOLERANCE = 0.02  # share of the samples by which a count may differ: floats are rounded otherwise
PGD: dict[str, Any] = {"attack": "pgd", "eps": EPS, "step_size": STEP_SIZE, "max_iter": N_STEPS}


class Wide(nn.Module):
    """Convolutions of 3 x 32 x 32 images in which a GPU has something to do."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for n_in, n_out in ((3, width), (width, width), (width, 2 * width), (2 * width, 2 * width)):
            layers += [nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()]
        pooled = [nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(2 * width * 16, 10)]
        self.layers = nn.Sequential(*layers, *pooled)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.layers(x)
        return logits


def images(n: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.RandomState(0)
    return rng.uniform(size=(n, 3, 32, 32)).astype(np.float32), rng.randint(10, size=n)


def models() -> dict[str, Any]:
    X, y = digits()
    nets = {name: stacked.trained(make, 1)[0] for name, make in stacked.ARCHITECTURES.items()}
    return nets | {
        "logistic": LogisticRegression(max_iter=1000).fit(X, y),
        "forest": RandomForestClassifier(30, random_state=0).fit(X, y),
    }


@dataclass(frozen=True)
class Difference:
    """How far two matrices are apart: in the count that differs most, and in the share of all answers."""

    largest_count: int
    n_samples: int
    answers: float

    @property
    def tolerated(self) -> bool:
        return self.largest_count <= TOLERANCE * self.n_samples


def compare(devices: tuple[Any, Any], n_samples: int, attack: str = "auto") -> Difference:
    """The same matrix with gradients on two devices, or lists of such."""
    X, y = (part[:n_samples] for part in digits())
    every, matrices = models(), []
    for device in devices:
        generator = AdversarialGenerator(attack=attack, eps=EPS, clip_values=(0, 1), device=device)
        scorer = TransferScorer(generator, n_jobs=2, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ModelWarning)
            matrices.append(scorer.fit(every).transfer(X, y))
    counts, answers = (
        [get(m) for m in matrices] for get in (lambda m: m.fooled, lambda m: m.outcomes.adversarial)
    )
    largest = int(np.abs(np.subtract(*counts)).max())
    return Difference(largest, n_samples, float((answers[0] != answers[1]).mean()))


def on(device: str, module: nn.Module) -> nn.Module:
    return module.to(device).eval()


def against_bare_loop(module: nn.Module, X: Any, y: Any, device: str, n_rounds: int) -> dict[str, float]:
    """PGD-40 through the public API as a multiple of the bare loop; in both, samples go there and back."""
    module = on(device, module)
    generator = AdversarialGenerator(module, **PGD, clip_values=(0, 1), batch_size=len(X))

    def bare() -> NDArray[Any]:
        x, labels = torch.from_numpy(X).to(device), torch.from_numpy(y).to(device)
        made: NDArray[Any] = bare_torch_loop(module, x, labels).detach().cpu().numpy()
        return made

    result = ratios({"bare": bare, "skhalfway": lambda: generator.generate(X, y)}, "bare", n_rounds)
    same = float((np.abs(bare() - generator.generate(X, y)) < 1e-5).mean())
    return result | {"same": same}


def fewer_digits(
    module: nn.Module, X: Any, y: Any, device: str, dtype: str, n_rounds: int
) -> dict[str, float]:
    """Time with gradients in fewer digits, as a multiple of that without; and the success of both."""
    module = on(device, module)
    made = {name: _generates(module, name or None, X, y) for name in ("", dtype)}
    result = ratios(made, "", n_rounds)
    success = {name: _success(module, make(), y, device) for name, make in made.items()}
    return {"base_ms": result["base_ms"], "ratio": result[dtype], "own": success[""], "fewer": success[dtype]}


def _generates(module: nn.Module, dtype: str | None, X: Any, y: Any) -> Callable[[], NDArray[Any]]:
    generator = AdversarialGenerator(module, **PGD, clip_values=(0, 1), dtype=dtype)
    return lambda: generator.generate(X, y)


def _success(module: nn.Module, X_adv: NDArray[Any], y: NDArray[Any], device: str) -> float:
    with torch.no_grad():
        predicted = [module(part.to(device)).argmax(1).cpu() for part in torch.from_numpy(X_adv).split(256)]
    return float((torch.cat(predicted).numpy() != y).mean())


def in_turns(module: nn.Module, X: Any, y: Any, devices: list[str], batch_size: int) -> dict[str, float]:
    """Seconds on the first device and on all of them, and the share of values that both have in common."""
    made, seconds = [], []
    for device in (devices[0], devices):
        generator = AdversarialGenerator(
            module, **PGD, clip_values=(0, 1), device=device, batch_size=batch_size
        )
        generator.generate(X[:batch_size], y[:batch_size])
        begin = time.perf_counter()
        made.append(generator.generate(X, y))
        seconds.append(time.perf_counter() - begin)
    return {"one": seconds[0], "all": seconds[1], "same": float((np.abs(np.subtract(*made)) < 1e-5).mean())}


def halving(module: nn.Module, X: Any, y: Any, device: str, small: int) -> dict[str, float]:
    """Attack all samples as one batch, which memory does not hold; and in batches that it holds."""
    module, made = on(device, module), []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for batch_size in (len(X), small):
            generator = AdversarialGenerator(module, **PGD | {"max_iter": 3}, clip_values=(0, 1))
            made.append(generator.set_params(batch_size=batch_size).generate(X, y))
    n_halved = sum("takes more memory" in str(warning.message) for warning in caught)
    return {"halved": n_halved, "same": float((np.abs(np.subtract(*made)) < 1e-4).mean())}


PAGE = """# On a GPU

    python benchmarks/gpu.py

makes this page{when}

## The same figures as on the CPU

{figures}

A count may differ by {tolerance:.0%} of the samples, since devices round differently.

## PGD-40 against a bare loop on the device

{bare}

Aim: at most 1.05. The samples go to the device and come back in both.

## Gradients in fewer digits

{digits}

*Success*: share of the samples that fool the source itself, with all its digits.

## Networks of one architecture as one stack

{stack}

As on the CPU in [stacked.md](stacked.md): wall-clock time, one after another and stacked.

## Devices in turn, and batches that memory does not hold

{rest}
"""


def measured(n_rounds: int) -> dict[str, str]:
    """The parts of the page, on the first GPU and, where there are more, on two."""
    device, (X, y) = "cuda:0", digits()
    nets = models()
    every = {name: nets[name] for name in ("MLP 64-128-10", "CNN 8-16")}
    figures = []
    for attack in ("auto", "square", "surrogate"):
        apart = compare(("cpu", device), 300, attack)
        figures.append(
            {
                "attack": attack,
                "largest difference of a count": f"{apart.largest_count} of {apart.n_samples}",
                "answers that differ": f"{apart.answers:.2%}",
                "within the tolerance": "yes" if apart.tolerated else "NO",
            }
        )
    pictures, labels = images(1024)
    bare, fewer, stack = [], [], []
    for name, module, samples, numbers in [
        *((name, module, X, y) for name, module in every.items()),
        ("Wide 128", Wide(128), pictures, labels),
    ]:
        row = against_bare_loop(module, samples, numbers, device, n_rounds)
        bare.append(
            {
                "model": name,
                "bare loop": f"{row['base_ms']:.0f} ms",
                "skhalfway": f"{row['skhalfway']:.2f}",
                "same pixels": f"{row['same']:.2%}",
            }
        )
        for dtype in ("bfloat16", "float16"):
            row = fewer_digits(module, samples, numbers, device, dtype, n_rounds)
            fewer.append(
                {
                    "model": name,
                    "dtype": dtype,
                    "its own type": f"{row['base_ms']:.0f} ms",
                    "ratio": f"{row['ratio']:.2f}",
                    "success": f"{row['own']:.3f}, {row['fewer']:.3f}",
                }
            )
    for name in every:
        networks = [on(device, net) for net in stacked.trained(stacked.ARCHITECTURES[name], 8)]
        for n_samples in (32, 256):
            x, own = torch.from_numpy(X[:n_samples]).to(device), torch.from_numpy(y[:n_samples]).to(device)
            ways = stacked.ways(networks, x, own, torch.get_num_threads())
            synchronised = {
                way: lambda attack=attack: torch.stack(attack()).cpu() for way, attack in ways.items()
            }
            row = ratios(synchronised, "one after another", n_rounds)
            stack.append(
                {
                    "networks": f"8 x {name}",
                    "samples": str(n_samples),
                    "one after another": f"{row['base_ms']:.0f} ms",
                }
                | {way: f"{row[way]:.2f}" for way in list(ways)[1:]}
            )
    return {
        "figures": table(figures),
        "bare": table(bare),
        "digits": table(fewer),
        "stack": table(stack),
        "rest": "\n\n".join([*turns_of_two(pictures, labels), too_large(pictures, labels, device)]),
    }


def turns_of_two(X: Any, y: Any) -> list[str]:
    if torch.cuda.device_count() < 2:
        return ["There was one GPU only, so turns were not measured."]
    row = in_turns(Wide(128), X, y, ["cuda:0", "cuda:1"], 128)
    return [
        f"PGD-40 on {len(X)} images: {row['one']:.1f} s on one GPU, {row['all']:.1f} s on two; "
        f"{row['same']:.2%} of the values are the same."
    ]


def too_large(X: Any, y: Any, device: str) -> str:
    """With 2 GiB for this process, of which batches are not measured to know."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(
        2**31 / torch.cuda.get_device_properties(device).total_memory, device
    )
    row = halving(Wide(128), X, y, device, 64)
    torch.cuda.set_per_process_memory_fraction(1.0, device)
    return (
        f"With 2 GiB for all, a batch of {len(X)} images was halved {row['halved']} times; {row['same']:.2%} "
        "of the values are those of batches of 64."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11, help="rounds of each comparison")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_suffix(".md"), help="page to write"
    )
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("There is no CUDA GPU that torch can use on this machine, so nothing was measured.")
    card = torch.cuda.get_device_name(0)
    when = f"; it was run on {time.strftime('%d %B %Y')}, on {card}, torch {torch.__version__}."
    page = PAGE.format(when=when, tolerance=TOLERANCE, **measured(options.rounds))
    options.output.write_text(page)
    sys.stdout.write(page)


if __name__ == "__main__":
    main()
