"""What torch modules return is read in the one way in which it can be read, or refused."""

import warnings
from collections import OrderedDict, namedtuple
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from art.estimators.classification import SklearnClassifier
from sklearn.linear_model import LogisticRegression
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional as F  # noqa: N812

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.models import ModelWarning, _outputs, as_model, check_model
from skhalfway.models._torch_model import _agree

X = np.random.RandomState(0).rand(40, 5).astype(np.float32)
Pair = namedtuple("Pair", "scores features")


def linear(n_out=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        # far from the middle, so that probabilities come near 0 and 1
        layer = nn.Linear(5, n_out)
        with torch.no_grad():
            layer.weight.mul_(6)
            layer.bias.sub_(layer(torch.from_numpy(X)).mean(0))
    return layer


class Slots:
    """An output without a dict of its own."""

    __slots__ = ("hidden", "logits")

    def __init__(self, logits, hidden):
        self.logits, self.hidden = logits, hidden


class Slot:
    __slots__ = "scores"

    def __init__(self, scores):
        self.scores = scores


class Ending(nn.Module):
    """A linear layer, and what is made of its output."""

    def __init__(self, end, n_out=3):
        super().__init__()
        self.layer, self.end = linear(n_out), end

    def forward(self, x):
        return self.end(self.layer(x))


def logits(module):
    with torch.no_grad():
        return module(torch.from_numpy(X)).numpy()


READ = {
    "rows": lambda z: z,
    "(n, k, 1, 1)": lambda z: z[:, :, None, None],
    "(n, 1, k)": lambda z: z[:, None],
    "tuple with a number": lambda z: (z, z.sum()),
    "tuple with None": lambda z: (None, z),
    "list of one": lambda z: [z],
    "dict of one": lambda z: {"anything": z},
    "dict with logits": lambda z: {"features": 2 * z, "logits": z},
    "ordered dict": lambda z: OrderedDict(loss=z.sum(), out=z),
    "object with logits": lambda z: SimpleNamespace(logits=z, hidden=2 * z),
    "slots with logits": lambda z: Slots(z, 2 * z),
    "slot of another name": lambda z: Slot(z),
    "named tuple": lambda z: Pair(z, z[0, 0]),
    "integers": lambda z: (100 * z).long(),
    "float64": lambda z: z.double(),
    "squeezed": lambda z: z.squeeze(),
}
REFUSED = {
    "two of the same shape": (lambda z: (z, 2 * z), ValueError, "more than one of these can be the logits"),
    "two axes": (lambda z: z[:, :, None] * torch.ones(2), ValueError, r"returns shape \(\d+, 3, 2\) for"),
    "a row too few": (lambda z: z[1:], ValueError, r"returns shape \(\d+, 3\) for \d+ samples"),
    "a number": (lambda z: z.sum(), ValueError, r"returns shape \(\) for \d+ samples"),
    "first axis of one": (lambda z: z[None], ValueError, r"returns shape \(1, \d+, 3\) for \d+ samples"),
    "an array": (lambda z: z.detach().numpy(), TypeError, "returns a ndarray of shape"),
    "None": (lambda z: None, TypeError, "returns a NoneType; a tensor of logits"),
    "dict of numbers": (lambda z: {"a": 1, "b": 2}, ValueError, "none of these can be the logits"),
}


@pytest.mark.parametrize("shape", READ)
def test_outputs_that_can_be_read_in_one_way(shape):
    module, direct = Ending(READ[shape]), logits(linear())
    model = as_model(module)
    direct = (100 * direct).astype(int) if shape == "integers" else direct
    np.testing.assert_array_equal(model.predict(X), direct.argmax(1))
    np.testing.assert_array_equal(model.predict(X[:1]), model.predict(X)[:1])
    if shape != "integers":
        X_adv = AdversarialGenerator(module, max_iter=3).generate(X)
        np.testing.assert_allclose(X_adv, AdversarialGenerator(linear(), max_iter=3).generate(X), atol=1e-6)


@pytest.mark.parametrize("shape", REFUSED)
def test_outputs_that_cannot_be_read_are_refused(shape):
    end, error, message = REFUSED[shape]
    for call in (as_model(Ending(end)).predict, AdversarialGenerator(Ending(end)).transform):
        with pytest.raises(error, match=message):
            call(X)
    with pytest.raises(error, match=f"model 'odd'.*{message}"):
        TransferScorer().fit({"odd": Ending(end), "plain": linear()}).transfer(X, np.arange(40) % 3)


def test_known_classes_tell_two_tensors_apart():
    model = as_model(Ending(lambda z: (z, z @ torch.ones(3, 4))), classes=[1, 2, 3])
    np.testing.assert_array_equal(model.predict(X), logits(linear()).argmax(1))
    # one that can be the logits is so, of another number of columns too: one is enough for two classes
    model = as_model(Ending(lambda z: (z, z.sum()), 1), classes=[1, 2])
    np.testing.assert_array_equal(model.predict(X), predicted(1))
    with pytest.raises(ValueError, match=r"Ending has 3 outputs for 2 classes \[1, 2\]"):
        as_model(Ending(lambda z: (z, z.sum())), classes=[1, 2]).predict(X)


# what is made of logits, number of outputs
SEEN = {
    "softmax function": (lambda z: F.softmax(z, dim=1), 3),
    "softmax method": (lambda z: z.softmax(-1), 3),
    "softmax of torch": (lambda z: torch.softmax(z, 1), 3),
    "softmax by names": (lambda z: torch.softmax(input=z, dim=1), 3),
    "sigmoids by name": (lambda z: torch.sigmoid(input=z), 3),
    "softmax module": (nn.Softmax(dim=1), 3),
    "sequence": (nn.Sequential(nn.Identity(), nn.Sequential(nn.Softmax(1))), 3),
    "softmax in a dict": (lambda z: {"probabilities": z.softmax(1)}, 3),
    "softmax and a view": (lambda z: z.softmax(1).reshape(-1, 3, 1), 3),
    "sigmoids": (nn.Sigmoid(), 3),
    "one sigmoid": (torch.sigmoid, 1),
    "one sigmoid, module": (nn.Sigmoid(), 1),
    "one sigmoid, in place": (lambda z: z.sigmoid_(), 1),
    "one sigmoid, squeezed": (lambda z: z.sigmoid().squeeze(1), 1),
    "one sigmoid, squeezed before": (lambda z: F.sigmoid(z.squeeze(1)), 1),
    "two-class softmax": (nn.Softmax(1), 2),
    "one sigmoid, indexed": (lambda z: z.sigmoid()[:, 0], 1),
    "one sigmoid, selected": (lambda z: z.sigmoid().select(1, 0), 1),
    "one sigmoid, narrowed": (lambda z: torch.sigmoid(z).narrow(1, 0, 1).clone(), 1),
    "one of two by softmax": (lambda z: torch.cat([-z, z], dim=1).softmax(1)[:, 1], 1),
    "1 less one of two": (lambda z: 1 - torch.cat([-z, z], dim=1).softmax(1)[:, 0], 1),
    "1 less a sigmoid": (lambda z: 1 - torch.sigmoid(-z)[:, 0], 1),
}
GUESSED = {
    "softmax, clamped": (lambda z: z.softmax(1).clamp(1e-7, 1 - 1e-7), 3),
    "pair of sigmoids": (lambda z: torch.cat([torch.sigmoid(-z), torch.sigmoid(z)], dim=1), 1),
    "one sigmoid, clamped": (lambda z: z.sigmoid().clamp(1e-7, 1 - 1e-7), 1),
    "exponential": (lambda z: z.log_softmax(1).exp(), 3),
}


def predicted(n_out):
    z = logits(linear(n_out))
    return (z[:, 0] > 0).astype(int) if n_out == 1 else z.argmax(1)


@pytest.mark.parametrize("end", SEEN)
@pytest.mark.parametrize("attack", ["pgd", "fmn"])
def test_a_last_sigmoid_or_softmax_is_seen_and_left_out(end, attack):
    function, n_out = SEEN[end]
    model = as_model(Ending(function, n_out))
    np.testing.assert_array_equal(model.predict(X), predicted(n_out))
    assert (model.output, model.output_source) == ("probability", "seen")
    # the attack is the one through the logits
    settings = {"attack": attack, "max_iter": 5, "eps": 0.2}
    X_adv = AdversarialGenerator(Ending(function, n_out), **settings).generate(X)
    np.testing.assert_allclose(X_adv, AdversarialGenerator(linear(n_out), **settings).generate(X), atol=1e-5)


@pytest.mark.parametrize("end", GUESSED)
def test_what_looks_like_probabilities_is_converted_with_a_warning(end):
    function, n_out = GUESSED[end]
    model = as_model(Ending(function, n_out))
    with pytest.warns(ModelWarning, match="Ending returns .* between 0 and 1: read as probabilities"):
        np.testing.assert_array_equal(model.predict(X), predicted(n_out))
    assert (model.output, model.output_source) == ("probability", "guessed")
    # said once; scores are the logits but for a constant
    z, direct = model.scores(X), logits(linear(n_out))
    direct = np.hstack([0 * direct, direct]) if n_out == 1 else direct
    np.testing.assert_allclose(z - z[:, :1], direct - direct[:, :1], atol=1e-2, rtol=1e-2)


@pytest.mark.parametrize(
    ("output", "function", "n_out"),
    [
        ("probability", lambda z: z.softmax(1).clamp(1e-7, 1), 3),
        ("probability", lambda z: z.sigmoid().clamp(1e-7, 1), 1),
        ("log_probability", lambda z: z.log_softmax(1), 3),
        ("log_probability", nn.LogSigmoid(), 1),
        ("logits", lambda z: z, 1),
    ],
)
def test_what_a_module_returns_may_be_said(output, function, n_out):
    model = as_model(Ending(function, n_out), output=output)
    np.testing.assert_array_equal(model.predict(X), predicted(n_out))
    np.testing.assert_array_equal(model.predict(X[:3]), predicted(n_out)[:3])
    assert (model.output, model.output_source) == (output, "stated")


@pytest.mark.parametrize(
    "end",
    [
        lambda z: 2 - torch.sigmoid(z)[:, 0],
        lambda z: 1 + torch.sigmoid(z),
        lambda z: 1 - torch.sigmoid(z).exp(),
        lambda z: torch.cat([z, -z, 2 * z], dim=1).softmax(0),
        lambda z: 3 * torch.cat([-z, z], dim=1).softmax(1),
    ],
    ids=[
        "2 less a sigmoid",
        "1 and a sigmoid",
        "1 less an exponential",
        "softmax over samples",
        "a multiple",
    ],
)
def test_what_is_made_of_probabilities_is_none(end):
    module = Ending(end, 1)
    model = as_model(module)
    with torch.no_grad():
        direct = module(torch.from_numpy(X)).reshape(len(X), -1).numpy()
    scores = model.scores(X)
    assert (model.output_source, model.ends_in_probability) == ("assumed", False)
    np.testing.assert_allclose(scores[:, -1], direct[:, -1], atol=1e-6)


# values, and whether they are probabilities; None where they are too few to say
PROBABILITIES = {
    "rows that sum to 1": ([[0.2, 0.8], [0.5, 0.5]], True),
    "rows that sum to 1 but for rounding": ([[0.2, 0.8005], [0.5, 0.5]], True),
    "rows that sum to more": ([[0.2, 0.802], [0.5, 0.5]], False),
    "rows that sum to less": ([[0.2, 0.798], [0.5, 0.5]], False),
    "next to 0 and 1": ([[-0.0009, 1.0009], [0.5, 0.5]], True),
    "as far below 0 as may be, and above 1": ([[-1e-3, 1.001], [0.5, 0.5]], True),
    "below 0": ([[-0.002, 1.0005], [0.5, 0.5]], False),
    "above 1": ([[0.0, 1.002], [0.5, 0.5]], False),
    "one row between": ([[0.2, 0.8]], True),
    "one row with some between": ([[0.0, 0.3, 0.7]], True),
    "one row of 0 and 1": ([[0.0, 1.0]], None),
    "one row between that does not sum to 1": ([[0.2, 0.7]], False),
    "the same rows": ([[0.2, 0.8]] * 3, None),
    "the same rows, but for what has no value": ([[0.2, 0.8], [0.2, 0.8], [np.nan, 0.5]], None),
    "rows without a value": ([[0.2, 0.8], [0.3, 0.7], [np.nan, 5.0], [np.inf, 0.0]], True),
    "nothing": (np.zeros((0, 2)), None),
    "a column of few": (np.linspace(0.1, 0.9, 19)[:, None], None),
    "a column of 20": (np.linspace(0.1, 0.9, 20)[:, None], True),
    "a column with one below 0": ([[-0.5], [0.5]], False),
}


@pytest.mark.parametrize("case", PROBABILITIES)
def test_values_that_look_like_probabilities(case):
    values, expected = PROBABILITIES[case]
    assert _outputs.look_like_probabilities(torch.tensor(np.array(values, dtype=float))) is expected


# kind that is stated, least and largest value, and what is advised; "" where these can be
STATED = [
    ("probability", 0.0, 1.0, ""),
    ("probability", -0.0009, 1.0009, ""),
    ("probability", -1e-3, 1.001, ""),
    ("probability", -0.0011, 0.5, "logits"),
    ("probability", 0.5, 1.0011, "logits"),
    ("log_probability", -1e9, 0.0, ""),
    ("log_probability", -1.0, 0.0009, ""),
    ("log_probability", -1.0, 1e-3, ""),
    ("log_probability", -1.0, 0.5, "logits"),
    ("log_probability", 0.0, 1.0, "probability"),
    ("log_probability", 0.4, 0.6, "probability"),
    ("log_probability", 0.0, 1.1, "logits"),
    ("log_probability", 0.0, 2.0, "logits"),
    ("logits", -1e9, 1e9, ""),
]


@pytest.mark.parametrize(("kind", "least", "most", "instead"), STATED)
def test_what_values_can_be(kind, least, most, instead):
    z = torch.tensor([[least, np.nan], [most, -np.inf]], dtype=torch.float64)
    if instead:
        with pytest.raises(ValueError, match=f"or say output='{instead}'$"):
            _outputs.check_stated(z, kind, "it")
    else:
        _outputs.check_stated(z, kind, "it")
        _outputs.check_stated(z * torch.nan, kind, "it")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_logits_of_each_kind_by_formula(dtype):
    tiny = np.log(torch.finfo(dtype).tiny)
    rows, column = torch.tensor([[0.0, 1.0], [0.25, 0.75]], dtype=dtype), [[0.0], [0.25], [1.0]]
    column = torch.tensor(column, dtype=dtype)
    cases = [
        (rows, "probability", [[tiny, 0], [np.log(0.25), np.log(0.75)]]),
        (column, "probability", [[tiny], [-np.log(3)], [-tiny]]),
        (column.log()[1:], "log_probability", [[-np.log(3)], [-tiny]]),
        (rows.log()[1:], "log_probability", [[np.log(0.25), np.log(0.75)]]),
        (rows, "logits", rows.numpy()),
        (column, "logits", column.numpy()),
    ]
    for z, kind, expected in cases:
        np.testing.assert_allclose(_outputs.to_logits(z, kind).numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (torch.int64, torch.float32),
        (torch.bool, torch.float32),
        (torch.float16, torch.float16),
        (torch.float64, torch.float64),
    ],
)
@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1), (4, 1, 3), (4,), (4, 1)])
def test_scores_keep_their_float_type(given, kept, shape):
    z = _outputs.as_columns(torch.ones(shape, dtype=given), 4, "it")
    assert (z.dtype, z.shape) == (kept, (4, 3 if 3 in shape else 1))


