"""Manifolds of data: whether a perturbation runs along the data manifold, or leaves it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skhalfway.manifold._manifold import OffManifold, OnManifold, manifold_parts

if TYPE_CHECKING:
    from skhalfway.manifold._autoencoder import Autoencoder

__all__ = ["Autoencoder", "OffManifold", "OnManifold", "manifold_parts"]


def __getattr__(name: str) -> Any:
    # torch is not imported before it is used (PEP 562)
    if name == "Autoencoder":
        return import_module("skhalfway.manifold._autoencoder").Autoencoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
