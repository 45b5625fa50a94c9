"""Distances, along directions, from samples to boundaries and between the boundaries of two models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import UndefinedMetricWarning

from skhalfway._checks import check_choice, check_length, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_numbers
from skhalfway._randomness import leaving_no_trace
from skhalfway._text import counted
from skhalfway.boundaries._directions import legitimate_directions, random_directions
from skhalfway.boundaries._gradients import unit_gradient
from skhalfway.boundaries._path_points import read_points, read_several_labelled
from skhalfway.boundaries._paths import check_tol, trace_all
from skhalfway.models import Model, as_model
from skhalfway.models._collection import predictions
from skhalfway.models._faults import named, type_name
from skhalfway.models._input_spec import reader_of
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table

if TYPE_CHECKING:
    import pandas as pd

DIRECTIONS = ("legitimate", "adversarial", "random")


class Medians(NamedTuple):
    """Medians over samples; inf if the label did not change for half of them or more."""

    source: float
    target: float
    inter_boundary: float


@dataclass(frozen=True, eq=False, repr=False)
class InterBoundaryDistance(Result):
    """Distances, along directions, of two models' boundaries from samples and from each other.

    It is made by :func:`inter_boundary_distance`; its arrays are read-only.
    Distances are Euclidean, in input units, and inf if no label changed within
    ``max_distance``.

    Parameters
    ----------
    direction : {"legitimate", "adversarial", "random"}
        Kind of directions.
    max_distance : float
        Distance up to which directions were followed.
    samples : ndarray of shape (n_counted,)
        Row numbers of the samples that count: those that both models classify
        correctly, and that have a direction.
    source, target : ndarray of shape (n_counted,)
        Distances to the boundary of the source, and of the target.

    See Also
    --------
    inter_boundary_distance : Makes it.
    InterBoundaryDistanceDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.boundaries import InterBoundaryDistance
    >>> result = InterBoundaryDistance(
    ...     "random", 5.0, np.arange(3), source=np.array([1.0, 2.0, np.inf]), target=np.array([1.5, 2.0, 4.0])
    ... )
    >>> result.inter_boundary
    array([0.5, 0. , inf])
    >>> result.medians
    Medians(source=2.0, target=2.0, inter_boundary=0.5)
    """

    direction: str
    max_distance: float
    samples: NDArray[np.intp]
    source: NDArray[np.float64]
    target: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("samples", "source", "target"):
            values = frozen(getattr(self, name))
            if values.shape != (len(self.samples),):
                raise ValueError(
                    f"{name} must have one value for each of {len(self.samples)} samples, got {values.shape}"
                )
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def inter_boundary(self) -> NDArray[np.float64]:
        """Distances between the two boundaries, ``|source - target|``, (n_counted,).

        It is inf if only one boundary was found within ``max_distance``, and
        nan if none was, since both may be anywhere beyond.
        """
        either = np.isfinite(self.source) | np.isfinite(self.target)
        apart = np.subtract(self.source, self.target, out=np.full(len(self), np.nan), where=either)
        return np.abs(apart)

    @property
    def medians(self) -> Medians:
        """Medians of the distances; nan if no sample counts.

        For ``inter_boundary``, only samples from which a boundary was found count.
        """
        apart = self.inter_boundary
        return Medians(*map(_median, (self.source, self.target, apart[~np.isnan(apart)])))

    def to_frame(self) -> pd.DataFrame:
        """Return the distances as a pandas DataFrame.

        Returns
        -------
        frame : DataFrame
            One row for each sample, indexed by row number, with the columns
            ``source``, ``target`` and ``inter_boundary``.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.boundaries import InterBoundaryDistance
        >>> source, target = np.array([1.0, 2.0]), np.array([1.5, 2.0])
        >>> result = InterBoundaryDistance("random", 5.0, np.arange(2), source, target)
        >>> result.to_frame()["inter_boundary"].tolist()
        [0.5, 0.0]
        """
        import pandas as pd

        columns = {"source": self.source, "target": self.target, "inter_boundary": self.inter_boundary}
        return pd.DataFrame(columns, index=pd.Index(self.samples, name="sample"))

    def _table(self) -> Table:
        medians = self.medians
        return Table(
            f"InterBoundaryDistance: {counted(len(self), 'sample')}, {self.direction} directions",
            ["", "median distance"],
            [
                ["to the source's boundary", f"{medians.source:.3g}"],
                ["to the target's boundary", f"{medians.target:.3g}"],
                ["between both", f"{medians.inter_boundary:.3g}"],
            ],
        )


@takes_datasets
@leaving_no_trace
def minimum_distance(
    estimator: Any, X: Any, directions: Any, *, max_distance: float, tol: float = 1e-3
) -> NDArray[np.float64]:
    """Distance along unit directions at which a classifier's label first changes.

    This is MD_d(f, x) = min {e > 0 : f(x + e d) != f(x)} of [1]_. It is found
    from predictions alone, as in :func:`skhalfway.halfway.crossings`: a label
    that changes and changes back within 1/16 of ``max_distance`` is missed.

    Parameters
    ----------
    estimator : object
        Fitted classifier: of scikit-learn, skorch or ART, a torch module, or
        anything with ``predict`` and ``classes_``.
    X : array-like of shape (n_samples, n_features)
        Samples; images may have more axes.
    directions : array-like, shaped like X
        A unit vector in L2 for each sample. For a row of zeros, the distance
        is inf.
    max_distance : float
        Distance up to which directions are followed, in input units.
    tol : float, default=1e-3
        Largest error of a distance, as a share of ``max_distance``.

    Returns
    -------
    distance : ndarray of shape (n_samples,)
        Distances in input units; inf if the label does not change within
        ``max_distance``.

    Raises
    ------
    ValueError
        If directions are not of X's shape or not unit vectors, a parameter is
        out of range, or the data is invalid, holds categories or missing
        values, or does not fit the classifier.
    TypeError
        If the object is not a classifier.
    NotFittedError
        If it is not fitted.

    See Also
    --------
    legitimate_directions, adversarial_directions, random_directions : Make
        directions.
    inter_boundary_distance : Compares two models.

    References
    ----------
    .. [1] Tramèr et al., "The space of transferable adversarial examples",
       arXiv 1704.03453, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from skhalfway.boundaries import legitimate_directions, minimum_distance
    >>> X, y = load_iris(return_X_y=True)
    >>> svm = SVC().fit(X, y)
    >>> directions = legitimate_directions(X, y)
    >>> minimum_distance(svm, X[:3], directions[:3], max_distance=5).round(2)
    array([1.43, 1.26, 1.44])
    """
    check_tol(tol)
    check_length("max_distance", max_distance)
    model = as_model(estimator)
    reader = reader_of(model)
    points = read_points(reader, X, reset=not hasattr(reader, "n_features_in_"))
    directions = read_numbers(directions, name="directions")
    if directions.shape != points.shape:
        raise ValueError(f"directions must be shaped like X, {points.shape}, got {directions.shape}")
    length = np.linalg.norm(directions.reshape(len(points), -1).astype(float), axis=1)
    wrong = np.flatnonzero((length != 0) & (np.abs(length - 1) > np.sqrt(np.finfo(directions.dtype).eps)))
    if len(wrong):
        raise ValueError(
            f"directions must have length 1, but {len(wrong)} of {len(points)} have not; the first is row "
            f"{wrong[0]}, of length {length[wrong[0]]:.3g}; divide each by its length"
        )
    names = [type_name(model.estimator)]
    return _follow([model], points, directions, max_distance, tol, names=names)[0]


@takes_datasets
@leaving_no_trace
@recorded
def inter_boundary_distance(
    source: Any,
    target: Any,
    X: Any,
    y: Any,
    *,
    direction: str = "legitimate",
    max_distance: float | None = None,
    tol: float = 1e-4,
    random_state: Any = None,
) -> InterBoundaryDistance:
    """Compare the boundaries of two models, along the same directions from the same samples.

    The result has ID_d(f, g, x) = ``|MD_d(f, x) - MD_d(g, x)|`` of [1]_ for the
    samples that both models classify correctly. If it is smaller than both
    minimum distances, perturbations that cross one boundary mostly cross the
    other. Legitimate and random directions need predictions only.

    Parameters
    ----------
    source, target : object
        Fitted classifiers with the same classes. Their roles are the same,
        except that adversarial directions are those of the source.
    X : array-like of shape (n_samples, n_features)
        Samples; images may have more axes.
    y : array-like of shape (n_samples,)
        True labels.
    direction : {"legitimate", "adversarial", "random"}, default="legitimate"
        Directions from each sample:

        - ``"legitimate"``: to the nearest sample in X of another label;
        - ``"adversarial"``: along the gradient of the source's cross-entropy;
        - ``"random"``: drawn evenly from all directions.
    max_distance : float, default=None
        Distance up to which directions are followed, in input units. None:
        the diagonal of the bounding box of X, which is as long as any path
        within the data's range.
    tol : float, default=1e-4
        Largest error of a minimum distance, as a share of ``max_distance``.
        It is finer than elsewhere, since differences are often small.
    random_state : int, RandomState instance or None, default=None
        Seed of random directions. Pass an int for the same ones across calls.

    Returns
    -------
    result : InterBoundaryDistance
        Minimum distances of both models, and the distance between their
        boundaries, for each sample that counts.

    Raises
    ------
    ValueError
        If a parameter is out of range; if the models differ in classes or
        number of features; if the data is invalid, or of one class; if y has
        unknown labels.
    TypeError
        If an object is not a classifier; if directions are adversarial and the
        source is a black box: the message says why.
    NotFittedError
        If a model is not fitted.

    Warns
    -----
    UndefinedMetricWarning
        If no sample counts, or no boundary is found from any sample. The
        median distance between the boundaries is then nan.

    Notes
    -----
    Samples without a direction do not count. A sample has none if its gradient
    is zero, or if the nearest sample of another label is the same point.

    References
    ----------
    .. [1] Tramèr et al., "The space of transferable adversarial examples",
       arXiv 1704.03453, 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.svm import SVC
    >>> from skhalfway.boundaries import inter_boundary_distance
    >>> X, y = load_iris(return_X_y=True)
    >>> svm = SVC().fit(X, y)
    >>> forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    >>> inter_boundary_distance(svm, forest, X, y)
    InterBoundaryDistance: 145 samples, legitimate directions
                              median distance
    to the source's boundary  1.14
    to the target's boundary  1.01
    between both              0.123
    """
    check_choice("direction", direction, DIRECTIONS)
    rng = check_random_state(random_state)
    check_tol(tol)
    if max_distance is not None:
        check_length("max_distance", max_distance)
    models, points, labels = read_several_labelled({"source": source, "target": target}, X, y)
    if max_distance is None:
        max_distance = float(np.linalg.norm(np.ptp(points.astype(float), axis=0)))
        if max_distance == 0:
            raise ValueError(
                "all samples are the same point, so their range gives no distance; pass max_distance"
            )
    if direction == "legitimate":
        along = legitimate_directions(points, labels)
    elif direction == "random":
        along = random_directions(points, random_state=rng)
    else:
        along = named("source", unit_gradient, models["source"], points, labels)
    right = (predictions(models, points) == labels).all(axis=0)
    rows = np.flatnonzero(right & along.reshape(len(points), -1).any(axis=1))
    found = _follow(list(models.values()), points[rows], along[rows], max_distance, tol, names=list(models))
    result = InterBoundaryDistance(direction, float(max_distance), rows, *found)
    if np.isnan(result.medians.inter_boundary):
        why = (
            f"neither boundary is met within max_distance={max_distance:g} from any sample; raise it"
            if len(rows)
            else "source and target classify no sample right together that has a direction"
        )
        warn(f"the distance between the boundaries is nan: {why}", UndefinedMetricWarning)
    return result


def _follow(
    models: Sequence[Model],
    X: NDArray[Any],
    directions: NDArray[Any],
    max_distance: float,
    tol: float,
    *,
    names: Sequence[str],
) -> NDArray[np.float64]:
    """Distances at which each model's label first changes, (n_models, n_samples)."""
    with np.errstate(over="ignore"):
        ends = (X + max_distance * directions.astype(float)).astype(X.dtype)
    if not np.isfinite(ends).all():
        raise ValueError(
            f"max_distance={max_distance:g} leads beyond {X.dtype}, the float type of X; convert X to float64"
        )
    positions = np.stack([trace.position for trace in trace_all(models, X, ends, tol, names=names)])
    return np.where(np.isnan(positions), np.inf, max_distance * positions)


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values)) if len(values) else np.nan
