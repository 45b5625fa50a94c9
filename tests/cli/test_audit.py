"""skhalfway audit: what is refused, what is written and said, and with which status it ends."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from skhalfway import load_result
from skhalfway.cli import _auditing
from skhalfway.cli._audit import PARTS
from skhalfway.report._words import PARTS as ALL_PARTS
from tests.cli.conftest import BOTH, DATA, FAST, run

ONE = ["--model", "deployed.skops"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*ONE, "--data", "nowhere.csv"], "nowhere.csv does not exist"),
        ([*ONE, "--data", "broken.parquet", "--target", "label"], "broken.parquet cannot be read as Parquet"),
        ([*ONE, "--data", "test.csv", "--target", "labels"], "no column 'labels'; .* did you mean 'label'"),
        ([*ONE, "--data", "test.csv"], "test.csv needs true labels: .* --target"),
        ([*ONE, "--data", "one.csv", "--target", "label"], "holds one class, 'yes'"),
        (["--model", "nowhere.skops", *DATA], "nowhere.skops does not exist"),
        (["--model", "broken.skops", *DATA], "broken.skops cannot be read by skops"),
        (["--model", "model.txt", *DATA], "model.txt has the ending '.txt'; .* .skops, .onnx, .pt2"),
        (["--model", "own.skops", *DATA], "'posixpath.join'.* add --trust posixpath.join$"),
        (["--model", "pickle.pkl", *DATA], "pickle.pkl may run any code .* add --trust-pickle"),
        (["--model", "wide.skops", *DATA], "wide.skops: X lacks column 'more', which the model was"),
        ([*BOTH, "--model", "words.skops", *DATA, *FAST], "model 'words'.* classes|labels"),
        ([*BOTH, "--model", "other=words.skops", *DATA], "two models have the name 'other'"),
        ([*BOTH, "--data", "unknown.csv", "--target", "label", *FAST], "labels that .*'maybe'|'maybe'"),
        (
            [*BOTH, "--data", "wrong.csv", "--target", "label", *FAST],
            "none of the 120 samples correctly, .* nothing",
        ),
        ([*BOTH, *DATA, "--deployed", "another"], "one of the models deployed, other, got 'another'"),
        ([*ONE, *DATA, "--reference", "renamed.csv"], r"it lacks \['debt'\]; it also has \['depth'\]"),
        ([*ONE, *DATA, "--constraints", "constraints.toml"], "constraints.toml: .* unknown column 'height'"),
        ([*ONE, *DATA, "--no-surrogates"], "leaves no source of transfer"),
        ([*ONE, *DATA, "--eps", "0.2", "0.1"], "--eps: budgets must increase"),
        ([*ONE, *DATA, "--eps", "nan"], "--eps: must be a finite number > 0, got nan"),
        ([*ONE, *DATA, "--clip-values", "1", "0"], "--clip-values: must be .*; got 1 0"),
        ([*ONE, *DATA, "--attack", "pdg"], "unknown attack 'pdg'; .* did you mean 'pgd'"),
        ([*ONE, *DATA, "--surrogate-share", "0"], "--surrogate-share: must be > 0 and at most 1"),
        ([*ONE, *DATA, "--samples", "1"], "--samples: must be an integer, at least 2"),
        ([*ONE, *DATA, "--jobs", "0"], "--jobs: must be -1 for all processors, or at least 1"),
        ([*ONE, *DATA, "--parts", "all", "columns"], "--parts: 'all' and 'none' cannot be combined"),
        ([*ONE, *DATA, "--out", "no_folder/report.html"], "there is no folder no_folder; create it first"),
        ([*ONE, *DATA, "--out", "report.pdf"], "--out: report.pdf must end in .html or .htm"),
        ([*ONE, *DATA, "--memory", "test.csv"], "--memory: test.csv is not a folder"),
        ([*ONE, *DATA, "--fail-above", "rate=30"], "a share from 0 to 1, such as 0.3 for 30 %, got 30"),
        ([*ONE, *DATA, "--fail-above", "rat=0.3"], "must be one of rate, .* got 'rat'"),
        (
            [*ONE, *DATA, "--fail-above", "kind:transfers"],
            "must be one of transfer, .* got 'transfers'",
        ),
        ([*ONE, *DATA, "--fail-above", "other_rate=0.3"], "give a second --model"),
        ([*ONE, *DATA, "--accept-doubts"], "--accept-doubts has an effect on limits only"),
        ([*ONE, *DATA, "--dta", "test.csv"], "unrecognized arguments: --dta test.csv"),
    ],
    ids=lambda value: " ".join(value)[-60:] if isinstance(value, list) else "",
)
def test_bad_input_is_one_line(arguments, message, here, capsys):
    there = sorted(here.iterdir())
    assert run("audit", *arguments, "--json", "bad.json", "--quiet") == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1
    assert re.search(f": error: .*({message})", shown.err), shown.err
    assert str(here) not in shown.err
    assert sorted(here.iterdir()) == there  # no report, nothing half written, no code run


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ('immutable = ["incme"]', "unknown column 'incme'; X has .*; did you mean 'income'"),
        ('immutable = ["label"]', "unknown column 'label'; .*; label is the target, which models do not see"),
        (
            'integer = ["debt"]',
            r"column 'debt' is in constraints.integer, but holds -?\d.* in row 0; .* whole",
        ),
        ('one_hot = [["age", "debt"]]', r"not every row has one 1 and 0 elsewhere: row 0 has \["),
        ("mask = [true, false]", "constraints.mask must have one for each feature"),
    ],
)
def test_errors_about_constraints_name_the_file_and_the_column(rules, message, here, tmp_path, capsys):
    file = tmp_path / "rules.toml"
    file.write_text(rules)
    assert run("audit", *ONE, *DATA, "--constraints", str(file), "--quiet") == 2
    assert re.search(f": error: rules.toml: .*{message}", capsys.readouterr().err)


def test_two_outputs_in_one_file(here, capsys):
    (here / "kept.toml").write_text("")
    assert run("audit", *ONE, *DATA, "--constraints", "data.json", "--json", "data.json") == 2
    (here / "data.json").write_text("{}")
    assert run("audit", *ONE, *DATA, "--constraints", "data.json", "--json", "./data.json") == 2
    assert "data.json is named twice" in capsys.readouterr().err
    (here / "data.json").unlink()
    (here / "kept.toml").unlink()


def test_real_runs(here, tmp_path):
    """As a shell runs it: one run that passes, one that does not."""
    begin = [sys.executable, "-m", "skhalfway", "audit", *BOTH, *DATA, *FAST]
    place = os.path.relpath(tmp_path, here)
    wants = ["--out", f"{place}/r.html", "--markdown", f"{place}/r.md", "--fail-above", "rate=1"]
    limits = ["--fail-above", "0", "kind:transfer", "--quiet"]
    started = [
        subprocess.Popen([*begin, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for more in (wants, limits)
    ]
    (out, err), (quiet, failed) = (each.communicate(timeout=300) for each in started)
    assert started[0].returncode == 0, err
    assert re.match(r"deployed: Exposed\n  An attacker who has one of the other models fools it on ", out)
    assert out.endswith(f"report: {place}/r.html\nreport: {place}/r.md\n")
    assert "attack: 100%" in err and "error" not in err and "Warning" not in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "r.md"]
    text = (tmp_path / "r.html").read_text("utf-8") + (tmp_path / "r.md").read_text("utf-8")
    assert "skhalfway audit --model deployed.skops --model other=second.skops" in text
    assert str(here) not in text and str(tmp_path) not in text
    assert started[1].returncode == 1 and quiet == ""
    assert re.fullmatch(r"python -m skhalfway audit: failed: rate 0\.\d+ is above 0; finding: .*\n", failed)


def test_a_label_that_is_left_in_the_data_fails_the_run(tmp_path, capsys, monkeypatch):
    """The target is taken out of the table, and the same label under another name is not."""
    rng = np.random.RandomState(0)
    failed = rng.uniform(size=160) < 0.4
    table = pd.DataFrame({"load": rng.gamma(2, 3, 160), "failed": failed.astype(int)})
    table["outcome"] = np.where(failed, "down", "up")
    model = LogisticRegression().fit(table[["load", "failed"]], table["outcome"])
    skops.io.dump(model, tmp_path / "leaky.skops")
    monkeypatch.chdir(tmp_path)
    table.to_csv("pumps.csv", index=False)
    again = ["--model", "again=leaky.skops", "--no-surrogates", "--out", "report.html"]
    asked = [
        "audit",
        "--model",
        "leaky.skops",
        "--data",
        "pumps.csv",
        "--target",
        "outcome",
        *again,
        *FAST[2:],
    ]
    assert run(*asked, "--eps", "0.2", "--fail-above", "0.9") == 1
    shown = capsys.readouterr()
    assert "leaky: Not known" in shown.out and "column failed alone gives the label away" in shown.out
    assert "column failed alone gives the label away" in shown.err
    page = Path("report.html").read_text("utf-8")
    assert (
        "--constraints constraints.toml, where that file has the line immutable = [&#34;failed&#34;]" in page
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "test.csv",
            "row numbers in test.csv, counted from 0: sample 0 is the first row below the names of the",
        ),
        ("test.npz", "row numbers in test.npz, counted from 0: sample 0 is the first row"),
        ("images", "numbers in the folder images, whose images are sorted by the names of folders and files"),
    ],
)
def test_numbers_of_samples_lead_into_the_file(name, said, tmp_path):
    place = tmp_path / name
    if not place.suffix:
        place.mkdir()
    assert _auditing._numbers_in(place).startswith(said)


def test_command_repeats(report, here, tmp_path):
    """Without folders; and what it makes, where the files are, is the same report."""
    assert report.command.startswith("skhalfway audit --model deployed.skops --model ")
    assert report.protocol["names of samples"].startswith("row numbers in test.csv, counted from 0")
    assert report.command.endswith("--eps 0.5 --attack fgsm --no-surrogates --parts none --json kept.json")
    words = shlex.split(report.command.replace("kept.json", str(tmp_path / "again.json")))
    assert run(*words[1:], "--quiet") == 0
    again = load_result(tmp_path / "again.json")
    assert again.threats == report.threats and again.curve == report.curve


def test_reference_columns_and_labels(here, monkeypatch):
    """Tables are matched by the names of their columns; labels are taken where the reference has them."""
    seen = []

    def stop(models, X, y, *, reference, **options):
        seen.append((list(X), reference))
        raise KeyboardInterrupt

    monkeypatch.setattr(_auditing, "audit", stop)
    for name in ("test.csv", "unlabelled.csv"):
        assert run("audit", *ONE, *DATA, "--reference", name, "--quiet") == 130
    (columns, (X, y)), (_, bare) = seen
    assert columns == list(X) == list(bare) and set(y) == {"yes", "no"}


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("memory", [[], ["--memory", "kept"]], ids=["", "memory"])
def test_interrupted(kind, memory, report, here, tmp_path, monkeypatch, capsys):
    """What was measured is written and marked, and a line says how it goes on."""
    partial = None

    def stopped(*args, **kwargs):
        try:
            os.kill(os.getpid(), kind)
            time.sleep(10)
        except KeyboardInterrupt as interrupt:
            interrupt.partial = partial
            raise
        raise AssertionError("the signal was not heard")

    monkeypatch.setattr(_auditing, "audit", stopped)
    before = signal.getsignal(signal.SIGTERM)
    place = tmp_path / "part.json"
    assert run("audit", *ONE, *DATA, "--json", str(place), *memory, "--quiet") == 130
    ended = "interrupted" if kind == signal.SIGINT else "terminated (SIGTERM)"
    assert f": {ended} before any sample was attacked, so no report" in capsys.readouterr().err
    assert not place.exists()
    partial = _auditing.replace(report, partial=True)
    limits = ["--fail-above", "rate=1", "--accept-doubts", "--junit", str(tmp_path / "part.xml")]
    assert run("audit", *ONE, *DATA, "--json", str(place), *memory, *limits) == 130
    shown = capsys.readouterr()
    assert f"deployed: Exposed (partial: the run was {ended})" in shown.out
    assert "passed" not in shown.out and "not known  rate " in shown.out
    tests = ElementTree.parse(tmp_path / "part.xml").getroot()
    assert (tests.get("skipped"), tests.get("errors")) == ("2", "1")
    assert shown.err.count("\n") == 1 and "reports are marked partial" in shown.err
    wanted = "run the same command again, with --memory kept," if memory else "with --memory DIR"
    assert wanted in shown.err
    assert load_result(place).partial
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("slip", "error"),
    [(lambda: {}["x"], KeyError), (lambda: int("x"), ValueError), (lambda: 1 + "x", TypeError)],  # type: ignore[operator]
    ids=["key", "value", "type"],
)
def test_faults_of_ours_are_raised(slip, error, here, monkeypatch):
    monkeypatch.setattr(_auditing, "audit", lambda *args, **kwargs: slip())
    with pytest.raises(error):
        run("audit", *ONE, *DATA, "--quiet")


def test_warnings_of_reading_are_in_the_report(report, here, tmp_path, monkeypatch):
    read = _auditing.read_models

    def warned(*args):
        _auditing.warnings.warn("made with another version", UserWarning, stacklevel=1)
        return read(*args)

    monkeypatch.setattr(_auditing, "read_models", warned)
    monkeypatch.setattr(_auditing, "audit", lambda *args, **kwargs: report)
    assert run("audit", *ONE, *DATA, "--json", str(tmp_path / "r.json"), "--quiet") == 0
    assert load_result(tmp_path / "r.json").warnings[0] == "made with another version"


def test_parts_are_those_of_audits():
    assert PARTS == ALL_PARTS


def test_a_file_that_cannot_be_written_leaves_nothing(report, here, tmp_path, monkeypatch, capsys):
    """A disk that is full after an hour of work: a line, and no half a report."""

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_auditing, "audit", lambda *args, **kwargs: report)
    monkeypatch.setattr("skhalfway.results._writing.os.replace", full)
    assert run("audit", *ONE, *DATA, "--json", str(tmp_path / "r.json"), "--quiet") == 2
    assert "r.json cannot be written: No space left on device" in capsys.readouterr().err
    assert not [*Path(tmp_path).iterdir()]
