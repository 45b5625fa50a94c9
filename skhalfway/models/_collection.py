"""ModelCollection: the models of a scorer or ensemble, their names, what they share, and their errors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from functools import partial
from typing import Any, ClassVar

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from sklearn.utils.metaestimators import _BaseComposition

from skhalfway._callbacks import CallbackSupport, fit_tasks
from skhalfway._inputs import Frame, read_targets, same_columns
from skhalfway._parallel import side_by_side
from skhalfway._text import shown
from skhalfway.models._as_model import as_model, check_kind, fit_clone, seen_as
from skhalfway.models._columns import column_names
from skhalfway.models._faults import answers, explained, named
from skhalfway.models._fitted_columns import check_kinds
from skhalfway.models._model import Model
from skhalfway.models._routing import FitRouter
from skhalfway.models._same_classes import common_classes


class ModelCollection(CallbackSupport, FitRouter, _BaseComposition):
    """Base of scorers of several models, whose parameter ``estimators`` decides what ``fit`` takes.

    Subclasses have the parameters ``estimators`` and ``n_jobs``.
    """

    estimators: list[tuple[str, Any]] | None
    n_jobs: int | None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get parameters, including those of ``estimators``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of ``estimators``, such as ``svm__C``.

        Returns
        -------
        params : dict
            Values by name.

        Examples
        --------
        >>> from sklearn.svm import SVC
        >>> from skhalfway import Ensemble
        >>> Ensemble([("svm", SVC(C=2.0)), ("other", SVC())]).get_params()["svm__C"]
        2.0
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> Any:
        """Set parameters, including those of ``estimators``, such as ``svm__C``.

        Parameters
        ----------
        **params : dict
            Values by name.

        Returns
        -------
        self : object
            This object.

        Examples
        --------
        >>> from sklearn.svm import SVC
        >>> from skhalfway import TransferScorer
        >>> scorer = TransferScorer(estimators=[("svm", SVC()), ("other", SVC())])
        >>> scorer.set_params(svm__C=2.0).estimators[0]
        ('svm', SVC(C=2.0))
        """
        self._set_params("estimators", **params)
        return self

    # begin and end of messages about invalid models
    _takes: ClassVar[tuple[str, str]] = (
        "with estimators=None fit takes fitted models",
        ". To fit on data pass estimators=[...]",
    )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "models_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.estimators is not None
        return tags

    def _read(self, X: Any, *, reset: bool) -> NDArray[Any]:
        """Check samples against the number and the names of features that are kept on this object."""
        raise NotImplementedError

    def _fitted_by_name(self) -> dict[str, Any]:
        return dict(self.estimators or [])

    def _fit_models(self, X: Any, y: Any, metadata: Mapping[str, Any]) -> NDArray[Any] | None:
        """Store fitted models, or fit clones on data and return the data; keep what the models share."""
        array = None
        if self.estimators is None:
            self._routed("fit", metadata)
            if y is not None:
                raise ValueError(
                    "with estimators=None fit takes fitted models and no y; "
                    "to fit on data pass estimators=[(name, estimator), ...]"
                )
            models = named_models(X, *self._takes)
        else:
            self._check_estimators()
            params = self._routed("fit", metadata)
            if y is None:
                given = isinstance(X, Mapping) or (isinstance(X, (list, tuple)) and any(map(_predicts, X)))
                remedy = "; estimators is given, so fit takes data: to compare fitted models leave it None"
                raise ValueError(
                    f"This {type(self).__name__} estimator requires y to be passed, but the target y is None"
                    f"{remedy if given else ''}"
                )
            array = self._read(X, reset=True)
            read_targets(y, len(array))
            data = X if hasattr(X, "columns") else array
            names = [name for name, _ in self.estimators]
            with fit_tasks(self, names, X, y) as tasks:
                fits = (
                    delayed(named)(name, partial(fit_clone, **params[name]), model, data, y, task)
                    for (name, model), task in zip(self.estimators, tasks, strict=True)
                )
                models = dict(zip(names, self._parallel(fits, len(names), "fit"), strict=True))
        seen = {name: named(name, as_model, model) for name, model in models.items()}
        classes = common_classes(seen)
        if self.estimators is None:
            self._take_width(seen)
        self.classes_ = classes
        self.models_ = models
        return array

    def _seen(self, frame: Frame | None) -> dict[str, Model]:
        """The fitted models as :class:`Model`, which read a DataFrame's categories."""
        models = {}
        for name, model in self.models_.items():
            seen = copy(named(name, seen_as, model, self.classes_))
            seen.name = name
            models[name] = named(name, seen.reading, frame)
        return models

    def _read_for_models(
        self, X: Any, array: NDArray[Any] | None = None
    ) -> tuple[dict[str, Model], NDArray[Any], NDArray[Any]]:
        """The models for X's categories, the samples, and the labels of class indices, checked together.

        ``array`` holds the samples if they were read before.
        """
        array = self._read(X, reset=False) if array is None else array
        for name, model in self.models_.items():
            named(name, check_kinds, model, X)
        models = self._seen(Frame.of(X))
        return models, array, self._known_classes(models, array)

    def _known_classes(self, models: Mapping[str, Model], X: NDArray[Any]) -> NDArray[Any]:
        """Labels of the class indices; torch modules without labels are called on ``X`` to count them."""
        if self.classes_ is not None:
            return self.classes_
        widths = {name: named(name, explained, X, model.n_outputs, X) for name, model in models.items()}
        if len(set(widths.values())) > 1:
            raise ValueError(
                f"the models have different numbers of outputs: {shown(widths)}; fit them on the same labels"
            )
        return np.arange(next(iter(widths.values())))

    def _check_estimators(self) -> None:
        estimators = self.estimators
        if not isinstance(estimators, (list, tuple)) or not all(is_pair(item) for item in estimators):
            raise TypeError(f"estimators must be a list of (name, estimator), got {shown(estimators)}")
        check_number(len(estimators))
        names = [name for name, _ in estimators]
        self._validate_names(names)
        for name, estimator in estimators:
            named(name, check_kind, estimator)

    def _take_width(self, models: Mapping[str, Model]) -> None:
        """Keep the number and the names of features, on which the models must agree."""
        widths = {name: model.n_features_in_ for name, model in models.items() if model.n_features_in_}
        if len(set(widths.values())) > 1:
            raise ValueError(
                f"the models take different numbers of features: {shown(widths)}; fit them on the same data"
            )
        for attribute in ("n_features_in_", "feature_names_in_"):
            self.__dict__.pop(attribute, None)
        if not widths:
            return
        self.n_features_in_ = next(iter(widths.values()))
        lists = {
            name: list(names)
            for name, model in models.items()
            if (names := column_names(model.estimator)) is not None
        }
        if not lists:
            return
        # take the names with the most blanks, since LightGBM replaces blanks by underscores
        first, names = max(lists.items(), key=lambda item: sum(" " in str(name) for name in item[1]))
        for other, theirs in lists.items():
            if not same_columns(names, theirs):
                raise ValueError(
                    f"the models were fitted with different columns: {shown(first)} with {shown(names)}, "
                    f"{shown(other)} with {shown(theirs)}; fit them on the same columns"
                )
        self.feature_names_in_ = np.asarray(names, dtype=object)

    def _parallel(
        self,
        jobs: Iterable[Any],
        n: int,
        what: str,
        *,
        unit: str = "model",
        quiet: bool = False,
        **options: Any,
    ) -> Iterator[Any]:
        verbose = 0 if quiet else getattr(self, "verbose", 0)
        return side_by_side(jobs, n, n_jobs=self.n_jobs, verbose=verbose, what=what, unit=unit, **options)


