"""Recipes under odd conditions: batches, units, sure sources, categories, other threads, memory."""

from __future__ import annotations

from functools import cache
from threading import Thread

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC
from torch import nn

from skhalfway import AdversarialGenerator, Ensemble, TransferScorer
from skhalfway.attacks import (
    Admix,
    Averaged,
    FeatureDropout,
    FeatureImportance,
    FlatMaxima,
    Ghost,
    GlobalMomentum,
    IntegratedGradient,
    IntermediateLevel,
    Jitter,
    Logit,
    Margin,
    MixedRows,
    MixMask,
    Momentum,
    NearbyWeights,
    OwnProbability,
    ProbabilityMargin,
    Recipe,
    Relevance,
    ScaleCopies,
    Spectrum,
    StructureInvariant,
    Variance,
)
from skhalfway.attacks._attack_names import recipe_of
from skhalfway.models import as_model

X, Y = load_iris(return_X_y=True)
LR = LogisticRegression(max_iter=1000).fit(X, Y)
MLP = MLPClassifier((10, 10), solver="lbfgs", random_state=0, max_iter=1000).fit(X, Y)


def attacked(attack, model=MLP, samples=X, labels=Y, target=None, **settings):
    settings = {"eps": 0.5, "max_iter": 4, "random_state": 0, **settings}
    generator = AdversarialGenerator(as_model(model), attack=attack, **settings).fit(samples)
    return (
        generator.generate(samples, labels) if target is None else generator.generate(samples, target=target)
    )


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(Variance(n=5), MixedRows()),
        Recipe(FlatMaxima(n=4), FeatureDropout(0.3)),
        Recipe(Variance(n=3), Averaged(n=3)),
        Recipe(Variance(n=4), Ghost(0.3)),
        Recipe(Ghost(0.3), ScaleCopies(3)),
        Recipe(NearbyWeights(0.3), ScaleCopies(3)),
    ],
    ids=str,
)
def test_draws_do_not_depend_on_how_much_is_asked_for_at_once(recipe):
    one, *others = (attacked(recipe, batch_size=size) for size in (len(X), 1000, 40))
    for other in others:
        np.testing.assert_allclose(other, one, atol=1e-9)


@pytest.mark.parametrize("piece", [Spectrum(n=2, noise=1.0), StructureInvariant(n=4)], ids=str)
def test_noise_of_the_budgets_size_has_that_size_in_any_unit(piece):
    images, labels = load_digits(return_X_y=True)
    images = images[:30].reshape(-1, 1, 8, 8) / 16
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10)).double()
    budgets = 0.05, np.full((1, 8, 8), 0.05), np.full((30, 1, 1, 1), 0.05)
    one, *others = (attacked(Recipe(piece), net, images, labels[:30], eps=eps) for eps in budgets)
    for other in others:
        assert (np.abs(other - one) > 1e-6).mean() < 0.01


