"""Models that raise, time out or kill their process: which results are lost, and why."""

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
from skhalfway.results._record import Record

_LONGEST = 300  # characters of a reason


def check_error_score(error_score: Any) -> None:
    """Raise unless it is "raise" or nan."""
    nan = isinstance(error_score, Real) and math.isnan(error_score)
    if not nan and not (isinstance(error_score, str) and error_score == "raise"):
        raise ValueError(f"error_score must be 'raise' or numpy.nan, got {shown(error_score)}")


@part_of_results
@dataclass(frozen=True)
class FailedPair(Record):
    """A pair of source and target whose transfer rate is unknown, or known for some samples only.

    Parameters
    ----------
    source, target : str
        Names of the two models.
    reason : str
        Reason, as the error message of the model that failed.

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
    """Takes the place of a result: the reason why there is none."""

    reason: str


@dataclass(frozen=True)
class Care:
    """How to call models that may fail.

    Attributes
    ----------
    raises : bool
        Whether errors of models are raised; else they are returned as :class:`Failed`.
    timeout : float or None
        Limit of a call, in seconds.
    """

    raises: bool = True
    timeout: float | None = None

    def __call__(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        """Result of the function; :class:`Failed` where it raises and errors are not to be raised."""
        if self.timeout is not None:
            function = partial(within, self.timeout, function)
        try:
            return named(name, function, *args)
        except Warning:
            raise  # the user turned warnings into errors
        except Exception as error:
            if self.raises:
                raise
            return Failed(brief(error, _LONGEST))


class Failures:
    """Record of what failed in one experiment, filled while it runs.

    Parameters
    ----------
    care : Care
        How to call models.
    """

    def __init__(self, care: Care) -> None:
        self.care = care
        self.interrupt: KeyboardInterrupt | None = None
        self._of_models: dict[str, str] = {}
        self._of_sources: dict[str, str] = {}
        self._of_pairs: dict[tuple[str, str], str] = {}
        self._of_the_rest: dict[str, str] = {}

    def call(self, name: str, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function of a model; where it fails, note that all results of the model are lost."""
        result = self.care(name, function, *args)
        if isinstance(result, Failed):
            self.lose_model(name, result.reason)
        return result

    def lose_model(self, name: str, reason: str) -> None:
        """Note that all results of a model are lost."""
        self._of_models.setdefault(name, reason)

    def died(self, name: str, reason: str) -> Failed:
        """Note that a model, called alone in a process, killed it; it is not called again."""
        said = f"model {shown(name, 40)}: {reason}"
        if self.care.raises:
            raise RuntimeError(said)
        self.lose_model(name, said)
        return Failed(said)

    def lose_source(self, name: str, reason: str) -> None:
        """Note that a source could not be attacked."""
        self._of_sources.setdefault(name, f"{reason}, while it was attacked")

    def lose_pair(self, source: str, target: str, reason: str) -> None:
        """Note that a target could not predict the samples made on a source."""
        if source == target:  # whether samples count depends on the source's own predictions for them
            self.lose_source(source, reason)
        asked = f"{reason}, when it was asked about samples made on {shown(source, 40)}"
        self._of_pairs.setdefault((source, target), asked)

    def leave(self, source: str, n_attacked: int, n: int) -> None:
        """Note that the user interrupted while a source was attacked."""
        self._of_the_rest[source] = f"interrupted when {n_attacked} of {n} samples were attacked"

    def has_lost(self, name: str) -> bool:
        """Whether there are no adversarial samples of a source."""
        return name in self._of_models or name in self._of_sources

    def without(self, source: str, targets: Iterable[str]) -> frozenset[str]:
        """Targets whose results for a source are lost, so that they need not be asked."""
        return frozenset(name for name in targets if self.lost(source, name) is not None)

    def lost(self, source: str, target: str) -> str | None:
        """Reason why the result of a pair is lost; None where it is not."""
        whole = self._of_models.get(source) or self._of_models.get(target)
        return whole or self._of_sources.get(source) or self._of_pairs.get((source, target))

    def known(self, names: Iterable[str]) -> list[str]:
        """Models that have not failed."""
        return [name for name in names if name not in self._of_models]

    def pairs(self, sources: Collection[str], targets: Collection[str]) -> tuple[FailedPair, ...]:
        """All pairs with lost or incomplete results."""
        each = [
            (source, target, self.lost(source, target) or self._of_the_rest.get(source))
            for source in sources
            for target in targets
        ]
        return tuple(FailedPair(source, target, reason) for source, target, reason in each if reason)
