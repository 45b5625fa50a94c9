"""Compare ways to make an SVC's one-vs-one votes differentiable; print the table of svc_votes.md.

PGD-40 (L-inf, pixels in [0, 1]) on digits, attacking the SVC's own predictions:
the share of 719 test samples on which the SVC itself is fooled, and the share on
which the largest smoothed logit is the SVC's own class.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from run import table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC
from torch import nn
from torch.nn.functional import logsigmoid

from skhalfway import AdversarialGenerator
from skhalfway.models import as_model
from skhalfway.models._svm import KernelMachine, Votes

# what a class gets from a pair in which its decision value is d
FORMS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "d": lambda d: d,
    "sigmoid(d)": torch.sigmoid,
    "sigmoid(4 d)": lambda d: torch.sigmoid(4 * d),
    "sigmoid(10 d)": lambda d: torch.sigmoid(10 * d),
    "logsigmoid(d)": logsigmoid,
    "logsigmoid(2 d)": lambda d: logsigmoid(2 * d),
    "logsigmoid(4 d)": lambda d: logsigmoid(4 * d),
    "logsigmoid(8 d)": lambda d: logsigmoid(8 * d),
    "logsigmoid(16 d)": lambda d: logsigmoid(16 * d),
}


class Form(Votes):
    def __init__(self, n_classes: int, form: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__(n_classes)
        self.form = form

    def forward(self, decisions: torch.Tensor) -> torch.Tensor:
        return self.form(decisions) @ self.into_first + self.form(-decisions) @ self.into_second


def main() -> None:
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, _ = train_test_split(X / 16, y, test_size=0.4, random_state=0)
    rows = []
    for kernel in ("rbf", "linear", "poly", "sigmoid"):
        svc = SVC(kernel=kernel).fit(X_train, y_train)
        own = svc.predict(X_test)
        for name, form in FORMS.items():
            source = nn.Sequential(KernelMachine(svc), Form(10, form))
            row = {"kernel": kernel, "a pair gives": name}
            for eps in (0.05, 0.1, 0.15):
                attack = AdversarialGenerator(source, attack="pgd", eps=eps, clip_values=(0, 1))
                row[f"fooled, eps {eps}"] = f"{(svc.predict(attack.generate(X_test, own)) != own).mean():.3f}"
            row["agrees"] = f"{(as_model(source).predict(X_test) == own).mean():.4f}"
            rows.append(row)
    title = "# One-vs-one votes made differentiable\n\n    python benchmarks/svc_votes.py\n\n"
    page = title + "\n".join((__doc__ or "").splitlines()[2:]) + "\n\n" + table(rows) + "\n"
    Path(__file__).with_suffix(".md").write_text(page)
    print(page)


if __name__ == "__main__":
    main()
