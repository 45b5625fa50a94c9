"""Samples that do not fit into memory: read once, in blocks, with the results of the whole, never held."""

from __future__ import annotations

import os
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from joblib import parallel_config
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from skhalfway import AdversarialGenerator, Constraints, TransferScorer, load_result
from skhalfway import _by_blocks as by_blocks
from skhalfway import _spool as spool
from skhalfway._by_blocks import blocks_in
from skhalfway.attacks import _limits, _pool, _reference
from skhalfway.attacks._reference import Reference
from skhalfway.models import ModelWarning
from skhalfway.transfer import _schedule

N, WIDTH = 150, 6
RNG = np.random.RandomState(0)
X = RNG.uniform(size=(N, WIDTH))
Y = (X[:, 0] + X[:, 1] > 1).astype(int)
MODELS = {
    "lr": LogisticRegression().fit(X[:100], Y[:100]),
    "tree": DecisionTreeClassifier(max_depth=4, random_state=0).fit(X[:100], Y[:100]),
}
GENERATOR = AdversarialGenerator(eps=0.1, max_iter=5, max_queries=50)
SCORER = TransferScorer(GENERATOR, random_state=0).fit(MODELS)


class OnDisk:
    """What h5py, zarr and dask have in common: slices, and no way to hold it whole."""

    def __init__(self, array: Any, shape: Any = None, chunks: Any = None) -> None:
        self._array, self.dtype, self.shape = array, array.dtype, shape or array.shape
        self.read: list[tuple[int, int]] = []
        if chunks is not None:
            self.chunks = chunks

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, rows: Any) -> Any:
        assert isinstance(rows, slice), "one slice of samples at a time"
        part = self._array[rows]
        self.read.append((rows.start, rows.start + len(part)))
        return part

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise MemoryError("held whole")


class Pairs(Dataset):
    def __init__(self, samples: Any) -> None:
        self.samples = samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, i: int) -> Any:
        return self.samples[i], int(Y[i])


class Stream(IterableDataset):
    def __init__(self, samples: Any) -> None:
        self.samples = samples

    def __iter__(self) -> Iterator[Any]:
        return zip(self.samples, Y.tolist(), strict=True)


class Iterable:
    """Neither an iterator nor a sequence."""

    def __init__(self, samples: Any) -> None:
        self.samples = samples

    def __iter__(self) -> Iterator[Any]:
        return in_blocks(self.samples)


def in_blocks(samples: Any, size: int = 70) -> Iterator[Any]:
    return (samples[i : i + size] for i in range(0, len(samples), size))


def in_pairs(samples: Any, kind: type = tuple) -> Iterator[Any]:
    return (kind((samples[i : i + 70], Y[i : i + 70])) for i in range(0, len(samples), 70))


def reusing(samples: Any) -> Iterator[Any]:
    """Blocks in one array, which is written anew."""
    room = np.empty((50, *samples.shape[1:]), dtype=samples.dtype)
    for i in range(0, len(samples), 50):
        room[:] = samples[i : i + 50]
        yield room


def mapped(samples: Any, folder: Path) -> Any:
    np.save(folder / "X.npy", samples)
    return np.load(folder / "X.npy", mmap_mode="r")


def of_h5py(samples: Any, folder: Path) -> Any:
    h5py = pytest.importorskip("h5py")
    return h5py.File(folder / "X.h5", "w").create_dataset("X", data=samples, chunks=(32, *samples.shape[1:]))


def of_zarr(samples: Any, folder: Path) -> Any:
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(
        store=str(folder / "X"), shape=samples.shape, dtype=samples.dtype, chunks=(32, 2)
    )
    array[:] = samples
    return array


def of_dask(samples: Any, folder: Path) -> Any:
    return pytest.importorskip("dask.array").from_array(samples, chunks=((40, 10, 100), 2))


