"""Sources that seem more robust than they are, as the findings of an experiment say."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from skhalfway.transfer._curve import TransferCurve
    from skhalfway.transfer._matrix import TransferMatrix

SEEMS = "so it seems more robust than it is"  # with which a finding about such a source ends


def doubted(result: TransferMatrix | TransferCurve) -> list[str]:
    """Sources that other attacks fool more often than their own, or whose gradients may be masked."""
    checks = result.checks
    masked = [False] * len(result.sources) if result.masked is None else result.masked
    return [
        name
        for name, flag in zip(result.sources, masked, strict=True)
        if flag or (name in checks and any(one.message.endswith(SEEMS) for one in checks[name].warnings))
    ]
