"""The run of an audit: surrogates, the transfer curve, then every part, independently of the others."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from skhalfway._inputs import how_to_name, positions
from skhalfway._progress import Progress
from skhalfway._text import brief, shown
from skhalfway.models import as_model
from skhalfway.models._faults import named as as_told
from skhalfway.models._model import Model
from skhalfway.models._same_classes import common_classes
from skhalfway.models._type_checks import unfrozen
from skhalfway.report._columns import attacked_columns
from skhalfway.report._exposed import most_exposed
from skhalfway.report._halfway import halfway
from skhalfway.report._inspection import inspected
from skhalfway.report._nearest import nearest_samples
from skhalfway.report._parts import Surrogates
from skhalfway.report._protocol import not_tested, protocol_of
from skhalfway.report._reached import check_floats, columns_of_codes, reached
from skhalfway.report._report import AuditReport
from skhalfway.report._retraining import retrained, why_not
from skhalfway.report._setting import Setting
from skhalfway.report._surrogates import default_surrogates, trained
from skhalfway.report._threats import threats_to
from skhalfway.report._unmoved import unmoved
from skhalfway.report._words import PART_NAMES
from skhalfway.results import Provenance
from skhalfway.transfer import TransferScorer

if TYPE_CHECKING:
    from skhalfway.attacks import AdversarialGenerator
    from skhalfway.report._inputs import Samples
    from skhalfway.transfer import TransferCurve

MOST_ROWS = 10_000  # maximum number of samples that surrogates are trained on


@dataclass(frozen=True)
class Request:
    """The checked arguments of an audit."""

    models: Mapping[str, Any]
    deployed: str
    surrogates: Any
    share: float
    generator: AdversarialGenerator
    budgets: tuple[float, ...]
    data: Samples
    parts: tuple[str, ...]
    options: Mapping[str, Any]
    seed: int


@dataclass
class _Done:
    """The parts of a report that are done so far."""

    fields: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    log: list[warnings.WarningMessage] = field(default_factory=list)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Add the time of the block to that of a part."""
        begin = perf_counter()
        try:
            yield
        finally:
            self.seconds[what] = self.seconds.get(what, 0.0) + perf_counter() - begin


def run(request: Request) -> AuditReport:
    """Run an audit."""
    done, begin = _Done(), perf_counter()
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        done.log = log
        setting = _setting(request)
        _check_there_is_something(setting)
        check_floats(setting)
        codes = columns_of_codes(setting)
        own: Surrogates | None = None
        if request.surrogates is not None:
            with done.timed("surrogates"):
                setting, own = _with_surrogates(request, setting)
        scorer = TransferScorer(setting.generator, random_state=request.seed, **request.options).fit(
            setting.models, reference=setting.measured_on
        )
        space = reached(setting, codes)
        held = unmoved(setting, space)
        seen = inspected(setting, space, request.data, held)

        def report(curve: TransferCurve, *, partial: bool) -> AuditReport:
            said = tuple(dict.fromkeys(brief(one.message, 400) for one in log))
            return AuditReport(
                request.deployed,
                setting.roles,
                {name: kind_of(model) for name, model in setting.models.items()},
                curve,
                surrogates=own,
                **done.fields,
                left_out=done.left_out,
                unmoved=held.doubtful,
                data=seen,
                not_tested=not_tested(setting, request.data, held.still),
                protocol=protocol_of(setting, request.data, own),
                warnings=said,
                seconds=done.seconds,
                partial=partial,
                provenance=Provenance(
                    "audit",
                    {
                        "deployed": request.deployed,
                        "parts": list(request.parts),
                        "random_state": request.seed,
                    },
                    n_samples=len(setting.y),
                    seconds=perf_counter() - begin,
                ),
            )

        try:
            with done.timed("transfer"):
                curve = scorer.transfer_curve(setting.X, setting.y, eps=list(request.budgets))
        except KeyboardInterrupt as interrupt:
            partial: Any = getattr(interrupt, "partial", None)
            done.left_out.update(dict.fromkeys(request.parts, "the run was interrupted before"))
            interrupt.partial = None if partial is None else report(partial, partial=True)  # type: ignore[attr-defined]
            raise
        try:
            _measure_parts(request, setting, curve, done)
        except KeyboardInterrupt as interrupt:
            interrupt.partial = report(curve, partial=True)  # type: ignore[attr-defined]
            raise
        return report(curve, partial=False)


def _classes_of(models: Mapping[str, Any], X: Any) -> NDArray[Any]:
    """Labels that the models share; for networks without labels, the numbers of their outputs."""
    seen = {name: as_told(name, as_model, model) for name, model in models.items()}
    classes = common_classes(seen)
    if classes is None:
        first = next(iter(seen.values()))
        classes = np.arange(first.n_outputs(np.asarray(X[:2], dtype=np.float32)))
    return classes


