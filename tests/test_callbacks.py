"""scikit-learn's callbacks, where it has them: progress over the models that are fitted."""

from __future__ import annotations

import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer, _callbacks
from skhalfway._callbacks import FitTask, fit_tasks

callback = pytest.importorskip("sklearn.callback")

X, Y = load_iris(return_X_y=True)
ESTIMATORS = [
    ("lr", LogisticRegression(max_iter=500)),
    ("svm", SVC()),
    ("frozen", FrozenEstimator(LogisticRegression(C=0.1).fit(X, Y))),
    ("pipeline", make_pipeline(LogisticRegression(max_iter=500))),
]


class Noting:
    """Notes what it is told; on sub-estimators too, as deep as it says."""

    max_propagation_depth: int | None

    def __init__(self, depth: int | None = 0) -> None:
        self.max_propagation_depth = depth
        self.told: list[tuple[str, str, str, int]] = []

    def setup(self, estimator, context):
        self.told.append(("setup", type(estimator).__name__, context.task_name, -1))

    def teardown(self, estimator, context):
        self.told.append(("teardown", type(estimator).__name__, context.task_name, -1))

    def on_fit_task_begin(self, estimator, context, *, X=None, y=None):
        assert type(estimator).__module__.startswith("sklearn.") or len(X) == len(y)
        self.told.append(("begin", type(estimator).__name__, context.task_name, context.max_subtasks))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None):
        assert type(estimator).__module__.startswith("sklearn.") or len(X) == len(y)
        self.told.append(("end", type(estimator).__name__, context.task_name, context.max_subtasks))


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("kind", [TransferScorer, HalfwayScorer])
def test_scorers_tell_of_each_model(kind, n_jobs):
    noting = Noting()
    scorer = kind(estimators=ESTIMATORS, n_jobs=n_jobs).set_callbacks(noting).fit(X, Y)
    name = kind.__name__
    assert noting.told[:2] == [("setup", name, "fit", -1), ("begin", name, "fit", 4)]
    assert noting.told[-2:] == [("end", name, "fit", 4), ("teardown", name, "fit", -1)]
    middle = noting.told[2:-2]
    assert sorted(middle) == sorted(
        (event, name, f"fit-{model}", 0) for event in ("begin", "end") for model, _ in ESTIMATORS
    )
    if n_jobs == 1:
        assert [task for _, _, task, _ in middle] == [f"fit-{model}" for model, _ in ESTIMATORS for _ in "be"]
    assert {"_callback_fit_ctx", "_skl_callbacks_to_teardown"}.isdisjoint(vars(scorer))
    # fitted models carry nothing of it
    for model in scorer.models_.values():
        assert {"_skl_callbacks", "_parent_callback_ctx"}.isdisjoint(vars(model))


def test_callbacks_reach_the_estimators_as_deep_as_they_say():
    counts = {}
    for depth in (0, 1, 2):
        noting = Noting(depth)
        TransferScorer(estimators=ESTIMATORS).set_callbacks(noting).fit(X, Y)
        assert [event for event, *_ in noting.told].count("setup") == 1
        counts[depth] = {kind for event, kind, *_ in noting.told if event == "begin"}
    assert counts == {
        0: {"TransferScorer"},
        1: {"TransferScorer", "LogisticRegression", "Pipeline"},
        2: {"TransferScorer", "LogisticRegression", "Pipeline"},
    }


def test_a_generator_tells_of_its_source():
    name = "AdversarialGenerator"
    for depth, third in ((0, ("begin", name, "fit-source", 0)), (1, ("begin", "LogisticRegression", "fit"))):
        noting = Noting(depth)
        AdversarialGenerator(LogisticRegression(max_iter=500)).set_callbacks(noting).fit(X, Y)
        assert noting.told[:2] == [("setup", name, "fit", -1), ("begin", name, "fit", 1)]
        assert noting.told[2][: len(third)] == third
        assert noting.told[-2:] == [("end", name, "fit", 1), ("teardown", name, "fit", -1)]


def test_a_search_tells_of_scorers_and_their_models():
    noting = Noting(2)
    scorer = TransferScorer(estimators=ESTIMATORS[:2])
    search = GridSearchCV(scorer, {"condition": ["all"]}, cv=StratifiedKFold(2)).set_callbacks(noting)
    search.fit(X, Y)
    fits = [task for event, kind, task, _ in noting.told if (event, kind) == ("end", "TransferScorer")]
    assert fits.count("fit-svm") == 3  # two folds, and all at last


class Fails(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        raise ValueError("no")


def test_callbacks_are_put_away_where_a_model_fails():
    noting = Noting()
    scorer = TransferScorer(estimators=[*ESTIMATORS[:2], ("fails", Fails())]).set_callbacks(noting)
    with pytest.raises(ValueError, match="model 'fails': no"):
        scorer.fit(X, Y)
    assert noting.told[-1][0] == "teardown"
    assert ("end", "TransferScorer", "fit-fails", 0) not in noting.told
    assert "_callback_fit_ctx" not in vars(scorer)


def test_nothing_else_changes():
    scorer, plain = (
        TransferScorer(AdversarialGenerator(eps=0.3), estimators=ESTIMATORS, random_state=0) for _ in "ab"
    )
    scorer.set_callbacks(Noting(1)).fit(X, Y)
    plain.fit(X, Y)
    assert scorer.get_params().keys() == plain.get_params().keys()
    assert repr(scorer) == repr(plain)
    assert vars(scorer).keys() - vars(plain).keys() == {"_skl_callbacks"}
    assert clone(scorer)._skl_callbacks is scorer._skl_callbacks  # as scikit-learn's own
    back = pickle.loads(pickle.dumps(scorer))
    assert back.transfer(X, Y) == plain.transfer(X, Y)
    assert scorer.set_callbacks() is scorer and vars(scorer).keys() == vars(plain).keys()
    # models that were fitted elsewhere are no tasks
    noting = Noting()
    TransferScorer().set_callbacks(noting).fit(plain.models_)
    assert noting.told == []


def test_progress_bars(capsys):
    pytest.importorskip("rich")
    for kind in (TransferScorer, HalfwayScorer):
        kind(estimators=ESTIMATORS).set_callbacks(callback.ProgressBar()).fit(X, Y)
        shown = capsys.readouterr().out
        assert f"{kind.__name__} - fit " in shown and "100%" in shown
        assert "fit-lr | LogisticRegression" in " ".join(shown.split())


def test_progress_bars_over_processes(capsys):
    pytest.importorskip("rich")
    with joblib.parallel_config("loky", n_jobs=2):
        scorer = TransferScorer(estimators=ESTIMATORS).set_callbacks(callback.ProgressBar()).fit(X, Y)
    assert "TransferScorer - fit" in capsys.readouterr().out
    assert list(scorer.models_) == [name for name, _ in ESTIMATORS]
    np.testing.assert_array_equal(scorer.models_["svm"].predict(X), SVC().fit(X, Y).predict(X))


def test_without_callbacks_in_scikit_learn_there_are_none(monkeypatch):
    monkeypatch.setattr(_callbacks, "callback", None)
    owner = TransferScorer()
    owner._skl_callbacks = [Noting()]
    with fit_tasks(owner, ["a", "b"], X, Y) as tasks:
        assert tasks == [FitTask(), FitTask()]
        with tasks[0].around(SVC(), X, Y):
            pass
    assert owner._skl_callbacks[0].told == []

    def fit(self):
        return self

    assert _callbacks.with_callbacks(fit) is fit
