"""
11. Loss landscapes, compression, distillation
==============================================

**The question.** A network has thousands of weights, and its loss is not convex. Why is
it so easy to train, and how many of its weights does it need? In this lesson you walk
through the space of weights, and you learn which of its features say something about
the network and which come from the way its weights are written down.
"""

# %%
# What you need
# -------------
#
# - Earlier lessons: 4 (confidence intervals).
# - Mathematics: second derivatives (the Hessian and its largest eigenvalue), convex
#   functions.
# - Python: the attributes ``coefs_`` and ``intercepts_`` of ``MLPClassifier``; copies
#   of objects; one network of PyTorch, which you read.
# - Packages: scikit-learn, scipy, torch, skorch, matplotlib and skhalfway.
# - Time: about 65 minutes, and an hour for the exercises. The code takes 17 seconds.
#
# Make a prediction first
# -----------------------
#
# 1. Walk on a straight line from the first weights of a training to the last ones. Does
#    the loss fall all the way, or does it rise in between?
# 2. Shuffle the hidden units of a trained network. The new network computes the same
#    function. What does the loss do on the straight line between the two?
# 3. A student network learns only from what a teacher says of digits other than 3. Will
#    it recognise a 3?

# %%
# The straight path
# -----------------
#
# ``loss_path`` trains networks and measures the loss at weights :math:`(1-t)a + tb`. On
# the first line, ``a`` are the weights that the training began with and ``b`` those
# that it ended with. On the second, ``a`` and ``b`` are the solutions of two trainings
# from different random starts. Bands are 95 % intervals over four repeats.

import warnings
from copy import deepcopy

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway.inspection import loss_path

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    (X / 16).astype(np.float32), y, train_size=600, stratify=y, random_state=0
)
warnings.simplefilter("ignore", ConvergenceWarning)  # thirty epochs are enough here
network = MLPClassifier((128,), batch_size=50, learning_rate_init=0.003, max_iter=30)
path = loss_path(network, X_train, y_train, n_repeats=4, random_state=0)
display_of_path = path.plot()
path

# %%
# From the start to the solution the loss falls at every step, in each of four
# trainings, as if the problem were convex. Between two solutions it rises by .27 on
# average (from .19 to .37 with 95 % confidence) and falls again: there is a *barrier*
# of that height, and the problem is not convex.
#
# A barrier between a network and itself
# --------------------------------------
#
# Does a barrier mean that the two networks have learned different things? Take one
# network and put its 128 hidden units into another order. Nothing that the network
# computes has changed.


def reorder(network, order):
    """Return the same network with its hidden units in another order."""
    copy = deepcopy(network)
    copy.coefs_ = [network.coefs_[0][:, order], network.coefs_[1][order]]
    copy.intercepts_ = [network.intercepts_[0][order], network.intercepts_[1]]
    return copy


fitted = clone(network).set_params(random_state=0).fit(X_train, y_train)
reordered = reorder(fitted, np.random.RandomState(0).permutation(128))
difference = fitted.predict_proba(X_test) - reordered.predict_proba(X_test)
print(f"accuracy {fitted.score(X_test, y_test):.2f}")
print(f"largest difference of a probability: {np.abs(difference).max():.0e}")
itself = loss_path((fitted, reordered), X_train, y_train)
barrier = itself.barriers["loss between solutions"][0]
print(f"barrier between the network and its reordered self: {barrier:.2f}")

# %%
# The barrier, .31, is as high as those between different solutions. So a barrier on the
# straight line says little about what networks have learned: the order of the units
# alone makes one. Exercise 1 goes on from here.
#
# Sharp or flat?
# --------------
#
# Large batches were found to end in sharper minima, and sharp minima were held to
# generalise worse. ``sharpness`` trains with several batch sizes and measures the
# *curvature*, the largest eigenvalue of the Hessian, and the *rise* of the loss in
# random directions whose length is relative to the weights. First all trainings get the
# same number of epochs, then the same number of updates.

from skhalfway.inspection import loss_surface, saddle_index, sharpness

