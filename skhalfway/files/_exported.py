"""Networks of torch.export from ``.pt2`` files, read as data: no pickle is loaded and no code is run.

``torch.export.load`` unpickles sample inputs and weights, evaluates expressions and writes names into Python
code. Therefore the archive is read here: the graph is JSON, the weights are bytes, and the graph may call
only the operators of a list. The layout of the archive is that of ``torch/export/pt2_archive``; the format of
the graph is version 8 of ``torch/_export/serde/schema.py``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile

import torch
from torch import nn

from skhalfway._text import counted, shown
from skhalfway.files._operators import operator_of
from skhalfway.files._paths import said
from skhalfway.files._program import DEVICE, ExportedNetwork, Name, Program, Step, names_in
from skhalfway.models._warnings import warn

_SCHEMA = 8
_MOST = 2**31 - 1  # largest batch, if the file has no limit
_AGAIN = "save it again with torch.export.save"
_EVAL = "call eval() of the network before torch.export.export"
# codes of schema.ScalarType, .MemoryFormat and .Layout
_DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    10: torch.complex64,
    11: torch.complex128,
    12: torch.bool,
    13: torch.bfloat16,
}
_MEMORY_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
_STRIDED = 7
# errors that changed files cause
_UNREADABLE = (
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    RuntimeError,
    RecursionError,
    OverflowError,
)


def read_exported(place: Path) -> ExportedNetwork:
    """The network of a file; ValueError if it cannot be read without running code in it."""
    try:
        with ZipFile(place) as archive:
            program = _program(_Archive(archive))
        network = ExportedNetwork(program, place.name)
        _try(network, program)
    except (OSError, BadZipFile, NotImplementedError, *_UNREADABLE) as error:
        told = said(error, place) if not isinstance(error, LookupError) else f"{shown(str(error))} is missing"
        raise ValueError(f"{place.name} cannot be read as a network of torch.export: {told}") from error
    least, most = program.batch
    if least == most:
        warn(
            f"{place.name} was exported for batches of {counted(most, 'sample')}, so it is called in blocks "
            f"of {most}, which is slow; export it with dynamic_shapes={{...: {{0: torch.export.Dim.AUTO}}}}"
        )
    return network


class _Archive:
    """Parts of an archive by name, without their common folder."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        formats = [name for name in archive.namelist() if name.split("/")[1:] == ["archive_format"]]
        if len(formats) != 1 or archive.read(formats[0]) != b"pt2":
            raise ValueError(f"it is not an archive of torch.export; {_AGAIN}")
        self._root = formats[0].removesuffix("archive_format")
        self.names = [name.removeprefix(self._root) for name in archive.namelist()]
        if len(set(self.names)) < len(self.names):
            raise ValueError(f"two of its parts have the same name; {_AGAIN}")
        if compiled := [name for name in self.names if name.startswith("data/aotinductor/")]:
            raise ValueError(
                f"it holds compiled code ({shown(compiled[0])}), which is not run; save the program that "
                "torch.export.export returns"
            )

    def read(self, name: str) -> bytes:
        info = self._archive.getinfo(f"{self._root}{name}")
        if info.compress_type != ZIP_STORED:
            raise ValueError(f"its part {shown(name)} is compressed, which torch never does; {_AGAIN}")
        return self._archive.read(info)

    def json(self, name: str) -> Any:
        return json.loads(self.read(name).decode("utf-8"))


def _program(archive: _Archive) -> Program:
    models = [name for name in archive.names if name.startswith("models/") and name.endswith(".json")]
    if len(models) != 1:
        raise ValueError(f"it holds {counted(len(models), 'program')}; one is needed")
    name = models[0].removeprefix("models/").removesuffix(".json")
    document = archive.json(models[0])
    if (version := document["schema_version"]["major"]) != _SCHEMA:
        raise ValueError(f"it has version {shown(version)} of the format, not {_SCHEMA}; {_AGAIN}")
    module = document["graph_module"]
    graph, signature = module["graph"], module["signature"]
    weights = _tensors(archive, "data/weights/", name, "weights")
    held = _tensors(archive, "data/constants/", name, "constants")
    tensors: dict[str, torch.Tensor] = {}
    constants: dict[str, Any] = {}
    inputs = []
    for spec in signature["input_specs"]:
        kind, content = _only(spec)
        if kind == "user_input":
            inputs.append(content["arg"])
        elif kind == "parameter":
            tensors[content["arg"]["name"]] = weights[content["parameter_name"]]
        elif kind == "buffer":
            home = weights if content["buffer_name"] in weights else held
            tensors[content["arg"]["name"]] = home[content["buffer_name"]]
        elif kind == "tensor_constant":
            tensors[content["arg"]["name"]] = held[content["tensor_constant_name"]]
        elif kind == "constant_input":
            constants[content["name"]] = _plain(_only(content["value"]))
        else:
            raise ValueError(f"it has an input of the kind {shown(kind)}, which is not supported")
    if len(inputs) != 1 or _only(inputs[0])[0] != "as_tensor":
        raise ValueError(f"it must have one input, a tensor of samples, got {counted(len(inputs), 'input')}")
    samples = str(_only(inputs[0])[1]["name"])
    sizes, batch, example, dtype = _shape(
        graph["tensor_values"][samples], document.get("range_constraints", {})
    )
    steps = tuple(_step(node) for node in graph["nodes"])
    results = []
    for spec in signature["output_specs"]:
        kind, content = _only(spec)
        if kind != "user_output":
            raise ValueError(f"it changes its own state ({shown(kind)}); {_EVAL}")
        results.append(_argument(content["arg"]))
    known = {*tensors, *constants, samples, DEVICE.name}
    for step in steps:
        if absent := {*names_in(step.args), *names_in(tuple(step.kwargs.values()))} - known:
            raise ValueError(f"nothing in it has the name {shown(min(absent))}; {_AGAIN}")
        known |= set(names_in(step.outputs))
    spec = module["module_call_graph"][0]["signature"]["out_spec"]
    structure = _structure(json.loads(spec)[1])
    if set(names_in(results)) - known or _n_leaves(structure) != len(results):
        raise ValueError(f"its results are not computed; {_AGAIN}")
    return Program(
        steps, tensors, constants, samples, sizes, batch, example, dtype, tuple(results), structure
    )


