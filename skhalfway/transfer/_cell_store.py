"""Finished cells of a scorer in a store: their keys and their format."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._devices import devices_of
from skhalfway.attacks._faults import Faults
from skhalfway.attacks._missed import Missed
from skhalfway.attacks._parameters import is_own, kind_of, recipe_of, takes_gradients
from skhalfway.attacks._problem import Outcome
from skhalfway.engine._fingerprint import KEY, UnknownContentError, fingerprint
from skhalfway.engine._store import Store
from skhalfway.models import Finding
from skhalfway.models._ensemble_model import EnsembleModel
from skhalfway.models._faults import named
from skhalfway.results._provenance import versions
from skhalfway.transfer._failures import Failed
from skhalfway.transfer._masked import Opinion
from skhalfway.transfer._source import Account, Source

if TYPE_CHECKING:
    from skhalfway.attacks._pool import Pool
    from skhalfway.attacks._region import Region
    from skhalfway.models import Model

_N_PROBED = 64  # samples whose predictions are part of a key, as content does not show every change
_REMEDY = (
    f"give the function, or the class of the piece, an attribute {KEY}, a text that changes whenever its "
    "samples do, or pass memory=None"
)
_FAULTS = ("faults", "of_substitute")


@dataclass(frozen=True)
class CellStore:
    """A store, with the keys of the models of one call.

    Attributes
    ----------
    store : Store
        The store.
    keys : dict of str to str
        Key of each model, by name.
    """

    store: Store
    keys: Mapping[str, str]

    @classmethod
    def of(
        cls, store: Store, models: Mapping[str, Model], X: NDArray[Any], call: Callable[..., Any] = named
    ) -> CellStore:
        """Store for some models; ``call`` calls them, by name, for their predictions of a few samples."""
        contents = {name: named(name, content_key, model) for name, model in models.items()}
        said = {name: call(name, model.predict, X[:_N_PROBED]) for name, model in models.items()}
        known = {name: answer for name, answer in said.items() if not isinstance(answer, Failed)}
        return cls(store, {name: fingerprint(contents[name], answer) for name, answer in known.items()})

    def key_of_asked(self, regions: Sequence[Region], block: slice, seed: int) -> str:
        """Key of the samples of a block, and of noise."""
        return self._key("asked", list(regions), block.start, seed)

    def key_of_made(self, source: Source, rows: NDArray[np.intp]) -> str:
        """Key of the adversarial samples of some rows."""
        attack = source.generator.attack
        kind = kind_of(attack)
        recipe = recipe_of(attack)
        mixes = recipe is not None and any(piece.mixes for piece in recipe.pieces)
        alone = kind is not None and kind.gradient and not mixes
        pool, known = source.pool, ""
        if pool is not None and not alone:
            known = pool.once("key", partial(fingerprint, *_of_pool(pool, labels=mixes)))
        partners = None if source.partners is None else source.partners.X
        params = source.generator.get_params(deep=False)
        params["device"], params["dtype"] = _computed_in(source)
        for name in ("estimator", "eps", "random_state"):  # in the key by source, regions and seed
            params.pop(name)
        try:
            content = fingerprint(params)
        except UnknownContentError as error:
            raise TypeError(
                f"memory identifies attacks by their code and parameters, but {error}; {_REMEDY}"
            ) from error
        return self._key(
            "made",
            self.keys[source.name],
            content,
            source.regions_of(rows),
            source.labels[rows],
            (source.n_classes, source.targeted, source.seed),
            rows,
            (known, partners),
        )

    @staticmethod
    def _key(*content: Any) -> str:
        return fingerprint(versions(), *content)

    def made(self, key: str) -> tuple[list[NDArray[Any]], Account] | None:
        """Stored adversarial samples at each budget, and their account."""
        entry = self.store.get(key)
        if entry is None:
            return None
        arrays, values = entry
        samples = [arrays[f"X_adv_{k}"] for k in range(values["n_budgets"])]
        faults, of_substitute = (_faults_in(arrays, values, name) for name in _FAULTS)
        outcome = Outcome(
            np.empty((len(samples[0]), 0)),
            arrays.get("n_queries"),
            arrays.get("distances"),
            values["at_any_budget"],
            faults,
            of_substitute,
            remarks=tuple(Finding(**remark) for remark in values["remarks"]),
            missed=tuple(Missed(arrays[f"missed_{k}"], *said) for k, said in enumerate(values["missed"])),
        )
        return samples, Account(values["cost"], outcome)

    def keep_made(self, key: str, samples: Sequence[NDArray[Any]], account: Account) -> None:
        """Store adversarial samples and their account."""
        outcome = account.outcome
        arrays = {f"X_adv_{k}": X_adv for k, X_adv in enumerate(samples)}
        values: dict[str, Any] = {
            "n_budgets": len(samples),
            "cost": account.cost,
            "at_any_budget": outcome.at_any_budget,
            "remarks": [asdict(remark) for remark in outcome.remarks],
            "missed": [(missed.what, missed.advice, missed.least) for missed in outcome.missed],
        }
        arrays |= {f"missed_{k}": missed.where for k, missed in enumerate(outcome.missed)}
        for name in ("n_queries", "distances"):
            if (figures := getattr(outcome, name)) is not None:
                arrays[name] = figures
        for name in _FAULTS:
            faults = getattr(outcome, name)
            if faults is not None:
                arrays[f"{name}_flat"], arrays[f"{name}_not_finite"] = faults.flat, faults.not_finite
                values[name] = [faults.source, faults.partly, faults.n_gradients, faults.advice]
        self.store.put(key, arrays, values)

    def answers(self, key: str) -> NDArray[Any] | None:
        """Stored predictions of a model."""
        entry = self.store.get(key)
        return None if entry is None else entry[0]["answers"]

    def keep_answers(self, key: str, answers: NDArray[Any]) -> None:
        """Store predictions of a model."""
        self.store.put(key, {"answers": answers}, {})

    def opinion(self, key: str) -> tuple[Opinion | None] | None:
        """Stored second opinion, in a tuple, as it may be None."""
        entry = self.store.get(key)
        if entry is None:
            return None
        arrays, values = entry
        return (Opinion(**values, gained=arrays["gained"]) if values else None,)

    def keep_opinion(self, key: str, opinion: Opinion | None) -> None:
        """Store a second opinion."""
        if opinion is None:
            self.store.put(key, {}, {})
            return
        values = {name: getattr(opinion, name) for name in ("attack", "n", "own", "lost")}
        self.store.put(key, {"gained": opinion.gained}, values)


def _of_pool(pool: Pool, *, labels: bool) -> tuple[Any, ...]:
    """The part of a pool that an attack may use, with its labels or without."""
    known = pool.problem.region, pool.predicted
    return (*known, pool.problem.labels) if labels else known


def _computed_in(source: Source) -> tuple[list[str], str | None]:
    """Types of devices, and the float type, on which the exact values of samples depend.

    Devices of one type round alike, so a store can be used with other devices of the same type.
    """
    generator, model = source.generator, source.model
    if is_own(generator.attack) and not takes_gradients(generator, model):
        return [], None
    from torch import device as named

    devices = (model.device if each is None else named(each) for each in devices_of(generator.device))
    return sorted({device.type for device in devices}), generator.dtype if model.in_torch else None


def _faults_in(arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any], name: str) -> Faults | None:
    if name not in values:
        return None
    source, partly, n_gradients, advice = values[name]
    faults = Faults(len(arrays[f"{name}_flat"]), source, partly=partly)
    faults.flat, faults.not_finite = arrays[f"{name}_flat"], arrays[f"{name}_not_finite"]
    faults.n_gradients, faults.advice = n_gradients, advice
    return faults


def content_key(model: Model) -> str:
    """Key of a model's content and of how its outputs are read, without its predictions.

    TypeError where its content cannot be read.
    """
    if isinstance(model, EnsembleModel):  # outputs of a member may be read in another way than by default
        members = [(name, content_key(member)) for name, member in model.members.items()]
        return fingerprint("ensemble", model.combine, model.weights, model.classes_, members)
    frame = model._frame
    columns = None
    if frame is not None:
        coded = [(i, codes, values.tolist()) for i, (codes, _, values) in frame._codes.items()]
        columns = list(map(str, frame.names)), coded
    output = getattr(model, "output", None), getattr(model, "output_source", None)
    try:
        return fingerprint(
            type(model).__name__, model.estimator, model.classes_, model._order, output, columns
        )
    except UnknownContentError as error:
        raise TypeError(
            f"memory identifies models by their content, but {error}; give it an attribute {KEY}, a text "
            "that changes whenever its predictions do, or pass memory=None"
        ) from error
