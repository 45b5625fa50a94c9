"""Decision boundaries: published measures of their distances, directions, regions and reproducibility."""

from skhalfway.boundaries._directions import adversarial_directions, legitimate_directions, random_directions
from skhalfway.boundaries._distances import InterBoundaryDistance, inter_boundary_distance, minimum_distance
from skhalfway.boundaries._distances_display import InterBoundaryDistanceDisplay
from skhalfway.boundaries._gradients import gradient_alignment, gradient_size, loss_gradient
from skhalfway.boundaries._planes import DecisionRegions, decision_regions
from skhalfway.boundaries._regions_display import DecisionRegionsDisplay
from skhalfway.boundaries._reproducibility import Reproducibility, reproducibility
from skhalfway.boundaries._reproducibility_display import ReproducibilityDisplay
from skhalfway.boundaries._variability import loss_variability

__all__ = [
    "DecisionRegions",
    "DecisionRegionsDisplay",
    "InterBoundaryDistance",
    "InterBoundaryDistanceDisplay",
    "Reproducibility",
    "ReproducibilityDisplay",
    "adversarial_directions",
    "decision_regions",
    "gradient_alignment",
    "gradient_size",
    "inter_boundary_distance",
    "legitimate_directions",
    "loss_gradient",
    "loss_variability",
    "minimum_distance",
    "random_directions",
    "reproducibility",
]
