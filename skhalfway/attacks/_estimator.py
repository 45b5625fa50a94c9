"""The part of a generator that scikit-learn uses: fit, parameters, cloning, tags; and its region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils.metadata_routing import _routing_enabled

from skhalfway._callbacks import CallbackSupport, with_callbacks
from skhalfway._entries import takes_datasets
from skhalfway._text import shown
from skhalfway.attacks._constraints import Constraints
from skhalfway.attacks._parameters import recipe_of
from skhalfway.attacks._run import fit_source, limits_of, source_of
from skhalfway.models._as_model import counts_as_fitted, takes_missing
from skhalfway.models._clones import HoldsArt
from skhalfway.models._faults import type_name
from skhalfway.models._routing import FitRouter

if TYPE_CHECKING:
    from typing_extensions import Self

    from skhalfway._inputs import Frame
    from skhalfway._rounding import ColumnTypes
    from skhalfway.attacks._reference import Reference
    from skhalfway.attacks._region import Region


class GeneratorBase(
    CallbackSupport, FitRouter, HoldsArt, OneToOneFeatureMixin, TransformerMixin, BaseEstimator
):
    """A transformer with a source; it counts as fitted if the source does."""

    estimator: Any
    attack: Any
    constraints: Constraints | None
    random_state: Any
    _holds = "estimator"

    fit_transform = takes_datasets(TransformerMixin.fit_transform)

    @with_callbacks
    @takes_datasets
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Fit a clone of the source, unless it counts as fitted.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor, Dataset} of shape (n_samples, n_features)
            Training samples; images may have more axes.
        y : array-like of shape (n_samples,), default=None
            Labels. They may be None only if the source counts as fitted.
        **fit_params : dict
            Metadata such as ``sample_weight``, passed to the source's ``fit``. With
            ``enable_metadata_routing``, only what the source requests is passed.

        Returns
        -------
        self : AdversarialGenerator
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, or if the source neither requests nor
            refuses metadata that are routed.
        TypeError
            If the source is not a classifier, X is sparse, or there are metadata
            for a source that counts as fitted, whose ``fit`` is not called.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skhalfway import AdversarialGenerator
        >>> X, y = load_iris(return_X_y=True)
        >>> AdversarialGenerator(eps=0.5).fit(X, y).classes_
        array([0, 1, 2])
        """
        fit_source(cast(Any, self), X, y, self._fit_params(fit_params))
        return self

    def set_params(self, **params: Any) -> Self:
        """Set parameters, including fields of ``constraints`` and of a ``Recipe``.

        Parameters
        ----------
        **params : dict
            Values by name. ``constraints__immutable`` makes new constraints with that
            field changed, ``attack__momentum__decay`` a new recipe.

        Returns
        -------
        self : AdversarialGenerator
            This object.

        Raises
        ------
        ValueError
            If there is no such parameter, or ``attack`` is no recipe and has no pieces.

        Examples
        --------
        >>> from skhalfway import AdversarialGenerator
        >>> generator = AdversarialGenerator(attack="mi").set_params(eps=0.2, attack__momentum__decay=0.5)
        >>> generator.attack
        Recipe(Momentum(decay=0.5))
        """
        of_constraints, of_recipe = (
            {name: value for name, value in params.items() if name.startswith(prefix)}
            for prefix in ("constraints__", "attack__")
        )
        own = {name: value for name, value in params.items() if name not in of_constraints | of_recipe}
        super().set_params(**own)
        if of_constraints:
            self.constraints = (self.constraints or Constraints()).replaced(**_without_prefix(of_constraints))
        if of_recipe:
            recipe = recipe_of(self.attack)
            if recipe is None:
                raise ValueError(
                    f"attack is {shown(self.attack)}, which has no pieces to set; pass a Recipe or a name of "
                    f"list_attacks() to set {shown(sorted(of_recipe))}"
                )
            self.attack = recipe.replaced(**_without_prefix(of_recipe))
        return self

    def _fitted_by_name(self) -> dict[str, Any]:
        return {"estimator": source_of(self.estimator)}

    def _fit_params(self, metadata: Mapping[str, Any]) -> Mapping[str, Any]:
        """What the source's ``fit`` gets: what it requests, or everything if metadata routing is off."""
        if _routing_enabled():
            return self._routed("fit", metadata)["estimator"]
        useless = sorted(name for name, value in metadata.items() if value is not None)
        if useless and counts_as_fitted(self.estimator):
            raise TypeError(
                f"fit got {shown(useless)}, but {type_name(self.estimator)} counts as fitted and is not "
                "fitted again; leave these out"
            )
        return metadata

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
        self,
        X: NDArray[Any],
        header: Any,
        frame: Frame | None,
        reference: Reference | None,
        types: ColumnTypes | None = None,
    ) -> Region:
        """Where each sample may go."""
        return limits_of(cast(Any, self), X, header, frame, reference, types=types).region(X)


def _without_prefix(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name.partition("__")[2]: value for name, value in params.items()}
