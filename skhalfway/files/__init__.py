"""Models, data and constraints out of files, without running anything in them."""

from skhalfway.files._data import Data, read_data
from skhalfway.files._models import read_model
from skhalfway.files._rules import read_constraints

__all__ = ["Data", "read_constraints", "read_data", "read_model"]
