"""Reproducibility scores: agreement of models on planes through three samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._blocks import blocks
from skhalfway._checks import check_choice, check_integer, check_random_state
from skhalfway._entries import takes_datasets
from skhalfway._intervals import SHARE, ConfidenceInterval, mean_t_interval
from skhalfway._readable import read_labels
from skhalfway._text import between, counted, short, shown
from skhalfway.boundaries._answers import ask_all
from skhalfway.boundaries._path_points import read_several
from skhalfway.boundaries._plane_grids import axes, gram_schmidt, grid_shares, mix, on_a_line
from skhalfway.boundaries._planes import check_grid
from skhalfway.results import Result
from skhalfway.results._provenance import recorded
from skhalfway.results._result import frozen
from skhalfway.results._table import Cell, Table

if TYPE_CHECKING:
    import pandas as pd

# most rounds of drawing triplets, which are enough for 500 planes even if 9 of 10 triplets are on a line
_N_ROUNDS = 100


@dataclass(frozen=True, eq=False, repr=False)
class Reproducibility(Result):
    """Agreement of models on planes through three samples.

    It is made by :func:`reproducibility`; its arrays are read-only.

    Parameters
    ----------
    names : tuple of str
        Names of the n_models models.
    scores : ndarray of shape (n_models, n_models)
        Reproducibility scores: mean share of a plane's grid on which two
        models agree; 1 on the diagonal.
    standard_errors : ndarray of shape (n_models, n_models)
        Standard errors of the scores, over planes; nan for one plane.
    n_planes : int
        Number of planes.

    See Also
    --------
    reproducibility : Makes it.
    ReproducibilityDisplay : Draws it.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.boundaries import Reproducibility
    >>> scores = np.array([[1.0, 0.9, 0.7], [0.9, 1.0, 0.6], [0.7, 0.6, 1.0]])
    >>> result = Reproducibility(("a", "b", "c"), scores, np.full((3, 3), 0.01), n_planes=500)
    >>> result.to_frame()
                 score  standard_error
    model other
    a     b        0.9            0.01
          c        0.7            0.01
    b     c        0.6            0.01
    """

    names: tuple[str, ...]
    scores: NDArray[np.float64]
    standard_errors: NDArray[np.float64]
    n_planes: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        for name in ("scores", "standard_errors"):
            values = frozen(getattr(self, name), float)
            if values.shape != (len(self.names),) * 2:
                raise ValueError(
                    f"{name} must be square, one row for each of {len(self.names)} names; got {values.shape}"
                )
            object.__setattr__(self, name, values)

    @property
    def mean_score(self) -> float:
        """Mean score over pairs of two models."""
        return float(self.scores[np.triu_indices(len(self.names), 1)].mean())

    def to_frame(self, value: str | None = None) -> pd.DataFrame:
        """Return the scores as a pandas DataFrame.

        Parameters
        ----------
        value : {"scores", "standard_errors"} or None, default=None
            Values of a square table. None: a row for each pair of models, with
            both values.

        Returns
        -------
        frame : DataFrame
            A square table, or a table indexed by the names of both models.

        Raises
        ------
        ValueError
            If ``value`` is unknown.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.boundaries import Reproducibility
        >>> scores = np.array([[1.0, 0.9], [0.9, 1.0]])
        >>> Reproducibility(("a", "b"), scores, np.full((2, 2), 0.01), n_planes=500).to_frame("scores")
        other    a    b
        model
        a      1.0  0.9
        b      0.9  1.0
        """
        import pandas as pd

        names = pd.Index(self.names)
        check_choice("value", value, ("scores", "standard_errors"), none=True)
        if value is not None:
            return pd.DataFrame(
                getattr(self, value).copy(), index=names.rename("model"), columns=names.rename("other")
            )
        i, j = np.triu_indices(len(self.names), 1)
        columns = {"score": self.scores[i, j], "standard_error": self.standard_errors[i, j]}
        pairs = pd.MultiIndex.from_arrays([names[i], names[j]], names=["model", "other"])
        return pd.DataFrame(columns, index=pairs)

    def confidence_interval(self, level: float = 0.95) -> ConfidenceInterval:
        """Compute Student's t intervals of the scores over planes, symmetric in the logit of the score.

        They account for the choice of planes through the same samples, not for
        the training of the models.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level.

        Returns
        -------
        interval : ConfidenceInterval
            Ends of shape (n_models, n_models). They are nan for one plane, and
            if all planes have the same score. If two models agree everywhere on
            10 planes or more, the lower end is the score at which that happens
            with probability 1 - level.

        Raises
        ------
        ValueError
            If ``level`` is out of range.

        Examples
        --------
        >>> import numpy as np
        >>> from skhalfway.boundaries import Reproducibility
        >>> scores = np.array([[1.0, 0.9], [0.9, 1.0]])
        >>> result = Reproducibility(("a", "b"), scores, np.full((2, 2), 0.01), n_planes=500)
        >>> low, high = result.confidence_interval()
        >>> low[0, 1].round(2), high[0, 1].round(2)
        (np.float64(0.88), np.float64(0.92))
        """
        low, high = mean_t_interval(self.scores, self.standard_errors, self.n_planes, level, limits=SHARE)
        for end in (low, high):  # a model always agrees with itself
            np.fill_diagonal(end, np.where(np.isnan(self.standard_errors.diagonal()), np.nan, 1.0))
        return ConfidenceInterval(low, high)

    def _table(self) -> Table:
        low, high = self.confidence_interval()
        rows: list[list[str | Cell]] = []
        for i, name in enumerate(self.names):
            rows.append([name])
            for j, score in enumerate(self.scores[i]):
                ends = "" if i == j else between(low[i, j], high[i, j])
                rows[-1].append(Cell(short(score), ends, shade=None if i == j else float(score)))
        return Table(
            f"Reproducibility: {counted(len(self.names), 'model')}, {counted(self.n_planes, 'plane')}, mean "
            f"score {short(self.mean_score)}",
            ["", *self.names],
            rows,
            "share of a plane on which two models agree [95 % over planes]",
            centred=True,
        )


@takes_datasets
@recorded
def reproducibility(
    models: Any,
    X: Any,
    y: Any = None,
    *,
    n_planes: int = 500,
    resolution: int = 50,
    padding: float = 0.1,
    n_jobs: int | None = None,
    verbose: int = 0,
    random_state: Any = None,
) -> Reproducibility:
    """Measure the agreement of models on planes through three samples.

    The reproducibility score of two models is the share of points on which
    their predictions agree [1]_. The points form grids (see
    :func:`decision_regions`) on planes through triplets of samples, which are
    drawn at random. For the reproducibility of one kind of model, pass two
    models that were trained in the same way with different random states.

    Parameters
    ----------
    models : mapping, or list of (str, model) or of models
        Fitted classifiers, two or more, as :meth:`skhalfway.HalfwayScorer.fit`
        takes them.
    X : array-like of shape (n_samples, n_features)
        Samples; images may have more axes.
    y : array-like of shape (n_samples,), default=None
        Labels, of any type. With labels, each triplet has three different
        classes, and all sets of three classes are equally likely, as in the
        authors' code, where classes have equal sizes. None: any three samples.
    n_planes : int, default=500
        Number of planes.
    resolution : int, default=50
        Number of points of a grid along each axis, at least 2. Each model
        makes ``n_planes * resolution**2`` predictions.
    padding : float, default=0.1
        Share of the width and height around the three samples by which a grid
        is widened on each side.
    n_jobs : int, default=None
        Number of threads, over models. None is 1 unless in a
        ``joblib.parallel_config`` context.
    verbose : int, default=0
        Whether to show a progress bar.
    random_state : int, RandomState instance or None, default=None
        Seed of the triplets. Pass an int for the same planes across calls.

    Returns
    -------
    result : Reproducibility
        Scores of all pairs of models, with standard errors over planes.

    Raises
    ------
    ValueError
        If X has no three samples (of three classes, if y is given) that are
        not on a line; if the data or a parameter is invalid; if models differ
        in classes or number of features.
    TypeError
        If an object is not a classifier.
    NotFittedError
        If a model is not fitted.
    RuntimeError
        If a model raises while it predicts; its name is in the message.

    References
    ----------
    .. [1] Somepalli et al., "Can neural nets learn the same model twice?
       Investigating reproducibility and double descent from the decision
       boundary perspective", CVPR 2022, arXiv 2203.08124, section 3.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.svm import SVC
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from skhalfway.boundaries import reproducibility
    >>> X, y = load_iris(return_X_y=True)
    >>> models = {
    ...     "lr": LogisticRegression(max_iter=1000).fit(X, y),
    ...     "svm": SVC().fit(X, y),
    ...     "tree": DecisionTreeClassifier(random_state=0).fit(X, y),
    ... }
    >>> reproducibility(models, X, y, n_planes=40, resolution=20, random_state=0)
    Reproducibility: 3 models, 40 planes, mean score .88
    share of a plane on which two models agree [95 % over planes]
              lr            svm          tree
    lr        1.0      .96 [.96 .97] .84 [.82 .86]
    svm  .96 [.96 .97]      1.0      .85 [.82 .87]
    tree .84 [.82 .86] .85 [.82 .87]      1.0
    """
    check_grid(resolution, padding, n_jobs, verbose)
    check_integer("n_planes", n_planes)
    seen, samples, _ = read_several(models, X)
    if len(samples) < 3:
        raise ValueError(f"a plane goes through 3 samples, X holds {len(samples)}")
    triplets = _draw(samples.reshape(len(samples), -1), y, n_planes, check_random_state(random_state))
    agreement = np.empty((n_planes, len(seen), len(seen)))
    n_points, width = resolution**2, int(np.prod(samples.shape[1:]))
    # several planes are predicted at once, or a part of one if samples are large
    planes = list(blocks(n_planes, n_points * max(width, len(seen))))
    parts = [[*blocks(n_points, len(triplets[block]) * width)] for block in planes]

    def points() -> Iterator[NDArray[Any]]:
        for block, own in zip(planes, parts, strict=True):
            corners = samples[triplets[block]]
            anchors = gram_schmidt(corners.reshape(len(corners), 3, -1))[1]
            shares = grid_shares(anchors, *axes(anchors, resolution, padding))
            yield from (mix(shares[:, part], corners).reshape(-1, *samples.shape[1:]) for part in own)

    answers = ask_all(seen, points(), sum(map(len, parts)), n_jobs, verbose)
    for block, own in zip(planes, parts, strict=True):
        n = len(triplets[block])
        each = [next(answers).reshape(len(seen), n, -1) for _ in own]
        labels = np.concatenate(each, axis=2)
        for i, said in enumerate(labels):
            agreement[block, i] = (said == labels).mean(axis=2).T
    spread = agreement.std(axis=0, ddof=1) if n_planes > 1 else np.full(agreement.shape[1:], np.nan)
    return Reproducibility(tuple(seen), agreement.mean(axis=0), spread / np.sqrt(n_planes), int(n_planes))


def _draw(X: NDArray[Any], y: Any, n_planes: int, rng: np.random.RandomState) -> NDArray[np.intp]:
    """Rows of three samples that span a plane, (n_planes, 3)."""
    draw = partial(_draw_any, len(X)) if y is None else _drawer_by_class(X, y)
    found = np.empty((0, 3), dtype=np.intp)
    for _ in range(_N_ROUNDS):
        drawn = draw(n_planes - len(found), rng)
        line = [on_a_line(X[drawn[block]]) for block in blocks(len(drawn), 9 * X.shape[1])]
        found = np.concatenate([found, drawn[~np.concatenate(line)]])
        if len(found) == n_planes:
            return found
    raise ValueError(
        f"of {_N_ROUNDS} times {n_planes} triplets drawn from X, only {len(found)} are not on a line: planes "
        "need samples that differ in two features or more; pass such samples"
    )


def _draw_any(n_samples: int, n: int, rng: np.random.RandomState) -> NDArray[np.intp]:
    """Triplets of samples; one with a repeated sample lies on a line, and is drawn again."""
    return rng.randint(n_samples, size=(n, 3))


def _drawer_by_class(X: NDArray[Any], y: Any) -> Callable[[int, np.random.RandomState], NDArray[np.intp]]:
    """Make a function that draws triplets of three classes."""
    classes, labels, counts = np.unique(read_labels(y, len(X)), return_inverse=True, return_counts=True)
    if len(classes) < 3:
        raise ValueError(
            f"y holds {len(classes)} classes, {shown(classes)}, but a triplet needs 3; leave y out to "
            "draw any three samples"
        )
    order, begins = np.argsort(labels, kind="stable"), np.cumsum(counts) - counts

    def draw(n: int, rng: np.random.RandomState) -> NDArray[np.intp]:
        kinds = rng.uniform(size=(n, len(counts))).argsort(axis=1)[:, :3]
        return order[begins[kinds] + rng.randint(counts[kinds])]

    return draw
