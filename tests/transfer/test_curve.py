"""TransferCurve: what transfer gives at each budget, with what budgets share done once."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from art.attacks.evasion import DeepFool, ProjectedGradientDescent
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from skhalfway import (
    AdversarialGenerator,
    TransferCurve,
    TransferCurveDisplay,
    TransferMatrix,
    TransferScorer,
)
from skhalfway.attacks._problem import Outcome
from skhalfway.models import ModelWarning
from skhalfway.transfer import _cells, _source

EPS = (0.1, 0.4, 1.2)


@pytest.fixture(scope="module")
def pair(iris_models):
    return {name: iris_models[name] for name in ("lr", "svm", "mlp")}


COUNTS = ("eligible", "fooled", "same_mistake", "noise_fooled", "source_eligible", "source_fooled")


def apart(a, b):
    """Largest difference between the counts of two matrices; the rest must be the same."""
    assert (a.names, a.condition) == (b.names, b.condition)
    assert (a.sources, a.targets, a.goal) == (b.sources, b.targets, b.goal)
    return max(np.abs(getattr(a, name) - getattr(b, name)).max() for name in COUNTS)


ART_PGD = {"attack": ProjectedGradientDescent, "max_iter": 5, "attack_params": {"num_random_init": 1}}


@pytest.mark.parametrize(
    ("generator", "condition", "labelled"),
    [
        ({}, "both_correct", True),
        ({}, "source_fooled", False),
        ({"norm": 2, "clip_values": (0, 8)}, "all", True),
        ({"norm": 1, "random_start": True}, "both_correct", False),
        ({"attack": "mifgsm", "n_restarts": 2}, "source_fooled", True),
        ({"attack": "fgsm"}, "both_correct", True),
        (ART_PGD, "all", True),
        ({"attack": "fmn"}, "both_correct", True),
        ({"attack": "fmn", "norm": 1, "clip_values": (0, 8), "max_iter": 20}, "all", True),
        ({"attack": "deepfool", "norm": 2}, "source_fooled", False),
    ],
    ids=str,
)
def test_each_budget_is_a_transfer(iris, pair, generator, condition, labelled):
    X, y = iris[0][::6], iris[1][::6] if labelled else None
    generator = AdversarialGenerator(**{"max_iter": 10, **generator})
    scorer = TransferScorer(generator, condition=condition, random_state=3).fit(pair)
    curve = scorer.transfer_curve(X, y, eps=EPS)
    np.testing.assert_array_equal(curve.eps, (0, *EPS))
    for eps, matrix in zip(EPS, curve.matrices[1:], strict=True):
        alone = scorer.set_params(generator__eps=eps).transfer(X, y)
        assert apart(matrix, alone) == 0
        np.testing.assert_equal(matrix.standard_error, alone.standard_error)
    assert (curve.matrices[-1].source_fooled > 0).all()
    clean = curve.matrices[0]
    np.testing.assert_array_equal(clean.fooled, clean.noise_fooled)
    if condition == "all":
        wrong = [(model.predict(X) != y).sum() for model in pair.values()]
        np.testing.assert_array_equal(clean.fooled, [wrong] * 3)
    else:
        assert not clean.fooled.any()


@pytest.mark.parametrize(("attack", "n_attacks"), [("pgd", 3), ("fmn", 1), (DeepFool, 3)])
def test_the_nearest_is_looked_for_once(iris, pair, attack, n_attacks, monkeypatch):
    X, y = iris[0][::10], iris[1][::10]
    budgets, run = [], _source.run

    def noted(generator, problem):
        budgets.append(problem.region.eps)
        return run(generator, problem)

    monkeypatch.setattr(_source, "run", noted)
    generator = AdversarialGenerator(attack=attack, norm=2)
    TransferScorer(generator).fit(pair).transfer_curve(X, y, eps=EPS)
    assert sorted(budgets) == sorted(EPS[-n_attacks:] * 3)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_budget_is_kept(iris, norm, dtype, iris_models, monkeypatch):
    """Nearest samples beyond a budget are brought back into it, as far as it reaches."""
    X, y = iris[0][::3].astype(dtype), iris[1][::3]
    tried, answers = [], _cells.answers
    monkeypatch.setattr(_cells, "answers", lambda model, X: tried.append(X) or answers(model, X))
    models = {name: iris_models[name] for name in ("lr", "svm")}
    scorer = TransferScorer(AdversarialGenerator(attack="fmn", norm=norm), condition="all").fit(models)
    curve = scorer.transfer_curve(X, y, eps=EPS)
    for eps, matrix, X_adv in zip(EPS, curve.matrices[1:], tried[-3:], strict=True):
        length = np.linalg.norm(X_adv - X, norm, axis=1)
        assert (length <= eps).all()
        right = models["svm"].predict(X_adv) == y
        # what could be fooled no nearer is as far as the budget allows (in L1 a projection may be lengthy)
        assert (length[right] > 0.95 * eps).sum() >= 0.9 * right.sum()
        assert (~right).sum() == matrix.fooled[1, 1]


def test_units(iris):
    """Budgets count in the generator's unit; with one for each feature, they are multiples of those."""
    X, y = iris
    estimators = [("lr", LogisticRegression(max_iter=1000)), ("svm", SVC())]
    each = np.array([0.5, 0.0, 1.0, 2.0])
    for own, unit, at in (
        (1.0, "std", lambda b: b),
        (1.0, "range", lambda b: b),
        (each, "input", lambda b: b * each),
        ({0: 0.5, 1: 0, 2: 1, 3: 2}, "std", lambda b: b * each),
    ):
        generator = AdversarialGenerator(eps=own, eps_unit=unit)
        scorer = TransferScorer(generator, estimators=estimators, random_state=0).fit(X, y)
        curve = scorer.transfer_curve(X[::5], y[::5], eps=[0.1, 0.3])
        assert curve.eps_unit == (unit if isinstance(own, float) else "eps")
        for budget, matrix in zip((0.1, 0.3), curve.matrices[1:], strict=True):
            alone = scorer.set_params(generator__eps=at(budget)).transfer(X[::5], y[::5])
            assert apart(matrix, alone) == 0


