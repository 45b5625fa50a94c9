"""sharpness: how fast the loss rises around a solution, by the batch size of its training."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier

from skhalfway._checks import ascending_integers, check_choice, check_integer, check_positive
from skhalfway._entries import takes_datasets
from skhalfway._intervals import POSITIVE, SHARE
from skhalfway._text import shown
from skhalfway.inspection._curve_result import CurveResult
from skhalfway.inspection._initial import read_trainable
from skhalfway.inspection._losses import Loss, filter_normalised
from skhalfway.inspection._repeats import repeated
from skhalfway.models._training import train
from skhalfway.results._provenance import recorded


class Sharpness(CurveResult):
    """How sharp solutions are, by the batch size of their training.

    Made by :func:`sharpness`; arrays are read-only.

    Parameters
    ----------
    x : ndarray of shape (n_batch_sizes,)
        Batch sizes.
    values : dict of str to ndarray of shape (n_batch_sizes, n_repeats)
        Figures by name:

        - ``"rise"``, the mean rise of the loss at a distance of ``radius``;
        - ``"curvature"``, the largest eigenvalue of the loss's Hessian;
        - ``"loss"`` and ``"accuracy"`` of the solution on the training samples;
        - ``"test loss"`` and ``"test accuracy"``, where there are test samples.

    See Also
    --------
    SharpnessDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import Sharpness
    >>> Sharpness(np.array([8, 64]), {"rise": np.array([[0.2], [0.4]])})
    Sharpness: 2 points, 1 repeat
    batch size  rise
    8           .20
    64          .40
    """

    x_label = "batch size"
    x_scale = "log"

    def _limits(self, name: str) -> tuple[float, float]:
        figure = name.removeprefix("test ")  # rise and curvature may be negative
        return {"loss": POSITIVE, "accuracy": SHARE}.get(figure, (-np.inf, np.inf))


@takes_datasets
@recorded
def sharpness(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    batch_sizes: Any = (8, 32, 128),
    X_test: Any = None,
    y_test: Any = None,
    same: str = "updates",
    radius: float = 0.5,
    n_directions: int = 10,
    n_repeats: int = 3,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Sharpness:
    """Train a network with several batch sizes, and measure how sharp the solutions are.

    Large batches were found to lead to sharper minima than small ones [1]_. There
    are two measures, for the mean cross-entropy of the training samples without
    penalties, in evaluation mode:

    - the *rise*: the increase of the loss when each filter is moved by ``radius``
      times its own norm, averaged over random directions. Directions are
      filter-normalised [2]_ and are taken both ways, so that a slope cancels.
      Biases and the weights of batch normalisation are fixed.
    - the *curvature*: the largest eigenvalue of the Hessian in all weights.

    Both measures are our choice; [1]_ uses the largest value in a box around the
    solution. They need not agree: scaling the layers of a ReLU network against
    each other does not change its predictions, and can make it arbitrarily sharp
    [3]_. It changes the curvature, and not the rise. Both measures also depend on
    how far the network was trained: the curvature of the cross-entropy tends to 0
    as training samples are fitted with growing confidence. Compare solutions of
    similar ``"loss"``.

    Parameters
    ----------
    estimator : object
        Skorch classifier whose module is a class or a function, or
        ``MLPClassifier``, of which clones are trained.
    X : array-like of shape (n_samples, ...)
        Training samples.
    y : array-like of shape (n_samples,)
        Their labels.
    batch_sizes : array-like of int, default=(8, 32, 128)
        Batch sizes, ascending, at most the number of samples.
    X_test : array-like of shape (n_test, ...), default=None
        Test samples for loss and accuracy of the solution.
    y_test : array-like of shape (n_test,), default=None
        Their labels.
    same : {"updates", "epochs"}, default="updates"
        What is the same for all batch sizes. Early stopping is left to the
        estimator.

        - ``"updates"``: the smallest batch size gets the estimator's epochs
          (``max_epochs`` or ``max_iter``). Larger batch sizes get as many epochs as
          give the same number of updates, rounded up.
        - ``"epochs"``: all batch sizes get the estimator's epochs, so large batches
          get fewer updates.
    radius : float, default=0.5
        Distance at which the rise is measured, relative to the norms of the
        filters.
    n_directions : int, default=10
        Number of random directions for the rise, the same for all batch sizes.
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
    curves : Sharpness
        Rise, curvature, loss and accuracy by batch size.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid, or the solver does not use batches.
    TypeError
        If the estimator is no network.

    See Also
    --------
    loss_surface : The loss around one solution, on a plane.

    Notes
    -----
    On ``sklearn.datasets.load_digits``, with one hidden layer and the same number
    of updates, solutions of plain stochastic gradient descent are sharper with
    batches of 32 than with 8, by both measures and at the same loss. From 32 to 128
    little changes. With Adam, the rise grows slightly with the batch size and the
    curvature falls; there, small batches end at a larger loss.

    References
    ----------
    .. [1] Keskar, Mudigere, Nocedal, Smelyanskiy & Tang, "On large-batch training
       for deep learning: generalization gap and sharp minima", ICLR 2017.
    .. [2] Li, Xu, Taylor, Studer & Goldstein, "Visualizing the loss landscape of
       neural nets", NeurIPS 2018.
    .. [3] Dinh, Pascanu, Bengio & Bengio, "Sharp minima can generalize for deep
       nets", ICML 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skorch import NeuralNetClassifier
    >>> from torch import nn
    >>> from skhalfway.inspection import sharpness
    >>> X, y = load_iris(return_X_y=True)
    >>> net = NeuralNetClassifier(
    ...     nn.Linear, module__in_features=4, module__out_features=3, criterion=nn.CrossEntropyLoss, verbose=0
    ... )
    >>> curves = sharpness(net, X, y, batch_sizes=[5, 50], n_repeats=2, random_state=0)
    >>> list(curves.values)
    ['rise', 'curvature', 'loss', 'accuracy']
    """
    parts = read_trainable(estimator, X, y, X_test, y_test)
    n_samples = len(parts[""][0])
    sizes = _read_sizes(batch_sizes, n_samples)
    check_choice("same", same, ("updates", "epochs"))
    if getattr(estimator, "solver", "") == "lbfgs":
        raise ValueError("the solver 'lbfgs' does not use batches; choose 'sgd' or 'adam'")
    check_positive("radius", radius)
    check_integer("n_directions", n_directions)
    epochs = "max_iter" if isinstance(estimator, MLPClassifier) else "max_epochs"
    batch = "iterator_train__batch_size"
    if batch not in estimator.get_params():
        batch = "batch_size"
    per_epoch = -(-n_samples // sizes)
    n_epochs = getattr(estimator, epochs) * (per_epoch[0] if same == "updates" else per_epoch)
    settings = [
        {batch: int(b), epochs: int(n)} for b, n in zip(sizes, -(-n_epochs // per_epoch), strict=True)
    ]
    measure = partial(_measure, estimator=estimator, parts=parts, radius=radius, n_directions=n_directions)
    found = repeated(
        measure,
        settings,
        n_repeats=n_repeats,
        random_state=random_state,
        n_jobs=n_jobs,
        verbose=verbose,
        what="sharpness",
    )
    names = ["rise", "curvature", *(part + figure for part in parts for figure in ("loss", "accuracy"))]
    tested = {"test accuracy": len(parts["test "][0])} if "test " in parts else {}
    return Sharpness(sizes, {name: found[..., i] for i, name in enumerate(names)}, n_samples=tested)


def _measure(
    setting: dict[str, int], seed: int, *, estimator: Any, parts: Any, radius: float, n_directions: int
) -> list[float]:
    """Figures of one training, in the order of their names."""
    X, y = parts[""]
    trained = train(clone(estimator).set_params(**setting), X, y, seed)
    losses, rng = [Loss(trained, *part) for part in parts.values()], np.random.RandomState(seed)
    figures = [rise(losses[0], radius, n_directions, rng), losses[0].curvature(rng)]
    for loss in losses:
        figures += loss.at({})
    return figures


def rise(loss: Loss, radius: float, n_directions: int, rng: np.random.RandomState) -> float:
    """Mean rise of a loss at a distance of ``radius`` along random directions, both ways."""
    directions = (filter_normalised(loss.weights, rng) for _ in range(n_directions))
    found = [loss.moved((way * radius, direction))[0] for direction in directions for way in (1, -1)]
    return float(np.mean(found)) - loss.at({})[0]


def _read_sizes(batch_sizes: Any, n_samples: int) -> NDArray[np.int_]:
    sizes = ascending_integers("batch_sizes", batch_sizes)
    if sizes[0] < 1 or sizes[-1] > n_samples:
        raise ValueError(
            f"batch_sizes must be from 1 to {n_samples}, the number of samples; got {shown(batch_sizes)}"
        )
    return sizes
