"""
Audit of a network that reads digits
====================================

How small a change of its pixels makes a network read another digit, and do the changes that were made for other
networks do the same? Images of 8 x 8 pixels of scikit-learn's digits, networks of torch.

Run it as ``python examples/audit_digits.py``; it writes ``audit_digits.html`` and ``audit_digits.json``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from skhalfway import AdversarialGenerator, audit


def train(network: nn.Module, X: np.ndarray, y: np.ndarray, n_epochs: int = 30) -> nn.Module:
    """Adam, batches of 64 images."""
    images, digits = torch.tensor(X), torch.tensor(y)
    optimizer, rng = torch.optim.Adam(network.parameters(), lr=2e-3), torch.Generator().manual_seed(0)
    for _ in range(n_epochs):
        for rows in torch.randperm(len(images), generator=rng).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[rows]), digits[rows]).backward()
            optimizer.step()
    return network.eval()


def networks() -> dict[str, nn.Module]:
    """A convolutional network, which is deployed, and a wide one without convolutions."""
    torch.manual_seed(0)
    convolutional = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 10),
    )
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    return {"convolutional": convolutional, "wide": wide}


def main(n_samples: int = 300, parts: str | list[str] = "all", folder: Path = Path()) -> None:
    """Train two networks, audit the convolutional one, and write the report."""
    X, y = load_digits(return_X_y=True)
    X = (X / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    report = audit(
        {name: train(network, X_train, y_train) for name, network in networks().items()},
        X_test,
        y_test,
        deployed="convolutional",
        reference=(X_train, y_train),
        generator=AdversarialGenerator(clip_values=(0, 1)),
        eps=[0.05, 0.1, 0.2],
        n_samples=n_samples,
        parts=parts,
        n_jobs=2,
        verbose=1,
    )
    print(report)
    report.save(folder / "audit_digits.json")
    report.to_html(folder / "audit_digits.html")


if __name__ == "__main__":
    main()
