"""Result: what every result of the package is and does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from skhalfway._checks import check_choice
from skhalfway._text import shown
from skhalfway.results._provenance import Provenance
from skhalfway.results._table import Table
from skhalfway.results._writing import write


def equal(one: Any, other: Any) -> bool:
    """Whether two values are of one kind and equal, nan to nan, and no time to no time."""
    if isinstance(one, np.ndarray):
        if (
            not isinstance(other, np.ndarray)
            or one.shape != other.shape
            or one.dtype.kind != other.dtype.kind
        ):
            return False
        if one.dtype == object:
            return all(map(equal, one.ravel().tolist(), other.ravel().tolist()))
        return np.array_equal(one, other, equal_nan=one.dtype.kind in "fcmM")
    if isinstance(one, float):
        return isinstance(other, float) and (one == other or (one != one and other != other))
    if isinstance(one, str):
        return isinstance(other, str) and one == other
    if type(one) is not type(other):
        return False
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, (tuple, list)):
        return len(one) == len(other) and all(map(equal, one, other))
    if is_dataclass(one):
        return all(equal(getattr(one, f.name), getattr(other, f.name)) for f in fields(one) if f.compare)
    return bool(one == other)


def frozen(array: Any, dtype: Any = None) -> np.ndarray[Any, Any]:
    """A read-only copy."""
    copied = np.array(array, dtype=dtype)
    copied.setflags(write=False)
    return copied


class _Undrawn:
    """In the place of the ``plot`` of results that are figures to be read, which nothing draws."""

    def __get__(self, result: Any, kind: type) -> Any:
        if result is None:
            return self
        raise AttributeError(f"a {kind.__name__} is not drawn; print it, or see the figures of its to_frame")


def _fix(value: Any) -> None:
    """Make every array in a value read-only, where it is."""
    if isinstance(value, np.ndarray):
        value.setflags(write=False)
    elif isinstance(value, Mapping):
        for part in value.values():
            _fix(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            _fix(part)
    elif is_dataclass(value) and not isinstance(value, type):
        _fix(vars(value))


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Result:
    """Base of all results: dataclasses that cannot be changed.

    A subclass says in ``_table`` what it shows and in ``to_frame`` what
    it holds; it is drawn by the displays that are registered for it.

    Parameters
    ----------
    provenance : Provenance, default=None
        What made it, with which settings and versions, and what it cost; two
        results with the same figures are equal wherever they come from.

    See Also
    --------
    skhalfway.load_result : Reads what :meth:`save` wrote.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import CurveResult
    >>> from skhalfway.results import Result
    >>> curves = CurveResult(np.array([1, 2]), {"accuracy": np.array([[0.5], [0.8]])})
    >>> isinstance(curves, Result), curves == CurveResult(curves.x, curves.values)
    (True, True)
    """

    provenance: Provenance | None = field(default=None, compare=False)

    _kinds: ClassVar[dict[str, type[Result]]] = {}  # every class by its name
    _displays: ClassVar[dict[str, Any]] = {}  # those of a class by their kind, the usual one first

    def __init_subclass__(cls, drawn: bool = True, **kwargs: Any) -> None:
        """Know the class by its name; one that nothing draws has no ``plot``."""
        super().__init_subclass__(**kwargs)
        cls._displays = {}
        if not drawn:
            cls.plot = _Undrawn()  # type: ignore[assignment]
        Result._kinds[cls.__name__] = cls

    def __eq__(self, other: object) -> bool:
        return equal(self, other) if isinstance(other, Result) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __setstate__(self, state: dict[str, Any]) -> None:
        # pickles do not know that arrays are read-only
        vars(self).update(state)
        _fix(state)

    def __dir__(self) -> list[str]:
        undrawn = isinstance(type(self).__dict__.get("plot"), _Undrawn)
        return [name for name in super().__dir__() if not (undrawn and name == "plot")]

    def _table(self) -> Table:
        """What is shown."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        details = ""
        if self.provenance is not None:
            lines = Table("", notes=self.provenance.lines()).notes_html()
            details = (
                f'<details style="font-size:13px"><summary>Where this comes from</summary>{lines}</details>'
            )
        return self._table().html() + details

    def plot(self, kind: str | None = None, **kwargs: Any) -> Any:
        """Draw the result.

        Parameters
        ----------
        kind : str, default=None
            Which display, where there are several. None is the usual one.
        **kwargs : dict
            Passed to the ``plot`` of the display.

        Returns
        -------
        display : Display
            With the axes it drew on.

        Raises
        ------
        ValueError
            If there is no such display.
        """
        for cls in type(self).__mro__:
            package, *parts = cls.__module__.split(".")
            if package == "skhalfway":
                # displays register when they are imported, which some packages do when a result is asked for
                getattr(import_module(f"{package}.{parts[0]}"), cls.__name__, None)
        every = (getattr(cls, "_displays", {}) for cls in type(self).__mro__)
        known: dict[str, Any] = next((displays for displays in every if displays), {})
        if not known:
            raise ValueError(f"there is no display of {type(self).__name__}; to_frame gives its figures")
        if kind is not None and set(known) == {""}:
            raise ValueError(f"a {type(self).__name__} is drawn in one way; leave kind={shown(kind)} out")
        if kind is not None:
            check_choice("kind", kind, known)
        return known[next(iter(known)) if kind is None else kind].from_result(self, **kwargs)

    def save(self, path: str | Path) -> None:
        """Write everything into a file, for :func:`skhalfway.load_result`.

        The format, JSON with packed arrays, is described there. A file that
        exists is replaced, once the new one is complete.

        Parameters
        ----------
        path : str or Path
            The file.

        Raises
        ------
        ValueError
            If it cannot be written.
        """
        write(self._seen_from(Path(path).parent), path)

    def _seen_from(self, place: Path) -> Result:
        """As it is written into a file in a folder."""
        return self

    def _with_samples(self, place: Path, folder: str | Path | None) -> Result:
        """As read from a file in ``place``, with samples that were kept in a folder, if any is given."""
        if folder is not None:
            raise ValueError(f"a {type(self).__name__} has no samples of its own; leave samples out")
        return self
