"""
Clinging and dimpling: how a decision boundary grows
====================================================

The Dimpled Manifold Model (Shamir, Melamed & BenShmuel, arXiv 2106.10151) says
that training has two phases. First the decision boundary comes very close to
the manifold that the data lie on (*clinging*), which is fast; then shallow
bulges put it on the right side of each sample (*dimpling*), which is slow. In
its view that is why adversarial examples exist and are tiny: a little step off
the manifold crosses the boundary.

The model is the paper's. What we measure it with is this package's own: where
the answers of a model change on straight paths between samples.
"""

# %%
# Where everything can be seen
# ----------------------------
#
# Twenty points on a curve in the plane, in pairs of alternating classes. The
# curve is the manifold; the other direction carries no information at all.

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway.halfway import crossings
from skhalfway.training import HalfwayCallback


def curve(x):
    return np.column_stack([x, 0.5 * np.sin(1.3 * x)]).astype(np.float32)


x = np.linspace(-2.85, 2.85, 20)
X, y = curve(x), np.arange(20) // 2 % 2
slope = 0.65 * np.cos(1.3 * x)
normal = np.column_stack([-slope, np.ones(20)]) / np.sqrt(1 + slope**2)[:, None]

torch.manual_seed(0)
net = NeuralNetClassifier(
    nn.Sequential(nn.Linear(2, 128), nn.GELU(), nn.Linear(128, 128), nn.GELU(), nn.Linear(128, 2)),
    criterion=nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=1e-3,
    batch_size=-1,
    train_split=None,
    classes=[0, 1],
    verbose=0,
    callbacks=[("halfway", HalfwayCallback(n_pairs=20, every=10, random_state=0))],
).initialize()

# %%
# The callback records the net every ten epochs and leaves training as it is.
# We stop it now and then, and look for the boundary *across* the manifold: from
# each point, both ways along the curve's normal. Six times we draw its regions.

import matplotlib.pyplot as plt

FAR = 1.5  # as far as we look
stops = np.unique(np.geomspace(5, 1000, 12).round(-1).astype(int) + 5)
drawn = (0, 20, 50, 100, 200, 1000)
stops = np.union1d(stops[stops < 1000], drawn)
plane = np.stack(np.meshgrid(np.linspace(-3.4, 3.4, 240), np.linspace(-1.75, 1.75, 140)), axis=-1)
accuracy, across = [], []

figure, axes = plt.subplots(3, 2, figsize=(9, 7.6), sharex=True, sharey=True, layout="constrained")
for epoch in stops:
    if epoch > 0:
        net.set_params(max_epochs=epoch - len(net.history)).partial_fit(X, y)
    both_ways = [crossings(net, X, X + way * FAR * normal).position for way in (1, -1)]
    nearer = np.fmin(*both_ways)  # nan only where neither crosses
    across.append(FAR * np.median(np.where(np.isnan(nearer), np.inf, nearer)))
    accuracy.append(net.score(X, y))
    if epoch not in drawn:
        continue
    ax = axes.flat[drawn.index(epoch)]
    regions = net.predict(plane.reshape(-1, 2).astype(np.float32)).reshape(plane.shape[:2])
    ax.contourf(plane[..., 0], plane[..., 1], regions, levels=[-1, 0.5, 2], colors=["#d6e6f5", "#fbe3cc"])
    if regions.min() < regions.max():
        ax.contour(plane[..., 0], plane[..., 1], regions, levels=[0.5], colors="k", linewidths=1.6)
    ax.plot(*curve(np.linspace(-3.4, 3.4, 100)).T, color="0.6", lw=0.8, ls="--")
    for label, colour in enumerate(["#1f5fa8", "#c8551b"]):
        ax.plot(*X[y == label].T, "o", color=colour, ms=5, mec="w", mew=0.6)
    ax.set_title(f"epoch {epoch}: accuracy {accuracy[-1]:.2f}", fontsize=11)
    ax.set_aspect("equal")

# %%
# Clinging comes first: the boundary lies along the curve while accuracy is
# still that of a coin. Only then does it bend around the points.
#
# In numbers: *across* is the median distance to the boundary along the normal
# (inf: out of reach for half of the points), *along* that on the way to the
# nearest point of the other class, which stays near the curve.

history = dict(net.callbacks_)["halfway"].history_
along = history.to_frame().boundary_distance

print("epoch  accuracy  across  along")
for epoch in drawn:
    k = stops.tolist().index(epoch)
    print(f"{epoch:>5}  {accuracy[k]:>8.2f}  {across[k]:>6.2f}  {along[epoch]:>5.2f}")

