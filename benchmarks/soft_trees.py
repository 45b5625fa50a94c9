"""Compare scales, temperatures and logits of soft decision trees; write soft_trees.md.

`python benchmarks/soft_trees.py`, or with the names of some of its tables.

splits: PGD-40 in L-inf, attacking the source's own predictions, on a third of digits (eps 0.15, pixels in
[0, 1]) and of breast cancer (eps 0.3, standardised). In a cell: the share of samples on which the source
itself, its splits hard, is fooled / the mean share that fools another model, of those that this one
classified correctly / the share on which the largest smoothed logit is the source's own class. The other
models are logistic regression, an RBF SVC, a perceptron with 64 hidden units, and a forest and histogram
boosting of other random states. A split goes left with probability sigmoid((t - x) / (temperature *
scale)); a scale is, over the distinct thresholds on the same feature, their standard deviation, the mean
gap between neighbours, or 1 input unit. Logits are multiplied by nothing.

emphasis: the same, by what the logits of several trees that share their votes are multiplied by.

boosts: accuracy that attacks leave, of the source's own labels, on 150 samples; on two moons (noise 0.3, eps
0.4) too. "pgd" is PGD-40 on the soft copy; "auto" asks HopSkipJump about the samples that this leaves, 100
queries each, "auto, 300" so many. HopSkipJump and Square ask 1,000 queries, "tree" looks for the nearest
sample. The last column has how often the soft copy says what the source says. "one by one" is PGD on a copy
that softens each member's vote by itself, with a steepness of 128.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from run import table
from sklearn.datasets import load_breast_cancer, load_digits, make_moons
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator
from skhalfway.attacks import _automatic
from skhalfway.models import ModelWarning, as_model, to_module
from skhalfway.models._member_outputs import LogSoftmax, Mean
from skhalfway.models._soft_agreement import soft_agreement
from skhalfway.models._torch import in_sequence

Rows = Iterator[dict[str, Any]]

TEMPERATURES = (0.03, 0.1, 0.2, 0.4, 1.0)
SOURCES = {
    "tree": DecisionTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(random_state=0),
    "extra trees": ExtraTreesClassifier(random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=50, random_state=0),
}
TREE = DecisionTreeClassifier(max_depth=3, random_state=0)
BOOSTS = {
    "AdaBoost of stumps": AdaBoostClassifier(n_estimators=50, random_state=0),
    "AdaBoost of depth 3": AdaBoostClassifier(TREE, n_estimators=50, random_state=0),
    "bag of trees": BaggingClassifier(n_estimators=30, random_state=0),
}
VOTES = {
    "soft votes of two forests": VotingClassifier(
        [("a", RandomForestClassifier(30, random_state=0)), ("b", ExtraTreesClassifier(30, random_state=0))],
        voting="soft",
    ),
    "votes of three forests": VotingClassifier(
        [(str(seed), RandomForestClassifier(15, random_state=seed)) for seed in range(3)]
    ),
}
OTHERS = {
    "logistic": LogisticRegression(max_iter=1000),
    "SVC": SVC(),
    "perceptron": MLPClassifier((64,), max_iter=500, random_state=0),
    "forest": RandomForestClassifier(random_state=1),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=50, max_depth=5, random_state=1),
}


def mean_gap(threshold: NDArray[Any]) -> float:
    return float(np.diff(np.unique(threshold)).mean()) if len(np.unique(threshold)) > 1 else np.nan


def rescale(splits: Any, spread: Any) -> None:
    """Set each split's scale to a function of the thresholds on its feature."""
    feature, threshold = splits.feature.numpy(), splits.threshold.numpy()[:, 0]
    scales = np.array([spread(threshold[feature == f]) for f in range(feature.max() + 1)])[feature]
    splits.scale = torch.from_numpy(np.where(np.isnan(scales), np.nanmedian(scales), scales))[:, None]


SCALES: dict[str, Any] = {
    "deviation": None,
    "mean gap": mean_gap,
    "1": lambda threshold: 1.0,
}


def data(name: str) -> tuple[NDArray[Any], NDArray[Any], float, tuple[float, float] | None]:
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        return X / 16, y, 0.15, (0, 1)
    if name == "two moons":
        X, y = make_moons(600, noise=0.3, random_state=0)
        return X, y, 0.4, None
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y, 0.3, None


