"""The record of one actor in its registry: its state, its place, and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final

from actorrt.actors.authority.order import Order
from actorrt.actors.authority.tombstones import Tombstone
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.policy.self_restart import SelfRestart
from actorrt.completion import Completion
from actorrt.errors import ActorStartError
from actorrt.ids import ActorId, JobId, ObjectId, PeerAddress, short
from actorrt.protocol.authorities import ActorCard, DownReport, Sighting
from actorrt.protocol.hosts import HostActor
from actorrt.protocol.manner import Manner
from actorrt.reasons import SHUTDOWN, ExitKind, ExitReason


class RecordState(StrEnum):
    """Where an actor is in its life, as its authority sees it."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DECIDING = "deciding"  # it ended, and its supervisor has not said yet what follows
    RESTARTING = "restarting"
    ENDING = "ending"  # gone for good, but for children that have still to end
    GONE = "gone"


WILL_RUN_AGAIN: Final = (RecordState.RESTARTING, RecordState.RUNNING)
"""The states in which it is decided that the actor lives on."""


KEPT_SNAPSHOTS_COUNT: Final = 2
"""The most snapshots of an actor: if the newest can't be restored, the one before is tried."""


class ActorRecord:
    """One actor, over all its incarnations. A worker may hold a million of them.

    Each method that changes it is one event, and sets the fields. Four fields are set from outside: `place` by the
    hosting, `number` by listings, `self_restart` and `had_handled_message` by the registry.

    Attributes:
        actor_id: the actor.
        order: the order of its spawn.
        supervisor: the supervisor that decides on its failures.
        peer_address: where its incarnation runs; None while none does.
        place: the data of its hosting about it; opaque here.
        is_alone: whether it was spawned under no supervisor, so that its registry decides on its failures.
        self_restart: makes these decisions; None until there is one to make.
        started_at: when its incarnation began to run.
        last_peer_address, last_incarnation, last_reason: of the incarnation that ended last.
        start_peer_address: where the start under way takes place, once that is decided.
        is_to_end: whether the incarnation that is being started is to end at once.
        early_exit: reports an end that was heard of before the success of the start.
        manner: how the incarnation is to stop, if it is.
        restarts_at: when its next incarnation is to be started, where that waits.
        snapshots: newest first; held by the hosting.
        number: its place in the listings of its node; 0 until it is listed.
    """

    __slots__ = (
        "_change",
        "actor_id",
        "early_exit",
        "had_handled_message",
        "incarnation",
        "is_administrative",
        "is_alone",
        "is_start_under_way",
        "is_to_end",
        "last_incarnation",
        "last_peer_address",
        "last_reason",
        "manner",
        "number",
        "order",
        "peer_address",
        "place",
        "restarts_at",
        "self_restart",
        "snapshots",
        "start_error",
        "start_peer_address",
        "started_at",
        "state",
        "supervisor",
    )

    def __init__(self, actor_id: ActorId, order: Order, supervisor: ActorId | None = None) -> None:
        self.actor_id = actor_id
        self.order = order
        self.supervisor = supervisor
        self.state = RecordState.STARTING
        self.incarnation = 0
        self.peer_address: PeerAddress | None = None
        self.place: Any = None
        self.is_alone = supervisor is None
        self.self_restart: SelfRestart | None = None
        self.started_at: float | None = None
        self.last_reason: ExitReason | None = None
        self.last_peer_address: PeerAddress | None = None
        self.last_incarnation = 0
        self.start_error: ActorStartError | None = None
        self.is_start_under_way = False
        self.start_peer_address: PeerAddress | None = None
        self.is_to_end = False
        self.early_exit: Callable[[], None] | None = None
        self.had_handled_message = False
        self.snapshots: Sequence[ObjectId] = ()
        self.is_administrative = False
        self.manner = Manner.ORDERLY
        self.restarts_at: float | None = None
        self.number = 0
        self._change: Completion[None] | None = None

    @property
    def options(self) -> ActorOptions:
        return self.order.options

    @property
    def job(self) -> JobId:
        return self.order.job

    @property
    def parent(self) -> ActorId | None:
        return self.order.parent

    @property
    def is_supervisor(self) -> bool:
        return self.order.is_supervisor

    @property
    def objects(self) -> Sequence[ObjectId]:
        return self.order.objects

    @property
    def label(self) -> str:
        """Its name for people."""
        return label_of(self.order.options.name, self.order.class_name, self.actor_id)

    def story(self) -> str:
        """Return its state in one line, for the message of an error."""
        flags = ("is_start_under_way", "is_to_end", "is_administrative")
        said = " ".join(name for name in flags if getattr(self, name)) or "no flags"
        return (
            f"{self.label}, {self.state}, incarnation {self.incarnation} at {self.peer_address}, {said}; "
            f"last exit {self.last_reason}, start error {self.start_error}"
        )

    def sighting(self) -> Sighting | None:
        """Return where the incarnation runs, if one does."""
        return None if self.peer_address is None else Sighting(self.peer_address, self.incarnation)

    def card(self) -> ActorCard:
        """Return the card of the actor, from which refs are made."""
        return ActorCard(actor=self.actor_id, card=self.order.card, name=self.options.name, seen=self.sighting())

    def start_order(self, authority: PeerAddress) -> HostActor:
        """Return the request that tells a host to start the incarnation."""
        order = self.order
        return HostActor(
            actor=self.actor_id,
            label=self.label,
            incarnation=self.incarnation,
            spec=order.spec,
            options=order.options.to_data(),
            job=order.job,
            namespace=order.namespace,
            authority=authority,
            is_supervisor=order.is_supervisor,
            is_detached=order.is_detached,
            snapshots=self.snapshots,
        )

    def down_report(self) -> DownReport:
        """Return the report of the last end, for monitors of restarts."""
        return DownReport(
            reason=self.last_reason or SHUTDOWN,
            incarnation=self.last_incarnation,
            is_final=False,
            peer_address=self.last_peer_address,
        )

    def tombstone(self) -> Tombstone:
        """Return its tombstone."""
        return Tombstone(self.label, self.last_reason or SHUTDOWN, self.incarnation, self.last_peer_address)

    @property
    def home(self) -> PeerAddress | None:
        """Where its incarnation runs or is being started; None while there is none."""
        return self.start_peer_address if self.is_start_under_way else self.peer_address

    def has_incarnation(self, incarnation: int) -> bool:
        """Whether that incarnation runs or is being started."""
        return self.incarnation == incarnation and (self.peer_address is not None or self.is_start_under_way)

    def next_change(self) -> Completion[None]:
        """Return a completion that ends with the next change of the record's state."""
        if self._change is None:
            self._change = Completion()
        return self._change

    def changed(self) -> None:
        """Complete the waits for a change."""
        change, self._change = self._change, None
        if change is not None:
            change.set_value(None)

    def begin_start(self) -> None:
        """Called when the start of the next incarnation begins."""
        self.incarnation += 1
        self.start_error = self.early_exit = self.start_peer_address = None
        self.had_handled_message = False
        self.manner, self.restarts_at = Manner.ORDERLY, None
        self.is_start_under_way, self.is_to_end = True, self.is_administrative

    def starts_at(self, peer_address: PeerAddress) -> None:
        """Called when the place of the start under way is decided."""
        self.start_peer_address = peer_address

    def start_put_off(self) -> None:
        """Called when the first start was not begun, since it may wait; `begin_start` is called again."""
        self.incarnation = 0

    def begin_end(self) -> bool:
        """End the incarnation that runs or is being started; return whether its host has to be told."""
        if self.is_start_under_way:
            self.is_to_end = True
            return True
        is_running = self.state is RecordState.RUNNING
        if is_running:
            self.state = RecordState.STOPPING
        return is_running

    def plan_stop(self, manner: Manner) -> None:
        """Called before the incarnation is stopped in that manner."""
        self.manner = manner

    def stopping_in_turn(self, manner: Manner) -> None:
        """Called when a group was ordered to stop, each incarnation when the one before has ended."""
        self.state, self.manner = RecordState.STOPPING, manner

    def end_for_good(self) -> None:
        """Called when somebody orders the end of the actor: no incarnation follows."""
        self.is_administrative = True

    def withdraw(self) -> None:
        """Called when nobody waits for the spawn any more."""
        self.order.is_withdrawn = self.is_administrative = True
        if self.is_start_under_way:
            self.is_to_end = True

    def parent_has_ended(self) -> None:
        """Called when the parent has ended: the actor ends too, and no supervisor decides about it any more."""
        self.supervisor, self.is_administrative = None, True
        self.order.is_withdrawn = True
        self.changed()  # the actor may wait for a name

    def begin_restart(self) -> None:
        """Called when the next incarnation is started by the order of its supervisor."""
        self.state = RecordState.RESTARTING
        self.changed()
        self.begin_start()

    def waits_to_restart(self, restarts_at: float | None) -> None:
        """Called when a next incarnation is decided on: it starts at that time; None: when others have ended."""
        self.state = RecordState.RESTARTING
        self.restarts_at = restarts_at
        self.changed()

    def start_not_reached(self) -> None:
        """Called when the start was not begun, since an earlier one failed; its supervisor decides what follows."""
        self.incarnation -= 1
        self.is_start_under_way = False
        self.changed()

    def started(self, peer_address: PeerAddress, now: float) -> None:
        """Called when the incarnation runs."""
        self.state = RecordState.RUNNING
        self.peer_address = peer_address
        self.started_at = now
        self.is_start_under_way = False
        self.changed()

    def start_failed(self, error: ActorStartError) -> ExitReason:
        """Called when the start has failed; return why."""
        self.start_error = error
        self.is_start_under_way = False
        self.last_reason = reason = error.reason or ExitReason(ExitKind.ERROR, str(error))
        return reason

    def keep_snapshot(self, object_id: ObjectId) -> Sequence[ObjectId]:
        """Keep a new snapshot; return the snapshots that are no longer kept."""
        snapshots = [object_id, *self.snapshots]
        self.snapshots = snapshots[:KEPT_SNAPSHOTS_COUNT]
        return snapshots[KEPT_SNAPSHOTS_COUNT:]

    def exited_early(self, report: Callable[[], None]) -> None:
        """Called when the end was reported before the success of the start; `report` reports it again."""
        self.early_exit = report

    def ended(self, reason: ExitReason, *, is_administrative: bool = False) -> None:
        """Called when the incarnation has ended; by order if `is_administrative`."""
        self.is_administrative |= is_administrative
        self.state = RecordState.DECIDING
        self.last_peer_address, self.peer_address = self.peer_address, None
        self.last_incarnation = self.incarnation
        self.last_reason = reason
        self.changed()

    def begin_last_end(self, reason: ExitReason) -> None:
        """Called when the actor will not run again; its children have still to end."""
        self.state = RecordState.ENDING
        self.last_reason = reason
        self.changed()

    def gone(self) -> None:
        """Called when nothing is left of the actor."""
        self.state = RecordState.GONE
        self.changed()


def label_of(name: str | None, class_name: str, actor_id: ActorId) -> str:
    """Return the label of an actor, for people: its name, or its class and the beginning of its id."""
    return name or f"{class_name}-{short(actor_id)}"


async def first_change(*records: ActorRecord) -> None:
    """Return when the state of one of the records has changed."""
    changed: Completion[None] = Completion()
    for record in records:
        record.next_change().add_callback(lambda _: changed.set_value(None))
    await changed
