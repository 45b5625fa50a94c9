"""What the tests of metadata routing share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sklearn import config_context

from tests.routing.metas import METAS, Meta, Recorder


@pytest.fixture(autouse=True)
def seen() -> Iterator[list[Any]]:
    Recorder.seen.clear()
    yield Recorder.seen


@pytest.fixture
def routing() -> Iterator[None]:
    with config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(params=METAS)
def meta(request: pytest.FixtureRequest) -> Meta:
    return METAS[request.param]
