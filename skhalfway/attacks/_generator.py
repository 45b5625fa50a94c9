"""AdversarialGenerator: adversarial inputs as a scikit-learn transformer."""

from __future__ import annotations

from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skhalfway._inputs import check_labels, container_of, read_samples
from skhalfway.attacks._parameters import black_box_attack, check_parameters, gradient_attack
from skhalfway.attacks._problem import Bounds, Problem, read_bounds
from skhalfway.models import Model, as_model
from skhalfway.models._as_model import check_kind, counts_as_fitted, fit_clone
from skhalfway.models._kinds import is_art_classifier


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
    attack : {"auto", "fgsm", "pgd", "mifgsm"} or ART attack, default="auto"
        - ``"fgsm"``: one step along the gradient [1]_.
        - ``"pgd"``: projected gradient steps [2]_.
        - ``"mifgsm"``: gradient steps with momentum [3]_.
        - a class or an instance of an evasion attack of ART. A class gets
          this object's ``eps``, ``norm``, ``max_iter``, ``step_size`` and
          ``batch_size`` as far as it takes them. An instance keeps its own;
          its ``eps`` and ``norm`` must be the same as this object's. What an
          attack returns outside the budget (many of ART's look for the
          smallest change, whatever its size) is brought back into it by the
          shortest way.
        - ``"auto"``: ``"pgd"`` for a source with a gradient, else ART's
          HopSkipJump, which asks for predictions only.
    eps : float, default=0.1
        Budget: largest norm of a change, in input units.
    norm : {np.inf, 2, 1}, default=np.inf
        Norm in which the budget counts.
    max_iter : int, default=40
        Number of steps. ``"fgsm"`` takes one.
    step_size : float, default=None
        Length of a step, in input units. None is ``2.5 * eps / max_iter`` for
        ``"pgd"`` and ``eps / max_iter`` for ``"mifgsm"``.
    n_restarts : int, default=1
        Number of attacks on each sample; the one with the largest margin is
        kept. All but the first start at random. Gradient attacks only.
    random_start : bool, default=False
        Whether the first attack also starts at a random point of the ball
        rather than at the sample. Gradient attacks only.
    clip_values : tuple of (min, max), default=None
        Range of valid data: two numbers, or two arrays of the shape of a
        sample. Data outside is an error. None: no clipping.
    attack_params : dict, default=None
        Further parameters of the attack: ``{"decay": 1.0}`` for ``"mifgsm"``;
        for an ART class any of its own, which go before this object's.
        Under ``"auto"`` they are HopSkipJump's, for black boxes.
    batch_size : int, default=256
        Samples attacked at once. Results do not depend on it, but for
        rounding.
    device : str or torch.device, default=None
        Where gradients are computed. None is where the source's weights lie;
        elsewhere a copy of them is used.
    random_state : int, RandomState instance or None, default=None
        For random starts and ART's attacks. Pass an int for the same output
        across calls.

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

    n_iter_ : int
        Number of steps that the attack is allowed.

    See Also
    --------
    skhalfway.TransferScorer : How many of these fool other models.

    Notes
    -----
    The gradient attacks raise cross-entropy. They follow the gradient of its
    margin, which has the same direction and does not vanish where a confident
    source saturates, and end at the last step, as in the papers. In L1 a step
    goes to the feature with the largest gradient and, where ``clip_values``
    leave that one no room, to the next.

    References
    ----------
    .. [1] Goodfellow, Shlens & Szegedy, "Explaining and harnessing adversarial
       examples", ICLR 2015, section 4.
    .. [2] Madry et al., "Towards deep learning models resistant to adversarial
       attacks", ICLR 2018, section 2.1.
    .. [3] Dong et al., "Boosting adversarial attacks with momentum", CVPR
       2018, Algorithm 1.

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
        eps: float = 0.1,
        norm: float = np.inf,
        max_iter: int = 40,
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
        self.norm = norm
        self.max_iter = max_iter
        self.step_size = step_size
        self.n_restarts = n_restarts
        self.random_start = random_start
        self.clip_values = clip_values
        self.attack_params = attack_params
        self.batch_size = batch_size
        self.device = device
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> AdversarialGenerator:
        """Fit a clone of the source, unless it counts as fitted.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
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
        read_bounds(self.clip_values, array)
        source = self.estimator
        if source is None:
            from sklearn.linear_model import LogisticRegression

            source = LogisticRegression(max_iter=1000)
        check_kind(source)
        if y is None and not counts_as_fitted(source):
            raise ValueError(
                "This AdversarialGenerator estimator requires y to be passed, but the target y is None"
            )
        source = fit_clone(source, X if hasattr(X, "columns") else array, y, **fit_params)
        model = as_model(source)
        self.classes_ = self._classes(model, array)
        self.estimator_ = source
        self.n_iter_ = 1 if self.attack == "fgsm" else self.max_iter
        return self

    def transform(self, X: Any) -> Any:
        """Attack the source's own predictions.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Samples to change.

        Returns
        -------
        X_adv : same type, shape and float type as X
            Adversarial samples; integers become float64.

        Raises
        ------
        NotFittedError
            If the source needs :meth:`fit`.
        ValueError
            If the data is invalid or outside ``clip_values``.
        """
        return self.generate(X)

    def generate(self, X: Any, y: Any = None, target: Any = None) -> Any:
        """Attack given labels, or move towards target labels.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Samples to change.
        y : array-like of shape (n_samples,), default=None
            Labels to leave, the true ones usually. None: the source's own
            predictions.
        target : label or array-like of shape (n_samples,), default=None
            Labels to reach, instead of ``y``.

        Returns
        -------
        X_adv : same type, shape and float type as X
            Adversarial samples; integers become float64.

        Raises
        ------
        NotFittedError
            If the source needs :meth:`fit`.
        ValueError
            If the data is invalid or outside ``clip_values``, a label is
            unknown, or both ``y`` and ``target`` are given.

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
        check_is_fitted(self)
        check_parameters(self)
        if y is not None and target is not None:
            raise ValueError("generate takes y (labels to leave) or target (labels to reach), not both")
        fitted = hasattr(self, "estimator_")
        model = as_model(self.estimator_ if fitted else self.estimator)
        array = read_samples(
            self if fitted else _reader(model), X, reset=not fitted and model.n_features_in_ is None
        )
        bounds = read_bounds(self.clip_values, array)
        classes = self.classes_ if fitted else self._classes(model, array)
        if target is not None:
            wanted = np.full(len(array), target) if np.ndim(target) == 0 else target
            labels = check_labels(wanted, classes, len(array), name="target")
        elif y is not None:
            labels = check_labels(y, classes, len(array))
        else:
            labels = model.predict(array)
        X_adv = self._attack(model, array, labels, len(classes), bounds, targeted=target is not None)
        return container_of(X)(X_adv)

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
        assert tags.transformer_tags is not None
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _classes(self, model: Model, X: NDArray[Any]) -> NDArray[Any]:
        classes = np.arange(model.n_outputs(X)) if model.classes_ is None else model.classes_
        if len(classes) < 2:
            raise ValueError(
                f"the source knows one class, {classes.tolist()}; there must be at least 2 to be fooled"
            )
        return classes

    def _attack(
        self,
        model: Model,
        X: NDArray[Any],
        labels: NDArray[np.intp],
        n_classes: int,
        bounds: Bounds | None,
        *,
        targeted: bool = False,
    ) -> NDArray[Any]:
        """Adversarial samples for checked input, in X's shape and float type."""
        problem = Problem(model, X, labels, n_classes, self.eps, self.norm, bounds, targeted)
        rng = check_random_state(self.random_state)
        if not isinstance(self.attack, str):
            return self._run_art(self.attack, problem, rng)
        if model.has_gradient:
            return self._run_gradient("pgd" if self.attack == "auto" else self.attack, problem, rng)
        if self.attack != "auto":
            raise TypeError(
                f"attack={self.attack!r} needs gradients, but {model.why_black_box}; "
                "attack='auto' attacks black boxes too"
            )
        if self.norm == 1:
            raise ValueError(
                f"{type(model.estimator).__name__} is a black box, which attack='auto' attacks in "
                f"norm np.inf or 2, got 1 ({model.why_black_box})"
            )
        return self._run_art(black_box_attack(), problem, rng)

    def _run_gradient(self, name: str, problem: Problem, rng: np.random.RandomState) -> NDArray[Any]:
        from skhalfway.attacks._gradient import run_in_batches

        return run_in_batches(
            gradient_attack(self, name),
            problem,
            n_restarts=self.n_restarts,
            random_start=self.random_start,
            batch_size=self.batch_size,
            device=self.device,
            rng=rng,
        )

    def _run_art(self, attack: Any, problem: Problem, rng: np.random.RandomState) -> NDArray[Any]:
        from skhalfway.attacks import _art
        from skhalfway.attacks._gradient import pgd

        if self.n_restarts != 1 or self.random_start:
            raise ValueError(
                "n_restarts and random_start are for gradient attacks; for ART's give its own parameters "
                f"in attack_params (source: {type(problem.model.estimator).__name__})"
            )
        settings = {
            "eps": self.eps,
            "norm": self.norm,
            "max_iter": self.max_iter,
            "eps_step": pgd(self.eps, self.max_iter, self.step_size).step_size,
            "batch_size": self.batch_size,
        }
        seed = rng.randint(np.iinfo(np.int32).max)
        return _art.run(attack, problem, settings=settings, attack_params=self.attack_params or {}, seed=seed)


def _reader(model: Model) -> BaseEstimator:
    """An object that has a fitted source's width and column names, to compare data with."""
    reader = AdversarialGenerator()
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(model.estimator, name):
            setattr(reader, name, copy(getattr(model.estimator, name)))
    return reader
