"""Peak memory of one gradient step through every converter, and of whole attacks; write memory.md.

What is counted are the bytes that torch's CPU allocator gives and takes back, buffers inside of its kernels
too, and those that numpy does: the same figures in every run. ``--figures FILE`` keeps the numbers of some
families instead of making the page, those of an older version where it comes first on PYTHONPATH;
``--before FILE`` puts them beside.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from run import table
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch, FeatureAgglomeration, KMeans
from sklearn.compose import ColumnTransformer
from sklearn.cross_decomposition import PLSRegression
from sklearn.decomposition import (
    PCA,
    FactorAnalysis,
    FastICA,
    KernelPCA,
    MiniBatchSparsePCA,
    TruncatedSVD,
)
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.feature_selection import RFE, SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier, kernels
from sklearn.impute import SimpleImputer
from sklearn.kernel_approximation import (
    AdditiveChi2Sampler,
    Nystroem,
    PolynomialCountSketch,
    RBFSampler,
    SkewedChi2Sampler,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.naive_bayes import BernoulliNB, ComplementNB, GaussianNB, MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid, RadiusNeighborsClassifier
from sklearn.neural_network import BernoulliRBM, MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.random_projection import GaussianRandomProjection
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from tqdm.auto import tqdm

from skhalfway import AdversarialGenerator
from skhalfway.models import Model, as_model

Samples = tuple[NDArray[np.float64], NDArray[np.intp]]


@dataclass(frozen=True)
class Size:
    """How much there is of everything."""

    n_batch: int = 256
    n_features: int = 1000
    n_classes: int = 10
    n_train: int = 2000


def nothing(estimator: Any, size: Size) -> int:
    return 0


def points(estimator: Any, size: Size) -> int:
    return size.n_train


def points_of_each_class(estimator: Any, size: Size) -> int:
    return size.n_train * size.n_classes


def outputs(estimator: Any, size: Size) -> int:
    return len(estimator[0].get_feature_names_out())


def nodes(estimator: Any, size: Size) -> int:
    trees = estimator.estimators_ if hasattr(estimator, "estimators_") else [estimator]
    return sum(tree.tree_.node_count for tree in np.ravel(trees))


@dataclass(frozen=True)
class Family:
    """A kind of estimator.

    Attributes
    ----------
    make : callable
        Makes an estimator for a Size.
    data : {"normal", "positive", "categories", "missing", "tall", "two classes"}
        What it is fitted to.
    besides : callable
        Values that there are of a sample by the estimator's nature, beside features times classes: how many,
        of a fitted estimator and a Size.
    """

    make: Callable[[Size], Any]
    data: str = "normal"
    besides: Callable[[Any, Size], int] = nothing

    def fit(self, size: Size) -> tuple[Any, Samples]:
        X, y = samples(self.data, size)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator = self.make(size).fit(X, y)
        return estimator, (X[: size.n_batch], y[: size.n_batch])

    def n_values(self, estimator: Any, size: Size) -> int:
        """Values of a batch: of each sample features times classes or, if there are more, those besides."""
        return size.n_batch * max(size.n_features * size.n_classes, self.besides(estimator, size))


def samples(data: str, size: Size) -> Samples:
    rng = np.random.default_rng(0)
    # more samples of a class than features
    n_train = 11 * size.n_features * size.n_classes // 10 if data == "tall" else size.n_train
    y = np.arange(n_train) % (2 if data == "two classes" else size.n_classes)
    X = rng.normal(size=(n_train, size.n_features))
    X += rng.normal(size=(size.n_classes, size.n_features))[y] / 3
    if data == "positive":
        X = np.abs(X)
    elif data == "categories":
        X = np.clip(np.round(X + 4), 0, 8)
    elif data == "missing":
        X[rng.random(X.shape) < 0.05] = np.nan
    return X, y


def then_linear(*steps: Any) -> Pipeline:
    """A linear classifier of what steps give."""
    return make_pipeline(make_pipeline(*steps), SGDClassifier(max_iter=5, tol=None, random_state=0))


def process(kernel: Any) -> GaussianProcessClassifier:
    return GaussianProcessClassifier(kernel, optimizer=None, max_iter_predict=2)


def least_squares(size: Size) -> FrozenEstimator:
    # its fit_transform would transform y too
    return FrozenEstimator(PLSRegression(5, max_iter=5).fit(*samples("normal", size)))


LINEAR, NB = LogisticRegression(max_iter=5), GaussianNB(var_smoothing=1e-2)
TWO = [("linear", LINEAR), ("bayes", NB)]
BINS: dict[str, Any] = {"n_bins": 5, "strategy": "uniform"}
CLASSIFIERS: dict[str, Family] = {
    "GaussianNB": Family(lambda size: GaussianNB()),
    "QuadraticDiscriminantAnalysis": Family(
        lambda size: QuadraticDiscriminantAnalysis(reg_param=0.5), "tall"
    ),
    "MultinomialNB": Family(lambda size: MultinomialNB(), "positive"),
    "ComplementNB": Family(lambda size: ComplementNB(), "positive"),
    "BernoulliNB": Family(lambda size: BernoulliNB(binarize=0.5)),
    "LogisticRegression": Family(lambda size: LINEAR),
    "LinearSVC": Family(lambda size: LinearSVC(max_iter=5)),
    "LinearDiscriminantAnalysis": Family(
        lambda size: LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.1)
    ),
    "MLPClassifier": Family(lambda size: MLPClassifier((100,), max_iter=2)),
    **{
        f"SVC, {kernel}": Family(
            lambda size, kernel=kernel: SVC(kernel=kernel, gamma=1 / size.n_features), besides=points
        )
        for kernel in ("linear", "poly", "rbf", "sigmoid")
    },
    "SVC with probabilities, in a vote": Family(
        lambda size: VotingClassifier([("svc", SVC(probability=True, max_iter=20))], voting="soft"),
        besides=points,
    ),
    "GaussianProcessClassifier, RBF": Family(
        lambda size: process(kernels.RBF(size.n_features**0.5)), besides=points_of_each_class
    ),
    "GaussianProcessClassifier, Matern, two classes": Family(
        lambda size: process(kernels.Matern(size.n_features**0.5, nu=2.5)), "two classes", points
    ),
    "GaussianProcessClassifier, DotProduct ** 2, two classes": Family(
        lambda size: process(1e-6 * kernels.DotProduct() ** 2), "two classes", points
    ),
    "KNeighborsClassifier": Family(lambda size: KNeighborsClassifier(), besides=points),
    "KNeighborsClassifier, by distance": Family(
        lambda size: KNeighborsClassifier(weights="distance"), besides=points
    ),
    "KNeighborsClassifier, manhattan": Family(lambda size: KNeighborsClassifier(p=1), besides=points),
    "RadiusNeighborsClassifier": Family(
        lambda size: RadiusNeighborsClassifier(1.5 * size.n_features**0.5, outlier_label="most_frequent"),
        besides=points,
    ),
    "NearestCentroid": Family(lambda size: NearestCentroid()),
    "NearestCentroid, manhattan": Family(lambda size: NearestCentroid("manhattan")),
    "LabelPropagation": Family(
        lambda size: LabelPropagation(gamma=1 / size.n_features), besides=points_of_each_class
    ),
    "LabelSpreading, knn": Family(lambda size: LabelSpreading("knn"), besides=points_of_each_class),
    "DecisionTreeClassifier": Family(lambda size: DecisionTreeClassifier(random_state=0), besides=nodes),
    "RandomForestClassifier": Family(lambda size: RandomForestClassifier(10, random_state=0), besides=nodes),
    "GradientBoostingClassifier": Family(
        lambda size: GradientBoostingClassifier(n_estimators=2, max_features=10, random_state=0),
        besides=nodes,
    ),
    "GradientBoostingClassifier, from another": Family(
        lambda size: GradientBoostingClassifier(n_estimators=2, max_features=10, random_state=0, init=NB),
        besides=nodes,
    ),
    "HistGradientBoostingClassifier": Family(lambda size: HistGradientBoostingClassifier(max_iter=2)),
    "VotingClassifier": Family(lambda size: VotingClassifier(TWO)),
    "BaggingClassifier of GaussianNB": Family(lambda size: BaggingClassifier(NB, random_state=0)),
    "BaggingClassifier of KNeighborsClassifier": Family(
        lambda size: BaggingClassifier(KNeighborsClassifier(), 30, random_state=0), besides=points
    ),
    "BaggingClassifier of SVC": Family(
        lambda size: BaggingClassifier(SVC(), 3, max_samples=0.5, random_state=0), besides=points
    ),
    "AdaBoostClassifier": Family(lambda size: AdaBoostClassifier(n_estimators=10, random_state=0)),
    "StackingClassifier": Family(lambda size: StackingClassifier(TWO, LINEAR, cv=2, passthrough=True)),
    "OneVsOneClassifier of GaussianNB": Family(lambda size: OneVsOneClassifier(NB)),
    "OneVsRestClassifier of GaussianNB": Family(lambda size: OneVsRestClassifier(NB)),
    "OneVsRestClassifier of SVC": Family(lambda size: OneVsRestClassifier(SVC()), besides=points),
    "OutputCodeClassifier of GaussianNB": Family(
        lambda size: OutputCodeClassifier(NB, code_size=2, random_state=0)
    ),
    **{
        f"CalibratedClassifierCV of GaussianNB, {method}": Family(
            lambda size, method=method: CalibratedClassifierCV(NB, method=method, cv=3)
        )
        for method in ("sigmoid", "isotonic")
    },
    "SelfTrainingClassifier": Family(lambda size: SelfTrainingClassifier(NB)),
    "FixedThresholdClassifier": Family(
        lambda size: FixedThresholdClassifier(NB, threshold=0.3), "two classes"
    ),
    "GridSearchCV": Family(lambda size: GridSearchCV(NB, {"var_smoothing": [1e-2]}, cv=2)),
    "RFE": Family(lambda size: RFE(LINEAR, step=0.5)),
}
TRANSFORMERS: dict[str, tuple[Callable[[Size], Any], str]] = {
    "StandardScaler": (lambda size: StandardScaler(), "normal"),
    "MinMaxScaler": (lambda size: MinMaxScaler(clip=True), "normal"),
    "MaxAbsScaler": (lambda size: MaxAbsScaler(), "normal"),
    "RobustScaler": (lambda size: RobustScaler(), "normal"),
    "Normalizer": (lambda size: Normalizer(), "normal"),
    "QuantileTransformer": (lambda size: QuantileTransformer(n_quantiles=100), "normal"),
    "PowerTransformer": (lambda size: PowerTransformer(), "normal"),
    "KBinsDiscretizer": (lambda size: KBinsDiscretizer(**BINS), "normal"),
    "KBinsDiscretizer, ordinal": (lambda size: KBinsDiscretizer(**BINS, encode="ordinal"), "normal"),
    "Binarizer": (lambda size: Binarizer(), "normal"),
    "FunctionTransformer": (
        lambda size: FunctionTransformer(np.tanh, feature_names_out="one-to-one"),
        "normal",
    ),
    "PCA": (lambda size: PCA(20), "normal"),
    "KernelPCA": (lambda size: KernelPCA(20, kernel="rbf"), "normal"),
    "FastICA": (lambda size: FastICA(20, max_iter=2), "normal"),
    "FactorAnalysis": (lambda size: FactorAnalysis(20, max_iter=2), "normal"),
    "MiniBatchSparsePCA": (lambda size: MiniBatchSparsePCA(5, max_iter=1), "normal"),
    "TruncatedSVD": (lambda size: TruncatedSVD(20), "normal"),
    "GaussianRandomProjection": (lambda size: GaussianRandomProjection(50), "normal"),
    "BernoulliRBM": (lambda size: BernoulliRBM(50, n_iter=1), "normal"),
    "FeatureAgglomeration": (lambda size: FeatureAgglomeration(20), "normal"),
    "PLSRegression": (least_squares, "normal"),
    "LinearDiscriminantAnalysis, its transform": (lambda size: LinearDiscriminantAnalysis(), "normal"),
    "SelectKBest": (lambda size: SelectKBest(k=size.n_features // 2), "normal"),
    "SplineTransformer": (lambda size: SplineTransformer(), "normal"),
    "SplineTransformer, linear": (lambda size: SplineTransformer(extrapolation="linear"), "normal"),
    "PolynomialFeatures, of a tenth": (
        lambda size: make_pipeline(SelectKBest(k=size.n_features // 10), PolynomialFeatures(2)),
        "normal",
    ),
    **{
        f"Nystroem, {kernel}": (lambda size, kernel=kernel: Nystroem(kernel, n_components=100), "positive")
        for kernel in ("rbf", "laplacian", "cosine", "additive_chi2", "chi2", "poly")
    },
    "RBFSampler": (lambda size: RBFSampler(), "normal"),
    "SkewedChi2Sampler": (lambda size: SkewedChi2Sampler(), "positive"),
    "AdditiveChi2Sampler": (lambda size: AdditiveChi2Sampler(sample_steps=3), "positive"),
    "PolynomialCountSketch": (lambda size: PolynomialCountSketch(n_components=50), "normal"),
    "KMeans": (lambda size: KMeans(20, n_init=1, max_iter=2), "normal"),
    "Birch": (lambda size: Birch(threshold=size.n_features**0.5, n_clusters=None), "normal"),
    "TfidfTransformer": (lambda size: TfidfTransformer(), "positive"),
    "OneHotEncoder": (lambda size: OneHotEncoder(), "categories"),
    "OrdinalEncoder": (lambda size: OrdinalEncoder(), "categories"),
    "TargetEncoder": (lambda size: TargetEncoder(cv=2), "categories"),
    "SimpleImputer, with indicators": (lambda size: SimpleImputer(add_indicator=True), "missing"),
    "make_union of scalers": (lambda size: make_union(StandardScaler(), MinMaxScaler()), "normal"),
    "ColumnTransformer": (
        lambda size: ColumnTransformer(
            [("scaled", StandardScaler(), slice(0, size.n_features // 2))], remainder="passthrough"
        ),
        "normal",
    ),
}
FAMILIES = CLASSIFIERS | {
    name: Family(lambda size, make=make: then_linear(make(size)), data, outputs)
    for name, (make, data) in TRANSFORMERS.items()
}


def gradient(model: Model, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """What a step of PGD asks of a model."""
    x = x.detach().requires_grad_()
    loss = torch.nn.functional.cross_entropy(model.logits(x), y, reduction="sum")
    return torch.autograd.grad(loss, x)[0]


def peak_bytes(work: Callable[[], Any]) -> int:
    """Most bytes that torch holds at once, beyond those that it held before."""
    with torch.autograd.profiler.profile(profile_memory=True) as profile:
        work()
    live = peak = 0
    for event in profile.kineto_results.events():
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return peak


def peak_bytes_of_numpy(work: Callable[[], Any]) -> int:
    """Most bytes that Python and numpy hold at once, beyond those that they held before."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def seconds(work: Callable[[], Any], n_calls: int = 7) -> float:
    """Processor time of the fastest call."""
    taken = []
    for _ in range(n_calls):
        begin = time.process_time()
        work()
        taken.append(time.process_time() - begin)
    return min(taken)


