"""Which classes of results there are, and which package each is imported from."""

from __future__ import annotations

from importlib import import_module
from typing import Any

KINDS: dict[str, type] = {}  # every class of results by its name


def home_of(kind: type) -> str:
    """The package that a class is imported from."""
    return ".".join(kind.__module__.split(".")[:2])


def asked_for(home: str, name: str) -> Any:
    """What a package of ours has under a name, or None.

    A package that imports what is asked for only then brings a result with its display.
    """
    return getattr(import_module(home), name, None)
