"""What layers encode, and whether it tells vulnerability or transfer.

Networks of several architectures, each trained in several ways, get a self-organising map for each layer
(skhalfway.codes.CodeMap). Two claims of Lee & Vijayan (arXiv 2205.10952) are tested: that shallow layers'
codes are homogeneous and deep layers' diverse, and that homogeneous codes go with vulnerability. Their
networks, layers, maps and measures are not public to us: all of these are ours, so what fails here may hold
of theirs. A third question is ours: do two networks whose codes agree also fall to each other's adversarial
samples?

    python benchmarks/codes.py [--seeds 3]

Each run is kept in benchmarks/.cache/codes/; what was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import inspect
import json
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import combinations, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from run import table
from scipy.stats import binomtest, rankdata
from sklearn.model_selection import train_test_split
from torch import nn
from tqdm.auto import tqdm
from zoo import CACHE, digest, load

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway.codes import CoarseMapWarning, CodeMap, code_agreement

ARCHITECTURES = ("MLP 64-64", "MLP 128-128-128", "MLP 32-32-32-32", "CNN", "mixer")
WITH_SPACE = ("CNN", "mixer")
TRAININGS = ("plain", "weight decay", "dropout", "noise", "adversarial")
NETS = [f"{architecture}, {training}" for architecture in ARCHITECTURES for training in TRAININGS]
# L-inf budgets, chosen on a split (100) that is none of the seeds
BUDGETS = {"digits": 0.1, "patches": 0.03}
N_TRAIN, N_TEST, N_ATTACKED, N_EPOCHS, N_STEPS, N_PAIRS, N_BOOTSTRAPS = 1000, 600, 300, 30, 20, 500, 500
# where larger is less homogeneous, the sign is turned; the last two look at how many codes there are
TURNED = {
    "shared": 1,
    "class_entropy": 1,
    "purity": -1,
    "information": -1,
    "n_codes": -1,
    "code_entropy": -1,
}
BY_CLASS, BY_NUMBER = list(TURNED)[:4], list(TURNED)[4:]
# other maps of the plainly trained networks
VARIANTS: dict[str, dict[str, Any]] = {
    "5 x 5 units": {"shape": (5, 5)},
    "12 x 12 units": {"shape": (12, 12)},
    "mean over space": {"pooling": "mean"},
}
PAGE = Path(__file__).with_suffix(".md")
FOLDER = CACHE / "codes"
Array = NDArray[np.float64]
Result = dict[str, Any]
Results = dict[str, list[Result]]


class Mix(nn.Module):
    """Mixes places, then channels, each time beside a short cut."""

    def __init__(self, n_channels: int, n_places: int) -> None:
        super().__init__()
        self.places = nn.Sequential(nn.Linear(n_places, n_places), nn.ReLU())
        self.channels = nn.Sequential(nn.Conv1d(n_channels, n_channels, 1), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.places(x)
        return x + self.channels(x)


def network(architecture: str, n_classes: int, dropout: float) -> nn.Sequential:
    """Hidden layers and output of a network on rows of 8 x 8 pixels, a child each."""
    if architecture == "CNN":
        stages = [
            [nn.Conv2d(n_in, n_out, 3, padding=1), nn.ReLU()] for n_in, n_out in pairwise((1, 8, 16, 16))
        ]
        stages[0] = [nn.Unflatten(1, (1, 8, 8)), *stages[0], nn.MaxPool2d(2)]
        output = nn.Sequential(nn.Flatten(), nn.Linear(256, n_classes))
    elif architecture == "mixer":
        # sixteen tiles of 2 x 2 pixels
        first = [nn.Unflatten(1, (1, 8, 8)), nn.PixelUnshuffle(2), nn.Flatten(2), nn.Conv1d(4, 16, 1)]
        stages = [[*first, nn.ReLU()], [Mix(16, 16)], [Mix(16, 16)]]
        output = nn.Sequential(nn.Flatten(), nn.Linear(256, n_classes))
    else:
        sizes = [64, *map(int, architecture.removeprefix("MLP ").split("-"))]
        stages = [[nn.Linear(n_in, n_out), nn.ReLU()] for n_in, n_out in pairwise(sizes)]
        output = nn.Sequential(nn.Linear(sizes[-1], n_classes))
    net = nn.Sequential()
    for number, stage in enumerate(stages, 1):
        net.add_module(f"hidden {number}", nn.Sequential(*stage, nn.Dropout(dropout)))
    net.add_module("output", output)
    return net


def trained(name: str, X: NDArray[np.float32], y: NDArray[np.int64], eps: float, seed: int) -> nn.Sequential:
    """AdamW on the cross-entropy; the budget is the noise's deviation and the size of one-step attacks."""
    architecture, training = name.split(", ")
    inputs, labels = torch.from_numpy(X), torch.from_numpy(y)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = network(architecture, int(y.max()) + 1, 0.2 if training == "dropout" else 0.0)
        decay = 1.0 if training == "weight decay" else 0.0
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.003, weight_decay=decay, fused=True)
        for _ in range(N_EPOCHS):
            for batch in torch.randperm(len(inputs)).split(64):
                x, truth = inputs[batch], labels[batch]
                if training == "noise":
                    x = x + eps * torch.randn_like(x)
                if training == "adversarial":
                    x.requires_grad_()
                    loss = nn.functional.cross_entropy(net(x), truth)
                    (gradient,) = torch.autograd.grad(loss, x)
                    x = (x.detach() + eps * gradient.sign()).clamp(0, 1)
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x), truth).backward()
                optimizer.step()
    return net.eval()


