"""forgetting_curve: what is left of the first tasks after the last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import UndefinedMetricWarning

from skhalfway._checks import check_integer, check_positive, check_share, is_number
from skhalfway._intervals import SHARE, ratio
from skhalfway._text import shown
from skhalfway.inspection._curve_result import CurveResult
from skhalfway.inspection._labelled import check_net_labels, check_repeats
from skhalfway.inspection._repeats import repeated
from skhalfway.inspection._tasks import Options, accuracies, chance_accuracy, read_tasks
from skhalfway.models._as_model import check_kind, counts_as_fitted
from skhalfway.models._type_checks import is_skorch_net
from skhalfway.models._warnings import warn
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen

_METHODS = ("rehearsal", "ewc", "hard_attention")
_OF_NETS = ("ewc", "hard_attention")


class TaskCurve(CurveResult):
    """Accuracy on one task, as one task after another is learned."""

    x_label: ClassVar[str] = "tasks learned"
    y_label: ClassVar[str] = "accuracy on the task"

    def _limits(self, name: str) -> tuple[float, float]:
        return SHARE


@dataclass(frozen=True, eq=False, repr=False)
class ForgettingCurve(CurveResult):
    """Accuracy on tasks that are learned one after another.

    Made by :func:`forgetting_curve`. The figures in ``values`` are mean
    accuracies over the tasks learned so far: ``"none"`` is training without any method
    against forgetting, ``"joint"`` is training anew on all those tasks at once.

    Parameters
    ----------
    x : ndarray of shape (n_tasks,)
        How many tasks were learned: 1, 2, ...
    values : dict of str to ndarray of shape (n_tasks, n_repeats)
        Mean accuracies by method.
    accuracy : dict of str to ndarray of shape (n_tasks, n_tasks, n_repeats)
        By method, after how many tasks (first axis) and on which (second);
        also on those yet to come.
    chance : ndarray of shape (n_tasks,)
        Expected accuracy on each task of labels drawn as often as the task's
        training samples have them.
    n_test : ndarray of shape (n_tasks,), default=None
        Test samples of each task, which intervals then cover too.

    See Also
    --------
    ForgettingCurveDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import ForgettingCurve
    >>> accuracy = {"none": [[[0.9], [0.0]], [[0.5], [0.9]]], "joint": [[[0.9], [0.0]], [[0.9], [0.9]]]}
    >>> values = {"none": np.array([[0.9], [0.7]]), "joint": np.array([[0.9], [0.9]])}
    >>> curve = ForgettingCurve(np.array([1, 2]), values, accuracy, np.array([0.5, 0.5]))
    >>> curve.forgetting["none"][:, 0]
    array([ 0. , -0.5])
    """

    accuracy: Mapping[str, NDArray[np.float64]]
    chance: NDArray[np.float64]
    n_test: NDArray[np.intp] | None = field(default=None, kw_only=True)

    x_label: ClassVar[str] = "tasks learned"
    y_label: ClassVar[str] = "mean accuracy on the tasks learned"

    def _limits(self, name: str) -> tuple[float, float]:
        return SHARE

    def __post_init__(self) -> None:
        n = len(self.x)
        if self.n_test is not None:
            n_test = frozen(self.n_test)
            if n_test.shape != (n,) or (n_test < 1).any():
                raise ValueError(
                    f"n_test must hold a positive number for each of {n} tasks, got {shown(n_test)}"
                )
            object.__setattr__(self, "n_test", n_test)
            # a mean of shares errs as a share of as many samples would, or less
            learned = np.arange(1, n + 1) ** 2 / np.cumsum(1 / n_test)
            object.__setattr__(self, "n_samples", dict.fromkeys(self.values, learned))
        super().__post_init__()
        accuracy = {name: frozen(value, float) for name, value in self.accuracy.items()}
        chance = frozen(self.chance, float)
        if list(accuracy) != list(self.values) or chance.shape != (n,):
            raise ValueError(
                f"accuracy needs the names of values, {shown(list(self.values))}, and chance a value for "
                "each task"
            )
        for value in accuracy.values():
            if value.shape != (n, n, self.n_repeats):
                raise ValueError(f"accuracy must have shape {(n, n, self.n_repeats)}, got {value.shape}")
        object.__setattr__(self, "accuracy", accuracy)
        object.__setattr__(self, "chance", chance)

    @property
    def forgetting(self) -> dict[str, NDArray[np.float64]]:
        """Forgetting ratio after each task, of shape (n_tasks, n_repeats), by method.

        ``(A - A_R) / (A_J - A_R) - 1``, averaged over the tasks learned so far:
        A is the accuracy, A_R that of chance and A_J that of joint training on
        these tasks. About -1 where accuracy is that of chance, 0 where it is
        that of joint training, nan, with a warning, where joint training itself
        is no better than chance on one of them (Serra et al., "Overcoming catastrophic
        forgetting with hard attention to the task", 2018, equation 6).
        """
        learned = np.tri(len(self.x), dtype=bool)[:, :, None]
        chance = self.chance[:, None]
        above = self.accuracy["joint"] - chance
        if (learned & ~(above > 0)).any():
            warn(
                "joint training is no better than chance on a task, so forgetting is nan; raise n_epochs",
                UndefinedMetricWarning,
            )

        def mean_ratio(accuracy: NDArray[np.float64]) -> NDArray[np.float64]:
            ratios = np.where(learned, ratio(accuracy - chance, above) - 1, 0)
            return ratios.sum(axis=1) / self.x[:, None]

        return {name: mean_ratio(accuracy) for name, accuracy in self.accuracy.items()}

    def of_task(self, task: int) -> TaskCurve:
        """Accuracy on one task after each.

        Parameters
        ----------
        task : int
            Which, from 0.

        Returns
        -------
        curve : CurveResult
            By method.

        Raises
        ------
        ValueError
            If there is no such task.
        """
        if task not in range(len(self.x)):
            raise ValueError(f"task must be an integer from 0 to {len(self.x) - 1}, got {shown(task)}")
        values = {name: value[:, task] for name, value in self.accuracy.items()}
        n_samples = {} if self.n_test is None else dict.fromkeys(values, int(self.n_test[task]))
        return TaskCurve(self.x, values, n_samples=n_samples)


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
    """Learn one task after another, and score all of them after each.

    A network that learns a second task on the weights of the first forgets the
    first, suddenly and almost wholly: catastrophic interference [1]_.

    Parameters
    ----------
    estimator : object
        An unfitted classifier with ``partial_fit``, of which clones are
        trained: a skorch net, ``MLPClassifier``, ``SGDClassifier``...
    tasks : sequence of (X_train, y_train, X_test, y_test)
        At least two, in the order in which they are learned. They share one
        output layer, with all labels that any of them has.
    method : {"rehearsal", "ewc", "hard_attention"} or list, default=None
        What is done against forgetting. Training without any of these methods is
        always measured too:

        - ``"rehearsal"``: a random share of the training samples of each
          earlier task is mixed with those of the next.
        - ``"ewc"``: elastic weights, of skorch nets. A quadratic penalty
          holds each weight where it was after each earlier task, the more, the
          more the answers depended on it [2]_.
        - ``"hard_attention"``: hard attention to the task, of skorch nets that
          are chains of dense layers and convolutions. Each task learns a mask
          of the hidden units, and weights between units that earlier tasks use
          are kept [3]_. It alone is told, at test time, which task a sample is
          of; see Notes.
    n_epochs : int, default=10
        How often the samples of a task are gone through.
    batch_size : int, default=32
        Samples given to ``partial_fit`` at once. A skorch net has its own.
    memory : float, default=0.1
        Share of samples that is kept for the rehearsal, in (0, 1].
    penalty : float, default=10
        Weight of the penalty of elastic weights, lambda in [2]_. The larger,
        the less is forgotten, and the less is learned. Gradient descent fails
        where steps overshoot the penalty, so it depends on the learning rate;
        the default was found on permuted digits.
    sparsity : float, default=0.75
        Of hard attention, at least 0: the weight c in [3]_ of the share of the
        units no earlier task uses that a task uses. The larger, the fewer
        units each task takes.
    hardness : float, default=400
        Of hard attention, at least 1: s_max in [3]_. A mask is ``sigmoid(s *
        e)`` with an embedding e that is learned. In each epoch s grows from
        ``1 / hardness`` to ``hardness``, which it is at test time: the larger,
        the more a mask is a step.
    n_repeats : int, default=5
        How often all is trained, each time with another seed.
    random_state : int, RandomState instance or None, default=None
        Decides the seeds.
    n_jobs : int, default=None
        Trainings at a time, in processes. None is 1 unless in a
        ``joblib.parallel_config`` context; -1 is all cores.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    curve : ForgettingCurve
        Accuracy on each task after each, without a method, with each method, and
        with joint training on all tasks so far; forgetting ratios.

    Raises
    ------
    ValueError
        If there are fewer than two tasks, a parameter or data is invalid, or
        a net for hard attention is no chain of dense layers and convolutions,
        has no hidden layer, or has other weights or normalisations.
    TypeError
        If the estimator has no ``partial_fit``, is fitted, or is no skorch
        net where the method needs one.

    Warns
    -----
    ConvergenceWarning
        If hard attention comes to a task that uses no unit of a layer.

    Notes
    -----
    Joint training starts anew after each task, on the samples of all tasks so
    far; it is what the forgetting ratio is measured against.

    The diagonal of the Fisher information that elastic weights need is taken
    over the training samples of a task, and exactly over the network's own
    answers: our choice. Penalties of earlier tasks add up. They are made for
    tasks that share their labels, as permuted pixels do; where each task has
    classes of its own, on digits the first is forgotten as without them.

    With hard attention, as in [3]_, each task has an output layer of its own,
    here of all labels, which begins as the net's own was drawn; a task is
    answered with its mask and its output layer, one that is yet to come with
    those that were drawn. Joint training and the other methods are not told
    the task, so where tasks have classes of their own hard attention has the
    easier question. Masks are of units, and of whole maps of convolutions.
    Embeddings begin as standard normal numbers and are stepped by gradient
    descent with the learning rate of [3]_, .05, whatever optimiser the net
    has; their gradient is made up for s, and they and their products with s
    are cut at 6 and 50, as the authors' code does. Past masks cut the steps of
    weights, where [3]_ cuts gradients: of plain gradient descent that is the
    same, and with momentum, weight decay or Adam weights between units whose
    masks are 1 still stay as they are. [3]_ train with batches of 64 for up to
    200 epochs. Where a net learns slowly, all units are closed before it has
    learned anything: raise its learning rate, or lower ``sparsity``. On three
    permutations of the pixels of digits a net with two layers of 100 units
    (Adam, 10 epochs, 5 repeats) had a forgetting ratio of -.02 with it, and
    -.40 without a method.

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
    Tasks with other classes each:

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

    Tasks that are the same but for the order of pixels:

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
    """The methods; an error where the estimator cannot learn one task after another with them."""
    methods = [] if method is None else [method] if isinstance(method, str) else list(method)
    unknown = [name for name in methods if name not in _METHODS]
    if unknown or len(set(methods)) < len(methods):
        raise ValueError(f"method must be None, or any of {list(_METHODS)}, each once; got {shown(method)}")
    check_kind(estimator)
    name = type(estimator).__name__
    if counts_as_fitted(estimator):
        raise TypeError(f"an unfitted classifier is needed, to learn all tasks; {name} is taken as fitted")
    if not hasattr(estimator, "partial_fit"):
        raise TypeError(f"one task after another is learned with partial_fit, which {name} has not")
    of_nets = [method for method in methods if method in _OF_NETS]
    if of_nets and not is_skorch_net(estimator):
        raise TypeError(
            f"method={of_nets[0]!r} is for skorch nets, into whose training it reaches, got {name}; use "
            "'rehearsal'"
        )
    return methods
