"""What second opinions on attacks by gradient cost, and what they see; writes second_opinion.md."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from run import table
from sklearn.datasets import load_digits, load_iris
from sklearn.ensemble import AdaBoostClassifier
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from threadpoolctl import threadpool_limits
from torch import nn
from tqdm.auto import tqdm

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.attacks import _second_opinion
from skhalfway.cli._demo import train, untrained_models
from skhalfway.models import ModelWarning
from skhalfway.transfer import _masked, _source

# samples, and directions for each
SIZES = ((16, 32), (32, 32), (64, 32))


class Changed(nn.Module):
    """A network whose inputs or outputs go through something that hides its gradient."""

    def __init__(self, net: nn.Module, change: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.change(self.net, x)


# of each, a gradient that says little: 0, or of something else
MASKS: dict[str, Callable[[nn.Module, torch.Tensor], torch.Tensor]] = {
    "inputs rounded to quarters": lambda net, x: net(torch.round(x * 4) / 4),
    "inputs rounded to eighths": lambda net, x: net(torch.round(x * 8) / 8),
    "inputs made integers": lambda net, x: net((x * 16 + 0.5).long().to(x) / 16 + 0 * x),
    "twice the softmax of 10,000 times the logits": lambda net, x: 2 * (1e4 * net(x)).softmax(1),
    "logits rounded": lambda net, x: torch.round(net(x)) + 0 * x.sum(1, keepdim=True),
    "rippled inputs": lambda net, x: net(x + 0.02 * torch.sin(1e4 * x)),
    "gradients through clipped inputs": lambda net, x: net((x * 1e3).clamp(0, 1) * 1e-6 + x.detach()),
}


def digits(n_test: int) -> tuple[NDArray[Any], ...]:
    X, y = load_digits(return_X_y=True)
    return train_test_split(X / 16, y, train_size=1000, test_size=n_test, stratify=y, random_state=0)


def fitted() -> dict[str, Any]:
    X, _, y, _ = digits(100)
    models = {name: train(model, X, y) for name, model in tqdm(untrained_models().items(), desc="train")}
    more = {"naive Bayes": GaussianNB(var_smoothing=1e-2), "AdaBoost": AdaBoostClassifier(random_state=0)}
    return models | {name: model.fit(X, y) for name, model in more.items()}


@contextmanager
def seconds() -> Iterator[list[float]]:
    """Processor time inside that second opinions of queries take, and all of it, appended at the end."""
    asked, ask = [0.0], _source.ask_with_queries

    def timed(*args: Any) -> Any:
        start = time.process_time()
        opinion = ask(*args)
        asked[0] += time.process_time() - start
        return opinion

    taken: list[float] = []
    _source.ask_with_queries = timed
    start = time.process_time()
    try:
        yield taken
    finally:
        _source.ask_with_queries = ask
        taken += [asked[0], time.process_time() - start]


@contextmanager
def size(n_samples: int, n_directions: int) -> Iterator[None]:
    before = _masked.N_LEAST, _masked.N_MOST, _second_opinion._N_DIRECTIONS
    _masked.N_LEAST, _masked.N_MOST, _second_opinion._N_DIRECTIONS = n_samples, n_samples, n_directions
    try:
        yield
    finally:
        _masked.N_LEAST, _masked.N_MOST, _second_opinion._N_DIRECTIONS = before


def transfer(
    models: dict[str, Any], X: NDArray[Any], y: NDArray[Any], **params: Any
) -> tuple[Any, list[str]]:
    """The matrix, and the names of sources whose attack is too weak although nothing is masked."""
    generator = AdversarialGenerator(**({"attack": "pgd", "clip_values": (0, 1)} | params))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ModelWarning)
        matrix = TransferScorer(generator, random_state=0).fit(models).transfer(X, y)
    said = [str(warning.message) for warning in caught]
    return matrix, [text.split("'")[1] for text in said if "the attack is too weak" in text]


def costs(models: dict[str, Any]) -> str:
    """Share of the time of a matrix of eight models, PGD with 40 steps."""
    models = dict(list(models.items())[:8])
    rows = []
    for n_samples, n_directions in SIZES:
        row = {"samples": str(n_samples), "queries": str(n_directions)}
        for n, eps in ((100, 0.15), (597, 0.15), (597, 0.05)):
            _, X, _, y = digits(n)
            with size(n_samples, n_directions), seconds() as taken:
                transfer(models, X, y, eps=eps)
            asked, whole = taken
            row[f"{n} digits, eps {eps}"] = f"{asked / (whole - asked):.1%} of {whole - asked:.1f} s"
        tqdm.write(str(row))
        rows.append(row)
    return table(rows)


def seen(models: dict[str, Any]) -> str:
    """Masked sources that are flagged, by the queries alone and by all opinions."""
    _, X, _, y = digits(200)
    X = X.astype(np.float32)
    net = models["torch cnn"]
    masked = {name: Changed(net, change) for name, change in MASKS.items()}
    rows = []
    for n_samples, n_directions in SIZES:
        row = {"samples": str(n_samples), "queries": str(n_directions)}
        for norm, eps in ((np.inf, 0.1), (np.inf, 0.15), (2, 0.8), (1, 3.0)):
            with size(n_samples, n_directions):
                # beside no source that is not masked, and with too few others to tell
                flags = [
                    transfer({name: m, "again": m}, X, y, eps=eps, norm=norm)[0].masked[0]
                    for name, m in masked.items()
                ]
            row[f"norm {norm}, eps {eps}"] = f"{sum(flags)} of {len(flags)}"
        tqdm.write(str(row))
        rows.append(row)
    return table(rows)


def each_mask(models: dict[str, Any]) -> str:
    """What becomes of each masked source, alone and beside the eight models."""
    _, X, _, y = digits(200)
    X = X.astype(np.float32)
    net, rows = models["torch cnn"], []
    others = {name: models[name] for name in ("logistic", "rbf svm", "mlp", "torch cnn")}
    for name, change in MASKS.items():
        row = {"source": name}
        for eps in (0.05, 0.1, 0.15):
            source = Changed(net, change)
            alone, _ = transfer({"one": source, "again": source}, X, y, eps=eps)
            beside, _ = transfer({"one": source, **others}, X, y, eps=eps)
            flag = {(True, True): "both", (True, False): "queries", (False, True): "others"}
            by = flag.get((bool(alone.masked[0]), bool(beside.masked[0])), "-")
            row[f"eps {eps}"] = f"{alone.source_success[0]:.2f}, {by}"
        rows.append(row)
        tqdm.write(str(row))
    return table(rows)


def honest(models: dict[str, Any]) -> str:
    """Sources with nothing to hide that are doubted all the same, by data and budget."""
    _, X, _, y = digits(100)
    X_iris, y_iris = load_iris(return_X_y=True)
    kinds = {name: model for name, model in models.items() if name not in ("skorch net", "torch cnn")}
    of_iris = {name: type(m)(**m.get_params()).fit(X_iris[::2], y_iris[::2]) for name, m in kinds.items()}
    rows = []
    for norm, small in ((np.inf, 0.05), (2, 0.4), (1, 1.5)):
        for eps in (small, 2 * small, 3 * small):
            made = transfer(models, X, y, eps=eps, norm=norm)
            rows.append(_doubted("digits", *made, norm, eps))
    for norm, small in ((np.inf, 0.1), (2, 0.2), (1, 0.3)):
        for eps in (small, 3 * small, 5 * small):
            part = slice(1, None, 2)
            made = transfer(of_iris, X_iris[part], y_iris[part], eps=eps, norm=norm, clip_values=None)
            rows.append(_doubted("iris", *made, norm, eps))
    return table(rows)


def _doubted(data: str, matrix: Any, weak: list[str], norm: float, eps: float) -> dict[str, str]:
    names = [name for name, flag in zip(matrix.names, matrix.masked, strict=True) if flag]
    row = {"data": data, "norm": f"{norm:g}", "eps": f"{eps:g}", "sources": str(len(matrix.names))}
    row |= {"masked": ", ".join(names) or "none", "weak": ", ".join(weak) or "none"}
    tqdm.write(str(row))
    return row


def page() -> str:
    models = fitted()
    return f"""\
