"""Whether what perturbations teach transfers between a source, its learners and clean networks.

Two networks of a kind, *source* and *clean*, are trained on the same samples from different random starts.
A *learner* (skhalfway.perturbation.PerturbationLearner) is trained on adversarial samples that were made on
the source, with the labels they were moved to: any other class (R), the next class (D), or noise moved to
random classes (noise). Its *stranger* is trained on adversarial samples that were made on the clean network
instead: of the same samples, towards the same targets, from the same random start, so that the two differ
in nothing but the network that the perturbations come from. Its *twin* is trained on the learner's own
adversarial samples, from another random start. The clean network is as good a source as the other: in each
seed everything is measured a second time with the two exchanged, and averaged. So a stranger is a learner
too, and how strong a source is, or how weak a target, is the same on both sides of "its own or another's".

    python benchmarks/perturbation_transfer.py [--seeds 10]

Each run is kept in benchmarks/.cache/perturbation_transfer/; what was interrupted goes on where it was.
"""

from __future__ import annotations

import argparse
import inspect
import json
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import skorch
import torch
from numpy.typing import NDArray
from run import table
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn
from tqdm.auto import tqdm
from zoo import CACHE, digest, load

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway.perturbation import PerturbationLearner

N_TRAIN, N_TEST, N_PAIRS, N_STEPS = 1000, 600, 500, 20
# L-inf budgets that learners learn from and that transfer is measured at, and where features end; chosen on
# a split (100) that is none of the seeds
BUDGETS: dict[str, dict[str, Any]] = {
    "digits": {"learned": 0.3, "measured": 0.1, "clip_values": (0, 1)},
    "gaussians": {"learned": 1.0, "measured": 0.4, "clip_values": None},
}
SETTINGS = (("digits", "MLP"), ("digits", "CNN"), ("gaussians", "MLP"), ("gaussians", "deeper MLP"))
PROTOCOLS: dict[str, dict[str, Any]] = {
    "R": {"labels": "random"},
    "D": {"labels": "next"},
    "noise": {"base": "noise"},
}
PAGE = Path(__file__).with_suffix(".md")
FOLDER = CACHE / "perturbation_transfer"
Result = dict[str, Any]
Results = dict[tuple[str, str], list[Result]]
Model = tuple[str, str]  # role and protocol
SOURCE, CLEAN = ("source", ""), ("clean", "")
VERDICTS = ("more", "less", "undecided")


