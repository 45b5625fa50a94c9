"""What a generator does in fit, transform and generate: it reads samples, source and labels, and attacks."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from joblib import delayed
from numpy.typing import NDArray
from sklearn.exceptions import NotFittedError

from skhalfway._callbacks import fit_tasks
from skhalfway._devices import devices_of
from skhalfway._inputs import Frame, check_labels, container_of, read_samples, read_targets
from skhalfway._parallel import side_by_side
from skhalfway._randomness import draw_seed, own_rng, undisturbed
from skhalfway._rounding import ColumnTypes
from skhalfway._text import brief, shown
from skhalfway.attacks._adapters import run_adapter
from skhalfway.attacks._automatic import run_automatic
from skhalfway.attacks._batch_size import batch_of
from skhalfway.attacks._budget import check_float_type
from skhalfway.attacks._constraints import Header
from skhalfway.attacks._limits import Limits, read_limits
from skhalfway.attacks._named import check_positions
from skhalfway.attacks._parameters import (
    advice,
    begins_elsewhere,
    check_parameters,
    check_source,
    gradient_attack,
    is_own,
    make_attack,
    no_attack_in_0,
    takes_gradients,
)
from skhalfway.attacks._pool import Pool
from skhalfway.attacks._problem import Outcome, Problem
from skhalfway.attacks._reach import say_of_whole_numbers, say_out_of_reach
from skhalfway.attacks._reference import Reference, clip_values_of, reference_for, reference_seen
from skhalfway.attacks._strong import run_strong
from skhalfway.models import Model, NotDifferentiableError, as_model
from skhalfway.models._as_model import check_kind, counts_as_fitted, fit_clone
from skhalfway.models._faults import answers, classes_of, named, type_name, type_named
from skhalfway.models._fitted_columns import check_kinds
from skhalfway.models._input_spec import reader_of
from skhalfway.models._memory_use import is_out_of_memory
from skhalfway.models._number_codes import refused, why_refused
from skhalfway.models._soft_agreement import soft_agreement
from skhalfway.models._torch_model import TorchModel
from skhalfway.models._type_checks import unfrozen
from skhalfway.models._warnings import warn

if TYPE_CHECKING:
    from skhalfway.attacks._generator import AdversarialGenerator

_SOURCES: WeakKeyDictionary[AdversarialGenerator, Model] = WeakKeyDictionary()
_NOT_FITTED = (
    "This AdversarialGenerator instance is not fitted yet. Call 'fit' with data, which fits its estimator; "
    "or, to attack a fitted one, wrap that: AdversarialGenerator(FrozenEstimator(model))"
)


def source_of(estimator: Any) -> Any:
    """The source of a generator with that parameter ``estimator``."""
    if estimator is not None:
        return estimator
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=1000)


def fit_source(generator: AdversarialGenerator, X: Any, y: Any, fit_params: Mapping[str, Any]) -> None:
    """Fit the source, and keep on the generator what its attacks need to know about the data."""
    check_parameters(generator)
    array = read_samples(generator, X, reset=True)
    check_positions(generator.eps, generator.constraints, X)
    reference = reference_for(generator, array)
    limits = limits_of(generator, array, generator, Frame.of(X), reference, of_others=True)
    region = limits.region(array)
    source = source_of(generator.estimator)
    check_kind(source)
    if y is None and not counts_as_fitted(source):
        raise ValueError(
            "This AdversarialGenerator estimator requires y to be passed, but the target y is None"
        )
    labels = None if y is None else read_targets(y, len(array))
    data, fit = X if hasattr(X, "columns") else array, partial(fit_clone, **fit_params)
    with fit_tasks(generator, ["source"], X, y) as (task,):
        source = named(type_name(source), fit, source, data, y, task)
    model = as_model(source)
    generator.classes_ = _classes(model, array)
    check_source(generator, model, region, len(generator.classes_), targeted=None)
    generator.estimator_ = source
    generator.soft_agreement_ = None
    if gradient_attack(generator.attack, model):
        with undisturbed():
            agreement = type_named(model, soft_agreement, model.reading(Frame.of(X)), array)
        generator.soft_agreement_ = agreement
    generator._reference = reference
    generator._partners = None
    if begins_elsewhere(generator):
        from skhalfway.attacks._partners import keep_partners

        frame = Frame.of(X)
        # categories are only known to a model that has read the training data's frame
        ask = None if frame is None else model.reading(frame).predict
        generator._partners = keep_partners(array, labels, own_rng(generator.random_state), ask)
    generator.n_iter_ = 1 if generator.attack == "fgsm" else generator.max_iter


def generate(
    generator: AdversarialGenerator, X: Any, y: Any = None, target: Any = None
) -> tuple[Outcome, Any]:
    """The outcome of an attack, and the adversarial samples in X's container."""
    if not generator.__sklearn_is_fitted__():
        raise NotFittedError(_NOT_FITTED)
    check_parameters(generator)
    rng = own_rng(generator.random_state)
    with undisturbed():
        return _generate(generator, rng, X, y, target)


