"""The halfway attack against HopSkipJump and Square at equal queries; write halfway_attack.md.

Sources are trained on half of digits (8 x 8, in [0, 1]; split 0) and attacked on samples of the other half
that all four classify right, {n_samples}.
Two runs for each attack: without a budget, for the distance of the nearest adversarial sample found and the
share of samples within either eps; and within the larger eps, where an attack stops at the first sample that
wins, for transfer. Square has a budget only, and runs within either. `halfway` is fitted and has training
samples for partners, whose labels (899 predictions, once) are not among its queries; for `halfway, X only`
(for time, not at 5,000 queries) and HopSkipJump these are the other attacked samples, {n_starts}. The attack
was developed on another split (100) with other sources, and run on this one as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import textwrap
import time
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from numpy.typing import NDArray
from run import digits, table
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from tqdm.auto import tqdm

import skhalfway
from skhalfway import AdversarialGenerator
from skhalfway._intervals import wilson_interval

CACHE = Path(__file__).with_name(".cache") / "halfway_attack"
N_SAMPLES = {100: 100, 250: 100, 1000: 100, 5000: 50}  # by queries
EPS = {np.inf: (0.1, 0.15), 2: (0.5, 1.0)}
NAMES = {np.inf: "L-inf", 2: "L2"}
ATTACKS = {
    "halfway": "halfway",
    "halfway, X only": "halfway",
    "HopSkipJump": "hopskipjump",
    "Square": "square",
}
LEFT_OUT = {(5000, "halfway, X only")}
SOURCES = {
    "forest": RandomForestClassifier(100, random_state=0),
    "boosting": HistGradientBoostingClassifier(random_state=0),
    "5-NN": KNeighborsClassifier(),
    "MLP": MLPClassifier(max_iter=500, random_state=0),
}
PACKAGE = Path(skhalfway.__file__).parent
_SHARED = ("attacks/_queries.py",)
CODE = {  # what a result depends on
    "halfway": (
        *_SHARED,
        "attacks/_halfway.py",
        "attacks/_partners.py",
        "attacks/_boundary_walk.py",
        "halfway/_regression.py",
    ),
    "hopskipjump": (*_SHARED, "attacks/_hopskipjump.py", "attacks/_boundary_walk.py"),
    "square": (*_SHARED, "attacks/_square.py"),
}


class Lab:
    """Fitted sources and samples; runs are kept, by what they depend on."""

    def __init__(self) -> None:
        X, y = digits()
        self.X_train, X, self.y_train, y = train_test_split(
            X.astype(float), y, test_size=0.5, random_state=0, stratify=y
        )
        self.models = {name: model.fit(self.X_train, self.y_train) for name, model in SOURCES.items()}
        right = np.all([model.predict(X) == y for model in self.models.values()], axis=0)
        self.X, self.y = X[right], y[right]
        CACHE.mkdir(parents=True, exist_ok=True)
        self.digests = {}
        for attack, parts in CODE.items():
            code = sklearn.__version__.encode() + b"".join((PACKAGE / part).read_bytes() for part in parts)
            self.digests[attack] = hashlib.sha256(code).hexdigest()[:12]

    def run(self, source: str, name: str, norm: float, budget: int, eps: float) -> dict[str, Any]:
        """Distances (None of Square), who is fooled within eps, and the share of the others that are."""
        digest = self.digests[ATTACKS[name]]
        slug = "-".join(map(str, (source, name, norm, budget, N_SAMPLES[budget], eps, digest)))
        path = CACHE / f"{slug}.json"
        if not path.exists():
            path.write_text(json.dumps(self._run(source, name, norm, budget, eps)))
        kept: dict[str, Any] = json.loads(path.read_text())
        return kept

    def _run(self, source: str, name: str, norm: float, budget: int, eps: float) -> dict[str, Any]:
        X, y = self.X[: N_SAMPLES[budget]], self.y[: N_SAMPLES[budget]]
        generator = AdversarialGenerator(
            FrozenEstimator(self.models[source]),
            attack=ATTACKS[name],
            norm=norm,
            eps=eps,
            clip_values=(0, 1),
            max_queries=budget,
            random_state=0,
        )
        if name == "halfway":
            generator.fit(self.X_train, self.y_train)
        began = time.perf_counter()
        X_adv = generator.generate(X, y)
        seconds = time.perf_counter() - began
        assert generator.n_queries_ is not None
        assert generator.n_queries_.max() <= budget
        fooled = {other: model.predict(X_adv) != y for other, model in self.models.items()}
        distances = generator.distances_
        return {
            "distances": None if distances is None else distances.tolist(),
            "fooled": fooled[source].tolist(),
            "transfer": float(np.mean([fooled[other].mean() for other in self.models if other != source])),
            "queries": float(generator.n_queries_.mean()),
            "seconds": seconds,
        }


def share(wins: NDArray[np.bool_]) -> str:
    low, high = wilson_interval(wins.sum(), len(wins))
    return f"{wins.mean():.2f} [{low:.2f}, {high:.2f}]"


def measure(lab: Lab) -> tuple[dict[float, str], list[dict[str, Any]]]:
    """Tables by norm, and the numbers in them."""
    pages, numbers = {}, []
    settings = [s for s in product(EPS, SOURCES, N_SAMPLES, ATTACKS) if s[2:] not in LEFT_OUT]
    for norm, source, budget, name in tqdm(settings):
        eps = EPS[norm]
        near = lab.run(source, name, norm, budget, eps[0] if name == "Square" else np.inf)
        far = lab.run(source, name, norm, budget, eps[1])
        if near["distances"] is None:
            wins, median = [np.array(kept["fooled"]) for kept in (near, far)], np.nan
        else:
            distances = np.array(near["distances"])
            wins, median = [distances <= e for e in eps], float(np.median(distances))
        numbers.append(
            {
                "norm": norm,
                "source": source,
                "budget": budget,
                "attack": name,
                "wins": [float(w.mean()) for w in wins],
                "median": median,
                "distances": near["distances"],
                "transfer": far["transfer"],
                "seconds": far["seconds"],
                "row": {
                    "source": source,
                    "queries": f"{budget:,}",
                    "attack": name,
                    f"success, eps {eps[0]}": share(wins[0]),
                    f"success, eps {eps[1]}": share(wins[1]),
                    "median distance": "" if np.isnan(median) else f"{median:.3f}",
                    f"transfer, eps {eps[1]}": f"{far['transfer']:.3f}",
                    "queries taken": f"{far['queries']:.0f}",
                    "ms a sample": f"{1000 * far['seconds'] / N_SAMPLES[budget]:.0f}",
                },
            }
        )
    for norm in EPS:
        pages[norm] = table([n["row"] for n in numbers if n["norm"] == norm])
    return pages, numbers


def summary(numbers: list[dict[str, Any]]) -> str:
    """What the tables say of halfway against each other attack, in counted settings."""
    by_key = {(n["norm"], n["source"], n["budget"], n["attack"]): n for n in numbers}
    rows = []
    for name, other in (
        ("halfway", "HopSkipJump"),
        ("halfway, X only", "HopSkipJump"),
        ("halfway", "Square"),
    ):
        for norm, budget in product(EPS, N_SAMPLES):
            if (budget, name) in LEFT_OUT:
                continue
            pairs = [
                (by_key[norm, source, budget, name], by_key[norm, source, budget, other])
                for source in SOURCES
            ]
            row = {"attack": name, "against": other, "norm": NAMES[norm], "queries": f"{budget:,}"}
            for i in range(2):
                gain = np.mean([a["wins"][i] - b["wins"][i] for a, b in pairs])
                row[f"success, {('smaller', 'larger')[i]} eps"] = f"{gain:+.3f}"
            if other == "Square":
                row |= {"median distance": "", "nearer / further": ""}
            else:
                ratio = np.exp(np.mean([np.log(a["median"] / b["median"]) for a, b in pairs]))
                apart = [np.subtract(a["distances"], b["distances"]) for a, b in pairs]
                nearer, further = (sum(int((sign * d < 0).sum()) for d in apart) for sign in (1, -1))
                row |= {"median distance": f"x {ratio:.2f}", "nearer / further": f"{nearer} / {further}"}
            row["transfer"] = f"{np.mean([a['transfer'] - b['transfer'] for a, b in pairs]):+.3f}"
            rows.append(row)
    return table(rows)


def in_short(numbers: list[dict[str, Any]]) -> str:
    """Where halfway is better and where it is worse, counted."""
    by_key = {(n["norm"], n["source"], n["budget"], n["attack"]): n for n in numbers}
    settings = list(product(EPS, SOURCES, N_SAMPLES))
    ours, theirs, square = (
        [by_key[(*s, name)] for s in settings] for name in ("halfway", "HopSkipJump", "Square")
    )
    ratios = [a["median"] / b["median"] for a, b in zip(ours, theirs, strict=True)]
    losses = [
        f"{source} in {NAMES[norm]} at {budget:,} queries (x {ratio:.2f})"
        for (norm, source, budget), ratio in zip(settings, ratios, strict=True)
        if ratio > 1.02
    ]
    text = (
        f"Of {len(settings)} settings (norm, source, queries), the median distance of `halfway` is more than "
        f"2% below HopSkipJump's in {sum(ratio < 0.98 for ratio in ratios)} and more than 2% above it in "
        f"{len(losses)}{': ' if losses else ''}{'; '.join(losses)}. "
    )
    for norm, name in NAMES.items():
        pairs = [(a, b) for a, b in zip(ours, square, strict=True) if a["norm"] == norm]
        more, fewer = (sum(sign * (a["wins"][1] - b["wins"][1]) > 0 for a, b in pairs) for sign in (1, -1))
        text += (
            f"Within the larger eps in {name}, it succeeds more often than Square, which sees scores, in "
            f"{more} of {len(pairs)} settings and less often in {fewer}. "
        )
    slower = np.exp(np.mean([np.log(a["seconds"] / b["seconds"]) for a, b in zip(ours, theirs, strict=True)]))
    text += f"It takes {slower:.1f} times the seconds of HopSkipJump within the larger eps (geometric mean)."
    return "\n".join(textwrap.wrap(text, 110))


PAGE = """# The halfway attack

    python benchmarks/halfway_attack.py

