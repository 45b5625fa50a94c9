"""The store: entries are whole or not there, whatever happens to the process, the file or the disk."""

from __future__ import annotations

import errno
import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest

from skhalfway.engine import Store
from skhalfway.engine._store import store_of

KEY, OTHER = "ab" * 20, "cd" * 20
ARRAYS = {
    "a": np.arange(6.0).reshape(2, 3),
    "b": np.array([True, False]),
    "c": np.array(["x", "yz"]),
    "empty": np.empty((3, 0), dtype=np.float32),
    "scalar": np.array(2, dtype=np.int8),
}
VALUES = {"cost": {"seconds": 0.1 + 0.2}, "n": 3, "text": "µ", "none": None}


def files(path: Path) -> list[Path]:
    return sorted(file for file in path.rglob("*") if file.is_file())


def test_what_is_put_is_got(tmp_path):
    store = Store(tmp_path)
    assert store.get(KEY) is None
    store.put(KEY, ARRAYS, VALUES)
    arrays, values = Store(str(tmp_path)).get(KEY)
    assert values == VALUES
    assert arrays.keys() == ARRAYS.keys()
    for name, array in arrays.items():
        assert array.dtype == ARRAYS[name].dtype and array.shape == ARRAYS[name].shape
        np.testing.assert_array_equal(array, ARRAYS[name])
    assert store.get(OTHER) is None


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "other", "longer", "renamed"])
@pytest.mark.parametrize("where", np.linspace(0, 1, 5))
def test_damage_is_noticed_said_and_measured_again(damage, where, tmp_path):
    store = Store(tmp_path)
    store.put(KEY, ARRAYS, VALUES)
    (file,) = files(tmp_path)
    content = bytearray(file.read_bytes())
    at = round(where * (len(content) - 1))
    if damage == "flip":
        content[at] ^= 1
    elif damage == "truncate":
        content = content[:at]
    elif damage == "empty":
        content = bytearray()
    elif damage == "other":
        content = bytearray(b"not a cell")
    elif damage == "longer":
        content += b"x"
    if damage == "renamed":
        place = store._place(OTHER)
        place.parent.mkdir()
        file.rename(place)
        key = OTHER
    else:
        file.write_bytes(content)
        key = KEY
    with pytest.warns(UserWarning, match="is damaged .* so it is measured again"):
        assert store.get(key) is None
    store.put(key, ARRAYS, VALUES)
    assert store.get(key)[1] == VALUES


def test_nothing_is_unpickled(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(TypeError, match="arrays must hold numbers, bools or texts"):
        store.put(KEY, {"a": np.array([print], dtype=object)}, {})
    assert files(tmp_path) == []
    store.put(KEY, ARRAYS, VALUES)
    text = files(tmp_path)[0].read_bytes()
    assert b"numpy" not in text and b"\x80\x04" not in text


def test_many_writers_of_one_entry(tmp_path):
    def write(k):
        store = Store(tmp_path)
        store.put(KEY, {"a": np.full(100_000, 7.0)}, {})
        return store.get(KEY)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(write, range(40)))
    assert all((arrays["a"] == 7.0).all() for arrays, _ in found)
    assert len(files(tmp_path)) == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EDQUOT])
def test_a_disk_that_takes_no_more_is_said_once(number, tmp_path, monkeypatch):
    store = Store(tmp_path)
    store.put(OTHER, ARRAYS, VALUES)
    kept = files(tmp_path)

    def full(self, content):
        with self.open("wb") as file:
            file.write(content[:10])
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.warns(UserWarning, match=f"cannot be written to any more: {os.strerror(number)}") as caught:
        for key in (KEY, "ef" * 20):
            store.put(key, ARRAYS, VALUES)
    assert len(caught) == 1
    assert store.get(KEY) is None and store.get(OTHER) is not None
    assert files(tmp_path) == kept  # nothing is left of the draft


def test_info_and_clear_touch_nothing_else(tmp_path):
    store = Store(tmp_path)
    assert (store.info().n_entries, store.info().n_bytes) == (0, 0)
    other = tmp_path / "mine.txt"
    other.write_text("keep")
    for key in (KEY, OTHER):
        store.put(key, ARRAYS, VALUES)
    (store.path / "ab" / f"{KEY}.1.x.part").write_bytes(b"half")
    info = store.info()
    assert (info.path, info.n_entries, info.n_left_over) == (tmp_path, 2, 1)
    assert info.n_bytes == sum(file.stat().st_size for file in tmp_path.rglob("*.cell"))
    assert str(info) == f"{tmp_path}: 2 entries, {info.n_bytes / 2**20:.1f} MiB, 1 files of interrupted runs"
    assert store.clear() == info
    assert files(tmp_path) == [other]
    store.put(KEY, ARRAYS, VALUES)  # a store that was cleared goes on
    assert store.get(KEY) is not None


def test_parameter_memory(tmp_path):
    assert store_of(None) is store_of(joblib.Memory(None)) is None
    for memory in (tmp_path, str(tmp_path), joblib.Memory(tmp_path, verbose=0)):
        store = store_of(memory)
        assert store is not None and store.info().path == tmp_path
    for wrong in (3, True, object()):
        with pytest.raises(ValueError, match="memory must be None, a folder or a joblib.Memory"):
            store_of(wrong)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be created as a folder"):
        store_of(tmp_path / "file")


def test_values_are_as_json_knows_them(tmp_path):
    store = Store(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.put(KEY, {}, VALUES)
    assert json.dumps(store.get(KEY)[1]) == json.dumps(VALUES)
