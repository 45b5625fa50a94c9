"""Measures of generalisation, from a fitted model and its training data only: larger for less test error.

Numbers of equations are those of Jiang et al. 2019, "Fantastic generalization measures and where to find
them" (arXiv 1912.02178, appendix C), as the public code of Dziugaite et al. 2020 (arXiv 2010.11924) has
them; its conventions are kept where the paper leaves a choice. Those measures are complexities: here their
sign is turned, and a logarithm or a root taken where it changes no order.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import davies_bouldin_score
from torch import nn
from torch.func import functional_call
from zoo import Entry

import skhalfway
from skhalfway.halfway import Crossings, crossings, sample_pairs
from skhalfway.models import as_model

MARGIN_QUANTILE = 0.1
N_PAIRS = 500
Function = Callable[[Entry], float]


# ---- what the model says


def training_accuracy(entry: Entry) -> float:
    """Share of the training labels that the model gives back."""
    return 1 - entry.train_error


def scores(entry: Entry) -> NDArray[np.float64]:
    """Score of each class on the training samples; a class that was never seen is out of the question."""
    model = as_model(entry.model)
    values = model.scores(entry.X_train)
    if model.classes_ is None:
        return values
    full = np.full((len(values), int(max(model.classes_.max(), entry.y_train.max())) + 1), -np.inf)
    full[:, model.classes_] = values
    return full


def margins(entry: Entry) -> NDArray[np.float64]:
    """Score of the training label minus the largest other, of each training sample."""
    values, rows = scores(entry), np.arange(len(entry.y_train))
    own = values[rows, entry.y_train]
    values[rows, entry.y_train] = -np.inf
    return own - values.max(axis=1)


def output_margin(entry: Entry) -> float:
    """10 % quantile of the margins, gamma of eq. (22), with its sign; of a classical model's own scores."""
    return float(np.quantile(margins(entry), MARGIN_QUANTILE))


def mixup_accuracy(entry: Entry) -> float:
    """Share of midpoints of two training samples of one label that get this label, mean over labels.

    Natekar & Sharma 2020 (arXiv 2012.02775), label-wise mixup with weight 1/2 as in their public code.
    """
    rng, model, shares = np.random.RandomState(0), as_model(entry.model), []
    classes = model.classes_
    for label in np.unique(entry.y_train):
        X = entry.X_train[entry.y_train == label]
        if len(X) > 1:
            first = rng.randint(len(X), size=N_PAIRS)
            second = (first + rng.randint(1, len(X), size=N_PAIRS)) % len(X)
            predicted = model.predict((X[first] + X[second]) / 2)
            shares.append(np.mean((predicted if classes is None else classes[predicted]) == label))
    return float(np.mean(shares))


# ---- what the weights are


def weights(module: nn.Module) -> list[torch.Tensor]:
    """Weights of each layer, biases left out, a convolution's kernel as a row per output channel."""
    layers = (m.weight.detach() for m in module.modules() if isinstance(m, nn.Linear | nn.Conv2d))
    return [weight.flatten(1).double() for weight in layers]


def n_parameters(entry: Entry) -> float:
    """How few parameters there are: eq. (20), negated."""
    return -float(sum(p.numel() for p in entry.model.parameters()))


def frobenius_product(entry: Entry) -> float:
    """Product of the layers' squared Frobenius norms: eq. (37), its logarithm negated."""
    return -float(sum((w**2).sum().log() for w in weights(entry.model)))


def parameter_norm(entry: Entry) -> float:
    """Sum of the layers' squared Frobenius norms: eq. (42), negated."""
    return -float(sum((w**2).sum() for w in weights(entry.model)))


def spectral_product(entry: Entry) -> float:
    """Product of the layers' squared spectral norms: eq. (32), its logarithm negated.

    Of a convolution, the norm of the kernel reshaped to a row per output channel (Yoshida & Miyato 2017,
    arXiv 1705.10941, section 3.2), not of the operator.
    """
    return -float(sum(2 * torch.linalg.matrix_norm(w, 2).log() for w in weights(entry.model)))


