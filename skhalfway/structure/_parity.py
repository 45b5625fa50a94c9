"""ParityCoded: a linear classifier of bits whose prediction survives lost bits."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from skhalfway._checks import check_choice
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_rows, read_targets
from skhalfway._text import shown
from skhalfway.models._warnings import warn
from skhalfway.structure._bits import as_signs, lower_of, read_bits, signed


class ParityCoded(ClassifierMixin, BaseEstimator):
    """Append parity bits to binary inputs, and choose weights so that predictions survive lost bits.

    1. A linear classifier of two classes is trained on the bits.
    2. Parity bits are appended to the inputs: products of groups of bits, as -1 and +1.
    3. New weights for all bits are computed. They give the same predictions on all training samples, and
       maximise the smallest L1 distance d of these from the boundary, ``min |w.x - theta| / max |w_i|``.

    The prediction for every training sample then survives any erasures of fewer than d bits, and any flips of
    fewer than d / 2, among inputs and parity bits alike.

    The parity code and its use are those of [1]_, of which only the first page is public to us. Computing the
    weights by a linear programme is ours. For the majority of an odd number of bits, coding doubles the
    distance, from 1 to 2.

    Parameters
    ----------
    estimator : object, default=None
        Linear classifier, with ``coef_`` and ``intercept_`` once it is fitted. None is
        ``LogisticRegression()``.
    groups : "all", int or list of list of int, default="all"
        Columns of each parity bit.

        - "all": one parity bit of all columns.
        - int: one parity bit of each run of this many columns.
        - lists: one parity bit of the columns in each list.
    threshold : {None, "median"}, default=None
        How inputs become bits. With None, they must be bits, 0 and 1 or -1 and 1. With "median", a number is
        1 if it is above the median of its column in the training samples, else 0.

    Attributes
    ----------
    estimator_ : object
        The linear classifier of the bits alone.
    coded_ : LinearSVC
        The linear classifier of bits and parity bits, as returned by :meth:`encode`. It can be the source of
        an attack.
    groups_ : list of ndarray
        Columns of each parity bit.
    distance_ : float
        Smallest L1 distance of a training sample from the boundary of ``coded_``.
    plain_distance_ : float
        The same distance for ``estimator_``.
    uncoded_distance_ : float
        The same distance for the weights that the linear programme finds without parity bits.
    low_ : float
        The smaller value of a bit, 0 or -1.
    medians_ : ndarray of shape (n_features,)
        Medians of the columns, present with ``threshold="median"``.
    classes_ : ndarray of shape (2,)
        Class labels.
    n_features_in_ : int
        Number of columns, without parity bits.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X has names that are all strings.

    See Also
    --------
    robustness_radius : Number of bits whose loss does not change a prediction.
    fourier_stabilise : A similar method for the first layer of a network.

    References
    ----------
    .. [1] Raviv, Jain, Upadhyaya, Bruck & Jiang, "CodNN: robust neural networks from
       coded classification", ISIT 2020, arXiv 2004.10700.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.structure import ParityCoded
    >>> X = np.array([[i >> k & 1 for k in range(5)] for i in range(32)])
    >>> y = X.sum(axis=1) > 2  # a majority
    >>> coded = ParityCoded().fit(X, y)
    >>> round(coded.plain_distance_, 2), round(coded.distance_, 2)
    (1.0, 2.0)
    """

    def __init__(self, estimator: Any = None, *, groups: Any = "all", threshold: str | None = None) -> None:
        self.estimator = estimator
        self.groups = groups
        self.threshold = threshold

    @takes_datasets
    def fit(self, X: Any, y: Any) -> ParityCoded:
        """Train the linear classifier, and compute the weights of the coded one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Bits (0 and 1, -1 and 1, or columns of bools), or numbers where there is a threshold.
        y : array-like of shape (n_samples,)
            Labels of two classes.

        Returns
        -------
        self : ParityCoded
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, or there are not two classes.
        TypeError
            If the estimator is not linear.

        Examples
        --------
        >>> from skhalfway.structure import ParityCoded
        >>> ParityCoded().fit([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]], [0, 0, 1, 1]).low_
        0.0
        """
        if y is None:
            raise ValueError("This ParityCoded estimator requires y to be passed, but the target y is None")
        check_choice("threshold", self.threshold, ("median",), none=True)
        rows = self._read(X, reset=True)
        given, y = y, read_targets(y, len(rows))
        column_or_1d(given, warn=True)  # scikit-learn's classifiers warn about a column too
        kind = type_of_target(y, input_name="y")
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        self.classes_ = np.unique(y)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold two classes, got one class: {shown(self.classes_)}")
        self.groups_ = self._read_groups(rows.shape[1])
        if self.threshold is not None:
            self.medians_ = np.median(rows, axis=0)
        binary = self._bits(rows)
        self.low_ = lower_of(binary)
        bits = as_signs(binary)
        estimator = LogisticRegression() if self.estimator is None else self.estimator
        self.estimator_ = clone(estimator).fit(binary, y)
        weights, threshold = signed(self.estimator_, self.low_)
        margins = bits @ weights - threshold
        largest = np.abs(weights).max()
        self.plain_distance_ = float(np.abs(margins).min() / largest) if largest > 0 else 0.0
        answers = np.where(margins > 0, 1.0, -1.0)
        if (answers == answers[0]).all():
            warn(
                f"{type(self.estimator_).__name__} predicts {self.classes_[int(answers[0] > 0)]!r} for every "
                "training sample, so lost bits change nothing: distances and radii are meaningless",
                UserWarning,
            )
        *_, self.uncoded_distance_ = _farthest(bits, answers)
        coded = np.hstack([bits, self._parity(bits)])
        weights, threshold, self.distance_ = _farthest(coded, answers)
        self.coded_ = self._classifier(weights, threshold)
        return self

    @takes_datasets
    def encode(self, X: Any) -> NDArray[np.float64]:
        """Append parity bits to bits.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        X_coded : ndarray of shape (n_samples, n_features + n_groups)
            Bits and parity bits, with the same two values as the training samples.

        Examples
        --------
        >>> from skhalfway.structure import ParityCoded
        >>> coded = ParityCoded().fit([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]], [0, 0, 1, 1])
        >>> coded.encode([[1, 1, 0]])
        array([[1., 1., 0., 0.]])
        """
        check_is_fitted(self)
        binary = self._bits(self._read(X, reset=False))
        lower_of(binary, self.low_)
        bits = as_signs(binary)
        coded = np.hstack([bits, self._parity(bits)])
        return coded if self.low_ < 0 else (coded + 1) / 2

    @takes_datasets
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Decision values of the coded classifier, after parity bits are appended.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        f : ndarray of shape (n_samples,)
            Decision values, positive for ``classes_[1]``.

        Examples
        --------
        >>> from skhalfway.structure import ParityCoded
        >>> coded = ParityCoded().fit([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]], [0, 0, 1, 1])
        >>> bool(coded.decision_function([[1, 1, 0]])[0] > 0)
        True
        """
        check_is_fitted(self)
        return self.coded_.decision_function(self.encode(X))

    score = takes_datasets(ClassifierMixin.score)

    @takes_datasets
    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the label of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Predicted labels.

        Examples
        --------
        >>> from skhalfway.structure import ParityCoded
        >>> coded = ParityCoded().fit([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]], [0, 0, 1, 1])
        >>> coded.predict([[1, 1, 0], [0, 0, 0]])
        array([1, 0])
        """
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def _read_groups(self, n_features: int) -> list[NDArray[np.intp]]:
        groups = self.groups
        columns = np.arange(n_features)
        if isinstance(groups, str) and groups == "all":
            return [columns]
        if isinstance(groups, Integral) and not isinstance(groups, bool) and int(groups) >= 1:
            return [columns[i : i + int(groups)] for i in range(0, n_features, int(groups))]
        try:
            found = [np.asarray(group) for group in groups]
            fits = all(
                g.dtype.kind in "iu" and g.ndim == 1 and len(g) and np.isin(g, columns).all() for g in found
            )
            unique = all(len(np.unique(g)) == len(g) for g in found)
        except (TypeError, ValueError):
            found, fits, unique = [], False, False
        if not found or not fits or not unique or not isinstance(groups, Iterable):
            raise ValueError(
                f"groups must be 'all', an integer >= 1, or lists of different columns from 0 to "
                f"{n_features - 1}; got {shown(groups)}"
            )
        return found

    def _read(self, X: Any, *, reset: bool) -> NDArray[Any]:
        read = read_bits if self.threshold is None else read_rows
        return read(X, reader=self, reset=reset)

    def _bits(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        if self.threshold is None:
            return rows.astype(float)
        return (rows > self.medians_).astype(float)

    def _parity(self, bits: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack([bits[:, group].prod(axis=1) for group in self.groups_])

    def _classifier(self, weights: NDArray[np.float64], threshold: float) -> LinearSVC:
        made = LinearSVC()
        made.classes_, made.n_features_in_, made.n_iter_ = self.classes_, len(weights), 0
        scale, shift = (1.0, 0.0) if self.low_ < 0 else (2.0, float(weights.sum()))
        made.coef_, made.intercept_ = scale * weights[None], np.array([-threshold - shift])
        return made

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def _farthest(
    bits: NDArray[np.float64], answers: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, float]:
    """Weights of at most 1 and a threshold that maximise the least ``answer * (w.x - theta)``; and this."""
    rows = np.unique(np.column_stack([answers[:, None] * bits, -answers]), axis=0)
    n = bits.shape[1]
    found = linprog(
        np.append(np.zeros(n + 1), -1.0),  # the last is the margin
        A_ub=np.column_stack([-rows, np.ones(len(rows))]),
        b_ub=np.zeros(len(rows)),
        # no sum exceeds n, so the threshold needs no larger bound; it is reached where all answers are equal
        bounds=[(-1, 1)] * n + [(-n - 1, n + 1), (None, None)],
        method="highs",
    )
    if found.status != 0:
        raise ValueError(f"the linear programme of the weights was not solved: {found.message}")
    return found.x[:n], float(found.x[n]), float(found.x[-1])
