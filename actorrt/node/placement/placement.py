"""Starts and ends the actors of a node on its workers.

The registry decides which actors there are, and what follows when one ends; `worker_choice` decides where an actor
runs; `workers` makes and ends the workers.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Final

from actorrt import errors
from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.authority.start_errors import stopped_early
from actorrt.actors.authority.tombstones import Tombstone
from actorrt.actors.wire.control import Control
from actorrt.completion import Completion
from actorrt.ids import ID_BYTES, ActorId, ActorIds, ObjectId, PeerAddress, PeerId
from actorrt.node.placement.deadlines import Deadlines
from actorrt.node.placement.jobs import Worker, WorkerKind
from actorrt.node.placement.waiting_starts import Entry, NoRoomError, WaitingStarts
from actorrt.node.placement.worker_choice import WorkerChoice
from actorrt.node.placement.workers import Workers
from actorrt.protocol.cluster.workers import HoldForActor, ReleaseForActor
from actorrt.protocol.hosts import Bury, DelayHosted, KillHosted, StopHosted, StopInTurn
from actorrt.protocol.nodes import Orphaned
from actorrt.scopes import Scope
from actorrt.store.server.retention import Retention

logger = logging.getLogger(__name__)

STOP_GRACE_S: Final = 0.5
"""The time after its `shutdown_s` in which an actor may still end by itself; then it is killed."""

ATTEMPTS_COUNT: Final = 3
"""The number of workers that are tried when they end before they have read the order to start an actor."""

KILL_PATIENCE_S: Final = 2.0
"""How long the loop of a shared worker may be blocked before the kill of an actor there ends the whole process."""


class _NotBegunError(errors.ActorStartError):
    """The worker ended before it had read the order, so the actor did not cause the end."""


class Placement:
    """The node's `Hosting`.

    Args:
        choice: gives actors their workers.
        workers: the node's workers.
        control: carries orders to them.
        scope: owns the timers.
        endpoint: the node's own.
        retention: keeps the objects in the store that the specs of actors refer to.
        silent_s: returns how long a worker has owed a sign of life.
        node_of: returns the other node that a process is on; empty for this one.

    Attributes:
        waiting: the starts that wait for room on a node.
    """

    def __init__(
        self,
        choice: WorkerChoice,
        workers: Workers,
        control: Control,
        scope: Scope,
        peer_address: PeerAddress,
        retention: Retention,
        silent_s: Callable[[PeerId], float],
        node_of: Callable[[PeerId], bytes],
    ) -> None:
        self._choice = choice
        self._workers = workers
        self._control = control
        self._scope = scope
        self._peer_address = peer_address
        self._silent_s = silent_s
        self._retention = retention
        self._node_of = node_of
        self.release = retention.release
        self.cancel_queued_start: Callable[[ActorRecord], bool] = lambda _: False
        """Removes a start that waits in a queue of restarts; returns whether there was one."""
        self.waiting = WaitingStarts(scope.after)
        self._parts: dict[ActorId, Completion[None]] = {}  # what starts under way wait for
        self._stops = Deadlines(scope, self._overdue)
        self._kills = Deadlines(scope, self._kill_hosts)

    def start_at_once(self, record: ActorRecord) -> PeerAddress | None:
        """Return None: a start in another process always waits; see `Hosting.start_at_once`."""
        return None

    async def start(self, record: ActorRecord) -> PeerAddress:
        """Start the record's incarnation; see `Hosting.start`."""
        await self._far_children_gone(record)
        ends: list[_NotBegunError] = []
        refused: set[PeerAddress] = set()
        while len(ends) < ATTEMPTS_COUNT:
            worker = await self._worker_of(record, refused)
            try:
                return await self._start_at(worker, record)
            except _NotBegunError as error:
                worker.actors.pop(record.actor_id, None)
                if worker.host is not None and worker.lacks:
                    refused.add(worker.host)
                if not worker.lacks or not worker.reserved:  # what needs no room was not refused for that
                    ends.append(error)
        raise errors.ActorStartError(f"{ends[-1]}; so did {ATTEMPTS_COUNT - 1} other workers", reason=ends[-1].reason)

    async def _worker_of(self, record: ActorRecord, refused: set[PeerAddress]) -> Worker:
        """Return the worker of an actor. Wait until a node has room for it, if none has now.

        Args:
            record: the actor.
            refused: the nodes that had no room when they were asked; after a wait, they are asked again.
        """
        entry: Entry | None = None
        try:
            while True:
                try:
                    return self._choice.worker_of(record, refused)
                except NoRoomError as error:
                    entry = entry or self.waiting.enter(record, self._choice.line_of(record))
                    await entry.next_turn(str(error))
                    refused.clear()
        finally:
            if entry is not None:
                entry.leave()

    async def _far_children_gone(self, record: ActorRecord) -> None:
        """Return when the children that an incarnation has left on another node have ended."""
        children = self._far_children(record)
        if children is not None:
            try:
                await children
            except (errors.ActorDiedError, errors.PeerUnreachableError) as error:
                logger.debug("the children of %s ended with their node: %s", record.label, error)

    def _far_children(self, record: ActorRecord) -> Completion[None] | None:
        """End the children that an actor has left on the node of its process, which has ended; None if it has none.

        While the process lives, it ends them itself, when it is told to start the actor again or to bury it.
        """
        worker: Worker | None = record.place
        if worker is None or worker.host is None or worker.is_up or record.actor_id not in worker.parents:
            return None
        return self._control.request(worker.host, Orphaned(actor=record.actor_id))

    async def _start_at(self, worker: Worker, record: ActorRecord) -> PeerAddress:
        number = 0
        try:
            await self._ready(worker, record)
            record.starts_at(worker.peer_address)
            if record.is_to_end:  # the order to stop came before the worker was up, see `_hosts`
                raise stopped_early(record)
            await self._hold_elsewhere(worker, record)
            worker.ordered_count += 1
            number = worker.ordered_count
            order = record.start_order(self._peer_address)
            await self._or_broken_off(record, self._control.request(worker.peer_address, order))
        except errors.ActorDiedError as error:
            message = f"{record.label} did not start: {error}"
            has_begun = worker.begun_count is None or worker.begun_count >= number
            kind = errors.ActorStartError if has_begun or record.is_to_end else _NotBegunError
            raise kind(message, reason=error.reason) from error
        if worker.exit_reason is not None:  # the answer was read together with the end of the worker's process
            message = f"{record.label} ended as soon as it had started: {worker.exit_reason}"
            raise errors.ActorStartError(message, reason=worker.exit_reason)
        peer_address: PeerAddress = worker.peer_address
        return peer_address

    async def _hold_elsewhere(self, worker: Worker, record: ActorRecord) -> None:
        """Have the node of a worker hold the objects that an actor is started from, before it opens its spec there."""
        objects = [*record.objects, *record.snapshots]
        if worker.host is not None and objects:
            asked = HoldForActor(worker=worker.peer, actor=record.actor_id, objects=objects)
            await self._or_broken_off(record, self._control.request(worker.host, asked))

    async def _ready(self, worker: Worker, record: ActorRecord) -> None:
        try:
            await self._or_broken_off(record, worker.ready)
        except errors.ActorStartError as error:
            if worker.lacks:
                raise _NotBegunError(f"{record.label} did not start: {error}", reason=error.reason) from error
            record.starts_at(worker.peer_address)  # the starts that wait for one process fail for one cause
            if worker.kind is WorkerKind.OWN:  # its error names the actor already
                raise
            raise errors.ActorStartError(f"{record.label} did not start: {error}", reason=error.reason) from error

    async def _or_broken_off(self, record: ActorRecord, part: Completion[None]) -> None:
        """Wait for a part of a start, until that is broken off."""
        either = Completion[None]()
        part.add_callback(either.end_as)
        self._parts[record.actor_id] = either
        try:
            await either
        finally:
            self._parts.pop(record.actor_id, None)

    def waits_for(self, record: ActorRecord) -> str:
        """Return what the start under way waits for, in words; see `Hosting.waits_for`."""
        lacks = self.waiting.lacks(record.actor_id)
        worker: Worker | None = record.place
        if lacks or worker is None:
            return lacks or "its turn has not come"
        if not worker.ready.done():
            return "its process has not started" + ("" if worker.host is None else " on another node")
        return "its arguments have not come, or its on_start has not ended"

    def stop(self, records: Sequence[ActorRecord], reason: str) -> None:
        """Ask actors to end; kill the ones that take longer than their `shutdown_s`."""
        records = [record for record in records if not self._cancel_waiting(record)]
        for (is_for_good, manner), part in _alike(records, lambda record: (record.is_administrative, record.manner)):
            for worker, actors in _hosts(part):
                order = StopHosted(actors=actors, reason=reason, is_administrative=is_for_good, manner=manner)
                self._control.notify(worker.peer_address, order)
        for shutdown_s, part in _alike(records, lambda record: record.options.shutdown_s):
            if shutdown_s is not None:
                self._stops.begin(part, shutdown_s + STOP_GRACE_S)

    def stop_in_turn(self, records: Sequence[ActorRecord], reason: str) -> None:
        """Ask actors of one worker to end one by one; kill the ones that take longer than their `shutdown_s`."""
        worker: Worker = records[0].place
        actors, manner = [record.actor_id for record in records], records[0].manner
        self._control.notify(worker.peer_address, StopInTurn(actors=actors, reason=reason, manner=manner))
        self._watch_turns(deque((record, record.incarnation) for record in records))

    def _watch_turns(self, left: deque[tuple[ActorRecord, int]]) -> None:
        while left and not left[0][0].has_incarnation(left[0][1]):
            left.popleft()
        if not left:
            return
        record, incarnation = left[0]
        assert record.options.shutdown_s is not None

        def due() -> None:
            if record.has_incarnation(incarnation):
                self._overdue([record])
            self._watch_turns(left)

        self._scope.after(record.options.shutdown_s + STOP_GRACE_S, due)

    def restarts_later(self, record: ActorRecord, delay_s: float) -> None:
        """Tell the callers whose calls the actor was handling. If its process is gone, the registry tells them."""
        worker: Worker | None = record.place
        if worker is not None and worker.is_up:
            self._control.notify(worker.peer_address, DelayHosted(actor=record.actor_id, delay_s=delay_s))

    def _overdue(self, records: Sequence[ActorRecord]) -> None:
        for record in records:
            logger.warning("%s did not stop within %s s and is killed", record.label, record.options.shutdown_s)
        self.kill(records)

    def kill(self, records: Sequence[ActorRecord]) -> None:
        """End actors now, and the process of an actor that has one of its own."""
        hosted = []
        for record in records:
            worker: Worker | None = record.place
            if self._cancel_waiting(record) or worker is None:
                continue
            if worker.kind is WorkerKind.OWN:
                self._workers.end(worker)
            else:
                hosted.append(record)
        self._kill_hosted(hosted)
        if hosted:
            self._kills.begin(hosted, KILL_PATIENCE_S)

    def _kill_hosts(self, records: Sequence[ActorRecord]) -> None:
        """Called when actors have not ended in time. End a worker that is silent, with all its actors.

        The loop of a silent worker is blocked. A worker that is not silent may have many orders to handle first.
        """
        for worker, part in _alike(records, lambda record: record.place):
            left_s = KILL_PATIENCE_S - self._silent_s(worker.peer)
            if worker.exit_reason is None and left_s > 0:
                self._kills.begin(part, left_s)
            elif worker.exit_reason is None:
                worker.hang = f"its loop did not take the order to kill {part[0].label} within {KILL_PATIENCE_S:g} s"
                logger.warning("%s is killed: %s", worker.label, worker.hang)
                self._workers.kill(worker)

    def break_off(self, record: ActorRecord) -> None:
        """End the start under way at once; see `Hosting.break_off`."""
        worker: Worker | None = record.place
        if self._cancel_waiting(record) or worker is None:
            return
        if worker.kind is WorkerKind.OWN:
            self._workers.end(worker)
            worker.ready.set_error(stopped_early(record))  # its process may not exist yet
        else:
            self._kill_hosted([record])
        self._end_part(worker, record)

    def give_up_start(self, record: ActorRecord) -> None:
        """End a start that has taken too long; see `Hosting.give_up_start`.

        In a worker with other actors, the mailbox stays for the next incarnation. A process of the actor's own may be
        blocked, and is killed.
        """
        worker: Worker | None = record.place
        if worker is None or worker.kind is WorkerKind.OWN or self.waiting.lacks(record.actor_id):
            self.break_off(record)
        else:
            self.stop([record], "its start took too long")
            self._end_part(worker, record)

    def _end_part(self, worker: Worker, record: ActorRecord) -> None:
        """End what a start waits for, if nobody else may do that: an answer from another node, or a slow process."""
        part = self._parts.get(record.actor_id)
        if part is not None and (worker.host is not None or not worker.ready.done()):
            part.set_error(stopped_early(record))

    def _cancel_waiting(self, record: ActorRecord) -> bool:
        """End a start that waits, for room or for its turn; return whether there was one."""
        return self.waiting.cancel(record, stopped_early(record)) or self.cancel_queued_start(record)

    def hold(self, object_ids: Sequence[ObjectId], tokens: Sequence[bytes]) -> None:
        """Keep objects alive; see `Hosting.hold`. A snapshot may come from a worker of another node."""
        for sender in {PeerId(token[:ID_BYTES]) for token in tokens}:
            if node := self._node_of(sender):
                self._retention.introduce(sender, node)
        self._retention.hold(object_ids, tokens)

    def kept_actors(self) -> Collection[ActorId]:
        """Return the actors that have a reservation, or a deadline for their end."""
        return {*self._choice.reserving(), *self._stops.actors(), *self._kills.actors()}

    def bury(self, record: ActorRecord, tombstone: Tombstone, *, is_buried: bool) -> Completion[Any] | None:
        """Release the cell, the reservation and the process of an actor; see `Hosting.bury`."""
        self._stops.forget(record.actor_id)
        self._kills.forget(record.actor_id)
        self._choice.release(record.actor_id)
        worker: Worker | None = record.place
        if worker is None:
            return None
        worker.actors.pop(record.actor_id, None)
        if worker.host is None:
            worker.parents.pop(record.actor_id, None)
        elif record.objects or record.snapshots:
            self._control.notify(worker.host, ReleaseForActor(worker=worker.peer, actor=record.actor_id))
        if record.is_supervisor:
            self._choice.forget_children_of(record)
        if is_buried or not worker.is_up:
            if self._is_no_longer_needed(worker):
                self._workers.dismiss(worker)
            return self._far_children(record)
        burial = self._control.request(worker.peer_address, Bury(actor=record.actor_id, error=tombstone.error()))
        worker.burials_count += 1
        burial.add_callback(lambda _: self._buried(worker))
        return burial

    def _buried(self, worker: Worker) -> None:
        worker.burials_count -= 1
        if self._is_no_longer_needed(worker):
            self._workers.dismiss(worker)

    @staticmethod
    def _is_no_longer_needed(worker: Worker) -> bool:
        """Whether a worker that has lost an actor will host no other actor, and no actor is still ending there."""
        is_over = worker.kind is WorkerKind.OWN or worker.job.has_ended
        return is_over and worker.owner is None and not worker.actors and not worker.burials_count

    def _kill_hosted(self, records: Sequence[ActorRecord]) -> None:
        for worker, actors in _hosts(records):
            self._control.notify(worker.peer_address, KillHosted(actors=actors))


def _hosts(records: Sequence[ActorRecord]) -> Iterator[tuple[Worker, ActorIds]]:
    """Yield the workers that can be reached, each with those of the actors that it hosts."""
    for worker, part in _alike(records, lambda record: record.place):
        if worker is not None and worker.is_up:
            yield worker, ActorIds(b"".join([record.actor_id for record in part]))


def _alike(
    records: Sequence[ActorRecord], key: Callable[[ActorRecord], Any]
) -> Iterable[tuple[Any, list[ActorRecord]]]:
    """Group records by `key`; keep their order."""
    parts: dict[Any, list[ActorRecord]] = {}
    for record in records:
        parts.setdefault(key(record), []).append(record)
    return parts.items()
