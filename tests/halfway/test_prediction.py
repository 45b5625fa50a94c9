from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import ndtr
from scipy.stats import spearmanr
from sklearn.datasets import load_iris, make_blobs
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.halfway import _prediction
from skhalfway.halfway._planes import Asked, Planes, differences, fit_priors
from skhalfway.halfway._planes import planes as planes_of
from skhalfway.halfway._prediction import (
    LEVELS,
    N_DIRECTIONS,
    N_HALVINGS,
    SPREAD,
    crossing_levels,
    predict,
    predict_all,
    predict_rates,
    probabilities,
    reach_of,
    towards_others,
)
from skhalfway.models import as_model


class Recorder:
    """A plane's answers, scaled inputs, and every row that was asked for."""

    classes_ = np.array([0, 1])

    def __init__(self, w, b, scale=1.0):
        self.w, self.b, self.scale, self.asked = np.array(w, dtype=float), b, scale, []

    def predict(self, X):
        self.asked.append(np.array(X))
        return (X / self.scale @ self.w + self.b > 0).astype(int)


PLANES = [([1.0, 0.3, 0.2], 0.0), ([0.7, -0.6, 0.3], 0.1), ([0.9, 0.2, 0.5], -0.2)]


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(120, centers=[[-1.5, 0, 0], [1.5, 0, 0]], cluster_std=0.7, random_state=0)
    return X, y


def planes(scale=1.0):
    return [as_model(Recorder(w, b, scale)) for w, b in PLANES]


def test_progress_is_the_expectation_of_random_planes():
    rng = np.random.RandomState(0)
    mean, deviation, nearness = (
        rng.randn(2, 3, 4),
        rng.uniform(0.3, 1, (2, 3, 4)),
        rng.uniform(-0.3, 0.6, (2, 3)),
    )
    shared = np.array([[1.0, 0.6, 0.0], [0.6, 1.0, 0.3], [0.0, 0.3, 1.0]])
    found = Planes(mean, deviation**2, nearness)
    unseen = rng.multivariate_normal(np.zeros(3), shared, (200_000, 2, 4)).transpose(0, 1, 3, 2)
    v = mean + deviation * unseen
    expected = np.einsum("rnsd,rntd->nst", np.sign(v), v) / len(v) + 2 * nearness[:, None]
    np.testing.assert_allclose(found.progress(np.inf, shared), expected, atol=0.03)
    # in L2 the length of v is taken for the root of its mean square
    size = np.sqrt((v**2).sum(axis=3).mean(axis=0))[..., None]
    expected = np.einsum("rnsd,rntd->nst", v, v) / len(v) / size + nearness[:, None]
    np.testing.assert_allclose(found.progress(2, shared), expected, atol=0.03)


def test_progress_along_what_is_known():
    rng = np.random.RandomState(0)
    v, nearness = rng.randn(5, 3, 4), rng.uniform(-0.3, 0.6, (5, 3))
    known = Planes(v, np.zeros(v.shape), nearness)
    for norm, moves in ((np.inf, np.sign(v)), (2, v / np.linalg.norm(v, axis=2, keepdims=True))):
        length = 2 if norm == np.inf else 1
        expected = np.einsum("nsd,ntd->nst", moves, v) + length * nearness[:, None]
        np.testing.assert_allclose(known.progress(norm, np.eye(3)), expected)
    assert (known.seen == 1).all()
    assert np.isnan(Planes(0 * v, 0 * v, nearness).seen).all()


def test_a_move_that_just_reaches_the_boundary_is_as_likely_as_not():
    progress = np.array([-1.0, 0.0, 2.0, 4.0, 8.0])
    found = probabilities(progress, 0.25)
    assert (found[:2] == 0).all()
    assert found[2:] == pytest.approx([ndtr(np.log(0.5) / SPREAD), 0.5, ndtr(np.log(2) / SPREAD)])


def asked_of(models, X, y, reach, rng, directions=None):
    """What the models answer, as `predict` collects it, and the planes made of it."""
    ways, spans = towards_others(X, y, np.arange(len(X)), rng), differences(X, y, rng)
    right, levels = (
        np.stack(part, axis=1)
        for part in zip(*(crossing_levels(model, X, y, ways, reach) for model in models), strict=True)
    )
    crossed, along = np.isfinite(levels), ways @ spans.T
    nearness = np.where(crossed, 1 / np.where(crossed, levels, 1), 0)
    gram = ways @ ways.transpose(0, 2, 1) / X.shape[1]
    asked = Asked(right, nearness, crossed, gram, along @ along.transpose(0, 2, 1))
    priors = fit_priors(asked)
    return asked, priors, planes_of(priors, asked, slice(0, len(X)), ways, spans)


