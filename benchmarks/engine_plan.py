"""What matrices of many models and samples take, from measured figures: doc/scale.rst."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SIZES = ((10, 1_000), (20, 10_000), (100, 10_000), (100, 100_000), (1_000, 1_000_000))
UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B"))
TIMES = ((365.25 * 86400, "years"), (86400, "days"), (3600, "h"), (60, "min"), (1, "s"))


def in_units(value: float, units: Sequence[tuple[float, str]]) -> str:
    """A figure in the largest unit of which it has one at least."""
    size, name = next((unit for unit in units if value >= unit[0]), units[-1])
    return f"{value / size:,.0f} {name}" if value / size >= 10 else f"{value / size:.1f} {name}"


def seconds(rates: Sequence[float], n_models: int, n_samples: int) -> float:
    """Of one core: every model is attacked, and asked about the samples of all, about noise and as is."""
    attack, predict, _ = rates
    return n_samples * (n_models * attack + n_models * (n_models + 2) * predict)


def answers_size(n_models: int, n_samples: int) -> float:
    """Bytes of what all models say of the samples made on all, one of a small integer each."""
    return n_samples * n_models * (n_models + 3)


def kept_size(rates: Sequence[float], n_models: int, n_samples: int) -> float:
    """Bytes of a folder of ``memory=``: the samples made on each model, and all answers."""
    return n_models * n_samples * rates[2] + answers_size(n_models, n_samples)


def grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (head, *rows):
        lines += [f"   {'*' if k == 0 else ' '} - {cell}" for k, cell in enumerate(row)]
    return "\n".join(lines)


def plan(figures: Mapping[str, Any]) -> str:
    """The page."""
    each = [
        [kind, f"{1000 * attack:.3g} ms", f"{1000 * predict:.3g} ms", in_units(size, UNITS)]
        for kind, (attack, predict, size) in figures.items()
    ]
    head = ["models x samples", *(f"{n:,} x {m:,}" for n, m in SIZES)]
    times = [
        [kind, *(in_units(seconds(rates, *size), TIMES) for size in SIZES)] for kind, rates in figures.items()
    ]
    held = [["answers, in memory", *(in_units(answers_size(*size), UNITS) for size in SIZES)]]
    held += [
        [f"folder: {kind}", *(in_units(kept_size(rates, *size), UNITS) for size in SIZES)]
        for kind, rates in figures.items()
    ]
    return TEXT.format(each=grid(EACH, each), times=grid(head, times), held=grid(head, held))


EACH = ["models", "attack, a sample", "prediction, a sample", "size of a sample"]
TEXT = """\
How long will it take, and what breaks first?
=============================================

..
   Made by benchmarks/engine.py from measured figures; do not edit.

A transfer matrix of *m* models and *n* samples takes *m n* attacks and *m*\\ :sup:`2` *n* predictions. Both
grow in proportion to the samples, as measured up to 100,000; what all else takes is small.

.. image:: _static/engine_growth.png
   :alt: Seconds of a matrix against samples, features, models and pixels, in logarithms: straight lines

Beside a loop written by hand, and other libraries, on two cores:

.. image:: _static/engine_speed.png
   :alt: Time over that of a loop written by hand: 1 with one job, 0.6 with two, 7 of ART as it is

On one core of a small machine, by PGD with 40 steps, or by 1,000 queries where models have no gradient:

{each}

From these, on **one core**; divide by the cores that you have, or by the workers of a cluster:

{times}

What is held and kept:

{held}

What breaks first?
------------------

1,000 models on a million samples are beyond one machine. These limits are reached one after the other:

1. **Memory for the answers.** The answer of each model to each sample that was made on each other model is
   held as one byte, so that classes, samples and attacks can be compared later. That is 1 TB here, and more
   for a curve. But no rate needs a million samples: with 10,000 samples, the 95 % interval of a rate reaches
   one percentage point to each side, and 1,000 models take 10 GB. Or name fewer models as ``targets``.
2. **Time.** Attack twenty models that are typical of the rest (``sources=[...]``) and ask all models. Take
   fewer steps or queries. Use more cores, or a cluster.
3. **The disk of the folder** ``memory=``. It holds every adversarial sample, so that large images fill a
   disk before anything else is full. A full disk stops nothing: there is one warning, and what could not be
   kept is measured again next time.
4. **Models in each process.** Threads share the models. Worker processes and clusters hold all of them in
   each process.
5. **The table.** Nobody reads a table of a million rates: use ``to_frame``, and ``result.save``.

These do not set a limit: samples that do not fit into memory (they stay in files), a
:term:`black box` that fails now and then (``error_score=numpy.nan``, ``timeout=``), and a run that is killed
(``memory=``).
"""
