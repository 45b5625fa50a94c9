"""What models said in one transfer experiment, sample by sample: all counts come from it."""

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
from skhalfway.transfer._failures import FailedPair

NOT_ASKED = -1


def apart(sources: Sequence[str], targets: Sequence[str]) -> NDArray[np.bool_]:
    """Where source and target are two models, (n_sources, n_targets)."""
    # as objects: texts of numpy end before a trailing null
    different: NDArray[np.bool_] = np.array(sources, dtype=object)[:, None] != np.array(targets, dtype=object)
    return different


def smallest_integers(n_classes: int) -> np.dtype[Any]:
    """The smallest type that holds class indices and :data:`NOT_ASKED`."""
    return np.min_scalar_type(-max(n_classes, 1))


@part_of_results
@dataclass(frozen=True, eq=False)
class Outcomes:
    """What every model said of the samples, of noise and of adversarial samples.

    Answers are class indices, places in ``classes``, as small integers;
    arrays are read-only.

    Parameters
    ----------
    names : tuple of str
        Names of the n_models models, sources and targets.
    sources, targets : tuple of str
        Those that were attacked, and those that the samples were tried on.
    classes : ndarray of shape (n_classes,)
        Labels of the class indices.
    labels : ndarray of shape (n_samples,) or None
        True class indices; None where they were not given, and each source's
        own prediction took their place.
    clean : ndarray of shape (n_models, n_samples)
        Answers to the samples as they are; -1 of a model that failed.
    noise : ndarray of shape (n_targets, n_samples)
        Answers to the samples with noise of the attack's size; -1 there too.
    own : ndarray of shape (n_sources, n_samples)
        What each source says of the samples made on it; -1 where none was
        made, since it could not count.
    adversarial : ndarray of shape (n_sources, n_targets, n_samples)
        What each target says of the samples made on each source; -1 there.
    goals : ndarray of shape (n_sources, n_samples) or None, default=None
        Class that each source's attack aims at; None where any other than the
        true one would do.
    index : ndarray of shape (n_samples,) or None, default=None
        Names of the samples: the index of a DataFrame, as files keep it. None
        is their number.
    fingerprints : ndarray of shape (n_samples,) or None, default=None
        Of each sample's values in float32, 64 bits of a hash, by which two
        experiments are known to be of the same samples. None is not known.
    index_names : tuple or None, default=None
        What the levels of that index are called; None is not known.
    row_index : pandas Index or None, default=None
        The index itself, for tables; not written into files.
    failures : tuple of FailedPair, default=()
        Pairs of which nothing is known, since a model failed, or not all, since
        the user interrupted.
    set_aside : tuple of (str, str), default=()
        Pairs for which no sample counts: the target is a member of the source, an ensemble, so that its rate
        is none of transfer; or, of ``sources="leave_one_out"``, the ensemble was made for another target.

    See Also
    --------
    skhalfway.TransferMatrix : Counts them.
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
                raise ValueError(f"there is no model {name!r}; the models are {shown(list(self.names))}")
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
                    asked = ", or -1 where a model was not asked" if least < 0 else ""
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
                raise ValueError(f"row_index must name {n} samples, got {len(self.row_index)}")
            object.__setattr__(self, "index_names", level_names(self.row_index))

    def _keep(self, name: str, array: NDArray[Any]) -> None:
        kept = array.copy() if array.flags.writeable else array
        kept.setflags(write=False)
        object.__setattr__(self, name, kept)

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Which pairs are among the failures, (n_sources, n_targets)."""
        return self._among((pair.source, pair.target) for pair in self.failures)

    @property
    def aside(self) -> NDArray[np.bool_]:
        """Where no sample counts, as the target is a member of the source, say, (n_sources, n_targets)."""
        return self._among(self.set_aside)

    @property
    def apart(self) -> NDArray[np.bool_]:
        """Where source and target are two models whose rate is one of transfer, (n_sources, n_targets)."""
        return apart(self.sources, self.targets) & ~self.aside

    def _among(self, pairs: Iterable[tuple[str, str]]) -> NDArray[np.bool_]:
        some = set(pairs)
        each = [[(source, target) in some for target in self.targets] for source in self.sources]
        return np.array(each, dtype=bool).reshape(len(self.sources), len(self.targets))

    @property
    def n_samples(self) -> int:
        """How many samples."""
        return int(self.clean.shape[1])

    @property
    def sample_names(self) -> NDArray[Any]:
        """What the samples are called: their index, else their numbers."""
        return np.arange(self.n_samples) if self.index is None else self.index

    @property
    def row_names(self) -> Any:
        """The index of a table with a row for each sample, of pandas."""
        return index_for(self.sample_names, self.index_names, self.row_index)

    @property
    def source_places(self) -> NDArray[np.intp]:
        """Places of the sources among the models."""
        return np.array([self.names.index(name) for name in self.sources], dtype=np.intp)

    @property
    def target_places(self) -> NDArray[np.intp]:
        """Places of the targets among the models."""
        return np.array([self.names.index(name) for name in self.targets], dtype=np.intp)

    @property
    def left(self) -> NDArray[np.integer[Any]]:
        """Class that each source's attack leaves, (n_sources, n_samples): true, or its own prediction."""
        own = self.clean[self.source_places]
        return own if self.labels is None else np.broadcast_to(self.labels, own.shape)

    def take(self, rows: Any) -> Outcomes:
        """Those of some samples.

        Parameters
        ----------
        rows : slice, or array-like of int or bool
            Their numbers, or a mask.

        Returns
        -------
        outcomes : Outcomes
            Of these alone.
        """
        parts = {}
        for part in fields(self)[4:]:
            kept = getattr(self, part.name)
            if kept is not None and part.name not in ("index_names", "failures", "set_aside"):
                parts[part.name] = kept[rows] if part.name == "row_index" else kept[..., rows]
        return replace(self, **{**parts, "index": self.sample_names[rows]})


def _within(array: NDArray[Any], least: int, n_classes: int) -> bool:
    return bool(array.size == 0 or (array.min() >= least and array.max() < n_classes))