{about}
## In short

{in_short}

Mean over the four sources: differences in success and transfer rates (positive: more for the first), ratio
of median distances (geometric mean), and of all samples, how many the first brings nearer, and how many less
near.

{summary}

## L-inf

{linf}

## L2

{l2}

*Success*: the share of samples that fool their source within eps, with Wilson's 95% interval; *transfer*: the
share that fool each of the other three sources, on average, of all those attacked. *Queries taken* and *ms*
(one thread of a shared machine) are those of the run within the larger eps, training and the labels of
partners not included.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_suffix(".md"), help="page to write"
    )
    options = parser.parse_args()
    tables, numbers = measure(Lab())
    n_samples = " and ".join(
        f"the first {n} at {', '.join(f'{b:,}' for b in N_SAMPLES if N_SAMPLES[b] == n)} queries"
        for n in sorted(set(N_SAMPLES.values()), reverse=True)
    )
    n_starts = " or ".join(f"{n - 1}" for n in sorted(set(N_SAMPLES.values()), reverse=True))
    about = "\n".join((__doc__ or "").splitlines()[2:]).format(n_samples=n_samples, n_starts=n_starts)
    page = PAGE.format(
        about=about + "\n",
        in_short=in_short(numbers),
        summary=summary(numbers),
        linf=tables[np.inf],
        l2=tables[2],
    )
    options.output.write_text(page)


if __name__ == "__main__":
    main()
