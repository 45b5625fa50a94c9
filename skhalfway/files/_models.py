"""Classifiers from files, read without running code in them unless the user trusts the file."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

from numpy.typing import ArrayLike
from sklearn.exceptions import NotFittedError

from skhalfway._checks import check_bool
from skhalfway._text import counted, shown
from skhalfway.files._naming import name_outputs, read_classes
from skhalfway.files._onnx import OnnxClassifier
from skhalfway.files._paths import ending_of, existing, library, said
from skhalfway.models import as_model
from skhalfway.models._fitted_columns import check_kinds, columns_for
from skhalfway.models._warnings import warn

SAFE = (".skops", ".onnx", ".pt2")
PICKLES = (".joblib", ".pkl", ".pickle", ".pt", ".pth")
_TRIED = 2  # number of samples that a loaded model has to predict


def read_model(
    path: str | PathLike[str],
    *,
    trust_pickle: bool = False,
    trusted: Sequence[str] = (),
    X: Any = None,
    classes: ArrayLike | None = None,
) -> Any:
    """Read a fitted classifier from a file.

    Parameters
    ----------
    path : str or path-like
        A file with one of these endings:

        - ``.skops``: models of scikit-learn, saved with skops. Only types that skops trusts, and those in
          ``trusted``, are loaded.
        - ``.onnx``: any model, run by onnxruntime as a black box without gradients. Supported are files of
          skl2onnx, with their labels, and networks with one input and one output of scores, whose labels are
          the numbers of their columns.
        - ``.pt2``: networks saved with ``torch.export.save``, with gradients. They are read as data, without
          ``torch.export.load``, and may use only operators that are known to be harmless. Labels are the
          numbers of their columns.
        - ``.joblib``, ``.pkl``, ``.pickle`` (pickle, cloudpickle, joblib), ``.pt``, ``.pth`` (TorchScript,
          pickled modules): only with ``trust_pickle``.
    trust_pickle : bool, default=False
        Whether to load files that can run any code while they are loaded.
    trusted : sequence of str, default=()
        Types that a ``.skops`` file may hold beside those that skops trusts, for example
        ``"my_package.MyTransformer"``.
    X : array-like of shape (n_samples, ...), default=None
        Samples that the model is for. The model predicts the first of them, so that a mismatch is found here:
        columns that are missing or (with a warning) unknown to the model, and columns of numbers where the
        encoders of scikit-learn were fitted on text, or the other way round. An ``.onnx`` file may need them
        to identify its outputs.
    classes : array-like of shape (n_classes,), default=None
        Labels of the outputs, in their order, for a network in a ``.pt2``, ``.onnx`` or ``.pt`` file without
        labels. None: the numbers of the outputs. A model with labels of its own keeps their order; they must
        be the same labels.

    Returns
    -------
    estimator : object
        Model that :func:`skhalfway.models.as_model` accepts: an estimator, a ``torch.nn.Module``, or an
        object with ``predict`` and ``classes_``.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If a library is missing that the file or the model needs.
    ValueError
        If the file has another ending, cannot be read, may run code and is not trusted, or holds no fitted
        classifier; if the model does not accept ``X``, or was fitted on other columns; if it has other labels
        than ``classes``, or another number of outputs.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> import skops.io
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skhalfway.files import read_model
    >>> X, y = load_iris(return_X_y=True)
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "deployed.skops"
    ...     skops.io.dump(LogisticRegression(max_iter=500).fit(X, y), path)
    ...     read_model(path, X=X)
    LogisticRegression(max_iter=500)
    """
    model, place = load_model(path, trust_pickle=trust_pickle, trusted=trusted, X=X, classes=classes)
    if hasattr(X, "columns"):
        names = [str(name) for name in X.columns]
        taken = columns_for(model, place.name, names)
        if set(taken) != set(names):
            left = [name for name in names if name not in taken]
            warn(
                f"{place.name} was not fitted on {shown(left)} of X; give it X[list(model.feature_names_in_)]"
            )
            X = X[taken]
    check_on(model, place, X)
    return model


def load_model(
    path: Any, *, trust_pickle: bool, trusted: Sequence[str], X: Any = None, classes: Any = None
) -> tuple[Any, Path]:
    """The model of a file and the file, see :func:`read_model`; not checked yet, see :func:`check_on`."""
    check_bool("trust_pickle", trust_pickle)
    labels = None if classes is None else read_classes(classes)
    trusted = [trusted] if isinstance(trusted, str) else list(trusted)
    if not all(isinstance(name, str) for name in trusted):
        raise TypeError(f"trusted must hold names of types, got {shown(trusted)}")
    place = existing(path, "a model")
    ending = ending_of(place, (*SAFE, *PICKLES), "a model")
    if ending in PICKLES and not trust_pickle:
        raise ValueError(
            f"{place.name} may run any code while it is loaded, so it is not loaded; convert it to "
            f"{', '.join(SAFE)}, or, if you trust whoever made it, pass trust_pickle=True (--trust-pickle)"
        )
    if ending == ".skops":
        model = _skops(place, trusted)
    elif ending == ".onnx":
        model = OnnxClassifier(place, X)
    elif ending == ".pt2":
        from skhalfway.files._exported import read_exported

        model = read_exported(place)
    else:
        model = _pickled(place, ending)
    if labels is not None:
        name_outputs(model, labels, place)
    return model, place


def _skops(place: Path, trusted: Sequence[str]) -> Any:
    io = library("skops.io", place, "skops")
    try:
        unknown = sorted(set(io.get_untrusted_types(file=place)) - set(trusted))
        if not unknown:
            return io.load(place, trusted=list(trusted))
    except ImportError as error:
        raise ImportError(
            f"{place.name} holds a type of a library that is not installed: {said(error, place)}"
        ) from error
    except Exception as error:  # a changed file can cause any error in skops
        raise ValueError(f"{place.name} cannot be read by skops: {said(error, place)}") from error
    options = " ".join(f"--trust {name}" for name in unknown)
    raise ValueError(
        f"{place.name} holds {counted(len(unknown), 'type')} that skops does not trust, "
        f"{shown(unknown)}; if you trust them, pass trusted= ({options})"
    )


def _pickled(place: Path, ending: str) -> Any:
    try:
        if ending in (".pt", ".pth"):
            return _torch(place)
        import joblib

        return joblib.load(place)  # reads files of pickle and cloudpickle too
    except ImportError as error:
        raise ImportError(
            f"{place.name} needs a module that is not installed: {said(error, place)}"
        ) from error
    except Exception as error:  # code in the file can raise any error
        raise ValueError(f"{place.name} cannot be loaded: {said(error, place)}") from error


def _torch(place: Path) -> Any:
    import torch

    if is_zipfile(place):
        with ZipFile(place) as archive:
            scripted = any(name.split("/")[1:2] == ["code"] for name in archive.namelist())
        if scripted:
            return torch.jit.load(str(place), map_location="cpu").eval()
    loaded = torch.load(place, map_location="cpu", weights_only=False)
    if isinstance(loaded, dict):
        raise ValueError(
            "it holds weights or a checkpoint without the network; save the network with torch.export.save"
        )
    return loaded


def check_on(model: Any, place: Path, X: Any) -> None:
    """Raise if it is no fitted classifier, or does not accept the samples."""
    check_kinds(model, X, place.name)
    try:
        seen = as_model(model)
        if X is not None:
            seen.predict(X[:_TRIED])
    except (TypeError, ValueError, RuntimeError, NotFittedError) as error:
        raise ValueError(f"{place.name}: {said(error, place)}") from error