def test_boundaries_of_planes(blobs):
    X, y = blobs
    asked, _, found = asked_of(planes(), X, y, 8.0, np.random.RandomState(0))
    for m, (w, b) in enumerate(PLANES):
        values, right = X @ w + b, asked.right[:, m]
        assert np.array_equal(right, (values > 0) == y)
        assert not found.mean[~right, m].any() and not found.nearness[~right, m].any()
        true = (
            -8 * (w / values[:, None])[right]
        )  # unit normal towards the plane over the distance, in reaches
        v = found.mean[right, m]
        size = np.linalg.norm(v, axis=1)
        cosine = (v * true).sum(axis=1) / size / np.linalg.norm(true, axis=1)
        seen = (np.abs(values) / np.linalg.norm(w))[right] > 0.05 * 8  # nearer ones are not told apart
        assert np.median(cosine[seen]) > 0.98 and np.quantile(cosine[seen], 0.05) > 0.9
        straight = size + found.nearness[right, m]
        assert np.median(straight[seen] / np.linalg.norm(true, axis=1)[seen]) == pytest.approx(1, abs=0.1)


class Island:
    """Class 0 inside the unit ball, 1 outside."""

    classes_ = np.array([0, 1])

    def predict(self, X):
        return (np.linalg.norm(X, axis=1) > 1).astype(int)


def test_an_island_is_near_its_boundary_whichever_way():
    rng = np.random.RandomState(0)
    X = np.concatenate([0.05 * rng.randn(30, 3), 0.05 * rng.randn(30, 3) + [20, 0, 0]])
    y = np.repeat([0, 1], 30)
    asked, _, found = asked_of([as_model(Island())], X, y, 4.0, rng)
    assert asked.right.all()
    reached = np.median(found.nearness[:30] + np.linalg.norm(found.mean[:30], axis=2)) / 4
    assert reached == pytest.approx(1, abs=0.35)  # 1 / radius
    assert np.median(found.nearness[:30]) > 0.5 * np.median(np.linalg.norm(found.mean[:30], axis=2))


def test_levels_bracket_the_crossing():
    rng = np.random.RandomState(0)
    X, ways = np.zeros((40, 3)), rng.randn(40, N_DIRECTIONS, 3)
    ways /= np.linalg.norm(ways, axis=2, keepdims=True)
    y = np.zeros(40, dtype=int)
    right, levels = crossing_levels(as_model(Recorder([1.0, 0, 0], -0.3)), X, y, ways, 2.0)
    true = 0.3 / 2 / np.where(ways[..., 0] > 0, ways[..., 0], np.nan)
    ratio = np.sqrt(LEVELS[1] / LEVELS[0])
    assert right.all() and np.array_equal(np.isnan(levels), ~(true < 1))
    inside = (true < 1) & (true > LEVELS[0])
    assert np.all(np.abs(np.log(levels[inside] / true[inside])) <= np.log(ratio) + 1e-9)


# Two planes of a given cosine through the middle of a Gaussian, the hardest case: there are 24 directions,
# and data do not say which of so many features matter. How far rates may be off; of ridge regression they
# are .4 too low in 200 dimensions.
LINEAR = {(5, 0.9): 0.07, (5, 0.5): 0.07, (200, 0.9): 0.25}


@pytest.mark.parametrize("norm", [np.inf, 2])
@pytest.mark.parametrize("d, cosine", LINEAR)
def test_linear_models_in_many_dimensions(d, cosine, norm):
    rng = np.random.RandomState(0)
    w = np.linalg.qr(rng.standard_normal((d, 2)))[0].T
    w[1] = cosine * w[0] + np.sqrt(1 - cosine**2) * w[1]
    X = rng.standard_normal((200, d))
    y = (X @ w.sum(axis=0) > 0).astype(int)
    eps = 1.0 if norm == 2 else 1 / np.abs(w[0]).sum()
    margins = (2 * y[:, None] - 1) * (X @ w.T)
    found = predict([as_model(Recorder(each, 0.0)) for each in w], X, y, [(eps, norm)], random_state=0)
    for s, t in np.ndindex(2, 2):
        both = (margins[:, [s, t]] > 0).all(axis=1)
        move = np.sign(w[s]) if norm == np.inf else w[s]
        exact = (margins[both, t] <= eps * (move @ w[t])).mean()
        assert found.rates[0, s, t] == pytest.approx(exact, abs=LINEAR[d, cosine])
    assert (found.reliability > 0.9).all()


