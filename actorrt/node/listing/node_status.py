"""The status of a node: its totals and reservations, and a page of its workers and actors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from actorrt.actors.authority.registry import Registry
from actorrt.config import VERSION
from actorrt.ids import ActorId, short
from actorrt.node.leases.leases import Leases
from actorrt.node.leases.needs import CPUS, GPUS
from actorrt.node.listing.pages import RowNumbers, check_page, page_of
from actorrt.node.placement.job_table import JobTable
from actorrt.node.placement.resources import Resources
from actorrt.node.placement.workers import Workers
from actorrt.protocol.nodes import JobStatus, StatusPage, Totals


class NodeStatus:
    """The status of one node.

    Args:
        address: the node's address.
        jobs, workers, registry, resources, leases: the tables of the node.
        waits_for: returns what the start of an actor waits for, in words; an empty text if it waits for no room.
    """

    def __init__(
        self,
        address: str,
        jobs: JobTable,
        workers: Workers,
        registry: Registry,
        resources: Resources,
        leases: Leases,
        waits_for: Callable[[ActorId], str],
    ) -> None:
        self._address = address
        self._jobs = jobs
        self._workers = workers
        self._registry = registry
        self._resources = resources
        self._leases = leases
        self._waits_for = waits_for
        self._worker_numbers = RowNumbers()
        self._actor_numbers = RowNumbers()

    def page(self, after: Sequence[int] | None, count: int) -> StatusPage:
        """Return totals, and a page of workers and actors; see `listing.page_of`.

        Raises:
            TypeError, ValueError: there is no such page.
        """
        check_page(after, count)
        jobs = self._jobs.live()
        workers = self._worker_numbers.numbered(self._workers.here())
        records = self._actor_numbers.numbered(self._registry.records())
        page = page_of(workers, records, after, count, self._leases.state_of, self._waits_for)
        return StatusPage(
            version=VERSION,
            address=self._address,
            jobs=[JobStatus(job=short(job.job_id), driver=job.driver.address) for job in jobs],
            totals=Totals(jobs=len(jobs), workers=len(workers), actors=len(records)),
            workers=page.workers,
            actors=page.actors,
            next=page.next,
            cpus=self._resources.cpu_count,
            reserved_cpus=self._resources.reserved("cpus"),
            leased_cpus=self._leases.leased(CPUS),
            gpus=self._resources.gpu_count,
            reserved_gpus=self._resources.reserved("gpus"),
            leased_gpus=self._leases.leased(GPUS),
        )
