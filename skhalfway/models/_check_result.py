"""The result of a check-up: the findings about one model, as text, HTML and a table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from skhalfway._intervals import ConfidenceInterval
from skhalfway._text import short
from skhalfway.results import Result
from skhalfway.results._reading import part_of_results
from skhalfway.results._record import Record
from skhalfway.results._table import Table

if TYPE_CHECKING:
    import pandas as pd


@part_of_results
@dataclass(frozen=True)
class Finding(Record):
    """One observation about a model that may make results about it misleading.

    Parameters
    ----------
    kind : str
        Short identifier: "floats", "outputs", "probabilities", "scale", "label_order", "constant", "chance",
        "random", "batch", "state", "soft_copy", "scores" or "saturated"; for findings of attacks, "gradient"
        or "attack".
    severity : {"warning", "note"}
        Whether results about the model may be wrong ("warning"), or only need care ("note").
    message : str
        The observation, with numbers.
    advice : str
        What to do about it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway.models import check_model
    >>> X, y = load_iris(return_X_y=True)
    >>> (finding,) = check_model(LogisticRegression(max_iter=1000).fit(X, y), X, 2 - y).findings
    >>> finding.severity, finding.kind, finding.advice
    ('warning', 'label_order', 'code y as in its training')
    """

    kind: str
    severity: str
    message: str
    advice: str

    def __str__(self) -> str:
        return f"{self.message}; {self.advice}"


@dataclass(frozen=True, eq=False, repr=False)
class ModelCheck(Result, drawn=False):
    """Result of a check-up of a model.

    It is made by :func:`check_model`, and by :class:`~skhalfway.TransferScorer` for each of its models, with
    the findings of their attacks added.

    Parameters
    ----------
    name : str
        Name of the model.
    n_samples : int
        Number of samples whose predictions were checked.
    n_classes : int
        Number of the model's classes.
    accuracy : float
        Accuracy on these samples; nan if their labels are unknown.
    accuracy_interval : ConfidenceInterval
        95 % Wilson interval of the accuracy.
    findings : tuple of Finding
        Warnings first, the most serious one at the top.

    See Also
    --------
    check_model : Makes it.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway.models import check_model
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(max_iter=1000).fit(X, y)
    >>> check = check_model(model, X, y)
    >>> check
    ModelCheck of 'LogisticRegression': 150 samples, 3 classes, accuracy .97 [.93 .99]; nothing found
    >>> check.ok
    True

    The same model, with labels that are coded in another way:

    >>> check_model(model, X, 2 - y).findings[0].message
    'accuracy is .31, and .97 if its classes 0, 1, 2 are read as 2, 1, 0'
    """

    name: str
    n_samples: int
    n_classes: int
    accuracy: float
    accuracy_interval: ConfidenceInterval
    findings: tuple[Finding, ...] = ()

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """Findings that mean that results about the model may be wrong."""
        return tuple(finding for finding in self.findings if finding.severity == "warning")

    @property
    def ok(self) -> bool:
        """Whether there is no warning; there may be notes."""
        return not self.warnings

    def adding(self, findings: Iterable[Finding]) -> ModelCheck:
        """Return a check with more findings.

        Parameters
        ----------
        findings : iterable of Finding
            New findings, which come after those of the same severity.

        Returns
        -------
        check : ModelCheck
            A new object.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skhalfway.models import Finding, check_model
        >>> X, y = load_iris(return_X_y=True)
        >>> check = check_model(LogisticRegression(max_iter=1000).fit(X, y), X, y)
        >>> check.adding([Finding("attack", "note", "it was attacked once", "attack it again")]).ok
        True
        """
        every = sorted([*self.findings, *findings], key=lambda finding: finding.severity != "warning")
        return replace(self, findings=tuple(every))

    def to_frame(self) -> pd.DataFrame:
        """Return the findings as a pandas DataFrame.

        Returns
        -------
        frame : pandas.DataFrame
            One row per finding, with the columns kind, severity, message and advice.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skhalfway.models import check_model
        >>> X, y = load_iris(return_X_y=True)
        >>> check = check_model(LogisticRegression(max_iter=1000).fit(X, y), X, 2 - y)
        >>> check.to_frame()[["severity", "kind"]].values.tolist()
        [['warning', 'label_order']]
        """
        import pandas as pd

        columns = list(Finding.__dataclass_fields__)
        return pd.DataFrame([asdict(finding) for finding in self.findings], columns=columns)

    def _title(self) -> str:
        known = not np.isnan(self.accuracy)
        low, high = map(short, self.accuracy_interval)
        accuracy = f"accuracy {short(self.accuracy)} [{low} {high}]" if known else "accuracy unknown"
        found = "" if self.findings else "; nothing found"
        return f"{self.name!r}: {self.n_samples} samples, {self.n_classes} classes, {accuracy}{found}"

    def _table(self) -> Table:
        rows = [[f.severity, f.kind, part] for f in self.findings for part in (f.message, f"-> {f.advice}")]
        for row in rows[1::2]:
            row[:2] = "", ""
        return Table(f"ModelCheck of {self._title()}", rows=rows)
