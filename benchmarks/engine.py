"""What a transfer matrix costs: beside bare loops and other libraries, and as it grows.

    python benchmarks/engine.py [PART ...]

measures the parts that are named, or all, keeps their figures in engine.json, and writes engine.md and its
plots anew from all that is kept there. Contestants take turns in every round, in random order; a ratio is
the median over rounds of that within a round.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from run import EPS, N_STEPS, STEP_SIZE, bare_torch_loop, digits, ratios, table, trained
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch import nn
from tqdm.auto import tqdm

from skhalfway import AdversarialGenerator, TransferScorer

HERE = Path(__file__).parent
FIGURES, PAGE = HERE / "engine.json", HERE / "engine.md"
PLOTS = HERE.parent / "doc" / "_static"
N_DIGITS, BATCH = 997, 256


def networks(X: NDArray[Any], y: NDArray[Any]) -> dict[str, nn.Module]:
    """Eight networks for 8 x 8 digits, trained briefly."""
    torch.manual_seed(0)

    def mlp(width: int) -> nn.Module:
        return nn.Sequential(
            nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, 10)
        )

    def cnn(width: int) -> nn.Module:
        image, pool = nn.Unflatten(1, (1, 8, 8)), nn.MaxPool2d(2)
        convolution = nn.Conv2d(1, width, 3, padding=1)
        return nn.Sequential(image, convolution, nn.ReLU(), pool, nn.Flatten(), nn.Linear(width * 16, 10))

    modules = {f"mlp {width}": mlp(width) for width in (64, 96, 128, 192, 256, 384)}
    modules |= {f"cnn {width}": cnn(width) for width in (8, 16)}
    return {name: trained(module, X, y) for name, module in modules.items()}


def scorer(models: Mapping[str, Any], *, max_iter: int = N_STEPS, **params: Any) -> TransferScorer:
    generator = AdversarialGenerator(
        attack="pgd", eps=EPS, step_size=STEP_SIZE, max_iter=max_iter, clip_values=(0, 1), batch_size=BATCH
    )
    return TransferScorer(generator, random_state=0, **params).fit(models)


def bare_matrix(modules: Mapping[str, nn.Module], X: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """What one would write by hand: attack each network, ask all."""
    x, labels = torch.from_numpy(X), torch.from_numpy(y)
    rows = []
    for source in modules.values():
        parts = zip(x.split(BATCH), labels.split(BATCH), strict=True)
        made = torch.cat([bare_torch_loop(source, part, label) for part, label in parts])
        with torch.no_grad():
            rows.append(
                [(target(made).argmax(1) != labels).float().mean().item() for target in modules.values()]
            )
    return np.array(rows)


def torchattacks_matrix(modules: Mapping[str, nn.Module], X: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    import torchattacks

    x, labels = torch.from_numpy(X), torch.from_numpy(y)
    rows = []
    for source in modules.values():
        attack = torchattacks.PGD(source, eps=EPS, alpha=STEP_SIZE, steps=N_STEPS, random_start=False)
        parts = zip(x.split(BATCH), labels.split(BATCH), strict=True)
        made = torch.cat([attack(part, label) for part, label in parts])
        with torch.no_grad():
            rows.append(
                [(target(made).argmax(1) != labels).float().mean().item() for target in modules.values()]
            )
    return np.array(rows)


def art_matrix(modules: Mapping[str, nn.Module], X: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    classifiers = [
        PyTorchClassifier(
            module,
            nn.CrossEntropyLoss(),
            input_shape=(64,),
            nb_classes=10,
            clip_values=(0, 1),
            device_type="cpu",
        )
        for module in modules.values()
    ]
    one_hot, rows = np.eye(10, dtype=np.float32)[y], []
    for source in classifiers:
        attack = ProjectedGradientDescent(
            source, eps=EPS, eps_step=STEP_SIZE, max_iter=N_STEPS, batch_size=BATCH, verbose=False
        )
        made = attack.generate(X, y=one_hot)
        rows.append([(target.predict(made).argmax(axis=1) != y).mean() for target in classifiers])
    return np.array(rows)


def bench_speed(n_rounds: int) -> dict[str, Any]:
    """Eight networks on 997 digits by PGD-40."""
    X, y = digits()
    modules = networks(X[:800], y[:800])
    X, y = X[800:], y[800:]
    contestants: dict[str, Callable[[], Any]] = {
        "bare loop": lambda: bare_matrix(modules, X, y),
        "skhalfway, one job": lambda: scorer(modules, n_jobs=1).transfer(X, y),
        "skhalfway, two jobs": lambda: scorer(modules, n_jobs=2).transfer(X, y),
        "torchattacks": lambda: torchattacks_matrix(modules, X, y),
        "ART": lambda: art_matrix(modules, X, y),
    }
    bare = bare_matrix(modules, X, y)
    ours = scorer(modules, condition="all").transfer(X, y)
    figures = ratios(contestants, "bare loop", n_rounds)
    return figures | {"apart": float(np.abs(ours.rates - bare).max()), "n": len(X)}


def bench_kept(n_rounds: int) -> dict[str, Any]:
    """What keeping cells in a folder costs, and what taking them from there does."""
    X, y = digits()
    modules = networks(X[:800], y[:800])
    X, y = X[800:], y[800:]
    with tempfile.TemporaryDirectory() as folder:
        places = iter(range(10**6))
        full = Path(folder) / "full"
        scorer(modules, memory=full).transfer(X, y)
        contestants: dict[str, Callable[[], Any]] = {
            "without": lambda: scorer(modules).transfer(X, y),
            "memory, empty": lambda: scorer(modules, memory=Path(folder) / str(next(places))).transfer(X, y),
            "memory, full": lambda: scorer(modules, memory=full).transfer(X, y),
        }
        return ratios(contestants, "without", n_rounds)


def bench_black_boxes(n_rounds: int) -> dict[str, Any]:
    """A matrix of forests by HopSkipJump."""
    X, y = digits()
    forests = {
        f"forest {seed}": RandomForestClassifier(50, random_state=seed).fit(X[:800], y[:800])
        for seed in range(4)
    }
    X, y = X[800:1200], y[800:1200]
    generator = AdversarialGenerator(attack="hopskipjump", eps=EPS, clip_values=(0, 1), max_queries=100)

    def run(n_jobs: int) -> Callable[[], Any]:
        return lambda: TransferScorer(generator, n_jobs=n_jobs, random_state=0).fit(forests).transfer(X, y)

    return ratios({"one job": run(1), "two jobs": run(2)}, "one job", n_rounds)


def bench_dask(n_rounds: int) -> dict[str, Any]:
    """Two worker processes on this machine beside two threads."""
    from dask.distributed import Client, LocalCluster
    from joblib import parallel_config

    X, y = digits()
    modules = networks(X[:800], y[:800])
    X, y = X[800:], y[800:]
    with (
        LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster),
    ):

        def on_dask() -> Any:
            with parallel_config("dask"):
                return scorer(modules).transfer(X, y)

        contestants = {"two threads": lambda: scorer(modules, n_jobs=2).transfer(X, y), "Dask": on_dask}
        return ratios(contestants, "two threads", n_rounds)


def timed(run: Callable[[], Any], n_rounds: int) -> tuple[float, Any]:
    """Median seconds, after a first run that counts for none, and the last result."""
    result, seconds = run(), []
    for _ in range(n_rounds):
        begin = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds), result


def linear_models(n: int, n_features: int) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any]]:
    """Linear classifiers, each of its own training samples, and where these come from."""
    X, y = make_classification(
        40 * n, n_features, n_informative=min(n_features, 20), n_redundant=0, n_classes=3, random_state=0
    )
    fits = enumerate(zip(np.split(X, n), np.split(y, n), strict=True))
    models = {f"linear {k}": LogisticRegression(max_iter=50, tol=1e-2).fit(*data) for k, data in fits}
    return models, X, y


def grown(X: NDArray[Any], y: NDArray[Any], n: int) -> tuple[NDArray[Any], NDArray[Any]]:
    rows = np.arange(n) % len(X)
    return X[rows], y[rows]


def by_samples() -> Iterator[tuple[int, Callable[[], Any]]]:
    models, X, y = linear_models(2, 20)
    for n in (100, 1_000, 10_000, 100_000):
        yield n, lambda n=n: scorer(models, max_iter=10).transfer(*grown(X, y, n))


def by_features() -> Iterator[tuple[int, Callable[[], Any]]]:
    for n in (10, 100, 1_000, 10_000):
        models, X, y = linear_models(2, n)
        some = grown(X, y, 1_000)
        yield n, lambda models=models, some=some: scorer(models, max_iter=10).transfer(*some)


def by_models() -> Iterator[tuple[int, Callable[[], Any]]]:
    every, X, y = linear_models(32, 100)
    for n in (2, 4, 8, 16, 32):
        models = dict(list(every.items())[:n])
        some = grown(X, y, 2_000)
        yield n, lambda models=models, some=some: scorer(models, max_iter=10).transfer(*some)


def by_pixels() -> Iterator[tuple[int, Callable[[], Any]]]:
    torch.manual_seed(0)

    def network() -> nn.Module:
        layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()]
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, 10)).eval()

    models = {"one": network(), "other": network()}
    for side in (8, 16, 32, 64, 128, 224):
        X = np.random.RandomState(0).rand(16, 3, side, side).astype(np.float32)
        yield side * side, lambda X=X: scorer(models, max_iter=5).transfer(X)


GROWTH = {"samples": by_samples, "features": by_features, "models": by_models, "pixels": by_pixels}


def bench_growth(n_rounds: int) -> dict[str, Any]:
    """Seconds of whole matrices, of their attacks and of the rest, as one size grows."""
    figures = {}
    for what, sizes in GROWTH.items():
        rows = []
        for size, run in sizes():
            seconds, matrix = timed(run, min(n_rounds, 5))
            attacks = sum(cost["seconds"] for cost in matrix.provenance.costs.values())
            rows.append([size, seconds, min(attacks, seconds), max(seconds - attacks, 1e-6)])
            tqdm.write(f"{what} {size}: {seconds:.3f} s")
        figures[what] = rows
    return figures


_MEMORY = """
import sys, threading, time
sys.path.insert(0, {folder!r})
import numpy as np, torch
from torch import nn
from engine import scorer
from run import bare_torch_loop

