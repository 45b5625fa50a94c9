"""Recipes: each piece against another library or its formula written out, and what all have in common."""

from __future__ import annotations

import pickle
from zlib import crc32

import numpy as np
import pytest
import torch
import torchattacks
from scipy.ndimage import convolve
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from torch import nn
from torch.nn import functional

from skhalfway import AdversarialGenerator, Constraints, TransferScorer, load_result
from skhalfway._streams import Streams
from skhalfway.attacks import (
    AdaBelief,
    Averaged,
    CrossEntropy,
    DiverseInput,
    FeatureDropout,
    FeatureImportance,
    Logit,
    Margin,
    Momentum,
    NearbyWeights,
    Nesterov,
    PatchWise,
    ProbabilityMargin,
    Recipe,
    Relevance,
    ScaleCopies,
    SkipGradient,
    Staircase,
    Translation,
    Variance,
    list_attacks,
)
from skhalfway.attacks._attack_names import recipe_of
from skhalfway.attacks._pieces import PIECES
from skhalfway.attacks._resampling import resized
from skhalfway.models import as_model

EPS, STEPS = 0.1, 10


@pytest.fixture(scope="module")
def digits():
    """Images of three channels, a network in float64, and their labels."""
    X, y = load_digits(return_X_y=True)
    X = np.repeat((X[:400] / 16).reshape(-1, 1, 8, 8), 3, axis=1)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(512, 10)).double()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(30):
        optimizer.zero_grad()
        functional.cross_entropy(net(torch.tensor(X)), torch.tensor(y[:400])).backward()
        optimizer.step()
    return X[:20], y[:20], net.eval()


def made(digits, attack, **params):
    X, y, net = digits
    settings = {"eps": EPS, "max_iter": STEPS, "step_size": EPS / STEPS, "clip_values": (0, 1), **params}
    return (
        AdversarialGenerator(as_model(net), attack=attack, random_state=0, **settings).fit(X).generate(X, y)
    )


THEIRS = {"eps": EPS, "alpha": EPS / STEPS, "steps": STEPS, "decay": 1.0}


@pytest.mark.parametrize(
    ("theirs", "params", "ours"),
    [
        ("MIFGSM", {}, "mi"),
        ("NIFGSM", {}, "ni"),
        ("SINIFGSM", {"m": 5}, "ni-si"),
        ("VMIFGSM", {"N": 3, "beta": 0.0}, Recipe(Momentum(), Variance(n=3, radius=0))),
        ("VNIFGSM", {"N": 3, "beta": 0.0}, Recipe(Nesterov(), Variance(n=3, radius=0))),
        ("DIFGSM", {"diversity_prob": 0.0}, Recipe(Momentum(), DiverseInput(probability=0))),
        ("TIFGSM", {"diversity_prob": 0.0, "len_kernel": 7}, Recipe(Momentum(), Translation(size=7))),
    ],
    ids=str,
)
def test_as_torchattacks_without_chance(theirs, params, ours, digits):
    X, y, net = digits
    attack = getattr(torchattacks, theirs)(net, **THEIRS, **params)
    if theirs == "TIFGSM":
        attack.stacked_kernel = attack.stacked_kernel.double()  # it is in float32
    expected = attack(torch.tensor(X), torch.tensor(y)).numpy()
    np.testing.assert_allclose(made(digits, ours), expected, atol=1e-6)


def test_variance_is_what_its_algorithm_says(digits):
    """Wang & He's Algorithm 1, with the same points around the sample."""
    X, y, net = digits
    n, radius, labels = 3, 1.5, torch.tensor(y)
    streams = Streams(_seed_of(digits, n, radius), np.arange(len(X)), 1).apart(crc32(b"variance "))
    x, v, g = torch.tensor(X), 0.0, 0.0

    def gradient(at):
        at = at.detach().requires_grad_()
        return torch.autograd.grad(functional.cross_entropy(net(at), labels, reduction="sum"), at)[0]

    for _ in range(STEPS):
        here = gradient(x)
        total = here + v
        g = g + total / total.abs().sum(dim=(1, 2, 3), keepdim=True)
        noise = [2 * streams.uniform(np.arange(len(X)), *X.shape[1:]) - 1 for _ in range(n)]
        v = sum(gradient(x + radius * EPS * torch.tensor(one)) for one in noise) / n - here
        x = torch.clamp(x + EPS / STEPS * g.sign(), torch.tensor(X) - EPS, torch.tensor(X) + EPS).clamp(0, 1)
    found = made(digits, Recipe(Momentum(), Variance(n=n, radius=radius)))
    assert np.mean(np.abs(found - x.numpy()) > 1e-6) < 1e-3


