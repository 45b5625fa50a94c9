"""Decision trees, forests and boosted trees, made differentiable by soft splits."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.tree import DecisionTreeClassifier
from torch import nn
from torch.nn.functional import logsigmoid
from torch.utils.checkpoint import checkpoint

from skhalfway.models._linear import tensor
from skhalfway.models._member_outputs import branch, log_probability, naming
from skhalfway.models._registry import register_module
from skhalfway.models._tree_arrays import TreeEnsemble, join
from skhalfway.models._tree_parsers import tree_ensemble
from skhalfway.models._tree_responses import Shares
from skhalfway.models._trees_sklearn import boosted_trees

# Factor of logits that are logarithms of shares, averaged over several trees. The lead of a class is small in
# logarithms, so that without the factor cross-entropy would push the class below all others, rather than
# below the next one. On digits, PGD fools a forest on 80 % of the samples with the factor and on 64 %
# without, and other models on no fewer (benchmarks/soft_trees.md).
EMPHASIS = 8.0
# log-odds of a split that is not softened: by category, for a missing value, or very far from the threshold
_CERTAIN = 1e4
_NEXT_TO_ZERO = 1e-30
# nodes times samples: computed at once (to fit into a cache), and kept for the gradient (24 bytes each)
_AT_ONCE, _KEPT = 2**21, 2**24


class SoftTrees(nn.Module):
    """Logits of a :class:`TreeEnsemble` in which each sample goes both ways at each split.

    A sample x goes left with probability ``sigmoid((t - x[f]) / (temperature * scale[f]))``. Here t is the
    split's threshold, and scale[f] is the standard deviation of the ensemble's thresholds on the feature f
    (if there is only one, the median of the other features' scales). The probability of a leaf is the product
    of the probabilities on its path. Logits are the expected sum of the leaves' scores, or ``emphasis`` times
    the log of their expected mean probabilities. These are computed as sums of logarithms, so that classes
    that are nearly impossible keep finite logits and a gradient. A missing value or a category goes to the
    side that was learned for it, and has no gradient.

    Scale and temperature are our choice, measured on eight ensembles in ``benchmarks/soft_trees.md``. Of the
    temperatures there, PGD against the source is strongest with the default, or within 0.02 of the strongest.
    The class of the largest logit is the source's own prediction on at least 98.4 % of the samples.
    ``temperature`` may be set at any time. Near 0 the agreement exceeds 99 %; at 0.4 more of the samples fool
    other models.

    For a gradient, some 24 bytes are kept for each node and sample, and at most for 16 million of these.
    Larger batches are computed twice, in parts.
    """

    smoothed = True

    parent: torch.Tensor
    side: torch.Tensor
    value: torch.Tensor
    baseline: torch.Tensor

    def __init__(self, ensemble: TreeEnsemble, temperature: float = 0.1, emphasis: float = 1.0) -> None:
        super().__init__()
        self.temperature, self.emphasis = temperature, emphasis
        self.probabilities = ensemble.probabilities
        self.splits, number, n_splits = soft_splits(ensemble)
        parents, sides, leaves = _paths(ensemble, number, n_splits)
        value = ensemble.value[leaves]
        if isinstance(ensemble.response, Shares):
            # a class that occurs in no leaf needs a finite logit
            value[0, ~value.any(axis=0)] = np.finfo(float).tiny
            # one term for each leaf and class in it, sorted by class
            owner, term = np.nonzero(value.T)
            self.n_terms = np.bincount(owner).tolist()
            value = np.log(value[term, owner])[:, None] - np.log(ensemble.response.total)
            parents[-1], sides[-1] = parents[-1][term], sides[-1][term]
        self.sizes = [len(parent) for parent in parents]
        self.register_buffer("parent", torch.from_numpy(np.concatenate(parents)))
        self.register_buffer("side", torch.from_numpy(np.concatenate(sides)))
        self.register_buffer("value", tensor(value))
        self.register_buffer("baseline", tensor(ensemble.baseline))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = x.split(max(1, _AT_ONCE // len(self.side)))
        if torch.is_grad_enabled() and len(x) * len(self.side) > _KEPT:
            return torch.cat(
                [
                    checkpoint(self._logits, part, use_reentrant=False, preserve_rng_state=False)
                    for part in parts
                ]
            )
        return torch.cat([self._logits(part) for part in parts])

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        # a row for each node, so that samples lie side by side in memory
        steps = self.splits(x, self.temperature).index_select(0, self.side).split(self.sizes)
        levels = [x.new_zeros(1, len(x))]
        for parent, step in zip(self.parent.split(self.sizes), steps, strict=True):
            above = levels[-1] if len(levels) < len(self.sizes) else torch.cat(levels)
            levels.append(above.index_select(0, parent).add_(step))
        reached = levels[-1]
        if not self.probabilities:
            return reached.exp().T @ self.value + self.baseline
        terms = reached.add_(self.value).split(self.n_terms)
        return self.emphasis * torch.stack([term.logsumexp(0) for term in terms], dim=1)


def _paths(
    ensemble: TreeEnsemble, number: NDArray[np.intp], n_splits: int
) -> tuple[list[NDArray[np.intp]], list[NDArray[np.intp]], NDArray[np.intp]]:
    """Parent and side of the splits at each depth and, last, of the leaves; and which nodes are the leaves.

    A parent is given by its position in the depth above (0 stands above the roots); for a leaf, by its
    position among all splits. A side is a row of the output of ``SoftSplits``.
    """
    position, side = np.zeros((2, len(number)), dtype=np.intp)
    side[ensemble.roots] = 2 * n_splits
    parents, sides, leaves, start, n_above = [], [], [], 0, 1
    for nodes in ensemble.levels():
        inner = ensemble.feature[nodes] >= 0
        leaves.append(nodes[~inner])
        nodes = nodes[inner]
        parents.append(position[nodes] - start)
        sides.append(side[nodes])
        start, n_above = n_above, n_above + len(nodes)
        for child, first in ((ensemble.left, 0), (ensemble.right, n_splits)):
            position[child[nodes]] = start + np.arange(len(nodes))
            side[child[nodes]] = first + number[nodes]
    last = np.concatenate(leaves)
    return [*parents, position[last]], [*sides, side[last]], last


class SoftSplits(nn.Module):
    """Log-probabilities of going left at each split, of going right at each, and a row of zeros."""

    feature: torch.Tensor
    threshold: torch.Tensor
    scale: torch.Tensor
    of_missing: torch.Tensor

    def __init__(
        self, ensemble: TreeEnsemble, splits: NDArray[np.float64], by_category: list[Categories]
    ) -> None:
        super().__init__()
        self.missing, self.missing_within = ensemble.missing, ensemble.missing_within
        feature, threshold, missing_left = splits.T
        scale = _spread(feature, threshold)
        # if thresholds are values of the data, a soft split sends half of these samples to the wrong side;
        # LightGBM splits 0, a common value, from smaller ones by a threshold next to it
        below = ensemble.strict | ((threshold < 0) & (threshold > -_NEXT_TO_ZERO))
        edge = threshold + np.where(below, -1e-3, 1e-3) * scale
        self.register_buffer("feature", torch.from_numpy(feature.astype(np.int64)))
        self.register_buffer("threshold", tensor(edge)[:, None])
        self.register_buffer("scale", tensor(scale)[:, None])
        self.register_buffer("of_missing", tensor(np.where(missing_left, _CERTAIN, -_CERTAIN))[:, None])
        self.by_category = nn.ModuleList(by_category)

    def forward(self, x: torch.Tensor, temperature: float) -> torch.Tensor:
        if self.missing == self.missing:
            x = x.masked_fill((x - self.missing).abs() <= self.missing_within, torch.nan)
        odds = (self.threshold - x.T.index_select(0, self.feature)) / (temperature * self.scale)
        if x.isnan().any():
            odds = torch.where(odds.isnan(), self.of_missing, odds)
        odds = torch.cat([odds.clamp(-_CERTAIN, _CERTAIN), *(part(x) for part in self.by_category)])
        left = logsigmoid(odds)
        # logsigmoid(-o) = logsigmoid(o) - o
        return torch.cat([left, left - odds, odds.new_zeros(1, len(x))])


class Categories(nn.Module):
    """Log-odds of going left at each split by one column's categories, (n_splits, n_samples)."""

    known: torch.Tensor
    odds: torch.Tensor

    def __init__(self, column: int, known: Any, goes_left: Any, category_of: str) -> None:
        super().__init__()
        self.column, self.category_of = column, category_of
        self.register_buffer("known", tensor(known))
        self.register_buffer("odds", tensor(np.where(goes_left, _CERTAIN, -_CERTAIN)).T.contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, self.column, None]
        match = (getattr(torch, self.category_of)(x) if self.category_of else x) == self.known
        match = torch.cat([match, ~match.any(dim=1, keepdim=True) & ~x.isnan(), x.isnan()], dim=1)
        return (match.to(self.odds.dtype) @ self.odds).T


def soft_splits(ensemble: TreeEnsemble) -> tuple[SoftSplits, NDArray[np.intp], int]:
    """The distinct splits of an ensemble, the number of each node's, and how many there are."""
    number = np.full(len(ensemble.feature), -1)
    numeric = (ensemble.feature >= 0) & (ensemble.category_row < 0)
    splits = np.stack([ensemble.feature, ensemble.threshold, ensemble.missing_left], axis=1)[numeric]
    # trees have many splits in common
    splits, place = np.unique(splits, axis=0, return_inverse=True)
    number[numeric] = place.reshape(-1)
    by_category, n_splits = [], len(splits)
    for column, known in ensemble.categories.items():
        nodes = np.flatnonzero((ensemble.feature == column) & (ensemble.category_row >= 0))
        number[nodes] = n_splits + np.arange(len(nodes))
        n_splits += len(nodes)
        goes_left = ensemble.goes_left[ensemble.category_row[nodes]]
        goes_left = np.hstack([goes_left[:, : len(known)], goes_left[:, -2:]])
        by_category.append(Categories(column, known, goes_left, ensemble.category_of))
    return SoftSplits(ensemble, splits, by_category), number, n_splits


def _spread(feature: NDArray[Any], threshold: NDArray[Any]) -> NDArray[np.float64]:
    """Standard deviation of each feature's distinct thresholds, for each threshold; if 0, the median one."""
    spread = np.zeros(len(feature))
    finite = np.isfinite(threshold)
    for f in np.unique(feature[finite]):
        here = feature == f
        spread[here] = np.unique(threshold[here & finite]).std()
    positive = spread[spread > 0]
    return np.where(spread > 0, spread, np.median(positive) if len(positive) else 1.0)


@register_module(
    DecisionTreeClassifier,
    RandomForestClassifier,
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    "xgboost.sklearn.XGBClassifier",
    "lightgbm.sklearn.LGBMClassifier",
    "catboost.core.CatBoostClassifier",
)
def soft_trees(estimator: Any) -> nn.Module:
    return attackable(tree_ensemble(estimator))


def attackable(ensemble: TreeEnsemble) -> nn.Module:
    """Soft trees; if the shares of several trees are averaged, with logits times ``EMPHASIS``."""
    several = ensemble.probabilities and len(ensemble.roots) > 1
    return SoftTrees(ensemble, emphasis=EMPHASIS if several else 1.0)


@log_probability.register(RandomForestClassifier)
@log_probability.register(ExtraTreesClassifier)
def forest_probability(estimator: Any) -> nn.Module:
    return SoftTrees(tree_ensemble(estimator))


class BoostedFrom(nn.Module):
    """Raw scores of trees that were boosted from an estimator, added to a link of its probabilities."""

    def __init__(self, init: nn.Module, trees: nn.Module, factor: float) -> None:
        super().__init__()
        self.init, self.trees, self.factor = init, trees, factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        eps = torch.finfo(torch.float64).eps
        log = self.init(x).clamp(np.log(eps), np.log1p(-eps))
        link = log[:, 1:] - log[:, :1] if log.shape[1] == 2 else log - log.mean(dim=1, keepdim=True)
        return self.factor * link + self.trees(x)


@register_module(GradientBoostingClassifier)
def gradient_boosting(estimator: GradientBoostingClassifier) -> nn.Module:
    if estimator.init_ == "zero" or isinstance(estimator.init_, DummyClassifier):
        return soft_trees(estimator)
    with naming("the init of the GradientBoostingClassifier"):
        init = branch(log_probability(estimator.init_))
    trees = SoftTrees(join(boosted_trees(estimator), dtype=np.float32))
    return BoostedFrom(init, trees, 0.5 if estimator.loss == "exponential" else 1.0)
