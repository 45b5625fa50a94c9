"""The examples run from top to bottom, in a process of their own, and draw."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))

RUN_AND_COUNT_FIGURES = """
import runpy, sys
import matplotlib.pyplot as plt
runpy.run_path(sys.argv[1])
print(len(plt.get_fignums()))
"""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path) -> None:
    environment = os.environ | {"MPLBACKEND": "agg", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", RUN_AND_COUNT_FIGURES, str(example)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout.splitlines()[-1]) >= 1


def test_there_are_examples() -> None:
    assert "plot_tabular_audit" in [example.stem for example in EXAMPLES]
