"""feature_transfer: how transferable the first layers of a network are to another task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

from skhalfway._entries import takes_datasets
from skhalfway._intervals import SHARE
from skhalfway._randomness import draw_seed, undisturbed
from skhalfway._text import shown
from skhalfway.inspection._curve_result import CurveResult
from skhalfway.inspection._repeats import repeated
from skhalfway.inspection._splits import Split, check_makes_module, read_split
from skhalfway.models._training import seeded, seeded_clone, train
from skhalfway.models._type_checks import is_skorch_net, kind_of
from skhalfway.results._provenance import recorded
from skhalfway.results._table import Table

_WAYS = {"AnB": ("A", True), "AnB+": ("A", False), "BnB": ("B", True), "BnB+": ("B", False)}
MEANINGS = {
    "AnB": "first n layers of a network for task A, frozen",
    "AnB+": "first n layers of a network for task A, trained further",
    "BnB": "first n layers of another network for task B, frozen",
    "BnB+": "first n layers of another network for task B, trained further",
}


@dataclass(frozen=True, eq=False, repr=False)
class FeatureTransfer(CurveResult):
    """Test accuracy on task B of networks with copied layers, by how many layers were copied.

    Made by :func:`feature_transfer`; arrays are read-only.

    Parameters
    ----------
    x : ndarray of shape (n_layers,)
        Number of layers that were copied: from 0 to all but the last.
    values : dict of str to ndarray of shape (n_layers, n_repeats)
        Test accuracy on task B:

        - "AnB": layers are copied from a network for task A, and frozen;
        - "AnB+": layers are copied from a network for task A, and trained further;
        - "BnB" and "BnB+": the same, with layers copied from another network
          for task B itself.
    layers : tuple of str
        For each layer, the last included, the name of the module with its
        weights.

    See Also
    --------
    FeatureTransferDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import FeatureTransfer
    >>> FeatureTransfer(
    ...     x=np.array([0, 1]),
    ...     values={"AnB": np.array([[0.8], [0.9]]), "BnB": np.array([[0.8], [0.8]])},
    ...     layers=("hidden", "output"),
    ... )
    FeatureTransfer: 2 points, 1 repeat
    layers copied  AnB  BnB
    0              .80  .80
    1              .90  .80
    AnB: first n layers of a network for task A, frozen
    BnB: first n layers of another network for task B, frozen
    """

    layers: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "layers", tuple(self.layers))

    x_label = "layers copied"
    y_label = "test accuracy on task B"

    def _limits(self, name: str) -> tuple[float, float]:
        return SHARE

    def _table(self) -> Table:
        notes = [f"{name}: {MEANINGS[name]}" for name in self.values if name in MEANINGS]
        return replace(super()._table(), notes=notes)


@takes_datasets
@recorded
def feature_transfer(
    estimator: Any,
    X_a: Any,
    y_a: Any,
    X_b: Any,
    y_b: Any,
    *,
    X_test: Any,
    y_test: Any,
    n_repeats: int = 3,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> FeatureTransfer:
    """Copy the first layers of a network that was trained on task A, and train the rest on task B.

    This is the protocol of Yosinski et al. [1]_. The first n layers of a network
    for task A are copied, and the layers above them are initialised at random.
    Then the whole network is trained on task B, with the copied layers frozen
    ("AnB") or not ("AnB+"). As a control, the copied layers come from a network
    for task B ("BnB" and "BnB+", called selffer networks in [1]_). A loss of
    accuracy there is due to splitting layers that were trained together, and not
    to the other task.

    They found that accuracy with frozen features decreases as more layers are
    copied. Networks whose copied layers are trained further generalise better
    than those that are initialised at random.

    Parameters
    ----------
    estimator : skorch classifier
        Net of which clones are trained. Its module must be given as a class or a
        function, and have enough outputs for either task.
    X_a : array-like of shape (n_samples_a, ...)
        Training samples of task A.
    y_a : array-like of shape (n_samples_a,)
        Their labels, of any kind. They are encoded as 0, 1, ... for each task
        separately.
    X_b : array-like of shape (n_samples_b, ...)
        Training samples of task B. Copied layers help most where these are few.
    y_b : array-like of shape (n_samples_b,)
        Their labels.
    X_test : array-like of shape (n_test, ...)
        Samples of task B on which accuracy is measured.
    y_test : array-like of shape (n_test,)
        Their labels.
    n_repeats : int, default=3
        Number of repeats of the whole protocol, each with another seed.
    random_state : int, RandomState instance or None, default=None
        Source of the seeds of all training.
    n_jobs : int, default=None
        Number of repeats in parallel, in processes. Each repeat trains
        ``4 * n_layers - 1`` nets.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    transfer : FeatureTransfer
        Test accuracy by the number of layers that were copied.

    Raises
    ------
    ValueError
        If data or parameters are invalid, if a task has fewer than two classes,
        or if the module

        - is an instance already,
        - has fewer than two layers,
        - has fewer outputs than there are classes, or
        - has weights that it does not use.
    TypeError
        If the estimator is no skorch classifier.

    Notes
    -----
    A layer is a module with a matrix or a kernel of its own, together with the
    modules after it that have vectors only, such as batch normalisation. Layers
    are in the order in which they are run. The last layer is always initialised
    at random, since its outputs are the classes of one task. Running statistics
    are copied with a layer, and follow the batches of task B even where its
    weights are frozen. All nets of a repeat share the initial weights of the
    layers that are not copied. None of these weights are those that a copied
    layer was trained with. Without copied layers, the four nets are one and the
    same.

    On scikit-learn's digits, task A was 0 to 4 and task B few samples of 5 to 9.
    Frozen convolutions from task A were as good as those from task B. A frozen
    dense layer above them lost accuracy, while its control did not. The first
    layer of a multi-layer perceptron is already specific to its task. Copied
    layers that were trained further were not significantly better than layers
    initialised at random, at this size.

    References
    ----------
    .. [1] Yosinski, Clune, Bengio & Lipson, "How transferable are features in
       deep neural networks?", NeurIPS 2014, arXiv 1411.1792.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skorch import NeuralNetClassifier
    >>> from torch import nn
    >>> from skhalfway.inspection import feature_transfer
    >>> X, y = load_digits(return_X_y=True)
    >>> X = (X / 16).astype(np.float32)
    >>> net = NeuralNetClassifier(
    ...     lambda: nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 5)),
    ...     criterion=nn.CrossEntropyLoss, lr=0.5, max_epochs=2, verbose=0,
    ... )
    >>> a, b, test = np.flatnonzero(y < 5), *np.split(np.flatnonzero(y >= 5), [100])
    >>> transfer = feature_transfer(net, X[a], y[a], X[b], y[b], X_test=X[test], y_test=y[test], n_repeats=1,
    ...                             random_state=0)
    >>> transfer.x, transfer.layers
    (array([0, 1]), ('0', '2'))
    """
    if not (is_skorch_net(estimator) and is_classifier(estimator)):
        raise TypeError(f"a skorch classifier is needed, got {kind_of(estimator)}")
    check_makes_module(estimator)
    task_a = read_split(estimator, X_a, y_a)
    task_b = read_split(estimator, X_b, y_b, X_test, y_test, needs_test=True)
    if task_a.X.shape[1:] != task_b.X.shape[1:]:
        raise ValueError(
            "samples of both tasks must have the same shape, got "
            f"{task_a.X.shape[1:]} in X_a and {task_b.X.shape[1:]} in X_b"
        )
    n_classes = max(len(np.unique(task.y)) for task in (task_a, task_b))
    layers = _layers(estimator, task_b.X[:2], n_classes)
    (found,) = repeated(
        partial(_accuracies, estimator, list(layers.values())),
        [(task_a, task_b)],
        n_repeats=n_repeats,
        random_state=random_state,
        n_jobs=n_jobs,
        verbose=verbose,
        what="transfer",
    )
    values = {way: found[:, :, i].T for i, way in enumerate(_WAYS)}
    assert task_b.X_test is not None
    n_samples = dict.fromkeys(values, len(task_b.X_test))
    return FeatureTransfer(np.arange(len(layers)), values, tuple(layers), n_samples=n_samples)


def _layers(estimator: Any, X: NDArray[Any], n_classes: int) -> dict[str, list[str]]:
    """Names of the layers in the order in which they run, each with those of its weights and statistics."""
    net = seeded_clone(estimator, 0)
    run: list[str] = []
    with undisturbed():
        net.initialize()
        module = net.module_
        state = module.state_dict().keys()
        own = {
            name: [f"{name}.{part}".lstrip(".") for part in (*inner._parameters, *inner._buffers)]
            for name, inner in module.named_modules()
        }
        own = {name: kept for name, keys in own.items() if (kept := [key for key in keys if key in state])}
        for name in own:
            module.get_submodule(name).register_forward_pre_hook(lambda *_, name=name: run.append(name))
        n_outputs = net.predict_proba(X).shape[1]
    if n_outputs < n_classes:
        raise ValueError(
            f"the module has {n_outputs} outputs, too few for a task of {n_classes} classes; give it "
            f"{n_classes} or more"
        )
    unused = own.keys() - run
    if unused:
        raise ValueError(f"the net has modules with weights that it never runs: {shown(unused)}; remove them")
    layers: dict[str, list[str]] = {}
    before: list[str] = []
    for name in dict.fromkeys(run):
        parameters = module.get_submodule(name).parameters(recurse=False)
        if any(weight.ndim > 1 for weight in parameters):
            layers[name], before = before + own[name], []
        else:
            # a module with vectors only belongs to the layer before it, or to the first layer
            (layers[next(reversed(layers))] if layers else before).extend(own[name])
    if len(layers) < 2:
        raise ValueError(
            f"the net must have two layers or more, since the last is never copied; found "
            f"{shown(list(layers))}"
        )
    return layers


def _accuracies(
    estimator: Any, layers: Sequence[list[str]], tasks: tuple[Split, Split], seed: int
) -> NDArray[np.float64]:
    """Test accuracies of shape (n_layers, 4): by the number of copied layers and by the kind of net."""
    rng = np.random.RandomState(seed)
    task_a, task_b = tasks
    givers = {
        "A": train(estimator, task_a.X, task_a.y, draw_seed(rng)),
        "B": train(estimator, task_b.X, task_b.y, draw_seed(rng)),
    }
    fresh = draw_seed(rng)
    afresh = train(estimator, task_b.X, task_b.y, fresh)
    found = [[_accuracy(afresh, task_b)] * len(_WAYS)]
    for n in range(1, len(layers)):
        copied = [name for layer in layers[:n] for name in layer]
        nets = (
            train_with_copies(estimator, task_b, givers[giver], copied, frozen, fresh)
            for giver, frozen in _WAYS.values()
        )
        found.append([_accuracy(net, task_b) for net in nets])
    return np.array(found)


def train_with_copies(
    estimator: Any, task: Split, giver: Any, copied: Sequence[str], frozen: bool, seed: int
) -> Any:
    """A net whose training starts with some weights of another net, frozen or not."""
    net = seeded_clone(estimator, seed)
    with seeded(net, seed):
        net.initialize()
        given = giver.module_.state_dict()
        net.module_.load_state_dict({name: given[name] for name in copied}, strict=False)
        for name, weight in net.module_.named_parameters():
            if frozen and name in copied:
                weight.requires_grad_(False)  # optimisers skip weights without a gradient
        return net.partial_fit(task.X, task.y)


def _accuracy(net: Any, task: Split) -> float:
    with undisturbed():  # a net draws random numbers even in prediction
        return float(np.mean(net.predict(task.X_test) == task.y_test))
