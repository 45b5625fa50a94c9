"""Texts that show a transfer matrix: its title, cells and notes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import FEWEST
from skhalfway._text import between, counted, named_pairs, short, shown
from skhalfway.attacks._per_sample import BY_SAMPLE
from skhalfway.results._table import Cell, Table
from skhalfway.transfer._counting import CONDITIONS
from skhalfway.transfer._doubted import doubted

if TYPE_CHECKING:
    from skhalfway.results import Provenance
    from skhalfway.transfer._curve import TransferCurve
    from skhalfway.transfer._matrix import TransferMatrix

_WIDEST = 34  # characters in a line of a title
# name of the only row where each target has an ensemble of its own as source
ALL_OTHERS = "all others"
DOUBTED = (
    "* seems more robust than it is, by masked gradients, random answers or a weak attack: other attacks "
    "fool this source more often than its own does, so its rates and the mean are too low"
)


def marked(result: TransferMatrix | TransferCurve) -> list[str]:
    """Names of the sources, with the mark of :data:`DOUBTED` where it applies."""
    named = doubted(result)
    return [f"{name} *" if name in named else name for name in result.sources]


def models_of(matrix: TransferMatrix) -> str:
    """Number of models, sources and targets, in words."""
    if matrix.sources == matrix.targets:
        return counted(len(matrix.names), "model")
    if matrix._one_each is not None:
        return f"{counted(len(matrix.targets), 'model')}, each attacked through the others"
    return f"{counted(len(matrix.sources), 'source')}, {counted(len(matrix.targets), 'target')}"


def title_of(matrix: TransferMatrix) -> str:
    """Title: numbers of models and samples, and the mean transfer rate."""
    parts = [models_of(matrix)]
    if matrix.outcomes is not None:
        parts.append(counted(matrix.n_samples, "sample"))
    mean = mean_of(matrix)
    if np.isfinite(matrix.standard_error):
        mean += " " + between(*matrix.confidence_interval(of="mean_rate"))
    elif matrix.eligible[matrix._transfers].min(initial=FEWEST) < FEWEST:
        mean += f" [no interval: a pair has fewer than {FEWEST} samples]"
    return ", ".join([*parts, mean + known_pairs(matrix)])


def mean_of(matrix: TransferMatrix) -> str:
    """Mean transfer rate, in words."""
    if np.isnan(matrix.mean_rate):
        return "no mean transfer rate"
    return f"mean transfer rate {short(matrix.mean_rate).strip()}"


def known_pairs(matrix: TransferMatrix) -> str:
    """Number of pairs that the mean is over; empty where no pair failed."""
    if not matrix.failures:
        return ""
    return f" over {matrix._transfers.sum()} of {counted(int(matrix._pairs.sum()), 'pair')}"


def attack_of(settings: Mapping[str, Any], longest: int | None = None) -> str:
    """Attack and budget in short, from the settings of a provenance; empty where it has none.

    ``longest``: number of characters to which the name of an attack is cut, so that the budget is seen.
    """
    if "attack" not in settings:
        return ""
    norm, eps, unit = (settings.get(name) for name in ("norm", "eps", "eps_unit"))
    budget = ""
    if norm is not None and eps is not None:
        size = f"{eps:g}" if isinstance(eps, (int, float)) else "by feature"
        if isinstance(eps, str) and eps.startswith(BY_SAMPLE):
            size = BY_SAMPLE
        budget = f", L{norm:g} eps {size}{'' if unit in (None, 'input') else f' {unit}'}"
    name = str(settings["attack"])
    room = len(name) if longest is None else longest - len(budget)
    return f"{name if len(name) <= room else f'{name[: room - 3]}...'}{budget}"


def drawn_attack(settings: Mapping[str, Any], before: str = "") -> str:
    """Attack and budget as a line of the title of a drawing; empty if they are not known."""
    attack = attack_of(settings, _WIDEST - len(before))
    return f"{before}{attack}\n" if attack else ""


def drawn_samples(provenance: Provenance) -> str:
    """Number of samples as a line of the title of a drawing; empty if it is not known."""
    return "" if provenance.n_samples is None else f"{counted(provenance.n_samples, 'sample')}\n"


def drawn_origin(provenance: Provenance | None) -> str:
    """Attack, budget and number of samples as lines of the title of a drawing, as far as they are known."""
    return "" if provenance is None else drawn_attack(provenance.settings) + drawn_samples(provenance)


def failed_pairs(matrix: TransferMatrix) -> NDArray[np.bool_]:
    """Pairs without any result, since a model failed."""
    if matrix.outcomes is None:
        return np.zeros(matrix.eligible.shape, dtype=bool)
    return matrix.outcomes.failed & (matrix.eligible == 0)


def failures_of(matrix: TransferMatrix) -> list[str]:
    """One line for each reason why pairs failed, with these pairs."""
    by_reason: dict[str, list[tuple[str, str]]] = {}
    for pair, reason in matrix.failures.items():
        by_reason.setdefault(reason, []).append(pair)
    lines = []
    for reason, pairs in by_reason.items():
        lines.append(f"{_pairs_in_words(matrix, pairs)}: {reason}")
    return lines


def _pairs_in_words(matrix: TransferMatrix, pairs: list[tuple[str, str]]) -> str:
    """Short text for pairs, by what they have in common."""
    (source, target), some = pairs[0], set(pairs)
    row = {(source, name) for name in matrix.targets}
    column = {(name, target) for name in matrix.sources}
    if some == row:
        return f"all samples made on {shown(source)}"
    for name, parts in ((target, column), (source, row)):
        if some == parts | {pair for pair in matrix.failures if name in pair}:
            return f"all pairs with {shown(name)}"
    if some == column:
        return f"all samples tried on {shown(target)}"
    return named_pairs(matrix.names, [tuple(map(matrix.names.index, pair)) for pair in pairs], " -> ")


def matrix_table(matrix: TransferMatrix) -> Table:
    """Table of the rates, with sources in rows and targets in columns."""
    interval, reasons, failed = matrix.confidence_interval(), matrix.failures, failed_pairs(matrix)
    held, one_each = matrix._aside, matrix._one_each

    def cell(i: int, j: int) -> Cell:
        rate, counts = matrix.rates[i, j], f"{matrix.fooled[i, j]} of {matrix.eligible[i, j]}"
        if held[i, j]:
            return Cell("member", hint=f"{matrix.targets[j]} is a member of {matrix.sources[i]}")
        return Cell(
            "failed" if failed[i, j] else short(rate),
            between(interval.low[i, j], interval.high[i, j]),
            shade=float(rate),
            hint=reasons.get((matrix.sources[i], matrix.targets[j]), "")
            or f"{counts}; noise {short(matrix.noise[i, j])}",
            framed=matrix.sources[i] == matrix.targets[j],
        )

    rows: list[list[str | Cell]] = []
    if one_each is not None:
        rows.append([ALL_OTHERS, *(cell(int(i), j) for j, i in enumerate(one_each))])
    else:
        for i, name in enumerate(marked(matrix)):
            rows.append([name, *(cell(i, j) for j in range(len(matrix.targets)))])
    # sources that are no targets have no cell that shows whether their own attack worked: say it below
    others = [name for name in matrix.sources if name not in matrix.targets]
    ends = matrix.confidence_interval(of="source_success")
    each = zip(matrix.sources, matrix.source_success, *ends, strict=True)
    success = {name: f"{name} {short(rate)} {between(*end)}".rstrip() for name, rate, *end in each}
    notes = []
    if matrix.outcomes is not None and matrix.outcomes.labels is not None:
        accuracy = dict(zip(matrix.names, map(short, matrix.accuracy), strict=True))
        rows.append(["accuracy", *(Cell(accuracy[name]) for name in matrix.targets)])
        if others:
            notes.append("accuracy of sources: " + ", ".join(f"{name} {accuracy[name]}" for name in others))
    weak = doubted(matrix)
    if one_each is not None and weak:
        notes.append("sources: " + ", ".join(marked(matrix)))
    if others:
        notes.append("attacks fool their own source: " + ", ".join(map(success.__getitem__, others)))
    if weak:
        notes.append(DOUBTED)
    attack = "" if matrix.provenance is None else attack_of(dict(matrix.provenance.settings))
    caption = "rate [95 % interval] at which samples made on a source (row) fool a target (column)"
    if matrix.goal == "target":
        aimed = "lead a target (column) to the label aimed at"
        caption = caption.replace("fool a target (column)", aimed)
    if matrix.condition != "both_correct":
        caption += f", of {CONDITIONS[matrix.condition]}"
    return Table(
        f"TransferMatrix: {title_of(matrix)}",
        ["source", *matrix.targets],
        rows,
        f"{attack}: {caption}" if attack else caption,
        [*notes, *failures_of(matrix), *matrix._doubts()],
        centred=True,
    )
