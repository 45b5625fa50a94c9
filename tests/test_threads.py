"""Many threads on one model, one that fails, an interrupt: results as alone, and nothing left behind."""

import os
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from multiprocessing.pool import ThreadPool

import foolbox
import numpy as np
import pytest
import torch
import torchattacks
from art.attacks.evasion import ProjectedGradientDescent
from joblib import _parallel_backends, delayed, parallel_config
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway._parallel import Stopped, pause, side_by_side
from skhalfway._randomness import leaving_no_trace, own_rng, undisturbed
from skhalfway.codes import CodeMap
from skhalfway.halfway import crossings
from skhalfway.models import as_model

X = np.random.RandomState(0).rand(40, 6).astype(np.float32)
Y = (X[:, 0] > 0.5).astype(int)


def network():
    """A module that its owner left in training mode, with everything that this mode changes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Linear(6, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 2)
        )
        optimizer = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(20):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(torch.from_numpy(X)), torch.from_numpy(Y)).backward()
            optimizer.step()
    return net.train()


def values(net):
    return [
        w.detach().clone() for w in (*net.parameters(), *net.buffers(), *(w.grad for w in net.parameters()))
    ]


def untouched(net, before):
    flags = [part.training for part in net.modules()]
    hooks = sum(len(part._forward_hooks) for part in net.modules() if hasattr(part, "_forward_hooks"))
    return all(map(torch.equal, before, values(net))) and all(flags) and not hooks


def global_states():
    return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()


LR = LogisticRegression().fit(X, Y)


def transfer(**settings):
    def call(net):
        scorer = TransferScorer(AdversarialGenerator(**settings), random_state=0, n_jobs=2)
        return scorer.fit({"net": net, "lr": LR}).transfer(X, Y).fooled

    return call


@cache
def wrapped(net):
    """Made once: initialize() moves the module, which nobody may do while others use it."""
    made = NeuralNetClassifier(net, classes=[0, 1], criterion=nn.CrossEntropyLoss, verbose=0).initialize()
    assert made.module_ is net
    return FrozenEstimator(made)


def skorch(net):
    return transfer(max_iter=5)(wrapped(net))


CALLS = {
    "pgd": transfer(max_iter=5),
    "fmn": transfer(attack="fmn", max_iter=5),
    "hopskipjump": transfer(attack="hopskipjump", max_queries=30),
    "ART": transfer(attack=ProjectedGradientDescent, max_iter=5),
    "foolbox": transfer(attack=foolbox.attacks.LinfPGD, max_iter=5),
    "torchattacks": transfer(attack=torchattacks.PGD, max_iter=5, clip_values=(0, 1)),
    "generate": lambda net: AdversarialGenerator(net, max_iter=10, random_state=0).generate(X, Y),
    "predict": lambda net: as_model(net).scores(X),
    "measure": lambda net: HalfwayScorer(n_pairs=20, random_state=0).fit([net, LR]).measure(X, Y).crossings,
    "skorch": skorch,
    "code map": lambda net: CodeMap(net, shape=(3, 3), n_iter=30, random_state=0).fit(X).transform(X),
}
# what cannot be viewed is switched instead
KINDS = {"module": lambda net: net, "script": torch.jit.script}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TorchScript
@pytest.mark.parametrize(
    ("call", "kind"),
    # of gradients in scripts, our own and those of one library; TorchScript takes no hooks, as code maps do
    [
        *((call, "module") for call in CALLS),
        *((call, "script") for call in CALLS if call not in ("fmn", "foolbox", "torchattacks", "code map")),
    ],
)
def test_threads_that_share_a_module_get_what_each_gets_alone(call, kind):
    net = KINDS[kind](network())
    alone, before, states = CALLS[call](net), values(net), global_states()
    with ThreadPoolExecutor(4) as pool:
        results = [future.result() for future in [pool.submit(CALLS[call], net) for _ in range(4)]]
    for result in results:
        np.testing.assert_array_equal(result, alone)
    assert untouched(net, before) and global_states() == states


class Failing:
    """A black box that fails once it is attacked."""

    classes_ = np.array([0, 1])

    def __init__(self, error, n_calls=2):
        self.error, self.n_left = error, n_calls

    def predict(self, X):
        self.n_left -= 1
        if self.n_left < 0:
            raise self.error
        return np.zeros(len(X), int)


ERRORS = {
    "Exception": (OSError("server away"), RuntimeError, "model 'bad' raised OSError: server away"),
    "ValueError": (ValueError("odd"), ValueError, "model 'bad': odd"),
    "SystemExit": (SystemExit(3), SystemExit, "3"),
}


@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")  # that it has one answer
@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("order", [("bad", "net"), ("net", "bad")])
def test_when_one_thread_fails_the_others_stop_before_the_call_returns(kind, order):
    error, raised, message = ERRORS[kind]
    net = network()
    models = {"bad": Failing(error), "net": net}
    before, states, threads = values(net), global_states(), threading.active_count()
    scorer = TransferScorer(AdversarialGenerator(max_iter=10**6), n_jobs=2, random_state=0)
    with pytest.raises(raised, match=message):
        scorer.fit({name: models[name] for name in order}).transfer(X, Y)
    assert untouched(net, before) and global_states() == states
    deadline = time.monotonic() + 10
    while threading.active_count() > threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= threads


@pytest.fixture
def interruptible():
    """Ctrl-C interrupts here, also where a shell started the tests in the background, which ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("n_jobs", [None, 2])
