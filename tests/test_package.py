"""The package itself: what it exports, and its command line."""

from __future__ import annotations

import matplotlib.image
import pytest

import skhalfway
from skhalfway.__main__ import main


def test_public_names():
    assert set(dir(skhalfway)) == set(skhalfway.__all__)
    for name in skhalfway.__all__:
        assert getattr(skhalfway, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'TransferScore'"):
        skhalfway.TransferScore  # noqa: B018


def test_demo(tmp_path, capsys):
    picture = tmp_path / "matrix.png"
    main(["demo", "--output", str(picture), "--samples", "10"])
    shown = capsys.readouterr()
    names = ["logistic", "linear svm", "rbf svm", "mlp", "skorch net", "torch cnn", "forest", "5-nn"]
    for name in names:
        # a row of the matrix and a sentence about the column
        assert sum(line.startswith(name) for line in shown.out.splitlines()) >= 2
    assert "Mean transfer rate over the 56 pairs of two models: 0." in shown.out
    assert "train: 100%" in shown.err and "attack: 100%" in shown.err
    assert min(matplotlib.image.imread(picture).shape[:2]) > 500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required"),
        (["dance"], "invalid choice"),
        (["demo", "--eps", "much"], "--eps: invalid"),
        (["demo", "--eps", "nan"], "--eps: must be a finite number > 0, got nan"),
        (["demo", "--samples", "9"], "--samples: must be from 10 to 797, got 9"),
        (
            ["demo", "--output", "no_folder/matrix.png"],
            "no_folder/matrix.png cannot be written",
        ),
        (["demo", "--output", "matrix.mp3"], "--output: matrix.mp3 must end in one of"),
        (["demo", "--output", "folder.png"], "folder.png cannot be written"),
    ],
    ids=str,
)
def test_command_line_errors_come_before_training(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    monkeypatch.setattr("skhalfway.__main__.demo", None)
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    printed = capsys.readouterr().err
    assert "usage: python -m skhalfway" in printed and message in printed
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]
