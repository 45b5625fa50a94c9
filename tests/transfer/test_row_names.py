"""Tables with a row for each sample are indexed as X was: names, levels and types of the index."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, TransferScorer, load_result

N = 12
DAYS = pd.date_range("2026", periods=N, name="day")
INDEXES = {
    "numbers": (pd.RangeIndex(N), "same"),
    "named numbers": (pd.RangeIndex(N, name="loan"), "same"),
    "other numbers": (pd.Index(np.arange(N) + 7, name="loan"), "same"),
    "texts": (pd.Index([f"loan {k}" for k in range(N)]), "same"),
    "times": (DAYS, "same"),
    "a time zone": (DAYS.tz_localize("Europe/Berlin"), "texts"),
    "periods": (pd.period_range("2026", periods=N, freq="M", name="month"), "texts"),
    "categories": (pd.CategoricalIndex(["x", "y", "z"] * (N // 3), name="kind"), "texts"),
    "levels": (pd.MultiIndex.from_product([["a", "b"], range(N // 2)], names=["bank", "loan"]), "same"),
    "levels without names": (pd.MultiIndex.from_product([["a", "b"], range(N // 2)]), "same"),
    "levels of times": (pd.MultiIndex.from_arrays([list("ab") * (N // 2), DAYS]), "texts"),
}


@pytest.fixture(scope="module")
def measured(iris):
    """By kind of index: the table, a matrix, and how a model of the same kind stands."""
    X, y = (part[::13] for part in iris)
    models = {"lr": LogisticRegression(max_iter=1000).fit(*iris), "svm": SVC().fit(*iris)}
    scorer = TransferScorer(AdversarialGenerator(attack="fgsm", eps=0.8), random_state=0).fit(models)

    def measure(name):
        frame = pd.DataFrame(X, index=INDEXES[name][0])
        return frame, scorer.transfer(frame, y), scorer.robustness(SVC(C=9).fit(*iris), frame, y)

    return measure


@pytest.mark.parametrize("name", INDEXES)
def test_tables_are_indexed_as_samples_were(measured, name, tmp_path):
    frame, matrix, robustness = measured(name)
    index, kept = INDEXES[name]
    called = index.rename("sample") if index.nlevels == 1 and index.name is None else index
    exposure, rows = matrix.exposure(), robustness.to_frame(of="samples")
    assert rows.index.equals(called)
    if index.is_unique:
        assert frame.join(exposure)["fooled_by"].sum() == exposure["fooled_by"].sum() > 0
    for tabled in (exposure.index, rows.index):
        assert tabled.names == called.names and tabled.dtype == called.dtype
    part = matrix.subset([3, 1])
    assert sorted(part.exposure().index) == sorted(called[[3, 1]])
    assert part.exposure().index.names == called.names
    # out of files: the names, the levels, and values as files keep them
    matrix.save(tmp_path / "m.json")
    robustness.save(tmp_path / "r.json")
    for read, before in (
        (load_result(tmp_path / "m.json").exposure(), exposure),
        (load_result(tmp_path / "r.json").to_frame(of="samples"), rows),
    ):
        assert read.index.names == called.names and read.index.nlevels == called.nlevels
        if kept == "same":
            assert read.index.tolist() == before.index.tolist()
        else:
            lasts = zip(read.index, before.index, strict=True)
            assert all(np.ravel(one)[-1] == str(np.ravel(other)[-1]) for one, other in lasts)


def test_an_index_of_other_length_is_refused(measured):
    outcomes = measured("times")[1].outcomes
    with pytest.raises(ValueError, match="row_index must hold 12 names of samples, got 11"):
        replace(outcomes, row_index=DAYS[1:])