figure, (top, bottom) = plt.subplots(2, 1, figsize=(6.6, 5), sharex=True, layout="constrained")
top.plot(stops, accuracy, "k-o", ms=3.5)
top.set(ylabel="accuracy", ylim=(0.3, 1.03), title="Clinging, then dimpling")
bottom.plot(stops, across, "C3-D", ms=3.5, label="across the curve")
bottom.plot(along.index, along, "C0-", label="along it")
bottom.set(xlabel="epoch", ylabel="distance of the boundary", xlim=(0, 1100), ylim=(0, None))
bottom.set_xscale("symlog", linthresh=10)
bottom.xaxis.set_major_formatter("{x:g}")
bottom.legend(loc="lower left", frameon=False)
for ax in (top, bottom):
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)

# %%
# The paper's two phases are there, in its order (and were with the six other
# nets and patterns of classes that we tried). Its dimples are shallow, though,
# and these are not: in the end the boundary is as near along the curve
# as across it. Only one direction leaves a curve in the plane; images have many.

# %%
# The same on digits
# ------------------
#
# A network on 8 x 8 images, recorded at every epoch on 200 random pairs and
# 200 samples with their nearest of another class.

from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split

from skhalfway import AdversarialGenerator, Constraints
from skhalfway.manifold import Autoencoder, OffManifold, OnManifold, manifold_parts

images, digits = load_digits(return_X_y=True)
images = (images / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(
    images, digits, test_size=100, stratify=digits, random_state=0
)

torch.manual_seed(0)
net = NeuralNetClassifier(
    nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)),
    criterion=nn.CrossEntropyLoss,
    optimizer__momentum=0.9,
    lr=0.02,
    batch_size=64,
    iterator_train__shuffle=True,
    train_split=None,
    verbose=0,
    callbacks=[("halfway", HalfwayCallback(n_pairs=200, random_state=0))],
).initialize()

# %%
# The manifold of digits is not known. We approximate it by a plane, PCA, and
# by a small autoencoder, both of 15 dimensions of 64. Attacks that look for the
# nearest sample that fools the net are kept to either side of it: to the
# tangents of the manifold at each image, or to what is orthogonal to them. Pixels
# may leave [0, 1]: no way along the manifold keeps all of the black ones black.

manifolds = {
    "PCA": PCA(15).fit(X_train),
    "autoencoder": Autoencoder(15, max_iter=20, random_state=0).fit(X_train),
}
for name, manifold in manifolds.items():
    lost = X_test - manifold.inverse_transform(manifold.transform(X_test))
    print(f"{name:<12} keeps {1 - (lost**2).sum() / ((X_test - X_train.mean(axis=0)) ** 2).sum():.0%}")

pca = manifolds["PCA"]
sides = {"anywhere": None, "on the manifold": OnManifold(pca, norm=2), "off it": OffManifold(pca, norm=2)}
nearest = {side: [] for side in sides}
epochs = (1, 2, 4, 8, 16, 32)
for epoch in epochs:
    net.set_params(max_epochs=epoch - len(net.history)).partial_fit(X_train, y_train)
    right = net.predict(X_test) == y_test
    for side, projection in sides.items():
        attack = AdversarialGenerator(
            FrozenEstimator(net),
            attack="fmn",
            norm=2,
            eps=np.inf,
            max_iter=30,
            constraints=None if projection is None else Constraints(projection=projection),
        )
        attack.generate(X_test[right], y_test[right])
        nearest[side].append(np.median(attack.distances_))

figure = plt.figure(figsize=(12, 4.8), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=[1.4, 1])
history = dict(net.callbacks_)["halfway"].history_
history.plot(axes=left.subplots(2, 2))
left.suptitle("Digits: crossings over training")
right_ax = right.subplots()
for (side, distances), style in zip(nearest.items(), ("k-o", "C0-s", "C3-D"), strict=True):
    right_ax.plot(epochs, distances, style, label=side, lw=2, ms=5)
right_ax.set(xscale="log", xlabel="epoch", ylabel="median $L_2$ distance", ylim=(0, None))
right_ax.set_xticks(epochs, epochs)
right_ax.minorticks_off()
right_ax.grid(alpha=0.3)
right_ax.spines[["top", "right"]].set_visible(False)
right_ax.legend(title="nearest adversarial image", loc="lower center", ncol=3, frameon=False)
right_ax.set_title("Digits: the boundary around test images")

