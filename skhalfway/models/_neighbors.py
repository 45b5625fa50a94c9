"""Classifiers by distance: to neighbours, to centroids, along the graph of label propagation."""

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

# power of each metric that a gradient is known of
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
    """Median distance of a point to its k-th neighbour, of a thousand points where there are more."""
    # each is the nearest to itself
    own = distances.among(_SAMPLE)
    return float(own.topk(k + 1, largest=False).values[:, -1].median()) or 1.0


def among_nearest(distance: torch.Tensor, k: int, width: float) -> torch.Tensor:
    """Log of how far each point counts as one of the k nearest: sigmoid of its distance from their edge.

    The edge lies halfway between the k-th nearest point and the next.
    """
    edge = distance.topk(k + 1, largest=False).values[:, -2:].mean(dim=1, keepdim=True)
    return logsigmoid((edge - distance) / width)


class Neighbors(nn.Module):
    """The log of each class's count of neighbours, softened.

    A point counts by the sigmoid of how far inside the neighbourhood it lies, in
    units of ``temperature`` times the neighbourhood's own size. As
    ``temperature`` falls, points inside count 1 and others nothing, which is what
    scikit-learn counts. It may be set at any time. The defaults are our choice:
    on digits, of 0.002 to 0.5, PGD is strongest at 0.05 for the five nearest, and
    at 0.01 and 0.02 for a radius; 99 % of predictions agree.
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
        """Log of how far each point counts."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        distance = self.distances(x)
        weight = self.near(distance)
        if self.by_distance:
            # to a sample that lies on a point, that point is all there is
            weight = weight - distance.clamp_min(1e-12).log()
        return torch.stack([part.logsumexp(dim=1) for part in weight.split(self.counts, dim=1)], dim=1)


class KNearest(Neighbors):
    """Neighbours are the k nearest; the size is a training point's median distance to its k-th neighbour."""

    def __init__(self, estimator: KNeighborsClassifier) -> None:
        super().__init__(estimator)
        self.k = estimator.n_neighbors
        n_points = len(self.distances.points)
        if self.k >= n_points:
            raise NotDifferentiableError(
                f"all {n_points} training samples are neighbours of n_neighbors={self.k}, "
                "wherever a sample lies"
            )
        self.size = typical_distance(self.distances, self.k)

    def near(self, distance: torch.Tensor) -> torch.Tensor:
        return among_nearest(distance, self.k, self.temperature * self.size)


class WithinRadius(Neighbors):
    """Neighbours lie within the radius, which is the size; a trace of one is of the outliers' class."""

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
    """``bias`` less the squared distance to each centroid, in units of ``scale``."""

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
    """The squared distances that predictions follow: without scales where all classes are as likely."""
    priors = estimator.class_prior_
    if np.isclose(priors, 1 / len(priors)).all():
        return Centroids(estimator, 1.0, 0.0)
    return discriminant(estimator)


def discriminant(estimator: NearestCentroid) -> nn.Module:
    """Equation 18.2 of Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning"."""
    deviation = estimator.within_class_std_dev_
    bias = 2 * floored_log(estimator.class_prior_)
    return Centroids(estimator, np.where(deviation == 0, 1.0, deviation), bias)


# its decisions and probabilities keep to the scales, whatever the predictions do
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
        # class by class: all at once are n_classes times the memory
        return torch.stack([(kernel + labels).logsumexp(dim=1) for labels in self.log_labels], dim=1)


class RBFPropagation(Propagation):
    def __init__(self, estimator: Any) -> None:
        super().__init__(estimator)
        self.gamma = float(estimator.gamma)

    def kernel(self, distance: torch.Tensor) -> torch.Tensor:
        return -self.gamma * distance.square()


class KNNPropagation(Propagation):
    """The k nearest samples count, softened as those of :class:`KNearest`."""

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