def test_jobs_do_not_change_results(iris, iris_models):
    X, y = iris[0][::4], iris[1][::4]
    models = {name: iris_models[name] for name in ("lr", "svm")}
    generator = AdversarialGenerator(random_start=True)
    first, threaded = (
        TransferScorer(generator, random_state=0, n_jobs=n).fit(models).transfer_curve(X, y, eps=EPS)
        for n in (1, 2)
    )
    assert not any(apart(a, b) for a, b in zip(first.matrices, threaded.matrices, strict=True))


def test_source_success_never_falls(iris, pair, monkeypatch):
    """Where an attack loses within a larger budget what it had, the curve of success does not."""
    X, y = iris

    def forgetful(generator, problem):
        region = problem.region
        return Outcome(region.X if region.eps > 1 else region.X[::-1].copy())

    monkeypatch.setattr(_source, "run", forgetful)
    with pytest.warns(ModelWarning, match="but with the same attack at a smaller budget it is fooled on"):
        curve = TransferScorer().fit(pair).transfer_curve(X, y, eps=EPS)
    fooled = np.array([matrix.source_fooled for matrix in curve.matrices])
    assert (fooled[2] > 0).all() and (fooled[3] == 0).all()
    np.testing.assert_array_equal(curve.source_fooled, [fooled[0], fooled[1], fooled[2], fooled[2]])
    np.testing.assert_allclose(curve.source_success, curve.source_fooled / curve.matrices[0].source_eligible)


def matrix_of(n, rate, *, noise=0.1, eligible=100):
    part = np.full((n, n), int(rate * eligible))
    whole = np.full((n, n), eligible)
    names = tuple(f"model number {i}" for i in range(n))
    quiet = np.full((n, n), int(noise * eligible))
    return TransferMatrix(names, whole, part, part, quiet, whole[0], part[0], standard_error=0.02)


def curve_of(n=3, rates=(0, 0.2, 0.7), **given):
    matrices = [matrix_of(n, rate, noise=rate / 2) for rate in rates]
    fallen = np.array([matrix.source_fooled for matrix in matrices])
    return TransferCurve(np.arange(len(rates)) / 4, tuple(matrices), fallen, **given)


OTHER_CONDITION = replace(matrix_of(3, 0), condition="all")


def test_reads_what_the_matrices_say():
    curve = curve_of()
    np.testing.assert_allclose(curve.mean_rates, [0, 0.2, 0.7])
    np.testing.assert_allclose(curve.target_rates, np.outer([0, 0.2, 0.7], np.ones(3)))
    np.testing.assert_allclose(curve.mean_noise, [0, 0.1, 0.35])
    np.testing.assert_allclose(curve.standard_errors, 0.02)
    for of in ("rates", "noise", "mean_rate"):
        low, high = curve.confidence_interval(0.9, of=of)
        for i, matrix in enumerate(curve.matrices):
            np.testing.assert_array_equal((low[i], high[i]), matrix.confidence_interval(0.9, of=of))
    success = curve.confidence_interval(of="source_success")
    np.testing.assert_array_equal(
        success.low[1], curve.matrices[1].confidence_interval(of="source_success").low
    )
    pairs = curve.to_frame()
    assert pairs.index.names == ["eps", "source", "target"] and len(pairs) == 27
    assert pairs.loc[(0.5, "model number 0", "model number 1"), ["fooled", "rate"]].tolist() == [70, 0.7]
    budgets = curve.to_frame(per="budget")
    assert budgets.index.tolist() == [0, 0.25, 0.5]
    np.testing.assert_allclose(budgets.loc[0.5, ["mean_rate", "noise", "source_success"]], [0.7, 0.35, 0.7])
    assert "3 models, Linf budgets in input units" in repr(curve) and ".70 [.66 .74]" in repr(curve)
    with pytest.raises(FrozenInstanceError):
        curve.eps = 1
    for array in (curve.eps, curve.source_fooled):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


