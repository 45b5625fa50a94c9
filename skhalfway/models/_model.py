"""How any classifier is seen: :class:`Model`, and its forms for torch, skorch and ART."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from copy import copy, deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skhalfway._inputs import Frame, positions
from skhalfway.models._kinds import is_torch_module, net_dtype
from skhalfway.models._registry import NotDifferentiableError, to_module

if TYPE_CHECKING:
    import torch
    from torch import nn

_PREDICTION_BATCH = 1024


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

    See Also
    --------
    as_model : Makes a Model.
    """

    def __init__(self, estimator: Any, classes: NDArray[Any] | None) -> None:
        self.estimator = estimator
        self.classes_ = classes
        self.n_features_in_: int | None = getattr(estimator, "n_features_in_", None)
        self._frame: Frame | None = None

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
        return self._indices(self.estimator.predict(self._arrange(X)))

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
            wherever the estimator itself keeps to that.
        """
        if hasattr(self.estimator, "predict_proba"):
            return np.asarray(self.estimator.predict_proba(self._arrange(X)), dtype=float)
        n_classes = self.n_outputs(X)
        if hasattr(self.estimator, "decision_function") and not _decides_by_pairs(self.estimator):
            values = np.asarray(self.estimator.decision_function(self._arrange(X)), dtype=float)
            if values.ndim == 1 and n_classes == 2:
                return np.stack([-values, values], axis=1)
            if values.ndim == 2 and values.shape[1] == n_classes:
                return values
        return np.eye(n_classes)[self.predict(X)]

    def n_outputs(self, X: ArrayLike) -> int:
        """Count the classes; a torch module that does not say is asked with ``X``'s first row."""
        assert self.classes_ is not None
        return len(self.classes_)

    @property
    def has_gradient(self) -> bool:
        """Whether :attr:`module` is there."""
        return self.module is not None

    @cached_property
    def _conversion(self) -> tuple[nn.Module | None, str]:
        try:
            return to_module(self.estimator), ""
        except NotDifferentiableError as error:
            return None, str(error)

    @property
    def module(self) -> nn.Module | None:
        """Differentiable torch module with the estimator's logits, or None."""
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
        from skhalfway.models._torch import two_columns

        return two_columns(self.module(self._flat(x)))

    def reading(self, frame: Frame | None) -> Model:
        """Return a Model that takes the codes of a DataFrame's categories: this one, where there are none."""
        if frame is None:
            return self
        reader = copy(self)
        reader._frame = frame
        return reader

    def on(self, device: torch.device) -> Model:
        """Return a Model whose module lies on ``device``: this one, or one with a copy of it."""
        from skhalfway.models._torch import device_of

        module = self.module
        if module is None or device_of(module) == device:
            return self
        moved = copy(self)
        moved.__dict__["_conversion"] = deepcopy(module).to(device), ""
        return moved

    def evaluating(self) -> AbstractContextManager[None]:
        """Context in which torch parts are in evaluation mode; flags are restored after it."""
        parts = tuple(self._torch_parts())
        if not parts:
            return nullcontext()
        from skhalfway.models._torch import evaluation_mode

        return evaluation_mode(*parts)

    def _torch_parts(self) -> Iterator[nn.Module]:
        if self.module is not None:
            yield self.module

    def _flat(self, x: Any) -> Any:
        # scikit-learn's estimators take rows; images are laid out as such
        return x if x.ndim == 2 else x.reshape(len(x), -1)

    def _arrange(self, X: Any) -> Any:
        """X as the estimator wants it: rows, under the column names it was fitted with."""
        names = getattr(self.estimator, "feature_names_in_", None)
        if names is not None and hasattr(X, "columns"):
            return X
        X = self._flat(np.asarray(X))
        if self._frame is not None:
            return self._frame.restore(X)
        if self.n_features_in_ is not None and X.shape[1] != self.n_features_in_:
            raise ValueError(
                f"X has {X.shape[1]} features, but {type(self.estimator).__name__} is expecting "
                f"{self.n_features_in_} features as input"
            )
        if names is None:
            return X
        import pandas as pd

        return pd.DataFrame(X, columns=names)

    def _indices(self, predictions: Any) -> NDArray[np.intp]:
        assert self.classes_ is not None
        predictions = np.asarray(predictions)
        if predictions.ndim == 2 and predictions.shape[1] == 1:
            predictions = predictions[:, 0]
        if predictions.ndim != 1:
            raise ValueError(
                f"{type(self.estimator).__name__} predicts several outputs (shape {predictions.shape}); "
                "only single-output classifiers are supported"
            )
        indices = positions(predictions, self.classes_)
        if (indices < 0).any():
            raise ValueError(
                f"{type(self.estimator).__name__} predicts {predictions[indices < 0][:3].tolist()}, "
                f"not among its classes_ {self.classes_.tolist()}"
            )
        return indices


