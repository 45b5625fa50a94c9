"""Measure small matrices for an hour: does memory grow, does anything stay behind? Write soak.md.

    python benchmarks/soak.py

Matrices of scikit-learn models, a torch network and a black box, on one and on two threads, with and without
a folder, some of which fail, take too long or are interrupted.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from run import table
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from torch import nn
from tqdm.auto import tqdm

from skhalfway import AdversarialGenerator, TransferScorer

PAGE = Path(__file__).with_name("soak.md")


class Failing(LogisticRegression):
    """Raises at samples that it has not seen."""

    def predict(self, X: Any) -> Any:
        if np.abs(X * 10 - np.round(X * 10)).max() > 1e-3:
            raise ConnectionError("the service does not answer")
        return super().predict(X)


def models(X: Any, y: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)).eval()
    fitted = [SVC(), LogisticRegression(max_iter=1000), RandomForestClassifier(5, random_state=0)]
    named = {type(model).__name__: model.fit(X, y) for model in fitted}
    return {**named, "network": network, "failing": Failing(max_iter=1000).fit(X, y)}


def state(network: nn.Module) -> dict[str, int]:
    """What must be as before."""
    gc.collect()
    with open("/proc/self/status") as status:
        memory = next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))
    hooks = sum(len(m._forward_hooks) + len(m._backward_hooks) for m in network.modules())
    return {
        "memory in KiB": memory,
        "threads": threading.active_count(),
        "open files": len(os.listdir("/proc/self/fd")),
        "hooks": hooks,
        "filters of warnings": len(warnings.filters),
        "torch's threads": torch.get_num_threads(),
    }


def one(k: int, given: dict[str, Any], X: Any, y: Any, folder: Path) -> None:
    """A matrix of a kind that changes from turn to turn."""
    attacks = ("pgd", "auto", "hopskipjump", "fmn")
    attack = attacks[k % len(attacks)]
    params: dict[str, Any] = {"norm": 2} if attack == "fmn" else {}
    generator = AdversarialGenerator(attack=attack, eps=0.3, max_iter=5, max_queries=20, **params)
    names = ["network", "LogisticRegression"] if attack in ("pgd", "fmn") else None
    scorer = TransferScorer(
        generator,
        sources=names,
        n_jobs=1 + k % 2,
        memory=folder if k % 3 == 0 else None,
        error_score=np.nan,
        timeout=30 if k % 5 == 0 else None,
        random_state=k % 7,
    ).fit(given)
    rows = np.random.RandomState(k).permutation(len(X))[:40]
    if k % 11 == 0:
        timer = threading.Timer(0.02, lambda: os.kill(os.getpid(), signal.SIGINT))
        try:
            timer.start()  # which may be late itself
            scorer.transfer(X[rows], y[rows])
            time.sleep(0.1)  # it came first: the signal is still to come
        except KeyboardInterrupt:
            pass
        timer.join()
    elif k % 2:
        scorer.transfer(X[rows], y[rows])
    else:
        scorer.transfer_curve(X[rows], y[rows], eps=[0.1, 0.3])


TEXT = """# {minutes:g} minutes of small matrices

    python benchmarks/soak.py --minutes {minutes:g}

{n:,} matrices and curves in {minutes:g} minutes, of scikit-learn models, a network, a forest and a model
that fails, on one thread and on two, with a folder and without, every eleventh interrupted. After
{warm:.0f} minutes of warm-up, and at the end:

{rows}

Memory grew by {growth:+.2f} % (aim: below 1 %): medians of the first and last tenth of the time after the
warm-up. Over the second half of that time it grew by {late:+.2f} %: medians of its first and last tenth of
the whole. By tenths of the time, medians in KiB: {tenths}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.simplefilter("ignore")
    X, y = load_iris(return_X_y=True)
    given = models(X, y)
    begin, states, k = time.monotonic(), [], 0
    seconds, warm = 60 * options.minutes, 6 * options.minutes
    first = None
    with tempfile.TemporaryDirectory() as folder:
        while (gone := time.monotonic() - begin) < seconds:
            one(k, given, X, y, Path(folder) / str(k // 300))
            k += 1
            if gone > warm and k % 20 == 0:
                states.append(state(given["network"]))
                first = first or states[0]
                if k % 400 == 0:
                    tqdm.write(f"{gone / 60:.1f} min, {k} matrices: {states[-1]}")
    assert first is not None, "too short"
    memory = [one["memory in KiB"] for one in states]
    tenths = [np.median(part) for part in np.array_split(memory, min(10, len(memory)))]
    before, middle, after = tenths[0], tenths[len(tenths) // 2], tenths[-1]
    rows = [{"what": what, "before": f"{first[what]:,}", "after": f"{states[-1][what]:,}"} for what in first]
    page = TEXT.format(
        n=k,
        minutes=options.minutes,
        warm=warm / 60,
        rows=table(rows),
        growth=100 * (after / before - 1),
        late=100 * (after / middle - 1),
        tenths=", ".join(f"{one:,.0f}" for one in tenths),
    )
    options.output.write_text(page)
    sys.stdout.write(page)


if __name__ == "__main__":
    main()
