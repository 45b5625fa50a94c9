"""Pieces of the kind "loss" that raise or lower the output of a hidden layer of the source."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from skhalfway.attacks._layers import OnLayer, Wires
from skhalfway.attacks._losses import OwnProbability, cross_entropy_slope
from skhalfway.attacks._norms import at_least_tiny, largest, lengths
from skhalfway.attacks._pieces import Run, check_number, repeated

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class FeatureLoss(OnLayer):
    """Base of losses on a hidden layer, which is given by name; None is the middle one."""

    kind = "loss"
    layer: str | None = None

    def __post_init__(self) -> None:
        self.check_layer()

    def wire(self, module: nn.Module, wires: Wires) -> None:
        wires.listen(module, self)

    def features(self, run: Run, n_rows: int) -> torch.Tensor:
        """Output of the layer at the last call."""
        features = run.wires.said(self)
        if len(features) != n_rows:
            raise ValueError(
                f"layer {run.wires.heard[self.name]!r} returns {len(features)} rows for {n_rows} samples; "
                "losses on features need a row for each sample, so name another layer"
            )
        return features

    def weigh(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weights: torch.Tensor | None = run.kept.get(self.name)
        if weights is None:  # the loss on features has not begun: follow the logits
            return logits, cross_entropy_slope(logits, own)
        features = self.features(run, len(logits))
        return features, repeated(weights, len(features) // run.n)


@dataclass(frozen=True)
class _Importance(FeatureLoss):
    """Lower the features on which the label's probability depends, by a mean gradient over changed copies."""

    n: int = 30

    def changed(self, run: Run, number: int, seen: torch.Tensor) -> torch.Tensor:
        """The changed copy with that number."""
        raise NotImplementedError

    def prepare(self, run: Run) -> None:
        if self.name in run.kept:
            return
        batch, total = run.batch, None
        for number in range(self.n):
            x = batch.ball.x0.detach().requires_grad_()
            logits = batch.logits(x, None, partial(self.changed, run, number))
            batch.faults.n_gradients += len(x)
            rising, features = -OwnProbability().slope(run, logits, batch.own), self.features(run, len(x))
            found = None
            if features.requires_grad:
                (found,) = torch.autograd.grad(logits, features, rising, allow_unused=True)
            if found is None:
                raise ValueError(
                    f"the logits do not depend on what layer {run.wires.heard[self.name]!r} returns, so that "
                    f"{type(self).__name__} cannot rank its features; name another layer"
                )
            total = found if total is None else total + found
        assert total is not None
        total = total / at_least_tiny(largest(total))  # for a confident source, whose squares would underflow
        run.kept[self.name] = -total / at_least_tiny(lengths(total, 2))


@dataclass(frozen=True)
class FeatureImportance(_Importance):
    """Lower the features that matter for the label, measured on copies with values dropped at random.

    Wang et al., "Feature importance-aware transferable adversarial attacks" (FIA), ICCV 2021; with
    patches of several pixels, Zhang et al., "Enhancing the transferability of adversarial examples with
    random patch" (RPA), IJCAI 2022.

    Parameters
    ----------
    layer : str, default=None
        Name of the layer, as in ``named_modules()``. None is the middle one of those with weights.
    n : int, default=30
        Number of copies.
    drop : float, default=0.3
        Probability that a value is set to 0 in a copy.
    patch : int, default=1
        Width of the patches that are dropped together, in pixels. If it is above 1, samples must be images.

    Examples
    --------
    >>> from skhalfway.attacks import FeatureImportance, Recipe
    >>> Recipe(FeatureImportance(layer='layer_0'))
    Recipe(FeatureImportance(layer='layer_0', n=30, drop=0.3, patch=1))
    """

    name, paper = "feature_importance", "Wang et al., ICCV 2021"
    drop: float = 0.3
    patch: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "n", 1, whole=True)
        check_number(self, "drop", 0, 1)
        check_number(self, "patch", 1, whole=True)

    @property
    def needs_images(self) -> bool:
        return self.patch > 1

    def changed(self, run: Run, number: int, seen: torch.Tensor) -> torch.Tensor:
        if self.patch == 1:
            return seen * (run.uniform(self, len(seen), *seen.shape[1:]) >= self.drop)
        images = run.images(seen, self)
        height, width = (-(-size // self.patch) for size in images.shape[2:])
        kept = (run.uniform(self, len(seen), height, width) >= self.drop).to(images.dtype)
        kept = kept.repeat_interleave(self.patch, 1).repeat_interleave(self.patch, 2)
        return (images * kept[:, None, : images.shape[2], : images.shape[3]]).reshape(seen.shape)


@dataclass(frozen=True)
class NeuronAttribution(_Importance):
    """Lower the features that matter for the label, measured by integrated gradients from 0 to the sample.

    Zhang et al., "Improving adversarial transferability via neuron attribution-based attacks" (NAA), CVPR
    2022, with the identity in place of both transformations.

    Parameters
    ----------
    layer : str, default=None
        Name of the layer, as in ``named_modules()``. None is the middle one of those with weights.
    n : int, default=30
        Number of points between 0 and the sample.

    Examples
    --------
    >>> from skhalfway.attacks import NeuronAttribution, Recipe
    >>> Recipe(NeuronAttribution(layer='layer_0'))
    Recipe(NeuronAttribution(layer='layer_0', n=30))
    """

    name, paper = "neuron_attribution", "Zhang et al., CVPR 2022"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "n", 1, whole=True)

    def changed(self, run: Run, number: int, seen: torch.Tensor) -> torch.Tensor:
        return seen * ((number + 1) / self.n)


@dataclass(frozen=True)
class IntermediateLevel(FeatureLoss):
    """After a share of the steps, keep moving the features in the direction in which these moved them.

    Huang et al., "Enhancing adversarial example transferability with an intermediate level attack" (ILA),
    ICCV 2019 (the projection loss). The first steps follow cross-entropy, and the loss begins where they end.

    Parameters
    ----------
    layer : str, default=None
        Name of the layer, as in ``named_modules()``. None is the middle one of those with weights.
    begin : float, default=0.5
        Share of the steps after which this loss replaces cross-entropy.

    Examples
    --------
    >>> from skhalfway.attacks import IntermediateLevel, Recipe
    >>> Recipe(IntermediateLevel(layer='layer_0'))
    Recipe(IntermediateLevel(layer='layer_0', begin=0.5))
    """

    name, paper, of_steps = "intermediate_level", "Huang et al., ICCV 2019", True
    begin: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self, "begin", 0, 1)

    def prepare(self, run: Run) -> None:
        first = max(1, round(self.begin * run.n_steps))
        if self.name in run.kept or run.step < first or run.at is None:
            return
        each = []
        for x in (run.at, run.batch.ball.x0):
            with torch.no_grad():
                run.batch.logits(x)
            each.append(self.features(run, len(x)))
        moved = each[0] - each[1]
        # features are moved on in that direction, whether the loss is to be raised or lowered
        run.kept[self.name] = (1.0 if run.size > 0 else -1.0) * moved / at_least_tiny(lengths(moved, 2))
