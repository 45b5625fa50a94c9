"""
13. Final project
=================

**The question.** Can you answer a question about adversarial examples so that somebody
else can check your answer? You choose one question, write down a prediction, measure it
with controls and intervals, and report the result, also if you did not expect it.
"""

# %%
# What you need
# -------------
#
# - Earlier lessons: 1 to 4, and the lesson that your question comes from.
# - Mathematics: what that lesson needs.
# - Packages: scikit-learn, scipy, pandas, matplotlib and skhalfway.
# - Time: 12 to 16 hours for one person or a pair, over two or three weeks. The code
#   below takes 9 seconds.
#
# What you hand in
# ----------------
#
# 1. A *plan* of one page, before any result: the question, your prediction, the data,
#    the models, the attack with norm and budget, the controls, the number of repeats,
#    and the figure that will decide. Your teacher dates it. You may change the plan
#    later, if you say what you changed and why.
# 2. A *notebook or script* that runs from start to end on a laptop in less than ten
#    minutes, with fixed seeds.
# 3. A *report* of at most four pages with at most three figures.
#
# Choose a question
# -----------------
#
# Take one of these, or one of your own that your teacher accepts. Each can be answered
# with data that come with scikit-learn.
#
# 1. Are two models of the same kind, trained on different samples, fooled by the same
#    adversarial examples more often than two models of different kinds? (lesson 3)
# 2. How many queries does an attacker need who has no gradient, and does it help to
#    train a surrogate first? (lesson 5)
# 3. Which columns of a table must an attacker be able to change? Take columns away from
#    the attacker one after the other. (lesson 6)
# 4. Can you tell without any attack which of five models will be fooled most by samples
#    made on the others? (lesson 7)
# 5. Are networks that were trained on noisy labels fooled more often? (lesson 8)
# 6. Do perturbations that are made on one kind of model teach another kind? (lesson 9)
# 7. Is a pruned network fooled by the samples that were made on the network before it
#    was pruned? (lesson 11)
# 8. Does adversarial training in one norm protect in another norm? (lesson 12)

# %%
# A starting point
# ----------------
#
# Here is a small question, asked in the form that your project should have: *Is a
# network with a strong weight penalty fooled less often by adversarial examples that
# were made on a logistic regression?* One function does one repeat, from a new split of
# the data to a row of numbers. Everything that is random depends on its seed.

import matplotlib.pyplot as plt
import pandas as pd
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skhalfway import AdversarialGenerator, TransferScorer

X, y = load_digits(return_X_y=True)
generator = AdversarialGenerator(attack="pgd", eps=0.15, clip_values=(0, 1))


def one_repeat(seed):
    X_train, X_test, y_train, y_test = train_test_split(
        X / 16, y, train_size=600, test_size=200, stratify=y, random_state=seed
    )
    models = {
        "logistic": LogisticRegression(max_iter=1000),
        "weak": MLPClassifier((64,), max_iter=1000, alpha=1e-4, random_state=seed),
        "strong": MLPClassifier((64,), max_iter=1000, alpha=3, random_state=seed),
    }
    for model in models.values():
        model.fit(X_train, y_train)
    scorer = TransferScorer(generator, random_state=seed).fit(models)
    rates = scorer.transfer(X_test, y_test).to_frame().loc["logistic"]
    return {
        "weak": rates["rate"]["weak"],
        "strong": rates["rate"]["strong"],
        "noise, weak": rates["noise"]["weak"],
        "noise, strong": rates["noise"]["strong"],
        "accuracy, weak": models["weak"].score(X_test, y_test),
        "accuracy, strong": models["strong"].score(X_test, y_test),
        "counted, weak": rates["eligible"]["weak"],
        "counted, strong": rates["eligible"]["strong"],
    }


table = pd.DataFrame([one_repeat(seed) for seed in range(5)])
table.round(2).T

# %%
# A rate is a share of the samples that the logistic regression and the network both
# classify correctly; the last two rows count them.
#
# Both networks of a repeat share the data and the adversarial examples. So look at the
# *paired* difference. Its interval is over repeats, each of which is a new split and a
# new random start.

paired = table["strong"] - table["weak"]
half = stats.t.ppf(0.975, len(paired) - 1) * stats.sem(paired)
print(f"strong - weak: {paired.mean():+.2f} ± {half:.2f}")

figure, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
for _, row in table.iterrows():
    ax.plot(["weak", "strong"], row[:2], "C0o-")
    ax.plot(["weak", "strong"], row[2:4], "0.6")
ax.set(xlabel="weight penalty", ylabel="share that is fooled", ylim=0)
title = "samples made on a logistic regression (grey: noise)"
heading = ax.set_title(title, fontsize=10)
# sphinx_gallery_thumbnail_number = 1

# %%
# What may be said now, and what not? Write three sentences before you read on: what was
# measured, how sure it is, and what it does not show. Does the answer hold for other
# budgets, for other sources, and when the two networks are not equally accurate?
#
# Rubric
# ------
#
# There are 100 points. A report gets all points of a criterion if all sentences of the
# criterion hold for it, half of the points if they hold in part, and none if they do
# not hold. There is a step between two of these, where neither fits. The notes for
# instructors describe the levels of each criterion.
#
# - **Question and prediction (10).** The question can be answered with yes, no, or a
#   number. The prediction was written before the results, with a reason.
# - **Threat model (10).** The report says who attacks, what the attacker knows and may
#   change, and gives norm, budget and range of the inputs. The budget is justified.
# - **Denominators (10).** For each rate it is clear which samples it is a share of, and
#   how many they are.
# - **Controls (20).** Noise of the same size is shown. There is a control for the
#   explanation itself, such as an untrained model, shuffled labels, or an independent
#   model. The attack is shown to be strong enough, for example with more steps or a
#   second attack.
# - **Uncertainty (20).** There are at least five repeats with new splits and seeds.
#   Each figure has intervals, and it is said what they cover. Comparisons are paired
#   where they can be. If many comparisons were made, all of them are reported.
# - **Reading of the results (15).** The text says what the figures show, and no more. A
#   null result is reported as one. At least one other explanation is discussed, and
#   what would decide between the two.
# - **Reproducibility (10).** The notebook runs from start to end in a fresh environment
#   and gives the figures of the report. Versions are listed.
# - **Presentation (5).** At most four pages and three figures, whose axes are labelled.
#   Standard terms are used as in the lessons.
#
# Not graded: whether the prediction was right, and how large the effect is.
#
# Before you hand in
# ------------------
#
# - Would the conclusion survive if you removed one repeat, or the best one?
# - Did you look at several budgets or measures and report the one that looked best?
# - Could a model that is simply inaccurate, or that hides its gradient, give your
#   result?
# - Could somebody else find each number of the report in the output of the notebook?
#
# A common misreading
# -------------------
#
# "A project without an effect has failed." It has failed if a reader cannot tell
# whether there is an effect. "The interval of the difference is from -.03 to .02, so
# that a difference of more than .03 is unlikely on these data" is a result.
#
# Where next
# ----------
#
# The gallery has audits of models that are read from files, and the user guide has the
# questions that this course left out. If your project finds that a claim of these
# lessons does not hold on other data, tell the maintainers of the package.
