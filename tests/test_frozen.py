"""A FrozenEstimator of a torch module is as good as the module, and tags are those of what is inside."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import get_tags

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway.models import as_model
from tests.entries import BRIEF, ENTRIES, LINEAR, PAIR, TREE, Layers, X, Y

torch.manual_seed(0)
NET = Layers()
X32 = X.astype("float32")
FROZEN = {"frozen": FrozenEstimator(NET), "twice": FrozenEstimator(FrozenEstimator(NET))}


@pytest.mark.parametrize("kind", [*FROZEN, "of a Model"])
def test_as_model_sees_the_module(kind: str) -> None:
    model, own = as_model(FROZEN.get(kind, FrozenEstimator(as_model(NET)))), as_model(NET)
    assert model.estimator is NET and model.has_gradient
    np.testing.assert_array_equal(model.scores(X32), own.scores(X32))


def test_what_a_module_may_be_told_a_frozen_one_may() -> None:
    assert as_model(FROZEN["frozen"], classes=["no", "yes"]).classes_.tolist() == ["no", "yes"]
    assert as_model(FROZEN["frozen"], output="logits").output_source == "stated"
    classifier = PyTorchClassifier(NET, torch.nn.CrossEntropyLoss(), (4,), 2)
    np.testing.assert_array_equal(
        as_model(FrozenEstimator(classifier)).predict(X32), as_model(classifier).predict(X32)
    )
    lr = FrozenEstimator(LINEAR)
    assert as_model(lr).estimator is lr  # scikit-learn's stay as they are


def generator(estimator: Any, **settings: Any) -> AdversarialGenerator:
    return AdversarialGenerator(estimator, max_iter=2, max_queries=20, random_state=0, **settings)


def scorer(**settings: Any) -> TransferScorer:
    return TransferScorer(BRIEF, random_state=0, **settings)


CALLS: dict[str, Callable[[Any], Any]] = {
    **{
        attack: lambda net, attack=attack: generator(net, attack=attack).generate(X32, Y)
        for attack in ("auto", "fgsm", "fmn", "hopskipjump", "square")
    },
    "fit": lambda net: generator(net).fit(X32).transform(X32),
    "clone": lambda net: clone(generator(net)).transform(X32),
    "pickle": lambda net: pickle.loads(pickle.dumps(generator(net).fit(X32))).transform(X32),
    "models": lambda net: scorer().fit({"net": net, "lr": LINEAR}).transfer(X32, Y).rates,
    "estimators": lambda net: (
        clone(scorer(estimators=[("net", net), ("lr", LogisticRegression())]))
        .fit(X32, Y)
        .transfer(X32, Y)
        .rates
    ),
    "halfway": lambda net: (
        HalfwayScorer(n_pairs=5, random_state=0, estimators=[("net", net), ("lr", LogisticRegression())])
        .fit(X32, Y)
        .measure(X32, Y)
        .crossings
    ),
    "robustness": lambda net: scorer().fit([NET, LINEAR]).robustness(net, X32, Y).sources,
}


@pytest.mark.filterwarnings("ignore::UserWarning")  # of a network that was not trained
@pytest.mark.parametrize("kind", FROZEN)
@pytest.mark.parametrize("call", CALLS)
def test_a_frozen_module_gives_what_the_module_gives(call: str, kind: str) -> None:
    found, expected = CALLS[call](FROZEN[kind]), CALLS[call](NET)
    if isinstance(expected, np.ndarray):
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected


def test_no_model_is_judged_by_samples_of_its_own_frozen_or_not() -> None:
    for frozen in (LINEAR, FrozenEstimator(LINEAR)):
        for judged in (LINEAR, FrozenEstimator(LINEAR)):
            made = scorer().fit({"lr": frozen, "tree": TREE}).robustness(judged, X, Y)
            assert made.sources == ("tree",)


def outcome(function: Callable[..., Any], given: dict[str, Any]) -> type:
    try:
        return type(function(**given))
    except (TypeError, ValueError) as error:
        return type(error)


MODELS = ("estimator", "network", "models", "source", "teacher")


@pytest.mark.filterwarnings(
    "ignore"
)  # of few samples, steps and queries; what is said of these is tested elsewhere
@pytest.mark.parametrize("name", [name for name, (_, given) in ENTRIES.items() if set(given) & set(MODELS)])
def test_every_way_in_takes_a_frozen_module_where_it_takes_a_module(name: str) -> None:
    function, given = ENTRIES[name]
    for parameter in set(MODELS) & set(given):
        several = parameter == "models"
        handed = [given | {parameter: [net, LINEAR] if several else net} for net in (NET, *FROZEN.values())]
        kinds = {outcome(function, one) for one in handed} - {FrozenEstimator}  # compress keeps it
        assert len(kinds) == 1, parameter


def test_objects_that_hold_a_frozen_module_are_shown_and_searched() -> None:
    for made in (generator(FROZEN["frozen"]), scorer(estimators=[("net", FROZEN["frozen"]), *PAIR])):
        assert "FrozenEstimator" in repr(made) and "FrozenEstimator" in made._repr_html_()
        assert get_tags(made).input_tags.allow_nan is False
        assert made.get_params() and clone(made) is not made


HGB = HistGradientBoostingClassifier()
IMPUTED = make_pipeline(SimpleImputer(), LogisticRegression())
MISSING: dict[str, tuple[Any, bool]] = {
    "None": (None, False),
    "no": (LogisticRegression(), False),
    "boosting": (HGB, True),
    "tree": (DecisionTreeClassifier(), True),
    "pipeline": (IMPUTED, False),  # as scikit-learn has it
    "frozen": (FrozenEstimator(HGB), True),
    "module": (NET, False),
    "frozen module": (FROZEN["frozen"], False),
    "Model": (as_model(HistGradientBoostingClassifier(max_iter=2).fit(X, Y)), True),
    "class": (HistGradientBoostingClassifier, False),
    "nothing": (3, False),
}


@pytest.mark.parametrize("kind", MISSING)
def test_a_generator_takes_missing_values_where_its_source_does(kind: str) -> None:
    source, takes = MISSING[kind]
    tags = get_tags(AdversarialGenerator(source)).input_tags
    assert tags.allow_nan is takes
    assert not tags.sparse


SEVERAL: dict[str, tuple[Any, bool]] = {
    "None": (None, False),
    "all": ([("a", HGB), ("b", DecisionTreeClassifier())], True),
    "some": ([("a", HGB), ("b", LogisticRegression())], False),
    "none": (PAIR[:1], False),
    "with a module": ([("a", HGB), ("b", FROZEN["frozen"])], False),
    "empty": ([], False),
    "no pairs": ([HGB, IMPUTED], False),
    "no list": (HGB, False),
}


@pytest.mark.parametrize("kind", SEVERAL)
def test_a_scorer_takes_missing_values_where_all_its_estimators_do(kind: str) -> None:
    estimators, takes = SEVERAL[kind]
    tags = get_tags(TransferScorer(estimators=estimators)).input_tags
    assert tags.allow_nan is takes
    assert not tags.sparse
    assert get_tags(HalfwayScorer(estimators=estimators)).input_tags.allow_nan is False


@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")  # of few trees
def test_missing_values_are_taken_as_the_tags_say() -> None:
    holes = np.where(np.arange(X.size).reshape(X.shape) % 7 == 0, np.nan, X)
    boosting = HistGradientBoostingClassifier(max_iter=2)
    made = scorer(estimators=[("a", boosting), ("b", DecisionTreeClassifier())]).fit(holes, Y)
    assert 0 <= made.score(holes, Y) <= 1
    with pytest.raises(ValueError, match="contains NaN"):
        scorer(estimators=SEVERAL["some"][0]).fit(holes, Y)
