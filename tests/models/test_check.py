"""The check-up: each fault in each kind of model, the right figures, and no word about honest models."""

import pickle
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway._intervals import wilson_interval
from skhalfway.models import (
    Finding,
    ModelCheck,
    _check,
    _check_accuracy,
    _check_scores,
    as_model,
    check_model,
)
from skhalfway.models._check_accuracy import Answers, accuracy_findings
from skhalfway.models._check_scales import changes

X, Y = load_digits(return_X_y=True)
X, X_TRAIN, Y, Y_TRAIN = X[:300] / 16, X[300:1300] / 16, Y[:300], Y[300:1300]
LR = LogisticRegression(C=0.1).fit(X_TRAIN, Y_TRAIN)
ACCURACY = LR.score(X, Y)
MIXED = np.random.RandomState(0).permutation(64)


def noisy(X):
    # of numpy and torch alike
    noise = np.random.standard_normal(X.shape)
    return X + 0.1 * (torch.from_numpy(noise).to(X) if isinstance(X, torch.Tensor) else noise)


# what a model does with its input before it classifies it
FAULTS = {
    "constant": lambda X: 0 * X,
    "chance": lambda X: X[:, MIXED],
    "scale": lambda X: X / 255,
    "random": noisy,
    "batch": lambda X: X - 0.4 * X[:1],
    "": lambda X: X,
}


