"""Training histories: how the decision boundaries of a model move while it learns."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skhalfway.training._training import TrainingHistory, halfway_history
from skhalfway.training._training_display import TrainingHistoryDisplay

if TYPE_CHECKING:
    from skhalfway.training._callback import HalfwayCallback

__all__ = ["HalfwayCallback", "TrainingHistory", "TrainingHistoryDisplay", "halfway_history"]


def __getattr__(name: str) -> Any:
    # skorch is not imported before it is used (PEP 562)
    if name == "HalfwayCallback":
        return import_module("skhalfway.training._callback").HalfwayCallback
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
