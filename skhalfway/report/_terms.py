"""Meanings of the terms of a report, in plain words."""

from __future__ import annotations

from skhalfway.report._blocks import Explained

TERMS = {
    "adversarial example": "A sample that was changed a little, on purpose, so that a model classifies "
    "it wrongly.",
    "attack": "The computation that looks for such a change.",
    "budget": "How large a change may be. Its unit is given with it: standard deviations or the range of "
    "each column, or the units of the data.",
    "standard deviation": "How far the values of a column typically lie from their mean. A budget of 0.5 "
    "standard deviations is half of that distance, in each column.",
    "label": "The class that a sample truly belongs to. A model predicts it.",
    "reference": "Data like the training data. Surrogates are trained on it, and units of budgets and ranges "
    "of columns are measured on it.",
    "constraints": "Rules that say which changes are possible. Immutable columns never change, integer "
    "columns hold whole numbers, in a one_hot group one column is 1 and the others are 0, and "
    "increasing and decreasing columns may only grow or shrink.",
    "gradient": "The direction in which a small change of a sample raises the error of a model most. "
    "Networks and linear models have one; trees have none.",
    "query": "One sample that an attack shows the model, to see its prediction.",
    "norm": "How the size of a change is measured: L-infinity is the largest change of any one value, L2 the "
    "Euclidean length of all changes together, L1 the sum of their sizes.",
    "source and target": "The source is the model that adversarial examples are made on; the target is the "
    "model that they are tried on.",
    "transfer": "An adversarial example that was made on one model fools another one too. The transfer "
    "rate is the share of samples for which this happens, among those that both models classify correctly.",
    "surrogate": "A model that an attacker without access trains on similar data, and attacks in place of "
    "the deployed one.",
    "random noise": "The control: each value is moved at random by as much as the attack may move it. "
    "Such noise occurs without an attacker.",
    "interval": "The 95 % confidence interval: if the audit were repeated with other samples of the "
    "same kind, about 95 of 100 such intervals would contain the true share. Shares have Wilson intervals.",
    "p-value": "The probability of a difference at least as large as this one if there were none in truth. "
    "Below .05 the report calls a difference significant.",
    "McNemar's test": "Compares two results on the same samples, by the samples on which only one of the "
    "two fools.",
    "Fisher's exact test": "Compares two shares of different samples.",
    "Holm's method": "Adjusts p-values for the number of tests, so that among many tests few are "
    "significant by chance.",
    "robust accuracy": "Share of all samples that the model classifies correctly, both clean and under "
    "every attack that was tried, at every budget. A stronger attack can only lower it.",
    "upper bound": "A smaller change that fools may exist and was not found.",
    "gradient masking": "The gradient that attacks follow is of little use, so the attacks fail and the "
    "model looks robust although it is not.",
    "check-up": "A check of each model before the attacks, for wrong scales of inputs, swapped labels, "
    "constant predictions and similar faults.",
    "rank correlation": "Spearman's rho: 1 if two lists of figures have the same order, 0 if their orders "
    "are unrelated, -1 if one is the reverse of the other.",
    "halfway agreement": "On a straight line from a sample to one of another class, a model changes its "
    "prediction somewhere. Halfway agreement is the rank correlation of these places between two models, "
    "over the same lines. It is our own measure.",
    "adversarial training": "Training anew with adversarial examples, correctly labelled, added to the "
    "samples.",
}


def explained(*terms: str) -> Explained:
    """A block that explains some terms where they are used."""
    return Explained([(term, TERMS[term]) for term in terms])
