"""
2. Stronger attacks, and evaluations that fool themselves
=========================================================

**The question.** If a network withstands an attack, is it robust, or was the attack too
weak? You attack two networks with one step, with many steps, and with several strong
attacks in turn. Then you meet a network that no gradient attack fools, although anybody
can fool it.
"""

# %%
# What you need
# -------------
#
# - Earlier lessons: 1.
# - Mathematics: gradients and the chain rule.
# - Python: a training loop of PyTorch. You read one; exercise 3 changes one part of it.
# - Packages: scikit-learn, matplotlib, PyTorch and skhalfway.
# - Time: about 55 minutes, and an hour for the exercises. The code takes 12 seconds.
#
# Make a prediction first
# -----------------------
#
# A network was trained on images that were attacked with one step of the fast gradient
# sign method (FGSM). On new images that are attacked in the same way it is right on
# about three of five. Write down your answers:
#
# 1. What share does it classify correctly when the attack takes 10 smaller steps within
#    the same budget? And when several strong attacks are tried in turn?
# 2. Another network rounds each pixel to one of nine values before it looks at the
#    image. What share does it classify correctly under an attack by gradient?

# %%
# Two networks
# ------------
#
# Both have two hidden layers of 128 neurons. The *plain* network is trained on clean
# images. The *hardened* one is trained on images that were attacked with FGSM on the
# network as it stands at that moment. Three hardened networks, which differ by the
# random numbers of their training, show how much chance matters.

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn.functional import cross_entropy

EPS = 0.2
X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X.astype(np.float32) / 16, y, test_size=200, stratify=y, random_state=0
)
images, labels = torch.tensor(X_train), torch.tensor(y_train)


def fgsm(net, x, y):
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(cross_entropy(net(x), y), x)
    return (x + EPS * gradient.sign()).clamp(0, 1).detach()


def train(attack=None, seed=0):
    torch.manual_seed(seed)
    hidden = [nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()]
    net = nn.Sequential(*hidden, nn.Linear(128, 10))
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for _ in range(40):
        for batch in torch.randperm(len(images)).split(64):
            x = images[batch]
            if attack is not None:
                x = attack(net, x, labels[batch])
            optimizer.zero_grad()
            cross_entropy(net(x), labels[batch]).backward()
            optimizer.step()
    return net.eval()


networks = {"plain": train()}
networks |= {f"hardened {seed}": train(fgsm, seed) for seed in range(3)}


def right(net, X):
    return net(torch.tensor(X)).argmax(dim=1).numpy() == y_test


for name, net in networks.items():
    print(f"{name:10} accuracy {right(net, X_test).mean():.2f}")

# %%
# On clean images all are right on 96 or 97 of 100.
#
# From one step to strong attacks
# -------------------------------
#
# The attacks differ in how hard they search the same budget of 0.2:
#
# - ``"fgsm"`` takes one step;
# - ``"pgd"``, projected gradient descent, takes 10 or 40 small steps, and comes back
#   into the budget whenever it leaves it;
# - ``"apgd"`` finds the lengths of its 100 steps by itself;
# - ``"auto-strong"`` runs several attacks in turn, some of which need no gradient; each
#   is tried on the images that are still classified correctly.

import matplotlib.pyplot as plt

from skhalfway import AdversarialGenerator

attacks = {
    "FGSM": {"attack": "fgsm"},
    "PGD, 10 steps": {"attack": "pgd", "max_iter": 10},
    "PGD, 40 steps": {"attack": "pgd", "max_iter": 40},
    "APGD": {"attack": "apgd", "max_iter": 100},
    "several in turn": {"attack": "auto-strong", "max_iter": 100, "max_queries": 300},
}


def survives(net, **attack):
    generator = AdversarialGenerator(
        net, **{"eps": EPS, "clip_values": (0, 1), "random_state": 0, **attack}
    )
    return right(net, generator.generate(X_test, y_test))


survived = {}  # for each network and attack: which images are still right
for name, net in networks.items():
    survived[name] = {
        title: survives(net, **options) for title, options in attacks.items()
    }

