"""Lists the tasks of a node for `actorrt ps` and `actorrt tree`: its processes tell which tasks they have submitted."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from actorrt.actors.wire.control import Control
from actorrt.ids import JobId, PeerAddress, PeerId
from actorrt.node.listing.census import ask_each
from actorrt.node.placement.jobs import Job, Worker
from actorrt.protocol.leases import ListTasks, TaskClassRow, TaskListing
from actorrt.protocol.nodes import JobRow, SubmitterRow

MAX_TASKS_COUNT: Final = 10_000
"""How many tasks of one submitter are listed at most."""


def add_tasks(jobs: Iterable[JobRow], submitters: Sequence[SubmitterRow]) -> None:
    """Add to each job how many tasks it has in each state."""
    of_job = {job.job: job.tasks for job in jobs}
    for submitter in submitters:
        counts = of_job.get(submitter.job, {})
        for row in submitter.classes:
            states = {"waiting": row.waiting, "queued": row.queued, "resting": row.resting, "sent": row.sent}
            for state, count in {**states, "here": row.here}.items():
                if count:
                    counts[state] = counts.get(state, 0) + count


class Submitter(NamedTuple):
    """A process that may have submitted tasks."""

    at: PeerAddress
    job: JobId
    process: str
    pid: int | None


class ListsTasks:
    """Lists the tasks of one node.

    Args:
        workers, jobs, control: the tables and the control of the node.
        known: the processes that are known to have submitted tasks.
        lacks: what submitters wait for, by submitter and number of the class; see `Leases.lacks`.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        jobs: Iterable[Job],
        control: Control,
        known: Collection[PeerId],
        lacks: Mapping[tuple[PeerId, int], str],
    ) -> None:
        self._control = control
        self._known = known
        self._lacks = lacks
        live = [job for job in jobs if not job.is_left_behind and job.home is None]  # others list their own drivers
        drivers = [Submitter(job.driver, job.job_id, "driver", None) for job in live]
        ready = [worker for worker in workers if worker.is_up]
        self._asked = drivers + [
            Submitter(worker.peer_address, worker.job.job_id, worker.label, worker.pid) for worker in ready
        ]

    async def submitters(self, count: int) -> list[SubmitterRow]:
        """Return the processes that have tasks which have not ended, drivers first.

        Args:
            count: how many tasks of each are listed.

        Raises:
            ValueError: `count` is out of range.
        """
        if count > MAX_TASKS_COUNT:
            raise ValueError(f"{count} tasks of one submitter: give {MAX_TASKS_COUNT} at most")
        answers = await ask_each(self._control, [one.at for one in self._asked], ListTasks(count=count))
        rows: list[SubmitterRow] = []
        for one in self._asked:
            answer = answers[one.at.peer]
            told = answer.value() if answer.done() and answer.error() is None else None
            if told is not None and told.classes:
                rows.append(self._row(one, told))
            elif not answer.done() and one.at.peer in self._known:
                rows.append(self._row(one, None))
        return rows

    def _row(self, one: Submitter, told: TaskListing | None) -> SubmitterRow:
        return SubmitterRow(
            job=one.job,
            process=one.process,
            pid=one.pid,
            has_answered=told is not None,
            classes=[] if told is None else [self._in_full(one.at.peer, row) for row in told.classes],
            tasks=[] if told is None else told.tasks,
        )

    def _in_full(self, submitter: PeerId, row: TaskClassRow) -> TaskClassRow:
        return row._replace(waits_for=self._lacks.get((submitter, row.task_class), "") if row.queued else "")
