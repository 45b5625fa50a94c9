"""An audit in a model card of skops, and in a report of skore."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import skops.card
import skops.io

from skhalfway.report import skops_section, skore_check
from tests.cli.conftest import COLUMNS


def test_model_card(report, here, tmp_path):
    card = skops.card.Card(skops.io.load(here / "deployed.skops")).add(**skops_section(report))
    card.save(tmp_path / "README.md")
    text = (tmp_path / "README.md").read_text("utf-8")
    assert "# Robustness against adversarial examples\n\n**Exposed.**" in text
    for sentence in report.verdict.sentences:
        assert sentence in text
    for advice in report.findings:
        assert advice.evidence.replace("<b>", "&lt;b>") in text
    assert text.count("| an attacker who has ") == len(report.threats)
    written = " ".join(skops_section(report).values())
    assert "<b>" not in written and "&lt;b>" in written  # what names hold is no HTML
    partial = skops_section(replace(report, partial=True), section="Evaluation/Robustness")
    assert "interrupted" in partial["Evaluation/Robustness"]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda report: skops_section("report.json"),
            TypeError,
            "report must be an AuditReport, got 'report.json'",
        ),
        (lambda report: skops_section(report, section="/"), ValueError, "section must be the title"),
        (lambda report: skore_check(None), TypeError, "report must be an AuditReport, got None"),
        (lambda report: skore_check(report, severity="high"), ValueError, "severity must be"),
    ],
)
def test_errors(call, error, message, report):
    with pytest.raises(error, match=message):
        call(report)


def test_a_check_passes_only_where_nothing_was_found(report, here):
    class Known:
        estimator_ = skops.io.load(here / "deployed.skops")

    assert skore_check(report).check_function(Known) == str(report.verdict)
    half = replace(report, partial=True)
    few = replace(report, curve=report.curve.subset(np.arange(4)))
    assert few.verdict.level == "unknown"
    for one in (half, few):
        assert skore_check(one).check_function(Known)
    Known.estimator_ = skops.io.load(here / "own.skops", trusted=["posixpath.join"])
    with pytest.raises(
        ValueError, match="the audit is of a LogisticRegression, but the report is of a Pipeline"
    ):
        skore_check(report).check_function(Known)


def test_skore(report, here):
    skore = pytest.importorskip("skore")
    table = pd.read_csv(here / "test.csv")
    X, y = table[COLUMNS], table["label"]
    model = skops.io.load(here / "deployed.skops")
    of_skore = skore.EstimatorReport(model, X_test=X, y_test=y, pos_label="yes")
    of_skore.checks.add([skore_check(report)])
    frame = of_skore.checks.summarize().frame(section="issue")
    row = frame[frame["code"] == "SKH001"].iloc[0]
    assert row["title"] == "Robustness against adversarial examples"
    assert str(report.verdict) in " ".join(map(str, row))
