"""The documentation, as far as it can be tested without building it: papers, pages, links."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree

import pytest

import skhalfway

ROOT = Path(__file__).parents[1]
DOC = ROOT / "doc"
GUIDE = sorted(path for path in (DOC / "guide").glob("*.rst") if path.stem != "index")
WRITTEN = sorted([*DOC.glob("*.rst"), *(DOC / "guide").glob("*.rst")])
BIBLIOGRAPHY = (DOC / "references.bib").read_text(encoding="utf-8")


def load(path: Path):
    """A script or an extension, as a module."""
    spec = spec_from_file_location(path.stem, path)
    module = module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def entries() -> dict[str, str]:
    """The text of each entry of the bibliography, by its key."""
    found = re.findall(r"^@\w+\{(\w+),\n(.*?)^\}", BIBLIOGRAPHY, re.DOTALL | re.MULTILINE)
    assert len(found) == len({key for key, _ in found}) == BIBLIOGRAPHY.count("\n@") + 1
    return dict(found)


def test_every_paper_that_is_named_by_number_is_in_the_bibliography():
    # the package as it is imported, which may be an installed one
    folders = (Path(skhalfway.__file__).parent, DOC, ROOT / "examples", ROOT / "benchmarks")
    files = [path for folder in folders for kind in ("*.py", "*.rst") for path in folder.rglob(kind)]
    named = {
        (number, path.name)
        for path in files
        if not {"generated", "_build", ".cache"} & set(path.parts)
        and ROOT / "doc" / "course" not in path.parents  # made of the lessons
        for number in re.findall(r"arXiv:?\s+(\d{4}\.\d{5})\b", path.read_text(encoding="utf-8"))
    }
    assert len(named) > 50
    assert not {(number, name) for number, name in named if f"{{{number}}}" not in BIBLIOGRAPHY}


def test_entries_of_the_bibliography_lead_to_the_paper():
    without = {key for key, text in entries().items() if not re.search(r"(eprint|doi|url) = \{\S+\}", text)}
    assert without == {"krizhevsky2009", "watanabe2021"}  # a report and a paper that are nowhere in the open


def test_every_citation_has_an_entry():
    cited = {
        key.strip()
        for path in WRITTEN
        for keys in re.findall(r":cite:[tp]:`([^`]+)`", path.read_text(encoding="utf-8"))
        for key in keys.split(",")
    }
    assert len(cited) > 30 and cited <= set(entries())


@pytest.mark.parametrize("path", GUIDE, ids=lambda path: path.stem)
def test_pages_of_the_guide_answer_a_question_with_a_figure(path):
    text = path.read_text(encoding="utf-8")
    title = text.splitlines()[0]
    assert title.endswith("?")
    assert re.search(r"^\.\. (plot|image)::", text, re.MULTILINE), "no figure"
    assert re.search(r"^   :description: .{30,}", text, re.MULTILINE), "no description for search engines"
    assert re.search(r"^   :keywords: ", text, re.MULTILINE), "no words that people search for"
    contents = (DOC / "guide" / "index.rst").read_text(encoding="utf-8")
    assert f"\n   {path.stem}\n" in contents


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(DOC).with_suffix("")))
def test_every_figure_says_what_it_shows(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        figure = re.match(r"\s*\.\. (plot|image|figure)::", line)
        if not figure:
            continue
        options = []
        for option in lines[number + 1 :]:
            if not option.strip():
                break
            options.append(option.strip())
        text = " ".join(options)
        assert ":nofigs:" in text or re.search(r":alt: .{20,}", text), f"line {number + 1}"


def test_snippet_of_the_landing_page_runs_as_pasted(capsys):
    text = (DOC / "index.rst").read_text(encoding="utf-8")
    blocks = {
        language: dedent(block)
        for language, block in re.findall(
            r"^\.\. code-block:: (python|text)\n\n((?:   .*\n|\n)+)", text, re.MULTILINE
        )
    }
    exec(compile(blocks["python"], "snippet", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.split() == blocks["text"].split()


def test_pages_of_benchmarks_link_to_the_site():
    pages = load(DOC / "_ext" / "benchmark_pages.py")
    given = (
        "[engine.md](engine.md), [all](README.md), [costs](memory.md), [plan](../doc/scale.rst), "
        "[net](https://example.org/), [script](engine.py), [not run](nowhere.md), "
        "![ranks](../doc/_static/ranks.png)"
    )
    assert pages.of_site(given) == (
        "[](engine.md), [all](overview.md), [costs](memory.md), [plan](/scale), [net](https://example.org/), "
        "script, not run, ![ranks](ranks.png)"
    )


def test_sitemap_has_every_page():
    pytest.importorskip("sphinx")
    files = load(DOC / "_ext" / "site_files.py")
    text = files.sitemap("https://example.org/skhalfway/", ["index.html", "a & b.html"])
    tree = ElementTree.fromstring(text)
    assert [element.text for element in tree.iter() if element.tag.endswith("loc")] == [
        "https://example.org/skhalfway/a & b.html",
        "https://example.org/skhalfway/index.html",
    ]


def test_faults_of_the_tools_are_mended():
    pytest.importorskip("sphinx")
    mended = load(DOC / "_ext" / "mended_pages.py").mended
    toggle = '<summary><span class="toctree-toggle" role="presentation"></span></summary>'
    assert mended(toggle).startswith('<summary aria-label="Pages of this part"><span')
    entries = '<div role="list" class="citation-list">\n<div class="citation" id="a" role="doc-biblioentry">'
    assert "role" not in mended(entries)
    link = '<a href="../generated/skhalfway.results.Result.html#{}">[docs]</a>'
    for given, right in (
        ("skhalfway.Result", "skhalfway.results.Result"),
        ("skhalfway.Result.plot", "skhalfway.results.Result.plot"),
        ("skhalfway.results.Result.save", "skhalfway.results.Result.save"),
        ("other", "other"),
    ):
        assert mended(link.format(given)) == link.format(right)
    assert mended(mended(toggle + entries)) == mended(toggle + entries)


def test_picture_of_an_audit_follows_the_guide():
    pytest.importorskip("PIL")
    page = (DOC / "guide" / "audit_files.rst").read_text(encoding="utf-8")
    script, command = load(DOC / "draw_audit.py").steps(page)
    compile(script, "script", "exec")
    made = set(re.findall(r'"(\w+\.(?:skops|csv))"', script))
    assert made == {"deployed.skops", "train.csv", "test.csv"} == {word for word in command if word in made}


def test_formulas_become_mathml():
    pytest.importorskip("latex2mathml")
    pytest.importorskip("sphinx")
    from docutils import nodes

    mathml = load(DOC / "_ext" / "mathml.py")

    class Translator:
        def __init__(self):
            self.body = []

    for visit, node in (
        (mathml.visit_inline, nodes.math(text=r"\gamma(t)")),
        (mathml.visit_block, nodes.math_block(text=r"\frac{1}{r}")),
    ):
        translator = Translator()
        with pytest.raises(nodes.SkipNode):
            visit(translator, node)
        element = ElementTree.fromstring("".join(translator.body))
        assert element[0].tag == "{http://www.w3.org/1998/Math/MathML}math"
    assert element.get("tabindex") == "0"


def test_broken_links_are_found(tmp_path):
    site = load(ROOT / ".ci" / "site.py")
    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<h1 id="top">T</h1><a href="sub/page.html#there">a</a><a href="https://example.org">b</a>'
        '<a href="#top">c</a>'
    )
    (tmp_path / "sub" / "page.html").write_text('<p id="there"><a href="../index.html">a</a></p>')
    assert list(site.broken_links(tmp_path)) == []
    (tmp_path / "sub" / "page.html").write_text(
        '<a href="gone.html">a</a><a href="../index.html#gone">b</a><script src="https://example.org/a.js"></script>'
    )
    assert [fault for _, fault in site.broken_links(tmp_path)] == [
        "leads to sub/page.html#there, which has no such name",
        "loads https://example.org/a.js",
        "leads to gone.html, which is not there",
        "leads to ../index.html#gone, which has no such name",
    ]
