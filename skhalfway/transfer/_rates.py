"""Rates of a transfer experiment, from its counts, with intervals and as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_choice
from skhalfway._intervals import (
    ConfidenceInterval,
    check_level,
    level_of_each,
    mean_interval,
    mean_over,
    ratio,
    wilson_interval,
)
from skhalfway.transfer._outcomes import NOT_ASKED, Outcomes, apart

if TYPE_CHECKING:
    import pandas as pd


class Rates:
    """Rates and tables that a :class:`TransferMatrix` derives from its counts."""

    names: tuple[str, ...]
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    eligible: NDArray[np.int64]
    fooled: NDArray[np.int64]
    same_mistake: NDArray[np.int64]
    noise_fooled: NDArray[np.int64]
    source_eligible: NDArray[np.int64]
    source_fooled: NDArray[np.int64]
    standard_error: float
    masked: NDArray[np.bool_] | None
    outcomes: Outcomes | None

    @property
    def fooled_by_any(self) -> NDArray[np.int64]:
        """Number of samples that fool each target when made on at least one other source, (n_targets,)."""
        raise NotImplementedError

    @property
    def eligible_for_any(self) -> NDArray[np.int64]:
        """Number of samples that count for each target with at least one other source, (n_targets,)."""
        raise NotImplementedError

    def _known(self, what: str) -> Outcomes:
        if self.outcomes is None:
            raise ValueError(
                f"{what} needs the predictions for each sample, and this matrix holds counts alone; "
                "TransferScorer.transfer gives a matrix that holds them"
            )
        return self.outcomes

    @property
    def failures(self) -> dict[tuple[str, str], str]:
        """Reasons why rates are unknown or incomplete, by pair (source, target)."""
        pairs = () if self.outcomes is None else self.outcomes.failures
        return {(pair.source, pair.target): pair.reason for pair in pairs}

    @property
    def n_samples(self) -> int:
        """Number of samples in the experiment, whether they count or not."""
        return self._known("n_samples").n_samples

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """Accuracy of each model on the clean samples, (n_models,).

        It is nan where labels are not known, the model failed, or there is no sample.
        """
        outcomes = self._known("accuracy")
        if outcomes.labels is None:
            return np.full(len(self.names), np.nan)
        right = ratio((outcomes.clean == outcomes.labels).sum(axis=1), np.array(outcomes.n_samples))
        return np.where((outcomes.clean == NOT_ASKED).any(axis=1), np.nan, right)

    @property
    def different_mistake(self) -> NDArray[np.int64]:
        """Number of fooling samples for which source and target predict different labels."""
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
        """Share of correctly classified samples that fool their own source, (n_sources,)."""
        return ratio(self.source_fooled, self.source_eligible)

    @property
    def mean_rate(self) -> float:
        """Mean transfer rate over pairs of a source and another model that have eligible samples."""
        return mean_over(self._pairs, self.fooled, self.eligible)

    @property
    def _pairs(self) -> NDArray[np.bool_]:
        """Pairs of two different models whose rate counts as transfer."""
        return apart(self.sources, self.targets) if self.outcomes is None else self.outcomes.apart

    @property
    def _aside(self) -> NDArray[np.bool_]:
        """Pairs that are left out, for example since the target is a member of the source."""
        if self.outcomes is None:
            return np.zeros(self.eligible.shape, dtype=bool)
        return self.outcomes.aside

    @property
    def _one_each(self) -> NDArray[np.intp] | None:
        """Position of each target's only source; None unless sources and targets form such pairs."""
        pairs, n = self._pairs, len(self.targets)
        if n < 2 or pairs.shape != (n, n) or not self._aside.any():
            return None
        if (pairs.sum(axis=0) != 1).any() or (pairs.sum(axis=1) != 1).any():
            return None
        return pairs.argmax(axis=0)

    @property
    def _transfers(self) -> NDArray[np.bool_]:
        return self._pairs & (self.eligible > 0)

    def confidence_interval(
        self, level: float = 0.95, *, of: str = "rates", simultaneous: bool = False
    ) -> ConfidenceInterval:
        """Confidence intervals of the rates.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level, between 0 and 1.
        of : {"rates", "noise", "source_success", "fooled_by_any", "mean_rate"}, default="rates"
            Which rates. All but ``"mean_rate"`` have Wilson intervals over samples; ``"fooled_by_any"`` is a
            share of ``eligible_for_any``. The mean rate has a normal interval, which allows for samples that
            pairs share. Where every pair fools on all samples or on none, its spread is unknown, and its
            interval is the mean of the pairs' Wilson intervals.
        simultaneous : bool, default=False
            Whether the level holds for all intervals together (Bonferroni). Each of the m known intervals
            then has the level ``1 - (1 - level) / m``.

        Returns
        -------
        interval : ConfidenceInterval
            ``low`` and ``high``, shaped like the attribute.

        Raises
        ------
        ValueError
            If ``level`` or ``of`` is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway import TransferMatrix
        >>> n, none = np.full((2, 2), 100), np.zeros((2, 2), dtype=int)
        >>> fooled = np.array([[95, 20], [4, 81]])
        >>> matrix = TransferMatrix(("net", "tree"), n, fooled, none, none, n[0], np.array([95, 81]))
        >>> matrix.confidence_interval().low.round(2)
        array([[0.89, 0.13],
               [0.02, 0.72]])
        """
        counts = {
            "rates": (self.fooled, self.eligible),
            "noise": (self.noise_fooled, self.eligible),
            "source_success": (self.source_fooled, self.source_eligible),
        }
        check_choice("of", of, [*counts, "fooled_by_any", "mean_rate"])
        check_level(level)
        if of == "fooled_by_any":
            counts[of] = self.fooled_by_any, self.eligible_for_any
        if of == "mean_rate" and self.standard_error == 0:
            # a spread of 0 in the sample does not mean that the rates are known without error
            pairs = self._transfers
            each = wilson_interval(self.fooled[pairs], self.eligible[pairs], level)
            return ConfidenceInterval(*(float(ends.mean()) for ends in each))
        if of == "mean_rate":
            return mean_interval(self.mean_rate, self.standard_error, level)
        part, whole = counts[of]
        return wilson_interval(part, whole, level_of_each(level, whole > 0, simultaneous))

    def to_frame(self, value: str | None = None) -> pd.DataFrame:
        """Return the matrix as a pandas DataFrame.

        Parameters
        ----------
        value : str, default=None
            Name of one matrix ("rates", "eligible", "fooled", "noise"...), for a table with sources in rows
            and targets in columns. None: one row for each pair, also of a model with itself. Its columns are
            all these matrices, the accuracy of source and target, the success of the attack on the source
            itself (``source_success``), ``masked`` where it is known, and ``failure``, the reason why a rate
            is unknown, where any model failed. Pairs of an ensemble and one of its members are left out.

        Returns
        -------
        frame : pandas.DataFrame
            One matrix, or a table indexed by (source, target).

        Raises
        ------
        ValueError
            If ``value`` is not the name of a matrix.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway import TransferMatrix
        >>> n, none = np.full((2, 2), 100), np.zeros((2, 2), dtype=int)
        >>> fooled = np.array([[95, 20], [4, 81]])
        >>> matrix = TransferMatrix(("net", "tree"), n, fooled, none, none, n[0], np.array([95, 81]))
        >>> float(matrix.to_frame("rates").loc["net", "tree"])
        0.2
        """
        import pandas as pd

        counts = ("eligible", "fooled", "same_mistake", "different_mistake")
        check_choice("value", value, (*counts, "noise_fooled", "rates", "noise"), none=True)
        if value is not None:
            return pd.DataFrame(
                getattr(self, value).copy(),
                index=pd.Index(self.sources, name="source"),
                columns=pd.Index(self.targets, name="target"),
            )
        interval = self.confidence_interval()
        columns = {name: getattr(self, name) for name in counts}
        columns |= {"rate": self.rates, "low": interval.low, "high": interval.high, "noise": self.noise}
        columns["source_success"] = np.repeat(self.source_success, len(self.targets))
        if self.outcomes is not None:
            accuracy = dict(zip(self.names, self.accuracy, strict=True))
            shape = self.rates.shape
            of_sources = np.array([accuracy[name] for name in self.sources])
            columns["source_accuracy"] = np.broadcast_to(of_sources[:, None], shape)
            columns["target_accuracy"] = np.broadcast_to([accuracy[name] for name in self.targets], shape)
            columns["n_samples"] = np.full(shape, self.n_samples)
        if self.masked is not None:
            columns["masked"] = np.repeat(self.masked, len(self.targets))
        if failures := self.failures:
            each = [failures.get((one, two), "") for one in self.sources for two in self.targets]
            columns["failure"] = np.array(each, dtype=object)
        pairs = pd.MultiIndex.from_product([self.sources, self.targets], names=["source", "target"])
        frame = pd.DataFrame({name: np.ravel(matrix) for name, matrix in columns.items()}, index=pairs)
        return frame[~self._aside.ravel()] if self._aside.any() else frame