class Apply(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Service:
    """A black box: all there is of it is its predictions."""

    classes_ = np.arange(10)

    def __init__(self, function):
        self.function = function

    def predict(self, X):
        return LR.predict(self.function(X))


def module(function):
    linear = nn.Linear(64, 10)
    linear.weight.data, linear.bias.data = (
        torch.tensor(a, dtype=torch.float32) for a in (LR.coef_, LR.intercept_)
    )
    return nn.Sequential(Apply(function), linear)


def skorch(function):
    from skorch import NeuralNetClassifier

    return NeuralNetClassifier(
        module(function), criterion=nn.CrossEntropyLoss, classes=range(10)
    ).initialize()


def art(function):
    from art.estimators.classification import PyTorchClassifier

    return PyTorchClassifier(module(function), nn.CrossEntropyLoss(), (64,), 10, device_type="cpu")


SIBLINGS = {
    "torch": module,
    "skorch": skorch,
    "ART": art,
    "scikit-learn": lambda function: make_pipeline(FunctionTransformer(function), LR),
    "black box": Service,
}
each_sibling = pytest.mark.parametrize("sibling", SIBLINGS)


def kinds(check):
    return [finding.kind for finding in check.findings]


@pytest.mark.parametrize("fault", FAULTS)
@each_sibling
def test_each_fault_in_each_kind_of_model(sibling, fault):
    model = SIBLINGS[sibling](FAULTS[fault])
    check = check_model(model, X, Y)
    # noise this strong, and a mean in the place of another, leave an accuracy that has no other cause
    assert kinds(check) == ([fault] if fault else [])
    assert check.ok == (not fault)
    assert (check.name, check.n_samples, check.n_classes) == (type(model).__name__, 300, 10)
    if fault in ("", "scale"):
        first = LR.score(FAULTS[fault](X), Y)
        assert check.accuracy == pytest.approx(first)
        assert check.accuracy_interval.low < first < check.accuracy_interval.high
    if fault == "scale":
        expected = f"accuracy is {first:.2f} on X, but {ACCURACY:.2f} on X * 255".replace("0.", ".")
        assert check.findings[0].message == expected
        assert check.findings[0].advice == (
            "if it was trained on X * 255, pass X * 255, or put the scaling into the model (a Pipeline)"
        )


@pytest.mark.parametrize(
    "order", [np.roll(np.arange(10), 1), np.array([1, 0, *range(2, 10)])], ids=["all", "two"]
)
@each_sibling
def test_labels_coded_in_another_order(sibling, order):
    check = check_model(SIBLINGS[sibling](FAULTS[""]), X, order[Y])
    assert kinds(check) == ["label_order"]
    assert check.findings[0].message == (
        f"accuracy is {check.accuracy:.2f}, and {ACCURACY:.2f} if its classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 "
        f"are read as {', '.join(map(str, order))}".replace("0.", ".")
    )
    listed = f"as_model(model, classes={order.tolist()})"
    assert (listed in check.findings[0].advice) == (sibling in ("torch", "ART"))


def test_the_order_that_is_advised_is_right():
    order = np.roll(np.arange(10), 3)
    labels = np.array(list("zyxwvutsrq"))
    check = check_model(as_model(module(FAULTS[""]), classes=np.sort(labels)), X, labels[order][Y])
    advised = eval(check.findings[0].advice.partition("classes=")[2].rstrip(")"))
    assert advised == labels[order].tolist()


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("n_seen", torch.zeros(()))
        self.inner = module(FAULTS[""])

    def forward(self, x):
        self.n_seen += len(x)
        return self.inner(x)


def test_a_model_that_predicting_changes():
    check = check_model(Counting(), X, Y)
    assert kinds(check) == ["state"] and check.findings[0].message == "predicting changes its n_seen"


class Merging(nn.Module):
    """Evaluation mode is more than a flag to it."""

    def __init__(self):
        super().__init__()
        self.inner, self.scale = module(FAULTS[""]), 1.0

    def train(self, mode=True):
        self.scale = 1.0 if mode else 2.0
        return super().train(mode)

    def forward(self, x):
        return self.scale * self.inner(x)


@pytest.mark.parametrize("wrap", [lambda net: net, nn.Sequential])
def test_a_train_of_its_own(wrap):
    model = wrap(Merging())
    check = check_model(model, X, Y)
    assert kinds(check) == ["state"] and not check.ok
    assert check.findings[0].message == "Merging has a train() of its own, which is not called here"
    assert check.findings[0].advice == "call model.eval() first"
    assert check_model(model.eval(), X, Y).findings == ()


def test_batch_normalisation_without_statistics():
    torch.manual_seed(0)
    for tracks in (True, False):
        norm = nn.BatchNorm1d(64, track_running_stats=tracks)
        norm(torch.from_numpy(X_TRAIN).float())
        check = check_model(as_model(nn.Sequential(norm, module(FAULTS[""])), classes=range(10)), X)
        assert kinds(check) == ([] if tracks else ["batch"])


def from_0_to_1(z):
    low, high = z.amin(dim=1, keepdim=True), z.amax(dim=1, keepdim=True)
    return (z - low) / (high - low)


@pytest.mark.filterwarnings("ignore:.*read as probabilities:skhalfway.models.ModelWarning")
@pytest.mark.parametrize(
    ("output", "function", "expected"),
    [
        (None, lambda z: z.softmax(1).clamp(1e-7, 1), "probabilities: as_model(model, output='probability')"),
        (None, lambda z: z.sigmoid().clamp(1e-7, 1), "outputs: as_model(model, output='probability')"),
        (None, lambda z: z.softmax(1), "outputs: no action is needed"),
        ("logits", lambda z: z.sigmoid().clamp(1e-7, 1), ""),
        ("probability", lambda z: z.softmax(1).clamp(1e-7, 1), ""),
        (None, lambda z: 1.5 * z.sigmoid().clamp(1e-7, 1), ""),
        (None, from_0_to_1, "outputs: as_model(model, output='probability')"),
        (None, lambda z: z, ""),
    ],
)
def test_outputs_that_are_probabilities(output, function, expected):
    model = as_model(nn.Sequential(module(FAULTS[""]), Apply(function)), classes=np.arange(10), output=output)
    check = check_model(model, X, Y)
    kind, _, advice = expected.partition(": ")
    assert kinds(check) == ([kind] if kind else [])
    assert advice in "".join(finding.advice for finding in check.findings)
    assert check.ok == ("as_model" not in expected)


class Scored(ClassifierMixin, BaseEstimator):
    """Predictions of the logistic regression, with other scores."""

    classes_ = np.arange(10)

    def __init__(self, scores):
        self.scores = scores

    def predict(self, X):
        return LR.predict(X)

    def predict_proba(self, X):
        return self.scores(X)


def raises(X):
    raise NotImplementedError("not here\nand not there")


@pytest.mark.parametrize(
    ("model", "kind", "message"),
    [
        (DecisionTreeClassifier(random_state=0).fit(X_TRAIN, Y_TRAIN), "saturated", "on 100% of the samples"),
        (Scored(raises), "scores", "its scores raise NotImplementedError: not here"),
        (
            Scored(lambda X: LR.predict_proba(X)[:, ::-1]),
            "scores",
            "% of the samples its largest score is not",
        ),
        (Scored(lambda X: LR.predict_proba(X) ** 3), "", ""),
    ],
)
def test_notes_about_scores(model, kind, message):
    check = check_model(model, X, Y)
    assert check.ok and kinds(check) == ([kind] if kind else [])
    assert message in "".join(finding.message for finding in check.findings)


def test_a_random_answer_beside_steady_scores():
    rng = np.random.RandomState(0)

    class Drawn(Scored):
        def predict(self, X):
            return np.where(rng.uniform(size=len(X)) < 0.3, rng.randint(10, size=len(X)), LR.predict(X))

    assert kinds(check_model(Drawn(LR.predict_proba), X, Y)) == ["random"]


def test_a_copy_that_says_something_else():
    model, other = as_model(LR), as_model(DummyClassifier().fit(X_TRAIN, Y_TRAIN))
    assert check_model(model, X, Y).ok
    model.__dict__["_conversion"] = module(FAULTS["chance"]), ""
    check = check_model(model, X, Y)
    agree = (LR.predict(X[:, MIXED]) == LR.predict(X)).mean()
    assert kinds(check) == ["soft_copy"] and "agrees with it on" in check.findings[0].message
    assert check.findings[0].severity == "warning"
    wrong = LR.predict(X[:, MIXED]) != LR.predict(X)
    assert kinds(check_model(model, X[wrong][:9], Y[wrong][:9])) == []
    assert kinds(check_model(model, X[wrong][:10], Y[wrong][:10])) == ["soft_copy"]
    assert float(check.findings[0].message.split()[-4].rstrip("%")) / 100 == pytest.approx(agree, abs=0.03)
    assert kinds(check_model(other, X, Y)) == ["constant"]


@pytest.mark.parametrize(
    ("prepared", "handed", "said"),
    [
        (lambda X: X, lambda X: X * 255, "X / 255"),
        (lambda X: X * 16, lambda X: X, "X * 16"),
        (lambda X: 2 * X - 1, lambda X: X, "2 * X - 1"),
        (lambda X: X, lambda X: 2 * X - 1, "(X + 1) / 2"),
        (lambda X: (X - X.mean(axis=0)) / (X.std(axis=0) + 1e-9), lambda X: X, "X standardised by column"),
        (
            lambda X: np.moveaxis(np.stack([X, 0 * X, 1 - X], axis=-1).reshape(-1, 8, 8, 3), -1, 1).reshape(
                -1, 192
            ),
            lambda X: np.stack([X, 0 * X, 1 - X], axis=-1).reshape(-1, 8, 8, 3),
            "X with its channels first",
        ),
    ],
)
def test_ways_to_prepare_samples(prepared, handed, said):
    check = check_model(SVC().fit(prepared(X_TRAIN), Y_TRAIN), handed(X), Y)
    assert kinds(check)[0] == "scale" and check.findings[0].message.endswith(f"on {said}")
    what = "change" if "channels" in said else "scaling"
    advice = f"if it was trained on {said}, pass {said}, or put the {what} into the model (a Pipeline)"
    assert check.findings[0].advice == advice


def test_a_scale_that_a_model_does_not_take_is_not_its_own():
    """A model of counts refuses what is below 0, of which standardised samples have some."""
    model = MultinomialNB().fit(X_TRAIN, Y_TRAIN)
    assert "X standardised by column" in changes(X)
    assert kinds(check_model(model, X, Y)) == []


def test_categories_stay_as_they_are():
    kind = np.array(["low", "high"])[(Y > 4).astype(int)]
    frame, train = (
        pd.DataFrame(a).assign(kind=np.array(["low", "high"])[(b > 4).astype(int)]).rename(columns=str)
        for a, b in ((X, Y), (X_TRAIN, Y_TRAIN))
    )
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough"), SVC()
    ).fit(train, Y_TRAIN)
    assert kinds(check_model(model, frame, Y)) == []
    check = check_model(model, (frame.drop(columns="kind") / 255).assign(kind=kind), Y)
    assert check.findings[0].message.endswith("on X * 255")