def spectral_margin(entry: Entry) -> float:
    """Output margin over the product of the layers' spectral norms: root of the inverse of eq. (31)."""
    return output_margin(entry) * float(np.exp(spectral_product(entry) / 2))


def frobenius_margin(entry: Entry) -> float:
    """Output margin over the product of the layers' Frobenius norms: root of the inverse of eq. (36)."""
    return output_margin(entry) * float(np.exp(frobenius_product(entry) / 2))


def path_norm(entry: Entry) -> float:
    """Sum over paths of the product of squared weights, biases as weights of a 1: eq. (44), its log negated.

    By a forward pass of ones through squared parameters, where max-pooling takes the largest of its sums.
    """
    module = deepcopy(entry.model).double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.pow_(2)
        ones = torch.ones(1, entry.X_train.shape[1], dtype=torch.float64)
        return -float(module(ones).sum().log())


# ---- how they stand to the data


def gradient_margin(entry: Entry) -> float:
    """10 % quantile of the margins over the norm of their gradient with respect to the input.

    The linear estimate of the distance to the boundary, Jiang et al. 2018 (arXiv 1810.00113, section 3), at
    the input; they use hidden layers too.
    """
    x = torch.tensor(entry.X_train, dtype=torch.float32, requires_grad=True)
    logits, rows = entry.model(x), torch.arange(len(x))
    other = logits.detach().clone()
    other[rows, entry.y_train] = -torch.inf
    margin = logits[rows, entry.y_train] - logits[rows, other.argmax(dim=1)]
    (gradient,) = torch.autograd.grad(margin.sum(), x)
    # where the gradient vanishes the boundary is out of sight, on the side that the margin says
    distance = margin.detach() / gradient.norm(dim=1).clamp_min(1e-12)
    return float(distance.quantile(MARGIN_QUANTILE))


def features(entry: Entry) -> NDArray[np.float64]:
    """What enters the last layer."""
    with torch.no_grad():
        return entry.model[:-1](torch.tensor(entry.X_train, dtype=torch.float32)).double().numpy()


def feature_margin(entry: Entry) -> float:
    """10 % quantile of the distances to the boundary among features, in units of their total deviation.

    Jiang et al. 2018 (arXiv 1810.00113, section 3) at the last hidden layer, where the estimate is exact
    for the nearest other logit; the total deviation is the root of the sum of the features' variances.
    """
    inside, last = features(entry), entry.model[-1]
    total = np.sqrt(inside.var(axis=0).sum())
    if total == 0:
        return -np.inf
    weight, logits = last.weight.detach().double().numpy(), scores(entry)
    rows = np.arange(len(inside))
    own = logits[rows, entry.y_train]
    logits[rows, entry.y_train] = -np.inf
    other = logits.argmax(axis=1)
    norms = np.linalg.norm(weight[entry.y_train] - weight[other], axis=1)
    return float(np.quantile((own - logits[rows, other]) / norms, MARGIN_QUANTILE) / total)


def davies_bouldin(entry: Entry) -> float:
    """Davies-Bouldin index of what enters the last layer, by training label, negated.

    Natekar & Sharma 2020 (arXiv 2012.02775); their code took an early layer of larger networks.
    """
    inside = features(entry)
    if (inside == inside[0]).all():  # nothing is told apart: scikit-learn calls that 0, the best
        return -np.inf
    return -float(davies_bouldin_score(inside, entry.y_train))


def davies_bouldin_mixup(entry: Entry) -> float:
    """Davies-Bouldin index times mixup error, negated: what won the PGDL competition (arXiv 2012.02775)."""
    index, error = davies_bouldin(entry), 1 - mixup_accuracy(entry)
    return index * error if error else 0.0


