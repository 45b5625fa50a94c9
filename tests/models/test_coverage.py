"""Every classifier of scikit-learn as a target and as a source, and the page of the manual that says so.

``python tests/models/test_coverage.py`` writes the page, ``doc/coverage.rst``, from the same walk.
"""

import warnings
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import all_estimators

from skhalfway import AdversarialGenerator, Constraints
from skhalfway.models import NotDifferentiableError, as_model, to_module

PAGE = Path(__file__).parents[2] / "doc" / "coverage.rst"
LR = LogisticRegression(max_iter=300)
NB = GaussianNB(var_smoothing=1e-2)
MEMBERS = [("lr", LR), ("nb", NB)]

LINEAR = "decisions, an affine function"
TREES = "soft splits"
LOG_DENSITY = "log-densities and priors"
KERNEL = "a sum of kernels, exact for two classes; of more, votes of pairs softened"
NEIGHBOURS = "neighbours counted by a sigmoid of their distance"
INSIDE = "as the estimator inside"
MEMBERS_PROBABILITY = "log of the members' mean probability"
VOTES = "members' votes softened"


class Case(NamedTuple):
    """What of a classifier is to be expected, and how it is fitted."""

    gradient: str
    how: str
    parameters: dict
    data: str


def exact(how, data="digits", **parameters):
    return Case("exact", how, parameters, data)


def smoothed(how, data="digits", **parameters):
    return Case("smoothed", how, parameters, data)


def inside(how, data="digits", **parameters):
    return Case("as inside", how, parameters, data)


def none(data="digits", **parameters):
    return Case("none", "", parameters, data)


CASES = {
    "AdaBoostClassifier": smoothed(VOTES, n_estimators=10, random_state=0),
    "BaggingClassifier": inside(MEMBERS_PROBABILITY, estimator=LR, n_estimators=3, random_state=0),
    "BernoulliNB": smoothed("log-probabilities of bits; the step to bits softened", binarize=0.5),
    "CalibratedClassifierCV": inside("log of the calibrated probabilities", estimator=LR, cv=2),
    "CategoricalNB": none("bits", min_categories=2),
    "ClassifierChain": none("outputs"),
    "ComplementNB": exact("log-probabilities, an affine function"),
    "DecisionTreeClassifier": smoothed(TREES, random_state=0),
    "DummyClassifier": none(),
    "ExtraTreeClassifier": smoothed(TREES, random_state=0),
    "ExtraTreesClassifier": smoothed(TREES, n_estimators=30, random_state=0),
    "FixedThresholdClassifier": inside("score less threshold", "binary", estimator=LR, threshold=0.3),
    "GaussianNB": exact(LOG_DENSITY, var_smoothing=1e-2),
    "GaussianProcessClassifier": exact("log of the probabilities of Laplace's approximation", optimizer=None),
    "GradientBoostingClassifier": smoothed(TREES, n_estimators=10, random_state=0),
    "HistGradientBoostingClassifier": smoothed(TREES, max_iter=10, random_state=0),
    "KNeighborsClassifier": smoothed(NEIGHBOURS),
    "LabelPropagation": exact(
        'log of the labels\' mean, weighted by the kernel; ``kernel="knn"`` is smoothed', gamma=2
    ),
    "LabelSpreading": exact(
        'log of the labels\' mean, weighted by the kernel; ``kernel="knn"`` is smoothed', gamma=2
    ),
    "LinearDiscriminantAnalysis": exact(LINEAR, solver="lsqr", shrinkage=0.1),
    "LinearSVC": exact(LINEAR),
    "LogisticRegression": exact(LINEAR),
    "LogisticRegressionCV": exact(LINEAR, Cs=2, cv=2, max_iter=20),
    "MLPClassifier": exact("the network itself", hidden_layer_sizes=(16,), max_iter=50, random_state=0),
    "MultiOutputClassifier": none("outputs"),
    "MultinomialNB": exact("log-probabilities, an affine function"),
    "NearestCentroid": exact("squared distances"),
    "NuSVC": smoothed(KERNEL, nu=0.1),
    "OneVsOneClassifier": smoothed("votes of pairs softened; as inside for two classes", estimator=LR),
    "OneVsRestClassifier": inside("the members' scores", estimator=LR),
    "OutputCodeClassifier": inside("squared distances to codes", estimator=LR, code_size=4, random_state=0),
    "PassiveAggressiveClassifier": exact(LINEAR, random_state=0),
    "Perceptron": exact(LINEAR),
    "QuadraticDiscriminantAnalysis": exact(LOG_DENSITY, "few", reg_param=0.5),
    "RadiusNeighborsClassifier": smoothed(NEIGHBOURS, radius=2.2, outlier_label="most_frequent"),
    "RandomForestClassifier": smoothed(TREES, n_estimators=30, random_state=0),
    "RidgeClassifier": exact(LINEAR),
    "RidgeClassifierCV": exact(LINEAR),
    "SGDClassifier": exact(LINEAR, random_state=0),
    "SVC": smoothed(KERNEL),
    "SelfTrainingClassifier": inside(INSIDE, "some labels", estimator=LR),
    "StackingClassifier": inside("the final estimator's, of what members give", estimators=MEMBERS, cv=2),
    "TunedThresholdClassifierCV": inside("score less threshold", "binary", estimator=LR, cv=2),
    "VotingClassifier": inside(f"{MEMBERS_PROBABILITY}; hard: {VOTES}", estimators=MEMBERS, voting="soft"),
}
# as these say in their own words
NO_TARGETS = {
    "ClassifierChain": "ClassifierChain predicts 2 outputs; only single-output classifiers are supported",
    "MultiOutputClassifier": "MultiOutputClassifier predicts 2 outputs; only single-output classifiers",
}
# no gradient, and yet a source; the others without have one answer to everything, or several to one
BY_QUERIES = {"CategoricalNB"}
CLASSIFIERS = dict(all_estimators("classifier"))
each_classifier = pytest.mark.parametrize("name", CLASSIFIERS)


