"""Displays of transfer results at any number of models: all that is written can be read, and is right."""

from __future__ import annotations

from dataclasses import replace

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skhalfway import TransferCurve, TransferCurveDisplay, TransferMatrix, TransferMatrixDisplay
from skhalfway.results import Provenance
from skhalfway.transfer import (
    Outcomes,
    Robustness,
    RobustnessDisplay,
    TransferByClassDisplay,
    TransferComparisonDisplay,
)
from tests.readable import check_readable, overlaps

SQUARES = [(1, 1), (2, 2), (3, 3), (8, 8), (20, 20)]
RECTANGLES = [(1, 20), (20, 1), (2, 8), (8, 2), (1, 2), (2, 1), (4, 5)]


def outcomes_of(n_sources, n_targets, *, seed=0, labels=("c0", "c1", "c2"), n_samples=60):
    """Sources that fool the more, the later they come; a square of one is two models."""
    rng = np.random.RandomState(seed)
    names = tuple(f"model number {i}" for i in range(max(n_sources, n_targets, 2)))
    draw = lambda *shape: rng.randint(len(labels), size=(*shape, n_samples))  # noqa: E731
    truth, weak = draw(), np.linspace(0.1, 0.9, n_sources)[:, None, None]

    def mixed(share, *shape):
        return np.where(rng.uniform(size=(*shape, n_samples)) < share, draw(*shape), truth)

    return Outcomes(
        names,
        names[:n_sources],
        names[len(names) - n_targets :],
        np.array(labels),
        truth,
        mixed(0.1, len(names)),
        mixed(0.1, n_targets),
        mixed(0.8, n_sources),
        mixed(weak, n_sources, n_targets),
    )


RECIPE = "Recipe(Momentum(decay=1.0), Variance(n=5, radius=1.5))"
ORIGIN = Provenance("f", {"attack": RECIPE, "norm": np.inf, "eps": 0.1, "eps_unit": "std"}, n_samples=60)


def matrix_of(n_sources, n_targets, **given):
    return TransferMatrix.of(outcomes_of(n_sources, n_targets, **given), provenance=ORIGIN)


def comparison_of(n_sources, n_targets):
    one = outcomes_of(n_sources, n_targets)
    other = replace(one, adversarial=outcomes_of(n_sources, n_targets, seed=1).adversarial)
    larger = replace(ORIGIN, settings={**ORIGIN.settings, "eps": 0.2})
    return TransferMatrix.of(one, provenance=ORIGIN).compare(TransferMatrix.of(other, provenance=larger))


