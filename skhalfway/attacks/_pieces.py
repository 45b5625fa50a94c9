"""What pieces of gradient attacks are, and what they may do in the one loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import torch

from skhalfway._text import shown

if TYPE_CHECKING:
    from skhalfway._streams import Streams
    from skhalfway.attacks._gradient import Batch
    from skhalfway.models import Model

Gradient = Callable[[torch.Tensor], torch.Tensor]

KINDS = ("step", "gradient", "input", "loss")


class Following(NamedTuple):
    """What a recipe follows instead of the margin at a sample.

    Attributes
    ----------
    change : callable or None
        Makes of what the source would see, (n, ...), something else, or several copies (k * n, ...).
    slope : callable
        Gradient of the loss at logits (k * n, n_classes), given where labels are.
    """

    change: Callable[[torch.Tensor], torch.Tensor] | None
    slope: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass
class Run:
    """A batch on its way: what pieces know, and where they keep what they must remember.

    Attributes
    ----------
    batch : Batch
        The samples.
    size : float
        Length of a step, negative where the loss is to fall.
    eps : float
        Budget, in the coordinates of the region.
    streams : Streams
        Draws of each sample, which depend on no other.
    image_shape : tuple of int or None
        Channels, height and width of samples that are flat.
    at : Tensor or None
        Where the samples are, even where the gradient is taken ahead of that.
    kept : dict
        By piece, whatever it remembers from step to step.
    """

    batch: Batch
    size: float
    eps: float
    streams: Streams
    image_shape: tuple[int, ...] | None = None
    at: torch.Tensor | None = None
    kept: dict[Any, Any] = field(default_factory=dict)

    def uniform(self, n: int, *shape: int) -> torch.Tensor:
        """Numbers between 0 and 1, of shape (n, *shape), for each of the batch's n samples."""
        numbers = self.streams.uniform(np.arange(n), *shape)
        return torch.from_numpy(numbers).to(**self.batch.place)

    def images(self, x: torch.Tensor, piece: Piece) -> torch.Tensor:
        """Samples as images (n, channels, height, width); an error where they are none."""
        shape = x.shape[1:] if self.image_shape is None else self.image_shape
        if len(shape) != 3:
            raise ValueError(
                f"{piece.name!r} is for images, and samples have shape {tuple(x.shape[1:])}; give their "
                "shape, as Recipe(..., image_shape=(channels, height, width)), or leave the piece out"
            )
        if int(np.prod(shape)) != x[0].numel():
            raise ValueError(
                f"image_shape {tuple(shape)} holds {int(np.prod(shape))} values, and samples have "
                f"{x[0].numel()}"
            )
        return x.reshape(-1, *shape)


@dataclass(frozen=True)
class Piece:
    """A piece of a gradient attack; a subclass does what its kind says, and may leave out the rest.

    Subclasses are frozen dataclasses whose fields are their parameters.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    paper: ClassVar[str]
    images: ClassVar[bool] = False
    ensembles: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        PIECES[cls.name] = cls

    def check_source(self, model: Model) -> None:
        """Raise for a source that the piece is not for."""
        return

    def ahead(self, run: Run, x: torch.Tensor) -> torch.Tensor:
        """Where the gradient is taken instead of at ``x``."""
        return x

    def direction(self, run: Run, gradient: torch.Tensor) -> torch.Tensor:
        """The way to go instead of along the gradient."""
        return gradient

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        """The gradient instead of ``ask(x)``."""
        return ask(x)

    def change(self, run: Run, seen: torch.Tensor) -> torch.Tensor:
        """What the model sees instead of samples (n, ...): one or more copies of each, (k * n, ...)."""
        return seen

    def slope(self, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Gradient of the loss at the logits."""
        raise NotImplementedError

    def __str__(self) -> str:
        given = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self))
        return f"{type(self).__name__}({given})"


PIECES: dict[str, type[Piece]] = {}


def check_number(piece: Piece, name: str, low: float, high: float = np.inf, *, whole: bool = False) -> None:
    """Raise where a parameter of a piece is not a number in that range."""
    value = getattr(piece, name)
    kind = Integral if whole else Real
    number: Any = value if isinstance(value, kind) and not isinstance(value, (bool, np.bool_)) else np.nan
    if not (low <= number <= high and number < np.inf):
        what = "an integer" if whole else "a number"
        upper = "" if high == np.inf else f" and at most {high:g}"
        raise ValueError(
            f"{type(piece).__name__}({name}=...) must be {what} of at least {low:g}{upper}, got "
            f"{shown(value)}"
        )
