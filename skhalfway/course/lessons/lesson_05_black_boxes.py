"""
5. Black boxes: queries and surrogates
======================================

**The question.** An attacker can ask a classifier for answers, and has nothing else.
How can such an attack work, and what does it cost? You attack a service in two ways, by
many queries for each image and by a surrogate that learns from its answers, and compare
both at the same number of queries.
"""

# %%
# What you need
# -------------
#
# - Earlier lessons: 2 (attacks), 3 (transfer rates and controls), 4 (intervals).
# - Mathematics: medians and quartiles, logarithmic axes.
# - Python: classes with methods (you read one).
# - Packages: scikit-learn, SciPy, pandas, matplotlib and skhalfway.
# - Time: about 55 minutes, and an hour for the exercises. The code takes 12 seconds.
#
# Make a prediction first
# -----------------------
#
# A service recognises digits. It answers with a digit and nothing else: no score, no
# gradient. Write down your answers:
#
# 1. How many queries does an attack need for one image, until its change is at most one
#    and a half times as large as that of an attacker who has the gradient: 100, 1,000
#    or 10,000?
# 2. An attacker asks the service about 50 images, trains a network on the answers, and
#    attacks the network. What share of the results fools the service? And with 400
#    answers?

# %%
# A service that only answers
# ---------------------------
#
# The service holds a support vector machine, and nobody outside knows that. It counts
# its queries. skhalfway treats every object with ``predict`` and ``classes_`` in this
# way if it knows no gradient for it, so the model may be a program on another machine.
#
# The owner trains on 700 images. The attacker has 800 other images without labels, and
# wants to change the answers for 100 further ones that the service classifies
# correctly.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, TransferScorer


class Service(ClassifierMixin, BaseEstimator):
    """A classifier that can only be asked for answers, and counts them."""

    def fit(self, X, y):
        self._model = SVC(gamma=0.03, C=10).fit(X, y)
        self.classes_, self.n_asked_ = self._model.classes_, 0
        return self

    def predict(self, X):
        self.n_asked_ += len(X)
        return self._model.predict(X)


X, y = load_digits(return_X_y=True)
X_owner, X_rest, y_owner, y_rest = train_test_split(
    X / 16, y, train_size=700, stratify=y, random_state=0
)
X_own, X_test, _, y_test = train_test_split(
    X_rest, y_rest, train_size=800, stratify=y_rest, random_state=0
)
service = Service().fit(X_owner, y_owner)
print(f"accuracy of the service: {service.score(X_test, y_test):.2f}")
is_right = service.predict(X_test) == y_test
X_victims, y_victims = X_test[is_right][:100], y_test[is_right][:100]

# %%
# What a distance costs
# ---------------------
#
# *HopSkipJump* starts at another image, which the service gives another label. Then it
# walks back towards the image that it attacks, and stays just across the boundary. It
# finds the way by queries at random points nearby. ``"halfway"`` is an attack of
# skhalfway that uses queries along straight lines. Both run until their queries are
# spent if ``eps`` is infinite, and ``distances_`` says how close they came.
#
# How close could they come? For comparison, ``"fmn"`` searches with the gradient of the
# model inside, which an attacker does not have. The first 40 images are enough.

few = X_victims[:40], y_victims[:40]


def distances(model, attack, **options):
    generator = AdversarialGenerator(
        FrozenEstimator(model), attack=attack, eps=np.inf, clip_values=(0, 1), **options
    )
    generator.set_params(random_state=0).generate(*few)
    return generator.distances_


attacks = {"HopSkipJump": "hopskipjump", "halfway": "halfway"}
n_queries = [50, 200, 800]
found = {}
for name, attack in attacks.items():
    for n in n_queries:
        found[name, n] = distances(service, attack, max_queries=n)
with_gradient = distances(service._model, "fmn")
ratio = pd.DataFrame(found).median().unstack() / np.median(with_gradient)
figure, ax = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
for name, marker in zip(attacks, "os", strict=True):
    low, middle, high = np.quantile(
        [found[name, n] for n in n_queries], [0.25, 0.5, 0.75], axis=1
    )
    (line,) = ax.plot(n_queries, middle, marker=marker, label=name)
    ax.fill_between(n_queries, low, high, color=line.get_color(), alpha=0.15)
