"""Displays of the framework: they show what was measured, and are readable with 2 and with 20 models."""

from __future__ import annotations

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from skhalfway import TransferMatrix
from skhalfway.halfway import (
    AgreementDisplay,
    CrossingsDisplay,
    HalfwayMeasurement,
    HalfwayScorer,
    PredictedTransfer,
    PredictedTransferDisplay,
    crossings,
)
from tests.readable import check_readable


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


def measurement_of(n, n_pairs=60):
    rng = np.random.RandomState(n)
    counted = rng.rand(n, n_pairs) < 0.8
    shared = rng.beta(4, 4, n_pairs)
    found = np.clip(shared + rng.uniform(0.02, 0.5, (n, 1)) * rng.randn(n, n_pairs), 0, 1)
    names = tuple(f"model number {i}" for i in range(n))
    pairs = np.arange(2 * n_pairs).reshape(n_pairs, 2)
    return HalfwayMeasurement(names, pairs, np.ones(n_pairs), found, counted)


def transfer_of(n):
    rng = np.random.RandomState(n)
    measured = rng.rand(n, n)
    return np.clip(measured + 0.1 * rng.randn(n, n), 0, 1), measured, [f"model number {i}" for i in range(n)]


DRAW = {
    "crossings": lambda n: CrossingsDisplay.from_result(measurement_of(n)),
    "crossings alone": lambda n: CrossingsDisplay.from_result(measurement_of(n), include_values=False),
    "agreement": lambda n: AgreementDisplay.from_result(measurement_of(n)),
    "agreement with intervals": lambda n: AgreementDisplay.from_result(
        measurement_of(n), include_intervals=True
    ),
    "prediction": lambda n: PredictedTransfer(*transfer_of(n)).plot(),
}


@pytest.mark.parametrize("n", [2, 7, 20])
@pytest.mark.parametrize("name", DRAW)
def test_readable(name, n):
    check_readable(DRAW[name](n))


# --- crossings


def test_crossings_say_what_the_measurement_says():
    measurement = measurement_of(3)
    display = measurement.plot(bins=10, level=0.9)
    low, high = measurement.confidence_interval(0.9)
    for i, (bar, mark) in enumerate(zip(display.bars_, display.medians_, strict=True)):
        own = measurement.crossings[i, measurement.counted[i]]
        counts = np.histogram(own, np.linspace(0, 1, 11))[0]
        heights, edges, base = bar.get_data()
        np.testing.assert_allclose((heights - base) / (heights - base).max(), counts / counts.max())
        np.testing.assert_allclose(edges, np.linspace(0, 1, 11))
        assert mark.get_xdata()[0] == np.median(own)
        median, deviation, left_out = (text.get_text() for text in display.text_[i])
        assert median == f"{np.median(own):.2f}".lstrip("0")
        numbers = (measurement.deviation[i], low[i], high[i])
        assert deviation == "{:.3f} [{:.3f} {:.3f}]".format(*numbers).replace("0.", ".")
        assert left_out == f"{1 - measurement.counted[i].mean():.0%}"
    assert display.halfway_.get_xdata() == [0.5, 0.5]
    ticks = zip(display.ax_.get_yticks(), display.ax_.get_yticklabels(), strict=True)
    rows = [name.get_text() for _, name in sorted(ticks, key=lambda tick: -tick[0])]
    assert rows == list(measurement.names), "the first model is on top"


def test_crossings_exactly_halfway_are_in_the_middle_bin(iris, models):
    """Those of a nearest neighbour on the two samples themselves."""
    X, y = iris
    pair = np.array([0, 60])
    knn = KNeighborsClassifier(1).fit(X[pair], y[pair])
    found = crossings(knn, X[[0]], X[[60]]).position[None]
    measurement = HalfwayMeasurement(("1-nn",), pair[None], np.ones(1), found, np.ones((1, 1), bool))
    heights, edges, base = measurement.plot().bars_[0].get_data()
    (full,) = np.flatnonzero(heights - base)
    np.testing.assert_allclose(edges[full] + edges[full + 1], 1)