class SmallCNN(nn.Module):
    """Two convolutions on images of 8 x 8, which come as rows."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),
            nn.Conv2d(1, 8, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(256, 10),
        )

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return self.layers(X)


def untrained(family: str) -> Any:
    if family == "CNN":
        return NeuralNetClassifier(
            SmallCNN,
            criterion=nn.CrossEntropyLoss,
            optimizer=torch.optim.Adam,
            lr=0.005,
            max_epochs=20,
            batch_size=128,
            iterator_train__shuffle=True,
            train_split=None,
            verbose=0,
        )
    sizes = (64,) if family == "MLP" else (64, 64)
    return MLPClassifier(sizes, learning_rate_init=0.003, max_iter=60, n_iter_no_change=60, tol=0)


@dataclass(frozen=True)
class Question:
    """A figure of one (source, target), less that of another; roles, all learners of one protocol."""

    words: str
    kind: str
    these: tuple[str, str]
    those: tuple[str, str]

    @property
    def short(self) -> str:
        if self.kind == "agreement":
            return "agreement: {}, {} less {}, {}".format(*self.these, *self.those)
        return "{} > {} less {} > {}".format(*self.these, *self.those)


QUESTIONS = (
    Question(
        "Do samples made on the source fool its learner more often than a clean network?",
        "fooled",
        ("source", "learner"),
        ("source", "clean"),
    ),
    Question(
        "Do they fool any learner more often than a clean network: that of another source?",
        "fooled",
        ("source", "stranger"),
        ("source", "clean"),
    ),
    Question(
        "Do they fool the source's own learner more often than that of another source?",
        "fooled",
        ("source", "learner"),
        ("source", "stranger"),
    ),
    Question(
        "Do samples made on a learner fool its source more often than those made on a clean network?",
        "fooled",
        ("learner", "source"),
        ("clean", "source"),
    ),
    Question(
        "Do samples made on a learner fool its own source more often than those made on another's learner?",
        "fooled",
        ("learner", "source"),
        ("stranger", "source"),
    ),
    Question(
        "Do two learners of one source fool each other more often than two of different sources?",
        "fooled",
        ("learner", "twin"),
        ("stranger", "twin"),
    ),
    Question(
        "Are the boundaries of source and learner more alike than those of source and clean network?",
        "agreement",
        ("source", "learner"),
        ("source", "clean"),
    ),
    Question(
        "Is the boundary of the source more like that of its own learner than like that of another's?",
        "agreement",
        ("source", "learner"),
        ("source", "stranger"),
    ),
    Question(
        "Are the boundaries of two learners of one source more alike than those of different sources?",
        "agreement",
        ("learner", "twin"),
        ("stranger", "twin"),
    ),
)


def name_of(model: Model, own: str) -> str:
    """What a role falls to if ``own``, A or B, is the source."""
    role, protocol = model
    other = "B" if own == "A" else "A"
    if not protocol:
        return own if role == "source" else other
    suffix = ", twin" if role == "twin" else ""
    return f"{protocol} of {other if role == 'stranger' else own}{suffix}"


def in_protocol(role: str, protocol: str) -> Model:
    return role, "" if role in ("source", "clean") else protocol


def samples(data: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """All there are of a data set of the zoo."""
    halves = load(data)
    X = np.concatenate([halves.X_train, halves.X_test]).astype(np.float32)
    return X, np.concatenate([halves.y_train, halves.y_test])


def trained(estimator: Any, X: NDArray[Any], y: NDArray[Any], seed: int) -> Any:
    """A clone, fitted from the random start that the seed gives."""
    fresh = clone(estimator)
    if "random_state" in fresh.get_params():
        return fresh.set_params(random_state=seed).fit(X, y)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return fresh.fit(X, y)


def measured(
    models: dict[str, Any], X: NDArray[Any], y: NDArray[Any], attack: AdversarialGenerator
) -> Result:
    """Counts of transfer and halfway agreement of all with all."""
    # skorch predicts sample by sample, the module it trained does not
    models = {name: getattr(model, "module_", model) for name, model in models.items()}
    matrix = TransferScorer(attack, condition="both_correct", random_state=0).fit(models).transfer(X, y)
    halfway = HalfwayScorer(n_pairs=N_PAIRS, random_state=0).fit(models).measure(X, y)
    return {
        "names": list(models),
        "n_samples": len(X),
        "eligible": matrix.eligible.tolist(),
        "fooled": matrix.fooled.tolist(),
        "noise_fooled": matrix.noise_fooled.tolist(),
        "agreement": halfway.agreement.tolist(),
    }


def experiment(data: str, family: str, seed: int) -> Result:
    """Train all models of a seed; measure them on held-out samples, and on those that all get right."""
    estimator, budget = untrained(family), BUDGETS[data]
    whole, labels = samples(data)
    X_train, X, y_train, y = train_test_split(
        whole, labels, train_size=N_TRAIN, test_size=N_TEST, stratify=labels, random_state=seed
    )

    def attack(eps: float) -> AdversarialGenerator:
        return AdversarialGenerator(
            attack="pgd", eps=eps, max_iter=N_STEPS, clip_values=budget["clip_values"]
        )

    starts = np.random.RandomState(seed).randint(2**31 - 1, size=4).tolist()
    models = {
        name: trained(estimator, X_train, y_train, start)
        for name, start in zip("AB", starts[:2], strict=True)
    }
    controls, rates = {}, {}
    for own in "AB":
        for protocol, settings in PROTOCOLS.items():
            learner = PerturbationLearner(
                estimator,
                attack(budget["learned"]),
                source=FrozenEstimator(models[own]),
                random_state=starts[2],
                **settings,
            ).fit(X_train, y_train)
            name, twin = (name_of((role, protocol), own) for role in ("learner", "twin"))
            models[name] = learner.learner_
            models[twin] = trained(estimator, learner.X_perturbed_, learner.y_assigned_, starts[3])
            controls[name] = learner.control_score(X, y)
            rates[name] = learner.fooling_rate_
    right = {name: model.predict(X) == y for name, model in models.items()}
    shared = {}
    for protocol in PROTOCOLS:
        few = {name: model for name, model in models.items() if name in "AB" or name.startswith(protocol)}
        all_right = np.all([right[name] for name in few], axis=0)
        shared[protocol] = measured(few, X[all_right], y[all_right], attack(budget["measured"]))
    return {
        "all": measured(models, X, y, attack(budget["measured"])),
        "shared": shared,
        "accuracy": {name: float(hits.mean()) for name, hits in right.items()},
        "control": controls,
        "fooling rate": rates,
    }


# read at once: the file may change while this runs
CODE = [inspect.getsource(f) for f in (SmallCNN, untrained, samples, trained, measured, experiment, name_of)]


def kept(data: str, family: str, seed: int) -> Result:
    """The result, from the file where it was kept if it was computed before."""
    versions = [module.__version__ for module in (np, sklearn, skorch, torch)]
    settings = [BUDGETS[data], PROTOCOLS, N_TRAIN, N_TEST, N_PAIRS, N_STEPS]
    path = FOLDER / f"{digest(*samples(data), family, seed, *settings, *CODE, *versions)}.json"
    if not path.exists():
        part = path.with_suffix(".part")
        part.write_text(json.dumps(experiment(data, family, seed)))
        part.replace(path)
    return json.loads(path.read_text())


def entries(part: Result, matrix: str, these: tuple[Model, Model]) -> NDArray[np.float64]:
    """Of a (source, target), with A as the source and with B."""
    rows = [[part["names"].index(name_of(model, own)) for model in these] for own in "AB"]
    return np.array([part[matrix][i][j] for i, j in rows], dtype=float)


def figure(part: Result, kind: str, these: tuple[Model, Model]) -> float:
    """Mean of both directions; the kind is agreement, or what is counted."""
    if kind == "agreement":
        return float(entries(part, kind, these).mean())
    return float((entries(part, kind, these) / entries(part, "eligible", these)).mean())


def differences(results: list[Result], question: Question, protocol: str, which: str) -> NDArray[np.float64]:
    """Of each seed, over all samples or the shared ones."""
    parts = [result["all"] if which == "all" else result["shared"][protocol] for result in results]

    def figures(roles: tuple[str, str]) -> NDArray[np.float64]:
        source, target = (in_protocol(role, protocol) for role in roles)
        return np.array([figure(part, question.kind, (source, target)) for part in parts])

    return figures(question.these) - figures(question.those)


def interval(values: NDArray[np.float64]) -> tuple[float, float]:
    """Student's 95 % interval of the mean over seeds; unbounded for one seed."""
    if len(values) < 2:
        return -np.inf, np.inf
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean() - half), float(values.mean() + half)


