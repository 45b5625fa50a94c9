"""DecisionRegionsDisplay: it shows what the models say, and is readable with 2 and with 20 models."""

from __future__ import annotations

from dataclasses import replace

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from skhalfway.boundaries import DecisionRegions, DecisionRegionsDisplay, decision_regions
from skhalfway.halfway import crossings
from tests.readable import check_readable

NAMES = ["setosa", "versicolor", "virginica"]


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def models(iris):
    return {
        "lr": LogisticRegression(max_iter=1000).fit(*iris),
        "knn": KNeighborsClassifier(1).fit(*iris),
        "tree": DecisionTreeClassifier(random_state=0).fit(*iris),
    }


def regions_of(n, width=40, height=20, classes=NAMES, crossings=None):
    """Half-planes and a third class above, at places that differ by model."""
    samples = np.array([[0.0, 0.0], [2.0, 0.0], [1.2, 1.0]])
    x, y = np.linspace(-0.5, 2.5, width), np.linspace(-0.3, 1.3, height)
    at = np.linspace(0.8, 1.2, n)[:, None, None]
    index = np.where(y[:, None] > 0.5, 2, np.where(x < at, 0, 1))
    return DecisionRegions(
        tuple(f"model number {i}" for i in range(n)),
        np.array(list(classes)),
        np.array(list(classes))[index],
        x,
        y,
        samples,
        list(classes),
        crossings,
    )


@pytest.mark.parametrize("n", [2, 7, 20])
def test_readable(n):
    check_readable(DecisionRegionsDisplay.from_result(regions_of(n, crossings=np.full((n, 3, 2), 0.5))))


def test_regions_show_labels_and_crossings(iris, models):
    X, y = iris
    three = [0, 50, 100]
    display = DecisionRegionsDisplay.from_estimator(models, X[three], y[three], resolution=40)
    regions = decision_regions(models, X[three], resolution=40, padding=0.35)
    # a class has one colour in all pictures, and no two have the same
    pictures = np.stack([image.get_array() for image in display.ims_])
    for i, label in enumerate(regions.classes):
        shades = np.unique(pictures[regions.labels == label], axis=0)
        assert len(shades) == 1
        np.testing.assert_allclose(display.legend_.get_patches()[i].get_facecolor()[:3], shades[0])
    # crossings are points of the paths where the answer changes
    for name, marks in zip(models, display.crossings_, strict=True):
        found = np.array(marks.get_data()).T
        share = np.array(
            [
                [crossings(models[name], X[[a]], X[[b]]).position[0] for a, b in ((i, j), (j, i))]
                for i, j in ((0, 50), (50, 100), (100, 0))
            ]
        )
        corners = regions.anchors
        expected = [
            [corners[i] + t * (corners[j] - corners[i]), corners[j] + back * (corners[i] - corners[j])]
            for (i, j), (t, back) in zip(((0, 1), (1, 2), (2, 0)), share, strict=True)
        ]
        np.testing.assert_allclose(found, np.reshape(expected, (6, 2)), atol=1e-9)
    halfway = np.array(display.halfway_[0].get_data()).T
    np.testing.assert_allclose(halfway, (regions.anchors + np.roll(regions.anchors, -1, axis=0)) / 2)


def test_labels_stand_in_their_regions():
    regions = regions_of(3, 80, 60, "abc")
    display = regions.plot()
    for m, texts in enumerate(display.text_):
        assert {text.get_text() for text in texts} == set(regions.classes)
        for text in texts:
            j, i = (
                np.abs(grid - at).argmin()
                for grid, at in zip((regions.x, regions.y), text.get_position(), strict=True)
            )
            assert regions.labels[m, i, j] == text.get_text()
    assert "first change" not in [text.get_text() for text in display.legend_.get_texts()]


def test_picture_is_the_right_way_up():
    regions = regions_of(2)
    display = regions.plot()
    image = display.ims_[0]
    assert image.get_extent() == list(regions.extent) and image.origin == "lower"
    shade = image.get_array()[-1, 0]
    virginica = display.legend_.get_patches()[2].get_facecolor()[:3]
    np.testing.assert_allclose(shade, virginica)
    square, *_ = display.samples_[0]
    np.testing.assert_allclose(np.array(square.get_data()).T, regions.anchors)


