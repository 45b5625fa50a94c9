"""Attacks of foolbox and torchattacks, and callables: what they get, and what becomes of what they return."""

from __future__ import annotations

import pickle
import random
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from joblib import parallel_config
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import nn

from skhalfway import AdversarialGenerator, Constraints, TransferScorer
from skhalfway.models import ModelWarning, as_model
from skhalfway.models._torch import place_of
from skhalfway.perturbation import AdversarialSampler

with warnings.catch_warnings():
    # foolbox imports scipy.ndimage.filters, which scipy has renamed
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox.attacks as fb
import torchattacks as ta


def signed(model: Any, X: Any, y: Any, eps: float = 0.1, targeted: bool = False) -> Any:
    """FGSM on whatever scikit-learn or torch model, by the package's own gradient."""
    seen = as_model(model)
    labels = torch.tensor(y if seen.classes_ is None else np.searchsorted(seen.classes_, y))
    with seen.evaluating():
        x = torch.tensor(X, **place_of(seen.module), requires_grad=True)
        loss = nn.functional.cross_entropy(seen.logits(x), labels)
        step = torch.autograd.grad(loss, x)[0].sign() * (-1 if targeted else 1)
    return X + eps * step.numpy()


def share_right(source: Any, X: Any, labels: Any) -> float:
    return float((as_model(source).predict(X) == labels).mean())


CLASSES = [fb.LinfPGD, ta.PGD, signed]
every_library = pytest.mark.parametrize("attack", CLASSES, ids=["foolbox", "torchattacks", "callable"])
UNIT: dict[str, Any] = {"clip_values": (0, 1), "max_iter": 5, "random_state": 0}


@every_library
@pytest.mark.parametrize(
    "source", ["logistic", "svc", "mlp", "pca", "forest", "skorch", "art", "torch_mlp", "cnn"]
)
def test_every_source_falls(zoo, attack: Any, source: str) -> None:
    case = zoo(source)
    X_adv = AdversarialGenerator(case.source, attack=attack, eps=0.3, **UNIT).generate(case.X, case.y)
    assert X_adv.dtype == case.X.dtype
    assert np.abs(X_adv - case.X).max() <= 0.3
    assert X_adv.min() >= 0 and X_adv.max() <= 1
    assert share_right(case.source, X_adv, case.y) < share_right(case.source, case.X, case.y) - 0.3


@pytest.mark.parametrize("attack", [fb.LinfPGD, ta.PGD, partial(signed, eps=0.4)])
@pytest.mark.parametrize("source", ["svc", "cnn"])
def test_the_call_decides_what_is_reached(zoo, attack: Any, source: str) -> None:
    case = zoo(source)
    target = (case.y + 1) % 10
    generator = AdversarialGenerator(case.source, attack=attack, eps=0.4, **UNIT | {"max_iter": 20})
    reached = share_right(case.source, generator.generate(case.X, target=target), target)
    assert reached > share_right(case.source, generator.generate(case.X, case.y), target) + 0.3


# searches for the nearest sample in any norm, or by answers alone: class -> parameters that make it quick
SEARCHES: dict[Any, dict[str, Any]] = {
    fb.L2DeepFoolAttack: {},
    fb.L2FMNAttack: {"steps": 20},
    fb.EADAttack: {},
    fb.LinearSearchBlendedUniformNoiseAttack: {"steps": 20},
    fb.HopSkipJumpAttack: {"steps": 2, "max_gradient_eval_steps": 20},
    ta.FAB: {},
    ta.Square: {},
    ta.AutoAttack: {},
}


@pytest.mark.parametrize("class_", SEARCHES, ids=lambda class_: class_.__name__)
@pytest.mark.parametrize("norm", [np.inf, 2])
def test_what_searches_is_brought_back(zoo, class_: Any, norm: float) -> None:
    case, eps = zoo("cnn"), {np.inf: 0.4, 2: 2.0}[norm]
    X, y = case.X[:6], case.y[:6]
    params = UNIT | {"attack_params": SEARCHES[class_], "eps": eps, "norm": norm, "max_queries": 100}
    X_adv = AdversarialGenerator(case.source, attack=class_, **params).generate(X, y)
    assert (np.linalg.norm((X_adv - X).reshape(6, -1), norm, axis=1) <= eps).all()
    assert (X_adv != X).any()
    if class_ is not fb.LinearSearchBlendedUniformNoiseAttack:  # noise leads nowhere
        assert share_right(case.source, X_adv, y) < share_right(case.source, X, y)


