"""Findings of an audit, the most severe first, each with its evidence and advice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import fisher_exact

from skhalfway._intervals import holm, mcnemar, wilson_interval
from skhalfway._text import counted
from skhalfway.report._advice import HIGH, MEDIUM, SEVERITIES, Advice
from skhalfway.report._findings_checks import check_findings, useless_finding
from skhalfway.report._findings_data import data_findings, unit_finding
from skhalfway.report._threats import LEVEL, attempts_on, holds
from skhalfway.report._words import beside_noise, budget, in_percent, listed, probability, share

if TYPE_CHECKING:
    from skhalfway.report._parts import Retraining
    from skhalfway.report._report import AuditReport


def findings_of(report: AuditReport) -> tuple[Advice, ...]:
    """All findings, the most severe first."""
    of_figures = (_threats, _noise, _classes, _columns, _resistant, _retraining)
    # a wrong unit is the cause of much of the rest
    makers = (unit_finding, _masked, check_findings, useless_finding, data_findings, *of_figures)
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
            f"Within {budget(worst.eps, report.unit)}, samples made on {listed(worst.sources)} fool it "
            f"{beside_noise(worst)}. The best single source is {worst.best}: "
            f"{share(worst.best_fooled, worst.best_n)}. The difference from noise is significant from "
            f"{budget(first.eps, report.unit)} on ({probability(first.p)}).",
            "Keeping the model secret does not protect it. Reduce what a client can change without being "
            f"checked, {_other_remedy(report)}, and audit again.",
        )
    own = [threat for threat in beyond if threat.kind == "deployed"]
    if own:
        worst = max(own, key=lambda threat: threat.interval.low)
        first = min(own, key=lambda threat: threat.eps)
        apart_rate = max((threat.rate for threat in apart), default=0.0)
        keep = (
            "Protect the file of the model, and limit how many queries one client may make."
            if apart_rate < worst.rate
            else "Attackers without access do as much damage, so secrecy would not help."
        )
        yield Advice(
            "own_attack",
            _severity(worst.interval.low),
            f"An attacker who has {report.deployed}, or may query it often, fools it",
            f"Attacks on the model itself within {budget(worst.eps, report.unit)} fool it "
            f"{beside_noise(worst)}. The difference from noise is significant from "
            f"{budget(first.eps, report.unit)} on ({probability(first.p)}).",
            keep,
        )


def _other_remedy(report: AuditReport) -> str:
    """Remedy to recommend beside checked columns, given the effect of retraining here."""
    if report.retraining is None:
        return "try adversarial training or another model"
    return "retrain on adversarial samples" if _effect(report.retraining)[0] else "try another model"


def _effect(tried: Retraining) -> tuple[bool, str]:
    """Whether adversarial training helps, and its effect in words."""
    before, after = tried.accuracy("own")
    told = abs(after - before) >= MEDIUM and tried.p("own") < LEVEL
    helps = bool(told and after > before)
    return helps, "helps" if helps else "makes it worse" if told else "was tried and does not help"


def _noise(report: AuditReport) -> Iterator[Advice]:
    """Noise that fools the model: it is unreliable even without an attacker."""
    if not report.threats:
        return
    worst = max(report.threats, key=lambda threat: (threat.eps, threat.n))
    low = float(wilson_interval(worst.noise, worst.n)[0]) if worst.n else 0.0
    if low >= MEDIUM / 2:
        yield Advice(
            "noise",
            _severity(low),
            f"Random changes alone fool {report.deployed}",
            f"Noise within {budget(worst.eps, report.unit)} turns {share(worst.noise, worst.n)} of the "
            "correct predictions into wrong ones, without any attacker.",
            "Measurement errors of that size matter: check how exact the inputs are, and prefer budgets at "
            "which noise has little effect.",
        )


def _classes(report: AuditReport) -> Iterator[Advice]:
    """Classes whose samples fool the model more often than the rest."""
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
                f"Samples of class {label} fool it more often than others",
                f"{share(fooled, n)} of them fool it, against {share(rest_fooled, rest_n)} of all other "
                f"classes ({probability(float(adjusted_p))}, Fisher's exact test, adjusted for all classes).",
                f"Consider what it costs to miss samples of class {label}. Give the class more weight or "
                "more samples in training, and read the rates by class, not their mean.",
            )


def class_rates(report: AuditReport) -> list[tuple[str, int, int]]:
    """Label of each class, the rarest first, with numbers of samples that count and that fool.

    The samples are those of the largest budget, made on all models but the deployed one, or on that if there
    is no other.
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
    """Columns without which the attack is much weaker."""
    columns = report.columns
    if columns is None or not columns.n_fooled:
        return
    of = dict(zip(columns.names, columns.weights, strict=True))
    # columns of an array have numbers as names, and so have constraints
    numbered = {f"column {k}": k for k in range(len(of))}
    as_given: dict[str, Any] = numbered if set(of) == set(numbered) else {}
    for name, left in columns.frozen.items():
        gone = columns.n_fooled - left
        # the overlap of both attacks is not kept; this is the weakest evidence that the counts allow
        if left <= columns.n_fooled / 2 and mcnemar(np.array(gone), np.array(0)) < LEVEL:
            yield Advice(
                "column",
                "medium",
                f"The attack depends on column {name}",
                f"Its change decides in {in_percent(of[name])} % of the cases. Within "
                f"{budget(columns.eps, report.unit)} the attack on the model itself fools it on "
                f"{share(columns.n_fooled, columns.n_samples)} of the samples; if {name} must not change, on "
                f"{share(left, columns.n_samples)}.",
                f"Make sure that clients cannot set {name} freely: take it from a source of your own, or "
                f"verify it; then audit with "
                f"Constraints(immutable=[{as_given.get(name, name)!r}]).",
            )