def is_pair(item: Any) -> bool:
    return isinstance(item, (tuple, list)) and len(item) == 2 and isinstance(item[0], str)


def check_number(n: int) -> None:
    if n < 2:
        raise ValueError(f"models are compared: at least 2 are needed, got {n}")


def named_models(models: Any, must: str, otherwise: str) -> dict[str, Any]:
    """Read names and fitted models, in any form that a scorer's ``fit`` takes.

    ``must`` is how messages about other forms begin, and ``otherwise`` is what else the user may have meant.
    """
    wanted = f"{must}: a mapping of names to models, a sequence of (name, model), or a sequence of models"
    if isinstance(models, Mapping):
        pairs = list(models.items())
        if not all(isinstance(name, str) for name, _ in pairs):
            raise TypeError(f"{wanted}; names must be strings, got {shown(list(models))}")
    elif not isinstance(models, (list, tuple)):
        alone = " alone, and models are compared: at least 2 are needed" if _predicts(models) else ""
        raise TypeError(f"{wanted}; got {type(models).__name__}{alone}{otherwise}")
    elif all(is_pair(item) for item in models):
        pairs = [(name, model) for name, model in models]
    else:
        pairs = _named_after_types(models)
    check_number(len(pairs))
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"names must be unique, got {shown(names)}")
    return dict(pairs)


def _predicts(model: Any) -> bool:
    return hasattr(model[1] if is_pair(model) else model, "predict")


def _named_after_types(models: Iterable[Any]) -> list[tuple[str, Any]]:
    """Lower-case type names, numbered if they repeat, as in ``make_pipeline``."""
    from sklearn.pipeline import _name_estimators

    models = list(models)
    classes = [model.__name__ for model in models if isinstance(model, type)]
    if classes:
        raise TypeError(
            f"models must be instances, got the class {classes[0]}; pass {classes[0]}(...), fitted"
        )
    return _name_estimators(models)


def predictions(models: Mapping[str, Model], X: NDArray[Any]) -> NDArray[np.intp]:
    """Class indices that the models predict, of shape (n_models, n_samples)."""
    return np.stack([named(name, answers, model, X) for name, model in models.items()])
