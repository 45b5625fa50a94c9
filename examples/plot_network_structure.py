"""
What a network's wiring tells
=============================

A trained network is a table of weights. What can be read from it without a
test set: how many of its neurons work together, what its layers pass on, which
channels serve which class, how many bits may be lost? Each tool below looks at
networks small enough to train here.

Before you run it, make a prediction: of networks with as many weights, is the
deeper one harder to fool, or the shallower one?
"""

# %%
# Neurons that work together
# --------------------------
#
# Two networks learn handwritten digits: one has few hidden neurons, one has many.
# :func:`~skhalfway.structure.network_topology` (Watanabe & Yamana 2022) looks at
# weights only. It lets a path of neurons in when enough of what the next neuron
# is given comes through it, and counts the loops that are filled again later. By
# the paper, loops tell of neurons in excess.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from skhalfway.structure import network_topology

X, y = load_digits(return_X_y=True)
X = X / 16
X_train, y_train, X_test, y_test = X[:1000], y[:1000], X[1000:], y[1000:]

fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
loops = {}
for n, ax in zip((20, 80), axes, strict=True):
    network = MLPClassifier((n, n), alpha=1e-2, max_iter=300, tol=1e-3, random_state=0).fit(X_train, y_train)
    topology = network_topology(network)
    topology.plot(ax=ax)
    ax.set_title(f"{n} + {n} hidden neurons, test accuracy {network.score(X_test, y_test):.2f}")
    loops[n] = topology.n_loops
print("loops by hidden neurons:", loops)

# %%
# With four times as many neurons in each layer there are far more than four times
# as many loops, at nearly the same accuracy. The count alone says how large a
# network is; to compare networks, train them with the same layers.
#
# What layers pass on
# -------------------
#
# :func:`~skhalfway.structure.causal_structure` (Mattsson, Michaud & Hoel 2020)
# feeds each layer with noise, and measures in bits how well its outputs tell its
# inputs: *sensitivity* sums what single neurons tell while all others are off,
# *EI of parts* what they tell while all others move. Training moves layers apart.
# Here a network learns Fisher's irises, and is looked at on the way.

from sklearn.datasets import load_iris

from skhalfway.structure import causal_structure

X_iris, y_iris = load_iris(return_X_y=True)
small = MLPClassifier((5, 5), activation="logistic", solver="sgd", learning_rate_init=0.5, random_state=0)
shuffled = np.random.default_rng(0).permutation(150)
sensitivity = []
for epoch in range(601):
    small.partial_fit(X_iris[shuffled] / 8, y_iris[shuffled], classes=[0, 1, 2])
    if epoch % 100 == 0:
        found = causal_structure(
            small, joint="never", correction="miller-madow", n_samples=20_000, random_state=0
        )
        sensitivity.append(found.sensitivity)

fig, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
for name, bits in zip(found.layers, np.transpose(sensitivity), strict=True):
    ax.plot(np.arange(7) * 100, bits, marker="o", label=name)
ax.set(
    xlabel="epoch",
    ylabel="sensitivity in bits",
    title=f"irises, accuracy {small.score(X_iris / 8, y_iris):.2f}",
)
ax.legend()
ax.grid(alpha=0.3)

# %%
# A part for each class
# ---------------------
#
# :func:`~skhalfway.structure.disentangle` (Hu et al. 2021) learns, for each class,
# which neurons the network can do without. What is left is a part of the network
# that serves the class. Classes with like parts should be those that are confused.

from skhalfway.structure import disentangle

parts = disentangle(network, X_test, y_test, beta=0.5, random_state=0)
parts.plot()
n_there, n_mistakes = parts.mistakes_to_similar(3)
print(f"{n_there} of {n_mistakes} mistakes go to one of the three classes with the most similar parts;")
print(f"{n_mistakes / 3:.0f} would by chance.")

# %%
# Bits that may be lost
# ---------------------
#
# A majority vote of five bits may change its answer when one bit is lost.
# :class:`~skhalfway.structure.ParityCoded` appends a bit of parity, and finds weights
# for it (in the spirit of Raviv et al. 2020). The distance to the boundary doubles:
# any one bit may now be lost, whichever it is.

from sklearn.linear_model import LogisticRegression

from skhalfway.structure import ParityCoded, robustness_radius

bits = np.array([[i >> k & 1 for k in range(5)] for i in range(32)])
majority = bits.sum(axis=1) > 2
vote = LogisticRegression().fit(bits, majority)
coded = ParityCoded().fit(bits, majority)
lost = {
    "plain": int(robustness_radius(vote, bits, kind="erasures").min()),
    "coded": int(robustness_radius(coded, bits, kind="erasures").min()),
}
print("bits that may be lost, whichever they are:", lost)

# %%
# As many weights in other places
# -------------------------------
#
# And your prediction? :func:`~skhalfway.structure.capacity_study` trains networks
# of as many weights on adversarial examples, and attacks them. The question is that
# of Huang et al. (2021), who asked it of large residual networks: where should the
# weights be?

from skhalfway import AdversarialGenerator
from skhalfway.structure import capacity_study

study = capacity_study(
    X_train,
    y_train,
    X_test=X_test[:400],
    y_test=y_test[:400],
    n_parameters=4000,
    depths=[1, 3],
    ratios=[0.5, 2],
    generator=AdversarialGenerator(eps=0.1, clip_values=(0, 1)),
    n_steps=3,
    n_epochs=20,
    n_repeats=3,
    random_state=0,
)
study.plot()
study

# %%
# On these digits, with these few weights, the shallow network is the most robust,
# and the most accurate: depth costs width. It does not follow that this holds of
# large networks and large data, where depth pays for itself.

robust = study.means["robust accuracy"]
assert robust[0] > robust[1:].max()
assert lost["coded"] > lost["plain"]
assert loops[80] > 4 * loops[20]