@pytest.mark.parametrize(("off", "agrees"), [(0.0, True), (5e-4, True), (9e-7, True), (2e-3, False)], ids=str)
@pytest.mark.parametrize("function", [torch.sigmoid, nn.Softmax(1)], ids=["sigmoid", "softmax"])
def test_logits_before_probabilities_must_lead_to_them(function, off, agrees):
    """But for rounding, by a thousandth of them or a millionth."""
    logits = torch.tensor([[0.3, -1.0], [-40.0, 2.0]])
    z = function(logits) * (1 + (off if off > 1e-5 else 0)) + (off if off < 1e-5 else 0)
    assert _agree(logits, z, 2, "it") is agrees
    assert not _agree(logits, z + 2e-6 + 2e-3 * z, 2, "it")


def test_samples_that_are_made_mix_those_there_are_with_0():
    x = torch.tensor([[1.0, 20.0], [2.0, 30.0]])
    made = _outputs.mixed(x)
    assert made.shape == (32, 2)
    assert [set(column.tolist()) for column in made.T] == [{0, 1, 2}, {0, 20, 30}]
    assert len(made.unique(dim=0)) > len(x) + 1
    torch.testing.assert_close(made, _outputs.mixed(x))


def test_logits_between_0_and_1_may_be_called_so():
    module = Ending(lambda z: z.sigmoid().clamp(1e-7, 1 - 1e-7), 1)
    assert (as_model(module, output="logits").predict(X) == 1).all()


