#!/usr/bin/env python3
"""Runs actorrt and a peer in turn, row by row, and prints the ratios of their medians as a Markdown table.

    python scripts/bench/compare.py ray_core ~/peers/ray/bin/python [--turns 3] [--row ask] [--quick] [--json FILE]

Machines are noisy, and a slow minute must affect both sides. So each turn of a row measures actorrt and then the peer.
The table shows the median of the turns' medians, and their minimum and maximum.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent / "peers"


class FailedError(Exception):
    """A row could not be measured."""


def main() -> int:
    options = arguments()
    script = PEERS / f"{options.peer}.py"
    theirs = [options.python, str(script)]
    ours = [sys.executable, "-m", "actorrt.cli", "bench"]
    names = options.row or subprocess.check_output([*theirs, "--list"], text=True).split()
    rows = []
    print(f"| row | actorrt | {options.peer} | times better |\n|---|---|---|---|", flush=True)
    for name in names:
        try:
            row = compare(name, ours, theirs, options)
        except FailedError as error:
            print(f"| {name} | {error} | | |", flush=True)
            continue
        rows.append(row)
        print(line(row), flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps({"peer": options.peer, "rows": rows}, indent=1), encoding="utf-8")
    return 0 if len(rows) == len(names) else 1


def arguments() -> argparse.Namespace:
    peers = sorted(path.stem for path in PEERS.glob("*.py") if path.stem not in ("report", "ray_node", "task_bodies"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=peers)
    parser.add_argument("python", help="the Python of the peer's environment")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--row", action="append", default=[], help="compare this row only; repeatable")
    parser.add_argument(
        "--quick", action="store_true", help="few rounds, to test that rows work; the figures mean little"
    )
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


def compare(name: str, ours: list[str], theirs: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Measure one row in turns."""
    flags = ["--quick"] if options.quick else []
    medians: dict[str, list[float]] = {"ours": [], "theirs": []}
    unit = ""
    for _ in range(options.turns):
        for side, command in (("ours", ours), ("theirs", theirs)):
            data = measured([*command, "--row", name, *flags], side)
            unit = data["unit"]
            medians[side].append(data["median"])
    our_median, their_median = statistics.median(medians["ours"]), statistics.median(medians["theirs"])
    is_more_better = unit.endswith("/s") or unit == "return"
    times_better = our_median / their_median if is_more_better else their_median / our_median
    return {"name": name, "unit": unit, "medians": medians, "times_better": times_better}


def measured(command: list[str], side: str) -> dict[str, Any]:
    """Run one side's command for one row and return the row."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        result = subprocess.run([*command, "--json", file.name], capture_output=True, text=True, check=False)
        written = Path(file.name).read_text(encoding="utf-8")
    if not written:
        last_line = (result.stderr.strip().splitlines() or ["it printed no error"])[-1]
        raise FailedError(f"{side} ended with {result.returncode}: {last_line}")
    row: dict[str, Any] = json.loads(written)["rows"][0]
    if row["status"] != "measured":
        raise FailedError(f"{side}: {row['reason']}")
    return row


def line(row: dict[str, Any]) -> str:
    """Return a row of the Markdown table."""
    sides = [
        f"{figure(statistics.median(values))} {row['unit']} ({figure(min(values))} to {figure(max(values))})"
        for values in row["medians"].values()
    ]
    return f"| {row['name']} | {sides[0]} | {sides[1]} | {figure(row['times_better'])} |"


def figure(value: float) -> str:
    """Return a number with three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