def with_interval(values: NDArray[np.float64], sign: str = "") -> str:
    low, high = interval(values)
    return f"{values.mean():{sign}.2f} [{low:{sign}.2f} {high:{sign}.2f}]"


def verdict(values: NDArray[np.float64]) -> str:
    low, high = interval(values)
    return "more" if low > 0 else "less" if high < 0 else "undecided"


def answer(results: Results, question: Question) -> str:
    """What the numbers say of a question: over all samples case by case, and over the shared ones."""
    sentences = []
    for which in ("all", "shared"):
        cases = {
            f"{', '.join(setting)}, {protocol}": differences(runs, question, protocol, which)
            for setting, runs in results.items()
            for protocol in PROTOCOLS
        }
        found = {word: [case for case in cases if verdict(cases[case]) == word] for word in VERDICTS}
        means, runs = [values.mean() for values in cases.values()], np.concatenate(list(cases.values()))
        every = next((word for word in VERDICTS if len(found[word]) == len(cases)), None)
        in_words = (
            f"{every} in all {len(cases)} cases"
            if every
            else ", ".join(f"{word} in {len(found[word])}" for word in VERDICTS if found[word])
        )
        range_ = f"{min(means):+.2f} to {max(means):+.2f}; above 0 in {(runs > 0).sum()} of {len(runs)} runs"
        if which == "shared":
            sentences.append(f"On the shared samples: {in_words} ({range_}).")
            continue
        if every:
            answered = {"more": "Yes", "less": "No, the other way round"}.get(every, "Undecided")
        elif found["more"] and found["less"]:
            answered = "Not in general"
        else:
            answered = f"Where it is decided, {'yes' if found['more'] else 'no, the other way round'}"
        sentences.append(f"**{question.words}** {answered}: {in_words} ({range_}).")
        if not every:
            rare = sorted((word for word in VERDICTS if found[word]), key=lambda word: len(found[word]))[:-1]
            sentences += [f"{word.capitalize()}: {'; '.join(found[word])}." for word in rare]
    return " ".join(sentences)


