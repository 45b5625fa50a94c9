"""A page as HTML: one file that can be read without network and scripts."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from io import BytesIO
from itertools import count
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from skhalfway.report._blocks import Page, Picture
from skhalfway.report._private import without_paths, writable
from skhalfway.report._svg import drawn
from skhalfway.results._table import Cell, ink_on, shade_of

UNSIGNED: dict[str, Any] = {"Software": None}


def html_of(page: Page) -> str:
    """The whole document."""
    environment = _environment()
    style, script = (_source(name) for name in ("style.css", "sort.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    document = environment.get_template("page.html").render(
        page=page,
        style=style,
        script=script,
        script_hash=f"sha256-{digest}",
        number=count(1).__next__,
    )
    return writable(document)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("skhalfway.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "kind": lambda block: type(block).__name__,
        "drawn": drawn,
        "png": png,
        "colours": _colours,
    }
    return environment


def _source(name: str) -> str:
    """A file that is included in the page unchanged."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _shown(value: Any) -> Any:
    """Text of a value: texts without folders of the machine, rounded numbers, unchanged markup."""
    if hasattr(value, "__html__"):
        return value
    if isinstance(value, float):
        return f"{value:.6g}"
    # a number and its percent sign stay in one line
    return without_paths(value).replace(" %", "\u00a0%") if isinstance(value, str) else value


def _colours(cell: Cell) -> str:
    if cell.shade is None or np.isnan(cell.shade):
        return ""
    colour = shade_of(cell.shade)
    return f"background:#{''.join(f'{int(part):02x}' for part in colour)};color:{ink_on(colour)}"


def png(picture: Picture) -> str:
    """An image as a data URL."""
    from matplotlib.image import imsave

    low, high = picture.limits
    buffer = BytesIO()
    if picture.pixels.ndim == 2:
        colours = "bwr" if picture.difference else "gray"
        high = high if high > low else low + 1
        imsave(buffer, picture.pixels, format="png", cmap=colours, vmin=low, vmax=high, metadata=UNSIGNED)
    else:
        shares = (picture.pixels - low) / (high - low if high > low else 1)
        imsave(buffer, np.clip(shares, 0, 1), format="png", metadata=UNSIGNED)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