def encoded(net: nn.Sequential, X: NDArray[np.float32], seed: int, **params: Any) -> CodeMap:
    """Maps of a network's layers."""
    settings = {"layers": [name for name, _ in net.named_children()], "pooling": "flatten"} | params
    return CodeMap(net, random_state=seed, **settings).fit(X)


def homogeneity(code_map: CodeMap, X: NDArray[np.float32], y: NDArray[np.int64]) -> Result:
    """Measures by layer, with their control."""
    found = code_map.homogeneity(X, y, n_bootstrap=2)
    information = found.adjusted_mutual_information
    values = found.values | {"information": information}
    # adjusted for chance: of shuffled labels it is 0
    control = found.control | {"information": np.zeros_like(information)}
    return {
        "values": {name: values[name].tolist() for name in TURNED},
        "control": {name: control[name].tolist() for name in TURNED},
        "unexplained": code_map.unexplained_variance_.tolist(),
        "topographic": code_map.topographic_error_.tolist(),
    }


def vulnerability(
    net: nn.Sequential, code_map: CodeMap, X: NDArray[np.float32], y: NDArray[np.int64], eps: float
) -> Result:
    """How near adversarial samples are, how many there are in the budget, and how far these drift.

    Of samples that the network classifies right.
    """
    with torch.no_grad():
        right = net(torch.from_numpy(X)).argmax(dim=1).numpy() == y
    X, y = X[right], y[right]
    nearest = AdversarialGenerator(net, attack="fmn", norm=2, eps=np.inf, clip_values=(0, 1))
    nearest.generate(X, y)
    attack = AdversarialGenerator(net, attack="pgd", eps=eps, max_iter=N_STEPS, clip_values=(0, 1))
    X_adv = attack.generate(X, y)
    with torch.no_grad():
        fooled = net(torch.from_numpy(X_adv)).argmax(dim=1).numpy() != y
    drift = code_map.drift(X, X_adv)
    return {
        "distance": float(np.median(np.asarray(nearest.distances_))),
        "success": float(fooled.mean()),
        "drift": {
            name: getattr(drift, name).tolist()
            for name in ("changed", "noise_changed", "distance", "noise_distance")
        },
    }


def reduced(values: Array) -> dict[str, float]:
    """Agreement of two networks, of that of each pair of their layers."""
    best = (values.max(axis=0).mean() + values.max(axis=1).mean()) / 2
    return {
        "first layers": float(values[0, 0]),
        "last hidden layers": float(values[-2, -2]),
        "outputs": float(values[-1, -1]),
        "best layers": float(best),
    }


def relations(
    nets: dict[str, nn.Sequential],
    maps: dict[str, CodeMap],
    X: NDArray[np.float32],
    y: NDArray[np.int64],
    eps: float,
) -> Result:
    """Transfer and agreement of all with all."""
    attack = AdversarialGenerator(attack="pgd", eps=eps, max_iter=N_STEPS, clip_values=(0, 1))
    matrix = TransferScorer(attack, random_state=0).fit(nets).transfer(X, y)
    halfway = HalfwayScorer(n_pairs=N_PAIRS, random_state=0).fit(nets).measure(X, y)
    with torch.no_grad():
        answers = np.stack([net(torch.from_numpy(X)).argmax(dim=1).numpy() for net in nets.values()])
    alike: dict[str, Array] = {
        "halfway agreement": halfway.agreement,
        "same answers": (answers[:, None] == answers).mean(axis=2),
    }
    for (i, first), (j, second) in tqdm(list(combinations(enumerate(nets), 2)), "agreement", leave=False):
        found = code_agreement(maps[first], maps[second], X)
        for kind, values in (("codes", found.information), ("CKA", found.cka)):
            for place, value in reduced(values).items():
                pairs = alike.setdefault(f"{kind}, {place}", np.ones((len(nets), len(nets))))
                pairs[i, j] = pairs[j, i] = value
    return {
        "eligible": matrix.eligible.tolist(),
        "fooled": matrix.fooled.tolist(),
        "alike": {name: values.tolist() for name, values in alike.items()},
    }


