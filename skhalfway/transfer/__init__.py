"""Where adversarial samples work: outcomes, counts, rates and intervals over pairs of models."""

from skhalfway.transfer._by_class import TransferByClass
from skhalfway.transfer._by_class_display import TransferByClassDisplay
from skhalfway.transfer._comparison import TransferComparison
from skhalfway.transfer._comparison_display import TransferComparisonDisplay
from skhalfway.transfer._curve import TransferCurve
from skhalfway.transfer._curve_display import TransferCurveDisplay
from skhalfway.transfer._display import TransferMatrixDisplay
from skhalfway.transfer._failures import FailedPair
from skhalfway.transfer._matrix import TransferMatrix
from skhalfway.transfer._outcomes import Outcomes
from skhalfway.transfer._recorded import generator_of
from skhalfway.transfer._robustness import Robustness
from skhalfway.transfer._robustness_display import RobustnessDisplay
from skhalfway.transfer._scorer import TransferScorer

__all__ = [
    "FailedPair",
    "Outcomes",
    "Robustness",
    "RobustnessDisplay",
    "TransferByClass",
    "TransferByClassDisplay",
    "TransferComparison",
    "TransferComparisonDisplay",
    "TransferCurve",
    "TransferCurveDisplay",
    "TransferMatrix",
    "TransferMatrixDisplay",
    "TransferScorer",
    "generator_of",
]
