"""How many samples are attacked at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._devices import devices_of
from skhalfway.attacks._parameters import takes_gradients
from skhalfway.attacks._problem import Settings
from skhalfway.models._memory_use import samples_that_fit

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator
    from skhalfway.models import Model

# most small samples that are attacked at once: a step of few samples takes as long as a step of many
_MOST, _MOST_VALUES = 1024, 2**20


def batch_of(generator: AdversarialGenerator, model: Model, X: NDArray[Any], n_workers: int = 1) -> int:
    """The generator's batch size, or one that suits the source; with gradients, one that fits into memory.

    ``n_workers`` share the memory.
    """
    size, gradients = generator.batch_size, takes_gradients(generator, model)
    if isinstance(size, str):
        size = Settings.batch_size
        # smooth copies of trees and neighbours compute much for each sample, so larger batches save no time
        if gradients and not model.smoothed:
            fit = _MOST_VALUES // max(1, int(np.prod(X.shape[1:])))
            while size < _MOST and 2 * size <= fit:
                size *= 2
    if not gradients:
        return size
    models = [model.on(device) for device in dict.fromkeys(devices_of(generator.device))]
    # devices take turns, so each has a share of the workers
    return min([size, *(samples_that_fit(each, X, -(-n_workers // len(models))) for each in models)])
