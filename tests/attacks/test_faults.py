"""Gradients that are zero, infinite, missing or cut off: one answer in all attacks and norms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from torch import nn

from skhalfway import AdversarialGenerator, Constraints
from skhalfway.attacks._faults import Faults
from skhalfway.attacks._parameters import KINDS
from skhalfway.boundaries import loss_gradient
from skhalfway.models import ModelWarning, as_model

KNOWN = [(name, norm) for name, kind in KINDS.items() if kind.gradient for norm in kind.norms]
every_attack = pytest.mark.parametrize(("attack", "norm"), KNOWN)
EPS = {np.inf: 0.4, 2: 0.6, 1: 0.9, 0: 2}
# the first sample is the only one with such a value, wherever an attack leads
X = np.random.RandomState(0).uniform(0, 0.4, size=(6, 4)).astype(np.float32)
X[0, 3] = 3.0


class Faulty(nn.Module):
    """A linear classifier whose gradient goes through a fault on its way back."""

    def __init__(self, fault: str, scale: float = 1.0, n_classes: int = 3) -> None:
        super().__init__()
        self.fault, self.scale = fault, scale
        self.linear = nn.Linear(4, n_classes)
        with torch.no_grad():
            self.linear.weight.copy_(torch.from_numpy(np.random.RandomState(1).normal(size=(n_classes, 4))))
            self.linear.weight[:, 3] *= 0.1
            self.linear.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.fault == "no_grad":
            with torch.no_grad():
                return self.linear(x)
        if self.fault == "detach":
            return self.linear(x.detach())
        if self.fault == "long":
            return self.linear((10 * x).long().to(x) / 10)
        passed = x * 1
        if x.requires_grad:
            start = torch.from_numpy(X)
            moved = x.detach().ne(start).any(dim=1) if x.shape == start.shape else x.new_ones(len(x)).bool()
            first = x.detach()[:, 3] > 2
            passed.register_hook(lambda gradient: self.spoil(gradient.clone(), moved, first))
        return self.scale * self.linear(passed)

    def spoil(self, g: torch.Tensor, moved: torch.Tensor, first: torch.Tensor) -> torch.Tensor:
        if self.fault == "nan everywhere":
            g[:] = torch.nan
        elif self.fault == "inf everywhere":
            g *= torch.inf
        elif self.fault == "nan somewhere":
            g[:, 0] = torch.nan
        elif self.fault == "inf somewhere":
            g[:, 1] *= torch.inf
        elif self.fault == "nan in one row":
            g[first] = torch.nan
        elif self.fault == "nan later":
            g[moved] = torch.nan
        elif self.fault == "zero everywhere":
            g[:] = 0
        elif self.fault == "zero in one row":
            g[first] = 0
        elif self.fault == "zero later":
            g[moved] = 0
        return g


def generator(source: nn.Module, attack: str, norm: float, **params: Any) -> AdversarialGenerator:
    eps = np.inf if KINDS.get(attack, KINDS["pgd"]).nearest else EPS[norm]
    if attack in ("cw", "sigmazero"):
        params = {"clip_values": (-4, 4)} | params
    return AdversarialGenerator(
        source, **{"attack": attack, "norm": norm, "eps": eps, "max_iter": 20, "random_state": 0} | params
    )


def labels(source: nn.Module) -> NDArray[np.intp]:
    with torch.no_grad():
        return source(torch.from_numpy(X)).argmax(dim=1).numpy()


# what is said, of how many samples, and which of them stay as they are
FAULTS: dict[str, tuple[str, slice]] = {
    "nan everywhere": ("a gradient of exactly 0, nan or infinite on 6 of 6", slice(None)),
    "inf everywhere": ("nan or infinite values on 6 of 6", slice(0)),
    "nan somewhere": ("nan or infinite values on 6 of 6", slice(0)),
    "inf somewhere": ("nan or infinite values on 6 of 6", slice(0)),
    "nan in one row": ("a gradient of exactly 0, nan or infinite on 1 of 6", slice(1)),
    "nan later": ("nan or infinite", slice(0)),
    "zero everywhere": ("a gradient of exactly 0 on 6 of 6", slice(None)),
    "zero in one row": ("a gradient of exactly 0 on 1 of 6", slice(1)),
}


@pytest.mark.parametrize(
    ("fault", "attack", "norm"),
    # every fault with every attack, in half of its norms
    [
        (fault, attack, norm)
        for i, fault in enumerate(FAULTS)
        for k, (attack, norm) in enumerate(KNOWN)
        if (i + k) % 2 or len(KINDS[attack].norms) == 1
    ],
)
def test_faults_are_mended_and_said(attack: str, norm: float, fault: str) -> None:
    source, (said, still) = Faulty(fault), FAULTS[fault]
    made = generator(source, attack, norm)
    if (attack, fault) == ("fgsm", "nan later"):
        said = ""  # it takes one step
        X_adv = made.generate(X, labels(source))
    else:
        with pytest.warns(ModelWarning, match=f"Faulty has .*{said}") as caught:
            X_adv = made.generate(X, labels(source))
        assert len(caught) == 1 or fault == "nan later"
        assert "'hopskipjump'" in str(caught[0].message) or "gradient of exactly 0" not in said or norm < 2
    assert np.isfinite(X_adv).all()
    moved = np.abs(X_adv - X).max(axis=1) > 0
    expected = np.ones(6, dtype=bool)
    expected[still] = False
    np.testing.assert_array_equal(moved, expected)
    if made.distances_ is not None:
        assert np.isinf(made.distances_[still]).all()
        # a mended slope is a guess, which may lead astray
        assert np.isfinite(made.distances_[expected]).all() or "somewhere" in fault or fault == "nan later"


@pytest.mark.parametrize("scale", [2.0**-40, 0.5, 1.0, 4.0, 2.0**40])
def test_what_is_missing_is_guessed_from_next_to_it(scale: float) -> None:
    """By the formulas, at any size of the gradient."""
    inf, nan = torch.inf, torch.nan
    rows = [
        [1.0, nan, nan, inf, -inf],
        [1.0, nan, nan, 0.5, -0.5],
        [nan, nan, nan, inf, -inf],
        [1, 0, 0, 0, 0],
    ]
    near = torch.tensor([9.0, 0.1, -3, 6, -9]).repeat(4, 1)
    faults = Faults(5, "Net")
    mended = faults.mend(
        scale * torch.tensor(rows), torch.ones(4, 5), np.arange(4), (None, None), lambda x: scale * near
    )
    # infinite: 1 to 2 times the largest; nan: what is there, up to a quarter of it, where any is known
    by_hand = [[1, 0.1, -0.25, 1 + 6 / 9, -2], [1, 0.1, -0.25, 0.5, -0.5], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]
    expected = scale * torch.tensor(by_hand)
    expected[2] = torch.tensor([9 * scale, 0.1 * scale, -3 * scale, 1 + 6 / 9, -2])
    torch.testing.assert_close(mended, expected)
    assert faults.not_finite.tolist() == [True, True, True, False, False]


@every_attack
@pytest.mark.parametrize("fault", ["nan in one row", "zero in one row"])
def test_good_rows_are_attacked_as_if_alone(attack: str, norm: float, fault: str) -> None:
    source = Faulty(fault)
    with pytest.warns(ModelWarning):
        X_adv = generator(source, attack, norm).generate(X, labels(source))
    alone = generator(source, attack, norm).generate(X[1:], labels(source)[1:])
    np.testing.assert_allclose(X_adv[1:], alone, atol=1e-6)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("attack", ["fgsm", "pgd", "mifgsm"])
def test_rows_are_alone_whatever_the_size_of_their_gradients(attack: str, norm: float) -> None:
    """Squares of such gradients overflow; in L2 a step along them would be of length 0."""
    plain, steep = (
        generator(Faulty("none", scale, n_classes=2), attack, norm).generate(X) for scale in (1.0, 2.0**80)
    )
    np.testing.assert_array_equal(steep, plain)


@every_attack
@pytest.mark.parametrize("fault", ["no_grad", "detach", "long"])
def test_a_graph_that_is_cut(attack: str, norm: float, fault: str) -> None:
    what, instead = (f"attack='{attack}'", ".*'auto'") if norm else ("norm=0", "")
    message = f"{what} needs gradients, but Faulty gives outputs that torch cannot follow {instead}"
    with pytest.raises(TypeError, match=message):
        generator(Faulty(fault), attack, norm).generate(X)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
@pytest.mark.parametrize("fault", ["no_grad", "detach", "long", "nan everywhere", "zero everywhere"])
def test_automatic_attacks_do_without(fault: str, norm: float) -> None:
    source = Faulty(fault)
    instead = "surrogate" if norm == 1 else "hopskipjump"
    made = generator(source, "auto", norm, eps=2 * EPS[norm])
    with pytest.warns(ModelWarning, match=f"attack='auto' attacks (it|these) by '{instead}' instead"):
        X_adv = made.generate(X, labels(source))
    with torch.no_grad():
        fooled = source(torch.from_numpy(X_adv)).argmax(dim=1).numpy() != labels(source)
    assert fooled.sum() >= 4
    assert (made.n_queries_ > 0).all()


def test_automatic_attacks_do_without_only_where_they_must() -> None:
    source = Faulty("zero in one row")
    made = generator(source, "auto", 2)
    with pytest.warns(ModelWarning, match="on 1 of 6"):
        X_adv = made.generate(X, labels(source))
    by_gradient = generator(source, "pgd", 2).generate(X[1:], labels(source)[1:])
    np.testing.assert_allclose(X_adv[1:], by_gradient, atol=1e-6)
    assert made.n_queries_[0] > 1 and not made.n_queries_[1:].any()


def test_few_samples_without_a_gradient_are_not_worth_a_word() -> None:
    source, many = Faulty("zero in one row"), np.concatenate([X, *[X[1:]] * 4])
    generator(source, "pgd", 2).generate(many)


def test_samples_that_are_fooled_need_no_gradient() -> None:
    source = Faulty("zero later")
    first = labels(source)
    X_adv = generator(source, "fgsm", np.inf, eps=2.0).generate(X, first)
    assert (source(torch.from_numpy(X_adv)).argmax(dim=1).numpy() != first).all()
    generator(source, "pgd", np.inf, eps=2.0, step_size=2.0).generate(X, first)


@pytest.mark.parametrize("norm", [np.inf, 2, 1])
def test_momentum_leads_over_flat_places(norm: float) -> None:
    """The gradient is 0 from the second step on; what was gathered in the first leads on as far as ever."""
    source = Faulty("zero later")
    with pytest.warns(ModelWarning, match="gradient of exactly 0"):
        stopped = generator(source, "pgd", norm, eps=0.02, max_iter=4, step_size=0.005).generate(X)
    with pytest.warns(ModelWarning, match="gradient of exactly 0"):
        went_on = generator(source, "mifgsm", norm, eps=0.02, max_iter=4, step_size=0.005).generate(X)
    np.testing.assert_allclose(np.linalg.norm(stopped - X, norm, axis=1), 0.005, rtol=1e-3)
    np.testing.assert_allclose(np.linalg.norm(went_on - X, norm, axis=1), 0.02, rtol=1e-3)


def test_a_start_at_random_may_have_a_gradient_where_the_sample_has_none() -> None:
    """What counts is where an attack ends, in the best of its restarts."""

    class Prototypes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.centres = nn.Parameter(torch.from_numpy(X[1:4]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return -torch.linalg.vector_norm(x[:, None] - self.centres, dim=2)

    source = Prototypes()
    with pytest.warns(ModelWarning):
        generator(Faulty("zero everywhere"), "pgd", 2, n_restarts=2).generate(X)
    # torch takes the gradient of a length of 0 as 0
    with pytest.warns(ModelWarning, match="on 3 of 3"):
        generator(Faulty("nan everywhere"), "pgd", 2).generate(X[1:4])
    fooled = generator(source, "pgd", 2, n_restarts=2, eps=0.5).generate(X[1:4])
    assert (source(torch.from_numpy(fooled)).argmax(dim=1).numpy() != np.arange(3)).all()


class OfImages(nn.Module):
    """A linear classifier of transformed pixels, whose gradient is not finite at black ones unless helped."""

    def __init__(self, form: str, help_: float) -> None:
        super().__init__()
        self.form, self.help, self.linear = form, help_, nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.form == "root":
            return self.linear(torch.sqrt(x + self.help))
        logarithm = x.log() if self.help == 0 else x.clamp_min(1e-3).log()
        return self.linear(torch.where(x > 0, logarithm, -3.0))


@pytest.fixture(scope="module", params=["root", "logarithm"])
def twins(request: pytest.FixtureRequest) -> tuple[nn.Module, nn.Module]:
    """As it is, and helped: the same function but for next to nothing."""
    data, y = load_digits(return_X_y=True)
    x = torch.from_numpy((data / 16).astype(np.float32))
    helped = OfImages(request.param, 1e-6)
    optimizer = torch.optim.Adam(helped.parameters(), 1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(helped(x), torch.from_numpy(y)).backward()
        optimizer.step()
    as_it_is = OfImages(request.param, 0.0)
    as_it_is.load_state_dict(helped.state_dict())
    return as_it_is, helped


@every_attack
def test_black_pixels_protect_nothing(twins: tuple[nn.Module, nn.Module], attack: str, norm: float) -> None:
    data, y = load_digits(return_X_y=True)
    images = (data[:20] / 16).astype(np.float32)
    eps = {np.inf: 0.15, 2: 1.0, 1: 4.0, 0: 4}[norm]
    accuracy = []
    for source in twins:
        made = AdversarialGenerator(source, attack=attack, norm=norm, eps=eps, clip_values=(0, 1))
        if source is twins[0]:
            with pytest.warns(ModelWarning, match=r"OfImages has .* nan or infinite values on \d+ of 20"):
                X_adv = made.generate(images, y[:20])
        else:
            X_adv = made.generate(images, y[:20])
        with torch.no_grad():
            accuracy.append((source(torch.from_numpy(X_adv)).argmax(dim=1).numpy() == y[:20]).mean())
    as_it_is, helped = accuracy
    # sigma-zero divides by the largest value, of which there is a guess only: weaker, and said above
    assert as_it_is <= helped + (0.05 if norm else 0.4)


def test_gradients_that_are_measured_are_those_of_attacks() -> None:
    """A cut graph is said in the same words where gradients are the figure itself."""
    with pytest.raises(TypeError, match="Faulty gives outputs that torch cannot follow back to its inputs"):
        loss_gradient(Faulty("no_grad"), X, np.zeros(6, dtype=int))


class HalfRounded(nn.Module):
    """A linear classifier that has a gradient by its first column alone."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = Faulty("none").linear

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(torch.cat([x[:, :1], torch.round(8 * x[:, 1:]) / 8], dim=1))


