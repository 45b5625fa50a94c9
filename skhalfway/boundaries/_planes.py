"""Decision regions of several models on the plane through three samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway._checks import check_integer, check_jobs, is_number
from skhalfway._entries import takes_datasets
from skhalfway._inputs import check_labels
from skhalfway._randomness import leaving_no_trace
from skhalfway._text import short, shown
from skhalfway.boundaries._answers import ask_all
from skhalfway.boundaries._path_points import read_several
from skhalfway.boundaries._paths import check_tol, trace_all
from skhalfway.boundaries._plane_grids import axes, gram_schmidt, grid_shares, mix, on_a_line
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

SIDES = np.array([[0, 1], [1, 2], [2, 0]])  # sides of the triangle of samples, by the samples' numbers


@dataclass(frozen=True, eq=False, repr=False)
class DecisionRegions(Result):
    """Predictions of several models on a grid of the plane through three samples.

    It is made by :func:`decision_regions`; its arrays are read-only.
    Coordinates on the plane are Euclidean distances in input units. The first
    sample is at (0, 0), the second at (x, 0) with x > 0, the third at (x, y)
    with y > 0.

    Parameters
    ----------
    names : tuple of str
        Names of the n_models models.
    classes : ndarray of shape (n_classes,)
        Labels of the models.
    labels : ndarray of shape (n_models, resolution, resolution)
        Predictions: ``labels[m, i, j]`` is that of model m at (x[j], y[i]).
    x, y : ndarray of shape (resolution,)
        Coordinates of the grid.
    samples : ndarray of shape (3, n_features)
        The three samples; images have more axes.
    sample_labels : ndarray of shape (3,), default=None
        True labels of the samples; None if they are not known.
    crossings : ndarray of shape (n_models, 3, 2), default=None
        First crossings on the paths between the samples 0 and 1, 1 and 2, 2
        and 0. They are shares of the path, measured from the first sample and
        from the second; nan if there is none. None if they were not computed.

    See Also
    --------
    decision_regions : Makes it.
    DecisionRegionsDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.boundaries import DecisionRegions
    >>> regions = DecisionRegions(
    ...     ("left", "right"),
    ...     classes=np.array([0, 1]),
    ...     labels=np.array([[[0, 1, 1], [0, 1, 1]], [[0, 0, 1], [0, 0, 1]]]),
    ...     x=np.array([0.0, 2.0, 4.0]),
    ...     y=np.array([0.0, 3.0]),
    ...     samples=np.array([[0.0, 0.0, 7.0], [4.0, 0.0, 7.0], [4.0, 3.0, 7.0]]),
    ... )
    >>> regions.points()[1]
    array([[0., 3., 7.],
           [2., 3., 7.],
           [4., 3., 7.]])
    >>> regions.agreement.round(2)
    array([[1.  , 0.67],
           [0.67, 1.  ]])
    """

    names: tuple[str, ...]
    classes: NDArray[Any]
    labels: NDArray[Any]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    samples: NDArray[Any]
    sample_labels: NDArray[Any] | None = None
    crossings: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        for name in ("classes", "labels", "x", "y", "samples"):
            object.__setattr__(self, name, frozen(getattr(self, name)))
        shape = (len(self.names), len(self.y), len(self.x))
        if self.labels.shape != shape or len(self.samples) != 3:
            raise ValueError(
                f"labels must have shape {shape} for {len(self.names)} names and this grid, and samples must "
                f"be 3; got {self.labels.shape} and {len(self.samples)}"
            )
        if self.sample_labels is not None:
            index = check_labels(self.sample_labels, self.classes, 3, name="sample_labels")
            object.__setattr__(self, "sample_labels", frozen(self.classes[index]))
        if self.crossings is not None:
            found = frozen(self.crossings, float)
            if found.shape != (len(self.names), len(SIDES), 2):
                raise ValueError(
                    f"crossings must have shape {(len(self.names), len(SIDES), 2)}: for each model and side, "
                    f"from both ends; got {found.shape}"
                )
            if ((found < 0) | (found > 1)).any():
                raise ValueError("crossings must be between 0 and 1, or nan")
            object.__setattr__(self, "crossings", found)

    @cached_property
    def _plane(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        basis, anchors = (found[0] for found in gram_schmidt(self.samples.reshape(1, 3, -1)))
        basis = basis.reshape(2, *self.samples.shape[1:])
        for values in (basis, anchors):
            values.setflags(write=False)
        return basis, anchors

    @property
    def basis(self) -> NDArray[np.float64]:
        """Two orthogonal unit vectors that span the plane, one for each axis, (2, n_features)."""
        return self._plane[0]

    @property
    def anchors(self) -> NDArray[np.float64]:
        """Coordinates of the three samples on the plane, (3, 2)."""
        return self._plane[1]

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge of the grid's cells, whose centres are its points."""
        x, y = self.x.tolist(), self.y.tolist()
        half_x, half_y = (x[1] - x[0]) / 2, (y[1] - y[0]) / 2
        return x[0] - half_x, x[-1] + half_x, y[0] - half_y, y[-1] + half_y

    @property
    def agreement(self) -> NDArray[np.float64]:
        """Share of the grid on which two models agree, (n_models, n_models)."""
        flat = self.labels.reshape(len(self.names), -1)
        return np.stack([(own == flat).mean(axis=1) for own in flat])

    def points(self) -> NDArray[Any]:
        """Compute the inputs on the grid.

        Returns
        -------
        points : ndarray of shape (resolution, resolution, n_features)
            ``points()[i, j]`` is the input at (x[j], y[i]).

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skhalfway.boundaries import decision_regions
        >>> X, y = load_iris(return_X_y=True)
        >>> bayes = GaussianNB().fit(X, y)
        >>> decision_regions([bayes, bayes], X[[0, 50, 100]], resolution=3).points().shape
        (3, 3, 4)
        """
        shares = grid_shares(self.anchors[None], self.x[None], self.y[None])[0]
        return mix(shares, self.samples).reshape(len(self.y), len(self.x), *self.samples.shape[1:])

    def to_plane(self, points: Any) -> NDArray[np.float64]:
        """Compute the coordinates of inputs on the plane, or of their projections onto it.

        Parameters
        ----------
        points : array-like of shape (n_points, n_features)
            Inputs.

        Returns
        -------
        coordinates : ndarray of shape (n_points, 2)
            Coordinates, in input units.

        Raises
        ------
        ValueError
            If the points do not have the samples' shape.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skhalfway.boundaries import decision_regions
        >>> X, y = load_iris(return_X_y=True)
        >>> bayes = GaussianNB().fit(X, y)
        >>> decision_regions([bayes, bayes], X[[0, 50, 100]], resolution=3).to_plane(X[[0, 50]]).round(2)
        array([[0., 0.],
               [4., 0.]])
        """
        points = np.asarray(points)
        if points.ndim == 0 or points.shape[1:] != self.samples.shape[1:]:
            raise ValueError(
                f"points must have shape (n_points, {', '.join(map(str, self.samples.shape[1:]))}), "
                f"got {points.shape}"
            )
        away = (points.astype(float) - self.samples[0]).reshape(len(points), -1)
        return away @ self.basis.reshape(2, -1).T

    def to_frame(self) -> pd.DataFrame:
        """Return the predictions as a pandas DataFrame.

        Returns
        -------
        frame : DataFrame
            A row for each point, indexed by (y, x); a column for each model.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skhalfway.boundaries import decision_regions
        >>> X, y = load_iris(return_X_y=True)
        >>> bayes = GaussianNB().fit(X, y)
        >>> decision_regions([bayes, bayes], X[[0, 50, 100]], resolution=3).to_frame().shape
        (9, 2)
        """
        import pandas as pd

        at = pd.MultiIndex.from_product([self.y, self.x], names=["y", "x"])
        return pd.DataFrame(dict(zip(self.names, self.labels.reshape(len(self.names), -1), strict=True)), at)

    def _table(self) -> Table:
        shares = (self.labels[..., None] == self.classes).mean(axis=(1, 2))
        rows: list[list[str | Cell]] = [
            [name, *(Cell(short(share), shade=float(share)) for share in row)]
            for name, row in zip(self.names, shares, strict=True)
        ]
        size = f"{len(self.x)} x {len(self.y)}"
        return Table(
            f"DecisionRegions: {len(self.names)} models on a grid of {size} points",
            ["share of", *map(str, self.classes.tolist())],
            rows,
        )


