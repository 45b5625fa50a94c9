"""Trees behind steps, and combinations of trees, as one ensemble that takes the samples themselves.

Behind steps that are a non-decreasing function of each column, ``step(x) <= t`` is ``x <= s``. The
threshold s is found by bisection with the steps themselves, so that it is exact to the last digit.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._parallel import pause
from skhalfway.models._model import Model
from skhalfway.models._registry import NotDifferentiableError
from skhalfway.models._tree_arrays import TreeEnsemble
from skhalfway.models._tree_columns import Path, Stem
from skhalfway.models._tree_responses import Ordered, Shares
from skhalfway.models._tree_sums import Boosted, TreeSums, tree_sums

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# multiples of a column's largest number up to which thresholds are searched; smaller ones if steps overflow
_REACHES = (2.0**40, 2.0**20, 2.0**5, 1.0, 0.1)


def trees_of(model: Model, X: NDArray[Any]) -> tuple[TreeEnsemble, NDArray[Any], Bools]:
    """Trees of a classifier, over the columns of X and further ones.

    Parameters
    ----------
    model : Model
        A classifier made of decision trees of one or several kinds, which may be behind steps.
    X : array of shape (n_samples, n_features)
        Samples, of a float type.

    Returns
    -------
    ensemble : TreeEnsemble
        The trees.
    made : array of shape (n_samples, n_made)
        Further columns, which steps make of categories. They must not change.
    held : bool array of shape (n_features,)
        Columns of X that are used as categories anywhere, so that they must not change.

    Raises
    ------
    NotDifferentiableError
        If the classifier, or a part or a step of it, is not supported.
    """
    sums = tree_sums(model.estimator, X.shape[1])
    if model._order is not None:
        sums = replace(sums, response=Ordered(sums.response, model._order))
    (path, ensemble), *more = sums.parts
    if not more and not path.stem.steps:
        alone = replace(_picked(path, ensemble), response=sums.response)
        return alone, X[:, :0], np.isin(np.arange(X.shape[1]), list(alone.categories))
    with np.errstate(all="ignore"):
        return _joined(model, X, sums)


def joined_shares(estimator: Any) -> TreeEnsemble | None:
    """Trees of voting, bagging and boosting that add up leaf by leaf and take X itself; None for others.

    Their sums are shares; for AdaBoost, shares of its members' votes.
    """
    # a pipeline that begins with an empty step has no number of features
    n_features = getattr(estimator, "n_features_in_", None)
    if n_features is None:
        return None
    try:
        sums = tree_sums(estimator, n_features)
    except NotDifferentiableError:
        return None
    shares = sums.response.votes if isinstance(sums.response, Boosted) else sums.response
    parts = [ensemble for _, ensemble in sums.parts]
    alike = {(ensemble.dtype, str(ensemble.missing), len(ensemble.categories)) for ensemble in parts}
    if (
        not isinstance(shares, Shares)
        or len(alike) > 1
        or parts[0].categories
        or any(path.stem.steps for path, _ in sums.parts)
        or any((ensemble.value[ensemble.feature < 0] < 0).any() for ensemble in parts)
    ):
        return None
    return replace(_concatenated([_picked(*part) for part in sums.parts]), response=shares)


def _picked(path: Path, ensemble: TreeEnsemble) -> TreeEnsemble:
    """Trees over the columns of their stem."""
    feature = np.where(ensemble.feature < 0, -1, path.pick[ensemble.feature])
    categories = {int(path.pick[f]): known for f, known in ensemble.categories.items()}
    return replace(ensemble, feature=feature, categories=categories)


def _joined(model: Model, X: NDArray[Any], sums: TreeSums) -> tuple[TreeEnsemble, NDArray[Any], Bools]:
    """All parts as one ensemble; parts behind the same steps, in the same float type, are read together."""
    groups: dict[tuple[int, type], list[TreeEnsemble]] = {}
    stems = {id(path.stem): path.stem for path, _ in sums.parts}
    frame, missing = model._frame, np.full(X.shape[1], np.nan)
    held = np.zeros(X.shape[1], dtype=bool) if frame is None else frame.categories.copy()
    for path, ensemble in sums.parts:
        columns, ensemble = path.stem.columns, _picked(path, ensemble)
        # a column that any step uses as categories must not change
        held[columns.source[columns.held]] = True
        held[columns.source[list(ensemble.categories)]] = True
        named = ~np.isnan(columns.missing)
        missing[columns.source[named]] = columns.missing[named]
        groups.setdefault((id(path.stem), ensemble.dtype), []).append(ensemble)
    made: list[NDArray[Any]] = []
    moved = []
    for (stem, _), ensembles in groups.items():
        view = _View(model, X, stems[stem], held, missing)
        trees = _concatenated([view.coded(ensemble, made) for ensemble in ensembles])
        moved.append(view.moved(trees, made))
    return (
        replace(
            _concatenated(moved),
            response=sums.response,
            dtype=X.dtype.type,
            missing=np.append(missing, np.full(len(made), np.nan)),
        ),
        np.stack(made, axis=1).astype(X.dtype) if made else X[:, :0],
        held,
    )


class _View:
    """The output of a stem for samples, with columns that are held and numbers that mean missing."""

    def __init__(self, model: Model, X: NDArray[Any], stem: Stem, held: Bools, missing: Any) -> None:
        self.model, self.X, self.stem, self.held, self.missing = model, X, stem, held, missing
        self.outputs = self(X)
        self.source = stem.columns.source
        if self.outputs.shape[1] != len(self.source):
            raise NotDifferentiableError(
                f"steps that make {self.outputs.shape[1]} columns, where {len(self.source)} were expected, "
                "cannot be followed"
            )

    def __call__(self, X: NDArray[Any]) -> NDArray[Any]:
        return self.stem(self.model._arrange(X)) if self.stem.steps else X

    def coded(self, ensemble: TreeEnsemble, made: list[NDArray[Any]]) -> TreeEnsemble:
        """Trees whose splits by category use made columns, which hold columns of ``goes_left``."""
        codes, width = ensemble.codes(self.outputs), ensemble.goes_left.shape[1]
        feature, categories = ensemble.feature.copy(), {}
        for column in ensemble.categories:
            place = self.X.shape[1] + len(made)
            made.append(codes[:, column])
            feature[(ensemble.feature == column) & (ensemble.category_row >= 0)] = place
            categories[place] = np.arange(width, dtype=float)
        return replace(ensemble, feature=feature, categories=categories, category_of="")

    def moved(self, trees: TreeEnsemble, made: list[NDArray[Any]]) -> TreeEnsemble:
        """Trees that split columns of X, or made columns if a column is held."""
        feature, threshold, missing_left = (
            array.copy() for array in (trees.feature, trees.threshold, trees.missing_left)
        )
        nodes = np.flatnonzero((feature >= 0) & (trees.category_row < 0))
        is_held = self.held[self.source[feature[nodes]]]
        for column in np.unique(feature[nodes[is_held]]):
            # made columns are numbered after those of X
            here = nodes[trees.feature[nodes] == column]
            edges, place = np.unique(threshold[here], return_inverse=True)
            # the number of thresholds below a value is exact in any float type
            numbers: NDArray[Any] = self.outputs[:, column].astype(trees.dtype)
            feature[here], threshold[here] = self.X.shape[1] + len(made), place
            made.append(np.where(np.isnan(numbers), np.nan, np.searchsorted(edges, numbers)))
        nodes = nodes[~is_held]
        pairs = np.stack([feature[nodes], threshold[nodes]], axis=1)
        pairs, place = np.unique(pairs, axis=0, return_inverse=True)
        place = place.ravel()  # it has two axes in numpy 2.0
        column = pairs[:, 0].astype(np.intp)
        feature[nodes] = self.source[column][place]
        threshold[nodes] = self._last_left(column, pairs[:, 1], trees.dtype)[place]
        missing_left[nodes] = self._missing_left(
            column[place], trees.threshold[nodes], missing_left[nodes], trees.dtype
        )
        return replace(trees, feature=feature, threshold=threshold, missing_left=missing_left)

    def _missing_left(self, column: Any, threshold: Any, missing_left: Bools, dtype: type) -> Bools:
        """Whether missing values of X go left, if there are any."""
        is_missing = np.isnan(self.X) | (self.missing == self.X)
        source = self.source[column]
        # a step gives all missing values of a column the same value
        value: NDArray[Any] = self.outputs[is_missing.argmax(axis=0)[source], column].astype(dtype)
        goes = np.where(np.isnan(value), missing_left, value <= threshold)
        return np.where(is_missing.any(axis=0)[source], goes, missing_left)

    def _last_left(self, column: Any, threshold: Any, dtype: type) -> NDArray[Any]:
        """The largest number of X that the steps map to at most a threshold."""
        if not len(column):
            return threshold
        source, rank = self.source[column], _rank(self.source[column])
        rows = np.repeat(self.X[:1], rank.max() + 1, axis=0)
        type_ = self.X.dtype.type

        def goes_left(number: NDArray[Any]) -> Bools:
            before = np.nextafter(number, type_(-np.inf))
            rows[rank, source] = np.where(number == self.missing[source], before, number)
            return self(rows)[rank, column].astype(dtype) <= threshold

        least, most = (ends[source] for ends in self._ends())
        never, always = ~goes_left(least), goes_left(most)
        low, high = _order(least), _order(most)
        while (going := high > low + 1).any():
            pause()
            middle = (low & high) + ((low ^ high) >> 1)
            left = goes_left(_number(middle, type_))
            low, high = np.where(going & left, middle, low), np.where(going & ~left, middle, high)
        last = _number(low, type_).astype(float)
        return np.where(never, -np.inf, np.where(always, np.inf, last))

    def _ends(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Ends of the search in each column of X: far apart, but not so large that steps overflow."""
        low, high = np.nanmin(self.X, axis=0, initial=0), np.nanmax(self.X, axis=0, initial=0)
        width = np.maximum(1.0, np.maximum(-low, high).astype(float))
        info = np.finfo(self.X.dtype)
        limits = float(info.min) / 4, float(info.max) / 4

        def ends(columns: Any, reach: float) -> tuple[NDArray[Any], NDArray[Any]]:
            away = reach * width[columns]
            bounds = (low[columns] - away, high[columns] + away)
            least, most = (bound.clip(*limits).astype(self.X.dtype) for bound in bounds)
            return least, most

        def fit(columns: Any, reach: float) -> bool:
            rows = np.repeat(self.X[:1], 2, axis=0)
            rows[:, columns] = ends(columns, reach)
            try:
                self(rows)
            except ValueError:
                return False
            return True

        free = np.flatnonzero(~self.held)
        least, most = ends(np.arange(len(width)), _REACHES[0])
        if not fit(free, _REACHES[0]):
            for column in free:
                reach = next((reach for reach in _REACHES if fit([column], reach)), 0.0)
                least[column], most[column] = (end[0] for end in ends([column], reach))
        return least, most


