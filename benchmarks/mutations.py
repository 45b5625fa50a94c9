"""Mutants: modules with one small change each, most of them by mutmut's operators.

Of what mutmut changes, left out is what only crashes, such as an argument replaced by None; added are other
functions of the same arguments (min for max), arguments given by name left to their defaults, and calls left
out. Changes that no figure depends on are no mutants: of annotations, docstrings, messages, `assert`, and
`strict=` of zip.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation import mutators

_PAIRS = "min max, minimum maximum, amin amax, argmin argmax, any all, floor ceil, zeros ones, sum mean"
TWINS = dict(pair.split() for pair in _PAIRS.split(", "))
TWINS |= {b: a for a, b in TWINS.items()}


def twin(node: cst.Call) -> Iterator[cst.CSTNode]:
    """Another function of the same arguments."""
    name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    if isinstance(name, cst.Name) and name.value in TWINS:
        yield node.with_deep_changes(name, value=TWINS[name.value])


def no_call(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """A call for its effect left out."""
    if isinstance(node.value, cst.Call):
        yield cst.Pass()


def no_keyword(node: cst.Call) -> Iterator[cst.CSTNode]:
    """An argument given by name left to its default."""
    for k, argument in enumerate(node.args):
        if argument.keyword is not None:
            yield node.with_changes(args=[*node.args[:k], *node.args[k + 1 :]])


def other_string(node: cst.SimpleString) -> Iterable[cst.CSTNode]:
    """The first of mutmut's three changes of a string."""
    return list(mutators.operator_string(node))[:1]


OPERATORS: list[tuple[type, Callable[[Any], Iterable[cst.CSTNode]]]] = [
    (cst.BaseNumber, mutators.operator_number),
    (cst.SimpleString, other_string),
    (cst.Name, mutators.operator_name),
    (cst.AugAssign, mutators.operator_augmented_assignment),
    (cst.UnaryOperation, mutators.operator_remove_unary_ops),
    (cst.CSTNode, mutators.operator_keywords),
    (cst.CSTNode, mutators.operator_swap_op),
    (cst.IfExp, mutators.operator_if_exp),
    (cst.Call, mutators.operator_symmetric_string_methods_swap),
    (cst.Call, twin),
    (cst.Call, no_keyword),
    (cst.Expr, no_call),
]
NEVER = (cst.Annotation, cst.Import, cst.ImportFrom, cst.Raise, cst.Assert, cst.Decorator)


class Changes(cst.CSTVisitor):
    """Every change of a module: the function it is in, that function's lines, and the nodes."""

    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        self.found: list[tuple[str, tuple[int, int] | None, cst.CSTNode, cst.CSTNode]] = []
        self.names: list[str] = []
        self.lines: list[tuple[int, int] | None] = [None]

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, NEVER):
            return False
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self.names.append(node.name.value)
        if isinstance(node, cst.FunctionDef):
            place = self.get_metadata(PositionProvider, node.body)
            self.lines.append((place.start.line, place.end.line))
        for kind, operator in OPERATORS:
            if isinstance(node, kind):
                where, lines = ".".join(self.names), self.lines[-1]
                self.found += [(where, lines, node, changed) for changed in operator(node)]
        return True

    def on_leave(self, node: cst.CSTNode) -> None:
        if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
            self.names.pop()
        if isinstance(node, cst.FunctionDef):
            self.lines.pop()


class Figures(ast.NodeTransformer):
    """Of a module, what its figures can depend on."""

    def visit_arg(self, node: ast.arg) -> Any:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        node.returns = None
        if any(getattr(one, "id", "") == "overload" for one in node.decorator_list):
            return ast.Pass()
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_If(self, node: ast.If) -> Any:
        return ast.Pass() if getattr(node.test, "id", "") == "TYPE_CHECKING" else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> Any:
        return ast.Raise()

    def visit_Assert(self, node: ast.Assert) -> Any:
        return ast.Pass()

    def visit_Constant(self, node: ast.Constant) -> Any:
        return ast.Constant("") if isinstance(node.value, str) and " " in node.value else node

    def visit_Call(self, node: ast.Call) -> Any:
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name == "warn":
            node.args = node.args[1:]
        if name == "reshape":
            # any negative number stands for the size that is left
            node.args = [ast.Constant(-1) if isinstance(arg, ast.UnaryOp) else arg for arg in node.args]
        if isinstance(node.func, ast.Name) and name == "cast" and len(node.args) == 2:
            return self.visit(node.args[1])
        node.keywords = [k for k in node.keywords if k.arg not in ("strict", "stacklevel")]
        return self.generic_visit(node)


def figures(code: str) -> str:
    return ast.dump(Figures().visit(ast.parse(code)))


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    module: str
    where: str
    lines: tuple[int, int] | None
    code: str
    diff: str

    @property
    def change(self) -> tuple[str, str]:
        """What was there and what is now, without indentation."""
        was, now = (
            "\n".join(line[1:].strip() for line in self.diff.splitlines()[3:] if line[0] == sign)
            for sign in "-+"
        )
        return was, now

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.module} {self.diff}".encode()).hexdigest()[:16]


def draw(sources: Mapping[str, str], number: int, seed: int) -> list[Mutant]:
    """Different mutants of modules, given by name; of all there are, each is as likely as any other."""
    trees = {name: MetadataWrapper(cst.parse_module(source)) for name, source in sources.items()}
    every = []
    for name, tree in trees.items():
        changes = Changes()
        tree.visit(changes)
        every += [(name, *change) for change in changes.found]
    random.Random(seed).shuffle(every)
    drawn: dict[str, Mutant] = {}
    for name, where, lines, old, new in every:
        code = trees[name].module.deep_replace(old, new).code
        if figures(code) == figures(sources[name]):
            continue
        pair = (text.splitlines(keepends=True) for text in (sources[name], code))
        diff = "".join(difflib.unified_diff(*pair, f"a/{name}.py", f"b/{name}.py", n=1))
        mutant = Mutant(name, where, lines, code, diff)
        drawn.setdefault(mutant.key, mutant)
        if len(drawn) == number:
            break
    return list(drawn.values())
