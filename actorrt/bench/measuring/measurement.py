"""Pure: rows of the benchmark, their samples, and the statistics of samples.

A row's function returns one sample for each round. If a figure means little alone, each round also measures a
*reference* (bare ZeroMQ, a warm memcpy), so that noise of the machine affects both. Then the ratio counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from actorrt.errors import ActorRtError


class UnavailableError(ActorRtError):
    """A row can't be measured here; the message says what is missing."""


@dataclass(frozen=True)
class Effort:
    """The size of a measurement: the numbers of processes, of rounds in each, and of operations in each round.

    Rows that measure microseconds need several processes: the memory layout of a process changes all of its figures by
    up to a third.
    """

    rounds_count: int
    operations_count: int = 1
    processes_count: int = 1


@dataclass(frozen=True)
class Samples:
    """The samples of one row.

    Attributes:
        values: one for each round, in the row's unit.
        references: one for each round, in the same unit; empty if the row has no reference.
        notes: values that are needed to repeat the measurement, such as random seeds.
    """

    values: Sequence[float]
    references: Sequence[float] = ()
    notes: Sequence[str] = ()

    @property
    def ratio(self) -> float | None:
        """The ratio of the medians; None if there is no reference."""
        if not self.references:
            return None
        return statistics.median(self.values) / statistics.median(self.references)


def pool(parts: Sequence[Samples]) -> Samples:
    """Return the samples of several processes as one."""
    return Samples(
        [value for part in parts for value in part.values],
        [reference for part in parts for reference in part.references],
        [note for part in parts for note in part.notes],
    )


@dataclass(frozen=True)
class Target:
    """The bound that the design sets on a row's median, or on its ratio to the reference."""

    bound: float
    is_least: bool = False
    is_ratio: bool = False

    def is_met(self, samples: Samples) -> bool:
        """Whether the samples meet the bound."""
        figure = samples.ratio if self.is_ratio else statistics.median(samples.values)
        assert figure is not None
        return figure >= self.bound if self.is_least else figure <= self.bound


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: its name for `--row`.
        title: the measured quantity, in words.
        unit: the unit of its samples.
        measure: the function that measures; it runs in a process of its own.
        full, quick: the efforts to choose from.
        target: the bound that the design sets, if this table can check it.
        reference: the name of its reference; empty if it has none.
        timeout_s: the timeout of each process.
    """

    name: str
    title: str
    unit: str
    measure: Callable[[Effort], Samples]
    full: Effort
    quick: Effort
    target: Target | None = None
    reference: str = ""
    timeout_s: float = 120.0


@dataclass(frozen=True)
class RowOutcome:
    """The result of a row: samples, or the reason why there are none."""

    row: Row
    samples: Samples | None = None
    failure: str = ""
    is_skipped: bool = False

    @property
    def has_failed(self) -> bool:
        return self.samples is None and not self.is_skipped


@dataclass(frozen=True)
class Summary:
    """The median and the spread of some samples."""

    median: float
    p10: float
    p90: float
    p99: float
    count: int = field(default=0)


def summarise(values: Sequence[float]) -> Summary:
    """Return the median and percentiles (nearest rank) of at least one value."""
    ordered = sorted(values)
    return Summary(statistics.median(ordered), _at(ordered, 0.1), _at(ordered, 0.9), _at(ordered, 0.99), len(ordered))


def _at(ordered: Sequence[float], quantile: float) -> float:
    return ordered[round(quantile * (len(ordered) - 1))]


def to_data(outcome: RowOutcome) -> dict[str, Any]:
    """Return an outcome as the JSON file holds it."""
    row, samples, target = outcome.row, outcome.samples, outcome.row.target
    data: dict[str, Any] = {"name": row.name, "title": row.title, "unit": row.unit}
    if samples is None:
        return data | {"status": "skipped" if outcome.is_skipped else "failed", "reason": outcome.failure}
    summary = summarise(samples.values)
    data |= {"status": "measured", "median": summary.median, "p10": summary.p10, "p90": summary.p90}
    data |= {"p99": summary.p99, "count": summary.count}
    data |= {"samples": list(samples.values), "notes": list(samples.notes)}
    if samples.references:
        data |= {"reference": row.reference, "references": list(samples.references), "ratio": samples.ratio}
    if target is not None:
        bound = {"bound": target.bound, "is_least": target.is_least, "is_ratio": target.is_ratio}
        data |= {"target": bound, "is_met": target.is_met(samples)}
    return data
