"""The page of transfer_attacks.py: effects with intervals, tests, ranks, and what becomes of the claims."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata, studentized_range, t, wilcoxon

IMAGES, TABLES = ("digits", "animals", "patches"), ("tumours", "mixture")
NETWORKS = ("mlp", "resnet", "vgg", "depthwise", "mixer", "attention")


def pairs(blocks: list[dict[str, Any]]) -> pd.DataFrame:
    """A row for each block, source, target and recipe: the rate, and that of "plain" on the same pair."""
    rows = []
    for block in blocks:
        for source, recipes in block["fooled"].items():
            for recipe, counts in recipes.items():
                for target, n in block["n"][source].items():
                    if n:
                        plain = recipes["plain"][target] / n
                        rows.append(
                            {
                                "data": block["data"],
                                "seed": block["seed"],
                                "source": source,
                                "target": target,
                                "recipe": recipe,
                                "n": n,
                                "rate": counts[target] / n,
                                "effect": counts[target] / n - plain,
                            }
                        )
    return pd.DataFrame(rows)


def holm(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Holm's adjusted p values (Scandinavian Journal of Statistics 6, 1979)."""
    order = np.argsort(p)
    adjusted = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    result = np.empty_like(adjusted)
    result[order] = np.minimum(adjusted, 1)
    return result


def effects(frame: pd.DataFrame, recipes: list[str]) -> pd.DataFrame:
    """Mean effect of each recipe over blocks in points, its interval, and the adjusted test."""
    blocks = frame.groupby(["recipe", "data", "seed"])[["rate", "effect"]].mean()
    rows = {}
    for recipe in recipes:
        if recipe not in blocks.index:
            continue
        values = 100 * blocks.loc[recipe, "effect"]
        n, spread = len(values), values.std(ddof=1)
        half = t.ppf(0.975, n - 1) * spread / n**0.5 if n > 1 else np.nan
        moved = (values != 0).any()
        rows[recipe] = {
            "n": n,
            "rate": blocks.loc[recipe, "rate"].mean(),
            "effect": values.mean(),
            "low": values.mean() - half,
            "high": values.mean() + half,
            "better": int((values > 0).sum()),
            "p": wilcoxon(values, method="auto").pvalue if moved and n > 1 else 1.0,
            **values.groupby("data").mean().to_dict(),
        }
    result = pd.DataFrame.from_dict(rows, orient="index")
    others = result.index != "plain"
    result["holm"] = np.nan
    result.loc[others, "holm"] = holm(result.loc[others, "p"].to_numpy())
    return result


def ranks(frame: pd.DataFrame, data: tuple[str, ...]) -> tuple[pd.Series, float, int]:
    """Mean ranks (1 is the best) of recipes that every source allows; critical difference; number of blocks.

    Demsar, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 2006, equation 3.
    """
    some = frame[frame["data"].isin(data)]
    table = some.groupby(["recipe", "data", "seed"])["rate"].mean().unstack("recipe")
    whole = some.groupby("recipe").size()
    table = table[whole.index[whole == whole["plain"]]]
    mean = pd.Series(rankdata(-table.to_numpy(), axis=1).mean(axis=0), index=table.columns).sort_values()
    k, n = len(mean), len(table)
    q = studentized_range.ppf(0.95, k, np.inf) / 2**0.5
    return mean, float(q * (k * (k + 1) / (6 * n)) ** 0.5), n


