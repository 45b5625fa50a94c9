"""Work that goes on where it was interrupted: blocks of results in a JSON file, a line for each."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel

Block = dict[str, Any]


def resumed(
    tasks: Mapping[tuple[Any, ...], Any], names: tuple[str, ...], path: Path, n_jobs: int
) -> list[Block]:
    """All blocks: those of the file, and what delayed calls, by key, return of those that it lacks.

    The key of a block are its values of ``names``. The file is written whole after each.
    """
    kept = json.loads(path.read_text()) if path.exists() else []
    have = {tuple(each[name] for name in names) for each in kept}
    missing = [task for key, task in tasks.items() if key not in have]
    for found in Parallel(n_jobs=n_jobs, return_as="generator_unordered")(missing):
        kept.append(found)
        print(*(found[name] for name in names), f"{found['seconds']} s", flush=True)
        part = path.with_suffix(".part")
        lines = sorted(json.dumps(each, separators=(",", ":")) for each in kept)
        part.write_text("[\n" + ",\n".join(lines) + "\n]\n")
        os.replace(part, path)
    return kept


def plain(value: float) -> float | None:
    """For JSON, which has no nan or inf: None is a figure that is not known."""
    return None if np.isnan(value) else float(f"{np.clip(value, -1e30, 1e30):.6g}")
