"""The page and the plots of benchmarks/engine.py."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from run import EPS, table

BATCH = 1024  # what ours takes of digits
NO_CONTESTANTS = ("base_ms", "apart")


def exponent(sizes: NDArray[Any], seconds: NDArray[Any]) -> float:
    """Slope of logarithms over the three largest sizes, where what every call costs weighs little."""
    return float(np.polyfit(np.log(sizes[-3:]), np.log(seconds[-3:]), 1)[0])


def growth_rows(growth: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = []
    for what, measured in growth.items():
        sizes, seconds, attacks, rest = np.array(measured, dtype=float).T
        aim = "1.05; rest 2.05" if what == "models" else "1.05"
        row = {"as these grow": what, "from": f"{sizes[0]:,.0f}", "to": f"{sizes[-1]:,.0f}"}
        row |= {"seconds": f"{seconds[0]:.2f} to {seconds[-1]:.2f}"}
        row |= {"exponent": f"{exponent(sizes, seconds):.2f}", "attacks": f"{exponent(sizes, attacks):.2f}"}
        rows.append(row | {"rest": f"{exponent(sizes, rest):.2f}", "aim": aim})
    return rows


def plot(figures: Mapping[str, Any], folder: Path) -> None:
    """The ratios as bars, and how costs grow."""
    import matplotlib.pyplot as plt

    folder.mkdir(parents=True, exist_ok=True)
    if "speed" in figures:
        speed = list(figures["speed"].values())[-1]
        speed = {name: value for name, value in speed.items() if name not in NO_CONTESTANTS}
        figure, ax = plt.subplots(figsize=(8, 3), layout="constrained")
        colors = ["C0" if name.startswith("skhalfway") else "C7" for name in speed]
        bars = ax.barh(list(speed), list(speed.values()), color=colors)
        ax.axvline(1, color="C7", lw=0.8, zorder=0)
        ax.bar_label(bars, fmt="%.2f", padding=3, bbox={"color": "w", "pad": 0.5})
        ax.set(xlim=(0, 1.15 * max(speed.values())))
        ax.set_xlabel("time over that of a loop written by hand, on one thread")
        ax.invert_yaxis()
        figure.savefig(folder / "engine_speed.png", dpi=120)
        plt.close(figure)
    if "growth" in figures:
        figure, axes = plt.subplots(1, 4, figsize=(11, 2.8), layout="constrained")
        for ax, (what, measured) in zip(axes, figures["growth"].items(), strict=True):
            sizes, seconds, attacks, rest = np.array(measured, dtype=float).T
            for name, values, style in (
                ("all", seconds, "o-"),
                ("attacks", attacks, "^--"),
                ("rest", rest, "v:"),
            ):
                ax.loglog(sizes, values, style, label=name)
            ax.set(xlabel=what, title=f"exponent {exponent(sizes, seconds):.2f}")
            if what == "models":
                ax.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
                ax.minorticks_off()
        axes[0].set_ylabel("seconds")
        axes[0].legend()
        figure.savefig(folder / "engine_growth.png", dpi=120)
        plt.close(figure)


TEXT = """# What a transfer matrix costs

    python benchmarks/engine.py

makes this page and its plots; `python benchmarks/engine.py speed growth` measures these parts anew. Ratios
are medians over rounds in which contestants take turns (Python {python}, torch {torch}, {cores} cores).
"""
SPEED = """
## Beside a loop written by hand, and other libraries

8 small networks on digits by PGD-40, L-inf, eps {eps}: attack each, ask all. Times over that of the loop on
one thread, in batches of {batch:,} samples, which takes {seconds}; where no batch is named, all take such.

{rows}

Ours also asks all models about noise, checks them, and asks for second opinions: {extra:.0%} of the loop's
time with {fewest} digits, and less the more there are. Aims: one job 1.02, two jobs 0.55; at least 4 times as
fast as ART, 1.8 times as torchattacks with two jobs. With {most} digits two jobs are {art:.1f} times as fast
as ART in the same batches and {art_own:.1f} times as in its own; {torchattacks:.1f} times as torchattacks,
which has both cores too, through torch. Python runs one of two threads at a time: steps of small networks are
short, so two jobs do not halve the time. Rates are within {apart:.3f} of the loop's.

![Time over that of a loop written by hand](../doc/_static/engine_speed.png)
"""
KINDS = """
## Eight kinds of models