def samples(data):
    X, y = load_digits(return_X_y=True)
    kept = np.isin(y, [3, 5, 8])
    X, y = X[kept] / 16, y[kept]
    train, test = train_test_split(np.arange(len(X)), test_size=60, random_state=0)
    X_test, y_test = X[test], y[test]
    if data == "few":
        # averages of 2 x 2 pixels, fewer than there are samples of a class
        X, X_test = (a.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16) for a in (X, X_test))
    elif data == "bits":
        X, X_test = (X > 0.5).astype(int), (X_test > 0.5).astype(int)
    elif data == "binary":
        y, y_test = y == 8, y_test == 8
    elif data == "outputs":
        y = np.column_stack([y == 3, y == 8])
    elif data == "some labels":
        y = np.where(np.arange(len(y)) % 3, -1, y)
    return X[train], y[train], X_test, y_test


@cache
def fitted(name):
    case = CASES[name]
    X, y, X_test, y_test = samples(case.data)
    with warnings.catch_warnings():
        # of how well a fit converges, and that a class goes: it is tested for as long as it is there
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        # pixels that are never lit
        warnings.filterwarnings("ignore", "self.within_class_std_dev_ has at least 1 zero", UserWarning)
        # the chain's parameter has had several names
        inner = (LR,) if case.data == "outputs" else ()
        return CLASSIFIERS[name](*inner, **case.parameters).fit(X, y), X_test, y_test


def not_a_target(classifier):
    """Why a classifier cannot be a target; empty where it can."""
    try:
        as_model(classifier)
    except ValueError as error:
        return str(error)
    return ""


def not_a_source(classifier):
    """Why a classifier has no gradient; empty where it has one."""
    try:
        to_module(classifier)
    except NotDifferentiableError as error:
        return str(error)
    return ""


def by_queries(classifier, X, y, *, whole):
    """Samples made with predictions alone, of whole numbers where the classifier takes no others."""
    constraints = Constraints(integer=range(X.shape[1])) if whole else None
    generator = AdversarialGenerator(
        FrozenEstimator(classifier), eps=1, clip_values=(0, 1), constraints=constraints, random_state=0
    )
    X_adv = generator.generate(X, y)
    assert np.isin(X_adv, (0, 1)).all() or not whole
    return X_adv


