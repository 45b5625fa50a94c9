"""What crossings cost over the predictions they need, and how many are late; makes halfway_speed.md.

The points that each model is asked about are noted once; then the tracing of all models and the bare
``estimator.predict`` of the same points take turns.
"""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from run import ratios, table
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skhalfway import HalfwayScorer
from skhalfway.boundaries._paths import trace_all
from skhalfway.halfway import sample_pairs
from skhalfway.models import Model, as_model

N_PAIRS, TOL = 2000, 1e-3
PAGE = """# What crossings cost

    python benchmarks/halfway_speed.py

makes this page. The crossings of {n_models} models on the same {n_pairs:,} pairs of digits, at a tolerance of
{tol}, against the bare `estimator.predict` of the same points: median over
{n_rounds} rounds of the ratio within a round, one thread.

{table}

{asked:.1f} predictions are asked of a model for each pair (aim: at most 24). *Tracing* is the search for
crossings; *measure* is `HalfwayScorer.measure`, which also checks the data, draws the pairs and counts.
Aim: at most 1.2, except for trees, which are looked at again.

## Crossings that come late

An answer that changes and changes back within a step of the grid is not seen. Of trees and ensembles of
trees every split on a path is known: stretches on which their sums say another class are asked about in
their middle. Share of {n_late} random pairs whose crossing comes more than the tolerance later than on a
grid of 4,096 steps: by the grid of 16 and bisection alone, and as it is; how many predictions a pair takes,
and what the second look takes of time (all over that without, median of {n_late_rounds} rounds). Aim: below
1 % of trees, of which single points are left, at which several splits meet. All features are standardised.

{late}
"""
N_LATE, N_LATE_ROUNDS = 120, 5


class Noting:
    """A model that notes what it is asked."""

    def __init__(self, model: Model) -> None:
        self.model, self.asked = model, []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def predict(self, X: Any) -> Any:
        self.asked.append(X)
        return self.model.predict(X)


class SeenOnly:
    """A model of which nothing is known but its answers."""

    estimator = None

    def __init__(self, model: Model) -> None:
        self.predict = model.predict


def late_crossings() -> list[dict[str, str]]:
    """How many crossings come late, by data and model, with the second look and without."""
    rows = []
    for data, load in (("digits", load_digits), ("breast cancer", load_breast_cancer), ("wine", load_wine)):
        X, y = load(return_X_y=True)
        X, y = StandardScaler().fit_transform(X)[:1200], y[:1200]
        pairs = sample_pairs(X, y, n_pairs=N_LATE, random_state=0)
        A, B = X[pairs[:, 0]], X[pairs[:, 1]]
        for name, estimator in {
            "tree": DecisionTreeClassifier(random_state=0),
            "forest": RandomForestClassifier(random_state=0),
            "extra trees": ExtraTreesClassifier(random_state=0),
            "boosting": GradientBoostingClassifier(random_state=0, n_estimators=50),
            "histogram boosting": HistGradientBoostingClassifier(random_state=0, max_iter=50),
            "1-nn": KNeighborsClassifier(1),
            "5-nn": KNeighborsClassifier(),
            "rbf svm": SVC(),
            "mlp": MLPClassifier(max_iter=400, random_state=0),
        }.items():
            model = as_model(estimator.fit(X, y))
            noting = Noting(model)
            again = trace_all([noting], A, B, TOL)[0].position
            alone = trace_all([SeenOnly(model)], A, B, TOL)[0].position
            first = np.full(len(A), np.inf)
            for steps in np.array_split(np.linspace(0, 1, 4097), 64):
                points = (A + steps[:, None, None] * (B - A)).reshape(-1, A.shape[1])
                if not steps[0]:
                    start = model.predict(A)
                other = model.predict(points).reshape(len(steps), -1) != start
                first = np.minimum(first, np.where(other.any(axis=0), steps[other.argmax(axis=0)], np.inf))
            late = [(np.where(np.isnan(one), np.inf, one) > first + TOL).mean() for one in (alone, again)]
            contestants = {
                "alone": partial(trace_all, [SeenOnly(model)], A, B, TOL),
                "again": partial(trace_all, [model], A, B, TOL),
            }
            rows.append(
                {
                    "data": data,
                    "model": name,
                    "late by the grid": f"{late[0]:.1%}",
                    "late": f"{late[1]:.1%}",
                    "predictions a pair": f"{sum(map(len, noting.asked)) / N_LATE:.1f}",
                    "time": f"{ratios(contestants, 'alone', N_LATE_ROUNDS)['again']:.2f}",
                }
            )
            print(rows[-1], flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    X, y = load_digits(return_X_y=True)
    X /= 16
    estimators = {
        "logistic": LogisticRegression(max_iter=1000),
        "scaled logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "linear svm": LinearSVC(),
        "lda": LinearDiscriminantAnalysis(),
        "rbf svm": SVC(),
        "mlp": MLPClassifier(max_iter=400, random_state=0),
        "naive Bayes": GaussianNB(),
        "tree": DecisionTreeClassifier(random_state=0),
        "forest": RandomForestClassifier(random_state=0),
        "5-nn": KNeighborsClassifier(),
    }
    fitted = {name: estimator.fit(X[:1200], y[:1200]) for name, estimator in estimators.items()}
    X, y = X[:1200], y[:1200]
    pairs = sample_pairs(X, y, n_pairs=N_PAIRS, random_state=0)
    A, B = X[pairs[:, 0]], X[pairs[:, 1]]
    fast = ["logistic", "linear svm", "lda", "tree", "mlp"]
    groups = {f"all {len(fitted)}": list(fitted), "fast ones": fast}
    rows = []
    for group, names in groups.items():
        models = [as_model(fitted[name]) for name in names]
        noting = [Noting(model) for model in models]
        trace_all(noting, A, B, TOL)
        asked = [(one.model.estimator, points) for one in noting for points in one.asked]
        scorer = HalfwayScorer(n_pairs=N_PAIRS, tol=TOL, random_state=0)
        scorer.fit({name: fitted[name] for name in names})
        contestants = {
            "bare": lambda asked=asked: [estimator.predict(points) for estimator, points in asked],
            "tracing": lambda models=models: trace_all(models, A, B, TOL),
            "measure": lambda scorer=scorer: scorer.measure(X, y),
        }
        found = ratios(contestants, "bare", options.rounds)
        per_pair = sum(len(points) for _, points in asked) / N_PAIRS / len(names)
        rows.append(
            {
                "models": f"{group}: {', '.join(names)}",
                "bare predictions": f"{found['base_ms']:.0f} ms",
                "tracing": f"{found['tracing']:.2f}",
                "measure": f"{found['measure']:.2f}",
            }
        )
        print(rows[-1], flush=True)
    page = PAGE.format(
        n_models=len(fitted),
        n_pairs=N_PAIRS,
        tol=TOL,
        n_rounds=options.rounds,
        table=table(rows),
        asked=per_pair,
        n_late=N_LATE,
        n_late_rounds=N_LATE_ROUNDS,
        late=table(late_crossings()),
    )
    Path(__file__).with_suffix(".md").write_text(page)


if __name__ == "__main__":
    main()
