"""Work in cells: results depend neither on blocks nor on threads, processes, their order and kills."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
import warnings
from contextlib import nullcontext
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator, Constraints, TransferScorer
from skhalfway.engine import Store
from skhalfway.models import ModelWarning
from skhalfway.transfer import _cells, _schedule, _source
from skhalfway.transfer._schedule import LongestFirst, Task, blocks_of


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return X[:600] / 16, y[:600]


@pytest.fixture(scope="module")
def models(digits):
    X, y = digits
    return {
        "lr": LogisticRegression(max_iter=500).fit(X[:400], y[:400]),
        "mlp": MLPClassifier((16,), max_iter=2000, random_state=0).fit(X[:400], y[:400]),
        "svc": SVC().fit(X[:400], y[:400]),
        "forest": RandomForestClassifier(4, max_depth=6, random_state=0).fit(X[:400], y[:400]),
        "tree": DecisionTreeClassifier(max_depth=8, random_state=0).fit(X[:400], y[:400]),
    }


GRADIENT = ["lr", "mlp", "svc"]
# attack, further parameters, sources
ATTACKS = {
    "pgd": ({"random_start": True, "n_restarts": 2}, GRADIENT),
    "fmn": ({"norm": 2, "eps": 1.0}, GRADIENT),
    "auto": ({}, ["forest", "mlp", "tree"]),
    "hopskipjump": ({}, ["svc", "forest"]),
    "halfway": ({}, ["svc", "forest"]),
    "square": ({}, ["svc", "forest"]),
    "surrogate": ({"max_queries": 10, "attack_params": {"n_rounds": 2}}, ["svc", "forest"]),
    "tree": ({"norm": 2, "eps": 1.0, "attack_params": {"n_starts": 2}}, ["forest", "tree"]),
}
OWN_BUDGETS = {
    "each sample's": lambda n: np.linspace(0.05, 0.2, n)[:, None],
    "each sample's and feature's": lambda n: np.random.default_rng(0).uniform(0.05, 0.2, (n, 64)),
}


PARAMS = {"eps": 0.15, "clip_values": (0, 1), "max_queries": 40, "max_iter": 10, "batch_size": 32}


def measured(models, X, y, attack, *, n_jobs=1, sources=None, memory=None, target=None, **params):
    generator = AdversarialGenerator(attack=attack, **{**PARAMS, **params})
    scorer = TransferScorer(generator, sources=sources, n_jobs=n_jobs, memory=memory, random_state=0)
    return scorer.fit(models).transfer(X, y, keep_samples=True, target=target)


def same(one, other) -> None:
    assert one == other
    for source in one.sources:
        np.testing.assert_allclose(one.samples(source), other.samples(source), atol=1e-5)


@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")
@pytest.mark.parametrize(
    ("attack", "budget"),
    # budgets of samples' own by turns
    [pair for k, name in enumerate(ATTACKS) for pair in ((name, "one"), (name, [*OWN_BUDGETS][k % 2]))],
)
def test_results_do_not_depend_on_blocks_threads_and_order(attack, budget, models, digits, monkeypatch):
    batch = 4 if attack == "tree" else 8
    n = 2 * batch + 5
    X, y = digits[0][400 : 400 + n], digits[1][400 : 400 + n]
    params, sources = ATTACKS[attack]
    params = {"batch_size": batch, **params}
    if budget in OWN_BUDGETS:
        params = {**params, "eps": params.get("eps", 0.15) / 0.15 * OWN_BUDGETS[budget](len(X))}
    whole = measured(models, X, y, attack, sources=sources, **params)
    assert (whole.outcomes.adversarial != whole.outcomes.clean[whole.outcomes.target_places]).any()
    for size, n_jobs in [(batch, 2), (2 * batch, 1)] if budget == "one" else [(batch, 2)]:
        monkeypatch.setattr(_schedule, "_MOST_SAMPLES", size)
        same(whole, measured(models, X, y, attack, sources=sources, n_jobs=n_jobs, **params))


@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")
@pytest.mark.parametrize("target", ["random", "least_likely", 3])
def test_targets_and_curves_do_not_depend_on_blocks(target, models, digits, monkeypatch):
    X, y = digits[0][400:440], digits[1][400:440]

    def both(n_jobs):
        matrix = measured(models, X, y, "pgd", sources=GRADIENT, target=target, n_jobs=n_jobs)
        generator = AdversarialGenerator(attack="pgd", max_iter=5, batch_size=32)
        scorer = TransferScorer(generator, sources=GRADIENT, n_jobs=n_jobs, random_state=0).fit(models)
        return matrix, scorer.transfer_curve(X, y, eps=[0.05, 0.1], target=target)

    (matrix, curve), _ = both(1), monkeypatch.setattr(_schedule, "_MOST_SAMPLES", 32)
    again, curve_again = both(2)
    same(matrix, again)
    assert curve == curve_again


@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")
def test_constraints_and_masks_do_not_depend_on_blocks(models, digits, monkeypatch):
    X, y = digits[0][400:440] * 16, digits[1][400:440]
    mask = np.random.default_rng(0).random(X.shape) < 0.5
    scaled = {name: LogisticRegression(C=C, max_iter=2000).fit(X, y) for name, C in (("a", 1), ("b", 0.01))}
    params = {"eps": 3.0, "clip_values": (0, 16), "constraints": Constraints(integer=range(64), mask=mask)}
    for attack in ("pgd", "hopskipjump", "square"):
        whole = measured(scaled, X, y, attack, **params)
        with monkeypatch.context() as patch:
            patch.setattr(_schedule, "_MOST_SAMPLES", 32)
            same(whole, measured(scaled, X, y, attack, n_jobs=2, **params))


@pytest.mark.usefixtures("quick_processes")
@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")
def test_results_do_not_depend_on_the_backend(models, digits, monkeypatch):
    X, y = digits[0][400:440], digits[1][400:440]
    whole = measured(models, X, y, "auto")
    monkeypatch.setattr(_schedule, "_MOST_SAMPLES", 32)
    with joblib.parallel_config("loky", n_jobs=2):
        same(whole, measured(models, X, y, "auto", n_jobs=None))


class Whereabouts(LogisticRegression):
    """Notes in a file which processes it is asked in."""

    note = lock = None

    def predict(self, X):
        with open(self.note, "a") as file:
            file.write(f"{os.getpid()}\n")
        return super().predict(X)


@pytest.mark.parametrize(
    ("attack", "n_jobs", "worth", "where"),
    [
        ("hopskipjump", 2, 1000, "processes"),
        ("hopskipjump", 1, 1000, "here"),
        ("hopskipjump", 2, 10**9, "here"),
        ("pgd", 2, 1000, "here"),
        ("does not pickle", 2, 1000, "here"),
        ("threads", 2, 1000, "here"),
    ],
)
def test_black_boxes_that_are_asked_much_are_asked_in_processes(
    attack, n_jobs, worth, where, digits, monkeypatch, tmp_path
):
    """Of a forest two threads are slower than one."""
    X, y = digits[0][400:500], digits[1][400:500]
    given = {"a": Whereabouts(max_iter=2000).fit(X, y), "b": Whereabouts(C=0.01).fit(X, y)}
    for model in given.values():
        model.note = tmp_path / "note"
    alone = measured(given, X, y, "pgd" if attack == "pgd" else "hopskipjump")
    (tmp_path / "note").unlink()
    monkeypatch.setattr(_cells, "_MANY_ANSWERS", worth)
    if attack == "does not pickle":
        given["a"].lock = threading.Lock()
    backend = joblib.parallel_config("threading") if attack == "threads" else nullcontext()
    with backend:
        same(alone, measured(given, X, y, "pgd" if attack == "pgd" else "hopskipjump", n_jobs=n_jobs))
    asked_in = set((tmp_path / "note").read_text().split())
    assert (asked_in > {str(os.getpid())}) == (where == "processes")


@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")
@pytest.mark.parametrize("attack", ["pgd", "hopskipjump", "auto"])
def test_a_generator_makes_what_a_scorer_makes(attack, models, digits):
    """The whole, in batches, and a scorer's cells are the same attack."""
    X, y = digits[0][400:470], digits[1][400:470]
    generator = AdversarialGenerator(attack=attack, random_state=0, **PARAMS)
    scorer = TransferScorer(generator, condition="all").fit(models)
    matrix = scorer.transfer(X, y, keep_samples=True)
    for name in ("svc", "forest") if attack != "pgd" else GRADIENT:
        alone = generator.set_params(estimator=FrozenEstimator(models[name])).generate(X, y)
        np.testing.assert_allclose(matrix.samples(name), alone, atol=1e-5)
        generator.set_params(estimator=None)