def experiment(data: str, seed: int) -> Result:
    """Train, map, attack and compare the networks of a seed; all but the training on held-out samples."""
    eps, halves = BUDGETS[data], load(data)
    whole = np.concatenate([halves.X_train, halves.X_test]).astype(np.float32)
    labels = np.concatenate([halves.y_train, halves.y_test])
    X_train, X, y_train, y = train_test_split(
        whole, labels, train_size=N_TRAIN, test_size=N_TEST, stratify=labels, random_state=seed
    )
    starts = np.random.RandomState(seed).randint(2**31 - 1, size=len(NETS)).tolist()
    few, truth = X[:N_ATTACKED], y[:N_ATTACKED]
    nets, maps, results = {}, {}, {}
    variants: dict[str, Result] = {}
    for name, start in zip(tqdm(NETS, f"{data}, seed {seed}", leave=False), starts, strict=True):
        nets[name] = net = trained(name, X_train, y_train, eps, start)
        maps[name] = encoded(net, X_train, start)
        with torch.no_grad():
            accuracy = (net(torch.from_numpy(X)).argmax(dim=1).numpy() == y).mean()
        results[name] = (
            {"accuracy": float(accuracy)}
            | homogeneity(maps[name], X, y)
            | vulnerability(net, maps[name], few, truth, eps)
        )
        architecture, training = name.split(", ")
        if training == "plain":
            variants[architecture] = {
                title: homogeneity(encoded(net, X_train, start, **params), X, y)
                for title, params in VARIANTS.items()
                if "pooling" not in params or architecture in WITH_SPACE
            }
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(start)
                fresh = network(architecture, int(y.max()) + 1, 0.0)
            variants[architecture]["untrained"] = homogeneity(encoded(fresh, X_train, start), X, y)
    return {"nets": results, "variants": variants, "pairs": relations(nets, maps, few, truth, eps)}


# read at once: the file may change while this runs
CODE = [
    inspect.getsource(part)
    for part in (Mix, network, trained, encoded, homogeneity, vulnerability, reduced, relations, experiment)
]


def kept(data: str, seed: int) -> Result:
    """The result, from the file where it was kept if it was computed before."""
    halves = load(data)
    versions = [version(name) for name in ("numpy", "scikit-learn", "torch", "minisom")]
    settings = [
        BUDGETS[data],
        NETS,
        TURNED,
        VARIANTS,
        N_TRAIN,
        N_TEST,
        N_ATTACKED,
        N_EPOCHS,
        N_STEPS,
        N_PAIRS,
    ]
    path = FOLDER / f"{digest(data, halves.X_train, halves.X_test, seed, *settings, *CODE, *versions)}.json"
    if not path.exists():
        part = path.with_suffix(".part")
        part.write_text(json.dumps(experiment(data, seed)))
        part.replace(path)
    return json.loads(path.read_text())


# ---- figures of networks: (n_seeds, n_architectures, n_trainings)


def of_nets(runs: list[Result], figure: Callable[[Result], float]) -> Array:
    values = np.array([[figure(run["nets"][name]) for name in NETS] for run in runs], dtype=float)
    return values.reshape(len(runs), len(ARCHITECTURES), len(TRAININGS))


def turned(net: Result, measure: str, of: str = "values") -> Array:
    """A measure by layer, larger for more homogeneous; "excess" is what it has over its control."""
    values, control = (np.array(net[kind][measure]) for kind in ("values", "control"))
    return TURNED[measure] * {"values": values, "control": control, "excess": values - control}[of]


def correlation(a: Array, b: Array, axis: int = -1) -> Array:
    """Pearson's; entries that are nan in both are left out, a constant gives nan."""
    mean: dict[str, Any] = {"axis": axis, "keepdims": True}
    a, b = a - np.nanmean(a, **mean), b - np.nanmean(b, **mean)
    scale = np.sqrt(np.nansum(a**2, axis=axis) * np.nansum(b**2, axis=axis))
    return np.nansum(a * b, axis=axis) / np.where(scale > 1e-9, scale, np.nan)


# ---- layers


@dataclass(frozen=True)
class Trend:
    """Spearman's rho with depth of each configuration, mean over seeds, (n_architectures, n_trainings)."""

    rho: Array

    @property
    def falls(self) -> int:
        return int((self.rho < 0).sum())

    @property
    def rises(self) -> int:
        return int((self.rho > 0).sum())

    @property
    def p(self) -> float:
        """Of a sign test over configurations."""
        n = self.falls + self.rises
        return float(binomtest(self.falls, n).pvalue) if n else 1.0

    @property
    def word(self) -> str:
        return "undecided" if self.p >= 0.05 else "falls" if self.falls > self.rises else "rises"

    def __str__(self) -> str:
        return f"{self.rho.mean():+.2f}, {self.falls} fall, {self.rises} rise"


def trend(runs: list[Result], by_layer: Callable[[Result], Array], *, hidden: bool = False) -> Trend:
    """Over all layers, or without the output."""

    def rho(net: Result) -> float:
        layers = by_layer(net)[: -1 if hidden else None]
        # nothing that changes is no trend
        return float(np.nan_to_num(correlation(rankdata(layers), np.arange(len(layers), dtype=float))))

    return Trend(of_nets(runs, rho).mean(axis=0))


SPANS = {"all layers": False, "hidden layers": True}


def measured(runs: list[Result], measure: str, span: str, of: str = "values") -> Trend:
    return trend(runs, lambda net: turned(net, measure, of), hidden=SPANS[span])


