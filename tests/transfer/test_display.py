"""TransferMatrixDisplay: readable at 3 and at 20 models, alone and on given axes."""

from __future__ import annotations

from itertools import pairwise

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skhalfway import TransferMatrix, TransferMatrixDisplay, TransferScorer


def matrix_of(n):
    rng = np.random.RandomState(n)
    eligible = rng.randint(20, 90, (n, n))
    fooled = (eligible * rng.rand(n, n)).astype(int)
    names = tuple(f"model number {i}" for i in range(n))
    return TransferMatrix(
        names, eligible, fooled, fooled // 2, fooled // 9, np.diag(eligible), np.diag(fooled)
    )


def overlaps(a, b):
    return a.x0 < b.x1 - 1 and b.x0 < a.x1 - 1 and a.y0 < b.y1 - 1 and b.y0 < a.y1 - 1


@pytest.mark.parametrize("n", [3, 20])
@pytest.mark.parametrize("include_intervals", [False, True])
def test_readable(n, include_intervals):
    """Every value stays inside its cell, every label inside the picture and off its neighbours."""
    display = matrix_of(n).plot(include_intervals=include_intervals)
    figure, ax = display.figure_, display.ax_
    figure.draw_without_rendering()
    inverse = ax.transData.inverted()
    for (i, j), text in np.ndenumerate(display.text_):
        box = inverse.transform(text.get_window_extent())
        assert abs(box[:, 0] - j).max() < 0.5 and abs(box[:, 1] - i).max() < 0.5, text.get_text()
        assert text.get_fontsize() >= 5
    labels = [*ax.get_yticklabels(), ax.yaxis.label, ax.xaxis.label, ax.title, *ax.get_xticklabels()]
    boxes = [label.get_window_extent() for label in labels]
    for box in boxes:
        assert box.x0 >= -1 and box.y0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
    for a, b in pairwise(boxes[:n]):
        assert not overlaps(a, b)


def test_says_what_the_matrix_says():
    matrix = matrix_of(4)
    display = TransferMatrixDisplay.from_result(matrix, include_intervals=True, level=0.9)
    np.testing.assert_array_equal(display.im_.get_array(), matrix.rates)
    low, high = matrix.confidence_interval(0.9)
    expected = f"{matrix.rates[1, 2]:.2f}\n{low[1, 2]:.2f}\u2013{high[1, 2]:.2f}".replace("0.", ".")
    assert display.text_[1, 2].get_text() == expected
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == list(matrix.names)
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("target", "source")
    assert f"mean transfer rate .{100 * matrix.mean_rate:.0f}" in display.ax_.get_title()


def test_intervals_hold_all_together():
    matrix = matrix_of(4)
    display = matrix.plot(include_intervals=True, simultaneous=True)
    low, high = matrix.confidence_interval(simultaneous=True)
    assert high[1, 2] - low[1, 2] > 1.2 * np.subtract(*matrix.confidence_interval()[::-1])[1, 2]
    for place in ((1, 2), (0, 3)):
        written = f"{low[place]:.2f}\u2013{high[place]:.2f}".replace("0.", ".")
        assert display.text_[place].get_text().split("\n")[1] == written


def test_options():
    matrix = matrix_of(3)
    figure, ax = plt.subplots()
    display = matrix.plot(ax=ax, include_values=False, colorbar=False, cmap="viridis", im_kw={"alpha": 0.5})
    assert display.ax_ is ax and display.figure_ is figure
    assert display.text_ is None and len(figure.axes) == 1
    assert display.im_.get_cmap().name == "viridis" and display.im_.get_alpha() == 0.5
    assert matrix.plot(text_kw={"fontsize": 3}).text_[0, 0].get_fontsize() == 3


def test_nothing_eligible_is_drawn_as_unknown():
    zeros = np.zeros((2, 2), int)
    display = TransferMatrix(("a", "b"), zeros, zeros, zeros, zeros, zeros[0], zeros[0]).plot()
    assert display.text_[0, 1].get_text().strip() == "-"


def test_from_estimator(iris, iris_models):
    X, y = iris
    scorer = TransferScorer().fit({name: iris_models[name] for name in ("lr", "svm")})
    display = TransferMatrixDisplay.from_estimator(scorer, X, y)
    np.testing.assert_array_equal(display.result.fooled, scorer.transfer(X, y).fooled)


def test_a_matrix_is_drawn_in_one_way():
    with pytest.raises(ValueError, match="a TransferMatrix has one display only; leave kind='lines' out"):
        matrix_of(2).plot("lines")
