"""write_course: the notebooks of all lessons, and a page that lists them, into a folder."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path

from skhalfway.course._lessons import Lesson, read_lessons
from skhalfway.course._markdown import markdown_of
from skhalfway.course._notebooks import notebook_of

HEAD = """\
# Deep learning's mysteries in twelve lessons

A course with the Python library skhalfway. Each of the twelve lessons is a notebook: it asks for a
prediction, makes an experiment, and ends with three exercises{folded}.
The thirteenth notebook is the final project. A laptop is enough, and nothing is downloaded.

To begin, install Jupyter beside skhalfway, open the folder, and take the lessons in their order:

    pip install jupyterlab
    jupyter lab
"""
MOST_NAMED = 3


def write_course(path: str | PathLike[str], *, overwrite: bool = False, solutions: bool = True) -> list[Path]:
    """Write the lessons of the course as notebooks.

    Parameters
    ----------
    path : str or path-like
        The folder to write to, which is made where it does not exist.
    overwrite : bool, default=False
        Whether files of the same names that are there already are replaced. Other files stay in any case.
    solutions : bool, default=True
        Whether the solution of an exercise is folded below it. Without solutions there is an empty cell, for
        students whose exercises are graded.

    Returns
    -------
    written : list of Path
        The files: ``README.md``, which lists the lessons, and a notebook for each, in their order.

    Raises
    ------
    FileExistsError
        If files would be overwritten. Nothing has been written then.
    NotADirectoryError
        If ``path`` is a file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skhalfway.course import write_course
    >>> with TemporaryDirectory() as folder:
    ...     written = write_course(folder)
    >>> [file.name for file in written][:2]
    ['README.md', 'lesson_01_first_adversarial_example.ipynb']
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; give the folder to write the course to")
    texts = _texts(solutions)
    there = [name for name in texts if (folder / name).exists()]
    if there and not overwrite:
        more = f" and {len(there) - MOST_NAMED} more" if len(there) > MOST_NAMED else ""
        raise FileExistsError(
            f"{folder} holds {', '.join(there[:MOST_NAMED])}{more}, which would be overwritten, with what "
            "you changed in them; give another folder, or pass overwrite=True"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    return [folder / name for name in texts]


def _texts(solutions: bool) -> dict[str, str]:
    """All files, by name."""
    lessons = read_lessons()
    notebooks = {
        f"{lesson.path.stem}.ipynb": json.dumps(
            notebook_of(lesson, solutions=solutions), indent=1, ensure_ascii=False
        )
        + "\n"
        for lesson in lessons
    }
    head = HEAD.format(folded=", whose solutions are folded below them" if solutions else "")
    return {"README.md": f"{head}\n{''.join(map(_line, lessons))}"} | notebooks


def _line(lesson: Lesson) -> str:
    number, _, title = lesson.title.partition(". ")
    return f"{number}. [{title}]({lesson.path.stem}.ipynb): {markdown_of(lesson.question)}\n"
