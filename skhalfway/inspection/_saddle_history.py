"""saddle_history: the saddle index of an MLPClassifier during its training."""

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
from skhalfway.models._type_checks import kind_of
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table

if TYPE_CHECKING:
    import pandas as pd

_N_LINES = 10  # largest number of records in the printed table


@dataclass(frozen=True, eq=False, repr=False)
class SaddleHistory(Result):
    """Curvatures of the loss at the weights of a network during its training.

    Made by :func:`saddle_history` and :class:`SaddleCallback`. :meth:`SaddleHistory.of` makes one from the
    records of your own training loop. Arrays are read-only.

    Parameters
    ----------
    epochs : ndarray of shape (n_records,)
        Epochs trained, increasing.
    index, flat : ndarray of shape (n_records,)
        Share of negative eigenvalues of the Hessian, and share of eigenvalues that are about 0.
    standard_errors : ndarray of shape (n_records,)
        Standard errors of the index; 0 where all eigenvalues are known, nan for a single probe.
    losses : ndarray of shape (n_records,)
        Mean cross-entropies.
    gradient_norms : ndarray of shape (n_records,)
        Norms of the gradient, which is 0 at a critical point.
    n_parameters : int
        Number of weights of the network.
    bounds : ndarray of shape (n_records, 2), default=None
        Lower and upper bound of the index for its probes, see :attr:`SaddleIndex.bounds`.

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
                raise ValueError(f"bounds must have shape {(n, 2)}, got {self.bounds.shape}")
        if not np.isfinite(self.epochs).all() or (self.epochs[1:] <= self.epochs[:-1]).any():
            raise ValueError(f"epochs must be finite and increase, got {shown(self.epochs)}")

    @classmethod
    def of(cls, records: Sequence[SaddleIndex], epochs: Any) -> SaddleHistory:
        """Combine results of :func:`saddle_index` that were recorded during a training.

        Parameters
        ----------
        records : sequence of SaddleIndex
            Results for one network, on the same samples.
        epochs : array-like of shape (n_records,)
            Number of epochs trained at each record, increasing.

        Returns
        -------
        history : SaddleHistory
            Index, loss and norm of the gradient by epoch.

        Raises
        ------
        ValueError
            If there are no records, their networks have different numbers of parameters, there are not as
            many epochs as records, or epochs do not increase.
        TypeError
            If a record is no ``SaddleIndex``.

        Warns
        -----
        ConvergenceWarning
            If some records have too few Lanczos steps.

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
            raise TypeError(f"records must be results of saddle_index, got {strange[0]}")
        sizes = {one.n_parameters for one in records}
        if len(sizes) != 1:
            found = f"got networks with {shown(sorted(sizes))} parameters" if sizes else "got no records"
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
        """Spearman's rank correlation of index and loss over records.

        It is nan for fewer than 3 records, and where either figure is constant. At critical points it is said
        to be positive. The records of a training are neither critical points nor independent: both figures
        may simply decrease with time.
        """
        pair = np.stack([self.index, self.losses])
        return float(agreement(pair, np.ones(pair.shape, dtype=bool))[0, 1])

    def to_frame(self) -> pd.DataFrame:
        """Records, one row each.

        Returns
        -------
        frame : DataFrame
            Indexed by epoch, with columns index, standard error, low and high (bounds of the index), flat,
            loss and gradient norm.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.inspection import SaddleHistory
        >>> shares, zeros = np.array([0.5, 0.25]), np.zeros(2)
        >>> history = SaddleHistory(np.arange(2), shares, zeros, zeros, np.array([0.7, 0.4]), shares, 90)
        >>> history.to_frame()["index"].tolist()
        [0.5, 0.25]
        """
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
    """Train a perceptron with ``partial_fit``, and record its :func:`saddle_index`.

    In high dimension, the loss at critical points is said to grow with the share of negative eigenvalues
    [1]_. The ``rank_correlation`` of the result is that of the two during training, where weights are seldom
    at a critical point. To measure on other samples than the training samples, write your own training loop,
    and combine the results of :func:`saddle_index` with :meth:`SaddleHistory.of`.

    Parameters
    ----------
    estimator : MLPClassifier
        Perceptron to train. It is not cloned, and a fitted one is trained further.
    X : array-like of shape (n_samples, n_features)
        Training samples, on which the loss is measured too.
    y : array-like of shape (n_samples,)
        Their labels.
    n_epochs : int
        Number of epochs, with the estimator's own batch size.
    every : int, default=1
        Number of epochs between two records. The end of training is always recorded. The beginning is
        recorded where the estimator is fitted; an unfitted one has no weights yet.
    tol, method, n_probes, n_steps
        Options of :func:`saddle_index`.
    random_state : int, RandomState instance or None, default=None
        Source of the random vectors of "lanczos", which are the same for all records. Training uses the
        estimator's own ``random_state``.

    Returns
    -------
    history : SaddleHistory
        Index, loss and norm of the gradient by epoch.

    Raises
    ------
    TypeError
        If the estimator is no ``MLPClassifier``.
    ValueError
        If a parameter or the data is invalid, or if the estimator's settings do not allow ``partial_fit``.

    See Also
    --------
    SaddleCallback : The same for skorch nets.
    saddle_index : The same for a network that is trained already.

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
            "saddle_history trains an MLPClassifier (use SaddleCallback for a skorch net, or saddle_index "
            f"and SaddleHistory.of in your own training loop); got {kind_of(estimator)}"
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
    measure = partial(
        find_saddle, tol=tol, method=method, n_probes=n_probes, n_steps=n_steps, random_state=seed
    )
    records = {0: measure(estimator, data, labels)} if fitted else {}
    for epoch in range(1, n_epochs + 1):
        estimator.partial_fit(data, labels, classes=classes)
        if epoch % every == 0 or epoch == n_epochs:
            records[epoch] = measure(estimator, data, labels)
    return SaddleHistory.of(list(records.values()), list(records))
