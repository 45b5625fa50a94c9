"""Which samples codes find unusual: adversarial ones, shifted ones, and those with noise of the same size.

    python benchmarks/novelty.py

writes novelty.md. A follow-up of Lee & Vijayan is said (second hand) to flag adversarial and out-of-
distribution inputs by internal codes; its method is not public to us. Here: networks of three designs
(designs.py) on digits and on silhouettes of animals, three seeds each, and what tells samples of a kind from
clean test samples, as the area under the ROC curve over 120 of each.

Kinds: "adversarial", PGD in L-inf at the data's budget; "nearest", the smallest L2 change that fools the
network (fmn), which changes far less; "shifted", test images turned by a quarter; "photographs", patches of
scikit-learn's sample photographs in grey, of which no network knows anything. For the first two, "noise":
each sample moved in a random direction by the length of its own perturbation, in L2.

Detectors: "novelty", `CodeMap.novelty`, mean over layers, "flatten" pooling, all else by default; the same
of the first and of the last layer alone; "confidence", one less the largest probability; "neighbours", the
mean distance to the five nearest training samples of the predicted class in the last hidden layer's
activations.

Fixed before the first run: all of the above, and the claims
1. novelty finds adversarial samples better than it finds noise of their size (area larger on every data
   set);
2. novelty finds shifted samples better than chance (lower end of the interval over runs above .5);
3. neighbours, which see the activations themselves, find each kind at least as well as novelty does.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from designs import Data, animals, designs, digits, trained
from numpy.typing import NDArray
from run import table
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from skhalfway import AdversarialGenerator
from skhalfway._intervals import SHARE, t_interval
from skhalfway.codes import CodeMap
from skhalfway.codes._drift import moved_as_far

DATA = {"digits": (digits, 400), "animals": (animals, 500)}  # and steps of training
NETWORKS, SEEDS = ("mlp", "resnet", "vgg"), (0, 1, 2)
KINDS = ("adversarial", "adversarial's noise", "nearest", "nearest's noise", "shifted", "photographs")
DETECTORS = ("novelty", "novelty, first layer", "novelty, last layer", "confidence", "neighbours")
Array = NDArray[Any]


def photographs(shape: tuple[int, ...], n: int, seed: int) -> Array:
    """Patches in grey, of the shape of the data's images."""
    image = load_sample_images().images[seed % 2].mean(axis=2) / 255
    found = extract_patches_2d(image, shape[1:], max_patches=n, random_state=seed)
    return found[:, None].astype(np.float32)


def samples(module: Any, data: Data, seed: int) -> dict[str, Array]:
    """Samples of each kind."""
    X, y, found = data.X_test, data.y_test, {}
    params = {"clip_values": data.clip_values, "random_state": seed}
    attacks = {
        "adversarial": AdversarialGenerator(module, eps=data.eps, **params),
        "nearest": AdversarialGenerator(module, attack="fmn", norm=2, eps=100.0, **params),
    }
    for name, generator in attacks.items():
        found[name] = np.asarray(generator.fit(data.X_train).generate(X, y), dtype=np.float32)
        noisy = moved_as_far(X, found[name], np.random.RandomState(seed))[1]
        found[f"{name}'s noise"] = noisy.astype(np.float32)
    found["shifted"] = np.ascontiguousarray(np.rot90(X, axes=(2, 3)))
    found["photographs"] = photographs(X.shape[1:], len(X), seed)
    return found


class Judge:
    """All detectors of one network."""

    def __init__(self, module: Any, data: Data, seed: int) -> None:
        self._module = module
        self._codes = CodeMap(module, pooling="flatten", random_state=seed).fit(data.X_train)
        self._hidden = self._codes.layers_[-2]
        said = self._activations(data.X_train)
        predicted = self._probabilities(data.X_train).argmax(axis=1)
        self._near = {
            label: NearestNeighbors(n_neighbors=5).fit(said[predicted == label])
            for label in np.unique(predicted)
            if (predicted == label).sum() >= 5
        }

    def _activations(self, X: Array) -> Array:
        encoder = self._codes._encoder
        return np.concatenate([batch[self._hidden] for batch in encoder.activations(X)])

    def _probabilities(self, X: Array) -> Array:
        with torch.no_grad():
            return np.asarray(self._module(torch.from_numpy(X)).softmax(dim=1))

    def scores(self, X: Array) -> dict[str, Array]:
        far, probabilities, said = self._codes.novelty(X), self._probabilities(X), self._activations(X)
        distances = np.full(len(X), np.inf)
        for label, near in self._near.items():
            rows = probabilities.argmax(axis=1) == label
            if rows.any():
                distances[rows] = near.kneighbors(said[rows])[0].mean(axis=1)
        found = far.mean(axis=1), far[:, 0], far[:, -1], 1 - probabilities.max(axis=1), distances
        return {name: np.minimum(each, 1e30) for name, each in zip(DETECTORS, found, strict=True)}


def areas() -> dict[tuple[str, str, str], list[float]]:
    """Area by data set, kind and detector, one for each network and seed."""
    result: dict[tuple[str, str, str], list[float]] = {}
    for name, (load, n_steps) in DATA.items():
        for seed in SEEDS:
            data = load(seed)
            for network in NETWORKS:
                torch.manual_seed(seed)
                module = trained(designs(data)[network](), data, seed, n_steps)
                judge = Judge(module, data, seed)
                usual = judge.scores(data.X_test)
                truth = np.repeat([0, 1], len(data.X_test))
                for kind, X in samples(module, data, seed).items():
                    for detector, unusual in judge.scores(X).items():
                        area = roc_auc_score(truth, np.concatenate([usual[detector], unusual]))
                        result.setdefault((name, kind, detector), []).append(float(area))
                print(name, seed, network, flush=True)
    return result


def cell(values: list[float]) -> str:
    array = np.array(values)
    low, high = t_interval(array[None], limits=SHARE)
    return f"{array.mean():.2f} [{low[0]:.2f} {high[0]:.2f}]"


def claims(found: dict[tuple[str, str, str], list[float]]) -> str:
    def mean(*key: str) -> float:
        return float(np.mean(found[key]))

    first = all(mean(d, "adversarial", "novelty") > mean(d, "adversarial's noise", "novelty") for d in DATA)
    shifted = np.concatenate([found[d, "shifted", "novelty"] for d in DATA])
    second = t_interval(shifted[None], limits=SHARE).low[0] > 0.5
    third = all(mean(d, kind, "neighbours") >= mean(d, kind, "novelty") for d in DATA for kind in KINDS)
    lines = zip(
        (
            "Novelty finds adversarial samples better than noise of their size, on both data sets",
            "Novelty finds shifted samples better than chance",
            "Neighbours find each kind, on both data sets, at least as well",
        ),
        (first, second, third),
        strict=True,
    )
    return "\n".join(
        f"{i}. {text}: **{'held' if ok else 'failed'}**." for i, (text, ok) in enumerate(lines, 1)
    )


def main() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of coarse maps, and of samples that were not fooled
        found = areas()
    parts = ["# Novelty: which samples codes find unusual", (__doc__ or "").split("\n\n", 1)[1].strip()]
    parts += ["## The claims", claims(found)]
    for name in DATA:
        rows = [
            {"kind": kind} | {detector: cell(found[name, kind, detector]) for detector in DETECTORS}
            for kind in KINDS
        ]
        n = len(found[name, KINDS[0], DETECTORS[0]])
        parts += [f"## {name}: area under the curve, mean of {n} networks [95 %]", table(rows)]
    Path(__file__).with_suffix(".md").write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
