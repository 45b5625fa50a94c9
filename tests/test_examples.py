"""The audits of the folder of examples run, and write their reports."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from skhalfway import AuditReport, load_result

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
    scripts = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))
    assert [script.stem for script in scripts] == ["audit_bank", "audit_digits", "audit_tumours"]
    assert scripts == AUDITS
