"""Columns that are named twice, out of their order, or by a number that is another's name, are refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skhalfway import AdversarialGenerator, Constraints, TransferScorer

RNG = np.random.RandomState(0)
FRAME = pd.DataFrame(RNG.randn(40, 3), columns=["a", "b", "c"])
Y = (FRAME["a"] + FRAME["b"] > 0).astype(int).to_numpy()
ARRAY = FRAME.to_numpy()
LOW, HIGH = FRAME.min() - 1, FRAME.max() + 1
BACK = ["c", "b", "a"]


def numbered(*labels: int) -> pd.DataFrame:
    return FRAME.set_axis(list(labels), axis=1)


def masked(*values: Any) -> Any:
    return np.ma.masked_array(values, mask=[True, False, False])


@pytest.mark.parametrize(
    ("X", "params", "error"),
    [
        (FRAME, {"eps": pd.Series([0.1, 0.2], index=["a", "a"])}, "eps names column 'a' more than once"),
        (FRAME, {"eps": {"b": 0.1, 1: 0.2}}, "eps names column 'b' more than once"),
        (ARRAY, {"eps": {np.int64(1): 0.1}}, None),
        (ARRAY, {"eps": {1.0: 0.1}}, "eps must name columns, or give their positions, got 1.0"),
        (ARRAY, {"eps": {1.5: 0.1}}, "eps must name columns, or give their positions, got 1.5"),
        (ARRAY, {"eps": {True: 0.1}}, "eps must name columns, or give their positions, got True"),
        (ARRAY, {"eps": pd.Series([0.1], index=[0.5])}, "eps must name columns"),
        (ARRAY, {"eps": masked(0.1, 0.2, 0.3)}, "eps is a masked array; fill in its values"),
        (ARRAY, {"clip_values": (-9, masked(9, 9, 9))}, r"clip_values\[1\] is a masked array"),
        (FRAME, {"clip_values": (LOW[BACK], HIGH)}, r"clip_values\[0\] is a Series of \['c', 'b', 'a'\]"),
        (FRAME, {"clip_values": (LOW, HIGH[BACK])}, r"pass clip_values\[1\]\[X.columns\]"),
        (FRAME, {"clip_values": [LOW, HIGH[BACK]]}, r"clip_values\[1\] is a Series"),
        (ARRAY, {"clip_values": (pd.Series(LOW.to_numpy(), index=[2, 0, 1]), 9)}, "in their order"),
        (FRAME, {"clip_values": (LOW, HIGH)}, None),
        (ARRAY, {"clip_values": (LOW, HIGH)}, None),
        (FRAME, {"clip_values": (pd.Series(LOW.to_numpy()), HIGH.to_numpy())}, None),
        (numbered(0, 2, 3), {"eps": {2: 0.1}}, r"number 2 for a position, but .* called \[0, 2, 3\]"),
        (numbered(2, 1, 0), {"eps": pd.Series([0.1, 0.2], index=[0, 1])}, "number 0 for a position"),
        (numbered(0, 2, 3), {"constraints": Constraints(immutable=2)}, "number 2 for a position"),
        (numbered(0, 2, 3), {"constraints": Constraints(increasing=[1])}, "number 1 for a position"),
        (numbered(0, 1, 2), {"constraints": Constraints(immutable=2), "eps": {0: 0.1}}, None),
        (numbered(0, 2, 3), {"eps": [0.1, 0.2, 0.3], "constraints": Constraints(mask=[1, 0, 1])}, None),
        (FRAME, {"constraints": Constraints(immutable=[2])}, None),
    ],
    ids=range(23),
)
def test_what_a_name_stands_for_is_never_guessed(X: Any, params: dict[str, Any], error: str | None) -> None:
    model = LogisticRegression().fit(X, Y)
    generator = AdversarialGenerator(FrozenEstimator(model), **params)
    scorer = TransferScorer(AdversarialGenerator(**params))
    calls = (
        lambda: generator.fit(X, Y),
        lambda: generator.generate(X, Y),
        lambda: scorer.fit({"a": model, "b": model}).transfer(X, Y),
    )
    for call in calls:
        if error is None:
            call()
        else:
            with pytest.raises(ValueError, match=error):
                call()


def test_a_masked_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="mask is a masked array"):
        Constraints(mask=masked(True, True, False))
    Constraints(mask=np.ma.masked_array([True, False]))  # in which nothing is masked