def _seed_of(digits, n, radius):
    seen = []
    original = Streams.__init__

    def noted(self, seed, numbers, purpose=0):
        seen.append(seed)
        original(self, seed, numbers, purpose)

    Streams.__init__ = noted
    try:
        made(digits, Recipe(Momentum(), Variance(n=n, radius=radius)), max_iter=1)
    finally:
        Streams.__init__ = original
    return seen[-1]


@pytest.mark.parametrize("piece", [Variance(n=2), Averaged(n=2)], ids=str)
def test_gradients_of_a_linear_model_are_the_same_around_a_sample(piece):
    X, y = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=1000).fit(X[:100], y[:100])  # of two classes
    source = as_model(model)
    plain, other = (
        AdversarialGenerator(source, attack=recipe, eps=0.5, max_iter=5).fit(X).generate(X[:100], y[:100])
        for recipe in (Recipe(Margin()), Recipe(Margin(), piece))
    )
    np.testing.assert_allclose(other, plain, atol=1e-6)


@pytest.mark.parametrize(("size", "top", "left"), [(8, 0, 0), (6, 1, 2), (5, 3, 0), (7, 0, 1)])
def test_resizing_is_that_of_torch(size, top, left):
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    whole = functional.interpolate(images, (size, size), mode="bilinear", align_corners=False)
    expected = functional.pad(whole, (left, 8 - size - left, top, 8 - size - top))
    numbers = (torch.full((2,), float(number), dtype=torch.float64) for number in (size, size, top, left))
    torch.testing.assert_close(resized(images, *numbers), expected)


def test_sizes_and_places_are_drawn_evenly(digits):
    seen = []

    class Noted(nn.Module):
        def forward(self, x):
            seen.append(x.detach())
            return torch.stack([x.sum(dim=(1, 2, 3)), -x.sum(dim=(1, 2, 3))], dim=1)

    X = np.ones((400, 1, 10, 10), dtype=np.float32)
    recipe = Recipe(DiverseInput(probability=0.75, least=0.5))
    generator = AdversarialGenerator(as_model(Noted()), attack=recipe, eps=0.1, max_iter=1, random_state=0)
    seen_by = generator.fit(X)
    seen.clear()
    seen_by.generate(X, np.zeros(400, dtype=int))
    changed = next(one for one in seen if len(one) == 400 and (one == 0).any())
    sizes = (changed[:, 0] > 0).any(dim=2).sum(dim=1)
    assert sizes.min() == 5 and sizes.max() == 10
    counts = np.bincount(sizes, minlength=11)
    assert abs(counts[10] / 400 - 0.25) < 0.07  # as it was
    assert (abs(counts[5:10] / 400 - 0.15) < 0.06).all()


def test_translation_is_a_convolution_with_a_gaussian():
    gradient = torch.rand(1, 2, 9, 9, dtype=torch.float64)
    found = Translation(size=5, sigma=3.0).gradient(RUN, gradient, lambda x: x)
    bell = np.exp(-(np.linspace(-3, 3, 5) ** 2) / 2)
    kernel = np.outer(bell, bell) / bell.sum() ** 2
    for channel in range(2):
        expected = convolve(gradient[0, channel].numpy(), kernel, mode="constant")
        np.testing.assert_allclose(found[0, channel], expected)


class RUN:
    """As much of a run as pieces for images ask."""

    @staticmethod
    def images(x, piece):
        return x


LOSSES = {
    CrossEntropy(): lambda logits, own: functional.cross_entropy(logits, own, reduction="sum"),
    Logit(): lambda logits, own: -logits.gather(1, own[:, None]).sum(),
    Margin(): lambda logits, own: (_other(logits, own) - logits.gather(1, own[:, None])[:, 0]).sum(),
    ProbabilityMargin(): lambda logits, own: (
        _other(logits.softmax(1), own) - logits.softmax(1).gather(1, own[:, None])[:, 0]
    ).sum(),
}


