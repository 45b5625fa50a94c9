"""AdversarialGenerator: a scikit-learn transformer that makes adversarial examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skhalfway._entries import takes_datasets, takes_datasets_or
from skhalfway.attacks._constraints import Constraints
from skhalfway.attacks._estimator import GeneratorBase
from skhalfway.attacks._run import generate


class AdversarialGenerator(GeneratorBase):
    """Make adversarial examples: change inputs, within a budget, so that a source classifier is fooled.

    The transformer fits a source classifier and replaces each sample by an adversarial one: a point no
    further than ``eps`` from the sample, in the norm ``norm``, to which the source gives another label if the
    attack succeeds.

    Parameters
    ----------
    estimator : object, default=None
        The source. A classifier is cloned and fitted by :meth:`fit`; None is
        ``LogisticRegression(max_iter=1000)``. A ``FrozenEstimator`` of a fitted classifier, a
        ``torch.nn.Module``, an ART classifier and an object without a ``fit`` count as fitted: they are used
        as they are, and :meth:`fit` need not be called.
    attack : str, class, object or callable, default="auto"
        - ``"auto"``: ``"pgd"`` for a source with a gradient, exact or smoothed, else ``"hopskipjump"``
          (``"surrogate"`` in L1). These attacks without a gradient also take the samples at which the
          gradient is exactly 0 (a :class:`~skhalfway.models.ModelWarning` says so if these are 5 % or more).
          ``"hopskipjump"`` also tries up to 100 queries on each sample that a smoothed gradient does not
          fool. In L0, ``"auto"`` is ``"sigmazero"`` and refuses a source without a gradient.
        - ``"auto-strong"``: for robust accuracy, several attacks in turn, as in AutoAttack [9]_. Each is run
          on the samples that none before it fooled: ``"tree"`` for trees; with a gradient, exact or smoothed,
          ``"apgd"`` with both losses (in L1 ``"pgd"`` too) and ``"fmn"``; ``"square"``; with a smoothed
          gradient, none, or one of exactly 0, ``"hopskipjump"`` (``"surrogate"`` in L1). In L0 it is
          ``"sigmazero"`` alone. AutoAttack's own settings are ``max_iter=100`` and ``max_queries=5000``.
        - By gradient: ``"fgsm"``, one step [1]_; ``"pgd"``, projected steps [2]_; ``"mifgsm"``, steps with
          momentum [3]_; ``"apgd"``, steps whose length adapts to the progress of the loss [9]_, the strongest
          of these with ``max_iter=100``; a :class:`~skhalfway.attacks.Recipe` of pieces, or the name of a
          recipe, such as ``"vmi-di-ti"``: see :func:`~skhalfway.attacks.list_attacks`.
        - For the nearest adversarial sample (minimum norm): ``"deepfool"`` [4]_ and ``"fmn"`` [5]_, by
          gradient; in L2 ``"ddn"`` [10]_ and ``"cw"`` [11]_, which takes ``max_iter`` steps for each of
          several weights and needs finite ``clip_values``; in L0 ``"sigmazero"`` [12]_, for the fewest
          changed features; ``"tree"`` for a tree (exact, except with a ``projection``), for ensembles of
          trees, and for pipelines of them whose steps transform each column separately.
        - Without a gradient: ``"hopskipjump"`` [6]_ and ``"halfway"``, our own (see Notes), query
          predictions; ``"square"`` [7]_ queries scores; ``"surrogate"`` distils the source into a network and
          attacks that [8]_.
        - A class or an instance of an evasion attack of ART, foolbox or torchattacks; of these only ART is
          installed with this package. A class gets this object's ``eps``, ``norm``, ``max_iter``,
          ``step_size`` and so on, as far as it takes them. An instance keeps its own parameters and is copied
          onto the source; its ``eps`` (foolbox's have none) and ``norm`` must equal this object's.
          torchattacks need finite ``clip_values``, and get samples scaled from these to [0, 1].
        - A callable ``f(model, X, y)`` that returns samples; see Notes.

        Samples that an attack returns outside the budget, the bounds or the constraints are projected back.
        (Many attacks look for the smallest perturbation, whatever its size.)
    eps : float, array-like or mapping, default=0.1
        Budget: the largest norm of a perturbation.

        - One number; or one for each feature, as an array of shape (n_features,) or by column name.
        - One number for each sample that is attacked, of shape (n_samples, 1), for images (n_samples, 1, 1,
          1); or one for each sample and feature, of X's shape.

        With several numbers, the norm of perturbation / eps is at most 1. What has 0, or a column that is not
        named, does not change. ``np.inf`` is allowed for attacks that look for the nearest adversarial
        sample. A finite budget is at most 1e18, since many models compute in float32. A sample whose next
        float lies beyond the budget stays as it is. With ``norm=0`` the budget is one whole number of
        features, at least 1; a change of category in a one-hot group changes two features.
    eps_unit : {"input", "std", "range"}, default="input"
        Unit of ``eps``: that of the data, or each feature's standard deviation or range. These are measured
        on the training data (which needs :meth:`fit`); in a scorer of fitted models, on the samples that it
        gets.
    norm : {np.inf, 2, 1, 0}, default=np.inf
        Norm of the perturbation. 0 is the number of features that change, each by any amount; it needs finite
        ``clip_values`` and is for ``"sigmazero"``, ``"auto"``, ``"auto-strong"`` and callables. Of too many
        changes the largest are kept, as shares of the range of their features.
    constraints : Constraints, default=None
        What else makes a sample valid: immutable, integer, one-hot and monotone columns, a projection, a
        mask. See :class:`~skhalfway.Constraints`.
    max_iter : int, default=40
        Number of steps of attacks by gradient. ``"fgsm"`` takes one.
    max_queries : int, default=1000
        Largest number of predictions that an attack without a gradient queries for one sample.
    step_size : float, default=None
        Length of a step, in the units of ``eps``, or as a fraction of ``eps`` if that is one number for each
        feature or sample. For ``"sigmazero"`` it is the first step, as a share of each feature's range. None
        is ``2.5 * eps / max_iter`` for ``"pgd"``, ``eps / max_iter`` for ``"mifgsm"`` and 1 for
        ``"sigmazero"``. ``"fgsm"`` and ``"apgd"`` take none.
    n_restarts : int, default=1
        Number of attacks on each sample, of which the one with the largest margin is kept. All but the first
        start at random. For ``"fgsm"``, ``"pgd"``, ``"mifgsm"``, ``"apgd"``, recipes and ``"surrogate"``.
    random_start : bool, default=False
        Whether the first restart, too, starts at a random point of the ball, and not at the sample.
    clip_values : tuple of (min, max) or "range", default=None
        Range of valid data: two numbers, or two arrays of the shape of a sample; data outside is an error.
        ``"range"`` takes the range of each feature in the data on which ``eps_unit`` is measured; a sample
        that lies beyond it moves no further out. None: no clipping.
    attack_params : dict, default=None
        Further parameters of the attack. For ``"mifgsm"``, ``{"decay": 1.0}``. For ``"apgd"``,
        ``{"loss": "dlr"}`` (difference of logits ratio, which needs three classes; ``"ce"`` is cross-entropy)
        and ``{"n_targets": 9}`` (the number of other labels to move towards, one after another). For
        ``"hopskipjump"``, ``{"start": ...}``: adversarial samples to begin at, or ``"surrogate"``,
        ``"square"`` or ``"halfway"``, which make them with half of the queries. A class of another library
        takes any of its own parameters, which override this object's; a callable takes its own by name. None
        for ``"auto"``, ``"auto-strong"`` and an instance.
    batch_size : int or "auto", default="auto"
        Number of samples attacked at once; affects speed, memory and the rounding of results only. ``"auto"``
        is 256, or up to 1,024 small samples if gradients are cheap. The package's own attacks take fewer if
        memory does not hold as many.
    device : str, torch.device or list of these, default=None
        Where gradients are computed. None is where the source's weights are; on other devices a copy of them
        is used. Several devices work at the same time: here on batches of the package's own attacks by
        gradient, in a scorer of several models on blocks of samples, as many at once as its ``n_jobs``.
        Outside a scorer, an attack of another library or a callable uses the first device only. Results
        differ between devices by the rounding of their hardware only.
    dtype : {"bfloat16", "float16"}, default=None
        Float type in which ``"fgsm"``, ``"pgd"``, ``"mifgsm"`` and ``"apgd"`` compute gradients of torch
        modules, skorch nets and ART's classifiers of torch modules, by ``torch.autocast``; see Notes. No
        effect on other attacks and sources. None is the source's own type.
    random_state : int, RandomState instance or None, default=None
        Seed of everything that an attack draws. Pass an int for the same output across calls.

    Attributes
    ----------
    estimator_ : object
        The fitted source.
    classes_ : ndarray of shape (n_classes,)
        Labels of the source.
    n_features_in_ : int
        Number of features seen during :meth:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :meth:`fit`, if they are strings.
    soft_agreement_ : float or None
        Attacks by gradient may follow a differentiable copy of the source. This is the share of up to 500
        training samples to which copy and source give the same label; if it is low, attacks may miss much.
        None if the source itself is followed, and for other attacks.
    n_iter_ : int
        Maximum number of steps of the attack.
    n_queries_ : ndarray of shape (n_samples,) or None
        Number of predictions that the last :meth:`generate` queried for each sample, without the labels of
        partners (see Notes). None after attacks by gradient; under ``"auto"``, if any sample was attacked by
        queries, 0 for those attacked by gradient.
    distances_ : ndarray of shape (n_samples,) or None
        Norm of the smallest perturbation of each sample, of any size, that the last :meth:`generate` found to
        fool the source; in the units of ``eps``, in multiples of a sample's own budget, or for ``norm=0`` in
        changed features. inf if none was found, 0 if the source already misclassifies the clean sample.
        Attacks by queries know only the points that they queried, so a sample that is projected back into the
        budget may fool at a smaller distance. None after attacks that do not look for the nearest sample.

    See Also
    --------
    skhalfway.TransferScorer : How many of these samples fool other models.
    skhalfway.Constraints : What makes a sample valid.

    Notes
    -----
    **Loss.** The gradient attacks raise cross-entropy. They follow the gradient of its margin, which has the
    same direction and does not vanish where a confident source saturates, and return the last step, as in the
    papers. ``"apgd"`` returns the best point that it met: a point that fools, of the largest loss. In L1, a
    step changes the feature with the largest gradient and, if ``clip_values`` leave that one no room, the
    next; a step of ``"apgd"`` changes several features.

    **Gradients that are 0 or not finite.** An attack by gradient fails where the gradient is 0, so a source
    that only masks its gradient seems robust. A :class:`~skhalfway.models.ModelWarning` says so if 5 % or
    more of the samples end, without fooling the source, at a gradient of exactly 0; such samples stay as they
    are. If some values of a gradient are nan or infinite, the gradient at a point close by replaces them,
    with a warning. Where that fails, nan becomes 0, and an infinite value becomes as large as the largest of
    its sample. The other samples are attacked as if they were alone. A source whose outputs torch cannot
    trace back to its inputs is a TypeError, or a black box under ``"auto"``. Attacks of other libraries
    follow a loss in float32, whose gradient is 0 also where a source is very confident, and which has few
    digits for large values; both give a warning.

    **Reduced precision.** With a ``dtype``, logits and gradients have the precision of that type, wherever
    torch's autocast uses it. Values that float16 cannot hold are computed in the source's own type. Samples,
    weights and predictions keep their types. ``"deepfool"`` and ``"fmn"`` ignore ``dtype``: distances need
    all digits.

    **Callables.** A callable gets the model as its owner knows it. An object with ``predict``, such as a
    scikit-learn estimator (without its ``FrozenEstimator``), a skorch net or an ART classifier, is to be
    queried by ``predict``; a torch module is to be called. Modules, also those inside nets and classifiers,
    are views in evaluation mode that share the weights. :func:`~skhalfway.models.as_model` gives all models
    one interface. X is a copy of the samples: an array of the shape that the model takes, (n_samples,
    n_features) for scikit-learn and as given for networks, in the model's float type (at least float32). y
    holds the labels to leave, as :meth:`generate` takes them (column numbers, for a torch module without
    labels). The callable returns finite numbers, as an array or a tensor of X's shape. It gets each of these
    if it has a parameter of that name: ``eps`` (in input units: a number, or an array that broadcasts against
    X, 0 where nothing may change), ``norm``, ``clip_values``, ``targeted`` (whether y holds labels to reach)
    and ``random_state`` (an int). Global random generators are seeded before the call, as for attacks of
    other libraries.

    **Budgets and masks for each sample** belong to the samples of one call, which must be as many. So
    cross-validation, which passes some of the samples, cannot use them; :meth:`fit` attacks nothing and takes
    any number. The package's own attacks move all samples at once, whatever their budgets. Attacks of ART,
    foolbox and torchattacks know one budget, and are run once for each different budget.

    **State.** As scikit-learn asks, :meth:`transform` changes nothing in this object; :meth:`generate` sets
    ``n_queries_`` and ``distances_``.

    **Partners.** ``"hopskipjump"`` begins at the nearest samples to which the source gives another label:
    first among up to 2,000 training samples, the *partners*, which :meth:`fit` keeps; then in X; then among
    random points around each sample. The partners' labels are queried once, when they are needed, and not
    counted in ``n_queries_``. A warning says if nothing is found for 5 % of the samples or more.
    ``"surrogate"`` is trained on X. So the results of these attacks for one sample may depend on the other
    samples: on all of them, or on 2,000 that are drawn.

    **The attack "halfway"** is this package's own and not published; it uses the crossing regression of
    ``skhalfway.halfway``. Take a boundary that is a plane with unit normal n at distance D from a sample. A
    ray in the unit direction u crosses it at a distance r with 1 / r = <n, u> / D, so that regression on u
    gives n / D. A prediction tells whether the crossing in its direction is nearer or further. The first
    segments lead to samples of other classes (of the target class), by the source's predictions; the next to
    points around the nearest crossing so far. Each step goes along n. The ends of the segments are the
    partners, in :class:`~skhalfway.TransferScorer` those of its reference, and without any, the other samples
    of X.

    **Containers.** In a DataFrame, columns of categories and missing values stay as they are. Columns of
    floats keep their types, and models are queried at numbers that these types hold; polars gives polars. A
    ``Dataset`` or ``DataLoader`` of torch may replace samples: it is read once, and if it yields pairs
    (sample, label) and ``y`` is None, its labels are ``y``.

    References
    ----------
    .. [1] Goodfellow, Shlens & Szegedy, "Explaining and harnessing adversarial examples", ICLR 2015, sec. 4.
    .. [2] Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR 2018, sec. 2.1.
    .. [3] Dong et al., "Boosting adversarial attacks with momentum", CVPR 2018, Algorithm 1.
    .. [4] Moosavi-Dezfooli, Fawzi & Frossard, "DeepFool: a simple and accurate method to fool deep neural
       networks", CVPR 2016, Algorithm 2.
    .. [5] Pintor et al., "Fast minimum-norm adversarial attacks through adaptive norm constraints", NeurIPS
       2021, Algorithm 1.
    .. [6] Chen, Jordan & Wainwright, "HopSkipJumpAttack: a query-efficient decision-based attack", IEEE S&P
       2020, Algorithm 2.
    .. [7] Andriushchenko et al., "Square attack: a query-efficient black-box adversarial attack via random
       search", ECCV 2020, Algorithms 1 to 3.
    .. [8] Papernot et al., "Practical black-box attacks against machine learning", ASIACCS 2017, Algorithm 1.
    .. [9] Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
       parameter-free attacks", ICML 2020, Algorithm 1; in L1 "Mind the box", ICML 2021, Algorithm 1.
    .. [10] Rony et al., "Decoupling direction and norm for efficient gradient-based L2 adversarial attacks
       and defenses", CVPR 2019, Algorithm 1.
    .. [11] Carlini & Wagner, "Towards evaluating the robustness of neural networks", IEEE S&P 2017, VI.A.
    .. [12] Cinà et al., "sigma-zero: gradient-based optimization of l0-norm adversarial examples", ICLR 2025,
       Algorithm 1.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.svm import SVC
    >>> from skhalfway import AdversarialGenerator
    >>> X, y = load_iris(return_X_y=True)
    >>> generator = AdversarialGenerator(SVC(), eps=0.5).fit(X, y)
    >>> X_adv = generator.transform(X)
    >>> bool(abs(X_adv - X).max() <= 0.5)
    True
    >>> round(generator.estimator_.score(X, y), 2), round(generator.estimator_.score(X_adv, y), 2)
    (0.97, 0.63)

    An attack of your own:

    >>> def to_the_mean(model, X, y, share=0.5):
    ...     return X + share * (X.mean(axis=0) - X)
    >>> generator = AdversarialGenerator(SVC(), attack=to_the_mean, eps=1.0).fit(X, y)
    >>> round(generator.estimator_.score(generator.transform(X), y), 2)
    0.71
    """

    def __init__(
        self,
        estimator: Any = None,
        *,
        attack: Any = "auto",
        eps: Any = 0.1,
        eps_unit: str = "input",
        norm: float = np.inf,
        constraints: Constraints | None = None,
        max_iter: int = 40,
        max_queries: int = 1000,
        step_size: float | None = None,
        n_restarts: int = 1,
        random_start: bool = False,
        clip_values: tuple[ArrayLike, ArrayLike] | str | None = None,
        attack_params: dict[str, Any] | None = None,
        batch_size: int | str = "auto",
        device: Any = None,
        dtype: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.attack = attack
        self.eps = eps
        self.eps_unit = eps_unit
        self.norm = norm
        self.constraints = constraints
        self.max_iter = max_iter
        self.max_queries = max_queries
        self.step_size = step_size
        self.n_restarts = n_restarts
        self.random_start = random_start
        self.clip_values = clip_values
        self.attack_params = attack_params
        self.batch_size: Any = batch_size
        self.device = device
        self.dtype = dtype
        self.random_state = random_state

    @takes_datasets
    def transform(self, X: Any) -> Any:
        """Attack the source's own predictions: move each sample away from the label that the source gives it.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor, Dataset} of shape (n_samples, n_features)
            Samples to change.

        Returns
        -------
        X_adv : same type, shape and float type as X
            Adversarial samples; integers become floats. For a Dataset, one tensor or array of all samples.

        Raises
        ------
        NotFittedError
            If the source needs :meth:`fit`.
        ValueError
            If the data is invalid or outside ``clip_values``.
        TypeError
            If the attack needs gradients and the source has none.

        Warns
        -----
        ModelWarning
            If the source's gradients are of little use; see the class's notes.
        UserWarning
            If the budget is too small for a step of a whole number or a change of category.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skhalfway import AdversarialGenerator
        >>> X, y = load_iris(return_X_y=True)
        >>> X_adv = AdversarialGenerator(eps=0.5).fit(X, y).transform(X)
        >>> bool(abs(X_adv - X).max() <= 0.5)
        True
        """
        # scikit-learn puts a wrapper around this method
        return generate(self, X)[1]

    @takes_datasets_or("target")
    def generate(self, X: Any, y: Any = None, target: Any = None) -> Any:
        """Attack given labels, or move samples towards target labels.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor, Dataset} of shape (n_samples, n_features)
            Samples to change.
        y : array-like of shape (n_samples,), default=None
            Labels to leave (untargeted attack), usually the true ones. None: the source's own predictions.
        target : label or array-like of shape (n_samples,), default=None
            Labels to reach (targeted attack), instead of ``y``.

        Returns
        -------
        X_adv : same type, shape and float type as X
            Adversarial samples; integers become floats. For a Dataset, one tensor or array of all samples.

        Raises
        ------
        NotFittedError
            If the source needs :meth:`fit`.
        ValueError
            If the data is invalid, outside ``clip_values`` or violates its own constraints, a label is
            unknown, or both ``y`` and ``target`` are given.
        TypeError
            If the attack needs gradients and the source has none.

        Warns
        -----
        ModelWarning
            If the source's gradients are of little use; see the class's notes.
        UserWarning
            If the budget is too small for a step of a whole number or a change of category.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skhalfway import AdversarialGenerator
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> generator = AdversarialGenerator(eps=2.0, norm=2).fit(X, y)
        >>> X_adv = generator.generate(X, target=0)
        >>> generator.estimator_.predict(X_adv)[::15]
        array([0, 0, 0, 0, 0, 0, 0, 1, 1, 1])
        """
        outcome, X_adv = generate(self, X, y, target)
        self.n_queries_, self.distances_ = outcome.n_queries, outcome.distances
        return X_adv
