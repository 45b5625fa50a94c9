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

    An adversarial example that fools several models at once is more likely to fool another model [1]_. An
    ensemble can be used as any other source: ``AdversarialGenerator(ensemble)``, or, among other models, in
    :class:`~skhalfway.TransferScorer`, where it is a row of the matrix and no column.

    The members may be models of any kinds that have a gradient, exact or smoothed (scikit-learn, torch,
    skorch, ART). Their classes may be in any order. A torch module without labels has those of the other
    members, in the order of ``classes_``.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Two or more members. Fitted members are used as they are; others are cloned and fitted by :meth:`fit`.
    combine : {"probabilities", "logits", "losses", "serial", "adaptive"}, default="probabilities"
        What attacks by gradient follow:

        - ``"probabilities"``: the logarithm of the weighted mean of the members' probabilities ([1]_,
          equation 3), exact even if these round to 0 or 1; the best choice for models of several kinds, see
          Notes;
        - ``"logits"``: the weighted mean of the members' logits, the best of the first three for networks
          in [2]_, section 3.3;
        - ``"losses"``: the weighted mean of the members' losses ([2]_, section 3.3);
        - ``"serial"``: one member at each step, in turn;
        - ``"adaptive"``: the weighted mean of the members' logits, with new weights for each sample at each
          step. A member has a larger weight if its gradient raises the losses of the others; see Notes.
    weights : array-like of shape (n_members,), default=None
        Positive weights of the members, which are divided by their sum. None: equal weights. For ``"serial"``
        it must be None.

    Attributes
    ----------
    estimators_ : list of (str, estimator)
        The fitted members.
    classes_ : ndarray of shape (n_classes,)
        Labels of the members. Exists only if a member has labels.
    n_features_in_ : int
        Number of features. Exists only if a member has it.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names. Exists only if members were fitted with them.

    See Also
    --------
    skhalfway.TransferScorer : With ``sources="leave_one_out"``, attacks each model through all the others.
    skhalfway.attacks.ReducedVariance : Follows the members of an ensemble one after another.

    Notes
    -----
    **Fitted members.** If all members are fitted, the ensemble counts as fitted: :meth:`fit` need not be
    called, and ``AdversarialGenerator(ensemble)`` and ``TransferScorer.fit`` use it as it is, like a
    ``FrozenEstimator``. A clone holds the same fitted members, and clones of the others. So a fitted member
    keeps what it was trained on, also in cross-validation: pass unfitted members there.
    ``set_params(svm__C=10)`` works for members that are not fitted yet.

    **Scales of logits.** Logits of different kinds of models have different units: those of an SVM are
    distances to its margins, those of a network may be tens, and those of a forest are logarithms of
    probabilities. ``"logits"`` uses them as they are, so that a member with large logits dominates.
    :meth:`balanced` returns an ensemble whose weights compensate for that. Probabilities and losses have the
    same unit for all models. But a member that is very confident in the label has a loss near 0 with a small
    gradient, and counts for little until the other members' gradients have moved the sample.

    **Comparison.** Each of six models (logistic regression, SVM, naive Bayes, network, forest, discriminant
    analysis) was attacked through the five others, by ``"pgd"`` with 20 steps on 100 samples. The mean rates
    were:

    ====================  =============  ==========  ========  ======  ======  ========
    data                  probabilities  logits      balanced  losses  serial  adaptive
    ====================  =============  ==========  ========  ======  ======  ========
    digits, eps .15       .57            .56         .57       .54     .56     .56
    digits 0 to 5, .2     .77            .67         .73       .71     .71     .70
    breast cancer, .1     .52            .37         .45       .38     .46     .36
    ====================  =============  ==========  ========  ======  ======  ========

    With one other model as the source, the rates were .46, .60 and .39 on average over the sources, and .59,
    .76 and .51 for the best source.

    **Predictions.** The ensemble's own prediction, which decides whether the source is fooled, is the class
    with the largest mean logit; under ``"probabilities"``, the class with the largest mean probability. For
    members that are step functions (trees, neighbours), it uses the smoothed version that is attacked.

    **The option "adaptive"** is our own, in the spirit of [3]_. At each step, every member k makes a trial
    step x_k of the attack's length along the gradient of its own loss L_k. Let r_k be the mean of L_i(x_k) /
    L_i(x_i) over all other members i (of the inverse, in targeted attacks). The weight of k is proportional
    to ``weights[k] * exp(10 * r_k)``. This takes as many more evaluations as there are pairs of members. The
    paper's filter, which drops pixels on which members disagree, is left out. For ``"serial"``, we know no
    source with certainty.

    **Attacks.** ``"losses"``, ``"serial"`` and ``"adaptive"`` are for ``"pgd"``, ``"mifgsm"``, ``"fgsm"``
    (but not ``"serial"``, of which its one step would follow the first member only) and recipes. Attacks for
    the nearest sample, and attacks of other libraries, take ``"logits"`` and ``"probabilities"``. Attacks by
    queries use predictions, whatever ``combine`` is.

    References
    ----------
    .. [1] Liu, Chen, Liu & Song, "Delving into transferable adversarial examples and black-box attacks", ICLR
       2017, section 5.
    .. [2] Dong et al., "Boosting adversarial attacks with momentum", CVPR 2018, section 3.3.
    .. [3] Chen et al., "An adaptive model ensemble adversarial attack for boosting adversarial
       transferability", ICCV 2023.

    Examples
    --------
    An ensemble fools another model about as often as its best member does, and it need not be known which
    member that is:

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
        """Fit clones of the members that are not fitted yet.

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
            classes, number of features or columns; if two names are equal, or one is that of a parameter.
        TypeError
            If a member is no classifier, is an ensemble itself, or has no gradient.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from sklearn.svm import SVC
        >>> from skhalfway import Ensemble
        >>> X, y = load_iris(return_X_y=True)
        >>> ensemble = Ensemble([("bayes", GaussianNB()), ("svm", SVC())]).fit(X, y)
        >>> ensemble.classes_
        array([0, 1, 2])
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
                f"X has {self.n_features_in_} features, but the fitted members of this Ensemble take "
                f"{width}; pass samples with as many"
            )
        model = as_model(self)
        if model.classes_ is not None:
            self.classes_ = model.classes_
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the class with the largest mean logit or probability; see the class's notes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Labels, from ``classes_``; column numbers, if no member has labels.

        Examples
        --------
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from sklearn.svm import SVC
        >>> from skhalfway import Ensemble
        >>> X, y = [[0.0], [1.0], [4.0], [5.0]], ["low", "low", "high", "high"]
        >>> Ensemble([("bayes", GaussianNB()), ("svm", SVC())]).fit(X, y).predict([[0.5], [4.5]]).tolist()
        ['low', 'high']
        """
        model, array = self._reading(X)
        labels: NDArray[Any] = classes_of(model, array)[model.predict(array)]
        return labels

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Softmax of the mean logits; under ``combine="probabilities"``, the mean probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities, with columns in the order of ``classes_``.

        Examples
        --------
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from sklearn.svm import SVC
        >>> from skhalfway import Ensemble
        >>> X, y = [[0.0], [1.0], [4.0], [5.0]], [0, 0, 1, 1]
        >>> Ensemble([("bayes", GaussianNB()), ("svm", SVC())]).fit(X, y).predict_proba([[2.5]]).round(2)
        array([[0.5, 0.5]])
        """
        model, array = self._reading(X)
        return model.scores(array)

    def balanced(self, X: Any) -> Ensemble:
        """Return an ensemble of the same members, with weights that compensate for the scale of their logits.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Samples on which the scale is measured, such as training data.

        Returns
        -------
        ensemble : Ensemble
            A fitted ensemble. Each weight is inversely proportional to the root mean square, over samples and
            classes, of the member's logits minus their mean over classes.

        Raises
        ------
        ValueError
            If ``combine`` takes no mean of logits, which only ``"logits"`` and ``"adaptive"`` do; if all
            logits of a member are equal.

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
                "balanced weighs members by the size of their logits, so it needs combine='logits' or "
                f"'adaptive', which take the mean of these; this Ensemble has combine={self.combine!r}"
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
                    "weight can compensate; leave it out"
                )
        weights = 1 / spread
        return type(self)(list(self.estimators_), combine=self.combine, weights=weights / weights.sum())

    def _reading(self, X: Any) -> tuple[EnsembleModel, NDArray[Any]]:
        """The ensemble's model for X's categories, and the samples."""
        frame = Frame.of(X)
        model: Any = as_model(self).reading(frame)
        array = read_samples(self, X, reset=False)
        if not takes_missing(self):
            check_finite(array)
        return model, array
