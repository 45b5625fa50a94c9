"""adversarial_spheres: test error, and the distance to the nearest error, on two concentric spheres."""

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
    """Errors on two concentric spheres, and distances to them, by the number of training samples.

    Made by :func:`adversarial_spheres`; arrays are read-only.

    Parameters
    ----------
    x : ndarray of shape (n_sizes,)
        Numbers of training samples.
    values : dict of str to ndarray of shape (n_sizes, n_repeats)
        Figures by name:

        - "error", the share of new points of both spheres that are misclassified;
        - "inner error", the same on the inner sphere, of radius 1;
        - "distance", the mean distance on the inner sphere from a correctly
          classified point to the nearest error that was found. It is nan where an
          attack found none.
        - "bound", the largest possible mean distance with that inner error. It is
          nan where the test saw no error.
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
    """Train a classifier on two concentric spheres, and measure how near its errors are to correct points.

    The two spheres have radius 1 and ``radius``, and points are uniform on each.
    Classes do not overlap, and the true boundary is a sphere between them. Gilmer et
    al. [1]_ studied classifiers that misclassify a small constant share of such a
    sphere. They showed that the mean distance from its points to the nearest error is
    then at most of order 1 / sqrt(n_features), for every classifier, and that trained
    networks are close to the theoretical optimum. Two random points are sqrt(2)
    apart.

    The bound follows from isoperimetry. Among all sets with a given share of a
    sphere, the cap has the smallest neighbourhood at any distance. So the mean
    distance from other points to the cap is largest. The share of a cap of angle
    ``a <= pi / 2`` is ``I(sin(a)**2; (n - 1) / 2, 1 / 2) / 2``, with ``I`` the
    regularised incomplete beta function [2]_. The mean distance to it, from points
    outside, is an integral of such shares, which is computed numerically. Distances
    are Euclidean. Misclassified points, whose distance is 0, are left out of both
    means.

    Errors are searched on the sphere: the classifier is attacked behind a
    ``sklearn.preprocessing.Normalizer``, so that all points of a ray from the
    centre count as one point of the sphere. The attack is ``"fmn"`` of
    :class:`~skhalfway.AdversarialGenerator`, or ``"hopskipjump"`` where the
    classifier has no gradient. At an angle a, the nearest point of a ray is sin(a)
    away from x, and its point on the sphere 2 sin(a / 2). Both grow with a, up to a
    right angle, so the nearest error is the same. The distance found is an upper
    bound on the distance to the nearest error. It may exceed the theoretical bound
    where the attack is weak.

    Parameters
    ----------
    estimator : object
        Classifier of which clones are trained.
    n_features : int, default=500
        Dimension of the space.
    radius : float, default=1.3
        Radius of the outer sphere.
    n_train : int or sequence of int, default=(1000, 2000, 4000)
        Number of training samples, half of them on each sphere.
    n_test : int, default=20000
        Number of new points for the errors, half of them on each sphere.
    n_attacked : int, default=100
        Number of points that are attacked. These are correctly classified test
        points of the inner sphere, of which there may be fewer.
    attack : str, default="auto"
        An attack of :class:`~skhalfway.AdversarialGenerator` that searches the
        nearest adversarial example. ``"auto"`` is as described above.
    max_iter : int, default=40
        Number of steps of a gradient attack.
    max_queries : int, default=1000
        Largest number of queries per point, for attacks without a gradient.
    n_repeats : int, default=3
        Number of trainings, each with its own data and seed.
    random_state : int, RandomState instance or None, default=None
        Source of data and seeds.
    n_jobs : int, default=None
        Number of trainings in parallel, in processes.
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
    skhalfway.AdversarialGenerator : The attacks that search for errors.

    Notes
    -----
    In 100 to 500 dimensions, the errors of multi-layer perceptrons and of forests
    are nearer to other points than a cap would be. The difference is small where
    there are many errors, and 40 % where the error is 2 %. The errors of a linear
    classifier are a cap. As errors become rare, the distance grows slowly. A test
    does not see error rates below 1 in ``n_test``, so an attack may find errors
    where the test saw none.

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
        raise ValueError(f"radius must be > 1, the radius of the inner sphere; got {shown(radius)}")
    sizes = _read_sizes(n_train)
    check_integer("n_test", n_test, 2)
    check_integer("n_attacked", n_attacked)
    spheres = Spheres(n_features, float(radius))
    read_split(estimator, *spheres.draw(2, np.random.RandomState(0)))  # raises where it cannot be trained
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
        raise ValueError(f"n_train must be at least 2, a sample of each sphere; got {shown(n_train)}")
    return sizes
