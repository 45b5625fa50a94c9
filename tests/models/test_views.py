"""Evaluation views: the same answers as in evaluation mode, and nothing of the user's is touched."""

import copy
import pickle
from collections import defaultdict
from functools import partial

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod
from art.estimators.classification import PyTorchClassifier
from sklearn.ensemble import VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.codes import CodeMap
from skhalfway.models import _kept, as_model, check_model, to_module
from skhalfway.models._replacement import inside_anything, replaced
from skhalfway.models._views import evaluation_view, is_view

X = np.random.RandomState(0).rand(30, 4).astype(np.float32)
Y = (X[:, 0] > 0.5).astype(int)


def body():
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))


class Held(nn.Module):
    """A module that reaches its layers by ways of its own."""

    def __init__(self, how):
        super().__init__()
        self.net = net = body()
        self.call = {
            "module": lambda: net,
            "list": lambda: [net],
            "dict": lambda: defaultdict(list, net=net),
            "tuple": lambda: (net, 1),
            "set": lambda: {net},
            "closure": lambda: lambda x: net(x),
            "partial": lambda: partial(torch.nn.Module.__call__, net),
            "bound method": lambda: net.forward,
            "own method": lambda: self.run,
            "object": lambda: Holder(self, net),
        }[how]()

    def run(self, x):
        return self.net(x)

    def forward(self, x):
        call = self.call
        if isinstance(call, dict):
            return call["net"](x)
        if isinstance(call, (list, tuple, set)):
            return next(iter(call))(x)
        return call.net(x) if isinstance(call, Holder) else call(x)


class Holder:
    """A plain object that holds a module, and the module that holds it."""

    def __init__(self, owner, net):
        self.owner, self.net = owner, net


def hooked():
    net = body()
    net[0].register_forward_hook(lambda module, inputs, output: 2 * output)
    return net


def recurrent():
    class Rows(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.LSTM(2, 5, batch_first=True), nn.Linear(5, 2)

        def forward(self, x):
            return self.out(self.rnn(x.reshape(len(x), 2, 2))[0][:, -1])

    return Rows()


def tied():
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Linear(4, 2))
    net[2].weight = net[0].weight
    return net


def normed(parametrize):
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    parametrize(net[0])
    return net


HOW = ("module", "list", "dict", "tuple", "set", "closure", "partial", "bound method", "own method", "object")
MODULES = {f"held by {how}": partial(Held, how) for how in HOW} | {
    "hook": hooked,
    "LSTM": recurrent,
    "tied weights": tied,
    "weight norm": partial(normed, nn.utils.parametrizations.weight_norm),
    "spectral norm": partial(normed, nn.utils.parametrizations.spectral_norm),
    "batch statistics": lambda: nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False), nn.Linear(4, 2)),
    "script": lambda: torch.jit.script(body()),
    "trace": lambda: torch.jit.trace(body().eval(), torch.rand(3, 4)).train(),
}


def made(make):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = make()
        module.train()
        for parameter in module.parameters():
            parameter.grad = torch.ones_like(parameter)
    return module


def state(module):
    """Everything of a user's module that must stay."""
    return {
        "values": [w.detach().clone() for w in (*module.parameters(), *module.buffers())],
        "grad": [w.grad.clone() for w in module.parameters()],
        "flags": [part.training for part in module.modules()],
        "requires_grad": [w.requires_grad for w in module.parameters()],
        "hooks": [list(part._forward_hooks) for part in module.modules() if hasattr(part, "_forward_hooks")],
    }


def check_same(before, after):
    for name in before:
        equal = torch.equal if name in ("values", "grad") else lambda a, b: a == b
        assert all(map(equal, before[name], after[name])), name


