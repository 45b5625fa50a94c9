"""Find phrases that readers stumbled over, in prose: pages, docstrings, comments, and what lessons say.

    python .ci/words.py

reads words.txt, beside this file, and all files that git tracks. It prints each find as path:line, with a
better wording. It then lets proselint, with the checks of proselint.json, read the pages. It exits with 1 if
either finds something.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

RULES = Path(__file__).with_name("words.txt")
CHECKS = Path(__file__).with_name("proselint.json")
PAGES = (".md", ".rst")
# a changelog quotes what names were; a page of results is written by its benchmark
SKIPPED = ("CHANGELOG.md", "LICENSE")


class Rule(NamedTuple):
    """A phrase, as a regular expression, and what to write instead."""

    pattern: re.Pattern[str]
    better: str


def read_rules(text: str) -> list[Rule]:
    """Rules, one a line, as "pattern -> better"; a line that begins with "#" is a comment."""
    rules = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pattern, arrow, better = line.partition(" -> ")
        if not arrow:
            raise ValueError(f"a rule needs ' -> ' between phrase and advice, got {line!r}")
        # a phrase may go on in the next line, behind the mark of a comment
        rules.append(Rule(re.compile(pattern.strip().replace(" ", r"\s+(?:#\s+)?"), re.I), better.strip()))
    return rules


def prose(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Pieces of prose of a file, each with the number of its first line."""
    if path.suffix in PAGES:
        yield 1, text
        return
    block: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            block.append((token.start[0], token.string))
        elif token.type not in (tokenize.NL, tokenize.NEWLINE):
            if block:
                yield block[0][0], "\n".join(line for _, line in block)
                block = []
            if token.type == tokenize.STRING:
                yield token.start[0], token.string
    if block:
        yield block[0][0], "\n".join(line for _, line in block)


def finds(path: Path, text: str, rules: list[Rule]) -> Iterator[str]:
    """What is found in a file, as lines."""
    for first, piece in prose(path, text):
        for rule in rules:
            for match in rule.pattern.finditer(piece):
                line = first + piece.count("\n", 0, match.start())
                said = " ".join(match[0].split())
                yield f"{path}:{line}: {said!r} -> {rule.better}"


def main() -> int:
    rules = read_rules(RULES.read_text(encoding="utf-8"))
    listed = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True).stdout
    paths = [Path(line) for line in listed.splitlines()]
    wanted = [
        path
        for path in paths
        if path.suffix in (*PAGES, ".py")
        and path.name not in SKIPPED
        and path.parts[0] not in (".ci", "tests")
    ]
    found = [line for path in wanted for line in finds(path, path.read_text(encoding="utf-8"), rules)]
    print("\n".join(found) if found else f"none of {len(rules)} phrases is in {len(wanted)} files")
    pages = [str(path) for path in wanted if path.suffix in PAGES]
    checked = subprocess.run(["proselint", "check", "--config", str(CHECKS), *pages], check=False)
    return int(bool(found) or checked.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
