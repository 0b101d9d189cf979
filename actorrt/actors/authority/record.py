"""What a registry knows of one actor."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from actorrt.actors.authority.tombstones import Tombstone, down_data
from actorrt.actors.policy.instructions import Manner
from actorrt.actors.policy.options import ActorOptions
from actorrt.actors.wire.control import Data
from actorrt.completion import Completion
from actorrt.errors import ActorStartError
from actorrt.ids import ActorId, JobId, ObjectId, PeerAddress, short
from actorrt.reasons import SHUTDOWN, ExitReason

if TYPE_CHECKING:
    from actorrt.actors.policy.self_restart import Solo


class RecordState(StrEnum):
    """Where an actor is in its life, as its authority sees it."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DECIDING = "deciding"  # it ended, and its supervisor has not said yet what follows
    RESTARTING = "restarting"
    ENDING = "ending"  # gone for good, but for children that have still to end
    GONE = "gone"


GOES_ON: Final = (RecordState.RESTARTING, RecordState.RUNNING)
"""The states in which it is decided that the actor lives on."""


class Order:
    """What was asked for with a spawn: the same for all actors of a group, and for all incarnations of each.

    Attributes:
        spec: the pickled class and constructor's arguments; opaque here.
        card: what refs know of the actor besides, pickled; opaque here.
        options: how it is placed, named and kept.
        class_name: its class's name, for people.
        job: whose it is.
        namespace: where its name lives.
        parent: the actor that spawned it, and that it never outlives.
        is_supervisor: whether it supervises others, and so belongs away from code that can crash.
        is_detached: whether it outlives its driver: it was asked to, or the actor that spawned it does.
        is_beside: whether it belongs on its parent's loop.
        beside_endpoint: where that is, if it is elsewhere.
        child_id: what its supervisor calls it by; None for what is no child of a supervisor.
        share: its place among the light children that its supervisor began with, and how many they are.
        objects: what its spec refers to in the object store; held for each actor for as long as its record lives.
        tokens: the transits that their ids came with.
        blueprint: what its host has read from all this; opaque here.
        is_withdrawn: whether nobody wants its actors any more: the spawn was cancelled, or the parent has ended.
    """

    __slots__ = (
        "beside_endpoint",
        "blueprint",
        "card",
        "child_id",
        "class_name",
        "is_beside",
        "is_detached",
        "is_supervisor",
        "is_withdrawn",
        "job",
        "namespace",
        "objects",
        "options",
        "parent",
        "share",
        "spec",
        "tokens",
    )

    def __init__(self, data: Data) -> None:
        self.spec: list[Any] = data["spec"]
        self.card: bytes = data["card"]
        self.options = ActorOptions.from_data(data["options"])
        self.class_name: str = data["class_name"]
        self.job = JobId(data["job"])
        self.namespace: str = data["namespace"]
        self.parent = None if data["parent"] is None else ActorId(data["parent"])
        self.is_supervisor: bool = data["is_supervisor"]
        self.is_detached: bool = data["is_detached"]
        self.is_beside: bool = data["beside"]
        self.beside_endpoint: PeerAddress | None = None
        self.child_id: str | None = data["child_id"]
        self.share: list[int] | None = data["share"]
        self.objects: Sequence[ObjectId] = data["objects"]
        self.tokens: Sequence[bytes] = data["tokens"]
        self.blueprint: Any = None
        self.is_withdrawn = False


KEPT_SNAPSHOTS_COUNT: Final = 2
"""How many snapshots an actor has at most: one that can't be restored has another before it."""


