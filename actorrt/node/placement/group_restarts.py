"""Restarts and stops groups of a supervisor's children, each when the one before has started or ended.

Neighbours in a group that run on one worker share one order, and few messages report their outcomes; the worker's side
is `actors.hosting.batches`. The supervisor decides which children restart or stop, in which order, and what follows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from actorrt import errors
from actorrt.actors.authority.record import ActorRecord, RecordState
from actorrt.actors.authority.registry import Registry
from actorrt.actors.authority.start_errors import stopped_early
from actorrt.actors.wire.control import Control
from actorrt.ids import ActorId, PeerAddress, PeerId
from actorrt.node.placement.jobs import Worker
from actorrt.node.placement.placement import Placement
from actorrt.protocol.hosts import ChildFailure, ChildrenRestarted, HostInTurn, NextIncarnation
from actorrt.protocol.nodes import Hosted, RestartChildren, StopChildren


class _Supervisor(NamedTuple):
    """A supervisor, and the process that its order came from."""

    actor: ActorId
    at: PeerAddress


class GroupRestarts:
    """Carries out the orders of supervisors for several children at once.

    Args:
        registry, placement, control: the node's.
        peer_address: of the node's daemon.
        address_of: returns where a process that has spoken to this one is reached.
    """

    def __init__(
        self,
        registry: Registry,
        placement: Placement,
        control: Control,
        peer_address: PeerAddress,
        address_of: Callable[[PeerId], str | None],
    ) -> None:
        self._registry = registry
        self._placement = placement
        self._control = control
        self._peer_address = peer_address
        self._address_of = address_of
        self._turns: dict[ActorId, tuple[_Supervisor, deque[ActorRecord]]] = {}
        """The supervisor and the queue of each actor whose start is queued."""
        placement.cancel_queued_start = self._cancel_queued_start
        control.handle(RestartChildren.by(self._restart))
        control.handle(StopChildren.by(self._stop))
        control.handle(Hosted.by(self._hosted))

    # Restarts: the supervisor is told of each child that has started, and of the first that did not

    def _restart(self, peer: PeerId, asked: RestartChildren) -> Coroutine[Any, Any, None]:
        """Queue the children at once: an order to stop one may follow directly, and must find the child queued."""
        supervisor = _Supervisor(asked.supervisor, PeerAddress(peer, self._address_of(peer) or ""))
        waiting: deque[ActorRecord] = deque()
        for actor_id in asked.actors:
            try:
                record = self._registry.questions.live(actor_id)
            except errors.ActorDiedError as error:  # an order has ended the actor meanwhile
                failed = ChildFailure(child=actor_id, error=error, cause=None, is_administrative=True)
                self._tell(supervisor, ChildrenRestarted(supervisor=supervisor.actor, failed=failed))
            else:
                record.begin_restart()
                waiting.append(record)
        for record in waiting:
            self._turns[record.actor_id] = supervisor, waiting
        return self._restart_each(supervisor, waiting)

    async def _restart_each(self, supervisor: _Supervisor, waiting: deque[ActorRecord]) -> None:
        while waiting:
            group = self._restartable(waiting)
            first = waiting[0]
            for record in group or [first]:
                self._leave_turn(record)
            if group:
                await self._restart_group(supervisor, group, waiting)
            else:
                await self._restart_alone(supervisor, first, waiting)

    def _leave_turn(self, record: ActorRecord) -> _Supervisor | None:
        """Remove a record from the queue that it waits in; return the supervisor, or None if it waits in none."""
        supervisor, waiting = self._turns.pop(record.actor_id, (None, None))
        if waiting is not None:
            waiting.remove(record)
        return supervisor

    def _cancel_queued_start(self, record: ActorRecord) -> bool:
        supervisor = self._leave_turn(record)
        if supervisor is not None:
            self._report_failure(supervisor, record, stopped_early(record))
        return supervisor is not None

    def _restartable(self, waiting: deque[ActorRecord]) -> list[ActorRecord]:
        """Return the longest beginning of the queue that can go to one worker with one order."""
        worker: Worker | None = waiting[0].place
        if worker is None or not worker.is_usable:
            return []

        def can_return(record: ActorRecord) -> bool:
            """Whether the worker still has the mailbox, and so the spec of the actor."""
            return (
                record.place is worker
                and record.last_peer_address is not None
                and record.last_peer_address.peer == worker.peer
                and not self._registry.has_children(record.actor_id)
                and record.options.start_timeout_s is None  # else it is watched alone
            )

        return list(takewhile(can_return, waiting))

    async def _restart_group(
        self, supervisor: _Supervisor, group: list[ActorRecord], behind: deque[ActorRecord]
    ) -> None:
        worker: Worker = group[0].place
        for record in group:
            record.starts_at(worker.peer_address)
        actors = [NextIncarnation(record.actor_id, record.incarnation, record.snapshots) for record in group]
        try:
            await self._control.request(worker.peer_address, HostInTurn(authority=self._peer_address, actors=actors))
        except errors.ActorRtError as error:
            left = [record for record in group if record.is_start_under_way]
            if left:
                self._failed(supervisor, left[0], error, [*left[1:], *behind])

    async def _restart_alone(self, supervisor: _Supervisor, record: ActorRecord, behind: deque[ActorRecord]) -> None:
        """Restart one child: elsewhere, in a process of its own, or after its own children have ended."""
        await self._registry.run_start(record)
        if record.start_error is None:
            self._tell(supervisor, ChildrenRestarted(supervisor=supervisor.actor, started=[record.actor_id]))
        elif record.is_to_end:
            self._report_failure(supervisor, record, record.start_error)
        else:
            self._failed(supervisor, record, record.start_error, list(behind))

    def _hosted(self, _: PeerId, hosted: Hosted) -> None:
        """Called when a worker has carried out orders for some actors of a group."""
        started: list[ActorId] = []
        supervisor: _Supervisor | None = None
        for actor_id, incarnation, has_started in hosted.actors:
            record = self._registry.record(actor_id)
            if record is None or record.incarnation != incarnation or not record.is_start_under_way:
                continue
            supervisor = self._supervisor_of(record) or supervisor
            if has_started:
                assert record.start_peer_address is not None
                self._registry.started(record, record.start_peer_address)
                started.append(record.actor_id)
            else:
                self._report_failure(self._supervisor_of(record), record, stopped_early(record))
        if supervisor is not None and started:
            self._tell(supervisor, ChildrenRestarted(supervisor=supervisor.actor, started=started))

    def _failed(
        self, supervisor: _Supervisor, record: ActorRecord, error: Exception, behind: Sequence[ActorRecord]
    ) -> None:
        """Report a child that did not start, and the children queued behind it as not reached."""
        unreached = []
        for other in behind:
            self._leave_turn(other)
            if other.is_administrative:  # no other message tells the supervisor that it is gone
                self._report_failure(supervisor, other, stopped_early(other))
            else:
                other.start_not_reached()
                unreached.append(other.actor_id)
        self._report_failure(supervisor, record, error, unreached)

    def _report_failure(
        self, supervisor: _Supervisor | None, record: ActorRecord, error: Exception, unreached: Sequence[ActorId] = ()
    ) -> None:
        cause = None
        has_lost_process = (
            isinstance(error, errors.ActorDiedError | errors.ActorStartError) and error.reason is not None
        )
        if has_lost_process and record.start_peer_address is not None:  # other actors may report the same cause
            cause = record.start_peer_address.peer
        if isinstance(error, errors.ActorDiedError):
            error = errors.ActorStartError(f"{record.label} did not start: {error}", reason=error.reason)
        if record.is_start_under_way:
            self._registry.start_failed(record, error)
        if supervisor is not None:
            failed = ChildFailure(
                child=record.actor_id, error=error, cause=cause, is_administrative=record.is_administrative
            )
            self._tell(supervisor, ChildrenRestarted(supervisor=supervisor.actor, failed=failed, unreached=unreached))

    def _tell(self, supervisor: _Supervisor, notice: ChildrenRestarted) -> None:
        """Tell a supervisor. One that another node started here is not known: it runs where its order came from."""
        record = self._registry.record(supervisor.actor)
        home = supervisor.at if record is None else record.home
        if home is not None:
            self._control.notify(home, notice)

    def _supervisor_of(self, record: ActorRecord) -> _Supervisor | None:
        home = self._registry.home_of_supervisor(record)
        return None if record.supervisor is None or home is None else _Supervisor(record.supervisor, home)

    # Stops: the supervisor is told of each child's exit, as of any

    def _stop(self, _: PeerId, asked: StopChildren) -> Coroutine[Any, Any, None]:
        """Note the incarnations at once: an order to start the next ones may follow directly, and those must run."""
        records = [self._registry.record(actor_id) for actor_id in asked.actors]
        incarnations = {record: record.incarnation for record in records if record is not None}
        return self._stop_each(asked, incarnations)

    async def _stop_each(self, asked: StopChildren, incarnations: dict[ActorRecord, int]) -> None:
        waiting = deque(incarnations)
        while waiting := deque(record for record in waiting if record.has_incarnation(incarnations[record])):
            group = self._stoppable(waiting) or [waiting[0]]
            ends = [(waiting.popleft(), incarnations[record]) for record in group]
            if len(group) > 1:
                for record in group:
                    record.stopping_in_turn(asked.manner)
                self._placement.stop_in_turn(group, asked.reason)
            else:
                stops = self._registry.stops
                stops.stop_child(group[0].actor_id, asked.reason, kill=False, manner=asked.manner)
            for record, incarnation in reversed(ends):
                while self._registry.record(record.actor_id) is record and record.has_incarnation(incarnation):
                    await record.next_change()

    def _stoppable(self, waiting: deque[ActorRecord]) -> list[ActorRecord]:
        """Return the longest beginning of the queue that one worker can stop by one order."""
        worker: Worker | None = waiting[0].place

        def can_stop(record: ActorRecord) -> bool:
            is_running = record.state is RecordState.RUNNING and not record.is_start_under_way
            return is_running and record.place is worker and record.options.shutdown_s is not None

        return list(takewhile(can_stop, waiting)) if worker is not None and worker.is_usable else []
