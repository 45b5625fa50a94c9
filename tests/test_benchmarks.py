"""What benchmarks/generalisation.py rests on, against closed forms and scipy."""

from __future__ import annotations

import pickle
import re
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from tests.halfway.conftest import Rule

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield SimpleNamespace(**{name: import_module(name) for name in ("zoo", "measures", "generalisation")})


def linear(*layers: Any, bias: bool = False) -> nn.Sequential:
    """Linear layers of given weights, with ReLU in between."""
    parts: list[nn.Module] = []
    for weight in map(torch.tensor, layers):
        layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
        layer.weight = nn.Parameter(weight.float())
        if bias:
            layer.bias = nn.Parameter(torch.arange(1.0, 1 + len(weight)))
        parts += [layer, nn.ReLU()]
    return nn.Sequential(*parts[:-1]).eval()


@pytest.fixture
def entry(bench: Any) -> Any:
    def make(model: Any, X: Any, y: Any) -> Any:
        X, y = np.asarray(X, dtype=float), np.asarray(y)
        error = float((bench.zoo.as_model(model).predict(X) != y).mean())
        family = "mlp" if isinstance(model, nn.Module) else "classical"
        return bench.zoo.Entry(
            key="", name="", family=family, hyper={}, model=model,
            X_train=X, y_train=y, train_error=error, test_error=0.0,
        )  # fmt: skip

    return make


W1, W2 = [[3.0, 0.0], [0.0, -4.0]], [[1.0, 2.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("frobenius_product", -np.log(25 * 6)),
        ("parameter_norm", -(25 + 6)),
        # the second layer's singular values are those of [[1, 2], [0, 1]]: 1 + sqrt(2), squared
        ("spectral_product", -np.log(16 * (1 + np.sqrt(2)) ** 2)),
        ("n_parameters", -8),
        # 9 in one unit, 16 in the other, through 1 and 4 to one output and 1 to the other
        ("path_norm", -np.log(9 * 1 + 16 * 4 + 16 * 1)),
    ],
)
def test_weights(bench: Any, entry: Any, measure: str, expected: float) -> None:
    given = entry(linear(W1, W2), [[1, 0], [0, 1]], [0, 1])
    assert getattr(bench.measures, measure)(given) == pytest.approx(expected)


def test_biases_are_weights_of_a_one_on_paths(bench: Any, entry: Any) -> None:
    given = entry(linear(W1, W2, bias=True), [[1, 0], [0, 1]], [0, 1])
    before = [p.detach().clone() for p in given.model.parameters()]
    hidden = np.array([9 + 1, 16 + 4])
    expected = hidden @ [1, 4] + 1 + hidden @ [0, 1] + 4
    assert bench.measures.path_norm(given) == pytest.approx(-np.log(expected))
    assert all(torch.equal(a, b) for a, b in zip(before, given.model.parameters(), strict=True))


def test_spectral_norm_of_a_convolution_is_of_its_reshaped_kernel(bench: Any) -> None:
    conv = nn.Conv2d(2, 3, 3)
    (weight,) = bench.measures.weights(nn.Sequential(conv))
    expected = np.linalg.norm(conv.weight.detach().numpy().reshape(3, 18), 2)
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(expected, rel=1e-5)


def test_margins_of_a_linear_classifier_are_distances(bench: Any, entry: Any) -> None:
    rng = np.random.RandomState(0)
    X, y, W = rng.standard_normal((50, 2)), rng.randint(2, size=50), np.array([[1.0, 2.0], [-2.0, 6.0]])
    given, slope = entry(linear(W), X, y), W[1] - W[0]
    margin = X @ slope * np.where(y == 1, 1, -1)
    quantile = np.quantile(margin, 0.1)
    assert bench.measures.output_margin(given) == pytest.approx(quantile, rel=1e-5)
    assert bench.measures.gradient_margin(given) == pytest.approx(quantile / 5, rel=1e-5)
    total = np.sqrt(X.var(axis=0).sum())
    assert bench.measures.feature_margin(given) == pytest.approx(quantile / 5 / total, rel=1e-5)
    spectral = np.linalg.norm(W, 2)
    assert bench.measures.spectral_margin(given) == pytest.approx(quantile / spectral, rel=1e-5)
    assert bench.measures.frobenius_margin(given) == pytest.approx(quantile / np.linalg.norm(W), rel=1e-5)


def test_margin_of_a_classifier_that_never_saw_a_class(bench: Any, entry: Any) -> None:
    given = entry(KNeighborsClassifier(1).fit([[0.0], [1.0]], [0, 2]), [[0.0], [1.0]], [0, 2])
    assert bench.measures.output_margin(given) == 1


