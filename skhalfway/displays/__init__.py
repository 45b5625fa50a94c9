"""Base of all displays, which draw results with matplotlib in one style."""

from skhalfway.displays._display import Display

__all__ = ["Display"]
