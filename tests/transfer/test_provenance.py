"""What results record of an attack: enough to make it again, and to tell two attacks apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from art.attacks.evasion import HopSkipJump, MomentumIterativeMethod
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, Constraints, TransferScorer
from skhalfway.attacks import Momentum, Normalised, Piece, Recipe
from skhalfway.attacks._pieces import PIECES
from skhalfway.results import Provenance
from skhalfway.transfer import generator_of

pytestmark = pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")


@pytest.fixture(scope="module")
def few(iris):
    X, y = iris
    models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    return models, X[::5], y[::5]


def measured(few, seed=None, **params):
    models, X, y = few
    scorer = TransferScorer(AdversarialGenerator(**params), random_state=seed).fit(models)
    return scorer.transfer(X, y, keep_samples=True)


def settings_of(few, **params):
    return measured(few, **params).provenance.settings


def moving(step):
    def mine(model, X, y, eps):
        return X + step * eps

    return mine


def shifted(model, X, y, eps, share=0.5):
    return X + share * eps


# ---- seeds


@pytest.mark.parametrize(
    ("of_scorer", "of_generator", "recorded"),
    [
        (7, 3, {"random_state": 7, "generator__random_state": 3}),
        (0, None, {"random_state": 0}),
        (None, 0, {"random_state": None, "generator__random_state": 0}),
    ],
)
def test_both_seeds_are_recorded(few, of_scorer, of_generator, recorded):
    made = measured(few, of_scorer, random_state=of_generator, random_start=True, eps=0.5)
    settings = made.provenance.settings
    assert {name: value for name, value in settings.items() if "random_state" in name} == recorded
    again = generator_of(made.provenance)
    assert again.random_state == of_generator
    models, X, y = few
    if of_scorer is not None:
        repeated = TransferScorer(again, random_state=of_scorer).fit(models).transfer(X, y)
        assert repeated == made and repeated.provenance.settings == settings


# ---- functions of the user's


def test_functions_of_one_name_are_told_apart(few):
    one, same, other = (settings_of(few, attack=moving(step), eps=0.5) for step in (0.1, 0.1, 0.9))
    assert one == same and one != other
    assert one["attack"] == other["attack"] == "mine" and len(one["attack_code"]) == 16
    assert {"max_iter", "max_queries", "step_size", "n_restarts", "random_start", "dtype"}.isdisjoint(one)
    assert "mine, Linf eps 0.5: rate" in repr(measured(few, attack=moving(0.1), eps=0.5))


class Shifting:
    def __init__(self, share):
        self.share = share

    def __call__(self, model, X, y, eps):
        return X + self.share * eps


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        (shifted, partial(shifted, share=0.9), "shifted"),
        (partial(shifted, share=0.5), partial(shifted, share=0.9), "shifted"),
        (Shifting(0.5), Shifting(0.9), "Shifting"),
        (lambda model, X, y: X + 0.1, lambda model, X, y: X - 0.1, "<lambda>"),
    ],
)
def test_every_kind_of_callable_has_a_code(few, one, other, name):
    first, second = (settings_of(few, attack=attack, eps=0.5) for attack in (one, other))
    assert first["attack"] == second["attack"] == name and first["attack_code"] != second["attack_code"]


def test_code_that_cannot_be_read_is_said(few):
    lock = __import__("threading").Lock()

    def locked(model, X, y):
        with lock:
            return X

    assert settings_of(few, attack=locked, eps=0.5)["attack_code"] == "not known"


def test_other_functions_and_long_arrays_are_told_apart(few):
    masks = np.ones((2, 30, 4), dtype=bool)
    masks[1, 3, 2] = False
    by_mask = [settings_of(few, eps=0.5, constraints=Constraints(mask=mask)) for mask in masks]
    assert by_mask[0] != by_mask[1]
    assert all(one["constraints"]["mask"].startswith("ndarray of shape (30, 4), ") for one in by_mask)
    by_projection = [
        settings_of(few, eps=0.5, constraints=Constraints(projection=lambda X_adv, X, d=d: X_adv.round(d)))
        for d in (1, 1, 2)
    ]
    assert by_projection[0] == by_projection[1] != by_projection[2]
    assert by_projection[0]["constraints"]["projection"].startswith("<lambda>, code ")


def piece(sign):
    @dataclass(frozen=True)
    class OwnLoss(Piece):
        kind, name, paper = "loss", "own_loss_of_provenance", "none"

        def slope(self, run, logits, own):
            return sign * own.to(logits.dtype)

    del PIECES[OwnLoss.name]  # other tests run all pieces that are known
    return OwnLoss()


@dataclass(frozen=True)
class OwnInput(Piece):
    kind, name, paper = "input", "own_input_of_provenance", "none"
    size: tuple = (1, 1.0)


del PIECES[OwnInput.name]


def test_pieces_of_the_user_have_a_code(few):
    down, same, up = (settings_of(few, attack=Recipe(piece(sign)), eps=0.5) for sign in (-1.0, -1.0, 1.0))
    assert down == same and down["attack"] == up["attack"] == "Recipe(OwnLoss())"
    assert down["attack_code"] != up["attack_code"] and len(down["attack_code"]) == 16
    assert "attack_code" not in settings_of(few, attack=Recipe(Momentum()), eps=0.5)


# ---- lengths of steps, and what other libraries take


@pytest.mark.parametrize(
    ("params", "step"),
    [
        ({"attack": "pgd", "eps": 0.3, "max_iter": 7}, 2.5 * 0.3 / 7),
        ({"attack": "auto", "eps": 0.3, "max_iter": 7}, 2.5 * 0.3 / 7),
        ({"attack": "pgd", "eps": 0.3, "step_size": 0.01}, 0.01),
        ({"attack": "mifgsm", "eps": 0.3, "max_iter": 7}, 0.3 / 7),
        ({"attack": "mi", "eps": 0.3, "max_iter": 7}, 0.3 / 7),
        ({"attack": Recipe(Normalised(), reach=1.7), "eps": 0.3, "max_iter": 7}, 1.7 * 0.3 / 7),
        ({"attack": "pgd", "eps": [0.1, 0.2, 0.3, 0.4], "max_iter": 5}, 2.5 / 5),
        ({"attack": "sigmazero", "norm": 0, "eps": 1, "clip_values": (0, 9)}, 1.0),
        ({"attack": "hopskipjump", "eps": 0.3, "max_queries": 60}, None),
        ({"attack": "fgsm", "eps": 0.3}, None),
        ({"attack": MomentumIterativeMethod, "eps": 0.3, "max_iter": 7}, 2.5 * 0.3 / 7),
    ],
)
def test_the_step_that_was_taken_is_recorded(few, params, step):
    made = measured(few, 0, **params)
    assert made.provenance.settings.get("step_size") == step
    models, X, y = few
    again = generator_of(made.provenance, attack=params["attack"])
    repeated = TransferScorer(again, random_state=0).fit(models).transfer(X, y)
    np.testing.assert_array_equal(repeated.outcomes.adversarial, made.outcomes.adversarial)


def test_steps_of_a_curve(few):
    models, X, y = few
    scorer = TransferScorer(AdversarialGenerator(attack="pgd", max_iter=4), random_state=0).fit(models)
    curve = scorer.transfer_curve(X, y, eps=[0.2, 0.4])
    assert curve.provenance.settings["step_size"] == [2.5 * 0.2 / 4, 2.5 * 0.4 / 4]
    assert [matrix.provenance.settings["step_size"] for matrix in curve.matrices] == [0.0, 0.125, 0.25]
    assert generator_of(curve.matrices[2].provenance).step_size == 0.25
    with pytest.raises(ValueError, match=r"several budgets; pass the provenance of one of its matrices"):
        generator_of(curve.provenance)


def test_what_art_takes_is_recorded(few):
    seen = {}

    class Spy(MomentumIterativeMethod):
        def generate(self, *args, **kwargs):
            seen.update(step_size=self.eps_step, decay=self._attack.decay, max_iter=self.max_iter)
            return super().generate(*args, **kwargs)

    made = measured(few, attack=Spy, eps=0.3, max_iter=6, attack_params={"decay": 0.8}).provenance
    assert (
        made.settings["step_size"] == seen["step_size"] and made.settings["max_iter"] == seen["max_iter"] == 6
    )
    assert made.settings["attack_params"]["decay"] == seen["decay"] == 0.8
    assert len(made.settings["attack_code"]) == 16
    assert made.versions["adversarial-robustness-toolbox"][0].isdigit()
    plain = measured(few, attack=MomentumIterativeMethod, eps=0.3, max_iter=6).provenance
    assert plain.settings["attack_params"] == {"decay": 1.0} and "attack_code" not in plain.settings
    given = measured(
        few, attack=MomentumIterativeMethod, eps=0.3, max_iter=6, attack_params={"eps_step": 0.2}
    ).provenance.settings
    assert given["attack_params"] == {"decay": 1.0, "eps_step": 0.2} and "step_size" not in given
    few_queries = {"max_eval": 40, "init_eval": 10}
    asked = settings_of(few, attack=HopSkipJump, eps=0.3, max_iter=2, attack_params=few_queries)
    assert "step_size" not in asked and asked["max_iter"] == 2
    assert few_queries.items() <= asked["attack_params"].items()


def test_an_instance_has_its_own_parameters(few):
    from art.estimators.classification import SklearnClassifier

    seen = []

    class Seen(MomentumIterativeMethod):
        def generate(self, *args, **kwargs):
            seen.append((self.eps_step, self._attack.decay, self.max_iter))
            return MomentumIterativeMethod.generate(self, *args, **kwargs)

    params = {"eps": 0.3, "eps_step": 0.07, "decay": 0.5, "max_iter": 3, "verbose": False}
    attack = Seen(SklearnClassifier(few[0]["lr"]), **params)
    settings = measured(few, attack=attack, eps=0.3, max_iter=99).provenance.settings
    assert settings["attack"] == "Seen" and "max_iter" not in settings
    taken = {"eps_step": 0.07, "decay": 0.5, "max_iter": 3}
    assert taken.items() <= settings["attack_params"].items()
    assert set(seen) == {(0.07, 0.5, 3)}  # copies of the instance on the sources; they had lost the decay


@pytest.mark.parametrize(
    ("module", "name", "version"),
    [
        ("foolbox.attacks", "LinfPGD", "foolbox"),
        ("torchattacks", "PGD", "torchattacks"),
        ("torchattacks", "FFGSM", "torchattacks"),
    ],
)
def test_what_other_libraries_take_is_recorded(few, module, name, version):
    library = pytest.importorskip(module)
    class_, seen = getattr(library, name), {}
    step = "abs_stepsize" if "foolbox" in module else "alpha"

    class Spied(class_):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            seen["step"] = getattr(self, step)

        __init__.__signature__ = __import__("inspect").signature(class_.__init__)

    Spied.__signature__ = __import__("inspect").signature(class_)
    made = measured(few, 0, attack=Spied, eps=0.4, max_iter=5, clip_values=(0, 8)).provenance
    width = 1 if step == "abs_stepsize" else 8
    assert made.settings["step_size"] == pytest.approx(seen["step"] * width)
    assert version in made.versions


# ---- recipes, and making an attack again


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe(Momentum(decay=1 / 3), Normalised(), reach=1 / 7),
        Recipe(OwnInput(size=(2, 0.1)), image_shape=(1, 2, 2)),
    ],
)
def test_recipes_are_read_back(recipe, monkeypatch):
    monkeypatch.setitem(PIECES, OwnInput.name, OwnInput)
    assert Recipe.from_text(recipe.as_setting()) == recipe


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vmi", "text must be a recipe as Recipe.as_setting writes it, got 'vmi'"),
        ("Recipe(Momentum(decay=open('x')))", "text must be a recipe"),
        ("Recipe(__import__('os').getcwd())", "text must be a recipe"),
        ("Momentum(decay=1.0)", "it begins with 'Momentum'"),
        ("Recipe(Momentm())", "there is no piece 'Momentm'; did you mean 'Momentum'"),
        ("Recipe(", "text must be a recipe"),
    ],
)
def test_texts_that_are_no_recipe(text, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Recipe.from_text(text)


def test_what_was_only_described_must_be_given(few):
    mine = measured(few, 0, attack=moving(0.5), eps=0.5)
    with pytest.raises(ValueError, match="'mine' is no attack of this package, and only its description was"):
        generator_of(mine.provenance)
    with pytest.raises(ValueError, match="the attack has code .*, but the recorded one is .*; pass attack="):
        generator_of(mine.provenance, attack=moving(0.6))
    again = generator_of(mine.provenance, attack=moving(0.5))
    models, X, y = few
    assert TransferScorer(again, random_state=0).fit(models).transfer(X, y) == mine
    wide = measured(few, eps=0.5 * np.ones((30, 4)))
    with pytest.raises(ValueError, match="eps is 'by sample, from 0.5 to .*only its description.*pass eps="):
        generator_of(wide.provenance)
    masked = measured(few, eps=0.5, constraints=Constraints(mask=np.ones((30, 4), bool)))
    with pytest.raises(ValueError, match="pass constraints="):
        generator_of(masked.provenance)
    fixed = measured(few, eps=0.5, clip_values=(0, 9), constraints=Constraints(immutable=[1], one_hot=()))
    assert generator_of(fixed.provenance).get_params().items() >= {
        ("constraints", Constraints(immutable=[1])),
        ("clip_values", (0, 9)),
    }
    with pytest.raises(ValueError, match="the provenance of sharpness records no attack"):
        generator_of(Provenance("sharpness"))
    with pytest.raises(TypeError, match="provenance must be that of a result, got TransferMatrix"):
        generator_of(mine)


# ---- as text


def test_lines_keep_all_digits():
    origin = Provenance(
        "transfer",
        {"eps": 0.123456789, "steps": [1 / 3, 2.0], "params": {"decay": 1.0}, "attack": "Recipe(" + 90 * "x"},
        seconds=12345.6,
        costs={"a": {"seconds": 0.01234, "gradients": 15360, "queries": 1234567}},
        versions={"python": "3"},
    )
    first, settings, costs, _ = origin.lines()
    assert first == "made by transfer in 12346 s"
    assert "eps=0.123456789, steps=[0.3333333333333333, 2], params={'decay': 1}" in settings
    assert settings.endswith(90 * "x" + "'")
    assert costs == "source 'a': 0.0123 seconds, 15360 gradients, 1234567 queries"