def test_one_region_only():
    regions = regions_of(2)
    same = np.full(regions.labels.shape, "setosa")
    display = replace(
        regions, labels=same, sample_labels=["setosa"] * 3, crossings=np.full((2, 3, 2), np.nan)
    ).plot()
    assert [text.get_text() for text in display.text_[0]] == ["setosa"]
    assert len(display.legend_.get_patches()) == 1


def test_samples_as_pictures():
    """Grey, and in colours, which come first as in torch."""
    flat = np.random.RandomState(0).rand(3, 12)
    x = y = np.linspace(0, 1, 5)
    for samples, shape in ((flat, (3, 4)), (flat.reshape(3, 3, 2, 2), (3, 2, 2))):
        regions = DecisionRegions(
            ("a", "b"), np.arange(2), np.zeros((2, 5, 5), int), x, y, np.asarray(samples), [0, 1, 1]
        )
        display = regions.plot(image_shape=shape)
        for i, mark in enumerate(display.samples_[1][1:]):
            picture = mark.offsetbox.get_children()[0].get_data()
            expected = flat[i].reshape(shape)
            np.testing.assert_array_equal(
                picture, expected if len(shape) == 2 else expected.transpose(1, 2, 0)
            )


def test_regions_options():
    figure, axes = plt.subplots(2, 1, layout="constrained")
    display = regions_of(2).plot(
        axes=axes,
        include_labels=False,
        image_shape=(1, 2),
        legend=False,
        im_kw={"alpha": 0.5},
        line_kw={"lw": 3},
    )
    assert display.figure_ is figure and list(display.axes_) == list(axes)
    assert display.text_ == [[], []] and display.legend_ is None
    assert display.ims_[0].get_alpha() == 0.5 and display.sides_[1][2].get_linewidth() == 3
    assert display.plot(axes).legend_ is axes[-1].get_legend()


def test_samples_of_unknown_labels_are_numbered(iris, models):
    """Nothing is made up: no label, and no crossing that was not looked for."""
    display = decision_regions(models, iris[0][[0, 50, 100]], resolution=10).plot()
    marks = [mark.offsetbox.get_text() for mark in display.samples_[0][1:]]
    assert marks == ["1", "2", "3"] and display.crossings_ == []
    assert [text.get_text() for text in display.legend_.get_texts()][-2:] == ["sample", "halfway"]


# --- what is refused


REGIONS = regions_of(2)


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (
            lambda: DecisionRegionsDisplay.from_estimator(None, None, None, tol=0),
            ValueError,
            r"tol must be a number in \(0, 1\], got 0",
        ),
        (lambda: DecisionRegionsDisplay("r"), TypeError, "draws a DecisionRegions, got str"),
        (lambda: replace(REGIONS, sample_labels=NAMES[:2]), ValueError, r"one label per sample, .*\(3,\)"),
        (
            lambda: replace(REGIONS, sample_labels=["setosa", "rose", "setosa"]),
            ValueError,
            r"labels that are not among the classes .*\['rose'\]",
        ),
        (
            lambda: replace(REGIONS, crossings=np.zeros((2, 3))),
            ValueError,
            r"crossings must have shape \(2, 3, 2\)",
        ),
        (
            lambda: replace(REGIONS, crossings=np.full((2, 3, 2), 1.5)),
            ValueError,
            "crossings must be between 0 and 1",
        ),
        (
            lambda: REGIONS.plot(axes=[None]),
            ValueError,
            "axes must be 2, one for each model; got 1",
        ),
        (
            lambda: REGIONS.plot(image_shape=(8, 8)),
            ValueError,
            r"image_shape=\(8, 8\) does not fit samples of shape \(2,\)",
        ),
        (
            lambda: REGIONS.plot(image_shape=(2,)),
            ValueError,
            r"image_shape=\(2,\) does not fit",
        ),
    ],
)
def test_refused(draw, error, message):
    with pytest.raises(error, match=message):
        draw()
    assert not plt.get_fignums(), "nothing is drawn before it is checked"