def in_short(results: Results) -> str:
    """The answers in a paragraph: numbers of runs, and how easy a target is."""

    def more(number: int) -> str:
        runs = [
            differences(runs, QUESTIONS[number - 1], protocol, "all")
            for runs in results.values()
            for protocol in PROTOCOLS
        ]
        return f"{(np.concatenate(runs) > 0).sum()} of {sum(map(len, runs))} runs"

    def span(kind: str, source: str, target: str) -> str:
        protocols = PROTOCOLS if target == "learner" else ("",)
        means = [
            np.mean([figure(run["all"], kind, ((source, protocol), (target, protocol))) for run in runs])
            for runs in results.values()
            for protocol in protocols
        ]
        return f"{min(means):.2f} to {max(means):.2f}"

    return (
        "In short, a run being a seed of a case: samples made on a source fool its own learner more often "
        f"than that of another source in {more(3)}, and samples made on a learner fool its own source more "
        f"often than those made on another's learner in {more(5)}. Samples made on a source fool its learner "
        f"more often than a clean network in {more(1)}, and the learner of another source more often than a "
        f"clean network in {more(2)}; learners are fooled by samples made on themselves at rates of "
        f"{span('fooled', 'learner', 'learner')}, sources at {span('fooled', 'source', 'source')}, and by "
        f"noise of the same size at {span('noise_fooled', 'learner', 'learner')} and "
        f"{span('noise_fooled', 'source', 'source')}. Samples made on a learner fool its source more "
        f"often than those made on a clean network in {more(4)}. The boundaries of source and learner are "
        f"more alike than those of source and clean network in {more(7)}, and than those of source and "
        f"another's learner in {more(8)}."
    )


def question_rows(results: Results, which: str) -> list[dict[str, str]]:
    rows = []
    for number, question in enumerate(QUESTIONS, 1):
        for protocol in PROTOCOLS:
            row = {"question": f"{number}. {question.short}", "protocol": protocol}
            for setting, runs in results.items():
                values = differences(runs, question, protocol, which)
                more = f"{(values > 0).sum()}/{len(values)}"
                row[", ".join(setting)] = f"{with_interval(values, '+')} {more}"
            rows.append(row)
    return rows


def accuracy_rows(results: dict[tuple[str, str], list[Result]]) -> list[dict[str, str]]:
    def mean(runs: list[Result], key: str, model: Model) -> str:
        return f"{np.mean([run[key][name_of(model, own)] for run in runs for own in 'AB']):.2f}"

    rows = []
    for setting, runs in results.items():
        row = {"setting": ", ".join(setting), "source": mean(runs, "accuracy", SOURCE)}
        for protocol in PROTOCOLS:
            learner = ("learner", protocol)
            shared = np.mean([run["shared"][protocol]["n_samples"] for run in runs])
            row |= {
                f"{protocol}: source fooled": mean(runs, "fooling rate", learner),
                f"{protocol}: learner": mean(runs, "accuracy", learner),
                f"{protocol}: control": mean(runs, "control", learner),
                f"{protocol}: shared samples": f"{shared:.0f}",
            }
        rows.append(row)
    return rows


