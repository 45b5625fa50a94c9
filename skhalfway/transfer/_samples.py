"""Adversarial samples that were kept: in memory, or in a folder from which they are mapped."""

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
    """The adversarial samples of each source, or where they lie.

    Parameters
    ----------
    arrays : dict of str to ndarray of shape (n_samples, ...), default={}
        By source, read-only; mapped from files where they were kept in a
        folder. Not written into files of results.
    container : callable or None, default=None
        Puts an array of samples into X's container; None leaves it as it is.
    rows : ndarray of shape (n_rows,) or None, default=None
        Numbers of those that are asked for. None is all.
    folder : str, default=""
        Where they were kept; in files of results as seen from there. "" is in memory.
    fingerprint : str, default=""
        By which the folder is known to be that of the result.
    """

    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict, metadata=_ELSEWHERE)
    container: Callable[[NDArray[Any]], Any] | None = field(default=None, metadata=_ELSEWHERE)
    rows: NDArray[np.intp] | None = None
    folder: str = ""
    fingerprint: str = ""

    def __post_init__(self) -> None:
        if not (isinstance(self.folder, str) and isinstance(self.fingerprint, str)):
            raise TypeError(f"folder must be the name of one, got {shown(self.folder)}")

    def take(self, rows: NDArray[np.intp]) -> KeptSamples:
        """Some of the samples.

        Parameters
        ----------
        rows : ndarray of shape (n_rows,)
            Their numbers.

        Returns
        -------
        kept : KeptSamples
            Of these alone; nothing is copied.
        """
        return replace(self, rows=rows if self.rows is None else self.rows[rows])

    def of(self, source: str) -> Any:
        """The samples of a source, in X's container.

        Parameters
        ----------
        source : str
            Its name.

        Returns
        -------
        X_adv : array-like of shape (n_rows, ...)
            Its samples, to be changed at will: what is kept stays as it is.
        """
        if not self.arrays:
            raise ValueError(
                f"the adversarial samples were kept in a folder, {shown(self.folder)}, which was not there, "
                "as seen from the file of this result, or holds others; load_result(file, samples=folder) "
                "reads them from where they are now"
            )
        samples = self._own(source)
        if self.container is not None:
            samples = self.container(samples)
        if self.rows is None:
            return samples
        rows = np.array(self.rows)  # torch warns of read-only ones
        return samples.iloc[rows] if hasattr(samples, "iloc") else samples[rows]

    def _own(self, source: str) -> NDArray[Any]:
        """An array of the user's own, for torch warns of others: a map that copies on writing, or a copy."""
        array = self.arrays[source]
        if not isinstance(array, np.memmap) or array.filename is None:
            return np.array(array)
        try:
            there = read_manifest(Path(self.folder)).get("result") == self.fingerprint
        except ValueError:
            there = False
        # where the folder is no longer that of this result, what was mapped from it still is
        return np.load(array.filename, mmap_mode="c") if there else np.array(array)

    def seen_from(self, place: Path) -> KeptSamples | None:
        """As it is written into a file in a folder; None where it was kept in memory.

        Parameters
        ----------
        place : Path
            The folder of the file.

        Returns
        -------
        kept : KeptSamples or None
            It names the way from there, and nothing above what both share.
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
        """With the samples of a folder.

        Parameters
        ----------
        folder : Path
            Where they are now.

        Returns
        -------
        kept : KeptSamples
            With arrays that are mapped from there.

        Raises
        ------
        ValueError
            If it is not the folder of this result.
        """
        manifest = read_manifest(folder)
        if manifest.get("result") != self.fingerprint:
            raise ValueError(
                f"{shown(str(folder))} holds the samples of another result; give the folder that was "
                f"keep_samples as this one was measured, named {shown(Path(self.folder).name)} then"
            )
        arrays = mapped(folder, manifest)
        try:
            container = untold(manifest["container"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{shown(str(folder))} does not say what kind of data its samples are: {brief(error, 80)}"
            ) from error
        return replace(self, arrays=arrays, container=container, folder=str(folder.absolute()))


def found_beside(kept: KeptSamples | None, place: Path, folder: Any) -> KeptSamples | None:
    """What a result out of a file in ``place`` kept, with its samples, where they are known to be.

    Raises ValueError where they must be in ``folder``, and are not.
    """
    if folder is not None:
        if kept is None:
            raise ValueError(
                "this result was measured without a folder for its samples, so there are none to read; leave "
                "samples out"
            )
        return kept.found(Path(folder))
    if kept is None:
        return None
    try:
        return kept.found(place / kept.folder)
    except ValueError:
        return kept  # samples() says so


def kept_of(arrays: Mapping[str, NDArray[Any]], X: Any) -> KeptSamples:
    """Keep samples that were made of X, so that nothing done to X or to them later changes them."""
    for array in arrays.values():
        array.setflags(write=False)
    # of an array its kind is enough; of a DataFrame its names, types and categories
    if hasattr(X, "columns"):
        X = copy(X)  # what is later done to X does not reach it
    else:
        X = X[:0] if hasattr(X, "__getitem__") else None
    return KeptSamples(arrays, container_of(X))


def kept_in(folder: SamplesFolder, kept: KeptSamples, X: Any, outcomes: Outcomes) -> KeptSamples:
    """Say in the folder what its files are."""
    known_by = write_manifest(folder, kept.arrays, X, outcomes)
    return replace(kept, folder=str(folder.path), fingerprint=known_by)
