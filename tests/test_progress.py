"""What long work says while it goes on."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from joblib import delayed
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway._parallel import pause, side_by_side


def work(k: int) -> int:
    pause()
    return k


@pytest.mark.parametrize("in_order", [True, False])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_bar_counts_units_and_names_whose_they_are(n_jobs, in_order, capsys):
    jobs = (delayed(work)(k) for k in (3, 4, 5))
    results = side_by_side(
        jobs, 12, n_jobs=n_jobs, verbose=2, what="attack", unit="sample", in_order=in_order,
        tell=lambda k: (k, f"model {k}"),
    )  # fmt: skip
    assert sorted(results) == [3, 4, 5]
    shown = capsys.readouterr().err
    assert "attack: 100%" in shown and "12/12" in shown and "sample/s" in shown
    assert "models asked" in shown
    assert any(f"model {k}" in shown for k in (3, 4, 5))


def test_nothing_is_shown_unless_asked_for(capsys):
    assert list(side_by_side((delayed(work)(k) for k in range(3)), 3, n_jobs=1)) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_records(caplog):
    X, y = load_iris(return_X_y=True)
    models = {"a": LogisticRegression(max_iter=500).fit(X, y), "b": LogisticRegression(C=0.1).fit(X, y)}
    with caplog.at_level(logging.DEBUG, logger="skhalfway"):
        matrix = TransferScorer(AdversarialGenerator(eps=0.3), random_state=0).fit(models).transfer(X, y)
    n = int(matrix.source_eligible.sum())
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert ("INFO", f"attack: {n} samples") in said
    assert ("DEBUG", f"attack: b, {n} of {n} samples") in said
    assert any(level == "INFO" and text.startswith(f"attack: {n} of {n} samples in ") for level, text in said)


def test_a_stage_that_fails_says_how_far_it_came(caplog):
    def fail(k: int) -> int:
        if k == 2:
            raise ValueError("no")
        return k

    with caplog.at_level(logging.INFO, logger="skhalfway"), pytest.raises(ValueError, match="no"):
        list(side_by_side((delayed(fail)(k) for k in range(4)), 4, n_jobs=1, what="attack", unit="model"))
    assert caplog.records[-1].getMessage().startswith("attack: 2 of 4 models in ")


NOTEBOOK = """
import sys
from types import ModuleType, SimpleNamespace

class ZMQInteractiveShell:
    pass

shell = ModuleType("IPython")
shell.get_ipython = ZMQInteractiveShell
sys.modules |= {"ipykernel.zmqshell": ModuleType("zmqshell"), "IPython": shell, "ipywidgets": None}

from skhalfway._progress import Progress

bar = Progress("attack", 3, "sample", 1)
bar.done(3, "model")
bar.close()
import tqdm.autonotebook
assert tqdm.autonotebook.tqdm.__module__ == "tqdm.std"
import warnings
assert all("Tqdm" not in str(rule) for rule in warnings.filters)
"""


@pytest.mark.parametrize("filters", [(), ("-W", "error")], ids=["warnings shown", "warnings are errors"])
def test_a_notebook_without_widgets_gets_the_bar_of_text(filters):
    done = subprocess.run(
        [sys.executable, *filters, "-c", NOTEBOOK], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "attack: 100%" in done.stderr and "3/3" in done.stderr
    assert "IProgress" not in done.stderr and "Warning" not in done.stderr