@pytest.mark.parametrize("attack", [fb.HopSkipJumpAttack, fb.GenAttack, ta.Square, ta.OnePixel])
def test_attacks_by_answers_on_a_black_box(zoo, attack: Any) -> None:
    case = zoo("opaque")
    X, y = case.X[:4], case.y[:4]
    given = {"steps": 2, "max_gradient_eval_steps": 20} if attack is fb.HopSkipJumpAttack else {}
    labels = {"target": (y + 1) % 10} if attack is fb.GenAttack else {"y": y}
    generator = AdversarialGenerator(case.source, attack=attack, eps=0.5, attack_params=given, **UNIT)
    assert (generator.generate(X, **labels) != X).any()


def test_attacks_by_answers_ask_the_model_and_not_its_smooth_copy(zoo) -> None:
    """On a forest each query of Square is one of its own ``predict_proba``."""
    case = zoo("forest")

    class Counting(RandomForestClassifier):
        n_asked = 0

        def predict_proba(self, X: Any) -> Any:
            type(self).n_asked += 1
            return super().predict_proba(X)

    forest = Counting(5, random_state=0).fit(zoo.X_train, zoo.y_train)
    for attack, more in ((ta.Square, 20), (ta.PGD, 0)):
        Counting.n_asked = 0
        given = UNIT | {"eps": 0.2, "max_queries": 30}
        AdversarialGenerator(FrozenEstimator(forest), attack=attack, **given).generate(case.X, case.y)
        assert Counting.n_asked >= more
        assert bool(Counting.n_asked) is bool(more)


def test_torchattacks_on_any_range(zoo) -> None:
    """A budget in units of the data, on samples from -3 to 5, is the same attack as on [0, 1]."""
    net, X, y = zoo("torch_mlp").source, zoo("torch_mlp").X, zoo("torch_mlp").y

    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net((x + 3) / 8)

    on_unit = AdversarialGenerator(net, attack=ta.PGD, eps=0.2, step_size=0.05, **UNIT).generate(X, y)
    wide = UNIT | {"clip_values": (-3, 5)}
    on_wide = AdversarialGenerator(Wide(), attack=ta.PGD, eps=1.6, step_size=0.4, **wide).generate(
        8 * X - 3, y
    )
    np.testing.assert_allclose((on_wide + 3) / 8, on_unit, atol=1e-5)


@every_library
@pytest.mark.parametrize(
    "given", [{"eps": None}, {"eps_unit": "std", "eps": 0.5}], ids=["per feature", "std"]
)
def test_budgets_with_units(iris, attack: Any, given: dict[str, Any]) -> None:
    X, y = iris
    each = np.array([1.0, 0.5, 0.0, 0.7])
    budget = each if given["eps"] is None else 0.5 * X.std(axis=0)
    params = {"eps": each} if given["eps"] is None else given
    generator = AdversarialGenerator(SVC(), attack=attack, **params, **UNIT | {"clip_values": (0, 10)}).fit(
        X, y
    )
    change = np.abs(generator.generate(X, y) - X)
    assert (change <= budget * (1 + 1e-12)).all()
    # every column uses what it has, wherever the range allows
    assert (change.max(axis=0) >= 0.99 * budget).all()
    assert share_right(generator.estimator_, generator.generate(X, y), y) < share_right(
        generator.estimator_, X, y
    )


@every_library
def test_constraints(iris, attack: Any) -> None:
    X, y = iris
    X = X.round()
    constraints = Constraints(immutable=[0], integer=[1], increasing=[2], decreasing=[3])
    generator = AdversarialGenerator(SVC(), attack=attack, eps=1.5, constraints=constraints, **UNIT)
    change = generator.set_params(clip_values=(0, 10)).fit(X, y).generate(X, y) - X
    assert (change[:, 0] == 0).all() and (change[:, 1] % 1 == 0).all()
    assert (change[:, 2] >= 0).all() and (change[:, 3] <= 0).all()
    assert (change[:, 1:] != 0).any(axis=0).all()


