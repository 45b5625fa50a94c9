"""What crossings cost over the predictions they need; writes benchmarks/halfway_speed.md.

The points that each model is asked about are noted once; then the tracing of all models and the bare
``estimator.predict`` of the same points take turns.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from run import ratios, table
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
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
{tol}, against the bare `estimator.predict` of the very points that each was asked about: median over
{n_rounds} rounds of the ratio within a round, one thread.

{table}

{asked:.1f} predictions are asked of a model for each pair (aim: at most 24). *Tracing* is the search for
crossings; *measure* is `HalfwayScorer.measure`, which also checks the data, draws the pairs and counts.
Aim: at most 1.2.
"""


class Noting:
    """A model that notes what it is asked."""

    def __init__(self, model: Model) -> None:
        self.model, self.asked = model, []

    def predict(self, X: Any) -> Any:
        self.asked.append(X)
        return self.model.predict(X)


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
    )
    Path(__file__).with_suffix(".md").write_text(page)


if __name__ == "__main__":
    main()
