"""A network of torch.export as a module, which runs its operators one after another, with gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from skhalfway.files._operators import operator_of


@dataclass(frozen=True)
class Name:
    """Name of a computed value or of an input."""

    name: str


DEVICE = Name(" the device of the input")  # exported programs name the device that they were exported on


@dataclass(frozen=True)
class Step:
    """An operator with its arguments, and the names of its results."""

    target: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Any, ...]


@dataclass(frozen=True)
class Program:
    """The content of a file.

    Parameters
    ----------
    steps : tuple of Step
        Steps in the order of computation.
    tensors : dict of str to Tensor
        Weights, buffers and constants, by the names that steps use.
    constants : dict
        Other values, by the names that steps use.
    input : str
        Name of the samples.
    sizes : tuple of int or None
        Shape of a sample; None for sizes that may vary.
    batch : tuple of int
        Smallest and largest batch size.
    example : tuple of int
        Shape of the samples that the network was exported with.
    dtype : torch.dtype
        Type of these samples.
    results : tuple
        Names of the results, and constants.
    structure : object
        Structure of the results: None is the next result; a list or a dict holds several.
    """

    steps: tuple[Step, ...]
    tensors: dict[str, torch.Tensor]
    constants: dict[str, Any]
    input: str
    sizes: tuple[int | None, ...]
    batch: tuple[int, int]
    example: tuple[int, ...]
    dtype: torch.dtype
    results: tuple[Any, ...]
    structure: Any


class ExportedNetwork(nn.Module):
    """A network from a ``.pt2`` file.

    It accepts batches of any size. If it was exported for one batch size, it is called on blocks of that
    size; the last sample fills the last block.

    Parameters
    ----------
    program : Program
        The operators and weights.
    file : str
        Name of the file, for messages.
    """

    def __init__(self, program: Program, file: str) -> None:
        super().__init__()
        self.file = file
        self._steps = program.steps
        self._constants = program.constants
        self._input, self._sizes, self._batch = program.input, program.sizes, program.batch
        self._results, self._structure = program.results, program.structure
        self._homes: dict[str, str] = {}
        for number, (name, tensor) in enumerate(program.tensors.items()):
            self._homes[name] = home = f"tensor_{number}"
            if isinstance(tensor, nn.Parameter):
                self.register_parameter(home, tensor)
            else:
                self.register_buffer(home, tensor)
        self._last_uses = _last_uses(program)
        self.eval()

    def extra_repr(self) -> str:
        return f"{self.file}: {len(self._steps)} operators, samples of shape {self.sample_shape}"

    @property
    def sample_shape(self) -> tuple[int | None, ...]:
        """Shape of a sample; None for sizes that may vary."""
        return self._sizes

    def forward(self, x: torch.Tensor) -> Any:
        """Results of the network for samples of shape (n_samples, *sample_shape)."""
        if x.ndim != len(self._sizes) + 1 or any(
            size not in (None, given) for size, given in zip(self._sizes, x.shape[1:], strict=True)
        ):
            wanted = ", ".join("any" if size is None else str(size) for size in self._sizes)
            raise ValueError(f"{self.file} needs samples of shape ({wanted}), got {tuple(x.shape[1:])}")
        least, most = self._batch
        if least <= len(x) <= most:
            return self._structured(iter(self._run(x)), self._structure)
        parts = [self._run(_filled(block, least)) for block in x.split(most)]
        results = [self._joined(pieces, len(x)) for pieces in zip(*parts, strict=True)]
        return self._structured(iter(results), self._structure)

    def _joined(self, pieces: Sequence[Any], n: int) -> Any:
        if not isinstance(pieces[0], torch.Tensor):
            return pieces[0]
        least, most = self._batch
        taken = [min(most, n - start) for start in range(0, n, most)] or [0]
        if any(
            piece.ndim == 0 or len(piece) < max(size, least)
            for piece, size in zip(pieces, taken, strict=True)
        ):
            raise ValueError(
                f"{self.file} was exported for batches of {least} to {most} samples, and returns shape "
                f"{tuple(pieces[0].shape)}, without a row for each sample; export it for batches of any size"
            )
        return torch.cat([piece[:size] for piece, size in zip(pieces, taken, strict=True)])

    def _run(self, x: torch.Tensor) -> list[Any]:
        values: dict[str, Any] = {name: getattr(self, home) for name, home in self._homes.items()}
        values |= self._constants
        values |= {self._input: x, DEVICE.name: x.device}
        for step, done in zip(self._steps, self._last_uses, strict=True):
            args = [_value(arg, values) for arg in step.args]
            kwargs = {name: _value(arg, values) for name, arg in step.kwargs.items()}
            result = operator_of(step.target)(*args, **kwargs)
            if len(step.outputs) == 1:
                _bind(step.outputs[0], result, values)
            elif step.outputs:
                for output, part in zip(step.outputs, result, strict=True):
                    _bind(output, part, values)
            del args, kwargs, result
            for name in done:  # frees its memory, unless a gradient needs it
                values.pop(name, None)
        return [_value(result, values) for result in self._results]

    def _structured(self, results: Iterator[Any], structure: Any) -> Any:
        if structure is None:
            return next(results)
        if isinstance(structure, dict):
            return {key: self._structured(results, part) for key, part in structure.items()}
        return tuple(self._structured(results, part) for part in structure)


def _filled(block: torch.Tensor, least: int) -> torch.Tensor:
    """A block with its last sample repeated until it holds ``least`` samples."""
    if len(block) >= least or not len(block):
        return block
    index = torch.arange(least, device=block.device).clamp_max(len(block) - 1)
    return block[index]


def _value(given: Any, values: dict[str, Any]) -> Any:
    if isinstance(given, Name):
        return values[given.name]
    return [_value(one, values) for one in given] if isinstance(given, list) else given


def _bind(output: Any, result: Any, values: dict[str, Any]) -> None:
    if isinstance(output, Name):
        values[output.name] = result
    elif isinstance(output, list):
        for one, part in zip(output, result, strict=True):
            _bind(one, part, values)


def names_in(given: Any) -> Iterator[str]:
    """Names in the arguments or results of a step."""
    if isinstance(given, Name):
        yield given.name
    elif isinstance(given, (list, tuple)):
        for one in given:
            yield from names_in(one)


def _last_uses(program: Program) -> list[list[str]]:
    """Values that are no longer needed after each step."""
    seen = set(names_in(program.results)) | {*program.tensors, *program.constants, DEVICE.name}
    last: list[list[str]] = []
    for step in reversed(program.steps):
        used = {*names_in(step.args), *names_in(tuple(step.kwargs.values())), *names_in(step.outputs)}
        last.append(sorted(used - seen))
        seen |= used
    return last[::-1]