@pytest.mark.parametrize("labels", [None, Y])
def test_what_is_unknown_is_not_said(labels):
    check = check_model(Service(FAULTS["constant"]), X, labels)
    (finding,) = check.findings
    assert finding.severity == ("note" if labels is None else "warning")
    assert np.isnan(check.accuracy) == (labels is None)
    assert ("accuracy unknown" in repr(check)) == (labels is None)
    assert check_model(LR, X[:1]).ok


def test_containers_and_nothing_changed():
    net, image = module(FAULTS[""]), nn.Sequential(nn.Flatten(), module(FAULTS[""]), nn.Dropout(0.9))
    net.train(), image.train()
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    for model, data in ((net, torch.from_numpy(X)), (net, X.tolist()), (image, X.reshape(-1, 1, 8, 8))):
        check = check_model(model, data, torch.from_numpy(Y))
        assert check.findings == () and check.accuracy == pytest.approx(ACCURACY)
    check_model(Service(noisy), X, Y)
    assert all(part.training for part in (*net.modules(), *image.modules()))
    assert (np.random.get_state()[1] == before[0]).all() and (torch.get_rng_state() == before[1]).all()
    assert all(weight.grad is None for weight in net.parameters())


@pytest.mark.parametrize("label", range(10))
def test_samples_of_one_class_tell_nothing_of_chance_and_scale(label):
    """An answer that is always theirs is right on all, and on another scale most models have one answer."""
    weak = LogisticRegression(C=0.001).fit(X_TRAIN, Y_TRAIN)
    for model, data in ((LR, X), (weak, X), (weak, X * 255), (LR, X / 255), (weak, noisy(2 * X))):
        assert not {"chance", "scale"} & set(kinds(check_model(model, data[Y == label], Y[Y == label])))


@pytest.mark.parametrize(("share", "shift", "weight"), [(0.05, 1.0, 20), (0.05, 1.5, 40), (0.1, 1.5, 40)])
def test_a_scale_on_which_the_large_class_is_answered_more_often_is_not_the_models_own(share, shift, weight):
    """A model that gives a rare class more weight errs on the large one, and less where it sees little."""
    rng = np.random.RandomState(0)
    y = (rng.uniform(size=2000) < share).astype(int)
    X = np.exp(rng.normal(size=(2000, 2)) + shift * y[:, None])
    model = LogisticRegression(class_weight={0: 1, 1: weight}, max_iter=1000).fit(X, y)
    assert model.score(X, y) < 0.9 < model.score(StandardScaler().fit_transform(X), y)
    assert "scale" not in kinds(check_model(model, X, y))


