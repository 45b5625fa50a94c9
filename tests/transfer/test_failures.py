"""Models that raise, answer nonsense, take too long or end their process: the others' figures stay."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest
from joblib import parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, TransferMatrix, TransferScorer, load_result
from skhalfway.models import ModelWarning
from skhalfway.transfer import FailedPair, Outcomes, TransferMatrixDisplay, _schedule

X, Y = load_iris(return_X_y=True)
NAMES = ("lr", "svm", "bad")
SAMPLES = {tuple(row) for row in X.round(6)}


class Faulty(ClassifierMixin, BaseEstimator):
    """A logistic regression that goes wrong in some way."""

    def __init__(self, fault=None, home=None, seconds=0.0):
        self.fault = fault
        self.home = home
        self.seconds = seconds

    def fit(self, X, y):
        self.inner_ = LogisticRegression(max_iter=1000).fit(X, y)
        self.classes_, self.n_features_in_ = self.inner_.classes_, X.shape[1]
        self.n_asked_ = 0
        return self

    def predict(self, X):
        self.n_asked_ += 1
        known = all(tuple(row) in SAMPLES for row in np.round(X, 6))
        if self.fault == "always" or (self.fault == "unknown samples" and not known):
            raise ZeroDivisionError("out of order")
        if self.fault == "nonsense" and not known:
            return np.full(len(X), 7)
        if self.fault == "fewer" and not known:
            return self.inner_.predict(X)[:-1]
        if self.fault == "slow" and not known:
            time.sleep(self.seconds)
        if self.fault == "deadly" and os.getpid() != self.home:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.inner_.predict(X)


class Stays(Faulty):
    """Raises only where it is asked about samples made on the support vector machine."""

    def predict(self, X):
        if threading.current_thread().name == "svm":
            raise ZeroDivisionError("out of order")
        return self.inner_.predict(X)


@pytest.fixture(scope="module")
def good():
    return {"lr": LogisticRegression(max_iter=1000).fit(X, Y), "svm": SVC().fit(X, Y)}


def scorer(good, bad, *, error_score=np.nan, eps=0.5, **params):
    models = good if bad is None else {**good, "bad": bad.fit(X, Y)}
    generator = AdversarialGenerator(eps=eps, max_iter=5, max_queries=100)
    return TransferScorer(generator, error_score=error_score, random_state=0, **params).fit(models)


def of_the_good(matrix):
    """Counts of the pairs of the models that do not fail."""
    counts = ("eligible", "fooled", "same_mistake", "noise_fooled")
    return [getattr(matrix, name)[:2, :2].tolist() for name in counts] + [matrix.source_fooled[:2].tolist()]


FAULTS = {
    "always": "ZeroDivisionError: out of order",
    "unknown samples": "ZeroDivisionError: out of order",
    "nonsense": "7",
    "fewer": "150",
}


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_others_keep_their_figures(fault, n_jobs, good):
    alone = scorer(good, None).transfer(X, Y)
    with pytest.warns(ModelWarning, match="all pairs with 'bad': model 'bad'"):
        matrix = scorer(good, Faulty(fault), n_jobs=n_jobs).transfer(X, Y)
    assert of_the_good(matrix) == of_the_good(alone)
    pairs = {(one, two) for one in NAMES for two in NAMES if "bad" in (one, two)}
    assert matrix.failures.keys() == pairs
    assert all(FAULTS[fault] in reason for reason in matrix.failures.values())
    lost = np.array([[(one, two) in pairs for two in NAMES] for one in NAMES])
    np.testing.assert_array_equal(np.isnan(matrix.rates), lost)
    assert matrix.mean_rate == alone.mean_rate
    assert np.isnan(matrix.source_success[2])
    assert np.isnan(matrix.accuracy[2])
    assert matrix.standard_error == pytest.approx(alone.standard_error)


@pytest.mark.parametrize("fault", FAULTS)
def test_it_is_raised_by_default(fault, good):
    with pytest.raises((RuntimeError, ValueError), match="model 'bad'"):
        scorer(good, Faulty(fault), error_score="raise").transfer(X, Y)


def test_a_failure_in_one_pair_is_that_pairs(good, monkeypatch):
    """Whether a model answers may depend on what it is asked about."""
    from skhalfway.transfer import _cells

    run_task = _cells.run_task

    def named_thread(source, *args):
        threading.current_thread().name, before = source.name, threading.current_thread().name
        try:
            return run_task(source, *args)
        finally:
            threading.current_thread().name = before

    monkeypatch.setattr(_cells, "run_task", named_thread)
    whole = scorer(good, Faulty()).transfer(X, Y)
    with pytest.warns(ModelWarning, match="'svm' -> 'bad'.*samples made on 'svm'"):
        matrix = scorer(good, Stays()).transfer(X, Y)
    assert list(matrix.failures) == [("svm", "bad")]
    unlost = ~np.isnan(matrix.rates)
    assert unlost.sum() == 8
    np.testing.assert_array_equal(matrix.rates[unlost], whole.rates[unlost])
    # means of two experiments are compared over the pairs that both have
    comparison = whole.compare(matrix)
    assert comparison.mean_difference == 0
    assert comparison.n[1, 2] == 0


def test_a_source_that_does_not_know_its_own_samples_is_lost(good, monkeypatch):
    """What fools a source decides what counts: condition "source_fooled" and the same mistake."""
    from skhalfway.transfer import _cells

    answers = _cells.answers

    def fail_on_own(model, asked):
        if model.name == "lr" and monkeypatch.source == "lr":
            raise ZeroDivisionError("out of order")
        return answers(model, asked)

    run_task = _cells.run_task

    def run(source, *args):
        monkeypatch.source = source.name
        return run_task(source, *args)

    monkeypatch.source = ""
    monkeypatch.setattr(_cells, "answers", fail_on_own)
    monkeypatch.setattr(_cells, "run_task", run)
    with pytest.warns(ModelWarning, match="all samples made on 'lr'"):
        matrix = scorer(good, None).transfer(X, Y)
    assert np.isnan(matrix.rates[0]).all()
    assert np.isfinite(matrix.rates[1]).all()


@pytest.mark.parametrize("waits", [False, True], ids=["asks", "waits"])
def test_what_takes_too_long_is_lost(waits, good):
    """An attack stops when it asks; a model that does not answer is left alone."""
    bad = Faulty("slow", seconds=6 if waits else 0.2)
    begin = time.monotonic()
    with pytest.warns(ModelWarning, match="model 'bad': took longer than timeout=0.5 s"):
        matrix = scorer(good, bad, timeout=0.5).transfer(X, Y)
    assert time.monotonic() - begin < 10
    assert {pair for pair in matrix.failures if "bad" not in pair} == set()
    alone = scorer(good, None).transfer(X, Y)
    assert of_the_good(matrix) == of_the_good(alone)
    with pytest.raises(TimeoutError, match="model 'bad': took longer than timeout=0.5 s"):
        scorer(good, bad, timeout=0.5, error_score="raise").transfer(X, Y)


@pytest.mark.parametrize(("fault", "error"), [("slow", TimeoutError), ("unknown samples", RuntimeError)])
def test_the_worst_case_needs_every_source(fault, error, good):
    """Without one that fails, a classifier would look more robust than it is."""
    one = scorer(good, Faulty(fault, seconds=8), timeout=1)
    with pytest.raises(error, match="model 'bad'"):
        one.robustness(SVC(C=10).fit(X, Y), X, Y)


def test_a_limit_is_one_of_who_is_judged_too(good):
    judged = Faulty("slow", seconds=8).fit(X + 1, Y)
    with pytest.raises(TimeoutError, match="model 'Faulty': took longer than timeout=1 s"):
        scorer(good, None, timeout=1).robustness(judged, X + 1, Y)


def test_a_limit_that_is_kept_changes_nothing(good):
    models = {**good, "mlp": MLPClassifier((8,), max_iter=2000, random_state=0).fit(X, Y)}
    generator = AdversarialGenerator(eps=0.5)
    one, two = (
        TransferScorer(generator, random_state=0, n_jobs=2, timeout=limit).fit(models).transfer(X, Y)
        for limit in (None, 60)
    )
    assert one == two


def test_an_attack_that_fails_loses_the_source_alone(good, monkeypatch):
    from skhalfway.transfer._source import Source

    real = Source.attack

    def attack(self, rows):
        if self.name == "lr":
            raise FloatingPointError("no gradient today")
        return real(self, rows)

    monkeypatch.setattr(Source, "attack", attack)
    said = "all samples made on 'lr'.*FloatingPointError.*while it was attacked"
    with pytest.warns(ModelWarning, match=said):
        matrix = scorer(good, Faulty()).transfer(X, Y, keep_samples=True)
    assert np.isnan(matrix.rates[0]).all()
    assert np.isfinite(matrix.rates[1:]).all()
    with pytest.raises(ValueError, match="no gradient today"):
        matrix.samples("lr")
    assert len(matrix.samples("svm")) == len(X)


def test_curves_and_targets(good):
    with pytest.warns(ModelWarning, match="all pairs with 'bad'"):
        curve = scorer(good, Faulty("unknown samples")).transfer_curve(X, Y, eps=[0.2, 0.5])
    alone = scorer(good, None).transfer_curve(X, Y, eps=[0.2, 0.5])
    np.testing.assert_array_equal(curve.mean_rates, alone.mean_rates)
    np.testing.assert_array_equal(curve.source_success[:, :2], alone.source_success)
    assert np.isnan(curve.source_success[:, 2]).all()
    assert "all pairs with 'bad'" in str(curve)
    ax = curve.plot().ax_
    assert ax.get_title() == "auto, 150 samples\nmeans are over 2 of 6 pairs: in the others a model failed"
    assert "to bad (unknown)" in [text.get_text() for text in ax.get_legend().get_texts()]
    assert curve.subset(Y == 1).matrices[0].failures
    with pytest.warns(ModelWarning, match="all pairs with 'bad'"):
        matrix = scorer(good, Faulty("unknown samples")).transfer(X, Y, target="random")
    assert matrix.goal == "target"
    assert np.isnan(matrix.rates[2]).all()


@pytest.mark.parametrize("condition", ["both_correct", "source_fooled", "all"])
def test_results_say_it_everywhere(condition, good, tmp_path):
    with pytest.warns(ModelWarning):
        matrix = scorer(good, Faulty("unknown samples"), condition=condition).transfer(X, Y)
    assert "failed" in str(matrix)
    assert "all pairs with 'bad': model 'bad' raised ZeroDivisionError: out of order" in str(matrix)
    assert "over 2 of 6 pairs" in str(matrix)
    assert "out of order" in matrix._repr_html_()
    assert "left out" in matrix.describe()
    frame = matrix.to_frame()
    assert frame.loc[("lr", "bad"), "failure"].endswith("out of order")
    assert frame.loc[("lr", "svm"), "failure"] == ""
    matrix.save(tmp_path / "matrix.json")
    assert load_result(tmp_path / "matrix.json") == matrix
    assert matrix.subset(Y < 2).failures == matrix.failures
    by_class = matrix.by_class()
    assert by_class.matrices[0].failures == matrix.failures
    assert "all pairs with 'bad': model 'bad' raised ZeroDivisionError" in str(by_class)
    assert matrix.exposure("bad")["of"].sum() == 0
    assert matrix.eligible_for_any[2] == 0
    display = TransferMatrixDisplay.from_result(matrix)
    assert [text.get_text() for text in np.ravel(display.text_)].count("failed") == 5
    assert "over 2 of 6 pairs" in display.ax_.get_title()


def test_labels_of_the_sources_are_not_needed(good):
    with pytest.warns(ModelWarning, match="all pairs with 'bad'"):
        matrix = scorer(good, Faulty("always")).transfer(X)
    assert matrix.source_eligible.tolist() == [150, 150, 0]
    assert np.isnan(matrix.source_success[2])


def test_score_is_nan_and_searches_go_on(good):
    with pytest.warns(ModelWarning, match="all pairs with 'bad'"):
        assert np.isnan(scorer(good, Faulty("always")).score(X, Y))
    estimators = [("lr", LogisticRegression(max_iter=1000)), ("bad", Faulty())]
    search = GridSearchCV(
        TransferScorer(estimators=estimators, error_score=np.nan, random_state=0),
        {"bad__fault": [None, "always"]},
        cv=StratifiedKFold(2),
    )
    with pytest.warns(UserWarning, match="all pairs with 'bad'|non-finite"):
        search.fit(X, Y)
    assert search.best_params_ == {"bad__fault": None}


def test_all_may_fail(good):
    models = {"one": Faulty("always").fit(X, Y), "two": Faulty("always").fit(X, Y)}
    with pytest.warns(ModelWarning):
        matrix = TransferScorer(error_score=np.nan).fit(models).transfer(X, Y)
    assert np.isnan(matrix.mean_rate)
    assert len(matrix.failures) == 4


@pytest.mark.parametrize("fault", ["always", "unknown samples"])
def test_failures_are_not_kept_but_tried_again(fault, good, tmp_path):
    bad = Faulty(fault)
    bad.__skhalfway_key__ = "the same model, which is out of order now and then"
    whole = scorer(good, bad, memory=tmp_path)
    with pytest.warns(ModelWarning, match="all pairs with 'bad'"):
        lost = whole.transfer(X, Y)
    assert np.isnan(lost.rates[2]).all()
    bad.fault = None
    assert whole.transfer(X, Y) == scorer(good, Faulty()).transfer(X, Y)


@pytest.mark.usefixtures("quick_processes")
def test_a_worker_that_dies_loses_its_model_alone(good):
    models = {"lr": good["lr"], "bad": Faulty("deadly", home=os.getpid()).fit(X, Y)}
    generator = AdversarialGenerator(eps=0.5, max_iter=5)
    one = TransferScorer(generator, error_score=np.nan, random_state=0, targets=["lr"]).fit(models)
    said = "all samples made on 'bad'.*its worker process died .SIGKILL"
    with parallel_config("loky", n_jobs=2), pytest.warns(ModelWarning, match=said):
        matrix = one.transfer(X, Y)
    alone = scorer(good, None).transfer(X, Y)
    assert matrix.fooled[0, 0] == alone.fooled[0, 0]
    assert list(matrix.failures) == [("bad", "lr")]


DEADLY = {"attacked": ("bad", None), "asked": (None, "bad")}


@pytest.mark.parametrize("error_score", ["raise", np.nan])
@pytest.mark.parametrize("when", DEADLY)
def test_whoever_ends_a_process_is_found(when, error_score, good, monkeypatch):
    """As if the process had died: what joblib raises then."""
    from skhalfway.transfer import _cells

    (source_, asked_), run_task = DEADLY[when], _cells.run_task

    def run(source, task, models, kept, care, without):
        if source.name == source_ or (asked_ in models and asked_ not in without):
            raise TerminatedWorkerError("The exit codes of the workers are {SIGSEGV(-11)}")
        return run_task(source, task, models, kept, care, without)

    monkeypatch.setattr(_cells, "run_task", run)
    measured = scorer(good, Faulty(), error_score=error_score, n_jobs=2)
    if error_score == "raise":
        with pytest.raises(RuntimeError, match="model 'bad': its worker process died .SIGSEGV"):
            measured.transfer(X, Y)
        return
    with pytest.warns(ModelWarning, match="all pairs with 'bad'.*its worker process died .SIGSEGV"):
        matrix = measured.transfer(X, Y)
    assert of_the_good(matrix) == of_the_good(scorer(good, None).transfer(X, Y))


def test_a_process_that_dies_once_loses_nothing(good, monkeypatch):
    """As where memory was short since several ran at once."""
    from skhalfway.transfer import _asking, _cells

    whole, deaths = scorer(good, Faulty()).transfer(X, Y), []
    for name, home in (("run_task", _cells), ("_ask_block", _asking), ("_asked", _cells)):
        real = getattr(home, name)

        def run(*args, name=name, real=real):
            if name not in deaths and threading.current_thread() is not threading.main_thread():
                deaths.append(name)
                raise TerminatedWorkerError("The exit codes of the workers are {SIGKILL(-9)}")
            return real(*args)

        monkeypatch.setattr(home, name, run)
    monkeypatch.setattr(_schedule, "_MOST_SAMPLES", 32)
    again = scorer(good, Faulty(), error_score="raise", n_jobs=2)
    again.generator.batch_size = 32
    assert again.transfer(X, Y) == whole
    assert sorted(deaths) == ["_ask_block", "_asked", "run_task"]


def interrupted_after(n, monkeypatch):
    """Ctrl-C once that many cells are done."""
    from skhalfway.transfer import _cells

    done, run_task = [], _cells.run_task

    def count(*args):
        cell = run_task(*args)
        done.append(cell)
        if len(done) == n:
            signal.raise_signal(signal.SIGINT)
        return cell

    monkeypatch.setattr(_cells, "run_task", count)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_interrupt_brings_what_is_done(n_jobs, good, monkeypatch, tmp_path):
    monkeypatch.setattr(_schedule, "_MOST_SAMPLES", 32)
    whole = scorer(good, Faulty(), n_jobs=n_jobs)
    whole.generator.batch_size = 32
    matrix = whole.transfer(X, Y)
    interrupted_after(8, monkeypatch)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as interrupt:
            whole.set_params(memory=tmp_path).transfer(X, Y)
    finally:
        signal.signal(signal.SIGINT, before)
    part = interrupt.value.partial
    assert isinstance(part, TransferMatrix)
    assert any("interrupted when" in reason for reason in part.failures.values())
    asked = part.outcomes.adversarial >= 0
    assert 0 < asked.sum() < (matrix.outcomes.adversarial >= 0).sum()
    np.testing.assert_array_equal(part.outcomes.adversarial[asked], matrix.outcomes.adversarial[asked])
    # a pair has either all of its samples, or is among those of which not all are known
    complete = np.array([[(one, two) not in part.failures for two in NAMES] for one in NAMES])
    np.testing.assert_array_equal(part.rates[complete], matrix.rates[complete])
    assert "interrupted" in str(part)
    part.save(tmp_path / "part.json")
    assert load_result(tmp_path / "part.json") == part
    # the rest goes on from the folder
    monkeypatch.undo()
    monkeypatch.setattr(_schedule, "_MOST_SAMPLES", 32)
    assert whole.transfer(X, Y) == matrix


# what is interrupted: whether all samples were attacked by then, and of whom it is not known how well
AFTER_ATTACKS = {"_asked": ["lr", "svm"], "judged": ["svm"]}
PHASES = {"_ask_block": None, "check_models": None, "sources_of": None, **AFTER_ATTACKS}


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("phase", PHASES)
def test_an_interrupt_at_any_time(phase, n_jobs, good, monkeypatch):
    """Before the attacks there is nothing to bring; after them all that is measured."""
    from skhalfway.transfer import _asking, _cells, _measure, _source

    home = {"_ask_block": _asking, "_asked": _cells, "judged": _source.Attacked}.get(phase, _measure)
    whole, real, calls = scorer(good, None, n_jobs=n_jobs), getattr(home, phase), []

    def interrupted(*args, **kwargs):
        calls.append(phase)
        if len(calls) == (2 if phase in AFTER_ATTACKS else 1):
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    expected = whole.transfer(X, Y)
    monkeypatch.setattr(home, phase, interrupted)
    with pytest.raises(KeyboardInterrupt) as interrupt:
        whole.transfer(X, Y)
    part = interrupt.value.partial
    if phase not in AFTER_ATTACKS:
        assert part is None
        return
    assert not part.failures
    assert of_the_good(part) == of_the_good(expected)
    unjudged = [name for name, check in part.checks.items() if "user interrupted" in str(check)]
    assert unjudged == PHASES[phase]
    assert "could not be checked: the user interrupted" in str(part)


@pytest.mark.parametrize(
    ("words", "reason"), [((), "the user interrupted"), (("it was ended",), "it was ended")]
)
def test_an_interrupt_may_say_why(words, reason, good, monkeypatch):
    """As SIGTERM does, which is not the user."""
    from skhalfway.transfer import _source

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt(*words)

    monkeypatch.setattr(_source.Attacked, "judged", interrupted)
    with pytest.raises(KeyboardInterrupt) as interrupt:
        scorer(good, None).transfer(X, Y)
    assert f"could not be checked: {reason}" in str(interrupt.value.partial)


def test_an_interrupted_curve(good, monkeypatch):
    interrupted_after(2, monkeypatch)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as interrupt:
            scorer(good, Faulty()).transfer_curve(X, Y, eps=[0.2, 0.5])
    finally:
        signal.signal(signal.SIGINT, before)
    curve = interrupt.value.partial
    assert [len(matrix.failures) for matrix in curve.matrices] == [6, 6, 6]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"error_score": 0}, "error_score must be 'raise' or numpy.nan, got 0"),
        ({"error_score": "ignore"}, "error_score must be 'raise' or numpy.nan, got 'ignore'"),
        ({"timeout": 0}, "timeout must be"),
        ({"timeout": "1 s"}, "timeout must be"),
    ],
)
def test_parameters_are_checked(params, message, good):
    with pytest.raises((ValueError, TypeError), match=message):
        scorer(good, None, **{"error_score": "raise", **params})


def test_outcomes_with_unknown_answers_need_failures(good):
    matrix = scorer(good, None).transfer(X, Y)
    outcomes = matrix.outcomes
    clean = outcomes.clean.copy()
    clean[0] = -1
    fields = {name: getattr(outcomes, name) for name in ("names", "sources", "targets", "classes", "labels")}
    answers = {name: getattr(outcomes, name) for name in ("noise", "own", "adversarial")}
    with pytest.raises(ValueError, match="clean must hold class indices"):
        Outcomes(**fields, clean=clean, **answers)
    failures = [FailedPair("lr", name, "it broke") for name in ("lr", "svm")]
    lost = {name: np.full_like(array, -1) for name, array in answers.items()}
    assert Outcomes(**fields, clean=clean, **lost, failures=failures).failed.tolist() == [
        [True, True],
        [False, False],
    ]
