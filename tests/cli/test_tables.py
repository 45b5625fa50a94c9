"""Tables in files that do not fit the models at once: what the commands say, take and leave out."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skhalfway import load_result
from skhalfway.cli import _auditing
from skhalfway.cli._faults import in_options
from tests.cli.conftest import FAST, run

NUMBERS = ["temp", "load"]
MODEL = ["--model", "site.skops", "--target", "state"]


@pytest.fixture(scope="module")
def plant(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of a plant with codes of sites, and tables written in several ways."""
    folder = tmp_path_factory.mktemp("plant")
    rng = np.random.RandomState(8)
    n = 160
    X = pd.DataFrame({"temp": rng.normal(60, 8, n).round(1), "load": rng.gamma(3, 1, n).round(2)})
    X["site"] = rng.choice(["0123", "4567", "8901"], n)
    X["wing"] = rng.choice(["NA", "SA"], n)
    y = np.where(X["temp"] + 8 * (X["site"] == "0123") + rng.normal(size=n) > 63, "None", "fault")
    encoders = make_column_transformer(
        (StandardScaler(), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), ["site", "wing"])
    )
    half = slice(0, n // 2)
    model = make_pipeline(encoders, LogisticRegression()).fit(X[half], y[half])
    skops.io.dump(model, folder / "site.skops")
    skops.io.dump(LogisticRegression().fit(X[half][NUMBERS], y[half]), folder / "plain.skops")
    test = X[n // 2 :].assign(state=y[n // 2 :])
    test.to_csv(folder / "test.csv", index=False)
    X[half].assign(state=y[half], number=range(n // 2)).to_csv(folder / "train.csv", index=False)
    test.to_csv(folder / "semi.csv", index=False, sep=";", decimal=",")
    test.assign(number=range(80), seen="2024-02-03").to_csv(folder / "more.csv", index=False)
    test[["wing", "site", "load", "temp", "state"]].to_csv(folder / "order.csv", index=False)
    test.assign(seen="2024-02-03").to_csv(folder / "dates.csv", index=False)
    test.replace({"site": {"0123": "1234"}}).to_csv(folder / "codes.csv", index=False)
    test.astype({"load": str}).replace({"load": {str(test["load"].iloc[0]): "?"}}).to_csv(
        folder / "marked.csv", index=False
    )
    test.assign(site="0" + test["site"]).head(40).to_csv(folder / "new.csv", index=False)
    test.replace({"wing": {"SA": "None"}, "site": {"8901": "0999"}}).to_csv(
        folder / "unknown.csv", index=False
    )
    test.drop(columns="wing").to_csv(folder / "less.csv", index=False)
    test.to_parquet(folder / "test.parquet")
    return folder


@pytest.fixture
def here(plant: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(plant)
    return plant


@pytest.mark.parametrize(
    ("options", "notes"),
    [
        (["test.csv"], []),
        (["test.parquet"], []),
        (["semi.csv", "--sep", ";", "--decimal", ","], []),
        (
            ["more.csv"],
            ["site.skops was not fitted on 2 columns of more.csv, ['number', 'seen']; left out here"],
        ),
        (["order.csv"], ["the columns of order.csv are put into the order that site.skops was fitted on"]),
        (["codes.csv", "--text", "site"], []),
        (
            ["unknown.csv"],
            [
                "column 'wing' holds ['NA', 'None'] in 80 rows, read as text; if that stands for a missing "
                "value, as in pandas.read_csv, add --missing NA None"
            ],
        ),
        (
            ["new.csv"],
            [
                "column 'site' holds numbers with leading zeros, such as '08901', and is read as text; if "
                "the model was fitted on numbers, add --numbers site"
            ],
        ),
    ],
    ids=lambda value: " ".join(value)[:30],
)
def test_the_same_table_in_other_words(options, notes, here, capsys):
    """Codes, words and labels that the model knows give no notes; figures do not change."""
    ok = options[0] not in ("new.csv", "unknown.csv")  # whose categories the model does not know
    assert run("check", *MODEL, "--data", *options) == 0 or not ok
    shown = capsys.readouterr()
    told = [line for line in shown.err.splitlines() if ": note: " in line]
    assert told == [f"python -m skhalfway check: note: {note}" for note in notes]
    assert ok is False or shown.err.count("\n") == len(told)
    accuracy = re.search(r"accuracy (\S+)", shown.out)[1]
    if ok and options[0] != "codes.csv":
        assert run("check", *MODEL, "--data", "test.csv") == 0
        assert f"accuracy {accuracy} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["semi.csv"], "'temp;load;.* by ';' and have decimal commas, add --sep ';' --decimal ,$"),
        (["semi.csv", "--sep", ";"], "'temp' of semi.csv holds numbers .*, add --decimal ,; .* --text temp$"),
        (["codes.csv"], "site.skops: column 'site' held text, such as '0123', .* add --text site;"),
        (["test.csv", "--numbers", "site"], "'site' held text, .* but holds numbers"),
        (["less.csv"], "site.skops: X lacks column 'wing', which the model was fitted on$"),
        (["test.csv", "--text", "sites"], "test.csv has no column 'sites'; .* did you mean 'site'"),
        (["test.csv", "--sep", "::"], "--sep: must be one character, or the word tab, got '::'"),
        (["test.parquet", "--text", "site"], "--text is for .csv files, and test.parquet is none"),
        (["test.csv", "--model", "plain.skops"], r"was not fitted on \['site', 'wing'\], which site.skops"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
@pytest.mark.parametrize("command", ["check", "audit"])
def test_errors_name_the_column_and_the_option(command, options, message, here, capsys):
    assert run(command, *MODEL, "--data", *options) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1
    assert re.search(f": error: .*({message})", shown.err.removesuffix("\n")), shown.err


def test_marks_among_numbers_are_noted(here, capsys):
    run("check", *MODEL, "--data", "marked.csv")
    err = capsys.readouterr().err
    assert "note: column 'load' holds numbers and, in 1 row, ['?'], so it is read as text;" in err
    assert "add --missing '?'\n" in err


def test_dates_are_noted_if_the_model_uses_them(here, capsys, tmp_path):
    """Once on standard error, and in the report."""
    table = pd.read_csv("dates.csv", dtype={"site": str}, keep_default_na=False)
    table["seen"] = np.where(table["temp"] > 60, "2024-02-03", "2023-11-30")
    table.to_csv(tmp_path / "dates.csv", index=False)
    encoders = make_column_transformer(
        (OneHotEncoder(), ["site", "wing", "seen"]), remainder=StandardScaler()
    )
    model = make_pipeline(encoders, LogisticRegression()).fit(table.drop(columns="state"), table["state"])
    skops.io.dump(model, tmp_path / "dates.skops")
    asked = [
        "--model",
        str(tmp_path / "dates.skops"),
        "--data",
        str(tmp_path / "dates.csv"),
        "--target",
        "state",
    ]
    out = ["--json", str(tmp_path / "r.json"), "--quiet"]
    assert run("audit", *asked, *FAST, "--samples", "10", "--surrogate-share", "1", *out) == 0
    said = "column 'seen' holds dates as text, such as "
    assert capsys.readouterr().err.count(f"note: {said}") == 1
    assert [word.startswith(said) for word in load_result(tmp_path / "r.json").warnings].count(True) == 1


def test_reference_is_read_like_the_data(here, monkeypatch, capsys, tmp_path):
    """Its codes are text if those of the data are; columns that the model does not know are left out."""
    seen = []

    def stop(models, X, y, *, reference, **options):
        seen.append((X, reference))
        raise KeyboardInterrupt

    monkeypatch.setattr(_auditing, "audit", stop)
    train = pd.read_csv("train.csv", dtype=str, keep_default_na=False)
    train[train["site"] != "0123"].to_csv(tmp_path / "reference.csv", index=False)
    for name in ("train.csv", str(tmp_path / "reference.csv")):
        assert run("audit", *MODEL, "--data", "test.csv", "--reference", name, "--quiet") == 130
        X, (like, y) = seen.pop()
        assert list(X) == list(like) == [*NUMBERS, "site", "wing"]
        assert set(like["site"]) <= set(X["site"]) and set(y) == {"None", "fault"}
    told = [line for line in capsys.readouterr().err.splitlines() if "note" in line]
    assert [line.split("note: ")[1] for line in told] == [
        f"1 column of {name}, ['number'], is not in test.csv; left out here"
        for name in ("train.csv", "reference.csv")
    ]
    assert run("audit", *MODEL, "--data", "test.csv", "--reference", "marked.csv", "--quiet") == 2
    err = capsys.readouterr().err
    assert "column 'load' holds numbers in test.csv, but text in marked.csv, such as '?';" in err
    assert "missing value, add --missing '?';" in err
    assert run("audit", *MODEL, "--data", "test.csv", "--reference", "less.csv", "--quiet") == 2
    assert "it lacks ['wing']" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("; pass text=['a', \"b's\"] to read_data; x", "; add --text a 'b'\"'\"'s'; x"),
        ("pass text=['mean radius (cm)'], numbers=['b'] to", "add --text 'mean radius (cm)' --numbers b to"),
        ("pass sep='\\t', decimal=','", "add --sep tab --decimal ,"),
        ("pass missing=['?', '-']; else", "add --missing '?' -; else"),
    ],
)
def test_options_in_place_of_parameters(text, said):
    assert in_options(text) == said
