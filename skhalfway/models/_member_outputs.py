"""Outputs of the estimators inside a meta-estimator, as modules: log-probabilities, decisions, votes.

Only converters call these functions. By then ``to_module`` has loaded the families, some of which register
their own versions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, singledispatch
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, SGDClassifier
from torch import nn

from skhalfway._text import shown
from skhalfway.models._linear import tensor
from skhalfway.models._memory import Members
from skhalfway.models._registry import NotDifferentiableError, register_module, to_module
from skhalfway.models._torch import Cast, in_sequence, two_columns, weight_dtype

Delegate = TypeVar("Delegate", bound=Callable[..., nn.Module])

_TINY = float(np.finfo(np.float64).tiny)
# log-probability of a class without probability
FLOOR = float(np.log(_TINY))


@contextmanager
def naming(part: str) -> Iterator[None]:
    """Context that puts the name of a part before the reason why it has no gradient."""
    try:
        yield
    except NotDifferentiableError as error:
        raise NotDifferentiableError(f"{part}: {error}") from None


def floored_log(probability: Any) -> NDArray[np.float64]:
    """Logarithm of numbers, some of which may be 0."""
    return np.log(np.maximum(probability, _TINY))


class LogSoftmax(nn.Module):
    """Log-probabilities of logits; with a ``steepness``, they are votes made differentiable."""

    def __init__(self, steepness: float = 1.0, *, smoothed: bool = False) -> None:
        super().__init__()
        self.steepness, self.smoothed = steepness, smoothed

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.log_softmax(self.steepness * two_columns(z), dim=1)


class Decision(nn.Module):
    """``decision_function`` from logits: for two columns, their difference."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        z = two_columns(z)
        return z[:, 1:] - z[:, :1] if z.shape[1] == 2 else z


class OneVsRestProbability(nn.Module):
    """Log-probabilities from scores of one logistic model each, normalised if there are several."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        if z.shape[1] == 1:
            return torch.log_softmax(two_columns(z), dim=1)
        return torch.log_softmax(torch.nn.functional.logsigmoid(z), dim=1)


class ModifiedHuberProbability(nn.Module):
    """``(clip(z, -1, 1) + 1) / 2``, normalised."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        if z.shape[1] == 1:
            z = torch.cat([-z, z], dim=1)
        return log_normalised((z.clamp(-1, 1) + 1) / 2, z)


def log_normalised(probability: torch.Tensor, z: torch.Tensor, trace: float = 1e-6) -> torch.Tensor:
    """Logarithm of probabilities that are normalised to sum to 1, uniform if all are 0.

    They are constant in places. A trace of ``sigmoid(z)`` adds a gradient there: an attack follows its
    direction, however small it is.
    """
    total = probability.sum(dim=1, keepdim=True)
    none = total == 0
    share = torch.where(none, 1 / probability.shape[1], probability / torch.where(none, 1.0, total))
    log = share.clamp_min(_TINY).log() + np.log1p(-trace)
    return torch.logaddexp(log, torch.nn.functional.logsigmoid(z) + np.log(trace))


class Constant(nn.Module):
    value: torch.Tensor

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.register_buffer("value", tensor(value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.value.expand(len(x), -1)


class IntoClasses(nn.Module):
    """Columns of some classes, placed among those of all; the others get practically no probability."""

    index: torch.Tensor

    def __init__(self, index: Any, n_classes: int, fill: float = FLOOR) -> None:
        super().__init__()
        self.register_buffer("index", torch.as_tensor(index, dtype=torch.long))
        self.n_classes, self.fill = n_classes, fill

    def forward(self, columns: torch.Tensor) -> torch.Tensor:
        rows = columns.new_full((len(columns), self.n_classes), self.fill)
        return rows.index_copy(1, self.index, columns)


class SideBySide(Members):
    """The columns of each branch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat(self.outputs(x), dim=1)


class Mean(Members):
    """Weighted mean of branches; with ``of_logs``, of probabilities that are given as logarithms.

    In logarithms, a confident branch keeps its gradient, which vanishes for probabilities near 0 and 1.
    """

    weight: torch.Tensor

    def __init__(self, branches: Sequence[nn.Module], weight: Any = None, *, of_logs: bool = True) -> None:
        super().__init__(branches)
        share = tensor(np.ones(len(branches)) if weight is None else weight)
        if (share < 0).any():
            raise NotDifferentiableError(f"weights must be >= 0 to have a logarithm, got {shown(share)}")
        self.register_buffer("weight", (share / share.sum())[:, None, None])
        self.of_logs = of_logs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outputs = torch.stack(self.outputs(x))
        if self.of_logs:
            return torch.logsumexp(outputs + self.weight.log(), dim=0)
        return (outputs * self.weight).sum(dim=0)


def branch(*modules: nn.Module) -> nn.Module:
    """Modules one after another, with inputs of any float type and outputs in float64."""
    inner = in_sequence(list(modules))
    return nn.Sequential(Cast(weight_dtype(inner) or torch.float64), inner, Cast(torch.float64))


@singledispatch
def log_probability(estimator: Any) -> nn.Module:
    """Module for the logarithm of ``predict_proba``: by default, of the softmax of the logits."""
    return in_sequence([to_module(estimator), LogSoftmax()])


@singledispatch
def decision(estimator: Any) -> nn.Module:
    """Module for ``decision_function``, with one column for two classes: by default, the logits."""
    return in_sequence([to_module(estimator), Decision()])


def vote(estimator: Any, steepness: float) -> nn.Module:
    """Module for the logarithm of a softened vote for the predicted class."""
    module = to_module(estimator)
    return in_sequence([module, LogSoftmax(steepness / emphasis_of(module), smoothed=True)])


def emphasis_of(module: nn.Module) -> float:
    """Factor by which a module multiplies its logits to make attacks stronger."""
    while isinstance(module, nn.Sequential) and len(module):
        module = module[-1]
    return float(getattr(module, "emphasis", 1.0))


def register_delegate(*types: type) -> Callable[[Delegate], Delegate]:
    """Register an estimator whose outputs are those of one inside it.

    The decorated function takes the estimator and ``respond``, one of :func:`to_module`,
    :func:`log_probability` and :func:`decision`, to call on the inner estimator.
    """

    def register(converter: Delegate) -> Delegate:
        register_module(*types)(partial(converter, respond=to_module))
        for respond in (log_probability, decision):
            for type_ in types:
                respond.register(type_, partial(converter, respond=respond))
        return converter

    return register


@log_probability.register
def _(estimator: SGDClassifier) -> nn.Module:
    links = {"log_loss": OneVsRestProbability, "modified_huber": ModifiedHuberProbability}
    return in_sequence([to_module(estimator), links[estimator.loss]()])


@log_probability.register
def _(estimator: LogisticRegression) -> nn.Module:
    # until scikit-learn 1.8, each of several classes may have a model of its own
    several = len(estimator.classes_) > 2
    asked = getattr(estimator, "multi_class", "multinomial")
    one_vs_rest = asked == "ovr" or (asked in ("auto", "deprecated") and estimator.solver == "liblinear")
    link = OneVsRestProbability() if several and one_vs_rest else LogSoftmax()
    return in_sequence([to_module(estimator), link])