def test_constraints_leave_an_instance_its_budget(iris) -> None:
    """The range that torchattacks sees is that of the data, whatever constraints leave a sample of it."""
    X, y = iris
    given: dict[str, Any] = {"eps": 0.5, "clip_values": (0, 10), "step_size": 0.1, "max_iter": 5}
    instance = ta.BIM(nn.Linear(4, 3), eps=0.05, alpha=0.01, steps=5)
    constraints = Constraints(increasing=[0, 1, 2, 3])
    one, other = (
        AdversarialGenerator(SVC(), attack=attack, constraints=constraints, **given).fit(X, y).generate(X, y)
        for attack in (instance, ta.BIM)
    )
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert (one >= X).all() and (one - X).max() == pytest.approx(0.5)


@pytest.fixture(scope="module")
def iris() -> tuple[Any, Any]:
    from sklearn.datasets import load_iris

    return load_iris(return_X_y=True)


def states() -> tuple[Any, ...]:
    return random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()


def drawing(model: Any, X: Any, y: Any) -> Any:
    drawn = np.random.normal(size=X.shape) + torch.randn(X.shape).numpy() + random.random()
    return X + 0.1 * drawn


@pytest.mark.parametrize("attack", [fb.LinfPGD, ta.PGD, drawing])
@pytest.mark.parametrize("source", ["svc", "cnn"])
def test_seeded_and_nothing_left_behind(zoo, attack: Any, source: str) -> None:
    case = zoo(source)
    X, before = case.X.copy(), states()
    made = [
        AdversarialGenerator(case.source, attack=attack, **UNIT | {"random_state": seed}).generate(X, case.y)
        for seed in (0, 0, 1)
    ]
    assert made[0].tobytes() == made[1].tobytes() != made[2].tobytes()
    assert states() == before
    assert X.tobytes() == case.X.tobytes()


@every_library
def test_frames_tensors_and_values_left_alone(iris, attack: Any) -> None:
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    given = {"attack": attack, "eps": 0.3, **UNIT, "clip_values": (0, 10)}
    with warnings.catch_warnings():
        # a callable gets an array, and the estimator was fitted on names
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        on_frame = AdversarialGenerator(SVC(), **given).fit(frame, y).generate(frame, y)
    on_array = AdversarialGenerator(SVC(), **given).fit(X, y).generate(X, y)
    assert list(on_frame.columns) == list("abcd")
    np.testing.assert_allclose(on_frame.to_numpy(), on_array, atol=1e-7)
    tensor = AdversarialGenerator(SVC(), **given).fit(X, y).generate(torch.tensor(X), y)
    np.testing.assert_array_equal(tensor.numpy(), on_array)
    # in float32 on the way, and back to the last digit
    still = AdversarialGenerator(SVC(), **given | {"attack": ta.VANILA}).fit(X, y).generate(X, y)
    np.testing.assert_array_equal(still, X)


# what a callable gets


class Spy:
    """An attack that keeps what it was given, and moves nothing."""

    def __call__(self, model: Any, X: Any, y: Any, **params: Any) -> Any:
        Spy.given = model, X, y, params
        return X

    given: tuple[Any, ...] = ()


def test_a_callable_gets_the_estimator_itself(iris) -> None:
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    pipeline = make_pipeline(StandardScaler(), SVC()).fit(X.astype(np.float32), names)
    generator = AdversarialGenerator(FrozenEstimator(pipeline), attack=Spy(), attack_params={"power": 3})
    generator.generate(X.astype(np.float32), names)
    model, samples, labels, params = Spy.given
    assert model is pipeline
    assert isinstance(samples, np.ndarray) and samples.dtype == np.float32 and samples.shape == X.shape
    assert labels.tolist() == names.tolist()
    assert params == {"power": 3}
    fitted = AdversarialGenerator(SVC(), attack=Spy()).fit(X, y)
    fitted.transform(X)
    assert Spy.given[0] is fitted.estimator_
    assert Spy.given[1].dtype == np.float64
    assert Spy.given[2].tolist() == fitted.estimator_.predict(X).tolist()


