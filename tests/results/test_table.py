"""The one table that results are shown in: text that folds, HTML that can be read."""

from __future__ import annotations

import re

import numpy as np
import pytest

from skhalfway.results._table import Cell, Table, ink_on, luminance, shade_of


def test_text():
    table = Table(
        "Kind: title", ["row", "x"], [["a", Cell(".5", "[.4 .6]")], ["long", Cell("-", framed=True)]], "how"
    )
    assert table.text().splitlines() == ["Kind: title", "how", "row   x", "a     .5 [.4 .6]", "long  (-)"]
    assert Table("Kind: title", notes=["below"]).text() == "Kind: title\nbelow"


def test_wide_tables_go_on_below():
    names = [f"model {k}" for k in range(20)]
    rows = [[name, *(Cell(".50", "[.40 .60]") for _ in names)] for name in names]
    text = Table("Kind", ["source", *names], rows, centred=True).text(100)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    heads = [line for line in lines if line.startswith("source")]
    assert " ".join(heads).replace("source", "").split() == " ".join(names).split()
    assert sum(line.startswith("model 19 ") for line in lines) == len(heads)
    # a column that is wider than that has a line of its own
    wide = Table("Kind", ["", "x" * 200, "y"], [["a", "1", "2"]]).text(100).splitlines()
    assert [len(line) > 100 for line in wide] == [False, True, False, False, False]


@pytest.mark.parametrize("share", np.linspace(0, 1, 21))
def test_ink_can_be_read_on_every_shade(share):
    """WCAG 2.2, success criterion 1.4.3: 4.5 to 1 for text of this size."""
    colour = shade_of(share)
    ink = {"#000": 0.0, "#fff": 1.0}[ink_on(colour)]
    light, dark = sorted([luminance(colour), ink], reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5


def test_luminance_is_that_of_the_guidelines():
    assert luminance(np.array([255, 255, 255])) == pytest.approx(1)
    assert luminance(np.array([255, 0, 0])) == pytest.approx(0.2126)
    # 8-bit grey 119 is the darkest on which black has 4.5
    assert luminance(np.array([119, 119, 119])) == pytest.approx(0.1845, abs=1e-4)


def test_html_states_sizes_and_opaque_colours_and_escapes():
    rows = [
        ["<a>", Cell(".5", "[.4 .6]", shade=0.5, hint='"x" <y>', framed=True)],
        ["b", Cell("-", shade=np.nan)],
    ]
    html = Table("K: <t>", ["", "<h>"], rows, "cap", ["note & more"]).html()
    for text in ("&lt;a&gt;", "&lt;h&gt;", "K: &lt;t&gt;", "note &amp; more", "&quot;x&quot; &lt;y&gt;"):
        assert text in html
    assert "rgba" not in html and "<small" not in html
    # what has no shade takes the colour of the page
    assert html.count("background") == 1 and "color:inherit" in html
    for tag in re.findall(r"<(?:td|th|p)[ >][^>]*", html):
        assert "font-size:13px" in tag