def test_blocks_are_whole_batches_and_do_not_grow_with_the_samples_size():
    for shape, batch, expected in [
        ((2000, 64), 100, [200] * 10),
        ((1000, 64), 1, [256, 256, 256, 232]),
        ((100, 64), 256, [100]),
        ((100, 3, 224, 224), 16, [48, 48, 4]),
        ((10, 3, 1000, 1000), 4, [4, 4, 2]),
        ((2100, 2), 1000, [1000, 1000, 100]),
    ]:
        blocks = blocks_of(shape, batch)
        assert [block.stop - block.start for block in blocks] == expected
        assert np.concatenate([np.arange(shape[0])[block] for block in blocks]).tolist() == [*range(shape[0])]


def test_the_longest_come_first_as_they_are_measured():
    rows, sizes = np.arange(10), [(0, 10), (0, 10), (1, 10), (1, 10), (2, 5)]
    queue = LongestFirst([Task(i, rows[:n], rows[:0]) for i, n in sizes])
    order, tasks = [], iter(queue)
    for rate in (0.1, 0.3, 0.2):  # of a sample; each source once, in their order
        order.append(next(tasks).source)
        queue.done(order[-1], rate)
    order += [task.source for task in tasks]
    assert order == [0, 1, 2, 1, 0]
    assert len(queue) == 5


