"""AdversarialGenerator: adversarial inputs as a scikit-learn transformer."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.exceptions import NotFittedError

from skhalfway._checks import check_random_state
from skhalfway._entries import takes_datasets, takes_datasets_or
from skhalfway._inputs import Frame, check_labels, container_of, read_samples, read_targets
from skhalfway._randomness import own_rng, undisturbed
from skhalfway._text import shown
from skhalfway.attacks._automatic import run_automatic
from skhalfway.attacks._budget import spread_of, spread_seen
from skhalfway.attacks._constraints import Constraints, Header
from skhalfway.attacks._parameters import (
    advice,
    check_float_type,
    check_parameters,
    check_source,
    gradient_attack,
    make_attack,
)
from skhalfway.attacks._problem import Outcome, Problem, read_region
from skhalfway.models import Model, NotDifferentiableError, as_model
from skhalfway.models._as_model import check_kind, counts_as_fitted, fit_clone, takes_missing, unfrozen
from skhalfway.models._faults import answers, classes_of, named, type_name, type_named
from skhalfway.models._kinds import is_art_classifier
from skhalfway.models._reader import reader_of
from skhalfway.models._soft_agreement import soft_agreement
from skhalfway.models._torch_model import TorchModel
from skhalfway.models._warnings import warn

if TYPE_CHECKING:
    from skhalfway.attacks._region import Region

_SOURCES: WeakKeyDictionary[AdversarialGenerator, Model] = WeakKeyDictionary()
_NOT_FITTED = (
    "This AdversarialGenerator instance is not fitted yet. Call 'fit' with data, which fits its estimator; "
    "or, to attack a fitted one, wrap that: AdversarialGenerator(FrozenEstimator(model))"
)


class AdversarialGenerator(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Change inputs, within a budget, so that a source classifier errs.

    The transformer fits a source classifier and replaces samples by
    adversarial ones: points no further than ``eps`` from them, in the norm
    ``norm``, that the source classifies differently where the attack succeeds.

    Parameters
    ----------
    estimator : object, default=None
        The source. A classifier is cloned and fitted by :meth:`fit`. None is
        ``LogisticRegression(max_iter=1000)``. A ``FrozenEstimator`` of a fitted classifier,
        a ``torch.nn.Module``, an ART classifier and an object without a
        ``fit`` count as fitted and are used as they are, with no need to
        call :meth:`fit`.
    attack : str or ART attack, default="auto"
        - ``"auto"``: ``"pgd"`` for a source with a gradient, exact or smoothed,
          else ``"hopskipjump"`` (``"surrogate"`` in L1); that too, with a
          :class:`~skhalfway.models.ModelWarning`, for samples at which the
          gradient is exactly 0, where they are 5 % or more, and, with up to 100
          queries each, for those that a smoothed gradient does not fool.
        - By gradient: ``"fgsm"``, one step [1]_; ``"pgd"``, projected steps
          [2]_; ``"mifgsm"``, steps with momentum [3]_.
        - For the nearest sample that fools: ``"deepfool"`` [4]_ and ``"fmn"``
          [5]_ by gradient; ``"tree"`` for trees (exact), ensembles of trees, and
          pipelines of them whose steps keep each column by itself.
        - Without a gradient: ``"hopskipjump"`` asks for predictions [6]_, and so
          does ``"halfway"``, our own: it regresses the boundary on where the
          source's answer changes between samples (see Notes); ``"square"`` asks
          for scores [7]_; ``"surrogate"`` distils the source into a network and
          attacks that [8]_.
        - A class or an instance of an evasion attack of ART. A class gets
          this object's ``eps``, ``norm``, ``max_iter``, ``step_size`` and
          ``batch_size`` as far as it takes them. An instance keeps its own;
          its ``eps`` and ``norm`` must be the same as this object's. What an
          attack returns outside the budget (many of ART's look for the
          smallest change, whatever its size) is brought back into it by the
          shortest way.
    eps : float, array-like of shape (n_features,) or mapping, default=0.1
        Budget: largest norm of a change. One number; or one for each feature,
        as an array or by column name, 0 where nothing may change: the change
        is then divided by these and its norm is at most 1. ``np.inf`` is
        allowed for attacks that look for the nearest sample; a finite budget
        is at most 1e18, as many models compute in float32. Where it is so
        small that no other float is as near, samples stay as they are.
    eps_unit : {"input", "std", "range"}, default="input"
        What ``eps`` counts in: the units of the data, or each feature's
        standard deviation or range in the training data (needs :meth:`fit`); in
        a scorer of fitted models, in the samples that it is given.
    norm : {np.inf, 2, 1}, default=np.inf
        Norm in which the budget counts.
    constraints : Constraints, default=None
        What else a valid sample keeps to: immutable, integer, one-hot and
        monotone columns, a projection. See :class:`~skhalfway.Constraints`.
    max_iter : int, default=40
        Number of steps of attacks by gradient. ``"fgsm"`` takes one.
    max_queries : int, default=1000
        Most predictions that an attack without a gradient asks for one sample.
    step_size : float, default=None
        Length of a step, in the units of ``eps`` (a fraction of it, where it
        is per feature). None is ``2.5 * eps / max_iter`` for ``"pgd"`` and
        ``eps / max_iter`` for ``"mifgsm"``.
    n_restarts : int, default=1
        Number of attacks on each sample; the one with the largest margin is
        kept. All but the first start at random. For ``"fgsm"``, ``"pgd"``,
        ``"mifgsm"`` and ``"surrogate"``.
    random_start : bool, default=False
        Whether the first of these also starts at a random point of the ball
        rather than at the sample.
    clip_values : tuple of (min, max), default=None
        Range of valid data: two numbers, or two arrays of the shape of a
        sample. Data outside is an error. None: no clipping.
    attack_params : dict, default=None
        Further parameters of the attack, such as ``{"decay": 1.0}`` for
        ``"mifgsm"``; for an ART class any of its own, which go before this
        object's. None under ``"auto"``.
    batch_size : int, default=256
        Samples attacked at once by gradient. Results do not depend on it, but
        for rounding. Attacks without a gradient ask for all samples at once.
    device : str or torch.device, default=None
        Where gradients are computed. None is where the source's weights lie;
        elsewhere a copy of them is used.
    random_state : int, RandomState instance or None, default=None
        For whatever an attack draws. Pass an int for the same output across
        calls.

    Attributes
    ----------
    estimator_ : object
        The fitted source.
    classes_ : ndarray of shape (n_classes,)
        Its labels.
    n_features_in_ : int
        Number of features seen during :meth:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :meth:`fit`, where they are strings.
    soft_agreement_ : float or None
        Share of up to 500 training samples that the source's differentiable
        copy, which attacks by gradient follow, classifies as the source does;
        where it is low, they may miss much. None where they follow the source
        itself, and for other attacks.
    n_iter_ : int
        Number of steps that the attack is allowed.
    n_queries_ : ndarray of shape (n_samples,) or None
        Predictions that the last :meth:`generate` asked of the source for each
        sample; None after attacks by gradient. Under ``"auto"``, 0 for samples
        attacked by gradient where others were not.
    distances_ : ndarray of shape (n_samples,) or None
        Norm of the smallest change found by the last :meth:`generate` that
        fools the source, in the units of ``eps`` and however large: inf where
        none was found, 0 where none is needed. None after attacks that do not
        look for it.

    See Also
    --------
    skhalfway.TransferScorer : How many of these fool other models.
    skhalfway.Constraints : What a valid sample keeps to.

    Notes
    -----
    The gradient attacks raise cross-entropy. They follow the gradient of its
    margin, which has the same direction and does not vanish where a confident
    source saturates, and end at the last step, as in the papers. In L1 a step
    goes to the feature with the largest gradient and, where ``clip_values``
    leave that one no room, to the next.

    An attack by gradient sees nothing where a source's gradient is 0, and takes
    a source for robust that only hides it. So attacks warn, by a
    :class:`~skhalfway.models.ModelWarning`, where 5 % or more of the samples end,
    unfooled, at a gradient of exactly 0; such samples stay as they are. Gradients
    that are nan or infinite at some values of some samples are mended, with a
    warning: what is missing is taken from the gradient at a point close by, else
    nan becomes 0, and an infinite value is as large as the largest of its sample.
    Other samples are attacked as if they were alone. A source whose outputs torch
    cannot follow back to its inputs is a TypeError, or under ``"auto"`` a black box.

    :meth:`transform` leaves no trace in this object, as scikit-learn asks;
    :meth:`generate` reports what it took and found in ``n_queries_`` and
    ``distances_``.

    ``"hopskipjump"`` starts from other samples of X, and ``"surrogate"`` learns
    from all of them: what they give for one sample depends on the others.

    ``"halfway"`` is this package's own, and no published attack: crossing
    regression, of ``skhalfway.halfway``, made into one. From a sample, a
    boundary that is a plane of unit normal n at distance D is crossed in the
    unit direction u at a distance r with 1 / r = <n, u> / D, so that regression
    on u gives n / D; a prediction tells whether the crossing in its direction is
    nearer or further. Segments lead to samples that the source puts in other
    classes (in the target class), then to points around the nearest crossing so
    far; each next step goes along n. The samples at the other ends, the
    partners, are up to 2,000 training samples that :meth:`fit` keeps, asking
    the source once for their labels, which ``n_queries_`` does not count.
    Without a fit, and in :class:`~skhalfway.TransferScorer`, they are the other
    samples of X.

    Columns of a DataFrame that hold categories, and missing values, stay as
    they are; polars comes back as polars. Wherever samples are taken, a
    ``Dataset`` or ``DataLoader`` of torch may give them: it is gone through
    once, and where it gives pairs (sample, label) and ``y`` is None, its labels
    are ``y``.

    References
    ----------
    .. [1] Goodfellow, Shlens & Szegedy, "Explaining and harnessing adversarial
       examples", ICLR 2015, section 4.
    .. [2] Madry et al., "Towards deep learning models resistant to adversarial
       attacks", ICLR 2018, section 2.1.
    .. [3] Dong et al., "Boosting adversarial attacks with momentum", CVPR
       2018, Algorithm 1.
    .. [4] Moosavi-Dezfooli, Fawzi & Frossard, "DeepFool: a simple and accurate
       method to fool deep neural networks", CVPR 2016, Algorithm 2.
    .. [5] Pintor et al., "Fast minimum-norm adversarial attacks through
       adaptive norm constraints", NeurIPS 2021, Algorithm 1.
    .. [6] Chen, Jordan & Wainwright, "HopSkipJumpAttack: a query-efficient
       decision-based attack", IEEE S&P 2020, Algorithm 2.
    .. [7] Andriushchenko et al., "Square attack: a query-efficient black-box
       adversarial attack via random search", ECCV 2020, Algorithms 1 to 3.
    .. [8] Papernot et al., "Practical black-box attacks against machine
       learning", ASIACCS 2017, Algorithm 1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from skhalfway import AdversarialGenerator
    >>> X, y = load_iris(return_X_y=True)
    >>> generator = AdversarialGenerator(SVC(), eps=0.5).fit(X, y)
    >>> X_adv = generator.transform(X)
    >>> bool(abs(X_adv - X).max() <= 0.5)
    True
    >>> round(generator.estimator_.score(X, y), 2), round(generator.estimator_.score(X_adv, y), 2)
    (0.97, 0.63)
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        attack: Any = "auto",
        eps: Any = 0.1,
        eps_unit: str = "input",
        norm: float = np.inf,
        constraints: Constraints | None = None,
        max_iter: int = 40,
        max_queries: int = 1000,
        step_size: float | None = None,
        n_restarts: int = 1,
        random_start: bool = False,
        clip_values: tuple[ArrayLike, ArrayLike] | None = None,
        attack_params: dict[str, Any] | None = None,
        batch_size: int = 256,
        device: Any = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.attack = attack
        self.eps = eps
        self.eps_unit = eps_unit
        self.norm = norm
        self.constraints = constraints
        self.max_iter = max_iter
        self.max_queries = max_queries
        self.step_size = step_size
        self.n_restarts = n_restarts
        self.random_start = random_start
        self.clip_values = clip_values
        self.attack_params = attack_params
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state

    @takes_datasets
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> AdversarialGenerator:
        """Fit a clone of the source, unless it counts as fitted.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor, Dataset} of shape (n_samples, n_features)
            Training samples; images may have more axes.
        y : array-like of shape (n_samples,), default=None
            Labels. None only where the source counts as fitted.
        **fit_params : dict
            Passed to the source's ``fit``.

        Returns
        -------
        self : AdversarialGenerator
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid.
        TypeError
            If the source is not a classifier, or X is sparse.
        """
        check_parameters(self)
        array = read_samples(self, X, reset=True)
        spread = spread_of(array, self.eps_unit)
        region = self._region(array, self, Frame.of(X), spread)
        source = self.estimator
        if source is None:
            from sklearn.linear_model import LogisticRegression

            source = LogisticRegression(max_iter=1000)
        check_kind(source)
        if y is None and not counts_as_fitted(source):
            raise ValueError(
                "This AdversarialGenerator estimator requires y to be passed, but the target y is None"
            )
        if y is not None:
            read_targets(y, len(array))
        data, fit = X if hasattr(X, "columns") else array, partial(fit_clone, **fit_params)
        source = named(type_name(source), fit, source, data, y)
        model = as_model(source)
        self.classes_ = self._classes(model, array)
        check_source(self, model, region, len(self.classes_))
        self.estimator_ = source
        self.soft_agreement_ = None
        if gradient_attack(self.attack, model):
            with undisturbed():
                self.soft_agreement_ = type_named(model, soft_agreement, model.reading(Frame.of(X)), array)
        self._spread = self.eps_unit, spread
        self._partners = None
        if self.attack == "halfway":
            from skhalfway.attacks._partners import keep_partners

            rng = check_random_state(self.random_state)
            self._partners = keep_partners(model.reading(Frame.of(X)), array, y, rng)
        self.n_iter_ = 1 if self.attack == "fgsm" else self.max_iter
        return self

    fit_transform = takes_datasets(TransformerMixin.fit_transform)

    @takes_datasets
    def transform(self, X: Any) -> Any:
        """Attack the source's own predictions.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor, Dataset} of shape (n_samples, n_features)
            Samples to change.

        Returns
        -------
        X_adv : same type, shape and float type as X
            Adversarial samples; integers become float64. Of a Dataset, a tensor
            or array of all.

        Raises
        ------
        NotFittedError
            If the source needs :meth:`fit`.
        ValueError
            If the data is invalid or outside ``clip_values``.
        TypeError
            If the attack needs gradients and the source has none.

        Warns
        -----
        ModelWarning
            If the source's gradients are of little use; see the class's notes.
        """
        # scikit-learn puts a wrapper around this method
        return self._generate(X)[1]

    @takes_datasets_or("target")
    def generate(self, X: Any, y: Any = None, target: Any = None) -> Any:
        """Attack given labels, or move towards target labels.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor, Dataset} of shape (n_samples, n_features)
            Samples to change.
        y : array-like of shape (n_samples,), default=None
            Labels to leave, the true ones usually. None: the source's own
            predictions.
        target : label or array-like of shape (n_samples,), default=None
            Labels to reach, instead of ``y``.

        Returns
        -------
        X_adv : same type, shape and float type as X
            Adversarial samples; integers become float64. Of a Dataset, a tensor
            or array of all.

        Raises
        ------
        NotFittedError
            If the source needs :meth:`fit`.
        ValueError
            If the data is invalid, outside ``clip_values`` or breaks its own
            constraints, a label is unknown, or both ``y`` and ``target`` are
            given.
        TypeError
            If the attack needs gradients and the source has none.

        Warns
        -----
        ModelWarning
            If the source's gradients are of little use; see the class's notes.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skhalfway import AdversarialGenerator
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> generator = AdversarialGenerator(eps=2.0, norm=2).fit(X, y)
        >>> X_adv = generator.generate(X, target=0)
        >>> generator.estimator_.predict(X_adv)[::15]
        array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1])
        """
        outcome, X_adv = self._generate(X, y, target)
        self.n_queries_, self.distances_ = outcome.n_queries, outcome.distances
        return X_adv

    def _generate(self, X: Any, y: Any = None, target: Any = None) -> tuple[Outcome, Any]:
        if not self.__sklearn_is_fitted__():
            raise NotFittedError(_NOT_FITTED)
        check_parameters(self)
        rng = own_rng(self.random_state)
        with undisturbed():
            return self._generate_with(rng, X, y, target)

    def _generate_with(self, rng: np.random.RandomState, X: Any, y: Any, target: Any) -> tuple[Outcome, Any]:
        if y is not None and target is not None:
            raise ValueError("generate takes y (labels to leave) or target (labels to reach), not both")
        fitted = hasattr(self, "estimator_")
        frame = Frame.of(X)
        model = self._source(self.estimator_ if fitted else self.estimator).reading(frame)
        reader = self if fitted else reader_of(model)
        array = read_samples(reader, X, reset=not fitted and model.n_features_in_ is None)
        region = self._region(array, reader, frame, spread_seen(self, self.eps_unit))
        classes = self.classes_ if fitted else self._classes(model, array)
        check_source(self, model, region, len(classes), targeted=target is not None)
        if np.isnan(array).any():
            type_named(model, answers, model, array)  # whether they are an error is the source's to say
        if target is not None:
            wanted = np.full(len(array), target) if np.ndim(target) == 0 else target
            labels = check_labels(wanted, classes, len(array), name="target")
        elif y is not None:
            labels = check_labels(y, classes, len(array))
        else:
            labels = type_named(model, answers, model, array)
        attack = partial(self._attack, targeted=target is not None, rng=rng)
        outcome = type_named(model, attack, model, region, labels, len(classes))
        for remark in outcome.remarks:
            warn(str(remark))
        return outcome, container_of(X)(outcome.X_adv)

    def _source(self, estimator: Any) -> Model:
        """The source; a torch module is kept between calls, for its view follows what its owner does."""
        model = _SOURCES.get(self)
        if model is None or model.estimator is not unfrozen(estimator):
            model = as_model(estimator)
            if type(model) is TorchModel:
                _SOURCES[self] = model
        return model

    def set_params(self, **params: Any) -> AdversarialGenerator:
        """Set parameters, fields of ``constraints`` included.

        Parameters
        ----------
        **params : dict
            Values by name; ``constraints__immutable`` makes new constraints, with
            that field changed.

        Returns
        -------
        self : AdversarialGenerator
            This object.
        """
        prefix = "constraints__"
        fields = {name: value for name, value in params.items() if name.startswith(prefix)}
        super().set_params(**{name: value for name, value in params.items() if name not in fields})
        if fields:
            changes = {name.removeprefix(prefix): value for name, value in fields.items()}
            self.constraints = (self.constraints or Constraints()).replaced(**changes)
        return self

    def __sklearn_clone__(self) -> AdversarialGenerator:
        if not is_art_classifier(self.estimator):
            return super().__sklearn_clone__()
        # ART's classifiers have a get_params of their own, which clone takes for scikit-learn's
        bare = copy(self)
        bare.estimator = None
        twin = clone(bare)
        twin.estimator = self.estimator
        return twin

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_") or counts_as_fitted(self.estimator)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not counts_as_fitted(self.estimator)
        tags.input_tags.allow_nan = takes_missing(self.estimator)
        assert tags.transformer_tags is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _classes(self, model: Model, X: NDArray[Any]) -> NDArray[Any]:
        classes = classes_of(model, X)
        if len(classes) < 2:
            raise ValueError(
                f"the source knows one class, {shown(classes)}; there must be at least 2 to be fooled"
            )
        return classes

    def _region(
        self, X: NDArray[Any], header: Any, frame: Frame | None, spread: NDArray[np.float64] | None
    ) -> Region:
        """Where each sample may go."""
        names = getattr(header, "feature_names_in_", None)
        return read_region(
            X,
            eps=self.eps,
            norm=self.norm,
            clip_values=self.clip_values,
            constraints=self.constraints,
            spread=spread,
            header=Header(int(np.prod(X.shape[1:])), None if names is None else list(names)),
            categories=None if frame is None else frame.categories,
        )

    def _attack(
        self,
        model: Model,
        region: Region,
        labels: NDArray[np.intp],
        n_classes: int,
        *,
        targeted: bool = False,
        rng: np.random.RandomState | None = None,
    ) -> Outcome:
        """Adversarial samples for checked input, in X's shape and float type."""
        partners = getattr(self, "_partners", None)
        problem = Problem(model, region, labels, n_classes, targeted, partners)
        rng = own_rng(self.random_state) if rng is None else rng
        if not isinstance(self.attack, str):
            return self._run_art(problem, rng)
        check_float_type(model, region.eps, self.step_size)
        if self.attack == "auto":
            return run_automatic(self, problem, rng)
        try:
            outcome = make_attack(self, self.attack).run(problem, rng)
        except NotDifferentiableError as error:
            raise TypeError(
                f"attack={self.attack!r} needs gradients, but {error}; attack='auto' attacks black boxes "
                f"too, and {advice(self.norm)}"
            ) from None
        if outcome.faults is None:
            return outcome
        return replace(outcome, remarks=outcome.faults.remarks(advice(self.norm)))

    def _run_art(self, problem: Problem, rng: np.random.RandomState) -> Outcome:
        from skhalfway.attacks import _art

        eps = problem.region.eps
        settings = {
            "eps": eps,
            "norm": self.norm,
            "max_iter": self.max_iter,
            "eps_step": 2.5 * eps / self.max_iter if self.step_size is None else self.step_size,
            "batch_size": self.batch_size,
        }
        seed = rng.randint(np.iinfo(np.int32).max)
        return _art.run(
            self.attack, problem, settings=settings, attack_params=self.attack_params or {}, seed=seed
        )