class Record:
    """One actor, over all its incarnations. A worker may hold a million of them.

    Attributes:
        actor_id: the actor.
        order: what was asked for.
        supervisor: the supervisor that decides on its failures.
        endpoint: where its incarnation runs; None while none does.
        place: what its hosting keeps of it; opaque here.
        is_alone: whether it was spawned under no supervisor, so that its registry decides on its failures.
        solo: how it does; made when there is something to decide.
        started_at: when its incarnation began to run.
        last_endpoint, last_incarnation, last_reason: of the incarnation that ended last.
        birthplace: where the start under way is made, once that is decided.
        is_to_end: whether somebody wants the incarnation ended that is being started.
        early_exit: reports an end that was heard of before the start.
        manner: how the incarnation is to stop, if it is.
        restarts_at: when its next incarnation is to be started, where that waits.
        snapshots: newest first; held by the hosting.
        number: its place in the listings of its node; 0 until it is listed.
    """

    __slots__ = (
        "_change",
        "actor_id",
        "birthplace",
        "early_exit",
        "endpoint",
        "had_handled_message",
        "incarnation",
        "is_administrative",
        "is_alone",
        "is_start_under_way",
        "is_to_end",
        "last_endpoint",
        "last_incarnation",
        "last_reason",
        "manner",
        "number",
        "order",
        "place",
        "restarts_at",
        "snapshots",
        "solo",
        "start_error",
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
        self.endpoint: PeerAddress | None = None
        self.place: Any = None
        self.is_alone = supervisor is None
        self.solo: Solo | None = None
        self.started_at: float | None = None
        self.last_reason: ExitReason | None = None
        self.last_endpoint: PeerAddress | None = None
        self.last_incarnation = 0
        self.start_error: ActorStartError | None = None
        self.is_start_under_way = False
        self.birthplace: PeerAddress | None = None
        self.is_to_end = False
        self.early_exit: Callable[[], None] | None = None
        self.had_handled_message = False
        self.snapshots: Sequence[ObjectId] = ()
        self.is_administrative = False
        self.manner = Manner.ORDERLY
        self.restarts_at: float | None = None
        self.number = 0
        self._change: Completion[None] | None = None

    @classmethod
    def from_data(cls, data: Data) -> Record:
        """Make the record that a spawn request asks for."""
        supervisor = None if data["supervisor"] is None else ActorId(data["supervisor"])
        return cls(ActorId(data["actor"]), Order(data), supervisor)

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
        """Return what is known of it, in a line for people who look for a defect."""
        flags = ("is_start_under_way", "is_to_end", "is_administrative")
        said = " ".join(name for name in flags if getattr(self, name)) or "no flags"
        return (
            f"{self.label}, {self.state}, incarnation {self.incarnation} at {self.endpoint}, {said}; "
            f"last exit {self.last_reason}, start error {self.start_error}"
        )

    def sighting(self) -> Data:
        """Return where the incarnation runs, as data."""
        assert self.endpoint is not None
        return {"peer": self.endpoint.peer, "address": self.endpoint.address, "incarnation": self.incarnation}

    def card_data(self) -> Data:
        """Return what a ref of the actor needs, as data."""
        seen = None if self.endpoint is None else self.sighting()
        return {"actor": self.actor_id, "card": self.order.card, "name": self.options.name, "seen": seen}

    def start_data(self, authority: PeerAddress) -> Data:
        """Return what a host needs to start the incarnation, as data."""
        order = self.order
        return {
            "actor": self.actor_id,
            "label": self.label,
            "incarnation": self.incarnation,
            "spec": order.spec,
            "options": order.options.to_data(),
            "job": order.job,
            "namespace": order.namespace,
            "authority": tuple(authority),
            "is_supervisor": order.is_supervisor,
            "is_detached": order.is_detached,
            "snapshots": self.snapshots,
        }

    def down_data(self) -> Data:
        """Return what a monitor of restarts is told of the last end, as data."""
        return down_data(self.last_reason or SHUTDOWN, self.last_incarnation, self.last_endpoint, is_final=False)

    def tombstone(self) -> Tombstone:
        """Return what is to be remembered when it is gone."""
        return Tombstone(self.label, self.last_reason or SHUTDOWN, self.incarnation, self.last_endpoint)

    @property
    def home(self) -> PeerAddress | None:
        """Where its incarnation runs or is being started; None while there is none."""
        return self.birthplace if self.is_start_under_way else self.endpoint

    def has_incarnation(self, incarnation: int) -> bool:
        """Whether that incarnation runs or is being started."""
        return self.incarnation == incarnation and (self.endpoint is not None or self.is_start_under_way)

    def next_change(self) -> Completion[None]:
        """Return what ends when the record's state changes next."""
        if self._change is None:
            self._change = Completion()
        return self._change

    def changed(self) -> None:
        """Wake those who wait for a change."""
        change, self._change = self._change, None
        if change is not None:
            change.set_value(None)

    def begin_start(self) -> None:
        """The next incarnation is being started."""
        self.incarnation += 1
        self.start_error = self.early_exit = self.birthplace = None
        self.had_handled_message = False
        self.manner, self.restarts_at = Manner.ORDERLY, None
        self.is_start_under_way, self.is_to_end = True, self.is_administrative

    def begin_end(self) -> bool:
        """Somebody wants the incarnation ended that runs or is being started; return whether its host is to hear so."""
        if self.is_start_under_way:
            self.is_to_end = True
            return True
        is_running = self.state is RecordState.RUNNING
        if is_running:
            self.state = RecordState.STOPPING
        return is_running

    def begin_restart(self) -> None:
        """The next incarnation is being started, as its supervisor decided."""
        self.state = RecordState.RESTARTING
        self.changed()
        self.begin_start()

    def waits_to_restart(self, restarts_at: float | None) -> None:
        """It is decided that there will be a next incarnation, at that time or when others have ended."""
        self.state = RecordState.RESTARTING
        self.restarts_at = restarts_at
        self.changed()

    def start_not_reached(self) -> None:
        """The start was not begun after all; what follows is for its supervisor to decide."""
        self.incarnation -= 1
        self.is_start_under_way = False
        self.changed()

    def started(self, endpoint: PeerAddress, now: float) -> None:
        """The incarnation runs."""
        self.state = RecordState.RUNNING
        self.endpoint = endpoint
        self.started_at = now
        self.is_start_under_way = False
        self.changed()

    def ended(self, reason: ExitReason) -> None:
        """The incarnation ended."""
        self.state = RecordState.DECIDING
        self.last_endpoint, self.endpoint = self.endpoint, None
        self.last_incarnation = self.incarnation
        self.last_reason = reason
        self.changed()


def label_of(name: str | None, class_name: str, actor_id: ActorId) -> str:
    """Return what people read of an actor: its name, or its class and the beginning of its id."""
    return name or f"{class_name}-{short(actor_id)}"


async def first_change(*records: Record) -> None:
    """Return when the state of one of the records has changed."""
    changed: Completion[None] = Completion()
    for record in records:
        record.next_change().add_callback(lambda _: changed.set_value(None))
    await changed


PLACE_CODE: Final = "I"
"""How an index of `Sightings` is packed: as a C unsigned int."""


class Sightings:
    """Where each actor of a group runs, as data: `places`, and in `place_of`, packed, the index there of each."""

    def __init__(self) -> None:
        self._places: dict[tuple[PeerAddress | None, int], int] = {}
        self._sightings: list[Data | None] = []
        self._place_of = array(PLACE_CODE)

    def add(self, record: Record) -> None:
        """Take in the next actor; one that has ended since it started is nowhere."""
        place = self._places.setdefault((record.endpoint, record.incarnation), len(self._places))
        if place == len(self._sightings):
            self._sightings.append(None if record.endpoint is None else record.sighting())
        self._place_of.append(place)

    def to_data(self) -> Data:
        """Return what was taken in."""
        return {"places": self._sightings, "place_of": self._place_of.tobytes()}