def picture(frame: pd.DataFrame, path: Path) -> None:
    """Mean ranks on images and on tables, with the critical difference beside them."""
    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "transfer attacks"
    from matplotlib import pyplot as plt

    present = [data for data in (IMAGES, TABLES) if frame["data"].isin(data).any()]
    figure, axes = plt.subplots(1, len(present), figsize=(6 * len(present), 9), squeeze=False)
    for ax, data in zip(axes[0], present, strict=True):
        mean, difference, n = ranks(frame, data)
        y = np.arange(len(mean))
        near = (mean - mean["plain"]).abs() <= difference
        colours = [
            "#888888" if each else ("#1f77b4" if r < mean["plain"] else "#d62728")
            for r, each in zip(mean, near, strict=True)
        ]
        ax.scatter(mean, y, color=colours, zorder=3)
        ax.axvspan(mean["plain"] - difference, mean["plain"] + difference, color="#eeeeee", zorder=0)
        ax.axvline(mean["plain"], color="black", linewidth=0.8)
        ax.set_yticks(y, mean.index)
        ax.invert_yaxis()
        ax.set_xlabel("mean rank of the transfer rate (1 is the highest)")
        ax.set_title(f"{', '.join(data)}: {n} blocks\ngrey band: critical difference from plain, 5 %")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _table(rows: list[list[str]], header: list[str]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _p(value: float) -> str:
    return "" if np.isnan(value) else "< .001" if value < 0.001 else f"{value:.3f}".lstrip("0")


def table_of_effects(result: pd.DataFrame, kinds: dict[str, str], data: list[str]) -> str:
    order = result.sort_values("effect", ascending=False)
    rows = [
        [
            recipe,
            kinds[recipe],
            f"{row['rate']:.3f}".lstrip("0"),
            f"{row['effect']:+.1f} [{row['low']:+.1f} {row['high']:+.1f}]" if recipe != "plain" else "",
            f"{row['better']:.0f} of {row['n']:.0f}" if recipe != "plain" else "",
            _p(row["holm"]),
            *(f"{row[name]:+.1f}" if name in row and not np.isnan(row[name]) else "" for name in data),
        ]
        for recipe, row in order.iterrows()
    ]
    return _table(rows, ["attack", "kind", "rate", "effect", "better in", "p (Holm)", *data])


def from_where(frame: pd.DataFrame, recipes: list[str]) -> str:
    """Effects by source, and by kind of target, in points."""
    some = frame[frame["data"].isin(IMAGES) & frame["recipe"].isin(recipes)].copy()
    some["to"] = np.where(some["target"].isin(NETWORKS), "networks", "others")
    sources = [name for name in (*NETWORKS, "logistic", "svm") if name in set(some["source"])]
    by_source = 100 * some.groupby(["recipe", "source"])["effect"].mean().unstack("source")
    by_target = 100 * some.groupby(["recipe", "to"])["effect"].mean().unstack("to")
    rows = [
        [
            recipe,
            *(
                f"{v:+.1f}" if not np.isnan(v := by_source[name].get(recipe, np.nan)) else ""
                for name in sources
            ),
            *(f"{by_target.loc[recipe, name]:+.1f}" for name in by_target.columns),
        ]
        for recipe in recipes
        if recipe in by_source.index
    ]
    header = ["attack", *(f"from {name}" for name in sources), *(f"to {name}" for name in by_target.columns)]
    return _table(rows, header)


CLAIMS = {
    "Momentum helps": [("mi", "plain")],
    "Variance tuning helps more than momentum": [("vmi", "mi")],
    "Input transformations help more than gradient pieces (each against variance tuning)": [
        (name, "vmi") for name in ("di", "si", "admix", "bsr", "sia", "ssa")
    ],
    "Feature losses help": [(name, "mi") for name in ("ila", "fia", "naa")],
    "Changes of the source help": [(name, "mi") for name in ("sgm", "linbp", "ghost")],
}


def claims(frame: pd.DataFrame, data: tuple[str, ...]) -> str:
    """Each claim's differences on those data, on the pairs that both attacks have, with Holm over all."""
    some, rows = frame[frame["data"].isin(data)], []
    keys = ["data", "seed", "source", "target"]
    wide = some.pivot_table(index=keys, columns="recipe", values="rate")
    for claim, comparisons in CLAIMS.items():
        for one, other in comparisons:
            if one not in wide or other not in wide:
                continue
            both = wide[[one, other]].dropna()
            difference = 100 * (both[one] - both[other]).groupby(["data", "seed"]).mean()
            n = len(difference)
            half = t.ppf(0.975, n - 1) * difference.std(ddof=1) / n**0.5 if n > 1 else np.nan
            moved = n > 1 and (difference != 0).any()
            p = wilcoxon(difference).pvalue if moved else 1.0
            rows.append(
                [claim, f"{one} - {other}", difference.mean(), half, int((difference > 0).sum()), n, p]
            )
    adjusted = holm(np.array([row[-1] for row in rows]))
    return _table(
        [
            [claim, what, f"{mean:+.1f} [{mean - half:+.1f} {mean + half:+.1f}]", f"{better} of {n}", _p(p)]
            for (claim, what, mean, half, better, n, _), p in zip(rows, adjusted, strict=True)
        ],
        ["claim", "difference", "points", "better in", "p (Holm)"],
    )


def in_short(frame: pd.DataFrame, recipes: list[str], *, n_named: int = 3) -> str:
    """A line for each data set, with the attacks that help most and least there."""
    lines = []
    for data, some in frame.groupby("data", sort=False):
        effect = 100 * some.groupby(["recipe", "seed"])["effect"].mean().unstack()
        order = effect.mean(axis=1).reindex(recipes).drop("plain").dropna().sort_values(ascending=False)

        def named(part: pd.Series) -> str:
            return ", ".join(f"{name} {value:+.1f}" for name, value in part.items())

        lines.append(f"- {data}: most {named(order[:n_named])}; least {named(order[-n_named:])}.")
    return "\n".join(lines)


PAGE = """# Attacks made to transfer: which help, where

    python benchmarks/transfer_attacks.py

makes this page out of `transfer_attacks.json`, and measures what that lacks. Networks of six designs (three
on tables), logistic regression and an RBF SVC are sources; these, a forest and neighbours are targets:
`benchmarks/designs.py`. Blocks are (data set, seed): {n_blocks}. Data, claims and seeds were committed before
the first run; `benchmarks/transfer_attacks.py` begins with them.

**All attacks have {calls} gradient calls a sample**, copies included. *Effect*: mean transfer rate over
ordered pairs source != target less that of the plain iteration on the same pairs, in points (hundredths),
with a 95 % t interval over blocks; *p*: Wilcoxon's signed ranks over blocks, Holm over all attacks of the
table. Pieces that a source does not allow (layers, residual branches) are compared on the sources that do.
Blocks of one data set share its models' designs and much of its samples, so the intervals are those of other
seeds, not of other data.

## In short

The three attacks that help most and the three that help least on each data set, as mean effects in points:

{short}

What helps on one kind of image can harm on another: compare the last columns of the next table, and what the
claims of the literature come to at the end of the page.

## On images

{images}

## On tables

{tables}

## Mean ranks

![Mean ranks of the attacks, with the critical difference from the plain iteration](transfer_attacks.svg)

Friedman's ranks with Nemenyi's critical difference (Demsar 2006), of attacks that every source allows.

## From which source, to which target

Effects on images, in points.

{where}

## What becomes of the literature's claims

Images only; on the pairs that both attacks have; Holm over all lines.

{claims}

Accuracies on the test samples, mean over seeds:

{accuracy}
"""


def write(blocks: list[dict[str, Any]], folder: Path) -> None:
    """Write transfer_attacks.md and its picture."""
    from transfer_attacks import CALLS, RECIPES

    frame = pairs(blocks)
    kinds = {name: kind for name, (_, _, kind) in RECIPES.items()}
    picture(frame, folder / "transfer_attacks.svg")
    parts = {}
    for title, data in (("images", IMAGES), ("tables", TABLES)):
        some = frame[frame["data"].isin(data)]
        present = [name for name in data if name in set(some["data"])]
        parts[title] = (
            table_of_effects(effects(some, list(RECIPES)), kinds, present)
            if len(some)
            else "Not measured yet."
        )
    accuracy = pd.DataFrame({(b["data"], b["seed"]): b["accuracy"] for b in blocks}).T
    accuracy = accuracy.groupby(level=0).mean()
    rows = [[name, *("" if np.isnan(v) else f"{v:.2f}" for v in row)] for name, row in accuracy.iterrows()]
    best = effects(frame[frame["data"].isin(IMAGES)], list(RECIPES))["effect"].sort_values(ascending=False)
    shown = [name for name in best.index if name != "plain"]
    page = PAGE.format(
        n_blocks=", ".join(f"{name} {n}" for name, n in frame.groupby("data")["seed"].nunique().items()),
        calls=CALLS,
        short=in_short(frame, list(RECIPES)),
        **parts,
        where=from_where(frame, shown),
        claims=claims(frame, IMAGES),
        accuracy=_table(rows, ["data", *accuracy.columns]),
    )
    (folder / "transfer_attacks.md").write_text(page)
