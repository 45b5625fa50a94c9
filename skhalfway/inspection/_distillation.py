"""distill: knowledge distillation, a small estimator trained on the predictions of a large one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import has_fit_parameter

from skhalfway._checks import check_choice, check_jobs, check_positive, check_random_state, is_number
from skhalfway._entries import takes_datasets
from skhalfway._inputs import check_labels, read_samples
from skhalfway._intervals import SHARE
from skhalfway._parallel import side_by_side
from skhalfway._randomness import draw_seed
from skhalfway._shared import Shared
from skhalfway._text import shown
from skhalfway.inspection._curve_result import CurveResult
from skhalfway.inspection._labelled import answers_of, check_net_labels, check_repeats, read_test
from skhalfway.inspection._soft_targets import (
    check_skorch_student,
    fit_skorch_student,
    fit_weighted,
    tempered,
)
from skhalfway.models import Model, as_model
from skhalfway.models._as_model import check_kind, counts_as_fitted
from skhalfway.models._faults import classes_of, type_named
from skhalfway.models._training import train
from skhalfway.models._type_checks import inner_skorch_net
from skhalfway.results._provenance import recorded


@dataclass(frozen=True, eq=False, repr=False)
class Distillation(CurveResult):
    """Knowledge distillation: a teacher, distilled students, and plain students trained on labels.

    Made by :func:`distill`. The figures in ``values`` are ``"accuracy"``, and
    ``"agreement"``, the share of test samples for which a classifier predicts
    the same class as the teacher.

    Parameters
    ----------
    x : ndarray of shape (n_points,)
        ``"teacher"``, ``"distilled"`` and, where there were labels, ``"plain"``.
    values : dict of str to ndarray of shape (n_points, n_repeats)
        Figures by name.
    students : tuple of estimators, default=()
        The distilled students, one for each repeat. Comparisons of results and
        saved files leave them and ``plain_students`` out.
    plain_students : tuple of estimators, default=()
        The students trained on the labels, with the same seeds. Empty without
        labels.

    See Also
    --------
    DistillationDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import Distillation
    >>> Distillation(np.array(["teacher"]), {"accuracy": np.array([[0.9]])})
    Distillation: 1 point, 1 repeat
    classifier  accuracy
    teacher     .90
    """

    students: tuple[Any, ...] = field(default=(), compare=False, metadata={"in_files": False})
    plain_students: tuple[Any, ...] = field(default=(), compare=False, metadata={"in_files": False})

    x_label: ClassVar[str] = "classifier"
    y_label: ClassVar[str] = "share of test samples"

    def _limits(self, name: str) -> tuple[float, float]:
        return SHARE


@takes_datasets
@recorded
def distill(
    teacher: Any,
    student: Any,
    X: Any,
    y: Any,
    *,
    X_test: Any,
    y_test: Any,
    temperature: float = 4.0,
    label_weight: float = 0.0,
    targets: str = "soft",
    n_repeats: int = 5,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Distillation:
    """Train a student on a teacher's predictions, and compare it with a student trained on the labels.

    In this knowledge distillation, the teacher's probabilities say more about a
    sample than its label does: they say which other classes it resembles. A
    temperature above 1 makes this more visible [1]_.

    Parameters
    ----------
    teacher : object
        Fitted classifier: anything that :func:`skhalfway.models.as_model` takes.
    student : object
        Unfitted classifier, of which clones are trained. Soft targets need a
        skorch net with ``criterion=torch.nn.CrossEntropyLoss`` (or a pipeline
        that ends in one), or an estimator whose ``fit`` takes
        ``sample_weight``.
    X : array-like of shape (n_samples, ...)
        Samples on which the teacher's predictions are learned. They need no
        labels.
    y : array-like of shape (n_samples,) or None
        Their labels, for the plain student and ``label_weight``. With None, no
        plain student is trained.
    X_test : array-like of shape (n_test, ...)
        Samples to score with.
    y_test : array-like of shape (n_test,)
        Their labels.
    temperature : float, default=4
        Divisor of the logits. Where the teacher is not a torch network, its
        logits are the logarithms of its probabilities.
    label_weight : float, default=0
        Weight of the true labels, from 0 to less than 1; see Notes.
    targets : {"soft", "hard"}, default="soft"
        What the student learns: the teacher's probabilities ("soft"), or only
        the classes that it predicts ("hard"). "hard" works with any classifier.
    n_repeats : int, default=5
        Number of students, each trained with another seed.
    random_state : int, RandomState instance or None, default=None
        Source of the seeds.
    n_jobs : int, default=None
        Number of repeats in parallel, in processes. None is 1 unless in a
        ``joblib.parallel_config`` context; -1 is all cores.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    distillation : Distillation
        The students, their accuracy and their agreement with the teacher.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid, or a label is no class of the
        teacher.
    TypeError
        If the student cannot learn soft targets, or the teacher has no
        probabilities.
    NotFittedError
        If the teacher is not fitted.

    See Also
    --------
    compression_curve : Another way to a small network.

    Notes
    -----
    With the student's logits z, the teacher's tempered probabilities q, the
    label y and w the ``label_weight``, a skorch student minimises ``(1 - w) *
    T**2 * CE(z / T, q) + w * CE(z, y)``. The average of both terms and the factor
    ``T**2`` are those of [1]_, section 2. skorch's accuracy on validation data is
    switched off, since it would compare predicted classes with probabilities.

    The training of other students is our own choice: each sample is repeated for
    every class, with the ``sample_weight`` ``(1 - w) * q + w * (y is that
    class)``. Their own logits are not divided by the temperature, so their
    probabilities are those at the temperature; the most probable class is the same.

    On scikit-learn's digits, a network of 32 units taught by a larger one
    classified 97% of the threes correctly without having seen one. With 100
    labels it agreed with its teacher more (.96) than the plain student did (.92).
    With 900 labels it gained nothing. After few training steps it was less
    accurate than the plain student: soft targets take longer to learn.

    References
    ----------
    .. [1] Hinton, Vinyals & Dean, "Distilling the knowledge in a neural
       network", arXiv 1503.02531, 2015.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skhalfway.inspection import distill
    >>> X, y = load_iris(return_X_y=True)
    >>> forest = RandomForestClassifier(20, random_state=0).fit(X[::2], y[::2])
    >>> tree = DecisionTreeClassifier(max_depth=2)
    >>> result = distill(forest, tree, X[::2], y[::2], X_test=X[1::2], y_test=y[1::2], n_repeats=2,
    ...                  random_state=0)
    >>> result.x.tolist(), len(result.students)
    (['teacher', 'distilled', 'plain'], 2)
    """
    check_positive("temperature", temperature)
    if not is_number(label_weight) or not 0 <= label_weight < 1:
        raise ValueError(f"label_weight must be a number in [0, 1), got {shown(label_weight)}")
    check_choice("targets", targets, ("soft", "hard"))
    check_jobs(n_jobs, verbose)
    if label_weight and (y is None or targets == "hard"):
        lacking = "y, which is None" if y is None else "targets='soft'"
        raise ValueError(f"label_weight={label_weight} needs {lacking}; pass label_weight=0")
    check_repeats(student, n_repeats)
    check_kind(student)
    if counts_as_fitted(student):
        raise TypeError(
            f"student must be unfitted, but {type(student).__name__} is fitted; pass an unfitted classifier"
        )
    model = as_model(teacher)
    X = read_samples(BaseEstimator(), X, reset=True)
    classes = classes_of(model, X)
    indices = None if y is None else check_labels(y, classes, len(X))
    check_net_labels(student, classes)
    student = clone(student)
    net = inner_skorch_net(student)
    if net is not None:
        net.set_params(classes=classes)  # otherwise it would know only the classes in its training data
    X_test, y_test = read_test(X_test, y_test, X, classes)
    fit = _taught(student, model, X, indices, classes, targets, float(temperature), float(label_weight))
    plain = None if indices is None else partial(train, student, X, classes[indices])
    rng = check_random_state(random_state)
    given = Shared((fit, plain))
    jobs = (delayed(_pair)(given, draw_seed(rng)) for _ in range(n_repeats))
    pairs = side_by_side(
        jobs, n_repeats, n_jobs=n_jobs, verbose=verbose, what="students", unit="student", prefer="processes"
    )
    students, plain_students = zip(*pairs, strict=True)
    groups = {"teacher": [model] * n_repeats, "distilled": students}
    if plain is None:
        plain_students = ()
    else:
        groups["plain"] = plain_students
    answers = np.array([[answers_of(each, X_test) for each in group] for group in groups.values()])
    values = {
        "accuracy": (answers == y_test).mean(axis=2),
        "agreement": (answers == answers[0, 0]).mean(axis=2),
    }
    n_samples = dict.fromkeys(values, len(y_test))
    return Distillation(np.array(list(groups)), values, students, plain_students, n_samples=n_samples)


def _taught(
    student: Any,
    model: Model,
    X: NDArray[Any],
    indices: NDArray[np.intp] | None,
    classes: NDArray[Any],
    targets: str,
    temperature: float,
    label_weight: float,
) -> Callable[[int], Any]:
    """A function that trains a distilled student from a seed."""
    if targets == "hard":
        return partial(train, student, X, answers_of(model, X))
    name, net = type(student).__name__, inner_skorch_net(student)
    if net is not None:
        check_skorch_student(net)
    elif not has_fit_parameter(student, "sample_weight"):
        raise TypeError(
            f"the student {name} cannot learn soft targets: its fit takes no sample_weight, and it is no "
            "skorch net; pass targets='hard' to learn the classes that the teacher predicts"
        )
    soft = type_named(model, tempered, model, X, temperature)
    labels = np.zeros_like(soft) if indices is None else np.eye(len(classes))[indices]
    if net is None:
        weights = (1 - label_weight) * soft + label_weight * labels
        return partial(fit_weighted, student, X, weights, classes=classes)
    return partial(
        fit_skorch_student,
        student,
        X,
        np.stack([soft, labels], axis=1),
        temperature=temperature,
        label_weight=label_weight,
    )


def _pair(
    given: Shared[tuple[Callable[[int], Any], Callable[[int], Any] | None]], seed: int
) -> tuple[Any, Any]:
    fit, plain = given.value
    return fit(seed), None if plain is None else plain(seed)
