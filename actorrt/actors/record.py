"""What a registry knows of one actor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from actorrt.actors.control import Data, Endpoint
from actorrt.actors.options import ActorOptions
from actorrt.completion import Completion
from actorrt.errors import ActorDiedError
from actorrt.ids import ActorId, JobId, ObjectId
from actorrt.reasons import SHUTDOWN, ExitKind, ExitReason

if TYPE_CHECKING:
    from actorrt.actors.solo import Solo


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


class Tombstone(NamedTuple):
    """What is remembered of an actor that is gone."""

    label: str
    reason: ExitReason
    incarnation: int
    endpoint: Endpoint | None

    def error(self) -> ActorDiedError:
        """Make the error for a message that came too late."""
        return ActorDiedError(f"{self.label} is gone: {self.reason}", reason=self.reason, executed="no")

    def down_data(self) -> Data:
        """Return what monitors are told, as data."""
        return down_data(self.reason, self.incarnation, self.endpoint, is_final=True)


class Record:
    """One actor, over all its incarnations.

    Attributes:
        actor_id: the actor.
        spec: its pickled class and constructor's arguments; opaque here.
        card: what its refs know besides, pickled; opaque here.
        options: how it is placed, named and kept.
        label: its name for people.
        job: whose it is.
        parent: the actor that spawned it, and that it never outlives.
        supervisor: the supervisor that decides on its failures; None where its registry does.
        is_supervisor: whether it supervises others, and so belongs away from code that can crash.
        is_beside: whether it belongs on its parent's loop, at `beside_endpoint`.
        objects: what its spec refers to in the object store; held for as long as the record lives.
        tokens: the transits that their ids came with.
        endpoint: where its incarnation runs; None while none does.
        place: what its hosting keeps of it; opaque here.
    """

    def __init__(
        self,
        actor_id: ActorId,
        *,
        spec: list[Any],
        card: bytes,
        options: ActorOptions,
        label: str,
        job: JobId,
        namespace: str = "default",
        parent: ActorId | None = None,
        supervisor: ActorId | None = None,
        is_supervisor: bool = False,
        is_beside: bool = False,
        objects: Sequence[ObjectId] = (),
        tokens: Sequence[bytes] = (),
    ) -> None:
        self.actor_id = actor_id
        self.spec = spec
        self.card = card
        self.options = options
        self.label = label
        self.job = job
        self.namespace = namespace
        self.parent = parent
        self.supervisor = supervisor
        self.is_supervisor = is_supervisor
        self.is_beside = is_beside
        self.objects = objects
        self.tokens = tokens
        self.state = RecordState.STARTING
        self.incarnation = 0
        self.endpoint: Endpoint | None = None
        self.beside_endpoint: Endpoint | None = None
        self.place: Any = None
        self.solo: Solo | None = None
        self.last_reason: ExitReason | None = None
        self.last_endpoint: Endpoint | None = None  # where the incarnation that ended last ran
        self.last_incarnation = 0  # of those that have ended
        self.start_error: Exception | None = None
        self.is_start_under_way = False
        self.birthplace: Endpoint | None = None  # where the start under way is made, once that is decided
        self.is_to_end = False  # somebody wants the incarnation ended that is being started
        self.early_exit: Callable[[], None] | None = None  # reports an end that was heard of before the start
        self.had_handled_message = False
        self.snapshots: list[ObjectId] = []  # newest first; held by the hosting
        self.is_administrative = False
        self._change: Completion[None] | None = None

    @classmethod
    def from_data(cls, data: Data) -> Record:
        """Make the record that a spawn request asks for."""
        return cls(
            ActorId(data["actor"]),
            spec=data["spec"],
            card=data["card"],
            options=ActorOptions.from_data(data["options"]),
            label=data["label"],
            job=JobId(data["job"]),
            namespace=data["namespace"],
            parent=None if data["parent"] is None else ActorId(data["parent"]),
            supervisor=None if data["supervisor"] is None else ActorId(data["supervisor"]),
            is_supervisor=data["is_supervisor"],
            is_beside=data["beside"],
            objects=data["objects"],
            tokens=data["tokens"],
        )

    def sighting(self) -> Data:
        """Return where the incarnation runs, as data."""
        assert self.endpoint is not None
        return {"peer": self.endpoint.peer, "address": self.endpoint.address, "incarnation": self.incarnation}

    def card_data(self) -> Data:
        """Return what a ref of the actor needs, as data."""
        seen = None if self.endpoint is None else self.sighting()
        return {"actor": self.actor_id, "card": self.card, "name": self.options.name, "seen": seen}

    def order(self, authority: Endpoint) -> Data:
        """Return what a host needs to start the incarnation, as data."""
        return {
            "actor": self.actor_id,
            "incarnation": self.incarnation,
            "spec": self.spec,
            "options": self.options.to_data(),
            "label": self.label,
            "job": self.job,
            "namespace": self.namespace,
            "authority": tuple(authority),
            "is_supervisor": self.is_supervisor,
            "snapshots": self.snapshots,
        }

    def down_data(self) -> Data:
        """Return what a monitor of restarts is told of the last end, as data."""
        return down_data(self.last_reason or SHUTDOWN, self.last_incarnation, self.last_endpoint, is_final=False)

    def tombstone(self) -> Tombstone:
        """Return what is to be remembered when it is gone."""
        return Tombstone(self.label, self.last_reason or SHUTDOWN, self.incarnation, self.last_endpoint)

    @property
    def home(self) -> Endpoint | None:
        """Where its incarnation runs or is being started; None while there is none."""
        return self.birthplace if self.is_start_under_way else self.endpoint

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
        self.is_start_under_way, self.is_to_end = True, self.is_administrative

    def started(self, endpoint: Endpoint) -> None:
        """The incarnation runs."""
        self.state = RecordState.RUNNING
        self.endpoint = endpoint
        self.is_start_under_way = False
        self.changed()

    def ended(self, reason: ExitReason) -> None:
        """The incarnation ended."""
        self.state = RecordState.DECIDING
        self.last_endpoint, self.endpoint = self.endpoint, None
        self.last_incarnation = self.incarnation
        self.last_reason = reason


def down_data(reason: ExitReason, incarnation: int, endpoint: Endpoint | None, *, is_final: bool) -> Data:
    """Return what a monitor is told, as data: `endpoint` is where the incarnation's last words come from."""
    return {
        "reason": reason.to_data(),
        "incarnation": incarnation,
        "is_final": is_final,
        "endpoint": None if endpoint is None else tuple(endpoint),
    }


UNKNOWN = Tombstone("the actor", ExitReason(ExitKind.SHUTDOWN, "ended before it was monitored"), 0, None)
