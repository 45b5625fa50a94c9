"""The page of an audit as HTML and Markdown: its structure, its figures, and what it does with hostile "
"texts."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from skhalfway import load_result
from skhalfway.report import AttackedColumns, ExposedSample, NearestSamples, compare_reports
from skhalfway.report._content_samples import in_units
from skhalfway.report._private import without_paths
from tests.report.made import curve_of, report_of, with_check
from tests.report.reader import Reader, clean

HOSTILE = "<script>alert(1)</script>|`*x*`&amp;"
NAMES = (HOSTILE, f"{HOSTILE} 2", f"{HOSTILE} 3")
PIXELS = np.arange(16.0).reshape(1, 4, 4)
PAINTED = np.arange(48.0).reshape(3, 4, 4)
IMAGE = ExposedSample(7, "a", "b", "tree", 0.25, 1, before=PIXELS, after=PIXELS + 0.5)
EMPTY = dict.fromkeys(("surrogates", "columns", "nearest", "predicted", "agreement", "retraining"))
UNFOOLED = AttackedColumns(("a",), np.full(1, np.nan), np.full(1, np.nan), 0, 9, 0.25, {})
PAGES = {
    "whole": report_of(),
    "images": report_of(exposed=(IMAGE, replace(IMAGE, name=8, before=PAINTED, after=PAINTED[::-1]))),
    "empty": report_of(
        curve=curve_of(("net", "tree", "surrogate linear"), fooled=(0, 0)), exposed=(), **EMPTY
    ),
    "hostile": report_of(
        NAMES,
        curve=with_check(curve_of(NAMES, classes=("cat", HOSTILE)), NAMES[0], HOSTILE, HOSTILE),
        warnings=(HOSTILE,),
        left_out={"nearest": HOSTILE},
        protocol={HOSTILE: HOSTILE},
        not_tested=(HOSTILE,),
        command=HOSTILE,
        columns=AttackedColumns((HOSTILE,), np.ones(1), np.ones(1), 9, 20, 0.25, {HOSTILE: 2}),
        exposed=(ExposedSample(HOSTILE, HOSTILE, "b", HOSTILE, 0.25, 1, ((HOSTILE, 1.0, 2.0),)),),
    ),
    "comparison": compare_reports(report_of(), report_of(NAMES)),
}
READ = {name: Reader(page.to_html()) for name, page in PAGES.items()}
every_page = pytest.mark.parametrize("read", READ.values(), ids=READ)


@every_page
def test_structure(read):
    """What readers, their keyboards and their programs lean on."""
    html = read.elements[0]
    assert html["tag"] == "html" and html["attrs"]["lang"] == "en"
    assert len(read.all("h1")) == len(read.all("main")) == 1
    assert [title["text"] for title in read.all("title") if "head" in title["within"]] != [""]
    ids = [element["attrs"]["id"] for element in read.elements if "id" in element["attrs"]]
    assert len(set(ids)) == len(ids)
    levels = [int(one["tag"][1]) for one in read.elements if re.fullmatch("h[1-6]", one["tag"])]
    assert levels[0] == 1 and max(np.diff(levels)) <= 1
    targets = [link["attrs"]["href"] for link in read.all("a")]
    assert targets[0] == "#main" and {target[1:] for target in targets} <= set(ids)
    assert {f"#{section['attrs']['id']}" for section in read.all("section")} == set(targets[1:])
    for region in read.all("div"):
        if region["attrs"].get("role") == "region":
            assert region["attrs"]["tabindex"] == "0" and region["attrs"]["aria-labelledby"] in ids
    tables = read.all("table")
    assert len(read.all("caption")) == len(tables) == len(read.tables()) > 0
    assert all(head["attrs"]["scope"] in ("col", "row") for head in read.all("th"))
    assert all(image["attrs"]["alt"] for image in read.all("img"))
    for picture in read.all("svg"):
        hidden = picture["attrs"].get("aria-hidden") == "true"
        assert hidden or picture["attrs"]["aria-labelledby"] in ids


@every_page
def test_nothing_is_fetched(read):
    """Not by elements, not by styles; and what texts hold is not run."""
    for element in read.elements:
        for name in ("src", "href", "action", "data", "xlink:href", "srcset"):
            address = element["attrs"].get(name, "#")
            assert address.startswith(("#", "data:image/png;base64,")), (element["tag"], address)
        assert not any(name.startswith("on") for name in element["attrs"])
    style = read.all("style")[0]["text"]
    assert "url(" not in style and "@import" not in style
    assert len(read.all("script")) == 1 and "alert" not in read.all("script")[0]["text"]
    policy = next(m["attrs"]["content"] for m in read.all("meta") if "http-equiv" in m["attrs"])
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy


def test_hostile_texts_are_shown_as_they_are():
    read = READ["hostile"]
    assert clean(read.all("h1")[0]["text"]) == f"Audit of {HOSTILE}"
    assert sum(HOSTILE in one["text"] for one in read.all("td") + read.all("th")) > 10
    markdown = PAGES["hostile"].to_markdown()
    # apart from the command, which stands in a block of code
    written = re.sub(r"```\n.*?\n```", "", markdown, flags=re.DOTALL)
    assert "<script" not in written.replace("\\<script", "") and r"\*x\*" in written
    for table in re.findall(r"(?:^\|.*\n)+", written, flags=re.MULTILINE):
        columns = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
        assert len(set(columns)) == 1


def test_figures_are_those_of_the_report():
    report, tables = PAGES["whole"], READ["whole"].tables()
    rows = tables["How often net is fooled, by attacker and budget"][1:]
    assert len(rows) == len(report.threats) == 6
    for row, threat in zip(rows, report.threats, strict=True):
        assert row[2].startswith(f"{100 * threat.rate:.0f} %")
        assert f"{threat.fooled} of {threat.n}" in row[2] and f"{threat.noise} of {threat.n}" in row[3]
        assert row[5].startswith("yes" if threat.beyond_noise else "no")
    rows = tables["Transfer between all models within 0.5 standard deviations: share of samples that fool"]
    last = report.curve.matrices[-1]
    assert rows[0][1] == "tried on net (deployed)" and rows[3][0] == "surrogate linear (surrogate)"
    for i, row in enumerate(rows[1:]):
        for j, cell in enumerate(row[1:]):
            assert f"{last.fooled[i, j]} of {last.eligible[i, j]}" in cell
    rows = tables["net in figures, at the largest budget of 0.5 standard deviations"][1:]
    assert [row[1] for row in rows] == ["100 %", "33 %", "67 %", "67 %", "67 %", "2 %"]
    rows = tables["How often net is fooled, by true class"][1:]
    assert [row[0] for row in rows] == ["cat", "dog"] and "20 of 30" in rows[0][1]
    rows = tables["Quantiles of the distance"][1:]
    assert [row[1] for row in rows] == [
        "0.13 standard deviations",
        "0.307 standard deviations",
        "0.53 standard deviations",
        "0.752 standard deviations",
        "not found",
    ]
    rows = tables["Columns, those that decide most often first"][1:]
    assert rows[0][:3] == ["income", "90 %", "75 %"] and "7 of 60" in rows[0][3]
    assert rows[1][3] == "not tried"
    rows = tables["Sample row 7: the columns that were changed most"][1:]
    assert rows == [["income", "1,234", "1,200", "-34"], ["age", "30.0", "31.0", "+1.0"]]
    rows = tables["Share of the samples that are classified correctly"][1:]
    assert "36 of 40" in rows[0][1] and "30 of 40" in rows[1][2] and rows[1][3] == "p < .001"
    rows = tables["Predicted and measured transfer rates"][1:]
    assert rows[0] == ["net", "tree", "40 %", "80 %"] and len(rows) == 6
    text = clean(READ["whole"].all("main")[0]["text"])
    for finding in report.findings:
        assert clean(finding.evidence) in text and clean(finding.action) in text
    for said in (
        *report.verdict.sentences,
        *report.not_tested,
        *report.warnings,
        "upper bounds",
        "4 % (0.7 to",
    ):
        assert clean(said) in text or said == "4 % (0.7 to", said


def test_markdown_has_the_same_figures():
    """Every cell of every table."""
    markdown = PAGES["whole"].to_markdown()
    plain = markdown.replace("\\", "")
    cells = {cell.strip() for line in plain.splitlines() if line.startswith("|") for cell in line.split("|")}
    for title, rows in READ["whole"].tables().items():
        assert f"**{title}**" in plain
        for row in rows:
            for cell in row:
                assert any(
                    cell.replace(" ", "") == re.sub(r" \(([^()]*)\)$", r"\1", c).replace(" ", "") or cell == c
                    for c in cells
                ), cell
    assert markdown.startswith("# Audit of net\n\n**Exposed**\n\n")


@pytest.mark.parametrize(
    ("parts", "anchor", "why"),
    [
        ({"nearest": None, "left_out": {"nearest": "no attack looks in L1"}}, "nearest", "measured: no "
        "attack looks in L1."),
        ({"nearest": None}, "nearest", "it was not requested"),
        ({"columns": None, "left_out": {"columns": "no columns"}}, "columns", "measured: no columns."),
        ({"columns": UNFOOLED}, "columns", "None of them fooled it"),
        ({"exposed": ()}, "exposed", "it was not requested"),
        ({"exposed": (), "seconds": {"exposed": 0.1}}, "exposed", "No sample fooled"),
        ({"predicted": None}, "predicted", "L-infinity or L2, and no constraints"),
        ({"predicted": None, "agreement": None}, "agreement", "it was not requested"),
        ({"retraining": None, "left_out": {"retraining": "it has no fit"}}, "retraining", "it has no fit."),
        ({"retraining": replace(PAGES["whole"].retraining, masked=True)}, "retraining", "may be too good"),
        ({"nearest": NearestSamples(np.full(9, np.inf), "tree", True)}, "nearest", "exact: no smaller "
        "change fools"),
        ({"nearest": NearestSamples(np.full(9, np.inf), "fmn")}, "nearest", "which does not mean that "
        "there is none"),
        ({"warnings": ()}, "warnings", "no warning"),
        ({"curve": replace(PAGES["whole"].curve, masked=None)}, "checks", "not known"),
        ({"curve": replace(PAGES["whole"].curve, masked=[True, False, False])}, "checks",
         "masked gradients or random answers"),
        ({"exposed": (replace(IMAGE, before=np.zeros((2, 4, 4)), after=np.ones((2, 4, 4))),)}, "exposed",
         "Samples of shape (2, 4, 4) are not images"),
        ({}, "repeat", "in Python by skhalfway.audit()"),
        ({"command": "skhalfway audit m.skops"}, "repeat", "skhalfway audit m.skops"),
        ({"partial": True}, "verdict", "Partial: the run was interrupted"),
        ({}, "frameworks", "This is no claim of compliance."),
    ],
)  # fmt: skip
def test_what_is_not_there_is_explained(parts, anchor, why):
    report = report_of(**parts)
    read = Reader(report.to_html())
    section = next(one for one in read.all("section") if one["attrs"]["id"] == anchor)
    assert why in clean(section["text"])
    assert why in report.to_markdown().replace("\\", "")
    assert ("(partial)" in read.all("h1")[0]["text"]) == report.partial


def test_nothing_found_is_not_called_safe():
    """Neither the verdict nor the list of findings does."""
    text = clean(READ["empty"].all("main")[0]["text"])
    assert "There is no finding. That is no proof of safety" in text
    assert not re.search(r"\b(is|are) (safe|robust|secure)\b", text)


def test_pictures():
    images = READ["images"].all("img")
    assert len(images) == 6
    assert len({image["attrs"]["src"] for image in images}) == 6
    assert [image["attrs"]["alt"] for image in images[:2]] == [
        "Sample 7 before, predicted as a",
        "Sample 7 after, predicted as b",
    ]


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (17.99, 17.49, ("17.99", "17.49", "-0.50")),
        (1001.0, 925.0, ("1,001", "925", "-76")),
        (0.00345, 0.0032, ("0.00345", "0.00320", "-0.00025")),
        (0.0, 1.0, ("0.0", "1.0", "+1.0")),
        (2e15, 3e15, ("2e+15", "3e+15", "+1e+15")),
        (5.0, 5.0, ("5", "5", "0")),
    ],
)
def test_digits_tell_before_from_after(before, after, shown):
    assert in_units(before, after) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot read /home/me/data/x.csv: no file", "cannot read x.csv: no file"),
        ("'/home/My Name/x.csv' and \"C:\\Users\\me\\y.csv\"", "'x.csv' and \"y.csv\""),
        ("C:\\Users\\me\\y.csv, ~/models/m.pkl, file:///srv/a/b", "y.csv, m.pkl, b"),
        ("skhalfway audit /srv/m.skops ../d.csv", "skhalfway audit m.skops ../d.csv"),
        (
            "X / 255, and/or, 3/4, https://scikit-learn.org/a/b",
            "X / 255, and/or, 3/4, https://scikit-learn.org/a/b",
        ),
    ],
)
def test_paths_of_the_machine_are_left_out(text, shown):
    assert without_paths(text) == shown
    report = report_of(warnings=(text,))
    assert shown in clean(Reader(report.to_html()).all("main")[0]["text"])


def test_what_no_file_holds_is_a_question_mark(tmp_path):
    """Names of files may hold bytes that are no text, which Python reads as halves of pairs."""
    names = ("net\udcff\x00", "tree", "surrogate linear")
    report = report_of(names, columns=None)
    for write, path in ((report.to_html, "a.html"), (report.to_markdown, "a.md")):
        text = write(tmp_path / path)
        assert "net??" in text and "\x00" not in text
    report.save(tmp_path / "a.json")
    assert load_result(tmp_path / "a.json").deployed == names[0]


def test_files(tmp_path):
    """Each text is written as it is returned, and what was there is replaced or stays whole."""
    report = PAGES["whole"]
    for name, write in {
        "a.html": report.to_html,
        "a.md": report.to_markdown,
        "a.json": report.to_json,
    }.items():
        (tmp_path / name).write_text("old")
        text = write(tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8") == text == write()
    assert load_result(tmp_path / "a.json") == report
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "a.json", "a.md"]
    with pytest.raises(
        ValueError, match="page.html cannot be written: .*; give a file in a folder that exists"
    ):
        report.to_html(tmp_path / "nowhere" / "page.html")
