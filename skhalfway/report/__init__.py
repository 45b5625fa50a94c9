"""Audits of a deployed model: which attackers fool it, how often, at which budget, and what to do.

:func:`skhalfway.audit` measures and returns an :class:`AuditReport`; :func:`compare_reports` compares two
reports. :mod:`skhalfway.files` reads models, data and constraints from files.
"""

from skhalfway.report._advice import Advice
from skhalfway.report._audit import audit
from skhalfway.report._cards import SkoreCheck, skops_section, skore_check
from skhalfway.report._comparison import AuditComparison, ShareChange, compare_reports
from skhalfway.report._inspected import InspectedData, TellingColumn
from skhalfway.report._parts import AttackedColumns, ExposedSample, NearestSamples, Retraining, Surrogates
from skhalfway.report._report import AuditReport
from skhalfway.report._threats import Threat
from skhalfway.report._verdict import Verdict

__all__ = [
    "Advice",
    "AttackedColumns",
    "AuditComparison",
    "AuditReport",
    "ExposedSample",
    "InspectedData",
    "NearestSamples",
    "Retraining",
    "ShareChange",
    "SkoreCheck",
    "Surrogates",
    "TellingColumn",
    "Threat",
    "Verdict",
    "audit",
    "compare_reports",
    "skops_section",
    "skore_check",
]
