"""Networks of a capacity study: adversarial training, attack and measurement."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from joblib import delayed
from sklearn.base import clone
from torch import nn

from skhalfway._parallel import side_by_side
from skhalfway._randomness import draw_seed, undisturbed
from skhalfway._shared import Shared
from skhalfway.engine._fingerprint import fingerprint
from skhalfway.engine._store import Store
from skhalfway.models import as_model
from skhalfway.results._provenance import versions
from skhalfway.structure._capacity_plan import Task
from skhalfway.structure._perturbed import lipschitz_numbers, perturbation_stability
from skhalfway.structure._stages import Stages

_DROPS = (0.75, 0.9)  # shares of the epochs after which the learning rate is divided by 10, as in their code


def measured(task: Task, plan: Stages, seed: int) -> dict[str, float]:
    """Train and attack one network, and return its figures by name."""
    rng = np.random.RandomState(seed)
    first, order, trains, attacks = (draw_seed(rng) for _ in range(4))
    with undisturbed():
        torch.manual_seed(first)
        module = plan.module()
        _train(module, task, np.random.RandomState(order), trains)
        attacked = clone(task.generator).set_params(estimator=module)
        if attacked.random_state is None:
            attacked.set_params(random_state=attacks)
        attacked.fit(task.X)
        X_adv = np.asarray(attacked.generate(task.X_test, task.y_test))
        model = as_model(module)
        right = model.predict(task.X_test) == task.y_test
        number, of_margin = lipschitz_numbers(module, task.X_test, X_adv, task.generator.norm)
        return {
            "accuracy": float(right.mean()),
            "robust accuracy": float((right & (model.predict(X_adv) == task.y_test)).mean()),
            "stability": perturbation_stability(module, task.X_test, X_adv),
            "lipschitz": number,
            "relative lipschitz": of_margin,
            "training accuracy": float((model.predict(task.X) == task.y).mean()),
        }


@torch.enable_grad()
def _train(module: nn.Module, task: Task, rng: np.random.RandomState, seed: int) -> None:
    """Adversarial training with Adam and PGD (Madry et al. 2018), or clean training without steps."""
    settings: dict[str, Any] = {"estimator": module, "random_state": seed}
    settings |= {"attack": "pgd", "attack_params": None, "max_iter": max(1, task.n_steps), "n_restarts": 1}
    made = clone(task.generator).set_params(**settings).fit(task.X)
    optimiser = torch.optim.Adam(module.parameters(), lr=task.learning_rate)
    drops = sorted({round(share * task.n_epochs) for share in _DROPS})
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, drops, gamma=0.1)
    for _ in range(task.n_epochs):
        # another random start in each epoch
        made.set_params(random_state=draw_seed(rng))
        shuffled = rng.permutation(len(task.y))
        for begin in range(0, len(shuffled), task.batch_size):
            rows = shuffled[begin : begin + task.batch_size]
            X, y = task.X[rows], task.y[rows]
            if task.n_steps:
                # warnings about budgets and gradients are given once, by the attack on the test samples
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    X = np.asarray(made.generate(X, y), dtype=np.float32)
            module.train()
            optimiser.zero_grad()
            nn.functional.cross_entropy(module(torch.from_numpy(X)), torch.from_numpy(y)).backward()
            optimiser.step()
        schedule.step()
    module.eval()
    if not all(weight.isfinite().all() for weight in module.parameters()):
        raise ValueError(
            f"training led to weights that are not finite; lower learning_rate={task.learning_rate:g}, or "
            "scale the features to a common range"
        )


def all_measured(
    task: Task, plans: list[Stages], seeds: list[int], store: Store | None, n_jobs: int | None, verbose: int
) -> dict[tuple[Stages, int], dict[str, float]]:
    """Figures of all networks; those in a store are not measured again."""
    found: dict[tuple[Stages, int], dict[str, float]] = {}
    keys: dict[tuple[Stages, int], str] = {}
    wanted = [(plan, seed) for plan in plans for seed in seeds]
    if store is not None:
        known = fingerprint(versions(), task)
        for one in wanted:
            keys[one] = fingerprint("capacity_study", known, *one)
            kept = store.get(keys[one])
            if kept is not None:
                found[one] = kept[1]
    missing = [one for one in wanted if one not in found]
    given = Shared(task)
    jobs = (delayed(_measured)(given, *one) for one in missing)
    results = side_by_side(
        jobs,
        len(missing),
        n_jobs=n_jobs,
        verbose=verbose,
        what="capacity_study",
        unit="network",
        prefer="processes",
    )
    for one, figures in zip(missing, results, strict=True):
        found[one] = figures
        if store is not None:
            store.put(keys[one], {}, figures)
    return found


def _measured(task: Shared[Task], plan: Stages, seed: int) -> dict[str, float]:
    return measured(task.value, plan, seed)
