"""Soft targets: a teacher's probabilities at a temperature, and the training of a student on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import nn

from skhalfway._text import shown
from skhalfway.models import Model, as_model
from skhalfway.models._skorch_model import SkorchModel
from skhalfway.models._torch_model import TorchModel
from skhalfway.models._training import seeded, seeded_clone
from skhalfway.models._type_checks import inner_skorch_net, net_dtype


def tempered(model: Model, X: NDArray[Any], temperature: float) -> NDArray[np.float64]:
    """The teacher's probabilities with its logits divided by the temperature."""
    if isinstance(model, (SkorchModel, TorchModel)) and model.module is not None:
        # from the logits themselves, which cannot be recovered from float32 probabilities near 0
        return softmax(as_model(model.module).scores(X) / temperature, axis=1)
    if not hasattr(model.estimator, "predict_proba"):
        raise TypeError(
            f"the teacher {type(model.estimator).__name__} has no predict_proba to learn from; "
            "calibrate it (sklearn.calibration.CalibratedClassifierCV), or pass targets='hard'"
        )
    with np.errstate(divide="ignore"):
        return softmax(np.log(model.scores(X)) / temperature, axis=1)


class DistillationLoss(nn.CrossEntropyLoss):
    """Cross-entropy with soft targets at a temperature, averaged with that of labels at temperature 1.

    ``(1 - label_weight) * T**2 * CE(z / T, soft) + label_weight * CE(z, label)``. The average and the factor
    ``T**2``, which keeps the two terms balanced as T changes, are those of Hinton et al. (2015), section 2.
    Where targets are plain labels, it is the usual cross-entropy.
    """

    def __init__(self, temperature: float = 1.0, label_weight: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.temperature, self.label_weight = temperature, label_weight

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if target.ndim < 3:
            return super().forward(input, target)
        soft = super().forward(input / self.temperature, target[:, 0])
        loss = (1 - self.label_weight) * self.temperature**2 * soft
        return loss + self.label_weight * super().forward(input, target[:, 1]) if self.label_weight else loss


def check_skorch_student(net: Any) -> None:
    """Raise TypeError where a skorch net cannot be trained on soft targets."""
    name = type(net).__name__
    if net.criterion is not nn.CrossEntropyLoss:
        raise TypeError(
            f"the student {name} must have criterion=torch.nn.CrossEntropyLoss and a module that returns "
            f"logits; got criterion={shown(net.criterion)}"
        )


def fit_skorch_student(
    student: Any, X: NDArray[Any], targets: NDArray[np.float64], seed: int, **loss: float
) -> Any:
    """A clone of a skorch net, or of a pipeline that ends in one, trained on soft targets and labels."""
    fresh = seeded_clone(student, seed)
    net = inner_skorch_net(fresh)
    changes: dict[str, Any] = {"criterion": DistillationLoss}
    changes |= {f"criterion__{name}": value for name, value in loss.items()}
    if net.callbacks != "disable" and "callbacks__valid_acc" in net.get_params():
        changes["callbacks__valid_acc"] = None  # it would compare predicted classes with soft targets
    net.set_params(**changes)
    dtype = net_dtype(net)
    with seeded(fresh, seed):
        return fresh.fit(X.astype(dtype), targets.astype(dtype))


def fit_weighted(
    student: Any, X: NDArray[Any], weights: NDArray[np.float64], seed: int, *, classes: NDArray[Any]
) -> Any:
    """A clone trained on each sample once for each class, weighted with the probability of the class."""
    rows, columns = np.nonzero(weights)
    fresh = seeded_clone(student, seed)
    return fresh.fit(X[rows], classes[columns], sample_weight=weights[rows, columns])
