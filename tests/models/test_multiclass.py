"""Several classes by binary classifiers, and a support vector machine's own answers."""

import numpy as np
import pytest
import torch
from scipy.special import expit
from sklearn.datasets import make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC, LinearSVC, NuSVC

from skhalfway.models import as_model
from skhalfway.models._multiclass import PairScores

LR = LogisticRegression(max_iter=50)
NB = GaussianNB(var_smoothing=1e-2)
OVR, OVO, CODES = OneVsRestClassifier, OneVsOneClassifier, OutputCodeClassifier
MEMBERS = {"decisions": LR, "no probabilities": LinearSVC(), "no decisions": NB, "kernel": SVC()}
each_member = pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
each_data_set = pytest.mark.parametrize("data", ["breast", "iris", "digits"])


@each_data_set
@each_member
def test_one_against_the_rest(member, data, load, fit, check_logits, check_gradient, check_responses):
    X, _ = load(data)
    classifier = fit(OVR(member), data)
    check_logits(classifier, (X + X.mean(axis=0)) / 2)
    check_responses(classifier, X)
    check_gradient(as_model(classifier), X)


@each_data_set
@each_member
def test_one_against_one(member, data, load, fit, agreement, check_gradient):
    X, _ = load(data)
    classifier = fit(OVO(member), data)
    assert agreement(classifier, X) >= (1 if data == "breast" else 0.99)
    check_gradient(as_model(classifier), X)


@pytest.mark.parametrize("data", ["iris", "digits"])
@pytest.mark.parametrize(
    "classifier", [OVO(LR), OVO(NB), SVC(), NuSVC(nu=0.1), SVC(decision_function_shape="ovo")], ids=str
)
def test_decisions_of_pairs(classifier, data, load, fit, monkeypatch, check_responses):
    # as steep as votes are
    monkeypatch.setattr(PairScores, "steepness", 1e9)
    check_responses(fit(classifier, data), load(data)[0], atol=1e-3)


@pytest.mark.parametrize("of_log_odds", [False, True])
def test_scores_of_pairs_by_formula(of_log_odds):
    """Votes by the sigmoid of 64 decisions, and the sum s of confidences as s / (3 (|s| + 1))."""
    decisions = np.array([[0.03, -0.01, 0.5], [-0.02, 0.0, 2.0]])
    votes, sums = np.zeros((2, 2, 3))
    for k, (i, j) in enumerate(((0, 1), (0, 2), (1, 2))):
        d = decisions[:, k]
        votes[:, i] += expit(64 * d)
        votes[:, j] += expit(-64 * d)
        confidence = -expit(-d) if of_log_odds else d
        sums[:, i] += confidence
        sums[:, j] -= confidence
    ours = PairScores(3, of_log_odds=of_log_odds)(torch.from_numpy(decisions))
    np.testing.assert_allclose(ours, votes + sums / (3 * (np.abs(sums) + 1)), rtol=1e-9)


@pytest.mark.filterwarnings("ignore:.*probA?_?`? .*deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:The `probability` parameter was deprecated:FutureWarning")
@each_data_set
@pytest.mark.parametrize("type_", [SVC, NuSVC])
def test_probabilities_of_a_support_vector_machine(type_, data, load, fit, check_responses):
    limits = {"nu": 0.1} if type_ is NuSVC else {}
    classifier = type_(probability=True, random_state=0, decision_function_shape="ovo", **limits)
    # libsvm solves the coupling to 0.005 / n_classes
    check_responses(fit(classifier, data), load(data)[0], atol=0.005)


@each_data_set
@each_member
def test_output_codes(member, data, load, fit, logits, agreement, check_gradient):
    X, _ = load(data)
    classifier = fit(CODES(member, code_size=3, random_state=0), data)
    assert agreement(classifier, X) == 1
    check_gradient(as_model(classifier), X)
    if hasattr(member, "decision_function"):
        scores = np.column_stack([np.ravel(m.decision_function(X)) for m in classifier.estimators_])
    else:
        scores = np.column_stack([m.predict_proba(X)[:, -1] for m in classifier.estimators_])
    own = -((scores[:, None] - classifier.code_book_) ** 2).sum(axis=2)
    ours = logits(as_model(classifier), X)
    np.testing.assert_allclose(ours - ours[:, :1], own - own[:, :1], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("member", [LR, NB], ids=["decisions", "no decisions"])
def test_a_code_of_one_value(member, load, agreement):
    X, y = load("iris")
    constant = [CODES(member, code_size=1, random_state=seed).fit(X, y) for seed in range(12)]
    constant = [c for c in constant if (c.code_book_ == c.code_book_[0]).all(axis=0).any()]
    assert constant
    for classifier in constant:
        assert agreement(classifier, X) == 1


@pytest.mark.filterwarnings("ignore:Label .* is present in all training examples:UserWarning")
@pytest.mark.parametrize("member", [LR, NB], ids=["decisions", "no decisions"])
def test_a_class_without_samples(member, load, agreement, check_responses):
    X, y = load("iris")
    classifier = OVR(NB if member is NB else LR).fit(X[:100], y[:100])
    assert agreement(classifier, X) == 1
    # as partial_fit leaves it where a class never came
    classifier = OVR(member).fit(X, y)
    from sklearn.multiclass import _ConstantPredictor

    classifier.estimators_[1] = _ConstantPredictor().fit(X, np.zeros(1, dtype=int))
    assert agreement(classifier, X) == 1
    check_responses(classifier, X)


MULTILABEL = make_multilabel_classification(random_state=0)
REFUSED = {
    "multilabel": (OVR(LR), *MULTILABEL, "a multilabel OneVsRestClassifier has no single class to attack"),
    "member": (OVR(DummyClassifier()), None, None, "a member of the OneVsRestClassifier: DummyClassifier"),
    "regressor": (OVR(LinearRegression()), None, None, "a member of the OneVsRestClassifier: LinearRegr"),
    "pair": (OVO(DummyClassifier()), None, None, "a member of the OneVsOneClassifier: DummyClassifier does"),
    "code": (CODES(DummyClassifier()), None, None, "a member of the OutputCodeClassifier: DummyClassifier"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, load):
    classifier, X, y, message = REFUSED[case]
    X, y = load("iris") if X is None else (X, y)
    model = as_model(classifier.fit(X, y))
    assert not model.has_gradient
    assert model.why_black_box.startswith(message)
