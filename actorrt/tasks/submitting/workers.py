"""The workers that are lent to a submitter: what is sent to them."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from actorrt.actors.wire.outlet import Outlet
from actorrt.errors import ActorRtError
from actorrt.ids import PeerAddress, PeerId
from actorrt.protocol.envelopes import (
    FORGET,
    GIVE_BACK,
    REMAKE,
    TASK,
    WITHDRAW,
    ForgetEnvelope,
    GiveBackEnvelope,
    RemakeEnvelope,
    WithdrawEnvelope,
)
from actorrt.tasks.policy.class_queue import Lease
from actorrt.transport.interfaces import Lane, Link

if TYPE_CHECKING:
    from actorrt.actors.endpoint.endpoint import ActorEndpoint
    from actorrt.tasks.submitting.submission import Submission


class Workers:
    """Sends the tasks of one submitter. A worker is sent each function once, before its first task there.

    Args:
        endpoint: the submitter's.
    """

    def __init__(self, endpoint: ActorEndpoint) -> None:
        self._peers = endpoint.peers
        self._clock = endpoint.clock
        self._store = endpoint.store
        self._after = endpoint.scope.after
        self._loop = endpoint.loop
        self._ended_functions: deque[bytes] = deque()
        self._outlets: dict[PeerId, tuple[Outlet, set[bytes]]] = {}  # with the functions that were sent over it

    def send(self, lease: Lease[Submission], task: Submission) -> None:
        """Send an attempt of a task to the worker of a lease."""
        worker = lease.worker
        outlet, functions = self._outlets.get(worker.peer) or self._new_outlet(worker)
        function = task.kind.function
        if function.key not in functions:
            functions.add(function.key)
            outlet.send(function.envelope(), function.buffers)
        if task.object_id is not None:
            outlet.send(RemakeEnvelope(REMAKE, lease.number, task.sequence, task.object_id))
        left_s = None if task.deadline is None else max(0.0, task.deadline - self._clock.now())
        body, inputs, buffers = task.sent(self._store)
        outlet.send(
            (
                TASK,
                lease.number,
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

    def _new_outlet(self, worker: PeerAddress) -> tuple[Outlet, set[bytes]]:
        def link(_: PeerId) -> Link | None:
            if self._peers.is_lost(worker.peer):
                return None
            try:
                return self._peers.link(worker.peer, worker.address, Lane.USER)
            except ActorRtError:
                return None

        found = self._outlets[worker.peer] = Outlet(worker.peer, link, self._after), set()
        return found

    def give_back(self, lease: Lease[Submission], sequence: int) -> None:
        """Ask a worker for an attempt that has not begun, since an argument is lost. It answers SKIPPED then."""
        outlet, _ = self._outlets[lease.worker.peer]
        outlet.send(GiveBackEnvelope(GIVE_BACK, lease.number, sequence))

    def withdraw(self, lease: Lease[Submission], task: Submission, *, is_late: bool) -> None:
        """Tell a worker that nobody waits for a task any more, because its deadline has passed or it was cancelled."""
        outlet, _ = self._outlets[lease.worker.peer]
        outlet.send(WithdrawEnvelope(WITHDRAW, lease.number, task.sequence, is_late))

    def function_ended(self, key: bytes) -> None:
        """Called by a finalizer, at any moment in any thread, when no task of a function can be sent any more."""
        self._ended_functions.append(key)
        if len(self._ended_functions) == 1:  # else the loop has been told, and takes all
            with suppress(RuntimeError):  # the loop is closed: the workers end
                self._loop.call_soon_threadsafe(self._forget_functions)

    def _forget_functions(self) -> None:
        """Tell the workers that have them."""
        while self._ended_functions:
            key = self._ended_functions.popleft()
            for outlet, functions in self._outlets.values():
                if key in functions:
                    functions.discard(key)
                    outlet.send(ForgetEnvelope(FORGET, key))

    def lost(self, peer: PeerId) -> None:
        """Called when a worker is gone."""
        self._outlets.pop(peer, None)
