"""The common part of Ray's scripts: the node, which starts with the first row that needs one."""

from __future__ import annotations

from collections.abc import Sequence

import ray
from report import Row, arguments, chosen, measure

CPU_COUNT = 2
STORE_BYTES = 4 << 30


def start() -> None:
    ray.init(
        num_cpus=CPU_COUNT,
        include_dashboard=False,
        object_store_memory=STORE_BYTES,
        logging_level="ERROR",
        log_to_driver=False,
    )


def run(description: str, first: Row, rows: Sequence[Row]) -> None:
    """Measure the rows that the command line asks for; `first` comes before this process has a node of its own."""
    options = arguments(description)
    measure(chosen([first, *map(_with_node, rows)], options), f"ray {ray.__version__}", options)
    ray.shutdown()


def _with_node(row: Row) -> Row:
    def measured(rounds_count: int, count: int) -> list[float]:
        if not ray.is_initialized():
            start()
        return row.measure(rounds_count, count)

    return Row(row.name, row.unit, measured, row.full, row.quick)