def score(source: Any, module: Any, X: Any, y: Any, others: list[Any], eps: Any, clip_values: Any) -> str:
    """Share fooled / mean share of other models' / agreement of the soft copy."""
    own = source.predict(X)
    X_adv = AdversarialGenerator(module, attack="pgd", eps=eps, clip_values=clip_values).generate(X, own)
    fooled = (source.predict(X_adv) != own).mean()
    transfer = np.mean([(o.predict(X_adv) != y)[o.predict(X) == y].mean() for o in others])
    return f"{fooled:.2f} / {transfer:.2f} / {(as_model(module).predict(X) == own).mean():.3f}"


def splits(X: Any, y: Any, others: list[Any], eps: float, clip_values: Any, train: Any) -> Rows:
    for name, source in SOURCES.items():
        source.fit(*train)
        for scale_name, spread in SCALES.items():
            module: Any = to_module(source)
            module.emphasis = 1.0
            if spread is not None:
                rescale(module.splits, spread)
            row = {"source": name, "scale": scale_name}
            for temperature in TEMPERATURES:
                module.temperature = temperature
                row[f"temperature {temperature}"] = score(source, module, X, y, others, eps, clip_values)
            yield row


def emphasis(X: Any, y: Any, others: list[Any], eps: float, clip_values: Any, train: Any) -> Rows:
    sources = {name: SOURCES[name] for name in ("forest", "extra trees")} | BOOSTS
    for name, source in sources.items():
        module: Any = to_module(source.fit(*train))
        row = {"source": name}
        for factor in (1, 4, 8, 16, 64):
            module.emphasis = factor
            row[f"times {factor}"] = score(source, module, X, y, others, eps, clip_values)
        yield row


def one_by_one(source: AdaBoostClassifier) -> Any:
    members = [in_sequence([to_module(member), LogSoftmax(128)]) for member in source.estimators_]
    return Mean(members, source.estimator_weights_[: len(members)])


def boosts(X: Any, y: Any, others: list[Any], eps: float, clip_values: Any, train: Any) -> Rows:
    X, y = X[:150], y[:150]
    for name, source in (BOOSTS | VOTES).items():
        source.fit(*train)
        own = source.predict(X)
        row = {"source": name, "one by one": ""}
        if isinstance(source, AdaBoostClassifier):
            attack = AdversarialGenerator(one_by_one(source), attack="pgd", eps=eps, clip_values=clip_values)
            row["one by one"] = f"{source.score(attack.generate(X, own), own):.2f}"
        for name in ("pgd", "auto", "auto, 300", "hopskipjump", "square", "tree"):
            attack = AdversarialGenerator(
                FrozenEstimator(source),
                attack=name.partition(",")[0],
                eps=eps,
                clip_values=clip_values,
                random_state=0,
            )
            _automatic.N_QUERIES = 300 if "," in name else 100
            row[name] = f"{source.score(attack.generate(X, own), own):.2f}"
        row["agreement"] = f"{soft_agreement(as_model(source), X):.3f}"
        yield row


TABLES = {"splits": splits, "emphasis": emphasis, "boosts": boosts}


def measured(table_name: str) -> list[dict[str, Any]]:
    rows = []
    for name in ("digits", "breast cancer", "two moons")[: 3 if table_name == "boosts" else 2]:
        X, y, eps, clip_values = data(name)
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=1 / 3, random_state=0)
        others = [other.fit(X_train, y_train) for other in OTHERS.values()]
        for row in TABLES[table_name](X_test, y_test, others, eps, clip_values, (X_train, y_train)):
            rows.append({"data": name} | row)
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    page = Path(__file__).with_suffix(".md")
    parts = dict(part.split("\n", 1) for part in page.read_text().split("\n## ")[1:])
    for name in sys.argv[1:] or TABLES:
        parts[name] = "\n" + table(measured(name)) + "\n"
    title = "# Soft splits of decision trees\n\n"
    text = "\n".join((__doc__ or "").splitlines()[2:])
    sections = [f"\n## {name}\n{parts[name]}" for name in TABLES if name in parts]
    page.write_text(title + text + "\n" + "".join(sections))


if __name__ == "__main__":
    warnings.filterwarnings("ignore", category=ModelWarning)
    main()
