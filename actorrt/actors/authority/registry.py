"""The authority over actors: which there are, how they start, and what follows when one ends.

One registry class serves at two places. The node daemon's holds every actor that was spawned from outside actors, or
that has a process of its own; each endpoint has one for the light children of the actors it hosts. The holder of a ref
asks the actor's own registry; what it learns elsewhere is only a hint.

For an actor without a supervisor, the registry decides by `self_restart`. For the child of a `Supervisor`, it reports
the exit to the supervisor and carries out its orders. `Hosting` knows where and how actors run. `spawns` serves the
requests to start actors, `stops` the orders to end them, `questions` the questions about them. Specs of user classes
pass through as opaque bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable, Sequence
from functools import partial
from typing import Any, Final

from actorrt import errors, reasons
from actorrt.actors.authority.child_events import ChildEvents
from actorrt.actors.authority.children import Children
from actorrt.actors.authority.hosting import Hosting
from actorrt.actors.authority.invariants import check_kept, check_records, expect
from actorrt.actors.authority.names import Names, SharedNames
from actorrt.actors.authority.order import Order
from actorrt.actors.authority.questions import Questions
from actorrt.actors.authority.record import ActorRecord, RecordState
from actorrt.actors.authority.spawns import SpawnRequests
from actorrt.actors.authority.start_errors import start_error, start_too_late, stopped_early
from actorrt.actors.authority.stops import Stops
from actorrt.actors.authority.tombstones import Tombstone, Tombstones
from actorrt.actors.policy.self_restart import RestartDecision, SelfRestart
from actorrt.actors.wire.control import Control
from actorrt.completion import Completion
from actorrt.ids import ActorId, ObjectId, PeerAddress, PeerId
from actorrt.machine.clock import Clock
from actorrt.protocol.authorities import ActorCard, GroupPlaces
from actorrt.protocol.manner import Manner
from actorrt.reasons import ExitReason
from actorrt.scopes import Scope

logger = logging.getLogger(__name__)

BURIAL_TIMEOUT_S: Final = 10.0
"""How long the end of an actor waits for its children on a loop that does not answer."""


class Registry:
    """All actors of one authority.

    Args:
        hosting: where they run.
        control: carries notices about children to their supervisors.
        clock: gives `now` to decisions.
        random: gives numbers from [0, 1), for the jitter of restart delays.
        scope: owns the starts under way.

    Attributes:
        questions: answers questions about the actors.
        stops: carries out orders to end them.
    """

    def __init__(
        self, hosting: Hosting, control: Control, clock: Clock, random: Callable[[], float], scope: Scope
    ) -> None:
        self._hosting = hosting
        self._clock = clock
        self._random = random
        self._scope = scope
        self._records: dict[ActorId, ActorRecord] = {}
        self._children = Children()
        self._child_events = ChildEvents(control, self._records.get)
        self.home_of_supervisor = self._child_events.home_of_supervisor
        self._names = Names(clock, scope, lambda holder: self.stops.begin([holder], "replaced", kill=False))
        self._tombstones = Tombstones()
        self.questions = Questions(self._records, self._children, self._names, self._tombstones, clock)
        asked: dict[ActorId, ActorRecord] = {}
        self.stops = Stops(self._records, asked, self._children, hosting, self._child_events, scope, self._gone)
        self._spawns = SpawnRequests(self, asked, self.stops, hosting, self._names, self._children, scope)

    def share_names(self, names: SharedNames) -> None:
        """Share names with other nodes from now on. To be called before any actor has a name."""
        self._names.shared = names

    def record(self, actor_id: ActorId) -> ActorRecord | None:
        """Return what is known of a live actor."""
        return self._records.get(actor_id)

    def records(self) -> list[ActorRecord]:
        """Return every live actor, in the order in which they were spawned."""
        return list(self._records.values())

    @property
    def children(self) -> Children:
        """Which children there are here, by their parents."""
        return self._children

    def check_invariants(self) -> None:
        """Check that records, names, children, waiters and what the hosting keeps agree; see `invariants`.

        Raises:
            BrokenInvariantError: they do not; the text tells the story of the actor concerned.
        """
        records = self.records()
        for actor_id, record in self._records.items():
            expect(record.actor_id == actor_id, "it is known as another one", record)
            expect(actor_id not in self._tombstones, "it lives, and has a tombstone", record)
        check_records(records, self._spawns.asked(), self._children)
        self._names.check_invariants(records)
        check_kept(self._hosting.kept_actors(), records)

    # Requests

    def spawn(self, record: ActorRecord) -> Coroutine[Any, Any, ActorCard]:
        """Start an actor, and return what its ref needs. It ends with its parent, even if its start has not begun.

        Raises:
            NameTakenError: another live actor has the name, and the options say to fail then.
            ActorStartError: it could not be started; nothing of it is left.
        """
        return self._spawns.spawn(record)

    def spawn_many(self, order: Order, actor_ids: Sequence[ActorId]) -> Coroutine[Any, Any, GroupPlaces]:
        """Start actors without names by one order, side by side; they end with their parent, as in `spawn`.

        Returns:
            Where each of them runs.

        Raises:
            ActorStartError: one could not be started; nothing of any is left.
        """
        return self._spawns.spawn_many(order, actor_ids)

    def withdraw_spawn(self, actor_id: ActorId) -> None:
        """End the spawn of an actor, or of the group that begins with it; see `SpawnRequests.withdraw`."""
        self._spawns.withdraw(actor_id)

    def enter(self, record: ActorRecord) -> None:
        """Add an actor; it is removed when it is gone."""
        self._records[record.actor_id] = record

    def has_children(self, parent: ActorId) -> bool:
        """Whether anything is left of what an actor spawned."""
        return parent in self._children

    def forget(self, actor_id: ActorId, reason: ExitReason | None) -> None:
        """Called when a supervisor gives up a child: it is gone, for `reason` or for the reason of its last end."""
        record = self._records.get(actor_id)
        if record is not None:
            self._gone(record, reason or record.last_reason or reasons.SHUTDOWN)

    # What happens

    def start_at_once(self, record: ActorRecord) -> bool:
        """Start a new record's first incarnation if that never waits; return False if it may wait: use `start` then."""
        record.begin_start()
        try:
            peer_address = self._hosting.start_at_once(record)
        except Exception as error:
            self.start_failed(record, error)
            return True
        if peer_address is None:
            record.start_put_off()
            return False
        self.started(record, peer_address)
        return True

    async def start(self, record: ActorRecord) -> None:
        """Start an incarnation; a failure is in `start_error` then."""
        record.begin_start()
        await self.run_start(record)

    async def run_start(self, record: ActorRecord) -> None:
        """Carry out a start that has begun; a failure is in `start_error` then.

        A start that raises anything has failed. Only here are the waits for the actor ended with the failure, and its
        name, its objects and its place released.
        """
        try:
            peer_address = await self._incarnate(record)
        except Exception as error:
            self.start_failed(record, error)
            return
        self.started(record, peer_address)

    def started(self, record: ActorRecord, peer_address: PeerAddress) -> None:
        """Called when the incarnation that was being started runs."""
        now = self._clock.now()
        is_first = record.state is RecordState.STARTING
        record.started(peer_address, now)
        if is_first:
            self._child_events.started(record)
        if record.self_restart is not None:
            record.self_restart.started(now)
        if record.is_to_end:
            self.stops.end_incarnations([record], "stopped while it started", kill=False)
        if record.early_exit is not None:
            self._scope.loop.call_soon(record.early_exit)  # when the answer to the request for the start has left

    async def _incarnate(self, record: ActorRecord) -> PeerAddress:
        await self.children_gone(record.actor_id)
        if record.is_to_end:
            raise stopped_early(record)
        limit_s = record.options.start_timeout_s
        if limit_s is None:
            return await self._hosting.start(record)
        return await self._start_in_time(record, limit_s)

    async def _start_in_time(self, record: ActorRecord, limit_s: float) -> PeerAddress:
        """Start the incarnation at its host; a start that takes too long is broken off."""
        waits_for: str | None = None

        def late() -> None:
            nonlocal waits_for
            waits_for = self._hosting.waits_for(record)
            self._hosting.give_up_start(record)

        stop_waiting = self._scope.after(limit_s, late)
        try:
            return await self._hosting.start(record)
        except errors.ActorStartError as error:
            if waits_for is None:
                raise
            raise start_too_late(record, limit_s, waits_for) from error
        finally:
            stop_waiting()

    def start_failed(self, record: ActorRecord, cause: Exception) -> None:
        """Called when a start has failed; a supervisor that ordered the start is told elsewhere."""
        reason = record.start_failed(start_error(record, cause))
        self.stops.stop_children(record.actor_id)
        if record.is_alone and not record.is_administrative:
            self._carry_out(record, self._self_restart(record).start_failed(reason, self._clock.now()))
        elif record.is_administrative or record.state is RecordState.STARTING:
            self._gone(record, reason)
        # else the supervisor that ordered the restart decides

    def handled_a_message(self, actor_id: ActorId, incarnation: int) -> None:
        """Called when an incarnation has handled its first message: if it dies, its successor starts at once."""
        record = self._records.get(actor_id)
        if record is not None and record.incarnation == incarnation:
            record.had_handled_message = True

    def snapshot_taken(self, actor_id: ActorId, incarnation: int, object_id: ObjectId, token: bytes) -> None:
        """Called when an incarnation has taken a snapshot; ignored unless it is the newest one of a living actor."""
        record = self._records.get(actor_id)
        if record is None or record.incarnation != incarnation or record.state is RecordState.ENDING:
            return
        self._hosting.hold([object_id], [token])
        self._hosting.release(record.keep_snapshot(object_id))

    def exited(
        self,
        actor_id: ActorId,
        incarnation: int,
        reason: ExitReason,
        *,
        is_administrative: bool = False,
        is_buried: bool = False,
        cause: Hashable = None,
    ) -> None:
        """Called when an incarnation has ended. Reports about any but the newest are ignored.

        Args:
            actor_id, incarnation, reason: which incarnation ended, and why.
            is_administrative: whether its host knows that no other incarnation follows.
            is_buried: whether nothing is left of the actor at its host.
            cause: the same for incarnations that one event has ended.
        """
        record = self._records.get(actor_id)
        if record is None or record.incarnation != incarnation:
            return
        if record.is_start_under_way:  # the report has overtaken the end of our wait for the start
            again = partial(self.exited, is_administrative=is_administrative, is_buried=is_buried, cause=cause)
            record.exited_early(partial(again, actor_id, incarnation, reason))
            return
        if record.peer_address is None:
            return
        record.ended(reason, is_administrative=is_administrative)
        self.stops.stop_children(record.actor_id)
        if record.supervisor is not None and not self._child_events.exited(record, reason, cause):
            self._gone(record, reason)  # nobody is left to bring it back
        elif record.manner is Manner.FOR_RESTART:
            record.waits_to_restart(None)
        if record.is_administrative:
            self._gone(record, reason, is_buried=is_buried)
        elif record.is_alone:
            self._carry_out(
                record, self._self_restart(record).exited(reason, self._clock.now(), record.had_handled_message)
            )

    def _self_restart(self, record: ActorRecord) -> SelfRestart:
        """Return the decisions of an actor without a supervisor."""
        if record.self_restart is None:
            self_restart = record.self_restart = SelfRestart(record.options, self._random)
            self_restart.begin()
            if record.started_at is not None:
                self_restart.started(record.started_at)
        return record.self_restart

    def endpoint_lost(self, peer: PeerId, reason: ExitReason, actor_ids: Sequence[ActorId]) -> None:
        """Called when a process is gone, with every actor that ran there: one decision for each, one cause for all.

        Args:
            peer, reason: the process's endpoint, and how it ended.
            actor_ids: the actors that were placed there, in the order of the decisions.
        """
        for actor_id in actor_ids:
            record = self._records.get(actor_id)
            if record is not None and record.peer_address is not None and record.peer_address.peer == peer:
                self.exited(actor_id, record.incarnation, reason, cause=peer)

    def _carry_out(self, record: ActorRecord, decision: RestartDecision) -> None:
        if decision.is_gone:
            self._gone(record, decision.reason or record.last_reason or reasons.NORMAL)
            return
        if decision.delay_s:
            self._waits_to_restart(record, decision.delay_s)
            self._scope.after(decision.delay_s, lambda: self._delay_over(record))
        else:
            record.waits_to_restart(None)
            self._begin_restart(record)

    def restarts_later(self, actor_id: ActorId, delay_s: float) -> None:
        """Called when a supervisor will start a child again after a delay: the callers of the child are told."""
        record = self._records.get(actor_id)
        if record is not None and record.state in (RecordState.DECIDING, RecordState.RESTARTING):
            self._waits_to_restart(record, delay_s)

    def _waits_to_restart(self, record: ActorRecord, delay_s: float) -> None:
        record.waits_to_restart(self._clock.now() + delay_s if delay_s else None)
        if delay_s:
            logger.info("%s is started again in %.2f s: %s", record.label, delay_s, record.last_reason)
        self._hosting.restarts_later(record, delay_s)

    def _delay_over(self, record: ActorRecord) -> None:
        if record.self_restart is not None and record.state is RecordState.RESTARTING:
            record.self_restart.delay_over()
            self._begin_restart(record)

    def _begin_restart(self, record: ActorRecord) -> None:
        if self._records.get(record.actor_id) is record and record.state is RecordState.RESTARTING:
            self._scope.start(self.start(record), f"restart {record.label}")

    async def children_gone(self, parent: ActorId) -> None:
        """Return when nothing is left of what an earlier incarnation of the parent spawned."""
        await self._children.gone(parent)

    def _gone(self, record: ActorRecord, reason: ExitReason, *, is_buried: bool = False) -> None:
        """End an actor for good: its callers are told at once, its monitors when its children have ended."""
        if record.state in (RecordState.ENDING, RecordState.GONE):
            return
        record.begin_last_end(reason)
        self.stops.stop_children(record.actor_id)
        self._hosting.release([*record.objects, *record.snapshots])
        tombstone = record.tombstone()
        burial = self._hosting.bury(record, tombstone, is_buried=is_buried)
        if burial is None and record.actor_id not in self._children:
            self._forget(record, tombstone)
        else:
            self._scope.start(self._forget_after(record, tombstone, burial), f"end {tombstone.label}")

    async def _forget_after(self, record: ActorRecord, tombstone: Tombstone, burial: Completion[Any] | None) -> None:
        await self.children_gone(record.actor_id)
        try:
            async with asyncio.timeout(BURIAL_TIMEOUT_S):
                if burial is not None:
                    await burial
        except TimeoutError:
            logger.warning("children of %s have not ended within %g s", record.label, BURIAL_TIMEOUT_S)
        except errors.ActorRtError as error:  # the process that was asked is gone, and so are they
            logger.debug("children of %s ended with their process: %s", record.label, error)
        self._forget(record, tombstone)

    def _forget(self, record: ActorRecord, tombstone: Tombstone) -> None:
        """Free the name, then complete the waits for the end."""
        del self._records[record.actor_id]
        self._tombstones.add(record.actor_id, tombstone)
        self._names.free(record)
        self._children.remove(record)
        record.gone()