def curve_of(n_sources, n_targets):
    one = outcomes_of(n_sources, n_targets)
    before = replace(
        one,
        own=one.clean[one.source_places],
        noise=one.clean[one.target_places],
        adversarial=np.broadcast_to(one.clean[one.target_places], one.adversarial.shape),
    )
    half = replace(one, adversarial=np.where(np.arange(60) % 2, one.adversarial, before.adversarial))
    matrices = tuple(map(TransferMatrix.of, (before, half, one)))
    fallen = matrices[-1].source_fooled
    fallen = np.stack([0 * fallen, fallen // 2, fallen])
    return TransferCurve([0, 0.1, 0.2], matrices, fallen, provenance=ORIGIN)


def check_all_axes(display):
    """What is written on a colour bar, too, is in the picture, and off the title."""
    check_readable(display)
    figure = display.figure_
    written = [
        text
        for ax in figure.axes
        if ax is not display.ax_
        for text in (ax.yaxis.label, *ax.get_yticklabels())
        if text.get_text()
    ]
    for text in written:
        box = text.get_window_extent()
        assert box.x1 <= figure.bbox.x1 + 1 and box.y0 >= -1, text.get_text()
        assert box.y1 <= figure.bbox.y1 + 1, text.get_text()
        assert not overlaps(box, display.ax_.title.get_window_extent()), text.get_text()


def check_cells(display):
    inverse = display.ax_.transData.inverted()
    for (i, j), text in np.ndenumerate(display.text_):
        box = inverse.transform(text.get_window_extent())
        assert abs(box[:, 0] - j).max() < 0.5 and abs(box[:, 1] - i).max() < 0.5, text.get_text()


# squares of matrices are in test_display too
HEAT_MAPS = {
    "rates": (matrix_of, TransferMatrixDisplay, {}, [(1, 1), (2, 2), (8, 8), *RECTANGLES]),
    "intervals": (
        matrix_of,
        TransferMatrixDisplay,
        {"include_intervals": True},
        [(1, 1), (8, 8), (2, 8), (8, 2)],
    ),
    "classes": (
        lambda *shape: matrix_of(*shape).by_class(),
        TransferByClassDisplay,
        {},
        [(1, 1), (3, 3), (20, 20), (1, 20), (20, 1), (2, 8)],
    ),
    "differences": (
        comparison_of,
        TransferComparisonDisplay,
        {},
        [(1, 1), (3, 3), (20, 20), (1, 20), (20, 1), (8, 2)],
    ),
    "differences with intervals": (
        comparison_of,
        TransferComparisonDisplay,
        {"include_intervals": True},
        [(1, 1), (8, 8), (2, 8), (8, 2)],
    ),
}


def test_titles_say_attack_budget_and_number_of_samples():
    title = matrix_of(2, 3).plot().ax_.get_title()
    assert title.startswith("Recipe(Moment..., Linf eps 0.1 std\n60 samples\nmean transfer rate")
    title = matrix_of(2, 3).by_class().plot().ax_.get_title()
    assert title.startswith("Recipe(Moment..., Linf eps 0.1 std\n60 samples\nhighest transfer rate")
    title = comparison_of(2, 2).plot().ax_.get_title()
    lines = ["Recipe(Moment..., Linf eps 0.2 std", "minus Recipe(..., Linf eps 0.1 std"]
    assert title.splitlines()[:2] == lines and title.splitlines()[2].startswith("60 samples, mean +")
    assert curve_of(2, 2).plot().ax_.get_title() == f"{RECIPE[:31]}..., 60 samples"
    same = matrix_of(2, 2).compare(matrix_of(2, 2)).plot().ax_.get_title()
    assert same.startswith("the other experiment minus the first:\nRecipe(Moment..., Linf eps 0.1 std\n60")
    bare = TransferMatrix.of(outcomes_of(2, 2)).plot().ax_.get_title()
    assert bare.startswith("mean transfer rate")


@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name, (*_, shapes) in HEAT_MAPS.items() for shape in shapes]
)
def test_heat_maps(name, shape):
    result_of, kind, options, _ = HEAT_MAPS[name]
    display = result_of(*shape).plot(**options)
    assert type(display) is kind
    check_all_axes(display)
    check_cells(display)


@pytest.mark.parametrize("shape", [*SQUARES, (1, 20), (20, 1), (2, 8)])
@pytest.mark.parametrize("target", [None, -1])
def test_curves(shape, target):
    curve = curve_of(*shape)
    display = curve.plot(target=None if target is None else curve.targets[target])
    assert type(display) is TransferCurveDisplay
    check_readable(display)
    legend, ax = display.ax_.get_legend(), display.ax_
    assert legend.get_window_extent().x0 >= ax.get_window_extent().x1 - 1
    assert legend.get_window_extent().height <= display.figure_.bbox.height
    # nothing is cut off at the last budget
    low, high = ax.transData.inverted().transform(ax.get_window_extent())
    lines = [line for line in ax.lines if len(line.get_xdata())]
    assert all(low[0] < min(line.get_xdata()) and max(line.get_xdata()) < high[0] for line in lines)
    # two lines differ in more than their colour
    drawn = [*display.targets_.values(), *(bars.lines[0] for bars in display.sources_.values())]
    assert len({(line.get_marker(), str(line._unscaled_dash_pattern)) for line in drawn}) == len(drawn)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 20])
def test_robustness(n):
    o = outcomes_of(n, 1)
    result = Robustness(o.sources, o.classes[o.labels], o.classes[o.clean[0]], o.classes[o.own])
    display = result.plot(level=0.9)
    assert type(display) is RobustnessDisplay
    check_readable(display)
    for place, (bars, (name, share, low, high)) in enumerate(
        zip(display.points_, result.rows(0.9), strict=True)
    ):
        (line, _, (reach,)) = bars
        assert line.get_xydata().tolist() == [[share, place]]
        np.testing.assert_allclose(reach.get_segments()[0][:, 0], [low, high], atol=1e-12)
        assert display.ax_.get_yticklabels()[place].get_text() == name


