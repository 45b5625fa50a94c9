"""initialization_influence: what first weights, and the order of samples, decide of a trained network."""

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

# users meet it as a part of these results
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
    """How much of a trained network is chance, made by :func:`initialization_influence`.

    Arrays are read-only.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        What is varied.
    values : dict of str to ndarray of shape (n_points, n_repeats)
        Of two networks that differ in this alone: "disagreement", the share of
        test samples to which they give different labels; "output change", half
        the sum of the absolute differences of their probabilities (their total
        variation distance), averaged over the test samples; "accuracy
        difference", the absolute difference of their test accuracies.
    accuracy : ndarray of shape (n_repeats,)
        Test accuracy of the networks that the others are compared with, no two
        of which share anything.
    pretraining : PretrainingCurve or None, default=None
        Test losses at equal training losses, with pre-training and without;
        None where there was none.

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
    """Train pairs of networks that differ by chance alone, and compare what they say.

    In each repeat a network is trained, and others that differ from it in one
    thing: "initialization", the first weights; "order", the order in which
    samples come in every epoch; "both"; "early order" and "late order", the
    order in the first and in the last part of the epochs. Two networks may be
    equally accurate and still err on different samples: disagreement says
    more than accuracy does.

    Erhan et al. [1]_ found that early examples have more influence on what a
    network becomes than late ones. They vary the examples themselves, in a
    stream that never repeats; here the samples are always the same, and their
    order is varied. Disagreement as the measure is our choice.

    Their main subject is unsupervised pre-training: it leads training to
    regions in which networks generalise better, and so acts as a regulariser.
    With ``pretraining`` there are pairs that differ in their first weights
    and are pre-trained, "pretrained initialization", to be compared with
    "initialization"; and in each repeat a network is trained once as it was
    drawn and once pre-trained, whose test losses are compared while their
    training losses are equal.

    Parameters
    ----------
    estimator : skorch classifier or MLPClassifier
        Network to train; clones are, for ``max_epochs`` or ``max_iter``
        epochs. A skorch net must get its module as a class or a function, and
        ``train_split=None``; ``solver`` must be "sgd" or "adam".
    X : array-like of shape (n_samples, ...)
        Training samples.
    y : array-like of shape (n_samples,)
        Their labels.
    X_test : array-like of shape (n_test, ...)
        Samples that networks are compared on.
    y_test : array-like of shape (n_test,)
        Their labels.
    epoch_share : float, default=0.25
        Share of the epochs whose order is varied early or late, rounded to
        whole epochs, at least one; above 0 and at most 0.5.
    pretraining : {"autoencoder"}, default=None
        How hidden layers are pre-trained, for ``MLPClassifier`` and skorch
        nets that are chains of ``torch.nn.Linear`` with the activations relu,
        sigmoid, tanh or none: each in turn, on what those before it make of
        the training samples, as a denoising autoencoder; see Notes. None does
        not. 10 repeats or more tell its effect from that of chance.
    pretraining_epochs : int, default=20
        For how many epochs each hidden layer is pre-trained.
    noise : float, default=0.25
        Share of the inputs of an autoencoder that are set to 0, each with
        this probability; at least 0 and below 1.
    n_repeats : int, default=5
        How many pairs to compare, for each thing that is varied.
    random_state : int, RandomState instance or None, default=None
        Decides first weights, orders and all training.
    n_jobs : int, default=None
        Trainings side by side, in processes: ``6 * n_repeats`` in all, or 8
        with pre-training.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    influence : InitializationInfluence
        Disagreement, output change and accuracy difference of pairs; with
        pre-training, its ``pretraining`` has the test losses.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid, if there are fewer than two
        classes, if the estimator would hold samples back from training, or if
        its module is made already, so that its first weights are fixed; or if
        it has no hidden layers that can be pre-trained.
    TypeError
        If the estimator is neither a skorch classifier nor an
        ``MLPClassifier``.

    Warns
    -----
    UndefinedMetricWarning
        If some network never has a training loss that others have.

    Notes
    -----
    Orders are drawn for every epoch, whatever the estimator's own ``shuffle``
    is. An ``MLPClassifier`` is trained by ``partial_fit`` with
    ``shuffle=False``, on rows that are in order beforehand, so that
    ``random_state`` decides its first weights only; its ``tol`` does not stop
    it. A skorch net gets a seed as it is initialised, another one as it is
    trained, and the order as a sampler. The second seed, which masks of
    dropout follow, is the same for all networks of a repeat.

    On scikit-learn's digits first weights decide several times as much of an
    ``MLPClassifier``'s outputs as the order does; of a torch net's, which
    begins with other weights, the order decides as much or more. That an early
    order decides more than a late one is not seen at this size: it leaves a
    trace that later epochs do not remove, but after 20 epochs the smaller one.

    Autoencoders are our own choice in all that follows: the decoder has the
    weights of the layer, transposed, and an offset of its own, and no
    activation; the loss is the mean squared error, which needs no inputs
    between 0 and 1; Adam steps at a rate of .001, in batches of 32. They begin
    with the network's first weights, the output layer stays as it was drawn,
    and dropout is left out. Another initialisation is another pre-training
    too. Losses are mean cross-entropies in evaluation mode, of all training
    and all test samples, before training and after each epoch; between
    epochs they are interpolated linearly, to 8 training losses that all
    networks have: from the lowest of those that they begin with to the highest
    of those that are a network's lowest. nan is where a network never has such
    a loss. On 200
    digits an ``MLPClassifier`` of 32 units gained next to nothing (10 repeats):
    at equal training losses its test loss was lower by .01, its accuracy the
    same, and pre-trained networks differed from each other as others do.

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
            f"epoch_share must make an epoch or more of {n_epochs}, got {shown(epoch_share)}; "
            "train for longer"
        )
    if pretraining is not None:
        check_choice("pretraining", pretraining, ("autoencoder",))
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
    # each with the first of its repeat, and what is pre-trained with what is
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
    """What sets a network apart: first weights, epochs of another order, and how it is pre-trained."""

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
    with undisturbed():  # a net draws even as it predicts
        trained = train_on_stream(estimator, split.X, split.y, stream, weights, rest)
        return as_model(trained).scores(split.X_test)


def _followed(estimator: Any, split: Split, n_epochs: int, run: _Run, seed: int) -> NDArray[np.float64]:
    """The same of a network that may be pre-trained, and before them how its losses went, in one row.

    Of networks that are the first of their repeat; of others the losses are nan.
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
    """Probabilities of the test samples and losses by epoch; the first two axes are networks and repeats."""
    n_losses = 3 * (n_epochs + 1)
    outputs = rows[..., n_losses:].reshape(*rows.shape[:2], n_test, n_classes)
    return outputs, rows[..., :n_losses].reshape(*rows.shape[:2], n_epochs + 1, 3)


def _orders(n_samples: int, n_epochs: int, other: range, seed: int, own: int) -> Iterator[NDArray[np.intp]]:
    """An order for each epoch: in some epochs another one, which the epochs after them do not notice."""
    common, different = np.random.RandomState(seed), np.random.RandomState(own)
    for epoch in range(n_epochs):
        order = common.permutation(n_samples)
        yield different.permutation(n_samples) if epoch in other else order
