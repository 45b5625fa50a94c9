"""Distances and reproducibility are drawn as they are told, and can be read."""

from __future__ import annotations

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from skhalfway.boundaries import (
    InterBoundaryDistance,
    InterBoundaryDistanceDisplay,
    Reproducibility,
    ReproducibilityDisplay,
)
from tests.readable import check_readable

INF = np.inf


@pytest.fixture(scope="module")
def fitted():
    X, y = load_iris(return_X_y=True)
    return LogisticRegression(max_iter=1000).fit(X, y), SVC().fit(X, y), X, y


@pytest.mark.parametrize(
    ("source", "target", "met", "beyond", "said"),
    [
        ([1, 2, INF], [1.5, 2, 4], [(1, 1.5), (2, 2)], [(5, 4)], "between both 0.5"),
        ([1, 2], [1.5, 2.25], [(1, 1.5), (2, 2.25)], [], "between both 0.375"),
        ([INF, INF], [INF, 3], [], [(5, 5), (5, 3)], "between both inf"),
        ([INF], [INF], [], [(5, 5)], "between both not known"),
        ([], [], [], [], "between both not known"),
    ],
)
def test_distances_are_drawn_by_sample(source, target, met, beyond, said):
    result = InterBoundaryDistance("random", 5.0, np.arange(len(source)), np.array(source), np.array(target))
    display = result.plot(mark_kw={"ms": 4}, line_kw={"color": "r"})
    check_readable(display)
    assert list(map(tuple, display.marks_.get_xydata())) == met
    assert list(map(tuple, display.beyond_.get_xydata())) == beyond
    assert said in display.ax_.get_title() and display.identity_.get_color() == "r"
    assert (display.ax_.get_legend() is None) == (not beyond)


def scores_of(n):
    scores = np.random.RandomState(0).uniform(size=(n, n))
    scores = (scores + scores.T) / 2
    np.fill_diagonal(scores, 1)
    return Reproducibility(tuple(f"model number {i}" for i in range(n)), scores, np.full((n, n), 0.01), 50)


@pytest.mark.parametrize("n", [2, 8, 20])
@pytest.mark.parametrize("include_intervals", [False, True])
def test_scores_are_drawn_by_pair(n, include_intervals):
    result = scores_of(n)
    display = result.plot(include_intervals=include_intervals)
    check_readable(display)
    i, j = 0, n - 1
    lines = display.text_[i, j].get_text().split("\n")
    assert lines[0] == f"{result.scores[i, j]:.2f}"[1:] and len(lines) == 1 + include_intervals
    drawn = np.asarray(display.im_.get_array().filled(np.nan))
    np.testing.assert_array_equal(drawn, np.where(np.eye(n), np.nan, result.scores))
    assert display.text_[0, 0].get_text() == ""


def test_options_and_measuring_at_once(fitted):
    lr, svm, X, y = fitted
    _, ax = plt.subplots()
    display = scores_of(3).plot(ax=ax, include_values=False, colorbar=False, cmap="viridis")
    assert display.ax_ is ax and display.text_ is None and len(ax.figure.axes) == 1
    _, ax = plt.subplots()
    some = slice(None, None, 10)
    display = InterBoundaryDistanceDisplay.from_estimator(
        lr, svm, X[some], y[some], direction="random", max_distance=3.0, random_state=0, plot_kw={"ax": ax}
    )
    assert display.ax_ is ax and isinstance(display.result, InterBoundaryDistance)
    display = ReproducibilityDisplay.from_estimator(
        {"lr": lr, "svm": svm}, X[some], y[some], n_planes=2, random_state=0
    )
    assert isinstance(display.result, Reproducibility)
