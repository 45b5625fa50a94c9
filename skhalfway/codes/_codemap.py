"""CodeMap: codes of samples at a network's layers, on self-organising maps of activations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skhalfway._checks import check_integer, check_random_state, check_share
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_targets
from skhalfway._randomness import leaving_no_trace
from skhalfway._readable import read_labels
from skhalfway._text import shown
from skhalfway.codes._coarse import warn_of_variance
from skhalfway.codes._codemap_base import CodeMapBase
from skhalfway.codes._drift import Drift, drift_of
from skhalfway.codes._encoder import Encoder
from skhalfway.codes._homogeneity import Homogeneity, homogeneity_of
from skhalfway.codes._maps import check_units
from skhalfway.codes._network import read_for_network, trained
from skhalfway.codes._novelty import ClassCodes
from skhalfway.results._provenance import recorded


class CodeMap(CodeMapBase):
    """Codes of samples at a network's layers: the nearest units of self-organising maps of activations.

    A self-organising map is fitted to the activations of each layer for the training samples. The code of a
    sample at a layer is the index of its best-matching unit. Neighbouring units on the grid stand for
    similar activations. :meth:`homogeneity` measures how far classes share codes, :meth:`drift` how far
    perturbed samples move on the maps, and :meth:`novelty` how unusual codes are.

    The claim of [1]_ is that such maps show the codes of shallow layers as homogeneous and those of deep
    layers as diverse, and follow a perturbation through the layers. Its layers, map size and measures are
    not public to us: all measures here are this package's own.

    Parameters
    ----------
    estimator : object
        The network: a ``torch.nn.Module``, a skorch classifier or an ``MLPClassifier``, or a ``Pipeline``
        that ends in one.

        - ``fit(X)`` uses a fitted network as it is.
        - ``fit(X, y)`` trains a clone, whether or not the network is fitted, as scikit-learn's
          meta-estimators do. A torch module and a ``FrozenEstimator`` are not cloned, and used as they are.
    layers : "auto" or list of str, default="auto"
        Names of layers. For a torch module they are those of its ``named_modules``, for skorch those of its
        ``module_``. An ``MLPClassifier`` with two hidden layers has ``layer_0``, ``activation_1``,
        ``layer_1``, ``activation_2`` and ``layer_2``. Of the modules that run once for a sample, ``"auto"``
        takes

        - for each module with weights (of two axes or more) but the last, the first activation module
          between it and the next such module; the module itself where there is no activation;
        - the last module with weights.
    shape : tuple of (int, int), default=(8, 8)
        Rows and columns of each map, which has at least 2 units and no more units than samples.
    n_iter : int, default=10000
        Number of training steps of a map, each with one sample; at least one for each unit. Where there are
        more samples than steps, ``n_iter`` samples are drawn.
    pooling : {"mean", "max", "flatten"}, default="mean"
        How an output with more than two axes becomes a row of features. "mean" and "max" reduce its spatial
        axes, which follow the second axis (channels). "flatten" makes every value a feature.
    random_state : int, RandomState instance or None, default=None
        Source of the randomness of maps, intervals and controls. If not None, also of every
        ``random_state`` of a clone that is trained (for skorch, of torch's generator). Pass an int for the
        same output across calls.

    Attributes
    ----------
    estimator_ : object
        The fitted network.
    layers_ : list of str
        Names of the layers, in the order in which they are listed or run.
    maps_ : dict of str to MiniSom
        The map of each layer. Positions of units, in ``get_weights()``, are in standard deviations from the
        mean of the layer's activations.
    quantization_error_ : ndarray of shape (n_layers,)
        Mean distance of the training samples from their best-matching unit, in standard deviations.
    unexplained_variance_ : ndarray of shape (n_layers,)
        Share of the variance of the standardised activations within units; nan for constant activations.
    topographic_error_ : ndarray of shape (n_layers,)
        Share of the training samples whose two best-matching units are not neighbours (corners included).
    n_features_in_ : int
        Number of features seen during :meth:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :meth:`fit`, where they are strings.

    See Also
    --------
    code_agreement : How similarly two networks encode the same samples.
    HomogeneityDisplay : Draws homogeneity against depth.
    CodeMapDisplay : Draws the maps.
    DriftDisplay : Draws drift against depth.

    Notes
    -----
    Each feature of a layer is standardised before its map is fitted, so that neurons with large activations
    have no more weight. Constant features have no effect. The neighbourhood is Gaussian. Its radius
    decreases from half of the map's longer side to 1, and the learning rate from 0.5 to 0, both linearly.

    Activations are computed in batches, in evaluation mode, without gradients, for all layers at once.
    Those of one batch are held in memory; in :meth:`fit`, those of at most ``n_iter`` samples.

    On scikit-learn's digits, with ``pooling="flatten"``, ``class_entropy`` decreased from the first layer
    to the last in five of five small convolutional networks. In perceptrons with two hidden layers there
    was no such trend. The benchmark ``benchmarks/codes.py`` has more networks, and another data set without
    such a trend.

    A ``CoarseMapWarning`` says that a map is too coarse (our choice): more than 80% of the variance of the
    standardised activations is within units, or there are fewer codes than classes.

    References
    ----------
    .. [1] Lee & Vijayan, arXiv 2205.10952, 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.codes import CodeMap
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier((32, 32), solver="lbfgs", max_iter=50, tol=1e-2, random_state=0)
    >>> codes = CodeMap(net, n_iter=2000, random_state=0).fit(X / 16, y)
    >>> codes.layers_
    ['activation_1', 'activation_2', 'layer_2']
    >>> codes.transform(X / 16).shape
    (1797, 3)
    >>> entropy = codes.homogeneity(X / 16, y).values["class_entropy"]
    >>> bool(entropy[0] > entropy[-1])
    True
    """

    def __init__(
        self,
        estimator: Any,
        *,
        layers: Any = "auto",
        shape: tuple[int, int] = (8, 8),
        n_iter: int = 10_000,
        pooling: str = "mean",
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.layers = layers
        self.shape = shape
        self.n_iter = n_iter
        self.pooling = pooling
        self.random_state = random_state

    @takes_datasets
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> CodeMap:
        """Compute activations, and fit a map for each layer.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Samples; images may have more axes.
        y : array-like of shape (n_samples,), default=None
            Labels to train the network with. None uses the fitted network.
        **fit_params : dict
            Metadata that the network requests for its training, allowed with ``enable_metadata_routing``.

        Returns
        -------
        self : CodeMap
            The fitted transformer.

        Raises
        ------
        ValueError
            - If a parameter or the data is invalid, or activations are nan or inf.
            - If there are fewer samples or steps than units.
            - If the network is not fitted and there is no ``y``.
            - If a layer does not exist, does not run or runs several times, or no layer has a name.
            - If metadata are neither requested nor refused, not routed at all, or given without ``y``.
        TypeError
            If the estimator is no network, a layer's output is no tensor, or it does not take the metadata.

        Warns
        -----
        CoarseMapWarning
            If a map is too coarse: see Notes.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from skhalfway.codes import CodeMap
        >>> X, y = load_iris(return_X_y=True)
        >>> net = MLPClassifier(10, solver="lbfgs", max_iter=500, random_state=0)
        >>> CodeMap(net, shape=(4, 4), n_iter=500, random_state=0).fit(X, y).layers_
        ['activation_1', 'layer_1']
        """
        self._check_params()
        params = self._routed("fit", fit_params)["estimator"]
        if params and y is None:
            raise ValueError(
                f"fit got {shown(sorted(params))} to train the network with, but no y; pass y too"
            )
        array, rng = read_for_network(self, X, reset=True), check_random_state(self.random_state)
        if y is not None:
            read_targets(y, len(array))
        # kept, since parameters may be changed before the next fit
        self._shape = self.shape[0], self.shape[1]
        check_units(self._shape, len(array), self.n_iter)
        data = X if hasattr(X, "columns") else array
        stream = None if self.random_state is None else rng
        self.estimator_ = trained(self.estimator, data, y, stream, params)
        self._encoder = Encoder(self.estimator_, self.layers, self.pooling, array)
        seen, codes = self._encoder.fit(array, self._shape, self.n_iter, rng)
        self.layers_, maps = self._encoder.layers, self._encoder.maps.values()
        self.maps_ = {name: part.minisom for name, part in self._encoder.maps.items()}
        self.quantization_error_ = np.array([part.quantization_error for part in maps])
        self.unexplained_variance_ = np.array([part.unexplained_variance for part in maps])
        self.topographic_error_ = np.array([part.topographic_error for part in maps])
        warn_of_variance(self.layers_, self.unexplained_variance_, self._shape)
        self._class_codes = ClassCodes(self.estimator_, self._encoder, seen, codes, self._shape)
        return self

    fit_transform = takes_datasets(TransformerMixin.fit_transform)

    @takes_datasets
    @leaving_no_trace
    def transform(self, X: Any) -> NDArray[np.intp]:
        """Find the codes of samples.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_layers)
            Index of the best-matching unit: ``row * n_columns + column``.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data is invalid, or activations are nan or inf.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from skhalfway.codes import CodeMap
        >>> X, y = load_iris(return_X_y=True)
        >>> net = MLPClassifier(10, solver="lbfgs", max_iter=500, random_state=0)
        >>> CodeMap(net, shape=(4, 4), n_iter=500, random_state=0).fit(X, y).transform(X[:5]).shape
        (5, 2)
        """
        check_is_fitted(self)
        return self._encoder.codes(read_for_network(self, X, reset=False))

    @takes_datasets
    @leaving_no_trace
    @recorded
    def homogeneity(self, X: Any, y: Any, *, n_bootstrap: int = 200, n_shuffles: int = 100) -> Homogeneity:
        """Measure how far classes share codes, layer by layer.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Their classes.
        n_bootstrap : int, default=200
            Number of bootstrap samples for confidence intervals; at least 2.
        n_shuffles : int, default=100
            Number of shuffles of the labels for the control.

        Returns
        -------
        homogeneity : Homogeneity
            Measures, confidence intervals and control of each layer.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data or a parameter is invalid, or there is one class only.

        Warns
        -----
        CoarseMapWarning
            If a layer has fewer codes than there are classes.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from skhalfway.codes import CodeMap
        >>> X, y = load_iris(return_X_y=True)
        >>> net = MLPClassifier(10, solver="lbfgs", max_iter=500, random_state=0)
        >>> code_map = CodeMap(net, shape=(4, 4), n_iter=500, random_state=0).fit(X, y)
        >>> list(code_map.homogeneity(X, y, n_bootstrap=2, n_shuffles=1).values)
        ['shared', 'class_entropy', 'code_entropy', 'n_codes', 'purity']
        """
        check_is_fitted(self)
        check_integer("n_bootstrap", n_bootstrap, 2)
        check_integer("n_shuffles", n_shuffles)
        array = read_for_network(self, X, reset=False)
        labels = read_labels(y, len(array))
        rng, times = self._stream(), (n_bootstrap, n_shuffles)
        return homogeneity_of(array, labels, self._encoder, self._shape, times, rng)

    @takes_datasets
    @leaving_no_trace
    @recorded
    def drift(self, X: Any, X_adv: Any) -> Drift:
        """Measure how far perturbed samples move on the maps, layer by layer.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Samples.
        X_adv : same type and shape as X
            The same samples, perturbed.

        Returns
        -------
        drift : Drift
            Shares of changed codes, and distances moved on the map, for the perturbation and for a control.
            In the control, each sample is moved in a random direction by the L2 norm of its perturbation;
            the range of valid data is ignored. A warning says if columns have different units, because
            the control is not fair then.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data is invalid, or both have different shapes.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from skhalfway.codes import CodeMap
        >>> X, y = load_iris(return_X_y=True)
        >>> net = MLPClassifier(10, solver="lbfgs", max_iter=500, random_state=0)
        >>> code_map = CodeMap(net, shape=(4, 4), n_iter=500, random_state=0).fit(X, y)
        >>> code_map.drift(X, X + 0.1).distances.shape
        (2, 150)
        """
        check_is_fitted(self)
        clean, moved = (read_for_network(self, samples, reset=False) for samples in (X, X_adv))
        return drift_of(clean, moved, self._encoder, self._shape, self._stream())

    @takes_datasets
    @leaving_no_trace
    def novelty(self, X: Any, *, share: float = 0.05) -> NDArray[np.float64]:
        """Measure how far codes of samples are from those of training samples with the same predicted class.

        The measure is our own. It separates adversarial examples from noise of the same size. The distance
        of activations from their nearest neighbours separates them better (``benchmarks/novelty.md``).

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Samples.
        share : float, default=0.05
            Share of the training samples with the same predicted class, above 0 and at most 1.

        Returns
        -------
        distances : ndarray of shape (n_samples, n_layers)
            Distance on the grid, in spacings of units, within which this share of training samples lies. It
            is 0 where they have the sample's own code, and inf where the network predicts the class for no
            training sample.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data or ``share`` is invalid, or the network does not predict classes.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from skhalfway.codes import CodeMap
        >>> X, y = load_iris(return_X_y=True)
        >>> net = MLPClassifier(10, solver="lbfgs", max_iter=500, random_state=0)
        >>> code_map = CodeMap(net, shape=(4, 4), n_iter=500, random_state=0).fit(X[::2], y[::2])
        >>> code_map.novelty(X[1::2]).shape
        (75, 2)
        """
        check_is_fitted(self)
        check_share("share", share)
        array = read_for_network(self, X, reset=False)
        return self._class_codes.distances(array, share)
