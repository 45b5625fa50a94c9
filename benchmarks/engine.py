"""What a transfer matrix costs: beside bare loops and other libraries, and as it grows.

    python benchmarks/engine.py [PART ...]

measures the parts that are named, all, or "none", keeps their figures in engine.json, and writes engine.md
and its plots anew from all that is kept there. Contestants take turns in every round, in random order; a
ratio is the median over rounds of that within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from engine_page import BATCH, page, plot
from engine_plan import plan
from joblib import parallel_config
from numpy.typing import NDArray
from run import EPS, N_STEPS, STEP_SIZE, bare_torch_loop, digits, ratios, trained
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from torch import nn
from tqdm.auto import tqdm

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.cli._demo import train, untrained_models
from skhalfway.models import as_model

HERE = Path(__file__).parent
FIGURES, PAGE = HERE / "engine.json", HERE / "engine.md"
PLOTS, PLAN = HERE.parent / "doc" / "_static", HERE.parent / "doc" / "scale.rst"
USUAL_BATCH, ART_BATCH = 256, 32  # what many take; ART's default


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
        attack="pgd", eps=EPS, step_size=STEP_SIZE, max_iter=max_iter, clip_values=(0, 1)
    )
    return TransferScorer(generator, random_state=0, **params).fit(models)


def bare_matrix(
    modules: Mapping[str, nn.Module], X: NDArray[Any], y: NDArray[Any], batch: int = BATCH
) -> NDArray[Any]:
    """What one would write by hand: attack each network, ask all."""
    x, labels = torch.from_numpy(X), torch.from_numpy(y)
    rows = []
    for source in modules.values():
        parts = zip(x.split(batch), labels.split(batch), strict=True)
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


def art_matrix(
    modules: Mapping[str, nn.Module], X: NDArray[Any], y: NDArray[Any], batch: int = BATCH
) -> NDArray[Any]:
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
            source, eps=EPS, eps_step=STEP_SIZE, max_iter=N_STEPS, batch_size=batch, verbose=False
        )
        made = attack.generate(X, y=one_hot)
        rows.append([(target.predict(made).argmax(axis=1) != y).mean() for target in classifiers])
    return np.array(rows)


def serial(run: Callable[[], Any]) -> Callable[[], Any]:
    """The same on one thread of torch's."""

    def on_one_thread() -> Any:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return run()
        finally:
            torch.set_num_threads(before)

    return on_one_thread


def in_processes(run: Callable[[], Any]) -> Callable[[], Any]:
    """The same in worker processes, which are kept from call to call."""

    def on_loky() -> Any:
        with parallel_config("loky"):
            return run()

    return on_loky