@cache
def sure(scale):
    """A network whose logits are so far apart that probabilities round to 0 and 1."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 10), nn.Tanh(), nn.Linear(10, 3))
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-2)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(torch.tensor(X).float()), torch.tensor(Y)).backward()
        optimizer.step()
    with torch.no_grad():
        net[2].weight.mul_(scale), net[2].bias.mul_(scale)
    return net


@pytest.mark.parametrize("attack", ["fia", "naa", "mig", "mi-pm"])
def test_sure_sources_are_attacked_as_well(attack):
    samples = X.astype(np.float32)
    rates = []
    for scale in (1, 200):
        net = sure(scale)
        moved = attacked(attack, net, samples, eps=0.8)
        rates.append(np.mean(net(torch.tensor(moved)).argmax(dim=1).numpy() != Y))
    assert rates[1] > rates[0] - 0.1 > 0.3


@pytest.mark.parametrize("loss", [OwnProbability(), ProbabilityMargin()], ids=str)
def test_slopes_of_sure_sources_do_not_vanish(loss):
    logits, own = torch.tensor([[200.0, 0.0, -1.0], [0.0, 300.0, 0.0]]), torch.eye(3, dtype=torch.bool)[:2]
    slope = loss.slope(None, logits, own)
    assert (slope[own] < 0).all() and (slope.amax(dim=1) > 0).all()
    np.testing.assert_allclose(slope.sum(dim=1) / slope.abs().amax(dim=1), 0, atol=1e-6)


def test_relevance_does_not_depend_on_the_scale_of_gradients():
    class Around:
        """As much of a run as it asks: two points in all."""

        def uniform(self, piece, n_rows, *shape):
            return torch.full((n_rows, *shape), 0.75, dtype=torch.float64)

        def summed(self, ask, points):
            return sum(ask(point) for point in points)

        eps = 1.0

    x = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    large, small = (
        Relevance(n=2).gradient(Around(), x, lambda at, by=by: by * at.sin()) for by in (1.0, 1e-15)
    )
    torch.testing.assert_close(1e15 * small, large)


def test_integrated_gradients_lead_up_where_values_are_negative():
    labels = (X[:, 2] > 3).astype(int)
    centred = X - X.mean(axis=0)
    model = LogisticRegression().fit(centred, labels)
    moved = attacked(Recipe(IntegratedGradient(3), Margin()), model, centred, labels)
    expected = attacked(Recipe(Margin()), model, centred, labels)
    np.testing.assert_allclose(moved, expected, atol=1e-6)  # signs of a linear model are everywhere the same


@pytest.mark.parametrize("recipe", [Recipe(Logit()), recipe_of("taig")], ids=str)
def test_logits_of_two_classes_are_compared(recipe):
    """One of scikit-learn's two logits is always 0."""
    moved = attacked(recipe, LogisticRegression().fit(X[:100], Y[:100]), X[:100], Y[:100])
    change = np.abs(moved - X[:100]).max(axis=1)
    assert (change > 0.4).all()


def test_poincare_distance_needs_three_classes():
    with pytest.raises(ValueError, match="PoincareTriplet, 'potrip', needs three classes or more"):
        attacked("potrip", LogisticRegression().fit(X[:100], Y[:100]), X[:100], Y[:100])
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="needs three classes or more"):
        attacked("potrip", nn.Linear(4, 2).double(), X[:100], Y[:100])


def test_admix_of_targeted_attacks_takes_the_classes_of_samples():
    moved = attacked("admix", target=0, eps=1.5)
    assert (MLP.predict(moved) == 0).mean() > 0.4


