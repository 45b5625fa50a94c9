"""Training that is determined by a seed, for any library."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import clone

from skhalfway._randomness import draw_seed, undisturbed
from skhalfway.models._as_model import counts_as_fitted, fit_clone
from skhalfway.models._type_checks import inner_skorch_net


def train(estimator: Any, X: Any, y: Any, seed: int, **fit_params: Any) -> Any:
    """A fitted clone whose ``random_state`` parameters derive from the seed; if fitted, the object itself."""
    if counts_as_fitted(estimator):
        return estimator
    fresh = seeded_clone(estimator, seed)
    with seeded(fresh, seed):
        return fit_clone(fresh, X, y, **fit_params)


def seeded_clone(estimator: Any, seed: int) -> Any:
    """An unfitted clone whose ``random_state`` parameters derive from the seed."""
    fresh, rng = clone(estimator), np.random.RandomState(seed)
    names = sorted(n for n in fresh.get_params() if n == "random_state" or n.endswith("__random_state"))
    return fresh.set_params(**{name: draw_seed(rng) for name in names})


@contextmanager
def seeded(estimator: Any, seed: int) -> Iterator[None]:
    """Context that seeds a skorch net's random numbers, and restores the global random state afterwards.

    Other estimators have a ``random_state``; skorch uses torch's global generator.
    """
    if inner_skorch_net(estimator) is None:
        yield
        return
    import torch

    with undisturbed():
        torch.manual_seed(seed)
        yield