def bench_speed(n_rounds: int) -> dict[str, Any]:
    """Eight networks by PGD-40, on 997 digits and on five times as many."""
    X, y = digits()
    modules = networks(X[:800], y[:800])
    return {
        str(times * 997): _bench_speed(modules, np.tile(X[800:], (times, 1)), np.tile(y[800:], times), n)
        for times, n in ((1, n_rounds), (5, -(-n_rounds // 3)))
    }


def _bench_speed(
    modules: Mapping[str, nn.Module], X: NDArray[Any], y: NDArray[Any], n_rounds: int
) -> dict[str, float]:
    contestants: dict[str, Callable[[], Any]] = {
        "loop": serial(lambda: bare_matrix(modules, X, y)),
        "loop, torch's threads": lambda: bare_matrix(modules, X, y),
        "loop, torch's threads, batches of 256": lambda: bare_matrix(modules, X, y, USUAL_BATCH),
        "skhalfway, one job on one thread": serial(lambda: scorer(modules, n_jobs=1).transfer(X, y)),
        "skhalfway, two jobs": lambda: scorer(modules, n_jobs=2).transfer(X, y),
        "skhalfway, two processes": in_processes(lambda: scorer(modules, n_jobs=2).transfer(X, y)),
        "torchattacks, torch's threads": lambda: torchattacks_matrix(modules, X, y),
        "ART, torch's threads": lambda: art_matrix(modules, X, y),
        "ART, torch's threads, its batches of 32": lambda: art_matrix(modules, X, y, ART_BATCH),
    }
    bare = bare_matrix(modules, X, y)
    ours = scorer(modules, condition="all").transfer(X, y)
    figures = ratios(contestants, "loop", n_rounds)
    return figures | {"apart": float(np.abs(ours.rates - bare).max())}


def generator_matrix(
    models: Mapping[str, Any], X: NDArray[Any], y: NDArray[Any], generator: AdversarialGenerator
) -> NDArray[Any]:
    """One source after another by the generator, and what every model says of the samples."""
    rows, targets = [], [as_model(model) for model in models.values()]
    for source in models.values():
        made = clone(generator).set_params(estimator=source).fit(X, y).transform(X)
        rows.append([(target.predict(made) != y).mean() for target in targets])
    return np.array(rows)


def with_jobs(
    generator: AdversarialGenerator, models: Mapping[str, Any], X: NDArray[Any], y: NDArray[Any], n_jobs: int
) -> Callable[[], Any]:
    """A matrix to be measured in so many jobs."""
    return lambda: TransferScorer(generator, n_jobs=n_jobs, random_state=0).fit(models).transfer(X, y)


def bench_kinds(n_rounds: int) -> dict[str, Any]:
    """The eight kinds of models of the demo on 997 digits, beside a loop over their sources."""
    models, X, y = eight_kinds()
    generator = AdversarialGenerator(eps=EPS, clip_values=(0, 1))
    ours = partial(with_jobs, generator, models, X, y)
    contestants = {
        "loop": serial(lambda: generator_matrix(models, X, y, generator)),
        "skhalfway, one job": serial(ours(1)),
        "skhalfway, two jobs": ours(2),
        "skhalfway, two processes": in_processes(ours(2)),
    }
    return ratios(contestants, "loop", n_rounds)


def eight_kinds() -> tuple[dict[str, Any], NDArray[Any], NDArray[Any]]:
    """The demo's models, and 997 digits."""
    X, y = digits()
    models = {name: train(model, X[:800], y[:800]) for name, model in untrained_models().items()}
    return models, X[800:], y[800:]


def bench_kept(n_rounds: int) -> dict[str, Any]:
    """What keeping cells in a folder costs, and what taking them from there does."""
    modules, X, y = eight_kinds()
    with tempfile.TemporaryDirectory() as folder:
        places = iter(range(10**6))
        full = Path(folder) / "full"
        scorer(modules, memory=full).transfer(X, y)
        contestants: dict[str, Callable[[], Any]] = {
            "without": lambda: scorer(modules).transfer(X, y),
            "memory, empty": lambda: scorer(modules, memory=Path(folder) / str(next(places))).transfer(X, y),
            "memory, full": lambda: scorer(modules, memory=full).transfer(X, y),
        }
        return ratios(contestants, "without", min(n_rounds, 5))


def bench_black_boxes(n_rounds: int) -> dict[str, Any]:
    """A matrix of forests by HopSkipJump."""
    X, y = digits()
    forests = {
        f"forest {seed}": RandomForestClassifier(50, random_state=seed).fit(X[:800], y[:800])
        for seed in range(4)
    }
    X, y = X[800:1200], y[800:1200]
    generator = AdversarialGenerator(attack="hopskipjump", eps=EPS, clip_values=(0, 1), max_queries=1000)
    run = partial(with_jobs, generator, forests, X, y)
    return ratios({"one job": run(1), "two jobs": run(2)}, "one job", min(n_rounds, 5))


def bench_dask(n_rounds: int) -> dict[str, Any]:
    """Two worker processes on this machine beside two threads."""
    from dask.distributed import Client, LocalCluster

    modules, X, y = eight_kinds()
    with (
        LocalCluster(2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster),
    ):

        def on_dask() -> Any:
            with parallel_config("dask"):
                return scorer(modules).transfer(X, y)

        contestants = {"two threads": lambda: scorer(modules, n_jobs=2).transfer(X, y), "Dask": on_dask}
        return ratios(contestants, "two threads", min(n_rounds, 5))


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
    X = (X - X.min()) / (X.max() - X.min())
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
run(8)
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
                # as glibc is by default, that what is given back is seen
                environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
                output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
                peaks.setdefault(f"{run} {n}", []).append(float(output.stdout) / 1024)
    return {name: statistics.median(values) for name, values in peaks.items()}


def network_224() -> nn.Module:
    """A residual network's first stages, of random weights."""
    layers: list[nn.Module] = [nn.Conv2d(3, 32, 7, stride=4, padding=3), nn.ReLU(), nn.MaxPool2d(2)]
    for width in (32, 64, 128):
        layers += [nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 10)).eval()


def bench_rates(n_rounds: int) -> dict[str, Any]:
    """Seconds of a sample, of one attack and of one prediction, on one core."""
    X, y = digits()
    torch.manual_seed(0)
    linear, X_table, y_table = linear_models(2, 20)
    modules = networks(X[:800], y[:800])
    forests = {
        f"forest {k}": RandomForestClassifier(100, random_state=k).fit(X[:800], y[:800]) for k in range(2)
    }
    images = np.random.RandomState(0).rand(8, 3, 224, 224).astype(np.float32)
    large = {"one": network_224(), "other": network_224()}
    pgd = AdversarialGenerator(attack="pgd", eps=EPS, step_size=STEP_SIZE, max_iter=N_STEPS)
    queries = AdversarialGenerator(attack="hopskipjump", eps=EPS, max_queries=1000)
    kinds: dict[str, tuple[dict[str, Any], Any, Any, AdversarialGenerator]] = {
        "linear, 20 columns": (linear, *grown(X_table, y_table, 4096), pgd),
        "MLP, 8 x 8": ({k: modules[k] for k in ("mlp 128", "mlp 192")}, X[800:], y[800:], pgd),
        "CNN, 8 x 8": ({k: modules[k] for k in ("cnn 8", "cnn 16")}, X[800:], y[800:], pgd),
        "CNN, 3 x 224 x 224": (large, images, None, pgd),
        "forest of 100, 1,000 queries": (forests, X[800:1056], y[800:1056], queries),
    }
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    figures = {}
    for kind, (models, samples, labels, generator) in kinds.items():
        measured = TransferScorer(generator, condition="all", random_state=0).fit(models)
        attacks, predictions = [], []
        for _ in range(min(n_rounds, 3)):
            matrix = measured.transfer(samples, labels)
            each = [cost["seconds"] for cost in matrix.provenance.costs.values()]
            attacks.append(statistics.mean(each) / len(samples))
            begin = time.perf_counter()
            for model in models.values():
                as_model(model).predict(samples)
            predictions.append((time.perf_counter() - begin) / len(models) / len(samples))
        n_bytes = samples[0].nbytes
        figures[kind] = [statistics.median(attacks), statistics.median(predictions), n_bytes]
        tqdm.write(f"{kind}: {figures[kind]}")
    torch.set_num_threads(before)
    return figures


PARTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "speed": bench_speed,
    "kinds": bench_kinds,
    "black_boxes": bench_black_boxes,
    "kept": bench_kept,
    "dask": bench_dask,
    "growth": bench_growth,
    "memory": bench_memory,
    "rates": bench_rates,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "parts", nargs="*", choices=[[], "none", *PARTS], help="what to measure; all by default"
    )
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for name in [part for part in options.parts or PARTS if part != "none"]:
        figures[name] = PARTS[name](options.rounds)
        tqdm.write(f"{name}: {figures[name]}")
        FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    plot(figures, PLOTS)
    PAGE.write_text(page(figures, torch.get_num_threads()))
    if "rates" in figures:
        PLAN.write_text(plan(figures["rates"]))


if __name__ == "__main__":
    main()
