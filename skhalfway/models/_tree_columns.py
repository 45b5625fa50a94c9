"""Columns behind other steps, each made of one column of X, for trees behind these steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.feature_selection import SelectorMixin
from sklearn.frozen import FrozenEstimator
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from skhalfway._inputs import category_codes
from skhalfway._text import shown
from skhalfway.models._registry import NotDifferentiableError


@dataclass(frozen=True)
class Columns:
    """Properties of columns, as arrays of shape (n_columns,).

    Attributes
    ----------
    source : int array
        Column of X that each column is made of.
    held : bool array
        Whether it is made of categories; otherwise it is a non-decreasing function of its source.
    same : bool array
        Whether it equals its source, except for missing values.
    missing : array
        Value of its source that counts as missing, beside nan.
    """

    source: NDArray[np.intp]
    held: NDArray[np.bool_]
    same: NDArray[np.bool_]
    missing: NDArray[np.float64]

    @staticmethod
    def of_input(n_features: int) -> Columns:
        """The columns of X."""
        no = np.zeros(n_features, dtype=bool)
        return Columns(np.arange(n_features), no, ~no, np.full(n_features, np.nan))

    @staticmethod
    def beside(parts: list[Columns]) -> Columns:
        """The columns of all parts, one after another."""
        names = ("source", "held", "same", "missing")
        return Columns(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def take(self, index: Any) -> Columns:
        index = np.asarray(index, dtype=np.intp)
        return Columns(self.source[index], self.held[index], self.same[index], self.missing[index])

    def changed(self, *, held: bool = False) -> Columns:
        """The columns after a step that is non-decreasing or, with ``held``, any step."""
        return Columns(self.source, self.held | held, np.zeros_like(self.same), self.missing)


@singledispatch
def follow(step: Any, columns: Columns) -> Columns:
    """Columns after a step, which must make each column of one other column."""
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return columns
    raise NotDifferentiableError(
        f"{type(step).__name__} is no step that transforms each column separately, "
        "as scalers, imputers and encoders do"
    )


@follow.register(MaxAbsScaler)
@follow.register(MinMaxScaler)
@follow.register(QuantileTransformer)
@follow.register(RobustScaler)
@follow.register(StandardScaler)
@follow.register(Binarizer)
def _(step: Any, columns: Columns) -> Columns:
    return columns.changed()


@follow.register
def _(step: PowerTransformer, columns: Columns) -> Columns:
    if step.method != "yeo-johnson":
        raise NotDifferentiableError(
            f"PowerTransformer(method={shown(step.method)}) takes positive numbers only"
        )
    return columns.changed()


@follow.register
def _(step: KBinsDiscretizer, columns: Columns) -> Columns:
    if step.encode != "ordinal":
        raise NotDifferentiableError(f"KBinsDiscretizer(encode={shown(step.encode)}) keeps no order")
    return columns.changed()


@follow.register
def _(step: FunctionTransformer, columns: Columns) -> Columns:
    if step.func is not None:
        raise NotDifferentiableError("FunctionTransformer with a function of its own cannot be followed")
    return columns


@follow.register
def _(step: SelectorMixin, columns: Columns) -> Columns:
    return columns.take(step.get_support(indices=True))


@follow.register
def _(step: OrdinalEncoder, columns: Columns) -> Columns:
    return columns.changed(held=True)


@follow.register
def _(step: OneHotEncoder, columns: Columns) -> Columns:
    return columns.take(np.repeat(np.arange(len(columns.source)), step._n_features_outs)).changed(held=True)


@follow.register
def _(step: TargetEncoder, columns: Columns) -> Columns:
    n_features = len(step.categories_)
    return columns.take(np.repeat(np.arange(n_features), len(step.encodings_) // n_features)).changed(
        held=True
    )


@follow.register
def _(step: MissingIndicator, columns: Columns) -> Columns:
    return _without(step, columns).take(step.features_).changed()


@follow.register
def _(step: SimpleImputer, columns: Columns) -> Columns:
    fill = category_codes(step.statistics_)
    kept = np.arange(len(fill)) if step.keep_empty_features else np.flatnonzero(~np.isnan(fill))
    filled = _without(step, columns).take(kept)
    return Columns.beside([filled, follow(step.indicator_, columns)]) if step.add_indicator else filled


def _without(step: Any, columns: Columns) -> Columns:
    """Columns in which the values that a step takes as missing count as missing."""
    missing = float(category_codes([step.missing_values])[0])
    if np.isnan(missing):
        return columns
    if not columns.same.all():
        raise NotDifferentiableError(
            f"{type(step).__name__}(missing_values={shown(step.missing_values)}) behind steps that change "
            "numbers cannot be followed"
        )
    return Columns(columns.source, columns.held, columns.same, np.full_like(columns.missing, missing))


@follow.register
def _(step: Pipeline, columns: Columns) -> Columns:
    for _, part in step.steps:
        columns = follow(part, columns)
    return columns


@follow.register
def _(step: FrozenEstimator, columns: Columns) -> Columns:
    return follow(step.estimator, columns)


@follow.register
def _(step: ColumnTransformer, columns: Columns) -> Columns:
    index = step._transformer_to_input_indices
    return _union(
        step,
        [(name, part, columns.take(index[name])) for name, part, _ in step.transformers_ if len(index[name])],
        columns,
    )


@follow.register
def _(step: FeatureUnion, columns: Columns) -> Columns:
    return _union(step, [(name, part, columns) for name, part in step.transformer_list], columns)


def _union(step: Any, parts: list[tuple[str, Any, Columns]], columns: Columns) -> Columns:
    weights = step.transformer_weights or {}
    if any(weight < 0 for weight in weights.values()):
        raise NotDifferentiableError(f"{type(step).__name__} with weights below 0 turns the order of columns")
    followed = [columns.take([])]
    for name, part, own in parts:
        if isinstance(part, str) and part == "drop":
            continue
        after = follow(part, own)
        followed.append(after.changed() if name in weights else after)
    return Columns.beside(followed)


@dataclass(frozen=True, eq=False)
class Stem:
    """Steps that may be shared by several trees behind them.

    Attributes
    ----------
    columns : Columns
        Columns after the steps.
    steps : tuple of callables
        The steps.
    """

    columns: Columns
    steps: tuple[Callable[[Any], Any], ...] = ()

    def __call__(self, X: Any) -> NDArray[Any]:
        """Apply the steps to X, which is given as the estimator takes it, and return numbers."""
        for step in self.steps:
            X = step(X)
        if hasattr(X, "toarray"):
            X = X.toarray()
        X = np.asarray(X)
        if X.dtype.kind in "fiub":
            return X.astype(X.dtype if X.dtype.kind == "f" else float)
        return np.stack([category_codes(column) for column in X.T], axis=1)


@dataclass(frozen=True)
class Path:
    """The steps from X to a classifier: a stem, and which of its columns the classifier gets, in order."""

    stem: Stem
    pick: NDArray[np.intp] = field(repr=False)

    @staticmethod
    def of_input(n_features: int) -> Path:
        return Path(Stem(Columns.of_input(n_features)), np.arange(n_features))

    def select(self, features: Any) -> Path:
        return Path(self.stem, self.pick[features])

    def then(self, step: Any) -> Path:
        """The path extended by a transformer."""
        if step is None or (isinstance(step, str) and step == "passthrough"):
            return self
        return self.through(_Transform(step), follow(step, self.stem.columns.take(self.pick)))

    def through(self, step: Callable[[Any], Any], columns: Columns | None = None) -> Path:
        """The path extended by a function whose columns are known."""
        before, own = self.stem.columns, self.stem.columns.take(self.pick)
        steps = self.stem.steps
        if not np.array_equal(self.pick, np.arange(len(before.source))):
            steps = (*steps, _Pick(self.pick))
        columns = own.changed() if columns is None else columns
        return Path(Stem(columns, (*steps, step)), np.arange(len(columns.source)))


@dataclass(frozen=True)
class _Pick:
    index: NDArray[np.intp]

    def __call__(self, X: Any) -> Any:
        return np.asarray(X)[:, self.index]


@dataclass(frozen=True)
class _Transform:
    transformer: Any

    def __call__(self, X: Any) -> Any:
        # a transformer that was fitted without names warns if it gets some
        named = hasattr(self.transformer, "feature_names_in_")
        return self.transformer.transform(X if named else _as_array(X))


def _as_array(X: Any) -> Any:
    return X.to_numpy() if hasattr(X, "to_numpy") else X