ax.axhline(np.median(with_gradient), color="k", ls=":", label="with the gradient")
ax.set(xscale="log", xlabel="queries for one image", ylabel="largest change of a pixel")
ax.set_xticks(n_queries, n_queries)
ax.set_ylim(0, 0.36)
ax.minorticks_off()
ax.legend()
ratio.round(2)

# %%
# The lines are medians, and half of the images lie in the shaded bands. The table has
# the medians divided by the one with the gradient. The first queries pay most. With 50,
# HopSkipJump needs a change that is twice as large as with the gradient, with 200 one
# and a half times, and with 800 a quarter more. The halfway attack comes closer with
# the same number of queries. **A service that hides its gradient is not safe. Hiding it
# only gives the attack a price.**
#
# Equal numbers of queries
# ------------------------
#
# An attacker with a budget asks a different question: which share of the images is
# fooled by a change of at most 0.15? Attacks may only be compared at the same number of
# queries. This holds for the control too. Random noise is usually tried once. An
# attacker who may ask 400 times can also try 400 random changes and keep the best.

EPS = 0.15


def share(fooled):
    interval = binomtest(int(fooled.sum()), len(fooled)).proportion_ci(method="wilson")
    return fooled.mean(), interval.low, interval.high


def fooled_by(attack, n, model=service):
    generator = AdversarialGenerator(
        FrozenEstimator(model),
        attack=attack,
        eps=EPS,
        clip_values=(0, 1),
        max_queries=n,
        random_state=0,
    )
    return service.predict(generator.generate(X_victims, y_victims)) != y_victims


rng = np.random.RandomState(0)
noises = []  # for each of 400 random changes: which images it fools
for _ in range(400):
    signs = rng.choice([-1, 1], X_victims.shape)
    answers = service.predict(np.clip(X_victims + EPS * signs, 0, 1))
    noises.append(answers != y_victims)
noises = np.array(noises)

budgets = [50, 100, 200, 400]
by_queries = {}  # for each attack and number of queries: which images are fooled
for name, attack in attacks.items():
    by_queries[name] = {n: fooled_by(attack, n) for n in budgets}
best_noise = "best of as many noises"
by_queries[best_noise] = {n: noises[:n].any(axis=0) for n in budgets}
white_box = fooled_by("pgd", 1, model=service._model)
print(f"with the gradient: {white_box.mean():.2f}")
print(f"one noise, mean of 400: {noises.mean():.3f}")
shares = {}
for name, results in by_queries.items():
    shares[name] = {n: fooled.mean() for n, fooled in results.items()}
pd.DataFrame(shares).round(2)

# %%
# Each share has an interval of up to 10 points on either side. One random change fools
# the service on 2 % of the images on average, and the best of 50 on 16 %. So
# HopSkipJump with 50 queries, 17 %, is no better than random tries, and with 100 it is
# not either. Beside a single noise it would have looked many times as good. With 400
# queries, both attacks are ahead of as many random tries. All were tried on the same
# images, so McNemar's test of lesson 4 applies:

for name in attacks:
    attack, control = by_queries[name][400], by_queries[best_noise][400]
    only = np.sum(attack & ~control), np.sum(control & ~attack)
    p = binomtest(only[0], sum(only)).pvalue
    print(f"{name}: fooled by it alone {only[0]}, by noise alone {only[1]}, p {p:.1g}")

# %%
# A surrogate
# -----------
#
# The other way needs no queries about the attacked images. The attacker asks for
# answers on images of their own, trains a model on them, the *surrogate*, and attacks
# that one with its gradient. Here are surrogates of three kinds and four numbers of
# answers. Each number is drawn three times from the attacker's 800 images.

SURROGATES = {
    "logistic": LogisticRegression(max_iter=1000),
    "network": MLPClassifier((64,), tol=1e-3, max_iter=1000, random_state=0),
    "rbf svm": SVC(),
}


