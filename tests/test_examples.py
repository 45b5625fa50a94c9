"""The examples run from top to bottom, in a process of their own, and draw."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from skhalfway import AuditReport, load_result

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


FEWER = {"audit_bank": {"n_applications": 2000}}
AUDITS = sorted((Path(__file__).parents[1] / "examples").glob("audit_*.py"))


@pytest.mark.parametrize("example", AUDITS, ids=lambda path: path.stem)
def test_audit(example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In short: few samples, and no more than transfer."""
    runpy.run_path(str(example))["main"](20, [], tmp_path, **FEWER.get(example.stem, {}))
    assert capsys.readouterr().out.startswith("AuditReport of ")
    assert {path.name for path in tmp_path.iterdir()} == {f"{example.stem}.json", f"{example.stem}.html"}
    assert isinstance(load_result(tmp_path / f"{example.stem}.json"), AuditReport)


def test_there_are_examples() -> None:
    assert "plot_tabular_audit" in [example.stem for example in EXAMPLES]
    assert [example.stem for example in AUDITS] == ["audit_bank", "audit_digits", "audit_tumours"]
