"""What all scorers share that attack some of their models: the generator, the sources and the targets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skhalfway._checks import check_choice, check_jobs, check_random_state, meant
from skhalfway._inputs import Frame, fingerprints, read_samples
from skhalfway._randomness import draw_seed
from skhalfway._rounding import ColumnTypes
from skhalfway._spool import Gathered, gathered
from skhalfway._text import counted, shown
from skhalfway._time_limit import check_timeout
from skhalfway.attacks import AdversarialGenerator
from skhalfway.attacks._limits import WholeRegion
from skhalfway.attacks._named import check_positions
from skhalfway.attacks._parameters import begins_elsewhere, check_source, check_unattached
from skhalfway.attacks._per_sample import in_words
from skhalfway.attacks._pool import n_kept
from skhalfway.attacks._reach import say_of_whole_numbers, say_out_of_reach
from skhalfway.attacks._reference import Reference, is_range, reference_for
from skhalfway.attacks._run import limits_of
from skhalfway.engine._store import check_memory
from skhalfway.models import Model
from skhalfway.models._as_model import takes_missing
from skhalfway.models._collection import ModelCollection, is_pair
from skhalfway.models._ensemble_checks import COMBINE
from skhalfway.models._faults import named
from skhalfway.transfer._counting import CONDITIONS
from skhalfway.transfer._failures import check_error_score
from skhalfway.transfer._leave_one_out import (
    LEAVE_ONE_OUT,
    all_but,
    check_leave_one_out,
    holds_members,
    with_ensembles,
)
from skhalfway.transfer._method import attack_settings


class AttackingCollection(ModelCollection):
    """A collection of models: sources are attacked, and targets predict the samples."""

    generator: AdversarialGenerator | None
    sources: Sequence[str] | str | None
    targets: Sequence[str] | None
    condition: str
    combine: str
    memory: Any
    error_score: Any
    timeout: float | None
    random_state: Any
    verbose: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        pairs = self.estimators if isinstance(self.estimators, (list, tuple)) else []
        tags.input_tags.allow_nan = bool(pairs) and all(is_pair(p) and takes_missing(p[1]) for p in pairs)
        return tags

    def _read(self, X: Any, *, reset: bool, first: int = 0, name: str = "X") -> NDArray[Any]:
        return read_samples(self, X, reset=reset, first=first, name=name)

    def _check_params(self) -> None:
        check_choice("condition", self.condition, CONDITIONS)
        check_choice("combine", self.combine, COMBINE)
        if isinstance(self.sources, str) and not self._leaves_one_out:
            raise ValueError(
                f"sources must be None, {LEAVE_ONE_OUT!r} or a list of different names of models, got "
                f"{shown(self.sources)}{meant(self.sources, [LEAVE_ONE_OUT])}"
            )
        check_jobs(self.n_jobs, self.verbose)
        check_random_state(self.random_state)
        check_unattached(self.generator, "every model is attacked in turn")
        check_memory(self.memory)
        check_error_score(self.error_score)
        check_timeout(self.timeout)
        if np.ndim(self._generator.eps) == 0 and self._generator.eps == np.inf:
            raise ValueError(
                "the generator's eps must be finite, got inf: transfer is measured within a budget"
            )

    @contextmanager
    def _gathered(self, X: Any, y: Any) -> Iterator[Gathered]:
        """Read samples that are not in memory, after every other check."""
        check_is_fitted(self)
        self._check_params()
        with gathered(X, y, partial(self._read, reset=False)) as found:
            yield found

    def _start(
        self, X: Any, array: NDArray[Any] | None = None
    ) -> tuple[dict[str, Model], WholeRegion, NDArray[Any]]:
        """Models, samples with their region, and classes, checked; ``array`` are samples read before."""
        check_is_fitted(self)
        self._check_params()
        models, array, classes = self._read_for_models(X, array)
        check_positions(self._generator.eps, self._generator.constraints, X)
        reference, types = self._reference_for(array), ColumnTypes.of(X, array.dtype)
        limits = limits_of(self._generator, array, self, Frame.of(X), reference, types=types)
        return models, WholeRegion(array, limits, limits.eps), classes

    def _say_out_of_reach(self, region: WholeRegion, X: Any) -> list[str]:
        say_of_whole_numbers(X, self._generator.constraints)
        return say_out_of_reach(region, self)

    def _keep_reference(self, array: NDArray[Any] | None) -> None:
        """Keep what attacks may know of the training data, or of the reference."""
        self._reference: Reference | None = None
        self._partners: NDArray[Any] | None = None  # samples that attacks by queries may start from
        if array is None:
            return
        self._reference, self._n_reference = Reference.of(array), len(array)
        if begins_elsewhere(self._generator):
            rows = np.random.RandomState(0).permutation(len(array))[: n_kept(array.shape)]
            self._partners = array[np.sort(rows)]

    def _reference_for(self, array: NDArray[Any]) -> Reference | None:
        """Data for the generator's units and bounds: the reference, else the attacked samples."""
        return reference_for(self._generator, array) if self._reference is None else self._reference

    def _roles(self, models: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Names of the sources and of the targets, checked."""
        roles: list[tuple[str, ...]] = []
        for role in ("targets", "sources"):
            given = getattr(self, role)
            if role == "sources" and self._leaves_one_out:
                check_leave_one_out(models, roles[0])
                roles.append(tuple(map(all_but, roles[0])))
                continue
            ensembles = [name for name, model in models.items() if role == "targets" and holds_members(model)]
            if given is None:
                roles.append(tuple(name for name in models if name not in ensembles))
                if not roles[-1]:
                    raise ValueError(
                        "all models are ensembles, which are sources but no targets; pass at least one "
                        "model to try the samples on"
                    )
                continue
            names = tuple(given) if isinstance(given, (list, tuple, np.ndarray)) else ()
            if not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
                raise ValueError(
                    f"{role} must be None or a list of different names of models, got {shown(given)}"
                )
            for name in names:
                if name not in models:
                    known = list(models)
                    raise ValueError(
                        f"{role} must hold names of the models {shown(known)}, got {name!r}"
                        f"{meant(name, known)}"
                    )
                if name in ensembles:
                    raise ValueError(
                        f"targets must not hold {name!r}, which is an Ensemble and serves as a source only; "
                        "wrap its members in a VotingClassifier, or name targets that are no ensembles"
                    )
            roles.append(tuple(map(str, names)))  # names in an array are numpy's texts
        targets, sources = roles
        if sources == targets and len(sources) == 1:
            raise ValueError(
                f"sources and targets must not be one and the same model, got {shown(sources[0])} for both"
            )
        return sources, targets

    @property
    def _leaves_one_out(self) -> bool:
        return isinstance(self.sources, str) and self.sources == LEAVE_ONE_OUT

    def _with_ensembles(self, models: Mapping[str, Model]) -> Mapping[str, Model]:
        """The models, and the ensembles that ``sources`` needs."""
        if not self._leaves_one_out:
            return models
        return with_ensembles(models, self._roles(models)[1], self.combine)

    def _check_sources(
        self, models: Mapping[str, Model], region: WholeRegion, n_classes: int, *, targeted: bool = False
    ) -> None:
        """Raise if the attack cannot attack one of the sources, before any attack."""
        check = partial(check_source, targeted=targeted)
        for name, model in models.items():
            named(name, check, self._generator, model, region, n_classes)

    @property
    def _generator(self) -> AdversarialGenerator:
        return AdversarialGenerator() if self.generator is None else self.generator

    def _generators(self, n: int, rng: np.random.RandomState) -> list[AdversarialGenerator]:
        """One generator for each source, seeded if it has no seed."""
        generators = [clone(self._generator) for _ in range(n)]
        if self._generator.random_state is None:
            for generator in generators:
                generator.random_state = draw_seed(rng)
        return generators

    def _measured(self, *, asked: bool) -> str:
        """Description of the data behind budgets, bounds and partners; empty if nothing depends on it.

        ``asked``: an attack used queries, so it may have started from partners.
        """
        generator, figures = self._generator, []
        if self._reference is None:
            elsewhere = asked and begins_elsewhere(generator)
            depends = elsewhere or reference_for(generator, np.zeros((1, 1))) is not None
            return "the attacked samples" if depends else ""
        spread = self._reference.spread(generator.eps_unit)
        if spread is not None:
            figures.append(spread)
        if is_range(generator.clip_values):
            figures += [self._reference.low, self._reference.high]
        if asked and self._partners is not None:
            figures.append(self._partners)
        if not figures:
            return ""
        known_by = fingerprints(np.concatenate([np.ravel(part) for part in figures])[None])[0]
        return f"{counted(self._n_reference, 'sample')}, {known_by:016x}"

    def _settings(
        self, X: NDArray[Any], out_of_reach: Sequence[str], costs: Mapping[str, Mapping[str, float]]
    ) -> dict[str, Any]:
        """Settings of the generator and of this object that the figures depend on."""
        by_gradient = any("gradients" in cost for cost in costs.values())
        settings = attack_settings(self._generator, by_gradient=by_gradient)
        if (eps := in_words(self._generator.eps, X.ndim)) is not self._generator.eps:
            settings["eps"] = eps
        measured = self._measured(asked=any("queries" in cost for cost in costs.values()))
        if measured:
            settings["reference"] = measured
        if out_of_reach:
            settings["out_of_reach"] = out_of_reach
        if self._leaves_one_out:
            settings["sources"], settings["combine"] = LEAVE_ONE_OUT, self.combine
        return {**settings, "random_state": self.random_state}
