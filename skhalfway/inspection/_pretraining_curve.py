"""PretrainingCurve: test losses at equal training losses, with pre-training and without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import UndefinedMetricWarning

from skhalfway._intervals import POSITIVE
from skhalfway.inspection._curve_result import CurveResult
from skhalfway.models._warnings import warn
from skhalfway.results._result import frozen

_N_LEVELS = 8
PLAIN, PRETRAINED = "plain", "pretrained"


@dataclass(frozen=True, eq=False, repr=False)
class PretrainingCurve(CurveResult):
    """Test losses at equal training losses, with pre-training and without.

    It is a part of an :class:`InitializationInfluence`. Each repeat has two
    networks, with the same seeds and the same order of samples.

    Parameters
    ----------
    x : ndarray of shape (n_levels,)
        Training losses (mean cross-entropies), in decreasing order.
    values : dict of str to ndarray of shape (n_levels, n_repeats)
        Test losses at the time when the training loss first reaches each level,
        for "plain" and "pretrained" networks. nan where a network never has that
        training loss.
    accuracy : dict of str to ndarray of shape (n_levels, n_repeats)
        Test accuracies at the same times.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import PretrainingCurve
    >>> losses = {"plain": np.array([[0.7, 0.8]]), "pretrained": np.array([[0.5, 0.4]])}
    >>> accuracy = {"plain": np.array([[0.8, 0.7]]), "pretrained": np.array([[0.9, 0.9]])}
    >>> curve = PretrainingCurve(np.array([0.5]), losses, accuracy)
    >>> curve.differences.means["test loss"].round(2)
    array([-0.3])
    """

    accuracy: Mapping[str, NDArray[np.float64]]

    x_label: ClassVar[str] = "training loss"
    y_label: ClassVar[str] = "test loss"
    x_scale: ClassVar[str] = "log"

    def __post_init__(self) -> None:
        super().__post_init__()
        accuracy = {name: frozen(value, float) for name, value in self.accuracy.items()}
        names, shape = [PLAIN, PRETRAINED], (len(self.x), self.n_repeats)
        if not list(accuracy) == list(self.values) == names or any(
            a.shape != shape for a in accuracy.values()
        ):
            raise ValueError(f"values and accuracy must have arrays of shape {shape} for the names {names}")
        object.__setattr__(self, "accuracy", accuracy)

    def _limits(self, name: str) -> tuple[float, float]:
        return POSITIVE

    @property
    def differences(self) -> CurveResult:
        """Test loss and test accuracy with pre-training minus those without, for each repeat."""
        found = {"test loss": self.values, "test accuracy": self.accuracy}
        return PretrainingDifferences(
            self.x, {name: both[PRETRAINED] - both[PLAIN] for name, both in found.items()}
        )


class PretrainingDifferences(CurveResult):
    """Test loss and accuracy with pre-training minus those without, at equal training losses.

    It is the ``differences`` of a :class:`PretrainingCurve`.

    Parameters
    ----------
    x : ndarray of shape (n_levels,)
        Training losses, in decreasing order.
    values : dict of str to ndarray of shape (n_levels, n_repeats)
        Differences by figure, "test loss" and "test accuracy".

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import PretrainingDifferences
    >>> PretrainingDifferences(np.array([0.5]), {"test loss": np.array([[-0.2]])})
    PretrainingDifferences: 1 point, 1 repeat
    training loss  test loss
    0.5            -.20
    """

    x_label: ClassVar[str] = "training loss"
    y_label: ClassVar[str] = "with pre-training minus without"
    x_scale: ClassVar[str] = "log"


def matched(plain: NDArray[np.float64], pretrained: NDArray[np.float64]) -> PretrainingCurve:
    """Test losses and accuracies at equal training losses.

    Parameters
    ----------
    plain, pretrained : ndarray of shape (n_repeats, n_epochs + 1, 3)
        Training loss, test loss and test accuracy before training and after each epoch; nan after the last.
    """
    courses = np.stack([plain, pretrained])
    losses = courses[..., 0]
    # all networks reach every loss between these two, if there are any
    most, least = losses[..., 0].min(), np.nanmin(losses, axis=-1).max()
    least = max(least, np.nanmin(losses[losses > 0]))  # levels are spaced on a log scale, which has no 0
    levels = np.geomspace(most, least, _N_LEVELS)
    found = np.array([[_at_losses(course, levels) for course in courses_of] for courses_of in courses])
    if n_lacking := int(np.isnan(found[..., 0]).any(axis=(0, 2)).sum()):
        warn(
            f"training losses of {n_lacking} of {len(plain)} repeats do not overlap with those of others, "
            "pre-trained or not: figures at losses that a network never reached are nan; train for more "
            "epochs",
            UndefinedMetricWarning,
        )
    names = (PLAIN, PRETRAINED)
    values, accuracy = ({name: found[i, :, :, k].T for i, name in enumerate(names)} for k in (0, 1))
    return PretrainingCurve(levels, values, accuracy)


def _at_losses(course: NDArray[np.float64], levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Test loss and accuracy when the training loss first reaches each level, linear between epochs."""
    losses, figures = course[:, 0], course[:, 1:]
    found = np.full((len(levels), figures.shape[1]), np.nan)
    for k, level in enumerate(levels):
        if not (losses <= level).any():
            continue
        i = int((losses <= level).argmax())
        if losses[i] == level:
            found[k] = figures[i]
        elif i:
            share = (losses[i - 1] - level) / (losses[i - 1] - losses[i])
            found[k] = figures[i - 1] + share * (figures[i] - figures[i - 1])
    return found
