"""Samples that are not in memory: read once, in blocks, and written to a temporary file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from errno import ENOSPC
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import SCANNED
from skhalfway._by_blocks import Blocks, blocks_in
from skhalfway._datasets import Batch, as_labels, is_dataset, means_its_labels
from skhalfway._inputs import FLOATS
from skhalfway._readable import is_tensor
from skhalfway._text import shown

_HELD = 2**20  # number of values up to which samples stay in memory
_FOLDER = "JOBLIB_TEMP_FOLDER"


class Gathered(NamedTuple):
    """Samples as they were given, or as they were read in blocks.

    Attributes
    ----------
    X : object
        The given samples; if they were read in blocks, an empty array or tensor of their type.
    array : ndarray of shape (n_samples, ...) or None
        All samples, checked, if they were read in blocks.
    y : object
        Labels that were given, or that came with the samples.
    """

    X: Any
    array: NDArray[Any] | None
    y: Any


@contextmanager
def gathered(X: Any, y: Any, read: Callable[..., NDArray[Any]]) -> Iterator[Gathered]:
    """Read samples that are not in memory, for the duration of the block; pass others on unchanged.

    The temporary file of the samples is in the folder ``JOBLIB_TEMP_FOLDER``, else in the system's folder for
    temporary files. It is always deleted at the end.

    Parameters
    ----------
    X : object
        Samples; see :func:`blocks_in`.
    y : object
        Labels; None if they may come with the samples.
    read : callable
        ``read(block, first=number)`` checks some samples and returns them as an array of floats.

    Raises
    ------
    ValueError, TypeError
        If a block holds no samples, or differs from others; if labels are missing, or given twice.
    OSError
        If there is not enough space for the samples.
    """
    blocks = blocks_in(X)
    if blocks is None:
        yield Gathered(X, None, y)
        return
    with closing(_Room(blocks)) as room:
        labels = [batch.labels for batch in blocks.batches if room.add(batch, read)]
        if not room.n:
            once = "; an iterator can be read only once" if isinstance(X, Iterator) else ""
            raise ValueError(f"X holds no samples: {shown(X)} is empty{once}")
        if room.labelled and not (is_dataset(X) and not means_its_labels(X)):
            if y is not None:
                raise ValueError(
                    "X gives samples with labels, and y is given too; leave y out, or pass a dataset of "
                    "samples alone"
                )
            y = as_labels([label for each in labels for label in each or ()])
        yield Gathered(room.kind(), room.array(), y)


class _Room:
    """The samples read so far: in memory while they are few, then in a file."""

    def __init__(self, blocks: Blocks) -> None:
        self.n, self.labelled = 0, False
        self._blocks, self._first = blocks, ("", ())
        self._raw: Any = None  # common type of the samples before conversion, as numpy or torch promotes it
        self._device: Any = None
        self._dtype = np.dtype(float)
        self._parts: list[NDArray[Any]] = []
        self._folder: TemporaryDirectory[str] | None = None
        self._file: IO[bytes] | None = None

    def add(self, batch: Batch, read: Callable[..., NDArray[Any]]) -> bool:
        """Add the samples of a batch; return whether there are any."""
        shape = tuple(batch.samples.shape)
        if not self._first[0]:
            self._first, self.labelled = (batch.place, shape[1:]), batch.labels is not None
        if shape[1:] != self._first[1]:
            raise ValueError(
                f"samples of X must have the same shape: {self._first[1]} in {self._first[0]}, {shape[1:]} "
                f"in {batch.place}; {self._blocks.remedy}"
            )
        if (batch.labels is not None) != self.labelled:
            raise ValueError("some items of X have a label and others have none; leave out one kind")
        if not shape[0]:
            return False
        array = read(batch.samples, first=self.n)
        self._take_type(batch.samples, array)
        self.n += len(array)
        if self._file is None:
            self._parts.append(np.array(array, dtype=self._dtype))  # a copy: the caller may reuse the block
            if self.n * array[0].size > _HELD:
                self._into_file()
        else:
            self._write(array)
        return True

    def array(self) -> NDArray[Any]:
        """All samples."""
        if self._file is None:
            return np.concatenate(self._parts, dtype=self._dtype)
        self._flush()
        # copy-on-write: a model that changes its inputs must not change the file
        return np.asarray(
            np.memmap(self._file.name, dtype=self._dtype, mode="c", shape=(self.n, *self._first[1]))
        )

    def kind(self) -> Any:
        """An empty tensor if all blocks were tensors; else an empty array."""
        if self._device is None:
            return np.empty((0, *self._first[1]), dtype=self._dtype)
        import torch

        return torch.empty((0, *self._first[1]), dtype=self._raw, device=self._device)

    def close(self) -> None:
        """Delete the file."""
        self._parts.clear()
        if self._file is not None:
            self._file.close()
        if self._folder is not None:
            self._folder.cleanup()

    def _take_type(self, samples: Any, array: NDArray[Any]) -> None:
        """Update the common type of all samples."""
        raw = array.dtype if hasattr(samples, "columns") else samples.dtype
        if self._raw is None:
            self._raw, self._device = raw, samples.device if is_tensor(samples) else None
        elif is_tensor(samples) and self._device is not None:
            import torch

            self._raw = torch.promote_types(self._raw, samples.dtype)
        elif raw != self._raw:
            self._raw, self._device = np.result_type(_of_numpy(self._raw), _of_numpy(raw)), None
        dtype = _of_numpy(self._raw)
        dtype = dtype if dtype in FLOATS else np.dtype(float)
        if dtype != self._dtype:
            self._change_type(dtype)

    def _change_type(self, dtype: np.dtype[Any]) -> None:
        before, self._dtype, file = self._dtype, dtype, self._file
        if file is None:
            return
        self._flush()
        self._open()
        with file, open(file.name, "rb") as old:
            while len(part := np.fromfile(old, before, SCANNED)):
                self._write(part)
        os.unlink(file.name)

    def _into_file(self) -> None:
        folder = os.environ.get(_FOLDER) or None
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)
        self._folder = TemporaryDirectory(prefix="skhalfway_", dir=folder, ignore_cleanup_errors=True)
        if self._blocks.n is not None:
            n_bytes = self._blocks.n * self._parts[0][0].size * self._dtype.itemsize
            free = shutil.disk_usage(self._folder.name).free
            if n_bytes > free:
                raise self._full(f"they take {n_bytes / 2**30:.3g} GiB, and {free / 2**30:.3g} GiB are free")
        self._open()
        while self._parts:
            self._write(self._parts.pop(0))

    def _open(self) -> None:
        assert self._folder is not None
        self._file = open(Path(self._folder.name, f"samples_{self._dtype}"), "wb")  # noqa: SIM115

    def _write(self, array: NDArray[Any]) -> None:
        assert self._file is not None
        try:
            self._file.write(np.ascontiguousarray(array, dtype=self._dtype).data)
        except OSError as error:
            raise self._full(f"{error.strerror or error} after {self.n} samples") from error

    def _flush(self) -> None:
        assert self._file is not None
        try:
            self._file.flush()
        except OSError as error:
            raise self._full(f"{error.strerror or error} after {self.n} samples") from error

    def _full(self, why: str) -> OSError:
        assert self._folder is not None
        return OSError(
            ENOSPC,
            "samples that are not in memory are written to a file in "
            f"{shown(str(Path(self._folder.name).parent))}, but {why}; name a folder with more space in the "
            f"environment variable {_FOLDER}, or pass a numpy.memmap of floats, which is used as it is",
        )


def _of_numpy(dtype: Any) -> np.dtype[Any]:
    """A type of numpy or torch as a numpy type."""
    if isinstance(dtype, np.dtype):
        return dtype
    import torch

    of_numpy: np.dtype[Any] = torch.empty(0, dtype=dtype).numpy().dtype
    return of_numpy
