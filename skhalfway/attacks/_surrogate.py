"""Substitutes of black boxes: trained on the source's predictions, and attacked in its place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.neural_network import MLPClassifier
from torch import nn

from skhalfway._checks import check_integer, check_length
from skhalfway._text import shown
from skhalfway.attacks._gradient import pgd
from skhalfway.attacks._of_ensembles import check_learns
from skhalfway.attacks._problem import Outcome, Problem
from skhalfway.attacks._queries import Queries
from skhalfway.attacks._region import Region
from skhalfway.models import Model, as_model
from skhalfway.models._torch import dtype_of

if TYPE_CHECKING:
    from skhalfway.attacks._pool import Pool
    from skhalfway.attacks._problem import Settings

_MAX_NEW = 1000  # most inputs that one round adds
_FARTHEST = 100  # largest distance of new inputs from others, in spreads of the data
_NEVER = -1e4  # logit of a class that the source was not seen to predict


@dataclass(frozen=True)
class _Scale:
    """Centre and scale of the points that the substitute is trained on.

    Features with a small spread are divided by the typical spread of features, not by their own. The budget
    is the same for all features, so that the substitute would depend on these features too much otherwise.
    """

    centre: NDArray[np.float64]
    width: NDArray[np.float64]

    def __call__(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        return (points - self.centre) / self.width


class Substitute(nn.Module):
    """A substitute's logits for all classes of the source, some of which it may never have seen."""

    def __init__(self, model: Model, scale: _Scale, seen: NDArray[np.intp], n_classes: int) -> None:
        super().__init__()
        assert model.module is not None
        self.model, self.module, self.n_classes = model, model.module, n_classes
        dtype = dtype_of(model.module)
        self.centre: torch.Tensor
        self.width: torch.Tensor
        self.register_buffer("centre", torch.tensor(scale.centre, dtype=dtype))
        self.register_buffer("width", torch.tensor(scale.width, dtype=dtype))
        self.seen: torch.Tensor
        self.register_buffer("seen", torch.from_numpy(seen))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.model.logits((x - self.centre) / self.width)
        return logits.new_full((len(x), self.n_classes), _NEVER).index_copy(1, self.seen, logits)


