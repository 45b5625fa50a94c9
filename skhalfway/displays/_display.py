"""Display: the base class of all plots of results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from skhalfway.results import Result


class Display:
    """Base class of all displays.

    A subclass registers the results that it draws, whose ``plot`` then uses it. :meth:`from_result` draws an
    existing result; :meth:`from_estimator` measures and draws in one call.

    Parameters
    ----------
    result : Result
        The result to draw.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes of the plot.
    figure_ : matplotlib Figure
        Figure that holds them.

    See Also
    --------
    skhalfway.results.Result : Base class of the results that are drawn.

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
        """Register the display for some results, with the function that measures them and its kind."""
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
        """Draw an existing result.

        Parameters
        ----------
        result : Result
            The result to draw.
        **kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : Display
            Display that holds the axes.

        Raises
        ------
        TypeError
            If the display does not draw results of this class.

        Examples
        --------
        >>> import matplotlib
        >>> matplotlib.use("agg")
        >>> import numpy as np
        >>> from skhalfway.transfer import Robustness, RobustnessDisplay
        >>> labels = np.array([0, 0, 1, 1])
        >>> robustness = Robustness(("net",), labels, clean=labels, adversarial=np.array([[0, 1, 1, 1]]))
        >>> RobustnessDisplay.from_result(robustness).ax_.get_xlabel()
        'accuracy'
        """
        return cls(result).plot(**kwargs)

    @classmethod
    def from_estimator(cls, *args: Any, **kwargs: Any) -> Any:
        """Measure a result and draw it.

        Parameters
        ----------
        *args, **kwargs : tuple, dict
            Arguments of the function that measures what this display draws. ``plot_kw`` may be added: a dict
            that is passed to :meth:`plot`.

        Returns
        -------
        display : Display
            Display that holds the axes.

        Raises
        ------
        TypeError
            If no function measures what this display draws.
        """
        if cls._measure is None:
            raise TypeError(
                f"{cls.__name__} has no from_estimator, since no single function measures its results; "
                "measure first, and pass the result to from_result"
            )
        plot_kw = kwargs.pop("plot_kw", None)
        return cls(cls._measure(*args, **kwargs)).plot(**plot_kw or {})

    def plot(self, *args: Any, **kwargs: Any) -> Any:
        """Draw the result.

        Parameters
        ----------
        *args, **kwargs : tuple, dict
            Axes (None makes a new figure) and options of the display.

        Returns
        -------
        display : Display
            This object, with ``ax_`` and ``figure_``.
        """
        raise NotImplementedError