def test_a_shadow_is_not_taken_for_the_whole():
    """Of few directions in many features little is determined, and said so."""
    rng = np.random.RandomState(0)
    X = rng.standard_normal((30, 400))
    y = (X[:, 0] > 0).astype(int)
    narrow = [as_model(Recorder(rng.standard_normal(400) + 8 * np.eye(400)[0], 0.0)) for _ in range(2)]
    many = predict(narrow, X, y, [(0.1, 2)], random_state=0).reliability
    few = [as_model(Recorder(np.array([1.0, 0.3, 0.2])[:3], 0.0)) for _ in range(2)]
    low = predict(few, X[:, :3], y, [(0.1, 2)], random_state=0).reliability
    assert many[0, 1] < 0.9 < 0.99 < low[0, 1]


@pytest.mark.parametrize("norm", [np.inf, 2])
def test_rates_of_planes_are_near_the_true_ones(blobs, norm):
    X, y = blobs
    eps = 0.8
    predicted = predict_rates(planes(), X, y, eps=eps, norm=norm, random_state=0)
    values = np.stack([X @ w + b for w, b in PLANES])
    right = (values > 0) == y
    for s, t in np.ndindex(3, 3):
        w = np.array(PLANES[s][0])
        move = np.sign(w) if norm == np.inf else w / np.linalg.norm(w)
        adversarial = X - eps * np.where(y, 1, -1)[:, None] * move
        both = right[s] & right[t]
        true = (((adversarial @ PLANES[t][0] + PLANES[t][1]) > 0) != y)[both].mean()
        assert predicted[s, t] == pytest.approx(true, abs=0.12)


@pytest.mark.filterwarnings("ignore:.*masked:skhalfway.models.ModelWarning")  # soft copies are weaker sources
def test_ranks_pairs_of_models_as_an_attack_does():
    X, y = load_iris(return_X_y=True)
    train, test = np.arange(150) % 2 == 0, np.arange(150) % 2 == 1
    estimators = [
        LogisticRegression(max_iter=1000),
        SVC(),
        SVC(C=0.05),
        KNeighborsClassifier(5),
        GaussianNB(),
        DecisionTreeClassifier(random_state=0),
        RandomForestClassifier(20, random_state=0),
    ]
    models = [estimator.fit(X[train], y[train]) for estimator in estimators]
    scorer = TransferScorer(AdversarialGenerator(eps=0.5, random_state=0), random_state=0).fit(models)
    measured = scorer.transfer(X[test], y[test]).rates
    seen = [as_model(model) for model in models]
    predicted = predict_rates(seen, X[test], y[test], eps=0.5, norm=np.inf, random_state=0)
    off = ~np.eye(len(models), dtype=bool)
    assert spearmanr(predicted[off], measured[off]).statistic > 0.7


def test_all_budgets_at_once_are_what_each_is(blobs):
    X, y = blobs
    budgets = [(0.1, np.inf), (0.3, 2.0), (0.2, np.inf)]
    together = predict_all(planes(), X, y, budgets, random_state=3)
    for (eps, norm), rates in zip(budgets, together, strict=True):
        assert np.array_equal(rates, predict_rates(planes(), X, y, eps=eps, norm=norm, random_state=3))
    assert (together[2] > together[0]).all()


def test_looks_as_far_as_a_budget_goes(blobs):
    X, y = blobs
    near, far = (reach_of(X, y, [(eps, norm)]) for eps, norm in ((1e-3, np.inf), (5.0, np.inf)))
    nearest = np.median(
        [np.linalg.norm(X[y != label] - x, axis=1).min() for x, label in zip(X, y, strict=True)]
    )
    assert near == pytest.approx(2 * nearest)
    assert far == pytest.approx(4 * 5 * np.sqrt(3))
    assert reach_of(X, y, [(1e-3, 2), (9.0, 2), (5.0, np.inf)]) == pytest.approx(4 * 9)
    surely = predict_rates(planes(), X, y, eps=20.0, norm=2, random_state=0)
    assert surely[0, 0] > 0.97


def test_no_more_questions_than_said_and_none_for_another_model(blobs):
    X, y = blobs
    alone, among = Recorder(*PLANES[0]), Recorder(*PLANES[0])
    predict_rates([as_model(alone)], X, y, eps=0.5, norm=np.inf, random_state=0)
    others = [as_model(Recorder(*plane)) for plane in PLANES[1:]]
    predict_rates([as_model(among), *others], X, y, eps=0.5, norm=np.inf, random_state=0)
    assert len(alone.asked) == len(among.asked) == 1 + N_HALVINGS
    for a, b in zip(alone.asked, among.asked, strict=True):
        assert np.array_equal(a, b)
    n_right = ((X @ PLANES[0][0] > 0) == y).sum()
    assert [len(a) for a in alone.asked] == [len(X), *[N_DIRECTIONS * n_right] * N_HALVINGS]


