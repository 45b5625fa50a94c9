"""The Model of an ensemble: its members' models, with their classes in one order, and their combination."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import NotFittedError

from skhalfway._inputs import Frame
from skhalfway._text import shown
from skhalfway.models._model import Model
from skhalfway.models._registry import NotDifferentiableError
from skhalfway.models._same_classes import common_classes

if TYPE_CHECKING:
    import torch
    from torch import nn

    from skhalfway.models._ensemble_module import EnsembleModule

_AT_ONCE = 1024  # samples that are predicted at once
_FEW = 20  # samples on which modules are called to count their outputs


class EnsembleModel(Model):
    """An ensemble as a source: its logits are the combination of its members'.

    Attributes
    ----------
    members : dict of str to Model
        The members by name, with their classes in one order.
    combine : str
        What attacks by gradient follow; see :class:`~skhalfway.Ensemble`.
    weights : ndarray of shape (n_members,)
        Positive numbers that sum to 1.
    """

    def __init__(
        self,
        estimator: Any,
        classes: NDArray[Any] | None,
        members: Mapping[str, Model],
        combine: str,
        weights: NDArray[np.float64],
    ) -> None:
        super().__init__(estimator, classes)
        self.members, self.combine, self.weights = dict(members), combine, weights
        self.in_torch = all(member.in_torch for member in members.values())

    @cached_property
    def _conversion(self) -> tuple[nn.Module | None, str]:
        from skhalfway.models._ensemble_module import EnsembleModule

        for name, member in self.members.items():
            if member.module is None:
                return None, f"member {name!r} of the Ensemble has none: {member.why_black_box}"
        return EnsembleModule(list(self.members.values()), self.weights, self.combine), ""

    @property
    def joint(self) -> EnsembleModule:
        """The module that returns the members' logits."""
        module: Any = self.module
        if module is None:
            raise NotDifferentiableError(self.why_black_box)
        return module

    def _flat(self, x: Any) -> Any:
        return x  # each member flattens samples as it needs them

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        return self.joint(x)

    def _predict(self, X: Any) -> NDArray[np.intp]:
        scores = self._scores(X)
        # scores raises an error for nan
        return (self.scores(X) if np.isnan(scores).any() else scores).argmax(axis=1)

    def _scores(self, X: Any) -> NDArray[np.float64]:
        import torch

        from skhalfway.models._torch import place_of

        X, place = np.asarray(X), place_of(self.joint)
        parts = np.array_split(X, -(-len(X) // _AT_ONCE)) if len(X) else [X]
        with self.evaluating(), torch.no_grad():
            rows = (torch.tensor(np.ascontiguousarray(part), **place) for part in parts)
            scores = torch.cat([self._logits(x).double().softmax(dim=1).cpu() for x in rows]).numpy()
        if self.classes_ is not None and scores.shape[1] != len(self.classes_):
            raise ValueError(
                f"the members of {self._told} have {scores.shape[1]} outputs for the {len(self.classes_)} "
                f"classes {shown(self.classes_)}; they must know the same classes"
            )
        return scores

    def n_outputs(self, X: ArrayLike) -> int:
        """Count the classes; if no member has labels, members are called on ``X``'s first rows for that."""
        if self.classes_ is not None:
            return len(self.classes_)
        return self.scores(np.asarray(X)[:_FEW]).shape[1]

    def in_order(self, classes: NDArray[Any] | None) -> Model:
        """Return a Model whose class indices are positions in ``classes``, its own labels, reordered."""
        if classes is None or self.classes_ is None or np.array_equal(self.classes_, classes):
            return self
        return self._with(lambda member: member.in_order(classes), classes_=classes)

    def reading(self, frame: Frame | None) -> Model:
        """Return a Model that takes the codes of a DataFrame's categories; this object if there are none."""
        return self if frame is None else self._with(lambda member: member.reading(frame), _frame=frame)

    def on(self, device: str | torch.device | None) -> Model:
        """Return a Model whose members are on ``device``: this object, or one with copies of them."""
        if device is None or self.module is None:
            return self
        return self._with(lambda member: member.on(device))

    def apart(self) -> Model:
        """Return a Model whose members have modules of their own."""
        return self._with(lambda member: member.apart())

    def _with(self, change: Callable[[Model], Model], **attributes: Any) -> Model:
        """A copy with changed members; this object if nothing changes."""
        members = {name: change(member) for name, member in self.members.items()}
        if not attributes and all(members[name] is member for name, member in self.members.items()):
            return self
        twin = copy(self)
        for made in ("_conversion", "smoothed"):
            twin.__dict__.pop(made, None)
        twin.__dict__.update(attributes, members=members)
        return twin

    def evaluating(self) -> AbstractContextManager[None]:
        """Context in which to use all members: in evaluation mode, and with gradients enabled."""
        return self._evaluating()

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        with ExitStack() as stack:
            for member in self.members.values():
                stack.enter_context(member.evaluating())
            yield


def named_member(name: str, function: Callable[..., Any], *args: Any) -> Any:
    """Call the function; put the member's name before the message of what it raises."""
    try:
        return function(*args)
    except (NotFittedError, NotDifferentiableError, TypeError, ValueError) as error:
        kinds = (NotFittedError, NotDifferentiableError, TypeError, ValueError)
        kind = next(kind for kind in kinds if isinstance(error, kind))
        raise kind(f"member {shown(name, 40)} of the Ensemble: {error}") from error


def ensemble_model(ensemble: Any, classes: NDArray[Any] | None, see: Callable[..., Model]) -> EnsembleModel:
    """The Model of an Ensemble.

    ``see`` makes the Model of a member, given the classes if the member has none of its own.

    Raises
    ------
    NotDifferentiableError
        If a member has no gradient.
    ValueError
        If members differ in classes, number of features or columns.
    """
    estimators = dict(ensemble.estimators_)
    seen = {name: named_member(name, see, estimator, None) for name, estimator in estimators.items()}
    own = common_classes(seen)
    if own is None:
        own = classes
    elif classes is not None and not np.array_equal(own, classes):
        raise ValueError(f"Ensemble has classes_ {shown(own)}, not the classes {shown(classes)} asked for")
    if own is not None:
        seen = {
            name: (
                named_member(name, see, estimators[name], own) if model.classes_ is None else model
            ).in_order(own)
            for name, model in seen.items()
        }
    members = {}
    for name, model in seen.items():
        members[name] = copy(model)
        members[name].name = name
        if model.classes_ is None:
            members[name].classes_ = own
    weights = np.ones(len(members)) if ensemble.weights is None else np.asarray(ensemble.weights, dtype=float)
    model = EnsembleModel(ensemble, own, members, ensemble.combine, weights / weights.sum())
    if not model.has_gradient:
        raise NotDifferentiableError(
            f"an Ensemble follows the gradients of all its members, but {model.why_black_box}; leave it out, "
            "or replace it by a surrogate: a classifier with a gradient, trained on its predictions"
        )
    return model
