"""ForgettingCurve: accuracy on tasks that are learned one after another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import UndefinedMetricWarning

from skhalfway._intervals import SHARE, ratio
from skhalfway._text import shown
from skhalfway.inspection._curve_result import CurveResult
from skhalfway.models._warnings import warn
from skhalfway.results._result import frozen


class TaskCurve(CurveResult):
    """Accuracy on one task, as one task after another is learned.

    Made by :meth:`ForgettingCurve.of_task`.

    Parameters
    ----------
    x : ndarray of shape (n_tasks,)
        Number of tasks learned: 1, 2, ...
    values : dict of str to ndarray of shape (n_tasks, n_repeats)
        Accuracies by method.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import TaskCurve
    >>> TaskCurve(np.array([1, 2]), {"none": np.array([[0.9], [0.5]])})
    TaskCurve: 2 points, 1 repeat
    tasks learned  none
    1              .90
    2              .50
    """

    x_label: ClassVar[str] = "tasks learned"
    y_label: ClassVar[str] = "accuracy on the task"

    def _limits(self, name: str) -> tuple[float, float]:
        return SHARE


@dataclass(frozen=True, eq=False, repr=False)
class ForgettingCurve(CurveResult):
    """Accuracy on tasks that are learned one after another.

    Made by :func:`forgetting_curve`. The figures in ``values`` are mean
    accuracies over the tasks learned so far. ``"none"`` is training without any
    method against forgetting; ``"joint"`` is training from scratch on all these
    tasks together.

    Parameters
    ----------
    x : ndarray of shape (n_tasks,)
        Number of tasks learned: 1, 2, ...
    values : dict of str to ndarray of shape (n_tasks, n_repeats)
        Mean accuracies by method.
    accuracy : dict of str to ndarray of shape (n_tasks, n_tasks, n_repeats)
        Accuracies by method. The first axis is the number of tasks learned, the
        second the task that is scored, which may not have been learned yet.
    chance : ndarray of shape (n_tasks,)
        Accuracy on each task that is expected of random labels, drawn with the
        class frequencies of the task's training samples.
    n_test : ndarray of shape (n_tasks,), default=None
        Number of test samples of each task. Where it is given, confidence
        intervals cover test samples too.

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
            # the standard error of the mean of shares is at most that of one share of as many samples
            learned = np.arange(1, n + 1) ** 2 / np.cumsum(1 / n_test)
            object.__setattr__(self, "n_samples", dict.fromkeys(self.values, learned))
        super().__post_init__()
        accuracy = {name: frozen(value, float) for name, value in self.accuracy.items()}
        chance = frozen(self.chance, float)
        if list(accuracy) != list(self.values) or chance.shape != (n,):
            raise ValueError(
                f"accuracy must have the names of values, {shown(list(self.values))}, and chance must have "
                f"shape ({n},); got {shown(list(accuracy))} and shape {chance.shape}"
            )
        for value in accuracy.values():
            if value.shape != (n, n, self.n_repeats):
                raise ValueError(f"accuracy must have shape {(n, n, self.n_repeats)}, got {value.shape}")
        object.__setattr__(self, "accuracy", accuracy)
        object.__setattr__(self, "chance", chance)

    @property
    def forgetting(self) -> dict[str, NDArray[np.float64]]:
        """Forgetting ratio after each task, of shape (n_tasks, n_repeats), by method.

        It is ``(A - A_R) / (A_J - A_R) - 1``, averaged over the tasks learned so
        far. A is the accuracy, A_R that of chance and A_J that of joint training
        on these tasks (Serra et al., "Overcoming catastrophic forgetting with
        hard attention to the task", 2018, equation 6).

        - 0: as accurate as joint training;
        - about -1: as accurate as chance;
        - nan, with a warning: joint training itself is no better than chance on
          one of the tasks.
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
        """Accuracy on one task, after each task that was learned.

        Parameters
        ----------
        task : int
            Index of the task, from 0.

        Returns
        -------
        curve : CurveResult
            Accuracy on the task by method.

        Raises
        ------
        ValueError
            If there is no such task.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.inspection import ForgettingCurve
        >>> accuracy = {"none": [[[0.9], [0.0]], [[0.5], [0.9]]], "joint": [[[0.9], [0.0]], [[0.9], [0.9]]]}
        >>> values = {"none": np.array([[0.9], [0.7]]), "joint": np.array([[0.9], [0.9]])}
        >>> curve = ForgettingCurve(np.array([1, 2]), values, accuracy, np.array([0.5, 0.5]))
        >>> curve.of_task(0).means["none"]
        array([0.9, 0.5])
        """
        if task not in range(len(self.x)):
            raise ValueError(f"task must be an integer from 0 to {len(self.x) - 1}, got {shown(task)}")
        values = {name: value[:, task] for name, value in self.accuracy.items()}
        n_samples = {} if self.n_test is None else dict.fromkeys(values, int(self.n_test[task]))
        return TaskCurve(self.x, values, n_samples=n_samples)
