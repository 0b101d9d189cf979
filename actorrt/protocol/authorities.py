"""Pure: requests to the authority of an actor: its node, or, for a light child, the process of its parent.

An authority answers questions about an actor that it does not know with `ActorDiedError`, which has the exit reason
while the authority remembers the actor. Orders about such an actor have no effect.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from actorrt.ids import ActorId, ActorIds, JobId, ObjectId, PeerAddress
from actorrt.protocol.forms import Count, Seconds, UnfitError
from actorrt.protocol.manner import Manner
from actorrt.protocol.record_type import younger
from actorrt.protocol.verb import Record, Request, verb
from actorrt.reasons import ExitReason


class Sighting(NamedTuple):
    """The endpoint where an actor was seen, and the incarnation that runs there."""

    peer_address: PeerAddress
    incarnation: Count


class HeldObject(NamedTuple):
    """An object that a spec refers to, and the transit that its id comes with."""

    object: ObjectId
    token: bytes


class Share(NamedTuple):
    """The place of a child among the first light children of its supervisor, and the number of these children."""

    place: Count
    total: Count


class ActorOrder(Record):
    """The order of a spawn. All actors of a group share it, and so do all incarnations of an actor.

    Attributes:
        spec: the pickled class and constructor's arguments; opaque to authorities.
        card: the methods and the call options that refs know, pickled; opaque to authorities.
        options: the data of `ActorOptions`, which checks them.
        class_name: the name of the actor's class, for people.
        job: the job that it belongs to.
        namespace: the namespace of its name.
        parent: the actor that spawned it, and that it never outlives.
        supervisor: the supervisor that decides on its failures.
        child_id: the id by which its supervisor knows it; None if it is no child of a supervisor.
        share: see `Share`.
        is_supervisor: whether it is a supervisor, which runs away from code that can crash.
        is_detached: whether it outlives its driver, by its own options or because the actor that spawned it does.
        is_beside: whether it runs on its parent's loop.
        objects: the objects in the store that its spec refers to. The authority holds them as long as it knows the
            actor.
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
        """Refuse a share whose place is not below its total."""
        if self.share is not None and not self.share.place < self.share.total:
            raise UnfitError(f".share is {list(self.share)}: its place has to be below its total")


class ActorCard(Record):
    """The data of a ref.

    Attributes:
        actor: the actor.
        card: its methods and call options, pickled by the process that spawned it.
        name: its name.
        seen: where it runs; None if it does not run.
        home: the authority over it, if that is not who answers.
    """

    actor: ActorId
    card: bytes
    name: str | None
    seen: Sighting | None
    home: PeerAddress | None = younger(since=1, default=None)


class GroupPlaces(Record):
    """Where the actors of a group run.

    Attributes:
        places: each place once; None for actors that have ended since they started.
        place_of: for each actor the index of its place, packed as C unsigned ints.
    """

    places: list[Sighting | None]
    place_of: bytes


class ActorState(Record):
    """The state of an actor, and the reason of the end of its last incarnation, in words."""

    state: str
    reason: str | None


class Prospect(Record):
    """An actor lives on after the end of an incarnation. Its next start is `starts_in_s` seconds away."""

    starts_in_s: Seconds


class Life(Record):
    """Whether an actor runs or will run again."""

    is_alive: bool


class DownReport(Record):
    """An incarnation has ended.

    Attributes:
        reason, incarnation: the reason of the end, and the number of the incarnation.
        is_final: whether the actor is gone for good.
        endpoint: the process where the incarnation ran, which sends its last messages.
    """

    reason: ExitReason
    incarnation: Count
    is_final: bool
    peer_address: PeerAddress | None


# Starts


@verb("spawn", asked_by="any process that spawns")
class Spawn(Request[ActorCard]):
    """Start an actor. The answer comes when `on_start` has ended.

    Raises:
        NameTakenError: another live actor has the name.
        ActorStartError: the actor did not start; nothing of it is left.
    """

    actor: ActorId
    order: ActorOrder


@verb("spawn_many", asked_by="any process that spawns")
class SpawnMany(Request[GroupPlaces]):
    """Start actors without names by one order, concurrently.

    Raises:
        ActorStartError: one of the actors did not start; nothing of any is left.
    """

    actors: ActorIds
    order: ActorOrder


@verb("withdraw_spawn", asked_by="any process that spawns")
class WithdrawSpawn(Request[None]):
    """End an actor whose spawn the asker no longer waits for, or all of the group that begins with this actor."""

    actor: ActorId


# Questions


@verb("state", asked_by="a caller that waits long")
class AskState(Request[ActorState]):
    """Say the state of an actor that runs in no process."""

    actor: ActorId


@verb("resolve", asked_by="a caller")
class Resolve(Request[Sighting]):
    """Say where an incarnation newer than `after` runs. The answer comes as soon as one runs.

    Raises:
        ActorDiedError: no newer incarnation will run.
    """

    actor: ActorId
    after: int


@verb("fate", asked_by="a caller that lost the actor's process")
class AskFate(Request[Prospect]):
    """Say whether the actor lives on after the end of incarnation `after`. The answer comes after the decision.

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
    """Say how the actor ended. The answer comes when an incarnation or the actor has ended; see `since`.

    Attributes:
        since: the first incarnation whose end is reported; 0 stands for the present one. None: only the end for good
            is reported.
    """

    actor: ActorId
    since: Count | None


@verb("ended", asked_by="a supervisor that stops a child")
class AwaitEnd(Request[None]):
    """Wait for the actor's end: the answer comes when it is gone."""

    actor: ActorId


@verb("check_invariants", asked_by="tests")
class CheckInvariants(Request[None]):
    """Check that the process's tables of actors, calls and objects agree. A node asks its workers, too.

    Raises:
        RemoteActorError: they do not agree; the text is that of the AssertionError.
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
    """Incarnations of actors have ended for one reason.

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
    """Tell the child's callers that it starts again in `delay_s` seconds, or when other children have stopped."""

    actor: ActorId
    delay_s: Seconds


@verb("forget_child", asked_by="a supervisor")
class ForgetChild(Request[None]):
    """The child is gone for good. If `reason` is None, the reason is that of its last end."""

    actor: ActorId
    reason: ExitReason | None


# What hosts report


@verb("handled", asked_by="the host of the actor")
class Handled(Request[None]):
    """The incarnation has handled its first message, so a later failure is no failure of its start."""

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
    """Tell the actor, as soon as it runs, that another actor is linked to it. `to` is the other's pickled ref."""

    actor: ActorId
    to: bytes


@verb("unlink", asked_by="the host of a linked actor")
class UnlinkActor(Request[None]):
    """Tell the actor that the link from another actor was removed."""

    actor: ActorId
    other: ActorId