def test_model_of_which_no_pair_counts():
    measurement = measurement_of(2)
    none = measurement.counted.copy()
    none[1] = False
    display = HalfwayMeasurement(
        measurement.names, measurement.pairs, measurement.lengths, measurement.crossings, none
    ).plot()
    assert display.medians_[0] is not None and display.medians_[1] is None
    assert [text.get_text() for text in display.text_[1]] == ["\u2013", "\u2013", "100%"]


def test_crossings_options():
    figure, ax = plt.subplots()
    display = measurement_of(2).plot(
        ax=ax,
        include_values=False,
        bar_kw={"fc": "w"},
        line_kw={"color": "r"},
        median_kw={"marker": "o"},
    )
    assert display.ax_ is ax and display.figure_ is figure and display.text_ is None
    assert display.bars_[0].get_facecolor() == (1, 1, 1, 1)
    assert display.halfway_.get_color() == "r" and display.medians_[0].get_marker() == "o"
    assert measurement_of(2).plot(text_kw={"fontsize": 3}).text_[0, 0].get_fontsize() == 3


# --- agreement


def test_agreement_says_what_the_measurement_says():
    measurement = measurement_of(4)
    display = measurement.plot("agreement", include_intervals=True, level=0.9)
    off = ~np.eye(4, dtype=bool)
    np.testing.assert_array_equal(display.im_.get_array()[off], measurement.agreement[off])
    assert np.ma.getmaskarray(display.im_.get_array())[~off].all()
    assert display.im_.get_clim() == (-1, 1)
    low, high = measurement.confidence_interval(0.9, of="agreement")
    for i, j in np.argwhere(off):
        value, interval = display.text_[i, j].get_text().replace("\u2212", "-").split("\n")
        ends = interval.split(" to " if " to " in interval else "\u2013")
        np.testing.assert_allclose(float(value), measurement.agreement[i, j], atol=0.0051)
        np.testing.assert_allclose([float(end) for end in ends], [low[i, j], high[i, j]], atol=0.0051)
    assert [text.get_text() for text in display.text_.diagonal()] == [""] * 4
    assert f"{measurement.mean_agreement:.2f}".lstrip("0") in display.ax_.get_title()


def test_negative_and_unknown_agreement_are_written():
    found = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.1, 0.2], [0.5, 0.5, 0.5, 0.5]])
    measurement = HalfwayMeasurement(
        ("up", "down", "flat"), np.arange(8).reshape(4, 2), np.ones(4), found, np.ones((3, 4), bool)
    )
    display = measurement.plot("agreement")
    assert display.text_[0, 1].get_text() == "\u2212.80"
    assert display.text_[0, 2].get_text().strip() == "-"


def test_nothing_known_is_drawn():
    nothing = HalfwayMeasurement(
        ("a", "b"), [[0, 1], [2, 3]], np.ones(2), np.full((2, 2), np.nan), np.zeros((2, 2), bool)
    )
    display = nothing.plot("agreement", include_intervals=True)
    assert np.ma.getmaskarray(display.im_.get_array()).all()
    assert nothing.plot().medians_ == [None, None]
    display = PredictedTransfer(np.full((2, 2), np.nan), np.eye(2), ["a", "b"]).plot()
    assert "0 pairs" in display.ax_.get_title("left") and np.isnan(display.rho_).all()


def test_agreement_options():
    figure, ax = plt.subplots()
    display = measurement_of(3).plot(
        "agreement", ax=ax, include_values=False, colorbar=False, cmap="viridis", im_kw={"vmin": 0}
    )
    assert display.ax_ is ax and display.figure_ is figure and len(figure.axes) == 1
    assert display.text_ is None
    assert display.im_.get_cmap().name == "viridis" and display.im_.get_clim() == (0, 1)


