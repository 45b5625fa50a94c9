"""The memory of one gradient through every converter, and what bounds it: counted, never timed.

Families and the count of bytes are those of ``benchmarks/memory.py``, which measures them at full size.
"""

import sys
from importlib import import_module
from pathlib import Path

import pytest
import torch
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.neighbors import KNeighborsClassifier

from skhalfway.models import NotDifferentiableError, _memory, _registry, as_model, to_module
from skhalfway.models._memory import Members

with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    memory = import_module("memory")

SIZE = memory.Size(n_batch=64, n_features=60, n_classes=4, n_train=80)
KNN = KNeighborsClassifier()


@pytest.fixture
def as_if_large(monkeypatch):
    """Blocks and limits as small beside the batch as they are beside a large one."""
    monkeypatch.setattr(_memory, "_AT_ONCE", 2**9)
    monkeypatch.setattr(_memory, "_KEPT", 2**12)


@pytest.mark.parametrize("name", memory.FAMILIES)
def test_a_gradient_takes_a_few_times_the_values(name, as_if_large):
    step = memory.measure(memory.FAMILIES[name], SIZE, timed=False)
    assert step.n_bytes <= memory.FEW * 8 * step.n_values


# a module of the user's, what ART wraps, and what is always inside of a family above
NOT_OURS = {"torch_module", "skorch_net", "art_wrapper", "art_classifier"}
INSIDE = {"laplace_process", "kernel_centerer", "missing_indicator"}


def test_each_converter_has_its_family():
    parts = [part for family in memory.FAMILIES.values() for part in _parts(family.make(SIZE))]
    with pytest.raises(NotDifferentiableError):
        to_module(None)  # loads all converters
    lacking = {}
    for key, converter in _registry._CONVERTERS.items():
        function = getattr(converter, "func", converter)
        if not function.__module__.startswith("skhalfway.models.") or function.__name__ == "refuse":
            continue
        if function.__globals__ is not vars(sys.modules[function.__module__]):
            continue  # of an example in a docstring
        found = isinstance(key, type) and any(isinstance(part, key) for part in parts)
        lacking[function.__name__] = lacking.get(function.__name__, True) and not found
    assert {name for name, lacks in lacking.items() if lacks} == NOT_OURS | INSIDE


def _parts(estimator):
    return [estimator, *(part for part in estimator.get_params().values() if hasattr(part, "get_params"))]


@pytest.fixture(scope="module")
def nested():
    """Two bags of neighbours and a naive Bayes, in a vote."""
    X, y = memory.samples("normal", SIZE)
    bags = [(f"bag {seed}", BaggingClassifier(KNN, 5, random_state=seed)) for seed in (0, 1)]
    return VotingClassifier([*bags, ("bayes", memory.NB)]).fit(X, y), torch.from_numpy(X)


def _gradient(classifier, x):
    model = as_model(classifier)
    return memory.gradient(model, x, torch.zeros(len(x), dtype=torch.long)), model


@pytest.mark.parametrize("limit", [0, 2**18])
def test_members_that_are_computed_twice_give_the_same(limit, nested, monkeypatch):
    expected, _ = _gradient(*nested)
    monkeypatch.setattr(_memory, "_KEPT", limit)
    found, model = _gradient(*nested)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    # and again, when it is known what they keep
    x = nested[1]
    again = memory.gradient(model, x, torch.zeros(len(x), dtype=torch.long))
    torch.testing.assert_close(again, expected, rtol=1e-12, atol=0)


def test_ensembles_in_an_ensemble_share_what_may_be_kept(nested, monkeypatch):
    x = nested[1]
    _, model = _gradient(*nested)
    bags = [m for m in model.module.modules() if isinstance(m, Members) and len(m.branches) == 5]
    kept = [[k * len(x) for k in bag._kept] for bag in bags]
    # distances at least, and no more than a few of their size
    distances = 8 * SIZE.n_train * len(x)
    assert all(distances < k < 8 * distances for bag in kept for k in bag)
    monkeypatch.setattr(_memory, "_KEPT", kept[0][0] + 1)
    _, limited = _gradient(*nested)
    first, second = (m for m in limited.module.modules() if isinstance(m, Members) and len(m.branches) == 5)
    assert [k is None for k in first._kept] == [False, False, True, True, True]
    assert second._kept == [None] * 5


def test_what_members_keep_is_measured_with_gradients_only(nested):
    model, x = as_model(nested[0]), nested[1]
    model.logits(x)
    with torch.no_grad():
        model.logits(x.clone().requires_grad_())
    model.logits(x[:0].clone().requires_grad_())
    members = [m for m in model.module.modules() if isinstance(m, Members)]
    assert len(members) == 3
    assert all(k is None for m in members for k in m._kept)


def test_global_random_states_are_as_before(nested, as_if_large):
    before = torch.get_rng_state()
    _gradient(*nested)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("n_values", "n_rows"), [(0, 2**17), (1, 2**17), (1000, 131), (2**17, 1), (2**18, 1)]
)
def test_as_many_rows_at_once_as_a_cache_holds(n_values, n_rows):
    assert _memory.at_once(n_values) == n_rows


@pytest.mark.parametrize(("n_bytes", "n_measured"), [(2**26, 1), (2**25, 2), (2**25 - 1, 3), (2**24, 4)])
def test_64_mebibytes_are_kept(n_bytes, n_measured, monkeypatch):
    """Members that follow are computed twice."""
    twice = []
    monkeypatch.setattr(_memory, "_measured", lambda module, x: (module(x), n_bytes))
    monkeypatch.setattr(_memory, "checkpoint", lambda module, x, **options: twice.append(module) or module(x))
    members, x = Members([torch.nn.Identity() for _ in range(6)]), torch.ones(8, 2, requires_grad=True)
    for _ in range(2):  # measured, and known
        members.outputs(x)
        assert len(twice) == 6 - n_measured
        twice.clear()
    assert members._kept == [n_bytes / 8] * n_measured + [None] * (6 - n_measured)
