"""What the tools of `skhalfway.structure`, and the newer ones of `inspection`, come to on small networks.

    python benchmarks/structure.py

makes structure.md, in about a quarter of an hour. Published figures stand beside ours where there are any;
the rest has nothing to be compared with, and is here so that it can be made again. Data: scikit-learn's
digits, 1,000 of which train; the silhouettes of designs.py for convolutions. Seeds are 0, 1, ...
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from designs import animals, trained
from run import table
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import AdversarialGenerator
from skhalfway.inspection import forgetting_curve, initialization_influence, saddle_history
from skhalfway.structure import (
    ParityCoded,
    capacity_study,
    causal_structure,
    disentangle,
    kernel_templates,
    network_topology,
    robustness_radius,
)

X, Y = load_digits(return_X_y=True)
X = X / 16
X_TRAIN, Y_TRAIN, X_TEST, Y_TEST = X[:1000], Y[:1000], X[1000:], Y[1000:]
SEEDS = range(5)

# EI of one weight in bits, of 64 and of 8 bins: the data released with Mattsson, Michaud & Hoel 2020
RANGES = {"sigmoid": (0, 1), "tanh": (-1, 1), "relu": (0, 10)}
ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
PUBLISHED = {
    "sigmoid": {
        0.5: (2.94, 0),
        1: (3.78, 0.95),
        2: (4.38, 1.44),
        3: (4.35, 1.69),
        4: (4.29, 1.59),
        6: (3.63, 1.05),
        10: (2.50, 0.71),
        20: (1.39, 0.36),
    },
    "tanh": {0.5: (4.67, 1.94), 1: (5.20, 2.34), 2: (4.88, 2.31), 4: (3.76, 1.76), 10: (2.22, 1.22)},
    "relu": {0.5: (5, 2), 1: (6, 3), 2: (5, 2), 4: (4, 1), 10: (2.75, 0)},
}


def perceptron(seed: int, *hidden: int) -> Any:
    return MLPClassifier(hidden, max_iter=300, tol=1e-3, random_state=seed).fit(X_TRAIN, Y_TRAIN)


def topology() -> str:
    """Loops, and seconds for networks of as many neurons as the authors' larger one has."""
    rows = []
    for hidden in ((20, 20), (80, 80), (300, 100), (512, 512)):
        network = perceptron(0, *hidden)
        begin = time.perf_counter()
        found = network_topology(network)
        seconds = time.perf_counter() - begin
        rows.append(
            {
                "layers": "-".join(map(str, (*hidden, 10))),
                "neurons": str(sum(found.n_neurons)),
                "test accuracy": f"{network.score(X_TEST, Y_TEST):.2f}",
                "loops": str(found.n_loops),
                "hull area": f"{found.hull_area:.0f}",
                "seconds": f"{seconds:.1f}",
            }
        )
    return table(rows)


def causal() -> str:
    """Effective information of one weight, beside the published."""
    rows, off = [], []
    for activation, weights in PUBLISHED.items():
        for weight, published in weights.items():
            layer = nn.Linear(1, 1, bias=False)
            nn.init.constant_(layer.weight, weight)
            net = nn.Sequential(layer, ACTIVATIONS[activation]())
            ours = [
                causal_structure(
                    net, input_range=RANGES[activation], n_bins=n, n_samples=30_000, random_state=0
                ).information[0]
                for n in (64, 8)
            ]
            off += [abs(a - b) for a, b in zip(ours, published, strict=True)]
            row = {"activation": activation, "weight": f"{weight:g}"}
            for n, a, b in zip((64, 8), ours, published, strict=True):
                row |= {f"published, {n} bins": f"{b:.2f}", f"ours, {n} bins": f"{a:.2f}"}
            rows.append(row)
    far = sum(each > 0.03 for each in off)
    return f"{table(rows)}\n\nLargest difference {max(off):.3f} bit; {far} of {len(off)} above .03."


