"""The engine: a store of finished work, which runs share and resume from."""

from skhalfway.engine._store import Store, StoreInfo

__all__ = ["Store", "StoreInfo"]
