"""The audit of files: read, measure, write reports, check limits; an interrupted one is written too."""

from __future__ import annotations

import warnings
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skhalfway._text import brief
from skhalfway.attacks import AdversarialGenerator
from skhalfway.attacks._parameters import check_parameters
from skhalfway.cli._columns import read_reference
from skhalfway.cli._command import command_of
from skhalfway.cli._inputs import read_limits_of_samples, read_models, read_samples
from skhalfway.cli._junit import write_junit
from skhalfway.cli._limits import Outcome, judged
from skhalfway.cli._parser import ABOVE, INTERRUPTED, PASSED
from skhalfway.cli._stopping import how_it_ended, interrupted_by_sigterm, undisturbed_by_sigterm
from skhalfway.report import audit
from skhalfway.report._protocol import ROW_NUMBERS

if TYPE_CHECKING:
    from skhalfway.files import Data
    from skhalfway.report import AuditReport


def audit_files(options: Namespace) -> int:
    """Run the audit that the options describe; return the exit status."""
    said: list[str] = []
    with interrupted_by_sigterm():
        try:
            report = _measured(options, said)
        except KeyboardInterrupt as interrupt:
            with undisturbed_by_sigterm():
                ended = how_it_ended(interrupt)
                return _interrupted(options, getattr(interrupt, "partial", None), said, ended)
        report = _completed(report, options, said)
        outcomes = judged(report, options.fail_above, accept_doubts=options.accept_doubts)
        with undisturbed_by_sigterm():
            written = _write(report, options, outcomes)
    _print(report, options, outcomes, written)
    if failed := [outcome.said for outcome in outcomes if not outcome.passed]:
        return int(options.parser.tell(f"failed: {'; '.join(failed)}", ABOVE))
    return PASSED


def _measured(options: Namespace, said: list[str]) -> AuditReport:
    """Read all inputs, then measure. Warnings go into ``said``."""
    with warnings.catch_warnings(record=True) as log:
        warnings.simplefilter("always")
        try:
            models, data, notes = read_models(options, read_samples(options))
            said += notes
            generator = _generator(options, data)
            reference = read_reference(options, data, models)
            return audit(
                models,
                data.X,
                data.y,
                deployed=options.deployed,
                surrogates=None if options.no_surrogates else "auto",
                surrogate_share=options.surrogate_share,
                generator=generator,
                eps=options.eps,
                reference=reference,
                n_samples=options.samples,
                parts={"all": "all", "none": ()}.get(options.parts[0], options.parts),
                memory=options.memory,
                timeout=options.timeout,
                n_jobs=options.jobs,
                random_state=options.seed,
                verbose=int(not options.quiet),
            )
        finally:
            said += dict.fromkeys(brief(one.message, 400) for one in log)


def _generator(options: Namespace, data: Data) -> AdversarialGenerator:
    bounds = options.clip_values
    clip: Any = {"range": "range", "none": None}[bounds[0]] if len(bounds) == 1 else tuple(map(float, bounds))
    generator = AdversarialGenerator(
        attack=options.attack,
        eps=options.eps[-1],
        eps_unit=options.eps_unit or ("std" if data.image_shape is None else "input"),
        norm=np.inf if options.norm == "inf" else int(options.norm),
        clip_values=clip,
        constraints=read_limits_of_samples(options, data),
    )
    check_parameters(generator)
    return generator


def _completed(report: AuditReport, options: Namespace, said: Sequence[str]) -> AuditReport:
    """The report with its command, and with the warnings of reading the files."""
    every = tuple(dict.fromkeys([*said, *report.warnings]))
    protocol = dict(report.protocol)
    if protocol["names of samples"].startswith(ROW_NUMBERS):
        protocol["names of samples"] = _numbers_in(options.data)
    return replace(report, command=command_of(options, "audit"), warnings=every, protocol=protocol)


def _numbers_in(place: Path) -> str:
    """What the numbers of samples are in a file of data, or in a folder of images."""
    if place.is_dir():
        return (
            f"numbers in the folder {place.name}, whose images are sorted by the names of folders and files, "
            "counted from 0"
        )
    first = "first row" if place.suffix.lower() == ".npz" else "first row below the names of the columns"
    return f"{ROW_NUMBERS} in {place.name}, counted from 0: sample 0 is the {first}"


def _write(report: AuditReport, options: Namespace, outcomes: Sequence[Outcome]) -> list[Path]:
    """Write the requested reports, each completely or not at all; return their paths."""
    writers: dict[str, Callable[[Path], Any]] = {
        "out": lambda path: report.to_html(path),
        "json": lambda path: report.save(path),
        "markdown": lambda path: report.to_markdown(path),
        "junit": lambda path: write_junit(report, outcomes, options.fail_above, path),
    }
    written = []
    for name, write in writers.items():
        path = getattr(options, name)
        if path is not None:
            write(path)
            written.append(path)
    return written


def _print(
    report: AuditReport,
    options: Namespace,
    outcomes: Sequence[Outcome],
    written: Sequence[Path],
    ended: str = "interrupted",
) -> None:
    """Print the verdict, the limits and the paths of the reports; no limit passes where figures lack."""
    if options.quiet:
        return
    partial = f" (partial: the run was {ended})" if report.partial else ""
    print(f"{report.deployed}: {report.verdict.headline}{partial}")
    for sentence in report.verdict.sentences:
        print(f"  {sentence}")
    for outcome in outcomes:
        if outcome.passed and report.partial:
            print(f"not known  {outcome.said} so far, but the run is not complete")
        else:
            print(f"{'passed' if outcome.passed else 'FAILED'}  {outcome.said}")
    for path in written:
        print(f"report: {path}")


def _interrupted(options: Namespace, report: AuditReport | None, said: Sequence[str], ended: str) -> int:
    """Write the partial report, and tell how to resume."""
    if report is None:
        done = f"{ended} before any sample was attacked, so no report was written"
    else:
        report = _completed(report, options, said)
        outcomes = judged(report, options.fail_above, accept_doubts=options.accept_doubts)
        written = _write(report, options, outcomes)
        _print(report, options, outcomes, written, ended)
        done = f"{ended}; the reports are marked partial and hold what was measured so far"
    if options.memory is None:
        goes_on = "with --memory DIR, an interrupted run can be resumed"
    else:
        goes_on = f"run the same command again, with --memory {options.memory}, to resume"
    return int(options.parser.tell(f"{done}; {goes_on}", INTERRUPTED))
