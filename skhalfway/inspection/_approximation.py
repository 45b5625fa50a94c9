"""approximation_curve: how well networks of one hidden layer approximate a function, by their width."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor

from skhalfway._checks import ascending_integers, check_integer, check_positive
from skhalfway._intervals import POSITIVE
from skhalfway._text import brief, shown
from skhalfway.inspection._curve_result import CurveResult
from skhalfway.inspection._repeats import repeated
from skhalfway.results._provenance import recorded

_GRID = 20_001  # points of [0, 1] at which errors are measured
_NONE = 1e-12  # remaining weight that is neglected


class ApproximationCurve(CurveResult):
    """Largest error of networks of one hidden layer on a function, by width.

    Made by :func:`approximation_curve`; arrays are read-only.

    Parameters
    ----------
    x : ndarray of shape (n_widths,)
        Numbers of hidden units.
    values : dict of str to ndarray of shape (n_widths, n_repeats)
        Largest errors: ``"bound"`` is a proved upper bound for the constructed
        network, ``"constructed"`` is the error of that network, and ``"trained"``
        the error of networks that were trained.

    See Also
    --------
    ApproximationCurveDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import ApproximationCurve
    >>> ApproximationCurve(np.array([1, 2]), {"bound": np.array([[0.5], [0.25]])})
    ApproximationCurve: 2 points, 1 repeat
    hidden units  bound
    1             .50
    2             .25
    """

    x_label = "hidden units"
    x_scale = "log"

    def _limits(self, name: str) -> tuple[float, float]:
        return POSITIVE


@recorded
def approximation_curve(
    function: Callable[[NDArray[np.float64]], Any],
    *,
    widths: Any = (2, 4, 8, 16, 32, 64),
    steepness: float | None = None,
    n_train: int = 500,
    n_repeats: int = 3,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> ApproximationCurve:
    """Compare how well networks of one hidden layer can approximate a function with what training finds.

    Sums of sigmoids approximate any continuous function on an interval as closely as desired [1]_. The
    theorem is about existence: it says neither how many units are needed, nor that training finds them.

    - The *constructed* network is f(0) plus N steps, at ``(k - 1/2) / N`` and of height
      ``f(k / N) - f((k - 1) / N)``.
    - The *bound* on its largest error is ``w(1 / (2 N))``, where w(h) is the largest change of f over a
      distance h [our derivation]. Sigmoids in place of steps have a larger bound, because values of f that
      are further away contribute too.
    - The *trained* networks are ``MLPRegressor`` with N rectified linear units, fitted to samples of f.

    Errors and changes are measured on a grid of 20,001 evenly spaced points, so f must not oscillate between
    them.

    Parameters
    ----------
    function : callable
        Function f. It takes an array of shape (n,) of points in [0, 1], and returns their values, of shape
        (n,).
    widths : array-like of int, default=(2, 4, 8, 16, 32, 64)
        Numbers of hidden units, ascending.
    steepness : float, default=None
        Steepness of the sigmoids that replace the steps: each rises within about ``4 / steepness`` of a
        step's width. None keeps the steps.
    n_train : int, default=500
        Number of training samples, evenly spaced.
    n_repeats : int, default=3
        Number of trainings, each with its own seed.
    random_state : int, RandomState instance or None, default=None
        Source of the seeds.
    n_jobs : int, default=None
        Number of parallel processes, as in joblib.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    curve : ApproximationCurve
        Largest errors and their bound, by width.

    Raises
    ------
    ValueError
        If a parameter is invalid, or the function returns anything but finite numbers.
    TypeError
        If the function is not callable.

    References
    ----------
    .. [1] Cybenko, "Approximation by superpositions of a sigmoidal function", Mathematics
       of Control, Signals and Systems 2, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import approximation_curve
    >>> curve = approximation_curve(lambda x: x, widths=[1, 4], n_repeats=1, random_state=0)
    >>> curve.values["constructed"].round(3).tolist()  # 1 / (2 N)
    [[0.5], [0.125]]
    """
    if not callable(function):
        raise TypeError(
            f"function must be callable, from points in [0, 1] to their values; got {type(function).__name__}"
        )
    sizes = ascending_integers("widths", widths)
    if sizes[0] < 1:
        raise ValueError(f"widths must be integers >= 1, got {shown(widths)}")
    for name, value in (("n_train", n_train), ("n_repeats", n_repeats)):
        check_integer(name, value)
    if steepness is not None:
        check_positive("steepness", steepness)
    places = np.linspace(0, 1, _GRID)
    values = _valued(function, places)
    measure = partial(_trained_error, places=places, values=values, n_train=n_train)
    trained = repeated(
        measure,
        [{"width": int(n)} for n in sizes],
        n_repeats=n_repeats,
        random_state=random_state,
        n_jobs=n_jobs,
        verbose=verbose,
        what="approximation_curve",
    )
    fixed = {
        "bound": [bound(places, values, int(n), steepness) for n in sizes],
        "constructed": [np.abs(constructed(places, values, int(n), steepness) - values).max() for n in sizes],
    }
    figures = {name: np.repeat(np.array(each)[:, None], n_repeats, axis=1) for name, each in fixed.items()}
    return ApproximationCurve(sizes, figures | {"trained": trained[..., 0]})


def constructed(
    places: NDArray[np.float64], values: NDArray[np.float64], n: int, steepness: float | None
) -> NDArray[np.float64]:
    """Values of the network of n steps, or sigmoids, at all grid points; ``values`` are those of f there."""
    known = np.interp(np.arange(n + 1) / n, places, values)
    result = np.full(len(places), known[0])
    for k in range(1, n + 1):
        away = places * n - (k - 0.5)
        result += (known[k] - known[k - 1]) * (
            np.where(away >= 0, 1.0, 0.0) if steepness is None else expit(steepness * away)
        )
    return result


def bound(places: NDArray[np.float64], values: NDArray[np.float64], n: int, steepness: float | None) -> float:
    """Upper bound on the largest error of the constructed network.

    The network is a mean of ``f(k / n)`` with weights that depend on the point. With steps only the nearest
    k / n has a weight. With sigmoids others have weights too; the j-th further one is at most ``j + 1/2``
    steps away.
    """
    nearest = largest_change(values, 0.5 / n)
    if steepness is None:
        return nearest
    away = places * n - np.round(places * n)
    left, total = np.ones(len(places)), np.zeros(len(places))
    for j in range(n + 1):
        steps = (0,) if j == 0 else (-j, j)
        ends = [(expit(steepness * (away - k + 0.5)), expit(steepness * (away - k - 0.5))) for k in steps]
        weight = np.sum([one - other for one, other in ends], axis=0)
        total += weight * largest_change(values, (j + 0.5) / n)
        left -= weight
        if left.max() < _NONE:
            break
    # at the ends of [0, 1], weights that belong beyond them go to nearer points instead
    return float((total + left.clip(0) * np.ptp(values)).max())


def largest_change(values: NDArray[np.float64], distance: float) -> float:
    """Largest difference of two values no further apart than a distance; the grid of [0, 1] is even."""
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    reach = min(int(np.ceil(distance * (len(values) - 1) - 1e-9)), len(values) - 1)
    size = reach + 1
    highest, lowest = (each(values, size, mode="nearest") for each in (maximum_filter1d, minimum_filter1d))
    return float((highest - lowest).max())


def _valued(function: Callable[..., Any], places: NDArray[np.float64]) -> NDArray[np.float64]:
    try:
        values = np.asarray(function(places.copy()), dtype=float)
    except Exception as error:  # whatever a user's function does
        raise ValueError(
            f"the function does not take an array of points ({brief(error, 100)}); write it with numpy"
        ) from error
    if values.shape != places.shape or not np.isfinite(values).all():
        raise ValueError(
            f"the function must return a finite number for each of {len(places)} points, got "
            f"{shown(values) if values.shape == places.shape else f'shape {values.shape}'}"
        )
    return values


def _trained_error(
    setting: dict[str, int],
    seed: int,
    *,
    places: NDArray[np.float64],
    values: NDArray[np.float64],
    n_train: int,
) -> list[float]:
    """Largest error of one training."""
    rows = np.unique(np.linspace(0, len(places) - 1, n_train).round().astype(int))
    # scaled by the range, so that training does not depend on the units of f
    size = max(float(np.ptp(values)), np.finfo(float).tiny)
    width = (setting["width"],)
    net = MLPRegressor(hidden_layer_sizes=width, solver="lbfgs", alpha=0, max_iter=2000, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        net.fit(4 * places[rows, None] - 2, (values[rows] - values.mean()) / size)
    found = net.predict(4 * places[:, None] - 2) * size + values.mean()
    return [float(np.abs(found - values).max())]
