"""Words that people search for lead to the page that answers, whatever words the page itself uses.

A page names them as keywords of ``.. meta::``. They become entries of the index, which the search puts first.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform


class KeywordsToIndex(SphinxTransform):
    """Add an index entry for each keyword of the page, which leads to its title."""

    default_priority = 700  # before the domains collect the entries

    def apply(self, **options: Any) -> None:
        section = self.document.next_node(nodes.section)
        words = [
            " ".join(word.split())
            for node in self.document.findall(nodes.meta)
            if node.get("name") == "keywords"
            for word in node["content"].split(",")
        ]
        if section is not None and words:
            entries = [("single", word, section["ids"][0], "main", None) for word in words]
            self.document.insert(0, addnodes.index(entries=entries))


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_transform(KeywordsToIndex)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
