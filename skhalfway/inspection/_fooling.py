"""fooling_inputs: how sure a classifier is of inputs that show nothing."""

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
    """Inputs that show nothing, and how sure a classifier is of them.

    Made by :func:`fooling_inputs`; arrays are read-only.

    Parameters
    ----------
    inputs : dict of str to ndarray of shape (n_samples, ...)
        Inputs by kind: "uniform noise", "matched noise", "optimised noise".
    labels : dict of str to ndarray of shape (n_samples,)
        The most probable class of each; and of the real samples, under "data".
    confidences : dict of str to ndarray of shape (n_samples,)
        Its probability.
    threshold : float
        The confidence from which on the classifier counts as sure.

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
        """How many inputs of each kind the classifier is sure of."""
        return {kind: int((sure >= self.threshold).sum()) for kind, sure in self.confidences.items()}

    @property
    def rates(self) -> dict[str, float]:
        """Their share."""
        return {kind: count / len(self.confidences[kind]) for kind, count in self.counts.items()}

    def confidence_interval(self, level: float = 0.95, *, of: str = DATA) -> ConfidenceInterval:
        """Wilson's interval of the share of one kind.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level.
        of : str, default="data"
            Which kind of inputs.

        Returns
        -------
        interval : ConfidenceInterval
            Two numbers.

        Raises
        ------
        ValueError
            If ``level`` is out of range, or there are no such inputs.
        """
        check_choice("of", of, self.confidences)
        low, high = wilson_interval(self.counts[of], len(self.confidences[of]), level)
        return ConfidenceInterval(float(low), float(high))

    def to_frame(self, level: float = 0.95) -> pd.DataFrame:
        """Counts and shares, a row for each kind.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the intervals.

        Returns
        -------
        frame : DataFrame
            With columns n, sure, share, low, high, and median (of the
            confidences).
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
    """Show a classifier inputs that show nothing, and see how sure it is of them.

    Nguyen et al. [1]_ found images that no person recognises and networks are
    almost certain of, by evolution and by gradient ascent. Three kinds of inputs
    here, beside the real ones:

    - "uniform noise": each feature anywhere in its range.
    - "matched noise": each feature takes the value of a sample of its own, drawn at
      random. It has the distribution that the feature has in X, with its mean and
      standard deviation, and knows of no other feature.
    - "optimised noise": uniform noise, as much for each class, that
      :class:`~skhalfway.AdversarialGenerator` moves towards the class.

    By gradient that is ``attack="pgd"`` in L-inf, with no limit but the range of
    the features: it takes all its steps, so that confidence grows far beyond the
    boundary, but the inputs are not evolved to look like anything, nor kept from it.
    Classifiers without a gradient, and trees and neighbours, whose probabilities
    are steps, are asked by ``attack="square"``, for probabilities, until one
    reaches ``threshold`` or its queries are spent. Both are our choice.

    Confidence is the largest probability: of ``predict_proba``; of a torch module
    the softmax of its logits.

    Parameters
    ----------
    estimator : object
        Fitted classifier with ``predict_proba``, or a torch module that returns
        logits.
    X : array-like of shape (n_samples, ...)
        Real samples.
    n_samples : int, default=200
        Inputs of each kind.
    threshold : float, default=0.99
        The confidence from which on the classifier counts as sure.
    clip_values : tuple of (min, max) or "range", default=None
        Range of valid data: two numbers, or two arrays of the shape of a sample.
        None and ``"range"``: from the least to the largest value of each feature in X.
    max_iter : int, default=100
        Steps by gradient.
    max_queries : int, default=1000
        Most predictions asked for an input, without a gradient.
    random_state : int, RandomState instance or None, default=None
        For noise, and for what the attack draws.

    Returns
    -------
    result : FoolingInputs
        Inputs, labels and confidences.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid or outside ``clip_values``.
    TypeError
        If the classifier gives no probabilities.
    NotFittedError
        If it is not fitted.

    See Also
    --------
    skhalfway.AdversarialGenerator : What moves the noise.

    Notes
    -----
    On scikit-learn's digits a multi-layer perceptron is surer of optimised noise
    than of any digit, and sure of some noise that nobody optimised. A random forest
    is sure of no such noise, for its trees disagree, and of few digits; of a good
    part of the noise that queries optimise it is. A single tree is sure of
    everything, for its leaves hold one class.

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
    with undisturbed():  # a net draws even as it predicts
        targets = np.arange(n_samples) % len(classes_of(model, X))
        exact = model.has_gradient and not model.smoothed
        source, name = (model, "pgd") if exact else (_Certain(model, X, threshold), "square")
        generator = AdversarialGenerator(
            source,
            attack=name,
            eps=high - low,
            # a feature of one value has no budget; bounds must differ all the same
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
            f"whether {name} of ART gives probabilities or logits is not known; pass the model inside it"
        )
    if not isinstance(model, TorchModel) and not hasattr(model.estimator, "predict_proba"):
        raise TypeError(
            f"{name} gives no probabilities; calibrate it (sklearn.calibration.CalibratedClassifierCV)"
        )


def _probabilities(model: Model, X: NDArray[Any]) -> NDArray[np.float64]:
    scores = model.scores(X)
    return softmax(scores, axis=1) if isinstance(model, TorchModel) else scores


class _Certain:
    """A classifier with one more class, where it is not sure.

    Attacks that ask for predictions stop at the first that they want: to reach a class is then to be sure.
    """

    def __init__(self, model: Model, X: NDArray[Any], threshold: float) -> None:
        self._model, self._shape, self._threshold = model, X.shape[1:], threshold
        self.classes_ = np.arange(model.n_outputs(X) + 1)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Scores rather than probabilities, for the last is always the threshold."""
        scores = _probabilities(self._model, np.asarray(X).reshape(-1, *self._shape))
        return np.pad(scores, [(0, 0), (0, 1)], constant_values=self._threshold)

    def predict(self, X: NDArray[Any]) -> NDArray[np.intp]:
        return self.predict_proba(X).argmax(axis=1)