def depth_rows(runs: list[Result]) -> list[dict[str, str]]:
    rows = []
    for measure in TURNED:
        # labels do not matter to the number of codes; information is adjusted for chance
        alone = measure in ("n_codes", "information")
        for of, labels in (("values", "true"), ("control", "shuffled"), ("excess", "difference")):
            if alone and of != "values":
                continue
            row = {"measure": measure, "labels": labels}
            for span in SPANS:
                found = measured(runs, measure, span, of)
                row[f"{span}: rho"] = f"{found.rho.mean():+.2f}"
                row[f"{span}: fall, rise"] = f"{found.falls}, {found.rises}"
                row[f"{span}: p"] = f"{found.p:.1g}"
            by_architecture = measured(runs, measure, "all layers", of).rho.mean(axis=1)
            row |= {name: f"{rho:+.2f}" for name, rho in zip(ARCHITECTURES, by_architecture, strict=True)}
            rows.append(row)
    return rows


DRIFTS: dict[str, Callable[[Result], Array]] = {
    "codes changed by PGD": lambda net: np.array(net["drift"]["changed"]),
    "codes changed by noise": lambda net: np.array(net["drift"]["noise_changed"]),
    "codes changed, difference": lambda net: drift_of(net, "changed"),
    "distance moved by PGD": lambda net: np.array(net["drift"]["distance"]),
    "distance moved by noise": lambda net: np.array(net["drift"]["noise_distance"]),
    "distance moved, difference": lambda net: drift_of(net, "distance"),
}


def drift_of(net: Result, figure: str) -> Array:
    """By PGD less by noise."""
    return np.subtract(net["drift"][figure], net["drift"][f"noise_{figure}"])


def drift_rows(runs: list[Result]) -> list[dict[str, str]]:
    rows = []
    for name, by_layer in DRIFTS.items():
        found = trend(runs, by_layer)
        row = {"drift": name, "rho with depth": f"{found.rho.mean():+.2f}"}
        rows.append(row | {"fall, rise": f"{found.falls}, {found.rises}", "p": f"{found.p:.1g}"})
    return rows


def layer_rows(runs: list[Result]) -> list[dict[str, str]]:
    """Means over trainings and seeds."""
    rows = []
    for architecture in ARCHITECTURES:
        nets = [run["nets"][f"{architecture}, {training}"] for run in runs for training in TRAININGS]
        means = {
            (kind, name): np.mean([net[kind][name] for net in nets], axis=0)
            for kind in ("values", "control", "drift")
            for name in nets[0][kind]
        }
        errors = {
            name: np.mean([net[name] for net in nets], axis=0) for name in ("unexplained", "topographic")
        }
        n_layers = len(errors["unexplained"])
        for i in range(n_layers):
            row = {"network": architecture, "layer": f"hidden {i + 1}" if i < n_layers - 1 else "output"}
            for name in TURNED:
                row[name] = f"{means['values', name][i]:.2f}"
                if name not in ("n_codes", "information"):
                    row[name] += f" [{means['control', name][i]:.2f}]"
            for name, title in (("changed", "codes changed"), ("distance", "distance moved")):
                row[title] = f"{means['drift', name][i]:.2f} [{means['drift', f'noise_{name}'][i]:.2f}]"
            rows.append(row | {name: f"{values[i]:.2f}" for name, values in errors.items()})
    return rows


def class_entropy(net: Result) -> Array:
    return np.array(net["values"]["class_entropy"])


def variants(
    runs: list[Result], by_layer: Callable[[Result], Array] = class_entropy
) -> dict[str, dict[str, Array]]:
    """A figure of plainly trained networks, mean over seeds, by kind of map and architecture."""
    found: dict[str, dict[str, Array]] = {}
    for architecture in ARCHITECTURES:
        nets = {"8 x 8 units": [run["nets"][f"{architecture}, plain"] for run in runs]}
        for run in runs:
            for title, net in run["variants"][architecture].items():
                nets.setdefault(title, []).append(net)
        for title, of_title in nets.items():
            found.setdefault(title, {})[architecture] = np.mean([by_layer(net) for net in of_title], axis=0)
    return found


def variant_rows(runs: list[Result]) -> list[dict[str, str]]:
    return [
        {"maps": title}
        | {
            name: " ".join(f"{value:.2f}" for value in by_architecture.get(name, ())) or "-"
            for name in ARCHITECTURES
        }
        for title, by_architecture in variants(runs).items()
    ]


# ---- vulnerability

Found = tuple[float, float, float]
Cells = dict[tuple[str, str], dict[str, Found]]
HARMS: dict[str, Callable[[Result], float]] = {
    "nearness of adversarial samples": lambda net: -net["distance"],
    "success of PGD": lambda net: net["success"],
}
PLACES: dict[str, Callable[[Array], float]] = {
    "first": lambda layers: layers[0],
    "last hidden": lambda layers: layers[-2],
    "output": lambda layers: layers[-1],
    "mean": lambda layers: layers.mean(),
}


def placed(net: Result, measure: str, place: str) -> float:
    return PLACES[place](turned(net, measure))


