"""Kill, corrupt and interrupt a run again and again; write faults.md.

    python benchmarks/faults.py

A matrix of small trees, of some hundred cells that take a tenth of a second each, is measured with `memory=`
in a process that is killed (SIGKILL) at random moments, until it is done; then entries of its folder are
damaged. Every result must be identical to that of a run that nothing disturbed.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from run import table
from tqdm.auto import tqdm

from skhalfway.results import load_result

PAGE = Path(__file__).with_name("faults.md")
PROGRAM = """
import sys, time
from sklearn.datasets import make_blobs
from sklearn.tree import DecisionTreeClassifier
import skhalfway.transfer._schedule as schedule
from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.transfer._source import Source

folder, log, out, n_jobs = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
schedule._MOST_SAMPLES = 8  # many small cells
attack = Source.attack


def slow(self, rows):
    time.sleep(0.1)
    made = attack(self, rows)
    with open(log, "a") as file:
        file.write("x")
    return made


Source.attack = slow
X, y = make_blobs(128, centers=3, n_features=4, cluster_std=3.0, random_state=0)
models = {f"m{k}": DecisionTreeClassifier(max_depth=k + 2, random_state=k).fit(X, y) for k in range(6)}
generator = AdversarialGenerator(attack="hopskipjump", eps=1.0, max_queries=30, batch_size=8)
scorer = TransferScorer(generator, random_state=0, n_jobs=n_jobs, memory=None if folder == "-" else folder)
scorer.fit(models).transfer(X, y).save(out)
"""


def start(*args: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-W", "ignore", "-c", PROGRAM, *map(str, args)])


def n_cells(log: Path) -> int:
    return log.read_text().count("x") if log.exists() else 0


def stopped(folder: Path, how: str, by: int, n_times: int, rng: np.random.Generator) -> dict[str, str]:
    """Stop a run with a signal at random moments, once it has made a cell, until it is done."""
    store, log, out = folder / f"store {how}", folder / f"log {how}", folder / f"{how}.json"
    n_stopped = 0
    for _ in range(n_times):
        run, before = start(store, log, out, 2), n_cells(log)
        while run.poll() is None and n_cells(log) <= before:
            time.sleep(0.005)
        time.sleep(float(rng.uniform(0, 0.25)))
        run.send_signal(by)
        n_stopped += run.wait() != 0
        tqdm.write(f"{how} {n_stopped} times, {n_cells(log)} cells")
    assert start(store, log, out, 2).wait() == 0
    return {"fault": how, "times": str(n_stopped), "cells made": str(n_cells(log))}


def damaged(folder: Path, n_times: int, rng: np.random.Generator) -> dict[str, str]:
    """Flip a bit of an entry, or cut it, and measure again."""
    store, log, out = folder / "store killed", folder / "log killed", folder / "damaged.json"
    before = n_cells(log)
    for k in range(n_times):
        entries = sorted(path for path in store.rglob("*") if path.is_file())
        entry = entries[int(rng.integers(len(entries)))]
        content = bytearray(entry.read_bytes())
        place = int(rng.integers(len(content)))
        if k % 2:
            content[place] ^= 1 << int(rng.integers(8))
        else:
            del content[place:]
        entry.write_bytes(bytes(content))
        assert start(store, log, out, 1).wait() == 0
    return {"fault": "damaged", "times": str(n_times), "cells made": f"{n_cells(log) - before} more"}


def shared(folder: Path, n_writers: int) -> dict[str, str]:
    """Let several processes share a new folder."""
    store, logs = folder / "shared", [folder / f"log {k}" for k in range(n_writers)]
    runs = [start(store, log, folder / f"shared {k}.json", 1) for k, log in enumerate(logs)]
    assert [run.wait() for run in runs] == [0] * n_writers
    return {"fault": "shared", "times": f"{n_writers} at once", "cells made": str(sum(map(n_cells, logs)))}


TEXT = """# Runs that are killed, damaged and interrupted

    python benchmarks/faults.py

A matrix of six trees, of {n} cells that take a tenth of a second each, in processes that are killed
(SIGKILL) at random moments, whose folder is damaged, that share one, and that are interrupted. Each time the
result is compared with that of a run that nothing disturbed.

{rows}

*Cells made*: {n} is none twice; each kill may lose the cell that each of two threads is at.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=20, help="how often each fault is made")
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args()
    # a shell that runs this in the background has its children ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rng, rows = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        assert start("-", folder / "plain", folder / "plain.json", 1).wait() == 0
        plain, n = load_result(folder / "plain.json"), n_cells(folder / "plain")
        for row in (
            stopped(folder, "killed", signal.SIGKILL, options.times, rng),
            damaged(folder, options.times, rng),
            shared(folder, 4),
            stopped(folder, "interrupted", signal.SIGINT, options.times, rng),
        ):
            tqdm.write(str(row))
            rows.append(row)
        results = sorted(folder.glob("*.json"))
        identical = sum(load_result(path) == plain for path in results)
    assert identical == len(results), f"{identical} of {len(results)} results are as they should be"
    for row in rows:
        row["results"] = "identical"
    options.output.write_text(TEXT.format(n=n, rows=table(rows)))


if __name__ == "__main__":
    main()
