"""What goes in comes out: containers, float types, names, bounds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from torch import nn

from skhalfway import AdversarialGenerator

EPS = {np.inf: 0.1, 2: 0.5, 1: 2.0}
NAMES = [f"pixel {i}" for i in range(64)]
MIXED = dict.fromkeys(NAMES[:30], "float32") | dict.fromkeys(NAMES[60:], "int64")
every_norm = pytest.mark.parametrize("norm", [np.inf, 2, 1])


def frame(X: Any, dtype: Any = "float64") -> pd.DataFrame:
    return pd.DataFrame(X, columns=NAMES, index=list("aabbcc")).astype(dtype)


def read_only(X: Any) -> Any:
    X.flags.writeable = False
    return X


@dataclass(frozen=True)
class Container:
    id: str
    make: Callable[[Any], Any]
    dtype: Any


CONTAINERS = [
    Container("float64", lambda X: X, "float64"),
    Container("float32", lambda X: X.astype("float32"), "float32"),
    Container("float16", lambda X: X.astype("float16"), "float16"),
    Container("int", lambda X: X.round().astype(int), "float64"),
    Container("uint8", lambda X: X.round().astype("uint8"), "float64"),
    Container("list", lambda X: X.tolist(), "float64"),
    Container("fortran", np.asfortranarray, "float64"),
    Container("strided", lambda X: np.repeat(X, 2, axis=1)[:, ::2], "float64"),
    Container("read-only", read_only, "float64"),
    Container("frame-float64", frame, "float64"),
    Container("frame-float32", lambda X: frame(X, "float32"), "float32"),
    Container("frame-mixed", lambda X: frame(X.round(2).clip(0, 0.99), MIXED), "float64"),
    Container("tensor-float32", lambda X: torch.tensor(X, dtype=torch.float32), torch.float32),
    Container("tensor-float64", torch.tensor, torch.float64),
    Container("tensor-float16", lambda X: torch.tensor(X, dtype=torch.float16), torch.float16),
    Container("tensor-int", lambda X: torch.tensor(X.round(), dtype=torch.int64), torch.float64),
    Container("tensor-with-gradient", lambda X: torch.tensor(X, requires_grad=True), torch.float64),
]


def as_array(X: Any) -> Any:
    return np.asarray(X.detach() if isinstance(X, torch.Tensor) else X)


@every_norm
@pytest.mark.parametrize("container", CONTAINERS, ids=[c.id for c in CONTAINERS])
def test_container_comes_back(zoo, container: Container, norm: float) -> None:
    case = zoo("logistic")
    X = container.make(case.X[:6])
    before = as_array(X).copy()
    generator = AdversarialGenerator(LogisticRegression(), eps=EPS[norm], norm=norm, clip_values=(0, 1))
    generator.fit(X, [0, 1, 0, 1, 0, 1])
    whole = container.id in ("int", "uint8", "tensor-int")
    with pytest.warns(UserWarning, match="X holds whole numbers") if whole else nullcontext():
        X_adv = generator.transform(X)

    expected = np.ndarray if isinstance(X, list) else type(X)
    assert type(X_adv) is expected
    assert X_adv.shape == before.shape
    if isinstance(X, pd.DataFrame):
        assert X_adv.columns.equals(X.columns)
        assert X_adv.index.equals(X.index)
        floats = [dtype if dtype.kind == "f" else np.dtype(float) for dtype in X.dtypes]
        assert X_adv.dtypes.tolist() == floats
    else:
        assert X_adv.dtype == container.dtype
    change = as_array(X_adv) - before
    assert change.dtype == as_array(X_adv).dtype
    assert (np.linalg.norm(change, norm, axis=1) <= EPS[norm]).all()
    assert as_array(X_adv).min() >= 0
    assert as_array(X_adv).max() <= 1
    assert (change != 0).any(axis=1).all()
    np.testing.assert_array_equal(as_array(X), before)


@pytest.mark.parametrize("make", [np.float32, np.float64, torch.tensor], ids=["float32", "float64", "tensor"])
def test_images(zoo, make: Any) -> None:
    case = zoo("cnn")
    X = make(case.X)
    X_adv = AdversarialGenerator(case.source, eps=0.2).transform(X)
    assert type(X_adv) is type(X)
    assert X_adv.shape == (12, 1, 8, 8)
    assert X_adv.dtype == X.dtype
    reference = AdversarialGenerator(case.source, eps=0.2).transform(case.X)
    np.testing.assert_allclose(np.asarray(X_adv), reference, atol=1e-6)


def test_images_for_a_source_of_rows(zoo) -> None:
    case = zoo("svc")
    generator = AdversarialGenerator(case.source)
    rows = generator.transform(case.X)
    images = generator.transform(case.X.reshape(-1, 1, 8, 8))
    assert images.shape == (12, 1, 8, 8)
    np.testing.assert_allclose(images.reshape(rows.shape), rows, atol=1e-12)


@pytest.mark.parametrize("as_frame", [False, True], ids=["array", "frame"])
def test_set_output(zoo, as_frame: bool) -> None:
    X = frame(zoo("logistic").X[:6]) if as_frame else zoo("logistic").X[:6]
    generator = AdversarialGenerator().fit(X, [0, 1, 0, 1, 0, 1])
    plain = generator.transform(X)
    named = generator.set_output(transform="pandas").transform(X)
    assert isinstance(named, pd.DataFrame)
    assert list(named.columns) == (NAMES if as_frame else [f"x{i}" for i in range(64)])
    assert list(named.columns) == list(generator.get_feature_names_out())
    np.testing.assert_array_equal(named, plain)
    assert type(generator.set_output(transform="default").transform(X)) is type(X)


def test_frame_columns_reach_the_source(zoo) -> None:
    X = frame(zoo("logistic").X[:6])
    generator = AdversarialGenerator(LogisticRegression()).fit(X, [0, 1, 0, 1, 0, 1])
    assert list(generator.estimator_.feature_names_in_) == NAMES
    assert list(generator.feature_names_in_) == NAMES


RAMP = np.linspace(0, 0.3, 64)
CLIPS = {
    "none": None,
    "scalars": (0, 1),
    "not-in-float32": (-0.1, 1.1),
    "per-feature": (-RAMP, 1 + RAMP),
    "lists": ((-RAMP).tolist(), (1 + RAMP).tolist()),
    "one-sided": (0, np.inf),
    "mixed": (0, 1 + RAMP),
}


# each two of these four meet
CLIPPED = [
    (clip, source, dtype, norm)
    for i, clip in enumerate(CLIPS)
    for j, source in enumerate(["logistic", "torch_mlp", "opaque"])
    for dtype in ("float32", "float64")
    for k, norm in enumerate(EPS)
    if (i + j + k) % 3 == 0
]


@pytest.mark.parametrize(("clip", "source", "dtype", "norm"), CLIPPED)
def test_clip_values_hold_exactly(zoo, clip: str, source: str, dtype: str, norm: float) -> None:
    case, clip_values = zoo(source), CLIPS[clip]
    X = case.X[:4].astype(dtype)
    eps = 6 * EPS[norm]
    generator = AdversarialGenerator(
        case.source, eps=eps, norm=norm, clip_values=clip_values, max_queries=50, random_state=0
    )
    X_adv = generator.generate(X, case.y[:4])
    assert (np.linalg.norm(X_adv - X, norm, axis=1) <= eps).all()
    low, high = (-np.inf, np.inf) if clip_values is None else map(np.asarray, clip_values)
    assert (X_adv >= low).all()
    assert (X_adv <= high).all()
    if clip_values is None and source != "opaque":
        assert X_adv.min() < 0
        assert X_adv.max() > 1
    generator.generate(X_adv, case.y[:4])  # its own output is within clip_values


def test_clip_values_of_images(zoo) -> None:
    case = zoo("cnn")
    low, high = np.zeros((1, 1, 1)), np.ones((1, 8, 8)) + RAMP.reshape(1, 8, 8)
    X_adv = AdversarialGenerator(case.source, eps=0.5, clip_values=(low, high)).transform(case.X)
    assert (X_adv >= low).all()
    assert (X_adv <= high).all()
    assert X_adv.max() > 1


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    attack=st.sampled_from(["fgsm", "pgd", "mifgsm"]),
    norm=st.sampled_from([np.inf, 2, 1]),
    eps=st.floats(1e-3, 1e3),
    scale=st.sampled_from([1e-3, 1.0, 1e3]),
    offset=st.sampled_from([0.0, -5.0, 255.0, 1e6]),
    dtype=st.sampled_from(["float32", "float64"]),
    clip=st.booleans(),
    random_start=st.booleans(),
    seed=st.integers(0, 99),
)
def test_never_leaves_ball_or_bounds(
    attack: str,
    norm: float,
    eps: float,
    scale: float,
    offset: float,
    dtype: str,
    clip: bool,
    random_start: bool,
    seed: int,
) -> None:
    rng = np.random.RandomState(seed)
    X = (offset + scale * rng.standard_normal((5, 9))).astype(dtype)
    module = nn.Linear(9, 3)
    module.weight.data = torch.from_numpy(rng.standard_normal((3, 9)).astype("float32"))
    bounds = (X.min(axis=0).astype(float), np.full(9, X.max(), dtype=float) + 1.1 * eps) if clip else None
    X_adv = AdversarialGenerator(
        module,
        attack=attack,
        eps=eps,
        norm=norm,
        max_iter=3,
        clip_values=bounds,
        random_start=random_start,
        random_state=seed,
    ).transform(X)
    assert X_adv.dtype == dtype
    assert np.isfinite(X_adv).all()
    assert (np.linalg.norm(X_adv - X, norm, axis=1) <= eps).all()
    if bounds is not None:
        assert (X_adv >= bounds[0]).all()
        assert (X_adv <= bounds[1]).all()
    if eps > 100 * np.spacing(np.abs(X).max().astype("float32")):
        assert (X_adv != X).any()
