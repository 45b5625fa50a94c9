"""compression_curve: how far a trained network can be pruned or quantised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.neural_network import MLPClassifier

from skhalfway._checks import check_choice, check_integer, is_number
from skhalfway._entries import takes_datasets
from skhalfway._inputs import check_finite
from skhalfway._intervals import POSITIVE, SHARE
from skhalfway._text import shown
from skhalfway.inspection._compressed import fine_tune, matrices_of, prune, quantize
from skhalfway.inspection._curve_result import CurveResult
from skhalfway.inspection._labelled import (
    answers_of,
    check_net_labels,
    check_repeats,
    read_labelled,
    read_test,
)
from skhalfway.inspection._repeats import repeated
from skhalfway.inspection._weights import weights_of, with_weights
from skhalfway.models._as_model import check_kind, counts_as_fitted
from skhalfway.models._training import train
from skhalfway.models._type_checks import is_skorch_net, is_torch_module, kind_of
from skhalfway.results._provenance import recorded

_FIGURES = ("accuracy", "agreement", "size")
_LEVELS: dict[str, tuple[float, ...]] = {
    "pruning": (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02),
    "quantization": (1, 2, 3, 4, 5, 6),
}
_LABELS = {"pruning": ("share of weights kept", "log"), "quantization": ("bits per weight", "linear")}
_MAX_BITS = 16


@dataclass(frozen=True, eq=False, repr=False)
class CompressionCurve(CurveResult):
    """Accuracy of a network by how far it is compressed.

    Made by :func:`compression_curve`. The figures in ``values`` are:

    - ``"accuracy"``, the test accuracy;
    - ``"agreement"``, the share of test samples for which the compressed
      network predicts what the network predicted before;
    - ``"size"``, the compressed size as a share of the original size.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Shares of the weights kept, or bits per weight.
    values : dict of str to ndarray of shape (n_points, n_repeats)
        Figures by name.
    method : {"pruning", "quantization"}
        Method of compression.

    See Also
    --------
    CompressionCurveDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import CompressionCurve
    >>> CompressionCurve(np.array([1.0, 0.1]), {"accuracy": np.array([[0.9], [0.5]])}, "pruning")
    CompressionCurve: 2 points, 1 repeat
    share of weights kept  accuracy
    1                      .90
    0.1                    .50
    """

    method: str

    y_label: ClassVar[str] = "share"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("method", self.method, _LABELS)
        for name, value in zip(("x_label", "x_scale"), _LABELS[self.method], strict=True):
            object.__setattr__(self, name, value)

    def _limits(self, name: str) -> tuple[float, float]:
        return POSITIVE if name == "size" else SHARE  # a codebook may be larger than a small matrix


@takes_datasets
@recorded
def compression_curve(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    X_test: Any,
    y_test: Any,
    method: str = "pruning",
    levels: Sequence[float] | None = None,
    scope: str = "layer",
    codebook: str = "kmeans",
    n_epochs: int = 0,
    n_repeats: int | None = None,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> CompressionCurve:
    """Prune or quantise a trained network to several levels, and score what is left.

    Trained networks have far more weights, and far more different values of
    weights, than their predictions need [1]_. Each level starts from the network
    as it was trained. Matrices and convolution kernels are compressed; biases are
    not.

    Parameters
    ----------
    estimator : skorch classifier, MLPClassifier or torch module
        Network of which a clone is trained on ``X``, ``y`` for each repeat. A
        network that is trained already, as a ``FrozenEstimator`` or a torch
        module, is used as it is.
    X : array-like of shape (n_samples, ...)
        Samples for training and for fine-tuning.
    y : array-like of shape (n_samples,)
        Their labels.
    X_test : array-like of shape (n_test, ...)
        Samples to score with.
    y_test : array-like of shape (n_test,)
        Their labels.
    method : {"pruning", "quantization"}, default="pruning"
        - ``"pruning"``: weights of the smallest magnitude are set to 0.
        - ``"quantization"``: the weights of each matrix share a few values.
    levels : sequence, default=None
        Levels of compression:

        - pruning: shares of the weights that are kept, greater than 0 and at
          most 1. The default goes from 1 to 0.02.
        - quantisation: bits per weight, integers from 1 to 16. With b bits a
          weight has one of ``2 ** b`` values. The default is 1 to 6.
    scope : {"layer", "global"}, default="layer"
        Whether the share is kept of each matrix, or of all matrices together.
        Ignored for quantisation.
    codebook : {"kmeans", "uniform"}, default="kmeans"
        How the shared values are found. Ignored for pruning.

        - ``"kmeans"``: by k-means for each matrix, initialised with evenly
          spaced values as in [1]_.
        - ``"uniform"``: evenly spaced from the smallest to the largest weight;
          each weight takes the nearest value.
    n_epochs : int, default=0
        Epochs of fine-tuning after the compression, with the network's own
        optimizer; 0 is no fine-tuning. Pruned weights stay 0, and weights that
        share a value continue to share it. Where all weights are kept, the
        network is only trained longer. After each step, matrices are projected
        to the nearest ones that the compression allows, so a shared value moves
        by the mean of the steps of its weights (our choice).
    n_repeats : int, default=None
        How often the network is trained and compressed, each time with another
        seed. None is 5, or 1 for a network that is trained already.
    random_state : int, RandomState instance or None, default=None
        Source of the seeds of training and fine-tuning.
    n_jobs : int, default=None
        Number of repeats in parallel, in processes. None is 1 unless in a
        ``joblib.parallel_config`` context; -1 is all cores.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    curve : CompressionCurve
        Accuracy, agreement with the uncompressed network, and size.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid, or if repeats would all be the
        same because the network is trained already.
    TypeError
        If the estimator is no network, or cannot be fine-tuned.

    See Also
    --------
    compress : The compressed network itself, at one level.
    distill : Another way to a small network.

    Notes
    -----
    After pruning, the size is the share of parameters, biases included, that are
    not set to 0; the positions of the kept weights are not counted. After
    quantisation, it is the ratio of bits stored after to bits before. These are,
    for each weight of a matrix, the index of its value; the values themselves at
    full precision; and the biases. The size can exceed 1 where a matrix has fewer
    weights than there are values.

    References
    ----------
    .. [1] Han, Mao & Dally, "Deep compression: compressing deep neural networks
       with pruning, trained quantization and Huffman coding", ICLR 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.inspection import compression_curve
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((32,), learning_rate_init=0.02, max_iter=300)
    >>> curve = compression_curve(net, X[::2], y[::2], X_test=X[1::2], y_test=y[1::2], levels=[1, 0.5, 0.1],
    ...                           n_repeats=2, random_state=0)
    >>> curve.means["agreement"][0], bool(curve.means["size"][1] < 0.6)
    (np.float64(1.0), True)
    """
    fitted = _check_estimator(estimator, n_epochs)
    levels = _check_options(method, levels, scope, codebook)
    if n_repeats is None:
        n_repeats = 1 if fitted else 5
    if fitted:
        check_integer("n_repeats", n_repeats)
    else:
        check_repeats(estimator, n_repeats)
    if fitted and not n_epochs and n_repeats > 1:
        raise ValueError(
            f"{type(estimator).__name__} is trained already, so repeats would all be the same: n_repeats "
            f"must be 1, got {n_repeats}; pass an untrained network, or n_epochs > 0"
        )
    X, y = read_labelled(X, y)
    classes = np.unique(y)
    check_net_labels(estimator, classes)
    X_test, y_test = read_test(X_test, y_test, X, classes)
    check_finite(X)
    check_finite(X_test, "X_test")
    shrink = _shrinking(method, scope, codebook)
    found = repeated(
        partial(_measure, estimator, (X, y), (X_test, y_test), shrink, n_epochs),
        [levels],
        n_repeats=n_repeats,
        random_state=random_state,
        n_jobs=n_jobs,
        verbose=verbose,
        what=f"{method} curve",
    )[0]
    values = {name: found[..., i].T for i, name in enumerate(_FIGURES)}
    n_samples = dict.fromkeys(("accuracy", "agreement"), len(y_test))
    return CompressionCurve(np.array(levels), values, method, n_samples=n_samples)


def compress(
    estimator: Any, level: float, *, method: str = "pruning", scope: str = "layer", codebook: str = "kmeans"
) -> Any:
    """Prune or quantise a trained network.

    Parameters
    ----------
    estimator : skorch classifier, MLPClassifier or torch module
        Fitted network, which is not changed.
    level : float or int
        Share of the weights that pruning keeps, or bits per weight for
        quantisation.
    method : {"pruning", "quantization"}, default="pruning"
        Method of compression, as for :func:`compression_curve`.
    scope : {"layer", "global"}, default="layer"
        Whether pruning keeps the share of each matrix, or of all together.
    codebook : {"kmeans", "uniform"}, default="kmeans"
        How quantisation finds the shared values.

    Returns
    -------
    compressed : object
        A copy of the network, with fewer nonzero weights or fewer different
        values of weights.

    Raises
    ------
    ValueError
        If a parameter is invalid, or the network has no matrices.
    TypeError
        If the estimator is no network.
    NotFittedError
        If the estimator is not fitted.

    See Also
    --------
    compression_curve : Accuracy and agreement, level by level.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.inspection import compress
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((32,), solver="lbfgs", alpha=1, max_iter=1000, random_state=0).fit(X, y)
    >>> [int(np.count_nonzero(weights)) for weights in compress(net, 0.25).coefs_]
    [32, 24]
    """
    (level,) = _check_options(method, [level], scope, codebook)
    weights = weights_of(estimator)
    if not matrices_of(weights):
        raise ValueError(f"{type(estimator).__name__} has no matrices to compress")
    return with_weights(estimator, _shrinking(method, scope, codebook)(weights, level)[0])


def _shrinking(method: str, scope: str, codebook: str) -> Any:
    return partial(prune, scope=scope) if method == "pruning" else partial(quantize, codebook=codebook)


def _check_estimator(estimator: Any, n_epochs: int) -> bool:
    """Whether the estimator is trained already; raise where it is no network, or cannot be fine-tuned."""
    check_integer("n_epochs", n_epochs, least=0)
    check_kind(estimator)
    fitted = counts_as_fitted(estimator)
    inner = estimator
    while isinstance(inner, FrozenEstimator):
        inner = inner.estimator
    if fitted:
        if not matrices_of(weights_of(estimator)):
            raise ValueError(f"{type(inner).__name__} has no matrices to compress")
    elif not (is_skorch_net(inner) or isinstance(inner, MLPClassifier)):
        raise TypeError(
            "a network with weights is needed: a skorch classifier, an MLPClassifier or a torch module; "
            f"got {kind_of(inner)}"
        )
    if n_epochs and is_torch_module(inner):
        raise TypeError(
            f"n_epochs={n_epochs} needs a way to train: wrap {type(inner).__name__} in a skorch net"
        )
    if n_epochs and isinstance(inner, MLPClassifier) and (inner.solver == "lbfgs" or inner.early_stopping):
        raise TypeError(
            f"n_epochs={n_epochs} trains with partial_fit, which an MLPClassifier has only with "
            f"solver='sgd' or 'adam' and early_stopping=False; got solver={inner.solver!r} and "
            f"early_stopping={inner.early_stopping}"
        )
    return fitted


def _check_options(method: str, levels: Sequence[float] | None, scope: str, codebook: str) -> list[float]:
    for name, value, allowed in (
        ("method", method, list(_LEVELS)),
        ("scope", scope, ["layer", "global"]),
        ("codebook", codebook, ["kmeans", "uniform"]),
    ):
        check_choice(name, value, allowed)
    chosen = list(_LEVELS[method] if levels is None else levels)
    if not chosen:
        raise ValueError("levels must hold at least one level, got none")
    for level in chosen:
        if method == "quantization":
            check_integer("a level of quantization", level)
            if level > _MAX_BITS:
                raise ValueError(
                    f"a level of quantization must be at most {_MAX_BITS} bits, got {shown(level)}"
                )
        elif not is_number(level) or not 0 < level <= 1:
            raise ValueError(f"a level of pruning is a share of weights kept in (0, 1], got {shown(level)}")
    return chosen


def _measure(
    estimator: Any,
    data: tuple[Any, Any],
    test: tuple[Any, Any],
    shrink: Any,
    n_epochs: int,
    levels: list[float],
    seed: int,
) -> NDArray[np.float64]:
    """Accuracy, agreement and size at each level, for a network that is trained with the seed."""
    network = train(estimator, *data, seed)
    X_test, y_test = test
    weights = weights_of(network)
    before = answers_of(network, X_test)
    rows = []
    for level in levels:
        weights_left, projections, size = shrink(weights, level)
        compressed = with_weights(network, weights_left)
        if n_epochs:
            fine_tune(compressed, *data, projections, n_epochs=n_epochs, seed=seed)
        after = answers_of(compressed, X_test)
        rows.append([(after == y_test).mean(), (after == before).mean(), size])
    return np.array(rows)
