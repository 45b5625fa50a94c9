"""The examples run from top to bottom, in a process of their own, and draw."""

from __future__ import annotations

import runpy
import traceback
import warnings
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from skhalfway import AuditReport, load_result

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("plot_*.py"))


def run_and_count_figures(example: Path, said: Path) -> None:
    """In a process of its own; what it prints, or raises, is in a file."""
    torch.set_num_threads(1)
    plt.switch_backend("agg")
    warnings.simplefilter("error")
    with said.open("w", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        try:
            runpy.run_path(str(example))
        except BaseException:
            traceback.print_exc(file=file)
            raise
        file.write(f"{len(plt.get_fignums())}\n")


@pytest.mark.usefixtures("quick_processes")
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path, tmp_path: Path) -> None:
    said = tmp_path / "said"
    run = get_context("forkserver").Process(target=run_and_count_figures, args=(example, said))
    run.start()
    run.join(300)
    if run.is_alive():
        run.kill()
        run.join()
    printed = said.read_text("utf-8")
    assert run.exitcode == 0, printed
    assert int(printed.splitlines()[-1]) >= 1


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
