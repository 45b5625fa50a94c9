"""One source: which samples are attacked on it, at what cost, and whether the attack is too weak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import effective_n_jobs
from numpy.typing import NDArray
from sklearn.base import clone

from skhalfway._devices import devices_of
from skhalfway._progress import announced
from skhalfway._randomness import draw_seed, own_rng
from skhalfway.attacks._adapters import adapter_of
from skhalfway.attacks._batch_size import batch_of
from skhalfway.attacks._parameters import (
    advice,
    chooses,
    gradient_attack,
    is_own,
    takes_gradients,
    without_gradient,
)
from skhalfway.attacks._partners import Partners
from skhalfway.attacks._pool import Pool, drawn
from skhalfway.attacks._problem import Outcome, Problem, Settings
from skhalfway.attacks._region import Region
from skhalfway.attacks._run import on, run
from skhalfway.models import Finding, NotDifferentiableError
from skhalfway.transfer._doubted import SEEMS
from skhalfway.transfer._failures import Care, Failed, Failures
from skhalfway.transfer._masked import N_MOST, Opinion, ask_with_queries, objection, rows_to_ask

if TYPE_CHECKING:
    from skhalfway.attacks import AdversarialGenerator
    from skhalfway.attacks._limits import WholeRegion
    from skhalfway.models import Model
    from skhalfway.transfer._attacking import AttackingCollection

_N_STEPS, _N_RESTARTS = 40, 5
_N_STEPS_IN_0 = 200  # of an attack without random starts


@dataclass(frozen=True)
class Source:
    """A model to attack, with the samples and the attack.

    Attributes
    ----------
    name : str
        Name of the model.
    model : Model
        The model.
    generator : AdversarialGenerator
        The attack.
    seed : int
        Seed of the attack's random draws.
    regions : sequence of WholeRegion
        All samples, and where they may go, at each budget; the largest comes last.
    labels : ndarray of shape (n_samples,)
        Class indices to move away from or, where ``targeted``, to reach.
    rows : int ndarray of shape (n_rows,)
        Numbers of the samples to attack.
    n_classes : int
        Number of labels.
    targeted : bool, default=False
        Whether the attack aims at ``labels``.
    partners : Partners or None, default=None
        Training samples that the attack may use.
    pool : Pool or None, default=None
        Samples of all blocks that the attack on one block may use; None where there are no blocks.
    device : object, default=None
        Device to attack on; None leaves the choice to the generator.
    within : int ndarray of shape (n_within,) or None, default=None
        Numbers of the samples that ``regions`` are of, ascending; None is all.
    """

    name: str
    model: Model
    generator: AdversarialGenerator
    seed: int
    regions: Sequence[WholeRegion | Region]
    labels: NDArray[np.intp]
    rows: NDArray[np.intp]
    n_classes: int
    targeted: bool = False
    partners: Partners | None = None
    pool: Pool | None = None
    device: Any = None
    within: NDArray[np.intp] | None = None

    @property
    def splits(self) -> bool:
        """Whether blocks can be attacked separately: a sample's result needs only itself and the pool."""
        return is_own(self.generator.attack)

    @property
    def follows_gradients(self) -> bool:
        """Whether the package's own attack uses gradients rather than queries."""
        return takes_gradients(self.generator, self.model)

    def regions_of(self, rows: NDArray[np.intp]) -> list[Region]:
        """Allowed regions of some samples, at each budget."""
        return [self._part(region, rows) for region in self.regions]

    def _part(self, region: WholeRegion | Region, rows: NDArray[np.intp]) -> Region:
        if self.within is None:
            return region.take(rows)
        if isinstance(region, Region) and len(rows) == len(self.within):
            return region
        return region.take(np.searchsorted(self.within, rows))

    def at(self, rows: NDArray[np.intp], regions: Sequence[Region]) -> Source:
        """The source with the regions of some samples only, to attack these."""
        return replace(self, regions=regions, within=rows)

    def problem(self, rows: NDArray[np.intp]) -> Problem:
        """The attack on some samples, within the largest budget."""
        return self._problem(rows, self._part(self.regions[-1], rows))

    def _problem(self, rows: NDArray[np.intp], region: Region) -> Problem:
        return Problem(
            self.model,
            region,
            self.labels[rows],
            self.n_classes,
            self.targeted,
            self.partners,
            self.pool,
            self.seed,
            rows,
        )

    def attack(self, rows: NDArray[np.intp]) -> tuple[list[NDArray[Any]], Account]:
        """Adversarial samples within every budget, the largest one last, and the cost of the attack.

        An attack that looks for the nearest adversarial samples runs once, within the largest budget. For a
        smaller budget, samples that are farther away are moved back into it. Any other attack runs for each
        budget, since its steps depend on the budget.
        """
        begin = perf_counter()
        generator = self.generator if self.device is None else on(self.generator, self.device)
        *smaller, largest = self.regions_of(rows)
        problem, outcomes = self._problem(rows, largest), []

        def within(region: Region) -> Outcome:
            outcome = run(generator, replace(problem, region=region))
            outcomes.append(outcome)
            return outcome

        found = within(largest)
        if not found.at_any_budget or found.distances is None:
            each = [within(region).X_adv for region in smaller]
        else:
            z = largest.to_z(found.X_adv)
            far = found.distances.reshape(-1, *[1] * (z.ndim - 1))
            each = [np.where(far <= region.eps, found.X_adv, region.keep(z, full=True)) for region in smaller]
        return [*each, found.X_adv], Account.of(outcomes, perf_counter() - begin)


