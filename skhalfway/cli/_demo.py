"""``skhalfway demo``: which of eight classifiers of digits are fooled by the same adversarial examples."""

from __future__ import annotations

import time
from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skhalfway.cli._parser import PASSED, check_writable, positive, whole

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_IMAGES, N_DIGITS, N_TRAIN = 1797, 10, 1000

LEGEND = """\
Row: the source, the model that is attacked. Column: the target, the model that the samples are tried on.
Cell: share of the samples that fool the target, of those that both models classify correctly [95 % interval].
In brackets, on the diagonal: how often the attack fools the model that it was made on."""


def untrained_models(seed: int = 0) -> dict[str, Any]:
    """Eight classifiers of different kinds for 8 x 8 digits, of scikit-learn, skorch and torch."""
    import torch
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC, LinearSVC
    from skorch import NeuralNetClassifier
    from torch import nn

    torch.manual_seed(seed)
    net = NeuralNetClassifier(
        nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        max_epochs=40,
        batch_size=64,
        verbose=0,
    )
    cnn = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    return {
        "logistic": LogisticRegression(max_iter=1000),
        "linear svm": LinearSVC(random_state=seed),
        "rbf svm": SVC(),
        "mlp": MLPClassifier((100,), max_iter=500, random_state=seed),
        "skorch net": net,
        "torch cnn": cnn,
        "forest": RandomForestClassifier(50, random_state=seed),
        "5-nn": KNeighborsClassifier(),
    }


def train(model: Any, X: NDArray[Any], y: NDArray[Any], *, n_epochs: int = 40, seed: int = 0) -> Any:
    """Fit a scikit-learn or skorch classifier; train a torch module with Adam."""
    import numpy as np
    import torch

    if not isinstance(model, torch.nn.Module):
        # skorch nets take float32 only
        return model.fit(X if type(model).__module__.startswith("sklearn.") else X.astype(np.float32), y)
    inputs, labels = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n_epochs):
        for batch in torch.randperm(len(inputs), generator=generator).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs[batch]), labels[batch]).backward()
            optimizer.step()
    return model.eval()


def demo(output: Path, *, eps: float = 0.15, n_samples: int = 100, seed: int = 0) -> None:
    """Train, attack, print the results, and write the heat map to ``output``."""
    import matplotlib

    matplotlib.use("agg")
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split
    from tqdm.auto import tqdm

    from skhalfway import AdversarialGenerator, TransferScorer
    from skhalfway._text import between, short

    start = time.perf_counter()
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, train_size=N_TRAIN, test_size=n_samples, stratify=y, random_state=seed
    )
    models = untrained_models(seed)
    for name in (bar := tqdm(models, desc="train", unit="model")):
        bar.set_postfix_str(name)
        train(models[name], X_train, y_train, seed=seed)

    generator = AdversarialGenerator(eps=eps, clip_values=(0, 1))
    scorer = TransferScorer(generator, n_jobs=2, random_state=seed, verbose=1).fit(models)
    matrix = scorer.transfer(X_test, y_test)

    ends = between(*matrix.confidence_interval(of="mean_rate"))
    print(f"\n{n_samples} test images of load_digits, pixels in [0, 1], each pixel changed by at most {eps}")
    print(f"\n{LEGEND}\n\n{matrix}\n\nWhat each column means:\n{matrix.describe()}")
    print(f"\nMean transfer rate over the {len(models) * (len(models) - 1)} pairs of two models: ", end="")
    print(f"{short(matrix.mean_rate)} {ends}")
    matrix.plot(include_intervals=True).figure_.savefig(output, dpi=150)
    print(f"Heat map: {output}")
    print(f"Took {time.perf_counter() - start:.0f} s")


EPILOG = """\
examples:
  skhalfway demo
  skhalfway demo --eps 0.1 --samples 200 --output matrix.svg
"""


def add_to(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "demo",
        help="train eight classifiers on digits and show which are fooled by the same adversarial examples",
        description="Train eight classifiers on handwritten digits, attack each of them, and try its "
        "adversarial examples on all others. This takes about ten seconds.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--output",
        default="transfer_matrix.png",
        metavar="FILE",
        help="file for the heat map (default: %(default)s)",
    )
    parser.add_argument(
        "--eps",
        type=positive,
        default=0.15,
        help="largest change of a pixel in [0, 1] (default: %(default)s)",
    )
    parser.add_argument(
        "--samples",
        type=whole(N_DIGITS, N_IMAGES - N_TRAIN),
        default=100,
        metavar="N",
        help="number of test images to attack (default: %(default)s)",
    )
    parser.set_defaults(run=run, parser=parser)


def run(options: Namespace) -> int:
    """Check the file of the figure, then run the demonstration."""
    output = figure_file(options.output)
    from threadpoolctl import threadpool_limits

    # small batches gain nothing from threads, and lose much on a busy processor
    with threadpool_limits(1):
        demo(output, eps=options.eps, n_samples=options.samples)
    return PASSED


def figure_file(text: str) -> Path:
    """Path of a file that a figure can be written to, checked before any work."""
    from matplotlib.figure import Figure

    path, known = Path(text), sorted(Figure().canvas.get_supported_filetypes())
    if path.suffix[1:].lower() not in known:
        raise ValueError(f"--output: {path} must end in one of {', '.join(f'.{end}' for end in known)}")
    try:
        check_writable(path)
    except ArgumentTypeError as error:
        raise ValueError(f"--output: {error}") from error
    return path
