"""Why models generalise, and why adversarial samples transfer: where their answers change halfway."""

from skhalfway.halfway._crossings import Crossings, crossings
from skhalfway.halfway._measurement import HalfwayMeasurement
from skhalfway.halfway._pairs import sample_pairs
from skhalfway.halfway._score import halfway_score
from skhalfway.halfway._scorer import HalfwayScorer

__all__ = [
    "Crossings",
    "HalfwayMeasurement",
    "HalfwayScorer",
    "crossings",
    "halfway_score",
    "sample_pairs",
]
