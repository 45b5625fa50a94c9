"""Encoders of categories: their inputs are category codes, whose gradient is zero."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, vstack
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder
from torch import nn

from skhalfway._inputs import category_codes
from skhalfway.models._linear import tensor
from skhalfway.models._member_outputs import SideBySide
from skhalfway.models._registry import register_module
from skhalfway.models._transformers import Select


def without_slope(y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """``y``, a step function of ``x``, with a gradient of zero instead of none."""
    return y + 0 * torch.nan_to_num(x).sum(dim=1, keepdim=True)


class Category(nn.Module):
    """Index of each sample's category in its column; the number of categories if it has none of them."""

    codes: torch.Tensor
    order: torch.Tensor

    def __init__(self, categories: Any) -> None:
        super().__init__()
        codes = _in_order(tensor(category_codes(categories)))
        order = codes.argsort(stable=True)
        self.register_buffer("codes", codes[order])
        self.register_buffer("order", order)

    def index(self, x: torch.Tensor) -> torch.Tensor:
        value = _in_order(x[:, 0])
        place = torch.searchsorted(self.codes, value).clamp_max(len(self.codes) - 1)
        return torch.where(self.codes[place] == value, self.order[place], len(self.codes))


def _in_order(codes: torch.Tensor) -> torch.Tensor:
    """Codes in which missing values, which cannot be compared, are the largest."""
    return torch.where(torch.isnan(codes), torch.inf, codes.detach())


class Lookup(Category):
    """The row of a table that belongs to the category; the last row belongs to the unknown."""

    table: torch.Tensor

    def __init__(self, categories: Any, table: Any) -> None:
        super().__init__(categories)
        self.register_buffer("table", tensor(table))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return without_slope(self.table[self.index(x)], x)


class OneHot(Category):
    """1 in the output column of the category, and 0 elsewhere; all 0 if that column is ``width``.

    It equals a :class:`Lookup` of unit rows, without a table of n_categories squared.
    """

    column: torch.Tensor

    def __init__(self, categories: Any, table: Any) -> None:
        super().__init__(categories)
        table = csr_array(table)
        self.width = table.shape[1]
        column = np.full(table.shape[0], self.width)
        rows, columns = table.nonzero()
        column[rows] = columns
        self.register_buffer("column", torch.tensor(column))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hot = torch.nn.functional.one_hot(self.column[self.index(x)], self.width + 1)[:, : self.width]
        return without_slope(hot.to(x.dtype), x)


_UNSEEN = object()


def _encoder(encoder: Any, widths: Any, kind: type[OneHot] | type[Lookup]) -> nn.Module:
    """One module per column, with the encoder's own output for each category and for an unknown one.

    An encoder that refuses unknown categories does so when it transforms; its module gives zeros for them.
    """
    import pandas as pd

    refuses = encoder.get_params().get("handle_unknown") == "error"
    n_rows = max(map(len, encoder.categories_))
    columns = [
        # padded to one length by the last category
        pd.Series([*categories, *[categories[-1]] * (n_rows - len(categories)), _UNSEEN], dtype=object)
        for categories in encoder.categories_
    ]
    frame = pd.concat(columns, axis=1)
    frame.columns = getattr(encoder, "feature_names_in_", frame.columns)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
        table = encoder.transform(frame[:-1] if refuses else frame)
    table = csr_array(table if hasattr(table, "toarray") else np.asarray(table))
    unknown = csr_array((1, table.shape[1])) if refuses else table[[-1]]
    branches: list[nn.Module] = []
    ends = np.cumsum(widths)
    for i, (categories, start, end) in enumerate(zip(encoder.categories_, ends - widths, ends, strict=True)):
        own = vstack([table[: len(categories), start:end], unknown[:, start:end]])
        branches.append(nn.Sequential(Select([i]), kind(categories, own)))
    return SideBySide(branches)


@register_module(OneHotEncoder)
def one_hot_encoder(encoder: OneHotEncoder) -> nn.Module:
    return _encoder(encoder, encoder._n_features_outs, OneHot)


@register_module(OrdinalEncoder)
def ordinal_encoder(encoder: OrdinalEncoder) -> nn.Module:
    return _encoder(encoder, np.ones(len(encoder.categories_), dtype=int), Lookup)


@register_module(TargetEncoder)
def target_encoder(encoder: TargetEncoder) -> nn.Module:
    n_features = len(encoder.categories_)
    return _encoder(encoder, np.full(n_features, len(encoder.encodings_) // n_features), Lookup)
