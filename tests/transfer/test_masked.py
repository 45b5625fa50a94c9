"""Second opinions: what they ask, when they object, and how a row that they contradict is shown."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from torch import nn

from skhalfway import AdversarialGenerator, Constraints, TransferCurve, TransferMatrix, TransferScorer
from skhalfway.attacks import _square
from skhalfway.attacks._constraints import Header
from skhalfway.attacks._faults import Faults
from skhalfway.attacks._limits import read_limits
from skhalfway.attacks._problem import Outcome, Problem, Settings
from skhalfway.attacks._second_opinion import fooled_by_queries
from skhalfway.cli._demo import train
from skhalfway.models import Finding, ModelWarning, as_model
from skhalfway.transfer import _masked, _source
from skhalfway.transfer._masked import (
    LEVEL,
    Opinion,
    ask_others,
    ask_with_queries,
    chance,
    objection,
    rows_to_ask,
)
from skhalfway.transfer._source import Account, Attacked

EPS = {np.inf: 0.15, 2: 1.0, 1: 4.0}
Forward = Callable[[nn.Module, torch.Tensor], torch.Tensor]


@pytest.fixture(scope="module", autouse=True)
def brief_second_opinions() -> None:
    """They are not brief here."""


class Changed(nn.Module):
    """A network behind something that changes its gradient."""

    def __init__(self, net: nn.Module, change: Forward) -> None:
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.change(self.net, x)


def without_grad(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return net(x)


# the answers are those of the network, or nearly so; the gradients tell next to nothing
MASKS: dict[str, Forward] = {
    "squeezed": lambda net, x: net(torch.round(x * 4) / 4),
    "integers": lambda net, x: net((x * 16 + 0.5).long().to(x) / 16 + 0 * x),
    "rounded outputs": lambda net, x: torch.round(net(x)) + 0 * x.sum(dim=1, keepdim=True),
    "saturated": lambda net, x: 2 * (1e4 * net(x)).softmax(dim=1),
    "rippled": lambda net, x: net(x + 0.02 * torch.sin(1e4 * x)),
}
# nothing is hidden here, whatever it looks like
OPEN: dict[str, Forward] = {
    "large logits": lambda net, x: 1e4 * net(x),
    "softmax": lambda net, x: net(x).softmax(dim=1).log(),
    "saturated softmax": lambda net, x: (1e4 * net(x)).softmax(dim=1),
    "clipped": lambda net, x: net(x.clamp(0, 1)),
}


@pytest.fixture(scope="module")
def net(digits: Any) -> nn.Module:
    X, y = torch.tensor(digits[0][:1000]).float(), torch.tensor(digits[1][:1000])
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(module.parameters(), 0.01)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(X), y).backward()
        optimizer.step()
    return module


@pytest.fixture(scope="module")
def samples(digits: Any) -> Any:
    return digits[0][1000:1100].astype(np.float32), digits[1][1000:1100]


def generator(norm: float = np.inf, **params: Any) -> AdversarialGenerator:
    given = {"attack": "pgd", "eps": EPS[norm], "norm": norm, "clip_values": (0, 1), "max_iter": 20}
    return AdversarialGenerator(**given | params)


def scorer(models: Any, norm: float = np.inf, **params: Any) -> TransferScorer:
    return TransferScorer(generator(norm, **params), random_state=0).fit(models)


def measured(scorer: TransferScorer, samples: Any) -> tuple[TransferMatrix, list[str]]:
    """The matrix, and what is said of its models."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ModelWarning)
        matrix = scorer.transfer(*samples)
    return matrix, [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("mask", "norm", "beside"),
    # each mask and each norm is among others of its kind once at least
    [
        (mask, norm, beside)
        for i, mask in enumerate(MASKS)
        for k, norm in enumerate(EPS)
        for beside in (True, False)
        if (mask, norm) != ("rippled", 1) and (beside or (i + k) % 3 == 0)
    ],
)
def test_masked_gradients_are_flagged(net, samples, mask: str, norm: float, beside: bool) -> None:
    """By what was made on a source that shows its gradient, and by queries and noise alone."""
    hidden = Changed(net, MASKS[mask])
    models = {"hidden": hidden, "other": net if beside else Changed(net, MASKS[mask])}
    matrix, said = measured(scorer(models, norm), samples)
    doubt = next(text for text in said if text.startswith("model 'hidden': attack='pgd' fools it on"))
    assert matrix.masked.tolist() == [True, not beside]
    assert doubt.endswith("need no gradient" if norm != 1 else "attack='surrogate' needs none")
    assert "its gradients may be masked" in doubt and matrix.source_success[0] < 0.1
    flat = [
        text for text in said if text.startswith("model 'hidden': Changed has a gradient of exactly 0 on")
    ]
    assert len(flat) == (mask != "rippled")


