"""Figures in words, written in the same way in text, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from skhalfway._intervals import wilson_interval
from skhalfway._text import counted

if TYPE_CHECKING:
    from skhalfway.report._threats import Threat

UNITS = {
    "input": "in the units of the data",
    "std": "standard deviations",
    "range": "of the range of each column",
    "eps": "times the budget of the generator",
}
# parts of an audit beside transfer, in this order
PARTS = ("exposed", "columns", "nearest", "halfway", "retraining")
PART_NAMES = {
    "exposed": "the most exposed samples",
    "columns": "columns that the attack depends on",
    "nearest": "distance to the nearest adversarial example",
    "halfway": "predicted transfer and halfway agreement",
    "retraining": "effect of adversarial training",
    "surrogates": "training of surrogates",
    "transfer": "attacks, and trials on all models",
}


def share(part: int, whole: int) -> str:
    """A share in percent with its interval, such as ``31 % (27 to 35 %, 155 of 500)``."""
    if not whole:
        return "not known (no sample counts)"
    low, high = (in_percent(float(end)) for end in wilson_interval(part, whole))
    return f"{in_percent(part / whole)} % ({low} to {high} %, {part:,} of {whole:,})"


def in_percent(value: float) -> str:
    """A share in percent, without the sign; with a decimal close to 0 and 100."""
    if np.isnan(value):
        return "-"
    percent = 100 * value
    if 0 < percent < 0.05 or 99.95 <= percent < 100:
        return "< 0.1" if percent < 1 else "> 99.9"
    fine = percent < 1 or percent > 99
    return f"{percent:.1f}" if fine and percent not in (0, 100) else f"{percent:.0f}"


def budget(eps: float, unit: str) -> str:
    """A budget and its unit, such as ``0.25 standard deviations``."""
    if unit == "std":
        return f"{eps:g} standard deviation{'' if eps == 1 else 's'}"
    if unit == "range":
        return f"{100 * eps:g} % of the range"
    return f"{eps:g}" if unit == "input" else f"{eps:g} times the generator's budget"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names in a sentence, such as ``a, b and c``; with many names, the first ones and how many more."""
    shown = list(names[:most])
    if len(names) > most:
        return f"{', '.join(shown)} and {counted(len(names) - most, 'other')}"
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def probability(p: float) -> str:
    """A p-value, such as ``p = .03`` or ``p < .001``."""
    if np.isnan(p):
        return "p is not known"
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".", 1)


def beside_noise(threat: Threat) -> str:
    """On how many samples an attacker succeeds, and noise of the same size."""
    return (
        f"on {share(threat.fooled, threat.n)} of the samples that count, and random noise of the same size "
        f"on {share(threat.noise, threat.n)}"
    )
