"""Why models generalise, and why adversarial samples transfer: where their answers change halfway.

Definitions that carry the word halfway or crossing are this package's own formalisation of the title of
BenShmuel, "Meet you halfway: explaining deep learning mysteries", arXiv 2206.04463, 2022.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skhalfway.halfway._agreement_display import AgreementDisplay
from skhalfway.halfway._crossings import Crossings, crossings
from skhalfway.halfway._crossings_display import CrossingsDisplay
from skhalfway.halfway._directions import adversarial_directions, legitimate_directions, random_directions
from skhalfway.halfway._distances import InterBoundaryDistance, inter_boundary_distance, minimum_distance
from skhalfway.halfway._gradients import gradient_alignment, gradient_size, loss_gradient
from skhalfway.halfway._manifold import OffManifold, OnManifold, manifold_parts
from skhalfway.halfway._measurement import HalfwayMeasurement
from skhalfway.halfway._pairs import sample_pairs
from skhalfway.halfway._planes import DecisionRegions, decision_regions
from skhalfway.halfway._prediction_display import PredictedTransferDisplay
from skhalfway.halfway._regions_display import DecisionRegionsDisplay
from skhalfway.halfway._reproducibility import Reproducibility, reproducibility
from skhalfway.halfway._score import halfway_score
from skhalfway.halfway._scorer import HalfwayScorer
from skhalfway.halfway._training import TrainingHistory, halfway_history
from skhalfway.halfway._training_display import TrainingHistoryDisplay
from skhalfway.halfway._variability import loss_variability

if TYPE_CHECKING:
    from skhalfway.halfway._autoencoder import Autoencoder
    from skhalfway.halfway._callback import HalfwayCallback

# torch and skorch are not imported before they are used (PEP 562)
_HOME = {"Autoencoder": "_autoencoder", "HalfwayCallback": "_callback"}

__all__ = [
    "AgreementDisplay",
    "Autoencoder",
    "Crossings",
    "CrossingsDisplay",
    "DecisionRegions",
    "DecisionRegionsDisplay",
    "HalfwayCallback",
    "HalfwayMeasurement",
    "HalfwayScorer",
    "InterBoundaryDistance",
    "OffManifold",
    "OnManifold",
    "PredictedTransferDisplay",
    "Reproducibility",
    "TrainingHistory",
    "TrainingHistoryDisplay",
    "adversarial_directions",
    "crossings",
    "decision_regions",
    "gradient_alignment",
    "gradient_size",
    "halfway_history",
    "halfway_score",
    "inter_boundary_distance",
    "legitimate_directions",
    "loss_gradient",
    "loss_variability",
    "manifold_parts",
    "minimum_distance",
    "random_directions",
    "reproducibility",
    "sample_pairs",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"skhalfway.halfway.{_HOME[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
