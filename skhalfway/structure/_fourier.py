"""fourier_stabilise: makes the first layer of a trained network robust to more flipped bits."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.neural_network import MLPClassifier
from sklearn.utils.validation import check_is_fitted

from skhalfway._checks import check_integer, is_number
from skhalfway._entries import takes_datasets
from skhalfway._inputs import check_labels
from skhalfway._text import counted, short, shown
from skhalfway.models._type_checks import kind_of
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table
from skhalfway.structure._bits import lower_of, read_bits

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class FourierStabilisation(Result, drawn=False):
    """Neurons that were stabilised by making their weights equal in size, and the loss of accuracy.

    Made by :func:`fourier_stabilise`; arrays are read-only.

    Parameters
    ----------
    neurons : ndarray of shape (n_changed,)
        Indices of the changed neurons of the first layer, in the order of the changes.
    gain : ndarray of shape (n_changed,)
        Gain ``n_features - sum |w_i| / max |w_i|`` of each changed neuron.
    accuracy : ndarray of shape (n_changed + 1,)
        Accuracy on the validation samples, before the first change and after each.
    estimator : object, default=None
        The stabilised network. Saved files leave it out.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.structure import FourierStabilisation
    >>> FourierStabilisation(np.array([4, 2]), np.array([3.5, 1.0]), np.array([0.9, 0.9, 0.88]))
    FourierStabilisation: 2 neurons, accuracy .90 to .88
    neuron  gain  accuracy after
    4       3.5   .90
    2       1     .88
    """

    neurons: NDArray[np.intp]
    gain: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    estimator: Any = field(default=None, compare=False, metadata={"in_files": False})

    def __post_init__(self) -> None:
        for name, dtype in (("neurons", np.intp), ("gain", float), ("accuracy", float)):
            object.__setattr__(self, name, frozen(getattr(self, name), dtype))
        if self.gain.shape != self.neurons.shape or len(self.accuracy) != len(self.neurons) + 1:
            raise ValueError(
                f"gain must have a value for each of {len(self.neurons)} neurons, and accuracy one more; got "
                f"{len(self.gain)} and {len(self.accuracy)}"
            )

    def to_frame(self) -> pd.DataFrame:
        """Changed neurons, one row each.

        Returns
        -------
        frame : DataFrame
            Columns neuron, gain and accuracy (after the change).

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.structure import FourierStabilisation
        >>> stabilisation = FourierStabilisation(np.array([4]), np.array([3.5]), np.array([0.9, 0.88]))
        >>> stabilisation.to_frame()["gain"].tolist()
        [3.5]
        """
        import pandas as pd

        return pd.DataFrame({"neuron": self.neurons, "gain": self.gain, "accuracy": self.accuracy[1:]})

    def _table(self) -> Table:
        rows = [
            [str(neuron), f"{gain:.3g}", short(after)]
            for neuron, gain, after in zip(self.neurons, self.gain, self.accuracy[1:], strict=True)
        ]
        title = f"FourierStabilisation: {counted(len(rows), 'neuron')}, accuracy {short(self.accuracy[0])}"
        return Table(f"{title} to {short(self.accuracy[-1])}", ["neuron", "gain", "accuracy after"], rows)


@takes_datasets
@recorded
def fourier_stabilise(
    estimator: Any, X: Any, y: Any, *, most_lost: float = 0.01, n_neurons: int | None = None
) -> FourierStabilisation:
    """Make the weights of first-layer neurons equal in size, as long as the accuracy holds.

    Let a neuron take bits of -1 and +1, with weights w and threshold theta. It is replaced by a neuron with
    weights ``max |w_i| sign(w_i)`` and the same threshold. The boundary of the new neuron has a larger L1
    distance from most inputs, since this distance is inversely proportional to the largest weight [1]_.
    Neurons are chosen greedily, by the ratio of their gain ``n_features - sum |w_i| / max |w_i|`` to their
    loss of accuracy, as in the code of [1]_.

    Parameters
    ----------
    estimator : MLPClassifier
        Network that was fitted on bits, 0 and 1 or -1 and 1. It is not changed.
    X : array-like of shape (n_samples, n_features)
        Validation samples, with the same bits.
    y : array-like of shape (n_samples,)
        Their labels.
    most_lost : float, default=0.01
        Largest total loss of accuracy.
    n_neurons : int, default=None
        Largest number of neurons to change. None is as many as the accuracy allows.

    Returns
    -------
    stabilisation : FourierStabilisation
        Changed neurons, with the stabilised network as ``estimator``.

    Raises
    ------
    TypeError
        If the estimator is no MLPClassifier.
    ValueError
        If a parameter is invalid, or X does not hold bits.

    See Also
    --------
    ParityCoded : Appends parity bits, without changing predictions.

    References
    ----------
    .. [1] Raviv, Kelley, Guo & Vorobeychik, "Enhancing robustness of neural networks
       through Fourier stabilization", ICML 2021, arXiv 2106.04435.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.structure import fourier_stabilise
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X > 7).astype(int)
    >>> net = MLPClassifier((16,), tol=0.01, random_state=0).fit(X[:900], y[:900])
    >>> stabilisation = fourier_stabilise(net, X[900:], y[900:], most_lost=0.02)
    >>> bool(stabilisation.accuracy[-1] >= stabilisation.accuracy[0] - 0.02)
    True
    """
    if not isinstance(estimator, MLPClassifier):
        raise TypeError(f"an MLPClassifier is needed, got {kind_of(estimator)}")
    check_is_fitted(estimator)
    if not is_number(most_lost) or not 0 <= most_lost < 1:
        raise ValueError(f"most_lost must be a number from 0 to below 1, got {shown(most_lost)}")
    if n_neurons is not None:
        check_integer("n_neurons", n_neurons)
    rows = read_bits(X, reader=estimator, reset=False)
    low = lower_of(rows)
    labels = check_labels(y, estimator.classes_, len(rows))
    net, weights = deepcopy(estimator), estimator.coefs_[0]
    # rows are arrays without column names, so the copy must not expect any
    names = vars(net).pop("feature_names_in_", None)
    largest = np.abs(weights).max(axis=0)
    gains = len(weights) - np.abs(weights).sum(axis=0) / np.where(largest > 0, largest, 1)
    accuracies, chosen = [_accuracy(net, rows, labels)], list[int]()
    left = [j for j in range(weights.shape[1]) if gains[j] > 1e-9 and largest[j] > 0]
    while left and (n_neurons is None or len(chosen) < n_neurons):
        after = np.array([_accuracy(_with_equal(net, estimator, j, low), rows, labels) for j in left])
        allowed = after >= accuracies[0] - most_lost
        if not allowed.any():
            break
        cost = np.maximum(accuracies[-1] - after, 0) + 1 / len(rows)  # at least the cost of one sample
        best = int(np.argmax(np.where(allowed, gains[left] / cost, -np.inf)))
        net = _with_equal(net, estimator, left[best], low)
        accuracies.append(float(after[best]))
        chosen.append(left.pop(best))
    if names is not None:
        net.feature_names_in_ = names
    return FourierStabilisation(np.array(chosen, dtype=np.intp), gains[chosen], np.array(accuracies), net)


def _with_equal(net: MLPClassifier, original: MLPClassifier, j: int, low: float) -> MLPClassifier:
    """A copy of the network in which the weights into neuron j are equal in size."""
    made = deepcopy(net)
    before = original.coefs_[0][:, j]
    equal = np.abs(before).max() * np.sign(before)
    made.coefs_[0][:, j] = equal
    if low == 0:  # keeps the threshold for bits of -1 and +1, where x = (1 + bit) / 2
        made.intercepts_[0][j] += (before.sum() - equal.sum()) / 2
    return made


def _accuracy(net: MLPClassifier, X: NDArray[Any], labels: NDArray[np.intp]) -> float:
    return float((net.predict(X) == net.classes_[labels]).mean())
