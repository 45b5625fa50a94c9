"""Seeds, and the global randomness of numpy and torch."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_SEEDS = np.iinfo(np.int32).max


def draw_seed(rng: np.random.RandomState) -> int:
    return int(rng.randint(_SEEDS))


@contextmanager
def undisturbed() -> Iterator[None]:
    """The global randomness of numpy, and of torch where it is in use, is afterwards as it was."""
    state, torch = np.random.get_state(), sys.modules.get("torch")
    try:
        if torch is None:
            yield
        else:
            devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
            with torch.random.fork_rng(devices=devices):
                yield
    finally:
        np.random.set_state(state)
