"""Where adversarial inputs work: counts, rates and intervals over pairs of models."""

from skhalfway._intervals import ConfidenceInterval
from skhalfway.transfer._curve import TransferCurve
from skhalfway.transfer._curve_display import TransferCurveDisplay
from skhalfway.transfer._display import TransferMatrixDisplay
from skhalfway.transfer._matrix import TransferMatrix
from skhalfway.transfer._scorer import TransferScorer

__all__ = [
    "ConfidenceInterval",
    "TransferCurve",
    "TransferCurveDisplay",
    "TransferMatrix",
    "TransferMatrixDisplay",
    "TransferScorer",
]
