"""
Who threatens a deployed forest?
================================

A hospital has a random forest at work on measurements of tumours. An attacker
does not have it. They have patients of their own, and train what they can. Which
of their models would make inputs that fool the forest, if these inputs must
still be measurements that could have been made?
"""

# %%
# The deployed model, and what an attacker may train
# ---------------------------------------------------
#
# 40 % of the data is ours, half of the rest theirs, and the last part is what
# the attack is tried on. Everybody scales, so everything is a pipeline.

import warnings

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, Constraints, TransferScorer

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
y = y.map({0: "malignant", 1: "benign"})
X_ours, X_rest, y_ours, y_rest = train_test_split(X, y, train_size=0.4, stratify=y, random_state=0)
X_theirs, X_test, y_theirs, y_test = train_test_split(
    X_rest, y_rest, train_size=0.5, stratify=y_rest, random_state=0
)

deployed = make_pipeline(StandardScaler(), RandomForestClassifier(30, random_state=0)).fit(X_ours, y_ours)
surrogates = {
    "logistic": LogisticRegression(),
    "svm": SVC(),
    "network": MLPClassifier((32,), max_iter=2000, random_state=0),
    "neighbours": KNeighborsClassifier(),
    "boosting": HistGradientBoostingClassifier(max_iter=20, random_state=0),
}
surrogates = {
    name: make_pipeline(StandardScaler(), model).fit(X_theirs, y_theirs) for name, model in surrogates.items()
}
models = {"deployed forest": deployed, **surrogates}
pd.Series({name: model.score(X_test, y_test) for name, model in models.items()}, name="accuracy").round(3)

# %%
# What an input must keep to
# --------------------------
#
# The columns have units of their own, so the budget counts in standard deviations.
# Say that the ten "error" columns are out of the attacker's reach: immutable. And
# the "worst" of a tumour's cells cannot be below their mean: a rule that binds columns,
# given as a projection, which is handed arrays.

means = [name for name in X if name.startswith("mean")]
mean = [X.columns.get_loc(name) for name in means]
worst = [X.columns.get_loc(name.replace("mean", "worst")) for name in means]


def worst_is_at_least_the_mean(X_adv, X):
    X_adv[:, worst] = X_adv[:, worst].clip(min=X_adv[:, mean])
    return X_adv


constraints = Constraints(
    immutable=[name for name in X if name.endswith("error")], projection=worst_is_at_least_the_mean
)
generator = AdversarialGenerator(eps=0.5, eps_unit="std", constraints=constraints)

# %%
# One matrix
# ----------
#
# Row: the model that is attacked. Column: the model that the result is tried on. The
# forest and the neighbours are step functions; their rows come from smoothed versions of them.

scorer = TransferScorer(generator, random_state=0).fit(models)
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    matrix = scorer.transfer(X_test, y_test)
for warning in said:  # trees are attacked through smoothed copies, whose gradients may lead less far
    print(warning.message)
warnings.filterwarnings("ignore", message=".*seems more robust than it is")  # it is not said again below
_ = matrix.plot(include_intervals=True)

# %%
# The report
# ----------
#
# The forest's column, the worst first, beside what plain noise of the same size does. The
# intervals say how far 171 samples can tell the surrogates apart.

column = matrix.to_frame().xs("deployed forest", level="target").drop("deployed forest")
report = column.sort_values("rate", ascending=False)[["eligible", "fooled", "rate", "low", "high", "noise"]]
report.round(2)

# %%
# An attacker who tries all five and keeps whatever works leaves the forest
# this accuracy, of what it had before:

before = deployed.score(X_test, y_test)
after = TransferScorer(generator, random_state=0).fit(surrogates).robust_accuracy(deployed, X_test, y_test)
print(f"accuracy of the forest: {before:.2f}; under the five surrogates' attacks: {after:.2f}")

# %%
# How it grows with the budget
# ----------------------------
#
# Each source with its intervals, and what noise of the same size does.

curve = scorer.transfer_curve(X_test, y_test, eps=[0.25, 0.5, 1.0])
_ = curve.plot(target="deployed forest")