@pytest.mark.parametrize("attack", ["pgd", "hopskipjump", ProjectedGradientDescent])
def test_an_interrupt_stops_all_threads_before_the_call_returns(attack, n_jobs):
    nets = [network(), network()]
    before, states = [values(net) for net in nets], global_states()
    generator = AdversarialGenerator(attack=attack, max_iter=10**6, max_queries=10**7)
    scorer = TransferScorer(generator, n_jobs=n_jobs, random_state=0).fit(nets)
    alarm = threading.Timer(0.7, os.kill, (os.getpid(), signal.SIGINT))
    alarm.start()
    with pytest.raises(KeyboardInterrupt):
        scorer.transfer(X, Y)
    alarm.join()
    assert all(map(untouched, nets, before)) and global_states() == states
    seen = [values(net) for net in nets]
    time.sleep(0.1)
    assert all(map(untouched, nets, seen))


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("moment", ["made", "ended"])
def test_an_interrupt_leaves_no_pool_half_made_or_half_gone(moment, monkeypatch):
    """Threads of such a pool would wait for work as long as the process lives."""

    class Interrupted(ThreadPool):
        def _repopulate_pool(self):
            super()._repopulate_pool()
            if moment == "made":
                os.kill(os.getpid(), signal.SIGINT)

        def terminate(self):
            if moment == "ended":
                os.kill(os.getpid(), signal.SIGINT)
            super().terminate()

    monkeypatch.setattr(_parallel_backends, "ThreadPool", Interrupted)
    scorer = TransferScorer(AdversarialGenerator(max_iter=5), n_jobs=2, random_state=0)
    scorer.fit([network(), network()])
    n_threads = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        scorer.transfer(X, Y)
    deadline = time.monotonic() + 10
    while threading.active_count() > n_threads and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= n_threads
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def work(i, log):
    for _ in range(10**6):
        pause()
        time.sleep(0.001)
        if i == 3:
            log.append(i)
            raise KeyError(i)
    return i


@pytest.mark.parametrize("n_jobs", [None, 2, -1])
def test_nothing_is_parsed_while_threads_run(n_jobs, monkeypatch):
    """Threads of Python 3.11 that parse at once end in a SystemError."""

    def parse(*args, **kwargs):
        raise AssertionError("parsed")

    monkeypatch.setattr("joblib.parallel.eval_expr", parse)
    jobs = (delayed(abs)(i) for i in range(9))
    assert list(side_by_side(jobs, 9, n_jobs=n_jobs)) == list(range(9))


def test_jobs_side_by_side_end_together():
    log = []
    with pytest.raises(KeyError):
        list(side_by_side((delayed(work)(i, log) for i in range(8)), 8, n_jobs=4))
    assert log == [3]
    pause()  # whoever works for nobody is never stopped


