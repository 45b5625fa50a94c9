"""Attacks of ART by class and by instance, and black boxes."""

from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import pytest
from art.attacks.evasion import (
    AutoProjectedGradientDescent,
    BasicIterativeMethod,
    BoundaryAttack,
    CarliniL2Method,
    DecisionTreeAttack,
    DeepFool,
    ElasticNet,
    FastGradientMethod,
    HopSkipJump,
    MomentumIterativeMethod,
    NewtonFool,
    ProjectedGradientDescent,
    SaliencyMapMethod,
)
from art.estimators.classification import SklearnClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_info, threadpool_limits

from skhalfway import AdversarialGenerator
from skhalfway.models import as_model

EPS = 0.9  # wide: some of these look for the smallest change in another norm
FEW_QUERIES = {"max_iter": 4, "max_eval": 100, "init_eval": 20}

# class -> what to set so that it is quick
CLASSES: dict[Any, dict[str, Any]] = {
    AutoProjectedGradientDescent: {"max_iter": 5, "nb_random_init": 1},
    BasicIterativeMethod: {},
    BoundaryAttack: {"max_iter": 20},
    CarliniL2Method: {"max_iter": 20, "binary_search_steps": 2, "initial_const": 1, "learning_rate": 0.1},
    DeepFool: {},
    ElasticNet: {"max_iter": 20, "binary_search_steps": 2, "initial_const": 1, "learning_rate": 0.1},
    FastGradientMethod: {},
    HopSkipJump: FEW_QUERIES,
    MomentumIterativeMethod: {},
    NewtonFool: {"eta": 0.2},
    ProjectedGradientDescent: {"num_random_init": 1},
    SaliencyMapMethod: {"theta": 0.5, "gamma": 0.5},
}
every_class = pytest.mark.parametrize("class_", CLASSES, ids=lambda class_: class_.__name__)


def share_right(source: Any, X: Any, labels: Any) -> float:
    return float((as_model(source).predict(X) == labels).mean())


@every_class
@pytest.mark.parametrize("name", ["mlp", "art"])
def test_by_class(zoo, class_: Any, name: str) -> None:
    case = zoo(name)
    X, y = case.X[:4], case.y[:4]
    generator = AdversarialGenerator(
        case.source,
        attack=class_,
        eps=EPS,
        max_iter=10,
        attack_params=CLASSES[class_],
        clip_values=(0, 1),
        random_state=0,
    )
    X_adv = generator.generate(X, y)
    assert X_adv.dtype == X.dtype
    assert np.abs(X_adv - X).max() <= EPS
    assert share_right(case.source, X_adv, y) < share_right(case.source, X, y)


@every_class
def test_instance_made_for_another_source_is_made_again(zoo, class_: Any) -> None:
    case, other = zoo("torch_mlp"), zoo("art")
    settings = {"eps": EPS, "eps_step": 0.05, "norm": np.inf, "batch_size": 64, "verbose": False}
    taken = signature(class_).parameters
    params = {name: value for name, value in settings.items() if name in taken} | CLASSES[class_]
    instance = class_(other.source, **params)
    given = {"eps": EPS, "clip_values": (0, 1), "random_state": 0}
    X, y = case.X[:3], case.y[:3]
    by_instance = AdversarialGenerator(case.source, attack=instance, **given).generate(X, y)
    # the class, with the constructor's defaults where the generator has a value of its own
    defaults = {"max_iter": instance.max_iter} if hasattr(instance, "max_iter") else {}
    by_class = AdversarialGenerator(case.source, attack=class_, attack_params=params | defaults, **given)
    assert by_instance.tobytes() == by_class.generate(X, y).tobytes()
    assert instance.estimator is other.source


def test_generators_settings_reach_the_class_and_attack_params_go_before_them(zoo) -> None:
    case = zoo("art")
    generator = AdversarialGenerator(
        case.source, attack=ProjectedGradientDescent, eps=0.2, max_iter=3, step_size=0.05
    )

    def directly(**params: Any) -> Any:
        params = {"eps": 0.2, "max_iter": 3, "eps_step": 0.05, "verbose": False} | params
        return ProjectedGradientDescent(case.source, **params).generate(case.X, y=case.y)

    np.testing.assert_allclose(generator.generate(case.X, case.y), directly(), atol=1e-6)
    generator.set_params(attack_params={"max_iter": 1, "eps_step": 0.02})
    first = generator.generate(case.X, case.y)
    np.testing.assert_allclose(first, directly(max_iter=1, eps_step=0.02), atol=1e-6)
    assert np.abs(first - case.X).max() < 0.03
    default = generator.set_params(step_size=None, attack_params=None).generate(case.X, case.y)
    np.testing.assert_allclose(default, directly(eps_step=2.5 * 0.2 / 3), atol=1e-6)


@pytest.mark.parametrize("made_targeted", [False, True])
@pytest.mark.parametrize("name", ["art", "torch_mlp"])
def test_the_call_decides_whether_an_instance_is_targeted(zoo, name: str, made_targeted: bool) -> None:
    case = zoo(name)
    settings = {"eps": 0.4, "eps_step": 0.05, "max_iter": 10, "verbose": False}
    instance = ProjectedGradientDescent(zoo("art").source, targeted=made_targeted, **settings)
    generator = AdversarialGenerator(case.source, attack=instance, eps=0.4)
    target = (case.y + 1) % 10
    assert share_right(case.source, generator.generate(case.X, target=target), target) > 0.9
    assert share_right(case.source, generator.generate(case.X, case.y), case.y) < 0.1
    assert instance.targeted is made_targeted


