"""Columns that tell the label, or the deployed model's answers, although no attack changes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_selection import f_classif
from sklearn.utils import _safe_indexing

from skhalfway._inputs import Frame, coded, fingerprints, positions
from skhalfway._polars import without_polars
from skhalfway.models._number_codes import with_columns
from skhalfway.report._gaps import Crossing, crossing
from skhalfway.report._inspected import TellingColumn
from skhalfway.report._rules import ByText, ByValue, informed, scaled, tree

if TYPE_CHECKING:
    from skhalfway.report._reached import Reached
    from skhalfway.report._setting import Setting

MOST_ROWS, MOST_COLUMNS = 5_000, 100  # that rules are learnt on, and of numbers that are tried
FEWEST = 20  # with fewer samples, no rule is learnt
FEW_VALUES = 20  # a column of numbers with at most so many values is taken for steps
# scaled accuracies (0: guessing, 1: always right) at which a column tells too much
LABEL, OF_DEPLOYED = 0.5, 0.9  # of labels: at least both this, and this share of the deployed model's
ANSWERS = 0.8  # of the deployed model's answers
APART = 0.95  # of a column that attacks move freely, but less than the classes lie apart
TURNED = 0.05  # share of samples on which the budget turns the rule of such a column, at most
# shares of the answers that depend on columns, of those that could: on all of them, and on one that is named
RELIED, NAMED = 0.3, 0.1
MOST_NEEDED, AS_GOOD = 20, 0.01  # columns of a group that are tried without, and accuracy that may be lost
ABOUT = 0.95  # share of what all columns change that those named must change
BEYOND = 3  # times as many answers change across the gaps of a column as within the budget
MOSTLY = 0.5  # share from which on columns decide most answers, if all others change fewer


class _Column(NamedTuple):
    """A column that tells, with its scaled accuracy on labels and on answers."""

    k: int
    held: str
    label: float
    answers: float


class _Known(NamedTuple):
    """What rules are learnt from: all columns as numbers, with labels, and with answers.

    ``deployed`` and ``accuracy`` are those of the deployed model, averaged over the classes, scaled and not.
    ``texts`` are the texts behind the codes of columns in which most texts differ.
    """

    rows: NDArray[np.float64]
    y: NDArray[np.intp]
    X: NDArray[np.float64]
    answers: NDArray[np.intp] | None
    deployed: float
    accuracy: float
    seed: int
    texts: dict[int, dict[float, str]]

    @property
    def missing(self) -> _Known:
        """The same with 1 for each missing value, and 0 for all others."""
        return self._replace(rows=np.isnan(self.rows).astype(float), X=np.isnan(self.X).astype(float))

    def tells(self, make: Any, columns: Sequence[int]) -> tuple[float, float]:
        """Scaled accuracy of a rule on some columns, for labels and for answers."""
        label = informed(make, self.rows[:, columns], self.y, self.seed)
        if self.answers is None:
            return label, 0.0
        return label, informed(make, self.X[:, columns], self.answers, self.seed)

    def enough(self, label: float, answers: float, *, apart: bool = False) -> bool:
        """Whether these are accuracies of a column that tells too much."""
        if apart:
            return label >= APART
        return label >= max(LABEL, OF_DEPLOYED * self.deployed) or answers >= ANSWERS


def telling_columns(setting: Setting, space: Reached) -> tuple[TellingColumn, ...]:
    """Columns that tell too much, which the deployed model relies on and no attack changes."""
    answers = setting.answers(setting.deployed, setting.X)
    known = _known(setting, answers)
    if known is None:
        return ()
    singles, held = [], []
    for k in _candidates(known, space):
        found = _alone(known, space, k)
        if found is not None and known.enough(found.label, found.answers, apart=found.held == "apart"):
            singles.append([found])
        elif found is not None and found.held not in ("apart", "immutable") and _counts(known, found):
            held.append(found)
    groups = singles
    if not any(one.held != "immutable" for (one,) in singles) and len(held) > 1:
        together = known.tells(partial(tree, len(setting.classes), leaves=64), [one.k for one in held])
        if known.enough(*together):
            groups = [*singles, [one._replace(label=together[0], answers=together[1]) for one in held]]
    groups += _missing_together(known, space, singles)
    kept = [_needed(known, group) for group in _relied_on(setting, groups, answers)]
    told = [_told(space.names, known, group) for group in kept]
    if any(not one.declared for one in told):
        return tuple(told)
    crossings = _crossings(setting, space, known)
    told = told or _deciding(setting, space, known, answers, crossings)
    if all(one.declared for one in told):
        told += _across(setting, space, answers, crossings)
    return tuple(told)


def _known(setting: Setting, said: NDArray[Any]) -> _Known | None:
    """Labelled samples and those of the reference that are not among them; None if there are too few."""
    X, place = coded_table(setting.X), positions(setting.y, setting.classes)
    y, rows = place, X
    if setting.reference is not None and setting.reference_labels is not None:
        take = np.random.RandomState(setting.seed).permutation(len(setting.reference_labels))[:MOST_ROWS]
        more = coded_table(_safe_indexing(reference_of(setting), take))
        labels = positions(setting.reference_labels[take], setting.classes)
        new = ~np.isin(fingerprints(more), fingerprints(X)) & (labels >= 0)
        rows, y = np.vstack([X, more[new]]), np.concatenate([place, labels[new]])
    rows, y = _common(rows, y)
    if len(y) < FEWEST or y.max() < 1:
        return None
    answered, codes = _common(X, positions(said, setting.classes))
    varied = len(codes) >= FEWEST and codes.max() > 0
    deployed, n = scaled(said, setting.y), len(np.unique(setting.y))
    accuracy = (1 + deployed * (n - 1)) / n
    codes_known = codes if varied else None
    texts = _texts(setting, rows)
    return _Known(rows, y, answered if varied else X, codes_known, deployed, accuracy, setting.seed, texts)


def _texts(setting: Setting, rows: NDArray[np.float64]) -> dict[int, dict[float, str]]:
    """The text behind each code, for columns of categories of which most are rare."""
    frame = Frame.of(setting.X)
    found: dict[int, dict[float, str]] = {}
    for k in np.flatnonzero(False if frame is None else frame.categories).tolist():
        if len(np.unique(rows[:, k])) <= len(rows) // 3:
            continue
        found[k] = {}
        for table in (setting.X, None if setting.reference is None else reference_of(setting)):
            if table is not None:
                codes, _, values = coded(without_polars(table).iloc[:, k])
                found[k] |= {code: str(text) for code, text in zip(codes.tolist(), values, strict=True)}
    return found


def _common(X: NDArray[np.float64], y: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The samples of classes with at least two of them, numbered from 0 on."""
    kept = np.bincount(y)[y] > 1
    return X[kept], np.unique(y[kept], return_inverse=True)[1]


