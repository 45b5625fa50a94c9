"""TransferScorer: what fit takes, what it keeps, and that results do not depend on how they are made."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.models import ModelWarning


def same(a, b):
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("names", "eligible", "fooled", "same_mistake", "noise_fooled")
    )


@pytest.mark.parametrize(
    ("form", "names"),
    [
        (lambda a, b, c: {"x": a, "y": b, "z": c}, ("x", "y", "z")),
        (lambda a, b, c: [("x", a), ("y", b), ("z", c)], ("x", "y", "z")),
        (lambda a, b, c: [a, b, c], ("logisticregression", "svc-1", "svc-2")),
        (lambda a, b, c: (a, b, c), ("logisticregression", "svc-1", "svc-2")),
    ],
)
def test_forms_of_models(iris, form, names):
    X, y = iris
    models = LogisticRegression(max_iter=1000).fit(X, y), SVC().fit(X, y), SVC(kernel="linear").fit(X, y)
    scorer = TransferScorer().fit(form(*models))
    assert tuple(scorer.models_) == names
    assert all(kept is given for kept, given in zip(scorer.models_.values(), models, strict=True))
    assert scorer.n_features_in_ == 4
    np.testing.assert_array_equal(scorer.classes_, [0, 1, 2])
    assert scorer.transfer(X[::10], y[::10]).names == names


def test_score_is_the_mean_rate(iris, iris_models):
    X, y = (part[::3] for part in iris)
    models = {name: iris_models[name] for name in ("lr", "svm", "mlp")}
    scorer = TransferScorer(AdversarialGenerator(eps=0.4)).fit(models)
    matrix = scorer.transfer(X, y)
    off = ~np.eye(3, dtype=bool)
    assert scorer.score(X, y) == matrix.mean_rate == pytest.approx(matrix.rates[off].mean())
    assert scorer.score(X) == scorer.transfer(X).mean_rate


def test_any_mix_of_families(iris, iris_models, linear_module):
    """scikit-learn, a black box, a torch module in training mode, a skorch net and an ART classifier."""
    from art.estimators.classification import PyTorchClassifier
    from skorch import NeuralNetClassifier

    X, y = iris
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        torch.nn.Linear(4, 3), criterion=torch.nn.CrossEntropyLoss, lr=0.1, max_epochs=60, verbose=0
    ).fit(X.astype(np.float32), y)
    module = torch.nn.Sequential(linear_module, torch.nn.Dropout(0.5)).train()
    art = PyTorchClassifier(linear_module, torch.nn.CrossEntropyLoss(), (4,), 3, device_type="cpu")
    models = {**iris_models, "net": net, "module": module, "art": art}
    generator = AdversarialGenerator(eps=0.5)
    scorer = TransferScorer(generator, random_state=0).fit(models)
    rows = slice(None, None, 10)
    matrix = scorer.transfer(X[rows], y[rows])
    assert matrix.names == tuple(models)
    assert (matrix.source_fooled > 0).all(), dict(zip(matrix.names, matrix.source_fooled, strict=True))
    # the same weights, seen as a torch module and through ART
    pair = [matrix.names.index(name) for name in ("module", "art")]
    np.testing.assert_array_equal(matrix.fooled[pair[0]], matrix.fooled[pair[1]])
    np.testing.assert_array_equal(matrix.fooled[:, pair[0]], matrix.fooled[:, pair[1]])
    assert module.training and module[1].training
    assert same(matrix, scorer.transfer(X[rows], y[rows]))


@pytest.mark.parametrize("setting", [{"n_jobs": 2}, {"verbose": 1}, {"n_jobs": -1, "verbose": 2}])
def test_jobs_and_progress_do_not_change_results(iris, iris_models, setting, capsys):
    X, y = iris
    generator = AdversarialGenerator(eps=0.4)
    base = TransferScorer(generator, random_state=0).fit(iris_models)
    other = clone(base).set_params(**setting).fit(iris_models)
    rows = slice(None, None, 15)
    assert same(base.transfer(X[rows], y[rows]), other.transfer(X[rows], y[rows]))
    assert ("attack" in capsys.readouterr().err) == bool(setting.get("verbose"))


def test_random_state_seeds_noise_and_generator(iris, iris_models):
    X, y = iris
    models = {name: iris_models[name] for name in ("lr", "mlp")}
    # a step too short to leave the start behind: what differs is where it starts
    generator = AdversarialGenerator(eps=1.0, random_start=True, max_iter=1, step_size=0.01)
    with pytest.warns(ModelWarning, match="it seems more robust than it is"):
        first, again, other = (
            TransferScorer(generator, random_state=seed).fit(models).transfer(X, y) for seed in (0, 0, 1)
        )
    assert same(first, again)
    assert not same(first, other)
    assert generator.random_state is None


def test_a_module_takes_the_classes_of_the_others(iris, linear_module):
    X, y = iris
    labels = np.array(["setosa", "versicolor", "virginica"])[y]
    lr = LogisticRegression(max_iter=1000).fit(X, labels)
    scorer = TransferScorer(AdversarialGenerator(eps=0.4), random_state=0).fit(
        {"lr": lr, "module": linear_module}
    )
    by_name = scorer.transfer(X, labels)
    by_number = TransferScorer(AdversarialGenerator(eps=0.4), random_state=0).fit(
        {"lr": LogisticRegression(max_iter=1000).fit(X, y), "module": linear_module}
    )
    assert same(by_name, by_number.transfer(X, y))


def test_a_net_among_estimators_is_fitted_on_data_of_its_type(iris):
    from skorch import NeuralNetClassifier

    X, y = iris
    torch.manual_seed(0)
    net = NeuralNetClassifier(
        torch.nn.Linear(4, 3), criterion=torch.nn.CrossEntropyLoss, lr=0.1, max_epochs=60, verbose=0
    )
    estimators = [("net", net), ("piped", make_pipeline(StandardScaler(), net)), ("svm", SVC())]
    scorer = TransferScorer(AdversarialGenerator(eps=0.6), estimators=estimators).fit(X, y)
    assert X.dtype == float
    assert (scorer.transfer(X[::3], y[::3]).source_eligible > 30).all()


def test_models_without_fit(iris):
    """A deployed model, say: all that there is of it is its predictions."""

    class Deployed:
        classes_ = np.arange(3)

        def predict(self, X):
            return np.digitize(X[:, 3], [0.8, 1.7])

    X, y = iris
    generator = AdversarialGenerator(eps=0.6, random_state=0)
    estimators = [("deployed", Deployed()), ("frozen", FrozenEstimator(Deployed())), ("svm", SVC())]
    matrix = TransferScorer(generator, estimators=estimators).fit(X, y).transfer(X[::10], y[::10])
    assert (matrix.source_fooled > 0).all()
    np.testing.assert_array_equal(matrix.fooled[0], matrix.fooled[1])
    attack = clone(generator).set_params(estimator=Deployed())
    assert (Deployed().predict(attack.transform(X[::10])) != Deployed().predict(X[::10])).any()


def test_only_modules(iris, linear_module):
    X, y = iris
    scorer = TransferScorer().fit({"a": linear_module, "b": torch.nn.Sequential(linear_module)})
    assert scorer.classes_ is None
    assert scorer.transfer(X, y).source_eligible[0] > 100


def test_data_in_any_container(iris, iris_models):
    X, y = (part[::3] for part in iris)
    models = {name: iris_models[name] for name in ("lr", "svm")}
    scorer = TransferScorer(AdversarialGenerator(eps=0.4), random_state=0).fit(models)
    expected = scorer.transfer(X, y)
    for data in (X.tolist(), torch.from_numpy(X), np.asfortranarray(X)):
        assert same(expected, scorer.transfer(data, y.tolist()))
    readonly = X.copy()
    readonly.setflags(write=False)
    assert same(expected, scorer.transfer(readonly, pd.Series(y)))


def test_column_names(iris):
    X, y = iris
    frame = pd.DataFrame(X, columns=list("abcd"))
    estimators = [("lr", LogisticRegression(max_iter=1000)), ("svm", SVC())]
    fitted = TransferScorer(estimators=estimators, random_state=0).fit(frame, y)
    np.testing.assert_array_equal(fitted.feature_names_in_, list("abcd"))
    some, labels = frame[::3], y[::3]
    expected = fitted.transfer(some, labels)
    taken = TransferScorer(random_state=0).fit(fitted.models_)
    np.testing.assert_array_equal(taken.feature_names_in_, list("abcd"))
    assert same(expected, taken.transfer(some, labels))
    with pytest.raises(ValueError, match="feature names"):
        taken.transfer(some[list("badc")], labels)


def test_images_for_networks_and_row_models():
    rng = np.random.RandomState(0)
    X = rng.rand(40, 1, 4, 4)
    y = (X.mean(axis=(1, 2, 3)) > 0.5).astype(int)
    rows = LogisticRegression(C=100).fit(X.reshape(40, -1), y)
    torch.manual_seed(0)
    cnn = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 2), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(27, 2)
    )
    scorer = TransferScorer(AdversarialGenerator(eps=0.2)).fit({"rows": rows, "cnn": cnn})
    with pytest.warns(ModelWarning, match="model 'cnn': it predicts 0 for all 40 samples"):
        matrix = scorer.transfer(X, y)
    assert matrix.source_eligible[0] >= 35
    assert matrix.fooled[0, 0] > 0


def test_frozen_estimators_are_not_refitted(iris):
    X, y = iris
    frozen = FrozenEstimator(SVC().fit(X[::2], y[::2]))
    tree = DecisionTreeClassifier(random_state=0)
    scorer = TransferScorer(estimators=[("frozen", frozen), ("tree", tree)]).fit(X, y)
    assert scorer.models_["frozen"] is frozen
    assert not hasattr(tree, "tree_") and hasattr(scorer.models_["tree"], "tree_")


def test_no_pair_with_a_sample_that_counts(iris):
    X, y = iris
    models = [
        LogisticRegression(max_iter=1000).fit(X, y),
        LogisticRegression(max_iter=1000).fit(X, (y + 1) % 3),
    ]
    scorer = TransferScorer().fit(models)
    with (
        pytest.warns(ModelWarning, match="'logisticregression-2': it predicts 1 for all 40 samples"),
        pytest.warns(UndefinedMetricWarning, match="no pair of models"),
    ):
        assert np.isnan(scorer.score(X[:40], y[:40]))


def test_robust_accuracy_is_the_worst_case_over_sources(iris, iris_models):
    X, y = iris
    sources = {name: iris_models[name] for name in ("lr", "mlp")}
    target = iris_models["svm"]
    generator = AdversarialGenerator(eps=0.4)
    scorer = TransferScorer(generator).fit(sources)
    right = target.predict(X) == y
    for source in sources.values():
        X_adv = clone(generator).set_params(estimator=FrozenEstimator(source)).generate(X, y)
        right &= target.predict(X_adv) == y
    assert scorer.robust_accuracy(target, X, y) == right.mean()
    # one of the sources is not attacked with its own samples
    other = TransferScorer(generator).fit({**sources, "svm": target})
    assert other.robust_accuracy(target, X, y) == right.mean()