def test_a_crew_within_a_crew_stops_with_it():
    entered = threading.Event()

    def inner(log):
        entered.set()
        return work(0, log)

    def outer(i):
        if i == 0:
            return list(side_by_side((delayed(inner)([]) for _ in range(2)), 2, n_jobs=2))
        entered.wait()
        raise OSError

    with parallel_config(backend="threading"), pytest.raises(OSError):
        list(side_by_side((delayed(outer)(i) for i in range(2)), 2, n_jobs=2))


@pytest.mark.parametrize("prefer", ["threads", "processes"])
def test_results_come_in_order_and_errors_come_through(prefer):
    # a function that other processes find without importing what this module imports
    jobs = (delayed(int)(f"{i}1") for i in range(5))
    assert list(side_by_side(jobs, 5, n_jobs=2, prefer=prefer)) == [1, 11, 21, 31, 41]
    with pytest.raises(ValueError, match="five"):
        jobs = (delayed(int)("five" if i == 5 else "1") for i in range(8))
        list(side_by_side(jobs, 8, n_jobs=2, prefer=prefer))


def test_stopped_is_not_caught_by_a_models_own_handler():
    assert not issubclass(Stopped, Exception)


BRIEF = AdversarialGenerator(max_queries=20)


class Drawing:
    """A model that draws from all three global generators."""

    classes_ = np.array([0, 1])

    def predict(self, X):
        return ((X[:, 0] + np.random.rand(len(X)) + random.random() + float(torch.rand(()))) > 2).astype(int)


@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")  # that its answers differ
@pytest.mark.parametrize(
    "call",
    [
        lambda model: (
            TransferScorer(AdversarialGenerator(max_queries=20), random_state=0)
            .fit([model, LR])
            .transfer(X, Y)
        ),
        lambda model: AdversarialGenerator(model, max_queries=20, random_state=0).generate(X, Y),
        lambda model: AdversarialGenerator(model, max_queries=20, random_state=0).transform(X),
        lambda model: crossings(model, X[:5], X[5:10]),
        lambda model: TransferScorer(random_state=0).fit([LR, LR]).robust_accuracy(model, X, Y),
    ],
    ids=["transfer", "generate", "transform", "crossings", "robust_accuracy"],
)
def test_the_global_states_are_as_before(call):
    states = global_states()
    call(Drawing())
    assert global_states() == states


def test_without_a_seed_every_call_draws_other_numbers():
    generator = AdversarialGenerator(LogisticRegression(), random_start=True, max_iter=1, step_size=1e-3).fit(
        X, Y
    )
    assert (generator.generate(X, Y) != generator.generate(X, Y)).any()
    np.random.seed(1)
    first = generator.generate(X, Y)
    np.random.seed(1)
    np.testing.assert_array_equal(generator.generate(X, Y), first)

    @leaving_no_trace
    def draw(*, random_state=None):
        return own_rng(random_state).rand()

    assert draw() != draw() and draw(random_state=0) == draw(random_state=0)

    @leaving_no_trace
    def seeded(*, random_state=0):
        return own_rng(random_state).rand()

    # what is given counts, and not the default
    assert seeded(random_state=None) != seeded(random_state=None)
    assert draw(random_state=None) != draw(random_state=None)
    states = global_states()
    assert seeded() == seeded() == draw(random_state=0)
    assert global_states() == states


@pytest.mark.parametrize("seed", [0, 3, 2**32 - 1])
def test_own_generators_draw_what_numpys_of_that_seed_do(seed):
    drawn, expected = own_rng(seed), np.random.RandomState(seed)
    for draw in ("rand", "randn"):
        np.testing.assert_array_equal(getattr(drawn, draw)(700), getattr(expected, draw)(700))
    np.random.seed(1)
    expected = np.random.RandomState(np.random.RandomState(1).randint(2**31 - 1))
    assert own_rng(None).rand() == expected.rand()


def test_undisturbed_within_undisturbed():
    states = global_states()
    with undisturbed():
        np.random.rand()
        middle = global_states()
        with undisturbed():
            np.random.rand()
            random.random()
        assert global_states() == middle
    assert global_states() == states
