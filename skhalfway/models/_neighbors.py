"""Classifiers by distance: nearest neighbours, nearest centroids, label propagation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid, RadiusNeighborsClassifier
from sklearn.semi_supervised import LabelPropagation, LabelSpreading
from torch import nn
from torch.nn.functional import logsigmoid

from skhalfway._text import shown
from skhalfway.models._distances import Distances
from skhalfway.models._linear import tensor
from skhalfway.models._member_outputs import Decision, LogSoftmax, decision, floored_log, log_probability
from skhalfway.models._registry import NotDifferentiableError, register_module
from skhalfway.models._torch import in_sequence

# power of each metric that has a gradient here
_POWERS = {
    "euclidean": 2.0,
    "l2": 2.0,
    "manhattan": 1.0,
    "l1": 1.0,
    "cityblock": 1.0,
    "chebyshev": np.inf,
}
_SAMPLE = 1000


def typical_distance(distances: Distances, k: int) -> float:
    """Median distance of a point to its k-th neighbour, over at most a thousand points."""
    # each point is its own nearest neighbour
    own = distances.among(_SAMPLE)
    return float(own.topk(k + 1, largest=False).values[:, -1].median()) or 1.0


def among_nearest(distance: torch.Tensor, k: int, width: float) -> torch.Tensor:
    """Log of each point's weight as one of the k nearest: the sigmoid of its distance from the edge.

    The edge lies halfway between the k-th nearest point and the next.
    """
    edge = distance.topk(k + 1, largest=False).values[:, -2:].mean(dim=1, keepdim=True)
    return logsigmoid((edge - distance) / width)


class Neighbors(nn.Module):
    """The log of each class's softened count of neighbours.

    The weight of a point is the sigmoid of its depth inside the neighbourhood, in units of ``temperature``
    times the size of the neighbourhood. As ``temperature`` goes to 0, points inside count 1 and others 0, as
    in scikit-learn. It may be set at any time. The defaults are our choice: on digits, with values of 0.002
    to 0.5, PGD is strongest at 0.05 for the five nearest neighbours, and at 0.01 and 0.02 for a radius; 99 %
    of predictions agree.
    """

    smoothed = True

    temperature: float = 0.05

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        if np.ndim(estimator._y) > 1:
            raise NotDifferentiableError(
                f"a {type(estimator).__name__} of several outputs has no single class"
            )
        power, self.by_distance = _power(estimator), _by_distance(estimator)
        self.counts = np.bincount(estimator._y).tolist()
        order = np.argsort(estimator._y, kind="stable")
        self.distances = Distances(estimator._fit_X[order], power)

    def near(self, distance: torch.Tensor) -> torch.Tensor:
        """Log of each point's weight."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        distance = self.distances(x)
        weight = self.near(distance)
        if self.by_distance:
            # a point at distance 0 outweighs all others
            weight = weight - distance.clamp_min(1e-12).log()
        return torch.stack([part.logsumexp(dim=1) for part in weight.split(self.counts, dim=1)], dim=1)


class KNearest(Neighbors):
    """The k nearest neighbours; the size is a training point's median distance to its k-th neighbour."""

    def __init__(self, estimator: KNeighborsClassifier) -> None:
        super().__init__(estimator)
        self.k = estimator.n_neighbors
        n_points = len(self.distances.points)
        if self.k >= n_points:
            raise NotDifferentiableError(
                f"all {n_points} training samples are neighbours of n_neighbors={self.k}, "
                "wherever a sample lies, so predictions are constant"
            )
        self.size = typical_distance(self.distances, self.k)

    def near(self, distance: torch.Tensor) -> torch.Tensor:
        return among_nearest(distance, self.k, self.temperature * self.size)


class WithinRadius(Neighbors):
    """Neighbours within the radius, which is the size; a trace of weight goes to the outliers' class."""

    temperature = 0.02
    log_trace: torch.Tensor

    def __init__(self, estimator: RadiusNeighborsClassifier) -> None:
        super().__init__(estimator)
        self.radius = float(estimator.radius)
        label = estimator.outlier_label_
        trace = np.zeros(len(estimator.classes_))
        if label is not None:
            trace[estimator.classes_ == label[0]] = 1e-3 / (self.radius if self.by_distance else 1.0)
        self.register_buffer("log_trace", tensor(trace).log())

    def near(self, distance: torch.Tensor) -> torch.Tensor:
        return logsigmoid((self.radius - distance) / (self.temperature * self.radius))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.logaddexp(super().forward(x), self.log_trace)