# --- memory ---


@pytest.fixture
def counted(monkeypatch):
    """Names of the sources that are attacked, a time for each cell."""
    attacked, attack = [], _source.Source.attack
    monkeypatch.setattr(
        _source.Source, "attack", lambda self, rows: attacked.append(self.name) or attack(self, rows)
    )
    return attacked


@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")
@pytest.mark.parametrize("attack", ["pgd", "auto", "hopskipjump", "fmn"])
def test_what_is_kept_is_not_measured_again(attack, models, digits, counted, monkeypatch, tmp_path):
    X, y = digits[0][400:440], digits[1][400:440]
    monkeypatch.setattr(_schedule, "_MOST_SAMPLES", 32)
    few = {name: models[name] for name in ("lr", "svc")}
    whole = measured(few, X, y, attack)
    counted.clear()
    first = measured(few, X, y, attack, memory=tmp_path)
    assert sorted(counted) == sorted(2 * ["lr"] + 2 * ["svc"])
    counted.clear()
    again = measured(few, X, y, attack, memory=joblib.Memory(tmp_path, verbose=0), n_jobs=2)
    assert counted == []
    same(whole, first)
    same(whole, again)
    assert first.provenance.costs == again.provenance.costs
    # a model more: its row and its column
    more = measured({**few, "mlp": models["mlp"]}, X, y, attack, memory=tmp_path)
    assert counted == 2 * ["mlp"]
    same(more, measured({**few, "mlp": models["mlp"]}, X, y, attack))


def change_weights(model):
    model.coef_ = model.coef_ + 1e-12


# what is changed, and whether the samples of model "a" have to be made again
CHANGES = {
    "nothing": (lambda call: None, False),
    "another model": (lambda call: change_weights(call["models"]["b"]), False),
    "the model": (lambda call: change_weights(call["models"]["a"]), True),
    "a sample": (lambda call: call["X"].__setitem__((0, 0), call["X"][0, 0] + 1e-9), True),
    "a label": (lambda call: call["y"].__setitem__(0, 1 - call["y"][0]), True),
    "eps": (lambda call: call["params"].update(eps=3.1), True),
    "eps of a sample": (lambda call: call["params"].update(eps=np.full((40, 1), 3.0)), True),
    "clip_values": (lambda call: call["params"].update(clip_values=(-20, 21)), True),
    "max_iter": (lambda call: call["params"].update(max_iter=6), True),
    "constraints": (lambda call: call["params"].update(constraints=Constraints(immutable=[0])), True),
    "the attack": (lambda call: call["params"].update(attack="mifgsm"), True),
    "the seed": (lambda call: call.update(random_state=1), True),
    "the number of jobs": (lambda call: call.update(n_jobs=2), False),
    "the condition": (lambda call: call.update(condition="source_fooled"), False),
    "the names": (lambda call: call.update(models={f"{k}2": m for k, m in call["models"].items()}), False),
}


