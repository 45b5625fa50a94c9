"""causal_structure: the effective information, sensitivity and degeneracy of a network's layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice, check_random_state
from skhalfway._text import counted, short
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table
from skhalfway.structure._causal_layers import UndersampledWarning as UndersampledWarning
from skhalfway.structure._causal_layers import measure_all
from skhalfway.structure._chain import Chain
from skhalfway.structure._noise import read_wirings

if TYPE_CHECKING:
    import pandas as pd

FIGURES = ("sensitivity", "parts", "information")


@dataclass(frozen=True, eq=False, repr=False)
class CausalStructure(Result):
    """Information in bits that each layer transmits when its inputs are uniform noise.

    Made by :func:`causal_structure` and :class:`CausalCallback`; arrays are
    read-only.

    Parameters
    ----------
    layers : tuple of str
        Names of the layers.
    sensitivity : ndarray of shape (n_layers,) or (n_epochs, n_layers)
        Sum of the mutual information of an input and an output neuron over all such
        pairs, while only that input varies and the others are 0.
    parts : ndarray of the same shape
        EI of parts: the same sum while all inputs vary.
    information : ndarray of the same shape
        Effective information (EI): mutual information of all inputs and all outputs;
        nan where the samples do not fill the joint distribution.
    epochs : ndarray of shape (n_epochs,), default=None
        Epochs of the records, where it was recorded during training.

    See Also
    --------
    CausalStructureDisplay : Draws layers in the causal plane.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.structure import CausalStructure
    >>> CausalStructure(("hidden",), np.array([4.0]), np.array([2.5]), np.array([3.5]))
    CausalStructure: 1 layer, bits
    layer   sensitivity  EI of parts  EI    Phi  degeneracy
    hidden  4.00         2.50         3.50  1.0  .50
    """

    layers: tuple[str, ...]
    sensitivity: NDArray[np.float64]
    parts: NDArray[np.float64]
    information: NDArray[np.float64]
    epochs: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(self.layers))
        shape: tuple[int, ...] = (len(self.layers),)
        if self.epochs is not None:
            object.__setattr__(self, "epochs", frozen(self.epochs, float))
            shape = (len(self.epochs), *shape)
        for name in ("sensitivity", "parts", "information"):
            array = frozen(getattr(self, name), float)
            if array.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
            object.__setattr__(self, name, array)

    @property
    def phi(self) -> NDArray[np.float64]:
        """Phi, the information of inputs together beyond that of each: EI minus EI of parts."""
        return self.information - self.parts

    def degeneracy(self, of: str = "information") -> NDArray[np.float64]:
        """Sensitivity minus effective information: the information lost because inputs interfere.

        Parameters
        ----------
        of : {"information", "parts"}, default="information"
            The effective information that is subtracted:

            - "information": EI, as degeneracy is defined in [1]_. It may be negative, as
              for an AND gate.
            - "parts": EI of parts, as in some figures of [1]_.

        Returns
        -------
        degeneracy : ndarray of shape (n_layers,) or (n_epochs, n_layers)
            Degeneracy in bits.

        Raises
        ------
        ValueError
            If ``of`` is neither.

        References
        ----------
        .. [1] Mattsson, Michaud & Hoel, "Examining the causal structures of deep neural
           networks using information theory", Entropy 22(12):1429, 2020.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.structure import CausalStructure
        >>> CausalStructure(("hidden",), np.array([4.0]), np.array([2.5]), np.array([3.5])).degeneracy()
        array([0.5])
        """
        check_choice("of", of, ("information", "parts"))
        return self.sensitivity - getattr(self, of)

    def plane(self, of: str = "information") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coordinates in the causal plane.

        Parameters
        ----------
        of : {"information", "parts"}, default="information"
            Kind of degeneracy, as for :meth:`degeneracy`.

        Returns
        -------
        x, y : ndarray of shape (n_layers,) or (n_epochs, n_layers)
            (sensitivity - degeneracy) / sqrt(2) and (sensitivity + degeneracy) /
            sqrt(2). Layers to the right are more sensitive, and those to the left are
            more degenerate.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.structure import CausalStructure
        >>> structure = CausalStructure(("hidden",), np.array([4.0]), np.array([2.5]), np.array([3.5]))
        >>> x, y = structure.plane()
        >>> x.round(2), y.round(2)
        (array([2.47]), array([3.18]))
        """
        degeneracy = self.degeneracy(of)
        return (self.sensitivity - degeneracy) / 2**0.5, (self.sensitivity + degeneracy) / 2**0.5

    def to_frame(self) -> pd.DataFrame:
        """All figures, with a row for each layer (and epoch).

        Returns
        -------
        frame : DataFrame
            Columns epoch (where recorded during training), layer, sensitivity, parts,
            information, phi, degeneracy, and degeneracy of parts.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.structure import CausalStructure
        >>> structure = CausalStructure(("hidden",), np.array([4.0]), np.array([2.5]), np.array([3.5]))
        >>> structure.to_frame()["phi"].tolist()
        [1.0]
        """
        import pandas as pd

        n = 1 if self.epochs is None else len(self.epochs)
        columns: dict[str, Any] = (
            {} if self.epochs is None else {"epoch": np.repeat(self.epochs, len(self.layers))}
        )
        columns |= {"layer": list(self.layers) * n}
        figures = {
            "sensitivity": self.sensitivity,
            "parts": self.parts,
            "information": self.information,
            "phi": self.phi,
            "degeneracy": self.degeneracy(),
            "degeneracy of parts": self.degeneracy("parts"),
        }
        return pd.DataFrame(columns | {name: values.ravel() for name, values in figures.items()})

    def _table(self) -> Table:
        figures = (self.sensitivity, self.parts, self.information, self.phi, self.degeneracy())
        last = [np.atleast_2d(values)[-1] for values in figures]
        rows = [[name, *(short(values[i]) for values in last)] for i, name in enumerate(self.layers)]
        title = f"CausalStructure: {counted(len(self.layers), 'layer')}, bits"
        notes = []
        if self.epochs is not None:
            first, end = self.epochs[[0, -1]]
            title += f", {counted(len(self.epochs), 'record')} from epoch {first:g} to {end:g}"
            notes = ["figures are those of the last record"]
        return Table(
            title, ["layer", "sensitivity", "EI of parts", "EI", "Phi", "degeneracy"], rows, notes=notes
        )


