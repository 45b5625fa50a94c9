"""AuditReport: the measurements of an audit, and the conclusions from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skhalfway._text import between, short, shown
from skhalfway.report._advice import Advice
from skhalfway.report._findings import findings_of
from skhalfway.report._inspected import InspectedData
from skhalfway.report._paged import Paged
from skhalfway.report._parts import AttackedColumns, ExposedSample, NearestSamples, Retraining, Surrogates
from skhalfway.report._threats import ATTACKERS, Threat, holds, threats_to
from skhalfway.report._verdict import Verdict, verdict_of
from skhalfway.report._words import budget
from skhalfway.results import Result
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

    from skhalfway.halfway import HalfwayMeasurement, PredictedTransfer
    from skhalfway.report._blocks import Page
    from skhalfway.transfer import TransferCurve

ROLES = ("deployed", "other", "surrogate")


@dataclass(frozen=True, eq=False, repr=False)
class AuditReport(Paged, Result, drawn=False):
    """Measurements of an audit of a deployed model, and the conclusions from them.

    :func:`skhalfway.audit` makes it. The fields are the measurements; verdict, threats, findings and metrics
    are derived from them.

    Parameters
    ----------
    deployed : str
        Name of the audited model.
    roles : dict of str to str
        Role of each model: "deployed", "other" or "surrogate".
    kinds : dict of str to str
        Type of each model.
    curve : TransferCurve
        Transfer between all models at each budget.
    surrogates : Surrogates or None, default=None
        The surrogates, and the data that they were trained on.
    columns : AttackedColumns or None, default=None
        Columns that the attack depends on; None for images, or if left out.
    exposed : tuple of ExposedSample, default=()
        The samples that fool the deployed model at the smallest budgets.
    nearest : NearestSamples or None, default=None
        Distances to the nearest adversarial examples.
    predicted : PredictedTransfer or None, default=None
        Transfer that our own method predicts without attacks, and measured transfer at the largest budget.
    agreement : HalfwayMeasurement or None, default=None
        Halfway agreement: whether the decision boundaries of the models cross paths between samples at the
        same places.
    retraining : Retraining or None, default=None
        Effect of adversarial training.
    left_out : dict of str to str, default={}
        Reasons why parts of the report are missing, by part.
    unmoved : tuple of str, default=()
        Columns with budgets close to 0, since the reference varies much less in them than the samples do. An
        attack that fails on such data shows little.
    data : InspectedData or None, default=None
        What was noticed in the data before any attack: columns that give the label away, budgets that do not
        fit the scale of the data, samples that are in the reference too.
    not_tested : tuple of str, default=()
        What the audit does not cover.
    protocol : dict of str to str, default={}
        How it was measured: samples, attack, budgets, seed.
    warnings : tuple of str, default=()
        Warnings of the measurements.
    seconds : dict of str to float, default={}
        Run time of each part.
    partial : bool, default=False
        Whether the run was interrupted before all was measured.
    command : str, default=""
        Command that repeats the audit.

    See Also
    --------
    skhalfway.audit : Makes it.
    skhalfway.load_result : Reads a saved report.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from skhalfway import audit
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    >>> report = audit(models, X, y, deployed="lr", surrogates=None, eps=[0.5], parts=())
    >>> report.verdict.level
    'exposed'
    >>> round(report.metrics["other_rate"], 2)
    0.55
    """

    deployed: str
    roles: Mapping[str, str]
    kinds: Mapping[str, str]
    curve: TransferCurve
    surrogates: Surrogates | None = None
    columns: AttackedColumns | None = None
    exposed: tuple[ExposedSample, ...] = ()
    nearest: NearestSamples | None = None
    predicted: PredictedTransfer | None = None
    agreement: HalfwayMeasurement | None = None
    retraining: Retraining | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    unmoved: tuple[str, ...] = ()
    data: InspectedData | None = None
    not_tested: tuple[str, ...] = ()
    protocol: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict, compare=False)
    partial: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        for name in ("roles", "kinds", "left_out", "protocol", "seconds"):
            object.__setattr__(self, name, dict(getattr(self, name)))
        for name in ("exposed", "unmoved", "not_tested", "warnings"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        models = self.curve.names
        for name in ("roles", "kinds"):
            if set(getattr(self, name)) != set(models):
                raise ValueError(
                    f"{name} must have one entry for each of {shown(list(models))}, got "
                    f"{shown(list(getattr(self, name)))}"
                )
        if not set(self.roles.values()) <= set(ROLES):
            raise ValueError(f"roles must be of {list(ROLES)}, got {shown(sorted(set(self.roles.values())))}")
        if [name for name, role in self.roles.items() if role == "deployed"] != [self.deployed]:
            raise ValueError(f"{shown(self.deployed)} must be the one model whose role is 'deployed'")
        if self.deployed not in self.curve.targets:
            raise ValueError(f"the curve must have {shown(self.deployed)} among its targets")

    @property
    def unit(self) -> str:
        """Unit of the budgets."""
        return self.curve.eps_unit

    @cached_property
    def threats(self) -> tuple[Threat, ...]:
        """How often each kind of attacker fools the deployed model at each budget."""
        return threats_to(self.deployed, self.roles, self.curve)

    @cached_property
    def verdict(self) -> Verdict:
        """Verdict: whether the deployed model is exposed, to which attackers, and at which budget."""
        return verdict_of(self)

    @cached_property
    def findings(self) -> tuple[Advice, ...]:
        """Findings, the most severe first, each with evidence and advice."""
        return findings_of(self)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Figures that a pipeline may compare with a limit.

        Lower is better for all but the two accuracies. Figures that were not measured are missing.

        - ``surrogate_rate``, ``other_rate``, ``deployed_rate``: rate at which attackers of that kind fool the
          deployed model, at the largest budget;
        - ``rate``: the highest of these three;
        - ``noise_rate``: rate at which noise of the same size fools it;
        - ``accuracy``: accuracy on the clean samples;
        - ``robust_accuracy``: share of all samples that the deployed model classifies correctly, both clean
          and under every attack at every budget;
        - ``findings``: number of findings that are not mere notes.
        """
        last = {threat.kind: threat for threat in self.threats}  # the largest budget comes last
        found = {f"{kind}_rate": last[kind].rate for kind in ATTACKERS if kind in last}
        known = [threat for threat in last.values() if threat.n]
        metrics = {"rate": max((threat.rate for threat in known), default=np.nan), **found}
        metrics["noise_rate"] = max((threat.noise_rate for threat in known), default=np.nan)
        metrics["accuracy"] = float(self.curve.accuracy[self.curve.names.index(self.deployed)])
        robust = self.held(robust=True)
        metrics["robust_accuracy"] = np.nan if robust is None or not len(robust) else float(robust.mean())
        metrics["findings"] = float(sum(advice.severity != "note" for advice in self.findings))
        return metrics

    def held(self, *, robust: bool = False) -> NDArray[np.bool_] | None:
        """Tell which samples the deployed model classifies correctly.

        Parameters
        ----------
        robust : bool, default=False
            Whether a sample must also be classified correctly under every attack at every budget.

        Returns
        -------
        held : bool ndarray of shape (n_samples,), or None
            None if true labels are not known, or if the model failed, or, with ``robust``, an attack.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.svm import SVC
        >>> from skhalfway import audit
        >>> X, y = load_iris(return_X_y=True)
        >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
        >>> report = audit(models, X, y, surrogates=None, eps=[0.5], n_samples=30, parts=())
        >>> bool((report.held(robust=True) <= report.held()).all())
        True
        """
        return holds(self.curve, self.deployed, self.curve.sources if robust else ())

    def to_frame(self) -> pd.DataFrame:
        """Return the threats as a pandas DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            One row for each kind of attacker and budget: numbers of samples that count and that fool, the
            rate and its interval, the rate of noise, the best source, and the p-value.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.svm import SVC
        >>> from skhalfway import audit
        >>> X, y = load_iris(return_X_y=True)
        >>> models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
        >>> report = audit(models, X, y, surrogates=None, eps=[0.5], n_samples=30, parts=())
        >>> report.to_frame().index.tolist()
        [('other', 0.5), ('deployed', 0.5)]
        """
        import pandas as pd

        rows = [
            {
                "attacker": threat.kind,
                "eps": threat.eps,
                "n": threat.n,
                "fooled": threat.fooled,
                "rate": threat.rate,
                "low": threat.interval.low,
                "high": threat.interval.high,
                "noise": threat.noise_rate,
                "best_source": threat.best,
                "p": threat.p,
            }
            for threat in self.threats
        ]
        columns = ["attacker", "eps", "n", "fooled", "rate", "low", "high", "noise", "best_source", "p"]
        return pd.DataFrame(rows, columns=columns).set_index(["attacker", "eps"])

    def _page(self) -> Page:
        from skhalfway.report._content import content_of

        return content_of(self)

    def _table(self) -> Table:
        budgets = [float(eps) for eps in self.curve.eps[1:]]
        rows: list[list[str | Cell]] = []
        for kind in ATTACKERS:
            mine = [threat for threat in self.threats if threat.kind == kind]
            if mine:
                cells = [Cell(short(t.rate), between(*t.interval), shade=t.rate) for t in mine]
                rows.append([f"{kind}: fooled", *cells])
                rows.append([f"{kind}: noise", *(Cell(short(t.noise_rate)) for t in mine)])
        state = " (partial)" if self.partial else ""
        return Table(
            f"AuditReport of {self.deployed!r}{state}: {self.verdict.headline}",
            ["attacker has", *(budget(eps, self.unit) for eps in budgets)],
            rows,
            notes=[
                *self.verdict.sentences,
                *(f"{k}. {advice.title}" for k, advice in enumerate(self.findings, start=1)),
            ],
        )
