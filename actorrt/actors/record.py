"""What a registry knows of one actor."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from actorrt.actors.control import Data, Endpoint
from actorrt.actors.options import ActorOptions
from actorrt.completion import Completion
from actorrt.ids import ActorId, JobId, ObjectId
from actorrt.reasons import ExitReason

if TYPE_CHECKING:
    from actorrt.actors.solo import Solo


class RecordState(StrEnum):
    """Where an actor is in its life, as its authority sees it."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    DECIDING = "deciding"  # it ended, and its supervisor has not said yet what follows
    RESTARTING = "restarting"
    GONE = "gone"


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
        self.state = RecordState.STARTING
        self.incarnation = 0
        self.endpoint: Endpoint | None = None
        self.beside_endpoint: Endpoint | None = None
        self.place: Any = None
        self.solo: Solo | None = None
        self.last_reason: ExitReason | None = None
        self.start_error: Exception | None = None
        self.had_handled_message = False
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
        }

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

    def started(self, endpoint: Endpoint) -> None:
        """The incarnation runs."""
        self.state = RecordState.RUNNING
        self.endpoint = endpoint
        self.had_handled_message = False
        self.changed()

    def ended(self, reason: ExitReason) -> None:
        """The incarnation ended."""
        self.state = RecordState.DECIDING
        self.endpoint = None
        self.last_reason = reason
