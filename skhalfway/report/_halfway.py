"""Transfer predicted without attacks, and halfway agreement, for the models of an audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._inputs import Frame, positions
from skhalfway.attacks._reference import Reference
from skhalfway.halfway import HalfwayMeasurement, HalfwayScorer, PredictedTransfer
from skhalfway.models import Model

if TYPE_CHECKING:
    from skhalfway.report._setting import Setting
    from skhalfway.transfer import TransferCurve

N_SAMPLES, N_PAIRS = 150, 200


class InUnits:
    """A model of samples in the unit of the budget, so that budgets are plain distances.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class indices.
    """

    def __init__(self, model: Model, spread: NDArray[np.float64], fixed: NDArray[np.float64]) -> None:
        self.model, self.spread, self.fixed = model, spread, fixed
        self.classes_ = np.arange(model.n_outputs(fixed[None]))

    def predict(self, Z: NDArray[Any]) -> NDArray[np.intp]:
        """Class indices."""
        # columns that do not vary keep their value; points of paths are flat arrays
        X = np.where(self.spread > 0, np.reshape(Z, (-1, *self.fixed.shape)) * self.spread, self.fixed)
        return self.model.predict(X)


def halfway(setting: Setting, curve: TransferCurve) -> tuple[PredictedTransfer | None, HalfwayMeasurement]:
    """Predict transfer at the largest budget, with the measured rates, and measure agreement."""
    X = setting.X
    if Frame.of(X) is not None:
        raise ValueError("halfway agreement needs samples of numbers, and X has columns of categories")
    array = np.asarray(X, dtype=float)
    if np.isnan(array).any():
        raise ValueError("halfway agreement needs samples of numbers, and X has missing values")
    unit = setting.generator.eps_unit
    spread = Reference.of(np.asarray(setting.measured_on, dtype=float)).spread(unit)
    spread = np.ones(array.shape[1:]) if spread is None else spread
    models = {name: InUnits(setting.seen(name), spread, array.mean(axis=0)) for name in curve.targets}
    rows = setting.right(N_SAMPLES)
    Z = np.divide(array, spread, out=np.zeros_like(array), where=spread > 0)[rows]
    labels = positions(setting.y[rows], setting.classes)
    scorer = HalfwayScorer(n_pairs=N_PAIRS, random_state=setting.seed, n_jobs=setting.options["n_jobs"]).fit(
        models
    )
    agreement = scorer.measure(Z, labels)
    predicted = None
    if setting.generator.norm in (np.inf, 2) and setting.generator.constraints is None:
        prediction = scorer.predict_transfer(Z, labels, eps=setting.budgets[-1], norm=setting.generator.norm)
        measured = curve.matrices[-1]
        places = [measured.sources.index(name) for name in curve.targets]
        predicted = PredictedTransfer(prediction.rates, measured.rates[places], names=curve.targets)
    return predicted, agreement
