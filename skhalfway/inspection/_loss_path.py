"""loss_path: the loss on straight lines between weights, from initialisation to solution and beyond."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_integer
from skhalfway._entries import takes_datasets
from skhalfway._intervals import POSITIVE, SHARE, t_interval
from skhalfway._randomness import draw_seed
from skhalfway._text import between, short, shown
from skhalfway.inspection._curve_result import CurveResult
from skhalfway.inspection._initial import read_trainable, train_from_initial
from skhalfway.inspection._losses import Loss
from skhalfway.inspection._repeats import repeated
from skhalfway.models._training import train
from skhalfway.results._provenance import recorded
from skhalfway.results._table import Cell, Table

Parts = dict[str, tuple[Any, Any]]

_TRAINED, _BETWEEN = "from initialisation", "between solutions"


class LossPath(CurveResult):
    """Loss and accuracy on straight lines through the space of a network's weights.

    Made by :func:`loss_path`; arrays are read-only.

    Parameters
    ----------
    x : ndarray of shape (n_positions,)
        Positions on the line: 0 is its beginning, 1 its end.
    values : dict of str to ndarray of shape (n_positions, n_repeats)
        Figures by name. A name consists of the figure and the line: ``"loss from
        initialisation"``, ``"accuracy from initialisation"``, ``"loss between
        solutions"`` and ``"accuracy between solutions"``. Figures on test samples
        have ``"test "`` before their names.

    See Also
    --------
    LossPathDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import LossPath
    >>> loss = {"loss between solutions": np.array([[0.2], [0.9], [0.7], [0.1]])}
    >>> path = LossPath(np.linspace(0, 1, 4), loss)
    >>> path.barriers["loss between solutions"].round(2)
    array([0.7])
    >>> path
    LossPath: 4 positions, 1 repeat
                            steps that rise  barrier
    loss between solutions  .33              .70
    """

    x_label = "position on the line"

    @property
    def rises(self) -> dict[str, NDArray[np.float64]]:
        """Share of the steps from position 0 to 1 at which a loss rises, each of shape (n_repeats,)."""
        return {name: (np.diff(loss, axis=0) > 0).mean(axis=0) for name, loss in self._losses().items()}

    @property
    def barriers(self) -> dict[str, NDArray[np.float64]]:
        """Largest excess of a loss over the larger of its ends, from 0 to 1; each of shape (n_repeats,)."""
        return {
            name: loss.max(axis=0) - np.maximum(loss[0], loss[-1]) for name, loss in self._losses().items()
        }

    def _losses(self) -> dict[str, NDArray[np.float64]]:
        inside = (self.x >= 0) & (self.x <= 1)
        return {name: value[inside] for name, value in self.values.items() if "loss" in name}

    def _limits(self, name: str) -> tuple[float, float]:
        return POSITIVE if "loss" in name else SHARE

    def _covered(self) -> str:
        return "seeds"  # the table shows losses only

    def _table(self) -> Table:
        rows: list[list[str | Cell]] = []
        for name in self._losses():
            rises, barriers = self.rises[name], self.barriers[name]
            ends = t_interval(rises, limits=SHARE), t_interval(barriers, limits=POSITIVE)
            cells = zip((rises, barriers), ends, strict=True)
            rows.append([name, *(Cell(short(figure.mean()), between(*end)) for figure, end in cells)])
        return Table(self._title("position"), ["", "steps that rise", "barrier"], rows)


@takes_datasets
@recorded
def loss_path(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    X_test: Any = None,
    y_test: Any = None,
    positions: Any = 21,
    n_repeats: int = 3,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> LossPath:
    """Measure the loss on the straight line from initialisation to solution, and between two solutions.

    Weights at position t are ``(1 - t) a + t b``. From the initial weights of a
    training to its final ones, the loss was found to fall almost monotonically [1]_.
    This does not mean that training follows the line. It also need not hold: for
    larger networks and data sets, the loss stays high until close to the end [2]_.
    Between two solutions from different initial weights there is a barrier, on
    ``sklearn.datasets.load_digits``. So the loss is not convex, although there are
    straight lines on which it falls.

    The loss is the mean cross-entropy, without penalties, in evaluation mode.
    Running statistics of batch normalisation are interpolated like weights, so
    both ends are the networks themselves.

    Parameters
    ----------
    estimator : object, or tuple of two fitted networks
        - Skorch classifier whose module is a class or a function, or
          ``MLPClassifier``: clones of it are trained.
        - Two fitted networks of the same architecture (torch modules too): only
          the line between them is measured, once, and nothing is trained.
    X : array-like of shape (n_samples, ...)
        Training samples.
    y : array-like of shape (n_samples,)
        Their labels.
    X_test : array-like of shape (n_test, ...), default=None
        Test samples, on which the same figures are measured.
    y_test : array-like of shape (n_test,), default=None
        Their labels.
    positions : int or array-like of shape (n_positions,), default=21
        Number of evenly spaced positions from 0 to 1, or the positions themselves,
        ascending. These must include 0 and 1, and may go beyond.
    n_repeats : int, default=3
        Number of trainings, each with its own seed. For each, a second solution
        is trained with another seed.
    random_state : int, RandomState instance or None, default=None
        Source of the seeds.
    n_jobs : int, default=None
        Number of parallel processes, as in joblib.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    path : LossPath
        Loss and accuracy by position. Its ``rises`` and ``barriers`` summarise
        these.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid, or two networks differ in the
        shapes of their weights.
    TypeError
        If the estimator is no network.

    See Also
    --------
    loss_surface : The loss in two random directions around one solution.

    Notes
    -----
    Initial weights are exactly those of the training. For a skorch net, they are
    recorded at the first batch. ``MLPClassifier`` draws them before all other
    random numbers, so they are read from a clone with the same ``random_state``.
    This clone is fitted with a step so small that rounding leaves every weight
    unchanged.

    References
    ----------
    .. [1] Goodfellow, Vinyals & Saxe, "Qualitatively characterizing neural
       network optimization problems", ICLR 2015.
    .. [2] Frankle, 'Revisiting "Qualitatively characterizing neural network
       optimization problems"', arXiv 2012.06898, 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.inspection import loss_path
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((8,), solver="lbfgs", alpha=1, max_iter=1000)
    >>> path = loss_path(net, X, y, n_repeats=2, random_state=0)
    >>> path.x[[0, 10, 20]]
    array([0. , 0.5, 1. ])
    >>> path.rises["loss from initialisation"]
    array([0., 0.])
    """
    t = _read_positions(positions)
    if isinstance(estimator, tuple):
        if len(estimator) != 2:
            raise ValueError(f"a tuple must hold two networks, the ends of the line; got {len(estimator)}")
        if (X_test is None) != (y_test is None):
            raise ValueError("X_test and y_test belong together: give both or neither")
        given = {"": (X, y)} if X_test is None else {"": (X, y), "test ": (X_test, y_test)}
        found = np.array(_along(*estimator, given, t))[:, :, None]
        return LossPath(t, dict(zip(_names(_BETWEEN, given), found, strict=True)))
    parts = read_trainable(estimator, X, y, X_test, y_test)
    measure = partial(_lines, estimator=estimator, parts=parts, positions=t)
    runs = repeated(
        measure,
        [None],
        n_repeats=n_repeats,
        random_state=random_state,
        n_jobs=n_jobs,
        verbose=verbose,
        what="loss path",
    )
    names = _names(_TRAINED, parts) + _names(_BETWEEN, parts)
    values = dict(zip(names, runs[0].transpose(1, 2, 0), strict=True))
    tested = (name for name in names if name.startswith("test accuracy"))
    n_samples = dict.fromkeys(tested, len(parts["test "][0])) if "test " in parts else {}
    return LossPath(t, values, n_samples=n_samples)


def _names(line: str, parts: Parts) -> list[str]:
    return [f"{part}{figure} {line}" for part in parts for figure in ("loss", "accuracy")]


def _lines(_: None, seed: int, *, estimator: Any, parts: Parts, positions: Any) -> list[Any]:
    """Figures of one repeat by position, in the order of their names."""
    initial, trained = train_from_initial(estimator, *parts[""], seed)
    other = train(estimator, *parts[""], draw_seed(np.random.RandomState(seed)))
    return [*_along(initial, trained, parts, positions), *_along(trained, other, parts, positions)]


def _along(begin: Any, end: Any, parts: Parts, positions: Any) -> list[Any]:
    """Loss and accuracy between two networks by position, for each part of the data."""
    found: list[Any] = []
    for X, y in parts.values():
        first, last = Loss(begin, X, y), Loss(end, X, y)
        a, b = first.weights | first.statistics, last.weights | last.statistics
        shapes = [{name: tuple(value.shape) for name, value in state.items()} for state in (a, b)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"both networks must have the same architecture, got weights of shapes {shown(shapes)}"
            )
        states = ({name: (1 - t) * a[name] + t * b[name] for name in b} for t in positions)
        found.extend(np.array([last.at(state) for state in states]).T)
    return found


def _read_positions(positions: Any) -> NDArray[np.float64]:
    if np.ndim(positions) == 0:
        check_integer("positions", positions, 2)
        return np.linspace(0, 1, positions)
    t = np.array(positions, dtype=float)
    if t.ndim != 1 or not np.isfinite(t).all() or (np.diff(t) <= 0).any() or not np.isin([0, 1], t).all():
        raise ValueError(f"positions must be ascending and include 0 and 1, got {shown(positions)}")
    return t