def _other(values, own):
    return values.masked_fill(functional.one_hot(own, values.shape[1]).bool(), -np.inf).amax(dim=1)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_slopes_are_gradients_of_losses(loss):
    logits = (3 * torch.randn(50, 4, dtype=torch.float64)).requires_grad_()
    own = torch.arange(50) % 4
    (expected,) = torch.autograd.grad(LOSSES[loss](logits, own), logits)
    torch.testing.assert_close(loss.slope(None, logits, functional.one_hot(own, 4).bool()), expected)


def test_cross_entropy_of_a_sure_model_has_a_direction():
    logits = torch.tensor([[200.0, 0.0, 1.0]])
    slope = CrossEntropy().slope(None, logits, torch.tensor([[True, False, False]]))
    assert (slope[0, 1:] > 0).all() and slope[0, 0] < 0


X_IRIS, Y_IRIS = load_iris(return_X_y=True)
MODELS = {
    "lr": LogisticRegression(max_iter=1000).fit(X_IRIS, Y_IRIS),
    "svm": SVC().fit(X_IRIS, Y_IRIS),
    "mlp": MLPClassifier((10,), solver="lbfgs", random_state=0, max_iter=1000).fit(X_IRIS, Y_IRIS),
}
FRAME = list_attacks()
NOT_HERE = {"an Ensemble", "images", "residual branches", "nn.BatchNorm"}
ON_TABLES = [name for name in FRAME.index if not set(FRAME.loc[name, "needs"].split(", ")) & NOT_HERE]


def fewer(attack):
    """The recipe of a name, with fewer points and copies."""
    recipe = recipe_of(attack)
    return recipe.replaced(**{f"{piece.name}__n": 3 for piece in recipe.pieces if hasattr(piece, "n")})


