"""Effect of adversarial training, measured on a clone of the deployed model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import _safe_indexing

from skhalfway.models._type_checks import is_torch_module
from skhalfway.perturbation import AdversarialSampler
from skhalfway.report._parts import Retraining
from skhalfway.transfer import TransferScorer

if TYPE_CHECKING:
    from skhalfway.report._setting import Setting
    from skhalfway.transfer import TransferCurve, TransferMatrix

N_TRAINED, N_JUDGED = 4000, 300
N_SOURCES = 2  # other models whose samples are tried on both: those that fool the deployed one most
BEFORE, AFTER = "before retraining", "after retraining"


def retrained(setting: Setting, curve: TransferCurve) -> Retraining:
    """Train a clone on clean samples, and another one on adversarial samples too; attack both anew."""
    why = why_not(setting)
    if why:
        raise ValueError(why)
    assert setting.reference_labels is not None
    eps = setting.budgets[len(setting.budgets) // 2]
    rng = np.random.RandomState(setting.seed)
    rows = np.sort(rng.permutation(len(setting.reference_labels))[:N_TRAINED])
    X, y = _safe_indexing(setting.reference, rows), setting.reference_labels[rows]
    model = setting.model
    before = clone(model).fit(X, y)
    generator = clone(setting.generator).set_params(eps=eps)
    sampler = AdversarialSampler(
        generator, sources={BEFORE: FrozenEstimator(before)}, random_state=setting.seed
    )
    after = clone(model).fit(*sampler.fit_resample(X, y))
    sources = _strongest(setting, curve)
    others = {name: setting.models[name] for name in sources}
    scorer = TransferScorer(
        generator,
        targets=[BEFORE, AFTER],
        condition="all",
        random_state=setting.seed,
        **setting.options,
    )
    scorer.fit({BEFORE: before, AFTER: after, **others}, reference=setting.measured_on)
    judged = np.sort(np.random.RandomState(setting.seed).permutation(len(setting.y))[:N_JUDGED])
    matrix = scorer.transfer(*setting.rows(judged))
    right, own, under_others = _held(matrix)
    return Retraining(eps, len(y), right, own, under_others, sources, masked=_is_masked(matrix))


def _strongest(setting: Setting, curve: TransferCurve) -> tuple[str, ...]:
    """Models whose samples fool the deployed model most, at the largest budget."""
    rates = curve.rates[-1][:, curve.targets.index(setting.deployed)]
    order = np.argsort(-np.nan_to_num(rates), kind="stable")
    return tuple(curve.sources[i] for i in order if curve.sources[i] != setting.deployed)[:N_SOURCES]


def why_not(setting: Setting) -> str:
    """Reason why the deployed model cannot be trained again here; empty if it can."""
    model = setting.model
    if setting.reference_labels is None:
        return "training again needs samples with true labels: pass reference=(X_train, y_train)"
    if is_torch_module(model) or isinstance(model, FrozenEstimator) or not hasattr(model, "fit"):
        return "this kind of model cannot be trained again here; only estimators with fit can"
    return ""


def _held(
    matrix: TransferMatrix,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_] | None]:
    """Whether both models are right: on clean samples, as attacked on themselves, as made on all others."""
    outcomes = matrix.outcomes
    assert outcomes is not None and outcomes.labels is not None
    truth = outcomes.labels
    pair = [outcomes.names.index(name) for name in (BEFORE, AFTER)]
    right = outcomes.clean[pair] == truth
    own = right & (outcomes.own[[outcomes.sources.index(name) for name in (BEFORE, AFTER)]] == truth)
    rows = [i for i, name in enumerate(outcomes.sources) if name not in (BEFORE, AFTER)]
    if not rows:
        return right, own, None
    return right, own, right & (outcomes.adversarial[rows] == truth).all(axis=0)


def _is_masked(matrix: TransferMatrix) -> bool:
    return matrix.masked is not None and bool(matrix.masked[matrix.sources.index(AFTER)])