def flatness(entry: Entry) -> float:
    """Deviation of the noise on the parameters that costs a tenth of training accuracy: sigma of eq. (53)."""
    return noise_borne(entry, magnitude_aware=False)


def magnitude_flatness(entry: Entry) -> float:
    """The same with noise in proportion to each parameter: sigma' of eq. (61)."""
    return noise_borne(entry, magnitude_aware=True)


def noise_borne(
    entry: Entry, *, magnitude_aware: bool, n_draws: int = 10, n_halvings: int = 10, largest: float = 2.0
) -> float:
    """Largest sigma (at most ``largest``) at which mean accuracy over draws falls by no more than 0.1.

    Noise has variance sigma^2, or sigma^2 w^2 + 0.001^2 for a parameter w. One set of draws serves all
    sigmas, so that accuracy hardly rises with sigma and halving finds the place.
    """
    generator = torch.Generator().manual_seed(0)
    parameters = {name: p.detach() for name, p in entry.model.named_parameters()}
    draws = {name: torch.randn(n_draws, *p.shape, generator=generator) for name, p in parameters.items()}
    x, y = torch.tensor(entry.X_train, dtype=torch.float32), torch.from_numpy(entry.y_train)

    def accuracy(sigma: float) -> float:
        def deviation(p: torch.Tensor) -> Any:
            return (sigma**2 * p**2 + 1e-3**2).sqrt() if magnitude_aware else sigma

        n_right = sum(
            int((functional_call(entry.model, noisy, (x,)).argmax(dim=1) == y).sum())
            for noisy in (
                {name: p + deviation(p) * draws[name][k] for name, p in parameters.items()}
                for k in range(n_draws)
            )
        )
        return n_right / (n_draws * len(y))

    lower, upper = 0.0, largest
    with torch.no_grad():
        for _ in range(n_halvings):
            sigma = (lower + upper) / 2
            if 1 - entry.train_error - accuracy(sigma) > 0.1 + 1e-9:
                upper = sigma
            else:
                lower = sigma
    return (lower + upper) / 2


# ---- ours


def n_pairs(entry: Entry) -> int:
    """N_PAIRS, or as many ordered pairs as there are of different labels, and of one."""
    counts = np.bincount(entry.y_train)
    apart, within = counts.sum() ** 2 - (counts**2).sum(), (counts * (counts - 1)).sum()
    return int(min(N_PAIRS, apart, within))


def on_paths(found: Crossings) -> NDArray[np.float64]:
    """(1 - 2 |t - 1/2|)^2 / n of each path, where t is the first crossing and n the number of changes."""
    return (1 - 2 * np.abs(found.position - 0.5)) ** 2 / np.maximum(found.n_changes, 1)


def halfway_score(model: Any, X: NDArray[Any], y: NDArray[Any], n_pairs: int, tol: float = 1e-3) -> float:
    """The first form of the hypothesis; higher is better, and from 0 to 1.

    The mean of `on_paths` over pairs of different labels whose predictions differ, times the share of pairs
    of one label whose midpoint gets it.
    """
    rng = np.random.RandomState(0)
    apart, within = (
        sample_pairs(X, y, pairs=kind, n_pairs=n_pairs, random_state=rng) for kind in ("random", "within")
    )
    found = crossings(model, X[apart[:, 0]], X[apart[:, 1]], tol=tol)
    differ = found.start_class != found.end_class
    if not differ.any():
        return 0.0
    seen = as_model(model)
    answers = seen.predict((X[within[:, 0]] + X[within[:, 1]]) / 2)
    answers = answers if seen.classes_ is None else seen.classes_[answers]
    return float(on_paths(found)[differ].mean() * (answers == y[within[:, 0]]).mean())


def halfway(entry: Entry) -> float:
    """The halfway score, of fewer pairs where there are not as many."""
    return halfway_score(entry.model, entry.X_train, entry.y_train, n_pairs(entry))


