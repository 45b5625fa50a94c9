"""TrainingHistory: how crossings move while a model learns; recorded from estimators with partial_fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.utils import _safe_indexing

from skhalfway._checks import check_integer, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._inputs import check_labels
from skhalfway._polars import without_polars
from skhalfway._readable import read_labels
from skhalfway._text import counted, short, shown
from skhalfway.boundaries._path_points import read_points
from skhalfway.halfway._figures import agreement, deviation
from skhalfway.models import Model, as_model
from skhalfway.models._as_model import check_kind
from skhalfway.models._type_checks import inner_skorch_net
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table
from skhalfway.training._recorder import Recorder

if TYPE_CHECKING:
    import pandas as pd

_N_LINES = 10  # most lines of a printed history


@dataclass(frozen=True, eq=False, repr=False)
class TrainingHistory(Result):
    """Crossings of decision boundaries, on the same paths, while a model is trained.

    It is made by :func:`halfway_history` and :class:`HalfwayCallback`; its
    arrays are read-only. A path is the segment between two samples of
    different classes, and a crossing is the point at which the model's
    prediction changes. There are two kinds of pairs, which are drawn once:
    random pairs, for the crossings, and samples with their nearest sample of
    another class, for the distances. A random pair counts in a record if the
    model classifies both samples correctly.

    Crossings, deviation and agreement are this package's own formalisation of
    the title of [1]_, whose definitions are not public to us. According to
    [2]_, a decision boundary first comes close to the data ("clinging") and
    then bulges around the samples ("dimpling"). This history serves to examine
    that claim; the measures are ours.

    Parameters
    ----------
    epochs : ndarray of shape (n_records,)
        Number of epochs trained, increasing. A first batch counts as a
        fraction of an epoch.
    crossings : ndarray of shape (n_records, n_pairs)
        First crossing on each path, from 0 to 1; nan if the prediction never
        changes.
    counted : bool ndarray of shape (n_records, n_pairs)
        Whether both samples are classified correctly.
    distances : ndarray of shape (n_records, n_samples)
        Euclidean distance from samples to the first crossing towards the
        nearest sample of another class; inf if the prediction never changes.
    accuracy : ndarray of shape (n_records,)
        Accuracy on the samples of all pairs, each counted once.

    See Also
    --------
    TrainingHistoryDisplay : Draws it.

    References
    ----------
    .. [1] BenShmuel, "Meet you halfway: explaining deep learning mysteries",
       arXiv 2206.04463, 2022.
    .. [2] Shamir, Melamed & BenShmuel, "The dimpled manifold model of
       adversarial examples in machine learning", arXiv 2106.10151, 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.training import TrainingHistory
    >>> history = TrainingHistory(
    ...     epochs=np.array([0, 1, 2]),
    ...     crossings=np.array([[np.nan, 0.9, 0.1], [0.8, 0.7, 0.4], [0.6, 0.5, 0.4]]),
    ...     counted=np.array([[False, True, False], [True, True, True], [True, True, True]]),
    ...     distances=np.array([[np.inf, np.inf], [2.0, 3.0], [1.0, 2.0]]),
    ...     accuracy=np.array([0.5, 1.0, 1.0]),
    ... )
    >>> history
    TrainingHistory: 3 records of 3 pairs and 2 samples
    epoch  accuracy  deviation  agreement  distance  crossed
    0      .50       .40         -         inf       .00
    1      1.0       .20        1.0        2.5       1.0
    2      1.0       .07        1.0        1.5       1.0
    """

    epochs: NDArray[np.float64]
    crossings: NDArray[np.float64]
    counted: NDArray[np.bool_]
    distances: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.epochs)
        for name in ("epochs", "crossings", "counted", "distances", "accuracy"):
            array, ndim = frozen(getattr(self, name)), 1 if name in ("epochs", "accuracy") else 2
            if array.ndim != ndim or len(array) != n or not n:
                raise ValueError(
                    f"{name} must have {ndim} axes and a row for each epoch, got shape {array.shape}"
                )
            object.__setattr__(self, name, array)
        if (self.epochs[1:] <= self.epochs[:-1]).any():
            raise ValueError(f"epochs must increase, got {shown(self.epochs)}")
        if self.counted.shape != self.crossings.shape or np.isnan(self.crossings[self.counted]).any():
            raise ValueError(
                "counted must have the shape of crossings, and be true only where there is a crossing"
            )

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Halfway deviation of each record: mean distance of crossings from 1/2, over pairs that count."""
        return deviation(self.crossings, self.counted)

    @property
    def agreement(self) -> NDArray[np.float64]:
        """Halfway agreement with the last record: rank correlation of crossings, over pairs that count."""
        last = len(self.epochs) - 1
        pairs = (np.array([i, last]) for i in range(last + 1))
        return np.array([agreement(self.crossings[two], self.counted[two])[0, 1] for two in pairs])

    @property
    def boundary_distance(self) -> NDArray[np.float64]:
        """Median of ``distances`` in each record; inf if fewer than half of the paths have a crossing."""
        return np.median(self.distances, axis=1)

    @property
    def crossed(self) -> NDArray[np.float64]:
        """Share of the samples whose path towards another class has a crossing."""
        return np.isfinite(self.distances).mean(axis=1)

    def to_frame(self) -> pd.DataFrame:
        """Return the history as a pandas DataFrame.

        Returns
        -------
        frame : DataFrame
            One row for each record, indexed by epoch, with the columns
            accuracy, deviation, agreement, boundary_distance and crossed.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.training import TrainingHistory
        >>> history = TrainingHistory(
        ...     epochs=np.array([0.0, 1.0]),
        ...     crossings=np.array([[0.9, 0.1], [0.7, 0.4]]),
        ...     counted=np.array([[True, True], [True, True]]),
        ...     distances=np.array([[np.inf, 3.0], [2.0, 3.0]]),
        ...     accuracy=np.array([0.5, 1.0]),
        ... )
        >>> history.to_frame()["crossed"].to_dict()
        {0.0: 0.5, 1.0: 1.0}
        """
        import pandas as pd

        names = ("accuracy", "deviation", "agreement", "boundary_distance", "crossed")
        index = pd.Index(self.epochs, name="epoch")
        return pd.DataFrame({name: getattr(self, name) for name in names}, index=index)

    def _warn_unknown(self) -> None:
        """Warn if the last record has no pair that counts."""
        if not self.counted[-1].any():
            warn(
                "in the last record the model classifies both samples of no pair right, so its deviation "
                "and all agreements are nan",
                UndefinedMetricWarning,
            )

    def _table(self) -> Table:
        n, n_pairs, n_samples = len(self.epochs), self.crossings.shape[1], self.distances.shape[1]
        chosen = np.unique(np.linspace(0, n - 1, min(n, _N_LINES)).round().astype(int))
        rows: list[list[str | Cell]] = []
        for epoch, row in self.to_frame().iloc[chosen].iterrows():
            shares = [Cell(short(row[name])) for name in ("accuracy", "deviation", "agreement", "crossed")]
            rows.append([f"{epoch:.4g}", *shares[:3], f"{row.boundary_distance:.4g}", shares[3]])
        return Table(
            f"TrainingHistory: {counted(n, 'record')} of {counted(n_pairs, 'pair')} and "
            f"{counted(n_samples, 'sample')}",
            ["epoch", "accuracy", "deviation", "agreement", "distance", "crossed"],
            rows,
        )


