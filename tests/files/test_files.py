"""Models, data and constraints out of files: what was written is read, and nothing in a file is run."""

from __future__ import annotations

import io
import json
import pickle
import sys
import warnings
import zipfile
from functools import partial
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import onnx
import pandas as pd
import pytest
import skops.io
import torch
from numpy.testing import assert_allclose, assert_array_equal
from onnx import TensorProto, helper
from PIL import Image
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from skhalfway import AdversarialGenerator, Constraints, TransferScorer
from skhalfway.files import read_constraints, read_data, read_model
from skhalfway.models import ModelWarning, as_model

RNG = np.random.RandomState(0)
X = RNG.normal(size=(60, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int) + (X[:, 2] > 0.5)
TABLE = pd.DataFrame({"age": [31, 45, 28, 50], "city": ["Graz", "Bonn", None, "Bern"], "ok": [1, 0, 0, 1]})


class Bomb:
    """What touches a file as it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return Path.touch, (self.place,)


@pytest.fixture
def marker(tmp_path):
    """A file that is not there, and must not be afterwards."""
    place = tmp_path / "run"
    yield place
    assert not place.exists()


def refused(read, path, message, error=ValueError, **kwargs):
    """Errors are of one line, and say no folder."""
    with pytest.raises(error, match=message) as caught:
        read(path, **kwargs)
    assert "\n" not in str(caught.value) and str(path.parent) not in str(caught.value)
    assert Path(path).name in str(caught.value) or Path(path).is_dir()


# --- data


def images(folder, *, mode="L", labels=("0", "1", "10"), shape=(2, 3)):
    pixels = RNG.randint(0, 256, size=(6, *shape, *([3] if mode == "RGB" else [])), dtype=np.uint8)
    for i, image in enumerate(pixels):
        place = folder / labels[i // 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{i}.png")
    (folder / labels[0] / ".hidden").touch()
    return pixels


@pytest.mark.parametrize(
    ("name", "target", "write"),
    [
        ("t.csv", "ok", lambda p: TABLE.to_csv(p, index=False)),
        ("t.PARQUET", "ok", lambda p: TABLE.to_parquet(p)),
        ("t.csv", None, lambda p: TABLE.to_csv(p, index=False)),
    ],
)
def test_tables(name, target, write, tmp_path):
    write(tmp_path / name)
    data = read_data(tmp_path / name, target=target)
    kept = TABLE if target is None else TABLE.drop(columns=target)
    pd.testing.assert_frame_equal(data.X, kept, check_dtype=False)
    assert data.names == tuple(kept.columns) and data.image_shape is None
    assert data.y is None if target is None else data.y.tolist() == [1, 0, 0, 1]


def test_arrays(tmp_path):
    pictures = RNG.random_sample((4, 1, 2, 2)).astype(np.float32)
    np.save(tmp_path / "x.npy", pictures)
    np.savez(tmp_path / "xy.npz", X=X, y=Y, other=Y > 0)
    one, two = read_data(tmp_path / "x.npy"), read_data(tmp_path / "xy.npz")
    assert_array_equal(one.X, pictures)
    assert one.X.dtype == np.float32 and one.y is None and one.image_shape == (1, 2, 2) and one.names is None
    assert_array_equal(two.X, X)
    assert_array_equal(two.y, Y)
    assert two.image_shape is None and repr(two) == "Data: 60 samples of 4 columns, 3 classes"
    assert_array_equal(read_data(tmp_path / "xy.npz", target="other").y, Y > 0)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_folders_of_images(mode, tmp_path):
    pixels = images(tmp_path / "test", mode=mode)
    data = read_data(tmp_path / "test")
    wanted = pixels[:, None] if mode == "L" else pixels.transpose(0, 3, 1, 2)
    assert_allclose(data.X, wanted / 255, rtol=1e-6)
    assert data.X.dtype == np.float32 and data.image_shape == wanted.shape[1:]
    assert data.y.tolist() == [0, 0, 1, 1, 10, 10]
    images(tmp_path / "texts", labels=("01", "1", "b"))
    assert read_data(tmp_path / "texts").y.tolist() == ["01", "01", "1", "1", "b", "b"]


def text(content):
    return lambda path: path.write_text(content)


def loose(path):
    images(path)
    (path / "readme.txt").touch()


def broken_image(path):
    images(path)
    (path / "0" / "x.png").write_text("no image")


@pytest.mark.parametrize(
    ("name", "write", "target", "message"),
    [
        ("t.xlsx", text(""), None, "ending '.xlsx'; data must be .* .csv, .parquet, .npy, .npz"),
        ("t", text(""), None, "has no ending"),
        ("t.csv", text(""), None, "cannot be read as CSV: No columns"),
        ("t.csv", text("a,b\n"), None, "has no rows"),
        ("t.csv", text("a,b\n1,2,3\n"), None, "more values than the 2 names"),
        ("t.csv", text("id,b,y\n1,2,0,\n2,3,1,\n"), None, "more values than the 3 names"),
        ("t.csv", text("a,b\n0,2,3\n1,5,6\n"), None, "more values than the 2 names"),
        ("t.csv", text("a,b\n1,2\n1,2,3\n"), None, "cannot be read as CSV: .*Expected 2 fields"),
        ("t.csv", text("a,b,c\n1,2,\n\n  \n1,2\n"), None, "line 5 of t.csv has 2 values, .* 3 names"),
        ("t.csv", text("a;b\n1;2\n"), None, "has one column, 'a;b'; .* by ';', pass sep=';'$"),
        ("t.csv", text("5.1,3.5\n4.9,3.0\n"), None, "has numbers in its first line"),
        ("t.csv", text("a,b,a\n1,2,3\n"), None, "two columns named 'a'"),
        ("t.csv", text(",a\n0,1\n"), None, "column 0 of t.csv has no name"),
        (
            "t.csv",
            text("age,Label\n1,2\n"),
            "label",
            "no column 'label'; it has .'age', 'Label'.; did you mean 'Label'",
        ),
        ("t.csv", text("a,y\n1,2\n2,\n3,1\n"), "y", "no label in 1 row of 3, row 1 the first"),
        ("t.csv", text("a,y\n1,x\n2,x\n"), "y", "column 'y' of t.csv holds one class, 'x'"),
        ("t.csv", text("a,y\n1,.5\n2,.25\n"), "y", "holds no labels: Unknown label type: continuous"),
        ("t.csv", text("y\n1\n2\n"), "y", "has no column but 'y'"),
        ("t.parquet", text("PAR1"), None, "cannot be read as Parquet"),
        ("t.npy", lambda p: np.save(p, X), "y", "holds one array, without the target 'y'"),
        ("t.npy", lambda p: np.save(p, X[0]), None, "Expected 2D array"),
        ("t.npy", lambda p: np.save(p, np.array([["a"]])), None, "must hold numbers"),
        ("t.npy", lambda p: np.save(p, X[:0]), None, "X of t.npy is empty"),
        ("t.npy", text("\x93NUMPY"), None, "cannot be read"),
        ("t.npz", lambda p: np.savez(p, x=X), None, "has no array 'X'; it has .'x'"),
        ("t.npz", lambda p: np.savez(p, X=X, y=Y), "z", "has no array 'z'; it has .'X', 'y'"),
        ("t.npz", lambda p: np.savez(p, X=X, y=Y[1:]), None, "one label per sample"),
        ("f", lambda p: images(p), "y", "leave out the target 'y'"),
        ("f", lambda p: images(p, labels=("0",) * 3), None, "at least two classes, got 1 folder"),
        ("f", loose, None, "'readme.txt' is a file"),
        ("f", broken_image, None, "0/x.png cannot be read as an image"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_data_that_cannot_be_used(name, write, target, message, tmp_path):
    path = tmp_path / name
    write(path)
    refused(read_data, path, message, target=target)


def test_images_of_different_sizes_and_colours(tmp_path):
    for mode, size, other in (("L", (4, 2), "4 x 2 pixels, grey"), ("RGB", (3, 2), "3 x 2 pixels, RGB")):
        images(tmp_path / mode)
        Image.new(mode, size).save(tmp_path / mode / "1" / "9.png")
        with pytest.raises(
            ValueError, match=f"0/0.png has 3 x 2 pixels, grey and 1/9.png has {other}; resize"
        ):
            read_data(tmp_path / mode)
    Image.new("RGBA", (3, 2)).save(tmp_path / "L" / "0" / "0.png")
    with pytest.raises(ValueError, match="0/0.png is an image of Pillow's mode RGBA; save it as"):
        read_data(tmp_path / "L")


# --- pickles in disguise


def zipped(**members):
    """Bytes of a zip archive, as numpy and skops write it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return file.getvalue()


def npy(value):
    file = io.BytesIO()
    np.save(file, np.array([[value]], dtype=object), allow_pickle=True)
    return file.getvalue()


def skops_call(place):
    schema = {
        "__class__": "system",
        "__module__": "posix",
        "__loader__": "FunctionNode",
        "content": f"touch {place}",
        "protocol": skops.io._protocol.PROTOCOL,
    }
    return zipped(schema__json=json.dumps(schema))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.npy", lambda m: pickle.dumps(Bomb(m)), "holds Python objects, which could run any code"),
        ("x.npy", lambda m: npy(Bomb(m)), "holds Python objects"),
        ("x.npz", lambda m: zipped(X__npy=npy(Bomb(m))), "holds Python objects"),
        ("x.npz", lambda m: pickle.dumps(Bomb(m)), "holds Python objects"),
        (
            "m.joblib",
            lambda m: pickle.dumps(Bomb(m)),
            "may run any code while it is loaded, .* trust_pickle=True",
        ),
        ("m.pkl", lambda m: pickle.dumps(Bomb(m)), "convert it to .skops, .onnx, .pt2"),
        ("m.pt", lambda m: pickle.dumps(Bomb(m)), "may run any code"),
        ("m.skops", lambda m: pickle.dumps(Bomb(m)), "cannot be read by skops"),
        ("m.skops", skops_call, "does not trust, .'posix.system'.; .*--trust posix.system"),
        ("m.onnx", lambda m: pickle.dumps(Bomb(m)), "cannot be (read as ONNX|run by onnxruntime)|no input"),
        ("m.pt2", lambda m: pickle.dumps(Bomb(m)), "cannot be read as a network"),
        ("m.h5", lambda m: pickle.dumps(Bomb(m)), "must be a file that ends in one of .skops, .onnx, .pt2"),
    ],
)
def test_pickles_in_disguise_are_not_loaded(name, content, message, tmp_path, marker):
    (tmp_path / name).write_bytes(content(marker))
    refused(read_data if name.startswith("x") else read_model, tmp_path / name, message)


