"""
8. Why do networks generalise?
==============================

**The question.** Networks can memorise random labels: why then do they generalise from
true ones, and can we tell from the training data alone which of them will? We test
three answers, and each of them fails somewhere.
"""

# %%
# What you need
# -------------
#
# - Earlier lessons: 4 (several seeds), 7 (crossings).
# - Mathematics: Kendall's rank correlation (1 for the same order, 0 for no relation, -1
#   for the opposite order).
# - Python: data frames of pandas with groups and with two levels of columns.
# - Packages: scikit-learn, pandas, matplotlib and skhalfway.
# - Time: about 60 minutes, and an hour for the exercises. The code takes 15 seconds.
#
# Make a prediction first
# -----------------------
#
# Write down your answers before you run anything.
#
# 1. A network needs about a dozen epochs to reach full training accuracy on 100 digits.
#    Does it reach it on 100 digits with random labels? In how many epochs?
# 2. Two fifths of the labels of a training set are random. Is the network of the
#    highest training accuracy among the best on new data, or among the worst?

# %%
# Networks memorise
# -----------------
#
# ``memorization_curve`` trains the same network on true labels, on random labels, on
# images whose pixels are shuffled (all in the same way), on images that are shuffled
# each in its own way (*random pixels*), and on noise: three times each, with other
# seeds. The number of *epochs* is the first at which the network is right on 99 % of
# its training data.

import itertools
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, make_hastie_10_2
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, HalfwayScorer, TransferScorer
from skhalfway.halfway import consensus_score
from skhalfway.inspection import memorization_curve

warnings.simplefilter("ignore", ConvergenceWarning)  # epochs are chosen, not found
digits, names = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    digits / 16, names, train_size=300, stratify=names, random_state=0
)
network = MLPClassifier((128,), batch_size=20, learning_rate_init=0.005)
memorization = memorization_curve(
    network,
    X_train[:100],
    y_train[:100],
    X_test=X_test[:500],
    y_test=y_test[:500],
    n_epochs=60,
    random_state=0,
)
lines = memorization.learning.plot()
memorization

# %%
# The network fits everything: the training accuracy is 1 in all five rows. Random
# labels take 33 epochs on average, two and a half times as many as true ones. The rows
# differ on new images. With true labels the network is right on 88 % of them. With
# pixels that are shuffled in the same way for all images it is right on as many,
# because the network does not know which pixels are neighbours. In the other three rows
# it is at chance, 9 to 12 %. **So the network and the way it is trained cannot explain
# alone, without the data, why it generalises: both are the same in all five rows.**
#
# What memorising does to the boundary
# ------------------------------------
#
# Train three networks: a first one on true labels, a second one on the same labels from
# another random start, and a third one from that other start with half of the labels
# drawn at random. The first line of the output says that all reach full training
# accuracy. The table has a row for each of them, with the lowest and the highest value
# of three repeats:
#
# - *deviation* and *agreement* are those of lesson 7, on paths between test samples.
#   The deviation says how far from halfway the network changes its answer, and the
#   agreement whether it changes it where the first network does;
# - *fooled* is the share of the first network's adversarial examples that fool the
#   network of the row, *fools* the share of its own that fool the first network;
# - *noise* is the share of images on which random noise of the same size fools it.
#
# In its own row, the first network is compared with itself.


def perceptron(seed, width=128, alpha=0.0001, n_epochs=100):
    net = MLPClassifier((width,), alpha=alpha, batch_size=50, learning_rate_init=0.005)
    return net.set_params(
        max_iter=n_epochs, n_iter_no_change=n_epochs, random_state=seed
    )


def partly_random(y, share, rng):
    return np.where(rng.rand(len(y)) < share, rng.randint(10, size=len(y)), y)


