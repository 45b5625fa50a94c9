"""loss_surface: the loss around a network's weights, in two random directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import delayed
from numpy.typing import NDArray

from skhalfway._checks import check_integer, check_jobs, check_positive, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._parallel import side_by_side
from skhalfway._shared import Shared
from skhalfway.inspection._losses import Loss, Tensors, filter_normalised
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table

if TYPE_CHECKING:
    import pandas as pd

LABELS = {"loss": "mean cross-entropy", "accuracy": "accuracy"}


@dataclass(frozen=True, eq=False, repr=False)
class LossSurface(Result):
    """Loss and accuracy of a network on a plane through its weights.

    Made by :func:`loss_surface`; arrays are read-only.

    Parameters
    ----------
    steps : ndarray of shape (n_points,)
        Steps along each direction, relative to the norms of the network's filters.
        0 is the network itself.
    loss : ndarray of shape (n_points, n_points)
        Mean cross-entropy; rows are steps along the first direction.
    accuracy : ndarray of shape (n_points, n_points)
        Share of samples that are classified correctly.

    See Also
    --------
    LossSurfaceDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import LossSurface
    >>> bowl = np.array([[1.0, 0.5, 1.0], [0.5, 0.0, 0.5], [1.0, 0.5, 1.0]])
    >>> LossSurface(np.array([-1.0, 0.0, 1.0]), bowl, 1 - bowl)
    LossSurface: 3 x 3 points, steps from -1 to 1, loss from 0 to 1
    """

    steps: NDArray[np.float64]
    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.steps)
        for name in ("steps", "loss", "accuracy"):
            array, shape = frozen(getattr(self, name), float), (n,) if name == "steps" else (n, n)
            if array.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
            object.__setattr__(self, name, array)

    def to_frame(self) -> pd.DataFrame:
        """Loss and accuracy, with a row for each point.

        Returns
        -------
        frame : DataFrame
            Indexed by the steps along both directions, with columns loss and
            accuracy.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.inspection import LossSurface
        >>> bowl = np.array([[1.0, 0.5, 1.0], [0.5, 0.0, 0.5], [1.0, 0.5, 1.0]])
        >>> frame = LossSurface(np.array([-1.0, 0.0, 1.0]), bowl, 1 - bowl).to_frame()
        >>> float(frame.loc[(0, -1), "loss"])
        0.5
        """
        import pandas as pd

        index = pd.MultiIndex.from_product([self.steps, self.steps], names=["first", "second"])
        return pd.DataFrame({name: getattr(self, name).ravel() for name in LABELS}, index=index)

    def _table(self) -> Table:
        n, steps, loss = len(self.steps), self.steps, self.loss
        return Table(
            f"LossSurface: {n} x {n} points, steps from {steps[0]:g} to {steps[-1]:g}, "
            f"loss from {loss.min():.3g} to {loss.max():.3g}"
        )


@takes_datasets
@recorded
def loss_surface(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    n_points: int = 21,
    span: float = 1.0,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> LossSurface:
    """Measure the loss on a plane through a network's weights, spanned by two random directions.

    Directions are Gaussian and filter-normalised [1]_: each filter of a direction
    has the norm of the network's filter. The surface therefore does not depend on
    the scale of weights in networks that predict the same. A filter holds the
    weights of one output: of one unit, or of one channel of a convolution. Biases
    and the weights of batch normalisation are fixed, as in the authors' code
    (``biasbn``), and so are running statistics. The two directions are not made
    orthogonal; in as many dimensions as networks have, they nearly are.

    The loss is the mean cross-entropy, without penalties, in evaluation mode.

    Parameters
    ----------
    estimator : object
        Fitted skorch classifier or ``MLPClassifier``, a Pipeline that ends in one, or
        a torch module that returns logits.
    X : array-like of shape (n_samples, ...)
        Samples on which the loss is measured.
    y : array-like of shape (n_samples,)
        Their labels.
    n_points : int, default=21
        Number of points along each direction. With an odd number, the network
        itself is in the middle.
    span : float, default=1.0
        Largest step, to either side. A step of 1 moves each filter by its own
        norm.
    random_state : int, RandomState instance or None, default=None
        Source of the directions.
    n_jobs : int, default=None
        Number of parallel processes, as in joblib.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    surface : LossSurface
        Loss and accuracy at each point.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid, or the network has no weights of
        more than one axis.
    TypeError
        If the estimator is no network.
    NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    loss_path : The loss on the line from initialisation to solution.
    sharpness : How fast the loss rises, against the batch size.

    References
    ----------
    .. [1] Li, Xu, Taylor, Studer & Goldstein, "Visualizing the loss landscape of
       neural nets", NeurIPS 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.inspection import loss_surface
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((8,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0).fit(X, y)
    >>> surface = loss_surface(net, X, y, n_points=5, random_state=0)
    >>> surface.steps
    array([-1. , -0.5,  0. ,  0.5,  1. ])
    >>> surface.loss.argmin() == 5 * 2 + 2  # in the middle
    np.True_
    """
    check_integer("n_points", n_points, 2)
    check_positive("span", span)
    check_jobs(n_jobs, verbose)
    loss, rng = Loss(estimator, X, y), check_random_state(random_state)
    first, second = (filter_normalised(loss.weights, rng) for _ in range(2))
    steps = np.linspace(-span, span, n_points)
    given = Shared((loss, first, second, steps))
    rows = (delayed(_row)(given, step) for step in steps)
    done = side_by_side(
        rows, n_points, n_jobs=n_jobs, verbose=verbose, what="loss surface", unit="row", prefer="processes"
    )
    found = np.array(list(done))
    return LossSurface(steps, found[:, :, 0], found[:, :, 1])


def _row(
    given: Shared[tuple[Loss, Tensors, Tensors, NDArray[np.float64]]], step: float
) -> list[tuple[float, float]]:
    """Loss and accuracy at one step along the first direction, for all steps along the second."""
    loss, first, second, steps = given.value
    return [loss.moved((step, first), (other, second)) for other in steps]