# a single column that is made of logits with two columns, or one, so that its last sigmoid cannot be seen
ONE_COLUMN = {
    "sigmoid": (lambda z: z.sigmoid() + 0.0, 1),
    "indexed": (lambda z: (z.sigmoid() + 0.0)[:, 0], 1),
    "of a softmax over three": (lambda z: z.softmax(1)[:, 1], 3),
    "by exp": (lambda z: 1 / (1 + (-z).exp()), 1),
}


@pytest.mark.parametrize("n", [1, 2, 3, 19, 20])
@pytest.mark.parametrize("end", ONE_COLUMN)
def test_few_samples_with_one_probability_each_are_read_as_many_are(end, n):
    function, n_out = ONE_COLUMN[end]
    module = Ending(function, n_out)
    with torch.no_grad():
        second = module(torch.from_numpy(X)).numpy().reshape(-1) > 0.5
    for given in (X, X.astype(float).round(), X[:, ::-1]):
        with pytest.warns(ModelWarning, match="one column, all of it between 0 and 1: read as probabilities"):
            as_model(module).predict(given[:n])
    model = as_model(module)
    with pytest.warns(ModelWarning):
        np.testing.assert_array_equal(model.predict(X[:n]), second[:n])
    np.testing.assert_array_equal(model.predict(X), second)
    assert (model.output, model.output_source) == ("probability", "guessed")