torch.manual_seed(0)
pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
nets = [
    nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), pool, nn.Linear(16, 10)).eval() for _ in range(2)
]
X = np.load({samples!r}, mmap_mode="r")
y = np.zeros(len(X), dtype=int)


def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))


def ours(n):
    return scorer(dict(zip("ab", nets)), max_iter=3).transfer(X[:n], y[:n])


def bare(n):
    for net in nets:
        for begin in range(0, n, 256):
            x = torch.from_numpy(X[begin:min(begin + 256, n)].copy())
            made = bare_torch_loop(net, x, torch.from_numpy(y[begin:begin + len(x)]))
            with torch.no_grad():
                answers = [other(made).argmax(1) for other in nets]


run = {run}
run(256)
before, peak, ended = anonymous(), 0, False


def watch():
    global peak
    while not ended:
        peak = max(peak, anonymous())
        time.sleep(0.002)


watcher = threading.Thread(target=watch)
watcher.start()
run({n})
ended = True
watcher.join()
print(peak - before)
"""


def bench_memory(n_rounds: int) -> dict[str, Any]:
    """Peak of what is no file, above that before, in MiB."""
    peaks: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        samples = Path(folder) / "samples.npy"
        X = np.lib.format.open_memmap(samples, "w+", np.float32, (16_384, 3, 32, 32))
        for begin in range(0, len(X), 1024):
            X[begin : begin + 1024] = np.random.RandomState(begin).rand(1024, 3, 32, 32)
        X.flush()
        for _ in range(min(n_rounds, 5)):
            for run, n in (("bare", 4096), ("ours", 1024), ("ours", 4096), ("ours", 16_384)):
                script = _MEMORY.format(folder=str(HERE), samples=str(samples), run=run, n=n)
                command = [sys.executable, "-W", "ignore", "-c", script]
                output = subprocess.run(command, check=True, capture_output=True, text=True)
                peaks.setdefault(f"{run} {n}", []).append(float(output.stdout) / 1024)
    return {name: statistics.median(values) for name, values in peaks.items()}


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "speed": bench_speed,
    "black_boxes": bench_black_boxes,
    "kept": bench_kept,
    "dask": bench_dask,
    "growth": bench_growth,
    "memory": bench_memory,
}


def exponent(sizes: NDArray[Any], seconds: NDArray[Any]) -> float:
    """Slope of logarithms over the upper half of the sizes, where what every call costs weighs little."""
    upper = slice(len(sizes) // 2 - (len(sizes) % 2 == 0), None)
    return float(np.polyfit(np.log(sizes[upper]), np.log(seconds[upper]), 1)[0])


def growth_rows(growth: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = []
    for what, measured in growth.items():
        sizes, seconds, attacks, rest = np.array(measured, dtype=float).T
        aim = "1.05; rest 2.05" if what == "models" else "1.05"
        row = {"as these grow": what, "from": f"{sizes[0]:,.0f}", "to": f"{sizes[-1]:,.0f}"}
        row |= {"seconds": f"{seconds[0]:.2f} to {seconds[-1]:.2f}"}
        row |= {"exponent": f"{exponent(sizes, seconds):.2f}", "attacks": f"{exponent(sizes, attacks):.2f}"}
        rows.append(row | {"rest": f"{exponent(sizes, rest):.2f}", "aim": aim})
    return rows


def plot(figures: Mapping[str, Any], folder: Path) -> None:
    """The ratios as bars, and how costs grow."""
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    if "speed" in figures:
        speed = {k: v for k, v in figures["speed"].items() if k not in ("base_ms", "apart", "n")}
        figure, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
        bars = ax.barh(list(speed), list(speed.values()), color=["C7", "C0", "C0", "C1", "C1"])
        ax.bar_label(bars, fmt="%.2f", padding=3)
        ax.axvline(1, color="k", lw=0.8)
        ax.set(xlabel="time over that of a loop written by hand", xlim=(0, 1.15 * max(speed.values())))
        ax.invert_yaxis()
        figure.savefig(folder / "engine_speed.png", dpi=120)
        plt.close(figure)
    if "growth" in figures:
        figure, axes = plt.subplots(1, 4, figsize=(11, 2.8), layout="constrained")
        for ax, (what, measured) in zip(axes, figures["growth"].items(), strict=True):
            sizes, seconds, attacks, rest = np.array(measured, dtype=float).T
            for name, values, style in (
                ("all", seconds, "o-"),
                ("attacks", attacks, "^--"),
                ("rest", rest, "v:"),
            ):
                ax.loglog(sizes, values, style, label=name)
            ax.set(xlabel=what, title=f"exponent {exponent(sizes, seconds):.2f}")
        axes[0].set_ylabel("seconds")
        axes[0].legend()
        figure.savefig(folder / "engine_growth.png", dpi=120)
        plt.close(figure)


TEXT = """# What a transfer matrix costs

    python benchmarks/engine.py

