"""PerturbationLearner: a classifier that learns from adversarial perturbations with wrong labels."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin, clone
from sklearn.metrics import accuracy_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skhalfway._checks import check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._inputs import Frame, read_samples
from skhalfway._randomness import draw_seed
from skhalfway._text import shown
from skhalfway.attacks import AdversarialGenerator
from skhalfway.attacks._reference import is_range
from skhalfway.models import as_model
from skhalfway.models._faults import named, type_name
from skhalfway.models._training import train
from skhalfway.perturbation._geometry import GeometryGenerator
from skhalfway.perturbation._learner_base import LearnerBase
from skhalfway.perturbation._protocol import read_labels, start, trainable


def _learner_has(name: str) -> Any:
    """Whether the learner, or the estimator that will be trained as it, has a method."""

    def check(self: PerturbationLearner) -> bool:
        getattr(self.learner_ if hasattr(self, "learner_") else trainable(self.estimator), name)
        return True

    return check


class PerturbationLearner(LearnerBase):
    """Learn from adversarial perturbations with wrong labels, and classify clean data correctly.

    1. A source is trained on the data.
    2. A targeted attack on the source perturbs samples towards other classes.
    3. The perturbed samples are labelled with these target classes, which are
       wrong to a human.
    4. A new classifier, the learner, is trained on these samples alone.

    What the learner knows about clean data comes from the perturbations: they
    carry features of the classes [1]_ [2]_. The predictions of this object are
    those of the learner.

    Parameters
    ----------
    estimator : object
        Classifier of which clones are trained as the learner and, unless
        ``source`` is given, as the source. A ``FrozenEstimator`` of a fitted
        classifier is used as the source without training, and the learner is a
        clone of the classifier in it.
    generator : AdversarialGenerator or GeometryGenerator, default=None
        The targeted attack; its ``estimator`` must be None. None is
        ``AdversarialGenerator(attack="pgd", eps=0.5, eps_unit="std")``: a change of
        at most half a standard deviation in each feature. It needs a source with a
        gradient; ``attack="auto"`` and ``"surrogate"`` do not. A
        :class:`GeometryGenerator` does not attack the source, which then only
        decides whether it is fooled.
    labels : {"random", "next"}, default="random"
        Target class of a sample.

        - "random": any class other than its own, with equal probability (protocol R
          of [1]_).
        - "next": the class after its own in ``classes_``; after the last class, the
          first (protocol D of [1]_).
    base : {"data", "noise"}, default="data"
        Samples that are perturbed.

        - "data": the training samples.
        - "noise": uniform noise with random targets among all classes. It needs
          ``labels="random"``. Noise is drawn within the generator's ``clip_values``.
          Where these are None or ``"range"``, it is drawn within the range of each
          feature in the data.
    perturbation_only : bool, default=False
        Whether the learner is trained on the perturbations alone (perturbed minus
        unperturbed samples), so that it never sees the content of a sample.
    source : object, default=None
        Another classifier as the source. It is cloned and fitted. A
        ``FrozenEstimator``, a ``torch.nn.Module`` or an ART classifier counts as
        fitted, and is used as it is.
    n_noise : int, default=None
        Number of samples with ``base="noise"``. None is the number of training
        samples.
    random_state : int, RandomState instance or None, default=None
        Source of target classes, noise, and different seeds for source, learner
        and, where its own ``random_state`` is None, the generator. For skorch nets,
        torch's generator is seeded. Pass an int for the same result across calls,
        and for the same source across protocols.

    Attributes
    ----------
    source_ : object
        The fitted source.
    learner_ : object
        The classifier trained on the perturbed samples.
    control_ : object
        The classifier trained on the unperturbed samples with the same labels.
        It exists after a call of :meth:`control_score`.
    X_base_ : {ndarray, DataFrame} of shape (n_perturbed, n_features)
        The unperturbed samples.
    X_perturbed_ : {ndarray, DataFrame} of shape (n_perturbed, n_features)
        The perturbed samples, on which the learner is trained. With
        ``perturbation_only`` it is trained on ``X_perturbed_ - X_base_``.
    y_assigned_ : ndarray of shape (n_perturbed,)
        Target classes, which are the learner's training labels.
    fooling_rate_ : float
        Share of the perturbed samples for which the source predicts the target.
    n_fooled_ : int
        Number of these samples.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Number of features seen during :meth:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :meth:`fit`, where they are strings.

    See Also
    --------
    skhalfway.AdversarialGenerator : Makes the perturbed samples by an attack.
    GeometryGenerator : Makes them from the geometry of the data.

    Notes
    -----
    :meth:`control_score` measures how much the labels and the unperturbed samples
    alone reveal. With ``base="data"`` every label is wrong, so a control that learns
    anything is less accurate than chance. The same happens to a learner whose
    perturbations are too small to outweigh the content of the samples. It happens
    most easily with ``labels="next"``, where a sample's own class determines its
    label.

    The source need not be fooled for learning to work: on MNIST, about 4% of the
    perturbed samples fooled the source where the learner was 89% accurate [1]_.

    ``perturbation_only`` and ``n_noise`` are variations of the papers' protocols.

    References
    ----------
    .. [1] Kumano, Kera & Yamasaki, "Theoretical understanding of learning from
       adversarial perturbations", ICLR 2024.
    .. [2] Ilyas et al., "Adversarial examples are not bugs, they are features",
       NeurIPS 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import train_test_split
    >>> from skhalfway.perturbation import PerturbationLearner
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> learner = PerturbationLearner(LogisticRegression(max_iter=1000), random_state=0)
    >>> learner = learner.fit(X_train, y_train)
    >>> bool((learner.y_assigned_ == y_train).any())  # no label is right
    False
    >>> round(learner.score(X_test, y_test), 1), round(learner.control_score(X_test, y_test), 1)
    (0.9, 0.0)
    """

    def __init__(
        self,
        estimator: Any,
        generator: AdversarialGenerator | GeometryGenerator | None = None,
        *,
        labels: str = "random",
        base: str = "data",
        perturbation_only: bool = False,
        source: Any = None,
        n_noise: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.generator = generator
        self.labels = labels
        self.base = base
        self.perturbation_only = perturbation_only
        self.source = source
        self.n_noise = n_noise
        self.random_state = random_state

    @takes_datasets
    def fit(self, X: Any, y: Any, **fit_params: Any) -> PerturbationLearner:
        """Train the source, perturb samples towards target classes, and train the learner on these.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Training samples; images may have more axes.
        y : array-like of shape (n_samples,)
            Labels. The learner never sees them.
        **fit_params : dict
            Metadata such as ``sample_weight``, allowed with
            ``enable_metadata_routing``. The source gets what it requests. The learner
            gets what ``estimator`` requests, for the perturbed version of each sample;
            with ``base="noise"`` there is none, so it gets nothing.

        Returns
        -------
        self : PerturbationLearner
            The fitted classifier.

        Raises
        ------
        ValueError
            - If a parameter or the data is invalid.
            - If there are fewer than two classes, a class is the target of no
              sample, or the source has other classes.
            - If metadata are neither requested nor refused, or not routed at all.
        TypeError
            If the estimator or the source is no classifier, the estimator cannot
            be trained, the attack needs a gradient that the source does not have,
            or no estimator takes the metadata.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skhalfway.perturbation import PerturbationLearner
        >>> X, y = load_iris(return_X_y=True)
        >>> model = LogisticRegression(max_iter=1000)
        >>> learner = PerturbationLearner(model, labels="next", random_state=0).fit(X, y)
        >>> learner.y_assigned_[[0, 50, 100]]
        array([1, 2, 0])
        """
        self._check_params()
        params = self._routed("fit", fit_params)
        if y is None:
            raise ValueError(
                "This PerturbationLearner estimator requires y to be passed, but the target y is None"
            )
        array = read_samples(self, X, reset=True)
        data, frame = X if hasattr(X, "columns") else array, Frame.of(X)
        if frame is not None and (self.base == "noise" or self.perturbation_only):
            raise ValueError(
                f"base='noise' and perturbation_only need numbers, but X has columns of categories: "
                f"{shown(list(frame.names))}; encode or drop them"
            )
        self.classes_, truth = read_labels(y, array)
        column_or_1d(y, warn=True)  # scikit-learn's classifiers warn about a column too
        self._check_reach(data, array, frame)
        # a separate stream, so that noise does not repeat data that was drawn with the same seed
        rng = np.random.RandomState(draw_seed(check_random_state(self.random_state)))
        # drawn first, so that protocols with the same random_state have the same source
        source_seed = draw_seed(rng)
        clip_values = getattr(self._generator, "clip_values", None)
        base, assigned = start(
            data,
            array,
            truth,
            self.classes_,
            labels=self.labels,
            base=self.base,
            n_noise=self.n_noise,
            clip_values=None if is_range(clip_values) else clip_values,
            rng=rng,
        )
        self._check_reach(base, array, frame)
        labels, target = self.classes_[truth], self.classes_[assigned]
        generator = clone(self._generator)
        if isinstance(generator, GeometryGenerator):
            generator.fit(data, labels)
        source = self.estimator if self.source is None else self.source
        trains = partial(train, **params["source"])
        self.source_ = named(type_name(source), trains, source, data, labels, source_seed)
        model = as_model(self.source_, classes=self.classes_)
        if isinstance(generator, AdversarialGenerator):
            if generator.random_state is None:
                generator.random_state = draw_seed(rng)
            generator.set_params(estimator=model).fit(data, labels)
        perturbed = generator.generate(base, target=target)
        answers = model.reading(frame).predict(read_samples(self, perturbed, reset=False))
        self.n_fooled_ = int((answers == assigned).sum())
        self.fooling_rate_ = self.n_fooled_ / len(assigned)
        self.X_base_, self.X_perturbed_, self.y_assigned_ = base, perturbed, target
        self._training = draw_seed(rng), params.get("learner", {})
        seen = perturbed - base if self.perturbation_only else perturbed
        self.learner_ = self._trained(seen)
        self.__dict__.pop("control_", None)
        return self

    score = takes_datasets(ClassifierMixin.score)

    @takes_datasets
    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the learner's labels.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Predicted labels.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skhalfway.perturbation import PerturbationLearner
        >>> X, y = load_iris(return_X_y=True)
        >>> PerturbationLearner(LogisticRegression(max_iter=1000), random_state=0).fit(X, y).predict(X).shape
        (150,)
        """
        check_is_fitted(self)
        return self.learner_.predict(self._arrange(X))

    @available_if(_learner_has("predict_proba"))
    @takes_datasets
    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Predict the learner's probabilities.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities of classes in the order of ``classes_``.
        """
        check_is_fitted(self)
        return self.learner_.predict_proba(self._arrange(X))

    @available_if(_learner_has("decision_function"))
    @takes_datasets
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Compute the learner's decision values.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        values : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Decision values of the learner.
        """
        check_is_fitted(self)
        return self.learner_.decision_function(self._arrange(X))

    @takes_datasets
    def control_score(self, X: Any, y: Any) -> float:
        """Accuracy of a control that is trained without the perturbations.

        The control is trained on the unperturbed samples, with the learner's labels
        and seed. It is trained in the first call, and kept.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Clean samples.
        y : array-like of shape (n_samples,)
            True labels.

        Returns
        -------
        accuracy : float
            Share of samples classified correctly, to be compared with ``score``.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skhalfway.perturbation import PerturbationLearner
        >>> X, y = load_iris(return_X_y=True)
        >>> model = LogisticRegression(max_iter=1000)
        >>> learner = PerturbationLearner(model, labels="next", random_state=0).fit(X, y)
        >>> learner.control_score(X, y) < 0.1
        True
        """
        check_is_fitted(self)
        samples = self._arrange(X)
        if not hasattr(self, "control_"):
            self.control_ = self._trained(self.X_base_)
        return float(accuracy_score(y, self.control_.predict(samples)))
