"""What scikit-learn and the rest of the package ask of a generator: clones, tags, one source attacked."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, cast

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, clone

from skhalfway._entries import takes_datasets
from skhalfway._randomness import own_rng
from skhalfway.attacks._problem import Outcome, Problem
from skhalfway.attacks._run import region_of, run
from skhalfway.models._as_model import counts_as_fitted, takes_missing
from skhalfway.models._kinds import is_art_classifier

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self

    from skhalfway._inputs import Frame
    from skhalfway.attacks._reference import Reference
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model


class GeneratorBase(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """A transformer with a source, which counts as fitted where that does."""

    estimator: Any
    random_state: Any

    fit_transform = takes_datasets(TransformerMixin.fit_transform)

    def __sklearn_clone__(self) -> Self:
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

    def _region(
        self, X: NDArray[Any], header: Any, frame: Frame | None, reference: Reference | None
    ) -> Region:
        """Where each sample may go."""
        return region_of(cast(Any, self), X, header, frame, reference)

    def _attack(
        self,
        model: Model,
        region: Region,
        labels: NDArray[np.intp],
        n_classes: int,
        *,
        targeted: bool = False,
    ) -> Outcome:
        """Adversarial samples for checked input, in X's shape and float type."""
        problem = Problem(model, region, labels, n_classes, targeted, getattr(self, "_partners", None))
        return run(cast(Any, self), problem, own_rng(self.random_state))