def test_mixup_accuracy(bench: Any, entry: Any) -> None:
    # the only midpoint of class 0 lies in class 1, that of class 1 in itself
    X, y = [[-1.0], [1.0], [-0.1], [0.1]], [0, 0, 1, 1]
    given = entry(KNeighborsClassifier(1).fit(X, y), X, y)
    assert bench.measures.mixup_accuracy(given) == 0.5


# two samples of each class at the ends of a line
X_LINE, Y_LINE = np.array([[0.0], [1e-6], [1.0], [1 + 1e-6]]), np.array(["a", "a", "b", "b"])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda x: x > 0.5, 1.0),
        (lambda x: x > 0.25, 0.25),
        (lambda x: x > 0.875, 1 / 16),
        (lambda x: (x > 0.3) & (x < 0.6), 0.0),
        (lambda x: x < -1, 0.0),
        # from 0 it is met at 1/2, from 1 at .9; three changes each
        (lambda x: (x > 0.5) & ~((x > 0.7) & (x < 0.9)), (1 + 0.2**2) / 2 / 3),
        # right way round on no sample, so halfway between two of a class too
        (lambda x: x < 0.5, 0.0),
    ],
)
def test_halfway_score_of_known_boundaries(bench: Any, answer: Any, expected: float) -> None:
    model = Rule(lambda X: answer(X[:, 0]), classes=("a", "b"))
    found = bench.measures.halfway_score(model, X_LINE, Y_LINE, 4, tol=1e-6)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_halfway_score_of_neighbours_and_of_a_constant(bench: Any) -> None:
    score = bench.measures.halfway_score
    assert score(KNeighborsClassifier(1).fit(X_LINE, Y_LINE), X_LINE, Y_LINE, 4) > 0.99
    assert score(DummyClassifier().fit(X_LINE, Y_LINE), X_LINE, Y_LINE, 4) == 0
    # the ends of class a at -1 and 1 surround b at 0: halfway between them lies the other class
    X, y = np.array([[-1.0], [1], [-0.1], [0.1]]), np.array([0, 0, 1, 1])
    ring = Rule(lambda X: np.abs(X[:, 0]) < 0.5)
    assert 0.2 < score(ring, X, y, 4) < 0.5, "half of the pairs of one class keep their label"


def test_davies_bouldin(bench: Any, entry: Any) -> None:
    X, y = [[0.0, 0.0], [2.0, 0.0], [10.0, 0.0], [16.0, 0.0]], [0, 0, 1, 1]
    # midpoints of class 0 are at 1, of class 1 at 13: with the boundary at 0 all of class 0 are lost
    given = entry(linear([[0.0, 0.0], [1.0, 0.0]]), X, y)
    assert bench.measures.davies_bouldin(given) == pytest.approx(-(1 + 3) / 12)
    assert bench.measures.davies_bouldin_mixup(given) == pytest.approx(-(1 + 3) / 12 / 2)
    dead = entry(linear([[0.0, 0.0]], [[1.0], [2.0]]), X, y)
    assert bench.measures.davies_bouldin(dead) == -np.inf
    assert bench.measures.feature_margin(dead) == -np.inf


def test_flatness_is_the_noise_of_the_second_flip_in_ten(bench: Any, entry: Any) -> None:
    given = entry(linear([[0.0], [1.0]]), np.ones((4, 1)), np.ones(4, dtype=int))
    noise = torch.randn(10, 2, 1, generator=torch.Generator().manual_seed(0)).numpy()[:, :, 0]
    slope = noise[:, 1] - noise[:, 0]  # the margin is 1 + sigma * slope
    flips = np.sort(-1 / slope[slope < 0])
    assert bench.measures.flatness(given) == pytest.approx(flips[1], abs=2 / 2**10)
    large = entry(linear([[0.0], [4.0]]), np.ones((4, 1)), np.ones(4, dtype=int))
    assert bench.measures.flatness(large) == pytest.approx(min(4 * flips[1], 2), abs=2 / 2**10)
    found = [bench.measures.magnitude_flatness(one) for one in (given, large)]
    assert found[0] == pytest.approx(found[1], abs=4 / 2**10)


