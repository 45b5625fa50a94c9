"""The folder of kept adversarial samples: one file for each source, and a manifest."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._text import brief, shown
from skhalfway.engine._fingerprint import fingerprint
from skhalfway.transfer._containers import told
from skhalfway.transfer._outcomes import Outcomes

MANIFEST = "samples.json"
_FORMAT, _VERSION = "skhalfway samples", 1
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,79}")
# device names on Windows, and the names of numbered files
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|source_\d+)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class SamplesFolder:
    """Where samples are kept.

    Attributes
    ----------
    path : Path
        Path of the folder.
    files : tuple of str
        Names of the files, in the order of the sources.
    """

    path: Path
    files: tuple[str, ...]


def file_names(sources: Sequence[str]) -> tuple[str, ...]:
    """File names of the sources: their names where these are safe on every system, else their numbers."""
    used = [name.lower() for name in sources]
    return tuple(
        f"{name}.npy"
        if _SAFE.fullmatch(name) and not _RESERVED.fullmatch(name) and used.count(name.lower()) == 1
        else f"source_{number}.npy"
        for number, name in enumerate(sources)
    )


def read_place(keep_samples: Any, sources: Sequence[str]) -> SamplesFolder | None:
    """Folder for the samples, created if missing; None where no folder was given."""
    if isinstance(keep_samples, (bool, np.bool_)):
        return None
    if not isinstance(keep_samples, (str, Path)):
        raise ValueError(f"keep_samples must be True, False or a folder, got {shown(keep_samples)}")
    folder, files = Path(keep_samples), file_names(sources)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".skhalfway"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"keep_samples={shown(str(keep_samples))} cannot be written to: "
            f"{brief(error.strerror or error)}; give another folder"
        ) from error
    if (folder / MANIFEST).exists() or any((folder / name).exists() for name in files):
        raise ValueError(
            f"keep_samples={shown(str(keep_samples))} holds the samples of another result, which reads them "
            "from there; give another folder, or delete this one if that result is no longer needed"
        )
    return SamplesFolder(folder.absolute(), files)


def place_for(X: NDArray[Any], folder: SamplesFolder | None, number: int) -> NDArray[Any]:
    """Array for the adversarial samples of source ``number``, filled with the clean samples."""
    if folder is None:
        return X.copy()
    file = folder.path / folder.files[number]
    room = np.lib.format.open_memmap(file, mode="w+", dtype=X.dtype, shape=X.shape)
    room[...] = X
    return room


def write_manifest(
    folder: SamplesFolder, arrays: Mapping[str, NDArray[Any]], X: Any, outcomes: Outcomes
) -> str:
    """Write the manifest, once the files are complete; return the fingerprint of their result."""
    said = outcomes.clean, outcomes.own, outcomes.adversarial
    known_by = fingerprint(outcomes.sources, outcomes.targets, *said, *arrays.values())
    first = next(iter(arrays.values()))
    for array in arrays.values():
        if isinstance(array, np.memmap):
            array.flush()
    manifest = {
        "format": _FORMAT,
        "version": _VERSION,
        "result": known_by,
        "shape": list(first.shape),
        "dtype": first.dtype.str,
        "files": dict(zip(folder.files, arrays, strict=True)),
        "container": told(X),
    }
    (folder.path / MANIFEST).write_text(json.dumps(manifest, indent=1, allow_nan=False), encoding="utf-8")
    return known_by


def read_manifest(folder: Path) -> dict[str, Any]:
    """Manifest of a folder, checked; ValueError where it is no folder of kept samples."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ValueError(
            f"{shown(str(folder))} holds no kept samples: there is no {MANIFEST} in it"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{MANIFEST} of {shown(str(folder))} cannot be read: {brief(error, 80)}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
        raise ValueError(f"{MANIFEST} of {shown(str(folder))} does not describe kept samples")
    if manifest.get("version") != _VERSION:
        raise ValueError(
            f"{MANIFEST} of {shown(str(folder))} has version {shown(manifest.get('version'))}, and this "
            f"skhalfway reads version {_VERSION}; install a newer skhalfway"
        )
    return manifest


def mapped(folder: Path, manifest: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Samples by source, memory-mapped from their files; ValueError where the manifest does not match."""
    arrays: dict[str, NDArray[Any]] = {}
    try:
        for name, source in manifest["files"].items():
            if os.path.basename(name) != name:
                raise ValueError(f"{shown(name)} is not the name of a file in it")
            array = np.load(folder / name, mmap_mode="r", allow_pickle=False)
            if [list(array.shape), array.dtype.str] != [manifest["shape"], manifest["dtype"]]:
                raise ValueError(f"{name} has {array.dtype} of shape {array.shape}")
            arrays[source] = array
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the samples in {shown(str(folder))} are incomplete or were changed: {brief(error, 120)}"
        ) from error
    return arrays
