"""Names of recipes, and the pieces that they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from skhalfway.attacks._ensemble_piece import ReducedVariance
from skhalfway.attacks._feature_losses import FeatureImportance, IntermediateLevel, NeuronAttribution
from skhalfway.attacks._gradient_pieces import (
    Averaged,
    DirectionTuning,
    FlatMaxima,
    GradientPenalty,
    ImprovedEuler,
    Relevance,
    ReverseNoise,
    Translation,
    Variance,
)
from skhalfway.attacks._image_pieces import (
    BlockShuffle,
    Cutout,
    DiverseEnsemble,
    DiverseInput,
    MaskedBlocks,
    RandomCrop,
    Spectrum,
    StructureInvariant,
)
from skhalfway.attacks._input_pieces import (
    Admix,
    FeatureDropout,
    IntegratedGradient,
    Jitter,
    MixedRows,
    MixMask,
    ScaleCopies,
    UniformScale,
)
from skhalfway.attacks._losses import (
    CrossEntropy,
    Logit,
    Margin,
    OwnProbability,
    PoincareTriplet,
    ProbabilityMargin,
)
from skhalfway.attacks._model_pieces import (
    BatchStatistics,
    Ghost,
    IntermediateDecay,
    LinearBackward,
    NearbyWeights,
    SkipGradient,
    SmoothBackward,
)
from skhalfway.attacks._pieces import KINDS, PIECES, Piece
from skhalfway.attacks._recipe import Recipe
from skhalfway.attacks._steps import (
    AdaBelief,
    EnhancedMomentum,
    GlobalMomentum,
    Momentum,
    Nesterov,
    TanhAdam,
)
from skhalfway.attacks._strides import Normalised, PatchWise, Rescaled, Staircase

if TYPE_CHECKING:
    import pandas as pd

_MI, _SI = Momentum(), ScaleCopies()

# Published attacks, as their papers or the field's benchmark run them, mostly with momentum. The parts of a
# name, between hyphens, are joined; a piece that several parts have is taken once.
PARTS: dict[str, tuple[Piece, ...]] = {
    "ifgsm": (),
    "mi": (_MI,),
    "ni": (Nesterov(),),
    "pi": (PatchWise(),),
    "vmi": (_MI, Variance()),
    "vni": (Nesterov(), Variance()),
    "emi": (EnhancedMomentum(),),
    "gi": (GlobalMomentum(),),
    "adabelief": (AdaBelief(),),
    "aifgtm": (TanhAdam(),),
    "ssm": (Staircase(),),
    "normalised": (Normalised(),),
    "fgrm": (Rescaled(),),
    "smi-fgrm": (_MI, Rescaled(), Averaged(n=12, radius=1.5)),
    "av": (Averaged(),),
    "gra": (_MI, Relevance()),
    "pgn": (_MI, FlatMaxima()),
    "gnp": (_MI, GradientPenalty(), Margin()),
    "rap": (ReverseNoise(),),
    "ie": (_MI, ImprovedEuler()),
    "dta": (_MI, DirectionTuning()),
    "mig": (_MI, IntegratedGradient(), OwnProbability()),
    "taig": (IntegratedGradient(), Logit()),
    "di": (DiverseInput(),),
    "ti": (Translation(),),
    "si": (_SI,),
    "dem": (_MI, DiverseEnsemble()),
    "admix": (_MI, Admix(), _SI),
    "usmm": (_MI, UniformScale(), MixMask()),
    "maskblock": (_MI, MaskedBlocks()),
    "bsr": (_MI, BlockShuffle()),
    "sia": (_MI, StructureInvariant()),
    "ssa": (_MI, Spectrum()),
    "crop": (RandomCrop(),),
    "cutout": (Cutout(),),
    "fd": (FeatureDropout(),),
    "jitter": (Jitter(),),
    "mix": (MixedRows(),),
    "ila": (IntermediateLevel(),),
    "fia": (_MI, FeatureImportance()),
    "rpa": (_MI, FeatureImportance(patch=3)),
    "naa": (_MI, NeuronAttribution()),
    "sgm": (_MI, SkipGradient()),
    "linbp": (LinearBackward(),),
    "bpa": (_MI, SmoothBackward()),
    "ghost": (_MI, Ghost()),
    "nw": (_MI, NearbyWeights()),
    "ilpd": (_MI, IntermediateDecay()),
    "bn": (BatchStatistics(),),
    "svre": (_MI, ReducedVariance()),
    "ce": (CrossEntropy(),),
    "margin": (Margin(),),
    "logit": (Logit(),),
    "pm": (ProbabilityMargin(),),
    "potrip": (_MI, PoincareTriplet()),
}
_JOINED = ("mi-di", "mi-ti", "mi-di-ti", "ni-si", "ni-si-di-ti", "vmi-di-ti", "vni-si-di-ti", "mi-fd")


def recipe_of(attack: Any) -> Recipe | None:
    """The recipe that ``attack=`` stands for: itself, or the one of that name; None if there is none."""
    if isinstance(attack, Recipe):
        return attack
    if not isinstance(attack, str) or attack.endswith("-"):
        return None
    pieces: list[Piece] = []
    rest = attack
    while rest:
        # the longest name first, as "smi-fgrm" is one name
        part = max((name for name in PARTS if f"{rest}-".startswith(f"{name}-")), key=len, default=None)
        if part is None:
            return None
        pieces += [piece for piece in PARTS[part] if piece not in pieces]
        rest = rest[len(part) + 1 :]
    return Recipe(*pieces) if attack else None


def names() -> list[str]:
    """All names of recipes that are listed."""
    losses = ("ce", "margin", "pm")
    return [*(name for name in PARTS if name not in losses), *_JOINED]


def _named() -> Iterator[tuple[str, Recipe]]:
    for name in names():
        recipe = recipe_of(name)
        assert recipe is not None
        yield name, recipe


def _needs(recipe: Recipe) -> str:
    """What sources and samples must have, in words."""
    images = ["images"] if any(piece.needs_images for piece in recipe.pieces) else []
    return ", ".join(dict.fromkeys([*images, *(piece.needs for piece in recipe.pieces if piece.needs)]))


def list_attacks() -> pd.DataFrame:
    """List the names of recipes, which ``attack=`` takes.

    Returns
    -------
    frame : pandas.DataFrame
        One row for each name, with the columns ``pieces``; ``papers``; ``kinds`` of the pieces, as in
        :class:`Recipe`; ``images``, whether samples must be images; and ``needs``, what else a source must
        have, in words. Other names can be made by joining parts with hyphens, as in ``"vmi-di-logit"``; a
        piece that several parts have is taken once.

    Examples
    --------
    >>> from skhalfway.attacks import list_attacks
    >>> frame = list_attacks()
    >>> frame.loc["ni-si", "pieces"]
    'Nesterov(decay=1.0), ScaleCopies(n=5)'
    >>> frame.loc["sgm", "needs"]
    'residual branches'
    """
    import pandas as pd

    rows = {}
    for name, recipe in _named():
        needs = _needs(recipe)
        rows[name] = {
            "pieces": ", ".join(map(str, recipe.pieces)),
            "papers": "; ".join(dict.fromkeys(piece.paper for piece in recipe.pieces)),
            "kinds": ", ".join(kind for kind in KINDS if recipe.of(kind)),
            "images": "images" in needs,
            "needs": needs,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("attack")


def list_pieces() -> pd.DataFrame:
    """List all pieces of recipes.

    Returns
    -------
    frame : pandas.DataFrame
        One row for each class, with the columns ``kind``; ``name``, as in ``attack__<name>__<parameter>``;
        ``parameters`` with their defaults; ``paper``; and ``images``, whether samples must be images.

    Examples
    --------
    >>> from skhalfway.attacks import list_pieces
    >>> list_pieces().loc["Momentum", ["kind", "name", "parameters"]].tolist()
    ['step', 'momentum', 'decay=1.0']
    """
    import pandas as pd

    rows = {
        piece.__name__: {
            "kind": piece.kind,
            "name": piece.name,
            "parameters": ", ".join(f"{f.name}={f.default!r}" for f in fields(piece)),
            "paper": piece.paper,
            "images": piece.images,
        }
        for piece in sorted(PIECES.values(), key=lambda piece: (KINDS.index(piece.kind), piece.__name__))
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("piece")