@pytest.mark.parametrize("class_", [FastGradientMethod, BasicIterativeMethod, HopSkipJump, SaliencyMapMethod])
def test_targeted(zoo, class_: Any) -> None:
    case = zoo("torch_mlp")
    X, target = case.X[:8], (case.y[:8] + 1) % 10
    given = {"eps": EPS, "attack_params": CLASSES[class_], "clip_values": (0, 1), "random_state": 0}
    generator = AdversarialGenerator(case.source, attack=class_, **given)
    assert share_right(case.source, generator.generate(X, target=target), target) >= 0.5


@pytest.mark.parametrize("norm", [np.inf, 2])
def test_hop_skip_jump_on_a_black_box(zoo, norm: float) -> None:
    case = zoo("opaque")
    eps = 1.0 if norm == np.inf else 8.0
    given = {"eps": eps, "norm": norm, "attack_params": FEW_QUERIES, "clip_values": (0, 1), "random_state": 0}
    X, y = case.X[:5], case.y[:5]
    generator = AdversarialGenerator(case.source, attack=HopSkipJump, **given)
    assert share_right(case.source, generator.generate(X, y), y) < 0.3
    target = (y + 1) % 10
    assert share_right(case.source, generator.generate(X, target=target), target) > 0.7


@pytest.mark.parametrize(
    ("class_", "fewest"), [(FastGradientMethod, 2), (DeepFool, 2), (HopSkipJump, 1), (BoundaryAttack, 1)]
)
def test_only_attacks_that_ask_row_by_row_give_up_threads(zoo, class_: Any, fewest: int) -> None:
    case, seen = zoo("torch_mlp"), []

    def note(*called: Any) -> None:
        seen.extend(lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas")

    params = dict.fromkeys(CLASSES[class_], 2) or None
    generator = AdversarialGenerator(case.source, attack=class_, attack_params=params, max_iter=2, eps=EPS)
    with case.source.register_forward_pre_hook(note), threadpool_limits(2):
        generator.generate(case.X[:2], case.y[:2])
    assert min(seen) == fewest


def test_hop_skip_jump_leaves_alone_what_is_already_where_it_should_be(zoo) -> None:
    case = zoo("opaque")
    X, predicted = case.X[:6], as_model(case.source).predict(case.X[:6])
    wrong = np.where(np.arange(6) < 3, (predicted + 1) % 10, predicted)
    generator = AdversarialGenerator(
        case.source, attack=HopSkipJump, attack_params=FEW_QUERIES, random_state=0
    )
    changed = (generator.generate(X, wrong) != X).any(axis=1)
    assert changed.tolist() == [False] * 3 + [True] * 3
    changed = (generator.generate(X, target=wrong) != X).any(axis=1)
    assert changed.tolist() == [True] * 3 + [False] * 3


@pytest.mark.parametrize(
    ("class_", "follows"),
    [
        (FastGradientMethod, True),  # the gradient of a loss
        (DeepFool, True),  # those of the classes' scores
        (SaliencyMapMethod, True),
        (BoundaryAttack, False),
        (HopSkipJump, False),
    ],
)
def test_a_smoothed_copy_matters_to_attacks_that_follow_gradients(zoo, class_: Any, follows: bool) -> None:
    source = zoo("knn").source
    generator = AdversarialGenerator(source, attack=class_).fit(zoo.X_test)
    assert (generator.soft_agreement_ is not None) == follows


@pytest.fixture(scope="module")
def tree(zoo) -> DecisionTreeClassifier:
    return DecisionTreeClassifier(max_depth=6, random_state=0).fit(zoo.X_train, zoo.y_train)


@pytest.mark.parametrize("wrap", [FrozenEstimator, SklearnClassifier])
def test_decision_tree_attack(zoo, tree: DecisionTreeClassifier, wrap: Any) -> None:
    X = zoo.X_test
    generator = AdversarialGenerator(wrap(tree), attack=DecisionTreeAttack, eps=1.0)
    X_adv, predicted = generator.transform(X), tree.predict(X)
    assert (tree.predict(X_adv) != predicted).all()
    assert (X_adv != X).sum(axis=1).max() <= 6  # no more features than tests on a path
    target = (predicted + 1) % 10
    assert (tree.predict(generator.generate(X, target=target)) == target).mean() > 0.9


@pytest.mark.parametrize(
    ("name", "class_"),
    [("opaque", DeepFool), ("opaque", ProjectedGradientDescent), ("logistic", DecisionTreeAttack)],
)
def test_an_attack_that_needs_what_the_source_has_not(zoo, name: str, class_: Any) -> None:
    generator = AdversarialGenerator(zoo(name).source, attack=class_)
    with pytest.raises(TypeError, match=f"{class_.__name__} cannot attack .* it needs .* offered as"):
        generator.transform(zoo(name).X[:2])


def test_an_attack_without_a_targeted_form(zoo) -> None:
    generator = AdversarialGenerator(zoo("mlp").source, attack=DeepFool)
    with pytest.raises(ValueError, match="DeepFool has no targeted form; call generate without target"):
        generator.generate(zoo("mlp").X[:2], target=3)


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        ({"eps": 0.2}, {"eps": 0.1}, "the attack has eps=0.2 but the generator eps=0.1"),
        ({"eps": 0.1, "norm": 2}, {}, "the attack has norm=2 but the generator norm=inf"),
        ({"eps": 0.1}, {"attack_params": {"eps": 0.1}}, "attack_params must be None"),
    ],
    ids=["eps", "norm", "params"],
)
def test_an_instance_and_the_generator_must_agree(zoo, theirs: Any, ours: Any, message: str) -> None:
    instance = FastGradientMethod(zoo("art").source, **theirs)
    generator = AdversarialGenerator(zoo("art").source, attack=instance, **ours)
    with pytest.raises(ValueError, match=message):
        generator.transform(zoo("art").X)
