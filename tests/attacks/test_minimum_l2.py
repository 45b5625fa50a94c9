"""C&W and DDN: against closed forms and other libraries; nothing of scale, constraints and others is lost."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
import torchattacks
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skhalfway import AdversarialGenerator, Constraints
from skhalfway.models import as_model

with warnings.catch_warnings():
    # foolbox imports scipy.ndimage.filters, which scipy has renamed
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox

X, Y = load_iris(return_X_y=True)
each = pytest.mark.parametrize("attack", ["cw", "ddn"])


def attacked(source: Any, X: Any, y: Any = None, **params: Any) -> tuple[Any, Any]:
    given = {"norm": 2, "eps": np.inf, "clip_values": (0, 1), "max_iter": 60} | params
    target = given.pop("target", None)
    generator = AdversarialGenerator(source, **given)
    return generator.generate(X, y, target), generator.distances_


@each
def test_a_line_is_as_far_as_it_is(attack: str) -> None:
    rows = Y < 2
    source = LogisticRegression(max_iter=1000).fit(X[rows], Y[rows])
    w, height = source.coef_[0], source.decision_function(X[rows])
    for scale in (1.0, 1e3):  # of the data
        model = LogisticRegression()
        model.coef_, model.intercept_, model.classes_ = (
            source.coef_ / scale,
            source.intercept_,
            source.classes_,
        )
        model.n_features_in_ = 4
        clip = (-10 * scale, 10 * scale)
        X_adv, distances = attacked(
            FrozenEstimator(model), X[rows] * scale, Y[rows], attack=attack, clip_values=clip
        )
        assert (model.predict(X_adv) != Y[rows]).all()
        np.testing.assert_allclose(distances / scale, np.abs(height) / np.linalg.norm(w), rtol=0.005)
        np.testing.assert_allclose(np.linalg.norm(X_adv - X[rows] * scale, axis=1), distances)


@each
@pytest.mark.parametrize("source", ["cnn", "torch_mlp"])
def test_no_further_than_other_libraries(zoo, source: str, attack: str) -> None:
    case = zoo(source, n=24)
    net = deepcopy(case.source).eval()
    images, y = torch.tensor(case.X.reshape(-1, 1, 8, 8)), torch.tensor(case.y)
    if attack == "cw":
        theirs = torchattacks.CW(net, c=10, steps=300, lr=0.01)(images, y).detach()
    else:
        model = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
        theirs = foolbox.attacks.DDNAttack(steps=60)(model, images, y, epsilons=None)[1]
    won = as_model(case.source).predict(theirs.numpy().reshape(case.X.shape)) != case.y
    far = (theirs - images).flatten(1).norm(dim=1).numpy()
    distances = attacked(case.source, case.X, case.y, attack=attack)[1]
    assert won.sum() > 2 and np.isfinite(distances).all()
    assert distances[won].mean() <= far[won].mean()
    fmn = attacked(case.source, case.X, case.y, attack="fmn")[1]
    assert distances.mean() <= 1.15 * fmn.mean()


@each
def test_targets_constraints_and_budgets(zoo, attack: str) -> None:
    case = zoo("svc")
    target = (case.y + 1) % 10
    X_adv, distances = attacked(case.source, case.X, target=target, attack=attack)
    np.testing.assert_array_equal(as_model(case.source).predict(X_adv) == target, np.isfinite(distances))
    assert np.isfinite(distances).mean() > 0.9
    X_adv, held = attacked(
        case.source, case.X, case.y, attack=attack, constraints=Constraints(immutable=list(range(0, 64, 2)))
    )
    free = attacked(case.source, case.X, case.y, attack=attack)[1]
    np.testing.assert_array_equal(X_adv[:, ::2], case.X[:, ::2])
    assert held.mean() > free.mean()
    X_adv, _ = attacked(case.source, case.X, case.y, attack=attack, eps=0.5)
    assert (np.linalg.norm(X_adv - case.X, axis=1) <= 0.5).all()
    fooled = as_model(case.source).predict(X_adv) != case.y
    assert abs(int(fooled.sum()) - int((free <= 0.5).sum())) <= 1


@each
def test_no_sample_depends_on_the_others(zoo, attack: str) -> None:
    case, order = zoo("svc", n=24), np.random.RandomState(0).permutation(24)
    together = attacked(case.source, case.X, case.y, attack=attack)[1]
    for params in ({}, {"batch_size": 7}):
        again = attacked(case.source, case.X[order], case.y[order], attack=attack, **params)[1]
        np.testing.assert_allclose(again, together[order], rtol=1e-6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"attack": "cw", "norm": np.inf}, "attack='cw' works with norm 2, got inf"),
        ({"attack": "ddn", "norm": 1}, "attack='ddn' works with norm 2, got 1"),
        (
            {"attack": "cw", "clip_values": None},
            "clip_values must be finite for all columns, got None; .* 'ddn' or 'fmn'",
        ),
        ({"attack": "cw", "attack_params": {"n_searches": 0}}, r"\['n_searches'\] must be an integer >= 1"),
        ({"attack": "cw", "attack_params": {"c": -1}}, r"\['c'\] must be a finite number > 0, got -1"),
        ({"attack": "ddn", "attack_params": {"gamma": 1}}, r"\['gamma'\] must be a number between 0 and 1"),
        ({"attack": "ddn", "n_restarts": 2}, "'ddn' takes no n_restarts"),
    ],
)
def test_errors(zoo, params: dict[str, Any], message: str) -> None:
    case = zoo("svc")
    with pytest.raises(ValueError, match=message):
        attacked(case.source, case.X, case.y, **params)
