"""TransferScorer: which models fall to adversarial samples made on others."""

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

    Each model in turn is the source that the generator attacks; each model is
    a target of every source's samples. All counts are in the
    :class:`~skhalfway.TransferMatrix` that :meth:`transfer` returns;
    :meth:`score` is its mean rate over ordered pairs of two models.

    The parameter ``estimators`` decides what :meth:`fit` takes.

    Parameters
    ----------
    generator : AdversarialGenerator, default=None
        The attack; its ``estimator`` must be None, since every model is
        attacked. None is ``AdversarialGenerator()``.
    estimators : list of (str, estimator), default=None
        None: :meth:`fit` takes fitted models. A list: :meth:`fit` takes data and fits clones of these, which
        are searchable as ``name__parameter``; a ``FrozenEstimator`` stays as it is.
    sources : list of str or "leave_one_out", default=None
        Names of the models to attack. None is all. ``"leave_one_out"``: each target has one source,
        ``"all but ..."``, an :class:`~skhalfway.Ensemble` of all other models with a gradient.
    targets : list of str, default=None
        Names of the models to try the samples on. None is all but ensembles. One deployed model against
        one surrogate needs one attack: ``sources=["surrogate"], targets=["deployed"]``.
    condition : {"both_correct", "source_fooled", "all"}, default="both_correct"
        Samples that count for a pair: those that source and target both classify correctly; of these, those
        that fool the source; or all samples, as Papernot et al. count [1]_.
    combine : {"probabilities", "logits", "losses", "serial", "adaptive"}, default="probabilities"
        What attacks follow of these ensembles of all but one; see :class:`~skhalfway.Ensemble`.
    n_jobs : int, default=None
        Number of threads, over models to fit, and over blocks of some hundred samples of each source to
        attack; 1 by default, unless in a ``joblib.parallel_config``. Results do not depend on it. Where
        black boxes are to answer for more than a million samples, processes are used instead, as two
        threads of Python do not speed them up; ``parallel_config("threading")`` keeps to threads.
    memory : str, Path or joblib.Memory, default=None
        Folder in which every finished piece of work is kept, so that a run that was killed goes on where it
        was, and a model more costs its own attacks and answers alone; see Notes. None: nothing is kept.
    error_score : "raise" or numpy.nan, default="raise"
        What happens when a model raises, gives no predictions, takes too long, or ends the process that it
        runs in: its error is raised; or only its own rates are lost. These are nan then, with a warning and
        the reason in ``matrix.failures``; :meth:`score` is nan too.
    timeout : float, default=None
        Seconds that a model may take to be attacked, or to answer, on one block of samples, 256 or up to
        1,024; what is later fails. None: no limit. An attack stops when it next asks the model; a model that
        never answers is left waiting in a thread of its own.
    random_state : int, RandomState instance or None, default=None
        For the noise control, and for the generator where its own
        ``random_state`` is None. Pass an int for the same output across calls.
    verbose : int, default=0
        Above 0, show progress bars; above 1, also how often models were asked. The logger
        ``"skhalfway"`` has the same as records, of levels INFO and DEBUG.

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
        Column names, where :meth:`fit` got a DataFrame or models that were fitted with one.

    See Also
    --------
    skhalfway.AdversarialGenerator : Makes the samples.
    skhalfway.TransferMatrix : The result.

    Notes
    -----
    Samples may be arrays, DataFrames of pandas or polars, tensors, and a ``Dataset`` or ``DataLoader`` of
    torch; where it gives pairs (sample, label) and ``y`` is None, its labels are ``y``. They need not fit
    into memory: a ``numpy.memmap`` of floats is used as it is; arrays that are read by slices (h5py, zarr,
    dask.array), datasets, and iterators of blocks of shape (n, n_features), or of pairs (samples, labels) of
    such, are gone through once, and laid as floats into a temporary file, in the folder that the environment
    variable ``JOBLIB_TEMP_FOLDER`` names or where temporary files are. In memory are a block of each
    worker's, some numbers of each sample, and up to 2,000 samples that attacks may know; attacks of other
    packages get all samples at once.

    To scikit-learn this is no classifier, so ``GridSearchCV`` and
    ``cross_val_score`` do not stratify by default: where classes come in
    order, pass ``cv=StratifiedKFold()``.

    Metadata such as ``sample_weight`` go from :meth:`fit` to those of ``estimators`` that request them
    (scikit-learn's ``enable_metadata_routing``); rates have no weights.

    With ``memory``, what was made on a source, and what each model says of it, is kept for each block of
    samples, known by the content of the models, samples, labels, attack and seed, and by the versions of this
    package and of those it rests on. Models are known by their fitted content and, where they are no part of
    an installed package, by their code; an object with a text ``__skhalfway_key__`` by that. Processes may
    share a folder. What was damaged is noticed by a checksum and measured again, with a warning; nothing is
    ever unpickled. ``skhalfway cache info FOLDER`` says how much is kept, ``clear`` deletes it.

    Where the generator's ``eps_unit`` is not ``"input"``, spread is that of the
    training data or of the reference; of the samples that are attacked, where
    fitted models were handed in without one.

    References
    ----------
    .. [1] Papernot, McDaniel & Goodfellow, "Transferability in machine
       learning: from phenomena to black-box attacks using adversarial
       samples", arXiv 1605.07277, 2016.

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

    Fitted with the data, and searched:

    >>> from sklearn.model_selection import GridSearchCV, StratifiedKFold
    >>> estimators = [("lr", LogisticRegression(max_iter=1000)), ("svm", SVC())]
    >>> scorer = TransferScorer(estimators=estimators)
    >>> grid = {"generator": [AdversarialGenerator()], "generator__eps": [0.3, 0.6], "svm__C": [1, 10]}
    >>> search = GridSearchCV(scorer, grid, cv=StratifiedKFold(3)).fit(X, y)
    >>> search.best_params_["generator__eps"]
    0.6
    """

    # no metadata: it is for models that are handed in, and never goes through another object
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
            With ``estimators=None``, the fitted models: a mapping of names to
            models, a sequence of (name, model), or a sequence of models, which
            are named after their types. They are stored unchanged. Else the
            training samples.
        y : array-like of shape (n_samples,), default=None
            Training labels. None with ``estimators=None``.
        reference : array-like of shape (n_reference, n_features), default=None
            With ``estimators=None``, data like that which the models were
            trained on: the spread for the generator's ``eps_unit`` and the
            range for its ``clip_values="range"`` are measured on it, and
            ``attack="hopskipjump"``, ``"halfway"``, and ``"auto"`` where it asks
            for predictions, begin at up to 2,000 of its samples. None: all come
            from the samples that are attacked, so that they change with these.
            Else the training samples are the reference. Where rates depend on
            it, ``provenance.settings["reference"]`` says which one it was.
        **fit_params : dict
            Metadata such as ``sample_weight``. Only with ``enable_metadata_routing``,
            and ``estimators``: each gets what it requests.

        Returns
        -------
        self : TransferScorer
            The fitted scorer.

        Raises
        ------
        ValueError
            If there are fewer than two models, or models that differ in
            classes or in width; if a parameter or the data is invalid; if
            there is a reference beside ``estimators``; if metadata are
            neither requested nor refused, or not routed at all.
        TypeError
            If an object is not a classifier, or metadata are routed to none.
        NotFittedError
            If a model is not fitted.
        """
        self._check_params()
        if reference is not None and self.estimators is not None:
            raise ValueError(
                "estimators are fitted on X, which is the reference; leave reference out, or hand in fitted "
                "models with estimators=None"
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
            Between 0 and 1; nan, with a warning, where no pair has a sample
            that counts, or a model failed under ``error_score=numpy.nan``.
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
            True labels. None: the label of a sample is the source's own
            prediction, so a model is right where it agrees with the source on
            the clean sample.
        target : label, array-like of shape (n_samples,), or str, default=None
            Label that the attacks aim at: one for all samples, one for each,
            the ``"least_likely"`` other one in the source's scores, or a
            ``"random"`` other one. A sample then fools a model that gives this
            label, and samples that are of it do not count;
            ``matrix.counted_as("other")`` counts any wrong label. None: any
            wrong label will do.
        keep_samples : bool, str or Path, default=False
            Whether to keep the adversarial samples, for
            ``matrix.samples(source)``: in memory, which takes as much as X for
            each source, or in a folder, as one file
            in numpy's format for each source, from which they are mapped, and
            ``samples.json``, which says what they are. A result that is saved
            remembers the folder, see :func:`~skhalfway.load_result`. A folder
            that holds the samples of another result is refused: delete it, or
            give another one.

        Returns
        -------
        matrix : TransferMatrix
            What every model said, counts, rates, intervals and the noise control.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data is invalid, or outside the generator's ``clip_values``;
            if no model knows a target label; if the folder cannot be written to,
            or holds the samples of another result.
        RuntimeError
            If a model raises while it predicts or is attacked; its name is in
            the message. With ``error_score=numpy.nan`` its rates are nan instead.
        TimeoutError
            If a model takes longer than ``timeout``.
        KeyboardInterrupt
            If the user interrupts; its attribute ``partial`` is the result of
            what was measured by then, None where no sample was attacked yet.

        Warns
        -----
        ModelWarning
            If the check-up of a model (:func:`~skhalfway.models.check_model`),
            which comes before the attacks, finds that its rates may mislead; if
            a source's gradients are of little use, or other attacks fool it more
            often than its own: see the notes of
            :class:`~skhalfway.TransferMatrix`, of its ``masked``.
        UserWarning
            If the budget is too small for a step of a whole number or a change of category.
        UndefinedMetricWarning
            If no sample counts for a pair; its rates are nan.
        """
        from skhalfway.transfer._experiments import measure_matrix

        matrix = measure_matrix(self, X, y, target, keep_samples)
        matrix._warn_unknown()
        return matrix

    @takes_blocks
    def transfer_curve(
        self, X: Any, y: Any = None, *, eps: Sequence[float], target: Any = None
    ) -> TransferCurve:
        """Transfer at growing budgets, with all that they share done once.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples to attack.
        y : array-like of shape (n_samples,), default=None
            True labels; see :meth:`transfer`.
        eps : sequence of float
            Increasing budgets > 0, instead of the generator's and in its
            ``eps_unit``; multiples of its ``eps`` where that has a number for
            each feature or sample; whole numbers of features with ``norm=0``.
        target : label, array-like of shape (n_samples,), or str, default=None
            Label that the attacks aim at; see :meth:`transfer`.

        Returns
        -------
        curve : TransferCurve
            At each budget what :meth:`transfer` gives there, and at 0.

        Raises
        ------
        ValueError
            If ``eps`` is not such a sequence; else as :meth:`transfer`.

        Warns
        -----
        ModelWarning, UserWarning
            As :meth:`transfer`, for the largest budget.
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
