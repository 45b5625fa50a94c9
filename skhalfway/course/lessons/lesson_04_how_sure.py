"""
4. How sure are we?
===================

**The question.** Two transfer rates differ: is that more than chance, and what would
change if everything was done again? You check what an interval promises, compare two
attacks on the same images, and train the same network ten times.
"""

# %%
# What you need
# -------------
#
# - Earlier lessons: 1 and 3.
# - Mathematics: mean, standard deviation, binomial distribution; what a p-value is.
# - Python: numpy arrays with conditions, data frames of pandas.
# - Packages: scikit-learn, SciPy, pandas, matplotlib and skhalfway.
# - Time: about 50 minutes, and an hour for the exercises. The code takes 7 seconds.
#
# Make a prediction first
# -----------------------
#
# Write down your answers:
#
# 1. Fifty images were attacked and none of them fools the target. Up to which rate
#    might the true one be?
# 2. One network is trained ten times, with other random numbers. Images made on another
#    model are tried on all ten. Ten networks make 45 pairs. In how many pairs is the
#    difference of the rates statistically significant at the level of 5 %?

# %%
# What an interval promises
# -------------------------
#
# If a share of ``p`` of all images fools a target, the number among ``n`` images is
# binomial. A 95 % interval promises to contain ``p`` in 95 of 100 such experiments.
# Test the promise: draw 10,000 experiments with 50 images for each of several true
# rates, and count. The *naive* interval is the one that many textbooks start with, the
# share plus and minus 1.96 standard errors. The other one is Wilson's, which skhalfway
# reports.

import matplotlib.pyplot as plt
import numpy as np

Z = 1.96


def naive(k, n):
    p = k / n
    half = Z * np.sqrt(p * (1 - p) / n)
    return p - half, p + half


def wilson(k, n):
    p = k / n
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    return centre - half, centre + half


true_rates = np.array([0.02, 0.05, 0.1, 0.2, 0.3, 0.5])
drawn = np.random.RandomState(0).binomial(50, true_rates, (10000, len(true_rates)))
coverage = {}
for interval in (naive, wilson):
    low, high = interval(drawn, 50)
    coverage[interval.__name__] = ((low <= true_rates) & (true_rates <= high)).mean(
        axis=0
    )

figure, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
for (name, values), marker in zip(coverage.items(), "os", strict=True):
    ax.plot(true_rates, values, marker=marker, label=name)
    print(name, values.round(2).tolist())
ax.axhline(0.95, color="k", ls=":", label="promised")
ax.set(xlabel="true rate", ylabel="intervals that contain it", ylim=(0.5, 1.01))
legend = ax.legend(loc="lower right")

# %%
# Where the true rate is small, the naive interval breaks its promise: of 100
# experiments with a rate of 2 %, it misses the truth in about 37. When no image is
# fooled it has no width at all. Wilson's interval stays between 92 % and 97 %.
#
# The same images twice
# ---------------------
#
# Are images that were made with 40 steps (PGD) more dangerous for another model than
# those made with one step (FGSM)? The source is a logistic regression, the target a
# network. Both attacks are made on the same 1,197 test images.

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skhalfway import AdversarialGenerator, TransferScorer

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X / 16, y, train_size=600, stratify=y, random_state=0
)


def network(width, seed):
    net = MLPClassifier((width,), tol=1e-3, max_iter=1000, random_state=seed)
    return net.fit(X_train, y_train)


recipes = {width: [network(width, seed) for seed in range(10)] for width in (64, 128)}
models = {"logistic": LogisticRegression(max_iter=1000).fit(X_train, y_train)}
for width, nets in recipes.items():
    models |= {f"{width} #{seed}": net for seed, net in enumerate(nets)}


def attacked_by(attack, targets):
    generator = AdversarialGenerator(attack=attack, eps=0.1, clip_values=(0, 1))
    scorer = TransferScorer(
        generator, sources=["logistic"], targets=targets, random_state=0
    )
    return scorer.fit(models).transfer(X_test, y_test)


