"""
Where do my models change their answer?
=======================================

Walk in a straight line from one training sample to one of another class: on
the way a classifier must change its answer. Where it does says something about
how well it has learned, and about who will fall with whom.

Asking for that place is this package's own formalisation of the title of "Meet
you halfway: explaining deep learning mysteries" (arXiv 2206.04463), whose own
definitions are not public to us. That it explains anything is a hypothesis:
this page looks at one data set.
"""

# %%
# Eight models of handwritten digits
# ----------------------------------
#
# All have seen the same 900 digits; the two networks differ in a scaler only.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, train_size=900, stratify=y, random_state=0)

models = {
    "logistic": LogisticRegression(max_iter=1000),
    "rbf svm": SVC(),
    "mlp": MLPClassifier((64,), max_iter=500, random_state=0),
    "scaled mlp": make_pipeline(StandardScaler(), MLPClassifier((64,), max_iter=500, random_state=0)),
    "5-nn": KNeighborsClassifier(),
    "forest": RandomForestClassifier(30, random_state=0),
    "naive bayes": GaussianNB(),
    "tree": DecisionTreeClassifier(random_state=0),
}
for model in models.values():
    model.fit(X_train, y_train)

# %%
# A plane through three digits
# ----------------------------
#
# Three samples span a plane, and every point of it is a picture. Diamonds are
# where the answer first changes on the way from one sample to another, seen
# from either end; dots are halfway. Where a side has two diamonds far apart, the
# model sees something else in between.

from skhalfway.boundaries import DecisionRegionsDisplay

three = [np.flatnonzero(y_train == digit)[2] for digit in (3, 5, 8)]
regions = DecisionRegionsDisplay.from_estimator(
    models, X_train[three], y_train[three], resolution=60, plot_kw={"image_shape": (8, 8)}
)

# %%
# Crossings of many pairs
# -----------------------
#
# Now 200 pairs of training samples of different classes, the same for all
# models. A pair counts for a model that classifies both its samples right.

from skhalfway.halfway import HalfwayScorer

scorer = HalfwayScorer(n_pairs=200, random_state=0).fit(models)
measurement = scorer.measure(X_train, y_train)
histograms = measurement.plot()

# %%
# The *halfway deviation* of a model is the mean distance of its crossings from
# the middle. The first hypothesis is that it ranks models by their test error,
# from training data alone. Training accuracy cannot do that here: several
# models have learned every sample by heart.

import pandas as pd
from scipy.stats import kendalltau

table = pd.DataFrame(
    {
        "deviation": measurement.deviation,
        "training error": [1 - model.score(X_train, y_train) for model in models.values()],
        "test error": [1 - model.score(X_test, y_test) for model in models.values()],
    },
    index=list(models),
).sort_values("deviation")
for name in ("deviation", "training error"):
    tau = kendalltau(table[name], table["test error"]).statistic
    print(f"Kendall's tau of {name:<14} with test error: {tau:.2f}")
table.round(3)

# %%
# Of eight models such a figure is rough. Whether it holds for many networks that
# differ little is for benchmarks to say.

# %%
# Do they cross at the same places?
# ---------------------------------
#
# The *halfway agreement* of two models is the rank correlation of their
# crossings, over the pairs that count for both.

heat_map = measurement.plot("agreement", include_intervals=True)

# %%
# Who falls with whom?
# --------------------
#
# The second hypothesis: models that cross at the same places fall to the same
# adversarial samples. For that each model is attacked, and what was made on it
# is tried on the others.

from skhalfway import AdversarialGenerator, TransferScorer

attack = AdversarialGenerator(eps=0.1, clip_values=(0, 1))
measured = TransferScorer(attack, random_state=0).fit(models).transfer(X_test[:60], y_test[:60])
measured

# %%
# Each mark is a source and a target. An agreement is the same both ways, and it
# knows neither the budget nor how near a target's boundaries are, so it can
# only rank the sources of one target: see "within target", and each marker for
# itself.

from skhalfway.halfway import PredictedTransfer

ranked = PredictedTransfer(measurement.agreement, measured)
scatter = ranked.plot(identity=False, xlabel="halfway agreement")

# %%
# ``predict_transfer`` makes rates for a given budget of the crossings: still
# with no attack, no gradient, and from predictions of each model alone.

predicted = scorer.predict_transfer(X_test[:60], y_test[:60], eps=0.1).compare(measured)
scatter = predicted.plot()