def sources_of(
    scorer: AttackingCollection,
    models: Mapping[str, Model],
    generators: Sequence[AdversarialGenerator],
    regions: Sequence[WholeRegion],
    labels: NDArray[np.intp],
    needed: NDArray[np.bool_],
    clean: NDArray[np.intp],
    n_classes: int,
    targeted: bool = False,
    failures: Failures | None = None,
) -> list[Source]:
    """The sources of a scorer; arrays are of shape (n_sources, n_samples).

    A source that fails here, or failed before, gets no samples to attack.
    """
    failures = Failures(Care()) if failures is None else failures
    regions = [replace(region, shared=region.shared_unit()) for region in regions]
    sources, n_workers = [], effective_n_jobs(scorer.n_jobs)
    with announced("prepare attacks", len(models), "source", scorer.verbose, failures.care) as call:
        for i, (name, model) in enumerate(models.items()):
            generator = generators[i]
            seed, rows = draw_seed(own_rng(generator.random_state)), np.flatnonzero(needed[i])
            source = Source(name, model, generator, seed, regions, labels[i], rows, n_classes, targeted)
            made = None
            if not failures.has_lost(name):
                made = call(name, _prepared, source, scorer._partners, clean[i], n_workers)
            if isinstance(made, Failed):
                failures.lose_source(name, made.reason)
            sources.append(made if isinstance(made, Source) else replace(source, rows=rows[:0]))
    return sources


def _prepared(source: Source, known: NDArray[Any] | None, clean: NDArray[np.intp], n_workers: int) -> Source:
    """A source with the data that its attack may use, and a batch size that fits into memory."""
    model, generator, rows = source.model, source.generator, source.rows
    if known is not None:
        frame = model._frame
        partners = Partners(known if frame is None else known[frame.knows(known)])
        if not chooses(generator.attack) or not model.has_gradient:
            partners.said_by(model)  # otherwise predicted when an attack first needs it
        source = replace(source, partners=partners)
    X = source.regions[0].X
    generator.batch_size = batch_of(generator, model, X, n_workers)
    if not source.splits:
        return source
    some = rows[drawn((len(rows), *X.shape[1:]), source.seed)]
    return replace(source, pool=Pool(source.problem(some), clean[some], len(rows)))


