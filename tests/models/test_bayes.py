"""Naive Bayes and quadratic discriminants against their own probabilities."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB

from skhalfway.models import as_model
from skhalfway.models._bayes import SoftStep

QDA = QuadraticDiscriminantAnalysis
CLASSIFIERS = {
    "QDA": QDA(reg_param=0.1),
    "QDA of given priors": QDA(reg_param=0.5, priors=[0.1, 0.9]),
    # solvers came with scikit-learn 1.8
    **({"QDA by eigen": QDA(solver="eigen", shrinkage=0.2)} if "solver" in QDA().get_params() else {}),
    "Gaussian": GaussianNB(var_smoothing=1e-2),
    "Gaussian of given priors": GaussianNB(priors=[0.99, 0.01]),
    "multinomial": MultinomialNB(),
    "multinomial without priors": MultinomialNB(fit_prior=False, alpha=0.1),
    "complement": ComplementNB(),
    "normalised complement": ComplementNB(norm=True),
    "Bernoulli of bits": BernoulliNB(binarize=None),
}
IN_UNITS = {"multinomial", "multinomial without priors", "complement", "normalised complement"}
CASES = [
    (name, data)
    for name, classifier in CLASSIFIERS.items()
    for data in ("breast", "iris", "digits")
    if not (data == "breast" and name in IN_UNITS)
    and not (data != "breast" and getattr(classifier, "priors", None))
    # fewer samples of a class than pixels
    and not (data == "digits" and name == "QDA")
    and name != "Bernoulli of bits"
]


@pytest.mark.parametrize(("name", "data"), CASES)
def test_logits_are_the_classifiers_own(name, data, load, fit, check_logits, check_responses):
    X, _ = load(data)
    classifier = fit(CLASSIFIERS[name], data)
    # where no probability is next to 0 or 1, too
    check_logits(classifier, (X + X.mean(axis=0)) / 2)
    check_responses(classifier, X)


@pytest.mark.parametrize(("name", "data"), CASES)
def test_gradient(name, data, load, fit, check_gradient):
    check_gradient(as_model(fit(CLASSIFIERS[name], data)), load(data)[0])


@pytest.mark.parametrize("smoothing", [1e-9, 1e-15, 0.0])
@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_densities_of_badly_scaled_data_keep_their_digits(smoothing, offset):
    rng = np.random.default_rng(0)
    y, scale = np.arange(300) % 5, 10 ** rng.uniform(-3, 6, size=20)
    X = (rng.normal(size=(300, 20)) + 3 * rng.normal(size=(5, 20))[y] + offset) * scale
    # nearly constant in one class
    X[y == 2, 3] = 1e-6 * X[y == 2, 4]
    nb, qda = GaussianNB(var_smoothing=smoothing).fit(X, y), QDA(reg_param=0.5).fit(X, y)
    for classifier, own in ((nb, nb._joint_log_likelihood(X)), (qda, qda.decision_function(X))):
        x = torch.from_numpy(X).requires_grad_()
        logits = as_model(classifier).logits(x)
        np.testing.assert_allclose(logits.detach(), own, rtol=1e-8)
        (gradient,) = torch.autograd.grad(logits[:, 1].sum(), x)
        if classifier is nb:
            expected = -(X - nb.theta_[1]) / nb.var_[1]
            assert (np.abs(gradient.numpy() - expected) <= 1e-8 * np.abs(expected).max(axis=0)).all()


@pytest.fixture
def bits(load):
    X, y = load("digits")
    return (X > 0.5).astype(float), y


def test_bernoulli_of_bits_is_linear(bits, check_logits, check_gradient):
    X, y = bits
    classifier = BernoulliNB(binarize=None).fit(X, y)
    check_logits(classifier, X)
    check_gradient(as_model(classifier), X)


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_bernoullis_step_is_soft(threshold, load, agreement, check_gradient):
    X, y = load("digits")
    classifier = BernoulliNB(binarize=threshold).fit(X, y)
    # a pixel at the threshold, as most are at 0, counts as below it
    assert agreement(classifier, X) > 0.99
    model = as_model(classifier)
    check_gradient(model, X)
    # a step far away still has a direction
    x = torch.full((1, 64), 100.0, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.logits(x)[0, 0], x)
    step = classifier.feature_log_prob_ - np.log1p(-np.exp(classifier.feature_log_prob_))
    np.testing.assert_array_equal(gradient[0].sign(), np.sign(step[0]))


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_the_soft_step(threshold):
    """A sigmoid six widths of a thousandth above, and a millionth of a slower step."""
    x = threshold + np.array([-1e3, -1.0, -1e-3, 0.0, 1e-3, 6e-3, 1e-2, 1.0, 1e3])
    beyond = (x - threshold) / 1e-3 - 6
    expected = expit(beyond) + 1e-6 * beyond / (1 + np.abs(beyond))
    np.testing.assert_allclose(SoftStep(threshold)(torch.from_numpy(x)), expected, rtol=1e-9, atol=1e-15)


def test_bernoulli_tends_to_its_own_probabilities(load):
    X, y = load("digits")
    classifier = BernoulliNB(binarize=0.5).fit(X, y)
    X = X + np.random.default_rng(0).normal(scale=0.1, size=X.shape)
    own = classifier.predict_log_proba(X)
    distances = []
    for temperature in (1e-1, 1e-2, 1e-3, 1e-5):
        model = as_model(classifier)
        model.module[0].temperature = temperature
        ours = torch.log_softmax(model.logits(torch.from_numpy(X)), dim=1).numpy()
        distances.append(np.abs(ours - own).mean())
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.1
