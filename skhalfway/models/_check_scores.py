"""Checks of scores and gradients: whether they agree with predictions, and are the same at every call.

All thresholds are our own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._intervals import wilson_interval
from skhalfway._text import percent
from skhalfway.models._check_accuracy import Answers, Indices
from skhalfway.models._check_result import Finding
from skhalfway.models._ensemble_model import EnsembleModel
from skhalfway.models._model import Model
from skhalfway.models._skorch_model import SkorchModel
from skhalfway.models._soft_agreement import copy_agrees
from skhalfway.models._torch_model import ArtModel, TorchModel

if TYPE_CHECKING:
    from torch import nn

Floats = NDArray[np.float64]
Ask = Callable[[NDArray[Any]], Floats]

# samples that a model predicts again
N_ASKED = 200
# samples whose gradient is computed
N_FOR_GRADIENT = 4
# changes of scores that rounding may cause, as shares of their usual range: in one batch, and in another
SAME, SIMILAR = 1e-4, 0.05
# shares of samples that may change with the batch, and whose largest score may differ from the prediction
MATTERS, OTHERWISE = 0.02, 0.02
# agreement of copies below which there is a warning, or a note: below the first, gradient attacks on
# neighbours and AdaBoost fooled a tenth of the samples fewer than attacks by predictions did
AGREES, ALIKE = 0.9, 0.95
N_COMPARED = 10  # fewest samples on which a copy is compared


def score_findings(answers: Answers, *, gradients: bool) -> Iterator[Finding]:
    """Findings about a model's scores; with ``gradients``, also about the copy that attacks follow."""
    model, rows = answers.model, answers.spread(N_ASKED)
    X, predicted, n_classes = answers.X[rows], answers.predicted[rows], len(answers.labels)
    ask: Ask = model.scores
    with _watched(model) as changed:
        try:
            scores = ask(X)
        except Exception as error:
            yield _without_scores(error)
            ask = partial(_votes, model, n_classes)
            scores = ask(X)
        else:
            yield from _saturated(model, scores)
        moved = _moved(ask, X, scores)
        _ask_for_gradient(model, X)
    found = [
        _changed(changed),
        _never_called(model),
        _outputs(model, X, scores),
        moved,
        _otherwise(model, X, scores, predicted) if moved is None else None,
        _copy(model, X, predicted) if gradients and moved is None else None,
        *(_copies_of_members(model, X) if gradients and moved is None else ()),
    ]
    yield from (finding for finding in found if finding is not None)


def _copies_of_members(model: Model, X: NDArray[Any]) -> Iterator[Finding]:
    """Findings of :func:`_copy` for each member of an ensemble."""
    members = model.members if isinstance(model, EnsembleModel) else {}
    for name, member in members.items():
        finding = _copy(member, X, member.predict(X))
        if finding is not None:
            said = f"member {name!r}: {finding.message}"
            yield replace(finding, message=said, advice="leave that member out")


def _votes(model: Model, n_classes: int, X: NDArray[Any]) -> Floats:
    return np.eye(n_classes)[model.predict(X)]


def _without_scores(error: Exception) -> Finding:
    reason = str(error).partition("\n")[0][:100]
    return Finding(
        "scores",
        "note",
        f"it predicts, but its scores raise {type(error).__name__}: {reason}",
        "attack='square', which follows scores, cannot attack it",
    )


def _torch_of(model: Model) -> nn.Module | None:
    """A torch model's module; the copy of any other model is this package's own."""
    return model.module if isinstance(model, (TorchModel, SkorchModel)) else None


@contextmanager
def _watched(model: Model) -> Iterator[list[str]]:
    """Names of the weights, buffers and arrays that a torch model changes; its owner's stay as they were.

    Objects outside its modules, or in containers, such as a list that a hook fills, are not watched.
    """
    changed: list[str] = []
    module = _torch_of(model)
    if module is None:
        yield changed
        return
    from skhalfway.models._views import kept, written_to

    before = _versions(module)
    with kept(module) as written:
        yield changed
    after = _versions(module)
    versions = [name for name, version in after.items() if before.get(name) != version]
    changed += dict.fromkeys([*written_to(module), *written, *versions])


def _versions(module: nn.Module) -> dict[str, tuple[int, int]]:
    """Identity and version of weights and buffers."""
    # tensors made in inference mode cannot change in place, and have no version
    named = chain(module.named_parameters(), module.named_buffers())
    return {name: (id(t), 0 if t.is_inference() else t._version) for name, t in named}


def _ask_for_gradient(model: Model, X: NDArray[Any]) -> None:
    """Call a torch model as attacks by gradient do, since it may behave differently then."""
    module = _torch_of(model)
    if module is None:
        return
    import torch

    from skhalfway.models._torch import place_of

    x = torch.tensor(X[:N_FOR_GRADIENT], **place_of(module))
    # errors of gradients are reported by attacks
    with suppress(Exception), model.evaluating():
        model.logits(x.requires_grad_().clone())


def _changed(names: list[str]) -> Finding | None:
    if not names:
        return None
    return Finding(
        "state",
        "warning",
        f"predicting changes its {', '.join(names[:3])}",
        "let its forward change them only where self.training is true",
    )


