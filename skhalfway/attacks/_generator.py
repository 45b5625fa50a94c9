"""AdversarialGenerator: adversarial inputs as a scikit-learn transformer."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skhalfway._entries import takes_datasets, takes_datasets_or
from skhalfway.attacks._constraints import Constraints
from skhalfway.attacks._estimator import GeneratorBase
from skhalfway.attacks._run import generate


class AdversarialGenerator(GeneratorBase):
    """Change inputs, within a budget, so that a source classifier errs.

    The transformer fits a source classifier and replaces samples by adversarial ones: points no further than
    ``eps`` from them, in the norm ``norm``, that the source classifies differently where the attack succeeds.

    Parameters
    ----------
    estimator : object, default=None
        The source. A classifier is cloned and fitted by :meth:`fit`. None is
        ``LogisticRegression(max_iter=1000)``. A ``FrozenEstimator`` of a fitted classifier, a
        ``torch.nn.Module``, an ART classifier and an object without a ``fit`` count as fitted and are used as
        they are, with no need to call :meth:`fit`.
    attack : str, class, object or callable, default="auto"
        - ``"auto"``: ``"pgd"`` for a source with a gradient, exact or smoothed,
          else ``"hopskipjump"`` (``"surrogate"`` in L1; ``"sigmazero"``, and
          nothing without a gradient, in L0); that too for samples at
          which the gradient is exactly 0 (with a
          :class:`~skhalfway.models.ModelWarning`, where they are 5 % or more), and, with
          up to 100 queries each but not in L1, for those that a smoothed gradient does not
          fool.
        - ``"auto-strong"``: for robust accuracy, several attacks in turn, each on the samples that still
          stand, as in AutoAttack [9]_: with a gradient ``"apgd"`` with both losses (``"pgd"`` too in L1),
          ``"fmn"`` and ``"square"``; with a smoothed one or none ``"tree"`` for trees, ``"square"``, and what
          ``"auto"`` takes; in L0 ``"sigmazero"`` alone. AutoAttack's own figures are ``max_iter=100`` and
          ``max_queries=5000``.
        - By gradient: ``"fgsm"``, one step [1]_; ``"pgd"``, projected steps
          [2]_; ``"mifgsm"``, steps with momentum [3]_; ``"apgd"``, steps whose lengths follow from how the
          loss rises [9]_, the strongest of these with ``max_iter=100``; a
          :class:`~skhalfway.attacks.Recipe` of pieces, or the name of one, such as ``"vmi-di-ti"``: see
          :func:`~skhalfway.attacks.list_attacks`.
        - For the nearest sample that fools: ``"deepfool"`` [4]_ and ``"fmn"``
          [5]_ by gradient, in L2 ``"ddn"`` [10]_ and ``"cw"`` [11]_, which takes ``max_iter`` steps for each
          of several weights and needs finite ``clip_values``; in L0 ``"sigmazero"`` [12]_, for the fewest
          changed features; ``"tree"`` for trees (exact, but for a
          ``projection``), ensembles of trees, and pipelines of them whose steps keep each column by itself.
        - Without a gradient: ``"hopskipjump"`` asks for predictions [6]_, and so
          does ``"halfway"``, our own: it regresses the boundary on where the
          source's answer changes between samples (see Notes); ``"square"`` asks
          for scores [7]_; ``"surrogate"`` distils the source into a network and
          attacks that [8]_.
        - A class or an instance of an evasion attack of ART, of foolbox or of
          torchattacks, none of which but ART need be installed. A class gets this
          object's ``eps``, ``norm``, ``max_iter``, ``step_size`` and the like
          as far as it takes them. An instance keeps its own, and is copied
          onto the source; its ``eps`` (foolbox's have none) and ``norm`` must be
          the same as this object's. torchattacks need finite ``clip_values``,
          and get samples scaled from these to [0, 1].
        - A callable ``f(model, X, y)`` that returns samples; see Notes.

        What an attack returns outside the budget (many look for the smallest change, whatever its size), the
        bounds or the constraints is brought back by the shortest way.
    eps : float, array-like or mapping, default=0.1
        Budget: largest norm of a change. One number; or one for each feature,
        as an array of shape (n_features,) or by column name, 0 where nothing may
        change, as for columns that are not named; or one for each sample that is
        attacked, of shape (n_samples, 1), for images (n_samples, 1, 1, 1), or for
        each sample and feature, of X's shape, 0 for a sample that stays. Of several
        numbers, the change is divided by these and its norm is at most 1.
        ``np.inf`` is allowed for attacks that look for the nearest sample; a finite
        budget is at most 1e18, as many models compute in float32. Where it is so
        small that no other float is as near, samples stay. With ``norm=0`` it is one whole number of
        features, at least 1; a change of category in a one-hot group changes two.
    eps_unit : {"input", "std", "range"}, default="input"
        What ``eps`` counts in: the units of the data, or each feature's standard deviation or range in the
        training data (needs :meth:`fit`); in a scorer of fitted models, in the samples that it is given.
    norm : {np.inf, 2, 1, 0}, default=np.inf
        Norm in which the budget counts. 0 is the number of features that change, by however much:
        for ``"sigmazero"``, ``"auto"``, ``"auto-strong"`` and callables, with finite ``clip_values``. Of more
        changes those stay that are the largest, as shares of the range of their features.
    constraints : Constraints, default=None
        What else a valid sample keeps to: immutable, integer, one-hot and
        monotone columns, a projection, a mask. See :class:`~skhalfway.Constraints`.
    max_iter : int, default=40
        Number of steps of attacks by gradient. ``"fgsm"`` takes one.
    max_queries : int, default=1000
        Most predictions that an attack without a gradient asks for one sample.
    step_size : float, default=None
        Length of a step, in the units of ``eps`` (a fraction of it, where it
        is one for each feature or sample; for ``"sigmazero"`` the first step, as a share of each feature's
        range). None is ``2.5 * eps / max_iter`` for ``"pgd"``, ``eps / max_iter`` for ``"mifgsm"`` and 1 for
        ``"sigmazero"``. ``"fgsm"`` and ``"apgd"`` take none.
    n_restarts : int, default=1
        Number of attacks on each sample; the one with the largest margin is kept. All but the first start at
        random. For ``"fgsm"``, ``"pgd"``, ``"mifgsm"``, ``"apgd"`` and ``"surrogate"``.
    random_start : bool, default=False
        Whether the first of these also starts at a random point of the ball, not at the sample.
    clip_values : tuple of (min, max) or "range", default=None
        Range of valid data: two numbers, or two arrays of the shape of a sample; data outside is an error.
        ``"range"``: that of each feature in the data that ``eps_unit`` is measured on; a sample beyond it
        moves no further out. None: no clipping.
    attack_params : dict, default=None
        Further parameters of the attack, such as ``{"decay": 1.0}`` for ``"mifgsm"``, or for ``"apgd"``
        ``{"loss": "dlr"}`` (the difference of logits ratio, which needs three classes; ``"ce"`` is
        cross-entropy) and ``{"n_targets": 9}`` (towards so many other labels in turn), or for
        ``"hopskipjump"`` ``{"start": ...}``, adversarial samples to begin at or ``"surrogate"``, ``"square"``
        or ``"halfway"``, which make them with half of the queries; for a class of another
        library any of its own, which go before this object's; for a callable whatever it takes by name. None
        under ``"auto"``, ``"auto-strong"`` and for an instance.
    batch_size : int or "auto", default="auto"
        Samples attacked at once. ``"auto"`` is 256; where gradients are cheap, up to 1,024 small ones, for
        these take little longer. The package's own attacks take fewer where memory does not hold so many.
        Results do not depend on it, but for rounding.
    device : str, torch.device or list of these, default=None
        Where gradients are computed. None is where the source's weights lie; elsewhere a copy of them is
        used. Several take turns, and work at once: batches of the package's own attacks by gradient here;
        in a scorer of several models blocks of samples, as many at once as its ``n_jobs``. An attack
        of another library or a callable goes to the first, but in a scorer. Results are the same, but for
        the rounding of different hardware.
    dtype : {"bfloat16", "float16"}, default=None
        Float type in which ``"fgsm"``, ``"pgd"``, ``"mifgsm"`` and ``"apgd"`` take gradients of torch
        modules, skorch nets and ART's classifiers of torch modules, by ``torch.autocast``; see Notes. No
        effect on other attacks and sources. None is the source's own type.
    random_state : int, RandomState instance or None, default=None
        For whatever an attack draws. Pass an int for the same output across calls.

    Attributes
    ----------
    estimator_ : object
        The fitted source.
    classes_ : ndarray of shape (n_classes,)
        Its labels.
    n_features_in_ : int
        Number of features seen during :meth:`fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during :meth:`fit`, where they are strings.
    soft_agreement_ : float or None
        Share of up to 500 training samples that the source's differentiable copy, which attacks by gradient
        follow, classifies as the source does; where it is low, they may miss much. None where they follow the
        source itself, and for other attacks.
    n_iter_ : int
        Number of steps that the attack is allowed.
    n_queries_ : ndarray of shape (n_samples,) or None
        Predictions that the last :meth:`generate` asked of the source for each
        sample, but for labels of partners; None after attacks by gradient. Under ``"auto"``, 0 for samples
        attacked by gradient where others were not.
    distances_ : ndarray of shape (n_samples,) or None
        Norm of the smallest change found by the last :meth:`generate` that
        fools the source, in the units of ``eps`` (in multiples of a sample's
        own; with ``norm=0`` the number of changed features) and however large: inf where
        none was found, 0 where none is needed. Attacks by queries know of what they
        asked; a sample brought back into the budget may fool nearer.
        None after attacks that do not look for it.

    See Also
    --------
    skhalfway.TransferScorer : How many of these fool other models.
    skhalfway.Constraints : What a valid sample keeps to.

    Notes
    -----
    The gradient attacks raise cross-entropy. They follow the gradient of its margin, which has the same
    direction and does not vanish where a confident source saturates, and end at the last step, as in the
    papers; ``"apgd"`` returns the best point that it met: one that fools, of the largest loss. In L1 a step
    goes to the feature with the largest gradient and, where ``clip_values`` leave that one no room, to the
    next; those of ``"apgd"`` go to some features.

    An attack by gradient sees nothing where a source's gradient is 0, and takes a source for robust that only
    hides it. So attacks warn, by a :class:`~skhalfway.models.ModelWarning`, where 5 % or more of the samples
    end, unfooled, at a gradient of exactly 0; such samples stay as they are. Gradients that are nan or
    infinite at some values of some samples are mended, with a warning: what is missing is taken from the
    gradient at a point close by, else nan becomes 0, and an infinite value is as large as the largest of its
    sample. Other samples are attacked as if they were alone. A source whose outputs torch cannot follow back
    to its inputs is a TypeError, or under ``"auto"`` a black box. With a ``dtype``, logits and gradients of
    such an attack have as many digits as that where torch holds them for enough; what float16 has no number
    for is taken in the source's own type. Samples, weights and whatever is predicted keep theirs.
    ``"deepfool"`` and ``"fmn"`` do not use it: how far a boundary is takes all digits. Attacks of other
    libraries follow a loss in float32, whose gradient is 0 too where a source is very sure, and in which
    large values have few digits: they warn alike of such samples.

    A callable gets the model as its owner knows it: whatever has ``predict``, such as a scikit-learn
    estimator (out of its ``FrozenEstimator``), a skorch net or an ART classifier, is asked by
    that; a torch module is called. Modules, those in nets and classifiers too, are views in evaluation
    mode that share the weights. :func:`~skhalfway.models.as_model` makes one kind of all. X is a copy of
    the samples, an array of the shape that the model sees, (n_samples, n_features) for scikit-learn and
    as given for networks, and of the float type that it computes in (at least float32); y are the labels
    to leave, as this object's :meth:`generate` takes them (a torch module's column numbers, where it
    names none). It returns an array or a tensor of X's shape, of finite numbers. If it names parameters
    ``eps`` (in input units: a number, or one for each feature or sample, an array that broadcasts against
    X, 0 where nothing may change), ``norm``, ``clip_values``, ``targeted`` (whether y holds labels to
    reach) or ``random_state`` (an int), it is given these. Global random generators are seeded for it,
    and for other libraries.

    Budgets and masks one a sample belong to the samples of one call: as many have to be handed in, so that
    cross-validation, which hands in some, cannot use them. :meth:`fit` attacks nothing, and takes any number.
    The package's own attacks move all samples at once, whatever their budgets; attacks of ART, foolbox and
    torchattacks know one budget, and are run once for each that samples have.

    :meth:`transform` leaves no trace in this object, as scikit-learn asks; :meth:`generate` reports
    what it took and found in ``n_queries_`` and ``distances_``.

    ``"hopskipjump"`` begins at the nearest samples that the source puts elsewhere: of up to 2,000 training
    samples, *partners* that :meth:`fit` keeps, then of X, then at random points around each sample. The
    source is asked once for partners' labels, when they are needed; ``n_queries_`` does not count that. Where
    nothing is found for 5 % of the samples or more, a warning says so. ``"surrogate"`` learns from X. So
    what these give for one sample may depend on the others, of which they know all, or 2,000 that are drawn.

    ``"halfway"`` is this package's own, and no published attack: crossing regression, of
    ``skhalfway.halfway``, made into one. From a sample, a boundary that is a plane of unit normal n at
    distance D is crossed in the unit direction u at a distance r with 1 / r = <n, u> / D, so that regression
    on u gives n / D; a prediction tells whether the crossing in its direction is nearer or further. Segments
    lead to samples that the source puts in other classes (in the target class), then to points around the
    nearest crossing so far; each next step goes along n. The samples at the other ends are partners, as
    above; in :class:`~skhalfway.TransferScorer` those of its reference. Without any, they are the other
    samples of X.

    Columns of a DataFrame that hold categories, and missing values, stay as they are; columns of floats keep
    their types, and models are asked of numbers that these hold; polars comes back as polars. Wherever
    samples are taken, a ``Dataset`` or ``DataLoader`` of torch may give them: it is gone through once, and
    where it gives pairs (sample, label) and ``y`` is None, its labels are ``y``.

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
        """Attack the source's own predictions.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor, Dataset} of shape (n_samples, n_features)
            Samples to change.

        Returns
        -------
        X_adv : same type, shape and float type as X
            Adversarial samples; integers become floats. Of a Dataset, a tensor or array of all.

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
        """
        # scikit-learn puts a wrapper around this method
        return generate(self, X)[1]

    @takes_datasets_or("target")
    def generate(self, X: Any, y: Any = None, target: Any = None) -> Any:
        """Attack given labels, or move towards target labels.

        Parameters
        ----------
        X : {array-like, DataFrame, Tensor, Dataset} of shape (n_samples, n_features)
            Samples to change.
        y : array-like of shape (n_samples,), default=None
            Labels to leave, the true ones usually. None: the source's own
            predictions.
        target : label or array-like of shape (n_samples,), default=None
            Labels to reach, instead of ``y``.

        Returns
        -------
        X_adv : same type, shape and float type as X
            Adversarial samples; integers become floats. Of a Dataset, a tensor or array of all.

        Raises
        ------
        NotFittedError
            If the source needs :meth:`fit`.
        ValueError
            If the data is invalid, outside ``clip_values`` or breaks its own
            constraints, a label is unknown, or both ``y`` and ``target`` are
            given.
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