def test_text_is_aligned():
    curve = curve_of(rates=(0, 0.2, 0.7), norm=2, eps_unit="std")
    assert repr(replace(curve, eps=[0, 0.125, 12345.678])).splitlines() == [
        "TransferCurve: 3 models, L2 budgets in standard deviations of each feature",
        "eps        mean transfer rate  noise  source success",
        "0          .00 [.00 .04]       .00    .00",
        "0.125      .20 [.16 .24]       .10    .20",
        "1.235e+04  .70 [.66 .74]       .35    .70",
    ]
    columns = ["mean_rate", "standard_error", "low", "high", "noise", "source_success"]
    assert [*curve.to_frame(per="budget")] == columns
    low, high = curve.confidence_interval(of="mean_rate")
    expected = [curve.mean_rates, [0.02] * 3, low, high, [0, 0.1, 0.35], [0, 0.2, 0.7]]
    np.testing.assert_allclose(curve.to_frame(per="budget"), np.transpose(expected))


def test_means_are_over_what_is_known():
    """A pair without eligible samples is left out of every mean; one sample is enough for a rate."""
    whole, part = np.array([[1, 1, 0], [4, 4, 4], [2, 2, 2]]), np.array([[1, 1, 0], [1, 1, 2], [0, 1, 1]])
    matrix = TransferMatrix(tuple("abc"), whole, part, part, part // 2, [1, 0, 2], [1, 0, 1])
    curve = TransferCurve([0.5], [matrix], [[1, 0, 1]])
    np.testing.assert_allclose(curve.mean_rates, [np.mean([1, 1 / 4, 2 / 4, 0, 1 / 2])])
    np.testing.assert_allclose(curve.target_rates, [[np.mean([1 / 4, 0]), np.mean([1, 1 / 2]), 2 / 4]])
    np.testing.assert_allclose(curve.mean_noise, [np.mean([0, 0, 1 / 4, 0, 0])])
    np.testing.assert_array_equal(curve.source_success, [[1, np.nan, 0.5]])
    np.testing.assert_allclose(curve.mean_source_success, [0.75])


def test_nothing_eligible_is_unknown():
    curve = TransferCurve([0, 1], (matrix_of(2, 0, eligible=0),) * 2, np.zeros((2, 2), int))
    assert np.isnan(curve.mean_rates).all() and np.isnan(curve.source_success).all()
    assert np.isnan(curve.mean_noise).all() and " - " in repr(curve)
    curve.plot().figure_.draw_without_rendering()


@pytest.mark.parametrize(
    "eps",
    [
        0.1,
        [],
        [0.0, 0.1],
        [0.2, 0.1],
        [0.1, 0.1],
        [-1.0],
        [np.inf],
        [np.nan, 1],
        "ab",
        [True],
        [[0.1]],
        {1: 2},
        [0.5, True],
        [0.5, np.True_],
        [0.1, None],
        [0.1, "a"],
        [0.1, 0.2, 0.2],
    ],
)
def test_measure_are_checked(iris, pair, eps):
    with pytest.raises(ValueError, match="each larger than the one before; got"):
        TransferScorer().fit(pair).transfer_curve(*iris, eps=eps)


def test_an_instance_keeps_its_eps(iris, pair, linear_module):
    from art.estimators.classification import PyTorchClassifier
    from torch import nn

    art = PyTorchClassifier(linear_module, nn.CrossEntropyLoss(), (4,), 3, device_type="cpu")
    attack = ProjectedGradientDescent(art, eps=0.1, verbose=False)
    scorer = TransferScorer(AdversarialGenerator(attack=attack)).fit(pair)
    with pytest.raises(ValueError, match=r"keeps its own eps, 0\.1.*pass its class"):
        scorer.transfer_curve(*iris, eps=EPS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"eps": [0, 1]}, "one budget for each of 3 matrices"),
        ({"eps": [0, 2, 1]}, "increasing finite numbers >= 0"),
        ({"eps": [0, 1, 1]}, "increasing finite numbers >= 0"),
        ({"eps": [-0.5, 1, 2]}, "increasing finite numbers >= 0"),
        ({"eps": [0, 1, np.inf]}, "increasing finite numbers >= 0"),
        ({"eps": [], "matrices": ()}, "one budget for each of 0 matrices"),
        ({"matrices": (matrix_of(3, 0), matrix_of(3, 0), OTHER_CONDITION)}, "all have the same models"),
        ({"source_fooled": np.zeros((3, 2), int)}, r"source_fooled must hold counts >= 0 of shape \(3, 3\)"),
        ({"source_fooled": np.array([[2] * 3, [1] * 3, [1] * 3], np.uint8)}, "counts that never decrease"),
        ({"source_fooled": np.full((3, 3), 999)}, "must not exceed their source_eligible"),
        ({"source_fooled": np.array([[2] * 3, [1] * 3, [1] * 3])}, "counts that never decrease"),
        ({"matrices": (matrix_of(3, 0), matrix_of(3, 0), matrix_of(2, 0))}, "all have the same models"),
        ({"eps_unit": "cm"}, "eps_unit must be one of"),
    ],
)
def test_a_curve_is_checked(change, message):
    with pytest.raises(ValueError, match=message):
        replace(curve_of(), **change)
    with pytest.raises(ValueError, match="per must be 'pair' or 'budget', got 'row'"):
        curve_of().to_frame(per="row")


