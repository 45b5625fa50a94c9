"""
Unintuitive properties of networks, one by one
==============================================

Networks are certain of noise, know random labels by heart, and forget. Courses
teach such properties together (Serrà 2018, in Mètode, lists them); here each is
measured by a function of ``skhalfway.inspection``, on small networks for handwritten
digits.
"""

# %%
# Every function trains as many networks as it needs, each time with other seeds:
# lines and points are means over these repeats, bands and bars their 95 %
# intervals. It returns a result, which prints its figures and draws itself.

import warnings

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from skorch import NeuralNetClassifier
from torch import nn

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    (X / 16).astype(np.float32), y, train_size=600, stratify=y, random_state=0
)
warnings.simplefilter("ignore", ConvergenceWarning)  # thirty epochs are enough here
network = MLPClassifier((128,), batch_size=50, learning_rate_init=0.003, max_iter=30, n_iter_no_change=30)
fitted = clone(network).set_params(random_state=0).fit(X_train, y_train)
print(f"accuracy on test images: {fitted.score(X_test, y_test):.2f}")

# %%
# Certain of nothing
# ------------------
#
# Inputs that show nothing, of which a network is almost certain (Nguyen et al. 2015).
# This one is more than .99 certain of all noise that was moved towards a class, of most
# of the real images, and now and then of plain noise. Below, the optimised
# noise that it is surest of, for each class.

from skhalfway.inspection import fooling_inputs

fooling = fooling_inputs(fitted, X_test, clip_values=(0, 1), random_state=0)
confidences = fooling.plot(image_shape=(8, 8))
fooling

# %%
# Errors near everything
# ----------------------
#
# Two spheres in a hundred dimensions, of radius 1 and 1.3, are two classes (Gilmer et
# al. 2018). However its errors are spread, a classifier that errs on this share of
# the inner sphere has one within the distance of the line, on average over the
# points that it gets right. The errors of these networks are nearer still; two random
# points are 1.4 apart.

from skhalfway.inspection import adversarial_spheres

wide = clone(network).set_params(hidden_layer_sizes=(200,))
spheres = adversarial_spheres(
    wide, n_features=100, n_train=(1000, 1500), n_test=2000, n_attacked=20, random_state=0
)
distances = spheres.plot()
spheres

# %%
# The straight path
# -----------------
#
# On the straight line from the weights that a training began with to those that it
# ended with, the loss falls (Goodfellow et al. 2015): at every step here, as if it
# were convex. It is not: on the line from there to another solution, whose training
# began elsewhere, it rises and falls again.

from skhalfway.inspection import loss_path

path = loss_path(network, X_train, y_train, random_state=0)
losses = path.plot()
path

# %%
# The surface
# -----------
#
# Round a solution, in two random directions whose filters have the norms of the
# network's own (Li et al. 2017). This plane shows one basin, and no other.

from skhalfway.inspection import loss_surface

surface = loss_surface(fitted, X_train, y_train, random_state=0)
contours = surface.plot()

# %%
# Learning by heart
# -----------------
#
# Networks fit random labels, and noise (Zhang et al. 2017). The same training reaches
# full accuracy on all five, in some three times as many epochs where labels are random.
# On test images it is right after the true labels, and after pixels that were
# shuffled in the same way for all images; otherwise it is at chance.

from skhalfway.inspection import memorization_curve

few = X_train[:100], y_train[:100]
small_batches = clone(network).set_params(batch_size=20, learning_rate_init=0.005)
memorization = memorization_curve(
    small_batches, *few, X_test=X_test, y_test=y_test, n_epochs=60, random_state=0
)
accuracies = memorization.plot()
memorization

# %%
# Most of it can go
# -----------------
#
# Han et al. (2016) set the smallest weights to 0, or let the weights of a layer share
# a few values. Here half of the weights can go at hardly any cost; with three epochs
# of training after it, four fifths. Four values for a layer, two bits for a weight,
# are nearly as good as all.

from skhalfway.inspection import compression_curve

