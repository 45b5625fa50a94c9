"""Whether the tests notice a small change of the code: random mutants of the core modules.

A mutant is the code with one small change: another operator, number, name, branch or default, or a call left
out. Each is run against the tests that reach the function it changes, those of the fastest file first; a
test that fails, or does not end, kills it. Changes that no figure depends on are not drawn: annotations,
docstrings, messages. Of all mutants of the core modules each is as likely as any other, so a module counts
by its length. Mutants that only crash, such as an argument replaced by None, say little about tests and are
not made.

    tox run -e mutants -- --number 40 --seed 3 --modules attacks/_region transfer/ --tests tests/attacks

draws from some modules, may ask some tests only, and writes no page. Verdicts are kept in
benchmarks/.cache/mutants/, and a run goes on where it was interrupted: after a change of the tests only what
lived is tried again, after a change of the code everything is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import queue
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import reach
import tomllib
from mutations import Mutant, draw

ROOT = Path(__file__).resolve().parents[1]
PACKAGE, BENCHMARKS = ROOT / "skhalfway", ROOT / "benchmarks"
CACHE = BENCHMARKS / ".cache" / "mutants"
CORE = ["_[a-z]*.py", "models/_*.py", "attacks/_*.py", "transfer/_*.py"]
CORE += [f"boundaries/_{name}.py" for name in ("nearest", "paths")]
CORE += [f"halfway/_{name}.py" for name in ("crossings", "measurement", "pairs", "prediction", "regression")]
FOLDERS = ("models", "attacks", "transfer", "boundaries", "manifold", "halfway", "training")
TESTS = [f"tests/{folder}/test_*.py" for folder in FOLDERS]
TESTS += ["tests/test_*.py", *(f"skhalfway/{folder}" for folder in FOLDERS)]  # doctests last
OTHER_TESTS = ("test_benchmarks.py", "test_course.py", "test_datasets.py", "test_examples.py")
MEMORY = 8 * 2**30  # of one process: a mutant may fill all there is
START = 120  # seconds that importing and collecting may take on a busy machine
LONGEST = 60  # seconds of one test, which take 5 at most; one that does not end kills a mutant

Verdict = dict[str, Any]
# processes begin with what is slow to import, and is no plugin of pytest
FORKS = multiprocessing.get_context("forkserver")
SLOW = ["art.attacks.evasion", "art.estimators.classification", "matplotlib.pyplot", "pandas"]
SLOW += ["sklearn.ensemble", "sklearn.neural_network", "sklearn.svm", "skorch", "torch"]
FORKS.set_forkserver_preload(["__main__", *SLOW])


# ---- running tests in copies of the tree


@contextmanager
def copies(number: int) -> Iterator[queue.Queue[Path]]:
    """Copies of the tree, to be taken and put back."""
    skip = shutil.ignore_patterns("__pycache__", "_build", "generated")
    trees: queue.Queue[Path] = queue.Queue()
    with tempfile.TemporaryDirectory() as folder:
        for k in range(number):
            tree = Path(folder) / str(k)
            for name in ("skhalfway", "tests", "doc"):
                shutil.copytree(ROOT / name, tree / name, ignore=skip)
            for name in ("conftest.py", "setup.cfg", "pyproject.toml", "README.md"):
                shutil.copy(ROOT / name, tree)
            trees.put(tree)
        yield trees


def run_pytest(tree: Path, paths: list[str], variables: dict[str, str], output: Path) -> None:
    """Run tests in a copy: the whole life of a process."""
    os.setsid()
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), **variables}
    sys.path.insert(0, str(tree))
    for stream in (1, 2):
        os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
    assert "skhalfway" not in sys.modules
    options = ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-o", f"faulthandler_timeout={LONGEST}"]
    options += ["-o", "faulthandler_exit_on_timeout=true"]
    sys.exit(pytest.main([*options, *paths], plugins=[reach]))


def run_tests(tree: Path, limit: float | None, paths: Iterable[str], **variables: str) -> tuple[int, str]:
    """Exit code of a run of tests in a copy, and its output; -1 where it took longer than the limit."""
    output = tree / "output"
    output.write_text("")
    process = FORKS.Process(target=run_pytest, args=(tree, list(paths), variables, output))
    process.start()
    process.join(limit)
    code = -1 if process.exitcode is None else process.exitcode
    # what the tests started goes with them
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.join()
    return code, output.read_text(errors="replace")


def digest(*paths: Path) -> str:
    files = sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py")))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def record(trees: queue.Queue[Path], jobs: int, only: list[str] | None) -> reach.Reach:
    """Run every test file by itself where it, or the code, has changed since."""
    files = [path.relative_to(ROOT).as_posix() for pattern in TESTS for path in sorted(ROOT.glob(pattern))]
    files = [file for file in files if not file.endswith(OTHER_TESTS)]
    files = [file for file in files if only is None or file.startswith(tuple(only))]
    shared = digest(PACKAGE, *ROOT.rglob("tests/**/conftest.py"))
    folder = CACHE / "reach"
    folder.mkdir(parents=True, exist_ok=True)

    def one(file: str) -> Path:
        name = file.replace("/", ".")
        path = folder / f"{name}-{digest(ROOT / file)}-{shared}"
        if not Path(f"{path}.json").exists():
            for old in folder.glob(f"{name}-*"):
                old.unlink()
            tree = trees.get()
            code, output = run_tests(tree, None, [file], MUTANTS_RECORD=str(path))
            trees.put(tree)
            if code not in (0, pytest.ExitCode.NO_TESTS_COLLECTED):
                Path(f"{path}.json").unlink(missing_ok=True)
                raise SystemExit(f"{file} fails without any mutant:\n{output}")
            print(f"recorded {file}", flush=True)
        return path

    with ThreadPoolExecutor(jobs) as pool:
        return reach.Reach(pool.map(one, files))


# ---- verdicts


def judge(mutant: Mutant, tests: list[str], limit: float, trees: queue.Queue[Path]) -> Verdict:
    """Run the tests on a mutant: who killed it, and how long that took."""
    if not tests:
        return {"verdict": "lived", "by": "no test reaches it", "seconds": 0.0}
    tree, begin = trees.get(), time.perf_counter()
    path, chosen = tree / "skhalfway" / f"{mutant.module}.py", tree / "chosen.json"
    source, stat = path.read_text(), path.stat()
    chosen.write_text(json.dumps(tests))
    try:
        path.write_text(mutant.code)
        # a time of its own, or the compiled code of a mutant of the same length could be taken for this one's
        stamp = int(mutant.key, 16) % 10**9
        os.utime(path, (stamp, stamp))
        code, output = run_tests(
            tree, limit, dict.fromkeys(map(reach.file_of, tests)), MUTANTS_SELECT=str(chosen)
        )
    finally:
        path.write_text(source)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        trees.put(tree)
    seconds = time.perf_counter() - begin
    if code == 0:
        return {"verdict": "lived", "by": f"{len(tests)} tests pass", "seconds": seconds}
    failed = [line for line in output.splitlines() if line.startswith(("FAILED", "ERROR"))]
    timed = code == -1 or "Timeout (" in output
    by = "the time limit" if timed else (failed or output.splitlines() or [f"signal {-code}"])[-1]
    return {"verdict": "killed", "by": by[:200], "seconds": seconds}


def equivalents(mutants: list[Mutant]) -> dict[str, Verdict]:
    """Those that nobody could notice, with the reason, from the table that is kept by hand."""
    path = BENCHMARKS / "mutants_equivalent.toml"
    reasons = {}
    for entry in tomllib.loads(path.read_text())["mutant"]:
        reasons[entry["module"], entry["where"], entry["was"].strip(), entry["now"].strip()] = entry["reason"]
        module = PACKAGE / f"{entry['module']}.py"
        lines = {line.strip() for line in module.read_text().splitlines()} if module.exists() else set()
        if not lines.issuperset(entry["was"].strip().splitlines()):
            print(f"{path.name} is out of date: {module.name} has no line {entry['was'].strip()}")
    places = {m.key: (m.module, m.where, *m.change) for m in mutants}
    return {
        key: {"verdict": "equivalent", "by": reasons[place], "seconds": 0.0}
        for key, place in places.items()
        if place in reasons
    }


def verdicts(mutants: list[Mutant], jobs: int, only: list[str] | None) -> dict[str, Verdict]:
    """Of each mutant by its key: those that are kept, and those that are found now."""
    store = CACHE / "verdicts.json"
    code, tests = digest(PACKAGE), f"{digest(ROOT / 'tests')} {only}"
    known = json.loads(store.read_text()) if store.exists() else {}
    known = {
        key: one
        for key, one in known.items()
        if one["code"] == code and (one["verdict"] == "killed" or one["tests"] == tests)
    }
    found = equivalents(mutants)
    left = [m for m in mutants if m.key not in found and m.key not in known]
    with copies(jobs) as trees, ThreadPoolExecutor(jobs) as pool:
        recorded = record(trees, jobs, only)
        tasks = {}
        for mutant in left:
            chosen = recorded.tests(mutant.module, mutant.lines)
            limit = START + 5 * sum(recorded.seconds[name] for name in chosen)
            tasks[pool.submit(judge, mutant, chosen, limit, trees)] = mutant
        try:
            for done, task in enumerate(as_completed(tasks), start=1):
                mutant, one = tasks[task], task.result()
                known[mutant.key] = {**one, "code": code, "tests": tests}
                part = store.with_suffix(".part")
                part.write_text(json.dumps(known, indent=1))
                part.replace(store)
                print(
                    f"{done}/{len(left)} {mutant.module} {mutant.where}, {one['seconds']:.0f} s:", flush=True
                )
                print(f"    {one['verdict']} ({one['by']})", flush=True)
                if one["verdict"] == "lived":
                    print(mutant.diff, flush=True)
        finally:
            # after an error or an interruption those in flight are the last
            pool.shutdown(cancel_futures=True)
    return {m.key: found.get(m.key) or known[m.key] for m in mutants}


# ---- the page


def page(mutants: list[Mutant], results: dict[str, Verdict], seed: int) -> str:
    """What became of a draw: the score of each module, what lived, what nobody could notice."""
    # it imports the package, which tests must import from a copy
    from run import table

    def row(title: str, some: list[Mutant]) -> dict[str, str]:
        all_of = [results[m.key]["verdict"] for m in some]
        counts = {name: all_of.count(name) for name in ("killed", "equivalent", "lived")}
        timed = sum(results[m.key]["by"] == "the time limit" for m in some)
        possible = counts["killed"] + counts["lived"]
        score = f"{counts['killed'] / possible:.1%}" if possible else ""
        cells = {"drawn": len(some), **counts, "killed by the time limit": timed, "score": score}
        return {"module": title, **{name: str(cell) for name, cell in cells.items()}}

    def listed(verdict: str) -> list[str]:
        lines = []
        for m in mutants:
            if results[m.key]["verdict"] == verdict:
                lines += [f"{m.module}, `{m.where or 'the module itself'}`: {results[m.key]['by']}", ""]
                lines += ["```diff", m.diff.rstrip(), "```", ""]
        return lines or ["None.", ""]

    modules = sorted({m.module for m in mutants})
    rows = [row(name, [m for m in mutants if m.module == name]) for name in modules]
    rows.append(row("all", mutants))
    lines = ["# Tests that notice a weaker attack", ""]
    lines += [f"    tox run -e mutants -- --number {len(mutants)} --seed {seed}", ""]
    lines += (__doc__ or "").splitlines()[2:9]
    lines += ["", f"Score, the share killed of those that can be: {rows[-1]['score']}. Aim: 95 %.", ""]
    lines += [table(rows), "", "## Lived", "", *listed("lived"), "## Equivalent", ""]
    lines += ["Nobody could notice these; the reasons are kept by hand in mutants_equivalent.toml.", ""]
    return "\n".join([*lines, *listed("equivalent")])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--number", type=int, default=200, help="how many mutants (default 200)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default 0)")
    parser.add_argument("--jobs", type=int, default=2, help="processes side by side (default 2)")
    parser.add_argument("--modules", nargs="+", help="only core modules that begin so, and no page")
    parser.add_argument("--tests", nargs="+", help="only test files that begin so, and no page")
    given = parser.parse_args()
    os.environ |= {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"}
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    sources = {}
    for path in sorted({path for pattern in CORE for path in PACKAGE.glob(pattern)}):
        name = path.relative_to(PACKAGE).with_suffix("").as_posix()
        drawing = name.endswith(("__", "_display"))
        if not drawing and (given.modules is None or name.startswith(tuple(given.modules))):
            sources[name] = path.read_text()
    mutants = draw(sources, given.number, given.seed)
    text = page(mutants, verdicts(mutants, given.jobs, given.tests), given.seed)
    if given.modules is None and given.tests is None:
        Path(__file__).with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