def _never_called(model: Model) -> Finding | None:
    """Finding if a part in training mode overrides ``train``, which may do more than set a flag."""
    module = _torch_of(model)
    if module is None:
        return None
    from skhalfway.models._views import with_train_of_its_own

    kinds = with_train_of_its_own(module)
    if not kinds:
        return None
    return Finding(
        "state",
        "warning",
        f"{kinds[0]} has a train() of its own, which is not called here",
        "call model.eval() first",
    )


def _outputs(model: Model, X: NDArray[Any], scores: Floats) -> Finding | None:
    if not isinstance(model, TorchModel):
        return None
    if isinstance(model, ArtModel):
        model.look(X)
    kind, source = model.output, model.output_source
    if source == "seen":
        return Finding(
            "outputs",
            "note",
            "it ends in a softmax or a sigmoid, and is attacked through the logits before it",
            "no action is needed",
        )
    if source == "stated" and kind == "logits" and model.ends_in_probability:
        return Finding(
            "probabilities",
            "warning",
            "output='logits' was given, but it ends in a softmax or a sigmoid",
            "leave output out, and the logits before it are used",
        )
    if source == "guessed":
        return Finding(
            "probabilities",
            "warning",
            "its outputs look like probabilities, so their logarithms are used as its logits",
            f"say what they are: as_model(model, output={kind!r}), or output='logits'",
        )
    if source == "assumed" and kind == "logits" and 0 <= scores.min() and scores.max() <= 1:
        return Finding(
            "outputs",
            "warning",
            f"its outputs are taken for logits, but all lie in [{scores.min():.2g}, {scores.max():.2g}]",
            "say what they are: as_model(model, output='probability'), or output='logits'",
        )
    return None


def _moved(ask: Ask, X: NDArray[Any], scores: Floats) -> Finding | None:
    """Finding if scores differ between two calls, or between two batches."""
    # fewer samples, in another order
    some = np.arange(len(X) - 1, -1, -4 if len(X) >= 8 else -1)
    elsewhere = ask(X[some])
    if not _apart(scores[some], elsewhere, SAME).any():
        return None
    again = ask(X)
    if (apart := _apart(scores, again, SAME)).any():
        return _unsteady("random", apart, scores.argmax(axis=1) != again.argmax(axis=1))
    apart = _apart(scores[some], elsewhere, SIMILAR)
    if apart.mean() <= MATTERS:
        return None
    return _unsteady("batch", apart, scores[some].argmax(axis=1) != elsewhere.argmax(axis=1))


def _unsteady(kind: str, apart: NDArray[np.bool_], turned: NDArray[np.bool_]) -> Finding:
    when, advice = {
        "random": (
            "called twice on the same samples",
            "switch off what is random, such as a dropout that ignores model.eval(); or average over enough "
            "calls",
        ),
        "batch": (
            "called on the same samples in another batch",
            "let it use the mean and variance stored in training, as BatchNorm does with "
            "track_running_stats=True",
        ),
    }[kind]
    scores, answer = percent(apart.mean()), percent(turned.mean())
    message = f"{when}, it changes its scores on {scores} of them and its prediction on {answer}"
    return Finding(kind, "warning", message, advice)


def _apart(a: Floats, b: Floats, tol: float) -> NDArray[np.bool_]:
    """Samples whose scores differ by more than a share of the range that scores usually have."""
    # two infinite scores are equal or differ; their difference is not defined
    gap = np.abs(np.subtract(a, b, out=np.zeros(a.shape), where=a != b)).max(axis=1)
    return gap > tol * np.median(np.ptp(np.where(np.isfinite(a), a, 0), axis=1))


def _otherwise(model: Model, X: NDArray[Any], scores: Floats, predicted: Indices) -> Finding | None:
    """Finding if the class of the largest score is not the prediction."""
    share = float((scores.argmax(axis=1) != predicted).mean())
    if share <= OTHERWISE:
        return None
    again = model.predict(X)
    if (turned := again != predicted).any():
        # the first predictions were made in a batch of all samples
        return _unsteady("batch" if (model.predict(X) == again).all() else "random", turned, turned)
    return Finding(
        "scores",
        "note",
        f"on {percent(share)} of the samples its largest score is not that of its prediction",
        "interpret results of attack='square', which follows scores, with care",
    )


def _copy(model: Model, X: NDArray[Any], predicted: Indices) -> Finding | None:
    """Finding if the copy that gradient attacks follow predicts other labels than the model."""
    agrees = copy_agrees(model, X, predicted) if len(X) >= N_COMPARED else None
    if agrees is None:
        return None
    high = wilson_interval(agrees.sum(), len(X)).high
    if high >= ALIKE:
        return None
    return Finding(
        "soft_copy",
        "warning" if high < AGREES else "note",
        f"the smoothed version that is attacked in its place agrees with it on {percent(agrees.mean())} of "
        "the samples",
        "attack it with attack='hopskipjump', or a tree or forest with attack='tree'",
    )


def _saturated(model: Model, scores: Floats) -> Iterator[Finding]:
    certain = (scores.max(axis=1) == 1) & (scores.min(axis=1) == 0)
    if hasattr(model.estimator, "predict_proba") and certain.mean() > 0.5:
        yield Finding(
            "saturated",
            "note",
            f"on {percent(certain.mean())} of the samples its probabilities are exactly 0 and 1",
            "attack='square', which follows them, will be weak",
        )
