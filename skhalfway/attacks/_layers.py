"""Layers of a source that pieces of a recipe read, or whose gradients they change."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import fx, nn

from skhalfway._checks import meant
from skhalfway._text import brief, shown
from skhalfway.attacks._of_ensembles import check_one_layer
from skhalfway.attacks._own_pieces import call
from skhalfway.attacks._pieces import Piece, has
from skhalfway.models._graph import traced

if TYPE_CHECKING:
    from skhalfway.attacks._gradient import Batch
    from skhalfway.attacks._pieces import Run
    from skhalfway.models import Model

Layer = TypeVar("Layer", bound=nn.Module)

_ADDS = (operator.add, operator.iadd, torch.add)


class Wires(AbstractContextManager["Wires"]):
    """Hooks on the layers of a module. They are removed at the end, and can be switched off in between.

    Attributes
    ----------
    run : Run or None
        The batch that is attacked.
    seen : dict
        Output of each recorded layer at the last call, by the layer's name.
    heard : dict
        Name of the layer that each piece records, by piece.
    """

    def __init__(self) -> None:
        self.run: Run | None = None
        self.seen: dict[str, torch.Tensor] = {}
        self.heard: dict[str, str] = {}
        self._on, self._handles = True, list[Any]()

    def __exit__(self, *error: object) -> None:
        while self._handles:
            self._handles.pop().remove()

    def hook(
        self, part: nn.Module, output: Callable[[torch.Tensor, torch.Tensor], torch.Tensor | None]
    ) -> None:
        """Replace a layer's output by ``output(given, output)``, unless that is None."""

        def called(part: nn.Module, given: Any, returned: Any) -> Any:
            if not self._on:
                return None
            if not isinstance(returned, torch.Tensor) or not returned.is_floating_point():
                raise ValueError(
                    f"a layer of type {type(part).__name__} returns {type(returned).__name__}, where pieces "
                    "of a recipe need a tensor of floats; name another layer, or leave the piece out"
                )
            return output(given[0], returned)

        self._handles.append(part.register_forward_hook(called))

    def listen(self, module: nn.Module, piece: OnLayer) -> nn.Module:
        """Record the output of a piece's layer; return that layer."""
        name = _middle(module) if piece.layer is None else piece.layer
        (part,) = named_layers(module, [name])

        def note(given: torch.Tensor, output: torch.Tensor) -> None:
            self.seen[name] = output

        self.hook(part, note)
        self.heard[piece.name] = name
        return part

    def look(self, batch: Batch) -> None:
        """Call the source once without hooks, since a torch module is inspected at its first call."""
        if self._handles:
            with torch.no_grad(), self.cut():
                batch.logits(batch.ball.x0)

    def said(self, piece: Piece) -> torch.Tensor:
        """Output of a piece's layer at the last call."""
        name = self.heard[piece.name]
        if name not in self.seen:
            raise ValueError(
                f"layer {name!r} is never called, as parts of a larger layer are not; name another layer"
            )
        return self.seen[name]

    @contextmanager
    def cut(self) -> Iterator[None]:
        """Context in which hooks do nothing."""
        before, self._on = self._on, False
        try:
            yield
        finally:
            self._on = before


def wired(model: Model, pieces: Iterable[Piece], device: Any) -> tuple[Model, Wires]:
    """The source on a device, with the pieces' hooks on a view of its module that is not shared."""
    wires = Wires()
    wiring = [piece for piece in pieces if has(piece, "wire")]
    if not wiring:
        return model.on(device), wires
    model = model.apart().on(device)
    assert model.module is not None
    with ExitStack() as undone:
        undone.push(wires)
        for piece in wiring:
            call(piece, "wire", model.module, wires)
        undone.pop_all()
    return model, wires


class OnLayer(Piece):
    """Base of pieces that use one layer, given by its name; None is the one in the middle."""

    needs = "hidden layers"
    layer: str | None

    def check_layer(self) -> None:
        """Raise for a ``layer`` that is not a name."""
        if self.layer is not None and not isinstance(self.layer, str):
            raise TypeError(
                f"{type(self).__name__}(layer=...) must be the name of a layer as in named_modules(), or "
                f"None, got {shown(self.layer)}"
            )

    def check_source(self, model: Model) -> None:
        check_one_layer(model, type(self).__name__)


def named_layers(module: nn.Module, names: Iterable[str]) -> list[nn.Module]:
    """Layers of a module by their names in ``named_modules()``; an error lists the names that exist."""
    parts = {name: part for name, part in module.named_modules() if name}
    names = list(names)
    for name in names:
        if name not in parts:
            raise ValueError(
                f"{type(module).__name__} has no layer {shown(name)}; its layers are "
                f"{shown(list(parts))}{meant(name, list(parts))}"
            )
    return [parts[name] for name in names]


def layers_of(module: nn.Module, kinds: tuple[type[Layer], ...], what: str) -> list[Layer]:
    """All layers of some types; raises if there are none."""
    found = [part for part in module.modules() if isinstance(part, kinds)]
    if not found:
        named = " or ".join(f"nn.{kind.__name__}" for kind in kinds)
        raise ValueError(
            f"{what} changes layers {named}, and {type(module).__name__} has none; functions such as "
            "torch.relu are not seen, so write them as layers, or leave the piece out"
        )
    return found


def weighted_layers(module: nn.Module) -> dict[str, nn.Module]:
    """Layers that multiply by weights, except those inside attention, which are not called by themselves."""
    inside = {
        part
        for attention in module.modules()
        if isinstance(attention, nn.MultiheadAttention)
        for part in attention.modules()
    }
    return {
        name: part
        for name, part in module.named_modules()
        if name and part not in inside and any(w.ndim > 1 for w in part.parameters(recurse=False))
    }


def _middle(module: nn.Module) -> str:
    """The layer with weights in the middle."""
    names = list(weighted_layers(module))
    if len(names) < 2:
        raise ValueError(
            f"{type(module).__name__} has no hidden layer with weights, which losses on features need; take "
            "another loss, or name a layer, as in FeatureImportance(layer=...)"
        )
    return names[(len(names) - 1) // 2]


def residual_branches(module: nn.Module) -> list[str]:
    """Names of the layers whose output is added to a skip connection, found in the traced graph."""
    try:
        graph = traced(module)
    except Exception as error:  # a forward may raise anything when torch.fx traces it
        raise ValueError(
            f"the residual branches of {type(module).__name__} cannot be found, since torch.fx cannot trace "
            f"it ({brief(error, 100)}); name the last layer of each, as SkipGradient(layers=[...])"
        ) from error
    before: dict[fx.Node, set[fx.Node]] = {}
    found = []
    for node in graph.nodes:
        inputs = node.all_input_nodes
        before[node] = set(inputs).union(*(before[one] for one in inputs)) if inputs else set()
        added = node.target in _ADDS if node.op == "call_function" else node.target in ("add", "add_")
        if not added or node.op not in ("call_function", "call_method") or len(inputs) != 2:
            continue
        left, right = ({one, *before[one]} for one in inputs)
        if not left & right:  # the two terms of the sum have no common input
            continue
        own = [sum(one.op == "call_module" for one in own) for own in (left - right, right - left)]
        branch = inputs[0] if own[0] > own[1] else inputs[1]
        if max(own) and branch.op == "call_module":
            found.append(str(branch.target))
    if not found:
        raise ValueError(
            f"{type(module).__name__} has no residual branch, that is no layer whose output is added to a "
            "skip connection; leave SkipGradient out, or name the last layer of each branch, as "
            "SkipGradient(layers=[...])"
        )
    return found
