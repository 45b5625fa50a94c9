"""
3. Transferability, and how to count it
=======================================

**The question.** If an example was made to fool one classifier, does it fool another
one that the attacker has never seen? You attack seven classifiers of digits, try the
results on all the others, and learn which figure to report and which controls it needs.
"""

# %%
# What you need
# -------------
#
# - Earlier lessons: 1 and 2.
# - Mathematics: shares and conditional shares.
# - Python: fitted estimators of scikit-learn, data frames of pandas.
# - Packages: scikit-learn, pandas, matplotlib and skhalfway.
# - Time: about 50 minutes, and an hour for the exercises. The code takes 13 seconds.
#
# Make a prediction first
# -----------------------
#
# Seven classifiers are trained on the same digits: a logistic regression, a support
# vector machine, three networks (one of them behind a ``StandardScaler``), a random
# forest and five nearest neighbours. Each is right on at least 96 of 100 test images.
# Write down your answers:
#
# 1. Which classifier is fooled least by images that were made to fool others?
# 2. Images made on the forest, tried on a network: will they fool it as often as images
#    made on the network, tried on the forest?
# 3. Two networks differ only by the random numbers of their training. What share of the
#    images made on one fools the other?

# %%
# Seven models, one matrix
# ------------------------
#
# The model that is attacked is the *source*, the model on which the result is tried is
# the *target*. ``TransferScorer`` takes fitted models of any kind, attacks each, and
# tries the results on all.
#
# No attack is named here, so it is the default, ``"auto"``: PGD where a model has a
# gradient. For trees and forests it follows the gradient of a smoothed copy, and for
# models without any gradient, such as nearest neighbours, it asks for predictions only
# (lesson 5).

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, TransferMatrix, TransferScorer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, test_size=400, stratify=y, random_state=0
)
network = {"hidden_layer_sizes": (64,), "max_iter": 500}
models = {
    "logistic": LogisticRegression(max_iter=1000),
    "rbf svm": SVC(),
    "mlp": MLPClassifier(**network, random_state=0),
    "mlp 2": MLPClassifier(**network, random_state=1),
    "scaled mlp": make_pipeline(
        StandardScaler(), MLPClassifier(**network, random_state=0)
    ),
    "forest": RandomForestClassifier(50, random_state=0),
    "5-nn": KNeighborsClassifier(),
}
for model in models.values():
    model.fit(X_train, y_train)

generator = AdversarialGenerator(eps=0.15, clip_values=(0, 1))
scorer = TransferScorer(generator, random_state=0).fit(models)
matrix = scorer.transfer(X_test, y_test)
heat_map = matrix.plot()
matrix

# %%
# The heading names the attack, the norm and the budget. ``Linf`` is the norm of lesson
# 1, the largest change of a pixel.
#
# A cell says: of the images that source and target both classify correctly, this share
# fools the target after the attack on the source, with its 95 % interval. The diagonal
# is no transfer, so it is framed in the heat map. It says how often the attack fools
# its own source.
#
# - The nearest neighbours are fooled least. No source reaches 20 % there.
# - The two networks that differ by chance alone fool each other with 90 % of the
#   images, almost as often as themselves (95 %).
# - The matrix is not symmetric. Images made on the first network fool the forest on
#   43 %, those made on the forest fool the network on 33 %. From logistic regression to
#   the support vector machine it is 31 %, and in the other direction 57 %. Compare
#   these two as targets, in their columns: each of the five other sources fools the
#   support vector machine less often than logistic regression, so the support vector
#   machine is harder to fool. A rate depends on the target as much as on the pair.
#
# The same in words, for each target:

print(matrix.describe())

# %%
# Two sources are called *a tie* if a paired test, which lesson 4 explains, does not
# tell their rates apart. The last sentence of each line is about an attacker who tries
# the images of all six sources: it counts the images that fool the target when they are
# made on at least one of them. *Noise of the same size* comes below.
#
# A rate needs its denominator
# ----------------------------
#
# A rate is a share of some images. Their number is its *denominator*. "How often do
# images made on the nearest neighbours fool the support vector machine?" has three
# answers, which differ in the images that count. ``TransferScorer`` calls that choice
# the ``condition``:
#
# - ``"both_correct"``: among the images that both classify correctly before the attack;
# - ``"source_fooled"``: among those of them that fool the source, so that attacks
#   that fail at their own source do not count;
# - ``"all"``: among all images, so that mistakes without an attack count too.
#
# Papers use more than one of them. One experiment is enough here, since the same
# outcomes can be counted in each way. A cell of the table is a rate, its interval, and
# the number of images that it is a share of.

import pandas as pd

conditions = ["all", "both_correct", "source_fooled"]
sources = ["logistic", "mlp 2", "5-nn"]
one_target = TransferScorer(
    generator, sources=sources, targets=["rbf svm"], condition="all", random_state=0
)
outcomes = one_target.fit(models).transfer(X_test, y_test).outcomes
figures = {}
for condition in conditions:
    frame = TransferMatrix.of(outcomes, condition).to_frame().droplevel("target")
    figures[condition] = [
        f"{row.rate:.2f} [{row.low:.2f} {row.high:.2f}] of {row.eligible:.0f}"
        for row in frame.itertuples()
    ]
