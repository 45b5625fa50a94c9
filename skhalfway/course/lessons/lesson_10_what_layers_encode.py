"""
10. What layers encode
======================

**The question.** What do the layers of a network know of the classes, and what can be
read from its weights alone? In this lesson you try three ideas from the literature,
each with a control and repeats. The measures of the first are our own. One of the three
holds here, and the other two tell less than their pictures suggest.
"""

# %%
# What you need
# -------------
#
# - Earlier lessons: 2 (attacks), 4 (confidence intervals and paired differences).
# - Mathematics: conditional entropy.
# - Python: modules of PyTorch and nets of skorch (you read them; no exercise needs
#   more).
# - Packages: scikit-learn, scipy, torch, skorch, matplotlib and skhalfway.
# - Time: about 60 minutes, and an hour for the exercises. The code takes 17 seconds.
#
# Make a prediction first
# -----------------------
#
# 1. Follow images of digits through a convolutional network. Does what a layer encodes
#    tell the classes apart better from layer to layer? And in a network that was never
#    trained?
# 2. A measure counts "loops" in the weights of a network. You compare a trained network
#    with an untrained one of the same size. Which has more?

# %%
# A code for each layer
# ---------------------
#
# A self-organising map is a grid of 8 x 8 units. It is fitted to what a layer gives for
# the training images, so that similar activations lie on the same unit or on
# neighbours. The *code* of an image at a layer is the unit that it falls on. Lee &
# Vijayan look at networks in this way. Their measures are not public to us; those here
# are ours.
#
# Five convolutional networks are trained on digits. Each is compared with itself before
# training.

import warnings
from collections import OrderedDict
from copy import deepcopy

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from skorch import NeuralNetClassifier
from torch import nn

from skhalfway.codes import CodeMap

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    (X / 16).astype(np.float32), y, test_size=0.4, stratify=y, random_state=0
)


def make_network(seed):
    torch.manual_seed(seed)
    modules = {
        "image": nn.Unflatten(1, (1, 8, 8)),
        "conv 1": nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU()),
        "pool": nn.MaxPool2d(2),
        "conv 2": nn.Sequential(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()),
        "conv 3": nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.ReLU()),
        "output": nn.Sequential(nn.Flatten(), nn.Linear(256, 10)),
    }
    return nn.Sequential(OrderedDict(modules))


def train(module):
    return NeuralNetClassifier(
        deepcopy(module),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.003,
        max_epochs=15,
        batch_size=64,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    ).fit(X_train, y_train)


layers = ["conv 1", "conv 2", "conv 3", "output"]


def fit_map(network, seed, **options):
    options = {"pooling": "flatten", "n_iter": 2000} | options
    return CodeMap(network, layers=layers, random_state=seed, **options).fit(X_train)


untrained = [make_network(seed) for seed in range(5)]
trained = [train(module) for module in untrained]
maps = {
    "trained": [fit_map(network, seed) for seed, network in enumerate(trained)],
    "untrained": [fit_map(module, seed) for seed, module in enumerate(untrained)],
}
print("accuracy:", [round(network.score(X_test, y_test), 2) for network in trained])
maps["trained"][0].transform(X_test[:3])  # the codes of three images, layer by layer

# %%
# Do classes share codes?
# -----------------------
#
# A layer's codes are *homogeneous* if different classes share them. Two measures on
# test images: the share of the images whose code occurs in several classes, and the
# conditional entropy of the class given the code, in bits. That is
# :math:`-\sum_c p_c \log_2 p_c` over the shares :math:`p_c` of the classes on a code,
# averaged over the codes in proportion to their images. It is 0 if the code determines
# the class, and :math:`\log_2 10 = 3.3` if it says nothing.

measures = {
    "shared": "images whose code several classes share",
    "class_entropy": "entropy of the class, given the code",
}
measured = {}
for state, code_maps in maps.items():
    measured[state] = [one.homogeneity(X_test, y_test) for one in code_maps]


def interval(values):
    """Return the mean over networks and half of its 95 % interval (Student's t)."""
    factor = stats.t.ppf(0.975, len(values) - 1)
    return np.mean(values, axis=0), factor * stats.sem(values, axis=0)


figure, axes = plt.subplots(1, 2, figsize=(8.4, 3.4), layout="constrained")
for ax, (measure, title) in zip(axes, measures.items(), strict=True):
    for state, results in measured.items():
        values = np.array([result.values[measure] for result in results])
        ax.errorbar(layers, *interval(values), marker="o", capsize=3, label=state)
        change, half = interval(values[:, -1] - values[:, 0])
        print(f"{measure}, {state}: output - conv 1 = {change:+.2f} ± {half:.2f}")
    ax.set_title(title, fontsize=10)
    ax.set(ylabel="bits" if measure == "class_entropy" else "share of images", ylim=0)
