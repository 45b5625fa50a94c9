"""Whether the package got slower between two commits, in one run; writes benchmarks/before_after.md.

    python benchmarks/before_after.py --before 1a2b3c4

Each round starts a process for the older tree and one for this tree, the older first in every other round.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ONCE = "--once"  # what a process of one tree is started with

PAGE = """# Before and after

    python benchmarks/before_after.py --before {before} --rounds {n_rounds}

made this page: the tree of {before} against that of {after}, in processes that take turns, on one thread.
Each process does each piece of work {n_repeats} times after a first one, and the shortest time counts. A row
has the medians over {n_rounds} rounds, and in brackets the smallest and the largest ratio of a round.

{table}

{memory}"""
MEMORY = """A transfer matrix of 8 models x 10,000 samples of {data:.1f} MB keeps {outcomes:.2f} MB of what
the models said (aim: at most 10 MB). While it was measured, the process grew by {grown:.1f} MB beyond what a
matrix of 8 models x 1,000 samples had needed.
"""
N_REPEATS = 3


def works() -> dict[str, Callable[[], Any]]:
    """Pieces of work that both trees know."""
    from run import digits
    from sklearn.frozen import FrozenEstimator
    from sklearn.model_selection import cross_val_score

    from skhalfway import AdversarialGenerator, TransferScorer
    from skhalfway.cli._demo import train, untrained_models
    from skhalfway.halfway import HalfwayScorer

    X, y = digits()
    X = X.astype(float)
    models = {name: train(model, X[:1000], y[:1000]) for name, model in untrained_models().items()}
    V, v = X[1000:], y[1000:]
    pgd = AdversarialGenerator(attack="pgd", eps=0.15, clip_values=(0, 1))
    scorer = TransferScorer(pgd, random_state=0).fit(models)
    few = dict(list(models.items())[:3])
    curve = TransferScorer(pgd, random_state=0).fit(few)
    boundaries = HalfwayScorer(random_state=0).fit(few)
    generator = AdversarialGenerator(FrozenEstimator(models["mlp"]), eps=0.15).fit(V, v)
    pairs = list(untrained_models().items())[:2]
    trained = TransferScorer(pgd, estimators=pairs, random_state=0)
    return {
        "transfer matrix of 8 models, 597 digits": lambda: scorer.transfer(V, v),
        "its text, HTML and table": lambda: _shown(scorer, V[:50], v[:50]),
        "transfer curve of 3 models, 3 budgets": lambda: curve.transfer_curve(V, v, eps=[0.05, 0.1, 0.15]),
        "predicted transfer of 3 models": lambda: boundaries.predict_transfer(V[:200], v[:200], eps=0.15),
        "PGD-40 of one generator": lambda: generator.transform(V),
        "cross-validated score of 2 models": lambda: cross_val_score(trained, X[:400], y[:400], cv=2),
    }


def _shown(scorer: Any, X: Any, y: Any) -> None:
    matrix = scorer.transfer(X, y)
    for _ in range(20):
        str(matrix), matrix._repr_html_(), matrix.to_frame(), matrix.describe()


def once() -> None:
    """Times of this process's tree, as JSON."""
    found = {}
    for name, work in works().items():
        work()
        times = []
        for _ in range(N_REPEATS):
            begin = time.perf_counter()
            work()
            times.append(time.perf_counter() - begin)
        found[name] = min(times)
    print(json.dumps(found))


def timed(tree: Path) -> dict[str, float]:
    """Times of a tree, in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{tree}{os.pathsep}{ROOT / 'benchmarks'}"}
    environment |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, str(Path(__file__).resolve()), ONCE]
    out = subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    times: dict[str, float] = json.loads(out.stdout.splitlines()[-1])
    return times


def bench_memory() -> str:
    """What a matrix of many samples keeps, and how far the process grows beyond that of few samples."""
    import resource

    from sklearn.linear_model import LogisticRegression

    from skhalfway import AdversarialGenerator, TransferScorer

    rng = np.random.RandomState(0)
    X = rng.normal(size=(10_000, 20))
    y = (X @ rng.normal(size=20) > 0).astype(int)
    models = {f"C={C:g}": LogisticRegression(C=C).fit(X[:500], y[:500]) for C in np.logspace(-2, 3, 8)}
    scorer = TransferScorer(AdversarialGenerator(attack="fgsm", eps=0.3), random_state=0).fit(models)
    peaks = []
    for n in (1_000, 10_000):
        matrix = scorer.transfer(X[:n], y[:n])
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    outcomes = matrix.outcomes
    held = sum(value.nbytes for value in vars(outcomes).values() if isinstance(value, np.ndarray))
    return MEMORY.format(data=X.nbytes / 1e6, outcomes=held / 1e6, grown=peaks[1] - peaks[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", help="commit to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(ONCE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        once()
        return
    if options.before is None:
        parser.error("give a commit to compare with, as --before 1a2b3c4")
    from run import table

    git = ["git", "-C", str(ROOT)]
    with tempfile.TemporaryDirectory() as folder:
        older = Path(folder) / "before"
        subprocess.run([*git, "worktree", "add", "--detach", str(older), options.before], check=True)
        try:
            rounds = []
            for k in range(options.rounds):
                trees = [older, ROOT] if k % 2 == 0 else [ROOT, older]
                by_tree = {tree: timed(tree) for tree in trees}
                rounds.append((by_tree[older], by_tree[ROOT]))
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(older)], check=True)
    rows = []
    for name in rounds[0][1]:
        pairs = np.array([(before[name], after[name]) for before, after in rounds])
        before, after = np.median(pairs, axis=0)
        ratio = pairs[:, 1] / pairs[:, 0]
        shown = f"{np.median(ratio):.2f} ({ratio.min():.2f} to {ratio.max():.2f})"
        rows.append({"work": name, "before": f"{before:.2f} s", "after": f"{after:.2f} s", "ratio": shown})
    head = subprocess.run(
        [*git, "rev-parse", "--short", "HEAD"], check=True, stdout=subprocess.PIPE, text=True
    )
    page = PAGE.format(
        before=options.before, after=head.stdout.strip(), n_rounds=options.rounds, n_repeats=N_REPEATS,
        table=table(rows), memory=bench_memory(),
    )  # fmt: skip
    Path(__file__).with_suffix(".md").write_text(page)


if __name__ == "__main__":
    main()
