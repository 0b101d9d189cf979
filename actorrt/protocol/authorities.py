"""Pure: what is asked of the authority of an actor: its node, or the process of its parent where it is a light child.

An authority that knows no such actor answers questions about it with `ActorDiedError`, and the exit reason while that
is remembered. An order about an actor that is gone has no effect.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from actorrt.ids import ActorId, ActorIds, JobId, ObjectId, PeerAddress
from actorrt.protocol.forms import Count, Seconds, UnfitError
from actorrt.protocol.manner import Manner
from actorrt.protocol.verb import Record, Request, record, verb
from actorrt.reasons import ExitReason


class Sighting(NamedTuple):
    """Where an actor was seen: which of its incarnations runs there."""

    endpoint: PeerAddress
    incarnation: Count


class HeldObject(NamedTuple):
    """An object that a spec refers to, and the transit that its id comes with."""

    object: ObjectId
    token: bytes


class Share(NamedTuple):
    """The place of a child among the light children that its supervisor began with, and how many they are."""

    place: Count
    total: Count


@record
class ActorOrder(Record):
    """What is ordered with a spawn: the same for all actors of a group, and for all incarnations of each.

    Attributes:
        spec: the pickled class and constructor's arguments; opaque to authorities.
        card: what refs know of the actor besides, pickled; opaque to authorities.
        options: `ActorOptions` as data, which checks each.
        class_name: its class's name, for people.
        job: whose it is.
        namespace: where its name lives.
        parent: the actor that spawned it, and that it never outlives.
        supervisor: the supervisor that decides on its failures.
        child_id: what its supervisor calls it by; None for what is no child of a supervisor.
        share: see `Share`.
        is_supervisor: whether it supervises others, and so belongs away from code that can crash.
        is_detached: whether it outlives its driver: it was asked to, or the actor that spawned it does.
        is_beside: whether it belongs on its parent's loop.
        objects: what its spec refers to in the object store; held for each actor for as long as its authority knows it.
    """

    spec: list[Any]
    card: bytes
    options: dict[str, Any]
    class_name: str
    job: JobId
    namespace: str
    parent: ActorId | None
    supervisor: ActorId | None
    child_id: str | None
    share: Share | None
    is_supervisor: bool
    is_detached: bool
    is_beside: bool
    objects: list[HeldObject]

    def check(self) -> None:
        """Refuse a share that is none."""
        if self.share is not None and not self.share.place < self.share.total:
            raise UnfitError(f".share is {list(self.share)}: it has to be a place and how many there are")


@record
class ActorCard(Record):
    """What a ref of an actor needs.

    Attributes:
        actor: the actor.
        card: its methods and options of calls, pickled by whoever spawned it.
        name: its name.
        seen: where it runs, if it does.
    """

    actor: ActorId
    card: bytes
    name: str | None
    seen: Sighting | None


@record
class GroupPlaces(Record):
    """Where the actors of a group run.

    Attributes:
        places: each place once; None for actors that have ended since they started.
        place_of: for each actor the index of its place, packed as C unsigned ints.
    """

    places: list[Sighting | None]
    place_of: bytes


@record
class ActorState(Record):
    """Where an actor is in its life, and why its last incarnation ended, in words."""

    state: str
    reason: str | None


@record
class Prospect(Record):
    """An actor lives on after the end of an incarnation; `starts_in_s` is how long its next start waits."""

    starts_in_s: Seconds


@record
class Life(Record):
    """Whether an actor runs or will run again."""

    is_alive: bool


@record
class DownReport(Record):
    """An incarnation has ended.

    Attributes:
        reason, incarnation: why, and which.
        is_final: whether the actor is gone for good.
        endpoint: where the incarnation ran, and its last words come from.
    """

    reason: ExitReason
    incarnation: Count
    is_final: bool
    endpoint: PeerAddress | None


# Starts


@verb("spawn", asked_by="whoever spawns")
class Spawn(Request[ActorCard]):
    """Start an actor. The answer comes when `on_start` has ended.

    Raises:
        NameTakenError: another live actor has the name.
        ActorStartError: it did not start; nothing of it is left.
    """

    actor: ActorId
    order: ActorOrder


@verb("spawn_many", asked_by="whoever spawns")
class SpawnMany(Request[GroupPlaces]):
    """Start actors without names by one order, side by side.

    Raises:
        ActorStartError: one did not start; nothing of any is left.
    """

    actors: ActorIds
    order: ActorOrder


@verb("withdraw_spawn", asked_by="whoever spawns")
class WithdrawSpawn(Request[None]):
    """Nobody waits for the spawn of the actor any more, or of the group that begins with it: end what there is."""

    actor: ActorId


# Questions


@verb("state", asked_by="a caller that waits long")
class AskState(Request[ActorState]):
    """Say in which state an actor is that runs nowhere."""

    actor: ActorId


@verb("resolve", asked_by="a caller")
class Resolve(Request[Sighting]):
    """Say where an incarnation newer than `after` runs, as soon as one does.

    Raises:
        ActorDiedError: there will be none.
    """

    actor: ActorId
    after: int


@verb("fate", asked_by="a caller that lost the actor's process")
class AskFate(Request[Prospect]):
    """Say when it is certain that the actor lives on after the end of incarnation `after`.

    Raises:
        ActorDiedError: it does not.
    """

    actor: ActorId
    after: int


@verb("alive", asked_by="whoever has a ref")
class AskAlive(Request[Life]):
    """Say whether the actor runs or will run again."""

    actor: ActorId


@verb("sibling", asked_by="a supervisor's child")
class FindSibling(Request[ActorCard]):
    """Find the child `id` of the supervisor of `actor`.

    Raises:
        RuntimeStateError: the actor is no child of a supervisor.
        ValueError: no child of that id has been started, or it has ended.
    """

    actor: ActorId
    id: str


@verb("monitor", asked_by="whoever monitors")
class Monitor(Request[DownReport]):
    """Say how the actor ended, when it is gone for good or when an incarnation has ended.

    Attributes:
        since: the first incarnation whose end is of interest, 0 for the one there is; None: only the last one's.
    """

    actor: ActorId
    since: Count | None


@verb("ended", asked_by="a supervisor that stops a child")
class AwaitEnd(Request[None]):
    """Answer when the actor is gone."""

    actor: ActorId


@verb("check_invariants", asked_by="tests")
class CheckInvariants(Request[None]):
    """Check that what is known of all actors agrees.

    Raises:
        AssertionError: it does not, as text in a `RemoteActorError`.
    """


# Ends


@verb("stop", asked_by="whoever has refs")
class Stop(Request[None]):
    """End actors for good, and answer when all are gone."""

    actors: ActorIds
    reason: str
    kill: bool


@verb("exited", asked_by="the host of the actors")
class Exited(Request[None]):
    """The incarnations of actors have ended alike.

    Attributes:
        is_administrative: whether they were to end for good.
        is_buried: whether nothing is left of the actors at their host, so that it need not bury them.
    """

    actors: ActorIds
    incarnation: Count
    reason: ExitReason
    is_administrative: bool
    is_buried: bool


@verb("stop_child", asked_by="a supervisor")
class StopChild(Request[None]):
    """End a child's incarnation; its exit is reported to its supervisor."""

    actor: ActorId
    reason: str
    kill: bool
    manner: Manner


