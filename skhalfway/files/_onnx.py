"""Classifiers from ONNX files: black boxes, which predict and have no gradient."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skhalfway._text import shown
from skhalfway.files._onnx_classes import classes_in, walk
from skhalfway.files._paths import library, said

_DTYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}
_LABELS = ("tensor(int64)", "tensor(int32)", "tensor(string)")
_OFF = 1e-3  # tolerance for the sum of probabilities
_TRIED = 256  # number of samples from which the kinds of outputs are inferred


class OnnxClassifier:
    """A classifier from an ONNX file, run by onnxruntime on the CPU.

    It has ``predict_proba`` if the file gives probabilities, and ``decision_function`` if it gives other
    scores. Supported are files of skl2onnx, with one input for all columns or one for each column, and
    networks with one input and one output of scores.

    Parameters
    ----------
    place : Path
        The file.
    X : array-like or None
        Samples from which the kinds of outputs are inferred; None is zeros.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of scores.
    n_features_in_ : int
        Number of features. Defined only if the file tells it.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns. Defined only if there is an input for each column.
    says_labels : bool
        Whether the file holds its labels; otherwise they are the numbers of its outputs.
    """

    def __init__(self, place: Path, X: Any = None) -> None:
        onnx = library("onnx", place)
        library("onnxruntime", place)
        self.file = place.name
        try:
            graph = onnx.load_model(place, load_external_data=False)
        except Exception as error:  # protobuf has errors of its own
            raise ValueError(f"{place.name} cannot be read as ONNX: {said(error, place)}") from error
        # weights in other files need the path; otherwise the content is kept, so that pickling works
        self._path = str(place.resolve()) if _check_external(graph, place) else None
        self._bytes = b"" if self._path else graph.SerializeToString()
        self.classes_: NDArray[Any]
        self._label: int | None
        self._read_inputs()
        self._read_outputs(graph, X)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_session"}

    def __repr__(self) -> str:
        return f"OnnxClassifier({self.file!r}, {len(self.classes_)} classes)"

    @cached_property
    def _session(self) -> Any:
        runtime = library("onnxruntime", Path(self.file))
        options = runtime.SessionOptions()
        options.log_severity_level = 4
        try:
            return runtime.InferenceSession(
                self._path or self._bytes, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # errors of onnxruntime share no base class
            raise ValueError(
                f"{self.file} cannot be run by onnxruntime: {said(error, Path(self._path or self.file))}"
            ) from error

    def name_outputs(self, classes: NDArray[Any]) -> None:
        """Set the labels of the outputs, if the file has none."""
        if len(classes) != len(self.classes_):
            raise ValueError(
                f"classes must hold {len(self.classes_)} labels, one for each output of {self.file}; got "
                f"{len(classes)}: {shown(classes)}"
            )
        self.classes_ = classes
        self._label = None  # labels in the file are numbers, so predictions follow the largest score

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Predict labels of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, ...)
            Samples. Rows are reshaped to the shape that the file needs.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Labels that the file gives, or the classes with the largest score.
        """
        results = self._run(X)
        if self._label is not None:
            labels = np.asarray(results[self._label]).reshape(-1)
            return labels.astype(self.classes_.dtype) if labels.dtype == object else labels
        scores = self._columns(results)
        if scores.shape[1] == 1:
            return self.classes_[(scores[:, 0] > (0.5 if self._gives_probabilities else 0)).astype(int)]
        return self.classes_[scores.argmax(axis=1)]

    def __getattr__(self, name: str) -> Any:
        # only the method that fits the file exists, since callers test which one there is
        gives = self.__dict__.get("_gives_probabilities")
        if name == "predict_proba" and gives is True:
            return self._probabilities
        if name == "decision_function" and gives is False:
            return self._decisions
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def _probabilities(self, X: ArrayLike) -> NDArray[np.float64]:
        """Probabilities of shape (n_samples, n_classes)."""
        scores = self._columns(self._run(X))
        return np.hstack([1 - scores, scores]) if scores.shape[1] == 1 else scores

    def _decisions(self, X: ArrayLike) -> NDArray[np.float64]:
        """Scores of shape (n_samples, n_classes), or (n_samples,) of the second of two classes."""
        scores = self._columns(self._run(X))
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def _columns(self, results: list[Any]) -> NDArray[np.float64]:
        assert self._scores is not None
        return _as_columns(results[self._scores], self.classes_, self.file)

    # --- inputs

    def _read_inputs(self) -> None:
        self._inputs = [(one.name, one.type, list(one.shape)) for one in self._session.get_inputs()]
        for name, kind, _ in self._inputs:
            if kind not in _DTYPES:
                raise ValueError(f"input {shown(name)} of {self.file} is {kind}, which is not supported")
        first = self._inputs[0][2] if self._inputs else []
        if not first:
            raise ValueError(f"{self.file} has no input of samples along a first axis")
        self._n = first[0] if isinstance(first[0], int) and first[0] > 0 else None
        if len(self._inputs) > 1:
            for name, _, shape in self._inputs:
                if shape[1:] not in ([], [1]):
                    raise ValueError(
                        f"{self.file} has {len(self._inputs)} inputs, and {shown(name)} has the shape "
                        f"{shown(shape)}; one input of all samples, or one for each column, is needed"
                    )
            self.feature_names_in_ = np.array([name for name, _, _ in self._inputs], dtype=object)
            self.n_features_in_ = len(self._inputs)
        elif len(first) > 1 and all(isinstance(size, int) and size > 0 for size in first[1:]):
            self.n_features_in_ = int(np.prod(first[1:]))

    def _run(self, X: Any) -> list[Any]:
        """All outputs for samples, in blocks if the file has a fixed batch size."""
        feeds = self._feeds(X)
        n = len(next(iter(feeds.values())))
        size = self._n or max(n, 1)
        if n == size:
            return self._run_on(feeds)
        parts = []
        for start in range(0, n, size):
            rows = np.minimum(np.arange(start, start + size), n - 1)  # the last sample fills the last block
            parts.append(self._run_on({name: array[rows] for name, array in feeds.items()}))
        joined: list[Any] = []
        for pieces in zip(*parts, strict=True):
            whole = [row for piece in pieces for row in piece][:n]
            joined.append(whole if isinstance(whole[0], dict) else np.asarray(whole))
        return joined

    def _run_on(self, feeds: dict[str, Any]) -> list[Any]:
        try:
            results: list[Any] = self._session.run(None, feeds)
        except Exception as error:
            raise ValueError(
                f"{self.file} does not accept these samples: {said(error, Path(self.file))}"
            ) from error
        return results

    def _feeds(self, X: Any) -> dict[str, NDArray[Any]]:
        if len(self._inputs) == 1:
            ((name, kind, shape),) = self._inputs
            array = np.asarray(X)
            inner = shape[1:]
            known = all(isinstance(size, int) and size > 0 for size in inner)
            if array.ndim != len(shape) and known and array.ndim > 1 and array[:1].size == np.prod(inner):
                array = array.reshape(len(array), *inner)
            fits = array.ndim == len(shape) and all(
                not isinstance(size, int) or size <= 0 or size == given
                for size, given in zip(inner, array.shape[1:], strict=True)
            )
            if not fits:
                raise ValueError(
                    f"{self.file} needs samples of shape {shown(tuple(inner))}, got {shown(array.shape[1:])}"
                )
            return {name: self._cast(array, name, kind)}
        columns = getattr(X, "columns", None)
        names = [name for name, _, _ in self._inputs]
        n_columns = np.shape(X)[1] if np.ndim(X) > 1 else 0
        if n_columns != len(names):
            raise ValueError(f"{self.file} needs {len(names)} columns, {shown(names)}; got {n_columns}")
        if columns is not None and (absent := set(names) - set(columns)):
            raise ValueError(
                f"{self.file} needs the columns {shown(names)}, but {shown(min(absent))} is not in "
                f"{shown(list(columns))}"
            )
        return {
            name: self._cast(
                (np.asarray(X)[:, i] if columns is None else np.asarray(X[name])).reshape(
                    -1, *[1] * (len(shape) - 1)
                ),
                name,
                kind,
            )
            for i, (name, kind, shape) in enumerate(self._inputs)
        }

    def _cast(self, array: NDArray[Any], name: str, kind: str) -> NDArray[Any]:
        """The array in the input's type; ValueError if that would change a value."""
        dtype = np.dtype(_DTYPES[kind])
        where = f"input {shown(name)} of {self.file}"
        if dtype.kind == "O":
            if array.dtype.kind not in "OUST":
                raise ValueError(f"{where} needs texts, got {array.dtype}")
            return array.astype(str).astype(object)
        try:
            numbers = array.astype(float) if array.dtype.kind not in "biuf" else array
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where} needs numbers, got {shown(array.ravel()[0])}") from error
        with np.errstate(over="ignore", invalid="ignore"):
            cast = numbers.astype(dtype)
        if dtype.kind in "iub" and not (cast == numbers).all():
            raise ValueError(
                f"{where} needs whole numbers ({dtype}), got {shown(numbers[cast != numbers].ravel()[0])}; "
                "name the column under integer in the constraints"
            )
        if dtype.kind == "f" and (np.isinf(cast) & ~np.isinf(numbers)).any():
            raise ValueError(
                f"{where} needs {dtype}, and {shown(numbers[np.isinf(cast)].ravel()[0])} is too large for it"
            )
        return cast

    # --- outputs

    def _read_outputs(self, graph: Any, X: Any) -> None:
        outputs = [(one.name, one.type, list(one.shape)) for one in self._session.get_outputs()]
        labels = [
            i for i, (_, kind, shape) in enumerate(outputs) if kind in _LABELS and shape[1:] in ([], [1])
        ]
        scores = [i for i, (_, kind, _) in enumerate(outputs) if _holds_scores(kind)]
        if len(labels) > 1 or len(scores) > 1 or not (labels or scores):
            raise ValueError(
                f"{self.file} has the outputs {shown([name for name, _, _ in outputs])}; labels, scores of "
                "the classes (probabilities or logits), or one of each are needed"
            )
        self._label = labels[0] if labels else None
        self._scores = scores[0] if scores else None
        results = self._run(self._trial(X))
        given = classes_in(graph)
        columns = None
        if self._scores is not None:
            result = results[self._scores]
            if isinstance(result, list) and result and isinstance(result[0], dict):
                # each sample has a mapping from labels to probabilities, which onnxruntime sorts
                given = given if set(given or ()) == set(result[0]) else list(result[0])
            columns = _as_columns(result, None if given is None else np.asarray(given), self.file)
        self.classes_ = self._classes(given, columns, results)
        self.says_labels = given is not None or self._scores is None
        self._gives_probabilities: bool | None = None
        if columns is not None:
            self._gives_probabilities = _are_probabilities(columns, graph, outputs[scores[0]][0])

    def _trial(self, X: Any) -> Any:
        if X is not None:
            return X[:_TRIED]
        shape = [self._n or 2, *self._inputs[0][2][1:]] if len(self._inputs) == 1 else []
        kinds = {kind for _, kind, _ in self._inputs}
        if "tensor(string)" in kinds or not all(isinstance(size, int) and size > 0 for size in shape):
            raise ValueError(
                f"{self.file} does not tell the shape of its samples, which are needed to identify its "
                "outputs; pass some as X"
            )
        if len(self._inputs) > 1:
            shape = [self._n or 2, len(self._inputs)]
        return np.zeros(shape)

    def _classes(self, given: list[Any] | None, columns: Any, results: list[Any]) -> NDArray[Any]:
        n = None if columns is None else max(columns.shape[1], 2)
        labels = None if self._label is None else np.asarray(results[self._label]).reshape(-1)
        if given is not None and n in (None, len(given)):
            return np.asarray(given)
        if n is not None and (labels is None or labels.dtype.kind in "iu"):
            assert columns is not None
            likely = np.arange(n)
            best = columns.argmax(axis=1) if columns.shape[1] > 1 else None
            if labels is None or best is None or (labels == likely[best]).mean() > 0.5:
                return likely
        raise ValueError(
            f"{self.file} does not tell which output has which label; export it with its labels (skl2onnx "
            "does), or with scores alone"
        )


