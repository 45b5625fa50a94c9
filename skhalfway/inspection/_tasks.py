"""Tasks that are learned one after another or all together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier

from skhalfway._inputs import check_labels
from skhalfway._randomness import draw_seed
from skhalfway._text import shown
from skhalfway.inspection._labelled import answers_of, read_labelled, read_test
from skhalfway.models._training import seeded, seeded_clone
from skhalfway.models._type_checks import is_skorch_net, net_dtype


class Task(NamedTuple):
    X: NDArray[Any]
    y: NDArray[Any]
    X_test: NDArray[Any]
    y_test: NDArray[Any]


class Options(NamedTuple):
    classes: NDArray[Any]
    n_epochs: int
    batch_size: int
    memory: float
    penalty: float
    sparsity: float
    hardness: float


def read_tasks(tasks: Sequence[Sequence[Any]]) -> tuple[list[Task], NDArray[Any]]:
    """Tasks, checked against each other, and the labels of all of them."""
    tasks = list(tasks)
    if len(tasks) < 2:
        raise ValueError(
            f"tasks must hold at least 2 tasks (X_train, y_train, X_test, y_test), got {len(tasks)}"
        )
    for i, task in enumerate(tasks):
        if len(task) != 4:
            raise ValueError(
                f"a task must be (X_train, y_train, X_test, y_test), but task {i} has {len(task)} parts"
            )
    train = [read_labelled(X, y) for X, y, _, _ in tasks]
    shapes = [X.shape[1:] for X, _ in train]
    if len(set(shapes)) > 1:
        raise ValueError(f"samples of all tasks must have the same shape, got {shown(shapes)}")
    classes = np.unique(np.concatenate([y for _, y in train]))
    if len(classes) < 2:
        raise ValueError(f"the tasks must have at least 2 classes in all, got {shown(classes)}")
    test = [read_test(X_test, y_test, train[0][0], classes) for _, _, X_test, y_test in tasks]
    return [Task(*a, *b) for a, b in zip(train, test, strict=True)], classes


def chance_accuracy(task: Task, classes: NDArray[Any]) -> float:
    """Expected accuracy of random labels with the class frequencies of the training samples."""
    shares = [
        np.bincount(check_labels(y, classes, len(y)), minlength=len(classes)) / len(y)
        for y in (task.y, task.y_test)
    ]
    return float(shares[0] @ shares[1])


def accuracies(
    estimator: Any, tasks: list[Task], options: Options, method: str, seed: int
) -> NDArray[np.float64]:
    """Accuracy after each task that was learned (rows), on each task (columns)."""
    if method == "joint":
        return np.array([_joint(estimator, tasks, n, options, seed) for n in range(1, len(tasks) + 1)])
    net, elastic, attention = _fresh(estimator, options, seed), None, None
    kept: list[Any] = []
    if method == "ewc":
        from skhalfway.inspection._elastic import ElasticWeights

        elastic = ElasticWeights(options.penalty)
    order = np.random.RandomState(seed)
    draw = np.random.RandomState(draw_seed(order))
    rows = []
    with seeded(net, seed):
        if method == "hard_attention":
            from skhalfway.inspection._hard_attention import HardAttention

            net.initialize()
            masks = {"sparsity": options.sparsity, "hardness": options.hardness}
            attention = HardAttention(net, len(tasks), draw, **masks)
        for i, task in enumerate(tasks):
            X, y = (np.concatenate(parts) for parts in zip(*kept, (task.X, task.y), strict=True))
            around: AbstractContextManager[None] = nullcontext()
            if elastic is not None:
                around = elastic.holding(net)
            elif attention is not None:
                around = attention.learning(net, i)
            with around:
                _learn(net, X, y, options, order)
            if elastic is not None:
                elastic.consolidate(net, task.X)
            if method == "rehearsal":
                n_kept = max(1, round(options.memory * len(task.y)))
                stored = draw.choice(len(task.y), n_kept, replace=False)
                kept.append((task.X[stored], task.y[stored]))
            rows.append(_scores(net, tasks, None if attention is None else attention.answering))
    return np.array(rows)


def _joint(estimator: Any, tasks: list[Task], n: int, options: Options, seed: int) -> list[float]:
    net, order = _fresh(estimator, options, seed), np.random.RandomState(seed)
    draw_seed(order)  # the first task is learned in the same order as without joint training
    with seeded(net, seed):
        _learn(
            net,
            np.concatenate([task.X for task in tasks[:n]]),
            np.concatenate([task.y for task in tasks[:n]]),
            options,
            order,
        )
    return _scores(net, tasks)


def _fresh(estimator: Any, options: Options, seed: int) -> Any:
    fresh = seeded_clone(estimator, seed)
    if is_skorch_net(fresh):
        # otherwise it would know the classes of the last task only
        fresh.set_params(max_epochs=options.n_epochs, classes=options.classes)
    return fresh


def _learn(
    estimator: Any, X: NDArray[Any], y: NDArray[Any], options: Options, order: np.random.RandomState
) -> None:
    if is_skorch_net(estimator):
        estimator.partial_fit(X.astype(net_dtype(estimator)), y)
        return
    for _ in range(options.n_epochs):
        shuffled = order.permutation(len(y))
        for begin in range(0, len(y), options.batch_size):
            rows = shuffled[begin : begin + options.batch_size]
            if isinstance(estimator, MLPClassifier):
                estimator.set_params(
                    batch_size=len(rows)
                )  # it warns of a batch size above the number of rows
            estimator.partial_fit(X[rows], y[rows], classes=options.classes)


def _scores(
    estimator: Any, tasks: list[Task], told: Callable[[int], AbstractContextManager[None]] | None = None
) -> list[float]:
    """Accuracy on each task; predictions for task i are made within the context ``told(i)``, if given."""
    scores = []
    for i, task in enumerate(tasks):
        with nullcontext() if told is None else told(i):
            scores.append(float((answers_of(estimator, task.X_test) == task.y_test).mean()))
    return scores
