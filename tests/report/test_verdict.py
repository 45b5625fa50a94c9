"""Threats, verdict and findings of reports whose counts are known."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import binomtest, fisher_exact

from skhalfway._intervals import ConfidenceInterval, holm, wilson_interval
from skhalfway.attacks._queries import BEGIN_AT
from skhalfway.models import Finding, ModelCheck
from skhalfway.report import AttackedColumns, InspectedData, Retraining, TellingColumn
from skhalfway.report._findings import _threats
from skhalfway.report._threats import Threat
from skhalfway.report._words import budget, in_percent, listed, probability, share
from skhalfway.transfer import FailedPair, TransferMatrix
from tests.report.conftest import curve_of, report_of


def test_threats_count_what_fools_by_any_source_within_the_budget(made):
    rows = {
        "surrogate a": (np.arange(10), np.arange(5, 20)),  # of the first five, a smaller change is known
        "surrogate b": (np.arange(8, 12), np.arange(30, 33)),
    }
    report = made({"deployed": (40, 100), "second": (0, 3), **rows}, noise=(2, 4))
    seen = {(t.kind, t.eps): (t.fooled, t.noise, t.n, t.best) for t in report.threats}
    assert seen == {
        ("surrogate", 0.1): (12, 2, 200, "surrogate a"),
        ("surrogate", 0.5): (23, 4, 200, "surrogate a"),
        ("other", 0.1): (0, 2, 200, ""),
        ("other", 0.5): (3, 4, 200, "second"),
        ("deployed", 0.1): (40, 2, 200, "deployed"),
        ("deployed", 0.5): (100, 4, 200, "deployed"),
    }
    assert [t.kind for t in report.threats] == ["surrogate"] * 2 + ["other"] * 2 + ["deployed"] * 2


def test_p_is_that_of_mcnemars_test_adjusted_for_all_sources_and_budgets(made):
    report = made({"deployed": (3, 9), "second": (6, 7), "surrogate a": (5, 40)}, noise=(1, 2))
    # of noise and attack, the attack alone fools so many
    only = {"deployed": (2, 7), "second": (5, 5), "surrogate": (4, 38)}
    order = [(kind, k) for k in (0, 1) for kind in ("surrogate", "second", "deployed")]
    plain = [binomtest(only[kind][k], only[kind][k], 0.5, alternative="greater").pvalue for kind, k in order]
    adjusted = dict(zip(order, holm(np.array(plain)), strict=True))
    for threat in report.threats:
        kind = "second" if threat.kind == "other" else threat.kind
        assert threat.p == pytest.approx(adjusted[kind, [0.1, 0.5].index(threat.eps)])


@pytest.mark.parametrize("sources", [("deployed", "second"), None])
def test_attacks_as_good_as_noise_are_called_better_in_at_most_5_percent(sources):
    rng = np.random.RandomState(0)
    names = sources or ("deployed", "second", "surrogate a", "surrogate b")
    n, wrong, n_runs = 100, 0, 300
    for _ in range(n_runs):
        draws = {name: [np.flatnonzero(rng.uniform(size=n) < p) for p in (0.1, 0.3)] for name in names}
        noise = [np.flatnonzero(rng.uniform(size=n) < p) for p in (0.1, 0.3)]
        report = report_of(curve_of(draws, n=n, noise=noise))
        wrong += any(threat.beyond_noise for threat in report.threats)
    assert binomtest(wrong, n_runs, 0.05, alternative="greater").pvalue > 0.01


WARNING = ModelCheck(
    "deployed", 9, 2, 0.5, ConfidenceInterval(0.2, 0.8), (Finding("scale", "warning", "odd", "mend it"),)
)


@pytest.mark.parametrize(
    ("fooled", "others", "level", "words"),
    [
        (
            {"deployed": 90, "surrogate a": 60},
            {},
            "exposed",
            "who trains models of their own on similar data",
        ),
        ({"deployed": 90, "second": 60}, {}, "exposed", "who has one of the other models fools it on 30 %"),
        ({"deployed": 90, "second": 2}, {}, "exposed_to_owner", "An attacker who has the deployed model"),
        ({"deployed": 2, "second": 2}, {}, "nothing_found", "does not fool it significantly more often than"),
        # a model that only seems robust is never called so
        ({"deployed": 2, "second": 2}, {"n": 20}, "unknown", "only 20 samples count"),
        (
            {"deployed": 2, "second": 2},
            {"masked": [True, False]},
            "unknown",
            "attack on the deployed model is too weak",
        ),
        (
            {"deployed": 2, "second": 2},
            {"checks": {"deployed": WARNING}},
            "unknown",
            "check-up of deployed warns",
        ),
        # doubts are reasons why rates may be too low: what succeeds is there
        ({"deployed": 90, "second": 2}, {"masked": [True, False]}, "exposed_to_owner", "may be masked"),
        # what is found is there, whatever else is doubtful
        ({"deployed": 2, "second": 60}, {"masked": [True, False]}, "exposed", "true figures may be higher"),
    ],
    ids=str,
)
def test_verdict(fooled, others, level, words, made):
    if "masked" in others:
        others = {**others, "masked": np.array(others["masked"])}
        masked = others.pop("masked")
        curve = replace(curve_of(fooled, **others), masked=masked)
        report = report_of(curve)
    else:
        report = made(fooled, **others)
    assert report.verdict.level == level
    assert words in str(report.verdict)
    assert report.verdict.headline in repr(report)
    partial = replace(report, partial=True)
    assert "interrupted" in str(partial.verdict) and "(partial)" in repr(partial)


@pytest.mark.parametrize(("n_right", "level"), [(120, "unknown"), (185, "nothing_found")])
def test_surrogates_that_learnt_little_leave_a_doubt(n_right, level, made):
    report = made({"deployed": 0, "surrogate a": 0})
    matrices = []
    for matrix in report.curve.matrices:
        clean = matrix.outcomes.clean.copy()
        clean[1, n_right:] = 1
        matrices.append(type(matrix).of(replace(matrix.outcomes, clean=clean)))
    curve = replace(
        report.curve, matrices=tuple(matrices), source_fooled=np.zeros_like(report.curve.source_fooled)
    )
    verdict = replace(report, curve=curve).verdict
    assert verdict.level == level
    assert ("the best surrogate has an accuracy of 60 % and deployed one of 100 %" in str(verdict)) == (
        level == "unknown"
    )


def test_what_was_not_found_is_said_with_its_budget_and_its_power(made):
    verdict = made({"deployed": 2, "second": 2}).verdict
    assert verdict.headline.endswith("random noise within 0.5 standard deviations")
    assert (
        "at most 4 % of such samples fool it under these attacks and not under noise (200 samples count)"
        in (str(verdict))
    )
    # two sources at two budgets
    assert str(verdict).count("P-values are adjusted for 4 comparisons with noise (Holm's method).") == 1


@pytest.mark.parametrize(
    ("n", "fooled", "level"), [(34, 0, "unknown"), (35, 0, "nothing_found"), (100, 5, "unknown")]
)
def test_samples_too_few_to_tell_leave_a_doubt(n, fooled, level, made):
    fooled = dict.fromkeys(("deployed", "second", "surrogate a", "surrogate b"), fooled)
    verdict = made(fooled, n=n, eps=(0.1, 0.2, 0.3)).verdict
    assert verdict.level == level
    assert (f"{n} samples are too few to tell: up to 1" in str(verdict)) == (level == "unknown")


@pytest.mark.parametrize("n", [40, 80, 160])
def test_a_model_that_attacks_fool_on_10_percent_is_seldom_said_to_resist(n):
    """Noise fools it on 5 %, on other samples."""
    rng = np.random.RandomState(n)
    n_runs, wrong = 200, 0
    for _ in range(n_runs):
        draw = rng.uniform(size=n)
        attacked, noise = np.flatnonzero(draw < 0.1), np.flatnonzero(draw > 0.95)
        report = report_of(curve_of({"deployed": attacked, "second": 0}, n=n, noise=noise, eps=(0.5,)))
        wrong += report.verdict.level == "nothing_found"
    assert binomtest(wrong, n_runs, 0.05, alternative="greater").pvalue > 0.01


def test_verdict_names_the_smallest_budget_beyond_noise(made):
    report = made({"deployed": (2, 50), "second": (0, 0)}, noise=(1, 1))
    (said,) = [s for s in report.verdict.sentences if "has the deployed model itself" in s]
    assert "on 25 % (20 to 31 %, 50 of 200)" in said and "at most 0.5 standard deviations" in said
    assert "noise of that size: 0.5 %" in said


def answering(report, labels, answers):
    """The same report, of a deployed model with other answers."""
    matrices = []
    for matrix in report.curve.matrices:
        clean = matrix.outcomes.clean.copy()
        clean[0] = answers
        matrices.append(TransferMatrix.of(replace(matrix.outcomes, labels=labels, clean=clean)))
    fallen = np.zeros_like(report.curve.source_fooled)
    return replace(report, curve=replace(report.curve, matrices=tuple(matrices), source_fooled=fallen))


@pytest.mark.parametrize(
    ("rare", "found", "false", "worthless"),
    [
        (16, 1, 2, True),
        (16, 0, 0, True),
        (16, 9, 3, False),
        (40, 12, 6, False),
        (100, 51, 50, True),
        (100, 80, 20, False),
    ],
)
def test_a_model_no_better_than_one_answer_is_not_called_robust(rare, found, false, worthless, made):
    """Of 200 samples, so many are of the rare class; it finds some of them, with false alarms."""
    labels = np.r_[np.ones(rare, dtype=int), np.zeros(200 - rare, dtype=int)]
    answers = np.zeros(200, dtype=int)
    answers[:found], answers[rare : rare + false] = 1, 1
    report = answering(made({"deployed": 0, "second": 0}, labels=labels), labels, answers)
    assert (report.verdict.level == "unknown") == worthless
    assert ("deployed is hardly better than one answer for all samples" in str(report.verdict)) == worthless
    assert ("check" in kinds(report)) == worthless
    if worthless and rare == 16 and found:
        assert "it is right on 92 %, the answer 'no' on 92 %" in str(report.verdict)


def kinds(report):
    return {advice.kind: advice for advice in report.findings}


@pytest.mark.parametrize(("count", "severity"), [(100, "high"), (30, "medium"), (8, "low")])
def test_severity_follows_the_lower_end_of_the_interval(count, severity, made):
    finding = kinds(made({"deployed": 0, "second": count}))["transfer"]
    assert finding.severity == severity
    assert share(count, 200) in finding.evidence


def test_a_class_that_is_fooled_more_often_is_named(made):
    labels = np.r_[np.zeros(150, dtype=int), np.ones(50, dtype=int)]
    report = made({"deployed": 0, "second": np.arange(140, 190)}, labels=labels)
    finding = kinds(report)["class"]
    assert "yes" in finding.title and share(40, 50) in finding.evidence and share(10, 150) in finding.evidence
    # of two classes both tables are tested
    p = 2 * fisher_exact([[40, 10], [10, 140]], alternative="greater").pvalue
    assert probability(p) in finding.evidence
    assert "class" not in kinds(made({"deployed": 0, "second": np.arange(0, 200, 4)}, labels=labels))


@pytest.mark.parametrize(("p", "words"), [(0.01, "secrecy would not help"), (0.2, "Protect the file")])
def test_secrecy_is_given_up_only_where_others_fool_beyond_noise(p, words):
    own = Threat("deployed", ("net",), 0.5, 54, 15, 5, "net", 15, 54, 0.01)
    others = replace(own, kind="surrogate", sources=("a",), best="a", p=p)
    report = SimpleNamespace(threats=[others, own], deployed="net", unit="std", retraining=None)
    assert words in list(_threats(report))[-1].action


def test_noise_that_fools_is_a_finding(made):
    assert share(40, 200) in kinds(made({"deployed": 50, "second": 0}, noise=40))["noise"].evidence
    assert "noise" not in kinds(made({"deployed": 50, "second": 0}, noise=1))


def columns(**changed):
    fields = {"names": ("age", "income"), "shares": [0.7, 0.3], "weights": [0.9, 0.1]}
    return AttackedColumns(**{**fields, "n_fooled": 80, "n_samples": 100, "eps": 0.5, **changed})


@pytest.mark.parametrize(("left", "found"), [(10, True), (40, True), (41, False), (80, False)])
def test_a_column_without_which_half_of_the_attack_is_gone_is_a_finding(left, found, made):
    part = columns(frozen={"age": left, "income": 79})
    findings = kinds(made({"deployed": 80, "second": 0}, fields={"columns": part}))
    assert ("column" in findings) == found
    if found:
        assert "column age" in findings["column"].title
        assert "Constraints(immutable=['age'])" in findings["column"].action


def test_columns_of_arrays_are_named_by_their_positions(made):
    part = columns(names=("column 1", "column 0"), frozen={"column 1": 10})
    findings = kinds(made({"deployed": 80, "second": 0}, fields={"columns": part}))
    assert "Constraints(immutable=[1])" in findings["column"].action


def test_another_model_that_resists_is_a_finding_unless_it_is_less_accurate(made):
    report = made({"deployed": 0, "second": 0, "surrogate a": 100})
    finding = kinds(report)["resistant_model"]
    assert finding.title.startswith("second is more robust") and share(100, 200) in finding.evidence
    curve = report.curve
    matrices = []
    for matrix in curve.matrices:
        clean = matrix.outcomes.clean.copy()
        clean[1, 150:] = 1
        worse = replace(matrix.outcomes, clean=clean)
        matrices.append(type(matrix).of(worse))
    fallen = np.zeros_like(curve.source_fooled)
    assert "resistant_model" not in kinds(
        replace(report, curve=replace(curve, matrices=tuple(matrices), source_fooled=fallen))
    )


@pytest.mark.parametrize(
    ("after", "masked", "words"),
    [
        (150, False, "helps"),
        (60, False, "makes it worse"),
        (101, False, "does not help"),
        (150, True, "masked"),
    ],
)
def test_retraining_says_what_it_bought(after, masked, words, made):
    held = np.arange(200) < np.array([[100], [after]])
    tried = Retraining(0.1, 500, np.ones((2, 200), dtype=bool), held, held, ("a", "b"), masked)
    finding = kinds(made({"deployed": 100, "second": 0}, fields={"retraining": tried}))["retraining"]
    assert words in f"{finding.title} {finding.evidence}" and share(after, 200) in finding.evidence
    assert tried.p("own") == pytest.approx(min(1, 2 * 0.5 ** abs(after - 100)))
    np.testing.assert_allclose(tried.accuracy("own"), [0.5, after / 200])
    expected = wilson_interval(np.array([100, after]), np.array([200, 200]), 0.9)
    np.testing.assert_allclose(tried.confidence_interval(0.9, of="own"), expected)


def test_warnings_of_check_ups_are_findings(made):
    report = made({"deployed": 50, "second": 0}, checks={"deployed": WARNING})
    finding = kinds(report)["check"]
    assert (finding.severity, finding.evidence, finding.action) == ("medium", "Odd.", "Mend it.")
    order = [advice.severity for advice in report.findings]
    assert order == sorted(order, key=("high", "medium", "low", "note").index)


def test_warnings_of_one_check_up_are_one_finding_with_remedies_of_an_audit(made):
    missed = Finding("attack", "warning", "for 3 of 9 samples no input was found", BEGIN_AT)
    check = replace(WARNING, findings=(*WARNING.findings, missed))
    report = made({"deployed": 50, "second": 0}, checks={"deployed": check})
    (finding,) = [one for one in report.findings if one.kind == "check"]
    assert finding.evidence == "Odd. For 3 of 9 samples no input was found."
    assert finding.action.startswith("Mend it. Pass a reference") and "generator" not in finding.action
    assert "--clip-values" in kinds(replace(report, command="skhalfway audit"))["check"].action
    assert "fit of a generator" not in report.to_html()
    code = Finding(
        "attack", "warning", "some are missed", "attack='auto-strong' attacks these by queries too"
    )
    named = made({"deployed": 50, "second": 0}, checks={"deployed": replace(WARNING, findings=(code,))})
    assert kinds(named)["check"].action == "attack='auto-strong' attacks these by queries too."
    leak = TellingColumn(("status",), "label", 0.99, 0.98, 0.5, "category")
    told = replace(report, data=InspectedData((leak,)))
    assert "See the finding on column status" in kinds(told)["check"].action


def test_noise_of_two_attackers_whose_rates_are_the_same_is_the_higher(made):
    report = made({"deployed": 0, "second": 0}, eps=(0.5,))
    other, deployed = report.threats
    threats = replace(other, noise=9), replace(deployed, noise=1)
    report.__dict__["threats"] = threats  # a cached property
    assert report.metrics["noise_rate"] == 9 / 200


FAILED = FailedPair("surrogate a", "deployed", "boom")


def test_what_failed_at_a_smaller_budget_is_a_doubt(made):
    report = made({"deployed": 0, "surrogate a": 0})
    first, small, large = report.curve.matrices
    failed = TransferMatrix.of(replace(small.outcomes, failures=(FAILED,)))
    report = replace(report, curve=replace(report.curve, matrices=(first, failed, large)))
    assert report.verdict.level == "unknown" and "of deployed and surrogate a failed" in str(report.verdict)


def test_accuracies_of_a_model_that_failed_are_not_known(made):
    report = made({"deployed": 0, "surrogate a": 0})
    first, *others = report.curve.matrices
    clean = first.outcomes.clean.copy()
    clean[0] = -1
    matrices = [
        TransferMatrix.of(replace(one.outcomes, clean=clean, failures=(FAILED,))) for one in (first, *others)
    ]
    report = replace(report, curve=replace(report.curve, matrices=tuple(matrices)))
    assert np.isnan(report.metrics["robust_accuracy"]) and report.held() is None


def test_a_model_is_not_robust_to_an_attack_that_failed(made):
    report = made({"deployed": 0, "surrogate a": 0})
    assert report.metrics["robust_accuracy"] == 1
    first, *others = report.curve.matrices
    matrices = []
    for one in others:
        adversarial = one.outcomes.adversarial.copy()
        adversarial[1, 0] = -1
        lost = replace(one.outcomes, adversarial=adversarial, failures=(FAILED,))
        matrices.append(TransferMatrix.of(lost))
    report = replace(report, curve=replace(report.curve, matrices=(first, *matrices)))
    assert report.metrics["accuracy"] == 1 and np.isnan(report.metrics["robust_accuracy"])


def test_metrics_are_those_of_the_largest_budget(made):
    report = made({"deployed": (40, 100), "second": (10, 20)}, noise=(1, 3))
    assert report.metrics == {
        "rate": 0.5,
        "other_rate": 0.1,
        "deployed_rate": 0.5,
        "noise_rate": 0.015,
        "accuracy": 1.0,
        "robust_accuracy": 0.5,
        "findings": float(sum(advice.severity != "note" for advice in report.findings)),
    }
    frame = report.to_frame()
    assert frame.loc[("other", 0.5), "rate"] == 0.1 and len(frame) == 4


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"roles": {"deployed": "deployed"}}, "roles must have one entry for each of"),
        ({"roles": {"deployed": "deployed", "second": "friend"}}, "roles must be of"),
        (
            {"roles": {"deployed": "other", "second": "other"}},
            "must be the one model whose role is 'deployed'",
        ),
    ],
    ids=str,
)
def test_reports_that_do_not_fit_together_are_refused(changed, message, made):
    with pytest.raises(ValueError, match=message):
        replace(made({"deployed": 1, "second": 1}), **changed)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (share(1, 3), "33 % (6 to 79 %, 1 of 3)"),
        (share(0, 0), "not known (no sample counts)"),
        (share(1, 1000), "0.1 % (< 0.1 to 0.6 %, 1 of 1,000)"),
        (in_percent(np.nan), "-"),
        (in_percent(1.0), "100"),
        (in_percent(0.9996), "> 99.9"),
        (in_percent(0.0001), "< 0.1"),
        (in_percent(0.995), "99.5"),
        (budget(1, "std"), "1 standard deviation"),
        (budget(0.05, "range"), "5 % of the range"),
        (budget(0.05, "input"), "0.05"),
        (budget(2, "eps"), "2 times the generator's budget"),
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
        (listed(list("abcdefgh")), "a, b, c, d, e, f and 2 others"),
        (probability(0.0004), "p < .001"),
        (probability(0.02), "p = .020"),
        (probability(np.nan), "p is not known"),
    ],
)
def test_words(written, text):
    assert written == text
