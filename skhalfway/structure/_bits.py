"""Binary inputs, and how many lost bits a linear classifier's prediction survives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from skhalfway._checks import check_choice
from skhalfway._inputs import read_rows
from skhalfway._polars import without_polars
from skhalfway._text import shown
from skhalfway.models._type_checks import kind_of


def lower_of(X: NDArray[Any], low: float | None = None) -> float:
    """The smaller value of bits, 0 or -1; ValueError where X does not hold bits."""
    found = (-1.0 if (X < 0).any() else 0.0) if low is None else low
    if not np.isin(X, (found, 1)).all():
        other = np.unique(X[~np.isin(X, (found, 1))])
        which = "0 and 1 or -1 and 1" if low is None else f"{low:g} and 1"
        raise ValueError(
            f"X must hold bits, {which}, in all columns, but holds {shown(other[:5])}; encode categories "
            "one-hot, and numbers by thresholds"
        )
    return found


def read_bits(X: Any, *, reader: Any, reset: bool) -> NDArray[Any]:
    """Samples as rows of numbers; columns of bools in a DataFrame count as 0 and 1."""
    table = without_polars(X)
    if hasattr(table, "columns") and hasattr(table, "iloc"):
        bools = [i for i, dtype in enumerate(table.dtypes) if getattr(dtype, "kind", "") == "b"]
        table = table.copy() if bools else table
        for i in bools:
            table.isetitem(i, table.iloc[:, i].to_numpy(dtype=float, na_value=np.nan))
    return read_rows(table, reader=reader, reset=reset)


def as_signs(X: NDArray[Any]) -> NDArray[np.float64]:
    """Bits as -1 and +1."""
    return np.where(X == 1, 1.0, -1.0)


def robustness_radius(
    estimator: Any, X: Any, *, kind: str = "flips", low: float | None = None
) -> NDArray[np.intp]:
    """Count the bits, in any positions, whose loss does not change a linear classifier's prediction.

    Let inputs x be -1 and +1, and the prediction ``sign(w.x - theta)``. A flip of bit i changes the sum by
    ``2 |w_i|``, and an erasure, which sets the bit to 0, by ``|w_i|``. It reduces the margin only where the
    bit supports the prediction. So the prediction survives any r losses if and only if the r largest such
    ``|w_i|`` sum to less than ``|w.x - theta|``, or to less than half of it for flips. This count is exact,
    and needs no attack.

    The count is ours. [1]_ uses the L1 distance from the hyperplane, ``|w.x - theta| / max |w_i|``: the
    prediction survives fewer losses than this distance, or than half of it for flips. The count is at least
    as large.

    Parameters
    ----------
    estimator : object
        Fitted linear classifier of two classes: with ``coef_`` and ``intercept_``, or a
        :class:`ParityCoded`, whose parity bits may be lost too.
    X : array-like of shape (n_samples, n_features)
        Bits, 0 and 1, -1 and 1, or columns of bools.
    kind : {"flips", "erasures"}, default="flips"
        Kind of loss.
    low : {None, 0, -1}, default=None
        The smaller value of a bit. With None it is inferred from X, which must then contain it.

    Returns
    -------
    radius : ndarray of shape (n_samples,)
        Number of losses, in any positions, that the prediction survives; n_features where all bits may be
        lost, and -1 where the sample lies on the boundary.

    Raises
    ------
    TypeError
        If the estimator is not linear.
    ValueError
        If it has more than two classes, X does not hold bits, or the smaller value cannot be inferred.

    References
    ----------
    .. [1] Raviv, Jain, Upadhyaya, Bruck & Jiang, "CodNN: robust neural networks from
       coded classification", ISIT 2020, arXiv 2004.10700.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway.structure import robustness_radius
    >>> X = np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]])
    >>> majority = LogisticRegression().fit(X, [1, 1, 0, 0])
    >>> majority.coef_, majority.intercept_ = np.ones((1, 3)), np.array([-1.5])
    >>> robustness_radius(majority, X)
    array([1, 0, 0, 1])
    """
    check_choice("kind", kind, ("flips", "erasures"))
    check_is_fitted(estimator)
    if low is not None and low not in (0, -1):
        raise ValueError(f"low must be None, 0 or -1, got {shown(low)}")
    if hasattr(estimator, "coded_"):
        rows, estimator, low = estimator.encode(X), estimator.coded_, estimator.low_
    else:
        rows = read_bits(X, reader=estimator, reset=False)
    if low is None and (rows == 1).all():
        raise ValueError("X holds only 1, so the smaller value of bits (0 or -1) is unknown; pass low")
    low = lower_of(rows, low)
    return radius(as_signs(rows), *signed(estimator, low), kind)


def linear_of(estimator: Any) -> tuple[NDArray[np.float64], float]:
    """Weights and intercept of a linear classifier of two classes."""
    try:
        weights = np.atleast_2d(np.asarray(estimator.coef_, dtype=float))
        intercept = np.asarray(estimator.intercept_, dtype=float).ravel()
    except (AttributeError, TypeError, ValueError) as error:
        raise TypeError(
            f"a linear classifier is needed, with coef_ and intercept_; got {kind_of(estimator)}"
        ) from error
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        raise TypeError(
            "a linear classifier is needed, which predicts a class by the sign of its output; "
            f"{type(estimator).__name__} has no classes"
        )
    if weights.ndim != 2 or len(weights) != 1:
        raise ValueError(f"two classes are needed, but {type(estimator).__name__} has {shown(list(classes))}")
    return weights[0], float(intercept[0])


def signed(estimator: Any, low: float) -> tuple[NDArray[np.float64], float]:
    """Weights and threshold of a linear classifier of bits, converted to bits of -1 and +1."""
    weights, intercept = linear_of(estimator)
    if low == -1:
        return weights, -intercept
    return weights / 2, -intercept - float(weights.sum()) / 2


def radius(
    bits: NDArray[np.float64], weights: NDArray[np.float64], threshold: float, kind: str
) -> NDArray[np.intp]:
    margin = bits @ weights - threshold
    towards = np.where(bits * weights * np.sign(margin)[:, None] > 0, np.abs(weights), 0.0)
    lost = np.cumsum(-np.sort(-towards, axis=1), axis=1) * (2 if kind == "flips" else 1)
    # strictly less, with a tolerance: rounding must not turn a tie into a survival
    survived = lost < np.abs(margin)[:, None] * (1 - 1e-12)
    return np.where(margin == 0, -1, survived.sum(axis=1))
