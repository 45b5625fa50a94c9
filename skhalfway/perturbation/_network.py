"""OneHiddenLayerClassifier: the network of the theory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skhalfway._blocks import blocks
from skhalfway._checks import check_choice, check_integer, check_positive, check_random_state
from skhalfway._devices import check_device
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_rows, read_targets
from skhalfway._randomness import draw_seed
from skhalfway._text import shown
from skhalfway.models import register_module
from skhalfway.models._warnings import warn
from skhalfway.perturbation._binary import check_gamma
from skhalfway.perturbation._descent import LOSSES, descend

INITS = ("small", "uniform")
_INITIAL_SIZE = 1e-3  # initial size of a hidden unit's input on the longest sample


class OneHiddenLayerClassifier(ClassifierMixin, BaseEstimator):
    """Classify two classes by a network with one hidden layer and a frozen output layer.

    The network is ``f(x) = a . phi(W x)`` with a leaky ReLU phi and no bias. The output
    weights ``a`` are frozen at ``1 / sqrt(n_hidden)`` for one half of the units and
    ``-1 / sqrt(n_hidden)`` for the other [1]_. W is trained by full-batch gradient
    descent, until each sample has a given margin or for a given time. Longer training
    brings it closer to the limit that the theory describes.

    Parameters
    ----------
    n_hidden : int, default=1000
        Number of hidden units, which must be even.
    gamma : float, default=0.2
        Slope of the leaky ReLU, in (0, 1].
    loss : {"exponential", "logistic"}, default="exponential"
        Loss applied to each sample's margin ``y f(x)``, with y = -1 or +1.
    margin : float, default=10.0
        Training stops once the margin of every sample is at least this. With None,
        it stops at ``max_time``, which must be given.
    max_iter : int, default=1000
        Number of steps after which training stops with a warning.
    learning_rate : float, default=None
        - None: each step follows the gradient of the *logarithm* of the mean loss.
          Its size is chosen so that the loss decreases by at least half of what the
          gradient predicts and no margin changes by more than 1; it is at least a
          step that is safe between kinks. The path is that of gradient flow on the
          mean loss, with steps that grow as the loss shrinks. It does not diverge.
        - A number: plain gradient descent on the mean loss, with this learning rate.
    max_time : float, default=None
        Training stops after this time of gradient flow on the mean loss, which is the
        sum of step sizes. None is no limit.

        - Gradient descent with learning rate r and momentum u takes about
          ``n_epochs * r / (1 - u)``. The 100,000 epochs with .01 and .9 in the
          experiments of [1]_ correspond to 10,000.
        - With ``learning_rate=None``, the few long steps are ahead of the flow: the
          loss ends up to a third below.
    init : {"small", "uniform"}, default="small"
        Initial W.

        - "small": near 0, as in the theory.
        - "uniform": uniform within ``1 / sqrt(n_features)`` of 0, as in
          ``torch.nn.Linear`` and the experiments of [1]_.
    device : str or torch.device, default=None
        Device for training; None is the CPU.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
        Class labels; f is positive for the second.
    hidden_weights_ : ndarray of shape (n_hidden, n_features)
        Weights W of the hidden layer.
    output_weights_ : ndarray of shape (n_hidden,)
        Frozen weights a of the output layer.
    direction_ : ndarray of shape (n_features,)
        The product ``a W``. Where the boundary is linear, as the theory predicts for
        nearly orthogonal samples, it is the normal of the boundary.
    margin_ : float
        Smallest margin of a training sample.
    loss_curve_ : list of float
        Mean loss before each step, and at the end.
    n_iter_ : int
        Number of steps.
    time_ : float
        Time of gradient flow: the sum of step sizes.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X has names that are all strings.

    See Also
    --------
    boundary : The boundary that it learns, in closed form.

    Notes
    -----
    Computations use the float type of X. Each change of W lies in the span of the
    samples. Where there are at most as many samples as features, steps change
    coefficients of samples, with inner products alone, and W is computed once at the
    end. Besides X and W, this needs memory for ``n_samples**2`` numbers. Training
    always needs a few times ``n_hidden * n_samples`` numbers. A larger ``margin``
    brings the direction closer to the limit, with a proportional number of steps.

    References
    ----------
    .. [1] Kumano, Kera & Yamasaki, "Theoretical understanding of learning from
       adversarial perturbations", ICLR 2024, arXiv 2402.10470.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.perturbation.theory import OneHiddenLayerClassifier, agreement, boundary
    >>> X, y = np.eye(20), np.repeat([0, 1], 10)
    >>> network = OneHiddenLayerClassifier(n_hidden=100, margin=50, random_state=0).fit(X, y)
    >>> network.score(X, y)
    1.0
    >>> Z = np.random.RandomState(0).standard_normal((1000, 20))
    >>> agreement(network, boundary(X, y, gamma=0.2), Z) > 0.97
    True
    """

    def __init__(
        self,
        n_hidden: int = 1000,
        gamma: float = 0.2,
        loss: str = "exponential",
        *,
        margin: float | None = 10.0,
        max_iter: int = 1000,
        learning_rate: float | None = None,
        max_time: float | None = None,
        init: str = "small",
        device: Any = None,
        random_state: Any = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.gamma = gamma
        self.loss = loss
        self.margin = margin
        self.max_iter = max_iter
        self.learning_rate = learning_rate
        self.max_time = max_time
        self.init = init
        self.device = device
        self.random_state = random_state

    @takes_datasets
    def fit(self, X: Any, y: Any) -> OneHiddenLayerClassifier:
        """Train the hidden layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Labels of two classes.

        Returns
        -------
        self : OneHiddenLayerClassifier
            The fitted network.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, or y does not have two classes.

        Warns
        -----
        ConvergenceWarning
            If neither ``margin`` nor ``max_time`` is reached within ``max_iter`` steps.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.perturbation.theory import OneHiddenLayerClassifier
        >>> network = OneHiddenLayerClassifier(n_hidden=10, random_state=0).fit(np.eye(4), [0, 0, 1, 1])
        >>> network.margin_ >= 10
        True
        """
        self._check_parameters()
        if y is None:
            raise ValueError(
                "This OneHiddenLayerClassifier estimator requires y to be passed, but the target y is None"
            )
        X = read_rows(X, reader=self)
        given, y = y, read_targets(y, len(X))
        column_or_1d(given, warn=True)  # scikit-learn's classifiers warn about a column too
        kind = type_of_target(y, input_name="y")
        if kind != "binary":
            raise ValueError(f"Only binary classification is supported. The type of the target is {kind}.")
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y must hold two classes, got one class: {shown(self.classes_)}")
        if not X.any():
            raise ValueError("X holds zeros only, so there is nothing to learn; pass other samples")
        x = torch.tensor(X, device=torch.device(self.device or "cpu"))
        sign = torch.tensor(2 * indices - 1, dtype=x.dtype, device=x.device)
        weights, read_out = initial(self.n_hidden, x, self.random_state, self.init)
        margin, max_time = (np.inf if limit is None else limit for limit in (self.margin, self.max_time))
        descent = descend(
            x,
            sign,
            weights,
            read_out,
            gamma=self.gamma,
            loss=self.loss,
            margin=margin,
            max_time=max_time,
            max_iter=self.max_iter,
            learning_rate=self.learning_rate,
        )
        self.margin_, self.loss_curve_, self.time_ = descent.margin, descent.losses, descent.time
        self.n_iter_ = len(descent.losses) - 1
        if self.margin_ < margin and self.time_ < max_time:
            warn(self._unfinished(), ConvergenceWarning)
        self.hidden_weights_, self.output_weights_ = weights.cpu().numpy(), read_out.cpu().numpy()
        return self

    def _unfinished(self) -> str:
        if self.margin is None:
            return (
                f"training stopped after {self.n_iter_} steps, at time {self.time_:.3g} of "
                f"max_time={self.max_time}; raise max_iter or lower max_time"
            )
        return (
            f"the smallest margin is {self.margin_:.3g} after {self.n_iter_} steps, not {self.margin}; "
            "raise max_iter, unless a network without bias cannot separate the classes"
        )

    def _check_parameters(self) -> None:
        check_gamma(self.gamma)
        check_device(self.device)
        for name, value in (("n_hidden", self.n_hidden), ("max_iter", self.max_iter)):
            check_integer(name, value)
        if self.n_hidden % 2:
            raise ValueError(
                f"n_hidden must be even, with half of the units for each sign of the output weights; got "
                f"{self.n_hidden}"
            )
        check_choice("loss", self.loss, LOSSES)
        check_choice("init", self.init, INITS)
        for name in ("margin", "learning_rate", "max_time"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))
        if self.margin is None and self.max_time is None:
            raise ValueError("margin and max_time are both None, so training would not stop; set one of them")

    @property
    def direction_(self) -> NDArray[Any]:
        """The product ``a W`` of both layers' weights, of shape (n_features,)."""
        check_is_fitted(self)
        return self.output_weights_ @ self.hidden_weights_

    @takes_datasets
    def decision_function(self, X: Any) -> NDArray[Any]:
        """Output of the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        f : ndarray of shape (n_samples,)
            Decision values, positive for ``classes_[1]``.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.perturbation.theory import OneHiddenLayerClassifier
        >>> network = OneHiddenLayerClassifier(n_hidden=10, random_state=0).fit(np.eye(4), [0, 0, 1, 1])
        >>> (network.decision_function(np.eye(4)) > 0).tolist()
        [False, False, True, True]
        """
        check_is_fitted(self)
        X = read_rows(X, reader=self, reset=False)
        f = np.empty(len(X), dtype=np.result_type(X, self.hidden_weights_))
        for rows in blocks(len(X), self.n_hidden):
            inputs = X[rows] @ self.hidden_weights_.T
            f[rows] = np.where(inputs > 0, inputs, self.gamma * inputs) @ self.output_weights_
        return f

    score = takes_datasets(ClassifierMixin.score)

    @takes_datasets
    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the label of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Predicted labels.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.perturbation.theory import OneHiddenLayerClassifier
        >>> network = OneHiddenLayerClassifier(n_hidden=10, random_state=0).fit(np.eye(4), [0, 0, 1, 1])
        >>> network.predict(np.eye(4))
        array([0, 0, 1, 1])
        """
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags


def initial(
    n_hidden: int, x: torch.Tensor, random_state: Any, init: str = "small"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Initial hidden weights, and output weights; "small" ones are small relative to the units of x."""
    random = torch.Generator().manual_seed(draw_seed(check_random_state(random_state)))
    size = (n_hidden, x.shape[1])
    if init == "small":
        weights = torch.randn(size, generator=random, dtype=x.dtype).to(x.device)
        weights *= _INITIAL_SIZE / torch.linalg.vector_norm(x, dim=1).max()
    else:
        weights = torch.rand(size, generator=random, dtype=x.dtype).to(x.device)
        weights.mul_(2).sub_(1).mul_(x.shape[1] ** -0.5)
    read_out = torch.full((n_hidden,), n_hidden**-0.5, dtype=x.dtype, device=x.device)
    read_out[n_hidden // 2 :] *= -1
    return weights, read_out


@register_module(OneHiddenLayerClassifier)
def one_hidden_layer(estimator: OneHiddenLayerClassifier) -> nn.Module:
    hidden, read_out = (
        _layer(weights) for weights in (estimator.hidden_weights_, estimator.output_weights_[None])
    )
    return nn.Sequential(hidden, nn.LeakyReLU(estimator.gamma), read_out)


def _layer(weights: NDArray[Any]) -> nn.Linear:
    layer = nn.Linear(weights.shape[1], weights.shape[0], bias=False, device="meta")
    layer.weight = nn.Parameter(torch.tensor(weights), requires_grad=False)
    return layer