attack = AdversarialGenerator(eps=0.1, clip_values=(0, 1))
rows, fits = [], []
for seed in range(3):
    y_random = partly_random(y_train, 0.5, np.random.RandomState(seed))
    labels_of = {
        "true labels": y_train,
        "other start": y_train,
        "half random": y_random,
    }
    models = {
        "true labels": perceptron(seed).fit(X_train, y_train),
        "other start": perceptron(seed + 10).fit(X_train, y_train),
        "half random": perceptron(seed + 10).fit(X_train, y_random),
    }
    scorer = HalfwayScorer(n_pairs=200, n_neighbors=None, random_state=0).fit(models)
    where = scorer.measure(X_test, y_test)
    matrix = TransferScorer(attack, random_state=0).fit(models)
    matrix = matrix.transfer(X_test[:100], y_test[:100])
    for k, name in enumerate(models):
        fits.append(models[name].score(X_train, labels_of[name]))
        rows.append(
            {
                "trained on": name,
                "test accuracy": models[name].score(X_test, y_test),
                "deviation": where.deviation[k],
                "agreement": where.agreement[0, k],
                "fooled": matrix.rates[0, k],
                "fools": matrix.rates[k, 0],
                "noise": matrix.noise[0, k],
            }
        )
print(f"lowest training accuracy of all {len(fits)} networks: {min(fits):.2f}")
memorising = pd.DataFrame(rows).groupby("trained on", sort=False).agg(["min", "max"])
memorising.round(2)

# %%
# The start makes little difference: the first two networks are equally accurate,
# deviate equally from halfway (.11), and agree (.95 or more). The network that
# memorised random labels is right on 58 to 60 % of the test images. It changes its
# answer further from halfway (.18 to .21) and at other places (an agreement of .41 at
# most). Mere noise fools it on a fifth of the images, and the others on none. Its own
# adversarial examples hardly ever fool the first network (2 % at most). All of this
# fits a boundary that goes around single samples.
#
# Which network will do best?
# ---------------------------
#
# That suggests a measure of how well a network will do on new data: a network whose
# answers change near halfway has not memorised. Here are three measures of a fitted
# network, from its training data alone:
#
# - the *training accuracy*;
# - *halfway*: how near to halfway the answers change between samples of different
#   classes, that is, the deviation of the last table with a minus sign;
# - the *consensus* (``consensus_score``): a *half* is the midpoint of a sample and one
#   of its nearest neighbours. At which share of the halves does the network give the
#   same answer as other models that were trained on the same data? By default these are
#   a *jury*: six classical models, whose votes have larger weights if they are more
#   accurate in cross-validation. Four models with equal votes, the *others*, are enough
#   here.
#
# Eight networks of different width, weight decay and number of epochs learn one
# training set. Does a measure rank them as the test accuracy does? Kendall's tau says
# how far: 1 for the same order, 0 for no relation, -1 for the opposite order. There are
# three kinds of data, with three training sets each. In the *ball*, one class lies
# inside of a sphere in ten dimensions, and the other one around it. Each tau is over
# the eight networks of one training set: over several, each measure would get credit
# for telling noisy training sets from clean ones.


# of each network: its width, its weight decay and its number of epochs
settings = list(itertools.product((16, 64), (0.0001, 1), (20, 80)))


def fitted_others(X, y):
    models = {
        "forest": RandomForestClassifier(50, min_samples_leaf=5, random_state=0),
        "rbf svm": SVC(),
        "logistic": LogisticRegression(C=0.1, max_iter=1000),
        "15-nn": KNeighborsClassifier(15),
    }
    return {name: model.fit(X, y) for name, model in models.items()}


def judge(X_train, y_train, X_test, y_test):
    others = fitted_others(X_train, y_train)
    networks = {
        str(k): perceptron(k, *options).fit(X_train, y_train)
        for k, options in enumerate(settings)
    }
    scorer = HalfwayScorer(n_pairs=200, n_neighbors=None, random_state=0).fit(networks)
    deviations = scorer.measure(X_train, y_train).deviation
    rows = []
    for net, deviation in zip(networks.values(), deviations, strict=True):
        rows.append(
            {
                "training accuracy": net.score(X_train, y_train),
                "halfway": -deviation,
                "consensus": consensus_score(net, X_train, y_train, reference=others),
                "test accuracy": net.score(X_test, y_test),
            }
        )
    accuracies = {name: model.score(X_test, y_test) for name, model in others.items()}
    return pd.DataFrame(rows), accuracies


