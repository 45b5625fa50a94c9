"""Devices that users name: whether they are there, and whose turn it is."""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock
from typing import Any

from skhalfway._text import brief, shown


def check_device(device: Any, *, several: bool = False) -> None:
    """Raise for what names no device of this machine; None is wherever the weights lie.

    ``several``: a list or tuple of devices will do.
    """
    if device is None:
        return
    if several and isinstance(device, (list, tuple)):
        if not device:
            raise ValueError(f"device must name one device at least, got {shown(device)}; {_instead()}")
        for each in device:
            if each is None or isinstance(each, (list, tuple)):
                raise ValueError(
                    f"device must be None, a device or a list of devices, but {shown(each)} in "
                    f"{shown(device)} is no device; {_instead()}"
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
    """The devices, in the order of their turns, that a checked parameter names; None is one."""
    return tuple(device) if isinstance(device, (list, tuple)) else (device,)


class Turns:
    """Devices that take turns: the next work goes where least is going on, and then where least was done.

    It is kept by whoever hands out the work, so that the work itself may be done in other processes.
    """

    def __init__(self, device: Any) -> None:
        self._devices = devices_of(device)
        self._lock = Lock()
        self._running = [0] * len(self._devices)
        self._done = [0] * len(self._devices)
        self._places: dict[Hashable, int] = {}

    def take(self, work: Hashable) -> Any:
        """The device for some work."""
        with self._lock:
            place = min(range(len(self._devices)), key=lambda i: (self._running[i], self._done[i]))
            self._running[place] += 1
            self._done[place] += 1
            self._places[work] = place
            return self._devices[place]

    def done(self, work: Hashable) -> None:
        """That work is over."""
        with self._lock:
            self._running[self._places.pop(work)] -= 1
