"""network_topology: loops among the neurons of a network, by persistent homology of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from sklearn.base import BaseEstimator

from skhalfway._checks import check_bool, check_integer
from skhalfway._entries import takes_datasets
from skhalfway._inputs import read_samples
from skhalfway._text import counted, shown
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table
from skhalfway.structure._chain import Chain
from skhalfway.structure._persistence import LEVELS, gudhi, persistence
from skhalfway.structure._relevance import relevances

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class NetworkTopology(Result):
    """Components and loops that appear among neurons as weaker and weaker paths are added.

    Made by :func:`network_topology`; arrays are read-only.

    Parameters
    ----------
    components : ndarray of shape (n_components, 2)
        Birth and death of each connected component (persistent homology in dimension
        0), as numbers of levels or as relevances. The death of the last component is
        inf as a level, and 0 as a relevance.
    loops : ndarray of shape (n_loops, 2)
        Birth and death of each loop (dimension 1). Loops that are filled at birth are
        left out.
    n_neurons : tuple of int
        Number of neurons of each layer, from the first layer used to the output.
    levels : ndarray of shape (n_levels,) or None
        Relevances at which paths are added, in decreasing order. None where births
        and deaths are relevances.

    See Also
    --------
    NetworkTopologyDisplay : Draws the persistence diagram.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.structure import NetworkTopology
    >>> levels = np.array([1.0, 0.5, 0.25])
    >>> components, loops = [[1, 2], [1, np.inf]], [[2, 3], [2, 3], [2, np.inf]]
    >>> NetworkTopology(components, loops, (2, 1), levels)
    NetworkTopology: 3 neurons in 2 layers, 3 levels
                                   pairs  finite
    components (dimension 0)       2      1
    loops (dimension 1)            3      2
    hull area of the finite loops  0
    """

    components: NDArray[np.float64]
    loops: NDArray[np.float64]
    n_neurons: tuple[int, ...]
    levels: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        for name in ("components", "loops"):
            array = frozen(getattr(self, name), float)
            if array.ndim != 2 or array.shape[1] != 2:
                raise ValueError(f"{name} must have shape (n, 2), with births and deaths; got {array.shape}")
            object.__setattr__(self, name, array)
        object.__setattr__(self, "n_neurons", tuple(int(n) for n in self.n_neurons))
        if self.levels is not None:
            object.__setattr__(self, "levels", frozen(self.levels, float))

    def _filled(self, pairs: NDArray[np.float64]) -> NDArray[np.float64]:
        """The pairs with a finite death."""
        return pairs[np.isfinite(pairs[:, 1]) if self.levels is not None else pairs[:, 1] > 0]

    @property
    def n_loops(self) -> int:
        """Number of loops that are filled after they appear, the authors' first figure."""
        return len(self._filled(self.loops))

    @property
    def hull_area(self) -> float:
        """Area of the convex hull of the births and deaths of these loops, the authors' second figure."""
        points = np.unique(self._filled(self.loops), axis=0)
        try:
            return float(ConvexHull(points).volume) if len(points) > 2 else 0.0
        except QhullError:  # all points are on a line
            return 0.0

    def to_frame(self) -> pd.DataFrame:
        """Components and loops, one row each.

        Returns
        -------
        frame : DataFrame
            Columns dimension (0 for components, 1 for loops), birth and death.

        Examples
        --------
        >>> from skhalfway.structure import NetworkTopology
        >>> NetworkTopology([[1, 2]], [[2, 3]], (2, 1), [1.0, 0.5, 0.25]).to_frame()["dimension"].tolist()
        [0, 1]
        """
        import pandas as pd

        pairs = np.concatenate([self.components, self.loops])
        dimension = np.repeat([0, 1], [len(self.components), len(self.loops)])
        return pd.DataFrame({"dimension": dimension, "birth": pairs[:, 0], "death": pairs[:, 1]})

    def _table(self) -> Table:
        rows = [
            [name, str(len(pairs)), str(len(self._filled(pairs)))]
            for name, pairs in (
                ("components (dimension 0)", self.components),
                ("loops (dimension 1)", self.loops),
            )
        ]
        rows.append(["hull area of the finite loops", f"{self.hull_area:.4g}", ""])
        levels = "exact relevances" if self.levels is None else counted(len(self.levels), "level")
        neurons, layers = counted(sum(self.n_neurons), "neuron"), counted(len(self.n_neurons), "layer")
        title = f"NetworkTopology: {neurons} in {layers}, {levels}"
        return Table(title, ["", "pairs", "finite"], rows)


