"""causal_structure: what each layer of a network passes on, and how much of it through single neurons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice, check_integer, check_random_state
from skhalfway._text import counted, percent, short
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Table
from skhalfway.structure._chain import Chain
from skhalfway.structure._information import Bits, Wiring, can_be_told, measured
from skhalfway.structure._noise import read_wirings

if TYPE_CHECKING:
    import pandas as pd

_MUCH_OUTSIDE = 0.05
_SAMPLES_A_CELL = 2  # fewer leave most cells of a pair of neurons empty, which no correction mends
_LEAST_EXCESS, _MUCH_EXCESS = 0.05, 0.1  # bits, and share, of the sum over pairs, beyond which it is said
FIGURES = ("sensitivity", "parts", "information")


class UndersampledWarning(UserWarning):
    """Too few samples for the joint distribution of a layer's inputs, or for as many pairs.

    Examples
    --------
    >>> from skhalfway.structure import UndersampledWarning
    >>> issubclass(UndersampledWarning, UserWarning)
    True
    """


@dataclass(frozen=True, eq=False, repr=False)
class CausalStructure(Result):
    """What each layer passes on, in bits, while it is fed with uniform noise.

    Made by :func:`causal_structure` and :class:`CausalCallback`; arrays are
    read-only.

    Parameters
    ----------
    layers : tuple of str
        Names of the layers.
    sensitivity : ndarray of shape (n_layers,) or (n_epochs, n_layers)
        Sum over pairs of an input and an output neuron of their mutual
        information while that input alone varies and the others are 0.
    parts : ndarray of the same shape
        Sum over pairs while all inputs vary.
    information : ndarray of the same shape
        Effective information: mutual information of all inputs and all outputs;
        nan where the samples do not fill the joint distribution.
    epochs : ndarray of shape (n_epochs,), default=None
        Where it was recorded along training.

    See Also
    --------
    CausalStructureDisplay : Draws it, in the causal plane.

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
        """What inputs tell together beyond what each tells: EI less that of the parts."""
        return self.information - self.parts

    def degeneracy(self, of: str = "information") -> NDArray[np.float64]:
        """Sensitivity less effective information: what inputs could tell, were they not in each other's way.

        Parameters
        ----------
        of : {"information", "parts"}, default="information"
            Less the effective information, as it is defined in [1]_; or less that
            of the parts, as some figures of [1]_ draw it. The first may be negative:
            for a gate "and" it is.

        Returns
        -------
        degeneracy : ndarray of shape (n_layers,) or (n_epochs, n_layers)
            In bits.

        Raises
        ------
        ValueError
            If ``of`` is neither.

        References
        ----------
        .. [1] Mattsson, Michaud & Hoel, "Examining the causal structures of deep neural
           networks using information theory", Entropy 22(12):1429, 2020.
        """
        check_choice("of", of, ("information", "parts"))
        return self.sensitivity - getattr(self, of)

    def plane(self, of: str = "information") -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Coordinates in the causal plane.

        Parameters
        ----------
        of : {"information", "parts"}, default="information"
            Which degeneracy.

        Returns
        -------
        x, y : ndarray of shape (n_layers,) or (n_epochs, n_layers)
            (sensitivity - degeneracy) / sqrt(2) and (sensitivity + degeneracy) /
            sqrt(2): to the right a layer is more sensitive, to the left more
            degenerate.
        """
        degeneracy = self.degeneracy(of)
        return (self.sensitivity - degeneracy) / 2**0.5, (self.sensitivity + degeneracy) / 2**0.5

    def to_frame(self) -> pd.DataFrame:
        """One row per layer, and per epoch where it was recorded along training."""
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
    """Measure what each layer of a network passes on, by feeding it with uniform noise.

    Each layer is taken alone: its inputs are independent and uniform over the
    range of the activation before it, whatever the data [1]_. In bits of bins of
    equal width:

    - the *effective information* (EI) is the mutual information of all inputs and
      all outputs;
    - the *EI of the parts* is the sum over pairs of an input and an output neuron
      of theirs, while all inputs vary; EI less that is *Phi*, what inputs tell
      together beyond what each tells;
    - the *sensitivity* is the same sum while only that input varies and all others
      are 0; less EI it is the *degeneracy*.

    By [1]_, layers come apart in the plane of sensitivity and degeneracy as a
    network is trained, and the task and redundant layers show there.

    Parameters
    ----------
    estimator : object
        Fitted network of dense layers, one after another: a torch module, skorch
        classifier or ``MLPClassifier``, or a Pipeline that ends in one. A softmax at
        the end does not count: it ties outputs to each other.
    input_range : (float, float), default=(0, 1)
        Range of the network's own inputs.
    ranges : mapping of str to (float, float), default=None
        Ranges of activations, in place of the authors': sigmoid (0, 1), tanh (-1, 1),
        relu (0, 10), none (-10, 10).
    n_bins : int, default=8
        Bins of a neuron.
    n_samples : int, default=None
        Points of noise. None: 10,000, and twice as many again until no figure
        changes by .05 bit, at most 2**20.
    joint : {"auto", "always", "never"}, default="auto"
        Whether to estimate EI. "auto": where the samples fill the joint
        distribution of the inputs, of which it takes ``8 * n_bins**n_inputs``;
        elsewhere it is nan, with a warning. "always" estimates it all the same:
        then it is the entropy of the outputs more than anything.
    correction : {None, "miller-madow"}, default=None
        Estimates from counts are too large by about ``(n_bins - 1)**2 / (2 n_samples
        ln 2)`` bits a pair; the correction takes that off, by bins that occur.
    random_state : int, RandomState instance or None, default=None
        Draws the noise.

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
        If EI is not to be told; the sum over pairs is too large by a tenth, as that
        of many pairs is with few samples; there are fewer than two samples for each of
        the ``n_bins ** 2`` cells of a pair; or an output is outside its range more
        often than once in twenty, where samples are left out.

    See Also
    --------
    CausalCallback : Records it while a skorch net is trained.
    network_topology : Loops among neurons.

    Notes
    -----
    Estimates and ranges are those of the authors' code, whose published figures
    for one and two weights are met to .03 bit, but for one (tanh, weight 4, 64
    bins: 3.72 bits, published 3.76). It leaves samples beyond the range
    out for pairs, and some of them for EI; here both leave all of them out. It
    uses no biases; here a layer has its own. Where only one input varies, it takes
    64 even places a bin, in place of noise.

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