# how samples come, and whether their labels come along
WAYS: dict[str, tuple[Callable[[Any, Path], Any], bool]] = {
    "map": (mapped, False),
    "map in another order": (lambda X, folder: mapped(X[:, ::-1], folder)[:, ::-1], False),
    "array on disk": (lambda X, _: OnDisk(X), False),
    "array in chunks": (lambda X, _: OnDisk(X, chunks=(7, 2)), False),
    "h5py": (of_h5py, False),
    "zarr": (of_zarr, False),
    "dask": (of_dask, False),
    "dataset of tensors": (lambda X, _: TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), True),
    "dataset of arrays": (lambda X, _: Pairs(X), True),
    "stream": (lambda X, _: Stream(X), True),
    "loader": (lambda X, _: DataLoader(Pairs(X), 32), True),
    "blocks": (lambda X, _: in_blocks(X), False),
    "blocks of one": (lambda X, _: in_blocks(X, 1), False),
    "blocks of tensors": (lambda X, _: map(torch.from_numpy, in_blocks(X)), False),
    "blocks of lists": (lambda X, _: (block.tolist() for block in in_blocks(X)), False),
    "blocks of DataFrames": (lambda X, _: map(pd.DataFrame, in_blocks(X)), False),
    "blocks in one array": (lambda X, _: reusing(X), False),
    "no blocks between": (lambda X, _: iter([X[:0], X[:9], X[:0], X[9:]]), False),
    "iterable": (lambda X, _: Iterable(X), False),
    "pairs": (lambda X, _: in_pairs(X), True),
    "pairs in lists": (lambda X, _: in_pairs(X, list), True),
    "an iterated loader": (lambda X, _: iter(DataLoader(Pairs(X), 32)), True),
}


