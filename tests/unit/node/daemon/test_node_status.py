"""What a node says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt.actors.authority.record import Record
from actorrt.config import VERSION
from actorrt.ids import IdSource, PeerAddress, short
from actorrt.node.daemon.node_status import NodeStatus
from actorrt.node.placement.job_table import JobTable
from actorrt.node.placement.jobs import Worker, WorkerKind
from actorrt.node.placement.resources import Resources
from tests.unit.records import order_of

IDS = IdSource()


class Things:
    """Workers or actors that are there."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def all(self) -> list[Any]:
        return self.items

    records = all


def test_page_has_totals_and_rows_and_leaves_out_jobs_of_which_detached_actors_are_left() -> None:
    jobs, workers, registry, resources = JobTable(), Things(), Things(), Resources(4, 1, may_exceed=False)
    job = jobs.begin(IDS.job(), PeerAddress(IDS.peer(), "memory://driver"), {})
    jobs.begin(IDS.job(), PeerAddress(IDS.peer(), "memory://gone"), {}).is_left_behind = True
    worker = Worker(PeerAddress(IDS.peer(), "memory://worker"), WorkerKind.SHARED, job, "shared-1", {})
    workers.items = [worker]
    order = order_of(None, job=job.job_id)
    order.options = order.options.replaced({"cpus": 2})
    registry.items = [Record(IDS.actor(), order) for _ in range(2)]
    resources.reserve(registry.items[0].actor_id, "one", order.options)
    status = NodeStatus("memory://node", jobs, workers, registry, resources)  # type: ignore[arg-type]

    page = status.page(None, 2)
    assert {name: page[name] for name in page if name not in ("workers", "actors", "next")} == {
        "version": VERSION,
        "address": "memory://node",
        "jobs": [{"job": short(job.job_id), "driver": "memory://driver"}],
        "totals": {"jobs": 1, "workers": 1, "actors": 2},
        "cpus": 4,
        "reserved_cpus": 2,
        "gpus": 1,
        "reserved_gpus": 0.0,
    }
    assert [row["label"] for row in page["workers"]] == ["shared-1"]
    assert [row["actor"] for row in page["actors"]] == [short(registry.items[0].actor_id)]
    following = status.page(page["next"], 2)
    assert ([row["actor"] for row in following["actors"]], following["workers"], following["next"]) == (
        [short(registry.items[1].actor_id)],
        [],
        None,
    )


def test_page_that_there_can_not_be_is_refused() -> None:
    status = NodeStatus("memory://node", JobTable(), Things(), Things(), Resources(1, 0, may_exceed=False))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="count=0: give 1 to"):
        status.page(None, 0)
    with pytest.raises(TypeError, match="give what the page before has as 'next'"):
        status.page("next", 1)