def test_deviation_of_a_boundary_in_the_middle_is_nothing(bench: Any, entry: Any) -> None:
    X, y = np.repeat([[-1.0], [1.0]], 20, axis=0) + np.zeros((40, 2)), np.repeat([0, 1], 20)
    given = entry(linear([[0.0, 0.0], [1.0, 0.0]]), X, y)
    assert bench.measures.halfway_deviation(given) == pytest.approx(0, abs=1e-3)
    wrong = entry(given.model, X, 1 - y)
    assert np.isnan(bench.measures.halfway_deviation(wrong))


def test_measures_of_a_network_of_each_family(bench: Any) -> None:
    data = bench.zoo.load("digits")
    base = {"width": 32, "depth": 2, "learning_rate": 0.01, "weight_decay": 0.0, "epochs": 40}
    base |= {"batch_size": 64, "label_noise": 0.2, "share": 0.1, "seed": 1}
    X, y = bench.zoo.training_part(data, 0.1, 0.2, 1)
    for family in ("mlp", "cnn"):
        hyper = base | {"family": family}
        model = bench.zoo.train_network(data, hyper)
        again = bench.zoo.train_network(data, hyper)
        assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
        error = float((bench.zoo.as_model(model).predict(X) != y).mean())
        given = bench.zoo.Entry("", "", family, hyper, model, X, y, error, 0.0)
        values = {title: measure.function(given) for title, measure in bench.measures.MEASURES.items()}
        assert all(np.isfinite(value) for value in values.values()), values
        assert values["training accuracy"] > 0.3


def test_parts_of_the_training_data_are_nested(bench: Any) -> None:
    data = bench.zoo.load("gaussians")
    X, clean = bench.zoo.training_part(data, 1.0, 0.0, 3)
    noisy = {noise: bench.zoo.training_part(data, 1.0, noise, 3)[1] != clean for noise in (0.2, 0.4)}
    assert (noisy[0.4] | ~noisy[0.2]).all()
    for noise, turned in noisy.items():
        assert turned.mean() == pytest.approx(noise, abs=0.05)
    fewer, labels = bench.zoo.training_part(data, 0.25, 0.4, 3)
    assert (fewer == X[:200]).all()
    assert ((labels != clean[:200]) == noisy[0.4][:200]).all()
    assert 0.05 < data.bayes_error < 0.1
    with pytest.raises(ValueError, match="no data set 'mnist'; there are"):
        bench.zoo.load("mnist")


def test_networks_differ_from_their_base_in_one_hyper_parameter(bench: Any) -> None:
    for name in ("digits", "wine"):
        planned = list(bench.zoo.networks(bench.zoo.load(name)))
        assert len({title for title, _ in planned}) == len(planned) >= 100
        bases = {hyper["seed"]: hyper for title, hyper in planned if "," not in title}
        for title, hyper in planned:
            changed = [key for key, value in bases[hyper["seed"]].items() if hyper[key] != value]
            assert len(changed) == ("," in title)


