"""What a registry remembers of actors that are gone, for questions that come too late."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Final, NamedTuple

from actorrt.config import MIB
from actorrt.errors import ActorDiedError
from actorrt.ids import ActorId, PeerAddress, short
from actorrt.protocol.authorities import DownReport
from actorrt.reasons import ExitKind, ExitReason

KEPT_COUNT: Final = 10_000
KEPT_BYTES: Final = 16 * MIB
"""The bound on the exceptions, tracebacks and last words that are remembered with them."""


class Tombstone(NamedTuple):
    """What is remembered of one actor."""

    label: str
    reason: ExitReason
    incarnation: int
    peer_address: PeerAddress | None

    def error(self) -> ActorDiedError:
        """Make the error for a message that came too late."""
        return ActorDiedError(f"{self.label} is gone: {self.reason}", reason=self.reason, executed="no")

    def down_report(self) -> DownReport:
        """Return the report for monitors."""
        return DownReport(
            reason=self.reason, incarnation=self.incarnation, is_final=True, peer_address=self.peer_address
        )


UNKNOWN: Final = Tombstone("the actor", ExitReason(ExitKind.SHUTDOWN, "ended before it was monitored"), 0, None)


class Tombstones:
    """The tombstones of one registry: the last `KEPT_COUNT`, fewer if their reasons exceed `KEPT_BYTES`."""

    def __init__(self) -> None:
        self._kept: OrderedDict[ActorId, Tombstone] = OrderedDict()
        self.size_bytes = 0
        """The memory that the reasons take."""

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, actor_id: ActorId) -> bool:
        return actor_id in self._kept

    def add(self, actor_id: ActorId, tombstone: Tombstone) -> None:
        """Remember an actor; the oldest are forgotten where there are too many, or their reasons too large."""
        if tombstone.reason.size_bytes > KEPT_BYTES:
            tombstone = tombstone._replace(reason=replace(tombstone.reason, pickled=None))
        self._kept[actor_id] = tombstone
        self.size_bytes += tombstone.reason.size_bytes
        while len(self._kept) > KEPT_COUNT or self.size_bytes > KEPT_BYTES:
            _, forgotten = self._kept.popitem(last=False)
            self.size_bytes -= forgotten.reason.size_bytes

    def down_report(self, actor_id: ActorId) -> DownReport:
        """Return the report for a monitor of an actor that is gone."""
        return self._kept.get(actor_id, UNKNOWN).down_report()

    def error(self, actor_id: ActorId) -> ActorDiedError:
        """Make the error for an actor that is not there, with its exit reason while that is remembered."""
        tombstone = self._kept.get(actor_id)
        if tombstone is None:
            return ActorDiedError(f"actor {short(actor_id)} is gone", executed="no")
        return tombstone.error()
