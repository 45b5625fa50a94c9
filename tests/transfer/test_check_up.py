"""The check-up of every model before any attack: kept in the result, and said once, where the user called."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferMatrix, TransferScorer
from skhalfway.models import ModelWarning, as_model, check_model

GENERATOR = AdversarialGenerator(eps=0.5, max_iter=3, max_queries=20)


@pytest.fixture(scope="module")
def models(iris):
    """One that is as it should be, one whose labels are coded in another way, one with one answer."""
    X, y = iris
    return {
        "lr": LogisticRegression(max_iter=1000).fit(X, y),
        "turned": LogisticRegression(max_iter=1000).fit(X, 2 - y),
        "<one>": DummyClassifier(strategy="constant", constant=1).fit(X, y),
    }


@pytest.fixture(scope="module")
def scorer(models):
    return TransferScorer(GENERATOR, random_state=0).fit(models)


def said(act):
    """What the act gives, and the warnings of models that it gives, all of them at the line that calls it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = act()
    caught = [warning for warning in caught if warning.category is ModelWarning]
    assert {warning.filename for warning in caught} <= {__file__}
    return result, [str(warning.message) for warning in caught]


TURNED = (
    "model 'turned': accuracy is .31, and .97 if its classes 0, 1, 2 are read as 2, 1, 0; "
    "code y as in its training"
)
NOTHING = "for {} samples no input of another class was found, so that they stay as they are"
ONE = "model '<one>': it predicts 1 for all 150 samples, of which 100 are of other classes: accuracy .33; "


@pytest.mark.parametrize(
    ("act", "missed"),
    [
        (lambda s, models, X, y: s.transfer(X, y), "50 of 50"),
        (lambda s, models, X, y: s.score(X, y), "50 of 50"),
        (lambda s, models, X, y: s.transfer_curve(X, y, eps=[0.1, 0.2]), "50 of 50"),
        (lambda s, models, X, y: s.robust_accuracy(SVC().fit(X, y), X, y), "50 of 150"),
        (lambda s, models, X, y: HalfwayScorer(n_pairs=20, random_state=0).fit(models).measure(X, y), ""),
        (
            lambda s, models, X, y: HalfwayScorer(random_state=0).fit(models).predict_transfer(X, y, eps=0.2),
            "",
        ),
    ],
    ids=["transfer", "score", "transfer_curve", "robust_accuracy", "measure", "predict_transfer"],
)
def test_each_finding_is_said_once(iris, models, scorer, act, missed):
    _, texts = said(lambda: act(scorer, models, *iris))
    assert texts[0] == TURNED and texts[1].startswith(ONE)
    # where there is one answer, an attack finds no other
    nothing = [f"model '<one>': {NOTHING.format(missed)}"] if missed else []
    assert [text.partition(";")[0] for text in texts[2:]] == nothing


def test_findings_are_in_the_result(iris, models, scorer):
    X, y = iris
    for result in (
        said(lambda: scorer.transfer(X, y))[0],
        said(lambda: scorer.transfer_curve(X, y, eps=[0.1]))[0],
    ):
        assert list(result.checks) == list(models)
        assert [check.ok for check in result.checks.values()] == [True, False, False]
        assert result.checks["turned"].findings == check_model(models["turned"], X, y).findings
        assert repr(result).splitlines()[-3:] == [
            "warning: turned: accuracy is .31, and .97 if its classes 0, 1, 2 are read as 2, 1, 0",
            f"warning: <one>: {ONE.partition(': ')[2].removesuffix('; ')}",
            f"warning: <one>: {NOTHING.format('50 of 50')}",
        ]
        assert pickle.loads(pickle.dumps(result)).checks == result.checks
    html = said(lambda: scorer.transfer(X, y))[0]._repr_html_()
    assert html.count(">warning: ") == 3 and "warning: &lt;one&gt;: it predicts 1" in html


def test_without_labels_one_answer_is_told_by_the_other_models(iris, models):
    X, _ = iris
    fitted = TransferScorer(GENERATOR, random_state=0).fit({**models, "svm": SVC().fit(*iris)})
    _, texts = said(lambda: fitted.transfer(X))
    assert "<one>" in texts[0] and "most other models put 10" in texts[0]
    assert [text.partition(";")[0] for text in texts[1:]] == [
        f"model '<one>': {NOTHING.format('150 of 150')}"
    ]
    # samples of one class are no reason to doubt anyone
    _, texts = said(lambda: fitted.transfer(X[60:75]))
    assert [text.partition(";")[0] for text in texts] == [f"model '<one>': {NOTHING.format('15 of 15')}"]


def test_a_copy_matters_to_attacks_that_follow_it(iris):
    X, y = iris
    lr = as_model(LogisticRegression(max_iter=1000).fit(X, y))
    lr.__dict__["_conversion"] = torch.nn.Linear(4, 3, dtype=torch.float64), ""
    pair = {"copied": lr, "svm": SVC().fit(X, y)}
    for attack, expected in {"auto": True, "pgd": True, "hopskipjump": False}.items():
        generator = AdversarialGenerator(attack=attack, eps=0.5, max_iter=2, max_queries=20)
        _, texts = said(lambda g=generator: TransferScorer(g, random_state=0).fit(pair).transfer(X, y))
        assert any("'copied': the smoothed version" in text for text in texts) == expected


def test_a_matrix_of_counts_has_no_check_up():
    counts = np.full((2, 2), 3)
    parts = {"same_mistake": counts, "noise_fooled": counts, "source_eligible": counts[0]}
    matrix = TransferMatrix(("a", "b"), counts, counts, source_fooled=counts[0], **parts)
    assert matrix.checks == {} and "check-up" not in repr(matrix) + matrix._repr_html_()
    with pytest.raises(ValueError, match=r"checks must be of the models \['a', 'b'\], got \['c'\]"):
        TransferMatrix(("a", "b"), counts, counts, source_fooled=counts[0], **parts, checks={"c": None})