def _only(union: dict[str, Any]) -> tuple[str, Any]:
    ((kind, content),) = union.items()
    return kind, content


def _tensors(archive: _Archive, folder: str, model: str, what: str) -> dict[str, torch.Tensor]:
    """Weights or constants by name, made from bytes."""
    if f"{folder}{model}.pt" in archive.names:
        raise ValueError(
            f"its {what} are pickled, in the format of an older torch; {_AGAIN} of torch 2.9 or newer"
        )
    tensors = {}
    for name, meta in archive.json(f"{folder}{model}_{what}_config.json")["config"].items():
        if meta["use_pickle"] or meta["tensor_meta"] is None:
            raise ValueError(
                f"{shown(name)} is a pickled object, which could run any code; use plain tensors instead"
            )
        tensor = _tensor(archive.read(f"{folder}{meta['path_name']}"), meta["tensor_meta"])
        if meta["is_param"]:
            tensor = nn.Parameter(tensor, requires_grad=bool(meta["tensor_meta"]["requires_grad"]))
        tensors[name] = tensor
    return tensors


def _tensor(content: bytes, meta: dict[str, Any]) -> torch.Tensor:
    if meta["layout"] != _STRIDED:
        raise ValueError("it holds a sparse tensor, which is not supported; use dense ones in the network")
    sizes, strides = ([_integer(size["as_int"]) for size in meta[key]] for key in ("sizes", "strides"))
    dtype = _DTYPES[meta["dtype"]]
    if not content:
        if 0 not in sizes:
            raise ValueError(f"a tensor of shape {shown(sizes)} holds no values; {_AGAIN}")
        return torch.empty(sizes, dtype=dtype)
    flat = torch.frombuffer(bytearray(content), dtype=dtype)
    return flat.as_strided(sizes, strides, _integer(meta["storage_offset"]["as_int"])).clone()


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"an integer is needed, got {shown(value)}")
    return value


def _shape(
    meta: dict[str, Any], ranges: dict[str, Any]
) -> tuple[tuple[int | None, ...], tuple[int, int], tuple[int, ...], torch.dtype]:
    """Shape of a sample, range of batch sizes, shape of the example, and its type."""
    dtype = _DTYPES[meta["dtype"]]
    if not dtype.is_floating_point:
        raise ValueError(f"its samples must be floats, got {dtype}")
    if not meta["sizes"]:
        raise ValueError("its input must have samples along the first axis, and it has no axes")
    sizes: list[int | None] = []
    example: list[int] = []
    for size in meta["sizes"]:
        kind, content = _only(size)
        sizes.append(_integer(content) if kind == "as_int" else None)
        example.append(_integer(content if kind == "as_int" else _only(content["hint"])[1]))
    if sizes[0] is not None:
        return tuple(sizes[1:]), (sizes[0], sizes[0]), tuple(example), dtype
    expression = meta["sizes"][0]["as_expr"]["expr_str"]
    symbol = expression.removeprefix("Symbol('").partition("'")[0]
    if not expression.startswith("Symbol('") or expression.count("(") != 1:
        raise ValueError(
            "its batch size follows from a formula; export it with torch.export.Dim.AUTO for the first axis"
        )
    limits = ranges.get(symbol, {})
    # torch writes 2 even if 1 is allowed too
    least, most = limits.get("min_val") or 1, limits.get("max_val") or _MOST
    return tuple(sizes[1:]), (1 if least <= 2 else _integer(least), _integer(most)), tuple(example), dtype


