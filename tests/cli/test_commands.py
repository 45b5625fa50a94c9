"""The commands beside audit: check, compare, demo, cache, and what holds for all."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from onnx import TensorProto, helper

import skhalfway
from skhalfway.cli import _check, _compare
from skhalfway.cli._inputs import labels_like
from skhalfway.cli._main import COMMANDS, make_parser
from skhalfway.engine import Store
from skhalfway.report import compare_reports
from tests.cli.conftest import DATA, run


def test_nothing_heavy_before_arguments_are_parsed():
    heavy = "{'numpy', 'pandas', 'sklearn', 'torch', 'matplotlib'}"
    code = f"import sys, skhalfway.cli; print({heavy} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out == "set()\n"


@pytest.mark.parametrize("command", [name.__name__.rpartition("._")[2] for name in COMMANDS])
def test_help_has_an_example(command, capsys):
    assert run(command, "--help") == 0
    assert f"examples:\n  skhalfway {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required"),
        (["dance"], "invalid choice"),
        (["demo", "--eps", "much"], "--eps: must be a finite number > 0, got much"),
        (["demo", "--eps", "0"], "--eps: must be a finite number > 0, got 0"),
        (["demo", "--samples", "9"], "--samples: must be an integer, from 10 to 797, got 9"),
        (["demo", "--output", "no_folder/matrix.png"], "no_folder/matrix.png cannot be written"),
        (["demo", "--output", "matrix.mp3"], "--output: matrix.mp3 must end in one of"),
        (["demo", "--output", "folder.png"], "folder.png cannot be written: it is a folder"),
        (["cache"], "required"),
        (["cache", "info", "nowhere"], "nowhere is not a cache folder; give the folder that was --memory"),
        (["cache", "clear", "folder.png"], "folder.png is not a cache folder"),
        (["compare", "a.json", "b.json"], "a.json does not exist"),
        (["compare", "text.json", "text.json"], "text.json"),
        (["compare", "folder.png", "text.json"], "Is a directory"),
        (["check", "--model", "text.json", "--data", "text.json"], "has the ending '.json'"),
    ],
    ids=str,
)
def test_errors_come_before_work(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "text.json").write_text("text")
    monkeypatch.setattr("skhalfway.cli._demo.demo", None)
    assert run(*arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.png", "text.json"]


def test_demo(tmp_path, capsys):
    picture = tmp_path / "matrix.png"
    assert run("demo", "--output", str(picture), "--samples", "10") == 0
    shown = capsys.readouterr()
    names = ["logistic", "linear svm", "rbf svm", "mlp", "skorch net", "torch cnn", "forest", "5-nn"]
    for name in names:
        # a row of the matrix and a sentence about the column
        assert sum(line.startswith(name) for line in shown.out.splitlines()) >= 2
    assert "Mean transfer rate over the 56 pairs of two models: ." in shown.out
    assert "train: 100%" in shown.err and "attack: 100%" in shown.err
    assert min(matplotlib.image.imread(picture).shape[:2]) > 500


def test_cache(tmp_path, capsys):
    store, other = Store(tmp_path), tmp_path / "other"
    other.touch()
    store.put("ab" * 20, {"a": np.arange(3)}, {})
    assert run("cache", "info", str(tmp_path)) == 0
    assert capsys.readouterr().out == f"{tmp_path}: 1 entries, 0.0 MiB\n"
    assert run("cache", "clear", str(tmp_path)) == 0
    assert capsys.readouterr().out == f"deleted {tmp_path}: 1 entries, 0.0 MiB\n"
    assert [*tmp_path.iterdir()] == [other]
    assert run("--version") == 0
    assert capsys.readouterr().out == f"skhalfway {skhalfway.__version__}\n"


@pytest.mark.parametrize("page", ["README.md", "doc/continuous_integration.rst"])
def test_commands_of_the_documentation_parse(page, tmp_path, monkeypatch):
    text = (Path(__file__).parents[2] / page).read_text("utf-8")
    text = re.sub(r"\\?\n\s+(?=--)", " ", text)  # a command in several lines
    commands = [
        shlex.split(line)[1:]
        for line in re.findall(r"^(?:\s*\$|\s) *(skhalfway [a-z]+ .*)$", text, re.MULTILINE)
    ]
    commands = [words for words in commands if words[0] in ("audit", "check", "compare", "cache")]
    assert commands
    monkeypatch.chdir(tmp_path)
    for words in commands:
        for word in words:
            if re.fullmatch(r"\S+\.(skops|pt2|csv|toml|json)", word):
                Path(word.partition("=")[2] or word).touch()
            elif re.fullmatch(r"images/\w+", word):
                Path(word).mkdir(parents=True)
        assert callable(make_parser().parse_args(words).run), words


def test_check(here, capsys):
    models = ["--model", "deployed.skops", "--model", "b=second.skops"]
    assert run("check", *models, *DATA) == 0
    shown = capsys.readouterr()
    assert shown.err == "" and shown.out.count("nothing found") == 2
    assert shown.out.startswith("ModelCheck of 'deployed': 120 samples, 2 classes") and "'b'" in shown.out
    assert run("check", *models, "--data", "wrong.csv", "--target", "label") == 1
    shown = capsys.readouterr()
    assert shown.out.count("warning") >= 1
    assert shown.err.startswith("python -m skhalfway check: failed: deployed: accuracy is ")
    assert shown.err.count("\n") == 1


def test_check_asks_for_the_labels_of_a_network(here, capsys, tmp_path):
    """And goes by those that are given."""
    weights = [helper.make_tensor("W", TensorProto.FLOAT, [3, 2], [-1, 1, -1, 1, 0, 0])]
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, n]) for name, n in (("x", 3), ("z", 2))
    ]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["z"])], "g", shapes[:1], shapes[1:], weights
    )
    opsets = [helper.make_opsetid("", 17)]
    path = tmp_path / "net.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())
    assert run("check", "--model", str(path), *DATA) == 2
    assert "give them in their order: --classes LABEL LABEL ...\n" in capsys.readouterr().err
    assert run("check", "--model", str(path), *DATA, "--classes", "no", "yes") == 0
    assert "nothing found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("texts", "y", "labels"),
    [
        (["b", "a"], np.array(["a", "b"]), ["b", "a"]),
        (["2", "0", "1"], np.array([0, 1, 0]), [2, 0, 1]),
        (["True", "False"], np.array([False, True]), [True, False]),
        (["1.5", "2"], np.array([1.5, 2.0]), [1.5, 2.0]),
    ],
)
def test_labels_of_a_command_have_the_type_of_those_of_the_data(texts, y, labels):
    found = labels_like(texts, y)
    assert found == labels and list(map(type, found)) == list(map(type, labels))
    if y.dtype.kind != "U":
        with pytest.raises(ValueError, match="--classes must be written like the labels of the data, .* got"):
            labels_like(["one", "two"], y)


def test_check_says_what_was_warned_of(here, monkeypatch, capsys):
    read = _check.read_models

    def warned(*args):
        import warnings

        warnings.warn("made with another version", UserWarning, stacklevel=1)
        return read(*args)

    monkeypatch.setattr(_check, "read_models", warned)
    assert run("check", "--model", "deployed.skops", *DATA) == 0
    assert "warning: made with another version" in capsys.readouterr().out


def test_compare(report, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    report.save("a.json")
    report.save("b.json")
    assert run("compare", "a.json", "b.json", "--out", "c.html", "--markdown", "c.md") == 0
    shown = capsys.readouterr()
    assert shown.err == "" and shown.out.endswith("report: c.html\nreport: c.md\n")
    assert (tmp_path / "c.html").stat().st_size and (tmp_path / "c.md").stat().st_size
    report.curve.matrices[-1].save("matrix.json")
    assert run("compare", "a.json", "matrix.json") == 2
    assert (
        "matrix.json must be a report of audit --json, but it holds TransferMatrix" in capsys.readouterr().err
    )


def test_names_that_the_terminal_cannot_write_are_escaped(report, tmp_path, monkeypatch):
    names = {name: f"{name} \u03c0\udcff" for name in report.curve.names}
    raw = BytesIO()
    stream = TextIOWrapper(raw, encoding="ascii")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_compare, "_read", lambda path: report)
    monkeypatch.setattr("skhalfway.report.AuditComparison.__str__", lambda self: names["deployed"])
    monkeypatch.setattr(sys, "stdout", stream)
    report.save("a.json")
    assert run("compare", "a.json", "a.json") == 0
    stream.flush()
    assert raw.getvalue().split(b"\n")[0] == b"deployed \\u03c0\\udcff"
    assert stream.errors == "strict"


@pytest.mark.parametrize(
    ("difference", "doubts", "status"),
    [(0.3, (), 1), (0.0, (), 0), (-0.3, (), 0), (0.0, ("gradients may be masked",), 1)],
    ids=["worse", "same", "better", "in doubt"],
)
def test_compare_with_a_baseline(difference, doubts, status, report, tmp_path, monkeypatch, capsys):
    same = compare_reports(report, report)
    threats = tuple(replace(one, difference=difference, p=0.01) for one in same.threats)
    changed = replace(same, threats=threats, doubts=doubts)
    monkeypatch.setattr("skhalfway.report.compare_reports", lambda before, after: changed)
    monkeypatch.chdir(tmp_path)
    report.save("a.json")
    assert run("compare", "a.json", "a.json") == 0
    assert capsys.readouterr().err == ""
    assert run("compare", "a.json", "a.json", "--fail-worse") == status
    line = "python -m skhalfway compare: failed: " + "; ".join([changed.headline, *doubts]) + "\n"
    assert capsys.readouterr().err == line * status
