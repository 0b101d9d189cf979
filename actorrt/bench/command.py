"""`actorrt bench`: measures the requested rows, and prints them beside their targets."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any, Final, TextIO

from actorrt.bench.measuring.machine import describe_machine
from actorrt.bench.measuring.measurement import Row, RowOutcome, summarise, to_data
from actorrt.bench.measuring.table import describe, figure, render
from actorrt.bench.rows.catalogue import GROUPS, ROWS, find_row
from actorrt.bench.runner import compile_package, run_row

JSON_SCHEMA: Final = 1
EXIT_FAILURE, EXIT_USAGE = 1, 2
_BUSY_LOAD: Final = 0.5  # caused by other processes, in runnable tasks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `actorrt bench`."""
    parser.add_argument("group", nargs="?", choices=GROUPS, help="measure these rows only (default: all)")
    parser.add_argument("--row", action="append", default=[], metavar="NAME", help="measure this row only; repeatable")
    parser.add_argument("--list", action="store_true", help="list the rows and their targets, and measure nothing")
    parser.add_argument(
        "--quick", action="store_true", help="few rounds, to test that rows work; the figures mean little"
    )
    parser.add_argument("--json", metavar="FILE", help="also write the machine, samples and targets to FILE")


def run(arguments: argparse.Namespace) -> int:
    """Measure the requested rows, and return the exit status.

    Returns:
        0 if every row was measured or skipped, even if a target was missed; 1 if a row failed; 2, before anything is
        measured, if a row does not exist or the file can't be written.
    """
    try:
        rows = [find_row(name) for name in arguments.row] or list(GROUPS.get(arguments.group, ROWS))
        if arguments.list:
            sys.stdout.write(_listing(rows))
            return 0
        file = None if arguments.json is None else _open(arguments.json)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"actorrt bench: {error}\n")
        return EXIT_USAGE
    if not compile_package():
        sys.stderr.write(
            "actorrt's folder can't be written to, so each process of a row compiles actorrt again, which takes time\n"
        )
    machine = describe_machine()
    outcomes = _measure(rows, machine, sys.stderr, is_quick=arguments.quick)
    sys.stdout.write(f"{render(outcomes)}\n")
    if file is not None:
        with file:
            json.dump(_data(machine, outcomes, is_quick=arguments.quick), file, indent=1)
    return EXIT_FAILURE if any(outcome.has_failed for outcome in outcomes) else 0


def _open(path: str) -> TextIO:
    return Path(path).open("w", encoding="utf-8")


def _listing(rows: list[Row]) -> str:
    names, titles = (max(map(len, column)) + 2 for column in zip(*((row.name, row.title) for row in rows), strict=True))
    lines = []
    for row in rows:
        target = "" if row.target is None else describe(row.target, row.unit)
        lines.append(f"{row.name:{names}}{row.title:{titles}}{target}".rstrip())
    return "\n".join(lines) + "\n"


def _measure(rows: list[Row], machine: dict[str, Any], progress: TextIO, *, is_quick: bool) -> list[RowOutcome]:
    if machine["load"] > _BUSY_LOAD:
        progress.write(
            f"this machine is busy (load {machine['load']:.1f}): the figures will be worse than without load\n"
        )
    outcomes = []
    for number, row in enumerate(rows, 1):
        progress.write(f"{number:3}/{len(rows)} {row.name:22}")
        progress.flush()
        start = time.monotonic()
        outcome = run_row(row, is_quick=is_quick)
        progress.write(f"{_short(outcome):>24}   {time.monotonic() - start:5.1f} s\n")
        outcomes.append(outcome)
    return outcomes


def _short(outcome: RowOutcome) -> str:
    if outcome.samples is None:
        return "skipped" if outcome.is_skipped else "FAILED"
    return f"{figure(summarise(outcome.samples.values).median)} {outcome.row.unit}"


def _data(machine: dict[str, Any], outcomes: list[RowOutcome], *, is_quick: bool) -> dict[str, Any]:
    return {
        "schema": JSON_SCHEMA,
        "effort": "quick" if is_quick else "full",
        "machine": machine,
        "rows": [to_data(outcome) for outcome in outcomes],
    }
