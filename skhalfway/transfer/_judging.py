"""Robust accuracy of any classifier under the adversarial samples of a scorer's sources."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skhalfway._entries import takes_datasets
from skhalfway.transfer._attacking import AttackingCollection

if TYPE_CHECKING:
    from skhalfway.transfer._robustness import Robustness


class JudgingCollection(AttackingCollection):
    """A collection that tests classifiers with the adversarial samples of its sources."""

    @takes_datasets
    def robust_accuracy(self, estimator: Any, X: Any, y: Any) -> float:
        """Accuracy of a classifier in the worst case over adversarial samples of all sources.

        A sample counts as correct only if ``estimator`` classifies its clean version correctly, and also the
        version attacked on each source. Robust accuracy under an ensemble of attacks is counted in the same
        way. The method has the signature of ``scoring=`` in scikit-learn. If ``estimator`` is one of the
        models, frozen or not, it is left out of the sources.

        Parameters
        ----------
        estimator : object
            Fitted classifier to test.
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            True labels.

        Returns
        -------
        accuracy : float
            Share of samples that are classified correctly in all versions.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data is invalid, or the classes are not those of the models.
        RuntimeError, TimeoutError
            If a model raises, or takes longer than ``timeout``. ``error_score`` has no effect, since without
            the failed source the worst case would look better than it is.

        Warns
        -----
        ModelWarning
            If the check of a source finds that its adversarial samples may be weak; if its gradients are of
            little use; or if a few queries fool it more often than its own attack. Accuracy under stronger
            attacks is then lower.

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
        """Test, sample by sample, whether a classifier is right for every source's adversarial samples.

        This gives what :meth:`robust_accuracy` counts, with a confidence interval.

        Parameters
        ----------
        estimator : object
            Fitted classifier to test.
        X : array-like of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            True labels.

        Returns
        -------
        robustness : Robustness
            Predictions of the classifier, accuracy by source, and robust accuracy.

        Raises
        ------
        NotFittedError
            If :meth:`fit` was not called.
        ValueError
            If the data is invalid, or the classes are not those of the models;
            if the only source is ``estimator`` itself.
        RuntimeError, TimeoutError
            If a model raises, or takes longer than ``timeout``. ``error_score`` has no effect.

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