@recorded
def causal_structure(
    estimator: Any,
    *,
    input_range: Any = (0, 1),
    ranges: Mapping[str, Any] | None = None,
    n_bins: int = 8,
    n_samples: int | None = None,
    joint: str = "auto",
    correction: str | None = None,
    random_state: Any = None,
) -> CausalStructure:
    """Measure the information that each layer of a network transmits, with uniform noise as input.

    Each layer is measured alone. Its inputs are independent and uniform over the
    range of the activation before it, whatever the data [1]_. Values are binned with
    equal widths, and information is in bits:

    - *Effective information* (EI) is the mutual information of all inputs and all
      outputs.
    - *EI of parts* is the sum of the mutual information of an input and an output
      neuron over all such pairs, while all inputs vary. *Phi* is EI minus EI of parts:
      the information of inputs together beyond that of each.
    - *Sensitivity* is the same sum while only that input varies and all others are 0.
      *Degeneracy* is sensitivity minus EI.

    According to [1]_, layers move apart in the plane of sensitivity and degeneracy
    during training, which reveals the task and redundant layers.

    Parameters
    ----------
    estimator : object
        Fitted network that is a chain of dense layers: a torch module, skorch
        classifier or ``MLPClassifier``, or a Pipeline that ends in one. A softmax at
        the end is ignored, since it would make outputs depend on each other.
    input_range : (float, float), default=(0, 1)
        Range of the network's own inputs. In a Pipeline, they are what the steps before
        the network return.
    ranges : mapping of str to (float, float), default=None
        Ranges of activations that replace the authors': sigmoid (0, 1), tanh (-1, 1),
        relu (0, 10), none (-10, 10).
    n_bins : int, default=8
        Number of bins for a neuron.
    n_samples : int, default=None
        Number of noise samples. With None it starts at 10,000 and is doubled until no
        figure changes by more than .05 bit, up to 2**20.
    joint : {"auto", "always", "never"}, default="auto"
        Whether to estimate EI.

        - "auto": only where the samples fill the joint distribution of the inputs,
          which takes ``8 * n_bins**n_inputs`` samples. Otherwise EI is nan, with a
          warning.
        - "always": also where they do not. EI is then hardly more than the entropy of
          the outputs.
        - "never": EI is nan.
    correction : {None, "miller-madow"}, default=None
        Correction of the bias of estimates from counts, which is about
        ``(n_bins - 1)**2 / (2 n_samples ln 2)`` bits per pair. It is computed from the
        number of occupied bins.
    random_state : int, RandomState instance or None, default=None
        Source of the noise.

    Returns
    -------
    structure : CausalStructure
        Figures by layer.

    Raises
    ------
    TypeError
        If the estimator is no network.
    ValueError
        If a parameter is invalid, the network is no chain of dense layers, or an
        activation has no range.

    Warns
    -----
    UndersampledWarning
        - If there are too few samples for EI.
        - If there are fewer than two samples for each of the ``n_bins ** 2`` cells of a
          pair of neurons.
        - If EI of parts is too large by a tenth, since there are few samples for many
          pairs.
        - If more than a twentieth of a layer's outputs are outside their range. They
          are left out.

    See Also
    --------
    CausalCallback : Records it while a skorch net is trained.
    network_topology : Loops among neurons.

    Notes
    -----
    Estimates and ranges are those of the authors' code. Their published figures for
    one and two weights are reproduced to within .03 bit, with one exception (tanh,
    weight 4, 64 bins: 3.72 bits, published 3.76). There are three differences. Their
    code leaves samples outside the range out for pairs, but only some of them for EI;
    here both leave all of them out. Their code ignores biases; here layers have their
    own. For sensitivity, the varying input takes 64 evenly spaced values per bin here,
    in place of noise.

    References
    ----------
    .. [1] Mattsson, Michaud & Hoel, "Examining the causal structures of deep neural
       networks using information theory", Entropy 22(12):1429, 2020, arXiv
       2010.13871.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.structure import causal_structure
    >>> X, y = load_iris(return_X_y=True)
    >>> net = MLPClassifier((5, 5), "logistic", tol=0.1, random_state=0).fit(X / 8, y)
    >>> structure = causal_structure(net, n_bins=4, n_samples=20_000, random_state=0)
    >>> structure.layers
    ('layer_0', 'layer_1', 'layer_2')
    """
    wirings = read_wirings(Chain(estimator), input_range, ranges)
    bits = measure_all(
        wirings,
        check_random_state(random_state),
        n_bins=n_bins,
        n_samples=n_samples,
        joint=joint,
        correction=correction,
    )
    return CausalStructure(
        tuple(wirings), *(np.array([getattr(one, name) for one in bits]) for name in FIGURES)
    )
