"""Every result of the package: fixed, shown, compared, kept, drawn, and made by something that it names."""

from __future__ import annotations

import pickle
import subprocess
import sys
import textwrap
from dataclasses import FrozenInstanceError, fields, is_dataclass, replace
from html.parser import HTMLParser
from importlib import import_module
from inspect import isclass, isfunction, signature, unwrap
from pathlib import Path
from pkgutil import walk_packages

import matplotlib

matplotlib.use("agg")

import numpy as np
import pandas as pd
import pytest

import skhalfway
from skhalfway import TransferCurve, TransferMatrix, load_result
from skhalfway.boundaries import DecisionRegions, InterBoundaryDistance, Reproducibility
from skhalfway.codes import CodeAgreement, Drift, Homogeneity
from skhalfway.codes._homogeneity import resampled, shuffled
from skhalfway.displays import Display
from skhalfway.halfway import Crossings, HalfwayMeasurement, PredictedTransfer, TransferPrediction
from skhalfway.inspection import (
    AdversarialSpheres,
    ApproximationCurve,
    CompressionCurve,
    CurveResult,
    Distillation,
    FeatureTransfer,
    FoolingInputs,
    ForgettingCurve,
    InitializationInfluence,
    LinearLandscape,
    LossPath,
    LossSurface,
    MemorizationCurve,
    SaddleHistory,
    SaddleIndex,
    Sharpness,
)
from skhalfway.inspection._forgetting_curve import TaskCurve
from skhalfway.inspection._initialization import PretrainingCurve, PretrainingDifferences
from skhalfway.inspection._memorization import LearningCurves
from skhalfway.models import Finding, ModelCheck
from skhalfway.perturbation.theory import LearnedBoundary, OrthogonalityCondition
from skhalfway.report import compare_reports
from skhalfway.results import ConfidenceInterval, Provenance, Result
from skhalfway.results._result import equal
from skhalfway.structure import (
    CapacityStudy,
    CausalStructure,
    Connectivity,
    Disentanglement,
    FourierStabilisation,
    KernelTemplates,
    NetworkTopology,
)
from skhalfway.training import TrainingHistory
from skhalfway.transfer import Outcomes, Robustness
from tests.entries import ENTRIES
from tests.report.made import report_of
from tests.test_package import all_imports

for module in walk_packages(skhalfway.__path__, "skhalfway."):
    if not module.name.endswith("__main__"):
        import_module(module.name)


def every_kind(base: type = Result) -> set[type]:
    return {kind for own in base.__subclasses__() for kind in (own, *every_kind(own))}


