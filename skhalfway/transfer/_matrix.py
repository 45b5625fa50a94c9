"""TransferMatrix: the counts of one transfer experiment, and the rates they give."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm as normal
from sklearn.exceptions import UndefinedMetricWarning

from skhalfway._checks import check_choice
from skhalfway._intervals import FEWEST, ConfidenceInterval, check_level, ratio, wilson_interval
from skhalfway._text import named_pairs, short, shown

if TYPE_CHECKING:
    import pandas as pd

    from skhalfway.models import ModelCheck
    from skhalfway.transfer._display import TransferMatrixDisplay

CONDITIONS = {
    "both_correct": "samples that source and target both classify correctly",
    "source_fooled": "samples that source and target both classify correctly and that fool the source",
    "all": "all samples",
}
MASKED = (
    "* gradients possibly masked: other attacks fool this source more often than its own does, so its "
    "rates and the mean are too low"
)


def read_masked(masked: Any, n: int) -> NDArray[np.bool_] | None:
    """Flags for n models, read-only; or None."""
    if masked is None:
        return None
    flags = np.array(masked)
    if flags.shape != (n,) or flags.dtype != bool:
        raise ValueError(f"masked must be None or bools of shape {(n,)}, got {flags.dtype} of {flags.shape}")
    flags.setflags(write=False)
    return flags


def marked(names: Sequence[str], masked: NDArray[np.bool_] | None) -> list[str]:
    """Names, those of sources whose gradients may be masked with the mark of :data:`MASKED`."""
    flags = [False] * len(names) if masked is None else masked
    return [f"{name} *" if flag else name for name, flag in zip(names, flags, strict=True)]


@dataclass(frozen=True, eq=False, repr=False)
class TransferMatrix:
    """Counts of adversarial samples made on each source and tried on each target.

    Row i, column j is about samples attacked on model i (the source) and
    given to model j (the target). The diagonal is the source itself. Made by
    :meth:`skhalfway.TransferScorer.transfer`; arrays are read-only.

    Parameters
    ----------
    names : tuple of str
        Names of the n_models models.
    eligible : ndarray of shape (n_models, n_models)
        Samples that count: the denominator of every rate of the pair.
    fooled : ndarray of shape (n_models, n_models)
        Of those, the adversarial samples that the target misclassifies.
    same_mistake : ndarray of shape (n_models, n_models)
        Of the fooled, those that source and target give the same label.
    noise_fooled : ndarray of shape (n_models, n_models)
        Of the eligible, those that the target misclassifies after random-sign
        noise of the same norm in place of the attack: the control.
    source_eligible, source_fooled : ndarray of shape (n_models,)
        Samples that a source classifies correctly, and of those the ones that
        its own adversarial samples fool, whatever the condition.
    condition : {"both_correct", "source_fooled", "all"}, default="both_correct"
        Which samples are eligible.
    standard_error : float, default=nan
        Of :attr:`mean_rate`, over samples; nan where a pair has fewer than 10.
    checks : dict of str to ModelCheck, default={}
        What may make the rates of each model, by name, mislead: found by the
        check-up before the attacks, and by them.
    masked : bool ndarray of shape (n_models,), default=None
        True where a source's gradients may be masked (see the notes); None where that is not known.

    See Also
    --------
    skhalfway.TransferScorer : Makes it.
    skhalfway.TransferMatrixDisplay : Draws it.

    Notes
    -----
    A model whose gradients tell little of it, by design or by accident, looks
    robust under attacks by gradient, and its row harmless: they are masked [1]_.
    Each source that is attacked by gradient therefore gets second opinions:
    noise of the same size, the samples made on each of the other sources, its
    own at smaller budgets of a curve, and, on 32 to 64 samples, a few queries:
    short steps along the gradient, one along a slope that is estimated from 32
    of them [2]_, and, where its own attack fools less than a quarter, up to 200
    of ``"square"`` on 24 samples.
    A warning says where one of these fools the source more often than its own
    attack does, on the same samples and beyond chance. That is McNemar's test,
    exact and one-sided: of the b + c samples that one of the two attacks alone
    fools, the own one misses b, and P(B >= b) is below the level for a binomial
    B of b + c draws with probability 1/2. The level is .025 for the queries and
    .025 / m for each of the m other opinions: where they are as strong as the
    own attack, chance doubts at most 5 % of the sources. Where ``"pgd"`` with 5
    restarts from random points fools half of up to 64 samples that were missed,
    the own attack was too weak. Else ``masked`` is true, and an attack without a
    gradient, such as ``"hopskipjump"`` or ``"square"``, shows more.

    References
    ----------
    .. [1] Athalye, Carlini & Wagner, "Obfuscated gradients give a false sense
       of security", ICML 2018, section 3.
    .. [2] Uesato et al., "Adversarial risk and the dangers of evaluating
       against weak attacks", ICML 2018, section 4.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway import TransferMatrix
    >>> matrix = TransferMatrix(
    ...     ("net", "tree"),
    ...     eligible=np.array([[100, 80], [80, 90]]),
    ...     fooled=np.array([[95, 20], [4, 81]]),
    ...     same_mistake=np.array([[95, 15], [1, 81]]),
    ...     noise_fooled=np.array([[1, 2], [1, 3]]),
    ...     source_eligible=np.array([100, 90]),
    ...     source_fooled=np.array([95, 81]),
    ... )
    >>> matrix.rates
    array([[0.95, 0.25],
           [0.05, 0.9 ]])
    >>> matrix
    TransferMatrix: 2 models, mean transfer rate 0.150
    rate [95 % interval] at which samples made on the source (row) fool the target (column)
    source       net            tree
    net    (.95 [.89 .98])  .25 [.17 .35]
    tree    .05 [.02 .12]  (.90 [.82 .95])
    """

    names: tuple[str, ...]
    eligible: NDArray[np.int64]
    fooled: NDArray[np.int64]
    same_mistake: NDArray[np.int64]
    noise_fooled: NDArray[np.int64]
    source_eligible: NDArray[np.int64]
    source_fooled: NDArray[np.int64]
    condition: str = "both_correct"
    standard_error: float = np.nan
    checks: Mapping[str, ModelCheck] = field(default_factory=dict)
    masked: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "checks", dict(self.checks))
        n = len(self.names)
        if not self.checks.keys() <= set(self.names):
            raise ValueError(
                f"checks must be of the models {shown(list(self.names))}, got {shown(list(self.checks))}"
            )
        check_choice("condition", self.condition, CONDITIONS)
        for name in (given.name for given in fields(self)[1:7]):
            counts = np.array(getattr(self, name))
            shape = (n,) if name.startswith("source") else (n, n)
            if counts.shape != shape or counts.dtype.kind not in "iu" or (counts < 0).any():
                raise ValueError(
                    f"{name} must hold counts >= 0 of shape {shape} for {n} names, "
                    f"got {counts.dtype} of shape {counts.shape}"
                )
            counts.setflags(write=False)
            object.__setattr__(self, name, counts)
        for part, whole in (
            ("fooled", "eligible"),
            ("same_mistake", "fooled"),
            ("noise_fooled", "eligible"),
            ("source_fooled", "source_eligible"),
        ):
            if (getattr(self, part) > getattr(self, whole)).any():
                raise ValueError(f"{part} cannot be larger than {whole}, of which it is a part")
        object.__setattr__(self, "masked", read_masked(self.masked, n))

    @property
    def different_mistake(self) -> NDArray[np.int64]:
        """Of the fooled, those that source and target do not give the same label."""
        return self.fooled - self.same_mistake

    @property
    def rates(self) -> NDArray[np.float64]:
        """Transfer rates, ``fooled / eligible``; nan where nothing is eligible."""
        return ratio(self.fooled, self.eligible)

    @property
    def noise(self) -> NDArray[np.float64]:
        """Rates of the control, ``noise_fooled / eligible``."""
        return ratio(self.noise_fooled, self.eligible)

    @property
    def source_success(self) -> NDArray[np.float64]:
        """Share of correctly classified samples that fool their own source."""
        return ratio(self.source_fooled, self.source_eligible)

    @property
    def mean_rate(self) -> float:
        """Mean transfer rate over ordered pairs of two models with eligible samples."""
        pairs = self.rates[self._transfers]
        return float(pairs.mean()) if len(pairs) else np.nan

    @property
    def _transfers(self) -> NDArray[np.bool_]:
        return ~np.eye(len(self.names), dtype=bool) & (self.eligible > 0)

    def confidence_interval(self, level: float = 0.95, *, of: str = "rates") -> ConfidenceInterval:
        """Intervals for the rates.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level, between 0 and 1.
        of : {"rates", "noise", "source_success", "mean_rate"}, default="rates"
            Wilson intervals of these rates over samples; for the mean rate a
            normal interval that allows for samples shared by pairs.

        Returns
        -------
        interval : ConfidenceInterval
            ``low`` and ``high``, shaped like the attribute.

        Raises
        ------
        ValueError
            If ``level`` or ``of`` is out of range.
        """
        counts = {
            "rates": (self.fooled, self.eligible),
            "noise": (self.noise_fooled, self.eligible),
            "source_success": (self.source_fooled, self.source_eligible),
        }
        if of in counts:
            return wilson_interval(*counts[of], level)
        if of != "mean_rate":
            raise ValueError(f"of must be one of {[*counts, 'mean_rate']}, got {shown(of)}")
        check_level(level)
        half = normal.ppf((1 + level) / 2) * self.standard_error
        low, high = np.clip([self.mean_rate - half, self.mean_rate + half], 0, 1)
        return ConfidenceInterval(float(low), float(high))

    def to_frame(self, value: str | None = None) -> pd.DataFrame:
        """Return the matrix as a pandas DataFrame.

        Parameters
        ----------
        value : str, default=None
            Name of one matrix ("rates", "eligible", "fooled", "noise"...) for
            a square table, sources in rows and targets in columns. None: one
            row per ordered pair, the diagonal included, with all of them and,
            where it is known, whether the source may be masked.

        Returns
        -------
        frame : pandas.DataFrame
            Square, or indexed by (source, target).

        Raises
        ------
        ValueError
            If ``value`` is not the name of a matrix.
        """
        import pandas as pd

        counts = ("eligible", "fooled", "same_mistake", "different_mistake")
        if value is not None:
            allowed = (*counts, "noise_fooled", "rates", "noise")
            if value not in allowed:
                raise ValueError(f"value must be None or one of {list(allowed)}, got {shown(value)}")
            return pd.DataFrame(
                getattr(self, value),
                index=pd.Index(self.names, name="source"),
                columns=pd.Index(self.names, name="target"),
            )
        interval = self.confidence_interval()
        columns = {name: getattr(self, name) for name in counts}
        columns |= {"rate": self.rates, "low": interval.low, "high": interval.high, "noise": self.noise}
        if self.masked is not None:
            columns["masked"] = np.repeat(self.masked, len(self.names))
        pairs = pd.MultiIndex.from_product([self.names, self.names], names=["source", "target"])
        return pd.DataFrame({name: matrix.ravel() for name, matrix in columns.items()}, index=pairs)

    def describe(self) -> str:
        """Say in a sentence what each column, a target, has suffered.

        Returns
        -------
        text : str
            A line for each model.
        """
        width = max(map(len, self.names), default=0)
        return "\n".join(f"{name:<{width}}  {self._sentence(j)}" for j, name in enumerate(self.names))

    def _sentence(self, j: int) -> str:
        others = np.flatnonzero(self._transfers[:, j])
        if not len(others):
            return "has no sample that counts with any other model."
        rates, noise = self.rates[others, j], self.noise[others, j].mean()
        worst = others[rates.argmax()]
        masked = self.masked is not None and self.masked[j]
        hidden = " As a source it may do more than was seen: its gradients may be masked." if masked else ""
        if len(others) == 1:
            share, made = f"{rates.max():.0%}", self.names[worst]
        else:
            share, made = f"{rates.mean():.0%}", f"the other {len(others)} models"
            made += f", most by those made on {self.names[worst]} ({rates.max():.0%})" if rates.any() else ""
        return (
            f"is fooled by {share} of the samples made on {made}; by noise of the same size, {noise:.0%}."
            f"{hidden}"
        )

    def plot(self, **kwargs: Any) -> TransferMatrixDisplay:
        """Draw the matrix as a heat map.

        Parameters
        ----------
        **kwargs : dict
            Passed to :meth:`skhalfway.TransferMatrixDisplay.plot`.

        Returns
        -------
        display : TransferMatrixDisplay
            With the axes it drew on.
        """
        from skhalfway.transfer._display import TransferMatrixDisplay

        return TransferMatrixDisplay.from_matrix(self, **kwargs)

    def _warn_unknown(self, stacklevel: int) -> None:
        """Say of which pairs nothing is known."""
        pairs = np.argwhere(self.eligible == 0).tolist()
        if pairs:
            warnings.warn(
                f"there are no {CONDITIONS[self.condition]} for {named_pairs(self.names, pairs, ' -> ')} "
                "(source -> target), so these rates are nan",
                UndefinedMetricWarning,
                stacklevel=stacklevel,
            )

    def _title(self) -> str:
        mean = f"{self.mean_rate:.3f}"
        if np.isfinite(self.standard_error):
            interval = self.confidence_interval(of="mean_rate")
            mean += f" [{interval.low:.3f} {interval.high:.3f}]"
        elif self.eligible[self._transfers].min(initial=FEWEST) < FEWEST:
            mean += f" [no interval: a pair has fewer than {FEWEST} samples]"
        return f"{len(self.names)} models, mean transfer rate {mean}"

    def _cells(self) -> list[list[str]]:
        interval = self.confidence_interval()
        texts: list[list[str]] = []
        for i, row in enumerate(self.rates):
            texts.append([])
            for j, rate in enumerate(row):
                text = f"{short(rate)} [{short(interval.low[i, j])} {short(interval.high[i, j])}]"
                texts[-1].append(f"({text})" if i == j else text)
        return texts

    def _doubts(self) -> list[str]:
        """A line for each warning about a model."""
        return [
            f"warning: {name}: {finding.message}"
            for name, check in self.checks.items()
            for finding in check.warnings
        ]

    def __repr__(self) -> str:
        lines = [
            f"TransferMatrix: {self._title()}",
            "rate [95 % interval] at which samples made on the source (row) fool the target (column)",
        ]
        table = [["source", *self.names]]
        table += [
            [name, *row] for name, row in zip(marked(self.names, self.masked), self._cells(), strict=True)
        ]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        for row in table:
            cells = [f"{row[0]:<{widths[0]}}"]
            cells += [f"{cell:^{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append(" ".join(cells).rstrip())
        if self.masked is not None and self.masked.any():
            lines.append(MASKED)
        return "\n".join([*lines, *self._doubts()])

    def _repr_html_(self) -> str:
        heads = "".join(f"<th>{escape(name)}</th>" for name in self.names)
        rows = []
        interval = self.confidence_interval()
        hidden = self.masked is not None and self.masked.any()
        for i, name in enumerate(marked(self.names, self.masked)):
            cells = []
            for j, rate in enumerate(self.rates[i]):
                ink = "#fff" if rate > 0.6 else "#000"
                edge = ";outline:1px dashed #888" if i == j else ""
                shade = 0 if np.isnan(rate) else rate
                cells.append(
                    f'<td style="background:rgba(165,15,21,{shade:.2f});color:{ink};text-align:center{edge}" '
                    f'title="{self.fooled[i, j]} of {self.eligible[i, j]}; noise {short(self.noise[i, j])}">'
                    f"{short(rate)}<br><small>{short(interval.low[i, j])}&ndash;"
                    f"{short(interval.high[i, j])}</small></td>"
                )
            rows.append(f"<tr><th>{escape(name)}</th>{''.join(cells)}</tr>")
        return (
            f"<table><caption>{escape(self._title())}; source in rows, target in columns, "
            f"{escape(CONDITIONS[self.condition])}{f'; {MASKED}' if hidden else ''}</caption>"
            f"<tr><th></th>{heads}</tr>{''.join(rows)}</table>"
            f"{''.join(f'<p>{escape(doubt)}</p>' for doubt in self._doubts())}"
        )