def digits_with_noise(share, seed):
    X_train, X_test, y_train, y_test = train_test_split(
        digits / 16, names, train_size=300, stratify=names, random_state=seed
    )
    y_train = partly_random(y_train, share, np.random.RandomState(seed))
    return X_train, y_train, X_test, y_test


def ball(seed):  # ten dimensions: one class lies in a ball, the other around it
    X, y = make_hastie_10_2(3000, random_state=seed)
    return X[:300], y[:300], X[300:], y[300:]


kinds = {
    "digits": lambda seed: digits_with_noise(0, seed),
    "digits, 40 % of labels random": lambda seed: digits_with_noise(0.4, seed),
    "a ball and around it": ball,
}
judged, tau = {}, {}
for kind, make in kinds.items():
    for seed in range(3):
        judged[kind, seed] = judge(*make(seed))
        nets = judged[kind, seed][0]  # a row for each network
        tau[kind, seed] = nets.corr("kendall")["test accuracy"][:3]
tau = pd.DataFrame(tau).T
tau.round(2)

# %%

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, kind in zip(axes, kinds, strict=True):
    ax.axhline(0, color="0.6", lw=1)
    ax.plot(tau.loc[kind].T, "o", color="C0", alpha=0.7)
    ax.set(title=kind, xlim=(-0.5, 2.5), ylim=(-1.05, 1.05))
    ax.tick_params(axis="x", rotation=20)
_ = axes[0].set(ylabel="Kendall's tau with test accuracy")

X_ball, y_ball, _, _ = ball(0)
middle = (X_ball[y_ball < 0][:100] + X_ball[y_ball > 0][:100]) / 2
in_ball = np.sum(middle**2, axis=1) < 9.34  # the square of the radius
print(
    f"halfway from inside to outside, still inside: {in_ball.mean():.0%} of the points"
)

# %%
# Each dot is a training set. **Each measure fails on one of the three kinds of data**,
# in all three training sets:
#
# - *Training accuracy* ranks well on clean labels and on the ball (a tau of .71 or
#   more). With random labels its tau is negative (-.21 to -.36): the network that fits
#   them best is the worst on new data.
# - *Halfway* ranks digits well if labels are noisy (.43 to .64), and in two of three
#   training sets if they are clean (.21, .55 and .71). On the ball it ranks *upside
#   down* (-.50 to -.64). In ten dimensions, the point halfway between one in the ball
#   and one outside of it lies in the ball, in all of 100 cases here. A boundary that is
#   halfway is wrong there. So "halfway" is an assumption about the data.
# - *Consensus* ranks best where labels are random (.79 to .91), and well on the ball
#   (.69 to .93). On clean digits it says nothing (-.19 to .14).
#
# Why does consensus work where it does? Here is how accurate the others are on new
# data, beside the best of the eight networks:

rows = {}
for key, (nets, others) in judged.items():
    best = nets["test accuracy"].max()
    rows[key] = others | {"others, mean": np.mean(list(others.values()))}
    rows[key]["best network"] = best
accuracies = pd.DataFrame(rows).T
assert (accuracies["rbf svm"] > accuracies["best network"]).all()
accuracies.round(2)
# sphinx_gallery_thumbnail_number = 2

