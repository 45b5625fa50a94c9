"""What a lesson is: a script of cells with a title, a question, exercises, and their solutions beside it.

A lesson, ``lessons/lesson_NN_NAME.py``, is a script in the percent format: a docstring with the title and
the question, then cells that begin with ``# %%``, each of comment lines (text) and code. Its solutions are
the cells of ``lessons/lesson_NN_solutions.py``, each headed by its name: ``claims`` (assertions that the
text says what the output shows) and the number of the exercise.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

LESSONS = Path(__file__).parent / "lessons"
CELL = "# %%"


@dataclass(frozen=True)
class Cell:
    """Text in reStructuredText, or code, and the line of the file on which it begins."""

    kind: str
    source: str
    line: int


@dataclass(frozen=True)
class Lesson:
    """The cells of a lesson, and its solutions by name."""

    path: Path
    cells: tuple[Cell, ...]
    solutions: dict[str, str]

    @property
    def number(self) -> int:
        """Its place in the course."""
        return number_of(self.path)

    @property
    def title(self) -> str:
        """The title, with the number."""
        return self.cells[0].source.partition("\n")[0]

    @property
    def question(self) -> str:
        """What the lesson asks: the first paragraph up to its question mark, or else its first sentence."""
        paragraph = " ".join(self.cells[0].source.split("\n\n")[1].split())
        sentence = re.match(r"(?:\*\*The question\.\*\* +)?(.+?\?|.+?[.!])(?= |$)", paragraph)
        if sentence is None:
            raise ValueError(f"{self.path.name}: the first paragraph has no sentence: {paragraph!r}")
        return sentence[1]


def read_lessons(folder: Path = LESSONS) -> list[Lesson]:
    """All lessons of a folder, in their order."""
    paths = sorted(path for path in folder.glob("lesson_*.py") if not path.stem.endswith("_solutions"))
    return [read_lesson(path) for path in paths]


def read_lesson(path: Path) -> Lesson:
    """Read a lesson and its solutions, where there are any."""
    beside = path.with_name(f"lesson_{number_of(path):02}_solutions.py")
    solutions = named_cells(beside.read_text("utf-8")) if beside.exists() else {}
    return Lesson(path, tuple(cells_of(path.read_text("utf-8"))), solutions)


def number_of(path: Path) -> int:
    """The number in the name of a lesson's file."""
    return int(path.stem.split("_")[1])


def cells_of(code: str) -> list[Cell]:
    """The docstring as the first text, then text and code in turn; nothing that is empty."""
    first = ast.parse(code).body[0]
    title = ast.get_docstring(ast.Module([first], []))
    if title is None or first.end_lineno is None:
        raise ValueError("a lesson begins with a docstring: its title and its question")
    cells = [Cell("text", title, 1)]
    lines = code.splitlines()
    heads = [k for k in range(first.end_lineno, len(lines)) if lines[k].rstrip() == CELL]
    for head, end in zip([first.end_lineno - 1, *heads], [*heads, len(lines)], strict=True):
        body = next((k for k in range(head + 1, end) if not lines[k].startswith("#")), end)
        if head < first.end_lineno:  # what follows the docstring at once is code
            body = head + 1
        text = [line[1:].removeprefix(" ") for line in lines[head + 1 : body]]
        cells += [_cell("text", text, head + 2), _cell("code", lines[body:end], body + 1)]
    return [cell for cell in cells if cell.source]


def _cell(kind: str, lines: list[str], number: int) -> Cell:
    """A cell without the empty lines around it."""
    n_empty = next((k for k, line in enumerate(lines) if line.strip()), 0)
    return Cell(kind, "\n".join(lines[n_empty:]).rstrip(), number + n_empty)


def named_cells(code: str) -> dict[str, str]:
    """Cells by the name behind their ``# %%``."""
    parts = re.split(rf"^{CELL} +(.+?) *$", code, flags=re.MULTILINE)[1:]
    return {name: source.strip("\n") for name, source in zip(parts[::2], parts[1::2], strict=True)}