def page():
    """The manual's page."""
    rows = [("classifier", "target", "source", "gradient", "how, or why not")]
    for name in CLASSIFIERS:
        classifier, *_ = fitted(name)
        target = "no" if not_a_target(classifier) else "yes"
        source = "yes" if not not_a_source(classifier) else "by queries" if name in BY_QUERIES else "no"
        how = CASES[name].how or not_a_source(classifier)
        rows.append((f"``{name}``", target, source, CASES[name].gradient, how))
    return HEADER + "".join(
        f"   * - {row[0]}\n" + "".join(f"     - {cell}\n" for cell in row[1:]) for row in rows
    )


HEADER = """\
.. Written by ``python tests/models/test_coverage.py``, which tests each row: change it there.

Every classifier of scikit-learn
================================

A *target* is a classifier that adversarial samples are tried on: predictions are enough. A *source* is one
that they are made on, along its gradient or, *by queries*, with attacks that ask for predictions.

The gradient is *exact* where the logits are the classifier's own decisions or log-probabilities. It is
*smoothed* where the classifier takes steps, which have no gradient: the logits are then those of a softened
copy that predicts nearly always the same. An attack follows the copy, and succeeds or fails on the classifier
itself. Estimators that hold others are *as inside*: exact where the ones inside are.

.. list-table::
   :header-rows: 1

"""


def test_each_classifier_has_its_case():
    # the newest of them may be missing in older versions
    assert set(CLASSIFIERS) <= set(CASES)


@each_classifier
def test_as_a_target(name):
    classifier, X, _ = fitted(name)
    why = not_a_target(classifier)
    if name in NO_TARGETS:
        assert why.startswith(NO_TARGETS[name])
        return
    model = as_model(classifier)
    np.testing.assert_array_equal(model.classes_[model.predict(X)], classifier.predict(X))


@each_classifier
def test_gradient(name):
    classifier, X, _ = fitted(name)
    if CASES[name].gradient == "none":
        assert not_a_source(classifier)
        return
    model = as_model(classifier)
    assert model.has_gradient, model.why_black_box
    x = torch.tensor(X, requires_grad=True)
    logits = model.logits(x)
    first, second = logits.topk(2, dim=1).values.T
    (gradient,) = torch.autograd.grad((first - second).sum(), x)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().sum(dim=1).gt(0).float().mean() > 0.95
    z = logits.detach().numpy()
    same = (z.argmax(axis=1) == model.predict(X)).mean()
    if CASES[name].gradient == "smoothed":
        assert same >= 0.95
        return
    assert same == 1
    close = []
    if hasattr(classifier, "decision_function"):
        own = classifier.decision_function(X)
        # of two classes up to a constant, as a threshold moves predictions only
        close.append(np.ptp(z[:, 1] - z[:, 0] - own) < 1e-9 if own.ndim == 1 else np.allclose(z, own))
    if hasattr(classifier, "predict_proba"):
        close.append(np.allclose(softmax(z, axis=1), classifier.predict_proba(X), atol=1e-6))
    # squared distances, which neither of the two tells
    assert any(close) or name in ("NearestCentroid", "OutputCodeClassifier")


@pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning")  # of constants
@each_classifier
def test_as_a_source(name):
    classifier, X, y = fitted(name)
    if CASES[name].gradient == "none":
        assert not_a_source(classifier)
        if not not_a_target(classifier):
            X_adv = by_queries(classifier, X, y, whole=name in BY_QUERIES)
            fooled = classifier.score(X_adv, y) < classifier.score(X, y) - 0.1
            assert fooled == (name in BY_QUERIES)
        return
    generator = AdversarialGenerator(
        FrozenEstimator(classifier), attack="pgd", eps=0.3, max_iter=15, clip_values=(0, 1)
    )
    before = classifier.score(X, y)
    assert before > 0.6
    assert classifier.score(generator.generate(X, y), y) < before - 0.1


def test_the_manuals_page_is_up_to_date():
    if set(CLASSIFIERS) != set(CASES):
        pytest.skip("another version of scikit-learn wrote the page")
    assert PAGE.read_text() == page(), "run python tests/models/test_coverage.py"


if __name__ == "__main__":
    PAGE.write_text(page())