def test_from_estimator(iris, models):
    scorer = HalfwayScorer(n_pairs=50, random_state=0).fit(models)
    expected = scorer.measure(*iris)
    for display in (CrossingsDisplay, AgreementDisplay):
        measured = display.from_estimator(scorer, *iris).result
        np.testing.assert_array_equal(measured.crossings, expected.crossings)


# --- predicted transfer


def test_rank_correlations_are_spearmans():
    """Against the definition: Pearson's correlation of ranks."""
    predicted, measured, names = transfer_of(6)
    measured[2, 3] = predicted[4, 1] = np.nan
    display = PredictedTransfer(predicted, measured, names).plot()
    known = ~np.eye(6, dtype=bool) & ~np.isnan(predicted + measured)

    def rho(where):
        return np.corrcoef(rankdata(predicted[where]), rankdata(measured[where]))[0, 1]

    rows = [np.where(np.arange(6)[:, None] == i, known, False) for i in range(6)]
    np.testing.assert_allclose(display.rho_.overall, rho(known))
    np.testing.assert_allclose(display.rho_.within_source, np.mean([rho(row) for row in rows]))
    columns = [np.where(np.arange(6) == j, known, False) for j in range(6)]
    np.testing.assert_allclose(display.rho_.within_target, np.mean([rho(column) for column in columns]))
    assert f"{known.sum()} pairs" in display.ax_.get_title("left")
    assert f"{display.rho_.overall:.2f}".lstrip("0") in display.ax_.get_title("left")


def test_rank_correlations_ignore_the_diagonal_and_know_their_limits():
    predicted, measured, names = transfer_of(4)
    rho = PredictedTransfer(predicted, measured, names).plot().rho_
    np.fill_diagonal(predicted, 0.5)
    assert PredictedTransfer(predicted, measured, names).correlation == rho
    assert PredictedTransfer(measured, measured, names).plot().rho_ == (1, 1, 1)
    constant = PredictedTransfer(np.full((4, 4), 0.5), measured, names).plot().rho_
    assert np.isnan(constant).all()
    predicted[:, 0] = 0.5
    assert np.isfinite(PredictedTransfer(predicted, measured, names).plot().rho_).all()


def test_marks_are_the_pairs():
    predicted, measured, names = transfer_of(5)
    display = PredictedTransfer(predicted, measured, names).plot()
    styles = set()
    for j, name in enumerate(names):
        sources = np.arange(5) != j
        np.testing.assert_array_equal(display.marks_[name].get_xdata(), predicted[sources, j])
        np.testing.assert_array_equal(display.marks_[name].get_ydata(), measured[sources, j])
        styles.add(display.marks_[name].get_marker())
    assert len(styles) == 5, "targets are told apart without colours"


@pytest.mark.parametrize(
    ("scale", "identity", "drawn"), [(1, None, True), (3, None, False), (3, True, True), (1, False, False)]
)
def test_identity_line_is_for_rates(scale, identity, drawn):
    predicted, measured, names = transfer_of(4)
    display = PredictedTransfer(scale * predicted, measured, names).plot(identity=identity, legend=False)
    assert (display.identity_ is not None) == drawn
    assert ("rate" in display.ax_.get_xlabel()) == drawn
    assert display.ax_.get_legend() is None


@pytest.mark.parametrize(
    ("change", "predicts", "label"),
    [
        (lambda p: p, "rate", "predicted transfer rate"),
        (lambda p: (p + p.T) / 2 * (1 - np.eye(4)) + np.eye(4), "agreement", "agreement"),
        # of crossings that have nothing in common, and of pairs that are not known
        (lambda p: np.eye(4) - (1 - np.eye(4)) / 2, "agreement", "agreement"),
        (lambda p: np.where(np.eye(4) == 1, 1 - 1e-12, np.nan), "agreement", "agreement"),
        (lambda p: np.diag([1, 1, 1, np.nan]), "agreement", "agreement"),
        (lambda p: p * (1 - np.eye(4)) + np.eye(4), "rate", "predicted transfer rate"),
        (lambda p: (p + p.T) / 2 * (1 - np.eye(4)) + np.eye(4) / 2, "rate", "predicted transfer rate"),
        (lambda p: 3 * p, "figure", "prediction"),
    ],
)
def test_an_agreement_is_not_drawn_as_a_rate(change, predicts, label):
    predicted, measured, names = transfer_of(4)
    result = PredictedTransfer(change(predicted), measured, names)
    display = result.plot()
    assert result.predicts == predicts and display.ax_.get_xlabel() == label
    assert (display.identity_ is not None) == (predicts == "rate")
    assert result.plot(identity=False, xlabel="halfway agreement").ax_.get_xlabel() == "halfway agreement"


