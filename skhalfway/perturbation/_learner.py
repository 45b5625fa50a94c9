"""PerturbationLearner: a classifier that never sees a right label."""

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

from skhalfway._checks import check_bool, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._inputs import Frame, read_samples
from skhalfway._polars import without_polars
from skhalfway._randomness import draw_seed
from skhalfway._text import shown
from skhalfway.attacks import AdversarialGenerator
from skhalfway.attacks._named import check_positions
from skhalfway.attacks._parameters import check_targets, check_unattached
from skhalfway.attacks._reference import is_range, reference_for
from skhalfway.models import as_model
from skhalfway.models._as_model import check_kind
from skhalfway.models._faults import named, type_name
from skhalfway.models._net_input import converts
from skhalfway.models._training import train
from skhalfway.models._type_checks import inner_skorch_net, net_dtype
from skhalfway.perturbation._geometry import GeometryGenerator
from skhalfway.perturbation._learner_base import LearnerBase
from skhalfway.perturbation._protocol import check_start, read_labels, start, trainable


def _learner_has(name: str) -> Any:
    """Whether the learner, or what it is to be, has a method."""

    def check(self: PerturbationLearner) -> bool:
        getattr(self.learner_ if hasattr(self, "learner_") else trainable(self.estimator), name)
        return True

    return check


