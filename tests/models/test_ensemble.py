"""Ensemble as a scikit-learn object: what it predicts, clones and refuses."""

from __future__ import annotations

import pickle
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from art.estimators.classification import SklearnClassifier
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import Ensemble
from skhalfway.models import NotDifferentiableError, as_model, check_model


@parametrize_with_checks([Ensemble([("lr", LogisticRegression()), ("nb", GaussianNB())])])
def test_scikit_learn_compatible(estimator, check):
    check(estimator)


X, Y = load_iris(return_X_y=True)
LR, SVM, NB = LogisticRegression(max_iter=1000).fit(X, Y), SVC().fit(X, Y), GaussianNB().fit(X, Y)
NAMES = np.array(["setosa", "versicolor", "virginica"])


def net(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


class BlackBox:
    classes_ = np.arange(3)

    def predict(self, X):
        return NB.predict(X)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def logits(model):
    seen = as_model(model)
    with torch.no_grad():
        return seen.logits(torch.tensor(X, dtype=torch.float64)).numpy()


@pytest.mark.parametrize("weights", [None, [1, 3]])
@pytest.mark.parametrize("combine", ["logits", "probabilities", "losses", "adaptive"])
def test_it_predicts_by_mean_logits_or_probabilities(combine, weights):
    ensemble = Ensemble([("lr", LR), ("svm", SVM)], combine=combine, weights=weights)
    share = np.array([1, 1] if weights is None else weights) / np.sum(weights or [1, 1])
    each = np.stack([logits(LR), logits(SVM)])
    if combine == "probabilities":
        expected = np.tensordot(share, np.stack([softmax(z) for z in each]), axes=1)
    else:
        expected = softmax(np.tensordot(share, each, axes=1))
    np.testing.assert_allclose(ensemble.predict_proba(X), expected, rtol=1e-9)
    np.testing.assert_array_equal(ensemble.predict(X), expected.argmax(axis=1))


def test_probabilities_stay_exact_where_they_round_to_1():
    sure = LogisticRegression(max_iter=1000).fit(X, Y)
    sure.coef_ = 1e4 * sure.coef_
    model = as_model(Ensemble([("a", sure), ("b", sure)], combine="probabilities"))
    x = torch.tensor(X, dtype=torch.float64, requires_grad=True)
    z = model.logits(x)
    gradient = torch.autograd.grad(z[:, 0].sum() - z[:, 1].sum(), x)[0].numpy()
    expected = np.broadcast_to(sure.coef_[0] - sure.coef_[1], X.shape)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)


def test_classes_are_aligned_by_label_and_modules_take_those_of_others():
    """Members of four kinds and three orders of the classes say what each says alone."""
    shuffled = as_model(net(1), classes=NAMES[[2, 0, 1]])
    skorch = NeuralNetClassifier(net, criterion=nn.CrossEntropyLoss, max_epochs=1, verbose=0)
    skorch.fit(X.astype(np.float32), Y)
    reverse = LogisticRegression(max_iter=1000).fit(X, 2 - Y)
    lr = LogisticRegression(max_iter=1000).fit(X, NAMES[Y])
    ensemble = Ensemble([("lr", lr), ("shuffled", shuffled), ("module", net(2))], combine="logits")
    assert ensemble.classes_.tolist() == NAMES.tolist()
    x = torch.tensor(X, dtype=torch.float32)
    with torch.no_grad():
        torch_logits = [net(1)(x).double().numpy()[:, [1, 2, 0]], net(2)(x).double().numpy()]
    expected = (logits(lr) + sum(torch_logits)) / 3
    np.testing.assert_allclose(ensemble.predict_proba(X), softmax(expected), rtol=1e-6)
    model = as_model(ensemble).in_order(NAMES[::-1])
    np.testing.assert_array_equal(NAMES[::-1][model.predict(X)], ensemble.predict(X))

    art = SklearnClassifier(LR)
    mixed = Ensemble([("reverse", reverse), ("skorch", skorch), ("art", art)], combine="logits")
    assert mixed.classes_.tolist() == [0, 1, 2]
    z = logits(reverse), as_model(skorch).scores(X), logits(LR)
    expected = (z[0] + np.log(z[1]) + z[2]) / 3
    np.testing.assert_allclose(mixed.predict_proba(X), softmax(expected), rtol=1e-4)


