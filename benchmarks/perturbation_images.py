"""Learning from perturbations of images: three protocols and norms, accuracy under attack, and a control.

After Kumano, Kera & Yamasaki (ICLR 2024, arXiv 2402.10470) and Ilyas et al. (2019, arXiv 1905.02175). A
source learns the images. Training images are moved towards random other classes (R), towards the next class
(D), or uniform noise is moved towards random classes (noise); they get the label they were moved to, and a
fresh network, the learner, trains on nothing else. The control trains on them before they are moved.

    python benchmarks/perturbation_images.py [--data digits mnist fashion_mnist cifar10] [--seeds 5]

The page shows the data sets named by --data. All but digits are downloaded from OpenML. Each run is kept in
benchmarks/.cache/perturbation_images/; what was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from art.attacks.evasion import SaliencyMapMethod
from numpy.typing import NDArray
from run import table
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from skorch import NeuralNetClassifier
from torch import nn
from tqdm.auto import tqdm
from zoo import CACHE, cached, digest

from skhalfway import AdversarialGenerator
from skhalfway.datasets import load_images
from skhalfway.perturbation import PerturbationLearner

PAGE = Path(__file__).with_suffix(".md")
FOLDER = CACHE / "perturbation_images"
# those of Kumano et al. for MNIST and CIFAR-10; of MNIST for the others
EPS = {
    "digits": {"L2": round(2 * (64 / 784) ** 0.5, 3), "L-inf": 0.3},
    "mnist": {"L2": 2.0, "L-inf": 0.3},
    "fashion_mnist": {"L2": 2.0, "L-inf": 0.3},
    "cifar10": {"L2": 0.5, "L-inf": 0.1},
}
ORIGIN = {
    "digits": "MNIST's of Kumano et al., in L2 scaled by sqrt(64 / 784), as the number of pixels",
    "mnist": "of Kumano et al.",
    "fashion_mnist": "MNIST's of Kumano et al.",
    "cifar10": "of Kumano et al.",
}
CHANGED = 1 / 8  # share of the values of an image that an L0 attack may change
CHANNELS = {"digits": 8, "mnist": 32, "fashion_mnist": 32, "cifar10": 64}
EPOCHS = {"digits": 20, "mnist": 10, "fashion_mnist": 10, "cifar10": 20}
LEARNING_RATE = {"digits": 3e-3, "mnist": 1e-3, "fashion_mnist": 1e-3, "cifar10": 1e-3}
NORMS = ("L2", "L-inf", "L0")
NETS = ("CNN", "MLP")
PROTOCOLS: dict[str, dict[str, Any]] = {
    "R": {"labels": "random"},
    "D": {"labels": "next"},
    "noise": {"base": "noise"},
}
BASES = ("data", "noise")
MAX_ITER = 20  # steps of PGD
N_SEARCHED = 400  # samples whose distance to their target is looked for
# final clean accuracy, read off the paper's plots, +- .02
PAPER = {
    "mnist": {
        "R": {"L2": 0.93, "L-inf": 0.89, "L0": 0.28},
        "D": {"L2": 0.39, "L-inf": 0.11, "L0": 0.02},
    },
    "cifar10": {
        "R": {"L2": 0.77, "L-inf": 0.77, "L0": 0.55},
        "D": {"L2": 0.44, "L-inf": 0.52, "L0": 0.17},
    },
}
# accuracy, and under attack (L2, eps .25), on CIFAR-10
ILYAS = {"R": (0.63, 0.0), "D": (0.44, 0.0)}
SETS = {
    "a": "moved inputs, their targets",
    "b": "those of the moved that do not fool the source, their targets",
    "c": "inputs before they are moved, the source's answers",
    "d": "moved inputs, the source's answers",
    "e": "moved inputs, the targets shuffled",
    "f": "those of (b) before they are moved, the targets of (b)",
}

Run = dict[str, float]
Images = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]


@dataclass(frozen=True)
class Case:
    """A data set, a kind of network and a seed; where it is computed is no part of its name."""

    data: str
    net: str
    seed: int
    train_size: int | None
    device: str = field(repr=False)


class Cnn(nn.Sequential):
    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        n_colours, height, _ = shape
        super().__init__(
            nn.Conv2d(n_colours, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2 * width * (height // 2) ** 2, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )


class Mlp(nn.Sequential):
    def __init__(self, shape: tuple[int, int, int], width: int) -> None:
        n_units = 16 * width
        super().__init__(
            nn.Flatten(),
            nn.Linear(int(np.prod(shape)), n_units),
            nn.ReLU(),
            nn.Linear(n_units, n_units),
            nn.ReLU(),
            nn.Linear(n_units, 10),
        )


@lru_cache(maxsize=1)
def images(data: str, seed: int, train_size: int | None) -> Images:
    return load_images(data, train_size=train_size, random_state=seed)


def images_of(case: Case) -> Images:
    return images(case.data, case.seed, case.train_size)


def network(case: Case) -> NeuralNetClassifier:
    return NeuralNetClassifier(
        {"CNN": Cnn, "MLP": Mlp}[case.net],
        module__shape=images_of(case)[0].shape[1:],
        module__width=CHANNELS[case.data],
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=LEARNING_RATE[case.data],
        max_epochs=EPOCHS[case.data],
        batch_size=64,
        iterator_train__shuffle=True,
        train_split=None,
        device=case.device,
        verbose=0,
    )


def trained(case: Case, X: NDArray[Any], y: NDArray[Any], seed: int) -> NeuralNetClassifier:
    torch.manual_seed(seed)
    return clone(network(case)).fit(X, y)


@lru_cache(maxsize=2)
def source_of(case: Case) -> NeuralNetClassifier:
    X, _, y, _ = images_of(case)
    return trained(case, X, y, case.seed)


def most_changed(case: Case) -> int:
    """Values of an image that an L0 attack may change."""
    return int(CHANGED * images_of(case)[0][0].size)


def attack(case: Case, norm: str) -> AdversarialGenerator:
    """PGD; in L0, which the package does not know, ART's saliency maps, two values a step."""
    if norm == "L0":
        # it goes on while the share of changed values is at most gamma: two fewer than the budget
        return AdversarialGenerator(
            attack=SaliencyMapMethod,
            norm=np.inf,
            eps=1.0,  # the range of a value: no bound but L0's
            clip_values=(0, 1),
            attack_params={"theta": 1.0, "gamma": (most_changed(case) - 1.5) / images_of(case)[0][0].size},
        )
    return AdversarialGenerator(
        attack="pgd",
        norm=2 if norm == "L2" else np.inf,
        eps=EPS[case.data][norm],
        max_iter=MAX_ITER,
        clip_values=(0, 1),
    )