class PerturbationLearner(LearnerBase):
    """Learn from adversarial perturbations with wrong labels, and be right on clean data.

    A source learns from the data. Adversarial samples are made that move
    towards other classes on it, and take the labels of those classes, wrong
    ones to a human eye. A fresh classifier, the learner, trains on these alone.
    What it then knows of clean data it has from the perturbations: they carry
    features of the classes [1]_ [2]_. This object predicts what the learner
    does.

    Parameters
    ----------
    estimator : object
        Classifier whose clones are trained: as the learner and, unless
        ``source`` is given, as the source. A ``FrozenEstimator`` of a fitted
        classifier is the source as it is; the learner is a clone of what it
        holds.
    generator : AdversarialGenerator or GeometryGenerator, default=None
        The attack, towards given labels; its ``estimator`` must be None. None
        is ``AdversarialGenerator(attack="pgd", eps=0.5, eps_unit="std")``: a
        change of at most half a standard deviation in each feature. It needs a
        source with a gradient; ``attack="auto"`` and ``"surrogate"`` do not.
        A :class:`GeometryGenerator` attacks nothing, and leaves to the source
        only to say whether it is fooled.
    labels : {"random", "next"}, default="random"
        Class to move a sample to: any but its own, each as likely (protocol R
        of [1]_); or the next of ``classes_``, the first after the last (D).
    base : {"data", "noise"}, default="data"
        What is perturbed: the training samples, or uniform noise with random
        targets among all classes (for ``labels="random"`` only). Noise fills
        the generator's ``clip_values``; where it has none, or ``"range"``, the range
        of each feature in the data.
    perturbation_only : bool, default=False
        Whether the learner trains on the perturbations themselves, perturbed
        minus unperturbed, so that it never sees a sample's content.
    source : object, default=None
        Another classifier as the source: cloned and fitted, or used as it is
        where it counts as fitted, as a ``FrozenEstimator``, a
        ``torch.nn.Module`` or an ART classifier does.
    n_noise : int, default=None
        How many samples ``base="noise"`` draws. None is as many as there are
        training samples.
    random_state : int, RandomState instance or None, default=None
        Draws labels and noise, and seeds every ``random_state`` of source and
        learner, differently (for skorch, torch's own generator), and the
        generator's where that is None. Pass an int for the same result across
        calls, and for the same source across protocols.

    Attributes
    ----------
    source_ : object
        The fitted source.
    learner_ : object
        The classifier trained on the perturbed samples.
    control_ : object
        The classifier trained on the unperturbed samples with the same labels.
        Only after :meth:`control_score`.
    X_base_ : {ndarray, DataFrame} of shape (n_perturbed, n_features)
        The unperturbed samples.
    X_perturbed_ : {ndarray, DataFrame} of shape (n_perturbed, n_features)
        The perturbed samples. The learner trains on these; on ``X_perturbed_ -
        X_base_`` where ``perturbation_only``.
    y_assigned_ : ndarray of shape (n_perturbed,)
        Their targets, the learner's training labels.
    fooling_rate_ : float
        Share of the perturbed samples that the source gives their target.
    n_fooled_ : int
        How many these are.
    classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Number of features seen during :meth:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :meth:`fit`, where they are strings.

    See Also
    --------
    skhalfway.AdversarialGenerator : Makes the perturbed samples.
    GeometryGenerator : Makes them from the geometry of the data.

    Notes
    -----
    :meth:`control_score` tells what labels and samples give away without the
    perturbations. With ``base="data"`` every label is wrong, so a control that
    learns anything falls below chance; so does a learner whose perturbations
    are too small to outweigh what the samples show, most easily with
    ``labels="next"``, where a sample's own class tells its label.

    The source need not be fooled for learning to work: on MNIST some 4% were
    where 89% was learned [1]_.

    ``perturbation_only`` and ``n_noise`` vary the protocols of the papers.

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
        """Train the source, perturb towards other classes, train the learner on that.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Training samples; images may have more axes.
        y : array-like of shape (n_samples,)
            Labels. The learner never sees them.
        **fit_params : dict
            Metadata such as ``sample_weight``. Only with ``enable_metadata_routing``: the
            source gets what it requests, and the learner what ``estimator`` requests,
            for the perturbed sample made from each; with ``base="noise"``, where none is
            made from a sample, the source alone.

        Returns
        -------
        self : PerturbationLearner
            The fitted classifier.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, there are fewer than two
            classes, no sample moves to one of them, or the source has others; if
            metadata are neither requested nor refused, or not routed at all.
        TypeError
            If the estimator or the source is no classifier, the estimator
            cannot be trained, the attack needs a gradient that the source
            has not, or metadata are routed to none.
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
                f"{shown(list(frame.names))}; encode or leave them out"
            )
        self.classes_, truth = read_labels(y, array)
        column_or_1d(y, warn=True)  # as scikit-learn's classifiers warn of a column
        self._check_reach(data, array, frame)
        # a stream of its own: noise must not repeat data that was drawn with the same seed
        rng = np.random.RandomState(draw_seed(check_random_state(self.random_state)))
        # before all else: protocols that share a random_state then share their source
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
            Of ``classes_``.
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
            In the order of ``classes_``.
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
            As the learner gives them.
        """
        check_is_fitted(self)
        return self.learner_.decision_function(self._arrange(X))

    @takes_datasets
    def control_score(self, X: Any, y: Any) -> float:
        """Accuracy of the control, trained without the perturbations.

        The control learns from the unperturbed samples, the learner's labels and
        the learner's seed. It is trained at the first call and kept.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Clean samples.
        y : array-like of shape (n_samples,)
            True labels.

        Returns
        -------
        accuracy : float
            Share of samples classified right, to compare with ``score``.
        """
        check_is_fitted(self)
        samples = self._arrange(X)
        if not hasattr(self, "control_"):
            self.control_ = self._trained(self.X_base_)
        return float(accuracy_score(y, self.control_.predict(samples)))

    @property
    def _generator(self) -> AdversarialGenerator | GeometryGenerator:
        if self.generator is None:
            return AdversarialGenerator(attack="pgd", eps=0.5, eps_unit="std")
        return self.generator

    def _check_params(self) -> None:
        check_start(self.labels, self.base, self.n_noise)
        check_bool("perturbation_only", self.perturbation_only)
        check_random_state(self.random_state)
        trainable(self.estimator)
        if self.source is not None:
            check_kind(self.source)
        if not isinstance(self.generator, GeometryGenerator):
            check_unattached(
                self.generator,
                "pass what is to be attacked as source",
                allowed="an AdversarialGenerator, a GeometryGenerator or None",
            )
            check_targets(self._generator, True)

    def _check_reach(self, samples: Any, array: NDArray[Any], frame: Frame | None) -> None:
        """Raise for what the attack would refuse, before anything is trained."""
        generator = self._generator
        if isinstance(generator, AdversarialGenerator):
            attacked = read_samples(self, samples, reset=False)
            check_positions(generator.eps, generator.constraints, samples)
            generator._region(attacked, self, frame, reference_for(generator, array))

    def _trained(self, X: Any) -> Any:
        """A classifier trained on what the learner's labels, seed and metadata are for."""
        seed, params = self._training
        return train(trainable(self.estimator), X, self.y_assigned_, seed, **params)

    def _arrange(self, X: Any) -> Any:
        """Samples as the learner takes them."""
        array = read_samples(self, X, reset=False)
        samples = without_polars(X) if hasattr(X, "columns") else array
        net = inner_skorch_net(self.learner_)
        if net is None or converts(self.learner_, net, samples):
            return samples
        return samples.astype(net_dtype(net))