def parts() -> str:
    """Count the mistakes that go to classes with like parts."""
    rows = []
    for seed in SEEDS:
        network = perceptron(seed, 40, 40)
        found = disentangle(network, X_TEST, Y_TEST, random_state=seed)
        there, n = found.mistakes_to_similar(3)
        own = found.own.sum() / found.n_samples.sum()
        rows.append(
            {
                "seed": str(seed),
                "test accuracy": f"{network.score(X_TEST, Y_TEST):.2f}",
                "own class, by its part alone": f"{own:.2f}",
                "mistakes to the 3 most similar": f"{there} of {n}",
                "by chance": f"{n / 3:.0f}",
            }
        )
    return table(rows)


def parity() -> str:
    """How many bits may be lost, plain and coded."""
    rows = []
    for n in (3, 5, 7):
        bits = np.array([[i >> k & 1 for k in range(n)] for i in range(2**n)])
        coded = ParityCoded().fit(bits, bits.sum(axis=1) > n / 2)
        rows.append(
            {
                "data": f"majority of {n}",
                "distance, plain": f"{coded.plain_distance_:.2f}",
                "distance, coded": f"{coded.distance_:.2f}",
                "erasures survived by all, plain": str(radius(coded.estimator_, bits).min()),
                "erasures survived by all, coded": str(radius(coded, bits).min()),
                "mean, plain": f"{radius(coded.estimator_, bits).mean():.2f}",
                "mean, coded": f"{radius(coded, bits).mean():.2f}",
            }
        )
    return table(rows)


def radius(estimator: Any, bits: Any) -> Any:
    return robustness_radius(estimator, bits, kind="erasures")


def kernels() -> str:
    """Depthwise kernels of 7 x 7 before and after training on silhouettes."""
    rows, data = [], animals(0)
    for seed in range(3):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(1, 48, 2, stride=2),
            *(nn.Conv2d(48, 48, 7, padding=3, groups=48), nn.ReLU(), nn.Conv2d(48, 48, 1), nn.MaxPool2d(2)),
            *(nn.Conv2d(48, 48, 7, padding=3, groups=48), nn.ReLU(), nn.Conv2d(48, 48, 1), nn.MaxPool2d(2)),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(48, 10)),
        )
        before = kernel_templates(net, random_state=0)
        trained(net, data, seed, 300)
        after = kernel_templates(net, random_state=0)
        with torch.no_grad():
            right = (net(torch.from_numpy(data.X_test)).argmax(dim=1).numpy() == data.y_test).mean()
        rows.append(
            {
                "seed": str(seed),
                "test accuracy": f"{right:.2f}",
                "like a template, untrained": f"{before.share:.2f}",
                "trained": f"{after.share:.2f}",
                "white noise": f"{after.noise_share:.3f}",
            }
        )
    return table(rows)


def capacity() -> str:
    """Robustness by depth and shape, at three numbers of parameters."""
    study = capacity_study(
        X_TRAIN,
        Y_TRAIN,
        X_test=X_TEST,
        y_test=Y_TEST,
        n_parameters=[3000, 10_000, 30_000],
        depths=[1, 2, 4],
        ratios=[0.25, 1, 4],
        generator=AdversarialGenerator(eps=0.1, clip_values=(0, 1)),
        n_epochs=20,
        random_state=0,
    )
    return f"```\n{study}\n```"


def saddles() -> str:
    """Index of the Hessian along training."""
    rows = []
    for seed in SEEDS:
        net = MLPClassifier((15,), learning_rate_init=0.01, batch_size=100, random_state=seed)
        found = saddle_history(net, X_TRAIN[:300], Y_TRAIN[:300], n_epochs=30, every=5)
        index = found.index
        rows.append(
            {
                "seed": str(seed),
                "index, first and last": f"{index[0]:.2f}, {index[-1]:.2f}",
                "rank correlation of index and loss": f"{found.rank_correlation:.2f}",
            }
        )
    return table(rows)


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def forgetting() -> str:
    """Three tasks: digits, and digits whose pixels are in two other orders."""
    orders = [np.arange(64), *(np.random.RandomState(i).permutation(64) for i in (1, 2))]
    tasks = [
        (X_TRAIN[:, o].astype("float32"), Y_TRAIN, X_TEST[:, o].astype("float32"), Y_TEST) for o in orders
    ]
    net = NeuralNetClassifier(
        Perceptron,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.003,
        batch_size=64,
        train_split=None,
        verbose=0,
    )
    methods = ["rehearsal", "ewc", "hard_attention"]
    curve = forgetting_curve(net, tasks, method=methods, n_epochs=10, n_repeats=5, random_state=0)
    ratios = curve.forgetting
    rows = [
        {"method": name, "after 2 tasks": f"{ratio[1].mean():.2f}", "after 3 tasks": f"{ratio[2].mean():.2f}"}
        for name, ratio in ratios.items()
    ]
    return f"{table(rows)}\n\n```\n{curve}\n```"


