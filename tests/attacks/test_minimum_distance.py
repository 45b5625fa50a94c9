"""FMN and DeepFool against closed forms and other libraries; what the source itself says counts."""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks.evasion import DeepFool
from art.estimators.classification import PyTorchClassifier
from scipy.optimize import linprog, minimize
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

from skhalfway import AdversarialGenerator, Constraints
from skhalfway.attacks._boundary import Field, shortest
from skhalfway.models import ModelWarning, as_model

with warnings.catch_warnings():
    # foolbox imports scipy.ndimage.filters, which scipy has renamed
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox

STEPS = 30
DUAL = {np.inf: 1, 2: 2, 1: np.inf}
KNOWN = [
    (attack, norm)
    for attack in ("fmn", "deepfool")
    for norm in (np.inf, 2, 1)
    if norm != 1 or attack == "fmn"
]
every_attack = pytest.mark.parametrize(("attack", "norm"), KNOWN)


def size(delta, norm):
    return np.linalg.norm(delta.reshape(len(delta), -1).astype(float), norm, axis=1)


def attacked(source, X, y=None, **params):
    """Generator with its distances, and the samples."""
    given = {"eps": np.inf, "max_iter": STEPS} | params
    target = given.pop("target", None)
    generator = AdversarialGenerator(source, **given)
    return generator, generator.generate(X, y, target)


def exact(w, rise, low, high, unit, norm):
    """Norm of the shortest u with sum(w * unit * u) >= rise and low <= unit * u <= high, by scipy."""
    slope, n = w * unit, len(w)
    box = list(zip(low / unit, high / unit, strict=True))
    if norm == 2:
        guess = np.clip(slope * rise / (slope @ slope), *np.transpose(box))
        constraint = {"type": "ineq", "fun": lambda u: slope @ u - rise, "jac": lambda u: slope}
        settings = {"ftol": 1e-12, "maxiter": 500}
        best = minimize(
            lambda u: u @ u, guess, jac=lambda u: 2 * u, bounds=box, constraints=constraint, options=settings
        )
        assert best.success
        return np.sqrt(best.fun)
    # u = plus - minus; their sum (L1) or an upper bound t of all (L-inf) is to be least
    each = np.concatenate([slope, -slope])
    upper, bounds, cost = [np.append(-each, 0)], [(0, None)] * (2 * n + 1), np.append(np.ones(2 * n), 0)
    limits = [-rise]
    eye = np.eye(n)
    for sign, bound in ((1, high / unit), (-1, -low / unit)):
        for i in np.flatnonzero(np.isfinite(bound)):
            upper.append(np.concatenate([sign * eye[i], -sign * eye[i], [0]]))
            limits.append(bound[i])
    if norm == np.inf:
        cost = np.append(np.zeros(2 * n), 1)
        for i in range(2 * n):
            upper.append(np.append(np.eye(2 * n)[i], -1))
            limits.append(0)
    best = linprog(cost, np.array(upper), np.array(limits), bounds=bounds)
    assert best.success
    return best.fun


@dataclass(frozen=True)
class Setting:
    """What may change, and what it costs."""

    id: str
    bounded: bool = False
    immutable: tuple[int, ...] = ()
    per_feature: bool = False
    n_classes: int = 2


SETTINGS = [
    Setting("free"),
    Setting("bounds", bounded=True),
    Setting("immutable", immutable=(0, 3)),
    Setting("per-feature", per_feature=True),
    Setting("all", bounded=True, immutable=(1,), per_feature=True),
    Setting("three classes", n_classes=3),
    Setting("three classes, all", bounded=True, immutable=(1,), per_feature=True, n_classes=3),
]


