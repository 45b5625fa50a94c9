"""Reading data in blocks that are not in memory: datasets, arrays on disk, iterators of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from numbers import Number
from typing import Any, NamedTuple

import numpy as np

from skhalfway._datasets import Batch, batches_of, is_dataset, listed
from skhalfway._inputs import FLOATS, check_no_categories
from skhalfway._readable import is_tensor
from skhalfway._text import shown

_BLOCK = 2**20  # number of values that are read at once
_MOST = 2**23  # largest chunk, in values, that is read as a whole
_WANTED = "an iterator must give blocks of samples, or (samples, labels)"


class Blocks(NamedTuple):
    """Samples that are read once, in blocks.

    Attributes
    ----------
    batches : iterator of Batch
        Blocks, in their order.
    n : int or None
        Number of samples, if it is known.
    remedy : str
        Advice for error messages, if samples differ in shape.
    """

    batches: Iterator[Batch]
    n: int | None
    remedy: str = "pad or resize them"


def blocks_in(X: Any, name: str = "X") -> Blocks | None:
    """The blocks of data that are not in memory; None for other data.

    Data that are not in memory are a Dataset or DataLoader of torch; arrays that are read by slices, such as
    those of h5py, zarr and dask; memory-mapped arrays, unless they can be used without conversion; and an
    iterator of blocks of samples, or of pairs (samples, labels) of blocks.
    """
    if is_dataset(X):
        n = len(X) if isinstance(X, Sized) and hasattr(X, "__getitem__") else None
        return Blocks(batches_of(X, name), n, "resize them in the dataset's transform")
    if _is_read_by_slices(X) or _is_mapped_but_converted(X):
        return Blocks(_slices(X, name), _length(X, name))
    if _is_iterator(X):
        return Blocks((_of_item(item, f"block {i} of {name}") for i, item in enumerate(X)), None)
    return None


def _is_read_by_slices(X: Any) -> bool:
    if isinstance(X, (np.ndarray, np.generic)) or is_tensor(X):
        return False
    if not all(hasattr(X, name) for name in ("shape", "dtype", "__getitem__")):
        return False
    if any(hasattr(X, name) for name in ("iloc", "columns", "toarray", "predict", "forward")):
        return False
    return isinstance(X.shape, tuple) and len(X.shape) > 1


def _is_mapped_but_converted(X: Any) -> bool:
    """Whether X is memory-mapped with a type or an order that models do not accept."""
    if not isinstance(X, np.ndarray) or X.ndim < 2 or X.dtype.kind not in "biuf":
        return False
    base: Any = X
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return isinstance(base, np.memmap) and not (X.dtype in FLOATS and X.flags.c_contiguous)


def _is_iterator(X: Any) -> bool:
    if isinstance(X, Iterator):
        return True
    others = ("__len__", "__getitem__", "__array__", "iloc", "toarray", "predict", "forward")
    return (
        isinstance(X, Iterable)
        and not isinstance(X, type)
        and not any(hasattr(X, name) for name in others)
        and not is_tensor(X)
    )


def _length(X: Any, name: str) -> int:
    n = X.shape[0]
    if n != n:  # nan in dask
        raise ValueError(
            f"{name} does not tell its number of samples: its shape is {X.shape}; call "
            f"{name}.compute_chunk_sizes() first"
        )
    return int(n)


def _slices(X: Any, name: str) -> Iterator[Batch]:
    begin = 0
    for end in _ends(X, _length(X, name)):
        samples = np.asarray(X[begin:end])
        if len(samples) != end - begin:
            raise ValueError(
                f"{name}[{begin}:{end}] has {len(samples)} samples, which does not match its shape {X.shape}"
            )
        yield Batch(f"{name}[{begin}:{end}]", samples, None)
        begin = end


def _ends(X: Any, n: int) -> Iterator[int]:
    """Ends of the blocks: those of X's own chunks, if it has chunks, so that none is read twice."""
    width = max(1, int(np.prod(X.shape[1:])))
    size, chunks = max(1, _BLOCK // width), getattr(X, "chunks", None)
    rows = chunks[0] if isinstance(chunks, tuple) and chunks else None
    if isinstance(rows, tuple):  # chunks of dask have any lengths, and are computed as a whole
        begin = last = 0
        for end in np.cumsum(rows).tolist():
            if end - begin > size and last > begin:
                yield last
                begin = last
            last = end
        if n:
            yield n
        return
    if isinstance(rows, int) and 0 < rows * width <= _MOST:
        size = rows * max(1, size // rows)
    yield from range(size, n, size)
    if n:
        yield n


def _of_item(item: Any, where: str) -> Batch:
    samples, labels = _parted(item, where)
    if isinstance(samples, (str, bytes, Mapping, Number)) or samples is None:
        raise TypeError(f"{_WANTED}, but {where} is {shown(item)}")
    check_no_categories(samples, where, "blocks of DataFrames are read as numbers")
    if not hasattr(samples, "shape"):
        try:
            samples = np.asarray(samples)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{_WANTED}, but {where} is not an array: {shown(samples)}") from error
    if len(samples.shape) < 2:
        raise ValueError(
            f"{_WANTED}, but {where} has shape {tuple(samples.shape)}; a single sample is a block as "
            "x[None], or pass all that it gives: numpy.array(list(X))"
        )
    if labels is None:
        return Batch(where, samples, None)
    own = listed(labels)
    n = len(own) if isinstance(own, list) else 1
    if n != len(samples):
        raise ValueError(f"{where} has {len(samples)} samples and labels for {n}; each sample needs one")
    return Batch(where, samples, own if isinstance(own, list) else [own])


def _parted(item: Any, where: str) -> tuple[Any, Any]:
    """Samples and labels of an item of an iterator; None instead of missing labels."""
    if isinstance(item, list) and not _holds_parts(item):
        return item, None
    if not isinstance(item, (tuple, list)):
        return item, None
    if len(item) > 2 or not item:
        raise TypeError(f"{_WANTED}, but {where} has {len(item)} parts")
    return item[0], item[1] if len(item) == 2 else None


def _holds_parts(item: list[Any]) -> bool:
    """Whether a list is a pair (samples, labels), as DataLoaders give it, and not a block of samples."""
    axes = [len(part.shape) if hasattr(part, "shape") else None for part in item[:2]]
    if not item or len(item) > 2 or axes[0] is None or axes[0] < 2:
        return False
    return len(item) == 1 or axes[1] is None or axes[1] < axes[0]