def pretraining() -> str:
    """Networks with and without pre-training at equal training losses, ten seeds."""
    parts = []
    for n in (10, 100):
        found = initialization_influence(
            MLPClassifier((n,), learning_rate_init=0.005, batch_size=50, max_iter=40),
            X_TRAIN[:200],
            Y_TRAIN[:200],
            X_test=X_TEST,
            y_test=Y_TEST,
            pretraining="autoencoder",
            n_repeats=10,
            random_state=0,
        )
        parts.append(f"{n} hidden units:\n\n```\n{found.pretraining.differences}\n{found}\n```")
    return "\n\n".join(parts)


SECTIONS: dict[str, tuple[str, Callable[[], str]]] = {
    "Loops (network_topology)": (
        """Perceptrons on digits. The authors' networks have 410 and 1,034 neurons without the inputs, as the
last two here.""",
        topology,
    ),
    "Effective information (causal_structure)": (
        """One weight, 30,000 samples, in bits. The published figures are from the data released with
Mattsson, Michaud & Hoel (2020).""",
        causal,
    ),
    "Parts of classes (disentangle)": (
        """Perceptrons 64-40-40-10. Hu et al. (2021) say that misclassified images are likely to go to like
parts; their figures are not public to us.""",
        parts,
    ),
    "Bits that may be lost (ParityCoded)": ("All inputs of a majority; exact.", parity),
    "Depthwise kernels (kernel_templates)": (
        """Two depthwise layers of 48 kernels, on silhouettes of animals, 300 steps. Babaiee et al. (2024)
classified over 90 % of the kernels of large trained networks; ours are small, and few steps were taken.""",
        kernels,
    ),
    "Depth and shape (capacity_study)": (
        """Adversarial training on digits, eps .1 in L-inf. Huang et al. (2021) found in wide residual
networks that less capacity in the last stage helps.""",
        capacity,
    ),
    "Saddles along training (saddle_history)": (
        """64-15-10 on 300 digits. Dauphin et al. (2014) say of critical points that their index grows with
the loss. No values are public; the sign can be compared, though weights on the way are not critical
points.""",
        saddles,
    ),
    "Forgetting (forgetting_curve)": (
        """Forgetting ratios, 0 as joint training and -1 as chance; five repeats. Recalled of Serra et al.
(2018), on other data: HAT -.02 and -.06 after 2 and 8 tasks, EWC -.08 and -.25, SGD -.20 and -.66. Hard
attention is told the task, the others are not.""",
        forgetting,
    ),
    "Pre-training (initialization_influence)": (
        """200 digits, one hidden layer. Negative differences of test loss favour pre-training. Erhan et al.
(2010) say that it regularises; small networks are recalled to be hurt.""",
        pretraining,
    ),
}


def main() -> None:
    pages = ["# Structure: what the tools come to", (__doc__ or "").split("\n\n", 1)[1].strip()]
    for title, (text, make) in SECTIONS.items():
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of networks that were not trained to the end
            pages += [f"## {title}", text, make()]
        print(f"{title}: {time.perf_counter() - begin:.0f} s", flush=True)
        Path(__file__).with_suffix(".md").write_text("\n\n".join(pages) + "\n")


if __name__ == "__main__":
    main()
