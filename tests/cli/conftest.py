"""Models and data in files, and one real report, for all tests of the command line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skhalfway import load_result
from skhalfway.cli import main
from skhalfway.report import AuditReport

COLUMNS = ["age", "income", "debt"]
DATA = ["--data", "test.csv", "--target", "label"]
FAST = ["--eps", "0.5", "--attack", "fgsm", "--parts", "none"]
BOTH = ["--model", "deployed.skops", "--model", "other=second.skops", "--no-surrogates"]


def run(*arguments: str) -> int:
    """The exit status of a command, whether it returns or the parser ends."""
    try:
        return main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models and data."""
    folder = tmp_path_factory.mktemp("files")
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(120, 3)), columns=COLUMNS)
    y = np.where(X["age"] + X["income"] + 0.3 * rng.normal(size=120) > 0, "yes", "no")
    deployed = LogisticRegression().fit(X, y)
    own = make_pipeline(FunctionTransformer(os.path.join), LogisticRegression())
    own.steps[1][1].fit(X, y)
    models: dict[str, Any] = {
        "deployed": deployed,
        "second": LogisticRegression(C=0.01).fit(X.iloc[::2], y[::2]),
        "wide": LogisticRegression().fit(X.assign(more=1.0), y),
        "words": LogisticRegression().fit(X, np.where(y == "yes", "good", "bad")),
        "own": own,
    }
    for name, model in models.items():
        skops.io.dump(model, folder / f"{name}.skops")
    said = deployed.predict(X)
    tables = {
        "test": y,
        "unknown": np.where(np.arange(120) < 5, "maybe", y),
        "one": np.full(120, "yes"),
        "wrong": np.where(said == "yes", "no", "yes"),
    }
    for name, labels in tables.items():
        X.assign(label=labels).to_csv(folder / f"{name}.csv", index=False)
    X.to_csv(folder / "unlabelled.csv", index=False)
    X.rename(columns={"debt": "depth"}).to_csv(folder / "renamed.csv", index=False)
    (100 * X).assign(label=y).to_csv(folder / "scaled.csv", index=False)
    (folder / "constraints.toml").write_text('immutable = ["height"]')
    for name in ("broken.skops", "broken.parquet", "model.txt"):
        (folder / name).write_text("this is none")
    (folder / "pickle.pkl").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    return folder


@pytest.fixture
def here(files: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That folder, in which the command is run; what a test writes there goes."""
    monkeypatch.chdir(files)
    return files


@pytest.fixture(scope="session")
def report(files: Path) -> AuditReport:
    """The report of two models, out of the command."""
    place = files / "kept.json"
    paths = [
        str(files / word) if word.endswith((".skops", ".csv")) else word for word in [*BOTH[1:4:2], *DATA]
    ]
    models = ["--model", paths[0], "--model", f"<b>\x01={files / 'second.skops'}", "--no-surrogates"]
    assert run("audit", *models, *paths[2:], *FAST, "--json", str(place), "--quiet") == 0
    loaded = load_result(place)
    assert isinstance(loaded, AuditReport)
    return loaded
