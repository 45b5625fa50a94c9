"""memorization_curve: memorisation of random labels and of noise, compared with true labels."""

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
    """Training accuracy after each epoch, with a line for each setting.

    It is the ``learning`` of a :class:`MemorizationCurve`.

    Parameters
    ----------
    x : ndarray of shape (n_epochs,)
        Epochs, from 1.
    values : dict of str to ndarray of shape (n_epochs, n_repeats)
        Training accuracies by setting.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import LearningCurves
    >>> LearningCurves(np.array([1, 2]), {"random labels": np.array([[0.2], [0.3]])})
    LearningCurves: 2 points, 1 repeat
    epoch  random labels
    1      .20
    2      .30
    """

    x_label = "epoch"
    y_label = "training accuracy"

    def _limits(self, name: str) -> tuple[float, float]:
        return SHARE


@dataclass(frozen=True, eq=False, repr=False)
class MemorizationCurve(CurveResult):
    """How well a classifier memorises random labels and noise.

    Made by :func:`memorization_curve`; arrays are read-only.

    Parameters
    ----------
    x : ndarray of shape (n_settings,)
        Names of the settings.
    values : dict of str to ndarray of shape (n_settings, n_repeats)
        Figures by name:

        - "training accuracy";
        - "test accuracy", where there is test data;
        - "epochs", for estimators that are trained epoch by epoch: the first
          epoch with a training accuracy of at least ``target``, nan where there
          is none.
    learning : CurveResult or None
        Training accuracy after each epoch, with a line for each setting. None
        where the estimator is not trained epoch by epoch.
    target : float
        Training accuracy up to which epochs are counted.

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
    """Train on true labels, on random labels, and on destroyed images, and measure what is memorised.

    Zhang et al. [1]_ found that networks fit random labels, and even noise, as
    perfectly as true labels. They do so with the same hyper-parameters, and need
    only a small factor more time. So their capacity does not explain why they
    generalise from true labels. The settings are those of the paper:

    - "true labels": the data as they are.
    - "random labels": each training sample gets a random class; all classes are
      equally likely.
    - a number from 0 to 1: each label is replaced by a random class with this
      probability. ``settings=[0, 0.25, 0.5, 0.75, 1]`` gives a curve.
    - "shuffled pixels": pixels are permuted in the same way in all samples, test
      samples included.
    - "random pixels": pixels are permuted in another way in each sample.
    - "gaussian noise": inputs are drawn from a normal distribution with the
      data's mean and variance. We use those of each feature separately.

    Parameters
    ----------
    estimator : object
        Classifier of which clones are trained. A skorch net, or an estimator with
        ``partial_fit`` (``MLPClassifier``, ``SGDClassifier``...), is trained epoch
        by epoch. Any other estimator, pipelines included, is trained with ``fit``.
    X : array-like of shape (n_samples, ...)
        Training samples. With four axes or more, the second axis holds channels,
        and all channels of a pixel move together. Otherwise every value is a
        pixel.
    y : array-like of shape (n_samples,)
        Their labels.
    X_test : array-like of shape (n_test, ...), default=None
        Samples on which test accuracy is measured, with true labels.
    y_test : array-like of shape (n_test,), default=None
        Their labels.
    settings : sequence of str or float
        Settings to train in. The default is the five settings with names.
    n_epochs : int or None, default=100
        Number of epochs of an estimator that is trained epoch by epoch, in place
        of its ``max_epochs`` or ``max_iter``. Early-stopping callbacks of a skorch
        net are respected, and its last accuracy then stands for the epochs left
        out; other stopping criteria are ignored. None trains with ``fit``, with
        the estimator's own settings.
    target : float, default=0.99
        Training accuracy up to which epochs are counted.
    n_repeats : int, default=3
        Number of trainings in each setting, each with another seed.
    random_state : int, RandomState instance or None, default=None
        Source of labels, permutations, noise, and the seeds of all training.
    n_jobs : int, default=None
        Number of trainings in parallel, in processes.
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
        (skorch does so by default: pass ``train_split=None``).
    TypeError
        If the estimator is no classifier, or is frozen.

    Notes
    -----
    On scikit-learn's digits a multi-layer perceptron fits all five settings,
    and needs about five times as many epochs for random labels as for true
    ones. Shuffled pixels are no harder for it than the images, since it does not
    use which pixels are neighbours. A tree fits all settings as well.

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
        raise ValueError(f"settings must hold one setting or more, all different; got {shown(settings)}")
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
    """Training accuracy, test accuracy (nan without test data), and training accuracy after each epoch."""
    corrupting = np.random.RandomState(seed)
    rng = np.random.RandomState(draw_seed(corrupting))  # training has the same seeds in all settings
    changed = altered(split, setting, corrupting)
    by_epoch: list[float] = []
    with undisturbed():  # a net draws random numbers even in prediction
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
    """An estimator trained by ``partial_fit``, with the order of samples drawn for each epoch."""
    fresh, classes, by_epoch = seeded_clone(estimator, draw_seed(rng)), np.unique(y), []
    for _ in range(n_epochs):
        order = rng.permutation(len(y))
        fresh.partial_fit(X[order], y[order], classes=classes)
        by_epoch.append(_accuracy(fresh, X, y))
    return fresh, by_epoch


def _train_net(
    estimator: Any, X: NDArray[Any], y: NDArray[Any], n_epochs: int, rng: np.random.RandomState
) -> tuple[Any, list[float]]:
    """A skorch net, trained in one call, as its callbacks expect."""
    from skorch.callbacks import EpochScoring

    # with caching, scores would come from predictions made while the weights moved during the epoch
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
