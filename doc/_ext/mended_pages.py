"""Faults of the pages that tools write, mended once the site is built.

- The theme's buttons that open a part of the navigation have no name (WCAG 4.1.2).
- docutils gives entries of a bibliography a role that ARIA gave up, within a list that then has no items.
- Links from the code back to the documentation name a class by another module than its page does.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

REPLACED = (
    (
        '<summary><span class="toctree-toggle"',
        '<summary aria-label="Pages of this part"><span class="toctree-toggle"',
    ),
    (' role="doc-biblioentry"', ""),
    ('<div role="list" class="citation-list">', '<div class="citation-list">'),
)
BACK = re.compile(
    r'(generated/(?P<module>[\w.]+)\.(?P<name>\w+)\.html)#[\w.]*?\b(?P=name)(?P<rest>(?:\.\w+)*)"'
)


def mended(html: str) -> str:
    """The page without these faults."""
    for old, new in REPLACED:
        html = html.replace(old, new)
    return BACK.sub(r'\1#\g<module>.\g<name>\g<rest>"', html)


def mend_pages(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            better = mended(text)
            if better != text:
                page.write_text(better, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
