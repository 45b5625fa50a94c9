"""Limits of ``--fail-above``: parsing them, and checking a report against them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skhalfway.cli._parser import finite, wrong

if TYPE_CHECKING:
    from skhalfway.report import AuditReport

# figures that limits are for, repeated here to avoid importing the report; a test compares both
METRICS = {
    "rate": "share of samples on which the best kind of attacker succeeds, at the largest budget",
    "surrogate_rate": "the same for attackers who train models of their own",
    "other_rate": "the same for attackers who have one of the other models",
    "deployed_rate": "the same for attackers who have the deployed model",
    "noise_rate": "share of samples on which random noise of that size succeeds",
    "accuracy": "share of samples classified correctly",
    "robust_accuracy": "share of samples classified correctly, also under every attack",
    "findings": "number of findings that are not mere notes",
}
KINDS = (
    *("transfer", "own_attack", "noise", "class", "column", "resistant_model", "retraining", "masked"),
    *("check", "leak", "overlap", "budget", "constraints"),
)
PARTS_OF_KINDS = {"column": "columns", "retraining": "retraining"}  # other kinds do not depend on a part
LEAST = ("accuracy", "robust_accuracy")  # figures with a lower limit


@dataclass(frozen=True)
class Limit:
    """A limit for a figure or a kind of finding.

    Attributes
    ----------
    name : str
        One of ``METRICS``, or one of ``KINDS`` if ``value`` is None.
    value : float or None
        The largest figure that passes; for figures in ``LEAST``, the smallest one. None: no finding of that
        kind passes.
    """

    name: str
    value: float | None

    def __str__(self) -> str:
        return f"kind:{self.name}" if self.value is None else f"{self.name}={_plain(self.value)}"


@dataclass(frozen=True)
class Outcome:
    """Result of one limit.

    Attributes
    ----------
    name : str
        The limit as it was given.
    passed : bool
        Whether the report is within the limit.
    said : str
        The figure and the limit, in words.
    """

    name: str
    passed: bool
    said: str


def limit(text: str) -> Limit:
    """Parse a limit, such as ``0.3``, ``rate=0.3`` or ``kind:transfer``."""
    if text.startswith("kind:"):
        kind = text.removeprefix("kind:")
        if kind not in KINDS:
            raise wrong(f"the kind of finding must be one of {', '.join(KINDS)}; got {kind[:40]!r}")
        return Limit(kind, None)
    name, number = text.split("=", 1) if "=" in text else ("rate", text)
    if name not in METRICS:
        raise wrong(f"the figure must be one of {', '.join(METRICS)}; got {name[:40]!r}")
    value = finite(number)
    if value < 0 or (value > 1 and name != "findings"):
        allowed = "at least 0" if name == "findings" else "a share from 0 to 1, such as 0.3 for 30 %"
        raise wrong(f"{name} must be {allowed}, got {number}")
    return Limit(name, value)


def unknowable(
    limits: Sequence[Limit], *, n_models: int, surrogates: bool, parts: Sequence[str] = ("all",)
) -> str:
    """Error message for limits of figures that will not be measured; "" if there is none."""
    for one in limits:
        part = PARTS_OF_KINDS.get(one.name) if one.value is None else None
        if part is not None and part not in parts and "all" not in parts:
            return f"{one} needs a part that is not measured; add {part} to --parts"
        if one.name == "surrogate_rate" and not surrogates:
            return "surrogate_rate is not measured with --no-surrogates; leave that limit out"
        if one.name == "other_rate" and n_models < 2:
            return "other_rate needs other models; give a second --model"
    return ""


def judged(report: AuditReport, limits: Sequence[Limit], *, accept_doubts: bool = False) -> list[Outcome]:
    """Check a report against each limit.

    Rates may be low only because attacks missed adversarial examples. If there is reason to think so, an
    additional outcome fails, whatever the figures are, unless doubts are accepted.
    """
    from skhalfway.report._verdict import doubts_about

    outcomes = list(_judged(report, limits))
    if any(one.name != "accuracy" for one in limits):
        doubts = doubts_about(report)
        said = (
            f"attacks may have missed adversarial examples: {'; '.join(doubts)}"
            if doubts
            else "there is no reason to doubt the figures"
        )
        outcomes.append(Outcome("figures can be trusted", accept_doubts or not doubts, said))
    return outcomes


def _judged(report: AuditReport, limits: Sequence[Limit]) -> Iterator[Outcome]:
    for one in limits:
        if one.value is None:
            found = [advice.title for advice in report.findings if advice.kind == one.name]
            said = f"finding: {found[0]}" if found else _why_not_looked_for(report, one.name)
            yield Outcome(str(one), not said, said or f"no finding of kind {one.name}")
            continue
        figure = report.metrics.get(one.name, float("nan"))
        least = one.name in LEAST
        passed = figure >= one.value if least else figure <= one.value  # nan never passes
        if figure != figure:
            said = f"{one.name} is not known"
        else:
            relation = "not " * passed + ("below" if least else "above")
            said = f"{one.name} {_written(figure, one.value)} is {relation} {_plain(one.value)}"
        yield Outcome(str(one), passed, said)


def _why_not_looked_for(report: AuditReport, kind: str) -> str:
    """Reason why such a finding was not looked for; "" if it was."""
    part = PARTS_OF_KINDS.get(kind)
    if part is not None and getattr(report, part) is None:
        return f"kind:{kind} is not known: {report.left_out.get(part, 'its part was not measured')}"
    if kind == "masked" and report.curve.masked is None:
        return "kind:masked is not known: masked gradients were not looked for"
    return ""


def _plain(value: float) -> str:
    return repr(value).removesuffix(".0")


def _written(figure: float, other: float) -> str:
    """A figure, with enough digits to show on which side of another one it is."""
    for digits in range(3, 17):
        text = f"{figure:.{digits}g}"
        if (float(text) > other) == (figure > other) and (float(text) < other) == (figure < other):
            return text
    return repr(figure)