# %%
# On noisy digits the others are a little more accurate on average than the best
# network, by one point. There consensus rewards a network for being similar to better
# classifiers, and you would simply use these. On clean digits they are two or three
# points worse than the best network, and consensus fails. But this does not explain
# everything. On the ball two of the four others are near chance, which is .5 there, and
# on average they are far worse than the best network. Consensus ranks well even so. One
# of the others, the support vector machine, is better than the best network in each
# row, even where consensus fails.
#
# Eight networks and three training sets are a demonstration and no proof, and another
# learning rate changes the numbers. To choose a model, hold data out where you can.
#
# What the literature says
# ------------------------
#
# - Zhang et al. (2017) trained networks on random labels and noise: `arXiv 1611.03530
#   <https://arxiv.org/abs/1611.03530>`__.
# - Deviation and consensus are this package's own formalisation of the title of `Meet
#   you halfway <https://arxiv.org/abs/2206.04463>`__ (2022), whose definitions are not
#   public to us. The package measured consensus on eight data sets with 42 models each,
#   by the *excess error*: how many points higher the test error of the model that a
#   measure picks is than that of the best of the 42. With noisy labels, consensus with
#   the jury has 5.2 points. Every published measure that needs no further training has
#   more. Five-fold cross-validation, which trains each model five times more, has 4.3,
#   a difference that may be chance. With clean labels, consensus has 5.6 points and
#   cross-validation 2.4.
# - Jiang et al. (2022) estimate the test error from the disagreement of two trained
#   copies: `arXiv 2106.13799 <https://arxiv.org/abs/2106.13799>`__.
# - Agreement of models did better than confidence and smoothness under shift and label
#   noise in `arXiv 2303.13589 <https://arxiv.org/abs/2303.13589>`__.
# - Few of 40 measures were stable over 10,000 configurations in `arXiv 2602.01718
#   <https://arxiv.org/abs/2602.01718>`__.
#
# Exercises
# ---------
#
# 1. Two-fold cross-validation holds data out, with their noisy labels. Does it rank the
#    eight networks on noisy digits as well as consensus does? Take the training sets of
#    ``digits_with_noise(0.4, seed)`` for the seeds 0, 1 and 2, and
#    ``cross_val_score(..., cv=2)`` for a ``perceptron`` of each of the eight
#    ``settings``. As in ``judge``, the seed of a network is its index in ``settings``:
#    ``perceptron(k, *settings[k])``.
#
#    Report: for each seed, Kendall's tau of the mean score with the test accuracy,
#    which ``judged["digits, 40 % of labels random", seed][0]`` has, beside the tau of
#    consensus. Check: the networks in ``judged`` are in the order of ``settings``.
#
# .. solution:: 1
#
# 2. Train the four models of ``fitted_others`` on ``digits_with_noise(0.4, 0)``, and
#    measure them with ``HalfwayScorer(random_state=0)``. The method ``contested()`` of
#    the measurement lists the training samples whose label the models outvote at the
#    halves of that sample, and the label that they suggest.
#    ``digits_with_noise(0, 0)`` has the same samples with their true labels.
#
#    Report: how many samples are contested, how many of these have a wrong label, how
#    many wrong labels there are at all, and how often the suggested label is the true
#    one. Check: about 36 % of the labels are wrong, since a random label is right one
#    time in ten.
#
# .. solution:: 2
#
# 3. Does a pruned network agree with the network that it comes from more than one from
#    another start does? For the seeds 0, 1 and 2, train ``perceptron(seed)`` and
#    ``perceptron(seed + 10)`` on the first training set of this lesson, ``X_train`` and
#    ``y_train``, and prune the first one with ``compress(network, 0.3)`` of
#    ``skhalfway.inspection``, which keeps three tenths of the weights. Measure the
#    agreement of all three as in the second section.
#
#    Report: for each seed, the agreement of the network with its pruned self and with
#    the other one. Check: a network's agreement with itself is 1.
#
# .. solution:: 3
#
# A common misreading
# -------------------
#
# "Networks that memorise cannot generalise." The networks on true labels fit all of
# their training samples too. Training accuracy alone does not tell memorising from
# learning: that is the point of Zhang et al. Random labels tell them apart, because
# there memorising is all that is left.
#
# Where next
# ----------
#
# Lesson 9 asks the reverse: what do networks learn from samples whose labels are all
# wrong, but which were perturbed towards these labels? Lesson 11 looks for answers in
# the weights.
