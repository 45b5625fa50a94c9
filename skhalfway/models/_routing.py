"""Which of the estimators that an object fits get which metadata, sample weights above all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.utils._metadata_requests import METHODS
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    _raise_for_params,
    process_routing,
)

from skhalfway.models._as_model import counts_as_fitted

# imbalanced-learn adds the last one to scikit-learn's methods when it is imported
_FITTING = ("fit", "fit_transform", "fit_resample")


class FitRouter:
    """Mixin for what fits estimators on the data of its ``fit``: each gets the metadata that it requests."""

    def _fitted_by_name(self) -> Mapping[str, Any]:
        """Estimators by name; of those that count as fitted none is fitted, so none is asked."""
        raise NotImplementedError

    def get_metadata_routing(self) -> MetadataRouter:
        """Get metadata routing of this object.

        Returns
        -------
        routing : MetadataRouter
            What the estimators that are fitted request; scikit-learn's guide to
            metadata routing says more.

        Examples
        --------
        >>> from sklearn import config_context
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skhalfway import AdversarialGenerator
        >>> with config_context(enable_metadata_routing=True):
        ...     source = LogisticRegression().set_fit_request(sample_weight=True)
        >>> AdversarialGenerator(source).get_metadata_routing().consumes("fit", ["sample_weight", "groups"])
        {'sample_weight'}
        """
        router, mapping = MetadataRouter(owner=type(self).__name__).add_self_request(self), MethodMapping()
        for method in _FITTING:
            if method in METHODS and hasattr(self, method):
                mapping.add(caller=method, callee="fit")
        for name, estimator in self._fitted_by_name().items():
            # a class, or nothing of the sort, is refused where it is fitted
            if not isinstance(estimator, type) and not counts_as_fitted(estimator):
                router.add(**{name: estimator}, method_mapping=mapping)
        return router

    def _routed(self, method: str, metadata: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """What each estimator's ``fit`` gets, by its name; scikit-learn's errors for what none is to get."""
        _raise_for_params(metadata, self, method)
        routed = process_routing(self, method if method in METHODS else "fit", **metadata)
        return {name: dict(routed.get(name, {}).get("fit", {})) for name in self._fitted_by_name()}
