"""Which channels serve which class: built networks, the objective by hand, and what is refused."""

from __future__ import annotations

import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale
from sklearn.svm import SVC
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway.codes._network import Network
from skhalfway.inspection import saddle_index
from skhalfway.models import as_model
from skhalfway.structure import Disentanglement, disentangle, lipschitz_number
from skhalfway.structure._masks import Masks


def built(n_classes=4, softmax=False):
    """Three channels for each class, which its own five features reach and no others; and samples."""
    rng = np.random.RandomState(0)
    net = nn.Sequential(
        nn.Linear(5 * n_classes, 3 * n_classes, bias=False),
        nn.ReLU(inplace=True),
        nn.Linear(3 * n_classes, n_classes, bias=False),
        *([nn.Softmax(dim=1)] if softmax else []),
    ).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor(np.kron(np.eye(n_classes), rng.rand(3, 5) + 0.5)))
        net[2].weight.copy_(torch.tensor(np.kron(np.eye(n_classes), np.ones((1, 3)))))
    y = np.arange(50 * n_classes) % n_classes
    X = np.kron(np.eye(n_classes), np.ones(5))[y] * (rng.rand(len(y), 5 * n_classes) + 0.1)
    return net, X, y


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("beta", [1.0, 5.0])
def test_the_channels_of_a_class_are_found(beta, softmax):
    net, X, y = built(softmax=softmax)
    found = disentangle(net, X, y, beta=beta, random_state=0)
    np.testing.assert_array_equal(found.masks[0], np.kron(np.eye(4), np.ones(3)) > 0)
    np.testing.assert_array_equal(found.similarity, np.eye(4))
    assert found.own.tolist() == [50] * 4
    assert found.mistakes.sum() == 0
    assert found == disentangle(net, X, y, beta=beta, random_state=0)


def test_masks_of_ones_are_the_network():
    X, y = load_digits(return_X_y=True)
    net = MLPClassifier((16, 8), tol=0.01, random_state=0).fit(X[:500] / 16, y[:500])
    network = Network(net)
    masks = Masks(network, as_model(net), network.layers("auto", X[:1])[:-1], X / 16)
    assert masks.n_channels == [16, 8]
    ones, none = ([np.full(n, value) for n in masks.n_channels] for value in (True, False))
    np.testing.assert_array_equal(masks.answers(ones), net.predict(X / 16))
    assert len(np.unique(masks.answers(none))) == 1


def test_the_objective_is_that_of_a_few_lines():
    net, X, y = built()
    network = Network(net)
    masks = Masks(network, as_model(net), ["1"], X)
    x, labels = torch.tensor(X[:6]), torch.tensor(y[:6])
    right = torch.tensor([True, True, False, True, False, True])
    m = torch.linspace(-2, 2, 12, dtype=torch.float64).requires_grad_()
    hidden = torch.relu(x @ net[0].weight.T)
    masked = hidden * torch.sigmoid(m)
    loss = nn.functional.cross_entropy(masked @ net[2].weight.T, labels)
    loss = loss + ((masked - hidden)[right] ** 2).mean() + 0.7 * (torch.sigmoid(m) ** 2).mean()
    (expected,) = torch.autograd.grad(loss, m)
    (found,) = masks._gradients([m.detach()], x, labels, right, 0.7)
    torch.testing.assert_close(found, expected)


def test_similarity_and_mistakes():
    masks = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
    mistakes = np.zeros((5, 5), dtype=int)
    mistakes[0, 1], mistakes[0, 2], mistakes[2, 4] = 7, 2, 1
    found = Disentanglement(
        np.array(list("abcde")), ("one",), (masks,), *np.ones((3, 5), dtype=int), mistakes
    )
    assert found.similarity[0, 1] == found.similarity[3, 4] == 1  # of nothing, nothing differs
    assert found.similarity[0, 2] == 0
    np.testing.assert_array_equal(found.similarity, found.similarity.T)
    assert found.mistakes_to_similar(1) == (7, 10)
    assert found.to_frame()["channels of one"].tolist() == [2, 2, 2, 0, 0]
    with pytest.raises(ValueError, match="below the number of other classes, 4, got 4"):
        found.mistakes_to_similar(4)


