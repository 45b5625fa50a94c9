"""Samples with budgets of their own, that several tests are about."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import make_classification

N = 30
X_TRAIN, Y_TRAIN = make_classification(
    300, 6, n_informative=4, n_classes=3, n_clusters_per_class=1, random_state=0
)
X, Y = X_TRAIN[:N], Y_TRAIN[:N]
# powers of 2, by which nothing is rounded; the last stay
BUDGETS = np.array([0.125, 0.25, 0.5, 1.0, 0.0])[np.arange(N) % 5].reshape(-1, 1)
STAY = BUDGETS.ravel() == 0
