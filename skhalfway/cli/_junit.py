"""A report as JUnit XML, the format in which continuous integration shows tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from skhalfway.report._private import writable
from skhalfway.results._writing import whole_file

if TYPE_CHECKING:
    from skhalfway.cli._limits import Limit, Outcome
    from skhalfway.report import AuditReport


def write_junit(
    report: AuditReport, outcomes: Sequence[Outcome], limits: Sequence[Limit], path: Path
) -> None:
    """Write a test case for each limit and for each finding.

    A finding fails if a limit rules out its kind; other findings pass. An interrupted run is an error, and
    limits that its figures are within are skipped, as the missing figures may be above them.
    """
    ruled_out = {one.name for one in limits if one.value is None}
    cases = [_case("limits", outcome.name, outcome.said, failed=not outcome.passed) for outcome in outcomes]
    if report.partial:
        for case in cases:
            if case.find("failure") is None:
                ElementTree.SubElement(case, "skipped", message="the run is not complete")
    for number, advice in enumerate(report.findings, start=1):
        text = f"{advice.severity}: {advice.title}\n{advice.evidence}\n{advice.action}"
        # numbered, since two columns or models may have the same finding
        name = f"{number}. {advice.kind}: {advice.title}"
        cases.append(_case("findings", name, text, failed=advice.kind in ruled_out))
    if report.partial:
        case = _case("run", "complete", "", failed=False)
        said = "the run was interrupted; the report rests on a part of the measurements"
        ElementTree.SubElement(case, "error", message=said, type="Interrupted")
        cases.append(case)
    seconds = f"{sum(report.seconds.values()):.3f}"
    counts = {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(int(report.partial)),
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
        "time": seconds,
    }
    root = ElementTree.Element("testsuites", {"name": "skhalfway audit", **counts})
    suite = ElementTree.SubElement(
        root, "testsuite", {"name": writable(f"audit of {report.deployed}"), **counts}
    )
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in {"verdict": report.verdict.headline, **report.metrics}.items():
        ElementTree.SubElement(properties, "property", name=key, value=writable(str(value)))
    suite.extend(cases)
    out = ElementTree.SubElement(suite, "system-out")
    out.text = writable(str(report.verdict))
    ElementTree.indent(root)
    with whole_file(path) as file:
        file.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        file.write(ElementTree.tostring(root, encoding="unicode"))
        file.write("\n")


def _case(group: str, name: str, text: str, *, failed: bool) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase", classname=f"skhalfway.audit.{group}", name=writable(name), time="0"
    )
    if failed:
        failure = ElementTree.SubElement(case, "failure", message=writable(text.splitlines()[0]), type=group)
        failure.text = writable(text)
    elif text:
        ElementTree.SubElement(case, "system-out").text = writable(text)
    return case