sgd = MLPClassifier(
    (32,), solver="sgd", momentum=0, learning_rate_init=0.05, max_iter=25, tol=0
).set_params(n_iter_no_change=10_000)  # never stop early
options = {"batch_sizes": (8, 128), "n_repeats": 4, "random_state": 0}
same_epochs = sharpness(sgd, X_train, y_train, same="epochs", **options)
same_updates = sharpness(sgd, X_train, y_train, same="updates", **options)
print("same epochs:", same_epochs, sep="\n")
print("same updates:", same_updates, sep="\n")

# %%
# With the same epochs, batches of 128 end at a higher curvature (3.59 against 2.83),
# but at a *smaller* rise (.18 against .33): the two measures of sharpness disagree.
# They also end at a loss that is more than ten times as high, 1.18 against .08: they
# were trained less, with a sixteenth of the updates. With the same updates the losses
# are alike. Then a smaller difference of the curvature remains (3.21 against 2.83), and
# the intervals of the rise overlap. Networks of different losses should not be compared
# by their sharpness.
#
# There is a second reason for caution. Multiply the first layer of a network of
# rectified units by 10 and divide the second by 10: the function stays the same.

small = MLPClassifier((10,), max_iter=100, random_state=0).fit(X_train, y_train)
scaled = deepcopy(small)
scaled.coefs_ = [10 * small.coefs_[0], small.coefs_[1] / 10]
scaled.intercepts_ = [10 * small.intercepts_[0], small.intercepts_[1]]

figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
curvatures, surfaces = [], []
for ax, title, one in zip(axes, ("as trained", "scaled"), (small, scaled), strict=True):
    curvatures.append(saddle_index(one, X_train, y_train).eigenvalues.max())
    surfaces.append(loss_surface(one, X_train, y_train, random_state=0))
    surfaces[-1].plot(ax=ax)
    ax.set_title(f"{title}: curvature {curvatures[-1]:.1f}")

# %%
# The curvature grows from 4 to 190, and the two networks give the same answer to every
# input. So curvature as such cannot decide how well a network generalises. The loss
# surfaces are the same, because their directions are *filter-normalised*: the part of a
# direction that changes the weights into one unit is as long as these weights are.
#
# Most weights can go
# -------------------
#
# *Pruning* sets the smallest weights to 0. *Quantisation* lets all weights of a layer
# share a few values: two bits stand for four values. Bands are 95 % intervals over
# three repeats. The *size* is the memory that the network needs, as a share of that of
# all weights. The mean accuracies are printed too, by the share of weights that are
# kept, or by bits.

from skhalfway.inspection import compression_curve, distill

data = {"X": X_train, "y": y_train, "X_test": X_test, "y_test": y_test}
panels = {
    "pruned": {},
    "pruned, then three epochs more": {"n_epochs": 3},
    "quantised": {"method": "quantization"},
}
curves = {}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), sharey=True, layout="constrained")
for ax, (title, how) in zip(axes, panels.items(), strict=True):
    curve = compression_curve(network, **data, **how, n_repeats=3, random_state=0)
    curve.plot(ax=ax, names=["accuracy", "size"], legend=False)
    curves[title] = curve
    accuracy = curve.means["accuracy"].round(2).tolist()
    print(f"{title}: {dict(zip(curve.x.round(2).tolist(), accuracy, strict=True))}")
    ax.set(title=title, ylim=(0, 1.05))
    ax.label_outer()
legend = axes[0].legend(frameon=False)

# %%
# Half of the weights can go at a cost of about .01 of accuracy. With three epochs of
# training afterwards, four fifths can go at that cost. Two bits for each weight cost no
# more.
#
# A teacher who says more than labels do
# --------------------------------------
#
# In *distillation* a small student learns the probabilities that a teacher gives, and
# not the labels. Here the student sees all digits except 3. A high *temperature*
# flattens the probabilities, so that small ones count more.


def make_student():
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


student = NeuralNetClassifier(
    make_student,
    criterion=nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=0.005,
    max_epochs=30,
    batch_size=64,
    iterator_train__shuffle=True,
    train_split=None,
    verbose=0,
)
seen, threes = y_train != 3, X_test[y_test == 3]
data |= {"X": X_train[seen], "y": y_train[seen]}
recognised = {}
for temperature in (1, 4):
    result = distill(
        fitted, student, **data, temperature=temperature, n_repeats=3, random_state=0
    )
    soft = f"temperature {temperature}"
    groups = {soft: result.students, "labels": result.plain_students}
    for name, students in groups.items():
        recognised[name] = [(one.predict(threes) == 3).mean() for one in students]