@dataclass(frozen=True)
class Step:
    """What one gradient of a family's batch takes."""

    n_bytes: int
    n_values: int
    module_bytes: int
    seconds: float


def measure(family: Family, size: Size, *, timed: bool = True) -> Step:
    estimator, (X, y) = family.fit(size)
    model, batch = as_model(estimator), (torch.from_numpy(X), torch.from_numpy(y))
    assert model.module is not None, model.why_black_box
    weights = [*model.module.parameters(), *model.module.buffers()]
    gradient(model, *batch)
    return Step(
        peak_bytes(lambda: gradient(model, *batch)),
        family.n_values(estimator, size),
        sum(weight.nbytes for weight in weights),
        seconds(lambda: gradient(model, *batch)) if timed else 0.0,
    )


def figures(names: Iterable[str], of_few_features: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Steps of families, by the number of features."""
    sizes = ((Size(), names), (Size(n_features=64), of_few_features))
    return {
        f"{size.n_features:,}": {name: asdict(measure(FAMILIES[name], size)) for name in tqdm(list(some))}
        for size, some in sizes
    }


def attacks() -> Iterator[dict[str, str]]:
    """Whole calls of ``generate`` against a linear classifier of many features."""
    cases: dict[str, dict[str, Any]] = {
        "pgd, 40 steps, L-inf": {"attack": "pgd", "norm": np.inf},
        "pgd, 40 steps, L2": {"attack": "pgd", "norm": 2},
        "fmn, L2": {"attack": "fmn", "norm": 2},
        "deepfool, L2": {"attack": "deepfool", "norm": 2},
        "square, 200 queries, L-inf": {"attack": "square", "norm": np.inf},
        "hopskipjump, 200 queries, L-inf": {"attack": "hopskipjump", "norm": np.inf},
        "hopskipjump, 200 queries, L2": {"attack": "hopskipjump", "norm": 2},
        "halfway, 200 queries, L2": {"attack": "halfway", "norm": 2},
    }
    for name, parameters in cases.items():
        row = {"attack": name}
        for n_features in (1000, 5000):
            X, y = samples("normal", Size(n_features=n_features, n_train=512))
            generator = AdversarialGenerator(
                FrozenEstimator(SGDClassifier(random_state=0).fit(X, y)),
                eps=0.1 if parameters["norm"] == np.inf else 2.0,
                max_queries=200,
                random_state=0,
                **parameters,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                generator.generate(X[:8], y[:8])
                by_torch = peak_bytes(lambda: generator.generate(X, y))  # noqa: B023
                by_numpy = peak_bytes_of_numpy(lambda: generator.generate(X, y))  # noqa: B023
            row[f"numpy, {n_features:,} features"] = f"{by_numpy / X.nbytes:.1f}"
            row[f"torch, {n_features:,} features"] = f"{by_torch / X.nbytes:.1f}"
        tqdm.write(str(row))
        yield row


PAGE = """# Memory of single sources

    {command}

## One gradient through every converter

{n_batch} samples of {n_features:,} features, {n_classes} classes, {n_train:,} training samples. *Peak* is the
most that torch holds at once, beyond the input and the parameters of the module, as one gradient of the loss
is computed. It is divided by the *values* of the batch, of 8 bytes each: features times classes of each
sample or, where there are more of them by the estimator's nature, its training samples (of a Gaussian process
and a label propagation those of each class), the columns of its output, or the nodes of its trees. Aim: at
most {few}. Processor time of one thread, the fastest of 7 calls.

