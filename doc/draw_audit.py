"""Draw the picture of an audit's report: run what the guide says, and open the report in Chromium.

    python doc/draw_audit.py

follows doc/guide/audit_files.rst and writes doc/_static/audit_page.png. It needs the extra `audit`, and
Chromium on the path.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

from PIL import Image

DOC = Path(__file__).resolve().parent
PAGE = DOC / "guide" / "audit_files.rst"
PICTURE = DOC / "_static" / "audit_page.png"
WIDTH, HEIGHT = 1000, 1940  # down to the end of a finding
COLOURS = 64


def steps(text: str) -> tuple[str, list[str]]:
    """The script of the page, which writes the files, and the arguments that make the report."""
    script = re.search(r"\.\. code-block:: python\n\n((?:   .*\n|\n)+)", text)
    command = re.search(r"^   \$ skhalfway (audit .* --out report\.html)$", text, re.MULTILINE)
    if script is None or command is None:
        raise ValueError("the page must have a script, and a command with --out report.html at its end")
    return dedent(script[1]), command[1].split()


def main() -> None:
    """Make the report in a temporary folder, and take its picture."""
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next(filter(None, map(shutil.which, names)), None)
    if browser is None:
        raise FileNotFoundError(f"none of {', '.join(names)} is on the path; install one of them")
    script, command = steps(PAGE.read_text(encoding="utf-8"))
    with TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-c", script], cwd=folder, check=True)
        subprocess.run([sys.executable, "-m", "skhalfway", *command], cwd=folder, check=True)
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        flags += ["--hide-scrollbars", f"--user-data-dir={folder / 'profile'}"]
        flags += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={folder / 'page.png'}"]
        address = (folder / "report.html").as_uri()
        subprocess.run([browser, *flags, address], check=True, capture_output=True)
        Image.open(folder / "page.png").convert("RGB").quantize(COLOURS).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
