"""The course: lessons run, say what their output shows, have solutions, and become notebooks."""

from __future__ import annotations

import ast
import builtins
import json
import re
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib.pyplot as plt
import nbformat
import pytest
from nbclient import NotebookClient

from skhalfway.course import write_course
from skhalfway.course._lessons import LESSONS, Lesson, cells_of, named_cells, read_lesson, read_lessons
from skhalfway.course._markdown import markdown_of
from skhalfway.course._notebooks import notebook_of
from tests.cli.conftest import run
from tests.scripts import in_own_process

COURSE = read_lessons()
PROJECT = 13
TAUGHT = [lesson for lesson in COURSE if lesson.number != PROJECT]
EXERCISES = ["1", "2", "3"]
FIRST = ["What you need", "Make a prediction first"]
LAST = ["What the literature says", "Exercises", "A common misreading", "Where next"]
DOC = Path(__file__).parents[1] / "doc"
SECONDS = 600  # of a lesson and its solutions, on a machine that does something else too

each = pytest.mark.parametrize("lesson", COURSE, ids=lambda lesson: lesson.path.stem)
each_taught = pytest.mark.parametrize("lesson", TAUGHT, ids=lambda lesson: lesson.path.stem)


def texts_of(lesson: Lesson) -> str:
    return "\n\n".join(cell.source for cell in lesson.cells if cell.kind == "text")


def headings_of(lesson: Lesson) -> list[str]:
    return re.findall(r"^(.+)\n-{4,}$", texts_of(lesson), re.MULTILINE)


def files_of(lesson: Lesson) -> list[Path]:
    return sorted(LESSONS.glob(f"lesson_{lesson.number:02}_*.py"))


# --- lessons run


def run_lesson(path: Path) -> None:
    """The lesson, then its claims and each solution, in copies of its namespace."""
    lesson = ModuleType(path.stem)
    sys.modules[path.stem] = lesson
    begin = time.process_time()
    exec(compile(path.read_text("utf-8"), path, "exec"), lesson.__dict__)
    print(f"lesson: {time.process_time() - begin:.1f} s")
    print(f"{len(plt.get_fignums())} figures")
    solutions = path.with_name(f"{path.stem[:9]}_solutions.py")
    text = solutions.read_text("utf-8") if solutions.exists() else ""
    for name, code in named_cells(text).items():
        plt.close("all")
        begin = time.process_time()
        lines_before = text[: text.index(code)].count("\n")  # so that a traceback shows the right lines
        exec(compile("\n" * lines_before + code, solutions, "exec"), dict(lesson.__dict__))
        print(f"{name}: {time.process_time() - begin:.1f} s")


@pytest.mark.usefixtures("quick_processes")
@each
def test_lesson_runs(lesson: Lesson, tmp_path: Path) -> None:
    printed = in_own_process(run_lesson, lesson.path, folder=tmp_path, seconds=SECONDS)
    figures = [int(line.split()[0]) for line in printed if re.fullmatch(r"\d+ figures", line)]
    assert figures[-1] >= 1 or lesson.number == PROJECT


# --- lessons are alike


def test_lessons_are_found() -> None:
    """In their order, none missing between them, none without a notebook."""
    assert len(COURSE) >= 1
    assert [lesson.number for lesson in COURSE] == list(range(1, len(COURSE) + 1))
    scripts = {path for path in LESSONS.glob("*.py") if not path.stem.endswith("_solutions")}
    assert scripts == {lesson.path for lesson in COURSE}


@each
def test_title_and_question(lesson: Lesson) -> None:
    title, underline, *_ = lesson.cells[0].source.splitlines()
    assert re.fullmatch(rf"{lesson.number}\. [A-Z].+[^.]", title) and underline == "=" * len(title)
    assert lesson.cells[0].source.split("\n\n")[1].startswith("**The question.** ")
    assert lesson.question.endswith("?")