def interval(draws: Array) -> Found:
    """The value, which comes first, and the ends of the 95 % interval from the bootstrap after it."""
    low, high = np.nanquantile(draws[1:], (0.025, 0.975))
    return float(draws[0]), float(low), float(high)


def associated(a: Array, b: Array, given: Array | None = None) -> Found:
    """Spearman's rho in groups, (n_seeds, n_groups, n_nets), averaged; networks are drawn within groups."""
    n_groups, n_nets = a.shape[1:]
    draws = np.random.RandomState(0).randint(n_nets, size=(N_BOOTSTRAPS + 1, n_groups, n_nets))
    draws[0] = np.arange(n_nets)
    x, y, *z = (
        rankdata(np.take_along_axis(values[:, None], draws[None], axis=-1), axis=-1)
        for values in (a, b, *(() if given is None else (given,)))
    )
    rho = correlation(x, y)
    if z:
        with_x, with_y = correlation(x, z[0]), correlation(y, z[0])
        rho = (rho - with_x * with_y) / np.sqrt((1 - with_x**2) * (1 - with_y**2))
    return interval(np.nanmean(rho, axis=(0, 2)))


def associations(runs: list[Result], kind: str) -> Cells:
    """Of homogeneity by measure and layer, and of test error, with a kind of vulnerability."""
    accuracy, harm = of_nets(runs, lambda net: net["accuracy"]), of_nets(runs, HARMS[kind])
    figures = {
        (measure, place): of_nets(runs, partial(placed, measure=measure, place=place))
        for measure in TURNED
        for place in PLACES
    }

    def flat(values: Array) -> Array:
        return values.reshape(len(runs), 1, -1)

    return {
        key: {
            "all networks": associated(flat(values), flat(harm)),
            "given accuracy": associated(flat(values), flat(harm), flat(accuracy)),
            "within architecture": associated(values, harm),
            "within training": associated(values.swapaxes(1, 2), harm.swapaxes(1, 2)),
        }
        for key, values in figures.items()
    } | {("test error", ""): {"all networks": associated(flat(-accuracy), flat(harm))}}


def signed(found: Found) -> str:
    value, low, high = found
    return "-" if np.isnan(value) else f"{value:+.2f} [{low:+.2f} {high:+.2f}]"


def vulnerability_rows(cells: Cells) -> list[dict[str, str]]:
    titles = list(next(iter(cells.values())))
    return [
        {"measure": measure, "layer": place}
        | {title: signed(cell[title]) if title in cell else "-" for title in titles}
        for (measure, place), cell in cells.items()
    ]


# ---- pairs of networks

TOGETHER = ("all pairs", "within target", "within source")


def rhos(alike: Array, rates: Array) -> Array:
    """Spearman's rho with rates (source, target), by draw of networks: all pairs, in targets, in sources."""
    n = len(rates)
    draws = np.random.RandomState(0).randint(n, size=(N_BOOTSTRAPS + 1, n))
    draws[0] = np.arange(n)
    rows, columns = draws[:, :, None], draws[:, None, :]
    a, b = alike[rows, columns], rates[rows, columns]
    # none with itself; where a layer gives the same for all samples there is no CKA
    known = (rows != columns) & ~np.isnan(a) & ~np.isnan(b)
    found = []
    for axis in (None, 1, 2):
        x, y, some = (m.reshape(len(m), -1) if axis is None else m for m in (a, b, known))
        x, y = (np.where(some, rankdata(np.where(some, m, np.inf), axis=axis or 1), np.nan) for m in (x, y))
        rho = correlation(x, y, axis=axis or 1)
        found.append(rho if axis is None else np.nanmean(rho, axis=1))
    return np.array(found)


def transfer_draws(runs: list[Result]) -> dict[str, Array]:
    """Correlation with transfer of all that is said of pairs, mean over seeds, (3, 1 + n_draws)."""
    found: dict[str, list[Array]] = {}
    for run in runs:
        eligible, fooled = (np.array(run["pairs"][name], dtype=float) for name in ("eligible", "fooled"))
        rates = np.where(eligible > 0, fooled / np.maximum(eligible, 1), np.nan)
        said = {name: np.array(values) for name, values in run["pairs"]["alike"].items()}
        for place, kind in enumerate(("architecture", "training")):
            kinds = np.array([name.split(", ")[place] for name in NETS])
            said[f"same {kind}"] = (kinds[:, None] == kinds).astype(float)
        for name, values in said.items():
            found.setdefault(name, []).append(rhos(values, rates))
    return {name: np.mean(values, axis=0) for name, values in found.items()}


def rivals(draws: dict[str, Array]) -> dict[tuple[str, str], Array]:
    """How much more agreement of codes tells than CKA of the same layers, and than what looks at answers."""
    return {
        (name, other): draws[name] - draws[other]
        for name in draws
        if name.startswith("codes, ")
        for other in (name.replace("codes", "CKA"), "halfway agreement", "same answers")
    }


