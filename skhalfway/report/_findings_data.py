"""Findings on the data: leaks, samples seen before, budgets as large as the data, missing constraints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from skhalfway._text import counted
from skhalfway.report._advice import Advice
from skhalfway.report._inspected import BARELY, HELD, InspectedData, TellingColumn, barely_below
from skhalfway.report._words import budget, in_percent, listed

if TYPE_CHECKING:
    from skhalfway.report._report import AuditReport

MOST_NAMED = 12  # columns that a line of code names
MUCH = 2.5  # factor between the spreads of reference and samples that makes a finding more severe
MOST_SUGGESTED = 3  # columns that the attack depends on, to be fixed


def data_findings(report: AuditReport) -> Iterator[Advice]:
    """Findings on the data that were audited."""
    if report.data is not None:
        for one in report.data.telling:
            yield _leak(report, one)
        yield from _seen(report, report.data)
        yield from _budget(report, report.data)
        yield from _reference(report, report.data)
        yield from _codes(report, report.data)
        yield from _constraints(report, report.data)


def unit_finding(report: AuditReport) -> Iterator[Advice]:
    """Budgets so far below the spread of columns that their unit must be wrong."""
    data = report.data
    if data is None or not data.barely_moved:
        return
    largest = budget(float(report.curve.eps[-1]), report.unit)
    some = called(data.barely_moved)
    yield Advice(
        "budget",
        "high",
        f"The budget hardly changes {some}",
        f"The largest budget, {largest}, is less than {least(report)} % of the standard deviation of {some}. "
        "Attacks fail on any model that relies on such values.",
        f"Audit again: {other_unit(report)}.",
    )


def least(report: AuditReport) -> str:
    """Share of a standard deviation, in percent, below which a budget hardly changes values."""
    pixels = report.data is not None and report.data.barely_moved == ("pixels",)
    return in_percent(BARELY if pixels else barely_below(report.unit))


def in_deviations(report: AuditReport) -> str:
    """The largest budget in standard deviations, if it is in the units of the data; else empty."""
    shares = () if report.data is None else report.data.deviations
    if not shares:
        return ""
    percent = max(shares) < 1
    ends = list(dict.fromkeys(f"{100 * share if percent else share:.2g}" for share in shares))
    what = "% of a standard deviation" if percent else "standard deviations"
    return f"{' to '.join(ends)} {what} of each column"


def other_unit(report: AuditReport) -> str:
    """What to do about budgets far below the spread of columns."""
    data = report.data
    if data is not None and data.barely_moved == ("pixels",):
        return "pass budgets on the scale of the pixels, such as 8 for values from 0 to 255"
    if report.unit == "std":
        return "pass a reference like the samples, or larger budgets"
    if report.command:
        return "give --eps-unit std, so that budgets are shares of the standard deviation of each column"
    return (
        "pass generator=AdversarialGenerator(eps_unit='std', clip_values='range'), so that budgets are "
        "shares of the standard deviation of each column"
    )


def of_unit(report: AuditReport, one: TellingColumn) -> bool:
    """Whether no attack changes what these columns tell only since the budget hardly moves them."""
    return report.data is not None and set(one.names) <= set(report.data.barely_moved)


def called(names: Sequence[str]) -> str:
    """Columns in a sentence: ``column status``, ``columns a and b``, or ``the pixels``."""
    if tuple(names) == ("pixels",):
        return "the pixels"
    plain = [name.removeprefix("column ") for name in names]
    return f"column{'s' if len(names) > 1 else ''} {listed(plain)}"


def tells(report: AuditReport, one: TellingColumn) -> str:
    """How much a column tells, in words."""
    if one.tells == "decides":
        s, their = ("s", "its") if len(one.names) == 1 else ("", "their")
        own, of_others = in_percent(one.accuracy), in_percent(one.deployed)
        return (
            f"{called(one.names)} decide{s} most of what {report.deployed} answers (exchanging {their} "
            f"values between samples changes {own} % of the answers, exchanging those of all columns that "
            f"attacks change {of_others} %)"
        )
    if one.tells == "crosses":
        return (
            f"{called(one.names)} decides much of what {report.deployed} answers, across gaps between its "
            f"values (to the other side of the next gap, {in_percent(one.accuracy)} % of the answers change, "
            f"within the largest budget {in_percent(one.deployed)} %)"
        )
    alone, them = ("alone", "it") if len(one.names) == 1 else ("together", "them")
    right = in_percent(one.accuracy)
    if one.tells == "label":
        verb = "gives the label away" if alone == "alone" else "give the label away"
        figures = f"a simple rule on {them} is right on {right} % of the samples"
        figures += f", {report.deployed} on {in_percent(one.deployed)} %"
    else:
        verb = f"{'decides' if alone == 'alone' else 'decide'} what {report.deployed} answers"
        figures = f"a simple rule on {them} reproduces {right} % of its answers"
    guessing = f"guessing {'on ' * (one.tells == 'label')}{in_percent(one.chance)} %"
    return f"{called(one.names)} {alone} {verb} ({figures}, {guessing})"


def held_because(report: AuditReport, one: TellingColumn) -> str:
    """Why no attack changes what it tells."""
    if len(one.names) == 1:
        return f"it {HELD[one.held]}"
    if one.held == "missing":
        return "they tell by which of their values are missing, which attacks do not change"
    texts = [] if report.data is None else [name for name in one.names if name in report.data.categories]
    others = [name for name in one.names if name not in texts]
    if not others:
        return "they hold categories, which attacks do not change"
    if not texts:
        return "no attack here changes any of them much"
    return f"attacks do not change the categories of {called(texts)}, and hardly change {called(others)}"


def _leak(report: AuditReport, one: TellingColumn) -> Advice:
    them, are = ("it", "is") if len(one.names) == 1 else ("them", "are")
    tested = (
        "The rule was tested on samples that it was not learnt from, and shares are averaged over the "
        f"classes. {report.deployed} relies on {them}. "
    ) * (one.tells in ("label", "answers"))
    evidence = (
        f"{_upper(tells(report, one))}. {tested}Attacks cannot use that: "
        f"{held_because(report, one)}. So they fail whatever the model does otherwise, and a low rate of "
        "this audit does not show that the model is robust."
    )
    decide = "decides" if len(one.names) == 1 else "decide"
    if of_unit(report, one):
        return Advice(
            "leak",
            "low",
            f"{_upper(called(one.names))} {decide} much, and the budget hardly changes {them}",
            f"{_upper(tells(report, one))}. That may be as it should be: no attack changes {them} only "
            "because the budget is far below the spread of the values.",
            f"Audit again with a budget that fits before you read anything into this: {other_unit(report)}.",
        )
    leave_out = (
        f"If {called(one.names)} {are} not known before the label is, leave {them} out and train the model "
        "again. Until then, the figures of this audit say nothing about the model in use."
    )
    if one.declared:
        return Advice(
            "leak",
            "note",
            f"The result holds only while attackers cannot set {called(one.names)}",
            evidence,
            f"{leave_out} If attackers can set {them}, take {them} out of immutable and audit again.",
        )
    return Advice(
        "leak",
        "high",
        f"{_upper(called(one.names))} "
        + ("may give the label away" if one.tells == "label" else f"{decide} what {report.deployed} answers"),
        evidence,
        f"{leave_out} If {called(one.names)} {are} known, and clients cannot set {them}, say so with "
        f"{rule(report, 'immutable', one.names)}. The result then holds only while that is true. If clients "
        f"can set {them}, they fool the model in that way, which no attack of this audit tries.",
    )


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


def rule(report: AuditReport, key: str, names: Sequence[str]) -> str:
    """The line of code, or of the file of constraints, that declares columns."""
    return rules(report, {key: _as_given(names)})


def rules(report: AuditReport, given: dict[str, object]) -> str:
    """The same for several keys."""
    if report.command:
        lines = [f"{key} = {_toml(value)}" for key, value in given.items()]
        what = "line" if len(lines) == 1 else "lines"
        return f"--constraints constraints.toml, where that file has the {what} {' and '.join(lines)}"
    return f"Constraints({', '.join(f'{key}={value!r}' for key, value in given.items())})"


def _as_given(names: Sequence[str]) -> list[object]:
    """Names for constraints; columns of an array have numbers there."""
    numbered = [name.removeprefix("column ") for name in names]
    if all(name.startswith("column ") for name in names) and all(map(str.isdecimal, numbered)):
        return [int(number) for number in numbered]
    return list(names)


def _toml(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return str(value)


def _seen(report: AuditReport, data: InspectedData) -> Iterator[Advice]:
    if data.seen:
        yield Advice(
            "overlap",
            "medium",
            "Samples are in the reference too",
            f"{data.seen:,} of the {counted(report.curve.n_samples, 'attacked sample')} are in the reference "
            "with the same values in all columns that the model uses. If the reference holds training data, "
            "the model was trained on them. A model may be more accurate and more robust on such samples "
            "than on new ones.",
            "Leave these rows out of the samples, or pass another reference.",
        )


def _budget(report: AuditReport, data: InspectedData) -> Iterator[Advice]:
    if data.spanned_from is not None:
        most = 2 * len(data.spanned) >= data.n_numeric
        yield Advice(
            "budget",
            "medium" if most else "note",
            "The budget is as large as the range of the data",
            f"From {budget(data.spanned_from, report.unit)} on, a change may be as large as the difference "
            f"between the smallest and the largest value of {called(data.spanned)}. Such a change can turn a "
            "sample into any other one. That a model is fooled by it shows no weakness.",
            "Check that the budget has the unit and the scale of the data. Choose budgets that leave the "
            "true label of a sample as it is.",
        )


def _reference(report: AuditReport, data: InspectedData) -> Iterator[Advice]:
    """Units of budgets that were measured on a reference unlike the samples."""
    for more in (False, True):
        found = [(name, factor) for name, factor in data.reference_spread if (factor > 1) == more]
        if not found:
            continue
        much = any(max(factor, 1 / factor) >= MUCH for _, factor in found)
        some = called([name for name, _ in found])
        factors = listed([f"{factor:.2g} times" for _, factor in found])
        follows = (
            "So the budgets are too large for these samples, and fewer of them may be fooled"
            if more
            else "So the budgets are too small for these samples, and more of them may be fooled"
        )
        yield Advice(
            "budget",
            "medium" if much else "low",
            f"The reference varies {'more' if more else 'less'} than the samples in {some}",
            f"Budgets are measured on the reference. In {some}, its spread is {factors} that of the samples, "
            f"which chance does not explain. {follows} than the figures say.",
            "Pass a reference like the samples. If these are a part of the data on purpose, choose budgets "
            "for them in the units of the data.",
        )


def _codes(report: AuditReport, data: InspectedData) -> Iterator[Advice]:
    """Numbers that the model treats as categories, while attacks make other numbers."""
    if not data.codes:
        return
    some, (them, are) = called(data.codes), ("it", "is") if len(data.codes) == 1 else ("them", "are")
    yield Advice(
        "constraints",
        "medium",
        f"{_upper(some)} {are} treated as categories, which attacks do not know",
        f"To {report.deployed}, all numbers between those in {some} are the same unknown category. Attacks "
        f"change {them} to such numbers, which no real sample has. What fools the model in that way shows no "
        "weakness, and other categories are not tried.",
        f"Fix {them} if clients cannot choose {them}: {rule(report, 'immutable', data.codes)}. If they can, "
        f"and all whole numbers are categories, let attacks try these: "
        f"{rule(report, 'integer', data.codes)}. Or make {them} text and train the model on that.",
    )


def _constraints(report: AuditReport, data: InspectedData) -> Iterator[Advice]:
    """Constraints that the columns suggest, where none were given."""
    if data.unconstrained:
        yield Advice(
            "constraints",
            "note",
            "No constraints say which changes are possible",
            " ".join(_unconstrained(report, data)),
            " ".join(_to_constrain(report, data)),
        )


def _unconstrained(report: AuditReport, data: InspectedData) -> Iterator[str]:
    """What attacks may do without constraints."""
    yield "Attacks may change every column of numbers by the whole budget."
    if data.integer:
        yield f"Whole numbers may become fractions in {called(data.integer)}."
    if data.identifiers:
        yield f"All values differ in {called(data.identifiers)}, as those of identifiers do."
    for group in data.one_hot:
        yield f"In each row, one of {called(group)} is 1 and the others are 0; attacks do not keep to that."
    if decisive := _decisive(report):
        yield f"The attack on {report.deployed} itself depends most on {called(decisive)}."
    if data.categories:
        yield f"Categories never change: {called(data.categories)}."


def _to_constrain(report: AuditReport, data: InspectedData) -> Iterator[str]:
    """What to write, where that is known, and what to ask."""
    given: dict[str, object] = {}
    if data.integer:
        given["integer"] = _as_given(data.integer[:MOST_NAMED])
    if data.one_hot:
        given["one_hot"] = [_as_given(group) for group in data.one_hot[:MOST_NAMED]]
    if given:
        more = " and so on" if max(len(data.integer), len(data.one_hot)) > MOST_NAMED else ""
        yield f"Say which changes are possible: {rules(report, given)}{more}."
    if data.identifiers:
        some, line = called(data.identifiers), rule(report, "immutable", data.identifiers[:MOST_NAMED])
        one = len(data.identifiers) == 1
        yield (
            f"If {some} {'is an identifier' if one else 'are identifiers'}, such as a number of a customer, "
            f"leave {'it' if one else 'them'} out and train the model again, or say that nobody sets "
            f"{'it' if one else 'them'}: {line}. If not, whole numbers are kept whole by "
            f"{rule(report, 'integer', data.identifiers[:MOST_NAMED])}."
        )
    if decisive := _decisive(report):
        them = "it" if len(decisive) == 1 else "them"
        line = rule(report, "immutable", decisive)
        yield f"Ask whether clients can set {called(decisive)} freely. If not, fix {them}: {line}."
    yield (
        "Columns that can only grow, such as an age, belong into increasing, and columns that can only "
        "shrink into decreasing."
    )
    if report.protocol.get("valid range") == "none":
        bound = "--clip-values range" if report.command else "AdversarialGenerator(clip_values='range')"
        yield (
            "Values may leave the range of the data, for example become negative. To keep them in the range, "
            f"pass {bound}."
        )


def _decisive(report: AuditReport) -> tuple[str, ...]:
    """The columns that decide most often whether an attack succeeds, if they were measured."""
    columns = report.columns
    if columns is None or not columns.n_fooled:
        return ()
    pairs = zip(columns.names, columns.weights, strict=True)
    return tuple(name for name, weight in pairs if weight > 0)[:MOST_SUGGESTED]