def under_attack(case: Case, model: Any) -> float:
    """Accuracy under PGD of half the L2 budget of the training samples, as .25 is of .5."""
    _, X_test, _, y_test = images_of(case)
    half = EPS[case.data]["L2"] / 2
    generator = AdversarialGenerator(
        FrozenEstimator(model), attack="pgd", norm=2, eps=half, max_iter=MAX_ITER, clip_values=(0, 1)
    )
    return float((model.predict(generator.generate(X_test, y_test)) == y_test).mean())


def clean(case: Case) -> Run:
    """The source, on clean images and under attack."""
    _, X_test, _, y_test = images_of(case)
    source = source_of(case)
    return {"accuracy": float(source.score(X_test, y_test)), "attacked": under_attack(case, source)}


def learn(case: Case, protocol: str, norm: str) -> Run:
    """What a learner knows of clean images, and how its samples were moved."""
    X, X_test, y, y_test = images_of(case)
    learner = PerturbationLearner(
        network(case),
        attack(case, norm),
        source=FrozenEstimator(source_of(case)),
        random_state=case.seed,
        **PROTOCOLS[protocol],
    ).fit(X, y)
    changed = (learner.X_perturbed_ != learner.X_base_).reshape(len(learner.X_base_), -1).sum(axis=1)
    if norm == "L0" and changed.max() > most_changed(case):
        raise RuntimeError(f"the L0 attack changed {changed.max()} values, allowed are {most_changed(case)}")
    result = {
        "accuracy": float(learner.score(X_test, y_test)),
        "fooled": learner.fooling_rate_,
        "changed": float(changed.mean()),
    }
    if norm == "L2":
        # the control does not see the perturbations: it is the same for every norm
        result["control"] = learner.control_score(X_test, y_test)
        result["attacked"] = under_attack(case, learner.learner_)
    return result


