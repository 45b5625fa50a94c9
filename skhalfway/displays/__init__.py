"""What every display is: results drawn with matplotlib, alike in axes, colours and labels."""

from skhalfway.displays._display import Display

__all__ = ["Display"]