@every_attack
@pytest.mark.parametrize("setting", SETTINGS, ids=[setting.id for setting in SETTINGS])
def test_linear_models_closed_form(attack: str, norm: float, setting: Setting) -> None:
    rng = np.random.RandomState(0)
    d, n = 6, 12
    X_train = rng.randn(200, d)
    y_train = (X_train @ rng.randn(d, setting.n_classes) + rng.randn(setting.n_classes)).argmax(axis=1)
    source = LogisticRegression().fit(X_train, y_train)
    X = X_train[:n]
    y = source.predict(X)
    low, high = X.min(axis=0) - 0.1, X.max(axis=0) + 0.1
    unit = np.array([0.5, 2.0, 1.0, 1.5, 0.7, 0.0]) if setting.per_feature else np.ones(d)
    generator, X_adv = attacked(
        FrozenEstimator(source),
        X,
        attack=attack,
        norm=norm,
        # a unit of the budget is what these say; all are well beyond the boundary
        eps=100 * unit if setting.per_feature else np.inf,
        clip_values=(low, high) if setting.bounded else None,
        constraints=Constraints(immutable=list(setting.immutable)) if setting.immutable else None,
    )
    distances = generator.distances_ * (100 if setting.per_feature else 1)
    movable = unit > 0
    movable[list(setting.immutable)] = False
    coef, intercept = source.coef_, source.intercept_
    if setting.n_classes == 2:
        coef, intercept = np.vstack([-coef, coef]) / 2, np.append(-intercept, intercept) / 2
    expected = np.full(n, np.inf)
    for i, k in np.ndindex(n, setting.n_classes):
        if k != y[i]:
            w = np.where(movable, coef[k] - coef[y[i]], 0.0)
            rise = (coef[y[i]] - coef[k]) @ X[i] + intercept[y[i]] - intercept[k]
            if not setting.bounded:
                expected[i] = min(expected[i], rise / np.linalg.norm(w * unit, DUAL[norm]))
                continue
            room = np.where(w > 0, high - X[i], X[i] - low)
            if np.abs(w) @ room > rise:
                bounds = np.where(movable, low - X[i], 0)[movable], np.where(movable, high - X[i], 0)[movable]
                found = exact(w[movable], rise, *bounds, unit[movable], norm)
                expected[i] = min(expected[i], found)
    within = np.isfinite(expected)
    assert within.sum() >= 8
    np.testing.assert_array_equal(np.isfinite(distances), within)
    np.testing.assert_allclose(distances[within], expected[within], rtol=0.01)
    assert (distances[within] > expected[within] * (1 - 1e-6)).all()
    assert (source.predict(X_adv)[within] != y[within]).all()
    np.testing.assert_array_equal(X_adv[:, ~movable], X[:, ~movable])


@every_attack
@pytest.mark.parametrize("bounded", [False, True])
def test_shortest_is_the_shortest(attack: str, norm: float, bounded: bool) -> None:
    rng = np.random.RandomState(1)
    w, rise = rng.randn(20, 7), rng.rand(20, 1) * 2
    w[:, 2], w[0] = 0, 0
    room = rng.rand(20, 7) if bounded else np.full((20, 7), np.inf)
    r = shortest(*map(torch.tensor, (w, rise, room)), norm).numpy()
    assert (np.abs(r) <= room).all() and (r * w >= 0).all()
    reached = (r * w).sum(axis=1)
    can = np.einsum("ij,ij->i", np.abs(w), np.where(w == 0, 0, room)) >= rise[:, 0]
    assert not can[0] and (not bounded or 5 < can.sum() < 20)
    np.testing.assert_allclose(reached[can], rise[can, 0])
    np.testing.assert_allclose(np.abs(r)[~can], np.where(w == 0, 0, room)[~can])
    ways = np.where(w > 0, 0, -room), np.where(w > 0, room, 0)
    for i in np.flatnonzero(can):
        used = w[i] != 0
        best = exact(w[i, used], rise[i, 0], ways[0][i, used], ways[1][i, used], np.ones(used.sum()), norm)
        np.testing.assert_allclose(np.linalg.norm(r[i], norm), best, rtol=1e-6)


def foolbox_attack(name: str, **params: Any) -> Any:
    def run(module, X, y):
        model = foolbox.PyTorchModel(module, bounds=(0, 1), device="cpu")
        attack = getattr(foolbox.attacks, name)(steps=STEPS, **params)
        return attack.run(model, torch.from_numpy(X), torch.from_numpy(y)).detach().numpy()

    return run


def art_deepfool(module, X, y):
    loss = nn.CrossEntropyLoss()
    classifier = PyTorchClassifier(module, loss, X.shape[1:], 10, clip_values=(0, 1), device_type="cpu")
    return DeepFool(classifier, max_iter=STEPS, epsilon=0.02, verbose=False).generate(X.copy(), y=y)


TWINS = {
    "foolbox-fmn-linf": ("fmn", np.inf, foolbox_attack("LInfFMNAttack")),
    "foolbox-fmn-l2": ("fmn", 2, foolbox_attack("L2FMNAttack")),
    "foolbox-fmn-l1": ("fmn", 1, foolbox_attack("L1FMNAttack")),
    "foolbox-ddn": ("fmn", 2, foolbox_attack("DDNAttack")),
    "foolbox-ead": ("fmn", 1, foolbox_attack("EADAttack", binary_search_steps=3)),
    "foolbox-deepfool-l2": ("deepfool", 2, foolbox_attack("L2DeepFoolAttack")),
    "foolbox-deepfool-linf": ("deepfool", np.inf, foolbox_attack("LinfDeepFoolAttack")),
    "art-deepfool": ("deepfool", 2, art_deepfool),
}


