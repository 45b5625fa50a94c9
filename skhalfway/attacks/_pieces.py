"""What pieces of gradient attacks are, and what they may do in the one loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray

from skhalfway._text import shown
from skhalfway.attacks._pool import Pool

if TYPE_CHECKING:
    from torch import nn

    from skhalfway._streams import Streams
    from skhalfway.attacks._gradient import Batch
    from skhalfway.attacks._layers import Wires
    from skhalfway.models import Model

Gradient = Callable[[torch.Tensor], torch.Tensor]

KINDS = ("step", "gradient", "input", "loss", "model")


class Following(NamedTuple):
    """What a recipe follows instead of the margin at a sample.

    Attributes
    ----------
    change : callable or None
        Makes of what the source would see, (n, ...), something else, or several copies (k * n, ...).
    weigh : callable
        Of logits (k * n, n_classes) and where labels are: outputs of the source, and their weights; the sum
        of the products is followed.
    n_copies : int, default=1
        Of how many copies the mean is taken, those of other calls included.
    """

    change: Callable[[torch.Tensor], torch.Tensor] | None
    weigh: Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    n_copies: int = 1


def at_logits(
    slope: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """What weighs logits by a loss's gradient at them."""
    return lambda logits, own: (logits, slope(logits, own))


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
    n_steps : int
        How many steps are taken.
    streams : Streams
        Draws of each sample, which depend on no other.
    wires : Wires
        The layers of the source that pieces asked for.
    image_shape : tuple of int or None
        Channels, height and width of samples that are flat.
    at : Tensor or None
        Where the samples are, even where the gradient is taken ahead of that.
    step : int
        Number of the step.
    kept : dict
        By piece, whatever it remembers from step to step.
    lanes : tuple of str
        Of each copy of the batch that is asked for now, which points and copies of a step it is: they draw
        apart, so that it does not matter how many are asked for at once.
    """

    batch: Batch
    size: float
    eps: float
    n_steps: int
    streams: Streams
    wires: Wires
    image_shape: tuple[int, ...] | None = None
    at: torch.Tensor | None = None
    step: int = 0
    kept: dict[Any, Any] = field(default_factory=dict)
    lanes: tuple[str, ...] = ("",)
    _drawn: dict[str, Streams] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """How many samples there are."""
        return len(self.batch.own)

    def uniform(self, piece: Piece, n_rows: int, *shape: int, what: str = "") -> torch.Tensor:
        """Numbers between 0 and 1, of shape (n_rows, *shape), for copies of the batch's samples in turn.

        What a sample gets depends neither on other pieces' draws nor on how many copies are drawn at once;
        ``what`` tells the draws of one piece apart.
        """
        # more rows than copies: a layer that lays out each sample as several rows
        several, rest = divmod(n_rows, self.n * len(self.lanes))
        if rest or not several:
            raise ValueError(
                f"{piece.name!r} meets {n_rows} rows for {self.n * len(self.lanes)} samples, so it cannot "
                "tell which are whose; leave it out"
            )
        drawn = []
        for lane in self.lanes:
            name = f"{piece.name} {what}{lane}"
            if name not in self._drawn:
                self._drawn[name] = self.streams.apart(crc32(name.encode()))
            drawn.append(self._drawn[name].uniform(np.arange(self.n), several, *shape))
        numbers = np.concatenate(drawn).reshape(n_rows, *shape)
        return torch.from_numpy(numbers).to(**self.batch.place)

    @contextmanager
    def inside(self, numbers: Iterable[int]) -> Iterator[None]:
        """Context in which so many points or copies are asked for at once, one copy of all after another."""
        before = self.lanes
        self.lanes = tuple(f"{lane}.{number}" for number in numbers for lane in before)
        try:
            yield
        finally:
            self.lanes = before

    def as_seen(self, change: torch.Tensor) -> torch.Tensor:
        """What a change of samples, in the budget's units, is to the model; images may be given for rows."""
        region, rows = self.batch.problem.region, self.batch.rows
        if region.unit is None:
            return change
        unit = torch.tensor(region.unit[rows] if region.unit.ndim == region.X.ndim else region.unit)
        flat = change.reshape(-1, self.n, *region.X.shape[1:])
        return (flat * unit.to(**self.batch.place)).reshape(change.shape)

    def original(self, n_rows: int) -> torch.Tensor:
        """What the model sees of the samples that are attacked, as often as there are copies."""
        if "original" not in self.kept:
            x0, view = self.batch.ball.x0, self.batch.view
            self.kept["original"] = x0 if view is None else view(x0).detach()
        original: torch.Tensor = self.kept["original"]
        return repeated(original, n_rows // self.n)

    def pool(self) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """Samples that are attacked, as the model sees them, and their classes, in whose order they are.

        nan where a sample holds no number.
        """
        if "pool" not in self.kept:
            problem = self.batch.problem
            pool = problem.pool or Pool.of(problem)
            region = pool.problem.region
            # where labels are to be reached, they say nothing of the samples
            labels = pool.predicted if problem.targeted else pool.problem.labels
            X = region.X if region.carried is None else np.where(region.carried, np.nan, region.X)
            order = np.argsort(labels, kind="stable")
            self.kept["pool"] = X[order], labels[order]
        X, labels = self.kept["pool"]
        return X, labels

    def others(self, piece: Piece, n_rows: int, *, of_other_classes: bool = True) -> torch.Tensor:
        """Samples drawn from all that are attacked, as the model sees them, one for each of the copies.

        Of other classes than the one to leave or to reach, if wanted; nan where they hold no number.
        """
        X, labels = self.pool()
        own = np.resize(self.batch.problem.labels[self.batch.rows], n_rows)
        begin, end = (np.searchsorted(labels, own, side) for side in ("left", "right"))
        if not of_other_classes:
            begin, end = np.zeros_like(begin), np.zeros_like(end)
        n_others = len(X) - (end - begin)
        if not n_others.all():
            raise ValueError(
                f"{piece.name!r} mixes samples of different classes, and all {len(X)} samples that are "
                "attacked have one class; give samples of several, or leave the piece out"
            )
        drawn = (self.uniform(piece, n_rows, what="others").double().cpu().numpy() * n_others).astype(np.intp)
        drawn = np.minimum(drawn, n_others - 1)
        drawn += np.where(drawn >= begin, end - begin, 0)
        return torch.tensor(X[drawn], **self.batch.place)

    def summed(self, ask: Gradient, points: Iterable[torch.Tensor]) -> torch.Tensor:
        """Sum of what is asked at points, each of x's shape; as many at once as the batch size allows."""
        total, group, n_asked = None, list[torch.Tensor](), 0

        def asked() -> torch.Tensor:
            with self.inside(range(n_asked, n_asked + len(group))):
                found = ask(torch.cat(group)) if len(group) > 1 else ask(group[0])
            found = found.unflatten(0, (len(group), -1)).sum(dim=0)
            group.clear()
            return found if total is None else total + found

        for point in points:
            group.append(point)
            if len(group) * len(point) + len(point) > self.batch.at_once:
                n_points = len(group)
                total, n_asked = asked(), n_asked + n_points
        if group:
            total = asked()
        assert total is not None
        return total

    def images(self, x: torch.Tensor, piece: Piece) -> torch.Tensor:
        """Samples as images (n, channels, height, width); an error where they are none."""
        return x.reshape(-1, *as_image(piece, x.shape[1:], self.image_shape))


def as_image(piece: Piece, shape: tuple[int, ...], image_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Channels, height and width of samples of a shape; an error where they are no images."""
    images = tuple(shape) if image_shape is None else image_shape
    if len(images) != 3:
        raise ValueError(
            f"{piece.name!r} is for images, and samples have shape {tuple(shape)}; give their shape, as "
            "Recipe(..., image_shape=(channels, height, width)), or leave the piece out"
        )
    if int(np.prod(images)) != int(np.prod(shape)):
        raise ValueError(
            f"image_shape {images} holds {int(np.prod(images))} values, and samples have "
            f"{int(np.prod(shape))}"
        )
    return images


def repeated(x: torch.Tensor, n_times: int) -> torch.Tensor:
    """``x``, one copy of all of it after another."""
    return x if n_times == 1 else x.repeat(n_times, *[1] * (x.ndim - 1))


@dataclass(frozen=True)
class Piece:
    """A piece of a gradient attack; a subclass does what its kind says, and may leave out the rest.

    Subclasses are frozen dataclasses whose fields are their parameters. What they leave out changes nothing.
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    paper: ClassVar[str]
    images: ClassVar[bool] = False
    #: what a source must have, in words
    needs: ClassVar[str] = ""
    #: whether it asks for gradients once a step, so that no other piece may ask it several times
    outermost: ClassVar[bool] = False
    #: whether it uses other samples that are attacked
    mixes: ClassVar[bool] = False
    #: whether what it keeps is of the steps so far, and means nothing where the samples are set back
    of_steps: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        if "name" in vars(cls):  # else it is what several have in common
            PIECES[cls.name] = cls

    @property
    def n_copies(self) -> int:
        """How many copies of each sample :meth:`change` makes."""
        return 1

    @property
    def needs_images(self) -> bool:
        """Whether samples must be images, with these parameters."""
        return self.images

    @property
    def rehearsal(self) -> tuple[int, float]:
        """How many steps are taken, and how much longer ones, before the samples are set back."""
        return 0, 1.0

    def wire(self, module: nn.Module, wires: Wires) -> None:
        """Change how the source's module, which is this attack's own, passes gradients on."""

    def prepare(self, run: Run) -> None:
        """Note what is needed, before the gradient of each step."""

    def check_source(self, model: Model) -> None:
        """Raise for a source that the piece is not for."""

    def ahead(self, run: Run, x: torch.Tensor) -> torch.Tensor:
        """Where the gradient is taken instead of at ``x``."""
        return x

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        """The gradient instead of ``ask(x)``; x has the batch's samples, one copy of all after another."""
        return ask(x)

    def direction(self, run: Run, gradient: torch.Tensor) -> torch.Tensor:
        """The way to go instead of along the gradient."""
        return gradient

    def stride(self, run: Run, direction: torch.Tensor) -> torch.Tensor:
        """The step, in multiples of its length; without one, the norm says which."""
        raise NotImplementedError

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        """What the model sees instead of each row; ``copy`` (n_rows,) says the how manieth copy it is."""
        return seen

    def slope(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Gradient of the loss at the logits."""
        raise NotImplementedError

    def weigh(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs of the source, and the gradient of the loss at them."""
        return logits, self.slope(run, logits, own)

    def __str__(self) -> str:
        given = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self))
        return f"{type(self).__name__}({given})"


PIECES: dict[str, type[Piece]] = {}


def has(piece: Piece, method: str) -> bool:
    """Whether a piece does something of its own there."""
    return getattr(type(piece), method) is not getattr(Piece, method)


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
    if isinstance(value, np.generic):  # so that equal pieces look the same
        object.__setattr__(piece, name, value.item())