legend = axes[0].legend(frameon=False)

# %%
# The bars of single layers are wide, because networks differ. The printed differences
# are *paired*: output minus first layer of the same network.
#
# In the trained networks both measures fall from the first layer to the output, the
# entropy by .27 bits, and neither interval contains 0. Without training both rise, the
# entropy by .81 bits. So it is training, and not depth alone, that tells the classes
# apart. It does not do so from layer to layer: most of the change is at the output,
# which is also much narrower than the layers before it.
#
# Here are the maps of one trained network. Each unit has the colour of its most
# frequent class. It is paler where other classes share it. The first layer already puts
# most classes into areas of their own, and pale units remain in every layer.

figures = measured["trained"][0].plot(kind="maps")

# %%
# An attack, layer by layer
# -------------------------
#
# Test images are changed by at most .1 in each pixel by PGD. Which share of them gets
# another code? Random noise of the same size is the control.

from sklearn.frozen import FrozenEstimator

from skhalfway import AdversarialGenerator

changed = {"attack": [], "noise": []}
for network, code_map in zip(trained, maps["trained"], strict=True):
    attack = AdversarialGenerator(
        FrozenEstimator(network), eps=0.1, max_iter=20, clip_values=(0, 1)
    )
    drift = code_map.drift(X_test[:300], attack.generate(X_test[:300], y_test[:300]))
    changed["attack"].append(drift.changed)
    changed["noise"].append(drift.noise_changed)

figure, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
for kind, values in changed.items():
    ax.errorbar(layers, *interval(values), marker="o", capsize=3, label=kind)
    print(
        kind, dict(zip(layers, np.mean(values, axis=0).round(2).tolist(), strict=True))
    )
ax.set(ylabel="share of images with another code", ylim=(0, 1))
legend = ax.legend(frameon=False)

# %%
# In each layer the attack changes more codes than noise does. The difference is already
# there in the first layer: the attack is not something that only the last layer sees.
#
# Loops in the weights
# --------------------
#
# Watanabe & Yamana look at weights only. The *relevance* of a connection is its share
# of the positive weights into the next neuron, and that of a path is the product along
# it. A threshold falls from 1, and each path is added as soon as the threshold is no
# higher than its relevance. Where the paths join neurons in a ring, there is a *loop*,
# until further paths cross its inside. The paper relates such measures to an excess of
# neurons and to the difficulty of the problem. Here are perceptrons of three widths,
# each trained from three random starts, beside the same networks before training.

from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from skhalfway.structure import disentangle, network_topology

warnings.simplefilter("ignore", ConvergenceWarning)  # forty epochs are enough here
perceptron = MLPClassifier(learning_rate_init=0.005, max_iter=40)
before = clone(perceptron).set_params(learning_rate_init=1e-9, max_iter=1)  # stays put
widths = (20, 40, 80)


def count_loops(model, width, seed):
    network = clone(model).set_params(hidden_layer_sizes=(width, width))
    network.set_params(random_state=seed).fit(X_train, y_train)
    return network_topology(network).n_loops


loops = {}
for state, model in {"trained": perceptron, "untrained": before}.items():
    for width in widths:
        loops[state, width] = [count_loops(model, width, seed) for seed in range(3)]
        mean, half = interval(loops[state, width])
        print(f"{state}, {width} + {width} neurons: {mean:.0f} ± {half:.0f} loops")

# %%
# Twice the width gives more than three times as many loops. But the untrained networks
# have about as many loops as the trained ones: at 80 + 80 neurons a tenth more on
# average, which three starts of each do not settle. On these data, the count tells how
# large a network is, and hardly anything about what it has learned. A picture of the
# loops of one trained network would have looked convincing. The control shows what it
# is worth.
#
# A part of the network for each class
# ------------------------------------
#
# Hu et al. learn, for each class, which neurons the network can do without. What is
# left is the *sub-network* of the class. By the paper, misclassified images are likely
# to go to classes with similar sub-networks. How many mistakes go to one of the three
# classes with the most similar sub-networks? By chance it would be a third, three of
# the nine other classes. The control needs no network: the three classes whose *mean
# images* are closest to the mean image of the true class.

mean_images = np.array([X_train[y_train == digit].mean(axis=0) for digit in range(10)])
distances = np.linalg.norm(mean_images[:, None] - mean_images, axis=2)
nearest = np.argsort(distances, axis=1)[:, 1:4]  # the class itself comes first
total = {"similar sub-networks": 0, "similar mean images": 0, "all mistakes": 0}
small = clone(perceptron).set_params(hidden_layer_sizes=(40, 40), max_iter=60)
X_few, y_few = X_train[:300], y_train[:300]
for seed in range(4):
    network = clone(small).set_params(random_state=seed).fit(X_few, y_few)
    sub_networks = disentangle(network, X_test, y_test, beta=0.5, random_state=seed)
    n_similar, n_mistakes = sub_networks.mistakes_to_similar(3)
    predicted = network.predict(X_test)
    wrong = predicted != y_test
    near = (nearest[y_test[wrong]] == predicted[wrong][:, None]).any(axis=1)
    for name, n in zip(total, (n_similar, near.sum(), n_mistakes), strict=True):
        total[name] += int(n)