one_step, many_steps = (attacked_by(attack, ["64 #0"]) for attack in ("fgsm", "pgd"))
for name, matrix in {"FGSM": one_step, "PGD": many_steps}.items():
    low, high = matrix.confidence_interval()
    print(f"{name}: {matrix.rates[0, 0]:.3f}, from {low[0, 0]:.3f} to {high[0, 0]:.3f}")
comparison = one_step.compare(many_steps)
comparison.to_frame().round(4)

# %%
# The two intervals overlap widely, and yet the difference is not chance. Both attacks
# met the same images: 22 images fool the network only when they are made with many
# steps (``only_other`` in the table), and 3 only when they are made with one step
# (``only_first``). All others fool it in both cases or in neither, and tell nothing. If
# both attacks were equally good, as many should be of either kind. This is *McNemar's
# test*, and ``compare`` computes it. Hard images are hard for both attacks. They widen
# both intervals, and cancel in the difference.
#
# Train again
# -----------
#
# Now the target is trained ten times with a hidden layer of 64 neurons and ten times
# with 128. The ten networks of one width differ only by the random numbers of their
# training. The attacked images are the same for all twenty.

import pandas as pd

names = [name for name in models if name != "logistic"]
matrix = attacked_by("pgd", names)
rates = pd.Series(matrix.rates[0], names)
low, high = matrix.confidence_interval()

figure, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
for start, (width, marker) in enumerate([(64, "o"), (128, "s")]):
    at, chosen = np.arange(10) + 12 * start, slice(10 * start, 10 * start + 10)
    bars = np.abs(
        np.array([low[0, chosen], high[0, chosen]]) - rates.iloc[chosen].to_numpy()
    )
    ax.errorbar(
        at, rates.iloc[chosen], bars, fmt=marker, capsize=2, label=f"{width} neurons"
    )
    ax.hlines(rates.iloc[chosen].mean(), at[0], at[-1], color="k", ls=":")
ax.set(
    ylabel="transfer rate", xlabel="networks, in the order of their seeds", xticks=[]
)
ax.set_ylim(0.28, 0.43)
legend = ax.legend(loc="upper left")

# %%
# Compare all pairs among the ten networks of 64 neurons, each pair by McNemar's test.
# All ten have the same *training recipe*: the data, the width and all settings, that
# is, everything but the random numbers. So a test about recipes should find a
# difference in 5 % of the pairs, about two.

from itertools import combinations

from scipy.stats import binomtest

outcomes = matrix.outcomes
counts = (outcomes.clean == outcomes.labels).all(axis=0)  # all models are right before
fooled = (outcomes.adversarial[0] != outcomes.labels)[:, counts]


def mcnemar(first, second):
    only_first, only_second = (first & ~second).sum(), (~first & second).sum()
    return binomtest(only_first, only_first + only_second).pvalue


pairs = combinations(range(10), 2)
p_values = np.array([mcnemar(fooled[i], fooled[j]) for i, j in pairs])
print(f"{np.sum(p_values < 0.05)} of {len(p_values)} pairs differ at the level of 5 %")

# %%
# It finds 13. The test is right, and yet a conclusion about recipes would be wrong:
# there is only one recipe. McNemar's test asks whether these two *networks* differ on
# images of this kind, and trained networks do differ. It knows nothing about networks
# that were not trained. An interval over images does not contain the chance of the
# training.
#
# Compare recipes, not runs
# -------------------------
#
# Whether wider networks are fooled more often is a question about recipes. So the unit
# is one training run, and each recipe gives ten numbers. Their spread, not the number
# of images, says how sure the difference is. Welch's t test compares the means of two
# such samples.

from scipy.stats import ttest_ind

