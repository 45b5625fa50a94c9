"""Judging any classifier by the adversarial samples of a scorer's sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skhalfway._entries import takes_datasets
from skhalfway.transfer._attacking import AttackingCollection

if TYPE_CHECKING:
    from skhalfway.transfer._robustness import Robustness


class JudgingCollection(AttackingCollection):
    """A collection whose sources' adversarial samples judge classifiers."""

    @takes_datasets
    def robust_accuracy(self, estimator: Any, X: Any, y: Any) -> float:
        """Accuracy of a classifier under all the models' adversarial samples.

        A sample counts as right only if ``estimator`` classifies it correctly
        as it is and as attacked on each of the models: the worst case, as
        robust accuracy is counted for ensembles of attacks. Has the signature
        that ``scoring=`` takes. ``estimator`` itself, where it is one of the
        models, frozen or not, is not among the sources.

        Parameters
        ----------
        estimator : object
            Fitted classifier to judge.
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            True labels.

        Returns
        -------
        accuracy : float
            Share of samples that stay right.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data is invalid, or the classes are not those of the models.
        RuntimeError, TimeoutError
            If a model raises, or takes longer than ``timeout``, whatever ``error_score`` is: the
            worst case over the other sources would look better than it is.

        Warns
        -----
        ModelWarning
            If the check-up of a source finds that its samples may be weak; if its
            gradients are of little use, or few queries fool it more often than
            its own attack: accuracy under stronger attacks is lower.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.model_selection import cross_val_score
        >>> from sklearn.svm import SVC
        >>> from skhalfway import TransferScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> models = [LogisticRegression(max_iter=1000).fit(X, y), SVC().fit(X, y)]
        >>> scorer = TransferScorer().fit(models)
        >>> scores = cross_val_score(SVC(), X, y, scoring=scorer.robust_accuracy)
        >>> round(float(scores.mean()), 2)
        0.92
        """
        return self.robustness(estimator, X, y).robust_accuracy

    @takes_datasets
    def robustness(self, estimator: Any, X: Any, y: Any) -> Robustness:
        """Which samples a classifier gets right under all the sources' adversarial samples.

        What :meth:`robust_accuracy` counts, sample by sample and with an interval.

        Parameters
        ----------
        estimator : object
            Fitted classifier to judge.
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            True labels.

        Returns
        -------
        robustness : Robustness
            Its answers, accuracy by source, and robust accuracy.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data is invalid, or the classes are not those of the models;
            if the only source is ``estimator`` itself.
        RuntimeError, TimeoutError
            If a model raises, or takes longer than ``timeout``, whatever ``error_score`` is.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.svm import SVC
        >>> from skhalfway import TransferScorer
        >>> X, y = load_iris(return_X_y=True)
        >>> models = [LogisticRegression(max_iter=1000).fit(X, y), SVC().fit(X, y)]
        >>> scorer = TransferScorer().fit(models)
        >>> scorer.robustness(SVC(C=10).fit(X, y), X, y).robust_accuracy > 0.8
        True
        """
        from skhalfway.transfer._worst_case import measure_robustness

        return measure_robustness(self, estimator, X, y)
