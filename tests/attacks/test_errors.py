"""Bad input: the type of the error, what was given, what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, HopSkipJump
from art.estimators.regression.blackbox import BlackBoxRegressor
from scipy.sparse import csr_array
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from skhalfway import AdversarialGenerator, TransferScorer
from skhalfway.halfway import consensus_score
from skhalfway.models import ModelWarning

X = np.random.RandomState(0).uniform(size=(30, 4))
Y = (X[:, 0] > 0.5).astype(int)


class Ruler:
    """A black box: a rule, in predictions only."""

    classes_ = np.array([0, 1])

    def predict(self, X: Any) -> Any:
        return (np.asarray(X)[:, 0] > 0.5).astype(int)


SOURCES: dict[str, Callable[[], Any]] = {
    "linear": lambda: FrozenEstimator(LogisticRegression().fit(X, Y)),
    "named": lambda: FrozenEstimator(LogisticRegression().fit(pd.DataFrame(X, columns=list("abcd")), Y)),
    "black box": Ruler,
    "unfitted": LogisticRegression,
}


@dataclass(frozen=True)
class Bad:
    """Parameters that no data could make right: fit and transform both say so."""

    params: dict[str, Any]
    message: str
    error: type[Exception] = ValueError

    def __str__(self) -> str:
        return "-".join(f"{name}={getattr(value, '__name__', value)}" for name, value in self.params.items())


BAD_PARAMETERS = [
    *(
        Bad({"eps": eps}, f"eps must be a finite number > 0, got {eps!r}")
        for eps in (0, -0.1, np.nan, np.inf)
    ),
    *(
        Bad(
            {"eps": eps},
            f"eps must be a finite number > 0, or one number >= 0 for each feature or sample, got {eps!r}",
        )
        for eps in ("0.1", True, None)
    ),
    *(
        Bad({"step_size": size}, f"step_size must be a finite number > 0, got {size!r}")
        for size in (0, -1, np.nan, "1")
    ),
    *(
        Bad({name: value}, f"{name} must be {also}an integer >= 1, got {value!r}")
        for name, also in {
            "max_iter": "",
            "max_queries": "",
            "n_restarts": "",
            "batch_size": "'auto' or ",
        }.items()
        for value in (0, -1, 1.5, "3", True, None)
    ),
    *(
        Bad({"random_start": value}, f"random_start must be True or False, got {value!r}")
        for value in ("yes", None, 1)
    ),
    *(
        Bad(
            {"device": device},
            f"device={device!r} cannot be used on this machine: .* pass 'cpu'",
        )
        for device in ("nope", "meta", "cuda:77", 3.5)
    ),
    *(
        Bad({"norm": norm}, f"norm must be np.inf, 2, 1 or 0, got {norm!r}")
        for norm in (3, "inf", None, True, -np.inf)
    ),
    Bad(
        {"attack": "bim"},
        "unknown attack 'bim'; give 'auto', 'auto-strong', 'fgsm', 'pgd', 'mifgsm', 'apgd', ",
    ),
    *(
        Bad(
            {"attack": attack},
            "attack must be a string, or a class or an instance of an evasion attack of ART, foolbox or "
            rf"torchattacks, or a callable f\(model, X, y\), got {shown}",
            TypeError,
        )
        for attack, shown in ((3, "3"), (dict, "the class dict"))
    ),
    Bad({"attack": "fgsm", "step_size": 0.1}, "step of length eps; step_size must be None, got 0.1"),
    Bad({"attack_params": [1]}, r"attack_params must be a dict or None, got \[1\]", TypeError),
    Bad({"attack": "pgd", "attack_params": {"decay": 1}}, r"\['decay'\] are unknown to attack='pgd'"),
    Bad({"attack": "mifgsm", "attack_params": {"mu": 1}}, r"\['mu'\] are unknown .* takes \['decay'\]"),
    *(
        Bad(
            {"attack": "mifgsm", "attack_params": {"decay": decay}},
            f"decay.* finite number >= 0, got {decay!r}",
        )
        for decay in ("a", -1, np.nan)
    ),
    Bad({"attack_params": {"decay": 1}}, "attack_params must be None; name the attack"),
    *(
        Bad({"attack": attack, "norm": 1}, f"attack='{attack}' works with norm np.inf or 2, got 1")
        for attack in ("halfway", "square")
    ),
    Bad(
        {"attack": "hopskipjump", "n_restarts": 2},
        "'hopskipjump' takes no n_restarts and random_start; 'fgsm', ",
    ),
    Bad({"attack": "halfway", "random_start": True}, "attack='halfway' takes no n_restarts and random_start"),
    Bad({"attack": "halfway", "attack_params": {"k": 1}}, r"\['k'\] .* takes \['n_directions', 'radius', "),
    Bad(
        {"attack": "deepfool", "random_start": True}, "attack='deepfool' takes no n_restarts and random_start"
    ),
    *(
        Bad({"attack": FastGradientMethod, **given}, "n_restarts and random_start are for gradient attacks")
        for given in ({"n_restarts": 2}, {"random_start": True})
    ),
    Bad(
        {"attack": FastGradientMethod, "attack_params": {"foo": 1}}, r"\['foo'\] .* FastGradientMethod.*'eps'"
    ),
    Bad({"attack": HopSkipJump, "attack_params": {"curr_iter": 1}}, r"\['curr_iter'\] .* HopSkipJump"),
    *(
        Bad({"clip_values": clip}, r"clip_values must be None, .range. or a pair \(min, max\)")
        for clip in (1, (0,), (0, 1, 2), "ab", (0, "b"), (np.zeros(3), 1), (0, np.ones((4, 4))))
    ),
    *(
        Bad({"clip_values": clip}, "clip_values must have min < max, got")
        for clip in ((1, 0), (1, 1), (np.nan, 1), (np.zeros(4), np.r_[1.0, 1, 1, 0]))
    ),
    Bad(
        {"clip_values": (0.4, 9)},
        r"data outside clip_values=\(0.4, 9\): X has min 0\.\d+ and max 0\.\d+; scale X",
    ),
    Bad({"clip_values": (np.zeros(4), np.r_[2, 2, 2, 0.3])}, "data outside clip_values"),
]


@pytest.mark.parametrize("bad", BAD_PARAMETERS, ids=str)
def test_bad_parameters(bad: Bad) -> None:
    generator = AdversarialGenerator(SOURCES["linear"](), **bad.params)
    for call in (generator.transform, generator.fit):
        with pytest.raises(bad.error, match=bad.message):
            call(X)
    with pytest.raises(bad.error, match=bad.message):
        AdversarialGenerator(LogisticRegression(), **bad.params).fit(X, Y)


@dataclass(frozen=True)
class Call:
    """A call of ``generate`` that must fail."""

    id: str
    message: str
    X: Any = field(default_factory=X.copy)
    source: str = "linear"
    error: type[Exception] = ValueError
    params: dict[str, Any] = field(default_factory=dict)
    labels: dict[str, Any] = field(default_factory=dict)


def with_value(value: float) -> Any:
    broken = X.copy()
    broken[3, 1] = value
    return broken


def frame(columns: list[str]) -> pd.DataFrame:
    return pd.DataFrame(X, columns=columns)


CALLS = [
    Call("nan", "Input X contains NaN", X=with_value(np.nan)),
    Call("inf", "Input X contains infinity", X=with_value(np.inf)),
    Call("nan-tensor", "Input X contains NaN", X=torch.from_numpy(with_value(np.nan))),
    Call("nan-image", "Input X contains NaN", X=with_value(np.nan).reshape(-1, 1, 2, 2)),
    Call("empty", r"Found array with 0 sample\(s\)", X=X[:0]),
    Call("no-features", r"0 feature\(s\)", X=X[:, :0]),
    Call("too-wide", "X has 5 features, but .* is expecting 4 features", X=np.ones((3, 5))),
    Call("too-narrow", "X has 3 features, but .* is expecting 4 features", X=X[:, :3]),
    Call("wide-image", "X has 8 features, but .* is expecting 4 features", X=np.ones((3, 2, 2, 2))),
    Call("1-d", "Expected 2D array, got 1D array", X=X[0]),
    Call("sparse", "Sparse data was passed", X=csr_array(X), error=TypeError),
    Call("text", "could not convert string to float", X=[["a"] * 4]),
    Call("other-names", "feature names should match", X=frame(list("abcx")), source="named"),
    Call(
        "names-in-another-order",
        "Feature names must be in the same order",
        X=frame(list("badc")),
        source="named",
    ),
    Call("unfitted", "not fitted", source="unfitted", error=NotFittedError),
    Call(
        "unknown-y", r"y holds labels that are not among the classes \[0, 1\]: \[7\]", labels={"y": [7] * 30}
    ),
    Call("y-of-other-type", r"not among the classes \[0, 1\]: \['a'\]", labels={"y": ["a"] * 30}),
    Call(
        "short-y", r"y must hold one label per sample, shape \(30,\); got shape \(2,\)", labels={"y": [0, 1]}
    ),
    Call("one-hot-y", r"shape \(30,\); got shape \(30, 2\)", labels={"y": np.eye(2)[Y]}),
    Call("unknown-target", r"target holds labels that are not among .*: \[7\]", labels={"target": 7}),
    Call("text-target", r"target holds labels that are not among .*: \['a'\]", labels={"target": "a"}),
    Call("short-target", r"target must hold one label per sample", labels={"target": [0, 1]}),
    Call("y-and-target", "y .* or target .* not both", labels={"y": Y, "target": 1 - Y}),
    *(
        Call(
            f"{attack}-on-a-black-box",
            f"attack='{attack}' needs gradients, but Ruler has no gradient .* attack='auto'",
            source="black box",
            params={"attack": attack},
            error=TypeError,
        )
        for attack in ("fgsm", "pgd", "mifgsm", "apgd", "deepfool", "fmn")
    ),
    Call(
        "tree-on-no-tree",
        "attack='tree' needs a decision tree or an ensemble of them, but LogisticRegression is not made of",
        params={"attack": "tree"},
        error=TypeError,
    ),
    Call("bad-seed", "cannot be used to seed", params={"random_state": "a"}),
]


@pytest.mark.parametrize("call", CALLS, ids=[call.id for call in CALLS])
def test_bad_calls(call: Call) -> None:
    generator = AdversarialGenerator(SOURCES[call.source](), **call.params)
    with pytest.raises(call.error, match=call.message):
        generator.generate(call.X, **call.labels)


@pytest.mark.parametrize(
    "call", [c for c in CALLS if not c.labels and c.source == "linear"], ids=lambda c: c.id
)
def test_bad_data_after_fit(call: Call) -> None:
    if call.params:  # wrong whatever the data
        with pytest.raises(call.error, match=call.message):
            AdversarialGenerator(LogisticRegression(), **call.params).fit(X, Y)
        return
    generator = AdversarialGenerator(LogisticRegression()).fit(X, Y)
    with pytest.raises(call.error, match=call.message):
        generator.transform(call.X)


SOURCE_ERRORS = [
    (LinearRegression(), TypeError, "a classifier is needed, got the regressor LinearRegression"),
    (KMeans(2, n_init=1), TypeError, "a classifier is needed, got the clusterer KMeans"),
    (StandardScaler(), TypeError, "StandardScaler has no predict"),
    (
        object(),
        TypeError,
        "a fitted classifier with predict and classes_, a torch module or .* is needed, got",
    ),
    (
        BlackBoxRegressor(lambda x: x, (4,)),
        TypeError,
        "a classifier is needed, got ART's BlackBoxRegressor, which is none",
    ),
    (
        LogisticRegression,
        TypeError,
        "a fitted classifier is needed, got the class LogisticRegression; make one and fit it",
    ),
    (FrozenEstimator(LogisticRegression()), NotFittedError, "not fitted"),
]


@pytest.mark.parametrize(
    ("source", "error", "message"), SOURCE_ERRORS, ids=[str(s[2])[:25] for s in SOURCE_ERRORS]
)
def test_bad_sources(source: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        AdversarialGenerator(source).fit(X, Y)


@pytest.mark.parametrize("source", [None, LogisticRegression(), KNeighborsClassifier()], ids=str)
def test_fit_needs_y(source: Any) -> None:
    with pytest.raises(ValueError, match="requires y to be passed"):
        AdversarialGenerator(source).fit(X)


@pytest.mark.parametrize("samples", [X[:1], np.full((30, 4), 0.5)], ids=["one sample", "all the same"])
@pytest.mark.parametrize("unit", ["std", "range"])
def test_no_spread_is_no_budget(samples: Any, unit: str) -> None:
    generator = AdversarialGenerator(LogisticRegression(), eps_unit=unit)
    with pytest.raises(ValueError, match="spread of the features, which is 0 .* pass eps_unit='input'"):
        generator.fit(samples, Y[: len(samples)])


class Colours(torch.nn.Module):
    """Takes (n, channels, height, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 2, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x).mean(dim=(2, 3))


