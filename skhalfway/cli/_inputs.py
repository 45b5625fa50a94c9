"""Inputs of audits and checks: models, samples and constraints in files."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skhalfway.cli._format import add_format, format_of
from skhalfway.cli._parser import existing, wrong

if TYPE_CHECKING:
    from skhalfway.attacks import Constraints
    from skhalfway.files import Data

FORMATS = ".skops, .onnx or .pt2; .joblib, .pkl, .pickle, .pt and .pth with --trust-pickle"


@dataclass(frozen=True)
class ModelFile:
    """A model in a file.

    Attributes
    ----------
    name : str
        Name given by the user, else the file name without its ending.
    path : Path
        The file.
    """

    name: str
    path: Path

    def __str__(self) -> str:
        """The argument that names it, without folders."""
        return self.path.name if self.name == self.path.stem else f"{self.name}={self.path.name}"


def model_file(text: str) -> ModelFile:
    """Parse ``FILE`` or ``NAME=FILE``."""
    name, equals, file = text.partition("=")
    if not equals or Path(text).exists() or Path(name).name != name:
        path = existing(text)
        return ModelFile(path.stem, path)
    if not name.strip():
        raise wrong(f"{text} has no name before the =; give NAME=FILE, or FILE alone")
    return ModelFile(name, existing(file))


def add_models(parser: ArgumentParser) -> Any:
    """Add the options for models and for trusted types; return their group."""
    group = parser.add_argument_group("models")
    group.add_argument(
        "--model",
        dest="models",
        action="append",
        required=True,
        type=model_file,
        metavar="[NAME=]FILE",
        help=f"file of a fitted classifier ({FORMATS}); may be given several times",
    )
    group.add_argument(
        "--trust",
        nargs="+",
        action="extend",
        default=[],
        metavar="TYPE",
        help="types to allow in a .skops file beside those that skops trusts, for example "
        "package.MyTransformer",
    )
    group.add_argument(
        "--trust-pickle",
        action="store_true",
        help="load pickles too. A pickle can run any code: load it only if you fully trust its source",
    )
    return group


def add_data(parser: ArgumentParser) -> Any:
    """Add the options for samples; return their group."""
    group = parser.add_argument_group("data")
    group.add_argument(
        "--data",
        required=True,
        type=existing,
        metavar="FILE",
        help="samples that the models were not trained on: .csv or .parquet with named columns, "
        ".npz with arrays X and y, or a folder of images with one folder for each class",
    )
    group.add_argument("--target", metavar="COLUMN", help="column (in .npz: array) with the true labels")
    group.add_argument(
        "--classes",
        nargs="+",
        metavar="LABEL",
        help="labels of a network's outputs, in their order, written as in the data (for images: names of "
        "folders). Needed if labels are not 0, 1, 2... and the file (.pt2, .onnx, .pt) does not hold them",
    )
    add_format(group)
    return group


def check_names(options: Namespace) -> None:
    """Exit with an error if two models have the same name."""
    names = [model.name for model in options.models]
    for name in names:
        if names.count(name) > 1:
            options.parser.error(f"two models have the name {name!r}; rename one with --model NAME=FILE")


def read_samples(options: Namespace) -> Data:
    """Read samples and labels."""
    from skhalfway.files import read_data

    data = read_data(options.data, target=options.target, **format_of(options, options.data))
    if data.y is None:
        raise ValueError(f"{options.data.name} needs true labels: name their column or array with --target")
    return data


def read_limits_of_samples(options: Namespace, data: Data) -> Constraints | None:
    """Read the constraints, and check their columns against the data."""
    import numpy as np

    from skhalfway._inputs import Frame
    from skhalfway.attacks import Constraints
    from skhalfway.attacks._constraints import Header, read_mask
    from skhalfway.attacks._constraints import read_constraints as check_constraints
    from skhalfway.attacks._limits import check_data
    from skhalfway.files import read_constraints

    if options.constraints is None:
        return None
    constraints = Constraints(**read_constraints(options.constraints))
    n_columns = int(np.prod(data.X.shape[1:]))
    frame = None if data.names is None else Frame.of(data.X)
    categories = np.zeros(n_columns, dtype=bool) if frame is None else frame.categories
    header = Header(n_columns, data.names)
    try:
        rules = check_constraints(constraints, header, categories)
        table = data.X if frame is None else frame.numbers(data.X)
        values = np.asarray(table, dtype=float).reshape(len(data.X), n_columns)
        check_data(values, np.isnan(values) | categories, rules, header)
        if constraints.mask is not None:
            read_mask(constraints.mask, data.X.shape, rules, header, of_others=False)
    except ValueError as error:
        target = f"; {options.target} is the target, which models do not see" if options.target else ""
        said = str(error) + (target if f"unknown column {options.target!r}" in str(error) else "")
        raise ValueError(f"{options.constraints.name}: {said}") from error
    return constraints


def read_models(options: Namespace, data: Data) -> tuple[dict[str, Any], Data, list[str]]:
    """Read the models, by name, and check them on the samples.

    Returns them, the samples with the columns that the models were fitted on, and remarks about columns,
    which are also printed.
    """
    from skhalfway.cli._columns import columns_of_models, remarks
    from skhalfway.files._models import check_on, load_model

    classes = None if options.classes is None else labels_like(options.classes, data.y)
    given: dict[str, Any] = {
        "trust_pickle": options.trust_pickle,
        "trusted": options.trust,
        "classes": classes,
    }
    loaded = {model.name: load_model(model.path, X=data.X, **given) for model in options.models}
    data, notes = columns_of_models(options, data, loaded)
    notes += remarks(options, data, [model for model, _ in loaded.values()])
    for note in notes:
        options.parser.tell(f"note: {note}", 0)
    for model, place in loaded.values():
        check_on(model, place, data.X)
    return {name: model for name, (model, _) in loaded.items()}, data, notes


def labels_like(texts: list[str], y: Any) -> list[Any]:
    """Labels from the words of a command, in the type of the labels of the data."""
    import numpy as np

    from skhalfway._text import shown

    if y.dtype.kind not in "biuf":
        return texts
    read = {"False": False, "True": True}.__getitem__ if y.dtype.kind == "b" else y.dtype.type
    try:
        return [np.asarray(read(text)).item() for text in texts]
    except (KeyError, ValueError, OverflowError) as error:
        raise ValueError(
            f"--classes must be written like the labels of the data, which are numbers such as {shown(y[0])}"
            f"; got {shown(texts)}"
        ) from error