@pytest.mark.parametrize("kind", OPEN)
def test_what_only_looks_hidden_is_measured(net, samples, kind: str) -> None:
    matrix = scorer({"net": net, "same": Changed(net, OPEN[kind])}).transfer(*samples)
    assert matrix.source_success[1] == pytest.approx(matrix.source_success[0], abs=0.03)
    assert not matrix.masked.any()


def test_a_graph_that_is_cut_is_refused_or_attacked_without(net, samples) -> None:
    models = {"net": net, "cut": Changed(net, without_grad)}
    with pytest.raises(
        TypeError, match="model 'cut': attack='pgd' needs gradients, but Changed gives outputs"
    ):
        scorer(models).transfer(*samples)
    X, y = samples[0][:60], samples[1][:60]
    matrix, said = measured(scorer(models, attack="auto", max_queries=300), (X, y))
    assert "attack='auto' attacks it by 'hopskipjump' instead" in said[0]
    assert "attack='auto' fools it on 27 of 60 samples, but with samples made on 'net'" in said[1]
    assert matrix.source_success[1] > 0.4 and matrix.masked.tolist() == [False, True]


HONEST = {
    "logistic": LogisticRegression(max_iter=1000),
    "svc": SVC(),
    "mlp": MLPClassifier((50,), max_iter=1000, random_state=0),
    "forest": RandomForestClassifier(20, random_state=0),
    "neighbours": KNeighborsClassifier(),
    "bayes": GaussianNB(var_smoothing=1e-2),
}


@pytest.mark.parametrize("norm", [np.inf, 2])
def test_honest_models_of_digits_are_not_doubted(net, digits, samples, norm: float) -> None:
    models = {name: model.fit(digits[0][:1000], digits[1][:1000]) for name, model in HONEST.items()}
    layers = nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 10)
    torch.manual_seed(0)
    cnn = train(nn.Sequential(*layers), digits[0][:1000], digits[1][:1000], n_epochs=5)
    matrix = scorer(models | {"net": net, "cnn": cnn}, norm).transfer(*(part[:100] for part in samples))
    assert not matrix.masked.any()


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_honest_models_of_iris_are_not_doubted(iris, norm: float) -> None:
    X, y = iris
    models = HONEST | {"adaboost": AdaBoostClassifier(n_estimators=10, random_state=0)}
    models = {name: model.fit(X[::2], y[::2]) for name, model in models.items()}
    eps = {np.inf: 0.1, 2: 0.2, 1: 0.2}[norm]
    matrix = scorer(models, norm, eps=eps, clip_values=None).transfer(X[1::2], y[1::2])
    assert not matrix.masked.any()


def test_a_weak_attack_is_no_masked_gradient(net, samples) -> None:
    with pytest.warns(ModelWarning, match="the attack is too weak here, and attack='pgd' with n_restarts=5"):
        matrix = scorer({"net": net, "again": net}, max_iter=1, step_size=1e-3).transfer(*samples)
    assert not matrix.masked.any()


def test_one_opinion_for_a_curve_and_for_robust_accuracy(net, digits, samples) -> None:
    lr = LogisticRegression(max_iter=1000).fit(digits[0][:1000], digits[1][:1000])
    judged = scorer({"hidden": Changed(net, MASKS["rippled"]), "lr": lr})
    with pytest.warns(ModelWarning, match="model 'hidden'.* may be masked"):
        curve = judged.transfer_curve(*samples, eps=[0.05, 0.15])
    assert curve.masked.tolist() == [True, False]
    assert "attacks on these are too weak: hidden\nwarning: hidden: attack='pgd' fools it on" in repr(curve)
    title = curve.plot().ax_.get_title()
    assert title == "pgd, 100 samples\nother attacks fool these more often (*): hidden"
    assert "from hidden *" in curve.plot(target="lr").ax_.get_legend().get_texts()[0].get_text()
    with pytest.warns(ModelWarning, match="model 'hidden'.* may be masked"):
        judged.robust_accuracy(lr, *samples)


