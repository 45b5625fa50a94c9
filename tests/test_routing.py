"""Metadata of ``fit``: who gets them with scikit-learn's routing, who refuses them, and that none is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.metadata_routing import get_routing_for_object

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway.codes import CodeMap
from skhalfway.perturbation import AdversarialSampler, PerturbationLearner

X, Y = load_iris(return_X_y=True)
N = len(X)
WEIGHTS = np.arange(N) + 1.0  # each sample has another
GROUPS = np.arange(N) * 10
UNSET = (
    r"\[sample_weight\] are passed but are not explicitly set as requested or not requested for "
    r"(Linear|Net|LogisticRegression)\.fit"
)


class Recorder:
    """Keeps what its ``fit`` is given, in a list that clones share."""

    seen: ClassVar[list[tuple[str, dict[str, Any], Any]]] = []

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Any:
        given = {"sample_weight": sample_weight, "groups": groups}
        self.seen.append((self.name, {k: v for k, v in given.items() if v is not None}, X))
        return super().fit(X, y)


class Linear(Recorder, LogisticRegression):
    def __init__(self, name: str = "a") -> None:
        super().__init__(max_iter=1000)
        self.name = name


class Net(Recorder, MLPClassifier):
    def __init__(self, name: str = "a", random_state: Any = 0) -> None:
        super().__init__((4,), solver="lbfgs", max_iter=500, random_state=random_state)
        self.name = name


@pytest.fixture(autouse=True)
def seen() -> Iterator[list[Any]]:
    Recorder.seen.clear()
    yield Recorder.seen


@pytest.fixture
def routing() -> Iterator[None]:
    with config_context(enable_metadata_routing=True):
        yield


def asking(estimator: Any, **requests: Any) -> Any:
    """An estimator with those requests; the others are unset."""
    with config_context(enable_metadata_routing=True):
        return clone(estimator).set_fit_request(**requests)


def given(seen: list[Any]) -> dict[str, list[dict[str, Any]]]:
    """What each was given, fit after fit."""
    return {name: [metadata for each, metadata, _ in seen if each == name] for name, _, _ in seen}


FGSM = AdversarialGenerator(attack="fgsm", eps=0.2)


@dataclass
class Meta:
    """What fits estimators.

    Attributes
    ----------
    make : callable
        Makes it of one or of two estimators.
    kind : type
        Of these estimators.
    names : str
        Of the estimators in the order in which they are fitted.
    method : str
        What fits.
    passes : bool
        Whether metadata go on where scikit-learn routes nothing.
    """

    make: Callable[..., Any]
    kind: type = Linear
    names: str = "ab"
    method: str = "fit"
    passes: bool = False

    @property
    def parts(self) -> list[str]:
        return sorted(set(self.names))

    def of(self, **requests: Any) -> Any:
        return self.make(*[asking(self.kind(name), **requests) for name in self.parts])

    def fit(self, meta: Any, **metadata: Any) -> Any:
        return getattr(meta, self.method)(X, Y, **metadata)


def fgsm(source: Any) -> AdversarialGenerator:
    return AdversarialGenerator(source, attack="fgsm", eps=0.2)


def two(a: Any, b: Any) -> list[tuple[str, Any]]:
    return [("first", a), ("second", b)]


METAS = {
    "generator": Meta(fgsm, names="a", passes=True),
    "generator.fit_transform": Meta(fgsm, names="a", method="fit_transform", passes=True),
    "sampler": Meta(lambda a: AdversarialSampler(FGSM, sources=a), names="a", method="fit_resample"),
    "sampler.fit": Meta(lambda a: AdversarialSampler(FGSM, sources=[a]), names="a"),
    "sampler of two": Meta(lambda a, b: AdversarialSampler(FGSM, sources=two(a, b)), method="fit_resample"),
    "transfer": Meta(lambda a, b: TransferScorer(FGSM, estimators=two(a, b))),
    "transfer in threads": Meta(lambda a, b: TransferScorer(FGSM, estimators=two(a, b), n_jobs=2)),
    "halfway": Meta(lambda a, b: HalfwayScorer(two(a, b))),
    "learner": Meta(lambda a, b: PerturbationLearner(b, source=a, random_state=0)),
    "learner alone": Meta(lambda a: PerturbationLearner(a, random_state=0), names="aa"),
    "codes": Meta(lambda a: CodeMap(a, shape=(2, 2), n_iter=20, random_state=0), kind=Net, names="a"),
    "codes unseeded": Meta(lambda a: CodeMap(a, shape=(2, 2), n_iter=20), kind=Net, names="a"),
    "codes.fit_transform": Meta(
        lambda a: CodeMap(a, shape=(2, 2), n_iter=20), kind=Net, names="a", method="fit_transform"
    ),
}


@pytest.fixture(params=METAS)
def meta(request: pytest.FixtureRequest) -> Meta:
    return METAS[request.param]


pytestmark = pytest.mark.filterwarnings("ignore::skhalfway.codes.CoarseMapWarning")


def test_each_gets_what_it_requests(meta: Meta, routing: None, seen: list[Any]) -> None:
    meta.fit(meta.of(sample_weight=True, groups=True), sample_weight=WEIGHTS, groups=GROUPS)
    assert sorted(name for name, _, _ in seen) == sorted(meta.names)
    for _, metadata, _ in seen:
        assert metadata["sample_weight"] is WEIGHTS and metadata["groups"] is GROUPS


def test_who_wants_none_gets_none(meta: Meta, routing: None, seen: list[Any]) -> None:
    wishes = dict(zip(meta.parts, (True, False), strict=False))
    estimators = [asking(meta.kind(name), sample_weight=wish) for name, wish in wishes.items()]
    meta.fit(meta.make(*estimators), sample_weight=WEIGHTS)
    for name, metadata, _ in seen:
        assert metadata == ({"sample_weight": WEIGHTS} if wishes[name] else {})


def test_by_another_name(meta: Meta, routing: None, seen: list[Any]) -> None:
    names = dict(zip(meta.parts, ("first_weight", "second_weight"), strict=False))
    estimators = [asking(meta.kind(name), sample_weight=alias) for name, alias in names.items()]
    values = {alias: WEIGHTS * i for i, alias in enumerate(names.values(), start=1)}
    meta.fit(meta.make(*estimators), **values)
    assert len(seen) == len(meta.names)
    for name, metadata, _ in seen:
        assert metadata == {"sample_weight": values[names[name]]}


def test_unset_is_scikit_learns_error(meta: Meta, routing: None, seen: list[Any]) -> None:
    with pytest.raises(UnsetMetadataPassedError, match=UNSET):
        meta.fit(meta.of(), sample_weight=WEIGHTS)
    if len(meta.parts) == 2:
        one_asks = meta.make(asking(meta.kind("a"), sample_weight=True), meta.kind("b"))
        with pytest.raises(UnsetMetadataPassedError, match=UNSET):
            meta.fit(one_asks, sample_weight=WEIGHTS)
    assert not seen


def test_unknown_is_a_type_error(meta: Meta, routing: None, seen: list[Any]) -> None:
    with pytest.raises(TypeError, match=r"got unexpected argument\(s\) {'weights'}, which are not routed"):
        meta.fit(meta.of(sample_weight=True), weights=WEIGHTS)
    assert not seen


@pytest.mark.parametrize("enabled", [True, False])
def test_without_metadata_all_is_as_ever(meta: Meta, enabled: bool, seen: list[Any]) -> None:
    with config_context(enable_metadata_routing=enabled):
        meta.fit(meta.of())
        meta.fit(meta.of(sample_weight=True, groups=True))
    assert len(seen) == 2 * len(meta.names)
    assert not any(metadata for _, metadata, _ in seen)


def test_without_routing_metadata_go_on_or_are_refused(meta: Meta, seen: list[Any]) -> None:
    for estimator in (meta.of(), meta.of(sample_weight=True)):
        if meta.passes:
            meta.fit(estimator, sample_weight=WEIGHTS)
            assert seen.pop()[1] == {"sample_weight": WEIGHTS}
        else:
            with pytest.raises(ValueError, match="only supported if enable_metadata_routing=True"):
                meta.fit(estimator, sample_weight=WEIGHTS)
        assert not seen


def test_routers_within_routers(routing: None, seen: list[Any], meta: Meta) -> None:
    """Pipelines in place of the estimators: they route on, in threads too."""
    steps = [[("scale", MinMaxScaler()), ("last", meta.kind(name))] for name in meta.parts]
    for (*_, (_, last)), wish in zip(steps, (True, False), strict=False):
        last.set_fit_request(sample_weight=wish)
    meta.fit(meta.make(*map(Pipeline, steps)), sample_weight=WEIGHTS)
    assert len(seen) == len(meta.names)
    for name, metadata, _ in seen:
        assert metadata == ({"sample_weight": WEIGHTS} if name == "a" else {})


def test_an_unset_request_within_a_router_is_the_same_error(routing: None, meta: Meta) -> None:
    pipelines = [make_pipeline(MinMaxScaler(), meta.kind(name)) for name in meta.parts]
    with pytest.raises(UnsetMetadataPassedError, match=UNSET):
        meta.fit(meta.make(*pipelines), sample_weight=WEIGHTS)


def test_what_is_asked_of_a_router(routing: None, meta: Meta) -> None:
    made = clone(meta.of(sample_weight="weight"))
    routes = get_routing_for_object(made)
    assert routes.consumes("fit", ["weight", "sample_weight", "groups", "reference"]) == {"weight"}
    assert routes.consumes("score", ["weight", "sample_weight"]) == set()
    if isinstance(made, PerturbationLearner):  # the one that takes weights where it scores
        made.set_score_request(sample_weight=True)
        assert get_routing_for_object(made).consumes("score", ["sample_weight"]) == {"sample_weight"}


# --- from far outside


def folds_of(seen: list[Any]) -> dict[str, list[int]]:
    """How many samples each fit had; of those that got weights, each the weight of its own."""
    sizes: dict[str, list[int]] = {}
    for name, metadata, samples in seen:
        sizes.setdefault(name, []).append(len(samples))
        if "sample_weight" in metadata:
            rows = metadata["sample_weight"].astype(int) - 1
            distance = abs(np.asarray(samples) - X[rows]).max()
            assert distance <= 0.2 + 1e-12, "the weights are those of other samples"
    return sizes


CV = StratifiedKFold(2, shuffle=True, random_state=0)


def weighted_search(pipeline: Any, **grid: Any) -> GridSearchCV:
    """A search that scores without weights."""
    scoring = get_scorer("accuracy").set_score_request(sample_weight=False)
    return GridSearchCV(pipeline, grid, scoring=scoring, cv=CV, error_score="raise")


@pytest.mark.parametrize("target", [True, False], ids=["target weighted", "target not weighted"])
def test_weights_reach_the_source_in_a_pipeline_in_a_search(
    routing: None, seen: list[Any], target: bool
) -> None:
    """They were lost where the generator said that it takes none, so that nobody asked its source."""
    source = Linear("source").set_fit_request(sample_weight=True)
    pipeline = make_pipeline(fgsm(source), Linear("target").set_fit_request(sample_weight=target))
    search = weighted_search(pipeline, adversarialgenerator__eps=[0.1, 0.2])
    search.fit(X, Y, sample_weight=WEIGHTS)
    assert folds_of(seen) == {"source": [75] * 4 + [150], "target": [75] * 4 + [150]}
    by_name = given(seen)
    assert all(by_name["source"]) and all(bool(each) is target for each in by_name["target"])
    assert search.best_estimator_.score(X, Y) > 0.5


def test_a_source_that_was_not_asked_is_said_in_a_search(routing: None, seen: list[Any]) -> None:
    pipeline = make_pipeline(fgsm(Linear("source")), Linear("target").set_fit_request(sample_weight=True))
    search = weighted_search(pipeline)
    with pytest.raises(UnsetMetadataPassedError, match=UNSET):
        search.fit(X, Y, sample_weight=WEIGHTS)
    assert not seen


OUTER: dict[str, Any] = {
    "generator": (lambda: make_pipeline(fgsm(Linear()), Linear("b")), "Pipeline.fit does not accept the"),
    "transfer": (METAS["transfer"].of, "only supported if enable_metadata_routing=True"),
    "halfway": (METAS["halfway"].of, "only supported if enable_metadata_routing=True"),
    "learner": (METAS["learner"].of, "only supported if enable_metadata_routing=True"),
}


@pytest.mark.filterwarnings("ignore:The scoring .* does not support sample_weight")
@pytest.mark.parametrize("name", OUTER)
def test_without_routing_a_search_refuses(name: str, seen: list[Any]) -> None:
    make, message = OUTER[name]
    search = GridSearchCV(make(), {}, cv=CV, error_score="raise")
    with pytest.raises(ValueError, match=message):
        search.fit(X, Y, sample_weight=WEIGHTS)
    assert not seen


def test_without_routing_the_step_is_named(seen: list[Any]) -> None:
    pipeline = make_pipeline(fgsm(Linear("source")), Linear("target"))
    GridSearchCV(pipeline, {}, cv=CV).fit(X, Y, adversarialgenerator__sample_weight=WEIGHTS)
    assert folds_of(seen)["source"] == [75, 75, 150]
    assert all(given(seen)["source"]) and not any(given(seen)["target"])


@pytest.mark.parametrize("name", ["transfer", "halfway", "learner"])
def test_scorers_and_learners_are_searched_with_weights(name: str, routing: None, seen: list[Any]) -> None:
    made = METAS[name].of(sample_weight=True)
    if name == "learner":
        made.set_score_request(sample_weight=True)
    scores = cross_validate(made, X, Y, cv=CV, params={"sample_weight": WEIGHTS}, error_score="raise")
    assert np.isfinite(scores["test_score"]).all()
    assert sorted(given(seen)) == ["a", "b"]
    assert folds_of([each for each in seen if name != "learner" or each[0] == "a"])["a"] == [75, 75]
    assert all(len(each["sample_weight"]) == 75 for name in "ab" for each in given(seen)[name])


def test_a_sampler_in_a_pipeline_of_imbalanced_learn(routing: None, seen: list[Any]) -> None:
    pipeline = pytest.importorskip("imblearn.pipeline")
    source = Linear("source").set_fit_request(sample_weight=True)
    chain = pipeline.make_pipeline(
        AdversarialSampler(FGSM, sources=source), Linear("target").set_fit_request(sample_weight=False)
    )
    weighted_search(chain).fit(X, Y, sample_weight=WEIGHTS)
    assert folds_of(seen) == {"source": [75, 75, 150], "target": [150, 150, 300]}
    assert all(given(seen)["source"]) and not any(given(seen)["target"])
    chain = clone(chain).set_params(adversarialsampler__sources=Linear("unset"))
    with pytest.raises(UnsetMetadataPassedError, match=UNSET):
        chain.fit(X, Y, sample_weight=WEIGHTS)


# --- what is fitted already, what is measured


FITTED = LogisticRegression(max_iter=1000).fit(X, Y)
ALREADY = {
    "frozen": FrozenEstimator(FITTED),
    "frozen, once asking": FrozenEstimator(
        asking(LogisticRegression(max_iter=1000), sample_weight=True).fit(X, Y)
    ),
    "module": torch.nn.Linear(4, 3).double(),
}


@pytest.mark.parametrize("name", ALREADY)
def test_what_counts_as_fitted_takes_none(name: str, seen: list[Any]) -> None:
    source = ALREADY[name]
    with pytest.raises(TypeError, match=r"fit got \['sample_weight'\], but \w+ counts as fitted and is not"):
        fgsm(source).fit(X, Y, sample_weight=WEIGHTS)
    fgsm(source).fit(X, Y, sample_weight=None)
    with config_context(enable_metadata_routing=True):
        for made in (fgsm(source), AdversarialSampler(FGSM, sources=[source])):
            with pytest.raises(TypeError, match="which are not routed to any object"):
                made.fit(X, Y, sample_weight=WEIGHTS)
        linear = Linear().set_fit_request(sample_weight=True)
        scorer = HalfwayScorer(two(linear, source), n_pairs=20).fit(X, Y, sample_weight=WEIGHTS)
    assert given(seen) == {"a": [{"sample_weight": WEIGHTS}]}
    assert scorer.models_["second"] is source


@pytest.mark.parametrize("kind", [TransferScorer, HalfwayScorer])
def test_fitted_models_take_none(kind: type) -> None:
    with pytest.raises(ValueError, match="only supported if enable_metadata_routing=True"):
        kind().fit([FITTED, FITTED], sample_weight=WEIGHTS)
    with (
        config_context(enable_metadata_routing=True),
        pytest.raises(TypeError, match="which are not routed to any object"),
    ):
        kind().fit([FITTED, FITTED], sample_weight=WEIGHTS)


def test_the_default_source_is_asked(routing: None) -> None:
    for made in (AdversarialGenerator(), AdversarialSampler()):
        with pytest.raises(UnsetMetadataPassedError, match=UNSET):
            made.fit(X, Y, sample_weight=WEIGHTS)


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(
    "measure",
    [
        TransferScorer(FGSM).fit([FITTED, FITTED]).score,
        TransferScorer(FGSM).fit([FITTED, FITTED]).transfer,
        HalfwayScorer().fit([FITTED, FITTED]).score,
        HalfwayScorer().fit([FITTED, FITTED]).measure,
    ],
    ids=["TransferScorer.score", "TransferScorer.transfer", "HalfwayScorer.score", "HalfwayScorer.measure"],
)
def test_measures_take_no_weights(measure: Any, enabled: bool) -> None:
    with (
        config_context(enable_metadata_routing=enabled),
        pytest.raises(TypeError, match="unexpected keyword argument 'sample_weight'"),
    ):
        measure(X, Y, sample_weight=WEIGHTS)


def test_a_reference_is_no_metadata(routing: None) -> None:
    scorer = TransferScorer(FGSM, estimators=two(Linear(), Linear("b")))
    assert not hasattr(scorer, "set_fit_request")
    with pytest.raises(TypeError, match="unexpected argument.*reference"):
        cross_validate(scorer, X, Y, params={"reference": X})
    assert TransferScorer(FGSM).fit([FITTED, FITTED], reference=X).n_features_in_ == 4


# --- learning from perturbations


def test_the_control_has_the_learners_weights(routing: None, seen: list[Any]) -> None:
    learner = METAS["learner"].of(sample_weight=True).fit(X, Y, sample_weight=WEIGHTS)
    learner.control_score(X, Y)
    assert given(seen) == {"a": [{"sample_weight": WEIGHTS}], "b": [{"sample_weight": WEIGHTS}] * 2}


def test_noise_has_no_weights(routing: None, seen: list[Any]) -> None:
    asks = Linear().set_fit_request(sample_weight=True)
    PerturbationLearner(asks, base="noise", random_state=0).fit(X, Y, sample_weight=WEIGHTS)
    assert given(seen) == {"a": [{"sample_weight": WEIGHTS}, {}]}
    with pytest.raises(TypeError, match="which are not routed to any object"):
        PerturbationLearner(asks, base="noise", source=FrozenEstimator(FITTED)).fit(
            X, Y, sample_weight=WEIGHTS
        )


def test_the_learner_out_of_a_frozen_estimator_is_asked(routing: None, seen: list[Any]) -> None:
    frozen = FrozenEstimator(Linear().set_fit_request(sample_weight=True).fit(X, Y))
    seen.clear()
    PerturbationLearner(frozen, random_state=0).fit(X, Y, sample_weight=WEIGHTS)
    assert given(seen) == {"a": [{"sample_weight": WEIGHTS}]}


# --- codes


def test_weights_without_labels_train_nothing(routing: None) -> None:
    made = METAS["codes"].of(sample_weight=True)
    with pytest.raises(ValueError, match=r"fit got \['sample_weight'\] to train the network with, but no y"):
        made.fit(X, sample_weight=WEIGHTS)
