"""Numbers of adversarial samples that a sampler adds, their rows, and their sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_bool, check_positive
from skhalfway._text import shown

Group = tuple[NDArray[np.intp], int]  # rows, and the number of samples to make from them

_STRATEGIES = ("auto", "minority", "not minority", "not majority", "all")


def check_amount(strategy: Any, ratio: Any, keep_clean: Any) -> None:
    """Raise ValueError unless the parameters consistently define how many samples are added."""
    check_positive("ratio", ratio)
    check_bool("keep_clean", keep_clean)
    if strategy is None:
        return
    known = strategy in _STRATEGIES if isinstance(strategy, str) else _is_kind_of_strategy(strategy)
    if not known:
        raise ValueError(
            f"sampling_strategy must be None, {', '.join(map(repr, _STRATEGIES))}, a number > 0 and <= 1, a "
            f"dict of labels and numbers of samples, or a callable that returns one for y; got "
            f"{shown(strategy)}"
        )
    if ratio != 1:
        raise ValueError(
            f"sampling_strategy={shown(strategy)} defines how many samples each class gets, so ratio must be "
            f"1.0, got {shown(ratio)}; pass only one of them"
        )
    if not keep_clean:
        raise ValueError(
            f"sampling_strategy={shown(strategy)} counts the clean samples of a class too, so keep_clean "
            "must be True, got False"
        )


def _is_kind_of_strategy(strategy: Any) -> bool:
    if isinstance(strategy, Real) and not isinstance(strategy, (bool, np.bool_)):
        return 0 < float(strategy) <= 1
    return isinstance(strategy, Mapping) or callable(strategy)


def groups_of(strategy: Any, ratio: float, classes: NDArray[Any], truth: NDArray[np.intp]) -> list[Group]:
    """Groups of rows, with the number of samples of each: the classes, or all rows without a strategy."""
    if strategy is not None:
        wanted = _missing(strategy, classes[truth])
        return [(np.flatnonzero(truth == i), wanted.get(label, 0)) for i, label in enumerate(classes)]
    number = round(ratio * len(truth))
    if number < 1:
        raise ValueError(
            f"ratio={shown(ratio)} of {len(truth)} samples leaves none to attack; pass at least "
            f"{1 / len(truth):.3g}"
        )
    return [(np.arange(len(truth)), number)]


def _missing(strategy: Any, labels: NDArray[Any]) -> dict[Any, int]:
    """Number of samples that imbalanced-learn's over-samplers would add to each class."""
    if callable(strategy):
        strategy = _called(strategy, labels)
    if isinstance(strategy, Mapping):
        strategy = dict(strategy)  # imbalanced-learn takes no other mapping
        known = set(labels.tolist())
        unknown = [label for label in strategy if label not in known]
        if unknown:
            raise ValueError(
                f"sampling_strategy names {shown(unknown)}, which y does not hold; its labels are "
                f"{shown(sorted(known))}"
            )
        for label, number in strategy.items():
            if not isinstance(number, Integral) or isinstance(number, bool):
                raise ValueError(
                    f"sampling_strategy must give each label a whole number of samples, got {shown(number)} "
                    f"for {shown(label)}"
                )
    try:
        from imblearn.utils import check_sampling_strategy
    except ImportError as error:
        raise ImportError(
            "sampling_strategy needs imbalanced-learn; install skhalfway[imbalanced], or pass "
            "sampling_strategy=None and a ratio"
        ) from error
    return {label: int(n) for label, n in check_sampling_strategy(strategy, labels, "over-sampling").items()}


def _called(strategy: Callable[..., Any], labels: NDArray[Any]) -> Any:
    made = strategy(labels)
    if not isinstance(made, Mapping):
        raise TypeError(
            f"sampling_strategy must return a dict of labels and numbers of samples, got {shown(made)}"
        )
    return made


def draw(
    groups: Sequence[Group], n_sources: int, rng: np.random.RandomState
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The row and the source of each adversarial sample, sorted by source, then row.

    Numbers of draws of two rows of a group differ by at most one. A row that is drawn again gets another
    source, as long as there is one.
    """
    drawn = [_draw(len(rows), number, n_sources, rng) for rows, number in groups]
    row = np.concatenate([rows[place] for (rows, _), (place, _) in zip(groups, drawn, strict=True)])
    source = np.concatenate([sources for _, sources in drawn])
    order = np.lexsort((row, source))
    return row[order], source[order]


def _draw(
    n_rows: int, number: int, n_sources: int, rng: np.random.RandomState
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    place = np.arange(number)
    copy, row = np.divmod(place, n_rows)
    last = copy == number // n_rows  # the last copy of the rows, which is incomplete
    row[last] = rng.permutation(n_rows)[: np.count_nonzero(last)]
    turns = rng.rand(n_rows, n_sources).argsort(axis=1)
    return row, turns[row, copy % n_sources]
