"""Images: as they were written, split as documented, never from a network. Loans: as documented."""

from __future__ import annotations

import gzip
import hashlib
import json
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skhalfway.datasets import load_images, make_loans

# name: (id on OpenML, images of the copy, of them for testing, shape of an image)
COPIES = {
    "mnist": (554, 70, 10, (1, 28, 28)),
    "fashion_mnist": (40996, 70, 10, (1, 28, 28)),
    "cifar10": (40927, 60, 10, (3, 32, 32)),
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def urlopen(request):
        raise URLError(f"no network in a test, asked for {request.full_url}")

    monkeypatch.setattr("sklearn.datasets._openml.urlopen", urlopen)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between retries


def pixels_of(name):
    _, n_images, _, shape = COPIES[name]
    return np.random.RandomState(0).randint(256, size=(n_images, int(np.prod(shape))))


def labels_of(name):
    rows = np.arange(COPIES[name][1])
    # class by class, the last images are of one class
    return rows // 6 if name == "cifar10" else rows % 10


def write_copy(data_home, name, pixels=None, labels=None):
    """A small copy where, and as, scikit-learn keeps what it downloads: 1.6 and later ones read it."""
    data_id = COPIES[name][0]
    pixels = pixels_of(name) if pixels is None else pixels
    labels = labels_of(name) if labels is None else labels
    columns = [f"pixel{i}" for i in range(1, pixels.shape[1] + 1)]
    arff = [f"@RELATION {name}", *(f"@ATTRIBUTE {column} real" for column in columns)]
    arff += ["@ATTRIBUTE class {0,1,2,3,4,5,6,7,8,9}", "@DATA"]
    arff += [
        ",".join([*map(str, row), str(label)]) for row, label in zip(pixels.tolist(), labels, strict=True)
    ]
    data = "\n".join([*arff, ""]).encode()

    def feature(index, column):
        return {
            "index": str(index),
            "name": column,
            "data_type": "nominal" if column == "class" else "numeric",
            "is_target": "true" if column == "class" else "false",
            "is_ignore": "false",
            "is_row_identifier": "false",
            "number_of_missing_values": "0",
        }

    description = {
        "id": str(data_id),
        "name": name,
        "version": "1",
        "description": "a small copy",
        "format": "ARFF",
        "status": "active",
        "file_id": f"1{data_id}",
        "url": f"https://api.openml.org/data/v1/download/2{data_id}/{name}.arff",
        "md5_checksum": hashlib.md5(data).hexdigest(),
    }
    features = [feature(index, column) for index, column in enumerate([*columns, "class"])]
    n_images = {"name": "NumberOfInstances", "value": str(len(pixels))}
    files = {
        f"api/v1/json/data/{data_id}": {"data_set_description": description},
        f"api/v1/json/data/features/{data_id}": {"data_features": {"feature": features}},
        f"api/v1/json/data/qualities/{data_id}": {"data_qualities": {"quality": [n_images]}},
        # scikit-learn 1.6 goes by the file's id, later ones by its address
        f"data/v1/download/1{data_id}": data,
        f"data/v1/download/2{data_id}/{name}.arff": data,
    }
    for path, content in files.items():
        file = data_home / "openml" / "openml.org" / f"{path}.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        file.write_bytes(gzip.compress(content, compresslevel=1))


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    data_home = tmp_path_factory.mktemp("copies")
    for name in COPIES:
        write_copy(data_home, name)
    return data_home


def rows_of(X, name):
    """Which images of the copy these are."""
    pixels = pixels_of(name)
    values = X.reshape(len(X), -1)
    same = (np.rint(255 * values[:, None, :20]) == pixels[:, :20]).all(axis=-1)
    assert (same.sum(axis=1) == 1).all()
    rows = same.argmax(axis=1)
    np.testing.assert_allclose(values, pixels[rows] / 255, rtol=1e-6)
    return rows


def assert_form(split, n_train, n_test, shape):
    X_train, X_test, y_train, y_test = split
    assert X_train.shape == (n_train, *shape) and X_test.shape == (n_test, *shape)
    assert y_train.shape == (n_train,) and y_test.shape == (n_test,)
    for X, y in ((X_train, y_train), (X_test, y_test)):
        assert X.dtype == np.float32 and y.dtype == np.int64
        assert X.flags.c_contiguous and X.min() >= 0 and X.max() <= 1
        assert set(y) <= set(range(10))


@pytest.mark.parametrize("name", COPIES)
def test_copy_is_read_as_it_was_written(name, copies):
    _, n_images, n_test, shape = COPIES[name]
    split = load_images(name, data_home=copies, random_state=0)
    assert_form(split, n_images - n_test, n_test, shape)
    X_train, X_test, y_train, y_test = split
    train, test = rows_of(X_train, name), rows_of(X_test, name)
    assert sorted([*train, *test]) == list(range(n_images))
    np.testing.assert_array_equal(y_train, labels_of(name)[train])
    np.testing.assert_array_equal(y_test, labels_of(name)[test])
    if name == "cifar10":
        np.testing.assert_array_equal(np.bincount(y_test), np.full(10, n_test // 10))
    else:
        np.testing.assert_array_equal(train, np.arange(n_images - n_test))
        np.testing.assert_array_equal(test, np.arange(n_images - n_test, n_images))


def test_colours_are_planes(tmp_path):
    # column 1,024 c + 32 i + j is colour c of the pixel in row i, column j
    channel, row, column = np.unravel_index(np.arange(3072), (3, 32, 32))
    image = 80 * channel + 2 * row + (column == 5)
    write_copy(tmp_path, "cifar10", pixels=np.tile(image, (60, 1)))
    X = load_images("cifar10", data_home=tmp_path)[0][0] * 255
    np.testing.assert_allclose(X[:, 0, 0], [0, 80, 160], atol=1e-4)
    np.testing.assert_allclose(X[1, :, 0], 80 + 2 * np.arange(32), atol=1e-4)
    np.testing.assert_allclose(X[2, 31, 4:7], [222, 223, 222], atol=1e-4)


def test_quoted_labels(tmp_path):
    write_copy(tmp_path, "mnist", labels=[f"'{label}'" for label in labels_of("mnist")])
    np.testing.assert_array_equal(load_images("mnist", data_home=tmp_path)[2], labels_of("mnist")[:60])


@pytest.mark.parametrize(
    "name, train_size, test_size, n_train, n_test",
    [
        ("mnist", 20, None, 20, 10),
        ("mnist", 0.25, 0.55, 15, 6),
        ("fashion_mnist", 60, 10, 60, 10),
        ("cifar10", None, 5, 50, 5),
        ("cifar10", 0.25, 0.55, 12, 6),
    ],
)
def test_subsets(name, train_size, test_size, n_train, n_test, copies):
    split = load_images(name, data_home=copies, train_size=train_size, test_size=test_size, random_state=3)
    assert_form(split, n_train, n_test, COPIES[name][3])
    # of its own part, each image once, each class with its share
    whole = load_images(name, data_home=copies, random_state=3)
    for X, y, part in zip(split[:2], split[2:], whole[:2], strict=True):
        rows = rows_of(X, name)
        assert len(set(rows)) == len(rows) and set(rows) <= set(rows_of(part, name))
        np.testing.assert_array_equal(y, labels_of(name)[rows])
        assert np.ptp(np.bincount(y, minlength=10)) <= (len(y) % 10 > 0)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_random_state(name, copies):
    def rows(random_state, **sizes):
        split = load_images(name, data_home=copies, random_state=random_state, **sizes)
        return [rows_of(X, name).tolist() for X in split[:2]]

    first = rows(0, train_size=30, test_size=5)
    assert rows(np.random.RandomState(0), train_size=30, test_size=5) == first
    # a size draws nothing but its own part
    assert rows(0, test_size=5)[1] == first[1]
    (train, test), (other_train, other_test) = rows(0, train_size=30), rows(1, train_size=30)
    assert train == first[0] != other_train
    assert (sorted(test) == sorted(other_test)) == (name == "mnist")


@pytest.mark.parametrize(
    "sizes, as_split",
    [
        ({}, {"test_size": 0.3}),
        ({"test_size": 100}, {"test_size": 100}),
        ({"train_size": 0.1}, {"train_size": 0.1}),
        ({"train_size": 200, "test_size": 0.25}, {"train_size": 200, "test_size": 0.25}),
    ],
)
def test_digits(sizes, as_split):
    split = load_images("digits", random_state=5, **sizes)
    images, labels = load_digits(return_X_y=True)
    expected = train_test_split(images / 16, labels, stratify=labels, random_state=5, **as_split)
    assert_form(split, len(expected[2]), len(expected[3]), (1, 8, 8))
    for got, want in zip(split, expected, strict=True):
        np.testing.assert_array_equal(got.reshape(want.shape), want)


@pytest.mark.parametrize("name", COPIES)
def test_without_network_or_copy(name, tmp_path):
    with (
        pytest.warns(UserWarning, match="network error"),
        pytest.raises(
            OSError, match=f"^{name} could neither be read from .*openml nor .*no network in a test"
        ) as e,
    ):
        load_images(name, data_home=tmp_path)
    assert f"load_images('{name}') once with a network" in str(e.value)
    assert str(tmp_path / "openml") in str(e.value)
    assert isinstance(e.value.__cause__, URLError)


def changed(value, name="mnist"):
    pixels = pixels_of(name).astype(object)
    pixels[3, 7] = value
    return pixels


@pytest.mark.parametrize(
    "copy, message",
    [
        ({"pixels": pixels_of("mnist")[:, 1:]}, "783 pixels per image, expected 784"),
        ({"pixels": np.tile(pixels_of("mnist"), 4)}, "3136 pixels per image, expected 784"),
        ({"pixels": changed(256)}, "pixels from 0.0 to 256.0, expected 0 to 255"),
        ({"pixels": changed(-1)}, "pixels from -1.0 to 255.0, expected 0 to 255"),
        ({"pixels": changed("?")}, "pixels from nan to nan, expected 0 to 255"),
        ({"pixels": changed(1e30)}, r"pixels from 0.0 to 1.*e\+30, expected 0 to 255"),
        ({"labels": labels_of("mnist") + 1}, r"the labels \['10'\], expected 0 to 9"),
        ({"labels": ["cat", *labels_of("mnist")[1:]]}, r"the labels \['cat'\], expected 0 to 9"),
        ({"labels": ["?", *labels_of("mnist")[1:]]}, r"the labels \['nan'\], expected 0 to 9"),
    ],
)
def test_strange_data(copy, message, tmp_path):
    write_copy(tmp_path, "mnist", **copy)
    with pytest.raises(ValueError, match=rf"^mnist holds {message}; delete .*openml and call") as e:
        load_images("mnist", data_home=tmp_path)
    assert str(tmp_path / "openml") in str(e.value)


@pytest.mark.parametrize(
    "name, parameters, message",
    [
        ("MNIST", {}, r"name must be one of \['digits', 'mnist', 'fashion_mnist', 'cifar10'\], got 'MNIST'"),
        (["mnist"], {}, r"got \['mnist'\]"),
        ("mnist", {"train_size": 0}, "train_size must be an integer >= 1 or a fraction .* got 0"),
        ("mnist", {"train_size": 1.0}, "train_size must be .* got 1.0"),
        ("cifar10", {"test_size": -0.1}, "test_size must be .* got -0.1"),
        ("cifar10", {"test_size": True}, "test_size must be .* got True"),
        ("digits", {"test_size": "many"}, "test_size must be .* got 'many'"),
        ("digits", {"train_size": float("nan")}, "train_size must be .* got nan"),
        ("mnist", {"random_state": "dice"}, "'dice' cannot be used to seed"),
    ],
)
def test_parameters_are_checked_before_anything(name, parameters, message, tmp_path):
    # a copy that is not there would be an OSError
    with pytest.raises(ValueError, match=message):
        load_images(name, data_home=tmp_path / "none", **parameters)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    "sizes, message",
    [
        ({"train_size": 61}, "train_size=61 requests 61 images, but there are 60"),
        ({"test_size": 11}, "test_size=11 requests 11 images, but there are 10"),
        ({"test_size": 0.01}, "test_size=0.01 requests 0 images, but there are 10"),
    ],
)
def test_more_than_there_are(sizes, message, copies):
    with pytest.raises(ValueError, match=message):
        load_images("mnist", data_home=copies, **sizes)


LOANS = [
    "age",
    "income",
    "amount",
    "savings",
    "months_employed",
    "late_payments",
    "cards",
    "employment",
    "purpose",
    "region",
]


@pytest.mark.parametrize(
    "n_samples, default_rate, n_defaults", [(1000, 0.25, 250), (2, 0.5, 1), (301, 0.1, 30)]
)
def test_loans(n_samples, default_rate, n_defaults):
    X, y = make_loans(n_samples, default_rate=default_rate, random_state=0)
    assert list(X) == LOANS and len(X) == n_samples and X.index.is_unique
    pd.testing.assert_index_equal(X.index, y.index)
    assert set(y) == {"paid", "not paid"} and (y == "not paid").sum() == n_defaults
    numbers = [name for name in X if pd.api.types.is_numeric_dtype(X[name])]
    assert numbers == LOANS[:7]
    assert set(X.columns[X.isna().any()]) <= {"savings", "months_employed"}
    # those without a job have no months in it, and only they
    assert ((X["employment"] == "none") == X["months_employed"].isna()).all()


def test_loans_depend_on_what_is_said():
    X, y = make_loans(20000, random_state=0)
    assert 0.09 < X["savings"].isna().mean() < 0.11
    mean = X.select_dtypes("number").assign(ratio=np.log(X["amount"] / X["income"])).groupby(y).mean().T
    spread = X.select_dtypes("number").assign(ratio=np.log(X["amount"] / X["income"])).std()
    gap = (mean["not paid"] - mean["paid"]) / spread
    assert min(gap["ratio"], gap["late_payments"]) > 0.3
    assert max(gap["savings"], gap["months_employed"]) < -0.1
    assert gap[["age", "cards"]].abs().max() < 0.05


def test_loans_of_a_seed():
    X, y = make_loans(50, random_state=3)
    same_X, same_y = make_loans(50, random_state=np.random.RandomState(3))
    pd.testing.assert_frame_equal(X, same_X)
    pd.testing.assert_series_equal(y, same_y)
    assert not X.equals(make_loans(50, random_state=4)[0])


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"n_samples": 1}, "n_samples must be an integer >= 2, got 1"),
        ({"n_samples": 10.0}, "n_samples must be an integer >= 2, got 10.0"),
        ({"default_rate": 1.5}, "default_rate must be .* got 1.5"),
        (
            {"n_samples": 10, "default_rate": 0.01},
            "default_rate=0.01 of 10 loans leaves one class; take more",
        ),
        ({"random_state": "dice"}, "'dice' cannot be used to seed"),
    ],
)
def test_loans_are_checked(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_loans(**parameters)