def test_predicted_from_estimator(iris, models):
    X, y = iris
    counts = np.arange(9).reshape(3, 3)
    measured = TransferMatrix(
        tuple(models), counts + 9, counts, counts, counts, np.full(3, 20), np.full(3, 9)
    )
    scorer = HalfwayScorer(random_state=0).fit(models)
    display = PredictedTransferDisplay.from_estimator(scorer, X, y, measured, eps=0.5)
    np.testing.assert_array_equal(display.result.predicted, scorer.predict_transfer(X, y, eps=0.5))
    np.testing.assert_array_equal(display.result.measured, measured.rates)
    assert display.result.names == tuple(models)
    assert display.result.provenance.settings["eps"] == 0.5
    others = HalfwayScorer().fit({"a": models["lr"], "b": models["knn"]})
    with pytest.raises(ValueError, match=r"names are \['a', 'b'\], but measured has \['lr', 'knn',"):
        PredictedTransferDisplay.from_estimator(others, X, y, measured, eps=0.5)


# --- what is refused


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda: CrossingsDisplay.from_result("m"), TypeError, "draws a HalfwayMeasurement, got str"),
        (lambda: AgreementDisplay.from_result("m"), TypeError, "draws a HalfwayMeasurement, got str"),
        (lambda: measurement_of(2).plot(bins=0), ValueError, "bins must be an integer >= 1, got 0"),
        (lambda: measurement_of(2).plot(bins=2.5), ValueError, "bins must be an integer >= 1, got 2.5"),
        (lambda: measurement_of(2).plot(level=2), ValueError, "level must be between 0 and 1"),
        (
            lambda: measurement_of(2).plot("agreement", include_intervals=True, level=0),
            ValueError,
            "level must be between 0 and 1",
        ),
        (
            lambda: PredictedTransfer(np.eye(2), np.eye(2)),
            ValueError,
            "measured has no names; pass names",
        ),
        (
            lambda: PredictedTransfer(measurement_of(2), np.eye(2), ["a", "b"]),
            TypeError,
            "predicted must be an array of numbers, .* as of measurement.agreement; got HalfwayMeasurement",
        ),
        (
            lambda: PredictedTransfer(np.eye(2), measurement_of(2)),
            TypeError,
            "measured must be an array of numbers, .* or a TransferMatrix; got HalfwayMeasurement",
        ),
        (
            lambda: PredictedTransfer([[1, 2], [3]], np.eye(2), ["a", "b"]),
            TypeError,
            "predicted must be an array of numbers",
        ),
        (
            lambda: PredictedTransfer(np.eye(3), np.eye(2), ["a", "b"]),
            ValueError,
            r"predicted must have shape \(2, 2\).*got \(3, 3\)",
        ),
        (
            lambda: PredictedTransfer(np.eye(2), 3 * np.eye(2), ["a", "b"]),
            ValueError,
            "rates between 0 and 1, got values from 0.0 to 3.0",
        ),
        (
            lambda: PredictedTransfer(np.full((2, 2), np.inf), np.eye(2), ["a", "b"]),
            ValueError,
            "predicted holds infinite values",
        ),
    ],
)
def test_refused(draw, error, message):
    with pytest.raises(error, match=message):
        draw()
    assert not plt.get_fignums(), "nothing is drawn before it is checked"
