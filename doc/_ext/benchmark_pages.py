"""The pages of benchmarks/, with their figures, as pages of the site.

Before the sources are read, each of them is written to ``doc/benchmarks``. Links between them and to pages of
the site are kept. Links to other files become text.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
SOURCE, FOLDER = ROOT / "benchmarks", ROOT / "doc" / "benchmarks"
# the index gets words for search engines and for those who search, and all pages in the navigation
HEAD = """---
myst:
  html_meta:
    description: All measurements of skhalfway - speed, memory, strength of attacks, and tests of hypotheses.
    keywords: benchmark, measurements, tables of results, performance
---

"""
FOOT = """
```{toctree}
:hidden:
:glob:

overview
*
```
"""
IMAGE = re.compile(r"(!\[[^\]]*\])\(([^)]+)\)")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)#]+)\)")


def of_site(markdown: str) -> str:
    """Markdown of a page of benchmarks/, with the links of the site."""

    def image(match: re.Match[str]) -> str:
        return f"{match[1]}({Path(match[2]).name})"

    def link(match: re.Match[str]) -> str:
        text, target = match.groups()
        if "://" in target:
            return match[0]
        path = (SOURCE / target).resolve()
        if not path.exists():  # a benchmark that was not run yet
            return text
        if path.suffix == ".md" and path.parent == SOURCE:
            page = "overview.md" if path.name == "README.md" else path.name
            # without a text, the page's title stands there
            return f"[{'' if text == path.name else text}]({page})"
        if path.suffix == ".rst":
            return f"[{text}](/{path.relative_to(ROOT / 'doc').with_suffix('')})"
        return text

    return LINK.sub(link, IMAGE.sub(image, markdown))


def write(path: Path, text: str) -> None:
    """Leave a page alone that would not change, so that it is not built again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def write_pages(app: Sphinx, config: Any) -> None:
    pages = {path.name: path.read_text(encoding="utf-8") for path in sorted(SOURCE.glob("*.md"))}
    pages["overview.md"] = pages.pop("README.md")
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        page = of_site(text)
        write(FOLDER / name, HEAD + page + FOOT if name == "index.md" else page)
        for _, target in IMAGE.findall(text):
            shutil.copy2(SOURCE / target, FOLDER / Path(target).name)


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", write_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
