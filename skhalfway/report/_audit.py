"""audit: which attackers fool a deployed model, how often, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from skhalfway._checks import as_python, check_choice, check_integer, check_random_state
from skhalfway._text import shown
from skhalfway.attacks import AdversarialGenerator, Constraints
from skhalfway.models._fitted_columns import check_columns, check_kinds
from skhalfway.report._inputs import read_models, read_samples
from skhalfway.report._words import PARTS

if TYPE_CHECKING:
    from skhalfway.report._report import AuditReport


def audit(
    models: Any,
    X: Any,
    y: Any,
    *,
    deployed: str | None = None,
    surrogates: Any = "auto",
    surrogate_share: float = 0.5,
    generator: AdversarialGenerator | None = None,
    eps: Sequence[float] = (0.1, 0.25, 0.5),
    constraints: Constraints | None = None,
    reference: Any = None,
    n_samples: int | None = 500,
    parts: str | Sequence[str] = "all",
    memory: Any = None,
    error_score: Any = "raise",
    timeout: float | None = None,
    n_jobs: int | None = None,
    random_state: int = 0,
    verbose: int = 0,
) -> AuditReport:
    """Audit a deployed classifier: which attackers fool it, at which budget, how often, and what to do.

    Adversarial examples are made on the deployed model itself (white-box attack), on any other models given,
    and on surrogates, which are trained here as an attacker without access would train them (black-box
    attack). The samples made on every model are tried on every model.

    Parameters
    ----------
    models : fitted classifier, or mapping or sequence of several
        The deployed model, and any other models, as :meth:`skhalfway.TransferScorer.fit` takes them.
    X : array-like or DataFrame of shape (n_samples, n_features), or images of shape (n_samples, ...)
        Samples that the models were not trained on.
    y : array-like of shape (n_samples,)
        True labels of the samples.
    deployed : str, default=None
        Name of the model to audit; None is the first one.
    surrogates : "auto", mapping of str to estimator, or None, default="auto"
        Models that an attacker would train. ``"auto"``: six models of different families, for images three
        networks. Mapping: clones of these estimators are fitted. None: no surrogates.
    surrogate_share : float, default=0.5
        Share of the reference that surrogates are trained on, > 0 and at most 1; at most 10,000 samples.
    generator : AdversarialGenerator, default=None
        The attack, without an estimator; its ``eps`` is not used. None is
        ``AdversarialGenerator(eps_unit="std", clip_values="range")``, for images
        ``AdversarialGenerator(clip_values="range")``.
    eps : sequence of float, default=(0.1, 0.25, 0.5)
        Increasing budgets, in the generator's ``eps_unit``.
    constraints : Constraints, default=None
        Rules that valid samples must satisfy. Give them here or in the generator, not in both.
    reference : (X_train, y_train), or array-like of shape (n_reference, n_features), default=None
        Data like the training data. Surrogates are trained on a share of them; without labels, the
        predictions of the deployed model are the labels. Units of budgets and ranges are measured on them.
        None: half of X is split off for the surrogates and is not attacked.
    n_samples : int or None, default=500
        Maximum number of samples of X to attack, drawn at random in proportion to the classes. None is all.
    parts : "all" or sequence of str, default="all"
        Parts of the audit beside transfer: "exposed" (the most exposed samples), "columns" (columns that the
        attack depends on), "nearest" (distance to the nearest adversarial example), "halfway" (predicted
        transfer and halfway agreement), "retraining" (effect of adversarial training).
    memory : str, Path or joblib.Memory, default=None
        Folder that caches finished work, so that an interrupted audit can be resumed.
    error_score : "raise" or numpy.nan, default="raise"
        What happens if a model raises; see :class:`~skhalfway.TransferScorer`.
    timeout : float, default=None
        Time limit of a model for one block of samples, in seconds; see :class:`~skhalfway.TransferScorer`.
    n_jobs : int, default=None
        Number of parallel jobs.
    random_state : int, default=0
        Seed of all random draws.
    verbose : int, default=0
        Above 0, show progress bars.

    Returns
    -------
    report : AuditReport
        Verdict, findings and all figures.

    Raises
    ------
    ValueError
        If a parameter or the data is invalid; if the models differ in classes or in the number of features;
        if y holds a single class; if the deployed model classifies no sample correctly, so that there is
        nothing to attack.
    TypeError
        If an object is not a classifier.
    NotFittedError
        If a model is not fitted.
    RuntimeError, TimeoutError
        If a model raises or takes longer than ``timeout``, unless ``error_score`` is nan.
    KeyboardInterrupt
        If the user interrupts. Its attribute ``partial`` is the report of the measurements so far; None if no
        sample was attacked yet.

    See Also
    --------
    skhalfway.TransferScorer : Measures transfer between any models.

    Notes
    -----
    Rates are shares of the samples that both the deployed model and the attacked model classify correctly. A
    sample that fools at a smaller budget counts as fooling at all larger ones. The rate of several sources
    counts samples that fool when made on at least one of them. Attackers are compared with random noise of
    the same size by McNemar's exact tests, adjusted by Holm's method at the level of 5 %.

    Attacks never change categories, and hardly change columns whose values are far larger than the budget. A
    model that relies on such a column looks robust. So the columns are inspected first. Where one of them
    alone, or several together, tell the label or the answers of the deployed model, ``report.data`` names
    them, and the verdict does not call the model robust. If attackers cannot set such a column, declare it as
    immutable in ``constraints``. The verdict then says that it rests on that.

    A part that fails is left out, for example if a model cannot be trained again; ``report.left_out`` has the
    reason. Warnings of the measurements are collected in ``report.warnings``.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skhalfway import audit
    >>> X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X_train, y_train)
    >>> report = audit(model, X_test, y_test, reference=(X_train, y_train), n_samples=60, parts=["columns"])
    >>> print(report.verdict.headline)
    Exposed
    """
    from skhalfway.report._run import Request, run  # imports torch
    from skhalfway.transfer._experiments import read_budgets

    named, deployed = read_models(models, deployed)
    budgets = tuple(read_budgets(eps))
    attack = _attack(generator, constraints, X)
    wanted = _read_parts(parts)
    check_random_state(random_state)
    if not isinstance(as_python(random_state), int):
        raise ValueError(
            f"random_state must be an integer, so that an audit can be repeated; got {shown(random_state)}"
        )
    if n_samples is not None:
        check_integer("n_samples", n_samples, 2)
    if not (isinstance(surrogates, Mapping) and surrogates) and surrogates not in ("auto", None):
        raise ValueError(
            f"surrogates must be 'auto', None, or a mapping of names to estimators, got {shown(surrogates)}"
        )
    share = as_python(surrogate_share)
    if not isinstance(share, (int, float)) or not 0 < share <= 1:
        raise ValueError(f"surrogate_share must be > 0 and at most 1, got {shown(surrogate_share)}")
    if surrogates is None and len(named) < 2:
        raise ValueError(
            "a single model without surrogates leaves no source of transfer; pass other models too, or "
            "surrogates='auto'"
        )
    data = read_samples(
        X, y, reference, surrogates=surrogates is not None, n_samples=n_samples, seed=random_state
    )
    for name, model in named.items():
        check_columns(model, data.X, f"model {shown(name)}")
        check_kinds(model, data.X, f"model {shown(name)}")
    options = {
        "n_jobs": n_jobs,
        "memory": memory,
        "error_score": error_score,
        "timeout": timeout,
        "verbose": verbose,
    }
    request = Request(
        named, deployed, surrogates, float(share), attack, budgets, data, wanted, options, random_state
    )
    return run(request)


def _attack(
    generator: AdversarialGenerator | None, constraints: Constraints | None, X: Any
) -> AdversarialGenerator:
    if generator is None:
        unit = "input" if np.ndim(X) > 2 else "std"
        return AdversarialGenerator(eps_unit=unit, clip_values="range", constraints=constraints)
    if not isinstance(generator, AdversarialGenerator):
        raise TypeError(f"generator must be an AdversarialGenerator or None, got {shown(generator)}")
    if generator.norm == 0:
        raise ValueError(
            "generator.norm must be np.inf, 2 or 1 for an audit, got 0; to count changed features, pass that "
            "generator to TransferScorer and call transfer_curve"
        )
    if constraints is None:
        return generator
    if generator.constraints is not None:
        raise ValueError("constraints are given twice, as a parameter and in the generator; leave one out")
    return clone(generator).set_params(constraints=constraints)


def _read_parts(parts: Any) -> tuple[str, ...]:
    if isinstance(parts, str) and parts == "all":
        return PARTS
    if isinstance(parts, str) or not isinstance(parts, Sequence):
        raise ValueError(f"parts must be 'all' or a list of some of {list(PARTS)}, got {shown(parts)}")
    for part in parts:
        check_choice("parts", part, PARTS)
    return tuple(part for part in PARTS if part in parts)
