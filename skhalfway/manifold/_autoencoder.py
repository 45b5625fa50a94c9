"""Autoencoder: a manifold learned by a small neural network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skhalfway._checks import check_integer, check_positive, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_rows
from skhalfway._text import shown


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A small autoencoder, as a transformer, which learns a curved manifold near the data.

    An encoder and a decoder with mirrored layers are trained to reconstruct
    their input. The loss is the mean squared error, the optimiser is Adam, and
    the learning rate falls to 0 along a cosine. Inside, features are centred
    and divided by one number for all, so that units do not matter and
    distances keep their proportions. Without hidden layers, the manifold is
    the space spanned by ``PCA``; [1]_ shows that there is no other minimum.

    Parameters
    ----------
    n_components : int, default=2
        Number of dimensions of the manifold, at most the number of features.
    hidden_layer_sizes : sequence of int, default=(64,)
        Widths of the encoder's hidden layers; the decoder has them in reverse.
        Their units are SiLU, which is smooth, so that the manifold has
        tangents.
    max_iter : int, default=200
        Number of epochs.
    batch_size : int, default=128
        Number of samples for each step.
    learning_rate : float, default=3e-3
        Initial learning rate.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights and the order of samples. torch's global
        random state is neither used nor changed.

    Attributes
    ----------
    encoder_, decoder_ : torch.nn.Sequential
        Networks between scaled features and latents, in float64.
    mean_ : ndarray of shape (n_features,)
        Mean of the data.
    scale_ : float
        Root mean square deviation of features from their means.
    loss_curve_ : list of float
        Mean squared error of each epoch, as a share of the features' variance.
    n_iter_ : int
        Number of epochs trained.
    n_features_in_ : int
        Number of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has names that are all strings.

    See Also
    --------
    manifold_parts : Parts of a perturbation along a manifold and orthogonal to it.

    References
    ----------
    .. [1] Baldi & Hornik, "Neural networks and principal component analysis:
       learning from examples without local minima", Neural Networks 2, 1989.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.manifold import Autoencoder
    >>> t = np.linspace(0, np.pi, 200)
    >>> half_circle = np.column_stack([np.cos(t), np.sin(t)])
    >>> autoencoder = Autoencoder(1, max_iter=100, random_state=0).fit(half_circle)
    >>> back = autoencoder.inverse_transform(autoencoder.transform(half_circle))
    >>> bool(np.abs(back - half_circle).max() < 0.2)
    True
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden_layer_sizes: Sequence[int] = (64,),
        max_iter: int = 200,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.max_iter = max_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    @takes_datasets
    def fit(self, X: Any, y: Any = None) -> Autoencoder:
        """Train encoder and decoder.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : None
            Ignored.

        Returns
        -------
        self : Autoencoder
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid.

        Examples
        --------
        >>> from skhalfway.manifold import Autoencoder
        >>> autoencoder = Autoencoder(1, max_iter=5, random_state=0).fit([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
        >>> autoencoder.n_iter_, len(autoencoder.loss_curve_)
        (5, 5)
        """
        self._check_parameters()
        X = read_rows(X, reader=self).astype(float)
        n_features = X.shape[1]
        if self.n_components > n_features:
            raise ValueError(
                f"n_components={self.n_components}, but X has n_features={n_features}; "
                "a manifold has at most as many dimensions as there are features"
            )
        self.mean_ = X.mean(axis=0)
        x = X - self.mean_
        self.scale_ = float(np.sqrt((x**2).mean())) or 1.0
        data = torch.from_numpy(x / self.scale_)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        generator = torch.Generator().manual_seed(int(seed))
        widths = [n_features, *self.hidden_layer_sizes, self.n_components]
        self.encoder_, self.decoder_ = _layers(widths, generator), _layers(widths[::-1], generator)
        self._train(data, generator)
        self._n_features_out, self.n_iter_ = self.n_components, self.max_iter
        return self

    def _train(self, data: torch.Tensor, generator: torch.Generator) -> None:
        weights = [*self.encoder_.parameters(), *self.decoder_.parameters()]
        optimizer = torch.optim.Adam(weights, lr=self.learning_rate)
        n_batches = -(-len(data) // self.batch_size)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.max_iter * n_batches)
        self.loss_curve_ = []
        for _ in range(self.max_iter):
            total = 0.0
            for rows in torch.randperm(len(data), generator=generator).split(self.batch_size):
                x = data[rows]
                loss = nn.functional.mse_loss(self.decoder_(self.encoder_(x)), x)
                gradients = torch.autograd.grad(loss, weights)
                for weight, gradient in zip(weights, gradients, strict=True):
                    weight.grad = gradient
                optimizer.step()
                schedule.step()
                total += loss.item() * len(rows)
            self.loss_curve_.append(total / len(data))
        for weight in weights:
            weight.grad = None
            weight.requires_grad_(False)

    fit_transform = takes_datasets(TransformerMixin.fit_transform)

    @takes_datasets
    def transform(self, X: Any) -> Any:
        """Encode samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Latents.

        Examples
        --------
        >>> from skhalfway.manifold import Autoencoder
        >>> X = [[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]]
        >>> Autoencoder(1, max_iter=5, random_state=0).fit(X).transform(X).shape
        (3, 1)
        """
        check_is_fitted(self)
        X = read_rows(X, reader=self, reset=False)
        scaled = torch.from_numpy((X.astype(float) - self.mean_) / self.scale_)
        return self.encoder_(scaled).numpy().astype(X.dtype)

    @takes_datasets
    def inverse_transform(self, Z: Any) -> NDArray[Any]:
        """Decode latents.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Latents.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Points of the manifold.

        Examples
        --------
        >>> from skhalfway.manifold import Autoencoder
        >>> autoencoder = Autoencoder(1, max_iter=5, random_state=0).fit([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
        >>> autoencoder.inverse_transform([[0.5], [1.0]]).shape
        (2, 2)
        """
        Z = self._latents(Z)
        decoded = self.decoder_(torch.from_numpy(Z.astype(float))).numpy()
        return (decoded * self.scale_ + self.mean_).astype(Z.dtype)

    @takes_datasets
    def jacobian(self, Z: Any) -> NDArray[np.float64]:
        """Compute the derivatives of the decoder.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)
            Latents.

        Returns
        -------
        jacobian : ndarray of shape (n_samples, n_features, n_components)
            Jacobian of :meth:`inverse_transform`, whose columns span the
            manifold's tangent space.

        Examples
        --------
        >>> from skhalfway.manifold import Autoencoder
        >>> autoencoder = Autoencoder(1, max_iter=5, random_state=0).fit([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
        >>> autoencoder.jacobian([[0.5], [1.0]]).shape
        (2, 2, 1)
        """
        values = torch.from_numpy(self._latents(Z).astype(float))
        slopes = self.scale_ * torch.eye(self.n_components, dtype=torch.float64).expand(len(values), -1, -1)
        for layer in self.decoder_:
            # the chain rule; torch.func.jacfwd gives the same result, but is many times slower
            if isinstance(layer, nn.Linear):
                slopes = layer.weight @ slopes
            else:
                s = values.sigmoid()
                slopes = (s * (1 + values * (1 - s)))[:, :, None] * slopes
            values = layer(values)
        return slopes.numpy()

    def _latents(self, Z: Any) -> NDArray[Any]:
        check_is_fitted(self)
        Z = read_rows(Z, name="Z")
        if Z.shape[1] != self.n_components:
            raise ValueError(f"Z must have n_components={self.n_components} columns, got {Z.shape[1]}")
        return Z

    def _check_parameters(self) -> None:
        for name in ("n_components", "max_iter", "batch_size"):
            value = getattr(self, name)
            check_integer(name, value)
        sizes, rate = self.hidden_layer_sizes, self.learning_rate
        if not isinstance(sizes, Sequence) or not all(
            isinstance(width, Integral) and not isinstance(width, bool) and width >= 1 for width in sizes
        ):
            raise ValueError(f"hidden_layer_sizes must be a sequence of integers >= 1, got {shown(sizes)}")
        check_positive("learning_rate", rate)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _layers(widths: list[int], generator: torch.Generator) -> nn.Sequential:
    """Linear layers with SiLU between them, initialised as in torch, but with ``generator`` only."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layer = nn.utils.skip_init(nn.Linear, n_in, n_out, dtype=torch.float64)
        bound = n_in**-0.5
        for weight in (layer.weight, layer.bias):
            nn.init.uniform_(weight, -bound, bound, generator=generator)
        layers += [layer, nn.SiLU()]
    return nn.Sequential(*layers[:-1])
