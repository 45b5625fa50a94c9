"""HalfwayScorer: how alike the boundaries of several models are, from predictions alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.validation import check_is_fitted

from skhalfway._callbacks import with_callbacks
from skhalfway._checks import check_integer, check_jobs, check_length, check_norm, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._inputs import check_labels
from skhalfway._randomness import leaving_no_trace
from skhalfway.boundaries._path_points import PathModels
from skhalfway.boundaries._paths import check_tol, trace_all
from skhalfway.halfway._doubts import warn_of_doubtful, warn_of_unknown
from skhalfway.halfway._halves import N_NEIGHBORS, answers_at_halves, neighbour_pairs
from skhalfway.halfway._measurement import HalfwayMeasurement
from skhalfway.halfway._pairs import check_pairs, sample_pairs
from skhalfway.halfway._transfer_prediction import TransferPrediction
from skhalfway.models import Model
from skhalfway.models._check import check_models
from skhalfway.models._warnings import warn, warn_of
from skhalfway.results._provenance import recorded

NORMS = (np.inf, 2)


class HalfwayScorer(PathModels):
    """Measure where the answers of models change on paths between samples.

    On the straight path between two samples of different classes, a model's
    answer changes somewhere: at its crossing. How far crossings are from
    halfway, and how alike those of two models are, is told from predictions
    alone: for trees, neighbours and black boxes as for networks, with no attack
    and no gradient. :meth:`score` is the mean agreement of two models.

    The parameter ``estimators`` decides what :meth:`fit` takes, as it does for
    :class:`~skhalfway.TransferScorer`.

    Parameters
    ----------
    estimators : list of (str, estimator), default=None
        None: :meth:`fit` takes fitted models. A list: :meth:`fit` takes data
        and fits clones of these, which are searchable as ``name__parameter``;
        a ``FrozenEstimator`` stays as it is.
    pairs : {"random", "nearest"}, default="random"
        Samples that a path joins: any two of different classes, or a sample and
        the nearest of another class.
    n_pairs : int, default=500
        How many paths.
    n_neighbors : int or None, default=6
        How many nearest neighbours (Euclidean) of a sample halves lie at: the
        midpoints at which models are asked for their consensus. None: no halves are asked about.
    tol : float, default=1e-3
        Largest error of a crossing, as a share of its path. An answer that
        changes and changes back within one step of a grid of 16 is not seen,
        whatever ``tol`` is; of decision trees, of which every split on the path
        is known, it is: see :func:`~skhalfway.halfway.crossings`.
    n_jobs : int, default=None
        Number of threads, over models and blocks of samples. None is 1 unless in a
        ``joblib.parallel_config`` context. Results do not depend on it.
    verbose : int, default=0
        Above 0, show progress bars; above 1, also how often models were asked.
    random_state : int, RandomState instance or None, default=None
        Draws the pairs. Pass an int for the same output across calls.

    Attributes
    ----------
    models_ : dict of str to object
        The fitted models by name, as given or as fitted.
    classes_ : ndarray of shape (n_classes,) or None
        Labels that all models share; None where only torch modules were given,
        whose labels are their column numbers.
    n_features_in_ : int
        Width of the data. Only where data or a model says.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where :meth:`fit` got a DataFrame or models that were
        fitted with one.

    See Also
    --------
    skhalfway.TransferScorer : Counts what attacks do.
    skhalfway.halfway.crossings : The crossings of one classifier.
    skhalfway.halfway.halfway_score : Judges one classifier.

    Notes
    -----
    The framework of crossings is this package's own formalisation of the title
    of [1]_; the definitions of that paper are not public to us. That agreement
    ranks the sources of a target by transfer rate is a hypothesis: the
    documentation says how far benchmarks bear it out.

    From scikit-learn 1.9 on, ``set_callbacks(ProgressBar())`` shows how far ``estimators`` are fitted.

    References
    ----------
    .. [1] BenShmuel, "Meet you halfway: explaining deep learning mysteries",
       arXiv 2206.04463, 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skhalfway import HalfwayScorer
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {
    ...     "lr": LogisticRegression(max_iter=1000).fit(X, y),
    ...     "svm": SVC().fit(X, y),
    ...     "tree": DecisionTreeClassifier(random_state=0).fit(X, y),
    ... }
    >>> scorer = HalfwayScorer(random_state=0).fit(models)
    >>> scorer.measure(X, y)
    HalfwayMeasurement: 3 models, 500 pairs, mean agreement .843 [.786 .886]
    model  deviation [95 %]  median crossing  pairs that count  consensus [95 %]
    lr     .168 [.145 .193]  .42              477               .98 [.95 .99]
    svm    .181 [.158 .205]  .41              481               .98 [.94 .99]
    tree   .175 [.154 .198]  .41              500               .96 [.90 .99]
    >>> scorer.predict_transfer(X, y, eps=0.5)
    TransferPrediction: 3 models, PGD of eps 0.5 in L-inf
    rate [95 %]; reliability .99 to 1.0
    source       lr              svm            tree
    lr     (.50 [.27 .73])  .42 [.20 .66]   .48 [.25 .71]
    svm     .46 [.23 .70]  (.45 [.23 .68])  .58 [.34 .80]
    tree    .31 [.12 .54]   .30 [.11 .55]  (.76 [.53 .92])
    """

    def __init__(
        self,
        estimators: list[tuple[str, Any]] | None = None,
        *,
        pairs: str = "random",
        n_pairs: int = 500,
        n_neighbors: int | None = N_NEIGHBORS,
        tol: float = 1e-3,
        n_jobs: int | None = None,
        verbose: int = 0,
        random_state: Any = None,
    ) -> None:
        self.estimators = estimators
        self.pairs = pairs
        self.n_pairs = n_pairs
        self.n_neighbors = n_neighbors
        self.tol = tol
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.random_state = random_state

    @with_callbacks
    @takes_datasets
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> HalfwayScorer:
        """Take fitted models, or fit clones of ``estimators`` on data.

        Parameters
        ----------
        X : models, or array-like of shape (n_samples, n_features)
            With ``estimators=None``, the fitted models: a mapping of names to
            models, a sequence of (name, model), or a sequence of models, which
            are named after their types. They are stored unchanged. Else the
            training samples.
        y : array-like of shape (n_samples,), default=None
            Training labels. None with ``estimators=None``.
        **fit_params : dict
            Metadata such as ``sample_weight``. Only with ``enable_metadata_routing``,
            and ``estimators``: each gets what it requests.

        Returns
        -------
        self : HalfwayScorer
            The fitted scorer.

        Raises
        ------
        ValueError
            If there are fewer than two models, or models that differ in
            classes or in width; if a parameter or the data is invalid; if
            metadata are neither requested nor refused, or not routed at all.
        TypeError
            If an object is not a classifier, or metadata are routed to none.
        NotFittedError
            If a model is not fitted.
        """
        self._check_params()
        self._fit_models(X, y, fit_params)
        return self

    @takes_datasets
    @leaving_no_trace
    @recorded
    def measure(self, X: Any, y: Any) -> HalfwayMeasurement:
        """Find the crossings of all models on the same paths.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples that paths join: the training data, to explain what was
            learned from it.
        y : array-like of shape (n_samples,)
            True labels.

        Returns
        -------
        measurement : HalfwayMeasurement
            Crossings, deviation and consensus of each model, agreement and
            boundary distance of each two, with intervals.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data is invalid, holds categories or missing values, has one
            class only, or fewer pairs than ``n_pairs``.
        RuntimeError
            If a model raises while it predicts; its name is in the message.

        Warns
        -----
        ModelWarning
            If the check-up of a model (:func:`~skhalfway.models.check_model`)
            finds that its figures may mislead.
        UndefinedMetricWarning
            If a model classifies both samples of no pair right, as one does
            that never changes its answer; its figures are nan. If fewer than 3
            pairs count for two models; their agreement is nan.
        """
        models, points, classes, labels = self._start(X, y)
        pairs = sample_pairs(
            points,
            labels,
            pairs=self.pairs,
            n_pairs=self.n_pairs,
            random_state=check_random_state(self.random_state),
        )
        warn_of(check_models(models, points, classes, labels, gradients=False))
        begin, end = points[pairs[:, 0]], points[pairs[:, 1]]
        traces = trace_all(
            list(models.values()),
            begin,
            end,
            self.tol,
            names=list(models),
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        counted = np.stack([(trace.labels[:, [0, -1]] == labels[pairs]).all(axis=1) for trace in traces])
        lengths = np.linalg.norm((end - begin).reshape(len(pairs), -1).astype(float), axis=1)
        positions = np.stack([trace.position for trace in traces])
        of_halves: dict[str, Any] = {}
        if self.n_neighbors is not None:
            halves = neighbour_pairs(points, self.n_neighbors)
            answers = answers_at_halves(models, points, halves, self.n_jobs, self.verbose)
            of_halves = {"halves": halves, "answers": answers, "labels": labels, "classes": classes}
        measurement = HalfwayMeasurement(tuple(models), pairs, lengths, positions, counted, **of_halves)
        warn_of_unknown(measurement)
        return measurement

    @takes_datasets
    def score(self, X: Any, y: Any) -> float:
        """Mean agreement over pairs of two models.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples that paths join.
        y : array-like of shape (n_samples,)
            True labels.

        Returns
        -------
        agreement : float
            Between -1 and 1; nan, with a warning, where it is known for no
            two models.
        """
        agreement = self.measure(X, y).mean_agreement
        if np.isnan(agreement):
            warn(
                "no two models have crossings to compare, so the mean agreement is nan",
                UndefinedMetricWarning,
            )
        return agreement

    @takes_datasets
    @leaving_no_trace
    @recorded
    def predict_transfer(self, X: Any, y: Any, *, eps: float, norm: float = np.inf) -> TransferPrediction:
        """Predict transfer rates, with no attack and no gradient.

        Each model alone is asked how far its answer holds around each sample,
        in 24 directions and 121 predictions; of all that together, regression
        tells how near its boundaries are and which way they face, and how much
        of this the directions leave open. Whether a change made for one model
        crosses the boundary of another is then a matter of arithmetic.
        Our own method; ``pairs``, ``n_pairs`` and ``tol`` have no part in it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples that would be attacked. Priors are fitted on all of them
            together: 100 and more are better than few.
        y : array-like of shape (n_samples,)
            True labels.
        eps : float
            Budget of the attack, in input units.
        norm : {np.inf, 2}, default=np.inf
            Norm in which it counts.

        Returns
        -------
        prediction : TransferPrediction
            Predicted rates, each with an interval and a reliability;
            ``numpy.asarray`` of it are the rates. Made to rank pairs: of a
            rate itself it is a rough estimate, as the intervals say.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If ``eps`` or ``norm`` is out of range; else as :meth:`measure`.

        Warns
        -----
        ModelWarning
            As :meth:`measure`. If the answers of two models determine little
            of their rate: its reliability is below .3.
        UndefinedMetricWarning
            If two models classify no sample right together; their rates are nan.
        """
        check_length("eps", eps)
        check_norm(norm, NORMS)
        from skhalfway.halfway._prediction import predict

        models, points, classes, labels = self._start(X, y)
        checks = check_models(models, points, classes, labels, gradients=False)
        warn_of(checks)
        found = predict(
            list(models.values()),
            points,
            labels,
            [(float(eps), float(norm))],
            names=list(models),
            random_state=check_random_state(self.random_state),
            n_jobs=self.n_jobs,
            verbose=self.verbose,
        )
        names = tuple(models)
        warn_of_doubtful(found, names, [not check.ok for check in checks.values()])
        return TransferPrediction(
            found.rates[0], found.reliability, found.eligible, names, float(eps), float(norm)
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags

    def _check_params(self) -> None:
        check_pairs(self.pairs, self.n_pairs)
        if self.pairs == "within":
            raise ValueError(
                "pairs must be 'random' or 'nearest', got 'within': between two samples of one class no "
                "answer needs to change"
            )
        if self.n_neighbors is not None:
            check_integer("n_neighbors", self.n_neighbors)
        check_tol(self.tol)
        check_jobs(self.n_jobs, self.verbose)
        check_random_state(self.random_state)

    def _start(self, X: Any, y: Any) -> tuple[dict[str, Model], NDArray[Any], NDArray[Any], NDArray[np.intp]]:
        """Models, points, the labels of class indices and each point's index, checked."""
        check_is_fitted(self)
        self._check_params()
        models, points, classes = self._read_for_models(X)
        return models, points, classes, check_labels(y, classes, len(points))


def measured(scorer: HalfwayScorer, X: Any, y: Any) -> HalfwayMeasurement:
    """What displays draw of a scorer."""
    return scorer.measure(X, y)