def test_a_scale_on_which_the_answer_is_always_the_same_is_not_the_models_own():
    class One(Service):
        def predict(self, X):
            return np.where(X.max(axis=1) > 100, 0, (9 * X.sum(axis=1)).astype(int) % 3)

    mostly = np.where(np.arange(300) < 290, 0, Y)
    assert "scale" not in kinds(check_model(One(None), X, mostly))


def test_errors():
    with pytest.raises(ValueError, match="labels that are not among the classes"):
        check_model(LR, X, Y + 1)
    with pytest.raises(ValueError, match="X has 63 features, but LogisticRegression is expecting 64"):
        check_model(LR, X[:, 1:], Y)
    with pytest.raises(RuntimeError, match="model 'Service' raised ZeroDivisionError"):
        check_model(Service(lambda X: 1 / 0), X, Y)


def test_of_many_samples_some_are_drawn_as_often_of_each_class():
    rare = np.arange(3000) % 100 == 0
    big = np.tile(X, (10, 1))
    big[:, 0] = rare
    asked = []

    class Noting(Service):
        def predict(self, X):
            asked.append(X)
            return (X[:, 0] == 1).astype(int)

    check = check_model(Noting(None), big, rare.astype(int))
    assert check.n_samples == 500 and check.accuracy == 1 and asked[0][:, 0].sum() == 5
    assert sum(map(len, asked)) <= 500 + 2 * 200


def honest(rng, n_classes, shares, n, skill):
    """Truth, and answers that know it in a share ``skill`` of the cases and else guess by the shares."""
    truth = rng.choice(n_classes, n, p=shares)
    return truth, np.where(rng.uniform(size=n) < skill, truth, rng.choice(n_classes, n, p=shares))


@pytest.mark.parametrize("skill", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.9, 0.1], [0.6, 0.3, 0.1], [0.1] * 10], ids=len)
def test_weak_but_honest_models_are_hardly_ever_warned_about(shares, skill):
    """Of few samples too, and where other scales change what they say."""
    rng, n_classes = np.random.RandomState(0), len(shares)
    warned = []
    for i in range(300):
        n = (20, 50, 100)[i % 3]
        truth, predicted = honest(rng, n_classes, shares, n, skill)

        class Other(Service):
            def predict(self, X):
                # as often right on other scales, with errors of their own
                return honest(rng, n_classes, shares, len(X), 0)[1]

        model = as_model(Other(None), classes=None)
        answers = Answers(model, rng.uniform(size=(n, 2)), predicted, np.arange(n_classes), truth)
        warned.append(any(finding.severity == "warning" for finding in accuracy_findings(answers)))
    assert np.mean(warned) <= 0.02


def test_the_result():
    warning = Finding("chance", "warning", "accuracy <is low>", "train it")
    note = Finding("scores", "note", "odd", "nothing")
    check = ModelCheck("net", 20, 2, 0.5, (0.3, 0.7), (warning, note))
    assert not check.ok and check.warnings == (warning,)
    assert repr(check) == (
        "ModelCheck of 'net': 20 samples, 2 classes, accuracy .50 [.30 .70]\n"
        "warning  chance  accuracy <is low>\n"
        "                 -> train it\n"
        "note     scores  odd\n"
        "                 -> nothing"
    )
    assert "accuracy &lt;is low&gt;</td>" in check._repr_html_() and "-&gt; train it" in check._repr_html_()
    assert check.to_frame().to_dict("list") == {
        "kind": ["chance", "scores"],
        "severity": ["warning", "note"],
        "message": ["accuracy <is low>", "odd"],
        "advice": ["train it", "nothing"],
    }
    assert list(ModelCheck("net", 20, 2, 0.5, (0.3, 0.7)).to_frame().columns) == list(
        check.to_frame().columns
    )
    assert pickle.loads(pickle.dumps(check)) == check


@pytest.mark.parametrize(
    ("n_agree", "severity"),
    [(100, None), (92, None), (90, "note"), (85, "note"), (82, "warning"), (0, "warning")],
)
def test_how_far_a_soft_copy_agrees(monkeypatch, n_agree, severity):
    """By the upper end of the Wilson interval: .96, .945, .907 and .883 for 92, 90, 85 and 82 of 100."""
    monkeypatch.setattr(_check_scores, "copy_agrees", lambda model, X, predicted: np.arange(100) < n_agree)
    finding = _check_scores._copy(None, np.zeros((100, 2)), np.zeros(100, dtype=int))
    assert (finding and finding.severity) == severity
    if severity:
        assert f"agrees with it on {n_agree}% of the samples" in finding.message


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (9, 0), (9, 5), (5, 9)])
def test_the_risk_of_a_change_is_the_sign_tests(gained, lost):
    before, after = np.zeros((2, 20), dtype=bool)
    after[:gained], before[gained : gained + lost] = True, True
    n = gained + lost
    expected = binomtest(gained, n, alternative="greater").pvalue if n else 1
    assert np.exp(_check_accuracy._log_risk(before, after)) == pytest.approx(expected)


BINARY = np.arange(2)


