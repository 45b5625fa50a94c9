"""Why models generalise and why adversarial examples transfer: where predictions change between samples.

Definitions with the words halfway or crossing are this package's own formalisation of the title of BenShmuel,
"Meet you halfway: explaining deep learning mysteries", arXiv 2206.04463, 2022.
"""

from skhalfway.halfway._agreement_display import AgreementDisplay
from skhalfway.halfway._consensus import consensus_score
from skhalfway.halfway._crossings import Crossings, crossings
from skhalfway.halfway._crossings_display import CrossingsDisplay
from skhalfway.halfway._jury import Jury
from skhalfway.halfway._measurement import HalfwayMeasurement
from skhalfway.halfway._pairs import sample_pairs
from skhalfway.halfway._predicted import PredictedTransfer
from skhalfway.halfway._prediction_display import PredictedTransferDisplay
from skhalfway.halfway._scorer import HalfwayScorer
from skhalfway.halfway._transfer_prediction import TransferPrediction

__all__ = [
    "AgreementDisplay",
    "Crossings",
    "CrossingsDisplay",
    "HalfwayMeasurement",
    "HalfwayScorer",
    "Jury",
    "PredictedTransfer",
    "PredictedTransferDisplay",
    "TransferPrediction",
    "consensus_score",
    "crossings",
    "sample_pairs",
]
