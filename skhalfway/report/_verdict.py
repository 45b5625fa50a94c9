"""The verdict: whether the deployed model is exposed, to which attackers, at which budget, how certainly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from skhalfway._intervals import wilson_interval
from skhalfway._text import counted
from skhalfway.report._findings_data import (
    called,
    held_because,
    in_deviations,
    least,
    of_unit,
    other_unit,
    tells,
)
from skhalfway.report._threats import ATTACKERS, Excess, Threat, beyond_noise_at_most, n_comparisons
from skhalfway.report._useless import useless
from skhalfway.report._words import budget, in_percent, listed, probability, share
from skhalfway.results._record import Record

if TYPE_CHECKING:
    from skhalfway.report._inspected import TellingColumn
    from skhalfway.report._report import AuditReport

FEWEST = 30  # with fewer samples, attacks that find nothing show nothing
# where attacks find nothing, the largest share that the samples may leave open: the upper end of the 95 %
# interval of the share that attacks fool and noise does not
MOST_OPEN = 0.1
WEAKER = 0.1  # surrogates that are less accurate by this much show little

LEVELS = {
    "exposed": "Exposed",
    "exposed_to_owner": "Exposed to whoever has the model",
    "nothing_found": "No attack tried here fools it more often than random noise",
    "unknown": "Not known whether it is exposed",
}
# what a headline adds where the result depends on columns that constraints fix
CONDITIONS = {
    "nothing_found": ", as long as attackers cannot set",
    "exposed_to_owner": ", and to others if they can set",
}


@dataclass(frozen=True)
class Verdict(Record):
    """The main conclusion of a report.

    Attributes
    ----------
    level : {"exposed", "exposed_to_owner", "nothing_found", "unknown"}
        "exposed": attackers without the deployed model fool it more often than noise does.
        "exposed_to_owner": attackers who have it do; of others, that was not shown. "nothing_found": nobody
        does. "unknown": nobody does, and the figures are not enough to tell.
    headline : str
        The level in words.
    sentences : tuple of str
        Which attackers fool it how often, at which budget; how certain that is; and reasons for doubt.

    Examples
    --------
    >>> from skhalfway.report import Verdict
    >>> print(Verdict("unknown", "Not known", ("No sample counts.",)))
    Not known. No sample counts.
    """

    level: str
    headline: str
    sentences: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join([f"{self.headline}.", *self.sentences])


def verdict_of(report: AuditReport) -> Verdict:
    """Verdict of a report."""
    threats = report.threats
    left_open = _open_shares(report)
    doubts = (*doubts_about(report), *_too_few(left_open))
    sentences: list[str] = []
    level = _level(threats, doubts)
    for kind, attacker in ATTACKERS.items():
        mine = [threat for threat in threats if threat.kind == kind]
        if mine:
            sentences.append(_sentence(report, attacker, mine))
    if any(threat.n for threat in threats):
        n = n_comparisons(report.deployed, report.roles, report.curve)
        sentences += [
            "A sample counts if the deployed model and the one that is attacked classify it correctly.",
            f"P-values are adjusted for {counted(n, 'comparison')} with noise (Holm's method).",
        ]
    of_spread = in_deviations(report)
    if of_spread:
        sentences.append(f"The largest budget, {_largest(report)}, is {of_spread} that attacks change.")
    if level == "unknown":
        sentences.append(f"The figures do not show that the model is safe: {'; '.join(doubts)}.")
    elif doubts:
        others = "Others may fool it too, and the" if level == "exposed_to_owner" else "The"
        sentences.append(f"{others} true figures may be higher: {'; '.join(doubts)}.")
    headline = LEVELS[level]
    if level in CONDITIONS and (declared := _declared(report)):
        named = called([name for one in declared for name in one.names])
        headline += f"{CONDITIONS[level]} {named}"
        sentences.append(
            f"The constraints say that attackers cannot set {named}, and the result rests on that."
        )
        sentences += [f"{said[0].upper()}{said[1:]}." for said in (tells(report, one) for one in declared)]
    if level == "nothing_found":
        worst = max(left_open.values(), key=lambda one: one.high)
        largest = f"{_largest(report)}, {of_spread}" if of_spread else _largest(report)
        headline = f"{LEVELS[level]} within {largest}{headline.removeprefix(LEVELS[level])}"
        sentences.append(
            f"With 95 % confidence, at most {in_percent(worst.high)} % of such samples fool it under these "
            f"attacks and not under noise ({counted(worst.n, 'sample')} count)."
        )
    if report.partial:
        sentences.append("The run was interrupted, so this verdict rests on a part of the measurements.")
    return Verdict(level, headline, tuple(sentences))


def _level(threats: Sequence[Threat], doubts: Sequence[str]) -> str:
    beyond = {threat.kind for threat in threats if threat.beyond_noise}
    if beyond & {"surrogate", "other"}:
        return "exposed"
    if beyond:  # doubts are reasons why rates may be too low, which an attack that succeeds does not need
        return "exposed_to_owner"
    return "unknown" if doubts else "nothing_found"


def _largest(report: AuditReport) -> str:
    return budget(float(report.curve.eps[-1]), report.unit)


def doubts_about(report: AuditReport) -> tuple[str, ...]:
    """Reasons why rates may be too low; with one of them, no model is called safe."""
    curve = report.curve
    reasons = []
    if not report.threats or not max(threat.n for threat in report.threats):
        reasons.append("no sample counts")
    elif min(threat.n for threat in report.threats) < FEWEST:
        few = min(threat.n for threat in report.threats)
        reasons.append(f"only {counted(few, 'sample')} count, and at least {FEWEST} are needed")
    if curve.masked is not None:
        hidden = [name for name, flag in zip(curve.sources, curve.masked, strict=True) if flag]
        if report.deployed in hidden:
            reasons.append(
                "the attack on the deployed model is too weak, as its gradients may be masked or its answers "
                "random"
            )
    reasons += _about_data(report)  # before check-ups, whose warnings may follow from it
    if (worthless := useless(report)) is not None:
        reasons.append(
            f"{worthless.said(report.deployed)}, and a model that hardly uses its input seems robust"
        )
    for name in (report.deployed, *(name for name in curve.sources if report.roles[name] == "other")):
        check = curve.checks.get(name)
        if check is not None and check.warnings:
            reasons.append(f"the check-up of {name} warns: {check.warnings[0].message}")
    if report.unmoved:
        reasons.append(
            f"the reference varies much less than the samples in {listed(report.unmoved)}, so that budgets "
            "are close to 0 there; pass a reference like the samples, or constraints that fix these columns"
        )
    reasons += filter(None, [_weak_surrogates(report)])
    failed = sorted({name for matrix in curve.matrices for pair in matrix.failures for name in pair})
    if failed:
        reasons.append(f"measurements of {listed(failed)} failed")
    return tuple(reasons)


def _too_few(left_open: dict[str, Excess]) -> Iterator[str]:
    """Doubt where so few samples count that a share worth knowing may have been missed by chance."""
    worst = max(left_open.values(), key=lambda one: one.high, default=None)
    if worst is not None and worst.n >= FEWEST and worst.high > MOST_OPEN:
        yield (
            f"{counted(worst.n, 'sample')} are too few to tell: up to {in_percent(worst.high)} % of such "
            "samples may fool it under these attacks and not under noise (95 % confidence), and at most "
            f"{in_percent(MOST_OPEN)} % would be little"
        )


def _open_shares(report: AuditReport) -> dict[str, Excess]:
    """Of attackers that find no more than noise, what the samples leave open; none if others find more."""
    beyond = {threat.kind for threat in report.threats if threat.beyond_noise}
    if beyond & {"surrogate", "other"}:
        return {}
    found = beyond_noise_at_most(report.deployed, report.roles, report.curve)
    return {kind: one for kind, one in found.items() if kind not in beyond}


def _about_data(report: AuditReport) -> Iterator[str]:
    """Reasons for doubt that lie in the data."""
    data = report.data
    if data is None:
        return
    if data.barely_moved:
        yield (
            f"the largest budget, {_largest(report)}, is less than {least(report)} % of the standard "
            f"deviation of {called(data.barely_moved)}, so that attacks hardly change these values "
            f"({other_unit(report)}, or constraints that fix these columns)"
        )
    for one in data.telling:
        if not (one.declared or of_unit(report, one)):
            them = "it" if len(one.names) == 1 else "them"
            yield (
                f"{tells(report, one)}, and {held_because(report, one)}, so that attacks fail although "
                f"whoever can set {them} fools the model"
            )
    if data.seen:
        yield (
            f"{data.seen:,} of the {counted(report.curve.n_samples, 'attacked sample')} are in the reference "
            "too, and a model that was trained on them may be more robust on these than on new samples"
        )


def _declared(report: AuditReport) -> list[TellingColumn]:
    """Columns that tell the label and that the user has declared immutable: a good result depends on them."""
    return [] if report.data is None else [one for one in report.data.telling if one.declared]


def _weak_surrogates(report: AuditReport) -> str:
    """Reason for doubt where surrogates do no more than noise and are far less accurate; else empty."""
    mine = [threat for threat in report.threats if threat.kind == "surrogate"]
    if not mine or any(threat.beyond_noise for threat in mine):
        return ""
    curve = report.curve
    accuracy = dict(zip(curve.names, curve.accuracy, strict=True))
    best, own = max(accuracy[name] for name in mine[0].sources), accuracy[report.deployed]
    n = curve.n_samples
    ends = [wilson_interval(round(share_right * n), n) for share_right in (best, own)]
    if np.isnan(own) or own - best < WEAKER or ends[0].high >= ends[1].low:
        return ""
    return (
        f"the best surrogate has an accuracy of {in_percent(best)} % and {report.deployed} one of "
        f"{in_percent(own)} %, so attackers with better models may fool it more often"
    )


def _sentence(report: AuditReport, attacker: str, threats: Sequence[Threat]) -> str:
    """Sentence on one kind of attacker: at the smallest budget that beats noise, and at the largest."""
    beyond = [threat for threat in threats if threat.beyond_noise]
    last = threats[-1]
    upper = attacker[0].upper() + attacker[1:]
    if not last.n:
        return f"How often {attacker} fools it is not known, as no sample counts."
    if not beyond:
        return (
            f"{upper} does not fool it significantly more often than random noise does "
            f"({probability(last.p)}): within {budget(last.eps, report.unit)} on "
            f"{share(last.fooled, last.n)} of the samples, and noise on {share(last.noise, last.n)}."
        )
    first = beyond[0]
    said = (
        f"{upper} fools it on {share(first.fooled, first.n)} of the samples that count, with changes of at "
        f"most {budget(first.eps, report.unit)} (noise of that size: {in_percent(first.noise_rate)} %; "
        f"{probability(first.p)})"
    )
    if last is not first:
        said += (
            f", and on {share(last.fooled, last.n)} with at most {budget(last.eps, report.unit)} (noise: "
            f"{in_percent(last.noise_rate)} %)"
        )
    return f"{said}."