def test_images_and_any_labels():
    X, y = load_digits(n_class=6, return_X_y=True)
    X = X.reshape(-1, 1, 8, 8).astype(np.float32) / 16
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        nn.Sequential(
            nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 12, 3), nn.ReLU(), nn.Flatten(), nn.Linear(192, 6)
        ),
        criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=0.01, max_epochs=5, verbose=0,
    ).fit(X[:600], y[:600])  # fmt: skip
    before = net.module_[0].weight.detach().clone()
    with pytest.warns(ConvergenceWarning, match="not final after n_epochs=6: .* raise n_epochs"):
        found = disentangle(net, X[600:], y[600:], n_epochs=6, random_state=0)
    assert [mask.shape for mask in found.masks] == [(6, 8), (6, 12)]
    assert (found.own / found.n_samples > 0.7).all()
    assert torch.equal(before, net.module_[0].weight)
    assert not any(part._forward_hooks for part in net.module_.modules())
    assert found.plot().image_.get_array().shape == (6, 6)
    named = MLPClassifier((6,), tol=0.05, random_state=0).fit(X.reshape(-1, 64), np.array(list("abcdef"))[y])
    assert disentangle(named, X.reshape(-1, 64), np.array(list("abcdef"))[y]).classes[0] == "a"


@pytest.mark.parametrize("beta", [0.1, 1.0])
def test_a_warning_says_whether_a_longer_run_changes_the_masks(beta):
    X, y = load_wine(return_X_y=True)
    X = scale(X)
    net = MLPClassifier((20,), alpha=1, tol=0.01, random_state=0).fit(X, y)
    results, warned = [], []
    for n_epochs in (5, 10, 20, 60, 120):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            found = disentangle(net, X, y, n_epochs=n_epochs, beta=beta, random_state=0)
        results.append(found.masks[0])
        warned.append(bool(caught))
    changed = [bool((a != b).mean() > 0.05) for a, b in pairwise(results)]
    assert changed[:2] == warned[:2] == [True, True]
    assert not any(moved and not said for moved, said in zip(changed, warned[:-1], strict=True))
    assert not warned[-1]


def test_parts_that_predict_their_class_for_everything_are_named():
    masks = (np.ones((2, 3), dtype=bool),)
    found = Disentanglement(
        np.array(["cat", "dog"]), ("one",), masks, [9, 9], [1, 9], [10, 10], np.zeros((2, 2))
    )
    assert "so do not tell classes apart: dog; try a smaller beta" in str(found)
    found = Disentanglement(
        np.array(["cat", "dog"]), ("one",), masks, [9, 9], [1, 8], [10, 10], np.zeros((2, 2))
    )
    assert "apart" not in str(found)


NET, X4, Y4 = built()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: disentangle(SVC().fit(X4, Y4), X4, Y4), TypeError, "a network with layers is needed"),
        (lambda: disentangle(NET, X4, Y4, layers=["9"]), ValueError, "has no layers"),
        (
            lambda: disentangle(nn.Sequential(nn.Linear(20, 4).double()), X4, Y4),
            ValueError,
            "no hidden layer",
        ),
        (lambda: disentangle(NET, X4[Y4 > 0], Y4[Y4 > 0]), ValueError, "there are none of .0."),
        (lambda: disentangle(NET, X4, Y4, beta=0), ValueError, "beta must be"),
        (lambda: disentangle(NET, X4, Y4, step=-1), ValueError, "step must be"),
        (lambda: disentangle(NET, X4, Y4, n_epochs=0), ValueError, "n_epochs must be"),
        (lambda: disentangle(NET, X4, Y4, batch_size=0), ValueError, "batch_size must be"),
    ],
)
def test_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


class Returning(nn.Module):
    def __init__(self, how, n_outputs=2):
        super().__init__()
        self.one, self.two, self.how = nn.Linear(4, 5), nn.Linear(5, n_outputs), how

    def forward(self, x):
        return self.how(self.two(torch.relu(self.one(x))))


@pytest.mark.filterwarnings("ignore:the masks are not final")
@pytest.mark.parametrize("how", [lambda z: {"logits": z}, lambda z: (z, None), lambda z: z[:, None]])
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_logits_are_found_in_what_a_module_returns(how, n_outputs):
    torch.manual_seed(0)
    network = Returning(lambda z: z, n_outputs)
    X, y = np.random.RandomState(0).standard_normal((20, 4)), np.arange(20) % 2
    calls = [
        lambda net: disentangle(net, X, y, n_epochs=1, random_state=0).own.tolist(),
        lambda net: lipschitz_number(net, X, X + 1),
        lambda net: saddle_index(net, X, y).eigenvalues.tolist(),
    ]
    expected = [call(network) for call in calls]
    network.how = how
    assert [call(network) for call in calls] == expected
    if n_outputs == 1:
        network.how = lambda z: z[:, 0]
        assert [call(network) for call in calls] == expected
