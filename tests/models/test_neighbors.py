"""Classifiers by distance: exact ones against their own scores, soft ones as their temperature falls."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid, RadiusNeighborsClassifier
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from skhalfway.models import NotDifferentiableError, as_model, to_module
from skhalfway.models._distances import Distances
from skhalfway.models._neighbors import among_nearest, typical_distance

KNN, RNN = KNeighborsClassifier, RadiusNeighborsClassifier
RADIUS = {"breast": 4.0, "iris": 0.8, "digits": 2.2}
SOFT = {
    "five": KNN(),
    "nearest": KNN(1),
    "fifteen by distance": KNN(15, weights="distance"),
    "manhattan": KNN(3, p=1),
    "minkowski": KNN(3, p=3),
    "chebyshev": KNN(3, metric="chebyshev"),
    "l2, by hand": KNN(3, metric="l2", algorithm="brute"),
    "propagated along neighbours": LabelPropagation(kernel="knn", max_iter=5000),
    "spread along neighbours": LabelSpreading(kernel="knn", n_neighbors=3),
}
WITHIN = {
    "radius": {"outlier_label": "most_frequent"},
    "radius by distance": {"outlier_label": "most_frequent", "weights": "distance"},
    "radius manhattan": {"outlier_label": "most_frequent", "p": 1},
}
each_soft = pytest.mark.parametrize("name", [*SOFT, *WITHIN])
each_data_set = pytest.mark.parametrize("data", ["breast", "iris", "digits"])


@pytest.fixture
def soft(fit):
    def classifier(name, data):
        if name in SOFT:
            return fit(SOFT[name], data)
        # a sum over features grows with them
        radius = RADIUS[data] * (4 if "manhattan" in name else 1)
        return fit(RNN(radius, **WITHIN[name]), data)

    return classifier


@pytest.fixture
def nearby(load):
    """Samples between those of a data set."""

    def between(data):
        X, _ = load(data)
        return (X + np.random.default_rng(0).permutation(X) * 0.15) / 1.15

    return between


@each_data_set
@each_soft
def test_predictions(name, data, soft, nearby, agreement):
    assert agreement(soft(name, data), nearby(data)) > 0.95


@each_data_set
@each_soft
def test_tends_to_the_estimators_own(name, data, soft, nearby, logits):
    classifier, X = soft(name, data), nearby(data)
    model, own = as_model(classifier), classifier.predict_proba(X)
    # alone, two classes of equally many neighbours are decided by who comes first
    first, second = np.sort(own, axis=1)[:, :-3:-1].T
    untied = first > second + 1e-9
    differences = []
    for temperature in (0.3, 0.03, 1e-4):
        model.module.temperature = temperature
        z = logits(model, X)
        differences.append(np.abs(np.exp(log_softmax(z, axis=1)) - own).mean())
    assert differences == sorted(differences, reverse=True)
    assert differences[-1] < 0.01
    assert (z.argmax(axis=1) == model.predict(X))[untied].mean() >= 0.99


@pytest.mark.parametrize("data", ["breast", "iris"])
@each_soft
def test_gradient(name, data, soft, load, check_gradient):
    check_gradient(as_model(soft(name, data)), load(data)[0])


@each_soft
def test_gradient_at_a_training_sample(name, soft, load):
    x = torch.from_numpy(load("iris")[0][:3]).requires_grad_()
    z = as_model(soft(name, "iris")).logits(x)
    (gradient,) = torch.autograd.grad((z[:, 1] - z[:, 0]).sum(), x)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum(dim=1).all()


def test_an_outlier_has_the_outliers_label(load, logits):
    X, y = load("iris")
    for weights in ("uniform", "distance"):
        model = as_model(RNN(0.5, weights=weights, outlier_label=2).fit(X, y))
        far = np.array([[50.0, 50.0, 50.0, 50.0], [-9.0, 3.0, 0.0, 1.0]])
        assert model.predict(far).tolist() == [2, 2]
        assert logits(model, far).argmax(axis=1).tolist() == [2, 2]


def test_the_scale_is_that_of_the_data(load, logits):
    X, y = load("iris")
    small, large = as_model(KNN(3).fit(X, y)), as_model(KNN(3).fit(1000 * X, y))
    np.testing.assert_allclose(logits(large, 1000 * X), logits(small, X), atol=1e-4)


def test_how_far_points_count_by_formula():
    """The edge of the two nearest lies halfway between them and the third."""
    distance = torch.tensor([[5.0, 1.0, 2.0, 3.0], [0.0, 4.0, 4.0, 4.0]], dtype=torch.float64)
    inside = torch.tensor([[-2.5, 1.5, 0.5, -0.5], [4.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(among_nearest(distance, 2, 0.5), torch.sigmoid(inside / 0.5).log())


@pytest.mark.parametrize(("n", "k"), [(5, 1), (5, 2), (1000, 3), (1001, 3), (2001, 1)])
def test_typical_distances_are_medians(n, k):
    """Of all points on a line, whose steps grow, or of every second or third, where there are thousands."""
    points = np.cumsum(np.arange(float(n)))[:, None]
    away = np.sort(np.abs(points - points.T), axis=1)[:: -(-n // 1000), k]
    # of an even number the lower one in the middle, as torch's
    expected = np.sort(away)[(len(away) - 1) // 2]
    assert typical_distance(Distances(points), k) == pytest.approx(expected, rel=1e-6)


def test_points_that_are_all_the_same_have_the_distance_1():
    assert typical_distance(Distances(np.ones((4, 2))), 2) == 1


@pytest.mark.parametrize("weights", ["uniform", "distance"])
@pytest.mark.parametrize("kind", ["nearest", "radius"])
def test_counts_of_neighbours_by_formula(kind, weights, load, logits):
    """Softened by .05 of the usual distance of the third neighbour, or by .02 of the radius."""
    X, y = load("iris")
    X, y = X[::5], y[::5]
    samples = X + 0.03
    distance = np.linalg.norm(samples[:, None] - X, axis=2)
    if kind == "nearest":
        classifier = KNN(3, weights=weights).fit(X, y)
        order = np.sort(distance, axis=1)
        between = np.sort(np.linalg.norm(X[:, None] - X, axis=2), axis=1)
        usual = np.sort(between[:, 3])[(len(X) - 1) // 2]
        inside = (order[:, 2:4].mean(axis=1, keepdims=True) - distance) / (0.05 * usual)
    else:
        classifier = RNN(0.8, weights=weights, outlier_label=2).fit(X, y)
        inside = (0.8 - distance) / (0.02 * 0.8)
    log_weight = -np.logaddexp(0, -inside)
    if weights == "distance":
        log_weight = log_weight - np.log(distance)
    expected = np.stack([np.logaddexp.reduce(log_weight[:, y == c], axis=1) for c in range(3)], axis=1)
    if kind == "radius":
        trace = np.log(1e-3 / (0.8 if weights == "distance" else 1))
        expected[:, 2] = np.logaddexp(expected[:, 2], trace)
    np.testing.assert_allclose(logits(as_model(classifier), samples), expected, rtol=1e-9, atol=1e-9)


def test_a_trace_of_a_neighbour_is_of_the_outliers_class(load, logits):
    X, y = load("iris")
    model = as_model(RNN(0.5, outlier_label=2).fit(X, y))
    z = logits(model, np.full((1, 4), 50.0))
    assert z[0, 2] == pytest.approx(np.log(1e-3)) and (z[0, :2] < -100).all()


CENTROIDS = {
    "euclidean": NearestCentroid(),
    "manhattan": NearestCentroid(metric="manhattan"),
    "shrunken": NearestCentroid(shrink_threshold=0.5),
    "of frequent classes": NearestCentroid(priors="empirical"),
    "manhattan of frequent classes": NearestCentroid(metric="manhattan", priors="empirical"),
}
each_centroid = pytest.mark.parametrize("name", CENTROIDS)


@each_data_set
@each_centroid
def test_centroids(name, data, load, fit, agreement, check_responses, check_gradient):
    # a pixel that never changes has no deviation, of which scikit-learn warns
    X, y = load(data)
    if data == "digits":
        X = X + np.random.default_rng(0).uniform(size=X.shape) / 100
    classifier = CENTROIDS[name].fit(X, y)
    assert agreement(classifier, X) == 1
    check_responses(classifier, X)
    check_gradient(as_model(classifier), X)


def test_the_distance_is_the_logit(load, logits):
    X, y = load("iris")
    classifier = NearestCentroid(metric="manhattan").fit(X, y)
    own = -(np.abs(X[:, None] - classifier.centroids_).sum(axis=2) ** 2)
    np.testing.assert_allclose(logits(as_model(classifier), X), own, atol=1e-9)


@each_data_set
@pytest.mark.parametrize(
    "propagation",
    [LabelPropagation(gamma=0.3), LabelPropagation(), LabelSpreading(gamma=0.3)],
    ids=str,
)
def test_propagation(propagation, data, load, fit, check_logits, check_gradient):
    X, _ = load(data)
    # next to samples, where even a narrow kernel reaches
    X = X + np.random.default_rng(0).normal(scale=0.01, size=X.shape)
    classifier = fit(propagation, data)
    check_logits(classifier, X)
    check_gradient(as_model(classifier), X)


def test_a_narrow_kernel_still_points_to_another_class(load, fit):
    # where scikit-learn's own kernel is 0
    model = as_model(fit(LabelPropagation(gamma=1000.0), "iris"))
    x = torch.tensor([[9.0, 9.0, 9.0, 9.0]], dtype=torch.float64, requires_grad=True)
    z = model.logits(x)
    (gradient,) = torch.autograd.grad(z[0, 0] - z[0, 2], x)
    assert torch.isfinite(z).all()
    assert (gradient < 0).any()


def uneven(distances):
    return 1 / (1 + distances)


def cosine(X, Y):
    return X @ Y.T


REFUSED = {
    "metric": (KNN(metric="cosine"), "KNeighborsClassifier with metric='cosine' has no gradient here; the m"),
    "radius metric": (RNN(metric="canberra"), "RadiusNeighborsClassifier with metric='canberra' has no"),
    "weighted metric": (
        KNN(metric="minkowski", metric_params={"w": np.ones(4)}),
        "metric='minkowski' has no gradient here; the metrics 'minkowski' without weights",
    ),
    "weights": (KNN(weights=uneven), "KNeighborsClassifier with a function as weights has no gradient here"),
    "all are neighbours": (KNN(150), "all 150 training samples are neighbours of n_neighbors=150"),
    "kernel": (LabelSpreading(kernel=cosine), "LabelSpreading with a function as kernel has no gradient"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, load):
    X, y = load("iris")
    classifier, message = REFUSED[case]
    model = as_model(classifier.fit(X, y))
    assert not model.has_gradient
    assert message in model.why_black_box


def test_several_outputs_are_refused(load):
    X, y = load("iris")
    with pytest.raises(NotDifferentiableError, match="of several outputs has no single class"):
        to_module(KNN().fit(X, np.column_stack([y, y])))
