"""Times, which no attack can change: which columns hold them, and how to turn them into numbers."""

from __future__ import annotations

from typing import Any

from skhalfway._text import shown

DAYS = (
    "(pandas.to_datetime(column, utc=True) - pandas.Timestamp('2000-01-01', tz='UTC')) / "
    "pandas.Timedelta('1D')"
)
# what pandas.api.types.infer_dtype calls columns of objects, and how such a column becomes numbers
_OBJECTS = {
    "date": f"days: {DAYS}",
    "datetime": f"days: {DAYS}",
    "datetime64": f"days: {DAYS}",
    "timedelta": "days: pandas.to_timedelta(column) / pandas.Timedelta('1D')",
    "timedelta64": "days: pandas.to_timedelta(column) / pandas.Timedelta('1D')",
    "time": "hours: [time.hour + time.minute / 60 for time in column]",
    "period": "days: (column.dt.start_time - pandas.Timestamp('2000-01-01')) / pandas.Timedelta('1D')",
}
_OF_ARRAYS = {
    "M": "seconds: {0}.astype('datetime64[s]').astype(float)",
    "m": "seconds: {0} / numpy.timedelta64(1, 's')",
}
_IN_POLARS = {
    "Duration": "seconds: polars.col({0!r}).dt.total_seconds()",
    "Time": "hours: polars.col({0!r}).dt.hour()",
}
_OF_EPOCH = "seconds: polars.col({0!r}).dt.epoch('s')"


def times_error(what: str, example: str) -> TypeError:
    """The error for times, with an example of how they become numbers."""
    return TypeError(
        f"{what} holds times; turn them into numbers, such as {example}; as text, they are categories, which "
        "no attack changes"
    )


def check_no_times(table: Any) -> None:
    """Raise for a column of a DataFrame that holds times, in their own type or as objects."""
    for i, dtype in enumerate(table.dtypes):
        if getattr(dtype, "kind", "O") in "OmM":
            check_column(table.iloc[:, i])


def check_column(column: Any) -> str:
    """The same for one column; returns what pandas says that it holds, "" for columns of numbers."""
    from pandas.api.types import infer_dtype

    if getattr(column.dtype, "kind", "O") not in "OmM":
        return ""
    held = infer_dtype(column, skipna=True)
    if held in _OBJECTS:
        raise times_error(f"column {shown(column.name)}", _OBJECTS[held])
    return str(held)


def of_array(name: str, kind: str) -> TypeError:
    """The error for an array of times, of dtype kind "M" or "m"."""
    return times_error(name, _OF_ARRAYS[kind].format(name))


def of_polars(column: Any) -> TypeError:
    """The error for a column of times of a polars DataFrame."""
    example = _IN_POLARS.get(type(column.dtype).__name__, _OF_EPOCH)
    return times_error(f"column {shown(column.name)}", example.format(column.name))