RNG = np.random.RandomState(0)
HALVES = np.array([[0.5, 0.6, 0.7], [0.8, 0.75, 0.9]])
TASKS = {name: RNG.uniform(0.4, 0.9, (2, 2, 3)) for name in ("none", "joint")}
PAIRED = {"plain": HALVES, "pretrained": HALVES[::-1]}
COUNTS = RNG.poisson(2, (2, 6, 3))
SQUARE = np.array([[1.0, 0.8], [0.8, 1.0]])
REGIONS = np.array([[["a", "b"], ["b", "b"]], [["a", "a"], ["b", "b"]]])
OUTCOMES = Outcomes(
    ("one", "two"),
    ("one", "two"),
    ("one", "two"),
    np.array(["a", "b"]),
    np.arange(12) % 2,
    RNG.randint(2, size=(2, 12)),
    RNG.randint(2, size=(2, 12)),
    RNG.randint(2, size=(2, 12)),
    RNG.randint(2, size=(2, 2, 12)),
)
MATRIX = TransferMatrix.of(OUTCOMES)
ORIGIN = Provenance("measure", {"size": 0.5, "norm": np.inf}, n_samples=12, seconds=0.25)
SETTINGS = np.array(["true labels", "random labels"])
EXAMPLES = [
    CurveResult(np.array([1, 2]), {"loss": HALVES, "unknown": np.full((2, 3), np.nan)}),
    LearningCurves(np.array([1, 2]), {"true labels": HALVES}),
    MemorizationCurve(
        SETTINGS,
        {"training accuracy": np.ones((2, 3)), "test accuracy": HALVES, "epochs": 100 * HALVES},
        LearningCurves(np.array([1, 2]), {"true labels": HALVES}),
        0.99,
    ),
    CompressionCurve(np.array([1.0, 0.1]), {"accuracy": HALVES, "size": HALVES}, "pruning"),
    Distillation(np.array(["teacher", "plain"]), {"accuracy": HALVES}, (object(),), (object(),)),
    InitializationInfluence(
        np.array(["order", "both"]),
        {"disagreement": HALVES},
        np.full(3, 0.9),
        pretraining=PretrainingCurve(np.array([2.0, 0.5]), PAIRED, PAIRED),
    ),
    PretrainingCurve(np.array([2.0, 0.5]), PAIRED, PAIRED),
    PretrainingDifferences(np.array([2.0, 0.5]), {"test loss": HALVES - 0.7}),
    FeatureTransfer(np.arange(2), {"AnB": HALVES, "BnB+": HALVES}, ("hidden", "output")),
    ForgettingCurve(np.array([1, 2]), dict.fromkeys(TASKS, HALVES), TASKS, np.array([0.5, 0.4])),
    TaskCurve(np.array([1, 2]), {"none": HALVES}),
    LossPath(np.array([0.0, 1.0]), {"loss between solutions": HALVES}),
    Sharpness(np.array([8, 32]), {"rise": HALVES - 0.6, "loss": HALVES}),
    ApproximationCurve(np.array([2, 4]), {"bound": HALVES, "trained": HALVES}),
    SaddleIndex(np.array([-2.0, 0.0, 1.0, 10.0]), np.full((2, 4), 0.25), 90, 0.1, 0.7),
    SaddleHistory(np.arange(3), *np.array([[5, 3, 2], [4, 5, 6], [0, 0, 0], [9, 5, 1], [3, 2, 1]]) / 10, 90),
    LinearLandscape(
        (3, 2, 2),
        np.array([2.0, 1.0]),
        0.1,
        np.array([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=bool),
        np.zeros(4),
        np.array([-2.0, -1, -1, 0]),
        np.full(4, 4.0),
        np.array([0.4, 0.2, 0.3, 0.0]),
        np.array([0.1, 2.1]),
        np.array([30, 40]),
        4,
    ),
    AdversarialSpheres(np.array([10, 20]), {"inner error": HALVES / 9, "distance": HALVES}, 100),
    LossSurface(np.array([-1.0, 1.0]), SQUARE, 1 - SQUARE),
    FoolingInputs(
        {"optimised noise": RNG.rand(4, 2)},
        {"data": np.array(["a", "b"]), "optimised noise": np.array(list("abab"))},
        {"data": np.array([0.9, 0.999]), "optimised noise": np.array([0.5, 0.995, 1.0, 0.7])},
        0.99,
    ),
    FourierStabilisation(np.array([4, 2]), np.array([3.5, 1.0]), np.array([0.9, 0.9, 0.88]), object()),
    KernelTemplates(np.array(["a", "b"]), np.array(["DoG", "d/dx"]), np.array([0.9, -0.3]), 0.8, 0.01),
    Disentanglement(
        np.array(list("abc")), ("one",), (np.eye(3) > 0,), *np.ones((3, 3), dtype=int), np.eye(3, dtype=int)
    ),
    Connectivity(1.25, 2.4, 4, np.array([1.5, 0.5])),
    CapacityStudy(
        np.array([1, 2]),
        np.array([1.0, 0.5]),
        ((8,), (6, 3)),
        np.array([90, 90]),
        {"robust accuracy": np.array([[0.5, 0.6], [0.7, 0.7]]), "lipschitz": np.array([[3.0, 4], [1, 1.5]])},
        20,
    ),
    CausalStructure(("a", "b"), SQUARE + 1, SQUARE, SQUARE + 0.5, epochs=np.array([0.0, 3.0])),
    NetworkTopology([[1, 2], [1, np.inf]], [[2, 3], [2, 3], [2, np.inf]], (2, 1), np.array([1.0, 0.5, 0.25])),
    CodeAgreement(("a", "b"), ("c", "d"), SQUARE, np.array([[0.5, np.nan], [0.2, 0.1]])),
    Drift(("a", "b"), np.ones(3), np.array([[0.0, 1, 2], [1, 1, 1]]), np.zeros((2, 3))),
    Homogeneity(
        ("a", "b"),
        np.array(["x", "y", "z"]),
        (2, 3),
        COUNTS,
        resampled(COUNTS, 5, RNG),
        shuffled(COUNTS, 5, RNG),
    ),
    LearnedBoundary(np.array([3.0, 0.0]), np.array([0.0, 4.0]), np.ones(5)),
    OrthogonalityCondition(4, 0.2, 18.0, 19.0, 14.9, 0.0),
    InterBoundaryDistance("random", 5.0, np.arange(2), np.array([1.0, np.inf]), np.array([2.0, 3.0])),
    Reproducibility(("one", "two"), SQUARE, np.array([[0.0, 0.02], [0.02, 0.0]]), 30),
    DecisionRegions(
        ("one", "two"),
        np.array(["a", "b"]),
        REGIONS,
        np.arange(2.0),
        np.arange(2.0),
        np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 1.0]]),
        np.array(["a", "b", "b"]),
        np.full((2, 3, 2), 0.5),
    ),
    Crossings(np.array([0.4, np.nan]), np.array([1, 0]), *(np.array(["a", "b"]) for _ in range(3))),
    HalfwayMeasurement(
        ("one", "two"),
        np.arange(24).reshape(12, 2),
        np.ones(12),
        RNG.rand(2, 12),
        np.ones((2, 12), dtype=bool),
    ),
    PredictedTransfer(SQUARE - 0.5, SQUARE, ("one", "two")),
    TransferPrediction(SQUARE, SQUARE, np.array([[9, 8], [8, 9]]), ("one", "two"), 0.1, np.inf),
    TrainingHistory(
        np.array([0.0, 1.0]), SQUARE / 2, np.ones((2, 2), bool), np.array([[np.inf, 1.0], [1, 2]]), np.ones(2)
    ),
    ModelCheck(
        "one", 12, 2, 0.9, ConfidenceInterval(0.7, 0.97), (Finding("scale", "warning", "a < b", "do"),)
    ),
    MATRIX,
    MATRIX.by_class(),
    MATRIX.compare(MATRIX),
    TransferCurve([0, 1], (MATRIX, MATRIX), np.array([[1, 1], [2, 2]])),
    Robustness(("one",), np.arange(3), np.arange(3), np.array([[0, 0, 2]])),
    report_of(),
    compare_reports(report_of(), report_of(partial=True)),
]
EXAMPLES = [replace(example, provenance=ORIGIN) for example in EXAMPLES]
UNDRAWN = {
    "AuditComparison",
    "AuditReport",
    "Crossings",
    "FourierStabilisation",
    "LearnedBoundary",
    "ModelCheck",
    "OrthogonalityCondition",
    "TransferPrediction",
}
every_result = pytest.mark.parametrize("result", EXAMPLES, ids=lambda result: type(result).__name__)


