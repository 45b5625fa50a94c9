"""forgetting_curve: catastrophic forgetting when tasks are learned one after another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from skhalfway._checks import check_integer, check_positive, check_share, is_number
from skhalfway._text import shown
from skhalfway.inspection._forgetting_curve import ForgettingCurve

# part of the results, which users meet but do not import
from skhalfway.inspection._forgetting_curve import TaskCurve as TaskCurve
from skhalfway.inspection._labelled import check_net_labels, check_repeats
from skhalfway.inspection._repeats import repeated
from skhalfway.inspection._tasks import Options, accuracies, chance_accuracy, read_tasks
from skhalfway.models._as_model import check_kind, counts_as_fitted
from skhalfway.models._type_checks import is_skorch_net
from skhalfway.results._provenance import recorded

_METHODS = ("rehearsal", "ewc", "hard_attention")
_OF_NETS = ("ewc", "hard_attention")


@recorded
def forgetting_curve(
    estimator: Any,
    tasks: Sequence[Sequence[Any]],
    *,
    method: str | Sequence[str] | None = None,
    n_epochs: int = 10,
    batch_size: int = 32,
    memory: float = 0.1,
    penalty: float = 10.0,
    sparsity: float = 0.75,
    hardness: float = 400.0,
    n_repeats: int = 5,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> ForgettingCurve:
    """Learn one task after another, and score all tasks after each.

    A network that learns a second task, starting from the weights of the first,
    forgets the first task suddenly and almost completely. This is catastrophic
    forgetting, or catastrophic interference [1]_.

    Parameters
    ----------
    estimator : object
        Unfitted classifier with ``partial_fit``, of which clones are trained: a
        skorch net, ``MLPClassifier``, ``SGDClassifier``...
    tasks : sequence of (X_train, y_train, X_test, y_test)
        At least two tasks, in the order in which they are learned. They share
        one output layer, with the labels of all tasks.
    method : {"rehearsal", "ewc", "hard_attention"} or list, default=None
        Methods against forgetting. Training without any method is always
        measured too.

        - ``"rehearsal"``: a random share of the training samples of each
          earlier task is mixed with those of the next.
        - ``"ewc"``: elastic weight consolidation (EWC), for skorch nets. A
          quadratic penalty holds each weight where it was after each earlier
          task, in proportion to its importance (Fisher information) [2]_.
        - ``"hard_attention"``: hard attention to the task, for skorch nets that
          are chains of dense layers and convolutions. Each task learns a mask
          of the hidden units, and weights between units that earlier tasks use
          are kept [3]_. This is the only method that is told, at test time, to
          which task a sample belongs; see Notes.
    n_epochs : int, default=10
        Number of epochs for each task.
    batch_size : int, default=32
        Number of samples per call of ``partial_fit``. A skorch net uses its own
        batch size.
    memory : float, default=0.1
        Share of samples that is kept for rehearsal, in (0, 1].
    penalty : float, default=10
        Weight of the penalty of EWC, lambda in [2]_. A larger penalty means that
        less is forgotten and less is learned. Gradient descent diverges where
        its steps overshoot the penalty, so a good value depends on the learning
        rate. The default was found on permuted digits.
    sparsity : float, default=0.75
        Parameter of hard attention, at least 0. It is the weight c in [3]_ of a
        penalty on using new units: the share used by this task of the units that
        no earlier task uses. The larger it is, the fewer units each task takes.
    hardness : float, default=400
        Parameter of hard attention, at least 1: s_max in [3]_. A mask is
        ``sigmoid(s * e)`` with an embedding e that is learned. In each epoch s
        grows from ``1 / hardness`` to ``hardness``, and it is ``hardness`` at
        test time. The larger it is, the closer a mask is to a step function.
    n_repeats : int, default=5
        Number of repeats of all training, each with another seed.
    random_state : int, RandomState instance or None, default=None
        Source of the seeds.
    n_jobs : int, default=None
        Number of trainings in parallel, in processes. None is 1 unless in a
        ``joblib.parallel_config`` context; -1 is all cores.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    curve : ForgettingCurve
        Accuracy on each task after each: without a method, with each method, and
        with joint training on all tasks so far. It also has forgetting ratios.

    Raises
    ------
    ValueError
        If there are fewer than two tasks, or a parameter or data is invalid. For
        hard attention, also if the net is no chain of dense layers and
        convolutions, has no hidden layer, or has normalisations or other
        weights.
    TypeError
        If the estimator has no ``partial_fit``, is fitted, or is no skorch
        net where the method needs one.

    Warns
    -----
    ConvergenceWarning
        If, with hard attention, a task uses no unit of some layer.

    Notes
    -----
    Joint training starts from scratch after each task, on the samples of all
    tasks so far. The forgetting ratio is relative to it.

    For EWC, the diagonal of the Fisher information is averaged over the training
    samples of a task, with an exact expectation over the classes that the network
    predicts (our choice). Penalties of earlier tasks add up. EWC is made for tasks
    that share their labels, as permuted pixels do. On digits with separate classes
    for each task, the first task is forgotten as it is without EWC.

    Hard attention follows [3]_, with these details:

    - Each task has its own output layer, here for all labels, which starts from
      the net's initial output layer. A task is scored with its mask and its output
      layer; a task that is not learned yet, with the initial ones.
    - Joint training and the other methods do not know the task. Where tasks have
      separate classes, hard attention therefore has the easier problem.
    - A mask has an entry for each unit, and for each whole map of a convolution.
    - Embeddings start as standard normal numbers. They are trained by gradient
      descent with the learning rate of [3]_, .05, whatever optimiser the net has.
      Their gradient is compensated for s, and embeddings and their products with s
      are clamped at 6 and 50, as in the authors' code.
    - Masks of earlier tasks scale the steps of weights, where [3]_ scales
      gradients. For plain gradient descent this is the same. With momentum, weight
      decay or Adam, it still fixes the weights between units whose masks are 1.
    - [3]_ train with batches of 64 for up to 200 epochs. Where a net learns slowly,
      all units are closed before it has learned anything: raise its learning rate,
      or lower ``sparsity``.

    On three permutations of the pixels of digits, a net with two layers of 100
    units (Adam, 10 epochs, 5 repeats) had a forgetting ratio of -.02 with hard
    attention, and -.40 without a method.

    References
    ----------
    .. [1] McCloskey & Cohen, "Catastrophic interference in connectionist
       networks: the sequential learning problem", 1989.
    .. [2] Kirkpatrick et al., "Overcoming catastrophic forgetting in neural
       networks", PNAS 114, 2017.
    .. [3] Serra, Suris, Miron & Karatzoglou, "Overcoming catastrophic
       forgetting with hard attention to the task", ICML, 2018, arXiv
       1801.01423.

    Examples
    --------
    Tasks with separate classes:

    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import SGDClassifier
    >>> from skhalfway.inspection import forgetting_curve
    >>> X, y = load_digits(return_X_y=True)
    >>> train, test = np.arange(len(X)) % 2 == 0, np.arange(len(X)) % 2 == 1
    >>> tasks = [(X[train & t], y[train & t], X[test & t], y[test & t]) for t in (y < 5, y >= 5)]
    >>> curve = forgetting_curve(SGDClassifier(), tasks, method="rehearsal", n_epochs=1, batch_size=100,
    ...                          n_repeats=2, random_state=0)
    >>> after = curve.of_task(0).means
    >>> bool(after["none"][1] < after["rehearsal"][1])
    True

    Tasks that differ in the order of pixels only:

    >>> orders = [np.random.RandomState(i).permutation(64) for i in range(3)]
    >>> tasks = [(X[train][:, order], y[train], X[test][:, order], y[test]) for order in orders]
    """
    methods = _check_estimator(estimator, method)
    check_integer("n_epochs", n_epochs)
    check_integer("batch_size", batch_size)
    check_repeats(estimator, n_repeats)
    check_share("memory", memory)
    check_positive("penalty", penalty)
    if not is_number(sparsity) or not 0 <= sparsity < np.inf:
        raise ValueError(f"sparsity must be a finite number >= 0, got {shown(sparsity)}")
    if not is_number(hardness) or not 1 <= hardness < np.inf:
        raise ValueError(f"hardness must be a finite number >= 1, got {shown(hardness)}")
    read, classes = read_tasks(tasks)
    check_net_labels(estimator, classes)
    if "hard_attention" in methods:
        from skhalfway.inspection._hard_attention import check_attention

        check_attention(estimator, read[0].X)
    names = ["none", *methods, "joint"]
    settings = float(memory), float(penalty), float(sparsity), float(hardness)
    options = Options(classes, n_epochs, batch_size, *settings)
    found = repeated(
        partial(accuracies, estimator, read, options),
        names,
        n_repeats=n_repeats,
        random_state=random_state,
        n_jobs=n_jobs,
        verbose=verbose,
        what="tasks",
    )
    accuracy = {name: np.moveaxis(runs, 0, -1) for name, runs in zip(names, found, strict=True)}
    n = len(read)
    values = {
        name: np.stack([runs[i, : i + 1].mean(axis=0) for i in range(n)]) for name, runs in accuracy.items()
    }
    chance = np.array([chance_accuracy(task, classes) for task in read])
    n_test = np.array([len(task.y_test) for task in read])
    return ForgettingCurve(np.arange(1, n + 1), values, accuracy, chance, n_test=n_test)


def _check_estimator(estimator: Any, method: str | Sequence[str] | None) -> list[str]:
    """The methods as a list; raise where the estimator cannot learn one task after another with them."""
    methods = [] if method is None else [method] if isinstance(method, str) else list(method)
    unknown = [name for name in methods if name not in _METHODS]
    if unknown or len(set(methods)) < len(methods):
        raise ValueError(f"method must be None, or any of {list(_METHODS)}, each once; got {shown(method)}")
    check_kind(estimator)
    name = type(estimator).__name__
    if counts_as_fitted(estimator):
        raise TypeError(f"an unfitted classifier is needed, but {name} counts as fitted")
    if not hasattr(estimator, "partial_fit"):
        raise TypeError(
            f"tasks are learned one after another with partial_fit, which {name} does not have; pass a "
            "skorch net, MLPClassifier or SGDClassifier"
        )
    of_nets = [method for method in methods if method in _OF_NETS]
    if of_nets and not is_skorch_net(estimator):
        raise TypeError(
            f"method={of_nets[0]!r} changes the training steps of skorch nets, so it takes these only; got "
            f"{name}: use 'rehearsal'"
        )
    return methods