@pytest.mark.parametrize(
    "piece", [ScaleCopies(3), Admix(), MixMask(), MixedRows(), Jitter(), FeatureDropout()], ids=str
)
def test_categories_and_missing_values_stay_as_they_are(piece):
    """Whatever a piece makes of the numbers beside them."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=120), "b": rng.normal(size=120), "bed": ["n", "e", "s"] * 40})
    labels = np.where(frame["a"] + (frame["bed"] == "s") > 0.3, "yes", "no")
    frame.loc[::4, "b"] = np.nan
    asked = []
    columns = make_column_transformer((OneHotEncoder(), ["bed"]), (SimpleImputer(), ["a", "b"]))
    model = make_pipeline(columns, LogisticRegression()).fit(frame, labels)
    source = as_model(model)
    generator = AdversarialGenerator(FrozenEstimator(model), attack=Recipe(piece), eps=0.5, random_state=0)
    original = type(source).logits

    def noted(self, x):
        asked.append(x.detach().clone())
        return original(self, x)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(source), "logits", noted)
        generator.fit(frame).generate(frame, labels)
    assert any(len(x) >= 120 for x in asked)
    for x in (x for x in asked if len(x) % 120 == 0):
        codes, missing = x[:, 2], x[:, 1].isnan()
        assert torch.equal(codes, codes[:3].repeat(len(x) // 3)) and len(codes.unique()) == 3
        assert (missing.nonzero()[:, 0] % 4 == 0).all() and missing.sum() == len(x) // 4


def test_a_first_way_is_forgotten_but_for_its_gradients():
    """Steps are counted from where the samples are set back, and features are moved from there on."""
    for max_iter in (3, 10):
        recipe = Recipe(GlobalMomentum(decay=0.0, n=5), IntermediateLevel())
        plain = Recipe(GlobalMomentum(decay=0.0, n=1, factor=0.0), IntermediateLevel())
        found, expected = (attacked(each, max_iter=max_iter) for each in (recipe, plain))
        np.testing.assert_allclose(found, expected, atol=1e-9)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.branch, self.last = nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.place = nn.Parameter(torch.randn(8))

    def forward(self, x):
        h = self.first(x) + self.place
        return self.last(h + self.branch(torch.relu(h)))


def test_branches_are_told_while_other_threads_use_modules():
    torch.manual_seed(0)
    net, other, errors, over = Residual(), Residual(), [], []

    def ask():
        x = torch.zeros(2, 4)
        while not over:
            try:
                other(x)
            except BaseException as error:
                errors.append(error)
                return

    threads = [Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(15):
            with torch.no_grad():
                attacked("sgm-ghost", net, X[:2].astype(np.float32), Y[:2], max_iter=1)
    finally:
        over.append(True)
        for thread in threads:
            thread.join()
    assert not errors
    assert all("forward" not in vars(part) and not part._forward_hooks for part in net.modules())


def test_what_is_added_to_a_constant_is_no_branch():
    from skhalfway.attacks._layers import residual_branches

    assert residual_branches(Residual()) == ["branch"]


def test_layers_of_one_member_are_not_followed_for_all():
    with pytest.raises(ValueError, match="FeatureImportance follows one layer, which belongs to one member"):
        attacked("fia", Ensemble([("a", sure(1)), ("b", sure(2))]), X.astype(np.float32))


@pytest.mark.filterwarnings("ignore::skhalfway.models.ModelWarning")
def test_kept_samples_are_of_the_same_whole(tmp_path):
    """Pieces that mix samples know all of them, not those of their block alone."""
    models = {"lr": LR, "svm": SVC().fit(X, Y)}
    samples, labels = np.tile(X, (2, 1)), np.tile(Y, 2)
    shifted = samples + 0.5 * (np.arange(300) >= 150)[:, None]  # those of the last block
    generator = AdversarialGenerator(
        attack=Recipe(Jitter(n=2, scale=2.0)), eps=0.4, max_iter=3, batch_size=150
    )

    def made(samples, memory):
        scorer = TransferScorer(generator, random_state=0, memory=memory, sources=["svm"]).fit(models)
        return np.array(scorer.transfer(samples, labels, keep_samples=True).samples("svm"))

    made(samples, tmp_path)
    np.testing.assert_array_equal(made(shifted, tmp_path), made(shifted, None))


class TwoHeads(nn.Module):
    """One of which says nothing that counts."""

    def __init__(self):
        super().__init__()
        self.body, self.aside, self.last = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x):
        h = torch.relu(self.body(x))
        self.aside(h)
        return self.last(h)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: attacked(Recipe(FeatureImportance("aside")), TwoHeads().double()),
            "do not depend on what layer",
        ),
        (lambda: attacked("vmi-"), "unknown attack 'vmi-'"),
        (
            lambda: Recipe(Momentum()).replaced(momentum=Variance()),
            "momentum must be a piece of the kind 'step' or None",
        ),
    ],
)
def test_what_would_be_something_else_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_pieces_with_numbers_of_numpy_look_as_others():
    piece = Variance(n=np.int64(3), radius=np.float64(0.5))
    assert str(piece) == "Variance(n=3, radius=0.5)" and type(piece.n) is int


class Sequence(nn.Module):
    """Layers that have the samples on their second axis."""

    def __init__(self):
        super().__init__()
        self.embed, self.hidden, self.last = nn.Linear(1, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x):
        return self.last(torch.tanh(self.hidden(self.embed(x.T[:, :, None]))).mean(dim=0))


def test_ghosts_find_the_samples_on_the_second_axis():
    torch.manual_seed(0)
    net = Sequence().double()
    one, other = (attacked(Recipe(Ghost(0.3), Variance(n=2)), net, batch_size=size) for size in (len(X), 31))
    np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_row_alone_is_normalised_as_ever():
    """Of one row there are no statistics, and a last batch may hold one."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3)).double()
    found = attacked("bn", net, X[:3], Y[:3], batch_size=2)
    np.testing.assert_allclose(found[2:], attacked("ifgsm", net, X[2:3], Y[2:3]), atol=1e-9)
    assert np.abs(found[2] - X[2]).max() > 0.1


def test_samples_to_begin_at_are_as_many_as_those_attacked():
    start = np.tile(X[100:110], (2, 1))
    with pytest.raises(ValueError, match="must hold one adversarial sample for each of X"):
        attacked("hopskipjump", LR, X[:10], Y[:10], eps=5.0, attack_params={"start": start})
