"""Adversarial samples that were kept: in memory, or in a folder from which they are mapped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import container_of, in_floats_of
from skhalfway._text import brief, shown


@dataclass(frozen=True, eq=False)
class KeptSamples:
    """The adversarial samples of each source.

    Parameters
    ----------
    arrays : dict of str to ndarray of shape (n_samples, ...)
        By source, read-only; mapped from files where they were kept in a folder.
    like : array-like of shape (n_samples, ...) or (0, ...)
        A copy of X, or of none of its rows, whose container they are given out in.
    rows : ndarray of shape (n_rows,) or None, default=None
        Numbers of those that are asked for. None is all.
    """

    arrays: Mapping[str, NDArray[Any]]
    like: Any
    rows: NDArray[np.intp] | None = None

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
        samples = container_of(self.like)(_writable(self.arrays[source]))
        if self.rows is None:
            return samples
        return samples.iloc[self.rows] if hasattr(samples, "iloc") else samples[self.rows]


def _writable(array: NDArray[Any]) -> NDArray[Any]:
    """An array of the user's own, since torch warns of read-only ones: a copy, or a map that copies on writing."""
    if isinstance(array, np.memmap) and array.filename is not None:
        mapped: NDArray[Any] = np.load(array.filename, mmap_mode="c")
        return mapped
    return np.array(array)


def kept_of(arrays: Mapping[str, NDArray[Any]], X: Any) -> KeptSamples:
    """Keep samples that were made of X, so that nothing done to X or to them later changes them."""
    for array in arrays.values():
        array.setflags(write=False)
    # of an array its kind is enough; of a DataFrame its names, and its categories
    if hasattr(X, "columns"):
        # rounded, they would not be those that were counted; what is later done to X does not reach the copy
        return KeptSamples(arrays, in_floats_of(X, next(iter(arrays.values())).dtype))
    return KeptSamples(arrays, X[:0] if hasattr(X, "__getitem__") else None)


def read_place(keep_samples: Any) -> Path | None:
    """Folder that samples are kept in, made where it is missing; None where none is asked for."""
    if isinstance(keep_samples, (bool, np.bool_)):
        return None
    if not isinstance(keep_samples, (str, Path)):
        raise ValueError(f"keep_samples must be True, False or a folder, got {shown(keep_samples)}")
    folder = Path(keep_samples)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".skhalfway"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ValueError(
            f"keep_samples={shown(str(keep_samples))} cannot be written to: "
            f"{brief(error.strerror or error)}; give a folder that can"
        ) from error
    if any(folder.glob("source_*.npy")):
        raise ValueError(
            f"keep_samples={shown(str(keep_samples))} holds the samples of another result, which reads "
            "them from there; give an empty folder"
        )
    return folder


def place_for(X: NDArray[Any], folder: Path | None, number: int) -> NDArray[Any]:
    """Room for the samples of the source of that number, filled with the samples as they are."""
    if folder is None:
        return X.copy()
    room = np.lib.format.open_memmap(folder / f"source_{number}.npy", mode="w+", dtype=X.dtype, shape=X.shape)
    room[...] = X
    return room
