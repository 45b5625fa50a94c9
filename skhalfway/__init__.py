"""skhalfway: which classifiers are fooled by the same adversarial examples (transferability), and why."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skhalfway.attacks import AdversarialGenerator, Constraints
    from skhalfway.halfway import HalfwayScorer
    from skhalfway.models import Ensemble
    from skhalfway.report import AuditReport, audit
    from skhalfway.results import load_result
    from skhalfway.transfer import (
        TransferCurve,
        TransferCurveDisplay,
        TransferMatrix,
        TransferMatrixDisplay,
        TransferScorer,
    )

__version__ = "0.1.0"

_HOME = {
    "AdversarialGenerator": "skhalfway.attacks",
    "AuditReport": "skhalfway.report",
    "Constraints": "skhalfway.attacks",
    "Ensemble": "skhalfway.models",
    "HalfwayScorer": "skhalfway.halfway",
    "TransferCurve": "skhalfway.transfer",
    "TransferCurveDisplay": "skhalfway.transfer",
    "TransferMatrix": "skhalfway.transfer",
    "TransferMatrixDisplay": "skhalfway.transfer",
    "TransferScorer": "skhalfway.transfer",
    "audit": "skhalfway.report",
    "load_result": "skhalfway.results",
}

__all__ = [
    "AdversarialGenerator",
    "AuditReport",
    "Constraints",
    "Ensemble",
    "HalfwayScorer",
    "TransferCurve",
    "TransferCurveDisplay",
    "TransferMatrix",
    "TransferMatrixDisplay",
    "TransferScorer",
    "__version__",
    "audit",
    "load_result",
]


def __getattr__(name: str) -> Any:
    # slow imports are delayed until they are needed (PEP 562)
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
