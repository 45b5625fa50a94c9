"""The audit that an engineer hands on: models, data and constraints out of files."""

from skhalfway.report._data import Data, read_data
from skhalfway.report._models import read_model
from skhalfway.report._rules import read_constraints

__all__ = ["Data", "read_constraints", "read_data", "read_model"]
