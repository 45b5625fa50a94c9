"""The examples run from top to bottom, in a process of their own, and draw."""

from __future__ import annotations

import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from skhalfway import AuditReport, load_result
from tests.scripts import in_own_process

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))


def run_and_count_figures(example: Path) -> None:
    runpy.run_path(str(example))
    print(len(plt.get_fignums()))


@pytest.mark.usefixtures("quick_processes")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path, tmp_path: Path) -> None:
    printed = in_own_process(run_and_count_figures, example, folder=tmp_path)
    assert int(printed[-1]) >= 1


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
