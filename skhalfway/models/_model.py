"""How any classifier is seen: :class:`Model`, and its form for skorch."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from copy import copy, deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skhalfway._inputs import Frame, positions, under_names
from skhalfway._parallel import pause
from skhalfway._polars import without_polars
from skhalfway._text import shown
from skhalfway.models._columns import column_names
from skhalfway.models._net_input import converts
from skhalfway.models._registry import NotDifferentiableError, to_module
from skhalfway.models._type_checks import may_hold_skorch_nets, net_dtype

if TYPE_CHECKING:
    import torch
    from torch import nn


_LARGEST = 1e300


class Model:
    """A fitted classifier, seen as class indices and, where there is one, a gradient.

    Made by :func:`as_model`; never fits, changes or copies the estimator.

    Attributes
    ----------
    estimator : object
        The classifier itself.
    classes_ : ndarray of shape (n_classes,) or None
        Labels in the order of the class indices. None for a torch module
        that does not say: its labels are then its column numbers.
    n_features_in_ : int or None
        Width of the input, where the estimator says.
    name : str or None
        What its owner calls it, for messages.
    in_torch : bool
        Whether its owner computes in torch too, so that ``torch.autocast`` means something.

    See Also
    --------
    as_model : Makes a Model.
    """

    in_torch = False

    def __init__(self, estimator: Any, classes: NDArray[Any] | None) -> None:
        self.estimator = estimator
        self.classes_ = classes
        self.n_features_in_: int | None = getattr(estimator, "n_features_in_", None)
        self.name: str | None = None
        self._frame: Frame | None = None
        self._names: dict[int, Any] = {}  # of the columns, by their number
        self._order: NDArray[np.intp] | None = None

    def __repr__(self) -> str:
        kind = "differentiable" if self.has_gradient else "black box"
        return f"<{type(self).__name__} of {type(self.estimator).__name__}: {kind}>"

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        """Predict the class index of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, in the units that the estimator takes.

        Returns
        -------
        indices : ndarray of shape (n_samples,)
            Positions in ``classes_``.

        Raises
        ------
        ValueError
            If the width is wrong, or a prediction is not in ``classes_``.
        """
        pause()
        predicted = self._predict(X)
        return predicted if self._order is None else np.argsort(self._order)[predicted]

    def scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities where the estimator gives them, else decision values, else 1 for the prediction.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes)
            For attacks that ask for scores; the largest is the prediction
            wherever the estimator itself keeps to that. Infinite ones are
            1e300, so that they have differences.

        Raises
        ------
        ValueError
            If there is not one score for each sample and class, or one is nan.
        """
        pause()
        scores = self._scores(X)
        n_samples = np.shape(X)[0]
        if scores.ndim != 2 or len(scores) != n_samples:
            raise ValueError(
                f"{self._told} gives scores of shape {scores.shape} for {n_samples} samples; "
                "a score for each sample and class is needed"
            )
        undefined = np.isnan(scores).any(axis=1)
        if undefined.any():
            in_X = "X, which holds nan" if _holds_nan(X) else "its computation, since X holds none"
            raise ValueError(
                f"{self._told} gives scores that are nan for {undefined.sum()} of {len(scores)} samples "
                f"(the first is sample {undefined.argmax()}); look for the reason in {in_X}"
            )
        scores = scores.clip(-_LARGEST, _LARGEST)
        return scores if self._order is None else scores[:, self._order]

    def _predict(self, X: Any) -> NDArray[np.intp]:
        return self._indices(self._called.predict(self._arrange(X)), len(X))

    def _scores(self, X: Any) -> NDArray[np.float64]:
        if hasattr(self.estimator, "predict_proba"):
            return np.asarray(self._called.predict_proba(self._arrange(X)), dtype=float)
        n_classes = self.n_outputs(X)
        if hasattr(self.estimator, "decision_function") and not _decides_by_pairs(self.estimator):
            values = np.asarray(self._called.decision_function(self._arrange(X)), dtype=float)
            if values.ndim == 1 and n_classes == 2:
                return np.stack([-values, values], axis=1)
            if values.ndim == 2 and values.shape[1] == n_classes:
                return values
        return np.eye(n_classes)[self._predict(X)]

    @cached_property
    def _called(self) -> Any:
        """The estimator, or its twin with views of its modules, which any number of threads may ask."""
        if not may_hold_skorch_nets(self.estimator):
            return self.estimator
        from skhalfway.models._views import estimator_view

        return estimator_view(self.estimator)

    @property
    def _told(self) -> str:
        """The model in messages."""
        kind = type(self.estimator).__name__
        return kind if self.name is None else f"model {self.name!r} ({kind})"

    def n_outputs(self, X: ArrayLike) -> int:
        """Count the classes; a torch module that does not say is asked with ``X``'s first row."""
        assert self.classes_ is not None
        return len(self.classes_)

    @property
    def has_gradient(self) -> bool:
        """Whether :attr:`module` is there."""
        return self.module is not None

    @cached_property
    def smoothed(self) -> bool:
        """Whether :attr:`module` smooths steps of the estimator, in its answers or in their gradient."""
        parts = () if self.module is None else self.module.modules()
        return any(getattr(part, "smoothed", False) for part in parts)

    @cached_property
    def _conversion(self) -> tuple[nn.Module | None, str]:
        import torch

        try:
            with torch.inference_mode(False):
                from skhalfway.models._views import evaluation_view

                return evaluation_view(to_module(self.estimator)), ""
        except NotDifferentiableError as error:
            return None, str(error)

    @property
    def module(self) -> nn.Module | None:
        """Differentiable torch module with the estimator's logits, or None.

        Of a torch module this is a view in evaluation mode, which shares its
        weights and leaves no gradient on them.
        """
        return self._conversion[0]

    @property
    def why_black_box(self) -> str:
        """Why there is no gradient; empty where there is one."""
        return self._conversion[1]

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Differentiable logits of a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, ...)
            Of the module's own float type and device.

        Returns
        -------
        logits : Tensor of shape (n_samples, n_classes)
            A single column z, the logit of the second class, becomes (0, z).

        Raises
        ------
        NotDifferentiableError
            If the classifier is a black box.
        """
        if self.module is None:
            raise NotDifferentiableError(self.why_black_box)
        pause()
        z = self._logits(self._flat(x))
        return z if self._order is None else z[:, self._order.tolist()]

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        from skhalfway.models._outputs import columns_of
        from skhalfway.models._torch import two_columns

        assert self.module is not None
        name = type(self.module).__name__
        return two_columns(columns_of(self.module(x), len(x), name))

    def in_order(self, classes: NDArray[Any] | None) -> Model:
        """Return a Model whose class indices are positions in ``classes``: its own, in another order."""
        if classes is None or self.classes_ is None or np.array_equal(self.classes_, classes):
            return self
        order = positions(classes, self.classes_)
        if len(classes) != len(self.classes_) or (order < 0).any():
            raise ValueError(
                f"{self._told} has the classes {shown(self.classes_)}, which are not {shown(classes)} in "
                "another order"
            )
        ordered = copy(self)
        ordered._order = order if self._order is None else self._order[order]
        ordered.classes_ = classes
        return ordered

    def reading(self, frame: Frame | None) -> Model:
        """Return a Model that takes the codes of a DataFrame's categories: this one, where there are none."""
        if frame is None:
            return self
        reader = copy(self)
        reader._frame = frame
        return reader

    @property
    def device(self) -> torch.device:
        """Where the module lies; the CPU, where there is none."""
        import torch

        from skhalfway.models._torch import device_of

        return torch.device("cpu") if self.module is None else device_of(self.module)

    def on(self, device: str | torch.device | None) -> Model:
        """Return a Model whose module lies on ``device``: this one, or one with a copy of it; None is any."""
        if device is None or self.module is None:
            return self
        import torch

        device = torch.empty(0, device=device).device  # with its number
        if self.device == device:
            return self
        moved = copy(self)
        moved.__dict__["_conversion"] = deepcopy(self.module).to(device), ""
        return moved

    def apart(self) -> Model:
        """Return a Model whose module is its own: what is hooked on to it meets no other's calls."""
        other = copy(self)
        other.__dict__.pop("_conversion", None)
        return other

    def evaluating(self) -> AbstractContextManager[None]:
        """Context to use the module in: evaluation mode, and gradients even where the caller has none."""
        if self.module is None:
            return nullcontext()
        from skhalfway.models._torch import in_use

        return in_use(self.module, self._renewed)

    def _renewed(self) -> None:
        """The estimator was changed by its owner."""

    def _flat(self, x: Any) -> Any:
        # scikit-learn's estimators take rows; images are laid out as such
        return x if x.ndim == 2 else x.reshape(len(x), -1)

    def _arrange(self, X: Any) -> Any:
        """X as the estimator wants it: rows, under the column names it was fitted with."""
        X = without_polars(X)
        # a copy, since an estimator may write into what it is given
        if hasattr(X, "columns") and self._column_names(X.shape[1]) is not None:
            return X.copy()
        X = self._flat(np.asarray(X)).copy()
        if self._frame is not None:
            return self._frame.restore(X)
        if self.n_features_in_ is not None and X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self.estimator).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        return under_names(X, self._column_names(X.shape[1]))

    def _column_names(self, n_columns: int) -> Any:
        if n_columns not in self._names:
            self._names[n_columns] = column_names(self.estimator, n_columns)
        return self._names[n_columns]

    def _indices(self, predictions: Any, n_samples: int) -> NDArray[np.intp]:
        assert self.classes_ is not None
        classes = self.classes_ if self._order is None else self.classes_[np.argsort(self._order)]
        predictions = np.asarray(predictions)
        if predictions.ndim == 2 and predictions.shape[1] == 1:
            predictions = predictions[:, 0]
        if predictions.ndim == 2:
            raise ValueError(
                f"{self._told} predicts several outputs (shape {predictions.shape}); "
                "only single-output classifiers are supported"
            )
        if predictions.shape != (n_samples,):
            raise ValueError(
                f"{self._told} predicts an array of shape {predictions.shape} for {n_samples} samples; "
                "its predict must return one label for each sample"
            )
        indices = positions(predictions, classes)
        if (indices < 0).any():
            raise ValueError(
                f"{self._told} predicts {shown(predictions[indices < 0][:3])}, "
                f"not among its classes_ {shown(classes)}"
            )
        return indices