@each_taught
def test_sections(lesson: Lesson) -> None:
    """The headings that all lessons have, in this order, and two to five of its own between them."""
    headings = headings_of(lesson)
    assert headings[:2] == FIRST and headings[-4:] == LAST
    assert 2 <= len(headings) - len(FIRST + LAST) <= 5
    assert len(headings) == len(set(headings))


def test_project_has_a_rubric() -> None:
    projects = [lesson for lesson in COURSE if lesson.number == PROJECT]
    for lesson in projects:
        assert any("rubric" in heading.lower() for heading in headings_of(lesson))
        assert lesson.solutions == {}


@each_taught
def test_exercises(lesson: Lesson) -> None:
    """Three, numbered, each followed by its solution, which begins with words and ends with what it shows."""
    section = re.split(r"^(?:.+)\n-{4,}$", texts_of(lesson), flags=re.MULTILINE)[-3]
    found = re.findall(r"^(?:(\d)\. \S.*|\.\. solution:: (\d))$", section, re.MULTILINE)
    assert found == [pair for number in EXERCISES for pair in ((number, ""), ("", number))]
    assert list(lesson.solutions) == ["claims", *EXERCISES]
    for exercise in re.split(r"^\.\. solution:: \d$", section, flags=re.MULTILINE)[:-1]:
        assert re.search(r"\bReport[:,]", exercise) and re.search(r"\bCheck:\s", exercise)
    for name, code in lesson.solutions.items():
        checks = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Assert)]
        assert checks, f"{name} asserts nothing"
        assert all(ast.unparse(check.test) != "True" for check in checks)
        assert name == "claims" or code.startswith("# "), f"solution {name} does not begin with words"


@each
def test_lines_are_short(lesson: Lesson) -> None:
    for path in files_of(lesson):
        long = [n for n, line in enumerate(path.read_text("utf-8").splitlines(), 1) if len(line) > 88]
        assert not long, f"{path.name}: lines {long} have more than 88 characters"


COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def hard_to_read(code: str) -> list[int]:
    """Lines of comprehensions of more than four lines, or of more than two that hold or loop over another."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, COMPREHENSIONS):
            n_lines = int(node.end_lineno or 0) - node.lineno + 1
            nested = sum(isinstance(part, COMPREHENSIONS) for part in ast.walk(node)) > 1
            if n_lines > (2 if nested or len(node.generators) > 1 else 4):
                found.append(node.lineno)
    return found


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("[a for a in b]", []),
        ("x = [\n  a\n  for a in b\n]", []),
        ("x = [\n  a\n  for a in b\n  if a\n]", [1]),
        ("[[a for a in b] for b in c]", []),
        ("[\n  [a for a in b]\n  for b in c]", [1]),
        ("{\n  a: b\n  for a in c for b in a}", [1]),
    ],
)
def test_comprehensions_are_seen(code: str, lines: list[int]) -> None:
    assert hard_to_read(code) == lines


@each
def test_comprehensions_are_short(lesson: Lesson) -> None:
    """What a student reads has plain loops in place of long or nested comprehensions."""
    assert not hard_to_read(lesson.path.read_text("utf-8")), lesson.path.name
    for name, code in lesson.solutions.items():
        assert name == "claims" or not hard_to_read(code), f"solution {name}"


@each
def test_cells_end_without_matplotlib(lesson: Lesson) -> None:
    """The last expression of a cell is shown in a notebook: a table, but no "<matplotlib...>"."""
    drawing = {"legend", "set", "set_title", "suptitle", "plot", "axhline", "set_xticks", "errorbar", "bar"}
    for cell in lesson.cells:
        if cell.kind == "code" and isinstance(last := ast.parse(cell.source).body[-1], ast.Expr):
            call = last.value
            name = (
                call.func.attr if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) else ""
            )
            assert name not in drawing, f"{lesson.path.name}, cell of line {cell.line} ends with {name}"


# --- times


def rows_of(page: Path) -> list[list[str]]:
    """Rows of the list-table of a page."""
    cells = re.findall(r"^   ([*] -| {2}-) ?(.*)$", page.read_text("utf-8"), re.MULTILINE)
    rows: list[list[str]] = []
    for mark, text in cells:
        if mark == "* -":
            rows.append([])
        rows[-1].append(text)
    return rows


def timetable_of(lesson: Lesson) -> dict[str, list[int]]:
    """Minutes of each part, in a session of 90 and in one of 45 minutes, from the notes for instructors."""
    text = (DOC / "instructors" / f"lesson_{lesson.number:02}.rst").read_text("utf-8")
    found = re.findall(r"^(\S.*?) {2,}(\d+) +(\d+)$", text, re.MULTILINE)
    return {part: [int(long), int(short)] for part, long, short in found}


@each_taught
def test_timetables_add_up(lesson: Lesson) -> None:
    """Parts are the lesson's own headings, and both sessions end in time."""
    minutes = timetable_of(lesson)
    together = minutes.pop("Together")
    assert together == [90, 45] == [sum(column) for column in zip(*minutes.values(), strict=True)]
    first, *parts, discussion, exercises = minutes
    assert parts == headings_of(lesson)[len(FIRST) : -len(LAST)]
    assert (first, discussion, exercises[:9]) == ("Predictions", "Discussion", "Exercises")


