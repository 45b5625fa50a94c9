"""HopSkipJump from adversarial samples that are given, or that a cheaper attack makes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skhalfway import AdversarialGenerator
from skhalfway.models import as_model


def attacked(case: Any, start: Any, **params: Any) -> Any:
    given = {"attack": "hopskipjump", "norm": 2, "eps": np.inf, "clip_values": (0, 1), "random_state": 0}
    given |= {"max_queries": 60, "attack_params": {"start": start}} | params
    generator = AdversarialGenerator(case.source, **given)
    X_adv = generator.generate(case.X, case.y)
    fooled = as_model(case.source).predict(X_adv) != case.y
    within = np.isfinite(generator.distances_) & (generator.distances_ <= given["eps"])
    np.testing.assert_array_equal(fooled, within)
    assert generator.n_queries_.max() <= given["max_queries"]
    return generator.distances_


def test_it_begins_at_samples_that_are_given(zoo) -> None:
    case = zoo("cnn")
    near = AdversarialGenerator(case.source, attack="fmn", norm=2, eps=np.inf, clip_values=(0, 1))
    start = near.generate(case.X, case.y)
    distances = attacked(case, start)
    assert (distances <= near.distances_ * (1 + 1e-6)).all()
    assert distances.mean() < 0.7 * attacked(case, None).mean()
    np.testing.assert_allclose(attacked(case, start, batch_size=5), distances)


@pytest.mark.parametrize("name", ["surrogate", "square", "halfway"])
def test_it_begins_where_another_attack_ended(zoo, name: str) -> None:
    case = zoo("opaque")
    params: dict[str, Any] = {"eps": 0.3, "norm": np.inf, "max_queries": 100}
    assert (attacked(case, name, **params) <= 0.3).mean() > 0.8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X, r"'start'\] must hold adversarial samples, which \d+ of \d+ are not for this source"),
        (
            lambda X: X[:, :5],
            r"'start'\] must hold one adversarial sample for each of X, .* got shape \(12, 5",
        ),
        (lambda X: X[:3], r"'start'\] must hold one adversarial sample for each of X, .* got shape \(3, "),
        (lambda X: "pgd", r"'start'\] must be one of \['surrogate', 'square', 'halfway'\], got 'pgd'"),
        (lambda X: 3, r"'start'\] must be adversarial samples of X's shape, or the name of an attack"),
    ],
)
def test_errors(zoo, change: Any, message: str) -> None:
    case = zoo("svc")
    with pytest.raises(ValueError, match=message):
        attacked(case, change(case.X))