split = {"X": X_train, "y": y_train, "X_test": X_test, "y_test": y_test}
panels = {
    "pruned": {},
    "pruned, then three epochs more": {"n_epochs": 3},
    "quantised": {"method": "quantization"},
}
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.6), sharey=True, layout="constrained")
for ax, (title, options) in zip(axes, panels.items(), strict=True):
    curve = compression_curve(network, **split, **options, n_repeats=3, random_state=0)
    curve.plot(ax=ax, names=["accuracy", "size"], legend=ax is axes[0])
    ax.set(title=title, ylim=(0, 1.05))
    ax.label_outer()

# %%
# A teacher who says more than labels do
# --------------------------------------
#
# A student learns the probabilities that a network gives (Hinton et al. 2014), here
# from images of all digits but 3. It knows most threes all the same; the same student,
# trained on the labels, knows none.

from skhalfway.inspection import distill


def perceptron():
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


student = NeuralNetClassifier(
    perceptron,
    criterion=nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=0.005,
    max_epochs=40,
    batch_size=64,
    iterator_train__shuffle=True,
    train_split=None,
    verbose=0,
)
seen = y_train != 3
distillation = distill(
    fitted, student, X_train[seen], y_train[seen], X_test=X_test, y_test=y_test, n_repeats=2, random_state=0
)
points = distillation.plot()
threes = X_test[y_test == 3]
for kind, students in {"distilled": distillation.students, "plain": distillation.plain_students}.items():
    share = np.mean([one.predict(threes) == 3 for one in students])
    print(f"threes that the {kind} students call 3: {share:.2f}")

# %%
# What chance decides
# -------------------
#
# The influence of initialisation (Erhan et al. 2010, who trained without labels first;
# here weights are random). Pairs of networks differ in one thing only: in their first
# weights, in the order of the images, in both, or in the order during the first or
# the last quarter of the epochs. Those of different first weights are equally
# accurate, to a percent or so, and give different answers to a tenth of the test
# images. The order decides much less here.

from skhalfway.inspection import initialization_influence

influence = initialization_influence(
    MLPClassifier((32,), batch_size=32, max_iter=20),
    X_train[:400],
    y_train[:400],
    X_test=X_test,
    y_test=y_test,
    n_repeats=3,
    random_state=0,
)
points = influence.plot()

# %%
# Features for another task
# -------------------------
#
# The first layers of a network for the digits 0 to 4 are copied into one for 5 to 9
# (*AnB*), frozen or, with a *+*, trained on (Yosinski et al. 2014). In the control
# they come from another network for 5 to 9 (*BnB*). Both convolutions serve the other
# digits as well as their own. The dense layer after them, frozen, does not.

from skhalfway.inspection import feature_transfer


def convolutions():
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 32),
        nn.ReLU(),
        nn.Linear(32, 5),
    )


cnn = clone(student).set_params(module=convolutions, max_epochs=12, batch_size=32)
low, high, high_test = y_train < 5, np.flatnonzero(y_train >= 5)[:100], y_test >= 5
transfer = feature_transfer(
    cnn,
    X_train[low],
    y_train[low],
    X_train[high],
    y_train[high],
    X_test=X_test[high_test],
    y_test=y_test[high_test],
    random_state=0,
)
accuracies = transfer.plot()

# %%
# Learning is forgetting
# ----------------------
#
# A network that learns a second task forgets the first (McCloskey & Cohen 1989). Here
# are three, the digits with their pixels in another order each, and what is left of
# the first: with no remedy; with rehearsal of a tenth of the earlier images; and with
# elastic weights (*ewc*), which hold what earlier tasks depend on. Both remedies keep
# a good part. *joint* learned all tasks so far at once.

from skhalfway.inspection import forgetting_curve

orders = [np.random.RandomState(i).permutation(64) for i in range(3)]
tasks = [(X_train[:, order], y_train, X_test[:, order], y_test) for order in orders]
learner = clone(student).set_params(batch_size=128, lr=0.01)
forgetting = forgetting_curve(learner, tasks, method=["rehearsal", "ewc"], n_repeats=3, random_state=0)
left = forgetting.of_task(0).plot()
