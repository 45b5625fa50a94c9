"""The part of an ensemble that scikit-learn uses: parameters, cloning, and attributes that members share."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from skhalfway._checks import check_choice
from skhalfway.models._as_model import as_model, counts_as_fitted, is_fitted, takes_missing
from skhalfway.models._collection import ModelCollection, is_pair
from skhalfway.models._ensemble_checks import COMBINE, check_fitted, check_members, check_weights
from skhalfway.models._ensemble_model import named_member
from skhalfway.models._same_classes import common_classes

if TYPE_CHECKING:
    from typing_extensions import Self

_OF_MEMBERS = ("classes_", "n_features_in_", "feature_names_in_", "estimators_")


class EnsembleBase(ModelCollection):
    """A collection of members; it counts as fitted if all members are."""

    combine: str
    weights: Any
    estimators_: list[tuple[str, Any]]
    _is_ensemble = True

    def set_params(self, **params: Any) -> Self:
        """Set parameters, including those of members that are not fitted yet, such as ``svm__C``.

        Parameters
        ----------
        **params : dict
            Values by name; ``svm=another`` replaces a member.

        Returns
        -------
        self : Ensemble
            This object.

        Raises
        ------
        ValueError
            If there is no such parameter, or it belongs to a fitted member, which it would not change.

        Examples
        --------
        >>> from sklearn.svm import SVC
        >>> from skhalfway import Ensemble
        >>> ensemble = Ensemble([("svm", SVC()), ("other", SVC())])
        >>> ensemble.set_params(svm__C=2.0, combine="logits").estimators[0]
        ('svm', SVC(C=2.0))
        """
        given: Any = params.get("estimators", self.estimators)
        pairs = given if isinstance(given, (list, tuple)) else []
        members = dict(pair for pair in pairs if is_pair(pair)) | params
        for name in params:
            which, _, parameter = name.partition("__")
            member = members.get(which)
            if parameter and member is not None and not counts_as_fitted(member) and is_fitted(member):
                raise ValueError(
                    f"member {which!r} is fitted and stays as it is, so {name} would change nothing; replace "
                    f"the member: set_params({which}=...), fitted or not"
                )
        super().set_params(**params)
        return self

    def __sklearn_clone__(self) -> Self:
        pairs: Any = self.estimators
        if not isinstance(pairs, (list, tuple)) or not all(map(is_pair, pairs)):
            twin: Self = super().__sklearn_clone__()
            return twin
        bare = copy(self)
        bare.estimators = []
        twin = super(EnsembleBase, bare).__sklearn_clone__()
        twin.estimators = [(name, one if is_fitted(one) else clone(one, safe=False)) for name, one in pairs]
        return twin

    def __sklearn_is_fitted__(self) -> bool:
        return "estimators_" in self.__dict__ or self._holds_fitted()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        pairs: Any = self.estimators if isinstance(self.estimators, (list, tuple)) else []
        tags.target_tags.required = True
        tags.input_tags.allow_nan = bool(pairs) and all(is_pair(p) and takes_missing(p[1]) for p in pairs)
        return tags

    def __getattr__(self, name: str) -> Any:
        # fitted members have these attributes without a call of fit; only called if this object has no such
        if name in _OF_MEMBERS and self._holds_fitted():
            found = self._seen_in_members(name)
            if found is not None:
                return found
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def _pairs(self) -> list[tuple[str, Any]]:
        return self.estimators or []

    def _holds_fitted(self) -> bool:
        """Whether all members were fitted before they were passed in."""
        pairs = self.__dict__.get("estimators")
        if not isinstance(pairs, (list, tuple)) or not pairs or not all(map(is_pair, pairs)):
            return False
        return all(is_fitted(estimator) for _, estimator in pairs)

    def _seen_in_members(self, name: str) -> Any:
        if name == "estimators_":
            return [(each, estimator) for each, estimator in self._pairs]
        seen = {each: named_member(each, as_model, one) for each, one in self.estimators_}
        if name == "classes_":
            return common_classes(seen)
        shared = _Shared()
        shared._take_width(seen)
        return getattr(shared, name, None)

    def _sk_visual_block_(self) -> Any:
        from sklearn.ensemble import _voting

        names, estimators = zip(*self._pairs, strict=True)
        return _voting._VisualBlock("parallel", estimators, names=names)

    def _fitted_by_name(self) -> dict[str, Any]:
        return {name: one for name, one in self._pairs if isinstance(one, type) or not is_fitted(one)}

    def _check(self, *, fitted: bool = False) -> None:
        """Raise for invalid members and parameters; with ``fitted``, also for unfitted members."""
        check_choice("combine", self.combine, COMBINE)
        check_members(self.estimators)
        self._check_estimators()
        if fitted and "estimators_" not in self.__dict__:
            check_fitted(self._pairs)
        check_weights(self.weights, self.combine, len(self._pairs))


class _Shared(ModelCollection):
    """The number and names of features on which members agree."""

    def __init__(self) -> None:
        pass
