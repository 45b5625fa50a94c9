"""Compare scales and temperatures of soft splits in decision trees; print the table of soft_trees.md.

PGD-40 in L-inf, attacking the source's own predictions, on a third of digits (eps 0.15, pixels in [0, 1])
and of breast cancer (eps 0.3, standardised). In a cell: the share of samples on which the source itself,
its splits hard, is fooled / the mean share that fools another model, of those that this one classified
correctly / the share on which the largest smoothed logit is the source's own class. The other models are
logistic regression, an RBF SVC, a perceptron with 64 hidden units, and a forest and histogram boosting of
other random states. A split goes left with probability sigmoid((t - x) / (temperature * scale)); a scale
is, over the distinct thresholds on the same feature, their standard deviation, the mean gap between
neighbours, or 1 input unit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from run import table
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator
from skhalfway.models import as_model, to_module

TEMPERATURES = (0.03, 0.1, 0.2, 0.4, 1.0)
SOURCES = {
    "tree": DecisionTreeClassifier(random_state=0),
    "forest": RandomForestClassifier(random_state=0),
    "extra trees": ExtraTreesClassifier(random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=50, random_state=0),
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
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y, 0.3, None


def main() -> None:
    rows = []
    for name in ("digits", "breast cancer"):
        X, y, eps, clip_values = data(name)
        X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=1 / 3, random_state=0)
        others = [other.fit(X_train, y_train) for other in OTHERS.values()]
        for source_name, source in SOURCES.items():
            source.fit(X_train, y_train)
            own = source.predict(X_test)
            for scale_name, spread in SCALES.items():
                row = {"data": name, "source": source_name, "scale": scale_name}
                module: Any = to_module(source)
                if spread is not None:
                    rescale(module.splits, spread)
                for temperature in TEMPERATURES:
                    module.temperature = temperature
                    attack = AdversarialGenerator(module, attack="pgd", eps=eps, clip_values=clip_values)
                    X_adv = attack.generate(X_test, own)
                    fooled = (source.predict(X_adv) != own).mean()
                    transfer = np.mean(
                        [(o.predict(X_adv) != y_test)[o.predict(X_test) == y_test].mean() for o in others]
                    )
                    agrees = (as_model(module).predict(X_test) == own).mean()
                    row[f"temperature {temperature}"] = f"{fooled:.2f} / {transfer:.2f} / {agrees:.3f}"
                print(row)
                rows.append(row)
    title = "# Soft splits of decision trees\n\n    python benchmarks/soft_trees.py\n\n"
    page = title + "\n".join((__doc__ or "").splitlines()[2:]) + "\n\n" + table(rows) + "\n"
    Path(__file__).with_suffix(".md").write_text(page)


if __name__ == "__main__":
    main()