figure, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
for (name, results), marker in zip(survived.items(), "xosD", strict=True):
    values = [result.mean() for result in results.values()]
    ax.plot(list(attacks), values, marker=marker, label=name)
    print(name, dict(zip(attacks, np.round(values, 2).tolist(), strict=True)))
ax.set(ylabel="accuracy under attack", ylim=(-0.03, 1))
ax.tick_params("x", rotation=15)
legend = ax.legend()

# %%
# FGSM fools the plain network on nearly all images, so nobody needs a stronger attack
# there. The hardened networks look much better: under FGSM they are right on about 60 %
# of the images. Ten smaller steps leave less than half, and several attacks in turn
# leave one third. Nothing about the networks has changed. The first number describes
# the attack that they were trained against, not the networks.
#
# With 200 images each share has an interval of about 7 points on either side (lesson 4
# says how to read one). Still, the order of FGSM and the attacks in turn is sure: both
# are tried on the same images, and no image is fooled by FGSM alone.

for seed in range(3):
    results = survived[f"hardened {seed}"]
    one_step, in_turn = results["FGSM"], results["several in turn"]
    print(f"fooled only by FGSM {np.sum(~one_step & in_turn)}, ", end="")
    print(f"only by the attacks in turn {np.sum(one_step & ~in_turn)}")

# %%
# A network that hides its gradient
# ---------------------------------
#
# Here is a defence that takes one line: round each pixel to one of nine values, then
# ask the plain network. The rounded input is a step function of the pixels, so its
# gradient is 0, and an attack by gradient does not know where to go. A gradient that is
# hidden in this or in another way is called *masked*. skhalfway warns of it:

import warnings


