from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import betabinom
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway.halfway import PredictedTransfer, TransferPrediction, _prediction
from skhalfway.halfway._prediction import Prediction
from skhalfway.models import ModelWarning

NAMES = ("one", "two", "three")


def made(rates=None, reliability=0.5, eligible=50, names=NAMES, norm=np.inf):
    n = len(names)
    rates = np.linspace(0, 1, n * n).reshape(n, n) if rates is None else rates
    return TransferPrediction(
        rates, np.full((n, n), reliability), np.full((n, n), eligible), names, 0.1, norm
    )


def test_is_an_array_of_its_rates():
    prediction = made()
    assert np.array_equal(np.asarray(prediction), prediction.rates)
    assert np.asarray(prediction, dtype=np.float32).dtype == np.float32
    copied = np.array(prediction)
    copied[0, 0] = 0.5  # a copy may be written, the result may not
    with pytest.raises(ValueError, match="read-only"):
        prediction.rates[0, 0] = 0.5


@pytest.mark.parametrize("norm", [np.inf, 2])
@pytest.mark.parametrize("reliability", [0.0, 0.5, 1.0])
def test_intervals_are_beta_binomial(reliability, norm):
    low, high = made(reliability=reliability, norm=norm).prediction_interval()
    assert ((low >= 0) & (low <= high) & (high <= 1)).all()
    mean = (0.5 * 50 + 0.5) / 51
    ends = betabinom.ppf([0.025, 0.975], 50, 5 * mean, 5 * (1 - mean)) / 50
    assert (low[1, 1], high[1, 1]) == pytest.approx(tuple(ends))
    # fewer samples measure less exactly, and a lower level holds less
    assert np.subtract(*made(eligible=5).prediction_interval()[::-1]).mean() > (high - low).mean()
    inner = made().prediction_interval(0.5)
    assert (inner.low >= low).all() and (inner.high <= high).all() and (inner.low > low).any()
    with pytest.raises(ValueError, match="level"):
        made().prediction_interval(95)


def test_text_and_frame():
    prediction = made(norm=2)
    assert repr(prediction).splitlines()[:2] == [
        "TransferPrediction: 3 models, PGD of eps 0.1 in L2",
        "rate [95 %]; reliability .50 to .50",
    ]
    frame = prediction.to_frame()
    assert list(frame.columns) == ["rate", "low", "high", "reliability", "eligible"]
    assert frame.loc[("one", "three"), "rate"] == prediction.rates[0, 2]
    unknown = TransferPrediction(*np.full((2, 2, 2), np.nan), np.zeros((2, 2)), ("a", "b"), 0.1, 2)
    assert np.isnan(unknown.prediction_interval()).all() and "reliability is not known" in repr(unknown)


def test_compares_with_what_was_measured():
    prediction = made()
    both = prediction.compare(prediction.rates)
    assert isinstance(both, PredictedTransfer) and both.correlation.overall == 1 and both.names == NAMES
    assert both == PredictedTransfer(prediction, prediction.rates, NAMES, *prediction.prediction_interval())
    assert (both.bias, both.n_held) == (0, 6)


def test_says_how_far_predicted_rates_are_off():
    predicted = np.array([[0.9, 0.4], [0.6, 0.8]])
    prediction = TransferPrediction(predicted, np.ones((2, 2)), np.full((2, 2), 200), ("a", "b"), 0.1, 2)
    both = prediction.compare([[1.0, 0.3], [0.0, 1.0]])
    assert both.bias == pytest.approx((0.1 + 0.6) / 2) and both.n_held == 1
    assert repr(both).splitlines()[1].endswith("rates predicted .35 too high; 95 % intervals hold 1 of 2")
    assert "95 % intervals hold 1 of 2" in both.plot().ax_.get_title(loc="left")
    assert prediction.compare([[1.0, 0.5], [0.7, 1.0]]).errors[0] == "rates predicted .10 too low"
    # without intervals none are said to hold, and figures that are no rates have no bias
    assert PredictedTransfer(predicted, predicted, ("a", "b")).n_held is None
    assert np.isnan(PredictedTransfer(3 * predicted, predicted, ("a", "b")).bias)
    with pytest.raises(ValueError, match="pass both or neither"):
        PredictedTransfer(predicted, predicted, ("a", "b"), low=predicted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": np.ones((2, 2))}, r"rates must have shape \(3, 3\)"),
        ({"rates": 2 * np.ones((3, 3))}, "rates must be between 0 and 1, got values from 2.0 to 2.0"),
        ({"reliability": -1.0}, "reliability must be between 0 and 1"),
        ({"eligible": -1}, "eligible must be counts"),
    ],
)
def test_refuses_what_does_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        made(**change)


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    models = {"lr": LogisticRegression(max_iter=1000), "tree": DecisionTreeClassifier(random_state=0)}
    return {name: model.fit(X, y) for name, model in models.items()}, X, y


@pytest.mark.parametrize(
    ("attack", "given"),
    [
        ({"eps": 0.2}, "eps=0.2, eps_unit='input', norm=inf"),
        ({"norm": 2}, "eps=0.4, eps_unit='input', norm=2"),
        ({"eps_unit": "std"}, "eps=0.4, eps_unit='std', norm=inf"),
        ({"eps": [0.4, 0.4, 0.4, 0.1]}, r"eps=\[0.4, 0.4, 0.4, 0.1\]"),
    ],
    ids=str,
)
def test_refuses_rates_of_another_attack(iris, attack, given):
    models, X, y = iris
    prediction = HalfwayScorer(random_state=0).fit(models).predict_transfer(X, y, eps=0.4)

    def measured(X, y, **options):
        options = {"eps": 0.4, "attack": "square", "max_queries": 20, "random_state": 0} | options
        return TransferScorer(AdversarialGenerator(**options)).fit(models).transfer(X, y)

    with pytest.raises(ValueError, match=f"measured has rates of {given}.*predicted ones are of eps=0.4"):
        prediction.compare(measured(X, y, **attack))
    assert prediction.compare(measured(X, y)).n_held is not None
    with pytest.warns(ModelWarning, match="measured on 100 samples and predicted on 150"):
        prediction.compare(measured(X[:100], y[:100]))


def test_a_scorer_says_what_its_prediction_rests_on(iris):
    models, X, y = iris
    prediction = HalfwayScorer(random_state=0).fit(models).predict_transfer(X, y, eps=0.4, norm=2)
    assert (prediction.names, prediction.eps, prediction.norm) == (("lr", "tree"), 0.4, 2)
    right = np.stack([model.predict(X) == y for model in models.values()])
    assert np.array_equal(prediction.eligible, right.astype(int) @ right.T)
    assert (prediction.reliability > 0.9).all() and prediction.provenance is not None
    low, high = prediction.prediction_interval()
    assert ((low <= prediction.rates) & (prediction.rates <= high)).all()


def test_warns_where_answers_determine_little(iris, monkeypatch):
    models, X, y = iris
    reliability = np.array([[1.0, 0.2], [0.2, 1.0]])
    found = Prediction(np.full((1, 2, 2), 0.5), np.full((2, 2), 9), reliability)
    monkeypatch.setattr(_prediction, "predict", lambda *args, **kwargs: found)
    scorer = HalfwayScorer(random_state=0).fit(models)
    with pytest.warns(ModelWarning, match="predicted rates of 'lr' and 'tree' are unreliable .*below 0.3"):
        prediction = scorer.predict_transfer(X, y, eps=0.3)
    assert np.array_equal(prediction.reliability, reliability)