def matrix_rows(runs: list[Result]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Transfer and agreement; targets in rows."""
    parts = [run["all"] for run in runs]
    learners = [("learner", protocol) for protocol in PROTOCOLS]
    others = [(role, protocol) for role in ("stranger", "twin") for protocol in PROTOCOLS]
    transfer, agreement = [], []

    def values(kind: str, these: tuple[Model, Model]) -> str:
        return with_interval(np.array([figure(part, kind, these) for part in parts]))

    for target in [SOURCE, CLEAN, *learners, *others]:
        title = {"target": " ".join(target).strip()}
        row = {
            "attacked itself": values("fooled", (target, target)),
            "noise": values("noise_fooled", (SOURCE, target)),
        }
        near = dict(title)
        for source in [SOURCE, *learners]:
            head = f"made on {' '.join(source).strip()}"
            if source == target:
                row[head] = near[" ".join(source).strip()] = ""
                continue
            pair = source, target
            fooled, eligible = (
                sum(entries(part, matrix, pair).sum() for part in parts) for matrix in ("fooled", "eligible")
            )
            row[head] = f"{values('fooled', pair)} {fooled:.0f}/{eligible:.0f}"
            near[" ".join(source).strip()] = values("agreement", pair)
        transfer.append(title | row)
        agreement.append(near)
    return transfer, agreement


def wrapped(text: str, indent: str = "") -> str:
    """Lines of at most 108 characters; those that are shorter stay."""
    lines = (textwrap.fill(line, 108, subsequent_indent=indent) for line in text.splitlines())
    return "\n".join(lines)


def page(results: Results) -> str:
    n_seeds = min(map(len, results.values()))
    budgets = "; ".join(
        f"{name}: learned from {budget['learned']}, measured at {budget['measured']}"
        for name, budget in BUDGETS.items()
    )
    sections = [
        "# Does what perturbations teach transfer?",
        (__doc__ or "").strip(),
        f"{n_seeds} seeds; in each, {N_TRAIN} training and {N_TEST} held-out samples are drawn anew from "
        "digits (8 x 8, ten classes) or the Gaussians of zoo.py (ten features, four classes). Attacks are "
        f"PGD in L-inf, {N_STEPS} steps ({budgets}). A transfer rate (TransferScorer) is counted on the "
        "held-out samples that both models classify right. Agreement (HalfwayScorer; our own formalisation) "
        f"is the rank correlation of the crossings of two models on {N_PAIRS} paths between held-out "
        "samples. A learner is often wrong, and the samples that count with it are easier than those that "
        "count between source and clean network: so all is measured again on the *shared* samples, those "
        "that source, clean network, and both learners and both twins of a protocol classify right.",
        "Each figure is computed for each seed. Numbers are means over seeds and, in brackets, Student's "
        "95 % interval of that mean, not corrected for the number of questions. Since the seeds split the "
        "same data sets, it covers the draw of samples and random starts, and not other data; and the "
        "protocols of a seed share source and clean network, so their runs are not independent. A case is a "
        "setting with a protocol; it is *more* (*less*) where the interval lies above (below) 0, else "
        "*undecided*.",
        "## Answers",
        in_short(results),
        "\n".join(
            wrapped(f"{number}. {answer(results, question)}", "   ")
            for number, question in enumerate(QUESTIONS, 1)
        ),
        "## Differences within a seed",
        "*a > b* is the rate at which samples made on a fool b. After the interval: in how many seeds the "
        "difference is above 0. How easily a learner is fooled, by whatever, is part of 1 and 2; in 3, 5, "
        "6, 8 and 9 the same models are on both sides, paired differently.",
        table(question_rows(results, "all")),
        "The same on the shared samples:",
        table(question_rows(results, "shared")),
        "## Accuracy",
        "On held-out samples. *Source fooled*: share of the learner's training samples that the source gives "
        "their target; *control*: trained on the same samples and targets without the perturbations; *shared "
        "samples*: how many there are.",
        table(accuracy_rows(results)),
        "## Transfer rates and agreement",
        "After the interval: samples fooled and samples that count, of all seeds and both directions. "
        "*Attacked itself* is the rate of samples made on the target itself; *noise* that of random signs of "
        "the same size, on the samples that count with the source: what fools a target anyway. A learner of "
        "another protocol has the same source.",
    ]
    for setting, runs in results.items():
        transfer, agreement = matrix_rows(runs)
        sections += [f"### {', '.join(setting)}", table(transfer), "Agreement:", table(agreement)]
    # tables and code keep their lines
    return "\n\n".join(part if part[0] in "|#" else wrapped(part) for part in sections) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore", ConvergenceWarning)  # sixty epochs are enough here
    results: Results = {setting: [] for setting in SETTINGS}
    for seed, setting in tqdm([(seed, setting) for seed in range(options.seeds) for setting in SETTINGS]):
        results[setting].append(kept(*setting, seed))
    PAGE.write_text(page(results))


if __name__ == "__main__":
    main()