@pytest.mark.parametrize(
    ("twin", "source"),
    # each on the perceptron, and one for each attack and norm on the convolutions
    [(twin, "torch_mlp") for twin in TWINS]
    + [(twin, "cnn") for twin in TWINS if twin not in ("foolbox-ddn", "foolbox-fmn-l1", "art-deepfool")],
)
def test_no_farther_than_other_libraries(zoo, source: str, twin: str) -> None:
    case, (attack, norm, theirs) = zoo(source), TWINS[twin]
    module = deepcopy(case.source).eval()
    model = as_model(module)
    reached = theirs(module, case.X, case.y)
    # foolbox's L1 attack fools half of the samples: the others count as infinitely far
    fooled = model.predict(reached) != case.y
    their_distances = np.where(fooled, size(reached - case.X, norm), np.inf)
    generator, X_adv = attacked(module, case.X, case.y, attack=attack, norm=norm, clip_values=(0, 1))
    assert (model.predict(X_adv) != case.y).all()
    assert np.median(generator.distances_) <= 1.02 * np.median(their_distances)


@pytest.mark.parametrize(
    ("source", "attack", "norm"),
    # each source with two attacks, each attack on two sources
    [
        (source, *KNOWN[(i + k) % len(KNOWN)])
        for i, source in enumerate(["logistic", "svc", "skorch", "cnn", "art"])
        for k in (0, 3)
    ],
)
def test_every_family(zoo, source: str, attack: str, norm: float) -> None:
    """All fall; distances are those of what came out; half a budget gives what it must."""
    case = zoo(source)
    model = as_model(case.source)
    given: dict[str, Any] = {"attack": attack, "norm": norm, "clip_values": (0, 1), "max_iter": 15}
    generator, X_adv = attacked(case.source, case.X, case.y, **given)
    distances = generator.distances_
    right = model.predict(case.X) == case.y
    assert np.isfinite(distances).all() and X_adv.dtype == case.X.dtype
    assert (model.predict(X_adv) != case.y).all()
    assert X_adv.min() >= 0 and X_adv.max() <= 1
    np.testing.assert_allclose(size(X_adv - case.X, norm), distances, rtol=1e-5)
    # what errs as it is needs no change
    assert (distances[~right] == 0).all() and (distances[right] > 0).all()
    eps = float(np.median(distances[right]))
    within, X_within = attacked(case.source, case.X, case.y, eps=eps, batch_size=5, **given)
    # the budget tells what comes out, not where to look
    np.testing.assert_allclose(within.distances_, distances, rtol=0.02)
    assert (size(X_within - case.X, norm) <= eps).all()
    sure = np.abs(distances / eps - 1) > 0.05
    fooled = model.predict(X_within) != case.y
    np.testing.assert_array_equal(fooled[sure], (within.distances_ <= eps)[sure])
    # beyond the budget the direction is kept: the sample moves as far as it may
    far = within.distances_ > eps
    if norm != 1:
        np.testing.assert_allclose(size(X_within - case.X, norm)[far], eps, rtol=0.1)


@every_attack
@pytest.mark.parametrize("source", ["forest", "knn"])
def test_the_source_itself_decides(zoo, source: str, attack: str, norm: float) -> None:
    """Smoothed gradients disagree with what these predict."""
    case = zoo(source)
    model = as_model(case.source)
    if not model.has_gradient:
        with pytest.raises(TypeError, match="needs gradients"):
            attacked(case.source, case.X, case.y, attack=attack, norm=norm)
        return
    generator, X_adv = attacked(case.source, case.X, case.y, attack=attack, norm=norm, clip_values=(0, 1))
    found = np.isfinite(generator.distances_)
    np.testing.assert_array_equal(model.predict(X_adv) != case.y, found)
    assert found.mean() >= 0.5