def answering(predicted, truth=None, others=None, labels=BINARY, model=None, X=None):
    predicted = np.asarray(predicted)
    X = np.zeros((len(predicted), 1)) if X is None else X
    return Answers(
        as_model(Service(FAULTS[""])) if model is None else model,
        X,
        predicted,
        np.asarray(labels),
        None if truth is None else np.asarray(truth),
        None if others is None else np.asarray(others),
    )


ALWAYS_0 = np.zeros(20, dtype=int)


@pytest.mark.parametrize(
    ("predicted", "truth", "others", "expected"),
    [
        (ALWAYS_0, np.arange(20) < 8, None, ("warning", "8 are of other classes: accuracy .60")),
        (ALWAYS_0, np.arange(20) < 7, None, ("note", "7 are of other classes: accuracy .65")),
        (ALWAYS_0, ALWAYS_0, None, None),
        (
            ALWAYS_0,
            None,
            [np.arange(20) < 8],
            ("warning", "of which the other model puts 8 into other classes"),
        ),
        (ALWAYS_0, None, [np.arange(20) < 7], ("note", "of which the other model puts 7 into other classes")),
        # one of two is not most
        (ALWAYS_0, None, [np.arange(20) < 9, ALWAYS_0], None),
        (
            ALWAYS_0,
            None,
            [np.arange(20) < 9, np.arange(20) < 8, ALWAYS_0],
            ("warning", "of which most other models put 8 into other classes"),
        ),
        (ALWAYS_0, None, None, ("note", "it predicts 'a' for all 20 samples")),
        (np.arange(20) == 19, None, None, None),
        (np.arange(20) == 0, np.arange(20) > 9, None, None),
    ],
)
def test_one_answer_to_all(predicted, truth, others, expected):
    """A warning where 8 samples at least are of other classes, or most other models say so."""
    truth = None if truth is None else truth.astype(int)
    others = None if others is None else np.array(others).astype(int)
    finding = _check_accuracy._constant(answering(predicted.astype(int), truth, others, labels=["a", "b"]))
    assert (finding is None) == (expected is None)
    if expected:
        assert (finding.kind, finding.severity) == ("constant", expected[0])
        assert finding.message.startswith("it predicts 'a' for all 20 samples")
        assert finding.message.endswith(expected[1])


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_how_near_to_chance_is_too_near(share):
    """A fifth of the way from chance, the sum of products of shares, to 1 lies above the interval."""
    n, n_first = 1000, int(1000 * share)
    truth = np.repeat([0, 1], [n_first, n - n_first])
    said = []
    for n_right in range(0, n + 1, 20):
        # as many of each class as there are, if it can be
        wrong = min(n - n_right, 2 * (n - n_first)) // 2
        predicted = truth.copy()
        predicted[:wrong], predicted[n - wrong :] = 1, 0
        answers = answering(predicted, truth)
        expected = share**2 + (1 - share) ** 2
        assert _check_accuracy.chance(answers, truth) == pytest.approx(expected)
        finding = _check_accuracy._near_chance(answers, truth)
        high = wilson_interval(n - 2 * wrong, n).high
        assert (finding is not None) == (high < expected + 0.2 * (1 - expected))
        said.append(finding is not None)
    assert 0 < sum(said) < len(said)


def test_chance_is_that_of_answers_whatever_the_sample():
    predicted, truth = np.repeat([0, 1, 2], [5, 3, 2]), np.repeat([2, 0, 1], [5, 4, 1])
    answers = answering(predicted, truth, labels=range(3))
    assert _check_accuracy.chance(answers, truth) == pytest.approx(0.5 * 0.4 + 0.3 * 0.1 + 0.2 * 0.5)


@pytest.mark.parametrize(("n", "said"), [(12, "11"), (13, "11, ...")])
def test_twelve_labels_are_written_out(n, said):
    assert _check_accuracy._listed(np.arange(n)) == ", ".join(map(str, range(11))) + f", {said}"


@pytest.mark.parametrize(
    ("moves", "n_right", "read"),
    [
        ({0: 1, 1: 0}, 40, [1, 0]),
        ({0: 1, 1: 0}, 22, None),  # hardly better
        ({0: 1, 1: 2, 2: 0}, 60, [1, 2, 0]),
        ({}, 0, None),
    ],
)
def test_the_order_of_labels_that_is_right_far_more_often(moves, n_right, read):
    n_classes = max(len(moves), 2)
    truth = np.repeat(np.arange(n_classes), 20)
    back = {there: here for here, there in moves.items()}
    predicted = np.array([back.get(c, c) for c in truth])
    wrong = np.arange(len(truth)) % 20 >= 20 * n_right / len(truth)
    predicted[wrong] = truth[wrong]
    answers = answering(predicted, truth, labels=range(n_classes))
    found = _check_accuracy._label_order(answers, truth)
    assert (found is None) == (read is None)
    if read:
        accuracy, finding = found
        assert (accuracy, finding.kind, finding.severity) == (n_right / len(truth), "label_order", "warning")
        assert finding.message.endswith(f"are read as {', '.join(map(str, read))}")
        assert finding.advice == "code y as in its training"