def reference_of(setting: Setting) -> Any:
    """The reference, with its columns in the order of those of the samples."""
    reference = setting.reference
    named = hasattr(reference, "columns") and hasattr(setting.X, "columns")
    return reference[list(setting.X.columns)] if named else reference


def coded_table(X: Any) -> NDArray[np.float64]:
    """A table as numbers (n_samples, n_columns); equal categories have equal codes, in any table."""
    if not hasattr(X, "columns"):
        return np.asarray(X, dtype=float).reshape(len(X), -1)
    frame = Frame.of(X)
    table = X if frame is None else frame.numbers(X)
    array = np.empty(X.shape)
    for k in range(X.shape[1]):
        array[:, k] = table.iloc[:, k].to_numpy(dtype=float, na_value=np.nan)
    return array


def _candidates(known: _Known, space: Reached) -> list[int]:
    """Numbers of the columns that are tried: all categories, and the most telling columns of numbers."""
    columns = np.arange(len(space.names))
    if len(columns) <= MOST_COLUMNS:
        return columns.tolist()
    numeric = columns[~space.categories]
    filled = np.nan_to_num(known.rows[:, numeric])
    with np.errstate(all="ignore"):
        differs = np.nan_to_num(f_classif(filled, known.y)[0], posinf=np.inf)
    best = numeric[np.argsort(-differs, kind="stable")[:MOST_COLUMNS]]
    return sorted({*columns[space.categories].tolist(), *best.tolist()})


def _held(space: Reached, k: int) -> str:
    """Reason why no attack moves a column; "" if attacks move it."""
    reasons = {
        "immutable": space.immutable[k],
        "category": space.categories[k],
        "constant": space.reach[k] == 0,
        "codes": space.codes[k],
        "step": space.integer[k] and space.reach[k] < 1,
        "barely": space.barely[k],
    }
    return next((reason for reason, applies in reasons.items() if applies), "")


