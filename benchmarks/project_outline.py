"""The worked outline of the course's project, as in doc/instructors/lesson_13.rst; write project_outline.md.

python benchmarks/project_outline.py
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from run import table
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, TransferScorer

PAGE = Path(__file__).with_name("project_outline.md")
KINDS: dict[str, Any] = {
    "logistic": lambda seed: LogisticRegression(max_iter=1000),
    "network": lambda seed: MLPClassifier((64,), max_iter=1000, random_state=seed),
    "rbf svm": lambda seed: SVC(gamma=0.05, C=10),
}
N_REPEATS, N_TEST = 5, 200
KIND, HALF = np.array(list(KINDS) * 2), np.repeat([0, 1], len(KINDS))
SAME_KIND, SAME_HALF = KIND[:, None] == KIND, HALF[:, None] == HALF
TEXT = """# A worked project: is it the kind of the model?

    python benchmarks/project_outline.py

Are two models of the same kind, trained on *different* samples, fooled by the same adversarial examples
more often than two models of different kinds? In each of five repeats, 200 digits are held out, and a
logistic regression, a network and an RBF SVM are trained on each half of the others. PGD, L-inf, eps .1.
Rates are over the samples that source and target classify correctly. *Same kind*: the two models of a kind,
in both directions. Differences are "same kind minus other kinds", paired by repeat, with 95 % intervals of
Student's t.
"""


def rates_of(seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Transfer rates between the six models of a repeat, and those of noise of the same size."""
    X, y = load_digits(return_X_y=True)
    X_rest, X_test, y_rest, y_test = train_test_split(
        X / 16, y, test_size=N_TEST, stratify=y, random_state=seed
    )
    X_0, X_1, y_0, y_1 = train_test_split(X_rest, y_rest, test_size=0.5, stratify=y_rest, random_state=seed)
    models = {
        f"{kind} {i}": make(seed + i).fit(X_half, y_half)
        for i, (X_half, y_half) in enumerate([(X_0, y_0), (X_1, y_1)])
        for kind, make in KINDS.items()
    }
    generator = AdversarialGenerator(attack="pgd", eps=0.1, clip_values=(0, 1))
    matrix = TransferScorer(generator, random_state=seed).fit(models).transfer(X_test, y_test)
    return matrix.rates, matrix.noise_fooled / matrix.eligible


def interval(values: NDArray[Any]) -> str:
    """The mean over repeats, and half of its interval."""
    return f"{values.mean():+.3f} ± {stats.t.ppf(0.975, len(values) - 1) * stats.sem(values):.3f}"


def rows_of(rates: NDArray[Any], counted: NDArray[Any]) -> list[dict[str, str]]:
    """A row for each kind; ``counted`` marks the pairs of different kinds that count."""
    rows, from_others = [], []
    for kind in KINDS:
        source, target = (KIND == kind)[:, None], KIND == kind
        same, to_others, from_other = (
            rates[:, pairs].mean(axis=1)
            for pairs in (
                source & target & ~SAME_HALF,
                source & ~target & counted,
                ~source & target & counted,
            )
        )
        from_others.append(same - from_other)
        rows.append(
            {
                "kind": kind,
                "same kind": f"{same.mean():.3f}",
                "to other kinds": f"{to_others.mean():.3f}",
                "difference": interval(same - to_others),
                "from other kinds": f"{from_other.mean():.3f}",
                "difference at a fixed target": interval(same - from_other),
            }
        )
    mean = {"kind": "mean", "difference at a fixed target": interval(np.mean(from_others, axis=0))}
    return [*rows, dict.fromkeys(rows[0], "") | mean]


def main() -> None:
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    rates, noise = map(np.array, zip(*(rates_of(seed) for seed in range(N_REPEATS)), strict=True))
    shared = rates[:, ~SAME_KIND & SAME_HALF].mean(axis=1) - rates[:, ~SAME_KIND & ~SAME_HALF].mean(axis=1)
    parts = [
        TEXT,
        "## Pairs that share no training sample\n",
        table(rows_of(rates, ~SAME_HALF)),
        "\n## All pairs of different kinds\n",
        "Half of these pairs were trained on the same samples; pairs of the same kind never were.\n",
        table(rows_of(rates, np.ones_like(SAME_HALF))),
        "\nPairs of different kinds that share their training samples, minus those that do not: "
        f"{interval(shared)}.",
        f"Noise of the same size: {noise[:, ~np.eye(len(KIND), dtype=bool)].mean():.3f}.",
    ]
    PAGE.write_text("\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
