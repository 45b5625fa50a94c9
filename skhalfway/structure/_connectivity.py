"""connectivity: the effective depth and width of a network, from its graph alone."""

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
# functions that count as layers with weights, where a module calls them with its own parameters
_MAPS = ("linear", "bilinear", "matmul", "mm", "bmm", "addmm", "einsum", "conv1d", "conv2d", "conv3d")
_NORMALISATIONS = tuple(f"torch.nn.modules.{kind}" for kind in ("batchnorm", "instancenorm", "normalization"))


@dataclass(frozen=True, eq=False, repr=False)
class Connectivity(Result):
    """Effective depth and width of a network, over all paths from its input to its output.

    Made by :func:`connectivity`; arrays are read-only.

    Parameters
    ----------
    depth : float
        Effective depth: the mean number of layers with weights on a path; 0 where
        no path has any.
    width : float
        Effective width: the number of paths with weights over the depth.
    n_paths : int
        Number of all paths from the input to the output.
    eigenvalues : ndarray of shape (n_inputs,), default=None
        Eigenvalues, in decreasing order, of the kernel of a wide network with this
        graph at initialisation, divided by the kernel's mean diagonal.

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
        """Smallest eigenvalue of the kernel; the larger it is, the faster the slowest part is learned."""
        return np.nan if self.eigenvalues is None else float(self.eigenvalues[-1])

    def to_frame(self) -> pd.DataFrame:
        """All figures, in a single row.

        Returns
        -------
        frame : DataFrame
            Columns depth, width, n_paths and smallest (eigenvalue).

        Examples
        --------
        >>> from skhalfway.structure import Connectivity
        >>> Connectivity(depth=1.0, width=3.0, n_paths=3).to_frame()["width"].tolist()
        [3.0]
        """
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
    """Compute the effective depth and width of a network, and the spectrum of its kernel at initialisation.

    Let d_p be the number of layers with weights on a path p from the input to the
    output. The *effective depth* is the mean of d_p over all paths. The *effective
    width* is the number of paths with weights over that depth [1]_. According to [1]_
    they bound how fast gradient descent converges, through the spectrum of a wide
    network's kernel. Moderate values of both are best.

    Parameters
    ----------
    network : object or iterable of (str, str, {"weights", "skip", "none"})
        - A torch module, skorch classifier or ``MLPClassifier``, trained or not. Its
          graph is traced. Convolutions and dense layers have weights, as modules or as
          functions; poolings, normalisations and activations count as skips.
        - The edges (from, to, kind) of a graph without cycles. It must have one node
          without incoming edges, the input, and one without outgoing edges, the
          output. Each node sums the values of its incoming edges.
    correlation : float or array-like of shape (n_inputs, n_inputs), default=None
        Correlations of the inputs for which the kernel is computed. A float stands for
        ten inputs with that correlation to each other. With None there is no kernel.
    order : {"relu_last", "linear_last"}, default="relu_last"
        What an edge with weights is in the kernel: a linear map followed by a ReLU, as
        in the authors' code, or a ReLU followed by a linear map.

    Returns
    -------
    connectivity : Connectivity
        Depth, width, number of paths and eigenvalues.

    Raises
    ------
    TypeError
        If ``network`` is neither a network nor edges.
    ValueError
        If the graph has a cycle, more than one input or output, or edges of another
        kind; if it cannot be traced; or if a parameter is invalid.

    See Also
    --------
    connectivity_filter : Filters the candidates of a search by depth and width.

    Notes
    -----
    Paths are counted node by node, so their number may be exponential. The kernel is
    that of a neural network Gaussian process (NNGP) with He initialisation. Each edge
    with weights maps a correlation r to ``(sqrt(1 - r**2) + r (pi - arccos r)) / pi``.
    Where branches end in ReLUs, their means are positive, so a sum of branches has cross
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
    """Keep the candidates of a search whose networks have a moderate effective depth and width.

    Nothing is trained: each candidate's network is only initialised and traced.

    Parameters
    ----------
    estimator : object
        Skorch classifier or ``MLPClassifier``, or a Pipeline that ends in one.
    param_grid : dict or list of dict
        Parameter grid, as for ``GridSearchCV``.
    depth : (float, float), default=(0.99, 2.51)
        Smallest and largest effective depth that is kept. The default is that of [1]_
        for NAS-Bench-201; for its DARTS space it is (.5, 1.6).
    width : (float, float), default=(0.99, 3.01)
        Smallest and largest effective width that is kept. The default is that of [1]_
        for NAS-Bench-201; for its DARTS space it is (4, 12).
    n_keep : int, default=None
        Largest number of candidates that are kept. Of those within the limits above,
        they are the nearest to the mean depth and width, each divided by its standard
        deviation [1]_. None keeps all within the limits.

    Returns
    -------
    param_grid : list of dict
        The candidates that are kept, each as one dict, for ``GridSearchCV``.

    Raises
    ------
    TypeError
        If the estimator is no network.
    ValueError
        If no candidate is left, a network cannot be traced, or a parameter is invalid.

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
            f"widths from {least[1]:.3g} to {most[1]:.3g}, but depth={shown(ends[0])} and "
            f"width={shown(ends[1])}; widen these"
        )
    if n_keep is not None and len(kept) > n_keep:
        each = found[kept]
        spread = each.std(axis=0)
        apart = (each - each.mean(axis=0)) / np.where(spread > 0, spread, 1)
        nearest = np.argsort((apart**2).sum(axis=1), kind="stable")[:n_keep]
        kept = np.sort(kept[nearest])
    return [{name: [value] for name, value in candidates[i].items()} for i in kept]


def _of_candidate(estimator: Any, candidate: Mapping[str, Any]) -> tuple[float, float]:
    net = check_network(clone(estimator).set_params(**candidate))[-1]
    with undisturbed():  # initialize draws weights
        found = connectivity(net.initialize() if is_skorch_net(net) else net)
    return found.depth, found.width


def _read_ends(name: str, value: Any) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in value)
    except (TypeError, ValueError):
        low, high = np.nan, np.nan
    if not low <= high:
        raise ValueError(f"{name} must be two numbers (smallest, largest), got {shown(value)}")
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
    """Edges of a module's graph: each call of a layer is an edge; a call with several tensors sums them."""
    from torch import fx, nn

    from skhalfway.models._graph import traced
    from skhalfway.models._views import evaluation_view

    seen = evaluation_view(module)
    seen = seen if any(seen.children()) else nn.Sequential(seen)
    try:
        graph = traced(seen)
    except Exception as error:  # a user's forward may raise anything when traced
        raise ValueError(
            f"the graph of {type(module).__name__} is unknown, since torch.fx cannot trace it "
            f"({brief(error, 100)}); pass its edges"
        ) from error
    edges: list[Edge] = []
    plain = set()  # nodes with shapes and numbers, not tensors
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
        # x + x is two edges, while a layer that takes x twice is one
        given = [one for one in node.args if isinstance(one, fx.Node)] if name in _SUMS else before
        edges += [(one.name, node.name, kind) for one in given if one not in plain and one.op != "get_attr"]
    return edges


def _in_order(edges: list[Edge]) -> list[Any]:
    """All nodes in topological order, the input first and the output last; ValueError where there is none."""
    before: dict[Any, list[Any]] = {}
    for begin, end, _ in edges:
        before.setdefault(begin, [])
        before.setdefault(end, []).append(begin)
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise ValueError(
            f"the graph has a cycle, {shown(error.args[1])}; pass a network without cycles, for example with "
            "unrolled layers"
        ) from error
    first = [node for node in order if not before[node]]
    last = [node for node in order if not any(begin == node for begin, _, _ in edges)]
    if len(first) != 1 or len(last) != 1:
        raise ValueError(
            f"the graph must have one input and one output, but its inputs are {shown(first)} and its "
            f"outputs {shown(last)}; join them"
        )
    return order


def _counted(edges: list[Edge], nodes: list[Any]) -> tuple[int, int, int]:
    """Numbers of paths to the output, of layers with weights on all of these, and of paths without any."""
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
