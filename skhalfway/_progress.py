"""Progress of long work: a bar for people, log records for machines."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

LOGGER = logging.getLogger("skhalfway")
LOGGER.addHandler(logging.NullHandler())
_EVERY = 0.5  # seconds between two updates of the number of queries


def _tqdm() -> Any:
    """Class of the bar: for notebooks, or for text if a notebook has no widgets, of which tqdm warns."""
    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm
    return tqdm


class Progress:
    """One stage of work.

    The logger "skhalfway" gets a record at the beginning and the end of the stage (INFO), and for each piece
    of work (DEBUG). With ``verbose`` a bar shows the last piece and the remaining time; above 1 it also shows
    how often models were queried so far.

    Parameters
    ----------
    what : str
        Name of the stage.
    total : int
        Number of units.
    unit : str
        Name of a unit.
    verbose : int
        Verbosity; 0 for no bar.
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
        """Count a query of a model."""
        self._asked += 1
        if self._bar is not None and perf_counter() - self._looked > _EVERY:
            self._looked = perf_counter()
            self._show()

    def _show(self) -> None:
        asked = [f"models asked {self._asked} times"] if self._asked else []
        self._bar.set_postfix_str(", ".join([self._name, *asked] if self._name else asked))

    def done(self, n: int, name: str) -> None:
        """Add n finished units, and the name of their model."""
        self._done, self._name = self._done + n, name
        LOGGER.debug(
            "%s: %s%d of %d %ss", self._what, f"{name}, " if name else "", self._done, self._total, self._unit
        )
        if self._bar is not None:
            self._show()
            self._bar.update(n)

    def close(self) -> None:
        """End the stage."""
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
    """Show calls of functions, one for each of several models, by name, as a stage of work."""
    progress = Progress(what, total, unit, verbose)

    def told(name: str, function: Callable[..., Any], *args: Any) -> Any:
        result = call(name, function, *args)
        progress.done(1, name)
        return result

    try:
        yield told
    finally:
        progress.close()
