"""Samples and labels from torch's Datasets and DataLoaders."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from skhalfway._text import shown

_BATCH = 64
_SAMPLES_OR_PAIRS = "samples, or (sample, label)"


class Batch(NamedTuple):
    """Some samples in one tensor or array, their labels, and their position in the whole."""

    place: str
    samples: Any
    labels: list[Any] | None


def is_dataset(X: Any) -> bool:
    """Whether X is a Dataset or DataLoader of torch."""
    data = sys.modules.get("torch.utils.data")
    return data is not None and isinstance(X, (data.Dataset, data.DataLoader))


def read_dataset(dataset: Any, name: str = "X") -> tuple[Any, Any]:
    """All samples of a Dataset or DataLoader, as one tensor or array, and their labels, if there are any.

    It is read once, in batches and in its own order. So samples that a DataLoader shuffles or drops stay
    shuffled or dropped, and each label stays with its sample.

    Raises
    ------
    ValueError
        If it holds no samples, or items that differ in shape or in whether they have a label.
    TypeError
        If its items are not samples or (sample, label), or it has no length.
    """
    batches = list(batches_of(dataset, name))
    if not any(len(batch.samples) for batch in batches):
        raise ValueError(f"{name} holds no samples: {shown(dataset)} is empty")
    labelled = _have_labels([batch.labels for batch in batches], name)
    _check_equal({batch.place: tuple(batch.samples.shape[1:]) for batch in batches}, name)
    samples = _joined([batch.samples for batch in batches])
    if not labelled or not means_its_labels(dataset):
        return samples, None
    return samples, as_labels(list(chain.from_iterable(batch.labels or () for batch in batches)))


def batches_of(dataset: Any, name: str) -> Iterator[Batch]:
    """Batches of a dataset, each of samples of one shape."""
    from torch.utils.data import DataLoader, IterableDataset

    if not isinstance(dataset, DataLoader):
        if not isinstance(dataset, IterableDataset) and not hasattr(dataset, "__len__"):
            raise TypeError(
                f"{name} does not tell its number of samples: {shown(dataset)} has no __len__; add it, or "
                "pass a DataLoader with a sampler of indices"
            )
        for number, items in enumerate(DataLoader(dataset, batch_size=_BATCH, collate_fn=list)):
            yield _of_items(items, number * _BATCH, name)
        return
    try:
        for number, batch in enumerate(dataset):
            if dataset.batch_sampler is None and not _is_batch(batch):
                yield _of_items([batch], number, name)
            else:
                yield _of_batch(batch, number, name)
    except RuntimeError as error:
        if "equal size" not in str(error):
            raise
        raise ValueError(
            f"samples of {name} must have the same shape, but its DataLoader finds others in a batch: "
            f"{str(error).splitlines()[-1]}; resize them in the dataset's transform"
        ) from error


def _of_batch(batch: Any, number: int, name: str) -> Batch:
    samples, labels = _parted(batch, f"batch {number} of {name}")
    samples, labels = _as_block(samples), None if labels is None else listed(labels)
    n = len(labels) if isinstance(labels, list) else 1
    if labels is not None and n != len(samples):
        raise ValueError(
            f"batch {number} of {name} has {len(samples)} samples and labels for {n}; each sample needs one"
        )
    return Batch(f"batch {number}", samples, labels)


def _is_batch(item: Any) -> bool:
    """Whether an item that a DataLoader passes on unchanged holds several samples, each with a label."""
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        return False
    sizes = [np.shape(part) for part in item]
    return len(sizes[0]) > 1 and len(sizes[1]) > 0 and sizes[0][0] == sizes[1][0]


def _of_items(items: list[Any], first: int, name: str) -> Batch:
    """A batch of items that have to be stacked."""
    pairs = [_parted(item, f"item {first + i} of {name}") for i, item in enumerate(items)]
    samples = [_as_block(sample) for sample, _ in pairs]
    _check_equal({f"item {first + i}": tuple(sample.shape) for i, sample in enumerate(samples)}, name)
    labels = [label for _, label in pairs]
    stacked = _joined([sample[None] for sample in samples])
    labelled = _have_labels(labels, name)
    return Batch(f"item {first}", stacked, [_plain(label) for label in labels] if labelled else None)


def _have_labels(labels: list[Any], name: str) -> bool:
    """Whether all items or batches have labels other than None; ValueError if only some have."""
    missing = [each is None for each in labels]
    if any(missing) and not all(missing):
        raise ValueError(f"some items of {name} have a label and others have none; leave out one kind")
    return not all(missing)


def _parted(item: Any, where: str) -> tuple[Any, Any]:
    """Sample(s) and label(s) of an item of a dataset; None instead of missing labels."""
    if _holds_no_numbers(item):
        remedy = (
            "take its parts out in the dataset: item['image'], item['label']"
            if isinstance(item, Mapping)
            else "turn it into numbers in the dataset's transform"
        )
        raise TypeError(f"a dataset must give {_SAMPLES_OR_PAIRS}, but {where} is {shown(item)}; {remedy}")
    if not isinstance(item, (tuple, list)) or all(isinstance(part, Number) for part in item):
        return item, None
    if len(item) > 2:
        raise TypeError(
            f"a dataset must give {_SAMPLES_OR_PAIRS}, but {where} has {len(item)} parts; leave out the rest"
        )
    sample, label = (item[0], None) if len(item) == 1 else item
    if _holds_no_numbers(sample):
        return _parted(sample, f"the sample of {where}")
    return sample, label


def _holds_no_numbers(item: Any) -> bool:
    return isinstance(item, (str, bytes, Mapping)) or type(item).__module__.startswith("PIL.")


def _as_block(samples: Any) -> Any:
    """Samples as a tensor or an array."""
    torch = sys.modules["torch"]
    return samples.detach() if isinstance(samples, torch.Tensor) else np.asarray(samples)


def _joined(parts: list[Any]) -> Any:
    torch = sys.modules["torch"]
    if all(isinstance(part, torch.Tensor) for part in parts):
        return torch.cat(parts)
    return np.concatenate([np.asarray(part) for part in parts])


def _check_equal(shapes: dict[str, tuple[int, ...]], name: str) -> None:
    """Raise if samples differ in shape; ``shapes`` are by position."""
    first, *others = shapes.items()
    for place, shape in others:
        if shape != first[1]:
            raise ValueError(
                f"samples of {name} must have the same shape: {first[1]} in {first[0]}, {shape} in {place}; "
                "resize them in the dataset's transform"
            )


def _plain(label: Any) -> Any:
    """A label of one sample as a number, a text, or a list of its values."""
    values = listed(label)
    return values[0] if isinstance(values, list) and len(values) == 1 else values


def listed(labels: Any) -> Any:
    """Labels as a list; a single label unchanged."""
    return labels.tolist() if hasattr(labels, "tolist") else list(labels) if _is_list(labels) else labels


def _is_list(labels: Any) -> bool:
    return isinstance(labels, Iterable) and not isinstance(labels, (str, bytes, Mapping))


def as_labels(labels: list[Any]) -> NDArray[Any] | list[Any]:
    """An array of labels; a list if texts and numbers are mixed, which the reader of labels reports."""
    if len({isinstance(label, (str, bytes)) for label in labels}) > 1:
        return labels
    try:
        return np.array(labels)
    except ValueError:  # of different lengths
        return labels


def means_its_labels(dataset: Any) -> bool:
    """Whether labels are real; skorch's Dataset without y gives 0 for each sample."""
    data, skorch = sys.modules["torch.utils.data"], sys.modules.get("skorch.dataset")
    while isinstance(dataset, (data.DataLoader, data.Subset)):
        dataset = dataset.dataset
    return skorch is None or not isinstance(dataset, skorch.Dataset) or dataset.y is not None
