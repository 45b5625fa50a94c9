"""Displays of codes: they show what was measured."""

from __future__ import annotations

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from skhalfway.codes import (
    CodeAgreement,
    CodeAgreementDisplay,
    CodeMapDisplay,
    DriftDisplay,
    Homogeneity,
    HomogeneityDisplay,
    code_agreement,
)
from skhalfway.codes._homogeneity import resampled, shuffled


def homogeneity_of(counts, shape, classes):
    rng = np.random.RandomState(0)
    layers = tuple(f"layer {i}" for i in range(len(counts)))
    return Homogeneity(layers, classes, shape, counts, resampled(counts, 20, rng), shuffled(counts, 20, rng))


def test_homogeneity(digits, code_maps, tmp_path):
    display = HomogeneityDisplay.from_estimator(
        code_maps("mlp"), digits.X_test, digits.y_test, n_bootstrap=20, plot_kw={"level": 0.9}
    )
    result = display.result
    assert result.bootstrap["purity"].shape == (3, 20)
    assert len(display.axes_) == 5
    for name, line in display.lines_.items():
        assert line.get_ydata() == pytest.approx(result.values[name])
        assert [label.get_text() for label in line.axes.get_xticklabels()] == list(result.layers)
    assert set(display.control_lines_) == set(display.lines_) - {"n_codes"}
    assert display.control_lines_["purity"].get_ydata() == pytest.approx(result.control["purity"])
    display.figure_.savefig(tmp_path / "homogeneity.png")

    _, (left, right) = plt.subplots(1, 2)
    display = result.plot(
        axes=[left, right], names=["purity", "n_codes"], include_control=False, include_intervals=False
    )
    assert list(display.lines_) == ["purity", "n_codes"]
    assert display.lines_["purity"].axes is left and not display.control_lines_ and not left.collections
    with pytest.raises(ValueError, match=r"names must be of .* got \['size'\]"):
        result.plot(names=["size"])
    with pytest.raises(ValueError, match="axes must hold 5 axes, one for each panel, got 1"):
        result.plot(axes=left)


def test_maps(tmp_path):
    counts = np.array([[[4, 0], [0, 4], [2, 2], [0, 0], [3, 1], [0, 5]]])
    result = homogeneity_of(counts, (2, 3), np.array(["cat", "dog"]))
    display = result.plot(kind="maps")
    shades = np.asarray(display.images_["layer 0"].get_array())
    assert shades.shape == (2, 3, 3)
    labels = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert labels == ["cat", "dog", "no sample"]
    # of two that are as common, the first
    assert [text.get_text() for text in display.text_["layer 0"]] == ["cat", "dog", "cat", "cat", "dog"]
    assert [text.get_position() for text in display.text_["layer 0"]] == [
        (0, 0),
        (1, 0),
        (2, 0),
        (1, 1),
        (2, 1),
    ]
    hues = [to_rgb(patch.get_facecolor()) for patch in display.figure_.legends[0].get_patches()]
    assert shades[0, 0] == pytest.approx(hues[0]) and shades[0, 1] == pytest.approx(hues[1])
    assert shades[0, 2] == pytest.approx(1)  # half and half
    assert shades[1, 1] == pytest.approx((1 + np.array(hues[0])) / 2)  # half way from chance to pure
    (crosses,) = display.axes_[0].collections
    assert crosses.get_offsets().tolist() == [[0, 1]]
    display.figure_.savefig(tmp_path / "maps.png")
    with pytest.raises(ValueError, match=r"layers must be of \['layer 0'\], got \['layer 1'\]"):
        result.plot(kind="maps", layers=["layer 1"])


def test_long_labels_are_numbered_on_maps():
    counts = np.array([[[4, 0], [0, 4], [2, 3], [0, 0]]])
    display = homogeneity_of(counts, (2, 2), np.array(["setosa", "virginica"])).plot(kind="maps")
    labels = [text.get_text() for text in display.figure_.legends[0].get_texts()]
    assert labels == ["1  setosa", "2  virginica", "no sample"]
    assert [text.get_text() for text in display.text_["layer 0"]] == ["1", "2", "2"]
    bare = display.result.plot(kind="maps", include_labels=False, legend=False)
    assert bare.text_ == {"layer 0": []} and not bare.axes_[0].texts and not bare.figure_.legends


@pytest.mark.parametrize("n", [2, 9, 20])
def test_numbers_have_room_in_their_cells(n):
    names = tuple(f"layer_{i}" for i in range(n))
    display = CodeAgreement(names, names, np.full((n, n), 0.25), np.full((n, n), 0.75)).plot()
    display.figure_.canvas.draw()
    for ax in display.axes_:
        cell = ax.get_window_extent().width / n
        assert max(text.get_window_extent().width for text in ax.texts) < cell


def test_legends_lie_above_what_is_drawn(digits, code_maps):
    code_map = code_maps("mlp")
    for result in (
        code_map.homogeneity(digits.X_test, digits.y_test),
        code_map.drift(digits.X_test, digits.X_test + 0.2),
    ):
        display = result.plot()
        display.figure_.canvas.draw()
        ax = display.axes_[0]
        assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1


def test_maps_from_estimator(digits, code_maps):
    display = CodeMapDisplay.from_estimator(
        code_maps("cnn"), digits.X_test, digits.y_test, plot_kw={"layers": ["9"]}
    )
    assert list(display.images_) == ["9"] and len(display.axes_) == 1


def test_drift(digits, code_maps, tmp_path):
    display = DriftDisplay.from_estimator(code_maps("mlp"), digits.X_test, digits.X_test + 0.2)
    for name, line in display.lines_.items():
        assert line.get_ydata() == pytest.approx(getattr(display.result, name))
    assert len(display.axes_) == 2 and len(display.axes_[0].collections) == 2
    display.figure_.savefig(tmp_path / "drift.png")
    plain = display.result.plot(include_intervals=False, legend=False)
    assert not plain.axes_[0].collections and plain.axes_[0].get_legend() is None


@pytest.mark.parametrize("display", [HomogeneityDisplay, CodeMapDisplay, DriftDisplay])
def test_a_network_is_no_map_of_it(digits, nets, display):
    with pytest.raises(TypeError, match="a fitted CodeMap is needed, got MLPClassifier"):
        display.from_estimator(nets("mlp"), digits.X, digits.X)


def test_agreement(digits, code_maps, tmp_path):
    display = CodeAgreementDisplay.from_estimator(code_maps("mlp"), code_maps("cnn"), digits.X_test)
    found = code_agreement(code_maps("mlp"), code_maps("cnn"), digits.X_test)
    assert np.asarray(display.images_["information"].get_array()) == pytest.approx(found.information)
    assert np.asarray(display.images_["cka"].get_array()) == pytest.approx(found.cka)
    assert [label.get_text() for label in display.axes_[0].get_yticklabels()] == list(found.first)
    assert len(display.axes_[0].texts) == 9
    display.figure_.savefig(tmp_path / "agreement.png")
    # what is unknown is drawn and written as such
    unknown = CodeAgreement(("a",), ("b",), np.array([[0.5]]), np.array([[np.nan]])).plot()
    assert unknown.axes_[1].texts[0].get_text().strip() == "-"
