"""Seeds, and the global randomness of Python, numpy and torch."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import signature
from threading import RLock, get_ident
from typing import Any, TypeVar, cast

import numpy as np
from numpy.random.bit_generator import ISeedSequence
from numpy.typing import NDArray

from skhalfway._checks import check_random_state

Function = TypeVar("Function", bound=Callable[..., Any])

_SEEDS = np.iinfo(np.int32).max


def draw_seed(rng: np.random.RandomState) -> int:
    return int(rng.randint(_SEEDS))


class _NoEntropy(ISeedSequence):
    """Seed sequence for a generator that is reseeded at once, since reading entropy would be slow."""

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> NDArray[Any]:
        return np.ones(n_words, dtype=dtype)


def _seeded(seed: int) -> np.random.RandomState:
    rng = np.random.RandomState(np.random.MT19937(_NoEntropy()))  # type: ignore[arg-type]
    rng.seed(seed)
    return rng


def own_rng(random_state: Any) -> np.random.RandomState:
    """A generator of its own; for None it is seeded by a number from numpy's global generator."""
    if type(random_state) is int and 0 <= random_state < 2**32:
        return _seeded(random_state)
    rng = check_random_state(random_state)
    return _seeded(draw_seed(rng)) if random_state in (None, np.random) else rng


class _Guard:
    """Holds the global random states from before the first of several nested or parallel blocks."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._inside: list[int] = []  # thread ids, one entry for each block
        self._before: tuple[Any, ...] = ()

    def enter(self) -> tuple[Any, ...]:
        with self._lock:
            states = _global_states()
            if not self._inside:
                self._before = states
            self._inside.append(get_ident())
            return states

    def leave(self, states: tuple[Any, ...]) -> None:
        with self._lock:
            self._inside.remove(get_ident())
            if not self._inside:
                _restore(*self._before)
            elif set(self._inside) == {get_ident()}:
                # nested blocks of one thread, with no other thread in between
                _restore(*states)


def _global_states() -> tuple[Any, ...]:
    torch = sys.modules.get("torch")
    states = random.getstate(), np.random.get_state()
    if torch is None:
        return *states, None, None
    on_devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None
    return *states, torch.random.get_rng_state(), on_devices


def _restore(python: Any, numpy: Any, of_torch: Any, on_devices: Any) -> None:
    random.setstate(python)
    np.random.set_state(numpy)
    if of_torch is not None:
        torch = sys.modules["torch"]
        torch.random.set_rng_state(of_torch)
        if on_devices is not None:
            torch.cuda.set_rng_state_all(on_devices)


_GUARD = _Guard()


# code that draws from the global generators runs under this lock
_ALONE = RLock()


@contextmanager
def globally_seeded(seed: int) -> Iterator[None]:
    """Seed the global generators inside the block, in one thread at a time, and restore them at its end."""
    with _ALONE:
        states = _global_states()
        random.seed(seed)
        np.random.seed(seed)
        if (torch := sys.modules.get("torch")) is not None:
            torch.manual_seed(seed)
        try:
            yield
        finally:
            _restore(*states)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Restore the global random states of Python, numpy and torch at the end, with any number of threads."""
    states = _GUARD.enter()
    try:
        yield
    finally:
        _GUARD.leave(states)


def leaving_no_trace(function: Function) -> Function:
    """Decorate a function that measures, so that every call is :func:`undisturbed`.

    With ``random_state=None``, of the function or its object, every call draws other numbers, as in
    scikit-learn.
    """
    own = signature(function).parameters.get("random_state")

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if own is not None:
            random_state = kwargs.get("random_state", own.default)
        else:
            random_state = getattr(args[0], "random_state", 0) if args else 0
        if random_state is None:
            np.random.random_sample()
        with undisturbed():
            return function(*args, **kwargs)

    return cast(Function, call)