makes this page and its plots; `python benchmarks/engine.py speed growth` measures these parts anew. Ratios
are medians over rounds in which contestants take turns (Python {python}, torch {torch}, {cores} cores).
"""
SPEED = """
## Beside a loop written by hand, and other libraries

8 networks on {n} digits by PGD-40, L-inf, eps {eps}: attack each, ask all. The loop takes {base_ms:.0f} ms;
ours also asks all models about noise, checks them, and asks for second opinions.

| contestant | time over the loop's | aim |
| --- | --- | --- |
| skhalfway, one job | {one:.2f} | 1.02 |
| skhalfway, two jobs | {two:.2f} | 0.55 |
| torchattacks | {torchattacks:.2f} | |
| ART | {art:.2f} | |

With two jobs ours is {times_art:.1f} times as fast as ART (aim 4) and {times_torchattacks:.1f} times as
torchattacks (aim 1.8). Rates are within {apart:.3f} of the loop's.

![Time over that of a loop written by hand](../doc/_static/engine_speed.png)
"""
BLACK = """
## Black boxes

4 forests on 400 digits by HopSkipJump with 100 queries: two jobs take {two:.2f} of one's time (aim 0.6).
"""
KEPT = """
## With `memory=`

Keeping all cells in a folder takes {empty:.3f} of the time without (aim 1.03); a second run, which takes them
from there, {full:.2f}.
"""
DASK = """
## On Dask, on one machine

