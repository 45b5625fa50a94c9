"""The check-up: each fault in each kind of model, the right figures, and no word about honest models."""

import pickle

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
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skhalfway.models import Finding, ModelCheck, _check_accuracy, _check_scores, as_model, check_model
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


@pytest.mark.filterwarnings("ignore:.*read as probabilities:skhalfway.models.ModelWarning")
@pytest.mark.parametrize(
    ("output", "function", "expected"),
    [
        (None, lambda z: z.softmax(1).clamp(1e-7, 1), "probabilities: as_model(model, output='probability')"),
        (None, lambda z: z.sigmoid().clamp(1e-7, 1), "outputs: as_model(model, output='probability')"),
        (None, lambda z: z.softmax(1), "outputs: no action is needed"),
        ("logits", lambda z: z.sigmoid().clamp(1e-7, 1), ""),
        ("probability", lambda z: z.softmax(1).clamp(1e-7, 1), ""),
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
        (Scored(raises), "scores", "asked for scores it raises NotImplementedError: not here"),
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
