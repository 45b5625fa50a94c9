"""The graph of a torch module: the inputs of each layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import fx, nn

_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


class _Tracer(fx.proxy.GraphAppendingTracer):
    def create_arg(self, a: Any) -> Any:
        return self.graph.get_attr("given") if isinstance(a, torch.Tensor) else super().create_arg(a)


def traced(module: nn.Module) -> fx.Graph:
    """The graph of a module that no other thread uses.

    ``fx.Tracer`` patches torch globally, so that it would also trace modules that other threads call.
    """
    graph = fx.Graph()
    tracer = _Tracer(graph)

    def seen(name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: tracer.create_proxy("call_module", name, args, kwargs)

    leaves = {
        name: part
        for name, part in module.named_modules()
        if name and type(part).__module__.startswith("torch.nn") and not isinstance(part, _CONTAINERS)
    }
    own = {name: vars(part)["forward"] for name, part in leaves.items() if "forward" in vars(part)}
    try:
        for name, part in leaves.items():
            vars(part)["forward"] = seen(name)
        graph.output(tracer.create_arg(module(tracer.create_proxy("placeholder", "x", (), {}))))
    finally:
        for name, part in leaves.items():
            vars(part).pop("forward", None)
            if name in own:
                vars(part)["forward"] = own[name]
    return graph
