"""Classifiers of ART against their own ``predict`` and ``class_gradient``."""

import numpy as np
import pytest
import torch
from art.defences.postprocessor import Rounded
from art.defences.preprocessor import FeatureSqueezing, SpatialSmoothing
from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier
from art.estimators.classification.scikitlearn import SklearnClassifier
from scipy.special import softmax
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from torch import nn

from skhalfway.models import ModelWarning, NotDifferentiableError, as_model, check_model
from skhalfway.models._art import ClassGradient

FLOAT32 = {"rtol": 1e-4, "atol": 1e-5}


class ChannelsLast(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x.permute(0, 3, 1, 2))


class Clamped(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x).clamp(1e-6, 1)


def convolutional():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 36, 10)
    )


def wrapped(net, shape=(3, 8, 8), **settings):
    return PyTorchClassifier(net, nn.CrossEntropyLoss(), shape, 10, **settings)


CHANNELS = (np.array([0.1, 0.3, 0.5]), np.array([0.5, 1.0, 2.0]))
SMOOTH = SpatialSmoothing(window_size=2, channels_first=True)
TORCH = {
    "plain": {},
    "scalar mean and std": {"preprocessing": (0.3, 2.0)},
    "mean and std per channel": {"preprocessing": CHANNELS},
    "defence": {"preprocessing_defences": SMOOTH},
    "defence and scaling": {"preprocessing_defences": SMOOTH, "preprocessing": CHANNELS},
}


@pytest.fixture
def images():
    return np.random.default_rng(0).random((40, 3, 8, 8), dtype=np.float32)


@pytest.mark.parametrize("name", TORCH)
def test_pytorch_classifier(name, images, logits):
    classifier = wrapped(convolutional(), **TORCH[name])
    own, gradients = classifier.predict(images), classifier.class_gradient(images[:4])
    model = as_model(classifier)
    assert isinstance(model.module, ClassGradient) == ("defence" in name)
    np.testing.assert_allclose(logits(model, images), own, **FLOAT32)
    np.testing.assert_array_equal(model.predict(images.astype(float)), own.argmax(axis=1))
    np.testing.assert_allclose(model.scores(images), own, **FLOAT32)

    x = torch.from_numpy(images[:4]).requires_grad_()
    with model.evaluating():
        for i in range(10):
            (gradient,) = torch.autograd.grad(model.logits(x)[:, i].sum(), x)
            np.testing.assert_allclose(gradient.numpy(), gradients[:, i], **FLOAT32)


def test_postprocessing_is_arts_own(images, logits):
    classifier = wrapped(convolutional(), postprocessing_defences=Rounded(decimals=1))
    model = as_model(classifier)
    assert isinstance(model.module, ClassGradient)
    np.testing.assert_array_equal(logits(model, images), classifier.predict(images))


def test_channels_last(images, logits):
    images = images.transpose(0, 2, 3, 1)
    net = ChannelsLast(convolutional())
    classifier = wrapped(net, (8, 8, 3), channels_first=False, preprocessing=CHANNELS)
    np.testing.assert_allclose(logits(as_model(classifier), images), classifier.predict(images), **FLOAT32)


def test_class_gradient_is_the_modules_gradient(images):
    classifier = wrapped(convolutional().eval())
    weights = torch.randn(len(images), 10, generator=torch.Generator().manual_seed(0))
    x = torch.from_numpy(images).requires_grad_()
    (direct,) = torch.autograd.grad((classifier.model(x) * weights).sum(), x)
    (through_art,) = torch.autograd.grad((ClassGradient(classifier)(x) * weights).sum(), x)
    np.testing.assert_allclose(through_art.numpy(), direct.numpy(), **FLOAT32)


def test_training_mode_is_restored(images):
    net = convolutional().train()
    model = as_model(wrapped(net))
    first, second = model.scores(images), model.scores(images)
    np.testing.assert_array_equal(first, second)
    assert all(part.training for part in net.modules())


SKLEARN = {
    "LR": LogisticRegression(max_iter=20),
    "RBF SVC": SVC(),
    "linear SVC": LinearSVC(random_state=0),
    "MLP": MLPClassifier((8,), max_iter=20, random_state=0),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression(max_iter=20)),
}


@pytest.mark.parametrize("data", ["breast", "digits"])
@pytest.mark.parametrize("name", SKLEARN)
def test_scikit_learn_wrappers(name, data, load, fit, logits):
    X, _ = load(data)
    estimator = fit(SKLEARN[name], data)
    model = as_model(SklearnClassifier(estimator))
    z = logits(model, X)
    np.testing.assert_allclose(z, logits(as_model(estimator), X), atol=1e-5)
    np.testing.assert_array_equal(model.predict(X), estimator.predict(X))
    if hasattr(estimator, "predict_proba"):
        np.testing.assert_allclose(softmax(z, axis=1), model.scores(X), **FLOAT32)


def test_scikit_learn_wrapper_with_scaling(load, fit, logits):
    X, _ = load("digits")
    X = X.astype(np.float32)
    classifier = SklearnClassifier(fit(SKLEARN["LR"], "digits"), preprocessing=(0.4, 1.5))
    z = logits(as_model(classifier), X)
    np.testing.assert_allclose(softmax(z, axis=1), classifier.predict(X), **FLOAT32)


def test_scikit_learn_wrapper_with_a_defence(load, fit, logits):
    X, _ = load("digits")
    X = X.astype(np.float32)
    defence = FeatureSqueezing(clip_values=(0, 1), bit_depth=2)
    classifier = SklearnClassifier(fit(SKLEARN["LR"], "digits"), preprocessing_defences=defence)
    model = as_model(classifier)
    assert isinstance(model.module, ClassGradient)
    np.testing.assert_allclose(logits(model, X), classifier.predict(X), **FLOAT32)