def test_images_with_their_channels_last() -> None:
    images = np.random.RandomState(0).uniform(size=(5, 8, 8, 3))
    message = r"X of shape \(5, 8, 8, 3\) looks like .* pass X.transpose\(0, 3, 1, 2\)"
    with pytest.raises(ValueError, match=message):
        AdversarialGenerator(Colours()).generate(images)
    with pytest.raises(ValueError, match=message):
        TransferScorer().fit({"a": Colours(), "b": Colours()}).transfer(images)
    with pytest.raises(ValueError, match=message):
        consensus_score(Colours(), images, np.arange(5) % 2, reference=[Colours()])
    assert AdversarialGenerator(Colours(), max_iter=1).generate(images.transpose(0, 3, 1, 2)).shape[1] == 3


def test_a_source_that_raises_is_named() -> None:
    class Broken(Ruler):
        def predict(self, X: Any) -> Any:
            raise KeyError("no luck")

    with pytest.raises(RuntimeError, match="model 'Broken' raised KeyError: 'no luck'") as caught:
        AdversarialGenerator(Broken()).generate(X)
    assert isinstance(caught.value.__cause__, KeyError)


def test_one_class_cannot_be_fooled() -> None:
    with pytest.raises(ValueError, match=r"knows one class, \[5\]; there must be at least 2"):
        AdversarialGenerator(KNeighborsClassifier()).fit(X, np.full(30, 5))


def test_overflowing_gradients_are_reported() -> None:
    class Steep(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([x.sum(dim=1), -(x.sum(dim=1) * 1e4).exp()], dim=1)

    with pytest.warns(ModelWarning, match="Steep has a gradient of exactly 0, nan or infinite on 30 of 30"):
        AdversarialGenerator(Steep(), norm=2).generate(X, np.zeros(30, dtype=int))