def transfer_rows(draws: dict[str, Array]) -> list[dict[str, str]]:
    def cells(values: Array) -> dict[str, str]:
        return {title: signed(interval(values[i])) for i, title in enumerate(TOGETHER)}

    best_first = sorted(draws.items(), key=lambda item: -item[1][0, 0])
    rows = [{"measure": name} | cells(values) for name, values in best_first]
    return rows + [
        {"measure": f"{name}, less {other}"} | cells(v) for (name, other), v in rivals(draws).items()
    ]


# ---- the page


def counted(words: list[str], **names: str) -> str:
    return ", ".join(f"{name} {words.count(word)}" for word, name in names.items() if word in words)


def decided(found: Found) -> str:
    _, low, high = found
    return "more" if low > 0 else "less" if high < 0 else "undecided"


def net_rows(results: Results) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = [{"network": name} for name in NETS]
    figures = {"accuracy": "accuracy", "distance": "nearest, L2", "success": "fooled by PGD"}
    for data, runs in results.items():
        for key, title in figures.items():
            means = of_nets(runs, itemgetter(key)).mean(axis=0)
            for row, mean in zip(rows, means.ravel(), strict=True):
                row[f"{data}: {title}"] = f"{mean:.2f}"
    return rows


def fall_inside(found: dict[str, Array]) -> str:
    """In how many architectures a figure falls from the first hidden layer to the last."""
    return f"{sum(layers[-2] < layers[0] for layers in found.values())} of {len(found)}"


def depth_answers(results: Results) -> list[str]:
    cases = [(data, span) for data in results for span in SPANS]

    def words(measures: list[str]) -> str:
        found = [measured(results[data], m, span).word for data, span in cases for m in measures]
        return (
            f"{counted(found, falls='falls in', rises='rises in', undecided='undecided in')} of {len(found)}"
        )

    items = [
        f"A case is a measure, a data set, and all layers or the hidden ones alone. By measures of how far "
        f"classes share codes ({', '.join(BY_CLASS)}) homogeneity {words(BY_CLASS)} cases; if few codes are "
        f"homogeneous ones, it {words(['n_codes'])} by their number and {words(['code_entropy'])} by "
        "code_entropy."
    ]
    for data, span in cases:
        found = {measure: measured(results[data], measure, span) for measure in TURNED}
        parts = [
            f"{word} by {'; '.join(f'{m} ({one})' for m, one in found.items() if one.word == word)}"
            for word in ("falls", "rises", "undecided")
            if any(one.word == word for one in found.values())
        ]
        control = measured(results[data], "class_entropy", span, "control")
        parts.append(f"control of class_entropy: {control}")
        unexplained = trend(results[data], lambda net: np.array(net["unexplained"]), hidden=SPANS[span])
        parts.append(f"share of the variance of activations within units: {unexplained}")
        items.append(f"{data}, {span}: {'. '.join(part[0].upper() + part[1:] for part in parts)}.")
    for data, runs in results.items():
        by_architecture = measured(runs, "class_entropy", "all layers").rho.mean(axis=1)
        named = [f"{name} {rho:+.2f}" for name, rho in zip(ARCHITECTURES, by_architecture, strict=True)]
        items.append(f"{data}, class_entropy by architecture, mean rho over all layers: {', '.join(named)}.")
        falls = [f"{fall_inside(found)} ({title})" for title, found in variants(runs).items()]
        items.append(
            f"{data}, networks trained plainly, means over seeds: class_entropy is lower in the last hidden "
            f"layer than in the first in {', '.join(falls)} architectures. Before training, the share of "
            "the variance of activations within units is lower there in "
            f"{fall_inside(variants(runs, lambda net: np.array(net['unexplained']))['untrained'])}."
        )
    return items


def vulnerability_answers(cells: dict[str, dict[str, Cells]]) -> list[str]:
    kinds = {f"{data}, {harm}": found for data, of_data in cells.items() for harm, found in of_data.items()}
    titles = list(next(iter(next(iter(kinds.values())).values())))

    def founds(title: str, measures: list[str], kind: str | None = None) -> dict[tuple[str, ...], Found]:
        return {
            (*key, name): cell[title]
            for name, cells in kinds.items()
            if kind in (None, name)
            for key, cell in cells.items()
            if key[0] in measures
        }

    def words(found: dict[tuple[str, ...], Found]) -> str:
        return counted(
            list(map(decided, found.values())),
            more="more vulnerable in",
            less="less in",
            undecided="undecided in",
        )

    items = []
    for say, measures in (("how far classes share codes", BY_CLASS), ("how few codes there are", BY_NUMBER)):
        found = {title: founds(title, measures) for title in titles}
        n_cases = len(found[titles[0]])
        by_title = ". ".join(f"{title}: {words(of_title)}" for title, of_title in found.items())
        items.append(
            f"By {say} ({', '.join(measures)}): a case is a measure, a layer, a data set and a kind of "
            f"vulnerability. Homogeneous networks are, of {n_cases} cases, {by_title}."
        )
    reach = [(high - low) / 2 for title in titles for _, low, high in founds(title, list(TURNED)).values()]
    items.append(
        f"The intervals reach {np.median(reach):.2f} either way in the median: of weaker relations these "
        "networks cannot tell."
    )
    for kind in kinds:
        parts = []
        for title in titles:
            named = [
                f"{measure} {place} {rho[0]:+.2f}"
                for (measure, place, _), rho in founds(title, list(TURNED), kind).items()
                if decided(rho) != "undecided"
            ]
            parts.append(f"{title}: {'; '.join(named) or 'none'}")
        error = signed(kinds[kind]["test error", ""]["all networks"])
        items.append(
            f"{kind}, the cases that are decided, {'. '.join(parts)}. For comparison, test error: {error}."
        )
    return items