@pytest.mark.parametrize(("n", "named"), [(10, False), (11, True)])
def test_another_order_needs_a_risk_below_a_thousandth(n, named):
    """Where all are wrong and two orders are possible: 2 * 2^-11 is less than .001, and 2 * 2^-10 is more."""
    truth = np.arange(n) % 2
    found = _check_accuracy._label_order(answering(1 - truth, truth), truth)
    assert (found is not None) == named


@pytest.mark.parametrize(("n_right", "named"), [(296, False), (300, True), (304, True)])
def test_another_order_must_be_right_on_half_of_the_way_from_chance(n_right, named):
    """Of two classes that are as frequent that is an accuracy of .75."""
    truth = np.arange(400) % 2
    predicted = np.where(np.arange(400) < n_right, 1 - truth, truth)
    found = _check_accuracy._label_order(answering(predicted, truth), truth)
    assert (found is not None) == named


def test_what_explains_most_is_said(monkeypatch):
    truth = np.arange(20) % 2
    order, scale = (Finding(kind, "warning", "", "") for kind in ("label_order", "scale"))
    answers = answering(1 - truth, truth)
    for share, most in ((0.8, order), (0.95, scale)):
        monkeypatch.setattr(_check_accuracy, "_label_order", lambda *given: (0.9, order))
        monkeypatch.setattr(_check_accuracy, "_scale", lambda *given, share=share: (share, scale))
        assert accuracy_findings(answers) == [most]
        # of an answer that is not steady no scale is the cause
        assert accuracy_findings(answers, steady=False) == [order]


def test_samples_without_a_value_have_no_scale():
    truth = np.arange(20) % 2
    answers = answering(1 - truth, truth, X=np.full((20, 2), np.nan))
    assert _check_accuracy._scale(answers, truth) is None


def test_what_is_written_out_is_short():
    assert _check_scores._changed([]) is None
    finding = _check_scores._changed(list("abcd"))
    assert (finding.severity, finding.message) == ("warning", "predicting changes its a, b, c")
    finding = _check_scores._without_scores(ValueError("x" * 120 + "\nand more"))
    assert (finding.severity, finding.message.count("x")) == ("note", 100)


def test_a_single_sample_says_nothing_of_accuracy():
    for predicted in (0, 1):
        assert accuracy_findings(answering([predicted], [predicted])) == []
    (finding,) = accuracy_findings(answering([0], [1]))
    assert (finding.kind, finding.severity) == ("constant", "note")


def scores_apart(gap, n=100, n_apart=50):
    """Scores with a range of 1, and others that lie apart at some samples."""
    scores = np.tile([0.0, 0.25, 1.0], (n, 1))
    other = scores.copy()
    other[:n_apart, 1] += gap
    return scores, other


@pytest.mark.parametrize(("gap", "apart"), [(0.0, False), (0.0999, False), (0.1001, True), (-0.2, True)])
def test_scores_differ_by_a_share_of_their_usual_range(gap, apart):
    a, b = scores_apart(gap)
    for scale in (1.0, 100.0):
        np.testing.assert_array_equal(
            _check_scores._apart(scale * a, scale * b, 0.1), apart & (np.arange(100) < 50)
        )
    a[1] = b[1] = [0, 50, 1000]  # one that is larger than usual
    assert _check_scores._apart(a, b, 0.1)[2:50].all() == apart
    a[0] = b[0] = [-np.inf, 0, np.inf]
    assert not _check_scores._apart(a, b, 0.1)[0]
    b[0, 1] = np.inf
    assert _check_scores._apart(a, b, 0.1)[0]


@pytest.mark.parametrize(
    ("again", "elsewhere", "kind"),
    [
        ((0, 0), (0, 0), None),
        ((0, 0), (9e-5, 50), None),
        ((2e-4, 50), (2e-4, 50), "random"),
        ((9e-5, 50), (2e-4, 50), None),
        ((0, 0), (0.049, 50), None),
        ((0, 0), (0.051, 50), "batch"),
        ((0, 0), (0.5, 4), None),  # 1 of the 25 that are asked is 4 %, so two of 100 are 2 %
    ],
)
def test_how_far_scores_may_move(again, elsewhere, kind):
    """By 10^-4 of their range from call to call, and by 5 % in another batch, on 2 % of the samples."""
    X = np.arange(100.0)[:, None]
    scores = scores_apart(0)[0]
    calls = []

    def ask(rows):
        at = rows[:, 0].astype(int)
        calls.append(at)
        gap, n_apart = elsewhere if len(rows) < 100 else again
        return scores_apart(gap, n_apart=n_apart)[1][at]

    finding = _check_scores._moved(ask, X, scores)
    np.testing.assert_array_equal(calls[0], np.arange(99, -1, -4))
    assert all(len(at) == 100 for at in calls[1:])
    if elsewhere == (0.5, 4):
        assert finding.kind == "batch" and "on 4% of them and its prediction on 0%" in finding.message
    else:
        assert (finding and finding.kind) == kind