@dataclass(frozen=True)
class Surrogate:
    """A differentiable substitute, and PGD on it.

    Attributes
    ----------
    settings : Settings
        The generator's.
    estimator : object or None
        Classifier that is trained as the substitute.
    n_rounds : int
        Number of rounds of queries.
    step : float or None
        Distance of new inputs from those that they are made from, in each feature.
    """

    settings: Settings
    estimator: Any
    n_rounds: int
    step: float | None

    def run(self, problem: Problem) -> Outcome:
        """Train the substitute (Algorithm 1) and attack all samples at once.

        Everything happens in the coordinates that the samples share. Categories and missing values are 0
        there, so that the substitute does not depend on them.
        """
        region, pool = problem.region, problem.pool
        queries = Queries(problem, self.settings.max_queries)
        X_adv, left = region.X.copy(), np.flatnonzero(np.isinf(queries.distances))
        substitute, n_more, faults = None, 0, None
        if pool is not None:
            substitute, n_more = pool.once("substitute", partial(self._distil_pool, pool))
        elif len(left):
            substitute, n_more = self._distil(queries, len(region))
        if substitute is not None and len(left):
            task = replace(problem, model=substitute, region=_shared_region(queries), pool=None)
            made = pgd(replace(self.settings, dtype=None)).run(task)
            faults = made.faults
            assert faults is not None
            faults.advice = "attack_params['estimator'] takes another substitute"
            z = queries.own(made.X_adv[left], left).reshape(X_adv[left].shape)
            X_adv[left] = region.keep(z, left, full=True)
        return Outcome(X_adv, 1 + problem.shares(n_more), of_substitute=faults)

    def _distil_pool(self, pool: Pool) -> tuple[Model | None, int]:
        return self._distil(Queries(pool.problem, self.settings.max_queries), pool.n_whole)

    def _distil(self, queries: Queries, n_whole: int) -> tuple[Model | None, int]:
        """The substitute, and the number of queries that it took beside one for each sample.

        The substitute is None if the source predicted one label for all inputs.
        """
        problem = queries.problem
        with problem.model.evaluating():
            substitute = self._augment(queries, n_whole, np.random.RandomState(problem.seed))
        return substitute, int((queries.n_asked - 1).sum())

    def _augment(self, queries: Queries, n_whole: int, rng: np.random.RandomState) -> Model | None:
        """Train on the samples, and in each round also on new inputs around them."""
        flat = _shared_region(queries)
        X, movable = flat.X, flat.movable()
        n_movable = movable.sum() / max(1, movable.any(axis=1).sum())
        reach = flat.flat_units() * flat.eps * max(1, n_movable) ** (-1 / flat.norm)
        spread = X.std(axis=0)
        usual = np.median(spread[spread > 0]) if (spread > 0).any() else np.median(reach)
        # no training on points that are far away from the data
        step = np.minimum(reach, _FARTHEST * usual) if self.step is None else self.step * flat.flat_units()
        scale = _Scale(X.mean(axis=0), np.maximum(spread, usual))
        points, of, labels = X, np.arange(len(X)), queries.predicted
        substitute = self._fit(points, labels, scale, queries.problem.n_classes, rng)
        for k in range(self.n_rounds):
            n_left = self.settings.max_queries * n_whole - int(queries.n_asked.sum())
            parents = rng.permutation(len(points))[: min(n_left, _MAX_NEW)]
            if not len(parents):
                break
            # the sign of the step alternates: the "periodic step size" of section 5.3
            sign = (-1) ** k * self._signs(substitute, points[parents], labels[parents], rng)
            origin = of[parents]
            new = points[parents] + step[origin] * sign * movable[origin]
            low, high = flat.limits(origin)
            new = np.clip(new, low, high)
            points, of = np.concatenate([points, new]), np.concatenate([of, origin])
            labels = np.concatenate([labels, queries.predict(queries.own(new, origin), origin)])
            substitute = self._fit(points, labels, scale, queries.problem.n_classes, rng)
        return substitute

    def _fit(
        self,
        points: NDArray[np.float64],
        labels: NDArray[np.intp],
        scale: _Scale,
        n_classes: int,
        rng: np.random.RandomState,
    ) -> Model | None:
        seen, answers = np.unique(labels, return_inverse=True)
        if len(seen) < 2:
            return None
        # training ends by tol, long before max_iter
        net = MLPClassifier((64, 64), tol=1e-2, max_iter=2000, random_state=rng.randint(2**31 - 1))
        estimator = net if self.estimator is None else clone(self.estimator)
        model = as_model(estimator.fit(scale(points), answers))
        if not model.has_gradient:
            raise TypeError(f"attack_params['estimator'] must have a gradient, but {model.why_black_box}")
        logits = Substitute(model, scale, seen, n_classes)
        return as_model(logits, classes=np.arange(n_classes), output="logits")

    @staticmethod
    def _signs(
        substitute: Model | None,
        points: NDArray[np.float64],
        labels: NDArray[np.intp],
        rng: np.random.RandomState,
    ) -> NDArray[np.float64]:
        """Signs of the Jacobian's row of each label; random signs while there is no substitute yet."""
        if substitute is None:
            return rng.choice([-1.0, 1.0], size=points.shape)
        assert substitute.module is not None
        with substitute.evaluating():
            x = torch.tensor(points, dtype=dtype_of(substitute.module), requires_grad=True)
            of_labels = substitute.logits(x).gather(1, torch.from_numpy(labels)[:, None])
            return torch.autograd.grad(of_labels.sum(), x)[0].sign().double().numpy()


def _shared_region(queries: Queries) -> Region:
    """The region of the samples as rows, in the coordinates that they share."""
    region, stretch = queries.problem.region, queries.stretch
    own = 1.0 if stretch is None else stretch
    return Region(
        queries.shared,
        region.eps,
        region.norm,
        unit=None if stretch is None else 1 / stretch,
        low=queries.low / own,
        high=queries.high / own,
        free=region.movable().reshape(queries.x0.shape),
    )


def surrogate(
    settings: Settings, estimator: Any = None, n_rounds: int = 5, step: float | None = None
) -> Surrogate:
    """Jacobian-based data set augmentation (Papernot et al. 2017, Algorithm 1), then PGD on the substitute.

    ``estimator`` is cloned and fitted on scaled rows; None is an MLPClassifier. The source is queried at the
    samples themselves. Each round then doubles the inputs, with at most 1000 new ones, and on average at most
    ``max_queries`` for each sample; each sample is charged an equal share of all queries. ``step`` None is
    the budget's length, up to 100 spreads of the data. As long as the source predicts one label for all
    inputs, new inputs are random; if it never predicts another, samples are returned as they are.
    """
    check_integer("attack_params['n_rounds']", n_rounds, 0)
    if step is not None:
        check_length("attack_params['step']", step)
    if estimator is not None and not hasattr(estimator, "fit"):
        raise ValueError(f"attack_params['estimator'] must be None or a classifier, got {shown(estimator)}")
    check_learns("attack_params['estimator']", estimator)
    return Surrogate(settings, estimator, int(n_rounds), None if step is None else float(step))