for name, shares in recognised.items():
    print(f"{name}: threes that three students recognise {np.round(shares, 2)}")
# sphinx_gallery_thumbnail_number = 1

# %%
# Students of the labels never predict a 3, because they never saw one. Students of the
# teacher at a temperature of 4 recognise more than half of the threes (57 to 72 %), and
# they never saw one either. The teacher gives small probabilities of being a 3 to other
# digits that resemble one. At a temperature of 1 these are too small to have an effect.
#
# What the literature says
# ------------------------
#
# - Goodfellow et al. (`1412.6544 <https://arxiv.org/abs/1412.6544>`__) found that the
#   loss falls almost monotonically on the line from initialisation to solution.
# - Kawaguchi (`1605.07110 <https://arxiv.org/abs/1605.07110>`__) proved that in deep
#   *linear* networks with the squared loss every local minimum is a global one. Dauphin
#   et al. (`1406.2572 <https://arxiv.org/abs/1406.2572>`__) argue that saddle points,
#   and not poor minima, slow training in high dimension.
# - Keskar et al. (`1609.04836 <https://arxiv.org/abs/1609.04836>`__) found sharper
#   minima with large batches. Dinh et al.
#   (`1703.04933 <https://arxiv.org/abs/1703.04933>`__) showed that scaling the layers
#   makes a minimum as sharp as one likes. Li et al.
#   (`1712.09913 <https://arxiv.org/abs/1712.09913>`__) normalise by filters.
# - Han et al. (`1510.00149 <https://arxiv.org/abs/1510.00149>`__) pruned and quantised
#   networks, and Hinton et al. (`1503.02531 <https://arxiv.org/abs/1503.02531>`__)
#   introduced distillation at a temperature.
#
# Exercises
# ---------
#
# 1. Train two copies of ``network`` on ``X_train`` from different seeds. Reorder the
#    units of the second one (``reorder``) so that they match those of the first. To
#    find the order, write the weights of each hidden unit, in and out, into one row,
#    take the inner products of all pairs of rows, and let
#    ``scipy.optimize.linear_sum_assignment`` find the pairs with the largest sum (it
#    looks for the smallest sum, so change the sign). Do it for three pairs of seeds.
#
#    Report: the height of the barrier before and after, as the lesson measures it with
#    ``loss_path((first, second), X_train, y_train)``. Check: the reordered network
#    gives the same answers as before.
#
# .. solution:: 1
#
# 2. Pruning takes the smallest weights. Does it matter which ones? Keep .5 and .3 of
#    the weights of ``fitted``, once with ``compress(fitted, kept)`` of
#    ``skhalfway.inspection``, and five times at random: set each weight in ``coefs_``
#    of a deep copy to 0 with the probability ``1 - kept``.
#
#    Report: the test accuracy of the pruned network and of the five others, for both
#    shares. Check: with ``kept=1`` the accuracy is that of ``fitted``.
#
# .. solution:: 2
#
# 3. Is it really the small probabilities that teach the student what a 3 is? Repeat the
#    last experiment with ``targets="hard"``, with which the student learns only the
#    labels that the teacher gives, and with ``temperature=10``. Everything else stays
#    as it was: ``fitted``, ``student``, ``data``, three repeats, ``random_state=0``.
#
#    Report: the share of ``threes`` that each of the three students recognises, in both
#    cases, beside the shares at the temperatures 1 and 4. Check: ``data["y"]`` holds no
#    3.
#
# .. solution:: 3
#
# A common misreading
# -------------------
#
# "The picture of the loss surface shows why this network generalises." The picture
# shows two random directions of thousands. Its valleys and barriers depend on how the
# weights are written down: reordered units make a barrier, and scaled layers make a
# sharp minimum, without any change of the function. Before you explain something by a
# landscape, ask whether such a change would destroy the explanation.
#
# Where next
# ----------
#
# Lesson 12 trains networks on one task after another and on adversarial samples. Lesson
# 8 asks why networks generalise at all.