{steps}
{before}
## Whole attacks

512 samples against a linear classifier, in multiples of the samples' own memory: what numpy holds at most,
and what torch does.

{attacks}
"""
BEFORE = """
## Before and after

Those whose peak became less than {less:.0%} of what it was, or whose time changed by more than {other:.0%}.

{rows}
"""
FEW, LESS, OTHER = 5, 0.9, 0.25


def compared(name: str, before: dict[str, Any], after: dict[str, Any]) -> dict[str, str] | None:
    """A row of the page, of a family whose figures changed."""
    if not all(name in figures for figures in (*before.values(), *after.values())):
        return None
    pairs = [(before[size][name], after[size][name]) for size in after]
    changed = any(
        new["n_bytes"] < LESS * old["n_bytes"] or abs(new["seconds"] / old["seconds"] - 1) > OTHER
        for old, new in pairs
    )
    row = {"estimator": name}
    for size, (old, new) in zip(after, pairs, strict=True):
        row[f"peak, {size} features"] = f"{old['n_bytes'] / 2**20:.1f} -> {new['n_bytes'] / 2**20:.1f} MiB"
        row[f"step, {size} features"] = f"{1000 * old['seconds']:.1f} -> {1000 * new['seconds']:.1f} ms"
    return row if changed else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figures", type=Path, help="file to write numbers to; no page is made")
    parser.add_argument("--before", type=Path, help="file with the numbers of another version")
    parser.add_argument(
        "--only", default="", help="regular expression of the families whose numbers to write"
    )
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).with_suffix(".md"), help="page to write"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    full = Size()
    if options.figures:
        names = [name for name in FAMILIES if re.search(options.only, name)]
        options.figures.write_text(json.dumps(figures(names, names)))
        return
    before = json.loads(options.before.read_text()) if options.before else {}
    after = figures(FAMILIES, next(iter(before.values()), []))
    rows = [
        {
            "estimator": name,
            "peak": f"{step['n_bytes'] / 2**20:.1f} MiB",
            "of the values": f"{step['n_bytes'] / 8 / step['n_values']:.2f}",
            "module": f"{step['module_bytes'] / 2**20:.1f} MiB",
            "step": f"{1000 * step['seconds']:.1f} ms",
        }
        for name, step in after[f"{full.n_features:,}"].items()
    ]
    changed = [row for name in FAMILIES if before and (row := compared(name, before, after))]
    page = PAGE.format(
        command=f"python benchmarks/memory.py{' --before FILE' if before else ''}",
        **asdict(full),
        few=FEW,
        steps=table(rows),
        before=BEFORE.format(less=LESS, other=OTHER, rows=table(changed)) if changed else "",
        attacks=table(list(attacks())),
    )
    options.output.write_text(page)
    sys.stdout.write(page)


if __name__ == "__main__":
    main()
