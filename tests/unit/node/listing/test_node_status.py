"""What a node says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from actorrt.actors.authority.record import ActorRecord
from actorrt.config import VERSION
from actorrt.ids import ActorId, PeerAddress, short
from actorrt.node.listing.node_status import NodeStatus
from actorrt.node.placement.job_table import JobTable
from actorrt.node.placement.jobs import Worker, WorkerKind
from actorrt.node.placement.resources import Resources
from actorrt.protocol.nodes import JobStatus, Totals
from tests.unit.node.fakes import IDS, SETTING
from tests.unit.records import order_of


class Things:
    """Workers or actors that are there."""

    def __init__(self) -> None:
        self.items: list[Any] = []

    def all(self) -> list[Any]:
        return self.items

    records = here = all


class NoLeases:
    """Nothing is lent but half a CPU."""

    def state_of(self, worker: Worker) -> str | None:
        return None

    def leased(self, name: str) -> float:
        return 0.5 if name == "cpus" else 0.0


def test_page_has_totals_and_rows_and_leaves_out_jobs_of_which_detached_actors_are_left() -> None:
    jobs, workers, registry, resources = JobTable(), Things(), Things(), Resources(4, 1, may_exceed=False)
    job = jobs.begin(IDS.job(), PeerAddress(IDS.peer(), "memory://driver"), SETTING)
    jobs.begin(IDS.job(), PeerAddress(IDS.peer(), "memory://gone"), SETTING).is_left_behind = True
    worker = Worker(PeerAddress(IDS.peer(), "memory://worker"), WorkerKind.SHARED, job, "shared-1", {})
    workers.items = [worker]
    order = order_of(None, job=job.job_id)
    order.options = order.options.replaced({"cpus": 2})
    registry.items = [ActorRecord(IDS.actor(), order) for _ in range(2)]
    resources.reserve(registry.items[0].actor_id, "one", order.options)
    waits = {registry.items[1].actor_id: "waits for 1 gpus"}

    def lacks(actor: ActorId) -> str:
        return waits.get(actor, "")

    status = NodeStatus("memory://node", jobs, workers, registry, resources, NoLeases(), lacks)  # type: ignore[arg-type]

    page = status.page(None, 2)
    assert (page.version, page.address) == (VERSION, "memory://node")
    assert page.jobs == [JobStatus(job=short(job.job_id), driver="memory://driver")]
    assert page.totals == Totals(jobs=1, workers=1, actors=2)
    assert (page.cpus, page.reserved_cpus, page.gpus, page.reserved_gpus) == (4, 2, 1, 0)
    assert (page.leased_cpus, page.leased_gpus) == (0.5, 0.0)
    first, second = [short(record.actor_id) for record in registry.items]
    assert ([row.label for row in page.workers], [row.actor for row in page.actors]) == (["shared-1"], [first])
    following = status.page(page.next, 2)
    assert [row.waits_for for row in (*page.actors, *following.actors)] == ["", "waits for 1 gpus"]
    assert ([row.actor for row in following.actors], following.workers, following.next) == ([second], [], None)


def test_page_that_there_can_not_be_is_refused() -> None:
    status = NodeStatus(
        "memory://node", JobTable(), Things(), Things(), Resources(1, 0, may_exceed=False), NoLeases(), lambda _: ""
    )  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="count=0: give 1 to"):
        status.page(None, 0)
    with pytest.raises(TypeError, match="give the 'next' of the page before"):
        status.page("next", 1)
