"""Model: the common interface of all classifiers."""

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
from skhalfway.models._predictions import checked_scores, decides_by_pairs, indices_of
from skhalfway.models._registry import NotDifferentiableError, to_module
from skhalfway.models._type_checks import may_hold_skorch_nets

if TYPE_CHECKING:
    import torch
    from torch import nn


class Model:
    """A fitted classifier with predictions as class indices and, if there is one, a gradient.

    Models are made by :func:`as_model`. A Model never fits, changes or copies the estimator.

    Parameters
    ----------
    estimator : object
        The fitted classifier.
    classes : ndarray of shape (n_classes,) or None
        Labels in the order of the class indices.

    Attributes
    ----------
    estimator : object
        The classifier itself.
    classes_ : ndarray of shape (n_classes,) or None
        Labels in the order of the class indices. None for a torch module that does not have any: its labels
        are its column numbers.
    n_features_in_ : int or None
        Number of features of the input, if the estimator has it.
    name : str or None
        Name of the model in messages, if its owner gave one.
    in_torch : bool
        Whether the estimator itself computes in torch, so that ``torch.autocast`` applies to it.

    See Also
    --------
    as_model : Makes a Model.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from skhalfway.models import as_model
    >>> X, y = load_iris(return_X_y=True)
    >>> model = as_model(SVC().fit(X, y))
    >>> model.has_gradient, model.smoothed, model.n_outputs(X)
    (True, False, 3)
    >>> model.device, model.why_black_box
    (device(type='cpu'), '')
    """

    in_torch = False

    def __init__(self, estimator: Any, classes: NDArray[Any] | None) -> None:
        self.estimator = estimator
        self.classes_ = classes
        self.n_features_in_: int | None = getattr(estimator, "n_features_in_", None)
        self.name: str | None = None
        self._frame: Frame | None = None
        self._names: dict[int, Any] = {}  # names of the columns, by the number of columns
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
            If the number of features is wrong, or a prediction is not in ``classes_``.

        Examples
        --------
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skhalfway.models import as_model
        >>> model = as_model(GaussianNB().fit([[0.0], [1.0], [4.0], [5.0]], ["low", "low", "high", "high"]))
        >>> model.classes_[model.predict([[0.5], [4.5]])].tolist()
        ['low', 'high']
        """
        pause()
        predicted = self._predict(X)
        return predicted if self._order is None else np.argsort(self._order)[predicted]

    def scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute scores: probabilities if the estimator has them, else decision values, else votes.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        scores : ndarray of shape (n_samples, n_classes)
            Scores for attacks that query them. A vote is 1 for the predicted class and 0 for the others. The
            class of the largest score is the prediction, if the estimator itself is consistent. Infinite
            scores become 1e300, so that differences between them are defined.

        Raises
        ------
        ValueError
            If there is not one score for each sample and class, or one is nan.

        Examples
        --------
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skhalfway.models import as_model
        >>> model = as_model(GaussianNB().fit([[0.0], [1.0], [4.0], [5.0]], [0, 0, 1, 1]))
        >>> model.scores([[0.5], [2.5], [4.5]]).round(2).tolist()
        [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]
        """
        pause()
        scores = checked_scores(self._scores(X), X, self._told)
        return scores if self._order is None else scores[:, self._order]

    def _predict(self, X: Any) -> NDArray[np.intp]:
        return self._indices(self._called.predict(self._arrange(X)), len(X))

    def _scores(self, X: Any) -> NDArray[np.float64]:
        if hasattr(self.estimator, "predict_proba"):
            return np.asarray(self._called.predict_proba(self._arrange(X)), dtype=float)
        n_classes = self.n_outputs(X)
        if hasattr(self.estimator, "decision_function") and not decides_by_pairs(self.estimator):
            values = np.asarray(self._called.decision_function(self._arrange(X)), dtype=float)
            if values.ndim == 1 and n_classes == 2:
                return np.stack([-values, values], axis=1)
            if values.ndim == 2 and values.shape[1] == n_classes:
                return values
        return np.eye(n_classes)[self._predict(X)]

    @cached_property
    def _called(self) -> Any:
        """The estimator, or a twin with views of its modules, which any number of threads may use."""
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
        """Count the classes; a torch module without labels is called on ``X``'s first row for that."""
        assert self.classes_ is not None
        return len(self.classes_)

    @property
    def has_gradient(self) -> bool:
        """Whether there is a :attr:`module`, and with it a gradient."""
        return self.module is not None

    @cached_property
    def smoothed(self) -> bool:
        """Whether :attr:`module` smooths step functions of the estimator, in its outputs or its gradient."""
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
        """Differentiable torch module that returns the estimator's logits, or None.

        For a torch module, this is a view in evaluation mode. It shares the weights, and leaves no gradient
        on them.
        """
        return self._conversion[0]

    @property
    def why_black_box(self) -> str:
        """Why there is no gradient; empty if there is one."""
        return self._conversion[1]

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Compute differentiable logits of a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, ...)
            Samples, in the module's own float type and on its device.

        Returns
        -------
        logits : Tensor of shape (n_samples, n_classes)
            A single column z, the logit of the second class, becomes (0, z).

        Raises
        ------
        NotDifferentiableError
            If the classifier is a black box.

        Examples
        --------
        >>> import torch
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skhalfway.models import as_model
        >>> model = as_model(GaussianNB().fit([[0.0], [1.0], [4.0], [5.0]], [0, 0, 1, 1]))
        >>> x = torch.tensor([[2.5]], dtype=torch.float64, requires_grad=True)
        >>> low, high = model.logits(x)[0]
        >>> (slope,) = torch.autograd.grad(high - low, x)
        >>> round(slope.item(), 2)                         # the gradient points to the second class
        16.0
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
        """Return a Model whose class indices are positions in ``classes``, its own labels in another order.

        Parameters
        ----------
        classes : ndarray of shape (n_classes,) or None
            The model's labels, in any order. None keeps the order.

        Returns
        -------
        model : Model
            This object if the order is the same.

        Raises
        ------
        ValueError
            If the labels are not those of the model.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skhalfway.models import as_model
        >>> model = as_model(GaussianNB().fit([[0.0], [1.0], [4.0], [5.0]], ["low", "low", "high", "high"]))
        >>> model.predict([[0.5]]), model.in_order(np.array(["low", "high"])).predict([[0.5]])
        (array([1]), array([0]))
        """
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
        """Return a Model that takes the codes of a DataFrame's categories; this object if there are none."""
        if frame is None:
            return self
        reader = copy(self)
        reader._frame = frame
        return reader

    @property
    def device(self) -> torch.device:
        """Device of the module; the CPU if there is none."""
        import torch

        from skhalfway.models._torch import device_of

        return torch.device("cpu") if self.module is None else device_of(self.module)

    def on(self, device: str | torch.device | None) -> Model:
        """Return a Model whose module is on ``device``: this object, or one with a copy of the module.

        Parameters
        ----------
        device : str, torch.device or None
            The device. None keeps the current one.

        Returns
        -------
        model : Model
            This object if nothing has to move.

        Examples
        --------
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skhalfway.models import as_model
        >>> model = as_model(GaussianNB().fit([[0.0], [1.0], [4.0], [5.0]], [0, 0, 1, 1]))
        >>> model.on("cpu") is model
        True
        """
        if device is None or self.module is None:
            return self
        import torch

        device = torch.empty(0, device=device).device  # "cuda" becomes "cuda:0"
        if self.device == device:
            return self
        moved = copy(self)
        moved.__dict__["_conversion"] = deepcopy(self.module).to(device), ""
        return moved

    def apart(self) -> Model:
        """Return a Model with a module of its own, so that hooks on it do not affect other users."""
        other = copy(self)
        other.__dict__.pop("_conversion", None)
        return other

    def evaluating(self) -> AbstractContextManager[None]:
        """Context in which to use the module: in evaluation mode, and with gradients enabled."""
        if self.module is None:
            return nullcontext()
        from skhalfway.models._torch import in_use

        return in_use(self.module, self._renewed)

    def _renewed(self) -> None:
        """Reset what was derived from the estimator, after its owner changed it."""

    def _flat(self, x: Any) -> Any:
        # scikit-learn's estimators take rows, so images are flattened
        return x if x.ndim == 2 else x.reshape(len(x), -1)

    def _arrange(self, X: Any) -> Any:
        """X as the estimator takes it: rows, with the column names that it was fitted with."""
        X = without_polars(X)
        # a copy, since an estimator may write into its input; attacks, too, keep tables with categories
        if hasattr(X, "columns") and (self._column_names(X.shape[1]) is not None or self._unsaid(X)):
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

    def _unsaid(self, X: Any) -> bool:
        return self.n_features_in_ is None and Frame.of(X) is not None

    def _column_names(self, n_columns: int) -> Any:
        if n_columns not in self._names:
            self._names[n_columns] = column_names(self.estimator, n_columns)
        return self._names[n_columns]

    def _indices(self, predictions: Any, n_samples: int) -> NDArray[np.intp]:
        assert self.classes_ is not None
        classes = self.classes_ if self._order is None else self.classes_[np.argsort(self._order)]
        return indices_of(predictions, n_samples, classes, self._told)
