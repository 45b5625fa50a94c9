"""Build both distributions, check them, and test each in an environment of its own.

    tox run -e build [-- --dist FOLDER] [-- --quick]

The source distribution is unpacked, installed, and its own suite is run on it. Then the suite is run on the
wheel: the folder of the package is taken away first, so that only the installed package can be found.
`--quick` collects the tests and runs those of the package alone, to see that nothing is missing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = "boosting,dask,imbalanced,tests"


def run(*command: object, folder: Path, **env: str) -> None:
    print("+", *command, flush=True)
    subprocess.run([str(part) for part in command], cwd=folder, check=True, env=os.environ | env)


def tested(name: str, what: Path, sources: Path, quick: bool) -> None:
    """Install a distribution into a new environment, and run the suite in ``sources`` on it."""
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder) / name
        venv.create(environment, with_pip=True)
        python = environment / ("Scripts" if os.name == "nt" else "bin") / "python"
        constraints = ROOT / "constraints.txt"
        run(python, "-m", "pip", "install", "-q", "-c", constraints, f"{what}[{EXTRAS}]", folder=sources)
        run(
            python,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "-c",
            constraints,
            "torchattacks",
            folder=sources,
        )
        tests = ["tests/test_package.py"] if quick else ["tests", "-n", "auto", "--dist", "worksteal"]
        env = {"OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "PYTHONPATH": ""}
        if quick:
            run(python, "-m", "pytest", "-q", "--collect-only", "tests", folder=sources, **env)
        run(python, "-m", "pytest", "-q", *tests, folder=sources, **env)
        run(python, "-m", "skhalfway", "demo", "--output", "matrix.png", folder=Path(folder), **env)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where both files are written")
    parser.add_argument("--quick", action="store_true", help="collect the suite, and run a part of it")
    options = parser.parse_args()
    shutil.rmtree(options.dist, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", options.dist, ROOT, folder=ROOT)
    (source,), (wheel,) = options.dist.glob("*.tar.gz"), options.dist.glob("*.whl")
    run(sys.executable, "-m", "twine", "check", "--strict", source, wheel, folder=ROOT)
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        (unpacked,) = Path(folder).iterdir()
        tested("source", unpacked, unpacked, options.quick)
        shutil.rmtree(unpacked / "skhalfway")
        tested("wheel", wheel, unpacked, options.quick)
    print(f"both distributions are good: {options.dist}")


if __name__ == "__main__":
    main()