def _resistant(report: AuditReport) -> Iterator[Advice]:
    """Other models that are as accurate and more robust against the same attackers."""
    curve = report.curve
    own = report.held()
    found, p_values = [], []
    for name in curve.targets:
        if report.roles[name] == "surrogate":
            continue  # surrogates are no candidates: they have less data and default settings
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
                f"{name} is more robust against the same attackers than {report.deployed}",
                f"It is right on {share(int(theirs.sum()), n)} of the samples, both clean and as made on all "
                f"other models; {report.deployed} is right on {share(int(mine.sum()), n)} "
                f"({probability(float(p))}, McNemar's test, adjusted). "
                "Its accuracy is not significantly lower.",
                f"Consider {name} in place of {report.deployed}. Audit it first, with attacks on itself.",
            )


def _retraining(report: AuditReport) -> Iterator[Advice]:
    """Effect of adversarial training of a clone."""
    tried = report.retraining
    if tried is None:
        return
    clean = tried.accuracy()
    helps, effect = _effect(tried)
    n = tried.own.shape[1]
    doubt = " Its gradients may be masked, so these figures may be too good." if tried.masked else ""
    others = ""
    if tried.others is not None:
        o_before, o_after = tried.others.sum(axis=1)
        others = (
            f" On samples made on {listed(tried.sources)} it is right on {share(o_after, n)}; without them "
            f"on {share(o_before, n)}."
        )
    yield Advice(
        "retraining",
        "note",
        f"Adversarial training {effect}",
        f"A clone was retrained once, on {counted(tried.n_rows, 'sample')} and as many adversarial ones of "
        f"{budget(tried.eps, report.unit)}. Under attacks on itself it is right on "
        f"{share(int(tried.own[1].sum()), n)} of the samples; a clone trained without the adversarial ones "
        f"is right on {share(int(tried.own[0].sum()), n)} ({probability(tried.p('own'))}).{others} "
        f"Accuracy on the clean samples: {in_percent(clean[0])} % before, "
        f"{in_percent(clean[1])} % after ({probability(tried.p('right'))})."
        f"{doubt}",
        "Retrain with AdversarialSampler in an imbalanced-learn Pipeline, and audit the new model with a "
        "stronger attack before you trust it."
        if helps
        else "One round of adversarial training against a fixed model is not enough here: the clone learns "
        "to recognise these samples by their changes. For networks, attack the model anew in each round of "
        "training. Otherwise try other remedies first: columns that clients cannot change, another model, "
        "fewer queries.",
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
            f"The attack on {listed(hidden)} may be too weak",
            "On the same samples, other attacks succeed significantly more often than its own. Its gradients "
            "may be masked, or its answers may be random.",
            "Do not take a low rate for robustness: attack without gradients and with more queries, with "
            "AdversarialGenerator(attack='hopskipjump', max_queries=5000) or 'square'.",
        )