ATTACKS = {
    "pgd": {},
    "fmn": {"attack": "fmn"},
    "hopskipjump": {"attack": "hopskipjump", "max_queries": 30},
    "art": {"attack": FastGradientMethod},
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TorchScript
@pytest.mark.filterwarnings("ignore:.*refuses a sample alone:skhalfway.models.ModelWarning")
@pytest.mark.filterwarnings("ignore:for .* samples no input:skhalfway.models.ModelWarning")
@pytest.mark.parametrize("kind", MODULES)
def test_answers_are_those_of_evaluation_mode_and_nothing_is_touched(kind):
    module = made(MODULES[kind])
    reference = made(MODULES[kind]).eval()
    with torch.no_grad():
        expected = reference(torch.from_numpy(X)).numpy()
    before = state(module)
    np.testing.assert_allclose(as_model(module).scores(X), expected, atol=1e-6)
    for attack in ATTACKS.values():
        AdversarialGenerator(module, max_iter=3, random_state=0, **attack).generate(X, Y)
    check_same(before, state(module))
    viewed = is_view(evaluation_view(module))
    assert viewed != (kind in ("script", "trace"))


@pytest.mark.parametrize("kind", ["module", "closure"])
def test_gradients_are_the_modules(kind):
    module = made(partial(Held, kind))
    x = torch.from_numpy(X).requires_grad_()
    model = as_model(module)
    with model.evaluating():
        (through_view,) = torch.autograd.grad(model.logits(x)[:, 1].sum(), x)
    (direct,) = torch.autograd.grad(module.eval()(x)[:, 1].sum(), x)
    torch.testing.assert_close(through_view, direct)


def test_a_view_follows_its_module():
    module = made(body)
    model = as_model(module)

    def check():
        with torch.no_grad():
            expected = copy.deepcopy(module).eval()(torch.from_numpy(X).to(module[-1].weight.dtype)).numpy()
        np.testing.assert_allclose(model.scores(X), expected, atol=1e-6)

    check()
    with torch.no_grad():
        module[0].weight.mul_(2)
    check()
    module(torch.from_numpy(X))  # new batch statistics
    check()
    module.double()
    check()
    module[-1] = nn.Linear(8, 2, dtype=torch.float64)
    check()
    module[2] = nn.Tanh()
    check()
    module.load_state_dict({name: 3 * value for name, value in module.state_dict().items()}, assign=True)
    check()


def test_a_view_stays_in_evaluation_mode_and_can_be_copied():
    view = evaluation_view(made(body))
    assert not any(part.training for part in view.train().modules())
    x = torch.from_numpy(X)
    for twin in (copy.deepcopy(view), pickle.loads(pickle.dumps(view))):
        torch.testing.assert_close(twin(x), view(x))
        assert twin[0].weight.data_ptr() != view[0].weight.data_ptr()


def test_to_module_gives_the_module_itself():
    module = body()
    assert to_module(module) is module


SHARED = body()


def helper(x):
    return SHARED(x)


def unregistered(how):
    """A module that reaches its layers, which no list of its modules holds, through functions; and these."""
    net = body()

    class Closure(nn.Module):
        def forward(self, x):
            return net(x)

    class Default(nn.Module):
        def forward(self, x, net=net):
            return net(x)

    class Keyword(nn.Module):
        def forward(self, x, *, net=net):
            return net(x)

    class Global(nn.Module):
        def forward(self, x):
            return SHARED(x)

    class Helper(nn.Module):
        def run(self, x):
            return helper(x)

        def forward(self, x):
            return self.run(x)

    class Inherited(Closure):
        def forward(self, x):
            return super().forward(x)

    class Property(nn.Module):
        @property
        def net(self):
            return net

        def forward(self, x):
            return self.net(x)

    class Static(nn.Module):
        @staticmethod
        def run(x):
            return net(x)

        def forward(self, x):
            return self.run(x)

    kinds = (Closure, Default, Keyword, Global, Helper, Inherited, Property, Static)
    kind = next(kind for kind in kinds if kind.__name__ == how)
    return kind(), SHARED if how in ("Global", "Helper") else net


VIEWED = ("Closure", "Default", "Keyword", "Global", "Helper")


@pytest.mark.parametrize("how", [*VIEWED, "Inherited", "Property", "Static"])
def test_modules_that_only_functions_name_are_not_touched(how):
    torch.manual_seed(0)  # other weights may have no gradient at a sample
    module, net = unregistered(how)
    module.train(), net.train()
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = state(net)
    as_model(module).predict(X)
    AdversarialGenerator(module, max_iter=3, random_state=0).generate(X, Y)
    check_same(before, state(net))
    assert is_view(evaluation_view(module)) == (how in VIEWED)
    net.eval()
    with torch.no_grad():
        expected = net(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(as_model(module).scores(X), expected, atol=1e-6)


def test_a_copied_function_keeps_to_its_file():
    """Its name and its file's, by which Python finds warnings, pickles and relative imports."""
    other = body().eval()
    twin = replaced(helper, lambda value: value is SHARED, lambda value: other, inside_anything)
    x = torch.from_numpy(X)
    torch.testing.assert_close(twin(x), other(x))
    assert (twin.__module__, twin.__name__) == (__name__, "helper")
    special = {name: value for name, value in globals().items() if name.startswith("__")}
    assert special.items() <= dict(twin.__globals__).items()


def test_what_a_module_writes_to_is_told_from_its_first_calls_alone(monkeypatch):
    """One without gradients and one with them; after that nothing is compared, which takes time."""
    copied, copy_of = [], _kept._copy
    monkeypatch.setattr(_kept, "_copy", lambda value: copied.append(value) or copy_of(value))
    model, x = as_model(made(body)), torch.from_numpy(X).requires_grad_()
    for ask in (lambda: model.predict(X), lambda: model.logits(x)):
        for first in (True, False, False):
            copied.clear()
            ask()
            # each weight, buffer and array once
            assert len({id(value) for value in copied}) == len(copied)
            assert bool(copied) == first
    model.scores(X)
    assert not copied


def test_a_view_follows_a_global(monkeypatch):
    module, net = unregistered("Global")
    model = as_model(module)
    net.eval()
    model.predict(X)
    other = body().eval()
    monkeypatch.setitem(globals(), "SHARED", other)
    with torch.no_grad():
        np.testing.assert_allclose(model.scores(X), other(torch.from_numpy(X)).numpy(), atol=1e-6)


class Writing(nn.Module):
    """Writes in one of many ways, as it is called."""

    def __init__(self, how):
        super().__init__()
        self.how, self.net = how, nn.Linear(4, 2)
        self.register_buffer("n", torch.zeros(()))
        self.tensor, self.array, self.nested = torch.zeros(3), np.zeros(3), {"sizes": [[0]]}
        with torch.no_grad():
            # cut off at 1, both classes still differ
            self.net.weight.copy_(9 * torch.tensor([[1.0, -1.0, 0.02, 0.05], [-1.0, 1.0, 0.05, -0.02]]))

    def forward(self, x):
        if self.how == "with gradients" and x.requires_grad:
            self.n += len(x)
        if self.how == "data":
            self.net.weight.data.clamp_(-1, 1)
        if self.how == "no_grad":
            with torch.no_grad():
                self.net.weight.clamp_(-1, 1)
        if self.how == "attributes":
            self.tensor += 1
            self.array += 1
        if self.how == "containers":
            self.nested["sizes"][0].append(len(x))
        return self.net(x)


WAYS = {
    "with gradients": "predicting changes its n",
    "data": "predicting changes its net.weight",
    "no_grad": "predicting changes its net.weight",
    "attributes": "predicting changes its tensor, array",
    "containers": "",
}
WRAPPERS = {
    "torch": lambda module: module,
    "skorch": lambda module: FrozenEstimator(
        NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss, classes=[0, 1]).initialize()
    ),
    "ART": lambda module: PyTorchClassifier(module, nn.CrossEntropyLoss(), (4,), 2, device_type="cpu"),
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("how", WAYS)
def test_whatever_a_module_writes_to_stays_and_is_said(how, wrapper):
    module = Writing(how)
    values = [module.tensor, torch.from_numpy(module.array), *module.parameters(), *module.buffers()]
    before = [value.detach().clone() for value in values]
    model = WRAPPERS[wrapper](module)
    for _ in range(2):
        check = check_model(model, X, Y)
        said = [finding.message for finding in check.findings if finding.kind == "state"]
        assert [message.replace("module.", "") for message in said] == ([WAYS[how]] if WAYS[how] else [])
    AdversarialGenerator(model, max_iter=3).fit(X, Y).generate(X, Y)
    assert all(map(torch.equal, values, before)) and module.nested == {"sizes": [[0]]}


def test_gradients_of_what_a_module_writes_to():
    module = Writing("no_grad")
    twin = copy.deepcopy(module)
    x = torch.from_numpy(X).requires_grad_()
    model = as_model(module)
    with model.evaluating():
        (found,) = torch.autograd.grad(model.logits(x)[:, 1].sum(), x)
    (expected,) = torch.autograd.grad(twin(x)[:, 1].sum(), x)
    torch.testing.assert_close(found, expected)
    with torch.no_grad():
        # its owner trains on
        module.net.weight.mul_(-0.01)
        np.testing.assert_allclose(model.scores(X), module(torch.from_numpy(X)).numpy(), atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TorchScript
def test_buffers_of_what_cannot_be_viewed_stay():
    class Adding(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(4, 2)
            self.register_buffer("n", torch.zeros(()))

        def forward(self, x):
            self.n += 1
            return self.net(x)

    module = torch.jit.script(Adding())
    before = module.n.clone()
    for _ in range(2):
        as_model(module).predict(X)
    AdversarialGenerator(module, max_iter=2).generate(X, Y)
    assert torch.equal(module.n, before)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of TorchScript
def test_frozen_modules_have_no_mode():
    module = body().eval()
    frozen = torch.jit.freeze(torch.jit.script(module))
    np.testing.assert_allclose(as_model(frozen).scores(X), as_model(module).scores(X), atol=1e-6)
    AdversarialGenerator(frozen, max_iter=2).generate(X, Y)


class Counting(nn.Module):
    """Writes to itself whenever it is called."""

    def __init__(self):
        super().__init__()
        self.net, self.calls, self.seen = body(), 0, []
        self.register_buffer("total", torch.zeros(()))
        self.register_buffer("last", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        self.seen.append(len(x))
        self.total += len(x)
        self.last = x.sum().detach()
        return self.net(x)


def test_what_a_module_writes_to_itself_is_not_written_to_the_users():
    module = Counting().eval()
    model = as_model(module)
    for _ in range(2):
        model.predict(X)
    AdversarialGenerator(module, max_iter=2).generate(X, Y)
    assert module.calls == 0 and module.seen == [] and module.total == 0 and module.last == 0
    assert model.written == ["total"]


def test_lazy_modules_are_refused():
    module = nn.Sequential(nn.LazyLinear(3))
    with pytest.raises(
        ValueError, match="Sequential has a LazyLinear that was never run.* call the module once"
    ):
        as_model(module).predict(X)


def test_weights_made_in_inference_mode():
    with torch.inference_mode():
        module = made(lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)).eval())
        expected = AdversarialGenerator(LogisticRegression()).fit(X, Y).transform(X)
        moved = AdversarialGenerator(module).transform(X)
    assert (moved != X).any()
    np.testing.assert_array_equal(AdversarialGenerator(LogisticRegression()).fit(X, Y).transform(X), expected)


def skorch_net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = NeuralNetClassifier(
            body, criterion=nn.CrossEntropyLoss, max_epochs=2, verbose=0, train_split=None
        )
        net.fit(X, Y)
    net.module_.train()
    return net


def with_nets():
    net = skorch_net()
    pipeline = make_pipeline(StandardScaler(), net).fit(X, Y)
    net.module_.train()
    voting = VotingClassifier([("net", FrozenEstimator(net)), ("lr", LogisticRegression())], voting="soft")
    return {"net": net, "pipeline": pipeline, "voting": voting.fit(X, Y), "frozen": FrozenEstimator(net)}


@pytest.mark.parametrize("kind", ["net", "pipeline", "voting", "frozen"])
def test_skorch_nets_are_not_switched_and_draw_nothing(kind):
    estimator = with_nets()[kind]
    inner = estimator.steps[-1][1] if kind == "pipeline" else None
    if kind == "voting":
        inner = estimator.estimators_[0].estimator
    module = (inner or getattr(estimator, "estimator", estimator)).module_
    module.train()
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    before, drawn = state(module), torch.get_rng_state()
    predicted = as_model(estimator).predict(X)
    assert torch.equal(drawn, torch.get_rng_state())
    check_same(before, state(module))
    np.testing.assert_array_equal(predicted, estimator.predict(X))


def test_an_art_attack_of_the_users_leaves_its_classifier_alone():
    module = made(body)
    classifier = PyTorchClassifier(module, nn.CrossEntropyLoss(), (4,), 2, device_type="cpu")
    module.train()
    before = state(module)
    attack = FastGradientMethod(classifier, eps=0.1)
    X_adv = AdversarialGenerator(classifier, attack=attack, eps=0.1).generate(X, Y)
    check_same(before, state(module))
    assert attack.estimator is classifier
    by_class = AdversarialGenerator(module, attack=FastGradientMethod, eps=0.1).generate(X, Y)
    np.testing.assert_allclose(X_adv, by_class, atol=1e-6)


def test_a_code_map_leaves_no_hook():
    module = made(body)
    before = state(module)
    CodeMap(module, shape=(2, 2), n_iter=20, random_state=0).fit(X).transform(X)
    check_same(before, state(module))


@pytest.mark.filterwarnings("ignore:.*accuracy:skhalfway.models.ModelWarning")  # it is not trained
def test_a_scorer_of_models_in_training_mode():
    module = made(body)
    before = state(module)
    lr = LogisticRegression().fit(X, Y)
    scorer = TransferScorer(AdversarialGenerator(max_iter=3), random_state=0, n_jobs=2)
    scorer.fit({"net": module, "lr": lr}).transfer(X, Y)
    check_same(before, state(module))
