"""What all tests share, doctests too."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="test_fuzz draws 5,000 calls, others in every run")


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """Figures are gone after the test that drew them; matplotlib warns where too many are open."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
