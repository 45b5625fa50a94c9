"""What a network's layers encode: codes of samples on self-organising maps of activations.

Lee & Vijayan (arXiv 2205.10952, 2022) claim that shallow layers have homogeneous codes and deep layers
diverse ones. Their layers, map sizes and measures are not public to us: those here are ours.
"""

from skhalfway.codes._agreement import CodeAgreement, code_agreement
from skhalfway.codes._agreement_display import CodeAgreementDisplay
from skhalfway.codes._coarse import CoarseMapWarning
from skhalfway.codes._codemap import CodeMap
from skhalfway.codes._drift import Drift
from skhalfway.codes._drift_display import DriftDisplay
from skhalfway.codes._homogeneity import Homogeneity
from skhalfway.codes._homogeneity_display import HomogeneityDisplay
from skhalfway.codes._map_display import CodeMapDisplay

__all__ = [
    "CoarseMapWarning",
    "CodeAgreement",
    "CodeAgreementDisplay",
    "CodeMap",
    "CodeMapDisplay",
    "Drift",
    "DriftDisplay",
    "Homogeneity",
    "HomogeneityDisplay",
    "code_agreement",
]