def _alone(known: _Known, space: Reached, k: int) -> _Column | None:
    """What a column tells alone, and why no attack changes it; None if attacks change it."""
    x = known.rows[:, k]
    values = np.unique(x)
    if len(values) < 2:
        return None
    n_classes = int(known.y.max()) + 1
    few = bool(space.categories[k]) or len(values) <= min(max(FEW_VALUES, n_classes), len(x) // 3)
    make: Any = ByValue if few else partial(tree, n_classes)
    held = _held(space, k)
    if held:
        rules = [make]
        if held in ("step", "codes"):  # of many values, each may have its own class
            rules.append(ByValue)
        if k in known.texts:
            rules.append(partial(ByText, known.texts[k]))
        label, said = zip(*(known.tells(rule, [k]) for rule in rules), strict=True)
        return _Column(k, held, max(label), max(said))
    if np.isnan(x).any():
        tells = known.missing.tells(ByValue, [k])
        if known.enough(*tells):
            return _Column(k, "missing", *tells)
    rule = make().fit(x[:, None], known.y)
    if few:
        steps = values[~np.isnan(values)]
        differ = np.diff(rule.predict(steps[:, None])) != 0
        if differ.any() and np.diff(steps)[differ].min() > space.reach[k]:
            return _Column(k, "step", *known.tells(make, [k]))
        return None
    if scaled(rule.predict(x[:, None]), known.y) < APART:  # even on the samples that it was learnt from
        return None
    own = known.X[:, k]
    said = rule.predict(own[:, None])
    moved = [rule.predict((own + part * space.reach[k])[:, None]) != said for part in (-1, -0.5, 0.5, 1)]
    if np.any(moved, axis=0).mean() < TURNED:
        return _Column(k, "apart", informed(make, known.rows[:, [k]], known.y, known.seed), 0.0)
    return None


def _missing_together(known: _Known, space: Reached, singles: list[list[_Column]]) -> list[list[_Column]]:
    """Columns that tell together by which of their values are missing, unless one of them tells alone."""
    told = {one.k for (one,) in singles}
    some = np.isnan(known.rows).any(axis=0) & ~np.isnan(known.rows).all(axis=0) & ~space.immutable
    columns = [k for k in np.flatnonzero(some).tolist() if k not in told]
    if len(columns) < 2 or told & set(np.flatnonzero(some).tolist()):
        return []
    tells = known.missing.tells(partial(tree, int(known.y.max()) + 1, leaves=64), columns)
    return [[_Column(k, "missing", *tells) for k in columns]] if known.enough(*tells) else []


def _counts(known: _Known, found: _Column) -> bool:
    """Whether a column may tell together with others: of numbers, only with two values."""
    return found.held != "step" or len(np.unique(known.rows[:, found.k])) == 2


def _relied_on(setting: Setting, groups: list[list[_Column]], answers: NDArray[Any]) -> list[list[_Column]]:
    """Columns on which the deployed model relies: its answers change as their values change places."""
    if not groups:
        return []
    order = _order(setting)
    could = max(float((answers != answers[order]).mean()), 1 / len(answers))

    def share(columns: list[_Column]) -> float:
        return _changed(setting, answers, [one.k for one in columns]) / could

    if share(list({one.k: one for group in groups for one in group}.values())) < RELIED:
        return []
    kept = []
    for group in groups:
        if len(group) == 1:
            kept += [group] if len(groups) == 1 or share(group) > 0 else []
        else:
            named = [one for one in group if share([one]) > NAMED]
            kept.append(named if len(named) > 1 else group)
    return kept or groups  # copies of one column may replace each other; then none alone is relied on


def _crossings(setting: Setting, space: Reached, known: _Known) -> dict[int, Crossing]:
    """The columns that have gaps, where crossing these changes far more answers than the budget does."""
    predict, found = partial(setting.answers, setting.deployed), {}
    for k in np.flatnonzero(space.free & ~space.codes & (space.reach > 0)).tolist()[:MOST_COLUMNS]:
        one = crossing(
            predict, setting.X, space.X[:, k], known.rows[:, k], k, float(space.reach[k]), setting.seed
        )
        if one is not None and one.across > BEYOND * one.within:
            found[k] = one
    return found


def _across(
    setting: Setting, space: Reached, answers: NDArray[Any], crossings: dict[int, Crossing]
) -> list[TellingColumn]:
    """Columns of which each decides many answers, but only across gaps that are wider than the budget."""
    differ = float((answers != answers[_order(setting)]).mean())
    return [
        TellingColumn((space.names[k],), "crosses", one.across, one.within, differ, "gap")
        for k, one in crossings.items()
        if one.across >= RELIED
    ]


def _needed(known: _Known, group: list[_Column]) -> list[_Column]:
    """The columns of a group without those that its rule does as well without."""
    if not 2 < len(group) <= MOST_NEEDED:
        return group
    of_label, make = known.enough(group[0].label, 0.0), partial(tree, int(known.y.max()) + 1, leaves=64)
    if group[0].held == "missing":
        known = known.missing

    def accuracy(columns: list[_Column]) -> float:
        return known.tells(make, [one.k for one in columns])[0 if of_label else 1]

    best = accuracy(group)
    for one in list(group):
        fewer = [other for other in group if other is not one]
        if len(fewer) > 1 and (without := accuracy(fewer)) >= best - AS_GOOD:
            group, best = fewer, max(best, without)
    return group


def _deciding(
    setting: Setting, space: Reached, known: _Known, answers: NDArray[Any], crossings: dict[int, Crossing]
) -> list[TellingColumn]:
    """All columns that no attack changes, if most answers depend on them, although no simple rule does."""
    gaps = {k: "gap" for k, one in crossings.items() if one.blocks <= FEW_VALUES}
    reasons = {
        k: _held(space, k) or _steps(known, space, k) or gaps.get(k, "") for k in range(len(space.names))
    }
    held = [k for k, reason in reasons.items() if reason]
    others = [k for k, reason in reasons.items() if not reason]
    could = float((answers != answers[_order(setting)]).mean())
    changed = partial(_changed, setting, answers)
    by_held = changed(held)
    if could == 0 or by_held < MOSTLY * could:
        return []
    by_others = changed(others)
    if by_held <= by_others:
        return []
    named = _enough(changed, held, by_held)
    open_ones = [k for k in named if reasons[k] != "immutable"]
    # what is declared does not need to be said again, unless it decides alone
    named = open_ones if open_ones and changed(open_ones) >= MOSTLY * by_held else named
    first = next((reasons[k] for k in named if reasons[k] != "immutable"), "immutable")
    names = tuple(space.names[k] for k in named)
    return [TellingColumn(names, "decides", changed(named), by_others, could, first)]


def _enough(changed: Callable[[list[int]], float], columns: list[int], by_all: float) -> list[int]:
    """Those of the columns that change most, so many that together they change about as much as all."""
    each = {k: changed([k]) for k in columns}
    order = sorted(columns, key=lambda k: -each[k])
    n = next(n for n in range(1, len(order) + 1) if n == len(order) or changed(order[:n]) >= ABOUT * by_all)
    return sorted(order[:n])


def _steps(known: _Known, space: Reached, k: int) -> str:
    """The reason "step" for a column of few values that lie further apart than the largest budget."""
    values = np.unique(known.rows[:, k])
    values = values[~np.isnan(values)]
    few = 2 <= len(values) <= FEW_VALUES
    return "step" if few and np.diff(values).min() > space.reach[k] else ""


def _order(setting: Setting) -> NDArray[np.intp]:
    """The sample whose values each sample gets where values are exchanged."""
    return np.random.RandomState(setting.seed).permutation(len(setting.y))


def _changed(setting: Setting, answers: NDArray[Any], columns: Sequence[int]) -> float:
    """Share of the deployed model's answers that change as the values of columns are exchanged."""
    if not columns:
        return 0.0
    said = setting.answers(setting.deployed, exchanged(setting.X, columns, _order(setting)))
    return float((said != answers).mean())


def exchanged(X: Any, columns: Sequence[int], order: NDArray[np.intp]) -> Any:
    """Samples whose values in some columns are those of other samples."""
    if hasattr(X, "iloc"):
        return with_columns(X, {k: X.iloc[order, k].set_axis(X.index) for k in columns})
    return with_columns(X, {k: X[order, k] for k in columns})


def _told(names: list[str], known: _Known, group: list[_Column]) -> TellingColumn:
    first = group[0]
    of_label = known.enough(first.label, 0.0)
    y = known.y if of_label or known.answers is None else known.answers
    chance = 1 / (int(y.max()) + 1)
    scale = first.label if of_label else first.answers
    return TellingColumn(
        tuple(names[one.k] for one in group),
        "label" if of_label else "answers",
        chance + scale * (1 - chance),
        known.accuracy,
        chance,
        first.held,
    )
