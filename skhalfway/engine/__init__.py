"""The engine: work that is kept as it is done, in a store that runs share and resume from."""

from skhalfway.engine._store import Store, StoreInfo

__all__ = ["Store", "StoreInfo"]
