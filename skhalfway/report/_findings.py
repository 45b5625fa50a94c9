"""Findings: what follows from an audit, by weight, each with its evidence and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import fisher_exact

from skhalfway._intervals import holm, mcnemar, wilson_interval
from skhalfway._text import counted
from skhalfway.report._threats import LEVEL, attempts_on, holds
from skhalfway.report._words import beside_noise, budget, in_percent, listed, probability, share

if TYPE_CHECKING:
    from skhalfway.report._parts import Retraining
    from skhalfway.report._report import AuditReport

SEVERITIES = ("high", "medium", "low", "note")
HIGH, MEDIUM = 0.2, 0.05  # least ends of intervals of rates

KINDS = {
    "transfer": "adversarial examples made on other models fool the deployed one",
    "own_attack": "an attack on the deployed model itself fools it",
    "noise": "random noise alone fools the deployed model",
    "class": "one class is fooled more often than the others",
    "column": "one column carries the attack",
    "resistant_model": "another model resists better",
    "retraining": "adversarial training helps",
    "masked": "gradients may be masked",
    "check": "the check-up of a model warns",
}


@dataclass(frozen=True)
class Advice:
    """One finding.

    Attributes
    ----------
    kind : str
        One of "transfer", "own_attack", "noise", "class", "column", "resistant_model", "retraining", "masked"
        and "check".
    severity : {"high", "medium", "low", "note"}
        By the lower end of the rate's interval: from 20 % high, from 5 % medium. A note calls for no action
        by itself.
    title : str
        What was found.
    evidence : str
        The figures.
    action : str
        What to do.
    """

    kind: str
    severity: str
    title: str
    evidence: str
    action: str


def findings_of(report: AuditReport) -> tuple[Advice, ...]:
    """All findings, the weightiest first."""
    makers = (_masked, _checks, _threats, _noise, _classes, _columns, _resistant, _retraining)
    found = [advice for maker in makers for advice in maker(report)]
    return tuple(sorted(found, key=lambda advice: SEVERITIES.index(advice.severity)))


def _severity(low: float) -> str:
    return "high" if low >= HIGH else "medium" if low >= MEDIUM else "low"


def _threats(report: AuditReport) -> Iterator[Advice]:
    """Attackers who fool the model more often than noise: one finding without the model, one with it."""
    beyond = [threat for threat in report.threats if threat.beyond_noise]
    apart = [threat for threat in beyond if threat.kind != "deployed"]
    if apart:
        worst = max(apart, key=lambda threat: threat.interval.low)
        first = min(apart, key=lambda threat: threat.eps)
        yield Advice(
            "transfer",
            _severity(worst.interval.low),
            f"Adversarial examples made on other models fool {report.deployed}",
            f"Within {budget(worst.eps, report.unit)}, samples made on {listed(worst.sources)} fool it: "
            f"{beside_noise(worst)}. The best single source is {worst.best}: "
            f"{share(worst.best_fooled, worst.best_n)}. The smallest budget beyond noise is "
            f"{budget(first.eps, report.unit)} ({probability(first.p)}).",
            "Keeping the model secret does not protect it. Reduce what a client can change without being "
            f"checked, {_other_remedy(report)}, and audit again.",
        )
    own = [threat for threat in beyond if threat.kind == "deployed"]
    if own:
        worst = max(own, key=lambda threat: threat.interval.low)
        first = min(own, key=lambda threat: threat.eps)
        apart_rate = max((threat.rate for threat in apart), default=0.0)
        keep = (
            "Guard the file of the model, and limit how many questions one client may ask."
            if apart_rate < worst.rate
            else "Whoever has no access does as much damage, so that secrecy would not help."
        )
        yield Advice(
            "own_attack",
            _severity(worst.interval.low),
            f"Whoever has {report.deployed}, or may ask it often, fools it",
            f"Attacked itself within {budget(worst.eps, report.unit)}: {beside_noise(worst)}. The smallest "
            f"budget beyond noise is {budget(first.eps, report.unit)} ({probability(first.p)}).",
            keep,
        )


def _other_remedy(report: AuditReport) -> str:
    """What to try beside columns, in the light of what was tried here."""
    if report.retraining is None:
        return "try adversarial training or another model"
    return "retrain on adversarial samples" if _effect(report.retraining)[0] else "try another model"


def _effect(tried: Retraining) -> tuple[bool, str]:
    """Whether adversarial training helps, and what it does in a word."""
    before, after = tried.accuracy("own")
    told = abs(after - before) >= MEDIUM and tried.p("own") < LEVEL
    helps = bool(told and after > before)
    return helps, "helps" if helps else "makes it worse" if told else "was tried and does not help"


def _noise(report: AuditReport) -> Iterator[Advice]:
    """Noise that fools a model by itself: it is not reliable, attacker or not."""
    if not report.threats:
        return
    worst = max(report.threats, key=lambda threat: (threat.eps, threat.n))
    low = float(wilson_interval(worst.noise, worst.n)[0]) if worst.n else 0.0
    if low >= MEDIUM / 2:
        yield Advice(
            "noise",
            _severity(low),
            f"Random changes alone fool {report.deployed}",
            f"Noise within {budget(worst.eps, report.unit)} changes {share(worst.noise, worst.n)} of the "
            "right answers, without any attacker.",
            "Errors of measurement of that size matter: check how exact the inputs are, and prefer budgets "
            "at which noise does little.",
        )


def _classes(report: AuditReport) -> Iterator[Advice]:
    """Classes that are fooled more often than the rest."""
    rates = class_rates(report)
    if len(rates) < 2:
        return
    total_n, total_fooled = sum(n for _, n, _ in rates), sum(fooled for _, _, fooled in rates)
    p = np.full(len(rates), np.nan)
    for k, (_, n, fooled) in enumerate(rates):
        rest = total_n - n, total_fooled - fooled
        if n and rest[0]:
            table = [[fooled, n - fooled], [rest[1], rest[0] - rest[1]]]
            p[k] = fisher_exact(table, alternative="greater").pvalue
    adjusted = holm(p)
    for (label, n, fooled), adjusted_p in zip(rates, adjusted, strict=True):
        if adjusted_p < LEVEL:
            rest_n, rest_fooled = total_n - n, total_fooled - fooled
            yield Advice(
                "class",
                "medium" if fooled / n >= HIGH else "low",
                f"Samples of class {label} are fooled most",
                f"{share(fooled, n)} against {share(rest_fooled, rest_n)} of all other classes "
                f"({probability(float(adjusted_p))}, Fisher's exact test, adjusted for all classes).",
                f"Weigh what it costs when {label} is missed. Give the class more weight or more samples in "
                "training, and read the rates by class, not their mean.",
            )


def class_rates(report: AuditReport) -> list[tuple[str, int, int]]:
    """By class, the rarest first: its label, samples that count, and how many fool at the largest budget.

    Made on the models of attackers without the deployed one, or on itself where there is no other.
    """
    matrix = report.curve.matrices[-1]
    outcomes = matrix.outcomes
    if outcomes is None or outcomes.labels is None:
        return []
    last = {one.kind: one for one in attempts_on(report.deployed, report.roles, report.curve)}
    made = [one for kind, one in last.items() if kind != "deployed"] or list(last.values())
    eligible, fooled = (
        np.any([getattr(one, what).any(axis=0) for one in made], axis=0) for what in ("eligible", "fooled")
    )
    rates = []
    for place in np.unique(outcomes.labels):
        of_class = outcomes.labels == place
        label = str(outcomes.classes[place])
        rates.append(
            (label, int((eligible & of_class).sum()), int((fooled & of_class).sum()), of_class.sum())
        )
    return [rate[:3] for rate in sorted(rates, key=lambda rate: rate[3])]


def _columns(report: AuditReport) -> Iterator[Advice]:
    """Columns without which the attack does much less."""
    columns = report.columns
    if columns is None or not columns.n_fooled:
        return
    of = dict(zip(columns.names, columns.weights, strict=True))
    # of an array columns are called by their numbers, which is how constraints name them
    numbered = {f"column {k}": k for k in range(len(of))}
    as_given: dict[str, Any] = numbered if set(of) == set(numbered) else {}
    for name, left in columns.frozen.items():
        gone = columns.n_fooled - left
        # what one alone fools and the other does not is not kept: the bound of least evidence
        if left <= columns.n_fooled / 2 and mcnemar(np.array(gone), np.array(0)) < LEVEL:
            yield Advice(
                "column",
                "medium",
                f"Column {name} carries the attack",
                f"Its change decides in {in_percent(of[name])} % of cases. Within "
                f"{budget(columns.eps, report.unit)} the attack on the model itself fools "
                f"{share(columns.n_fooled, columns.n_samples)}; where {name} may not change, "
                f"{share(left, columns.n_samples)}.",
                f"See to it that clients cannot set {name} freely: take it from a source of your own, or "
                f"verify it; then audit with "
                f"Constraints(immutable=[{as_given.get(name, name)!r}]).",
            )


def _resistant(report: AuditReport) -> Iterator[Advice]:
    """Other models that are as accurate and hold more often against the same attackers."""
    curve = report.curve
    own = report.held()
    found, p_values = [], []
    for name in curve.targets:
        if report.roles[name] == "surrogate":
            continue  # trained on less, by default settings, and for another end
        sources = [s for s in curve.sources if s not in (name, report.deployed)]
        if name == report.deployed or not sources:
            continue
        other = holds(curve, name, ())
        mine, theirs = (holds(curve, one, sources) for one in (report.deployed, name))
        if own is None or other is None or mine is None or theirs is None:
            continue
        worse = float(mcnemar((own & ~other).sum(), (other & ~own).sum()))
        if other.mean() < own.mean() and worse < LEVEL:
            continue
        found.append((name, mine, theirs))
        only_mine, only_theirs = (mine & ~theirs).sum(), (theirs & ~mine).sum()
        p_values.append(float(mcnemar(only_mine, only_theirs)) if only_theirs > only_mine else 1.0)
    for (name, mine, theirs), p in zip(found, holm(np.array(p_values)), strict=True):
        if p < LEVEL and theirs.mean() - mine.mean() >= MEDIUM:
            n = len(mine)
            yield Advice(
                "resistant_model",
                "note",
                f"{name} resists the same attackers better than {report.deployed}",
                f"Right as it is and under samples made on all other models: {share(int(theirs.sum()), n)} "
                f"of the samples, and {report.deployed} {share(int(mine.sum()), n)} "
                f"({probability(float(p))}, McNemar's test, adjusted). "
                "Its accuracy is not lower, beyond chance.",
                f"Consider {name} in the place of {report.deployed}; audit it itself first, as attackers who "
                "have it would.",
            )


def _retraining(report: AuditReport) -> Iterator[Advice]:
    """What adversarial training of a clone bought."""
    tried = report.retraining
    if tried is None:
        return
    clean = tried.accuracy()
    helps, effect = _effect(tried)
    n = tried.own.shape[1]
    doubt = " Its gradients may be masked, so that this may look too good." if tried.masked else ""
    others = ""
    if tried.others is not None:
        o_before, o_after = tried.others.sum(axis=1)
        others = (
            f" Under samples made on {listed(tried.sources)}: {share(o_after, n)}; without these "
            f"{share(o_before, n)}."
        )
    yield Advice(
        "retraining",
        "note",
        f"Adversarial training {effect}",
        f"A clone trained anew, once, on {counted(tried.n_rows, 'sample')} and as many adversarial ones of "
        f"{budget(tried.eps, report.unit)} stays right under its own attack for "
        f"{share(int(tried.own[1].sum()), n)} of the samples; without these "
        f"{share(int(tried.own[0].sum()), n)} ({probability(tried.p('own'))}).{others} "
        f"Accuracy on the samples as they are: {in_percent(clean[0])} % before, "
        f"{in_percent(clean[1])} % after ({probability(tried.p('right'))})."
        f"{doubt}",
        "Retrain with AdversarialSampler in an imbalanced-learn Pipeline, and audit what comes out with a "
        "stronger attack before you trust it."
        if helps
        else "One round against a model that stays as it was does not do it here: the clone learns to tell "
        "these samples by their changes. For networks, attack the model anew in each round of training; else "
        "other remedies come first: columns that clients cannot change, another model, fewer questions.",
    )


def _masked(report: AuditReport) -> Iterator[Advice]:
    curve = report.curve
    if curve.masked is None:
        return
    hidden = [name for name, flag in zip(curve.sources, curve.masked, strict=True) if flag]
    if hidden:
        mine = report.deployed in hidden
        yield Advice(
            "masked",
            "high" if mine else "note",
            f"The gradients of {listed(hidden)} may be masked",
            "Other attacks, on the same samples, fool it more often than its own, beyond chance.",
            "Do not take a low rate for robustness: attack it without gradients, by "
            "AdversarialGenerator(attack='hopskipjump') or 'square'.",
        )


def _checks(report: AuditReport) -> Iterator[Advice]:
    for name, check in report.curve.checks.items():
        for finding in check.warnings:
            if finding.kind in ("gradient", "attack") and report.curve.masked is not None:
                masked = dict(zip(report.curve.sources, report.curve.masked, strict=True))
                if masked.get(name):
                    continue
            mine = report.roles[name] != "surrogate"
            message = finding.message[0].upper() + finding.message[1:]
            yield Advice(
                "check",
                "medium" if mine else "note",
                f"The check-up of {name} warns",
                f"{message}.",
                f"{finding.advice[0].upper()}{finding.advice[1:]}.",
            )
