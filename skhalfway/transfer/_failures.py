"""Models that raise, take too long or end their process: what is lost by that, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from numbers import Real
from typing import Any

from skhalfway._text import brief, shown
from skhalfway._time_limit import within
from skhalfway.models._faults import named
from skhalfway.results._reading import part_of_results

_LONGEST = 300  # characters of a reason


def check_error_score(error_score: Any) -> None:
    """Raise for anything but "raise" and nan."""
    nan = isinstance(error_score, Real) and math.isnan(error_score)
    if not nan and not (isinstance(error_score, str) and error_score == "raise"):
        raise ValueError(f"error_score must be 'raise' or numpy.nan, got {shown(error_score)}")


@part_of_results
@dataclass(frozen=True)
class FailedPair:
    """A source and a target between which transfer is not known, or not for all samples.

    Parameters
    ----------
    source, target : str
        Their names.
    reason : str
        What happened.

    See Also
    --------
    Outcomes : Holds them; ``TransferMatrix.failures`` has them by pair.

    Examples
    --------
    >>> from skhalfway.transfer import FailedPair
    >>> FailedPair("net", "service", "model 'service': took longer than timeout=5 s").reason
    "model 'service': took longer than timeout=5 s"
    """

    source: str
    target: str
    reason: str


@dataclass(frozen=True)
class Failed:
    """In the place of a result: why there is none."""

    reason: str


@dataclass(frozen=True)
class Care:
    """How models are called that may fail.

    Attributes
    ----------
    raises : bool
        Whether what they raise ends all.
    timeout : float or None
        How many seconds a call may take.
    """

    raises: bool = True
    timeout: float | None = None

    def __call__(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        """What the function gives; :class:`Failed` where it raises, and that does not end all."""
        if self.timeout is not None:
            function = partial(within, self.timeout, function)
        try:
            return named(name, function, *args)
        except Warning:
            raise  # an exception where the user asks for that
        except Exception as error:
            if self.raises:
                raise
            return Failed(brief(error, _LONGEST))


class Failures:
    """What is lost in one experiment; filled as it goes on.

    Parameters
    ----------
    care : Care
        How models are called.
    """

    def __init__(self, care: Care) -> None:
        self.care = care
        self.interrupt: KeyboardInterrupt | None = None
        self._of_models: dict[str, str] = {}
        self._of_sources: dict[str, str] = {}
        self._of_pairs: dict[tuple[str, str], str] = {}
        self._of_the_rest: dict[str, str] = {}

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        """What a model gives; where it fails, all that it has a part in is lost."""
        result = self.care(name, function, *args)
        if isinstance(result, Failed):
            self.lose_model(name, result.reason)
        return result

    def lose_model(self, name: str, reason: str) -> None:
        """Nothing is known of a model."""
        self._of_models.setdefault(name, reason)

    def died(self, name: str, reason: str) -> Failed:
        """A model ended the process it was asked in, alone: it is asked no more."""
        said = f"model {shown(name, 40)}: {reason}"
        if self.care.raises:
            raise RuntimeError(said)
        self.lose_model(name, said)
        return Failed(said)

    def lose_source(self, name: str, reason: str) -> None:
        """Nothing is known of samples made on a model."""
        self._of_sources.setdefault(name, f"{reason}, while it was attacked")

    def lose_pair(self, source: str, target: str, reason: str) -> None:
        """Nothing is known of what one model says of samples made on another."""
        if source == target:  # how a source's samples count depends on what it says of them itself
            self.lose_source(source, reason)
        asked = f"{reason}, when it was asked about samples made on {shown(source, 40)}"
        self._of_pairs.setdefault((source, target), asked)

    def leave(self, source: str, n_attacked: int, n: int) -> None:
        """The user interrupted while a source's samples were being attacked."""
        self._of_the_rest[source] = f"interrupted when {n_attacked} of {n} samples were attacked"

    def has_lost(self, name: str) -> bool:
        """Whether nothing is known of samples made on a model."""
        return name in self._of_models or name in self._of_sources

    def without(self, source: str, targets: Iterable[str]) -> frozenset[str]:
        """Those who need not be asked about samples made on a source."""
        return frozenset(name for name in targets if self.lost(source, name) is not None)

    def lost(self, source: str, target: str) -> str | None:
        """Why nothing is known of a pair; None where it is."""
        whole = self._of_models.get(source) or self._of_models.get(target)
        return whole or self._of_sources.get(source) or self._of_pairs.get((source, target))

    def known(self, names: Iterable[str]) -> list[str]:
        """Those models that have not failed."""
        return [name for name in names if name not in self._of_models]

    def pairs(self, sources: Collection[str], targets: Collection[str]) -> tuple[FailedPair, ...]:
        """All pairs of which something is not known."""
        each = [
            (source, target, self.lost(source, target) or self._of_the_rest.get(source))
            for source in sources
            for target in targets
        ]
        return tuple(FailedPair(source, target, reason) for source, target, reason in each if reason)
