"""Tags of a sampler for imbalanced-learn, without importing it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from sklearn.utils import InputTags, Tags


@dataclass(slots=True)
class SamplerInputTags(InputTags):
    """scikit-learn's tags of inputs, and whether these may be DataFrames."""

    dataframe: bool = True


@dataclass(slots=True)
class SamplerOutputTags:
    """Whether a sampler has ``sample_indices_``."""

    sample_indices: bool = True


@dataclass(slots=True)
class SamplerTags(Tags):
    """scikit-learn's tags, and those of a sampler's output."""

    sampler_tags: SamplerOutputTags = field(default_factory=SamplerOutputTags)


def sampler_tags(tags: Any) -> SamplerTags:
    """The tags of an estimator as those of a sampler."""
    known = {each.name: getattr(tags, each.name) for each in fields(tags)}
    given = {each.name: getattr(tags.input_tags, each.name) for each in fields(tags.input_tags)}
    return SamplerTags(**known | {"estimator_type": "sampler", "input_tags": SamplerInputTags(**given)})
