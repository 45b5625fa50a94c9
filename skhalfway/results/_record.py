"""Record: small parts of results, such as findings, which show their fields as a table in notebooks."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from skhalfway._text import shown
from skhalfway.results._table import Table


class Record:
    """Base of frozen dataclasses that are parts of results."""

    def _repr_html_(self) -> str:
        named: Any = self
        rows = [[field.name, _written(getattr(self, field.name))] for field in fields(named) if field.repr]
        return Table(type(self).__name__, rows=rows).html()


def _written(value: Any) -> str:
    return value if isinstance(value, str) else shown(value)
