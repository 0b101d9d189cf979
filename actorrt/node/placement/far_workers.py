"""Has other nodes make workers for actors of this one, and takes the ends of these workers in.

`actorrt.node.guests` is the other node's side. To the rest of this node such a worker is like one of its own: only its
`host` tells the difference.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import cast

from actorrt import errors
from actorrt.actors.wire.control import Control
from actorrt.config import DEATH_GRACE_S
from actorrt.ids import PeerAddress, PeerId
from actorrt.node.placement.jobs import Job, Worker
from actorrt.node.placement.workers import Workers
from actorrt.protocol.cluster.workers import (
    GuestJob,
    KillWorker,
    KindOfWorker,
    LeaveWorker,
    MakeWorker,
    WorkerEnded,
)
from actorrt.reasons import ExitReason

logger = logging.getLogger(__name__)


class FarWorkers:
    """The workers that other nodes make for one node.

    Args:
        workers: the node's.
        control: speaks with the other nodes.
        told_room: called with the daemon of another node, and what is free there.
        own: the endpoint of this node's daemon.
        round_trip_s: returns the time that a message to a process and its answer take.
        on_ended: called with a worker that has ended, and how it ended.
    """

    def __init__(
        self,
        workers: Workers,
        control: Control,
        told_room: Callable[[PeerId, Mapping[str, float]], None],
        own: PeerAddress,
        round_trip_s: Callable[[PeerId], float],
        on_ended: Callable[[Worker, ExitReason], None],
    ) -> None:
        self._workers = workers
        self._control = control
        self._told_room = told_room
        self._own = own
        self._round_trip_s = round_trip_s
        self._on_ended = on_ended
        control.handle(WorkerEnded.by(self._ended))

    async def launch(self, worker: Worker) -> None:
        """Have the worker's host make its process; see `WorkerMaker.launch`."""
        assert worker.host is not None
        if worker.job.home is None:
            worker.job.guests[worker.host] = None
        try:
            made = await self._control.request(worker.host, self._order(worker))
        except (errors.ActorDiedError, errors.PeerUnreachableError) as error:
            worker.lacks = f"its node can't be reached: {error}"
            self._told_room(worker.host.peer, {})
            raise errors.ActorStartError(f"{worker.label} got no process: {worker.lacks}") from error
        self._told_room(worker.host.peer, made.free)
        if made.lacks:
            worker.lacks = made.lacks
            raise errors.ActorStartError(f"{worker.label} got no process: {made.lacks}")
        worker.pid = made.pid
        worker.ready.set_value(None)

    def _order(self, worker: Worker) -> MakeWorker:
        return MakeWorker(
            worker=worker.peer_address,
            kind=cast("KindOfWorker", worker.kind.value),
            label=worker.label,
            env_vars=worker.env_vars,
            preload=list(worker.preload),
            hang_timeout_s=worker.hang_timeout_s,
            job=self._guest(worker.job),
            reserved=dict(worker.reserved),
        )

    def _guest(self, job: Job) -> GuestJob:
        return GuestJob(job=job.job_id, driver=job.driver, home=job.home or self._own, setting=job.setting)

    def kill(self, worker: Worker) -> None:
        """End the worker at once. One whose process is being made ends as soon as it has one."""
        assert worker.host is not None
        order = KillWorker(worker=worker.peer, is_expected=worker.is_leaving, why=worker.hang)
        self._control.notify(worker.host, order)

    def leave(self, worker: Worker, grace_s: float) -> None:
        """Have a worker without actors end; see `FarMaker.leave`."""
        assert worker.host is not None
        self._control.notify(worker.host, LeaveWorker(worker=worker.peer, grace_s=grace_s))

    def _ended(self, host: PeerId, told: WorkerEnded) -> None:
        """Called when a host reports the end of a worker, whose last messages may still be on their way here."""
        worker = self._workers.find(told.worker)
        if worker is None or worker.host is None or worker.host.peer != host:
            return  # it never was ready, and the answer to `MakeWorker` says so
        self._told_room(host, told.free)
        worker.in_hand, worker.begun_count = told.in_hand, told.begun_count
        worker.parents = dict.fromkeys(told.parents)
        grace_s = DEATH_GRACE_S + self._round_trip_s(worker.peer)
        self._control.after(grace_s, lambda: self._on_ended(worker, told.reason))

    def node_ended(self, daemon: PeerId, reason: ExitReason) -> None:
        """Take the end of another node in: all workers that it made have ended."""
        for worker in self._workers.all():
            if worker.host is not None and worker.host.peer == daemon:
                self._on_ended(worker, reason)
