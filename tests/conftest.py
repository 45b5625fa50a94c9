"""What all tests but doctests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from skhalfway.transfer import _masked


@pytest.fixture(scope="module", autouse=True)
def brief_second_opinions() -> Iterator[None]:
    """A second opinion on a source that is hardly fooled asks 8 times about a sample, not 200 times.

    It is part of every call that measures transfer by gradients. What it finds, test_masked.py is about,
    which asks as often as users do: there, a fixture of the same name leaves all as it is.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_masked, "N_QUERIES", 8)
        yield
