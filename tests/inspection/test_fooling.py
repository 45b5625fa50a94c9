"""fooling_inputs: the surest inputs in closed form, what noise is, and what is seen on digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway._intervals import wilson_interval
from skhalfway.inspection import FoolingInputs, FoolingInputsDisplay, fooling_inputs

NOISE = ["uniform noise", "matched noise", "optimised noise"]


def table(n: int = 80) -> tuple[Any, Any]:
    """Three features, of very different scales, and two classes."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((n, 3)) * [1, 50, 0.1] + [0, 100, 3]
    return X, (X[:, 0] + X[:, 1] / 50 + rng.standard_normal(n) > 2).astype(int)


class Net(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


@pytest.fixture(scope="module")
def models(digits: Any) -> dict[str, Any]:
    torch.manual_seed(0)
    made = {
        "mlp": MLPClassifier((64,), learning_rate_init=0.01, max_iter=200, random_state=0),
        "skorch": NeuralNetClassifier(
            Net, criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=0.01, max_epochs=20, verbose=0
        ),
        "logistic": LogisticRegression(max_iter=1000),
        "forest": RandomForestClassifier(20, random_state=0),
        "tree": DecisionTreeClassifier(random_state=0),
    }
    return {name: model.fit(digits.X, digits.y) for name, model in made.items()}


# --- closed forms


@pytest.mark.parametrize("clip_values", [None, (-200, 400), ([-5, 0, 2], [5, 300, 4])])
def test_linear_classifier_is_taken_to_its_surest_corner(clip_values: Any) -> None:
    X, y = table()
    model = LogisticRegression(max_iter=10_000, C=1e-3).fit(X, y)
    low, high = (X.min(0), X.max(0)) if clip_values is None else clip_values
    w = model.coef_[0]
    logits = np.array(
        [np.where(w * sign > 0, high, low) @ w * sign + sign * model.intercept_[0] for sign in (-1, 1)]
    )
    expected = 1 / (1 + np.exp(-logits))
    result = fooling_inputs(model, X, n_samples=10, clip_values=clip_values, random_state=0)
    np.testing.assert_array_equal(result.labels["optimised noise"], np.arange(10) % 2)
    np.testing.assert_allclose(result.confidences["optimised noise"], expected[np.arange(10) % 2], rtol=1e-6)


def test_module_is_read_by_the_softmax_of_its_logits(digits: Any, models: dict[str, Any]) -> None:
    linear = nn.Linear(64, 10, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(models["logistic"].coef_))
        linear.bias.copy_(torch.from_numpy(models["logistic"].intercept_))
    X = digits.X[:50].astype(float)
    found, same = (fooling_inputs(m, X, n_samples=20, random_state=0) for m in (linear, models["logistic"]))
    logits = X @ models["logistic"].coef_.T + models["logistic"].intercept_
    np.testing.assert_allclose(found.confidences["data"], softmax(logits, axis=1).max(axis=1), rtol=1e-6)
    for kind in ("data", *NOISE):
        np.testing.assert_allclose(found.confidences[kind], same.confidences[kind], rtol=1e-6)
        np.testing.assert_array_equal(found.labels[kind], same.labels[kind])


# --- noise


def test_noise_is_what_it_is_said_to_be() -> None:
    X, y = table(300)
    X = np.column_stack([X, X[:, 0], np.full(300, 7.0)])  # one feature twice, one that never changes
    result = fooling_inputs(LogisticRegression(max_iter=10_000).fit(X, y), X, n_samples=5000, random_state=0)
    low, high = X.min(axis=0), X.max(axis=0)
    for kind in NOISE:
        assert result.inputs[kind].shape == (5000, 5)
        assert (result.inputs[kind] >= low).all() and (result.inputs[kind] <= high).all()
        assert (result.inputs[kind][:, 4] == 7).all()
    uniform, matched = result.inputs["uniform noise"][:, :4], result.inputs["matched noise"][:, :4]
    share = (uniform - low[:4]) / (high - low)[:4]
    np.testing.assert_allclose(share.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(share.std(axis=0), 1 / np.sqrt(12), atol=0.01)
    spread = X[:, :4].std(axis=0)
    np.testing.assert_allclose((matched.mean(axis=0) - X[:, :4].mean(axis=0)) / spread, 0, atol=0.06)
    np.testing.assert_allclose(matched.std(axis=0) / spread, 1, atol=0.06)
    assert all(np.isin(matched[:, i], X[:, i]).all() for i in range(4))
    for noise in (uniform, matched):
        assert abs(np.corrcoef(noise.T) - np.eye(4)).max() < 0.06


def test_noise_of_float32_stays_within_bounds_that_it_cannot_hold(digits: Any, models: Any) -> None:
    clip = -0.1, 1.1
    result = fooling_inputs(models["logistic"], digits.X, n_samples=500, clip_values=clip, random_state=0)
    for kind in NOISE:
        assert result.inputs[kind].dtype == np.float32
        assert result.inputs[kind].min() >= clip[0] and result.inputs[kind].max() <= clip[1]
    assert result.inputs["uniform noise"].min() < -0.09 and result.inputs["uniform noise"].max() > 1.09


# --- what is seen on digits


@pytest.mark.parametrize("kind", ["mlp", "skorch", "logistic"])
def test_networks_are_surer_of_nonsense_than_of_digits(digits: Any, models: Any, kind: str) -> None:
    """Nguyen et al. 2015; and steps go on beyond the boundary."""
    X = digits.X_test
    few, many = (
        fooling_inputs(models[kind], X, clip_values=(0, 1), max_iter=max_iter, random_state=0)
        for max_iter in (1, 100)
    )
    np.testing.assert_array_equal(many.labels["optimised noise"], np.arange(200) % 10)
    assert many.rates["optimised noise"] > 0.99 > many.rates["data"] + 0.1
    assert many.rates["optimised noise"] > many.rates["uniform noise"] + 0.5
    assert np.median(many.confidences["optimised noise"]) > np.median(many.confidences["data"])
    assert (many.confidences["optimised noise"] >= few.confidences["optimised noise"] - 1e-9).all()


def test_forest_is_fooled_by_queries_only(digits: Any, models: Any) -> None:
    result = fooling_inputs(models["forest"], digits.X_test, n_samples=20, max_queries=400, random_state=0)
    assert result.counts["uniform noise"] == result.counts["matched noise"] == 0
    assert result.rates["optimised noise"] > result.rates["data"] + 0.1
    assert result.confidences["optimised noise"].min() > result.confidences["uniform noise"].max()


@pytest.mark.parametrize("model", [DecisionTreeClassifier(random_state=0), KNeighborsClassifier()])
def test_black_boxes_are_made_sure_not_just_won(digits: Any, model: Any) -> None:
    """The attack alone would stop at the boundary."""
    model.fit(digits.X, digits.y)
    result = fooling_inputs(model, digits.X_test, n_samples=20, threshold=0.9, random_state=0)
    np.testing.assert_array_equal(result.labels["optimised noise"], np.arange(20) % 10)
    assert result.counts["optimised noise"] == 20


def test_attack_by_queries_without_a_threshold_stops_at_the_boundary(digits: Any, models: Any) -> None:
    clip: Any = (0, 1)
    result = fooling_inputs(
        models["forest"], digits.X_test, n_samples=20, threshold=0.8, clip_values=clip, random_state=0
    )
    attack = AdversarialGenerator(
        FrozenEstimator(models["forest"]), attack="square", eps=1.0, clip_values=clip, random_state=0
    )
    at_boundary = attack.generate(result.inputs["uniform noise"], target=np.arange(20) % 10)
    sure = models["forest"].predict_proba(at_boundary).max(axis=1)
    assert (result.confidences["optimised noise"] > sure + 0.1).mean() > 0.9


# --- randomness, inputs


def test_seed_decides_everything(digits: Any, models: Any) -> None:
    for kind, n in (("skorch", 30), ("forest", 5)):
        X = digits.X_test.copy()
        state, before = torch.get_rng_state(), np.random.get_state()[1].copy()
        found, same, other = (
            fooling_inputs(models[kind], X, n_samples=n, random_state=seed, max_queries=50)
            for seed in (0, 0, 1)
        )
        assert torch.equal(torch.get_rng_state(), state)
        np.testing.assert_array_equal(np.random.get_state()[1], before)
        np.testing.assert_array_equal(X, digits.X_test)
        for name in NOISE:
            np.testing.assert_array_equal(found.inputs[name], same.inputs[name])
            np.testing.assert_array_equal(found.confidences[name], same.confidences[name])
            assert (found.inputs[name] != other.inputs[name]).any()


def test_labels_and_columns_with_names() -> None:
    X, y = table()
    frame, names = pd.DataFrame(X, columns=["a", "b", "c"]), np.array(["no", "yes"])
    for model in (LogisticRegression(max_iter=10_000), DecisionTreeClassifier(random_state=0)):
        named = fooling_inputs(model.fit(frame, names[y]), frame, n_samples=10, random_state=0)
        bare = fooling_inputs(model.fit(X, y), X, n_samples=10, random_state=0)
        for kind in ("data", *NOISE):
            np.testing.assert_array_equal(named.labels[kind], names[bare.labels[kind]])
            np.testing.assert_allclose(named.confidences[kind], bare.confidences[kind])


def test_images(digits: Any) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10))
    X = digits.X_test.reshape(-1, 1, 8, 8)
    result = fooling_inputs(module, X, n_samples=10, clip_values=(0, 1), random_state=0)
    assert {x.shape for x in result.inputs.values()} == {(10, 1, 8, 8)}
    flat = DecisionTreeClassifier(random_state=0).fit(digits.X, digits.y)
    boxes = fooling_inputs(flat, X, n_samples=10, clip_values=(0, 1), max_queries=50, random_state=0)
    assert {x.shape for x in boxes.inputs.values()} == {(10, 1, 8, 8)}


