"""HalfwayScorer: how similar the decision boundaries of several models are, from predictions alone."""

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
from skhalfway.boundaries._paths import check_tol
from skhalfway.halfway._doubts import warn_of_doubtful, warn_of_unknown
from skhalfway.halfway._halves import N_NEIGHBORS
from skhalfway.halfway._measured import measurement_of, pairs_of
from skhalfway.halfway._measurement import HalfwayMeasurement
from skhalfway.halfway._pairs import check_pairs
from skhalfway.halfway._transfer_prediction import TransferPrediction
from skhalfway.models import Model
from skhalfway.models._check import check_models
from skhalfway.models._warnings import warn, warn_of
from skhalfway.results._provenance import recorded

NORMS = (np.inf, 2)


class HalfwayScorer(PathModels):
    """Measure where the predictions of models change on paths between samples.

    On the straight path between two samples of different classes, a model's
    prediction changes somewhere: at its crossing. :meth:`measure` tells how far
    crossings are from halfway, and how similar those of two models are.
    :meth:`score` is the mean agreement of two models. Both need predictions only,
    with no attack and no gradient, so they work for trees, neighbours and black
    boxes as for networks.

    The parameter ``estimators`` decides what :meth:`fit` takes, as it does for
    :class:`~skhalfway.TransferScorer`.

    Parameters
    ----------
    estimators : list of (str, estimator), default=None
        - None: :meth:`fit` takes fitted models.
        - A list: :meth:`fit` takes data and fits clones of these, which are
          searchable as ``name__parameter``. A ``FrozenEstimator`` is not fitted
          again.
    pairs : {"random", "nearest"}, default="random"
        Samples that a path joins: any two of different classes, or a sample and
        the nearest one of another class.
    n_pairs : int, default=500
        Number of paths.
    n_neighbors : int or None, default=6
        Number of nearest neighbours (Euclidean) of a sample for the consensus,
        which is measured at its midpoints with them ("halves"). None measures no
        consensus.
    tol : float, default=1e-3
        Largest error of a crossing, as a share of its path. Whatever ``tol`` is, a
        prediction that changes and changes back within 1/16 of the path is not
        seen. It is seen for decision trees, whose splits on the path are known: see
        :func:`~skhalfway.halfway.crossings`.
    n_jobs : int, default=None
        Number of threads, over models and blocks of samples. None is 1 unless in a
        ``joblib.parallel_config`` context. It does not change results.
    verbose : int, default=0
        Above 0, show progress bars; above 1, also the number of queries of models.
    random_state : int, RandomState instance or None, default=None
        Source of the random pairs. Pass an int for the same output across calls.

    Attributes
    ----------
    models_ : dict of str to object
        The fitted models by name, as given or as fitted.
    classes_ : ndarray of shape (n_classes,) or None
        Labels that all models share. None where only torch modules were given,
        whose labels are their column numbers.
    n_features_in_ : int
        Number of features. Present where data or a model defines it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where :meth:`fit` got a DataFrame or models that were
        fitted with one.

    See Also
    --------
    skhalfway.TransferScorer : Measures transfer with attacks.
    skhalfway.halfway.crossings : The crossings of one classifier.
    skhalfway.halfway.consensus_score : A score of one classifier.

    Notes
    -----
    The framework of crossings is this package's own formalisation of the title
    of [1]_; the definitions of that paper are not public to us. It is a hypothesis
    that agreement ranks the sources of a target by transfer rate. The documentation
    says how far benchmarks support it.

    With scikit-learn 1.9 or later, ``set_callbacks(ProgressBar())`` shows the progress of fitting.

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
    ...     "lr": LogisticRegression(max_iter=5000, tol=1e-8).fit(X, y),
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
    lr     (.50 [.12 .88])  .42 [.07 .83]   .48 [.10 .87]
    svm     .46 [.10 .86]  (.45 [.09 .85])  .58 [.17 .92]
    tree    .31 [.03 .73]   .30 [.03 .73]  (.76 [.33 .99])
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
            are named after their types. They are stored unchanged. Otherwise, the
            training samples.
        y : array-like of shape (n_samples,), default=None
            Training labels. None with ``estimators=None``.
        **fit_params : dict
            Metadata such as ``sample_weight``, allowed with ``estimators`` and
            ``enable_metadata_routing``. Each estimator gets what it requests.

        Returns
        -------
        self : HalfwayScorer
            The fitted scorer.

        Raises
        ------
        ValueError
            If there are fewer than two models, models differ in classes or in the
            number of features, a parameter or the data is invalid, or metadata
            are neither requested nor refused, or not routed at all.
        TypeError
            If an object is not a classifier, or no estimator takes the metadata.
        NotFittedError
            If a model is not fitted.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.svm import SVC
        >>> from skhalfway import HalfwayScorer
        >>> scorer = HalfwayScorer([("soft", SVC()), ("hard", SVC(C=9))]).fit(*load_iris(return_X_y=True))
        >>> list(scorer.models_)
        ['soft', 'hard']
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
            Samples that paths join. Pass the training data to explain what was
            learned from it.
        y : array-like of shape (n_samples,)
            True labels.

        Returns
        -------
        measurement : HalfwayMeasurement
            Crossings, deviation and consensus of each model, and agreement and
            boundary distance of each two models, with confidence intervals.

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
            If a model does not classify both samples of any pair correctly; its
            figures are nan. If fewer than 3 pairs count for two models; their
            agreement is nan.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.svm import SVC
        >>> from skhalfway import HalfwayScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> scorer = HalfwayScorer(n_pairs=50, random_state=0).fit([SVC().fit(X, y), SVC(C=9).fit(X, y)])
        >>> scorer.measure(X, y).deviation.shape
        (2,)
        """
        models, points, classes, labels = self._start(X, y)
        pairs = pairs_of(self, points, labels)
        warn_of(check_models(models, points, classes, labels, gradients=False))
        measurement = measurement_of(self, models, points, classes, labels, pairs)
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
            Between -1 and 1; nan, with a warning, where no agreement is known.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.svm import SVC
        >>> from skhalfway import HalfwayScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> scorer = HalfwayScorer(n_pairs=50, random_state=0).fit([SVC().fit(X, y), SVC(C=9).fit(X, y)])
        >>> scorer.score(X, y) > 0.5
        True
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

        This is our own method. Around each sample, it searches where the prediction
        of each model changes, along 24 directions and with 121 predictions. A
        regression estimates from this how near the decision boundaries are, how
        they are oriented, and how uncertain both are. Whether a perturbation made
        on one model crosses the boundary of another then follows by arithmetic.
        ``pairs``, ``n_pairs`` and ``tol`` are not used.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples that would be attacked. The regression shares information
            between them, so pass 100 or more.
        y : array-like of shape (n_samples,)
            True labels.
        eps : float
            Budget of the attack, in input units.
        norm : {np.inf, 2}, default=np.inf
            Norm of the budget.

        Returns
        -------
        prediction : TransferPrediction
            Predicted rates, each with an interval and a reliability;
            ``numpy.asarray`` of it gives the rates. They are made to rank pairs of
            models. A single rate is a rough estimate, as its interval shows.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If ``eps`` or ``norm`` is out of range, or as in :meth:`measure`.

        Warns
        -----
        ModelWarning
            As in :meth:`measure`. If the reliability of a predicted rate is below .3.
        UndefinedMetricWarning
            If no sample is classified correctly by both of two models; their rates
            are nan.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.svm import SVC
        >>> from skhalfway import HalfwayScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> scorer = HalfwayScorer(random_state=0).fit([SVC().fit(X, y), SVC(C=9).fit(X, y)])
        >>> scorer.predict_transfer(X, y, eps=0.5).rates.shape
        (2, 2)
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
                "pairs must be 'random' or 'nearest', got 'within': between two samples of the same class, "
                "predictions need not change"
            )
        if self.n_neighbors is not None:
            check_integer("n_neighbors", self.n_neighbors)
        check_tol(self.tol)
        check_jobs(self.n_jobs, self.verbose)
        check_random_state(self.random_state)

    def _start(self, X: Any, y: Any) -> tuple[dict[str, Model], NDArray[Any], NDArray[Any], NDArray[np.intp]]:
        """Models, points, labels by class index, and the class index of each point; checked."""
        check_is_fitted(self)
        self._check_params()
        models, points, classes = self._read_for_models(X)
        return models, points, classes, check_labels(y, classes, len(points))