def drift_answers(results: Results) -> list[str]:
    def mean(runs: list[Result], figure: str, layer: int) -> float:
        return float(of_nets(runs, lambda net: net["drift"][figure][layer]).mean())

    items = []
    for data, runs in results.items():
        shares, ways = (
            ", ".join(
                f"{mean(runs, figure, layer):.2f} [{mean(runs, f'noise_{figure}', layer):.2f}] at the {place}"
                for place, layer in (("first layer", 0), ("last hidden layer", -2), ("output", -1))
            )
            for figure in ("changed", "distance")
        )
        everywhere = of_nets(runs, lambda net: float(drift_of(net, "changed").min())) > 0
        items.append(
            f"{data}: PGD [noise] changes a share of codes of {shares}, and moves them by {ways}. In every "
            f"layer of {everywhere.sum()} of {everywhere.size} networks PGD changes more codes than noise. "
            f"With depth: {'; '.join(f'{name} {trend(runs, DRIFTS[name])}' for name in DRIFTS)}."
        )
    return items


def transfer_answers(draws: dict[str, dict[str, Array]]) -> list[str]:
    named = ("codes, best layers", "CKA, best layers", "halfway agreement", "same answers")
    items = []
    for data, of_data in draws.items():
        for i, title in enumerate(TOGETHER[:2]):
            rho = "; ".join(
                f"{name} {signed(interval(of_data[name][i]))}"
                for name in (*named, "same architecture", "same training")
            )
            parts = []
            for other in ("CKA", *named[2:]):
                words = [
                    decided(interval(values[i]))
                    for (_, against), values in rivals(of_data).items()
                    if against.startswith(other)
                ]
                parts.append(
                    f"{other}: {counted(words, more='more in', less='less in', undecided='undecided in')}"
                )
            items.append(
                f"{data}, {title}, rank correlation with transfer: {rho}. Of four choices of layers, codes "
                f"tell more or less than {'; '.join(parts)}."
            )
    return items


def in_short(results: Results, cells: dict[str, dict[str, Cells]], draws: dict[str, dict[str, Array]]) -> str:
    """The answers in a paragraph."""

    def by_data(say: Callable[[str], str]) -> str:
        return ", ".join(f"{say(data)} ({data})" for data in results)

    def falls(span: str) -> str:
        return by_data(lambda data: f"{measured(results[data], 'class_entropy', span).falls}")

    def vulnerable(title: str) -> str:
        words = [
            decided(cell[title])
            for of_data in cells.values()
            for of_kind in of_data.values()
            for (measure, _), cell in of_kind.items()
            if measure in TURNED
        ]
        return f"{title} {words.count('more')} and {words.count('less')} of {len(words)}"

    def untrained(data: str) -> str:
        return fall_inside(variants(results[data])["untrained"])

    def within_target(name: str) -> str:
        return by_data(lambda data: f"{draws[data][name][1, 0]:+.2f}")

    against = [
        decided(interval(values[1]))
        for of_data in draws.values()
        for (_, other), values in rivals(of_data).items()
        if other.startswith("CKA")
    ]
    return (
        f"In short: class_entropy falls with depth in {falls('all layers')} of {len(NETS)} configurations; "
        f"without the output in {falls('hidden layers')}; before training it falls from the first hidden "
        f"layer to the last in {by_data(untrained)} architectures. Homogeneous codes go with more and with "
        f"less vulnerability in so many cases, of {vulnerable('all networks')}, "
        f"{vulnerable('given accuracy')}, "
        f"{vulnerable('within architecture')}, {vulnerable('within training')}; the rest is undecided. "
        "Within targets, the transfer rate has a rank correlation with agreement of codes (best layers) of "
        f"{within_target('codes, best layers')}, with CKA of {within_target('CKA, best layers')}, with "
        f"halfway agreement of {within_target('halfway agreement')} and with the share of same answers of "
        f"{within_target('same answers')}; codes tell more than CKA in {against.count('more')}, less in "
        f"{against.count('less')} of {len(against)} choices of layers."
    )


def wrapped(text: str, indent: str = "") -> str:
    """Lines of at most 108 characters; those that are shorter stay."""
    lines = (textwrap.fill(line, 108, subsequent_indent=indent) for line in text.splitlines())
    return "\n".join(lines)