def transfer_after(n_answers, draw):
    rows = np.random.RandomState(draw).permutation(len(X_own))[:n_answers]
    answers = service.predict(X_own[rows])
    models = {}
    for name, model in SURROGATES.items():
        models[name] = clone(model).fit(X_own[rows], answers)
    same = [model.predict(X_test) == y_service for model in models.values()]
    scorer = TransferScorer(
        AdversarialGenerator(eps=EPS, clip_values=(0, 1)),
        sources=list(models),
        targets=["service"],
        condition="all",
        random_state=0,
    ).fit(models | {"service": service})
    return np.mean(same, axis=1), scorer.transfer(X_victims, y_victims)


y_service = service.predict(X_test)
n_answers = [50, 100, 200, 400]
learnt = {(n, draw): transfer_after(n, draw) for n in n_answers for draw in range(3)}
learnt[400, 0][1]

# %%
# A cell is the share of all 100 images that fools the service, with its interval. Three
# draws show what else is chance: which images the attacker happens to own. The figure
# has each draw as a dot. The lines go through their means, and the bars are the
# intervals of the first draw.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
agreement, rates = np.empty((2, len(n_answers), 3, len(SURROGATES)))
for i, n in enumerate(n_answers):
    for draw in range(3):
        agreement[i, draw], matrix = learnt[n, draw]
        rates[i, draw] = matrix.rates[:, 0]
for k, name in enumerate(SURROGATES):
    for ax, values in zip(axes, (agreement, rates), strict=True):
        ax.plot(n_answers, values[..., k], "o", color=f"C{k}", ms=3, alpha=0.5)
        ax.plot(n_answers, values[..., k].mean(axis=1), color=f"C{k}", label=name)
    intervals = [learnt[n, 0][1].confidence_interval() for n in n_answers]
    ends = np.array([[low[k, 0], high[k, 0]] for low, high in intervals]).T
    axes[1].vlines(np.multiply(n_answers, 1 + 0.04 * k), *ends, color=f"C{k}", lw=1)
axes[1].axhline(noises.mean(), color="0.5", ls="--", label="noise, one try")
for ax, title in zip(
    axes, ("same answer as the service", "attacks that fool the service"), strict=True
):
    ax.set(xscale="log", xlabel="answers that were asked for", title=title, ylim=(0, 1))
    ax.set_xticks(n_answers, n_answers)
    ax.minorticks_off()
legend = axes[1].legend(frameon=False)
columns = pd.Index(SURROGATES), pd.Index(n_answers, name="answers")
print(
    "same answer", pd.DataFrame(agreement.mean(axis=1).T, *columns).round(2), sep="\n"
)
print("fools it", pd.DataFrame(rates.mean(axis=1).T, *columns).round(2), sep="\n")

# %%
# The more answers, the better the surrogate: the share that fools the service grows
# from 22 to 24 % with 50 answers to 35 to 44 % with 400, as means over the draws. With
# 400 answers it is above that of 50 answers in every draw and for every kind. All of
# this is far above one noise, 2 %. Two more things are seen:
#
# - The left panel saturates, the right one does not. A network with 100 answers gives
#   the service's answer to 88 % of the images, but its adversarial examples fool the
#   service on a quarter (25 %). A surrogate that answers alike need not have its
#   boundaries at the same places.
# - The kind of surrogate makes a difference of 10 points at most, although one of the
#   kinds is the one inside of the service. The attacker need not know it.
#
# The bill
# --------
#
# Now count the queries of both ways. A query attack pays for each image anew. A
# surrogate is paid for once, and each image then takes one query, the attempt. Here is
# the bill for 100 images.

bills = {}  # queries per image, and the share that is fooled with its interval
for name, results in by_queries.items():
    bills[name] = list(results), [share(fooled) for fooled in results.values()]
network = list(SURROGATES).index("network")
paid, rows = [], []
for n in n_answers:
    matrix = learnt[n, 0][1]
    low, high = matrix.confidence_interval()
    rows.append((matrix.rates[network, 0], low[network, 0], high[network, 0]))
    paid.append(n / len(X_victims) + 1)
bills["surrogate, a network"] = paid, rows

