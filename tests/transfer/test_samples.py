"""Samples that were kept: those of the attack, in X's container, whatever is done to X later."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.compose import make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, Constraints, TransferScorer


@pytest.fixture(scope="module")
def models(iris):
    X, y = iris
    return {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}


def kept(place, tmp_path):
    return tmp_path / "kept" if place == "folder" else True


PLACES = pytest.mark.parametrize("place", ["memory", "folder"])


GIVEN = [
    {"attack": "pgd", "random_start": True, "eps": 0.5},
    {"attack": "square", "max_queries": 20, "eps": 0.5},
    {"attack": "deepfool", "norm": 2, "eps": 0.7},
    {"attack": "fmn", "eps": 0.7, "constraints": Constraints(increasing=[0], immutable=[1])},
]


@pytest.mark.parametrize(
    ("given", "place", "n_jobs"),
    # every two of these
    [
        (given, place, [None, 2][(i + k) % 2])
        for i, given in enumerate(GIVEN)
        for k, place in enumerate(["memory", "folder"])
    ],
)
def test_they_are_what_the_generator_makes(iris, models, given, n_jobs, place, tmp_path):
    """Of the same samples, with the same seed; not attacked anew, and the others not at all."""
    X, y = (part[::3] for part in iris)
    settings = {**given, "random_state": 3}
    scorer = TransferScorer(AdversarialGenerator(**settings), n_jobs=n_jobs).fit(models)
    matrix = scorer.transfer(X, y, keep_samples=kept(place, tmp_path))
    for name, model in models.items():
        right = model.predict(X) == y
        alone = AdversarialGenerator(FrozenEstimator(model), **settings).fit(X, y)
        expected = X.copy()
        expected[right] = alone.generate(X, y)[right]
        np.testing.assert_allclose(matrix.samples(name), expected, atol=1e-12)
    # the counts are of them
    i, j = matrix.sources.index("lr"), matrix.targets.index("svm")
    both = np.all([model.predict(X) == y for model in models.values()], axis=0)
    fooled = models["svm"].predict(matrix.samples("lr")) != y
    assert matrix.fooled[i, j] == (both & fooled).sum() > 0
    assert isinstance(matrix.samples("lr"), np.memmap) == (place == "folder")


@pytest.mark.parametrize("target", [None, 1, "random"])
@pytest.mark.parametrize("condition", ["both_correct", "all"])
@pytest.mark.parametrize("labelled", [True, False])
def test_every_way_to_attack(iris, models, target, condition, labelled):
    X, y = (part[::3] for part in iris)
    scorer = TransferScorer(AdversarialGenerator(eps=0.5), condition=condition, random_state=0).fit(models)
    matrix = scorer.transfer(X, y if labelled else None, target=target, keep_samples=True)
    for i, (name, model) in enumerate(models.items()):
        made = matrix.outcomes.own[i] >= 0
        answers = model.predict(matrix.samples(name))
        np.testing.assert_array_equal(answers[made], matrix.outcomes.classes[matrix.outcomes.own[i, made]])
        np.testing.assert_array_equal(matrix.samples(name)[~made], X[~made])
        left = matrix.outcomes.left[i]
        expected = np.ones(len(X), bool) if condition == "all" else matrix.outcomes.clean[i] == left
        if target is not None:
            expected &= matrix.outcomes.goals[i] != left
        np.testing.assert_array_equal(made, expected)


def test_a_curve_is_made_of_other_samples(iris, models):
    """A matrix of a curve has none: it holds those of several budgets."""
    X, y = (part[::3] for part in iris)
    curve = TransferScorer(random_state=0).fit(models).transfer_curve(X, y, eps=[0.1, 0.2])
    with pytest.raises(ValueError, match="they were not kept, or only in memory"):
        curve.matrices[1].samples("lr")


@PLACES
def test_what_is_done_later_changes_nothing(iris, place, tmp_path):
    """Nor can they be changed: other results may read them."""
    X, y = iris
    frame = pd.DataFrame(X.astype(np.float32), columns=list("pqrs"))
    models = {"lr": LogisticRegression(max_iter=1000).fit(frame, y), "svm": SVC().fit(frame, y)}
    scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0).fit(models)
    matrix = scorer.transfer(frame, y, keep_samples=kept(place, tmp_path))
    before = matrix.samples("lr")
    frame["p"] = 0.0
    frame["new"] = 1.0
    pd.testing.assert_frame_equal(matrix.samples("lr"), before)
    changed = matrix.samples("lr")
    changed.loc[:] = 0.0  # a copy of the user's own
    pd.testing.assert_frame_equal(matrix.samples("lr"), before)
    plain = {"lr": LogisticRegression(max_iter=1000).fit(X, y), "svm": SVC().fit(X, y)}
    array, scorer = X.copy(), TransferScorer(random_state=0).fit(plain)
    matrix = scorer.transfer(array, y, keep_samples=kept(place, tmp_path / "plain"))
    samples = matrix.samples("svm")
    assert not np.shares_memory(samples, array)
    torch.from_numpy(samples)  # which warns of arrays that cannot be written to
    before, samples[0] = samples.copy(), 0
    np.testing.assert_array_equal(matrix.samples("svm"), before)
    part = matrix.subset([3, 1])
    torch.from_numpy(part.samples("svm"))[:] = 0
    np.testing.assert_array_equal(part.samples("svm"), before[[3, 1]])


@PLACES
def test_containers_come_back(iris, place, tmp_path):
    X, y = iris
    torch.manual_seed(0)
    lr = LogisticRegression(max_iter=1000).fit(X, y)
    modules = {}
    for name, scale in (("sharp", 1.0), ("soft", 0.5)):
        modules[name] = torch.nn.Linear(4, 3)
        modules[name].weight.data = torch.tensor(scale * lr.coef_, dtype=torch.float32)
        modules[name].bias.data = torch.tensor(scale * lr.intercept_, dtype=torch.float32)
    tensor = torch.tensor(X, dtype=torch.float32)
    scorer = TransferScorer(AdversarialGenerator(eps=0.5), random_state=0).fit(modules)
    matrix = scorer.transfer(tensor, y, keep_samples=kept(place, tmp_path))
    samples = matrix.samples("soft")
    assert isinstance(samples, torch.Tensor) and samples.dtype == torch.float32
    assert (samples - tensor).abs().max() <= 0.5 + 1e-6
    samples[:] = 0  # a copy
    assert matrix.samples("soft").abs().max() > 0
    assert torch.equal(matrix.subset([7, 7, 0]).samples("soft"), matrix.samples("soft")[[7, 7, 0]])


@PLACES
def test_columns_of_categories_come_back(place, tmp_path):
    rng = np.random.RandomState(0)
    kinds = pd.Series(rng.choice(["x", "y", "z"], 120), dtype="category")
    frame = pd.DataFrame({"kind": kinds, "size": rng.normal(size=120), "age": rng.normal(size=120)})
    y = np.where(frame["size"] + frame["age"] + (kinds == "x") > 0, "good", "bad")
    columns = make_column_transformer((OneHotEncoder(), ["kind"]), (StandardScaler(), ["size", "age"]))
    models = {
        name: make_pipeline(columns, model).fit(frame, y)
        for name, model in (("lr", LogisticRegression()), ("svm", SVC()))
    }
    generator = AdversarialGenerator(attack="square", eps=0.4, max_queries=30)
    matrix = (
        TransferScorer(generator, random_state=0)
        .fit(models)
        .transfer(frame, y, keep_samples=kept(place, tmp_path))
    )
    samples = matrix.samples("lr")
    assert samples.dtypes.equals(frame.dtypes) and samples["kind"].equals(frame["kind"])
    assert 0 < np.abs(samples[["size", "age"]] - frame[["size", "age"]]).to_numpy().max() <= 0.4 + 1e-9
    frame["kind"] = "x"
    assert matrix.samples("lr")["kind"].equals(samples["kind"])


def test_subsets_of_subsets(iris, models):
    X, y = iris
    matrix = TransferScorer(random_state=0).fit(models).transfer(X, y, keep_samples=True)
    part = matrix.subset(y > 0).subset([-1, 3, 3]).subset(np.array([True, True, False]))
    np.testing.assert_array_equal(part.samples("lr"), matrix.samples("lr")[[149, 53]])
    assert part.by_class().of(2).samples("svm").shape == (1, 4)
    np.testing.assert_array_equal(matrix.counted_as("other").samples("lr"), matrix.samples("lr"))
    assert matrix.subset([]).samples("lr").shape == (0, 4)
