"""The command line: audits, checks and comparisons of models in files, and a demonstration."""

from skhalfway.cli._main import main

__all__ = ["main"]
