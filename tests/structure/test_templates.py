"""Kernels that look like a difference of Gaussians: made ones, invariances, trained ones, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.svm import SVC
from torch import nn

from skhalfway.structure import kernel_templates
from skhalfway.structure._templates import NAMES, _derived, bank, most_like


def made(size, s, q=1.6, b=1.0):
    """A kernel for each name: derivatives of the Gaussians by differences."""
    fine = np.linspace(-1e-3, 1e-3, 3)
    place = np.arange(size) - (size - 1) / 2

    def dog(dx, dy):
        r2 = (place + dx) ** 2 + (place[:, None] + dy) ** 2
        return np.exp(-r2 / 2 / s**2) / s**2 - b * np.exp(-r2 / 2 / (q * s) ** 2) / (q * s) ** 2

    h = fine[2]
    plain = dog(0, 0)
    return {
        "DoG": plain,
        "d/dx": (dog(h, 0) - dog(-h, 0)) / (2 * h),
        "d/dy": (dog(0, h) - dog(0, -h)) / (2 * h),
        "d2/dx2": (dog(h, 0) - 2 * plain + dog(-h, 0)) / h**2,
        "d2/dxdy": (dog(h, h) - dog(h, -h) - dog(-h, h) + dog(-h, -h)) / (4 * h**2),
        "d2/dy2": (dog(0, h) - 2 * plain + dog(0, -h)) / h**2,
    }


@pytest.mark.parametrize("size", [5, 7, 9])
@pytest.mark.parametrize("share", [0.75, 1.0, 1.5])
def test_made_kernels_are_told(size, share):
    kernels = made(size, share * size / 7)
    found = kernel_templates(np.array(list(kernels.values())), n_noise=100)
    assert found.template.tolist() == list(kernels)
    np.testing.assert_allclose(found.cosine, 1, atol=1e-4)
    turned = kernel_templates([-3 * k for k in kernels.values()], n_noise=100)
    np.testing.assert_allclose(turned.cosine, -found.cosine, atol=1e-9)  # off-centres; scale does not count
    assert found.share == 1


def test_widths_between_those_of_the_bank_are_told_too():
    rng = np.random.RandomState(0)
    for _ in range(20):
        kernels = made(7, rng.uniform(0.6, 1.8), rng.uniform(1.5, 2.5), rng.uniform(0.5, 1))
        found = kernel_templates([kernels["DoG"], kernels["d/dx"], kernels["d/dy"]], n_noise=10)
        assert found.template.tolist() == ["DoG", "d/dx", "d/dy"]
        assert (found.cosine > 0.9).all()


def test_sums_and_symmetries():
    place = np.arange(-40, 41).astype(float)
    difference = _derived(place, 3.0, (0, 0)) - _derived(place, 4.8, (0, 0))
    assert abs(difference.sum()) < 1e-9 * np.abs(difference).sum()
    which, templates = bank(7)
    odd, even = (np.isin(which, numbers) for numbers in ([1, 2], [0, 3, 5]))
    assert np.abs(templates[odd] @ templates[even].T).max() < 1e-12
    squares = templates.reshape(-1, 7, 7)
    np.testing.assert_allclose(squares[odd], -squares[odd][:, ::-1, ::-1], atol=1e-12)
    assert len(NAMES) == 6


@pytest.mark.parametrize("size", [3, 5, 7])
def test_noise(size):
    rng = np.random.RandomState(1)
    noise = rng.standard_normal((20_000, size, size))
    one = bank(size)[1][0]
    cosines = noise.reshape(len(noise), -1) @ one / np.linalg.norm(noise, axis=(1, 2))
    assert np.sqrt((cosines**2).mean()) == pytest.approx(1 / size, rel=0.03)
    found = kernel_templates(noise, threshold=0.6, random_state=0)
    assert found.share == pytest.approx(found.noise_share, abs=0.01)
    assert (most_like(np.zeros((1, size, size)))[1] == 0).all()


def test_networks_that_were_trained_and_not():
    X, y = load_digits(return_X_y=True)
    x, labels = torch.tensor(X / 16, dtype=torch.float32).reshape(-1, 1, 8, 8), torch.tensor(y)
    x, labels = x[:500], labels[:500]
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 16, 1), nn.Conv2d(16, 16, 5, padding=2, groups=16), nn.ReLU(),
        nn.Conv2d(16, 32, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip
    before = kernel_templates(net, threshold=0.6, random_state=0)
    assert before.layer.tolist() == ["1"] * 16
    assert set(kernel_templates(nn.Conv2d(2, 2, 3, groups=2), random_state=0).layer) == {"0"}
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), labels).backward()
        optimizer.step()
    after = kernel_templates(net, threshold=0.6, random_state=0)
    assert np.abs(after.cosine).mean() > np.abs(before.cosine).mean()
    assert after.noise_share == before.noise_share
    assert after.to_frame()["counts"].sum() == after.share * 16


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: kernel_templates(nn.Sequential(nn.Conv2d(2, 2, 3))), ValueError, "no depthwise convolution"),
        (lambda: kernel_templates(nn.Sequential(nn.Conv2d(2, 2, 1, groups=2))), ValueError, "3 x 3 pixels"),
        (lambda: kernel_templates(np.ones((2, 3, 4))), ValueError, "kernels must have shape"),
        (lambda: kernel_templates([["a"]]), ValueError, "kernels must have shape"),
        (lambda: kernel_templates(SVC()), TypeError, "a network with layers is needed"),
        (lambda: kernel_templates(np.ones((2, 3, 3)), threshold=1), ValueError, "threshold must be"),
        (lambda: kernel_templates(np.ones((2, 3, 3)), threshold="a"), ValueError, "threshold must be"),
        (lambda: kernel_templates(np.ones((2, 3, 3)), n_noise=0), ValueError, "n_noise must be"),
    ],
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_kernels_as_a_convolution_holds_them() -> None:
    layer = torch.nn.Conv2d(6, 6, 5, groups=6)
    whole = kernel_templates(nn.Sequential(layer, nn.Flatten()), random_state=0)
    for given in (layer.weight, layer.weight[:, 0].detach(), layer.weight.detach().numpy()):
        np.testing.assert_array_equal(kernel_templates(given, random_state=0).cosine, whole.cosine)


def test_noise_is_that_of_kernels_of_the_same_size() -> None:
    net = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Conv2d(4, 4, 7, groups=4))
    both = kernel_templates(net, threshold=0.7, random_state=0)
    small, large = (
        kernel_templates(nn.Sequential(part), threshold=0.7).noise_share for part in (net[0], net[2])
    )
    np.testing.assert_allclose(both.noise, [small] * 4 + [large] * 4, atol=0.02)
    assert small > 5 * large and both.noise_share == pytest.approx(both.noise.mean())
    lines = both.plot().ax_.collections[0].get_segments()
    np.testing.assert_allclose([line[0][1] for line in lines], both.noise[[0, 4]])
