"""
Why perturbations teach: the boundary in formulas
=================================================

Noise, moved a little towards random labels, teaches a network the labels of
samples that it never saw. For networks with one hidden layer the boundary that
is learned can be written down (Kumano et al. 2024, arXiv 2402.10470): a part
comes from the noise, and a part from the perturbations.
"""

# %%
# A boundary that is a sum of samples
# -----------------------------------
#
# A hundred samples of two thousand features, uniform in [-1, 1], with labels by
# the toss of a coin: there is nothing to generalise to, only samples to know.
# A network with a hidden layer learns them. By the theory its boundary is that of
# a sum of its samples, with signs and multipliers, if the samples are nearly
# orthogonal. These are by far not orthogonal enough for the theorem; the boundary
# is the theory's all the same.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skhalfway.perturbation.theory import (
    OneHiddenLayerClassifier,
    OrthogonalityWarning,
    boundary,
    geometry_perturbation,
    learned_boundary,
    orthogonality_condition,
)

rng = np.random.RandomState(0)
n_features = 2000
X = rng.uniform(-1, 1, (100, n_features))
y = rng.choice([-1, 1], len(X))
condition = orthogonality_condition(X)
print(f"inner products: {condition.p_max:.0f}, allowed: {condition.bound:.4f}")

# %%
warnings.simplefilter("ignore", OrthogonalityWarning)  # it was just printed
source = OneHiddenLayerClassifier(300, random_state=0).fit(X, y)
q = boundary(X, y)
cosine = source.direction_ @ q / np.linalg.norm(source.direction_) / np.linalg.norm(q)
print(f"accuracy {source.score(X, y):.2f}, cosine with the boundary in closed form {cosine:.3f}")

# %%
# Learned from noise alone
# ------------------------
#
# Other noise, which has nothing to do with the samples, is moved by .5 along that
# boundary, towards labels that are tossed again. Each point is some 26 long: the
# perturbation is a fiftieth of it. A fresh network trains on the moved points; the
# control trains on the same points and labels, before they are moved.

eps, sizes = 0.5, [30, 100, 300, 1000]
rows, outputs = [], []
for n in sizes:
    noise, labels = rng.uniform(-1, 1, (n, n_features)), rng.choice([-1, 1], n)
    moved = noise + geometry_perturbation(q, labels, eps=eps)
    network = OneHiddenLayerClassifier(300, random_state=1)
    terms = learned_boundary(noise, labels, q, eps=eps)
    right = (X @ terms.direction > 0) == (y > 0)
    rows.append(
        {
            "points of noise": n,
            "learner": network.fit(moved, labels).score(X, y),
            "closed form": right.mean(),
            "control": network.fit(noise, labels).score(X, y),
        }
    )
    sides = {"the noise itself": terms.base, "perturbations": terms.perturbation}
    outputs.append({name: np.abs(X @ side).mean() / terms.multipliers.sum() for name, side in sides.items()})
table = pd.DataFrame(rows).set_index("points of noise")
table.round(2)

# %%
figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
table.plot(ax=ax, marker="o", logx=True, color=["C0", "C1", "0.6"])
ax.set(ylabel="accuracy on samples never seen", ylim=(0.4, 1.02))
ax.spines[["top", "right"]].set_visible(False)

# %%
# The closed form says what the network learned, with no network trained.
#
# The two terms
# -------------
#
# The boundary learned is a sum: of the moved points' own content, whose labels mean
# nothing, and of the perturbations, which all point the same way. On the samples,
# the first puts out less and less the more points there are, for it averages out;
# the second stays.

figure, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
pd.DataFrame(outputs, index=sizes).plot.bar(ax=ax, color=["0.6", "C0"], rot=0)
ax.set(xlabel="points of noise", ylabel="mean |output| on the samples,\nover the sum of multipliers")
ax.spines[["top", "right"]].set_visible(False)