def test_threads_see_the_same(net, samples) -> None:
    models = {"hidden": Changed(net, MASKS["squeezed"]), "net": net, "open": Changed(net, OPEN["clipped"])}
    one, two = (
        measured(TransferScorer(generator(), n_jobs=n, random_state=0).fit(models), samples) for n in (1, 2)
    )
    assert one[1] == two[1] and len(one[1]) == 2
    np.testing.assert_array_equal(one[0].masked, two[0].masked)


@pytest.mark.parametrize(("eps", "searched"), [(0.01, True), (0.1, False)])
def test_only_sources_that_are_hardly_fooled_are_searched(net, samples, monkeypatch, eps, searched) -> None:
    calls = []

    def square(settings: Any) -> Any:
        calls.append(settings.max_queries)
        return _square.square(settings)

    monkeypatch.setattr(_masked, "square", square)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ModelWarning)
        matrix = scorer({"net": net, "again": net}, eps=eps).transfer(*samples)
    assert (matrix.source_success < 0.2).all() if searched else (matrix.source_success > 0.35).all()
    assert matrix.source_success.max() < 0.8  # some are left to ask about
    assert set(calls) == ({200} if searched else set())


@dataclass
class Told:
    """A task of which it is known what the own attack, queries and the Square attack fool."""

    own: Any
    by_queries: Any
    by_square: Any
    norm: float = np.inf

    def __post_init__(self) -> None:
        self.model = SimpleNamespace(predict=lambda X: X, has_gradient=True)
        self.region = SimpleNamespace(norm=self.norm)

    def won(self, predicted: Any, rows: Any = None) -> Any:
        return predicted == 1

    def take(self, rows: Any) -> Told:
        return Told(*(part[rows] for part in (self.own, self.by_queries, self.by_square)), self.norm)


def ask(problem: Told, X_adv: Any, settings: Settings) -> Any:
    """The opinion on all samples, as sources ask for it."""
    rows = rows_to_ask(len(X_adv))
    opinion = ask_with_queries(problem.take(rows), X_adv[rows], settings)
    return None if opinion is None else replace(opinion, gained=rows[opinion.gained])


@pytest.fixture
def asked(monkeypatch) -> dict[str, list[int]]:
    """How many samples queries and the Square attack were asked about, and with how many queries each."""
    calls: dict[str, list[int]] = {"queries": [], "square": [], "max_queries": []}

    def by_queries(problem: Any, X_adv: Any) -> Any:
        calls["queries"].append(len(problem.own))
        return problem.by_queries == 1

    def square(settings: Settings) -> Any:
        def run(problem: Any) -> Outcome:
            calls["square"].append(len(problem.own))
            calls["max_queries"].append(settings.max_queries)
            return Outcome(problem.by_square)

        return SimpleNamespace(run=run)

    step = SimpleNamespace(run=lambda problem: Outcome(problem.own))
    monkeypatch.setattr(_masked, "fooled_by_queries", by_queries)
    monkeypatch.setattr(_masked, "square", square)
    monkeypatch.setattr(_masked, "fgsm", lambda settings: step)
    return calls


def told(n: int, own: Any, by_queries: Any, by_square: Any = 0, norm: float = np.inf) -> Told:
    """Each is a number for all samples, or for those that the own attack fools, and fails on."""
    own = np.broadcast_to(own, n)
    each = [
        np.where(own == 1, *(part if isinstance(part, tuple) else (part, part)))
        for part in (by_queries, by_square)
    ]
    return Told(own, *each, norm)


