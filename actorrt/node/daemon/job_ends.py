"""Ends jobs: stops their actors, then their workers; keeps a job as long as it has detached actors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.authority.registry import Registry
from actorrt.ids import JobId, short
from actorrt.node.placement.job_table import JobTable
from actorrt.node.placement.jobs import Job, Worker, WorkerKind
from actorrt.node.placement.workers import Workers
from actorrt.scopes import Scope, parts_of

logger = logging.getLogger(__name__)

ORPHANS_STOP_S: Final = 2.0
"""How long the actors of a driver that is gone may take to stop."""
RECORDS_AT_ONCE_COUNT: Final = 10_000
"""How many records are examined before other tasks of the loop run."""


class JobEnds:
    """Ends the jobs of one node.

    Args:
        jobs, workers, registry: the node's.
        scope: owns the tasks that wait for detached actors.
        end_leases: dismisses the workers for tasks of a job, but for those that serve detached actors.

    Attributes:
        end_guests: ends a job on the other nodes where it is a guest, and returns when it has ended there.
    """

    def __init__(
        self,
        jobs: JobTable,
        workers: Workers,
        registry: Registry,
        scope: Scope,
        end_leases: Callable[[Job], None],
    ) -> None:
        self._jobs = jobs
        self._workers = workers
        self._registry = registry
        self._scope = scope
        self._end_leases = end_leases
        self.end_guests: Callable[[Job], Awaitable[None]] = _is_nowhere_else

    async def end(self, job_id: JobId, *, with_detached: bool = False) -> None:
        """Stop the actors of a job, then its workers; workers with detached actors end with these. Idempotent."""
        job = self._jobs.find(job_id)
        if job is None:
            return
        job.has_ended = True
        records = [r for r in await self._records_of(job) if with_detached or not r.order.is_detached]
        await self._registry.stops.stop_all(records, "its job ended")
        await self._dismiss_idle(job)
        await self.end_guests(job)
        if with_detached:
            await self._end_lodgers(job)
        left = [*await self._records_of(job), *self._lodgers(job)]
        if not job.is_left_behind and left:
            job.is_left_behind = True
            self._scope.start(self._await_detached(job), f"detached actors of job {short(job_id)}")
        elif not job.is_left_behind:
            self._forget(job)

    async def end_orphaned(self, job: Job) -> None:
        """End the job of a driver that is gone. Its actors have `ORPHANS_STOP_S` to stop: no process waits for them."""
        try:
            async with asyncio.timeout(ORPHANS_STOP_S):
                await self.end(job.job_id)
        except TimeoutError:
            self._end_leases(job)
            for worker in [w for w in self._workers.all() if w.job is job and w.owner is None and not _serves(w)]:
                if not any(r.order.is_detached for r in self._registry.records() if r.place is worker):
                    self._workers.end(worker)
            await self.end(job.job_id)

    async def _records_of(self, job: Job) -> list[ActorRecord]:
        records: list[ActorRecord] = []
        async for part in parts_of(self._registry.records(), RECORDS_AT_ONCE_COUNT):
            records += [record for record in part if record.job == job.job_id]
        return records

    async def _await_detached(self, job: Job) -> None:
        """Keep the job, which restarts of detached actors need, until the last of these actors is gone."""
        while (records := await self._records_of(job)) or self._lodgers(job):
            for record in records:
                await self._registry.stops.ended(record.actor_id)
            await self._workers.ended(self._lodgers(job))
        await self._dismiss_idle(job)
        await self.end_guests(job)
        self._forget(job)

    def _lodgers(self, job: Job) -> list[Worker]:
        """Return the workers of a job that host actors of other nodes, which tell them to end."""
        return [worker for worker in self._workers.all() if worker.job is job and worker.owner is not None]

    async def _end_lodgers(self, job: Job) -> None:
        for worker in self._lodgers(job):
            self._workers.end(worker)
        await self._workers.ended(self._lodgers(job))

    async def _dismiss_idle(self, job: Job) -> None:
        """Dismiss the workers of a job that serve no actor; return when they have ended."""
        self._end_leases(job)
        workers = [worker for worker in self._workers.all() if worker.job is job and worker.owner is None]
        idle = [worker for worker in workers if not worker.actors and not _serves(worker)]
        for worker in idle:
            if not worker.is_leaving:
                self._workers.dismiss(worker)
        await self._workers.ended(idle)

    def _forget(self, job: Job) -> None:
        if self._jobs.forget(job.job_id):
            logger.info("job %s ended", short(job.job_id))


async def _is_nowhere_else(_: Job) -> None:
    """Do nothing: the node is in no cluster."""


def _serves(worker: Worker) -> bool:
    """Whether a worker runs tasks for an actor that lives on. The leases of the job have ended, but for such ones."""
    return worker.kind is WorkerKind.TASKS and not worker.is_leaving