def relabel(case: Case, base: str) -> Run:
    """What learners of equally many samples know, with labels that the source agrees with or does not."""
    X, X_test, y, y_test = images_of(case)
    source, rng = source_of(case), np.random.RandomState(case.seed)
    if base == "noise":
        start, targets = rng.uniform(size=X.shape).astype(np.float32), rng.randint(10, size=len(X))
    else:
        start, targets = X, (y + rng.randint(1, 10, size=len(X))) % 10
    generator = AdversarialGenerator(
        FrozenEstimator(source), attack="fmn", norm=2, eps=np.inf, clip_values=(0, 1)
    )
    generator.generate(start[:N_SEARCHED], target=targets[:N_SEARCHED])
    assert generator.distances_ is not None
    # half of the samples have their target within this distance
    eps = float(np.median(generator.distances_))
    moved = generator.set_params(attack="pgd", eps=eps, max_iter=MAX_ITER).generate(start, target=targets)
    before, after = source.predict(start), source.predict(moved)
    stayed = np.flatnonzero(after != targets)
    drawn = rng.permutation(len(X))[: len(stayed)]
    sets = {
        "a": (moved, targets, after, drawn),
        "b": (moved, targets, after, stayed),
        "c": (start, before, before, drawn),
        "d": (moved, after, after, drawn),
        "e": (moved, rng.permutation(targets), after, drawn),
        "f": (start, targets, before, stayed),
    }
    given = source.predict(X_test)
    wrong = given != y_test
    result = {"eps": eps, "fooled": 1 - len(stayed) / len(X), "n": len(stayed), "errors": wrong.sum()}
    for name, (inputs, labels, answers, rows) in sets.items():
        learner = trained(case, inputs[rows], labels[rows], case.seed + 1000)
        predicted = learner.predict(X_test)
        result |= {
            f"{name} accuracy": float((predicted == y_test).mean()),
            f"{name} agreement": float((predicted == given).mean()),
            f"{name} errors": float((predicted == given)[wrong].sum()),
            f"{name} answers": float((labels == answers)[rows].mean()),
            f"{name} right": float((labels == y)[rows].mean()) if base == "data" else float("nan"),
        }
    return result


STEPS: list[tuple[Callable[..., Run], tuple[str, ...]]] = [
    (clean, ()),
    *[(learn, (protocol, norm)) for protocol in PROTOCOLS for norm in NORMS],
    *[(relabel, (base,)) for base in BASES],
]
CODE = [
    inspect.getsource(part)
    for part in (Cnn, Mlp, network, trained, source_of, attack, under_attack, clean, learn, relabel)
]


def kept(function: Callable[..., Run], case: Case, arguments: tuple[str, ...]) -> Run:
    """The result, from the file where it was kept if it was computed before."""
    settings = [setting[case.data] for setting in (EPS, CHANNELS, EPOCHS, LEARNING_RATE)]
    name = digest(
        function.__name__, case, arguments, settings, CHANGED, MAX_ITER, N_SEARCHED, PROTOCOLS, CODE
    )
    result: Run = cached(FOLDER / f"{name}.pkl", lambda: function(case, *arguments))
    return result


class Results:
    """The runs of a data set, one for each seed: by network, function and arguments."""

    def __init__(self, data: str) -> None:
        self.data = data
        self.runs: dict[tuple[str, ...], list[Run]] = {}

    def add(self, case: Case, function: Callable[..., Run], arguments: tuple[str, ...], run: Run) -> None:
        self.runs.setdefault((case.net, function.__name__, *arguments), []).append(run)

    def of(self, key: str, *step: str) -> NDArray[np.float64]:
        return np.array([run[key] for run in self.runs[step]])

    @property
    def nets(self) -> list[str]:
        return list(dict.fromkeys(net for net, *_ in self.runs))


def cell(values: NDArray[np.float64]) -> str:
    spread = f" +- {values.std(ddof=1):.3f}" if len(values) > 1 else ""
    return f"{values.mean():.3f}{spread}"


def beside(data: str, of: str, column: str, paper: float | None, ours: NDArray[np.float64]) -> dict[str, str]:
    """A paper's figure: with the difference on its own data set, with that set's name beside the digits."""
    figure = "-" if paper is None else f"{paper:.2f}"
    if data == of:
        difference = "-" if paper is None else f"{ours.mean() - paper:+.3f}"
        return {column: figure, column.replace("paper", "difference"): difference}
    return {f"{column} ({of.upper().replace('CIFAR10', 'CIFAR-10')})": figure} if data == "digits" else {}


