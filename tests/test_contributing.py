"""The code of CONTRIBUTING.md runs, in a process of its own: it registers types, pieces and results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"
RUN = """
import doctest, sys, warnings
warnings.simplefilter("error")
found = doctest.testfile(sys.argv[1], module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
sys.exit(found.failed or found.attempted < 10)
"""


def test_the_code_of_the_page_runs() -> None:
    run = subprocess.run([sys.executable, "-c", RUN, str(PAGE)], capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stdout + run.stderr