# why the first column may not change
FIXED: dict[str, dict[str, Any]] = {
    "immutable": {"constraints": Constraints(immutable=[0])},
    "no budget": {"eps": [0.0, 0.4, 0.4, 0.4]},
}


# in L0 there is one budget for all
@pytest.mark.parametrize(
    ("attack", "norm", "reason"),
    [(*known, reason) for known in KNOWN for reason in FIXED if known[1] or reason == "immutable"],
)
def test_a_gradient_by_what_never_changes_is_none(attack: str, norm: float, reason: str) -> None:
    given = {"attack": attack, "norm": norm, "eps": 0.4 if norm else 2} | FIXED[reason]
    if attack in ("cw", "sigmazero"):
        given["clip_values"] = (-4, 4)
    with pytest.warns(ModelWarning, match="exactly 0 in all columns that may change on"):
        AdversarialGenerator(HalfRounded(), **given).generate(X)


def test_automatic_attacks_ask_where_only_fixed_columns_have_a_gradient() -> None:
    generator = AdversarialGenerator(HalfRounded(), eps=0.4, random_state=0, **FIXED["immutable"])
    with pytest.warns(ModelWarning, match="attacks these by 'hopskipjump' instead"):
        X_adv = generator.generate(X)
    model = as_model(HalfRounded())
    assert (model.predict(X_adv) != model.predict(X)).any() and (X_adv[:, 0] == X[:, 0]).all()


@pytest.mark.parametrize(("n_flat", "many"), [(0, False), (4, False), (5, True), (100, True)])
def test_a_twentieth_of_the_samples_is_many(n_flat: int, many: bool) -> None:
    faults = Faults(100, "Net")
    faults.flat[n_flat:] = False
    faults.advice = "ask"
    assert faults.many_flat == many and [found.advice for found in faults.remarks()] == many * ["ask"]
