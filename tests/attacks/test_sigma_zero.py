"""sigma-zero and norm 0: against brute force, budgets to the last feature, what refuses norm 0."""

from __future__ import annotations

from functools import cache
from itertools import combinations, product
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from torch import nn

from skhalfway import AdversarialGenerator, Constraints, TransferScorer, audit
from skhalfway._streams import Streams
from skhalfway.attacks._norms import BALLS, keep_budget, random_ends
from skhalfway.boundaries import gradient_size
from skhalfway.models import ModelWarning
from skhalfway.results import load_result

D, N_CLASSES = 6, 3
RNG = np.random.RandomState(0)
Y = RNG.randint(N_CLASSES, size=240)
# around corners of a box, each pair of which differs in 4 features
CORNERS = np.array([[0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 1, 1]])
X = (0.2 + 0.6 * CORNERS[Y] + RNG.uniform(-0.2, 0.2, size=(240, D))).round(3)
PART = slice(0, 60)
LINEAR = LogisticRegression(C=30).fit(X, Y)


@cache
def mlp() -> MLPClassifier:
    return MLPClassifier((8,), solver="lbfgs", max_iter=300, tol=1e-3, random_state=0).fit(X, Y)


class Net(nn.Module):
    """The perceptron in float32."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*w.shape) for w in mlp().coefs_)
        with torch.no_grad():
            for layer, w, b in zip(self.layers, mlp().coefs_, mlp().intercepts_, strict=True):
                layer.weight.copy_(torch.from_numpy(w.T))
                layer.bias.copy_(torch.from_numpy(b))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers[1](self.layers[0](x.flatten(1)).relu())


def attacked(source: Any, X: Any, y: Any = None, **params: Any) -> tuple[Any, Any]:
    given = {"attack": "sigmazero", "norm": 0, "eps": np.inf, "clip_values": (0, 1)} | params
    target = given.pop("target", None)
    frozen = FrozenEstimator(source) if hasattr(source, "fit") else source
    generator = AdversarialGenerator(frozen, **given)
    return generator.generate(X, y, target), generator.distances_


def n_changed(X_adv: Any, X: Any) -> NDArray[np.intp]:
    return (np.asarray(X_adv) != np.asarray(X)).reshape(len(X), -1).sum(axis=1)


def fewest_by_sorting(source: Any, X: Any, y: Any) -> NDArray[np.float64]:
    """Of a linear source: for each rival features go to their ends, those that gain most first."""
    scores, w = source.decision_function(X), source.coef_
    best = np.where(scores.argmax(axis=1) != y, 0.0, np.inf)
    for i in np.flatnonzero(best):
        for rival in [k for k in range(N_CLASSES) if k != y[i]]:
            slope = w[rival] - w[y[i]]
            gain = np.sort(np.maximum(slope * (1 - X[i]), -slope * X[i]))[::-1].cumsum()
            enough = gain > scores[i, y[i]] - scores[i, rival]
            if enough.any():
                best[i] = min(best[i], enough.argmax() + 1)
    return best


def fewest_by_brute_force(source: Any, X: Any, y: Any) -> NDArray[np.float64]:
    """Over all subsets of features, with each of these at either end: a bound from above of the optimum."""
    best = np.where(source.predict(X) != y, 0.0, np.inf)
    for size in range(D, 0, -1):
        for columns in combinations(range(D), size):
            for ends in product((0.0, 1.0), repeat=size):
                tried = X.copy()
                tried[:, columns] = ends
                best[(source.predict(tried) != y) & (best > 0)] = size
    return best


def test_a_linear_source_falls_to_as_few_features_as_can_be() -> None:
    rng, source = np.random.RandomState(5), LogisticRegression()
    source.coef_, source.intercept_ = rng.normal(size=(N_CLASSES, D)), np.array([2.0, 0.0, 0.0])
    source.classes_, source.n_features_in_ = np.arange(N_CLASSES), D
    some = rng.uniform(size=(300, D))
    y = np.where(rng.uniform(size=300) < 0.05, 2, source.predict(some))
    X_adv, distances = attacked(source, some, y)
    best = fewest_by_sorting(source, some, y)
    np.testing.assert_array_equal(distances, best)
    assert len(np.unique(best)) >= 5
    found = np.isfinite(best)
    np.testing.assert_array_equal(n_changed(X_adv, some)[found], best[found])
    np.testing.assert_array_equal(source.predict(X_adv) != y, found)


@pytest.mark.parametrize("max_iter", [40, 100])
def test_a_network_falls_to_nearly_as_few_as_brute_force_finds(max_iter: int) -> None:
    some, y = X[PART], Y[PART]
    X_adv, distances = attacked(mlp(), some, y, max_iter=max_iter)
    best = fewest_by_brute_force(mlp(), some, y)
    assert 1 < best[best > 0].mean() < D
    # one feature more at most, on a tenth of the samples at most
    assert (distances <= best + 1).all()
    assert (distances > best).mean() <= 0.1
    np.testing.assert_array_equal(n_changed(X_adv, some), distances)
    assert (mlp().predict(X_adv) != y).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("eps", [1, 2, np.inf])
def test_budgets_are_exact_whatever_float_type_the_source_computes_in(dtype: type, eps: float) -> None:
    # values that float32 does not hold
    some = (X[PART] / 3 + 1 / 7).astype(dtype)
    for source in (Net(), mlp()):
        free = attacked(source, some, Y[PART])[1]
        X_adv, distances = attacked(source, some, Y[PART], eps=eps)
        assert X_adv.dtype == dtype
        assert X_adv.min() >= 0 and X_adv.max() <= 1
        assert (n_changed(X_adv, some) <= eps).all()
        fooled = mlp().predict(X_adv) != Y[PART]
        np.testing.assert_array_equal(fooled, distances <= eps)
        assert (distances <= np.where(free <= eps, free, np.inf)).all()


def test_images_and_their_units() -> None:
    """Scaled data, and images, make no difference."""
    images = X[PART].astype(np.float32).reshape(-1, 1, 2, 3)
    X_adv, distances = attacked(Net(), images, Y[PART])
    np.testing.assert_array_equal(n_changed(X_adv, images), distances)

    class Scaled(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2.0**-20 * super().forward(x / 256)

    scaled = attacked(Scaled(), 256 * images, Y[PART], clip_values=(0, 256))[1]
    np.testing.assert_array_equal(scaled, distances)


def test_no_sample_depends_on_the_others() -> None:
    order = np.random.RandomState(0).permutation(60)[:40]
    together, distances = attacked(mlp(), X[PART], Y[PART])
    again, some = attacked(mlp(), X[order], Y[order], batch_size=7)
    np.testing.assert_array_equal(some, distances[order])
    np.testing.assert_allclose(again, together[order], atol=1e-6)


def test_targets() -> None:
    target = (LINEAR.predict(X) + 1) % N_CLASSES
    X_adv, distances = attacked(LINEAR, X, target=target)
    np.testing.assert_array_equal(LINEAR.predict(X_adv) == target, np.isfinite(distances))
    assert np.isfinite(distances).mean() > 0.7
    # the fewest that leave the label are no more than those that lead to another
    assert (fewest_by_sorting(LINEAR, X, LINEAR.predict(X)) <= distances).all()


RULES = {
    "immutable": Constraints(immutable=[0, 3]),
    "monotone": Constraints(increasing=[0, 1], decreasing=[2]),
    "whole": Constraints(integer=[0, 1, 2, 3, 4, 5]),
    "group": Constraints(one_hot=[[3, 4, 5]], integer=[0]),
    "projection": Constraints(projection=lambda X_adv, X: X + 0.5 * (X_adv - X)),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("eps", [2, np.inf])
def test_constraints(rule: str, eps: float) -> None:
    data = np.column_stack([np.rint(9 * X[:, :3]), np.eye(3)[np.arange(len(X)) % 3]])
    y = (X[:, :3].sum(axis=1) + 0.4 * data[:, 3] > np.median(X[:, :3].sum(axis=1))).astype(int)
    source = make_pipeline(StandardScaler(), LogisticRegression()).fit(data, y)
    clip = np.zeros(D), np.array([9, 9, 9, 1, 1, 1])
    X_adv, distances = attacked(source, data, y, eps=eps, clip_values=clip, constraints=RULES[rule])
    change = X_adv - data
    assert ((change != 0).sum(axis=1) <= eps).all()
    found = np.isfinite(distances) & (distances <= eps)
    np.testing.assert_array_equal(source.predict(X_adv) != y, found)
    assert found.mean() > (0.5 if eps == np.inf else 0.25)
    if rule == "immutable":
        assert not change[:, [0, 3]].any()
    elif rule == "monotone":
        assert (change[:, :2] >= 0).all() and (change[:, 2] <= 0).all()
    elif rule == "whole":
        assert (X_adv % 1 == 0).all()
    elif rule == "group":
        assert (X_adv[:, 3:].sum(axis=1) == 1).all() and np.isin(X_adv[:, 3:], (0, 1)).all()
        # a change of category counts twice, and is made where it is worth that
        assert np.isin((change[:, 3:] != 0).sum(axis=1), (0, 2)).all()


def test_frames_with_categories_and_missing_values() -> None:
    frame = pd.DataFrame(X[PART], columns=list("abcdef")).assign(kind=pd.Categorical(["x", "y"] * 30))
    frame.loc[::3, "a"] = np.nan

    columns = make_column_transformer((SimpleImputer(), list("abcdef")), (OneHotEncoder(), ["kind"]))
    source = make_pipeline(columns, LogisticRegression(C=30)).fit(frame, Y[PART])
    X_adv, distances = attacked(source, frame, Y[PART], eps=2)
    pd.testing.assert_series_equal(X_adv["kind"], frame["kind"])
    pd.testing.assert_series_equal(X_adv["a"].isna(), frame["a"].isna())
    changed = ((X_adv.drop(columns="kind") - frame.drop(columns="kind")).fillna(0) != 0).sum(axis=1)
    assert (changed <= 2).all()
    np.testing.assert_array_equal(source.predict(X_adv) != Y[PART], distances <= 2)


# --- norm 0 itself


def test_those_that_moved_most_are_kept() -> None:
    x = np.array([[0.1, 0.2, 0.3, 0.4]])
    wanted = x + np.array([0.3, -0.1, 0.2, 0.0])
    bounds = np.zeros(4), np.array([1.0, 1.0, 0.5, 1.0])  # a change of 0.2 is 0.4 of the third range
    for eps, kept in ((1, [2]), (2, [0, 2]), (3, [0, 1, 2]), (9, [0, 1, 2])):
        expected = x.copy()
        expected[:, kept] = wanted[:, kept]
        np.testing.assert_array_equal(keep_budget(x, wanted, eps, 0, bounds), expected)
        # what float32 makes of a value that stays is no change
        rounded = keep_budget(x, wanted.astype(np.float32), eps, 0, bounds)
        np.testing.assert_array_equal(rounded != x, expected != x)
        at = torch.from_numpy(wanted.copy())
        BALLS[0](torch.from_numpy(x), eps, *map(torch.from_numpy, bounds)).confine(at)
        np.testing.assert_array_equal(at, expected)


@pytest.mark.parametrize("size", [1, 3])
def test_the_steepest_step_takes_the_corners_that_gain_most(size: int) -> None:
    rng = np.random.RandomState(0)
    x, slope = (torch.from_numpy(a) for a in (rng.uniform(size=(7, 5)), rng.normal(size=(7, 5))))
    low, high = torch.zeros(5), torch.ones(5)
    step = x.clone()
    BALLS[0](x, 9.0, low, high).ascend(step, slope.clone(), size)
    gain = torch.maximum(slope * (1 - x), -slope * x).sort(dim=1, descending=True).values[:, :size].sum(dim=1)
    np.testing.assert_allclose(((step - x) * slope).sum(dim=1), gain)
    assert ((step != x).sum(dim=1) == size).all()


def test_noise_changes_as_many_features_at_random() -> None:
    x, n = np.tile([0.0, 1.0, 0.25, 0.5, 0.75], (3000, 1)), 3000
    movable = np.tile([True, True, True, True, False], (n, 1))
    low, high = np.zeros((n, 5)), np.ones((n, 5))
    noise = random_ends(Streams(0, np.arange(n)), np.arange(n), 2, x, (low, high), movable)
    changed = noise != x
    assert (changed.sum(axis=1) == 2).all()
    np.testing.assert_allclose(changed.mean(axis=0), [0.5, 0.5, 0.5, 0.5, 0], atol=0.04)
    assert np.isin(noise[changed], (0, 1)).all()
    assert noise[changed[:, 2], 2].mean() == pytest.approx(0.5, abs=0.05)


def test_transfer_and_its_curve(tmp_path: Any) -> None:
    svm = SVC(C=10).fit(X, Y)
    generator = AdversarialGenerator(norm=0, eps=2, clip_values=(0, 1))
    scorer = TransferScorer(generator, random_state=0).fit({"linear": LINEAR, "mlp": mlp(), "svm": svm})
    some = X[PART], Y[PART]
    matrix, curve = scorer.transfer(*some), scorer.transfer_curve(*some, eps=[1, 2, 4])
    assert "auto, L0 eps 2: rate" in str(matrix)
    assert "L0 budgets in changed features" in str(curve)
    np.testing.assert_array_equal(curve.matrices[2].fooled, matrix.fooled)
    assert (np.diff(curve.source_success, axis=0) >= 0).all()
    off = ~np.eye(3, dtype=bool)
    assert (matrix.rates[off] > matrix.noise[off]).mean() > 0.7
    assert matrix.noise.max() > 0
    shown = curve.plot()
    assert shown.ax_.get_xlabel() == "budget eps: $L_0$ norm, in changed features"
    for result in (matrix, curve):
        result.save(tmp_path / "result")
        assert load_result(tmp_path / "result") == result


def test_both_that_choose_take_it() -> None:
    some, y = X[PART], Y[PART]
    expected = attacked(mlp(), some, y, eps=2)[0]
    for attack in ("auto", "auto-strong"):
        np.testing.assert_array_equal(attacked(mlp(), some, y, attack=attack, eps=2)[0], expected)


def test_hidden_gradients_are_noticed() -> None:
    """What rounds its input has no gradient, and falls to random ends of ranges all the same."""

    class Rounded(Net):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward((40 * x).round() / 40)

    generator = AdversarialGenerator(attack="auto", norm=0, eps=3, clip_values=(0, 1))
    with pytest.warns(ModelWarning) as caught:
        matrix = TransferScorer(generator, random_state=0).fit([LINEAR, Rounded()]).transfer(X, Y)
    assert matrix.masked.tolist() == [False, True]
    said = " ".join(str(each.message) for each in caught)
    assert "no attack without a gradient supports norm 0; pass norm=np.inf, 2 or 1" in said
    assert "square" not in said and "hopskipjump" not in said


def towards_half(model: Any, X: Any, y: Any, norm: float) -> Any:
    assert norm == 0
    return X + 0.5 * (0.5 - X)


def test_callables_are_brought_back_to_the_features_that_they_move_most() -> None:
    X_adv = attacked(LINEAR, X, Y, attack=towards_half, eps=2)[0]
    assert (n_changed(X_adv, X) == 2).all()
    moved = np.abs(X + 0.5 * (0.5 - X) - X)
    farthest = np.argsort(-moved, axis=1, kind="stable")[:, :2]
    np.testing.assert_array_equal(np.sort(farthest, axis=1), np.nonzero(X_adv != X)[1].reshape(-1, 2))


class Rule:
    classes_ = np.arange(N_CLASSES)

    def predict(self, X: Any) -> Any:
        return LINEAR.predict(X)


def foolbox_attack() -> Any:
    import foolbox

    return foolbox.attacks.LinfPGD


WHOLE_NUMBER = r"norm=0 counts changed features, so eps must be a whole number >= 1 or np.inf, got "


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        *(
            (
                {"attack": attack},
                ValueError,
                f"attack='{attack}' works with norm {norms}, got 0; attack='sigmazero' supports norm 0",
            )
            for attack, norms in {
                "pgd": "np.inf, 2 or 1",
                "hopskipjump": "np.inf or 2",
                "cw": "2",
                "vmi-di-ti": "np.inf, 2 or 1",
            }.items()
        ),
        (
            {"attack": foolbox_attack},
            ValueError,
            "LinfProjectedGradientDescentAttack works with norm np.inf, 2 or 1, got 0; attack='sig",
        ),
        ({"norm": 2}, ValueError, "attack='sigmazero' works with norm 0, got 2; pass norm=0, or name"),
        *(({"eps": eps}, ValueError, WHOLE_NUMBER + str(eps)) for eps in (0.1, 0, -1, 1.5, np.nan)),
        ({"eps": [1.0] * D}, ValueError, r"eps must be one number for all .*Constraints\(immutable="),
        ({"eps": {0: 1}}, ValueError, "eps must be one number for all features and samples, got {0: 1}"),
        ({"eps": 2, "eps_unit": "std"}, ValueError, "so eps_unit must be 'input', got 'std'"),
        ({"attack": "auto"}, ValueError, "eps must be a finite number > 0, got inf, which only"),
        ({"clip_values": None}, ValueError, r"clip_values must be finite for all .*got None; pass clip_v"),
        ({"clip_values": (0, np.inf)}, ValueError, "clip_values must be finite for all columns that may"),
        (
            # of which the first sample stays
            {"clip_values": None, "constraints": Constraints(mask=np.arange(240)[:, None] > 0)},
            ValueError,
            "clip_values must be finite for all columns that may",
        ),
        ({"attack_params": {"sigma": 0}}, ValueError, r"\['sigma'\] must be a finite number > 0, got 0"),
        ({"attack_params": {"tau": "a"}}, ValueError, r"\['tau'\] must be a finite number > 0, got 'a'"),
        ({"n_restarts": 2}, ValueError, "attack='sigmazero' takes no n_restarts"),
        *(
            (
                {"estimator": Rule(), "attack": attack, "eps": 2},
                TypeError,
                "norm=0 needs gradients, but Rule .*; no attack without a gradient supports norm 0; pass ",
            )
            for attack in ("auto", "auto-strong", "sigmazero")
        ),
    ],
)
def test_errors(params: dict[str, Any], error: type[Exception], message: str) -> None:
    given = dict(params)
    if given.get("attack") is foolbox_attack:
        given["attack"] = foolbox_attack()
    with pytest.raises(error, match=message):
        attacked(given.pop("estimator", LINEAR), X, Y, **given)


def test_what_measures_lengths_refuses_norm_0() -> None:
    generator = AdversarialGenerator(attack="sigmazero", norm=0, eps=2, clip_values=(0, 1))
    with pytest.raises(ValueError, match="generator.norm must be np.inf, 2 or 1 for an audit, got 0"):
        audit(LINEAR, X, Y, generator=generator)
    with pytest.raises(ValueError, match="norm must be np.inf, 2 or 1, got 0"):
        gradient_size(LINEAR, X, Y, norm=0)
    scorer = TransferScorer(generator).fit([LINEAR, mlp()])
    with pytest.raises(ValueError, match=f"{WHOLE_NUMBER}0.5"):
        scorer.transfer_curve(X, Y, eps=[0.5, 1])
