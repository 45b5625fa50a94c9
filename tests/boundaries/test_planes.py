"""Planes through three samples: their geometry, and the shares on which models agree, in closed form."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import matplotlib

matplotlib.use("agg")

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, logit
from scipy.stats import t
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

import skhalfway._blocks
from skhalfway.boundaries import _planes, _reproducibility
from skhalfway.boundaries._planes import DecisionRegions, decision_regions
from skhalfway.boundaries._reproducibility import Reproducibility, reproducibility

X, Y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])


class Threshold:
    """Says whether the first feature exceeds a value, or the other way round; a black box."""

    def __init__(self, at, swap=False, classes=("no", "yes")):
        self.at, self.swap, self.classes_ = at, swap, np.array(classes)

    def predict(self, X):
        return self.classes_[((X[:, 0] > self.at) != self.swap).astype(int)]


@pytest.fixture(scope="module")
def models():
    return {
        "lr": LogisticRegression(max_iter=1000).fit(X, NAMES[Y]),
        "svm": SVC().fit(X, NAMES[Y]),
        "tree": DecisionTreeClassifier(random_state=0).fit(X, NAMES[Y]),
    }


def triangle(n_features, seed=0):
    return np.random.RandomState(seed).normal(size=(3, n_features))


BOXES = [Threshold(0.0), Threshold(0.3)]


@pytest.mark.parametrize("shape", [(2,), (7,), (500,), (1, 3, 4)])
@pytest.mark.parametrize("scale", [1, 1e-6, 1e6])
def test_the_plane(shape, scale):
    samples = scale * triangle(int(np.prod(shape))).reshape(3, *shape)
    regions = decision_regions(BOXES, samples, resolution=9)
    basis = regions.basis.reshape(2, -1)
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-12)
    a, b, c = samples.reshape(3, -1)
    # Gram-Schmidt, by hand
    first = (b - a) / np.linalg.norm(b - a)
    rest = (c - a) - first * (first @ (c - a))
    np.testing.assert_allclose(basis, [first, rest / np.linalg.norm(rest)], atol=1e-9)
    expected = [[0, 0], [np.linalg.norm(b - a), 0], [first @ (c - a), np.linalg.norm(rest)]]
    np.testing.assert_allclose(regions.anchors, expected, atol=1e-9 * scale)
    # the samples are in the plane, at their own places
    again = a + regions.anchors @ basis
    np.testing.assert_allclose(again, [a, b, c], atol=1e-9 * scale)
    # and what is on the grid is where the grid says
    points = regions.points()
    assert points.shape == (9, 9, *shape)
    at = regions.to_plane(points.reshape(-1, *shape)).reshape(9, 9, 2)
    np.testing.assert_allclose(at[..., 0], np.tile(regions.x, (9, 1)), atol=1e-9 * scale)
    np.testing.assert_allclose(at[..., 1], np.tile(regions.y, (9, 1)).T, atol=1e-9 * scale)
    # a point off the plane has the place of the nearest one on it
    if len(a) > 2:
        off = np.linalg.svd(basis)[2][-1]
        above = (points[2, 3].ravel() + scale * off).reshape(1, *shape)
        np.testing.assert_allclose(regions.to_plane(above), at[None, 2, 3], atol=1e-9 * scale)


@pytest.mark.parametrize("padding", [0, 0.1, 1.5])
def test_the_grid_is_padded(padding):
    regions = decision_regions(BOXES, triangle(5), resolution=21, padding=padding)
    for axis, ends in ((regions.x, regions.anchors[:, 0]), (regions.y, regions.anchors[:, 1])):
        low, high = ends.min(), ends.max()
        width = high - low
        np.testing.assert_allclose(axis, np.linspace(low - padding * width, high + padding * width, 21))
    left, right, bottom, top = regions.extent
    step = regions.x[1] - regions.x[0], regions.y[1] - regions.y[0]
    np.testing.assert_allclose([right - left, top - bottom], 21 * np.array(step))
    np.testing.assert_allclose([left + step[0] / 2, top - step[1] / 2], [regions.x[0], regions.y[-1]])


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_labels_are_what_the_models_say(models, dtype):
    samples = X[[0, 60, 110]].astype(dtype)
    regions = decision_regions(models, samples, resolution=20, n_jobs=2)
    points = regions.points()
    assert points.dtype == dtype and regions.labels.shape == (3, 20, 20)
    assert regions.names == ("lr", "svm", "tree")
    np.testing.assert_array_equal(regions.classes, NAMES)
    for labels, model in zip(regions.labels, models.values(), strict=True):
        np.testing.assert_array_equal(labels.ravel(), model.predict(points.reshape(-1, 4)))
    for i, j in ((0, 1), (1, 2), (2, 2)):
        assert regions.agreement[i, j] == (regions.labels[i] == regions.labels[j]).mean()
    frame = regions.to_frame()
    assert frame.loc[(regions.y[3], regions.x[5]), "tree"] == regions.labels[2, 3, 5]
    # other ways to give the same
    pairs = decision_regions(list(models.items()), pd.DataFrame(samples), resolution=20)
    np.testing.assert_array_equal(pairs.labels, regions.labels)


def test_images_and_torch_modules(monkeypatch):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 2), torch.nn.Flatten(), torch.nn.Linear(16, 3))
    samples = np.random.RandomState(0).normal(size=(3, 2, 3, 3)).astype(np.float32)
    regions = decision_regions([net, net], samples, resolution=11)
    with torch.no_grad():
        said = net(torch.tensor(regions.points().reshape(-1, 2, 3, 3))).argmax(dim=1).numpy()
    np.testing.assert_array_equal(regions.labels[0].ravel(), said)
    np.testing.assert_array_equal(regions.classes, [0, 1, 2])
    assert len(np.unique(said)) > 1 and regions.basis.shape == (2, 2, 3, 3)
    np.testing.assert_array_equal(regions.agreement, np.ones((2, 2)))
    # samples too large for a whole grid at once
    monkeypatch.setattr(skhalfway._blocks, "_MAX_VALUES", 7 * 18)
    np.testing.assert_array_equal(decision_regions([net, net], samples, resolution=11).labels, regions.labels)


def test_half_planes_agree_where_both_are_on_one_side():
    """Through (0, 0), (1, 0), (0, 1), padded by 0.1: x runs from -0.1 to 1.1, and is at stake from a to b."""
    samples = np.array([[0.0, 0], [1, 0], [0, 1]])
    low, high = Threshold(0.205), Threshold(0.605)
    regions = decision_regions(
        {"low": low, "high": high, "not": Threshold(0.605, True)}, samples, resolution=121
    )
    x = np.linspace(-0.1, 1.1, 121)
    between = ((x > 0.205) & (x <= 0.605)).mean()
    assert between == 40 / 121
    expected = np.array([[1, 1 - between, between], [1 - between, 1, 0], [between, 0, 1]])
    np.testing.assert_allclose(regions.agreement, expected)
    assert (regions.labels[0, :, x > 0.205] == "yes").all() and (
        regions.labels[0, :, x < 0.205] == "no"
    ).all()


def test_turning_and_moving_everything_changes_nothing():
    rng = np.random.RandomState(1)
    samples, turn = triangle(4), np.linalg.qr(rng.normal(size=(4, 4)))[0]
    w, shift = rng.normal(size=4), rng.normal(size=4)
    low, high = np.quantile(samples @ w, [0.3, 0.6])

    class Plane(Threshold):
        def __init__(self, w, b):
            super().__init__(b)
            self.w = w

        def predict(self, X):
            return super().predict((X @ self.w)[:, None])

    there = decision_regions([Plane(w, low), Plane(w, high)], samples)
    moved = [Plane(turn @ w, b + shift @ turn @ w) for b in (low, high)]
    here = decision_regions(moved, samples @ turn.T + shift)
    np.testing.assert_allclose(here.anchors, there.anchors, atol=1e-12)
    assert 0.1 < there.agreement[0, 1] < 0.9
    np.testing.assert_array_equal(here.labels, there.labels)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [1e-5, 1, 1e7])
def test_samples_on_a_line(dtype, scale):
    a, b, off = np.random.RandomState(2).normal(size=(3, 40)) * scale
    for third in (a, b, 0.3 * a + 0.7 * b, 3 * a - 2 * b):
        with pytest.raises(ValueError, match="lie on a line"):
            decision_regions(BOXES, np.array([a, b, third], dtype=dtype))
    with pytest.raises(ValueError, match="lie on a line"):
        decision_regions(BOXES, np.array([a, a, b], dtype=dtype))
    near = decision_regions(BOXES, np.array([a, b, 0.3 * a + 0.7 * b + 1e-4 * off], dtype=dtype))
    assert 0 < near.anchors[2, 1] < 1e-3 * scale
    # an axis that is all but rounding still stands upright
    assert abs(near.basis[0] @ near.basis[1]) < 1e-14


def test_regions_are_a_fixed_typed_result(models):
    regions = decision_regions(models, X[[0, 60, 110]], resolution=10)
    assert repr(regions).splitlines()[0] == "DecisionRegions: 3 models on a grid of 10 x 10 points"
    display = regions.plot(include_labels=False)
    assert display.result is regions and len(display.axes_) == 3
    with pytest.raises(FrozenInstanceError):
        regions.names = ()
    for values in (regions.labels, regions.x, regions.samples, regions.anchors, regions.basis):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = values[-1]
    with pytest.raises(ValueError, match=r"points must have shape \(n_points, 4\), got \(4,\)"):
        regions.to_plane(X[0])
    with pytest.raises(ValueError, match=r"labels must have shape \(1, 10, 10\) for 1 names"):
        DecisionRegions(("a",), NAMES, regions.labels, regions.x, regions.y, regions.samples)


@pytest.mark.parametrize("with_labels", [True, False])
def test_reproducibility_is_the_mean_agreement_over_planes(models, with_labels, monkeypatch):
    drawn = []
    draw = _reproducibility._draw
    monkeypatch.setattr(_reproducibility, "_draw", lambda *args: drawn.append(draw(*args)) or drawn[-1])
    given = {"n_planes": 12, "resolution": 15, "padding": 0.2, "random_state": 4}
    y = NAMES[Y] if with_labels else None
    result = reproducibility(models, X, y, **given)
    (triplets,) = drawn
    shares = [decision_regions(models, X[t], resolution=15, padding=0.2).agreement for t in triplets]
    np.testing.assert_allclose(result.scores, np.mean(shares, axis=0))
    np.testing.assert_allclose(result.standard_errors, np.std(shares, axis=0, ddof=1) / np.sqrt(12))
    assert result.mean_score == pytest.approx(result.scores[np.triu_indices(3, 1)].mean())
    if with_labels:
        assert (np.sort(Y[triplets], axis=1) == [0, 1, 2]).all()
    # several planes at once, or parts of one: the same
    for values in (15**2 * 4 * 5, 15**2):
        monkeypatch.setattr(skhalfway._blocks, "_MAX_VALUES", values)
        np.testing.assert_array_equal(reproducibility(models, X, y, **given).scores, result.scores)


def test_reproducibility_of_images_threads_and_order():
    torch.manual_seed(0)
    nets = {name: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(8, 4)) for name in "abc"}
    x = np.random.RandomState(0).normal(size=(30, 2, 2, 2)).astype(np.float32)
    result = reproducibility(nets, x, n_planes=20, resolution=10, random_state=0)
    assert (np.diag(result.scores) == 1).all() and (np.diag(result.standard_errors) == 0).all()
    np.testing.assert_array_equal(result.scores, result.scores.T)
    turned = reproducibility(
        dict(reversed(nets.items())), x, n_planes=20, resolution=10, random_state=0, n_jobs=2
    )
    assert turned.names == ("c", "b", "a")
    np.testing.assert_array_equal(turned.scores, result.scores[::-1, ::-1])
    other = reproducibility(nets, x, n_planes=20, resolution=10, random_state=1)
    assert (other.scores != result.scores).any()
    # different draws of planes are as far apart as standard errors say
    apart = np.abs(other.scores - result.scores)[np.triu_indices(3, 1)]
    assert (apart < 4 * np.hypot(other.standard_errors, result.standard_errors)[np.triu_indices(3, 1)]).all()


def test_reproducibility_of_half_planes():
    """One boundary on the line x = 0, the other nowhere near: they agree on the planes' share right of it."""
    rng = np.random.RandomState(0)
    x = np.column_stack([rng.uniform(-1, 1, 400), rng.normal(size=400)])
    result = reproducibility([Threshold(0.0), Threshold(-1e9)], x, n_planes=400, random_state=0)
    assert result.names == ("threshold-1", "threshold-2")
    # mirror images are as likely
    assert abs(result.scores[0, 1] - 0.5) < 4 * result.standard_errors[0, 1] < 0.1