WITHOUT_PROBABILITIES = {
    "LinearSVC": LinearSVC(random_state=0),
    "SGD": SGDClassifier(random_state=0),
    "ridge": RidgeClassifier(),
    "SVC": SVC(),
    "pipeline": make_pipeline(StandardScaler(), SVC()),
}


@pytest.mark.parametrize("labels", [[3, 5, 9], [-1, 0, 1], ["a", "b", "c"], [2.0, 4.0, 7.0]], ids=str)
@pytest.mark.parametrize("name", WITHOUT_PROBABILITIES)
def test_labels_of_estimators_without_probabilities(name, labels, load):
    X, y = load("iris")
    y = np.array(labels)[y]
    X = X.astype(np.float32)
    estimator = clone(WITHOUT_PROBABILITIES[name]).fit(X, y)
    model = as_model(SklearnClassifier(estimator))
    np.testing.assert_array_equal(model.classes_[model.predict(X)], estimator.predict(X))
    # its preprocessing is ART's own
    scaled = as_model(SklearnClassifier(estimator, preprocessing=(1.0, 2.0)))
    np.testing.assert_array_equal(scaled.classes_[scaled.predict(2 * X + 1)], estimator.predict(X))
    named = as_model(SklearnClassifier(estimator), classes=["x", "y", "z"])
    np.testing.assert_array_equal(named.predict(X), model.predict(X))


@pytest.mark.parametrize("kind", ["estimator", "function"])
def test_black_boxes(kind, load, fit):
    X, _ = load("iris")
    dummy = fit(DummyClassifier(), "iris")
    if kind == "estimator":
        classifier, reason = SklearnClassifier(dummy), "DummyClassifier does not look at its input"
    else:
        classifier, reason = (
            BlackBoxClassifier(dummy.predict_proba, (4,), 3),
            "BlackBoxClassifier gives no class",
        )
    model = as_model(classifier)
    assert not model.has_gradient
    assert reason in model.why_black_box
    np.testing.assert_array_equal(model.predict(X), classifier.predict(X.astype(np.float32)).argmax(axis=1))
    with pytest.raises(NotDifferentiableError, match=reason):
        model.logits(torch.from_numpy(X))


@pytest.mark.parametrize(
    ("end", "output", "kinds"),
    [
        (nn.Softmax(1), None, ["outputs"]),
        (nn.Identity(), None, []),
        (nn.Softmax(1), "probability", []),
        (nn.Softmax(1), "logits", ["probabilities"]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*ends in a softmax:skhalfway.models.ModelWarning")
def test_the_check_up_looks_at_the_module_inside(end, output, kinds, images):
    classifier = wrapped(nn.Sequential(convolutional(), end))
    check = check_model(as_model(classifier, output=output), images)
    found = [finding for finding in check.findings if finding.kind in ("outputs", "probabilities")]
    assert [finding.kind for finding in found] == kinds
    assert check.ok == (kinds != ["probabilities"])


def test_what_the_module_inside_returns_may_be_said(images):
    clamped = Clamped(nn.Sequential(convolutional(), nn.Softmax(1)))
    with pytest.warns(ModelWarning, match="read as probabilities"):
        check = check_model(wrapped(clamped), images)
    assert "as_model(model, output='probability')" in check.warnings[0].advice
    assert check_model(as_model(wrapped(clamped), output="probability"), images).ok
    with pytest.raises(ValueError, match="output='probability' was given, but PyTorchClassifier returns"):
        check_model(as_model(wrapped(convolutional()), output="probability"), images)
    with pytest.raises(ValueError, match="output says what a torch module returns; ScikitlearnLogistic"):
        as_model(SklearnClassifier(LogisticRegression().fit([[0], [1]], [0, 1])), output="logits")


class InTraining(FeatureSqueezing):
    """A defence that changes samples in training only."""

    apply_fit = property(lambda self: True)
    apply_predict = property(lambda self: False)


@pytest.mark.parametrize("estimator", [LinearSVC(random_state=0), LogisticRegression(max_iter=300)])
def test_defences_in_training_are_none_in_prediction(estimator, load):
    X, y = load("iris")
    X = X.astype(np.float32)
    squeezing = InTraining(clip_values=(0, 8), bit_depth=1, apply_predict=False)
    classifier = SklearnClassifier(clone(estimator).fit(X, y), preprocessing_defences=squeezing)
    np.testing.assert_array_equal(as_model(classifier).predict(X), classifier.model.predict(X))


def test_the_module_inside_is_looked_at_once(images):
    sizes = []
    model = as_model(wrapped(convolutional()))
    model.module.register_forward_hook(lambda module, args, output: sizes.append(len(output)))
    model.look(np.concatenate([images, images]))
    model.look(images)
    assert sizes == [32]


def test_labels():
    assert as_model(wrapped(convolutional())).classes_.tolist() == list(range(10))
    named = as_model(wrapped(convolutional()), classes=list("abcdefghij"))
    assert named.classes_.tolist() == list("abcdefghij")
    assert named.n_outputs(None) == 10


def test_wrong_number_of_labels():
    with pytest.raises(ValueError, match="PyTorchClassifier has 10 outputs for 2 classes"):
        as_model(wrapped(convolutional()), classes=["cat", "dog"])


def test_a_single_column_of_scores():
    classifier = PyTorchClassifier(nn.Linear(4, 1), nn.BCEWithLogitsLoss(), (4,), 2)
    with pytest.raises(ValueError, match=r"scores of shape \(3, 1\) for 2 classes; it must give one column"):
        as_model(classifier).predict(np.zeros((3, 4)))
