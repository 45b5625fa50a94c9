"""Each piece of a recipe against its formula in a few lines, with draws that are all one half."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from skhalfway import AdversarialGenerator
from skhalfway._streams import Streams
from skhalfway.attacks import (
    AdaBelief,
    Admix,
    Averaged,
    BatchStatistics,
    BlockShuffle,
    Cutout,
    DirectionTuning,
    DiverseEnsemble,
    EnhancedMomentum,
    FeatureImportance,
    FlatMaxima,
    Ghost,
    GlobalMomentum,
    GradientPenalty,
    ImprovedEuler,
    IntegratedGradient,
    IntermediateDecay,
    IntermediateLevel,
    Jitter,
    LinearBackward,
    Margin,
    MaskedBlocks,
    MixedRows,
    MixMask,
    NearbyWeights,
    NeuronAttribution,
    Normalised,
    OwnProbability,
    PatchWise,
    PoincareTriplet,
    RandomCrop,
    Recipe,
    Relevance,
    Rescaled,
    ReverseNoise,
    SkipGradient,
    SmoothBackward,
    Spectrum,
    Staircase,
    StructureInvariant,
    TanhAdam,
    UniformScale,
    list_attacks,
    list_pieces,
)
from skhalfway.attacks._pieces import Run
from skhalfway.attacks._resampling import cosines
from skhalfway.models import as_model

EPS, STEPS = 0.125, 4  # of which no sum is rounded
SIZE = EPS / STEPS


class Residual(nn.Module):
    """A small residual network, of rectifiers, maxima and normalisation."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.inner = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))
        self.rectify, self.rectify_2 = nn.ReLU(), nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.last = nn.Linear(64, 10)

    def forward(self, x):
        h = self.rectify(self.first(x))
        h = h + self.inner(h)
        return self.last(self.pool(self.rectify_2(h)).flatten(1))


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    X = (X[:300] / 16).reshape(-1, 1, 8, 8)
    torch.manual_seed(0)
    net = Residual().double()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    for _ in range(15):
        optimizer.zero_grad()
        functional.cross_entropy(net(torch.tensor(X)), torch.tensor(y[:300])).backward()
        optimizer.step()
    return X[:12], y[:12], net.eval()


@pytest.fixture
def halves(monkeypatch):
    """Whatever is drawn is one half."""

    def half(self, piece, n_rows, *shape, what=""):
        return torch.full((n_rows, *shape), 0.5, **self.batch.place)

    monkeypatch.setattr(Run, "uniform", half)


def found(digits, recipe, **params):
    X, y, net = digits
    settings = {"eps": EPS, "max_iter": STEPS, "clip_values": (0, 1), "random_state": 0, **params}
    generator = AdversarialGenerator(as_model(net), attack=recipe, **settings).fit(X)
    return generator.generate(X, y)


