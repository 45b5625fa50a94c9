"""Texts without what belongs to the machine: of a path only the name of the file stays; and without NULs."""

from __future__ import annotations

import re

_PART = r"""[^\s/\\'"<>|:,;()]+"""
# absolute paths of both kinds of systems and those from a home folder, but for their last part; in quotes
# blanks are part of them
_FOLDERS = re.compile(
    rf"""(?<=['"])(?:~[^/\\'"]*|[A-Za-z]:)?[/\\][^'"]*[/\\](?=[^/\\'"]+['"])
    |(?<![\w.:/~\\])(?:file://)?/(?:{_PART}/)+(?={_PART})
    |(?<![\w.:/~\\])~[\w.-]*/(?:{_PART}/)*(?={_PART})
    |(?<![\w.:/~\\])[A-Za-z]:[/\\](?:{_PART}[/\\])*(?={_PART})
    |(?<![\w.:/~\\])\\\\(?:{_PART}\\)+(?={_PART})""",
    re.VERBOSE,
)


# control characters and halves of pairs, which XML 1.0 forbids, and HTML and UTF-8 with it
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def writable(text: str) -> str:
    """The text, with a question mark for each character that no page can hold."""
    return _FORBIDDEN.sub("?", text)


def without_paths(text: str) -> str:
    """The text, with folders left out of paths."""
    return _FOLDERS.sub("", text)
