"""Why models generalise, and why adversarial samples transfer: where their answers change halfway."""

from skhalfway.halfway._crossings import Crossings, crossings
from skhalfway.halfway._pairs import sample_pairs

__all__ = ["Crossings", "crossings", "sample_pairs"]
