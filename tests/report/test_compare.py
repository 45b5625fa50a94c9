"""Two audits side by side: paired where samples are the same, said where they are not, never too good."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from skhalfway import load_result
from skhalfway._intervals import difference_interval, mcnemar, paired_phi
from skhalfway.report import ShareChange, compare_reports
from tests.report.made import curve_of, report_of, with_check
from tests.report.reader import Reader

NAMES = ("net", "tree", "surrogate linear")


def with_fooled(*fooled, **how):
    return report_of(curve=curve_of(NAMES, fooled=fooled, **how), retraining=None, nearest=None)


@pytest.mark.parametrize(
    ("before", "after", "level"),
    [
        ((0, 15, 40), (0, 15, 40), "same"),
        ((0, 15, 40), (0, 13, 38), "same"),
        ((0, 15, 40), (0, 15, 55), "worse"),
        ((0, 15, 40), (0, 2, 4), "better"),
        ((0, 30, 50), (0, 30, 30), "better"),
    ],
)
def test_what_changed(before, after, level):
    found = compare_reports(with_fooled(*before), with_fooled(*after))
    assert (found.level, found.unpaired) == (level, "")
    for one in found.threats:
        k = int(one.eps / 0.25)
        assert (one.before, one.after) == ((before[k], 60), (after[k], 60))
        assert one.difference == pytest.approx((after[k] - before[k]) / 60)
        assert (one.only_before, one.only_after) == (
            max(before[k] - after[k], 0),
            max(after[k] - before[k], 0),
        )
        assert one.interval.low <= one.difference <= one.interval.high
        raw = float(mcnemar(np.array(one.only_before), np.array(one.only_after)))
        assert raw <= one.p <= min(1, 6 * raw) + 1e-12
    robust = found.accuracies[1]
    assert (robust.kind, robust.before[0], robust.after[0]) == (
        "robust_accuracy",
        60 - before[-1],
        60 - after[-1],
    )


def test_holm_is_over_all_attackers_and_budgets():
    found = compare_reports(with_fooled(0, 15, 40), with_fooled(0, 15, 47))
    # 7 samples to none is p = 2 / 2**7 for three attackers, and 1 at the other budget: 6 tests
    assert [one.p for one in found.threats] == pytest.approx([1.0, 6 * 2 / 2**7] * 3)


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"n": 58}, "different samples (numbers of samples differ)"),
        ({"classes": ("cat", "cow")}, "different samples (labels differ)"),
        ({"fingerprints": False}, "is not known"),
    ],
)
def test_other_samples_are_not_paired(how, why):
    found = compare_reports(with_fooled(0, 15, 40), with_fooled(0, 5, 10, **how))
    assert why in found.unpaired and found.level == "better"
    assert all(one.only_before == one.only_after == 0 for one in found.threats)
    assert why in Reader(found.to_html()).all("main")[0]["text"] and why.split("(")[0] in found.to_markdown()


def test_other_values_are_other_samples():
    report = with_fooled(0, 15, 40)
    moved = []
    for matrix in report.curve.matrices:
        prints = matrix.outcomes.fingerprints + np.uint64(1)
        moved.append(replace(matrix, outcomes=replace(matrix.outcomes, fingerprints=prints)))
    other = replace(report, curve=replace(report.curve, matrices=tuple(moved)))
    assert compare_reports(report, other).unpaired.startswith("60 of the 60 samples have other values")


@pytest.mark.parametrize(
    "parts",
    [
        {"partial": True},
        {"curve": replace(curve_of(NAMES, fooled=(0, 2, 4)), masked=np.array([True, False, False]))},
        {"curve": with_check(curve_of(NAMES, fooled=(0, 2, 4)), "net", "inputs look scaled", "scale them")},
    ],
    ids=["interrupted", "masked", "check-up"],
)
def test_a_better_figure_in_doubt_is_not_called_better(parts):
    found = compare_reports(with_fooled(0, 15, 40), replace(with_fooled(0, 2, 4), **parts))
    assert found.level == "doubtful" and found.doubts
    assert "may be too good" in found.headline and found.doubts[0] in found.to_html().replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("changed", "doubt"),
    [
        ({"protocol": {"attack": "fgsm", "seed": "0"}}, "another setting of attack"),
        ({"curve": curve_of(NAMES, fooled=(0, 15))}, "did not try 0.5 standard deviations"),
        ({"curve": curve_of(NAMES[:2])}, "did not try an attacker who trains models"),
        ({"curve": curve_of((*NAMES[:2], "surrogate forest"))}, "did not train surrogate linear"),
    ],
)
def test_what_the_second_audit_did_not_try_is_a_doubt(changed, doubt):
    before = with_fooled(0, 15, 40)
    names = changed.get("curve", before.curve).names
    roles = dict(zip(names, ("deployed", "other", "surrogate"), strict=False))
    after = replace(
        before, roles=roles, kinds=dict.fromkeys(names, "SVC"), surrogates=None, columns=None, predicted=None,
        agreement=None, exposed=(), **changed,
    )  # fmt: skip
    doubts = compare_reports(before, after).doubts
    assert len(doubts) == 1 and doubt in doubts[0]
    assert not compare_reports(after, after).doubts


def test_findings_and_settings():
    whole = report_of()
    found = compare_reports(whole, replace(whole, retraining=None, protocol={"attack": "fgsm"}))
    states = dict(found.findings)
    assert states["Adversarial training helps"] == "unknown"
    assert states["Adversarial examples made on other models fool net"] == "stayed"
    assert found.apart == {"attack": ("pgd", "fgsm"), "seed": ("0", "not said")}
    states = dict(compare_reports(whole, with_fooled(0, 0, 0)).findings)
    assert states["Adversarial examples made on other models fool net"] == "gone"


def test_files_and_frame(tmp_path):
    found = compare_reports(with_fooled(0, 15, 40), with_fooled(0, 15, 55))
    found.to_json(tmp_path / "a.json")
    assert load_result(tmp_path / "a.json") == found
    assert found.to_frame().loc[("deployed", 0.5), ["before", "after"]].tolist() == [40 / 60, 55 / 60]
    read = Reader(found.to_html())
    row = read.tables()["How often the model is fooled, before and after"][2]
    assert row[0] == "own models (surrogates)" and "40 of 60" in row[2] and row[4].startswith("+25 points")
    assert "before 67 %, after 92 %" in found.to_markdown()


@pytest.mark.parametrize(
    ("other", "error", "message"),
    [
        (lambda report: report.curve, TypeError, "after must be an AuditReport, got TransferCurve"),
        (
            lambda report: replace(report, curve=replace(report.curve, eps_unit="input")),
            ValueError,
            "units of budg",
        ),
        (
            lambda report: replace(report, curve=replace(report.curve, norm=2)),
            ValueError,
            "different norms, inf and 2",
        ),
        (
            lambda report: replace(report, curve=replace(report.curve, eps=[0, 3, 4])),
            ValueError,
            "share no budget",
        ),
    ],
)
def test_errors(other, error, message):
    report = with_fooled(0, 15, 40)
    with pytest.raises(error, match=message):
        compare_reports(report, other(report))


def test_intervals_are_newcombes():
    """His examples: independent 56 / 70 and 48 / 80; paired 36, 12, 2, 0."""
    assert difference_interval((48, 80), (56, 70)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    phi = paired_phi(36, 2, 12, 0)
    assert difference_interval((38, 50), (48, 50), phi) == pytest.approx((0.0569, 0.3404), abs=5e-5)
    assert paired_phi(5, 0, 0, 0) == 0
    assert np.isnan(difference_interval((0, 0), (1, 2))).all()
    assert not ShareChange("other", 0.1, (0, 0), (0, 0), np.nan, (np.nan, np.nan), 0, 0, np.nan).beyond_chance
