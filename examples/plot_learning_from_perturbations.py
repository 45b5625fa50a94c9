"""
Learning from perturbations alone
=================================

A classifier is trained on images whose every label is wrong, and is right on
half of the clean images. What it learned from are perturbations towards the
wrong class, made on another model. They carry features of that class (Ilyas et
al. 2019, arXiv 1905.02175; Kumano et al. 2024, arXiv 2402.10470).
"""

# %%
# Wrong labels, all of them
# -------------------------
#
# A network learns the digits. Each training image is then moved, by at most .1
# in each pixel, towards a class that is not its own (*random*), or towards the
# next one (*shift*); or noise is moved towards random classes. The moved images
# get the label of that class, and a fresh network, the learner, trains on nothing
# else.
#
# Two controls: a network that trains on the same images and labels without the
# perturbation, and another network that knows the digits and that nobody attacked.
# If it read the new labels in the moved images, then these would be plain to see,
# and there would be nothing to explain.

import warnings

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skhalfway import AdversarialGenerator
from skhalfway.perturbation import PerturbationLearner

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, test_size=0.3, stratify=y, random_state=0)
network = MLPClassifier((64,), learning_rate_init=0.003, max_iter=60, n_iter_no_change=60, tol=0)
warnings.simplefilter("ignore", ConvergenceWarning)  # sixty epochs are enough here
source, other = (clone(network).set_params(random_state=seed).fit(X_train, y_train) for seed in (0, 1))


def learn(eps, **protocol):
    """A learner from images that are moved by at most eps."""
    attack = AdversarialGenerator(attack="pgd", eps=eps, clip_values=(0, 1))
    learner = PerturbationLearner(network, attack, **protocol, source=FrozenEstimator(source), random_state=0)
    return learner.fit(X_train, y_train)


def describe(learner):
    """What was learned, and what was there to be read."""
    return {
        "labels that are right": (learner.y_assigned_ == y_train).mean(),
        "another network reads the label": other.score(learner.X_perturbed_, learner.y_assigned_),
        "accuracy on clean images": learner.score(X_test, y_test),
        "of the control": learner.control_score(X_test, y_test),
    }


protocols = {"random": {"labels": "random"}, "shift": {"labels": "next"}, "noise": {"base": "noise"}}
learners = {name: learn(0.1, **protocol) for name, protocol in protocols.items()}
table = pd.DataFrame({name: describe(learner) for name, learner in learners.items()}).T
table.round(2)

# %%
# No label of *random* is right, and the other network reads one in eight in the
# moved images. The learner is right on half of the clean images, the control on
# none. What moved towards the next class teaches less: each image's own class
# tells its label, and to answer with the class that follows is learned first.
#
# With ``base="noise"`` there is no right label to compare with: a tenth agree by
# chance with digits that the noise does not show. Here the other network reads
# more of the labels, for nothing else is in the picture.
#
# A larger change teaches more, and proves less:

larger = learn(0.3, labels="random")
pd.DataFrame({"eps .1": describe(learners["random"]), "eps .3": describe(larger)}).T.round(2)

# %%
# At .3 the other network sees the new class in nearly every image: then the labels
# are no longer wrong to it.
#
# What it has seen
# ----------------
#
# Above, images it was trained on, with their labels; below, what was added to
# them.

figure, axes = plt.subplots(2, 8, figsize=(9, 2.7), layout="constrained")
for name, row in (("random", slice(0, 5)), ("noise", slice(5, 8))):
    one = learners[name]
    for k, (top, bottom) in enumerate(axes.T[row]):
        top.imshow(one.X_perturbed_[k].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
        bottom.imshow((one.X_perturbed_ - one.X_base_)[k].reshape(8, 8), cmap="RdBu", vmin=-0.1, vmax=0.1)
        top.set_title(f"“{one.y_assigned_[k]}”", fontsize=11)
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
figure.suptitle("Five moved digits and three pieces of moved noise, with the labels they were given")

# %%
# Does what was learned transfer?
# -------------------------------
#
# The learners know the source by its perturbations only; it is the same for all.
# Do they fall with it? Beside them stands the other network, which was trained on
# clean images from another random start. The learner of *shift* is left out: most
# of its answers are the next class, so that hardly an image counts.

from skhalfway import HalfwayScorer, TransferScorer

models = {"source": source, "clean": other} | {
    f"learner, {name}": learners[name].learner_ for name in ("random", "noise")
}
scorer = TransferScorer(AdversarialGenerator(eps=0.1, clip_values=(0, 1)), random_state=0).fit(models)
matrix = scorer.transfer(X_test[:150], y_test[:150])
heat_map = matrix.plot()

# %%
# The learner of random labels falls to all that is made on any model; noise of the
# same size fools it on three images in ten, so that this says little. The learner
# of noise falls to the source's samples about as often as the clean network does.
# The way back is harder: samples made on the learners fool a fifth of what source
# and clean network classify correctly.
#
# On the paths between clean images, the learners change their answers elsewhere
# than the source does: they have the features of the classes, and not its
# boundary. The two networks that saw clean images agree nearly everywhere.
#
# It is one run on one data set. Over ten seeds, two data sets, three kinds of
# network and the three protocols (``benchmarks/perturbation_transfer.md``, digits
# moved by .3), a source's samples fool its own learner more often than a clean
# network, and more often than the learner of another source, in 118 of 120 runs
# each; a learner's samples fool its source more often than a clean network's do
# in 2.

agreement = HalfwayScorer(random_state=0).fit(models).measure(X_test, y_test)
heat_map = agreement.plot("agreement", include_intervals=True)