def _holds_nan(X: Any) -> bool:
    array = np.asarray(X)
    return bool(np.isnan(array).any()) if array.dtype.kind == "f" else True


def _decides_by_pairs(estimator: Any) -> bool:
    """Whether decision values belong to pairs of classes: of three classes there are as many pairs."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return getattr(estimator, "decision_function_shape", "ovr") == "ovo"


class SkorchModel(Model):
    """A skorch net, or an estimator that ends in one."""

    in_torch = True

    def __init__(self, estimator: Any, classes: NDArray[Any] | None, net: Any) -> None:
        super().__init__(estimator, classes)
        self._net = net
        self._converting: bool | None = None

    def _indices(self, predictions: Any, n_samples: int) -> NDArray[np.intp]:
        # skorch predicts column numbers, whatever the labels
        if np.shape(predictions) != (n_samples,):
            raise ValueError(
                f"{self._told} predicts an array of shape {np.shape(predictions)} for {n_samples} samples; "
                "its predict must return one label for each sample"
            )
        return np.asarray(predictions).astype(np.intp)

    def _flat(self, x: Any) -> Any:
        # a net alone takes images as they are; what knows its width takes rows
        return x if self.n_features_in_ is None else super()._flat(x)

    def _arrange(self, X: Any) -> Any:
        X = super()._arrange(X)
        return X if self._frame is not None or self.converts(X) else X.astype(net_dtype(self._net))

    def converts(self, X: Any) -> bool:
        """Whether steps before the net turn samples into its float type, and so take any; told once."""
        if self._converting is None:
            self._converting = converts(self.estimator, self._net, X)
        return self._converting
