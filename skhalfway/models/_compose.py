"""Compositions of transformers: feature unions, column transformers, feature selection."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.feature_selection import RFE, SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import FeatureUnion, Pipeline
from torch import nn

from skhalfway._text import shown
from skhalfway.models._linear import dense_layer, tensor
from skhalfway.models._member_outputs import SideBySide, naming, register_delegate
from skhalfway.models._registry import NotDifferentiableError, register_module
from skhalfway.models._torch import in_sequence
from skhalfway.models._transformers import Select, to_transform
from skhalfway.models._wrappers import Respond, frozen, pipeline, search

to_transform.register(Pipeline, partial(pipeline, respond=to_transform))
to_transform.register(FrozenEstimator, partial(frozen, respond=to_transform))
to_transform.register(BaseSearchCV, partial(search, respond=to_transform))

# a name, the transformer, and the modules before it
Part = tuple[str, Any, list[nn.Module]]


class Times(nn.Module):
    weight: torch.Tensor

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.register_buffer("weight", tensor(weight))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight


@register_module(ColumnTransformer)
def column_transformer(estimator: ColumnTransformer) -> nn.Module:
    columns = estimator._transformer_to_input_indices
    # a transformer of no columns is not fitted
    return _union(
        estimator,
        [
            (name, part, [Select(columns[name])])
            for name, part, _ in estimator.transformers_
            if len(columns[name])
        ],
    )


@register_module(FeatureUnion)
def feature_union(estimator: FeatureUnion) -> nn.Module:
    return _union(estimator, [(name, part, []) for name, part in estimator.transformer_list])


def _union(estimator: Any, parts: list[Part]) -> nn.Module:
    """Named transformers side by side, each after its own modules and times its weight."""
    branches = []
    for name, transformer, before in parts:
        if isinstance(transformer, str) and transformer == "drop":
            continue
        with naming(f"transformer {shown(name)} of the {type(estimator).__name__}"):
            module = to_transform(transformer)
        weight = (estimator.transformer_weights or {}).get(name)
        branches.append(in_sequence([*before, module, *([] if weight is None else [Times(weight)])]))
    return SideBySide(branches) if branches else Select([])


@to_transform.register
@register_module(SelectorMixin)
def selector(estimator: SelectorMixin) -> nn.Module:
    return Select(estimator.get_support(indices=True))


@register_delegate(RFE)
def recursive_elimination(estimator: RFE, respond: Respond) -> nn.Module:
    """The selected features, and the inner classifier by which it predicts."""
    with naming(f"the estimator of the {type(estimator).__name__}"):
        return in_sequence([selector(estimator), respond(estimator.estimator_)])


@to_transform.register
def discriminants(estimator: LinearDiscriminantAnalysis) -> nn.Module:
    if estimator.solver == "lsqr":
        raise NotDifferentiableError("LinearDiscriminantAnalysis(solver='lsqr') has no transform")
    weight = estimator.scalings_[:, : estimator._max_components].T
    return dense_layer(weight, -weight @ estimator.xbar_ if estimator.solver == "svd" else 0.0)