def _step(node: dict[str, Any]) -> Step:
    target = str(node["target"])
    operator = operator_of(target)
    args, kwargs = [], {}
    schema = getattr(operator, "_schema", None)
    keywords = {arg.name for arg in schema.arguments if arg.kwarg_only} if schema is not None else set()
    for given in node["inputs"]:
        value, name = _argument(given["arg"]), str(given["name"])
        if given.get("kind") == 2 or (given.get("kind") is None and name in keywords):
            kwargs[name] = value
        else:
            args.append(value)
        if (name == "train" and value is True) or (name == "dropout_p" and value != 0):
            raise ValueError(f"its dropout is on; {_EVAL}")
        if name == "training" and value is True and _holds_statistics(node["inputs"]):
            raise ValueError(f"its batch normalisation was exported in training mode; {_EVAL}")
    return Step(target, tuple(args), kwargs, tuple(_argument(output) for output in node["outputs"]))


def _holds_statistics(inputs: list[dict[str, Any]]) -> bool:
    """Whether batch normalisation has running statistics, which it does not use in training mode."""
    kept = [given for given in inputs if given["name"] == "running_mean"]
    return bool(kept) and _argument(kept[0]["arg"]) is not None


def _argument(union: dict[str, Any]) -> Any:
    """A value, the name of a value, or a list of either."""
    kind, content = _only(union)
    if kind not in _ARGUMENTS:
        raise ValueError(
            f"an operator has an argument or result {shown(kind.removeprefix('as_'))}, which is not supported"
        )
    return _ARGUMENTS[kind](content)


def _plain(union: tuple[str, Any]) -> Any:
    kind, content = union
    return _ARGUMENTS[kind](content) if kind in _SIMPLE else _argument({kind: content})


def _name(content: dict[str, Any]) -> Name:
    return Name(str(content["name"]))


def _symbolic(content: dict[str, Any]) -> Any:
    kind, value = _only(content)
    return Name(str(value)) if kind == "as_name" else _ARGUMENTS[kind](value)


def _optional(content: dict[str, Any]) -> Name | None:
    kind, value = _only(content)
    return _name(value) if kind == "as_tensor" else None


def _strided(content: int) -> torch.layout:
    if content != _STRIDED:
        raise ValueError("it makes sparse tensors, which are not supported")
    return torch.strided


def _of_type(kind: type) -> Callable[[Any], Any]:
    def checked(content: Any) -> Any:
        if not isinstance(content, kind) or (isinstance(content, bool) and kind is not bool):
            raise TypeError(f"{kind.__name__} is needed, got {shown(content)}")
        return content

    return checked


def _each(read: Callable[[Any], Any]) -> Callable[[Any], list[Any]]:
    return lambda content: [read(one) for one in content]


_SIMPLE: dict[str, Callable[[Any], Any]] = {
    "as_bool": _of_type(bool),
    "as_int": _of_type(int),
    "as_float": float,  # infinite values are texts
    "as_string": _of_type(str),
}
_ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    **_SIMPLE,
    **{f"{kind}s": _each(read) for kind, read in _SIMPLE.items()},
    **{f"as_sym_{kind}": _symbolic for kind in ("int", "float", "bool")},
    **{f"as_sym_{kind}s": _each(_symbolic) for kind in ("int", "float", "bool")},
    "as_int_lists": _each(_each(_of_type(int))),
    "as_none": lambda content: None,
    "as_tensor": _name,
    "as_tensors": _each(_name),
    "as_optional_tensor": _optional,
    "as_optional_tensors": _each(_optional),
    "as_scalar_type": lambda content: _DTYPES[content],
    "as_memory_format": lambda content: _MEMORY_FORMATS[content],
    "as_layout": _strided,
    "as_device": lambda content: DEVICE,
}


def _structure(spec: dict[str, Any]) -> Any:
    """Structure of the results: None represents one result."""
    if spec["type"] is None:
        return None
    parts = [_structure(child) for child in spec["children_spec"]]
    context = json.loads(spec["context"]) if isinstance(spec["context"], str) else None
    if (
        isinstance(context, list)
        and len(context) == len(parts)
        and all(isinstance(key, str) for key in context)
    ):
        return dict(zip(context, parts, strict=True))
    return parts


def _n_leaves(structure: Any) -> int:
    if structure is None:
        return 1
    parts = structure.values() if isinstance(structure, dict) else structure
    return sum(map(_n_leaves, parts))


def _try(network: ExportedNetwork, program: Program) -> None:
    """Call the network once; it must work, and leave its weights unchanged."""
    held = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    before = {name: tensor._version for name, tensor in held.items()}
    with torch.no_grad():
        network(torch.zeros(program.example, dtype=program.dtype))
    if any(held[name]._version != version for name, version in before.items()):
        raise ValueError(f"it changes its own weights or buffers when it is called; {_EVAL}")
