"""TransferScorer: which models are fooled by adversarial samples made on others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.metadata_routing import UNUSED

from skhalfway._callbacks import with_callbacks
from skhalfway._entries import takes_blocks, takes_datasets
from skhalfway.attacks import AdversarialGenerator
from skhalfway.models._warnings import warn
from skhalfway.transfer._judging import JudgingCollection
from skhalfway.transfer._matrix import TransferMatrix

if TYPE_CHECKING:
    from skhalfway.transfer._curve import TransferCurve


class TransferScorer(JudgingCollection):
    """Measure how often adversarial samples made on one model fool the others.

    Each model in turn is the source, which the generator attacks, and every model is a target, on which the
    samples of every source are tried. :meth:`transfer` returns all counts as a
    :class:`~skhalfway.TransferMatrix`; :meth:`score` returns the mean transfer rate over ordered pairs of two
    models. The parameter ``estimators`` decides what :meth:`fit` takes.

    Parameters
    ----------
    generator : AdversarialGenerator, default=None
        The attack. Its ``estimator`` must be None. The default is ``AdversarialGenerator()``.
    estimators : list of (str, estimator), default=None
        None: :meth:`fit` takes fitted models. A list: :meth:`fit` takes data and fits clones of these, whose
        parameters can be searched as ``name__parameter``; a ``FrozenEstimator`` is used unchanged.
    sources : list of str or "leave_one_out", default=None
        Names of the models to attack. None is all. ``"leave_one_out"``: each target has one source,
        ``"all but ..."``, an :class:`~skhalfway.Ensemble` of all other models with a gradient.
    targets : list of str, default=None
        Names of the models to try the samples on. None is all but ensembles. To test one deployed model
        through one surrogate, pass ``sources=["surrogate"], targets=["deployed"]``: that needs one attack.
    condition : {"both_correct", "source_fooled", "all"}, default="both_correct"
        Samples that count for a pair. ``"both_correct"``: those that source and target both classify
        correctly. ``"source_fooled"``: the same, if they also fool the source. ``"all"``: all samples, as
        Papernot et al. count [1]_.
    combine : {"probabilities", "logits", "losses", "serial", "adaptive"}, default="probabilities"
        How the ensembles of ``sources="leave_one_out"`` combine their members; see
        :class:`~skhalfway.Ensemble`.
    n_jobs : int, default=None
        Number of parallel jobs, over the models to fit and over blocks of some hundred samples of each
        source to attack. None is 1, unless in a ``joblib.parallel_config``. Results do not depend on it.
        Jobs run in threads; where black boxes must predict more than a million samples, which threads do
        not speed up, they run in processes. ``parallel_config("threading")`` always uses threads.
    memory : str, Path or joblib.Memory, default=None
        Folder that caches every finished block of work; see Notes. A run that was killed resumes from it,
        and an added model costs only its own attacks and predictions. None: no cache.
    error_score : "raise" or numpy.nan, default="raise"
        What happens when a model raises, returns no valid predictions, takes longer than ``timeout``, or
        kills its process. ``"raise"``: the error is raised. nan: the rates of that model are nan, with a
        warning and the reason in ``matrix.failures``; :meth:`score` is nan too.
    timeout : float, default=None
        Limit, in seconds, for attacking a model or asking it for predictions on one block of samples (256, or
        up to 1,024). A model that exceeds it has failed. None: no limit. An attack stops at its next query;
        a call of the model that never returns is left behind in a thread of its own.
    random_state : int, RandomState instance or None, default=None
        Seed of the noise control, and of the generator where its own ``random_state`` is None. Pass an int
        for the same output across calls.
    verbose : int, default=0
        Above 0, show progress bars; above 1, show also how often models were queried. The logger
        ``"skhalfway"`` gets the same as records of the levels INFO and DEBUG.

    Attributes
    ----------
    models_ : dict of str to object
        The fitted models by name, as given or as fitted.
    classes_ : ndarray of shape (n_classes,) or None
        Labels that all models share; None if all models are torch modules, whose labels are column numbers.
    n_features_in_ : int
        Number of features. Defined only where the data or a model tells it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names. Defined only where :meth:`fit` got a DataFrame, or models that were fitted on one.

    See Also
    --------
    skhalfway.AdversarialGenerator : Makes the samples.
    skhalfway.TransferMatrix : The result.

    Notes
    -----
    Samples may be arrays, DataFrames of pandas or polars, tensors, or a ``Dataset`` or ``DataLoader`` of
    torch. Where the latter give pairs (sample, label) and ``y`` is None, their labels are used. Samples need
    not fit into memory. A ``numpy.memmap`` of floats is used as it is. Arrays that are read by slices (h5py,
    zarr, dask.array), datasets, and iterators of blocks of shape (n, n_features), or of pairs (samples,
    labels), are read once and written as floats into a temporary file; the environment variable
    ``JOBLIB_TEMP_FOLDER`` may name its folder. Memory then holds a block for each worker, a few numbers per
    sample, and up to 2,000 samples that attacks may use. Attacks of other packages get all samples at once.

    For scikit-learn this object is no classifier, so ``GridSearchCV`` and ``cross_val_score`` do not stratify
    by default. Where samples are sorted by class, pass ``cv=StratifiedKFold()``.

    With scikit-learn's ``enable_metadata_routing``, :meth:`fit` passes metadata such as ``sample_weight`` to
    the ``estimators`` that request them. Rates are not weighted.

    ``memory`` keeps, for each block of samples, the adversarial samples made on a source and the predictions
    of each model. An entry is identified by the content of the models, samples, labels, attack and seed, and
    by the versions of this package and its dependencies. The content of a model is its fitted state and, if
    its class is in no installed package, its code; an object with a text attribute ``__skhalfway_key__`` is
    identified by that text. Processes may share a folder. A checksum detects damaged entries; they are
    measured again, with a warning. Nothing is ever unpickled. ``skhalfway cache info FOLDER`` tells the size
    of a cache, and ``skhalfway cache clear FOLDER`` deletes it.

    References
    ----------
    .. [1] Papernot, McDaniel & Goodfellow, "Transferability in machine learning: from phenomena to black-box
       attacks using adversarial samples", arXiv 1605.07277, 2016.

    Examples
    --------
    Fitted models:

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import AdversarialGenerator, TransferScorer
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    >>> scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0).fit(models)
    >>> scorer.transfer(X, y)
    TransferMatrix: 2 models, 150 samples, mean transfer rate .42 [.34 .49]
    auto, Linf eps 0.5: rate [95 % interval] at which samples made on a source (row) fool a target (column)
    source         lr              svm
    lr       (.46 [.38 .54])  .38 [.30 .46]
    svm       .46 [.38 .54]  (.38 [.31 .46])
    accuracy       .97             .97

    Estimators that are fitted on the data, and a search over their parameters:

    >>> from sklearn.model_selection import GridSearchCV, StratifiedKFold
    >>> estimators = [("lr", LogisticRegression(max_iter=1000)), ("svm", SVC())]
    >>> scorer = TransferScorer(estimators=estimators)
    >>> grid = {"generator": [AdversarialGenerator()], "generator__eps": [0.3, 0.6], "svm__C": [1, 10]}
    >>> search = GridSearchCV(scorer, grid, cv=StratifiedKFold(3)).fit(X, y)
    >>> search.best_params_["generator__eps"]
    0.6
    """

    # reference is for models that are fitted already, so it is never routed through another object
    __metadata_request__fit: ClassVar[dict[str, str]] = {"reference": UNUSED}

    def __init__(
        self,
        generator: AdversarialGenerator | None = None,
        *,
        estimators: list[tuple[str, Any]] | None = None,
        sources: Sequence[str] | str | None = None,
        targets: Sequence[str] | None = None,
        condition: str = "both_correct",
        combine: str = "probabilities",
        n_jobs: int | None = None,
        memory: Any = None,
        error_score: Any = "raise",
        timeout: float | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.generator = generator
        self.estimators = estimators
        self.sources = sources
        self.targets = targets
        self.condition = condition
        self.combine = combine
        self.n_jobs = n_jobs
        self.memory = memory
        self.error_score = error_score
        self.timeout = timeout
        self.random_state = random_state
        self.verbose = verbose

    @with_callbacks
    @takes_datasets
    def fit(self, X: Any, y: Any = None, *, reference: Any = None, **fit_params: Any) -> TransferScorer:
        """Take fitted models, or fit clones of ``estimators`` on data.

        Parameters
        ----------
        X : models, or array-like of shape (n_samples, n_features)
            With ``estimators=None``, the fitted models: a mapping of names to models, a sequence of (name,
            model), or a sequence of models, which are named after their types. They are stored unchanged.
            Otherwise, the training samples.
        y : array-like of shape (n_samples,), default=None
            Training labels. None with ``estimators=None``.
        reference : array-like of shape (n_reference, n_features), default=None
            With ``estimators=None``, data like the training data of the models. The spread for the
            generator's ``eps_unit`` and the range for its ``clip_values="range"`` are measured on it. The
            attacks ``"hopskipjump"``, ``"halfway"``, and ``"auto"`` where it queries for predictions, start
            from up to 2,000 of its samples. None: the attacked samples serve for this, so results depend on
            which samples these are. With ``estimators``, the training samples are the reference. Where rates
            depend on it, ``provenance.settings["reference"]`` identifies it.
        **fit_params : dict
            Metadata such as ``sample_weight``, only with ``enable_metadata_routing`` and ``estimators``. Each
            estimator gets what it requests.

        Returns
        -------
        self : TransferScorer
            The fitted scorer.

        Raises
        ------
        ValueError
            If there are fewer than two models, or models that differ in classes or in the number of features;
            if a parameter or the data is invalid; if both ``reference`` and ``estimators`` are given; if
            metadata are neither requested nor refused, or not routed at all.
        TypeError
            If an object is not a classifier, or no estimator takes the metadata.
        NotFittedError
            If a model is not fitted.
        """
        self._check_params()
        if reference is not None and self.estimators is not None:
            raise ValueError(
                "reference was given with estimators, whose training samples X are the reference; leave "
                "reference out, or pass fitted models with estimators=None"
            )
        array = self._fit_models(X, y, fit_params)
        self._roles(self.models_)
        if reference is not None:
            array = self._read(reference, reset=not hasattr(self, "n_features_in_"), name="reference")
        self._keep_reference(array)
        return self

    @takes_blocks
    def score(self, X: Any, y: Any = None) -> float:
        """Mean transfer rate over ordered pairs of two models.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples to attack.
        y : array-like of shape (n_samples,), default=None
            True labels; see :meth:`transfer`.

        Returns
        -------
        rate : float
            Between 0 and 1. It is nan, with a warning, if no pair has a sample that counts, or if a model
            failed under ``error_score=numpy.nan``.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression, RidgeClassifier
        >>> from skhalfway import AdversarialGenerator, TransferScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> models = [LogisticRegression(max_iter=1000).fit(X, y), RidgeClassifier().fit(X, y)]
        >>> scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0).fit(models)
        >>> round(scorer.score(X[::10], y[::10]), 2)
        0.08
        """
        from skhalfway.transfer._experiments import measure_matrix

        matrix = measure_matrix(self, X, y, None, False)
        if np.isnan(matrix.mean_rate) and not matrix.failures:
            warn(
                "no pair of models has a sample that counts, so the mean transfer rate is nan",
                UndefinedMetricWarning,
            )
        else:
            matrix._warn_unknown()
        return np.nan if matrix.failures else matrix.mean_rate

    @takes_blocks
    def transfer(
        self, X: Any, y: Any = None, *, target: Any = None, keep_samples: bool | str | Path = False
    ) -> TransferMatrix:
        """Attack every source and try the samples on every target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples to attack.
        y : array-like of shape (n_samples,), default=None
            True labels. None: the source's prediction for the clean sample takes the place of the label, so a
            target is right where it agrees with the source.
        target : label, array-like of shape (n_samples,), or str, default=None
            Label that targeted attacks aim at: one for all samples, one for each, the ``"least_likely"``
            other one by the source's scores, or a ``"random"`` other one. A sample then fools a model if the
            model predicts this label; samples whose own label it is do not count.
            ``matrix.counted_as("other")`` counts any wrong label. None: untargeted attacks, for which any
            wrong label counts.
        keep_samples : bool, str or Path, default=False
            Whether to keep the adversarial samples for ``matrix.samples(source)``. True: in memory, which
            takes as much as X for each source. A folder: on disk, as one memory-mapped file in numpy's format
            for each source, and ``samples.json``, which describes them; a saved result remembers the folder
            (:func:`~skhalfway.load_result`), and a folder with samples of another result is refused.

        Returns
        -------
        matrix : TransferMatrix
            The predictions of every model, with counts, rates, intervals and the noise control.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data is invalid, or outside the generator's ``clip_values``; if no model knows a target
            label; if the folder cannot be written to, or holds the samples of another result.
        RuntimeError
            If a model raises while it predicts or is attacked; the message has its name. With
            ``error_score=numpy.nan`` its rates are nan instead.
        TimeoutError
            If a model takes longer than ``timeout``.
        KeyboardInterrupt
            If the user interrupts. Its attribute ``partial`` is the result so far; None if there is none.

        Warns
        -----
        ModelWarning
            If the check of a model before the attacks (:func:`~skhalfway.models.check_model`) finds that its
            rates may mislead; if a source's gradients are of little use; if other attacks fool a source more
            often than its own attack, as the notes of :class:`~skhalfway.TransferMatrix` explain.
        UserWarning
            If the budget is too small to change a whole number by one or a category to another.
        UndefinedMetricWarning
            If no sample counts for a pair; its rates are nan.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression, RidgeClassifier
        >>> from skhalfway import AdversarialGenerator, TransferScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "ridge": RidgeClassifier().fit(X, y)}
        >>> scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0).fit(models)
        >>> scorer.transfer(X[::10], y[::10]).fooled.tolist()
        [[3, 2], [0, 9]]
        """
        from skhalfway.transfer._experiments import measure_matrix

        matrix = measure_matrix(self, X, y, target, keep_samples)
        matrix._warn_unknown()
        return matrix

    @takes_blocks
    def transfer_curve(
        self, X: Any, y: Any = None, *, eps: Sequence[float], target: Any = None
    ) -> TransferCurve:
        """Measure transfer at increasing budgets; work that they share is done once.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples to attack.
        y : array-like of shape (n_samples,), default=None
            True labels; see :meth:`transfer`.
        eps : sequence of float
            Increasing budgets > 0, which replace the generator's ``eps`` and are in its ``eps_unit``. Where
            the generator's ``eps`` has a number for each feature or sample, they are multiples of it. With
            ``norm=0`` they are whole numbers of features.
        target : label, array-like of shape (n_samples,), or str, default=None
            Label that targeted attacks aim at; see :meth:`transfer`.

        Returns
        -------
        curve : TransferCurve
            The result of :meth:`transfer` at each budget, and at 0.

        Raises
        ------
        ValueError
            If ``eps`` is no such sequence; otherwise as in :meth:`transfer`.

        Warns
        -----
        ModelWarning, UserWarning
            As in :meth:`transfer`, for the largest budget.
        UndefinedMetricWarning
            If no sample counts for a pair at the largest budget; its rates are nan.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.svm import SVC
        >>> from skhalfway import TransferScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> models = [LogisticRegression(max_iter=1000).fit(X, y), SVC().fit(X, y)]
        >>> curve = TransferScorer().fit(models).transfer_curve(X, y, eps=[0.25, 0.5, 1.0])
        >>> curve.mean_rates.round(2)
        array([0.  , 0.16, 0.42, 0.96])
        """
        from skhalfway.transfer._experiments import measure_curve

        curve = measure_curve(self, X, y, eps, target)
        curve.matrices[-1]._warn_unknown()
        return curve
