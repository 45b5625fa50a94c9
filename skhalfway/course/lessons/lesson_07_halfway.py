"""
7. Where models change their answer
===================================

**The question.** Why are models that were trained separately fooled by the same
adversarial examples, and can we tell which models these are without an attack? We walk
from one sample to another in a straight line, and note where each model changes its
answer.
"""

# %%
# What you need
# -------------
#
# - Earlier lessons: 3 (the transfer matrix), 4 (several seeds).
# - Mathematics: straight lines between vectors, Spearman's rank correlation.
# - Python: in the last section you read a small network of PyTorch.
# - Packages: scikit-learn, torch, skorch, pandas, matplotlib and skhalfway.
# - Time: about 65 minutes, and an hour for the exercises. The code takes 14 seconds.
#
# Make a prediction first
# -----------------------
#
# Write down your answers before you run anything.
#
# 1. A path leads from an image of a 3 to one of an 8. At which share of the path does
#    the answer first change, for five nearest neighbours and for a decision tree?
# 2. Two models change their answers at the same places. Are they fooled by the same
#    adversarial examples? Guess a rank correlation between the two, over pairs of
#    models.

# %%
# Eight models, one path and one plane
# ------------------------------------
#
# All models learn the same 900 digits.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway.boundaries import DecisionRegionsDisplay
from skhalfway.halfway import PredictedTransfer, crossings

X, y = load_digits(return_X_y=True)


def train(seed):
    split = train_test_split(X / 16, y, train_size=900, stratify=y, random_state=seed)
    models = {
        "logistic": LogisticRegression(max_iter=1000),
        "rbf svm": SVC(),
        "mlp": MLPClassifier((64,), tol=0.001, random_state=seed),
        "deep mlp": MLPClassifier((64, 64), tol=0.001, random_state=seed),
        "5-nn": KNeighborsClassifier(),
        "forest": RandomForestClassifier(30, random_state=seed),
        "naive bayes": GaussianNB(var_smoothing=0.01),
        "tree": DecisionTreeClassifier(random_state=seed),
    }
    for model in models.values():
        model.fit(split[0], split[2])
    return models, *split


models, X_train, X_test, y_train, y_test = train(0)
three, five, eight = (np.flatnonzero(y_train == digit)[2] for digit in (3, 5, 8))
shares = np.linspace(0, 1, 11)
path = X_train[three] + shares[:, None] * (X_train[eight] - X_train[three])
pd.DataFrame(
    {name: model.predict(path) for name, model in models.items()}, shares.round(1)
).T

# %%
# Read a row from left to right. The share at which the answer first differs from 3 is
# the model's *crossing*. Seven models cross in the middle or a little past it. The tree
# does so after a sixth of the way, when five sixths of the image are still the 3. Naive
# Bayes classifies the 8 itself as a 1, so its path does not end in the right class.
# ``crossings`` finds the places exactly, for many paths at once. It needs predictions
# only, so it works for trees and networks.

ends = X_train[[three]], X_train[[eight]]
places = {name: crossings(model, *ends).position[0] for name, model in models.items()}
pd.Series(places).round(3)

# %%
# Three samples span a plane, and each point of it is an image. A diamond marks where
# the answer first changes on the way from one sample to another, seen from either end;
# a dot marks the halfway point. The first four models draw almost the same picture. The
# forest's regions are ragged, and the tree's are unlike all others.

corners = [three, five, eight]
regions = DecisionRegionsDisplay.from_estimator(
    models,
    X_train[corners],
    y_train[corners],
    resolution=60,
    plot_kw={"image_shape": (8, 8)},
)

# %%
# Many paths
# ----------
#
# ``HalfwayScorer`` draws 200 pairs of training samples of different classes, the same
# for all models. A pair counts for a model that classifies both samples correctly; the
# last column beside the histograms is the share of pairs that are left out. The
# *deviation* is the mean distance of a model's crossings from the halfway point: 0 if
# each answer changes exactly halfway. Five nearest neighbours change their answer
# closest to halfway (deviation .05), the tree farthest from it (.31): most of its
# answers change soon after the path leaves the first sample.

scorer = HalfwayScorer(n_pairs=200, random_state=0).fit(models)
measurement = scorer.measure(X_train, y_train)
histograms = measurement.plot()

# %%
# The *halfway agreement* of two models is Spearman's rank correlation of their
# crossings: do both cross early on the same paths, and late on the same paths? The two
# perceptrons and logistic regression agree most (.90 to .94), and each other model
# agrees least with the tree.

heat_map = measurement.plot("agreement")

# %%
# Does agreement tell who is fooled?
# ----------------------------------
#
# Now attack each model, and try the samples on the others. Each mark is a source and a
# target; the shape of the mark is the target. The title has Spearman's correlation over
# all pairs, its mean over the targets (within a target: do sources that agree more with
# it fool it more?) and its mean over the sources.

