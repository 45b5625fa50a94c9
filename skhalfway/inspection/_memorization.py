"""memorization_curve: the same training on true and on random labels, on images and on noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_integer, is_number
from skhalfway._entries import takes_datasets
from skhalfway._intervals import POSITIVE, SHARE
from skhalfway._randomness import draw_seed, undisturbed
from skhalfway._text import shown
from skhalfway.inspection._corruptions import SETTINGS, altered, name_of
from skhalfway.inspection._curve_result import CurveResult
from skhalfway.inspection._repeats import repeated
from skhalfway.inspection._splits import Split, check_trains_on_all, read_split
from skhalfway.models._training import seeded, seeded_clone, train
from skhalfway.models._type_checks import is_skorch_net
from skhalfway.results._provenance import recorded


class LearningCurves(CurveResult):
    """Training accuracy after each epoch, a line for each setting."""

    x_label = "epoch"
    y_label = "training accuracy"

    def _limits(self, name: str) -> tuple[float, float]:
        return SHARE


@dataclass(frozen=True, eq=False, repr=False)
class MemorizationCurve(CurveResult):
    """What a classifier learns by heart, made by :func:`memorization_curve`.

    Arrays are read-only.

    Parameters
    ----------
    x : ndarray of shape (n_settings,)
        Names of the settings.
    values : dict of str to ndarray of shape (n_settings, n_repeats)
        "training accuracy"; "test accuracy", where there is test data;
        "epochs" until the training accuracy first is ``target`` or more, nan
        where it never is, for estimators that are trained epoch by epoch.
    learning : CurveResult or None
        Training accuracy after each epoch, with a line for each setting; None
        where the estimator is not trained epoch by epoch.
    target : float
        The training accuracy that epochs are counted to.

    See Also
    --------
    MemorizationCurveDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import MemorizationCurve
    >>> MemorizationCurve(
    ...     x=np.array(["true labels", "random labels"]),
    ...     values={"training accuracy": np.ones((2, 1)), "test accuracy": np.array([[0.9], [0.1]])},
    ...     learning=None,
    ...     target=1.0,
    ... )
    MemorizationCurve: 2 points, 1 repeat
    training data  training accuracy  test accuracy
    true labels    1.0                .90
    random labels  1.0                .10
    """

    learning: CurveResult | None
    target: float

    x_label = "training data"
    y_label = "accuracy"

    def _limits(self, name: str) -> tuple[float, float]:
        return POSITIVE if name == "epochs" else SHARE


@takes_datasets
@recorded
def memorization_curve(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    X_test: Any = None,
    y_test: Any = None,
    settings: Sequence[str | float] = SETTINGS,
    n_epochs: int | None = 100,
    target: float = 0.99,
    n_repeats: int = 3,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> MemorizationCurve:
    """Train on true labels, on random ones, and on images that were destroyed, and see what is learned.

    Zhang et al. [1]_ found that networks fit random labels, and even noise, as
    perfectly as the truth, with the same hyper-parameters, in a time that is
    longer by a small factor only; that they generalise from true labels is
    then nothing that their capacity explains. The settings are theirs:

    - "true labels": the data as they are.
    - "random labels": each training sample gets a class at random, all classes
      being equally likely. A number from 0 to 1 does so for each sample with
      this probability: ``settings=[0, 0.25, 0.5, 0.75, 1]`` gives a curve.
    - "shuffled pixels": one permutation of the pixels, the same for all
      samples, those of the test included.
    - "random pixels": each sample has a permutation of its own.
    - "gaussian noise": inputs from a normal distribution with the data's mean
      and variance. We take those of each feature for itself.

    Parameters
    ----------
    estimator : object
        Classifier to train; clones are. One that has ``partial_fit``
        (``MLPClassifier``, ``SGDClassifier``...) and a skorch net are trained
        epoch by epoch; any other, a pipeline too, with ``fit``.
    X : array-like of shape (n_samples, ...)
        Training samples. Of four axes or more, the second holds channels,
        whose pixels move together; all values of other samples are pixels.
    y : array-like of shape (n_samples,)
        Their labels.
    X_test : array-like of shape (n_test, ...), default=None
        Samples that test accuracy is measured on, with true labels.
    y_test : array-like of shape (n_test,), default=None
        Their labels.
    settings : sequence of str or float
        What to train on; by default the five that have names.
    n_epochs : int or None, default=100
        Epochs of an estimator that is trained epoch by epoch, in place of its
        own ``max_epochs`` or ``max_iter``; what it has to stop earlier is
        heeded in a skorch net (which then stays as it is) and not elsewhere.
        None trains it with ``fit`` too, as it is.
    target : float, default=0.99
        Training accuracy up to which epochs are counted.
    n_repeats : int, default=3
        How often to train in each setting, with other seeds.
    random_state : int, RandomState instance or None, default=None
        Decides labels, permutations, noise and all training.
    n_jobs : int, default=None
        Trainings side by side, in processes.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    curve : MemorizationCurve
        Accuracies and epochs in each setting.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid, if there are fewer than two
        classes, or if the estimator would hold samples back from training
        (skorch does by default: pass ``train_split=None``).
    TypeError
        If the estimator is no classifier, or is frozen.

    Notes
    -----
    On scikit-learn's digits a multi-layer perceptron fits all five settings,
    and needs about five times as many epochs for random labels as for true
    ones. Shuffled pixels are to it what the images are: it does not see which
    pixels are neighbours. A tree fits all of them as well.

    References
    ----------
    .. [1] Zhang, Bengio, Hardt, Recht & Vinyals, "Understanding deep learning
       requires rethinking generalization", ICLR 2017, arXiv 1611.03530.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skhalfway.inspection import memorization_curve
    >>> X, y = load_iris(return_X_y=True)
    >>> curve = memorization_curve(
    ...     DecisionTreeClassifier(), X[::2], y[::2], X_test=X[1::2], y_test=y[1::2],
    ...     settings=["true labels", "gaussian noise"], random_state=0,
    ... )
    >>> curve.means["training accuracy"]
    array([1., 1.])
    >>> bool(curve.means["test accuracy"][1] < 0.6)
    True
    """
    split = read_split(estimator, X, y, X_test, y_test)
    check_trains_on_all(estimator)
    names = [name_of(setting) for setting in settings]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"settings must be different from each other, and at least one; got {shown(settings)}"
        )
    if n_epochs is not None:
        check_integer("n_epochs", n_epochs)
    if not is_number(target) or not 0 < target <= 1:
        raise ValueError(f"target must be above 0 and at most 1, got {shown(target)}")
    # MLPClassifier has no partial_fit with solver="lbfgs"
    epochs = n_epochs if hasattr(estimator, "partial_fit") else None
    found = repeated(
        partial(_memorize, estimator, split, epochs),
        list(settings),
        n_repeats=n_repeats,
        random_state=random_state,
        n_jobs=n_jobs,
        verbose=verbose,
        what="memorization",
    )
    values, learning = {"training accuracy": found[:, :, 0]}, None
    if split.X_test is not None:
        values["test accuracy"] = found[:, :, 1]
    if epochs is not None:
        by_epoch = found[:, :, 2:]
        reached = by_epoch >= target
        values["epochs"] = np.where(reached.any(axis=2), reached.argmax(axis=2) + 1.0, np.nan)
        lines = {name: line.T for name, line in zip(names, by_epoch, strict=True)}
        learning = LearningCurves(np.arange(1, epochs + 1), lines)
    n_samples = {} if split.X_test is None else {"test accuracy": len(split.X_test)}
    return MemorizationCurve(np.array(names), values, learning, float(target), n_samples=n_samples)


def _memorize(
    estimator: Any, split: Split, n_epochs: int | None, setting: str | float, seed: int
) -> list[float]:
    """Accuracies in training and in the test (nan without), and in training after each epoch."""
    corrupting = np.random.RandomState(seed)
    rng = np.random.RandomState(draw_seed(corrupting))  # training is the same in all settings
    changed = altered(split, setting, corrupting)
    by_epoch: list[float] = []
    with undisturbed():  # a net draws even as it predicts
        if n_epochs is None:
            fitted = train(estimator, changed.X, changed.y, draw_seed(rng))
        else:
            train_all = _train_net if is_skorch_net(estimator) else _train_partially
            fitted, by_epoch = train_all(estimator, changed.X, changed.y, n_epochs, rng)
        test = np.nan if changed.X_test is None else _accuracy(fitted, changed.X_test, changed.y_test)
        return [_accuracy(fitted, changed.X, changed.y), test, *by_epoch]


def _accuracy(fitted: Any, X: NDArray[Any], y: Any) -> float:
    return float(np.mean(np.asarray(fitted.predict(X)) == y))


def _train_partially(
    estimator: Any, X: NDArray[Any], y: NDArray[Any], n_epochs: int, rng: np.random.RandomState
) -> tuple[Any, list[float]]:
    """An estimator that is trained by ``partial_fit``, in an order that is drawn for each epoch."""
    fresh, classes, by_epoch = seeded_clone(estimator, draw_seed(rng)), np.unique(y), []
    for _ in range(n_epochs):
        order = rng.permutation(len(y))
        fresh.partial_fit(X[order], y[order], classes=classes)
        by_epoch.append(_accuracy(fresh, X, y))
    return fresh, by_epoch


def _train_net(
    estimator: Any, X: NDArray[Any], y: NDArray[Any], n_epochs: int, rng: np.random.RandomState
) -> tuple[Any, list[float]]:
    """A skorch net, trained at a stretch, as its callbacks expect."""
    from skorch.callbacks import EpochScoring

    # with caching, the scores would be of the weights that moved during the epoch
    score = EpochScoring(
        "accuracy", name="memorized", lower_is_better=False, on_train=True, use_caching=False
    )
    seed = draw_seed(rng)
    fresh = seeded_clone(estimator, seed).set_params(max_epochs=n_epochs)
    with seeded(fresh, seed):
        fresh.initialize()
        fresh.callbacks_.append(("memorized", score.initialize()))
        fresh.partial_fit(X, y)
    by_epoch = list(fresh.history[:, "memorized"])
    return fresh, by_epoch + by_epoch[-1:] * (n_epochs - len(by_epoch))