print(total)
heat_map = sub_networks.plot()  # how similar they are in the last network
# sphinx_gallery_thumbnail_number = 1

# %%
# Similar sub-networks find 98 of 209 mistakes, clearly more than a third. This agrees
# with the claim. But the mean images, which know nothing of the network, find 139. The
# similarity of sub-networks says something true about mistakes, and nothing here that
# the pixels would not have said better.
#
# What the literature says
# ------------------------
#
# - Lee & Vijayan (`2205.10952 <https://arxiv.org/abs/2205.10952>`__) claim that shallow
#   layers have homogeneous codes and deep layers diverse ones, and that homogeneous
#   codes may underlie vulnerability. With the measures of this package the first claim
#   held in 21 of 25 kinds of networks on digits and in 11 on patches of photographs.
#   The second was undecided in most cases (``benchmarks/codes.md``).
# - Watanabe & Yamana (`2106.03016 <https://arxiv.org/abs/2106.03016>`__) introduced the
#   topological measure, on networks for MNIST and CIFAR-10.
# - Hu et al. (`2003.13268 <https://arxiv.org/abs/2003.13268>`__) split networks into
#   sub-networks for classes. They also find that deeper layers do not always encode
#   more of the meaning (are not always "more semantic").
# - Mattsson, Michaud & Hoel (`2010.13871 <https://arxiv.org/abs/2010.13871>`__) measure
#   in bits what layers pass on (exercise 2).
#
# Exercises
# ---------
#
# 1. A map of 8 x 8 units is a choice. Do the trained networks' codes still separate the
#    classes better at the output with 5 x 5 units, and with 12 x 12? Fit maps to the
#    first three networks of ``trained`` (``fit_map`` takes ``shape=(5, 5)``), and
#    measure the entropy of the class on ``X_test``, as above.
#
#    Report: for both sizes, the mean entropy in each layer, and in how many of the
#    three networks the output has a lower one than the first layer. Check: the
#    entropies lie between 0 and 3.3 bits, and fall as the number of units grows.
#
# .. solution:: 1
#
# 2. ``causal_structure`` of ``skhalfway.structure`` feeds a layer with noise and
#    measures its ``sensitivity``: how many bits each output tells of each input, if
#    only that input varies. Train ``MLPClassifier((5, 5), activation="logistic",
#    solver="sgd", learning_rate_init=0.5)`` on the irises, divided by 8, from the seeds
#    0, 1 and 2. Train each network for one epoch with ``partial_fit`` and
#    ``classes=np.arange(3)``: it is a single update here, so that the network has
#    weights and has learned next to nothing. Keep a copy, and train for 600 further
#    epochs. Use the parameters ``joint="never"`` (only the sensitivity),
#    ``correction="miller-madow"`` (which corrects the estimate for few samples),
#    ``n_samples=20_000``, ``ranges={"none": (-40, 40)}`` (the range of layers without
#    an activation function, here the output) and ``random_state=0``. Does the
#    sensitivity rise? Would it rise too if the weights of the network of one epoch were
#    only made larger?
#
#    Report: the mean sensitivity of each layer in three networks: the copy after one
#    epoch, the trained network after all 601, and the copy with each matrix of weights
#    multiplied so that its norm is that of the trained network. Also report both
#    accuracies on the irises. Check: the matrices of the third network have the norms
#    of the trained one.
#
# .. solution:: 2
#
# 3. Does the number of loops reveal that a network has learned *shuffled* labels? Train
#    ``perceptron`` with 40 + 40 neurons and ``max_iter=150`` on ``X_train`` with the
#    labels ``np.random.RandomState(0).permutation(y_train)``, from the seeds 0, 1 and
#    2.
#
#    Report: the training accuracy and the number of loops of each, beside
#    ``loops["trained", 40]``. Check: the training accuracy is far above .1, so that the
#    networks have memorised most of the labels.
#
# .. solution:: 3
#
# A common misreading
# -------------------
#
# "The picture of a layer shows what the network has learned." Many pictures of layers
# look the same for an untrained network, or for one that was trained on nonsense. The
# comparison with such a network belongs to every measure of this kind.
#
# Where next
# ----------
#
# Lesson 11 looks at a network from outside: how the loss changes with its weights, and
# how many weights it needs. Lesson 9 shows that perturbations carry features of
# classes, which fits what the attack does to the codes here.