@verb("delay_child", asked_by="a supervisor")
class DelayChild(Request[None]):
    """The child starts again in `delay_s` seconds, or when others have stopped: its callers hear so."""

    actor: ActorId
    delay_s: Seconds


@verb("forget_child", asked_by="a supervisor")
class ForgetChild(Request[None]):
    """The child is gone for good, for that reason or for that of its last end."""

    actor: ActorId
    reason: ExitReason | None


# What hosts report


@verb("handled", asked_by="the host of the actor")
class Handled(Request[None]):
    """The incarnation has handled its first message: its next failure is none of its start."""

    actor: ActorId
    incarnation: Count


@verb("snapshot", asked_by="the host of the actor")
class SnapshotTaken(Request[None]):
    """A snapshot of the actor lies in the store; the answer says that it is held."""

    actor: ActorId
    incarnation: Count
    object: ObjectId
    token: bytes


# Links


@verb("link", asked_by="the host of a linked actor")
class LinkActor(Request[None]):
    """Pass on that another actor is linked to this one, as soon as it runs. `to` is the other's ref, pickled."""

    actor: ActorId
    to: bytes


@verb("unlink", asked_by="the host of a linked actor")
class UnlinkActor(Request[None]):
    """Pass on that the link from another actor is undone."""

    actor: ActorId
    other: ActorId