def _with_surrogates(request: Request, setting: Setting) -> tuple[Setting, Surrogates]:
    """The setting with surrogates, and their description."""
    models, classes = setting.models, setting.classes
    data, seed = request.data, request.seed
    n = len(data.reference)
    n_rows = min(max(int(request.share * n), 1), MOST_ROWS)
    rows = np.sort(np.random.RandomState(seed).permutation(n)[:n_rows])
    X = _safe_indexing(data.reference, rows)
    labels = data.reference_labels
    if labels is not None:
        y = labels[rows]
    else:
        y = setting.answers(setting.deployed, X)
    unknown = np.unique(y[positions(y, classes) < 0])
    if len(unknown):
        raise ValueError(
            f"reference must hold labels that the models know, which are {shown(classes)}; got "
            f"{shown(unknown)}"
        )
    missing = classes[positions(classes, np.unique(y)) < 0]
    if len(missing):
        raise ValueError(
            f"the {n_rows} samples for training surrogates lack class {shown(missing)}; pass more or other "
            "samples as reference, a larger surrogate_share, or surrogates=None"
        )
    if request.surrogates == "auto":
        new, described = default_surrogates(data.reference, len(classes), seed, n_rows)
    else:
        new = dict(request.surrogates)
        described = {name: kind_of(model) for name, model in new.items()}
    names = {name: _free(f"surrogate {name}", models) for name in new}
    fits = trained(new, X, y, seed=seed, n_jobs=request.options["n_jobs"], verbose=request.options["verbose"])
    own = Surrogates(
        tuple(names.values()),
        n_rows,
        n,
        "deployed" if labels is None else "reference",
        data.split_off,
        {names[name]: text for name, text in described.items()},
    )
    every = {**models, **{names[name]: model for name, model in fits.items()}}
    roles = {**setting.roles, **dict.fromkeys(own.names, "surrogate")}
    return replace(setting, models=every, roles=roles), own


def _free(name: str, taken: Mapping[str, Any]) -> str:
    while name in taken:
        name = f"{name} (trained here)"
    return name


def _setting(request: Request) -> Setting:
    """Setting of the given models, without surrogates."""
    data, generator = request.data, clone(request.generator).set_params(eps=request.budgets[-1])
    if generator.random_state is None:
        generator.random_state = request.seed
    return Setting(
        request.models,
        {name: "deployed" if name == request.deployed else "other" for name in request.models},
        request.deployed,
        _classes_of(request.models, data.X),
        data.X,
        data.y,
        data.rows,
        generator,
        request.budgets,
        data.reference,
        data.reference_labels,
        request.options,
        request.seed,
    )


def _check_there_is_something(setting: Setting) -> None:
    """Raise if the deployed model classifies no sample correctly, before any attack."""
    unknown = np.unique(setting.y[positions(setting.y, setting.classes) < 0])
    if len(unknown):
        raise ValueError(
            f"y must hold labels that the models know, which are {shown(setting.classes)}; got "
            f"{shown(unknown)}{how_to_name(setting.classes, np.asarray(setting.y))}"
        )
    if not (setting.answers(setting.deployed, setting.X) == setting.y).any():
        raise ValueError(
            f"{setting.deployed} classifies none of the {len(setting.y)} samples correctly, so there is "
            "nothing to attack; check that columns, scaling and labels are those that it was trained with"
        )


def _measure_parts(request: Request, setting: Setting, curve: TransferCurve, done: _Done) -> None:
    """Measure the requested parts; parts that fail are left out, with the reason."""
    images = np.ndim(setting.X) > 2
    makers: dict[str, Callable[[], dict[str, Any]]] = {
        "exposed": lambda: {"exposed": most_exposed(setting, curve)},
        "columns": lambda: {"columns": attacked_columns(setting, _telling(setting, curve))},
        "nearest": lambda: {"nearest": nearest_samples(setting)},
        "halfway": lambda: dict(zip(("predicted", "agreement"), halfway(setting, curve), strict=True)),
        "retraining": lambda: {"retraining": retrained(setting, curve)},
    }
    cannot = {"retraining": why_not(setting), "columns": "images have no columns" if images else ""}
    if not request.parts:
        return
    progress = Progress("measure parts", len(request.parts), "part", request.options["verbose"])
    left = list(request.parts)
    try:
        for part in request.parts:
            if why := cannot.get(part):
                done.left_out[part] = why
            else:
                with done.timed(part), _named_warnings(PART_NAMES[part], done.log):
                    try:
                        done.fields.update(makers[part]())
                    except (ValueError, TypeError, RuntimeError, MemoryError) as error:
                        # other parts do not depend on this one; the report gives the reason
                        done.left_out[part] = brief(error)
            left.remove(part)
            progress.done(1, part)
    except KeyboardInterrupt:
        done.left_out.update(dict.fromkeys(left, "the run was interrupted before"))
        raise
    finally:
        progress.close()


@contextmanager
def _named_warnings(part: str, said: Sequence[warnings.WarningMessage]) -> Iterator[None]:
    """Put the name of the part before its new warnings, since it may have its own budget and models."""
    known = {str(one.message) for one in said}
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            told = [(str(one.message), one.category) for one in log]
    for message, category in told:
        if message not in known:
            warnings.warn(f"{part}: {message}", category, stacklevel=2)


def _telling(setting: Setting, curve: TransferCurve) -> float:
    """The smallest budget at which attacks on the model itself fool it on a fifth; else the largest."""
    own = [t for t in threats_to(setting.deployed, setting.roles, curve) if t.kind == "deployed"]
    return next((threat.eps for threat in own if threat.rate >= 0.2), setting.budgets[-1])


def kind_of(model: Any) -> str:
    """Type of a model; for a pipeline, also that of its last step."""
    inner = model.estimator if isinstance(model, Model) else unfrozen(model)
    steps = getattr(inner, "steps", None)
    last = type(steps[-1][1]).__name__ if steps else ""
    name = type(inner).__name__
    return f"{name} of {last}" if last else name
