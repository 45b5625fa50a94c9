"""Robustness of a classifier in the worst case over the adversarial samples of every source."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._index import index_of, row_index_of
from skhalfway._inputs import Frame, check_labels
from skhalfway._randomness import own_rng, undisturbed
from skhalfway.attacks._parameters import follows_gradients
from skhalfway.engine._store import store_of
from skhalfway.models._as_model import seen_as
from skhalfway.models._check import check_models
from skhalfway.models._faults import answers, type_name
from skhalfway.models._type_checks import unfrozen
from skhalfway.models._warnings import warn, warn_of
from skhalfway.results import Provenance
from skhalfway.transfer._cell_store import CellStore
from skhalfway.transfer._cells import run_all
from skhalfway.transfer._failures import Care, Failures
from skhalfway.transfer._method import versions_for
from skhalfway.transfer._robustness import Robustness
from skhalfway.transfer._source import sources_of

if TYPE_CHECKING:
    from skhalfway.transfer._attacking import AttackingCollection


def measure_robustness(scorer: AttackingCollection, estimator: Any, X: Any, y: Any) -> Robustness:
    """Result of :meth:`TransferScorer.robustness`."""
    begin, rng = perf_counter(), own_rng(scorer.random_state)
    with undisturbed():
        if scorer._leaves_one_out:
            raise ValueError(
                "sources='leave_one_out' attacks each model of a scorer through the others; to test another "
                "classifier pass sources=None, or fit the scorer with an Ensemble among its models"
            )
        models, region, classes = scorer._start(X)
        array = region.X
        truth = check_labels(y, classes, len(array))
        judged = seen_as(estimator, classes).reading(Frame.of(X))
        chosen = {name: models[name] for name in scorer._roles(models)[0]}
        own = unfrozen(estimator)
        sources = {name: model for name, model in chosen.items() if unfrozen(model.estimator) is not own}
        if not sources:
            raise ValueError(
                "the only source is the classifier that is tested, and its own samples are no transfer; name "
                "another source"
            )
        generators = dict(zip(chosen, scorer._generators(len(chosen), rng), strict=True))
        own_generators = [generators[name] for name in sources]
        gradients = follows_gradients(scorer._generator.attack)
        # every failure is raised: without the failed source the worst case would look better than it is
        failures = Failures(Care(timeout=scorer.timeout))
        call = failures.call
        said = np.stack([call(name, answers, model, array) for name, model in sources.items()])
        checked = check_models(sources, array, classes, truth, gradients=gradients, call=call)
        warn_of(checked)
        scorer._check_sources(sources, region, len(classes))
        out_of_reach = scorer._say_out_of_reach(region, X)
        n_sources, n = len(sources), len(array)
        name = type_name(judged.estimator)
        clean = call(name, answers, judged, array)
        asked = {f"the judged {name}" if name in sources else name: judged}
        memory = store_of(scorer.memory)
        kept = None if memory is None else CellStore.of(memory, {**asked, **sources}, array, call)
        every = np.ones((n_sources, n), dtype=bool)
        labels = np.broadcast_to(truth, every.shape)
        made = run_all(
            sources_of(
                scorer,
                sources,
                own_generators,
                [region],
                labels,
                every,
                said,
                len(classes),
                failures=failures,
            ),
            asked,
            array.shape,
            scorer._parallel,
            kept=kept,
            failures=failures,
        )
        if failures.interrupt is not None:
            raise failures.interrupt
        costs = {}
        for name, part in zip(sources, made.attacked, strict=True):
            assert part is not None
            costs[name] = part.account.cost
            for finding in call(name, part.judged)[0]:
                warn(f"model {name!r}: {finding}")
    origin = Provenance(
        "TransferScorer.robustness",
        scorer._settings(array, out_of_reach, costs),
        n_samples=len(array),
        versions=versions_for(scorer._generator.attack),
        seconds=perf_counter() - begin,
        costs=costs,
    )
    return Robustness(
        tuple(sources),
        classes[truth],
        classes[clean],
        classes[made.answers[0, :, 0]],
        index_of(X, len(array)),
        row_index=row_index_of(X, len(array)),
        provenance=origin,
    )