@pytest.mark.parametrize(
    ("n", "n_asked"), [(10, 10), (32, 32), (100, 32), (131, 32), (132, 33), (200, 50), (259, 64), (1000, 64)]
)
def test_a_quarter_of_the_samples_is_asked_about_of_32_to_64(asked, n: int, n_asked: int) -> None:
    opinion = ask(told(n, 0, 1), np.zeros(n), Settings())
    assert (opinion.attack, opinion.n, opinion.own, opinion.lost) == ("a few queries", n_asked, 0, 0)
    assert asked["queries"] == [n_asked] == [len(opinion.gained)] == [len(set(opinion.gained.tolist()))]
    assert opinion.gained.max() < n and asked["square"] == []


def test_the_samples_that_are_asked_about_are_drawn_from_all_and_always_the_same(asked) -> None:
    first, again = (ask(told(1000, 0, 1), np.zeros(1000), Settings()) for _ in range(2))
    np.testing.assert_array_equal(first.gained, again.gained)
    assert first.gained.min() < 100 and first.gained.max() >= 900


@pytest.mark.parametrize(("n_missed", "is_asked"), [(0, False), (5, False), (6, True), (20, True)])
def test_queries_are_asked_where_they_can_object(asked, n_missed: int, is_asked: bool) -> None:
    """Of 32 samples: 2^-5 is more than half of the level, and 2^-6 is less."""
    own = (np.arange(32) >= n_missed).astype(int)
    opinion = ask(told(32, own, 1), own, Settings())
    assert (opinion is not None) == is_asked == bool(asked["queries"])
    if is_asked:
        assert (opinion.own, len(opinion.gained), opinion.lost) == (32 - n_missed, n_missed, 0)
        np.testing.assert_array_equal(np.sort(opinion.gained), np.arange(n_missed))
        assert asked["queries"] == [n_missed, 32 - n_missed]


@pytest.mark.parametrize(("n_gained", "objects"), [(0, False), (5, False), (6, True), (9, True)])
def test_what_queries_lose_is_counted_where_they_gain_enough(asked, n_gained: int, objects: bool) -> None:
    own = (np.arange(32) >= 10).astype(int)
    by_queries = np.where(own == 1, np.arange(32) >= 13, np.arange(32) < n_gained).astype(int)
    opinion = ask(Told(own, by_queries, 0 * own), own, Settings())
    assert asked["queries"] == ([10, 22] if objects else [10])
    assert (opinion is not None) == objects
    if objects:
        assert (opinion.own, len(opinion.gained), opinion.lost) == (22, n_gained, 3)
        assert opinion.p == chance(n_gained, 3) and opinion.balance == n_gained - 3


@pytest.mark.parametrize(
    ("n_fooled", "norm", "searched"),
    [(0, np.inf, True), (7, np.inf, True), (8, np.inf, False), (7, 2, True), (7, 1, False)],
)
def test_a_source_of_which_less_than_a_quarter_is_fooled_is_searched(
    asked, n_fooled: int, norm: float, searched: bool
) -> None:
    """24 of the samples that queries left, with 200 queries for each; in L1 there is no Square attack."""
    own = (np.arange(32) < n_fooled).astype(int)
    opinion = ask(told(32, own, (1, 0), 1, norm), own, Settings(max_queries=7))
    assert (opinion is not None) == searched
    if searched:
        n_searched = min(24, 32 - n_fooled)
        assert (asked["square"], asked["max_queries"]) == ([n_searched], [200])
        assert (opinion.own, len(opinion.gained), opinion.lost) == (n_fooled, n_searched, 0)


@pytest.mark.parametrize(
    ("queries", "others", "expected"),
    [
        (None, [], None),
        ((6, 0), [], "queries"),
        ((5, 0), [], None),
        ((6, 0), [(7, 0)], "0"),
        ((8, 0), [(7, 0)], "queries"),
        (None, [(5, 0)], None),
        (None, [(6, 0)], "0"),
        (None, [(6, 0), (0, 0)], None),
        (None, [(7, 0), (0, 0)], "0"),
        (None, [(8, 0), (12, 1), (30, 25)], "1"),
    ],
)
def test_the_clearest_opinion_objects(queries: Any, others: Any, expected: str | None) -> None:
    """Half of .05 is for the queries, the other half is shared by the others: 2^-6 < .025, 2^-7 < .0125."""

    def opinion(attack: str, gained: int, lost: int) -> Opinion:
        return Opinion(attack, 100, lost, np.arange(gained), lost)

    shown = objection(
        queries and opinion("queries", *queries), [opinion(str(i), *one) for i, one in enumerate(others)]
    )
    assert (shown and shown.attack) == expected