Two worker processes take {dask:.2f} of the time of two threads.
"""
GROWTH_TEXT = """
## As it grows

{rows}

Exponents are slopes of logarithms over the upper half of the sizes. *Rest* is everything but attacks:
answers, check-ups, second opinions, counting. Linear classifiers and PGD of 10 steps; pixels: convolutional
networks with random weights, 16 images of 3 channels.

![Seconds as sizes grow](../doc/_static/engine_growth.png)
"""
MEMORY_TEXT = """
## Memory

Two small convolutional networks, images of 3 x 32 x 32 in a file that is mapped, batches of 256. Peak of the
memory that is no file, above that of a first run on 256 images:

{rows}

Ours over the loop's at 4,096 images: {ratio:.2f} (aim 1.1). From 1,024 to 16,384 images, which are
{size:.0f} MiB, it grows by {growth:.0f} MiB.
"""


def page(figures: Mapping[str, Any], cores: int) -> str:
    parts = [
        TEXT.format(python=platform.python_version(), torch=torch.__version__.split("+")[0], cores=cores)
    ]
    if "speed" in figures:
        speed = figures["speed"]
        two = speed["skhalfway, two jobs"]
        parts.append(
            SPEED.format(
                n=speed["n"],
                eps=EPS,
                base_ms=speed["base_ms"],
                one=speed["skhalfway, one job"],
                two=two,
                torchattacks=speed["torchattacks"],
                art=speed["ART"],
                times_art=speed["ART"] / two,
                times_torchattacks=speed["torchattacks"] / two,
                apart=speed["apart"],
            )
        )
    if "black_boxes" in figures:
        parts.append(BLACK.format(two=figures["black_boxes"]["two jobs"]))
    if "kept" in figures:
        kept = figures["kept"]
        parts.append(KEPT.format(empty=kept["memory, empty"], full=kept["memory, full"]))
    if "dask" in figures:
        parts.append(DASK.format(dask=figures["dask"]["Dask"]))
    if "growth" in figures:
        parts.append(GROWTH_TEXT.format(rows=table(growth_rows(figures["growth"]))))
    if "memory" in figures:
        peaks = figures["memory"]
        rows = [{"contestant": name, "peak": f"{value:.1f} MiB"} for name, value in peaks.items()]
        parts.append(
            MEMORY_TEXT.format(
                rows=table(rows),
                ratio=peaks["ours 4096"] / peaks["bare 4096"],
                size=16_384 * 3 * 32 * 32 * 4 / 2**20,
                growth=peaks["ours 16384"] - peaks["ours 1024"],
            )
        )
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="what to measure; all by default")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for name in options.parts or PARTS:
        figures[name] = PARTS[name](options.rounds)
        tqdm.write(f"{name}: {figures[name]}")
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    plot(figures, PLOTS)
    PAGE.write_text(page(figures, torch.get_num_threads()))


if __name__ == "__main__":
    main()