attack = AdversarialGenerator(eps=0.1, clip_values=(0, 1))
attacked = X_test[:60], y_test[:60]
measured = TransferScorer(attack, random_state=0).fit(models).transfer(*attacked)
ranked = PredictedTransfer(measurement.agreement, measured)
scatter = ranked.plot(identity=False, xlabel="halfway agreement")
pd.Series(ranked.correlation._asdict()).round(2)

# %%
# Over all pairs the correlation is near 0 (.06). Now look at one target at a time, such
# as the red diamonds: **sources that agree more with the target fool it more often**.
# Within a target, the rank correlation is .68 on average. But agreement is symmetric.
# It does not contain how near the boundaries of a target are. So it cannot tell that
# the samples of all sources fool the tree, with which all sources agree little. That is
# why the correlation within a source is even negative.
#
# Prediction without an attack
# ----------------------------
#
# ``predict_transfer`` adds the distance. It asks each model alone, for predictions, on
# paths that start at the samples in question. From these it estimates how far the
# boundary is and which way it faces, and from that a rate for every source, target and
# budget.

predicted = scorer.predict_transfer(*attacked, eps=0.1).compare(measured)
scatter = predicted.plot()

# %%
# Now all pairs are ranked well. Most of the predicted rates are too high: their marks
# lie to the right of the dashed line, some of them by .2. Is the ranking chance? Repeat
# all of it with two more splits of the data.

results = {0: (ranked.correlation, predicted.correlation)}
for seed in (1, 2):
    models, X_train, X_test, y_train, y_test = train(seed)
    scorer = HalfwayScorer(n_pairs=200, random_state=seed).fit(models)
    agreement = scorer.measure(X_train, y_train).agreement
    attacked = X_test[:60], y_test[:60]
    measured = TransferScorer(attack, random_state=seed).fit(models).transfer(*attacked)
    results[seed] = (
        PredictedTransfer(agreement, measured).correlation,
        scorer.predict_transfer(*attacked, eps=0.1).compare(measured).correlation,
    )
table = pd.DataFrame(index=pd.Index(results, name="seed"))
for k, which in enumerate(("agreement", "prediction")):
    for over in ("overall", "within_target"):
        table[which, over] = [getattr(found[k], over) for found in results.values()]
table.columns = pd.MultiIndex.from_tuples(table.columns)
table.round(2)

# %%
# The result is the same in each split. Agreement ranks the sources of one target well
# (a correlation of .59 to .68 within a target), and all pairs poorly (.06 to .41). The
# prediction ranks all pairs, with a correlation of .84 or more. Within a target it is
# only a little better than agreement (.66 to .74).
#
# How does the boundary get there?
# --------------------------------
#
# The Dimpled Manifold Model supposes that natural samples lie near a *manifold*: a
# curved surface of few dimensions in the space of all inputs. It says that training has
# two phases: the boundary first *clings* to the manifold, which is fast, and then makes
# shallow *dimples* around the samples, which is slow. Here is a manifold that we know:
# a curve in the plane, with classes that alternate along it. How far is the boundary
# from the points, straight up or down, and when does accuracy rise? The distance is the
# median over the points. It is measured up to 1.5, so that a boundary further away
# counts as 1.5.

x = np.linspace(-2.85, 2.85, 20)
points = np.column_stack([x, np.sin(1.3 * x) / 2]).astype(np.float32)
labels = np.arange(20) // 2 % 2
up = np.array([0, 1.5], dtype=np.float32)
epochs = [0, 5, 10, 15, 20, 40, 60, 80, 100, 120, 150, 200]
accuracy, distance = np.empty((2, 4, len(epochs)))
for seed in range(4):
    torch.manual_seed(seed)
    layers = [
        nn.Linear(2, 128),
        nn.GELU(),
        nn.Linear(128, 128),
        nn.GELU(),
        nn.Linear(128, 2),
    ]
    net = NeuralNetClassifier(
        nn.Sequential(*layers),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.001,
        batch_size=-1,
        train_split=None,
        classes=[0, 1],
        verbose=0,
    ).initialize()
    for k, epoch in enumerate(epochs):
        net.set_params(max_epochs=epoch - len(net.history)).partial_fit(points, labels)
        ways = [crossings(net, points, points + way).position for way in (up, -up)]
        nearer = np.fmin(*np.nan_to_num(ways, nan=1.0))  # 1 is the end of the path
        accuracy[seed, k] = net.score(points, labels)
        distance[seed, k] = 1.5 * np.median(nearer)

figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for ax, lines, name in zip(
    axes, (accuracy, distance), ("accuracy", "distance"), strict=True
):
    ax.plot(epochs, lines.T, "o-", ms=3)
    ax.set(xlabel="epoch", ylabel=name, title=f"{name}, four trainings")
    ax.set_ylim(0, 1.05 if name == "accuracy" else 1.6)
