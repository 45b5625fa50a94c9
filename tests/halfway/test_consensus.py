"""Consensus: what it counts, its intervals, the jury, and which samples are contested."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine, make_blobs
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import scale
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from skhalfway import HalfwayScorer, load_result
from skhalfway._intervals import wilson_interval
from skhalfway.halfway import HalfwayMeasurement, Jury, _jury, consensus_score
from skhalfway.halfway._halves import neighbour_pairs, peers_credit, reference_credit

X, Y = load_wine(return_X_y=True)
X = scale(X)
NAMES = np.array(["barolo", "grignolino", "barbera"])[Y]


@pytest.fixture(scope="module")
def jury():
    return Jury(random_state=0).fit(X, Y)


@parametrize_with_checks([Jury(random_state=0)])
@pytest.mark.filterwarnings("ignore:no member of the jury is better than chance")
def test_the_jury_is_an_estimator(estimator, check, monkeypatch):
    # with quick members: forests and boosting would take minutes
    quick = {"svc": SVC(), "tree": DecisionTreeClassifier(random_state=0), "nb": GaussianNB()}
    monkeypatch.setattr(_jury, "_members", lambda *_: quick)
    check(estimator)


def test_pairs_are_those_of_brute_force():
    rng = np.random.RandomState(0)
    points = rng.normal(size=(40, 3))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    np.fill_diagonal(distances, np.inf)
    expected = {tuple(sorted((i, int(j)))) for i in range(40) for j in distances[i].argsort()[:5]}
    assert [tuple(pair) for pair in neighbour_pairs(points, 5).tolist()] == sorted(expected)


@pytest.mark.parametrize("n_values", [2, 3, 50])
@pytest.mark.parametrize("k", [1, 6, 40])
def test_of_points_that_are_as_far_the_first_is_nearer(n_values, k):
    rng = np.random.RandomState(0)
    points = np.unique(rng.randint(n_values, size=(150, 6)), axis=0).astype(float)
    distances = np.linalg.norm(points[:, None] - points, axis=2).round(9)
    np.fill_diagonal(distances, np.inf)
    nearest = distances.argsort(axis=1, kind="stable")[:, :k]
    expected = {tuple(sorted((i, int(j)))) for i in range(len(points)) for j in nearest[i]}
    assert [tuple(pair) for pair in neighbour_pairs(1e3 + points, k).tolist()] == sorted(expected)


def test_samples_at_one_point_are_no_neighbours():
    points = np.array([[0.0], [0.0], [1.0], [5.0], [5.0]])
    # of each point's samples the first is the neighbour; three points have two others each at most
    assert neighbour_pairs(points, 1).tolist() == [[0, 2], [1, 2], [2, 3], [2, 4]]
    assert neighbour_pairs(points, 9).tolist() == [[0, 2], [0, 3], [0, 4], [1, 2], [1, 3], [2, 3], [2, 4]]


def by_hand(answer, others, weights):
    """1 over the number of tied answers with most weight, where the answer is one of them."""
    weight = {
        label: sum(w for w, other in zip(weights, others, strict=True) if other == label) for label in others
    }
    most = [label for label in weight if np.isclose(weight[label], max(weight.values()))]
    return 1 / len(most) if answer in most else 0.0


@settings(max_examples=50, deadline=None)
@given(arrays(np.intp, st.tuples(st.integers(2, 6), st.integers(1, 8)), elements=st.integers(0, 3)))
def test_credit_of_peers(answers):
    expected = [
        [
            by_hand(one, np.delete(column, i), np.ones(len(column) - 1))
            for one, column in zip(row, answers.T, strict=True)
        ]
        for i, row in enumerate(answers)
    ]
    np.testing.assert_allclose(peers_credit(answers), expected)


@settings(max_examples=50, deadline=None)
@given(
    arrays(np.intp, st.tuples(st.integers(2, 6), st.integers(1, 8)), elements=st.integers(0, 3)),
    st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.6]), min_size=5, max_size=5),
)
def test_credit_by_weighted_votes(answers, weights):
    answer, others = answers[0], answers[1:]
    weights = np.array(weights[: len(others)])
    expected = [by_hand(one, column, weights) for one, column in zip(answer, others.T, strict=True)]
    np.testing.assert_allclose(reference_credit(answer, others, weights), expected)


def test_one_model_has_no_peers():
    assert np.isnan(peers_credit(np.zeros((1, 3), dtype=int))).all()


@pytest.fixture(scope="module")
def models():
    members = {
        "svm": SVC(),
        "nb": GaussianNB(),
        "5-nn": KNeighborsClassifier(),
        "stump": DecisionTreeClassifier(max_depth=1),
    }
    return {name: model.fit(X, NAMES) for name, model in members.items()}


def test_measured_with_peers(models, tmp_path):
    measurement = HalfwayScorer(n_pairs=50, n_neighbors=4, random_state=0).fit(models).measure(X, NAMES)
    pairs = neighbour_pairs(X, 4)
    middle = (X[pairs[:, 0]] + X[pairs[:, 1]]) / 2
    answers = np.stack([model.predict(middle) for model in models.values()])
    for i, name in enumerate(models):
        expected = np.mean(
            [
                by_hand(one, np.delete(column, i), np.ones(3))
                for one, column in zip(answers[i], answers.T, strict=True)
            ]
        )
        others = {other: model for other, model in models.items() if other != name}
        np.testing.assert_allclose(measurement.consensus[i], expected)
        found = consensus_score(models[name], X, NAMES, reference=others, n_neighbors=4)
        np.testing.assert_allclose(found, expected)
    assert measurement.consensus.argmin() == 3
    low, high = measurement.confidence_interval(of="consensus")
    assert (low < measurement.consensus).all() and (measurement.consensus < high).all() and (high <= 1).all()
    frame = measurement.to_frame()
    np.testing.assert_array_equal(
        frame[["consensus", "consensus_low"]], np.column_stack([measurement.consensus, low])
    )
    assert "consensus [95 %]" in repr(measurement)
    measurement.save(tmp_path / "measurement.json")
    assert load_result(tmp_path / "measurement.json") == measurement


def test_sure_of_as_many_samples_as_there_are():
    pairs = np.column_stack([np.arange(20), np.arange(1, 21)])
    measurement = HalfwayMeasurement(
        ("a", "b", "c"),
        pairs=pairs,
        lengths=np.ones(20),
        crossings=np.full((3, 20), 0.5),
        counted=np.ones((3, 20), dtype=bool),
        halves=pairs,
        answers=np.stack([np.zeros(20), np.zeros(20), np.ones(20)]).astype(int),
        labels=np.zeros(21, dtype=int),
        classes=np.arange(2),
    )
    # two answers of the others are tied where one of them is c's
    np.testing.assert_allclose(measurement.consensus, [0.5, 0.5, 0])
    low, high = measurement.confidence_interval(of="consensus")
    assert np.isnan(low[:2]).all()
    np.testing.assert_allclose((low[2], high[2]), wilson_interval(0, 21))


def test_no_halves_where_none_are_wanted(models):
    measurement = HalfwayScorer(n_pairs=50, n_neighbors=None, random_state=0).fit(models).measure(X, NAMES)
    assert measurement.halves is None
    assert np.isnan(measurement.consensus).all()
    assert np.isnan(measurement.confidence_interval(of="consensus")).all()
    assert "consensus" not in repr(measurement) and "consensus" not in measurement.to_frame()
    with pytest.raises(ValueError, match=r"halves were not measured.*n_neighbors=6"):
        measurement.contested(X)


def test_votes_weigh_what_cross_validation_says(jury):
    members = jury.voters_.estimators_
    accuracies = [cross_val_score(clone(member), X, Y, cv=3).mean() for member in members]
    np.testing.assert_allclose(jury.cv_accuracy_, accuracies)
    weights = np.maximum(jury.cv_accuracy_ - 1 / 3, 0) ** 2
    np.testing.assert_allclose(jury.weights_, weights / weights.sum())
    shares = np.zeros((len(X), 3))
    points = X + np.random.RandomState(0).normal(size=X.shape)
    for member, weight in zip(members, jury.weights_, strict=True):
        shares[np.arange(len(X)), member.predict(points)] += weight
    np.testing.assert_array_equal(jury.predict(points), shares.argmax(axis=1))


def test_a_jury_of_chance_says_so():
    rng = np.random.RandomState(0)
    with pytest.warns(UserWarning, match="no member of the jury is better than chance"):
        # each class is as frequent, and every member of a fold sees the others' labels only
        jury = Jury(cv=2, random_state=0).fit(
            rng.permutation(np.repeat([[0.0]], 40, axis=0)), np.arange(40) % 2
        )
    np.testing.assert_allclose(jury.weights_, 1 / 6)


def test_scores_by_a_jury(jury):
    stump = DecisionTreeClassifier(max_depth=1).fit(X, Y)
    svm = SVC().fit(X, Y)
    pairs = neighbour_pairs(X, 6)
    middle = (X[pairs[:, 0]] + X[pairs[:, 1]]) / 2
    for model in (stump, svm):
        expected = np.mean(model.predict(middle) == jury.predict(middle))
        for reference in (jury, [jury], {"jury": jury}):
            np.testing.assert_allclose(consensus_score(model, X, Y, reference=reference), expected)
    assert (
        consensus_score(stump, X, Y, reference=jury)
        < 0.75
        < 0.95
        < consensus_score(svm, X, Y, reference=jury)
    )


def test_chooses_in_a_search(jury):
    everything = np.arange(len(X))
    search = GridSearchCV(
        DecisionTreeClassifier(random_state=0),
        {"max_depth": [1, 4]},
        scoring=partial(consensus_score, reference=jury),
        cv=[(everything, everything)],
    )
    assert search.fit(X, Y).best_params_ == {"max_depth": 4}


def test_images_of_networks_and_flat_ones_of_a_jury():
    images, labels = load_digits(n_class=2, return_X_y=True)
    images, labels = (images[:40] / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels[:40]
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2)).eval()
    score = consensus_score(net, images, labels)
    jury = Jury(random_state=0).fit(images.reshape(len(images), -1), labels)
    pairs = neighbour_pairs(images, 6)
    middle = (images[pairs[:, 0]] + images[pairs[:, 1]]) / 2
    with torch.no_grad():
        answers = net(torch.from_numpy(middle)).argmax(1).numpy()
    np.testing.assert_allclose(score, np.mean(answers == jury.predict(middle.reshape(len(middle), -1))))


@pytest.mark.parametrize("framed", [False, True])
def test_planted_labels_are_contested(framed):
    points, labels = make_blobs(200, n_features=4, centers=3, cluster_std=1.5, random_state=0)
    rng = np.random.RandomState(0)
    wrong = rng.choice(200, 20, replace=False)
    noisy = labels.copy()
    noisy[wrong] = (labels[wrong] + rng.randint(1, 3, 20)) % 3
    data = (
        pd.DataFrame(points, columns=list("abcd"), index=[f"row {i}" for i in range(200)])
        if framed
        else points
    )
    members = [SVC(), KNeighborsClassifier(7), GaussianNB(), LogisticRegression()]
    fitted = [member.fit(data, noisy) for member in members]
    measurement = HalfwayScorer(n_pairs=100, random_state=0).fit(fitted).measure(data, noisy)
    found = measurement.contested(data)
    rows = [int(str(name).removeprefix("row ")) for name in found.index]
    hits = np.isin(rows, wrong)
    assert hits.sum() >= 18 and hits.mean() > 0.7
    assert (found["margin"] < 0).all() and found["margin"].is_monotonic_increasing
    np.testing.assert_array_equal(found["label"], noisy[rows])
    np.testing.assert_array_equal(found["suggested"][hits], labels[rows][hits])
    assert measurement.contested(n_samples=5)["margin"].tolist() == found["margin"][:5].tolist()


def test_margins_are_those_counted_by_hand():
    measurement = HalfwayMeasurement(
        ("a", "b"),
        pairs=np.array([[0, 1]]),
        lengths=np.ones(1),
        crossings=np.full((2, 1), 0.5),
        counted=np.ones((2, 1), dtype=bool),
        halves=np.array([[0, 1], [0, 2]]),
        answers=np.array([[0, 1], [1, 1]]),
        labels=np.array([0, 1, 1, 0]),
        classes=np.array(["cat", "dog"]),
    )
    frame = measurement.contested(n_samples=4)
    assert frame.index.tolist() == [0, 1, 2, 3]
    assert frame["margin"].tolist()[:3] == [-0.5, 0.0, 1.0] and np.isnan(frame["margin"][3])
    assert frame["suggested"].tolist() == ["dog", "cat", "cat", "cat"]
    assert frame["n_halves"].tolist() == [2, 1, 1, 0]


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        (
            {"reference": "friends"},
            ValueError,
            "reference must be 'jury', a fitted Jury, or fitted classifiers, got 'friends'",
        ),
        ({"reference": None}, ValueError, "reference must be 'jury'"),
        ({"reference": []}, ValueError, "at least one fitted classifier, got none"),
        ({"reference": Jury()}, NotFittedError, "Jury"),
        ({"reference": [3]}, TypeError, "int"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors must be an integer >= 1, got 0"),
        ({"n_jobs": 0}, ValueError, "n_jobs must be"),
        ({"random_state": "a"}, ValueError, "random_state"),
        ({"reference": [DummyClassifier().fit(X, Y % 2)]}, ValueError, "the same classes_"),
    ],
)
def test_errors(params, error, message):
    with pytest.raises(error, match=message):
        consensus_score(GaussianNB().fit(X, Y), X, Y, **params)


def test_nothing_is_judged_by_itself_or_between_samples_of_one_point():
    model = GaussianNB().fit(X, Y)
    with pytest.raises(ValueError, match="the estimator is in its own reference"):
        consensus_score(model, X, Y, reference=[model])
    with pytest.raises(ValueError, match="at least 2 different points"):
        consensus_score(model, np.zeros((20, 13)), Y[:20] * 0)
    with pytest.raises(ValueError, match="n_neighbors must be an integer >= 1, got 1.5"):
        HalfwayScorer(n_neighbors=1.5).fit([model, SVC().fit(X, Y)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.contested(X[:3]), "X must hold the 178 samples that were measured, got 3"),
        (lambda m: m.contested(n_samples=179), "n_samples=179, but only 178"),
        (lambda m: m.contested(n_samples=0), "n_samples must be an integer >= 1, got 0"),
    ],
)
def test_errors_of_contested(models, call, message):
    measurement = HalfwayScorer(n_pairs=20, random_state=0).fit(models).measure(X, NAMES)
    with pytest.raises(ValueError, match=message):
        call(measurement)
