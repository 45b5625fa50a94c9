"""AdversarialSampler: adversarial training as a sampler of imbalanced-learn, at fit time only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import OneToOneFeatureMixin, clone
from sklearn.pipeline import _name_estimators
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import _BaseComposition

from skhalfway._checks import check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_samples
from skhalfway._randomness import draw_seed
from skhalfway._text import shown
from skhalfway.attacks import AdversarialGenerator
from skhalfway.attacks._parameters import check_unattached
from skhalfway.attacks._per_sample import params_of_rows
from skhalfway.attacks._run import fit_source, source_of
from skhalfway.models._collection import is_pair
from skhalfway.models._faults import named
from skhalfway.models._routing import FitRouter
from skhalfway.perturbation._protocol import check_source, read_labels
from skhalfway.perturbation._resampled import dense, joined, labels_in_one, labels_of
from skhalfway.perturbation._sampling import Group, check_amount, draw, groups_of
from skhalfway.perturbation._tags import SamplerTags, sampler_tags


class AdversarialSampler(FitRouter, OneToOneFeatureMixin, _BaseComposition):
    """Add adversarial samples, with their true labels, to training data.

    This is adversarial training as a sampler: a step of imbalanced-learn's
    ``Pipeline`` that acts when the pipeline is fitted, and never when it predicts.
    Adversarial samples are made on sources, which do not change while the next step
    is trained. There may be one source or several. Several sources give ensemble
    adversarial training, which adds samples transferred from other models, so that
    they do not depend on the model in training [1]_.

    Parameters
    ----------
    generator : AdversarialGenerator, default=None
        The attack; its ``estimator`` must be None, since ``sources`` are
        attacked. None is ``AdversarialGenerator()``.
    sources : object, list or mapping, default=None
        Classifiers to attack: a single one, a list of classifiers or of
        (name, classifier), or a mapping of names to classifiers. With several
        sources, each sample is attacked on one drawn at random. None is the
        generator's own default, named ``"default"``.

        Each source is cloned and fitted on the training data, unless it counts as
        fitted, as in :class:`~skhalfway.AdversarialGenerator`: a ``FrozenEstimator``
        of a fitted classifier, a ``torch.nn.Module``, or an object without ``fit``.
        Wrap an ART classifier in :func:`~skhalfway.models.as_model`, so that it can
        be cloned.
    ratio : float, default=1.0
        Number of adversarial samples per clean sample, > 0. Used where
        ``sampling_strategy`` is None. Below 1, rows are drawn at random without
        replacement. Above 1, rows repeat, each time on another source as long as
        there is one.
    sampling_strategy : str, float, dict or callable, default=None
        With None, ``ratio`` defines how many samples are added, and classes keep
        their shares. Otherwise, adversarial samples are added until each class has
        the number of samples, clean ones included, that imbalanced-learn's
        over-samplers would give it:

        - ``"auto"``, ``"not majority"`` or ``"all"``: each class gets as many samples
          as the largest class has.
        - ``"minority"``: only the smallest class gets as many.
        - ``"not minority"``: all classes but the smallest get as many.
        - float, for two classes: the smaller class gets this share of the larger.
        - dict: the number of samples of a class, by its label.
        - callable: a function of y that returns such a dict.

        Rows of a class are drawn as described for ``ratio``. A class that has enough
        samples gets none, so there may be none at all. This needs imbalanced-learn
        (``skhalfway[imbalanced]``), and ``keep_clean=True``.
    keep_clean : bool, default=True
        Whether the output starts with the clean samples, or leaves them out.
    random_state : int, RandomState instance or None, default=None
        Source of the rows and sources drawn, and of the generator's seed where its
        own ``random_state`` is None. Pass an int for the same output across calls.

    Attributes
    ----------
    sources_ : dict of str to object
        The fitted sources by name. Sources without a name are named after their
        types.
    n_features_in_ : int
        Number of features seen during :meth:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :meth:`fit`, where they are strings.
    sample_indices_ : ndarray of shape (`n_adversarial_`,)
        Row of X from which each adversarial sample was made, in the order of the
        output: by source, then by row.
    sample_sources_ : ndarray of shape (`n_adversarial_`,)
        Name of the source on which each adversarial sample was made.
    n_adversarial_ : int
        Number of adversarial samples.
    sampling_strategy_ : dict of label to int
        Number of adversarial samples in each class.

    See Also
    --------
    skhalfway.AdversarialGenerator : The attack that makes the samples.
    skhalfway.TransferScorer : Measures the effect of training on them.

    Notes
    -----
    Adversarial samples keep their true labels, whether or not the source predicts
    them. Samples that do not fool the source are in the output too.

    Sources are static. The model in training is not attacked itself, unlike in
    training against its own worst case [2]_. Where it is one of the sources, a clone
    of it, fitted on clean data, is attacked.

    Labels may be one-hot (a column for each class with a single 1 in each row), as
    imbalanced-learn takes them; sources then learn the column numbers. A pandas
    DataFrame with sparse columns is made dense for the sources, and has sparse
    columns again in the output.

    References
    ----------
    .. [1] Tramer et al., "Ensemble adversarial training: attacks and
       defenses", ICLR 2018.
    .. [2] Madry et al., "Towards deep learning models resistant to adversarial
       attacks", ICLR 2018.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import AdversarialGenerator
    >>> from skhalfway.perturbation import AdversarialSampler
    >>> X, y = load_iris(return_X_y=True)
    >>> sampler = AdversarialSampler(
    ...     AdversarialGenerator(eps=0.5),
    ...     sources=[("lr", LogisticRegression(max_iter=1000)), ("svm", SVC())],
    ...     ratio=0.5,
    ...     random_state=0,
    ... )
    >>> X_res, y_res = sampler.fit_resample(X, y)
    >>> X_res.shape, sampler.n_adversarial_, list(sampler.sources_)
    ((225, 4), 75, ['lr', 'svm'])
    >>> bool(abs(X_res[150:] - X[sampler.sample_indices_]).max() <= 0.5)
    True

    In a pipeline, until a class of 20 samples has as many as the others:

    >>> from imblearn.pipeline import make_pipeline
    >>> sampler = AdversarialSampler(sampling_strategy="auto", random_state=0)
    >>> chain = make_pipeline(sampler, SVC()).fit(X[:120], y[:120])
    >>> chain[0].sampling_strategy_
    {0: 0, 1: 0, 2: 30}
    """

    def __init__(
        self,
        generator: AdversarialGenerator | None = None,
        *,
        sources: Any = None,
        ratio: float = 1.0,
        sampling_strategy: Any = None,
        keep_clean: bool = True,
        random_state: Any = None,
    ) -> None:
        self.generator = generator
        self.sources = sources
        self.ratio = ratio
        self.sampling_strategy = sampling_strategy
        self.keep_clean = keep_clean
        self.random_state = random_state

    @takes_datasets
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> AdversarialSampler:
        """Fit the sources without making samples; :meth:`fit_resample` does both.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Training samples; images may have more axes.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels, or one column for each class; see Notes.
        **fit_params : dict
            Metadata such as ``sample_weight``, allowed with
            ``enable_metadata_routing``. Each source gets what it requests.

        Returns
        -------
        self : AdversarialSampler
            The sampler, with ``sources_``.

        Raises
        ------
        ValueError, TypeError
            As in :meth:`fit_resample`.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.svm import SVC
        >>> from skhalfway.perturbation import AdversarialSampler
        >>> list(AdversarialSampler(sources=SVC()).fit(*load_iris(return_X_y=True)).sources_)
        ['svc']
        """
        self._fit(dense(X), y, "fit", fit_params, check_random_state(self.random_state))
        return self

    @takes_datasets
    def fit_resample(self, X: Any, y: Any, **fit_params: Any) -> tuple[Any, Any]:
        """Fit the sources and add adversarial samples.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Training samples; images may have more axes.
        y : array-like of shape (n_samples,) or (n_samples, n_classes)
            Labels, or one column for each class; see Notes.
        **fit_params : dict
            Metadata such as ``sample_weight``, allowed with
            ``enable_metadata_routing``. Each source gets what it requests.

        Returns
        -------
        X_res : same type and float type as X, of shape (n_samples_new, n_features)
            Clean samples, if they are kept, followed by adversarial ones. Integers
            become float64. A DataFrame gets a new index.
        y_res : same type as y, of shape (n_samples_new,) or (n_samples_new, n_classes)
            Their labels.

        Raises
        ------
        ValueError
            - If a parameter or the data is invalid.
            - If y holds fewer than two classes, or one that a fitted source does
              not know.
            - If ``ratio`` leaves no sample to make, or ``sampling_strategy`` asks
              for fewer samples than there are.
            - If metadata are neither requested nor refused, or not routed at all.
        TypeError
            If a source is not a classifier, X is sparse, or no source takes the
            metadata.
        ImportError
            If ``sampling_strategy`` is given and imbalanced-learn is not installed.
        NotFittedError
            If a frozen source is not fitted.
        RuntimeError
            If a source raises while it is fitted or attacked; its name is in
            the message.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skhalfway.perturbation import AdversarialSampler
        >>> X, y = load_iris(return_X_y=True)
        >>> X_res, y_res = AdversarialSampler(ratio=0.1, random_state=0).fit_resample(X, y)
        >>> X_res.shape, y_res.shape
        ((165, 4), (165,))
        """
        rng = check_random_state(self.random_state)
        given = dense(X)
        array, labels, generators, groups = self._fit(given, y, "fit_resample", fit_params, rng)
        rows, source = draw(groups, len(generators), rng)
        samples = given if hasattr(given, "columns") else array
        parts = [samples] if self.keep_clean else []
        for i, (name, generator) in enumerate(generators.items()):
            chosen = rows[source == i]
            if len(chosen):
                clean = _safe_indexing(samples, chosen)
                generator.set_params(**params_of_rows(generator, chosen, array.shape))
                parts.append(named(name, generator.generate, clean, labels[chosen]))
        self.sample_indices_ = rows
        self.sample_sources_ = np.array(list(generators))[source]
        self.n_adversarial_ = len(rows)
        classes, found = np.unique(labels, return_inverse=True)
        numbers = np.bincount(found[rows], minlength=len(classes))
        self.sampling_strategy_ = dict(zip(classes.tolist(), numbers.tolist(), strict=True))
        kept = np.concatenate([np.arange(len(array)), rows]) if self.keep_clean else rows
        return joined(parts, X), labels_of(y, kept)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get parameters, including those of a list of named ``sources``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of sources and generator.

        Returns
        -------
        params : dict
            Values by name.

        Examples
        --------
        >>> from sklearn.svm import SVC
        >>> from skhalfway.perturbation import AdversarialSampler
        >>> AdversarialSampler(sources=[("svm", SVC())]).get_params()["svm__C"]
        1.0
        """
        if _has_names(self.sources):
            return self._get_params("sources", deep=deep)
        return super().get_params(deep=deep)

    def set_params(self, **params: Any) -> AdversarialSampler:
        """Set parameters, including those of a list of named ``sources``.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        self : AdversarialSampler
            This object.

        Examples
        --------
        >>> from sklearn.svm import SVC
        >>> from skhalfway.perturbation import AdversarialSampler
        >>> AdversarialSampler(sources=[("svm", SVC())]).set_params(svm__C=9).sources[0][1].C
        9
        """
        if _has_names(params.get("sources", self.sources)):
            self._set_params("sources", **params)
        else:
            super().set_params(**params)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "sources_")

    def __sklearn_tags__(self) -> SamplerTags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return sampler_tags(tags)

    def _fitted_by_name(self) -> dict[str, Any]:
        return {name: source_of(source) for name, source in self._named_sources().items()}

    def _fit(
        self, X: Any, y: Any, method: str, metadata: Mapping[str, Any], rng: np.random.RandomState
    ) -> tuple[NDArray[Any], NDArray[Any], dict[str, AdversarialGenerator], list[Group]]:
        """Checked samples and labels, a fitted generator for each source, and numbers of rows to draw."""
        self._check_params()
        sources = self._named_sources()
        params = self._routed(method, metadata)
        array = read_samples(self, X, reset=True)
        if y is None:
            raise ValueError(
                "This AdversarialSampler estimator requires y to be passed, but the target y is None"
            )
        classes, truth = read_labels(labels_in_one(y), array)
        labels, groups = classes[truth], groups_of(self.sampling_strategy, self.ratio, classes, truth)
        if self.generator is not None:
            params_of_rows(self.generator, slice(None), array.shape)
        for name, source in sources.items():
            if source is not None:
                named(name, check_source, source, X, array, labels)
        generators = {}
        for name, source in sources.items():
            generator = AdversarialGenerator() if self.generator is None else clone(self.generator)
            generator.estimator = source
            if generator.random_state is None:
                generator.random_state = draw_seed(rng)
            named(name, fit_source, generator, X, labels, params[name])
            generators[name] = generator
        self.sources_ = {name: generator.estimator_ for name, generator in generators.items()}
        return array, labels, generators, groups

    def _check_params(self) -> None:
        check_amount(self.sampling_strategy, self.ratio, self.keep_clean)
        check_unattached(self.generator, "pass the classifiers to be attacked as sources")

    def _named_sources(self) -> dict[str, Any]:
        """Sources by name, from any form of the parameter; None stands for the generator's default."""
        sources = self.sources
        if sources is None:
            return {"default": None}
        if isinstance(sources, Mapping):
            pairs = list(sources.items())
        elif _has_names(sources):
            pairs = list(sources)
            self._validate_names([name for name, _ in pairs])
        else:
            pairs = _name_estimators(list(sources) if isinstance(sources, (list, tuple)) else [sources])
        if not pairs:
            raise ValueError("sources is empty; pass at least one classifier, or None for the default one")
        if not all(isinstance(name, str) for name, _ in pairs):
            raise TypeError(f"names of sources must be strings, got {shown([name for name, _ in pairs])}")
        return dict(pairs)


def _has_names(sources: Any) -> bool:
    return isinstance(sources, (list, tuple)) and len(sources) > 0 and all(map(is_pair, sources))
