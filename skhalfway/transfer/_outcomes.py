"""Outcomes: predictions of all models in one transfer experiment, from which everything is counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skhalfway._checks import check_different
from skhalfway._index import index_for, level_names, only_numbered
from skhalfway._text import shown
from skhalfway.results._reading import part_of_results
from skhalfway.results._result import equal
from skhalfway.transfer._failures import FailedPair

NOT_ASKED = -1


def apart(sources: Sequence[str], targets: Sequence[str]) -> NDArray[np.bool_]:
    """Whether source and target are two different models, (n_sources, n_targets)."""
    # compared as objects, since numpy's text type drops trailing nulls
    different: NDArray[np.bool_] = np.array(sources, dtype=object)[:, None] != np.array(targets, dtype=object)
    return different


def smallest_integers(n_classes: int) -> np.dtype[Any]:
    """The smallest type that holds class indices and :data:`NOT_ASKED`."""
    return np.min_scalar_type(-max(n_classes, 1))


@part_of_results
@dataclass(frozen=True, eq=False)
class Outcomes:
    """Predictions of every model for the clean samples, for noise and for adversarial samples.

    Predictions are class indices, that is positions in ``classes``, as small integers. Arrays are read-only.
    Outcomes are equal if their predictions, labels, names and failures are.

    Parameters
    ----------
    names : tuple of str
        Names of the n_models models, sources and targets.
    sources, targets : tuple of str
        Names of the models that were attacked, and of those that the samples were tried on.
    classes : ndarray of shape (n_classes,)
        Labels of the class indices.
    labels : ndarray of shape (n_samples,) or None
        True class indices. None where they were not given; each source's own prediction then takes their
        place.
    clean : ndarray of shape (n_models, n_samples)
        Predictions for the clean samples; -1 where the model failed.
    noise : ndarray of shape (n_targets, n_samples)
        Predictions for the samples with noise of the attack's size; -1 where the model failed.
    own : ndarray of shape (n_sources, n_samples)
        Prediction of each source for the adversarial samples made on it; -1 where none was made, since the
        sample could not count.
    adversarial : ndarray of shape (n_sources, n_targets, n_samples)
        Prediction of each target for the adversarial samples made on each source; -1 where none was made.
    goals : ndarray of shape (n_sources, n_samples) or None, default=None
        Class index that each source's attack aims at; None where attacks are untargeted.
    index : ndarray of shape (n_samples,) or None, default=None
        Names of the samples: the index of a DataFrame, in the form in which files keep it. None: the samples
        are numbered.
    fingerprints : ndarray of shape (n_samples,) or None, default=None
        64-bit hash of each sample's values in float32, to recognise the same samples in another experiment.
        None: not known.
    index_names : tuple or None, default=None
        Names of the levels of that index; None: not known.
    row_index : pandas Index or None, default=None
        The index itself, for tables; not written into files.
    failures : tuple of FailedPair, default=()
        Pairs whose outcomes are unknown since a model failed, or incomplete since the user interrupted.
    set_aside : tuple of (str, str), default=()
        Pairs (source, target) that are left out. Either the source is an ensemble and the target one of its
        members, so that the rate is no transfer; or the source is the leave-one-out ensemble of another
        target.

    See Also
    --------
    skhalfway.TransferMatrix : Counts them.

    Examples
    --------
    >>> import numpy as np
    >>> from skhalfway.transfer import Outcomes
    >>> right = np.zeros((2, 4), dtype=int)
    >>> outcomes = Outcomes(
    ...     names=("a", "b"),
    ...     sources=("a",),
    ...     targets=("b",),
    ...     classes=np.array(["cat", "dog"]),
    ...     labels=right[0],
    ...     clean=right,
    ...     noise=right[:1],
    ...     own=np.array([[1, 1, 1, 0]]),
    ...     adversarial=np.array([[[1, 0, 0, 0]]]),
    ... )
    >>> outcomes.n_samples, outcomes.take([0, 1]).n_samples
    (4, 2)
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    classes: NDArray[Any]
    labels: NDArray[np.integer[Any]] | None
    clean: NDArray[np.integer[Any]]
    noise: NDArray[np.integer[Any]]
    own: NDArray[np.integer[Any]]
    adversarial: NDArray[np.integer[Any]]
    goals: NDArray[np.integer[Any]] | None = None
    index: NDArray[Any] | None = None
    fingerprints: NDArray[np.uint64] | None = field(default=None, compare=False)
    index_names: tuple[Any, ...] | None = field(default=None, compare=False)
    row_index: Any = field(default=None, compare=False, metadata={"in_files": False})
    failures: tuple[FailedPair, ...] = ()
    set_aside: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for name in ("names", "sources", "targets"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
            check_different(name, getattr(self, name))
        object.__setattr__(self, "failures", tuple(self.failures))
        object.__setattr__(self, "set_aside", tuple((source, target) for source, target in self.set_aside))
        for name in (*self.sources, *self.targets):
            if name not in self.names:
                raise ValueError(
                    f"sources and targets must be among the models {shown(list(self.names))}, got {name!r}"
                )
        n, sources, targets = np.shape(self.clean)[-1], len(self.sources), len(self.targets)
        shapes = {
            "labels": (n,),
            "clean": (len(self.names), n),
            "noise": (targets, n),
            "own": (sources, n),
            "adversarial": (sources, targets, n),
            "goals": (sources, n),
            "index": (n,),
            "fingerprints": (n,),
        }
        integers = smallest_integers(len(self.classes))
        for name, shape in shapes.items():
            given = getattr(self, name)
            if given is None and name in ("labels", "goals", "index", "fingerprints"):
                continue
            array = np.asarray(given)
            if array.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
            if name not in ("index", "fingerprints"):
                may_fail = name in ("clean", "noise") and self.failures
                least = NOT_ASKED if name in ("own", "adversarial") or may_fail else 0
                if array.dtype.kind not in "iu" or not _within(array, least, len(self.classes)):
                    asked = ", or -1 where there is no prediction" if least < 0 else ""
                    raise ValueError(
                        f"{name} must hold class indices from 0 to {len(self.classes) - 1}{asked}; got "
                        f"{array.dtype}"
                    )
                array = array.astype(integers)
            self._keep(name, array)
        if self.index is not None and only_numbered(self.index):
            object.__setattr__(self, "index", None)
        self._keep("classes", np.asarray(self.classes))
        if self.row_index is not None:
            if len(self.row_index) != n:
                raise ValueError(f"row_index must hold {n} names of samples, got {len(self.row_index)}")
            object.__setattr__(self, "index_names", level_names(self.row_index))

    def __eq__(self, other: object) -> bool:
        return equal(self, other) if isinstance(other, Outcomes) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def _keep(self, name: str, array: NDArray[Any]) -> None:
        kept = array.copy() if array.flags.writeable else array
        kept.setflags(write=False)
        object.__setattr__(self, name, kept)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Whether each pair is among the failures, (n_sources, n_targets)."""
        return self._among((pair.source, pair.target) for pair in self.failures)

    @property
    def aside(self) -> NDArray[np.bool_]:
        """Whether each pair is in ``set_aside``, (n_sources, n_targets)."""
        return self._among(self.set_aside)

    @property
    def apart(self) -> NDArray[np.bool_]:
        """Whether each pair is of two different models and not set aside, (n_sources, n_targets)."""
        return apart(self.sources, self.targets) & ~self.aside

    def _among(self, pairs: Iterable[tuple[str, str]]) -> NDArray[np.bool_]:
        some = set(pairs)
        each = [[(source, target) in some for target in self.targets] for source in self.sources]
        return np.array(each, dtype=bool).reshape(len(self.sources), len(self.targets))

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return int(self.clean.shape[1])

    @property
    def sample_names(self) -> NDArray[Any]:
        """Names of the samples: their index, else their numbers."""
        return np.arange(self.n_samples) if self.index is None else self.index

    @property
    def row_names(self) -> Any:
        """Pandas index for a table with a row for each sample."""
        return index_for(self.sample_names, self.index_names, self.row_index)

    @property
    def source_places(self) -> NDArray[np.intp]:
        """Positions of the sources among the models."""
        return np.array([self.names.index(name) for name in self.sources], dtype=np.intp)

    @property
    def target_places(self) -> NDArray[np.intp]:
        """Positions of the targets among the models."""
        return np.array([self.names.index(name) for name in self.targets], dtype=np.intp)

    @property
    def left(self) -> NDArray[np.integer[Any]]:
        """Class that each source's attack moves away from: the true one, else the source's own prediction.

        Of shape (n_sources, n_samples).
        """
        own = self.clean[self.source_places]
        return own if self.labels is None else np.broadcast_to(self.labels, own.shape)

    def take(self, rows: Any) -> Outcomes:
        """Select the outcomes of some samples.

        Parameters
        ----------
        rows : slice, or array-like of int or bool
            Numbers of the samples, or a mask.

        Returns
        -------
        outcomes : Outcomes
            The outcomes of these samples alone.
        """
        parts = {}
        for part in fields(self)[4:]:
            kept = getattr(self, part.name)
            if kept is not None and part.name not in ("index_names", "failures", "set_aside"):
                parts[part.name] = kept[rows] if part.name == "row_index" else kept[..., rows]
        return replace(self, **{**parts, "index": self.sample_names[rows]})


def _within(array: NDArray[Any], least: int, n_classes: int) -> bool:
    return bool(array.size == 0 or (array.min() >= least and array.max() < n_classes))