# Second opinions on attacks by gradient

    python benchmarks/second_opinion.py

makes this page, in about ten minutes. A source is doubted where noise, samples made on another source, or
a few queries fool it more often than its own attack does. The first two cost nothing, for a matrix has them.
For the queries, this is the time they add to a matrix of the demo's eight models (PGD, 40 steps, L-inf, one
job, processor time). They come first to samples that the own attack failed on, so a strong attack is judged
at little cost.

{costs(models)}

*Queries* are directions that are asked for each sample; about ten more predictions follow, those of short
steps along the gradient too. Where the own attack fools less than a quarter, 24 samples get 200 queries of
the Square attack, which is what eps 0.05 shows. Aim: with the check-up at most 5 % at eps 0.15. Chosen: 32
queries for a quarter of the samples, for 32 at least and 64 at most.

Of {len(MASKS)} copies of the demo's network that hide their gradient, so many are flagged, without any other
source beside them (200 digits):

{seen(models)}

One by one: share of samples that PGD fools, and which opinions see that this is too little, the queries, the
other sources ("others": a logistic regression, an SVM and two networks), both or neither (L-inf). A gradient
that is exactly 0 is told in any case.

{each_mask(models)}

Sources that hide nothing. *Masked*: five restarts from random points do not find what the others do.
*Weak*: they do, and one attack without them was too weak. Neither is a mistake (five neighbours on iris at
eps 0.5: PGD .31, with restarts .43, HopSkipJump .48):

{honest(models)}
"""


def main() -> None:
    torch.set_num_threads(1)
    with threadpool_limits(1):
        text = page()
    Path(__file__).with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