def test_no_result_is_missing():
    kinds = {kind for kind in every_kind() if kind.__module__.startswith("skhalfway.")}
    assert kinds == {type(example) for example in EXAMPLES}


def arrays_of(value):
    """Every array in a result, whatever it is a part of."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from arrays_of(one)
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from arrays_of(one)
    elif is_dataclass(value):
        for field in fields(value):
            yield from arrays_of(getattr(value, field.name))


def copied(value):
    """The same with arrays of its own, that can be written to."""
    if isinstance(value, np.ndarray):
        return np.array(value)
    return {name: copied(one) for name, one in value.items()} if isinstance(value, dict) else value


@every_result
def test_nothing_can_be_changed(result):
    for field in fields(result):
        with pytest.raises(FrozenInstanceError):
            setattr(result, field.name, None)
    for array in arrays_of(result):
        assert not array.flags.writeable


@every_result
def test_nothing_of_what_was_given_is_kept_or_changed(result):
    given = {field.name: copied(getattr(result, field.name)) for field in fields(result)}
    again = type(result)(**given)
    own = [array for value in given.values() if not is_dataclass(value) for array in arrays_of(value)]
    mine = [array for array in own if array.flags.writeable]
    assert again == result
    for array in mine:
        assert not any(np.shares_memory(array, kept) for kept in arrays_of(again))


@every_result
def test_equal_to_the_same_figures_alone(result):
    same = replace(result, provenance=None)
    assert result == same and same == result and not equal(result.provenance, same.provenance)
    others = [other for other in EXAMPLES if other is not result]
    assert result not in others and result != repr(result)
    changed = {}
    for field in fields(result):
        value = copied(getattr(result, field.name))
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and field.compare:
            value.flat[-1] *= 1.0001
            changed[field.name] = value
    for name, value in changed.items():
        try:
            other = replace(result, **{name: value})
        except ValueError:  # what no longer fits the rest
            continue
        assert other != result or np.array_equal(value, getattr(result, name), equal_nan=True), name


@every_result
def test_text(result):
    lines = repr(result).splitlines()
    assert lines[0].startswith(type(result).__name__)
    assert max(map(len, lines)) <= 150 and all(line == line.rstrip() for line in lines)
    assert "nan" not in repr(result) and " to  - " not in repr(result) and "-0." not in repr(result)


class Reader(HTMLParser):
    def __init__(self, html):
        super().__init__()
        self.open, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@every_result
def test_html_says_what_the_text_says_and_where_it_comes_from(result):
    read = Reader(result._repr_html_())
    assert not read.open
    for text in (
        *result._table().head,
        type(result).__name__,
        "Where this comes from",
        "made by measure on 12",
    ):
        assert text in read.text
    assert "Where this comes from" not in replace(result, provenance=None)._repr_html_()


@every_result
def test_files_and_pickles_keep_everything(result, tmp_path):
    result.save(tmp_path / "result.json")
    for read in (load_result(tmp_path / "result.json"), pickle.loads(pickle.dumps(result))):
        assert type(read) is type(result) and read == result and repr(read) == repr(result)
        assert equal(read.provenance, ORIGIN)
        assert all(not array.flags.writeable for array in arrays_of(read))


@every_result
def test_frame(result, tmp_path):
    frame = result.to_frame()
    assert isinstance(frame, pd.DataFrame) and len(frame)
    frame.to_csv(tmp_path / "frame.csv")
    assert len(pd.read_csv(tmp_path / "frame.csv")) >= len(frame)


@every_result
def test_plot(result):
    name = type(result).__name__
    assert hasattr(result, "plot") == ("plot" in dir(result)) == (name not in UNDRAWN)
    if name in UNDRAWN:
        with pytest.raises(AttributeError, match=f"a {name} has no plot; print it, or call its"):
            result.plot()
        return
    display = result.plot()
    assert isinstance(display, Display) and display.result is result
    assert display.figure_.axes
    known = next(kind._displays for kind in type(result).__mro__ if kind._displays)
    assert type(display) is next(iter(known.values()))
    for kind, drawing in known.items():
        assert type(result.plot(kind=kind) if kind else result.plot()) is drawing
        assert type(drawing.from_result(result)) is drawing
        with pytest.raises(TypeError, match=f"{drawing.__name__} draws a .*, got int"):
            drawing(3)
    with pytest.raises(ValueError, match="kind"):
        result.plot(kind="no such kind")


def test_results_are_drawn_where_nothing_else_was_imported(tmp_path):
    """Packages that import what is asked for only bring displays all the same, from a pickle and a file."""
    names = ("MemorizationCurve", "TaskCurve", "LossSurface", "LearningCurves")
    chosen = [example for example in EXAMPLES if type(example).__name__ in names]
    paths = [str(tmp_path / f"{k}") for k in range(len(chosen))]
    for path, result in zip(paths, chosen, strict=True):
        result.save(f"{path}.json")
        Path(path).write_bytes(pickle.dumps(result))
    code = f"""
    import pickle, sys, matplotlib
    matplotlib.use("agg")
    for pickled in (True, False):
        for name in [name for name in sys.modules if name.split(".")[0] == "skhalfway"]:
            del sys.modules[name]
        from skhalfway import load_result
        for path in {paths}:
            result = pickle.load(open(path, "rb")) if pickled else load_result(path + ".json")
            print(type(result).__name__, type(result.plot()).__name__)
    """
    printed = subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
    )
    drawn = {
        "MemorizationCurve": "MemorizationCurveDisplay",
        "TaskCurve": "ForgettingCurveDisplay",
        "LossSurface": "LossSurfaceDisplay",
        "LearningCurves": "CurveResultDisplay",
    }
    expected = [f"{type(result).__name__} {drawn[type(result).__name__]}" for result in chosen]
    assert printed.stdout.split("\n")[:-1] == 2 * expected, printed.stderr


def test_no_result_imports_a_display():
    homes = {kind.__module__ for kind in every_kind()}
    assert not [pair for pair in all_imports() if pair[0] in homes and "display" in pair[1]]


# --- where results come from


MAKERS = [
    "CodeMap.homogeneity",
    "HalfwayScorer.measure",
    "TransferScorer.transfer",
    "TransferScorer.transfer_curve",
    "adversarial_spheres",
    "code_agreement",
    "compression_curve",
    "crossings",
    "decision_regions",
    "distill",
    "feature_transfer",
    "fooling_inputs",
    "forgetting_curve",
    "halfway_history",
    "initialization_influence",
    "inter_boundary_distance",
    "learned_boundary",
    "linear_landscape",
    "loss_path",
    "loss_surface",
    "memorization_curve",
    "orthogonality_condition",
    "reproducibility",
    "saddle_history",
    "saddle_index",
    "sharpness",
]


@pytest.mark.filterwarnings(
    "ignore"
)  # of few samples, steps and queries; what is said of these is tested elsewhere
@pytest.mark.parametrize("name", MAKERS)
def test_every_maker_leaves_its_name(name):
    make, given = ENTRIES[name]
    origin = make(**given).provenance
    assert origin.made_by == name and origin.seconds > 0 and "numpy" in origin.versions
    if "X" in given:
        assert origin.n_samples == len(given["X"])
    # neither data, nor what decides no figure
    data = {"X", "y", "X_test", "y_test", "X3", "y3", "tasks", "n_jobs", "verbose", "keep_samples"}
    assert not data & origin.settings.keys()
    for setting, value in given.items():
        if isinstance(value, (int, float, str)) and setting not in data:
            assert origin.settings[setting] == value


def test_makers_are_functions_as_before():
    """Their decorator leaves the signature, the name and the way to pickle them."""
    for name in MAKERS:
        make = ENTRIES[name][0]
        assert list(signature(make).parameters) == [
            parameter for parameter in signature(unwrap(make)).parameters if parameter != "self"
        ]
        if isfunction(make):
            assert pickle.loads(pickle.dumps(make)) is make and make.__name__ == name
    assert not [kind for kind in every_kind() if not isclass(kind)]