@pytest.mark.parametrize(
    "labels",
    [("a rather long class name", "b", "another quite long name"), tuple(f"c{k}" for k in range(60))],
)
def test_classes_with_long_names_and_many(labels):
    by_class = matrix_of(3, 3, labels=labels, n_samples=2000).by_class()
    display = by_class.plot()
    display.figure_.draw_without_rendering()
    check_cells(display)
    ax = display.ax_
    for label in ax.get_yticklabels():
        assert label.get_window_extent().x0 >= -1
    assert len(ax.get_yticklabels()) == len(labels)


def test_what_is_known_of_the_attack_is_in_the_title():
    """All of it, within the picture, of the smallest matrix."""
    outcomes = replace(outcomes_of(1, 2), goals=np.zeros((1, 60), int))
    matrix = TransferMatrix.of(outcomes, "source_fooled", goal="target", masked=np.array([True]))
    display = matrix.plot()
    check_all_axes(display)
    title = display.ax_.get_title()
    for text in ('condition="source_fooled"', "label that the attack aims at", "framed", "other attacks"):
        assert text in title
    assert display.ax_.get_yticklabels()[0].get_text() == "model number 0 *"


def test_heat_maps_say_what_the_results_say():
    by_class = matrix_of(3, 2).by_class()
    display = by_class.plot()
    np.testing.assert_array_equal(display.im_.get_array(), by_class.worst)
    for (i, j), text in np.ndenumerate(display.text_):
        rate, n = f"{by_class.worst[i, j]:.2f}"[1:], by_class.worst_eligible[i, j]
        assert text.get_text() == f"{rate} of {n}\n{by_class.worst_sources[i, j]}".rstrip()
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == [
        f"{label} (n = {n})" for label, n in zip(by_class.labels, by_class.n_samples, strict=True)
    ]
    comparison = comparison_of(3, 2)
    display = comparison.plot()
    np.testing.assert_array_equal(display.im_.get_array(), comparison.differences)
    stars = [text.get_text().endswith(" *") for text in display.text_.flat]
    assert stars == comparison.significant.ravel().tolist() and len(set(stars)) == 2
    low, high = display.im_.get_clim()
    assert -low == high == abs(comparison.differences).max()


@pytest.mark.parametrize(
    "result",
    [matrix_of(2, 2), matrix_of(2, 2).by_class(), comparison_of(2, 2)],
    ids=["matrix", "class", "two"],
)
def test_options_of_heat_maps(result):
    _, ax = plt.subplots()
    display = result.plot(ax=ax, include_values=False, colorbar=False, cmap="viridis", im_kw={"alpha": 0.5})
    assert display.ax_ is ax and display.text_ is None and len(ax.figure.axes) == 1
    assert display.im_.get_cmap().name == "viridis" and display.im_.get_alpha() == 0.5
    assert result.plot(text_kw={"color": "blue"}).text_[0, 0].get_color() == "blue"


def test_a_display_draws_its_own_results():
    with pytest.raises(TypeError, match="TransferByClassDisplay draws a TransferByClass, got TransferMatrix"):
        TransferByClassDisplay.from_result(matrix_of(2, 2))
    with pytest.raises(TypeError, match="TransferMatrixDisplay draws a TransferMatrix, got int"):
        TransferMatrixDisplay(3)


def test_a_target_that_is_the_only_source_has_no_threat():
    curve = curve_of(1, 2)
    curve = TransferCurve(curve.eps, curve.matrices, curve.source_fooled)
    with pytest.raises(ValueError, match="no model but 'model number 0' itself was attacked"):
        curve.plot(target="model number 0")
    assert list(curve.plot(target="model number 1").sources_) == ["model number 0"]


def test_a_budget_at_which_nothing_counts_is_left_out():
    """The noise, too: of no rate there is no mean."""
    outcomes = outcomes_of(2, 2)
    wrong = replace(outcomes, clean=(outcomes.labels + 1) % 3 + np.zeros((2, 1), int))
    matrix = TransferMatrix.of(wrong)
    display = TransferCurve([0, 1], (matrix, matrix), np.zeros((2, 2), int)).plot(target="model number 1")
    assert np.isnan(display.noise_.get_ydata()).all()
