"""Votes, bags, boosts and stacks against their own probabilities and decisions."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp, softmax
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway.models import as_model
from skhalfway.models._ensembles import BoostedVotes
from skhalfway.models._member_outputs import log_probability
from skhalfway.models._trees import SoftTrees

LR = LogisticRegression(max_iter=50)
NB = GaussianNB(var_smoothing=1e-2)
# takes no weights, so that a bag hands it some samples, maybe of some classes only
SPREAD = LabelSpreading(gamma=0.3)
HUBER = SGDClassifier(loss="modified_huber", random_state=0)
MIXED = [("lr", LR), ("nb", NB), ("pipe", make_pipeline(StandardScaler(), LR))]
DECIDED = [("svc", LinearSVC()), ("ridge", RidgeClassifier()), ("lr", LR)]


def stack(members, final=None, **parameters):
    return StackingClassifier(members, final or LogisticRegression(max_iter=300), cv=2, **parameters)


EXACT = {
    "soft votes": VotingClassifier(MIXED, voting="soft"),
    "weighted soft votes": VotingClassifier(MIXED, voting="soft", weights=[1, 0, 2.5]),
    "one dropped": VotingClassifier([*MIXED, ("gone", "drop")], voting="soft", weights=[1, 2, 3, 4]),
    "bag": BaggingClassifier(LR, 4, random_state=0),
    "bag of some features": BaggingClassifier(NB, 4, max_features=0.5, random_state=0),
    "bag of few samples": BaggingClassifier(SPREAD, 4, max_samples=9, random_state=0),
    "stack": stack(MIXED),
    "stack of decisions": stack(DECIDED),
    "stack and input": stack([*MIXED, ("gone", "drop")], passthrough=True),
    "stack of few": stack([("nb", NB)], NB, stack_method="predict_proba"),
    "stack in a stack": stack([("inner", stack(MIXED)), ("nb", NB)]),
    "votes in votes": VotingClassifier(
        [("a", VotingClassifier(MIXED, voting="soft")), ("b", HUBER)], voting="soft"
    ),
}
VOTES = {
    "votes": VotingClassifier([*MIXED[:2], ("svc", SVC())]),
    "weighted votes": VotingClassifier([*MIXED[:2], ("svc", SVC())], weights=[1, 2, 1.5]),
    "bag of votes": BaggingClassifier(RidgeClassifier(), 7, random_state=0),
    "stack of votes": stack(DECIDED, stack_method="predict"),
    "boost": AdaBoostClassifier(LR, n_estimators=10, random_state=0),
    "boost of Bayes": AdaBoostClassifier(NB, n_estimators=10, random_state=0),
}
each_exact = pytest.mark.parametrize("name", EXACT)
each_vote = pytest.mark.parametrize("name", VOTES)
each_data_set = pytest.mark.parametrize("data", ["breast", "iris", "digits"])


@each_data_set
@each_exact
def test_logits_are_the_ensembles_own(name, data, load, fit, logits, check_responses):
    X, _ = load(data)
    ensemble = fit(EXACT[name], data)
    check_responses(ensemble, X)
    # what predictions are made by: a bag has decisions, too, but asks its members for probabilities
    X = (X + X.mean(axis=0)) / 2
    z = logits(as_model(ensemble), X)
    np.testing.assert_allclose(softmax(z, axis=1), ensemble.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(ensemble.classes_[z.argmax(axis=1)], ensemble.predict(X))


@pytest.mark.parametrize("data", ["breast", "iris"])
@pytest.mark.parametrize("name", [*EXACT, *VOTES])
def test_gradient(name, data, load, fit, check_gradient, monkeypatch):
    # a boost's gradient takes the lead of its members as given
    monkeypatch.setattr(BoostedVotes, "lead", lambda self, logits: 1.0)
    check_gradient(as_model(fit((EXACT | VOTES)[name], data)), load(data)[0])


@each_data_set
@each_vote
def test_softened_votes_predict_as_the_ensemble(name, data, load, fit, agreement):
    ensemble, (X, _) = fit(VOTES[name], data), load(data)
    # what a boost decides of digits hangs on votes that barely lead
    assert agreement(ensemble, X) >= (0.9 if name.startswith("boost") and data == "digits" else 0.97)


@pytest.mark.parametrize("data", ["breast", "iris"])
@each_vote
def test_steeper_votes_tend_to_the_ensembles_own(
    name, data, load, fit, monkeypatch, check_responses, agreement
):
    ensemble, (X, _) = fit(VOTES[name], data), load(data)
    # between samples, where no vote is a tie
    X = (X + np.random.default_rng(0).permutation(X) / 10) / 1.1
    for name in ("STEEPNESS", "BOOST_STEEPNESS"):
        monkeypatch.setattr(f"skhalfway.models._ensembles.{name}", 1e5)
    assert agreement(ensemble, X) >= 0.99
    check_responses(ensemble, X, atol=0.02)


def test_votes_by_formula(load, logits):
    """A vote is the softmax of 16 times the logits; in a boost, of 8 times the logits over their lead."""
    X, y = load("iris")
    members = [("nb", NB), ("ridge", RidgeClassifier())]
    votes = VotingClassifier(members, weights=[1, 3]).fit(X, y)
    z = [logits(as_model(member), X) for member in votes.estimators_]
    expected = np.log((softmax(16 * z[0], axis=1) + 3 * softmax(16 * z[1], axis=1)) / 4)
    np.testing.assert_allclose(logits(as_model(votes), X), expected, rtol=1e-6, atol=1e-9)

    boost = AdaBoostClassifier(NB, n_estimators=4, random_state=0).fit(X, y)
    z = np.array([logits(as_model(member), X) for member in boost.estimators_])
    ranked = np.sort(z, axis=2)
    # of an even number of members the lower one in the middle, as torch's
    lead = np.sort(ranked[..., -1] - ranked[..., -2], axis=0)[(len(z) - 1) // 2]
    weight = boost.estimator_weights_[: len(z)] / boost.estimator_weights_[: len(z)].sum()
    votes = log_softmax(8 * z / lead[None, :, None], axis=2) + np.log(weight)[:, None, None]
    # times 8, as the logits of trees
    np.testing.assert_allclose(logits(as_model(boost), X), 8 * logsumexp(votes, axis=0), rtol=1e-6, atol=1e-9)


def test_a_confident_ensemble_has_a_gradient(load, fit):
    X, _ = load("digits")
    # the probabilities are 0 and 1 exactly, far beyond rounding
    model = as_model(fit(VotingClassifier([("nb", GaussianNB())], voting="soft"), "digits"))
    x = torch.from_numpy(X[:50]).requires_grad_()
    z = model.logits(x)
    (gradient,) = torch.autograd.grad((z.amax(dim=1) - z.amin(dim=1)).sum(), x)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum(dim=1).all()


def test_a_class_that_no_member_saw_is_never_the_largest(load, logits):
    X, y = load("iris")
    first = np.r_[0:100, 100]
    bag = BaggingClassifier(SPREAD, 3, max_samples=0.2, random_state=0).fit(X[first], y[first])
    assert all(2 not in member.classes_ for member in bag.estimators_)
    z = logits(as_model(bag), X)
    assert np.isfinite(z).all()
    assert (z.argmax(axis=1) < 2).all()


@pytest.fixture
def net():
    class Floats(NeuralNetClassifier):
        def fit(self, X, y, **parameters):
            return super().fit(X.astype(np.float32), y, **parameters)

        def predict_proba(self, X):
            return super().predict_proba(X.astype(np.float32))

    torch.manual_seed(0)
    return Floats(nn.Linear(4, 3), criterion=nn.CrossEntropyLoss, max_epochs=3, verbose=0, train_split=None)


@pytest.mark.parametrize("first", ["net", "nb"])
def test_members_of_several_float_types(first, net, load, logits):
    X, y = load("iris")
    members = {"net": net, "nb": NB}
    order = [first, *({"net", "nb"} - {first})]
    for ensemble in (
        VotingClassifier([(name, members[name]) for name in order], voting="soft"),
        stack([(name, members[name]) for name in order]),
    ):
        ensemble.fit(X, y)
        z = logits(as_model(ensemble), X)
        np.testing.assert_allclose(softmax(z, axis=1), ensemble.predict_proba(X), atol=1e-5)


@each_data_set
def test_modules_copy(data, load, fit):
    x = torch.from_numpy(load(data)[0][:5])
    for ensemble in (EXACT | VOTES).values():
        module = as_model(fit(ensemble, data)).module
        for copy in (deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert torch.equal(copy(x), module(x))


DUMMY = DummyClassifier()
REFUSED = {
    "vote": (VotingClassifier([("lr", LR), ("none", DUMMY)]), "member 'none' of the VotingClassifier: Dummy"),
    "bag": (BaggingClassifier(DUMMY, 2), "a member of the BaggingClassifier: DummyClassifier does not look"),
    "boost": (
        AdaBoostClassifier(DUMMY, n_estimators=2),
        "a member of the AdaBoostClassifier: DummyClassifier",
    ),
    "stack": (
        stack([("lr", LR), ("none", DUMMY)]),
        "member 'none' of the StackingClassifier: DummyClassifier",
    ),
    "final": (stack([("lr", LR)], DUMMY), "the final estimator of the StackingClassifier: DummyClassifier"),
    "weights": (
        VotingClassifier([("a", LR), ("b", NB)], weights=[2, -1], voting="soft"),
        "weights must be >= 0",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, load):
    X, y = load("breast")
    ensemble, message = REFUSED[case]
    model = as_model(ensemble.fit(X, y))
    assert not model.has_gradient
    assert model.why_black_box.startswith(message)


TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
STUMP = DecisionTreeClassifier(max_depth=1)
SHARES = {
    "boost of stumps": AdaBoostClassifier(n_estimators=30, random_state=0),
    "boost of trees": AdaBoostClassifier(TREE, n_estimators=15, random_state=0),
    "bag of trees": BaggingClassifier(TREE, 8, max_features=0.7, random_state=0),
    "bag of forests": BaggingClassifier(RandomForestClassifier(4, random_state=0), 3, random_state=0),
    "soft votes of trees": VotingClassifier(
        [("a", TREE), ("b", RandomForestClassifier(4, random_state=0))], voting="soft", weights=[1, 2]
    ),
    "votes of trees": VotingClassifier(
        [(str(depth), DecisionTreeClassifier(max_depth=depth, random_state=0)) for depth in (4, 6, 8)]
    ),
}
each_share = pytest.mark.parametrize("name", SHARES)


@each_data_set
@each_share
def test_members_that_are_trees_are_softened_as_one_forest(name, data, load, fit, agreement):
    ensemble, (X, _) = fit(SHARES[name], data), load(data)
    module = as_model(ensemble).module
    assert [type(part) for part in module.modules() if isinstance(part, SoftTrees)] == [SoftTrees]
    # among ten classes the votes of few stumps barely lead
    assert agreement(ensemble, X) >= (0.7 if (name, data) == ("boost of stumps", "digits") else 0.9)
    # as the splits harden, it has the ensemble's own probabilities
    soft = log_probability(ensemble)
    for part in soft.modules():
        if isinstance(part, SoftTrees):
            part.temperature = 1e-6
    if hasattr(ensemble, "predict_proba"):
        ours = soft(torch.from_numpy(X)).detach().exp().numpy()
        assert (np.abs(ours - ensemble.predict_proba(X)) < 1e-3).mean() > 0.97


@each_share
def test_steep_logits_of_trees_have_a_gradient(name, load, fit, check_gradient):
    check_gradient(as_model(fit(SHARES[name], "iris")), load("iris")[0])


@pytest.mark.parametrize("member", [STUMP, TREE], ids=["stump", "tree"])
def test_a_gradient_attack_on_a_boost_is_as_strong_as_one_by_queries(member, load, fit):
    """Where members' votes were softened one by one, it left .5 where queries leave .2."""
    boost = fit(AdaBoostClassifier(member, n_estimators=25, random_state=0), "digits")
    X = load("digits")[0][:30]
    y = boost.predict(X)
    left = {}
    for attack in ("pgd", "square"):
        settings = {"eps": 0.1, "clip_values": (0, 1), "max_queries": 200, "random_state": 0}
        generator = AdversarialGenerator(FrozenEstimator(boost), attack=attack, **settings)
        left[attack] = boost.score(generator.generate(X, y), y)
    assert left["pgd"] <= left["square"] + 0.05