narrow, wide = rates.iloc[:10].to_numpy(), rates.iloc[10:].to_numpy()
test = ttest_ind(wide, narrow, equal_var=False)
interval = test.confidence_interval()
print(f"64 neurons: {narrow.mean():.3f}, standard deviation {narrow.std(ddof=1):.3f}")
print(f"128 neurons: {wide.mean():.3f}, standard deviation {wide.std(ddof=1):.3f}")
print(f"difference {wide.mean() - narrow.mean():.3f}, ", end="")
print(f"95 % interval {interval.low:.3f} to {interval.high:.3f}, p {test.pvalue:.4f}")
reversed_order = (wide[:, np.newaxis] < narrow).mean()
print(f"one run of each gives the opposite order in {reversed_order:.0%} of all pairs")
# sphinx_gallery_thumbnail_number = 2

# %%
# With ten runs of each, the wider networks are fooled more often, by about two points.
# With one run of each you would have found the opposite in about one of ten cases (9
# %), and you would not have known. The answer still holds only for this training set,
# this source and this attack: whatever stays the same in all runs is not in the
# interval.

# %%
# What the literature says
# ------------------------
#
# - Papernot et al. (2016) print one rate for each pair of models, in per cent with two
#   decimals: `arXiv 1605.07277 <https://arxiv.org/abs/1605.07277>`__.
# - Jiang et al. (2019) judge measures of generalisation on a whole collection of
#   trained networks, not on one: `arXiv 1912.02178
#   <https://arxiv.org/abs/1912.02178>`__.
# - Somepalli et al. (2022) measure how far two trained models agree in their decision
#   regions: `arXiv 2203.08124 <https://arxiv.org/abs/2203.08124>`__.

# %%
# Exercises
# ---------
#
# 1. No image of 50 fools a target. Which rates are compatible with that, by the
#    function ``wilson`` of this lesson? And how many images without a success are
#    needed until the upper end of the interval is below 1 %?
#
#    Report: the interval for 0 of 50, and the number of images. Check: with one image
#    less, the upper end is 1 % or more.
#
# .. solution:: 1
#
# 2. ``fooled`` has a row for each of the twenty networks and a column for each image
#    that counts. Split the columns at random into two halves, and compare the rates of
#    each network between the halves by Fisher's exact test (``scipy.stats``), which
#    takes the table ``[[fooled, not fooled], [fooled, not fooled]]``. Nothing differs
#    but chance. Repeat it with 100 splits.
#
#    Report: in how many of the 100 repetitions at least one of the twenty p-values is
#    below 0.05, and in how many if each is multiplied by 20 first (*Bonferroni's
#    correction*). Check: of all 2,000 p-values, about 5 % are below 0.05 before the
#    correction.
#
# .. solution:: 2
#
# 3. ``TransferScorer(generator).fit(models).robust_accuracy`` is a scorer for
#    scikit-learn's searches: the share of images that a candidate gets right as they
#    are and as attacked on each of ``models``. Take ``models["logistic"]`` and
#    ``models["64 #0"]`` as these, and PGD with the budget and the ``clip_values`` of
#    the lesson. Compare ``SVC(gamma=0.03)`` and ``SVC(gamma=1)`` by
#    ``cross_validate`` on ten random splits of ``X_test`` and ``y_test``, with 67 % of
#    the images for training (``ShuffleSplit(10, train_size=0.67, random_state=0)``).
#
#    Report: the mean difference of the accuracy and of the robust accuracy over the ten
#    splits, with an interval of Student's t. The splits share images, so ten splits are
#    not ten data sets: what does that mean for the interval? Check: both candidates are
#    compared on the same splits, so that the differences are paired.
#
# .. solution:: 3

# %%
# A common misreading
# -------------------
#
# "The intervals overlap, so there is no difference" and "p is below 0.05, so this
# method is better" are both wrong. The first forgets that both rates come from the same
# images. The second takes one run of a method for the method. Before you compute an
# interval, say what would be drawn again if the experiment was repeated: images,
# training runs, or data sets.
#
# Where next
# ----------
#
# So far the attacker knew the gradient of some model. Lesson 5 takes that away and
# counts what an attack costs that may only ask questions.
