"""Runs each row in processes of its own, so that the memory or the failure of a row affects no other row.

The child, `python -m actorrt.bench.runner ROW full|quick`, prints its samples as the last line of its output.
"""

from __future__ import annotations

import compileall
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import actorrt
from actorrt.bench.measuring.measurement import Row, RowOutcome, Samples, UnavailableError, pool
from actorrt.bench.rows.catalogue import find_row

_END_TIMEOUT_S: Final = 10.0


def compile_package() -> bool:
    """Compile the package. An editable installation does not do so, and then every process would compile it again.

    Returns:
        Whether all modules are compiled now; False in a read-only folder.
    """
    return bool(compileall.compile_dir(Path(actorrt.__file__).parent, quiet=2))


def run_row(row: Row, *, is_quick: bool) -> RowOutcome:
    """Measure a row in processes of its own. An error in a process becomes the failure of the outcome."""
    effort = row.quick if is_quick else row.full
    parts = []
    for _ in range(effort.processes_count):
        outcome = _run_once(row, "quick" if is_quick else "full")
        if outcome.samples is None:
            return outcome
        parts.append(outcome.samples)
    return RowOutcome(row, pool(parts))


def _run_once(row: Row, effort_name: str) -> RowOutcome:
    command = [sys.executable, "-m", "actorrt.bench.runner", row.name, effort_name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            output, complaints = process.communicate(timeout=row.timeout_s)
        except subprocess.TimeoutExpired:
            _end(process)
            return RowOutcome(row, failure=f"not done within {row.timeout_s:g} s")
        except BaseException:
            _end(process)
            raise
    return _read(row, process.returncode, output, complaints)


def _end(process: subprocess.Popen[str]) -> None:
    """End the child, first by SIGTERM, so that its node can end with it."""
    process.terminate()
    try:
        process.communicate(timeout=_END_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


def _read(row: Row, status: int, output: str, complaints: str) -> RowOutcome:
    lines = output.strip().splitlines()
    if status != 0 or not lines:
        last_line = (complaints.strip().splitlines() or ["it printed no error"])[-1]
        return RowOutcome(row, failure=f"ended with {status}: {last_line}")
    data = json.loads(lines[-1])
    if "unavailable" in data:
        return RowOutcome(row, failure=data["unavailable"], is_skipped=True)
    return RowOutcome(row, Samples(**data))


def measure(row: Row, effort_name: str, write: Callable[[str], object]) -> None:
    """Measure a row in this process and write its samples as one line."""
    try:
        samples = row.measure(row.quick if effort_name == "quick" else row.full)
    except UnavailableError as error:
        write(json.dumps({"unavailable": str(error)}) + "\n")
        return
    data = {"values": list(samples.values), "references": list(samples.references), "notes": list(samples.notes)}
    write(json.dumps(data) + "\n")


if __name__ == "__main__":
    measure(find_row(sys.argv[1]), sys.argv[2], sys.stdout.write)
