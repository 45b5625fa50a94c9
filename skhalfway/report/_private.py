"""Texts without folders of the machine, and without characters that pages cannot hold."""

from __future__ import annotations

import re

_PART = r"""[^\s/\\'"<>|:,;()]+"""
# absolute paths of POSIX and Windows and paths in a home folder, without their last part; in quotes they may
# contain blanks
_FOLDERS = re.compile(
    rf"""(?<=['"])(?:~[^/\\'"]*|[A-Za-z]:)?[/\\][^'"]*[/\\](?=[^/\\'"]+['"])
    |(?<![\w.:/~\\])(?:file://)?/(?:{_PART}/)+(?={_PART})
    |(?<![\w.:/~\\])~[\w.-]*/(?:{_PART}/)*(?={_PART})
    |(?<![\w.:/~\\])[A-Za-z]:[/\\](?:{_PART}[/\\])*(?={_PART})
    |(?<![\w.:/~\\])\\\\(?:{_PART}\\)+(?={_PART})""",
    re.VERBOSE,
)


# control characters and single surrogates, which XML 1.0, HTML and UTF-8 forbid
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def writable(text: str) -> str:
    """The text, with a question mark for each character that no page can hold."""
    return _FORBIDDEN.sub("?", text)


def without_paths(text: str) -> str:
    """The text, with paths shortened to file names."""
    return _FOLDERS.sub("", text)