X2, Y2 = np.random.RandomState(0).rand(20, 4), np.arange(20) % 2
GOOD = LogisticRegression().fit(X2, Y2)


@pytest.mark.parametrize(
    ("estimator", "X", "options", "error", "message"),
    [
        (GOOD, X2, {"n_samples": 0}, ValueError, "n_samples must be an integer >= 1, got 0"),
        (GOOD, X2, {"threshold": 1.0}, ValueError, "threshold must be between 0 and 1, got 1.0"),
        (GOOD, X2, {"max_iter": 0}, ValueError, "max_iter must be an integer >= 1"),
        (GOOD, X2, {"max_queries": 1}, ValueError, "max_queries must be an integer >= 2"),
        (GOOD, X2, {"clip_values": (0, 0.5)}, ValueError, "data outside clip_values"),
        (GOOD, X2, {"clip_values": (1, 0)}, ValueError, "min < max"),
        (GOOD, X2[:, :3], {}, ValueError, "expecting 4 features"),
        (GOOD, X2 * np.nan, {}, ValueError, "X contains NaN"),
        (GOOD, pd.DataFrame({"a": ["x", "y"]}), {}, ValueError, "columns of categories"),
        (GOOD, np.ones((5, 4)), {}, ValueError, "no column may change"),
        (LogisticRegression(), X2, {}, NotFittedError, "not fitted"),
        (LinearSVC().fit(X2, Y2), X2, {}, TypeError, "LinearSVC has no predict_proba; calibrate it"),
    ],
)
def test_errors(estimator: Any, X: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fooling_inputs(estimator, X, **options)


def test_classifier_of_art() -> None:
    from art.estimators.classification import PyTorchClassifier

    module = nn.Linear(4, 2)
    wrapped = PyTorchClassifier(module, nn.CrossEntropyLoss(), (4,), 2)
    with pytest.raises(TypeError, match="probabilities or logits is not known"):
        fooling_inputs(wrapped, X2)


# --- the result


def made(shape: tuple[int, ...] = (2,), n_labels: int = 2) -> FoolingInputs:
    sure = np.array([0.5, 0.99, 1.0, 0.7])
    return FoolingInputs(
        inputs={"optimised noise": np.arange(4 * np.prod(shape), dtype=float).reshape(4, *shape)},
        labels={"data": np.zeros(2), "optimised noise": np.arange(4) % n_labels},
        confidences={"data": np.array([0.6, 0.8]), "optimised noise": sure},
        threshold=0.99,
    )


def test_result() -> None:
    result = made()
    assert result.counts == {"data": 0, "optimised noise": 2}
    assert result.rates == {"data": 0.0, "optimised noise": 0.5}
    ends = result.confidence_interval(0.9, of="optimised noise")
    assert ends == tuple(map(float, wilson_interval(2, 4, 0.9)))
    frame = result.to_frame(0.9)
    assert list(frame.columns) == ["n", "sure", "share", "low", "high", "median"]
    assert frame.loc["optimised noise"].tolist()[:3] == [4, 2, 0.5]
    assert frame.loc["optimised noise", "low"] == ends.low and frame.loc["data", "median"] == 0.7
    for arrays in (result.inputs, result.labels, result.confidences):
        with pytest.raises(ValueError, match="read-only"):
            arrays["optimised noise"][0] = 0
    with pytest.raises(ValueError, match="inputs and confidences of 'data' must be of one length"):
        FoolingInputs({"data": np.zeros((3, 2))}, {}, {"data": np.ones(2)}, 0.9)


# --- the display


def test_lines_are_the_shares_that_are_at_least_as_sure() -> None:
    line = made().plot().lines_["optimised noise"]
    x, share = line.get_data()
    np.testing.assert_allclose(x[1:], [0.5, 0.7, 0.99, 1 - 1e-6, 1 - 1e-6])
    np.testing.assert_allclose(share[1:], [1, 0.75, 0.5, 0.25, 0.25])
    x, share = made().plot().lines_["data"].get_data()
    np.testing.assert_allclose((x[-1], share[-1]), (0.8, 0))


@pytest.mark.parametrize(
    ("shape", "image_shape", "drawn"),
    [
        ((4,), None, None),
        ((4,), (2, 2), (2, 2)),
        ((2, 2), None, (2, 2)),
        ((1, 2, 2), None, (2, 2)),
        ((3, 2, 2), None, (2, 2, 3)),
    ],
)
def test_images_that_are_drawn(shape: Any, image_shape: Any, drawn: Any) -> None:
    result = made(shape)
    if drawn and len(drawn) == 3:
        scaled = {kind: x / 100 for kind, x in result.inputs.items()}
        result = FoolingInputs(scaled, result.labels, result.confidences, result.threshold)
    display = result.plot(image_shape=image_shape)
    images = [ax.images[0].get_array() for ax in display.image_axes_]
    if drawn is None:
        assert not images
        return
    # the surest of either class
    assert len(images) == 2
    for image, index in zip(images, (2, 1), strict=True):
        expected = result.inputs["optimised noise"][index]
        expected = np.moveaxis(expected, 0, -1) if drawn == (2, 2, 3) else expected.reshape(drawn)
        np.testing.assert_array_equal(image, expected)
    assert [ax.get_title() for ax in display.image_axes_] == ["0\n1.0000", "1\n.9900"]


def test_display(digits: Any, models: Any) -> None:
    display = FoolingInputsDisplay.from_estimator(
        models["mlp"], digits.X_test, n_samples=20, random_state=0, plot_kw={"image_shape": (8, 8)}
    )
    assert list(display.lines_) == ["data", *NOISE]
    assert len(display.image_axes_) == 10
    display.figure_.canvas.draw()
    again = display.result.plot(ax=display.ax_, legend=False, line_kw={"lw": 1})
    assert again.ax_ is display.ax_ and not len(again.image_axes_)
    assert again.lines_["data"].get_linewidth() == 1
    with pytest.raises(ValueError, match=r"image_shape=\(5, 5\) does not fit inputs of shape \(64,\)"):
        display.result.plot(image_shape=(5, 5))
    with pytest.raises(ValueError, match="1 or 3 channels"):
        display.result.plot(image_shape=(4, 4, 4))
