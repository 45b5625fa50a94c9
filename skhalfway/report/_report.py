"""AuditReport: what an audit measured, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from skhalfway._text import between, short, shown
from skhalfway.report._findings import Advice, findings_of
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
    """What an audit of a deployed model measured, and what follows from it.

    Made by :func:`skhalfway.audit`. What was measured are the fields; verdict, threats, findings and metrics
    are derived from them.

    Parameters
    ----------
    deployed : str
        Name of the model that is audited.
    roles : dict of str to str
        By model "deployed", "other" or "surrogate".
    kinds : dict of str to str
        By model its type.
    curve : TransferCurve
        Every model attacked, and tried with the samples made on every other, at each budget.
    surrogates : Surrogates or None, default=None
        What the surrogates are and what they were trained on.
    columns : AttackedColumns or None, default=None
        Which columns carry the attack; None for images, and where it was left out.
    exposed : tuple of ExposedSample, default=()
        The samples that fool the deployed model at the smallest budgets.
    nearest : NearestSamples or None, default=None
        How far the nearest sample that fools is.
    predicted : PredictedTransfer or None, default=None
        Transfer that our own method predicts without attacks, beside what was measured at the largest budget.
    agreement : HalfwayMeasurement or None, default=None
        Whether the models' boundaries lie at the same places of paths between samples.
    retraining : Retraining or None, default=None
        What adversarial training bought.
    left_out : dict of str to str, default={}
        By part of the report why it is not there.
    unmoved : tuple of str, default=()
        Columns in which budgets are next to nothing, as the reference varies much less in them than the
        samples do, so that an attack that fails says little.
    not_tested : tuple of str, default=()
        What the audit says nothing of.
    protocol : dict of str to str, default={}
        How it was measured: samples, attack, budgets, seed.
    warnings : tuple of str, default=()
        What the measurements warned of.
    seconds : dict of str to float, default={}
        What each part took.
    partial : bool, default=False
        Whether the run was interrupted before all was measured.
    command : str, default=""
        The command that repeats it.

    See Also
    --------
    skhalfway.audit : Makes it.
    skhalfway.load_result : Reads what :meth:`save` wrote.

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
        """Whether the deployed model is exposed, to whom, at which budget, how sure."""
        return verdict_of(self)

    @cached_property
    def findings(self) -> tuple[Advice, ...]:
        """What was found, by weight, each with its evidence and what to do."""
        return findings_of(self)

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Figures that a pipeline may compare with a limit; all but accuracies are worse the larger they are.

        Those of attacks are of the largest budget: ``rate``, the highest of ``surrogate_rate``,
        ``other_rate`` and ``deployed_rate``, which are those of the attackers of these kinds; ``noise_rate``;
        ``robust_accuracy``, the share of all samples that the deployed model classifies right as they are
        and under every attack at every budget; ``accuracy``; ``findings``, how many there are that are no
        notes. What was not measured is not there.
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
        """Which samples the deployed model classifies right.

        Parameters
        ----------
        robust : bool, default=False
            Whether also under every attack at every budget.

        Returns
        -------
        held : bool ndarray of shape (n_samples,), or None
            None where true labels are not known, or the model failed, or an attack that would count.
        """
        return holds(self.curve, self.deployed, self.curve.sources if robust else ())

    def to_frame(self) -> pd.DataFrame:
        """Return the threats as a pandas DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            A row for each kind of attacker and budget: how many samples count and fool, the rate and its
            interval, the rate of noise, the best source, and p.
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
