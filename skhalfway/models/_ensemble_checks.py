"""Checks of an ensemble's members and weights."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError

from skhalfway._checks import as_python
from skhalfway._text import shown
from skhalfway.models._as_model import check_kind, is_fitted
from skhalfway.models._collection import is_pair
from skhalfway.models._ensemble_model import EnsembleModel, named_member
from skhalfway.models._type_checks import is_ensemble, unfrozen

COMBINE = ("probabilities", "logits", "losses", "serial", "adaptive")


def check_members(pairs: Any) -> None:
    """Raise unless there are at least two pairs of name and classifier, none of which is an ensemble."""
    if not isinstance(pairs, (list, tuple)) or not all(map(is_pair, pairs)):
        raise TypeError(f"estimators must be a list of (name, estimator), got {shown(pairs)}")
    if len(pairs) < 2:
        instead = "; attack that model itself" if pairs else ""
        raise ValueError(f"an Ensemble needs at least 2 members, got {len(pairs)}{instead}")
    for name, estimator in pairs:
        named_member(name, check_kind, estimator)
        inner = unfrozen(estimator)
        if is_ensemble(inner) or isinstance(inner, EnsembleModel):
            raise TypeError(
                f"member {name!r} is an Ensemble itself, and an ensemble of ensembles is not defined for "
                "every combine; list its members here, and weight them by weights"
            )


def check_fitted(pairs: Iterable[tuple[str, Any]]) -> None:
    """Raise for members that are yet to be fitted."""
    unfitted = [name for name, estimator in pairs if not is_fitted(estimator)]
    if unfitted:
        raise NotFittedError(
            f"this Ensemble is not fitted, as its members {shown(unfitted)} are not; call its fit, or pass "
            "fitted members"
        )


def check_weights(weights: Any, combine: str, n: int) -> None:
    """Raise for anything but a positive number for each member, or None."""
    if weights is None:
        return
    if combine == "serial":
        raise ValueError("combine='serial' follows each member in turn, so weights must be None")
    array = np.asarray(weights, dtype=object)
    given = [as_python(weight) for weight in array.ravel()]
    numbers = [w for w in given if isinstance(w, (int, float)) and not isinstance(w, bool)]
    if array.shape != (n,) or len(numbers) < n or not all(0 < number < np.inf for number in numbers):
        raise ValueError(
            f"weights must be {n} finite numbers > 0, one for each member, got {shown(weights)}; leave out "
            "members that should have no weight"
        )
