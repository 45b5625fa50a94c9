"""fooling_inputs: how confident a classifier is on meaningless inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from skhalfway._checks import check_choice, check_integer, check_random_state, is_number
from skhalfway._entries import takes_datasets
from skhalfway._inputs import check_finite, check_no_categories, read_samples, under_names
from skhalfway._intervals import ConfidenceInterval, wilson_interval
from skhalfway._randomness import draw_seed, leaving_no_trace, undisturbed
from skhalfway._rounding import round_towards
from skhalfway._text import between, short, shown
from skhalfway.attacks import AdversarialGenerator
from skhalfway.attacks._limits import read_bounds
from skhalfway.attacks._reference import is_range
from skhalfway.models import Model, as_model
from skhalfway.models._faults import classes_of
from skhalfway.models._input_spec import reader_of
from skhalfway.models._torch_model import TorchModel
from skhalfway.models._type_checks import is_art_classifier
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

DATA, OPTIMISED = "data", "optimised noise"


@dataclass(frozen=True, eq=False, repr=False)
class FoolingInputs(Result):
    """Meaningless inputs, and the confidence of a classifier on them.

    Made by :func:`fooling_inputs`; arrays are read-only.

    Parameters
    ----------
    inputs : dict of str to ndarray of shape (n_samples, ...)
        Inputs by kind: "uniform noise", "matched noise", "optimised noise".
    labels : dict of str to ndarray of shape (n_samples,)
        The most probable class of each input by kind. The real samples are the
        kind "data".
    confidences : dict of str to ndarray of shape (n_samples,)
        The probability of that class.
    threshold : float
        Smallest confidence at which the classifier counts as sure.

    See Also
    --------
    FoolingInputsDisplay : Draws them.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import FoolingInputs
    >>> sure, unsure = np.full(50, 0.999), np.full(50, 0.6)
    >>> FoolingInputs(
    ...     inputs={"uniform noise": np.zeros((50, 2))},
    ...     labels={"data": np.zeros(50), "uniform noise": np.zeros(50)},
    ...     confidences={"data": sure, "uniform noise": unsure},
    ...     threshold=0.99,
    ... )
    FoolingInputs: confidence of at least 0.99
    inputs         n   sure  share [95 % interval]
    data           50  50    1.0 [.93 1.0]
    uniform noise  50  0     .00 [.00 .07]
    """

    inputs: Mapping[str, NDArray[Any]]
    labels: Mapping[str, NDArray[Any]]
    confidences: Mapping[str, NDArray[np.float64]]
    threshold: float

    def __post_init__(self) -> None:
        for name in ("inputs", "labels", "confidences"):
            object.__setattr__(
                self, name, {kind: frozen(array) for kind, array in getattr(self, name).items()}
            )
        for name, others in (("labels", self.labels), ("inputs", self.inputs)):
            for kind, array in others.items():
                if len(array) != len(self.confidences.get(kind, ())):
                    raise ValueError(f"{name} and confidences of {shown(kind)} must be of one length")

    @property
    def counts(self) -> dict[str, int]:
        """Number of inputs of each kind that the classifier is sure of."""
        return {kind: int((sure >= self.threshold).sum()) for kind, sure in self.confidences.items()}

    @property
    def rates(self) -> dict[str, float]:
        """Share of inputs of each kind that the classifier is sure of."""
        return {kind: count / len(self.confidences[kind]) for kind, count in self.counts.items()}

    def confidence_interval(self, level: float = 0.95, *, of: str = DATA) -> ConfidenceInterval:
        """Wilson interval of the share of one kind of inputs that the classifier is sure of.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level.
        of : str, default="data"
            Kind of inputs.

        Returns
        -------
        interval : ConfidenceInterval
            Ends of the interval, as two floats.

        Raises
        ------
        ValueError
            If ``level`` is out of range, or there are no such inputs.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.inspection import FoolingInputs
        >>> result = FoolingInputs({}, {"data": np.zeros(50)}, {"data": np.full(50, 0.999)}, 0.99)
        >>> low, high = result.confidence_interval()
        >>> round(low, 2), round(high, 2)
        (0.93, 1.0)
        """
        check_choice("of", of, self.confidences)
        low, high = wilson_interval(self.counts[of], len(self.confidences[of]), level)
        return ConfidenceInterval(float(low), float(high))

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Counts and shares, with a row for each kind of inputs.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the intervals.

        Returns
        -------
        frame : DataFrame
            Columns n, sure, share, low and high (the ends of the interval), and
            median (of the confidences).

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.inspection import FoolingInputs
        >>> result = FoolingInputs({}, {"data": np.zeros(50)}, {"data": np.full(50, 0.999)}, 0.99)
        >>> int(result.to_frame().loc["data", "sure"])
        50
        """
        import pandas as pd

        ends = {kind: self.confidence_interval(level, of=kind) for kind in self.confidences}
        rows = {
            kind: {
                "n": len(sure),
                "sure": self.counts[kind],
                "share": self.rates[kind],
                "low": ends[kind].low,
                "high": ends[kind].high,
                "median": np.median(sure),
            }
            for kind, sure in self.confidences.items()
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("inputs")

    def _table(self) -> Table:
        rows: list[list[str | Cell]] = []
        for kind, sure in self.confidences.items():
            share = Cell(short(self.rates[kind]), between(*self.confidence_interval(of=kind)))
            rows.append([kind, str(len(sure)), str(self.counts[kind]), share])
        title = f"FoolingInputs: confidence of at least {self.threshold:g}"
        return Table(title, ["inputs", "n", "sure", "share [95 % interval]"], rows)


@takes_datasets
@leaving_no_trace
@recorded
def fooling_inputs(
    estimator: Any,
    X: Any,
    *,
    n_samples: int = 200,
    threshold: float = 0.99,
    clip_values: tuple[Any, Any] | str | None = None,
    max_iter: int = 100,
    max_queries: int = 1000,
    random_state: Any = None,
) -> FoolingInputs:
    """Measure how confident a classifier is on meaningless inputs.

    Nguyen et al. [1]_ found images that no person recognises but that networks
    classify with near-certain confidence. They used evolution and gradient ascent.
    Here are three kinds of inputs, compared with the real samples:

    - "uniform noise": each feature is uniform in its range.
    - "matched noise": each feature takes its value from a sample drawn at random
      for this feature. It has the distribution of the feature in X, independent of
      all other features.
    - "optimised noise": uniform noise that :class:`~skhalfway.AdversarialGenerator`
      moves towards a class, with equally many inputs for each class.

    The attacks behind optimised noise are our choice:

    - Where the classifier has a gradient, ``attack="pgd"`` is used in L-inf, limited
      only by the range of the features. It takes all its steps, so confidence
      grows far beyond the decision boundary. Nothing makes the inputs look like
      something, or prevents it.
    - Other classifiers, and trees and neighbours, whose probabilities are step
      functions, are attacked with ``attack="square"``. It queries probabilities
      until one reaches ``threshold`` or the queries are used up.

    Confidence is the largest probability of ``predict_proba``, or of the softmax of
    a torch module's logits.

    Parameters
    ----------
    estimator : object
        Fitted classifier with ``predict_proba``, or a torch module that returns
        logits.
    X : array-like of shape (n_samples, ...)
        Real samples.
    n_samples : int, default=200
        Number of inputs of each kind.
    threshold : float, default=0.99
        Smallest confidence at which the classifier counts as sure.
    clip_values : tuple of (min, max) or "range", default=None
        Range of valid data: two numbers, or two arrays of the shape of a sample.
        With None and ``"range"``, the range of each feature in X.
    max_iter : int, default=100
        Number of steps of the gradient attack.
    max_queries : int, default=1000
        Largest number of queries per input, for classifiers without a gradient.
    random_state : int, RandomState instance or None, default=None
        Source of the noise, and of the attack's random numbers.

    Returns
    -------
    result : FoolingInputs
        Inputs, labels and confidences.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid or outside ``clip_values``.
    TypeError
        If the classifier has no probabilities.
    NotFittedError
        If the classifier is not fitted.

    See Also
    --------
    skhalfway.AdversarialGenerator : The attacks that optimise the noise.

    Notes
    -----
    Results on scikit-learn's digits:

    - A multi-layer perceptron is more confident on optimised noise than on any
      digit. It is also sure of some of the noise that is not optimised.
    - A random forest is sure of no noise that is not optimised, since its trees
      disagree, and of few digits. It is sure of a good part of the optimised noise.
    - A single tree is sure of everything, since each of its leaves holds one class.

    References
    ----------
    .. [1] Nguyen, Yosinski & Clune, "Deep neural networks are easily fooled: high
       confidence predictions for unrecognizable images", CVPR 2015, arXiv
       1412.1897.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway.inspection import fooling_inputs
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(C=100, max_iter=1000).fit(X, y)
    >>> result = fooling_inputs(model, X, n_samples=60, random_state=0)
    >>> result.rates["optimised noise"]
    1.0
    """
    check_integer("n_samples", n_samples)
    check_integer("max_iter", max_iter)
    check_integer("max_queries", max_queries, 2)
    if not is_number(threshold) or not 0 < threshold < 1:
        raise ValueError(f"threshold must be between 0 and 1, got {shown(threshold)}")
    model = as_model(estimator)
    _check_probabilities(model)
    check_no_categories(X)
    reader = reader_of(model)
    X = read_samples(reader, X, reset=model.n_features_in_ is None)
    check_finite(X)
    given = None if is_range(clip_values) else clip_values
    bounds = read_bounds(given, X)
    low, high = (X.min(axis=0), X.max(axis=0)) if bounds is None else bounds
    low, high = (np.broadcast_to(bound, X.shape[1:]).astype(float) for bound in (low, high))
    rng = check_random_state(random_state)
    flat = X.reshape(len(X), -1)
    drawn = rng.randint(len(X), size=(n_samples, flat.shape[1]))
    uniform = rng.uniform(low, high, size=(n_samples, *X.shape[1:]))
    inputs = {
        "uniform noise": round_towards(uniform, (low + high) / 2, X.dtype),
        "matched noise": flat[drawn, np.arange(flat.shape[1])].reshape(-1, *X.shape[1:]),
    }
    with undisturbed():  # a net draws random numbers even in prediction
        targets = np.arange(n_samples) % len(classes_of(model, X))
        exact = model.has_gradient and not model.smoothed
        source, name = (model, "pgd") if exact else (_Certain(model, X, threshold), "square")
        generator = AdversarialGenerator(
            source,
            attack=name,
            eps=high - low,
            # a constant feature has budget 0, but clip_values must differ for it too
            clip_values=(low, np.where(high > low, high, low + 1)),
            max_iter=max_iter,
            max_queries=max_queries,
            random_state=draw_seed(rng),
        )
        classes = source.classes_
        inputs[OPTIMISED] = np.asarray(
            generator.generate(
                under_names(inputs["uniform noise"], getattr(reader, "feature_names_in_", None)),
                target=targets if classes is None else classes[targets],
            )
        )
        found = {kind: _probabilities(model, x) for kind, x in ({DATA: X} | inputs).items()}
    names = np.arange(len(found[DATA][0])) if model.classes_ is None else model.classes_
    return FoolingInputs(
        inputs,
        {kind: names[probabilities.argmax(axis=1)] for kind, probabilities in found.items()},
        {kind: probabilities.max(axis=1) for kind, probabilities in found.items()},
        float(threshold),
    )


def _check_probabilities(model: Model) -> None:
    name = type(model.estimator).__name__
    if is_art_classifier(model.estimator):
        raise TypeError(
            f"whether {name} of ART returns probabilities or logits is not known; pass the model inside it"
        )
    if not isinstance(model, TorchModel) and not hasattr(model.estimator, "predict_proba"):
        raise TypeError(
            f"{name} has no predict_proba; calibrate it (sklearn.calibration.CalibratedClassifierCV)"
        )


def _probabilities(model: Model, X: NDArray[Any]) -> NDArray[np.float64]:
    scores = model.scores(X)
    return softmax(scores, axis=1) if isinstance(model, TorchModel) else scores


class _Certain:
    """A classifier with one additional class, predicted where the classifier is not sure.

    Query attacks stop as soon as the target class is predicted. With the additional class, that is as soon as
    the classifier is sure of the target.
    """

    def __init__(self, model: Model, X: NDArray[Any], threshold: float) -> None:
        self._model, self._shape, self._threshold = model, X.shape[1:], threshold
        self.classes_ = np.arange(model.n_outputs(X) + 1)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Scores that do not sum to 1, since that of the additional class is always the threshold."""
        scores = _probabilities(self._model, np.asarray(X).reshape(-1, *self._shape))
        return np.pad(scores, [(0, 0), (0, 1)], constant_values=self._threshold)

    def predict(self, X: NDArray[Any]) -> NDArray[np.intp]:
        return self.predict_proba(X).argmax(axis=1)
