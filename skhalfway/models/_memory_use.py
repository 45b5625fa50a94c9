"""How many samples a model's gradients can be computed for at once in the free memory."""

from __future__ import annotations

import os
import sys
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

    from skhalfway.models._model import Model

_SHARE = 0.5  # share of the free memory that all workers together may use
_PEAK = 2.0  # peak memory, as a multiple of what is kept for the gradient
_COPIES = 12  # copies of a sample, in float64, beside the model: start, step, bounds, gradient...
_TRIED = 4  # samples on which memory is measured
_UNKNOWN = 2**32  # bytes that are assumed to be free if the system does not say
# files of containers, in both versions of cgroups: most bytes, bytes in use, and their breakdown
_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)
_CACHES = ("inactive_file", "active_file")  # caches of files, which the system frees when memory is needed


def free_memory(device: torch.device | None = None) -> int:
    """Bytes that are free on a device; None is the machine, or the container that this process is in."""
    if device is not None and device.type == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    free = [_free_of_machine()]
    for limit, used, parts in _CGROUPS:
        try:
            left = int(Path(limit).read_text()) - int(Path(used).read_text())
            lines = (line.split() for line in Path(parts).read_text().splitlines())
            free.append(left + sum(int(value) for name, value in lines if name in _CACHES))
        except (OSError, ValueError):  # the file does not exist, or contains "max"
            continue
    return max(0, min(free))


def _free_of_machine() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN


def bytes_of_gradient(model: Model, X: NDArray[np.floating]) -> float:
    """Memory of the gradient of one sample: the activations that a backward pass needs.

    They are recorded as autograd saves them, while the logits of ``X``, a few samples, are computed.
    """
    import torch

    from skhalfway.models._torch import place_of

    module = model.module
    assert module is not None
    weights = {weight.untyped_storage().data_ptr() for weight in chain(module.parameters(), module.buffers())}
    held = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            held[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # an output that is referenced by its own graph would never be freed

    with model.evaluating():
        x = torch.tensor(np.ascontiguousarray(X), **place_of(module)).requires_grad_()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            logits = model.logits(x)
    del logits  # until here all recorded tensors are alive, so that no address occurs twice
    return sum(held.values()) / len(X)


def samples_that_fit(model: Model, X: NDArray[np.floating], n_workers: int = 1) -> int:
    """Number of samples that a batch may have if several workers compute gradients at the same time.

    It is a power of 2, so that small changes of the free memory do not change it.

    Parameters
    ----------
    model : Model
        A model with a gradient.
    X : ndarray of shape (n_samples, ...)
        Samples; memory is measured on a few of them.
    n_workers : int, default=1
        Threads or processes that share the memory.

    Returns
    -------
    n : int
        At least 1.
    """
    from skhalfway.models._torch import device_of

    if model.module is None or not len(X):
        return 2**30
    own = _COPIES * 8 * int(np.prod(X.shape[1:]))
    most = _SHARE * free_memory(device_of(model.module)) / n_workers
    n = most / max(1.0, _PEAK * bytes_of_gradient(model, X[:_TRIED]) + own)
    return 2 ** int(np.log2(n)) if n >= 2 else 1


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory is full; if so, torch's cached memory of a device is freed."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        torch.cuda.empty_cache()
        return True
    # torch's error on the CPU has no type of its own
    return isinstance(error, MemoryError) or "DefaultCPUAllocator" in str(error)