figure, ax = plt.subplots(figsize=(7.5, 3.8), layout="constrained")
for (name, (paid, rows)), marker in zip(bills.items(), "os^D", strict=True):
    middle, low, high = np.transpose(rows)
    bars = middle - low, high - middle
    ax.errorbar(paid, middle, bars, marker=marker, capsize=3, ms=5, label=name)
ax.axhline(white_box.mean(), color="k", ls=":", label="with the gradient")
ax.set(xscale="log", xlabel="queries per attacked image", ylim=(0, 1))
ax.set_ylabel(f"share fooled within {EPS}")
legend = figure.legend(loc="outside right upper", frameon=False)
# sphinx_gallery_thumbnail_number = 3

# %%
# With 5 queries per image, the surrogate fools the service about as often as
# HopSkipJump does with 400. The halfway attack with 400 queries fools it more often
# than both, and comes nearer to the attacker who has the gradient. So each way has its
# place:
#
# - With many images to attack, a surrogate saves queries. With a single one, the same
#   surrogate costs 401 queries, and the halfway attack fools more with 400.
# - A surrogate has one attempt for each image. A query attack gets closer with every
#   query.
# - The owner can notice hundreds of queries around one image. The 400 images that a
#   surrogate learns from look like those of any user.

# %%
# What the literature says
# ------------------------
#
# - HopSkipJump is an attack of Chen, Jordan and Wainwright (2020): `arXiv 1904.02144
#   <https://arxiv.org/abs/1904.02144>`__.
# - Papernot et al. (2017) trained substitutes on the answers of a black box, and made
#   the questions themselves: `arXiv 1602.02697 <https://arxiv.org/abs/1602.02697>`__.
#   Exercise 2 tries it.
# - Papernot, McDaniel and Goodfellow (2016) measured how far such samples transfer
#   between models of different kinds: `arXiv 1605.07277
#   <https://arxiv.org/abs/1605.07277>`__.
# - The halfway attack is this package's own, and no paper describes it.

# %%
# Exercises
# ---------
#
# 1. Combine both ways. Train ``SURROGATES["network"]`` on the service's answers to
#    ``X_own[:400]``, and attack the 100 ``X_victims`` on it with the gradient and the
#    budget ``EPS``. Then run the halfway attack with ``max_queries=100`` on those
#    images that do not fool the service yet.
#
#    Report: the share of the 100 images that is fooled in the end, and the number of
#    queries per image: the 400 answers, one attempt for each image, and the queries of
#    the second attack (``n_queries_``), over 100. Compare with the halfway attack alone
#    at 100 queries. Check: all changes are at most ``EPS``.
#
# .. solution:: 1
#
# 2. ``attack="surrogate"`` of ``AdversarialGenerator`` needs no images of one's own: it
#    makes its questions from the attacked images, ``max_queries`` for each. Run it on
#    ``X_victims`` with ``max_queries=5`` and the budget ``EPS``, and compare it with
#    the networks of 400 answers, which cost 5 queries per image too.
#
#    Report: the share that fools the service, beside the shares of the three networks
#    (``rates``). Check: ``service.n_asked_`` counts the queries; set it to 0 first, and
#    it must end at about 5 for each image.
#
# .. solution:: 2
#
# 3. Make a second ``Service``, and put ``RandomForestClassifier(50, random_state=0)``,
#    trained on ``X_owner``, into its ``_model``. A forest has no gradient at all. Is it
#    safer from the two query attacks than the support vector machine? Attack the first
#    40 images of ``X_test`` that it classifies correctly, with 50 and with 400 queries.
#
#    Report: the four median distances, and the distinct distances of the halfway attack
#    in multiples of 1/32: why are there so few? Check: no distance is infinite, which
#    would mean that an image was never fooled.
#
# .. solution:: 3

# %%
# A common misreading
# -------------------
#
# "The attack fooled 17 % of the images without a gradient, so it works." The best of as
# many random changes fools 16 %. A rate needs its number of queries, and a control that
# may ask as often. The other way round, "our service shows no scores, so attacks need
# too many queries" forgets the surrogate: its queries look like those of any user.
#
# Where next
# ----------
#
# Lesson 6 does both on a table with texts, missing values and rules, where a bank's
# model is at work, and writes a report.
