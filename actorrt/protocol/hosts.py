"""Pure: requests to a process that hosts actors, from the authorities and from the callers of these actors.

An order about an actor that the process does not have has no effect: the actor has ended, and its authority gets a
report of the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from actorrt.errors import ActorDiedError
from actorrt.ids import ActorId, ActorIds, JobId, ObjectId, PeerAddress, PeerId
from actorrt.protocol.authorities import ActorCard
from actorrt.protocol.forms import Count, Seconds
from actorrt.protocol.manner import Manner
from actorrt.protocol.verb import Record, Request, verb
from actorrt.reasons import ExitReason

# Starts and ends


@verb("host", asked_by="a node")
class HostActor(Request[None]):
    """Start an incarnation. The answer comes when its `on_start` has ended.

    Attributes:
        label: the actor's name for people.
        spec, options, job, namespace, is_supervisor, is_detached: see `ActorOrder`.
        authority: the process that decides on its failures.
        snapshots: its snapshots, the newest first.

    Raises:
        ActorStartError: the incarnation does not run.
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
    """An actor that is to start again in the process that has its cell."""

    actor: ActorId
    incarnation: Count
    snapshots: Sequence[ObjectId]


@verb("host_in_turn", asked_by="a node")
class HostInTurn(Request[None]):
    """Start incarnations, each when the one before has started. The authority hears of each by `Hosted`.

    Raises:
        ActorStartError: one did not start; the starts after it were not begun.
    """

    authority: PeerAddress
    actors: list[NextIncarnation]


@verb("stop_hosted", asked_by="a node")
class StopHosted(Request[None]):
    """End actors concurrently. Their authority hears of each exit by `Exited`.

    Attributes:
        is_administrative: whether the actors end for good.
    """

    actors: ActorIds
    reason: str
    is_administrative: bool
    manner: Manner


@verb("stop_in_turn", asked_by="a node")
class StopInTurn(Request[None]):
    """End actors that are to start again, each when the one before has ended. `Exited` reports each exit."""

    actors: list[ActorId]
    reason: str
    manner: Manner


@verb("kill_hosted", asked_by="a node")
class KillHosted(Request[None]):
    """End actors at once, and cancel their starts."""

    actors: ActorIds


@verb("delay_hosted", asked_by="a node")
class DelayHosted(Request[None]):
    """Tell the callers whose calls the actor was handling that it starts again in `delay_s` seconds."""

    actor: ActorId
    delay_s: Seconds


@verb("bury", asked_by="a node")
class Bury(Request[None]):
    """The actor is gone for good: remove its cell, and end the calls that wait there with `error`.

    The answer comes when its light children have ended.
    """

    actor: ActorId
    error: ActorDiedError


# What supervisors hear of their children


@verb("child_started", asked_by="the authority of the child")
class ChildStarted(Request[None]):
    """A child runs for the first time. The answer to its spawn takes another route and may come later."""

    supervisor: ActorId
    child: ActorId
    card: ActorCard


@verb("child_exited", asked_by="the authority of the child")
class ChildExited(Request[None]):
    """An incarnation of a child ended.

    Attributes:
        had_handled_message: whether the incarnation had handled a message.
        is_administrative: whether the child was to end for good.
        cause: is equal for all children that ended for the same cause, such as the end of their process. None: the
            child ended for a cause of its own.
    """

    supervisor: ActorId
    child: ActorId
    reason: ExitReason
    had_handled_message: bool
    is_administrative: bool
    cause: Any


@verb("child_withdrawn", asked_by="the authority of the child")
class ChildWithdrawn(Request[None]):
    """A process has asked for the end of a child that does not run now: its supervisor is to remove it."""

    supervisor: ActorId
    child: ActorId


class ChildFailure(Record):
    """A child did not start again.

    Attributes:
        error: the failure.
        cause, is_administrative: see `ChildExited`.
    """

    child: ActorId
    error: Exception
    cause: PeerId | None
    is_administrative: bool


@verb("children_restarted", asked_by="a node")
class ChildrenRestarted(Request[None]):
    """Children that were to start again in turn have started, or one of them has not.

    Attributes:
        started: the children that have started.
        failed: the child that has not started.
        unreached: the children after it, whose starts were not begun.
    """

    supervisor: ActorId
    started: Sequence[ActorId] = ()
    failed: ChildFailure | None = None
    unreached: Sequence[ActorId] = ()


# Links


@verb("linked", asked_by="the authority of the actor")
class Linked(Request[None]):
    """Another actor is linked to this one. `to` is the other's pickled ref."""

    actor: ActorId
    to: bytes


@verb("unlinked", asked_by="the authority of the actor")
class Unlinked(Request[None]):
    """The link from another actor was removed."""

    actor: ActorId
    other: ActorId


# Calls


class CallState(Record):
    """The state of a call at the host of its actor.

    Attributes:
        state: `running`, `queued`, or `unknown` if the host does not have the call.
        seconds: the time for which it has been running.
        ahead: the number of messages that are handled before it, while it is queued.
        in_hand: the message that the actor is handling, in words.
    """

    state: str
    seconds: Seconds = 0.0
    ahead: Count = 0
    in_hand: str = ""


@verb("explain", asked_by="a caller that waits long")
class ExplainCall(Request[CallState]):
    """Say whether a call of the asker is running or queued."""

    actor: ActorId
    call: Count