@pytest.mark.parametrize("labelled", [True, False])
def test_triplets_are_drawn_evenly_and_span_planes(labelled):
    # half of the samples are one point
    x = np.vstack([X[50:60], np.tile(X[60], (10, 1))])
    y = np.repeat(["a", "b", "b", "c", "c"], 4) if labelled else None
    drawn = _reproducibility._draw(x, y, 2000, np.random.RandomState(0))
    assert drawn.shape == (2000, 3) and not _planes.on_a_line(x[drawn]).any()
    assert (np.sort(drawn, axis=1)[:, 1:] > np.sort(drawn, axis=1)[:, :-1]).all()
    if labelled:
        assert (np.sort(y[drawn], axis=1) == ["a", "b", "c"]).all()
    else:
        # the ten apart come up equally often
        counts = np.bincount(drawn.ravel(), minlength=20)[:10]
        assert np.abs(counts - counts.mean()).max() < 5 * np.sqrt(counts.mean())
    # of four classes each three are as likely, however many samples they have
    if labelled:
        y = np.repeat(["a", "b", "c", "d"], [4, 4, 1, 11])
        drawn = _reproducibility._draw(
            np.random.RandomState(0).normal(size=(20, 3)), y, 4000, np.random.RandomState(0)
        )
        missing = [(~(y[drawn] == c).any(axis=1)).mean() for c in "abcd"]
        np.testing.assert_allclose(missing, 0.25, atol=0.03)


