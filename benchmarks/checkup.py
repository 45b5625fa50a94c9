"""What the check-up of models costs beside a transfer matrix; writes benchmarks/checkup.md."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from run import digits, ratios, table
from threadpoolctl import threadpool_limits

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.cli._demo import train, untrained_models
from skhalfway.models import as_model
from skhalfway.models._check import check_models

PAGE = """# What the check-up costs

    python benchmarks/checkup.py

makes this page. Eight models of digits (those of `python -m skhalfway demo`), a PGD-40 transfer matrix at eps
0.15, one thread; median over {n_rounds} rounds of the ratio within a round.

{table}

*Share* is that of the check-up in the matrix's own time, in which it is contained. Aim: at most 5 %.
"""


def bench_check_up(n_rounds: int) -> str:
    X, y = digits()
    X = X.astype(float)
    models = {name: train(model, X[:1000], y[:1000]) for name, model in untrained_models().items()}
    generator = AdversarialGenerator(attack="pgd", eps=0.15, max_iter=40, clip_values=(0, 1))
    scorer = TransferScorer(generator, random_state=0).fit(models)
    rows = []
    for n in (100, 300, 597):
        V, v = X[1000 : 1000 + n], y[1000 : 1000 + n]
        # what they are converted to serves the attacks too
        seen = {name: as_model(model) for name, model in models.items()}
        assert all(model.has_gradient for model in seen.values())
        predicted = np.stack([model.predict(V) for model in seen.values()])
        contestants = {
            "matrix": partial(scorer.transfer, V, v),
            "check-up": partial(check_models, seen, V, np.arange(10), v, predicted),
        }
        measured = ratios(contestants, "matrix", n_rounds)
        row = {"samples": str(n), "matrix": f"{measured['base_ms'] / 1000:.1f} s"}
        rows.append(row | {"share of the check-up": f"{measured['check-up']:.1%}"})
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with threadpool_limits(1):
        page = PAGE.format(n_rounds=options.rounds, table=bench_check_up(options.rounds))
    Path(__file__).with_suffix(".md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
