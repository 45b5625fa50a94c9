"""Base of PerturbationLearner: clones, tags, routing of metadata, checks of parameters, and training."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, is_classifier
from sklearn.utils import get_tags

from skhalfway._checks import check_bool, check_random_state
from skhalfway._inputs import Frame, read_samples
from skhalfway._polars import without_polars
from skhalfway.attacks import AdversarialGenerator
from skhalfway.attacks._named import check_positions
from skhalfway.attacks._parameters import check_targets, check_unattached
from skhalfway.attacks._reference import reference_for
from skhalfway.models._as_model import check_kind
from skhalfway.models._clones import HoldsArt
from skhalfway.models._net_input import converts
from skhalfway.models._routing import FitRouter
from skhalfway.models._training import train
from skhalfway.models._type_checks import inner_skorch_net, net_dtype, unfrozen
from skhalfway.perturbation._geometry import GeometryGenerator
from skhalfway.perturbation._protocol import check_start, trainable


class LearnerBase(FitRouter, HoldsArt, ClassifierMixin, BaseEstimator):
    """A classifier that trains a source, and then a learner on samples made with the source."""

    estimator: Any
    generator: AdversarialGenerator | GeometryGenerator | None
    labels: str
    base: str
    perturbation_only: bool
    source: Any
    n_noise: int | None
    random_state: Any
    _training: tuple[int, dict[str, Any]]
    _holds = "source"

    def _fitted_by_name(self) -> dict[str, Any]:
        fitted = {"source": self.estimator if self.source is None else self.source}
        if self.base == "data":  # perturbed samples are in the order of X; noise has no metadata
            fitted["learner"] = unfrozen(self.estimator)
        return fitted

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "learner_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        assert tags.classifier_tags is not None
        # its training labels are wrong, so scikit-learn must not expect a good score
        tags.classifier_tags.poor_score = True
        if hasattr(self.estimator, "__sklearn_tags__") and is_classifier(self.estimator):
            tags.classifier_tags.multi_class = get_tags(self.estimator).classifier_tags.multi_class
        return tags

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
                "pass the classifier to be attacked as source",
                allowed="an AdversarialGenerator, a GeometryGenerator or None",
            )
            check_targets(self._generator, True)

    def _check_reach(self, samples: Any, array: NDArray[Any], frame: Frame | None) -> None:
        """Raise where the attack would refuse the samples, before anything is trained."""
        generator = self._generator
        if isinstance(generator, AdversarialGenerator):
            attacked = read_samples(self, samples, reset=False)
            check_positions(generator.eps, generator.constraints, samples)
            generator._region(attacked, self, frame, reference_for(generator, array))

    def _trained(self, X: Any) -> Any:
        """A classifier trained on samples with the learner's labels, seed and metadata."""
        seed, params = self._training
        return train(trainable(self.estimator), X, self.y_assigned_, seed, **params)

    def _arrange(self, X: Any) -> Any:
        """Samples in the form that the learner takes."""
        array = read_samples(self, X, reset=False)
        samples = without_polars(X) if hasattr(X, "columns") else array
        net = inner_skorch_net(self.learner_)
        if net is None or converts(self.learner_, net, samples):
            return samples
        return samples.astype(net_dtype(net))
