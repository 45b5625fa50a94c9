"""Display: what every drawing of a result is and does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from skhalfway.results import Result


class Display:
    """Base of all displays.

    A subclass says which results it draws; their ``plot`` finds it. Made from
    a result by :meth:`from_result`, or measured and drawn at once by
    :meth:`from_estimator`.

    Parameters
    ----------
    result : Result
        What to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes that were drawn on.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    skhalfway.results.Result : What is drawn.

    Examples
    --------
    >>> from skhalfway import TransferMatrixDisplay
    >>> from skhalfway.displays import Display
    >>> issubclass(TransferMatrixDisplay, Display)
    True
    """

    _draws: ClassVar[tuple[type[Result], ...]] = ()
    _measure: ClassVar[Callable[..., Any] | None] = None

    def __init_subclass__(
        cls,
        draws: Sequence[type[Result]] = (),
        by: Callable[..., Any] | None = None,
        kind: str = "",
        first: bool = False,
        **kwargs: Any,
    ) -> None:
        """Register the display of some results, what measures them, and its kind among several."""
        super().__init_subclass__(**kwargs)
        if draws:
            cls._draws = tuple(draws)
        if by is not None:
            cls._measure = staticmethod(by)
        for result in draws:
            others = result._displays
            result._displays = {kind: cls} | others if first else others | {kind: cls}

    def __init__(self, result: Any) -> None:
        if self._draws and not isinstance(result, self._draws):
            allowed = " or ".join(f"a {one.__name__}" for one in self._draws)
            raise TypeError(f"{type(self).__name__} draws {allowed}, got {type(result).__name__}")
        self.result = result

    @classmethod
    def from_result(cls, result: Any, **kwargs: Any) -> Any:
        """Draw a result that is there.

        Parameters
        ----------
        result : Result
            What to draw.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : Display
            With the axes it drew on.

        Raises
        ------
        TypeError
            If the display is one of other results.
        """
        return cls(result).plot(**kwargs)

    @classmethod
    def from_estimator(cls, *args: Any, **kwargs: Any) -> Any:
        """Measure and draw.

        Parameters
        ----------
        *args, **kwargs : tuple, dict
            Estimator, data and options, as the function takes them that
            measures what this display draws; and ``plot_kw``, a dict that is
            passed to :meth:`plot`.

        Returns
        -------
        display : Display
            With the axes it drew on.

        Raises
        ------
        TypeError
            If there is no such function.
        """
        if cls._measure is None:
            raise TypeError(
                f"{cls.__name__} draws results that are there, by from_result; to measure and draw at once "
                "use the display of a measurement"
            )
        plot_kw = kwargs.pop("plot_kw", None)
        return cls(cls._measure(*args, **kwargs)).plot(**plot_kw or {})

    def plot(self, *args: Any, **kwargs: Any) -> Any:
        """Draw.

        Parameters
        ----------
        *args, **kwargs : tuple, dict
            Axes, of which None makes a figure, and options of the display.

        Returns
        -------
        display : Display
            This object, with ``ax_`` and ``figure_``.
        """
        raise NotImplementedError