class Rounding(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(torch.round(8 * x) / 8)


rounding = Rounding(networks["plain"])
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    by_gradient = survives(rounding, attack="pgd")
print(caught[0].message)
print(f"accuracy without an attack {right(rounding, X_test).mean():.2f}")
print(f"accuracy under PGD         {by_gradient.mean():.2f}")

# %%
# The gradient is 0 on all 200 images. The warning counts 196 of them, since it leaves
# out the four that the network misclassifies anyhow. If you ignore it, you will report
# that the network is right on 98 % of the attacked images. Three other ways to move the
# same images within the same budget tell how safe it is: random noise; *Square*, an
# attack that asks for scores and needs no gradient; and images that were attacked on
# the plain network.

signs = np.random.RandomState(0).choice([-1, 1], X_test.shape).astype(np.float32)
on_plain = AdversarialGenerator(
    networks["plain"], attack="pgd", eps=EPS, clip_values=(0, 1)
)
outcomes = {
    "PGD": by_gradient,
    "random noise": right(rounding, np.clip(X_test + EPS * signs, 0, 1)),
    "Square, 300 queries": survives(rounding, attack="square", max_queries=300),
    "made on the plain network": right(rounding, on_plain.generate(X_test, y_test)),
}
for title, outcome in outcomes.items():
    print(f"{title:26} accuracy {outcome.mean():.2f}")

# %%
# Even noise does more than the attack by gradient. Square and the images that were made
# on the plain network fool the rounding network every time. The last of these is what
# an attacker would do who cannot use a gradient: attack another network, and try the
# result. Lesson 3 is about this.
#
# More budget must fool more images
# ---------------------------------
#
# Evaluations that are too weak often show in a curve. With a large budget an attacker
# can turn every image into one of another class, so the accuracy has to fall to 0. If
# it does not, something is wrong with the attack.


def quiet(net, **attack):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return survives(net, **attack).mean()


budgets = [0.05, 0.1, 0.2, 0.3, 0.5, 0.8]
hardened = networks["hardened 0"]
lines = {
    "rounding, PGD": (rounding, {"attack": "pgd", "max_iter": 10}),
    "rounding, Square": (rounding, {"attack": "square", "max_queries": 300}),
    "hardened, FGSM": (hardened, {"attack": "fgsm"}),
    "hardened, PGD": (hardened, {"attack": "pgd"}),
}
curves = {}
for name, (net, options) in lines.items():
    curves[name] = [quiet(net, eps=eps, **options) for eps in budgets]

figure, ax = plt.subplots(figsize=(5, 3.6), layout="constrained")
for (name, values), style in zip(
    curves.items(), ["o-", "o--", "s-", "s--"], strict=True
):
    ax.plot(budgets, values, style, label=name)
    print(name, np.round(values, 2).tolist())
ax.set(xlabel="eps", ylabel="accuracy under attack", ylim=(-0.03, 1.03))
legend = ax.legend()
# sphinx_gallery_thumbnail_number = 1

# %%
# The curve of PGD on the rounding network is flat, which is impossible for an attack
# that works. The curve cannot show everything, however: FGSM on the hardened network
# falls to 0 as it should, and is still far above PGD at budgets from 0.2 to 0.3.
#
# A short list of checks for every claim of robustness:
#
# - Do many steps fool more than one step, and the attack more than noise of its size?
# - Do images that were attacked on another model fool no more than the attack itself?
# - Does the accuracy fall to 0 as the budget grows?
# - Was a strong attack tried that does not need the gradient?
#
# skhalfway makes some of these checks whenever it measures transfer, and warns.

# %%
# What the literature says
# ------------------------
#
# - FGSM is due to Goodfellow, Shlens and Szegedy (2015): `arXiv 1412.6572
#   <https://arxiv.org/abs/1412.6572>`__.
# - Projected gradient descent is described by Madry et al. (2018): `arXiv 1706.06083
#   <https://arxiv.org/abs/1706.06083>`__.
# - APGD, and several attacks in turn, come from Croce and Hein (2020): `arXiv
#   2003.01690 <https://arxiv.org/abs/2003.01690>`__.
# - Square is an attack of Andriushchenko et al. (2020): `arXiv 1912.00049
#   <https://arxiv.org/abs/1912.00049>`__.
# - Athalye, Carlini and Wagner (2018) call gradients that a defence hides *obfuscated*.
#   By the title of their paper, they "give a false sense of security": `arXiv
#   1802.00420 <https://arxiv.org/abs/1802.00420>`__.

# %%
# Exercises
# ---------
#
# 1. Attack ``networks["hardened 0"]`` on ``X_test`` with PGD of 10 steps, each of the
#    length 0.004 (``max_iter=10``, ``step_size=0.004``), and the budget ``EPS``. How
#    accurate does the network seem to be? Which number would have told you that this
#    attack cannot work well?
#
#    Report: the accuracy, and the largest change of a pixel that the attack has made.
#    Check: with a ``step_size`` of 0.05 the accuracy is that of PGD with 10 steps in
#    the figure, and the largest change is 0.2.
#
# .. solution:: 1
#
# 2. Call an image of ``X_test`` safe only if neither FGSM, nor PGD with 40 steps, nor
#    APGD fools ``networks["hardened 0"]`` on it. Nothing has to be attacked anew:
#    ``survived["hardened 0"]`` holds, for each attack, which images are still right.
#
#    Report, with three decimals: the share of safe images, and the accuracy under the
#    strongest attack alone, which is the one of the three that leaves the fewest images
#    right. Check: the first number cannot be larger than the second, since each safe
#    image also survives the strongest attack. If both are equal, the two other attacks
#    fool no image that the strongest does not fool.
#
# .. solution:: 2
#
# 3. Write a function ``pgd(net, x, y)`` that replaces ``fgsm`` in training: five steps
#    of the length ``0.4 * EPS`` along the sign of the gradient, after each of which the
#    image is brought back into the budget around the clean image and into [0, 1]. Train
#    a network with it: ``train(pgd)``.
#
#    Report: its accuracies under FGSM and under several attacks in turn, beside those
#    of ``"hardened 0"``. Check: no pixel changes by more than ``EPS``, and the accuracy
#    on clean images is above 0.9.
#
# .. solution:: 3

# %%
# A common misreading
# -------------------
#
# "The network has an accuracy of 60 % under attack, so it is 60 % robust." An attack
# gives an upper bound: the network is right on *at most* so many images if the attacker
# searches well. Weaker attacks give higher numbers. A robustness without the name of
# the attack, its budget and its number of steps cannot be compared with any other.
#
# Where next
# ----------
#
# Images made on one network fooled another one, which the attack never saw. Lesson 3
# measures how often that happens between models of all kinds.
