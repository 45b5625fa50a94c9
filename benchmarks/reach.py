"""Which tests reach which function: a plugin of pytest that records it, and runs the tests asked for."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest
from coverage import Coverage, CoverageData


def file_of(name: str) -> str:
    return name.partition("::")[0]


class Recorder:
    """Notes which tests reach which lines; what fixtures and teardowns reach counts for the whole file."""

    def __init__(self, path: str) -> None:
        self.path, self.seconds = path, defaultdict[str, float](float)
        self.coverage = Coverage(data_file=path, source=["skhalfway"], config_file=False)
        self.coverage.set_option("run:relative_files", True)
        self.coverage.start()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(file_of(item.nodeid))
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        yield
        self.coverage.switch_context(file_of(item.nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        self.coverage.stop()
        self.coverage.save()
        Path(f"{self.path}.json").write_text(json.dumps(self.seconds))


class Selection:
    """Runs the tests of a list, file by file in its order."""

    def __init__(self, path: str) -> None:
        names = json.loads(Path(path).read_text())
        self.names, self.files = set(names), {file_of(name): None for name in names}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        place = {file: k for k, file in enumerate(self.files)}
        kept = [item for item in items if item.nodeid in self.names]
        items[:] = sorted(kept, key=lambda item: place[file_of(item.nodeid)])


def pytest_configure(config: pytest.Config) -> None:
    for plugin, variable in ((Recorder, "MUTANTS_RECORD"), (Selection, "MUTANTS_SELECT")):
        if variable in os.environ:
            config.pluginmanager.register(plugin(os.environ[variable]))


class Reach:
    """What some recorded runs reached, one of each test file.

    Attributes
    ----------
    seconds : dict of float
        How long each test takes, by its name.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.seconds: dict[str, float] = {}
        self._data = []
        for path in paths:
            self.seconds |= json.loads(Path(f"{path}.json").read_text())
            self._data.append(CoverageData(str(path)))
            self._data[-1].read()
        self._module = cache(self._reached)

    def _reached(self, module: str) -> dict[int, set[str]]:
        contexts = defaultdict[int, set[str]](set)
        for data in self._data:
            for line, names in data.contexts_by_lineno(f"skhalfway/{module}.py").items():
                contexts[line].update(names)
        return contexts

    def tests(self, module: str, lines: tuple[int, int] | None) -> list[str]:
        """Names of those that reach some lines of a module, or any; those of the fastest file first."""
        begin, end = lines or (0, float("inf"))
        contexts = self._module(module)
        reached = {name for line, names in contexts.items() if begin <= line <= end for name in names}
        chosen = defaultdict[str, list[str]](list)
        for name in self.seconds:
            file = file_of(name)
            if name in reached or file in reached:
                chosen[file].append(name)
        files = sorted(chosen.values(), key=lambda names: sum(self.seconds[name] for name in names))
        return [name for names in files for name in names]
