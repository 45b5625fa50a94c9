"""Scorers whose cells take turns on several devices, and whose gradients have fewer digits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from joblib import parallel_config
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.models import as_model
from skhalfway.transfer import _schedule, _source
from skhalfway.transfer._cell_store import _computed_in

TWO = ["cpu", "cpu:0"]  # two names of one device, to tell turns apart
pytestmark = pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    return (X[:500] / 16).astype(np.float32), y[:500]


@pytest.fixture(scope="module")
def models(digits):
    X, y = digits[0][:400], digits[1][:400]
    nets = {}
    for name, width in (("narrow", 16), ("wide", 64)):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            net = nn.Sequential(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, 10))
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
        for _ in range(80):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(torch.from_numpy(X)), torch.from_numpy(y)).backward()
            optimizer.step()
        nets[name] = as_model(net.eval(), classes=range(10))
    return nets | {
        "logistic": LogisticRegression(max_iter=500).fit(X, y),
        "tree": DecisionTreeClassifier(max_depth=8, random_state=0).fit(X, y),
    }


def measured(models, digits, *, n_jobs=None, memory=None, **params):
    X, y = digits[0][400:], digits[1][400:]
    params = {"eps": 0.1, "max_iter": 8, "max_queries": 20, "batch_size": 16} | params
    scorer = TransferScorer(AdversarialGenerator(**params), n_jobs=n_jobs, memory=memory, random_state=0)
    return scorer.fit(models).transfer(X, y, keep_samples=True)


def same(one, other) -> None:
    assert one == other
    for source in one.sources:
        assert one.samples(source).tobytes() == other.samples(source).tobytes()


@pytest.fixture
def cells(monkeypatch):
    """Sources and devices of the cells that are attacked."""
    seen, attack = [], _source.Source.attack

    def noted(self, rows):
        seen.append((self.name, self.device))
        return attack(self, rows)

    monkeypatch.setattr(_source.Source, "attack", noted)
    return seen


@pytest.mark.parametrize("attack", ["auto", "pgd"])
def test_cells_take_turns_and_results_are_the_same(attack, models, digits, monkeypatch, cells):
    monkeypatch.setattr(_schedule, "_MOST_SAMPLES", 32)
    if attack == "pgd":
        models = {name: model for name, model in models.items() if name != "tree"}
    whole = measured(models, digits, attack=attack, device="cpu")
    n_cells = len(cells)
    assert n_cells >= 3 * len(models)
    for n_jobs in (None, 2):
        cells.clear()
        same(whole, measured(models, digits, attack=attack, device=TWO, n_jobs=n_jobs))
        counts = [sum(device == each for _, device in cells) for each in TWO]
        assert sum(counts) == n_cells
        assert counts[0] - counts[1] in ((0, 1) if n_jobs is None else range(-n_cells // 2, n_cells // 2))
        assert min(counts) > 0
    same(whole, measured(models, digits, attack=attack, device=["cpu", "cpu"], n_jobs=2))


def test_cells_take_turns_in_other_processes(models, digits, monkeypatch):
    monkeypatch.setattr(_schedule, "_MOST_SAMPLES", 32)
    few = {name: models[name] for name in ("logistic", "tree")}
    whole = measured(few, digits, device="cpu")
    with parallel_config("loky", n_jobs=2):
        same(whole, measured(few, digits, device=TWO))


def test_a_users_attack_takes_turns_too(models, digits, cells):
    def nudged(model, X, y):
        return X + 0.05

    few = {name: models[name] for name in ("logistic", "narrow", "wide")}
    same(measured(few, digits, attack=nudged, device=None), measured(few, digits, attack=nudged, device=TWO))
    assert [device for _, device in cells[3:]] == ["cpu", "cpu:0", "cpu"]


def test_devices_that_are_not_there_are_refused_before_any_work(models, digits, cells):
    with pytest.raises(ValueError, match="device='cuda:77' cannot be used on this machine"):
        measured(models, digits, device=["cpu", "cuda:77"])
    assert cells == []


# what was kept of, and then asked for: which sources are attacked anew
KEPT = {
    "the device by its name": ({}, {"device": "cpu"}, set()),
    "turns": ({"device": "cpu"}, {"device": TWO}, set()),
    "fewer digits": ({}, {"dtype": "bfloat16"}, {"narrow", "wide"}),
    "others": ({"dtype": "bfloat16"}, {"dtype": "float16"}, {"narrow", "wide"}),
    "the same": ({"dtype": "bfloat16"}, {"dtype": "bfloat16"}, set()),
}


@pytest.mark.parametrize("case", KEPT)
def test_what_is_kept_is_known_by_types(case, models, digits, cells, tmp_path):
    before, after, anew = KEPT[case]
    measured(models, digits, memory=tmp_path, **before)
    cells.clear()
    kept = measured(models, digits, memory=tmp_path, **after)
    assert {name for name, _ in cells} == anew
    same(kept, measured(models, digits, **after))


@pytest.mark.parametrize(
    ("device", "attack", "expected"),
    [
        (None, "pgd", (["cpu"], "bfloat16")),
        ("meta", "pgd", (["meta"], "bfloat16")),
        (["meta", torch.device("meta")], "auto", (["meta"], "bfloat16")),
        (["meta", "cpu", "cpu:0"], "fmn", (["cpu", "meta"], "bfloat16")),
        ("meta", "square", ([], None)),
    ],
    ids=str,
)
def test_types_of_devices(device, attack, expected, models):
    generator = AdversarialGenerator(attack=attack, device=device, dtype="bfloat16")
    source = SimpleNamespace(generator=generator, model=models["narrow"])
    assert _computed_in(source) == expected
    source.model = as_model(models["logistic"])
    assert _computed_in(source) == (expected[0], None)


def test_fewer_digits_for_some_of_the_sources(models, digits):
    whole, fewer = measured(models, digits), measured(models, digits, dtype="bfloat16")
    for source in ("logistic", "tree"):
        assert fewer.samples(source).tobytes() == whole.samples(source).tobytes()
    for source in ("narrow", "wide"):
        assert fewer.samples(source).tobytes() != whole.samples(source).tobytes()
        own = [m.source_success[m.sources.index(source)] for m in (whole, fewer)]
        assert own[1] == pytest.approx(own[0], abs=0.03)
    np.testing.assert_allclose(fewer.rates, whole.rates, atol=0.06)
    # answers are the models' own, in their own types
    np.testing.assert_array_equal(fewer.outcomes.clean, whole.outcomes.clean)
    rows = fewer.outcomes.adversarial[fewer.sources.index("wide")] >= 0
    for k, target in enumerate(fewer.targets):
        answers = as_model(models[target]).predict(fewer.samples("wide"))
        said = fewer.outcomes.adversarial[fewer.sources.index("wide"), k]
        np.testing.assert_array_equal(said[rows[k]], answers[rows[k]])
    assert fewer.provenance.settings["dtype"] == "bfloat16"
    assert "dtype='bfloat16'" in "\n".join(fewer.provenance.lines())
    assert "dtype" not in "\n".join(whole.provenance.lines())
    assert "device" not in fewer.provenance.settings