class Plain:
    """A bare loop, of which pieces replace parts."""

    def __init__(self, digits):
        X, y, self.net = digits
        self.x0, self.y, self.step = torch.tensor(X), torch.tensor(y), 0

    def loss(self, logits):
        return functional.cross_entropy(logits, self.y.repeat(len(logits) // len(self.y)), reduction="sum")

    def grad(self, x, change=lambda x: x):
        x = x.detach().requires_grad_()
        return torch.autograd.grad(self.loss(self.net(change(x))), x)[0]

    def gradient(self, x):
        return self.grad(x)

    def stride(self, gradient):
        return gradient.sign()

    def run(self):
        x = self.x0.clone()
        for self.step in range(STEPS):
            x = x + SIZE * self.stride(self.gradient(x))
            x = torch.clamp(x, self.x0 - EPS, self.x0 + EPS).clamp(0, 1)
        return x.numpy()


def mean_size(g):
    return g.abs().mean(dim=(1, 2, 3), keepdim=True)


class Enhanced(Plain):
    total, before = 0, 0

    def gradient(self, x):
        places = np.linspace(-7, 7, 11) if self.step else [0.0]
        mean = sum(self.grad(x + c * SIZE * self.before) for c in places) / len(places)
        self.before = mean / mean_size(mean)
        self.total = self.total + self.before
        return self.total


class Global(Plain):
    def run(self):
        total, x = 0, self.x0
        for n, size in ((5, 10 * SIZE), (STEPS, SIZE)):
            x = self.x0
            for _ in range(n):
                g = self.grad(x)
                total = total + g / mean_size(g)
                x = torch.clamp(x + size * total.sign(), self.x0 - EPS, self.x0 + EPS).clamp(0, 1)
        return x.numpy()


class Belief(Plain):
    m, s = 0, 0

    def stride(self, g):
        g, t = g / mean_size(g), self.step + 1
        self.m = 0.9 * self.m + 0.1 * g
        self.s = 0.999 * self.s + 0.001 * (g - self.m) ** 2 + 1e-12
        return (self.m / (1 - 0.9**t) / ((self.s / (1 - 0.999**t)).sqrt() + 1e-6)).clamp(-1, 1)


class Tanh(Plain):
    m, v = 0, 0

    def stride(self, g):
        g, t = g / mean_size(g), np.arange(1, STEPS + 1)
        self.m, self.v = self.m + 1.5 * g, self.v + 1.9 * g**2
        size = (1 - 0.9**t) / np.sqrt(1 - 0.99**t)
        return torch.tanh(1.3 * self.m / self.v.sqrt().clamp_min(1e-300)) * size[self.step] / size.mean()


class Stairs(Plain):
    def stride(self, g):
        result = torch.zeros_like(g).flatten(1)
        for row, values in enumerate(g.flatten(1)):
            for stair, part in enumerate(values.abs().argsort().tensor_split(4)):
                result[row, part] = values[part].sign() * (2 * stair + 1) / 4
        return result.reshape(g.shape)


class Logarithms(Plain):
    def stride(self, g):
        result = torch.zeros_like(g).flatten(1)
        for row, values in enumerate(g.flatten(1)):
            there = values != 0
            size = values[there].abs().log2()
            weight = torch.sigmoid((size - size.mean()) / size.std())
            result[row, there] = 2 * values[there].sign() * weight
        return result.reshape(g.shape)


class Patches(Plain):
    total = 0

    def stride(self, g):
        self.total = self.total + 10 * SIZE * g.sign()
        cut = (self.total.abs() - EPS).clamp_min(0) * self.total.sign()
        kernel = torch.ones(1, 1, 3, 3).double() / 8
        kernel[0, 0, 1, 1] = 0
        passed = EPS * functional.conv2d(cut, kernel, padding=1).sign()
        self.total = self.total + passed
        return (10 * SIZE * g.sign() + passed) / SIZE


class Relevant(Plain):
    def gradient(self, x):
        return self.grad(x)  # at the sample itself both are the same, and no direction has turned before

    way, before = 1, None

    def stride(self, g):
        sign = g.sign()
        if self.before is not None:
            self.way = self.way * torch.where(sign == self.before, 1.0, 0.94)
        self.before = sign
        return self.way * sign


class Flat(Plain):
    def gradient(self, x):
        first = self.grad(x)
        return (first + self.grad(x - SIZE * first / mean_size(first))) / 2


class Reverse(Plain):
    def gradient(self, x):
        noise = torch.zeros_like(x)
        if self.step >= 0.25 * STEPS:
            for _ in range(8):
                noise = (noise - EPS / 8 * self.grad(x + noise).sign()).clamp(-EPS, EPS)
        return self.grad(x + noise)


class Penalised(Plain):
    def loss(self, logits):
        others = logits.masked_fill(functional.one_hot(self.y, 10).bool(), -np.inf).amax(dim=1)
        return (others - logits.gather(1, self.y[:, None])[:, 0]).sum()

    def gradient(self, x):
        first = self.grad(x)
        return 1.8 * first - 0.8 * self.grad(x + 0.16 * EPS * first / mean_size(first))


class Euler(Plain):
    def gradient(self, x):
        first = self.grad(x)
        first = first / mean_size(first)
        second = self.grad(x + SIZE * first)
        return first + second / mean_size(second)


class Tuned(Plain):
    def gradient(self, x):
        total, momentum, at = 0, torch.zeros_like(x), x
        for _ in range(4):
            g = self.grad(at + SIZE / 4 * 0.8 * momentum)
            total, momentum = total + g, 0.8 * momentum + g / mean_size(g)
            at = at + SIZE / 4 * momentum.sign()
        return total


class Integrated(Plain):
    def gradient(self, x):
        total = 0
        for k in range(1, 5):
            at = (x * k / 4).detach().requires_grad_()
            p = self.net(at).softmax(1).gather(1, self.y[:, None]).sum()
            total = total - torch.autograd.grad(p, at)[0]
        return x * total


def copies(*changes):
    class Copies(Plain):
        def gradient(self, x):
            return sum(self.grad(x, change) for change in changes)

    return Copies


def without_block(k):
    mask = torch.ones(8, 8).double()
    mask[4 * (k // 2) : 4 * (k // 2) + 4, 4 * (k % 2) : 4 * (k % 2) + 4] = 0
    return lambda x: x * mask


def turned(x):
    rows = [x[:, :, a : a + 4].flip(2) for a in (0, 4)]
    x = torch.cat(rows, dim=2)
    return torch.cat([x[:, :, :, a : a + 4].flip(3) for a in (0, 4)], dim=3)


def small(x):
    """To seven pixels, in the middle of what is left."""
    return functional.pad(
        functional.interpolate(x, (7, 7), mode="bilinear", align_corners=False), (1, 0, 1, 0)
    )


def cropped(x):
    grid = functional.affine_grid(torch.eye(2, 3)[None].double() * 0.9, (1, 1, 8, 8), align_corners=False)
    return functional.grid_sample(x, grid.expand(len(x), -1, -1, -1), "bilinear", "border", False)


def cut_out(x):
    mask = torch.ones(8, 8).double()
    mask[2:6, 2:6] = 0
    return x * mask


class Attributed(Plain):
    """A mean gradient at features of changed samples, once; then features are weighed by it."""

    def features(self, x):
        return self.net.first(x)

    def rest(self, features):
        net = self.net
        h = net.rectify(features)
        return net.last(net.pool(torch.relu(h + net.inner(h))).flatten(1))

    weights = None

    def gradient(self, x):
        if self.weights is None:
            total = 0
            for changed in self.changed():
                a = self.features(changed).detach().requires_grad_()
                p = self.rest(a).softmax(1).gather(1, self.y[:, None]).sum()
                total = total + torch.autograd.grad(p, a)[0]
            self.weights = total
        x = x.detach().requires_grad_()
        return -torch.autograd.grad((self.features(x) * self.weights).sum(), x)[0]

    def changed(self):
        return [self.x0 * (k + 1) / 5 for k in range(5)]


class Dropped(Attributed):
    def changed(self):
        return [self.x0]


class Level(Attributed):
    def gradient(self, x):
        if self.step < 2:
            return self.grad(x)
        if self.weights is None:
            self.weights = (self.features(x) - self.features(self.x0)).detach()
        x = x.detach().requires_grad_()
        return torch.autograd.grad((self.features(x) * self.weights).sum(), x)[0]


class Decayed(Attributed):
    def gradient(self, x):
        x = x.detach().requires_grad_()
        a = 0.1 * self.features(x) + 0.9 * self.features(self.x0).detach()
        return torch.autograd.grad(self.loss(self.rest(a)), x)[0]


class Rectifier(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Linear(Attributed):
    def gradient(self, x):
        x = x.detach().requires_grad_()
        net = self.net
        h = net.rectify(net.first(x))
        z = net.last(net.pool(Rectifier.apply(h + net.inner(h))).flatten(1))
        return torch.autograd.grad(self.loss(z), x)[0]


class Skipping(Attributed):
    def gradient(self, x):
        x = x.detach().requires_grad_()
        net = self.net
        h = net.rectify(net.first(x))
        branch = net.inner(h)
        branch.register_hook(lambda gradient: 0.2 * gradient)
        z = net.last(net.pool(torch.relu(h + branch)).flatten(1))
        return torch.autograd.grad(self.loss(z), x)[0]


class Smooth(Attributed):
    def gradient(self, x):
        def replaced(value, passes):
            return passes + (value - passes).detach()

        x = x.detach().requires_grad_()
        net = self.net
        h = net.first(x)
        h = replaced(h.relu(), functional.silu(h))
        h = h + net.inner(h)
        h = replaced(h.relu(), functional.silu(h))
        windows = h.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
        mean = ((10 * windows).softmax(-1) * windows).sum(-1)
        return torch.autograd.grad(self.loss(net.last(replaced(net.pool(h), mean).flatten(1))), x)[0]


class BatchNormed(Attributed):
    def gradient(self, x):
        x = x.detach().requires_grad_()
        net = self.net
        h = net.rectify(net.first(x))
        conv, norm = net.inner
        h = h + functional.batch_norm(conv(h), None, None, norm.weight, norm.bias, True)
        return torch.autograd.grad(self.loss(net.last(net.pool(h.relu()).flatten(1))), x)[0]


class Thinned(Attributed):
    """All values are kept where draws are one half, and scaled up."""

    def gradient(self, x):
        x = x.detach().requires_grad_()
        net = self.net
        h = net.rectify(net.first(x) / 0.8)
        conv, norm = net.inner
        z = net.last(net.pool((h + norm(conv(h) / 0.8)).relu()).flatten(1))
        return torch.autograd.grad(self.loss(z), x)[0]


class Nearby(Plain):
    """Weights of layers, without biases and normalisations, have a fifth of their root mean square added."""

    def __init__(self, digits):
        super().__init__(digits)
        self.net = deepcopy(self.net)
        with torch.no_grad():
            for weight in self.net.parameters():
                if weight.ndim > 1:
                    weight += 0.2 * weight.square().mean().sqrt()


class Poincare(Plain):
    def loss(self, logits):
        logits = logits - logits.mean(1, keepdim=True)
        u = logits / logits.abs().sum(1, keepdim=True)
        v = (functional.one_hot(self.y, 10) - 1e-5).clamp_min(0)
        apart = ((u - v) ** 2).sum(1) / (1 - (u**2).sum(1)) / (1 - (v**2).sum(1))
        return torch.acosh(1 + 2 * apart).sum()


class Norms(Plain):
    def stride(self, g):
        return g / g.abs().amax(dim=(1, 2, 3), keepdim=True)


def identity(x):
    return x


FORMULAS = {
    "plain": (Recipe(), Plain),
    "emi": (Recipe(EnhancedMomentum()), Enhanced),
    "gi": (Recipe(GlobalMomentum()), Global),
    "adabelief": (Recipe(AdaBelief()), Belief),
    "tanh": (Recipe(TanhAdam()), Tanh),
    "normalised": (Recipe(Normalised()), Norms),
    "staircase": (Recipe(Staircase(n=4)), Stairs),
    "rescaled": (Recipe(Rescaled()), Logarithms),
    "patches": (Recipe(PatchWise()), Patches),
    "relevance": (Recipe(Relevance(n=3)), Relevant),
    "averaged": (Recipe(Averaged(n=3)), Plain),
    "pgn": (Recipe(FlatMaxima(n=2)), Flat),
    "rap": (Recipe(ReverseNoise()), Reverse),
    "gnp": (Recipe(GradientPenalty(), Margin()), Penalised),
    "ie": (Recipe(ImprovedEuler()), Euler),
    "dta": (Recipe(DirectionTuning(n=4)), Tuned),
    "mig": (Recipe(IntegratedGradient(n=4), OwnProbability()), Integrated),
    "dem": (Recipe(DiverseEnsemble(n=1)), copies(small)),
    "usmm": (
        Recipe(UniformScale(n=3, low=0.5, high=1.0), MixMask(n=2, reach=0.0)),
        copies(lambda x: 0.5 * x, lambda x: 0.75 * x, identity),
    ),
    "admix": (Recipe(Admix(n=2, share=0.0)), Plain),
    "maskblock": (Recipe(MaskedBlocks(blocks=2)), copies(*map(without_block, range(4)))),
    "bsr": (Recipe(BlockShuffle(n=2)), Plain),
    "sia": (Recipe(StructureInvariant(n=2, blocks=2)), copies(turned)),
    "ssa": (Recipe(Spectrum(n=2)), Plain),
    "crop": (Recipe(RandomCrop()), copies(cropped)),
    "cutout": (Recipe(Cutout(size=0.5)), copies(cut_out)),
    "jitter": (Recipe(Jitter(n=2)), Plain),
    "mixed rows": (Recipe(MixedRows(n=2)), Plain),
    "fia": (Recipe(FeatureImportance("first", n=3)), Dropped),
    "naa": (Recipe(NeuronAttribution("first", n=5)), Attributed),
    "ila": (Recipe(IntermediateLevel("first", begin=0.5)), Level),
    "ilpd": (Recipe(IntermediateDecay(layer="first")), Decayed),
    "sgm": (Recipe(SkipGradient(decay=0.2)), Skipping),
    "sgm by name": (Recipe(SkipGradient(decay=0.2, layers=["inner"])), Skipping),
    "linbp": (Recipe(LinearBackward()), Linear),
    "bpa": (Recipe(SmoothBackward()), Smooth),
    "ghost": (Recipe(Ghost(rate=0.2)), Thinned),
    "batch statistics": (Recipe(BatchStatistics()), BatchNormed),
    "poincare": (Recipe(PoincareTriplet()), Poincare),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_as_the_formula_says(name, digits, halves):
    recipe, reference = FORMULAS[name]
    expected = reference(digits).run()
    ours = found(digits, recipe)
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    if reference is not Plain:
        assert np.abs(expected - Plain(digits).run()).max() > SIZE  # it does something
    assert all(not part._forward_hooks for part in digits[2].modules())
    assert digits[2].rectify_2.inplace  # nothing of the network's owner was changed


def test_weights_are_moved_by_shares_of_their_size(digits, monkeypatch):
    monkeypatch.setattr(Streams, "normal", lambda self, rows, *shape: np.ones((len(rows), *shape)))
    ours = found(digits, Recipe(NearbyWeights(scale=0.2)))
    expected = Nearby(digits).run()
    np.testing.assert_allclose(ours, expected, atol=1e-6)
    assert np.abs(expected - Plain(digits).run()).max() > SIZE


def test_weights_near_by_are_normal_and_others_at_each_step(digits):
    net, seen = deepcopy(digits[2]).requires_grad_(False), []
    batch = SimpleNamespace(own=torch.zeros(3, 10))
    run = Run(batch, 0.1, EPS, STEPS, Streams(0, np.arange(3)), None)
    piece = NearbyWeights(scale=0.3)
    for run.step in range(3):
        (moved,) = piece._drawn(run, 0, net.last).values()
        assert moved is piece._drawn(run, 0, net.last)["weight"]  # the same for all copies
        noise = (moved - net.last.weight) / net.last.weight.square().mean().sqrt()
        assert 0.25 < float(noise.std()) < 0.35
        assert abs(float(noise.mean())) < 0.06
        seen.append(noise.ravel().numpy())
    assert np.abs(np.corrcoef(seen) - np.eye(3)).max() < 0.2


def test_targeted_attacks_by_poincare_distance_compare_with_what_the_source_said(digits):
    """Li et al.'s equation 9, by another way: the gradient that autograd finds for the loss."""
    X, y, net = digits
    model = as_model(net)

    class Batch:
        targeted, own = True, functional.one_hot((torch.tensor(y) + 1) % 10, 10).bool()
        logits = staticmethod(lambda x: net(torch.tensor(X)))

        class ball:  # noqa: N801
            x0 = None

    run = Run(Batch, -0.1, EPS, STEPS, None, None)
    piece = PoincareTriplet(weight=2.0, gap=0.5)
    piece.prepare(run)
    with model.evaluating():
        z = net(torch.tensor(X)).detach()
    given = z.requires_grad_()
    z = given - given.mean(1, keepdim=True)
    u = z / z.abs().sum(1, keepdim=True)
    v = (Batch.own.double() - 1e-5).clamp_min(0)
    apart = ((u - v) ** 2).sum(1) / (1 - (u**2).sum(1)) / (1 - (v**2).sum(1))
    length = z.norm(dim=1)
    to_target, to_first = (
        1 - z.gather(1, at[:, None])[:, 0].abs() / length for at in (Batch.own.int().argmax(1), z.argmax(1))
    )
    loss = torch.acosh(1 + 2 * apart) + 2.0 * (to_target - to_first + 0.5).clamp_min(0)
    (expected,) = torch.autograd.grad(loss.sum(), given)
    torch.testing.assert_close(piece.slope(run, given, Batch.own), expected)


def test_cosines_are_those_of_scipy():
    x = torch.rand(3, 7, 5, dtype=torch.float64)
    down, across = cosines(7, x), cosines(5, x)
    waves = down @ x @ across.T
    np.testing.assert_allclose(waves, dctn(x.numpy(), axes=(1, 2), norm="ortho"), atol=1e-12)
    np.testing.assert_allclose(down.T @ waves @ across, idctn(waves.numpy(), axes=(1, 2), norm="ortho"))


def seen_by(recipe, X, labels=None, eps=0.1):
    """What a model sees of X at the first step, where that is not X."""
    seen = []

    class Noted(nn.Module):
        def forward(self, x):
            seen.append(x.detach().clone())
            total = x.flatten(1).sum(dim=1)
            return torch.stack([total, -total], dim=1)

    generator = AdversarialGenerator(as_model(Noted()), attack=recipe, eps=eps, max_iter=1, random_state=0)
    generator.fit(X)
    seen.clear()
    generator.generate(X, np.zeros(len(X), dtype=int) if labels is None else labels)
    n, X = len(X), torch.tensor(X)
    ends = X, X + eps, X - eps
    return torch.cat([x for x in seen if len(x) % n == 0 and not any(torch.equal(x, end) for end in ends)])


def test_admix_adds_samples_of_other_classes_evenly():
    X = np.repeat(np.array([[1.0], [10.0], [100.0], [1000.0]], dtype=np.float32), 200, axis=0)
    seen = seen_by(Recipe(Admix(n=3, share=0.5)), X, np.repeat([0, 0, 1, 1], 200))[:, 0].reshape(3, 800)
    added = ((seen - torch.tensor(X[:, 0])) / 0.5).round()
    for own, others in ((slice(0, 400), (100, 1000)), (slice(400, 800), (1, 10))):
        share = (added[:, own] == others[0]).float().mean()
        assert (added[:, own] == others[0]).logical_or(added[:, own] == others[1]).all()
        assert abs(share - 0.5) < 0.05


def test_values_of_mixed_rows_are_of_their_column():
    X = np.stack([np.arange(400), 1000 + np.arange(400)], axis=1).astype(np.float32)
    seen = seen_by(Recipe(MixedRows(n=2, probability=0.3)), X, eps=100.0).reshape(2, 400, 2)
    changed = seen != torch.tensor(X)
    assert abs(changed.float().mean() - 0.3) < 0.03
    assert (seen[..., 0] < 400).all() and (seen[..., 1] >= 1000).all()


def test_jitter_has_the_spread_of_each_column():
    X = np.random.default_rng(0).normal(size=(800, 2)).astype(np.float32) * np.float32([1, 50])
    seen = seen_by(Recipe(Jitter(n=3, scale=0.2)), X).reshape(3, 800, 2)
    np.testing.assert_allclose((seen.numpy() - X).std(axis=(0, 1)) / X.std(axis=0), 0.2, rtol=0.05)


def test_blocks_are_shuffled_whole():
    """Without turning, each pixel is one of the image's, and all shuffles occur."""
    X = np.arange(64, dtype=np.float32).reshape(1, 1, 8, 8).repeat(300, axis=0)
    seen = seen_by(Recipe(BlockShuffle(n=1, angle=0)), X)
    assert (seen.flatten(1).sort(dim=1).values == torch.arange(64.0)).all()
    first = torch.where(seen[:, 0, 0, 0] == 0, 0, 1)  # whether the first block stayed
    assert abs(first.float().mean() - 0.75) < 0.08
    assert len(seen.flatten(1).unique(dim=0)) > 20  # cut at random places


def test_each_block_has_a_change_of_its_own():
    X = (1 + np.arange(81, dtype=np.float32)).reshape(1, 1, 9, 9).repeat(200, axis=0)
    seen = seen_by(Recipe(StructureInvariant(n=1)), X)[:, 0]
    block = torch.tensor(X[0, 0, :3, :3])
    same = {
        "flipped down": block.flip(0),
        "flipped across": block.flip(1),
        "turned": block.flip(0, 1),
        "shifted down": block.roll(1, 0),
        "shifted across": block.roll(1, 1),
    }
    for name, expected in same.items():
        share = (seen[:, :3, :3] == expected).all(dim=(1, 2)).float().mean()
        # an eighth of all, of which a third where the shift is by one
        assert 0.01 < share < 0.25, name
    kept = (seen[:, :3, :3].flatten(1).sort(dim=1).values == block.flatten().sort().values).all(dim=1)
    assert abs(kept.float().mean() - 5 / 8) < 0.12


def test_frequencies_are_scaled_evenly():
    X = np.ones((300, 1, 4, 4), dtype=np.float32)
    seen = seen_by(Recipe(Spectrum(n=1, rho=0.5, noise=0.0)), X)
    mean = seen.mean(dim=(1, 2, 3))
    assert 0.5 <= mean.min() < 0.55 and 1.45 < mean.max() <= 1.5
    np.testing.assert_allclose(seen.std(dim=(2, 3)), 0, atol=1e-5)


def test_ghosts_drop_at_their_rate():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 400), nn.Identity(), nn.Linear(400, 2))
    seen = []
    net[1].register_forward_hook(lambda part, given, output: seen.append(output.detach()))
    X = np.ones((50, 5), dtype=np.float32)
    generator = AdversarialGenerator(as_model(net), attack=Recipe(Ghost(rate=0.3)), eps=0.1, max_iter=2)
    generator.fit(X).generate(X, np.zeros(50, dtype=int))
    rates = [float((one == 0).float().mean()) for one in seen]
    assert sum(abs(rate - 0.3) < 0.02 for rate in rates) == 2 and rates.count(0.0) == len(rates) - 2
    dropped = [one == 0 for one in seen if (one == 0).any()]
    assert (dropped[0] != dropped[1]).any(), "at each step the same"


def test_more_than_forty_names_are_published():
    frame = list_attacks()
    published = frame[(frame["papers"] != "ours") & ~frame.index.str.contains("-di|-ti|-si|mi-fd")]
    assert len(published) >= 38 and frame["papers"].str.len().gt(0).sum() >= len(frame) - 1
    assert frame.loc["sgm", "needs"] == "residual branches" and frame.loc["rpa", "images"]
    assert len(list_pieces()) > 40 and set(list_pieces()["kind"]) == {
        "step",
        "gradient",
        "input",
        "loss",
        "model",
    }


class Tokens(nn.Module):
    """Attention, whose parts are never called."""

    def __init__(self):
        super().__init__()
        self.embed, self.last = nn.Linear(8, 8), nn.Linear(8, 10)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        h = self.embed(x.flatten(1, 2))
        return self.last((h + self.attention(h, h, h)[0]).mean(dim=1))


@pytest.mark.parametrize(
    "piece", [FeatureImportance(n=2), IntermediateLevel(), IntermediateDecay(), Ghost()], ids=str
)
def test_parts_of_attention_are_no_layers_of_their_own(piece, digits):
    torch.manual_seed(0)
    X, y, _ = digits
    moved = found((X, y, Tokens().double()), Recipe(piece))
    assert np.abs(moved - X).max() > SIZE


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            "attention",
            "a layer of type MultiheadAttention returns tuple, where pieces of a recipe need a tensor",
        ),
        ("attention.out_proj", "layer 'attention.out_proj' is never called"),
    ],
)
def test_layers_that_do_not_say_what_is_needed(layer, message, digits):
    X, y, _ = digits
    with pytest.raises(ValueError, match=message):
        found((X, y, Tokens().double()), Recipe(IntermediateDecay(layer=layer)))
