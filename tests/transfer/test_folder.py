"""Samples in a folder: found again by a result out of a file, and by no other."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, TransferScorer, load_result
from skhalfway.transfer._folder import MANIFEST, file_names
from skhalfway.transfer._samples import KeptSamples

Y = np.repeat([0, 1, 2], 50)[::4]


@pytest.fixture(scope="module")
def flowers(iris):
    return iris[0][::4]


def scorer_of(X, y=Y, generator=None):
    models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    return TransferScorer(generator or AdversarialGenerator(eps=0.8, max_iter=3), random_state=0).fit(models)


def a_table(X):
    index = pd.MultiIndex.from_product([["a", "b"], range(19)], names=["bank", "loan"])
    return pd.DataFrame(X, columns=[f"x{k}" for k in range(X.shape[1])], index=index)


def same(one, other):
    assert type(one) is type(other)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, check_freq=False)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        np.testing.assert_array_equal(one, other)


CONTAINERS = {
    "array": lambda X: X,
    "small floats": lambda X: X.astype(np.float32),
    "tensor": lambda X: torch.tensor(X.copy()),
    "table": a_table,
    "mixed floats": lambda X: a_table(X).astype({"x1": np.float32, "x2": "Float32"}),
    "numbers as names": lambda X: pd.DataFrame(X),
    "an index without a name": lambda X: pd.DataFrame(X, index=[f"r{k}" for k in range(38)]),
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_samples_come_back(flowers, container, tmp_path):
    X = CONTAINERS[container](flowers)
    if container == "tensor":
        scorer = scorer_of(flowers)
    else:
        scorer = scorer_of(X)
    matrix = scorer.transfer(X, Y, keep_samples=tmp_path / "kept")
    matrix.save(tmp_path / "m.json")
    read = load_result(tmp_path / "m.json")
    assert read == matrix and isinstance(read.kept.arrays["lr"], np.memmap)
    for name in ("lr", "svm"):
        same(read.samples(name), matrix.samples(name))
    # a part of a part, too, and classes
    part, by_class = matrix.subset(np.arange(38)[::-1]).subset([4, 4, 9]), matrix.by_class()
    part.save(tmp_path / "part.json")
    same(load_result(tmp_path / "part.json").samples("svm"), part.samples("svm"))
    same(read.subset([3, 1]).samples("lr"), matrix.subset([3, 1]).samples("lr"))
    by_class.save(tmp_path / "classes.json")
    same(load_result(tmp_path / "classes.json").of(2).samples("lr"), by_class.of(2).samples("lr"))


@pytest.mark.parametrize(
    "kinds",
    [
        pd.Series(["x", "y", "z"] * 20),
        pd.Series(["x", "y", None] * 20),
        pd.Series(["x", "y", "z"] * 20, dtype=pd.CategoricalDtype(["z", "y", "x", "w"], ordered=True)),
        pd.Series([3, 1, 2] * 20, dtype="category"),
        pd.Series([True, False, True] * 20),
        pd.Series(["x", "y", "z"] * 20, dtype="string"),
    ],
    ids=["texts", "missing", "ordered", "numbers", "bools", "strings"],
)
def test_columns_of_categories_come_back(kinds, tmp_path):
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"kind": kinds, "size": rng.normal(size=60), "age": rng.normal(size=60)})
    y = np.where(frame["size"] + frame["age"] > 0, "good", "bad")
    columns = make_column_transformer((OneHotEncoder(), ["kind"]), (StandardScaler(), ["size", "age"]))
    models = {
        name: make_pipeline(columns, model).fit(frame, y)
        for name, model in (("lr", LogisticRegression()), ("svm", SVC()))
    }
    generator = AdversarialGenerator(attack="square", eps=0.4, max_queries=10)
    matrix = (
        TransferScorer(generator, random_state=0).fit(models).transfer(frame, y, keep_samples=tmp_path / "k")
    )
    matrix.save(tmp_path / "m.json")
    read = load_result(tmp_path / "m.json")
    same(read.samples("lr"), matrix.samples("lr"))
    assert models["svm"].predict(read.samples("lr")).shape == (60,)


def test_a_result_knows_its_own_folder(flowers, tmp_path, monkeypatch):
    scorer = scorer_of(flowers)
    first = scorer.transfer(flowers, Y, keep_samples=tmp_path / "a" / "kept")
    # the same answers of other samples: the last digits of one feature
    other = scorer.transfer(flowers + 1e-12, Y, keep_samples=str(tmp_path / "b" / "kept"))
    assert other == first
    file = tmp_path / "a" / "m.json"
    first.save(file)
    assert '"folder":"kept"' in file.read_text()
    samples = first.samples("lr").copy()
    # it moves with the file, wherever one works
    shutil.move(tmp_path / "a", tmp_path / "c")
    monkeypatch.chdir(tmp_path / "b")
    file = tmp_path / "c" / "m.json"
    np.testing.assert_array_equal(load_result(file).samples("lr"), samples)
    if os.name == "posix":  # what is mapped stays, whatever becomes of its folder
        shutil.copytree(tmp_path / "b" / "kept", tmp_path / "a" / "kept")
        np.testing.assert_array_equal(first.samples("lr"), samples)
        assert (first.samples("lr") != other.samples("lr")).any()
    # alone it does not find them
    shutil.move(tmp_path / "c" / "kept", tmp_path / "there")
    lost = load_result(file)
    with pytest.raises(ValueError, match=r"in the folder 'kept', .* was not found.*samples=folder"):
        lost.samples("lr")
    lost.save(tmp_path / "again.json")
    for path in (file, tmp_path / "again.json"):
        found = load_result(path, samples=tmp_path / "there").samples("lr")
        np.testing.assert_array_equal(found, samples)
    with pytest.raises(ValueError, match="holds the samples of another result; give the folder that was"):
        load_result(file, samples="kept")
    with pytest.raises(ValueError, match=f"holds no kept samples: there is no {MANIFEST} in it"):
        load_result(file, samples=tmp_path)
    # another folder of that name, where it was
    shutil.copytree(tmp_path / "b" / "kept", tmp_path / "c" / "kept")
    with pytest.raises(ValueError, match="or holds other samples"):
        load_result(file).samples("lr")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda manifest, folder: "{", "cannot be read"),
        (lambda manifest, folder: {}, "does not describe kept samples"),
        (lambda manifest, folder: {**manifest, "version": 2}, "has version 2, and this skhalfway reads"),
        (
            lambda manifest, folder: {**manifest, "dtype": "<f4"},
            "incomplete or were changed: lr.npy has float64",
        ),
        (lambda manifest, folder: {**manifest, "files": {"../lr.npy": "lr"}}, "is not the name of a file"),
        (lambda manifest, folder: {**manifest, "container": None}, "does not describe the type of its"),
        (lambda manifest, folder: {**manifest, "container": {"kind": "DataFrame"}}, "does not describe the"),
        (lambda manifest, folder: (folder / "svm.npy").unlink(), "incomplete or were changed"),
        (
            lambda manifest, folder: (folder / "svm.npy").write_bytes(b"\x93NUMPY"),
            "incomplete or were changed",
        ),
    ],
)
def test_a_folder_that_was_changed(flowers, change, message, tmp_path):
    folder = tmp_path / "kept"
    matrix = scorer_of(flowers).transfer(flowers, Y, keep_samples=folder)
    matrix.save(tmp_path / "m.json")
    changed = change(json.loads((folder / MANIFEST).read_text()), folder)
    if isinstance(changed, (dict, str)):
        (folder / MANIFEST).write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(ValueError, match=message):
        load_result(tmp_path / "m.json", samples=folder)
    with pytest.raises(ValueError, match="which was not found"):
        load_result(tmp_path / "m.json").samples("lr")


@pytest.mark.parametrize(
    ("sources", "files"),
    [
        (["mlp", "cnn-2"], ["mlp", "cnn-2"]),
        (["a/b", "..", ".hidden", ""], ["source_0", "source_1", "source_2", "source_3"]),
        (["Net", "net", "tree"], ["source_0", "source_1", "tree"]),
        (["con", "source_1", "lpt1.x", "x" * 90], ["source_0", "source_1", "source_2", "source_3"]),
        (["source_1", "\u00e4"], ["source_0", "source_1"]),
        (["my net", "net:2"], ["source_0", "source_1"]),
    ],
)
def test_files_are_named_after_sources(sources, files):
    assert file_names(sources) == tuple(f"{name}.npy" for name in files)


def test_a_folder_is_for_one_result(flowers, tmp_path):
    scorer = scorer_of(flowers)
    scorer.transfer(flowers, Y, keep_samples=tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["lr.npy", MANIFEST, "svm.npy"]
    manifest = json.loads((tmp_path / MANIFEST).read_text())
    assert manifest["files"] == {"lr.npy": "lr", "svm.npy": "svm"}
    assert (manifest["shape"], manifest["dtype"]) == ([38, 4], "<f8")
    one = TransferScorer(scorer.generator, sources=["lr"], targets=["svm"]).fit(scorer.models_)
    message = (
        "holds the samples of another result, which reads them from there; give another folder, or delete"
    )
    for leave in (MANIFEST, "lr.npy"):
        with pytest.raises(ValueError, match=message):
            one.transfer(flowers, Y, keep_samples=tmp_path)
        for file in tmp_path.iterdir():
            if file.name != leave or leave == "lr.npy":
                file.unlink()
        if leave == MANIFEST:
            (tmp_path / MANIFEST).rename(tmp_path / "lr.npy")  # as an interrupted run leaves it
    one.transfer(flowers, Y, keep_samples=tmp_path)


def test_what_is_apart_is_named_alone(flowers, tmp_path):
    """No way through folders of the machine is written into a file that others may read."""
    kept = scorer_of(flowers).transfer(flowers, Y, keep_samples=tmp_path / "kept").kept
    assert kept.seen_from(tmp_path / "results").folder == "../kept"
    assert kept.seen_from(tmp_path).folder == "kept"
    assert kept.seen_from(Path("/elsewhere")).folder == "kept"


def test_the_name_of_a_folder_is_a_text():
    with pytest.raises(TypeError, match="folder and fingerprint must be texts, got 5"):
        KeptSamples(folder=5)