@pytest.mark.parametrize("n", [1, 3, 40])
def test_few_logits_in_one_column_stay_logits(n):
    module = Ending(lambda z: z, 1)
    between = X[((logits(module) > 0) & (logits(module) < 1))[:, 0]]
    model = as_model(module)
    assert len(between) and (model.predict(between[:n]) == 1).all()
    np.testing.assert_array_equal(model.predict(X), predicted(1))
    assert (model.output, model.output_source) == ("logits", "assumed")


@pytest.mark.parametrize("n", [1, 5, 40])
def test_small_logits_in_one_column_are_told_by_larger_ones(n):
    module = Ending(lambda z: 0.5 + 0.01 * z, 1)
    assert ((logits(module) > 0) & (logits(module) < 1)).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (as_model(module).predict(X[:n]) == 1).all()


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e3])
@pytest.mark.parametrize("whole", [0, 1, 4])
def test_samples_a_thousand_times_as_far_tell_small_logits(scale, whole):
    """Whatever unit features have, and where some of them are whole numbers."""
    samples, given = (scale * X).astype(np.float32), []
    samples[:, :whole] = (np.arange(40) % 3)[:, None]

    def small(x):
        given.append(x.detach().clone())
        return 0.5 + 0.01 * (x[:, whole:] / scale - 0.5).sum(dim=1, keepdim=True)

    module = Calling(small)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = as_model(module)
        assert (model.predict(samples) == 1).all()
    assert (model.output, model.output_source) == ("logits", "assumed")
    far = 1000 * _outputs.mixed(torch.from_numpy(samples))
    assert any(len(x) == 64 and torch.equal(x, torch.cat([far, -far])) for x in given)