def test_what_is_tried_with_smaller_budgets_is_an_opinion() -> None:
    labels = np.zeros((1, 4), dtype=int)
    answers = np.array([[[1, 1, 0, 0]], [[0, 1, 1, 0]]])
    noise, smaller = ask_others(0, ("a",), labels, None, labels[0], labels[0], answers)
    assert noise.attack == "noise of the same size"
    assert (smaller.attack, smaller.n, smaller.own) == ("the same attack at a smaller budget", 4, 2)
    assert (smaller.gained.tolist(), smaller.lost) == ([0], 1)


@dataclass
class Again:
    """A generator that notes how it is set when it is asked to attack, and fools some of the samples."""

    n_fooled: int
    attack: str = "fgsm"
    norm: float = np.inf

    def __post_init__(self) -> None:
        self.given: dict[str, Any] = {}

    def __sklearn_clone__(self) -> Again:
        return self

    def set_params(self, **params: Any) -> None:
        self.given |= params


@dataclass(frozen=True)
class Task:
    """A task that knows its samples by their labels."""

    labels: Any
    model: Any
    seed: int = 9

    @property
    def region(self) -> Any:
        return SimpleNamespace(X=self.labels, noise=lambda streams: self.labels)

    def streams(self) -> None:
        """No random numbers."""

    def won(self, predicted: Any) -> Any:
        return predicted == 1