def test_what_is_made_once_is_kept(bench: Any, tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.pkl"
    assert bench.zoo.cached(path, lambda: [1]) == [1]
    assert bench.zoo.cached(path, pytest.fail) == [1]
    assert pickle.loads(path.read_bytes()) == [1]
    assert [*path.parent.iterdir()] == [path]
    assert bench.zoo.digest(np.arange(3), "a") != bench.zoo.digest(np.arange(3), "b")


def test_tau_is_scipys(bench: Any) -> None:
    rng = np.random.RandomState(0)
    x, y = rng.randint(6, size=30).astype(float), rng.randint(6, size=30).astype(float)
    counts = np.concatenate([np.ones((1, 30)), rng.multinomial(30, np.full(30, 1 / 30), size=5)])
    expected = [kendalltau(*(np.repeat(v, row.astype(int)) for v in (x, y)))[0] for row in counts]
    assert bench.generalisation.taus(x, y, counts) == pytest.approx(expected)
    x[:3] = -np.inf
    assert bench.generalisation.taus(x, y, counts[:1])[0] == pytest.approx(kendalltau(x, y)[0])
    assert np.isnan(bench.generalisation.taus(np.zeros(30), y, counts)).all()


def test_granulated_tau(bench: Any) -> None:
    hypers: list[dict[str, object]] = [{"a": a, "b": b, "seed": 0} for b in (0, 1) for a in (0, 1, 2)]
    a, b = (np.array([hyper[key] for hyper in hypers], dtype=float) for key in "ab")
    # the goal follows b most of all, the measure only a, and where b is 1 with two turned
    measure = np.array([0.0, 1, 2, 0, 2, 1])
    found = bench.generalisation.granulated(measure, a + 10 * b, hypers)
    # of the three pairs, one turned: 1/3; among b alone: a tie, right, wrong
    assert found == {"a": pytest.approx((1 + 1 / 3) / 2), "b": pytest.approx((0 + 1 - 1) / 3)}


def test_a_caches_name_follows_what_is_called(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {
        name: bench.measures.code_of(getattr(bench.measures, name)) for name in ("flatness", "path_norm")
    }
    monkeypatch.setattr(bench.measures, "noise_borne", bench.measures.path_norm)
    assert bench.measures.code_of(bench.measures.flatness) != before["flatness"]
    assert bench.measures.code_of(bench.measures.path_norm) == before["path_norm"]


MUTATED = '''"""Text of 2 lines."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    LIMIT = 5


class Attack:
    def run(self, x: list[1], n: int = 3) -> "tuple[2]":
        """At most 4."""
        assert n != 7
        if n > 8:
            raise ValueError(f"a message of {n - 9}")
        warn("more than 10", stacklevel=2)
        self.log("name")
        return max(zip(x, x, strict=True), key=len)
'''


@pytest.fixture(scope="module")
def mutations() -> Any:
    pytest.importorskip("mutmut")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        return import_module("mutations")


def test_only_a_cast_for_the_type_checker_changes_no_figure(mutations: Any) -> None:
    figures = mutations.figures
    assert figures("cast(int, x)") == figures("x")
    assert len({figures(code) for code in ("x.cast(int)", "x.cast()", "cast(x)", "x")}) == 4


@pytest.mark.parametrize("number", [4, 1000])
def test_mutants_change_what_figures_depend_on(mutations: Any, number: int) -> None:
    drawn = mutations.draw({"attacks/_x": MUTATED}, number, 0)
    assert drawn == mutations.draw({"attacks/_x": MUTATED}, number, 0)
    expected = {
        ("def run(self, x: list[1], n: int = 3)", "def run(self, x: list[1], n: int = 4)"),
        ("if n > 8:", "if n >= 8:"),
        ("if n > 8:", "if n > 9:"),
        ('warn("more than 10", stacklevel=2)', "pass"),
        ('self.log("name")', "pass"),
        ('self.log("name")', 'self.log("XXnameXX")'),
        ("return max(zip(x, x, strict=True), key=len)", "return min(zip(x, x, strict=True), key=len)"),
        ("return max(zip(x, x, strict=True), key=len)", "return max(zip(x, x, strict=True), )"),
    }
    changes = {tuple(part.replace(' -> "tuple[2]":', "") for part in mutant.change) for mutant in drawn}
    assert changes == expected if number > 4 else len(drawn) == 4 and changes < expected
    assert {(mutant.where, mutant.lines) for mutant in drawn} <= {
        ("Attack.run", (11, 17)),
        ("Attack.run", None),
    }
    for mutant in drawn:
        compile(mutant.code, "mutant", "exec")


@pytest.fixture(scope="module")
def gpu() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield import_module("gpu")


def few_images(gpu: Any) -> tuple[Any, Any, Any]:
    X, y = gpu.images(12)
    return gpu.Wide(4), X[..., ::2, ::2].copy(), y


def test_what_runs_on_a_gpu_runs_on_the_cpu(gpu: Any) -> None:
    apart = gpu.compare(("cpu", ["cpu", "cpu"]), 12)
    assert apart == gpu.Difference(0, 12, 0.0) and apart.tolerated
    assert not gpu.Difference(5, 100, 0.0).tolerated and gpu.Difference(2, 100, 0.0).tolerated
    row = gpu.against_bare_loop(*few_images(gpu), "cpu", 1)
    assert row["same"] > 0.99 and row["skhalfway"] > 0
    row = gpu.fewer_digits(*few_images(gpu), "cpu", "bfloat16", 1)
    assert row["ratio"] > 0 and 0 <= row["fewer"] <= 1 and 0 <= row["own"] <= 1
    row = gpu.in_turns(*few_images(gpu), ["cpu", "cpu"], 6)
    assert row["same"] > 0.99 and min(row["one"], row["all"]) > 0


def test_batches_of_a_gpu_that_are_too_large_are_counted(gpu: Any) -> None:
    module, X, y = few_images(gpu)

    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.requires_grad and len(x) > 4:
                raise torch.OutOfMemoryError("out of memory")
            return self.inner(x)

    assert gpu.halving(Small(), X, y, "cpu", 4) == {"halved": 3, "same": pytest.approx(1, abs=0.01)}


def test_a_machine_without_a_gpu_is_told_so(
    gpu: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["gpu.py", "--output", str(tmp_path / "page.md")])
    with pytest.raises(SystemExit, match="There is no CUDA GPU"):
        gpu.main()
    assert not list(tmp_path.iterdir())


def test_a_page_of_a_gpu_is_written(gpu: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    parts = ("figures", "bare", "digits", "stack", "rest")
    monkeypatch.setattr(gpu, "measured", lambda n_rounds: {name: f"<{name} {n_rounds}>" for name in parts})
    monkeypatch.setattr("sys.argv", ["gpu.py", "--rounds", "3", "--output", str(page)])
    gpu.main()
    text = page.read_text()
    assert "on a card, torch" in text
    assert all(f"<{name} 3>" in text for name in parts)


def test_a_stack_makes_what_networks_make_one_after_another(gpu: Any) -> None:
    networks = [gpu.stacked.perceptron(8).requires_grad_(False) for _ in range(3)]
    X, y = gpu.digits()
    ways = gpu.stacked.ways(
        networks, torch.from_numpy(X[:6]), torch.from_numpy(y[:6]), torch.get_num_threads()
    )
    assert gpu.stacked.agreement(ways) > 0.99
    seconds, medians = gpu.stacked.both_ratios(ways, 1)
    assert seconds > 0 and set(medians) == set(ways) and medians["one after another"] == (1, 1)


@pytest.fixture(scope="module")
def engine() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        names = ("engine", "engine_page", "engine_plan")
        yield SimpleNamespace(**{name: import_module(name) for name in names})


@pytest.mark.parametrize("power", [0.5, 1, 2])
def test_exponents_are_those_of_powers(engine: Any, power: float) -> None:
    sizes = np.array([10.0, 100, 1_000, 10_000])
    assert engine.engine_page.exponent(sizes, 3 * sizes**power) == pytest.approx(power)


def test_plans_count_attacks_predictions_and_bytes(engine: Any) -> None:
    plan = engine.engine_plan
    assert plan.seconds((0.1, 0.01, 4), 3, 10) == pytest.approx(10 * (3 * 0.1 + (9 + 2 * 3) * 0.01))
    assert plan.answers_size(1_000, 1_000_000) == pytest.approx(1e12, rel=0.01)
    assert plan.kept_size((0, 0, 8), 2, 100) == 2 * 100 * 8 + plan.answers_size(2, 100)
    assert [plan.in_units(value, plan.TIMES) for value in (0.5, 90, 86400 * 3)] == [
        "0.5 s",
        "1.5 min",
        "3.0 days",
    ]
    assert "1.0 TB" in plan.plan({"linear": [1e-4, 1e-6, 160]})


def test_matrices_by_hand_have_the_rates_of_the_package(engine: Any) -> None:
    X, y = engine.engine.digits()
    modules = dict(list(engine.engine.networks(X[:300], y[:300]).items())[:2])
    ours = engine.engine.scorer(modules, condition="all").transfer(X[300:400], y[300:400])
    bare = engine.engine.bare_matrix(modules, X[300:400], y[300:400])
    np.testing.assert_allclose(ours.rates, bare, atol=0.011)


def test_what_tells_accuracy_and_who_falls_together() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        link = import_module("structure_link")
    rng = np.random.default_rng(0)
    accuracy = rng.permutation(12) / 12
    # networks fall the more the less accurate they are, whoever attacks, and fool all others alike
    rates = np.broadcast_to(1 - accuracy, (12, 12)) + 0.001 * np.arange(12)[:, None]
    one = {"accuracy": accuracy.tolist(), "rates": rates.tolist()}
    found = link.figures(accuracy, one)
    assert found["accuracy"] == pytest.approx(1) and found["is fooled"] == pytest.approx(-1)
    unknown = np.where(np.arange(12) < 6, np.nan, accuracy)
    assert link.figures(unknown, one)["accuracy"] == pytest.approx(1)
    # two groups, within which networks fall to each other
    group = np.arange(12) % 2
    together = {"accuracy": accuracy.tolist(), "rates": (group[:, None] == group).astype(float).tolist()}
    assert link.figures(group.astype(float), together)["fooled together"] == pytest.approx(1)
    assert link.figures(np.zeros(12), together) == dict.fromkeys(link.OUTCOMES, 0.0)


def test_the_index_lists_every_page() -> None:
    folder = Path(__file__).parents[1] / "benchmarks"
    listed = set(re.findall(r"\]\((\w+\.md)\)", (folder / "index.md").read_text("utf-8")))
    assert listed == {page.name for page in folder.glob("*.md")} - {"index.md"}
