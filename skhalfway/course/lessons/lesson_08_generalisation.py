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
# - Mathematics: Kendall's rank correlation.
# - Packages: scikit-learn, pandas, matplotlib and skhalfway.
# - Time: 75 minutes. The code runs for about half a minute.
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
# each in its own way, and on noise: three times each, with other seeds.

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
# The network fits everything. Random labels take about two and a half times as many
# epochs as true ones. With true labels it is also right on most new images. The same
# holds if the pixels of all images are shuffled in the same way, because the network
# does not know which pixels are neighbours. In the other three rows it is at chance.
# **So neither the network nor the way it is trained explains why it generalises: both
# are the same in all five rows.**
#
# What memorising does to the boundary
# ------------------------------------
#
# Train three networks: one on true labels, one more from another start, and one from
# that other start with half of the labels drawn anew. All reach full training accuracy.
# The table has the lowest and highest value of three repeats. *Agreement* is with the
# first network; *fooled* is the share of the first network's adversarial examples that
# fool this one, *fools* the share of this one's that fool the first.


def perceptron(seed, width=128, alpha=0.0001, n_epochs=100):
    net = MLPClassifier((width,), alpha=alpha, batch_size=50, learning_rate_init=0.005)
    return net.set_params(
        max_iter=n_epochs, n_iter_no_change=n_epochs, random_state=seed
    )


def partly_random(y, share, rng):
    return np.where(rng.rand(len(y)) < share, rng.randint(10, size=len(y)), y)


attack = AdversarialGenerator(eps=0.1, clip_values=(0, 1))
rows = []
for seed in range(3):
    y_random = partly_random(y_train, 0.5, np.random.RandomState(seed))
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
memorising = pd.DataFrame(rows).groupby("trained on").agg(["min", "max"])
memorising.round(2)

# %%
# The start makes little difference. The network that memorised random labels changes
# its answer further from halfway (*deviation*), and mere noise fools it on a fifth of
# the images. Its own adversarial examples hardly ever fool the first network. **Its
# boundary goes around single samples.**
#
# Which network will do best?
# ---------------------------
#
# That suggests a measure: a network whose answers change near halfway has not
# memorised. Here are three measures of a fitted network, from its training data alone:
#
# - the *training accuracy*;
# - *halfway*: how near to halfway the answers change between samples of different
#   classes, that is, the deviation of the last table with a minus sign;
# - the *consensus* (``consensus_score``): a *half* is the midpoint of a sample and one
#   of its nearest neighbours. At which share of the halves does the network give the
#   same answer as other models that were trained on the same data? By default a
#   ``Jury`` of six models is trained and weighted. Four are enough here.
#
# Eight networks of different width, weight decay and number of epochs learn one
# training set. Does a measure rank them as the test accuracy does? The question is
# asked within one training set: over several, each measure would get credit for telling
# noisy training sets from clean ones.


recipes = list(itertools.product((16, 64), (0.0001, 1), (20, 80)))


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
        for k, options in enumerate(recipes)
    }
    scorer = HalfwayScorer(n_pairs=200, n_neighbors=None, random_state=0).fit(networks)
    table = pd.DataFrame(
        {
            "training accuracy": [
                net.score(X_train, y_train) for net in networks.values()
            ],
            "halfway": -scorer.measure(X_train, y_train).deviation,
            "consensus": [
                consensus_score(net, X_train, y_train, reference=others)
                for net in networks.values()
            ],
            "test accuracy": [net.score(X_test, y_test) for net in networks.values()],
        }
    )
    return table, [model.score(X_test, y_test) for model in others.values()]


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
judged = {
    (kind, seed): judge(*make(seed))
    for kind, make in kinds.items()
    for seed in range(3)
}
tau = pd.DataFrame(
    {
        key: nets.corr("kendall")["test accuracy"][:3]
        for key, (nets, _) in judged.items()
    }
).T
tau.round(2)

# %%

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharey=True, layout="constrained")
for ax, kind in zip(axes, kinds, strict=True):
    ax.axhline(0, color="0.6", lw=1)
    ax.plot(tau.loc[kind].T, "o", color="C0", alpha=0.7)
    ax.set(title=kind, xlim=(-0.5, 2.5), ylim=(-1.05, 1.05))
    ax.tick_params(axis="x", rotation=20)
_ = axes[0].set(ylabel="Kendall's tau with test accuracy")

# %%
# Each dot is a training set. **Each measure fails once**, in all three repeats:
#
# - Training accuracy ranks well on clean labels and on the ball. With random labels it
#   is negative: the network that fits them all is the worst.
# - Halfway ranks digits, clean or noisy. On the ball it ranks *upside down*: halfway
#   between two points around the ball lies the ball, so a boundary that is halfway is
#   wrong. "Halfway" is an assumption about the data.
# - Consensus ranks best where labels are random, and well on the ball, where two of the
#   four others are near chance. On clean digits it says nothing.
#
# Why does it work where it does? Here is how accurate the others are on new data:

pd.DataFrame(
    {
        "others, mean": {key: np.mean(others) for key, (_, others) in judged.items()},
        "best network": {
            key: nets.iloc[:, 3].max() for key, (nets, _) in judged.items()
        },
    }
).round(2)
# sphinx_gallery_thumbnail_number = 2

# %%
# On noisy digits the others are more accurate on average than the best network. There
# consensus rewards a network for being similar to better classifiers, and you would
# simply use these. On clean digits they are not better, and consensus fails. But this
# does not explain everything: on the ball the others are worse on average, and
# consensus ranks well. Eight networks and three training sets are a demonstration and
# no proof, and another learning rate changes the numbers. To choose a model, hold data
# out where you can.
#
# What the literature says
# ------------------------
#
# - Zhang et al. (2017) trained networks on random labels and noise: `arXiv 1611.03530
#   <https://arxiv.org/abs/1611.03530>`__.
# - Deviation and consensus are this package's own formalisation of the title of `Meet
#   you halfway <https://arxiv.org/abs/2206.04463>`__ (2022), whose definitions are not
#   public to us. The package measured them on eight data sets with 42 models each. With
#   noisy labels, consensus picked better models than every published measure that needs
#   no further training, and did not beat cross-validation. With clean labels it did
#   worse than holding out a tenth of the data.
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
#    eight networks on noisy digits as well as consensus does?
#
# .. solution:: 1
#
# 2. Train the four others on noisy digits. Which labels do they outvote at their own
#    halves? See ``measure(...).contested()``, and count how many of those are wrong.
#
# .. solution:: 2
#
# 3. Prune seven tenths of the weights of a network (``compress``). Does the pruned
#    network agree with it more than one from another start does?
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
