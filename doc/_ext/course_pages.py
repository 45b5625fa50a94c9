"""Pages of the course: folded solutions, the list of lessons, and the notebooks to download."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from skhalfway.course import write_course
from skhalfway.course._lessons import LESSONS, Lesson, read_lesson, read_lessons

NOTEBOOKS, ARCHIVE = "notebooks", "skhalfway_course.zip"
PLACE = "course/"  # where the gallery puts the pages of lessons


def shown_lesson(docname: str) -> Lesson | None:
    """The lesson that a page shows."""
    path = LESSONS / f"{docname.removeprefix(PLACE)}.py"
    return read_lesson(path) if docname.startswith(f"{PLACE}lesson_") and path.exists() else None


class Solution(SphinxDirective):
    """``.. solution:: 1``: the solution of an exercise of this lesson, folded."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        lesson = shown_lesson(self.env.docname)
        if lesson is None or self.arguments[0] not in lesson.solutions:
            raise self.error(f"there is no solution {self.arguments[0]!r} for {self.env.docname}")
        self.env.note_dependency(str(lesson.path.with_name(f"lesson_{lesson.number:02}_solutions.py")))
        code = lesson.solutions[self.arguments[0]]
        return [
            nodes.raw("", '<details class="solution"><summary>Solution</summary>', format="html"),
            nodes.literal_block(code, code, language="python"),
            nodes.raw("", "</details>", format="html"),
        ]


class Lessons(SphinxDirective):
    """``.. lessons::``: a numbered list of all lessons, each with its question and its notebook."""

    def run(self) -> list[nodes.Node]:
        lines = []
        for lesson in read_lessons():
            self.env.note_dependency(str(lesson.path))
            number, _, title = lesson.title.partition(". ")
            page, notebook = f"/{PLACE}{lesson.path.stem}", f"{NOTEBOOKS}/{lesson.path.stem}.ipynb"
            lines.append(f"{number}. :doc:`{title} <{page}>`. {lesson.question} (`notebook <{notebook}>`__)")
        return self.parse_text_to_nodes("\n".join(lines))


def link_notebook(app: Any, docname: str, source: list[str]) -> None:
    lesson = shown_lesson(docname)
    if lesson is not None:
        link = f"../{NOTEBOOKS}/{lesson.path.stem}.ipynb"
        source[0] += f"\n\n`This lesson as a notebook, with the solutions <{link}>`__\n"


def write_notebooks(app: Any, exception: Exception | None) -> None:
    """Beside the pages: each notebook, and all of them in one archive."""
    if exception is not None or app.builder.name != "html":
        return
    folder = Path(app.outdir) / NOTEBOOKS
    written = write_course(folder, overwrite=True)
    with zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in written:
            archive.write(path, Path("skhalfway_course") / path.relative_to(folder))


def setup(app: Any) -> dict[str, Any]:
    app.add_directive("solution", Solution)
    app.add_directive("lessons", Lessons)
    app.connect("source-read", link_notebook)
    app.connect("build-finished", write_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
