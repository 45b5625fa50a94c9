"""code_agreement: how similarly two networks encode the same samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import UndefinedMetricWarning

from skhalfway._entries import takes_datasets
from skhalfway._randomness import leaving_no_trace
from skhalfway._text import short
from skhalfway.codes._codemap import CodeMap
from skhalfway.codes._given import fitted_map
from skhalfway.codes._homogeneity import information
from skhalfway.codes._network import joined, read_for_network
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class CodeAgreement(Result):
    """How similarly the layers of two networks encode the same samples.

    Made by :func:`code_agreement`; arrays are read-only.

    Parameters
    ----------
    first : tuple of str
        Names of the layers of the first network.
    second : tuple of str
        Names of the layers of the second network.
    information : ndarray of shape (n_first, n_second)
        Adjusted mutual information of the codes. It is 0 by chance, and 1 where the
        codes of either layer determine those of the other. It is nan where both
        layers have the same code for all samples, or a different code for each.
    cka : ndarray of shape (n_first, n_second)
        Linear centred kernel alignment (CKA) of the activations, from 0 to 1. It is
        nan where the activations of a layer are constant, or there are fewer than 3
        samples.

    See Also
    --------
    CodeAgreementDisplay : Draws both matrices.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.codes import CodeAgreement
    >>> CodeAgreement(("a", "b"), ("c",), np.array([[0.2], [0.4]]), np.array([[0.5], [0.75]]))
    CodeAgreement: 2 layers by 1
    adjusted mutual information of codes / linear CKA of activations
           c
    a  .20 / .50
    b  .40 / .75
    """

    first: tuple[str, ...]
    second: tuple[str, ...]
    information: NDArray[np.float64]
    cka: NDArray[np.float64]

    def __post_init__(self) -> None:
        expected = len(self.first), len(self.second)
        for name in ("first", "second"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("information", "cka"):
            array = frozen(getattr(self, name), float)
            if array.shape != expected:
                raise ValueError(f"{name} must have shape {expected}, got {array.shape}")
            object.__setattr__(self, name, array)

    def to_frame(self) -> pd.DataFrame:
        """Both figures, with a row for each pair of layers.

        Returns
        -------
        frame : DataFrame
            Indexed by (first, second), with columns information and cka.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.codes import CodeAgreement
        >>> agreement = CodeAgreement(("a", "b"), ("c",), np.array([[0.2], [0.4]]), np.array([[0.5], [0.75]]))
        >>> agreement.to_frame().loc[("b", "c")].tolist()
        [0.4, 0.75]
        """
        import pandas as pd

        index = pd.MultiIndex.from_product([self.first, self.second], names=["first", "second"])
        return pd.DataFrame({"information": self.information.ravel(), "cka": self.cka.ravel()}, index=index)

    def _table(self) -> Table:
        rows: list[list[str | Cell]] = []
        for name, *figures in zip(self.first, self.information, self.cka, strict=True):
            pairs = zip(*figures, strict=True)
            rows.append([name, *(Cell(f"{short(a)} / {short(b)}", shade=float(a)) for a, b in pairs)])
        return Table(
            f"CodeAgreement: {len(self.first)} layers by {len(self.second)}",
            ["", *self.second],
            rows,
            "adjusted mutual information of codes / linear CKA of activations",
            centred=True,
        )


@takes_datasets
@leaving_no_trace
@recorded
def code_agreement(first: CodeMap, second: CodeMap, X: Any) -> CodeAgreement:
    """Measure how similarly two networks encode the same samples, for each pair of their layers.

    Parameters
    ----------
    first : CodeMap
        Fitted map of one network.
    second : CodeMap
        Fitted map of the other network.
    X : {array-like, DataFrame, Tensor} of shape (n_samples, n_features)
        Samples that both networks take. Pass samples that were not used for
        training.

    Returns
    -------
    agreement : CodeAgreement
        Adjusted mutual information of codes, and, as a baseline, linear CKA of
        activations [1]_.

    Raises
    ------
    TypeError
        If ``first`` or ``second`` is no CodeMap.
    NotFittedError
        If ``first`` or ``second`` is not fitted.
    ValueError
        If the data is invalid.

    Warns
    -----
    UndefinedMetricWarning
        If a figure is nan.

    Notes
    -----
    For activations X and Y whose columns have mean 0, linear CKA is the squared
    Frobenius norm of Y'X over the product of the Frobenius norms of X'X and
    Y'Y [1]_. Activations are pooled as in the CodeMap, and not standardised. All
    activations are held in memory; those of a layer with more features than there
    are samples, as a square matrix.

    Where the codes of two layers both determine the class, they agree for this
    reason alone. So two good networks agree at their last layers.

    References
    ----------
    .. [1] Kornblith et al., "Similarity of neural network representations
       revisited", ICML 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neural_network import MLPClassifier
    >>> from skhalfway.codes import CodeMap, code_agreement
    >>> X, y = load_iris(return_X_y=True)
    >>> nets = [MLPClassifier(10, solver="lbfgs", max_iter=500, random_state=i).fit(X, y) for i in range(2)]
    >>> first, second = (CodeMap(net, shape=(4, 4), n_iter=2000, random_state=0).fit(X) for net in nets)
    >>> agreement = code_agreement(first, second, X)
    >>> agreement.information.shape
    (2, 2)
    >>> bool((code_agreement(first, first, X).cka.diagonal() > 0.999).all())
    True
    """
    codes, features = [], []
    for code_map in [fitted_map(first), fitted_map(second)]:
        recorded = joined(code_map._encoder.activations(read_for_network(code_map, X, reset=False)))
        codes.append(code_map._encoder.codes_of(recorded).T)
        features.append([_factor(activations) for activations in recorded.values()])
    agreement = CodeAgreement(
        tuple(first.layers_),
        tuple(second.layers_),
        np.array([[information(a, b) for b in codes[1]] for a in codes[0]]),
        np.array([[_linear_cka(a, b) for b in features[1]] for a in features[0]]),
    )
    reasons = {
        "information": "both have the same code for all samples, or a different code for each",
        "cka": "activations of one are constant, or there are fewer than 3 samples",
    }
    for name, why in reasons.items():
        unknown = np.argwhere(np.isnan(getattr(agreement, name)))
        if len(unknown):
            texts = [f"{agreement.first[i]!r} and {agreement.second[j]!r}" for i, j in unknown[:4].tolist()]
            warn(
                f"{name} is nan for {', '.join(texts)}{', ...' * (len(unknown) > 4)}: {why}",
                UndefinedMetricWarning,
            )
    return agreement


def _factor(activations: NDArray[Any]) -> NDArray[np.float64]:
    """Centred activations A; where these have more columns than rows, a square F with FF' = AA'."""
    # constant columns are dropped, since rounding of the mean would leave them slightly off 0
    varying = activations[:, np.ptp(activations, axis=0) > 0].astype(float)
    centred = varying - varying.mean(axis=0)
    if len(centred) >= centred.shape[1]:
        return centred
    triangle: Any = np.linalg.qr(centred.T, mode="r")
    return triangle.T


def _linear_cka(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Linear CKA of centred activations A and B, which depends on AA' and BB' only."""
    if len(a) < 3:  # two points are always on a line, so CKA would be 1
        return np.nan
    own = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(np.linalg.norm(b.T @ a) ** 2 / own) if own > 0 else np.nan