def page(results: Results) -> str:
    cells = {data: {kind: associations(runs, kind) for kind in HARMS} for data, runs in results.items()}
    draws = {data: transfer_draws(runs) for data, runs in results.items()}
    answers = {
        "Are shallow layers homogeneous, and deep layers diverse?": depth_answers(results),
        "Do homogeneous codes go with vulnerability?": vulnerability_answers(cells),
        "How far do adversarial samples drift, layer by layer?": drift_answers(results),
        "Are networks with similar codes fooled by the same adversarial examples?": transfer_answers(draws),
    }
    budgets = ", ".join(f"{data} {eps}" for data, eps in BUDGETS.items())
    sections = [
        "# What layers encode",
        (__doc__ or "").strip(),
        f"{min(map(len, results.values()))} seeds; in each, {N_TRAIN} training and {N_TEST} held-out samples "
        "are drawn anew from digits (ten classes) or the patches of two photographs of zoo.py (two classes), "
        f"all of 8 x 8 pixels, and {len(NETS)} networks trained for {N_EPOCHS} epochs: perceptrons, three "
        "convolutions, and tiles that are mixed over places and channels; plainly, with a weight decay of 1 "
        "(AdamW), with a dropout of .2, with Gaussian noise on the inputs whose deviation is the attack's "
        "budget, or on samples of a one-step attack with that budget. Maps (8 x 8 units, no pooling over "
        "space) are fitted to the training samples; everything else is measured on held-out samples: "
        f"homogeneity and accuracy on all, attacks and agreement on the first {N_ATTACKED}.",
        "Measures are those of skhalfway.codes.Homogeneity; *information* is the adjusted mutual information "
        "of class and code. In correlations they are turned so that larger is more homogeneous: shared and "
        "class_entropy as they are, purity and information with the other sign; n_codes and code_entropy "
        "with the other sign too, if *diverse* is to mean many codes. Adversarial samples are the nearest "
        'ones (`attack="fmn"`, L2; the median over samples that the network classifies right) and those of '
        f"PGD in L-inf, {N_STEPS} steps (budgets: {budgets}; the share of such samples that fool).",
        "A map leaves a share of the variance of activations within its units, more of some layers' than of "
        "others'. Homogeneity that falls as this share does may be the map's: so the share is reported "
        "beside it, maps of other sizes were fitted, and networks were mapped before they were trained.",
        f"A configuration is an architecture trained in one way. Trends with depth are means over seeds of "
        "Spearman's rho of a network's layers; the sign test is over configurations, which share "
        "architectures, so that its p is too small if these decide. Other correlations are computed for each "
        f"seed over its {len(NETS)} networks and averaged over seeds; intervals (95 %) are a bootstrap over "
        f"configurations, {N_BOOTSTRAPS} draws. Nothing is corrected for the number of comparisons: of 24 "
        "that hold nothing, about one is decided by chance.",
        "## Answers",
        in_short(results, cells, draws),
    ]
    for number, (question, items) in enumerate(answers.items(), 1):
        sections += [f"### {number}. {question}", "\n".join(wrapped(f"- {item}", "  ") for item in items)]
    sections += ["## Networks", "Means over seeds.", table(net_rows(results))]
    for data, runs in results.items():
        sections += [
            f"## {data}: layers",
            "Means over trainings and seeds; in brackets those of shuffled labels, and of noise of the same "
            "norm; *unexplained* is the share of the variance of activations within units, *topographic* the "
            "topographic error.",
            table(layer_rows(runs)),
            "Rank correlation of homogeneity with depth, mean over configurations; how many of these fall "
            "and rise; the mean rho over all layers by architecture. *Difference*: true less shuffled.",
            table(depth_rows(runs)),
            "The same of drift:",
            table(drift_rows(runs)),
            "class_entropy by layer of networks trained plainly, on other maps and before training; *mean "
            "over space*: of activations that are averaged over space before they are mapped.",
            table(variant_rows(runs)),
        ]
        for kind in HARMS:
            sections += [
                f"## {data}: homogeneity and {kind}",
                "Rank correlation over all networks; partial, given accuracy; over the trainings of an "
                "architecture, and over the architectures trained in one way, averaged.",
                table(vulnerability_rows(cells[data][kind])),
            ]
        sections += [
            f"## {data}: agreement and transfer",
            "Rank correlation with the transfer rate of PGD (TransferScorer; both classify the sample right) "
            f"over the {len(NETS) * (len(NETS) - 1)} ordered pairs, over the sources of a target, and over "
            "the targets of a source, averaged. *Codes*: adjusted mutual information; *CKA*: linear; of the "
            "first, the last hidden and the output layers, and of each layer with the one that agrees most, "
            f"averaged. Halfway agreement is HalfwayScorer's, on {N_PAIRS} paths. *Less*: difference of two "
            "correlations, drawn together.",
            table(transfer_rows(draws[data])),
        ]
    # tables, headings and items keep their lines
    return "\n\n".join(part if part[0] in "|#-" else wrapped(part) for part in sections) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore", CoarseMapWarning)  # the page has the shares of variance that it tells of
    results: Results = {data: [] for data in BUDGETS}
    for seed, data in tqdm([(seed, data) for seed in range(options.seeds) for data in BUDGETS]):
        results[data].append(kept(data, seed))
    PAGE.write_text(page(results))


if __name__ == "__main__":
    main()