@each_taught
def test_times_agree(lesson: Lesson) -> None:
    """Minutes to read and seconds to run are the same in the lesson and on the page of the course."""
    time_line = (
        r"- Time: about (\d+) minutes, and an hour for the\s+exercises. The code takes\s+(\d+) seconds"
    )
    said = re.search(time_line, texts_of(lesson))
    row = next(row for row in rows_of(DOC / "course.rst") if row[0] == str(lesson.number))
    assert said and [said[1], said[2]] == row[3:5]
    in_class = sum(long for long, _ in list(timetable_of(lesson).values())[:-3])  # up to the discussion
    assert abs(int(said[1]) - in_class) <= 10
    earlier = re.search(r"Earlier lessons: (.+?)[.]\n", texts_of(lesson))
    assert earlier and re.findall(r"\d+", earlier[1]) == re.findall(r"\d+", row[1])


@each_taught
def test_discussions_have_answers(lesson: Lesson) -> None:
    text = (DOC / "instructors" / f"lesson_{lesson.number:02}.rst").read_text("utf-8")
    questions = text.split("For the discussion\n---")[1].split("\n- ")[1:]
    assert len(questions) >= 3
    for question in questions:
        asked, _, answer = question.partition("\n\n")
        assert "?" in asked and len(answer.split()) > 15, asked


TAKEN = {*dir(builtins), "In", "Out", "display", "exit", "get_ipython", "quit"}


