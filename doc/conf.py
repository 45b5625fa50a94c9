"""Sphinx configuration. The build needs no network, and every warning is an error."""

import re
import sys
from pathlib import Path
from typing import Any

import skhalfway

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "skhalfway"
author = "the skhalfway developers"
copyright = f"2026, {author}"
version = release = skhalfway.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "course_pages",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "auto_examples/*.md5",
    "auto_examples/*.ipynb",
    "course/*.md5",
    "course/index.rst",
]
default_role = "literal"
nitpicky = True
# Other projects' objects: linking to them would need their inventories, from the network.
nitpick_ignore_regex = [
    (r"py:.*", r"(art|joblib|matplotlib|numpy|pandas|scipy|sklearn|skorch|torch)\..*"),
]

autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
autosummary_generate = True
numpydoc_show_class_members = False

html_theme = "pydata_sphinx_theme"
html_title = "skhalfway"
html_static_path = ["_static"]
html_css_files = ["skhalfway.css"]
html_show_sourcelink = False
html_copy_source = False
html_sidebars = {
    page: [] for page in ("index", "guide", "continuous_integration", "framework", "coming_from", "changelog")
}
html_theme_options = {
    "navigation_with_keys": False,
    "show_prev_next": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}

sphinx_gallery_conf = {
    "examples_dirs": ["../examples", "../skhalfway/course/lessons"],
    "gallery_dirs": ["auto_examples", "course"],
    "filename_pattern": r"/(plot|lesson)_",
    "ignore_pattern": r"_solutions\.py$",
    # lessons have notebooks of their own, with solutions: see _ext/course_pages.py
    "notebook_extensions": set(),
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("skhalfway",),
    "download_all_examples": False,
    # a display or an axes as last line is for its figure
    "ignore_repr_types": r"matplotlib|Display",
    # its page takes scripts from the network
    "write_computation_times": False,
    "within_subsection_order": "FileNameSortKey",
}

CHANGELOG = Path(__file__).parent.parent / "CHANGELOG.md"


def rst_of(markdown: str) -> str:
    """Turn the Markdown that a changelog is made of into reStructuredText."""
    lines = []
    for line in markdown.splitlines():
        line = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line)
        line = re.sub(r"\[([^]]+)\]\(([^)]+)\)", r"`\1 <\2>`__", line)
        heading = re.match(r"(#+) +(.*)", line)
        if heading:
            text = heading[2]
            line = f"{text}\n{'=-~^'[len(heading[1]) - 1] * len(text)}\n"
        lines.append(line)
    return "\n".join(lines) + "\n"


def read_changelog(app: Any, docname: str, source: list[str]) -> None:
    if docname == "changelog":
        app.env.note_dependency(str(CHANGELOG))
        source[0] = rst_of(CHANGELOG.read_text(encoding="utf-8"))


def skip_others(app: Any, what: str, name: str, obj: object, skip: bool, options: object) -> bool | None:
    """Leave out what classes of other libraries hand down, and what scikit-learn adds and documents."""
    if re.fullmatch(r"set_(\w+_request|output)", name):
        return True
    function = getattr(obj, "fget", None) or getattr(obj, "__func__", obj)
    owner = getattr(function, "__module__", None) or getattr(
        getattr(function, "__objclass__", None), "__module__", "skhalfway"
    )
    # a method of another library that a class of ours wraps belongs to ours
    return None if hasattr(function, "__wrapped__") or owner.startswith("skhalfway") else True


def drop_labels(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Turn references to sections of scikit-learn's documentation, in what is handed down, into text."""
    lines[:] = [re.sub(r":ref:`([^`<]+) <accuracy_score>`", r"\1", line) for line in lines]


def setup(app: Any) -> None:
    app.connect("source-read", read_changelog)
    app.connect("autodoc-skip-member", skip_others)
    app.connect("autodoc-process-docstring", drop_labels)
