"""How far perturbations change a network's outputs: local Lipschitz number and perturbation stability."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from skhalfway._blocks import blocks
from skhalfway._checks import check_bool, check_norm
from skhalfway._inputs import check_finite, read_samples
from skhalfway.models import NotDifferentiableError, as_model
from skhalfway.models._outputs import columns_of
from skhalfway.models._torch import device_of, in_use, two_columns, weight_dtype


def lipschitz_number(
    estimator: Any, X: Any, X_adv: Any, *, norm: float = np.inf, relative: bool = False
) -> float:
    """Compute the change of outputs relative to the size of perturbations (local Lipschitz number).

    It is the mean over samples of ``|f(x) - f(x')|_1 / |x - x'|``, where f are the outputs and x' is an
    adversarial example made from x, as in the code published with [1]_. Multiplying the outputs of a network
    by c does not change its predictions, but multiplies the number by c. So compare networks with similar
    margins, or use the number ``relative`` to the margins [ours].

    Distances are in the units of X. Where columns have different units, the column with the largest numbers
    dominates; pass X and X_adv as a scaler transforms them, and the network that takes scaled samples.

    Samples are first rounded to the precision of the network's weights, and distances are those of rounded
    samples.

    Parameters
    ----------
    estimator : object
        Fitted classifier with a gradient: a torch module, skorch net, ``MLPClassifier`` or any other that
        :func:`skhalfway.models.to_module` takes. Its outputs are those of that module.
    X : array-like of shape (n_samples, ...)
        Clean samples.
    X_adv : array-like of shape (n_samples, ...)
        The same samples, perturbed.
    norm : {inf, 2, 1}, default=inf
        Norm of the perturbations.
    relative : bool, default=False
        Whether to divide by the mean margin, the difference of the two largest outputs on X.

    Returns
    -------
    number : float
        Mean over the samples that are perturbed. It is nan where none is, and, if ``relative``, where no
        sample has a margin.

    Raises
    ------
    ValueError
        If X and X_adv differ in shape or hold nan, the norm is unknown, or the estimator has step functions
        (such as trees), whose gradient is that of a smoothed version.
    NotDifferentiableError
        If the estimator has no gradient.

    See Also
    --------
    perturbation_stability : Share of predictions that do not change.

    References
    ----------
    .. [1] Huang, Wang, Erfani, Gu, Bailey & Ma, "Exploring architectural ingredients of
       adversarially robust deep neural networks", NeurIPS 2021, arXiv 2110.03825.

    Examples
    --------
    For a linear map the number is known:

    >>> import torch
    >>> from skhalfway.structure import lipschitz_number
    >>> linear = torch.nn.Linear(2, 2, bias=False)
    >>> _ = linear.weight.data.copy_(torch.tensor([[1.0, -2.0], [0.0, 1.0]]))
    >>> round(lipschitz_number(linear, [[0.0, 0.0]], [[0.1, -0.1]]), 3)  # |1 + 2| + |-1|
    4.0
    """
    check_norm(norm, (np.inf, 2, 1))
    check_bool("relative", relative)
    number, of_margin = lipschitz_numbers(estimator, X, X_adv, norm)
    return of_margin if relative else number


def perturbation_stability(estimator: Any, X: Any, X_adv: Any) -> float:
    """Compute the share of samples whose prediction a perturbation does not change.

    It differs from robust accuracy: a wrong prediction that does not change counts, and a constant classifier
    has a stability of 1 [1]_.

    Parameters
    ----------
    estimator : object
        Fitted classifier of any kind.
    X : array-like of shape (n_samples, ...)
        Clean samples.
    X_adv : array-like of shape (n_samples, ...)
        The same samples, perturbed.

    Returns
    -------
    share : float
        Share from 0 to 1.

    Raises
    ------
    ValueError
        If X and X_adv differ in shape, or hold nan.

    See Also
    --------
    lipschitz_number : Change of outputs relative to the size of perturbations.

    References
    ----------
    .. [1] Huang, Wang, Erfani, Gu, Bailey & Ma, "Exploring architectural ingredients of
       adversarially robust deep neural networks", NeurIPS 2021, arXiv 2110.03825.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway.structure import perturbation_stability
    >>> model = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> perturbation_stability(model, [[-1.0], [1.0]], [[0.5], [2.0]])
    0.5
    """
    before, after = _read(X, X_adv)
    model = as_model(estimator)
    return float((model.predict(before) == model.predict(after)).mean())


def lipschitz_numbers(estimator: Any, X: Any, X_adv: Any, norm: float) -> tuple[float, float]:
    """The Lipschitz number, and the number relative to the mean margin."""
    before, after = _read(X, X_adv)
    model = as_model(estimator)
    if model.smoothed:
        raise ValueError(
            f"{type(estimator).__name__} is a step function, and its gradient is that of a smoothed version, "
            "so it has no Lipschitz number; pass a model with a gradient, or use perturbation_stability"
        )
    module = model.module
    if module is None:
        raise NotDifferentiableError(model.why_black_box)
    before, after = (_as_given(module, array) for array in (before, after))
    distance = np.linalg.norm((after - before).reshape(len(before), -1), norm, axis=1)
    old = _outputs(module, before)
    change = np.abs(_outputs(module, after) - old).sum(axis=1)
    moved = distance > 0
    if not moved.any():
        return float("nan"), float("nan")
    number = float((change[moved] / distance[moved]).mean())
    top = np.sort(old, axis=1)
    margin = float((top[:, -1] - top[:, -2]).mean())
    return number, number / margin if margin > 0 else float("nan")


def _read(X: Any, X_adv: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    before, after = (
        read_samples(BaseEstimator(), array, reset=True, name=name)
        for array, name in ((X, "X"), (X_adv, "X_adv"))
    )
    if before.shape != after.shape:
        raise ValueError(
            f"X_adv must have the shape of X, {before.shape}, got {after.shape}; pass the perturbed versions "
            "of all samples of X, in the same order"
        )
    check_finite(before)
    check_finite(after, "X_adv")
    return before, after


def _as_given(module: torch.nn.Module, X: NDArray[Any]) -> NDArray[np.float64]:
    """Samples rounded to the precision of the network, as it sees them."""
    dtype = weight_dtype(module) or torch.float32
    return np.asarray(torch.tensor(X).to(dtype).double())


def _outputs(module: torch.nn.Module, X: NDArray[Any]) -> NDArray[np.float64]:
    found, dtype = [], weight_dtype(module) or torch.float32
    with in_use(module), torch.no_grad():
        for block in blocks(len(X), int(np.prod(X.shape[1:]))):
            x = torch.tensor(X[block], dtype=dtype, device=device_of(module))
            found.append(two_columns(columns_of(module(x), len(x), type(module).__name__)).double())
    return np.asarray(torch.cat(found).cpu())