def protocols(results: Results) -> list[str]:
    """The table of protocols and norms, and what it says in short."""
    rows, above_control, random_first, below_chance = [], [], [], []
    for net in results.nets:
        for protocol in PROTOCOLS:
            for norm in NORMS:
                step = net, "learn", protocol, norm
                ours, control = results.of("accuracy", *step), results.of("control", *step[:3], "L2")
                above_control += list(ours > control)
                if ours.mean() < 0.1:
                    below_chance.append(f"{net} {protocol} {norm}")
                if protocol == "D":
                    random_first += list(results.of("accuracy", net, "learn", "R", norm) > ours)
                of = "mnist" if results.data == "digits" else results.data
                paper = PAPER.get(of, {}).get(protocol, {}).get(norm)
                rows.append(
                    {
                        "network": net,
                        "protocol": protocol,
                        "norm": norm,
                        "learner": cell(ours),
                        "control": cell(control),
                        "source": cell(results.of("accuracy", net, "clean")),
                        "source fooled": cell(results.of("fooled", *step)),
                        "values changed": f"{results.of('changed', *step).mean():.1f}",
                    }
                    | (beside(results.data, of, "paper", paper, ours) if of in PAPER else {})
                )
    budgets = ", ".join(f"{norm} {eps:g}" for norm, eps in EPS[results.data].items())
    return [
        "### Protocols and norms",
        paragraph(
            f"Accuracy on clean test images; eps: {budgets} ({ORIGIN[results.data]}), L0 {CHANGED:g} of the",
            "values of an image (ours).",
        ),
        table(rows),
        paragraph(
            f"The learner is above its control in {share(above_control)} runs; protocol R is above D, for",
            f"the same network, norm and seed, in {share(random_first)}. On average below chance (.1):",
            f"{', '.join(below_chance) or 'none'}.",
        ),
    ]


def robustness(results: Results) -> list[str]:
    """The table of accuracy under attack."""
    rows = []
    for net in results.nets:
        for name, step, paper in (
            ("D_rand (R, L2)", ("learn", "R", "L2"), ILYAS["R"]),
            ("D_det (D, L2)", ("learn", "D", "L2"), ILYAS["D"]),
            ("clean images (the source)", ("clean",), (None, None)),
        ):
            ours, attacked = (results.of(key, net, *step) for key in ("accuracy", "attacked"))
            rows.append(
                {"network": net, "trained on": name, "accuracy": cell(ours)}
                | beside(results.data, "cifar10", "paper", paper[0], ours)
                | {"under attack": cell(attacked)}
                | beside(results.data, "cifar10", "paper, under attack", paper[1], attacked)
            )
    return [
        "### Accuracy under attack",
        paragraph(
            f"PGD in L2, eps {EPS[results.data]['L2'] / 2:g}: half the budget that the learners' samples",
            "were moved with, as the .25 of Ilyas et al. is half of Kumano et al.'s .5 for CIFAR-10.",
        ),
        table(rows),
    ]


def paragraph(*sentences: str) -> str:
    """Sentences in lines of at most 109."""
    return textwrap.fill(" ".join(sentences), 109, break_long_words=False, break_on_hyphens=False)


def share(wins: list[Any]) -> str:
    return f"{sum(map(bool, wins))} of {len(wins)}"


def relabelled(results: Results) -> list[str]:
    """The table of the relabelling control, and what follows from it."""
    rows, lines = [], []
    for base in BASES:
        for net in results.nets:
            step = net, "relabel", base
            for name, content in SETS.items():
                right = results.of(f"{name} right", *step).mean()
                repeated = results.of(f"{name} errors", *step).sum()
                rows.append(
                    {
                        "base": base,
                        "network": net,
                        "trained on": f"({name}) {content}",
                        "labels the source gives": f"{results.of(f'{name} answers', *step).mean():.2f}",
                        "labels that are true": "-" if np.isnan(right) else f"{right:.2f}",
                        "accuracy": cell(results.of(f"{name} accuracy", *step)),
                        "agreement": cell(results.of(f"{name} agreement", *step)),
                        "its errors": f"{repeated:.0f} of {results.of('errors', *step).sum():.0f}",
                    }
                )
            eps, fooled, n = (results.of(key, *step).mean() for key in ("eps", "fooled", "n"))
            lines.append(f"{base}, {net}: eps {eps:.2f}, {fooled:.2f} fooled, {n:.0f} samples a row")
    return [
        "### Features or the source's answers?",
        paragraph(
            "A control of ours. Samples are moved in L2, by at most the median distance to the target class",
            f"(of the first {N_SEARCHED}, by FMN), so that about half fool the source ({'; '.join(lines)}).",
            "Then fresh learners train on equally many samples, as many as there are of (b):",
        ),
        table(rows),
        paragraph(
            "*Labels the source gives*: the share of labels that are the source's answer for the input they",
            "come with. *Agreement*: with the source's answers, on clean test images. *Its errors*: how many",
            "of the source's wrong answers there the learner gives too, over all seeds. (f) may fall below",
            "chance: no label of (b) is what the source sees in the input.",
        ),
        conclusion(results),
    ]