@pytest.mark.parametrize(
    ("attack", "norm", "targeted"),
    # each attack in two norms, targeted in one of them
    [
        (attack, [np.inf, 2, 1][k], (i + k) % 2 == 1)
        for i, attack in enumerate([*ON_TABLES, "mi-margin", "ni-si-logit", "vmi-pm"])
        for k in ((0, 1), (1, 2))[i // 2 % 2]
    ],
)
def test_on_tables_in_all_norms(attack, norm, targeted):
    """Within the budget and the constraints, whatever the batches, targeted or not; and they fool."""
    constraints = Constraints(immutable=[0], increasing=[1])
    settings = {"eps": 0.9, "norm": norm, "max_iter": 4, "random_state": 0, "constraints": constraints}
    model, recipe = "mlp" if attack in FRAME.index and FRAME.loc[attack, "needs"] else "svm", fewer(attack)
    X, y = X_IRIS[::6], Y_IRIS[::6]
    labels, each = (y + 1) % 3 if targeted else y, []
    for size in ("auto", 17):
        source = as_model(MODELS[model])
        generator = AdversarialGenerator(source, attack=recipe, batch_size=size, **settings).fit(X)
        each.append(generator.generate(X, target=labels) if targeted else generator.generate(X, labels))
    change = each[0] - X
    np.testing.assert_allclose(each[0], each[1], atol=1e-5)
    assert (np.linalg.norm(change, norm, axis=1) <= 0.9).all()
    assert not change[:, 0].any() and (change[:, 1] >= 0).all()
    moved = MODELS[model].predict(each[0]) == labels
    assert moved.mean() > 0.05 if targeted else (~moved).mean() > 0.05


def test_flat_rows_are_images_by_their_shape(digits):
    X, y, net = digits
    flat = nn.Sequential(nn.Unflatten(1, (3, 8, 8)), net).double()
    recipe = Recipe(Momentum(), DiverseInput(probability=1.0), Translation(size=3))
    shaped = recipe.replaced(image_shape=(3, 8, 8))
    rows = X.reshape(len(X), -1)
    settings = {"eps": EPS, "max_iter": 5, "random_state": 0}
    found = AdversarialGenerator(as_model(flat), attack=shaped, **settings).fit(rows).generate(rows, y)
    expected = AdversarialGenerator(as_model(net), attack=recipe, **settings).fit(X).generate(X, y)
    np.testing.assert_allclose(found, expected.reshape(rows.shape), atol=1e-7)


def test_feature_dropout_gives_values_of_the_sample_back():
    seen = []

    class Noted(nn.Module):
        def forward(self, x):
            seen.append(x.detach().clone())
            return torch.stack([x.sum(dim=1), -x.sum(dim=1)], dim=1)

    X = np.zeros((300, 8), dtype=np.float32)
    generator = AdversarialGenerator(
        as_model(Noted()), attack=Recipe(FeatureDropout(0.3)), eps=1.0, max_iter=2, random_state=0
    ).fit(X)
    generator.generate(X, np.zeros(300, dtype=int))
    after_a_step = next(one for one in seen if len(one) == 300 and (one != 0).any())
    # what had no gradient in the first step has not moved, and of the rest as much is given back
    assert abs((after_a_step == 0).float().mean() - (1 - 0.7**2)) < 0.04


def test_recipes_are_values():
    recipe = Recipe(Nesterov(0.9), ScaleCopies(3), image_shape=(1, 8, 8), reach=2.0)
    assert repr(recipe) == "Recipe(Nesterov(decay=0.9), ScaleCopies(n=3), image_shape=(1, 8, 8), reach=2)"
    assert eval(repr(recipe)) == recipe == pickle.loads(pickle.dumps(recipe)) == clone(recipe)
    assert hash(recipe) == hash(eval(repr(recipe))) and recipe != Recipe(Nesterov(0.9))
    with pytest.raises(AttributeError):
        recipe.reach = 1.0
    assert recipe.get_params()["nesterov__decay"] == 0.9
    assert recipe.replaced(nesterov=None, momentum__decay=0.5, reach=1.0, image_shape=None) == Recipe(
        ScaleCopies(3), Momentum(0.5)
    )
    assert all(PIECES[name]().name == name for name in PIECES)


def test_pieces_are_searched():
    estimators = [("lr", LogisticRegression(max_iter=1000)), ("svm", SVC())]
    scorer = TransferScorer(AdversarialGenerator(attack="ni", eps=0.3, max_iter=3), estimators=estimators)
    grid = {
        "generator__attack__nesterov__decay": [0.5, 1.0],
        "generator__attack__variance": [None, Variance(n=2)],
    }
    search = GridSearchCV(scorer, grid, cv=StratifiedKFold(2)).fit(X_IRIS, Y_IRIS)
    best = search.best_estimator_.generator.attack
    assert best.of("step")[0].decay in (0.5, 1.0)
    assert len(search.cv_results_["params"]) == 4


def test_matrices_of_recipes(tmp_path):
    generator = AdversarialGenerator(attack=Recipe(Momentum(), Variance(n=2)), eps=0.4, max_iter=4)
    scorers = [
        TransferScorer(generator, random_state=0, n_jobs=n, memory=memory).fit(MODELS)
        for n, memory in ((1, None), (2, tmp_path / "kept"), (1, tmp_path / "kept"))
    ]
    one, *others = (scorer.transfer(X_IRIS, Y_IRIS) for scorer in scorers)
    assert all(one == other for other in others)
    other_pieces = clone(scorers[2]).set_params(generator__attack__variance__n=3).fit(MODELS)
    assert other_pieces.memory == tmp_path / "kept" and other_pieces.transfer(X_IRIS, Y_IRIS) != one
    assert "Variance" in repr(one)
    one.save(tmp_path / "matrix.json")
    assert load_result(tmp_path / "matrix.json") == one
    curve = scorers[0].transfer_curve(X_IRIS, Y_IRIS, eps=[0.2, 0.4])
    np.testing.assert_array_equal(curve.rates[-1], one.rates)


def generator_of(attack, X=X_IRIS, model=MODELS["lr"]):
    return AdversarialGenerator(as_model(model), attack=attack, eps=0.3).fit(X).generate(X[:5], Y_IRIS[:5])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Recipe("momentum"), TypeError, "pieces must be instances of .*Momentum.*got 'momentum'"),
        (lambda: Recipe(Momentum), TypeError, "got the class Momentum"),
        (
            lambda: Recipe(Momentum(), Nesterov()),
            ValueError,
            "one momentum at most, got Momentum and Nesterov",
        ),
        (lambda: Recipe(Logit(), Margin()), ValueError, "one loss at most, got Logit and Margin"),
        (lambda: Recipe(ScaleCopies(2), ScaleCopies(3)), ValueError, "each piece may be there once"),
        (lambda: Recipe(image_shape=(8, 8)), ValueError, r"image_shape must be \(channels, height, width\)"),
        (lambda: Recipe(reach=0), ValueError, "reach must be a finite number > 0, got 0"),
        (lambda: Momentum(-1), ValueError, r"Momentum\(decay=...\) must be a number of at least 0, got -1"),
        (lambda: Variance(n=0.5), ValueError, r"Variance\(n=...\) must be an integer of at least 1, got 0.5"),
        (lambda: DiverseInput(probability=2), ValueError, "of at least 0 and at most 1, got 2"),
        (lambda: Translation(size=4), ValueError, r"Translation\(size=...\) must be odd, got 4"),
        (lambda: Recipe().replaced(momentm=1), ValueError, "did you mean 'momentum'"),
        (
            lambda: Recipe(Momentum()).replaced(momentum__n=1),
            ValueError,
            r"Momentum has no 'n'; it has \['decay'\]",
        ),
        (lambda: generator_of("mi-xx"), ValueError, "unknown attack 'mi-xx'; give 'auto'.*list_attacks"),
        (lambda: generator_of("mi-ni"), ValueError, "one momentum at most"),
        (lambda: Recipe(Variance(), Relevance()), ValueError, "compare gradients around the same sample"),
        (
            lambda: Recipe(AdaBelief(), Staircase()),
            ValueError,
            "one stride at most, got AdaBelief and St",
        ),
        (lambda: Recipe(Staircase(), Relevance()), ValueError, "one stride at most, got Staircase and Relev"),
        (lambda: SkipGradient(layers="a"), TypeError, "must be names of layers"),
        (lambda: FeatureImportance(3), TypeError, "must be the name of a layer"),
        (lambda: PatchWise(size=4), ValueError, "must be odd, got 4"),
        (lambda: generator_of("admx"), ValueError, "unknown attack 'admx'.*did you mean 'admix'"),
        (lambda: generator_of("fia"), ValueError, "has no hidden layer with weights"),
        (lambda: generator_of("ghost"), ValueError, "outputs of hidden layers, and .* has none"),
        (lambda: NearbyWeights(scale=-1), ValueError, "must be a number of at least 0, got -1"),
        (lambda: generator_of("rpa", model=MODELS["mlp"]), ValueError, "'feature_importance' is for images"),
        (lambda: generator_of("sgm", model=MODELS["mlp"]), ValueError, "has no residual branch"),
        (lambda: generator_of("linbp"), ValueError, r"changes layers nn.ReLU, and .* has none"),
        (lambda: generator_of("bn", model=MODELS["mlp"]), ValueError, "layers nn.BatchNorm1d or"),
        (
            lambda: generator_of(Recipe(FeatureImportance("layer_9")), model=MODELS["mlp"]),
            ValueError,
            r"has no layer 'layer_9'; its layers are \['layer_0', .*did you mean 'layer_1'",
        ),
        (
            lambda: (
                AdversarialGenerator(as_model(MODELS["lr"]), attack="admix", eps=0.3)
                .fit(X_IRIS)
                .generate(X_IRIS[:5], Y_IRIS[:5])
            ),
            ValueError,
            "mixes samples of different classes, and all 5 samples",
        ),
        (lambda: generator_of("di"), ValueError, "'diverse_input' is for images, and samples have shape"),
        (
            lambda: generator_of(Recipe(Translation(), image_shape=(1, 3, 3))),
            ValueError,
            r"image_shape \(1, 3, 3\) holds 9 values, and samples have 4",
        ),
        (
            lambda: AdversarialGenerator(attack="pgd").set_params(attack__momentum__decay=1),
            ValueError,
            "attack is 'pgd', which has no pieces to set",
        ),
        (
            lambda: AdversarialGenerator(attack=Recipe(), attack_params={"decay": 1}, estimator=SVC()).fit(
                X_IRIS, Y_IRIS
            ),
            ValueError,
            "attack_params",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_list_of_attacks():
    frame = list_attacks()
    assert frame.index.is_unique and {"vmi-di-ti", "ni-si", "fd"} <= set(frame.index)
    assert frame.loc["svre", "needs"] == "an Ensemble"
    assert frame.loc["vmi-di-ti", "images"] and not frame.loc["vmi", "images"]
    assert "Wang & He" in frame.loc["vmi-di-ti", "papers"]
