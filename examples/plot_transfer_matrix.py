"""
Which of my models fall together?
=================================

Five classifiers that look alike by their accuracy, and quite unlike when
samples that were made to fool one are tried on the others.
"""

# %%
# Five models of handwritten digits
# ---------------------------------
#
# Any mix will do: here a linear model, two kernel machines and a small neural
# network, once as it is and once behind a scaler.

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=400, stratify=y, random_state=0)
models = {
    "logistic": LogisticRegression(max_iter=1000),
    "poly svm": SVC(kernel="poly"),
    "rbf svm": SVC(),
    "mlp": MLPClassifier((64,), max_iter=500, random_state=0),
    "scaled mlp": make_pipeline(StandardScaler(), MLPClassifier((64,), max_iter=500, random_state=0)),
}
for name, model in models.items():
    print(f"{name:<10} accuracy {model.fit(X_train, y_train).score(X_test, y_test):.3f}")

# %%
# Attack each, try the result on all
# ----------------------------------
#
# The budget ``eps`` is the largest change of a pixel, here on a scale from 0
# to 1. The scorer takes the fitted models as they are.

from skhalfway import AdversarialGenerator, TransferScorer

generator = AdversarialGenerator(attack="pgd", eps=0.1, clip_values=(0, 1))
scorer = TransferScorer(generator, random_state=0).fit(models)
matrix = scorer.transfer(X_test, y_test)
matrix

# %%
# A row is a source, the model that the samples were made on; a column is a
# target. The framed diagonal is how often an attack fools its own source.

heat_map = matrix.plot(include_intervals=True)

# %%
# In words, and against random noise of the same size:

print(matrix.describe())

# %%
# The control is worth a look before any conclusion. The scaled network fails
# under plain noise nearly as often as under attack, so its column says little
# about transfer: its scaler divides pixels that hardly ever vary by their tiny
# standard deviation, and so blows up whatever is added to them.

# %%
# Do they make the same mistakes?
# -------------------------------
#
# Every count behind the rates is there: of the fooled, how many give the
# source's own wrong label?

matrix.to_frame()[["eligible", "fooled", "same_mistake", "different_mistake", "noise"]].round(3)

# %%
# What a sample looks like
# ------------------------
#
# One digit, attacked on each of the models: of all test digits the one that
# fools most sources. Titles say what each source takes it for.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.frozen import FrozenEstimator

attacked = {}
for name, model in models.items():
    attack = AdversarialGenerator(FrozenEstimator(model), eps=0.1, clip_values=(0, 1))
    attacked[name] = attack.generate(X_test, y_test)
n_fooled = np.sum([models[name].predict(X_adv) != y_test for name, X_adv in attacked.items()], axis=0)
chosen = n_fooled.argmax()

figure, axes = plt.subplots(1, 6, figsize=(9, 1.9), layout="constrained")
images = {f"clean: {y_test[chosen]}": X_test[chosen]}
for name, X_adv in attacked.items():
    images[f"{name}: {models[name].predict(X_adv)[chosen]}"] = X_adv[chosen]
for ax, (title, image) in zip(axes, images.items(), strict=True):
    ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
    ax.set_title(title, fontsize=10)
    ax.set_axis_off()
