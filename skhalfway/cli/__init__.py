"""The command line: audits, check-ups and comparisons of models out of files, and a demonstration."""

from skhalfway.cli._main import main

__all__ = ["main"]
