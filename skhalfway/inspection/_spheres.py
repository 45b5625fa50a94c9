"""adversarial_spheres: test error, and how near it lies, on two spheres one inside the other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import ascending_integers, check_choice, check_integer, check_positive
from skhalfway._intervals import POSITIVE, SHARE
from skhalfway._text import shown
from skhalfway.attacks._parameters import KINDS
from skhalfway.inspection._curve_result import CurveResult
from skhalfway.inspection._repeats import repeated
from skhalfway.inspection._sphere_errors import Spheres, measure_errors
from skhalfway.inspection._splits import read_split
from skhalfway.results._provenance import recorded


@dataclass(frozen=True, eq=False, repr=False)
class AdversarialSpheres(CurveResult):
    """Errors on two spheres, and how near they lie, by the number of training samples.

    Made by :func:`adversarial_spheres`; arrays are read-only.

    Parameters
    ----------
    x : ndarray of shape (n_sizes,)
        Numbers of training samples.
    values : dict of str to ndarray of shape (n_sizes, n_repeats)
        "error", on fresh points of both spheres; "inner error", on those of the
        inner one, of radius 1; "distance", the mean distance on it from a point
        that is classified right to the nearest error that was found, nan where
        none was; "bound", the largest that the mean distance can be with such an
        inner error, nan where the test saw none.
    n_features : int
        Dimension of the space.

    See Also
    --------
    AdversarialSpheresDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.inspection import AdversarialSpheres
    >>> AdversarialSpheres(
    ...     x=np.array([1000]),
    ...     values={"distance": np.array([[0.1]]), "bound": np.array([[0.12]])},
    ...     n_features=500,
    ... )
    AdversarialSpheres: 1 point, 1 repeat
    training samples  distance  bound
    1000              .10       .12
    """

    n_features: int

    x_label = "training samples"
    x_scale = "log"

    def _limits(self, name: str) -> tuple[float, float]:
        return SHARE if "error" in name else POSITIVE


@recorded
def adversarial_spheres(
    estimator: Any,
    *,
    n_features: int = 500,
    radius: float = 1.3,
    n_train: Any = (1000, 2000, 4000),
    n_test: int = 20_000,
    n_attacked: int = 100,
    attack: str = "auto",
    max_iter: int = 40,
    max_queries: int = 1000,
    n_repeats: int = 3,
    random_state: Any = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> AdversarialSpheres:
    """Train a classifier to tell two concentric spheres apart, and see how near its errors are.

    Two spheres of radius 1 and ``radius``, uniformly populated: nothing is
    ambiguous, and the true boundary is a sphere between them. Gilmer et al. [1]_
    showed that a classifier which errs on a small constant share of such a sphere
    has an error within a distance of order 1 / sqrt(n_features) of its points, on
    average, whatever the classifier, and that trained networks come near to the
    theoretical optimum. Two random points are sqrt(2) apart.

    The bound is that of isoperimetry: of all sets of a given share of a sphere, the
    cap has the smallest neighbourhood at any distance, and so lies, on average,
    furthest from other points. With ``I`` the regularised incomplete beta function,
    the share of a cap of angle ``a <= pi / 2`` is
    ``I(sin(a)**2; (n - 1) / 2, 1 / 2) / 2`` [2]_. The mean distance to it, from
    points outside, is an integral of such shares, which is computed. Distances are
    Euclidean; those of misclassified points, 0, are left out on both sides.

    Errors are looked for on the sphere: the classifier is attacked after
    ``sklearn.preprocessing.Normalizer``, so that all points in one direction from
    the centre are one point of the sphere, by ``"fmn"`` of
    :class:`~skhalfway.AdversarialGenerator` or, without a gradient, by
    ``"hopskipjump"``. The point of the ray that is nearest to x lies sin(a) away,
    its point on the sphere 2 sin(a / 2): the one grows with the other, up to a right
    angle, so that the nearest error is the same. What is found is an upper bound of
    the distance to the nearest error, and may lie above the bound where an attack
    is weak.

    Parameters
    ----------
    estimator : object
        Classifier to train; clones are.
    n_features : int, default=500
        Dimension of the space.
    radius : float, default=1.3
        Radius of the outer sphere.
    n_train : int or sequence of int, default=(1000, 2000, 4000)
        Training samples, half of them on either sphere.
    n_test : int, default=20000
        Fresh points for the errors, half of them on either sphere.
    n_attacked : int, default=100
        How many points, of the inner sphere and classified right, are attacked. Of
        the test's points: there are fewer where it has not so many.
    attack : str, default="auto"
        An attack of :class:`~skhalfway.AdversarialGenerator` that looks for the
        nearest adversarial sample. ``"auto"`` as above.
    max_iter : int, default=40
        Its steps by gradient.
    max_queries : int, default=1000
        Most predictions that it asks for a point, without a gradient.
    n_repeats : int, default=3
        Trainings, each with data and a seed of its own.
    random_state : int, RandomState instance or None, default=None
        Decides all of them.
    n_jobs : int, default=None
        Trainings side by side, in processes.
    verbose : int, default=0
        Whether to show a progress bar.

    Returns
    -------
    curves : AdversarialSpheres
        Errors, distances and their bound by the number of training samples.

    Raises
    ------
    ValueError
        If a parameter is invalid.
    TypeError
        If the estimator is no classifier, or is frozen.

    See Also
    --------
    skhalfway.AdversarialGenerator : What looks for the errors.

    Notes
    -----
    In 100 to 500 dimensions the errors of multi-layer perceptrons, and of forests,
    are nearer to all points than those of a cap: hardly so where they are many, by
    40 % where training has left 2 %. Those of a linear classifier are a cap. As
    errors become rare the distance grows slowly. Rates below 1 in ``n_test`` go
    unseen; an attack may then find errors where the test saw none.

    References
    ----------
    .. [1] Gilmer, Metz, Faghri, Schoenholz, Raghu, Wattenberg & Goodfellow,
       "Adversarial spheres", arXiv 1801.02774, 2018.
    .. [2] Li, "Concise formulas for the area and volume of a hyperspherical cap",
       Asian Journal of Mathematics and Statistics 4, 2011.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from skhalfway.inspection import adversarial_spheres
    >>> curves = adversarial_spheres(
    ...     GaussianNB(), n_features=100, n_train=[50, 200], n_attacked=50, n_repeats=1, random_state=0
    ... )
    >>> (curves.means["distance"] < curves.means["bound"]).all()
    np.True_
    """
    check_integer("n_features", n_features, 2)
    check_positive("radius", radius)
    if radius <= 1:
        raise ValueError(f"radius must be > 1, that of the inner sphere; got {shown(radius)}")
    sizes = _read_sizes(n_train)
    check_integer("n_test", n_test, 2)
    check_integer("n_attacked", n_attacked)
    spheres = Spheres(n_features, float(radius))
    read_split(estimator, *spheres.draw(2, np.random.RandomState(0)))  # raises for what cannot be trained
    check_integer("max_iter", max_iter)
    check_integer("max_queries", max_queries)
    allowed = ["auto", *(name for name, kind in KINDS.items() if kind.nearest and 2 in kind.norms)]
    check_choice("attack", attack, allowed)
    measure = partial(
        measure_errors,
        estimator=estimator,
        spheres=spheres,
        n_test=int(n_test),
        n_attacked=int(n_attacked),
        attack=attack,
        limits={"max_iter": max_iter, "max_queries": max_queries},
    )
    found = repeated(
        measure,
        sizes.tolist(),
        n_repeats=n_repeats,
        random_state=random_state,
        n_jobs=n_jobs,
        verbose=verbose,
        what="adversarial spheres",
    )
    names = ("error", "inner error", "distance", "bound")
    return AdversarialSpheres(sizes, {name: found[..., i] for i, name in enumerate(names)}, n_features)


def _read_sizes(n_train: Any) -> NDArray[np.int_]:
    sizes = ascending_integers("n_train", n_train, or_one=True)
    if sizes[0] < 2:
        raise ValueError(f"n_train must be at least 2, a sample of either sphere; got {shown(n_train)}")
    return sizes