@takes_datasets
@leaving_no_trace
@recorded
def decision_regions(
    models: Any,
    X3: Any,
    y3: Any = None,
    *,
    resolution: int = 50,
    padding: float = 0.1,
    tol: float | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> DecisionRegions:
    """Predict a grid of points of the plane through three samples, with several models.

    The plane's axes are computed from the three samples by Gram-Schmidt. The grid covers the rectangle around
    the samples, widened on each side by a share of its width and height, as in [1]_ and its authors' code.

    Parameters
    ----------
    models : mapping, or list of (str, model) or of models
        Fitted classifiers, two or more, as :meth:`skhalfway.HalfwayScorer.fit`
        takes them.
    X3 : array-like of shape (3, n_features)
        Three samples, not on a line; images may have more axes.
    y3 : array-like of shape (3,), default=None
        True labels of the samples, for drawing.
    resolution : int, default=50
        Number of points of the grid along each axis, at least 2.
    padding : float, default=0.1
        Share of the rectangle's width that is added on the left and on the
        right, and of its height below and above; at least 0.
    tol : float, default=None
        Largest error of the crossings on the paths between the samples, as a
        share of a path, in (0, 1]; see :func:`skhalfway.halfway.crossings`.
        None computes no crossings.
    n_jobs : int, default=None
        Number of threads, over models. None is 1 unless in a ``joblib.parallel_config`` context.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    regions : DecisionRegions
        Predictions, the grid, and the samples' coordinates on it.

    Raises
    ------
    ValueError
        If there are not three samples, or they lie on a line, or the data or a parameter is
        invalid; if models differ in classes or number of features.
    TypeError
        If an object is not a classifier.
    NotFittedError
        If a model is not fitted.
    RuntimeError
        If a model raises while it predicts; its name is in the message.

    See Also
    --------
    reproducibility : Agreement of models on many such planes.

    References
    ----------
    .. [1] Somepalli et al., "Can neural nets learn the same model twice?
       Investigating reproducibility and double descent from the decision
       boundary perspective", CVPR 2022, arXiv 2203.08124, section 3.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skhalfway.boundaries import decision_regions
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {
    ...     "lr": LogisticRegression(max_iter=1000).fit(X, y),
    ...     "tree": DecisionTreeClassifier(random_state=0).fit(X, y),
    ... }
    >>> regions = decision_regions(models, X[[0, 50, 100]])
    >>> regions
    DecisionRegions: 2 models on a grid of 50 x 50 points
    share of  0    1    2
    lr        .36  .37  .27
    tree      .21  .52  .27
    >>> regions.anchors.round(2)
    array([[0.  , 0.  ],
           [4.  , 0.  ],
           [5.07, 1.51]])
    """
    check_grid(resolution, padding, n_jobs, verbose)
    if tol is not None:
        check_tol(tol)
    seen, samples, classes = read_several(models, X3)
    if len(samples) != 3:
        raise ValueError(f"a plane goes through 3 samples, X3 holds {len(samples)}")
    own = None if y3 is None else classes[check_labels(y3, classes, 3, name="y3")]
    flat = samples.reshape(1, 3, -1)
    if on_a_line(flat)[0]:
        raise ValueError("the 3 samples of X3 lie on a line, so they determine no plane; choose others")
    anchors = gram_schmidt(flat)[1]
    x, y = axes(anchors, resolution, padding)
    shares = grid_shares(anchors, x, y)[0]
    labels = np.empty((len(seen), resolution**2), dtype=np.intp)
    parts = list(blocks(len(shares), flat.shape[2]))
    points = (mix(shares[part], samples) for part in parts)
    for part, found_there in zip(parts, ask_all(seen, points, len(parts), n_jobs, verbose), strict=True):
        labels[:, part] = found_there
    found = None
    if tol is not None:
        begin, end = samples[SIDES.ravel()], samples[SIDES[:, ::-1].ravel()]
        traces = trace_all(
            list(seen.values()), begin, end, tol, names=list(seen), n_jobs=n_jobs, verbose=verbose
        )
        found = np.stack([trace.position.reshape(SIDES.shape) for trace in traces])
    grid = classes[labels].reshape(-1, resolution, resolution)
    return DecisionRegions(tuple(seen), classes, grid, x[0], y[0], samples, own, found)


def check_grid(resolution: Any, padding: Any, n_jobs: Any, verbose: Any) -> None:
    check_integer("resolution", resolution, 2)
    check_jobs(n_jobs, verbose)
    if not is_number(padding) or not 0 <= float(padding) < np.inf:
        raise ValueError(f"padding must be a finite number >= 0, got {shown(padding)}")
