"""Lost bits: closed cases, brute force, attacks by flips, and what is refused."""

from __future__ import annotations

import itertools
import warnings
from functools import partial

import numpy as np
import pandas as pd
import polars
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Perceptron, Ridge, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from skhalfway import AdversarialGenerator, Constraints
from skhalfway.structure import ParityCoded, fourier_stabilise, robustness_radius


def all_bits(n, low=0):
    return np.array(list(itertools.product((low, 1), repeat=n)))


def majority(n, low=0):
    X = all_bits(n, low)
    return X, np.where(X == 1, 1, -1).sum(axis=1) > 0


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X > 7).astype(int), y % 2


# -- closed cases


@pytest.mark.parametrize("low", [0, -1])
@pytest.mark.parametrize("n", [3, 5, 7])
def test_parity_doubles_the_distance_of_a_majority(n, low):
    X, y = majority(n, low)
    coded = ParityCoded(LogisticRegression(C=1e6, max_iter=1000)).fit(X, y)
    assert 0.9 < coded.plain_distance_ <= 1
    assert coded.uncoded_distance_ == pytest.approx(1)
    assert coded.distance_ == pytest.approx(2)
    assert coded.score(X, y) == 1
    # the weights are those of the closed form: (-1)^((n - 1) / 2) for the parity bit
    weights = coded.coded_.coef_[0]
    np.testing.assert_allclose(weights / weights[0], [*[1] * n, (-1) ** ((n - 1) // 2)], atol=1e-7)
    # any one erasure is survived, the parity bit's included, and none before
    assert robustness_radius(coded, X, kind="erasures").min() == 1
    assert robustness_radius(coded.estimator_, X, kind="erasures").min() == 0


def test_majority_of_three_is_its_fourier_expansion():
    X, y = majority(3, -1)
    coded = ParityCoded().fit(X, y)
    expected = X.sum(axis=1) - X.prod(axis=1)
    assert set(expected) == {-2, 2}
    np.testing.assert_allclose(coded.decision_function(X), expected, atol=1e-6)


def test_repeating_each_bit_multiplies_the_distance():
    X, y = majority(3)
    for t in (2, 3):
        assert ParityCoded().fit(np.repeat(X, t, axis=1), y).uncoded_distance_ == pytest.approx(t)


# -- exact


def lost(x, places, kind, low):
    """A sample after some bits were flipped, or erased."""
    x = x.astype(float)
    x[list(places)] = (low + 1) / 2 if kind == "erasures" else low + 1 - x[list(places)]
    return x


@pytest.mark.parametrize("low", [0, -1])
@pytest.mark.parametrize("kind", ["flips", "erasures"])
def test_the_radius_is_that_of_brute_force(kind, low):
    rng = np.random.RandomState(0)
    X = rng.choice([low, 1], (12, 6))
    model = LogisticRegression().fit(X, np.arange(12) % 2)
    model.coef_, model.intercept_ = rng.standard_normal((1, 6)), rng.standard_normal(1) / 4
    side = model.decision_function(X) > 0
    expected = []
    for x, own in zip(X, side, strict=True):
        for r in range(1, 7):
            changed = [lost(x, places, kind, low) for places in itertools.combinations(range(6), r)]
            if ((model.decision_function(np.array(changed)) > 0) != own).any():
                break
        else:
            r = 7
        expected.append(r - 1)
    assert robustness_radius(model, X, kind=kind).tolist() == expected
    assert len(set(expected)) > 1


def test_attacks_by_flips_show_the_gain(digits):
    X, y = digits
    coded = ParityCoded(groups=2).fit(X[:600], y[:600])
    assert coded.distance_ > coded.uncoded_distance_ >= coded.plain_distance_ > 0
    assert (coded.predict(X[:600]) == coded.estimator_.predict(X[:600])).all()
    test, fooled = X[600:900], {}
    for name, model, samples in (
        ("plain", coded.estimator_, test),
        ("coded", coded.coded_, coded.encode(test)),
    ):
        answers = model.predict(samples)
        rules = Constraints(integer=range(samples.shape[1]))
        generator = AdversarialGenerator(
            FrozenEstimator(model), attack="pgd", norm=1, eps=2, clip_values=(0, 1), constraints=rules
        )
        moved = generator.fit(samples).generate(samples.astype(float), answers)
        assert np.isin(moved, (0, 1)).all()
        changed = model.predict(moved) != answers
        fooled[name] = changed.mean()
        survived = robustness_radius(model, samples)
        # two flips at most: none of those that survive two is fooled
        assert (survived[changed] < 2).all()
    assert fooled["coded"] < fooled["plain"] - 0.05


# -- an estimator


def test_a_constant_answer_is_not_called_robust() -> None:
    X = all_bits(3)
    with pytest.warns(UserWarning, match="LogisticRegression predicts .* for every training sample"):
        ParityCoded().fit(X, X.sum(axis=1) % 2)


def test_estimator_checks():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(ParityCoded(threshold="median"), on_fail=None, on_skip=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []


@pytest.mark.parametrize("estimator", [Perceptron(random_state=0), RidgeClassifier(), LinearSVC()], ids=str)
def test_any_linear_classifier_and_search(digits, estimator):
    X, y = digits
    labels = np.array(["even", "odd"])[y]
    search = GridSearchCV(ParityCoded(estimator), {"groups": ["all", 8, [[0, 1, 2], [5, 9]]]}, cv=2)
    search.fit(X[:200], labels[:200])
    best = search.best_estimator_
    assert set(best.predict(X[200:260])) == {"even", "odd"}
    assert best.encode(X[:3]).shape == (3, 64 + len(best.groups_))
    assert clone(best).get_params()["groups"] == best.groups


def test_medians_make_bits():
    X, y = load_digits(n_class=2, return_X_y=True)
    coded = ParityCoded(threshold="median").fit(X, y)
    assert coded.score(X, y) > 0.95
    np.testing.assert_array_equal(coded.encode(X)[:, :64], X > np.median(X, axis=0))


# -- the first layer of a network


def test_stabilised_neurons_are_further_from_inputs(digits):
    X, y = digits
    net = MLPClassifier((12,), tol=0.01, random_state=0).fit(X[:900], y[:900])
    before, anywhere = net.coefs_[0].copy(), np.random.RandomState(0).randint(2, size=(2000, 64))
    found = fourier_stabilise(net, X[900:], y[900:], most_lost=0.03)
    np.testing.assert_array_equal(net.coefs_[0], before)
    assert len(found.neurons) > 2
    assert (found.accuracy >= found.accuracy[0] - 0.03).all()
    after = found.estimator
    assert after.score(X[900:], y[900:]) == pytest.approx(found.accuracy[-1])
    for j, gain in zip(found.neurons, found.gain, strict=True):
        w = before[:, j]
        assert gain == pytest.approx(64 - np.abs(w).sum() / np.abs(w).max())
        np.testing.assert_allclose(after.coefs_[0][:, j], np.abs(w).max() * np.sign(w))
        # the threshold of bits of -1 and +1 is as it was
        theta = [-b - c.sum() / 2 for b, c in (
            (net.intercepts_[0][j], w), (after.intercepts_[0][j], after.coefs_[0][:, j]))]  # fmt: skip
        assert theta[0] == pytest.approx(theta[1])
        distance = [
            np.abs((2 * anywhere - 1) @ c / 2 - theta[0]).mean() / np.abs(c / 2).max()
            for c in (w, after.coefs_[0][:, j])
        ]
        assert distance[1] > distance[0]
    assert len(fourier_stabilise(net, X[900:], y[900:], n_neurons=1).neurons) <= 1
    assert found.to_frame()["neuron"].tolist() == found.neurons.tolist()


def test_a_network_of_named_columns_keeps_them(recwarn):
    frame = pd.DataFrame(all_bits(4), columns=list("abcd"))
    labels = frame.sum(axis=1) > 2
    net = MLPClassifier((5,), tol=9, random_state=0).fit(frame, labels)
    found = fourier_stabilise(net, frame, labels, most_lost=0.9)
    assert not [one for one in recwarn if "feature names" in str(one.message)]
    assert list(net.feature_names_in_) == list(found.estimator.feature_names_in_) == list("abcd")
    assert found.estimator.score(frame, labels) == pytest.approx(found.accuracy[-1])


@pytest.mark.parametrize("frame", [pd.DataFrame, partial(pd.DataFrame, dtype="boolean"), polars.DataFrame])
def test_columns_of_bools_are_bits(frame):
    X = all_bits(5)
    y = X.sum(axis=1) > 2
    bools = frame(X.astype(bool))
    coded, expected = ParityCoded().fit(bools, y), ParityCoded().fit(X, y)
    assert coded.distance_ == expected.distance_
    np.testing.assert_array_equal(coded.predict(bools), y)
    np.testing.assert_array_equal(robustness_radius(coded, bools), robustness_radius(expected, X))
    numbers = pd.DataFrame(X, columns=bools.columns)
    net = MLPClassifier((5,), tol=9, random_state=0).fit(numbers, y)
    found, same = fourier_stabilise(net, bools, y), fourier_stabilise(net, numbers, y)
    np.testing.assert_array_equal(found.accuracy, same.accuracy)


def test_a_missing_bool_is_no_bit():
    X = pd.DataFrame(all_bits(3)).astype("boolean")
    X.iloc[0, 1] = pd.NA
    with pytest.raises(ValueError, match=r"Input X contains NaN, in X\[0, 1\]"):
        ParityCoded().fit(X, np.arange(8) % 2)


# -- what is refused

BITS, LABELS = all_bits(3), np.arange(8) % 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: ParityCoded().fit(BITS + 0.5, LABELS), ValueError, "must hold bits, 0 and 1 or -1 and 1"),
        (lambda: ParityCoded().fit(BITS * 2 - 1, LABELS).predict(BITS), ValueError, "bits, -1 and 1"),
        (lambda: ParityCoded().fit(BITS, np.arange(8) % 3), ValueError, "Only binary"),
        (lambda: ParityCoded(SVC()).fit(BITS, LABELS), TypeError, "a linear classifier is needed"),
        (lambda: ParityCoded(groups=0).fit(BITS, LABELS), ValueError, "groups must be 'all'"),
        (lambda: ParityCoded(groups=[[0, 3]]).fit(BITS, LABELS), ValueError, "columns from 0 to 2"),
        (lambda: ParityCoded(groups=[[0, 0]]).fit(BITS, LABELS), ValueError, "different columns"),
        (lambda: ParityCoded(groups=[[0.5, 1.7]]).fit(BITS, LABELS), ValueError, "got \\[\\[0.5, 1.7"),
        (lambda: ParityCoded(Ridge()).fit(BITS, LABELS), TypeError, "Ridge has no classes"),
        (lambda: robustness_radius(Ridge().fit(BITS, LABELS), BITS), TypeError, "Ridge has no classes"),
        (lambda: ParityCoded(threshold="mean").fit(BITS, LABELS), ValueError, "threshold must be one of"),
        (lambda: robustness_radius(SVC().fit(BITS, LABELS), BITS), TypeError, "a linear classifier"),
        (
            lambda: robustness_radius(LogisticRegression().fit(BITS, np.arange(8) % 3), BITS),
            ValueError,
            "two classes are needed",
        ),
        (
            lambda: robustness_radius(LogisticRegression().fit(BITS, LABELS), BITS[-1:]),
            ValueError,
            "holds only 1.*pass low",
        ),
        (
            lambda: robustness_radius(LogisticRegression().fit(BITS, LABELS), BITS, low=2),
            ValueError,
            "low must be None, 0 or -1",
        ),
        (
            lambda: robustness_radius(LogisticRegression().fit(BITS, LABELS), BITS, kind="swaps"),
            ValueError,
            "kind must be one of",
        ),
        (
            lambda: fourier_stabilise(MLPClassifier(tol=9).fit(BITS, LABELS), BITS, LABELS, most_lost="a"),
            ValueError,
            "most_lost must be a number from 0 to below 1, got 'a'",
        ),
        (lambda: fourier_stabilise(SVC(), BITS, LABELS), TypeError, "an MLPClassifier is needed"),
        (
            lambda: fourier_stabilise(make_pipeline(MLPClassifier()), BITS, LABELS),
            TypeError,
            r"an MLPClassifier is needed, got Pipeline; pass its last step, pipeline\[-1\], with samples",
        ),
        (
            lambda: robustness_radius(make_pipeline(LogisticRegression()).fit(BITS, LABELS), BITS),
            TypeError,
            r"got Pipeline; pass its last step, pipeline\[-1\]",
        ),
    ],
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
