"""initialization_influence: how far initial weights and the order of samples decide a trained network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice, check_integer, is_number
from skhalfway._entries import takes_datasets
from skhalfway._inputs import check_finite
from skhalfway._intervals import SHARE
from skhalfway._randomness import draw_seed, undisturbed
from skhalfway._text import shown
from skhalfway.inspection._curve_result import CurveResult
from skhalfway.inspection._pretraining_curve import PretrainingCurve, matched

# part of the results, which users meet but do not import
from skhalfway.inspection._pretraining_curve import PretrainingDifferences as PretrainingDifferences
from skhalfway.inspection._repeats import repeated
from skhalfway.inspection._splits import Split, read_split
from skhalfway.inspection._streams import check_streams, n_epochs_of, train_on_stream
from skhalfway.models import as_model
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen

_VARIED = ("initialization", "order", "both", "early order", "late order")
_PRETRAINED = "pretrained initialization"


@dataclass(frozen=True, eq=False, repr=False)
class InitializationInfluence(CurveResult):
    """Differences of trained networks that differ only in initial weights or in the order of samples.

    Made by :func:`initialization_influence`; arrays are read-only.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        Names of what is varied.
    values : dict of str to ndarray of shape (n_points, n_repeats)
        Differences of two networks that differ in this alone:

        - "disagreement", the share of test samples for which they predict
          different classes;
        - "output change", half the sum of the absolute differences of their
          probabilities (the total variation distance), averaged over the test
          samples;
        - "accuracy difference", the absolute difference of their test
          accuracies.
    accuracy : ndarray of shape (n_repeats,)
        Test accuracy of the network of each repeat with which the others are
        compared. These networks are independent of each other.
    pretraining : PretrainingCurve or None, default=None
        Test losses at equal training losses, with pre-training and without.
        None where there was no pre-training.

    See Also
    --------
    InitializationInfluenceDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import InitializationInfluence
    >>> InitializationInfluence(
    ...     x=np.array(["initialization", "order"]),
    ...     values={"disagreement": np.array([[0.05], [0.02]])},
    ...     accuracy=np.array([0.9]),
    ... )
    InitializationInfluence: 2 points, 1 repeat
    what is varied  disagreement
    initialization  .05
    order           .02
    """

    accuracy: NDArray[np.float64]
    pretraining: PretrainingCurve | None = field(default=None, kw_only=True)

    x_label = "what is varied"
    y_label = "difference of two networks"

    def __post_init__(self) -> None:
        super().__post_init__()
        accuracy = frozen(self.accuracy, float)
        if accuracy.shape != (self.n_repeats,):
            raise ValueError(f"accuracy must have shape ({self.n_repeats},), got {accuracy.shape}")
        object.__setattr__(self, "accuracy", accuracy)
        if self.pretraining is not None and not isinstance(self.pretraining, PretrainingCurve):
            raise TypeError(f"pretraining must be None or a PretrainingCurve, got {shown(self.pretraining)}")

    def _limits(self, name: str) -> tuple[float, float]:
        return SHARE


@takes_datasets
@recorded
def initialization_influence(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    X_test: Any,
    y_test: Any,
    epoch_share: float = 0.25,
    pretraining: str | None = None,
    pretraining_epochs: int = 20,
    noise: float = 0.25,
    n_repeats: int = 5,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> InitializationInfluence:
    """Measure how far initial weights and the order of samples decide a trained network.

    In each repeat a network is trained, and others that differ from it in one
    respect:

    - "initialization": the initial weights;
    - "order": the order of the samples in every epoch;
    - "both": initial weights and order;
    - "early order" and "late order": the order of the samples in the first or in
      the last epochs.

    Two networks may be equally accurate and still misclassify different samples, so
    disagreement says more than accuracy does.

    Erhan et al. [1]_ found that early examples have more influence on the trained
    network than late ones. They vary the examples themselves, in a stream that
    never repeats. Here the samples are always the same, and their order is varied.
    Disagreement as the measure is our choice.

    Their main subject is unsupervised pre-training. It leads training to regions in
    which networks generalise better, and so acts as a regulariser. ``pretraining``
    adds two comparisons:

    - "pretrained initialization": pairs of pre-trained networks that differ in
      their initial weights, to be compared with "initialization".
    - the attribute ``pretraining`` of the result: in each repeat a network is
      trained with and without pre-training, and the test losses are compared at
      equal training losses.

    Parameters
    ----------
    estimator : skorch classifier or MLPClassifier
        Network of which clones are trained, for ``max_epochs`` or ``max_iter``
        epochs. A skorch net must have its module as a class or a function, and
        ``train_split=None``. An ``MLPClassifier`` must have the solver "sgd" or
        "adam".
    X : array-like of shape (n_samples, ...)
        Training samples.
    y : array-like of shape (n_samples,)
        Their labels.
    X_test : array-like of shape (n_test, ...)
        Samples on which networks are compared.
    y_test : array-like of shape (n_test,)
        Their labels.
    epoch_share : float, default=0.25
        Share of the epochs that count as early or as late, rounded to whole
        epochs, at least one. It is above 0 and at most 0.5.
    pretraining : {"autoencoder"}, default=None
        How hidden layers are pre-trained. None is no pre-training. With "autoencoder",
        each hidden layer in turn is trained as a denoising autoencoder of the
        activations of the layer before it; see Notes. It takes ``MLPClassifier``, and
        skorch nets that are chains of ``torch.nn.Linear`` with the activations relu,
        sigmoid, tanh or none. Use 10 repeats or more to separate its effect from chance.
    pretraining_epochs : int, default=20
        Number of epochs of pre-training for each hidden layer.
    noise : float, default=0.25
        Probability with which each input of an autoencoder is set to 0; at least
        0 and below 1.
    n_repeats : int, default=5
        Number of pairs to compare, for each variation.
    random_state : int, RandomState instance or None, default=None
        Source of initial weights, orders and all other random numbers.
    n_jobs : int, default=None
        Number of trainings in parallel, in processes. There are ``6 * n_repeats``
        in all, or ``8 * n_repeats`` with pre-training.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    influence : InitializationInfluence
        Disagreement, output change and accuracy difference of pairs. With
        pre-training, its attribute ``pretraining`` has the test losses.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid, or if there are fewer than two
        classes; or if the estimator

        - would hold samples back from training,
        - has a module that is an instance already, so that its initial weights
          are fixed, or
        - has no hidden layers that can be pre-trained.
    TypeError
        If the estimator is neither a skorch classifier nor an
        ``MLPClassifier``.

    Warns
    -----
    UndefinedMetricWarning
        If some network never reaches a training loss that others have.

    Notes
    -----
    Orders are drawn for every epoch, whatever the estimator's own ``shuffle``
    is. An ``MLPClassifier`` is trained by ``partial_fit`` with
    ``shuffle=False``, on rows that are ordered beforehand. Its ``random_state``
    therefore decides its initial weights only, and its ``tol`` does not stop it.
    A skorch net gets one seed for its initialisation, another one for its
    training, and the order as a sampler. The second seed, which decides masks
    of dropout, is the same for all networks of a repeat.

    On scikit-learn's digits, initial weights change the outputs of an
    ``MLPClassifier`` several times as much as the order does. For a torch net,
    whose initial weights are drawn differently, the order matters as much or more.
    We do not see a larger influence of an early order at this size: its effect
    does not vanish in later epochs, but after 20 epochs it is smaller than that
    of a late order.

    Details of pre-training, all our own choice:

    - The decoder has the transposed weights of the layer, its own offset, and no
      activation. The loss is the mean squared error, which does not need inputs
      between 0 and 1.
    - Autoencoders start with the network's initial weights, and are trained by Adam
      with a learning rate of .001 and batches of 32. The output layer keeps its
      initial weights. Dropout is left out.
    - Networks with different initial weights have different noise in pre-training.
    - Losses are mean cross-entropies of all training and all test samples, in
      evaluation mode, before training and after each epoch.
    - Losses are interpolated linearly between epochs, to 8 training losses that
      all networks reach: from the smallest of their initial losses to the largest
      of their minima. A figure is nan where a network never has such a loss.

    On 200 digits, an ``MLPClassifier`` of 32 units gained next to nothing from
    pre-training (10 repeats). At equal training losses its test loss was lower
    by .01 and its accuracy was the same. Pre-trained networks differed from each
    other as much as others do.

    References
    ----------
    .. [1] Erhan, Bengio, Courville, Manzagol, Vincent & Bengio, "Why does
       unsupervised pre-training help deep learning?", JMLR 11, 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.inspection import initialization_influence
    >>> X, y = load_iris(return_X_y=True)
    >>> influence = initialization_influence(
    ...     MLPClassifier((5,), max_iter=8), X[::2], y[::2], X_test=X[1::2], y_test=y[1::2], n_repeats=2,
    ...     random_state=0,
    ... )
    >>> influence.x.tolist()
    ['initialization', 'order', 'both', 'early order', 'late order']
    >>> list(influence.values)
    ['disagreement', 'output change', 'accuracy difference']
    >>> influence = initialization_influence(
    ...     MLPClassifier((8,), learning_rate_init=0.02, max_iter=20), X[::2], y[::2],
    ...     X_test=X[1::2], y_test=y[1::2], pretraining="autoencoder", n_repeats=2, random_state=0,
    ... )
    >>> influence.x.tolist()[-1], list(influence.pretraining.values)
    ('pretrained initialization', ['plain', 'pretrained'])
    """
    split = read_split(estimator, X, y, X_test, y_test, needs_test=True)
    check_streams(estimator)
    assert split.X_test is not None
    check_finite(split.X)
    check_finite(split.X_test, "X_test")
    if not is_number(epoch_share) or not 0 < epoch_share <= 0.5:
        raise ValueError(f"epoch_share must be above 0 and at most 0.5, got {shown(epoch_share)}")
    n_epochs = n_epochs_of(estimator)
    n_part = round(float(epoch_share) * n_epochs)
    if not n_part:
        raise ValueError(
            f"epoch_share must amount to at least one of {n_epochs} epochs, got {shown(epoch_share)}; "
            "raise it, or train for more epochs"
        )
    check_choice("pretraining", pretraining, ("autoencoder",), none=True)
    check_integer("pretraining_epochs", pretraining_epochs)
    if not is_number(noise) or not 0 <= noise < 1:
        raise ValueError(f"noise must be a share in [0, 1), got {shown(noise)}")
    runs = [
        _Run(False, range(0)),
        _Run(True, range(0)),
        _Run(False, range(n_epochs)),
        _Run(True, range(n_epochs)),
        _Run(False, range(n_part)),
        _Run(False, range(n_epochs - n_part, n_epochs)),
    ]
    how: dict[str, Any] = {"n_repeats": n_repeats, "random_state": random_state, "n_jobs": n_jobs}
    how |= {"verbose": verbose, "what": "influence"}
    varied, curve = list(_VARIED), None
    if pretraining is None:
        outputs = repeated(partial(_outputs, estimator, split, n_epochs), runs, **how)
    else:
        from skhalfway.inspection._pretraining import Pretraining, check_pretraining

        check_pretraining(estimator, split.X)
        given = Pretraining(int(pretraining_epochs), float(noise))
        runs += [_Run(False, range(0), given), _Run(True, range(0), given)]
        followed = repeated(partial(_followed, estimator, split, n_epochs), runs, **how)
        n_classes = len(np.unique(split.y))
        outputs, courses = _unpacked(followed, len(split.X_test), n_classes, n_epochs)
        curve = matched(courses[0], courses[-2])
        varied.append(_PRETRAINED)
    classes = np.unique(split.y)
    labels = classes[outputs.argmax(axis=3)]
    accuracy = (labels == split.y_test).mean(axis=2)
    # each run is compared with run 0 of its repeat, and the pre-trained run 7 with the pre-trained run 6
    with_each = [*range(1, 6), *range(7, len(runs))]
    of_each = [0] * 5 + [6] * (len(runs) > 6)
    values = {
        "disagreement": (labels[with_each] != labels[of_each]).mean(axis=2),
        "output change": np.abs(outputs[with_each] - outputs[of_each]).sum(axis=3).mean(axis=2) / 2,
        "accuracy difference": np.abs(accuracy[with_each] - accuracy[of_each]),
    }
    n_samples = {"disagreement": labels.shape[-1]}
    return InitializationInfluence(
        np.array(varied), values, accuracy[0], n_samples=n_samples, pretraining=curve
    )


@dataclass(frozen=True)
class _Run:
    """How a network differs from that of run 0: initial weights, epochs with another order, pre-training."""

    initialization: bool
    epochs: range
    pretraining: Any = None


def _outputs(estimator: Any, split: Split, n_epochs: int, run: _Run, seed: int) -> NDArray[np.float64]:
    """Probabilities of the test samples, of shape (n_test, n_classes)."""
    assert split.X_test is not None
    rng = np.random.RandomState(seed)
    first, own_first, rest, *orders = (draw_seed(rng) for _ in range(5))
    stream = _orders(len(split.y), n_epochs, run.epochs, *orders)
    weights = own_first if run.initialization else first
    with undisturbed():  # a net draws random numbers even in prediction
        trained = train_on_stream(estimator, split.X, split.y, stream, weights, rest)
        return as_model(trained).scores(split.X_test)


def _followed(estimator: Any, split: Split, n_epochs: int, run: _Run, seed: int) -> NDArray[np.float64]:
    """One row: losses by epoch of a network that may be pre-trained, then its probabilities as in _outputs.

    Losses are recorded for runs without variation only; for others they are nan.
    """
    from skhalfway.inspection._losses import Loss
    from skhalfway.inspection._pretraining import first_weights

    assert split.X_test is not None
    rng = np.random.RandomState(seed)
    first, own_first, rest, *orders, noise, own_noise = (draw_seed(rng) for _ in range(7))
    stream = _orders(len(split.y), n_epochs, run.epochs, *orders)
    weights, drawn = (own_first, own_noise) if run.initialization else (first, noise)
    course: list[tuple[float, float, float]] = []

    def note(net: Any) -> None:
        train, test = (Loss(net, *both).at({}) for both in ((split.X, split.y), (split.X_test, split.y_test)))
        course.append((train[0], *test))

    def begin(net: Any) -> Any:
        return first_weights(net, split.X, split.y, weights, run.pretraining, drawn)

    with undisturbed():
        noted = None if run.initialization or len(run.epochs) else note
        trained = train_on_stream(estimator, split.X, split.y, stream, weights, rest, begin=begin, note=noted)
        scores = as_model(trained).scores(split.X_test)
    losses = np.full((n_epochs + 1, 3), np.nan)
    losses[: len(course)] = np.reshape(course, (-1, 3))
    return np.concatenate([losses.ravel(), scores.ravel()])


def _unpacked(
    rows: NDArray[np.float64], n_test: int, n_classes: int, n_epochs: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of the test samples, and losses by epoch; the first two axes are runs and repeats."""
    n_losses = 3 * (n_epochs + 1)
    outputs = rows[..., n_losses:].reshape(*rows.shape[:2], n_test, n_classes)
    return outputs, rows[..., :n_losses].reshape(*rows.shape[:2], n_epochs + 1, 3)


def _orders(n_samples: int, n_epochs: int, other: range, seed: int, own: int) -> Iterator[NDArray[np.intp]]:
    """An order for each epoch; replacing it in ``other`` epochs does not change the orders after them."""
    common, different = np.random.RandomState(seed), np.random.RandomState(own)
    for epoch in range(n_epochs):
        order = common.permutation(n_samples)
        yield different.permutation(n_samples) if epoch in other else order
