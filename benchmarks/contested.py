"""Which wrong labels are found: contested samples against confident learning.

    pip install --no-deps cleanlab termcolor
    python benchmarks/contested.py

writes contested.md. A share of the training labels of the data sets of consensus_zoo.py is changed to another
class at random, with three seeds; what is flagged is compared with what was changed. Five models (forest,
extra trees, boosting, logistic regression, 25 nearest neighbours) know the changed labels only.

- *contested*: `HalfwayScorer().fit(models).measure(X, y).contested()`, of the five models trained on all
  samples; flagged are margins below 0. No model is trained again.
- *models at the samples*: the same five, asked at the samples themselves: flagged is where most disagree.
- *25-NN vote*: flagged is where most of the 25 nearest labels, the sample's own left out, are another.
- *confident learning* (Northcutt et al. 2021, as cleanlab has it, its defaults): of the five models' mean
  probabilities in 5-fold cross-validation; five more trainings each.

Fixed before the first run: all of the above, and the claim that contested samples have an average precision
at most .05 below that of confident learning, averaged over data sets, at each noise.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores
from consensus_page import cell
from consensus_zoo import DATA, SEEDS, Data, load
from joblib import Parallel, delayed
from numpy.typing import NDArray
from run import table
from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from skhalfway import HalfwayScorer

NOISE = (0.05, 0.1, 0.2, 0.4)
FIGURES = ("precision", "recall", "average precision")
Array = NDArray[Any]


def models() -> dict[str, Any]:
    return {
        "forest": RandomForestClassifier(random_state=0),
        "extra trees": ExtraTreesClassifier(random_state=0),
        "boosting": HistGradientBoostingClassifier(max_iter=30, random_state=0),
        "logistic": LogisticRegression(max_iter=1000),
        "25-NN": KNeighborsClassifier(25),
    }


def suspected(data: Data, y: Array) -> Iterator[tuple[str, Array, Array]]:
    """Of each method, its name, which samples it flags, and how suspicious each is."""
    X, rows = data.X_train, np.arange(len(y))
    fitted = {name: model.fit(X, y) for name, model in models().items()}
    scorer = HalfwayScorer(n_pairs=10, random_state=0).fit(fitted)
    margin = scorer.measure(X, y).contested(n_samples=len(y))["margin"].sort_index().to_numpy()
    yield "contested", margin < 0, -margin

    said = np.stack([model.predict(X) != y for model in fitted.values()]).mean(axis=0)
    yield "models at the samples", said > 0.5, said

    near = NearestNeighbors(n_neighbors=25).fit(X).kneighbors(return_distance=False)
    votes = np.stack([(y[near] == label).mean(axis=1) for label in range(data.n_classes)], axis=1)
    yield "25-NN vote", votes.argmax(axis=1) != y, 1 - votes[rows, y]

    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    probabilities = np.mean(
        [cross_val_predict(model, X, y, cv=folds, method="predict_proba") for model in models().values()],
        axis=0,
    )
    flagged = find_label_issues(y, probabilities, n_jobs=1)
    yield "confident learning", flagged, 1 - get_label_quality_scores(y, probabilities)


def block(name: str, seed: int, noise: float) -> dict[str, list[float]]:
    """Precision, recall and average precision of each method."""
    data, rng = load(name, seed), np.random.RandomState(seed)
    wrong = rng.uniform(size=len(data.y_train)) < noise
    others = (data.y_train + rng.randint(1, data.n_classes, size=len(wrong))) % data.n_classes
    y = np.where(wrong, others, data.y_train)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of classes with few samples in folds, and check-ups of models
        return {
            method: [
                float(wrong[flagged].mean()) if flagged.any() else 0.0,
                float(flagged[wrong].mean()),
                float(average_precision_score(wrong, suspicion)),
            ]
            for method, flagged, suspicion in suspected(data, y)
        }


def main() -> None:
    tasks = [(noise, name, seed) for noise in NOISE for name in DATA for seed in SEEDS]
    blocks = Parallel(n_jobs=2)(delayed(block)(name, seed, noise) for noise, name, seed in tasks)
    found = dict(zip(tasks, blocks, strict=True))
    methods = list(blocks[0])
    by_noise = {
        (noise, method): np.array(
            [np.mean([found[noise, name, seed][method] for seed in SEEDS], axis=0) for name in DATA]
        )
        for noise in NOISE
        for method in methods
    }
    rows = [
        {"changed labels": f"{noise:.0%}", "method": method}
        | {figure: cell(values[:, k]) for k, figure in enumerate(FIGURES)}
        for (noise, method), values in by_noise.items()
    ]
    apart = {
        noise: by_noise[noise, "contested"][:, 2] - by_noise[noise, "confident learning"][:, 2]
        for noise in NOISE
    }
    held = all(values.mean() >= -0.05 for values in apart.values())
    by_data = [
        {"data set": name} | {method: f"{by_noise[0.2, method][i, 2]:.2f}" for method in methods}
        for i, name in enumerate(DATA)
    ]
    said = "; ".join(f"{noise:.0%}: {cell(values)}" for noise, values in apart.items())
    sections = [
        "# Contested samples: which wrong labels are found",
        (__doc__ or "").split("\n", 2)[2].strip(),
        f"**The claim {'held' if held else 'failed'}.** Average precision of contested samples less that of "
        f"confident learning, mean over data sets with Student's 95 % interval: {said}.",
        table(rows),
        "## Average precision by data set, 20 % changed",
        table(by_data),
    ]
    Path(__file__).with_suffix(".md").write_text("\n\n".join(sections) + "\n")


if __name__ == "__main__":
    main()
