"""Limits of ``--fail-above``: how they are written, and whether a report keeps to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from skhalfway.cli._parser import finite, wrong

if TYPE_CHECKING:
    from skhalfway.report import AuditReport

# what a limit may be of, without an import of the report; the tests compare both
METRICS = {
    "rate": "share of samples that the best kind of attacker fools within the largest budget",
    "surrogate_rate": "the same, of attackers who train models of their own",
    "other_rate": "the same, of attackers who have one of the other models",
    "deployed_rate": "the same, of attackers who have the deployed model",
    "noise_rate": "share that random noise of that size fools",
    "accuracy": "share classified right as they are",
    "robust_accuracy": "share classified right as they are and under every attack",
    "findings": "number of findings that are no notes",
}
KINDS = (
    *("transfer", "own_attack", "noise", "class", "column", "resistant_model", "retraining", "masked"),
    "check",
)
PARTS_OF_KINDS = {"column": "columns", "retraining": "retraining"}  # the others are always looked for
LEAST = ("accuracy", "robust_accuracy")  # those that a limit bounds from below


@dataclass(frozen=True)
class Limit:
    """A limit.

    Attributes
    ----------
    name : str
        One of ``METRICS``, or of ``KINDS`` where ``value`` is None.
    value : float or None
        The largest figure that passes, the smallest one of ``LEAST``. None: no finding of that kind passes.
    """

    name: str
    value: float | None

    def __str__(self) -> str:
        return f"kind:{self.name}" if self.value is None else f"{self.name}={_plain(self.value)}"


@dataclass(frozen=True)
class Outcome:
    """Whether a report keeps to one limit.

    Attributes
    ----------
    name : str
        The limit as it was given.
    passed : bool
        Whether it does.
    said : str
        The figure and the limit.
    """

    name: str
    passed: bool
    said: str


def limit(text: str) -> Limit:
    """``0.3``, ``rate=0.3`` or ``kind:transfer``."""
    if text.startswith("kind:"):
        kind = text.removeprefix("kind:")
        if kind not in KINDS:
            raise wrong(f"there is no kind of finding {kind[:40]!r}; there are {', '.join(KINDS)}")
        return Limit(kind, None)
    name, number = text.split("=", 1) if "=" in text else ("rate", text)
    if name not in METRICS:
        raise wrong(f"there is no figure {name[:40]!r}; there are {', '.join(METRICS)}")
    value = finite(number)
    if value < 0 or (value > 1 and name != "findings"):
        allowed = "at least 0" if name == "findings" else "a share from 0 to 1, as 0.3 for 30 %"
        raise wrong(f"{name} must be {allowed}, got {number}")
    return Limit(name, value)


def unknowable(
    limits: Sequence[Limit], *, n_models: int, surrogates: bool, parts: Sequence[str] = ("all",)
) -> str:
    """What is wrong with limits of figures that will not be measured; "" where nothing is."""
    for one in limits:
        part = PARTS_OF_KINDS.get(one.name) if one.value is None else None
        if part is not None and part not in parts and "all" not in parts:
            return f"{one} is found by a part that is not measured; add {part} to --parts"
        if one.name == "surrogate_rate" and not surrogates:
            return "surrogate_rate is not measured with --no-surrogates; leave that limit out"
        if one.name == "other_rate" and n_models < 2:
            return "other_rate is measured where there are other models; give a second --model"
    return ""


def judged(report: AuditReport, limits: Sequence[Limit], *, accept_doubts: bool = False) -> list[Outcome]:
    """Whether the report keeps to each limit.

    Rates may only look low where attacks have missed what is there. So where there is reason to think so,
    the limits are not kept, whatever the figures, unless doubts are accepted: that is an outcome of its own.
    """
    from skhalfway.report._verdict import doubts_about

    outcomes = list(_judged(report, limits))
    if any(one.name != "accuracy" for one in limits):
        doubts = doubts_about(report)
        said = (
            f"attacks may have missed what is there: {'; '.join(doubts)}"
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
    """Why there may be such a finding, though none was found; "" where it was looked for."""
    part = PARTS_OF_KINDS.get(kind)
    if part is not None and getattr(report, part) is None:
        return f"kind:{kind} is not known: {report.left_out.get(part, 'its part was not measured')}"
    if kind == "masked" and report.curve.masked is None:
        return "kind:masked is not known: it was not looked for"
    return ""


def _plain(value: float) -> str:
    return repr(value).removesuffix(".0")


def _written(figure: float, other: float) -> str:
    """A figure, with as many digits as tell on which side of another it is."""
    for digits in range(3, 17):
        text = f"{figure:.{digits}g}"
        if (float(text) > other) == (figure > other) and (float(text) < other) == (figure < other):
            return text
    return repr(figure)
