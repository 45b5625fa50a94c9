"""CodeMap: what a network's layers encode, as codes on self-organising maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from skhalfway._checks import check_choice, check_integer, check_random_state, check_share
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_targets
from skhalfway._randomness import draw_seed, leaving_no_trace
from skhalfway._readable import read_labels
from skhalfway._text import shown
from skhalfway.codes._coarse import warn_of_variance
from skhalfway.codes._drift import Drift, drift_of
from skhalfway.codes._encoder import Encoder
from skhalfway.codes._homogeneity import Homogeneity, homogeneity_of
from skhalfway.codes._maps import check_shape, check_units
from skhalfway.codes._network import POOLINGS, check_layers, check_network, read_for_network, trained
from skhalfway.codes._novelty import ClassCodes
from skhalfway.models._as_model import check_kind, counts_as_fitted
from skhalfway.models._routing import FitRouter
from skhalfway.results._provenance import recorded


class CodeMap(FitRouter, TransformerMixin, BaseEstimator):
    """Codes of a network's layers: the unit of a self-organising map that each activation is nearest to.

    A self-organising map is fitted to what each layer gives for the training
    samples. The code of a sample at a layer is the index of its best-matching
    unit; units next to each other on the grid stand for activations that are
    alike. :meth:`homogeneity` tells how far classes share codes, :meth:`drift`
    how far perturbed samples move on the maps.

    That maps of activations show shallow layers' codes as homogeneous and deep
    layers' as diverse, and follow a perturbation through the layers, is the
    claim of [1]_. Its layers, map size and measures are not public to us: all
    that is measured here, and how, is this package's own.

    Parameters
    ----------
    estimator : object
        The network: a ``torch.nn.Module``, a skorch classifier or an
        ``MLPClassifier``, or a ``Pipeline`` that ends in one. ``fit(X)`` takes
        a fitted one as it is. ``fit(X, y)`` trains a clone, as scikit-learn's
        meta-estimators do, whether the one given is fitted or not; but a
        module and a ``FrozenEstimator`` are always taken as they are.
    layers : "auto" or list of str, default="auto"
        Names of layers. A torch module's are those of its ``named_modules``,
        the ``module_``'s for skorch; an ``MLPClassifier`` of two hidden layers
        has ``layer_0``, ``activation_1``, ``layer_1``, ``activation_2`` and
        ``layer_2``. ``"auto"`` is, for each module with weights (of two axes or
        more) that runs once for a sample, the first activation module after it
        and before the next one with weights, else that module itself; and the
        last module with weights.
    shape : tuple of (int, int), default=(8, 8)
        Rows and columns of each map; together at least 2 units, and no more
        than there are samples.
    n_iter : int, default=10000
        Steps of training, each with one sample; at least one for each unit. No
        more samples than steps are looked at: of more, as many are drawn.
    pooling : {"mean", "max", "flatten"}, default="mean"
        What becomes of an output with more than two axes, of which the second
        holds channels and the others space: mean or maximum over space, or
        every value a feature.
    random_state : int, RandomState instance or None, default=None
        Decides maps, intervals and controls; if not None, also every
        ``random_state`` of a clone that is trained (for skorch, torch's own
        generator). Pass an int for the same output across calls.

    Attributes
    ----------
    estimator_ : object
        The fitted network.
    layers_ : list of str
        Names of the layers, in the order in which they are listed or run.
    maps_ : dict of str to MiniSom
        The map of each layer. The position of a unit, in ``get_weights()``, is
        in standard deviations from the mean of the layer's activations.
    quantization_error_ : ndarray of shape (n_layers,)
        Mean distance of the training samples from their best-matching unit, in
        the same units.
    unexplained_variance_ : ndarray of shape (n_layers,)
        Share of the variance of the standardised activations that is within
        units; nan where a layer gives the same for every sample.
    topographic_error_ : ndarray of shape (n_layers,)
        Share of the training samples whose two best-matching units are not
        next to each other, at a side or a corner.
    n_features_in_ : int
        Number of features seen during :meth:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :meth:`fit`, where they are strings.

    See Also
    --------
    code_agreement : Whether the codes of two networks agree.
    HomogeneityDisplay : Draws homogeneity against depth.
    CodeMapDisplay : Draws the maps.
    DriftDisplay : Draws drift against depth.

    Notes
    -----
    Each feature of a layer is standardised before its map is fitted, so that
    no neuron counts more for being larger; one that never varies counts for
    nothing. The neighbourhood is Gaussian; its radius falls from half the
    map's longer side to 1, and the learning rate from 0.5 to 0, both linearly.

    Activations are computed in batches, in evaluation mode, without gradients,
    for all layers at once. Those of a batch are held in memory, in :meth:`fit`
    those of at most ``n_iter`` samples.

    On the digits of scikit-learn, with ``pooling="flatten"``, ``class_entropy``
    fell from the first layer to the last in five of five small convolutional
    networks; in perceptrons of two hidden layers there was no such trend. The
    benchmark ``benchmarks/codes.py`` has more networks, and another data set where
    nothing of the kind shows.

    A map is too coarse to speak, by a choice of ours of which
    ``CoarseMapWarning`` tells, where more than 80% of the variance of the
    standardised activations stays within units, or where there are fewer codes
    than classes.

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
        """Record activations, and fit a map for each layer.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Samples; images may have more axes.
        y : array-like of shape (n_samples,), default=None
            Labels to train the network with. None: it is fitted.
        **fit_params : dict
            Metadata that the network requests for its training. Only with
            ``enable_metadata_routing``.

        Returns
        -------
        self : CodeMap
            The fitted transformer.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid, there are fewer samples or
            steps than units, the network is not fitted and there is no ``y``,
            it has no such layer or no named layer at all, a layer runs never or
            several times, or activations are nan or inf; if metadata are neither
            requested nor refused, not routed at all, or there is no ``y``.
        TypeError
            If the estimator is no network, or the output of a layer no tensor, or
            metadata are routed to none.

        Warns
        -----
        CoarseMapWarning
            If a map is too coarse: see Notes.
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
        # parameters may be set again before the next fit
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
            Bootstrap samples for the intervals; at least 2.
        n_shuffles : int, default=100
            How often labels are shuffled for the control.

        Returns
        -------
        homogeneity : Homogeneity
            Measures, intervals and control of each layer.

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
            Codes changed and distances moved; and of the control: samples
            moved, each in a random direction, as far (in L2) as by the perturbation,
            also out of range. A warning says where columns' units make that unfair.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data is invalid, or both are not of the same shape.
        """
        check_is_fitted(self)
        clean, moved = (read_for_network(self, samples, reset=False) for samples in (X, X_adv))
        return drift_of(clean, moved, self._encoder, self._shape, self._stream())

    @takes_datasets
    @leaving_no_trace
    def novelty(self, X: Any, *, share: float = 0.05) -> NDArray[np.float64]:
        """Measure how far codes are from those of the training samples that are given the same class.

        This distance is ours. It tells adversarial examples from noise of their size, but the distance of
        activations from their nearest neighbours tells them better: ``benchmarks/novelty.md``.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
            Samples.
        share : float, default=0.05
            Share of the training samples that the network gives the class, above 0 and at most 1.

        Returns
        -------
        distances : ndarray of shape (n_samples, n_layers)
            The distance on the grid, in units' spacings, within which that share of them lies; 0 where they
            have the sample's own code, inf where the network gave no training sample the class.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data or ``share`` is invalid, or the network gives no classes.
        """
        check_is_fitted(self)
        check_share("share", share)
        array = read_for_network(self, X, reset=False)
        return self._class_codes.distances(array, share)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the columns of :meth:`transform`: the layers.

        Parameters
        ----------
        input_features : array-like of str, default=None
            The names seen in :meth:`fit`, if any are given.

        Returns
        -------
        names : ndarray of shape (n_layers,)
            Names.
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        return np.array(self.layers_, dtype=object)

    def _fitted_by_name(self) -> dict[str, Any]:
        return {"estimator": self.estimator}

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "maps_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = not counts_as_fitted(self.estimator)
        assert tags.transformer_tags is not None
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _check_params(self) -> None:
        check_kind(self.estimator)
        check_network(self.estimator)
        check_shape(self.shape)
        check_integer("n_iter", self.n_iter)
        check_choice("pooling", self.pooling, POOLINGS)
        check_layers(self.layers)

    def _stream(self) -> np.random.RandomState:
        """A stream of its own: noise must not repeat data that was drawn with the same seed."""
        return np.random.RandomState(draw_seed(check_random_state(self.random_state)))