@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")
@pytest.mark.parametrize("changed", CHANGES)
def test_what_is_kept_is_known_by_all_that_it_depends_on(changed, counted, tmp_path):
    X, y = make_blobs(40, centers=2, n_features=3, cluster_std=3.0, random_state=0)
    call = {
        "X": X,
        "y": y,
        "models": {
            name: LogisticRegression(C=C).fit(X.copy(), y.copy()) for name, C in (("a", 1), ("b", 0.1))
        },
        "params": {
            "attack": "pgd",
            "eps": 3.0,
            "max_iter": 5,
            "random_start": True,
            "clip_values": (-20, 20),
        },
        "random_state": 0,
    }

    def run(memory):
        given = dict(call)
        X, y, models, params = (given.pop(name) for name in ("X", "y", "models", "params"))
        scorer = TransferScorer(AdversarialGenerator(**params), memory=memory, **given)
        return scorer.fit(models).transfer(X, y, keep_samples=True)

    run(tmp_path)
    counted.clear()
    change, again = CHANGES[changed]
    change(call)
    kept = run(tmp_path)
    assert ("a" in {name[0] for name in counted}) == again
    same(kept, run(None))


def test_a_users_attack_and_model_are_known_by_their_code(counted, tmp_path):
    X, y = make_blobs(40, centers=2, n_features=3, cluster_std=3.0, random_state=0)
    models = {name: LogisticRegression(C=C).fit(X, y) for name, C in (("a", 1), ("b", 0.1))}

    def pushed(by):
        return lambda model, X, y: X + by

    for by, expected in ((0.1, 2), (0.1, 0), (0.2, 2)):
        counted.clear()
        generator = AdversarialGenerator(attack=pushed(by), eps=1.0)
        TransferScorer(generator, memory=tmp_path, random_state=0).fit(models).transfer(X, y)
        assert len(counted) == expected


def test_a_model_without_content_is_refused_before_any_work(counted, tmp_path):
    import threading

    X, y = make_blobs(40, centers=2, n_features=3, cluster_std=3.0, random_state=0)
    models = {"nb": GaussianNB().fit(X, y), "lr": LogisticRegression().fit(X, y)}
    models["nb"].connection_ = threading.Lock()
    scorer = TransferScorer(memory=tmp_path, random_state=0).fit(models)
    message = "model 'nb': memory identifies models by their content, but the content of lock cannot"
    with pytest.raises(TypeError, match=message):
        scorer.transfer(X, y)
    assert counted == []
    models["nb"].__skhalfway_key__ = "version 1"
    assert scorer.transfer(X, y) == scorer.set_params(memory=None).transfer(X, y)


