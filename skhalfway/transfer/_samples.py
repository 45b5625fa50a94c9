"""Kept adversarial samples: in memory, or memory-mapped from a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import container_of
from skhalfway._text import brief, shown
from skhalfway.results._reading import part_of_results
from skhalfway.transfer._containers import untold
from skhalfway.transfer._folder import SamplesFolder, mapped, read_manifest, write_manifest
from skhalfway.transfer._outcomes import Outcomes

_ELSEWHERE = {"in_files": False}


@part_of_results
@dataclass(frozen=True, eq=False)
class KeptSamples:
    """The adversarial samples of each source, or the folder that holds them.

    Parameters
    ----------
    arrays : dict of str to ndarray of shape (n_samples, ...), default={}
        Read-only samples by source, memory-mapped where they are in a folder. They are not written into files
        of results.
    container : callable or None, default=None
        Function that puts an array of samples into X's container; None leaves arrays as they are.
    rows : ndarray of shape (n_rows,) or None, default=None
        Numbers of the selected samples. None is all.
    folder : str, default=""
        Folder of the samples, in files of results as a relative path; "" if they are in memory.
    fingerprint : str, default=""
        Text that identifies the folder as that of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.transfer._samples import KeptSamples
    >>> KeptSamples({"net": np.eye(3)}).take(np.array([0])).of("net")
    array([[1., 0., 0.]])
    """

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict, metadata=_ELSEWHERE)
    container: Callable[[NDArray[Any]], Any] | None = field(default=None, metadata=_ELSEWHERE)
    rows: NDArray[np.intp] | None = None
    folder: str = ""
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.folder, str) and isinstance(self.fingerprint, str)):
            raise TypeError(f"folder and fingerprint must be texts, got {shown(self.folder)}")

    def take(self, rows: NDArray[np.intp]) -> KeptSamples:
        """Select some of the samples.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,)
            Numbers of the samples.

        Returns
        -------
        kept : KeptSamples
            These samples alone; nothing is copied.
        """
        return replace(self, rows=rows if self.rows is None else self.rows[rows])

    def of(self, source: str) -> Any:
        """Return the samples of a source, in X's container.

        Parameters
        ----------
        source : str
            Name of the source.

        Returns
        -------
        X_adv : array-like of shape (n_rows, ...)
            Adversarial samples. They may be changed: the kept samples stay as they are.

        Raises
        ------
        ValueError
            If the folder of the samples was not found.
        """
        if not self.arrays:
            raise ValueError(
                f"the adversarial samples were kept in the folder {shown(self.folder)}, relative to the file "
                "of this result, which was not found or holds other samples; pass the folder where they are "
                "now to load_result(file, samples=folder)"
            )
        samples = self._own(source)
        if self.container is not None:
            samples = self.container(samples)
        if self.rows is None:
            return samples
        rows = np.array(self.rows)  # a copy, since torch warns of read-only arrays
        return samples.iloc[rows] if hasattr(samples, "iloc") else samples[rows]

    def _own(self, source: str) -> NDArray[Any]:
        """A writable array, since torch warns of others: a memory map that copies on writing, or a copy."""
        array = self.arrays[source]
        if not isinstance(array, np.memmap) or array.filename is None:
            return np.array(array)
        try:
            there = read_manifest(Path(self.folder)).get("result") == self.fingerprint
        except ValueError:
            there = False
        # if the folder now belongs to another result, the mapped array still has the old content
        return np.load(array.filename, mmap_mode="c") if there else np.array(array)

    def seen_from(self, place: Path) -> KeptSamples | None:
        """Prepare for writing into a file of a result.

        Parameters
        ----------
        place : Path
            Folder of the file.

        Returns
        -------
        kept : KeptSamples or None
            Samples whose folder is a path relative to ``place``, without any folder above their common
            parent. None if the samples are in memory.
        """
        if not self.folder or not self.arrays:
            return self if self.folder else None
        try:
            above = os.path.commonpath([self.folder, place.absolute()])
        except ValueError:  # on two drives
            above = ""
        apart = not above or Path(above) == Path(above).parent
        way = Path(self.folder).name if apart else os.path.relpath(self.folder, place.absolute())
        return replace(self, folder=Path(way).as_posix())

    def found(self, folder: Path) -> KeptSamples:
        """Read the samples from a folder.

        Parameters
        ----------
        folder : Path
            Folder where the samples are now.

        Returns
        -------
        kept : KeptSamples
            Samples whose arrays are memory-mapped from there.

        Raises
        ------
        ValueError
            If it is not the folder of this result.
        """
        manifest = read_manifest(folder)
        if manifest.get("result") != self.fingerprint:
            raise ValueError(
                f"{shown(str(folder))} holds the samples of another result; give the folder that was passed "
                f"as keep_samples for this result, then named {shown(Path(self.folder).name)}"
            )
        arrays = mapped(folder, manifest)
        try:
            container = untold(manifest["container"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"the manifest in {shown(str(folder))} does not describe the type of its samples: "
                f"{brief(error, 80)}"
            ) from error
        return replace(self, arrays=arrays, container=container, folder=str(folder.absolute()))


def found_beside(kept: KeptSamples | None, place: Path, folder: Any) -> KeptSamples | None:
    """Kept samples of a result that was read from a file in ``place``, with arrays if these are found.

    Raises ValueError where a ``folder`` is given and does not hold them.
    """
    if folder is not None:
        if kept is None:
            raise ValueError(
                "samples was given, but this result was measured without a folder for its samples; leave "
                "samples out"
            )
        return kept.found(Path(folder))
    if kept is None:
        return None
    try:
        return kept.found(place / kept.folder)
    except ValueError:
        return kept  # samples() then raises


def kept_of(arrays: Mapping[str, NDArray[Any]], X: Any) -> KeptSamples:
    """Keep samples made from X, unchanged by whatever is done to X or to copies of them later."""
    for array in arrays.values():
        array.setflags(write=False)
    # an array is kept for its type only; a DataFrame for its names, types and categories
    if hasattr(X, "columns"):
        X = copy(X)  # later changes of X do not reach it
    else:
        X = X[:0] if hasattr(X, "__getitem__") else None
    return KeptSamples(arrays, container_of(X))


def kept_in(folder: SamplesFolder, kept: KeptSamples, X: Any, outcomes: Outcomes) -> KeptSamples:
    """Write the manifest into the folder."""
    known_by = write_manifest(folder, kept.arrays, X, outcomes)
    return replace(kept, folder=str(folder.path), fingerprint=known_by)