@dataclass(frozen=True)
class Account:
    """Cost and outcome of an attack on a source.

    Attributes
    ----------
    cost : dict of str to float
        ``seconds`` that it took, and ``queries`` or ``gradients`` that it used, over all budgets.
    outcome : Outcome
        Outcome at the largest budget, without the samples.
    """

    cost: dict[str, float]
    outcome: Outcome

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], seconds: float) -> Account:
        """Account of the same samples at several budgets, the largest first."""
        cost = {"seconds": seconds}
        for outcome in outcomes:
            if outcome.n_queries is not None:
                cost["queries"] = cost.get("queries", 0) + int(outcome.n_queries.sum())
            if outcome.faults is not None:
                cost["gradients"] = cost.get("gradients", 0) + outcome.faults.n_gradients
        return cls(cost, replace(outcomes[0], X_adv=np.empty((len(outcomes[0].X_adv), 0))))

    @classmethod
    def joined(cls, parts: Sequence[Account]) -> Account:
        """Account of all samples, from those of blocks."""
        cost: dict[str, float] = {}
        for part in parts:
            for name, value in part.cost.items():
                cost[name] = cost.get(name, 0) + value
        return cls(cost, Outcome.joined([part.outcome for part in parts]))


@dataclass(frozen=True)
class Attacked:
    """A source that was attacked, and the second opinions on its attack.

    Attributes
    ----------
    source : Source
        The source.
    account : Account
        Cost and outcome of its attack.
    queries : Opinion or None
        Opinion of few queries, where it contradicts the attack; None for the package's attacks by queries.
    unasked : str
        Reason why there are no such queries; empty where there are.
    """

    source: Source
    account: Account
    queries: Opinion | None = None
    unasked: str = ""

    @property
    def by_gradient(self) -> str:
        """The attack in words, where it uses the source's gradient; else empty."""
        attack = self.source.generator.attack
        if is_own(attack) and self.account.outcome.faults is None:
            return ""  # "auto" found no gradient after all
        return gradient_attack(attack, self.source.model)

    @property
    def name(self) -> str:
        """The attack in words."""
        attack = self.source.generator.attack
        return f"attack={attack!r}" if is_own(attack) else f"attack={adapter_of(attack).label}"

    @property
    def asks_already(self) -> bool:
        """Whether it is one of the package's attacks by queries, to which a few queries add nothing."""
        return is_own(self.source.generator.attack) and not self.by_gradient

    def asked(self, X_adv: NDArray[Any]) -> Opinion | None:
        """The opinion of few queries; ``X_adv`` are the adversarial versions of the samples to ask about."""
        if self.asks_already:
            return None
        source, positions = self.source, rows_to_ask(len(self.source.rows))
        settings = Settings(
            batch_size=source.generator.batch_size, device=devices_of(source.generator.device)[0]
        )
        opinion = ask_with_queries(source.problem(source.rows[positions]), X_adv, settings)
        if opinion is not None:
            opinion = replace(opinion, gained=positions[opinion.gained])
        return opinion

    def unjudged(self, reason: str) -> list[Finding]:
        """Findings about the source, where no other attack could be compared with its own."""
        remarks = list(self.account.outcome.findings)
        said = f"whether the attack on it is too weak could not be checked: {reason}"
        remedy = "attack it by queries too, for example with attack='square'"
        if self.source.generator.norm == 0:
            remedy = f"raise max_iter, or attack it in another norm: {advice(0)}"
        elif self.asks_already:
            remedy = "attack it by another attack too"
        remarks.append(Finding("attack", "warning", said, remedy))
        return remarks

    def judged(self, others: Sequence[Opinion] = ()) -> tuple[list[Finding], bool]:
        """Findings about the source, and whether its own attack misses what attacks by gradient miss too."""
        remarks = list(self.account.outcome.findings)
        if self.unasked:
            remarks = self.unjudged(self.unasked)
        shown = objection(self.queries, others)
        if shown is None:
            return remarks, False
        rows, faults = shown.gained[:N_MOST], self.account.outcome.faults
        flat = np.zeros(len(rows), dtype=bool) if faults is None else faults.flat[rows]
        # where restarts of a gradient attack succeed, the gradient is not masked, unless it is 0
        hidden = flat | ~self._fooled_after_restarts(self.source.rows[rows])
        masked = bool(2 * hidden.sum() > len(rows))
        message = (
            f"{self.name} fools it on {shown.own} of {shown.n} samples, but with {shown.attack} it is "
            f"fooled on {shown.own + shown.balance} of the same samples, {SEEMS}"
        )
        remedy = self._remedy(masked, self._says_of_random(self.source.rows[rows]) if masked else "")
        finding = Finding("attack", "warning", message, remedy)
        return [*remarks, finding], masked

    def _remedy(self, masked: bool, random: str = "") -> str:
        source, faults = self.source, self.account.outcome.faults
        if random:
            return random
        if not masked:
            # the gradient of a smooth copy is only an approximation
            others = ", and 'hopskipjump', or 'tree' for trees, may be" if source.model.smoothed else ""
            stronger = f"attack='pgd' with n_restarts={_N_RESTARTS} is stronger{others}"
            if source.generator.norm == 0:
                stronger = f"attack='sigmazero' with max_iter={_N_STEPS_IN_0} is stronger"
            return f"the attack is too weak here, and {stronger}"
        if self.asks_already:
            return self._more_queries
        asked = chooses(source.generator.attack) and source.generator.norm != 0
        if asked and faults is not None and faults.flat.any():
            return "its gradients are masked; raise max_queries, or try attack='square'"
        if not source.model.has_gradient:
            return f"the attack is too weak here, or its answers are random; {advice(source.generator.norm)}"
        return f"its gradients may be masked, and {advice(source.generator.norm)}"

    @property
    def _more_queries(self) -> str:
        """What to do where an attack by queries is too weak."""
        attack, most = self.source.generator.attack, self.source.generator.max_queries
        free = without_gradient(self.source.generator.norm)
        tried = {"auto": free[:1], "auto-strong": [*free[:1], "square"]}.get(attack, [attack])
        others = " or ".join(repr(name) for name in free if name not in tried)
        remedy = f"try attack={others}" if others else "try another attack"
        if attack == "tree":  # it asks no queries
            return remedy
        return f"max_queries={most} may be too few, or its answers may be random; raise it, or {remedy}"

    def _says_of_random(self, rows: NDArray[np.intp]) -> str:
        """What to do if the source answers differently when it is asked twice; empty if it does not."""
        problem = self.source.problem(rows)
        near = [problem.region.X, problem.region.noise(problem.streams())]
        differ = np.logical_or.reduce([problem.model.predict(X) != problem.model.predict(X) for X in near])
        if not differ.any():
            return ""
        return (
            f"its answers are random: asked twice, it answers differently for {differ.sum()} of {len(rows)} "
            "samples; make them repeatable, or attack a model that averages many of its answers"
        )

    def _fooled_after_restarts(self, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        problem, stronger = self.source.problem(rows), clone(self.source.generator)
        stronger.set_params(attack="pgd", attack_params=None, step_size=None, max_iter=_N_STEPS)
        stronger.set_params(n_restarts=_N_RESTARTS, random_start=True)
        if stronger.norm == 0:
            stronger.set_params(attack="sigmazero", max_iter=_N_STEPS_IN_0, n_restarts=1, random_start=False)
        if not problem.model.has_gradient:
            return np.zeros(len(rows), dtype=bool)
        try:
            outcome = run(stronger, replace(problem, seed=0))
        except TypeError as error:
            if not isinstance(error.__context__, NotDifferentiableError):
                raise
            return np.zeros(len(rows), dtype=bool)
        return problem.won(problem.model.predict(outcome.X_adv))
