"""disentangle: which channels of a network's layers are used for which class."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from skhalfway._checks import check_integer, check_positive, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._inputs import check_labels, read_samples
from skhalfway._intervals import ratio, wilson_interval
from skhalfway._progress import Progress
from skhalfway._text import counted, percent, short, shown
from skhalfway.codes._network import Network, check_layers
from skhalfway.models import as_model
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table
from skhalfway.structure._masks import Masks

if TYPE_CHECKING:
    import pandas as pd

_SETTLED = 0.05  # share of channels that a longer run may change
_BLIND = 0.9  # share of samples of other classes from which a sub-network does not tell classes apart


@dataclass(frozen=True, eq=False, repr=False)
class Disentanglement(Result):
    """Sub-networks of a network, one for each class, and their predictions.

    Made by :func:`disentangle`; arrays are read-only.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Class labels.
    layers : tuple of str
        Names of the layers.
    masks : tuple of bool ndarray of shape (n_classes, n_channels)
        For each layer, whether a channel belongs to the sub-network of a class.
    own : ndarray of shape (n_classes,)
        Number of samples of the class for which its sub-network predicts the class.
    others : ndarray of shape (n_classes,)
        Number of samples of other classes for which it predicts the class.
    n_samples : ndarray of shape (n_classes,)
        Number of samples of each class.
    mistakes : ndarray of shape (n_classes, n_classes)
        Numbers of mistakes of the whole network, by true class (rows) and predicted
        class (columns).

    See Also
    --------
    DisentanglementDisplay : Draws the similarity of classes.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.structure import Disentanglement
    >>> masks = (np.array([[True, True, False], [True, False, True], [False, False, True]]),)
    >>> mistakes = np.array([[0, 3, 1], [0, 0, 0], [0, 2, 0]])
    >>> counts = [8, 9, 9], [1, 0, 0], [10, 10, 10]
    >>> found = Disentanglement(np.arange(3), ("hidden",), masks, *counts, mistakes)
    >>> found.similarity.round(2)
    array([[1.  , 0.33, 0.  ],
           [0.33, 1.  , 0.5 ],
           [0.  , 0.5 , 1.  ]])
    """

    classes: NDArray[Any]
    layers: tuple[str, ...]
    masks: tuple[NDArray[np.bool_], ...]
    own: NDArray[np.intp]
    others: NDArray[np.intp]
    n_samples: NDArray[np.intp]
    mistakes: NDArray[np.intp]

    def __post_init__(self) -> None:
        n = len(self.classes)
        object.__setattr__(self, "classes", frozen(self.classes))
        object.__setattr__(self, "layers", tuple(self.layers))
        object.__setattr__(self, "masks", tuple(frozen(mask, bool) for mask in self.masks))
        for name, shape in (("own", (n,)), ("others", (n,)), ("n_samples", (n,)), ("mistakes", (n, n))):
            array = frozen(getattr(self, name), np.intp)
            if array.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
            object.__setattr__(self, name, array)
        if len(self.masks) != len(self.layers) or any(
            mask.ndim != 2 or len(mask) != n for mask in self.masks
        ):
            raise ValueError("masks must have one array (n_classes, n_channels) for each layer")

    @property
    def similarity(self) -> NDArray[np.float64]:
        """Similarity of the sub-networks of two classes, (n_classes, n_classes).

        It is the share of the channels of either class that belong to both (the Jaccard index), averaged over
        layers. It is 1 for a layer in which neither class has a channel.
        """
        total = np.zeros((len(self.classes),) * 2)
        for mask in self.masks:
            weights = mask.astype(float)
            both = weights @ weights.T
            either = weights.sum(axis=1)[:, None] + weights.sum(axis=1) - both
            total += np.divide(both, either, out=np.ones_like(both), where=either > 0)
        return total / len(self.masks)

    def mistakes_to_similar(self, n_similar: int = 3) -> tuple[int, int]:
        """Count the mistakes of the network whose predicted class is similar to the true one.

        Parameters
        ----------
        n_similar : int, default=3
            Number of classes, the most similar to each, that count as similar. By chance,
            ``n_similar / (n_classes - 1)`` of the mistakes are among them.

        Returns
        -------
        n_there, n_mistakes : int
            Number of mistakes among similar classes, and number of all mistakes.

        Raises
        ------
        ValueError
            If ``n_similar`` is below 1, or not below the number of other classes.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.structure import Disentanglement
        >>> masks = (np.array([[True, True, False], [True, False, True], [False, False, True]]),)
        >>> mistakes = np.array([[0, 3, 1], [0, 0, 0], [0, 2, 0]])
        >>> counts = [8, 9, 9], [1, 0, 0], [10, 10, 10]
        >>> Disentanglement(np.arange(3), ("hidden",), masks, *counts, mistakes).mistakes_to_similar(1)
        (5, 6)
        """
        check_integer("n_similar", n_similar)
        n = len(self.classes)
        if n_similar >= n - 1:
            raise ValueError(f"n_similar must be below the number of other classes, {n - 1}, got {n_similar}")
        similarity = self.similarity.copy()
        np.fill_diagonal(similarity, -1)
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :n_similar]
        return int(np.take_along_axis(self.mistakes, nearest, axis=1).sum()), int(self.mistakes.sum())

    def to_frame(self) -> pd.DataFrame:
        """Sizes and predictions of the sub-networks, with a row for each class.

        Returns
        -------
        frame : DataFrame
            Indexed by class. Columns are the number of channels of each layer, and the shares of samples of
            the own class and of other classes for which the sub-network predicts the class.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.structure import Disentanglement
        >>> masks = (np.array([[True, True, False], [True, False, True]]),)
        >>> counts = [8, 9], [1, 0], [10, 10]
        >>> found = Disentanglement(np.arange(2), ("hidden",), masks, *counts, np.zeros((2, 2)))
        >>> found.to_frame()["own class"].tolist()
        [0.8, 0.9]
        """
        import pandas as pd

        total = self.n_samples.sum()
        columns = {
            f"channels of {name}": mask.sum(axis=1)
            for name, mask in zip(self.layers, self.masks, strict=True)
        }
        figures = {
            "own class": ratio(self.own, self.n_samples),
            "other classes": ratio(self.others, total - self.n_samples),
        }
        return pd.DataFrame(columns | figures, index=pd.Index(self.classes, name="class"))

    def _table(self) -> Table:
        total = self.n_samples.sum()
        head = ["class", *(f"{n} ({m.shape[1]})" for n, m in zip(self.layers, self.masks, strict=True))]
        rows = []
        for i, label in enumerate(self.classes):
            own = short(float(ratio(self.own[i], self.n_samples[i])))
            others = short(float(ratio(self.others[i], total - self.n_samples[i])))
            rows.append([str(label), *(str(int(mask[i].sum())) for mask in self.masks), own, others])
        notes = []
        n = len(self.classes)
        if n > 4 and self.mistakes.sum():
            there, every = self.mistakes_to_similar()
            low, high = (short(float(end)) for end in wilson_interval(there, every))
            notes.append(
                f"{there} of {every} mistakes go to one of the 3 most similar classes, "
                f"{short(there / every)} [{low} {high}]; by chance {short(3 / (n - 1))}"
            )
        title = f"Disentanglement: {n} classes, {counted(len(self.layers), 'layer')}"
        blind = self.others >= _BLIND * (total - self.n_samples)
        if blind.any():
            notes.append(
                "sub-networks that predict their class for nearly all samples of other classes, so do not "
                f"tell classes apart: {', '.join(map(str, self.classes[blind]))}; try a smaller beta"
            )
        return Table(title, [*head, "own class found", "others taken for it"], rows, notes=notes)


@takes_datasets
@recorded
def disentangle(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    layers: Any = "auto",
    beta: float = 1.0,
    step: float = 0.1,
    n_epochs: int = 20,
    batch_size: int = 16,
    random_state: Any = None,
    verbose: int = 0,
) -> Disentanglement:
    """Find a sub-network for each class in a trained network, by masking the channels of its layers.

    For each class, a logit m is learned for each channel, and the output of the channel is multiplied by
    ``sigmoid(m)``. The weights of the network are fixed. On samples of that class alone, the objective

    ``CE(masked network, labels) + MSE(masked, unmasked channels) + beta mean(sigmoid(m)**2)``,

    averaged over layers, is minimised, with steps of constant length for each layer. The second term counts
    only samples that the network classifies correctly [1]_. The sub-network consists of the channels with
    ``sigmoid(m) > .5``. According to [1]_, classes that are often confused have similar sub-networks.

    Parameters
    ----------
    estimator : object
        Fitted network: a torch module, skorch classifier or ``MLPClassifier``.
    X : array-like of shape (n_samples, ...)
        Samples on which masks are learned.
    y : array-like of shape (n_samples,)
        Their labels.
    layers : "auto" or list of str, default="auto"
        Layers whose channels are masked. "auto" takes the activation after each layer with weights, except
        the last.
    beta : float, default=1.0
        Weight of the penalty on channels. The authors use .02 to 5, depending on the network. With a larger
        one, sub-networks have fewer channels; it is too large if they predict their class for samples of
        others, or no longer for their own.
    step : float, default=0.1
        Length of a step of the logits of a layer.
    n_epochs : int, default=20
        Number of epochs. A warning says where they are too few; small data and wide layers need more.
    batch_size : int, default=16
        Number of samples per step.
    random_state : int, RandomState instance or None, default=None
        Source of the initial logits and of the order of samples.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    disentanglement : Disentanglement
        Masks, predictions of the sub-networks, and mistakes of the network.

    Raises
    ------
    TypeError
        If the estimator is no network.
    ValueError
        If it has no named or no hidden layers, a class has no sample, or a parameter is invalid.

    Warns
    -----
    ConvergenceWarning
        If a longer run would change more than 5 % of the channels.

    See Also
    --------
    network_topology : The structure of the weights alone.

    References
    ----------
    .. [1] Hu et al., "NAD: neural architecture disentanglement", ICCV 2021,
       arXiv 2003.13268; the objective is that of the authors' code.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.structure import disentangle
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((20,), solver="lbfgs", alpha=1, max_iter=500, random_state=0).fit(X, y)
    >>> found = disentangle(net, X, y, n_epochs=40, random_state=0)
    >>> found.layers, found.masks[0].shape
    (('activation_1',), (3, 20))
    >>> found.own  # of 50 samples of each class, those that its sub-network still recognises
    array([50, 50, 50])
    """
    check_layers(layers)
    for name, value in (("step", step), ("beta", beta)):
        check_positive(name, value)
    check_integer("n_epochs", n_epochs)
    check_integer("batch_size", batch_size)
    rng = check_random_state(random_state)
    array = read_samples(BaseEstimator(), X, reset=True)
    network, model = Network(estimator), as_model(estimator)
    names = network.layers(layers, array)
    if layers == "auto":
        names = names[:-1]
    if not names:
        raise ValueError(
            "the network has no hidden layer whose channels could be masked; pass layers by name"
        )
    classes = np.arange(model.n_outputs(array)) if model.classes_ is None else model.classes_
    labels = check_labels(y, classes, len(array))
    n_samples = np.bincount(labels, minlength=len(classes))
    if not n_samples.all():
        missing = shown(classes[n_samples == 0])
        raise ValueError(
            f"y must hold samples of every class, from which its sub-network is learned; there are none of "
            f"{missing}"
        )
    answers = model.predict(array)
    masks = Masks(network, model, names, array)
    found: list[list[NDArray[np.bool_]]] = []
    own, others = np.zeros((2, len(classes)), dtype=np.intp)
    unsettled = np.zeros(len(classes))
    with closing(Progress("disentangle", len(classes), "sub-network", verbose)) as progress:
        for c in range(len(classes)):
            rows = np.flatnonzero(labels == c)
            learned, unsettled[c] = masks.learned(
                rows,
                c,
                answers[rows] == c,
                beta=beta,
                step=step,
                n_epochs=n_epochs,
                batch_size=batch_size,
                rng=rng,
            )
            found.append(learned)
            says = masks.answers(found[-1]) == c
            own[c], others[c] = says[labels == c].sum(), says[labels != c].sum()
            progress.done(1, str(classes[c]))
    if unsettled.mean() > _SETTLED:
        warn(
            f"the masks are not final after n_epochs={n_epochs}: a longer run would change about "
            f"{percent(float(unsettled.mean()))} of the channels; raise n_epochs",
            ConvergenceWarning,
        )
    mistakes = np.zeros((len(classes),) * 2, dtype=np.intp)
    np.add.at(mistakes, (labels, answers), 1)
    np.fill_diagonal(mistakes, 0)
    stacked = tuple(np.array(layer) for layer in zip(*found, strict=True))
    return Disentanglement(classes, tuple(names), stacked, own, others, n_samples, mistakes)
