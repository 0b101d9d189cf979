"""The common part of the peers' scripts: arguments, samples, a table, and the JSON that `compare` reads.

It uses the standard library only, since it runs in each peer's own environment. Rows have the names of `actorrt bench`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

JSON_SCHEMA = 1


@dataclass(frozen=True)
class Row:
    """One row: its name in `actorrt bench`, its unit, and the function that measures it.

    `measure` is called with the number of rounds and of operations in each round, and returns a sample for each round.
    """

    name: str
    unit: str
    measure: Callable[[int, int], list[float]]
    full: tuple[int, int]
    quick: tuple[int, int]


def arguments(description: str) -> argparse.Namespace:
    """Return the arguments that every peer's script takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--row", action="append", default=[], metavar="NAME", help="measure this row only; repeatable")
    parser.add_argument("--list", action="store_true", help="list the rows and measure nothing")
    parser.add_argument(
        "--quick", action="store_true", help="few rounds, to test that rows work; the figures mean little"
    )
    parser.add_argument("--json", metavar="FILE", help="write the samples to FILE too")
    return parser.parse_args()


def chosen(rows: Sequence[Row], options: argparse.Namespace) -> list[Row]:
    """Return the requested rows; with `--list`, print the names and exit."""
    if options.list:
        print("\n".join(row.name for row in rows))
        sys.exit(0)
    unknown = set(options.row) - {row.name for row in rows}
    if unknown:
        sys.exit(f"there is no row {min(unknown)!r}; there are: {', '.join(row.name for row in rows)}")
    return [row for row in rows if not options.row or row.name in options.row]


def measure(rows: Sequence[Row], peer: str, options: argparse.Namespace) -> None:
    """Measure the rows, print each row when it is measured, and write the JSON."""
    data = []
    for row in rows:
        samples = sorted(row.measure(*(row.quick if options.quick else row.full)))
        last = len(samples) - 1
        summary = {
            "median": statistics.median(samples),
            "p10": samples[round(0.1 * last)],
            "p90": samples[round(0.9 * last)],
        }
        spread = f"{summary['p10']:,.4g} .. {summary['p90']:,.4g}"
        print(f"{row.name:22}{summary['median']:>14,.4g} {row.unit:6} {spread:>24}  n={len(samples)}", flush=True)
        data.append({"name": row.name, "unit": row.unit, "status": "measured", **summary, "samples": samples})
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            effort = "quick" if options.quick else "full"
            json.dump({"schema": JSON_SCHEMA, "peer": peer, "effort": effort, "rows": data}, file, indent=1)


def timed(action: Callable[[], object]) -> float:
    """Return how many seconds `action` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def rate(action: Callable[[], object], count: int) -> float:
    """Return how many times a second `action` is done."""
    start = time.perf_counter()
    for _ in range(count):
        action()
    return count / (time.perf_counter() - start)


def rounds(count: int, sample: Callable[[], float]) -> list[float]:
    """Return a sample for each round, after one warm-up."""
    sample()
    return [sample() for _ in range(count)]


async def rounds_async(count: int, sample: Callable[[], Awaitable[float]]) -> list[float]:
    """Return a sample for each round, after one warm-up."""
    await sample()
    return [await sample() for _ in range(count)]


async def p50_async(action: Callable[[], Awaitable[object]], count: int, scale: float) -> float:
    """Return the median time of `count` repetitions, in seconds times `scale`."""
    took = []
    for _ in range(count):
        start = time.perf_counter()
        await action()
        took.append(time.perf_counter() - start)
    return statistics.median(took) * scale


def p50(action: Callable[[], object], count: int, scale: float) -> float:
    """Return the median time of `count` repetitions, in seconds times `scale`."""
    return statistics.median(timed(action) for _ in range(count)) * scale
