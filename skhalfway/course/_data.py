"""Tables that lessons read from files, which are written beside the notebooks, into the folder ``data``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame


def data_files() -> dict[str, DataFrame]:
    """Tables by the name of their file, each of which ends in ``.csv``."""
    return {}