def conclusion(results: Results) -> str:
    """What follows from the relabelling control, and what does not."""

    def reach(base: str, name: str) -> str:
        means = [results.of(f"{name} accuracy", net, "relabel", base).mean() for net in results.nets]
        return ", ".join(f"{mean:.2f} ({net})" for mean, net in zip(means, results.nets, strict=True))

    def above(base: str, name: str, *nulls: str) -> list[Any]:
        wins: list[Any] = []
        for net in results.nets:
            ours, *others = (results.of(f"{k} accuracy", net, "relabel", base) for k in (name, *nulls))
            wins += list(np.all([ours > other for other in others], axis=0))
        return wins

    wins = {base: above(base, "b", "e", "f") for base in BASES}
    distilled = above("noise", "c", "e")
    return paragraph(
        "**What follows.** No label of (b) is an answer of the source, and learners of (b) are right on",
        "; ".join(f"{reach(base, 'b')} of the clean images with base {base}" for base in BASES) + ";",
        "above both nulls, (e) and (f), in",
        " and ".join(share(wins[base]) for base in BASES)
        + " runs"
        + (
            ": the perturbations teach something of the classes that a copy of the source's answers does not"
            " explain."
            if all(map(all, wins.values()))
            else ": not in all, so that nothing is said of every network and base."
        ),
        f"With noise, the source's answers alone, (c), teach {reach('noise', 'c')}, above (e) in",
        f"{share(distilled)} runs, and all targets, (a), {reach('noise', 'a')}"
        + (
            ": accuracy from all moved noise is by itself no proof of features, since answers teach without"
            " any perturbation."
            if all(distilled)
            else "."
        ),
        "**What does not.** This control is about answers: moving an input raises the source's score of the",
        "target before its answer changes, so that (b) may still teach a copy of its scores. With base data,",
        "(c) and (d) say nothing about distillation as far as their labels are true.",
    )


def write(all_results: dict[str, Results], train_size: int | None, n_seeds: int) -> None:
    missing = [name for name in EPS if name not in all_results]
    sections = [
        "# Learning from perturbations of images",
        inspect.cleandoc(__doc__ or ""),
        paragraph(
            "Networks of ours (those of the papers are not known to us): CNN, two convolutions and two",
            "linear layers; MLP, two hidden layers; Adam.",
            f"Attacks: PGD of {MAX_ITER} steps; in L0, for which the package has no attack, ART's",
            "`SaliencyMapMethod`: values are set to 1, two a step, until the source answers with the target",
            f"or {CHANGED:g} of them are changed. It ends there, where PGD goes on.",
            "*Source fooled*: the share of samples that the source gives their target.",
            "No paper has figures for the digits: those for MNIST and CIFAR-10 stand beside ours to compare",
            "the order, not the values. The figures of Kumano et al. are read off plots, +- .02. Ours are",
            "means +- standard deviations over seeds, which change the networks, the targets and, of digits",
            "and CIFAR-10, the split.",
        ),
    ]
    if train_size is not None:
        sections.append(f"Of the training images {train_size} were used.")
    if missing:
        sections += [
            paragraph(
                f"Run here, with {n_seeds} seeds: {', '.join(all_results)}. Not run here, since they must be",
                f"downloaded: {', '.join(missing)}. All of them:",
            ),
            f"    python benchmarks/perturbation_images.py --data {' '.join(EPS)}",
        ]
    for name, results in all_results.items():
        sections += [f"## {name}", *protocols(results), *robustness(results), *relabelled(results)]
    PAGE.write_text("\n\n".join(sections) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", nargs="+", choices=list(EPS), default=["digits"], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS), metavar="NET")
    parser.add_argument("--train-size", type=int, help="training images to use; all of them if not given")
    parser.add_argument("--device", default="cpu", help="where networks are trained and attacked")
    options = parser.parse_args()
    all_results: dict[str, Results] = {}
    with tqdm(total=len(options.data) * options.seeds * len(options.nets) * len(STEPS)) as bar:
        # a first seed of all before a second of any
        for seed in range(options.seeds):
            for data in options.data:
                results = all_results.setdefault(data, Results(data))
                for net in options.nets:
                    case = Case(data, net, seed, options.train_size, options.device)
                    bar.set_description(f"{data} {net}")
                    for function, arguments in STEPS:
                        results.add(case, function, arguments, kept(function, case, arguments))
                        bar.update()
            write(all_results, options.train_size, seed + 1)


if __name__ == "__main__":
    main()
