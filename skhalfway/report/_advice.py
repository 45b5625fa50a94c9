"""Advice: one finding of an audit, and the kinds and severities that there are."""

from __future__ import annotations

from dataclasses import dataclass

from skhalfway.results._record import Record

SEVERITIES = ("high", "medium", "low", "note")
HIGH, MEDIUM = 0.2, 0.05  # limits of the severities, for the lower end of a rate's interval

KINDS = {
    "transfer": "adversarial examples made on other models fool the deployed one",
    "own_attack": "an attack on the deployed model itself fools it",
    "noise": "random noise alone fools the deployed model",
    "class": "samples of one class fool it more often than those of others",
    "column": "the attack depends on one column",
    "resistant_model": "another model is more robust",
    "retraining": "adversarial training helps",
    "masked": "an attack may be too weak, as gradients may be masked or answers random",
    "check": "the check-up of a model warns",
    "leak": "a column that attacks do not change tells the label, or the answers of the deployed model",
    "overlap": "samples are in the reference too, so the model may have been trained on them",
    "budget": "the budget does not fit the data: as large as its range, or far below its standard deviation",
    "constraints": "no constraints say which changes are possible",
}

OF_DATA = ("leak", "overlap", "budget", "constraints")  # kinds of findings on the data


@dataclass(frozen=True)
class Advice(Record):
    """One finding of an audit.

    Attributes
    ----------
    kind : str
        One of "transfer", "own_attack", "noise", "class", "column", "resistant_model", "retraining",
        "masked", "check", "leak", "overlap", "budget" and "constraints".
    severity : {"high", "medium", "low", "note"}
        Severity, by the lower end of the rate's interval: high from 20 %, medium from 5 %. A note needs no
        action by itself.
    title : str
        The finding in short.
    evidence : str
        The figures behind it.
    action : str
        Recommended action.

    Examples
    --------
    >>> from skhalfway.report import Advice
    >>> found = Advice("noise", "low", "Random changes alone fool it", "6 % of the samples.", "Check inputs.")
    >>> found.kind, found.severity
    ('noise', 'low')
    """

    kind: str
    severity: str
    title: str
    evidence: str
    action: str
