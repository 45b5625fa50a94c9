"""Scripts that people read, run from top to bottom in a process of their own, with warnings as errors."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch


def in_own_process(task: Callable[..., None], *args: Any, folder: Path, seconds: float = 300) -> list[str]:
    """Do it, with figures that nobody sees, on one thread; return the lines that it printed."""
    said = folder / "said"
    run = get_context("forkserver").Process(target=_do, args=(task, args, said))
    run.start()
    run.join(seconds)
    if run.is_alive():
        run.kill()
        run.join()
    printed = said.read_text("utf-8")
    assert run.exitcode == 0, printed
    return printed.splitlines()


def _do(task: Callable[..., None], args: tuple[Any, ...], said: Path) -> None:
    torch.set_num_threads(1)
    plt.switch_backend("agg")
    warnings.simplefilter("error")
    with said.open("w", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        try:
            task(*args)
        except BaseException:
            traceback.print_exc(file=file)
            raise