def halfway_first(entry: Entry) -> float:
    """The first version of the halfway score: the mean of `on_paths` over pairs of different labels.

    A pair that gets one answer counts 0, which is wrong of a model that sees through noisy labels.
    """
    y = entry.y_train
    pairs = sample_pairs(entry.X_train, y, n_pairs=n_pairs(entry), random_state=0)
    found = crossings(entry.model, entry.X_train[pairs[:, 0]], entry.X_train[pairs[:, 1]])
    return float(np.where(found.start_class != found.end_class, on_paths(found), 0.0).mean())


def halfway_deviation(entry: Entry) -> float:
    """Mean distance of crossings from 1/2 on paths between samples classified right, negated.

    Our own formalisation. Samples of different classes; nan where no pair is classified right.
    """
    y = entry.y_train
    pairs = sample_pairs(entry.X_train, y, n_pairs=n_pairs(entry), random_state=0)
    found = crossings(entry.model, entry.X_train[pairs[:, 0]], entry.X_train[pairs[:, 1]])
    right = (found.start_class == y[pairs[:, 0]]) & (found.end_class == y[pairs[:, 1]])
    return -float(np.abs(found.position[right] - 0.5).mean()) if right.any() else np.nan


@dataclass(frozen=True)
class Measure:
    """``needs``: "predictions" or "scores", which every model has, or "network"; ``ours``: not published."""

    function: Function
    needs: str
    ours: bool = False

    def fits(self, entry: Entry) -> bool:
        return self.needs != "network" or entry.family != "classical"


# one more measure is one more line
MEASURES: dict[str, Measure] = {
    "training accuracy": Measure(training_accuracy, "predictions"),
    "mixup accuracy": Measure(mixup_accuracy, "predictions"),
    "output margin": Measure(output_margin, "scores"),
    "margin / spectral norms": Measure(spectral_margin, "network"),
    "margin / Frobenius norms": Measure(frobenius_margin, "network"),
    "margin / gradient": Measure(gradient_margin, "network"),
    "margin in features": Measure(feature_margin, "network"),
    "Frobenius product": Measure(frobenius_product, "network"),
    "parameter norm": Measure(parameter_norm, "network"),
    "spectral product": Measure(spectral_product, "network"),
    "path norm": Measure(path_norm, "network"),
    "number of parameters": Measure(n_parameters, "network"),
    "flatness": Measure(flatness, "network"),
    "magnitude-aware flatness": Measure(magnitude_flatness, "network"),
    "Davies-Bouldin": Measure(davies_bouldin, "network"),
    "Davies-Bouldin x mixup": Measure(davies_bouldin_mixup, "network"),
    "halfway score": Measure(halfway, "predictions", ours=True),
    "halfway score, first version": Measure(halfway_first, "predictions", ours=True),
    "halfway deviation": Measure(halfway_deviation, "predictions", ours=True),
}
OURS = "halfway score"


def code_of(function: Any) -> str:
    """Digest of the source of a function and of what it calls, here and in the packages of crossings."""
    seen: dict[str, str] = {}

    def visit(function: Any) -> None:
        if inspect.getmodule(function) is not inspect.getmodule(code_of):
            return
        seen[function.__qualname__] = inspect.getsource(function)
        names = {name for code in codes(function.__code__) for name in code.co_names}
        for name in sorted(names & set(function.__globals__)):
            called = function.__globals__[name]
            if inspect.isfunction(called) and called.__qualname__ not in seen:
                if called.__module__.startswith("skhalfway.halfway"):
                    package = Path(skhalfway.__file__).parent
                    for folder in ("boundaries", "halfway"):
                        files = sorted((package / folder).glob("*.py"))
                        seen[folder] = "".join(path.read_text() for path in files)
                visit(called)

    def codes(code: Any) -> list[Any]:
        return [code, *(inner for part in code.co_consts if inspect.iscode(part) for inner in codes(part))]

    visit(function)
    return hashlib.sha256(repr(sorted(seen.items())).encode()).hexdigest()[:12]