def test_modules_alone_have_column_numbers_for_labels():
    ensemble = Ensemble([("a", net(1)), ("b", net(2))])
    assert not hasattr(ensemble, "classes_")
    assert set(ensemble.predict(X)) <= {0, 1, 2}


def test_balanced_weights_make_logits_equally_large():
    loud = deepcopy(LR)
    loud.coef_, loud.intercept_ = 50 * LR.coef_, 50 * LR.intercept_
    balanced = Ensemble([("lr", LR), ("loud", loud)], combine="logits").balanced(X)
    np.testing.assert_allclose(balanced.weights, [50 / 51, 1 / 51], rtol=1e-9)
    with pytest.raises(ValueError, match="this Ensemble has combine='losses'"):
        Ensemble([("lr", LR), ("svm", SVM)], combine="losses").balanced(X)


def test_forests_do_not_speak_louder_for_the_sake_of_attacks():
    forest = RandomForestClassifier(10, max_depth=2, random_state=0).fit(X, Y)
    shares = as_model(Ensemble([("a", forest), ("b", forest)])).scores(X)
    assert np.abs(shares - forest.predict_proba(X)).mean() < 0.1


def test_fitted_members_stay_and_others_are_fitted():
    template = SVC(C=2)
    ensemble = Ensemble([("lr", LR), ("svm", template)]).fit(X, Y)
    assert ensemble.estimators_[0][1] is LR
    assert not hasattr(template, "classes_")
    assert ensemble.estimators_[1][1].C == 2
    assert ensemble.n_features_in_ == 4
    twin = clone(ensemble)
    assert twin.estimators[0][1] is LR
    assert twin.estimators[1][1] is not template
    with pytest.raises(NotFittedError, match=r"as its members \['svm'\] are not"):
        twin.predict(X)
    search = GridSearchCV(ensemble, {"svm__C": [1e-6, 1], "combine": ["probabilities"]}, cv=3).fit(X, Y)
    assert search.best_params_["svm__C"] == 1
    assert not hasattr(template, "classes_")


def test_fitted_ensembles_need_no_fit():
    frame = pd.DataFrame(X, columns=list("abcd"))
    ensemble = Ensemble([("lr", LogisticRegression(max_iter=1000).fit(frame, Y)), ("net", net())])
    assert ensemble.n_features_in_ == 4
    assert ensemble.feature_names_in_.tolist() == list("abcd")
    expected = ensemble.predict_proba(frame)
    for other in (clone(ensemble), deepcopy(ensemble), pickle.loads(pickle.dumps(ensemble))):
        np.testing.assert_array_equal(other.predict_proba(frame), expected)
    assert clone(ensemble).estimators[1][1] is ensemble.estimators[1][1]
    assert ensemble.fit(frame, Y).estimators_ == ensemble.estimators
    with pytest.raises(ValueError, match="feature names should match"):
        ensemble.predict(frame[list("bacd")])


def test_reprs_and_parameters():
    ensemble = Ensemble([("lr", LR), ("svm", SVC())], combine="losses", weights=[1, 2])
    assert repr(ensemble).startswith("Ensemble(combine='losses',")
    assert "LogisticRegression" in ensemble._repr_html_()
    assert ensemble.get_params()["lr__max_iter"] == 1000
    assert ensemble.set_params(svm__C=3).estimators[1][1].C == 3
    assert ensemble.set_params(svm=NB).estimators[1][1] is NB
    assert repr(as_model(ensemble)) == "<EnsembleModel of Ensemble: differentiable>"
    with pytest.raises(ValueError, match="member 'lr' is fitted and stays as it is, so lr__C"):
        ensemble.set_params(lr__C=3)