@pytest.mark.parametrize("n", [3, 20])
def test_display_is_readable(n):
    display = curve_of(n, norm=2, eps_unit="std").plot()
    figure, ax = display.figure_, display.ax_
    figure.draw_without_rendering()
    assert ax.get_xlabel() == "budget eps: $L_2$ norm, in standard deviations of each feature"
    texts = [*ax.get_legend().get_texts(), ax.xaxis.label, ax.yaxis.label]
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 >= -1 and box.y0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1 and box.y1 <= figure.bbox.y1 + 1
    assert ax.get_legend().get_window_extent().x0 >= ax.get_window_extent().x1 - 1
    assert len({tuple(np.ravel(line.get_color())) for line in display.targets_.values()}) == n


def test_display_draws_the_curve():
    curve = curve_of()
    figure, ax = plt.subplots()
    display = TransferCurveDisplay.from_result(curve, ax=ax, level=0.5, line_kw={"color": "r"})
    assert display.ax_ is ax and display.figure_ is figure and display.mean_.get_color() == "r"
    for line, values in (
        (display.mean_, curve.mean_rates),
        (display.noise_, curve.mean_noise),
        (display.source_, curve.source_success.mean(axis=1)),
        (display.targets_["model number 2"], curve.target_rates[:, 2]),
    ):
        np.testing.assert_allclose(line.get_xydata(), np.column_stack([curve.eps, values]))
    low, high = curve.confidence_interval(0.5, of="mean_rate")
    edges = display.band_.get_paths()[0].vertices
    assert {(x, y) for x, y in zip(curve.eps, low, strict=True)} <= {tuple(edge) for edge in edges}
    assert {(x, y) for x, y in zip(curve.eps, high, strict=True)} <= {tuple(edge) for edge in edges}
    assert display.noise_.get_linestyle() == "--"
    bare = curve.plot(include_targets=False, include_controls=False, legend=False, band_kw={"alpha": 0.5})
    assert bare.targets_ == {} and bare.noise_ is bare.source_ is bare.ax_.get_legend()
    assert bare.band_.get_alpha() == 0.5 and len(bare.ax_.lines) == 1
    with pytest.raises(TypeError, match="TransferCurveDisplay draws a TransferCurve, got int"):
        TransferCurveDisplay.from_result(3)


def test_display_from_estimator(iris, iris_models):
    X, y = iris
    scorer = TransferScorer(condition="all").fit({name: iris_models[name] for name in ("lr", "svm")})
    display = TransferCurveDisplay.from_estimator(scorer, X, y, eps=EPS)
    alone = scorer.transfer_curve(X, y, eps=EPS)
    np.testing.assert_array_equal(display.result.rates, alone.rates)
    assert display.ax_.get_title() == 'auto, 150 samples\ncondition="all"'


def test_plot_of_who_threatens_one_target(iris, pair):
    curve = TransferScorer(random_state=0).fit(pair).transfer_curve(*iris, eps=EPS)
    target = curve.names[1]
    display = curve.plot(target=target)
    others = [name for name in curve.names if name != target]
    assert sorted(display.sources_) == sorted(others)
    assert (display.mean_, display.band_, display.targets_, display.source_) == (None, None, {}, None)
    low, high = curve.confidence_interval()
    source = curve.names.index(others[0])
    _, _, (bars,) = display.sources_[others[0]].lines
    drawn = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(drawn, np.stack([low, high], axis=1)[:, :, source, 1], atol=1e-12)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    worst = max(others, key=lambda name: curve.rates[-1, curve.names.index(name), 1])
    assert (labels[0], labels[-1]) == (f"from {worst}", "noise of that size")
    with pytest.raises(ValueError, match="target must be one of .* or None, got 'nobody'"):
        curve.plot(target="nobody")