@takes_datasets
@recorded
def halfway_history(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    n_epochs: int,
    batch_size: int = 32,
    every: int = 1,
    n_pairs: int = 500,
    tol: float = 1e-3,
    random_state: Any = None,
) -> TrainingHistory:
    """Train an estimator with ``partial_fit``, and record its crossings.

    Parameters
    ----------
    estimator : object
        Classifier with ``partial_fit``, such as ``MLPClassifier``,
        ``SGDClassifier`` or ``GaussianNB``. The object itself is trained, not
        a clone; training of a fitted one is continued. For a skorch net, use
        :class:`HalfwayCallback`.
    X : array-like of shape (n_samples, n_features)
        Training samples.
    y : array-like of shape (n_samples,)
        Labels.
    n_epochs : int
        Number of passes over all samples, each in a new order.
    batch_size : int, default=32
        Number of samples for each call of ``partial_fit``.
    every : int, default=1
        Number of epochs between two records. The first and the last state are
        always recorded. The first state is that of the given estimator or, if
        it is not fitted yet, its state after the first batch.
    n_pairs : int, default=500
        Number of random pairs, and number of nearest pairs; at most the number
        of samples.
    tol : float, default=1e-3
        Largest error of a crossing; see :func:`skhalfway.halfway.crossings`.
    random_state : int, RandomState instance or None, default=None
        Seed of the pairs and the order of samples. The estimator's own random
        state is neither used nor changed.

    Returns
    -------
    history : TrainingHistory
        Deviation, agreement with the final model, distance of the boundary and
        accuracy over training.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid, if there are fewer than two
        classes, or labels that the fitted estimator does not know.
    TypeError
        If the estimator is no classifier, or has no ``partial_fit``.

    See Also
    --------
    HalfwayCallback : Records skorch nets.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import SGDClassifier
    >>> from skhalfway.training import halfway_history
    >>> X, y = load_iris(return_X_y=True)
    >>> net = SGDClassifier(random_state=0)
    >>> history = halfway_history(net, X, y, n_epochs=5, n_pairs=100, random_state=0)
    >>> history.epochs.round(2)
    array([0.21, 1.  , 2.  , 3.  , 4.  , 5.  ])
    >>> history.to_frame().columns.tolist()
    ['accuracy', 'deviation', 'agreement', 'boundary_distance', 'crossed']
    """
    check_kind(estimator)
    if not hasattr(estimator, "partial_fit") or inner_skorch_net(estimator) is not None:
        name = type(estimator).__name__
        hint = "which has no partial_fit" if not hasattr(estimator, "partial_fit") else "a skorch net"
        raise TypeError(
            f"halfway_history trains with partial_fit, but got {name}, {hint}; "
            "skorch nets record with HalfwayCallback"
        )
    check_integer("n_epochs", n_epochs)
    check_integer("batch_size", batch_size)
    points = read_points(BaseEstimator(), X, reset=True)
    y = read_labels(y, len(points))
    data, model = without_polars(X) if hasattr(X, "columns") else points, _fitted(estimator)
    classes = np.unique(y) if model is None else model.classes_
    assert classes is not None
    labels = check_labels(y, classes, len(points))
    rng = check_random_state(random_state)
    recorder = Recorder(points, labels, every=every, n_pairs=n_pairs, tol=tol, random_state=rng)
    if model is not None:
        recorder.record(model, 0)
    for epoch in range(1, n_epochs + 1):
        order = rng.permutation(len(y))
        for begin in range(0, len(y), batch_size):
            rows = order[begin : begin + batch_size]
            estimator.partial_fit(_safe_indexing(data, rows), y[rows], classes=classes)
            if not recorder.epochs and batch_size < len(y):
                recorder.record(as_model(estimator), batch_size / len(y))
        if epoch % every == 0 or epoch == n_epochs:
            recorder.record(as_model(estimator), epoch)
    history = TrainingHistory(**recorder.arrays())
    history._warn_unknown()
    return history


def _fitted(estimator: Any) -> Model | None:
    """The Model of the estimator; None if it is not fitted yet."""
    try:
        return as_model(estimator)
    except NotFittedError:
        return None
