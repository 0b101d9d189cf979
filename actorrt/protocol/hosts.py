"""Pure: what is asked of a process that hosts actors: by the authorities of these, and by processes that call them.

An order about an actor that is not there has no effect: it has ended, and its authority hears so otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from actorrt.errors import ActorDiedError
from actorrt.ids import ActorId, ActorIds, JobId, ObjectId, PeerAddress, PeerId
from actorrt.protocol.authorities import ActorCard
from actorrt.protocol.forms import Count, Seconds
from actorrt.protocol.manner import Manner
from actorrt.protocol.verb import Record, Request, record, verb
from actorrt.reasons import ExitReason

# Starts and ends


@verb("host", asked_by="a node")
class HostActor(Request[None]):
    """Start an incarnation; the answer comes when its `on_start` has ended.

    Attributes:
        label: what people call it.
        spec, options, job, namespace, is_supervisor, is_detached: see `ActorOrder`.
        authority: who decides on its failures.
        snapshots: newest first.

    Raises:
        ActorStartError: it does not run.
    """

    actor: ActorId
    label: str
    incarnation: Count
    spec: list[Any]
    options: dict[str, Any]
    job: JobId
    namespace: str
    authority: PeerAddress
    is_supervisor: bool
    is_detached: bool
    snapshots: Sequence[ObjectId]


class NextIncarnation(NamedTuple):
    """An actor that is to start again where it has a cell."""

    actor: ActorId
    incarnation: Count
    snapshots: Sequence[ObjectId]


@verb("host_in_turn", asked_by="a node")
class HostInTurn(Request[None]):
    """Start incarnations, each when the one before has started; `Hosted` tells the authority of each.

    Raises:
        ActorStartError: one did not start; those behind it are not begun.
    """

    authority: PeerAddress
    actors: list[NextIncarnation]


@verb("stop_hosted", asked_by="a node")
class StopHosted(Request[None]):
    """End actors, side by side; their exits are reported.

    Attributes:
        is_administrative: whether they end for good.
    """

    actors: ActorIds
    reason: str
    is_administrative: bool
    manner: Manner


@verb("stop_in_turn", asked_by="a node")
class StopInTurn(Request[None]):
    """End actors that are to start again, each when the one before has ended; their exits are reported."""

    actors: list[ActorId]
    reason: str
    manner: Manner


@verb("kill_hosted", asked_by="a node")
class KillHosted(Request[None]):
    """End actors at once, and break off starts."""

    actors: ActorIds


@verb("delay_hosted", asked_by="a node")
class DelayHosted(Request[None]):
    """The actor starts again in `delay_s` seconds: those whose calls it had in hand hear so."""

    actor: ActorId
    delay_s: Seconds


@verb("bury", asked_by="a node")
class Bury(Request[None]):
    """The actor is gone for good: drop its cell and end what waits there with `error`.

    The answer comes when its light children have ended.
    """

    actor: ActorId
    error: ActorDiedError


# What supervisors hear of their children


@verb("child_started", asked_by="the authority of the child")
class ChildStarted(Request[None]):
    """A child runs for the first time. The answer to its spawn goes another way, and may be late."""

    supervisor: ActorId
    child: ActorId
    card: ActorCard


@verb("child_exited", asked_by="the authority of the child")
class ChildExited(Request[None]):
    """An incarnation of a child ended.

    Attributes:
        had_handled_message: whether it had handled one.
        is_administrative: whether it was to end for good.
        cause: equal for all children that ended by the same cause, such as the end of their process; None: by its own.
    """

    supervisor: ActorId
    child: ActorId
    reason: ExitReason
    had_handled_message: bool
    is_administrative: bool
    cause: Any


@verb("child_withdrawn", asked_by="the authority of the child")
class ChildWithdrawn(Request[None]):
    """Somebody wants a child ended that does not run now."""

    supervisor: ActorId
    child: ActorId


@record
class ChildFailure(Record):
    """A child did not start again.

    Attributes:
        error: why.
        cause, is_administrative: see `ChildExited`.
    """

    child: ActorId
    error: Exception
    cause: PeerId | None
    is_administrative: bool


@verb("children_restarted", asked_by="a node")
class ChildrenRestarted(Request[None]):
    """Of the children that were to start again in turn, these have; or one has not, and so none behind it."""

    supervisor: ActorId
    started: Sequence[ActorId] = ()
    failed: ChildFailure | None = None
    unreached: Sequence[ActorId] = ()


# Links


@verb("linked", asked_by="the authority of the actor")
class Linked(Request[None]):
    """Another actor is linked to this one. `to` is the other's ref, pickled."""

    actor: ActorId
    to: bytes


@verb("unlinked", asked_by="the authority of the actor")
class Unlinked(Request[None]):
    """The link from another actor is undone."""

    actor: ActorId
    other: ActorId


# Calls


@record
class CallState(Record):
    """What a call waits for.

    Attributes:
        state: `running`, `queued`, or `unknown` where it is not here.
        seconds: since when it runs.
        ahead: how many messages are handled before it, while it is queued.
        in_hand: what occupies its actor meanwhile, in words.
    """

    state: str
    seconds: Seconds = 0.0
    ahead: Count = 0
    in_hand: str = ""


@verb("explain", asked_by="a caller that waits long")
class ExplainCall(Request[CallState]):
    """Say what a call of the asker waits for."""

    actor: ActorId
    call: Count


@record
class BlockedCall(Record):
    """The call at which a cycle of waits closes.

    Attributes:
        peer, call: whose it is, and its number there.
        path: the methods from the actor in question to it.
    """

    peer: PeerId
    call: Count
    path: list[str]


@verb("behind", asked_by="a host that looks for cycles of calls")
class FindCycle(Request[BlockedCall | None]):
    """Follow what a call of the asker waits for; answer with the call queued at `start` that all of it waits for.

    Attributes:
        actor, call: where the call was sent, and its number.
        start: the actor from which the search began.
        seen: the actors that were passed.
    """

    actor: ActorId
    call: Count
    start: ActorId
    seen: list[ActorId]
