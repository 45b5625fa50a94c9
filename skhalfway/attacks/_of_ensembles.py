"""Checks of sources: which attacks can follow an ensemble, and which sources are no ensembles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skhalfway._text import counted, shown
from skhalfway.models._ensemble_model import EnsembleModel
from skhalfway.models._type_checks import is_ensemble

if TYPE_CHECKING:
    from skhalfway.models import Model

# values of ``combine`` that give the ensemble logits of its own, which any attack can follow
AS_LOGITS = ("logits", "probabilities")


def check_follows(model: Model, attack: Any, *, by_gradient: bool, stepwise: bool) -> None:
    """Raise if an attack cannot follow an ensemble with its ``combine``.

    Parameters
    ----------
    model : Model
        The source.
    attack : object
        The attack, as users give it.
    by_gradient : bool
        Whether it follows gradients.
    stepwise : bool
        Whether it is one of this package's own attacks by projected steps.
    """
    if not isinstance(model, EnsembleModel) or model.combine in AS_LOGITS or not by_gradient:
        return
    given = f"Ensemble(combine={model.combine!r})"
    if not stepwise:
        raise TypeError(
            f"attack={shown(attack)} follows logits, and {given} has none of its own; give it "
            "combine='probabilities' or 'logits', or attack it by 'pgd', 'mifgsm' or a recipe"
        )
    if model.combine == "serial" and attack == "fgsm":
        raise ValueError(
            f"attack='fgsm' takes one step, so with {given} it would follow only the first of "
            f"{counted(len(model.members), 'member')}; take 'pgd', or another combine"
        )


def check_layers(model: Model, pieces: list[str]) -> None:
    """Raise if pieces need the layers of one network, and the source is followed member by member."""
    if isinstance(model, EnsembleModel) and model.combine not in AS_LOGITS:
        raise ValueError(
            f"{' and '.join(pieces)} changes or reads layers of one network, and Ensemble(combine="
            f"{model.combine!r}) follows its members separately; give it combine='logits' or "
            "'probabilities', or leave the piece out"
        )


def check_one_layer(model: Model, piece: str) -> None:
    """Raise if a piece uses one layer, and the source holds several networks."""
    if isinstance(model, EnsembleModel):
        raise ValueError(
            f"{piece} follows one layer, which belongs to one member, so the other members of an Ensemble "
            "would not count; attack the members by it one by one, or leave the piece out"
        )


def check_learns(name: str, estimator: Any) -> None:
    """Raise for an ensemble that is to be trained on a black box's predictions, and has fitted members."""
    if not is_ensemble(estimator):
        return
    estimator._check()
    fitted = [member for member, _ in estimator.estimators if member not in estimator._fitted_by_name()]
    if fitted:
        raise ValueError(
            f"{name} is trained on the source's predictions, but its members {shown(fitted)} are fitted and "
            "stay as they are; pass unfitted ones"
        )
    if estimator.combine not in AS_LOGITS:
        raise ValueError(
            f"{name} is attacked through its logits, so it must be an Ensemble with combine="
            f"'probabilities' or 'logits', got {estimator.combine!r}"
        )
