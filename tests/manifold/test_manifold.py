"""Parts of perturbations along manifolds and across them; attacks kept to either; the autoencoder."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.linalg import subspace_angles
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, IncrementalPCA, KernelPCA, TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_selection import VarianceThreshold
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skhalfway import AdversarialGenerator, Constraints
from skhalfway.manifold import Autoencoder, OffManifold, OnManifold, manifold_parts
from skhalfway.models import as_model

RNG = np.random.RandomState(0)
X = RNG.randn(60, 3) @ RNG.randn(3, 8) + 0.1 * RNG.randn(60, 8) + 2.0
D = RNG.randn(60, 8)
FLAT = RNG.randn(3, 2) @ RNG.randn(2, 8)  # a decoder of three latents into a plane
PARTS = {OnManifold: 0, OffManifold: 1}


class Sphere(BaseEstimator):
    """Latents are angles of points on the unit sphere."""

    def fit(self, X):
        self.n_features_in_ = 3
        return self

    def transform(self, X):
        return np.column_stack([np.arccos(X[:, 2] / np.linalg.norm(X, axis=1)), np.arctan2(X[:, 1], X[:, 0])])

    def inverse_transform(self, Z):
        polar, azimuth = Z.T
        return np.column_stack(
            [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)]
        )


@pytest.fixture(scope="module")
def digits():
    images, y = load_digits(return_X_y=True)
    return images / 16, y


@pytest.fixture(scope="module")
def net(digits):
    return MLPClassifier((32,), tol=1e-3, max_iter=300, random_state=0).fit(*digits)


@pytest.fixture(scope="module")
def manifolds(digits):
    autoencoder = Autoencoder(6, hidden_layer_sizes=(32,), max_iter=20, random_state=0)
    return {"pca": PCA(6).fit(digits[0]), "autoencoder": autoencoder.fit(digits[0])}


@pytest.mark.parametrize("whiten", [False, True])
@pytest.mark.parametrize("kind", [PCA, IncrementalPCA])
def test_pca_is_the_projection_on_its_components(kind, whiten):
    pca = kind(3, whiten=whiten).fit(X)
    V = pca.components_
    on, off = manifold_parts(pca, X, D)
    np.testing.assert_allclose(on, D @ (V.T @ V), atol=1e-12)
    np.testing.assert_allclose(on + off, D, atol=1e-12)
    np.testing.assert_allclose(off @ V.T, 0, atol=1e-12)


@pytest.mark.parametrize(
    ("manifold", "span"),
    [
        (TruncatedSVD(3, algorithm="arpack"), lambda m: m.components_),
        (make_pipeline(PCA(3)), lambda m: m[0].components_),
        (make_pipeline(StandardScaler(), PCA(3)), lambda m: m[1].components_ * m[0].scale_),
        (FunctionTransformer(lambda X: X[:, :3], lambda Z: Z @ FLAT, check_inverse=False), lambda m: FLAT),
        (StandardScaler(), lambda m: np.eye(8)),
    ],
    ids=lambda given: type(given).__name__,
)
def test_differences_find_the_span_of_linear_decoders(manifold, span):
    manifold.fit(X)
    basis = np.linalg.svd(span(manifold), full_matrices=False)
    V = basis.Vh[basis.S > 1e-9]
    on, off = manifold_parts(manifold, X, D)
    np.testing.assert_allclose(on, D @ (V.T @ V), atol=1e-8)
    np.testing.assert_allclose(on + off, D, atol=1e-12)


def test_a_sphere_has_its_radius_as_normal():
    points = RNG.randn(50, 3)
    radius = points / np.linalg.norm(points, axis=1, keepdims=True)
    d = RNG.randn(50, 3)
    _, off = manifold_parts(Sphere().fit(points), points, d)
    np.testing.assert_allclose(off, (d * radius).sum(axis=1, keepdims=True) * radius, atol=1e-8)


def test_kernel_pca_has_tangents_at_each_sample():
    kernel = KernelPCA(kernel="rbf", gamma=0.05, fit_inverse_transform=True).fit(X[:3])
    on, off = manifold_parts(kernel, X, D)
    Z, h = kernel.transform(X), 1e-5
    assert Z.shape == (60, 2)  # of three samples, about their mean
    for step in h * np.eye(2):
        tangent = (kernel.inverse_transform(Z + step) - kernel.inverse_transform(Z - step)) / (2 * h)
        assert np.abs((off * tangent).sum(axis=1)).max() < 1e-6 * np.abs(tangent).max()
    np.testing.assert_allclose(manifold_parts(kernel, X, on)[0], on, atol=1e-10)


def test_images_frames_and_float_types(digits, manifolds):
    images, d = digits[0][:5], RNG.randn(5, 64)
    flat = manifold_parts(manifolds["pca"], images, d)
    shaped = manifold_parts(manifolds["pca"], images.reshape(5, 1, 8, 8), d.reshape(5, 1, 8, 8))
    np.testing.assert_array_equal(np.reshape(flat, -1), np.reshape(shaped, -1))
    for manifold in (manifolds["autoencoder"], PCA(3).fit(digits[0].astype(np.float32))):
        on, off = manifold_parts(manifold, images.astype(np.float32), d.astype(np.float32))
        assert on.dtype == off.dtype == np.float32
        on, off = manifold_parts(manifold, images, d)
        np.testing.assert_allclose(manifold_parts(manifold, images, off)[0], 0, atol=1e-13)
    names = [f"pixel {i}" for i in range(8)]
    named = make_pipeline(StandardScaler(), PCA(2)).fit(pd.DataFrame(X, columns=names))
    plain = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    np.testing.assert_allclose(manifold_parts(named, X, D), manifold_parts(plain, X, D), atol=1e-10)


def coarse():
    pipeline = make_pipeline(StandardScaler(), PCA(2)).fit(X)
    decode = pipeline.inverse_transform
    pipeline.inverse_transform = lambda Z: decode(Z).astype(np.float32)
    return pipeline


@pytest.mark.parametrize(
    ("manifold", "given", "error", "message"),
    [
        (PCA(2), (X, D), NotFittedError, "not fitted"),
        (Autoencoder(), (X, D), NotFittedError, "not fitted"),
        (Normalizer().fit(X), (X, D), TypeError, "Normalizer has no inverse_transform; try PCA"),
        (LogisticRegression(), (X, D), TypeError, "has no transform and no inverse_transform"),
        (PCA, (X, D), TypeError, "a manifold is a fitted transformer"),
        (PCA(2).fit(X), (X, D[:3]), ValueError, r"same shape, got \(60, 8\) and \(3, 8\)"),
        (PCA(2).fit(X), (X[:, :5], D[:, :5]), ValueError, "X has 5 features, .* fitted on 8"),
        (PCA(2).fit(X), (X, np.where(D > 2, np.nan, D)), ValueError, "perturbation contains NaN"),
        (coarse(), (X, D), ValueError, "returns float32, too coarse"),
    ],
)
def test_errors(manifold, given, error, message):
    with pytest.raises(error, match=message):
        manifold_parts(manifold, *given)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("norm", [None, np.inf, 2, 1])
@pytest.mark.parametrize("name", ["pca", "autoencoder"])
def test_constrained_attacks_keep_to_their_part_and_budget(digits, net, manifolds, name, norm, part):
    samples, y, manifold = digits[0][:20], digits[1][:20], manifolds[name]
    own = 2 if norm is None else norm
    eps = {np.inf: 0.15, 2: 0.8, 1: 5.0}[own]
    generator = AdversarialGenerator(FrozenEstimator(net), eps=eps, norm=own, max_iter=20)
    generator.set_params(constraints=Constraints(projection=part(manifold, norm=norm)))
    for dtype, tol in ((np.float64, 1e-13), (np.float32, 1e-6)):
        x = samples.astype(dtype)
        change = generator.fit(x, y).generate(x, y).astype(float) - x.astype(float)
        other = manifold_parts(manifold, x.astype(float), change)[1 - PARTS[part]]
        assert np.abs(other).max() < tol
        length = np.linalg.norm(change, own, axis=1)
        assert (length <= eps * (1 + 1e-6)).all()
        if norm is not None:
            # all of the budget is used where the attack did not stop
            assert np.median(length) > 0.999 * eps


def plain_pgd(model, manifold, part, X, y, eps, norm, n_steps=40):
    """Projected gradient of which every step is projected: what straight-through stands for."""
    change, fooled = np.zeros_like(X), np.zeros(len(X), dtype=bool)
    own = torch.nn.functional.one_hot(torch.from_numpy(y), 10).bool()
    for _ in range(n_steps + 1):
        x = torch.tensor(X + change, requires_grad=True)
        logits = model.logits(x)
        fooled |= logits.argmax(dim=1).numpy() != y
        margin = logits.masked_fill(own, -torch.inf).logsumexp(dim=1) - logits[own]
        step = torch.autograd.grad(margin.sum(), x)[0].numpy()
        step = manifold_parts(manifold, X, step)[PARTS[part]]
        if norm == np.inf:
            step = manifold_parts(manifold, X, np.sign(step))[PARTS[part]]
        change += 2.5 * eps / n_steps * step / np.linalg.norm(step, norm, axis=1, keepdims=True)
        change *= np.minimum(1, eps / np.linalg.norm(change, norm, axis=1, keepdims=True))
    return fooled


@pytest.mark.parametrize(("norm", "eps"), [(2, 0.8), (np.inf, 0.18)])
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", ["pca", "autoencoder"])
def test_straight_through_is_as_good_as_projected_steps(digits, net, manifolds, name, part, norm, eps):
    samples, y = digits[0][:80], digits[1][:80]
    constraints = Constraints(projection=part(manifolds[name], norm=norm))
    generator = AdversarialGenerator(FrozenEstimator(net), eps=eps, norm=norm, constraints=constraints)
    fooled = net.predict(generator.fit(samples, y).generate(samples, y)) != y
    plain = plain_pgd(as_model(net), manifolds[name], part, samples, y, eps, norm)
    assert plain.mean() > 0.1
    assert fooled.mean() >= plain.mean() - (0.02 if norm == 2 else 0.05)


def test_bounds_are_kept_though_they_may_leave_no_way(digits, net, manifolds):
    samples, y, pca = digits[0][:60], digits[1][:60], manifolds["pca"]
    constraints = Constraints(projection=OnManifold(pca, norm=2))
    generator = AdversarialGenerator(FrozenEstimator(net), eps=0.8, norm=2, constraints=constraints)
    bounded = generator.set_params(clip_values=(0, 1)).fit(samples, y).generate(samples, y)
    assert bounded.min() >= 0 and bounded.max() <= 1
    assert np.abs(manifold_parts(pca, samples, bounded - samples)[1]).max() < 1e-13
    # from black every way along the manifold leads below 0
    np.testing.assert_array_equal(bounded, samples)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_rounding_is_no_part(norm):
    """A manifold that fills the space has nothing off it, and a change in the plane no part across."""
    np.testing.assert_array_equal(OffManifold(StandardScaler().fit(X), norm=norm)(X + D, X), X)
    pca = PCA(3).fit(X)
    along = D @ pca.components_.T @ pca.components_
    moved = OffManifold(pca, norm=norm)(X + along, X)
    np.testing.assert_allclose(moved, X, atol=1e-12)
    np.testing.assert_allclose(OnManifold(pca, norm=norm)(X + along, X), X + along, atol=1e-12)


def test_projections_are_values(manifolds):
    pca, other = manifolds["pca"], clone(manifolds["pca"]).fit(X)
    assert OnManifold(pca) == OnManifold(pca) and hash(OnManifold(pca)) == hash(OnManifold(pca))
    for different in (OffManifold(pca), OnManifold(other), OnManifold(pca, norm=2)):
        assert OnManifold(pca) != different
    with pytest.raises(FrozenInstanceError):
        OnManifold(pca).norm = 2
    with pytest.raises(ValueError, match="norm must be np.inf, 2 or 1, got 3"):
        OffManifold(pca, norm=3)
    with pytest.raises(NotFittedError):
        OnManifold(PCA(2))
    with pytest.raises(TypeError, match="VarianceThreshold has no|transformer"):
        OnManifold(VarianceThreshold)
    again = pickle.loads(pickle.dumps(OnManifold(manifolds["autoencoder"], norm=2)))
    x = load_digits().data[:3] / 16
    d = RNG.randn(*x.shape)
    np.testing.assert_array_equal(again(x + d, x), OnManifold(manifolds["autoencoder"], norm=2)(x + d, x))
    assert repr(OnManifold(pca, norm=2)) == "OnManifold(manifold=PCA(n_components=6), norm=2)"


@parametrize_with_checks([Autoencoder(max_iter=3)])
def test_autoencoder_is_an_estimator(estimator, check):
    check(estimator)


def test_a_linear_autoencoder_spans_the_space_of_pca():
    """Baldi & Hornik 1989: without hidden layers there is no other minimum."""
    linear = Autoencoder(3, hidden_layer_sizes=(), max_iter=1500, learning_rate=0.02, random_state=0).fit(X)
    pca = PCA(3).fit(X)
    jacobian = linear.jacobian(linear.transform(X[:1]))[0]
    assert np.rad2deg(subspace_angles(jacobian, pca.components_.T)).max() < 0.1
    np.testing.assert_allclose(manifold_parts(linear, X, D), manifold_parts(pca, X, D), atol=5e-3)
    back = linear.inverse_transform(linear.transform(X))
    by_pca = pca.inverse_transform(pca.transform(X))
    assert ((by_pca - X) ** 2).mean() <= ((back - X) ** 2).mean() < 1.01 * ((by_pca - X) ** 2).mean()


def test_the_jacobian_is_that_of_the_decoder(digits, manifolds):
    autoencoder = manifolds["autoencoder"]
    Z = autoencoder.transform(digits[0][:4])
    jacobian = autoencoder.jacobian(Z)
    assert jacobian.shape == (4, 64, 6)
    for j, step in enumerate(1e-5 * np.eye(6)):
        slope = (autoencoder.inverse_transform(Z + step) - autoencoder.inverse_transform(Z - step)) / 2e-5
        np.testing.assert_allclose(jacobian[:, :, j], slope, atol=1e-8)
    by_torch = torch.autograd.functional.jacobian(autoencoder.decoder_, torch.from_numpy(Z[0]))
    np.testing.assert_allclose(jacobian[0], by_torch * autoencoder.scale_, atol=1e-12)


def test_autoencoder_learns_curves_in_any_units_and_leaves_randomness_alone():
    t = np.linspace(0, 1.5 * np.pi, 200)
    arc = np.column_stack([np.cos(t), np.sin(t)])
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    curved = Autoencoder(1, max_iter=300, learning_rate=0.01, random_state=0).fit(arc)
    assert torch.equal(torch.get_rng_state(), state[0])
    np.testing.assert_array_equal(np.random.get_state()[1], state[1])
    lost = ((curved.inverse_transform(curved.transform(arc)) - arc) ** 2).mean() / curved.scale_**2
    pca = PCA(1).fit(arc)
    lost_by_pca = ((pca.inverse_transform(pca.transform(arc)) - arc) ** 2).mean() / curved.scale_**2
    assert lost < 0.02 < 0.1 < lost_by_pca
    assert curved.loss_curve_[-1] == pytest.approx(lost, rel=0.5)
    scaled = clone(curved).fit(arc * 1000 + 5)
    np.testing.assert_allclose(scaled.transform(arc * 1000 + 5), curved.transform(arc), atol=1e-4)
    # the tangent of a circle is orthogonal to its radius
    on, _ = manifold_parts(curved, arc[20:-20], arc[20:-20])
    assert np.median(np.linalg.norm(on, axis=1)) < 0.25


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_components": 9}, "n_components=9, but X has n_features=8"),
        ({"n_components": 0}, "n_components must be an integer >= 1, got 0"),
        ({"max_iter": 2.5}, "max_iter must be an integer >= 1, got 2.5"),
        ({"batch_size": True}, "batch_size must be an integer >= 1, got True"),
        ({"hidden_layer_sizes": 8}, "hidden_layer_sizes must be a sequence of integers >= 1, got 8"),
        ({"hidden_layer_sizes": (8, 0)}, "hidden_layer_sizes must be"),
        ({"learning_rate": np.inf}, "learning_rate must be a finite number > 0, got inf"),
    ],
)
def test_autoencoder_errors(params, message):
    with pytest.raises(ValueError, match=message):
        Autoencoder(**params).fit(X)


def test_latents_have_a_width(manifolds):
    with pytest.raises(ValueError, match="Z must have n_components=6 columns, got 4"):
        manifolds["autoencoder"].inverse_transform(np.zeros((2, 4)))
