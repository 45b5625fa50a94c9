"""HTML of results: every colour opaque, every text of a stated size, ink that can be read, all escaped."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from skhalfway import TransferCurve, TransferMatrix
from skhalfway._text import shown
from skhalfway.engine import StoreInfo
from skhalfway.models import Finding, ModelCheck
from skhalfway.results import ConfidenceInterval, Provenance
from skhalfway.results._table import luminance
from skhalfway.transfer import Outcomes, Robustness

NAMES = tuple(f"<b>{k}</b> & co" for k in range(21))


def outcomes_of():
    """Source k fools k of 20 samples: every rate from 0 to 1."""
    clean = np.zeros((21, 20), dtype=int)
    made = np.broadcast_to((np.arange(20) < np.arange(21)[:, None]).astype(int)[:, None], (21, 21, 20))
    classes = np.array(["<script>alert(1)</script>", "b"])
    return Outcomes(NAMES, NAMES, NAMES, classes, clean[0], clean, clean, made[:, 0], made)


CHECK = ModelCheck(
    NAMES[0],
    20,
    2,
    1.0,
    ConfidenceInterval(0.8, 1.0),
    (Finding("scale", "warning", "1 < 2 & <i>so</i>", "<u>do</u>"),),
)
ORIGIN = Provenance("f", {"attack": "<a>", "eps": 0.1, "norm": np.inf}, costs={NAMES[1]: {"queries": 3}})
MATRIX = TransferMatrix.of(
    outcomes_of(), checks={NAMES[0]: CHECK}, masked=np.arange(21) % 2 == 0, provenance=ORIGIN
)
RESULTS = {
    "matrix": MATRIX,
    "by class": MATRIX.by_class(),
    "comparison": MATRIX.compare(MATRIX),
    "curve": TransferCurve(
        [0, 1], (MATRIX, MATRIX), np.tile(MATRIX.source_fooled, (2, 1)), provenance=ORIGIN
    ),
    "robustness": Robustness(NAMES[:2], np.zeros(3, int), np.zeros(3, int), np.eye(2, 3, dtype=int)),
    "check": CHECK,
    "nothing": MATRIX.subset([]),
}


class Reader(HTMLParser):
    """Every piece of text, with the styles of the elements around it."""

    def __init__(self, html):
        super().__init__()
        self.open, self.texts, self.tags = [], [], set()
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag == "br":
            return
        parts = dict(attributes).get("style", "").split(";")
        self.open.append((tag, dict(part.split(":", 1) for part in parts if part)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        styles = {}
        for _, style in self.open:
            styles |= style
        self.texts.append((data, styles))


def rgb(colour):
    digits = colour.removeprefix("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    assert re.fullmatch("[0-9a-f]{6}", digits), f"{colour} is not opaque"
    return np.array([int(digits[k : k + 2], 16) for k in (0, 2, 4)])


@pytest.mark.parametrize("name", RESULTS)
def test_it_can_be_read_on_any_page(name):
    """A cell with a colour behind has its own ink, of contrast 4.5 (WCAG 2.2, 1.4.3); others the page.s."""
    reader = Reader(RESULTS[name]._repr_html_())
    assert not reader.open and not reader.tags & {"small", "script", "style", "font", "b", "i", "u", "a"}
    shaded = 0
    for text, style in reader.texts:
        size = style.get("font-size", "")
        assert re.fullmatch(r"\d+px", size) and int(size[:-2]) >= 10, text
        if "background" not in style:
            assert style.get("color", "inherit") == "inherit", text
            continue
        shaded += 1
        light, dark = sorted((luminance(rgb(style[part])) for part in ("background", "color")), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, style)
    assert (shaded > 0) == (name in ("matrix", "by class", "curve")), "colours are those of rates"


@pytest.mark.parametrize("name", RESULTS)
def test_html_says_what_the_text_says(name):
    """Every word of the text, and what models and labels are called as it is."""
    result = RESULTS[name]
    written = "".join(text + " " for text, _ in Reader(result._repr_html_()).texts)
    words = set(re.findall(r"[^\s()]+", repr(result)))
    shown = set(re.findall(r"[^\s()]+", written))
    assert words <= shown, sorted(words - shown)[:5]
    assert "<b>0</b> & co" in written
    if result.provenance is not None:
        assert all(line in written for line in result.provenance.lines())


def test_every_rate_has_its_cell():
    """Interval, counts and noise of it too."""
    html = MATRIX._repr_html_()
    for k in range(21):
        assert f'title="{k} of 20; noise .00"' in html
    # a source on itself is set apart
    assert html.count("outline:1px dashed") == 21


RECORDS = {
    "finding": CHECK.findings[0],
    "provenance": ORIGIN,
    "store": StoreInfo(Path("kept"), 3, 4_000, 0),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_shows_its_fields(name):
    record = RECORDS[name]
    reader = Reader(record._repr_html_())
    written = [text for text, _ in reader.texts]
    assert not reader.open and written[0] == type(record).__name__
    for field in fields(record):
        value = getattr(record, field.name)
        told = value if isinstance(value, str) else shown(value)
        assert written[written.index(field.name) + 1] == told
    assert all(re.fullmatch(r"\d+px", style["font-size"]) for _, style in reader.texts)


def test_every_public_dataclass_of_results_has_html():
    """Estimators have that of scikit-learn; pieces of attacks, and what users write, are code."""
    packages = ("models", "transfer", "engine", "report", "results", "halfway", "boundaries", "structure",
                "inspection", "codes", "training", "perturbation", "perturbation.theory")  # fmt: skip
    found = [
        getattr(module, name)
        for module in (import_module(f"skhalfway.{package}") for package in packages)
        for name in module.__all__
    ]
    records = [one for one in found if isinstance(one, type) and is_dataclass(one)]
    assert len(records) > 40
    assert [one.__name__ for one in records if not hasattr(one, "_repr_html_")] == ["Outcomes"]