def test_a_callable_sees_rows_or_images_as_the_model_does(zoo) -> None:
    images = zoo("cnn").X.astype(np.float64)
    AdversarialGenerator(zoo("logistic").source, attack=Spy()).generate(images, zoo("cnn").y)
    assert Spy.given[1].shape == (len(images), 64)
    out = AdversarialGenerator(zoo("logistic").source, attack=lambda model, X, y: X + 1, eps=0.5)
    np.testing.assert_allclose(out.generate(images, zoo("cnn").y), images + 0.5)
    AdversarialGenerator(zoo("cnn").source, attack=Spy()).generate(images, zoo("cnn").y)
    net, samples, labels, _ = Spy.given
    assert samples.shape == images.shape and samples.dtype == np.float32
    assert labels.tolist() == zoo("cnn").y.tolist()
    assert type(net) is type(zoo("cnn").source)
    for weight, mine in zip(zoo("cnn").source.parameters(), net.parameters(), strict=True):
        assert weight.data_ptr() == mine.data_ptr()
    AdversarialGenerator(zoo("skorch").source, attack=Spy()).generate(zoo.X_test, zoo.y_test)
    assert type(Spy.given[0]).__name__ == "NeuralNetClassifier" and Spy.given[1].dtype == np.float32
    AdversarialGenerator(zoo("art").source, attack=Spy()).generate(zoo.X_test, zoo.y_test)
    assert type(Spy.given[0]).__name__ == "PyTorchClassifier" and Spy.given[1].dtype == np.float32


def test_a_callable_is_given_the_task_where_it_names_it(iris) -> None:
    seen: dict[str, Any] = {}

    def attack(model, X, y, *, eps, norm, clip_values, targeted, random_state, power=1):
        seen.update(eps=eps, norm=norm, clip=clip_values, targeted=targeted, power=power, seed=random_state)
        return X

    X, y = iris
    given: dict[str, Any] = {"norm": 2, "clip_values": (0, 10), "attack_params": {"power": 2}}
    generator = AdversarialGenerator(SVC(), attack=attack, eps=0.25, random_state=3, **given).fit(X, y)
    generator.generate(X, target=1)
    seed = seen.pop("seed")
    assert seen == {"eps": 0.25, "norm": 2, "clip": (0, 10), "targeted": True, "power": 2}
    generator.generate(X, y)
    assert seen["targeted"] is False and seen["seed"] == seed and isinstance(seed, int)
    generator.set_params(eps=[1, 2, 3, 4]).generate(X, y)
    assert seen["eps"].tolist() == [1, 2, 3, 4]


