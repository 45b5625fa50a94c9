"""The Model of torch modules and ART classifiers: any outputs, in batches, as logits."""

from __future__ import annotations

from functools import cached_property
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import cpu_count
from numpy.typing import ArrayLike, NDArray

from skhalfway._inputs import Frame
from skhalfway.models._memory_use import is_out_of_memory, samples_that_fit
from skhalfway.models._model import Model
from skhalfway.models._precision import in_all_digits
from skhalfway.models._type_checks import is_torch_module
from skhalfway.models._warnings import warn

if TYPE_CHECKING:
    import torch

_PREDICTION_BATCH, _LARGE = 1024, 2**21  # samples at once; values of a batch above which memory is checked
_LOOKED_AT = 32  # samples of the first call, which determines the kind of outputs
# sizes of batches that are tried if a module refuses one, and errors by which it may refuse it
_REFUSALS = (RuntimeError, ValueError, AssertionError)
_FIXED_SIZES = (*range(1, 65), *range(70, 201, 10), 72, 75, 96, 125, 128, 192, 250, 256, 300, 384, 400, 500)
_FIXED_SIZES += (512, 600, 768, 1000, 1024)


class TorchModel(Model):
    """A torch module.

    Attributes
    ----------
    output : {"logits", "probability", "log_probability"}
        What the module returns, as far as it is known.
    output_source : {"stated", "seen", "guessed", "assumed"}
        How that is known: the user stated it; the last sigmoid or softmax was found, and the logits before it
        are used; the values look like it; or there was no reason to assume anything else.
    ends_in_probability : bool
        Whether the last sigmoid or softmax was found.
    """

    in_torch = True

    def __init__(self, estimator: Any, classes: NDArray[Any] | None, output: str | None = None) -> None:
        super().__init__(estimator, classes)
        self.output, self.output_source = output or "logits", "assumed" if output is None else "stated"
        self.ends_in_probability = False
        self._renewed()

    @property
    def written(self) -> list[str]:
        """Tensors and arrays that the module writes to when it is called; the user's stay as they were."""
        from skhalfway.models._views import written_to

        assert self.module is not None
        return written_to(self.module)

    def _renewed(self) -> None:
        self._looked = self._before = self._writes_input = self._warned_of_one = self._half = False
        self._batch: int | None = None  # the only size of batch that the module takes
        self._size = 0  # size of a batch that it took
        self._n_asked = 1  # number of samples that it needs at once
        self._most: int | None = None  # most samples that fit into memory
        if self.output_source != "stated":
            self.output, self.output_source = "logits", "assumed"

    def _predict(self, X: Any) -> NDArray[np.intp]:
        scores = self._scores(X)
        undefined = np.isnan(scores).any()
        # scores raises an error for nan
        return (self.scores(X) if undefined else scores).argmax(axis=1)

    def _scores(self, X: Any) -> NDArray[np.float64]:
        import torch

        from skhalfway.models._torch import place_of

        module = self.module
        assert module is not None
        X = np.asarray(X)
        self._n_asked = max(self._n_asked, len(X))
        # batches of equal size, since a batch of one sample has no batch statistics
        batches = np.array_split(X, -(-len(X) // self._at_once(X))) if len(X) else [X]
        with self.evaluating(), torch.no_grad():
            place = place_of(module)
            rows = (torch.tensor(np.ascontiguousarray(batch), **place) for batch in batches)
            scores = torch.cat([self._logits(self._flat(x)).double().cpu() for x in rows]).numpy()
        if self.classes_ is not None and scores.shape[1] != len(self.classes_):
            raise ValueError(
                f"{self._told} has {scores.shape[1]} outputs for {len(self.classes_)} classes "
                f"{self.classes_.tolist()}; there must be one output for each class"
            )
        return scores

    def _at_once(self, X: NDArray[Any]) -> int:
        """Number of samples that are predicted at once; for large samples, as many as memory holds."""
        if X.size < _LARGE:
            return _PREDICTION_BATCH
        if self._most is None:
            self._most = samples_that_fit(self, X, cpu_count())
        return min(_PREDICTION_BATCH, self._most)

    def n_outputs(self, X: ArrayLike) -> int:
        from skhalfway.models._outputs import ENOUGH

        X = np.asarray(X)
        self._n_asked = max(self._n_asked, len(X))
        return self.scores(X[:ENOUGH]).shape[1]

    def reading(self, frame: Frame | None) -> Model:
        if frame is not None:
            raise TypeError(
                f"{self._told} takes numbers, but X has columns of categories: "
                f"{list(frame.names)[:5]}; encode them"
            )
        return self

    def _flat(self, x: Any) -> Any:
        return x

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        if not self._looked:
            with in_all_digits(x):
                self._look(x)
        if self._plain and len(x) > 1:
            assert self.module is not None
            try:
                z = self.module(x)
                plain = getattr(z, "ndim", 0) == 2 and len(z) == len(x) and z.shape[1] > 1
                if plain and z.is_floating_point():
                    return z
            except _REFUSALS as error:  # raised again below, unless a batch size helps
                if is_out_of_memory(error):
                    raise
        from skhalfway.models._outputs import UnreadableError

        x = x.clone() if self._writes_input else x
        try:
            return self._in_batches(x)
        except _REFUSALS as error:
            if self._batch is not None or isinstance(error, UnreadableError) or is_out_of_memory(error):
                raise
            try:
                return self._twice(x) if len(x) == 1 else self._in_batches(x, self._size)
            except _REFUSALS:
                raise error from None

    def _twice(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a single sample that the module refuses."""
        try:
            z = self._in_batches(x.repeat_interleave(2, dim=0))[:1]
        except _REFUSALS:
            return self._in_batches(x, self._size)
        if not self._warned_of_one:
            self._warned_of_one = True
            warn(
                f"{self._told} refuses a sample alone, so it was given twice; its predictions depend on the "
                "other samples of the batch, as with batch statistics that are not tracked, and mean little",
            )
        return z

    def _in_batches(self, x: torch.Tensor, size: int | None = None) -> torch.Tensor:
        """Logits, in batches of one size if the module has one."""
        size = size or self._batch
        if size is None or len(x) == size:
            return self._called_on(x)
        import torch

        # the last batch is padded with its last sample
        index = torch.arange(-(-len(x) // size) * size, device=x.device).clamp_max(len(x) - 1)
        z = torch.cat([self._called_on(x[rows]) for rows in index.split(size)])[: len(x)]
        self._batch = size
        return z

    def _called_on(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of a batch of a size that the module takes."""
        from skhalfway.models import _outputs
        from skhalfway.models._torch import HALF, two_columns, weight_dtype

        assert self.module is not None
        dtype, n_classes = weight_dtype(self.module), None if self.classes_ is None else len(self.classes_)
        if dtype in HALF:
            x = x.to(dtype)
        if self._before:
            with _outputs.BeforeProbability() as noted:
                output = _outputs.pick(self.module(x), len(x), n_classes, self._told)
            before = noted.before(output)
            kind, output = ("logits", before) if before is not None else ("probability", output)
        else:
            kind, output = self.output, _outputs.pick(self.module(x), len(x), n_classes, self._told)
        z = _outputs.as_columns(output, len(x), self._told)
        return two_columns(_outputs.to_logits(z.float() if dtype in HALF else z, kind))

    @property
    def _plain(self) -> bool:
        """Whether the module takes any batch and returns logits, so that nothing has to be converted."""
        return not (
            self._half or self._before or self._writes_input or self._batch or self.output != "logits"
        )

    def _look(self, x: torch.Tensor) -> None:
        """Call the module once, on few samples, to find out which batches it takes and what it returns."""
        import torch

        from skhalfway.models import _outputs
        from skhalfway.models._torch import HALF, weight_dtype
        from skhalfway.models._views import first_calls

        assert self.module is not None
        dtype, n_classes = weight_dtype(self.module), None if self.classes_ is None else len(self.classes_)
        self._half = dtype in HALF
        x = x.detach().to(dtype if dtype in HALF else x.dtype)
        with torch.no_grad(), first_calls(self.module), _outputs.BeforeProbability() as noted:
            given, output = self._first_output(x)
            self._size = len(given)
            version, output = given._version, _outputs.pick(output, len(given), n_classes, self._told)
        self._writes_input = version > 0
        z = _outputs.as_columns(output, len(given), self._told)
        before = noted.before(output)
        self.ends_in_probability = before is not None and _agree(before, z, len(given), self._told)
        if self.output_source == "stated":
            self._heed(z)
        elif self.ends_in_probability:
            self.output, self.output_source, self._before, self._looked = "probability", "seen", True, True
        else:
            # samples may have been repeated to make up a batch
            self._guess(z[: len(x)], x)

    def _heed(self, z: torch.Tensor) -> None:
        """Take outputs as what the user says they are, after a check."""
        from skhalfway.models._outputs import check_stated

        check_stated(z, self.output, self._told)
        self._before = self.output == "probability" and self.ends_in_probability
        self._looked = True
        if self.output == "logits" and self.ends_in_probability:
            warn(
                f"{self._told} ends in a softmax or a sigmoid, but output='logits' was given, so its "
                "probabilities are taken for logits; leave output out, and the logits before them are used"
            )

    def _guess(self, z: torch.Tensor, x: torch.Tensor) -> None:
        """Determine once, from the values z for samples x, what the outputs are."""
        import torch

        from skhalfway.models import _outputs

        likely = _outputs.look_like_probabilities(z)
        if likely is None:
            z = torch.cat([z, self._if_taken(_outputs.mixed(x))[:, -z.shape[1] :]])
            likely = _outputs.look_like_probabilities(z)
        if z.shape[1] == 1 and likely is not False:
            # logits of samples far away leave [0, 1]; whole numbers may be codes, so they are not moved
            if (x != x.round()).any():
                far = _outputs.FAR * _outputs.mixed(x)
                z = torch.cat([z, self._if_taken(torch.cat([far, -far]))[:, 1:]])
                likely = _outputs.look_like_probabilities(z)
            # a single column is ambiguous, so a doubtful one gives a warning
            likely = bool(((z > 0) & (z < 1)).any()) or None if likely is None else likely
        self._looked = likely is not None or int(z.isfinite().all(dim=1).sum()) >= _outputs.ENOUGH
        if likely:
            self.output, self.output_source = "probability", "guessed"
            what = "one column, all of it" if z.shape[1] == 1 else "rows that sum to 1,"
            warn(
                f"{self._told} returns {what} between 0 and 1: read as probabilities, and turned into logits "
                "by their logarithm, which loses precision near 0 and 1. Pass the module without its last "
                "sigmoid or softmax, or say what it returns: as_model(module, output='probability') or "
                "output='logits'",
            )

    def _if_taken(self, made: torch.Tensor) -> torch.Tensor:
        """Outputs, of two columns or more, for samples that are made up; empty if the module refuses them."""
        import torch

        from skhalfway.models._views import kept

        assert self.module is not None
        try:
            with torch.no_grad(), kept(self.module):
                return self._in_batches(made)
        except Exception:
            return made.new_empty(0, 2)

    def _first_output(self, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """A batch of x of a size that the module takes, and the module's output."""
        import torch

        assert self.module is not None
        given = x[:_LOOKED_AT].clone()
        try:
            return given, self.module(given)
        except _REFUSALS as error:
            if is_out_of_memory(error):
                raise
            # a single sample is given twice, if that is enough
            for n in (len(x) if len(x) > 1 else 2, self._n_asked, *_FIXED_SIZES):
                given = x[torch.arange(n, device=x.device) % min(len(x), _LOOKED_AT)]
                try:
                    output = self.module(given)
                except _REFUSALS:
                    continue
                if len(output if isinstance(output, torch.Tensor) else next(iter(output), ())) == n:
                    self._batch = n if len(x) > 1 or n > 2 else None
                    return given, output
            if not _may_be_about_size(error):
                raise
            raise ValueError(
                f"{self._told} takes none of the batches tried ({str(error) or type(error).__name__}); "
                "if it takes only batches of a size of its own, wrap it so that it takes any"
            ) from error


def _may_be_about_size(error: Exception) -> bool:
    """Whether an error may be due to the batch size: raised by forward itself, without a message."""
    where = [frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)]
    theirs = [name for name in where if not name.startswith("skhalfway.")]
    return not theirs[-1].startswith("torch.") and not isinstance(error, ValueError)


def _agree(before: torch.Tensor, z: torch.Tensor, n_samples: int, name: str) -> bool:
    """Whether scores are the sigmoid, or the softmax over classes, of the recorded logits."""
    import torch

    from skhalfway.models._outputs import as_columns

    logits = as_columns(before, n_samples, name)
    after = (logits.sigmoid(), logits.softmax(dim=1))
    return any(torch.allclose(p, z, rtol=1e-3, atol=1e-6) for p in after)


class ArtModel(TorchModel):
    """An ART classifier."""

    def __init__(self, estimator: Any, classes: NDArray[Any] | None, output: str | None = None) -> None:
        super().__init__(estimator, classes, output)
        self.in_torch = self._wraps_module = is_torch_module(getattr(estimator, "model", None))
        if not self._wraps_module:  # ART determines what its outputs are
            self.output_source = ""

    @cached_property
    def _called(self) -> Any:
        from skhalfway.models._views import art_view

        return art_view(self.estimator)

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        return super()._logits(x) if self._wraps_module else Model._logits(self, x)

    def look(self, X: ArrayLike) -> None:
        """Determine what the module inside returns, which ART's own ``predict`` does not do."""
        import torch

        from skhalfway.models._torch import place_of

        if self._wraps_module and self.module is not None and not self._looked:
            with self.evaluating():
                self._look(torch.tensor(np.asarray(X)[:_LOOKED_AT], **place_of(self.module)))

    def _answers(self, X: NDArray[np.float32]) -> NDArray[Any]:
        """ART's own predictions; without probabilities, ART takes labels as column numbers."""
        inner: Any = getattr(self._called, "model", None)
        if callable(getattr(inner, "predict_proba", None)) or not hasattr(inner, "classes_"):
            return self._called.predict(X)
        X, _ = self._called._apply_preprocessing(X, y=None, fit=False)
        columns = Model(inner, np.asarray(inner.classes_)).predict(X)
        return self._called._apply_postprocessing(np.eye(len(inner.classes_))[columns], fit=False)

    def _scores(self, X: Any) -> NDArray[np.float64]:
        with self.evaluating():
            scores = self._answers(np.array(X, dtype=np.float32))
        scores = np.asarray(scores, dtype=float)
        if scores.ndim != 2 or scores.shape[1] != self.n_outputs(X):
            raise ValueError(
                f"{self._told} gives scores of shape {scores.shape} for "
                f"{self.n_outputs(X)} classes; it must give one column for each class"
            )
        return scores

    def n_outputs(self, X: ArrayLike) -> int:
        return self.estimator.nb_classes