def _holds_scores(kind: str) -> bool:
    return kind in ("tensor(float)", "tensor(double)", "tensor(float16)") or kind.startswith("seq(map(")


def _as_columns(result: Any, classes: NDArray[Any] | None, file: str) -> NDArray[np.float64]:
    """Scores of shape (n_samples, n_columns)."""
    if isinstance(result, list) and result and isinstance(result[0], dict):
        assert classes is not None
        return np.array([[row[label] for label in classes.tolist()] for row in result], dtype=float)
    columns = np.asarray(result, dtype=float)
    columns = columns.reshape(len(columns), -1) if columns.ndim in (1, 2) else columns
    if columns.ndim != 2:
        raise ValueError(
            f"{file} returns scores of shape {shown(columns.shape)}; one for each sample and class is needed"
        )
    return columns


def _are_probabilities(columns: NDArray[np.float64], graph: Any, output: str) -> bool:
    """Whether scores are probabilities: outputs of a final softmax or sigmoid, or scores that sum to 1."""
    maker = next((node.op_type for node in graph.graph.node if output in node.output), "")
    if columns.shape[1] == 1:
        return maker == "Sigmoid"
    if maker in ("Softmax", "ZipMap"):
        return bool((columns >= -_OFF).all())
    inside = ((columns >= -_OFF) & (columns <= 1 + _OFF)).all()
    return bool(inside and (np.abs(columns.sum(axis=1) - 1) < _OFF).all())


def _check_external(graph: Any, place: Path) -> bool:
    """Whether weights are in other files; these must be in the folder of the model, or below it."""
    folder = place.resolve().parent
    found = False
    for tensor in _tensors(graph):
        for entry in tensor.external_data:
            if entry.key != "location":
                continue
            found = True
            other = Path(entry.value)
            if other.is_absolute() or not (folder / other).resolve().is_relative_to(folder):
                raise ValueError(
                    f"{place.name} refers to weights in {shown(other.name)}, outside its own folder, which "
                    "are not read; save the model in one file, or with its weights in the same folder"
                )
            if not (folder / other).is_file():
                raise ValueError(
                    f"{place.name} refers to weights in {shown(other.name)}, which is missing; copy it to "
                    "the same folder"
                )
    return found


def _tensors(graph: Any) -> Iterator[Any]:
    for part in walk(graph):
        if type(part).__name__ == "TensorProto":
            yield part
