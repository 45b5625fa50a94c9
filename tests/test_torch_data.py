"""Datasets and DataLoaders of torch in place of samples: at every way in, once, labels with their samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from skorch.dataset import Dataset as SkorchDataset
from torch.utils.data import DataLoader, Dataset, IterableDataset, Subset, TensorDataset

from skhalfway import AdversarialGenerator, TransferMatrix, TransferScorer
from skhalfway._datasets import read_dataset
from skhalfway._entries import takes_datasets
from skhalfway.codes import CodeMap
from skhalfway.perturbation import PerturbationLearner
from skhalfway.results._provenance import recorded
from tests.entries import BRIEF, CODES, ENTRIES, FITTED, LINEAR, NETWORK, PAIR, SCORER, TREE, X, Y

SAMPLES = ("X", "A", "B", "Z", "X3", "X_train", "X_test", "X_a", "X_b", "perturbation", "directions")
TENSORS = torch.tensor(X), torch.tensor(Y)
PAIRS, ALONE = TensorDataset(*TENSORS), TensorDataset(TENSORS[0])
TEXTS = np.array(["no", "yes"])[Y]


class Items(Dataset):
    """What a function makes of the number of a sample."""

    def __init__(self, make: Callable[[int], Any], n: int = len(X)) -> None:
        self.make, self.n = make, n

    def __getitem__(self, i: int) -> Any:
        if i >= self.n:
            raise IndexError(i)
        return self.make(i)

    def __len__(self) -> int:
        return self.n


class Stream(IterableDataset):
    """Goes through items, and counts how often."""

    def __init__(self, items: Any) -> None:
        self.items, self.n_times = items, 0

    def __iter__(self) -> Iterator[Any]:
        self.n_times += 1
        return iter(self.items)


def shuffled(**settings: Any) -> DataLoader:
    return DataLoader(PAIRS, shuffle=True, generator=torch.Generator().manual_seed(0), **settings)


def batches(n: int) -> Stream:
    return Stream([(X[i : i + n], Y[i : i + n]) for i in range(0, len(X), n)])


# what is read, and in which order its samples come: None is all, as they are
KINDS: dict[str, tuple[Any, Any]] = {
    "tensors": (PAIRS, None),
    "subset": (Subset(PAIRS, [7, 3, 3]), [7, 3, 3]),
    "map of arrays": (Items(lambda i: (X[i], Y[i])), None),
    "map of lists": (Items(lambda i: (X[i].tolist(), int(Y[i]))), None),
    "map of texts": (Items(lambda i: (X[i], str(TEXTS[i]))), None),
    "labels in arrays": (Items(lambda i: [X[i], Y[i : i + 1]]), None),
    "stream": (Stream([(x, y) for x, y in zip(X, Y, strict=True)]), None),
    "skorch": (SkorchDataset(X, Y), None),
    "loader": (DataLoader(PAIRS, 7), None),
    "loader of one": (DataLoader(PAIRS, 1), None),
    "loader of a stream": (DataLoader(Stream([(X[i], Y[i]) for i in range(40)]), 16), None),
    "loader of texts": (DataLoader(Items(lambda i: (X[i], str(TEXTS[i]))), 16), None),
    "loader of a subset": (DataLoader(Subset(PAIRS, [5, 1]), 16), [5, 1]),
    "loader that drops": (DataLoader(PAIRS, 16, drop_last=True), range(32)),
    "loader with a sampler": (DataLoader(PAIRS, 2, sampler=[9, 1, 4]), [9, 1, 4]),
    "loader of items": (DataLoader(PAIRS, batch_size=None), None),
    "loader of ready batches": (DataLoader(batches(16), batch_size=None), None),
    "tensors alone": (ALONE, None),
    "map alone": (Items(lambda i: X[i]), None),
    "map of plain numbers": (Items(lambda i: tuple(X[i].tolist())), None),
    "loader alone": (DataLoader(ALONE, 7), None),
    "loader of samples alone": (DataLoader(TENSORS[0], 7), None),
    "skorch alone": (SkorchDataset(X), None),
    "loader of skorch alone": (DataLoader(SkorchDataset(X), 7), None),
}


@pytest.mark.parametrize("kind", KINDS)
def test_samples_and_labels_are_read_in_order(kind: str) -> None:
    dataset, order = KINDS[kind]
    order = range(len(X)) if order is None else order
    samples, labels = read_dataset(dataset)
    np.testing.assert_array_equal(samples, X[list(order)])
    if kind.endswith("alone") or "plain" in kind:
        assert labels is None
    else:
        assert isinstance(labels, np.ndarray)
        np.testing.assert_array_equal(labels, (TEXTS if "texts" in kind else Y)[list(order)])


def test_what_gives_tensors_becomes_one_and_what_gives_arrays_an_array() -> None:
    assert isinstance(read_dataset(PAIRS)[0], torch.Tensor)
    assert isinstance(read_dataset(Items(lambda i: X[i]))[0], np.ndarray)
    images = TensorDataset(torch.rand(5, 3, 8, 8, requires_grad=True))
    assert read_dataset(images)[0].shape == (5, 3, 8, 8) and not read_dataset(images)[0].requires_grad
    transformed = Items(lambda i: (torch.tensor(X[i]).float() * 2, Y[i]))
    np.testing.assert_array_equal(read_dataset(transformed)[0], X.astype("float32") * 2)


def test_a_shuffling_loader_is_gone_through_once_and_labels_stay_with_samples() -> None:
    samples, labels = read_dataset(shuffled(batch_size=7))
    assert not np.array_equal(samples, X)
    np.testing.assert_array_equal(np.sort(samples[:, 0]), np.sort(X[:, 0]))
    np.testing.assert_array_equal(labels, samples[:, 0] > 0.5)


WRONG: dict[str, tuple[Any, type[Exception], str]] = {
    "empty": (Items(lambda i: X[i], 0), ValueError, "^X holds no samples: Items is empty"),
    "empty stream": (Stream([]), ValueError, "X holds no samples: Stream is empty"),
    "empty subset": (Subset(PAIRS, []), ValueError, "X holds no samples"),
    "of no length": (type("Endless", (Dataset,), {})(), TypeError, "Endless has no __len__; add it, or pass"),
    "two shapes": (
        Items(lambda i: X[i, : 3 + (i != 4)]),
        ValueError,
        r"the same shape: \(4,\) in item 0, \(3,\) in item 4; resize",
    ),
    "two shapes, far away": (
        Items(lambda i: X[i % 40, : 4 - (i >= 256)], 300),
        ValueError,
        r"\(4,\) in item 0, \(3,\) in item 256",
    ),
    "two shapes of items of a loader": (
        DataLoader(Items(lambda i: X[i, : 3 + (i != 4)]), batch_size=None),
        ValueError,
        r"\(4,\) in item 0, \(3,\) in item 4",
    ),
    "some labels": (
        Stream([X[0], (X[1], 1)]),
        ValueError,
        "some items of X have a label and others have none",
    ),
    "some labelled batches": (
        DataLoader(range(4), 2, collate_fn=lambda rows: X[rows] if rows[0] else (X[rows], Y[rows])),
        ValueError,
        "some items of X have a label and others have none",
    ),
    "labels of a batch": (
        DataLoader(PAIRS, 4, collate_fn=lambda items: (X[:4], [0, 1])),
        ValueError,
        "batch 0 of X has 4 samples and labels for 2",
    ),
    "one label of a batch": (
        DataLoader(PAIRS, 4, collate_fn=lambda items: (X[:4], 1)),
        ValueError,
        "batch 0 of X has 4 samples and labels for 1",
    ),
    "batches of three": (
        DataLoader(TensorDataset(*TENSORS, TENSORS[1]), 4),
        TypeError,
        "batch 0 of X has 3 parts",
    ),
    "dicts": (
        DataLoader(Items(lambda i: {"image": X[i]}), 4),
        TypeError,
        r"batch 0 of X is {.*; take its parts out in the dataset",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_datasets_that_cannot_be_read(kind: str) -> None:
    dataset, error, message = WRONG[kind]
    with pytest.raises(error, match=message):
        AdversarialGenerator().fit(dataset)


def test_what_a_dataset_raises_itself_comes_through() -> None:
    def fail(i: int) -> Any:
        raise RuntimeError("disk away")

    for dataset in (Items(fail), DataLoader(Items(fail), 4)):
        with pytest.raises(RuntimeError, match="^disk away$"):
            AdversarialGenerator().fit(dataset)


@pytest.mark.filterwarnings(
    "ignore"
)  # of few samples, steps and queries; what is said of these is tested elsewhere
@pytest.mark.parametrize("name", [name for name, (_, given) in ENTRIES.items() if set(given) & set(SAMPLES)])
def test_every_way_in_takes_datasets(name: str) -> None:
    """Labels come with the samples, wherever the entry takes some; labels twice are an error."""
    function, given = ENTRIES[name]
    handed, twice = dict(given), []
    for parameter in set(SAMPLES) & set(given):
        samples, y = torch.tensor(np.asarray(given[parameter])), f"y{parameter.removeprefix('X')}"
        labelled = parameter.startswith("X") and given.get(y) is not None
        labels = [torch.tensor(np.asarray(given[y]))] if labelled else []
        handed[parameter] = TensorDataset(samples, *labels)
        if labelled:
            handed.pop(y)
            twice.append(given | {parameter: handed[parameter]})
    function(**handed)
    for both in twice:
        with pytest.raises(ValueError, match=r"gives samples with labels, and y\w* is given too; leave y"):
            function(**both)


STREAM = Stream([(torch.tensor(x), y) for x, y in zip(X, Y, strict=True)])
METHODS: dict[str, tuple[Callable[[Any], Any], Callable[[], Any]]] = {
    "fit": (
        lambda data: AdversarialGenerator().fit(data).estimator_.coef_,
        lambda: AdversarialGenerator().fit(X, Y).estimator_.coef_,
    ),
    "fit_transform": (
        AdversarialGenerator().fit_transform,
        lambda: AdversarialGenerator().fit_transform(X, Y),
    ),
    "generate": (FITTED.generate, lambda: FITTED.generate(X, Y)),
    "generate target": (
        lambda data: FITTED.generate(data, target=1),
        lambda: FITTED.generate(X, target=1),
    ),
    "transform": (FITTED.transform, lambda: FITTED.transform(X)),
    "transfer": (lambda data: SCORER.transfer(data).rates, lambda: SCORER.transfer(X, Y).rates),
    "transfer target": (
        lambda data: SCORER.transfer(data, target=1).rates,
        lambda: SCORER.transfer(X, Y, target=1).rates,
    ),
    "score": (SCORER.score, lambda: SCORER.score(X, Y)),
    "robustness": (
        lambda data: SCORER.robustness(TREE, data).robust_accuracy,
        lambda: SCORER.robustness(TREE, X, Y).robust_accuracy,
    ),
    "scorer fit": (
        lambda data: TransferScorer(BRIEF, estimators=PAIR).fit(data).models_["a"].coef_,
        lambda: TransferScorer(BRIEF, estimators=PAIR).fit(X, Y).models_["a"].coef_,
    ),
    "scorer reference": (
        lambda data: TransferScorer(BRIEF).fit([LINEAR, TREE], reference=data)._reference.deviation,
        lambda: TransferScorer(BRIEF).fit([LINEAR, TREE], reference=X)._reference.deviation,
    ),
    "learner score": (
        lambda data: PerturbationLearner(LINEAR, BRIEF, random_state=0).fit(X, Y).score(data),
        lambda: PerturbationLearner(LINEAR, BRIEF, random_state=0).fit(X, Y).score(X, Y),
    ),
    "codes": (CODES.fit_transform, lambda: CODES.fit_transform(X, Y)),
    "codes of a fitted network": (
        CodeMap(NETWORK, shape=(2, 2), n_iter=50, random_state=0).fit_transform,
        lambda: CODES.fit_transform(X, Y),
    ),
}


@pytest.mark.filterwarnings(
    "ignore"
)  # of few samples, steps and queries; what is said of these is tested elsewhere
@pytest.mark.parametrize("method", METHODS)
def test_a_stream_is_read_once_and_gives_what_arrays_give(method: str) -> None:
    of_dataset, of_arrays = METHODS[method]
    STREAM.n_times = 0
    found = of_dataset(STREAM)
    assert STREAM.n_times == 1
    np.testing.assert_allclose(np.asarray(found), of_arrays(), atol=1e-12)


def test_reading_leaves_the_global_state_of_torch_as_it_was() -> None:
    before = torch.get_rng_state()
    FITTED.generate(DataLoader(PAIRS, 7, shuffle=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_the_output_is_a_tensor_of_all_samples() -> None:
    X_adv = FITTED.generate(DataLoader(TensorDataset(TENSORS[0].float(), TENSORS[1]), 7))
    assert isinstance(X_adv, torch.Tensor) and X_adv.dtype == torch.float32 and X_adv.shape == (40, 4)


def test_a_result_knows_how_many_samples_there_were() -> None:
    @takes_datasets
    @recorded
    def measure(X: Any, y: Any) -> TransferMatrix:
        return SCORER.transfer(X, y)

    made = measure(DataLoader(PAIRS, 7))
    assert made.provenance.n_samples == 40


def test_tasks_may_be_datasets() -> None:
    function, given = ENTRIES["forgetting_curve"]
    given = given | {"random_state": 0}
    by_arrays = function(**given)
    tasks = [(PAIRS, None, DataLoader(PAIRS, 16), None)] * 2
    np.testing.assert_equal(function(**(given | {"tasks": tasks})).values, by_arrays.values)
