"""torch modules and skorch nets: float32 as they are, and in evaluation mode."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import expit, logit, softmax
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

from skhalfway.models import as_model

FLOAT32 = {"rtol": 1e-5, "atol": 1e-5}


class Net(nn.Module):
    """A net with every part that behaves differently while it trains."""

    def __init__(self, n_in, n_out, ending=None, bias=0.0):
        super().__init__()
        self.hidden = nn.Sequential(nn.Linear(n_in, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5))
        self.out = nn.Linear(8, n_out)
        self.ending, self.bias = ending, bias

    def forward(self, x):
        z = self.out(self.hidden(x.flatten(1))) + self.bias
        return {
            None: z,
            "softmax": z.softmax(1),
            "tuple": (z, x),
            "vector": z[:, 0],
        }[self.ending]


def flatter(z):
    return torch.softmax(z / 2, dim=1)


def flatter_pair(z):
    return torch.stack([torch.sigmoid(-z / 2), torch.sigmoid(z / 2)], dim=1)


class FirstOfTuple(NeuralNetClassifier):
    def get_loss(self, y_pred, *args, **kwargs):
        return super().get_loss(y_pred[0], *args, **kwargs)


# type of net, its parameters
MULTI = {
    "cross-entropy": (NeuralNetClassifier, {}),
    "NLL of a softmax": (NeuralNetClassifier, {"module__ending": "softmax", "criterion": nn.NLLLoss}),
    "first of a tuple": (FirstOfTuple, {"module__ending": "tuple"}),
    "custom nonlinearity": (NeuralNetClassifier, {"predict_nonlinearity": flatter}),
    "no nonlinearity": (NeuralNetClassifier, {"predict_nonlinearity": None, "module__bias": -100.0}),
    "negative margins": (NeuralNetClassifier, {"criterion": nn.MultiMarginLoss, "module__bias": -100.0}),
}
BINARY = {
    "logit": {},
    "threshold": {"threshold": 0.8},
    "custom nonlinearity and threshold": {"predict_nonlinearity": flatter_pair, "threshold": 0.3},
}
TRAINING = {"max_epochs": 3, "lr": 0.1, "verbose": 0, "train_split": None}


def make_net(n_in, n_out, type_=NeuralNetClassifier, **params):
    torch.manual_seed(0)
    settings = {"criterion": nn.CrossEntropyLoss, **TRAINING, **params}
    return type_(Net, module__n_in=n_in, module__n_out=n_out, **settings)


@pytest.mark.parametrize("data", ["breast", "digits"])
@pytest.mark.parametrize("name", MULTI)
def test_skorch_classifier(name, data, load, logits):
    X, y = load(data)
    X = X.astype(np.float32)
    type_, params = MULTI[name]
    net = make_net(X.shape[1], len(np.unique(y)), type_, **params).fit(X, y)
    model = as_model(net)
    z = logits(model, X)
    own = net.predict_proba(X)
    is_probability = name not in ("no nonlinearity", "negative margins")
    np.testing.assert_allclose(softmax(z, axis=1) if is_probability else z, own, **FLOAT32)
    np.testing.assert_array_equal(model.predict(X), net.predict(X))
    np.testing.assert_array_equal(z.argmax(axis=1), net.predict(X))
    np.testing.assert_array_equal(model.scores(X), own)
    np.testing.assert_array_equal(model.predict(X.astype(float)), net.predict(X))


@pytest.mark.parametrize("name", ["cross-entropy", "first of a tuple"])
def test_logits_are_not_read_off_saturated_probabilities(name, load, logits):
    X, y = load("iris")
    X = X.astype(np.float32)
    type_, params = MULTI[name]
    net = make_net(4, 3, type_, **params).fit(X, y)
    net.module_.out.weight.data *= 1e3
    own = net.forward(X)
    own = (own[0] if name == "first of a tuple" else own).numpy()
    assert np.ptp(own, axis=1).max() > 200  # float32's smallest probability is exp(-103)
    np.testing.assert_allclose(logits(as_model(net), X), own, **FLOAT32)


def make_binary_net(n_in, **params):
    settings = {"criterion": nn.BCEWithLogitsLoss, "module__ending": "vector", **params}
    return make_net(n_in, 1, NeuralNetBinaryClassifier, **settings)


@pytest.mark.parametrize("data", ["breast", "digits"])
@pytest.mark.parametrize("name", BINARY)
def test_skorch_binary_classifier(name, data, load, logits):
    X, y = load(data)
    X, y = X.astype(np.float32), (y > y.mean()).astype(np.float32)
    net = make_binary_net(X.shape[1], **BINARY[name]).fit(X, y)
    model = as_model(net)
    z = logits(model, X)
    assert z.shape == (len(X), 2)
    # a logit of 0 lies where the probability is at its threshold
    probability = expit(z[:, 1] - z[:, 0] + logit(net.threshold))
    np.testing.assert_allclose(probability, net.predict_proba(X)[:, 1], **FLOAT32)
    np.testing.assert_array_equal(z.argmax(axis=1), net.predict(X))
    np.testing.assert_array_equal(model.predict(X), net.predict(X))


def test_threshold_moves_the_prediction(load, logits):
    X, y = load("breast")
    X = X.astype(np.float32)
    net = make_binary_net(30).fit(X, y.astype(np.float32))
    counts = [logits(as_model(net.set_params(threshold=t)), X).argmax(axis=1).sum() for t in (0.5, 0.8)]
    assert counts[0] > counts[1]


def _in_a_pipeline(net, X, y):
    return make_pipeline(StandardScaler(), net).fit(X, y)


def _searched(net, X, y):
    return GridSearchCV(net, {"lr": [0.01, 0.1]}, cv=2).fit(X, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "build",
    [
        _in_a_pipeline,
        _searched,
        lambda net, X, y: FrozenEstimator(net.fit(X, y)),
        lambda net, X, y: FrozenEstimator(_in_a_pipeline(net, X, y)),
    ],
    ids=["pipeline", "search", "frozen", "frozen pipeline"],
)
def test_estimators_that_end_in_a_net(build, dtype, load, logits):
    X, y = load("iris")
    X = X.astype(np.float32)
    outer = build(make_net(4, 3), X, y)
    model = as_model(outer)
    np.testing.assert_array_equal(model.predict(X.astype(dtype)), outer.predict(X))
    np.testing.assert_allclose(model.scores(X.astype(dtype)), outer.predict_proba(X), **FLOAT32)
    # the scaler computes in float64, the net behind it in float32
    place = np.float64 if "pipeline" in repr(outer).lower() else np.float32
    np.testing.assert_allclose(
        softmax(logits(model, X.astype(place)), axis=1), outer.predict_proba(X), **FLOAT32
    )


def test_pipeline_that_read_column_names_and_ends_in_a_net(load):
    X, y = load("iris")
    frame = pd.DataFrame(X.astype(np.float32), columns=list("abcd"))
    pipeline = make_pipeline(StandardScaler(), make_net(4, 3)).fit(frame, y)
    for given in (X, frame, frame.astype(float)):
        np.testing.assert_array_equal(as_model(pipeline).predict(given), pipeline.predict(frame))


@pytest.mark.parametrize("wrap", [lambda net: net, FrozenEstimator], ids=["net", "frozen"])
def test_images_reach_a_net_as_images(wrap, load):
    X, y = load("digits")
    images = X.reshape(-1, 1, 8, 8).astype(np.float32)
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(108, 10))
    net = NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss, **TRAINING).fit(images, y)
    model = as_model(wrap(net))
    np.testing.assert_array_equal(model.predict(images.astype(float)), net.predict(images))
    assert model.logits(torch.from_numpy(images)).shape == (len(X), 10)


OUTPUTS = {"logits": {"n_out": 10}, "one column": {"n_out": 1}, "vector": {"n_out": 1, "ending": "vector"}}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("output", OUTPUTS)
def test_module_in_training_mode_is_read_in_evaluation_mode(output, dtype, load):
    X, _ = load("digits")
    torch.manual_seed(0)
    module = Net(64, **OUTPUTS[output]).to(dtype)
    module.hidden[1].eval()  # a frozen batch norm is usual
    module.out.weight.requires_grad_(False)
    flags = [part.training for part in module.modules()]
    state = {key: value.clone() for key, value in module.state_dict().items()}
    learns = [weight.requires_grad for weight in module.parameters()]

    model = as_model(module)
    many = np.tile(X, (5, 1))  # more than one batch
    predicted, scores = model.predict(many), model.scores(many)

    assert [part.training for part in module.modules()] == flags
    assert [weight.requires_grad for weight in module.parameters()] == learns
    assert all(weight.grad is None for weight in module.parameters())
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    with torch.no_grad():
        own = module.eval()(torch.from_numpy(many).to(dtype)).double().numpy()
    if output == "logits":
        np.testing.assert_allclose(scores, own, **FLOAT32)
    else:
        np.testing.assert_allclose(scores, np.column_stack([np.zeros(len(many)), own.ravel()]), **FLOAT32)
        own = np.column_stack([np.zeros(len(many)), own.ravel()])
    np.testing.assert_array_equal(predicted, own.argmax(axis=1))


def test_flags_are_restored_after_an_error():
    module = Net(64, 10)
    with pytest.raises(RuntimeError, match="shapes"):
        as_model(module).predict(np.zeros((2, 3)))
    assert all(part.training for part in module.modules())


def test_gradient_of_a_module(load, check_gradient):
    torch.manual_seed(0)
    check_gradient(as_model(Net(64, 10).double().eval()), load("digits")[0])


def test_labels_of_a_module():
    module = nn.Linear(2, 2)
    assert as_model(module).classes_ is None
    assert as_model(module, classes=["cat", "dog"]).classes_.tolist() == ["cat", "dog"]
    module.classes_ = [7, 9]
    assert as_model(module).classes_.tolist() == as_model(module, classes=[7, 9]).classes_.tolist() == [7, 9]
    with pytest.raises(ValueError, match=r"Linear has classes_ \[7, 9\], not the classes \['cat', 'dog'\]"):
        as_model(module, classes=["cat", "dog"])
    assert as_model(module).n_outputs(np.zeros((3, 2))) == 2


def test_model_on_another_device_is_a_copy():
    module = nn.Linear(2, 3)
    model = as_model(module)
    assert model.on(torch.device("cpu")) is model
    moved = model.on(torch.device("meta"))
    assert moved.module.weight.device.type == "meta"
    assert model.module.weight.data_ptr() == module.weight.data_ptr()
    assert module.weight.device.type == "cpu"


class OfItsBatch(torch.nn.Module):
    """It divides by the deviation of its batch, which a single sample has none of."""

    def forward(self, x):
        return (x - x.mean(dim=0)) / x.std(dim=0)


def test_a_single_sample_without_statistics_of_its_batch_is_named():
    model, X = as_model(OfItsBatch()), np.random.RandomState(0).normal(size=(4, 3)).astype(np.float32)
    assert np.isfinite(model.scores(X)).all()
    match = "nan for 1 of 1 samples .*It got a single sample, and statistics of a batch"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's, of a deviation without degrees of freedom
        with pytest.raises(ValueError, match=match):
            model.scores(X[:1])
        with pytest.raises(ValueError, match="nan for 1 of 1 samples .*in X, which holds nan$"):
            model.scores(np.full((1, 3), np.nan, np.float32))