# --- models of scikit-learn


def twice(values):
    return 2 * values


def half(values):
    return values / 2


def same(values):
    return values


def minus(values):
    return -values


def test_skops(tmp_path):
    model = make_pipeline(FunctionTransformer(twice), LogisticRegression()).fit(X, Y)
    path = tmp_path / "m.skops"
    skops.io.dump(model, path)
    (name,) = skops.io.get_untrusted_types(file=path)
    refused(read_model, path, f"holds 1 type .*{name}.*pass trusted= .--trust {name}")
    assert_array_equal(read_model(path, trusted=[name], X=X).predict(X), model.predict(X))
    refused(read_model, path, "X has 3 features", trusted=name, X=X[:, :3])
    skops.io.dump(make_pipeline(*map(FunctionTransformer, (twice, half, same, minus)), model).fit(X, Y), path)
    names = skops.io.get_untrusted_types(file=path)
    assert len(names) == 4
    refused(read_model, path, f"holds 4 types .*{' '.join(f'--trust {name}' for name in names)}")
    skops.io.dump(LinearRegression().fit(X, Y), path)
    refused(read_model, path, "a classifier is needed, got the regressor LinearRegression")
    skops.io.dump(LogisticRegression(), path)
    refused(read_model, path, "this LogisticRegression is not fitted")


