"""Markdown of the reStructuredText that lessons are written in, which is a small part of it.

Paragraphs, headings, bullet and numbered lists, formulas; emphasis, code and links. Whatever else is found
raises, so that a notebook never shows what was meant for another program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

HEADINGS = {"=": "#", "-": "##"}
MATH = ".. math::"
ITEM = re.compile(r"( *)(-|\d+\.) +(?=\S)")
INLINE = re.compile(
    r"``(?P<code>[^`]+)``"
    r"|:math:`(?P<math>[^`]+)`"
    r"|`(?P<text>[^`<>]+?)\s+<(?P<address>https?://[^\s>]+)>`__"
    r"|\*\*(?P<strong>[^*`]+)\*\*"
    r"|\*(?P<emphasis>[^*`\s][^*`]*)\*",
    re.DOTALL,
)
# in text that is left: what reStructuredText, or Markdown, would read as more than text
FORBIDDEN = {
    r"`": "a role, or a link that is not `text <https://...>`__",
    r"\*": "a star that emphasises nothing",
    r"\|": "a substitution",
    r"\\": "a backslash",
    r"\w_+(?!\w)": "a reference: a word that ends in an underscore",
    r"\[\w+\]_": "a citation",
    r"::$": "a literal block",
}


def markdown_of(text: str) -> str:
    """Turn a cell's text into Markdown.

    Raises
    ------
    ValueError
        If the text is no reStructuredText of the kind that lessons are written in.
    """
    return "\n\n".join(_blocks(text))


def _blocks(text: str) -> Iterator[str]:
    paragraphs = re.split(r"\n(?:\s*\n)+", text.strip("\n"))
    depth, formula = 0, False  # how far a list's text is indented; whether a formula is awaited
    for paragraph in paragraphs:
        lines = paragraph.split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        if formula:
            if indent == 0:
                raise _UnknownError("a formula must be indented", paragraph)
            yield _formula(paragraph)
            formula = False
        elif lines[0].startswith(MATH):
            depth = 0
            if paragraph == MATH:
                formula = True
            else:
                yield _formula(paragraph.removeprefix(MATH))
        elif len(lines) == 2 and re.fullmatch(r"([=-])\1+", lines[1]):
            depth = 0
            if len(lines[1]) < len(lines[0]):
                raise _UnknownError("the line under a heading is too short", paragraph)
            yield f"{HEADINGS[lines[1][0]]} {_inline(lines[0])}"
        elif ITEM.match(paragraph):
            blocks, depth = _items(lines, depth)
            yield blocks
        elif indent not in (0, depth):
            raise _UnknownError("text is indented, but belongs to no item of a list", paragraph)
        else:
            depth = indent
            yield " " * indent + _paragraph(lines, indent)
    if formula:
        raise _UnknownError("a formula must follow", MATH)


def _items(lines: list[str], depth: int) -> tuple[str, int]:
    """Items of a list, each in one line, and where the text of the last one begins."""
    items: list[list[str]] = []
    widths: list[int] = []
    for line in lines:
        item = ITEM.match(line)
        if item:
            if len(item[1]) not in (0, depth, *widths):
                raise _UnknownError("an item is indented, but belongs to no item of a list", line)
            items.append([line])
            widths.append(item.end())
        else:
            items[-1].append(line)
    written = []
    for item_lines, width in zip(items, widths, strict=True):
        body = [item_lines[0][width:], *item_lines[1:]]
        marker = item_lines[0][:width]
        written.append(marker + _paragraph([" " * width + body[0], *body[1:]], width))
    return "\n".join(written), widths[-1]


def _paragraph(lines: list[str], indent: int) -> str:
    """Text in one line; how a notebook breaks lines is a matter of the program that shows it."""
    for line in lines:
        if len(line) - len(line.lstrip()) != indent:
            raise _UnknownError("lines of a paragraph must begin at the same place", line)
        if re.match(r" *(\.\. |__ |>>> |:\w+:(?!`)|[=+^~\"'-]{4,})", line):
            raise _UnknownError(
                "no directive but math and solution, no field, table or doctest is known", line
            )
    return _inline(" ".join(line.strip() for line in lines))


def _inline(text: str) -> str:
    parts, end = [], 0
    for found in INLINE.finditer(text):
        parts.append(_plain(text[end : found.start()], text))
        kind, content = str(found.lastgroup), found[str(found.lastgroup)]
        if kind == "code":
            parts.append(f"`{content}`")
        elif kind == "math":
            parts.append(f"${content}$")
        elif kind == "address":
            parts.append(f"[{_plain(found['text'], text)}]({content})")
        else:
            stars = "**" if kind == "strong" else "*"
            parts.append(f"{stars}{_plain(content, text)}{stars}")
        end = found.end()
    return "".join([*parts, _plain(text[end:], text)])


def _plain(text: str, whole: str) -> str:
    for pattern, what in FORBIDDEN.items():
        if re.search(pattern, text):
            raise _UnknownError(f"found {what}", whole)
    return re.sub(r"([_$])", r"\\\1", text).replace("<", "&lt;")


def _formula(text: str) -> str:
    lines = [line.strip() for line in text.strip().split("\n")]
    inside = "\n".join(lines)
    if r"\\" in inside or "&" in inside:  # Sphinx aligns such lines by itself
        inside = f"\\begin{{aligned}}\n{inside}\n\\end{{aligned}}"
    return f"$$\n{inside}\n$$"


class _UnknownError(ValueError):
    """What lessons may not hold, and where."""

    def __init__(self, what: str, where: str) -> None:
        super().__init__(f"{what}: {where!r}; write it in the reStructuredText that lessons are written in")
