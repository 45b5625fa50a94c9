"""Feature expansions: polynomials and splines."""

from __future__ import annotations

from math import factorial
from typing import Any

import numpy as np
import torch
from sklearn.preprocessing import PolynomialFeatures, SplineTransformer
from torch import nn

from skhalfway.models._linear import tensor
from skhalfway.models._memory import at_once
from skhalfway.models._registry import NotDifferentiableError, register_module


class Products(nn.Module):
    """Output i is the product of the features ``factors[i]``, counted from 1; 0 is a factor of 1."""

    factors: torch.Tensor

    def __init__(self, factors: Any) -> None:
        super().__init__()
        self.register_buffer("factors", torch.tensor(factors).T.contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _Product.apply(x, self.factors)


class _Product(torch.autograd.Function):
    """Products, with a gradient that is valid at 0 and computes no powers; only x is kept for it.

    There is a row for each feature, so that samples lie side by side in memory.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, factors)
        rows, products = _with_one(x), x.new_empty(factors.shape[1], len(x))
        n_rows = at_once(len(x))
        for product, part in zip(products.split(n_rows), factors.split(n_rows, dim=1), strict=True):
            product.copy_(_multiplied(rows, part))
        return products.T

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        x, factors = ctx.saved_tensors
        rows, n_rows = _with_one(x), at_once(len(x))
        slope = torch.zeros_like(rows)
        for weight, part in zip(grad.T.split(n_rows), factors.split(n_rows, dim=1), strict=True):
            for i, factor in enumerate(part):
                others = torch.cat([part[:i], part[i + 1 :]])
                slope.index_add_(0, factor, weight * _multiplied(rows, others) if len(others) else weight)
        return slope[1:].T, None


def _with_one(x: torch.Tensor) -> torch.Tensor:
    return torch.cat([x.new_ones(1, len(x)), x.T])


def _multiplied(rows: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    product = rows.index_select(0, factors[0])
    for factor in factors[1:]:
        product.mul_(rows.index_select(0, factor))
    return product


@register_module(PolynomialFeatures)
def polynomial_features(expansion: PolynomialFeatures) -> nn.Module:
    powers = expansion.powers_
    factors = np.zeros((len(powers), max(1, powers.sum(axis=1).max())), dtype=np.int64)
    for row, power in zip(factors, powers, strict=True):
        row[: power.sum()] = np.repeat(np.arange(len(power)) + 1, power)
    return Products(factors)


class Splines(nn.Module):
    """B-splines of each feature, as polynomials on the intervals between knots and on both sides of them.

    ``coefficients[m]`` (n_features, n_intervals, n_splines) holds the m-th derivative at the interval's
    anchor, divided by m!, for Taylor's formula, which is exact here. A missing value gives zeros. Beyond
    knots that the transformer refuses to leave, the polynomials continue: the estimator itself refuses such
    samples when it predicts.
    """

    ends: torch.Tensor
    edges: torch.Tensor
    anchors: torch.Tensor
    coefficients: torch.Tensor

    def __init__(self, splines: list[Any], extrapolation: str, n_splines: int) -> None:
        super().__init__()
        self.periodic = extrapolation == "periodic"
        degree = splines[0].k
        knots = np.array([spline.t[degree : len(spline.t) - degree] for spline in splines])
        anchors = np.concatenate([knots[:, :1], knots[:, :-1], knots[:, -1:]], axis=1)
        coefficients = np.array(
            [
                [
                    spline(at, nu=m)[:, :n_splines] / factorial(m)
                    for spline, at in zip(splines, anchors, strict=True)
                ]
                for m in range(degree + 1)
            ]
        )
        if extrapolation in ("constant", "linear"):
            # beyond the ends, polynomials are constant or linear
            coefficients[1 if extrapolation == "constant" else 2 :, :, [0, -1]] = 0
        else:
            anchors[:, -1], coefficients[:, :, -1] = anchors[:, -2], coefficients[:, :, -2]
        self.register_buffer("ends", tensor(knots[:, [0, -1]]))
        # the last knot belongs to the interval before it
        edges = np.concatenate([knots[:, :-1], np.nextafter(knots[:, -1:], np.inf)], axis=1)
        self.register_buffer("edges", tensor(edges))
        self.register_buffer("anchors", tensor(anchors))
        self.register_buffer("coefficients", tensor(coefficients))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.periodic:
            first, last = self.ends.T
            x = first + torch.remainder(x - first, torch.where(last > first, last - first, 1.0))
        return _Polynomials.apply(x, self.edges, self.anchors, self.coefficients).flatten(1)


class _Polynomials(torch.autograd.Function):
    """Values (n_samples, n_features, n_splines) of the polynomials between edges; only x is kept.

    They are computed for as many samples at a time as a cache holds.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *polynomials: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, *polynomials)
        coefficients = polynomials[-1]
        n_rows = at_once(coefficients[0, :, 0].numel())
        values = x.new_empty(*x.shape, coefficients.shape[-1])
        for value, rows in zip(values.split(n_rows), x.split(n_rows), strict=True):
            value.copy_(_evaluated(rows, *polynomials))
        return values

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, edges, anchors, coefficients = ctx.saved_tensors
        powers = torch.arange(1, len(coefficients), device=x.device)
        derivative = coefficients[1:] * powers[:, None, None, None]
        n_rows = at_once(coefficients[0, :, 0].numel())
        slopes = [
            _evaluated(rows, edges, anchors, derivative).mul_(weight).sum(dim=2)
            for rows, weight in zip(x.split(n_rows), grad.split(n_rows), strict=True)
        ]
        return torch.cat(slopes), None, None, None


def _evaluated(
    x: torch.Tensor, edges: torch.Tensor, anchors: torch.Tensor, coefficients: torch.Tensor
) -> torch.Tensor:
    interval = torch.searchsorted(edges, x.T.contiguous(), right=True).T
    feature = torch.arange(x.shape[1], device=x.device)
    step = (x - anchors[feature, interval])[:, :, None]
    value = coefficients[-1][feature, interval]
    for lower in coefficients[:-1].flip(0):
        value.mul_(step).add_(lower[feature, interval])
    return value.masked_fill_(torch.isnan(step), 0)


@register_module(SplineTransformer)
def spline_transformer(transformer: SplineTransformer) -> nn.Module:
    if transformer.degree == 0:
        raise NotDifferentiableError("SplineTransformer(degree=0) is made of steps, which have no gradient")
    splines = transformer.bsplines_
    if transformer.degree == 1 and transformer.extrapolation == "linear" and len(splines) > 1:
        # scikit-learn raises the degree for the first feature and keeps it for the others
        raise NotDifferentiableError(
            "SplineTransformer(degree=1, extrapolation='linear') jumps inside the range of all features but "
            "the first; use one for each feature, or degree=2"
        )
    n_splines = splines[0].c.shape[1] - (not transformer.include_bias)
    return Splines(splines, transformer.extrapolation, n_splines)
