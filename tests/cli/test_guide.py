"""The page of the guide on audits of files: what it says can be pasted, and prints what it shows."""

from __future__ import annotations

import re
import runpy
import shlex
from configparser import ConfigParser
from pathlib import Path
from textwrap import dedent

import pytest

from tests.cli.conftest import run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "doc" / "guide" / "audit_files.rst").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    """The blocks of code of a kind, in their order."""
    found = re.findall(rf"^\.\. code-block:: {kind}\n\n((?:   .*\n|\n)+)", PAGE, re.MULTILINE)
    return [dedent(block).strip() for block in found]


def test_the_extra_that_is_installed_has_skops():
    install = blocks("console")[0]
    extra = re.fullmatch(r'\$ pip install "\.\[(\w+)\]" -c constraints.txt', install)[1]
    settings = ConfigParser()
    settings.read(ROOT / "setup.cfg")
    assert "skops" in settings["options.extras_require"][extra]


def test_the_page_can_be_pasted(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("prepare.py").write_text("\n\n".join(blocks("python")))
    runpy.run_path("prepare.py")
    (rules,) = blocks("toml")
    Path("constraints.toml").write_text(rules)
    for block in blocks("console")[1:]:
        for one in block.removeprefix("$ ").split("\n$ "):
            command, *shown = one.splitlines()
            words = shlex.split(command)
            assert words[0] == "skhalfway"
            capsys.readouterr()
            said = [line for line in shown if line.startswith(f"skhalfway {words[1]}: ")]
            wrong = any(line.startswith(f"skhalfway {words[1]}: error: ") for line in said)
            assert run(*words[1:]) == 2 * wrong
            out, err = capsys.readouterr()
            assert out.splitlines() == [line for line in shown if line not in said]
            # progress bars are not shown on the page
            told = [line for line in err.splitlines() if line.startswith("python -m skhalfway")]
            assert [line.removeprefix("python -m ") for line in told] == said
    assert Path("report.html").exists()


@pytest.mark.parametrize("page", ["README.md", "doc/continuous_integration.rst"])
def test_other_pages_lead_to_it(page):
    assert "audit_files" in (ROOT / page).read_text(encoding="utf-8")
