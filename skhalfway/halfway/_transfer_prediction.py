"""TransferPrediction: predicted transfer rates of an attack, with intervals and reliabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom

from skhalfway._checks import is_number
from skhalfway._intervals import ConfidenceInterval, check_level
from skhalfway._text import counted, short, shown
from skhalfway.halfway._predicted import PredictedTransfer
from skhalfway.models._warnings import warn
from skhalfway.results import Result
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

# sample size (sum of parameters) of the beta distribution around a predicted rate, chosen by coverage on the
# development sets of benchmarks/transfer_prediction2.py
WORTH = 5.0
DOUBTFUL = 0.3  # reliability below which a warning is given


@dataclass(frozen=True, eq=False, repr=False)
class TransferPrediction(Result, drawn=False):
    """Predicted transfer rates of an attack, for each source and target.

    ``numpy.asarray`` of it gives the rates. Arrays are read-only.

    Parameters
    ----------
    rates : array-like of shape (n_models, n_models)
        Predicted transfer rates: among the samples that both models classify
        correctly, the share of adversarial examples made on the source (row) that
        fool the target (column). nan where there is no such sample.
    reliability : array-like of shape (n_models, n_models)
        How far the predictions of the models determine the rate, from 0 to 1. It
        is an average over samples that both classify correctly. A sample
        contributes 0 where no boundary was found within reach. Otherwise it
        contributes the share of both boundaries' normals (of their squared length)
        that the directions determine, plus the rest times the trust in how much of
        it both models share. It is near 1 with as many directions as features, and
        decreases with the number of features. nan where ``rates`` is nan.
    eligible : array-like of shape (n_models, n_models)
        Number of samples that both models classify correctly.
    names : sequence of str
        Names of the models.
    eps : float
        Budget of the attack, in input units.
    norm : {np.inf, 2}
        Norm of the budget.

    Raises
    ------
    ValueError
        If shapes and names do not fit together, or shares are out of range.

    See Also
    --------
    skhalfway.HalfwayScorer.predict_transfer : Makes it.
    PredictedTransfer : Shows predicted and measured rates side by side, as :meth:`compare` does.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.halfway import TransferPrediction
    >>> rates, reliability = [[0.9, 0.4], [0.2, 0.8]], [[1.0, 0.9], [0.9, 1.0]]
    >>> eligible = [[95, 90], [90, 92]]
    >>> prediction = TransferPrediction(rates, reliability, eligible, ["lr", "tree"], 0.1, np.inf)
    >>> prediction
    TransferPrediction: 2 models, PGD of eps 0.1 in L-inf
    rate [95 %]; reliability .90 to 1.0
    source       lr             tree
    lr     (.90 [.54 1.0])  .40 [.06 .82]
    tree    .20 [.00 .62]  (.80 [.38 1.0])
    >>> np.asarray(prediction)[0]
    array([0.9, 0.4])
    """

    rates: NDArray[np.float64]
    reliability: NDArray[np.float64]
    eligible: NDArray[np.intp]
    names: tuple[str, ...]
    eps: float
    norm: float

    def __post_init__(self) -> None:
        names: Sequence[str] = tuple(self.names)
        object.__setattr__(self, "names", names)
        n = len(names)
        for name, dtype in (("rates", float), ("reliability", float), ("eligible", np.intp)):
            matrix = frozen(getattr(self, name), dtype)
            if matrix.shape != (n, n):
                raise ValueError(
                    f"{name} must have shape {(n, n)}, a row for each source and a column for each target, "
                    f"for the names {shown(list(names))}; got {matrix.shape}"
                )
            if (matrix < 0).any() or (dtype is float and (matrix > 1).any()):
                raise ValueError(
                    f"{name} must be {'counts' if name == 'eligible' else 'between 0 and 1'}, got values "
                    f"from {np.nanmin(matrix)} to {np.nanmax(matrix)}"
                )
            object.__setattr__(self, name, matrix)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The rates."""
        if copy or (dtype is not None and np.dtype(dtype) != self.rates.dtype):
            return np.array(self.rates, dtype=dtype)
        return self.rates

    def prediction_interval(self, level: float = 0.95) -> ConfidenceInterval:
        """Prediction interval for the rate that an attack would have on these samples.

        The interval covers both the choice of samples and the error of the
        prediction. The measured count is modelled as beta-binomial, with the
        predicted rate as its mean and 5 as the sample size of the beta distribution,
        chosen on development data. The reliability does not narrow intervals: a first
        version in which it did held 82 to 100 % of the rates on data that were held
        out.

        95 % intervals hold 95 to 100 % of the rates of PGD on each of the ten data
        sets of ``benchmarks/transfer_prediction2.md``, half of which the method had
        seen. They are wide, .4 to .7 on average: predictions rank pairs better than
        they estimate a single rate.

        Parameters
        ----------
        level : float, default=0.95
            Share of measured rates that intervals should contain.

        Returns
        -------
        interval : ConfidenceInterval
            ``low`` and ``high``, of shape (n_models, n_models); nan where there is no
            rate.

        Raises
        ------
        ValueError
            If ``level`` is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.halfway import TransferPrediction
        >>> prediction = TransferPrediction([[0.9]], [[1.0]], [[95]], ["lr"], 0.1, np.inf)
        >>> prediction.prediction_interval().low.round(2)
        array([[0.54]])
        """
        check_level(level)
        known = self.eligible > 0
        n = np.where(known, self.eligible, 1)
        mean = np.where(known, (self.rates * n + 0.5) / (n + 1), 0.5)
        ends = [
            np.where(known, betabinom.ppf(share, n, WORTH * mean, WORTH * (1 - mean)) / n, np.nan)
            for share in ((1 - level) / 2, (1 + level) / 2)
        ]
        return ConfidenceInterval(*ends)

    def compare(self, measured: Any) -> PredictedTransfer:
        """Compare predicted rates with measured ones.

        Parameters
        ----------
        measured : TransferMatrix, or array-like of shape (n_models, n_models)
            Measured rates of the same models, under an attack of the same budget
            and norm on the same number of samples.

        Returns
        -------
        both : PredictedTransfer
            Predicted and measured rates, with rank correlations, the mean error of
            the predicted rates, and the 95 % prediction intervals.

        Raises
        ------
        ValueError
            If names or number of the models differ; if a TransferMatrix was measured
            with another budget or norm.

        Warns
        -----
        ModelWarning
            If a TransferMatrix was measured on another number of samples.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.halfway import TransferPrediction
        >>> rates, eligible = [[0.9, 0.4], [0.2, 0.8]], [[95, 90], [90, 92]]
        >>> prediction = TransferPrediction(rates, np.ones((2, 2)), eligible, ["lr", "tree"], 0.1, np.inf)
        >>> prediction.compare([[1.0, 0.3], [0.1, 1.0]]).measured[0, 1]
        np.float64(0.3)
        """
        self._check_measured(measured)
        low, high = self.prediction_interval()
        return PredictedTransfer(self.rates, measured, names=self.names, low=low, high=high)

    def _check_measured(self, measured: Any) -> None:
        """Raise for rates of another budget or norm; warn about another number of samples."""
        theirs, mine = getattr(measured, "provenance", None), self.provenance
        settings = {} if theirs is None else theirs.settings
        wanted = {"eps": self.eps, "eps_unit": "input", "norm": self.norm}
        other = {name: settings.get(name, value) for name, value in wanted.items()}
        if not (
            other["eps_unit"] == "input" and _equal(other["eps"], self.eps) and other["norm"] == self.norm
        ):
            said, needed = (
                ", ".join(f"{name}={value!r}" for name, value in one.items()) for one in (other, wanted)
            )
            raise ValueError(
                f"measured has rates of {said}, and the predicted ones are of {needed}; predict and measure "
                "the same attack, with its budget in input units"
            )
        if theirs is not None and mine is not None and theirs.n_samples != mine.n_samples:
            warn(
                f"the rates were measured on {counted(theirs.n_samples or 0, 'sample')} and predicted on "
                f"{counted(mine.n_samples or 0, 'sample')}; pass the same samples to both"
            )

    def to_frame(self) -> pd.DataFrame:
        """All figures, with a row for each source and target.

        Returns
        -------
        frame : DataFrame
            Indexed by (source, target), with columns rate, low, high (the 95 %
            prediction interval), reliability and eligible.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.halfway import TransferPrediction
        >>> prediction = TransferPrediction([[0.9]], [[1.0]], [[95]], ["lr"], 0.1, np.inf)
        >>> float(prediction.to_frame().loc[("lr", "lr"), "rate"])
        0.9
        """
        import pandas as pd

        low, high = self.prediction_interval()
        index = pd.MultiIndex.from_product([self.names, self.names], names=["source", "target"])
        columns = {"rate": self.rates, "low": low, "high": high}
        columns |= {"reliability": self.reliability, "eligible": self.eligible}
        return pd.DataFrame({name: values.ravel() for name, values in columns.items()}, index=index)

    def _reliable(self) -> str:
        known = self.reliability[~np.isnan(self.reliability)]
        if not known.size:
            return "reliability is not known"
        return f"reliability {short(known.min())} to {short(known.max())}"

    def _table(self) -> Table:
        low, high = self.prediction_interval()
        rows: list[list[str | Cell]] = []
        for i, name in enumerate(self.names):
            cells = [
                Cell(
                    f"{short(self.rates[i, j])} [{short(low[i, j])} {short(high[i, j])}]",
                    shade=float(self.rates[i, j]),
                    framed=i == j,
                )
                for j in range(len(self.names))
            ]
            rows.append([name, *cells])
        norm = "L-inf" if self.norm == np.inf else f"L{self.norm:g}"
        return Table(
            f"TransferPrediction: {counted(len(self.names), 'model')}, PGD of eps {self.eps:g} in {norm}",
            ["source", *self.names],
            rows,
            f"rate [95 %]; {self._reliable()}",
            centred=True,
        )


def _equal(given: Any, eps: float) -> bool:
    return is_number(given) and bool(np.isclose(float(given), eps, rtol=1e-6))