@pytest.fixture(params=[False, True], ids=["held", "in a file"])
def room(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, which is empty at the end; with blocks of a few samples."""
    folder = tmp_path / "room"
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(folder))
    if request.param:
        monkeypatch.setattr(spool, "_HELD", 100)
    monkeypatch.setattr(by_blocks, "_BLOCK", 40 * WIDTH)
    monkeypatch.setattr(_schedule, "_MOST_SAMPLES", 64)
    for module in (_limits, _reference):
        monkeypatch.setattr(module, "SCANNED", 50 * WIDTH)
    return folder


def left_in(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.exists() else []


@pytest.fixture(scope="module")
def whole() -> Any:
    return SCORER.transfer(X, Y, keep_samples=True), SCORER.transfer_curve(X, Y, eps=[0.05, 0.1])


@pytest.mark.parametrize(
    ("way", "room"),
    # all ways to a file; what is held is of a few types, and labelled or not
    [
        *((way, True) for way in WAYS),
        *((way, False) for way in ("map", "dataset of tensors", "blocks", "blocks of DataFrames", "pairs")),
    ],
    indirect=["room"],
)
def test_results_are_those_of_the_whole(way: str, room: Path, whole: Any, tmp_path: Path) -> None:
    make, labelled = WAYS[way]
    matrix, curve = whole
    y = None if labelled else Y
    found = SCORER.transfer(make(X, tmp_path), y, keep_samples=True)
    assert found == matrix and found.provenance.n_samples == N
    for name in MODELS:
        np.testing.assert_allclose(np.asarray(found.samples(name)), matrix.samples(name), atol=1e-5)
    (tmp_path / "again").mkdir()
    assert SCORER.transfer_curve(make(X, tmp_path / "again"), y, eps=[0.05, 0.1]) == curve
    assert left_in(room) == []


def test_score_reads_in_blocks_too(room: Path) -> None:
    assert SCORER.score(in_pairs(X)) == SCORER.score(X, Y)


def typed(dtype: str) -> Any:
    return X > 0.5 if dtype == "bool" else (X * 1.99).astype(dtype)


@cache
def of_type(dtype: str) -> Any:
    """What the whole gives."""
    return SCORER.transfer(typed(dtype), Y, keep_samples=True).samples("lr")


@pytest.mark.parametrize(
    ("way", "dtype", "room"),
    # torch has no tensors of other byte orders
    [
        (way, dtype, (i + k) % 2 == 1)
        for i, way in enumerate(["map", "array on disk", "dataset of tensors", "blocks"])
        for k, dtype in enumerate(["float32", "float16", ">f4", "uint8", "int64", "bool"])
        if (way, dtype) != ("dataset of tensors", ">f4")
    ],
    indirect=["room"],
)
@pytest.mark.filterwarnings("ignore:X holds whole numbers:UserWarning")
def test_float_types_are_those_of_the_whole(way: str, dtype: str, room: Path, tmp_path: Path) -> None:
    samples = typed(dtype)
    expected = of_type(dtype)
    make, labelled = WAYS[way]
    found = SCORER.transfer(make(samples, tmp_path), None if labelled else Y, keep_samples=True).samples("lr")
    assert isinstance(found, torch.Tensor) == (way == "dataset of tensors")
    assert np.asarray(found).dtype == expected.dtype
    np.testing.assert_allclose(np.asarray(found), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("types", "tensors", "room"),
    [
        (types, tensors, (i + tensors) % 2 == 1)
        for i, types in enumerate(
            [("uint8", "float32"), ("float32", "float64"), ("int64", "float32"), ("float16", "float32")]
        )
        for tensors in (False, True)
    ],
    indirect=["room"],
)
def test_blocks_of_several_types_are_joined_as_numpy_or_torch_joins_them(
    types: tuple[str, str], tensors: bool, room: Path
) -> None:
    parts: list[Any] = [(X[:75] * 1.99).astype(types[0]), X[75:].astype(types[1])]
    if tensors:
        parts = [torch.from_numpy(part) for part in parts]
    joined = torch.cat(parts) if tensors else np.concatenate(parts)
    expected = SCORER.transfer(joined, Y, keep_samples=True).samples("lr")
    found = SCORER.transfer(iter(parts), Y, keep_samples=True).samples("lr")
    assert type(found) is type(expected) and found.dtype == expected.dtype
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


# what limits each sample by itself, or by the whole
LIMITS: dict[str, dict[str, Any]] = {
    "spread": {"eps_unit": "std"},
    "range": {"clip_values": "range"},
    "bounds": {"clip_values": (0, 1)},
    "a budget each": {"eps": np.linspace(0.0, 0.2, N)[:, None]},
    "a budget each, in spread": {"eps": np.linspace(0.01, 0.2, N)[:, None], "eps_unit": "std"},
    "a budget for each value": {"eps": np.linspace(0.01, 0.2, N * WIDTH).reshape(N, WIDTH)},
    "rules": {"constraints": Constraints(immutable=[0], increasing=[1], decreasing=[2], mask=X > 0.1)},
    "surrogate": {"attack": "surrogate"},
}


@pytest.mark.parametrize(
    ("limits", "room"), [(limits, i % 2 == 1) for i, limits in enumerate(LIMITS)], indirect=["room"]
)
def test_budgets_bounds_and_rules_are_those_of_the_whole(limits: str, room: Path) -> None:
    scorer = TransferScorer(GENERATOR, sources=["lr"], random_state=0).fit(MODELS)
    scorer.generator = AdversarialGenerator(**{**GENERATOR.get_params(), **LIMITS[limits]})
    expected = scorer.transfer(X, Y, keep_samples=True)
    found = scorer.transfer(OnDisk(X), Y, keep_samples=True)
    assert found == expected
    np.testing.assert_array_equal(found.samples("lr"), expected.samples("lr"))


@pytest.mark.parametrize("shape", [(500, 1), (500, 7), (60, 3, 4, 4)])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_spread_and_range_are_numpys_whatever_the_blocks(
    shape: tuple[int, ...], missing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.RandomState(0)
    samples = rng.lognormal(5, 2, size=shape)
    samples[rng.uniform(size=shape) < missing] = np.nan
    few = Reference.of(samples)
    monkeypatch.setattr(_reference, "SCANNED", 64)
    for figures in (few, Reference.of(samples)):
        np.testing.assert_allclose(figures.deviation, np.nanstd(samples, axis=0), rtol=1e-13)
        np.testing.assert_array_equal(figures.low, np.nanmin(samples, axis=0))
        np.testing.assert_array_equal(figures.high, np.nanmax(samples, axis=0))


def test_images_and_a_module_of_torch(room: Path, tmp_path: Path) -> None:
    images = X.reshape(N, 1, 2, 3).astype(np.float32)
    nets = {}
    for C in (0.1, 1.0):
        linear = LogisticRegression(C=C).fit(X[:100], Y[:100])
        net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(WIDTH, 2))
        net[1].weight.data = torch.tensor(np.outer([-0.5, 0.5], linear.coef_), dtype=torch.float32)
        net[1].bias.data = torch.tensor(np.outer([-0.5, 0.5], linear.intercept_)[:, 0], dtype=torch.float32)
        nets[f"net {C}"] = net
    scorer = TransferScorer(GENERATOR, random_state=0).fit(nets)
    expected = scorer.transfer(images, target="least_likely")
    for samples in (mapped(images, tmp_path), OnDisk(images), in_blocks(images)):
        assert scorer.transfer(samples, target="least_likely") == expected


@pytest.mark.usefixtures("quick_processes")
def test_other_processes_read_the_file(room: Path, whole: Any) -> None:
    with parallel_config("loky", n_jobs=2):
        assert SCORER.transfer(in_pairs(X), keep_samples=True) == whole[0]
    assert left_in(room) == []


def test_what_is_kept_in_folders_is_that_of_the_whole(room: Path, whole: Any, tmp_path: Path) -> None:
    scorer = TransferScorer(GENERATOR, memory=tmp_path / "cells", random_state=0).fit(MODELS)
    found = scorer.transfer(in_pairs(X), keep_samples=tmp_path / "samples")
    assert found == whole[0] == scorer.transfer(X, Y)
    found.save(tmp_path / "result.zip")
    again = load_result(tmp_path / "result.zip", samples=tmp_path / "samples").samples("tree")
    np.testing.assert_array_equal(again, whole[0].samples("tree"))


def test_blocks_end_where_chunks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(chunks: Any, block: int = 10 * WIDTH) -> list[tuple[int, int]]:
        monkeypatch.setattr(by_blocks, "_BLOCK", block)
        on_disk = OnDisk(X[:30], chunks=chunks)
        found = blocks_in(on_disk)
        assert found is not None and found.n == 30
        assert sum(len(batch.samples) for batch in found.batches) == 30
        return on_disk.read

    assert ends(None) == [(0, 10), (10, 20), (20, 30)]
    assert ends((4, 6)) == [(0, 8), (8, 16), (16, 24), (24, 30)]
    assert ends((12, 6)) == [(0, 12), (12, 24), (24, 30)]
    assert ends(((5, 5, 3, 17), (6,))) == [(0, 10), (10, 13), (13, 30)]
    assert ends(((30,), (6,))) == [(0, 30)]
    monkeypatch.setattr(by_blocks, "_MOST", 20)
    assert ends((12, 6)) == [(0, 10), (10, 20), (20, 30)]


@pytest.mark.parametrize(
    "samples",
    [
        X,
        X.tolist(),
        pd.DataFrame(X),
        torch.from_numpy(X),
        X[::2, ::-1],
        [X[:3], X[3:6]],
        (X, Y),
        MODELS["lr"],
    ],
)
def test_what_is_in_memory_is_left_as_it_is(samples: Any) -> None:
    assert blocks_in(samples) is None


def test_a_map_of_floats_is_used_as_it_is(tmp_path: Path) -> None:
    assert blocks_in(mapped(X, tmp_path)) is None
    assert blocks_in(mapped(X, tmp_path)[10:20]) is None
    assert blocks_in(mapped(X, tmp_path)[:, 1:]) is not None


def spoiled(value: float) -> Any:
    wrong = X.copy()
    wrong[123, 4] = value
    return wrong


def that_fails(samples: Any) -> Iterator[Any]:
    yield from in_blocks(samples[:100])
    raise RuntimeError("the disk is gone")


CATEGORIES = pd.DataFrame({"a": X[:, 0], "b": ["x", "y"] * (N // 2)})
WRONG: dict[str, tuple[Callable[[], Any], Any, type[Exception], str]] = {
    "widths": (
        lambda: iter([X[:100], X[:50, :5]]),
        Y,
        ValueError,
        r"same shape: \(6,\) in block 0 of X, \(5,\) in block 1 of X; pad or resize",
    ),
    "another width": (lambda: in_blocks(X[:, :5]), Y, ValueError, "X has 5 features, .* expecting 6"),
    "infinite": (lambda: in_blocks(spoiled(np.inf)), Y, ValueError, r"contains infinity, in X\[123, 4\]"),
    "infinite on disk": (lambda: OnDisk(spoiled(-np.inf)), Y, ValueError, r"infinity, in X\[123, 4\]"),
    "missing": (lambda: in_blocks(spoiled(np.nan)), Y, ValueError, r"contains NaN, in X\[\d+, 4\]"),
    "outside": (
        lambda: in_blocks(spoiled(3)),
        Y,
        ValueError,
        r"clip_values=\(0, 1\): X has min 0\..* max 3\.0;",
    ),
    "none": (
        lambda: iter([]),
        None,
        ValueError,
        "holds no samples: .* is empty; an iterator can be read only once",
    ),
    "none on disk": (lambda: OnDisk(X[:0]), None, ValueError, "holds no samples: OnDisk"),
    "empty blocks": (lambda: iter([X[:0]]), None, ValueError, "holds no samples"),
    "unknown length": (
        lambda: OnDisk(X, (float("nan"), WIDTH)),
        Y,
        ValueError,
        r"does not tell its number .*\(nan, 6\); call X.compute_chunk_sizes",
    ),
    "too short": (
        lambda: OnDisk(X, (N + 1, WIDTH)),
        Y,
        ValueError,
        r"X\[120:151\] has 30 samples, which does not match its shape",
    ),
    "labels for some": (
        lambda: iter([(X[:9], Y[:9]), X[9:]]),
        None,
        ValueError,
        "some items of X have a label and others have none",
    ),
    "too few labels": (
        lambda: iter([(X, Y[:9])]),
        None,
        ValueError,
        "block 0 of X has 150 samples and labels for 9",
    ),
    "one label": (lambda: iter([(X, 1)]), None, ValueError, "block 0 of X has 150 samples and labels for 1"),
    "labels twice": (lambda: in_pairs(X), Y, ValueError, "X gives samples with labels, and y is given too"),
    "labels of fewer": (lambda: in_blocks(X), Y[:9], ValueError, r"y must .*\(150,\); got shape \(9,\)"),
    "unknown labels": (
        lambda: iter([(X, Y + 5)]),
        None,
        ValueError,
        "y holds labels that are not among the classes",
    ),
    "three parts": (lambda: iter([(X, Y, Y)]), None, TypeError, "block 0 of X has 3 parts"),
    "texts": (lambda: iter("texts"), Y, TypeError, "must give blocks of samples, .* block 0 of X is 't'"),
    "numbers": (lambda: iter(X[0]), Y, ValueError | TypeError, "must give blocks of samples, .*block 0 of X"),
    "nothing": (lambda: iter([None]), Y, TypeError, "must give blocks of samples, .*block 0 of X is None"),
    "mappings": (lambda: iter([{"x": X}]), Y, TypeError, "must give blocks of samples"),
    "single samples": (
        lambda: iter(X),
        Y,
        ValueError,
        r"block 0 of X has shape \(6,\); a single sample .* x\[None\]",
    ),
    "ragged": (lambda: iter([[[1.0], [1.0, 2.0]]]), Y, ValueError, "block 0 of X is not an array"),
    "categories": (
        lambda: iter([CATEGORIES]),
        Y,
        ValueError,
        r"block 0 of X has columns of categories, \['b'\], .*encode them as numbers",
    ),
    "its own error": (lambda: that_fails(X), Y, RuntimeError, "the disk is gone"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_and_no_file_is_left(what: str, room: Path) -> None:
    make, y, kind, message = WRONG[what]
    generator = AdversarialGenerator(eps=0.1, clip_values=(0, 1))
    scorer = TransferScorer(generator, random_state=0).fit(MODELS)
    kinds = kind if isinstance(kind, type) else kind.__args__
    with pytest.raises(kinds, match=message):
        scorer.transfer(make(), y)
    assert left_in(room) == []


def test_nothing_is_read_where_something_else_is_wrong() -> None:
    on_disk = OnDisk(X)
    scorer = TransferScorer(GENERATOR).fit(MODELS).set_params(condition="none")
    with pytest.raises(ValueError, match="condition"):
        scorer.transfer(on_disk, Y)
    with pytest.raises(NotFittedError):
        TransferScorer(GENERATOR).transfer(on_disk, Y)
    assert on_disk.read == []


class Full:
    """A file on a disk that is full."""

    def write(self, data: Any) -> None:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        pass


@pytest.mark.parametrize("known", [True, False])
def test_a_full_disk_is_said_with_what_to_do(
    known: bool, room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "_HELD", 100)
    if known:
        monkeypatch.setattr(spool.shutil, "disk_usage", lambda folder: SimpleNamespace(free=1000))
    else:
        monkeypatch.setattr(spool, "open", lambda *args: Full(), raising=False)
    with pytest.raises(OSError, match="written to a file in .*JOBLIB_TEMP_FOLDER, or pass a numpy.memmap"):
        SCORER.transfer(OnDisk(X) if known else in_blocks(X), Y)
    assert left_in(room) == []


class Interrupting(DecisionTreeClassifier):
    """Interrupts the call while the samples lie in their file."""

    seen: ClassVar[list[list[str]]] = []
    folder: Path

    def predict(self, X: Any) -> Any:
        self.seen.append(left_in(self.folder))
        raise KeyboardInterrupt


def test_an_interrupt_leaves_no_file(room: Path) -> None:
    model = Interrupting(max_depth=3).fit(X[:100], Y[:100])
    Interrupting.folder, Interrupting.seen = room, []
    with pytest.raises(KeyboardInterrupt):
        TransferScorer(GENERATOR, random_state=0).fit([MODELS["lr"], model]).transfer(in_blocks(X), Y)
    assert Interrupting.seen and left_in(room) == []
    assert bool(Interrupting.seen[0]) == (spool._HELD == 100)


LARGE = 768


def large_blocks(n: int, folder: Path | None = None) -> Iterator[Any]:
    rng = np.random.RandomState(0)
    return (rng.uniform(size=(128, LARGE)).astype(np.float32) for _ in range(n // 128))


def large_map(n: int, folder: Path) -> Any:
    room = np.lib.format.open_memmap(folder / f"{n}.npy", mode="w+", dtype=np.float32, shape=(n, LARGE))
    for i, block in enumerate(large_blocks(n)):
        room[128 * i : 128 * (i + 1)] = block
    return np.load(folder / f"{n}.npy", mmap_mode="r")


# what else is asked for
ASKED: dict[str, Callable[[TransferScorer, Any, Any, Path], Any]] = {
    "transfer": lambda scorer, X, y, folder: scorer.transfer(X, y),
    "target": lambda scorer, X, y, folder: scorer.transfer(X, y, target="least_likely"),
    "kept": lambda scorer, X, y, folder: scorer.transfer(X, y, keep_samples=folder / f"kept{len(y)}"),
    "curve": lambda scorer, X, y, folder: scorer.transfer_curve(X, y, eps=[0.05, 0.1]),
}


@pytest.mark.parametrize(
    ("asked", "make", "limits"),
    [
        ("transfer", large_blocks, {"eps_unit": "std", "clip_values": "range", "eps": 0.5}),
        ("target", large_map, {"constraints": Constraints([0])}),
        ("kept", large_map, {"clip_values": (0, 1)}),
        ("curve", large_blocks, {"clip_values": (0, 1)}),
    ],
)
def test_samples_are_never_held_whole(
    asked: str, make: Any, limits: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 7 and of 28 MB of samples as few are held: some blocks, and what attacks make of them."""
    monkeypatch.setattr(spool, "_HELD", 2**16)
    monkeypatch.setattr(by_blocks, "_BLOCK", 2**16)
    monkeypatch.setattr(_schedule, "_MOST_SAMPLES", 128)
    monkeypatch.setattr(_pool, "_N_KEPT", 64)
    for module in (_limits, _reference):
        monkeypatch.setattr(module, "SCANNED", 2**16)
    few = next(large_blocks(256))
    labels = (few @ np.linspace(-1, 1, LARGE) > 0).astype(int)
    models = {f"C={C}": LogisticRegression(C=C).fit(few, labels) for C in (0.01, 1.0)}
    generator = AdversarialGenerator(attack="fgsm", batch_size=128, **{"eps": 0.1, **limits})
    scorer = TransferScorer(generator, random_state=0).fit(models)
    peaks = []
    for n in (256, 2304, 9216):
        samples, y = make(n, tmp_path), np.arange(n) % 2
        if n > 256:  # which is to import what is needed
            tracemalloc.start()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ModelWarning)  # labels are the first that come to mind
                ASKED[asked](scorer, samples, y, tmp_path)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    of_sample = 4 * LARGE
    assert peaks[2] < 9216 * of_sample / 3
    assert peaks[2] - peaks[1] < (9216 - 2304) * of_sample / 8