def test_copies_of_members_that_say_something_else_are_found():
    odd, other = as_model(LR), LogisticRegression(max_iter=1000).fit(X, 2 - Y)
    odd.__dict__["_conversion"] = as_model(other)._conversion
    (finding,) = check_model(Ensemble([("svm", SVM), ("odd", odd)]), X).findings
    assert finding.kind == "soft_copy"
    assert finding.message.startswith("member 'odd': the smoothed version that is attacked in its place")


TWO = [("a", LR), ("b", SVM)]
# members, settings, error, message
WRONG = [
    ("not a list", {}, TypeError, r"must be a list of \(name, estimator\)"),
    ([("a", LR)], {}, ValueError, "at least 2 members, got 1; attack that model itself"),
    ([], {}, ValueError, "at least 2 members, got 0"),
    ([("a", LR), ("a", SVM)], {}, ValueError, "not unique"),
    ([("combine", LR), ("b", SVM)], {}, ValueError, "conflict with constructor"),
    ([("a", LR), ("b", 5)], {}, TypeError, "member 'b' of the Ensemble: a fitted classifier"),
    ([("a", LR), ("b", SVC)], {}, TypeError, "member 'b' of the Ensemble: .* got the class SVC"),
    ([("a", LR), ("b", SVC())], {}, NotFittedError, r"members \['b'\] are not; call its fit"),
    ([("a", LR), ("b", Ensemble(TWO))], {}, TypeError, "'b' is an Ensemble itself"),
    ([("a", LR), ("b", FrozenEstimator(Ensemble(TWO)))], {}, TypeError, "'b' is an Ensemble itself"),
    (
        [("a", LR), ("b", BlackBox())],
        {},
        NotDifferentiableError,
        "member 'b' .* replace it by a surrogate",
    ),
    ([("a", LR), ("b", SVC().fit(X[:, :2], Y))], {}, ValueError, "different numbers of features"),
    ([("a", LR), ("b", SVC().fit(X, Y + 1))], {}, ValueError, "must have the same classes_"),
    ([("a", LR), ("b", SVC().fit(X[:100], Y[:100]))], {}, ValueError, "must have the same classes_"),
    (TWO, {"combine": "mean"}, ValueError, "combine must be one of"),
    (TWO, {"weights": [1]}, ValueError, "weights must be 2 finite numbers > 0"),
    (TWO, {"weights": [1, 0]}, ValueError, "leave out members that should have no weight"),
    (TWO, {"weights": [1, np.nan]}, ValueError, "finite numbers > 0"),
    (TWO, {"weights": [True, 2]}, ValueError, "finite numbers > 0"),
    (TWO, {"weights": [1, 2], "combine": "serial"}, ValueError, "weights must be None"),
]


@pytest.mark.parametrize(("members", "settings", "error", "message"), WRONG)
def test_what_is_refused(members, settings, error, message):
    with pytest.raises(error, match=message):
        as_model(Ensemble(members, **settings))


def test_members_that_differ_only_as_they_are_asked():
    with pytest.raises(ValueError, match="different numbers of outputs: {'a': 3, 'b': 2}"):
        Ensemble([("a", net()), ("b", nn.Linear(4, 2))]).predict(X)
    narrow = SVC().fit(X[:, :2], Y)
    with pytest.raises(ValueError, match="X has 4 features, but the fitted members of this Ensemble take 2"):
        Ensemble([("a", narrow), ("b", narrow)]).fit(X, Y)
    with pytest.raises(ValueError, match="take different numbers of features: {'a': 2, 'b': 4}"):
        Ensemble([("a", narrow), ("b", SVC())]).fit(X, Y)
    with pytest.raises(ValueError, match="NaN"):
        Ensemble(TWO).predict(np.full((1, 4), np.nan))