# %%
# On the left, what the callback saw: *deviation* is how far from halfway the
# net changes its answer, on average over the pairs that it classifies right,
# *agreement* the rank correlation of these places with those of the final net.
# Accuracy, deviation and distance settle within some ten epochs; the places
# are still being shuffled at the end. There is a fast phase and a slow one.
#
# On the right, the paper's picture is seen in part only. Once the net has
# learned, its boundary does come nearer off the manifold, for as long as we
# train. But from the second epoch on it is on the manifold that it is nearest,
# whereas the paper expects adversarial images off it.

# %%
# Directions that no image uses
# -----------------------------
#
# Our digits leave little room: 49 directions off the plane of PCA, in which
# images still vary. To see what room does, we hang the same images in a larger
# space, beside pixels that are always black, and train as before.

print("black pixels  accuracy  nearest on the manifold  off it")
for n_black in (0, 512):
    hung, hung_test = (np.pad(X, ((0, 0), (0, n_black))) for X in (X_train, X_test))
    torch.manual_seed(0)
    wide = NeuralNetClassifier(
        nn.Sequential(
            nn.Linear(64 + n_black, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
        ),
        criterion=nn.CrossEntropyLoss,
        optimizer__momentum=0.9,
        lr=0.02,
        batch_size=64,
        max_epochs=16,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    ).fit(hung, y_train)
    right = wide.predict(hung_test) == y_test
    plane_of_pca = PCA(15, svd_solver="full").fit(hung)
    found = []
    for side in (OnManifold, OffManifold):
        constraints = Constraints(projection=side(plane_of_pca, norm=2))
        attack = AdversarialGenerator(
            FrozenEstimator(wide), attack="fmn", norm=2, eps=np.inf, max_iter=30, constraints=constraints
        )
        attack.generate(hung_test[right][:100], y_test[right][:100])
        found.append(np.median(attack.distances_))
    print(f"{n_black:>12}  {right.mean():>8.2f}  {found[0]:>23.2f}  {found[1]:>6.2f}")

# %%
# Room brings the boundary nearer off the manifold, as the paper says, and changes
# nothing on it. But five hundred useless pixels do not make it nearest there.

# %%
# One perturbation, in parts
# --------------------------
#
# The paper's comparison: a perturbation d that fools the net, its projection
# on the manifold, and the rest. Accuracy on x + d, on x + Proj(d), and on
# x + (d - Proj(d)); beside it, how much of the squared length each part has.

attack = AdversarialGenerator(FrozenEstimator(net), norm=2, eps=0.8)
d = attack.generate(X_test, y_test) - X_test
print(f"clean {net.score(X_test, y_test):.2f}, x + d {net.score(X_test + d, y_test):.2f}")
parts = {}
for name, manifold in manifolds.items():
    parts[name] = manifold_parts(manifold, X_test, d)
    for side, part in zip(("on", "off"), parts[name], strict=True):
        share = (part**2).sum() / (d**2).sum()
        print(f"{name:<12} {side:<3} {net.score(X_test + part, y_test):.2f}  ({share:.0%} of d)")

# %%
# Both parts are shorter than the whole, so that is no fair comparison. Attacks
# that are kept to either side have all of the length to spend:

for name, manifold in manifolds.items():
    for side in (OnManifold, OffManifold):
        kept = AdversarialGenerator(
            FrozenEstimator(net), norm=2, eps=0.8, constraints=Constraints(projection=side(manifold, norm=2))
        )
        robust = net.score(kept.generate(X_test, y_test), y_test)
        print(f"{name:<12} {side.__name__:<11} accuracy {robust:.2f}")

# %%
# What they look like, on a digit that all of d turns into another.

chosen = np.flatnonzero((net.predict(X_test) == y_test) & (net.predict(X_test + d) != y_test))[0]
shown = {"x": X_test[chosen], "d": d[chosen]}
for name, (on, off) in parts.items():
    shown |= {f"on {name}": on[chosen], f"off {name}": off[chosen]}
figure, axes = plt.subplots(1, 6, figsize=(11, 2.3), layout="constrained")
limit = np.abs(d[chosen]).max()
for ax, (title, image) in zip(axes, shown.items(), strict=True):
    style = {"cmap": "gray_r"} if title == "x" else {"cmap": "RdBu", "vmin": -limit, "vmax": limit}
    ax.imshow(image.reshape(8, 8), **style)
    answer = net.predict((X_test[chosen] + (0 if title == "x" else image))[None])[0]
    ax.set_title(f"{title}\n{'' if title == 'x' else 'x + this '}is a {answer}", fontsize=10)
    ax.set_axis_off()
