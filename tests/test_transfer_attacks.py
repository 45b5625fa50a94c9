"""What benchmarks/transfer_attacks.py and its page rest on."""

from __future__ import annotations

import pickle
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        names = ("designs", "transfer_attacks", "transfer_attacks_page")
        yield SimpleNamespace(**{name: import_module(name) for name in names})


def test_all_attacks_have_as_many_gradient_calls(bench: Any) -> None:
    """Counted where they are made, on a network of images; of those made at once, too."""
    from skhalfway.attacks._gradient import GradientAttack
    from skhalfway.models import as_model

    torch.manual_seed(0)
    data = bench.designs.digits(0)
    X, y = data.X_test[:4], data.y_test[:4]
    sources = {name: as_model(make().eval()) for name, make in bench.designs.designs(data).items()}
    counted: list[int] = []
    run = GradientAttack.run

    def noted(self: Any, problem: Any) -> Any:
        outcome = run(self, problem)
        counted.append(outcome.faults.n_gradients // len(problem.region))
        return outcome

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(GradientAttack, "run", noted)
        for name, (recipe, n_steps, _) in bench.transfer_attacks.RECIPES.items():
            source = next(
                each for each in sources.values() if bench.transfer_attacks.fits(recipe, data, each)
            )
            generator = bench.transfer_attacks.AdversarialGenerator(
                source, attack=recipe, eps=0.1, max_iter=n_steps, clip_values=(0, 1), batch_size=1500
            )
            generator.generate(X, y)
            expected = 10 if "10 calls" in name else bench.transfer_attacks.CALLS
            assert expected - 5 < counted.pop() <= expected, name


def test_counts_are_those_of_the_models(bench: Any) -> None:
    """A block's counts, against its models asked anew; and "itself" is the source."""
    recipes = {name: bench.transfer_attacks.RECIPES[name] for name in ("plain", "mi, 10 calls")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench.transfer_attacks, "STEPS_OF_TRAINING", 20)
        found = bench.transfer_attacks.block("mixture", 0, "cpu", recipes)
        data = bench.designs.mixture(0)
        sources, targets = bench.transfer_attacks.models(data, 0, "cpu")
    recipe, n_steps, _ = recipes["plain"]
    X_adv = bench.transfer_attacks.AdversarialGenerator(
        sources["svm"], attack=recipe, eps=data.eps, max_iter=n_steps
    ).generate(data.X_test, data.y_test)
    right = {name: model.predict(data.X_test) == data.y_test for name, model in targets.items()}
    for name, model in targets.items():
        fooled = (model.predict(X_adv) != data.y_test) & right["svm"] & right[name]
        assert found["fooled"]["svm"]["plain"]["itself" if name == "svm" else name] == fooled.sum()
    assert found["n"]["svm"]["forest"] == (right["svm"] & right["forest"]).sum()


def test_patches_of_test_share_no_pixel_with_those_of_training(bench: Any) -> None:
    data = bench.designs.patches(0)
    train = {patch[:, row].tobytes() for patch in data.X_train for row in range(16)}
    assert not any(patch[:, row].tobytes() in train for patch in data.X_test for row in range(16))


def test_only_arrays_are_unpickled(bench: Any) -> None:
    import io

    array = np.arange(6).reshape(2, 3)
    kept = bench.designs._OnlyArrays(io.BytesIO(pickle.dumps(array))).load()
    np.testing.assert_array_equal(kept, array)
    with pytest.raises(pickle.UnpicklingError, match=r"posix.system is no array of numpy"):
        bench.designs._OnlyArrays(io.BytesIO(b"cposix\nsystem\n(S'true'\ntR.")).load()


def test_holm_is_that_of_its_paper(bench: Any) -> None:
    adjusted = bench.transfer_attacks_page.holm(np.array([0.01, 0.04, 0.03, 0.005]))
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02])


@pytest.fixture
def made() -> list[dict[str, Any]]:
    """Blocks in which "mi" fools ten more of a hundred than "plain", and "logit" as many."""
    counts = {"plain": 30, "mi": 40, "logit": 30}
    rng = np.random.RandomState(0)
    blocks = []
    for data in ("digits", "animals", "mixture"):
        for seed in range(5):
            fooled = {
                name: {"b": n + int(rng.randint(3)) * (name == "mi"), "itself": 90}
                for name, n in counts.items()
            }
            blocks.append(
                {
                    "data": data,
                    "seed": seed,
                    "accuracy": {"a": 1.0, "b": 0.9},
                    "n": {"a": {"b": 100}},
                    "fooled": {"a": fooled},
                }
            )
    return blocks


def test_effects_ranks_and_the_page(bench: Any, made: Any, tmp_path: Path) -> None:
    page = bench.transfer_attacks_page
    frame = page.pairs(made)
    result = page.effects(frame, ["plain", "mi", "logit"])
    assert 10 < result.loc["mi", "effect"] < 12 and result.loc["mi", "low"] > 10
    assert (
        result.loc["mi", "holm"] == pytest.approx(2 * result.loc["mi", "p"]) and result.loc["mi", "p"] < 0.001
    )
    assert result.loc["logit", "effect"] == 0 and result.loc["logit", "holm"] == 1
    mean, difference, n = page.ranks(frame, ("digits", "animals"))
    assert n == 10 and mean["mi"] == 1 and mean["plain"] == mean["logit"] == 2.5
    # Demsar 2006, table 5: q of 3 classifiers is 2.343
    assert difference == pytest.approx(2.343 * (3 * 4 / (6 * 10)) ** 0.5, abs=1e-3)
    page.write(made, tmp_path)
    text = (tmp_path / "transfer_attacks.md").read_text()
    assert "animals 5, digits 5, mixture 5" in text and "| mi | step |" in text
    assert (tmp_path / "transfer_attacks.svg").read_text().startswith("<?xml")
    assert isinstance(frame, pd.DataFrame)


@pytest.mark.parametrize("name", ["digits", "patches", "mixture"])
def test_designs_give_logits_for_all_classes(bench: Any, name: str) -> None:
    data = bench.designs.DATA[name](0)
    x = torch.from_numpy(data.X_test[:3])
    for make in bench.designs.designs(data).values():
        assert make()(x).shape == (3, len(np.unique(data.y_train)))