def test_units_do_not_matter(blobs):
    X, y = blobs
    rates = predict_rates(planes(), X, y, eps=0.5, norm=2, random_state=0)
    scaled = predict_rates(planes(4.0), 4 * X, y, eps=2.0, norm=2, random_state=0)
    assert scaled == pytest.approx(rates, rel=1e-9)


def test_same_at_every_call_and_with_threads(blobs):
    X, y = blobs
    first, again, threads, other = (
        predict_rates(planes(), X, y, eps=0.5, norm=np.inf, random_state=seed, n_jobs=n_jobs)
        for seed, n_jobs in ((1, None), (1, None), (1, 2), (2, None))
    )
    assert np.array_equal(first, again) and np.array_equal(first, threads)
    assert not np.array_equal(first, other)


def test_blocks_count_every_sample_once(blobs, monkeypatch):
    X, y = blobs
    whole = predict_rates(planes(), X, y, eps=0.5, norm=np.inf, random_state=0)
    monkeypatch.setattr(_prediction, "blocks", lambda n, size: (slice(i, i + 50) for i in range(0, n, 50)))
    parts = predict_rates(planes(), X, y, eps=0.5, norm=np.inf, random_state=0)
    assert parts == pytest.approx(whole, abs=0.05)  # other draws


def test_directions_lead_to_other_classes():
    rng = np.random.RandomState(0)
    X = rng.randn(40, 30)
    y = np.repeat([0, 2], [30, 10])
    X[y == 2, 0] += 1000
    directions = towards_others(X, y, np.arange(40), rng)
    assert directions.shape == (40, N_DIRECTIONS, 30)
    assert np.linalg.norm(directions, axis=2) == pytest.approx(1)
    assert (directions[y == 0, :, 0] > 0).all() and (directions[y == 2, :, 0] < 0).all()
    half = N_DIRECTIONS // 2  # the noise comes with both signs
    noise = directions[:, :, 1:]
    clear = np.abs(noise[:, :half]) > 0.02
    assert np.array_equal(np.sign(noise[:, :half])[clear], -np.sign(noise[:, half:])[clear])
    # half and half: the noise is as long as the way
    assert np.abs(directions[:, :, 0]).mean() == pytest.approx(np.sqrt(0.5), abs=0.05)
    assert np.linalg.matrix_rank(directions[0]) > N_DIRECTIONS // 2


@pytest.mark.parametrize("n_features", [1, 3, 20, 25])
def test_as_many_directions_in_any_dimension(n_features):
    rng = np.random.RandomState(0)
    X = rng.randn(12, n_features)
    directions = towards_others(X, np.arange(12) % 2, np.arange(12), rng)
    assert directions.shape == (12, N_DIRECTIONS, n_features) and np.isfinite(directions).all()


def test_images_as_rows_of_the_same_net():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 3))
    X = np.random.RandomState(0).randn(60, 1, 4, 4).astype(np.float32)
    y = as_model(net).predict(X)
    kwargs = {"eps": 0.2, "norm": np.inf, "random_state": 0}
    images = predict_rates([as_model(net)], X, y, **kwargs)
    rows = predict_rates([as_model(net)], X.reshape(60, 16), y, **kwargs)
    assert np.array_equal(images, rows) and 0 < images[0, 0] < 1


def test_a_model_that_is_always_wrong_has_no_rates(blobs):
    X, _ = blobs
    wrong, constant = planes()[0], as_model(Recorder([0.0, 0.0, 0.0], 1.0))
    opposite = 1 - wrong.predict(X)
    rates = predict_rates([wrong, constant], X, opposite, eps=1.0, norm=2, random_state=0)
    assert np.isnan(rates[0]).all() and np.isnan(rates[:, 0]).all()
    assert rates[1, 1] == 0  # one that never changes its answer is never fooled


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.eye(3), np.zeros(3, dtype=int), "must hold at least 2 classes"),
        (np.repeat(np.eye(3), 2, axis=0), np.tile([0, 1], 3), "with another label"),
    ],
)
def test_data_without_paths(X, y, message):
    with pytest.raises(ValueError, match=message):
        predict_rates(planes(), X, y, eps=0.1, norm=np.inf)


def test_an_error_says_whose_it_is(blobs):
    X, y = blobs
    models = [planes()[0], as_model(Recorder([1.0, 0.0], 0.0))]
    with pytest.raises(ValueError, match="model 'narrow'"):
        predict_rates(models, X, y, eps=0.1, norm=2, names=["good", "narrow"])
