"""A page as GitHub's Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from skhalfway.report._blocks import (
    Block,
    Cards,
    Chart,
    Code,
    Explained,
    Finding,
    Grid,
    Items,
    Page,
    Pictures,
    Text,
)
from skhalfway.report._private import without_paths, writable
from skhalfway.results._table import Cell

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$])")
_FIRST = re.compile(r"^(\d*)([#+=.)-])")  # beginnings that make a line a heading or an item


def markdown_of(page: Page) -> str:
    """The whole page."""
    lines = [f"# {plain(page.title)}", f"**{plain(page.headline)}**"]
    for section in page.sections:
        lines.append(f"## {plain(section.title)}")
        lines += _blocks(section.blocks, 3)
    lines += ["---", plain(page.footer)]
    return writable("\n\n".join(line for line in lines if line) + "\n")


def plain(text: Any) -> str:
    """Text in one line, escaped so that Markdown shows it unchanged."""
    one_line = " ".join(without_paths(str(text)).split())
    escaped = _SPECIAL.sub(r"\\\1", one_line.replace("&", "&amp;"))
    return _FIRST.sub(r"\1\\\2", escaped)


def _blocks(blocks: Any, level: int) -> Iterator[str]:
    for block in blocks:
        yield from _block(block, level)


def _block(block: Block, level: int) -> Iterator[str]:
    if isinstance(block, Text):
        yield f"> **{plain(block.text)}**" if block.notice else plain(block.text)
    elif isinstance(block, Items):
        yield "\n".join(f"- {plain(item)}" for item in block.items)
    elif isinstance(block, Code):
        yield "\n".join(["```", without_paths(block.text).replace("```", "'''"), "```"])
    elif isinstance(block, Finding):
        yield f"{'#' * level} {plain(block.severity)}: {plain(block.title)}"
        yield f"**Evidence:** {plain(block.evidence)}"
        yield f"**What to do:** {plain(block.action)}"
    elif isinstance(block, Explained):
        terms = ", ".join(plain(term) for term, _ in block.terms)
        yield f"<details><summary>In plain words: {terms}</summary>"
        yield "\n".join(f"- **{plain(term)}**: {plain(meaning)}" for term, meaning in block.terms)
        yield "</details>"
    elif isinstance(block, Cards):
        for card in block.cards:
            yield f"{'#' * level} {plain(card.title)}"
            yield from _blocks(card.blocks, level + 1)
    elif isinstance(block, Pictures):
        texts = "; ".join(plain(one.alternative) for one in block.pictures)
        yield f"Pictures (shown in the HTML page): {texts}."
    elif isinstance(block, Chart):
        yield f"Chart (shown in the HTML page): {plain(block.title)}. {plain(block.alternative)}"
    elif isinstance(block, Grid):
        yield from _table(block)


def _table(block: Grid) -> Iterator[str]:
    table = block.table
    yield f"**{plain(table.title)}**" + (f" {plain(table.caption)}" if table.caption else "")
    rows = [list(table.head), ["---"] * len(table.head)]
    texts = [f"| {' | '.join(_cell(cell) for cell in rows[0])} |", f"|{'|'.join(rows[1])}|"]
    texts += [f"| {' | '.join(_cell(cell) for cell in row)} |" for row in table.rows]
    yield "\n".join(texts)


def _cell(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return plain(cell)
    return f"{plain(cell.text)} ({plain(cell.ends)})" if cell.ends else plain(cell.text)
