"""Metadata routing: which metadata, such as sample weights, the estimators that an object fits get."""

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
    """Mixin for objects whose ``fit`` fits other estimators: each gets the metadata that it requests."""

    def _fitted_by_name(self) -> Mapping[str, Any]:
        """Estimators by name. Those that count as fitted are not fitted again, so they request nothing."""
        raise NotImplementedError

    def get_metadata_routing(self) -> MetadataRouter:
        """Get metadata routing of this object.

        Returns
        -------
        routing : MetadataRouter
            Requests of the estimators that are fitted; see scikit-learn's guide to
            metadata routing.

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
            # invalid estimators, such as a class, are refused by fit
            if not isinstance(estimator, type) and not counts_as_fitted(estimator):
                router.add(**{name: estimator}, method_mapping=mapping)
        return router

    def _routed(self, method: str, metadata: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Metadata for each estimator's ``fit``, by name; raises for metadata that none requests."""
        _raise_for_params(metadata, self, method)
        routed = process_routing(self, method if method in METHODS else "fit", **metadata)
        return {name: dict(routed.get(name, {}).get("fit", {})) for name in self._fitted_by_name()}
