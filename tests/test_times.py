"""Times are refused, with code that turns them into numbers."""

from __future__ import annotations

import datetime

import numpy as np
import pandas
import polars
import pytest
from sklearn.linear_model import LogisticRegression

from skhalfway import audit
from skhalfway._readable import as_table

DAYS = [datetime.date(2024, 1, 1), datetime.date(2024, 3, 1)]
AT_NOON = [datetime.datetime.combine(day, datetime.time(12)) for day in DAYS]
LENGTHS = [datetime.timedelta(days=1), datetime.timedelta(hours=6)]
OF_DAY = [datetime.time(6, 30), datetime.time(18)]
PANDAS = {
    "time stamps": (pandas.Series(AT_NOON), [8766.5, 8826.5]),
    "time stamps in a zone": (pandas.Series(AT_NOON).dt.tz_localize("UTC"), [8766.5, 8826.5]),
    "time stamps as objects": (pandas.Series(AT_NOON, dtype=object), [8766.5, 8826.5]),
    "time stamps of pyarrow": (pandas.Series(AT_NOON).astype("timestamp[us][pyarrow]"), [8766.5, 8826.5]),
    "dates": (pandas.Series(DAYS), [8766, 8826]),
    "dates of pyarrow": (pandas.Series(DAYS).astype("date32[pyarrow]"), [8766, 8826]),
    "dates with a gap": (pandas.Series([DAYS[0], None, DAYS[1]]), [8766, np.nan, 8826]),
    "periods": (pandas.Series(pandas.PeriodIndex(["2024-01", "2024-03"], freq="M")), [8766, 8826]),
    "durations": (pandas.Series(LENGTHS), [1, 0.25]),
    "durations as objects": (pandas.Series(LENGTHS, dtype=object), [1, 0.25]),
    "times of the day": (pandas.Series(OF_DAY), [6.5, 18]),
}
POLARS = {
    "dates": (DAYS, [1704067200, 1709251200]),
    "time stamps": (AT_NOON, [1704110400, 1709294400]),
    "durations": (LENGTHS, [86400, 21600]),
    "times of the day": (OF_DAY, [6, 18]),
}
ARRAYS = {
    "time stamps": (np.array(AT_NOON, dtype="M8[us]"), [1704110400, 1709294400]),
    "durations": (np.array(LENGTHS, dtype="m8[ns]"), [86400, 21600]),
}


def example_in(error: pytest.ExceptionInfo[TypeError]) -> str:
    """The code that the message gives."""
    said = str(error.value).split("such as ")[1].split("; as text")[0]
    return said.split(": ", 1)[1]


@pytest.mark.parametrize("kind", PANDAS)
def test_columns(kind: str) -> None:
    column, expected = PANDAS[kind]
    with pytest.raises(TypeError, match="^column 'when' holds times") as error:
        as_table(pandas.DataFrame({"a": 1.0, "when": column}))
    numbers = eval(example_in(error), {"pandas": pandas, "column": column})
    np.testing.assert_array_equal(np.asarray(numbers, dtype=float), expected)
    assert as_table(pandas.DataFrame({"when": column.astype(str)})) is not None


@pytest.mark.parametrize("kind", POLARS)
def test_columns_of_polars(kind: str) -> None:
    values, expected = POLARS[kind]
    frame = polars.DataFrame({"when": values})
    with pytest.raises(TypeError, match="^column 'when' holds times") as error:
        as_table(frame)
    numbers = frame.select(eval(example_in(error), {"polars": polars}))
    assert numbers["when"].to_list() == expected


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays(kind: str) -> None:
    X, expected = ARRAYS[kind]
    with pytest.raises(TypeError, match="^X holds times") as error:
        as_table(X[:, None])
    np.testing.assert_array_equal(eval(example_in(error), {"numpy": np, "X": X}), expected)


def test_an_audit_refuses_them_before_the_model_is_asked() -> None:
    X = pandas.DataFrame({"a": np.arange(60.0), "when": pandas.date_range("2024", periods=60)})
    model = LogisticRegression().fit(X[["a"]], X.a > 30)
    with pytest.raises(TypeError, match="column 'when' holds times"):
        audit(model, X, X.a > 30)
