"""Files that need the address of the site: a sitemap, and a picture for social networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import matplotlib
from matplotlib.figure import Figure
from matplotlib.image import imread
from sphinx.application import Sphinx

MATRIX = Path(__file__).parents[1] / "_static" / "transfer_matrix.png"


def sitemap(base: str, pages: list[str]) -> str:
    """XML with the address of each page."""
    lines = [f"<url><loc>{escape(base.rstrip('/'))}/{escape(page)}</loc></url>" for page in sorted(pages)]
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">',
            *lines,
            "</urlset>",
            "",
        ]
    )


def social_card(path: Path) -> None:
    """A picture of 1,200 x 630 pixels: the name, what it does, and a transfer matrix."""
    with matplotlib.rc_context({"font.family": "DejaVu Sans"}):
        figure = Figure(figsize=(12, 6.3), dpi=100, facecolor="white")
        figure.text(0.04, 0.72, "skhalfway", fontsize=44, fontweight="bold")
        words = "Which of your classifiers\nare fooled by the same\nadversarial examples,\nhow far, and why."
        figure.text(0.04, 0.26, words, fontsize=25, linespacing=1.4)
        axes = figure.add_axes((0.48, 0.04, 0.5, 0.92))
        axes.imshow(imread(MATRIX))
        axes.axis("off")
        figure.savefig(path)


def write_files(app: Sphinx, error: Exception | None) -> None:
    base = app.config.html_baseurl
    if error is None and base and app.builder.format == "html":
        folder = Path(app.outdir)
        pages = [app.builder.get_target_uri(name) for name in app.env.found_docs]
        (folder / "sitemap.xml").write_text(sitemap(base, pages), encoding="utf-8")
        social_card(folder / "_static" / "social_card.png")


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