print("         accuracy      distance    (lowest and highest of four trainings)")
for epoch in (0, 5, 15, 60, 120, 200):
    k = epochs.index(epoch)
    print(f"epoch {epoch:3}", end="")
    for values in (accuracy[:, k], distance[:, k]):
        print(f"  {values.min():.2f} to {values.max():.2f}", end="")
    print()
# sphinx_gallery_thumbnail_number = 1

# %%
# Before training and after five epochs, the boundary is 1 or more away from half of the
# points (1.5 says that it is out of reach). By epoch 15 it is within .35 of half of
# them, while the accuracy is still that of a coin. So far the Dimpled Manifold Model is
# right. Then the boundary stays where it is, or rather moves away a little: in each of
# the four trainings, the distance at epoch 60 is larger than at epoch 15, and the
# accuracy is still that of a coin. But the phases do not come one after the other:
# between epochs 60 and 120 the boundary comes **nearer still**, in the same epochs in
# which accuracy begins to rise.
#
# What the literature says
# ------------------------
#
# "Halfway" comes from the title of `Meet you halfway: explaining deep learning
# mysteries <https://arxiv.org/abs/2206.04463>`__ (2022). The definitions in its text
# are not public to us: crossing, halfway agreement and the prediction are this
# package's own formalisation. Tramèr et al. (2017) compare the distances of two models'
# boundaries in a direction: `arXiv 1704.03453 <https://arxiv.org/abs/1704.03453>`__.
# Demontis et al. (2019) explain transfer by the size and the alignment of gradients:
# `arXiv 1809.02861 <https://arxiv.org/abs/1809.02861>`__. Somepalli et al. (2022) draw
# planes through three images: `arXiv 2203.08124 <https://arxiv.org/abs/2203.08124>`__.
# The Dimpled Manifold Model is of Shamir, Melamed and BenShmuel (2021): `arXiv
# 2106.10151 <https://arxiv.org/abs/2106.10151>`__.
#
# Exercises
# ---------
#
# 1. On which share of 300 paths does the answer change more than once? Draw the paths
#    between training samples of different classes:
#    ``sample_pairs(X_train, y_train, n_pairs=300, random_state=0)`` of
#    ``skhalfway.halfway`` returns two columns of row numbers. The result of
#    ``crossings(model, starts, ends)`` has a figure ``n_changes`` for each path.
#    Compare ``"5-nn"``, ``"logistic"`` and ``"tree"`` of ``models`` (those of the last
#    split).
#
#    Report: three shares. Check: each pair has two different labels, so a model that
#    classifies both ends correctly changes its answer at least once.
#
# .. solution:: 1
#
# 2. Repeat the measurement and the prediction for the last split at a budget of .2:
#    ``models``, ``attacked`` and ``scorer`` still belong to it. What happens to the
#    ranking, and to the rates?
#
#    Report, for .1 and .2: the rank correlation over all pairs
#    (``compare(...).correlation.overall``), and the mean absolute difference of
#    predicted and measured rates. The result of ``compare`` has both as matrices,
#    ``predicted`` and ``measured``; its mask ``known`` marks the pairs that count,
#    which leaves out each model on itself. Give ``TransferScorer`` a ``random_state``.
#    Check: at .1 the correlation is that of the last row of the table.
#
# .. solution:: 2
#
# 3. The Dimpled Manifold Model expects the nearest adversarial examples *off* the
#    manifold of the data. Approximate the manifold of the digits by a plane,
#    ``PCA(15, random_state=0)`` fitted on ``X_train``. Attack ``models["mlp"]`` on the
#    first 100 images of ``X_test`` that it classifies correctly, with
#    ``attack="fmn"``, ``norm=2`` and ``eps=np.inf``, which looks for the nearest
#    example. Do it twice, with the projections ``OnManifold(plane, norm=2)`` and
#    ``OffManifold(plane, norm=2)`` of ``skhalfway.manifold`` as a constraint
#    (``Constraints(projection=...)``).
#
#    Report: the quartiles of ``distances_`` on and off the plane. Are there more
#    directions in the plane or off it? Check: all distances are finite.
#
# .. solution:: 3
#
# A common misreading
# -------------------
#
# "The agreement is .9, so 90 % of the examples transfer." Agreement is a correlation of
# places. It is the same from A to B and from B to A, and the same at every budget.
# Transfer is neither: the tree is fooled by about 70 % of the samples made on other
# models, while samples made on the tree fool hardly any other model.
#
# Where next
# ----------
#
# Lesson 8 asks whether crossings and halfway points also tell which model generalises.
# Lesson 11 looks at other straight lines: those between the weights of networks.
