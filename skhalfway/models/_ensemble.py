"""Ensemble: several models that are attacked together."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin

from skhalfway._callbacks import fit_tasks, with_callbacks
from skhalfway._entries import takes_datasets
from skhalfway._inputs import Frame, check_finite, read_samples, read_targets
from skhalfway.models._as_model import as_model, fit_clone, is_fitted, takes_missing
from skhalfway.models._ensemble_base import EnsembleBase
from skhalfway.models._ensemble_model import EnsembleModel, named_member
from skhalfway.models._faults import classes_of


class Ensemble(ClassifierMixin, EnsembleBase):
    """Several models as one source, which is attacked through all of them at once.

    What fools several models at once is more likely to fool one that it was not made for [1]_. An ensemble
    stands wherever a source stands: ``AdversarialGenerator(ensemble)``, and, beside other models, in
    :class:`~skhalfway.TransferScorer`, where it is a row of the matrix and no column. Its members may be of
    any kinds that have a gradient, exact or smoothed (scikit-learn, torch, skorch, ART), and name their
    classes in any order; a torch module that names none has those of the others, in the order of
    ``classes_``.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Two or more members. One that is fitted stays as it is; others are cloned and fitted by :meth:`fit`.
    combine : {"probabilities", "logits", "losses", "serial", "adaptive"}, default="probabilities"
        What attacks by gradient follow:

        - ``"probabilities"``: the logarithm of the weighted mean of the members' probabilities ([1]_,
          equation 3), exact where these round to 0 or 1; the best for models of several kinds, see Notes;
        - ``"logits"``: the weighted mean of their logits, the best of the first three for networks in [2]_,
          section 3.3;
        - ``"losses"``: the weighted mean of the members' losses ([2]_, section 3.3);
        - ``"serial"``: one member at each step, in turn;
        - ``"adaptive"``: the mean of the logits, with weights that each sample has anew at each step, larger
          for a member whose gradient raises the losses of the others; see Notes.
    weights : array-like of shape (n_members,), default=None
        Positive numbers, which are divided by their sum. None: all members weigh the same. For ``"serial"``
        it must be None.

    Attributes
    ----------
    estimators_ : list of (str, estimator)
        The fitted members.
    classes_ : ndarray of shape (n_classes,)
        Their labels. Only where a member names them.
    n_features_in_ : int
        Width of the data. Only where a member says.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names, where members were fitted with them.

    See Also
    --------
    skhalfway.TransferScorer : With ``sources="leave_one_out"`` attacks each model through all the others.
    skhalfway.attacks.ReducedVariance : Follows the members of an ensemble one after another.

    Notes
    -----
    Where all members are fitted, the ensemble is, too: nothing needs to call :meth:`fit`, and
    ``AdversarialGenerator(ensemble)`` and ``TransferScorer.fit`` use it as it is, as they would a
    ``FrozenEstimator``. A clone holds the same fitted members and clones of the others. So a fitted member
    knows whatever it was trained on, under cross-validation too: hand in unfitted ones there.
    ``set_params(svm__C=10)`` is for members that are yet to be fitted.

    Logits of different kinds of models have different units: those of an SVM are distances to its margins, a
    network's may be tens, a forest's are logarithms of probabilities. ``"logits"`` takes them as they are, so
    that a member with large ones says most; :meth:`balanced` gives an ensemble whose weights make up for
    that. Probabilities, and losses, have one unit: but a member that is very sure of the label has a loss
    next to 0, whose gradient is small, and so says little until others have done their part. Where each of
    six models (logistic regression, SVM, naive Bayes, network, forest, discriminant analysis) was attacked
    through the five others, by ``"pgd"`` of 20 steps on 100 samples, the mean rates were

    ====================  =============  ==========  ========  ======  ======  ========
    data                  probabilities  logits      balanced  losses  serial  adaptive
    ====================  =============  ==========  ========  ======  ======  ========
    digits, eps .15       .57            .56         .57       .54     .56     .56
    digits 0 to 5, .2     .77            .67         .73       .71     .71     .70
    breast cancer, .1     .52            .37         .45       .38     .46     .36
    ====================  =============  ==========  ========  ======  ======  ========

    and those of the attack on one other model .46, .60 and .39 on average, .59, .76 and .51 for the best one.

    The ensemble's own prediction, by which a source counts as fooled, is the class with the largest mean
    logit; under ``"probabilities"`` that with the largest mean probability. Of members that are step
    functions (trees, neighbours) their smoothed version counts, which is what is attacked.

    ``"adaptive"`` is our own, in the spirit of [3]_. At each step every member k makes a trial step x_k of
    the attack's length along the gradient of its own loss L_k. With r_k the mean over all other members i of
    L_i(x_k) / L_i(x_i), of the inverse where labels are to be reached, its weight is proportional to
    ``weights[k] * exp(10 * r_k)``. That takes as many more evaluations as there are pairs of members. The
    paper's filter, which drops pixels at which members disagree, is not part of it. For ``"serial"`` we know
    of no source that we are sure of.

    ``"losses"``, ``"serial"`` and ``"adaptive"`` are followed by ``"pgd"``, ``"mifgsm"``, ``"fgsm"`` (but for
    ``"serial"``, of which it would follow the first member) and recipes. Attacks for the nearest sample, and
    those of other libraries, take ``"logits"`` and ``"probabilities"``; attacks by queries ask for
    predictions, whatever ``combine`` is.

    References
    ----------
    .. [1] Liu, Chen, Liu & Song, "Delving into transferable adversarial examples and black-box attacks", ICLR
       2017, section 5.
    .. [2] Dong et al., "Boosting adversarial attacks with momentum", CVPR 2018, section 3.3.
    .. [3] Chen et al., "An adaptive model ensemble adversarial attack for boosting adversarial
       transferability", ICCV 2023.

    Examples
    --------
    An ensemble does about as much to another model as the best of its members, and nobody needs to know which
    that is:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from sklearn.svm import SVC
    >>> from skhalfway import AdversarialGenerator, Ensemble
    >>> X, y = load_digits(n_class=6, return_X_y=True)
    >>> X_train, y_train, X_test, y_test = X[:800] / 16, y[:800], X[800:900] / 16, y[800:900]
    >>> lr, svm = LogisticRegression(max_iter=1000).fit(X_train, y_train), SVC().fit(X_train, y_train)
    >>> target = KNeighborsClassifier().fit(X_train, y_train)
    >>> for source in (FrozenEstimator(lr), FrozenEstimator(svm), Ensemble([("lr", lr), ("svm", svm)])):
    ...     generator = AdversarialGenerator(source, attack="pgd", eps=0.2, clip_values=(0, 1))
    ...     print(round(1 - target.score(generator.generate(X_test, y_test), y_test), 2))
    0.11
    0.22
    0.2
    """

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        *,
        combine: str = "probabilities",
        weights: ArrayLike | None = None,
    ) -> None:
        self.estimators = estimators
        self.combine = combine
        self.weights = weights

    @with_callbacks
    @takes_datasets
    def fit(self, X: Any, y: Any, **fit_params: Any) -> Ensemble:
        """Fit clones of those members that are not fitted.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor, Dataset} of shape (n_samples, n_features)
            Training samples; images may have more axes.
        y : array-like of shape (n_samples,)
            Labels.
        **fit_params : dict
            Metadata such as ``sample_weight``. Only with ``enable_metadata_routing``: each member that is
            fitted gets what it requests.

        Returns
        -------
        self : Ensemble
            The fitted ensemble.

        Raises
        ------
        ValueError
            If a parameter or the data is invalid; if there are fewer than two members, or they differ in
            classes, width or columns; if a name is there twice, or is that of a parameter.
        TypeError
            If a member is no classifier, is an ensemble itself, or has no gradient.
        """
        self._check()
        params = self._routed("fit", fit_params)
        if y is None:
            raise ValueError(
                "This Ensemble estimator requires y to be passed, but the target y is None; an ensemble of "
                "fitted members needs no fit"
            )
        array = read_samples(self, X, reset=True)
        if not takes_missing(self):
            check_finite(array)
        read_targets(y, len(array))
        data = X if hasattr(X, "columns") else array
        fitted = []
        with fit_tasks(self, [name for name, _ in self._pairs], X, y) as tasks:
            for (name, estimator), task in zip(self._pairs, tasks, strict=True):
                if is_fitted(estimator):
                    with task.around(None, X, y):
                        fitted.append((name, estimator))
                    continue
                fit = partial(fit_clone, **params[name])
                fitted.append((name, named_member(name, fit, estimator, data, y, task)))
        self.estimators_ = fitted
        self.__dict__.pop("classes_", None)
        width = self._seen_in_members("n_features_in_")
        if width is not None and width != self.n_features_in_:
            raise ValueError(
                f"X has {self.n_features_in_} features, but the fitted members of this Ensemble take {width}"
            )
        model = as_model(self)
        if model.classes_ is not None:
            self.classes_ = model.classes_
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the class with the largest mean logit, or probability; see the class's notes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Of ``classes_``; column numbers, where no member names any.
        """
        model, array = self._reading(X)
        labels: NDArray[Any] = classes_of(model, array)[model.predict(array)]
        return labels

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Softmax of the mean logits; under ``combine="probabilities"`` the mean probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        model, array = self._reading(X)
        return model.scores(array)

    def balanced(self, X: Any) -> Ensemble:
        """The same members, with weights that make up for the scale of their logits.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples on which it is measured; training data, say.

        Returns
        -------
        ensemble : Ensemble
            Fitted. Each weight is inverse to the root mean square, over samples and classes, of the member's
            logits less their mean over classes.

        Raises
        ------
        ValueError
            If the ensemble follows no mean of logits, as under "logits" and "adaptive"; if a member has the
            same logits for all classes throughout.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.svm import SVC
        >>> from skhalfway import Ensemble
        >>> X, y = load_iris(return_X_y=True)
        >>> members = [("lr", LogisticRegression(max_iter=1000).fit(X, y)), ("svm", SVC().fit(X, y))]
        >>> Ensemble(members, combine="logits").balanced(X).weights.round(2)
        array([0.63, 0.37])
        """
        import torch

        from skhalfway.models._torch import place_of

        if self.combine not in ("logits", "adaptive"):
            raise ValueError(
                "balanced weighs members by the size of their logits, of which combine='logits' and "
                f"'adaptive' take the mean; this Ensemble has combine={self.combine!r}"
            )
        model, array = self._reading(X)
        with model.evaluating(), torch.no_grad():
            each = model.joint.each(torch.tensor(array, **place_of(model.joint)))
            centred = [logits.double() - logits.double().mean(dim=1, keepdim=True) for logits in each]
            spread = np.array([float(logits.square().mean().sqrt()) for logits in centred])
        for name, size in zip(model.members, spread, strict=True):
            if not 0 < size < np.inf:
                raise ValueError(
                    f"member {name!r} of the Ensemble has logits of spread {size:g} on X, for which no "
                    "weight makes up; leave it out"
                )
        weights = 1 / spread
        return type(self)(list(self.estimators_), combine=self.combine, weights=weights / weights.sum())

    def _reading(self, X: Any) -> tuple[EnsembleModel, NDArray[Any]]:
        """The model of the members, as they read X, and the samples."""
        frame = Frame.of(X)
        model: Any = as_model(self).reading(frame)
        array = read_samples(self, X, reset=False)
        if not takes_missing(self):
            check_finite(array)
        return model, array