@pytest.mark.parametrize(("source", "norm"), [("logistic", np.inf), ("svc", 2), ("cnn", 1), ("cnn", np.inf)])
def test_targeted(zoo, source: str, norm: float) -> None:
    case = zoo(source)
    target = (case.y + 1) % 10
    given: dict[str, Any] = {"attack": "fmn", "norm": norm, "clip_values": (0, 1)}
    generator, X_adv = attacked(case.source, case.X, target=target, **given)
    found = np.isfinite(generator.distances_)
    assert found.mean() >= 0.95
    np.testing.assert_array_equal(as_model(case.source).predict(X_adv) == target, found)
    anywhere, _ = attacked(case.source, case.X, case.y, **given)
    assert np.median(generator.distances_) > np.median(anywhere.distances_)


@every_attack
def test_whole_numbers_and_projections(attack: str, norm: float) -> None:
    """What counts is what is valid: integers stay whole, a sum stays what the projection says."""
    X, y = load_iris(return_X_y=True)
    X = np.column_stack([np.rint(X[:, :2] * 5), X[:, 2:]])
    source = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    constraints = Constraints(integer=[0, 1], projection=lambda X_adv, X: np.maximum(X_adv, 0))
    generator, X_adv = attacked(
        FrozenEstimator(source), X[::5], y[::5], attack=attack, norm=norm, constraints=constraints
    )
    distances = generator.distances_
    assert (X_adv[:, :2] % 1 == 0).all() and (X_adv >= 0).all()
    found = np.isfinite(distances)
    assert found.mean() > 0.8
    np.testing.assert_array_equal(source.predict(X_adv) != y[::5], found)
    np.testing.assert_allclose(size(X_adv - X[::5], norm)[found], distances[found])


@every_attack
def test_scale_does_not_matter(attack: str, norm: float) -> None:
    """The same data in other units gives the same distances in those units."""
    X, y = load_iris(return_X_y=True)
    distances = []
    for scale in (1.0, 1e4):
        source = make_pipeline(StandardScaler(), SVC()).fit(X * scale, y)
        generator, _ = attacked(FrozenEstimator(source), X[::7] * scale, y[::7], attack=attack, norm=norm)
        distances.append(generator.distances_ / scale)
    np.testing.assert_allclose(*distances, rtol=0.02, atol=1e-9)


@every_attack
def test_gradient_of_nothing(attack: str, norm: float) -> None:
    """Where no feature matters, nothing is found, and nothing breaks."""
    module = nn.Linear(3, 2).requires_grad_(False)
    module.weight.zero_()
    module.bias.copy_(torch.tensor([1.0, 0.0]))
    X = np.zeros((4, 3), dtype=np.float32)
    with pytest.warns(ModelWarning, match="Linear has a gradient of exactly 0 on 4 of 4 samples"):
        generator, X_adv = attacked(module, X, attack=attack, norm=norm)
    assert (generator.distances_ == np.inf).all()
    np.testing.assert_array_equal(X_adv, X)
    with pytest.warns(ModelWarning, match="on 1 of 4 samples"):
        generator, _ = attacked(module, X, target=np.array([0, 0, 1, 0]), attack="fmn", norm=norm)
    assert generator.distances_.tolist() == [0, 0, np.inf, 0]


@every_attack
@pytest.mark.parametrize("max_iter", [1, 2])
def test_few_steps(zoo, attack: str, norm: float, max_iter: int) -> None:
    case = zoo("logistic")
    generator, X_adv = attacked(
        case.source, case.X, case.y, attack=attack, norm=norm, max_iter=max_iter, clip_values=(0, 1)
    )
    found = np.isfinite(generator.distances_)
    np.testing.assert_array_equal(as_model(case.source).predict(X_adv) != case.y, found)
    assert max_iter == 1 or found.mean() > 0.9


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"attack": "deepfool", "norm": 1}, "works with norm"),
        ({"attack": "deepfool", "step_size": 0.1}, "step_size must be None, got 0.1"),
        (
            {"attack": "deepfool", "attack_params": {"overshoot": -1}},
            r"must be a number from 0 to 1e\+18, got -1",
        ),
        ({"attack": "deepfool", "attack_params": {"overshoot": 1e39}}, r"from 0 to 1e\+18, got 1e\+39"),
        ({"attack": "deepfool", "attack_params": {"overshot": 1}}, "unknown to attack='deepfool'"),
        ({"attack": "fmn", "attack_params": {"gamma": 1}}, "unknown to attack='fmn'"),
        ({"attack": "fmn", "n_restarts": 2}, "takes no n_restarts"),
        ({"attack": "pgd"}, "eps must be a finite number"),
    ],
)
def test_errors(zoo, params: dict[str, Any], message: str) -> None:
    case = zoo("logistic")
    with pytest.raises(ValueError, match=message):
        attacked(case.source, case.X, **params)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("scaled", [False, True])