def measure_all(
    wirings: Mapping[str, Wiring],
    rng: np.random.RandomState,
    *,
    n_bins: int,
    n_samples: int | None,
    joint: str,
    correction: str | None,
    warns: bool = True,
) -> list[Bits]:
    """Figures of all layers, and what is to be said of them."""
    check_integer("n_bins", n_bins, least=2)
    if n_samples is not None:
        check_integer("n_samples", n_samples, least=2)
    check_choice("joint", joint, ("auto", "always", "never"))
    if correction is not None:
        check_choice("correction", correction, ("miller-madow",))
    found, untold = [], []
    for name, wiring in wirings.items():
        told = can_be_told(wiring.n_inputs, n_bins, n_samples)
        if not told and joint != "never":
            untold.append(f"{name!r} ({counted(wiring.n_inputs, 'input')})")
        together = told if joint == "auto" else joint == "always"
        bits = measured(
            wiring,
            n_bins=n_bins,
            n_samples=n_samples,
            joint=together,
            corrected=correction is not None,
            rng=rng,
        )
        found.append(bits)
    if warns:
        _say(wirings, found, untold, joint, n_bins)
    return found


def _say(
    wirings: Mapping[str, Wiring], found: list[Bits], untold: list[str], joint: str, n_bins: int
) -> None:
    if untold:
        then = "is nan" if joint == "auto" else "says more of the number of samples than of the layer"
        warn(
            f"the samples do not fill the joint distribution of {n_bins} bins of the inputs of layers "
            f"{', '.join(untold)}, so that their effective information {then}; lower n_bins, raise "
            "n_samples, or pass joint='never'",
            UndersampledWarning,
        )
    cells = n_bins**2
    least = _SAMPLES_A_CELL * cells
    told = list(zip(wirings, found, strict=True))
    few = [name for name, one in told if one.n_samples < least]
    if few:
        warn(
            f"EI of parts of layers {', '.join(few)} says more of the number of samples than of the layer, "
            f"corrected or not: {found[0].n_samples} samples for {cells} cells of each pair of neurons; "
            f"raise n_samples to {least:,} or more, or lower n_bins",
            UndersampledWarning,
        )
    large = {
        name: one.excess
        for name, one in zip(wirings, found, strict=True)
        if name not in few and one.excess > max(_LEAST_EXCESS, _MUCH_EXCESS * one.parts)
    }
    if large:
        bits = ", ".join(f"{name!r} {excess:.3g} bits" for name, excess in large.items())
        warn(
            f"EI of parts, a sum over pairs of neurons, is too large for want of samples, by about: {bits}; "
            "raise n_samples, or pass correction='miller-madow'",
            UndersampledWarning,
        )
    outside = {
        name: one.outside for name, one in zip(wirings, found, strict=True) if one.outside > _MUCH_OUTSIDE
    }
    if outside:
        shares = ", ".join(f"{name!r} {percent(share)}" for name, share in outside.items())
        warn(
            f"outputs lie outside the range of their activation and are left out: {shares}; widen ranges",
            UndersampledWarning,
        )
