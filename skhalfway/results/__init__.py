"""Base of all results: printing, tables, plots, comparison and files."""

from skhalfway._intervals import ConfidenceInterval
from skhalfway.results._provenance import Provenance
from skhalfway.results._reading import load_result
from skhalfway.results._result import Result

__all__ = ["ConfidenceInterval", "Provenance", "Result", "load_result"]