def _generate(
    generator: AdversarialGenerator, rng: np.random.RandomState, X: Any, y: Any, target: Any
) -> tuple[Outcome, Any]:
    if y is not None and target is not None:
        raise ValueError("generate takes y (labels to leave) or target (labels to reach), not both")
    fitted, targeted = hasattr(generator, "estimator_"), target is not None
    frame = Frame.of(X)
    model = _source(generator, generator.estimator_ if fitted else generator.estimator).reading(frame)
    check_kinds(model.estimator, X)
    reader = generator if fitted else reader_of(model)
    array = read_samples(reader, X, reset=not fitted and model.n_features_in_ is None)
    check_positions(generator.eps, generator.constraints, X)
    types = ColumnTypes.of(X, array.dtype)
    limits = limits_of(generator, array, reader, frame, reference_seen(generator), types=types)
    region = limits.region(array)
    classes = generator.classes_ if fitted else _classes(model, array)
    check_source(generator, model, region, len(classes), targeted=targeted)
    if np.isnan(array).any():
        type_named(model, answers, model, array)  # raises if the source cannot deal with missing values
    if targeted:
        wanted = np.full(len(array), target) if np.ndim(target) == 0 else target
        labels = check_labels(wanted, classes, len(array), name="target")
    elif y is not None:
        labels = check_labels(y, classes, len(array))
    else:
        labels = type_named(model, answers, model, array)
    say_out_of_reach(region, reader)
    say_of_whole_numbers(X, generator.constraints)
    problem = Problem(
        model,
        region,
        labels,
        len(classes),
        targeted,
        getattr(generator, "_partners", None),
        seed=draw_seed(rng),
    )
    outcome = type_named(model, run, generator, problem)
    for remark in outcome.findings:
        warn(str(remark))
    return outcome, container_of(X)(outcome.X_adv)


def run(generator: AdversarialGenerator, problem: Problem) -> Outcome:
    """Attack a checked problem, a batch of samples at a time; attacks of other libraries get all samples."""
    try:
        return _run_all(generator, problem)
    except (ValueError, KeyError, IndexError) as error:
        if why := _refused_codes(problem):
            raise ValueError(why) from error
        raise


def _refused_codes(problem: Problem) -> str:
    """Why the source raises, where that is because it refuses numbers that an attack made; else empty."""
    model, X = problem.model, problem.region.X
    if X.ndim > 2 or not len(X):
        return ""
    try:
        model.predict(X[:1])
    except Exception:
        return ""
    movable = problem.region.movable().reshape(len(X), -1).any(axis=0)
    columns, said = refused(model.predict, X, X, np.flatnonzero(movable).tolist())
    names = model._column_names(X.shape[1])
    return why_refused([k if names is None else names[k] for k in columns], said) if columns else ""


