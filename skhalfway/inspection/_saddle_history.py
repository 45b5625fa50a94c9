"""saddle_history: in how many directions the loss of a network still falls, along its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from skhalfway._checks import check_integer, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._inputs import check_labels, read_rows, read_targets
from skhalfway._polars import without_polars
from skhalfway._randomness import draw_seed
from skhalfway._text import counted, short, shown
from skhalfway.halfway._figures import agreement
from skhalfway.inspection._saddle import SaddleIndex, check_options, find_saddle
from skhalfway.inspection._streams import check_streams
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table

if TYPE_CHECKING:
    import pandas as pd

_N_LINES = 10  # that a history is told in


@dataclass(frozen=True, eq=False, repr=False)
class SaddleHistory(Result):
    """Curvatures of the loss at the weights that a network has along its training.

    Made by :func:`saddle_history`, :class:`SaddleCallback` and, of what a loop of your own measured,
    :meth:`SaddleHistory.of`; arrays are read-only.

    Parameters
    ----------
    epochs : ndarray of shape (n_records,)
        Epochs trained, increasing.
    index, flat : ndarray of shape (n_records,)
        Share of negative eigenvalues of the Hessian, and of those that are about 0.
    standard_errors : ndarray of shape (n_records,)
        Of the index; 0 where all eigenvalues were found, nan of a single probe.
    losses : ndarray of shape (n_records,)
        Mean cross-entropy.
    gradient_norms : ndarray of shape (n_records,)
        Length of the gradient: at a critical point it is 0.
    n_parameters : int
        Number of weights of the network.
    bounds : ndarray of shape (n_records, 2), default=None
        Between which the index of the probes surely is, see :attr:`SaddleIndex.bounds`.

    See Also
    --------
    SaddleHistoryDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import SaddleHistory
    >>> shares, zeros = np.array([0.5, 0.25, 0.125]), np.zeros(3)
    >>> SaddleHistory(np.arange(3), shares, zeros, zeros, np.array([0.7, 0.4, 0.1]), shares, n_parameters=90)
    SaddleHistory: 3 records from epoch 0 to 2, 90 parameters
    epoch  index  flat  loss  gradient
    0      .50    .00   .70   0.5
    1      .25    .00   .40   0.25
    2      .12    .00   .10   0.12
    rank correlation of index and loss: 1.0
    """

    epochs: NDArray[np.float64]
    index: NDArray[np.float64]
    flat: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    losses: NDArray[np.float64]
    gradient_norms: NDArray[np.float64]
    n_parameters: int
    bounds: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        names = ("epochs", "index", "flat", "standard_errors", "losses", "gradient_norms")
        for name in names:
            object.__setattr__(self, name, frozen(getattr(self, name), float))
        n = len(self.epochs)
        for name in names:
            if getattr(self, name).shape != (n,) or not n:
                raise ValueError(
                    f"{name} must have one axis and an entry for each epoch, got {getattr(self, name).shape}"
                )
        if self.bounds is not None:
            object.__setattr__(self, "bounds", frozen(self.bounds, float))
            if self.bounds.shape != (n, 2):
                raise ValueError(f"bounds must have two for each of {n} epochs, got {self.bounds.shape}")
        if not np.isfinite(self.epochs).all() or (self.epochs[1:] <= self.epochs[:-1]).any():
            raise ValueError(f"epochs must be finite and increase, got {shown(self.epochs)}")

    @classmethod
    def of(cls, records: Sequence[SaddleIndex], epochs: Any) -> SaddleHistory:
        """Put together what :func:`saddle_index` found along a training.

        Parameters
        ----------
        records : sequence of SaddleIndex
            Of one network, on the same samples.
        epochs : array-like of shape (n_records,)
            When, increasing.

        Returns
        -------
        history : SaddleHistory
            Index, loss and length of the gradient by epoch.

        Raises
        ------
        ValueError
            If there are none, they are of networks of different sizes, or epochs are not as many, or do not
            increase.
        TypeError
            If one is anything else.

        Warns
        -----
        ConvergenceWarning
            If more steps are needed for some of them.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from skhalfway.inspection import SaddleHistory, saddle_index
        >>> X, y = load_iris(return_X_y=True)
        >>> net, records = MLPClassifier((3,), random_state=0), []
        >>> for epoch in range(4):
        ...     net = net.partial_fit(X[::2], y[::2], classes=[0, 1, 2])
        ...     records.append(saddle_index(net, X[1::2], y[1::2]))  # on other samples than those of training
        >>> SaddleHistory.of(records, [1, 2, 3, 4]).epochs
        array([1., 2., 3., 4.])
        """
        records = list(records)
        strange = [type(one).__name__ for one in records if not isinstance(one, SaddleIndex)]
        if strange:
            raise TypeError(f"records must be what saddle_index returns, got {strange[0]}")
        sizes = {one.n_parameters for one in records}
        if len(sizes) != 1:
            found = f"got networks of {shown(sorted(sizes))} parameters" if sizes else "got none"
            raise ValueError(f"records must be of one network, {found}")
        few = sum(one.needs_more_steps for one in records)
        if few:
            warn(
                f"at {few} of {len(records)} epochs the steps of Lanczos' method are too few: they leave the "
                "index within bounds more than .2 apart; raise n_steps, or take method='exact'",
                ConvergenceWarning,
            )
        shares = [one.shares for one in records]
        return cls(
            np.asarray(epochs, dtype=float),
            np.array([each["negative"] for each in shares]),
            np.array([each["flat"] for each in shares]),
            np.array([one.standard_error for one in records]),
            np.array([one.loss for one in records]),
            np.array([one.gradient_norm for one in records]),
            sizes.pop(),
            np.array([one.bounds for one in records]),
        )

    @property
    def rank_correlation(self) -> float:
        """Spearman's, of index and loss over records; nan of fewer than 3, or where one never changes.

        At critical points it is said to be positive. Records along a training are neither critical points
        nor independent: both figures may fall with time alone.
        """
        pair = np.stack([self.index, self.losses])
        return float(agreement(pair, np.ones(pair.shape, dtype=bool))[0, 1])

    def to_frame(self) -> pd.DataFrame:
        """One row per record, indexed by epoch."""
        import pandas as pd

        columns = {
            "index": self.index,
            "standard error": self.standard_errors,
            "low": self.index if self.bounds is None else self.bounds[:, 0],
            "high": self.index if self.bounds is None else self.bounds[:, 1],
            "flat": self.flat,
            "loss": self.losses,
            "gradient norm": self.gradient_norms,
        }
        return pd.DataFrame(columns, index=pd.Index(self.epochs, name="epoch"))

    def _table(self) -> Table:
        n = len(self.epochs)
        rows = []
        for i in np.unique(np.linspace(0, n - 1, min(n, _N_LINES)).round().astype(int)):
            shares = [short(figure[i]) for figure in (self.index, self.flat, self.losses)]
            rows.append([f"{self.epochs[i]:g}", *shares, f"{self.gradient_norms[i]:.2g}"])
        title = f"SaddleHistory: {counted(n, 'record')} from epoch {self.epochs[0]:g} to "
        title += f"{self.epochs[-1]:g}, {counted(self.n_parameters, 'parameter')}"
        known = not np.isnan(self.rank_correlation)
        notes = [f"rank correlation of index and loss: {short(self.rank_correlation)}"] if known else []
        return Table(title, ["epoch", "index", "flat", "loss", "gradient"], rows, notes=notes)


@takes_datasets
@recorded
def saddle_history(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    n_epochs: int,
    every: int = 1,
    tol: float = 1e-4,
    method: str = "auto",
    n_probes: int = 4,
    n_steps: int = 200,
    random_state: Any = None,
) -> SaddleHistory:
    """Train a perceptron with ``partial_fit``, and record in how many directions its loss still falls.

    In high dimension the loss at critical points is said to grow with the share of negative eigenvalues
    [1]_; ``rank_correlation`` of the result is that of the two along training, where weights are seldom at a
    critical point. For other samples than those trained on, measure in a loop of your own and put
    together what :func:`saddle_index` finds: :meth:`SaddleHistory.of`.

    Parameters
    ----------
    estimator : MLPClassifier
        It is trained itself, no clone; a fitted one goes on from where it is.
    X : array-like of shape (n_samples, n_features)
        Training samples, on which the loss is measured too.
    y : array-like of shape (n_samples,)
        Their labels.
    n_epochs : int
        How often all samples are gone through, in batches that are the estimator's own.
    every : int, default=1
        Epochs between two records. The end is always recorded, and so is the beginning where the estimator
        is fitted: one that is not has no weights yet.
    tol, method, n_probes, n_steps
        As for :func:`saddle_index`.
    random_state : int, RandomState instance or None, default=None
        Draws the random vectors of "lanczos", the same for all records. The estimator has its own.

    Returns
    -------
    history : SaddleHistory
        Index, loss and length of the gradient by epoch.

    Raises
    ------
    TypeError
        If the estimator is no ``MLPClassifier``.
    ValueError
        If a parameter or the data is invalid, or the estimator has no ``partial_fit`` as it is set.

    See Also
    --------
    SaddleCallback : The same for skorch.
    saddle_index : The same of a network that is trained.

    References
    ----------
    .. [1] Dauphin, Pascanu, Gulcehre, Cho, Ganguli & Bengio, "Identifying and attacking
       the saddle point problem in high-dimensional non-convex optimization", NeurIPS
       2014, arXiv 1406.2572.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.inspection import saddle_history
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((5,), learning_rate_init=0.01, random_state=0)
    >>> history = saddle_history(net, X, y, n_epochs=30, every=10)
    >>> history.epochs
    array([10., 20., 30.])
    >>> bool(history.losses[-1] < history.losses[0])
    True
    """
    if not isinstance(estimator, MLPClassifier):
        raise TypeError(
            f"saddle_history trains an MLPClassifier, got {type(estimator).__name__}; a skorch net records "
            "with SaddleCallback, and any loop of training with saddle_index and SaddleHistory.of"
        )
    check_streams(estimator)
    check_integer("n_epochs", n_epochs)
    check_integer("every", every)
    check_options(tol, method, n_probes, n_steps)
    points = read_rows(X)
    labels = read_targets(y, len(points))
    fitted = hasattr(estimator, "coefs_")
    classes = estimator.classes_ if fitted else np.unique(labels)
    check_labels(labels, classes, len(points))
    data = without_polars(X) if hasattr(X, "columns") else points
    seed = draw_seed(check_random_state(random_state))
    options = {"tol": tol, "method": method, "n_probes": n_probes, "n_steps": n_steps}
    measure = partial(find_saddle, **options, random_state=seed)
    records = {0: measure(estimator, data, labels)} if fitted else {}
    for epoch in range(1, n_epochs + 1):
        estimator.partial_fit(data, labels, classes=classes)
        if epoch % every == 0 or epoch == n_epochs:
            records[epoch] = measure(estimator, data, labels)
    return SaddleHistory.of(list(records.values()), list(records))