def _power(estimator: Any) -> float:
    metric, parameters = estimator.effective_metric_, estimator.effective_metric_params_ or {}
    if metric == "minkowski" and parameters.get("w") is None:
        return float(parameters["p"])
    if metric in _POWERS:
        return _POWERS[metric]
    raise NotDifferentiableError(
        f"{type(estimator).__name__} with metric={shown(estimator.metric)} has no gradient here; the metrics "
        "'minkowski' without weights, 'euclidean', 'manhattan' and 'chebyshev' have"
    )


def _by_distance(estimator: Any) -> bool:
    if callable(estimator.weights):
        raise NotDifferentiableError(
            f"{type(estimator).__name__} with a function as weights has no gradient here; "
            "weights='uniform' and 'distance' have"
        )
    return estimator.weights == "distance"


@register_module(KNeighborsClassifier)
def k_neighbors(estimator: KNeighborsClassifier) -> nn.Module:
    return KNearest(estimator)


@register_module(RadiusNeighborsClassifier)
def radius_neighbors(estimator: RadiusNeighborsClassifier) -> nn.Module:
    return WithinRadius(estimator)


class Centroids(nn.Module):
    """``bias`` minus the squared distance to each centroid, in units of ``scale``."""

    scale: torch.Tensor
    bias: torch.Tensor

    def __init__(self, estimator: NearestCentroid, scale: Any, bias: Any) -> None:
        super().__init__()
        self.distances = Distances(estimator.centroids_ / scale, _POWERS[estimator.metric])
        self.register_buffer("scale", tensor(scale))
        self.register_buffer("bias", tensor(bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.bias - self.distances(x / self.scale).square()


@register_module(NearestCentroid)
def nearest_centroid(estimator: NearestCentroid) -> nn.Module:
    """The squared distances that decide predictions: without scales if classes have equal priors."""
    priors = estimator.class_prior_
    if np.isclose(priors, 1 / len(priors)).all():
        return Centroids(estimator, 1.0, 0.0)
    return discriminant(estimator)


def discriminant(estimator: NearestCentroid) -> nn.Module:
    """Equation 18.2 of Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning"."""
    deviation = estimator.within_class_std_dev_
    bias = 2 * floored_log(estimator.class_prior_)
    return Centroids(estimator, np.where(deviation == 0, 1.0, deviation), bias)


# decisions and probabilities always use the scales, unlike predictions
@decision.register
def _(estimator: NearestCentroid) -> nn.Module:
    return in_sequence([discriminant(estimator), Decision()])


@log_probability.register
def _(estimator: NearestCentroid) -> nn.Module:
    return in_sequence([discriminant(estimator), LogSoftmax()])


class Propagation(nn.Module):
    """The log of the mean of the training samples' label distributions, weighted by a kernel."""

    log_labels: torch.Tensor

    def __init__(self, estimator: Any) -> None:
        super().__init__()
        self.distances = Distances(estimator.X_)
        self.register_buffer("log_labels", tensor(estimator.label_distributions_.T).log())

    def kernel(self, distance: torch.Tensor) -> torch.Tensor:
        """Log of the kernel."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kernel = self.kernel(self.distances(x))
        # class by class, as all at once would take n_classes times the memory
        return torch.stack([(kernel + labels).logsumexp(dim=1) for labels in self.log_labels], dim=1)


class RBFPropagation(Propagation):
    def __init__(self, estimator: Any) -> None:
        super().__init__(estimator)
        self.gamma = float(estimator.gamma)

    def kernel(self, distance: torch.Tensor) -> torch.Tensor:
        return -self.gamma * distance.square()


class KNNPropagation(Propagation):
    """The k nearest samples, with softened weights as in :class:`KNearest`."""

    smoothed = True
    temperature: float = 0.05

    def __init__(self, estimator: Any) -> None:
        super().__init__(estimator)
        self.k = estimator.n_neighbors
        self.size = typical_distance(self.distances, self.k)

    def kernel(self, distance: torch.Tensor) -> torch.Tensor:
        return among_nearest(distance, self.k, self.temperature * self.size)


@register_module(LabelPropagation, LabelSpreading)
def label_propagation(estimator: Any) -> nn.Module:
    if callable(estimator.kernel):
        raise NotDifferentiableError(
            f"{type(estimator).__name__} with a function as kernel has no gradient here; "
            "kernel='rbf' and 'knn' have"
        )
    return RBFPropagation(estimator) if estimator.kernel == "rbf" else KNNPropagation(estimator)
