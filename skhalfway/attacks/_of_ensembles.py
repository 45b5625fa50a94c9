"""Which attacks know what to follow of an ensemble's members, and which of models that are no ensembles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skhalfway._text import counted, shown
from skhalfway.models._ensemble_model import EnsembleModel
from skhalfway.models._type_checks import is_ensemble

if TYPE_CHECKING:
    from skhalfway.models import Model

# what has logits of its own, which any attack can follow
AS_LOGITS = ("logits", "probabilities")


def check_follows(model: Model, attack: Any, *, by_gradient: bool, stepwise: bool) -> None:
    """Raise where an attack cannot follow what an ensemble's ``combine`` says.

    Parameters
    ----------
    model : Model
        The source.
    attack : object
        The attack, as users give it.
    by_gradient : bool
        Whether it follows gradients.
    stepwise : bool
        Whether it is one of this package's own of projected steps.
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
            f"attack='fgsm' takes one step, so of {given} it would follow the first of "
            f"{counted(len(model.members), 'member')} alone; take 'pgd', or another combine"
        )


def check_layers(model: Model, pieces: list[str]) -> None:
    """Raise where pieces need the layers of one network, and the source follows members one by one."""
    if isinstance(model, EnsembleModel) and model.combine not in AS_LOGITS:
        raise ValueError(
            f"{' and '.join(pieces)} changes or reads layers of one network, and Ensemble(combine="
            f"{model.combine!r}) follows its members apart; give it combine='logits' or 'probabilities', or "
            "leave the piece out"
        )


def check_one_layer(model: Model, piece: str) -> None:
    """Raise where a piece follows one layer, and the source holds several networks."""
    if isinstance(model, EnsembleModel):
        raise ValueError(
            f"{piece} follows one layer, which is that of one member, so the other members of an Ensemble "
            "would have no say; attack the members by it one by one, or leave the piece out"
        )


def check_learns(name: str, estimator: Any) -> None:
    """Raise for an ensemble that is to learn a black box's answers, and holds members that would not."""
    if not is_ensemble(estimator):
        return
    estimator._check()
    fitted = [member for member, _ in estimator.estimators if member not in estimator._fitted_by_name()]
    if fitted:
        raise ValueError(
            f"{name} learns what the source answers, but its members {shown(fitted)} are fitted and stay as "
            "they are; hand in unfitted ones"
        )
    if estimator.combine not in AS_LOGITS:
        raise ValueError(
            f"{name} is attacked through its logits, so it must be an Ensemble with combine="
            f"'probabilities' or 'logits', got {estimator.combine!r}"
        )
