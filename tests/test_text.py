"""How figures are written: one number in one way, in tables, sentences, drawings and warnings."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import skhalfway
from skhalfway import TransferMatrix
from skhalfway._text import all_signed, between, percent, rounded, short, signed
from skhalfway.displays._style import figure_text


@pytest.mark.parametrize(
    ("count", "n", "decimals", "hundredths"),
    [
        (161, 200, ".81", "81%"),  # 80.5, to the nearest even one, was 80%
        (29, 200, ".14", "14%"),
        (1, 8, ".12", "12%"),
        (3, 8, ".38", "38%"),
        (1, 200, ".01", "1%"),
        (199, 200, ".99", "99%"),
        (29, 100, ".29", "29%"),
        (57, 100, ".57", "57%"),
        (399, 400, ".998", "99.8%"),  # was 1.0
        (996, 1000, ".996", "99.6%"),
        (999, 1000, ".999", "99.9%"),
        (99999, 100000, ".99999", "99.999%"),
        (0, 5, ".00", "0%"),
        (5, 5, "1.0", "100%"),
    ],
)
def test_a_rate_is_rounded_in_one_way(count, n, decimals, hundredths):
    rate = count / n
    assert (short(rate), percent(rate), figure_text(rate)) == (decimals, hundredths, decimals)
    matrix = TransferMatrix(
        ("a", "b"), np.full((2, 2), n), *[np.full((2, 2), count)] * 3, np.full(2, n), np.full(2, count)
    )
    assert decimals in repr(matrix) and f">{decimals}<" in matrix._repr_html_()
    said = f"fooled by {hundredths} of the samples made on b; by noise of the same size, {hundredths}."
    assert said in matrix.describe()
    assert matrix.plot().text_[0, 1].get_text() == decimals


def test_every_percentage_of_a_hundredth_is_whole():
    assert [percent(k / 100) for k in range(101)] == [f"{k}%" for k in range(101)]
    for rate in np.random.RandomState(0).uniform(size=2000).round(3).tolist():
        assert float(percent(rate)[:-1]) == round(100 * float(short(rate)), 1)
        assert (short(rate) == "1.0") == (rate == 1)
    assert short(1 - 1e-15) == "1.0" and short(-0.997) == "-.997" and rounded(0.997) == "1.0"
    assert between(0.9, 0.998) == "[.90 1.0]"  # ends of intervals are rounded
    assert percent(np.nan) == short(np.nan)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ((0.12, -0.3, 1.0), ["+.12", "-.30", "+1.0"]),
        ((0.0, -0.0, 1e-17, -1e-17), [".00", ".00", ".00", ".00"]),
        ((0.0025, 0.0004, 0.0063), ["+.0025", "+.0004", "+.0063"]),
        ((0.0025, 0.0, 0.0063), ["+.003", ".000", "+.006"]),  # without 0, three decimals show all signs
        ((0.003, -0.001, 0.0063), ["+.003", "-.001", "+.006"]),
        ((-0.004,), ["-.004"]),
        ((0.2, np.nan), ["+.20", " - "]),
    ],
)
def test_differences_show_their_signs(values, texts):
    assert all_signed(*values) == texts
    assert signed(values[0]) == all_signed(values[0])[0]


def test_no_rate_is_written_past_it():
    """Python's own percentages round another number: a hundred times the rate."""
    for file in Path(skhalfway.__file__).parent.rglob("*.py"):
        if file.parent.name == "lessons":  # scripts of students, who print with Python alone
            continue
        assert not re.search(r":\.\d+%\}", file.read_text(encoding="utf-8")), file.name
