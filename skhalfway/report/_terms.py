"""What the terms of a report mean, in plain words."""

from __future__ import annotations

from skhalfway.report._blocks import Explained

TERMS = {
    "adversarial example": "A sample that was changed a little, on purpose, so that a model classifies "
    "it wrongly.",
    "attack": "The computation that looks for such a change.",
    "budget": "How large a change may be. Its unit stands beside it: standard deviations or the range "
    "of each "
    "column, or the units of the data.",
    "norm": "How the size of a change is measured: L-infinity is the largest change of any one value, L2 the "
    "Euclidean length of all changes together, L1 the sum of their sizes.",
    "source and target": "The source is the model that adversarial examples are made on; the target is the "
    "model that they are tried on.",
    "transfer": "An adversarial example that was made on one model fools another one too. The transfer "
    "rate is "
    "the share of the samples, classified right by both models before, for which it does.",
    "surrogate": "A model that an attacker without access trains on similar data, to attack it in the "
    "place of "
    "the deployed one.",
    "random noise": "The control: each value is moved at random by as much as the attack may move it. "
    "What noise "
    "does needs no attacker.",
    "interval": "The 95 % confidence interval: if the audit were repeated with other samples of the "
    "same kind, "
    "intervals made like this would hold the true share 95 times out of 100. Shares have Wilson's intervals.",
    "p-value": "How likely figures as different as these, or more, would be by chance alone. Below .05 the "
    "report calls a difference beyond chance.",
    "McNemar's test": "Compares two results on the same samples by those on which only one of both fools.",
    "Fisher's exact test": "Compares two shares of different samples.",
    "Holm's method": "Adjusts p-values for how many tests there are, so that one in twenty is not found "
    "by luck.",
    "robust accuracy": "Share of all samples that the model classifies right as they are and under "
    "every attack "
    "that was tried, at every budget. A stronger attack can only lower it.",
    "upper bound": "A smaller change that fools may exist and was not found.",
    "gradient masking": "The slope that attacks follow tells little of the model, so that they fail and the "
    "model looks robust without being it.",
    "check-up": "What skhalfway looks for in each model before attacks: wrong scales of inputs, swapped "
    "labels, "
    "answers that never change, and the like.",
    "rank correlation": "Spearman's rho: 1 if one list of figures puts things in the same order as "
    "another, 0 if "
    "the orders have nothing to do with each other, -1 if they are reversed.",
    "halfway agreement": "Walk in a straight line from a sample to one of another class. Halfway "
    "agreement is "
    "the rank correlation of the places at which two models change their answers on the same paths. It "
    "is our "
    "own measure.",
    "adversarial training": "Training anew with adversarial examples, rightly labelled, added to the "
    "samples.",
}


def explained(*terms: str) -> Explained:
    """Some terms where they are used."""
    return Explained([(term, TERMS[term]) for term in terms])
