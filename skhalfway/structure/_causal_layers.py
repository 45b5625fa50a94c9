"""Figures of all layers for causal_structure, and warnings about them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from skhalfway._checks import check_choice, check_integer
from skhalfway._text import counted, percent
from skhalfway.models._warnings import warn
from skhalfway.structure._information import Bits, Wiring, can_be_told, measured

# a warning is given where more than this share of outputs is outside their range, and where the bias of EI of
# parts is more than these bits and this share
_MUCH_OUTSIDE = 0.05
# with fewer samples per cell of a pair of neurons, most cells are empty, which no correction can repair
_SAMPLES_A_CELL = 2
_LEAST_EXCESS, _MUCH_EXCESS = 0.05, 0.1


class UndersampledWarning(UserWarning):
    """Warning that samples are too few for a figure, or that many outputs are outside their range.

    Examples
    --------
    >>> from skhalfway.structure import UndersampledWarning
    >>> issubclass(UndersampledWarning, UserWarning)
    True
    """


def measure_all(
    wirings: Mapping[str, Wiring],
    rng: np.random.RandomState,
    *,
    n_bins: int,
    n_samples: int | None,
    joint: str,
    correction: str | None,
    warns: bool = True,
) -> list[Bits]:
    """Figures of all layers, with warnings about them."""
    check_integer("n_bins", n_bins, least=2)
    if n_samples is not None:
        check_integer("n_samples", n_samples, least=2)
    check_choice("joint", joint, ("auto", "always", "never"))
    check_choice("correction", correction, ("miller-madow",), none=True)
    found, untold = [], []
    for name, wiring in wirings.items():
        told = can_be_told(wiring.n_inputs, n_bins, n_samples)
        if not told and joint != "never":
            untold.append(f"{name!r} ({counted(wiring.n_inputs, 'input')})")
        together = told if joint == "auto" else joint == "always"
        bits = measured(
            wiring,
            n_bins=n_bins,
            n_samples=n_samples,
            joint=together,
            corrected=correction is not None,
            rng=rng,
        )
        found.append(bits)
    if warns:
        _say(wirings, found, untold, joint, n_bins)
    return found


def _say(
    wirings: Mapping[str, Wiring], found: list[Bits], untold: list[str], joint: str, n_bins: int
) -> None:
    if untold:
        then = "is nan" if joint == "auto" else "depends more on the number of samples than on the layer"
        warn(
            f"there are too few samples for the joint distribution of {n_bins} bins of the inputs of layers "
            f"{', '.join(untold)}, so their effective information {then}; lower n_bins, raise "
            "n_samples, or pass joint='never'",
            UndersampledWarning,
        )
    least = _SAMPLES_A_CELL * n_bins**2
    few = [name for name, one in zip(wirings, found, strict=True) if one.n_samples < least]
    if few:
        warn(
            f"EI of parts of layers {', '.join(few)} depends more on the number of samples than on the "
            f"layer, corrected or not: there are {found[0].n_samples} samples for {n_bins**2} cells of each "
            f"pair of neurons; raise n_samples to {least:,} or more, or lower n_bins",
            UndersampledWarning,
        )
    large = {
        name: one.excess
        for name, one in zip(wirings, found, strict=True)
        if name not in few and one.excess > max(_LEAST_EXCESS, _MUCH_EXCESS * one.parts)
    }
    if large:
        bits = ", ".join(f"{name!r} {excess:.3g} bits" for name, excess in large.items())
        warn(
            f"there are too few samples for EI of parts, a sum over pairs of neurons, which is too large by "
            f"about: {bits}; raise n_samples, or pass correction='miller-madow'",
            UndersampledWarning,
        )
    outside = {
        name: one.outside for name, one in zip(wirings, found, strict=True) if one.outside > _MUCH_OUTSIDE
    }
    if outside:
        shares = ", ".join(f"{name!r} {percent(share)}" for name, share in outside.items())
        warn(
            f"outputs lie outside the range of their activation and are left out: {shares}; widen ranges",
            UndersampledWarning,
        )