def names_bound(code: str) -> set[str]:
    """All names that code gives a meaning to, inside functions too, but for attributes and methods."""
    names: set[str] = set()
    tree = ast.parse(code)
    methods = {part for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for part in node.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node not in methods:
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {(part.asname or part.name).partition(".")[0] for part in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
    return names


def test_names_are_seen() -> None:
    code = "import a.b as c, d.e\ndef f(g, *h): i = 1\nfor j, k in l: pass\n"
    code += "with m as n: o.p = 1\n[q for q in l]\n"
    assert names_bound(code) == set("cdfghijknq")
    assert names_bound("class A:\n    def input(self): pass\n") & TAKEN == set()


@each
def test_nothing_of_python_is_shadowed(lesson: Lesson) -> None:
    for path in files_of(lesson):
        assert not names_bound(path.read_text("utf-8")) & (TAKEN - {"_"}), path.name


@each_taught
def test_thumbnail(lesson: Lesson) -> None:
    """The last code says which figure stands for the lesson."""
    last = [cell.source for cell in lesson.cells if cell.kind == "code"][-1]
    assert re.search(r"^# sphinx_gallery_thumbnail_number = \d+$", last, re.MULTILINE)


# --- notebooks


@each
def test_notebook_is_valid(lesson: Lesson) -> None:
    notebook = nbformat.from_dict(notebook_of(lesson))
    nbformat.validate(notebook)
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert "sphinx_gallery" not in "".join(sources)
    for source in sources:
        compile(source, lesson.path.name, "exec")
    folded = [cell.source for cell in notebook.cells if cell.source.startswith("<details>")]
    assert len(folded) == len(lesson.solutions) - ("claims" in lesson.solutions)


def test_one_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From its file, in Jupyter's kernel, and shows a figure; as scripts, all lessons run."""
    monkeypatch.delenv("MPLBACKEND", raising=False)
    _, path, *_ = write_course(tmp_path)
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    assert any("image/png" in out.get("data", {}) for out in outputs)
    assert not [out for out in outputs if out.output_type == "stream" and out.name == "stderr"]


# --- what lessons are written in


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("Title\n=====\n\nA question\nof two lines.", "# Title\n\nA question of two lines."),
        ("Heading\n-------", "## Heading"),
        ("**b** and *e* and ``X_test * 2``", "**b** and *e* and `X_test * 2`"),
        ("a *word* of 2 * is none".replace("2 * ", ""), "a *word* of is none"),
        ("a `paper\nof two <https://x.org/a_b>`__.", "a [paper of two](https://x.org/a_b)."),
        (r"the :math:`\epsilon_1` of *all*", r"the $\epsilon_1$ of *all*"),
        (".. math::\n\n   a = b\n\nand", "$$\na = b\n$$\n\nand"),
        (".. math:: a = b", "$$\na = b\n$$"),
        (
            ".. math::\n\n   a &= b \\\\\n   c &= d",
            "$$\n\\begin{aligned}\na &= b \\\\\nc &= d\n\\end{aligned}\n$$",
        ),
        ("- one\n  line\n- two", "- one line\n- two"),
        ("1. one\n\n   more\n\n2. two", "1. one\n\n   more\n\n2. two"),
        ("- one\n\n  - in it\n    too\n\nafter", "- one\n\n  - in it too\n\nafter"),
        ("costs $5, a_b, 1 < 2 - 3", r"costs \$5, a\_b, 1 &lt; 2 - 3"),
    ],
)
def test_markdown(text: str, markdown: str) -> None:
    assert markdown_of(text) == markdown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("see :func:`f`", "a role"),
        ("see `f`", "a role"),
        ("see `text <lesson_07>`__", "a role, or a link"),
        ("`two <https://x.org>`_", "a role, or a link"),
        ("2 * 3", "a star that emphasises nothing"),
        ("a |b| c", "a substitution"),
        ("a\\ b", "a backslash"),
        ("see name_ there", "a word that ends in an underscore"),
        ("see [A1]_", "underscore|citation"),
        ("as in::\n\n    code", "a literal block"),
        (".. note::\n\n   text", "no directive but"),
        (".. image:: a.png", "no directive but"),
        (":field: text", "no directive but"),
        ("====  ====\na     b\n====  ====", "no directive but"),
        ("Heading\n~~~~~~~", "no directive but"),
        ("A long heading\n-----", "too short"),
        ("text\n\n   quoted", "belongs to no item"),
        ("term\n   its meaning", "must begin at the same place"),
        ("- item\nlazy", "must begin at the same place"),
        (".. math::", "a formula must follow"),
        (".. math::\n\nnot indented", "a formula must be indented"),
    ],
)
def test_what_lessons_may_not_hold(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        markdown_of(text)


SCRIPT = '''"""
1. A title
==========

**The question.** What
is it? More of it.
"""

# %%
# Text
# ----
#
# Words.

x = 1  # code
# a comment

# %%
# 1. Do it.
#
# .. solution:: 1
#
# 2. Do more.

y = 2
# sphinx_gallery_thumbnail_number = 1
'''


def test_cells(tmp_path: Path) -> None:
    path = tmp_path / "lesson_01_title.py"
    path.write_text(SCRIPT)
    cells = cells_of(SCRIPT)
    assert [cell.kind for cell in cells] == ["text", "text", "code", "text", "code"]
    assert cells[1].source == "Text\n----\n\nWords." and cells[2].source == "x = 1  # code\n# a comment"
    lines = SCRIPT.splitlines()
    assert all(cell.source.split("\n")[0] in lines[cell.line - 1] for cell in cells[1:])
    lesson = read_lesson(path)
    assert (lesson.number, lesson.title, lesson.question) == (1, "1. A title", "What is it?")
    with pytest.raises(ValueError, match=r"lesson_01_title.py, cell of line \d+: exercise 1 has no solution"):
        notebook_of(lesson)
    (tmp_path / "lesson_01_solutions.py").write_text(
        "# %% claims\nassert x\n\n# %% 1\n# It is 1.\nassert x\n"
    )
    assert read_lessons(tmp_path) == [read_lesson(path)]
    cells = notebook_of(read_lesson(path))["cells"]
    assert [cell["source"] for cell in cells] == [
        "# 1. A title\n\n**The question.** What is it? More of it.",
        "## Text\n\nWords.",
        "x = 1  # code\n# a comment",
        "1. Do it.",
        "<details><summary>Solution</summary>\n\n```python\n# It is 1.\nassert x\n```\n\n</details>",
        "2. Do more.",
        "y = 2",
    ]
    with pytest.raises(ValueError, match="begins with a docstring"):
        cells_of("x = 1\n")


# --- what is written


def test_exercises_without_solutions(tmp_path: Path) -> None:
    write_course(tmp_path / "with")
    assert run("course", str(tmp_path / "without"), "--without-solutions") == 0
    for lesson in COURSE:
        name = f"{lesson.path.stem}.ipynb"
        full, bare = ((tmp_path / kind / name).read_text("utf-8") for kind in ("with", "without"))
        n = full.count("<summary>Solution</summary>")
        assert "<summary>Solution</summary>" not in bare and bare.count('"# your solution"') == n
        assert n == (3 if lesson.number < 13 else n)
        for solution in lesson.solutions.values():
            assert json.dumps(solution)[1:-1] not in bare
    heads = [(tmp_path / kind / "README.md").read_text("utf-8") for kind in ("with", "without")]
    assert ["folded" in head for head in heads] == [True, False]


def test_write_course(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "course"
    written = write_course(folder)
    assert sorted(written) == sorted(path for path in folder.rglob("*") if path.is_file())
    notebooks = [f"{lesson.path.stem}.ipynb" for lesson in COURSE]
    assert written == [folder / name for name in ["README.md", *notebooks]]
    listed = re.findall(r"^(\d+)\. \[(.+)\]\((.+)\): .+[.?!]$", written[0].read_text("utf-8"), re.MULTILINE)
    assert [f"{number}. {title}" for number, title, _ in listed] == [lesson.title for lesson in COURSE]
    assert [name for *_, name in listed] == notebooks
    assert json.loads(written[1].read_text("utf-8")) == notebook_of(COURSE[0])


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    own, changed = tmp_path / "notes.txt", tmp_path / "README.md"
    own.write_text("mine")
    changed.write_text("mine")
    with pytest.raises(FileExistsError, match=r"holds README.md, which would be .* pass overwrite=True"):
        write_course(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([own, changed]) and changed.read_text() == "mine"
    write_course(tmp_path, overwrite=True)
    assert own.read_text() == "mine" and changed.read_text("utf-8").startswith("# Deep learning's mysteries")
    with pytest.raises(NotADirectoryError, match="is a file; give the folder"):
        write_course(own)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "course")
    assert run("course", folder) == 0
    *paths, last = capsys.readouterr().out.splitlines()
    assert all(Path(path).is_file() for path in paths) and len(paths) > len(COURSE)
    assert last == f"wrote {len(COURSE)} notebooks to {folder}; README.md there says how to begin"
    assert run("course", folder) == 2
    message = capsys.readouterr().err
    assert "would be overwritten" in message and message.endswith("give another folder, or add --overwrite\n")
    assert run("course", folder, "--overwrite") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required: PATH"),
        (["a_file"], "a_file is not a folder"),
        (["nowhere/course"], "there is no folder nowhere"),
    ],
    ids=str,
)
def test_command_checks(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a_file").touch()
    assert run("course", *arguments) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a_file"]
