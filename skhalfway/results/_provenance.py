"""Provenance of a result: what made it, with which settings and versions, and at what cost."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, wraps
from importlib.metadata import PackageNotFoundError, version
from numbers import Integral, Real
from platform import python_version
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from skhalfway._text import in_full, shown
from skhalfway.results._record import Record

_Measure = TypeVar("_Measure", bound=Callable[..., Any])
_LONGEST = 16  # number of items up to which a setting is kept; a longer one is described
_DATA = re.compile("[Xy](_|[0-9]|$)")  # names of parameters that are samples or labels


@cache
def versions() -> dict[str, str]:
    """Versions of Python, of this package and of its numerical dependencies, as far as installed."""
    found = {"python": python_version()}
    for name in ("skhalfway", "scikit-learn", "torch", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def plain(value: Any) -> Any:
    """A setting as numbers, texts, and short lists and mappings of them; else a short description.

    It holds nothing of the machine: a function or a class is kept by its name only.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Mapping) and len(value) <= _LONGEST:
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray) and value.size <= _LONGEST:
        return plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset, range)) and len(value) <= _LONGEST:
        return [plain(one) for one in value]
    if isinstance(value, type) or inspect.isroutine(value):
        return value.__name__
    if hasattr(value, "as_setting"):
        return value.as_setting()
    if is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in fields(value) if field.init}
        return {name: plain(part) for name, part in parts.items() if part is not None}
    return shown(value)


@dataclass(frozen=True)
class Provenance(Record):
    """Origin of a result: the function, settings, versions and costs.

    It holds no names of machines or files.

    Parameters
    ----------
    made_by : str
        Name of the function or method that made the result.
    settings : dict
        Its parameters, and those of the objects that it used, as numbers, texts, and short lists of them.
        Anything else is kept as a short description. For the attack of a transfer experiment, see Notes.
    n_samples : int or None, default=None
        Number of samples; None where there is no single number.
    versions : dict of str to str
        Versions of Python, skhalfway, scikit-learn, torch and numpy, and of the library of an attack.
    seconds : float or None, default=None
        Run time in seconds.
    costs : dict of str to dict, default={}
        Costs by source: ``seconds``, and, where the attack counts them, ``queries`` (predictions of the
        source) and ``gradients``.

    See Also
    --------
    Result : Has it as ``provenance``.
    skhalfway.transfer.generator_of : Makes the recorded attack again.

    Notes
    -----
    Settings of a transfer experiment are those that its attack uses:

    - ``random_state`` is the seed of the scorer, and ``generator__random_state`` that of its generator, if it
      has one.
    - ``attack`` is the name of an attack, or a description: the code of a recipe, which
      :meth:`skhalfway.attacks.Recipe.from_text` reads, or the name of a class of another library or of a
      function of the user's.
    - ``attack_code`` is a fingerprint of the user's own code in the attack, and of the values that it uses.
      Equal fingerprints mean the same code and values. It is "not known" where these cannot be read. What a
      function does inside is not recorded otherwise.
    - ``step_size`` is the length of a step, also where the attack chose it. For an experiment with several
      budgets it is a list with one for each.
    - ``attack_params`` are the parameters of the attack, for a class of another library with its defaults.
    - Parameters that the attack does not take are left out.
    - Arrays of more than 16 numbers are described by their shape and a fingerprint of their values.

    Examples
    --------
    >>> from skhalfway.results import Provenance
    >>> Provenance("sharpness", {"radius": 0.5}, n_samples=100, versions={"python": "3.11"}).lines()
    ['made by sharpness on 100 samples', 'radius=0.5', 'python 3.11']
    """

    made_by: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    n_samples: int | None = None
    versions: Mapping[str, str] = field(default_factory=versions)
    seconds: float | None = None
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", {name: plain(value) for name, value in self.settings.items()})
        object.__setattr__(self, "versions", dict(self.versions))
        object.__setattr__(self, "costs", {name: dict(cost) for name, cost in self.costs.items()})

    def lines(self) -> list[str]:
        """Return the provenance as lines of text.

        Returns
        -------
        lines : list of str
            The function and its run time, the settings, the costs of each source, and the versions.

        Examples
        --------
        >>> from skhalfway.results import Provenance
        >>> Provenance("crossings", {"k": 5}, seconds=2.0, versions={"python": "3.11"}).lines()
        ['made by crossings in 2 s', 'k=5', 'python 3.11']
        """
        on = "" if self.n_samples is None else f" on {self.n_samples} samples"
        took = "" if self.seconds is None else f" in {_cost(self.seconds)} s"
        lines = [f"made by {self.made_by}{on}{took}"]
        settings = {name: value for name, value in self.settings.items() if value is not None}
        if settings:
            lines.append(", ".join(f"{name}={_written(value)}" for name, value in settings.items()))
        for name, cost in self.costs.items():
            lines.append(
                f"source {name!r}: " + ", ".join(f"{_cost(value)} {what}" for what, value in cost.items())
            )
        lines.append(", ".join(f"{name} {number}" for name, number in self.versions.items()))
        return lines


def _written(value: Any) -> str:
    """A setting in full, with all digits of its numbers."""
    if isinstance(value, float):
        return in_full(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name!r}: {_written(one)}' for name, one in value.items())}}}"
    return f"[{', '.join(map(_written, value))}]" if isinstance(value, list) else repr(value)


def _cost(value: float) -> str:
    """Counts in full, times with three digits, and none of either as a power of ten."""
    if isinstance(value, Integral) or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{float(f'{value:.3g}'):.6f}".rstrip("0").rstrip(".") if abs(value) >= 1e-4 else f"{value:.3g}"


def recorded(measure: _Measure) -> _Measure:
    """Give the result of a function its provenance: the function, its settings, and the run time.

    Settings are the arguments with plain values, and, for a method, such parameters of its object. Models and
    data are no settings.
    """
    signature = inspect.signature(measure)

    @wraps(measure)
    def measured(*args: Any, **kwargs: Any) -> Any:
        begin = perf_counter()
        result = measure(*args, **kwargs)
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        owner = given.arguments.get("self")
        every: dict[str, Any] = {} if owner is None else owner.get_params(deep=False)
        every |= given.arguments
        settings = {name: value for name, value in every.items() if _is_setting(name, value)}
        data = given.arguments.get("X")
        object.__setattr__(
            result,
            "provenance",
            Provenance(
                measure.__qualname__,
                settings,
                n_samples=None if data is None else int(np.shape(data)[0]),
                seconds=perf_counter() - begin,
            ),
        )
        return result

    return measured  # type: ignore[return-value]


def _is_setting(name: str, value: Any) -> bool:
    """Whether an argument affects the figures and has a plain value."""
    if name in ("n_jobs", "verbose", "self") or _DATA.match(name):
        return False
    if isinstance(value, (str, Real)) or value is None:
        return True
    return isinstance(value, (list, tuple, np.ndarray)) and all(isinstance(one, (str, Real)) for one in value)