@pytest.mark.parametrize("n", [1, 7, 8])
def test_of_few_samples_all_are_asked_in_another_order(n):
    asked = []

    def ask(rows):
        asked.append(rows[:, 0].tolist())
        return np.zeros((len(rows), 2))

    assert _check_scores._moved(ask, np.arange(float(n))[:, None], np.zeros((n, 2))) is None
    assert asked == [[7, 3] if n == 8 else list(range(n))[::-1]]


@pytest.mark.parametrize(("n_other", "kind"), [(0, None), (2, None), (3, "scores")])
def test_how_often_the_largest_score_may_be_another_class(n_other, kind):
    """Up to 2 % of the samples, where scores tie."""
    predicted = (np.arange(100) < n_other).astype(int)
    model = as_model(Scored(None))
    model.predict = lambda X: predicted
    scores = np.tile([1.0, 0.0], (100, 1))
    finding = _check_scores._otherwise(model, X[:100], scores, predicted)
    assert (finding and finding.kind) == kind
    if kind:
        assert finding.severity == "note" and finding.message.startswith(f"on {n_other}% of the samples its")


@pytest.mark.parametrize(("answers", "kind"), [([1, 1], "batch"), ([1, 2], "random")])
def test_predictions_that_differ_from_the_first_ones(answers, kind):
    """Always in the same way, they depend on the batch; else they are drawn."""
    model, said = as_model(Scored(None)), iter(answers)
    model.predict = lambda X: np.full(100, next(said))
    scores = np.tile([0.0, 1.0, 0.0], (100, 1))
    finding = _check_scores._otherwise(model, X[:100], scores, np.zeros(100, dtype=int))
    assert (finding.kind, finding.severity) == (kind, "warning")
    assert "on 100% of them and its prediction on 100%" in finding.message


@pytest.mark.parametrize(("n_certain", "said"), [(50, False), (51, True), (100, True)])
def test_probabilities_of_0_and_1(n_certain, said):
    scores = np.where(np.arange(100)[:, None] < n_certain, [0.0, 1.0], [0.1, 0.9])
    found = list(_check_scores._saturated(as_model(Scored(None)), scores))
    assert len(found) == said == any(f"on {n_certain}% of the samples" in one.message for one in found)
    assert all((one.kind, one.severity) == ("saturated", "note") for one in found)
    # decision values may be anything
    assert list(_check_scores._saturated(as_model(Service(FAULTS[""])), scores)) == []


def test_warnings_come_before_notes(monkeypatch):
    """And of each, what may explain others comes first, in whatever order it was found."""
    each = [("warning", "random"), ("warning", "scale"), ("note", "scores"), ("note", "saturated")]
    given = [Finding(kind, severity, "", "") for severity, kind in each]
    said = []
    for order in permutations(given):
        monkeypatch.setattr(_check, "score_findings", lambda answers, gradients, order=order: order)
        monkeypatch.setattr(_check, "accuracy_findings", lambda answers, steady: [])
        said.append(_check._check("name", answering(ALWAYS_0), True).findings)
    assert [finding.severity for finding in said[0]] == ["warning"] * 2 + ["note"] * 2
    assert all(findings == said[0] for findings in said)


UNIT, SIGNED, COUNTS = ["X * 255", "X * 16", "2 * X - 1"], ["(X + 1) / 2", "(X + 1) * 127.5"], ["X / 255"]
COUNTS += ["X / 16", "X / 127.5 - 1"]
BY_COLUMN, BY_CHANNEL = "X standardised by column", "X standardised by channel"
MOVED = ["X with its channels first", "X with its channels last"]


@pytest.mark.parametrize(
    ("low", "high", "shape", "names"),
    [
        (0, 1, (4,), [*UNIT, BY_COLUMN]),
        (0.2, 0.7, (4,), [*UNIT, BY_COLUMN]),
        (0, 1.01, (4,), [*COUNTS, BY_COLUMN]),
        (2, 255, (4,), [*COUNTS, BY_COLUMN]),
        (-0.01, 1, (4,), [*SIGNED, BY_COLUMN]),
        (-1, 1, (4,), [*SIGNED, BY_COLUMN]),
        (-1.01, 1, (4,), [BY_COLUMN]),
        (-1, 1.01, (4,), [BY_COLUMN]),
        (0, 1, (3, 4, 4), [*UNIT, BY_CHANNEL]),
        (0, 1, (147,), [*UNIT, BY_COLUMN]),  # 7 x 7 pixels are too few
        (0, 1, (192,), [*UNIT, BY_COLUMN, *MOVED]),
        (0, 1, (194,), [*UNIT, BY_COLUMN]),
        (0, 1, (3, 8, 8), [*UNIT, BY_CHANNEL, *MOVED]),
        (0, 1, (8, 8, 3), [*UNIT, BY_CHANNEL, *MOVED]),
        (0, 1, (27, 27), [*UNIT, BY_CHANNEL]),
        (np.nan, np.nan, (4,), []),
    ],
)
def test_ways_to_prepare_samples_of_each_range(low, high, shape, names):
    samples = np.full((2, *shape), np.nan)
    samples[0], samples[1] = low, high
    samples[1].flat[0] = np.nan
    assert list(changes(samples)) == names