def test_reproducibility_is_a_fixed_typed_result(models):
    result = reproducibility(models, X, n_planes=5, resolution=5, random_state=0)
    assert repr(result).startswith("Reproducibility: 3 models, 5 planes, mean score .")
    square = result.to_frame("scores")
    assert square.loc["lr", "tree"] == result.scores[0, 2]
    long = result.to_frame()
    assert long.index.tolist() == [("lr", "svm"), ("lr", "tree"), ("svm", "tree")]
    assert long.loc[("svm", "tree"), "standard_error"] == result.standard_errors[1, 2]
    with pytest.raises(
        ValueError, match=r"value must be one of \[None, 'scores', 'standard_errors'\], got 'mean'"
    ):
        result.to_frame("mean")
    with pytest.raises(FrozenInstanceError):
        result.scores = 1
    with pytest.raises(ValueError, match="read-only"):
        result.scores[0, 0] = 2
    with pytest.raises(ValueError, match="scores must be square, one row for each of 2 names"):
        Reproducibility(("a", "b"), np.ones((3, 3)), np.ones((2, 2)), 1)
    one = reproducibility(models, X, n_planes=1, resolution=5, random_state=0)
    assert np.isnan(one.standard_errors).all() and np.isfinite(one.scores).all()
    assert np.isnan(one.confidence_interval()).all() and "[" not in repr(one).splitlines()[-1]


