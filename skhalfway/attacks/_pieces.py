"""What pieces of gradient attacks are, and what each may change in the common loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar
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


@dataclass
class Run:
    """The state of an attack on one batch: what pieces may read, and where they keep their own state.

    The attack makes it, and passes it to every method of a :class:`Piece`. Read it, and write to ``kept``
    alone. The other methods and attributes serve pieces of this package, and may change.

    Attributes
    ----------
    n : int
        Number of samples in the batch.
    size : float
        Usual length of a step, in the units of the budget; negative if the loss is to be lowered.
    eps : float
        Budget.
    n_steps : int
        Number of steps.
    step : int
        Number of steps taken so far: 0 in the first step. In ``stride`` the current step is counted already.
    at : Tensor or None
        Where the samples are, in the units of the budget, also if the gradient is taken at other points.
    image_shape : tuple of int or None
        Channels, height and width of images that are given as flat rows.
    kept : dict
        State of each piece, from step to step. A piece writes under its own name.
    batch : Batch
        The samples.
    streams : Streams
        Random numbers of each sample, which depend on no other sample; :meth:`uniform` draws them.
    wires : Wires
        Layers of the source that pieces asked for.
    lanes : tuple of str
        Names of the copies of the batch that are computed now; each has random numbers of its own.

    See Also
    --------
    Piece : Its methods get this as ``run``.

    Examples
    --------
    A piece that keeps the number of each step, and shortens the steps:

    >>> from dataclasses import dataclass
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway import AdversarialGenerator
    >>> from skhalfway.attacks import Piece, Recipe, Run
    >>> seen = []
    >>> @dataclass(frozen=True)
    ... class Shorter(Piece):
    ...     kind, name, paper = "step", "shorter", "an example"
    ...     def length(self, run: Run) -> float:
    ...         seen.append((run.step, run.n_steps, run.n))
    ...         return 1 / (1 + run.step)
    >>> X, y = load_iris(return_X_y=True)
    >>> generator = AdversarialGenerator(attack=Recipe(Shorter()), eps=0.5, max_iter=3).fit(X, y)
    >>> change = generator.generate(X[:2], y[:2]) - X[:2]
    >>> seen
    [(0, 3, 2), (1, 3, 2), (2, 3, 2)]
    >>> round(abs(change).max() / 0.5, 2)  # (1 + 1/2 + 1/3) / 3 of the budget
    np.float64(0.61)
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
        """Random numbers between 0 and 1, of shape ``(n_rows, *shape)``, for copies of the batch's samples.

        The numbers of a sample depend neither on other pieces nor on how many copies are drawn at once;
        ``what`` names the draws if a piece has several.
        """
        # there are more rows than copies if a layer splits each sample into several rows
        several, rest = divmod(n_rows, self.n * len(self.lanes))
        if rest or not several:
            raise ValueError(
                f"{piece.name!r} meets {n_rows} rows for {self.n * len(self.lanes)} samples, so it cannot "
                "assign rows to samples; leave it out"
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
        """Context in which several points or copies of the batch are computed at once."""
        before = self.lanes
        self.lanes = tuple(f"{lane}.{number}" for number in numbers for lane in before)
        try:
            yield
        finally:
            self.lanes = before

    def as_seen(self, change: torch.Tensor) -> torch.Tensor:
        """Convert a perturbation from the budget's units to the model's; it may have the shape of images."""
        region, rows = self.batch.problem.region, self.batch.rows
        if region.unit is None:
            return change
        unit = torch.tensor(region.unit[rows] if region.unit.ndim == region.X.ndim else region.unit)
        flat = change.reshape(-1, self.n, *region.X.shape[1:])
        return (flat * unit.to(**self.batch.place)).reshape(change.shape)

    def original(self, n_rows: int) -> torch.Tensor:
        """The clean samples as the model sees them, repeated for each copy."""
        if "original" not in self.kept:
            x0, view = self.batch.ball.x0, self.batch.view
            self.kept["original"] = x0 if view is None else view(x0).detach()
        original: torch.Tensor = self.kept["original"]
        return repeated(original, n_rows // self.n)

    def pool(self) -> tuple[NDArray[Any], NDArray[np.intp]]:
        """All samples that are attacked, as the model sees them, sorted by class, and their classes.

        Values that are no numbers (categories, missing values) are nan.
        """
        if "pool" not in self.kept:
            problem = self.batch.problem
            pool = problem.pool or Pool.of(problem)
            region = pool.problem.region
            # the labels of a targeted attack are not the samples' own
            labels = pool.predicted if problem.targeted else pool.problem.labels
            X = region.X if region.carried is None else np.where(region.carried, np.nan, region.X)
            order = np.argsort(labels, kind="stable")
            self.kept["pool"] = X[order], labels[order]
        X, labels = self.kept["pool"]
        return X, labels

    def others(self, piece: Piece, n_rows: int, *, of_other_classes: bool = True) -> torch.Tensor:
        """Samples drawn from all that are attacked, as the model sees them, one for each of the copies.

        With ``of_other_classes``, their class is not the one to leave or to reach. Values that are no numbers
        are nan.
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
        """Sum of gradients at points, each of x's shape; as many at once as the batch size allows."""
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
        """Samples as images (n, channels, height, width); raises if they are none."""
        return x.reshape(-1, *as_image(piece, x.shape[1:], self.image_shape))


def as_image(piece: Piece, shape: tuple[int, ...], image_shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """Channels, height and width of samples of a shape; raises if they are no images."""
    images = tuple(shape) if image_shape is None else image_shape
    if len(images) != 3:
        raise ValueError(
            f"{piece.name!r} is for images, and samples have shape {tuple(shape)}; give the shape of an "
            "image, as Recipe(..., image_shape=(channels, height, width)), or leave the piece out"
        )
    if int(np.prod(images)) != int(np.prod(shape)):
        raise ValueError(
            f"image_shape {images} holds {int(np.prod(images))} values, and samples have "
            f"{int(np.prod(shape))}; they must be as many"
        )
    return images


def repeated(x: torch.Tensor, n_times: int) -> torch.Tensor:
    """Copies of ``x``, one after another."""
    return x if n_times == 1 else x.repeat(n_times, *[1] * (x.ndim - 1))


@dataclass(frozen=True)
class Piece:
    """Base class of the pieces of a gradient attack, also of your own.

    Subclasses are frozen dataclasses whose fields are their parameters. A subclass overrides the methods that
    belong to its kind; the methods that it does not override change nothing.

    Attributes
    ----------
    kind : {"step", "gradient", "input", "loss", "model"}
        The part of the attack that it changes; see :class:`Recipe`.
    name : str
        Its name in parameters, as in ``attack__<name>__<parameter>``.
    paper : str
        The paper that it comes from, or ``"ours"``.
    images : bool
        Whether samples must be images.

    See Also
    --------
    Run : What every method gets as ``run``: the state of the attack.
    Recipe : Puts pieces together.

    Notes
    -----
    A piece of your own defines ``kind``, ``name`` (another than those of :func:`list_pieces`) and ``paper``,
    and one or two of these methods. Tensors have a row for each sample of a batch, or for each of its copies.

    - Loss: ``slope(run, logits, own)`` returns the gradient of the loss with respect to the logits, of their
      shape. ``own`` is a mask of that shape, true at the label to leave, or to reach. Attacks raise the loss,
      and targeted attacks lower it.
    - Step: ``length(run)`` returns the length of the step as a multiple of its usual length, a schedule.
      ``direction(run, gradient)`` returns another gradient to follow. ``stride(run, direction)`` returns the
      step itself, in multiples of its length.
    - Gradient: ``gradient(run, x, ask)`` returns another gradient than ``ask(x)``, and may ask at several
      points of the shape of ``x``.
    - Input: ``change(run, seen, copy)`` returns what the model sees instead of the rows ``seen``.
    - Model: ``wire(module, wires)`` changes how gradients pass through the source.

    Methods must not change the tensors that they get. :doc:`/guide/recipes` shows a loss and a schedule.

    Examples
    --------
    >>> from skhalfway.attacks import Momentum, Piece
    >>> isinstance(Momentum(), Piece), Momentum.kind, Momentum.name
    (True, 'step', 'momentum')
    """

    kind: ClassVar[str]
    name: ClassVar[str]
    paper: ClassVar[str]
    images: ClassVar[bool] = False
    #: what a source must have, in words
    needs: ClassVar[str] = ""
    #: whether it must be called once a step, so that no other piece may call it several times
    outermost: ClassVar[bool] = False
    #: whether it uses other samples that are attacked
    mixes: ClassVar[bool] = False
    #: whether its state describes the steps so far, and is invalid once the samples are set back
    of_steps: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        if "name" in vars(cls):  # a class without a name is a common base
            PIECES[cls.name] = cls

    @property
    def n_copies(self) -> int:
        """Number of copies of each sample that :meth:`change` makes."""
        return 1

    @property
    def needs_images(self) -> bool:
        """Whether samples must be images, given the parameters."""
        return self.images

    @property
    def rehearsal(self) -> tuple[int, float]:
        """Number of preliminary steps, and their length in steps, before the samples are set back."""
        return 0, 1.0

    def wire(self, module: nn.Module, wires: Wires) -> None:
        """Change how gradients pass through the source's module, of which the attack has its own view."""

    def prepare(self, run: Run) -> None:
        """Compute what the piece needs before the gradient of each step."""

    def check_source(self, model: Model) -> None:
        """Raise for a source that the piece cannot work with."""

    def ahead(self, run: Run, x: torch.Tensor) -> torch.Tensor:
        """Points at which the gradient is computed, instead of at ``x``."""
        return x

    def gradient(self, run: Run, x: torch.Tensor, ask: Gradient) -> torch.Tensor:
        """Gradient to use instead of ``ask(x)``; x holds one or more copies of the batch."""
        return ask(x)

    def direction(self, run: Run, gradient: torch.Tensor) -> torch.Tensor:
        """Direction of the step, instead of the gradient."""
        return gradient

    def stride(self, run: Run, direction: torch.Tensor) -> torch.Tensor:
        """The step, in multiples of its length, instead of the steepest step of the norm.

        In L2 and L1 it is then scaled to that length, so that only its direction matters.
        """
        raise NotImplementedError

    def length(self, run: Run) -> float:
        """Length of the current step (``run.step``, from 0) in any norm, as a multiple of the usual one."""
        return 1.0

    def change(self, run: Run, seen: torch.Tensor, copy: torch.Tensor) -> torch.Tensor:
        """Inputs of the model instead of the rows ``seen``; ``copy`` (n_rows,) numbers the copies."""
        return seen

    def slope(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """Gradient of the loss with respect to the logits."""
        raise NotImplementedError

    def weigh(self, run: Run, logits: torch.Tensor, own: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs of the source, and the gradient of the loss with respect to them."""
        return logits, self.slope(run, logits, own)

    def __str__(self) -> str:
        given = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self))
        return f"{type(self).__name__}({given})"


PIECES: dict[str, type[Piece]] = {}


def has(piece: Piece, method: str) -> bool:
    """Whether a piece overrides a method."""
    return getattr(type(piece), method) is not getattr(Piece, method)


def check_number(piece: Piece, name: str, low: float, high: float = np.inf, *, whole: bool = False) -> None:
    """Raise if a parameter of a piece is not a number in that range."""
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