class Counted(nn.Module):
    """A module in training mode, with batch statistics and a count of its calls."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def careless(model: Any, X: Any, y: Any) -> Any:
    """It switches the model, leaves gradients, and writes into its input."""
    model.train()
    x = torch.from_numpy(X).requires_grad_()
    nn.functional.cross_entropy(model(x), torch.from_numpy(y)).backward()
    model.zero_grad()
    X += x.grad.sign().numpy()
    return X


@pytest.mark.parametrize("attack", [careless, fb.LinfPGD, ta.PGD])
def test_nothing_of_the_users_is_changed(iris, attack: Any) -> None:
    X, y = iris[0].astype(np.float32), iris[1]
    net = Counted().train()
    net.net[0].weight.grad = torch.ones_like(net.net[0].weight)
    before, samples = deepcopy(net.state_dict()), X.copy()
    given = UNIT | {"clip_values": (0, 10)}
    X_adv = AdversarialGenerator(net, attack=attack, eps=0.5, **given).generate(X, y)
    assert (X_adv != X).any()
    np.testing.assert_array_equal(X, samples)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(part.training for part in net.modules())
    assert net.net[0].weight.grad.eq(1).all() and net.net[3].weight.grad is None


# instances


@pytest.mark.parametrize("made_targeted", [False, True])
def test_an_instance_is_copied_onto_the_source(zoo, made_targeted: bool) -> None:
    case, other = zoo("cnn"), zoo("torch_mlp").source
    instance = ta.PGD(other, eps=0.3, alpha=0.05, steps=10, random_start=False)
    if made_targeted:
        instance.set_mode_targeted_by_label(quiet=True)
    kept = instance.model, instance.attack_mode, instance.targeted
    given = UNIT | {"eps": 0.3, "max_iter": 10}
    X_adv = AdversarialGenerator(case.source, attack=instance, **given).generate(case.X, case.y)
    params = {"random_start": False}
    by_class = AdversarialGenerator(case.source, attack=ta.PGD, step_size=0.05, attack_params=params, **given)
    np.testing.assert_array_equal(X_adv, by_class.generate(case.X, case.y))
    target = (case.y + 1) % 10
    reached = AdversarialGenerator(case.source, attack=instance, **given).generate(case.X, target=target)
    np.testing.assert_array_equal(reached, by_class.generate(case.X, target=target))
    assert (instance.model, instance.attack_mode, instance.targeted) == kept
    assert instance.model is other


def test_attacks_made_of_attacks(zoo, capsys) -> None:
    case = zoo("cnn")
    parts = [ta.FGSM(zoo("torch_mlp").source, eps=0.3), ta.PGD(zoo("torch_mlp").source, eps=0.3, steps=5)]
    both = AdversarialGenerator(case.source, attack=ta.MultiAttack(parts), eps=0.3, **UNIT)
    fooled = 1 - share_right(case.source, both.generate(case.X, case.y), case.y)
    for part in parts:
        alone = AdversarialGenerator(case.source, attack=part, eps=0.3, **UNIT).generate(case.X, case.y)
        assert fooled >= 1 - share_right(case.source, alone, case.y)
    twice = fb.LinfAdditiveUniformNoiseAttack().repeat(3)
    X_adv = AdversarialGenerator(case.source, attack=twice, eps=0.3, **UNIT).generate(case.X, case.y)
    assert np.abs(X_adv - case.X).max() <= 0.3
    assert capsys.readouterr().out == ""


def test_a_distance_that_a_foolbox_attack_leaves_open_is_the_norm(zoo) -> None:
    case, instance = zoo("torch_mlp"), fb.LinearSearchBlendedUniformNoiseAttack(steps=5)
    generator = AdversarialGenerator(case.source, attack=instance, eps=2.0, norm=2, **UNIT)
    assert np.linalg.norm(generator.generate(case.X, case.y) - case.X, axis=1).max() <= 2
    assert instance._distance is None


# everywhere that generators go


@pytest.mark.parametrize(
    "attack",
    [*CLASSES, fb.LinfPGD(steps=5, rel_stepsize=0.5)],
    ids=["foolbox", "torchattacks", "callable", "instance"],
)
def test_transfer_and_its_curve(iris, attack: Any) -> None:
    X, y = iris
    models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    generator = AdversarialGenerator(attack=attack, eps=0.5, **UNIT | {"clip_values": (0, 10)})
    scorer = TransferScorer(generator, random_state=0).fit(models)
    matrix = scorer.transfer(X, y)
    assert matrix.mean_rate > matrix.noise[~np.eye(2, dtype=bool)].mean() + 0.1
    curve = scorer.transfer_curve(X, y, eps=[0.25, 0.5, 1.0])
    assert (np.diff(curve.mean_rates) > 0).all()
    np.testing.assert_array_equal(curve.matrices[2].fooled, matrix.fooled)
    assert 0 < scorer.robust_accuracy(models["svm"], X, y) < 1


def test_an_instance_of_torchattacks_keeps_its_eps(iris, linear) -> None:
    X, y = iris
    models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    instance = ta.PGD(linear, eps=0.05, alpha=0.01, steps=20)
    scorer = TransferScorer(
        AdversarialGenerator(attack=instance, eps=0.5, clip_values=(0, 10)), random_state=0
    )
    assert scorer.fit(models).transfer(X, y).mean_rate > 0
    with pytest.raises(ValueError, match=r"keeps its own eps, 0\.05.*pass its class"):
        scorer.transfer_curve(X, y, eps=[0.1, 0.5])


@pytest.fixture
def linear() -> nn.Module:
    return nn.Linear(4, 3)


@every_library
def test_samplers(iris, attack: Any) -> None:
    X, y = iris
    generator = AdversarialGenerator(attack=attack, eps=0.5, **UNIT | {"clip_values": (0, 10)})
    sampler = AdversarialSampler(
        generator, sources=[SVC(), LogisticRegression(max_iter=1000)], random_state=0
    )
    X_res, y_res = sampler.fit_resample(X, y)
    assert len(X_res) == len(y_res) == 300
    assert 0 < np.abs(X_res[150:] - X[sampler.sample_indices_]).max() <= 0.5


@pytest.mark.parametrize(
    "attack",
    [*CLASSES, fb.LinfPGD(), ta.PGD(nn.Linear(4, 3), eps=0.05)],
    ids=["foolbox", "torchattacks", "callable", "instance of foolbox", "instance of torchattacks"],
)
def test_cloned_pickled_and_written(iris, attack: Any) -> None:
    X, y = iris
    generator = AdversarialGenerator(SVC(), attack=attack, eps=0.5, **UNIT | {"clip_values": (0, 10)})
    twin = clone(generator)
    assert type(twin.attack) is type(attack) and "attack=" in repr(generator)
    assert generator.get_params()["attack"] is attack
    once = generator.fit(X, y).transform(X)
    assert twin.fit(X, y).transform(X).tobytes() == once.tobytes()
    assert pickle.loads(pickle.dumps(generator)).transform(X).tobytes() == once.tobytes()


@pytest.mark.usefixtures("quick_processes")
@every_library
def test_in_other_processes(iris, attack: Any) -> None:
    X, y = iris
    models = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    generator = AdversarialGenerator(attack=attack, eps=0.5, **UNIT | {"clip_values": (0, 10)})
    here = TransferScorer(generator).fit(models).transfer(X, y).fooled
    with parallel_config("loky", n_jobs=2):
        there = TransferScorer(generator, n_jobs=2).fit(models).transfer(X, y).fooled
    np.testing.assert_array_equal(here, there)


# errors


def wrong_shape(model: Any, X: Any, y: Any) -> Any:
    return X[:, :2]


def two_arguments(model: Any, X: Any) -> Any:
    return X


def broken(model: Any, X: Any, y: Any) -> Any:
    raise KeyError("no luck")


def holed(model: Any, X: Any, y: Any) -> Any:
    X[3, 1] = np.nan
    return X


def training(model: Any, X: Any, y: Any) -> Any:
    with torch.no_grad():
        next(model.parameters()).add_(1)
    return X


def unbounded(model: Any, X: Any, y: Any) -> Any:
    X[2] = np.inf
    return X


CLIP = {"clip_values": (0, 10)}


@dataclass(frozen=True)
class Bad:
    """A call that must fail."""

    id: str
    attack: Callable[[], Any]
    message: str
    error: type[Exception] = ValueError
    params: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)
    source: Callable[[], Any] | None = None


def net() -> nn.Module:
    return nn.Linear(4, 3)


BAD = [
    Bad("a network", net, "attack must be a string, .* or a callable .* got Linear", TypeError),
    Bad("an estimator", SVC, "attack must be a string, .* or a callable .* got SVC", TypeError),
    Bad("a class that is no attack", lambda: SVC, "or a callable .* got the class SVC", TypeError),
    Bad(
        "two arguments",
        lambda: two_arguments,
        r"callable as f\(model, X, y\), .* function two_arguments is not: too many positional",
        TypeError,
    ),
    Bad(
        "four arguments",
        lambda: lambda model, X, y, more: X,
        r"f\(model, X, y\), .* <lambda> is not: missing a required argument: 'more'",
        TypeError,
    ),
    Bad(
        "unknown parameters",
        lambda: signed,
        r"attack_params \['epsilon'\] are unknown to function signed, which takes \['eps', 'targeted'\]",
        params={"attack_params": {"epsilon": 1}},
    ),
    Bad(
        "restarts",
        lambda: signed,
        "n_restarts .*; function signed has to restart by itself",
        params={"n_restarts": 2},
    ),
    Bad(
        "returns None",
        lambda: lambda model, X, y: None,
        r"must return numbers of shape \(150, 4\).* got None",
    ),
    Bad("returns a list", lambda: lambda model, X, y: X.tolist(), "as an array or a tensor, got "),
    Bad("wrong shape", lambda: wrong_shape, r"of shape \(150, 4\).* got ndarray of shape \(150, 2\)"),
    Bad("texts", lambda: lambda model, X, y: X.astype(str), r"got ndarray of shape \(150, 4\) of type <U"),
    Bad("a mask", lambda: lambda model, X, y: X > 1, r"got ndarray of shape \(150, 4\) of type bool"),
    Bad("nan", lambda: holed, r"nan or infinite values for 1 of 150 samples \(the first is sample 3\)"),
    Bad(
        "infinite",
        lambda: unbounded,
        "nan or infinite values for 1 of 150 .* return such samples as they were",
    ),
    Bad(
        "trains the model",
        lambda: training,
        "function training raised ValueError: it wrote to the weights of the model, .*; write to a copy",
        source=net,
    ),
    Bad("raises", lambda: broken, "model 'SVC': function broken raised KeyError: 'no luck'", RuntimeError),
    Bad(
        "a target for a callable",
        lambda: broken,
        "function broken knows no target: it has no parameter named targeted",
        labels={"target": 1},
    ),
    Bad(
        "no clip_values",
        lambda: ta.PGD,
        r"inputs from 0 to 1, .* pass finite clip_values=\(min, max\), got None",
    ),
    Bad(
        "half of clip_values",
        lambda: ta.PGD,
        r"pass finite clip_values=\(min, max\), got \(0, inf\)",
        params={"clip_values": (0, np.inf)},
    ),
    Bad(
        "no range",
        lambda: ta.PGD,
        "clip_values must be None, .range. or a pair",
        params={"clip_values": "ab"},
    ),
    Bad(
        "another norm", lambda: ta.PGD, "PGD counts its budget in Linf, .* norm=2", params=CLIP | {"norm": 2}
    ),
    Bad("L1", lambda: ta.APGD, "APGD counts its budget in Linf or L2, .* norm=1", params=CLIP | {"norm": 1}),
    Bad("no L2", lambda: ta.PGDL2, "PGDL2 counts its budget in L2, .* norm=inf", params=CLIP),
    Bad(
        "another norm in foolbox",
        lambda: fb.L2PGD,
        r"counts its budget in norm 2, but the generator has norm=np\.inf; pass norm=2",
    ),
    Bad(
        "another eps",
        lambda: ta.PGD(net(), eps=0.1),
        "eps=0.1 of a range of 10, which is 1, but the generator eps=0.5; give both the same",
        params=CLIP,
    ),
    Bad(
        "eps per feature",
        lambda: ta.PGD(net(), eps=0.1),
        "one eps=0.1 for all features and samples, but the generator has several; give the attack's class",
        params=CLIP | {"eps": [0.5] * 4},
    ),
    Bad(
        "parameters of an instance",
        lambda: fb.LinfPGD(),
        "an attack given as an instance has its parameters; attack_params must be None",
        params={"attack_params": {"steps": 3}},
    ),
    Bad(
        "parameters that are none",
        lambda: fb.LinfPGD,
        r"\['step'\] are not parameters of foolbox's LinfProjected.*'rel_stepsize'",
        params={"attack_params": {"step": 3}},
    ),
    Bad(
        "parameters that are none in torchattacks",
        lambda: ta.PGD,
        r"\['model'\] are not parameters of torchattacks' PGD, which takes \['eps', 'alpha'",
        params=CLIP | {"attack_params": {"model": 3}},
    ),
    Bad(
        "parameters that its constructor refuses",
        lambda: fb.HopSkipJumpAttack,
        "foolbox's HopSkipJumpAttack raised AssertionError",
        params={"attack_params": {"constraint": "l3"}},
    ),
    Bad("abstract", lambda: fb.Attack, "foolbox's Attack raised TypeError: Can't instantiate", TypeError),
    Bad(
        "made of others",
        lambda: ta.MultiAttack,
        "is made of other attacks; make an instance of it",
        params=CLIP,
    ),
    Bad("on other networks", lambda: ta.LGV, "LGV attacks networks that it trains itself", params=CLIP),
    *(
        Bad(f"no target in {name}", attack, f"{name} has no targeted form", params=CLIP, labels={"target": 1})
        for name, attack in (
            ("foolbox's LinfFastGradientAttack", lambda: fb.FGSM),
            ("foolbox's L2DeepFoolAttack", lambda: fb.L2DeepFoolAttack),
            ("torchattacks' APGD", lambda: ta.APGD),
        )
    ),
    Bad(
        "a target only", lambda: fb.GenAttack, "only moves samples towards labels; call generate with target"
    ),
    Bad(
        "a black box",
        lambda: fb.LinfPGD,
        "foolbox's LinfProjected.* needs gradients, but Rule .*HopSkipJumpAttack and attack='auto'",
        TypeError,
        source=lambda: Rule(),
    ),
    Bad(
        "a black box for torchattacks",
        lambda: ta.PGD,
        "torchattacks' PGD needs gradients, but Rule .* torchattacks' Square and attack='auto'",
        TypeError,
        params=CLIP,
        source=lambda: Rule(),
    ),
    Bad(
        "what it needs",
        lambda: fb.DatasetAttack,
        "foolbox's DatasetAttack raised ValueError: .* 'feed",
        ValueError,
    ),
    Bad(
        "images",
        lambda: ta.TIFGSM,
        "model 'SVC': torchattacks' TIFGSM raised RuntimeError",
        RuntimeError,
        params=CLIP,
    ),
]


class Rule:
    """A black box: a rule, in predictions only."""

    classes_ = np.arange(3)

    def predict(self, X: Any) -> Any:
        return np.digitize(np.asarray(X)[:, 2], [2.5, 5])


@pytest.mark.parametrize("bad", BAD, ids=[bad.id for bad in BAD])
def test_errors(iris, bad: Bad) -> None:
    X, y = iris
    source = bad.source() if bad.source else FrozenEstimator(SVC().fit(X, y))
    generator = AdversarialGenerator(source, attack=bad.attack(), **{"eps": 0.5} | bad.params)
    with pytest.raises(bad.error, match=bad.message) as caught:
        generator.generate(X, **bad.labels or {"y": y})
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


@every_library
def test_categories_are_refused(attack: Any) -> None:
    table = pd.DataFrame({"a": [0.1, 0.2, 0.8, 0.9] * 3, "b": ["x", "y", "x", "y"] * 3})
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder

    encoder = make_column_transformer((OneHotEncoder(), ["b"]), remainder="passthrough")
    model = make_pipeline(encoder, LogisticRegression()).fit(table, [0, 0, 1, 1] * 3)
    generator = AdversarialGenerator(FrozenEstimator(model), attack=attack, clip_values=(0, 1))
    with pytest.raises(
        ValueError, match="takes numbers only, but X holds categories or missing values; encode"
    ):
        generator.generate(table)


@pytest.mark.parametrize("library", ["ART", "foolbox", "torchattacks"])
def test_samples_that_a_library_returns_as_nan_stay_as_they_are(zoo, library: str, monkeypatch) -> None:
    case = zoo("torch_mlp")
    class_: Any = {"ART": ProjectedGradientDescent, "foolbox": fb.LinfPGD, "torchattacks": ta.PGD}[library]
    method = {"ART": "generate", "foolbox": "run", "torchattacks": "forward"}[library]

    class Holed(class_):
        pass

    def with_nan(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = getattr(class_, method)(self, *args, **kwargs)
        (made.raw if hasattr(made, "raw") else made)[2:4] = np.nan
        return made

    monkeypatch.setattr(Holed, method, with_nan)
    generator = AdversarialGenerator(case.source, attack=Holed, eps=0.3, **UNIT)
    with pytest.warns(ModelWarning, match=f"{library}'s? Holed returned nan for 2 of 12 samples; these stay"):
        X_adv = generator.generate(case.X, case.y)
    np.testing.assert_array_equal(X_adv[2:4], case.X[2:4])
    assert (np.delete(X_adv, [2, 3], axis=0) != np.delete(case.X, [2, 3], axis=0)).any(axis=1).all()


def test_the_check_up_knows_who_follows_gradients(iris) -> None:
    from skhalfway.attacks._parameters import follows_gradients, gradient_attack, own_eps

    smooth, rule = as_model(SVC().fit(*iris)), as_model(Rule())
    for attack, name in (
        (fb.LinfPGD, "attack=LinfProjectedGradientDescentAttack"),
        (ta.PGD(net(), eps=0.1), "attack=PGD"),
        (fb.HopSkipJumpAttack, ""),
        (fb.LinfAdditiveUniformNoiseAttack().repeat(2), ""),
        (ta.Square, ""),
        (signed, ""),
    ):
        assert follows_gradients(attack) is bool(name)
        assert gradient_attack(attack, smooth) == name
        assert gradient_attack(attack, rule) == ""
    assert [own_eps(attack) for attack in ("pgd", fb.LinfPGD(), ta.PGD, signed)] == [None] * 4
    assert AdversarialGenerator(RandomForestClassifier(5), attack=fb.LinfPGD).fit(*iris).soft_agreement_ > 0.8