@pytest.fixture(autouse=True)
def restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restarts of an attack that fools some of the samples."""

    def fool_some(generator: Any, problem: Any) -> Any:
        if not isinstance(generator, Again):
            return run(generator, problem)
        generator.given |= {"labels": problem.labels, "seed": problem.seed}
        return Outcome(np.arange(len(problem.labels)) < generator.n_fooled)

    run = _source.run
    monkeypatch.setattr(_source, "run", fool_some)


QUERIES = Opinion("a few queries", 0, 10, np.arange(0), 0)


def doubted(
    n_gained: int, n_fooled: int, *, flat: Any = False, attack: str = "fgsm", smoothed: bool = False
) -> Attacked:
    n = n_gained + 10
    model = SimpleNamespace(predict=lambda X: X.astype(int), smoothed=smoothed, has_gradient=True)
    source: Any = SimpleNamespace(
        generator=Again(n_fooled, attack),
        model=model,
        rows=np.arange(n),
        problem=lambda rows: Task(np.arange(n)[rows], model),
    )
    faults, remark = Faults(n, "Net"), Finding("any", "note", "said before", "nothing")
    faults.flat[:] = flat
    account = Account({}, Outcome(np.empty((n, 0)), faults=faults, remarks=(remark,)))
    return Attacked(source, account, replace(QUERIES, n=n, gained=np.arange(n_gained) + 10))


@pytest.mark.parametrize(
    ("n_gained", "n_fooled", "masked"),
    [(8, 0, True), (8, 3, True), (8, 4, False), (8, 8, False), (70, 31, True), (70, 32, False)],
)
def test_gradients_are_masked_where_restarts_do_not_find_most(n_gained, n_fooled, masked) -> None:
    """Of 64 samples at most that the other attack gained."""
    source = doubted(n_gained, n_fooled)
    (remark, finding), is_masked = source.judged()
    assert remark.message == "said before" and is_masked is masked
    assert (finding.kind, finding.severity) == ("attack", "warning")
    assert finding.message == (
        f"attack='fgsm' fools it on 10 of {n_gained + 10} samples, but with a few queries it is fooled on "
        f"{n_gained + 10} of the same samples, so it seems more robust than it is"
    )
    assert ("may be masked" in finding.advice) is masked
    given = source.source.generator.given
    np.testing.assert_array_equal(given.pop("labels"), 10 + np.arange(min(n_gained, 64)))
    assert given == {
        "attack": "pgd",
        "attack_params": None,
        "step_size": None,
        "max_iter": 40,
        "n_restarts": 5,
        "random_start": True,
        "seed": 0,  # so that it is judged alike each time
    }


@pytest.mark.parametrize(("n_flat", "masked"), [(4, False), (5, True)])
def test_where_there_was_no_gradient_it_was_hidden(n_flat: int, masked: bool) -> None:
    flat = (np.arange(18) >= 10) & (np.arange(18) < 10 + n_flat)
    assert doubted(8, 8, flat=flat).judged()[1] is masked


def test_what_is_advised_against_a_weak_attack() -> None:
    weak = "the attack is too weak here, and attack='pgd' with n_restarts=5 is stronger"
    others = ", and 'hopskipjump', or 'tree' for trees, may be"
    assert doubted(8, 0)._remedy(False) == weak
    assert doubted(8, 0, smoothed=True)._remedy(False) == weak + others
    start = "its gradients may be masked, and attack="
    assert doubted(8, 0)._remedy(True).startswith(start)
    assert doubted(8, 0, attack="auto")._remedy(True).startswith(start)
    assert doubted(8, 0, flat=True)._remedy(True).startswith(start)
    assert doubted(8, 0, attack="auto", flat=True)._remedy(True) == (
        "its gradients are masked; raise max_queries, or try attack='square'"
    )


def test_without_an_objection_a_source_is_not_doubted() -> None:
    silent = replace(doubted(8, 0), queries=None)
    for source in (silent, doubted(5, 0)):
        (remark,), masked = source.judged()
        assert (remark.message, masked) == ("said before", False)
    assert silent.judged([doubted(8, 0).queries])[1]


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (1, 0), (5, 0), (6, 0), (9, 3), (3, 9), (40, 40)])
def test_chance_is_scipys_binomial_test(gained: int, lost: int) -> None:
    if gained + lost:
        expected = binomtest(gained, gained + lost, 0.5, alternative="greater").pvalue
        assert chance(gained, lost) == pytest.approx(expected)
    else:
        assert chance(gained, lost) == 1


@pytest.mark.parametrize("n_models", [2, 8])
def test_equal_attacks_are_doubted_no_more_often_than_the_level(n_models: int) -> None:
    """The hardest case: all attacks, the queries too, fool as many samples, and each others."""
    rng, n, n_rounds, doubted = np.random.RandomState(0), 100, 1000, 0
    names, labels = tuple(map(str, range(n_models))), np.zeros((n_models, n), dtype=int)
    for _ in range(n_rounds):
        adversarial, control = (
            rng.randint(2, size=(n_models, n_models, n)),
            rng.randint(2, size=(n_models, n)),
        )
        others = ask_others(0, names, labels, None, labels[0], control[0], adversarial[None, :, 0])
        own, asked = adversarial[0, 0, :64] == 1, rng.randint(2, size=64) == 1
        queries = Opinion("", 64, own.sum(), np.flatnonzero(asked & ~own), (own & ~asked).sum())
        doubted += objection(queries, others) is not None
    assert len(others) == n_models
    assert 0 < doubted / n_rounds <= LEVEL


def test_others_are_compared_on_samples_that_both_were_tried_on() -> None:
    labels, clean = np.array([[0, 0, 0, 0, 0], [0, 0, 1, 0, 0]]), np.zeros((2, 5), dtype=int)
    clean[0, 4] = 1  # wrong before, so it says nothing
    adversarial = np.array([[[0, 1, 0, 1, 1]] * 2, [[1, 0, 1, -1, 1]] * 2])
    noise, other = ask_others(
        0, ("a", "b"), labels, None, clean[0], np.array([1, 1, 1, 0, 0]), adversarial[None, :, 0]
    )
    assert (noise.n, noise.own, noise.gained.tolist(), noise.lost) == (4, 2, [0, 2], 1)
    # the third was to leave another label, the fourth was not made
    assert (other.n, other.own, other.gained.tolist(), other.lost) == (2, 1, [0], 1)
    assert other.attack == "samples made on 'b'"


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("images", [True, False])
def test_queries_keep_to_the_region(net, samples, norm: float, images: bool) -> None:
    X, y = samples[0][:20].astype(float), samples[1][:20]
    X[:, 20] = np.round(X[:, 20])
    rules = Constraints(immutable=range(10), integer=[20])
    module: nn.Module = net
    if images:
        X, module = X.reshape(-1, 1, 8, 8), nn.Sequential(nn.Flatten(), net)
    model, asked = as_model(module), []
    predict, scores = model.predict, model.scores
    model.predict = lambda Z: asked.append(Z) or predict(Z)
    model.scores = lambda Z: asked.append(Z) or scores(Z)
    header = Header(64, None)
    limits = read_limits(
        X,
        eps=EPS[norm],
        norm=norm,
        clip_values=(0, 1),
        constraints=rules,
        spread=None,
        header=header,
        categories=None,
    )
    fooled = fooled_by_queries(Problem(model, limits.region(X), y, 10), X)
    assert fooled.shape == (20,) and fooled.any()
    assert sum(map(len, asked)) == 20 * (1 + 32 + 2 + 7)
    for Z in asked:
        change = (Z.reshape(len(Z), -1) - np.repeat(X.reshape(20, -1), len(Z) // 20, axis=0)).astype(float)
        assert (np.linalg.norm(change, norm, axis=1) <= EPS[norm]).all()
        assert not change[:, :10].any() and (Z.reshape(len(Z), -1)[:, 20] % 1 == 0).all()
        assert Z.min() >= 0 and Z.max() <= 1


MASKED = TransferMatrix(
    ("net", "tree"),
    eligible=np.array([[100, 80], [80, 90]]),
    fooled=np.array([[95, 20], [4, 81]]),
    same_mistake=np.array([[95, 15], [1, 81]]),
    noise_fooled=np.array([[1, 2], [1, 3]]),
    source_eligible=np.array([100, 90]),
    source_fooled=np.array([95, 81]),
    masked=np.array([False, True]),
)


def test_a_masked_source_is_marked_wherever_it_is_shown() -> None:
    legend = (
        "* seems more robust than it is, by masked gradients, random answers or a weak attack: other attacks "
        "fool this source more often than its own does, so its rates and the mean are too low"
    )
    *_, head, first, second, last = repr(MASKED).splitlines()
    assert first.startswith("net ") and second.startswith("tree * ") and last == legend
    # aligned: each cell lies around the middle of its column
    middle = head.index("net") + 1
    assert first.index("(.95") < middle < first.index(")") and second.index(".05") < middle
    html = MASKED._repr_html_()
    assert ">tree *</th>" in html and legend in html and ">net</th>" in html
    assert MASKED.describe().splitlines()[1].endswith("as the attack on it misses what others find.")
    assert "misses" not in MASKED.describe().splitlines()[0]
    assert MASKED.to_frame()["masked"].tolist() == [False, False, True, True]
    display = MASKED.plot()
    assert [label.get_text() for label in display.ax_.get_yticklabels()] == ["net", "tree *"]
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["net", "tree"]
    assert "*: other attacks fool it more often" in display.ax_.get_title()


@pytest.mark.parametrize("masked", [None, np.array([False, False])])
def test_nothing_is_marked_where_nothing_is_masked(masked: Any) -> None:
    matrix = TransferMatrix(
        MASKED.names,
        MASKED.eligible,
        MASKED.fooled,
        MASKED.same_mistake,
        MASKED.noise_fooled,
        MASKED.source_eligible,
        MASKED.source_fooled,
        masked=masked,
    )
    for shown in (repr(matrix), matrix._repr_html_(), matrix.describe(), matrix.plot().ax_.get_title()):
        assert not any(text in shown for text in ("*", "masked", "misses", "more often"))
    assert ("masked" in matrix.to_frame()) == (masked is not None)


@pytest.mark.parametrize("masked", [[1, 0], [True], True, ["yes", "no"], [[True, False]]])
def test_masked_is_checked(masked: Any) -> None:
    with pytest.raises(ValueError, match=r"masked must be None or bools of shape \(2,\), got"):
        TransferMatrix(("a", "b"), *[np.ones((2, 2), int)] * 4, *[np.ones(2, int)] * 2, masked=masked)
    one = TransferMatrix(("a", "b"), *[np.ones((2, 2), int)] * 4, *[np.ones(2, int)] * 2)
    with pytest.raises(ValueError, match=r"masked must be None or bools of shape \(2,\), got"):
        TransferCurve(np.array([0.0]), (one,), np.ones((1, 2), int), masked=masked)