def test_votes_that_deny_what_the_logits_tell(norm: float, scaled: bool) -> None:
    """Three pairwise votes err later than their logits, and far away, where nothing is known, not at all."""
    X, y = load_iris(return_X_y=True)
    source = make_pipeline(StandardScaler(), SVC()) if scaled else SVC()
    source.fit(X, y)
    reached = AdversarialGenerator(FrozenEstimator(source), attack="pgd", eps=8, norm=norm).generate(X, y)
    generator, _ = attacked(FrozenEstimator(source), X, y, attack="fmn", norm=norm)
    found = np.isfinite(generator.distances_)
    assert found.mean() > 0.9
    assert found.mean() >= (source.predict(reached) != y).mean() - 0.02


def test_step_size(zoo, monkeypatch: pytest.MonkeyPatch) -> None:
    case = zoo("logistic")
    lengths: list[float] = []
    offer = Field.offer_likely

    def spy(self, x, logits):
        lengths.append(float(self.lengths(x - self.x0).max()))
        return offer(self, x, logits)

    monkeypatch.setattr(Field, "offer_likely", spy)
    attacked(case.source, case.X, case.y, attack="fmn", norm=2, step_size=0.01)
    assert lengths[0] == 0
    assert lengths[1] == pytest.approx(0.01)
    assert lengths[2] == pytest.approx(0.02, rel=0.01)


@pytest.mark.parametrize("attack", ["deepfool", "fmn", "tree"])
@pytest.mark.parametrize("norm", [np.inf, 2])
def test_a_sample_that_fools_is_no_further_away_than_it_is(attack: str, norm: float) -> None:
    """Also where it was brought back into the budget from a point further out."""
    rng = np.random.RandomState(0)
    X = rng.randn(60, 4)
    y = (X[:, 0] + X[:, 1] > 0).astype(int)
    forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    for eps in (0.05, 0.2, 0.4):
        generator = AdversarialGenerator(
            FrozenEstimator(forest),
            attack=attack,
            norm=norm,
            eps=eps,
            max_iter=5,
            random_state=0,
            attack_params={"n_starts": 2} if attack == "tree" else None,
        )
        fooled = forest.predict(generator.generate(X, y)) != y
        assert (generator.distances_[fooled] <= eps).all()
        assert (generator.distances_[~fooled] > eps).all()


@pytest.mark.parametrize(
    ("source", "attack", "norm"), [(["svc", "cnn"][i % 2], *known) for i, known in enumerate(KNOWN)]
)
def test_no_sample_depends_on_the_others(zoo, source: str, attack: str, norm: float) -> None:
    case = zoo(source)
    given: dict[str, Any] = {"attack": attack, "norm": norm, "clip_values": (0, 1), "eps": np.inf}
    X, y, order = case.X[:7], case.y[:7], np.random.RandomState(0).permutation(7)

    def found(rows: Any, **params: Any) -> Any:
        generator = AdversarialGenerator(case.source, **given, **params)
        generator.generate(X[rows], y[rows])
        return generator.distances_

    together = found(np.arange(7))
    alone = np.concatenate([found(np.array([row])) for row in range(2)])
    np.testing.assert_allclose(alone, together[:2], rtol=1e-6)
    np.testing.assert_allclose(found(order, batch_size=3), together[order], rtol=1e-6)


@pytest.mark.parametrize("norm", [np.inf, 2])
@pytest.mark.parametrize("source", ["logistic", "svc", "cnn"])
def test_deepfool_towards_a_label(zoo, source: str, norm: float) -> None:
    case = zoo(source)
    target = (case.y + 1) % 10
    given: dict[str, Any] = {"target": target, "norm": norm, "clip_values": (0, 1)}
    generator, X_adv = attacked(case.source, case.X, attack="deepfool", **given)
    found = np.isfinite(generator.distances_)
    assert found.mean() > 0.9
    np.testing.assert_array_equal(as_model(case.source).predict(X_adv) == target, found)
    nearest, _ = attacked(case.source, case.X, attack="fmn", **given)
    both = found & np.isfinite(nearest.distances_)
    assert generator.distances_[both].mean() < 1.4 * nearest.distances_[both].mean()
    anywhere, _ = attacked(
        case.source,
        case.X,
        as_model(case.source).predict(case.X),
        **{**given, "target": None},
        attack="deepfool",
    )
    assert np.median(generator.distances_) > np.median(anywhere.distances_)
