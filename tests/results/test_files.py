"""Results in files: what is read back is what was saved, or a clear error."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import os
import zlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from skhalfway import TransferCurve, TransferMatrix, load_result
from skhalfway.models import Finding, ModelCheck
from skhalfway.results import ConfidenceInterval, Provenance, Result
from skhalfway.results._reading import decoded
from skhalfway.results._result import equal
from skhalfway.results._writing import encoded
from skhalfway.transfer import Outcomes, Robustness
from skhalfway.transfer._samples import KeptSamples


def outcomes_of(n_classes=3, index=None, labels=True):
    rng = np.random.RandomState(0)
    clean = rng.randint(n_classes, size=(2, 12))
    return Outcomes(
        ("a", "b"),
        ("a",),
        ("a", "b"),
        np.array([f"c{k}" for k in range(n_classes)]),
        clean[0] if labels else None,
        clean,
        clean,
        clean[:1],
        rng.randint(n_classes, size=(1, 2, 12)),
        index=index,
    )


FINDING = Finding("scale", "warning", "a < b & \u00e4", "do this")
CHECK = ModelCheck("a", 12, 3, np.nan, ConfidenceInterval(np.nan, np.nan), (FINDING,))
ORIGIN = Provenance(
    "f", {"eps": np.inf, "given": [1, 2.5, "x"], "none": None}, seconds=0.1, costs={"a": {"q": 3}}
)
MATRIX = TransferMatrix.of(outcomes_of(), checks={"a": CHECK}, masked=np.array([True]), provenance=ORIGIN)
RESULTS = {
    "matrix": MATRIX,
    "unlabelled": TransferMatrix.of(outcomes_of(labels=False), "all"),
    "named rows": TransferMatrix.of(outcomes_of(index=np.array([f"r{k}" for k in range(12)], dtype=object))),
    "dates": TransferMatrix.of(outcomes_of(index=np.datetime64("2026-01-01") + np.arange(12))),
    "pairs": TransferMatrix.of(
        outcomes_of(index=np.array([*[(k, "x") for k in range(12)], None], dtype=object)[:-1])
    ),
    "by class": MATRIX.by_class(),
    "comparison": MATRIX.compare(MATRIX),
    "curve": TransferCurve([0, 1], (MATRIX, MATRIX), [[1], [2]], provenance=ORIGIN),
    "robustness": Robustness(("a",), np.arange(3), np.arange(3), np.array([[0, 0, 2]])),
    "check": CHECK,
}


@pytest.mark.parametrize("name", RESULTS)
def test_what_is_read_is_what_was_saved(name, tmp_path):
    result, path = RESULTS[name], tmp_path / "result.json"
    result.save(path)
    read = load_result(str(path))
    assert type(read) is type(result) and read == result and repr(read) == repr(result)
    assert read._repr_html_() == result._repr_html_()
    assert equal(read.provenance, result.provenance)
    document = json.loads(path.read_text())
    assert (document["format"], document["version"]) == ("skhalfway result", 1)
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.array([1.0, np.nan]), np.array([1.0, 2.0])),
        (np.array(["2026-01-01", "NaT"], "M8[D]"), np.array(["2026-01-01", "2026-01-02"], "M8[D]")),
        (np.array([1, "NaT"], "m8[s]"), np.array([1, 2], "m8[s]")),
        (np.array([("a", np.nan), 1, None], dtype=object), np.array([("a", 0.0), 1, None], dtype=object)),
        (np.array([1, 2]), np.array([1.0, 2.0])),
        (np.array([1, 2]), np.array([[1, 2]])),
        (np.array([1, 2]), [1, 2]),
        ({"a": np.nan}, {"b": np.nan}),
        ((1, np.nan), (1, np.nan, 2)),
        (float("nan"), 1.0),
        (1, True),
        (ConfidenceInterval(np.nan, 1.0), ConfidenceInterval(np.nan, 2.0)),
    ],
)
def test_values_are_equal_to_themselves_alone(one, other):
    assert equal(one, copy.deepcopy(one)) and not equal(one, other) and not equal(other, one)


def test_of_what_kind_of_number_does_not_matter():
    assert equal(np.array([1, 2], "int8"), np.array([1, 2], "int64"))
    assert equal(MATRIX, replace(MATRIX, provenance=None))


@pytest.mark.parametrize("name", RESULTS)
def test_equal_to_itself_alone(name):
    assert [RESULTS[name] == other for other in RESULTS.values()] == [name == other for other in RESULTS]
    assert RESULTS[name] != 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(RESULTS[name])


def test_a_file_that_exists_is_replaced_at_once(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    MATRIX.save(path)
    before = path.read_text()
    monkeypatch.setattr(
        json, "dump", lambda *args, **kwargs: (_ for _ in ()).throw(OSError(28, "No space left"))
    )
    with pytest.raises(
        ValueError, match=r"result.json cannot be written: No space left; give a file in a folder"
    ):
        RESULTS["check"].save(path)
    assert path.read_text() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_files_have_the_permissions_of_others(tmp_path):
    """A new file those that any new file has; one that is replaced its own."""
    path, plain = tmp_path / "result.json", tmp_path / "plain"
    plain.touch()
    MATRIX.save(path)
    assert path.stat().st_mode == plain.stat().st_mode
    path.chmod(0o640)
    RESULTS["check"].save(path)
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(
        ValueError, match="x.json cannot be written: No such file or directory; give a file in a"
    ):
        MATRIX.save(tmp_path / "missing" / "x.json")
    with pytest.raises(FileNotFoundError):
        load_result(tmp_path / "x.json")
    # permissions do not hold for administrators; that a file is no folder does
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="x.json cannot be written: Not a directory; give a file in a"):
        MATRIX.save(tmp_path / "file" / "x.json")
    with pytest.raises(ValueError, match="cannot be written: Is a directory"):
        MATRIX.save(tmp_path)
    with pytest.raises(ValueError, match="path must name a file to write, got ''"):
        MATRIX.save("")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def document(tmp_path):
    MATRIX.save(tmp_path / "m.json")
    return json.loads((tmp_path / "m.json").read_text())


def signed(document):
    content = json.dumps(document["content"], sort_keys=True, separators=(",", ":"))
    return document | {"sha256": hashlib.sha256(content.encode()).hexdigest()}


def read(document, tmp_path):
    (tmp_path / "r.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return load_result(tmp_path / "r.json")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(document, tmp_path, share):
    text = json.dumps(document, separators=(",", ":"))
    with pytest.raises(ValueError, match="r.json is incomplete or was changed: .*; save it again"):
        read(text[: int(share * len(text))], tmp_path)


@given(place=st.floats(0, 1), digit=st.integers(0, 9))
def test_any_edited_character_is_seen(place, digit, tmp_path_factory):
    path = tmp_path_factory.mktemp("edited") / "m.json"
    MATRIX.save(path)
    text = path.read_text()
    at = min(int(place * len(text)), len(text) - 1)
    edited = text[:at] + str(digit) + text[at + 1 :]
    path.write_text(edited)
    if edited == text:
        assert load_result(path) == MATRIX
        return
    with pytest.raises(ValueError, match="m.json (is|was)"):
        load_result(path)


def packed(dtype, shape, data):
    return {"array": dtype, "shape": shape, "zlib": base64.b64encode(zlib.compress(data)).decode()}


def deep(n):
    content = 1
    for _ in range(n):
        content = [content]
    return content


RECORD = {"record": "ConfidenceInterval", "home": "skhalfway.results", "fields": {"low": 0.0, "high": 1.0}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda d: d | {"version": 2},
            "written by a newer skhalfway, in version 2 .* install a newer skhalfway",
        ),
        (lambda d: d | {"version": "1"}, "its version is '1'"),
        (lambda d: d | {"format": "other"}, "r.json is not a result file; load_result reads files"),
        (lambda d: [1, 2], "r.json is not a result file"),
        (lambda d: "hello", "r.json is not a result file"),
        (lambda d: "", "r.json is not a result file"),
        (lambda d: d | {"sha256": "0"}, "was changed after it was written, so its figures cannot be trusted"),
        (lambda d: signed(d | {"content": RECORD}), "r.json must hold a result, but it holds"),
        (lambda d: signed(d | {"content": 3}), "r.json must hold a result, but it holds 3"),
        (
            lambda d: signed(d | {"content": RECORD | {"home": "os", "record": "system"}}),
            "'os' is not a package of",
        ),
        (
            lambda d: signed(d | {"content": RECORD | {"record": "Path"}}),
            "skhalfway.results has no result 'Path'",
        ),
        (
            lambda d: signed(d | {"content": RECORD | {"home": "skhalfway.missing", "record": "X"}}),
            "No module named",
        ),
        (
            lambda d: signed(d | {"content": RECORD | {"fields": {"lo": 1}}}),
            "unexpected keyword argument 'lo'",
        ),
        (lambda d: signed(d | {"content": {"eval": "1"}}), r"no object with the members \['eval'\]"),
        (lambda d: signed(d | {"content": packed("<f8", [3], b"")}), "has 0 bytes, not 24"),
        (lambda d: signed(d | {"content": packed("|u1", [1], bytes(10**7))}), "has 2 bytes, not 1"),
        (lambda d: signed(d | {"content": packed("|u1", [10**9], b"1")}), "has 1 bytes, not 1000000000"),
        (lambda d: signed(d | {"content": packed("<f8", [10**30], b"")}), "too large"),
        (lambda d: signed(d | {"content": packed("<f8", [-1], b"")}), "cannot be read: .*negative"),
        (lambda d: signed(d | {"content": packed("<f8", [0.5], b"")}), "'float' object cannot be"),
        (lambda d: signed(d | {"content": packed("nonsense", [1], b"")}), "data type 'nonsense'"),
        (lambda d: signed(d | {"content": packed("<f8", [1], bytes(8)) | {"zlib": "?"}}), "cannot be read"),
        (lambda d: signed(d | {"content": packed("<f8", [1], bytes(8)) | {"zlib": "AAAA"}}), "decompressing"),
        (lambda d: signed(d | {"content": {"objects": [1, 2], "shape": [3]}}), "cannot reshape"),
        (lambda d: signed(d | {"content": {"mapping": [[[1], 2]]}}), "unhashable type: 'list'"),
        (lambda d: signed(d | {"content": {"float": "9"}}), "cannot be read: '9'"),
        (
            lambda d: signed(d | {"content": RECORD | {"home": "skhalfway.results; import os"}}),
            "is not a package of skhalfway",
        ),
        # deep enough for the decoder of JSON, and for no more
        (lambda d: signed(d | {"content": deep(900)}), "(cannot be read: maximum recursion|must hold a)"),
        (lambda d: json.dumps(d).replace('"version": 1', f'"version": {"1" * 5000}'), "is incomplete or was"),
        (lambda d: d | {"version": 0}, "its version is 0"),
        (lambda d: {"format": d["format"]}, "was changed: its version is None; save the result again"),
        (lambda d: {"format": d["format"], "version": 1}, "was changed after it was written"),
        (lambda d: "\x00\x01binary", "r.json is not a result file"),
        (
            lambda d: signed(d | {"content": packed("|O", [1], b"12345678")}),
            "arrays of object are not packed",
        ),
    ],
)
def test_files_that_are_refused(document, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read(change(document), tmp_path)


@given(
    arrays.arrays(
        st.sampled_from(
            [np.float64, np.float32, np.int8, np.uint16, np.bool_, np.dtype("U3"), np.dtype(">i4")]
        ),
        arrays.array_shapes(min_side=0),
    )
)
def test_every_array(array):
    back = decoded(json.loads(json.dumps(encoded(array), allow_nan=False)))
    assert equal(np.asarray(back), array) and np.asarray(back).dtype == array.dtype.newbyteorder("=")


SIMPLE = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]))
)
NESTED = st.recursive(
    SIMPLE,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text("abc") | st.integers(), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=50)
@given(NESTED)
def test_every_value(value):
    assert equal(decoded(json.loads(json.dumps(encoded(value), allow_nan=False))), value)


@st.composite
def random_outcomes(draw):
    """Any number of models, classes and samples, none included; labels, goals and names given or not."""
    n, n_classes, n_models = draw(st.integers(0, 5)), draw(st.integers(1, 300)), draw(st.integers(1, 4))
    names = draw(st.lists(st.text(min_size=1), min_size=n_models, max_size=n_models, unique=True))
    sources, targets = (draw(st.lists(st.sampled_from(names), unique=True, min_size=1)) for _ in range(2))

    def answers(*shape):
        return draw(arrays.arrays(np.int64, (*shape, n), elements=st.integers(0, n_classes - 1)))

    classes = draw(
        st.sampled_from(
            [
                np.arange(n_classes),
                np.array([f"\u00e4{k}" for k in range(n_classes)]),
                np.arange(n_classes) / 3,
            ]
        )
    )
    index = draw(
        st.none()
        | arrays.arrays(np.dtype("U3"), n)
        | arrays.arrays(np.dtype("M8[s]"), n)
        | st.lists(st.text() | st.integers() | st.tuples(st.text(), st.floats()), min_size=n, max_size=n).map(
            lambda items: np.fromiter(items, dtype=object, count=n)
        )
    )
    return Outcomes(
        names,
        sources,
        targets,
        classes,
        draw(st.none() | st.just(answers())),
        answers(n_models),
        answers(len(targets)),
        answers(len(sources)),
        answers(len(sources), len(targets)),
        draw(st.none() | st.just(answers(len(sources)))),
        index,
    )


@settings(max_examples=30)
@given(random_outcomes(), st.sampled_from(["both_correct", "source_fooled", "all"]), st.data())
def test_any_matrix(tmp_path_factory, outcomes, condition, data):
    if condition != "all":
        # what a source gets wrong is not attacked
        wrong = outcomes.clean[outcomes.source_places] != outcomes.left
        own = np.where(wrong, -1, outcomes.own)
        outcomes = replace(outcomes, own=own, adversarial=np.where(wrong[:, None], -1, outcomes.adversarial))
    goal = data.draw(st.sampled_from(["other"] if outcomes.goals is None else ["other", "target"]))
    masked = data.draw(st.none() | arrays.arrays(bool, len(outcomes.sources)))
    matrix = TransferMatrix.of(outcomes, condition, goal=goal, masked=masked)
    path = tmp_path_factory.mktemp("any") / "m.json"
    matrix.save(path)
    read = load_result(path)
    assert read == matrix and repr(read) == repr(matrix)
    for name in ("clean", "noise", "own", "adversarial"):
        array = getattr(read.outcomes, name)
        assert array.dtype == getattr(outcomes, name).dtype and not array.flags.writeable
    assert equal(read.outcomes.classes, outcomes.classes) and equal(read.outcomes.index, outcomes.index)


def test_samples_are_not_in_files(tmp_path):
    matrix = TransferMatrix.of(outcomes_of(), kept=KeptSamples({"a": np.full((12, 3), 0.125)}))
    matrix.save(tmp_path / "m.json")
    read = load_result(tmp_path / "m.json")
    assert read == matrix and read.kept is None and matrix.samples("a").shape == (12, 3)
    with pytest.raises(ValueError, match="they were not kept, or only in memory, and files of"):
        read.samples("a")
    with pytest.raises(ValueError, match="measured without a folder for its samples; leave samples out"):
        load_result(tmp_path / "m.json", samples=tmp_path)
    with pytest.raises(TypeError, match="samples must be a folder or None, got 3"):
        load_result(tmp_path / "m.json", samples=3)
    RESULTS["check"].save(tmp_path / "c.json")
    with pytest.raises(ValueError, match="a ModelCheck has no adversarial samples; leave samples out"):
        load_result(tmp_path / "c.json", samples=tmp_path)


def test_what_cannot_be_kept_is_said(tmp_path):
    origin = Provenance("f")
    object.__setattr__(origin, "settings", {"model": object()})
    matrix = TransferMatrix.of(outcomes_of(), provenance=origin)
    with pytest.raises(ValueError, match="a result with object in it cannot be kept in a file"):
        matrix.save(tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_settings_are_plain():
    made = Provenance(
        "f",
        {
            "array": np.arange(3),
            "long": np.zeros(100),
            "type": ModelCheck,
            "function": test_settings_are_plain,
            "model": object(),
            "number": np.float32(0.5),
            "nested": {"a": (1, 2)},
        },
    )
    settings = dict(made.settings)
    assert isinstance(settings.pop("long"), str)
    assert settings == {
        "array": [0, 1, 2],
        "type": "ModelCheck",
        "function": "test_settings_are_plain",
        "model": "object",
        "number": 0.5,
        "nested": {"a": [1, 2]},
    }


def test_every_result_is_known():
    assert {type(result).__name__ for result in RESULTS.values()} <= set(Result._kinds)
