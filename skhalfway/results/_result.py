"""Result: the base class of all results of the package."""

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
    """Whether two values are equal and of one kind; nan equals nan, and NaT equals NaT."""
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
    """Replaces the ``plot`` of results that have no display."""

    def __get__(self, result: Any, kind: type) -> Any:
        if result is None:
            return self
        raise AttributeError(f"a {kind.__name__} has no plot; print it, or call its to_frame")


def _fix(value: Any) -> None:
    """Make every array in a value read-only, in place."""
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
    """Base class of all results: frozen dataclasses.

    A result prints as a table, also in notebooks. ``to_frame`` returns its figures, and :meth:`plot` draws it
    with a display.

    Parameters
    ----------
    provenance : Provenance, default=None
        What made the result, with which settings and versions, and at what cost. It is ignored when results
        are compared.

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

    _kinds: ClassVar[dict[str, type[Result]]] = {}  # all subclasses by name
    _displays: ClassVar[dict[str, Any]] = {}  # displays of a class by kind, the default first

    def __init_subclass__(cls, drawn: bool = True, **kwargs: Any) -> None:
        """Register the class by its name; with ``drawn=False`` it has no ``plot``."""
        super().__init_subclass__(**kwargs)
        cls._displays = {}
        if not drawn:
            cls.plot = _Undrawn()  # type: ignore[assignment]
        Result._kinds[cls.__name__] = cls

    def __eq__(self, other: object) -> bool:
        return equal(self, other) if isinstance(other, Result) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __setstate__(self, state: dict[str, Any]) -> None:
        # pickling loses the flag that arrays are read-only
        vars(self).update(state)
        _fix(state)

    def __dir__(self) -> list[str]:
        undrawn = isinstance(type(self).__dict__.get("plot"), _Undrawn)
        return [name for name in super().__dir__() if not (undrawn and name == "plot")]

    def _table(self) -> Table:
        """Table that represents the result in text and HTML."""
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
            Kind of display, where a result has several. None is the default one.
        **kwargs : dict
            Passed to the ``plot`` of the display.

        Returns
        -------
        display : Display
            Display that holds the axes.

        Raises
        ------
        ValueError
            If there is no such display.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.inspection import CurveResult
        >>> curves = CurveResult(np.array([1, 2]), {"accuracy": np.array([[0.5], [0.8]])})
        >>> type(curves.plot()).__name__
        'CurveResultDisplay'
        """
        for cls in type(self).__mro__:
            package, *parts = cls.__module__.split(".")
            if package == "skhalfway":
                # displays register on import, and some packages import them on the first use of a result
                getattr(import_module(f"{package}.{parts[0]}"), cls.__name__, None)
        every = (getattr(cls, "_displays", {}) for cls in type(self).__mro__)
        known: dict[str, Any] = next((displays for displays in every if displays), {})
        if not known:
            raise ValueError(f"a {type(self).__name__} has no display; call its to_frame for the figures")
        if kind is not None and set(known) == {""}:
            raise ValueError(f"a {type(self).__name__} has one display only; leave kind={shown(kind)} out")
        check_choice("kind", kind, known, none=True)
        return known[next(iter(known)) if kind is None else kind].from_result(self, **kwargs)

    def save(self, path: str | Path) -> None:
        """Save the result into a file, for :func:`skhalfway.load_result`.

        The format is JSON with packed arrays; :func:`skhalfway.load_result` describes it. An existing file is
        replaced once the new one is complete.

        Parameters
        ----------
        path : str or Path
            File to write.

        Raises
        ------
        ValueError
            If the file cannot be written.

        Examples
        --------
        >>> from pathlib import Path
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from skhalfway import load_result
        >>> from skhalfway.inspection import CurveResult
        >>> curves = CurveResult(np.array([1, 2]), {"accuracy": np.array([[0.5], [0.8]])})
        >>> with TemporaryDirectory() as folder:
        ...     curves.save(Path(folder) / "curves.json")
        ...     load_result(Path(folder) / "curves.json") == curves
        True
        """
        write(self._seen_from(Path(path).parent), path)

    def _seen_from(self, place: Path) -> Result:
        """The result as it is written into a file in a folder."""
        return self

    def _with_samples(self, place: Path, folder: str | Path | None) -> Result:
        """The result as it is read from a file in ``place``, with samples from a folder if one is given."""
        if folder is not None:
            raise ValueError(f"a {type(self).__name__} has no adversarial samples; leave samples out")
        return self
