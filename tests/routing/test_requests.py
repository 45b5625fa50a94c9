"""Metadata of ``fit``: each estimator gets what it requests, and scikit-learn says what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils.metadata_routing import get_routing_for_object

from skhalfway.perturbation import PerturbationLearner
from tests.routing.metas import GROUPS, UNSET, WEIGHTS, Meta, asking

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
