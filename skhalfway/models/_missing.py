"""Missing values: imputation and indicators."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.impute import MissingIndicator, SimpleImputer
from torch import nn

from skhalfway._inputs import category_codes
from skhalfway.models._encoders import without_slope
from skhalfway.models._linear import tensor
from skhalfway.models._member_outputs import SideBySide
from skhalfway.models._registry import register_module
from skhalfway.models._transformers import Select


class Missing(nn.Module):
    """Mask of missing values, for any ``missing_values`` of an estimator; categories are codes."""

    def __init__(self, missing_values: Any) -> None:
        super().__init__()
        self.code = float(category_codes([missing_values])[0])

    def where(self, x: torch.Tensor) -> torch.Tensor:
        return torch.isnan(x) if np.isnan(self.code) else x == self.code


class Fill(Missing):
    """Replace missing values; the gradient is 0 for these, and unchanged for others."""

    fill: torch.Tensor

    def __init__(self, missing_values: Any, fill: Any) -> None:
        super().__init__(missing_values)
        self.register_buffer("fill", tensor(fill))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.where(self.where(x), self.fill, x)


class Indicate(Missing):
    """1 if a value is missing, else 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return without_slope(self.where(x).to(x.dtype), x)


@register_module(MissingIndicator)
def missing_indicator(indicator: MissingIndicator) -> nn.Module:
    return nn.Sequential(Select(indicator.features_), Indicate(indicator.missing_values))


@register_module(SimpleImputer)
def simple_imputer(imputer: SimpleImputer) -> nn.Module:
    fill = category_codes(imputer.statistics_)
    # a column without any value has no fill value, and is dropped
    kept = np.arange(len(fill)) if imputer.keep_empty_features else np.flatnonzero(~np.isnan(fill))
    filled = nn.Sequential(Select(kept), Fill(imputer.missing_values, fill[kept]))
    return SideBySide([filled, missing_indicator(imputer.indicator_)]) if imputer.add_indicator else filled
