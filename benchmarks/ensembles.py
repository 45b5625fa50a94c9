"""Attack each of six models through an ensemble of the five others, by each combination; write ensembles.md.

python benchmarks/ensembles.py
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from run import table
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, Ensemble

PAGE = Path(__file__).with_name("ensembles.md")
DATA = {
    "digits, eps .15": (load_digits(return_X_y=True), 0.15),
    "digits 0 to 5, eps .2": (load_digits(n_class=6, return_X_y=True), 0.2),
    "breast cancer, eps .1": (load_breast_cancer(return_X_y=True), 0.1),
}
COMBINE = ("probabilities", "logits", "balanced", "losses", "serial", "adaptive")
HEAD = (*COMBINE, "one other", "best on average", "best for each")
TEXT = """# Ensembles as sources

    python benchmarks/ensembles.py

Mean share of 100 test samples, right or not before, that each of six models (logistic regression, SVM,
naive Bayes, network, forest, linear discriminant analysis) misclassifies when they are attacked through the
five others, by `"pgd"` of 20 steps; beside that, the same when they are attacked on one other model: the mean
over these, that of the model which is best on average, and that of the best for each target, which nobody
knows before. Features lie between 0 and 1. *Balanced*: `combine="logits"` with the weights of
`Ensemble.balanced`. One split, one seed.

"""


def fooled(source: Any, target: Any, eps: float, X: Any, y: Any) -> float:
    generator = AdversarialGenerator(source, attack="pgd", eps=eps, clip_values=(0, 1), max_iter=20)
    return 1 - float(target.score(generator.generate(X, y), y))


def ensemble(members: Any, combine: str, X: Any) -> Ensemble:
    if combine == "balanced":
        return Ensemble(members, combine="logits").balanced(X)
    return Ensemble(members, combine=combine)


def row_of(name: str) -> dict[str, str]:
    (X, y), eps = DATA[name]
    X_train, X_test, y_train, y_test = train_test_split(
        MinMaxScaler().fit_transform(X), y, test_size=100, random_state=0
    )
    models = {
        "lr": LogisticRegression(max_iter=1000),
        "svm": SVC(),
        "nb": GaussianNB(var_smoothing=1e-2),
        "mlp": MLPClassifier((32,), max_iter=1000, random_state=0),
        "forest": RandomForestClassifier(30, random_state=0),
        "lda": LinearDiscriminantAnalysis(),
    }
    for model in models.values():
        model.fit(X_train, y_train)
    single = np.array(
        [
            [fooled(FrozenEstimator(one), other, eps, X_test, y_test) for other in models.values()]
            for one in models.values()
        ]
    )
    np.fill_diagonal(single, np.nan)
    means = []
    for combine in COMBINE:
        each = []
        for target, model in models.items():
            members = [(other, fitted) for other, fitted in models.items() if other != target]
            each.append(fooled(ensemble(members, combine, X_train), model, eps, X_test, y_test))
        means.append(np.mean(each))
    alone = [np.nanmean(single), np.nanmean(single, axis=1).max(), np.nanmax(single, axis=0).mean()]
    figures = dict(zip(HEAD, [*means, *alone], strict=True))
    return {"data": name, **{head: f"{rate:.2f}" for head, rate in figures.items()}}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    PAGE.write_text(TEXT + table([row_of(name) for name in DATA]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
