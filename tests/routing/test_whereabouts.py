"""Metadata of ``fit`` from far outside, and of what takes none: none is lost without a word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway.perturbation import AdversarialSampler, PerturbationLearner
from tests.routing.metas import FGSM, METAS, UNSET, WEIGHTS, Linear, X, Y, asking, fgsm, given, two

pytestmark = pytest.mark.filterwarnings("ignore::skhalfway.codes.CoarseMapWarning")


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