The demo's eight models - linear, kernel, networks, a forest, neighbours - on 997 digits, beside a loop of
`AdversarialGenerator` over sources and `predict` over targets, which takes {seconds:.1f} s on one thread: one
job {one:.2f} (aim 1.02), two jobs {two:.2f} (aim 0.55), two worker processes {processes:.2f}.
"""
BLACK = """
## Black boxes

4 forests on 400 digits by HopSkipJump with 1,000 queries: two jobs take {two:.2f} of one's time (aim 0.6).
They are processes, which start once; of two threads that ask forests one waits for the other.
"""
KEPT = """
## With `memory=`

Of the same eight kinds of models: keeping all cells in a folder takes {empty:.3f} of the time without (aim
1.03); a second run, which takes them from there, {full:.3f}.
"""
DASK = """
## On Dask, on one machine

Of the same models: two worker processes of Dask take {dask:.2f} of the time of two threads.
"""
GROWTH_TEXT = """
## As it grows

{rows}

Exponents are slopes of logarithms over the three largest sizes. *Rest* is everything but attacks:
answers, check-ups, second opinions, counting. Linear classifiers and PGD of 10 steps; pixels: convolutional
networks with random weights, 16 images of 3 channels.

![Seconds as sizes grow](../doc/_static/engine_growth.png)
"""
MEMORY_TEXT = """
## Memory

Two small convolutional networks, images of 3 x 32 x 32 in a file that is mapped, batches of 256. Peak of the
memory that is no file, above that after a first run on 8 images:

{rows}

Ours over the loop's at 4,096 images: {ratio:.2f} (aim 1.1). From 1,024 to 16,384 images, which are
{size:.0f} MiB, it grows by {growth:.0f} MiB.
"""


def speed_text(speed: Mapping[str, Mapping[str, float]]) -> str:
    fewest, most = speed
    names = [name for name in speed[most] if name not in NO_CONTESTANTS]
    rows = [
        {"contestant": name} | {f"{int(n):,} digits": f"{figures[name]:.2f}" for n, figures in speed.items()}
        for name in names
    ]
    times = {name: value / speed[most]["skhalfway, two jobs"] for name, value in speed[most].items()}
    return SPEED.format(
        eps=EPS,
        batch=BATCH,
        seconds=" and ".join(f"{figures['base_ms'] / 1000:.1f} s" for figures in speed.values()),
        rows=table(rows),
        extra=speed[fewest]["skhalfway, one job on one thread"] - 1,
        fewest=f"{int(fewest):,}",
        most=f"{int(most):,}",
        art=times["ART, torch's threads"],
        art_own=times["ART, torch's threads, its batches of 32"],
        torchattacks=times["torchattacks, torch's threads"],
        apart=max(figures["apart"] for figures in speed.values()),
    )


def page(figures: Mapping[str, Any], cores: int) -> str:
    parts = [
        TEXT.format(python=platform.python_version(), torch=torch.__version__.split("+")[0], cores=cores)
    ]
    if "speed" in figures:
        parts.append(speed_text(figures["speed"]))
    if "kinds" in figures:
        kinds = figures["kinds"]
        parts.append(
            KINDS.format(
                seconds=kinds["base_ms"] / 1000,
                one=kinds["skhalfway, one job"],
                two=kinds["skhalfway, two jobs"],
                processes=kinds["skhalfway, two processes"],
            )
        )
    if "black_boxes" in figures:
        parts.append(BLACK.format(two=figures["black_boxes"]["two jobs"]))
    if "kept" in figures:
        kept = figures["kept"]
        parts.append(KEPT.format(empty=kept["memory, empty"], full=kept["memory, full"]))
    if "dask" in figures:
        parts.append(DASK.format(dask=figures["dask"]["Dask"]))
    if "growth" in figures:
        parts.append(GROWTH_TEXT.format(rows=table(growth_rows(figures["growth"]))))
    if "memory" in figures:
        peaks = figures["memory"]
        rows = [{"contestant": name, "peak": f"{value:.1f} MiB"} for name, value in peaks.items()]
        parts.append(
            MEMORY_TEXT.format(
                rows=table(rows),
                ratio=peaks["ours 4096"] / peaks["bare 4096"],
                size=16_384 * 3 * 32 * 32 * 4 / 2**20,
                growth=peaks["ours 16384"] - peaks["ours 1024"],
            )
        )
    return "".join(parts)
