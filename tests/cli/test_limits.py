"""Limits and JUnit XML: which figures pass, and what continuous integration is told."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from skhalfway.cli._junit import write_junit
from skhalfway.cli._limits import KINDS, LEAST, METRICS, judged, limit, unknowable
from skhalfway.report._advice import KINDS as ALL_KINDS


def test_names_are_those_of_reports(report):
    assert set(report.metrics) == set(METRICS) - {"surrogate_rate"}  # no surrogates were trained
    assert KINDS == tuple(ALL_KINDS)


def test_limits(report):
    """The figure itself passes; anything beyond does not: above, and for accuracies below."""
    for name, figure in report.metrics.items():
        inside, outside = (-1, 1) if name in LEAST else (1, -1)
        for value, passes in (
            (figure, True),
            (figure + 0.01 * inside, True),
            (figure + 0.01 * outside, False),
        ):
            outcome = judged(report, [limit(f"{name}={float(value)!r}")])[0]
            assert outcome.passed == passes, (name, value)
            assert f"{name} " in outcome.said and ("is not" in outcome.said) == passes
    assert limit("0.3") == limit("rate=0.3")
    found = {advice.kind for advice in report.findings}
    assert "own_attack" in found
    not_looked_for = {"column", "retraining"}  # no part was measured
    for kind in KINDS:
        outcome = judged(report, [limit(f"kind:{kind}")])[0]
        assert outcome.passed == (kind not in found | not_looked_for)
        assert ("is not known" in outcome.said) == (kind in not_looked_for)
    left_out = replace(report, left_out={"columns": "images have no columns"})
    assert judged(left_out, [limit("kind:column")])[0].said.endswith("not known: images have no columns")


@pytest.mark.parametrize(
    ("text", "parts", "why"),
    [
        ("kind:column", ["exposed"], "add columns to --parts"),
        ("kind:retraining", ["none"], "add retraining to --parts"),
        ("kind:column", ["columns"], ""),
        ("kind:column", ["all"], ""),
        ("kind:masked", ["none"], ""),
    ],
)
def test_limits_of_what_is_not_measured_are_refused(text, parts, why):
    assert unknowable([limit(text)], n_models=1, surrogates=True, parts=parts).endswith(why)


def test_figures_close_to_a_limit_are_told_apart(report):
    figure = report.metrics["rate"]
    said = judged(report, [limit(f"rate={round(figure, 9) - 1e-9!r}")])[0].said
    shown, allowed = said.removeprefix("rate ").split(" is above ")
    assert float(shown) > float(allowed)


def test_in_doubt_nothing_passes(report):
    """Few samples count, so a rate of 0 would mean nothing; an unknown figure passes no limit either."""
    few = replace(report, curve=report.curve.subset(np.arange(20)))
    limits = [limit("rate=1"), limit("kind:masked")]
    assert [outcome.passed for outcome in judged(few, limits)] == [True, True, False]
    assert "at least 30 are needed" in judged(few, limits)[-1].said
    assert all(outcome.passed for outcome in judged(few, limits, accept_doubts=True))
    assert all(outcome.passed for outcome in judged(report, limits))
    assert [outcome.passed for outcome in judged(few, [limit("accuracy=0.5")])] == [True]
    unknown = judged(report, [limit("surrogate_rate=1")])[0]
    assert not unknown.passed and unknown.said == "surrogate_rate is not known"


@pytest.mark.parametrize("partial", [False, True])
def test_junit(report, tmp_path, partial):
    report = replace(report, partial=partial)
    limits = [limit("rate=0"), limit("accuracy=0"), limit("kind:own_attack")]
    outcomes = judged(report, limits)
    write_junit(report, outcomes, limits, tmp_path / "junit.xml")
    root = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert root.tag == "testsuites" and [suite.tag for suite in root] == ["testsuite"]
    suite = root[0]
    cases = suite.findall("testcase")
    names = [case.get("name") for case in cases]
    assert len(set(names)) == len(cases) == len(outcomes) + len(report.findings) + partial
    failing = [case for case in cases if case.find("failure") is not None]
    assert {case.get("name") for case in failing[:2]} == {"rate=0", "kind:own_attack"}
    assert all(": own_attack" in f" {case.get('name')}".replace(". ", ": ") for case in failing[2:])
    errors = suite.findall("testcase/error")
    assert len(errors) == partial
    for counted in (root, suite):
        given = {key: counted.get(key) for key in ("tests", "failures", "errors", "skipped")}
        assert given == {
            "tests": str(len(cases)),
            "failures": str(len(failing)),
            "errors": str(int(partial)),
            "skipped": str(2 * partial),  # accuracy, and that the figures can be trusted
        }
    evidence = " ".join(case.findtext("failure") or case.findtext("system-out") or "" for case in cases)
    assert "<b>?" in evidence  # XML cannot hold all that a name may
    assert {one.get("name") for one in suite.iter("property")} == {"verdict", *report.metrics}
