"""Support vector machines against their own decision values, for every built-in kernel."""

import warnings

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.special import log_expit
from sklearn.datasets import load_digits
from sklearn.svm import SVC, NuSVC

from skhalfway.models import as_model

KERNELS = {
    "linear": {},
    "poly": {"degree": 3, "coef0": 1.0},
    "rbf": {"gamma": 0.02},
    "sigmoid": {"gamma": 0.01, "coef0": -0.1},
}
MACHINES = {
    f"{type_.__name__} {kernel}": type_(kernel=kernel, decision_function_shape="ovo", **extra, **params)
    for type_, extra in ((SVC, {}), (NuSVC, {"nu": 0.1}))
    for kernel, params in KERNELS.items()
} | {"SVC with class weights": SVC(class_weight={0: 3}, decision_function_shape="ovo")}

each_machine = pytest.mark.parametrize("name", MACHINES)


@each_machine
def test_two_classes(name, load, fit, check_logits):
    check_logits(fit(MACHINES[name], "breast"), load("breast")[0])


@pytest.mark.parametrize("data", ["iris", "digits"])
@each_machine
def test_every_pair_of_classes(name, data, load, fit, logits):
    X, _ = load(data)
    machine = fit(MACHINES[name], data)
    model = as_model(machine)
    pairs, _ = model.module
    np.testing.assert_allclose(pairs(torch.from_numpy(X)).numpy(), machine.decision_function(X), atol=1e-5)
    assert logits(model, X).shape == (len(X), len(machine.classes_))
    np.testing.assert_array_equal(machine.classes_[model.predict(X)], machine.predict(X))


@pytest.mark.parametrize("data", ["breast", "digits"])
@each_machine
def test_gradient(name, data, load, fit, check_gradient):
    check_gradient(as_model(fit(MACHINES[name], data)), load(data)[0])


@each_machine
def test_largest_logit_is_the_winner_of_the_votes(name, logits):
    X, y = load_digits(return_X_y=True)
    X = X / 16
    machine = MACHINES[name].__class__(**MACHINES[name].get_params()).fit(X[::2], y[::2])
    agreement = np.mean(logits(as_model(machine), X).argmax(axis=1) == machine.predict(X))
    assert agreement >= 0.99


@each_machine
def test_a_class_scores_the_log_probabilities_that_it_wins_its_pairs(name, load, fit, logits):
    X, _ = load("iris")
    machine = fit(MACHINES[name], "iris")
    expected = np.zeros((len(X), 3))
    for (i, j), decision in zip(((0, 1), (0, 2), (1, 2)), machine.decision_function(X).T, strict=True):
        expected[:, i] += log_expit(8 * decision)
        expected[:, j] += log_expit(-8 * decision)
    np.testing.assert_allclose(logits(as_model(machine), X), expected, atol=1e-4)


@pytest.mark.skipif("probability" not in SVC().get_params(), reason="this scikit-learn has no such parameter")
@pytest.mark.parametrize("data", ["breast", "digits"])
@pytest.mark.parametrize("spelling", [{}, {"probability": True}, {"probability": False}], ids=str)
def test_probability_in_any_spelling(spelling, data, load, logits):
    X, y = load(data)
    with warnings.catch_warnings():
        # to set it is deprecated from scikit-learn 1.9 on, and allowed until 1.11
        warnings.filterwarnings("ignore", ".*probability", FutureWarning)
        machine = SVC(random_state=0, **spelling).fit(X, y)
    plain = SVC().fit(X, y)
    model = as_model(machine)
    np.testing.assert_allclose(logits(model, X), logits(as_model(plain), X), atol=1e-5)
    np.testing.assert_array_equal(model.predict(X), plain.predict(X))
    if spelling.get("probability"):
        np.testing.assert_array_equal(model.scores(X), machine.predict_proba(X))
    else:
        np.testing.assert_array_equal(model.scores(X).argmax(axis=1), plain.predict(X))


@pytest.mark.parametrize("data", ["breast", "digits"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_fitted_to_sparse_samples(kernel, data, load, logits):
    X, y = load(data)
    machine = SVC(kernel=kernel, decision_function_shape="ovo", **KERNELS[kernel]).fit(csr_matrix(X), y)
    model = as_model(machine)
    own = machine.decision_function(csr_matrix(X))
    if own.ndim == 1:
        np.testing.assert_allclose(logits(model, X)[:, 1], own, atol=1e-5)
    else:
        np.testing.assert_allclose(model.module[0](torch.from_numpy(X)).numpy(), own, atol=1e-5)
    np.testing.assert_array_equal(model.predict(X), machine.predict(csr_matrix(X)))


@pytest.mark.parametrize("kernel", ["precomputed", lambda a, b: a @ b.T], ids=["precomputed", "callable"])
def test_other_kernels_are_black_boxes(kernel, load):
    X, y = load("iris")
    samples = X @ X.T if kernel == "precomputed" else X
    machine = SVC(kernel=kernel).fit(samples, y)
    model = as_model(machine)
    assert not model.has_gradient
    assert "SVC with kernel=" in model.why_black_box
    assert "'linear', 'poly', 'rbf' and 'sigmoid'" in model.why_black_box
    np.testing.assert_array_equal(model.predict(samples), machine.predict(samples))
