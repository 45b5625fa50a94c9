"""
Choose a model that resists attacks made on others
==================================================

Two models can be equally accurate and yet fare differently when samples are
attacked on somebody else's models. Both can be scored in one search.
"""

# %%
# A surrogate's view
# ------------------
#
# An attacker who does not have our model trains their own. Two such models
# are fitted on one half of the data; a third of what is left is for the end.

import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from skhalfway import AdversarialGenerator, TransferScorer

X, y = load_digits(return_X_y=True)
X_theirs, X_ours, y_theirs, y_ours = train_test_split(X / 16, y, test_size=0.5, stratify=y, random_state=0)
X_ours, X_test, y_ours, y_test = train_test_split(
    X_ours, y_ours, test_size=0.33, stratify=y_ours, random_state=0
)
surrogates = [
    LogisticRegression(max_iter=1000).fit(X_theirs, y_theirs),
    MLPClassifier(max_iter=500, random_state=0).fit(X_theirs, y_theirs),
]
judge = TransferScorer(AdversarialGenerator(eps=0.1, clip_values=(0, 1))).fit(surrogates)

# %%
# One search, two scores
# ----------------------
#
# ``judge.robust_accuracy`` is a scorer: the share of samples that a candidate
# gets right as they are and as attacked on each of the surrogates.

search = GridSearchCV(
    SVC(),
    {"gamma": [0.01, 0.03, 0.1, 0.3, 1.0]},
    scoring={"accuracy": "accuracy", "robust": judge.robust_accuracy},
    refit="robust",
    cv=StratifiedKFold(3),
).fit(X_ours, y_ours)

results = pd.DataFrame(search.cv_results_).set_index("param_gamma")
results[["mean_test_accuracy", "mean_test_robust"]].round(3)

# %%
# The winner keeps what it promised on samples it has never seen:

print("chosen:", search.best_params_)
print(f"accuracy         {search.best_estimator_.score(X_test, y_test):.3f}")
print(f"robust accuracy  {judge.robust_accuracy(search.best_estimator_, X_test, y_test):.3f}")

# %%
# How the two scores move with the kernel's width: where accuracy hardly changes,
# robust accuracy still tells the models apart.

ax = results[["mean_test_accuracy", "mean_test_robust"]].plot(logx=True, marker="o", figsize=(5, 3.4))
ax.figure.set_layout_engine("constrained")
ax.set(xlabel="gamma of the RBF SVM", ylabel="share of samples", ylim=(0, 1.03))
ax.legend(["accuracy", "robust accuracy"])