@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")
def test_damaged_entries_are_measured_again_and_said(models, digits, tmp_path):
    X, y = digits[0][400:460], digits[1][400:460]
    few = {name: models[name] for name in ("lr", "svc")}
    whole = measured(few, X, y, "pgd", memory=tmp_path)
    for k, file in enumerate(sorted(tmp_path.rglob("*.cell"))):
        content = bytearray(file.read_bytes())
        content[-1 - k] ^= 8
        file.write_bytes(content if k % 2 else content[: len(content) // 2])
    with pytest.warns(UserWarning, match="is damaged"):
        same(whole, measured(few, X, y, "pgd", memory=tmp_path))
    same(whole, measured(few, X, y, "pgd", memory=tmp_path))


class Contrary(DecisionTreeClassifier):
    """Not what its tree says."""

    def predict(self, X):
        return 1 - super().predict(X)


@pytest.mark.usefixtures("quick_processes")
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_what_is_said_of_a_source_is_said_whenever_its_cells_are_used(backend, tmp_path):
    """A figure out of a folder, or of another process, comes with the warning that it had."""
    X, y = make_blobs(60, centers=2, n_features=3, cluster_std=3.0, random_state=0)
    models = {name: Contrary(max_depth=d, random_state=0).fit(X, 1 - y) for name, d in (("a", 2), ("b", 3))}
    scorer = TransferScorer(AdversarialGenerator(attack="tree", eps=2.0), random_state=0, memory=tmp_path)
    for _ in range(2):
        with joblib.parallel_config(backend, n_jobs=2), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ModelWarning)
            matrix = scorer.fit(models).transfer(X, y)
        said = [str(warning.message) for warning in caught]
        assert sum("differs from its trees" in text for text in said) == 2
        # noise fools a model whose trees are others than it says
        assert sum("attack='tree' fools it on 0 of" in text for text in said) == len(said) - 2 > 0
        assert all("differs from its trees" in str(check) for check in matrix.checks.values())


def test_the_judged_classifier_and_a_source_of_its_type_are_told_apart(digits, tmp_path):
    """Both are called SVC."""
    X, y = digits[0][:200], digits[1][:200]
    models = {"SVC": SVC(C=0.1).fit(X, y), "lr": LogisticRegression(max_iter=500).fit(X, y)}
    judged = SVC(C=100).fit(X, y)
    scorer = TransferScorer(AdversarialGenerator(eps=0.1, max_iter=5), random_state=0).fit(models)
    kept = clone(scorer).set_params(memory=tmp_path).fit(models)
    for _ in range(2):
        assert kept.robustness(judged, X, y) == scorer.robustness(judged, X, y)


def slow_run(folder: Path | None, log: Path, out: Path, n_jobs: int) -> None:
    """What is killed: a transfer that notes its beginning, and the end of each cell."""
    attack = _source.Source.attack

    def slow(self, rows):
        time.sleep(0.05)
        made = attack(self, rows)
        with open(log, "a") as file:
            file.write("x")
        return made

    X, y = make_blobs(64, centers=3, n_features=4, cluster_std=3.0, random_state=0)
    models = {f"m{k}": DecisionTreeClassifier(max_depth=k + 2, random_state=k).fit(X, y) for k in range(3)}
    generator = AdversarialGenerator(attack="hopskipjump", eps=1.0, max_queries=30, batch_size=8)
    with open(log, "a") as file:
        file.write("|")
    scorer = TransferScorer(generator, random_state=0, n_jobs=n_jobs, memory=folder)
    # warnings of models are not what this is about
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(_schedule, "_MOST_SAMPLES", 8)
        patch.setattr(_source.Source, "attack", slow)
        warnings.simplefilter("ignore")
        scorer.fit(models).transfer(X, y).save(out)


def started(*args: object) -> multiprocessing.Process:
    process = multiprocessing.get_context("forkserver").Process(target=slow_run, args=args)
    process.start()
    return process


def ended(process: multiprocessing.Process) -> int | None:
    process.join(120)
    return process.exitcode


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
@pytest.mark.usefixtures("quick_processes")
def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path):
    """The long form, with 20 kills, is in the benchmarks."""
    from skhalfway.results import load_result

    store, log = tmp_path / "store", tmp_path / "log"
    slow_run(None, tmp_path / "plain", tmp_path / "plain.json", 1)
    rng = np.random.default_rng(0)
    for _ in range(2):
        run = started(store, log, tmp_path / "killed.json", 2)
        before = log.read_text().count("x") if log.exists() else 0
        after, deadline = before + int(rng.integers(1, 5)), time.monotonic() + 60
        while time.monotonic() < deadline and run.is_alive():
            if log.exists() and log.read_text().count("x") >= after:
                break
            time.sleep(0.01)
        run.kill()
        run.join()
    assert ended(started(store, log, tmp_path / "again.json", 2)) == 0
    plain, again = load_result(tmp_path / "plain.json"), load_result(tmp_path / "again.json")
    assert plain == again
    n_cells, n_done = (tmp_path / "plain").read_text().count("x"), log.read_text().count("x")
    assert n_cells <= n_done <= n_cells + 2 * 2  # a cell on each thread may be lost at each kill
    # two at once share what is there
    second = tmp_path / "second"
    both = [started(second, tmp_path / f"log{k}", tmp_path / f"{k}.json", 1) for k in range(2)]
    assert [ended(run) for run in both] == [0, 0]
    assert all(load_result(tmp_path / f"{k}.json") == plain for k in range(2))
    assert Store(second).info().n_left_over == 0


def test_an_attack_without_readable_content_is_refused_with_what_to_do(iris, iris_models, tmp_path):
    lock = threading.Lock()

    def guarded(model, X, y):
        with lock:
            return X

    models = {name: iris_models[name] for name in ("lr", "svm")}
    scorer = TransferScorer(AdversarialGenerator(attack=guarded), random_state=0, memory=tmp_path).fit(models)
    match = "by their code and parameters, but the content of lock .* which .*guarded uses: .* memory=None"
    with pytest.raises(TypeError, match=match):
        scorer.transfer(iris[0][::5], iris[1][::5])
    guarded.__skhalfway_key__ = "1"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)  # it changes nothing
        assert not scorer.transfer(iris[0][::5], iris[1][::5]).fooled.any()
