"""Devices that users name: whether they exist, and which one is used next."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock
from typing import Any

from skhalfway._text import brief, shown


def check_device(device: Any, *, several: bool = False) -> None:
    """Raise unless this names a device of this machine; None is the device of the weights.

    ``several``: a list or tuple of devices is allowed too.
    """
    if device is None:
        return
    if several and isinstance(device, (list, tuple)):
        if not device:
            raise ValueError(f"device must name at least one device, got {shown(device)}; {_instead()}")
        for each in device:
            if each is None or isinstance(each, (list, tuple)):
                raise ValueError(
                    f"device must be None, a device or a list of devices, but {shown(each)} in "
                    f"{shown(device)} is not a device; {_instead()}"
                )
            check_device(each)
        return
    import torch

    try:
        torch.zeros(1, device=torch.device(device)).cpu()
    except (RuntimeError, AssertionError, ImportError, TypeError, ValueError) as error:
        raise ValueError(
            f"device={shown(device)} cannot be used on this machine: {brief(error, 120)}; {_instead()}"
        ) from error


def _instead() -> str:
    *most, last = map(repr, available())
    return f"pass {', '.join([*most, last])} or None"


def available() -> list[str]:
    """Names of the devices that torch finds on this machine."""
    import torch

    found, accelerator = ["cpu"], torch.accelerator.current_accelerator(check_available=True)
    if accelerator is not None:
        found += [f"{accelerator.type}:{i}" for i in range(torch.accelerator.device_count())]
    return found


def devices_of(device: Any) -> tuple[Any, ...]:
    """The devices that a checked parameter names, in order; None counts as one."""
    return tuple(device) if isinstance(device, (list, tuple)) else (device,)


class Turns:
    """Devices in turn: the next job goes to the one with the fewest running jobs, then the fewest finished.

    It stays with the caller that distributes the jobs, so that these may run in other processes.
    """

    def __init__(self, device: Any) -> None:
        self._devices = devices_of(device)
        self._lock = Lock()
        self._running = [0] * len(self._devices)
        self._done = [0] * len(self._devices)
        self._places: dict[Hashable, int] = {}

    def take(self, work: Hashable) -> Any:
        """Choose the device for a job."""
        with self._lock:
            place = min(range(len(self._devices)), key=lambda i: (self._running[i], self._done[i]))
            self._running[place] += 1
            self._done[place] += 1
            self._places[work] = place
            return self._devices[place]

    def done(self, work: Hashable) -> None:
        """Note that a job has ended."""
        with self._lock:
            self._running[self._places.pop(work)] -= 1