@takes_datasets
@recorded
def network_topology(
    estimator: Any,
    X: Any = None,
    *,
    n_layers: int = 3,
    inputs: bool = False,
    levels: Any = "published",
) -> NetworkTopology:
    """Find the loops among neurons that the weights of a network make, by persistent homology.

    The *relevance* of neuron i for neuron j of the next layer is the positive part of
    the weight from i to j, divided by the sum of these parts over all weights into j.
    The relevance of a path is the product of relevances along it. At a threshold t,
    all paths of relevance t or more are added, each as a simplex with all its faces.

    A loop appears where neurons are joined in a ring. It is filled where paths lead
    through three of its neurons at once. While it lasts, its neurons are joined in
    pairs, but not by paths through several of them. According to the authors, loops show an excess of
    neurons and the difficulty of the problem [1]_, and, in later work, overfitting
    [2]_. The method needs no data. It ignores biases and activations.

    Parameters
    ----------
    estimator : object
        Fitted network: a torch module, skorch classifier or ``MLPClassifier``, or a
        Pipeline that ends in one. It must be a chain of dense layers, convolutions and
        poolings. Batch normalisation is folded into the weights.
    X : array-like of shape (n_samples, ...), default=None
        One sample or more, of which only the shape is used. It is required where
        there are convolutions or poolings.
    n_layers : int, default=3
        Number of layers of neurons, counted from the output. The default is the
        authors' number. A pooling counts as a layer.
    inputs : bool, default=False
        Whether the inputs may be the first of these layers. The authors leave them
        out.
    levels : {"published", "exact"} or array-like, default="published"
        Thresholds, in decreasing order.

        - "published": the authors' 64 thresholds, from 1 to 1e-7. Births and deaths
          are numbers of levels, from 1.
        - "exact": each relevance is a threshold. Births and deaths are relevances.

    Returns
    -------
    topology : NetworkTopology
        Births and deaths of components and loops, number of loops and hull area.

    Raises
    ------
    ImportError
        If ``gudhi`` is not installed (extra ``structure``).
    TypeError
        If the estimator is no network.
    ValueError
        If a parameter is invalid, the network is no chain of layers or has fewer
        layers than ``n_layers``, or X is missing or has another shape.

    See Also
    --------
    causal_structure : Information that layers transmit.

    Notes
    -----
    A neuron without positive input weights has relevance 0 from all neurons (the
    authors' code divides 0 by 0). The result does not change if all weights into a
    neuron are multiplied by a positive number, or a negative weight is made more
    negative. The rules for convolutions and poolings are those of the follow-up's code.
    Of both papers only the first page is public to us, so the formulas come from the
    authors' code.

    References
    ----------
    .. [1] Watanabe & Yamana, "Topological measurement of deep neural networks using
       persistent homology", Annals of Mathematics and Artificial Intelligence,
       2022, arXiv 2106.03016.
    .. [2] Watanabe & Yamana, "Overfitting measurement of deep neural networks using
       no data", DSAA 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.structure import network_topology
    >>> X, y = load_digits(return_X_y=True)
    >>> net = MLPClassifier((40, 20), solver="lbfgs", max_iter=500, random_state=0).fit(X / 16, y)
    >>> topology = network_topology(net)
    >>> topology.n_neurons
    (40, 20, 10)
    >>> topology.n_loops > 300
    True
    """
    gudhi()
    check_integer("n_layers", n_layers, least=2)
    check_bool("inputs", inputs)
    thresholds = _read_levels(levels)
    chain = Chain(estimator)
    most = len(chain.layers) + int(bool(inputs))
    if n_layers > most:
        more = "" if inputs or n_layers > most + 1 else ", or inputs=True, which counts the inputs as one"
        raise ValueError(
            f"{chain.name} has {counted(most, 'layer')} of neurons, {'with' if inputs else 'without'} its "
            f"inputs, but n_layers={n_layers}; pass n_layers={most}{more}"
        )
    shape = None if X is None else read_samples(BaseEstimator(), X, reset=True).shape[1:]
    matrices = relevances(chain, n_layers - 1, shape)
    zero, one = persistence(matrices, thresholds)
    if thresholds is None:
        zero, one = np.exp(-zero), np.exp(-one)
    sizes = (len(matrices[0]), *(matrix.shape[1] for matrix in matrices))
    return NetworkTopology(zero, one, sizes, thresholds)


def _read_levels(levels: Any) -> NDArray[np.float64] | None:
    if isinstance(levels, str):
        if levels not in ("published", "exact"):
            raise ValueError(
                f'levels must be "published", "exact" or decreasing numbers, got {shown(levels)}'
            )
        return LEVELS if levels == "published" else None
    try:
        array = np.asarray(levels, dtype=float)
    except (TypeError, ValueError):
        array = np.zeros(0)
    if (
        array.ndim != 1
        or not len(array)
        or not ((array > 0) & (array <= 1)).all()
        or (np.diff(array) >= 0).any()
    ):
        raise ValueError(
            f'levels must be "published", "exact" or decreasing numbers in (0, 1], got {shown(levels)}'
        )
    return array
