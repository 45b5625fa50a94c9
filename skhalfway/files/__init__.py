"""Models, data and constraints from files, read without running any code in them."""

from skhalfway.files._data import Data, read_data
from skhalfway.files._models import read_model
from skhalfway.files._rules import read_constraints

__all__ = ["Data", "read_constraints", "read_data", "read_model"]