@pytest.mark.parametrize("ending", [".joblib", ".pkl", ".pickle"])
def test_trusted_pickles(ending, tmp_path):
    model = LogisticRegression().fit(X, Y)
    path = tmp_path / f"m{ending}"
    if ending == ".joblib":
        joblib.dump(model, path)
    else:
        path.write_bytes((pickle if ending == ".pkl" else cloudpickle).dumps(model))
    assert_array_equal(read_model(path, trust_pickle=True, X=X).predict(X), model.predict(X))
    path.write_bytes(b"cno_such_module\nModel\n.")
    refused(read_model, path, "needs a module .*no_such_module", ImportError, trust_pickle=True)


# --- networks


class Network(nn.Module):
    """As many of the usual layers as there is room for."""

    def __init__(self, last=None):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(), nn.Linear(64, 3),
        )  # fmt: skip
        self.scale = torch.full((3,), 2.0)
        self.last = last

    def forward(self, x):
        z = self.body(x.view(x.shape[0], 1, 8, 8)) * self.scale + torch.tensor(1.0)
        return {"logits": z, "inputs": x} if self.last is None else self.last(z)


class Recurrent(nn.Module):
    """A recurrent layer, and attention."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(8, 8, batch_first=True)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        a, b = self.layer(self.rnn(x.unflatten(1, (8, 8)))[0]).chunk(2, dim=1)
        return self.head(torch.cat([a, b.sigmoid()], dim=1).amax(dim=1)), x.sum()


def exported(network, path, *, n=5, any_number=True):
    shapes = ({0: torch.export.Dim.AUTO},) if any_number else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own, of Python 3.14
        program = torch.export.export(network, (torch.rand(n, 64),), dynamic_shapes=shapes)
        torch.export.save(program, path)
    return path


@pytest.fixture(scope="module")
def pixels():
    return torch.rand(23, 64, generator=torch.Generator().manual_seed(0))


def logits_of(output):
    return (
        output["logits"] if isinstance(output, dict) else output[0] if isinstance(output, tuple) else output
    )


@pytest.mark.parametrize("make", [Network, Recurrent])
def test_exported_networks(make, pixels, tmp_path):
    torch.manual_seed(0)
    network = make().eval()
    read = read_model(exported(network, tmp_path / "n.pt2"), X=pixels.numpy())
    for n in (1, 23):
        wanted, got = network(pixels[:n]), read(pixels[:n])
        assert type(wanted) is type(got) and len(wanted) == len(got)
        torch.testing.assert_close(logits_of(got), logits_of(wanted))
    read = pickle.loads(pickle.dumps(read))  # to other processes
    x = pixels.clone().requires_grad_()
    given = torch.autograd.grad(logits_of(read(x)).square().sum(), x)[0]
    torch.testing.assert_close(given, torch.autograd.grad(logits_of(network(x)).square().sum(), x)[0])


def test_networks_of_one_size_of_batch(pixels, tmp_path):
    network = Network().eval()
    path = exported(network, tmp_path / "n.pt2", any_number=False)
    with pytest.warns(ModelWarning, match="n.pt2 was exported for batches of 5 samples, .* dynamic_shapes"):
        read = read_model(path)
    for n in (1, 5, 12):
        torch.testing.assert_close(read(pixels[:n]), network(pixels[:n]))


def test_exported_networks_are_attacked_as_they_were(pixels, tmp_path):
    torch.manual_seed(0)
    network = Network(nn.Softmax(dim=1)).eval()
    read = read_model(exported(network, tmp_path / "n.pt2"))
    assert as_model(read).has_gradient
    inputs = pixels.numpy()
    labels = as_model(network).predict(inputs)
    generator = AdversarialGenerator(eps=0.1, max_iter=3, random_state=0)
    for model, wanted in ((read, network), (FrozenEstimator(read), network)):
        samples = generator.set_params(estimator=model).fit(inputs, labels).generate(inputs, labels)
        expected = generator.set_params(estimator=wanted).fit(inputs, labels).generate(inputs, labels)
        assert_array_equal(samples, expected)
    model = as_model(read)
    model.predict(inputs)
    assert model.ends_in_probability  # the logits before the softmax are used
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)  # it is not trained
        scorer = TransferScorer(generator.set_params(estimator=None), random_state=0).fit(
            {"file": read, "network": network}
        )
        matrix = scorer.transfer(inputs, labels)
    assert_array_equal(matrix.rates[0], matrix.rates[1])


def changed(path, change):
    """The archive of a network, with parts that ``change`` replaces, adds or takes away."""
    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]
        parts = {name.removeprefix(f"{root}/"): archive.read(name) for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(f"{root}/{name}", content)


def in_json(part, edit, parts):
    document = json.loads(parts[part])
    edit(document)
    parts[part] = json.dumps(document).encode()


def in_graph(edit):
    return lambda marker: partial(in_json, "models/model.json", lambda d: edit(d["graph_module"], marker))


def pickled_weight(marker):
    def change(parts):
        parts["data/weights/weight_0"] = pickle.dumps(Bomb(marker))
        in_json(
            "data/weights/model_weights_config.json",
            lambda d: next(iter(d["config"].values())).update(use_pickle=True),
            parts,
        )

    return change


def pickled_constant(marker):
    def change(parts):
        parts["data/constants/opaque_obj_0"] = pickle.dumps(Bomb(marker))
        meta = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
        in_json("data/constants/model_constants_config.json", lambda d: d["config"].update(x=meta), parts)

    return change


def calls(target):
    return in_graph(lambda module, marker: module["graph"]["nodes"][-1].update(target=target))


def added(name):
    return lambda marker: lambda parts: parts.update({name: pickle.dumps(Bomb(marker))})


def too_far(marker):
    def edit(document):
        next(iter(document["config"].values()))["tensor_meta"]["sizes"][0] = {"as_int": 10**6}

    return partial(in_json, "data/weights/model_weights_config.json", edit)


def without_weights(marker):
    return lambda parts: parts.pop("data/weights/weight_0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (pickled_weight, "'body.0.weight' is a pickled object, which could run any code"),
        (pickled_constant, "'x' is a pickled object"),
        (added("data/weights/model.pt"), "its weights are pickled"),
        (added("data/constants/model.pt"), "its constants are pickled"),
        (added("data/aotinductor/model/model.so"), "holds compiled code"),
        (added("models/other.json"), "holds 2 programs"),
        (
            calls("torch.ops.aten.from_file.default"),
            "operator 'torch.ops.aten.from_file.default', which is not on",
        ),
        (calls("torch.ops.mine.relu.default"), "'torch.ops.mine.relu.default', which is not on the list"),
        (calls("torch.ops.aten.relu.out"), "not on the list"),
        (calls("torch.ops.aten.relu.none"), "which torch .* does not have"),
        (calls("os.system"), "'os.system', which is not on the list"),
        (calls("torch.ops.aten.bernoulli.default"), "not on the list"),
        (too_far, "cannot be read"),
        (without_weights, "weight_0.* is missing"),
        (in_graph(lambda module, marker: module["graph"]["nodes"].pop(0)), "nothing in it has the name"),
        (in_graph(lambda module, marker: module.pop("signature")), "'signature'.* is missing"),
        (
            lambda marker: partial(
                in_json, "models/model.json", lambda d: d["schema_version"].update(major=9)
            ),
            "version 9",
        ),
    ],
)
def test_networks_that_are_not_loaded(change, message, tmp_path, marker, network_file):
    path = tmp_path / "n.pt2"
    path.write_bytes(network_file)
    changed(path, change(marker))
    refused(read_model, path, message)


@pytest.fixture(scope="module")
def network_file(tmp_path_factory):
    return exported(Network().eval(), tmp_path_factory.mktemp("network") / "n.pt2").read_bytes()


def test_code_in_a_network_is_not_run(tmp_path, marker, network_file, pixels):
    """Neither what torch.export.load would unpickle, nor texts that it would make code of."""
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"

    def change(parts):
        parts["data/sample_inputs/model.pt"] = pickle.dumps(Bomb(marker))
        document = json.loads(parts["models/model.json"])
        document["guards_code"] = [code]
        graph = document["graph_module"]["graph"]
        for value in graph["sym_int_values"].values():
            value["as_expr"]["expr_str"] = code
        for node in graph["nodes"]:
            node["metadata"] = {"nn_module_stack": code, "torch_fn": code}
        name = graph["nodes"][-1]["outputs"][0]["as_tensor"]["name"]
        parts["models/model.json"] = json.dumps(document).replace(json.dumps(name), json.dumps(code)).encode()

    path = tmp_path / "n.pt2"
    path.write_bytes(network_file)
    wanted = read_model(path)(pixels)
    changed(path, change)
    torch.testing.assert_close(read_model(path)(pixels), wanted)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return x[:, :3] * self.calls


def of_integers(path):
    network = nn.Sequential(nn.Embedding(4, 3), nn.Flatten())
    torch.export.save(torch.export.export(network, (torch.zeros(2, 4, dtype=torch.long),)), path)


def of_two(path):
    class Sum(nn.Module):
        def forward(self, x, y):
            return x + y

    torch.export.save(torch.export.export(Sum(), (torch.zeros(2, 3), torch.zeros(2, 3))), path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:.*exported for")
@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: exported(Network(), path), "exported in training mode; call eval"),
        (
            lambda path: exported(nn.Sequential(nn.Dropout(), nn.Linear(64, 3)), path),
            "its dropout is on; call eval",
        ),
        (lambda path: exported(Counting(), path), "changes (its own weights or buffers|what it holds)"),
        (of_integers, "its samples must be floats, got torch.int64"),
        (of_two, "one input, a tensor of samples, got 2 inputs"),
        (lambda path: exported(nn.Linear(64, 3), path), "n.pt2 needs samples of shape .64., got .63,."),
    ],
)
def test_networks_that_are_no_classifiers(write, message, tmp_path, pixels):
    write(tmp_path / "n.pt2")
    refused(read_model, tmp_path / "n.pt2", message, X=pixels[:, 1:].numpy())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_trusted_modules(tmp_path, pixels):
    network = nn.Sequential(nn.Linear(64, 3), nn.Dropout()).eval()
    path = tmp_path / "n.pt"
    torch.save(network, path)
    torch.testing.assert_close(read_model(path, trust_pickle=True)(pixels), network(pixels))
    torch.jit.trace(network, pixels).save(path)
    torch.testing.assert_close(read_model(path, trust_pickle=True)(pixels), network(pixels))
    torch.save(network.state_dict(), path)
    refused(read_model, path, "weights or a checkpoint without the network", trust_pickle=True)


# --- ONNX

MODEL = LogisticRegression().fit(X, Y)
NAMES = np.array(["low", "mid", "top"])


def graph_of(nodes, inputs, outputs, path, initializers=()):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value(name, kind, shape) for name, kind, shape in inputs],
        [
            helper.make_value_info(name, kind)
            if isinstance(kind, onnx.TypeProto)
            else value(name, kind, shape)
            for name, kind, shape in outputs
        ],
        list(initializers),
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    path.write_bytes(model.SerializeToString())
    return path


F, INT, TEXT = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING


def linear(path, *, labels=None, zipmap=False, columns=False, transform="SOFTMAX", n=None):
    """A logistic regression, as skl2onnx writes it."""
    labels = [0, 1, 2] if labels is None else list(labels)
    texts = isinstance(labels[0], str)
    kind = "strings" if texts else "ints"
    inputs = [(f"c{i}", F, [n, 1]) for i in range(4)] if columns else [("X", F, [n, 4])]
    joined = [helper.make_node("Concat", [name for name, _, _ in inputs], ["X"], axis=1)] if columns else []
    classifier = helper.make_node(
        "LinearClassifier",
        ["X"],
        ["label", "p"],
        domain="ai.onnx.ml",
        coefficients=MODEL.coef_.ravel().tolist(),
        intercepts=MODEL.intercept_.tolist(),
        multi_class=1,
        post_transform=transform,
        **{f"classlabels_{kind}": labels},
    )
    nodes, outputs = [*joined, classifier], [("label", TEXT if texts else INT, [n]), ("p", F, [n, 3])]
    if zipmap:
        key = {"classlabels_strings" if texts else "classlabels_int64s": labels}
        nodes.append(helper.make_node("ZipMap", ["p"], ["maps"], domain="ai.onnx.ml", **key))
        values = helper.make_tensor_type_proto(F, [])
        of_maps = helper.make_sequence_type_proto(helper.make_map_type_proto(TEXT if texts else INT, values))
        outputs[1] = ("maps", of_maps, None)
    return graph_of(nodes, inputs, outputs, path)


def logits(path, *, last=None, n=None):
    """A linear network: scores alone."""
    nodes = [helper.make_node("Gemm", ["X", "W", "b"], ["z"])]
    if last:
        nodes.append(helper.make_node(last, ["z"], ["p"]))
    weights = [
        helper.make_tensor("W", F, [4, 3], MODEL.coef_.T.ravel()),
        helper.make_tensor("b", F, [3], MODEL.intercept_),
    ]
    return graph_of(nodes, [("X", F, [n, 4])], [("p" if last else "z", F, [n, 3])], path, weights)


@pytest.mark.parametrize(
    ("write", "classes", "gives"),
    [
        (linear, [0, 1, 2], "predict_proba"),
        (partial(linear, labels=NAMES.tolist()), NAMES, "predict_proba"),
        (partial(linear, labels=[7, 3, 5], zipmap=True), [7, 3, 5], "predict_proba"),
        (partial(linear, labels=NAMES.tolist(), zipmap=True, columns=True), NAMES, "predict_proba"),
        (partial(linear, transform="NONE"), [0, 1, 2], "decision_function"),
        (logits, [0, 1, 2], "decision_function"),
        (partial(logits, last="Softmax"), [0, 1, 2], "predict_proba"),
        (partial(logits, last="Softmax", n=7), [0, 1, 2], "predict_proba"),
    ],
)
def test_onnx(write, classes, gives, tmp_path):
    read = read_model(write(tmp_path / "m.onnx"))
    assert read.classes_.tolist() == list(classes)
    assert_array_equal(read.predict(X), np.asarray(classes)[MODEL.predict(X)])
    assert_allclose(getattr(read, gives)(X), getattr(MODEL, gives)(X), atol=1e-5)
    assert hasattr(read, "predict_proba") + hasattr(read, "decision_function") == 1
    model = as_model(pickle.loads(pickle.dumps(read)))
    assert not model.has_gradient
    assert_array_equal(model.predict(X), MODEL.predict(X))
    assert_allclose(model.scores(X), getattr(MODEL, gives)(X), atol=1e-5)


def test_outputs_are_named_where_the_file_does_not_say(pixels, tmp_path):
    names = np.array(["c", "a", "b"])
    path = logits(tmp_path / "m.onnx")
    read = read_model(path, X=X, classes=names)
    assert_array_equal(read.predict(X), names[MODEL.predict(X)])
    network, file = nn.Linear(64, 3), tmp_path / "n.pt2"
    model = as_model(read_model(exported(network, file), classes=names))
    assert_array_equal(names, model.classes_)
    assert_array_equal(model.predict(pixels.numpy()), network(pixels).argmax(dim=1))
    refused(read_model, path, "classes must hold 3 labels, .* got 2", classes=names[:2])
    refused(read_model, file, "3 outputs for 2 classes", X=pixels.numpy(), classes=names[:2])
    with pytest.raises(ValueError, match="must name each label once"):
        read_model(path, classes=["a", "a", "b"])
    with pytest.raises(ValueError, match="two or more labels"):
        read_model(path, classes="abc")
    own = linear(tmp_path / "own.onnx", labels=NAMES.tolist())
    assert read_model(own, classes=NAMES[::-1]).classes_.tolist() == NAMES.tolist()  # its own order
    refused(
        read_model, own, "classes must be the labels that own.onnx holds, .*leave out classes", classes=names
    )


def test_onnx_with_one_column_of_scores(tmp_path):
    binary = LogisticRegression().fit(X, Y > 0)
    weights = [helper.make_tensor("W", F, [4, 1], binary.coef_.ravel())]
    nodes = [helper.make_node("MatMul", ["X", "W"], ["z"]), helper.make_node("Sigmoid", ["z"], ["p"])]
    for n_nodes, name, method in ((2, "p", "predict_proba"), (1, "z", "decision_function")):
        path = tmp_path / f"{name}.onnx"
        graph_of(nodes[:n_nodes], [("X", F, [None, 4])], [(name, F, [None, 1])], path, weights)
        read = read_model(path)
        binary.intercept_[:] = 0
        assert_array_equal(read.predict(X), binary.predict(X))
        assert_allclose(getattr(read, method)(X), getattr(binary, method)(X), atol=1e-6)


def test_onnx_takes_tables_and_images(tmp_path):
    read = read_model(linear(tmp_path / "m.onnx", columns=True))
    table = pd.DataFrame(X, columns=["c0", "c1", "c2", "c3"])
    assert_array_equal(read.predict(table[["c3", "c0", "c1", "c2"]]), MODEL.predict(X))  # by name
    with pytest.raises(ValueError, match="needs the columns .*, but 'c1' is not in"):
        read.predict(table.rename(columns={"c1": "other"}))
    with pytest.raises(ValueError, match="needs 4 columns, .*; got 3"):
        read.predict(X[:, 1:])
    flat = [helper.make_node("Flatten", ["X"], ["z"])]
    path = graph_of(flat, [("X", F, [None, 1, 2, 2])], [("z", F, [None, 4])], tmp_path / "i.onnx")
    read = read_model(path, X=X.reshape(-1, 1, 2, 2))
    assert_array_equal(read.predict(X), X.argmax(axis=1))
    with pytest.raises(ValueError, match="needs samples of shape .1, 2, 2., got .3,."):
        read.predict(X[:, 1:])


def test_onnx_casts_no_values(tmp_path):
    nodes = [helper.make_node("Cast", ["X"], ["z"], to=F)]
    path = graph_of(nodes, [("X", INT, [None, 3])], [("z", F, [None, 3])], tmp_path / "m.onnx")
    read = read_model(path)
    assert read.predict(np.eye(3)).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="needs whole numbers .int64., got 0.5; name the column"):
        read.predict(np.eye(3) / 2)
    with pytest.raises(ValueError, match="needs float32, and 1e[+]300 is too large for it"):
        read_model(logits(path)).predict(np.full((2, 4), 1e300))


def external(location):
    def write(path):
        weights = TensorProto(name="W", data_type=F, dims=[4, 3], data_location=TensorProto.EXTERNAL)
        for key, value in {"location": location, "offset": "0", "length": "48"}.items():
            weights.external_data.add(key=key, value=value)
        nodes = [helper.make_node("MatMul", ["X", "W"], ["z"])]
        return graph_of(nodes, [("X", F, [None, 4])], [("z", F, [None, 3])], path, [weights])

    return write


def test_onnx_with_weights_beside_it(tmp_path):
    MODEL.coef_.T.astype(np.float32).tofile(tmp_path / "w.bin")
    read = read_model(external("w.bin")(tmp_path / "m.onnx"))
    assert_allclose(read.decision_function(X), X @ MODEL.coef_.T, atol=1e-5)


def unlabelled(path):
    nodes = [helper.make_node("ArgMax", ["X"], ["z"], axis=1, keepdims=0)]
    return graph_of(nodes, [("X", F, [None, 4])], [("z", INT, [None])], path)


def two_scores(path):
    nodes = [helper.make_node("Relu", ["X"], ["a"]), helper.make_node("Neg", ["X"], ["b"])]
    return graph_of(nodes, [("X", F, [None, 4])], [("a", F, [None, 4]), ("b", F, [None, 4])], path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (external("../w.bin"), "refers to weights in 'w.bin', outside its own folder"),
        (external("/etc/w.bin"), "refers to weights in 'w.bin', outside its own folder"),
        (external("link.bin"), "refers to weights in 'link.bin', outside its own folder"),
        (external("none.bin"), "refers to weights in 'none.bin', which is missing"),
        (unlabelled, "does not tell which output has which label"),
        (two_scores, "has the outputs .'a', 'b'.; labels, scores of the classes"),
        (linear, "needs samples of shape .4,., got .3,."),
        (text("no graph"), "cannot be read as ONNX"),
    ],
)
def test_onnx_that_cannot_be_used(write, message, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(48))
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    write(folder / "m.onnx")
    refused(read_model, folder / "m.onnx", message, X=X[:, 1:] if write is linear else X)


# --- what is not there


@pytest.mark.parametrize(
    ("name", "library", "read"),
    [
        ("t.parquet", "pyarrow.parquet", read_data),
        ("folder", "PIL.Image", read_data),
        ("m.skops", "skops.io", read_model),
        ("m.onnx", "onnxruntime", read_model),
        ("c.toml", "tomllib" if sys.version_info >= (3, 11) else "tomli", read_constraints),
    ],
)
def test_missing_files_and_libraries(name, library, read, tmp_path, monkeypatch):
    refused(read, tmp_path / name, "does not exist", FileNotFoundError)
    monkeypatch.setitem(sys.modules, library, None)
    images(tmp_path / name) if name == "folder" else (tmp_path / name).touch()
    refused(read, tmp_path / name, "install it: pip install skhalfway.audit.", ImportError)


# --- constraints

RULES = {"immutable": ["sex", 3], "integer": "age", "one_hot": [["a", "b"], [4, 5]], "mask": [[True, 0]]}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.json", json.dumps(RULES)),
        (
            "c.toml",
            'immutable = ["sex", 3]\ninteger = "age"\none_hot = [["a", "b"], [4, 5]]\nmask = [[true, 0]]',
        ),
    ],
)
def test_constraints(name, content, tmp_path):
    (tmp_path / name).write_text(content)
    given = read_constraints(tmp_path / name)
    assert given == RULES and Constraints(**given) == Constraints(**RULES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            '{"imutable": ["a"]}',
            "unknown key 'imutable'; allowed are immutable, .*; did you mean 'immutable'",
        ),
        ('{"eps": 0.1}', "'eps' is a parameter of AdversarialGenerator"),
        ('{"projection": "f"}', "'projection' is a function, which can be given in Python only"),
        ('{"immutable": 1.5}', "immutable must be a list of columns, got 1.5"),
        (
            '{"immutable": ["age", 1.5]}',
            "got .'age', 1.5.; 1.5 is no column: columns are given by name, in quotes",
        ),
        ('{"one_hot": ["a", "b"]}', r"list of groups, .*; for one group, write \[\['a', 'b'\]\]"),
        ('{"one_hot": [["a", true]]}', "True is no column: columns are given by name"),
        ('{"increasing": [true]}', "increasing must be a list of columns, got .True."),
        ('{"one_hot": ["a", "b"]}', "one_hot must be a list of groups"),
        ('{"one_hot": [["a"]]}', "a one_hot group needs at least 2 columns"),
        ('{"mask": [1, "a"]}', "mask must be a list of true and false"),
        ('{"mask": [1, 2]}', "mask must hold True or 1"),
        ('{"integer": [1], "integer": [2]}', "the key 'integer' is repeated"),
        ("[1]", "must hold one object with the keys"),
        ("{", "cannot be read as JSON"),
    ],
)
def test_constraints_that_cannot_be_used(content, message, tmp_path):
    (tmp_path / "c.json").write_text(content)
    refused(read_constraints, tmp_path / "c.json", message)
