"""The package itself: what it exports, and how its modules stand on each other."""

from __future__ import annotations

import ast
import runpy
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from textwrap import dedent

import pytest

import skhalfway


def test_public_names():
    assert set(dir(skhalfway)) == set(skhalfway.__all__)
    for name in skhalfway.__all__:
        assert getattr(skhalfway, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'TransferScore'"):
        skhalfway.TransferScore  # noqa: B018


PACKAGES = [f"skhalfway.{part.name}" for part in iter_modules(skhalfway.__path__) if part.ispkg]


@pytest.mark.parametrize("name", PACKAGES)
def test_public_names_of_packages(name):
    package = import_module(name)
    assert package.__doc__ and set(package.__all__) <= set(dir(package))
    for public in package.__all__:
        assert getattr(package, public) is not None
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'Nothing'"):
        package.Nothing  # noqa: B018


def test_every_name_has_one_home():
    homes = Counter(public for name in PACKAGES for public in import_module(name).__all__)
    assert max(homes.values()) == 1, [public for public, n in homes.items() if n > 1]


# --- the house


PACKAGE = Path(skhalfway.__file__).parent
MODULES = {
    ".".join([PACKAGE.name, *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
# from the ground up: a module imports from its own floor and from those below. Private modules of no package
# are below all; skhalfway itself, which hands out names of all floors, is above
FLOORS = (
    "results",
    "displays",
    "models",
    "engine",
    "boundaries",
    "manifold",
    "halfway",
    "training",
    "attacks",
    "transfer",
    "perturbation",
    "codes",
    "structure",
    "inspection",
    "files",
    "report",
    "datasets",
    "",
    "course",
    "cli",
    "__main__",
)
APART = {"transfer", "perturbation"}  # neither imports the other
# imports inside functions that close a circle; strike out what is gone
KNOWN_CIRCLES = {
    ("attacks._parameters", "attacks._generator"),
    ("models._type_checks", "models._torch"),
}
MOST_LINES = 400
KNOWN_LONG: set[str] = set()


def imports_of(code: str) -> Iterator[tuple[str, bool]]:
    """What of this package a module imports, wherever in it, and whether that may close a circle.

    What is for type checkers only may not, nor what is imported by a name that is put together.
    """
    tree = ast.parse(code)
    typing_only = {
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for part in block.body
        for node in ast.walk(part)
    }
    for node in ast.walk(tree):
        found, whole = [], True
        if isinstance(node, ast.Import):
            found = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            inside = [f"{node.module}.{name.name}" for name in node.names]
            found = [name if name in MODULES else str(node.module) for name in inside]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            whole = not isinstance(node.args[0], ast.JoinedStr)
            given = node.args[0] if whole else node.args[0].values[0]
            if isinstance(given, ast.Constant):
                found = [given.value.rstrip(".")]
        for name in found:
            if name.split(".")[0] == PACKAGE.name:
                yield name, whole and node not in typing_only


@cache
def all_imports() -> list[tuple[str, str, bool]]:
    read = {module: path.read_text("utf-8") for module, path in MODULES.items()}
    return [(module, *found) for module, code in read.items() for found in imports_of(code)]


def test_the_drawing_shows_the_floors():
    """doc/_static/house.svg is what doc/draw_house.py draws, and stands as the modules do."""
    folder = Path(__file__).parents[1] / "doc"
    script = runpy.run_path(str(folder / "draw_house.py"))
    drawn = [package for floor, _ in script["FLOORS"] for package in floor]
    assert drawn == [floor for floor in FLOORS if floor not in ("", "__main__")]
    assert script["drawing"]() == (folder / "_static" / "house.svg").read_text("utf-8")


def package_of(module: str) -> str:
    return module.removeprefix(PACKAGE.name).removeprefix(".").split(".")[0]


def floor_of(module: str) -> int:
    package = package_of(module)
    if package.startswith("_") and package not in FLOORS:
        return -1
    assert package in FLOORS, f"{package} has no floor: say in FLOORS, and in the design, where it stands"
    return FLOORS.index(package)


def test_imports_are_seen():
    code = """
    import skhalfway.attacks, numpy
    from skhalfway.halfway import _pairs, crossings
    if TYPE_CHECKING:
        from skhalfway import Constraints
    def later():
        from skhalfway.models._torch import place_of
        import_module("skhalfway.training._callback"), import_module(f"skhalfway.models.{family}")
    """
    assert sorted(imports_of(dedent(code))) == [
        ("skhalfway", False),
        ("skhalfway.attacks", True),
        ("skhalfway.halfway", True),
        ("skhalfway.halfway._pairs", True),
        ("skhalfway.models", False),
        ("skhalfway.models._torch", True),
        ("skhalfway.training._callback", True),
    ]


def test_imports_point_downwards():
    """Those inside functions and those for type checkers too."""
    floors = {module: floor_of(module) for module in MODULES}
    imports = all_imports()
    upwards = [f"{module} imports {name}" for module, name, _ in imports if floor_of(name) > floors[module]]
    assert not upwards
    across = [f"{module} imports {name}" for module, name, _ in imports if _across(module, name)]
    assert not across


def _across(*modules: str) -> bool:
    return {package_of(module) for module in modules} == APART


def test_imports_run_in_no_circle():
    """Those inside functions too; a circle for type checkers alone is none."""
    made = {(module, name) for module, name, may_close in all_imports() if may_close and name != module}
    known = {(f"{PACKAGE.name}.{module}", f"{PACKAGE.name}.{name}") for module, name in KNOWN_CIRCLES}
    graph: dict[str, set[str]] = {module: set() for module in MODULES}
    for module, name in made - known:
        graph[module].add(name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports run in a circle: {' is imported by '.join(error.args[1])}")
    gone = [pair for pair in sorted(known) if pair not in made or pair[0] not in _reached(graph, pair[1])]
    assert not gone, "no circle any more: strike these from KNOWN_CIRCLES"


def _reached(graph: dict[str, set[str]], begin: str) -> set[str]:
    """What a module imports, and what that imports, and so on."""
    found, left = set(), [begin]
    while left:
        module = left.pop()
        if module not in found:
            found.add(module)
            left += graph.get(module, ())
    return found


def test_no_module_is_long():
    lines = {module: len(path.read_text("utf-8").splitlines()) for module, path in MODULES.items()}
    long = {module.removeprefix("skhalfway.") for module, n in lines.items() if n > MOST_LINES}
    assert not long - KNOWN_LONG, f"more than {MOST_LINES} lines: split them along an idea"
    assert not KNOWN_LONG - long, "not long any more: strike these from KNOWN_LONG"
