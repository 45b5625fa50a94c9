"""Sphinx configuration. The build needs no network, and every warning is an error."""

import inspect
import os
import re
import sys
from configparser import ConfigParser
from pathlib import Path
from typing import Any

from docutils import nodes

import skhalfway

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "doc" / "_ext"))

project = "skhalfway"
author = "the skhalfway developers"
copyright = f"2026, {author}"
version = release = skhalfway.__version__

# --- where the package and this site are kept

# Both addresses are read from setup.cfg, project_urls. Environment variables may give others, to try them.
# Without "Source" there are no links to edit a page, and [source] leads to a copy of the code in this site.
# Without "Documentation" there are no canonical addresses, no sitemap and no picture for social networks.
_setup = ConfigParser()
_setup.read(ROOT / "setup.cfg", encoding="utf-8")
_urls = dict(
    [part.strip() for part in line.split("=", 1)]
    for line in _setup.get("metadata", "project_urls", fallback="").splitlines()
    if "=" in line
)
REPOSITORY = os.environ.get("SKHALFWAY_SOURCE", _urls.get("Source", "")).rstrip("/")
html_baseurl = os.environ.get("SKHALFWAY_DOCUMENTATION", _urls.get("Documentation", ""))

# --- extensions

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.linkcode" if REPOSITORY else "sphinx.ext.viewcode",
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
    "sphinxext.opengraph",
    # of ours, in doc/_ext
    "benchmark_pages",
    "course_pages",
    "everyday_words",
    "mathml",
    "mended_pages",
    "site_files",
]
templates_path = ["_templates"]
exclude_patterns = [
    "_build",
    "course/*.md5",
    "course/index.rst",
]
default_role = "literal"
nitpicky = True
nitpick_ignore_regex = [
    # what is documented nowhere by itself
    (r"py:.*", r"(art|joblib|matplotlib|numpy|pandas|scipy|skorch)\..*"),
]
html_math_renderer = "mathml"

# The inventories lie beside: doc/inventories/make.py writes them.
intersphinx_mapping = {
    "sklearn": ("https://scikit-learn.org/stable/", "inventories/sklearn.inv"),
    "torch": ("https://docs.pytorch.org/docs/stable/", "inventories/torch.inv"),
}

autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
autosummary_generate = True
numpydoc_show_class_members = False

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "unsrt"
bibtex_reference_style = "author_year"

# headings of a benchmark's page may begin at any level, and links in it are checked like others
suppress_warnings = ["myst.header"]

# what is copied can be pasted: input without prompts
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# --- figures of the guide

plot_formats = [("png", 150)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = True
plot_rcparams = {
    "figure.figsize": (6.4, 4.0),
    "figure.constrained_layout.use": True,
    "font.size": 10,
}
plot_apply_rcparams = True

# --- pages

html_theme = "pydata_sphinx_theme"
html_title = f"skhalfway {release}"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["skhalfway.css"]
html_show_sourcelink = False
# pages that are alone have no list of pages beside them
html_sidebars = {
    page: []
    for page in (
        *("architecture", "bibliography", "changelog", "comparison", "coming_from", "continuous_integration"),
        *("coverage", "framework", "glossary", "index", "limits", "measures", "scale"),
    )
}
html_copy_source = False
html_theme_options = {
    "logo": {"text": f"skhalfway {release}"},
    "navigation_with_keys": False,
    "show_prev_next": False,
    "navbar_persistent": ["search-field.html"],
    "header_links_before_dropdown": 6,
    "navigation_depth": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
    "use_edit_page_button": bool(REPOSITORY),
    "show_toc_level": 2,
}
html_context = {
    "edit_page_url_template": "{{ repository }}/edit/main/doc/{{ file_name }}",
    "edit_page_provider_name": "the repository",
    "repository": REPOSITORY,
    "default_mode": "auto",
}

ogp_site_url = html_baseurl
ogp_site_name = "skhalfway"
ogp_social_cards = {"enable": False}
ogp_image = "_static/social_card.png" if html_baseurl else ""
ogp_image_alt = "Heat map: which of eight classifiers are fooled by adversarial examples made on which"
ogp_enable_meta_description = True

sphinx_gallery_conf = {
    "examples_dirs": ["../skhalfway/course/lessons"],
    "gallery_dirs": ["course"],
    "filename_pattern": r"/lesson_",
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
    # as many lessons at once as sphinx-build -j says
    "parallel": True,
}


def linkcode_resolve(domain: str, info: dict[str, str]) -> str | None:
    """Address of the lines that define an object, in the repository."""
    if domain != "py" or not info["module"].startswith("skhalfway"):
        return None
    found: Any = sys.modules.get(info["module"])
    for name in info["fullname"].split("."):
        found = getattr(found, name, None)
    found = inspect.unwrap(getattr(found, "fget", None) or found)
    try:
        path = Path(inspect.getsourcefile(found) or "").relative_to(ROOT)
        lines, first = inspect.getsourcelines(found)
    except (TypeError, ValueError, OSError):  # an attribute, or handed down from another library
        return None
    return f"{REPOSITORY}/blob/main/{path}#L{first}-L{first + len(lines) - 1}"


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


def mend_docstring(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """References to sections of scikit-learn's documentation become text, and numbers of papers links."""
    text = re.sub(r":ref:`([^`<]+) <accuracy_score>`", r"\1", "\n".join(lines))
    text = re.sub(r"\barXiv:?(\s+)(\d{4}\.\d{5})\b", r"`arXiv \2 <https://arxiv.org/abs/\2>`__", text)
    lines[:] = text.split("\n")


def name_thumbnails(app: Any, doctree: nodes.document, docname: str) -> None:
    """Pictures of a gallery say which lesson they belong to."""
    for image in doctree.findall(nodes.image):
        link = image.next_node(nodes.reference, ascend=True) if image.get("alt") == "" else None
        if link is not None:
            image["alt"] = f"A figure of the lesson {link.astext()}"


def edit_sources_only(
    app: Any, pagename: str, templatename: str, context: dict[str, Any], doctree: Any
) -> None:
    """Pages that the build writes have no source to edit."""
    if pagename.startswith(("_modules/", "benchmarks/", "generated/")):
        context["theme_use_edit_page_button"] = False


def setup(app: Any) -> None:
    app.connect("html-page-context", edit_sources_only)
    app.connect("doctree-resolved", name_thumbnails)
    app.connect("autodoc-skip-member", skip_others)
    app.connect("autodoc-process-docstring", mend_docstring)
