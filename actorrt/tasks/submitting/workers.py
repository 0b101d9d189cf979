"""The workers that are lent to a submitter: what is sent to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actorrt.actors.wire.outlet import Outlet
from actorrt.errors import ActorRtError
from actorrt.ids import PeerAddress, PeerId
from actorrt.protocol.envelopes import TASK, WITHDRAW, WithdrawEnvelope
from actorrt.tasks.policy.task import Task
from actorrt.transport.interfaces import Lane, Link

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint
    from actorrt.tasks.submitting.functions import Functions
    from actorrt.tasks.submitting.submission import Submission


class Workers:
    """Sends the tasks of one submitter.

    Args:
        endpoint: the submitter's.
        functions: those of its tasks; a worker is sent each of them once.
    """

    def __init__(self, endpoint: ActorEndpoint, functions: Functions) -> None:
        self._peers = endpoint.peers
        self._clock = endpoint.clock
        self._store = endpoint.store
        self._after = endpoint.scope.after
        self._functions = functions
        self._outlets: dict[PeerId, Outlet] = {}

    def send(self, worker: PeerAddress, task: Task) -> None:
        """Send an attempt of a task to a worker."""
        submission: Submission = task.payload
        outlet = self._outlets.get(worker.peer) or self._new_outlet(worker)
        function = submission.function
        if self._functions.is_new_at(worker.peer, function):
            outlet.send(function.envelope(), function.buffers)
        left_s = None if submission.deadline is None else max(0.0, submission.deadline - self._clock.now())
        body, inputs, buffers = submission.arguments.sent(self._store)
        outlet.send(
            (
                TASK,
                task.lease,
                task.sequence,
                function.key,
                body,
                inputs,
                left_s,
                task.number,
                task.attempts_count,
                task.depth,
            ),
            buffers,
        )

    def _new_outlet(self, worker: PeerAddress) -> Outlet:
        def link(_: PeerId) -> Link | None:
            if self._peers.is_lost(worker.peer):
                return None
            try:
                return self._peers.link(worker.peer, worker.address, Lane.USER)
            except ActorRtError:
                return None

        outlet = self._outlets[worker.peer] = Outlet(worker.peer, link, self._after)
        return outlet

    def withdraw(self, peer: PeerId, task: Task, *, is_late: bool) -> None:
        """Tell a worker that nobody waits for a task any more, because its deadline has passed or it was cancelled."""
        self._outlets[peer].send(WithdrawEnvelope(WITHDRAW, task.lease, task.sequence, is_late))

    def lost(self, peer: PeerId) -> None:
        """Called when a worker is gone."""
        self._outlets.pop(peer, None)
        self._functions.lost(peer)
