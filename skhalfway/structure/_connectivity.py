"""connectivity: how deep and how wide a network is for what goes through it, by its graph alone."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid
from sklearn.neural_network import MLPClassifier

from skhalfway._checks import check_choice, check_integer
from skhalfway._randomness import undisturbed
from skhalfway._text import brief, counted, shown
from skhalfway.codes._network import check_network
from skhalfway.models._type_checks import is_skorch_net, is_torch_module
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table
from skhalfway.structure._chain import module_of
from skhalfway.structure._kernel import correlations, wide_kernel

if TYPE_CHECKING:
    import pandas as pd

KINDS = ("weights", "skip", "none")
Edge = tuple[Any, Any, str]
_SUMS = ("add", "add_", "iadd")
# functions that multiply by weights, where a module calls them with its own
_MAPS = ("linear", "bilinear", "matmul", "mm", "bmm", "addmm", "einsum", "conv1d", "conv2d", "conv3d")
_NORMALISATIONS = tuple(f"torch.nn.modules.{kind}" for kind in ("batchnorm", "instancenorm", "normalization"))


@dataclass(frozen=True, eq=False, repr=False)
class Connectivity(Result):
    """How deep and wide a network is, over all paths from its input to its output.

    Made by :func:`connectivity`; arrays are read-only.

    Parameters
    ----------
    depth : float
        Effective depth: layers with weights on a path, on average over paths; 0
        where no path has any.
    width : float
        Effective width: paths that have any, over the depth.
    n_paths : int
        Paths from the input to the output, of all kinds.
    eigenvalues : ndarray of shape (n_inputs,), default=None
        Of the kernel that a wide network with this graph starts from, over its
        mean diagonal, falling.

    See Also
    --------
    ConnectivityDisplay : Draws the eigenvalues.

    Examples
    --------
    >>> from skhalfway.structure import Connectivity
    >>> Connectivity(depth=1.0, width=3.0, n_paths=3)
    Connectivity: 3 paths, effective depth 1, effective width 3
    """

    depth: float
    width: float
    n_paths: int
    eigenvalues: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.eigenvalues is not None:
            object.__setattr__(self, "eigenvalues", frozen(self.eigenvalues, float))

    @property
    def smallest(self) -> float:
        """Least eigenvalue of the kernel: the larger, the faster what is learned last is learned."""
        return np.nan if self.eigenvalues is None else float(self.eigenvalues[-1])

    def to_frame(self) -> pd.DataFrame:
        """One row."""
        import pandas as pd

        return pd.DataFrame(
            {
                "depth": [self.depth],
                "width": [self.width],
                "n_paths": [self.n_paths],
                "smallest": [self.smallest],
            }
        )

    def _table(self) -> Table:
        title = f"Connectivity: {counted(self.n_paths, 'path')}, effective depth {self.depth:.3g}, "
        title += f"effective width {self.width:.3g}"
        if self.eigenvalues is not None:
            title += f", least eigenvalue of the kernel {self.smallest:.3g}"
        return Table(title)


@recorded
def connectivity(network: Any, *, correlation: Any = None, order: str = "relu_last") -> Connectivity:
    """Compute effective depth and width of a network, and the spectrum of the kernel it starts from.

    Over all paths p from the input to the output, with d_p layers with weights on
    each, the *effective depth* is the mean of d_p, and the *effective width* the
    number of paths with any over that depth [1]_. By [1]_ they, through the
    spectrum of a wide network's kernel, say how fast gradient descent converges,
    and moderate values of both are to be aimed at.

    Parameters
    ----------
    network : object or iterable of (str, str, {"weights", "skip", "none"})
        A torch module, skorch classifier or ``MLPClassifier``, trained or not, whose
        graph is traced; or the edges (from, to, kind) of a graph without cycles,
        with one node that nothing leads to, the input, and one that leads
        nowhere, the output. A node sums what edges bring. A convolution or dense
        layer has weights, as a module or as a function; a pooling, normalisation or
        activation counts as a skip.
    correlation : float or array-like of shape (n_inputs, n_inputs), default=None
        Of the inputs of which the kernel is computed; a float stands for ten inputs,
        all of that correlation to each other. None: no kernel.
    order : {"relu_last", "linear_last"}, default="relu_last"
        Of an edge with weights in the kernel: a linear map and then a rectifier, as
        in the authors' code; or a rectifier and then the map.

    Returns
    -------
    connectivity : Connectivity
        Depth, width, number of paths and eigenvalues.

    Raises
    ------
    TypeError
        If it is neither a network nor edges.
    ValueError
        If the graph has a cycle, not one input and one output, or edges of other
        kinds; if it cannot be traced; or a parameter is invalid.

    See Also
    --------
    connectivity_filter : Leaves candidates of a search out by it.

    Notes
    -----
    Paths are counted node by node, so that their number may be exponential. The
    kernel is that of neurons (NNGP) with He's initialisation: each edge with weights
    takes a correlation r to ``(sqrt(1 - r**2) + r (pi - arccos r)) / pi``. Where
    branches end in rectifiers, their means are positive, and so a sum has cross
    terms [ours].

    References
    ----------
    .. [1] Chen, Huang, Gong, Hanin & Wang, "Deep architecture connectivity matters for
       its convergence: a fine-grained analysis", NeurIPS 2022, arXiv 2205.05662.

    Examples
    --------
    >>> from skhalfway.structure import connectivity
    >>> chain = [("x", "a", "weights"), ("a", "b", "weights"), ("b", "y", "weights")]
    >>> connectivity(chain, correlation=0.0)
    Connectivity: 1 path, effective depth 3, effective width 0.333, least eigenvalue of the kernel 0.395
    """
    check_choice("order", order, ("relu_last", "linear_last"))
    inputs = None if correlation is None else correlations(correlation)
    edges = _read_edges(network)
    nodes = _in_order(edges)
    n_paths, n_weights, n_bare = _counted(edges, nodes)
    depth = n_weights / n_paths
    width = (n_paths - n_bare) / depth if depth > 0 else 0.0
    eigenvalues = None
    if inputs is not None:
        kernel = wide_kernel(edges, nodes, inputs, order)
        eigenvalues = np.linalg.eigvalsh(kernel)[::-1] / np.mean(np.diag(kernel))
    return Connectivity(float(depth), float(width), n_paths, eigenvalues)


def connectivity_filter(
    estimator: Any,
    param_grid: Any,
    *,
    depth: tuple[float, float] = (0.99, 2.51),
    width: tuple[float, float] = (0.99, 3.01),
    n_keep: int | None = None,
) -> list[dict[str, list[Any]]]:
    """Leave candidates of a search out whose networks are too deep, too shallow, too wide or too narrow.

    Nothing is trained: each candidate's network is made and traced.

    Parameters
    ----------
    estimator : object
        Skorch classifier that candidates are made of.
    param_grid : dict or list of dict
        As ``GridSearchCV`` takes it.
    depth, width : (float, float), default=(0.99, 2.51) and (0.99, 3.01)
        Ends of what is kept, of effective depth and width: those of [1]_ for
        NAS-Bench-201. For its DARTS space they are (.5, 1.6) and (4, 12).
    n_keep : int, default=None
        Of those that are kept, only as many, nearest to their mean depth and width,
        each over its standard deviation [1]_. None: all.

    Returns
    -------
    param_grid : list of dict
        The candidates that are left, one for each dict, as ``GridSearchCV`` takes them.

    Raises
    ------
    TypeError
        If the estimator makes no network.
    ValueError
        If none is left, a network cannot be traced, or a parameter is invalid.

    References
    ----------
    .. [1] Chen, Huang, Gong, Hanin & Wang, "Deep architecture connectivity matters for
       its convergence: a fine-grained analysis", NeurIPS 2022, arXiv 2205.05662.

    Examples
    --------
    >>> from torch import nn
    >>> from skorch import NeuralNetClassifier
    >>> from skhalfway.structure import connectivity_filter
    >>> class Net(nn.Sequential):
    ...     def __init__(self, n_layers=2):
    ...         super().__init__(*(layer for _ in range(n_layers) for layer in (nn.Linear(4, 4), nn.ReLU())))
    >>> grid = {"module__n_layers": [1, 2, 3]}
    >>> connectivity_filter(NeuralNetClassifier(Net), grid, width=(0.4, 3))
    [{'module__n_layers': [1]}, {'module__n_layers': [2]}]
    """
    ends = [_read_ends(name, value) for name, value in (("depth", depth), ("width", width))]
    if n_keep is not None:
        check_integer("n_keep", n_keep)
    candidates = list(ParameterGrid(param_grid))
    found = np.array([_of_candidate(estimator, candidate) for candidate in candidates])
    kept = np.flatnonzero(
        np.all(
            [(low <= column) & (column <= high) for (low, high), column in zip(ends, found.T, strict=True)],
            axis=0,
        )
    )
    if not len(kept):
        least, most = found.min(axis=0), found.max(axis=0)
        raise ValueError(
            f"no candidate is left: their effective depths go from {least[0]:.3g} to {most[0]:.3g} and their "
            f"widths from {least[1]:.3g} to {most[1]:.3g}, kept are {shown(ends[0])} and {shown(ends[1])}; "
            "widen depth or width"
        )
    if n_keep is not None and len(kept) > n_keep:
        each = found[kept]
        spread = each.std(axis=0)
        apart = (each - each.mean(axis=0)) / np.where(spread > 0, spread, 1)
        nearest = np.argsort((apart**2).sum(axis=1), kind="stable")[:n_keep]
        kept = np.sort(kept[nearest])
    return [{name: [value] for name, value in candidates[i].items()} for i in kept]


def _of_candidate(estimator: Any, candidate: Mapping[str, Any]) -> tuple[float, float]:
    net = clone(estimator).set_params(**candidate)
    if not is_skorch_net(net):
        raise TypeError(
            f"candidates are made of a skorch classifier, whose module has a graph; got {type(net).__name__}"
        )
    with undisturbed():  # first weights are drawn
        found = connectivity(net.initialize().module_)
    return found.depth, found.width


def _read_ends(name: str, value: Any) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in value)
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not low <= high:
        raise ValueError(f"{name} must be two numbers (least, most), got {shown(value)}")
    return low, high


def _read_edges(network: Any) -> list[Edge]:
    if isinstance(network, Iterable) and not is_torch_module(network) and not isinstance(network, str):
        edges = [tuple(edge) if isinstance(edge, Iterable) else () for edge in network]
        for edge in edges:
            if len(edge) != 3 or edge[2] not in KINDS or not all(isinstance(end, Hashable) for end in edge):
                raise ValueError(
                    "edges must be (from, to, kind) of names, with a kind of "
                    f"{list(KINDS)}, got {shown(edge)}"
                )
        return [edge for edge in edges if edge[2] != "none"]
    inner = check_network(network)[-1]
    if isinstance(inner, MLPClassifier):  # fitted or not
        hidden = inner.hidden_layer_sizes
        n_layers = len(tuple(hidden)) + 1 if isinstance(hidden, Iterable) else 2
        return [(str(i), str(i + 1), "weights") for i in range(n_layers)]
    return _of_module(module_of(inner)[1])


def _of_module(module: Any) -> list[Edge]:
    """The graph of a module: a call of a layer is an edge, and what is given several tensors sums them."""
    from torch import fx, nn

    from skhalfway.models._graph import traced
    from skhalfway.models._views import evaluation_view

    seen = evaluation_view(module)
    seen = seen if any(seen.children()) else nn.Sequential(seen)
    try:
        graph = traced(seen)
    except Exception as error:  # whatever a forward does with what is no tensor
        raise ValueError(
            f"the graph of {type(module).__name__} cannot be told, since torch.fx cannot trace it "
            f"({brief(error, 100)}); pass its edges"
        ) from error
    edges: list[Edge] = []
    plain = set()  # nodes that are shapes and numbers
    for node in graph.nodes:
        before = node.all_input_nodes
        asks = node.target in ("size", "dim", "numel") or "getattr" in node.name
        if asks or (before and all(one in plain for one in before)):
            plain.add(node)
            continue
        part = seen.get_submodule(str(node.target)) if node.op == "call_module" else nn.Identity()
        name = str(getattr(node.target, "__name__", node.target))
        weighs = any(weight.ndim > 1 for weight in part.parameters())
        if node.op != "call_module":
            weighs = name in _MAPS and any(one.op == "get_attr" for one in before)
        kind = "weights" if weighs and type(part).__module__ not in _NORMALISATIONS else "skip"
        # a sum of twice the same is two edges, a layer that is given it twice is one
        given = [one for one in node.args if isinstance(one, fx.Node)] if name in _SUMS else before
        edges += [(one.name, node.name, kind) for one in given if one not in plain and one.op != "get_attr"]
    return edges


def _in_order(edges: list[Edge]) -> list[Any]:
    """All nodes, each after those that lead to it; the input first and the output last."""
    before: dict[Any, list[Any]] = {}
    for begin, end, _ in edges:
        before.setdefault(begin, [])
        before.setdefault(end, []).append(begin)
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise ValueError(
            f"the graph has a cycle, {shown(error.args[1])}; a network without one is needed, as of layers "
            "that are unrolled"
        ) from error
    first = [node for node in order if not before[node]]
    last = [node for node in order if not any(begin == node for begin, _, _ in edges)]
    if len(first) != 1 or len(last) != 1:
        raise ValueError(
            f"the graph must have one input and one output, but nothing leads to {shown(first)} and nothing "
            f"goes on from {shown(last)}; join them"
        )
    return order


def _counted(edges: list[Edge], nodes: list[Any]) -> tuple[int, int, int]:
    """Paths to the output, layers with weights on all of them together, and paths without any."""
    found: dict[Any, tuple[int, int, int]] = {nodes[0]: (1, 0, 1)}
    for node in nodes[1:]:
        total = [0, 0, 0]
        for begin, end, kind in edges:
            if end != node:
                continue
            n_paths, n_weights, n_bare = found[begin]
            more = (n_paths, n_weights + n_paths, 0) if kind == "weights" else (n_paths, n_weights, n_bare)
            total = [a + b for a, b in zip(total, more, strict=True)]
        found[node] = (total[0], total[1], total[2])
    return found[nodes[-1]]
