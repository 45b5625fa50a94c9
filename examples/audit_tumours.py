"""
Audit of a model of tumours
===========================

Which measurements of a cell decide whether a tumour is called benign, and how small may an error of
measurement be that turns the answer? Breast cancer data of scikit-learn, a logistic regression, and a forest.

Run it as ``python examples/audit_tumours.py``; it writes ``audit_tumours.html`` and ``audit_tumours.json``.
"""

from __future__ import annotations

from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skhalfway import audit


def main(n_samples: int | None = None, parts: str | list[str] = "all", folder: Path = Path()) -> None:
    """Train two models, audit the regression, and write the report."""
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    y = y.map({0: "malignant", 1: "benign"})
    X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    models = {
        "regression": make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train),
        "forest": RandomForestClassifier(100, random_state=0).fit(X_train, y_train),
    }
    report = audit(
        models,
        X_test,
        y_test,
        deployed="regression",
        reference=(X_train, y_train),
        eps=[0.05, 0.1, 0.25, 0.5],
        n_samples=n_samples,
        parts=parts,
        n_jobs=2,
        verbose=1,
    )
    print(report)
    report.save(folder / "audit_tumours.json")
    report.to_html(folder / "audit_tumours.html")


if __name__ == "__main__":
    main()