pd.DataFrame(figures, index=sources)

# %%
# By the first two figures, the nearest neighbours are the weakest of these three
# sources. By the last they are the strongest, although nothing was attacked anew. Few
# attacks on the nearest neighbours succeed at all, and only 110 images are left to
# count, but these few transfer well. Neither answer is wrong. The first two say how
# much an attacker achieves who has this source, the last says how far successful
# examples carry. A rate without its denominator says neither.
#
# Controls: would noise do the same?
# ----------------------------------
#
# A target may misclassify anything that is moved, whichever model it was made for. So
# every matrix has a control: the same images with random signs of the same size. Here
# it stands beside the mean rate of the images that were made on the other models.

import matplotlib.pyplot as plt
import numpy as np

n = len(models)
names = list(models)
others = (matrix.rates.sum(axis=0) - matrix.rates.diagonal()) / (n - 1)
noise = (matrix.noise.sum(axis=0) - matrix.noise.diagonal()) / (n - 1)
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
ax.bar(np.arange(n) - 0.2, others, 0.4, label="made on the other models")
ax.bar(np.arange(n) + 0.2, noise, 0.4, label="noise of the same size")
ax.set_xticks(range(n), names)
ax.set(ylabel="share that fools the target", ylim=(0, 1))
legend = ax.legend()

# %%
# Noise fools six of the models on less than 10 % of the images. It fools the scaled
# network on 76 %, where the attacks on others have 83 %. Its column says next to
# nothing about transfer: this network is fooled by most changes of that size. Its
# scaler divides pixels that are nearly always white by their tiny standard deviation,
# and so it enlarges whatever is added to them. Without the control, it would pass for
# the model that shares most with all others.
#
# Another control looks at the wrong answers. Does the target make the *same mistake*,
# that is, does it give the wrong label that the source gives? Nine wrong labels are
# possible, so chance alone would give agreement on about one image in nine, and on more
# of them for digits that look alike. As shares of the images that fool the target:

same = pd.DataFrame(matrix.same_mistake / matrix.fooled, names, names).round(2)
same
# sphinx_gallery_thumbnail_number = 1

# %%
# The two networks make the same mistake nearly always (99 %). The scaled network, as a
# target, makes it on 36 % of the images at most: another sign that it is fooled for
# reasons of its own.

# %%
# What the literature says
# ------------------------
#
# - Papernot et al. (2016) call transfer between models of one kind *intra-technique*
#   and between kinds *cross-technique*. Their matrix on MNIST counts all samples:
#   `arXiv 1605.07277 <https://arxiv.org/abs/1605.07277>`__. It is not symmetric either.
# - Waseda et al. (2021) tell the same mistake from different ones: `arXiv 2112.14337
#   <https://arxiv.org/abs/2112.14337>`__.
# - Demontis et al. (2019) measure why some sources transfer better, by the size and the
#   alignment of gradients: `arXiv 1809.02861 <https://arxiv.org/abs/1809.02861>`__.

# %%
# Exercises
# ---------
#
# 1. Compute one cell of the matrix by hand, from ``"logistic"`` (source) to ``"mlp"``
#    (target). Make the images with ``AdversarialGenerator(FrozenEstimator(source),
#    ...)`` and the ``eps`` and ``clip_values`` of the lesson, ask both models about the
#    images of ``X_test`` before and after, and count under the condition
#    ``"both_correct"``.
#
#    Report: how many images count, and how many of them fool the target. Check:
#    ``matrix.to_frame().loc[("logistic", "mlp")]`` has the same two numbers, under
#    ``eligible`` and ``fooled``.
#
# .. solution:: 1
#
# 2. Is a change made for one image, or does it fit any image? Attack ``"mlp"`` on
#    ``X_test`` and keep the changes. Then add to each image the change that was made
#    for another image, drawn at random: once one of the same class, once one of another
#    class. Clip to [0, 1], and try the results on ``"mlp"`` itself.
#
#    Report: the share of images that fool the network, of those that it classifies
#    correctly before, with their own change, with one of the same class, and with one
#    of another class. Check: with its own change, an image is the same as the attack
#    has made it, so that the first share is the network's cell on the diagonal.
#
# .. solution:: 2
#
# 3. An attacker may attack several models at once. Make ``Ensemble([(name, model),
#    ...])`` of ``"logistic"``, ``"mlp"`` and ``"5-nn"`` (``from skhalfway import
#    Ensemble``), and give it to a ``TransferScorer`` as one more source, with
#    ``targets=["rbf svm"]`` and ``random_state=0``. The ensemble need not be fitted,
#    since its members are. Is it a better source than the best of the three alone?
#
#    Report: the four rates, and what ``describe()`` says about their order. Check: the
#    rates of the three single sources are those of the first matrix.
#
# .. solution:: 3

# %%
# A common misreading
# -------------------
#
# "The rate is low, so the target is robust." A low rate from one source may only mean
# that the attack failed at the source, or that this source is unlike the target. Look
# at the diagonal first, and then at the highest rate of the column, not at the mean.
# And "the rate is high, so the models share weaknesses" is no better as long as nobody
# has looked at the noise.
#
# Where next
# ----------
#
# The intervals in the cells are wide. Lesson 4 asks which of the differences in this
# matrix are more than chance.
