"""The check-up of a model before results about it are measured: looks for what would make them misleading."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._entries import takes_datasets
from skhalfway._inputs import Frame, check_labels, read_samples
from skhalfway._intervals import ConfidenceInterval, wilson_interval
from skhalfway._randomness import undisturbed
from skhalfway.models._as_model import as_model
from skhalfway.models._check_accuracy import N_SAMPLES, Answers, accuracy_findings
from skhalfway.models._check_result import Finding, ModelCheck
from skhalfway.models._check_scores import score_findings
from skhalfway.models._collection import predictions
from skhalfway.models._faults import named
from skhalfway.models._fitted_columns import check_kinds
from skhalfway.models._input_spec import reader_of
from skhalfway.models._model import Model
from skhalfway.models._number_codes import changed_as_floats, why_changed

# kinds of findings, the most serious first
ORDER = (
    *("outputs", "probabilities", "scale", "label_order", "constant", "chance", "random", "batch", "state"),
    *("soft_copy", "scores", "saturated"),
)


@takes_datasets
def check_model(model: Any, X: Any, y: Any = None) -> ModelCheck:
    """Check a model for problems that would make results about it misleading.

    A few predictions show:

    - whether its outputs are probabilities where logits are expected;
    - whether it predicts one label for everything, or its accuracy is near chance, or far better with another
      scale of X or another order of its classes;
    - whether its predictions differ between calls, or depend on the other samples of a batch;
    - whether it takes whole numbers of a table for something else as floats, which attacks make of them;
    - whether predicting changes it;
    - whether the scores and gradients that attacks follow agree with its predictions.

    :class:`~skhalfway.TransferScorer` checks each of its models before it attacks them.

    Parameters
    ----------
    model : object
        Any classifier that :func:`as_model` takes.
    X : {array-like, DataFrame, Tensor, Dataset} of shape (n_samples, n_features)
        Samples as they will be attacked, of several classes; images may have more axes. If there are more
        than 500, 500 are drawn, stratified by ``y``.
    y : array-like of shape (n_samples,), default=None
        True labels. None: accuracy is not checked.

    Returns
    -------
    check : ModelCheck
        The findings.

    Raises
    ------
    TypeError, ValueError, NotFittedError
        If the model, the samples or the labels are invalid.

    See Also
    --------
    ModelCheck : The result.
    ModelWarning : The warning that scorers give for findings.

    Notes
    -----
    The thresholds are our own. Accuracy counts as near chance if its 95 % interval lies below chance plus a
    fifth of the distance from chance to 1. Another order of the classes, or another scale, counts as better
    by a sign test at .001, corrected for the number of orders or scales.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.svm import SVC
    >>> from skhalfway.models import check_model
    >>> X, y = load_digits(return_X_y=True)
    >>> model = SVC().fit(X[:900] / 16, y[:900])
    >>> check_model(model, X[900:], y[900:])  # doctest: +NORMALIZE_WHITESPACE
    ModelCheck of 'SVC': 500 samples, 10 classes, accuracy .10 [.08 .13]
    warning  scale  accuracy is .10 on X, but .96 on X / 16
                    -> if it was trained on X / 16, pass X / 16,
                    or put the scaling into the model (a Pipeline)
    >>> check_model(model, X[900:] / 16, y[900:])
    ModelCheck of 'SVC': 500 samples, 10 classes, accuracy .96 [.94 .98]; nothing found
    """
    frame = Frame.of(X)
    seen = as_model(model).reading(frame)
    check_kinds(model, X)
    reader = reader_of(seen)
    array = read_samples(reader, X, reset=not hasattr(reader, "n_features_in_"))
    name = type(seen.estimator).__name__
    labels = np.arange(seen.n_outputs(array)) if seen.classes_ is None else seen.classes_
    truth = None if y is None else check_labels(y, labels, len(array))
    check = check_models({name: seen}, array, labels, truth)[name]
    columns, share = changed_as_floats(seen.predict, X)
    if not columns:
        return check
    return replace(
        check, findings=(Finding("floats", "warning", *why_changed(columns, share)), *check.findings)
    )


def check_models(
    models: Mapping[str, Model],
    X: NDArray[Any],
    labels: NDArray[Any],
    truth: NDArray[np.intp] | None = None,
    predicted: NDArray[np.intp] | None = None,
    *,
    gradients: bool = True,
    call: Callable[..., Any] = named,
) -> dict[str, ModelCheck]:
    """Check models, given and returned by name.

    Parameters
    ----------
    models : mapping of str to Model
        The models.
    X : ndarray of shape (n_samples, ...)
        Samples.
    labels : ndarray of shape (n_classes,)
        Labels of the class indices.
    truth : ndarray of shape (n_samples,), default=None
        True class indices. None: a model with constant predictions is compared with the other models.
    predicted : ndarray of shape (n_models, n_samples), default=None
        Predictions of the models, if they are known. None: the models predict ``N_SAMPLES`` samples.
    gradients : bool, default=True
        Whether to check what gradient attacks follow.
    call : callable, default=named
        Function that calls the check of a model, given its name. Results that are no checks are left out.
    """
    with undisturbed():
        if predicted is None:
            rows = _drawn(len(X), truth)
            X, truth = X[rows], None if truth is None else truth[rows]
            predicted = predictions(models, X)

        checks = {}
        for i, (name, model) in enumerate(models.items()):
            others = np.delete(predicted, i, axis=0) if len(models) > 1 else None
            answers = Answers(model, X, predicted[i], labels, truth, others)
            checks[name] = call(name, _check, name, answers, gradients)
        return {name: check for name, check in checks.items() if isinstance(check, ModelCheck)}


def _drawn(n: int, truth: NDArray[np.intp] | None) -> NDArray[np.intp]:
    """Positions of all samples, or of ``N_SAMPLES`` in their order, stratified by class."""
    order = np.random.RandomState(0).permutation(n)
    if truth is not None:
        order = order[np.argsort(truth[order], kind="stable")]
    return np.sort(order[np.linspace(0, n - 1, min(n, N_SAMPLES)).astype(np.intp)])


def _check(name: str, answers: Answers, gradients: bool) -> ModelCheck:
    accuracy, interval = np.nan, ConfidenceInterval(np.nan, np.nan)
    n = len(answers.X)
    if answers.truth is not None:
        accuracy = float(answers.right.mean())
        interval = ConfidenceInterval(*map(float, wilson_interval(answers.right.sum(), n)))
    with answers.model.evaluating():
        found = [*score_findings(answers, gradients=gradients)]
        steady = all(finding.kind not in ("random", "batch") for finding in found)
        found += accuracy_findings(answers, steady=steady)
    found.sort(key=lambda finding: (finding.severity != "warning", ORDER.index(finding.kind)))
    return ModelCheck(name, n, len(answers.labels), accuracy, interval, tuple(found))