class Calling(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def test_few_values_of_0_and_1_alone_are_no_probabilities_yet():
    """Labels, maybe: until one lies between, or a sample further away does."""

    def some(x):
        assert len(x) <= 3
        return (x.sum(dim=1, keepdim=True) > 2).to(x.dtype)

    model, rows = as_model(Calling(some)), np.array([[0, 1], [2, 1], [3, 3]], dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(model.scores(rows), [[0, 0], [0, 1], [0, 1]])
    assert (model.output, model.output_source) == ("logits", "assumed")


@pytest.mark.parametrize(("row", "n_looks"), [([0.2, 0.3, 0.5], 1), ([np.nan, 0.3, 0.7], 3)])
def test_a_module_is_looked_at_until_enough_samples_have_values(row, n_looks):
    sizes = []

    def constant(x):
        sizes.append(len(x))
        return torch.tensor([row]).repeat(len(x), 1)

    model = as_model(Calling(constant))
    for _ in range(3):
        with torch.no_grad():
            model._scores(X)
    # a look is at 32 samples, and at as many that are made
    again = [32, 32] if n_looks > 1 else []
    assert sizes == [32, 32, 40, *again, 40, *again, 40]


def test_a_sample_that_was_given_twice_is_said_once():
    module, _ = noting_sizes(lambda size: size == 2)
    model = as_model(module)
    with pytest.warns(ModelWarning, match="Ending refuses a sample alone, so it was given twice"):
        model.predict(X[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(X[1:2])


class Tokens(nn.Module):
    """Takes whole numbers below 7 only, and no more of each than there are words at that place."""

    def __init__(self):
        super().__init__()
        self.words = nn.ModuleList(nn.Embedding(n, 1) for n in (7, 3, 5))

    def forward(self, x):
        assert (x == x.round()).all()
        return (sum(word(x[:, i].long()) for i, word in enumerate(self.words)) * 9).sigmoid() * 1.0


@pytest.mark.parametrize("n", [1, 2, 10])
def test_samples_that_are_made_are_such_as_the_module_takes(n):
    torch.manual_seed(0)
    module = Tokens()
    draw = np.random.RandomState(0)
    rows = np.stack([draw.randint(k, size=40) for k in (7, 3, 5)], axis=1).astype(np.float32)
    with torch.no_grad():
        second = module(torch.from_numpy(rows)).numpy()[:, 0] > 0.5
    model, before = as_model(module), torch.get_rng_state()
    with pytest.warns(ModelWarning):
        np.testing.assert_array_equal(model.predict(rows[:n]), second[:n])
    np.testing.assert_array_equal(model.predict(rows), second)
    assert (torch.get_rng_state() == before).all()


@pytest.mark.parametrize("n", [3, 40])
def test_samples_without_a_value_decide_nothing(n):
    module = Ending(lambda z: z.sigmoid() + 0.0, 1)
    model = as_model(module)
    with pytest.raises(ValueError, match="in X, which holds nan"):
        model.predict(np.full((n, 5), np.nan))
    with pytest.warns(ModelWarning):
        np.testing.assert_array_equal(model.predict(X), predicted(1))


@pytest.mark.parametrize(
    ("output", "function", "n_out", "message"),
    [
        ("probability", lambda z: z, 3, r"from -\d.* to \d.*; leave output out, or say output='logits'"),
        ("probability", lambda z: z, 1, "output='probability' was given, but Ending returns values from -"),
        ("probability", lambda z: z.log_softmax(1), 3, "or say output='logits'"),
        ("probability", lambda z: 1.5 * z.sigmoid(), 3, "or say output='logits'"),
        ("log_probability", lambda z: z, 3, "output='log_probability' was given, but Ending returns values"),
        ("log_probability", nn.Softmax(1), 3, "leave output out, or say output='probability'"),
        ("log_probability", torch.sigmoid, 1, "leave output out, or say output='probability'"),
    ],
)
def test_what_is_said_of_outputs_must_be_possible(output, function, n_out, message):
    model = as_model(Ending(function, n_out), output=output)
    for _ in range(2):
        with pytest.raises(ValueError, match=message):
            model.predict(X)
    with pytest.raises(ValueError, match=message):
        check_model(model, X)


@pytest.mark.parametrize(("function", "n_out"), [(nn.Softmax(1), 3), (torch.sigmoid, 1)])
def test_probabilities_that_are_called_logits(function, n_out):
    model = as_model(Ending(function, n_out), output="logits")
    with pytest.warns(ModelWarning, match="Ending ends in a softmax or a sigmoid, but output='logits' was"):
        model.predict(X)
    (finding,) = check_model(model, X).warnings[:1]
    assert (finding.kind, finding.advice) == (
        "probabilities",
        "leave output out, and the logits before it are used",
    )


def test_outputs_are_named_once_each():
    for estimator in (linear(), SklearnClassifier(LogisticRegression().fit(X, predicted(3)))):
        with pytest.raises(ValueError, match=r"once, but \['a'\] are in \['a', 'b', 'a'\] more than once"):
            as_model(estimator, classes=list("aba"))
    with pytest.raises(ValueError, match="classes must be a list of labels, one for each output, got 3"):
        as_model(linear(), classes=3)
    with pytest.raises(ValueError, match=r"Linear has the classes \['a', 'b', 'c'\], which are not"):
        as_model(linear(), classes=list("abc")).in_order(np.array(["a", "b", "d"]))


@pytest.mark.parametrize("attack", ["pgd", "mifgsm", "deepfool", "fmn"])
def test_outputs_of_another_float_type_than_the_weights(attack):
    settings = {"attack": attack, "max_iter": 5, "eps": 0.3}
    same = AdversarialGenerator(linear(), **settings).generate(X)
    wider = AdversarialGenerator(Ending(lambda z: z.double()), **settings).generate(X)
    narrower = AdversarialGenerator(Ending(lambda z: z.float()).double(), **settings).generate(X)
    for other in (wider, narrower):
        # in few steps of a search for the nearest sample rounding may decide which rival it follows
        far = (np.abs(other - same) > 1e-4).any(axis=1)
        assert far.sum() <= (1 if attack == "fmn" else 0)


@pytest.mark.parametrize(
    ("estimator", "output", "message"),
    [
        (linear(), "percent", "output must be one of .* or None, got 'percent'"),
        (
            LogisticRegression(),
            "logits",
            "output says what a torch module returns; LogisticRegression is none",
        ),
    ],
)
def test_output_is_checked(estimator, output, message):
    with pytest.raises(ValueError, match=message):
        as_model(estimator, output=output)


def test_saturated_skorch_probabilities_keep_a_gradient():
    fitted = NeuralNetClassifier(Ending, module__end=nn.Softmax(1), verbose=0, max_epochs=1, train_split=None)
    fitted.fit(X, predicted(3))
    with torch.no_grad():
        fitted.module_.layer.weight.mul_(1000)
    model, x = as_model(fitted), torch.from_numpy(X).requires_grad_()
    with model.evaluating():
        (gradient,) = torch.autograd.grad(model.logits(x)[:, 1].sum(), x)
    assert (gradient != 0).any(dim=1).all()


class Contexts(nn.Module):
    """A linear layer called in ways that torch is particular about."""

    def __init__(self, how):
        super().__init__()
        self.layer, self.how = linear(), how

    def forward(self, x):
        if self.how == "in place":
            return self.layer(x.sub_(0.5).div_(0.2))
        if self.how == "in place, unseen":
            with torch.no_grad():
                x.sub_(0.01)
            return self.layer(x)
        if self.how == "relu":
            return self.layer(F.relu(x, inplace=True))
        if self.how == "fixed batch":
            return self.layer(x.reshape(16, 5))
        if self.how == "fixed batch of one":
            assert len(x) == 1
        return self.layer(x)


def half(dtype):
    return lambda: linear().to(dtype)


CALLS = {
    "in place": lambda: Contexts("in place"),
    "in place, unseen": lambda: Contexts("in place, unseen"),
    "relu": lambda: Contexts("relu"),
    "fixed batch": lambda: Contexts("fixed batch"),
    "fixed batch of one": lambda: Contexts("fixed batch of one"),
    "bfloat16": half(torch.bfloat16),
    "float16": half(torch.float16),
    "float64": half(torch.float64),
}


@pytest.mark.parametrize("context", ["none", "no_grad", "inference_mode"])
@pytest.mark.parametrize("call", CALLS)
def test_whatever_the_context(call, context):
    enter = {"none": torch.enable_grad, "no_grad": torch.no_grad, "inference_mode": torch.inference_mode}[
        context
    ]
    X0, module = X.copy(), CALLS[call]()
    with enter():
        model = as_model(module)
        y = model.predict(X)
        for attack in ("pgd", "mifgsm", "fmn"):
            X_adv = AdversarialGenerator(module, attack=attack, eps=0.3, max_iter=5).generate(X, y)
            assert (model.predict(X_adv) != y).mean() > 0.2
            assert np.abs(X_adv - X).max() <= np.float32(0.3)
    np.testing.assert_array_equal(X, X0)
    np.testing.assert_array_equal(model.predict(X[:7]), y[:7])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("output", [None, "probability"])
def test_logits_of_16_bits_are_computed_in_32(dtype, output):
    module = linear()
    if output:
        module = nn.Sequential(module, nn.Softmax(1))
    model = as_model(module.to(dtype), output=output)
    x = torch.tensor(X).float()
    logits = model.logits(x)
    assert logits.dtype == torch.float32
    expected = (module[0] if output else module)(x.to(dtype)).float()
    torch.testing.assert_close(logits.argmax(1), expected.argmax(1))


def test_probabilities_of_16_bits_have_logarithms_of_32():
    module = Ending(lambda z: (40 * z).softmax(1).clamp_min(0), 3).half()
    z = as_model(module, output="probability").logits(torch.tensor(X))
    with torch.no_grad():
        probability = module(torch.tensor(X).half()).float()
    assert (probability == 0).any()
    expected = probability.clamp_min(torch.finfo(torch.float32).tiny).log()
    torch.testing.assert_close(z, expected)


def noting_sizes(takes):
    """A module that notes the sizes of the batches that it is given, and takes some of them."""
    sizes = []

    def end(z):
        sizes.append(len(z))
        assert takes(len(z))
        return z

    return Ending(end), sizes


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(5, [5]), (32, [32]), (1024, [1024]), (1025, [513, 512]), (2049, [683] * 3), (2050, [684, 683, 683])],
)
def test_batches_are_even_and_of_1024_samples_at_most(n, sizes):
    """After one look at 32 samples, to tell what the outputs are."""
    module, asked = noting_sizes(lambda size: True)
    as_model(module).scores(np.resize(X, (n, 5)))
    assert asked == [min(n, 32), *sizes]


def test_sizes_that_are_tried_where_a_module_refuses():
    """All that was given; then up to 64, and further ones that are in use."""
    module, asked = noting_sizes(lambda size: False)
    with pytest.raises(ValueError, match="takes none of the batches tried"):
        as_model(module).scores(X)
    tens = [70, 80, 90, 100, 110, 120, 130, 140, 150, 160, 170, 180, 190, 200]
    others = [72, 75, 96, 125, 128, 192, 250, 256, 300, 384, 400, 500, 512, 600, 768, 1000, 1024]
    assert asked == [32, 40, 40, *range(1, 65), *tens, *others]


@pytest.mark.parametrize(
    ("sizes", "calls", "twice"),
    [
        ([32], [40, 32, 7], False),  # what it took at the first look is its size
        ([32, 80], [40, 7], False),
        ([20], [20, 45], False),
        ([20, 45], [20, 45, 33], False),
        ([2, 30], [30, 1], True),
        ([30], [30, 1], False),
    ],
)
def test_a_size_that_was_taken_serves_for_others(sizes, calls, twice):
    """But for a sample alone, which is given twice if that is all it needs, and this is said."""
    module, _ = noting_sizes(lambda size: size in sizes)
    model = as_model(module)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ModelWarning)
        for n in calls:
            expected = logits(linear())[np.arange(n) % 40]
            np.testing.assert_allclose(model.scores(np.resize(X, (n, 5))), expected, atol=1e-5)
    assert ["given twice" in str(warning.message) for warning in caught] == [True] * twice


def test_a_softmax_that_is_not_always_the_last():
    """Logits are then logarithms, which differ by a constant."""
    model = as_model(Ending(lambda z: 1.0 * z.softmax(1) if len(z) > 32 else z.softmax(1)))
    for n in (10, 40):
        ours, direct = (
            torch.as_tensor(z).log_softmax(1) for z in (model.scores(X[:n]), logits(linear())[:n])
        )
        torch.testing.assert_close(ours.float(), direct, atol=1e-4, rtol=1e-4)
    assert (model.output, model.output_source) == ("probability", "seen")


class Sized(nn.Module):
    """Takes only batches of one size."""

    def __init__(self, size):
        super().__init__()
        self.layer, self.size = linear(), size

    def forward(self, x):
        return self.layer(x.reshape(self.size, 5))


# size of batch that is taken, and numbers of samples of calls one after another
SIZES = [
    (80, [80]),
    (150, [10]),
    (150, [1]),
    (32, [80, 3]),
    (20, [45]),
    (73, [73]),
    (1, [1, 40]),
    (1500, [1500]),
]


@pytest.mark.parametrize(("size", "calls"), SIZES)
def test_batches_of_one_size(size, calls):
    points, model = np.random.RandomState(0).rand(1500, 5).astype(np.float32), as_model(Sized(size))
    for n in calls:
        expected = as_model(linear()).scores(points[:n])
        np.testing.assert_allclose(model.scores(points[:n]), expected, atol=1e-5)
        AdversarialGenerator(Sized(size), max_iter=2).generate(points[:n], expected.argmax(axis=1))


def test_a_size_that_is_not_tried():
    message = "Sized takes none of the batches tried .*if it takes only batches of a size of its own, wrap it"
    with pytest.raises(ValueError, match=message):
        as_model(Sized(1117)).predict(X)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        as_model(linear()).predict(X[:, 1:])


@pytest.mark.parametrize("view", [np.s_[::-1], np.s_[:, ::-1], np.s_[::2, ::-1]])
def test_negative_strides(view):
    for source in (linear(), LogisticRegression().fit(X, predicted(3))):
        seen, straight = X[view], np.ascontiguousarray(X[view])
        model = as_model(source)
        np.testing.assert_array_equal(model.predict(seen), model.predict(straight))
        moved = [AdversarialGenerator(Fitted(source), max_iter=3).transform(a) for a in (seen, straight)]
        np.testing.assert_array_equal(*moved)


def Fitted(source):  # noqa: N802
    from sklearn.frozen import FrozenEstimator

    return source if isinstance(source, nn.Module) else FrozenEstimator(source)


def test_classes_in_any_order():
    y = predicted(3)
    labels = np.array(["b", "c", "a"])
    net = as_model(linear(), classes=labels)
    lr = LogisticRegression(C=100).fit(X, labels[y])
    scorer = TransferScorer(AdversarialGenerator(eps=0.2, max_iter=5), random_state=0).fit(
        {"net": net, "lr": lr}
    )
    assert scorer.classes_.tolist() == ["a", "b", "c"]
    ordered = as_model(linear(), classes=labels).in_order(np.array(["a", "b", "c"]))
    np.testing.assert_array_equal(ordered.predict(X), np.argsort(np.argsort(labels))[y])
    np.testing.assert_array_equal(ordered.scores(X), net.scores(X)[:, [2, 0, 1]])
    matrix = scorer.transfer(X, labels[y])
    sorted_net = linear()
    with torch.no_grad():
        sorted_net.weight.copy_(linear().weight[[2, 0, 1]])
        sorted_net.bias.copy_(linear().bias[[2, 0, 1]])
    sorted_net = as_model(sorted_net, classes=["a", "b", "c"])
    same = TransferScorer(scorer.generator, random_state=0).fit({"net": sorted_net, "lr": lr})
    np.testing.assert_array_equal(matrix.fooled, same.transfer(X, labels[y]).fooled)
    assert matrix.eligible[0, 0] == 40
    accuracy = [s.robust_accuracy(m, X, labels[y]) for s, m in ((scorer, net), (same, sorted_net))]
    assert accuracy[0] == accuracy[1] < 1


def test_an_art_wrapper_knows_its_estimators_labels():
    labels = np.array(["x", "y", "z"])[predicted(3)]
    lr = LogisticRegression().fit(X, labels)
    wrapper = SklearnClassifier(lr)
    assert as_model(wrapper).classes_.tolist() == ["x", "y", "z"]
    scorer = TransferScorer(AdversarialGenerator(max_iter=3), random_state=0).fit({"art": wrapper, "lr": lr})
    matrix = scorer.transfer(X, labels)
    np.testing.assert_array_equal(matrix.fooled[0], matrix.fooled[1])


class Faulty:
    classes_ = np.array([0, 1])

    def __init__(self, function):
        self.predict = function


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda X: np.zeros(len(X) - 1, int), r"an array of shape \(39,\) for 40 samples"),
        (lambda X: np.zeros(len(X) + 1, int), r"an array of shape \(41,\) for 40 samples"),
        (lambda X: np.array([1]), r"an array of shape \(1,\) for 40 samples"),
        (lambda X: 1, r"an array of shape \(\) for 40 samples"),
        (lambda X: None, r"an array of shape \(\) for 40 samples"),
        (lambda X: np.zeros((len(X), 2)), "several outputs"),
        (lambda X: np.full(len(X), np.nan), "nan.* not among its classes_"),
        (lambda X: [None] * len(X), "None.* not among its classes_"),
        (lambda X: ["1"] * len(X), "'1'.* not among its classes_"),
    ],
)
def test_predictions_of_black_boxes_are_checked(function, message):
    with pytest.raises(ValueError, match=f"Faulty predicts {message}|Faulty predicts .*{message}"):
        as_model(Faulty(function)).predict(X)
    models = {"odd": Faulty(function), "lr": LogisticRegression().fit(X, X[:, 0] > 0.5)}
    models["lr"].classes_ = np.array([0, 1])
    with pytest.raises(ValueError, match="model 'odd'"):
        TransferScorer().fit(models).transfer(X, np.arange(40) % 2)


def test_a_black_box_that_writes_into_its_input_gets_a_copy():
    def scribble(X):
        labels = (X[:, 0] > 0.5).astype(int)
        X[:] = 0
        return labels

    X0 = X.copy()
    model = as_model(Faulty(scribble))
    np.testing.assert_array_equal(model.predict(X), X0[:, 0] > 0.5)
    AdversarialGenerator(Faulty(scribble), max_queries=20, random_state=0).generate(X)
    np.testing.assert_array_equal(X, X0)


def test_scores_that_are_nan_name_their_sample():
    module = Ending(lambda z: torch.where(torch.arange(len(z))[:, None] == 2, torch.nan, z))
    with pytest.raises(
        ValueError, match=r"nan for 1 of 40 samples \(the first is sample 2\).*since X holds none"
    ):
        as_model(module).predict(X)
    with pytest.raises(ValueError, match="in X, which holds nan"):
        as_model(linear()).predict(np.full((3, 5), np.nan))
