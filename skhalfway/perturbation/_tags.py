"""What imbalanced-learn reads of a sampler's tags, said without importing it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from sklearn.utils import InputTags, Tags


@dataclass(slots=True)
class SamplerInputTags(InputTags):
    """scikit-learn's tags of samples, and whether a DataFrame may hold them."""

    dataframe: bool = True


@dataclass(slots=True)
class SamplerOutputTags:
    """Whether a sampler keeps where its samples come from."""

    sample_indices: bool = True


@dataclass(slots=True)
class SamplerTags(Tags):
    """scikit-learn's tags, and those of what a sampler gives."""

    sampler_tags: SamplerOutputTags = field(default_factory=SamplerOutputTags)


def sampler_tags(tags: Any) -> SamplerTags:
    """A sampler's tags, otherwise as scikit-learn's."""
    known = {each.name: getattr(tags, each.name) for each in fields(tags)}
    given = {each.name: getattr(tags.input_tags, each.name) for each in fields(tags.input_tags)}
    return SamplerTags(**known | {"estimator_type": "sampler", "input_tags": SamplerInputTags(**given)})