def _decides_by_pairs(estimator: Any) -> bool:
    """Whether decision values belong to pairs of classes: of three classes there are as many pairs."""
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return getattr(estimator, "decision_function_shape", "ovr") == "ovo"


class TorchModel(Model):
    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        return self.scores(X).argmax(axis=1)

    def scores(self, X: ArrayLike) -> NDArray[np.float64]:
        import torch

        from skhalfway.models._torch import device_of, dtype_of

        module = self.module
        assert module is not None
        place: dict[str, Any] = {"dtype": dtype_of(module), "device": device_of(module)}
        X = np.asarray(X)
        batches = range(0, len(X), _PREDICTION_BATCH)
        with self.evaluating(), torch.no_grad():
            rows = (torch.tensor(X[i : i + _PREDICTION_BATCH], **place) for i in batches)
            scores = torch.cat([self.logits(x).double().cpu() for x in rows]).numpy()
        if np.isnan(scores).any():
            cause = "nan in X" if np.isnan(X).any() else "overflow in its outputs"
            raise ValueError(f"{type(self.estimator).__name__} gives scores that are nan; look for {cause}")
        if self.classes_ is not None and scores.shape[1] != len(self.classes_):
            raise ValueError(
                f"{type(self.estimator).__name__} has {scores.shape[1]} outputs for "
                f"{len(self.classes_)} classes {self.classes_}"
            )
        return scores

    def n_outputs(self, X: ArrayLike) -> int:
        return self.scores(np.asarray(X)[:1]).shape[1]

    def reading(self, frame: Frame | None) -> Model:
        if frame is not None:
            raise TypeError(
                f"{type(self.estimator).__name__} takes numbers, but X has columns of categories: "
                f"{list(frame.names)}; encode them"
            )
        return self

    def _flat(self, x: Any) -> Any:
        return x


class SkorchModel(Model):
    """A skorch net, or an estimator that ends in one."""

    def __init__(self, estimator: Any, classes: NDArray[Any] | None, net: Any) -> None:
        super().__init__(estimator, classes)
        self._net = net

    def predict(self, X: ArrayLike) -> NDArray[np.intp]:
        return np.asarray(self.estimator.predict(self._arrange(X))).astype(np.intp)

    def _flat(self, x: Any) -> Any:
        # a net alone takes images as they are; what knows its width takes rows
        return x if self.n_features_in_ is None else super()._flat(x)

    def _arrange(self, X: Any) -> Any:
        X = super()._arrange(X)
        return X if self._frame is not None else X.astype(net_dtype(self._net))


class ArtModel(TorchModel):
    def scores(self, X: ArrayLike) -> NDArray[np.float64]:
        with self.evaluating():
            scores = self.estimator.predict(np.asarray(X, dtype=np.float32))
        scores = np.asarray(scores, dtype=float)
        if scores.ndim != 2 or scores.shape[1] != self.n_outputs(X):
            raise ValueError(
                f"{type(self.estimator).__name__} gives scores of shape {scores.shape} for "
                f"{self.n_outputs(X)} classes; one column per class is needed"
            )
        return scores

    def n_outputs(self, X: ArrayLike) -> int:
        return self.estimator.nb_classes

    def _torch_parts(self) -> Iterator[nn.Module]:
        yield from super()._torch_parts()
        if is_torch_module(getattr(self.estimator, "model", None)):
            # ART puts a wrapper of its own around the module and switches its mode
            yield self.estimator._model