def _run_all(generator: AdversarialGenerator, problem: Problem) -> Outcome:
    # attacks that query predictions compute nothing on the devices
    devices = devices_of(generator.device) if takes_gradients(generator, problem.model) else (None,)
    if problem.pool is None or isinstance(generator.batch_size, str):
        generator = copy(generator)
        generator.batch_size = batch_of(generator, problem.model, problem.region.X, len(devices))
    if not is_own(generator.attack):
        return run_adapter(generator, problem)
    check_float_type(problem.model, problem.region.eps, generator.step_size)
    batches = problem.batches(generator.batch_size)
    if len(batches) < 2:
        return _run_where_it_fits(generator, problem)
    if problem.pool is None:
        pool = Pool.of(problem)
        shared = replace(problem.region, shared=pool.problem.region.shared)
        problem = replace(problem, region=shared, pool=pool)
    if len(devices) == 1:
        return Outcome.joined([_run_where_it_fits(generator, problem.take(rows)) for rows in batches])
    jobs = (
        delayed(_run_where_it_fits)(on(generator, device), problem.take(rows))
        for device, rows in zip(cycle(devices), batches, strict=False)
    )
    return Outcome.joined(
        list(side_by_side(jobs, len(batches), n_jobs=len(devices), what="attack", unit="block"))
    )


def on(generator: AdversarialGenerator, device: Any) -> AdversarialGenerator:
    """A copy of the generator with one of its devices."""
    one = copy(generator)
    one.device = device
    return one


def _run_where_it_fits(generator: AdversarialGenerator, problem: Problem) -> Outcome:
    """Attack a batch; if memory does not hold it, attack it in halves, with a warning."""
    try:
        return _run(generator, problem)
    except (MemoryError, RuntimeError) as error:
        n, reason = len(problem.region), brief(error, 80)
        if n < 2 or not is_out_of_memory(error):
            raise
    warn(
        f"{type_name(problem.model.estimator)} takes more memory for {n} samples at once than is free "
        f"({reason}), so these are attacked in halves; a smaller batch_size avoids the second try",
        UserWarning,
    )
    pool = problem.pool or Pool.of(problem)
    parts = [replace(problem.take(rows), pool=pool) for rows in np.array_split(np.arange(n), 2)]
    return Outcome.joined([_run_where_it_fits(generator, part) for part in parts])


def _run(generator: AdversarialGenerator, problem: Problem) -> Outcome:
    if generator.attack == "auto":
        return run_automatic(generator, problem)
    if generator.attack == "auto-strong":
        return run_strong(generator, problem)
    try:
        outcome = make_attack(generator, generator.attack).run(problem)
    except NotDifferentiableError as error:
        if generator.norm == 0:
            raise TypeError(no_attack_in_0(str(error))) from None
        raise TypeError(
            f"attack={generator.attack!r} needs gradients, but {error}; attack='auto' attacks black boxes "
            f"too, and {advice(generator.norm)}"
        ) from None
    if outcome.faults is not None:
        outcome.faults.advice = advice(generator.norm)
    return outcome


def limits_of(
    generator: AdversarialGenerator,
    X: NDArray[Any],
    header: Any,
    frame: Frame | None,
    reference: Reference | None,
    *,
    types: ColumnTypes | None = None,
    of_others: bool = False,
) -> Limits:
    """Budget, bounds and constraints of samples X; ``header`` is an object that keeps the names of features.

    ``types`` are the columns that are returned in narrower types. With ``of_others``, budgets and masks for
    each sample belong to other samples than X, of any number.
    """
    return read_limits(
        X,
        eps=generator.eps,
        norm=generator.norm,
        clip_values=clip_values_of(generator, reference),
        constraints=generator.constraints,
        spread=None if reference is None else reference.spread(generator.eps_unit),
        header=Header.of(header, X),
        categories=None if frame is None else frame.categories,
        types=types,
        of_others=of_others,
    )


def _source(generator: AdversarialGenerator, estimator: Any) -> Model:
    """The source; a torch module's model is kept between calls, since it follows changes of the module."""
    model = _SOURCES.get(generator)
    if model is None or model.estimator is not unfrozen(estimator):
        model = as_model(estimator)
        if type(model) is TorchModel:
            _SOURCES[generator] = model
    return model


def _classes(model: Model, X: NDArray[Any]) -> NDArray[Any]:
    classes = classes_of(model, X)
    if len(classes) < 2:
        raise ValueError(
            f"the source knows one class, {shown(classes)}; there must be at least 2, so that it can be "
            "fooled"
        )
    return classes
