"""How far perturbations move what a network says: a local Lipschitz number, and stability."""

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
    """Compute how far outputs move for the distance that samples were moved.

    The mean over samples of ``|f(x) - f(x')|_1 / |x - x'|``, where f are the outputs and x' is what an attack
    made of x, as the code published with [1]_ has it. A network whose outputs are c times those of another
    says the same, with a number that is c times as large: so compare networks of like margins, or ask for the
    number ``relative`` to the margins [ours].

    Samples are rounded to the precision of the network's weights, and distances are those of what is left.

    Parameters
    ----------
    estimator : object
        A fitted classifier with a gradient: a torch module, skorch net, ``MLPClassifier`` or any other that
        :func:`skhalfway.models.to_module` knows. Outputs are those of that module.
    X : array-like of shape (n_samples, ...)
        Samples.
    X_adv : array-like of shape (n_samples, ...)
        The same, perturbed.
    norm : {inf, 2, 1}, default=inf
        Of the distance of samples.
    relative : bool, default=False
        Whether to divide by the mean difference of the two largest outputs on X.

    Returns
    -------
    number : float
        The mean over the samples that were moved; nan where none was, and, of a relative one, where no
        sample has a margin.

    Raises
    ------
    ValueError
        If samples are not as many and of the same shape, hold nan, the norm is another, or the estimator is a
        tree or the like, whose gradient is that of a smooth stand-in.
    NotDifferentiableError
        If the estimator has no gradient.

    See Also
    --------
    perturbation_stability : Counts the answers that stay.

    References
    ----------
    .. [1] Huang, Wang, Erfani, Gu, Bailey & Ma, "Exploring architectural ingredients of
       adversarially robust deep neural networks", NeurIPS 2021, arXiv 2110.03825.

    Examples
    --------
    Of a linear map it is known:

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
    """Compute the share of samples that a classifier answers after a perturbation as it did before.

    It is no robust accuracy: a wrong answer that stays counts, and a constant classifier has 1 [1]_.

    Parameters
    ----------
    estimator : object
        A fitted classifier of any kind.
    X : array-like of shape (n_samples, ...)
        Samples.
    X_adv : array-like of shape (n_samples, ...)
        The same, perturbed.

    Returns
    -------
    share : float
        From 0 to 1.

    Raises
    ------
    ValueError
        If samples are not as many and of the same shape, or hold nan.

    See Also
    --------
    lipschitz_number : How far outputs move.

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
    """The number, and the same relative to the mean margin."""
    before, after = _read(X, X_adv)
    model = as_model(estimator)
    if model.smoothed:
        raise ValueError(
            f"{type(estimator).__name__} has steps, and no gradient but that of a smooth stand-in, whose "
            "number this would be; pass a model with a gradient, or use perturbation_stability"
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
            f"X_adv must have the shape of X, {before.shape}, got {after.shape}; give what an attack made of "
            "all samples of X, in their order"
        )
    check_finite(before)
    check_finite(after, "X_adv")
    return before, after


def _as_given(module: torch.nn.Module, X: NDArray[Any]) -> NDArray[np.float64]:
    """Samples as the network computes with them: what its precision takes away, it is not moved by."""
    dtype = weight_dtype(module) or torch.float32
    return np.asarray(torch.tensor(X).to(dtype).double())


def _outputs(module: torch.nn.Module, X: NDArray[Any]) -> NDArray[np.float64]:
    found, dtype = [], weight_dtype(module) or torch.float32
    with in_use(module), torch.no_grad():
        for block in blocks(len(X), int(np.prod(X.shape[1:]))):
            x = torch.tensor(X[block], dtype=dtype, device=device_of(module))
            found.append(two_columns(columns_of(module(x), len(x), type(module).__name__)).double())
    return np.asarray(torch.cat(found).cpu())
