"""What is said of long work while it goes on: a bar for people, records for machines."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

LOGGER = logging.getLogger("skhalfway")
LOGGER.addHandler(logging.NullHandler())
_EVERY = 0.5  # seconds between two looks at what was asked


def _tqdm() -> Any:
    """The bar for notebooks, or that of text, where a notebook has no widgets: tqdm warns of that."""
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm
    return tqdm


class Progress:
    """One stage of work.

    Above it in the log are the stage's beginning and end (INFO) and each piece (DEBUG) of the logger
    "skhalfway". With ``verbose`` a bar says what was done last, and how long the rest will take; above 1 it
    also says how often models were asked so far.

    Parameters
    ----------
    what : str
        What is done.
    total : int
        How many units there are.
    unit : str
        What is counted.
    verbose : int
        0 for no bar.
    """

    def __init__(self, what: str, total: int, unit: str, verbose: int) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done, self._asked, self._name = 0, 0, ""
        self._begin = self._looked = perf_counter()
        self._bar: Any = None
        if verbose:
            self._bar = _tqdm()(total=total, desc=what, unit=unit)
        self.counts = verbose > 1
        LOGGER.info("%s: %d %ss", what, total, unit)

    def asked(self) -> None:
        """A model was asked."""
        self._asked += 1
        if self._bar is not None and perf_counter() - self._looked > _EVERY:
            self._looked = perf_counter()
            self._show()

    def _show(self) -> None:
        asked = [f"models asked {self._asked} times"] if self._asked else []
        self._bar.set_postfix_str(", ".join([self._name, *asked] if self._name else asked))

    def done(self, n: int, name: str) -> None:
        """So many units more are done; of whom."""
        self._done, self._name = self._done + n, name
        LOGGER.debug(
            "%s: %s%d of %d %ss", self._what, f"{name}, " if name else "", self._done, self._total, self._unit
        )
        if self._bar is not None:
            self._show()
            self._bar.update(n)

    def close(self) -> None:
        """The stage is over."""
        if self._bar is not None:
            self._bar.close()
        LOGGER.info(
            "%s: %d of %d %ss in %.1f s",
            self._what,
            self._done,
            self._total,
            self._unit,
            perf_counter() - self._begin,
        )


@contextmanager
def announced(
    what: str, total: int, unit: str, verbose: int, call: Callable[..., Any]
) -> Iterator[Callable[..., Any]]:
    """Calls of functions, one for each of several models and by its name, as a stage of work."""
    progress = Progress(what, total, unit, verbose)

    def told(name: str, function: Callable[..., Any], *args: Any) -> Any:
        result = call(name, function, *args)
        progress.done(1, name)
        return result

    try:
        yield told
    finally:
        progress.close()