def _rank(values: Any) -> Any:
    """Number of equal values before each value."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    rank = np.empty(len(values), dtype=np.intp)
    rank[order] = np.arange(len(values)) - np.searchsorted(ordered, ordered)
    return rank


def _order(numbers: NDArray[Any]) -> Ints:
    """Whole numbers in the order of floats: neighbouring floats differ by one."""
    size = numbers.dtype.itemsize
    bits = numbers.view(f"i{size}").astype(np.int64)
    return np.where(bits < 0, -(bits & np.iinfo(f"i{size}").max), bits)


def _number(order: Ints, type_: Any) -> NDArray[Any]:
    """The floats for numbers of :func:`_order`."""
    size = np.dtype(type_).itemsize
    return np.copysign(np.abs(order).astype(f"i{size}").view(type_), order.astype(float)).astype(type_)


def _concatenated(ensembles: list[TreeEnsemble]) -> TreeEnsemble:
    """All trees of several ensembles, with their sums added."""
    first = np.cumsum([0, *(len(ensemble.feature) for ensemble in ensembles)])
    line = np.cumsum([0, *(len(ensemble.goes_left) for ensemble in ensembles)])
    width = max(ensemble.goes_left.shape[1] for ensemble in ensembles)

    def chain(name: str, start: Any = None) -> NDArray[Any]:
        arrays = [getattr(ensemble, name) for ensemble in ensembles]
        if start is not None:
            # -1 means no node or row, and stays
            arrays = [np.where(array < 0, -1, array + s) for array, s in zip(arrays, start, strict=False)]
        return np.concatenate(arrays)

    goes_left = [np.pad(e.goes_left, [(0, 0), (0, width - e.goes_left.shape[1])]) for e in ensembles]
    return replace(
        ensembles[0],
        feature=chain("feature"),
        threshold=chain("threshold"),
        missing_left=chain("missing_left"),
        left=chain("left", first),
        right=chain("right", first),
        value=chain("value"),
        roots=chain("roots", first),
        baseline=np.sum([ensemble.baseline for ensemble in ensembles], axis=0),
        strict=any(ensemble.strict for ensemble in ensembles),
        categories={f: known for ensemble in ensembles for f, known in ensemble.categories.items()},
        category_row=chain("category_row", line),
        goes_left=np.concatenate(goes_left),
    )
