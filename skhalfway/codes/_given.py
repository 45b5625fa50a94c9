"""Checks of a fitted CodeMap, and the result that displays draw for it."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from skhalfway.codes._codemap import CodeMap
from skhalfway.codes._homogeneity import Homogeneity


def fitted_map(code_map: Any) -> CodeMap:
    """The CodeMap itself; TypeError for anything else, NotFittedError where it is not fitted."""
    if not isinstance(code_map, CodeMap):
        raise TypeError(
            f"a fitted CodeMap is needed, got {type(code_map).__name__}; CodeMap(network).fit(X) makes one"
        )
    check_is_fitted(code_map)
    return code_map


def measured_homogeneity(code_map: Any, X: Any, y: Any, **kwargs: Any) -> Homogeneity:
    """The homogeneity that displays draw for a fitted map."""
    return fitted_map(code_map).homogeneity(X, y, **kwargs)