def test_intervals_of_reproducibility_are_of_a_mean_over_planes():
    scores, errors = np.array([[1.0, 0.8], [0.8, 1.0]]), np.array([[0.0, 0.02], [0.02, 0.0]])
    low, high = Reproducibility(("a", "b"), scores, errors, 25).confidence_interval(0.9)
    # symmetric in the logit, by the delta method
    reach = t.ppf(0.95, 24) * 0.02 / (0.8 * 0.2)
    np.testing.assert_allclose([low[0, 1], high[0, 1]], expit(logit(0.8) + np.array([-reach, reach])))
    assert low[0, 0] == high[0, 0] == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"X": X[:2]}, ValueError, "through 3 samples, X3? holds 2"),
        ({"X": X[:, :3]}, ValueError, "expecting 4 features"),
        ({"X": np.full((3, 4), np.nan)}, ValueError, "missing value"),
        ({"resolution": 1}, ValueError, "resolution must be an integer >= 2, got 1"),
        ({"resolution": 5.0}, ValueError, "resolution must be an integer >= 2, got 5.0"),
        ({"padding": -0.1}, ValueError, "padding must be a finite number >= 0, got -0.1"),
        ({"padding": np.nan}, ValueError, "padding must be a finite number >= 0, got nan"),
        ({"models": [SVC(), SVC()]}, NotFittedError, "model 'svc-1'"),
        ({"models": {"only": SVC().fit(X, Y)}}, ValueError, "at least 2 are needed"),
        (
            {"models": SVC().fit(X, Y)},
            TypeError,
            "^models must be fitted models: a mapping of names to models, .*; got SVC alone, and models are "
            "compared: at least 2 are needed$",
        ),
        ({"models": "svc"}, TypeError, r"^models must be fitted models: .* a sequence of models; got str$"),
        (
            {"models": {1: SVC(), 2: SVC()}},
            TypeError,
            r"^models must be .*; names must be strings, got \[1, 2\]",
        ),
        ({"models": [SVC().fit(X, Y), SVC().fit(X, NAMES[Y])]}, ValueError, "same classes_"),
    ],
)
def test_what_both_refuse(models, change, error, message):
    given = {"models": models, "X": X[[0, 60, 110]]} | change
    args = given.pop("models"), given.pop("X")
    for ask in (decision_regions, reproducibility):
        with pytest.raises(error, match=message):
            ask(*args, **given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_planes": 0}, "n_planes must be an integer >= 1, got 0"),
        ({"y": Y > 0}, r"y holds 2 classes, \[False, True\], but a triplet needs 3; leave y out"),
        ({"y": Y[1:]}, "one label per sample"),
        ({"X": np.outer(np.arange(150), np.ones(4))}, "only 0 are not on a line"),
    ],
)
def test_what_reproducibility_refuses(models, change, message):
    with pytest.raises(ValueError, match=message):
        reproducibility(**{"models": models, "X": X, "y": Y} | change)


def test_the_model_that_fails_is_named(models):
    class Failing(Threshold):
        def predict(self, X):
            raise OSError("the server is down")

    with pytest.raises(RuntimeError, match="model 'far' raised OSError: the server is down"):
        decision_regions({"near": Threshold(0.0), "far": Failing(0.0)}, triangle(3))
