"""What a registry needs from the place where its actors run: the cells of its endpoint, or the workers of a node."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from actorrt.actors.authority.record import ActorRecord
from actorrt.actors.authority.tombstones import Tombstone
from actorrt.completion import Completion
from actorrt.ids import ActorId, ObjectId, PeerAddress


class Hosting(Protocol):
    """Where a registry's actors run."""

    def start_at_once(self, record: ActorRecord) -> PeerAddress | None:
        """Start the record's incarnation if its start never waits, and return where; None: use `start` instead.

        Raises:
            ActorStartError: the constructor failed.
        """

    async def start(self, record: ActorRecord) -> PeerAddress:
        """Start the record's incarnation, and return where; it takes over a mailbox that was kept for it.

        Raises:
            ActorStartError: the constructor or `on_start` failed, or its process died meanwhile.
        """

    def stop(self, records: Sequence[ActorRecord], reason: str) -> None:
        """Ask actors to end, side by side, each in its record's manner.

        Each exit is reported to the registry, at the latest after its `shutdown_s` and a kill.

        A start under way is broken off: it fails instead.
        """

    def restarts_later(self, record: ActorRecord, delay_s: float) -> None:
        """Called when the actor waits to be started again: tell the callers of the calls that it had in hand."""

    def kill(self, records: Sequence[ActorRecord]) -> None:
        """End actors now; each exit is reported to the registry, or the failure of its start."""

    def break_off(self, record: ActorRecord) -> None:
        """End the start under way at once; its failure is reported. A process of the actor's own is killed."""

    def give_up_start(self, record: ActorRecord) -> None:
        """End the start under way, which has taken too long; its failure is reported. The actor may start again."""

    def waits_for(self, record: ActorRecord) -> str:
        """Return what the start under way waits for, in words."""

    def kept_actors(self) -> Collection[ActorId]:
        """Return the actors for which anything is reserved or kept here; all of them live."""

    def bury(self, record: ActorRecord, tombstone: Tombstone, *, is_buried: bool) -> Completion[Any] | None:
        """Called when the actor is gone for good: fail the messages that wait for it, and end its own process, if any.

        Args:
            record, tombstone: the actor.
            is_buried: whether its host has said that nothing is left of it there.

        Returns:
            A completion that ends when its children there are gone too; None if it has none there.
        """

    def hold(self, object_ids: Sequence[ObjectId], tokens: Sequence[bytes]) -> None:
        """Keep these objects alive, once more each; `tokens` are the transits that they came with."""

    def release(self, object_ids: Sequence[ObjectId]) -> None:
        """Take back one hold on each."""
