"""CurveResult sample by sample: parts of them, and the budget at which each sample falls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, TransferCurve, TransferMatrix, TransferScorer
from skhalfway.transfer import Outcomes

N, EPS = 30, [0.0, 0.1, 0.25, 0.5]


def curve_of(condition="both_correct", *, labelled=True, targeted=False, sources=("a", "b", "c")):
    """Answers at random, so that a sample may fool at a budget and not at the next."""
    rng = np.random.RandomState(0)
    draw = lambda *shape: rng.randint(3, size=(*shape, N))  # noqa: E731
    names, labels = ("a", "b", "c"), draw()
    clean = np.where(rng.uniform(size=(3, N)) < 0.7, labels, draw(3))
    goals, n = (labels + 1) % 3 + np.zeros((len(sources), 1), int), len(sources)
    matrices = []
    for _ in EPS:
        made = np.where(rng.uniform(size=(n, 2, N)) < 0.7, labels, draw(n, 2))
        outcomes = Outcomes(
            names,
            sources,
            ("b", "c"),
            np.array(["x", "y", "z"]),
            labels if labelled else None,
            clean,
            draw(2),
            np.where(rng.uniform(size=(n, N)) < 0.5, labels, draw(n)),
            made,
            goals if targeted else None,
        )
        matrices.append(TransferMatrix.of(outcomes, condition, goal="target" if targeted else "other"))
    fallen = np.maximum.accumulate([matrix.source_fooled for matrix in matrices])
    return TransferCurve(EPS, tuple(matrices), np.maximum(fallen, fallen[0]))


CURVES = {
    "plain": curve_of(),
    "all": curve_of("all"),
    "source fooled": curve_of("source_fooled"),
    "unlabelled": curve_of(labelled=False),
    "targeted": curve_of(targeted=True),
    "one source": curve_of(sources=("b",)),
}


def slowly(curve, source, target, k):
    """Smallest budget at which sample k, made on the source, fools the target, or any other."""
    i, falls, counts = curve.sources.index(source), [], False
    for eps, matrix in zip(curve.eps.tolist(), curve.matrices, strict=True):
        for j, name in enumerate(curve.targets):
            if name == source or target not in (None, name):
                continue
            one = matrix.subset([k])
            counts |= bool(one.eligible[i, j])
            falls += [eps] if one.fooled[i, j] else []
    return min(falls, default=np.inf if counts else np.nan)


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("target", [None, "b", "c"])
def test_the_budget_at_which_a_sample_falls(name, target):
    curve = CURVES[name]
    frame = curve.exposure(target)
    others = [source for source in curve.sources if source != target]
    label = ["label"] if name != "unlabelled" else []
    assert list(frame) == [*label, "eps", "fooled_by", "of", "noise", *(f"from {one}" for one in others)]
    for source in others:
        expected = [slowly(curve, source, target, k) for k in range(N)]
        np.testing.assert_array_equal(frame.sort_index()[f"from {source}"], expected, source)
    each = frame[[f"from {source}" for source in others]]
    if others:
        np.testing.assert_array_equal(frame["eps"], each.min(axis=1))
        assert len(set(frame["eps"].dropna())) > 1
    else:
        assert frame["eps"].isna().all()
    # the most exposed first: small budgets, then many sources; what does not count last
    places = list(zip(frame["eps"].fillna(np.inf), frame["eps"].isna(), -frame["fooled_by"], strict=True))
    assert places == sorted(places)
    last = curve.matrices[-1].exposure(target).loc[frame.index]
    pd.testing.assert_frame_equal(frame[last.columns], last)


@pytest.mark.parametrize("name", CURVES)
def test_a_part_is_counted_anew(name):
    curve = CURVES[name]
    whole = curve.subset(np.arange(N))
    assert whole.matrices == curve.matrices
    part = curve.subset(np.arange(N) % 3 == 0)
    rest = curve.subset(np.arange(N) % 3 > 0)
    np.testing.assert_array_equal(part.source_fooled + rest.source_fooled, whole.source_fooled)
    for one, other, every in zip(part.matrices, rest.matrices, curve.matrices, strict=True):
        np.testing.assert_array_equal(one.fooled + other.fooled, every.fooled)
    assert part.n_samples == 10 and part.eps.tolist() == EPS


def test_measured(iris):
    """Of an attack: of a part what an attack on it gives; names, seeds and settings stay."""
    X, y = (part[::5] for part in iris)
    frame = pd.DataFrame(X, index=pd.Index([f"flower {k}" for k in range(len(X))], name="name"))
    models = {"lr": LogisticRegression(max_iter=1000).fit(*iris), "svm": SVC().fit(*iris)}
    scorer = TransferScorer(AdversarialGenerator(attack="pgd", max_iter=5), random_state=0).fit(models)
    curve = scorer.transfer_curve(frame, y, eps=[0.2, 0.5, 1.0])
    assert curve.subset(np.ones(len(X), bool)) == curve
    part, alone = curve.subset(y == 1), scorer.transfer_curve(frame[y == 1], y[y == 1], eps=[0.2, 0.5, 1.0])
    np.testing.assert_array_equal(part.rates, alone.rates)
    np.testing.assert_array_equal(part.source_fooled, alone.source_fooled)
    assert part.provenance.n_samples == 10 and part.provenance.settings == curve.provenance.settings
    found = curve.exposure("svm")
    assert found.index.name == "name" and set(found.index) == set(frame.index)
    pd.testing.assert_series_equal(found["eps"], found["from lr"], check_names=False)
    fooled = (found["eps"] <= 0.5).sum()
    assert fooled == curve.matrices[2].fooled[0, 1] > 0
    pd.testing.assert_frame_equal(part.exposure("svm"), curve.exposure("svm").loc[part.exposure("svm").index])


def test_what_cannot_be_asked():
    with pytest.raises(ValueError, match="there is no target 'a'; the targets are"):
        CURVES["plain"].exposure("a")
    with pytest.raises(ValueError, match="rows must be numbers of samples below 30"):
        CURVES["plain"].subset([30])
    counts = replace(CURVES["plain"].matrices[0], outcomes=None)
    curve = TransferCurve([0.0], (counts,), counts.source_fooled[None])
    for call in (lambda: curve.exposure("b"), lambda: curve.subset([0])):
        with pytest.raises(ValueError, match="this matrix holds counts alone"):
            call()
