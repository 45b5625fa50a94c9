"""Cloning of estimators that hold objects which scikit-learn cannot clone."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar

from sklearn.base import clone

from skhalfway.models._type_checks import is_art_classifier

if TYPE_CHECKING:
    from typing_extensions import Self


class HoldsArt:
    """Mixin for estimators with a parameter that may be an ART classifier: a clone holds the same one.

    ART's classifiers have a ``get_params`` of their own, which ``clone`` mistakes for scikit-learn's.
    """

    _holds: ClassVar[str]

    def __sklearn_clone__(self) -> Self:
        held: Any = getattr(self, self._holds)
        if not is_art_classifier(held):
            return super().__sklearn_clone__()  # type: ignore[misc]
        bare = copy(self)
        setattr(bare, self._holds, None)
        twin: Self = clone(bare)
        setattr(twin, self._holds, held)
        return twin