def test_what_each_way_does():
    unit, counts = np.array([[0.0], [0.5], [1.0]]), np.array([[0.0], [127.5], [255.0]])
    ways = changes(unit) | changes(counts) | changes(2 * unit - 1)
    assert np.array_equal(ways["X * 255"](unit), counts) and np.array_equal(ways["X / 255"](counts), unit)
    assert np.array_equal(ways["X * 16"](unit), 16 * unit) and np.array_equal(ways["X / 16"](16 * unit), unit)
    for signed in (ways["2 * X - 1"](unit), ways["X / 127.5 - 1"](counts)):
        np.testing.assert_array_equal(signed, [[-1], [0], [1]])
        np.testing.assert_array_equal(ways["(X + 1) / 2"](signed), unit)
        np.testing.assert_array_equal(ways["(X + 1) * 127.5"](signed), counts)


@pytest.mark.parametrize(
    ("shape", "axis", "name"), [((5,), 0, BY_COLUMN), ((3, 2, 2), (0, 2, 3), BY_CHANNEL)]
)
def test_standardised_samples(shape, axis, name):
    """By what is known; what never changes becomes 0."""
    samples = np.random.RandomState(0).normal(3, 2, size=(50, *shape))
    samples[:, 1] = 7
    samples[0, 0] = np.nan
    made = changes(samples)[name](samples)
    mean, std = np.nanmean(made, axis=axis), np.nanstd(made, axis=axis)
    np.testing.assert_allclose(mean, 0, atol=1e-12)
    np.testing.assert_allclose(std, np.arange(len(std)) != 1)
    np.testing.assert_array_equal(np.isnan(made), np.isnan(samples))
    # as StandardScaler has it, where new samples are not what never changed before
    new = np.random.RandomState(1).normal(3, 2, size=(20, *shape))
    rows, new_rows = (np.moveaxis(one, 1, -1).reshape(-1, len(std)) for one in (samples, new))
    expected = StandardScaler().fit(rows).transform(new_rows)
    ours = np.moveaxis(changes(samples)[name](new), 1, -1).reshape(expected.shape)
    np.testing.assert_allclose(ours, expected, atol=1e-12)


def test_channels_that_are_moved():
    images = np.random.RandomState(0).rand(2, 8, 8, 3)
    first = images.transpose(0, 3, 1, 2)
    for shape in ((2, 8, 8, 3), (2, 192)):
        ways = changes(images.reshape(shape))
        np.testing.assert_array_equal(
            ways["X with its channels first"](images.reshape(shape)), first.reshape(shape)
        )
        np.testing.assert_array_equal(
            ways["X with its channels last"](first.reshape(shape)), images.reshape(shape)
        )


class Shifted(Service):
    """Right where samples are 255 times as large, and before that on some."""

    classes_ = BINARY

    def predict(self, X):
        truth, before, after = (X[:, i] / X[:, 3] for i in range(3))
        right = np.where(X[:, 3] > 1, after, before)
        return np.where(right == 1, truth, 1 - truth).astype(int)


@pytest.mark.parametrize(
    ("n_before", "n_after", "named"),
    [
        (50, 100, True),
        (50, 75, True),  # half of the errors are gone
        (50, 74, False),
        (92, 100, False),  # the interval reaches .95
        (86, 100, True),
        (100, 100, False),
        (60, 60, False),
    ],
)
def test_the_scale_on_which_a_model_is_right_far_more_often(n_before, n_after, named):
    """Below .95 beyond doubt, with half of the errors at least due to the scale."""
    order = np.random.RandomState(0).permutation(100)
    samples = np.ones((100, 4))
    truth = np.arange(100) % 2
    samples[:, 0], samples[:, 1], samples[:, 2] = truth, order < n_before, order < n_after
    predicted = np.where(order < n_before, truth, 1 - truth)
    answers = answering(predicted, truth, model=as_model(Shifted(None)), X=samples)
    found = _check_accuracy._scale(answers, truth)
    assert (found is not None) == named
    if named:
        accuracy, finding = found
        assert (accuracy, finding.kind, finding.severity) == (n_after / 100, "scale", "warning")
        assert finding.message.endswith(("on X * 255", "on X * 16"))


@pytest.mark.parametrize(("n", "n_asked"), [(150, 150), (200, 200), (201, 200), (300, 200)])
def test_scores_of_200_samples_are_asked_for(n, n_asked):
    """Twice, where the second time is a quarter of them; and the gradient of 4."""
    sizes, slopes = [], []

    def noting(x):
        (slopes if x.requires_grad else sizes).append(len(x))
        return x

    model = as_model(module(noting), classes=range(10))
    model.scores(X[:32])
    sizes.clear()
    list(
        _check_scores.score_findings(
            answering(LR.predict(X[:n]), labels=range(10), model=model, X=X[:n].astype(np.float32)),
            gradients=True,
        )
    )
    assert (sizes[0], slopes) == (n_asked, [4])
    assert sizes[1] == -(-n_asked // 4)
