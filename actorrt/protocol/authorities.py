"""Pure: what is asked of the authority of an actor: of its node, or for a light child of the process of its parent.

An authority answers questions about an actor that it does not know with `ActorDiedError`, which has the exit reason
while the authority remembers the actor. Orders about such an actor have no effect.
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
    """The place of a child among the light children that its supervisor began with, and the number of these."""

    place: Count
    total: Count


@record
class ActorOrder(Record):
    """The order of a spawn. It is the same for all actors of a group, and for all incarnations of each.

    Attributes:
        spec: the pickled class and constructor's arguments; opaque to authorities.
        card: the methods and the call options that refs know, pickled; opaque to authorities.
        options: the data of `ActorOptions`, which checks each.
        class_name: the name of its class, for people.
        job: the job that it belongs to.
        namespace: the namespace of its name.
        parent: the actor that spawned it, and that it never outlives.
        supervisor: the supervisor that decides on its failures.
        child_id: the id by which its supervisor knows it; None if it is no child of a supervisor.
        share: see `Share`.
        is_supervisor: whether it supervises others, and so belongs away from code that can crash.
        is_detached: whether it outlives its driver, by its own options or since the actor that spawned it does.
        is_beside: whether it belongs on its parent's loop.
        objects: the objects in the store that its spec refers to; its authority holds them for as long as it knows it.
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
    """The data of a ref.

    Attributes:
        actor: the actor.
        card: its methods and call options, pickled by the process that spawned it.
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
    """An actor lives on after the end of an incarnation. Its next start is `starts_in_s` seconds away."""

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
        endpoint: the process where the incarnation ran, which sends its last messages.
    """

    reason: ExitReason
    incarnation: Count
    is_final: bool
    endpoint: PeerAddress | None


# Starts


@verb("spawn", asked_by="any process that spawns")
class Spawn(Request[ActorCard]):
    """Start an actor. The answer comes when `on_start` has ended.

    Raises:
        NameTakenError: another live actor has the name.
        ActorStartError: it did not start; nothing of it is left.
    """

    actor: ActorId
    order: ActorOrder


@verb("spawn_many", asked_by="any process that spawns")
class SpawnMany(Request[GroupPlaces]):
    """Start actors without names by one order, side by side.

    Raises:
        ActorStartError: one did not start; nothing of any is left.
    """

    actors: ActorIds
    order: ActorOrder


@verb("withdraw_spawn", asked_by="any process that spawns")
class WithdrawSpawn(Request[None]):
    """The asker does not wait any more for the spawn of an actor, or of the group that begins with it: end both."""

    actor: ActorId


# Questions


@verb("state", asked_by="a caller that waits long")
class AskState(Request[ActorState]):
    """Say which state an actor is in that runs nowhere."""

    actor: ActorId


@verb("resolve", asked_by="a caller")
class Resolve(Request[Sighting]):
    """Say where an incarnation newer than `after` runs. The answer comes as soon as one runs.

    Raises:
        ActorDiedError: there will be none.
    """

    actor: ActorId
    after: int


@verb("fate", asked_by="a caller that lost the actor's process")
class AskFate(Request[Prospect]):
    """Say whether the actor lives on after the end of incarnation `after`. The answer comes when that is decided.

    Raises:
        ActorDiedError: it does not live on.
    """

    actor: ActorId
    after: int


@verb("alive", asked_by="any process with a ref")
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


@verb("monitor", asked_by="any process that monitors")
class Monitor(Request[DownReport]):
    """Say how the actor ended. The answer comes when an incarnation has ended, or the actor for good.

    Attributes:
        since: the first incarnation whose end is answered; 0 stands for the present one. None: the end for good is.
    """

    actor: ActorId
    since: Count | None


@verb("ended", asked_by="a supervisor that stops a child")
class AwaitEnd(Request[None]):
    """Wait for the actor's end: the answer comes when it is gone."""

    actor: ActorId


@verb("check_invariants", asked_by="tests")
class CheckInvariants(Request[None]):
    """Check that what the process knows of actors, calls and objects agrees; a node asks its workers, too.

    Raises:
        RemoteActorError: they do not; the text is that of the AssertionError.
    """


# Ends


@verb("stop", asked_by="any process with refs")
class Stop(Request[None]):
    """End actors for good. The answer comes when all are gone."""

    actors: ActorIds
    reason: str
    kill: bool


@verb("exited", asked_by="the host of the actors")
class Exited(Request[None]):
    """The incarnations of actors have ended alike.

    Attributes:
        is_administrative: whether the actors were to end for good.
        is_buried: whether their host has forgotten them, so that no `Bury` is needed.
    """

    actors: ActorIds
    incarnation: Count
    reason: ExitReason
    is_administrative: bool
    is_buried: bool


@verb("stop_child", asked_by="a supervisor")
class StopChild(Request[None]):
    """End a child's incarnation. The supervisor hears of its exit by `ChildExited`."""

    actor: ActorId
    reason: str
    kill: bool
    manner: Manner


@verb("delay_child", asked_by="a supervisor")
class DelayChild(Request[None]):
    """The child starts again in `delay_s` seconds, or when others have stopped: tell its callers."""

    actor: ActorId
    delay_s: Seconds


@verb("forget_child", asked_by="a supervisor")
class ForgetChild(Request[None]):
    """The child is gone for good. None as the reason stands for that of its last end."""

    actor: ActorId
    reason: ExitReason | None


# What hosts report


@verb("handled", asked_by="the host of the actor")
class Handled(Request[None]):
    """The incarnation has handled its first message, so its next failure is not one of its start."""

    actor: ActorId
    incarnation: Count


@verb("snapshot", asked_by="the host of the actor")
class SnapshotTaken(Request[None]):
    """A snapshot of the actor is in the store. The answer says that the authority holds it."""

    actor: ActorId
    incarnation: Count
    object: ObjectId
    token: bytes


# Links


@verb("link", asked_by="the host of a linked actor")
class LinkActor(Request[None]):
    """Tell the actor, as soon as it runs, that another one is linked to it. `to` is the other one's ref, pickled."""

    actor: ActorId
    to: bytes


@verb("unlink", asked_by="the host of a linked actor")
class UnlinkActor(Request[None]):
    """Tell the actor that the link from another one is undone."""

    actor: ActorId
    other: ActorId
