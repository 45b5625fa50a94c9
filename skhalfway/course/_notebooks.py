"""A notebook of a lesson: nbformat 4.5, with each solution folded below its exercise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from skhalfway.course._lessons import Lesson
from skhalfway.course._markdown import markdown_of

SOLUTION = re.compile(r"^\.\. solution:: (\w+)$", re.MULTILINE)
# what only the gallery reads
GALLERY = re.compile(r"^# sphinx_gallery_.*\n?", re.MULTILINE)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def notebook_of(lesson: Lesson, *, solutions: bool = True) -> dict[str, Any]:
    """The notebook, as what its JSON says; without ``solutions``, exercises have an empty cell instead.

    Raises
    ------
    ValueError
        If a text cannot be turned into Markdown, or an exercise has no solution.
    """
    cells: list[dict[str, Any]] = [
        {"cell_type": kind, "id": f"cell-{number:02}", "metadata": {}, "source": source}
        | ({"execution_count": None, "outputs": []} if kind == "code" else {})
        for number, (kind, source) in enumerate(_cells(lesson, solutions))
    ]
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def _cells(lesson: Lesson, solutions: bool) -> Iterator[tuple[str, str]]:
    for cell in lesson.cells:
        if cell.kind == "code":
            code = GALLERY.sub("", cell.source).strip("\n")
            if code:
                yield "code", code
            continue
        try:
            # texts, and between them the names of solutions
            for position, part in enumerate(SOLUTION.split(cell.source)):
                if position % 2:
                    solution = _solution(lesson, part)
                    yield ("markdown", solution) if solutions else ("code", "# your solution")
                elif part.strip():
                    yield "markdown", markdown_of(part)
        except ValueError as error:
            raise ValueError(f"{lesson.path.name}, cell of line {cell.line}: {error}") from error


def _solution(lesson: Lesson, name: str) -> str:
    if name not in lesson.solutions:
        raise ValueError(
            f"exercise {name} has no solution; there are {', '.join(lesson.solutions) or 'none'}"
        )
    code = f"```python\n{lesson.solutions[name]}\n```"
    return f"<details><summary>Solution</summary>\n\n{code}\n\n</details>"
